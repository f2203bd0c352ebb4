/* The membership of one host, with a world that only writes down what it was asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "l2/coherence.h"
#include "l2/fence.h"

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

static void write_down(char *text, char what, unsigned p)
{
    size_t at = strlen(text);
    assert_true(at + 2 <= ASKED * 2);
    text[at] = what;
    text[at + 1] = (char)('0' + p);
    text[at + 2] = 0;
}

static void io_connect(void *io)
{
    write_down(((struct world *)io)->asked, 'C', 0);
}

static void io_close(void *io)
{
    write_down(((struct world *)io)->asked, 'X', 0);
}

static void io_hello(void *io, unsigned p)
{
    write_down(((struct world *)io)->asked, 'H', p);
}

static void io_fence(void *io, unsigned p)
{
    write_down(((struct world *)io)->asked, 'F', p);
}

static void io_tail(void *io, unsigned p, uint64_t after_v)
{
    write_down(((struct world *)io)->asked, 'T', p);
    ((struct world *)io)->tail_after[p] = after_v;
}

static bool io_send(void *io, struct fleet_change *change)
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

static void hear_record(void *user, unsigned p, const struct fleet_record *record)
{
    struct world *w = user;
    assert_true(w->view->of[p].applied < record->v); /* the position is shown after its effects */
    w->told_keys = record->keys_count;
    write_down(w->heard, 'r', p);
    w->told_v = record->v;
}

static void hear_gap(void *user, unsigned p, uint64_t floor)
{
    struct world *w = user;
    assert_int_equal(w->view->of[p].floor, floor);
    write_down(w->heard, 'g', p);
    w->told_floor = floor;
}

static void hear_epoch(void *user, unsigned p)
{
    write_down(((struct world *)user)->heard, 'e', p);
}

static void hear_applied(void *user, unsigned p, uint64_t last_fence_ns)
{
    ((struct world *)user)->told_fence = last_fence_ns;
    write_down(((struct world *)user)->heard, 'a', p);
}

static void hear_shown(void *user)
{
    struct world *w = user;
    w->mode_at_shown = w->view->mode;
}

static const struct fleet_listener listener = {hear_record, hear_gap, hear_epoch, hear_applied, hear_shown};

static struct world *world_of(struct outbox *o)
{
    return CONTAINER_OF(o, struct world, outbox);
}

static int keep(struct outbox *o, uint64_t number, struct slice bytes)
{
    struct world *w = world_of(o);
    assert_true(w->kept_count < ASKED && bytes.size <= sizeof(w->kept[0].bytes));
    w->kept[w->kept_count].number = number;
    w->kept[w->kept_count].size = bytes.size;
    memcpy(w->kept[w->kept_count++].bytes, bytes.data, bytes.size);
    return TIER_UNSAFE;
}

static void drop_up_to(struct outbox *o, uint64_t number)
{
    struct world *w = world_of(o);
    unsigned gone = 0;
    while (gone < w->kept_count && w->kept[gone].number <= number)
        gone++;
    memmove(w->kept, w->kept + gone, (w->kept_count -= gone) * sizeof(w->kept[0]));
}

static void each(struct outbox *o, void (*take)(void *user, uint64_t number, struct slice bytes), void *user)
{
    struct world *w = world_of(o);
    for (unsigned i = 0; i < w->kept_count; i++)
        take(user, w->kept[i].number, slice_of(w->kept[i].bytes, w->kept[i].size));
}

static uint64_t no_dice(void *user)
{
    return UINT64_MAX;
}

static void open_with(struct world *w, uint64_t backlog_max, const struct fleet_memory *memory)
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

static int begin(void **state)
{
    struct world *w = must_alloc(sizeof(*w));
    w->now = 1000 * NS_PER_S;
    open_with(w, BACKLOG_MAX, NULL);
    *state = w;
    return 0;
}

static int end(void **state)
{
    struct world *w = *state;
    w->c = coherence_destroy(w->c);
    free(w);
    return 0;
}

static void reopen(struct world *w, uint64_t backlog_max, const struct fleet_memory *memory)
{
    w->c = coherence_destroy(w->c);
    w->sent_count = 0;
    w->asked[0] = w->heard[0] = 0;
    open_with(w, backlog_max, memory);
}

static void forget_asked(struct world *w)
{
    w->asked[0] = w->heard[0] = 0;
}

/* ======= steps ======= */

static void pass(struct world *w, uint64_t ns)
{
    for (uint64_t left = ns; left > 0;) {
        uint64_t step = left < 10 * MS ? left : 10 * MS;
        w->now += step;
        left -= step;
        coherence_tick(w->c, w->now);
    }
}

