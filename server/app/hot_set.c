#include "app/hot_set.h"

#include <stdlib.h>
#include <string.h>
#include "app/space.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "cache/hot.h"
#include "l1/l1.h"
#include "l2/l2.h"
#include "warm/warm.h"

enum {
    HOT_KEYS = 65536, /* 512 KiB of hashes: the hot set of any app we know, and restored in well under 1 s */
    HOT_SLOTS_A_SLICE = 16384, /* 0.2 ms, cold; 256 MiB are gone round in some 10 s */
};

/* ---- kept for the next start ------------------------------------------------------------------------------ */

static void open_hot(struct space *s)
{
    struct hot_round *h = &s->hot;
    if (!s->warm || !s->l1)
        return;
    h->slices = (l1_slots(s->l1) + HOT_SLOTS_A_SLICE - 1) / HOT_SLOTS_A_SLICE;
    h->keys_a_slice = h->slices < HOT_KEYS ? HOT_KEYS / h->slices : 1;
    if (h->keys_a_slice > HOT_SLOTS_A_SLICE)
        h->keys_a_slice = HOT_SLOTS_A_SLICE;
    h->hashes = must_alloc((size_t)h->slices * h->keys_a_slice * sizeof(*h->hashes));
}

/* While the hot set of the last run is not back, this one's would make it forgotten. */
static bool may_keep_hot(const struct space *s)
{
    return s->hot.hashes && !s->restoring;
}

static void hand_on_hot(struct space *s)
{
    struct hot_round *h = &s->hot;
    uint32_t count = 0, room = h->slices * h->keys_a_slice;
    for (uint32_t i = 0; i < room; i++)
        if (h->hashes[i])
            h->hashes[count++] = h->hashes[i];
    if (count)
        warm_save_hot(s->warm, l1_usual_entry(s->l1), h->hashes, count);
    memset(h->hashes, 0, room * sizeof(*h->hashes));
}

/* One slice; true at the end of a round, when the whole has been handed on. */
static bool keep_hot_slice(struct space *s)
{
    struct hot_round *h = &s->hot;
    uint32_t slots[HOT_SLOTS_A_SLICE];
    uint32_t found = l1_hottest(s->l1, &h->cursor, HOT_SLOTS_A_SLICE, slots, h->keys_a_slice);
    for (uint32_t i = 0; i < found; i++)
        h->hashes[i * h->slices + h->at] = shm_hash_key(s->memory.hash_secret, l1_slot_key(s->l1, slots[i]));
    if (++h->at < h->slices)
        return false;
    h->at = 0;
    hand_on_hot(s);
    return true;
}

void hot_set_save(struct space *s)
{
    s->hot.at = 0;
    while (may_keep_hot(s) && !keep_hot_slice(s))
        ;
}

void hot_set_free(struct space *s)
{
    free(s->hot.hashes);
    s->hot = (struct hot_round){0};
}

/* ---- carried back ----------------------------------------------------------------------------------------- */

static bool take_restored(void *user, const struct entry *e)
{
    struct space *s = user;
    return !s->stopped && cache_take_restored(s->cache, e);
}

static void restored(void *user, uint64_t taken)
{
    struct space *s = user;
    struct l1_figures l1;
    s->restoring = false;
    if (s->stopped)
        return;
    l1_measure(s->l1, &l1);
    if (l1.l1_entries == 0)
        return;
    log_info("entries are back in L1", L_TEXT("namespace", s->config->name), L_U64("entries", l1.l1_entries),
             L_U64("ms", (loop_now_fresh(s->loop) - s->restore_began_ns) / NS_PER_MS));
}

void hot_set_restore(struct space *s)
{
    open_hot(s);
    if (!s->hot.hashes)
        return;
    s->restoring = true;
    s->restore_began_ns = loop_now_fresh(s->loop);
    warm_restore(s->warm, take_restored, restored, s);
}

/* ---- into an index for other entries ---------------------------------------------------------------------- */

