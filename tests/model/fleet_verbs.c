/* What callers ask of a host, and what becomes of the answers: the history is told, and a miss begins a load. */
#include "tests/model/fleet_host.h"

enum { POSITIONS = 8 };

unsigned calling_op;
static unsigned last_op;
static struct position positions[POSITIONS]; /* that changes were answered, on any host */
static unsigned positions_count;

void verbs_begin(void)
{
    calling_op = last_op = positions_count = 0;
}

void verbs_forget(struct host *h)
{
    memset(h->loads, 0, sizeof(h->loads));
    memset(h->shown, 0, sizeof(h->shown));
    for (unsigned i = 0; i < OPS; i++)
        h->ops[i].kind = FREE;
}

static struct op *new_op(struct host *h, int kind)
{
    for (unsigned i = 0; i < OPS && !h->paused; i++)
        if (h->ops[i].kind == FREE) {
            struct op *op = &h->ops[i];
            memset(op, 0, offsetof(struct op, get));
            op->kind = kind;
            op->host = h->number;
            op->id = ++last_op;
            return op;
        }
    return NULL;
}

static void begin_load(struct host *h, const struct op *op)
{
    for (unsigned i = 0; i < LOADS; i++)
        if (!h->loads[i].used) {
            struct load *load = &h->loads[i];
            *load = (struct load){.used = true, .key = op->key, .token_bytes = op->get.token_bytes};
            memcpy(load->token, op->get.token, sizeof(load->token));
            load->value = history_loaded(h->number, op->key);
            return;
        }
}

static void note_position(unsigned partition, const struct version *at)
{
    positions[positions_count++ % POSITIONS] = (struct position){partition, at->epoch, at->v};
}

static const struct position *any_position(void)
{
    unsigned count = positions_count < POSITIONS ? positions_count : POSITIONS;
    return count ? &positions[dice_below(count)] : NULL;
}

/* Mostly longer than a schedule. */
static uint64_t any_ttl_ms(void)
{
    return dice_say(15) ? 50 + dice_below(2000) : 3600000;
}

static void got(struct cache_get *get)
{
    struct op *op = CONTAINER_OF(get, struct op, get);
    struct host *h = &hosts[op->host];
    op->kind = FREE;
    if (h->dying)
        return;
    if (get->status == STATUS_HIT) {
        unsigned value;
        memcpy(&value, get->entry.value.data, sizeof(value));
        TALK("host %d: key %u is %u at %llu from %s%s%s", op->host, op->key, value,
             (unsigned long long)get->entry.v, tier_name_text(get->tier), get->detached ? ", flagged" : "",
             get->entry.stale ? ", stale" : "");
        h->shown[op->key].value = value;
        h->shown[op->key].version = (struct version){get->entry.epoch, get->entry.v, get->entry.id};
        enum history_how how = get->detached ? READ_FLAGGED : READ_VOUCHED;
        if (get->entry.local && !get->detached)
            violation("I13", "host %d key %u: value %u, local, unflagged", op->host, op->key, value);
        struct history_shown shown = {.key = op->key,
                                      .value = value,
                                      .at = {get->partition, get->entry.epoch, get->entry.v},
                                      .stale = get->entry.stale,
                                      .how = get->entry.local ? READ_LOCAL : how};
        history_read_ends(op->host, &shown, &op->view);
        return;
    }
    CHECK(get->status == STATUS_MISS);
    if (dice_say(70))
        begin_load(h, op);
}

static void get(int host, unsigned key, const struct position *brought)
{
    struct host *h = &hosts[host];
    struct op *op = new_op(h, GET);
    if (!op)
        return;
    op->key = key;
    op->view = history_read_begins(host, key, brought);
    op->get = (struct cache_get){.key = slice_text(key_texts[key]), .done = got};
    if (brought) {
        op->get.not_older.given = true;
        op->get.not_older.partition = brought->partition;
        op->get.not_older.epoch = brought->epoch;
        op->get.not_older.v = brought->v;
    }
    coherence_read_noticed(h->coherence, clock_of(h));
    if (cache_get(h->cache, &op->get) == CACHE_DONE)
        got(&op->get);
}

