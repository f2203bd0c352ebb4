#include "client/message.h"

/* ======= reading ======= */

unsigned reading_version(const struct reading *how)
{
    return how->lease || how->get.schema || how->get.tags ? 3 : how->get.not_older_than ? 2 : 1;
}

struct wire_get get_message(const struct reading *how, uint32_t timeout_ms, const struct slice *keys,
                            uint32_t count)
{
    const larder_get_options *o = &how->get;
    struct wire_get get = {
        .flags = (o->no_stale ? WIRE_GET_NO_STALE : 0u) | (o->no_value ? WIRE_GET_NO_VALUE : 0u) |
                 (o->tags ? WIRE_GET_TAGS : 0u),
        .tiers = o->tiers,
        .timeout_ms = timeout_ms,
        .schema = o->schema,
        .keys = {.count = count, .items = keys},
    };
    if (o->if_version) {
        get.flags |= WIRE_GET_IF_VERSION;
        get.if_epoch = o->if_version->epoch;
        get.if_v = o->if_version->v;
        get.if_id = o->if_version->id;
    }
    if (o->not_older_than) {
        get.after_partition = o->not_older_than->partition;
        get.after_epoch = o->not_older_than->epoch;
        get.after_v = o->not_older_than->v;
    }
    return get;
}

struct wire_lease lease_message(const struct reading *how, const struct slice *keys, uint32_t count)
{
    const larder_get_options *o = &how->get;
    struct wire_lease lease = {
        .flags = (o->no_stale ? WIRE_GET_NO_STALE : 0u) | (o->no_value ? WIRE_GET_NO_VALUE : 0u),
        .tiers = o->tiers,
        .scope = how->scope,
        .wait_ms = how->wait_ms,
        .hold_ms = how->hold_ms,
        .refresh_ms = how->early_ms,
        .schema = o->schema,
        .keys = {.count = count, .items = keys},
    };
    if (o->not_older_than) {
        lease.after_partition = o->not_older_than->partition;
        lease.after_epoch = o->not_older_than->epoch;
        lease.after_v = o->not_older_than->v;
    }
    return lease;
}

/* ======= storing ======= */

int conditions(const larder_set_options *how, uint32_t *ret_flags)
{
    *ret_flags = (how->if_absent ? WIRE_SET_IF_ABSENT : 0u) | (how->if_present ? WIRE_SET_IF_PRESENT : 0u) |
                 (how->if_version ? WIRE_SET_IF_VERSION : 0u);
    int r = *ret_flags & (*ret_flags - 1) ? LARDER_E_INVALID : 0; /* at most one */
    *ret_flags |= how->wait_all ? WIRE_SET_WAIT_ALL : 0u;
    return r;
}

int item_check(larder_slice key, larder_slice value, const larder_set_options *how)
{
    if (!key_fits(key))
        return LARDER_E_KEY;
    if ((value.size && !value.data) || (how->absent && value.size) || (how->tags_count && !how->tags))
        return LARDER_E_INVALID;
    if (how->since && how->since->size > sizeof(how->since->bytes))
        return LARDER_E_INVALID;
    return how->tags_count > WIRE_LIST_MAX ? LARDER_E_LIMIT : 0;
}

int tag_check(larder_slice key, const larder_slice *tags, size_t tags_count)
{
    if (!key_fits(key))
        return LARDER_E_KEY;
    if (tags_count == 0 || !tags)
        return LARDER_E_INVALID;
    return tags_count > WIRE_TAGS_MAX ? LARDER_E_LIMIT : 0;
}

struct wire_item item_message(larder_slice key, larder_slice value, const larder_set_options *how,
                              struct slice *tags)
{
    struct wire_item item = {
        .key = slice_in(key),
        .value = slice_in(value),
        .ttl_ms = how->ttl_ms,
        .stale_ms = how->stale_ms,
        .user_flags = how->user_flags,
        .schema = how->schema,
        .absent = how->absent,
        .tags = {.count = (uint32_t)how->tags_count, .items = tags},
    };
    for (size_t i = 0; i < how->tags_count; i++)
        tags[i] = slice_in(how->tags[i]);
    if (how->since)
        item.token = slice_of(how->since->bytes, how->since->size);
    if (how->if_version) {
        item.if_epoch = how->if_version->epoch;
        item.if_v = how->if_version->v;
        item.if_id = how->if_version->id;
    }
    return item;
}

size_t item_bytes(const struct wire_item *item)
{
    size_t bytes = 80 + item->key.size + item->value.size + item->token.size;
    for (uint32_t i = 0; i < item->tags.count; i++)
        bytes += 5 + item->tags.items[i].size;
    return bytes;
}

int outcome_take(const struct wire_outcome *o, const larder_set_options *how)
{
    int result = result_of_status(o->status);
    if (result >= 0 && how->ret_version)
        *how->ret_version = (larder_entry_version){.epoch = o->epoch, .v = o->v, .id = o->id};
    if (result >= 0 && how->ret_position)
        *how->ret_position = (larder_position){.partition = o->partition, .epoch = o->epoch, .v = o->v};
    return result;
}

/* ======= invalidating ======= */

static int names_check(const larder_slice *names, size_t count)
{
    if (count && !names)
        return LARDER_E_INVALID;
    for (size_t i = 0; i < count; i++)
        if (!names[i].data || names[i].size == 0 || names[i].size > WIRE_KEY_MAX)
            return LARDER_E_KEY;
    return 0;
}

int invalidate_check(const larder_invalidate_options *how)
{
    size_t count = how->keys_count + how->tags_count + how->prefixes_count + how->globs_count;
    if (count > WIRE_BATCH_MAX)
        return LARDER_E_LIMIT; /* one change must fit into one message */
    if (count == 0 && !how->all)
        return LARDER_E_INVALID;
    int r = names_check(how->keys, how->keys_count);
    if (r == 0)
        r = names_check(how->tags, how->tags_count);
    if (r == 0)
        r = names_check(how->prefixes, how->prefixes_count);
    return r == 0 ? names_check(how->globs, how->globs_count) : r;
}

static struct wire_strings names_message(const larder_slice *names, size_t count, struct slice **room)
{
    struct wire_strings list = {.count = (uint32_t)count, .items = *room};
    for (size_t i = 0; i < count; i++)
        *(*room)++ = slice_in(names[i]);
    return list;
}

struct wire_invalidate invalidate_message(const larder_invalidate_options *how, uint32_t timeout_ms,
                                          struct slice *room)
{
    return (struct wire_invalidate){
        .flags = (how->soft ? WIRE_INVALIDATE_SOFT : 0u) | (how->dry_run ? WIRE_INVALIDATE_DRY_RUN : 0u) |
                 (how->all ? WIRE_INVALIDATE_ALL : 0u) | (how->wait_all ? WIRE_INVALIDATE_WAIT_ALL : 0u),
        .timeout_ms = timeout_ms,
        .keys = names_message(how->keys, how->keys_count, &room),
        .tags = names_message(how->tags, how->tags_count, &room),
        .prefixes = names_message(how->prefixes, how->prefixes_count, &room),
        .globs = names_message(how->globs, how->globs_count, &room),
    };
}

int invalidated_take(const struct wire_result *result, const larder_invalidate_options *how)
{
    int r = result_of_status(result->status);
    if (r >= 0 && how->ret_count)
        *how->ret_count = result->count;
    if (r >= 0 && how->ret_position)
        *how->ret_position =
            (larder_position){.partition = result->partition, .epoch = result->epoch, .v = result->v};
    return r;
}
