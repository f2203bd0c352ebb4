/* msgpack, both ways: borders of every width, every truncation, and that a failed read moves nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "proto/pack.h"
#include "proto/put.h"

static struct buffer out;

static int begin(void **state)
{
    buffer_init(&out, 1 << 24);
    return 0;
}

static int end(void **state)
{
    buffer_finish(&out);
    return 0;
}

static struct reader written(void)
{
    return reader_of(slice_of(out.data, out.size));
}

static struct reader literal(const char *bytes, size_t size)
{
    return reader_of(slice_of(bytes, size));
}
#define LITERAL(bytes) literal(bytes, sizeof(bytes) - 1)

/* ======= numbers ======= */

static void numbers_of_every_width_come_back(void **state)
{
    const uint64_t numbers[] = {0,      1,       0x7f,       0x80,           0xff,       0x100,
                                0xffff, 0x10000, 0xffffffff, 0x100000000ull, 1ull << 63, UINT64_MAX};
    const size_t widths[] = {1, 1, 1, 2, 2, 3, 3, 5, 5, 9, 9, 9};
    for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        uint64_t n;
        out.size = 0;
        assert_int_equal(pack_uint(&out, numbers[i]), 0);
        assert_int_equal(out.size, widths[i]);
        struct reader r = written();
        assert_int_equal(read_uint(&r, UINT64_MAX, &n), 0);
        assert_int_equal(n, numbers[i]);
        assert_int_equal(reader_left(&r), 0);
    }
}

static void a_number_in_a_wider_form_than_needed_is_read(void **state)
{
    struct reader r = LITERAL("\xcf\0\0\0\0\0\0\0\5");
    uint64_t n;
    assert_int_equal(read_uint(&r, 5, &n), 0);
    assert_int_equal(n, 5);
}

static void a_number_over_the_limit_is_refused(void **state)
{
    struct reader r = LITERAL("\xcd\1\0");
    uint64_t n = 42;
    assert_int_equal(read_uint(&r, 255, &n), PACK_E_RANGE);
    assert_int_equal(n, 42);
    assert_int_equal(reader_left(&r), 3);
}

static void a_negative_number_is_of_another_type(void **state)
{
    struct reader small = LITERAL("\xff"), wide = LITERAL("\xd0\x80");
    uint64_t n;
    assert_int_equal(read_uint(&small, UINT64_MAX, &n), PACK_E_TYPE);
    assert_int_equal(read_uint(&wide, UINT64_MAX, &n), PACK_E_TYPE);
}

static void truth_comes_back(void **state)
{
    bool a = false, b = true;
    pack_bool(&out, true);
    pack_bool(&out, false);
    struct reader r = written();
    assert_int_equal(read_bool(&r, &a), 0);
    assert_int_equal(read_bool(&r, &b), 0);
    assert_true(a && !b);
}

/* ======= strings ======= */

static void strings_of_every_width_come_back(void **state)
{
    const size_t sizes[] = {0, 1, 31, 32, 255, 256, 65535, 65536, 100000};
    char *data = calloc(1, 100000);
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (unsigned text = 0; text < 2; text++) {
            struct slice s;
            out.size = 0;
            assert_int_equal((text ? pack_text : pack_bytes)(&out, slice_of(data, sizes[i])), 0);
            struct reader r = written();
            assert_int_equal(read_bytes(&r, sizes[i], &s), 0);
            assert_int_equal(s.size, sizes[i]);
            assert_int_equal(reader_left(&r), 0);
        }
    }
    free(data);
}

static void a_string_longer_than_its_bytes_is_short(void **state)
{
    struct reader r = LITERAL("\xc6\xff\xff\xff\xff-");
    struct slice s;
    assert_int_equal(read_bytes(&r, UINT32_MAX, &s), PACK_E_SHORT);
    assert_int_equal(reader_left(&r), 6);
}

static void a_string_over_the_limit_is_refused_before_its_bytes_are_counted(void **state)
{
    struct reader r = LITERAL("\xda\1\0");
    struct slice s;
    assert_int_equal(read_text(&r, 255, &s), PACK_E_RANGE);
}

static void every_truncation_is_short_and_moves_nothing(void **state)
{
    pack_uint(&out, 1ull << 40);
    pack_bytes(&out, slice_text("twelve bytes"));
    pack_array(&out, 70000);
    size_t ends[] = {9, 9 + 14};
    for (size_t cut = 0; cut < out.size; cut++) {
        struct reader r = reader_of(slice_of(out.data, cut));
        uint64_t n;
        struct slice s;
        uint32_t count;
        int e = read_uint(&r, UINT64_MAX, &n);
        if (e == 0)
            e = read_bytes(&r, 100, &s);
        if (e == 0)
            e = read_array(&r, UINT32_MAX, &count);
        assert_int_equal(e, PACK_E_SHORT);
        size_t at = cut - reader_left(&r);
        assert_true(at == 0 || at == ends[0] || at == ends[1]);
    }
}

