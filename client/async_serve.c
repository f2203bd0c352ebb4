/* Loads for the daemon, in an event loop: as many offers wait as there are hands free.
 *
 * What must stay true: a hand is offered (a request is under way), or out (a larder_load that the app holds, or whose fill is
 * under way), or neither because there is no connection, or because the daemon let it not wait; never more of them than
 * were registered.  What ends at once is not offered again at once: that would be a spin between two processes. */
#include "client/async_list.h"
#include "client/async_load.h"

enum { OFFER_WAIT_MS = 10000, HANDS_MAX = 64, AGAIN_MS = 50 };

static bool offer_answer(struct larder_async *a, struct request *r, struct reply *reply)
{
    struct wire_load m;
    const struct registered *by;
    r->result = answer_read(reply, WIRE_LOAD, &m);
    if (r->result < 0 || m.kind == WIRE_LOAD_NOTHING)
        return true;
    by = registry_find(&a->client->registry, &m);
    if (!by || m.token.size > sizeof(r->value.token.bytes) || (m.kind == WIRE_LOAD_LIST && !by->async_lister))
        r->result = LARDER_E_PROTOCOL;
    else if (m.kind == WIRE_LOAD_LIST)
        r->listing = async_listing_create(a, by, m.token);
    else
        r->served = async_load_create(a, m.key, m.token, by->async_loader, by->user);
    return true;
}

/* It had no room for as many, or no wish: what waits still is as much as it takes for now. */
static void offer_less(struct larder_async *a, const struct request *r)
{
    uint64_t now = now_ns(), until_ns = r->deadline_ns - a->client->change_ns;
    if (now + OFFER_WAIT_MS / 2 * NS_PER_MS >= until_ns)
        return;
    a->serving.again_ns = now + AGAIN_MS * NS_PER_MS;
    a->serving.most = a->serving.offered;
}

static void offer_end(struct larder_async *a, struct request *r)
{
    struct larder_load *load = r->served;
    a->serving.offered--;
    a->serving.refused |=
        r->result == LARDER_E_PROTOCOL || r->result == LARDER_E_UNSUPPORTED || r->result == LARDER_E_DENIED;
    if (load)
        async_load_start(load);
    else if (r->listing)
        async_listing_start(r->listing);
    else
        offer_less(a, r);
}

static bool offer_one(struct larder_async *a)
{
    struct slice room[REGISTERED_MAX];
    struct wire_offer offer = registry_offer(&a->client->registry, OFFER_WAIT_MS, a->serving.hold_ms, room);
    struct request *r = request_create(a, OFFER_WAIT_MS * NS_PER_MS + a->client->change_ns, false);
    if (!r)
        return false;
    r->version = 3;
    r->is_read = true;
    r->answer = offer_answer;
    r->end = offer_end;
    if (link_send(a, r, WIRE_OFFER, &offer) < 0) {
        request_free(a, r);
        return false;
    }
    a->serving.offered++;
    request_begin(a, r);
    return true;
}

static bool has_free_hand(const struct async_serving *s)
{
    return !s->refused && s->offered + s->out < s->hands;
}

void serve_offers(struct larder_async *a)
{
    struct async_serving *s = &a->serving;
    if (s->again_ns && now_ns() >= s->again_ns)
        s->again_ns = 0;
    while (a->link.state == LINK_READY && has_free_hand(s) && (!s->again_ns || s->offered < s->most) &&
           offer_one(a))
        continue;
}

uint64_t serve_due_ns(const struct larder_async *a)
{
    const struct async_serving *s = &a->serving;
    return s->again_ns && a->link.state == LINK_READY && has_free_hand(s) ? s->again_ns : UINT64_MAX;
}

int larder_async_register_loader(larder_async *a, larder_slice pattern, unsigned at_a_time, uint32_t hold_ms,
                                 larder_async_loader loader, void *user)
{
    if (async_is_over(a) || !loader || at_a_time == 0 || at_a_time > HANDS_MAX || hold_ms > WIRE_HOLD_MAX_MS)
        return LARDER_E_INVALID;
    int r = registry_add(&a->client->registry, slice_in(pattern), NULL, loader, user);
    if (r < 0)
        return r;
    a->serving.hands = at_a_time > a->serving.hands ? at_a_time : a->serving.hands;
    a->serving.hold_ms = hold_ms > a->serving.hold_ms ? hold_ms : a->serving.hold_ms;
    a->serving.refused = false;
    return LARDER_OK;
}
