/* set, mset, touch, tag, invalidate: always by the socket, never repeated once sent. */
#include "client/ask.h"

#include <stdlib.h>
#include <string.h>
#include "client/load.h"
#include "client/message.h"

static const larder_set_options set_defaults = LARDER_SET_OPTIONS_INIT;

static int ask_set(struct call *call, const struct wire_item *items, uint32_t count, uint32_t flags,
                   uint8_t tiers, struct wire_outcomes *ret)
{
    struct wire_set set = {
        .flags = flags,
        .tiers = tiers,
        .timeout_ms = call_left_ms(call),
        .items = {.count = count, .items = items},
    };
    int r = flags & WIRE_SET_WAIT_ALL ? call_needs_version(call, 2) : 0;
    if (r == 0)
        r = ask(call, WIRE_SET, &set, WIRE_OUTCOMES, ret);
    return r == 0 && ret->outcomes.count != count ? LARDER_E_PROTOCOL : r;
}

/* ======= set ======= */

/* The daemon never saw a value that does not fit into a frame, but the caller knows of a newer one: the old one must
 * not stay. */
static void drop_outgrown(struct call *call, struct slice key, const larder_set_options *how, uint32_t flags)
{
    struct wire_outcomes outcomes;
    struct wire_item nothing = {.key = key};
    if (!how->since && !(flags & ~(uint32_t)WIRE_SET_WAIT_ALL))
        ask_set(call, &nothing, 1, flags, how->tiers, &outcomes);
}

static int set_one(struct call *call, const struct wire_item *item, const larder_set_options *how,
                   uint32_t flags)
{
    struct wire_outcomes outcomes;
    struct wire_outcome outcome;
    int r = ask_set(call, item, 1, flags, how->tiers, &outcomes);
    if (r == LARDER_E_TOO_BIG)
        drop_outgrown(call, item->key, how, flags);
    if (r < 0)
        return r;
    struct reader list = reader_of(outcomes.outcomes.raw);
    wire_next_outcome(&list, &outcome);
    return outcome_take(&outcome, how);
}

int larder_set(larder_client *client, larder_slice key, larder_slice value, const larder_set_options *options)
{
    larder_set_options how = set_defaults;
    struct slice few[WIRE_TAGS_MAX], *tags = few;
    uint32_t flags = 0;
    struct call call;
    client_enter(client);
    int r = options_copy(&how, sizeof(how), options) ? item_check(key, value, &how) : LARDER_E_INVALID;
    if (r == 0)
        r = conditions(&how, &flags);
    if (r < 0)
        return r;
    if (how.tags_count > WIRE_TAGS_MAX && !(tags = malloc(how.tags_count * sizeof(*tags))))
        return LARDER_E_MEMORY;
    uint64_t begin = log_begin(client);
    struct wire_item item = item_message(key, value, &how, tags);
    call_begin(&call, client, client->change_ns, how.timeout_ms, false);
    r = set_one(&call, &item, &how, flags);
    call_end(&call);
    if (!how.since) /* a fill changes nothing that was there */
        load_key_changes(client, slice_in(key));
    if (tags != few)
        free(tags);
    log_end(client, begin, "set", slice_in(key), r, NULL);
    return r;
}

/* ======= mset ======= */

struct mset {
    struct call call;
    larder_item *items;
    size_t count;
    larder_set_options *how; /* one an item */
    struct wire_item *messages;
    struct slice *tags;
    uint32_t flags;
    uint8_t tiers;
};

