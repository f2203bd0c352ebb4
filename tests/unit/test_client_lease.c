/* Leases and get_or_load with a real daemon: one loader among clients, what an invalidation refuses, and what happens
 * when a holder or the daemon goes. */
#include "support/client_rig.h"

#include <stdlib.h>
#include "support/client_changes.h"
#include "support/client_gate.h"
#include "support/daemon.h"

enum { CLIENTS = 8, THREADS = 125 };

/* ======= leases by hand ======= */

static int lease(larder_client *c, const char *key, uint32_t timeout_ms, larder_value *v)
{
    larder_load_options how = LARDER_LOAD_OPTIONS_INIT;
    how.timeout_ms = timeout_ms;
    return larder_lease(c, T(key), &how, v);
}

static void of_two_who_miss_one_gets_the_lease_and_the_other_is_told_to_wait(void **state)
{
    larder_client *a = open_default(), *b = open_default();
    larder_value mine = LARDER_VALUE_INIT, other = LARDER_VALUE_INIT;
    assert_int_equal(lease(a, "lease:two", 0, &mine), LARDER_LEASE);
    assert_int_not_equal(mine.token.size, 0);
    assert_int_equal(lease(b, "lease:two", 0, &other), LARDER_WAIT);
    assert_int_equal(larder_lease_fill(a, T("lease:two"), &mine.token, T("filled"), NULL), LARDER_OK);
    assert_int_equal(lease(b, "lease:two", 0, &other), LARDER_HIT);
    expect_bytes(&other, "filled");
    larder_value_free(&mine);
    larder_value_free(&other);
    larder_close(a);
    larder_close(b);
}

static void a_lease_is_good_for_one_fill(void **state)
{
    larder_client *c = open_default();
    larder_value v = LARDER_VALUE_INIT;
    assert_int_equal(lease(c, "lease:once", 0, &v), LARDER_LEASE);
    assert_int_equal(larder_lease_fill(c, T("lease:once"), &v.token, T("1"), NULL), LARDER_OK);
    assert_int_equal(larder_lease_fill(c, T("lease:once"), &v.token, T("2"), NULL), LARDER_REFUSED);
    expect_text(c, "lease:once", "1");
    larder_value_free(&v);
    larder_close(c);
}

static void after_a_failure_all_are_told_how_long_to_wait(void **state)
{
    larder_client *a = open_default(), *b = open_default();
    larder_value v = LARDER_VALUE_INIT;
    assert_int_equal(lease(a, "lease:failed", 0, &v), LARDER_LEASE);
    assert_int_equal(larder_lease_fail(a, T("lease:failed"), &v.token, 60000), LARDER_OK);
    assert_int_equal(lease(b, "lease:failed", 0, &v), LARDER_E_LOAD);
    assert_in_range(v.ttl_ms, 1, 60000);
    larder_value_free(&v);
    larder_close(a);
    larder_close(b);
}

static void a_lease_given_back_without_back_off_goes_to_the_next(void **state)
{
    larder_client *a = open_default(), *b = open_default();
    larder_value v = LARDER_VALUE_INIT;
    assert_int_equal(lease(a, "lease:back", 0, &v), LARDER_LEASE);
    assert_int_equal(larder_lease_fail(a, T("lease:back"), &v.token, UINT32_MAX), LARDER_OK);
    assert_int_equal(lease(b, "lease:back", 0, &v), LARDER_LEASE);
    larder_value_free(&v);
    larder_close(a);
    larder_close(b);
}

static void a_holder_that_goes_passes_its_lease_on(void **state)
{
    larder_client *a = open_default(), *b = open_default();
    larder_value v = LARDER_VALUE_INIT;
    assert_int_equal(lease(a, "lease:gone", 0, &v), LARDER_LEASE);
    larder_close(a);
    assert_int_equal(lease(b, "lease:gone", PATIENT_MS, &v), LARDER_LEASE);
    larder_value_free(&v);
    larder_close(b);
}

