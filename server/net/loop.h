/* The loop: time, timers, work for later, wake-ups from other threads, work for the thread pool.  The only home of
 * <uv.h> together with its neighbours in this folder.
 *
 * What must stay true: no callback of the loop waits for anything: no fsync, no commit, no cold page, no DNS.  The
 * length of every turn is measured (loop_turns). */
#ifndef LARDER_NET_LOOP_H
#define LARDER_NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include "base/clock.h"
#include "base/list.h"

struct loop;

struct loop *loop_create(void);
struct loop *loop_destroy(struct loop *l); /* checks that nothing is left on it */
void loop_run(struct loop *l);             /* until loop_stop, then closes what loop_stop left */
void loop_run_once(struct loop *l);        /* one turn, which waits only if there is no work for later */
void loop_stop(struct loop *l);

/* CLOCK_BOOTTIME, read at most once between two polls, at the first question; loop_now_fresh reads it again. */
uint64_t loop_now_ns(const struct loop *l);
uint64_t loop_now_fresh(struct loop *l);

/* Whether this turn has lasted LOOP_SHARE_NS: whoever works through what others sent leaves the rest for the next, so
 * that one peer's thousand requests do not stand between a request of another and its answer.  Reads the clock. */
#define LOOP_SHARE_NS \
    (2 * NS_PER_MS) /* of the 5 a turn may take: the rest is for what was begun, and for replies */
bool loop_turn_is_long(const struct loop *l);

/* Opaque room for libuv's handles, so that this header does not need <uv.h>; sizes are checked in loop.c. */
struct timer {
    _Alignas(16) char handle[192];
    struct loop *loop;
    void (*fire)(struct timer *t);
    bool open;
};
void timer_init(struct timer *t, struct loop *l, void (*fire)(struct timer *t));
/* Whole milliseconds, never early; repeat 0: once. */
void timer_start(struct timer *t, uint64_t delay_ns, uint64_t repeat_ns);
void timer_stop(struct timer *t);
/* Ends it; `closed` is called later, then the memory may go.  NULL: the loop must still run once more before. */
void timer_finish(struct timer *t, void (*closed)(struct timer *t));

/* Work at the end of the current turn, once however often it is asked for. */
struct later {
    struct list node;
    void (*run)(struct later *w);
};
void later_init(struct later *w, void (*run)(struct later *w));
void later_ask(struct loop *l, struct later *w);
void later_cancel(struct later *w);

/* Wakes the loop from any thread; repeats melt into one. */
struct wakeup {
    _Alignas(16) char handle[192];
    void (*woken)(struct wakeup *w);
    void (*closed)(struct wakeup *w);
};
void wakeup_init(struct wakeup *w, struct loop *l, void (*woken)(struct wakeup *w));
void wakeup_send(struct wakeup *w); /* any thread */
void wakeup_finish(struct wakeup *w, void (*closed)(struct wakeup *w));

/* Runs `work` on a pool thread, then `done` on the loop. */
struct offload {
    _Alignas(16) char request[256];
    void (*work)(struct offload *o);
    void (*done)(struct offload *o);
};
void offload_start(struct loop *l, struct offload *o);

/* How long turns took, from the end of one poll to the beginning of the next: for the stats document.  Of those that
 * took a millisecond or more also (net/effort.h): the most of a processor that one took, and what all of them lasted
 * without having one, which is the machine's doing. */
struct loop_turns {
    uint64_t turns, p50_ns, p99_ns, p999_ns, max_ns;
    uint64_t cpu_max_ns, off_cpu_ns;
};
void loop_turns(const struct loop *l, struct loop_turns *ret);

#endif
