/* larder_async with a real daemon: every verb, and daemons that come, go and stand still.  get_or_load is in
 * test_client_async_load.c. */
#include "support/async_rig.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* ======= verbs ======= */

static void what_was_set_is_got(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(set_it(f->a, "k", "value").result, LARDER_OK);
    struct told t = get_it(f->a, "k");
    assert_int_equal(t.result, LARDER_HIT);
    assert_string_equal(t.text, "value");
    expect_text(f->c, "k", "value");
}

static void the_second_get_is_found_in_shared_memory(void **state)
{
    struct fixture *f = *state;
    larder_value v = LARDER_VALUE_INIT;
    set_it(f->a, "k", "value");
    get_near(f->a, "k");
    assert_int_equal(larder_async_near(f->a, T("k"), &v), LARDER_HIT);
    assert_int_equal(larder_async_near(f->a, T("nothing"), &v), LARDER_MISS);
    larder_value_free(&v);
}

static void no_callback_is_called_before_the_loop_turns(void **state)
{
    struct fixture *f = *state;
    struct told t = {0};
    set_it(f->a, "k", "value");
    get_near(f->a, "k");
    larder_async_get(f->a, T("k"), NULL, tell, &t);
    assert_int_equal(t.times, 0);
    assert_int_equal(larder_async_timeout(f->a), 0);
    TURN_UNTIL(f->a, t.times);
    assert_int_equal(t.times, 1);
}

static void hundreds_of_requests_are_on_their_way_at_once(void **state)
{
    struct fixture *f = *state;
    struct told t = {0};
    char key[16];
    for (int i = 0; i < 500; i++) {
        snprintf(key, sizeof(key), "many:%d", i);
        assert_int_equal(larder_async_set(f->a, T(key), T("x"), NULL, tell, &t), LARDER_OK);
    }
    TURN_UNTIL(f->a, t.times == 500);
    for (int i = 0; i < 500; i++) {
        snprintf(key, sizeof(key), "many:%d", i);
        assert_int_equal(get_result(f->c, key), LARDER_HIT);
    }
}

static void more_than_a_thousand_calls_at_once_are_refused(void **state)
{
    struct fixture *f = *state;
    struct told t = {0};
    int taken = 0;
    while (larder_async_get(f->a, T("k"), NULL, tell, &t) == LARDER_OK)
        taken++;
    assert_int_equal(taken, 1024);
    assert_int_equal(larder_async_get(f->a, T("k"), NULL, tell, &t), LARDER_E_BUSY);
    TURN_UNTIL(f->a, t.times == taken);
    assert_int_equal(get_it(f->a, "k").result, LARDER_MISS);
}

static void count_many(void *user, int result, larder_value *values, size_t count)
{
    struct told *t = user;
    t->times++;
    t->result = result;
    for (size_t i = 0; i < count; i++)
        t->hits += values[i].result == LARDER_HIT && values[i].size > 0;
}

static void a_batch_tells_each_key_also_where_answers_are_too_large_for_one_message(void **state)
{
    struct fixture *f = *state;
    struct told t = {0};
    static char large[700000];
    larder_slice keys[] = {T("b:1"), T("b:2"), T("b:3"), T("b:none"), T("b:small")};
    memset(large, 'l', sizeof(large));
    for (int i = 0; i < 3; i++)
        assert_int_equal(larder_set(f->c, keys[i], larder_bytes(large, sizeof(large)), NULL), LARDER_OK);
    set_text(f->c, "b:small", "s");
    assert_int_equal(larder_async_mget(f->a, keys, 5, NULL, count_many, &t), LARDER_OK);
    TURN_UNTIL(f->a, t.times);
    assert_int_equal(t.result, 4);
    assert_int_equal(t.hits, 4);
}

static void an_invalidation_by_tag_is_seen_at_once(void **state)
{
    struct fixture *f = *state;
    struct told t = {0};
    larder_slice tag = T("red");
    larder_set_options how = LARDER_SET_OPTIONS_INIT;
    larder_invalidate_options o = LARDER_INVALIDATE_OPTIONS_INIT;
    larder_position position = {0};
    how.tags = o.tags = &tag;
    how.tags_count = o.tags_count = 1;
    o.ret_position = &position;
    assert_int_equal(larder_set(f->c, T("tagged"), T("x"), &how), LARDER_OK);
    assert_int_equal(larder_async_invalidate(f->a, &o, tell, &t), LARDER_OK);
    TURN_UNTIL(f->a, t.times);
    assert_int_equal(t.result, LARDER_OK);
    assert_true(position.v > 0);
    assert_int_equal(get_result(f->c, "tagged"), LARDER_MISS);
}

