/* How the command reads and writes durations, versions, tokens, tiers and bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>
#include "client/cli/text.h"

static void durations_have_units_and_may_be_put_together(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {{"30s", 30000}, {"5m", 300000}, {"1h", 3600000},    {"2d", 172800000},
                {"250ms", 250}, {"0", 0},       {"1h30m", 5400000}, {"1m1ms", 60001}};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        uint64_t ms = 99;
        assert_true(duration_parse(good[i].text, &ms));
        assert_int_equal(ms, good[i].ms);
    }
}

static void what_is_no_duration_is_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "5",
                                      "s",
                                      "-5s",
                                      " 5s",
                                      "5 s",
                                      "5s ",
                                      "5x",
                                      "1.5h",
                                      "5ss",
                                      "99999999999999999999s",
                                      "9999999999999999d",
                                      "fs",
                                      "0x5s"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint64_t ms;
        assert_false(duration_parse(bad[i], &ms));
    }
}

static void durations_are_shown_in_two_units_at_most(void **state)
{
    static const struct {
        uint64_t ms;
        const char *text;
    } rows[] = {{0, "0ms"},       {999, "999ms"},     {60000, "1m"},  {299123, "4m59s"},
                {86400000, "1d"}, {90000000, "1d1h"}, {3600001, "1h"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[48];
        duration_format(rows[i].ms, text, sizeof(text));
        assert_string_equal(text, rows[i].text);
    }
}

static void a_version_comes_back_as_it_was_written(void **state)
{
    larder_entry_version versions[] = {{0, 0, 0}, {UINT64_MAX, UINT64_MAX, 0xffffff}, {0x1f, 3, 0x2a}};
    for (int i = 0; i < 3; i++) {
        char text[VERSION_TEXT_BYTES];
        larder_entry_version again;
        version_format(versions[i], text);
        assert_true(version_parse(text, &again));
        assert_true(larder_version_equal(again, versions[i]));
    }
}

static void what_is_no_version_is_refused(void **state)
{
    static const char *const bad[] = {
        "", "1", "1.2", "1.2.", "1.2.3.4", "1.2.x", "x.2.3", "1..3", "10000000000000000.1.1"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        larder_entry_version version;
        assert_false(version_parse(bad[i], &version));
    }
}

static void a_position_comes_back_as_it_was_written(void **state)
{
    larder_position positions[] = {{0, 0, 0}, {63, UINT64_MAX, UINT64_MAX}, {2, 0x1f, 3}}, again;
    char text[POSITION_TEXT_BYTES];
    for (int i = 0; i < 3; i++) {
        position_format(positions[i], text);
        assert_true(position_parse(text, &again));
        assert_int_equal(again.partition, positions[i].partition);
        assert_int_equal(again.epoch, positions[i].epoch);
        assert_int_equal(again.v, positions[i].v);
    }
    assert_false(position_parse("40.1.1", &again));
    assert_false(position_parse("1.2", &again));
    assert_false(position_parse("1.2.3.4", &again));
}

static void a_token_comes_back_as_it_was_written(void **state)
{
    larder_token token = {.size = 64}, again;
    char text[TOKEN_TEXT_BYTES];
    for (int i = 0; i < 64; i++)
        token.bytes[i] = (uint8_t)(i * 5);
    token_format(&token, text);
    assert_true(token_parse(text, &again));
    assert_int_equal(again.size, 64);
    assert_memory_equal(again.bytes, token.bytes, 64);
    assert_false(token_parse("", &again));
    assert_false(token_parse("abc", &again));
    assert_false(token_parse("zz", &again));
}

static void tiers_are_named_with_commas_between(void **state)
{
    uint8_t bits;
    assert_true(tiers_parse("l1", &bits));
    assert_int_equal(bits, LARDER_ONLY_L1);
    assert_true(tiers_parse("l2,warm", &bits));
    assert_int_equal(bits, LARDER_ONLY_L2 | LARDER_ONLY_WARM);
    assert_false(tiers_parse("", &bits));
    assert_false(tiers_parse("l1,", &bits));
    assert_false(tiers_parse("none", &bits));
    assert_false(tiers_parse("L1", &bits));
}

static void bytes_are_escaped_on_one_line(void **state)
{
    char text[64];
    escape_format(larder_bytes("a\tb\nc\\d\0e\x7f\xc3\xa9", 12), text);
    assert_string_equal(text, "a\\tb\\nc\\\\d\\x00e\\x7f\xc3\xa9");
}

static void base64_is_padded(void **state)
{
    static const char *const rows[][2] = {
        {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[16];
        base64_format(larder_text(rows[i][0]), text);
        assert_string_equal(text, rows[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_have_units_and_may_be_put_together),
        cmocka_unit_test(what_is_no_duration_is_refused),
        cmocka_unit_test(durations_are_shown_in_two_units_at_most),
        cmocka_unit_test(a_version_comes_back_as_it_was_written),
        cmocka_unit_test(what_is_no_version_is_refused),
        cmocka_unit_test(a_position_comes_back_as_it_was_written),
        cmocka_unit_test(a_token_comes_back_as_it_was_written),
        cmocka_unit_test(tiers_are_named_with_commas_between),
        cmocka_unit_test(bytes_are_escaped_on_one_line),
        cmocka_unit_test(base64_is_padded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
