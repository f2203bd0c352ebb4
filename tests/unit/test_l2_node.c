/* The Redis tier against a Redis that greets well and then answers what no real one would: whatever that is, each
 * question is answered once, nothing wrong is believed, and health says what it was. */
#include "support/l2_rig.h"
#include "support/puppet_redis.h"

#include "l2/fence.h"

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

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(its_end_is_told_once),
        CASE(its_end_is_told_once_while_it_is_down),
        CASE(its_end_is_told_once_while_it_greets),
        CASE(what_is_under_way_at_the_end_is_answered),
        CASE(a_link_that_ends_as_the_last_one_is_greeted_ends_the_attempt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
