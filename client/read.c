/* get, mget, peek: shared memory first, then the socket. */
#include "client/ask.h"

#include <stdlib.h>
#include <string.h>
#include "client/value.h"
#include "proto/status.h"

enum { NOT_NEAR = INT32_MIN }; /* an answer of the near functions: ask the daemon */

static const larder_get_options get_defaults = LARDER_GET_OPTIONS_INIT;

static bool key_fits(larder_slice key)
{
    return key.data && key.size >= 1 && key.size <= WIRE_KEY_MAX;
}

/* ======= near ======= */

static uint64_t ms_between(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? (to_ns - from_ns) / NS_PER_MS : 0;
}

static uint32_t found_flags(const struct shm_found *f)
{
    return (f->stale ? LARDER_STALE : 0u) | (f->local ? LARDER_IS_LOCAL : 0u) |
           (f->detached ? LARDER_IS_DETACHED : 0u);
}

static larder_entry_version found_version(const struct attachment *a, const struct shm_found *f)
{
    return (larder_entry_version){.epoch = a->view.shape.epochs[f->partition], .v = f->v, .id = f->id};
}

static int value_from_found(larder_value *value, const struct attachment *a, const struct shm_found *f,
                            int result)
{
    value->size = result == LARDER_HIT ? f->value_bytes : 0;
    value->flags = found_flags(f);
    value->user_flags = f->user_flags;
    value->schema = f->schema;
    value->tier = LARDER_TIER_L1;
    value->reason = LARDER_REASON_NONE;
    value->near = true;
    value->ttl_ms = ms_between(f->now_ns, f->hard_ns);
    value->fresh_ms = f->stale ? 0 : ms_between(f->now_ns, f->soft_ns);
    value->version = found_version(a, f);
    value->token.size = 0;
    value->result = result;
    return result;
}

/* Twice: the entry may have been replaced by a larger one while the buffer grew. */
static int near_copy(const struct attachment *a, struct slice key, uint64_t hash, larder_value *value,
                     struct shm_found *ret)
{
    int r = shm_get(&a->view, key, hash, value->data, value->capacity, ret);
    for (int grown = 0; r == SHM_SMALL && grown < 2; grown++) {
        if (!value_reserve(value, ret->value_bytes))
            return SHM_ASK;
        r = shm_get(&a->view, key, hash, value->data, value->capacity, ret);
    }
    return r;
}

/* What is known of the entry, without its bytes. */
static int near_look(const struct attachment *a, struct slice key, uint64_t hash, struct shm_found *ret)
{
    struct shm_peek peek;
    if (shm_peek(&a->view, key, hash, &peek) != SHM_HIT || !shm_validate(&a->view, &peek))
        return SHM_ASK;
    *ret = peek.found;
    return SHM_HIT;
}

/* Shared memory does not tell how far the journal is. */
static bool near_allowed(const larder_get_options *how)
{
    if (how->not_older_than)
        return false;
    return how->tiers == 0 || how->tiers & LARDER_ONLY_L1;
}

static int near_plain(struct attachment *a, struct seat *seat, struct slice key, uint64_t hash,
                      const larder_get_options *how, larder_value *value)
{
    struct shm_found found;
    int r = how->no_value ? near_look(a, key, hash, &found) : near_copy(a, key, hash, value, &found);
    if (r != SHM_HIT || (found.stale && how->no_stale))
        return NOT_NEAR;
    near_touch(a, seat, &found);
    value_from_found(value, a, &found, found.absent ? LARDER_ABSENT : LARDER_HIT);
    if (how->no_value)
        value->size = 0;
    return value->result;
}

static int near_get(struct attachment *a, struct seat *seat, struct slice key, uint64_t hash,
                    const larder_get_options *how, larder_value *value)
{
    struct shm_found found;
    if (how->if_version && near_look(a, key, hash, &found) == SHM_HIT && !(found.stale && how->no_stale) &&
        larder_version_equal(found_version(a, &found), *how->if_version)) {
        near_touch(a, seat, &found);
        return value_from_found(value, a, &found, LARDER_NOT_MODIFIED);
    }
    return near_plain(a, seat, key, hash, how, value);
}

