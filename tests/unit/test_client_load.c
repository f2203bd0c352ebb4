/* larder_get_or_load without a daemon: one loader a key and process, whatever its threads, its children and its own
 * changes do meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "client/larder.h"

enum { CALLERS = 1000 };

static larder_client *open_alone(size_t fallback_bytes)
{
    larder_client *c;
    larder_options o = LARDER_OPTIONS_INIT;
    o.socket = "/nonexistent/larder.sock";
    o.strict = true; /* which get_or_load does not mind */
    o.fallback_bytes = fallback_bytes;
    assert_int_equal(larder_open(&c, &o), LARDER_OK);
    return c;
}

static uint64_t joined(larder_client *c)
{
    larder_counters now = {.struct_size = sizeof(now)};
    assert_int_equal(larder_counted(c, &now), LARDER_OK);
    return now.joined;
}

static void wait_joined(larder_client *c, uint64_t count)
{
    while (joined(c) < count)
        sched_yield();
}

/* ======= loaders ======= */

/* A loader that says when it is running and goes on when it is told to. */
struct gate {
    larder_client *c;
    const char *text;
    int result;
    uint32_t backoff_ms;
    _Atomic int runs;
    sem_t running, go;
};

static void gate_init(struct gate *g, larder_client *c, const char *text)
{
    *g = (struct gate){.c = c, .text = text};
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
    sem_take(&g->go);
    ret->backoff_ms = g->backoff_ms;
    return g->result < 0 ? g->result : larder_loaded_set(ret, larder_text(g->text));
}

/* A loader that does not wait. */
struct plain {
    const char *text;
    int runs, result;
    bool absent, no_store;
    uint64_t ttl_ms;
};

static int plainly(void *user, larder_slice key, larder_loaded *ret)
{
    struct plain *p = user;
    p->runs++;
    ret->absent = p->absent;
    ret->no_store = p->no_store;
    ret->backoff_ms = 60000;
    if (p->ttl_ms)
        ret->ttl_ms = p->ttl_ms;
    return p->result < 0 ? p->result : larder_loaded_set(ret, larder_text(p->text));
}

static int ask(larder_client *c, const char *key, struct plain *p, larder_value *v)
{
    return larder_get_or_load(c, larder_text(key), NULL, plainly, p, v);
}

static void expect(const larder_value *v, const char *text)
{
    assert_int_equal(v->size, strlen(text));
    assert_memory_equal(v->data, text, v->size);
}

/* ======= callers ======= */

struct caller {
    struct gate *gate;
    const char *key;
    larder_load_options how;
    pthread_t thread;
    larder_value value;
    int result, load_error;
};

static void *call(void *user)
{
    struct caller *a = user;
    a->result = larder_get_or_load(a->gate->c, larder_text(a->key), &a->how, gated, a->gate, &a->value);
    return NULL;
}

static void caller_start(struct caller *a, struct gate *g, const char *key)
{
    pthread_attr_t small;
    *a = (struct caller){.gate = g, .key = key, .how = LARDER_LOAD_OPTIONS_INIT};
    a->how.ret_load_error = &a->load_error;
    a->how.timeout_ms = 600000; /* a loaded machine is no failure here */
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 256 * 1024);
    assert_int_equal(pthread_create(&a->thread, &small, call, a), 0);
    pthread_attr_destroy(&small);
}

static void caller_expect(struct caller *a, int result, const char *text)
{
    assert_int_equal(pthread_join(a->thread, NULL), 0);
    assert_int_equal(a->result, result);
    if (text)
        expect(&a->value, text);
    larder_value_free(&a->value);
}

/* ======= one loader ======= */

static void a_thousand_callers_run_one_loader_and_all_get_its_value(void **state)
{
    larder_client *c = open_alone(0);
    struct caller *all = calloc(CALLERS, sizeof(*all));
    struct gate g;
    gate_init(&g, c, "the value");
    for (int i = 0; i < CALLERS; i++)
        caller_start(&all[i], &g, "popular");
    wait_joined(c, CALLERS - 1);
    sem_post(&g.go);
    for (int i = 0; i < CALLERS; i++)
        caller_expect(&all[i], LARDER_HIT, "the value");
    assert_int_equal(g.runs, 1);
    larder_close(c);
    free(all);
}

static void different_keys_are_loaded_at_the_same_time(void **state)
{
    larder_client *c = open_alone(0);
    struct gate a, b;
    struct caller first, second;
    gate_init(&a, c, "a");
    gate_init(&b, c, "b");
    caller_start(&first, &a, "key:a");
    caller_start(&second, &b, "key:b");
    sem_take(&a.running);
    sem_take(&b.running);
    sem_post(&a.go);
    sem_post(&b.go);
    caller_expect(&first, LARDER_HIT, "a");
    caller_expect(&second, LARDER_HIT, "b");
    larder_close(c);
}

