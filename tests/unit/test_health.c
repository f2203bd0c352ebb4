/* Every condition: the facts that raise it, and the facts that clear it.  Alerts: told once, taken back once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "admin/alerts.h"
#include "admin/health.h"
#include "admin/history.h"
#include "base/check.h"
#include "base/clock.h"

static const struct health_options options = {.min_hit_ratio = 800,
                                              .critical_hit_ratio = 500,
                                              .hit_ratio_needs = 1000,
                                              .max_latency = 100 * NS_PER_MS,
                                              .max_lag = NS_PER_S,
                                              .max_memory = 800,
                                              .max_turnover = 500,
                                              .health_window = 300 * NS_PER_S,
                                              .min_score = 70};

static struct health_space space;
static struct health_facts facts;
static struct health health;

static int begin(void **state)
{
    space = (struct health_space){.name = "n",
                                  .wants_l1 = true,
                                  .has_l1 = true,
                                  .wants_warm = true,
                                  .has_warm = true,
                                  .hits = 9000,
                                  .misses = 1000};
    facts = (struct health_facts){
        .spaces = &space,
        .spaces_count = 1,
        .window_ns = 300 * NS_PER_S,
        .memory_used = 10,
        .memory_max = 100,
        .client_bytes_max = 100,
        .redis = {.configured = true, .linked = true, .memory_used = 10, .memory_max = 100}};
    return 0;
}

static void judge(void)
{
    health_begin(&health);
    health_judge(&health, &facts, &options);
    health_end(&health, &options);
}

static const struct health_finding *found(enum health_condition condition)
{
    judge();
    for (unsigned i = 0; i < health.count; i++)
        if (health.findings[i].condition == condition)
            return &health.findings[i];
    return NULL;
}

#define RAISED_AND_CLEARED(condition, raise, clear) \
    do {                                            \
        assert_null(found(condition));              \
        raise;                                      \
        assert_non_null(found(condition));          \
        clear;                                      \
        assert_null(found(condition));              \
    } while (0)

static const char *status(void)
{
    judge();
    return health.failing ? "failing" : health.degraded ? "degraded" : "ok";
}

/* ======= conditions ======= */

static void all_is_well(void **state)
{
    judge();
    assert_int_equal(health.count, 0);
    assert_int_equal(health.score, 100);
    assert_string_equal(status(), "ok");
}

static void a_tier_that_is_wanted_and_missing_is_an_issue(void **state)
{
    RAISED_AND_CLEARED(HEALTH_NO_L1, space.has_l1 = false, space.has_l1 = true);
    RAISED_AND_CLEARED(HEALTH_NO_WARM, space.warm_trouble = "no disk", space.warm_trouble = NULL);
    RAISED_AND_CLEARED(HEALTH_PAGE, space.page_trouble = "no page", space.page_trouble = NULL);
    RAISED_AND_CLEARED(HEALTH_L1_TROUBLE, space.tier_trouble = "slow", space.tier_trouble = NULL);
    RAISED_AND_CLEARED(HEALTH_BAD_RECORDS, space.bad_records = 1, space.bad_records = 0);
}

static void a_tier_that_is_switched_off_is_a_wish(void **state)
{
    space.wants_l1 = space.has_l1 = space.wants_warm = space.has_warm = false;
    space.warm_trouble = space.page_trouble = "switched off";
    assert_string_equal(status(), "ok");
    assert_int_equal(health.count, 0);
}

static void it_fails_when_nothing_can_be_kept(void **state)
{
    space.has_l1 = false;
    assert_string_equal(status(), "degraded");
    space.has_warm = false;
    assert_string_equal(status(), "failing");
}

static void a_hit_ratio_below_its_bounds_is_a_hint_and_then_degrades(void **state)
{
    RAISED_AND_CLEARED(HEALTH_HIT_RATIO, space.hits = 3000, space.hits = 4000);
    space.hits = 3000;
    assert_string_equal(status(), "ok");
    assert_int_equal(found(HEALTH_HIT_RATIO)->severity, HEALTH_WARNING);
    space.hits = 999;
    assert_string_equal(status(), "degraded");
    assert_int_equal(found(HEALTH_HIT_RATIO)->severity, HEALTH_CRITICAL);
}