static void greet(struct world *w, unsigned p, uint64_t epoch, uint64_t v, uint64_t first)
{
    struct coherence_hello hello = {.epoch = epoch, .v = v, .first = first};
    coherence_greeted(w->c, p, &hello, w->now);
}

static void record(struct world *w, unsigned p, uint64_t v)
{
    struct slice key = slice_text("k");
    struct fleet_record r = {.v = v, .keys = &key, .keys_count = 1};
    coherence_record(w->c, p, 0, &r, w->now);
}

static void connect_to(struct world *w)
{
    while (coherence_state(w->c) == COHERENCE_DOWN)
        pass(w, 10 * MS);
    coherence_connected(w->c, w->now);
}

enum { E = 77 };

/* Live at V = 10 in both partitions, first fences answered. */
static void live(struct world *w)
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

static struct fleet_change invalidation(const char *key, unsigned p)
{
    key_k = slice_text(key);
    return (struct fleet_change){.verb = FLEET_INVALIDATE, .partition = p, .keys = &key_k, .keys_count = 1};
}

static void queue_key(struct world *w, const char *key, unsigned p)
{
    struct fleet_change change = invalidation(key, p);
    assert_int_equal(coherence_queue(w->c, &change), TIER_UNSAFE);
}

static void answer(struct world *w, struct fleet_change *change, enum fleet_outcome outcome, uint64_t v)
{
    change->outcome = outcome;
    change->v = v;
    change->epoch = E;
    coherence_answered(w->c, change, w->now);
}

static unsigned done_count;
static void done(struct fleet_change *change)
{
    done_count++;
}

static const char *trouble(const struct world *w)
{
    struct fleet_figures figures;
    coherence_measure(w->c, &figures);
    return figures.trouble;
}

/* ======= connecting ======= */

static void it_begins_suspect_and_asks_for_a_connection(void **state)
{
    struct world *w = *state;
    assert_int_equal(w->view->mode, SHM_SUSPECT);
    assert_int_equal(w->view->serve_until_ns, 0);
    pass(w, 10 * MS);
    assert_string_equal(w->asked, "C0");
}

static void c11_it_is_detached_only_when_the_first_attempt_failed(void **state)
{
    struct world *w = *state;
    connect_to(w);
    greet(w, 0, E, 10, 11);
    assert_int_equal(w->view->mode, SHM_SUSPECT);
    coherence_lost(w->c, "cut", w->now);
    assert_int_equal(w->mode_at_shown, SHM_DETACHED);
    connect_to(w);
    assert_int_equal(w->view->mode, SHM_DETACHED);
}

static void c10_the_order_is_hello_outbox_journal_fence(void **state)
{
    struct world *w = *state;
    queue_key(w, "a", 0);
    connect_to(w);
    assert_string_equal(w->asked, "C0H0H1");
    greet(w, 0, E, 10, 5);
    greet(w, 1, E, 10, 11);
    assert_string_equal(w->asked, "C0H0H1S0");
    assert_int_equal(w->view->mode, SHM_SUSPECT);
    answer(w, w->sent[0], FLEET_COMMITTED, 11);
    assert_string_equal(w->asked, "C0H0H1S0T0T1");
    assert_int_equal(coherence_state(w->c), COHERENCE_CATCHING_UP);
    record(w, 0, 11);
    assert_string_equal(w->asked, "C0H0H1S0T0T1F0F1");
    assert_int_equal(w->mode_at_shown, SHM_FRESH);
    assert_int_equal(w->view->of[0].fresh_until_ns, 0);
    coherence_fenced(w->c, 0, 11, w->now);
    assert_int_equal(w->view->of[0].fresh_until_ns, w->now + FLEET_FRESH_NS);
    assert_int_equal(w->view->of[1].fresh_until_ns, 0);
}

static void detached_lasts_until_every_partition_said_hello(void **state)
{
    struct world *w = *state;
    live(w);
    coherence_lost(w->c, "cut", w->now);
    assert_int_equal(w->mode_at_shown, SHM_DETACHED);
    connect_to(w);
    greet(w, 0, E, 10, 11);
    assert_int_equal(w->view->mode, SHM_DETACHED);
    greet(w, 1, E, 10, 11);
    assert_int_equal(w->view->mode, SHM_FRESH);
}

static void a_redis_that_never_answers_hello_is_left_after_a_second(void **state)
{
    struct world *w = *state;
    connect_to(w);
    pass(w, COHERENCE_ANSWER_NS);
    assert_int_equal(coherence_state(w->c), COHERENCE_HELLO);
    pass(w, 10 * MS);
    assert_int_equal(coherence_state(w->c), COHERENCE_DOWN);
}

