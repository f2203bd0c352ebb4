/* A namespace as the daemon puts it together: the gate of F3, and what it tells about itself. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <jansson.h>
#include "admin/rollup_report.h"
#include "app/documents.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "cache/chronicle.h"
#include "l1/l1.h"
#include "warm/warm.h"

/* ---- a daemon without a door --------------------------------------------------------------------------- */

struct fixture {
    char home[64];
    struct config *config;
    struct loop *loop;
    struct space space;
    struct sessions *sessions;
    bool warm_usable;
};

static int begin(void **state)
{
    struct fixture *f = must_alloc(sizeof(*f));
    snprintf(f->home, sizeof(f->home), "/dev/shm/larder-space-XXXXXX");
    f->warm_usable = true;
    *state = f;
    log_setup(LOG_ERROR, LOG_LOGFMT, STDERR_FILENO);
    return mkdtemp(f->home) ? 0 : -1;
}

static int end(void **state)
{
    struct fixture *f = *state;
    char command[128];
    snprintf(command, sizeof(command), "rm -r '%s'", f->home);
    free(f);
    return system(command);
}

static struct config *small_config(const char *redis_url)
{
    struct settings flags = {0};
    struct complaints wrong = {0};
    char *environment[] = {(char *)"XDG_RUNTIME_DIR=/nowhere", (char *)"XDG_STATE_HOME=/nowhere",
                           (char *)redis_url, NULL};
    settings_add(&flags,
                 &(struct setting){.section = SECTION_NAMESPACE,
                                   .key = (char *)"l1_bytes",
                                   .value = (char *)"8MiB",
                                   .origin = (char *)"flag"},
                 &wrong);
    struct config *c =
        config_load(&(struct config_sources){.environment = environment, .flags = &flags}, &wrong);
    settings_finish(&flags);
    assert_non_null(c);
    return c;
}

static void start(struct fixture *f)
{
    f->config = small_config(NULL);
    f->loop = loop_create();
    struct space_setup setup = {.config = &f->config->namespaces[0],
                                .loop = f->loop,
                                .state = f->home,
                                .state_usable = f->warm_usable,
                                .runtime = f->home};
    assert_int_equal(space_open(&f->space, &setup), 0);
}

static void stop_loop(void *user)
{
    struct fixture *f = user;
    loop_stop(f->loop);
}

static void let_go(struct fixture *f)
{
    space_close(&f->space);
    f->loop = loop_destroy(f->loop);
    f->config = config_destroy(f->config);
}

static void stop_cleanly(struct fixture *f)
{

    space_stop(&f->space, clock_after(clock_boot_ns(), 10 * NS_PER_S), stop_loop, f);
    loop_run(f->loop);
    let_go(f);
}

/* As after kill -9, as far as the next daemon can tell: nothing was marked clean. */
static void stop_dirtily(struct fixture *f)
{
    struct page *page = f->space.page;
    f->space.page = NULL;
    stop_cleanly(f);
    page_close(page, false);
}

/* ---- the gate ------------------------------------------------------------------------------------------ */

static void a_first_start_waits_for_nobody(void **state)
{
    struct fixture *f = *state;
    start(f);
    assert_int_equal(f->space.gate_until_ns, 0);
    stop_cleanly(f);
}

static void after_a_clean_stop_changes_are_answered_at_once(void **state)
{
    struct fixture *f = *state;
    start(f);
    stop_cleanly(f);
    start(f);
    assert_true(f->space.found.clean);
    assert_int_equal(f->space.gate_until_ns, 0);
    stop_cleanly(f);
}

static void after_a_kill_changes_wait_until_the_old_promise_ends(void **state)
{
    struct fixture *f = *state;
    uint64_t before_ns = clock_boot_ns();
    start(f);
    stop_dirtily(f);
    start(f);
    assert_false(f->space.found.clean);
    assert_true(f->space.gate_until_ns >= before_ns + 500 * NS_PER_MS);
    assert_int_equal(f->space.gate_until_ns, f->space.found.alive_until_ns);
    stop_cleanly(f);
}

static void a_stop_within_the_gate_leaves_it_to_the_next(void **state)
{
    struct fixture *f = *state;
    start(f);
    f->space.gate_until_ns = UINT64_MAX; /* a predecessor's promise that is not over */
    stop_cleanly(f);
    start(f);
    assert_false(f->space.found.clean);
    assert_int_not_equal(f->space.gate_until_ns, 0);
    stop_cleanly(f);
}