static int tag_it(struct fixture *f, const char *key, const larder_slice *tags, size_t count)
{
    struct told t = {0};
    assert_int_equal(larder_async_tag(f->a, larder_text(key), tags, count, tell, &t), LARDER_OK);
    TURN_UNTIL(f->a, t.times);
    return t.result;
}

static void a_tag_given_later_takes_the_entry_along(void **state)
{
    struct fixture *f = *state;
    larder_slice tags[] = {T("late"), T("late-too")};
    larder_invalidate_options o = LARDER_INVALIDATE_OPTIONS_INIT;
    assert_int_equal(larder_set(f->c, T("plain"), T("x"), NULL), LARDER_OK);
    assert_int_equal(tag_it(f, "plain", tags, 2), LARDER_OK);
    assert_int_equal(get_result(f->c, "plain"), LARDER_HIT);
    o.tags = &tags[1];
    o.tags_count = 1;
    assert_int_equal(larder_invalidate_all_of(f->c, &o), LARDER_OK);
    assert_int_equal(get_result(f->c, "plain"), LARDER_MISS);
    assert_int_equal(tag_it(f, "plain", tags, 2), LARDER_NOT_FOUND);
}

static void tags_that_cannot_be_are_refused_by_the_call_itself(void **state)
{
    struct fixture *f = *state;
    struct told t = {0};
    larder_slice tags[17] = {0}, red = T("red");
    assert_int_equal(larder_set(f->c, T("k"), T("x"), NULL), LARDER_OK);
    assert_int_equal(tag_it(f, "k", tags, 1), LARDER_E_LIMIT); /* an empty one: the daemon says so */
    assert_int_equal(larder_async_tag(f->a, T("k"), tags, 17, tell, &t), LARDER_E_LIMIT);
    assert_int_equal(larder_async_tag(f->a, T("k"), NULL, 1, tell, &t), LARDER_E_INVALID);
    assert_int_equal(larder_async_tag(f->a, T("k"), &red, 0, tell, &t), LARDER_E_INVALID);
    assert_int_equal(larder_async_tag(f->a, T(""), &red, 1, tell, &t), LARDER_E_KEY);
    assert_int_equal(t.times, 0);
}

static void what_makes_no_sense_is_told_by_the_call_itself(void **state)
{
    struct fixture *f = *state;
    struct told t = {0};
    static char huge[3 << 20];
    get_it(f->a, "k"); /* greeted, and so its limits are known */
    assert_int_equal(larder_async_get(f->a, T(""), NULL, tell, &t), LARDER_E_KEY);
    assert_int_equal(larder_async_get(f->a, T("k"), NULL, NULL, &t), LARDER_E_INVALID);
    assert_int_equal(larder_async_set(f->a, T("k"), larder_bytes(huge, sizeof(huge)), NULL, tell, &t),
                     LARDER_E_TOO_BIG);
    larder_invalidate_options nothing = LARDER_INVALIDATE_OPTIONS_INIT;
    assert_int_equal(larder_async_invalidate(f->a, &nothing, tell, &t), LARDER_E_INVALID);
    assert_int_equal(get_it(f->a, "k").result, LARDER_MISS);
    assert_int_equal(t.times, 0);
}

struct chain {
    larder_async *a;
    int left;
};

static void again(void *user, int result, larder_value *value)
{
    struct chain *c = user;
    if (c->left--)
        assert_int_equal(larder_async_get(c->a, T("k"), NULL, again, c), LARDER_OK);
}

static void a_callback_may_ask_again(void **state)
{
    struct fixture *f = *state;
    struct chain c = {f->a, 100};
    set_it(f->a, "k", "v");
    again(&c, 0, NULL);
    TURN_UNTIL(f->a, c.left < 0);
}