/* ======= arrays ======= */

static void an_array_is_believed_only_as_far_as_there_are_bytes(void **state)
{
    struct reader few = LITERAL("\x93\1\2"), giant = LITERAL("\xdd\x10\0\0\0"), fits = LITERAL("\x92\1\2");
    uint32_t count = 7;
    assert_int_equal(read_array(&few, 10, &count), PACK_E_SHORT);
    assert_int_equal(read_array(&giant, UINT32_MAX, &count), PACK_E_SHORT);
    assert_int_equal(read_array(&giant, 65536, &count), PACK_E_RANGE);
    assert_int_equal(count, 7);
    assert_int_equal(read_array(&fits, 2, &count), 0);
    assert_int_equal(count, 2);
}

static void nothing_at_all_is_short(void **state)
{
    struct reader r = reader_of(slice_of(NULL, 0));
    uint64_t n;
    assert_int_equal(read_uint(&r, 1, &n), PACK_E_SHORT);
    assert_int_equal(read_skip(&r), PACK_E_SHORT);
}

/* ======= skipping ======= */

static void values_of_every_type_are_stepped_over(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
    } values[] = {
#define VALUE(bytes) {bytes, sizeof(bytes) - 1}
        VALUE("\x05"),
        VALUE("\xff"),
        VALUE("\xc0"),
        VALUE("\xc2"),
        VALUE("\xc3"),
        VALUE("\xca\0\0\0\0"),
        VALUE("\xcb\0\0\0\0\0\0\0\0"),
        VALUE("\xcc\0"),
        VALUE("\xcd\0\0"),
        VALUE("\xce\0\0\0\0"),
        VALUE("\xcf\0\0\0\0\0\0\0\0"),
        VALUE("\xd0\0"),
        VALUE("\xd1\0\0"),
        VALUE("\xd2\0\0\0\0"),
        VALUE("\xd3\0\0\0\0\0\0\0\0"),
        VALUE("\xa2hi"),
        VALUE("\xd9\2hi"),
        VALUE("\xda\0\2hi"),
        VALUE("\xdb\0\0\0\2hi"),
        VALUE("\xc4\2hi"),
        VALUE("\xc5\0\2hi"),
        VALUE("\xc6\0\0\0\2hi"),
        VALUE("\xd4\1x"),
        VALUE("\xd5\1xx"),
        VALUE("\xd6\1xxxx"),
        VALUE("\xd7\1xxxxxxxx"),
        VALUE("\xd8\1xxxxxxxxxxxxxxxx"),
        VALUE("\xc7\3\1xxx"),
        VALUE("\xc8\0\3\1xxx"),
        VALUE("\xc9\0\0\0\3\1xxx"),
        VALUE("\x90"),
        VALUE("\x92\1\x91\2"),
        VALUE("\xdc\0\1\1"),
        VALUE("\xdd\0\0\0\1\1"),
        VALUE("\x80"),
        VALUE("\x81\1\2"),
        VALUE("\xde\0\1\1\2"),
        VALUE("\xdf\0\0\0\1\1\2"),
    };
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct reader r = literal(values[i].bytes, values[i].size);
        assert_int_equal(read_skip(&r), 0);
        assert_int_equal(reader_left(&r), 0);
        for (size_t cut = 0; cut < values[i].size; cut++) {
            struct reader t = literal(values[i].bytes, cut);
            assert_int_equal(read_skip(&t), PACK_E_SHORT);
            assert_int_equal(reader_left(&t), cut);
        }
    }
}

static void the_one_byte_msgpack_never_uses_is_refused(void **state)
{
    struct reader r = LITERAL("\xc1");
    assert_int_equal(read_skip(&r), PACK_E_TYPE);
}

static void nesting_has_a_floor(void **state)
{
    char bytes[READ_DEPTH_MAX + 2];
    memset(bytes, 0x91, sizeof(bytes));
    bytes[READ_DEPTH_MAX] = 5;
    struct reader r = literal(bytes, READ_DEPTH_MAX + 1);
    assert_int_equal(read_skip(&r), 0);
    bytes[READ_DEPTH_MAX] = (char)0x91;
    bytes[READ_DEPTH_MAX + 1] = 5;
    r = literal(bytes, READ_DEPTH_MAX + 2);
    assert_int_equal(read_skip(&r), PACK_E_DEPTH);
}

