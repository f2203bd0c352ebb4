/* All interleavings of one reader with one sequence of writer's stores.
 *
 * The reader is proto/shm_read.h itself, compiled with a hook before each load.  The writer is server/l1/order.h
 * itself: its stores are recorded once and then played at every possible place between the reader's loads.  What
 * is explored is sequentially consistent: it shows that the program order is right, which the essay in
 * proto/shm.h then enforces with acquire, release and fences (stress tests look at those).
 *
 * Arguments: none: every scenario must hold, and every known bad order of the writer must be noticed.
 *            mutant: this is a reader with one step out of order; some scenario must notice. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "proto/shm.h"

static void record(au64 *at, uint64_t value);
#define L1_STORE(at, value, order) record(at, value)
#include "l1/order.h"
#include "proto/shm_view.h"

/* ---- the segment --------------------------------------------------------------------------------------------- */

enum {
    SECRET = 5,
    SEGMENTS = 2,
    CELLS_AT = SHM_PAGE,
    GENS_AT = CELLS_AT + SHM_CELLS * 8,
    BUCKETS_AT = GENS_AT + SHM_PAGE,
    SEGMENTS_AT = BUCKETS_AT + SHM_PAGE,
    TOTAL = SEGMENTS_AT + (SEGMENTS << SHM_SEGMENT_SHIFT_MIN),
    HASH = 0x1234, /* bucket 0, and one tag for all keys: the worst neighbour a key can have */
};
static _Alignas(SHM_PAGE) uint8_t memory[TOTAL];
static struct shm_header *const header = (struct shm_header *)(void *)memory;
static au64 *const gens = (au64 *)(void *)(memory + GENS_AT);
static au64 *const slot = (au64 *)(void *)(memory + BUCKETS_AT);
static struct shm_view view;

static const uint64_t NOW = 1000000000000ull, FUTURE = 2000000000000ull, PAST = 5;
static const char KEY[] = "a:k", OTHER_KEY[] = "b:k";
static const char OLD[] = "old old old old.", NEW[] = "new new new new.",
                  OTHERS[] = "others others .."; /* 16 bytes */

static struct shm_item *item_in(unsigned segment)
{
    return (struct shm_item *)(void *)(memory + SEGMENTS_AT + ((size_t)segment << SHM_SEGMENT_SHIFT_MIN));
}

static uint32_t tag_print(void)
{
    return shm_fingerprint(shm_hash_name(SECRET, SHM_NAME_TAG, slice_text("tag")));
}

static au64 *cell_of(uint32_t print)
{
    return (au64 *)(void *)(memory + CELLS_AT) + shm_cell_index(print);
}

static uint64_t slot_word(unsigned segment, uint64_t gen)
{
    return shm_slot(shm_tag(HASH), gen, SEGMENTS_AT + ((uint64_t)segment << SHM_SEGMENT_SHIFT_MIN));
}

struct image {
    _Alignas(8) uint8_t bytes[64];
    uint32_t size;
};

/* An item with one tag, born at 1. */
static struct image image_of(const char *key, const char *value, uint64_t life_bits)
{
    uint64_t shape = shm_item_shape(16, 3, 1, 0, 0, 7);
    uint64_t words[4] = {shape, shm_life(SHM_TICKS_MAX, SHM_TICKS_MAX, life_bits), 1, 9};
    struct image image = {.size = shm_item_bytes(shape)};
    uint32_t print = tag_print();
    memcpy(image.bytes, words, 32);
    memcpy(image.bytes + 32, &print, 4);
    memcpy(image.bytes + 36, key, 3);
    memcpy(image.bytes + 39, value, 16);
    return image;
}

static void write_item(unsigned segment, const char *key, const char *value, uint64_t life_bits)
{
    struct image image = image_of(key, value, life_bits);
    order_write((au64 *)(void *)item_in(segment), image.bytes, image.size);
}

