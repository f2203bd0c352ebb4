/* larder_get_or_load without a daemon: one loader a key and process, whatever its threads, its children and its own
 * changes do meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "support/client_changes.h"
#include "support/client_gate.h"

enum { CALLERS = 1000 };

/* ======= one loader ======= */

static void a_thousand_callers_run_one_loader_and_all_get_its_value(void **state)
{
    larder_client *c = open_alone(0);
    struct caller *all = calloc(CALLERS, sizeof(*all));
    struct gate g;
    gate_init(&g, "the value");
    for (int i = 0; i < CALLERS; i++)
        caller_start(&all[i], c, "popular", &g);
    wait_joined(c, CALLERS - 1);
    sem_post(&g.go);
    for (int i = 0; i < CALLERS; i++)
        caller_expect(&all[i], "the value");
    assert_int_equal(g.runs, 1);
    larder_close(c);
    free(all);
}

static void different_keys_are_loaded_at_the_same_time(void **state)
{
    larder_client *c = open_alone(0);
    struct gate a, b;
    struct caller first, second;
    gate_init(&a, "a");
    gate_init(&b, "b");
    caller_start(&first, c, "key:a", &a);
    caller_start(&second, c, "key:b", &b);
    sem_take(&a.running);
    sem_take(&b.running);
    sem_post(&a.go);
    sem_post(&b.go);
    caller_expect(&first, "a");
    caller_expect(&second, "b");
    larder_close(c);
}

static void a_value_straight_from_a_loader_says_so(void **state)
{
    larder_client *c = open_alone(0);
    larder_value v = LARDER_VALUE_INIT;
    struct gate p = {.text = "v", .open = true};
    assert_int_equal(load(c, "k", &p, plain, &v), LARDER_HIT);
    assert_int_equal(v.flags, LARDER_IS_LOADED | LARDER_IS_LOCAL);
    assert_int_equal(v.tier, LARDER_TIER_NONE);
    larder_value_free(&v);
    larder_close(c);
}

static void a_loader_may_find_that_there_is_nothing(void **state)
{
    larder_client *c = open_alone(0);
    larder_value v = LARDER_VALUE_INIT;
    struct gate p = {.text = "not looked at", .absent = true, .open = true};
    assert_int_equal(load(c, "k", &p, plain, &v), LARDER_ABSENT);
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
    gate_init(&g, "");
    g.result = -777;
    caller_start(&a, c, "k", &g);
    sem_take(&g.running);
    caller_start(&b, c, "k", &g);
    wait_joined(c, 1);
    sem_post(&g.go);
    caller_expect_failure(&a, -777);
    caller_expect_failure(&b, -777);
    assert_int_equal(g.runs, 1);
    larder_close(c);
}

static void after_a_failure_nobody_tries_for_a_while(void **state)
{
    larder_client *c = open_alone(0);
    larder_value v = LARDER_VALUE_INIT;
    struct gate p = {.text = "", .result = -1, .open = true};
    assert_int_equal(load(c, "k", &p, plain, &v), LARDER_E_LOAD);
    assert_int_equal(load(c, "k", &p, plain, &v), LARDER_E_LOAD);
    assert_int_equal(p.runs, 1);
    p.result = 0;
    p.text = "other";
    assert_int_equal(load(c, "other", &p, plain, &v), LARDER_HIT); /* other keys are no worse for it */
    larder_value_free(&v);
    larder_close(c);
}

static void a_change_of_a_key_ends_its_rest(void **state)
{
    larder_client *c = open_alone(0);
    larder_value v = LARDER_VALUE_INIT;
    struct gate p = {.text = "mended", .result = -1, .open = true};
    assert_int_equal(load(c, "k", &p, plain, &v), LARDER_E_LOAD);
    p.result = 0;
    larder_invalidate(c, larder_text("k"));
    assert_int_equal(load(c, "k", &p, plain, &v), LARDER_HIT);
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
    gate_init(&g, "late");
    caller_start(&a, c, "k", &g);
    sem_take(&g.running);
    how.timeout_ms = 1;
    assert_int_equal(load(c, "k", &g, how, &v), LARDER_E_TIMEOUT);
    sem_post(&g.go);
    caller_expect(&a, "late");
    assert_int_equal(g.runs, 1);
    larder_value_free(&v);
    larder_close(c);
}

