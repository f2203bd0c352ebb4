/* How scripts are called, and that what is built in is what Redis runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "l2/script.h"

static const char digest[] = "0123456789abcdef0123456789abcdef01234567";

static void a_call_carries_the_text_until_the_digest_is_known(void **state)
{
    struct script_digests digests = {0};
    struct script_call call = script_call(&digests, SCRIPT_SET, false);
    assert_true(slice_equal(call.command, slice_text("EVAL")));
    assert_true(slice_equal(call.script, script_text(SCRIPT_SET)));
    assert_true(script_loaded(&digests, SCRIPT_SET, slice_text(digest)));
    call = script_call(&digests, SCRIPT_SET, false);
    assert_true(slice_equal(call.command, slice_text("EVALSHA")) &&
                slice_equal(call.script, slice_text(digest)));
    call = script_call(&digests, SCRIPT_FILL, false);
    assert_true(slice_equal(call.command, slice_text("EVAL")));
}

static void a_call_that_redis_did_not_know_goes_again_with_its_text(void **state)
{
    struct script_digests digests = {0};
    script_loaded(&digests, SCRIPT_HELLO, slice_text(digest));
    assert_true(slice_equal(script_call(&digests, SCRIPT_HELLO, true).command, slice_text("EVAL")));
    assert_true(slice_equal(script_call(&digests, SCRIPT_HELLO, false).command, slice_text("EVALSHA")));
}

static void what_is_no_digest_is_not_taken_for_one(void **state)
{
    struct script_digests digests = {0};
    static const char *const wrong[] = {"", "OK", "0123456789abcdef0123456789abcdef0123456",
                                        "0123456789ABCDEF0123456789abcdef01234567",
                                        "0123456789abcdef0123456789abcdef\r\n234567"};
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(script_loaded(&digests, SCRIPT_SET, slice_text(wrong[i])));
        assert_true(slice_equal(script_call(&digests, SCRIPT_SET, false).command, slice_text("EVAL")));
    }
}

static void a_script_says_how_many_keys_it_takes(void **state)
{
    assert_int_equal(script_keys(SCRIPT_SET, 0), 6);
    assert_int_equal(script_keys(SCRIPT_TOUCH, 0), 5);
    assert_int_equal(script_keys(SCRIPT_INVALIDATE, 0), 4);
    assert_int_equal(script_keys(SCRIPT_INVALIDATE, 256), 4 + 512);
    assert_int_equal(script_keys(SCRIPT_SAME, 3), 7);
}

static void no_text_has_an_unfilled_place_or_a_line_that_is_only_comment(void **state)
{
    for (enum script_id id = 0; id < SCRIPTS; id++) {
        const char *text = script_text(id).data;
        assert_null(strstr(text, "$L2_"));
        assert_null(strstr(text, "$SHM_"));
        assert_null(strstr(text, "\n--"));
        assert_non_null(strstr(text, "return"));
        assert_true(script_text(id).size < 9216); /* it travels with each call where SCRIPT is forbidden */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_carries_the_text_until_the_digest_is_known),
        cmocka_unit_test(a_call_that_redis_did_not_know_goes_again_with_its_text),
        cmocka_unit_test(what_is_no_digest_is_not_taken_for_one),
        cmocka_unit_test(a_script_says_how_many_keys_it_takes),
        cmocka_unit_test(no_text_has_an_unfilled_place_or_a_line_that_is_only_comment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