/* Fresh, alive, one item in the first segment. */
static void begin_world(uint64_t life_bits)
{
    memset(memory, 0, sizeof(memory));
    header->shape = (struct shm_shape){.magic = SHM_MAGIC,
                                       .abi = SHM_ABI,
                                       .partitions = 1,
                                       .total_bytes = TOTAL,
                                       .hash_secret = SECRET,
                                       .cells_offset = CELLS_AT,
                                       .gens_offset = GENS_AT,
                                       .buckets_offset = BUCKETS_AT,
                                       .segments_offset = SEGMENTS_AT,
                                       .bucket_count = 2,
                                       .segment_count = SEGMENTS,
                                       .segment_shift = SHM_SEGMENT_SHIFT_MIN};
    header->owner = 1;
    header->state = SHM_OPEN;
    header->alive_until = FUTURE;
    header->fresh_until[0] = FUTURE;
    header->mode = SHM_FRESH;
    struct image image = image_of(KEY, OLD, life_bits);
    memcpy(item_in(0), image.bytes, image.size);
    *slot = slot_word(0, 0);
    if (!shm_view_init(&view, memory, sizeof(memory), NULL))
        abort();
}

/* ---- recording and playing ------------------------------------------------------------------------------------- */

static struct {
    au64 *at;
    uint64_t before, after;
} stores[64];
static int stores_count, acknowledged;

static void record(au64 *at, uint64_t value)
{
    if (stores_count == 64)
        abort();
    stores[stores_count].at = at;
    stores[stores_count].before = *at;
    stores[stores_count++].after = value;
    *at = value;
}

/* Whoever asked for the stores so far has its answer now. */
static void acknowledge(void)
{
    acknowledged = stores_count;
}

static void unplay(void)
{
    for (int i = stores_count; i-- > 0;)
        *stores[i].at = stores[i].before;
}

enum { STEPS_MAX = 400 };
static struct {
    int before[STEPS_MAX];              /* stores played right before this load */
    const volatile void *at[STEPS_MAX]; /* what it loads */
    int chosen;                         /* how many of these are prescribed; 0 beyond */
    int steps, played;
} schedule;

void model_step(const volatile void *at)
{
    int step = schedule.steps++;
    if (step == STEPS_MAX)
        abort();
    schedule.at[step] = at;
    if (step >= schedule.chosen)
        schedule.before[step] = 0;
    for (int i = 0; i < schedule.before[step]; i++, schedule.played++)
        *stores[schedule.played].at = stores[schedule.played].after;
}

int model_clock(clockid_t id, struct timespec *ret)
{
    *ret = (struct timespec){(time_t)(NOW / 1000000000u), 0};
    return 0;
}

/* Whether playing `count` stores right before this load can matter.  If the last of them is not to the loaded word,
 * it can just as well be played after the load: that schedule is looked at instead.  Before the first load every
 * number matters, because it decides what the reader may still return. */
static bool worth_playing(int step, int played_before, int count)
{
    return step == 0 || stores[played_before + count - 1].at == schedule.at[step];
}

/* The next schedule in lexical order; false after the last. */
static bool schedule_next(void)
{
    int played = schedule.played;
    for (int step = schedule.steps; step-- > 0;) {
        played -= schedule.before[step];
        for (int count = schedule.before[step] + 1; played + count <= stores_count; count++) {
            if (!worth_playing(step, played, count))
                continue;
            schedule.before[step] = count;
            schedule.chosen = step + 1;
            return true;
        }
    }
    return false;
}

/* ---- scenarios --------------------------------------------------------------------------------------------------- */

struct run {
    int outcome;
    struct shm_found found;
    char value[17];
    bool after_ack; /* it began when the writer's caller already had its answer */
};

static bool is(const struct run *r, const char *value)
{
    return r->outcome == SHM_HIT && r->found.value_bytes == 16 && memcmp(r->value, value, 16) == 0;
}

static bool nothing_may_be_hit(const struct run *r)
{
    return r->outcome != SHM_HIT;
}

static bool nothing_may_be_hit_after_the_answer(const struct run *r)
{
    return r->outcome != SHM_HIT || (!r->after_ack && is(r, OLD));
}

static bool only_flagged_hits_after_the_answer(const struct run *r)
{
    return r->outcome != SHM_HIT || (is(r, OLD) && (r->found.stale || !r->after_ack));
}

static bool only_the_new_value_may_be_hit(const struct run *r)
{
    return r->outcome != SHM_HIT || is(r, NEW);
}

static bool old_or_new_whole_and_new_after_the_answer(const struct run *r)
{
    return is(r, NEW) || (is(r, OLD) && !r->after_ack) || r->outcome != SHM_HIT;
}

