/* get and mget of larder_async. */
#include "client/async.h"

#include <stdlib.h>
#include <string.h>
#include "client/read.h"
#include "client/value.h"
#include "proto/status.h"

int larder_async_near(larder_async *a, larder_slice key, larder_value *value)
{
    static const larder_get_options plain = LARDER_GET_OPTIONS_INIT;
    if (async_is_over(a) || !key_fits(key))
        return value_fail(a->client, value, key_fits(key) ? LARDER_E_UNREACHABLE : LARDER_E_KEY);
    int r = read_near(a->client, slice_in(key), &plain, value);
    return r == READ_NOT_NEAR ? value_clear(value, LARDER_MISS, LARDER_REASON_NONE) : r;
}

static bool get_answer(struct larder_async *a, struct request *r, struct reply *reply)
{
    struct wire_values values;
    struct wire_entry entry;
    r->result = answer_read(reply, WIRE_VALUES, &values);
    struct reader entries = reader_of(r->result == 0 ? values.entries.raw : slice_of(NULL, 0));
    if (r->result == 0)
        r->result =
            wire_next_entry(&entries, &entry) ? value_from_entry(&r->value, &entry) : LARDER_E_PROTOCOL;
    return true;
}

static int get_send(struct larder_async *a, struct request *r, const larder_get_options *how,
                    const struct slice *keys, uint32_t count, uint64_t timeout_ns)
{
    struct reading reading = {.get = *how};
    struct wire_get get = get_message(&reading, (uint32_t)(timeout_ns / NS_PER_MS), keys, count);
    r->version = reading_version(&reading);
    return link_send(a, r, WIRE_GET, &get);
}

int larder_async_get(larder_async *a, larder_slice key, const larder_get_options *options, larder_done done,
                     void *user)
{
    larder_get_options how = LARDER_GET_OPTIONS_INIT;
    struct slice name = slice_in(key);
    if (async_is_over(a) || !done || !options_copy(&how, sizeof(how), options))
        return LARDER_E_INVALID;
    if (!key_fits(key))
        return LARDER_E_KEY;
    uint64_t timeout_ns = async_timeout_ns(how.timeout_ms, a->client->get_ns);
    struct request *r = request_create(a, timeout_ns, true);
    if (!r)
        return async_no_request(a);
    r->is_read = true;
    r->answer = get_answer;
    r->end = request_tell;
    r->done = done;
    r->user = user;
    int near = read_near(a->client, name, &how, &r->value);
    if (near != READ_NOT_NEAR)
        request_end(a, r, near);
    return async_begin(a, r, near == READ_NOT_NEAR ? get_send(a, r, &how, &name, 1, timeout_ns) : 0);
}

/* ======= mget ======= */

/* One message for all that shared memory does not have, then one for each that did not fit into the answer. */
struct many {
    larder_many_done done;
    larder_get_options how;
    size_t count, open_count;
    larder_value *values;
    uint16_t *open;      /* numbers of the keys asked for */
    struct slice *names; /* their copies */
};

/* One block behind the struct, so that it is freed with its request: values, numbers, slices, bytes. */
static struct many *many_create(const larder_slice *keys, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += keys[i].size;
    struct many *m = calloc(
        1, sizeof(*m) + count * (sizeof(larder_value) + sizeof(struct slice) + sizeof(uint16_t)) + bytes);
    if (!m)
        return NULL;
    m->count = count;
    m->values = (larder_value *)(m + 1);
    m->names = (struct slice *)(m->values + count);
    m->open = (uint16_t *)(m->names + count);
    unsigned char *at = (unsigned char *)(m->open + count);
    for (size_t i = 0; i < count; i++) {
        memcpy(at, keys[i].data, keys[i].size);
        m->names[i] = slice_of(at, keys[i].size);
        at += keys[i].size;
    }
    return m;
}

void many_free(struct many *many)
{
    for (size_t i = 0; many && i < many->count; i++)
        larder_value_free(&many->values[i]);
    free(many);
}

