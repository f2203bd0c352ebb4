/* Fetches: keys that registered loaders are asked for.  What must stay true is said in loaders.h. */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "cache/failures.h"
#include "cache/loaders_private.h"

#define PATIENCE_NS (30 * NS_PER_S) /* of a key in the queue: then the hands are too few, or hang */

/* ======= the queue ======= */

static void leave_queue(struct cache_fetch *f)
{
    list_remove(&f->node);
    alarm_off(&f->alarm);
    f->cache->loaders->queued--;
}

static int end(struct cache_fetch *f, enum fetch_end how)
{
    f->end = how;
    return CACHE_DONE;
}

static void tell(struct cache_fetch *f, enum fetch_end how)
{
    end(f, how);
    f->done(f);
}

static void no_hand_came(struct alarm *alarm)
{
    struct cache_fetch *f = CONTAINER_OF(alarm, struct cache_fetch, alarm);
    leave_queue(f);
    f->cache->loaders->figures.fetches_refused++;
    tell(f, FETCH_NOBODY);
}

static int enqueue(struct cache_fetch *f)
{
    struct cache *c = f->cache;
    struct loaders *all = c->loaders;
    if (all->queued == FETCHES_QUEUED_MAX || !cache_can_fetch(c, f->key)) {
        all->figures.fetches_refused++;
        return end(f, FETCH_NOBODY);
    }
    f->state = FETCH_QUEUED;
    list_append(&all->queue, &f->node);
    all->queued++;
    alarm_set(c->leases->alarms, &f->alarm, clock_after(cache_now(c), PATIENCE_NS));
    return CACHE_PENDING;
}

static struct cache_fetch *next_for(const struct loader *l)
{
    struct key_levels levels;
    LIST_FOR(node, &l->cache->loaders->queue)
    {
        struct cache_fetch *f = CONTAINER_OF(node, struct cache_fetch, node);
        key_split(f->key, &levels);
        if (loader_takes(l, &levels) >= 0)
            return f;
    }
    return NULL;
}

/* ======= a fetch and its lease ======= */

static void count_end(struct loader_figures *figures, enum fetch_end how, enum status status)
{
    bool said_no = how == FETCH_FAILED && status == STATUS_LOAD_FAILED;
    figures->fetches_loaded += how == FETCH_LOADED;
    figures->fetches_late += how == FETCH_LATE;
    figures->fetches_unstored += how == FETCH_UNSTORED;
    figures->fetches_failed += said_no;
    figures->fetches_returned += how == FETCH_FAILED && !said_no;
}

static void let_go(struct cache_fetch *f)
{
    struct loader *l = f->loader;
    list_remove(&f->node);
    f->loader = NULL;
    f->cache->loaders->out--;
    l->out_count--;
    l->changed = true;
    loader_free_when_left(l);
}

static int start(struct loader *l, struct cache_fetch *f);

/* The same key once more, of whoever is free. */
static int try_again(struct cache_fetch *f)
{
    if (++f->tries == FETCH_TRIES)
        return end(f, FETCH_NOBODY);
    struct loader *l = loader_free(f->cache, f->key);
    return l ? start(l, f) : enqueue(f);
}

static void go_on(struct cache_fetch *f, int outcome)
{
    if (outcome == CACHE_DONE)
        f->done(f);
}

static void lost(struct cache_fetch *f)
{
    f->cache->loaders->figures.fetches_lost++;
    go_on(f, try_again(f));
}

static bool is_overtaken(const struct cache_fetch *f, enum fetch_end how, enum status status)
{
    return how == FETCH_UNSTORED && status == STATUS_REFUSED && f->tries + 1 < FETCH_TRIES;
}

