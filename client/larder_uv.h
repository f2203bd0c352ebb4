/* larder_async in a libuv loop.  Header only; link with libuv.
 *
 *     larder_async *cache;
 *     larder_uv glue;
 *     larder_async_open(&cache, NULL);
 *     larder_uv_start(&glue, uv_default_loop(), cache);
 *     ... uv_run ...
 *     larder_uv_stop(&glue, after_stop);          // after_stop(&glue) may free the glue
 *     larder_async_close(cache);
 *
 * Before each wait of the loop, what was asked for since is sent and the timer is set; nothing else needs to be called.
 * The glue does not keep the loop alive by itself: larder_uv_ref does, for loops that have nothing else to wait for.
 * `larder_uv` belongs to the caller and stays where it is until after_stop.  Functions return 0 or a UV_E….  Since 0.2. */
#ifndef LARDER_UV_H
#define LARDER_UV_H

#include <uv.h>
#include "larder_async.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct larder_uv {
    larder_async *async;
    uv_poll_t poll;
    uv_prepare_t prepare;
    uv_timer_t timer;
    int closing; /* handles still open after larder_uv_stop */
    void (*stopped)(struct larder_uv *glue);
    void *user; /* the app's */
} larder_uv;

static inline void larder_uv_on_poll(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    larder_async_process(((larder_uv *)poll->data)->async);
}

static inline void larder_uv_on_timer(uv_timer_t *timer)
{
    larder_async_process(((larder_uv *)timer->data)->async);
}

/* Just before the loop waits. */
static inline void larder_uv_on_prepare(uv_prepare_t *prepare)
{
    larder_uv *glue = (larder_uv *)prepare->data;
    int ms = larder_async_timeout(glue->async);
    if (ms == 0) {
        larder_async_process(glue->async);
        ms = larder_async_timeout(glue->async);
    }
    if (ms < 0)
        uv_timer_stop(&glue->timer);
    else
        uv_timer_start(&glue->timer, larder_uv_on_timer, (uint64_t)ms, 0);
}

static inline void larder_uv_unref(larder_uv *glue)
{
    uv_unref((uv_handle_t *)&glue->poll);
    uv_unref((uv_handle_t *)&glue->prepare);
    uv_unref((uv_handle_t *)&glue->timer);
}

static inline void larder_uv_ref(larder_uv *glue)
{
    uv_ref((uv_handle_t *)&glue->poll);
}

static inline int larder_uv_start(larder_uv *glue, uv_loop_t *loop, larder_async *async)
{
    glue->async = async;
    glue->closing = 0;
    glue->poll.data = glue->prepare.data = glue->timer.data = glue;
    int r = uv_poll_init(loop, &glue->poll, larder_async_fd(async));
    if (r < 0)
        return r;
    uv_prepare_init(loop, &glue->prepare);
    uv_timer_init(loop, &glue->timer);
    uv_poll_start(&glue->poll, UV_READABLE, larder_uv_on_poll);
    uv_prepare_start(&glue->prepare, larder_uv_on_prepare);
    larder_uv_unref(glue);
    return 0;
}

static inline void larder_uv_on_close(uv_handle_t *handle)
{
    larder_uv *glue = (larder_uv *)handle->data;
    if (--glue->closing == 0 && glue->stopped)
        glue->stopped(glue);
}

/* The loop has to turn once more for `stopped` (which may be NULL) to be called. */
static inline void larder_uv_stop(larder_uv *glue, void (*stopped)(larder_uv *glue))
{
    glue->stopped = stopped;
    glue->closing = 3;
    uv_close((uv_handle_t *)&glue->poll, larder_uv_on_close);
    uv_close((uv_handle_t *)&glue->prepare, larder_uv_on_close);
    uv_close((uv_handle_t *)&glue->timer, larder_uv_on_close);
}

#ifdef __cplusplus
}
#endif

#endif
