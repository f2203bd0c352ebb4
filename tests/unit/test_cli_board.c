/* The screen of `larder top`, from documents made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>
#include "client/cli/board.h"

static json_t *stats(int pid, int near, int gets, int hits, int misses)
{
    return json_pack(
        "{s:s s:i s:{s:i} s:{s:i} s:{s:{s:s s:{s:i s:i s:i} s:{s:i}} s:{s:s}} s:[{s:s s:s s:i s:i s:i s:i}]}",
        "version", "1.0", "uptime_s", 60, "process", "pid", pid, "sessions", "client_connections", 3,
        "namespaces", "default", "state", "FRESH", "cache", "gets", gets, "hits_l1", hits, "misses", misses,
        "l1", "l1_hits_shared", near, "other", "state", "SUSPECT", "policies", "namespace", "default", "name",
        "pages", "hits_shared", near, "gets", gets, "misses", misses, "sets", 0);
}

static struct board_input input_of(const json_t *now, const json_t *before)
{
    return (struct board_input){.socket = "/run/s",
                                .namespace_ = "default",
                                .now = now,
                                .before = before,
                                .seconds = 2,
                                .silent_s = -1};
}

static bool shows(const struct board *b, const char *text)
{
    for (unsigned i = 0; i < b->count; i++)
        if (strstr(b->lines[i].text, text))
            return true;
    return false;
}

/* Words of the line that begins with `label`, one space between. */
static void words_of(const struct board *b, const char *label, char ret[BOARD_COLUMNS + 1])
{
    size_t n = 0;
    ret[0] = '\0';
    for (unsigned i = 0; i < b->count; i++) {
        const char *at = b->lines[i].text;
        if (strncmp(at, label, strlen(label)) != 0)
            continue;
        for (; *at; at++)
            if (*at != ' ' || (n && ret[n - 1] != ' '))
                ret[n++] = *at;
        ret[n] = '\0';
        return;
    }
}

#define ASSERT_LINE(board, label, wanted)                   \
    do {                                                    \
        char words[BOARD_COLUMNS + 1];                      \
        words_of(board, label, words);                      \
        assert_memory_equal(words, wanted, strlen(wanted)); \
    } while (0)

static void rates_are_those_between_the_two_documents(void **state)
{
    struct board b;
    json_t *before = stats(7, 1000, 100, 60, 40), *now = stats(7, 2600, 500, 260, 240);
    struct board_input in = input_of(now, before);
    board_make(&b, &in);
    ASSERT_LINE(&b, "from shared memory", "from shared memory 800 80.0%");
    ASSERT_LINE(&b, "L1, asked", "L1, asked 100 10.0%");
    ASSERT_LINE(&b, "misses", "misses 100 10.0%");
    ASSERT_LINE(&b, "all", "all 1000");
    ASSERT_LINE(&b, "pages", "pages 1000 90.0% 100 0");
    json_decref(now);
    json_decref(before);
}

static void without_an_earlier_document_there_are_no_rates(void **state)
{
    struct board b;
    json_t *now = stats(7, 2600, 500, 260, 240);
    struct board_input in = input_of(now, now);
    in.seconds = 0;
    board_make(&b, &in);
    ASSERT_LINE(&b, "from shared memory", "from shared memory - -");
    in.before = NULL;
    board_make(&b, &in);
    ASSERT_LINE(&b, "from shared memory", "from shared memory - -");
    json_decref(now);
}

/* Its counters began at zero: those that are larger by now all the same would give rates of nothing. */
static void the_counters_of_another_daemon_give_no_rates(void **state)
{
    struct board b;
    json_t *before = stats(7, 1000, 100, 60, 40), *now = stats(8, 2600, 500, 260, 240);
    struct board_input in = input_of(now, before);
    board_make(&b, &in);
    ASSERT_LINE(&b, "from shared memory", "from shared memory - -");
    ASSERT_LINE(&b, "pages", "pages - - - -");
    json_decref(now);
    json_decref(before);
}

static void a_daemon_that_is_silent_is_told_of_above_all_figures(void **state)
{
    struct board b;
    json_t *now = stats(7, 1, 1, 1, 0), *health = json_pack("{s:s s:s}", "daemon", "hung", "mode", "FRESH");
    struct board_input in = input_of(now, NULL);
    in.health = health;
    in.silence = "time-out";
    in.silent_s = 3;
    board_make(&b, &in);
    assert_non_null(strstr(b.lines[2].text, "NO ANSWER for 3.0 s: time-out"));
    assert_int_equal(b.lines[2].look, BOARD_BAD);
    assert_non_null(strstr(b.lines[3].text, "hung, FRESH, nothing is read from it"));
    assert_true(shows(&b, "from shared memory"));
    json_decref(health);
    json_decref(now);
}

static void one_that_never_answered_has_no_figures(void **state)
{
    struct board b;
    struct board_input in = input_of(NULL, NULL);
    in.silence = "cannot be reached";
    board_make(&b, &in);
    assert_int_equal(b.count, 2);
    assert_string_equal(b.lines[1].text, "NO ANSWER: cannot be reached");
}

static void issues_are_shown_with_what_to_do(void **state)
{
    struct board b;
    json_t *now = stats(7, 1, 1, 1, 0);
    json_t *health = json_pack("{s:s s:i s:[s] s:[s]}", "status", "degraded", "score", 80, "issues",
                               "something is slow", "recommendations", "make it fast");
    struct board_input in = input_of(now, NULL);
    in.health = health;
    board_make(&b, &in);
    assert_string_equal(b.lines[2].text, "degraded   score 80");
    assert_int_equal(b.lines[2].look, BOARD_WARNING);
    assert_string_equal(b.lines[3].text, "! something is slow");
    assert_string_equal(b.lines[4].text, "> make it fast");
    json_decref(health);
    json_decref(now);
}

static void after_the_last_namespace_comes_the_first(void **state)
{
    json_t *now = stats(7, 1, 1, 1, 0);
    assert_string_equal(board_next_namespace(now, "default"), "other");
    assert_string_equal(board_next_namespace(now, "other"), "default");
    assert_string_equal(board_next_namespace(now, "nobody"), "default");
    assert_null(board_next_namespace(NULL, "default"));
    json_decref(now);
}

static void a_namespace_that_is_not_there_is_said_to_be_none(void **state)
{
    struct board b;
    json_t *now = stats(7, 1, 1, 1, 0);
    struct board_input in = input_of(now, NULL);
    in.namespace_ = "nobody";
    board_make(&b, &in);
    assert_true(shows(&b, "no such namespace"));
    assert_false(shows(&b, "from shared memory"));
    json_decref(now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_are_those_between_the_two_documents),
        cmocka_unit_test(without_an_earlier_document_there_are_no_rates),
        cmocka_unit_test(the_counters_of_another_daemon_give_no_rates),
        cmocka_unit_test(a_daemon_that_is_silent_is_told_of_above_all_figures),
        cmocka_unit_test(one_that_never_answered_has_no_figures),
        cmocka_unit_test(issues_are_shown_with_what_to_do),
        cmocka_unit_test(after_the_last_namespace_comes_the_first),
        cmocka_unit_test(a_namespace_that_is_not_there_is_said_to_be_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
