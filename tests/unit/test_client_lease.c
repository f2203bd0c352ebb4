/* Leases and get_or_load with a real daemon: one loader among clients, what is stale, what an invalidation refuses, and
 * what happens when a holder or the daemon goes. */
#include "support/client_rig.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "support/daemon.h"

enum { CLIENTS = 8, THREADS = 125, PATIENT_MS = 600000 };

/* ======= a loader that waits at a gate ======= */

struct gate {
    const char *text;
    int result;
    bool no_store;
    _Atomic bool open;
    const char *tag;
    _Atomic int runs;
    sem_t running, go;
};

static void gate_init(struct gate *g, const char *text, bool open)
{
    *g = (struct gate){.text = text, .open = open};
    sem_init(&g->running, 0, 0);
    sem_init(&g->go, 0, 0);
}

static void sem_take(sem_t *s)
{
    while (sem_wait(s) != 0)
        ;
}

static int gated(void *user, larder_slice key, larder_loaded *ret)
{
    struct gate *g = user;
    g->runs++;
    sem_post(&g->running);
    if (!g->open)
        sem_take(&g->go);
    ret->no_store = g->no_store;
    ret->backoff_ms = 60000;
    if (g->tag)
        larder_loaded_tag(ret, T(g->tag));
    return g->result < 0 ? g->result : larder_loaded_set(ret, T(g->text));
}

static void expect_bytes(const larder_value *v, const char *text)
{
    assert_int_equal(v->size, strlen(text));
    assert_memory_equal(v->data, text, v->size);
}

/* One call, in this thread. */
static int load(larder_client *c, const char *key, struct gate *g, larder_load_options how, larder_value *v)
{
    how.timeout_ms = how.timeout_ms ? how.timeout_ms : PATIENT_MS;
    return larder_get_or_load(c, T(key), &how, gated, g, v);
}

static const larder_load_options plain = LARDER_LOAD_OPTIONS_INIT;

static void expect_load(larder_client *c, const char *key, struct gate *g, const char *text)
{
    larder_value v = LARDER_VALUE_INIT;
    assert_int_equal(load(c, key, g, plain, &v), LARDER_HIT);
    expect_bytes(&v, text);
    larder_value_free(&v);
}

/* One call, in a thread of its own. */
struct caller {
    larder_client *c;
    const char *key;
    struct gate *g;
    pthread_t thread;
    larder_value v;
    int result;
};

static void *call(void *user)
{
    struct caller *a = user;
    a->result = load(a->c, a->key, a->g, plain, &a->v);
    return NULL;
}

static void caller_start(struct caller *a, larder_client *c, const char *key, struct gate *g)
{
    pthread_attr_t small;
    *a = (struct caller){.c = c, .key = key, .g = g};
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 256 * 1024);
    assert_int_equal(pthread_create(&a->thread, &small, call, a), 0);
    pthread_attr_destroy(&small);
}

static void caller_expect(struct caller *a, const char *text)
{
    pthread_join(a->thread, NULL);
    assert_int_equal(a->result, LARDER_HIT);
    expect_bytes(&a->v, text);
    larder_value_free(&a->v);
}

static larder_counters counted(larder_client *c)
{
    larder_counters now = {.struct_size = sizeof(now)};
    assert_int_equal(larder_counted(c, &now), LARDER_OK);
    return now;
}

static void wait_joined(larder_client *c, uint64_t count)
{
    while (counted(c).joined < count)
        sched_yield();
}

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
    struct gate g;
    gate_init(&g, "loaded", true);
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
    struct gate g;
    gate_init(&g, "near", true);
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
    gate_init(&g, "the one", false);
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
    gate_init(&g, "session", false);
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
    struct gate g, never;
    gate_init(&g, "theirs", false);
    gate_init(&never, "ours", true);
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
    struct gate g;
    gate_init(&g, "never", true);
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
    struct gate g;
    gate_init(&g, "", true);
    g.result = -5;
    assert_int_equal(load(a, "load:broken", &g, plain, &v), LARDER_E_LOAD);
    assert_int_equal(load(b, "load:broken", &g, plain, &v), LARDER_E_LOAD);
    assert_int_equal(g.runs, 1);
    larder_value_free(&v);
    larder_close(a);
    larder_close(b);
}

/* ======= invalidations while a load is under way (C1, C6) ======= */

typedef void change_fn(larder_client *c);

static void by_key(larder_client *c)
{
    assert_int_equal(larder_invalidate(c, T("over:k")), LARDER_OK);
}

static void by_names(larder_client *c, const char *tag, const char *prefix, bool all)
{
    larder_slice t = T(tag), p = T(prefix);
    larder_invalidate_options o = LARDER_INVALIDATE_OPTIONS_INIT;
    o.tags = &t;
    o.tags_count = t.size ? 1 : 0;
    o.prefixes = &p;
    o.prefixes_count = p.size ? 1 : 0;
    o.all = all;
    assert_int_equal(larder_invalidate_all_of(c, &o), LARDER_OK);
}