void host_get(int host, unsigned key)
{
    get(host, key, NULL);
}

void host_get_not_older(int host, unsigned key)
{
    get(host, key, any_position());
}

static const enum cache_condition cache_conditions[] = {
    [FLEET_ALWAYS] = CACHE_ALWAYS,
    [FLEET_IF_ABSENT] = CACHE_IF_ABSENT,
    [FLEET_IF_PRESENT] = CACHE_IF_PRESENT,
    [FLEET_IF_VERSION] = CACHE_IF_VERSION,
};

/* Nothing happened: nobody may ever see the value. */
static bool is_refusal(enum status status)
{
    return status == STATUS_REFUSED || status == STATUS_EXISTS || status == STATUS_NOT_FOUND ||
           status == STATUS_CONFLICT || status == STATUS_DETACHED;
}

static void was_set(struct cache_set *set)
{
    struct op *op = CONTAINER_OF(set, struct op, set);
    bool fill = op->kind == FILL;
    op->kind = FREE;
    if (hosts[op->host].dying)
        return;
    TALK("host %d: %s of key %u to %u: %s", op->host, fill ? "fill" : "set", op->key, op->value,
         status_name(set->status));
    if (is_refusal(set->status))
        history_refused(op->value);
    if (set->status == STATUS_QUEUED)
        history_queued(op->host, op->change);
    if (set->status != STATUS_OK && set->status != STATUS_SKIPPED)
        return;
    note_position(set->partition, &set->result);
    history_condition(op->host, op->id, op->condition, op->over);
    history_acknowledged(op->host, op->id, op->wait_all && set->status == STATUS_OK);
}

static void set_value(struct host *h, struct op *op, bool remove)
{
    op->value_bytes = op->value;
    op->tag = slice_text(tag_texts[op->key % TAG_LATE]);
    op->set.key = slice_text(key_texts[op->key]);
    op->set.value = slice_of(&op->value_bytes, sizeof(op->value_bytes));
    op->set.ttl_ms = remove ? 0 : any_ttl_ms();
    history_lives(op->value, world_ns + op->set.ttl_ms * NS_PER_MS);
    op->set.tags = &op->tag;
    op->set.tags_count = 1;
    op->set.wait_all = op->wait_all;
    op->set.done = was_set;
    calling_op = op->id;
    int r = cache_set(h->cache, &op->set);
    calling_op = 0;
    if (r == CACHE_DONE)
        was_set(&op->set);
}

void host_set(int host, unsigned key, bool remove, bool wait_all, enum fleet_condition condition)
{
    struct host *h = &hosts[host];
    struct op *op = new_op(h, SET);
    if (!op)
        return;
    op->key = key;
    op->value = history_to_set(host, key);
    op->wait_all = wait_all;
    op->change = history_change_begins(host, &(struct names){.keys = (uint8_t)(1u << key)});
    memset(&op->set, 0, sizeof(op->set));
    op->over = h->shown[key].value;
    op->set.version = h->shown[key].version;
    op->condition = condition;
    op->set.condition = cache_conditions[condition];
    set_value(h, op, remove);
}

void host_fill(int host)
{
    struct host *h = &hosts[host];
    struct load *load = &h->loads[dice_below(LOADS)];
    struct op *op = load->used ? new_op(h, FILL) : NULL;
    if (!op)
        return;
    load->used = false;
    op->key = load->key;
    op->value = load->value;
    memcpy(op->token, load->token, sizeof(op->token));
    memset(&op->set, 0, sizeof(op->set));
    op->set.token = slice_of(op->token, load->token_bytes);
    set_value(h, op, false);
}

static void touched(struct cache_touch *touch)
{
    struct op *op = CONTAINER_OF(touch, struct op, touch);
    op->kind = FREE;
    if (!hosts[op->host].dying)
        TALK("host %d: touch of key %u: %s", op->host, op->key, status_name(touch->status));
}