static void without_page_and_database_a_whole_lease_is_waited(void **state)
{
    struct fixture *f = *state;
    f->warm_usable = false;
    uint64_t before_ns = clock_boot_ns();
    start(f);
    assert_null(f->space.warm);
    assert_true(f->space.gate_until_ns >= before_ns + f->space.config->l1.l1_lease);
    stop_cleanly(f);
}

static void a_state_in_use_is_not_shared(void **state)
{
    struct fixture *f = *state;
    struct space second;
    start(f);
    struct space_setup setup = {.config = &f->config->namespaces[0],
                                .loop = f->loop,
                                .state = f->home,
                                .state_usable = true,
                                .runtime = NULL};
    int silence = open("/dev/null", O_WRONLY);
    log_setup(LOG_ERROR, LOG_LOGFMT, silence);
    assert_true(space_open(&second, &setup) < 0);
    log_setup(LOG_ERROR, LOG_LOGFMT, STDERR_FILENO);
    close(silence);
    stop_cleanly(f);
}

static void set_and_get(struct fixture *f, const char *key)
{
    struct cache_set set = {.key = slice_text(key), .value = slice_text("v"), .ttl_ms = 60000};
    struct cache_get get = {.key = slice_text(key)};
    assert_int_equal(cache_set(f->space.cache, &set), CACHE_DONE);
    assert_int_equal(set.status, STATUS_OK);
    assert_int_equal(cache_get(f->space.cache, &get), CACHE_DONE);
    assert_int_equal(get.status, STATUS_HIT);
}

/* ---- kills nobody needs any more ----------------------------------------------------------------------- */

enum { MANY_TAGS = 2000 };

static void set_tagged(struct fixture *f, unsigned n)
{
    char key[16], tag[16];
    snprintf(key, sizeof(key), "key%u", n);
    snprintf(tag, sizeof(tag), "tag%u", n);
    struct slice tags[1] = {slice_text(tag)};
    struct cache_set set = {
        .key = slice_text(key), .value = slice_text("v"), .ttl_ms = 3600000, .tags = tags, .tags_count = 1};
    assert_int_equal(cache_set(f->space.cache, &set), CACHE_DONE);
    assert_int_equal(set.status, STATUS_OK);
}

static void kill_tag(struct fixture *f, unsigned n)
{
    char tag[16];
    snprintf(tag, sizeof(tag), "tag%u", n);
    struct slice tags[1] = {slice_text(tag)};
    struct cache_invalidate i = {.tags = tags, .tags_count = 1};
    assert_int_equal(cache_invalidate(f->space.cache, &i), CACHE_DONE);
}

static enum status look_up(struct fixture *f, const char *key)
{
    struct cache_get get = {.key = slice_text(key)};
    assert_int_equal(cache_get(f->space.cache, &get), CACHE_DONE);
    return get.status;
}

static void assert_only_the_ancient_one_lives(struct fixture *f)
{
    char key[16];
    for (unsigned n = 0; n < MANY_TAGS; n++) {
        snprintf(key, sizeof(key), "key%u", n);
        assert_int_equal(look_up(f, key), STATUS_MISS);
    }
    assert_int_equal(look_up(f, "ancient"), STATUS_HIT);
}

/* Both tiers sweep in their own time; the minutes that kills must be old go by on a clock of ours. */
static void keep_until(struct fixture *f, bool (*until)(struct fixture *f), uint64_t step_ns)
{
    uint64_t now_ns = loop_now_ns(f->loop);
    while (!until(f)) {
        loop_run_once(f->loop);
        space_prune_kills(&f->space, now_ns += step_ns);
    }
}

static bool kills_are_few(struct fixture *f)
{
    return kills_count(f->space.kills) <= MANY_TAGS / 2; /* too few to care for the rest */
}

static bool warm_has_forgotten(struct fixture *f)
{
    struct warm_figures figures;
    warm_measure(f->space.warm, &figures);
    return figures.warm_kills == 0;
}

