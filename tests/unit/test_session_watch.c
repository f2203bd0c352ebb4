/* MONITOR over connections, and the debug log: what is told of operations that ended. */
#include "support/session_rig.h"

#include "session/monitor.h"

DEFINE_SAY(monitor)
DEFINE_EXPECT(OPERATIONS, operations)

#define LONG_MS 10000u
#define TRACE   "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

/* ======= two connections ======= */

static int connect_as(struct fixture *f, const char *tenant)
{
    int first = f->fd;
    f->fd = connect_session(f);
    greet_as(f, tenant, 0);
    return first;
}

static void use(struct fixture *f, int *other)
{
    int fd = f->fd;
    assert_int_equal(f->in.size, 0);
    f->fd = *other;
    *other = fd;
}

/* The one in use watches, `other` works. */
static void look(struct fixture *f)
{
    SAY(f, monitor, .wait_ms = 0);
}

DEFINE_ONLY(operation, operations, operations)

static struct wire_operation only_line(struct fixture *f)
{
    return only_operation(expect_operations(f));
}

static void watch(struct fixture *f)
{
    look(f);
    assert_int_equal(expect_operations(f).operations.count, 0);
}

static void leave(struct fixture *f, int fd)
{
    close(fd);
    while (figures(f).client_connections > 1)
        loop_run_once(f->loop);
}

/* ======= MONITOR ======= */

static void a_watcher_is_told_of_anothers_get(void **state)
{
    struct fixture *f = *state;
    watch(f);
    int watcher = connect_as(f, "");
    struct slice key = S("user:1");
    SAY(f, get, .keys = {1, &key}, .trace = S(TRACE));
    expect_entry(f);
    use(f, &watcher);
    look(f);
    struct wire_operation line = only_line(f);
    assert_slice(line.op, "get");
    assert_slice(line.name, "user:1");
    assert_int_equal(line.named, WIRE_NAMED_KEY);
    assert_int_equal(line.status, STATUS_MISS);
    assert_int_equal(line.reason, MISS_COLD);
    assert_slice(line.client, "test");
    assert_int_equal(line.pid, getpid());
    assert_slice(line.trace, TRACE);
    assert_true(line.took_ns > 0 && line.at_us > 0);
    leave(f, watcher);
}

static void a_set_tells_its_size_and_life_and_no_value(void **state)
{
    struct fixture *f = *state;
    watch(f);
    set(f, "k", "a value", NULL);
    look(f);
    struct wire_operation line = only_line(f);
    assert_slice(line.op, "set");
    assert_int_equal(line.bytes, 7);
    assert_int_equal(line.ttl_ms, 60000);
    assert_null(memmem(f->in.data, f->in.size, "a value", 7));
}

static void a_hit_tells_tier_and_size(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "value", NULL);
    watch(f);
    get(f, "k");
    look(f);
    struct wire_operation line = only_line(f);
    assert_int_equal(line.status, STATUS_HIT);
    assert_int_equal(line.tier, TIER_L1);
    assert_int_equal(line.bytes, 5);
}

static void each_key_of_a_batch_is_an_operation(void **state)
{
    struct fixture *f = *state;
    struct slice keys[] = {S("a"), S("b"), S("c")};
    watch(f);
    SAY(f, get, .keys = {3, keys});
    expect_values(f);
    look(f);
    assert_int_equal(expect_operations(f).operations.count, 3);
}

static void an_invalidation_is_one_with_its_names_counted(void **state)
{
    struct fixture *f = *state;
    struct slice keys[] = {S("a"), S("b")}, tags[] = {S("t")};
    set(f, "a", "v", NULL);
    watch(f);
    SAY(f, invalidate, .keys = {2, keys}, .tags = {1, tags});
    expect_status(f, STATUS_OK);
    look(f);
    struct wire_operation line = only_line(f);
    assert_slice(line.op, "invalidate");
    assert_slice(line.name, "a");
    assert_int_equal(line.names, 3);
    assert_int_equal(line.dropped, 1);
}

static void what_ended_before_anybody_watched_is_not_told(void **state)
{
    struct fixture *f = *state;
    get(f, "before");
    watch(f);
    look(f);
    assert_int_equal(expect_operations(f).operations.count, 0);
}

static void who_waits_is_answered_when_something_ends(void **state)
{
    struct fixture *f = *state;
    SAY(f, monitor, .wait_ms = LONG_MS);
    int watcher = connect_as(f, "");
    get(f, "k");
    use(f, &watcher);
    assert_slice(only_line(f).name, "k");
    leave(f, watcher);
}