static void a_value_straight_from_a_loader_says_so(void **state)
{
    larder_client *c = open_alone(0);
    larder_value v = LARDER_VALUE_INIT;
    struct plain p = {.text = "v"};
    assert_int_equal(ask(c, "k", &p, &v), LARDER_HIT);
    assert_int_equal(v.flags, LARDER_IS_LOADED | LARDER_IS_LOCAL);
    assert_int_equal(v.tier, LARDER_TIER_NONE);
    larder_value_free(&v);
    larder_close(c);
}

static void a_loader_may_find_that_there_is_nothing(void **state)
{
    larder_client *c = open_alone(0);
    larder_value v = LARDER_VALUE_INIT;
    struct plain p = {.text = "not looked at", .absent = true};
    assert_int_equal(ask(c, "k", &p, &v), LARDER_ABSENT);
    assert_int_equal(v.size, 0);
    larder_value_free(&v);
    larder_close(c);
}

/* ======= failures ======= */

static void a_loader_that_fails_is_told_to_all_who_wait_with_its_own_code(void **state)
{
    larder_client *c = open_alone(0);
    struct caller a, b;
    struct gate g;
    gate_init(&g, c, "");
    g.result = -777;
    caller_start(&a, &g, "k");
    sem_take(&g.running);
    caller_start(&b, &g, "k");
    wait_joined(c, 1);
    sem_post(&g.go);
    caller_expect(&a, LARDER_E_LOAD, NULL);
    caller_expect(&b, LARDER_E_LOAD, NULL);
    assert_int_equal(a.load_error, -777);
    assert_int_equal(b.load_error, -777);
    assert_int_equal(g.runs, 1);
    larder_close(c);
}

static void after_a_failure_nobody_tries_for_a_while(void **state)
{
    larder_client *c = open_alone(0);
    larder_value v = LARDER_VALUE_INIT;
    struct plain p = {.text = "", .result = -1};
    assert_int_equal(ask(c, "k", &p, &v), LARDER_E_LOAD);
    assert_int_equal(ask(c, "k", &p, &v), LARDER_E_LOAD);
    assert_int_equal(p.runs, 1);
    p.result = 0;
    p.text = "other";
    assert_int_equal(ask(c, "other", &p, &v), LARDER_HIT); /* other keys are no worse for it */
    larder_value_free(&v);
    larder_close(c);
}

static void a_change_of_a_key_ends_its_rest(void **state)
{
    larder_client *c = open_alone(0);
    larder_value v = LARDER_VALUE_INIT;
    struct plain p = {.text = "mended", .result = -1};
    assert_int_equal(ask(c, "k", &p, &v), LARDER_E_LOAD);
    p.result = 0;
    larder_invalidate(c, larder_text("k"));
    assert_int_equal(ask(c, "k", &p, &v), LARDER_HIT);
    larder_value_free(&v);
    larder_close(c);
}

/* ======= deadlines ======= */

static void a_caller_whose_time_is_up_leaves_alone(void **state)
{
    larder_client *c = open_alone(0);
    larder_load_options how = LARDER_LOAD_OPTIONS_INIT;
    larder_value v = LARDER_VALUE_INIT;
    struct caller a;
    struct gate g;
    gate_init(&g, c, "late");
    caller_start(&a, &g, "k");
    sem_take(&g.running);
    how.timeout_ms = 1;
    assert_int_equal(larder_get_or_load(c, larder_text("k"), &how, gated, &g, &v), LARDER_E_TIMEOUT);
    sem_post(&g.go);
    caller_expect(&a, LARDER_HIT, "late");
    assert_int_equal(g.runs, 1);
    larder_value_free(&v);
    larder_close(c);
}

static void arguments_that_make_no_sense_are_refused(void **state)
{
    larder_client *c = open_alone(0);
    larder_load_options how = LARDER_LOAD_OPTIONS_INIT;
    larder_value v = LARDER_VALUE_INIT;
    struct plain p = {.text = ""};
    how.hard_ms = 600001;
    assert_int_equal(larder_get_or_load(c, larder_text("k"), &how, plainly, &p, &v), LARDER_E_INVALID);
    how.hard_ms = 0;
    how.scope = 77;
    assert_int_equal(larder_get_or_load(c, larder_text("k"), &how, plainly, &p, &v), LARDER_E_INVALID);
    assert_int_equal(larder_get_or_load(c, larder_text("k"), NULL, NULL, NULL, &v), LARDER_E_INVALID);
    assert_int_equal(ask(c, "", &p, &v), LARDER_E_KEY);
    assert_int_equal(p.runs, 0);
    larder_value_free(&v);
    larder_close(c);
}