static void begin_with_many_kills(struct fixture *f)
{
    start(f);
    set_and_get(f, "ancient");
    for (unsigned n = 0; n < MANY_TAGS; n++)
        set_tagged(f, n);
    for (unsigned n = 0; n < MANY_TAGS; n++)
        kill_tag(f, n);
    assert_int_equal(kills_count(f->space.kills), MANY_TAGS);
}

static void kills_are_forgotten_after_the_sweeps_and_nothing_dead_comes_back(void **state)
{
    struct fixture *f = *state;
    begin_with_many_kills(f);
    keep_until(f, kills_are_few, NS_PER_S);
    assert_only_the_ancient_one_lives(f);
    keep_until(f, warm_has_forgotten, 0);
    stop_dirtily(f);
    start(f);
    assert_true(kills_count(f->space.kills) < MANY_TAGS);
    assert_only_the_ancient_one_lives(f);
    stop_cleanly(f);
}

static bool both_tiers_are_swept(struct fixture *f)
{
    return l1_settled(f->space.l1) && warm_swept_v(f->space.warm) >= cache_position(f->space.cache);
}

static void kills_younger_than_a_minute_are_kept_though_swept(void **state)
{
    struct fixture *f = *state;
    begin_with_many_kills(f);
    keep_until(f, both_tiers_are_swept, 0);
    uint64_t killed_ns = f->space.mark.at_ns;
    space_prune_kills(&f->space, killed_ns + 60 * NS_PER_S - 1);
    assert_int_equal(kills_count(f->space.kills), MANY_TAGS);
    space_prune_kills(&f->space, killed_ns + 60 * NS_PER_S);
    assert_int_equal(kills_count(f->space.kills), 0);
    assert_only_the_ancient_one_lives(f);
    stop_cleanly(f);
}

/* ---- documents ----------------------------------------------------------------------------------------- */

static json_t *ask(struct fixture *f, const struct session_question *question)
{
    struct session_host host = {.loop = f->loop, .options = &f->config->net, .program = "test"};
    struct buffer text;
    f->sessions = sessions_create(&host);
    struct documents d = {.config = f->config,
                          .loop = f->loop,
                          .spaces = &f->space,
                          .spaces_count = 1,
                          .sessions = f->sessions,
                          .started_ns = loop_now_ns(f->loop)};
    buffer_init(&text, 1 << 20);
    assert_int_equal(documents_answer(&d, question, &text), 0);
    json_t *document = json_loadb((const char *)text.data, text.size, 0, NULL);
    assert_non_null(document);
    buffer_finish(&text);
    sessions_destroy(f->sessions);
    return document;
}

static json_t *ask_for(struct fixture *f, enum session_document kind)
{
    return ask(f, &(struct session_question){.kind = kind, .space = &f->space.session, .origin = true});
}

static void assert_names(const json_t *object, const char *const *names)
{
    for (; *names; names++)
        if (!json_object_get(object, *names))
            fail_msg("%s is missing", *names);
}

static void stats_have_the_names_dashboards_rely_on(void **state)
{
    struct fixture *f = *state;
    start(f);
    json_t *d = ask_for(f, DOCUMENT_STATS), *tiers = json_object_get(d, "tiers");
    assert_names(d, (const char *const[]){"timestamp", "uptime_s", "overall", "tiers", "policies", "tenants",
                                          "redis", NULL});
    assert_names(json_object_get(d, "overall"),
                 (const char *const[]){"requests", "hits", "misses", "hit_ratio", "avg_us", "p50_us",
                                       "p95_us", "p99_us", "keys", "errors", NULL});
    assert_names(tiers, (const char *const[]){"l1", "warm", "l2", NULL});
    for (unsigned i = TIER_L1; i <= TIER_L2; i++)
        assert_names(json_object_get(tiers, tier_name_text(i)),
                     (const char *const[]){"hits", "hit_share", "entries", "bytes", "available", NULL});
    json_decref(d);
    stop_cleanly(f);
}

static json_int_t number_in(const json_t *document, const char *object, const char *name)
{
    return json_integer_value(json_object_get(json_object_get(document, object), name));
}

static void a_hit_is_counted_once(void **state)
{
    struct fixture *f = *state;
    start(f);
    set_and_get(f, "k");
    json_t *d = ask_for(f, DOCUMENT_STATS);
    assert_int_equal(number_in(d, "overall", "hits"), 1);
    assert_int_equal(number_in(d, "overall", "requests"), 1);
    assert_int_equal(number_in(json_object_get(d, "tiers"), "l1", "hits"), 1);
    assert_int_equal(number_in(json_object_get(d, "tiers"), "l1", "entries"), 1);
    json_decref(d);
    stop_cleanly(f);
}