static void the_pause_grows_until_a_fence_comes_back(void **state)
{
    struct world *w = *state;
    uint64_t pauses[3];
    pass(w, 10 * MS);
    for (unsigned i = 0; i < 3; i++) {
        coherence_lost(w->c, "refused", w->now);
        uint64_t from = w->now;
        while (coherence_state(w->c) == COHERENCE_DOWN)
            pass(w, MS);
        pauses[i] = w->now - from;
    }
    assert_int_equal(pauses[0], 50 * MS);
    assert_int_equal(pauses[1], 100 * MS);
    assert_int_equal(pauses[2], 200 * MS);
    live(w);
    coherence_lost(w->c, "refused", w->now);
    pass(w, 50 * MS);
    assert_int_equal(coherence_state(w->c), COHERENCE_CONNECTING);
}

static void an_attempt_that_went_unanswered_counts_as_the_pause_after_it(void **state)
{
    struct world *w = *state;
    pass(w, 10 * MS);
    pass(w, 30 * MS);
    coherence_lost(w->c, "silent", w->now);
    pass(w, 20 * MS - 1);
    assert_int_equal(coherence_state(w->c), COHERENCE_DOWN);
    pass(w, 1);
    assert_int_equal(coherence_state(w->c), COHERENCE_CONNECTING);
    pass(w, COHERENCE_CONNECT_NS);
    coherence_lost(w->c, "silent", w->now);
    pass(w, 1);
    assert_int_equal(coherence_state(w->c), COHERENCE_CONNECTING);
}

/* ======= epochs and gaps ======= */

static void i10_another_epoch_is_told_and_begins_at_its_position(void **state)
{
    struct world *w = *state;
    live(w);
    coherence_lost(w->c, "cut", w->now);
    connect_to(w);
    greet(w, 0, E - 1, 3, 1); /* smaller: only equality counts */
    assert_non_null(strstr(w->heard, "e0"));
    assert_int_equal(w->view->of[0].epoch, E - 1);
    assert_int_equal(w->view->of[0].applied, 3);
    assert_int_equal(w->view->of[0].floor, 0);
    assert_int_equal(w->view->of[0].fresh_until_ns, 0);
}

static void i2_a_position_that_went_back_in_an_epoch_is_not_taken(void **state)
{
    struct world *w = *state;
    live(w);
    coherence_lost(w->c, "cut", w->now);
    connect_to(w);
    greet(w, 0, E, 9, 5);
    assert_int_equal(coherence_state(w->c), COHERENCE_DOWN);
    assert_null(strstr(w->heard, "e0"));
    assert_int_equal(w->view->of[0].seen, 10); /* for the next hello to tell */
    connect_to(w);
    greet(w, 0, E + 1, 9, 10);
    assert_non_null(strstr(w->heard, "e0"));
    assert_int_equal(w->view->of[0].applied, 9);
}

static void i2_a_fence_below_what_was_known_at_its_sending_ends_the_session(void **state)
{
    struct world *w = *state;
    live(w);
    coherence_read_noticed(w->c, w->now);
    pass(w, 50 * MS);
    coherence_fenced(w->c, 0, 9, w->now);
    assert_int_equal(coherence_state(w->c), COHERENCE_DOWN);
    assert_int_equal(w->view->of[0].seen, 10);
}

static void a_record_may_overtake_the_answer_of_a_fence(void **state)
{
    struct world *w = *state;
    live(w);
    coherence_read_noticed(w->c, w->now);
    pass(w, 50 * MS);
    record(w, 0, 11);
    coherence_fenced(w->c, 0, 10, w->now);
    assert_int_equal(coherence_state(w->c), COHERENCE_LIVE);
    assert_null(strstr(w->heard, "e0"));
}

static void i2_a_journal_that_begins_too_late_raises_the_floor(void **state)
{
    struct world *w = *state;
    live(w);
    coherence_lost(w->c, "cut", w->now);
    connect_to(w);
    greet(w, 0, E, 20, 15);
    assert_int_equal(w->told_floor, 14);
    assert_int_equal(w->view->of[0].applied, 14);
    greet(w, 1, E, 20, 11);
    assert_int_equal(w->view->of[1].applied, 10);
    assert_int_equal(w->tail_after[0], 14);
    assert_int_equal(w->tail_after[1], 10);
}

static void i2_a_hole_raises_the_floor_and_goes_on(void **state)
{
    struct world *w = *state;
    live(w);
    record(w, 0, 13);
    assert_string_equal(w->heard, "g0a0r0");
    assert_int_equal(w->told_floor, 12);
    assert_int_equal(w->view->of[0].applied, 13);
    record(w, 0, 14);
    assert_string_equal(w->heard, "g0a0r0r0");
}

