/* larder_monitor and larder_trace, with a real daemon. */
#include "support/client_rig.h"

#include <poll.h>
#include <string.h>
#include "client/larder_async.h"

#define TRACE "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
#define NONE  "00-00000000000000000000000000000000-00f067aa0ba902b7-01"

/* What is done while it watches, and what it saw of it. */
struct seen {
    larder_client *worker;
    void (*work)(struct seen *s);
    bool began;
    unsigned operations;
    char op[16], name[32], client[16], trace[64], line[256];
    const char *result, *reason;
    int tier;
    uint64_t bytes;
};

static void take(larder_slice from, char *to, size_t room)
{
    assert_true(from.size < room);
    if (from.size)
        memcpy(to, from.data, from.size);
    to[from.size] = '\0';
}

static bool see(void *user, const larder_operation *o)
{
    struct seen *s = user;
    s->operations++;
    take(o->op, s->op, sizeof(s->op));
    take(o->name, s->name, sizeof(s->name));
    take(o->client, s->client, sizeof(s->client));
    take(o->trace, s->trace, sizeof(s->trace));
    s->result = o->result;
    s->tier = o->tier;
    s->bytes = o->bytes;
    assert_true(o->took_ns > 0 && o->at_us > 0 && o->pid > 0);
    return false;
}

/* The first answer comes when it watches. */
static bool work_once(void *user, uint64_t left_out, uint64_t near_hits)
{
    struct seen *s = user;
    if (!s->began)
        s->work(s);
    s->began = true;
    return true;
}

static void watch(struct seen *s)
{
    larder_client *c = open_far();
    larder_monitor_options how = LARDER_MONITOR_OPTIONS_INIT;
    how.each = see;
    how.meanwhile = work_once;
    how.user = s;
    assert_int_equal(larder_monitor(c, &how), LARDER_OK);
    assert_int_equal(s->operations, 1);
    larder_close(c);
}

static void keep_line(void *user, const char *line)
{
    struct seen *s = user;
    strncpy(s->line, line, sizeof(s->line) - 1);
}

static void begin(struct seen *s, void (*work)(struct seen *s))
{
    larder_options o = LARDER_OPTIONS_INIT;
    *s = (struct seen){.work = work};
    o.name = "worker";
    o.no_shared_memory = true;
    o.log = keep_line;
    o.log_user = s;
    o.debug = true;
    s->worker = open_with(o);
}

static void set_k(struct seen *s)
{
    set_text(s->worker, "k", "value");
}

static void an_operation_of_another_client_is_handed_out(void **state)
{
    struct seen s;
    begin(&s, set_k);
    watch(&s);
    assert_string_equal(s.op, "set");
    assert_string_equal(s.name, "k");
    assert_string_equal(s.client, "worker");
    assert_string_equal(s.result, "OK");
    assert_string_equal(s.trace, "");
    assert_int_equal(s.bytes, 5);
    larder_close(s.worker);
}

static void trace_and_get(struct seen *s)
{
    assert_int_equal(larder_trace(s->worker, TRACE), LARDER_OK);
    get_result(s->worker, "k");
}

static void a_call_brings_the_trace_of_its_thread(void **state)
{
    struct seen s;
    begin(&s, trace_and_get);
    watch(&s);
    assert_string_equal(s.trace, TRACE);
    assert_non_null(strstr(s.line, " trace=" TRACE " us="));
    larder_close(s.worker);
}

static void trace_no_more_and_get(struct seen *s)
{
    assert_int_equal(larder_trace(s->worker, TRACE), LARDER_OK);
    assert_int_equal(larder_trace(s->worker, NULL), LARDER_OK);
    get_result(s->worker, "k");
}

static void a_trace_ends_when_it_is_taken_back(void **state)
{
    struct seen s;
    begin(&s, trace_no_more_and_get);
    watch(&s);
    assert_string_equal(s.trace, "");
    assert_null(strstr(s.line, "trace="));
    larder_close(s.worker);
}

static void trace_wrongly_and_get(struct seen *s)
{
    assert_int_equal(larder_trace(s->worker, TRACE), LARDER_OK);
    assert_int_equal(larder_trace(s->worker, NONE), LARDER_E_INVALID);
    get_result(s->worker, "k");
}

static void what_is_no_trace_is_refused_and_the_one_before_forgotten(void **state)
{
    struct seen s;
    begin(&s, trace_wrongly_and_get);
    watch(&s);
    assert_string_equal(s.trace, "");
    larder_close(s.worker);
}

static void note_done(void *user, int result, larder_value *value)
{
    *(bool *)user = true;
}

static void get_async(struct seen *s)
{
    larder_async *a;
    larder_options o = LARDER_OPTIONS_INIT;
    o.socket = larder_socket(s->worker);
    o.get_ms = o.connect_ms = 10000;
    o.no_shared_memory = true;
    bool done = false;
    assert_int_equal(larder_async_open(&a, &o), LARDER_OK);
    assert_int_equal(larder_async_trace(a, TRACE), LARDER_OK);
    assert_int_equal(larder_async_get(a, T("k"), NULL, note_done, &done), LARDER_OK);
    while (!done) {
        struct pollfd p = {.fd = larder_async_fd(a), .events = larder_async_events(a)};
        poll(&p, 1, larder_async_timeout(a));
        larder_async_process(a);
    }
    larder_async_close(a);
}

static void an_asynchronous_call_brings_it_too(void **state)
{
    struct seen s;
    begin(&s, get_async);
    watch(&s);
    assert_string_equal(s.trace, TRACE);
    larder_close(s.worker);
}

static void what_means_nothing_is_invalid(void **state)
{
    larder_client *c = open_far();
    larder_slice word[] = {T("put")}, glob[] = {T("a**")};
    larder_monitor_options how = LARDER_MONITOR_OPTIONS_INIT;
    assert_int_equal(larder_monitor(c, &how), LARDER_E_INVALID); /* nobody to hand it to */
    how.each = see;
    how.ops = word;
    how.ops_count = 1;
    assert_int_equal(larder_monitor(c, &how), LARDER_E_INVALID);
    assert_non_null(strstr(larder_message(c), "no such operation"));
    how.ops_count = 0;
    how.globs = glob;
    how.globs_count = 1;
    assert_int_equal(larder_monitor(c, &how), LARDER_E_INVALID);
    assert_int_equal(larder_ping(c), LARDER_OK);
    larder_close(c);
}

static void it_ends_with_its_time(void **state)
{
    larder_client *c = open_far();
    struct seen s = {.operations = 0};
    larder_monitor_options how = LARDER_MONITOR_OPTIONS_INIT;
    how.each = see;
    how.user = &s;
    how.timeout_ms = 1;
    assert_int_equal(larder_monitor(c, &how), LARDER_OK);
    assert_int_equal(s.operations, 0);
    larder_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_operation_of_another_client_is_handed_out),
        cmocka_unit_test(a_call_brings_the_trace_of_its_thread),
        cmocka_unit_test(a_trace_ends_when_it_is_taken_back),
        cmocka_unit_test(what_is_no_trace_is_refused_and_the_one_before_forgotten),
        cmocka_unit_test(an_asynchronous_call_brings_it_too),
        cmocka_unit_test(what_means_nothing_is_invalid),
        cmocka_unit_test(it_ends_with_its_time),
    };
    return cmocka_run_group_tests_name("client_monitor", tests, rig_start, rig_finish);
}
