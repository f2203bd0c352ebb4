/* larder_limit and larder_limit_named. */
#include "client/ask.h"

#include "client/message.h"

enum { ARGUMENTS_MAX = 64 };

static int ask_allowance(struct call *call, struct wire_limit *m, struct wire_allowance *ret)
{
    m->timeout_ms = call_left_ms(call);
    int r = call_needs_version(call, 3);
    if (r == 0)
        r = ask(call, WIRE_LIMIT, m, WIRE_ALLOWANCE, ret);
    return r < 0 ? r : result_of_status(ret->status);
}

static int limit(larder_client *client, struct wire_limit *m, const larder_limit_options *how,
                 larder_allowance *ret)
{
    struct wire_allowance a = {.status = 0};
    struct call call;
    uint64_t begin = log_begin(client);
    call_begin(&call, client, client->change_ns, how->timeout_ms, false);
    int r = ask_allowance(&call, m, &a);
    *ret = (larder_allowance){.allowed = r < 0 ? how->alone != LARDER_ALONE_REFUSE : r == LARDER_OK,
                              .local = r < 0 || a.flags & WIRE_ALLOWANCE_LOCAL,
                              .remaining = a.remaining,
                              .reset_ms = a.reset_ms,
                              .retry_ms = a.retry_ms,
                              .max = a.max};
    call_end(&call);
    log_end(client, begin, "limit", m->name.size ? m->name : m->key, r, NULL);
    return r;
}

static bool sums(const larder_limit_options *how)
{
    return how->max >= 1 && how->window_ms >= 1 && how->cost <= how->max;
}

static bool alone_known(const larder_limit_options *how)
{
    return how->alone >= LARDER_ALONE_COUNT && how->alone <= LARDER_ALONE_REFUSE;
}

int larder_limit(larder_client *client, larder_slice key, const larder_limit_options *options,
                 larder_allowance *ret)
{
    larder_limit_options how = LARDER_LIMIT_OPTIONS_INIT;
    client_enter(client);
    if (!options_copy(&how, sizeof(how), options) || !sums(&how) || !alone_known(&how))
        return LARDER_E_INVALID;
    if (!key_fits(key))
        return LARDER_E_KEY;
    struct wire_limit m = {.key = slice_in(key),
                           .max = how.max,
                           .window_ms = how.window_ms,
                           .cost = how.cost,
                           .alone = (uint8_t)how.alone};
    return limit(client, &m, &how, ret);
}

int larder_limit_named(larder_client *client, larder_slice name, larder_slice key,
                       const larder_argument *arguments, size_t count, const larder_limit_options *options,
                       larder_allowance *ret)
{
    larder_limit_options how = LARDER_LIMIT_OPTIONS_INIT;
    struct slice room[2 * ARGUMENTS_MAX];
    client_enter(client);
    if ((options && !options_copy(&how, sizeof(how), options)) || !alone_known(&how) || name.size == 0)
        return LARDER_E_INVALID;
    if (name.size > WIRE_NAME_MAX || count > ARGUMENTS_MAX)
        return LARDER_E_LIMIT;
    if (key.size && !key_fits(key))
        return LARDER_E_KEY;
    for (size_t i = 0; i < count; i++) {
        room[2 * i] = slice_in(arguments[i].name);
        room[2 * i + 1] = slice_in(arguments[i].value);
    }
    struct wire_limit m = {.key = slice_in(key),
                           .cost = how.cost,
                           .name = slice_in(name),
                           .arguments = {.count = (uint32_t)(2 * count), .items = room}};
    return limit(client, &m, &how, ret);
}