static void a_record_twice_is_heard_once(void **state)
{
    struct world *w = *state;
    live(w);
    record(w, 0, 11);
    record(w, 0, 11);
    record(w, 0, 7);
    assert_string_equal(w->heard, "r0");
    assert_int_equal(w->view->of[0].applied, 11);
}

static void notes_are_no_changes(void **state)
{
    struct world *w = *state;
    live(w);
    struct fleet_record note = {.v = 10};
    coherence_record(w->c, 0, 1, &note, w->now);
    note.v = 14;
    coherence_record(w->c, 0, 3, &note, w->now);
    assert_string_equal(w->heard, "");
    assert_int_equal(w->view->of[0].applied, 10);
}

static void i2_silence_beyond_delta_when_a_record_is_due_is_a_gap(void **state)
{
    struct world *w = *state;
    live(w);
    coherence_saw(w->c, 0, 12);
    pass(w, FLEET_FRESH_NS);
    assert_null(strstr(w->heard, "g0"));
    pass(w, 10 * MS);
    assert_non_null(strstr(w->heard, "g0"));
    assert_int_equal(w->told_floor, 12);
    assert_int_equal(w->view->of[0].applied, 12);
}

static void a_stopped_host_does_not_take_its_own_pause_for_silence(void **state)
{
    struct world *w = *state;
    live(w);
    coherence_saw(w->c, 0, 11);
    w->now += 30 * NS_PER_S;
    coherence_tick(w->c, w->now);
    assert_null(strstr(w->heard, "g0"));
    record(w, 0, 11);
    assert_non_null(strstr(w->heard, "r0"));
}

/* ======= fences ======= */

static void f13_a_fence_waits_for_the_journal_and_counts_from_its_sending(void **state)
{
    struct world *w = *state;
    live(w);
    uint64_t before = w->view->of[0].fresh_until_ns;
    coherence_read_noticed(w->c, w->now);
    pass(w, 50 * MS);
    uint64_t sent = w->now;
    pass(w, 20 * MS);
    coherence_fenced(w->c, 0, 12, w->now);
    record(w, 0, 11);
    assert_int_equal(w->view->of[0].fresh_until_ns, before);
    pass(w, 20 * MS);
    record(w, 0, 12);
    assert_int_equal(w->view->of[0].fresh_until_ns, sent + FLEET_FRESH_NS);
}

static unsigned fences_in(const char *asked)
{
    unsigned count = 0;
    for (; *asked; asked += 2)
        count += asked[0] == 'F' && asked[1] == '0';
    return count;
}

static void f13_eight_fences_at_most_are_under_way(void **state)
{
    struct world *w = *state;
    live(w);
    coherence_read_noticed(w->c, w->now);
    pass(w, 2 * NS_PER_S);
    assert_int_equal(fences_in(w->asked), FENCES_MAX);
}

static void f13_without_reads_no_more_fences(void **state)
{
    struct world *w = *state;
    live(w);
    coherence_read_noticed(w->c, w->now);
    w->now += FENCE_IDLE_NS;
    coherence_tick(w->c, w->now);
    assert_int_equal(fences_in(w->asked), 0);
    coherence_read_noticed(w->c, w->now);
    pass(w, 10 * MS);
    assert_int_equal(fences_in(w->asked), 1);
}

static void a_fence_nobody_sent_ends_the_session(void **state)
{
    struct world *w = *state;
    live(w);
    coherence_fenced(w->c, 0, 10, w->now);
    assert_int_equal(coherence_state(w->c), COHERENCE_DOWN);
}

static void detached_serves_until_the_oldest_last_fence_and_detached_max(void **state)
{
    struct world *w = *state;
    live(w);
    uint64_t first = w->now;
    coherence_read_noticed(w->c, w->now);
    pass(w, 50 * MS);
    coherence_fenced(w->c, 0, 10, w->now); /* partition 1 is not answered */
    coherence_lost(w->c, "cut", w->now);
    assert_int_equal(w->view->serve_until_ns, first + 48 * NS_PER_S);
    assert_int_equal(w->view->serve_spread_ns, 24 * NS_PER_S);
}

static void f14_after_a_restart_the_memory_says_how_long_may_be_served(void **state)
{
    struct world *w = *state;
    struct fleet_memory known[PARTITIONS] = {{E, 10, 4, 900 * NS_PER_S}, {E, 8, 0, 950 * NS_PER_S}};
    reopen(w, BACKLOG_MAX, known);
    assert_int_equal(w->view->serve_until_ns, 948 * NS_PER_S);
    assert_int_equal(w->view->of[0].floor, 4);
    struct fleet_memory unknown[PARTITIONS] = {{E, 10, 4, 900 * NS_PER_S}, {E, 8, 0, 0}};
    reopen(w, BACKLOG_MAX, unknown);
    assert_int_equal(w->view->serve_until_ns, 0);
}

