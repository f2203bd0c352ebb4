/* larder_async_get_or_load with a real daemon: loaders that answer later, who comes aboard and who does not, and daemons
 * that are away. */
#include "support/async_rig.h"

#include "support/client_changes.h"

/* Loaders that keep what they were given. */
struct desk {
    larder_load *loads[8];
    int count;
    const char *now; /* not NULL: fills at once */
    const char *tag; /* NULL: none */
};

static void take_down(void *user, larder_slice key, larder_load *load)
{
    struct desk *d = user;
    d->loads[d->count++] = load;
    if (d->tag)
        larder_loaded_tag(larder_load_result(load), T(d->tag));
    if (!d->now)
        return;
    larder_loaded_set(larder_load_result(load), T(d->now));
    larder_async_fill(load);
}

static void fill(struct desk *d, int number, const char *text)
{
    assert_int_equal(larder_loaded_set(larder_load_result(d->loads[number]), T(text)), LARDER_OK);
    larder_async_fill(d->loads[number]);
}

static void ask(larder_async *a, const char *key, struct desk *d, struct told *t)
{
    assert_int_equal(larder_async_get_or_load(a, T(key), NULL, take_down, d, tell, t), LARDER_OK);
}

static void all_who_ask_meanwhile_get_what_one_loader_brings_later(void **state)
{
    struct fixture *f = *state;
    struct desk d = {0};
    struct told t[20] = {0};
    for (int i = 0; i < 20; i++)
        ask(f->a, "load", &d, &t[i]);
    TURN_UNTIL(f->a, d.count);
    fill(&d, 0, "brought");
    TURN_UNTIL(f->a, t[0].times && t[19].times);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(t[i].times, 1);
        assert_int_equal(t[i].result, LARDER_HIT);
        assert_string_equal(t[i].text, "brought");
    }
    assert_int_equal(d.count, 1);
    expect_text(f->c, "load", "brought");
}

static void a_loader_may_bring_it_at_once(void **state)
{
    struct fixture *f = *state;
    struct desk d = {.now = "at once"};
    struct told t = {0};
    ask(f->a, "at:once", &d, &t);
    TURN_UNTIL(f->a, t.times);
    assert_string_equal(t.text, "at once");
    assert_string_equal(get_it(f->a, "at:once").text, "at once");
}

static void a_loader_that_fails_is_told_to_all_and_nobody_tries_again_at_once(void **state)
{
    struct fixture *f = *state;
    struct desk d = {0};
    struct told a = {0}, b = {0}, later = {0};
    ask(f->a, "fails", &d, &a);
    ask(f->a, "fails", &d, &b);
    TURN_UNTIL(f->a, d.count);
    larder_load_result(d.loads[0])->backoff_ms = 60000;
    larder_async_fail(d.loads[0], -3);
    TURN_UNTIL(f->a, a.times && b.times);
    assert_int_equal(a.result, LARDER_E_LOAD);
    assert_int_equal(b.result, LARDER_E_LOAD);
    ask(f->a, "fails", &d, &later);
    TURN_UNTIL(f->a, later.times);
    assert_int_equal(later.result, LARDER_E_LOAD);
    assert_int_equal(d.count, 1);
}

static void who_waits_for_another_process_gets_what_that_one_loads(void **state)
{
    struct fixture *f = *state;
    struct desk d = {0};
    struct told t = {0};
    larder_value v = LARDER_VALUE_INIT;
    assert_int_equal(larder_lease(f->c, T("theirs"), NULL, &v), LARDER_LEASE);
    ask(f->a, "theirs", &d, &t);
    for (int i = 0; i < 20; i++) /* it is told to wait, and waits */
        larder_async_process(f->a);
    assert_int_equal(larder_lease_fill(f->c, T("theirs"), &v.token, T("their value"), NULL), LARDER_OK);
    TURN_UNTIL(f->a, t.times);
    assert_string_equal(t.text, "their value");
    assert_int_equal(d.count, 0);
    larder_value_free(&v);
}

