/* The histogram's promises: quantiles within its error bound, sums that answer as one that saw everything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include "bench/hist.h"
#include "bench/keys.h"

enum { SAMPLES = 200000 };
static const double quantiles[] = {0, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 1};
enum { QUANTILES = sizeof(quantiles) / sizeof(quantiles[0]) };

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Spread over nine decades, as latencies are. */
static uint64_t sample(struct rng *r)
{
    return (uint64_t)pow(10, 9 * rng_unit(r));
}

static struct hist *hist_new(void)
{
    struct hist *h = calloc(1, sizeof(*h));
    assert_non_null(h);
    return h;
}

static void an_empty_histogram_answers_zero(void **state)
{
    struct hist *h = hist_new();
    assert_true(hist_quantile(h, 0.5) == 0);
    assert_true(hist_mean(h) == 0);
    free(h);
}

static void a_single_value_is_every_quantile(void **state)
{
    struct hist *h = hist_new();
    hist_record(h, 123456789);
    for (unsigned i = 0; i < QUANTILES; i++)
        assert_true(hist_quantile(h, quantiles[i]) == 123456789);
    assert_true(hist_mean(h) == 123456789);
    free(h);
}

static void small_values_are_exact(void **state)
{
    struct hist *h = hist_new();
    for (uint64_t v = 0; v < 100; v++)
        hist_record(h, v);
    assert_true(hist_quantile(h, 0.5) == 49);
    assert_true(hist_quantile(h, 0.99) == 98);
    assert_true(hist_quantile(h, 1) == 99);
    free(h);
}

static void quantiles_stay_within_the_error_bound(void **state)
{
    struct hist *h = hist_new();
    uint64_t *all = malloc(SAMPLES * sizeof(*all));
    struct rng r = {7};
    for (size_t i = 0; i < SAMPLES; i++)
        hist_record(h, all[i] = sample(&r));
    qsort(all, SAMPLES, sizeof(*all), by_value);
    for (unsigned i = 0; i < QUANTILES; i++) {
        size_t rank = (size_t)ceil(quantiles[i] * SAMPLES);
        double exact = (double)all[rank > 0 ? rank - 1 : 0];
        assert_true(fabs(hist_quantile(h, quantiles[i]) - exact) <= exact * HIST_ERROR + 0.5);
    }
    free(all);
    free(h);
}

static void merged_histograms_answer_as_one_that_saw_everything(void **state)
{
    struct hist *whole = hist_new(), *parts[3] = {hist_new(), hist_new(), hist_new()}, *sum = hist_new();
    struct rng r = {8};
    for (size_t i = 0; i < SAMPLES; i++) {
        uint64_t v = sample(&r);
        hist_record(whole, v);
        hist_record(parts[i % 3], v);
    }
    for (unsigned i = 0; i < 3; i++)
        hist_merge(sum, parts[i]);
    assert_memory_equal(sum, whole, sizeof(*whole));
    for (unsigned i = 0; i < 3; i++)
        free(parts[i]);
    free(sum);
    free(whole);
}

static void merging_an_empty_one_changes_nothing(void **state)
{
    struct hist *h = hist_new(), *empty = hist_new();
    hist_record(h, 5);
    hist_merge(h, empty);
    assert_int_equal(h->count, 1);
    assert_int_equal(h->min, 5);
    free(empty);
    free(h);
}

static void a_giant_is_counted_in_the_last_bucket_and_kept_as_maximum(void **state)
{
    struct hist *h = hist_new();
    hist_record(h, UINT64_MAX / 2);
    hist_record(h, 1);
    assert_int_equal(h->count, 2);
    assert_int_equal(h->max, UINT64_MAX / 2);
    assert_int_equal(h->bucket[HIST_BUCKETS - 1], 1);
    free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_histogram_answers_zero),
        cmocka_unit_test(a_single_value_is_every_quantile),
        cmocka_unit_test(small_values_are_exact),
        cmocka_unit_test(quantiles_stay_within_the_error_bound),
        cmocka_unit_test(merged_histograms_answer_as_one_that_saw_everything),
        cmocka_unit_test(merging_an_empty_one_changes_nothing),
        cmocka_unit_test(a_giant_is_counted_in_the_last_bucket_and_kept_as_maximum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
