/* What `larder stats` and `larder explain` say on a terminal, from documents made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include "client/cli/page.h"

static char *said;

static int forget(void **state)
{
    free(said);
    said = NULL;
    return 0;
}

static void make(void (*page)(FILE *to, const json_t *document), const char *text)
{
    size_t size;
    FILE *to = open_memstream(&said, &size);
    json_t *document = json_loads(text, 0, NULL);
    assert_non_null(document);
    page(to, document);
    fclose(to);
    json_decref(document);
}

static void says(const char *part)
{
    if (!strstr(said, part))
        fail_msg("no \"%s\" in:\n%s", part, said);
}

static const char stats[] =
    "{\"version\":\"1.0\",\"uptime_s\":90,\"state\":\"FRESH\","
    "\"overall\":{\"requests\":1000,\"hits\":900,\"hits_shared\":800,\"misses\":100,\"keys\":12,\"errors\":0}"
    ","
    "\"redis\":{\"configured\":true,\"connected\":true,\"version\":\"7.0.15\",\"used_memory_bytes\":1048576},"
    "\"times\":{\"get\":{\"count\":200,\"p50_us\":4,\"p99_us\":1500,"
    "\"tiers\":{\"l1\":{\"count\":100,\"p50_us\":3,\"p99_us\":5},\"miss\":{\"count\":100,\"p50_us\":7,\"p99_"
    "us\":9}}}},"
    "\"tiers\":{\"l1\":{\"hits\":850,\"entries\":12,\"bytes\":2048,\"available\":true},"
    "\"warm\":{\"hits\":50,\"entries\":12,\"bytes\":4096,\"available\":true},\"l2\":{\"hits\":0,"
    "\"available\":false}},"
    "\"policies\":[{\"name\":\"rare\",\"namespace\":\"default\",\"hits\":1,\"misses\":0,\"sets\":0},"
    "{\"name\":\"pages\",\"namespace\":\"default\",\"hits\":890,\"misses\":99,\"misses_cold\":66,\"misses_"
    "expired\":33,"
    "\"sets\":7,\"expect_hit_ratio\":0.95,\"times\":{\"get\":{\"count\":3,\"p50_us\":4,\"p99_us\":8},"
    "\"set\":{\"count\":7,\"p50_us\":5,\"p99_us\":20}}},"
    "{\"name\":\"unused\",\"namespace\":\"default\",\"hits\":0,\"misses\":0,\"sets\":0}],"
    "\"namespaces\":{\"default\":{\"state\":\"FRESH\",\"cache\":{\"gets\":200,\"misses\":100,\"misses_cold\":"
    "100}}}}";

static void statistics_are_a_page_of_what_is_asked_for_most(void **state)
{
    make(page_stats, stats);
    says("larderd 1.0   up 1m30s   FRESH");
    says("connected, 7.0.15, 1.0 MiB used");
    says("1000 keys, 90.0% found, 100 missed");
    says("half within");
    says("66.7% cold, 33.3% expired");
    assert_true(strstr(said, "pages") < strstr(said, "rare"));
    assert_null(strstr(said, "unused"));
    assert_null(strstr(said, "nan"));
}

/* The words of the line that begins so. */
static const char *line_of(const char *begin)
{
    static char line[256], words[256];
    const char *at = strstr(said, begin);
    char *save = NULL;
    assert_non_null(at);
    snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
    words[0] = '\0';
    for (char *word = strtok_r(line, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        strcat(words, *words ? " " : "");
        strcat(words, word);
    }
    return words;
}

static void hits_in_shared_memory_are_told_apart_from_those_of_the_daemon(void **state)
{
    make(page_stats, stats);
    assert_string_equal(line_of("shared memory"), "shared memory 800 80.0% 12 2.0 KiB - -");
    assert_string_equal(line_of("l1, by the daemon"), "l1, by the daemon 50 5.0% 3 us 5 us");
    assert_string_equal(line_of("rare "), "rare 1 100.0% - - - 0 -");
    assert_string_equal(line_of("pages "),
                        "pages 989 90.0% 95.0% 4 us 8 us 7 20 us 66.7% cold, 33.3% expired");
}

static void tenants_are_told_like_policies_without_what_is_expected_of_them(void **state)
{
    make(page_stats, "{\"tenants\":[{\"name\":\"acme\",\"hits\":1,\"misses\":1,\"misses_cold\":1,\"sets\":2,"
                     "\"times\":{\"get\":{\"count\":2,\"p50_us\":4,\"p99_us\":8},"
                     "\"set\":{\"count\":2,\"p50_us\":9,\"p99_us\":20}}},"
                     "{\"name\":\"globex\",\"hits\":1,\"misses\":0,\"sets\":0,\"times\":null}]}");
    assert_string_equal(line_of("tenant "),
                        "tenant asked found half within 99% within sets 99% set within why missed");
    assert_string_equal(line_of("acme "), "acme 2 50.0% 4 us 8 us 2 20 us 100.0% cold");
    assert_string_equal(line_of("globex "), "globex 1 100.0% - - 0 -");
}

static void a_page_of_many_policies_is_short_and_says_how_many_more(void **state)
{
    char text[4096] = "{\"policies\":[", one[96];
    for (unsigned i = 0; i < 30; i++) {
        snprintf(one, sizeof(one), "%s{\"name\":\"p%u\",\"hits\":%u,\"misses\":0}", i ? "," : "", i, i + 1);
        strcat(text, one);
    }
    strcat(text, "]}");
    make(page_stats, text);
    says("p29 ");
    says("and 18 more");
    assert_null(strstr(said, "p17 "));
}

static void a_key_that_is_there_has_its_place_and_life(void **state)
{
    make(page_explain,
         "{\"key\":\"k\",\"namespace\":\"default\",\"result\":\"HIT\",\"tier\":\"l1\",\"value_bytes\":3,"
         "\"ttl_ms\":60000,\"fresh_ms\":30000,\"version\":\"1.2.3\",\"tags\":2,\"policy\":\"users\","
         "\"holds\":{\"pattern\":\"user:*\",\"ttl_ms\":3600000,\"stale_ms\":0,\"l1\":true,\"l2\":true,"
         "\"store\":true,\"tags\":[\"a\",\"b\"]},\"last_invalidation\":null,"
         "\"invalidations_seen\":{\"complete\":true}}");
    says("found in    l1: 3 B, version 1.2.3");
    says("1m more, fresh for 30s");
    says("invalidated not, as far as the log goes back");
    says("users, user:*: lives 1h");
    says("kept in l1 l2\n");
    says("its tags: a, b");
}

static void a_key_that_is_not_there_has_the_cause(void **state)
{
    make(page_explain,
         "{\"key\":\"k\",\"namespace\":\"default\",\"result\":\"MISS\",\"reason\":\"invalidated\","
         "\"last_invalidation\":{\"kind\":\"tag\",\"name\":\"team\",\"ago_ms\":90000,\"position\":7,"
         "\"where\":\"here\",\"by\":\"app\",\"event\":\"user.left\",\"cascaded\":true,"
         "\"time\":\"2026-01-01T00:00:00.000Z\"},\"invalidations_seen\":{\"complete\":false}}");
    says("not found   invalidated");
    says("1m30s ago by tag team, named by a cascade rule, event user.left");
    says("here, position 7, 2026-01-01T00:00:00.000Z, by app");
    says("perhaps later too: the log is incomplete");
}

#define PAGE(name) cmocka_unit_test_teardown(name, forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAGE(statistics_are_a_page_of_what_is_asked_for_most),
        PAGE(hits_in_shared_memory_are_told_apart_from_those_of_the_daemon),
        PAGE(tenants_are_told_like_policies_without_what_is_expected_of_them),
        PAGE(a_page_of_many_policies_is_short_and_says_how_many_more),
        PAGE(a_key_that_is_there_has_its_place_and_life),
        PAGE(a_key_that_is_not_there_has_the_cause),
    };
    return cmocka_run_group_tests_name("cli_page", tests, NULL, NULL);
}
