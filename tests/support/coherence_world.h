/* The membership of one host, with a world that only writes down what it was asked for, and the steps the tests take. */
#ifndef LARDER_TESTS_COHERENCE_WORLD_H
#define LARDER_TESTS_COHERENCE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "l2/coherence.h"

#define MS NS_PER_MS

/* ======= the world ======= */

enum { PARTITIONS = 2, ASKED = 64 };

struct world {
    struct coherence *c;
    const struct fleet_view *view;
    uint64_t now;
    /* what was asked, one letter each: C connect, X close, H hello, F fence, T tail, S send; then the partition */
    char asked[ASKED * 2 + 1];
    struct fleet_change *sent[ASKED];
    unsigned sent_count;
    uint64_t tail_after[PARTITIONS];
    bool no_room;
    /* what the listener heard: r record, g gap, e epoch, a applied, s shown */
    char heard[ASKED * 2 + 1];
    uint64_t told_floor, told_v, told_fence;
    unsigned told_keys;
    enum shm_mode mode_at_shown;
    /* the disk of the outbox */
    struct outbox outbox;
    struct outbox_ops outbox_ops;
    struct {
        uint64_t number;
        char bytes[40];
        size_t size;
    } kept[ASKED];
    unsigned kept_count;
};

static inline void write_down(char *text, char what, unsigned p)
{
    size_t at = strlen(text);
    assert_true(at + 2 <= ASKED * 2);
    text[at] = what;
    text[at + 1] = (char)('0' + p);
    text[at + 2] = 0;
}

static inline void io_connect(void *io)
{
    write_down(((struct world *)io)->asked, 'C', 0);
}

static inline void io_close(void *io)
{
    write_down(((struct world *)io)->asked, 'X', 0);
}

static inline void io_hello(void *io, unsigned p)
{
    write_down(((struct world *)io)->asked, 'H', p);
}

static inline void io_fence(void *io, unsigned p)
{
    write_down(((struct world *)io)->asked, 'F', p);
}

static inline void io_tail(void *io, unsigned p, uint64_t after_v)
{
    write_down(((struct world *)io)->asked, 'T', p);
    ((struct world *)io)->tail_after[p] = after_v;
}

static inline bool io_send(void *io, struct fleet_change *change)
{
    struct world *w = io;
    if (w->no_room)
        return false;
    write_down(w->asked, 'S', change->partition);
    assert_true(w->sent_count < ASKED);
    w->sent[w->sent_count++] = change;
    return true;
}

static const struct coherence_io io = {io_connect, io_close, io_hello, io_fence, io_tail, io_send};

static inline void hear_record(void *user, unsigned p, const struct fleet_record *record)
{
    struct world *w = user;
    assert_true(w->view->of[p].applied < record->v); /* the position is shown after its effects */
    w->told_keys = record->keys_count;
    write_down(w->heard, 'r', p);
    w->told_v = record->v;
}

static inline void hear_gap(void *user, unsigned p, uint64_t floor)
{
    struct world *w = user;
    assert_int_equal(w->view->of[p].floor, floor);
    write_down(w->heard, 'g', p);
    w->told_floor = floor;
}

static inline void hear_epoch(void *user, unsigned p)
{
    write_down(((struct world *)user)->heard, 'e', p);
}

static inline void hear_applied(void *user, unsigned p, uint64_t last_fence_ns)
{
    ((struct world *)user)->told_fence = last_fence_ns;
    write_down(((struct world *)user)->heard, 'a', p);
}

static inline void hear_shown(void *user)
{
    struct world *w = user;
    w->mode_at_shown = w->view->mode;
}

static const struct fleet_listener listener = {hear_record, hear_gap, hear_epoch, hear_applied, hear_shown};

static inline struct world *world_of(struct outbox *o)
{
    return CONTAINER_OF(o, struct world, outbox);
}

static inline int keep(struct outbox *o, uint64_t number, struct slice bytes)
{
    struct world *w = world_of(o);
    assert_true(w->kept_count < ASKED && bytes.size <= sizeof(w->kept[0].bytes));
    w->kept[w->kept_count].number = number;
    w->kept[w->kept_count].size = bytes.size;
    memcpy(w->kept[w->kept_count++].bytes, bytes.data, bytes.size);
    return TIER_UNSAFE;
}