static void few_requests_have_no_hit_ratio(void **state)
{
    space.hits = 0;
    space.misses = 999;
    assert_null(found(HEALTH_HIT_RATIO));
    space.misses = 1000;
    assert_non_null(found(HEALTH_HIT_RATIO));
}

static void the_reason_of_the_misses_says_what_would_help(void **state)
{
    space.hits = 0;
    const struct {
        uint64_t expired, invalidated, evicted, cold;
        const char *word;
    } rows[] = {{900, 50, 0, 50, "ttl"},
                {50, 900, 0, 50, "tags"},
                {100, 0, 500, 400, "l1_bytes"},
                {0, 0, 10, 990, "warm"},
                {0, 0, 10, 0, "larder stats"}};
    for (unsigned i = 0; i < COUNT_OF(rows); i++) {
        space.expired = rows[i].expired;
        space.invalidated = rows[i].invalidated;
        space.missed_evicted = rows[i].evicted;
        space.cold = rows[i].cold;
        assert_non_null(strstr(found(HEALTH_HIT_RATIO)->recommendation, rows[i].word));
    }
    space.expired = 900;
    space.invalidated = 50;
    space.missed_evicted = 20;
    space.cold = 0;
    assert_non_null(
        strstr(found(HEALTH_HIT_RATIO)->issue,
               "1000 gets missed: 90 % expired, 5 % invalidated, 3 % for other reasons, 2 % evicted"));
    space.cold = 1000;
    space.expired = space.invalidated = space.missed_evicted = 0;
    assert_non_null(strstr(found(HEALTH_HIT_RATIO)->issue, "missed: 100 % never stored before"));
}

static void room_that_is_short_is_told_with_what_to_raise(void **state)
{
    space.l1_entries = 1000;
    space.l1_bytes = 64 << 20;
    RAISED_AND_CLEARED(HEALTH_TURNOVER, space.evicted = 501, space.evicted = 500);
    space.evicted = 501;
    assert_non_null(strstr(found(HEALTH_TURNOVER)->recommendation, "l1_bytes of [namespace n] over 64 MiB"));
    assert_null(strstr(found(HEALTH_TURNOVER)->recommendation, "larder advise"));
    snprintf(space.l1_more, sizeof(space.l1_more), "half more finds it all");
    assert_non_null(strstr(found(HEALTH_TURNOVER)->recommendation, "larder advise: half more finds it all"));
    RAISED_AND_CLEARED(HEALTH_WARM_FULL, space.warm_evicted = 1, space.warm_evicted = 0);
    RAISED_AND_CLEARED(HEALTH_WARM_QUEUE, space.puts_dropped = 1, space.puts_dropped = 0);
    assert_string_equal(status(), "ok");
}

static void redis_away_late_full_or_wrong_is_an_issue(void **state)
{
    struct health_redis *r = &facts.redis;
    RAISED_AND_CLEARED(HEALTH_REDIS_LOST, r->linked = false, r->linked = true);
    RAISED_AND_CLEARED(HEALTH_REDIS_TROUBLE, r->trouble = "evicts", r->trouble = NULL);
    RAISED_AND_CLEARED(HEALTH_LAG, r->lag_ns = NS_PER_S + 1, r->lag_ns = NS_PER_S);
    RAISED_AND_CLEARED(HEALTH_REDIS_MEMORY, r->memory_used = 81, r->memory_used = 80);
    r->linked = false;
    r->away_ns = 42 * NS_PER_S;
    assert_non_null(strstr(found(HEALTH_REDIS_LOST)->issue, "42 s"));
    assert_string_equal(status(), "degraded");
    r->configured = false;
    assert_string_equal(status(), "ok");
    r->configured = r->linked = true;
    r->memory_used = 1000;
    r->memory_max = 0; /* no limit */
    assert_null(found(HEALTH_REDIS_MEMORY));
}

