/* Keys that the app names when the daemon asks for them, in an event loop: what larder_listing does by waiting is done in
 * turns.
 *
 *     NAMING ──full, or its end──▶ ASKED ──all taken──▶ NAMING, told that there is room; or over
 *                                    │  └─some taken──▶ a pause ──▶ ASKED
 *                                    └─nobody wants them, an error──▶ NAMING, for the app to hear of it; or over
 *
 * What must stay true: a listing is the app's until it ends it, and exists until then and until what it named was said.  The
 * daemon has one piece of it to answer at a time.  It takes no hand: whoever names keys goes on loading them. */
#include "client/async_list.h"

#include <stdlib.h>
#include "client/names.h"

struct larder_async_listing {
    struct larder_async *a; /* NULL: closed meanwhile */
    struct larder_async_listing *next;
    struct request *asked;
    uint64_t again_ns; /* the daemon had no room; 0: it is not waited for */
    larder_token token;
    int result; /* OK, REFUSED, or an error */
    bool has_ended, could_not, says_end, is_said, wants_room;
    const struct registered *by;
    larder_async_room room;
    void *room_user;
    struct names names;
};

static void go_on(struct larder_async_listing *l);

/* ======= its life ======= */

struct larder_async_listing *async_listing_create(struct larder_async *a, const struct registered *by,
                                                  struct slice token)
{
    struct larder_async_listing *l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    l->a = a;
    l->by = by;
    l->token.size = (uint8_t)token.size;
    memcpy(l->token.bytes, token.data, token.size);
    l->next = a->listings;
    a->listings = l;
    return l;
}

void async_listing_start(struct larder_async_listing *l)
{
    l->by->async_lister(l->by->lister_user, slice_out(l->by->text), l);
}

static void unlist(struct larder_async_listing *l)
{
    struct larder_async_listing **at = l->a ? &l->a->listings : NULL;
    while (at && *at != l)
        at = &(*at)->next;
    if (at)
        *at = l->next;
    l->a = NULL;
}

static void over(struct larder_async_listing *l)
{
    unlist(l);
    free(l);
}

/* Its request ends with the object, and must not find one that the app has ended meanwhile. */
void listings_orphan(struct larder_async *a)
{
    struct larder_async_listing *next;
    for (struct larder_async_listing *l = a->listings; l; l = next) {
        next = l->next;
        if (l->asked)
            l->asked->listing = NULL;
        l->asked = NULL;
        l->a = NULL;
        l->result = LARDER_E_UNREACHABLE;
        if (l->has_ended)
            free(l);
    }
    a->listings = NULL;
}

/* ======= said to the daemon ======= */

static bool listed_answer(struct larder_async *a, struct request *r, struct reply *reply)
{
    struct wire_result result;
    r->result = answer_read(reply, WIRE_RESULT, &result);
    if (r->result == 0)
        r->result = result_of_status(result.status);
    if (r->result == LARDER_OK && r->listing)
        names_taken(&r->listing->names, result.count);
    return true;
}

static void listed_end(struct larder_async *a, struct request *r)
{
    struct larder_async_listing *l = r->listing;
    if (!l)
        return;
    l->asked = NULL;
    l->result = r->result;
    l->is_said = l->says_end && l->names.count == 0;
    if (l->result != LARDER_OK)
        names_taken(&l->names, NAMES_MAX);
    else if (l->names.count)
        l->again_ns = now_ns() + NAMES_PAUSE_MS * NS_PER_MS;
    go_on(l);
}

static int send_piece(struct larder_async_listing *l, struct request *r)
{
    if (l->could_not)
        names_taken(&l->names, NAMES_MAX);
    l->says_end = l->has_ended;
    uint8_t flags = l->could_not ? WIRE_LISTED_FAILED : l->has_ended ? 0 : WIRE_LISTED_MORE;
    struct wire_listed m = names_message(&l->names, flags, &l->token);
    return link_send(l->a, r, WIRE_LISTED, &m);
}

static void say(struct larder_async_listing *l)
{
    struct larder_async *a = l->a;
    struct request *r = request_create(a, a->client->change_ns, false);
    int error = r ? 0 : LARDER_E_MEMORY;
    if (r) {
        r->version = 3;
        r->answer = listed_answer;
        r->end = listed_end;
        r->listing = l;
        l->asked = r;
        error = send_piece(l, r);
    }
    if (r && error < 0)
        request_end(a, r, error);
    if (r)
        request_begin(a, r);
    else
        l->result = error;
}

/* ======= whose turn it is ======= */

/* The app's callback may add, and end it. */
static void tell_room(struct larder_async_listing *l)
{
    bool tells = l->wants_room && l->room;
    l->wants_room = false;
    if (tells)
        l->room(l->room_user, l);
}

/* There is something to say, and the daemon to say it to. */
static void go_on(struct larder_async_listing *l)
{
    bool is_over = l->is_said || l->result != LARDER_OK;
    if (l->asked || l->again_ns)
        return;
    if (!is_over && (l->has_ended || l->names.count))
        say(l);
    if (l->asked)
        return;
    if (l->has_ended)
        over(l);
    else
        tell_room(l);
}

static struct larder_async_listing *due(const struct larder_async *a, uint64_t now)
{
    struct larder_async_listing *l = a->listings;
    while (l && (!l->again_ns || now < l->again_ns))
        l = l->next;
    return l;
}

/* From the first each time: the app is told, and may end any of them. */
void listings_go_on(struct larder_async *a)
{
    uint64_t now = a->listings ? now_ns() : 0;
    for (struct larder_async_listing *l; (l = due(a, now));) {
        l->again_ns = 0;
        go_on(l);
    }
}

uint64_t listings_due_ns(const struct larder_async *a)
{
    uint64_t due = UINT64_MAX;
    for (const struct larder_async_listing *l = a->listings; l; l = l->next)
        if (l->again_ns && l->again_ns < due)
            due = l->again_ns;
    return due;
}

/* ======= public ======= */

int larder_async_register_lister(larder_async *a, larder_slice pattern, larder_async_lister lister,
                                 void *user)
{
    struct registered *by = async_is_over(a) ? NULL : registry_named(&a->client->registry, slice_in(pattern));
    if (!by || !lister || by->async_lister)
        return LARDER_E_INVALID;
    by->lister_user = user;
    by->async_lister = lister;
    return LARDER_OK;
}

int larder_async_listing_add(larder_async_listing *l, larder_slice key)
{
    if (!key.data || key.size == 0 || key.size > WIRE_KEY_MAX)
        return LARDER_E_KEY;
    if (l->result != LARDER_OK || l->has_ended)
        return l->has_ended ? LARDER_E_INVALID : l->result;
    if (!l->asked && !l->again_ns && !names_fit(&l->names, key.size))
        say(l);
    if (l->result != LARDER_OK)
        return l->result;
    bool waits = l->asked || l->again_ns;
    l->wants_room |= waits;
    if (!waits)
        names_add(&l->names, slice_in(key));
    return waits ? LARDER_E_BUSY : LARDER_OK;
}

void larder_async_listing_on_room(larder_async_listing *l, larder_async_room room, void *user)
{
    l->room = room;
    l->room_user = user;
}

void larder_async_listing_end(larder_async_listing *l, int error)
{
    if (l->has_ended)
        return;
    l->has_ended = true;
    l->could_not = error < 0;
    if (l->a)
        go_on(l);
    else
        free(l);
}
