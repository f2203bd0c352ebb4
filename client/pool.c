#include "client/client.h"

#include <errno.h>
#include <string.h>

int pool_init(struct pool *pool)
{
    pthread_condattr_t monotonic;
    memset(pool, 0, sizeof(*pool));
    for (unsigned i = 0; i < POOL_CHANNELS; i++) {
        channel_init(&pool->channels[i]);
        pool->idle[pool->idle_count++] = (uint8_t)i;
    }
    if (pthread_condattr_init(&monotonic) != 0)
        return LARDER_E_MEMORY;
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    int r = pthread_cond_init(&pool->returned, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return r == 0 && pthread_mutex_init(&pool->lock, NULL) == 0 ? 0 : LARDER_E_MEMORY;
}

void pool_finish(struct pool *pool)
{
    for (unsigned i = 0; i < POOL_CHANNELS; i++)
        channel_finish(&pool->channels[i]);
    pthread_cond_destroy(&pool->returned);
    pthread_mutex_destroy(&pool->lock);
}

/* The parent's threads may have been in the middle of a channel they had borrowed: its buffers are left alone (lost, a
 * few KiB once a fork), only our copy of its descriptor is closed. */
void pool_reborn(struct pool *pool)
{
    for (unsigned i = 0; i < POOL_CHANNELS; i++) {
        if (pool->busy[i])
            channel_close(&pool->channels[i]);
        else
            channel_finish(&pool->channels[i]);
    }
    pool_init(pool);
}

/* ======= back-off ======= */

static uint64_t next_backoff(uint64_t ns)
{
    return ns < BACKOFF_MIN_NS ? BACKOFF_MIN_NS : ns * 2 > BACKOFF_MAX_NS ? BACKOFF_MAX_NS : ns * 2;
}

/* Calls that fail at once say why the last attempt did, except that they themselves waited for nothing. */
static void backoff_longer(struct pool *pool, int why, bool nobody_listens)
{
    atomic_store_explicit(&pool->why, why == LARDER_E_TIMEOUT ? LARDER_E_UNREACHABLE : why,
                          memory_order_relaxed);
    uint64_t now = now_ns();
    uint64_t ns = next_backoff(atomic_load_explicit(&pool->backoff_ns, memory_order_relaxed));
    if (nobody_listens)
        ns = BACKOFF_REFUSED_NS;
    atomic_store_explicit(&pool->backoff_ns, ns, memory_order_relaxed);
    atomic_store(&pool->retry_at_ns, now + jittered(ns, now ^ (uintptr_t)pool));
}

static void backoff_over(struct pool *pool)
{
    atomic_store_explicit(&pool->backoff_ns, 0, memory_order_relaxed);
    atomic_store(&pool->retry_at_ns, 0);
}

/* It took the connection and hung up on the greeting, or said that it stops.  Behind a socket that a service manager keeps
 * waits the next one. */
static bool was_stopping(const struct channel *ch, int r)
{
    return r == LARDER_E_DRAINING || (r == LARDER_E_UNREACHABLE && !ch->nobody_listens);
}

int pool_dial(struct larder_client *c, struct channel *ch, uint8_t want, uint64_t deadline_ns,
              struct descriptors *ret)
{
    char message[SEAT_MESSAGE_BYTES];
    struct pool *pool = &c->pool;
    if (now_ns() < atomic_load(&pool->retry_at_ns))
        return atomic_load_explicit(&pool->why, memory_order_relaxed);
    int r = channel_dial(ch, &c->dialing, want, deadline_ns, ret, message, sizeof(message));
    if (was_stopping(ch, r))
        r = channel_dial(ch, &c->dialing, want, deadline_ns, ret, message, sizeof(message));
    struct seat *seat = seat_mine(c, &c->seats);
    if (seat)
        memcpy(seat->message, message, sizeof(message));
    if (r == 0) {
        backoff_over(pool);
        fallback_over(&c->fallback);
    } else if (r != LARDER_E_SYSTEM && r != LARDER_E_MEMORY) /* those are ours, not the daemon's */
        backoff_longer(pool, r, ch->nobody_listens);
    return r;
}

/* ======= borrowing ======= */

static int take_idle(struct pool *pool, uint64_t deadline_ns, unsigned *ret)
{
    struct timespec until = {(time_t)(deadline_ns / 1000000000), (long)(deadline_ns % 1000000000)};
    while (pool->idle_count == 0)
        if (pthread_cond_timedwait(&pool->returned, &pool->lock, &until) == ETIMEDOUT)
            return LARDER_E_BUSY;
    *ret = pool->idle[--pool->idle_count];
    pool->busy[*ret] = true;
    if (pool->connected_count)
        pool->connected_count--;
    return 0;
}

static void close_idle(struct pool *pool)
{
    for (unsigned i = 0; i < pool->idle_count; i++)
        channel_close(&pool->channels[pool->idle[i]]);
    pool->connected_count = 0;
}

/* Connected ones on top of the stack, closed ones at its bottom. */
static void put_idle(struct pool *pool, unsigned number)
{
    bool connected = pool->channels[number].fd >= 0;
    pool->busy[number] = false;
    if (connected)
        pool->idle[pool->idle_count] = (uint8_t)number;
    else {
        memmove(pool->idle + 1, pool->idle, pool->idle_count);
        pool->idle[0] = (uint8_t)number;
    }
    pool->idle_count++;
    pool->connected_count += connected;
}

int pool_borrow(struct larder_client *c, struct pool *pool, bool fresh, uint64_t deadline_ns,
                struct channel **ret, bool *ret_is_new)
{
    unsigned number;
    pthread_mutex_lock(&pool->lock);
    if (fresh)
        close_idle(pool);
    int r = take_idle(pool, deadline_ns, &number);
    pthread_mutex_unlock(&pool->lock);
    if (r < 0)
        return r;
    struct channel *ch = &pool->channels[number];
    *ret_is_new = ch->fd < 0;
    if (*ret_is_new)
        r = pool_dial(c, ch, 0, deadline_ns, NULL);
    if (r < 0)
        pool_return(pool, ch);
    else
        *ret = ch;
    return r;
}

void pool_return(struct pool *pool, struct channel *ch)
{
    channel_trim(ch);
    pthread_mutex_lock(&pool->lock);
    put_idle(pool, (unsigned)(ch - pool->channels));
    pthread_cond_signal(&pool->returned);
    pthread_mutex_unlock(&pool->lock);
}
