/* larder_limit. */
#include "client/ask.h"

#include "client/message.h"

static int ask_allowance(struct call *call, larder_slice key, const larder_limit_options *how,
                         struct wire_allowance *ret)
{
    struct wire_limit m = {.timeout_ms = call_left_ms(call),
                           .key = slice_in(key),
                           .max = how->max,
                           .window_ms = how->window_ms,
                           .cost = how->cost,
                           .alone = (uint8_t)how->alone};
    int r = call_needs_version(call, 3);
    if (r == 0)
        r = ask(call, WIRE_LIMIT, &m, WIRE_ALLOWANCE, ret);
    return r < 0 ? r : result_of_status(ret->status);
}

static bool sums(const larder_limit_options *how)
{
    return how->max >= 1 && how->window_ms >= 1 && how->cost <= how->max &&
           how->alone >= LARDER_ALONE_COUNT && how->alone <= LARDER_ALONE_REFUSE;
}

int larder_limit(larder_client *client, larder_slice key, const larder_limit_options *options,
                 larder_allowance *ret)
{
    larder_limit_options how = LARDER_LIMIT_OPTIONS_INIT;
    struct wire_allowance a = {.status = 0};
    struct call call;
    client_enter(client);
    if (!options_copy(&how, sizeof(how), options) || !sums(&how))
        return LARDER_E_INVALID;
    if (!key_fits(key))
        return LARDER_E_KEY;
    uint64_t begin = log_begin(client);
    call_begin(&call, client, client->change_ns, how.timeout_ms, false);
    int r = ask_allowance(&call, key, &how, &a);
    *ret = (larder_allowance){.allowed = r < 0 ? how.alone != LARDER_ALONE_REFUSE : r == LARDER_OK,
                              .local = r < 0 || a.flags & WIRE_ALLOWANCE_LOCAL,
                              .remaining = a.remaining,
                              .reset_ms = a.reset_ms,
                              .retry_ms = a.retry_ms};
    call_end(&call);
    log_end(client, begin, "limit", slice_in(key), r, NULL);
    return r;
}