static bool never_lost_never_torn(const struct run *r)
{
    return is(r, OLD) || (r->outcome == SHM_ASK && r->found.reason == SHM_ASK_RACE);
}

static bool only_flagged_as_detached(const struct run *r)
{
    return r->outcome != SHM_HIT || (is(r, OLD) && r->found.detached);
}

static bool local_ones_flagged_and_gone_after_the_answer(const struct run *r)
{
    return r->outcome != SHM_HIT || (is(r, OLD) && r->found.detached && !r->after_ack);
}

static void lapsed_lease(void)
{
    begin_world(0);
    header->fresh_until[0] = PAST;
}

static void detached_with_a_local_entry(void)
{
    begin_world(SHM_LIFE_LOCAL);
    header->mode = SHM_DETACHED;
    header->serve_until = FUTURE;
}

static void fresh(void)
{
    begin_world(0);
}

static void tag_kill_then_promise(void)
{
    order_kill(header, cell_of(tag_print()), shm_cell(tag_print(), 2));
    order_promise(header, 0, FUTURE);
}

static void prefix_kill_then_promise(void)
{
    uint32_t print = shm_fingerprint(shm_hash_name(SECRET, SHM_NAME_PREFIX, slice_text("a:")));
    order_kill(header, cell_of(print), shm_cell(print, 2));
    order_promise(header, 0, FUTURE);
}

static void removal_then_promise(void)
{
    order_clear(slot);
    order_promise(header, 0, FUTURE);
}

static void floor_then_promise(void)
{
    order_floor(header, 2);
    order_promise(header, 0, FUTURE);
}

static void update_then_promise(void)
{
    write_item(1, KEY, NEW, 0);
    order_publish(slot, slot_word(1, 0));
    order_promise(header, 0, FUTURE);
}

static void update(void)
{
    write_item(1, KEY, NEW, 0);
    order_publish(slot, slot_word(1, 0));
    acknowledge();
}

/* 65,536 recycles at once: the gen bits of the slot word come round, and the new life of the segment has an item
 * at the same place in the same slot.  Only the 64-bit gen tells the two slot words apart. */
static void recycle_a_whole_round(const char *key, const char *value)
{
    order_clear(slot);
    L1_STORE(gens, order_own(gens) + 65536, release);
    acknowledge();
    write_item(0, key, value, 0);
    order_publish(slot, slot_word(0, 0));
}

static void recycle_for_another_key(void)
{
    recycle_a_whole_round(OTHER_KEY, OTHERS);
}

static void recycle_for_a_newer_value(void)
{
    recycle_a_whole_round(KEY, NEW);
}

/* Eviction moves the item, then its old segment is used for another key. */
static void move_and_reuse(void)
{
    write_item(1, KEY, OLD, 0);
    order_publish(slot, slot_word(1, 0));
    order_recycle(gens);
    write_item(0, OTHER_KEY, OTHERS, 0);
}

static void kill_then_sweep(void)
{
    au64 *cell = cell_of(tag_print());
    order_kill(header, cell, shm_cell(tag_print(), 2));
    acknowledge();
    order_clear(slot);
    order_clear_cells(header);
    order_clear_cell(cell);
    order_no_kills(header);
}

static void soft_kill_then_sweep(void)
{
    au64 *cell = cell_of(tag_print());
    order_kill(header, cell, shm_cell(tag_print(), 2));
    acknowledge();
    order_restamp(item_in(0), shm_life(SHM_TICKS_MAX, SHM_TICKS_MAX - 1, SHM_LIFE_STALE), 2);
    order_clear_cells(header);
    order_clear_cell(cell);
    order_no_kills(header);
}

static void detach(void)
{
    order_detach(header, FUTURE);
}

static void attach_promise_and_detach_again(void)
{
    order_attach(header, 2, SHM_FRESH);
    acknowledge();
    order_promise(header, 0, FUTURE);
    order_detach(header, FUTURE);
}