static void arguments_that_make_no_sense_are_refused(void **state)
{
    larder_client *c = open_alone(0);
    larder_load_options how = LARDER_LOAD_OPTIONS_INIT;
    larder_value v = LARDER_VALUE_INIT;
    struct gate p = {.text = "", .open = true};
    how.hard_ms = 600001;
    assert_int_equal(load(c, "k", &p, how, &v), LARDER_E_INVALID);
    how.hard_ms = 0;
    how.scope = 77;
    assert_int_equal(load(c, "k", &p, how, &v), LARDER_E_INVALID);
    assert_int_equal(larder_get_or_load(c, larder_text("k"), NULL, NULL, NULL, &v), LARDER_E_INVALID);
    assert_int_equal(load(c, "", &p, plain, &v), LARDER_E_KEY);
    assert_int_equal(p.runs, 0);
    larder_value_free(&v);
    larder_close(c);
}

/* ======= changes of this process (F9) ======= */

static void begin_again_after(enum over by)
{
    larder_client *c = open_alone(0);
    larder_value v = LARDER_VALUE_INIT;
    struct gate now = {.text = "new", .open = true};
    struct caller before, joiner;
    struct gate g;
    gate_init(&g, "old");
    caller_start(&before, c, OVER_KEY, &g);
    sem_take(&g.running);
    caller_start(&joiner, c, OVER_KEY, &g);
    wait_joined(c, 1);
    change_over(c, by);
    assert_int_equal(load(c, OVER_KEY, &now, plain, &v), LARDER_HIT);
    expect_bytes(&v, "new");
    sem_post(&g.go);
    caller_expect(&before, "old");
    caller_expect(&joiner, "old"); /* began before the change */
    larder_value_free(&v);
    larder_close(c);
}

static void a_call_that_begins_after_this_process_changed_the_key_never_joins_an_older_load(void **state)
{
    for (enum over by = 0; by < CHANGES; by++)
        begin_again_after(by);
}

static void a_change_of_other_keys_shuts_no_load(void **state)
{
    larder_client *c = open_alone(0);
    larder_slice elsewhere = larder_text("elsewhere:");
    larder_invalidate_options o = LARDER_INVALIDATE_OPTIONS_INIT;
    struct caller first, second;
    struct gate g;
    gate_init(&g, "one");
    caller_start(&first, c, OVER_KEY, &g);
    sem_take(&g.running);
    larder_invalidate(c, larder_text("over:other"));
    o.prefixes = &elsewhere;
    o.prefixes_count = 1;
    larder_invalidate_all_of(c, &o);
    caller_start(&second, c, OVER_KEY, &g);
    wait_joined(c, 1);
    sem_post(&g.go);
    caller_expect(&first, "one");
    caller_expect(&second, "one");
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
    struct gate p = {.text = "inner", .open = true};
    n->result = load(n->c, n->key, &p, plain, &v);
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
    expect_bytes(&v, "inner");
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
    expect_bytes(&v, "two");
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
    gate_init(&g, "parent's");
    caller_start(&a, c, "k", &g);
    sem_take(&g.running);
    pid_t child = fork();
    if (child == 0) {
        larder_value v = LARDER_VALUE_INIT;
        struct gate own = {.text = "child's", .open = true};
        alarm(60); /* rather than hang for ever */
        _exit(load(c, "k", &own, plain, &v) == LARDER_HIT && v.size == 7 && own.runs == 1 ? 0 : 1);
    }
    assert_int_equal(exit_code(child), 0);
    sem_post(&g.go);
    caller_expect(&a, "parent's");
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
        struct gate own = {.text = "again", .open = true};
        alarm(60);
        bool first = r == LARDER_HIT && v.size == 5;
        _exit(first && load(c, "k", &own, plain, &v) == LARDER_HIT && own.runs == 1 ? 0 : 1);
    }
    assert_int_equal(exit_code(child), 0);
    assert_int_equal(r, LARDER_HIT);
    expect_bytes(&v, "parent");
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
