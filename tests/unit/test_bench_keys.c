/* Key streams are what they claim to be, values notice what is wrong, traces and size mixes are read right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "bench/baseline.h"
#include "bench/keys.h"
#include "bench/options.h"
#include "bench/trace.h"

enum { DRAWS = 1000000 };

/* Observed counts against the distribution's own formula, within 5 standard deviations. */
static void check_zipf(uint32_t n, double s)
{
    uint32_t *counts = calloc(n, sizeof(*counts));
    struct zipf z;
    struct rng r = {42};
    double sum = 0;
    zipf_init(&z, n, s);
    for (unsigned i = 0; i < DRAWS; i++) {
        uint64_t rank = zipf_next(&z, &r);
        assert_in_range(rank, 0, n - 1);
        counts[rank]++;
    }
    for (uint32_t k = 1; k <= n; k++)
        sum += pow(k, -s);
    for (uint32_t k = 1; k <= n; k++) {
        double p = pow(k, -s) / sum, expected = p * DRAWS;
        assert_true(fabs(counts[k - 1] - expected) <= 5 * sqrt(expected * (1 - p)) + 5);
    }
    free(counts);
}

static void zipf_draws_follow_the_distribution(void **state)
{
    check_zipf(1000, 0.99);
    check_zipf(1000, 1.0);
    check_zipf(50, 1.4);
    check_zipf(2, 0.5);
    check_zipf(1, 0.99);
}

static void uniform_draws_reach_every_key_about_equally(void **state)
{
    uint32_t *stream = keys_stream(KEYS_UNIFORM, 100, 0, 100000, 3);
    unsigned counts[100] = {0};
    for (unsigned i = 0; i < 100000; i++)
        counts[stream[i]]++;
    for (unsigned i = 0; i < 100; i++)
        assert_in_range(counts[i], 840, 1160);
    free(stream);
}

static void the_same_seed_gives_the_same_stream(void **state)
{
    uint32_t *a = keys_stream(KEYS_ZIPF, 5000, 0.99, 1000, 9),
             *b = keys_stream(KEYS_ZIPF, 5000, 0.99, 1000, 9);
    assert_memory_equal(a, b, 1000 * sizeof(*a));
    free(a);
    free(b);
}

static void shuffled_keys_hold_each_number_once(void **state)
{
    uint32_t *order = keys_shuffled(1000, 5);
    char seen[1000] = {0};
    unsigned in_place = 0;
    for (unsigned i = 0; i < 1000; i++) {
        assert_false(seen[order[i]]);
        seen[order[i]] = 1;
        in_place += order[i] == i;
    }
    assert_in_range(in_place, 0, 10);
    free(order);
}

static void names_are_distinct_and_have_the_levels_asked_for(void **state)
{
    char a[KEY_BYTES_MAX], b[KEY_BYTES_MAX];
    for (unsigned levels = 1; levels <= 3; levels++) {
        struct slice x = key_name(a, 1, levels), y = key_name(b, 2, levels);
        unsigned colons = 0;
        for (size_t i = 0; i < x.size; i++)
            colons += ((const char *)x.data)[i] == ':';
        assert_int_equal(colons, levels);
        assert_false(slice_equal(x, y));
    }
}

static void a_value_knows_its_key_and_version(void **state)
{
    uint8_t value[101];
    uint64_t version = 0;
    value_make(value, sizeof(value), 7, 12);
    assert_true(value_right(slice_of(value, sizeof(value)), 7, &version));
    assert_int_equal(version, 12);
    assert_false(value_right(slice_of(value, sizeof(value)), 8, NULL));
}

static void a_mixture_of_two_versions_is_noticed_wherever_it_begins(void **state)
{
    uint8_t older[100], newer[100], mixed[100];
    value_make(older, 100, 7, 12);
    value_make(newer, 100, 7, 13);
    for (unsigned cut = 8; cut < 99; cut++) {
        memcpy(mixed, newer, cut);
        memcpy(mixed + cut, older + cut, 100 - cut);
        bool same = memcmp(mixed, newer, 100) == 0;
        assert_true(value_right(slice_of(mixed, 100), 7, NULL) == same);
    }
}

