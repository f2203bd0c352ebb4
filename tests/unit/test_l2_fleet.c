/* Two hosts on one loop, and a real Redis between them. */
#include "support/l2_rig.h"
#include "support/proxy.h"
#include "support/redis.h"

#include <sys/random.h>
#include "proto/shm.h"

struct fleet_rig {
    struct redis redis;
    struct l2_rig a, b;
};

static int begin(void **state)
{
    char url[200];
    struct fleet_rig *rig = calloc(1, sizeof(*rig));
    redis_prepare(&rig->redis, NULL);
    redis_start(&rig->redis);
    snprintf(url, sizeof(url), "unix:%s", rig->redis.socket);
    rig_prepare(&rig->a, NULL, url, 0xa);
    rig_prepare(&rig->b, rig->a.loop, url, 0xb);
    *state = rig;
    return 0;
}

static int finish(void **state)
{
    struct fleet_rig *rig = *state;
    rig_finish(&rig->b);
    rig_finish(&rig->a);
    redis_finish(&rig->redis);
    free(rig);
    return 0;
}

static struct fleet_rig *fresh(void **state, unsigned partitions)
{
    struct fleet_rig *rig = *state;
    rig->a.options.partitions = rig->b.options.partitions = partitions;
    rig_start(&rig->a);
    rig_start(&rig->b);
    L2_RIG_UNTIL(&rig->a, rig_fresh(&rig->a) && rig_fresh(&rig->b));
    return rig;
}

static struct rig_change set_of(struct l2_rig *rig, const char *key, struct slice value)
{
    return (struct rig_change){.change.verb = FLEET_SET, .entry = rig_entry(rig, key, value)};
}

static struct rig_change set(struct l2_rig *rig, const char *key, const char *value)
{
    struct rig_change c = set_of(rig, key, slice_text(value));
    assert_int_equal(rig_change(rig, &c), FLEET_COMMITTED);
    return c;
}

static enum fleet_outcome invalidate(struct l2_rig *rig, const char *key, const char *tag)
{
    struct rig_change c = {.change.verb = FLEET_INVALIDATE};
    c.names[0] = slice_text(key ? key : tag);
    c.change.keys = c.change.tags = c.names;
    c.change.keys_count = key != NULL;
    c.change.tags_count = tag != NULL;
    return rig_change(rig, &c);
}

/* ======= reads ======= */

static void what_one_host_sets_the_other_reads_in_all_three_ways(void **state)
{
    struct fleet_rig *rig = fresh(state, 1);
    struct rig_change c = set(&rig->a, "k", "value");
    struct rig_read plain = {0}, exact = {.read.exact = true}, same = {0};
    assert_int_equal(rig_get(&rig->b, &plain, "k"), TIER_FOUND);
    assert_int_equal(rig_get(&rig->b, &exact, "k"), TIER_FOUND);
    assert_string_equal(plain.value, "value");
    assert_string_equal(exact.value, "value");
    assert_int_equal(plain.entry.v, c.change.v);
    assert_int_equal(plain.entry.user_flags, 7);
    assert_int_equal(plain.entry.schema, 9);
    same.read.known.given = true;
    same.read.known.epoch = plain.entry.epoch;
    same.read.known.v = plain.entry.v;
    same.read.known.id = plain.entry.id;
    assert_int_equal(rig_get(&rig->b, &same, "k"), TIER_SAME);
    set(&rig->a, "k", "another");
    assert_int_equal(rig_get(&rig->b, &same, "k"), TIER_FOUND);
    assert_string_equal(same.value, "another");
}

static void a_life_is_shorter_there_than_here(void **state)
{
    struct fleet_rig *rig = fresh(state, 1);
    struct rig_read r = {0};
    set(&rig->a, "k", "value");
    uint64_t set_by_ns = clock_boot_ns();
    assert_int_equal(rig_get(&rig->b, &r, "k"), TIER_FOUND);
    assert_true(r.entry.hard_ns < set_by_ns + 60 * NS_PER_S);
    assert_true(r.entry.soft_ns < set_by_ns + 30 * NS_PER_S);
    assert_true(r.entry.soft_ns < r.entry.hard_ns);
}

static void a_large_value_is_packed_there_and_whole_here(void **state)
{
    static char value[1 << 20];
    struct fleet_rig *rig = fresh(state, 1);
    struct rig_read r = {0};
    memset(value, 'x', sizeof(value));
    struct rig_change c = set_of(&rig->a, "k", slice_of(value, sizeof(value)));
    assert_int_equal(rig_change(&rig->a, &c), FLEET_COMMITTED);
    assert_true(atol(redis_ask(&rig->redis, "STRLEN {ns}:e:k") + 1) < 1000);
    assert_int_equal(rig_get(&rig->b, &r, "k"), TIER_FOUND);
    assert_int_equal(r.value_bytes, sizeof(value));
}

