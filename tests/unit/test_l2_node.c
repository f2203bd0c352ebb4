/* The Redis tier against a Redis that greets well and then answers what no real one would: whatever that is, each
 * question is answered once, nothing wrong is believed, and health says what it was. */
#include "support/l2_rig.h"
#include "l2/coherence.h"
#include "support/puppet_redis.h"

struct node_rig {
    struct l2_rig l2;
    struct puppet puppet;
};

static int begin(void **state)
{
    struct node_rig *rig = calloc(1, sizeof(*rig));
    rig_prepare(&rig->l2, NULL, "unix:/nowhere", 0x1234);
    puppet_begin(&rig->puppet, rig->l2.loop);
    *state = rig;
    return 0;
}

static int finish(void **state)
{
    struct node_rig *rig = *state;
    rig_finish(&rig->l2);
    puppet_end(&rig->puppet);
    free(rig);
    return 0;
}

#define UNTIL(rig, condition) L2_RIG_UNTIL(&(rig)->l2, condition)

static struct node_rig *fresh(void **state)
{
    struct node_rig *rig = *state;
    rig->puppet.v = 100;
    rig_start(&rig->l2);
    UNTIL(rig, rig_fresh(&rig->l2));
    return rig;
}

static void expect_trouble(struct node_rig *rig, const char *words)
{
    UNTIL(rig, rig_view(&rig->l2)->mode == SHM_DETACHED && rig_health(&rig->l2).trouble);
    const char *trouble = rig_health(&rig->l2).trouble;
    if (!strstr(trouble, words))
        fail_msg("\"%s\" does not say \"%s\"", trouble, words);
}

/* ======= beginning and end ======= */

static void its_end_is_told_once(void **state)
{
    fresh(state); /* the rig asserts it */
}

static void its_end_is_told_once_while_it_is_down(void **state)
{
    struct node_rig *rig = *state;
    rig_start(&rig->l2);
}

static void its_end_is_told_once_while_it_greets(void **state)
{
    struct node_rig *rig = *state;
    rig->puppet.instead[ASK_PING] = slice_text("");
    rig_start(&rig->l2);
    UNTIL(rig, rig->puppet.asked[ASK_PING] == 3);
}

static void what_is_under_way_at_the_end_is_answered(void **state)
{
    struct node_rig *rig = fresh(state);
    struct rig_read read = {0};
    struct rig_change change = {.change.verb = FLEET_SET, .entry = rig_entry(&rig->l2, "k", slice_text("v"))};
    rig_ask(&rig->l2, &read, "k");
    rig_commit(&rig->l2, &change);
    l2_stop(rig->l2.l2, rig_on_stopped, &rig->l2);
    UNTIL(rig, rig->l2.stopped && read.done && change.done);
    assert_int_equal(read.done + change.done, 2);
    assert_int_equal(read.outcome, TIER_MISSED);
    assert_int_equal(change.change.outcome, FLEET_UNKNOWN);
    rig->l2.l2 = l2_destroy(rig->l2.l2);
}

static void a_link_that_ends_as_the_last_one_is_greeted_ends_the_attempt(void **state)
{
    struct node_rig *rig = *state;
    struct slice pong = slice_text("+OK\r\n+PONG\r\n");
    rig->puppet.instead[ASK_NAME] = rig->puppet.instead[ASK_PING] = slice_text("");
    rig_start(&rig->l2);
    UNTIL(rig, rig->puppet.asked[ASK_PING] == 3);
    puppet_say(&rig->puppet, 0, pong);
    puppet_say(&rig->puppet, 1, pong);
    puppet_hang_up(&rig->puppet, 0);
    puppet_say(&rig->puppet, 2, pong);
    expect_trouble(rig, "the connection to Redis ended");
    rig->puppet.instead[ASK_NAME] = rig->puppet.instead[ASK_PING] = slice_of(NULL, 0);
    UNTIL(rig, rig_fresh(&rig->l2));
}

/* ======= limits ======= */

enum { MANY = 1400 };

static struct rig_change *commit_many(struct node_rig *rig, unsigned *ret_away)
{
    struct rig_change *changes = calloc(MANY, sizeof(*changes));
    *ret_away = 0;
    for (unsigned i = 0; i < MANY; i++) {
        changes[i].change.verb = FLEET_SET;
        changes[i].entry = rig_entry(&rig->l2, "k", slice_text("v"));
        rig_commit(&rig->l2, &changes[i]);
        *ret_away += changes[i].done;
    }
    return changes;
}