static void a_giant_map_costs_nothing(void **state)
{
    struct reader r = LITERAL("\xdf\xff\xff\xff\xff\1\2");
    assert_int_equal(read_skip(&r), PACK_E_SHORT);
}

/* ======= buffers ======= */

static void a_buffer_grows_to_its_limit_and_not_beyond(void **state)
{
    struct buffer b;
    char bytes[600] = {0};
    buffer_init(&b, 1000);
    assert_int_equal(buffer_append(&b, bytes, 600), 0);
    assert_int_equal(buffer_append(&b, bytes, 401), PACK_E_FULL);
    assert_int_equal(b.size, 600);
    assert_int_equal(buffer_append(&b, bytes, 400), 0);
    assert_true(b.capacity <= 1000);
    assert_int_equal(buffer_reserve(&b, SIZE_MAX), PACK_E_FULL);
    buffer_finish(&b);
    assert_int_equal(b.size, 0);
    assert_int_equal(buffer_append(&b, bytes, 10), 0); /* usable again */
    buffer_finish(&b);
}

/* ======= put.h beside msgpack-c's packer ======= */

static void assert_put(const uint8_t *put, const uint8_t *end)
{
    assert_int_equal(end - put, out.size);
    assert_memory_equal(put, out.data, out.size);
    out.size = 0;
}

static void assert_put_like_packed(uint64_t number)
{
    uint8_t put[PUT_ROOM];
    pack_uint(&out, number);
    assert_put(put, put_uint(put, number));
    pack_array(&out, (uint32_t)number);
    assert_put(put, put_array(put, (uint32_t)number));
}

static void numbers_and_arrays_are_put_as_msgpack_c_packs_them(void **state)
{
    for (unsigned bit = 0; bit < 64; bit++)
        for (int off = -2; off <= 2; off++)
            assert_put_like_packed((1ull << bit) + (uint64_t)off);
    for (uint64_t number = 0; number < 70000; number++)
        assert_put_like_packed(number);
}

static void truth_is_put_as_msgpack_c_packs_it(void **state)
{
    uint8_t put[PUT_ROOM];
    for (unsigned truth = 0; truth < 2; truth++) {
        pack_bool(&out, truth);
        assert_put(put, put_bool(put, truth));
    }
}

static void strings_are_put_as_msgpack_c_packs_them(void **state)
{
    const size_t sizes[] = {0, 1, 31, 32, 33, 254, 255, 256, 257, 65534, 65535, 65536, 65537, 100000};
    char *data = malloc(100000);
    uint8_t *put = malloc(PUT_ROOM + 100000);
    memset(data, 'x', 100000);
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct slice s = slice_of(data, sizes[i]);
        pack_bytes(&out, s);
        assert_put(put, put_bytes(put, s));
        pack_text(&out, s);
        assert_put(put, put_text(put, s));
    }
    free(put);
    free(data);
}

static void consuming_moves_the_rest_to_the_front(void **state)
{
    buffer_append(&out, "abcdef", 6);
    buffer_consume(&out, 2);
    assert_int_equal(out.size, 4);
    assert_memory_equal(out.data, "cdef", 4);
    buffer_consume(&out, 100);
    assert_int_equal(out.size, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(numbers_of_every_width_come_back),
        TEST(a_number_in_a_wider_form_than_needed_is_read),
        TEST(a_number_over_the_limit_is_refused),
        TEST(a_negative_number_is_of_another_type),
        TEST(truth_comes_back),
        TEST(strings_of_every_width_come_back),
        TEST(a_string_longer_than_its_bytes_is_short),
        TEST(a_string_over_the_limit_is_refused_before_its_bytes_are_counted),
        TEST(every_truncation_is_short_and_moves_nothing),
        TEST(an_array_is_believed_only_as_far_as_there_are_bytes),
        TEST(nothing_at_all_is_short),
        TEST(values_of_every_type_are_stepped_over),
        TEST(the_one_byte_msgpack_never_uses_is_refused),
        TEST(nesting_has_a_floor),
        TEST(a_giant_map_costs_nothing),
        TEST(a_buffer_grows_to_its_limit_and_not_beyond),
        TEST(numbers_and_arrays_are_put_as_msgpack_c_packs_them),
        TEST(truth_is_put_as_msgpack_c_packs_it),
        TEST(strings_are_put_as_msgpack_c_packs_them),
        TEST(consuming_moves_the_rest_to_the_front),
    };
    return cmocka_run_group_tests_name("pack", tests, NULL, NULL);
}