static void a_batch_of_leases_tells_hits_from_leases_and_never_waits(void **state)
{
    larder_client *a = open_default(), *b = open_default();
    larder_value v = LARDER_VALUE_INIT, values[3] = {LARDER_VALUE_INIT, LARDER_VALUE_INIT, LARDER_VALUE_INIT};
    larder_slice keys[] = {T("many:hit"), T("many:held"), T("many:free")};
    larder_load_options how = LARDER_LOAD_OPTIONS_INIT;
    how.timeout_ms = PATIENT_MS;
    set_text(a, "many:hit", "here");
    assert_int_equal(lease(a, "many:held", 0, &v), LARDER_LEASE);
    assert_int_equal(larder_mlease(b, keys, 3, &how, values), 1);
    assert_int_equal(values[0].result, LARDER_HIT);
    assert_int_equal(values[1].result, LARDER_WAIT);
    assert_int_equal(values[2].result, LARDER_LEASE);
    assert_int_equal(larder_lease_fill(b, keys[2], &values[2].token, T("x"), NULL), LARDER_OK);
    for (int i = 0; i < 3; i++)
        larder_value_free(&values[i]);
    larder_value_free(&v);
    larder_close(a);
    larder_close(b);
}

/* ======= one loader ======= */

static void what_was_loaded_is_found_by_every_client(void **state)
{
    larder_client *a = open_default(), *b = open_default();
    struct gate g = {.text = "loaded", .open = true};
    expect_load(a, "load:once", &g, "loaded");
    expect_load(a, "load:once", &g, "loaded");
    expect_load(b, "load:once", &g, "loaded");
    assert_int_equal(g.runs, 1);
    larder_close(a);
    larder_close(b);
}

static void a_fresh_hit_in_shared_memory_asks_nobody(void **state)
{
    larder_client *c = open_default();
    larder_value v = LARDER_VALUE_INIT;
    struct gate g = {.text = "near", .open = true};
    expect_load(c, "load:near", &g, "near");
    expect_load(c, "load:near", &g, "near");
    uint64_t asked = counted(c).asked;
    assert_int_equal(load(c, "load:near", &g, plain, &v), LARDER_HIT);
    assert_true(v.near);
    assert_int_equal(counted(c).asked, asked);
    larder_value_free(&v);
    larder_close(c);
}

static void a_thousand_callers_in_eight_clients_run_one_loader(void **state)
{
    larder_client *clients[CLIENTS];
    struct caller *all = calloc(CLIENTS * THREADS, sizeof(*all));
    struct gate g;
    gate_init(&g, "the one");
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = open_default();
    for (int i = 0; i < CLIENTS * THREADS; i++)
        caller_start(&all[i], clients[i % CLIENTS], "load:thousand", &g);
    for (int i = 0; i < CLIENTS; i++)
        wait_joined(clients[i], THREADS - 1);
    sem_post(&g.go);
    for (int i = 0; i < CLIENTS * THREADS; i++)
        caller_expect(&all[i], "the one");
    assert_int_equal(g.runs, 1);
    for (int i = 0; i < CLIENTS; i++)
        larder_close(clients[i]);
    free(all);
}

static void what_is_not_to_be_stored_is_given_to_those_who_wait_and_to_nobody_else(void **state)
{
    larder_client *c = open_default();
    struct caller a, b;
    struct gate g;
    gate_init(&g, "session");
    g.no_store = true;
    caller_start(&a, c, "load:secret", &g);
    sem_take(&g.running);
    caller_start(&b, c, "load:secret", &g);
    wait_joined(c, 1);
    sem_post(&g.go);
    caller_expect(&a, "session");
    caller_expect(&b, "session");
    assert_int_equal(g.runs, 1);
    assert_int_equal(get_result(c, "load:secret"), LARDER_MISS);
    g.open = true;
    expect_load(c, "load:secret", &g, "session");
    assert_int_equal(g.runs, 2);
    larder_close(c);
}

static void a_client_that_waits_for_another_one_gets_what_that_one_loads(void **state)
{
    larder_client *a = open_default(), *b = open_far();
    struct caller first, second;
    struct gate g;
    struct gate never = {.text = "ours", .open = true};
    gate_init(&g, "theirs");
    caller_start(&first, a, "load:theirs", &g);
    sem_take(&g.running);
    caller_start(&second, b, "load:theirs", &never);
    sem_post(&g.go);
    caller_expect(&first, "theirs");
    caller_expect(&second, "theirs");
    assert_int_equal(never.runs, 0);
    larder_close(a);
    larder_close(b);
}

