/* larder_async with a real daemon, in a loop of poll(2): every verb, get_or_load with loaders that answer later, daemons
 * that come, go and stand still. */
#include "support/client_rig.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "client/larder_async.h"
#include "support/daemon.h"

enum { PATIENCE_TURNS = 100000 };

static const char config[] = "[server]\n[namespace default]\nl1_bytes = 8MiB\n";

struct fixture {
    struct daemon larderd;
    larder_async *a;
    larder_client *c; /* another process, as it were */
};

static larder_options options_of(const struct fixture *f)
{
    larder_options o = LARDER_OPTIONS_INIT;
    o.socket = f->larderd.socket;
    o.get_ms = o.change_ms = o.connect_ms = 10000; /* a loaded machine is no failure here */
    return o;
}

static int prepare(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    daemon_prepare(&f->larderd, config);
    larder_options o = options_of(f);
    assert_int_equal(larder_async_open(&f->a, &o), LARDER_OK);
    assert_int_equal(larder_open(&f->c, &o), LARDER_OK);
    *state = f;
    return 0;
}

static int start(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    daemon_prepare(&f->larderd, config);
    daemon_start(&f->larderd);
    larder_options o = options_of(f);
    assert_int_equal(larder_async_open(&f->a, &o), LARDER_OK);
    assert_int_equal(larder_open(&f->c, &o), LARDER_OK);
    *state = f;
    return 0;
}

static int finish(void **state)
{
    struct fixture *f = *state;
    larder_async_close(f->a);
    larder_close(f->c);
    daemon_finish(&f->larderd);
    free(f);
    return 0;
}

/* One turn of an app's loop. */
static void turn(larder_async *a)
{
    struct pollfd p = {.fd = larder_async_fd(a), .events = larder_async_events(a)};
    poll(&p, 1, larder_async_timeout(a));
    larder_async_process(a);
}

#define TURN_UNTIL(a, condition)                 \
    for (int turns = 0; !(condition); turns++) { \
        assert_true(turns < PATIENCE_TURNS);     \
        turn(a);                                 \
    }

/* What a callback was told. */
struct told {
    int times, result, hits;
    char text[64];
    size_t size;
    uint32_t flags;
    bool near;
};

static void tell(void *user, int result, larder_value *value)
{
    struct told *t = user;
    t->times++;
    t->result = result;
    if (!value)
        return;
    t->size = value->size;
    t->flags = value->flags;
    t->near = value->near;
    if (value->size < sizeof(t->text)) {
        memset(t->text, 0, sizeof(t->text));
        if (value->size)
            memcpy(t->text, value->data, value->size);
    }
}

static struct told get_it(larder_async *a, const char *key)
{
    struct told t = {0};
    assert_int_equal(larder_async_get(a, T(key), NULL, tell, &t), LARDER_OK);
    TURN_UNTIL(a, t.times);
    return t;
}

static struct told set_it(larder_async *a, const char *key, const char *value)
{
    struct told t = {0};
    assert_int_equal(larder_async_set(a, T(key), T(value), NULL, tell, &t), LARDER_OK);
    TURN_UNTIL(a, t.times);
    return t;
}

/* A segment that was just made takes a moment to be open to readers. */
static void get_near(larder_async *a, const char *key)
{
    for (int i = 0; !get_it(a, key).near; i++)
        assert_true(i < PATIENCE_TURNS);
}

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

/* ======= get_or_load ======= */

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

/* "over:k", tagged "over-tag", named in every way there is. */
static void each_change(struct fixture *f,
                        void (*overlap)(struct fixture *, const larder_invalidate_options *))
{
    const larder_slice key = T("over:k"), tag = T("over-tag"), prefix = T("over:");
    larder_invalidate_options by_key = LARDER_INVALIDATE_OPTIONS_INIT, by_tag = by_key, by_prefix = by_key,
                              by_all = by_key;
    by_key.keys = &key, by_key.keys_count = 1;
    by_tag.tags = &tag, by_tag.tags_count = 1;
    by_prefix.prefixes = &prefix, by_prefix.prefixes_count = 1;
    by_all.all = true;
    const larder_invalidate_options *changes[] = {&by_key, &by_tag, &by_prefix, &by_all};
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        assert_true(larder_invalidate(f->c, key) >= 0);
        overlap(f, changes[i]);
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
    struct desk old = {.tag = "over-tag"}, new = {.now = "new", .tag = "over-tag"};
    struct told before = {0}, done = {0}, after = {0};
    ask(f->a, "over:k", &old, &before);
    TURN_UNTIL(f->a, old.count);
    assert_int_equal(larder_async_invalidate(f->a, change, tell, &done), LARDER_OK);
    TURN_UNTIL(f->a, done.times);
    ask(f->a, "over:k", &new, &after);
    fill(&old, 0, "old");
    TURN_UNTIL(f->a, before.times && after.times);
    assert_string_equal(before.text, "old");
    assert_string_equal(after.text, "new");
    expect_text(f->c, "over:k", "new");
}

static void a_load_that_this_object_invalidated_by_any_name_is_refused(void **state)
{
    each_change(*state, overlapped_by_itself);
}

static void overlapped_by_another(struct fixture *f, const larder_invalidate_options *change)
{
    struct desk d = {.tag = "over-tag"}, new = {.now = "new", .tag = "over-tag"};
    struct told before = {0}, after = {0};
    ask(f->a, "over:k", &d, &before);
    TURN_UNTIL(f->a, d.count);
    assert_int_equal(larder_invalidate_all_of(f->c, change), LARDER_OK);
    ask(f->a, "over:k", &new, &after); /* comes aboard: nobody told this process */
    fill(&d, 0, "old");
    TURN_UNTIL(f->a, before.times && after.times);
    assert_string_equal(before.text, "old");
    assert_string_equal(after.text, "new");
    expect_text(f->c, "over:k", "new");
}

static void a_load_that_another_process_invalidated_is_not_given_to_later_callers(void **state)
{
    each_change(*state, overlapped_by_another);
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

/* ======= daemons that come and go ======= */

static void without_a_daemon_gets_miss_and_changes_say_why(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(get_it(f->a, "k").result, LARDER_MISS);
    assert_int_equal(set_it(f->a, "k", "v").result, LARDER_E_UNREACHABLE);
}

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

#define WITH_DAEMON(test)    cmocka_unit_test_setup_teardown(test, start, finish)
#define WITHOUT_DAEMON(test) cmocka_unit_test_setup_teardown(test, prepare, finish)

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
        WITH_DAEMON(what_makes_no_sense_is_told_by_the_call_itself),
        WITH_DAEMON(a_callback_may_ask_again),
        WITH_DAEMON(closing_tells_whoever_still_waits),
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
        WITHOUT_DAEMON(without_a_daemon_gets_miss_and_changes_say_why),
        WITHOUT_DAEMON(without_a_daemon_there_is_one_loader_in_this_object),
        WITHOUT_DAEMON(a_daemon_that_starts_later_is_found),
        WITH_DAEMON(a_daemon_that_was_killed_and_started_again_is_found_with_its_memory),
        WITH_DAEMON(a_load_whose_daemon_died_still_brings_its_value),
        WITH_DAEMON(a_daemon_that_stands_still_costs_a_deadline_once),
        WITH_DAEMON(a_child_may_close_what_its_parent_goes_on_using),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