static void closing_tells_whoever_still_waits(void **state)
{
    struct fixture *f = *state;
    struct told t = {0};
    larder_options o = options_of(f);
    larder_async *a;
    assert_int_equal(larder_async_open(&a, &o), LARDER_OK);
    larder_async_get(a, T("k"), NULL, tell, &t);
    larder_async_close(a);
    assert_int_equal(t.times, 1);
    assert_int_equal(t.result, LARDER_MISS);
}

/* ======= daemons that come and go ======= */

static void without_a_daemon_gets_miss_and_changes_say_why(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(get_it(f->a, "k").result, LARDER_MISS);
    assert_int_equal(set_it(f->a, "k", "v").result, LARDER_E_UNREACHABLE);
}

static void a_daemon_that_starts_later_is_found(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(set_it(f->a, "k", "v").result, LARDER_E_UNREACHABLE);
    daemon_start(&f->larderd);
    TURN_UNTIL(f->a, set_it(f->a, "k", "v").result == LARDER_OK);
    assert_string_equal(get_it(f->a, "k").text, "v");
}

static void a_daemon_that_was_killed_and_started_again_is_found_with_its_memory(void **state)
{
    struct fixture *f = *state;
    set_it(f->a, "k", "v");
    get_it(f->a, "k");
    daemon_kill(&f->larderd);
    daemon_start(&f->larderd);
    TURN_UNTIL(f->a, set_it(f->a, "new", "n").result == LARDER_OK);
    get_near(f->a, "new");
}

static void a_daemon_that_stands_still_costs_a_deadline_once(void **state)
{
    struct fixture *f = *state;
    struct told first = {0}, rest = {0};
    larder_get_options how = LARDER_GET_OPTIONS_INIT;
    get_it(f->a, "k");
    daemon_freeze(&f->larderd);
    how.timeout_ms = 20;
    larder_async_get(f->a, T("one"), &how, tell, &first);
    for (int i = 0; i < 100; i++)
        larder_async_get(f->a, T("others"), NULL, tell, &rest); /* patient ones: told with the first */
    TURN_UNTIL(f->a, first.times && rest.times == 100);
    assert_int_equal(first.result, LARDER_MISS);
    daemon_thaw(&f->larderd);
    TURN_UNTIL(f->a, set_it(f->a, "k", "v").result == LARDER_OK);
}

static void a_child_may_close_what_its_parent_goes_on_using(void **state)
{
    struct fixture *f = *state;
    struct told t = {0};
    set_it(f->a, "k", "v");
    larder_async_set(f->a, T("k"), T("w"), NULL, tell, &t); /* under way */
    pid_t child = fork();
    if (child == 0) {
        larder_async_close(f->a);
        _exit(t.times);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    TURN_UNTIL(f->a, t.times);
    assert_int_equal(t.result, LARDER_OK);
    assert_string_equal(get_it(f->a, "k").text, "w");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DAEMON(what_was_set_is_got),
        WITH_DAEMON(the_second_get_is_found_in_shared_memory),
        WITH_DAEMON(no_callback_is_called_before_the_loop_turns),
        WITH_DAEMON(hundreds_of_requests_are_on_their_way_at_once),
        WITH_DAEMON(more_than_a_thousand_calls_at_once_are_refused),
        WITH_DAEMON(a_batch_tells_each_key_also_where_answers_are_too_large_for_one_message),
        WITH_DAEMON(an_invalidation_by_tag_is_seen_at_once),
        WITH_DAEMON(a_tag_given_later_takes_the_entry_along),
        WITH_DAEMON(tags_that_cannot_be_are_refused_by_the_call_itself),
        WITH_DAEMON(what_makes_no_sense_is_told_by_the_call_itself),
        WITH_DAEMON(a_callback_may_ask_again),
        WITH_DAEMON(closing_tells_whoever_still_waits),
        WITHOUT_DAEMON(without_a_daemon_gets_miss_and_changes_say_why),
        WITHOUT_DAEMON(a_daemon_that_starts_later_is_found),
        WITH_DAEMON(a_daemon_that_was_killed_and_started_again_is_found_with_its_memory),
        WITH_DAEMON(a_daemon_that_stands_still_costs_a_deadline_once),
        WITH_DAEMON(a_child_may_close_what_its_parent_goes_on_using),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
