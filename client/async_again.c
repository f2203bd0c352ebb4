/* What a daemon certainly did not carry out is sent again, once, on the next connection: so a restart behind a socket that
 * somebody keeps is a wait, and no error (ask.h has the same for calls that block).
 *
 * WHY IT WAS CERTAINLY NOT CARRIED OUT.  A daemon reads a connection in order, and carries out only what has come whole.
 * Several requests are on their way here at once, and each of these is proof by itself:
 *   - its last byte has not left this process (`end_at` beyond `left`);
 *   - the daemon answered it with DRAINING, or another one that was sent before it (`end_at` beyond `refused_at`): who
 *     drains goes on draining;
 *   - the connection was reset, and it was the very last that left.  A Unix socket is reset, and not just ended, when it is
 *     closed with bytes in it unread, and what is unread is what came last.  Of those before it nobody knows: they are
 *     UNKNOWN, as everything that broke off.  A larderd that stops leaves nothing unread (session.c), so this is for those
 *     that are killed.
 * A read is repeated whatever became of it.  All of it within its deadline, which goes on.
 *
 * Its bytes are kept for that until it ends: ASYNC_KEPT_MAX of all together, then without. */
#include "client/async.h"

enum { ASYNC_KEPT_MAX = 8 << 20 }; /* as much as may wait to be sent */

void again_forget(struct larder_async *a, struct request *r)
{
    a->kept_bytes -= r->kept ? r->frame.size : 0;
    r->kept = false;
    buffer_finish(&r->frame);
}

void again_keep(struct larder_async *a, struct request *r, struct slice frame)
{
    again_forget(a, r);
    if (!r->of_app || r->again || frame.size > ASYNC_KEPT_MAX - a->kept_bytes)
        return;
    buffer_init(&r->frame, frame.size);
    if (buffer_append(&r->frame, frame.data, frame.size) < 0)
        return;
    r->kept = true;
    a->kept_bytes += frame.size;
}

bool again_undone(const struct larder_async *a, const struct request *r)
{
    const struct link *link = &a->link;
    return r->end_at > link->left || r->end_at > link->refused_at ||
           (link->was_reset && r->end_at == link->left);
}

bool again_wanted(struct larder_async *a, struct request *r, bool refused)
{
    if (!r->kept || r->again || now_ns() >= r->deadline_ns)
        return false;
    if (!refused && !r->is_read && !again_undone(a, r))
        return false;
    a->kept_bytes -= r->frame.size; /* like what was never sent, from here on */
    r->kept = r->sent = false;
    r->again = true;
    r->result = 0;
    return true;
}

void again_refused(struct larder_async *a, const struct request *r)
{
    struct link *link = &a->link;
    if (!link->drains || r->end_at < link->refused_at)
        link->refused_at = r->end_at;
    link->drains = true;
}

bool again_nothing_due(const struct larder_async *a)
{
    for (const struct request *r = a->waiting.oldest; r; r = r->newer)
        if (r->of_app && r->sent)
            return false;
    return true;
}
