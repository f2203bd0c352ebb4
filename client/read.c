/* get and peek: shared memory first, then the socket. */
#include "client/read.h"

#include <stdlib.h>
#include <string.h>
#include "client/message.h"
#include "client/value.h"
#include "proto/shm_read.h"
#include "proto/status.h"

static const larder_get_options get_defaults = LARDER_GET_OPTIONS_INIT;

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

/* Shared memory does not tell how far the journal is, nor names of tags. */
bool read_near_allowed(const larder_get_options *how)
{
    if (how->not_older_than || how->tags)
        return false;
    return how->tiers == 0 || how->tiers & LARDER_ONLY_L1;
}

/* An answer that the caller can use. */
static bool near_suits(const struct shm_found *found, const larder_get_options *how)
{
    bool other = how->schema && !found->absent && found->schema != how->schema;
    return !other && !(found->stale && how->no_stale);
}

static int near_plain(struct attachment *a, struct seat *seat, struct slice key, uint64_t hash,
                      const larder_get_options *how, larder_value *value)
{
    struct shm_found found;
    int r = how->no_value ? near_look(a, key, hash, &found) : near_copy(a, key, hash, value, &found);
    if (r != SHM_HIT || !near_suits(&found, how))
        return READ_NOT_NEAR;
    near_touch(a, seat, &found);
    value_from_found(value, a, &found, found.absent ? LARDER_ABSENT : LARDER_HIT);
    if (how->no_value)
        value->size = 0;
    return value->result;
}

int read_near_at(struct attachment *a, struct seat *seat, struct slice key, uint64_t hash,
                 const larder_get_options *how, larder_value *value)
{
    struct shm_found found;
    if (how->if_version && near_look(a, key, hash, &found) == SHM_HIT && near_suits(&found, how) &&
        larder_version_equal(found_version(a, &found), *how->if_version)) {
        near_touch(a, seat, &found);
        return value_from_found(value, a, &found, LARDER_NOT_MODIFIED);
    }
    return near_plain(a, seat, key, hash, how, value);
}

int read_near(struct larder_client *c, struct slice key, const larder_get_options *how, larder_value *value)
{
    struct seat *seat = seat_mine(c, &c->seats);
    struct attachment *a = seat && read_near_allowed(how) ? near_enter(&c->near, seat) : NULL;
    if (!a)
        return READ_NOT_NEAR;
    uint64_t since = near_clock(seat);
    int r = read_near_at(a, seat, key, shm_hash_key(a->view.shape.hash_secret, key), how, value);
    if (__builtin_expect(since != 0, 0) && r != READ_NOT_NEAR)
        near_took(a, since);
    near_leave(seat);
    return r;
}

/* The call that everything here is for: no options, a buffer that is large enough, found.  One function down to the last
 * load (flatten); whatever is not plain goes the long way round and is looked for once more. */
static __attribute__((flatten, noinline)) int near_hit(struct larder_client *c, struct slice key,
                                                       larder_value *value)
{
    struct seat *seat = seat_mine(c, &c->seats);
    struct attachment *a = seat ? near_enter(&c->near, seat) : NULL;
    struct shm_found found;
    if (!a)
        return READ_NOT_NEAR;
    uint64_t since = near_clock(seat), hash = shm_key_hash(a->view.shape.hash_secret, key);
    int r = shm_read(&a->view, key, hash, value->data, value->capacity, &found);
    if (r == SHM_HIT) {
        near_touch(a, seat, &found);
        value_from_found(value, a, &found, found.absent ? LARDER_ABSENT : LARDER_HIT);
        if (__builtin_expect(since != 0, 0))
            near_took(a, since);
    }
    near_leave(seat);
    return r == SHM_HIT ? value->result : READ_NOT_NEAR;
}

/* ======= far ======= */

int read_ask(struct call *call, const struct reading *how, const struct slice *keys, uint32_t count,
             struct wire_values *ret)
{
    unsigned version = reading_version(how);
    int r = version > 1 ? call_needs_version(call, version) : 0;
    if (r == 0 && how->lease) {
        struct wire_lease lease = lease_message(how, keys, count);
        r = ask(call, WIRE_LEASE, &lease, WIRE_VALUES, ret);
    } else if (r == 0) {
        struct wire_get get = get_message(how, call_left_ms(call), keys, count);
        r = ask(call, WIRE_GET, &get, WIRE_VALUES, ret);
    }
    return r == 0 && ret->entries.count != count ? LARDER_E_PROTOCOL : r;
}

int read_far(struct call *call, struct slice key, const struct reading *how, larder_value *value)
{
    struct wire_values values;
    struct wire_entry entry;
    int r = read_ask(call, how, &key, 1, &values);
    if (r < 0)
        return r;
    struct reader entries = reader_of(values.entries.raw);
    wire_next_entry(&entries, &entry);
    return value_from_entry(value, &entry);
}

static int far_get(struct larder_client *c, struct slice key, const larder_get_options *how,
                   larder_value *value)
{
    struct reading reading = {.get = *how};
    struct call call;
    call_begin(&call, c, c->get_ns, how->timeout_ms, true);
    int r = read_far(&call, key, &reading, value);
    call_end(&call);
    return r < 0 ? value_fail(c, value, r) : r;
}

static __attribute__((noinline)) int get_by_options(struct larder_client *c, larder_slice key,
                                                    const larder_get_options *options, larder_value *value)
{
    larder_get_options how = get_defaults;
    if (options && !options_copy(&how, sizeof(how), options))
        return value_fail(c, value, LARDER_E_INVALID);
    if (!key_fits(key))
        return value_fail(c, value, LARDER_E_KEY);
    uint64_t begin = log_begin(c);
    int r = read_near(c, slice_in(key), &how, value);
    if (r == READ_NOT_NEAR)
        r = far_get(c, slice_in(key), &how, value);
    if (begin)
        log_end(c, begin, "get", slice_in(key), r, value);
    return r;
}

int larder_get(larder_client *client, larder_slice key, const larder_get_options *options,
               larder_value *value)
{
    client_enter(client);
    if (!options && !client->log && key_fits(key)) {
        int r = near_hit(client, slice_in(key), value);
        if (__builtin_expect(r != READ_NOT_NEAR, 1))
            return r;
    }
    return get_by_options(client, key, options, value);
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