static void what_is_known_to_be_absent_is_an_answer(void **state)
{
    struct fleet_rig *rig = fresh(state, 1);
    struct rig_read r = {0};
    struct rig_change c = set_of(&rig->a, "k", slice_of(NULL, 0));
    c.entry.absent = true;
    assert_int_equal(rig_change(&rig->a, &c), FLEET_COMMITTED);
    assert_int_equal(rig_get(&rig->b, &r, "k"), TIER_FOUND);
    assert_true(r.entry.absent);
}

static void tags_come_back_as_this_host_hashes_them(void **state)
{
    struct fleet_rig *rig = fresh(state, 1);
    struct rig_read r = {0};
    struct rig_change c = set_of(&rig->a, "k", slice_text("value"));
    c.names[0] = c.names[2] = slice_text("red");
    c.names[1] = slice_text("blue");
    c.change.tags = c.names;
    c.change.tags_count = 3;
    assert_int_equal(rig_change(&rig->a, &c), FLEET_COMMITTED);
    assert_int_equal(rig_get(&rig->b, &r, "k"), TIER_FOUND);
    assert_int_equal(r.entry.tags_count, 2);
    assert_true(r.entry.tags[0] == shm_hash_name(L2_RIG_SECRET, SHM_NAME_TAG, slice_text("red")));
    assert_true(r.entry.tags[1] == shm_hash_name(L2_RIG_SECRET, SHM_NAME_TAG, slice_text("blue")));
    assert_int_equal(invalidate(&rig->a, NULL, "red"), FLEET_COMMITTED);
    r.read.exact = true;
    assert_int_equal(rig_get(&rig->b, &r, "k"), TIER_MISSED);
}

static void a_foreign_value_at_an_entry_is_a_miss_and_is_gone_over(void **state)
{
    struct fleet_rig *rig = fresh(state, 1);
    struct rig_read r = {0};
    uint64_t session = rig_view(&rig->b)->session;
    redis_ask(&rig->redis, "RPUSH {ns}:e:k foreign");
    assert_int_equal(rig_get(&rig->b, &r, "k"), TIER_MISSED);
    set(&rig->a, "k", "value");
    assert_int_equal(rig_get(&rig->b, &r, "k"), TIER_FOUND);
    assert_int_equal(rig_view(&rig->b)->session, session);
}

/* ======= changes ======= */

static void conditions_are_judged_there(void **state)
{
    struct fleet_rig *rig = fresh(state, 1);
    struct rig_change c = set_of(&rig->a, "k", slice_text("value"));
    c.change.condition = FLEET_IF_PRESENT;
    assert_int_equal(rig_change(&rig->a, &c), FLEET_NOT_FOUND);
    c.change.condition = FLEET_IF_ABSENT;
    assert_int_equal(rig_change(&rig->a, &c), FLEET_COMMITTED);
    assert_int_equal(rig_change(&rig->b, &c), FLEET_EXISTS);
    c.change.condition = FLEET_IF_VERSION;
    c.change.expected_epoch = c.change.epoch;
    c.change.expected_v = c.change.v;
    c.change.expected_id = c.entry.id;
    assert_int_equal(rig_change(&rig->b, &c), FLEET_COMMITTED);
    assert_int_equal(rig_change(&rig->b, &c), FLEET_CONFLICT);
}

static void touch_tells_the_life_there_and_takes_no_position(void **state)
{
    struct fleet_rig *rig = fresh(state, 1);
    struct rig_change c = set(&rig->a, "k", "value"), t = {.change.verb = FLEET_TOUCH};
    t.entry = rig_entry(&rig->b, "k", slice_of(NULL, 0));
    t.entry.hard_ns += 60 * NS_PER_S;
    assert_int_equal(rig_change(&rig->b, &t), FLEET_COMMITTED);
    assert_int_equal(t.change.v, c.change.v);
    assert_int_equal(t.change.id, c.entry.id);
    assert_true(t.change.hard_ns > c.entry.hard_ns &&
                t.change.hard_ns <= loop_now_ns(rig->b.loop) + 120 * NS_PER_S);
    t.entry.key = slice_text("none");
    assert_int_equal(rig_change(&rig->b, &t), FLEET_NOT_FOUND);
}