static void a_deadline_ends_the_wait_of_one_caller_and_not_the_load(void **state)
{
    struct fixture *f = *state;
    struct desk d = {0};
    struct told hasty = {0}, patient = {0};
    larder_load_options how = LARDER_LOAD_OPTIONS_INIT;
    how.timeout_ms = 1;
    ask(f->a, "slow", &d, &patient);
    TURN_UNTIL(f->a, d.count);
    larder_async_get_or_load(f->a, T("slow"), &how, take_down, &d, tell, &hasty);
    TURN_UNTIL(f->a, hasty.times);
    assert_int_equal(hasty.result, LARDER_E_TIMEOUT);
    assert_int_equal(patient.times, 0);
    fill(&d, 0, "done");
    TURN_UNTIL(f->a, patient.times);
    assert_string_equal(patient.text, "done");
    assert_int_equal(d.count, 1);
}

static void each_invalidation(struct fixture *f,
                              void (*overlap)(struct fixture *, const larder_invalidate_options *))
{
    for (enum over by = 0; by < INVALIDATIONS; by++) {
        larder_invalidate_options o = invalidation_over(by);
        assert_true(larder_invalidate(f->c, over_key) >= 0);
        overlap(f, &o);
    }
}

static void a_call_after_an_own_invalidation_never_joins_an_older_load(void **state)
{
    struct fixture *f = *state;
    struct desk old = {0}, new = {.now = "new"};
    struct told before = {0}, done = {0}, after = {0};
    larder_slice key = T("own");
    larder_invalidate_options o = LARDER_INVALIDATE_OPTIONS_INIT;
    o.keys = &key;
    o.keys_count = 1;
    ask(f->a, "own", &old, &before);
    TURN_UNTIL(f->a, old.count);
    larder_async_invalidate(f->a, &o, tell, &done);
    TURN_UNTIL(f->a, done.times);
    ask(f->a, "own", &new, &after);
    TURN_UNTIL(f->a, after.times);
    assert_string_equal(after.text, "new");
    fill(&old, 0, "old");
    TURN_UNTIL(f->a, before.times);
    assert_string_equal(before.text, "old"); /* began before */
    expect_text(f->c, "own", "new");         /* and its fill was refused */
}

static void overlapped_by_itself(struct fixture *f, const larder_invalidate_options *change)
{
    struct desk old = {.tag = OVER_TAG}, new = {.now = "new", .tag = OVER_TAG};
    struct told before = {0}, done = {0}, after = {0};
    ask(f->a, OVER_KEY, &old, &before);
    TURN_UNTIL(f->a, old.count);
    assert_int_equal(larder_async_invalidate(f->a, change, tell, &done), LARDER_OK);
    TURN_UNTIL(f->a, done.times);
    ask(f->a, OVER_KEY, &new, &after);
    fill(&old, 0, "old");
    TURN_UNTIL(f->a, before.times && after.times);
    assert_string_equal(before.text, "old");
    assert_string_equal(after.text, "new");
    expect_text(f->c, OVER_KEY, "new");
}

static void a_load_that_this_object_invalidated_by_any_name_is_refused(void **state)
{
    each_invalidation(*state, overlapped_by_itself);
}

static void overlapped_by_another(struct fixture *f, const larder_invalidate_options *change)
{
    struct desk d = {.tag = OVER_TAG}, new = {.now = "new", .tag = OVER_TAG};
    struct told before = {0}, after = {0};
    ask(f->a, OVER_KEY, &d, &before);
    TURN_UNTIL(f->a, d.count);
    assert_int_equal(larder_invalidate_all_of(f->c, change), LARDER_OK);
    ask(f->a, OVER_KEY, &new, &after); /* comes aboard: nobody told this process */
    fill(&d, 0, "old");
    TURN_UNTIL(f->a, before.times && after.times);
    assert_string_equal(before.text, "old");
    assert_string_equal(after.text, "new");
    expect_text(f->c, OVER_KEY, "new");
}

static void a_load_that_another_process_invalidated_is_not_given_to_later_callers(void **state)
{
    each_invalidation(*state, overlapped_by_another);
}

