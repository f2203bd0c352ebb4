/* What calls are done for: a trace id of the thread, told with every request it sends while there is one. */
#include "client/ask.h"

#include <string.h>

int larder_trace(larder_client *client, const char *traceparent)
{
    client_enter(client);
    struct seat *seat = seat_mine(client, &client->seats);
    bool good = traceparent && wire_trace_valid(slice_text(traceparent));
    if (!seat)
        return LARDER_E_MEMORY;
    seat->trace[0] = '\0';
    if (good)
        memcpy(seat->trace, traceparent, sizeof(seat->trace));
    return good || !traceparent ? LARDER_OK : LARDER_E_INVALID;
}

struct slice trace_mine(struct larder_client *c)
{
    struct seat *seat = seat_mine(c, &c->seats);
    return seat ? slice_text(seat->trace) : slice_of(NULL, 0);
}

/* clang-format off */

#define TRACED_MESSAGES(TRACED)                                                                                \
    TRACED(GET, get) TRACED(LEASE, lease) TRACED(FAIL, fail) TRACED(SET, set) TRACED(TOUCH, touch)             \
    TRACED(TAG, tag) TRACED(INVALIDATE, invalidate) TRACED(EVENT, event) TRACED(LIMIT, limit)

int message_write_traced(struct buffer *out, uint64_t id, enum wire_code code, const void *message,
                         size_t frame_max, struct slice trace)
{
    if (!trace.size)
        return message_write(out, id, code, message, frame_max);
    switch (code) {
#define TRACED(NAME, name)                                                                                     \
    case WIRE_##NAME: {                                                                                        \
        struct wire_##name m = *(const struct wire_##name *)message;                                           \
        m.trace = trace;                                                                                       \
        return message_write(out, id, code, &m, frame_max);                                                    \
    }
    TRACED_MESSAGES(TRACED)
#undef TRACED
    default: return message_write(out, id, code, message, frame_max);
    }
}

/* clang-format on */