static void a_caller_whose_time_is_up_while_another_client_loads_is_told_so(void **state)
{
    larder_client *a = open_default(), *b = open_default();
    larder_load_options how = LARDER_LOAD_OPTIONS_INIT;
    larder_value v = LARDER_VALUE_INIT;
    struct gate g = {.text = "never", .open = true};
    assert_int_equal(lease(a, "load:late", 0, &v), LARDER_LEASE);
    how.timeout_ms = 20;
    assert_int_equal(load(b, "load:late", &g, how, &v), LARDER_E_TIMEOUT);
    assert_int_equal(g.runs, 0);
    larder_value_free(&v);
    larder_close(a);
    larder_close(b);
}

static void a_loader_that_fails_keeps_the_other_clients_from_trying(void **state)
{
    larder_client *a = open_default(), *b = open_default();
    larder_value v = LARDER_VALUE_INIT;
    struct gate g = {.text = "", .open = true};
    g.result = -5;
    assert_int_equal(load(a, "load:broken", &g, plain, &v), LARDER_E_LOAD);
    assert_int_equal(load(b, "load:broken", &g, plain, &v), LARDER_E_LOAD);
    assert_int_equal(g.runs, 1);
    larder_value_free(&v);
    larder_close(a);
    larder_close(b);
}

/* ======= invalidations while a load is under way (C1, C6) ======= */

/* One client loads, another one invalidates, then a second caller of the first client begins: it joins, since nobody told
 * this process; but it must not get what was read before. */
static void overlap(enum over by)
{
    larder_client *a = open_default(), *b = open_default();
    struct caller first, later;
    struct gate old;
    struct gate new = {.text = "new", .open = true};
    gate_init(&old, "old");
    old.tag = new.tag = OVER_TAG;
    larder_invalidate(a, over_key);
    caller_start(&first, a, OVER_KEY, &old);
    sem_take(&old.running);
    assert_int_equal(change_over(b, by), LARDER_OK);
    uint64_t joined = counted(a).joined;
    caller_start(&later, a, OVER_KEY, &new);
    wait_joined(a, joined + 1);
    sem_post(&old.go);
    caller_expect(&first, "old");
    caller_expect(&later, "new");
    assert_int_equal(new.runs, 1);
    expect_text(b, OVER_KEY, "new");
    larder_close(a);
    larder_close(b);
}

static void a_load_that_another_client_invalidated_is_refused_and_later_callers_load_anew(void **state)
{
    for (enum over by = 0; by < INVALIDATIONS; by++)
        overlap(by);
}

/* ======= process scope ======= */

static void scope_process_loads_without_a_lease_and_its_fill_is_fenced_all_the_same(void **state)
{
    larder_client *a = open_default(), *b = open_default();
    larder_load_options how = LARDER_LOAD_OPTIONS_INIT;
    larder_value v = LARDER_VALUE_INIT;
    struct gate g = {.text = "alone", .open = true};
    how.scope = LARDER_SCOPE_PROCESS;
    assert_int_equal(lease(a, "scope:p", 0, &v), LARDER_LEASE);
    assert_int_equal(load(b, "scope:p", &g, how, &v), LARDER_HIT);
    expect_bytes(&v, "alone");
    expect_text(a, "scope:p", "alone");
    assert_int_equal(load(b, "scope:p", &g, how, &v), LARDER_HIT);
    assert_int_equal(g.runs, 1);
    larder_value_free(&v);
    larder_close(a);
    larder_close(b);
}

/* ======= daemons that come and go ======= */

static const char config[] = "[server]\n[namespace default]\nl1_bytes = 4MiB\n";

static larder_client *open_at(const struct daemon *d, size_t fallback_bytes)
{
    larder_client *c;
    larder_options o = LARDER_OPTIONS_INIT;
    o.socket = d->socket;
    o.no_shared_memory = true; /* which is another test's matter, and would ask for itself */
    o.get_ms = o.change_ms = o.connect_ms = 5000;
    o.fallback_bytes = fallback_bytes;
    assert_int_equal(larder_open(&c, &o), LARDER_OK);
    return c;
}