static void by_tag(larder_client *c)
{
    by_names(c, "over-tag", "", false);
}

static void by_prefix(larder_client *c)
{
    by_names(c, "", "over:", false);
}

static void by_all(larder_client *c)
{
    by_names(c, "", "", true);
}

/* One client loads, another one invalidates, then a second caller of the first client begins: it joins, since nobody told
 * this process; but it must not get what was read before. */
static void overlap(change_fn *change)
{
    larder_client *a = open_default(), *b = open_default();
    struct caller first, later;
    struct gate old, new;
    gate_init(&old, "old", false);
    gate_init(&new, "new", true);
    old.tag = new.tag = "over-tag";
    larder_invalidate(a, T("over:k"));
    caller_start(&first, a, "over:k", &old);
    sem_take(&old.running);
    change(b);
    uint64_t joined = counted(a).joined;
    caller_start(&later, a, "over:k", &new);
    wait_joined(a, joined + 1);
    sem_post(&old.go);
    caller_expect(&first, "old");
    caller_expect(&later, "new");
    assert_int_equal(new.runs, 1);
    expect_text(b, "over:k", "new");
    larder_close(a);
    larder_close(b);
}

static void a_load_that_another_client_invalidated_is_refused_and_later_callers_load_anew(void **state)
{
    change_fn *changes[] = {by_key, by_tag, by_prefix, by_all};
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
        overlap(changes[i]);
}

/* ======= stale ======= */

static void make_stale(larder_client *c, const char *key, const char *text)
{
    larder_slice name = T(key);
    larder_invalidate_options o = LARDER_INVALIDATE_OPTIONS_INIT;
    larder_set_options how = LARDER_SET_OPTIONS_INIT;
    how.ttl_ms = how.stale_ms = 600000;
    assert_int_equal(larder_set(c, name, T(text), &how), LARDER_OK);
    o.keys = &name;
    o.keys_count = 1;
    o.soft = true;
    assert_int_equal(larder_invalidate_all_of(c, &o), LARDER_OK);
}

static void whoever_refreshes_inline_gets_the_fresh_value_and_the_others_the_stale_one_at_once(void **state)
{
    larder_client *a = open_default(), *b = open_default();
    larder_value v = LARDER_VALUE_INIT;
    struct caller refresher;
    struct gate g, never;
    gate_init(&g, "fresh", false);
    gate_init(&never, "never", true);
    make_stale(a, "stale:inline", "stale");
    caller_start(&refresher, a, "stale:inline", &g);
    sem_take(&g.running);
    for (int i = 0; i < 3; i++) {
        larder_client *c = i == 0 ? a : b;
        assert_int_equal(load(c, "stale:inline", &never, plain, &v), LARDER_HIT);
        expect_bytes(&v, "stale");
        assert_true(v.flags & LARDER_STALE);
    }
    sem_post(&g.go);
    caller_expect(&refresher, "fresh");
    assert_int_equal(never.runs, 0);
    expect_load(b, "stale:inline", &never, "fresh");
    larder_value_free(&v);
    larder_close(a);
    larder_close(b);
}

static void a_refresh_for_later_is_done_by_whoever_works(void **state)
{
    larder_client *c = open_default();
    larder_load_options how = LARDER_LOAD_OPTIONS_INIT;
    larder_value v = LARDER_VALUE_INIT;
    struct gate g;
    gate_init(&g, "fresh", true);
    make_stale(c, "stale:later", "stale");
    how.refresh = LARDER_REFRESH_LATER;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(load(c, "stale:later", &g, how, &v), LARDER_HIT);
        expect_bytes(&v, "stale");
    }
    assert_int_equal(g.runs, 0);
    assert_int_equal(larder_work(c, 0), 1);
    assert_int_equal(g.runs, 1);
    assert_int_equal(larder_work(c, 0), 0);
    expect_text(c, "stale:later", "fresh");
    larder_value_free(&v);
    larder_close(c);
}

static void a_refresh_that_fails_leaves_the_stale_value_and_says_so(void **state)
{
    larder_client *c = open_default();
    larder_load_options how = LARDER_LOAD_OPTIONS_INIT;
    larder_value v = LARDER_VALUE_INIT;
    struct gate g;
    int load_error = 0;
    gate_init(&g, "", true);
    g.result = -9;
    how.ret_load_error = &load_error;
    make_stale(c, "stale:fails", "stale");
    assert_int_equal(load(c, "stale:fails", &g, how, &v), LARDER_HIT);
    expect_bytes(&v, "stale");
    assert_int_equal(v.flags & (LARDER_STALE | LARDER_LOAD_FAILED), LARDER_STALE | LARDER_LOAD_FAILED);
    assert_int_equal(load_error, -9);
    assert_int_equal(load(c, "stale:fails", &g, how, &v), LARDER_HIT); /* nobody tries again at once */
    assert_int_equal(g.runs, 1);
    assert_int_equal(load_error, 0);
    larder_value_free(&v);
    larder_close(c);
}

