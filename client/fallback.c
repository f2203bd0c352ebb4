#include "client/fallback.h"

#include <stdlib.h>
#include <string.h>
#include "client/client.h"
#include "client/value.h"

struct fallback_entry {
    struct fallback_entry *next; /* in its bucket */
    struct fallback_entry *newer, *older;
    uint64_t hash, until_ns;
    size_t bytes;
    larder_value value;
    size_t key_bytes;
    unsigned char key[];
};

int fallback_init(struct fallback *f, size_t limit_bytes)
{
    memset(f, 0, sizeof(*f));
    f->limit_bytes = limit_bytes;
    return pthread_mutex_init(&f->lock, NULL) == 0 ? 0 : LARDER_E_MEMORY;
}

/* ======= lists ======= */

static void use_begin(struct fallback *f, struct fallback_entry *e)
{
    e->newer = NULL;
    e->older = f->newest;
    *(f->newest ? &f->newest->newer : &f->oldest) = e;
    f->newest = e;
}

static void use_end(struct fallback *f, struct fallback_entry *e)
{
    *(e->newer ? &e->newer->older : &f->newest) = e->older;
    *(e->older ? &e->older->newer : &f->oldest) = e->newer;
}

static struct fallback_entry **place_of(struct fallback *f, struct slice key, uint64_t hash)
{
    struct fallback_entry **at = &f->buckets[hash % FALLBACK_BUCKETS];
    while (*at && !((*at)->hash == hash && slice_equal(slice_of((*at)->key, (*at)->key_bytes), key)))
        at = &(*at)->next;
    return at;
}

static void drop_at(struct fallback *f, struct fallback_entry **at)
{
    struct fallback_entry *e = *at;
    *at = e->next;
    use_end(f, e);
    f->bytes -= e->bytes;
    larder_value_free(&e->value);
    free(e);
    atomic_store_explicit(&f->holds, f->bytes != 0, memory_order_relaxed);
}

static void drop(struct fallback *f, struct fallback_entry *e)
{
    drop_at(f, place_of(f, slice_of(e->key, e->key_bytes), e->hash));
}

void fallback_finish(struct fallback *f)
{
    while (f->oldest)
        drop(f, f->oldest);
    pthread_mutex_destroy(&f->lock);
}

/* A thread of the parent may have been in the middle of the lists: they are lost to the child. */
void fallback_reborn(struct fallback *f)
{
    fallback_init(f, f->limit_bytes);
}

/* ======= get and put ======= */

static int give(struct fallback *f, struct fallback_entry *e, uint64_t now_ns, larder_value *value)
{
    if (value_copy(value, &e->value) < 0)
        return LARDER_E_MEMORY;
    value->ttl_ms = value->fresh_ms = (e->until_ns - now_ns) / NS_PER_MS;
    use_end(f, e);
    use_begin(f, e);
    return value->result;
}

int fallback_get(struct fallback *f, struct slice key, uint64_t hash, uint64_t now_ns, larder_value *value)
{
    if (!atomic_load_explicit(&f->holds, memory_order_relaxed))
        return LARDER_MISS;
    pthread_mutex_lock(&f->lock);
    struct fallback_entry *e = *place_of(f, key, hash);
    int r = LARDER_MISS;
    if (e && now_ns >= e->until_ns)
        drop(f, e);
    else if (e)
        r = give(f, e, now_ns, value);
    pthread_mutex_unlock(&f->lock);
    return r;
}

uint64_t fallback_turn(struct fallback *f)
{
    pthread_mutex_lock(&f->lock);
    uint64_t turn = f->turn;
    pthread_mutex_unlock(&f->lock);
    return turn;
}

static struct fallback_entry *entry_create(struct slice key, uint64_t hash, const larder_value *value)
{
    struct fallback_entry *e = calloc(1, sizeof(*e) + key.size);
    if (!e || value_copy(&e->value, value) < 0) {
        free(e);
        return NULL;
    }
    e->value.flags = LARDER_IS_LOCAL;
    e->hash = hash;
    e->key_bytes = key.size;
    memcpy(e->key, key.data, key.size);
    e->bytes = sizeof(*e) + key.size + e->value.capacity;
    return e;
}

static void insert(struct fallback *f, struct slice key, struct fallback_entry *e)
{
    struct fallback_entry **at = place_of(f, key, e->hash);
    if (*at)
        drop_at(f, at);
    while (f->bytes + e->bytes > f->limit_bytes)
        drop(f, f->oldest);
    e->next = f->buckets[e->hash % FALLBACK_BUCKETS];
    f->buckets[e->hash % FALLBACK_BUCKETS] = e;
    use_begin(f, e);
    f->bytes += e->bytes;
    atomic_store_explicit(&f->holds, true, memory_order_relaxed);
}

void fallback_put(struct fallback *f, struct slice key, uint64_t hash, uint64_t now_ns, uint64_t ttl_ms,
                  uint64_t turn, const larder_value *value)
{
    struct fallback_entry *e = f->limit_bytes && ttl_ms ? entry_create(key, hash, value) : NULL;
    if (!e)
        return;
    e->until_ns = now_ns + (ttl_ms < FALLBACK_TTL_MAX_MS ? ttl_ms : FALLBACK_TTL_MAX_MS) * NS_PER_MS;
    pthread_mutex_lock(&f->lock);
    bool fits = turn == f->turn && e->bytes <= f->limit_bytes;
    if (fits)
        insert(f, key, e);
    pthread_mutex_unlock(&f->lock);
    if (!fits) {
        larder_value_free(&e->value);
        free(e);
    }
}

/* ======= drops ======= */

void fallback_drop_key(struct fallback *f, struct slice key, uint64_t hash)
{
    if (!f->limit_bytes)
        return;
    pthread_mutex_lock(&f->lock);
    struct fallback_entry **at = place_of(f, key, hash);
    f->turn++;
    if (*at)
        drop_at(f, at);
    pthread_mutex_unlock(&f->lock);
}

void fallback_drop_prefix(struct fallback *f, struct slice prefix)
{
    if (!f->limit_bytes)
        return;
    pthread_mutex_lock(&f->lock);
    f->turn++;
    for (struct fallback_entry *e = f->oldest, *newer; e; e = newer) {
        newer = e->newer;
        if (e->key_bytes >= prefix.size && memcmp(e->key, prefix.data, prefix.size) == 0)
            drop(f, e);
    }
    pthread_mutex_unlock(&f->lock);
}