static inline void drop_up_to(struct outbox *o, uint64_t number)
{
    struct world *w = world_of(o);
    unsigned gone = 0;
    while (gone < w->kept_count && w->kept[gone].number <= number)
        gone++;
    memmove(w->kept, w->kept + gone, (w->kept_count -= gone) * sizeof(w->kept[0]));
}

static inline void each(struct outbox *o, void (*take)(void *user, uint64_t number, struct slice bytes),
                        void *user)
{
    struct world *w = world_of(o);
    for (unsigned i = 0; i < w->kept_count; i++)
        take(user, w->kept[i].number, slice_of(w->kept[i].bytes, w->kept[i].size));
}

static inline uint64_t no_dice(void *user)
{
    return UINT64_MAX;
}

static inline void open_with(struct world *w, uint64_t backlog_max, const struct fleet_memory *memory)
{
    w->outbox_ops = (struct outbox_ops){keep, drop_up_to, each};
    w->outbox.ops = &w->outbox_ops;
    struct coherence_setup setup = {.partitions = PARTITIONS,
                                    .detached_max_ns = 60 * NS_PER_S,
                                    .backlog_max = backlog_max,
                                    .io = &io,
                                    .io_user = w,
                                    .listener = &listener,
                                    .listener_user = w,
                                    .outbox = &w->outbox,
                                    .memory = memory,
                                    .random = no_dice};
    w->c = coherence_create(&setup);
    w->view = coherence_view(w->c);
}

static inline int begin(void **state)
{
    struct world *w = must_alloc(sizeof(*w));
    w->now = 1000 * NS_PER_S;
    open_with(w, BACKLOG_MAX, NULL);
    *state = w;
    return 0;
}

static inline int end(void **state)
{
    struct world *w = *state;
    w->c = coherence_destroy(w->c);
    free(w);
    return 0;
}

static inline void reopen(struct world *w, uint64_t backlog_max, const struct fleet_memory *memory)
{
    w->c = coherence_destroy(w->c);
    w->sent_count = 0;
    w->asked[0] = w->heard[0] = 0;
    open_with(w, backlog_max, memory);
}

static inline void forget_asked(struct world *w)
{
    w->asked[0] = w->heard[0] = 0;
}

/* ======= steps ======= */

static inline void pass(struct world *w, uint64_t ns)
{
    for (uint64_t left = ns; left > 0;) {
        uint64_t step = left < 10 * MS ? left : 10 * MS;
        w->now += step;
        left -= step;
        coherence_tick(w->c, w->now);
    }
}

static inline void greet(struct world *w, unsigned p, uint64_t epoch, uint64_t v, uint64_t first)
{
    struct coherence_hello hello = {.epoch = epoch, .v = v, .first = first};
    coherence_greeted(w->c, p, &hello, w->now);
}

static inline void record(struct world *w, unsigned p, uint64_t v)
{
    struct slice key = slice_text("k");
    struct fleet_record r = {.v = v, .keys = &key, .keys_count = 1};
    coherence_record(w->c, p, 0, &r, w->now);
}

static inline void connect_to(struct world *w)
{
    while (coherence_state(w->c) == COHERENCE_DOWN)
        pass(w, 10 * MS);
    coherence_connected(w->c, w->now);
}

enum { E = 77 };

/* Live at V = 10 in both partitions, first fences answered. */
static inline void live(struct world *w)
{
    connect_to(w);
    greet(w, 0, E, 10, 11);
    greet(w, 1, E, 10, 11);
    assert_int_equal(coherence_state(w->c), COHERENCE_LIVE);
    coherence_fenced(w->c, 0, 10, w->now);
    coherence_fenced(w->c, 1, 10, w->now);
    forget_asked(w);
}

static struct slice key_k;

static inline struct fleet_change invalidation(const char *key, unsigned p)
{
    key_k = slice_text(key);
    return (struct fleet_change){.verb = FLEET_INVALIDATE, .partition = p, .keys = &key_k, .keys_count = 1};
}

static inline void queue_key(struct world *w, const char *key, unsigned p)
{
    struct fleet_change change = invalidation(key, p);
    assert_int_equal(coherence_queue(w->c, &change), TIER_UNSAFE);
}

static inline void answer(struct world *w, struct fleet_change *change, enum fleet_outcome outcome,
                          uint64_t v)
{
    change->outcome = outcome;
    change->v = v;
    change->epoch = E;
    coherence_answered(w->c, change, w->now);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

#endif