/* ======= changes of this process (F9) ======= */

typedef void change_fn(larder_client *c);

static void by_key(larder_client *c)
{
    larder_invalidate(c, larder_text("t:k"));
}

static void by_set(larder_client *c)
{
    larder_set(c, larder_text("t:k"), larder_text("x"), NULL);
}

static void by_mset(larder_client *c)
{
    larder_item item = {.key = larder_text("t:k"), .value = larder_text("x")};
    larder_mset(c, &item, 1, NULL);
}

static void by_names(larder_client *c, bool all, const char *prefix, const char *tag)
{
    larder_slice p = larder_text(prefix), t = larder_text(tag);
    larder_invalidate_options o = LARDER_INVALIDATE_OPTIONS_INIT;
    o.all = all;
    o.prefixes = &p;
    o.prefixes_count = p.size ? 1 : 0;
    o.tags = &t;
    o.tags_count = t.size ? 1 : 0;
    larder_invalidate_all_of(c, &o);
}

static void by_prefix(larder_client *c)
{
    by_names(c, false, "t:", "");
}

static void by_tag(larder_client *c)
{
    by_names(c, false, "", "whatever");
}

static void by_all(larder_client *c)
{
    by_names(c, true, "", "");
}

static void begin_again_after(change_fn *change)
{
    larder_client *c = open_alone(0);
    larder_value v = LARDER_VALUE_INIT;
    struct plain now = {.text = "new"};
    struct caller before, joiner;
    struct gate g;
    gate_init(&g, c, "old");
    caller_start(&before, &g, "t:k");
    sem_take(&g.running);
    caller_start(&joiner, &g, "t:k");
    wait_joined(c, 1);
    change(c);
    assert_int_equal(ask(c, "t:k", &now, &v), LARDER_HIT);
    expect(&v, "new");
    sem_post(&g.go);
    caller_expect(&before, LARDER_HIT, "old");
    caller_expect(&joiner, LARDER_HIT, "old"); /* began before the change */
    larder_value_free(&v);
    larder_close(c);
}

static void a_call_that_begins_after_this_process_changed_the_key_never_joins_an_older_load(void **state)
{
    change_fn *changes[] = {by_key, by_set, by_mset, by_prefix, by_tag, by_all};
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
        begin_again_after(changes[i]);
}

static void a_change_of_other_keys_shuts_no_load(void **state)
{
    larder_client *c = open_alone(0);
    struct caller first, second;
    struct gate g;
    gate_init(&g, c, "one");
    caller_start(&first, &g, "t:k");
    sem_take(&g.running);
    larder_invalidate(c, larder_text("t:other"));
    by_names(c, false, "u:", "");
    caller_start(&second, &g, "t:k");
    wait_joined(c, 1);
    sem_post(&g.go);
    caller_expect(&first, LARDER_HIT, "one");
    caller_expect(&second, LARDER_HIT, "one");
    larder_close(c);
}

/* ======= loaders that use the cache ======= */

struct nested {
    larder_client *c;
    const char *key;
    int result;
};

static int nest(void *user, larder_slice key, larder_loaded *ret)
{
    struct nested *n = user;
    larder_value v = LARDER_VALUE_INIT;
    struct plain p = {.text = "inner"};
    n->result = larder_get_or_load(n->c, larder_text(n->key), NULL, plainly, &p, &v);
    int r = larder_loaded_set(ret, larder_bytes(v.data, v.size));
    larder_value_free(&v);
    return r;
}

static void a_loader_may_load_other_keys(void **state)
{
    larder_client *c = open_alone(0);
    larder_value v = LARDER_VALUE_INIT;
    struct nested n = {.c = c, .key = "part"};
    assert_int_equal(larder_get_or_load(c, larder_text("whole"), NULL, nest, &n, &v), LARDER_HIT);
    expect(&v, "inner");
    larder_value_free(&v);
    larder_close(c);
}

static void a_loader_that_asks_for_its_own_key_is_refused_at_once(void **state)
{
    larder_client *c = open_alone(0);
    larder_value v = LARDER_VALUE_INIT;
    struct nested n = {.c = c, .key = "whole"};
    assert_int_equal(larder_get_or_load(c, larder_text("whole"), NULL, nest, &n, &v), LARDER_HIT);
    assert_int_equal(n.result, LARDER_E_INVALID);
    larder_value_free(&v);
    larder_close(c);
}

