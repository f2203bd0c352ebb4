#include "cache/loaders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "cache/loaders_private.h"

#define REST_MIN_NS   NS_PER_S /* of a loader that was late too often, doubled each time */
#define REST_MAX_NS   (60 * NS_PER_S)
#define WARN_EVERY_NS (60 * NS_PER_S)

struct loaders *loaders_create(void)
{
    struct loaders *all = must_alloc(sizeof(*all));
    list_init(&all->all);
    list_init(&all->queue);
    list_init(&all->listings);
    load_peer_init(&all->patient, 0);
    return all;
}

struct loaders *loaders_destroy(struct loaders *all)
{
    if (!all)
        return NULL;
    CHECK(all->count == 0 && loaders_idle(all) && list_empty(&all->listings));
    free(all);
    return NULL;
}

bool loaders_idle(const struct loaders *all)
{
    return all->queued == 0 && all->out == 0 && all->waiting == 0;
}

bool loaders_any(const struct loaders *all)
{
    return all->count > 0;
}

/* ======= what a loader can ======= */

int loader_takes(const struct loader *l, const struct key_levels *key)
{
    for (unsigned i = 0; i < l->patterns_count; i++)
        if (pattern_match(&l->patterns[i], key))
            return (int)i;
    return -1;
}

/* The patterns as one text, which they are parsed from. */
static char *joined(const struct slice *patterns, unsigned count)
{
    size_t bytes = 1;
    for (unsigned i = 0; i < count; i++)
        bytes += patterns[i].size + 2;
    char *text = must_alloc(bytes), *at = text;
    for (unsigned i = 0; i < count; i++)
        at += sprintf(at, "%s%.*s", i ? ", " : "", (int)patterns[i].size, (const char *)patterns[i].data);
    return text;
}

static bool parse(char *text, struct pattern *patterns, struct slice *texts, unsigned *ret_count,
                  const char **ret_why)
{
    struct slice rest = slice_text(text), item;
    *ret_count = 0;
    while (list_next_item(&rest, &item)) {
        struct pattern_names names = {.count = 0}; /* nobody asks what they remember */
        if (*ret_count == LOADER_PATTERNS_MAX) {
            *ret_why = "more than 16 patterns";
            return false;
        }
        texts[*ret_count] = item;
        if (!pattern_parse(item, &names, &patterns[(*ret_count)++], ret_why))
            return false;
    }
    return true;
}

/* Each by itself: whoever judges whether it may be offered sees them so. */
static bool has_comma(const struct slice *patterns, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (patterns[i].size && memchr(patterns[i].data, ',', patterns[i].size))
            return true;
    return false;
}

bool loader_can(struct loader *l, const struct slice *patterns, unsigned count, uint32_t lists,
                const char **ret_why)
{
    struct pattern parsed[LOADER_PATTERNS_MAX];
    struct slice texts[LOADER_PATTERNS_MAX];
    *ret_why = "a pattern has a comma";
    if (has_comma(patterns, count))
        return false;
    unsigned parsed_count;
    char *text = joined(patterns, count);
    if (l->text && strcmp(l->text, text) == 0) {
        free(text);
        l->lists = lists;
        return true;
    }
    if (!parse(text, parsed, texts, &parsed_count, ret_why)) {
        free(text);
        return false;
    }
    free(l->text);
    l->text = text;
    l->patterns_count = parsed_count;
    l->lists = lists;
    memcpy(l->texts, texts, parsed_count * sizeof(*texts));
    memcpy(l->patterns, parsed, parsed_count * sizeof(*parsed));
    return true;
}

struct loader *loader_join(struct cache *c, uint32_t pid, struct slice name)
{
    struct loaders *all = c->loaders;
    if (all->count == LOADERS_MAX)
        return NULL;
    struct loader *l = must_alloc(sizeof(*l));
    l->cache = c;
    l->name = must_alloc(name.size + 1);
    if (name.size)
        memcpy(l->name, name.data, name.size);
    load_peer_init(&l->peer, pid);
    list_init(&l->offers);
    list_init(&l->out);
    list_append(&all->all, &l->node);
    all->count++;
    all->patient.gone = false; /* the last one may have left before */
    return l;
}

/* ======= who is asked ======= */