static int near_one(struct larder_client *c, struct slice key, const larder_get_options *how,
                    larder_value *value)
{
    struct seat *seat = seat_mine(c, &c->seats);
    struct attachment *a = seat && near_allowed(how) ? near_enter(&c->near, seat) : NULL;
    if (!a)
        return NOT_NEAR;
    int r = near_get(a, seat, key, shm_hash_key(a->view.shape.hash_secret, key), how, value);
    near_leave(seat);
    return r;
}

/* ======= far ======= */

static struct wire_get get_message(const struct call *call, const larder_get_options *how,
                                   const struct slice *keys, uint32_t count)
{
    struct wire_get get = {
        .flags = (how->no_stale ? WIRE_GET_NO_STALE : 0u) | (how->no_value ? WIRE_GET_NO_VALUE : 0u),
        .tiers = how->tiers,
        .timeout_ms = call_left_ms(call),
        .keys = {.count = count, .items = keys},
    };
    if (how->if_version) {
        get.flags |= WIRE_GET_IF_VERSION;
        get.if_epoch = how->if_version->epoch;
        get.if_v = how->if_version->v;
        get.if_id = how->if_version->id;
    }
    if (how->not_older_than) {
        get.after_partition = how->not_older_than->partition;
        get.after_epoch = how->not_older_than->epoch;
        get.after_v = how->not_older_than->v;
    }
    return get;
}

static int far_ask(struct call *call, const larder_get_options *how, const struct slice *keys, uint32_t count,
                   struct wire_values *ret)
{
    struct wire_get get = get_message(call, how, keys, count);
    int r = how->not_older_than ? call_needs_version(call, 2) : 0;
    if (r == 0)
        r = ask(call, WIRE_GET, &get, WIRE_VALUES, ret);
    return r == 0 && ret->entries.count != count ? LARDER_E_PROTOCOL : r;
}

static int far_one(struct call *call, struct slice key, const larder_get_options *how, larder_value *value)
{
    struct wire_values values;
    struct wire_entry entry;
    int r = far_ask(call, how, &key, 1, &values);
    if (r < 0)
        return value_fail(call->client, value, r);
    struct reader entries = reader_of(values.entries.raw);
    wire_next_entry(&entries, &entry);
    return value_from_entry(call->client, value, &entry);
}

static int far_get(struct larder_client *c, struct slice key, const larder_get_options *how,
                   larder_value *value)
{
    struct call call;
    call_begin(&call, c, c->get_ns, how->timeout_ms, true);
    int r = far_one(&call, key, how, value);
    call_end(&call);
    return r;
}

int larder_get(larder_client *client, larder_slice key, const larder_get_options *options,
               larder_value *value)
{
    larder_get_options copy;
    const larder_get_options *how = &get_defaults;
    client_enter(client);
    if (__builtin_expect(options != NULL, 0)) {
        copy = get_defaults;
        how = &copy;
        if (!options_copy(&copy, sizeof(copy), options))
            return value_fail(client, value, LARDER_E_INVALID);
    }
    if (!key_fits(key))
        return value_fail(client, value, LARDER_E_KEY);
    uint64_t begin = log_begin(client);
    int r = near_one(client, slice_in(key), how, value);
    if (r == NOT_NEAR)
        r = far_get(client, slice_in(key), how, value);
    if (__builtin_expect(begin != 0, 0))
        log_end(client, begin, "get", slice_in(key), r, value);
    return r;
}

/* ======= batches ======= */

enum { NEAR_GROUP = 32 }; /* bucket lines asked for at once: what a core can have under way */

