/* Who is told of which operations, and how many there is room for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "base/check.h"
#include "base/clock.h"
#include "proto/status.h"
#include "session/monitor.h"

#define S(text) slice_text(text)

static const char space[] = "", other_space[] = "";
static struct watch *forgotten;

struct fixture {
    struct monitor monitor;
    struct buffer out;
};

static struct monitor *its;

static void forget(struct watch *w)
{
    forgotten = w;
    watch_end(its, w);
}

static int begin(void **state)
{
    static struct fixture f;
    f = (struct fixture){.out = {.limit = 1 << 20}};
    monitor_init(&f.monitor, 1, forget);
    forgotten = NULL;
    its = &f.monitor;
    *state = &f;
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    while (f->monitor.count)
        watch_end(&f->monitor, f->monitor.of[0]);
    assert_int_equal(f->monitor.count, 0);
    buffer_finish(&f->out);
    return 0;
}

/* ======= asking ======= */

/* A MONITOR as a peer sends it. */
static struct wire_monitor asked(const char *op, const char *glob)
{
    static struct buffer frame = {.limit = 1 << 16};
    struct slice ops[] = {S(op ? op : "")}, globs[] = {S(glob ? glob : "")};
    struct wire_monitor m = {.ops = {op != NULL, ops, {0}}, .globs = {glob != NULL, globs, {0}}}, read;
    struct wire_head head;
    frame.size = 0;
    assert_int_equal(wire_write_monitor(&frame, 1, &m, 1 << 16), 0);
    struct reader r = reader_of(slice_of(frame.data + FRAME_HEADER_BYTES, frame.size - FRAME_HEADER_BYTES));
    assert_int_equal(wire_read_head(&r, &head), 0);
    assert_int_equal(wire_read_monitor(&r, &head, &read), 0);
    return read;
}

static struct watch *watch_as(struct fixture *f, const char *tenant, const char *op, const char *glob)
{
    struct wire_monitor m = asked(op, glob);
    struct watch_filter filter;
    const char *why = NULL;
    assert_true(watch_filter_read(&filter, &m, &why));
    struct watch *w = watch_begin(&f->monitor, space, S(tenant), &filter, 0);
    assert_non_null(w);
    return w;
}

static struct watch *watch(struct fixture *f)
{
    return watch_as(f, "", NULL, NULL);
}

/* ======= operations ======= */

static void tell_wanted(struct fixture *f, const struct watched *op, unsigned wanted)
{
    struct wire_operation line = {.op = S("op"),
                                  .status = STATUS_HIT,
                                  .client = S("app"),
                                  .pid = 7,
                                  .trace = S("t"),
                                  .event = S("e"),
                                  .dropped = 3};
    monitor_tell(&f->monitor, wanted, op, line);
}

static unsigned wanted(struct fixture *f, const struct watched *op, uint64_t now_ns)
{
    return monitor_closer(&f->monitor, op->space, op->code) ? monitor_wanted(&f->monitor, op, now_ns) : 0;
}

static void tell(struct fixture *f, struct watched *op)
{
    op->space = op->space ? op->space : space;
    tell_wanted(f, op, wanted(f, op, 0));
}

static void key_by(struct fixture *f, const char *tenant, unsigned code, const char *key)
{
    struct slice name = S(key);
    struct watched_names list = {WIRE_NAMED_KEY, &name, 1};
    struct watched op = {.tenant = S(tenant), .code = code, .lists = &list, .lists_count = 1};
    tell(f, &op);
}

static void key(struct fixture *f, const char *name)
{
    key_by(f, "", WIRE_GET, name);
}

/* ======= answers ======= */

static struct wire_operations answer(struct fixture *f, struct watch *w)
{
    struct wire_operations m;
    f->out.size = 0;
    watch_answer(&f->monitor, w, 0, &f->out, &m);
    return m;
}

static struct wire_operation only_line(struct fixture *f, struct watch *w)
{
    struct wire_operations m = answer(f, w);
    struct wire_operation line;
    struct reader r = reader_of(m.operations.raw);
    assert_int_equal(m.operations.count, 1);
    assert_true(wire_next_operation(&r, &line));
    return line;
}