/* ======= what a loader hands over ======= */

static int freed;

static void count_free(void *data)
{
    freed++;
}

static int takes_twice(void *user, larder_slice key, larder_loaded *ret)
{
    static char one[] = "one", two[] = "two";
    larder_loaded_take(ret, one, 3, count_free);
    assert_int_equal(freed, 0);
    larder_loaded_take(ret, two, 3, count_free);
    assert_int_equal(freed, 1);
    return *(int *)user;
}

static void what_was_handed_over_is_freed_once_whatever_happens(void **state)
{
    larder_client *c = open_alone(0);
    larder_value v = LARDER_VALUE_INIT;
    int result = 0;
    freed = 0;
    assert_int_equal(larder_get_or_load(c, larder_text("k"), NULL, takes_twice, &result, &v), LARDER_HIT);
    expect(&v, "two");
    assert_int_equal(freed, 2);
    result = -1;
    freed = 0;
    assert_int_equal(larder_get_or_load(c, larder_text("l"), NULL, takes_twice, &result, &v), LARDER_E_LOAD);
    assert_int_equal(freed, 2);
    larder_value_free(&v);
    larder_close(c);
}

static int tags_many(void *user, larder_slice key, larder_loaded *ret)
{
    int *last = user;
    for (int i = 0; i < 17; i++)
        *last = larder_loaded_tag(ret, larder_text("tag"));
    return 0;
}

static void more_tags_than_an_entry_may_have_are_refused_one_by_one(void **state)
{
    larder_client *c = open_alone(0);
    larder_value v = LARDER_VALUE_INIT;
    int last = 0;
    assert_int_equal(larder_get_or_load(c, larder_text("k"), NULL, tags_many, &last, &v), LARDER_HIT);
    assert_int_equal(last, LARDER_E_LIMIT);
    assert_int_equal(v.size, 0); /* nothing was set: an empty value */
    larder_value_free(&v);
    larder_close(c);
}

/* ======= fork ======= */

static int exit_code(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void a_child_forgets_what_its_parent_is_loading(void **state)
{
    larder_client *c = open_alone(0);
    struct caller a;
    struct gate g;
    gate_init(&g, c, "parent's");
    caller_start(&a, &g, "k");
    sem_take(&g.running);
    pid_t child = fork();
    if (child == 0) {
        larder_value v = LARDER_VALUE_INIT;
        struct plain own = {.text = "child's"};
        alarm(60); /* rather than hang for ever */
        _exit(ask(c, "k", &own, &v) == LARDER_HIT && v.size == 7 && own.runs == 1 ? 0 : 1);
    }
    assert_int_equal(exit_code(child), 0);
    sem_post(&g.go);
    caller_expect(&a, LARDER_HIT, "parent's");
    larder_close(c);
}

static int forks(void *user, larder_slice key, larder_loaded *ret)
{
    pid_t *child = user;
    *child = fork();
    return larder_loaded_set(ret, larder_text(*child ? "parent" : "child"));
}

static void a_loader_that_forks_gives_each_process_its_own(void **state)
{
    larder_client *c = open_alone(0);
    larder_value v = LARDER_VALUE_INIT;
    pid_t child;
    int r = larder_get_or_load(c, larder_text("k"), NULL, forks, &child, &v);
    if (child == 0) {
        struct plain own = {.text = "again"};
        alarm(60);
        bool first = r == LARDER_HIT && v.size == 5;
        _exit(first && ask(c, "k", &own, &v) == LARDER_HIT && own.runs == 1 ? 0 : 1);
    }
    assert_int_equal(exit_code(child), 0);
    assert_int_equal(r, LARDER_HIT);
    expect(&v, "parent");
    larder_value_free(&v);
    larder_close(c);
}

/* ======= the fallback ======= */

static void without_a_fallback_each_call_loads(void **state)
{
    larder_client *c = open_alone(0);
    larder_value v = LARDER_VALUE_INIT;
    struct plain p = {.text = "v"};
    ask(c, "k", &p, &v);
    ask(c, "k", &p, &v);
    assert_int_equal(p.runs, 2);
    larder_value_free(&v);
    larder_close(c);
}

static void with_a_fallback_the_second_call_finds_it_flagged_local_and_short_lived(void **state)
{
    larder_client *c = open_alone(1 << 20);
    larder_value v = LARDER_VALUE_INIT;
    struct plain p = {.text = "v"};
    ask(c, "k", &p, &v);
    assert_int_equal(ask(c, "k", &p, &v), LARDER_HIT);
    expect(&v, "v");
    assert_int_equal(p.runs, 1);
    assert_int_equal(v.flags, LARDER_IS_LOCAL);
    assert_in_range(v.ttl_ms, 1, 60000);
    larder_value_free(&v);
    larder_close(c);
}

static void the_fallback_keeps_nothing_that_is_not_to_be_stored(void **state)
{
    larder_client *c = open_alone(1 << 20);
    larder_value v = LARDER_VALUE_INIT;
    struct plain p = {.text = "secret", .no_store = true};
    ask(c, "k", &p, &v);
    ask(c, "k", &p, &v);
    assert_int_equal(p.runs, 2);
    larder_value_free(&v);
    larder_close(c);
}

static void the_fallback_drops_what_this_process_changes(void **state)
{
    change_fn *changes[] = {by_key, by_set, by_mset, by_prefix, by_tag, by_all};
    larder_client *c = open_alone(1 << 20);
    larder_value v = LARDER_VALUE_INIT;
    struct plain p = {.text = "v"};
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        p.runs = 0;
        ask(c, "t:k", &p, &v);
        ask(c, "t:k", &p, &v);
        changes[i](c);
        p.runs = 0;
        ask(c, "t:k", &p, &v);
        assert_int_equal(p.runs, 1);
    }
    larder_value_free(&v);
    larder_close(c);
}

