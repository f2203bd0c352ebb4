#include "l1/fit.h"

#include "proto/shm.h"

enum { ENTRIES_NEEDED = 100 };

uint64_t fit_items(uint64_t bytes, uint64_t each)
{
    return bytes / (sizeof(struct shm_item) + each + SHM_LINE / FIT_BUCKET_ITEMS);
}

static uint64_t bounded(uint64_t entry_bytes)
{
    return entry_bytes < FIT_SMALLEST ? FIT_SMALLEST : entry_bytes > FIT_LARGEST ? FIT_LARGEST : entry_bytes;
}

/* Seven slots of eight: next, entries find both their buckets full. */
static bool index_is_full(const struct fit *f)
{
    return f->entries * 8 >= f->slots * 7;
}

static bool segments_are_full(const struct fit *f)
{
    return f->free_bytes <= f->segment_bytes / 16;
}

uint64_t fit_usual(const struct fit *f)
{
    bool many = f->item_bytes >= f->segment_bytes / 2 || index_is_full(f);
    if (f->entries < ENTRIES_NEEDED || !many)
        return 0;
    return bounded(f->item_bytes / f->entries - sizeof(struct shm_item));
}

uint64_t fit_wanted(const struct fit *f)
{
    uint64_t usual = fit_usual(f);
    if (usual == 0)
        return f->made_for;
    uint64_t needed = fit_items(f->total_bytes, usual), there = fit_items(f->total_bytes, f->made_for);
    bool too_large = segments_are_full(f) && needed <= there / 2;
    bool too_small = index_is_full(f) && needed >= there + there / 8;
    return too_large || too_small ? usual : f->made_for;
}

uint64_t fit_at_start(uint64_t option, uint64_t remembered)
{
    if (option)
        return option;
    return remembered ? bounded(remembered) : FIT_DEFAULT;
}