static void a_fill_after_an_invalidation_is_refused(void **state)
{
    struct fleet_rig *rig = fresh(state, 1);
    struct rig_change c = set_of(&rig->a, "k", slice_text("value"));
    struct rig_read r = {0};
    c.change.verb = FLEET_FILL;
    assert_int_equal(rig_get(&rig->a, &r, "k"), TIER_MISSED);
    c.change.since_v = r.read.at_v;
    assert_int_equal(invalidate(&rig->b, "k", NULL), FLEET_COMMITTED);
    assert_int_equal(rig_change(&rig->a, &c), FLEET_REFUSED);
    c.change.since_v = c.change.v;
    assert_int_equal(rig_change(&rig->a, &c), FLEET_COMMITTED);
    assert_int_equal(rig_get(&rig->b, &r, "k"), TIER_FOUND);
}

static void each_host_hears_of_the_others_changes(void **state)
{
    struct fleet_rig *rig = fresh(state, 1);
    set(&rig->a, "k", "value");
    L2_RIG_UNTIL(&rig->b, rig->b.heard.records == 1);
    assert_string_equal(rig->b.heard.name, "k");
    assert_int_equal(invalidate(&rig->b, NULL, "red"), FLEET_COMMITTED);
    L2_RIG_UNTIL(&rig->a, rig->a.heard.records == 2);
    assert_string_equal(rig->a.heard.name, "red");
    assert_int_equal(rig->a.heard.tags_count, 1);
}

static void four_partitions_have_four_orders(void **state)
{
    enum { KEYS = 32 };
    struct fleet_rig *rig = fresh(state, 4);
    uint64_t sum = 0;
    char key[8];
    for (unsigned i = 0; i < KEYS; i++) {
        snprintf(key, sizeof(key), "k%u", i);
        set(&rig->a, key, key);
    }
    L2_RIG_UNTIL(&rig->b, rig->b.heard.records == KEYS);
    for (unsigned i = 0; i < KEYS; i++) {
        struct rig_read r = {0};
        snprintf(key, sizeof(key), "k%u", i);
        assert_int_equal(rig_get(&rig->b, &r, key), TIER_FOUND);
        assert_string_equal(r.value, key);
    }
    for (unsigned p = 0; p < 4; p++) {
        assert_true(rig_view(&rig->b)->of[p].applied > 0);
        sum += rig_view(&rig->b)->of[p].applied;
    }
    assert_int_equal(sum, KEYS);
}

/* ======= a Redis that forgets ======= */

static void forget_scripts(struct fleet_rig *rig)
{
    assert_string_equal(redis_ask(&rig->redis, "SCRIPT FLUSH"), "+OK");
}

/* Whatever is asked next, each time. */
static void what_redis_forgets_of_our_scripts_it_is_told_again_and_nobody_sees_it(void **state)
{
    static char large[200 << 10];
    struct fleet_rig *rig = fresh(state, 1);
    struct rig_read exact = {.read.exact = true}, same = {.read.known.given = true};
    struct rig_change touch = {.change.verb = FLEET_TOUCH}, fill = set_of(&rig->b, "l", slice_text("loaded"));
    uint64_t session = rig_view(&rig->a)->session, other_session = rig_view(&rig->b)->session;
    forget_scripts(rig);
    struct rig_change c = set(&rig->a, "k", "value");
    forget_scripts(rig);
    assert_int_equal(rig_get(&rig->b, &exact, "k"), TIER_FOUND);
    assert_string_equal(exact.value, "value");
    same.read.known.epoch = exact.entry.epoch;
    same.read.known.v = exact.entry.v;
    same.read.known.id = exact.entry.id;
    forget_scripts(rig);
    assert_int_equal(rig_get(&rig->b, &same, "k"), TIER_SAME);
    touch.entry = rig_entry(&rig->b, "k", slice_of(NULL, 0));
    forget_scripts(rig);
    assert_int_equal(rig_change(&rig->b, &touch), FLEET_COMMITTED);
    fill.change.verb = FLEET_FILL;
    fill.change.since_v = c.change.v;
    forget_scripts(rig);
    assert_int_equal(rig_change(&rig->b, &fill), FLEET_COMMITTED);
    forget_scripts(rig);
    assert_int_equal(invalidate(&rig->a, "k", NULL), FLEET_COMMITTED);
    CHECK(getrandom(large, sizeof(large), 0) == sizeof(large));
    c = set_of(&rig->a, "k", slice_of(large, sizeof(large)));
    forget_scripts(rig);
    assert_int_equal(rig_change(&rig->a, &c), FLEET_COMMITTED);
    assert_int_equal(rig_get(&rig->a, &exact, "k"), TIER_FOUND); /* somebody reads: promises are wanted */
    forget_scripts(rig);
    uint64_t until_ns = rig_view(&rig->a)->of[0].fresh_until_ns;
    L2_RIG_UNTIL(&rig->a, rig_view(&rig->a)->of[0].fresh_until_ns > until_ns); /* a fence */
    assert_int_equal(rig_view(&rig->a)->session, session);
    assert_int_equal(rig_view(&rig->b)->session, other_session);
    assert_null(rig_health(&rig->a).trouble);
}