static void c11_after_a_restart_the_journal_goes_on_where_the_memory_was(void **state)
{
    struct world *w = *state;
    struct fleet_memory memory[PARTITIONS] = {{E, 8, 0, 0}, {E, 10, 0, 0}};
    reopen(w, BACKLOG_MAX, memory);
    connect_to(w);
    greet(w, 0, E, 10, 1);
    greet(w, 1, E, 10, 1);
    assert_string_equal(w->heard, "");
    assert_int_equal(w->tail_after[0], 8);
    assert_int_equal(w->view->mode, SHM_SUSPECT);
    record(w, 0, 9);
    record(w, 0, 10);
    assert_int_equal(w->view->mode, SHM_FRESH);
}

static void i6_the_position_is_kept_after_its_effects(void **state)
{
    struct world *w = *state;
    live(w);
    pass(w, 10 * MS);
    forget_asked(w);
    record(w, 1, 11);
    assert_string_equal(w->heard, "r1");
    pass(w, 10 * MS);
    assert_string_equal(w->heard, "r1a1");
    pass(w, 50 * MS);
    assert_string_equal(w->heard, "r1a1");
}

/* ======= changes ======= */

static void a_change_is_sent_and_its_position_seen(void **state)
{
    struct world *w = *state;
    live(w);
    struct fleet_change change = invalidation("a", 1);
    change.done = done;
    done_count = 0;
    assert_int_equal(coherence_commit(w->c, &change), FLEET_PENDING);
    answer(w, &change, FLEET_COMMITTED, 12);
    assert_int_equal(done_count, 1);
    assert_int_equal(w->view->of[1].seen, 12);
    assert_int_equal(w->view->of[1].applied, 10);
}

static void c9_what_was_in_flight_is_unknown_and_what_was_not_sent_away(void **state)
{
    struct world *w = *state;
    live(w);
    struct fleet_change first = invalidation("a", 0), second = first;
    first.done = second.done = done;
    done_count = 0;
    assert_int_equal(coherence_commit(w->c, &first), FLEET_PENDING);
    coherence_lost(w->c, "cut", w->now);
    assert_int_equal(done_count, 1);
    assert_int_equal(first.outcome, FLEET_UNKNOWN);
    assert_int_equal(coherence_commit(w->c, &second), FLEET_DONE);
    assert_int_equal(second.outcome, FLEET_AWAY);
    assert_int_equal(done_count, 1);
}

static void without_room_a_change_is_away(void **state)
{
    struct world *w = *state;
    live(w);
    w->no_room = true;
    struct fleet_change change = invalidation("a", 0);
    assert_int_equal(coherence_commit(w->c, &change), FLEET_DONE);
    assert_int_equal(change.outcome, FLEET_AWAY);
}

/* ======= believing ======= */

static void i9_a_reply_of_an_older_session_is_not_believed(void **state)
{
    struct world *w = *state;
    live(w);
    uint64_t session = w->view->session;
    assert_true(coherence_may_believe(w->c, session, 0, E, 10));
    coherence_lost(w->c, "cut", w->now);
    assert_false(coherence_may_believe(w->c, session, 0, E, 10));
    live(w);
    assert_false(coherence_may_believe(w->c, session, 0, E, 10));
    assert_true(coherence_may_believe(w->c, w->view->session, 0, E, 10));
    assert_false(coherence_may_believe(w->c, w->view->session, 0, E + 1, 10));
}

static void f14_each_absence_is_another_session(void **state)
{
    struct world *w = *state;
    connect_to(w);
    uint64_t granted_before_hello = w->view->session;
    greet(w, 0, E, 10, 11);
    greet(w, 1, E, 10, 11);
    coherence_lost(w->c, "cut", w->now);
    assert_int_equal(w->view->mode, SHM_DETACHED);
    assert_int_not_equal(w->view->session, granted_before_hello);
}

/* What was granted while Redis is away holds as long as it is away: nothing was heard of it in between. */
static void f14_an_attempt_that_never_connected_is_no_other_absence(void **state)
{
    struct world *w = *state;
    live(w);
    coherence_lost(w->c, "cut", w->now);
    uint64_t granted = w->view->session;
    for (unsigned attempts = 0; attempts < 3; attempts++) {
        while (coherence_state(w->c) == COHERENCE_DOWN)
            pass(w, 10 * MS);
        coherence_lost(w->c, "refused", w->now);
        assert_int_equal(w->view->session, granted);
    }
    connect_to(w);
    assert_int_not_equal(w->view->session, granted);
}

