/* Batches of keys: what shared memory has, then the rest in as few round trips as fit. */
#include "client/read.h"

#include "client/value.h"
#include "proto/status.h"

enum { NEAR_GROUP = 32 }; /* bucket lines asked for at once: what a core can have under way */

struct batch {
    struct call call;
    const larder_slice *keys;
    larder_value *values;
    const struct reading *how;
    larder_get_options near; /* the same for shared memory, where nobody is given a lease for what is stale */
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
    for (size_t i = 0; i < count; i++)
        shm_prefetch_item(&a->view, hashes[i]);
    for (size_t i = 0; i < count; i++) {
        size_t n = from + i;
        int r = read_near_at(a, b->call.seat, slice_in(b->keys[n]), hashes[i], &b->near, &b->values[n]);
        if (r == READ_NOT_NEAR || (b->how->early_ms && b->values[n].fresh_ms < b->how->early_ms))
            b->open[b->open_count++] = (uint16_t)n;
    }
}

static void batch_near(struct batch *b, size_t count)
{
    struct seat *seat = b->call.seat;
    struct attachment *a =
        seat && read_near_allowed(&b->how->get) ? near_enter(&b->call.client->near, seat) : NULL;
    if (!a) {
        for (size_t i = 0; i < count; i++)
            b->open[b->open_count++] = (uint16_t)i;
        return;
    }
    for (size_t from = 0; from < count; from += NEAR_GROUP)
        batch_near_group(b, a, from, count - from < NEAR_GROUP ? count - from : NEAR_GROUP);
    near_leave(seat);
}

static void batch_value(struct batch *b, uint16_t n, const struct wire_entry *entry)
{
    int r = value_from_entry(&b->values[n], entry);
    if (r < 0)
        value_fail(b->call.client, &b->values[n], r);
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
            batch_value(b, n, &entry);
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
        int r = read_ask(&b->call, b->how, b->asked, (uint32_t)*count, ret);
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
        int r = read_far(&b->call, slice_in(b->keys[n]), b->how, &b->values[n]);
        if (r < 0)
            value_fail(b->call.client, &b->values[n], r);
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

int read_many(struct larder_client *c, const larder_slice *keys, size_t count, const struct reading *how,
              const char *op, larder_value *values)
{
    int r = batch_check(keys, count, &how->get);
    if (r < 0)
        return batch_fail_all(c, values, count, r);
    struct batch b = {.keys = keys, .values = values, .how = how, .near = how->get};
    b.near.no_stale |= how->lease;
    uint64_t begin = log_begin(c);
    call_begin(&b.call, c, c->get_ns, how->get.timeout_ms, true);
    if (how->lease)
        b.call.pool = &c->leases;
    r = batch_run(&b, count);
    for (size_t i = 0; begin && i < count; i++)
        log_end(c, begin, op, slice_in(keys[i]), values[i].result, &values[i]);
    return r;
}

int larder_mget(larder_client *client, const larder_slice *keys, size_t count,
                const larder_get_options *options, larder_value *values)
{
    struct reading how = {.get = LARDER_GET_OPTIONS_INIT};
    client_enter(client);
    if (!options_copy(&how.get, sizeof(how.get), options))
        return batch_fail_all(client, values, count, LARDER_E_INVALID);
    return read_many(client, keys, count, &how, "mget", values);
}