static void assert_slice(struct slice s, const char *text)
{
    assert_int_equal(s.size, strlen(text));
    assert_memory_equal(s.data, text, s.size);
}

/* ======= tests ======= */

static void lines_come_in_the_order_in_which_operations_ended(void **state)
{
    struct fixture *f = *state;
    struct watch *w = watch(f);
    key(f, "a");
    key(f, "b");
    struct wire_operations m = answer(f, w);
    struct reader r = reader_of(m.operations.raw);
    struct wire_operation line;
    assert_int_equal(m.operations.count, 2);
    assert_true(wire_next_operation(&r, &line));
    assert_slice(line.name, "a");
    assert_slice(line.client, "app");
    assert_int_equal(line.names, 1);
    assert_true(wire_next_operation(&r, &line));
    assert_slice(line.name, "b");
    assert_int_equal(m.left_out, 0);
}

static void what_was_told_is_not_told_again(void **state)
{
    struct fixture *f = *state;
    struct watch *w = watch(f);
    key(f, "a");
    answer(f, w);
    assert_int_equal(answer(f, w).operations.count, 0);
}

static void of_more_than_there_is_room_for_the_rest_is_counted(void **state)
{
    struct fixture *f = *state;
    struct watch *w = watch(f);
    for (unsigned i = 0; i < WATCH_LINES_MAX + 5; i++)
        key(f, "a");
    struct wire_operations m = answer(f, w);
    assert_int_equal(m.operations.count, WATCH_LINES_MAX);
    assert_int_equal(m.left_out, 5);
    key(f, "b");
    assert_int_equal(answer(f, w).left_out, 0);
}

/* 2560 operations in 20 windows of 128, a hundred times: each window is to be a twentieth of what is told. */
static void each_operation_has_the_same_chance_of_a_place(void **state)
{
    enum { WINDOWS = 20, ROUNDS = 100, FAIR = ROUNDS * WATCH_LINES_MAX / WINDOWS };
    struct fixture *f = *state;
    struct watch *w = watch(f);
    unsigned of[WINDOWS] = {0};
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < WINDOWS * WATCH_LINES_MAX; i++) {
            char name[16];
            snprintf(name, sizeof(name), "%u", i / WATCH_LINES_MAX);
            key(f, name);
        }
        struct wire_operations m = answer(f, w);
        struct reader r = reader_of(m.operations.raw);
        struct wire_operation line;
        while (wire_next_operation(&r, &line))
            of[(((const char *)line.name.data)[0] - '0') * (line.name.size == 2 ? 10 : 1) +
               (line.name.size == 2 ? ((const char *)line.name.data)[1] - '0' : 0)]++;
    }
    for (unsigned i = 0; i < WINDOWS; i++)
        assert_in_range(of[i], FAIR * 3 / 4, FAIR * 5 / 4);
}

static void an_answer_of_the_longest_lines_fits_a_frame(void **state)
{
    struct fixture *f = *state;
    static char longest[WIRE_KEY_MAX + 2];
    struct watch *w = watch(f);
    memset(longest, 'k', WIRE_KEY_MAX + 1);
    for (unsigned i = 0; i < WATCH_LINES_MAX; i++)
        key(f, longest);
    struct wire_operations m = answer(f, w);
    struct wire_operation line;
    struct reader r = reader_of(m.operations.raw);
    assert_true(m.operations.raw.size < 256 << 10);
    assert_true(wire_next_operation(&r, &line));
    assert_int_equal(line.name.size, WIRE_KEY_MAX);
}

static void another_namespace_is_not_told_of(void **state)
{
    struct fixture *f = *state;
    struct watch *w = watch(f);
    struct slice name = S("a");
    struct watched_names list = {WIRE_NAMED_KEY, &name, 1};
    struct watched op = {.space = other_space, .code = WIRE_GET, .lists = &list, .lists_count = 1};
    tell(f, &op);
    assert_int_equal(answer(f, w).operations.count, 0);
}

static void only_the_operations_asked_for_are_told(void **state)
{
    struct fixture *f = *state;
    struct watch *w = watch_as(f, "", "set", NULL);
    key_by(f, "", WIRE_GET, "got");
    key_by(f, "", WIRE_SET, "set");
    assert_slice(only_line(f, w).name, "set");
}

