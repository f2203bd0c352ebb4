#include "client/loaded.h"

#include <stdlib.h>
#include <string.h>
#include "client/value.h"

void loading_init(struct loading *l)
{
    *l = (struct loading){.loaded = {.ttl_ms = LARDER_TTL_DEFAULT, .stale_ms = LARDER_TTL_DEFAULT}};
    l->loaded.private_ = &l->holding;
}

static void drop_data(struct larder_holding *h)
{
    if (h->free_data)
        h->free_data(h->data);
    h->data = NULL;
    h->size = 0;
    h->free_data = NULL;
}

void loading_finish(struct loading *l)
{
    drop_data(&l->holding);
    while (l->holding.tags_count)
        free((void *)(uintptr_t)l->holding.tags[--l->holding.tags_count].data);
}

static void *copied(larder_slice s)
{
    void *copy = malloc(s.size + 1); /* never of nothing */
    if (copy && s.size)
        memcpy(copy, s.data, s.size);
    return copy;
}

int larder_loaded_set(larder_loaded *loaded, larder_slice value)
{
    void *copy = copied(value);
    return copy ? larder_loaded_take(loaded, copy, value.size, free) : LARDER_E_MEMORY;
}

int larder_loaded_take(larder_loaded *loaded, void *data, size_t size, void (*free_data)(void *data))
{
    struct larder_holding *h = loaded->private_;
    drop_data(h);
    h->data = data;
    h->size = size;
    h->free_data = free_data;
    return LARDER_OK;
}

int larder_loaded_tag(larder_loaded *loaded, larder_slice tag)
{
    struct larder_holding *h = loaded->private_;
    if (h->tags_count == WIRE_TAGS_MAX)
        return LARDER_E_LIMIT;
    void *copy = copied(tag);
    if (!copy)
        return LARDER_E_MEMORY;
    h->tags[h->tags_count++] = larder_bytes(copy, tag.size);
    return LARDER_OK;
}

larder_slice loading_value(const struct loading *l)
{
    return l->loaded.absent ? larder_bytes(NULL, 0) : larder_bytes(l->holding.data, l->holding.size);
}

bool loading_is_nothing(const struct loading *l)
{
    return !l->holding.data && !l->loaded.absent && !l->loaded.no_store;
}

int value_from_loading(larder_value *value, const struct loading *l)
{
    larder_slice bytes = loading_value(l);
    int result = value_clear(value, l->loaded.absent ? LARDER_ABSENT : LARDER_HIT, LARDER_REASON_NONE);
    value->flags = LARDER_IS_LOADED;
    value->user_flags = l->loaded.user_flags;
    value->schema = l->loaded.schema;
    return value_put(value, bytes.data, bytes.size) < 0 ? LARDER_E_MEMORY : result;
}

larder_set_options loading_options(const struct loading *l)
{
    larder_set_options how = LARDER_SET_OPTIONS_INIT;
    how.ttl_ms = l->loaded.no_store ? 0 : l->loaded.ttl_ms;
    how.stale_ms = l->loaded.stale_ms;
    how.user_flags = l->loaded.user_flags;
    how.schema = l->loaded.schema;
    how.absent = l->loaded.absent;
    how.tags = l->holding.tags;
    how.tags_count = l->holding.tags_count;
    return how;
}