/* Fences that found no room would be missed for ever: after eight nobody would vouch any more. */
static void a_link_full_of_changes_has_room_for_fences(void **state)
{
    struct node_rig *rig = fresh(state);
    unsigned away, fences = rig->puppet.asked[SCRIPT_FENCE];
    struct rig_read read = {0};
    rig_get(&rig->l2, &read, "k"); /* somebody reads: promises are wanted */
    rig->puppet.instead[SCRIPT_SET] = rig->puppet.instead[SCRIPT_FENCE] = slice_text("");
    struct rig_change *changes = commit_many(rig, &away);
    assert_int_equal(away, MANY - 1024);
    UNTIL(rig, rig->puppet.asked[SCRIPT_FENCE] > fences);
    puppet_hang_up(&rig->puppet, 0);
    UNTIL(rig, rig_view(&rig->l2)->mode == SHM_DETACHED);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(changes[i].done, 1);
    free(changes);
}

static void a_read_that_finds_no_room_is_a_miss_at_once(void **state)
{
    struct node_rig *rig = fresh(state);
    static struct rig_read reads[MANY];
    unsigned missed = 0;
    memset(reads, 0, sizeof(reads));
    for (unsigned i = 0; i < MANY; i++) {
        rig_ask(&rig->l2, &reads[i], "k");
        missed += reads[i].done;
    }
    assert_int_equal(missed, MANY - (1024 - 2)); /* one look at clock and counter for all */
    for (unsigned i = 0; i < MANY; i++)
        UNTIL(rig, reads[i].done == 1);
    assert_int_equal(rig->puppet.asked[ASK_TIME], 1);
    assert_int_equal(rig->puppet.asked[ASK_COUNTER], 1);
}

/* The longest call there can be: 256 keys of 1,024 bytes behind the longest prefix. */
static void the_largest_invalidation_fits(void **state)
{
    enum { KEYS = 256, KEY = 1024, PREFIX = 512 };
    struct node_rig *rig = *state;
    static char key[KEY], prefix[PREFIX + 1];
    struct slice keys[KEYS];
    struct rig_change c = {.change = {.verb = FLEET_INVALIDATE, .keys = keys, .keys_count = KEYS}};
    memset(key, 'k', sizeof(key));
    memset(prefix, 'p', PREFIX);
    for (unsigned i = 0; i < KEYS; i++)
        keys[i] = slice_of(key, KEY);
    rig->l2.options.key_prefix = prefix;
    fresh(state);
    assert_int_equal(rig_change(&rig->l2, &c), FLEET_COMMITTED);
    c.change.keys_count = 0;
    c.change.tags = keys;
    c.change.tags_count = KEYS;
    assert_int_equal(rig_change(&rig->l2, &c), FLEET_COMMITTED);
    c.change.all = true; /* one more than a call takes */
    assert_int_equal(rig_change(&rig->l2, &c), FLEET_AWAY);
}

/* ======= deadlines ======= */

static void quick(struct node_rig *rig)
{
    rig->l2.options.command_timeout = 250 * NS_PER_MS;
}

/* Answered, and the session over, without a word from Redis. */
static void silence_is_an_answer_within_the_deadline(void **state)
{
    struct node_rig *rig = *state;
    quick(rig);
    fresh(state);
    struct rig_read read = {0};
    struct rig_change change = {.change.verb = FLEET_SET, .entry = rig_entry(&rig->l2, "k", slice_text("v"))};
    for (unsigned i = 0; i < ASKS; i++)
        rig->puppet.instead[i] = slice_text("");
    rig_ask(&rig->l2, &read, "k");
    rig_commit(&rig->l2, &change);
    UNTIL(rig, read.done && change.done);
    assert_int_equal(read.outcome, TIER_MISSED);
    assert_int_equal(change.change.outcome, FLEET_UNKNOWN);
    expect_trouble(rig, "in time");
}

/* Longer than what the membership allows by itself. */
static void a_connection_may_take_as_long_as_the_option_says(void **state)
{
    struct node_rig *rig = *state;
    quick(rig);
    rig->l2.options.connect_timeout = 60 * NS_PER_S;
    rig->puppet.instead[ASK_NAME] = rig->puppet.instead[ASK_PING] = slice_text("");
    rig_start(&rig->l2);
    UNTIL(rig, rig->puppet.asked[ASK_PING] == 3);
    uint64_t asked_ns = loop_now_ns(rig->l2.loop);
    UNTIL(rig, loop_now_ns(rig->l2.loop) - asked_ns > COHERENCE_CONNECT_NS + 2 * COHERENCE_ANSWER_NS);
    for (unsigned link = 0; link < 3; link++)
        puppet_say(&rig->puppet, link, slice_text("+OK\r\n+PONG\r\n"));
    UNTIL(rig, rig_fresh(&rig->l2));
    assert_int_equal(rig_view(&rig->l2)->session, 1);
    assert_null(rig_health(&rig->l2).trouble);
}