static void who_waits_in_vain_is_answered_with_nothing(void **state)
{
    struct fixture *f = *state;
    SAY(f, monitor, .wait_ms = 1);
    assert_int_equal(expect_operations(f).operations.count, 0);
}

static void one_waits_at_a_time(void **state)
{
    struct fixture *f = *state;
    SAY(f, monitor, .wait_ms = LONG_MS);
    SAY(f, monitor, .wait_ms = 0);
    expect_operations(f);
    expect_operations(f);
}

static void a_watcher_that_waits_may_go(void **state)
{
    struct fixture *f = *state;
    SAY(f, monitor, .wait_ms = LONG_MS);
    int watcher = connect_as(f, "");
    leave(f, watcher);
    assert_int_equal(get(f, "k").status, STATUS_MISS);
    assert_int_equal(figures(f).requests_in_flight, 0);
}

static void a_drain_answers_who_waits(void **state)
{
    struct fixture *f = *state;
    SAY(f, monitor, .wait_ms = LONG_MS);
    while (figures(f).requests_in_flight == 0)
        loop_run_once(f->loop);
    drain(f, 5 * NS_PER_S);
    expect_operations(f);
    expect_hang_up(f);
}

static void who_watches_no_more_is_not_charged(void **state)
{
    struct fixture *f = *state;
    watch(f);
    assert_true(figures(f).client_bytes >= WATCH_CHARGE);
    SAY(f, monitor, .flags = WIRE_MONITOR_END);
    expect_operations(f);
    assert_true(figures(f).client_bytes < WATCH_CHARGE);
}

static void another_filter_begins_anew(void **state)
{
    struct fixture *f = *state;
    struct slice ops[] = {S("set")};
    watch(f);
    get(f, "k");
    SAY(f, monitor, .ops = {1, ops});
    assert_int_equal(expect_operations(f).operations.count, 0);
    get(f, "k");
    set(f, "k", "v", NULL);
    SAY(f, monitor, .ops = {1, ops});
    assert_slice(only_line(f).op, "set");
}

static void a_filter_that_means_nothing_is_a_bad_request(void **state)
{
    struct fixture *f = *state;
    struct slice ops[] = {S("put")};
    SAY(f, monitor, .ops = {1, ops});
    expect_status(f, STATUS_BAD_REQUEST);
    get(f, "k");
}

static void a_fifth_watcher_is_told_to_come_later(void **state)
{
    struct fixture *f = *state;
    int fds[WATCHERS_MAX];
    for (unsigned i = 0; i < WATCHERS_MAX; i++) {
        watch(f);
        fds[i] = connect_as(f, "");
    }
    look(f);
    expect_status(f, STATUS_BUSY);
    for (unsigned i = 0; i < WATCHERS_MAX; i++)
        close(fds[i]);
    while (figures(f).client_connections > 1)
        loop_run_once(f->loop);
    watch(f);
}

static void a_bound_watcher_sees_its_tenants_keys_only(void **state)
{
    struct fixture *f = *state;
    watch(f);
    int watcher = connect_as(f, "");
    get(f, "other:1");
    get(f, "acme:1");
    get(f, "acme");
    use(f, &watcher);
    look(f);
    struct wire_operation line = only_line(f);
    assert_slice(line.name, "acme:1");
    assert_int_equal(line.client.size, 0);
    leave(f, watcher);
}

static void a_trace_that_is_none_is_passed_over(void **state)
{
    struct fixture *f = *state;
    struct slice key = S("k");
    watch(f);
    SAY(f, get, .keys = {1, &key}, .trace = S("00-nonsense"));
    expect_entry(f);
    look(f);
    assert_int_equal(only_line(f).trace.size, 0);
}

static void a_key_that_is_too_long_is_told_cut(void **state)
{
    struct fixture *f = *state;
    static char text[5000];
    struct slice key = slice_of(text, sizeof(text));
    watch(f);
    SAY(f, get, .keys = {1, &key});
    assert_int_equal(expect_entry(f).status, STATUS_BAD_KEY);
    look(f);
    assert_int_equal(only_line(f).name.size, WIRE_KEY_MAX);
}

static void an_answer_that_came_too_late_is_told_as_it_came(void **state)
{
    struct fixture *f = *state;
    watch(f);
    int watcher = connect_as(f, "");
    f->warm.slow = true;
    struct slice key = S("k");
    SAY(f, get, .keys = {1, &key}, .timeout_ms = 1);
    assert_int_equal(expect_entry(f).reason, MISS_TIMEOUT);
    table_tier_land(&f->warm);
    use(f, &watcher);
    look(f);
    assert_int_equal(only_line(f).reason, MISS_COLD);
    leave(f, watcher);
}