static void i3_a_reply_below_the_floor_is_not_believed(void **state)
{
    struct world *w = *state;
    live(w);
    record(w, 0, 21);
    assert_false(coherence_may_believe(w->c, w->view->session, 0, E, 19));
    assert_true(coherence_may_believe(w->c, w->view->session, 0, E, 20));
    assert_true(coherence_may_believe(w->c, w->view->session, 1, E, 10));
}

static void c8_a_reply_read_before_the_outbox_was_through_is_not_believed(void **state)
{
    struct world *w = *state;
    queue_key(w, "a", 0);
    connect_to(w);
    greet(w, 0, E, 10, 11);
    greet(w, 1, E, 10, 11);
    assert_false(coherence_may_believe(w->c, w->view->session, 0, E, 10));
    answer(w, w->sent[0], FLEET_COMMITTED, 11);
    assert_false(coherence_may_believe(w->c, w->view->session, 0, E, 10));
    assert_true(coherence_may_believe(w->c, w->view->session, 0, E, 11));
    assert_true(coherence_may_believe(w->c, w->view->session, 1, E, 10));
}

static void kills_are_known_from_the_greeting_or_the_gap(void **state)
{
    struct world *w = *state;
    connect_to(w);
    struct coherence_hello hello = {.epoch = E, .v = 10, .first = 1, .killed = 6};
    coherence_greeted(w->c, 0, &hello, w->now);
    greet(w, 1, E, 10, 11);
    assert_false(coherence_knows_kills(w->c, 0, 5, 10, w->now));
    assert_true(coherence_knows_kills(w->c, 0, 6, 10, w->now));
    coherence_forgot(w->c, 0, 8);
    assert_false(coherence_knows_kills(w->c, 0, 7, 10, w->now));
    record(w, 0, 15);
    assert_false(coherence_knows_kills(w->c, 0, 13, 15, w->now));
    assert_true(coherence_knows_kills(w->c, 0, 14, 15, w->now));
}

/* What the journal lost before a restart is not known after it either: an entry from before may have been softened. */
static void c2_kills_below_the_floor_of_an_earlier_run_are_not_known(void **state)
{
    struct world *w = *state;
    struct fleet_memory memory[PARTITIONS] = {{E, 10, 7, 0}, {E, 10, 0, 0}};
    reopen(w, BACKLOG_MAX, memory);
    live(w);
    assert_false(coherence_knows_kills(w->c, 0, 6, 10, w->now));
    assert_true(coherence_knows_kills(w->c, 0, 7, 10, w->now));
    assert_true(coherence_knows_kills(w->c, 1, 6, 10, w->now));
}

static void c2_kills_that_wait_in_the_journal_are_known_only_while_somebody_vouches(void **state)
{
    struct world *w = *state;
    live(w);
    assert_true(coherence_knows_kills(w->c, 0, 9, 12, w->now));
    assert_false(coherence_knows_kills(w->c, 0, 9, 12, w->now + FLEET_FRESH_NS));
    assert_true(coherence_knows_kills(w->c, 0, 9, 10, w->now + FLEET_FRESH_NS));
}

/* ======= the outbox ======= */

static void equal_invalidations_wait_once(void **state)
{
    struct world *w = *state;
    queue_key(w, "a", 0);
    queue_key(w, "a", 0);
    queue_key(w, "a", 1);
    assert_int_equal(w->kept_count, 2);
    struct fleet_figures figures;
    coherence_measure(w->c, &figures);
    assert_int_equal(figures.outbox, 2);
}

static void one_that_is_on_its_way_is_not_the_later_one(void **state)
{
    struct world *w = *state;
    live(w);
    queue_key(w, "a", 0);
    queue_key(w, "a", 0);
    assert_int_equal(w->sent_count, 1);
    answer(w, w->sent[0], FLEET_COMMITTED, 11);
    assert_int_equal(w->sent_count, 2);
    answer(w, w->sent[1], FLEET_COMMITTED, 12);
    assert_int_equal(w->kept_count, 0);
}

static void i7_what_waited_is_done_here_under_the_position_it_got(void **state)
{
    struct world *w = *state;
    live(w);
    queue_key(w, "a", 0);
    assert_string_equal(w->heard, "");
    answer(w, w->sent[0], FLEET_COMMITTED, 12);
    assert_string_equal(w->heard, "r0");
    assert_int_equal(w->told_v, 12);
    assert_int_equal(w->told_keys, 1);
    assert_int_equal(w->view->of[0].applied, 10);
}