static void load_over_its_bounds_is_an_issue(void **state)
{
    facts.gets_measured = 10;
    RAISED_AND_CLEARED(HEALTH_LATENCY, facts.gets_ns = 1001 * NS_PER_MS, facts.gets_ns = 1000 * NS_PER_MS);
    RAISED_AND_CLEARED(HEALTH_MEMORY, facts.memory_used = 81, facts.memory_used = 80);
    RAISED_AND_CLEARED(HEALTH_CLIENT_MEMORY, facts.client_bytes = 81, facts.client_bytes = 80);
    RAISED_AND_CLEARED(HEALTH_REFUSED, facts.refused = 1, facts.refused = 0);
    RAISED_AND_CLEARED(HEALTH_LOG, facts.log_dropped = 1, facts.log_dropped = 0);
}

static void a_loop_without_a_processor_is_a_hint_but_not_at_the_start(void **state)
{
    RAISED_AND_CLEARED(HEALTH_OVERBOOKED, facts.off_cpu_ns = 15001 * NS_PER_MS,
                       facts.off_cpu_ns = 15000 * NS_PER_MS);
    facts.off_cpu_ns = 15 * NS_PER_S;
    RAISED_AND_CLEARED(HEALTH_OVERBOOKED, facts.window_ns = 60 * NS_PER_S, facts.window_ns = 59 * NS_PER_S);
}

static void the_score_is_what_is_left_and_an_issue_of_its_own_below_its_bound(void **state)
{
    RAISED_AND_CLEARED(HEALTH_SCORE, (facts.redis.linked = false, facts.refused = 1),
                       (facts.redis.linked = true, facts.refused = 0));
    facts.redis.linked = false;
    judge();
    assert_int_equal(health.score, 70);
    space.has_l1 = false;
    space.warm_trouble = "none";
    judge();
    assert_int_equal(health.score, 0);
}

static void more_findings_than_have_room_still_weigh(void **state)
{
    health_begin(&health);
    for (unsigned i = 0; i < HEALTH_FINDINGS_MAX + 10; i++)
        health_add(&health, HEALTH_LOG, 1,
                   "a scope that is longer than the sixty-three characters there is room for, by far", NULL,
                   "%0500d", 1);
    assert_int_equal(health.count, HEALTH_FINDINGS_MAX);
    assert_int_equal(health.score, 0);
}

/* ======= alerts ======= */

static struct alerts alerts;
static unsigned fired, resolved;
static enum health_severity last_severity;

static void tell(void *user, const struct alert *alert, bool firing)
{
    if (firing)
        fired++;
    else
        resolved++;
    last_severity = alert->severity;
}

static void update(uint64_t seconds)
{
    judge();
    alerts_update(&alerts, &health, seconds * NS_PER_S, 60 * NS_PER_S, tell, NULL);
}

static int begin_alerts(void **state)
{
    memset(&alerts, 0, sizeof(alerts));
    fired = resolved = 0;
    return begin(state);
}

static void an_issue_is_told_once_and_taken_back_once(void **state)
{
    facts.refused = 1;
    for (unsigned s = 1; s < 100; s++)
        update(s);
    assert_int_equal(fired, 1);
    facts.refused = 0;
    for (unsigned s = 100; s < 159; s++)
        update(s);
    assert_int_equal(resolved, 0);
    for (unsigned s = 159; s < 300; s++)
        update(s);
    assert_int_equal(resolved, 1);
    facts.refused = 1;
    update(300);
    assert_int_equal(fired, 2);
}

static void one_that_comes_and_goes_is_told_once(void **state)
{
    for (unsigned s = 1; s < 1000; s++) {
        facts.refused = s % 50 == 0;
        update(s);
    }
    assert_int_equal(fired, 1);
    assert_int_equal(resolved, 0);
}

static void one_that_gets_worse_is_told_again(void **state)
{
    space.hits = 3000;
    update(1);
    assert_int_equal(last_severity, HEALTH_WARNING);
    space.hits = 0;
    update(2);
    update(3);
    assert_int_equal(fired, 2);
    assert_int_equal(last_severity, HEALTH_CRITICAL);
    space.hits = 3000;
    update(4);
    assert_int_equal(fired, 2);
    space.hits = 9000;
    update(200);
    assert_int_equal(resolved, 1);
}

static void a_hint_is_no_alert(void **state)
{
    facts.log_dropped = 1;
    update(1);
    assert_int_equal(fired, 0);
}