static const struct scenario {
    const char *name;
    void (*world)(void);
    void (*writer)(void);
    bool (*holds)(const struct run *r);
    struct {
        int first, second; /* these two stores the other way round must be noticed; 0, 0: no such pair */
    } wrong[3];
} scenarios[] = {
    {"tag kill, then a promise after a long lapse",
     lapsed_lease,
     tag_kill_then_promise,
     nothing_may_be_hit,
     {{1, 2}, {0, 2}}},
    {"prefix kill, then a promise", lapsed_lease, prefix_kill_then_promise, nothing_may_be_hit, {{1, 2}}},
    {"removal, then a promise", lapsed_lease, removal_then_promise, nothing_may_be_hit, {{0, 1}}},
    {"floor, then a promise", lapsed_lease, floor_then_promise, nothing_may_be_hit, {{0, 1}}},
    {"update, then a promise", lapsed_lease, update_then_promise, only_the_new_value_may_be_hit, {{7, 8}}},
    {"update", fresh, update, old_or_new_whole_and_new_after_the_answer, {{6, 7}}},
    {"recycle and reuse by another key",
     fresh,
     recycle_for_another_key,
     nothing_may_be_hit_after_the_answer,
     {{0}}},
    {"recycle and reuse by a newer value",
     fresh,
     recycle_for_a_newer_value,
     old_or_new_whole_and_new_after_the_answer,
     {{1, 7}, {0, 8}}},
    {"move by eviction, then reuse of the old place", fresh, move_and_reuse, never_lost_never_torn, {{7, 8}}},
    {"tag kill, answer, sweep",
     fresh,
     kill_then_sweep,
     nothing_may_be_hit_after_the_answer,
     {{3, 4}, {2, 4}}},
    {"soft tag kill, answer, sweep",
     fresh,
     soft_kill_then_sweep,
     only_flagged_hits_after_the_answer,
     {{2, 3}, {4, 5}}},
    {"becoming detached", lapsed_lease, detach, only_flagged_as_detached, {{0}}},
    {"attached and detached again",
     detached_with_a_local_entry,
     attach_promise_and_detach_again,
     local_ones_flagged_and_gone_after_the_answer,
     {{0}}},
};

/* ---- exploring ------------------------------------------------------------------------------------------------------ */

static void run_once(struct run *r)
{
    memset(r, 0, sizeof(*r));
    schedule.steps = schedule.played = 0;
    r->outcome = shm_get(&view, slice_text(KEY), HASH, r->value, 16, &r->found);
    r->after_ack = acknowledged && schedule.before[0] >= acknowledged;
}

struct tally {
    uint64_t schedules, bad, hits;
};

static struct tally explore(const struct scenario *s)
{
    struct tally t = {0};
    schedule.chosen = 0;
    do {
        struct run r;
        run_once(&r);
        t.schedules++;
        t.hits += r.outcome == SHM_HIT;
        t.bad += !s->holds(&r);
        unplay();
    } while (schedule_next());
    return t;
}

static void prepare(const struct scenario *s)
{
    s->world();
    stores_count = acknowledged = 0;
    s->writer();
    unplay();
}

static void swap_stores(int a, int b)
{
    typeof(stores[0]) kept = stores[a];
    stores[a] = stores[b];
    stores[b] = kept;
}

static int number;

static void tap(bool ok, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fflush(stdout);
    printf("%sok %d - ", ok ? "" : "not ", ++number);
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
}

static void wrong_writers(const struct scenario *s)
{
    for (unsigned i = 0; i < 3 && (s->wrong[i].first || s->wrong[i].second); i++) {
        prepare(s);
        swap_stores(s->wrong[i].first, s->wrong[i].second);
        struct tally t = explore(s);
        tap(t.bad > 0, "%s: stores %d and %d the other way round are noticed (%lu of %lu)", s->name,
            s->wrong[i].first, s->wrong[i].second, t.bad, t.schedules);
    }
}

int main(int argc, char **argv)
{
    bool mutant = argc > 1 && strcmp(argv[1], "mutant") == 0;
    uint64_t bad = 0;
    for (unsigned i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        prepare(&scenarios[i]);
        struct tally t = explore(&scenarios[i]);
        bad += t.bad;
        if (mutant) {
            printf("# %s: %lu of %lu\n", scenarios[i].name, t.bad, t.schedules);
            continue;
        }
        tap(t.bad == 0, "%s: %lu schedules, %lu hits, %lu bad", scenarios[i].name, t.schedules, t.hits,
            t.bad);
        wrong_writers(&scenarios[i]);
    }
    if (mutant)
        tap(bad > 0, "a reader with a step out of order is noticed (%lu)", bad);
    printf("1..%d\n", number);
    return 0;
}