static void a_stale_value_is_given_at_once_and_refreshed_beside_it(void **state)
{
    struct fixture *f = *state;
    struct desk d = {0};
    struct told a = {0}, b = {0};
    larder_slice key = T("stale");
    larder_set_options how = LARDER_SET_OPTIONS_INIT;
    larder_invalidate_options o = LARDER_INVALIDATE_OPTIONS_INIT;
    how.ttl_ms = how.stale_ms = 600000;
    o.keys = &key;
    o.keys_count = 1;
    o.soft = true;
    assert_int_equal(larder_set(f->c, key, T("old"), &how), LARDER_OK);
    assert_int_equal(larder_invalidate_all_of(f->c, &o), LARDER_OK);
    ask(f->a, "stale", &d, &a);
    ask(f->a, "stale", &d, &b);
    TURN_UNTIL(f->a, a.times && b.times && d.count);
    assert_string_equal(a.text, "old");
    assert_string_equal(b.text, "old");
    assert_true(a.flags & LARDER_STALE);
    fill(&d, 0, "fresh");
    for (int i = 0; strcmp(get_it(f->a, "stale").text, "fresh") != 0; i++)
        assert_true(i < PATIENCE_TURNS);
    assert_int_equal(d.count, 1);
}

static void a_load_may_be_ended_after_its_object_was_closed(void **state)
{
    struct fixture *f = *state;
    struct desk d = {0};
    struct told t = {0};
    larder_value v = LARDER_VALUE_INIT;
    larder_options o = options_of(f);
    larder_async *a;
    larder_load_options how = LARDER_LOAD_OPTIONS_INIT;
    assert_int_equal(larder_async_open(&a, &o), LARDER_OK);
    ask(a, "closed", &d, &t);
    TURN_UNTIL(a, d.count);
    larder_async_close(a);
    assert_int_equal(t.result, LARDER_E_UNREACHABLE);
    fill(&d, 0, "too late");
    how.timeout_ms = 60000;
    assert_int_equal(larder_lease(f->c, T("closed"), &how, &v), LARDER_LEASE); /* it was passed on */
    larder_value_free(&v);
}

/* ======= daemons that are away or go ======= */

static void without_a_daemon_there_is_one_loader_in_this_object(void **state)
{
    struct fixture *f = *state;
    struct desk d = {0};
    struct told a = {0}, b = {0};
    ask(f->a, "alone", &d, &a);
    ask(f->a, "alone", &d, &b);
    TURN_UNTIL(f->a, d.count);
    fill(&d, 0, "own");
    TURN_UNTIL(f->a, a.times && b.times);
    assert_string_equal(b.text, "own");
    assert_true(b.flags & LARDER_IS_LOCAL);
    assert_int_equal(d.count, 1);
}

static void a_load_whose_daemon_died_still_brings_its_value(void **state)
{
    struct fixture *f = *state;
    struct desk d = {0};
    struct told t = {0};
    ask(f->a, "orphan", &d, &t);
    TURN_UNTIL(f->a, d.count);
    daemon_kill(&f->larderd);
    fill(&d, 0, "value");
    TURN_UNTIL(f->a, t.times);
    assert_int_equal(t.result, LARDER_HIT);
    assert_string_equal(t.text, "value");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DAEMON(all_who_ask_meanwhile_get_what_one_loader_brings_later),
        WITH_DAEMON(a_loader_may_bring_it_at_once),
        WITH_DAEMON(a_loader_that_fails_is_told_to_all_and_nobody_tries_again_at_once),
        WITH_DAEMON(who_waits_for_another_process_gets_what_that_one_loads),
        WITH_DAEMON(a_deadline_ends_the_wait_of_one_caller_and_not_the_load),
        WITH_DAEMON(a_call_after_an_own_invalidation_never_joins_an_older_load),
        WITH_DAEMON(a_load_that_this_object_invalidated_by_any_name_is_refused),
        WITH_DAEMON(a_load_that_another_process_invalidated_is_not_given_to_later_callers),
        WITH_DAEMON(a_stale_value_is_given_at_once_and_refreshed_beside_it),
        WITH_DAEMON(a_load_may_be_ended_after_its_object_was_closed),
        WITHOUT_DAEMON(without_a_daemon_there_is_one_loader_in_this_object),
        WITH_DAEMON(a_load_whose_daemon_died_still_brings_its_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
