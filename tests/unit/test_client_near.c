/* What only a mapped segment can do wrong: daemons that die, stand still or come back, forks, zero copy.  Threads are in
 * test_client_near_threads.c. */
#include "support/client_near_rig.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ======= no daemon ======= */

static void without_a_daemon_a_get_is_a_miss_and_a_change_an_error(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(reason_of_miss(f->c, "k"), LARDER_REASON_UNREACHABLE);
    assert_int_equal(larder_set(f->c, larder_text("k"), larder_text("v"), NULL), LARDER_E_UNREACHABLE);
    assert_int_equal(larder_invalidate(f->c, larder_text("k")), LARDER_E_UNREACHABLE);
    assert_int_equal(larder_ping(f->c), LARDER_E_UNREACHABLE);
    assert_true(counted(f->c).unreachable >= 1003);
    assert_int_equal(counted(f->c).asked, 0);
}

static void a_strict_client_is_told(void **state)
{
    struct fixture *f = *state;
    larder_client *strict;
    larder_value v = LARDER_VALUE_INIT, many[3];
    larder_slice keys[] = {larder_text("a"), larder_text("b"), larder_text("c")};
    larder_options o = LARDER_OPTIONS_INIT;
    memset(many, 0, sizeof(many));
    o.socket = f->larderd.socket;
    o.strict = true;
    assert_int_equal(larder_open(&strict, &o), LARDER_OK);
    assert_int_equal(larder_get(strict, keys[0], NULL, &v), LARDER_E_UNREACHABLE);
    assert_int_equal(larder_mget(strict, keys, 3, NULL, many), LARDER_E_UNREACHABLE);
    assert_int_equal(larder_mget(f->c, keys, 3, NULL, many), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(many[i].reason, LARDER_REASON_UNREACHABLE);
    larder_close(strict);
}

static void a_daemon_that_comes_later_is_found(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(reason_of_miss(f->c, "k"), LARDER_REASON_UNREACHABLE);
    daemon_start(&f->larderd);
    store_near(f->c);
}

static void a_path_no_socket_can_have_is_refused(void **state)
{
    char path[200];
    larder_client *c;
    larder_options o = LARDER_OPTIONS_INIT;
    memset(path, 'p', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    o.socket = path;
    assert_int_equal(larder_open(&c, &o), LARDER_E_INVALID);
}

/* ======= a daemon that stands still ======= */

static void a_frozen_daemon_costs_deadlines_and_no_more(void **state)
{
    struct fixture *f = *state;
    UNTIL(stored(f->c, "k"));
    daemon_freeze(&f->larderd);
    bool timed_out = false;
    for (int i = 0; i < 20; i++) {
        int reason = reason_of_miss(f->c, "nobody has it");
        assert_true(reason == LARDER_REASON_TIMEOUT || reason == LARDER_REASON_UNREACHABLE);
        timed_out |= reason == LARDER_REASON_TIMEOUT;
    }
    assert_true(timed_out);
    int r = larder_set(f->c, larder_text("k"), larder_text("w"), NULL);
    assert_true(r == LARDER_E_TIMEOUT || r == LARDER_E_UNREACHABLE);
    daemon_thaw(&f->larderd);
    store_near(f->c);
}

static void a_change_that_a_frozen_daemon_may_have_got_is_a_time_out(void **state)
{
    struct fixture *f = *state;
    UNTIL(stored(f->c, "k"));
    uint64_t before = counted(f->c).timeouts;
    daemon_freeze(&f->larderd);
    assert_int_equal(larder_set(f->c, larder_text("k"), larder_text("w"), NULL), LARDER_E_TIMEOUT);
    assert_int_equal(counted(f->c).timeouts, before + 1);
    daemon_thaw(&f->larderd);
}

static void the_health_of_a_hung_daemon_is_read_from_its_segment(void **state)
{
    struct fixture *f = *state;
    char *json = NULL;
    store_near(f->c);
    daemon_freeze(&f->larderd);
    UNTIL(!near_hit(f->c, "k")); /* the lease is over */
    assert_int_equal(larder_health(f->c, &json), LARDER_OK);
    assert_non_null(strstr(json, "\"status\":\"failing\""));
    assert_non_null(strstr(json, "\"daemon\":\"hung\""));
    assert_non_null(
        strstr(json, "\"incarnation\":\"")); /* 64 bits: every second one would be too large for a number */
    larder_text_free(json);
    daemon_thaw(&f->larderd);
}

static void the_health_of_a_hung_daemon_nobody_was_attached_to_is_an_error(void **state)
{
    struct fixture *f = *state;
    char *json = NULL;
    daemon_freeze(&f->larderd);
    int r = larder_health(f->c, &json);
    assert_true(r == LARDER_E_TIMEOUT || r == LARDER_E_UNREACHABLE);
    daemon_thaw(&f->larderd);
}

/* ======= a daemon that dies ======= */

static void after_a_kill_and_a_restart_hits_are_near_again(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        store_near(f->c);
        daemon_kill(&f->larderd);
        UNTIL(!near_hit(f->c, "k"));
        daemon_start(&f->larderd);
    }
    store_near(f->c);
    assert_int_equal(counted(f->c).attaches, 4);
    assert_int_equal(counted(f->c).dead_bytes, 0);
}

static void a_change_alone_attaches_again_too(void **state)
{
    struct fixture *f = *state;
    UNTIL(stored(f->c, "k"));
    assert_int_equal(counted(f->c).attaches, 1);
    daemon_kill(&f->larderd);
    daemon_start(&f->larderd);
    UNTIL(stored(f->c, "k") && counted(f->c).attaches == 2);
}

static void a_connection_that_died_idle_does_not_spoil_a_change(void **state)
{
    struct fixture *f = *state;
    larder_client *far;
    larder_options o = LARDER_OPTIONS_INIT;
    o.socket = f->larderd.socket;
    o.no_shared_memory = true;
    o.change_ms = o.connect_ms = o.get_ms = 10000;
    assert_int_equal(larder_open(&far, &o), LARDER_OK);
    assert_true(stored(far, "k"));
    daemon_kill(&f->larderd);
    daemon_start(&f->larderd);
    assert_true(stored(far, "k")); /* nothing of it had been sent on the dead one */
    larder_close(far);
}

static void idle_lets_go_of_a_segment_whose_daemon_is_gone(void **state)
{
    struct fixture *f = *state;
    store_near(f->c);
    assert_int_equal(counted(f->c).dead_bytes, 0);
    daemon_kill(&f->larderd);
    UNTIL(counted(f->c).dead_bytes > 0);
    assert_int_equal(larder_idle(f->c), LARDER_OK);
    assert_int_equal(counted(f->c).dead_bytes, 0);
    daemon_start(&f->larderd);
    UNTIL(larder_idle(f->c) == LARDER_OK && counted(f->c).attaches == 2);
}

/* ======= zero copy ======= */

/* With a change each time: a peek asks the daemon for nothing, not even for a segment when it had none to map yet. */
static void peek_until_there(larder_client *c, larder_view *view)
{
    UNTIL(stored(c, "k") && larder_peek(c, larder_text("k"), view) == LARDER_HIT);
}

static void a_view_that_stayed_true_is_validated(void **state)
{
    struct fixture *f = *state;
    larder_view view;
    peek_until_there(f->c, &view);
    assert_int_equal(view.size, 1);
    assert_memory_equal(view.data, "v", 1);
    assert_int_equal(larder_validate(f->c, &view), LARDER_HIT);
    assert_int_equal(larder_peek(f->c, larder_text("nobody"), &view), LARDER_MISS);
}

static void a_view_whose_key_was_changed_meanwhile_is_not(void **state)
{
    struct fixture *f = *state;
    larder_view view;
    peek_until_there(f->c, &view);
    assert_int_equal(larder_set(f->c, larder_text("k"), larder_text("w"), NULL), LARDER_OK);
    assert_int_equal(larder_validate(f->c, &view), LARDER_MISS);
    assert_int_equal(larder_peek(f->c, larder_text("k"), &view), LARDER_HIT);
    assert_int_equal(larder_invalidate(f->c, larder_text("k")), LARDER_OK);
    assert_int_equal(larder_validate(f->c, &view), LARDER_MISS);
}

static void the_segment_of_an_open_view_stays_mapped_over_a_restart(void **state)
{
    struct fixture *f = *state;
    larder_view view;
    peek_until_there(f->c, &view);
    daemon_kill(&f->larderd);
    daemon_start(&f->larderd);
    UNTIL(stored(f->c, "k") && counted(f->c).attaches == 2);
    assert_true(counted(f->c).dead_bytes > 0);
    assert_memory_equal(view.data, "v", 1); /* would be a fault */
    assert_int_equal(larder_validate(f->c, &view), LARDER_MISS);
    UNTIL(larder_ping(f->c) == LARDER_OK && counted(f->c).dead_bytes == 0);
}

static void at_most_one_dead_segment_is_kept(void **state)
{
    struct fixture *f = *state;
    larder_view view;
    peek_until_there(f->c, &view);
    for (int i = 0; i < 2; i++) {
        daemon_kill(&f->larderd);
        daemon_start(&f->larderd);
        UNTIL(stored(f->c, "k"));
    }
    assert_int_equal(counted(f->c).attaches, 2);
    larder_validate(f->c, &view);
    UNTIL(larder_ping(f->c) == LARDER_OK && counted(f->c).attaches == 3);
    assert_int_equal(counted(f->c).dead_bytes, 0);
}

/* ======= forks ======= */

static int child_answers(larder_client *c)
{
    larder_value v = LARDER_VALUE_INIT;
    for (int waited = 0; waited < PATIENCE_MS; waited += STEP_MS) {
        if (larder_set(c, larder_text("child"), larder_text("from the child"), NULL) == LARDER_OK &&
            larder_get(c, larder_text("parent"), NULL, &v) == LARDER_HIT && v.near)
            return 0;
        poll(NULL, 0, STEP_MS);
    }
    return 1;
}

static void a_child_makes_connections_and_mappings_of_its_own(void **state)
{
    struct fixture *f = *state;
    int status;
    UNTIL(stored(f->c, "parent"));
    UNTIL(near_hit(f->c, "parent"));
    pid_t child = fork();
    if (child == 0) {
        int r = child_answers(f->c);
        larder_close(f->c);
        _exit(r);
    }
    for (int i = 0; i < 100; i++)
        assert_true(stored(f->c, "parent"));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(near_hit(f->c, "child") || near_hit(f->c, "child"));
    assert_int_equal(counted(f->c).attaches, 1); /* the child's own is its own */
}

static void a_view_does_not_outlive_a_fork(void **state)
{
    struct fixture *f = *state;
    larder_view view;
    int status;
    peek_until_there(f->c, &view);
    pid_t child = fork();
    if (child == 0)
        _exit(larder_validate(f->c, &view) == LARDER_MISS ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(larder_validate(f->c, &view), LARDER_HIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALONE(without_a_daemon_a_get_is_a_miss_and_a_change_an_error),
        ALONE(a_strict_client_is_told),
        ALONE(a_daemon_that_comes_later_is_found),
        ALONE(a_path_no_socket_can_have_is_refused),
        RUNNING(a_frozen_daemon_costs_deadlines_and_no_more),
        RUNNING(a_change_that_a_frozen_daemon_may_have_got_is_a_time_out),
        RUNNING(the_health_of_a_hung_daemon_is_read_from_its_segment),
        RUNNING(the_health_of_a_hung_daemon_nobody_was_attached_to_is_an_error),
        RUNNING(after_a_kill_and_a_restart_hits_are_near_again),
        RUNNING(a_change_alone_attaches_again_too),
        RUNNING(a_connection_that_died_idle_does_not_spoil_a_change),
        RUNNING(idle_lets_go_of_a_segment_whose_daemon_is_gone),
        RUNNING(a_view_that_stayed_true_is_validated),
        RUNNING(a_view_whose_key_was_changed_meanwhile_is_not),
        RUNNING(the_segment_of_an_open_view_stays_mapped_over_a_restart),
        RUNNING(at_most_one_dead_segment_is_kept),
        RUNNING(a_child_makes_connections_and_mappings_of_its_own),
        RUNNING(a_view_does_not_outlive_a_fork),
    };
    int skipped = take_old_kernel();
    return skipped ? skipped : cmocka_run_group_tests(tests, NULL, NULL);
}
