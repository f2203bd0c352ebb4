/* What must stay true: time is read lazily, once between two polls at the first question, so a turn sees one
 * clock; nobody waits in poll while work for later is on the list; a loop is destroyed empty. */
#include "net/loop_uv.h"

#include <stdlib.h>
#include "base/check.h"
#include "base/clock.h"
#include "base/turns.h"
#include "net/effort.h"

struct loop {
    uv_loop_t uv;
    uv_prepare_t before_poll;
    uv_check_t after_poll;
    uv_idle_t no_waiting; /* active while `later` is not empty: poll returns at once */
    uint64_t now_ns;
    uint64_t turn_began_ns;
    bool now_known;
    bool in_poll; /* no callback has run since poll began */
    bool stopped;
    unsigned offloads;
    struct list later;
    struct turns turns;
    struct effort effort;
};

/* ======= time ======= */

uint64_t loop_now_fresh(struct loop *l)
{
    l->now_ns = clock_boot_ns();
    l->now_known = true;
    if (l->in_poll) {
        l->in_poll = false;
        l->turn_began_ns = l->now_ns;
    }
    return l->now_ns;
}

/* const for the callers, to whom reading a clock changes nothing. */
uint64_t loop_now_ns(const struct loop *l)
{
    return l->now_known ? l->now_ns : loop_now_fresh((struct loop *)l);
}

bool loop_turn_is_long(const struct loop *l)
{
    loop_now_ns(l); /* a turn begins with the first question */
    return l->turn_began_ns && clock_boot_ns() - l->turn_began_ns >= LOOP_SHARE_NS;
}

/* ======= work for later ======= */

void later_init(struct later *w, void (*run)(struct later *w))
{
    list_init(&w->node);
    w->run = run;
}

void later_ask(struct loop *l, struct later *w)
{
    if (list_empty(&w->node))
        list_append(&l->later, &w->node);
}

void later_cancel(struct later *w)
{
    list_remove(&w->node);
}

/* Only what is on the list now: work that asks for itself again comes with the next turn. */
static void run_later(struct loop *l)
{
    struct list batch;
    list_init(&batch);
    struct list *first = list_first(&l->later);
    if (first) {
        list_remove(&l->later); /* the head: leaves its nodes as a ring that `batch` joins */
        list_append(first, &batch);
    }
    while ((first = list_first(&batch))) {
        struct later *w = CONTAINER_OF(first, struct later, node);
        list_remove(first);
        w->run(w);
    }
}

/* ======= turns ======= */

static void on_no_waiting(uv_idle_t *idle)
{
    (void)idle;
}

static void end_turn(struct loop *l)
{
    uint64_t now = clock_boot_ns(), lasted = l->turn_began_ns ? now - l->turn_began_ns : 0;
    if (l->turn_began_ns)
        turns_add(&l->turns, lasted);
    if (effort_wants(&l->effort, now, lasted))
        effort_turn(&l->effort, now, lasted, clock_thread_ns());
    l->turn_began_ns = 0;
    l->now_known = false;
}

static void on_before_poll(uv_prepare_t *prepare)
{
    struct loop *l = prepare->data;
    run_later(l);
    if (!list_empty(&l->later))
        uv_idle_start(&l->no_waiting, on_no_waiting);
    end_turn(l);
    l->in_poll = true;
}

static void on_after_poll(uv_check_t *check)
{
    struct loop *l = check->data;
    loop_now_fresh(l);
    run_later(l);
    uv_idle_stop(&l->no_waiting);
    l->now_known = false;
}

void loop_turns(const struct loop *l, struct loop_turns *ret)
{
    *ret = (struct loop_turns){
        .turns = l->turns.count,
        .p50_ns = turns_quantile(&l->turns, 500),
        .p99_ns = turns_quantile(&l->turns, 990),
        .p999_ns = turns_quantile(&l->turns, 999),
        .max_ns = l->turns.max_ns,
        .cpu_max_ns = l->effort.max_ns,
        .off_cpu_ns = l->effort.off_ns,
    };
}

/* ======= life ======= */

struct loop *loop_create(void)
{
    struct loop *l = must_alloc(sizeof(*l));
    CHECK(uv_loop_init(&l->uv) == 0);
    uv_prepare_init(&l->uv, &l->before_poll);
    uv_check_init(&l->uv, &l->after_poll);
    uv_idle_init(&l->uv, &l->no_waiting);
    l->before_poll.data = l->after_poll.data = l->no_waiting.data = l;
    list_init(&l->later);
    uv_prepare_start(&l->before_poll, on_before_poll);
    uv_check_start(&l->after_poll, on_after_poll);
    return l;
}

struct loop *loop_destroy(struct loop *l)
{
    if (!l)
        return NULL;
    CHECK(l->offloads == 0);
    CHECK(list_empty(&l->later));
    uv_close((uv_handle_t *)&l->before_poll, NULL);
    uv_close((uv_handle_t *)&l->after_poll, NULL);
    uv_close((uv_handle_t *)&l->no_waiting, NULL);
    uv_run(&l->uv, UV_RUN_NOWAIT);
    if (uv_loop_close(&l->uv) != 0) {
        uv_print_all_handles(&l->uv, stderr);
        WRONG("a loop is destroyed with handles left on it");
    }
    free(l);
    return NULL;
}