static void only_keys_that_match_are_told_and_counted(void **state)
{
    struct fixture *f = *state;
    struct watch *w = watch_as(f, "", NULL, "user:*:name");
    for (unsigned i = 0; i < 2 * WATCH_LINES_MAX; i++)
        key(f, "page:1:name");
    key(f, "user:1:name");
    struct wire_operations m = answer(f, w);
    assert_int_equal(m.operations.count, 1);
    assert_int_equal(m.left_out, 0);
}

static void of_many_names_the_one_that_matches_is_shown(void **state)
{
    struct fixture *f = *state;
    struct watch *w = watch_as(f, "", NULL, "t*");
    struct slice keys[] = {S("a"), S("b")}, tags[] = {S("tag")};
    struct watched_names lists[] = {{WIRE_NAMED_KEY, keys, 2}, {WIRE_NAMED_TAG, tags, 1}};
    struct watched op = {.code = WIRE_INVALIDATE, .lists = lists, .lists_count = 2};
    tell(f, &op);
    struct wire_operation line = only_line(f, w);
    assert_slice(line.name, "tag");
    assert_int_equal(line.named, WIRE_NAMED_TAG);
    assert_int_equal(line.names, 3);
}

/* Whether names decide or not: who asks for all, and who asks for all by a glob, are told alike. */
static void who_asks_by_names_and_who_does_not_count_alike(void **state)
{
    struct fixture *f = *state;
    struct watch *all = watch(f), *by_name = watch_as(f, "", NULL, "*");
    for (unsigned i = 0; i < 3 * WATCH_LINES_MAX; i++)
        key(f, "a");
    struct wire_operations m = answer(f, all), n = answer(f, by_name);
    assert_int_equal(m.operations.count, WATCH_LINES_MAX);
    assert_int_equal(n.operations.count, WATCH_LINES_MAX);
    assert_int_equal(m.left_out, 2 * WATCH_LINES_MAX);
    assert_int_equal(n.left_out, 2 * WATCH_LINES_MAX);
}

static void everything_is_a_name_of_its_own(void **state)
{
    struct fixture *f = *state;
    struct watch *w = watch(f), *with_glob = watch_as(f, "", NULL, "a");
    struct watched op = {.code = WIRE_INVALIDATE, .everything = true};
    tell(f, &op);
    assert_int_equal(only_line(f, w).named, WIRE_NAMED_EVERYTHING);
    assert_int_equal(answer(f, with_glob).operations.count, 0);
}

static void a_tenant_sees_its_own_names_only(void **state)
{
    struct fixture *f = *state;
    struct watch *w = watch_as(f, "acme:", NULL, NULL);
    struct watched all = {.code = WIRE_INVALIDATE, .everything = true};
    key_by(f, "acme:", WIRE_GET, "acme:1");
    key_by(f, "", WIRE_GET, "acmeology:1");
    key_by(f, "other:", WIRE_GET, "other:1");
    key_by(f, "", WIRE_GET, "1");
    tell(f, &all);
    struct wire_operation line = only_line(f, w);
    assert_slice(line.name, "acme:1");
    assert_slice(line.client, "app");
    assert_slice(line.trace, "t");
}

static void who_touches_a_tenants_names_from_outside_is_not_told(void **state)
{
    struct fixture *f = *state;
    struct watch *w = watch_as(f, "acme:", NULL, NULL);
    struct slice keys[] = {S("other:1"), S("acme:1"), S("other:2")};
    struct watched_names list = {WIRE_NAMED_KEY, keys, 3};
    struct watched op = {.code = WIRE_INVALIDATE, .lists = &list, .lists_count = 1};
    tell(f, &op);
    struct wire_operation line = only_line(f, w);
    assert_slice(line.name, "acme:1");
    assert_int_equal(line.client.size + line.trace.size + line.event.size, 0);
    assert_int_equal(line.pid + line.dropped, 0);
    assert_int_equal(line.names, 1);
}

static void there_are_a_few_places_and_no_more(void **state)
{
    struct fixture *f = *state;
    struct watch_filter none = {.codes = UINT64_MAX};
    for (unsigned i = 0; i < WATCHERS_MAX; i++)
        watch(f);
    assert_null(watch_begin(&f->monitor, space, S(""), &none, 0));
    watch_end(&f->monitor, f->monitor.of[1]);
    assert_non_null(watch_begin(&f->monitor, space, S(""), &none, 0));
}