static void the_outbox_forgets_only_what_was_answered(void **state)
{
    struct world *w = *state;
    queue_key(w, "a", 0);
    queue_key(w, "b", 1);
    connect_to(w);
    greet(w, 0, E, 10, 11);
    greet(w, 1, E, 10, 11);
    answer(w, w->sent[1], FLEET_COMMITTED, 11);
    assert_int_equal(w->kept_count, 2); /* in order: the older one still waits */
    answer(w, w->sent[0], FLEET_COMMITTED, 11);
    assert_int_equal(w->kept_count, 0);
}

static void an_unanswered_batch_is_sent_again(void **state)
{
    struct world *w = *state;
    queue_key(w, "a", 0);
    connect_to(w);
    greet(w, 0, E, 10, 11);
    greet(w, 1, E, 10, 11);
    coherence_lost(w->c, "cut", w->now);
    assert_int_equal(w->kept_count, 1);
    connect_to(w);
    greet(w, 0, E, 10, 11);
    greet(w, 1, E, 10, 11);
    assert_int_equal(w->sent_count, 2);
    assert_int_equal(w->sent[1]->keys_count, 1);
}

static void a_refused_batch_ends_the_session_and_stays(void **state)
{
    struct world *w = *state;
    live(w);
    queue_key(w, "a", 0);
    w->sent[0]->why = "full";
    answer(w, w->sent[0], FLEET_FAILED, 0);
    assert_int_equal(coherence_state(w->c), COHERENCE_DOWN);
    assert_string_equal(trouble(w), "full");
    assert_int_equal(w->kept_count, 1);
}

static void a_batch_lost_with_its_link_leaves_the_reason_to_the_link(void **state)
{
    struct world *w = *state;
    live(w);
    queue_key(w, "a", 0);
    answer(w, w->sent[0], FLEET_UNKNOWN, 0);
    assert_int_equal(coherence_state(w->c), COHERENCE_LIVE);
    coherence_lost(w->c, "cut", w->now);
    assert_string_equal(trouble(w), "cut");
    assert_int_equal(w->kept_count, 1);
    connect_to(w);
    greet(w, 0, E, 10, 11);
    greet(w, 1, E, 10, 11);
    assert_int_equal(w->sent_count, 2);
}

static void the_outbox_survives_a_restart(void **state)
{
    struct world *w = *state;
    queue_key(w, "a", 0);
    struct slice tag = slice_text("t"), prefix = slice_text("p:");
    struct fleet_change names = {.verb = FLEET_INVALIDATE,
                                 .partition = 1,
                                 .tags = &tag,
                                 .tags_count = 1,
                                 .prefixes = &prefix,
                                 .prefixes_count = 1,
                                 .soft = true};
    coherence_queue(w->c, &names);
    reopen(w, BACKLOG_MAX, NULL);
    connect_to(w);
    greet(w, 0, E, 10, 11);
    greet(w, 1, E, 10, 11);
    assert_int_equal(w->sent_count, 2);
    assert_int_equal(w->sent[0]->keys_count, 1);
    assert_false(w->sent[0]->soft);
    assert_int_equal(w->sent[1]->tags_count, 1);
    assert_int_equal(w->sent[1]->prefixes_count, 1);
    assert_true(w->sent[1]->soft);
}

static void a_full_outbox_becomes_everything_for_each_partition(void **state)
{
    struct world *w = *state;
    reopen(w, 4, NULL);
    queue_key(w, "a", 0);
    queue_key(w, "b", 0);
    queue_key(w, "c", 1);
    queue_key(w, "d", 1);
    queue_key(w, "e", 0);
    struct fleet_figures figures;
    coherence_measure(w->c, &figures);
    assert_int_equal(figures.outbox, 2);
    queue_key(w, "f", 1);
    assert_int_equal(w->kept_count, 2);
    connect_to(w);
    greet(w, 0, E, 10, 11);
    greet(w, 1, E, 10, 11);
    assert_true(w->sent[0]->all && w->sent[1]->all);
    assert_false(w->sent[0]->soft);
}