void fetch_over(struct cache_fetch *f, enum fetch_end how, enum status status)
{
    if (!f || f->state != FETCH_OUT)
        return; /* nobody was told of the lease */
    struct loader *l = f->loader;
    bool has_gone = l->peer.gone;
    if (!has_gone)
        loader_judge(l, how, status);
    let_go(f);
    if (has_gone && how != FETCH_LOADED) {
        lost(f);
        return;
    }
    count_end(&f->cache->loaders->figures, how, status);
    if (is_overtaken(f, how, status))
        go_on(f, try_again(f));
    else
        tell(f, how);
}

static bool has_token(const struct cache_load *load)
{
    return load->token_bytes && load->status != STATUS_MISS;
}

/* The lease that the load brought; NULL: none, or it has ended while it was looked whether it is needed. */
static struct lease *lease_of(const struct cache_fetch *f)
{
    const struct cache_load *load = &f->load;
    struct token token;
    return has_token(load) && token_read(slice_of(load->token, load->token_bytes), &token)
               ? lease_held(f->cache->leases, &token)
               : NULL;
}

/* It could not be told: its connection has ended, or does not read. */
static int take_back(struct cache_fetch *f)
{
    f->state = FETCH_ASKING;
    cache_load_return(f->cache, f->key, slice_of(f->load.token, f->load.token_bytes));
    let_go(f);
    return try_again(f);
}

static int hand_over(struct cache_fetch *f, struct cache_offer *offer, struct lease *lease)
{
    struct key_levels levels;
    key_split(f->key, &levels);
    int pattern = loader_takes(f->loader, &levels);
    offer->pattern = pattern > 0 ? (unsigned)pattern : 0; /* it may have learned others meanwhile */
    offer->kind = OFFER_KEY;
    f->state = FETCH_OUT;
    lease->fetch = f;
    f->loader->look.asked++;
    f->cache->loaders->figures.fetches++;
    bool told = offer_answer(offer, f->key, slice_of(f->load.token, f->load.token_bytes));
    return told ? CACHE_PENDING : take_back(f);
}

static enum fetch_end end_of(const struct cache_load *load)
{
    switch (load->status) {
    case STATUS_HIT:
    case STATUS_ABSENT: return FETCH_THERE;
    case STATUS_WAIT: return FETCH_ELSEWHERE;
    case STATUS_LOAD_FAILED: return FETCH_RESTS;
    default: return FETCH_NOBODY;
    }
}

/* ======= what others load ======= */

/* Whoever loaded it has gone, or it is to be refreshed all the same: from the start, with a loader of ours. */
static int waited(struct cache_fetch *f)
{
    f->cache->loaders->waiting--;
    if (!has_token(&f->load))
        return end(f, end_of(&f->load));
    f->state = FETCH_ASKING;
    cache_load_return(f->cache, f->key, slice_of(f->load.token, f->load.token_bytes));
    return try_again(f);
}

static void wait_answered(struct cache_load *load)
{
    struct cache_fetch *f = CONTAINER_OF(load, struct cache_fetch, load);
    go_on(f, waited(f));
}

static int wait_for_others(struct cache_fetch *f)
{
    struct loaders *all = f->cache->loaders;
    f->state = FETCH_WAITING;
    all->waiting++;
    f->load = (struct cache_load){.get = {.key = f->key, .warming = true},
                                  .peer = &all->patient,
                                  .scope = LOAD_IN_FLEET,
                                  .hold_ns = NS_PER_S,
                                  .wait_ns = f->wait_ns,
                                  .refresh_ns = f->refresh_ns,
                                  .done = wait_answered};
    return cache_load(f->cache, &f->load) == CACHE_PENDING ? CACHE_PENDING : waited(f);
}

/* ======= asking ======= */

static int judge_answer(struct cache_fetch *f)
{
    if (has_token(&f->load))
        return try_again(f); /* the lease has ended already */
    bool elsewhere = f->load.status == STATUS_WAIT && f->wait_ns;
    return elsewhere ? wait_for_others(f) : end(f, end_of(&f->load));
}