/* Entries that keep changing their size cost a refill now and then, and no more: each is twice as far from the last. */
#define REFIT_EVERY NS_PER_S
#define REFIT_AGAIN (60 * NS_PER_S)
#define REFIT_REST  (24 * 3600 * NS_PER_S)

/* It is refilled from the warm tier, and what only lies here is not taken away from who cannot ask for it: without that tier
 * once, when it fills for the first time; while the fleet is away never. */
static bool may_refit(const struct space *s)
{
    bool away = s->l2 && l2_fleet(s->l2)->view->mode != SHM_FRESH;
    return s->l1 && !s->restoring && !away && (s->warm || !s->refit.rest_ns);
}

static void refit(struct space *s)
{
    uint64_t now_ns = loop_now_ns(s->loop), rest_ns = s->refit.rest_ns;
    if (now_ns < s->refit.at_ns || !may_refit(s))
        return;
    int outcome = l1_refit(s->l1);
    s->refit.begun = outcome == L1_REFITTING;
    s->refit.at_ns = s->refit.begun ? now_ns : clock_after(now_ns, REFIT_EVERY);
    if (outcome == L1_REFITTING || outcome == L1_FITS)
        return;
    s->refit.rest_ns = !rest_ns ? REFIT_AGAIN : rest_ns < REFIT_REST / 2 ? 2 * rest_ns : REFIT_REST;
    s->refit.at_ns = clock_after(now_ns, s->refit.rest_ns);
    if (outcome < 0)
        return;
    hot_set_free(s);
    hot_set_restore(s);
}

/* ---- every 100 ms ----------------------------------------------------------------------------------------- */

/* What is made anew is refilled with what was saved, so it waits for a whole round, and a call longer, by which time that is
 * committed; if it is not, the round before it is taken.  Its memory is there a call or two after that. */
void hot_set_keep(struct space *s)
{
    if (s->refit.saved || s->refit.begun || !s->hot.hashes)
        refit(s);
    s->refit.saved = may_keep_hot(s) && keep_hot_slice(s);
}

/* ---- told to the fleet ------------------------------------------------------------------------------------ */

/* Some of the hottest each second, so that all of shared memory has had its turn after a minute, or, of a large one, eight:
 * a call looks at HOT_SLOTS_A_SLICE at most; four times as often while there is more to tell than has been told.  256 of a slice
 * of 1,024 slots at least: the hottest quarter. */
#define TELL_HOT_EVERY NS_PER_S
enum { TELL_HOT_SLICES = 64, TELL_HOT_SLOTS = 1024, TELL_HOT_FAST = 4, TELL_HOT_FAST_CALLS = 512 };

static uint32_t tell_hot_slots(const struct l1 *l1)
{
    uint32_t slots = l1_slots(l1) / TELL_HOT_SLICES;
    return slots < TELL_HOT_SLOTS ? TELL_HOT_SLOTS : slots < HOT_SLOTS_A_SLICE ? slots : HOT_SLOTS_A_SLICE;
}

void hot_set_tell(struct space *s)
{
    uint32_t slots[HOT_TOLD_MAX];
    struct fleet_hot names[HOT_TOLD_MAX];
    uint64_t now_ns = loop_now_ns(s->loop);
    uint64_t every_ns =
        s->told_hot_calls < TELL_HOT_FAST_CALLS ? TELL_HOT_EVERY / TELL_HOT_FAST : TELL_HOT_EVERY;
    if (!s->l1 || !cache_has_hot_list(s->cache) || now_ns < clock_after(s->told_hot_ns, every_ns))
        return;
    s->told_hot_ns = now_ns;
    s->told_hot_calls++;
    uint32_t count = l1_hottest(s->l1, &s->told_hot_cursor, tell_hot_slots(s->l1), slots, HOT_TOLD_MAX);
    for (uint32_t n = 0; n < count; n++)
        names[n] = (struct fleet_hot){l1_slot_key(s->l1, slots[n]), l1_slot_frequency(s->l1, slots[n])};
    cache_tell_hot(s->cache, names, count);
}