struct batch {
    struct call call;
    const larder_slice *keys;
    larder_value *values;
    const larder_get_options *how;
    uint16_t open[WIRE_BATCH_MAX]; /* numbers of the keys still to be asked for */
    size_t open_count;
    struct slice asked[WIRE_BATCH_MAX];
};

static void batch_near_group(struct batch *b, struct attachment *a, size_t from, size_t count)
{
    uint64_t hashes[NEAR_GROUP];
    for (size_t i = 0; i < count; i++) {
        hashes[i] = shm_hash_key(a->view.shape.hash_secret, slice_in(b->keys[from + i]));
        shm_prefetch(&a->view, hashes[i]);
    }
    for (size_t i = 0; i < count; i++) {
        size_t n = from + i;
        int r = near_get(a, b->call.seat, slice_in(b->keys[n]), hashes[i], b->how, &b->values[n]);
        if (r == NOT_NEAR)
            b->open[b->open_count++] = (uint16_t)n;
    }
}

static void batch_near(struct batch *b, size_t count)
{
    struct seat *seat = b->call.seat;
    struct attachment *a = seat && near_allowed(b->how) ? near_enter(&b->call.client->near, seat) : NULL;
    if (!a) {
        for (size_t i = 0; i < count; i++)
            b->open[b->open_count++] = (uint16_t)i;
        return;
    }
    for (size_t from = 0; from < count; from += NEAR_GROUP)
        batch_near_group(b, a, from, count - from < NEAR_GROUP ? count - from : NEAR_GROUP);
    near_leave(seat);
}

static void batch_take(struct batch *b, size_t from, size_t count, const struct wire_values *values,
                       size_t *alone)
{
    struct reader entries = reader_of(values->entries.raw);
    struct wire_entry entry;
    for (size_t i = 0; i < count && wire_next_entry(&entries, &entry); i++) {
        uint16_t n = b->open[from + i];
        if (entry.status == STATUS_ALONE)
            b->open[(*alone)++] = n; /* always behind the keys that were answered */
        else
            value_from_entry(b->call.client, &b->values[n], &entry);
    }
}

static void batch_fail(struct batch *b, size_t from, size_t to, int error)
{
    for (size_t i = from; i < to; i++)
        value_fail(b->call.client, &b->values[b->open[i]], error);
}

/* A request with as many keys as the daemon takes; half of them when they do not fit into a frame. */
static int batch_ask(struct batch *b, size_t from, size_t *count, struct wire_values *ret)
{
    for (;;) {
        for (size_t i = 0; i < *count; i++)
            b->asked[i] = slice_in(b->keys[b->open[from + i]]);
        int r = far_ask(&b->call, b->how, b->asked, (uint32_t)*count, ret);
        if (r != LARDER_E_TOO_BIG || *count == 1)
            return r;
        *count = (*count + 1) / 2;
    }
}

/* Those whose values did not fit into one reply together. */
static void batch_alone(struct batch *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint16_t n = b->open[i];
        far_one(&b->call, slice_in(b->keys[n]), b->how, &b->values[n]);
    }
}

static int batch_far(struct batch *b)
{
    struct limits limits;
    struct wire_values values;
    size_t done = 0, alone = 0;
    int r = b->open_count ? call_limits(&b->call, &limits) : 0;
    while (r == 0 && done < b->open_count) {
        size_t count = b->open_count - done < limits.batch_max ? b->open_count - done : limits.batch_max;
        r = batch_ask(b, done, &count, &values);
        if (r == 0) {
            batch_take(b, done, count, &values, &alone);
            done += count;
        }
    }
    batch_fail(b, done, b->open_count, r);
    if (r < 0)
        batch_fail(b, 0, alone, r);
    else
        batch_alone(b, alone);
    return r;
}

static int batch_fail_all(struct larder_client *c, larder_value *values, size_t count, int error)
{
    for (size_t i = 0; i < count; i++)
        value_fail(c, &values[i], error);
    return error;
}

