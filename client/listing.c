/* Keys that the app names when the daemon asks for them, in pieces; the daemon takes them as it has room. */
#include <stdlib.h>
#include <string.h>
#include "client/ask.h"
#include "client/serve.h"

enum { LISTING_KEYS = 512, LISTING_BYTES = 32 * 1024, LISTING_PAUSE_MS = 50 };

struct larder_listing {
    struct larder_client *c;
    larder_token token;
    int result; /* OK; REFUSED: nobody wants them any more; or an error */
    uint32_t count;
    size_t bytes;
    struct slice keys[LISTING_KEYS];
    char room[LISTING_BYTES];
};

static int say(struct larder_listing *l, uint8_t flags, uint32_t *ret_taken)
{
    struct wire_result result;
    struct call call;
    struct wire_listed m = {.flags = flags,
                            .token = slice_of(l->token.bytes, l->token.size),
                            .keys = {.count = l->count, .items = l->keys}};
    call_begin(&call, l->c, l->c->change_ns, 0, false);
    int r = ask(&call, WIRE_LISTED, &m, WIRE_RESULT, &result);
    if (r == 0) {
        r = result_of_status(result.status);
        *ret_taken = result.count < l->count ? (uint32_t)result.count : l->count;
    }
    call_end(&call);
    return r;
}

/* Until all were taken: a full queue empties, or the warming ends and they are refused. */
static int flush(struct larder_listing *l, uint8_t flags)
{
    while (l->result == LARDER_OK) {
        uint32_t taken = 0;
        l->result = say(l, flags, &taken);
        memmove(l->keys, l->keys + taken, (l->count - taken) * sizeof(*l->keys));
        l->count -= taken;
        if (l->count == 0)
            break;
        wait_until(-1, 0, now_ns() + LISTING_PAUSE_MS * NS_PER_MS);
    }
    l->count = 0;
    l->bytes = 0;
    return l->result;
}

int larder_listing_add(larder_listing *listing, larder_slice key)
{
    if (!key.data || key.size == 0 || key.size > WIRE_KEY_MAX)
        return LARDER_E_KEY;
    bool full = listing->count == LISTING_KEYS || listing->bytes + key.size > LISTING_BYTES;
    if (full && flush(listing, WIRE_LISTED_MORE) != LARDER_OK)
        return listing->result;
    char *to = listing->room + listing->bytes;
    memcpy(to, key.data, key.size);
    listing->keys[listing->count++] = slice_of(to, key.size);
    listing->bytes += key.size;
    return listing->result;
}

int list_keys(struct larder_client *c, const struct registered *by, const larder_token *token)
{
    uint32_t none;
    struct larder_listing *l = calloc(1, sizeof(*l));
    if (!l)
        return LARDER_E_MEMORY;
    l->c = c;
    l->token = *token;
    int r = atomic_load(&by->lister)(by->lister_user, slice_out(by->text), l);
    if (r < 0) {
        l->count = 0;
        say(l, WIRE_LISTED_FAILED, &none);
    } else {
        flush(l, 0);
    }
    free(l);
    return r;
}

int larder_register_lister(larder_client *client, larder_slice pattern, larder_lister lister, void *user)
{
    client_enter(client);
    struct registered *by = registry_named(&client->registry, slice_in(pattern));
    if (!by || !lister || atomic_load(&by->lister))
        return LARDER_E_INVALID;
    by->lister_user = user;
    atomic_store(&by->lister, lister);
    return LARDER_OK;
}