static void a_daemon_that_dies_under_a_load_costs_nobody_his_value(void **state)
{
    struct daemon d;
    struct caller a, b;
    struct gate g;
    daemon_prepare(&d, config);
    daemon_start(&d);
    larder_client *c = open_at(&d, 0);
    gate_init(&g, "value");
    caller_start(&a, c, "k", &g);
    sem_take(&g.running);
    caller_start(&b, c, "k", &g);
    wait_joined(c, 1);
    daemon_kill(&d);
    g.open = true;
    sem_post(&g.go);
    caller_expect(&a, "value");
    caller_expect(&b, "value");
    assert_in_range(g.runs, 1,
                    2); /* nobody can say whether something newer happened: who began later asks himself */
    larder_close(c);
    daemon_finish(&d);
}

/* Rule 2 of flight.h: the daemon may have accepted the fill, and somebody may have invalidated it since. */
static void nobody_joins_a_load_whose_fill_is_on_its_way(void **state)
{
    struct daemon d;
    struct caller a, b;
    struct gate g;
    daemon_prepare(&d, config);
    daemon_start(&d);
    larder_client *c = open_at(&d, 0);
    gate_init(&g, "value");
    assert_int_equal(larder_ping(c), LARDER_OK); /* the fill finds a connection */
    caller_start(&a, c, "k", &g);
    sem_take(&g.running);
    daemon_freeze(&d);
    uint64_t asked = counted(c).asked;
    sem_post(&g.go);
    while (counted(c).asked == asked)
        sched_yield(); /* the fill leaves */
    caller_start(&b, c, "k", &g);
    while (counted(c).asked == asked + 1 && counted(c).joined == 0)
        sched_yield();
    assert_int_equal(counted(c).joined, 0);
    daemon_thaw(&d);
    caller_expect(&a, "value");
    caller_expect(&b, "value");
    assert_int_equal(g.runs, 1);
    larder_close(c);
    daemon_finish(&d);
}

static void what_was_kept_without_a_daemon_is_gone_when_one_has_answered(void **state)
{
    struct daemon d;
    struct gate g = {.text = "value", .open = true};
    daemon_prepare(&d, config);
    larder_client *c = open_at(&d, 1 << 20);
    expect_load(c, "k", &g, "value");
    expect_load(c, "k", &g, "value");
    assert_int_equal(g.runs, 1);
    daemon_start(&d);
    assert_int_equal(larder_ping(c), LARDER_OK); /* whatever it was asked */
    daemon_kill(&d);
    expect_load(c, "k", &g, "value");
    assert_int_equal(g.runs, 2);
    larder_close(c);
    daemon_finish(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_two_who_miss_one_gets_the_lease_and_the_other_is_told_to_wait),
        cmocka_unit_test(a_lease_is_good_for_one_fill),
        cmocka_unit_test(after_a_failure_all_are_told_how_long_to_wait),
        cmocka_unit_test(a_lease_given_back_without_back_off_goes_to_the_next),
        cmocka_unit_test(a_holder_that_goes_passes_its_lease_on),
        cmocka_unit_test(a_batch_of_leases_tells_hits_from_leases_and_never_waits),
        cmocka_unit_test(what_was_loaded_is_found_by_every_client),
        cmocka_unit_test(a_fresh_hit_in_shared_memory_asks_nobody),
        cmocka_unit_test(a_thousand_callers_in_eight_clients_run_one_loader),
        cmocka_unit_test(what_is_not_to_be_stored_is_given_to_those_who_wait_and_to_nobody_else),
        cmocka_unit_test(a_client_that_waits_for_another_one_gets_what_that_one_loads),
        cmocka_unit_test(a_caller_whose_time_is_up_while_another_client_loads_is_told_so),
        cmocka_unit_test(a_loader_that_fails_keeps_the_other_clients_from_trying),
        cmocka_unit_test(a_load_that_another_client_invalidated_is_refused_and_later_callers_load_anew),
        cmocka_unit_test(scope_process_loads_without_a_lease_and_its_fill_is_fenced_all_the_same),
        cmocka_unit_test(a_daemon_that_dies_under_a_load_costs_nobody_his_value),
        cmocka_unit_test(nobody_joins_a_load_whose_fill_is_on_its_way),
        cmocka_unit_test(what_was_kept_without_a_daemon_is_gone_when_one_has_answered),
    };
    return cmocka_run_group_tests(tests, rig_start, rig_finish);
}
