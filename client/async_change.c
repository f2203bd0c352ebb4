/* set, tag and invalidate of larder_async.  What they change is shut when they end, just before their callback. */
#include "client/async.h"

#include <stdlib.h>
#include <string.h>
#include "client/load.h"

/* ======= set ======= */

/* Of the one key that was asked about: its outcome.  `ret` is valid when r->result is 0. */
static void outcome_answer(struct request *r, struct reply *reply, struct wire_outcome *ret)
{
    struct wire_outcomes outcomes;
    r->result = answer_read(reply, WIRE_OUTCOMES, &outcomes);
    if (r->result != 0)
        return;
    struct reader list = reader_of(outcomes.outcomes.raw);
    if (!wire_next_outcome(&list, ret))
        r->result = LARDER_E_PROTOCOL;
}

static bool set_answer(struct larder_async *a, struct request *r, struct reply *reply)
{
    struct wire_outcome outcome;
    outcome_answer(r, reply, &outcome);
    if (r->result == 0)
        r->result = outcome_take(&outcome, &r->how.set);
    return true;
}

static void set_end(struct larder_async *a, struct request *r)
{
    larder_slice key;
    memcpy(&key.size, r->names, sizeof(key.size));
    key.data = (unsigned char *)r->names + sizeof(key.size);
    loads_change_key(a, key);
    request_tell(a, r);
}

/* The size, then the bytes. */
static void *key_copy(larder_slice key)
{
    unsigned char *copy = malloc(sizeof(key.size) + key.size);
    if (!copy)
        return NULL;
    memcpy(copy, &key.size, sizeof(key.size));
    memcpy(copy + sizeof(key.size), key.data, key.size);
    return copy;
}

int async_set(struct larder_async *a, struct request *r, larder_slice key, larder_slice value)
{
    struct slice tags[WIRE_TAGS_MAX + 1];
    larder_set_options *how = &r->how.set;
    uint32_t flags = 0;
    int error = how->tags_count <= WIRE_TAGS_MAX ? item_check(key, value, how) : LARDER_E_LIMIT;
    if (error == 0)
        error = conditions(how, &flags);
    if (error < 0)
        return error;
    struct wire_item item = item_message(key, value, how, tags);
    struct wire_set set = {
        .flags = flags,
        .tiers = how->tiers,
        .timeout_ms = (uint32_t)((r->deadline_ns - now_ns()) / NS_PER_MS),
        .items = {.count = 1, .items = &item},
    };
    r->answer = set_answer;
    r->version = how->wait_all ? 2 : 1;
    return link_send(a, r, WIRE_SET, &set);
}

int larder_async_set(larder_async *a, larder_slice key, larder_slice value, const larder_set_options *options,
                     larder_done done, void *user)
{
    larder_set_options how = LARDER_SET_OPTIONS_INIT;
    if (async_is_over(a) || !options_copy(&how, sizeof(how), options))
        return LARDER_E_INVALID;
    if (!key_fits(key))
        return LARDER_E_KEY;
    struct request *r = request_create(a, async_timeout_ns(how.timeout_ms, a->client->change_ns), true);
    if (!r)
        return async_no_request(a);
    r->how.set = how;
    r->done = done;
    r->user = user;
    r->names = how.since ? NULL : key_copy(key);
    r->end = how.since ? request_tell : set_end;
    int error = how.since || r->names ? async_set(a, r, key, value) : LARDER_E_MEMORY;
    if (error == LARDER_E_INVALID || error == LARDER_E_KEY || error == LARDER_E_LIMIT) {
        request_free(a, r);
        return error;
    }
    return async_begin(a, r, error);
}

/* ======= tag ======= */

static bool tag_answer(struct larder_async *a, struct request *r, struct reply *reply)
{
    struct wire_outcome outcome;
    outcome_answer(r, reply, &outcome);
    if (r->result == 0)
        r->result = result_of_status(outcome.status);
    return true;
}

static int tag_send(struct larder_async *a, struct request *r, larder_slice key, const larder_slice *tags,
                    size_t count)
{
    struct slice name = slice_in(key), names[WIRE_TAGS_MAX];
    for (size_t i = 0; i < count; i++)
        names[i] = slice_in(tags[i]);
    struct wire_tag tag = {
        .timeout_ms = (uint32_t)((r->deadline_ns - now_ns()) / NS_PER_MS),
        .keys = {.count = 1, .items = &name},
        .tags = {.count = (uint32_t)count, .items = names},
    };
    r->answer = tag_answer;
    r->version = 3;
    return link_send(a, r, WIRE_TAG, &tag);
}

