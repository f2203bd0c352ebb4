/* What a set stores and when it is refused: fills, conditions, lives, the gate. */
#include <stdio.h>
#include "support/cache_rig.h"

/* ======= set ======= */

static void a_fill_is_stored_when_nothing_happened_since_its_miss(void **state)
{
    struct fixture *f = *state;
    struct asked miss;
    ask(f, &miss, "acme:k");
    set(f, "other", "x");
    assert_int_equal(set_with_token(f, &miss.get, "v", "t"), STATUS_OK);
    assert_int_equal(get(f, "acme:k"), STATUS_HIT);
}

/* C6, once for each way in which a key can be named. */
static void a_fill_is_refused_after_an_invalidation_of_its_key(void **state)
{
    struct fixture *f = *state;
    struct asked miss;
    ask(f, &miss, "acme:k");
    invalidate(f, "acme:k");
    assert_int_equal(set_with_token(f, &miss.get, "v", "t"), STATUS_REFUSED);
    assert_int_equal(get(f, "acme:k"), STATUS_MISS);
}

static void a_fill_is_refused_after_a_set_of_its_key(void **state)
{
    struct fixture *f = *state;
    struct asked miss;
    ask(f, &miss, "acme:k");
    set(f, "acme:k", "newer");
    assert_int_equal(set_with_token(f, &miss.get, "v", "t"), STATUS_REFUSED);
    assert_int_equal(get(f, "acme:k"), STATUS_HIT);
}

static void a_fill_is_refused_after_a_kill_of_its_tag(void **state)
{
    struct fixture *f = *state;
    struct asked miss;
    ask(f, &miss, "acme:k");
    kill_tag(f, "t");
    assert_int_equal(set_with_token(f, &miss.get, "v", "t"), STATUS_REFUSED);
}

static void a_fill_is_refused_after_a_kill_of_its_prefix(void **state)
{
    struct fixture *f = *state;
    struct asked miss;
    ask(f, &miss, "acme:k");
    struct slice prefixes[] = {slice_text("acme:")};
    struct cache_invalidate i = {.prefixes = prefixes, .prefixes_count = 1};
    cache_invalidate(f->cache, &i);
    assert_int_equal(i.status, STATUS_OK);
    assert_int_equal(set_with_token(f, &miss.get, "v", "t"), STATUS_REFUSED);
}

static void a_fill_is_refused_after_everything_was_invalidated(void **state)
{
    struct fixture *f = *state;
    struct asked miss;
    ask(f, &miss, "acme:k");
    struct cache_invalidate i = {.all = true};
    cache_invalidate(f->cache, &i);
    assert_int_equal(set_with_token(f, &miss.get, "v", "t"), STATUS_REFUSED);
}

static void a_token_of_another_epoch_or_of_the_future_is_refused(void **state)
{
    struct fixture *f = *state;
    struct asked miss;
    ask(f, &miss, "acme:k");
    miss.get.token[1] ^= 1;
    assert_int_equal(set_with_token(f, &miss.get, "v", "t"), STATUS_REFUSED);
    ask(f, &miss, "acme:k");
    miss.get.token[10] ^= 0x40;
    assert_int_equal(set_with_token(f, &miss.get, "v", "t"), STATUS_REFUSED);
    miss.get.token_bytes = 3;
    assert_int_equal(set_with_token(f, &miss.get, "v", "t"), STATUS_REFUSED);
}

static void positions_grow_and_begin_with_the_start_number(void **state)
{
    struct fixture *f = *state;
    struct cache_set a = a_set("a", "1"), b = a_set("b", "2");
    cache_set(f->cache, &a);
    cache_set(f->cache, &b);
    assert_int_equal(a.result.v, (3ull << 40) + 1);
    assert_int_equal(b.result.v, (3ull << 40) + 2);
    assert_int_equal(a.result.epoch, EPOCH);
}

static void a_ttl_of_zero_removes_and_stores_nothing(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "v");
    struct cache_set s = a_set("k", "w");
    s.ttl_ms = 0;
    cache_set(f->cache, &s);
    assert_int_equal(s.status, STATUS_SKIPPED);
    assert_int_equal(get(f, "k"), STATUS_MISS);
}

