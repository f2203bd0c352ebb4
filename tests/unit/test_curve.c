/* What other sizes would do, learnt from a sample: against exact LRU on the same requests, with bounds.  Deterministic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include "bench/keys.h"
#include "bench/model.h"
#include "bench/stacks.h"
#include "base/clock.h"
#include "l1/curve.h"

enum { FOREVER = UINT32_MAX, GRID = 20 };

static uint64_t hash_of(uint64_t key)
{
    return mix64(key * 0x9e3779b97f4a7c15ull + 1);
}

static struct curve *make(uint32_t keys)
{
    return curve_create(&(struct curve_setup){.keys = keys});
}

/* A read-through use: what is not there is brought in. */
static void use(struct curve *c, uint64_t key, uint32_t bytes, bool there)
{
    struct curve_item item = {.bytes = bytes, .end = FOREVER};
    if (there) {
        curve_found(c, hash_of(key), &item, 1, 0);
        return;
    }
    curve_missed(c, hash_of(key), 0);
    curve_stored(c, hash_of(key), &item, 0);
}

/* ---- against the truth -------------------------------------------------------------------------------------------- */

static struct recorded zipf_trace(uint32_t keys, double s, uint64_t count)
{
    struct recorded t = {.keys = keys, .count = count, .requests = malloc(count * sizeof(*t.requests))};
    struct rng rng = {11};
    struct zipf zipf;
    zipf_init(&zipf, keys, s);
    for (uint64_t i = 0; i < count; i++) {
        uint32_t key = (uint32_t)zipf_next(&zipf, &rng);
        t.requests[i] = (struct recorded_request){.key = key, .bytes = 100 + (hash_of(key) % 900 & 1023)};
    }
    return t;
}

/* The mean error over sizes up to twice `whole`, from a curve that was told all as if nothing had been there. */
static double error_of(const struct recorded *t, uint32_t keys_watched, uint64_t whole, bool bytes)
{
    struct curve *c = make(keys_watched);
    uint64_t sizes[GRID];
    double exact[GRID], error = 0;
    curve_capacity(c, whole);
    for (uint64_t i = 0; i < t->count; i++)
        use(c, t->requests[i].key, bytes ? t->requests[i].bytes : 1, false);
    curve_told(c, t->count, t->count, 1);
    for (unsigned i = 0; i < GRID; i++)
        sizes[i] = whole * (i + 1) / 10;
    stacks_misses(t, bytes, sizes, GRID, exact);
    for (unsigned i = 0; i < GRID; i++)
        error += fabs(curve_lru(c, (double)sizes[i]).misses - exact[i]) / GRID;
    curve_destroy(c);
    return error;
}

static void when_all_keys_are_watched_it_is_that_of_lru(void **state)
{
    struct recorded t = zipf_trace(3000, 0.8, 100000);
    assert_true(error_of(&t, 5000, 1000, false) < 0.001);
    assert_true(error_of(&t, 5000, 500000, true) < 0.001);
    recorded_free(&t);
}

static void a_sample_of_a_fiftieth_is_near_it(void **state)
{
    struct recorded t = zipf_trace(400000, 0.9, 1000000);
    assert_true(error_of(&t, CURVE_KEYS, 60000, false) < 0.01);
    assert_true(error_of(&t, CURVE_KEYS, 30000000, true) < 0.01);
    recorded_free(&t);
}

static struct recorded recorded_of(const char *path)
{
    struct recorded t = {0};
    struct trace *from = trace_open(path);
    assert_non_null(from);
    assert_int_equal(recorded_read(&t, from, 0), 0);
    trace_close(from);
    return t;
}