static void one_that_asks_no_more_is_forgotten(void **state)
{
    struct fixture *f = *state;
    struct watch *w = watch(f);
    struct slice name = S("a");
    struct watched_names list = {WIRE_NAMED_KEY, &name, 1};
    struct watched op = {.space = space, .code = WIRE_GET, .lists = &list, .lists_count = 1};
    assert_int_equal(wanted(f, &op, WATCH_FORGET_NS), 1);
    assert_null(forgotten);
    assert_int_equal(wanted(f, &op, WATCH_FORGET_NS + 1), 0);
    assert_ptr_equal(forgotten, w);
    assert_false(monitor_watched(&f->monitor));
}

static void one_that_is_full_and_asks_no_more_is_forgotten_too(void **state)
{
    struct fixture *f = *state;
    struct watch *w = watch(f);
    struct slice name = S("a");
    struct watched_names list = {WIRE_NAMED_KEY, &name, 1};
    struct watched op = {.space = space, .code = WIRE_GET, .lists = &list, .lists_count = 1};
    for (unsigned i = 0; i < 1000; i++)
        key(f, "a");
    for (unsigned i = 0; i < 1000; i++)
        wanted(f, &op, WATCH_FORGET_NS + 1);
    assert_ptr_equal(forgotten, w);
}

static void one_that_waits_is_not_forgotten(void **state)
{
    struct fixture *f = *state;
    struct watch *w = watch(f);
    struct slice name = S("a");
    struct watched_names list = {WIRE_NAMED_KEY, &name, 1};
    struct watched op = {.space = space, .code = WIRE_GET, .lists = &list, .lists_count = 1};
    w->waits = true;
    assert_int_equal(wanted(f, &op, WATCH_FORGET_NS + 1), 1);
}

static const char *refusal(const char *op, const char *glob)
{
    struct wire_monitor m = asked(op, glob);
    struct watch_filter filter;
    const char *why = NULL;
    assert_false(watch_filter_read(&filter, &m, &why));
    return why;
}

static void a_filter_that_means_nothing_is_refused(void **state)
{
    assert_non_null(strstr(refusal("got", NULL), "no such operation"));
    assert_non_null(refusal(NULL, "a**b"));
    assert_non_null(refusal(NULL, ""));
}

static void another_filter_is_told_from_the_same(void **state)
{
    struct wire_monitor m = asked("get", "a:*");
    struct watch_filter filter;
    const char *why;
    assert_true(watch_filter_read(&filter, &m, &why));
    m = asked("get", "a:*");
    assert_true(watch_filter_is(&filter, &m));
    m = asked("get", "b:*");
    assert_false(watch_filter_is(&filter, &m));
    m = asked(NULL, "a:*");
    assert_false(watch_filter_is(&filter, &m));
    watch_filter_finish(&filter);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lines_come_in_the_order_in_which_operations_ended),
        TEST(what_was_told_is_not_told_again),
        TEST(of_more_than_there_is_room_for_the_rest_is_counted),
        TEST(each_operation_has_the_same_chance_of_a_place),
        TEST(an_answer_of_the_longest_lines_fits_a_frame),
        TEST(another_namespace_is_not_told_of),
        TEST(only_the_operations_asked_for_are_told),
        TEST(only_keys_that_match_are_told_and_counted),
        TEST(of_many_names_the_one_that_matches_is_shown),
        TEST(who_asks_by_names_and_who_does_not_count_alike),
        TEST(everything_is_a_name_of_its_own),
        TEST(a_tenant_sees_its_own_names_only),
        TEST(who_touches_a_tenants_names_from_outside_is_not_told),
        TEST(there_are_a_few_places_and_no_more),
        TEST(one_that_asks_no_more_is_forgotten),
        TEST(one_that_is_full_and_asks_no_more_is_forgotten_too),
        TEST(one_that_waits_is_not_forgotten),
        TEST(a_filter_that_means_nothing_is_refused),
        TEST(another_filter_is_told_from_the_same),
    };
    return cmocka_run_group_tests_name("monitor", tests, NULL, NULL);
}