static void a_ceiling_bounds_the_life_that_is_asked_for(void **state)
{
    struct fixture *f = *state;
    struct cache_set s = a_set("k", "v");
    s.ttl_ms = UINT64_MAX - 1;
    s.stale_ms = UINT64_MAX - 1;
    cache_set(f->cache, &s);
    assert_int_equal(s.ttl_left_ms, 600 * 1000);
}

static void a_set_for_one_tier_takes_the_old_value_out_of_the_other(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "old");
    struct cache_set s = a_set("k", "new");
    s.tiers = 1 << TIER_WARM;
    cache_set(f->cache, &s);
    assert_null(table_tier_find(&f->l1, slice_text("k")));
    assert_memory_equal(table_tier_find(&f->warm, slice_text("k"))->value, "new", 3);
}

static void a_value_no_tier_takes_is_too_big_and_the_old_one_is_gone(void **state)
{
    struct fixture *f = *state;
    static char big[500];
    set(f, "k", "old");
    struct cache_set s = a_set("k", "");
    s.value = slice_of(big, sizeof(big));
    cache_set(f->cache, &s);
    assert_int_equal(s.status, STATUS_TOO_BIG);
    assert_int_equal(get(f, "k"), STATUS_MISS);
    s.value.size = 1001;
    assert_int_equal(cache_set(f->cache, &s), CACHE_DONE);
    assert_int_equal(s.status, STATUS_TOO_BIG);
}

/* The warm tier's queue was full in a burst of values that L1 does not take: that passes, "too big" would not. */
static void a_value_refused_for_want_of_room_is_told_to_come_back(void **state)
{
    struct fixture *f = *state;
    static char big[500];
    f->warm.refuse = f->warm.boundless = true;
    struct cache_set s = a_set("k", "");
    s.value = slice_of(big, sizeof(big));
    cache_set(f->cache, &s);
    assert_int_equal(s.status, STATUS_BUSY);
}

static void seventeen_tags_are_too_many_and_repeats_do_not_count(void **state)
{
    struct fixture *f = *state;
    static char names[17][4];
    struct slice tags[34];
    for (int i = 0; i < 17; i++) {
        names[i][0] = (char)('a' + i);
        tags[i] = tags[i + 17] = slice_text(names[i]);
    }
    struct cache_set s = a_set("k", "v");
    s.tags = tags;
    s.tags_count = 17;
    cache_set(f->cache, &s);
    assert_int_equal(s.status, STATUS_LIMIT);
    assert_int_equal(get(f, "k"), STATUS_MISS);
    for (int i = 16; i < 32; i++)
        tags[i] = tags[i - 16];
    s.tags_count = 32;
    cache_set(f->cache, &s);
    assert_int_equal(s.status, STATUS_OK);
}

static enum status set_if(struct fixture *f, enum cache_condition condition, struct version version)
{
    struct cache_set s = a_set("k", "w");
    s.condition = condition;
    s.version = version;
    assert_int_equal(cache_set(f->cache, &s), CACHE_DONE);
    return s.status;
}

static void conditions_are_judged_by_what_is_there(void **state)
{
    struct fixture *f = *state;
    struct version none = {0};
    assert_int_equal(set_if(f, CACHE_IF_PRESENT, none), STATUS_NOT_FOUND);
    assert_int_equal(set_if(f, CACHE_IF_VERSION, none), STATUS_NOT_FOUND);
    assert_int_equal(set_if(f, CACHE_IF_ABSENT, none), STATUS_OK);
    assert_int_equal(set_if(f, CACHE_IF_ABSENT, none), STATUS_EXISTS);
    assert_int_equal(set_if(f, CACHE_IF_PRESENT, none), STATUS_OK);
    assert_int_equal(set_if(f, CACHE_IF_VERSION, none), STATUS_CONFLICT);
    struct cache_set s = a_set("k", "v");
    cache_set(f->cache, &s);
    assert_int_equal(set_if(f, CACHE_IF_VERSION, s.result), STATUS_OK);
    assert_int_equal(set_if(f, CACHE_IF_VERSION, s.result), STATUS_CONFLICT);
}

