/* larder_warm: names what is to be pulled up, then asks how far it is until it is over.
 *
 * What must stay true: the daemon's warming belongs to the connection it was begun on and ends with it, so all of it goes
 * over one, and when that breaks nothing is repeated: what was warmed stays warm. */
#include "client/ask.h"

#include <string.h>
#include "client/message.h"

enum { WARM_CHUNK = 1024, LOOK_FIRST_MS = 5, LOOK_MOST_MS = 100, LOOK_DEADLINE_MS = 2000 };

struct warming {
    struct call call;
    const larder_warm_options *how;
    uint64_t until_ns; /* 0: no end */
    size_t keys_sent;
    bool sources_sent;
    bool queue_full; /* not all keys of the last request were taken */
    larder_warm_progress progress;
    struct slice keys[WARM_CHUNK], prefixes[LARDER_WARM_SOURCES_MAX], tags[LARDER_WARM_SOURCES_MAX];
};

/* ======= what is named ======= */

static struct wire_strings strings_of(const larder_slice *from, size_t count, struct slice *room)
{
    for (size_t i = 0; i < count; i++)
        room[i] = slice_in(from[i]);
    return (struct wire_strings){.count = (uint32_t)count, .items = room};
}

/* So many of the next keys as fit a frame. */
static size_t next_chunk(const struct warming *w, size_t frame_max)
{
    size_t count = 0, bytes = frame_max / 2;
    const larder_slice *keys = w->how->keys + w->keys_sent;
    while (count < WARM_CHUNK && w->keys_sent + count < w->how->keys_count && keys[count].size + 8 <= bytes)
        bytes -= keys[count++].size + 8;
    return count;
}

static bool all_named(const struct warming *w)
{
    return w->sources_sent && w->keys_sent == w->how->keys_count;
}

static struct wire_warm next_message(struct warming *w, size_t frame_max)
{
    const larder_warm_options *how = w->how;
    struct wire_warm m = {.flags = 0};
    if (all_named(w))
        return m;
    if (how->policy) {
        m.policy = slice_text(how->policy);
        return m;
    }
    size_t count = next_chunk(w, frame_max);
    m.keys = strings_of(how->keys + w->keys_sent, count, w->keys);
    m.flags = how->load ? WIRE_WARM_LOAD : 0;
    if (w->keys_sent + count < how->keys_count) {
        m.flags |= WIRE_WARM_MORE;
        return m;
    }
    m.flags |= how->all ? WIRE_WARM_ALL : 0;
    m.prefixes = strings_of(how->prefixes, how->prefixes_count, w->prefixes);
    m.tags = strings_of(how->tags, how->tags_count, w->tags);
    return m;
}

/* ======= one round ======= */

static void take_progress(struct warming *w, const struct wire_warm *asked, const struct wire_progress *p)
{
    larder_warm_progress *to = &w->progress;
    bool named = asked->policy.size || asked->keys.count || asked->prefixes.count || asked->tags.count ||
                 asked->flags & WIRE_WARM_ALL;
    *to = (larder_warm_progress){.state = p->state,
                                 .total_known = p->total_known,
                                 .total = p->total,
                                 .done = p->done,
                                 .loaded = p->loaded,
                                 .here = p->here,
                                 .missing = p->missing,
                                 .others = p->others,
                                 .brought = p->brought,
                                 .failed = p->failed,
                                 .elapsed_ms = p->elapsed_ms};
    size_t size = p->why.size < sizeof(to->why) - 1 ? p->why.size : sizeof(to->why) - 1;
    if (size)
        memcpy(to->why, p->why.data, size);
    w->keys_sent += p->taken;
    w->queue_full = p->taken < asked->keys.count;
    if (named && p->taken == asked->keys.count && !(asked->flags & WIRE_WARM_MORE))
        w->sources_sent = true;
}

static int ask_round(struct warming *w, uint8_t flags)
{
    struct wire_progress p;
    struct limits limits;
    w->call.deadline_ns = now_ns() + LOOK_DEADLINE_MS * NS_PER_MS;
    int r = call_limits(&w->call, &limits);
    if (r < 0)
        return r;
    struct wire_warm m = next_message(w, limits.frame_max);
    if (flags & WIRE_WARM_CANCEL)
        m = (struct wire_warm){.flags = flags};
    r = ask(&w->call, WIRE_WARM, &m, WIRE_PROGRESS, &p);
    w->call.retried = true; /* from now on it belongs to this connection */
    if (r == 0)
        take_progress(w, &m, &p);
    return r;
}

static bool goes_on(const struct warming *w)
{
    return w->progress.state == LARDER_WARM_RUNS || !all_named(w);
}

static bool is_to_stop(const struct warming *w)
{
    const larder_warm_options *how = w->how;
    return (w->until_ns && now_ns() >= w->until_ns) ||
           (how->progress && !how->progress(how->user, &w->progress));
}

static int run(struct warming *w)
{
    uint64_t pause_ms = LOOK_FIRST_MS;
    int r = ask_round(w, 0);
    while (r == 0 && goes_on(w)) {
        if (is_to_stop(w))
            return ask_round(w, WIRE_WARM_CANCEL);
        if (all_named(w) || w->queue_full) {
            wait_until(-1, 0, now_ns() + pause_ms * NS_PER_MS);
            pause_ms = pause_ms * 2 < LOOK_MOST_MS ? pause_ms * 2 : LOOK_MOST_MS;
        }
        r = ask_round(w, 0);
    }
    return r;
}

static size_t counts_sources(const larder_warm_options *how)
{
    return how->prefixes_count + how->tags_count + how->all;
}

static int check(const larder_warm_options *how)
{
    bool counts = counts_sources(how) <= LARDER_WARM_SOURCES_MAX;
    if (how->policy)
        return how->keys_count || counts_sources(how) || strlen(how->policy) > WIRE_NAME_MAX
                   ? LARDER_E_INVALID
                   : 0;
    bool names = how->keys_count || how->prefixes_count || how->tags_count || how->all;
    for (size_t i = 0; i < how->keys_count; i++)
        if (!key_fits(how->keys[i]))
            return LARDER_E_KEY;
    return counts && names ? 0 : LARDER_E_INVALID;
}

int larder_warm(larder_client *client, const larder_warm_options *options, larder_warm_progress *ret_progress)
{
    larder_warm_options how = LARDER_WARM_OPTIONS_INIT;
    struct warming w = {.how = &how};
    client_enter(client);
    if (!options_copy(&how, sizeof(how), options))
        return LARDER_E_INVALID;
    int r = check(&how);
    if (r < 0)
        return r;
    w.until_ns = how.timeout_ms ? now_ns() + how.timeout_ms * NS_PER_MS : 0;
    call_begin(&w.call, client, client->change_ns, 0, false);
    r = call_needs_version(&w.call, 3);
    if (r == 0)
        r = run(&w);
    call_end(&w.call);
    if (r == LARDER_E_PROTOCOL && how.policy)
        r = LARDER_E_INVALID; /* there is no such policy, or it cannot be warmed now */
    if (ret_progress)
        *ret_progress = w.progress;
    return r < 0 ? r : LARDER_OK;
}