bool loader_is_free(const struct loader *l, uint64_t now_ns)
{
    return l->hands && !l->shut && l->out_count < LOADS_A_LOADER && now_ns >= l->rests_until_ns;
}

/* Whoever has the least to do; among equals, who was asked longest ago. */
static bool is_before(const struct loader *a, const struct loader *b)
{
    return a->out_count != b->out_count ? a->out_count < b->out_count : a->turn < b->turn;
}

struct loader *loader_free(const struct cache *c, struct slice key)
{
    struct loader *best = NULL;
    struct key_levels levels;
    uint64_t now_ns = cache_now(c);
    key_split(key, &levels);
    LIST_FOR(node, &c->loaders->all)
    {
        struct loader *l = CONTAINER_OF(node, struct loader, node);
        if (loader_is_free(l, now_ns) && (!best || is_before(l, best)) && loader_takes(l, &levels) >= 0)
            best = l;
    }
    return best;
}

bool cache_can_fetch(const struct cache *c, struct slice key)
{
    struct key_levels levels;
    key_split(key, &levels);
    LIST_FOR(node, &c->loaders->all)
    {
        const struct loader *l = CONTAINER_OF(node, struct loader, node);
        if (!l->shut && loader_takes(l, &levels) >= 0)
            return true;
    }
    return false;
}

static bool overlaps(const struct loader *l, const struct cache *c, const struct policy *p)
{
    for (unsigned i = 0; i < l->patterns_count; i++)
        if (policies_overlap(c->policies, p, &l->patterns[i]))
            return true;
    return false;
}

bool cache_loads_of(const struct cache *c, const struct policy *p)
{
    LIST_FOR(node, &c->loaders->all)
    {
        const struct loader *l = CONTAINER_OF(node, struct loader, node);
        if (!l->shut && overlaps(l, c, p))
            return true;
    }
    return false;
}

/* ======= hands ======= */

static struct cache_offer *take_this_hand(struct cache_offer *offer)
{
    list_remove(&offer->node);
    alarm_off(&offer->alarm);
    offer->loader->hands--;
    return offer;
}

struct cache_offer *loader_take_hand(struct loader *l)
{
    return take_this_hand(CONTAINER_OF(list_first(&l->offers), struct cache_offer, node));
}

void loader_park(struct loader *l, struct cache_offer *offer)
{
    list_append(&l->offers, &offer->node);
    l->hands++;
    l->changed = true;
    alarm_set(l->cache->leases->alarms, &offer->alarm, offer->until_ns);
}

bool offer_answer(struct cache_offer *offer, struct slice key, struct slice token)
{
    offer->key = key;
    offer->token = token;
    return offer->done(offer);
}

void offer_answer_nothing(struct cache_offer *offer)
{
    offer->kind = OFFER_NOTHING;
    offer_answer(offer, slice_of(NULL, 0), slice_of(NULL, 0));
}

static void patience_over(struct alarm *alarm)
{
    offer_answer_nothing(take_this_hand(CONTAINER_OF(alarm, struct cache_offer, alarm)));
}

/* ======= trouble ======= */

static void in_trouble(struct loader *l, const char *what)
{
    uint64_t now_ns = cache_now(l->cache);
    l->look.trouble = what;
    if (l->warned_ns && now_ns < clock_after(l->warned_ns, WARN_EVERY_NS))
        return;
    l->warned_ns = now_ns;
    log_warn("a registered loader is in trouble", L_TEXT("what", what), L_TEXT("loader", l->name),
             L_U64("pid", l->peer.pid), L_TEXT("patterns", l->text));
}

static void was_late(struct loader *l)
{
    l->look.late++;
    in_trouble(l, "it did not bring what it was asked for within the time it had named");
    if (++l->late_in_a_row < LATE_IN_A_ROW)
        return;
    l->changed = true;
    unsigned doubled = l->late_in_a_row - LATE_IN_A_ROW;
    uint64_t rest_ns = doubled < 6 ? REST_MIN_NS << doubled : REST_MAX_NS;
    l->rests_until_ns = clock_after(cache_now(l->cache), rest_ns < REST_MAX_NS ? rest_ns : REST_MAX_NS);
}