static int batch_check(const larder_slice *keys, size_t count, const larder_get_options *how)
{
    if (count > WIRE_BATCH_MAX)
        return LARDER_E_LIMIT;
    if (how->if_version && count != 1)
        return LARDER_E_INVALID;
    for (size_t i = 0; i < count; i++)
        if (!key_fits(keys[i]))
            return LARDER_E_KEY;
    return 0;
}

static int batch_run(struct batch *b, size_t count)
{
    int hits = 0;
    batch_near(b, count);
    int r = batch_far(b);
    call_end(&b->call);
    for (size_t i = 0; i < count; i++)
        hits += b->values[i].result == LARDER_HIT;
    return r < 0 && b->call.client->strict ? r : hits;
}

int larder_mget(larder_client *client, const larder_slice *keys, size_t count,
                const larder_get_options *options, larder_value *values)
{
    larder_get_options how = LARDER_GET_OPTIONS_INIT;
    client_enter(client);
    int r = options_copy(&how, sizeof(how), options) ? batch_check(keys, count, &how) : LARDER_E_INVALID;
    if (r < 0)
        return batch_fail_all(client, values, count, r);
    struct batch b = {.keys = keys, .values = values, .how = &how};
    uint64_t begin = log_begin(client);
    call_begin(&b.call, client, client->get_ns, how.timeout_ms, true);
    r = batch_run(&b, count);
    for (size_t i = 0; begin && i < count; i++)
        log_end(client, begin, "mget", slice_in(keys[i]), values[i].result, &values[i]);
    return r;
}

/* ======= zero copy ======= */

/* What a view remembers between the two calls. */
struct peeking {
    struct shm_peek peek;
    struct attachment *attachment;
    uint32_t forks;
};
static_assert(sizeof(struct peeking) <= sizeof(((larder_view *)0)->private_), "contract: larder.h");

static void view_fill(larder_view *ret, const struct peeking *p)
{
    const struct shm_found *f = &p->peek.found;
    *ret = (larder_view){
        .data = p->peek.value,
        .size = f->value_bytes,
        .flags = found_flags(f),
        .user_flags = f->user_flags,
        .schema = f->schema,
        .ttl_ms = ms_between(f->now_ns, f->hard_ns),
        .version = found_version(p->attachment, f),
    };
    memcpy(ret->private_, p, sizeof(*p));
}

int larder_peek(larder_client *client, larder_slice key, larder_view *ret_view)
{
    client_enter(client);
    struct seat *seat = seat_mine(client, &client->seats);
    struct peeking p = {.attachment = NULL};
    if (!key_fits(key))
        return LARDER_E_KEY;
    if (seat)
        p.attachment = near_enter(&client->near, seat);
    if (!p.attachment)
        return LARDER_MISS;
    const struct shm_view *view = &p.attachment->view;
    uint64_t hash = shm_hash_key(view->shape.hash_secret, slice_in(key));
    if (shm_peek(view, slice_in(key), hash, &p.peek) != SHM_HIT || p.peek.found.absent) {
        near_leave(seat);
        return LARDER_MISS;
    }
    p.forks = atomic_load_explicit(&client->forks, memory_order_relaxed);
    view_fill(ret_view, &p);
    return LARDER_HIT; /* and stay inside until larder_validate */
}

int larder_validate(larder_client *client, larder_view *view)
{
    struct peeking p;
    client_enter(client);
    memcpy(&p, view->private_, sizeof(p));
    struct seat *seat = seat_mine(client, &client->seats);
    if (!seat || p.forks != atomic_load_explicit(&client->forks, memory_order_relaxed))
        return LARDER_MISS; /* the mapping stayed with the parent */
    bool whole = shm_validate(&p.attachment->view, &p.peek);
    if (whole)
        near_touch(p.attachment, seat, &p.peek.found);
    near_leave(seat);
    return whole ? LARDER_HIT : LARDER_MISS;
}
