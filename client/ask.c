#include "client/ask.h"

#include <stdio.h>

void call_begin(struct call *call, struct larder_client *c, uint64_t default_ns, uint32_t timeout_ms,
                bool repeatable)
{
    *call = (struct call){
        .client = c,
        .pool = &c->pool,
        .seat = seat_mine(c, &c->seats),
        .deadline_ns = now_ns() + (timeout_ms ? timeout_ms * NS_PER_MS : default_ns),
        .repeatable = repeatable,
    };
    if (call->seat)
        call->seat->message[0] = '\0';
}

void call_end(struct call *call)
{
    if (call->channel)
        pool_return(call->pool, call->channel);
    call->channel = NULL;
}

uint32_t call_left_ms(const struct call *call)
{
    uint64_t now = now_ns();
    uint64_t left = now < call->deadline_ns ? (call->deadline_ns - now) / NS_PER_MS : 0;
    return left == 0 ? 1 : left > UINT32_MAX ? UINT32_MAX : (uint32_t)left;
}

/* ======= the table at work ======= */

/* clang-format off */

int message_write(struct buffer *out, uint64_t id, enum wire_code code, const void *message, size_t frame_max)
{
    int r = PACK_E_TYPE;
    switch (code) {
#define MESSAGE(number, NAME, name, who, since, sentence)                                                      \
    case WIRE_##NAME: r = wire_write_##name(out, id, message, frame_max); break;
#include "proto/wire.def"
    default: break;
    }
    return r == PACK_E_FULL ? LARDER_E_TOO_BIG : r < 0 ? LARDER_E_MEMORY : 0;
}

int reply_read(struct reply *reply, void *answer)
{
    switch (reply->head.code) {
#define MESSAGE(number, NAME, name, who, since, sentence)                                                      \
    case WIRE_##NAME: return wire_read_##name(&reply->fields, &reply->head, answer);
#include "proto/wire.def"
    default: return PACK_E_TYPE;
    }
}

/* clang-format on */

/* ======= one attempt ======= */

static int note_failure(struct call *call, int r)
{
    client_note_failure(call->client, r);
    return r;
}

static int call_borrow(struct call *call, bool fresh, bool *ret_is_new)
{
    *ret_is_new = false;
    if (call->channel)
        return 0;
    if (call->seat) {
        int r = near_mend(call->client, call->seat, call->deadline_ns);
        if (r == LARDER_E_TIMEOUT)
            return r; /* the daemon hangs, and the time is used up */
    }
    return pool_borrow(call->client, call->pool, fresh, call->deadline_ns, &call->channel, ret_is_new);
}

static int send_and_receive(struct call *call, enum wire_code code, const void *message, struct reply *ret)
{
    struct channel *ch = call->channel;
    ch->out.size = 0;
    int r = message_write_traced(&ch->out, ++ch->id, code, message, ch->limits.frame_max,
                                 trace_mine(call->client));
    if (r < 0)
        return r;
    atomic_fetch_add_explicit(&call->client->asked, 1, memory_order_relaxed);
    r = channel_exchange(ch, call->deadline_ns, ret);
    if (r < 0)
        call_end(call);
    return r;
}

/* A RESULT is the answer of some requests, and of every one that was not carried out. */
static int take_result(struct call *call, struct reply *reply, struct wire_result *ret)
{
    struct wire_result result;
    if (reply_read(reply, &result) < 0)
        return LARDER_E_PROTOCOL;
    int r = result_of_status(result.status);
    if (r < 0 && call->seat)
        snprintf(call->seat->message, SEAT_MESSAGE_BYTES, "%.*s", (int)result.message.size,
                 (const char *)result.message.data);
    if (r >= 0 && !ret)
        return LARDER_E_PROTOCOL;
    if (r >= 0)
        *ret = result;
    return r < 0 ? r : 0;
}

static int take_answer(struct call *call, struct reply *reply, enum wire_code answer_code, void *answer)
{
    if (reply->head.code == WIRE_RESULT)
        return take_result(call, reply, answer_code == WIRE_RESULT ? answer : NULL);
    if (reply->head.code != answer_code || reply_read(reply, answer) < 0)
        return LARDER_E_PROTOCOL;
    return 0;
}

/* After these the connection is of no more use. */
static bool spoils_connection(int r)
{
    return r == LARDER_E_PROTOCOL || r == LARDER_E_DRAINING;
}

static int attempt(struct call *call, bool fresh, enum wire_code code, const void *message,
                   enum wire_code answer_code, void *answer, bool *ret_connected)
{
    struct reply reply;
    bool is_new;
    int r = call_borrow(call, fresh, &is_new);
    *ret_connected = r == 0;
    if (r == 0)
        r = send_and_receive(call, code, message, &reply);
    if (r == 0)
        r = take_answer(call, &reply, answer_code, answer);
    if (r < 0 && spoils_connection(r) && call->channel) {
        channel_close(call->channel);
        call_end(call);
    }
    return r;
}

/* Also on a connection made for it: the daemon may have begun to stop in between.  One that cannot be had at all was tried
 * as often as it is worth when it was dialed. */
static bool worth_a_retry(const struct call *call, int r, bool was_connected)
{
    if (call->retried || !was_connected)
        return false;
    return r == LARDER_E_UNREACHABLE || r == LARDER_E_DRAINING || (call->repeatable && r == LARDER_E_UNKNOWN);
}

int ask(struct call *call, enum wire_code code, const void *message, enum wire_code answer_code, void *answer)
{
    bool connected;
    int r = attempt(call, call->retried, code, message, answer_code, answer, &connected);
    if (worth_a_retry(call, r, connected)) {
        call->retried = true;
        r = attempt(call, true, code, message, answer_code, answer, &connected);
    }
    if (r == 0)
        fallback_over(&call->client->fallback);
    if (r == LARDER_E_UNKNOWN && call->repeatable)
        r = LARDER_E_UNREACHABLE; /* a read has no effect to be unsure about */
    return note_failure(call, r);
}

int call_limits(struct call *call, struct limits *ret)
{
    bool is_new;
    int r = call_borrow(call, false, &is_new);
    if (r == 0)
        *ret = call->channel->limits;
    return note_failure(call, r);
}

int call_needs_version(struct call *call, unsigned version)
{
    struct limits limits;
    int r = call_limits(call, &limits);
    return r == 0 && limits.version < version ? LARDER_E_UNSUPPORTED : r;
}