/* A cache under the daemon's policy, whose hits are told late and lossy. */
static double play(const struct recorded *t, uint64_t capacity, struct curve *c)
{
    struct model_setup setup = {.keys = t->keys,
                                .capacity = capacity,
                                .segments = 64,
                                .ghosts = 4 * capacity,
                                .watched = 4096,
                                .items_max = capacity,
                                .touch_delay = 1000,
                                .seed = 1,
                                .curve = c,
                                .curve_by = MODEL_CURVE_WATCHED};
    struct model *m = model_create(&setup);
    uint64_t misses = 0;
    for (uint64_t i = 0; i < t->count; i++)
        misses += !model_request(m, t->requests[i].key, 1);
    if (c)
        model_tell_curve(m);
    model_destroy(m);
    return (double)misses / (double)t->count;
}

static void on_a_recorded_trace_it_says_what_half_and_half_more_would_do(void **state)
{
    struct recorded t = recorded_of(WEB07);
    for (uint64_t capacity = 1000; capacity <= 4000; capacity *= 2) {
        struct curve *c = make(CURVE_KEYS);
        double now = play(&t, capacity, c);
        assert_true(fabs(curve_predict(c, 1).misses - now) < 0.001);
        assert_true(fabs(curve_predict(c, 0.5).misses - play(&t, capacity / 2, NULL)) < 0.025);
        assert_true(fabs(curve_predict(c, 1.5).misses - play(&t, capacity * 3 / 2, NULL)) < 0.015);
        curve_destroy(c);
    }
    recorded_free(&t);
}

static void a_loop_is_seen_for_what_it_is(void **state)
{
    struct curve *c = make(2000);
    curve_capacity(c, 800);
    for (uint64_t i = 0; i < 100000; i++)
        use(c, i % 1000, 1, false);
    curve_told(c, 100000, 100000, 1);
    assert_true(curve_lru(c, 950).misses > 0.98);
    assert_true(curve_lru(c, 1050).misses < 0.02);
    curve_destroy(c);
}

/* The sample may have the hottest key of all in it, or not. */
static void a_key_that_has_half_of_all_uses_does_not_bend_it(void **state)
{
    for (uint64_t hot = 1000000; hot < 1000008; hot++) {
        struct curve *c = make(1000);
        struct rng rng = {hot};
        curve_capacity(c, 10000);
        for (int i = 0; i < 400000; i++)
            use(c, i % 2 ? hot : rng_below(&rng, 20000), 1, false);
        curve_told(c, 400000, 400000, 1);
        assert_true(fabs(curve_lru(c, 10000).misses - 0.25) < 0.03);
        curve_destroy(c);
    }
}

/* ---- what memory does not help ----------------------------------------------------------------------------------------- */

static struct curve_summary summary(struct curve *c)
{
    struct curve_summary s;
    curve_summarize(c, &s);
    return s;
}

static void what_has_ended_is_counted_apart_and_takes_no_bytes(void **state)
{
    struct curve *c = make(100);
    curve_stored(c, hash_of(1), &(struct curve_item){.bytes = 50, .end = 10}, 5);
    curve_stored(c, hash_of(2), &(struct curve_item){.bytes = 70, .end = FOREVER}, 5);
    curve_missed(c, hash_of(1), 10);
    curve_missed(c, hash_of(2), 10);
    curve_told(c, 2, 2, 1);
    assert_true(summary(c).expired == 1);
    assert_true(summary(c).far == 0);
    assert_true(curve_lru(c, 60).misses == 1);
    assert_true(curve_lru(c, 75).misses == 0.5);
    curve_destroy(c);
}

static void what_was_invalidated_is_counted_apart(void **state)
{
    struct curve *c = make(100);
    for (uint64_t key = 1; key <= 3; key++)
        curve_stored(c, hash_of(key), &(struct curve_item){.bytes = 1, .end = FOREVER}, 0);
    curve_invalidated(c, hash_of(1));
    curve_missed(c, hash_of(1), 0);
    assert_true(summary(c).invalidated == 1);
    curve_cleared(c);
    curve_missed(c, hash_of(2), 0);
    curve_missed(c, hash_of(3), 0);
    assert_true(summary(c).invalidated == 3);
    curve_destroy(c);
}