void host_touch(int host, unsigned key)
{
    struct host *h = &hosts[host];
    struct op *op = new_op(h, TOUCH);
    if (!op)
        return;
    op->key = key;
    op->touch =
        (struct cache_touch){.key = slice_text(key_texts[key]), .ttl_ms = any_ttl_ms(), .done = touched};
    if (cache_touch(h->cache, &op->touch) == CACHE_DONE)
        touched(&op->touch);
}

static void tagged(struct cache_tag *tagging)
{
    struct op *op = CONTAINER_OF(tagging, struct op, tagging);
    op->kind = FREE;
    if (hosts[op->host].dying)
        return;
    TALK("host %d: tag of key %u: %s at %llu", op->host, op->key, status_name(tagging->status),
         (unsigned long long)tagging->result.v);
    if (tagging->status == STATUS_CONFLICT)
        violation("tag", "host %d key %u: it is never what was read", op->host, op->key);
    if (tagging->status != STATUS_OK)
        return;
    struct position at = {tagging->partition, tagging->result.epoch, tagging->result.v};
    note_position(tagging->partition, &tagging->result);
    history_tagged(op->host, op->key, &at, op->wait_all);
}

void host_tag(int host, unsigned key, bool wait_all)
{
    struct host *h = &hosts[host];
    struct op *op = new_op(h, TAG);
    if (!op)
        return;
    op->key = key;
    op->wait_all = wait_all;
    op->tag = slice_text(tag_texts[TAG_LATE]);
    op->tagging = (struct cache_tag){.key = slice_text(key_texts[key]),
                                     .tags = &op->tag,
                                     .tags_count = 1,
                                     .wait_all = wait_all,
                                     .done = tagged};
    if (cache_tag(h->cache, &op->tagging) == CACHE_DONE)
        tagged(&op->tagging);
}

static void invalidated(struct cache_invalidate *invalidate)
{
    struct op *op = CONTAINER_OF(invalidate, struct op, invalidate);
    op->kind = FREE;
    if (hosts[op->host].dying)
        return;
    TALK("host %d: invalidation %u: %s", op->host, op->id, status_name(invalidate->status));
    if (invalidate->status == STATUS_QUEUED)
        history_queued(op->host, op->change);
    if (invalidate->status == STATUS_OK)
        note_position(invalidate->partition, &invalidate->result);
    if (invalidate->status == STATUS_OK || invalidate->status == STATUS_QUEUED)
        history_acknowledged(op->host, op->id, op->wait_all && invalidate->status == STATUS_OK);
}

unsigned names_list(struct slice *ret, const char *const *texts, unsigned mask)
{
    unsigned count = 0;
    for (unsigned i = 0; mask; i++, mask >>= 1)
        if (mask & 1)
            ret[count++] = slice_text(texts[i]);
    return count;
}

void host_invalidate(int host, const struct names *names, bool wait_all)
{
    struct host *h = &hosts[host];
    struct op *op = new_op(h, INVALIDATE);
    if (!op)
        return;
    struct cache_invalidate *i = &op->invalidate;
    memset(i, 0, sizeof(*i));
    op->wait_all = i->wait_all = wait_all;
    op->change = history_change_begins(host, names);
    i->keys = op->names;
    i->tags = op->names + KEYS;
    i->prefixes = op->names + KEYS + TAGS;
    i->globs = op->names + KEYS + TAGS + PREFIXES;
    i->keys_count = names_list(op->names, key_texts, names->keys);
    i->tags_count = names_list(op->names + KEYS, tag_texts, names->tags);
    i->prefixes_count = names_list(op->names + KEYS + TAGS, prefix_texts, names->prefixes);
    i->globs_count = names_list(op->names + KEYS + TAGS + PREFIXES, glob_texts, names->globs);
    i->all = names->all;
    i->soft = names->soft;
    i->done = invalidated;
    calling_op = op->id;
    int r = cache_invalidate(h->cache, i);
    calling_op = 0;
    if (r == CACHE_DONE)
        invalidated(i);
}