static void a_batch_holds_256_of_one_softness(void **state)
{
    struct world *w = *state;
    w->outbox.ops = NULL;
    struct backlog *b = backlog_create(1, BACKLOG_MAX, NULL);
    char text[8];
    for (int i = 0; i < 300; i++) {
        snprintf(text, sizeof(text), "k%d", i);
        struct fleet_change change = invalidation(text, 0);
        change.soft = i == 299;
        backlog_add(b, &change);
    }
    static struct backlog_batch batch;
    assert_true(backlog_next(b, 0, &batch));
    assert_int_equal(batch.change.keys_count, BACKLOG_BATCH);
    backlog_answered(b, 0);
    assert_true(backlog_next(b, 0, &batch));
    assert_int_equal(batch.change.keys_count, 43);
    assert_false(batch.change.soft);
    backlog_answered(b, 0);
    assert_true(backlog_next(b, 0, &batch));
    assert_true(batch.change.soft);
    backlog_answered(b, 0);
    assert_false(backlog_next(b, 0, &batch));
    backlog_destroy(b);
}

static void globs_wait_in_the_backlog_like_other_names(void **state)
{
    struct world *w = *state;
    w->outbox.ops = NULL;
    struct backlog *b = backlog_create(1, BACKLOG_MAX, NULL);
    struct slice globs[] = {slice_text("a:*"), slice_text("*:b")};
    struct fleet_change change = {.verb = FLEET_INVALIDATE, .globs = globs, .globs_count = 2};
    backlog_add(b, &change);
    backlog_add(b, &change);
    static struct backlog_batch batch;
    assert_int_equal(backlog_count(b), 2);
    assert_true(backlog_next(b, 0, &batch));
    assert_int_equal(batch.change.globs_count, 2);
    assert_true(slice_equal(batch.change.globs[1], globs[1]));
    backlog_answered(b, 0);
    backlog_destroy(b);
}

#define T(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(it_begins_suspect_and_asks_for_a_connection),
        T(c11_it_is_detached_only_when_the_first_attempt_failed),
        T(c10_the_order_is_hello_outbox_journal_fence),
        T(detached_lasts_until_every_partition_said_hello),
        T(a_redis_that_never_answers_hello_is_left_after_a_second),
        T(the_pause_grows_until_a_fence_comes_back),
        T(an_attempt_that_went_unanswered_counts_as_the_pause_after_it),
        T(i10_another_epoch_is_told_and_begins_at_its_position),
        T(i2_a_position_that_went_back_in_an_epoch_is_not_taken),
        T(i2_a_fence_below_what_was_known_at_its_sending_ends_the_session),
        T(a_record_may_overtake_the_answer_of_a_fence),
        T(i2_a_journal_that_begins_too_late_raises_the_floor),
        T(i2_a_hole_raises_the_floor_and_goes_on),
        T(a_record_twice_is_heard_once),
        T(notes_are_no_changes),
        T(i2_silence_beyond_delta_when_a_record_is_due_is_a_gap),
        T(a_stopped_host_does_not_take_its_own_pause_for_silence),
        T(f13_a_fence_waits_for_the_journal_and_counts_from_its_sending),
        T(f13_eight_fences_at_most_are_under_way),
        T(f13_without_reads_no_more_fences),
        T(a_fence_nobody_sent_ends_the_session),
        T(detached_serves_until_the_oldest_last_fence_and_detached_max),
        T(f14_after_a_restart_the_memory_says_how_long_may_be_served),
        T(c11_after_a_restart_the_journal_goes_on_where_the_memory_was),
        T(i6_the_position_is_kept_after_its_effects),
        T(a_change_is_sent_and_its_position_seen),
        T(c9_what_was_in_flight_is_unknown_and_what_was_not_sent_away),
        T(without_room_a_change_is_away),
        T(i9_a_reply_of_an_older_session_is_not_believed),
        T(f14_each_absence_is_another_session),
        T(f14_an_attempt_that_never_connected_is_no_other_absence),
        T(i3_a_reply_below_the_floor_is_not_believed),
        T(c8_a_reply_read_before_the_outbox_was_through_is_not_believed),
        T(kills_are_known_from_the_greeting_or_the_gap),
        T(c2_kills_below_the_floor_of_an_earlier_run_are_not_known),
        T(c2_kills_that_wait_in_the_journal_are_known_only_while_somebody_vouches),
        T(equal_invalidations_wait_once),
        T(one_that_is_on_its_way_is_not_the_later_one),
        T(i7_what_waited_is_done_here_under_the_position_it_got),
        T(the_outbox_forgets_only_what_was_answered),
        T(an_unanswered_batch_is_sent_again),
        T(a_refused_batch_ends_the_session_and_stays),
        T(a_batch_lost_with_its_link_leaves_the_reason_to_the_link),
        T(the_outbox_survives_a_restart),
        T(a_full_outbox_becomes_everything_for_each_partition),
        T(a_batch_holds_256_of_one_softness),
        T(globs_wait_in_the_backlog_like_other_names),
    };
    return cmocka_run_group_tests_name("coherence", tests, NULL, NULL);
}