static void a_longer_life_is_heeded(void **state)
{
    struct curve *c = make(100);
    curve_stored(c, hash_of(1), &(struct curve_item){.bytes = 1, .end = 10}, 0);
    curve_prolonged(c, hash_of(1), 20);
    curve_missed(c, hash_of(1), 15);
    assert_true(summary(c).expired == 0);
    curve_destroy(c);
}

static void come_again(struct curve *c, uint64_t key, uint32_t content, bool invalidated)
{
    struct curve_item item = {.bytes = 1, .end = invalidated ? 30 : 10, .content = 77, .policy = 3};
    curve_stored(c, hash_of(key), &item, 0);
    if (invalidated)
        curve_invalidated(c, hash_of(key));
    item.content = content;
    item.end = FOREVER;
    curve_stored(c, hash_of(key), &item, 20);
}

static void it_knows_whether_what_came_back_was_the_same(void **state)
{
    struct curve *c = make(100);
    struct curve_policy of[CURVE_POLICIES];
    come_again(c, 1, 77, false);
    come_again(c, 2, 78, false);
    come_again(c, 3, 77, true);
    come_again(c, 4, 0, true); /* not known */
    curve_policies(c, of);
    assert_true(of[3].expired == 2 && of[3].expired_same == 1);
    assert_true(of[3].invalidated == 1 && of[3].invalidated_same == 1);
    assert_true(of[3].bytes_share == 1 && of[0].bytes_share == 0);
    curve_destroy(c);
}

/* ---- bounds --------------------------------------------------------------------------------------------------------------- */

static void ever_new_keys_make_it_watch_fewer_only_as_far_as_memory_reaches(void **state)
{
    struct curve *c = make(1000);
    curve_capacity(c, 5000);
    for (uint64_t i = 0; i < 2000000; i++)
        use(c, i, 1, false);
    assert_true(summary(c).keys <= 1000);
    assert_true(curve_below(c) > CURVE_TAGS / 50); /* 1,000 of 20,000 would be a twentieth */
    curve_destroy(c);
}

static void dead_keys_make_room(void **state)
{
    struct curve *c = make(1000);
    curve_capacity(c, 1 << 30);
    for (uint32_t i = 0; i < 1000000; i++)
        curve_stored(c, hash_of(i), &(struct curve_item){.bytes = 1, .end = i + 100}, i);
    assert_int_equal(curve_below(c), CURVE_TAGS);
    curve_destroy(c);
}

static void crowded_places_stand_for_more_and_then_for_fewer_keys(void **state)
{
    struct curve *c = make(100);
    assert_true(curve_crowd(c, 1, 256) < 1.01);
    assert_true(fabs(curve_crowd(c, 128, 256) - 1.386) < 0.01);
    assert_int_equal(curve_below(c), CURVE_TAGS);
    for (int i = 0; i < 40; i++)
        curve_crowd(c, 250, 256);
    assert_true(curve_below(c) < CURVE_TAGS);
    curve_destroy(c);
}

static void crowd(struct curve *c, unsigned drains)
{
    for (unsigned i = 0; i < drains; i++)
        curve_crowd(c, 250, 256);
}

static void whatever_is_written_as_touches_some_keys_are_watched(void **state)
{
    struct curve *c = make(100);
    crowd(c, 10000);
    uint32_t least = curve_below(c);
    assert_true(least >= 64);
    crowd(c, 1000);
    assert_int_equal(curve_below(c), least);
    curve_destroy(c);
}

static void a_burst_of_touches_is_forgotten_though_nothing_is_used(void **state)
{
    struct curve *c = make(100);
    uint64_t now_ns = NS_PER_S;
    curve_told(c, 0, 0, now_ns);
    crowd(c, 10000);
    for (int hour = 0; hour < 10; hour++)
        curve_told(c, 0, 0, now_ns += 3600 * NS_PER_S);
    assert_int_equal(curve_below(c), CURVE_TAGS);
    curve_destroy(c);
}