int larder_async_tag(larder_async *a, larder_slice key, const larder_slice *tags, size_t tags_count,
                     larder_done done, void *user)
{
    if (async_is_over(a))
        return LARDER_E_INVALID;
    int error = tag_check(key, tags, tags_count);
    if (error < 0)
        return error;
    struct request *r = request_create(a, async_timeout_ns(0, a->client->change_ns), true);
    if (!r)
        return async_no_request(a);
    r->done = done;
    r->user = user;
    r->end = request_tell;
    return async_begin(a, r, tag_send(a, r, key, tags, tags_count));
}

/* ======= invalidate ======= */

static bool invalidate_answer(struct larder_async *a, struct request *r, struct reply *reply)
{
    struct wire_result result;
    r->result = answer_read(reply, WIRE_RESULT, &result);
    if (r->result == 0)
        r->result = invalidated_take(&result, &r->how.invalidate);
    return true;
}

static void invalidate_end(struct larder_async *a, struct request *r)
{
    if (!r->how.invalidate.dry_run)
        loads_change_names(a, &r->how.invalidate);
    request_tell(a, r);
}

static size_t bytes_of(const larder_slice *names, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += sizeof(larder_slice) + names[i].size;
    return bytes;
}

static const larder_slice *copy_names(const larder_slice *names, size_t count, larder_slice **slices,
                                      unsigned char **bytes)
{
    larder_slice *begin_at = *slices;
    for (size_t i = 0; i < count; i++) {
        memcpy(*bytes, names[i].data, names[i].size);
        *(*slices)++ = larder_bytes(*bytes, names[i].size);
        *bytes += names[i].size;
    }
    return begin_at;
}

/* What it concerns outlives the call: its loads are shut when it has happened. */
static bool invalidate_keep(struct request *r, const larder_invalidate_options *o)
{
    size_t count = o->keys_count + o->tags_count + o->prefixes_count + o->globs_count;
    r->names = malloc(1 + bytes_of(o->keys, o->keys_count) + bytes_of(o->tags, o->tags_count) +
                      bytes_of(o->prefixes, o->prefixes_count) + bytes_of(o->globs, o->globs_count));
    if (!r->names)
        return false;
    larder_slice *slices = r->names;
    unsigned char *bytes = (unsigned char *)(slices + count);
    r->how.invalidate = *o;
    r->how.invalidate.keys = copy_names(o->keys, o->keys_count, &slices, &bytes);
    r->how.invalidate.tags = copy_names(o->tags, o->tags_count, &slices, &bytes);
    r->how.invalidate.prefixes = copy_names(o->prefixes, o->prefixes_count, &slices, &bytes);
    r->how.invalidate.globs = copy_names(o->globs, o->globs_count, &slices, &bytes);
    return true;
}

static int invalidate_send(struct larder_async *a, struct request *r)
{
    struct slice room[WIRE_BATCH_MAX + 1];
    uint32_t left_ms = (uint32_t)((r->deadline_ns - now_ns()) / NS_PER_MS);
    struct wire_invalidate m = invalidate_message(&r->how.invalidate, left_ms, room);
    r->version = r->how.invalidate.wait_all ? 2 : 1;
    r->answer = invalidate_answer;
    return link_send(a, r, WIRE_INVALIDATE, &m);
}

int larder_async_invalidate(larder_async *a, const larder_invalidate_options *options, larder_done done,
                            void *user)
{
    larder_invalidate_options how = LARDER_INVALIDATE_OPTIONS_INIT;
    if (async_is_over(a) || !options || !options_copy(&how, sizeof(how), options))
        return LARDER_E_INVALID;
    int error = invalidate_check(&how);
    if (error < 0)
        return error;
    struct request *r = request_create(a, async_timeout_ns(how.timeout_ms, a->client->change_ns), true);
    if (!r)
        return async_no_request(a);
    r->done = done;
    r->user = user;
    r->end = invalidate_end;
    return async_begin(a, r, invalidate_keep(r, &how) ? invalidate_send(a, r) : LARDER_E_MEMORY);
}
