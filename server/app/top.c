#include "app/top.h"

#include <stdlib.h>
#include <string.h>
#include "app/put.h"
#include "app/readable.h"
#include "base/check.h"
#include "base/tally.h"
#include "cache/chronicle.h"
#include "l1/l1.h"

enum {
    SLICE_SLOTS = 16384, /* 0.2 ms, cold */
    SLICE_KEYS =
        256, /* of which the best are kept: more than are needed, where many are of the highest frequency */
};

struct hot {
    char *key;
    size_t bytes;
    unsigned rank, uses;
};

struct top_keys {
    struct hot shown[TOP_NAMES], found[TOP_NAMES]; /* best first */
    unsigned shown_count, found_count;
    bool whole; /* `shown` is of a whole round */
    uint32_t cursor, slots_left;
};

/* ---- the best of a round --------------------------------------------------------------------------------- */

struct top_keys *top_keys_create(void)
{
    return must_alloc(sizeof(struct top_keys));
}

static void forget(struct hot *list, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        free(list[i].key);
}

struct top_keys *top_keys_destroy(struct top_keys *t)
{
    if (!t)
        return NULL;
    forget(t->shown, t->shown_count);
    forget(t->found, t->found_count);
    free(t);
    return NULL;
}

void top_keys_offer(struct top_keys *t, struct slice key, unsigned rank, unsigned uses)
{
    bool full = t->found_count == TOP_NAMES;
    if (full && t->found[TOP_NAMES - 1].rank >= rank)
        return;
    if (full)
        free(t->found[--t->found_count].key);
    unsigned at = t->found_count++;
    for (; at > 0 && t->found[at - 1].rank < rank; at--)
        t->found[at] = t->found[at - 1];
    t->found[at] = (struct hot){must_alloc(key.size), key.size, rank, uses};
    memcpy(t->found[at].key, key.data, key.size);
}

void top_keys_round(struct top_keys *t)
{
    forget(t->shown, t->shown_count);
    memcpy(t->shown, t->found, sizeof(t->shown));
    t->shown_count = t->found_count;
    t->found_count = 0;
    t->whole = true;
}

void top_keys_slice(struct top_keys *t, struct l1 *l1)
{
    uint32_t slots[SLICE_KEYS];
    if (t->slots_left == 0)
        t->slots_left = l1_slots(l1);
    uint32_t looked = t->slots_left < SLICE_SLOTS ? t->slots_left : SLICE_SLOTS;
    uint32_t count = l1_hottest(l1, &t->cursor, looked, slots, SLICE_KEYS);
    for (uint32_t i = 0; i < count; i++)
        top_keys_offer(t, l1_slot_key(l1, slots[i]), l1_slot_rank(l1, slots[i]),
                       l1_slot_frequency(l1, slots[i]));
    t->slots_left -= looked;
    if (t->slots_left == 0)
        top_keys_round(t);
}

/* ---- told -------------------------------------------------------------------------------------------------- */

void top_keys_list(json_t *array, const struct space *s)
{
    const struct top_keys *t = s->top_keys;
    if (!t || s->config->cache.secret)
        return;
    const struct hot *list = t->whole ? t->shown : t->found;
    for (unsigned i = 0; i < (t->whole ? t->shown_count : t->found_count); i++) {
        json_t *o = json_object();
        put_text(o, "namespace", s->config->name);
        json_object_set_new(o, "key", readable(slice_of(list[i].key, list[i].bytes)));
        put_number(o, "uses", list[i].uses);
        json_array_append_new(array, o);
    }
}

void top_tags_list(json_t *array, const struct space *s)
{
    struct tallied top[TOP_NAMES];
    if (s->config->cache.secret)
        return;
    unsigned count = tally_top(chronicle_tags(cache_chronicle(s->cache)), top, TOP_NAMES);
    for (unsigned i = 0; i < count; i++) {
        json_t *o = json_object();
        put_text(o, "namespace", s->config->name);
        json_object_set_new(o, "tag", readable(top[i].name));
        put_number(o, "invalidated", top[i].count);
        put_number(o, "error", top[i].error);
        json_array_append_new(array, o);
    }
}
