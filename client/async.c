/* Requests and the loop's side of larder_async: where a request is, when it ends, who is told. */
#include "client/async.h"

#include <poll.h>
#include <stdlib.h>
#include "client/value.h"

/* ======= requests ======= */

struct request *request_create(struct larder_async *a, uint64_t timeout_ns, bool of_app)
{
    struct request *r = of_app && a->count >= ASYNC_REQUESTS_MAX ? NULL : calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    a->count += of_app;
    r->of_app = of_app;
    r->deadline_ns = now_ns() + timeout_ns;
    r->version = 1;
    return r;
}

static void number_drop(struct larder_async *a, struct request *r)
{
    struct request **at = &a->buckets[r->id % ASYNC_BUCKETS];
    if (!r->id)
        return;
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    r->id = 0;
}

static void list_add(struct request_list *list, struct request *r)
{
    r->newer = NULL;
    r->older = list->newest;
    *(list->newest ? &list->newest->newer : &list->oldest) = r;
    list->newest = r;
    r->listed = true;
}

static void list_drop(struct request_list *list, struct request *r)
{
    *(r->newer ? &r->newer->older : &list->newest) = r->older;
    *(r->older ? &r->older->newer : &list->oldest) = r->newer;
    r->listed = false;
}

void request_free(struct larder_async *a, struct request *r)
{
    number_drop(a, r);
    again_forget(a, r);
    larder_value_free(&r->value);
    free(r->names);
    many_free(r->many);
    free(r->asking);
    a->count -= r->of_app;
    free(r);
}

void request_begin(struct larder_async *a, struct request *r)
{
    if (r->listed)
        return; /* it has ended already */
    list_add(&a->waiting, r);
    if (r->deadline_ns < a->earliest_ns)
        a->earliest_ns = r->deadline_ns;
}

void request_end(struct larder_async *a, struct request *r, int result)
{
    if (r->ended)
        return;
    if (r->listed)
        list_drop(&a->waiting, r);
    number_drop(a, r);
    if (r != a->link.regreeting) /* that is no call of the app's */
        client_note_failure(a->client, result);
    r->result = result;
    r->ended = true;
    list_add(&a->ended, r);
}

void request_number(struct larder_async *a, struct request *r)
{
    request_renumber(a, r, ++a->link.channel.id);
}

void request_renumber(struct larder_async *a, struct request *r, uint64_t id)
{
    number_drop(a, r);
    r->id = r->last_id = id;
    r->next = a->buckets[r->id % ASYNC_BUCKETS];
    a->buckets[r->id % ASYNC_BUCKETS] = r;
}

struct request *request_find(struct larder_async *a, uint64_t id)
{
    struct request *r = a->buckets[id % ASYNC_BUCKETS];
    while (r && r->id != id)
        r = r->next;
    return r;
}

void requests_broken(struct larder_async *a, bool next)
{
    for (struct request *r = a->waiting.oldest, *newer; r; r = newer) {
        newer = r->newer;
        bool goes_on = next && (r->sent ? again_wanted(a, r, false) : r->frame.size > 0);
        if (r->id && !goes_on)
            request_end(a, r,
                        r->sent && !r->is_read && !again_undone(a, r) ? LARDER_E_UNKNOWN
                                                                      : LARDER_E_UNREACHABLE);
    }
}

void requests_sendable(struct larder_async *a)
{
    for (struct request *r = a->waiting.oldest, *newer; r; r = newer) {
        newer = r->newer;
        int error = r->id && !r->sent ? link_send_kept(a, r) : 0;
        if (error < 0)
            request_end(a, r, error);
    }
}

int answer_read(struct reply *reply, enum wire_code code, void *answer)
{
    struct wire_result result;
    if (reply->head.code == code)
        return reply_read(reply, answer) < 0 ? LARDER_E_PROTOCOL : 0;
    if (reply->head.code != WIRE_RESULT || reply_read(reply, &result) < 0)
        return LARDER_E_PROTOCOL;
    int r = result_of_status(result.status);
    return r < 0 ? r : LARDER_E_PROTOCOL;
}

void request_tell(struct larder_async *a, struct request *r)
{
    if (r->is_read && r->result < 0)
        r->result = value_fail(a->client, &r->value, r->result);
    if (r->done)
        r->done(r->user, r->result, r->is_read ? &r->value : NULL);
}

/* ======= open, close, process ======= */