/* Nobody waits for it, and to leave a busy Redis makes it busier. */
static void a_slow_hello_is_waited_for_longer_than_a_change(void **state)
{
    struct node_rig *rig = *state;
    struct buffer hello;
    quick(rig);
    rig->puppet.v = 100;
    rig->puppet.instead[SCRIPT_HELLO] = slice_text("");
    rig_start(&rig->l2);
    UNTIL(rig, rig->puppet.asked[SCRIPT_HELLO] == 1);
    uint64_t asked_ns = loop_now_ns(rig->l2.loop);
    UNTIL(rig, loop_now_ns(rig->l2.loop) - asked_ns > 4 * rig->l2.options.command_timeout);
    buffer_init(&hello, 4096);
    puppet_answer(&rig->puppet, (enum puppet_ask)SCRIPT_HELLO, &hello);
    puppet_say(&rig->puppet, 0, slice_of(hello.data, hello.size));
    buffer_finish(&hello);
    UNTIL(rig, rig_fresh(&rig->l2));
    assert_int_equal(rig_view(&rig->l2)->session, 1);
}

/* The first way took most of the time; the second has its own deadline, the caller has not. */
static void a_read_of_two_ways_has_one_deadline(void **state)
{
    struct node_rig *rig = *state;
    rig->l2.options.command_timeout = NS_PER_S;
    fresh(state);
    struct rig_read read = {.read.known.given = true};
    uint64_t asked_ns = loop_now_ns(rig->l2.loop), session = rig_view(&rig->l2)->session;
    rig->puppet.instead[SCRIPT_SAME] = rig->puppet.instead[SCRIPT_GETL] = slice_text("");
    rig_ask(&rig->l2, &read, "k");
    UNTIL(rig, loop_now_ns(rig->l2.loop) - asked_ns > 600 * NS_PER_MS);
    puppet_say(&rig->puppet, 2, slice_text("*3\r\n:100\r\n:5\r\n$1\r\n0\r\n"));
    assert_int_equal(read.done, 0);
    UNTIL(rig, read.done);
    assert_int_equal(rig->puppet.asked[SCRIPT_GETL], 1);
    assert_int_equal(rig_view(&rig->l2)->session, session);
    assert_int_equal(rig_view(&rig->l2)->mode, SHM_FRESH); /* the link is not blamed */
    puppet_say(&rig->puppet, 2, slice_text("*3\r\n$4\r\nMISS\r\n:100\r\n:5\r\n"));
    assert_int_equal(read.done, 1);
}

/* ======= the log and health ======= */

static void trouble_that_only_the_membership_saw_is_shown(void **state)
{
    struct node_rig *rig = *state;
    rig->puppet.instead[SCRIPT_HELLO] =
        slice_text("*11\r\n$8\r\n" PUPPET_EPOCH "\r\n:100\r\n:102\r\n:5\r\n:0\r\n:0\r\n:0\r\n"
                   "$5\r\n7.0.0\r\n$0\r\n\r\n:0\r\n:0\r\n");
    rig_start(&rig->l2);
    expect_trouble(rig, "in a way it cannot");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(its_end_is_told_once),
        CASE(its_end_is_told_once_while_it_is_down),
        CASE(its_end_is_told_once_while_it_greets),
        CASE(what_is_under_way_at_the_end_is_answered),
        CASE(a_link_that_ends_as_the_last_one_is_greeted_ends_the_attempt),
        CASE(a_link_full_of_changes_has_room_for_fences),
        CASE(a_read_that_finds_no_room_is_a_miss_at_once),
        CASE(the_largest_invalidation_fits),
        CASE(silence_is_an_answer_within_the_deadline),
        CASE(a_connection_may_take_as_long_as_the_option_says),
        CASE(a_slow_hello_is_waited_for_longer_than_a_change),
        CASE(a_read_of_two_ways_has_one_deadline),
        CASE(trouble_that_only_the_membership_saw_is_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