/* Sends the first of what is open. */
static int many_ask(struct larder_async *a, struct request *r, size_t count)
{
    struct many *m = r->many;
    struct slice names[WIRE_BATCH_MAX];
    uint64_t now = now_ns();
    uint64_t left_ns = r->deadline_ns > now ? r->deadline_ns - now : NS_PER_MS;
    for (size_t i = 0; i < count; i++)
        names[i] = m->names[m->open[i]];
    return get_send(a, r, &m->how, names, (uint32_t)count, left_ns);
}

/* Keys that stand alone stay open, in front. */
static void many_take(struct larder_async *a, struct many *m, const struct wire_values *values)
{
    struct reader entries = reader_of(values->entries.raw);
    struct wire_entry entry;
    size_t asked = values->entries.count, still = 0;
    for (size_t i = 0; i < m->open_count; i++) {
        uint16_t n = m->open[i];
        if (i >= asked || !wire_next_entry(&entries, &entry) || entry.status == STATUS_ALONE) {
            m->open[still++] = n;
            continue;
        }
        int result = value_from_entry(&m->values[n], &entry);
        if (result < 0)
            value_fail(a->client, &m->values[n], result);
    }
    m->open_count = still;
}

static bool many_answer(struct larder_async *a, struct request *r, struct reply *reply)
{
    struct wire_values values;
    struct many *m = r->many;
    size_t before = m->open_count;
    r->result = answer_read(reply, WIRE_VALUES, &values);
    if (r->result < 0)
        return true;
    many_take(a, m, &values);
    if (m->open_count == before)
        r->result = LARDER_E_PROTOCOL; /* it answered nothing */
    else if (m->open_count) {
        r->result = many_ask(a, r, 1);
        return r->result < 0;
    }
    return true;
}

static void many_end(struct larder_async *a, struct request *r)
{
    struct many *m = r->many;
    int hits = 0;
    for (size_t i = 0; i < m->open_count; i++)
        value_fail(a->client, &m->values[m->open[i]], r->result < 0 ? r->result : LARDER_E_PROTOCOL);
    for (size_t i = 0; i < m->count; i++)
        hits += m->values[i].result == LARDER_HIT;
    m->done(r->user, r->result < 0 && a->client->strict ? r->result : hits, m->values, m->count);
}

static int many_check(const larder_slice *keys, size_t count, const larder_get_options *how)
{
    if (count > WIRE_BATCH_MAX)
        return LARDER_E_LIMIT;
    for (size_t i = 0; i < count; i++)
        if (!key_fits(keys[i]))
            return LARDER_E_KEY;
    return how->if_version && count != 1 ? LARDER_E_INVALID : 0;
}

static int many_begin(struct larder_async *a, struct request *r)
{
    struct many *m = r->many;
    for (size_t i = 0; i < m->count; i++)
        if (read_near(a->client, m->names[i], &m->how, &m->values[i]) == READ_NOT_NEAR)
            m->open[m->open_count++] = (uint16_t)i;
    if (m->open_count == 0)
        request_end(a, r, 0);
    return m->open_count ? many_ask(a, r, m->open_count) : 0;
}

static void tell_nothing(void *user, int result, larder_value *value)
{
}

int larder_async_mget(larder_async *a, const larder_slice *keys, size_t count,
                      const larder_get_options *options, larder_many_done done, void *user)
{
    larder_get_options how = LARDER_GET_OPTIONS_INIT;
    if (async_is_over(a) || !done || !options_copy(&how, sizeof(how), options))
        return LARDER_E_INVALID;
    int error = many_check(keys, count, &how);
    if (error < 0)
        return error;
    struct request *r = request_create(a, async_timeout_ns(how.timeout_ms, a->client->get_ns), true);
    if (!r)
        return async_no_request(a);
    r->is_read = true;
    r->answer = many_answer;
    r->end = many_end;
    r->done = tell_nothing;
    r->user = user;
    r->many = many_create(keys, count);
    if (!r->many)
        return async_begin(a, r, LARDER_E_MEMORY);
    r->many->done = done;
    r->many->how = how;
    return async_begin(a, r, many_begin(a, r));
}
