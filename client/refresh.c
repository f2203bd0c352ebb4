#include "client/refresh.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "client/client.h"

int refreshes_init(struct refreshes *queue)
{
    pthread_condattr_t monotonic;
    memset(queue, 0, sizeof(*queue));
    if (pthread_condattr_init(&monotonic) != 0)
        return LARDER_E_MEMORY;
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    int r = pthread_cond_init(&queue->came, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return r == 0 && pthread_mutex_init(&queue->lock, NULL) == 0 ? 0 : LARDER_E_MEMORY;
}

static struct refresh *unlink_first(struct refreshes *queue)
{
    struct refresh *first = queue->first;
    queue->first = first->next;
    if (!queue->first)
        queue->last = NULL;
    queue->count--;
    return first;
}

void refreshes_finish(struct refreshes *queue)
{
    while (queue->first)
        free(unlink_first(queue));
    pthread_cond_destroy(&queue->came);
    pthread_mutex_destroy(&queue->lock);
}

void refreshes_reborn(struct refreshes *queue)
{
    refreshes_init(queue); /* what was in it is lost: a thread may have been in the middle of it */
}

static void drop_ended(struct refreshes *queue, uint64_t now_ns)
{
    while (queue->first && now_ns >= queue->first->ends_ns)
        free(unlink_first(queue));
}

static void append(struct refreshes *queue, struct refresh *refresh)
{
    *(queue->last ? &queue->last->next : &queue->first) = refresh;
    queue->last = refresh;
    queue->count++;
    pthread_cond_signal(&queue->came);
}

bool refresh_put(struct refreshes *queue, struct slice key, const larder_token *lease, uint64_t ends_ns,
                 uint64_t now_ns, larder_loader loader, void *user)
{
    struct refresh *refresh = malloc(sizeof(*refresh) + key.size);
    if (!refresh)
        return false;
    *refresh = (struct refresh){
        .ends_ns = ends_ns, .lease = *lease, .loader = loader, .user = user, .key_bytes = key.size};
    memcpy(refresh->key, key.data, key.size);
    pthread_mutex_lock(&queue->lock);
    drop_ended(queue, now_ns);
    bool fits = queue->count < REFRESHES_MAX;
    if (fits)
        append(queue, refresh);
    pthread_mutex_unlock(&queue->lock);
    if (!fits)
        free(refresh);
    return fits;
}

struct refresh *refresh_take(struct refreshes *queue, uint64_t until_ns)
{
    struct timespec until = {(time_t)(until_ns / 1000000000), (long)(until_ns % 1000000000)};
    struct refresh *refresh = NULL;
    pthread_mutex_lock(&queue->lock);
    drop_ended(queue, now_ns());
    while (!queue->first && pthread_cond_timedwait(&queue->came, &queue->lock, &until) != ETIMEDOUT)
        drop_ended(queue, now_ns());
    if (queue->first)
        refresh = unlink_first(queue);
    pthread_mutex_unlock(&queue->lock);
    return refresh;
}