/* The look of a compare-and-set waits for a disk; another set comes in between. */
static void a_condition_overtaken_by_a_change_is_judged_anew(void **state)
{
    struct fixture *f = *state;
    struct cache_set first = a_set("k", "v");
    cache_set(f->cache, &first);
    table_tier_find(&f->l1, slice_text("k"))->used = false;
    f->warm.slow = true;
    struct cache_set cas = a_set("k", "w");
    cas.condition = CACHE_IF_VERSION;
    cas.version = first.result;
    sets_done = 0;
    assert_int_equal(cache_set(f->cache, &cas), CACHE_PENDING);
    set(f, "k", "x");
    table_tier_land(&f->warm);
    assert_int_equal(sets_done, 1);
    assert_int_equal(cas.status, STATUS_CONFLICT);
}

static void a_change_that_is_not_safe_is_answered_after_its_commit(void **state)
{
    struct fixture *f = *state;
    f->warm.unsafe = true;
    sets_done = 0;
    struct cache_set s = a_set("k", "v");
    assert_int_equal(cache_set(f->cache, &s), CACHE_PENDING);
    assert_int_equal(get(f, "k"), STATUS_HIT);
    assert_int_equal(sets_done, 0);
    table_tier_commit(&f->warm);
    assert_int_equal(sets_done, 1);
    assert_int_equal(s.status, STATUS_OK);
}

/* F3: a killed predecessor's readers may still serve its segment. */
static void changes_wait_behind_the_gate_and_reads_do_not(void **state)
{
    struct fixture *f = *state;
    cache_destroy(f->cache);
    open_cache(f, f->now_ns + NS_PER_S);
    struct cache_set s = a_set("k", "v");
    sets_done = 0;
    assert_int_equal(cache_set(f->cache, &s), CACHE_PENDING);
    assert_int_equal(get(f, "k"), STATUS_MISS);
    cache_tick(f->cache);
    assert_int_equal(sets_done, 0);
    f->now_ns += NS_PER_S;
    cache_tick(f->cache);
    assert_int_equal(sets_done, 1);
    assert_int_equal(s.status, STATUS_OK);
    assert_int_equal(get(f, "k"), STATUS_HIT);
}

/* ======= as far as the turn goes ======= */

enum { HELD = 100 };

struct held {
    char keys[HELD][8];
    struct cache_set sets[HELD];
};

/* They are told in the order in which they are answered. */
static const struct cache_set *answered[HELD + 1];

static void note_answer(struct cache_set *set)
{
    answered[sets_done++] = set;
}

static void hold_sets(struct fixture *f, struct held *h)
{
    cache_destroy(f->cache);
    open_cache(f, f->now_ns + NS_PER_S);
    sets_done = 0;
    for (unsigned n = 0; n < HELD; n++) {
        snprintf(h->keys[n], sizeof(h->keys[n]), "k%u", n);
        h->sets[n] = a_set(h->keys[n], "v");
        h->sets[n].done = note_answer;
        assert_int_equal(cache_set(f->cache, &h->sets[n]), CACHE_PENDING);
    }
    f->now_ns += NS_PER_S;
}

static void a_long_turn_leaves_most_of_what_waited_for_the_gate_to_the_next(void **state)
{
    struct fixture *f = *state;
    static struct held h;
    hold_sets(f, &h);
    f->turn_is_long = true;
    assert_true(cache_tick(f->cache));
    assert_in_range(sets_done, 1, HELD / 4);
    unsigned before = sets_done;
    assert_true(cache_let_go(f->cache));
    assert_true(sets_done > before);
    assert_false(cache_idle(f->cache));
    f->turn_is_long = false;
    assert_false(cache_let_go(f->cache));
    assert_int_equal(sets_done, HELD);
    assert_true(cache_idle(f->cache));
    for (unsigned n = 0; n < HELD; n++)
        assert_ptr_equal(answered[n], &h.sets[n]);
}