static void the_baseline_finds_what_was_stored_last(void **state)
{
    struct baseline *b = baseline_create(1000, 200);
    char name[KEY_BYTES_MAX];
    uint8_t value[100], out[100];
    size_t size;
    for (uint64_t version = 1; version <= 2; version++) {
        for (uint32_t k = 0; k < 1000; k++) {
            value_make(value, 100, k, version);
            assert_int_equal(baseline_set(b, key_name(name, k, 1), slice_of(value, 100), 60000), 0);
        }
    }
    for (uint32_t k = 0; k < 1000; k++) {
        uint64_t version = 0;
        assert_int_equal(baseline_get(b, key_name(name, k, 1), out, 100, &size), 1);
        assert_true(value_right(slice_of(out, size), k, &version));
        assert_int_equal(version, 2);
    }
    assert_int_equal(baseline_get(b, slice_text("no such key"), out, 100, &size), 0);
    assert_int_equal(baseline_set(b, slice_text("short lived"), slice_text("x"), 0), 0);
    assert_int_equal(baseline_get(b, slice_text("short lived"), out, 100, &size), 0);
    baseline_destroy(b);
}

static void write_file(char path[32], const char *text)
{
    strcpy(path, "/tmp/test-trace-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void a_plain_trace_is_read_line_by_line(void **state)
{
    char path[32];
    struct trace_request r;
    write_file(path, "get 5 0\nset 18446744073709551615 4096\n");
    struct trace *t = trace_open(path);
    assert_int_equal(trace_next(t, &r), 1);
    assert_true(r.op == TRACE_GET && r.key == 5 && r.size == 0);
    assert_int_equal(trace_next(t, &r), 1);
    assert_true(r.op == TRACE_SET && r.key == UINT64_MAX && r.size == 4096);
    assert_int_equal(trace_next(t, &r), 0);
    trace_close(t);
    unlink(path);
}

static void a_broken_trace_names_the_line(void **state)
{
    static const char *const texts[] = {"get 5 0\ndelete 5 0\n", "get 5 0\nget x 0\n", "get 5 0\nget 7\n"};
    for (unsigned i = 0; i < 3; i++) {
        char path[32];
        struct trace_request r;
        write_file(path, texts[i]);
        struct trace *t = trace_open(path);
        assert_int_equal(trace_next(t, &r), 1);
        assert_int_equal(trace_next(t, &r), -1);
        assert_non_null(strstr(trace_why(t), "line 2"));
        trace_close(t);
        unlink(path);
    }
}

static void a_cut_off_trace_is_not_taken_for_a_short_one(void **state)
{
    char path[32];
    struct trace_request r;
    write_file(path, "get 5 0\nget 6");
    struct trace *t = trace_open(path);
    assert_int_equal(trace_next(t, &r), 1);
    assert_int_equal(trace_next(t, &r), -1);
    trace_close(t);
    unlink(path);
}

static void a_size_mix_gives_each_key_one_size_and_each_size_its_share(void **state)
{
    struct options o = options_default;
    char *argv[] = {(char *)"bench", (char *)"load", (char *)"--value-mix", (char *)"100:3,1KiB:1", NULL};
    int argc = 4;
    assert_int_equal(options_parse(&o, &argc, argv), 0);
    assert_int_equal(argc, 1);
    assert_string_equal(argv[0], "load");
    unsigned large = 0;
    for (uint32_t k = 0; k < 10000; k++) {
        assert_int_equal(size_mix_of(&o.sizes, k), size_mix_of(&o.sizes, k));
        large += size_mix_of(&o.sizes, k) == 1024;
    }
    assert_in_range(large, 2300, 2700);
    assert_int_equal(size_mix_max(&o.sizes), 1024);
    assert_true(fabs(size_mix_mean(&o.sizes) - 331) < 0.001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zipf_draws_follow_the_distribution),
        cmocka_unit_test(uniform_draws_reach_every_key_about_equally),
        cmocka_unit_test(the_same_seed_gives_the_same_stream),
        cmocka_unit_test(shuffled_keys_hold_each_number_once),
        cmocka_unit_test(names_are_distinct_and_have_the_levels_asked_for),
        cmocka_unit_test(a_value_knows_its_key_and_version),
        cmocka_unit_test(a_mixture_of_two_versions_is_noticed_wherever_it_begins),
        cmocka_unit_test(the_baseline_finds_what_was_stored_last),
        cmocka_unit_test(a_plain_trace_is_read_line_by_line),
        cmocka_unit_test(a_broken_trace_names_the_line),
        cmocka_unit_test(a_cut_off_trace_is_not_taken_for_a_short_one),
        cmocka_unit_test(a_size_mix_gives_each_key_one_size_and_each_size_its_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
