/* Traces in memory, and lists of numbers on the command line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bench/options.h"
#include "bench/recorded.h"

static int read_text(struct recorded *t, const char *text, uint64_t most)
{
    char path[] = "/tmp/larder-trace.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    *t = (struct recorded){0};
    struct trace *from = trace_open(path);
    int r = recorded_read(t, from, most);
    trace_close(from);
    unlink(path);
    return r;
}

static void keys_are_numbered_as_they_appear(void **state)
{
    struct recorded t;
    assert_int_equal(read_text(&t, "get 900 10\nset 7 0\nget 900 12\nget 8 3\n", 0), 0);
    assert_int_equal(t.count, 4);
    assert_int_equal(t.keys, 3);
    static const uint32_t numbers[] = {0, 1, 0, 2};
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(t.requests[i].key, numbers[i]);
    assert_true(t.requests[1].is_set);
    assert_false(t.requests[2].is_set);
    recorded_free(&t);
}

static void a_key_counts_with_its_first_size_and_an_unknown_one_as_a_byte(void **state)
{
    struct recorded t;
    assert_int_equal(read_text(&t, "get 900 10\nset 7 0\nget 900 12\n", 0), 0);
    assert_int_equal(t.bytes, 11);
    assert_int_equal(t.requests[2].bytes, 12);
    recorded_free(&t);
}

static void no_more_is_read_than_asked_for(void **state)
{
    struct recorded t;
    assert_int_equal(read_text(&t, "get 1 1\nget 2 1\nget 3 1\nnonsense\n", 2), 0);
    assert_int_equal(t.count, 2);
    assert_int_equal(t.keys, 2);
    recorded_free(&t);
}

static void a_broken_trace_is_no_trace(void **state)
{
    struct recorded t;
    assert_int_equal(read_text(&t, "get 1 1\nnonsense\n", 0), -1);
    recorded_free(&t);
}

static void a_trace_has_the_name_of_its_file(void **state)
{
    assert_string_equal(recorded_name("some/where/web07.txt.zst"), "web07");
    assert_string_equal(recorded_name("plain"), "plain");
}

static void lists_of_steps_have_units_and_bounds(void **state)
{
    uint64_t steps[3];
    assert_int_equal(options_steps("1,10k,2KiB", steps, 3, 1000000), 3);
    assert_int_equal(steps[0], 1);
    assert_int_equal(steps[1], 10000);
    assert_int_equal(steps[2], 2048);
    assert_int_equal(options_steps("1,2,3,4", steps, 3, 100), 0);
    assert_int_equal(options_steps("1,200", steps, 3, 100), 0);
    assert_int_equal(options_steps("0", steps, 3, 100), 0);
    assert_int_equal(options_steps("1,,2", steps, 3, 100), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_numbered_as_they_appear),
        cmocka_unit_test(a_key_counts_with_its_first_size_and_an_unknown_one_as_a_byte),
        cmocka_unit_test(no_more_is_read_than_asked_for),
        cmocka_unit_test(a_broken_trace_is_no_trace),
        cmocka_unit_test(a_trace_has_the_name_of_its_file),
        cmocka_unit_test(lists_of_steps_have_units_and_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