static void where_touches_are_always_too_many_it_begins_anew_less_and_less_often(void **state)
{
    struct curve *c = make(100);
    uint64_t now_ns = NS_PER_S;
    unsigned anew = 0;
    for (int minute = 0; minute < 7 * 24 * 60; minute++) {
        uint32_t before = curve_below(c);
        curve_told(c, 0, 0, now_ns += 60 * NS_PER_S);
        anew += curve_below(c) > before;
        crowd(c, 1000);
    }
    assert_in_range(anew, 7, 20);
    curve_destroy(c);
}

static void another_load_takes_over(void **state)
{
    struct curve *c =
        curve_create(&(struct curve_setup){.keys = 4000, .halving_ns = 10, .halving_uses = 10000});
    struct rng rng = {5};
    uint64_t uses = 0;
    curve_capacity(c, 1000);
    for (int phase = 0; phase < 2; phase++)
        for (int i = 0; i < 200000; i++) {
            use(c, rng_below(&rng, phase ? 500 : 2000), 1, false);
            uses++;
            curve_told(c, uses, uses, uses);
        }
    assert_true(curve_lru(c, 600).misses < 0.01); /* 0.7 of the first */
    curve_destroy(c);
}

static void fewer_entries_are_watched_more_closely(void **state)
{
    struct curve *c =
        curve_create(&(struct curve_setup){.keys = 1000, .halving_ns = 10, .halving_uses = 1000});
    uint64_t uses = 0;
    curve_capacity(c, 100000);
    for (uint64_t i = 0; i < 400000; i++)
        use(c, i, 1, false);
    uint32_t before = curve_below(c);
    for (uint64_t i = 0; i < 800000; i++) {
        use(c, 1000000 + i, 1000, false);
        uses++;
        curve_told(c, uses, uses, uses);
    }
    assert_true(curve_below(c) >= 8 * before);
    curve_destroy(c);
}

static void before_much_is_seen_it_says_so(void **state)
{
    struct curve *c = make(1000);
    assert_false(summary(c).enough);
    for (int i = 0; i < 20000; i++)
        use(c, (uint64_t)(i % 500), 1, false);
    curve_told(c, 20000, 20000, 1);
    assert_true(summary(c).enough);
    curve_destroy(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(when_all_keys_are_watched_it_is_that_of_lru),
        cmocka_unit_test(a_sample_of_a_fiftieth_is_near_it),
        cmocka_unit_test(on_a_recorded_trace_it_says_what_half_and_half_more_would_do),
        cmocka_unit_test(a_loop_is_seen_for_what_it_is),
        cmocka_unit_test(a_key_that_has_half_of_all_uses_does_not_bend_it),
        cmocka_unit_test(what_has_ended_is_counted_apart_and_takes_no_bytes),
        cmocka_unit_test(what_was_invalidated_is_counted_apart),
        cmocka_unit_test(a_longer_life_is_heeded),
        cmocka_unit_test(it_knows_whether_what_came_back_was_the_same),
        cmocka_unit_test(ever_new_keys_make_it_watch_fewer_only_as_far_as_memory_reaches),
        cmocka_unit_test(dead_keys_make_room),
        cmocka_unit_test(crowded_places_stand_for_more_and_then_for_fewer_keys),
        cmocka_unit_test(whatever_is_written_as_touches_some_keys_are_watched),
        cmocka_unit_test(a_burst_of_touches_is_forgotten_though_nothing_is_used),
        cmocka_unit_test(where_touches_are_always_too_many_it_begins_anew_less_and_less_often),
        cmocka_unit_test(another_load_takes_over),
        cmocka_unit_test(fewer_entries_are_watched_more_closely),
        cmocka_unit_test(before_much_is_seen_it_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