static const char *unstored_text(enum status status)
{
    switch (status) {
    case STATUS_TOO_BIG: return "a value it brought was larger than the limit";
    case STATUS_REFUSED: return NULL; /* something newer happened: no fault of its own */
    case STATUS_SKIPPED: return NULL; /* it wished so */
    case STATUS_LIMIT: return "a value it brought had more than 16 tags";
    default: return "a value it brought could not be stored";
    }
}

static const char *says_no_text(enum status status)
{
    switch (status) {
    case STATUS_LOAD_FAILED: return "it said that it could not load what it was asked for";
    case STATUS_CONFLICT: return "it brought another key than the one it was asked for";
    default: return "it gave back what it was asked for";
    }
}

void loader_judge(struct loader *l, enum fetch_end how, enum status status)
{
    const char *trouble = how == FETCH_UNSTORED ? unstored_text(status)
                          : how == FETCH_FAILED ? says_no_text(status)
                                                : NULL;
    l->look.loaded += how == FETCH_LOADED;
    l->look.unstored += how == FETCH_UNSTORED;
    l->look.failed += how == FETCH_FAILED;
    if (how == FETCH_LATE) {
        was_late(l);
        return;
    }
    l->late_in_a_row = 0;
    if (trouble)
        in_trouble(l, trouble);
}

/* By its address alone: whoever was answered may have given its memory back. */
static bool is_parked(const struct loader *l, const struct cache_offer *offer)
{
    LIST_FOR(node, &l->offers)
    {
        if (node == &offer->node)
            return true;
    }
    return false;
}

void cache_offer(struct cache *c, struct cache_offer *offer)
{
    struct loader *l = offer->loader;
    bool waits = offer->wait_ns && !l->shut;
    list_init(&offer->node);
    alarm_init(&offer->alarm, patience_over);
    offer->until_ns = clock_after(cache_now(c), offer->wait_ns);
    loader_park(l, offer);
    listings_serve(l);
    fetches_serve(l);
    if (!waits && is_parked(l, offer))
        offer_answer_nothing(take_this_hand(offer));
}

/* ======= leaving ======= */

void loader_free_when_left(struct loader *l)
{
    if (!l->left || l->out_count)
        return;
    free(l->name);
    free(l->text);
    free(l);
}

void loader_shut(struct loader *l)
{
    l->shut = true;
}

struct loader *loader_leave(struct loader *l)
{
    if (!l)
        return NULL;
    struct cache *c = l->cache;
    l->shut = true;
    list_remove(&l->node);
    c->loaders->count--;
    while (l->hands)
        offer_answer_nothing(loader_take_hand(l));
    cache_load_abandon(c, &l->peer);
    listings_leave(l);
    fetches_forsake(c);
    l->left = true;
    loader_free_when_left(l);
    return NULL;
}

/* Those that may have become free since the turn before; of one that rests, when its rest is over. */
void loaders_tick(struct cache *c)
{
    uint64_t now_ns = cache_now(c);
    LIST_FOR(node, &c->loaders->all)
    {
        struct loader *l = CONTAINER_OF(node, struct loader, node);
        if (!l->changed || now_ns < l->rests_until_ns)
            continue;
        l->changed = false;
        listings_serve(l);
        if (c->loaders->queued)
            fetches_serve(l);
    }
}

/* ======= looking in ======= */

void loaders_look(const struct cache *c, void (*each)(void *user, const struct loader_look *look), void *user)
{
    uint64_t now_ns = cache_now(c);
    LIST_FOR(node, &c->loaders->all)
    {
        const struct loader *l = CONTAINER_OF(node, struct loader, node);
        struct loader_look look = l->look;
        look.pid = l->peer.pid;
        look.name = slice_text(l->name);
        look.patterns = slice_text(l->text);
        look.hands = l->hands;
        look.out = l->out_count;
        look.rest_ns = l->rests_until_ns > now_ns ? l->rests_until_ns - now_ns : 0;
        each(user, &look);
    }
}

void loaders_measure(const struct cache *c, struct loader_figures *ret)
{
    const struct loaders *all = c->loaders;
    *ret = all->figures;
    ret->loaders = all->count;
    ret->fetches_queued = all->queued;
    LIST_FOR(node, &all->all)
    {
        const struct loader *l = CONTAINER_OF(node, struct loader, node);
        ret->loader_hands += l->hands;
        ret->fetches_out += l->out_count;
    }
}
