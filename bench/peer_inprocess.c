/* The baseline (baseline.h) as a contestant. */
#include "bench/peer.h"

#include <stdlib.h>
#include "bench/baseline.h"

struct peer {
    struct baseline *table;
    size_t capacity;
    uint8_t value[];
};

static void close_inprocess(struct peer *p)
{
    baseline_destroy(p->table);
    free(p);
}

static struct peer *open_inprocess(const struct peer_where *where)
{
    struct peer *p = calloc(1, sizeof(*p) + where->value_bytes);
    if (!p)
        return NULL;
    p->capacity = where->value_bytes;
    p->table = baseline_create(where->item_count, where->item_bytes);
    if (p->table)
        return p;
    free(p);
    return NULL;
}

static int get_inprocess(struct peer *p, struct slice key, struct slice *ret_value)
{
    size_t size = 0;
    int r = baseline_get(p->table, key, p->value, p->capacity, &size);
    *ret_value = slice_of(p->value, size);
    return r;
}

static int set_inprocess(struct peer *p, struct slice key, struct slice value)
{
    return baseline_set(p->table, key, value, 1000ull * CODEC_TTL_S);
}

static const char *why_inprocess(const struct peer *p)
{
    return "the table is full";
}

const struct peer_kind peer_inprocess = {
    .name = "inprocess",
    .sentence = "hash table in this process behind a mutex",
    .server = SERVER_NONE,
    .reads_memory = true,
    .open = open_inprocess,
    .get = get_inprocess,
    .set = set_inprocess,
    .close = close_inprocess,
    .why = why_inprocess,
};