/* ======= the debug log ======= */

static int log_pipe(void)
{
    int fds[2];
    assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
    log_setup(LOG_DEBUG, LOG_LOGFMT, fds[1]);
    close(fds[1]); /* reopened */
    return fds[0];
}

static const char *logged(int fd)
{
    static char text[1 << 20];
    size_t size = 0;
    ssize_t n;
    while ((n = read(fd, text + size, sizeof(text) - 1 - size)) > 0)
        size += (size_t)n;
    text[size] = 0;
    return text;
}

static void end_log(int fd)
{
    log_setup(LOG_ERROR, LOG_LOGFMT, open("/dev/null", O_WRONLY | O_CLOEXEC));
    close(fd);
}

static void every_operation_is_a_line_at_debug(void **state)
{
    struct fixture *f = *state;
    int fd = log_pipe();
    struct slice key = S("user:1"), glob = S("*:dashboard");
    set(f, "user:1", "secret value", NULL);
    SAY(f, get, .keys = {1, &key}, .trace = S(TRACE));
    expect_entry(f);
    get(f, "nothing");
    SAY(f, invalidate, .globs = {1, &glob});
    expect_result(f);
    const char *text = logged(fd);
    assert_non_null(strstr(text, "level=debug op=set key=user:1 result=OK ttl=60s us="));
    assert_non_null(strstr(text, "op=get key=user:1 result=HIT tier=l1 trace=" TRACE " us="));
    assert_non_null(strstr(text, "op=get key=nothing result=MISS reason=cold us="));
    assert_non_null(strstr(text, "op=invalidate glob=*:dashboard result=OK dropped=0 us="));
    assert_null(strstr(text, "secret value"));
    end_log(fd);
}

static void the_log_is_not_told_names_of_a_secret_namespace(void **state)
{
    struct fixture *f = *state;
    f->space.secret = true;
    int fd = log_pipe();
    get(f, "user:1");
    const char *text = logged(fd);
    assert_non_null(strstr(text, "op=get key=(secret) result=MISS"));
    assert_null(strstr(text, "user:1"));
    end_log(fd);
}

static unsigned lines_of(const char *text)
{
    unsigned lines = 0;
    for (const char *at = text; (at = strstr(at, "op=get")); at++)
        lines++;
    return lines;
}

/* However long the seconds are that this takes: a thousand lines each, and what is left out is counted in the next. */
static void more_than_a_thousand_lines_a_second_are_counted_only(void **state)
{
    struct fixture *f = *state;
    int fd = log_pipe();
    unsigned asked = 0, lines = 0;
    const char *left_out = NULL;
    for (; !left_out; asked++) {
        get(f, "k");
        const char *text = logged(fd);
        lines += lines_of(text);
        left_out = strstr(text, "operations were left out of the log");
        assert_true(asked < 10000000);
    }
    unsigned long long counted;
    assert_int_equal(sscanf(strstr(left_out, "count="), "count=%llu", &counted), 1);
    assert_true(lines >= 1000 && counted > 0);
    assert_int_equal(lines + counted, asked);
    end_log(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        GREETED(a_watcher_is_told_of_anothers_get),
        GREETED(a_set_tells_its_size_and_life_and_no_value),
        GREETED(a_hit_tells_tier_and_size),
        GREETED(each_key_of_a_batch_is_an_operation),
        GREETED(an_invalidation_is_one_with_its_names_counted),
        GREETED(what_ended_before_anybody_watched_is_not_told),
        GREETED(who_waits_is_answered_when_something_ends),
        GREETED(who_waits_in_vain_is_answered_with_nothing),
        GREETED(one_waits_at_a_time),
        GREETED(a_watcher_that_waits_may_go),
        GREETED(a_drain_answers_who_waits),
        GREETED(who_watches_no_more_is_not_charged),
        GREETED(another_filter_begins_anew),
        GREETED(a_filter_that_means_nothing_is_a_bad_request),
        GREETED(a_fifth_watcher_is_told_to_come_later),
        BOUND(a_bound_watcher_sees_its_tenants_keys_only),
        GREETED(a_trace_that_is_none_is_passed_over),
        GREETED(a_key_that_is_too_long_is_told_cut),
        GREETED(an_answer_that_came_too_late_is_told_as_it_came),
        GREETED(every_operation_is_a_line_at_debug),
        GREETED(the_log_is_not_told_names_of_a_secret_namespace),
        GREETED(more_than_a_thousand_lines_a_second_are_counted_only),
    };
    return cmocka_run_group_tests_name("session_watch", tests, NULL, NULL);
}