static void the_same_issue_of_two_namespaces_is_two(void **state)
{
    struct health_space two[2] = {space, space};
    two[0].bad_records = two[1].bad_records = 1;
    two[1].name = "m";
    facts.spaces = two;
    facts.spaces_count = 2;
    update(1);
    assert_int_equal(fired, 2);
}

/* ======= history ======= */

static void the_window_begins_at_the_newest_sample_that_is_old_enough(void **state)
{
    struct history *h = history_create(1);
    const struct history_space *spaces;
    struct history_sample before;
    history_before(h, 100, 10, &before, &spaces);
    assert_int_equal(before.misses, 0);
    assert_int_equal(spaces[0].hits, 0);
    for (uint64_t i = 1; i <= 2000; i++) {
        struct history_space one = {.hits = 10 * i};
        history_add(h, &(struct history_sample){.at_ns = i, .misses = i}, &one);
    }
    history_before(h, 2000, 10, &before, &spaces);
    assert_int_equal(before.misses, 1990);
    assert_int_equal(spaces[0].hits, 19900);
    history_before(h, 2000, 1999, &before, &spaces); /* all that is left */
    assert_int_equal(before.misses, 2000 - HISTORY_SAMPLES + 1);
    history_destroy(h);
}

static void a_history_is_told_in_a_bounded_number_of_points_the_newest_among_them(void **state)
{
    struct history *h = history_create(0);
    struct buffer text;
    for (uint64_t i = 0; i <= 2000; i++) {
        buffer_init(&text, 1 << 20);
        assert_int_equal(history_append_json(h, &text), 0);
        assert_int_equal(buffer_append(&text, "", 1), 0);
        const char *t = strstr((const char *)text.data, "\"t\":["), *end = strchr(t, ']');
        unsigned points = i > 0;
        for (const char *at = t; at < end; at++)
            points += *at == ',';
        assert_true(points <= HISTORY_POINTS);
        assert_true(points >= (i < HISTORY_POINTS ? i : HISTORY_POINTS / 2));
        if (i)
            assert_int_equal(strtoull(end - (i > 999 ? 4 : i > 99 ? 3 : i > 9 ? 2 : 1), NULL, 10), i);
        buffer_finish(&text);
        history_add(h, &(struct history_sample){.at_ns = i + 1, .wall_s = i + 1}, NULL);
    }
    history_destroy(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(all_is_well, begin),
        cmocka_unit_test_setup(a_tier_that_is_wanted_and_missing_is_an_issue, begin),
        cmocka_unit_test_setup(a_tier_that_is_switched_off_is_a_wish, begin),
        cmocka_unit_test_setup(it_fails_when_nothing_can_be_kept, begin),
        cmocka_unit_test_setup(a_hit_ratio_below_its_bounds_is_a_hint_and_then_degrades, begin),
        cmocka_unit_test_setup(few_requests_have_no_hit_ratio, begin),
        cmocka_unit_test_setup(the_reason_of_the_misses_says_what_would_help, begin),
        cmocka_unit_test_setup(room_that_is_short_is_told_with_what_to_raise, begin),
        cmocka_unit_test_setup(redis_away_late_full_or_wrong_is_an_issue, begin),
        cmocka_unit_test_setup(a_loop_without_a_processor_is_a_hint_but_not_at_the_start, begin),
        cmocka_unit_test_setup(load_over_its_bounds_is_an_issue, begin),
        cmocka_unit_test_setup(the_score_is_what_is_left_and_an_issue_of_its_own_below_its_bound, begin),
        cmocka_unit_test_setup(more_findings_than_have_room_still_weigh, begin),
        cmocka_unit_test_setup(an_issue_is_told_once_and_taken_back_once, begin_alerts),
        cmocka_unit_test_setup(one_that_comes_and_goes_is_told_once, begin_alerts),
        cmocka_unit_test_setup(one_that_gets_worse_is_told_again, begin_alerts),
        cmocka_unit_test_setup(a_hint_is_no_alert, begin_alerts),
        cmocka_unit_test_setup(the_same_issue_of_two_namespaces_is_two, begin_alerts),
        cmocka_unit_test(the_window_begins_at_the_newest_sample_that_is_old_enough),
        cmocka_unit_test(a_history_is_told_in_a_bounded_number_of_points_the_newest_among_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
