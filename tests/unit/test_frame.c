/* Framing: a length is judged before a byte of its payload is waited for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "proto/frame.h"

static int split(const char *bytes, size_t size, size_t max, struct slice *ret_payload, size_t *ret_used)
{
    return frame_split(slice_of(bytes, size), max, ret_payload, ret_used);
}

static void a_whole_frame_is_found_in_place(void **state)
{
    const char bytes[] = "\0\0\0\5helloand more";
    struct slice payload;
    size_t used;
    assert_int_equal(split(bytes, sizeof(bytes), 100, &payload, &used), FRAME_WHOLE);
    assert_int_equal(used, 9);
    assert_int_equal(payload.size, 5);
    assert_ptr_equal(payload.data, bytes + 4);
}

static void every_truncation_is_partial(void **state)
{
    const char bytes[] = "\0\0\0\5hello";
    struct slice payload;
    size_t used;
    for (size_t cut = 0; cut < 9; cut++) {
        assert_int_equal(split(bytes, cut, 100, &payload, &used), FRAME_PARTIAL);
        assert_int_equal(used, cut < FRAME_HEADER_BYTES ? 0 : 9);
    }
}

static void a_length_over_the_limit_is_an_error_at_its_fourth_byte(void **state)
{
    struct slice payload;
    size_t used;
    assert_int_equal(split("\0\0\1\0", 4, 255, &payload, &used), FRAME_E_TOO_LONG);
    assert_int_equal(split("\xff\xff\xff\xff", 4, 1 << 20, &payload, &used), FRAME_E_TOO_LONG);
    assert_int_equal(split("\0\0\1\0", 4, 256, &payload, &used), FRAME_PARTIAL);
}

static void a_length_that_can_mean_nothing_is_an_error(void **state)
{
    struct slice payload;
    size_t used;
    assert_int_equal(split("\0\0\0\0", 4, 255, &payload, &used), FRAME_E_TOO_SHORT);
    assert_int_equal(split("\0\0\0\2", 4, 255, &payload, &used), FRAME_E_TOO_SHORT);
}

static void what_was_written_is_split_again(void **state)
{
    struct buffer b = {.limit = 1000};
    struct slice payload;
    size_t mark, used;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(frame_begin(&b, &mark), 0);
        buffer_append(&b, "payload", 7);
        assert_int_equal(frame_end(&b, mark, 7), 0);
    }
    assert_int_equal(frame_split(slice_of(b.data, b.size), 7, &payload, &used), FRAME_WHOLE);
    assert_int_equal(used, 11);
    assert_memory_equal(payload.data, "payload", 7);
    assert_int_equal(b.size, 22);
    buffer_finish(&b);
}

static void a_frame_written_too_long_is_taken_away_again(void **state)
{
    struct buffer b = {.limit = 1000};
    size_t mark;
    buffer_append(&b, "before", 6);
    frame_begin(&b, &mark);
    buffer_append(&b, "payload", 7);
    assert_int_equal(frame_end(&b, mark, 6), PACK_E_FULL);
    assert_int_equal(b.size, 6);
    buffer_finish(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_frame_is_found_in_place),
        cmocka_unit_test(every_truncation_is_partial),
        cmocka_unit_test(a_length_over_the_limit_is_an_error_at_its_fourth_byte),
        cmocka_unit_test(a_length_that_can_mean_nothing_is_an_error),
        cmocka_unit_test(what_was_written_is_split_again),
        cmocka_unit_test(a_frame_written_too_long_is_taken_away_again),
    };
    return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