static void count_closing(uv_handle_t *handle, void *count)
{
    *(unsigned *)count += uv_is_closing(handle) != 0;
}

/* Handles in the middle of closing still owe their owner a callback, and pool threads their result. */
static void finish_closing(struct loop *l)
{
    for (;;) {
        unsigned closing = 0;
        uv_walk(&l->uv, count_closing, &closing);
        if (l->offloads == 0 && closing == 0 && list_empty(&l->later))
            return;
        uv_run(&l->uv, closing || !list_empty(&l->later) ? UV_RUN_NOWAIT : UV_RUN_ONCE);
    }
}

void loop_run(struct loop *l)
{
    l->stopped = false;
    l->now_known = false;
    while (!l->stopped)
        uv_run(&l->uv, UV_RUN_DEFAULT);
    finish_closing(l);
}

void loop_run_once(struct loop *l)
{
    l->now_known = false;
    uv_run(&l->uv, list_empty(&l->later) ? UV_RUN_ONCE : UV_RUN_NOWAIT);
}

void loop_stop(struct loop *l)
{
    l->stopped = true;
    uv_stop(&l->uv);
}

uv_loop_t *loop_uv(struct loop *l)
{
    return &l->uv;
}

/* ======= timers ======= */

_Static_assert(sizeof(uv_timer_t) <= sizeof(((struct timer *)0)->handle),
               "struct timer has room for libuv's");
_Static_assert(sizeof(uv_async_t) <= sizeof(((struct wakeup *)0)->handle),
               "struct wakeup has room for libuv's");
_Static_assert(sizeof(uv_work_t) <= sizeof(((struct offload *)0)->request),
               "struct offload has room for libuv's");

static uv_timer_t *uv_timer_of(struct timer *t)
{
    return (uv_timer_t *)(void *)t->handle;
}

static void on_timer(uv_timer_t *handle)
{
    struct timer *t = handle->data;
    t->fire(t);
}

void timer_init(struct timer *t, struct loop *l, void (*fire)(struct timer *t))
{
    uv_timer_init(&l->uv, uv_timer_of(t));
    uv_timer_of(t)->data = t;
    t->loop = l;
    t->fire = fire;
    t->open = true;
}

static uint64_t whole_ms(uint64_t ns)
{
    return ns / NS_PER_MS + (ns % NS_PER_MS != 0);
}

/* libuv counts from a clock cut to whole milliseconds: one more keeps a timer from firing early. */
void timer_start(struct timer *t, uint64_t delay_ns, uint64_t repeat_ns)
{
    CHECK(t->open);
    uv_update_time(&t->loop->uv);
    uv_timer_start(uv_timer_of(t), on_timer, delay_ns ? whole_ms(delay_ns) + 1 : 0, whole_ms(repeat_ns));
}

void timer_stop(struct timer *t)
{
    if (t->open)
        uv_timer_stop(uv_timer_of(t));
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct timer *t = handle->data;
    if (t->fire)
        t->fire(t);
}

void timer_finish(struct timer *t, void (*closed)(struct timer *t))
{
    CHECK(t->open);
    t->open = false;
    t->fire = closed; /* it will not fire again; the field carries who wants to know of the end */
    uv_close((uv_handle_t *)uv_timer_of(t), on_timer_closed);
}

/* ======= wake-ups from other threads ======= */

static uv_async_t *uv_async_of(struct wakeup *w)
{
    return (uv_async_t *)(void *)w->handle;
}

static void on_wakeup(uv_async_t *handle)
{
    struct wakeup *w = handle->data;
    w->woken(w);
}

void wakeup_init(struct wakeup *w, struct loop *l, void (*woken)(struct wakeup *w))
{
    w->woken = woken;
    w->closed = NULL;
    CHECK(uv_async_init(&l->uv, uv_async_of(w), on_wakeup) == 0);
    uv_async_of(w)->data = w;
}

void wakeup_send(struct wakeup *w)
{
    uv_async_send(uv_async_of(w));
}

static void on_wakeup_closed(uv_handle_t *handle)
{
    struct wakeup *w = handle->data;
    if (w->closed)
        w->closed(w);
}

void wakeup_finish(struct wakeup *w, void (*closed)(struct wakeup *w))
{
    w->closed = closed;
    uv_close((uv_handle_t *)uv_async_of(w), on_wakeup_closed);
}

/* ======= work for the thread pool ======= */

static uv_work_t *uv_work_of(struct offload *o)
{
    return (uv_work_t *)(void *)o->request;
}

static void on_pool(uv_work_t *work)
{
    struct offload *o = CONTAINER_OF(work, struct offload, request);
    o->work(o);
}

static void on_pool_done(uv_work_t *work, int status)
{
    (void)status; /* never cancelled */
    struct loop *l = work->data;
    loop_pool_ended(l);
    struct offload *o = CONTAINER_OF(work, struct offload, request);
    o->done(o);
}

void loop_pool_began(struct loop *l)
{
    l->offloads++;
}

void loop_pool_ended(struct loop *l)
{
    CHECK(l->offloads > 0);
    l->offloads--;
}

void offload_start(struct loop *l, struct offload *o)
{
    uv_work_of(o)->data = l;
    loop_pool_began(l);
    CHECK(uv_queue_work(&l->uv, uv_work_of(o), on_pool, on_pool_done) == 0);
}