/* The load was answered: out it goes, or the hand is free again. */
static int asked(struct cache_fetch *f)
{
    struct loader *l = f->loader;
    struct cache_offer *offer = f->offer;
    struct lease *lease = lease_of(f);
    f->offer = NULL;
    if (lease)
        return hand_over(f, offer, lease);
    if (!l->peer.gone) {
        loader_park(l, offer);
        let_go(f);
        return judge_answer(f);
    }
    let_go(f);
    offer_answer_nothing(offer);
    f->cache->loaders->figures.fetches_lost++;
    return try_again(f);
}

static void load_answered(struct cache_load *load)
{
    struct cache_fetch *f = CONTAINER_OF(load, struct cache_fetch, load);
    struct loader *l = f->loader;
    bool stays = !l->peer.gone;
    go_on(f, asked(f));
    if (stays)
        fetches_serve(l);
}

static int start(struct loader *l, struct cache_fetch *f)
{
    struct loaders *all = f->cache->loaders;
    f->state = FETCH_ASKING;
    f->loader = l;
    f->offer = loader_take_hand(l);
    list_append(&l->out, &f->node);
    l->out_count++;
    all->out++;
    l->turn = ++all->turns;
    f->load = (struct cache_load){.get = {.key = f->key, .warming = true},
                                  .peer = &l->peer,
                                  .scope = LOAD_IN_FLEET,
                                  .hold_ns = f->offer->hold_ns,
                                  .refresh_ns = f->refresh_ns,
                                  .done = load_answered};
    return cache_load(f->cache, &f->load) == CACHE_PENDING ? CACHE_PENDING : asked(f);
}

/* As long as there is a hand and something for it. */
void fetches_serve(struct loader *l)
{
    struct cache_fetch *f;
    while (loader_is_free(l, cache_now(l->cache)) && (f = next_for(l))) {
        leave_queue(f);
        go_on(f, start(l, f));
    }
}

int cache_fetch(struct cache *c, struct cache_fetch *f)
{
    f->cache = c;
    f->tries = 0;
    f->loader = NULL;
    f->offer = NULL;
    list_init(&f->node);
    alarm_init(&f->alarm, no_hand_came);
    struct loader *l = loader_free(c, f->key);
    return l ? start(l, f) : enqueue(f);
}

/* ======= loaders that leave ======= */

/* Nobody else can load it. */
static void forsake_queued(struct cache *c)
{
    struct list forsaken, *first;
    list_init(&forsaken);
    LIST_FOR_SAFE(node, &c->loaders->queue)
    {
        struct cache_fetch *f = CONTAINER_OF(node, struct cache_fetch, node);
        if (cache_can_fetch(c, f->key))
            continue;
        leave_queue(f);
        list_append(&forsaken, &f->node);
    }
    while ((first = list_first(&forsaken))) {
        list_remove(first);
        tell(CONTAINER_OF(first, struct cache_fetch, node), FETCH_NOBODY);
    }
}

void fetches_forsake(struct cache *c)
{
    forsake_queued(c);
    if (c->loaders->count == 0)
        cache_load_abandon(c, &c->loaders->patient);
}

/* ======= refresh-ahead ======= */

struct ahead_fetch {
    struct cache_fetch fetch;
    char key[];
};

static void ahead_done(struct cache_fetch *f)
{
    free(CONTAINER_OF(f, struct ahead_fetch, fetch));
}

bool cache_fetch_ahead(struct cache *c, struct slice key)
{
    if (!c->loaders->count || lease_find(c->leases, key) || !loader_free(c, key))
        return false;
    if (failures_left_ns(c->failures, cache_key_hash(c, key), cache_now(c)))
        return false;
    struct ahead_fetch *a = must_alloc(sizeof(*a) + key.size);
    memcpy(a->key, key.data, key.size);
    a->fetch = (struct cache_fetch){.key = slice_of(a->key, key.size), .done = ahead_done};
    if (cache_fetch(c, &a->fetch) == CACHE_DONE)
        free(a);
    return true;
}
