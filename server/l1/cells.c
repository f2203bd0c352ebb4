/* Kill cells: invalidation of names in O(1), and what gives the fast path back afterwards.
 *
 * What must stay true: an item that the exact map calls dead or softened, and that has not been told so, is hit by
 * a cell or a floor (cells may say yes too often, never too seldom).  So cells are cleared only after every item
 * born before them was settled, and seq never repeats within an incarnation. */
#include "l1/l1_private.h"

static bool print_hit(const struct l1 *l1, uint32_t print, uint32_t born)
{
    return shm_cell_kills(order_own(l1->cells + shm_cell_index(print)), print, born);
}

static bool floor_hit(const struct l1 *l1, const struct item_view *i)
{
    uint32_t born = (uint32_t)i->born;
    return born < order_own(&l1->header->floor_seq) ||
           (i->life & SHM_LIFE_LOCAL && born < order_own(&l1->header->local_floor));
}

bool cells_hit(const struct l1 *l1, const struct item_view *i)
{
    uint32_t born = (uint32_t)i->born;
    if (floor_hit(l1, i))
        return true;
    if (born >= order_own(&l1->header->last_kill))
        return false;
    for (unsigned t = 0; t < i->prints_count; t++)
        if (print_hit(l1, i->prints[t], born))
            return true;
    for (unsigned n = 0; n < SHM_PREFIX_LEVELS; n++) {
        struct slice prefix = shm_prefix(i->key, n);
        if (!prefix.size)
            return false;
        uint64_t name = shm_hash_name(l1->shape.hash_secret, SHM_NAME_PREFIX, prefix);
        if (print_hit(l1, shm_fingerprint(name), born))
            return true;
    }
    return false;
}

enum verdict cells_judge(const struct l1 *l1, const struct item_view *i)
{
    if (i->life & SHM_LIFE_LOCAL)
        return DEAD; /* its position is not the fleet's and cannot be compared with one of a kill */
    return kills_judge_prints(l1->kills, i->key, i->prints, i->prints_count, i->v);
}

static uint64_t softened(uint64_t life)
{
    return shm_life(shm_life_hard(life), 0, (life & SHM_LIFE_LOCAL) | SHM_LIFE_STALE);
}

void cells_confirm(struct l1 *l1, uint32_t slot, bool stale)
{
    struct item_view i = item_of_slot(l1, slot);
    order_restamp(i.item, stale ? softened(i.life) : i.life, l1->seq);
    l1->count.l1_restamps++;
}

/* A suspect item stays as it is: as long as it is born before the floor, readers ask. */
enum verdict cells_settle(struct l1 *l1, uint32_t slot)
{
    struct item_view i = item_of_slot(l1, slot);
    if (!cells_hit(l1, &i))
        return ALIVE;
    enum verdict verdict = cells_judge(l1, &i);
    if (verdict == DEAD) {
        uint64_t hash = slots_hash(l1, slot);
        watch_invalidated(l1, hash);
        gone_note(l1->gone, hash, MISS_INVALIDATED);
        slots_drop(l1, slot);
    } else if (verdict != SUSPECT)
        cells_confirm(l1, slot, verdict == SOFTENED);
    return verdict;
}

/* ---- kills ---------------------------------------------------------------------------------------------------- */

void cells_kill(struct l1 *l1, uint64_t name_hash)
{
    uint32_t print = shm_fingerprint(name_hash);
    au64 *cell = l1->cells + shm_cell_index(print);
    uint64_t old = order_own(cell);
    l1->cells_live += old == 0;
    bool shared = old != 0 && (uint32_t)(old >> 32) != print;
    order_kill(l1->header, cell, shm_cell(shared ? SHM_KILL_ANY : print, ++l1->seq));
    l1->count.l1_kills++;
}

void cells_floor(struct l1 *l1)
{
    order_floor(l1->header, ++l1->seq);
}

/* ---- the sweep ------------------------------------------------------------------------------------------------- */

void cells_reset(struct l1 *l1)
{
    l1->seq = 1;
    l1->swept_seq = 0;
    l1->cells_live = 0;
    l1->sweep = (struct sweep){0};
}

bool cells_to_sweep(const struct l1 *l1)
{
    return l1->sweep.running || l1->cells_live > 0 || order_own(&l1->header->floor_seq) > l1->swept_seq ||
           order_own(&l1->header->local_floor) > l1->swept_seq;
}

bool l1_settled(const struct l1 *l1)
{
    return !cells_to_sweep(l1);
}

static void sweep_item(struct l1 *l1, uint64_t offset, const struct item_view *i)
{
    if ((uint32_t)i->born >= l1->sweep.start_seq || !cells_hit(l1, i))
        return;
    uint64_t hash = shm_hash_key(l1->shape.hash_secret, i->key);
    uint64_t word = shm_slot(shm_tag(hash), l1->segments[segment_of(l1, offset)].gen, offset);
    uint32_t slot = slots_find_word(l1, hash, word);
    if (slot != SLOT_NONE)
        cells_settle(l1, slot);
}

/* A few items.  False: all were seen. */
static bool sweep_items(struct l1 *l1)
{
    struct sweep *w = &l1->sweep;
    if (w->segment == l1->shape.segment_count)
        return false;
    for (int n = 0; n < 32; n++) {
        const struct segment *s = &l1->segments[w->segment];
        if (s->state == SEGMENT_FREE || s->state == SEGMENT_DOOMED || w->at >= s->used) {
            w->segment++;
            w->at = 0;
            return true;
        }
        uint64_t offset = segment_start(l1, w->segment) + w->at;
        struct item_view i = item_at(l1, offset);
        w->at += shm_item_bytes(i.shape);
        sweep_item(l1, offset, &i);
    }
    return true;
}

/* A few cells.  False: all were seen. */
static bool sweep_cells(struct l1 *l1)
{
    struct sweep *w = &l1->sweep;
    if (!w->clearing)
        order_clear_cells(l1->header);
    w->clearing = true;
    for (int n = 0; n < 2048 && w->cell < SHM_CELLS; n++, w->cell++) {
        uint64_t cell = order_own(l1->cells + w->cell);
        if (cell == 0 || (uint32_t)cell > w->start_seq)
            continue;
        order_clear_cell(l1->cells + w->cell);
        l1->cells_live--;
    }
    return w->cell < SHM_CELLS;
}

static void sweep_end(struct l1 *l1)
{
    if (l1->cells_live == 0)
        order_no_kills(l1->header);
    l1->swept_seq = l1->sweep.start_seq;
    l1->sweep = (struct sweep){0};
    l1->count.l1_sweeps++;
}

bool cells_sweep(struct l1 *l1, uint64_t until_mono_ns)
{
    if (!cells_to_sweep(l1))
        return false;
    if (!l1->sweep.running)
        l1->sweep = (struct sweep){.running = true, .start_seq = l1->seq};
    do {
        if (!sweep_items(l1) && !sweep_cells(l1)) {
            sweep_end(l1);
            return cells_to_sweep(l1);
        }
    } while (clock_mono_ns() < until_mono_ns);
    return true;
}