int larder_async_open(larder_async **ret_async, const larder_options *options)
{
    struct larder_async *a = calloc(1, sizeof(*a));
    int r = a ? larder_open(&a->client, options) : LARDER_E_MEMORY;
    if (r == 0 && (r = link_open(a)) < 0)
        larder_close(a->client);
    if (r < 0) {
        free(a);
        return r;
    }
    a->earliest_ns = UINT64_MAX;
    a->forks = atomic_load(&a->client->forks);
    link_work(a, now_ns());
    *ret_async = a;
    return LARDER_OK;
}

bool async_is_over(const struct larder_async *a)
{
    client_enter(a->client);
    return a->closing || a->forks != atomic_load_explicit(&a->client->forks, memory_order_relaxed);
}

static int hand_out(struct larder_async *a, unsigned limit)
{
    int count = 0;
    struct request *r;
    while (limit-- && (r = a->ended.oldest)) {
        list_drop(&a->ended, r);
        count += r->done != NULL;
        r->end(a, r);
        request_free(a, r);
    }
    return count;
}

static void end_all(struct larder_async *a)
{
    for (struct request *r; (r = a->waiting.oldest);)
        request_end(a, r, r->sent && !r->is_read ? LARDER_E_UNKNOWN : LARDER_E_UNREACHABLE);
    hand_out(a, ASYNC_REQUESTS_MAX);
}

void larder_async_close(larder_async *a)
{
    if (!a)
        return;
    bool child = async_is_over(a);
    a->closing = true; /* callbacks may call, and are refused */
    loads_orphan(a);
    listings_orphan(a);
    link_close(a);
    if (!child)
        end_all(a); /* a child's copies are lost with it: their users belong to the parent */
    larder_close(a->client);
    free(a);
}

int larder_async_fd(const larder_async *a)
{
    return a->epoll_fd;
}

short larder_async_events(const larder_async *a)
{
    return POLLIN; /* the epoll set behind it knows what is waited for */
}

int larder_async_trace(larder_async *a, const char *traceparent)
{
    return larder_trace(a->client, traceparent);
}

int larder_async_timeout(larder_async *a)
{
    uint64_t now = now_ns(), due = link_due_ns(a);
    if (a->ended.oldest)
        return 0;
    if (a->earliest_ns < due)
        due = a->earliest_ns;
    if (serve_due_ns(a) < due)
        due = serve_due_ns(a);
    if (listings_due_ns(a) < due)
        due = listings_due_ns(a);
    if (due == UINT64_MAX)
        return -1;
    uint64_t ms = due > now ? (due - now + NS_PER_MS - 1) / NS_PER_MS : 0;
    return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

static void expire(struct larder_async *a, uint64_t now)
{
    uint64_t earliest = UINT64_MAX;
    bool hangs = false;
    if (now < a->earliest_ns)
        return;
    for (struct request *r = a->waiting.oldest, *newer; r; r = newer) {
        newer = r->newer;
        if (now >= r->deadline_ns) {
            hangs |= r->sent && a->link.heard_ns < r->sent_ns;
            request_end(a, r, LARDER_E_TIMEOUT);
        } else if (r->deadline_ns < earliest)
            earliest = r->deadline_ns;
    }
    a->earliest_ns = earliest;
    if (hangs)
        link_break(a);
}

int larder_async_process(larder_async *a)
{
    if (async_is_over(a))
        return 0;
    link_work(a, now_ns());
    expire(a, now_ns());
    int count = hand_out(a, ASYNC_REQUESTS_MAX);
    listings_go_on(a);
    serve_offers(a);
    link_work(a, now_ns()); /* what callbacks asked for leaves with this turn */
    return count;
}

/* ======= calls ======= */

int async_begin(struct larder_async *a, struct request *r, int error)
{
    if (error == LARDER_E_TOO_BIG || error == LARDER_E_BUSY || error == LARDER_E_MEMORY) {
        request_free(a, r);
        return error;
    }
    if (error < 0)
        request_end(a, r, error);
    request_begin(a, r);
    return LARDER_OK;
}

int async_no_request(const struct larder_async *a)
{
    return a->count < ASYNC_REQUESTS_MAX ? LARDER_E_MEMORY : LARDER_E_BUSY;
}

uint64_t async_timeout_ns(uint32_t timeout_ms, uint64_t default_ns)
{
    return timeout_ms ? timeout_ms * NS_PER_MS : default_ns;
}
