/* Keys that the app names when the daemon asks for them, in pieces; the daemon takes them as it has room. */
#include <stdlib.h>
#include <string.h>
#include "client/ask.h"
#include "client/names.h"
#include "client/serve.h"

struct larder_listing {
    struct larder_client *c;
    larder_token token;
    int result; /* OK; REFUSED: nobody wants them any more; or an error */
    struct names names;
};

static int say(struct larder_listing *l, uint8_t flags)
{
    struct wire_result result;
    struct call call;
    struct wire_listed m = names_message(&l->names, flags, &l->token);
    call_begin(&call, l->c, l->c->change_ns, 0, false);
    int r = ask(&call, WIRE_LISTED, &m, WIRE_RESULT, &result);
    if (r == 0) {
        r = result_of_status(result.status);
        names_taken(&l->names, result.count);
    }
    call_end(&call);
    return r;
}

/* Until all were taken: a full queue empties, or the warming ends and they are refused. */
static int flush(struct larder_listing *l, uint8_t flags)
{
    while (l->result == LARDER_OK) {
        l->result = say(l, flags);
        if (l->names.count == 0)
            break;
        wait_until(-1, 0, now_ns() + NAMES_PAUSE_MS * NS_PER_MS);
    }
    names_taken(&l->names, NAMES_MAX);
    return l->result;
}

int larder_listing_add(larder_listing *listing, larder_slice key)
{
    if (!key.data || key.size == 0 || key.size > WIRE_KEY_MAX)
        return LARDER_E_KEY;
    if (!names_fit(&listing->names, key.size) && flush(listing, WIRE_LISTED_MORE) != LARDER_OK)
        return listing->result;
    names_add(&listing->names, slice_in(key));
    return listing->result;
}

int list_keys(struct larder_client *c, const struct registered *by, const larder_token *token)
{
    struct larder_listing *l = calloc(1, sizeof(*l));
    if (!l)
        return LARDER_E_MEMORY;
    l->c = c;
    l->token = *token;
    int r = atomic_load(&by->lister)(by->lister_user, slice_out(by->text), l);
    if (r < 0) {
        names_taken(&l->names, NAMES_MAX);
        say(l, WIRE_LISTED_FAILED);
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