/* Conditions and tiers are said once a message, so they must be the same for all. */
static int mset_options(struct mset *m, const larder_set_options *options)
{
    for (size_t i = 0; i < m->count; i++) {
        uint32_t flags;
        m->how[i] = set_defaults;
        if (!options_copy(&m->how[i], sizeof(m->how[i]),
                          m->items[i].options ? m->items[i].options : options) ||
            conditions(&m->how[i], &flags) < 0)
            return LARDER_E_INVALID;
        if (i == 0) {
            m->flags = flags;
            m->tiers = m->how[i].tiers;
        }
        if (flags != m->flags || m->how[i].tiers != m->tiers)
            return LARDER_E_INVALID;
        int r = item_check(m->items[i].key, m->items[i].value, &m->how[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

static int mset_messages(struct mset *m)
{
    size_t tags_count = 0, used = 0;
    for (size_t i = 0; i < m->count; i++)
        tags_count += m->how[i].tags_count;
    m->tags = malloc((tags_count + 1) * sizeof(*m->tags));
    if (!m->tags)
        return LARDER_E_MEMORY;
    for (size_t i = 0; i < m->count; i++) {
        m->messages[i] = item_message(m->items[i].key, m->items[i].value, &m->how[i], m->tags + used);
        used += m->how[i].tags_count;
    }
    return 0;
}

/* How many items from `from` on go into one message; at least one. */
static size_t mset_group(const struct mset *m, size_t from, const struct limits *limits)
{
    size_t count = 0, bytes = 64;
    while (from + count < m->count && count < limits->batch_max) {
        bytes += item_bytes(&m->messages[from + count]);
        if (count && bytes > limits->frame_max)
            break;
        count++;
    }
    return count;
}

static int mset_send(struct mset *m, size_t from, size_t count)
{
    struct wire_outcomes outcomes;
    struct wire_outcome outcome;
    if (count == 1) {
        int r = set_one(&m->call, &m->messages[from], &m->how[from], m->flags);
        m->items[from].result = r;
        return m->call.channel || r >= 0 ? 0 : r;
    }
    int r = ask_set(&m->call, m->messages + from, (uint32_t)count, m->flags, m->tiers, &outcomes);
    struct reader list = reader_of(r == 0 ? outcomes.outcomes.raw : slice_of(NULL, 0));
    for (size_t i = from; i < from + count; i++)
        m->items[i].result = wire_next_outcome(&list, &outcome) ? outcome_take(&outcome, &m->how[i]) : r;
    return r;
}

/* Items that were never sent have not taken effect, whatever became of those before them. */
static int not_sent_because(int r)
{
    return r == LARDER_E_TIMEOUT || r == LARDER_E_UNKNOWN ? LARDER_E_UNREACHABLE : r;
}

static int mset_run(struct mset *m)
{
    struct limits limits;
    size_t from = 0, count;
    int r = call_limits(&m->call, &limits);
    for (; r == 0 && from < m->count; from += count) {
        count = mset_group(m, from, &limits);
        r = mset_send(m, from, count);
    }
    for (; from < m->count; from++)
        m->items[from].result = not_sent_because(r);
    return r;
}

static int mset_stored(const struct mset *m, int r)
{
    int stored = 0;
    for (size_t i = 0; i < m->count; i++) {
        int result = m->items[i].result;
        stored += result == LARDER_OK || result == LARDER_QUEUED || result == LARDER_LOCAL;
    }
    return r < 0 && stored == 0 ? r : stored;
}

static int mset_all(struct mset *m, const larder_set_options *options)
{
    larder_set_options common = set_defaults;
    int r = options_copy(&common, sizeof(common), options) ? mset_options(m, options) : LARDER_E_INVALID;
    if (r == 0)
        r = mset_messages(m);
    if (r < 0) {
        for (size_t i = 0; i < m->count; i++)
            m->items[i].result = r;
        return r;
    }
    call_begin(&m->call, m->call.client, m->call.client->change_ns, common.timeout_ms, false);
    r = mset_run(m);
    call_end(&m->call);
    for (size_t i = 0; i < m->count; i++)
        if (!m->how[i].since)
            load_key_changes(m->call.client, slice_in(m->items[i].key));
    return mset_stored(m, r);
}

int larder_mset(larder_client *client, larder_item *items, size_t count, const larder_set_options *options)
{
    client_enter(client);
    if (count > WIRE_BATCH_MAX)
        return LARDER_E_LIMIT;
    if (count == 0)
        return 0;
    struct mset m = {.call.client = client, .items = items, .count = count};
    m.how = malloc(count * sizeof(*m.how));
    m.messages = malloc(count * sizeof(*m.messages));
    uint64_t begin = log_begin(client);
    int r = m.how && m.messages ? mset_all(&m, options) : LARDER_E_MEMORY;
    for (size_t i = 0; begin && i < count; i++)
        log_end(client, begin, "mset", slice_in(items[i].key), items[i].result, NULL);
    free(m.tags);
    free(m.messages);
    free(m.how);
    return r;
}

/* ======= touch ======= */

/* The one outcome of a touch or tag. */
static int ask_outcome(struct call *call, unsigned code, const void *message)
{
    struct wire_outcomes outcomes;
    struct wire_outcome outcome;
    int r = ask(call, code, message, WIRE_OUTCOMES, &outcomes);
    if (r < 0)
        return r;
    struct reader list = reader_of(outcomes.outcomes.raw);
    return wire_next_outcome(&list, &outcome) ? result_of_status(outcome.status) : LARDER_E_PROTOCOL;
}

int larder_touch(larder_client *client, larder_slice key, uint64_t ttl_ms)
{
    struct slice name = slice_in(key);
    struct wire_touch touch = {.ttl_ms = ttl_ms, .keys = {.count = 1, .items = &name}};
    struct call call;
    client_enter(client);
    int r = item_check(key, larder_bytes(NULL, 0), &set_defaults);
    if (r < 0)
        return r;
    uint64_t begin = log_begin(client);
    call_begin(&call, client, client->change_ns, 0, false);
    touch.timeout_ms = call_left_ms(&call);
    r = ask_outcome(&call, WIRE_TOUCH, &touch);
    call_end(&call);
    log_end(client, begin, "touch", name, r, NULL);
    return r;
}

/* ======= tag ======= */

static int ask_tag(struct call *call, struct slice name, const struct slice *tags, size_t count)
{
    struct wire_tag tag = {.timeout_ms = call_left_ms(call),
                           .keys = {.count = 1, .items = &name},
                           .tags = {.count = (uint32_t)count, .items = tags}};
    int r = call_needs_version(call, 3);
    return r == 0 ? ask_outcome(call, WIRE_TAG, &tag) : r;
}

int larder_tag(larder_client *client, larder_slice key, const larder_slice *tags, size_t tags_count)
{
    struct slice names[WIRE_TAGS_MAX];
    struct call call;
    client_enter(client);
    int r = tag_check(key, tags, tags_count);
    if (r < 0)
        return r;
    for (size_t i = 0; i < tags_count; i++)
        names[i] = slice_in(tags[i]);
    uint64_t begin = log_begin(client);
    call_begin(&call, client, client->change_ns, 0, false);
    r = ask_tag(&call, slice_in(key), names, tags_count);
    call_end(&call);
    log_end(client, begin, "tag", slice_in(key), r, NULL);
    return r;
}

/* ======= invalidate ======= */

static int ask_invalidate(struct call *call, const larder_invalidate_options *how, struct slice *room)
{
    struct wire_result result;
    struct wire_invalidate m = invalidate_message(how, call_left_ms(call), room);
    int r = how->wait_all ? call_needs_version(call, 2) : 0;
    if (r == 0)
        r = ask(call, WIRE_INVALIDATE, &m, WIRE_RESULT, &result);
    return r == 0 ? invalidated_take(&result, how) : r;
}

int larder_invalidate_all_of(larder_client *client, const larder_invalidate_options *options)
{
    larder_invalidate_options how = LARDER_INVALIDATE_OPTIONS_INIT;
    struct call call;
    client_enter(client);
    if (!options || !options_copy(&how, sizeof(how), options))
        return LARDER_E_INVALID;
    size_t count = how.keys_count + how.tags_count + how.prefixes_count + how.globs_count;
    int r = invalidate_check(&how);
    if (r < 0)
        return r;
    struct slice *room = malloc((count + 1) * sizeof(*room));
    if (!room)
        return LARDER_E_MEMORY;
    uint64_t begin = log_begin(client);
    call_begin(&call, client, client->change_ns, how.timeout_ms, false);
    r = ask_invalidate(&call, &how, room);
    call_end(&call);
    if (!how.dry_run)
        load_names_change(client, &how);
    log_end(client, begin, "invalidate", count ? room[0] : slice_text("*"), r, NULL);
    free(room);
    return r;
}

int larder_invalidate(larder_client *client, larder_slice key)
{
    return larder_minvalidate(client, &key, 1);
}

int larder_minvalidate(larder_client *client, const larder_slice *keys, size_t count)
{
    larder_invalidate_options how = LARDER_INVALIDATE_OPTIONS_INIT;
    how.keys = keys;
    how.keys_count = count;
    return count ? larder_invalidate_all_of(client, &how) : LARDER_OK;
}

/* ======= events ======= */

enum {
    EVENT_ARGUMENTS_MAX = 64
}; /* an event of the daemon's has 8 at most; apps may say more than it needs */

static int ask_event(struct call *call, const larder_invalidate_options *how, larder_slice name,
                     const struct wire_strings *arguments)
{
    struct wire_result result;
    struct wire_event m = {.flags = (how->soft ? WIRE_INVALIDATE_SOFT : 0) |
                                    (how->dry_run ? WIRE_INVALIDATE_DRY_RUN : 0) |
                                    (how->wait_all ? WIRE_INVALIDATE_WAIT_ALL : 0),
                           .timeout_ms = call_left_ms(call),
                           .name = slice_in(name),
                           .arguments = *arguments};
    int r = call_needs_version(call, 3);
    if (r == 0)
        r = ask(call, WIRE_EVENT, &m, WIRE_RESULT, &result);
    return r == 0 ? invalidated_take(&result, how) : r;
}

int larder_event(larder_client *client, larder_slice name, const larder_argument *arguments, size_t count,
                 const larder_invalidate_options *options)
{
    larder_invalidate_options how = LARDER_INVALIDATE_OPTIONS_INIT;
    struct slice room[2 * EVENT_ARGUMENTS_MAX];
    struct call call;
    client_enter(client);
    if (options && !options_copy(&how, sizeof(how), options))
        return LARDER_E_INVALID;
    if (name.size > WIRE_NAME_MAX || count > EVENT_ARGUMENTS_MAX)
        return LARDER_E_LIMIT;
    for (size_t i = 0; i < count; i++) {
        room[2 * i] = slice_in(arguments[i].name);
        room[2 * i + 1] = slice_in(arguments[i].value);
    }
    uint64_t begin = log_begin(client);
    call_begin(&call, client, client->change_ns, how.timeout_ms, false);
    int r =
        ask_event(&call, &how, name, &(struct wire_strings){.count = (uint32_t)(2 * count), .items = room});
    call_end(&call);
    if (!how.dry_run)
        load_names_change(client, &(larder_invalidate_options){.all = true}); /* only the daemon knows what */
    log_end(client, begin, "event", slice_in(name), r, NULL);
    return r;
}