static void whoever_takes_nothing_stale_gets_an_error_when_the_loader_fails(void **state)
{
    larder_client *c = open_default();
    larder_load_options how = LARDER_LOAD_OPTIONS_INIT;
    larder_value v = LARDER_VALUE_INIT;
    struct gate g;
    gate_init(&g, "", true);
    g.result = -9;
    how.no_stale = true;
    make_stale(c, "stale:refused", "stale");
    assert_int_equal(load(c, "stale:refused", &g, how, &v), LARDER_E_LOAD);
    larder_value_free(&v);
    larder_close(c);
}

static void who_wants_something_fresher_waits_that_long_and_then_takes_what_is_stale(void **state)
{
    larder_client *a = open_default(), *b = open_default();
    larder_load_options how = LARDER_LOAD_OPTIONS_INIT;
    larder_value held = LARDER_VALUE_INIT, v = LARDER_VALUE_INIT;
    struct gate never;
    gate_init(&never, "never", true);
    make_stale(a, "stale:soft", "stale");
    assert_int_equal(lease(a, "stale:soft", 0, &held), LARDER_HIT);
    assert_int_not_equal(held.token.size, 0);
    how.soft_ms = 20;
    assert_int_equal(load(b, "stale:soft", &never, how, &v), LARDER_HIT);
    expect_bytes(&v, "stale");
    assert_int_equal(larder_lease_fill(a, T("stale:soft"), &held.token, T("fresh"), NULL), LARDER_OK);
    how.soft_ms = PATIENT_MS;
    assert_int_equal(load(b, "stale:soft", &never, how, &v), LARDER_HIT);
    expect_bytes(&v, "fresh");
    assert_int_equal(never.runs, 0);
    larder_value_free(&held);
    larder_value_free(&v);
    larder_close(a);
    larder_close(b);
}

static void a_value_that_will_be_stale_soon_is_refreshed_early_when_asked_for(void **state)
{
    larder_client *c = open_default();
    larder_load_options how = LARDER_LOAD_OPTIONS_INIT;
    larder_value v = LARDER_VALUE_INIT;
    struct gate g;
    gate_init(&g, "renewed", true);
    set_text(c, "stale:early", "first");
    expect_text(c, "stale:early", "first"); /* in shared memory from now on */
    assert_int_equal(load(c, "stale:early", &g, how, &v), LARDER_HIT);
    assert_int_equal(g.runs, 0);
    how.early_ms = UINT32_MAX;
    assert_int_equal(load(c, "stale:early", &g, how, &v), LARDER_HIT);
    expect_bytes(&v, "renewed");
    assert_int_equal(g.runs, 1);
    larder_value_free(&v);
    larder_close(c);
}

/* ======= process scope ======= */

static void scope_process_loads_without_a_lease_and_its_fill_is_fenced_all_the_same(void **state)
{
    larder_client *a = open_default(), *b = open_default();
    larder_load_options how = LARDER_LOAD_OPTIONS_INIT;
    larder_value v = LARDER_VALUE_INIT;
    struct gate g;
    gate_init(&g, "alone", true);
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
    gate_init(&g, "value", false);
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
    gate_init(&g, "value", false);
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
    struct gate g;
    daemon_prepare(&d, config);
    larder_client *c = open_at(&d, 1 << 20);
    gate_init(&g, "value", true);
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
        cmocka_unit_test(whoever_refreshes_inline_gets_the_fresh_value_and_the_others_the_stale_one_at_once),
        cmocka_unit_test(a_refresh_for_later_is_done_by_whoever_works),
        cmocka_unit_test(a_refresh_that_fails_leaves_the_stale_value_and_says_so),
        cmocka_unit_test(whoever_takes_nothing_stale_gets_an_error_when_the_loader_fails),
        cmocka_unit_test(who_wants_something_fresher_waits_that_long_and_then_takes_what_is_stale),
        cmocka_unit_test(a_value_that_will_be_stale_soon_is_refreshed_early_when_asked_for),
        cmocka_unit_test(scope_process_loads_without_a_lease_and_its_fill_is_fenced_all_the_same),
        cmocka_unit_test(a_daemon_that_dies_under_a_load_costs_nobody_his_value),
        cmocka_unit_test(nobody_joins_a_load_whose_fill_is_on_its_way),
        cmocka_unit_test(what_was_kept_without_a_daemon_is_gone_when_one_has_answered),
    };
    return cmocka_run_group_tests(tests, rig_start, rig_finish);
}