static void a_set_that_comes_while_others_are_let_go_is_the_last_of_them(void **state)
{
    struct fixture *f = *state;
    static struct held h;
    hold_sets(f, &h);
    f->turn_is_long = true;
    cache_tick(f->cache);
    struct cache_set newer = a_set("k99", "newer");
    newer.done = note_answer;
    assert_int_equal(cache_set(f->cache, &newer), CACHE_PENDING);
    f->turn_is_long = false;
    cache_tick(f->cache);
    assert_ptr_equal(answered[HELD], &newer);
    struct asked a;
    ask(f, &a, "k99");
    assert_memory_equal(a.get.entry.value.data, "newer", 5);
    assert_int_equal(set(f, "k99", "not held"), STATUS_OK);
}

/* Turns may be long for other reasons, and all changes come by the line as long as there is one. */
static void fewer_wait_for_the_gate_each_turn_however_many_come(void **state)
{
    enum { COME = 20 };
    struct fixture *f = *state;
    static struct held h;
    static struct cache_set newer[HELD][COME];
    hold_sets(f, &h);
    f->turn_is_long = true;
    for (unsigned turn = 0; !cache_idle(f->cache); turn++) {
        assert_in_range(turn, 0, HELD / 4);
        for (unsigned n = 0; n < COME; n++) {
            newer[turn][n] = a_set("new", "v");
            assert_int_equal(cache_set(f->cache, &newer[turn][n]), CACHE_PENDING);
        }
        cache_let_go(f->cache);
    }
    assert_int_equal(set(f, "new", "v"), STATUS_OK);
}

static void an_invalidation_removes_what_was_set_before_it_while_both_waited(void **state)
{
    struct fixture *f = *state;
    static struct held h;
    hold_sets(f, &h);
    f->turn_is_long = true;
    cache_tick(f->cache);
    struct slice keys[] = {slice_text("k99")};
    struct cache_invalidate i = {.keys = keys, .keys_count = 1, .done = invalidate_done};
    assert_int_equal(cache_invalidate(f->cache, &i), CACHE_PENDING);
    while (cache_let_go(f->cache))
        ;
    assert_int_equal(sets_done, HELD + 1);
    assert_int_equal(get(f, "k99"), STATUS_MISS);
    assert_int_equal(get(f, "k98"), STATUS_HIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_fill_is_stored_when_nothing_happened_since_its_miss),
        TEST(a_long_turn_leaves_most_of_what_waited_for_the_gate_to_the_next),
        TEST(a_set_that_comes_while_others_are_let_go_is_the_last_of_them),
        TEST(fewer_wait_for_the_gate_each_turn_however_many_come),
        TEST(an_invalidation_removes_what_was_set_before_it_while_both_waited),
        TEST(a_fill_is_refused_after_an_invalidation_of_its_key),
        TEST(a_fill_is_refused_after_a_set_of_its_key),
        TEST(a_fill_is_refused_after_a_kill_of_its_tag),
        TEST(a_fill_is_refused_after_a_kill_of_its_prefix),
        TEST(a_fill_is_refused_after_everything_was_invalidated),
        TEST(a_token_of_another_epoch_or_of_the_future_is_refused),
        TEST(positions_grow_and_begin_with_the_start_number),
        TEST(a_ttl_of_zero_removes_and_stores_nothing),
        TEST(a_ceiling_bounds_the_life_that_is_asked_for),
        TEST(a_set_for_one_tier_takes_the_old_value_out_of_the_other),
        TEST(a_value_no_tier_takes_is_too_big_and_the_old_one_is_gone),
        TEST(a_value_refused_for_want_of_room_is_told_to_come_back),
        TEST(seventeen_tags_are_too_many_and_repeats_do_not_count),
        TEST(conditions_are_judged_by_what_is_there),
        TEST(a_condition_overtaken_by_a_change_is_judged_anew),
        TEST(a_change_that_is_not_safe_is_answered_after_its_commit),
        TEST(changes_wait_behind_the_gate_and_reads_do_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
