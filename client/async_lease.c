/* What a load of larder_async asks of the daemon: to be the one who loads, or to be told when somebody else has; and that
 * a lease it does not use goes back. */
#include "client/async_load.h"

#include <stdlib.h>
#include <string.h>
#include "client/value.h"

/* A lease that is answered after we gave up is given back, if it comes within that. */
enum { LATE_MS = 60000 };

/* ======= giving back ======= */

static bool fail_answer(struct larder_async *a, struct request *r, struct reply *reply)
{
    return true; /* whatever it says: the lease is gone */
}

static void no_end(struct larder_async *a, struct request *r)
{
}

void lease_give_back(struct larder_async *a, struct slice key, const larder_token *lease, uint32_t backoff_ms)
{
    struct wire_fail fail = {
        .key = key, .token = slice_of(lease->bytes, lease->size), .backoff_ms = backoff_ms};
    struct request *r = request_create(a, a->client->change_ns, false);
    if (!r)
        return; /* it ends by itself, later */
    r->version = 3;
    r->answer = fail_answer;
    r->end = no_end;
    if (link_send(a, r, WIRE_FAIL, &fail) < 0)
        request_free(a, r);
    else
        request_begin(a, r);
}

/* ======= asking ======= */

static bool lease_answer(struct larder_async *a, struct request *r, struct reply *reply)
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

static void late_end(struct larder_async *a, struct request *r)
{
    bool leased = r->result == LARDER_LEASE || r->result == LARDER_HIT || r->result == LARDER_ABSENT;
    struct slice key = slice_of((unsigned char *)r->names + sizeof(size_t), *(size_t *)r->names);
    if (leased && r->value.token.size)
        lease_give_back(a, key, &r->value.token, NO_BACKOFF_MS);
}

/* We gave up waiting for the answer, but it may still bring a lease, which nobody else would get while we live. */
static void await_late(struct larder_async *a, const struct larder_load *load, uint64_t id)
{
    struct request *r = request_create(a, LATE_MS * NS_PER_MS, false);
    if (!r || !(r->names = malloc(sizeof(size_t) + load->key_bytes))) {
        if (r)
            request_free(a, r);
        return;
    }
    *(size_t *)r->names = load->key_bytes;
    memcpy((unsigned char *)r->names + sizeof(size_t), load->key, load->key_bytes);
    r->is_read = r->sent = true;
    r->answer = lease_answer;
    r->end = late_end;
    request_renumber(a, r, id);
    request_begin(a, r);
}

static void lease_end(struct larder_async *a, struct request *r)
{
    struct larder_load *load = r->load;
    if (!load)
        return;
    if (r->result == LARDER_E_TIMEOUT && r->sent && load->reading.lease)
        await_late(a, load, r->last_id);
    lease_answered(load, r->result, &r->value);
}

static int lease_send(struct larder_load *load, struct request *r, uint32_t wait_ms)
{
    struct larder_async *a = load->a;
    struct slice key = async_load_key(load);
    load->reading.wait_ms = wait_ms;
    r->version = reading_version(&load->reading);
    if (load->reading.lease) {
        struct wire_lease lease = lease_message(&load->reading, &key, 1);
        return link_send(a, r, WIRE_LEASE, &lease);
    }
    struct wire_get get = get_message(&load->reading, (uint32_t)(a->client->get_ns / NS_PER_MS), &key, 1);
    return link_send(a, r, WIRE_GET, &get);
}

void lease_ask(struct larder_load *load, uint32_t wait_ms)
{
    struct larder_async *a = load->a;
    struct request *r = request_create(a, wait_ms * NS_PER_MS + a->client->get_ns, false);
    if (!r) {
        async_land(load, LARDER_E_MEMORY, NULL, true);
        return;
    }
    r->is_read = true;
    r->answer = lease_answer;
    r->end = lease_end;
    r->load = load;
    load->asked_ns = now_ns();
    int error = lease_send(load, r, wait_ms);
    if (error < 0)
        request_end(a, r, error);
    request_begin(a, r);
}