static void a_load_that_began_before_a_change_is_not_kept_after_it(void **state)
{
    larder_client *c = open_alone(1 << 20);
    larder_value v = LARDER_VALUE_INIT;
    struct plain now = {.text = "new"};
    struct caller a;
    struct gate g;
    gate_init(&g, c, "old");
    caller_start(&a, &g, "t:k");
    sem_take(&g.running);
    by_key(c);
    sem_post(&g.go);
    caller_expect(&a, LARDER_HIT, "old");
    ask(c, "t:k", &now, &v);
    expect(&v, "new");
    larder_value_free(&v);
    larder_close(c);
}

static void the_fallback_forgets_what_was_not_used_for_longest_when_it_is_full(void **state)
{
    larder_client *c = open_alone(16 * 1024);
    larder_value v = LARDER_VALUE_INIT;
    struct plain first = {.text = "first"}, p = {.text = "filler"};
    char key[32];
    ask(c, "first", &first, &v);
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "filler:%d", i);
        ask(c, key, &p, &v);
        ask(c, "first", &first, &v);
    }
    assert_int_equal(first.runs, 1); /* used all the time */
    assert_int_equal(p.runs, 1000);
    ask(c, "filler:0", &p, &v);
    assert_int_equal(p.runs, 1001);
    ask(c, "filler:999", &p, &v);
    assert_int_equal(p.runs, 1001);
    larder_value_free(&v);
    larder_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thousand_callers_run_one_loader_and_all_get_its_value),
        cmocka_unit_test(different_keys_are_loaded_at_the_same_time),
        cmocka_unit_test(a_value_straight_from_a_loader_says_so),
        cmocka_unit_test(a_loader_may_find_that_there_is_nothing),
        cmocka_unit_test(a_loader_that_fails_is_told_to_all_who_wait_with_its_own_code),
        cmocka_unit_test(after_a_failure_nobody_tries_for_a_while),
        cmocka_unit_test(a_change_of_a_key_ends_its_rest),
        cmocka_unit_test(a_caller_whose_time_is_up_leaves_alone),
        cmocka_unit_test(arguments_that_make_no_sense_are_refused),
        cmocka_unit_test(a_call_that_begins_after_this_process_changed_the_key_never_joins_an_older_load),
        cmocka_unit_test(a_change_of_other_keys_shuts_no_load),
        cmocka_unit_test(a_loader_may_load_other_keys),
        cmocka_unit_test(a_loader_that_asks_for_its_own_key_is_refused_at_once),
        cmocka_unit_test(what_was_handed_over_is_freed_once_whatever_happens),
        cmocka_unit_test(more_tags_than_an_entry_may_have_are_refused_one_by_one),
        cmocka_unit_test(a_child_forgets_what_its_parent_is_loading),
        cmocka_unit_test(a_loader_that_forks_gives_each_process_its_own),
        cmocka_unit_test(without_a_fallback_each_call_loads),
        cmocka_unit_test(with_a_fallback_the_second_call_finds_it_flagged_local_and_short_lived),
        cmocka_unit_test(the_fallback_keeps_nothing_that_is_not_to_be_stored),
        cmocka_unit_test(the_fallback_drops_what_this_process_changes),
        cmocka_unit_test(a_load_that_began_before_a_change_is_not_kept_after_it),
        cmocka_unit_test(the_fallback_forgets_what_was_not_used_for_longest_when_it_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