static const char *health_of(struct fixture *f, size_t *ret_issues)
{
    static char status[16];
    json_t *d = ask_for(f, DOCUMENT_HEALTH);
    assert_names(d, (const char *const[]){"status", "score", "tiers", "redis_latency_ms", "issues",
                                          "recommendations", "timestamp", NULL});
    snprintf(status, sizeof(status), "%s", json_string_value(json_object_get(d, "status")));
    *ret_issues = json_array_size(json_object_get(d, "issues"));
    json_decref(d);
    return status;
}

static void all_well_is_ok_without_issues(void **state)
{
    struct fixture *f = *state;
    size_t issues;
    start(f);
    assert_string_equal(health_of(f, &issues), "ok");
    assert_int_equal(issues, 0);
    stop_cleanly(f);
}

static void a_missing_warm_tier_is_degraded_and_told(void **state)
{
    struct fixture *f = *state;
    size_t issues;
    f->warm_usable = false;
    start(f);
    assert_string_equal(health_of(f, &issues), "degraded");
    assert_int_equal(issues, 1);
    stop_cleanly(f);
}

static void a_fleet_store_that_is_not_used_is_told(void **state)
{
    struct fixture *f = *state;
    size_t issues;
    start(f);
    struct config *own = f->config;
    f->config = small_config("REDIS_URL=redis://u:hunter2@h");
    assert_string_equal(health_of(f, &issues), "degraded");
    json_t *d = ask_for(f, DOCUMENT_CONFIG);
    char *text = json_dumps(d, 0);
    assert_null(strstr(text, "hunter2"));
    assert_non_null(strstr(text, "redis://u:***@h"));
    assert_non_null(strstr(text, "environment REDIS_URL"));
    free(text);
    json_decref(d);
    config_destroy(f->config);
    f->config = own;
    stop_cleanly(f);
}

static void assert_explained(struct fixture *f, struct slice key, const char *name, const char *text)
{
    struct cache_get get = {.key = key, .no_promote = true};
    assert_int_equal(cache_get(f->space.cache, &get), CACHE_DONE);
    json_t *d =
        ask(f, &(struct session_question){
                   .kind = DOCUMENT_EXPLAIN, .space = &f->space.session, .key = get.key, .get = &get});
    assert_string_equal(json_string_value(json_object_get(d, name)), text);
    assert_string_equal(json_string_value(json_object_get(d, "result")), "MISS");
    json_decref(d);
}

static void a_key_that_is_no_text_is_explained_in_hexadecimal(void **state)
{
    struct fixture *f = *state;
    start(f);
    assert_explained(f, slice_of("\xff\x01", 2), "key_hex", "ff01");
    assert_explained(f, slice_of("a\0b", 3), "key_hex", "610062");
    assert_explained(f, slice_of("a\x1b[", 3), "key_hex", "611b5b");
    assert_explained(f, slice_text("h\xc3\xa9"), "key", "h\xc3\xa9");
    stop_cleanly(f);
}

static void names_of_any_bytes_are_told_so_that_a_terminal_and_a_parser_take_them(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct slice keys[] = {slice_of("a\0b\n\x1b[31m\xc2\x9b\xc3\xa9", 13)};
    struct cache_invalidate i = {.keys = keys, .keys_count = 1, .by = slice_of("\xff\n", 2)};
    chronicle_call((struct chronicle *)cache_chronicle(f->space.cache), &i, clock_mono_ns());
    json_t *d = ask_for(f, DOCUMENT_LOG), *line = json_array_get(json_object_get(d, "invalidations"), 0);
    assert_string_equal(json_string_value(json_object_get(line, "names")),
                        "key a\\x00b\\x0a\\x1b[31m\\xc2\\x9b\xc3\xa9");
    assert_string_equal(json_string_value(json_object_get(line, "by")), "\\xff\\x0a");
    json_decref(d);
    stop_cleanly(f);
}