static void what_was_under_way_when_scripts_were_forgotten_all_happens(void **state)
{
    enum { MANY = 300 };
    struct fleet_rig *rig = fresh(state, 1);
    static struct rig_change changes[MANY];
    uint64_t session = rig_view(&rig->a)->session;
    for (unsigned i = 0; i < MANY; i++) {
        changes[i] = set_of(&rig->a, "k", slice_text("v"));
        rig_commit(&rig->a, &changes[i]);
    }
    forget_scripts(rig);
    for (unsigned i = 0; i < MANY; i++) {
        rig_wait_change(&rig->a, &changes[i]);
        assert_int_equal(changes[i].change.outcome, FLEET_COMMITTED);
    }
    L2_RIG_UNTIL(&rig->b, rig->b.heard.records == MANY);
    assert_int_equal(rig_view(&rig->a)->session, session);
}

/* ======= a Redis that does not answer ======= */

enum { ASKED = 20 };

/* Everybody who asks is told, once; how it ends is the deadline's matter. */
static void ask_all(struct l2_rig *rig, const char *how)
{
    struct rig_read reads[ASKED] = {0};
    struct rig_change changes[ASKED] = {0};
    uint64_t began_ns = clock_boot_ns();
    for (unsigned i = 0; i < ASKED; i++) {
        changes[i] = set_of(rig, "k", slice_text("v"));
        reads[i].read.exact = i % 2;
        rig_commit(rig, &changes[i]);
        rig_ask(rig, &reads[i], "k");
    }
    for (unsigned i = 0; i < ASKED; i++)
        L2_RIG_UNTIL(rig, reads[i].done == 1 && changes[i].done == 1);
    print_message("# %s: all %d told after %llu ms\n", how, 2 * ASKED,
                  (unsigned long long)((clock_boot_ns() - began_ns) / NS_PER_MS));
}

static void a_stopped_redis_keeps_nobody_waiting_beyond_the_deadline(void **state)
{
    struct fleet_rig *rig = *state;
    rig->a.options.command_timeout = 100 * NS_PER_MS;
    fresh(state, 1);
    redis_freeze(&rig->redis);
    ask_all(&rig->a, "stopped");
    L2_RIG_UNTIL(&rig->a, rig_view(&rig->a)->mode == SHM_DETACHED);
    ask_all(&rig->a, "detached");
    redis_thaw(&rig->redis);
    L2_RIG_UNTIL(&rig->a, rig_fresh(&rig->a));
}

static void a_slow_or_swallowed_way_keeps_nobody_waiting_beyond_the_deadline(void **state)
{
    struct fleet_rig *rig = *state;
    struct proxy proxy;
    struct l2_rig c;
    char url[64];
    proxy_start(&proxy, rig->redis.socket);
    snprintf(url, sizeof(url), "redis://127.0.0.1:%u", proxy.port);
    rig_prepare(&c, rig->a.loop, url, 0xc);
    c.options.command_timeout = NS_PER_S;
    fresh(state, 1);
    rig_start(&c);
    L2_RIG_UNTIL(&c, rig_fresh(&c));
    proxy_tell(&proxy, "delay down 50");
    ask_all(&c, "slow by 50 ms");
    assert_true(rig_view(&c)->mode != SHM_DETACHED);
    proxy_tell(&proxy, "swallow both");
    ask_all(&c, "swallowed");
    rig_finish(&c);
    proxy_stop(&proxy);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_one_host_sets_the_other_reads_in_all_three_ways),
        CASE(a_life_is_shorter_there_than_here),
        CASE(a_large_value_is_packed_there_and_whole_here),
        CASE(what_is_known_to_be_absent_is_an_answer),
        CASE(tags_come_back_as_this_host_hashes_them),
        CASE(a_foreign_value_at_an_entry_is_a_miss_and_is_gone_over),
        CASE(conditions_are_judged_there),
        CASE(touch_tells_the_life_there_and_takes_no_position),
        CASE(a_fill_after_an_invalidation_is_refused),
        CASE(each_host_hears_of_the_others_changes),
        CASE(four_partitions_have_four_orders),
        CASE(what_redis_forgets_of_our_scripts_it_is_told_again_and_nobody_sees_it),
        CASE(what_was_under_way_when_scripts_were_forgotten_all_happens),
        CASE(a_stopped_redis_keeps_nobody_waiting_beyond_the_deadline),
        CASE(a_slow_or_swallowed_way_keeps_nobody_waiting_beyond_the_deadline),
    };
    if (!redis_installed()) {
        puts("1..0 # SKIP redis-server is not installed");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