/* Quotes take two bytes each in JSON. */
static void the_log_has_as_many_lines_as_its_asker_has_room_for(void **state)
{
    enum { CALLS = 1200, ROOM = 64 << 10 };
    struct fixture *f = *state;
    start(f);
    char key[CHRONICLE_TEXT - 20];
    memset(key, '"', sizeof(key));
    struct slice keys[] = {slice_of(key, sizeof(key))};
    struct cache_invalidate i = {.keys = keys, .keys_count = 1};
    for (unsigned n = 0; n < CALLS; n++)
        chronicle_call((struct chronicle *)cache_chronicle(f->space.cache), &i, clock_mono_ns());
    json_t *d = ask(f, &(struct session_question){
                           .kind = DOCUMENT_LOG, .space = &f->space.session, .limit = CALLS, .room = ROOM});
    size_t bytes = json_dumpb(d, NULL, 0, JSON_COMPACT);
    assert_in_range(bytes, ROOM - 4096, ROOM);
    assert_true(json_array_size(json_object_get(d, "invalidations")) > 50);
    json_decref(d);
    stop_cleanly(f);
}

static unsigned rows_of_page(struct fixture *f, uint32_t from, size_t room, uint32_t *ret_next)
{
    json_t *d = ask(f, &(struct session_question){.kind = DOCUMENT_REPORT,
                                                  .space = &f->space.session,
                                                  .days = 30,
                                                  .by = ROLLUP_BY_POLICY,
                                                  .from = from,
                                                  .room = room});
    size_t bytes = json_dumpb(d, NULL, 0, JSON_COMPACT), rows = json_array_size(json_object_get(d, "rows"));
    assert_true(bytes <= room);
    *ret_next = (uint32_t)json_integer_value(json_object_get(d, "next"));
    json_decref(d);
    return (unsigned)rows;
}

static void a_report_has_as_many_rows_as_its_asker_has_room_for_and_says_where_the_rest_begins(void **state)
{
    enum { ROWS = 60, ROOM = 40 << 10 };
    struct fixture *f = *state;
    start(f);
    struct rollup *r = (struct rollup *)rollups_now(f->space.rollups);
    for (unsigned n = 0; n < ROWS; n++) {
        char name[200];
        memset(name, '\n', sizeof(name)); /* four bytes each */
        name[0] = (char)('0' + n);
        rollup_add_policy(r, slice_of(name, sizeof(name)), slice_text(""),
                          &(struct rollup_counts){.sets = 1});
    }
    uint32_t next = 0;
    unsigned rows = 0, pages = 0;
    do {
        rows += rows_of_page(f, next, ROOM, &next);
        pages++;
        assert_true(next == 0 || next == rows);
    } while (next);
    assert_int_equal(rows, ROWS);
    assert_true(pages > 1);
    stop_cleanly(f);
}

int main(void)
{
#define WITH_HOME(test) cmocka_unit_test_setup_teardown(test, begin, end)
    const struct CMUnitTest tests[] = {
        WITH_HOME(a_first_start_waits_for_nobody),
        WITH_HOME(a_report_has_as_many_rows_as_its_asker_has_room_for_and_says_where_the_rest_begins),
        WITH_HOME(after_a_clean_stop_changes_are_answered_at_once),
        WITH_HOME(after_a_kill_changes_wait_until_the_old_promise_ends),
        WITH_HOME(a_stop_within_the_gate_leaves_it_to_the_next),
        WITH_HOME(without_page_and_database_a_whole_lease_is_waited),
        WITH_HOME(a_state_in_use_is_not_shared),
        WITH_HOME(kills_are_forgotten_after_the_sweeps_and_nothing_dead_comes_back),
        WITH_HOME(kills_younger_than_a_minute_are_kept_though_swept),
        WITH_HOME(stats_have_the_names_dashboards_rely_on),
        WITH_HOME(a_hit_is_counted_once),
        WITH_HOME(all_well_is_ok_without_issues),
        WITH_HOME(a_missing_warm_tier_is_degraded_and_told),
        WITH_HOME(a_fleet_store_that_is_not_used_is_told),
        WITH_HOME(a_key_that_is_no_text_is_explained_in_hexadecimal),
        WITH_HOME(names_of_any_bytes_are_told_so_that_a_terminal_and_a_parser_take_them),
        WITH_HOME(the_log_has_as_many_lines_as_its_asker_has_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
