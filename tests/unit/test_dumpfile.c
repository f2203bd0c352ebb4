/* The dump's format: what is written comes back, and nothing else ever does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>
#include "client/cli/dumpfile.h"
#include "client/cli/place.h"

struct file {
    char *bytes;
    size_t size;
};

static void numbered(int i, char key[32], struct dump_entry *ret)
{
    snprintf(key, 32, "key:%d", i);
    *ret = (struct dump_entry){
        .key = slice_text(key),
        .value = slice_of("a value of some length", (size_t)i % 20),
        .ttl_ms = 1000 + (uint64_t)i,
        .stale_ms = (uint64_t)i,
        .user_flags = (uint32_t)i * 3,
        .schema = (uint32_t)i % 4,
        .absent = i % 20 == 0,
        .tags_count = (uint32_t)i % 3,
        .tags = {slice_text("red"), slice_of("b\0lue", 5)},
    };
}

static struct file written(int count)
{
    struct file f;
    struct dump_writer w;
    FILE *out = open_memstream(&f.bytes, &f.size);
    assert_int_equal(dump_begin(&w, out, 123456789, "default"), 0);
    for (int i = 0; i < count; i++) {
        char key[32];
        struct dump_entry e;
        numbered(i, key, &e);
        assert_int_equal(dump_put(&w, &e), 0);
    }
    assert_int_equal(dump_end(&w), 0);
    dump_writer_finish(&w);
    fclose(out);
    return f;
}

static void expect_entry(const struct dump_entry *e, int i)
{
    char key[32];
    struct dump_entry wanted;
    numbered(i, key, &wanted);
    assert_true(slice_equal(e->key, wanted.key) && slice_equal(e->value, wanted.value));
    assert_int_equal(e->ttl_ms, wanted.ttl_ms);
    assert_int_equal(e->stale_ms, wanted.stale_ms);
    assert_int_equal(e->user_flags, wanted.user_flags);
    assert_int_equal(e->schema, wanted.schema);
    assert_int_equal(e->absent, wanted.absent);
    assert_int_equal(e->tags_count, wanted.tags_count);
    for (uint32_t t = 0; t < e->tags_count; t++)
        assert_true(slice_equal(e->tags[t], wanted.tags[t]));
}

/* 0: to the end; every entry handed out is what was written, whatever came after it. */
static int read_all(const char *bytes, size_t size, int *ret_count)
{
    struct dump_reader r;
    struct dump_entry e;
    FILE *in = size ? fmemopen((void *)(uintptr_t)bytes, size, "r") : fopen("/dev/null", "r");
    int n = dump_open(&r, in);
    *ret_count = 0;
    while (n >= 0 && (n = dump_next(&r, &e)) > 0)
        expect_entry(&e, (*ret_count)++);
    assert_true(n != DUMP_E_BAD || r.why != NULL);
    dump_reader_finish(&r);
    fclose(in);
    return n;
}

static void what_is_written_comes_back(void **state)
{
    enum { COUNT = 20000 }; /* more than a block */
    int count;
    struct file f = written(COUNT);
    assert_int_equal(read_all(f.bytes, f.size, &count), 0);
    assert_int_equal(count, COUNT);
    free(f.bytes);
}

static void an_empty_dump_is_a_whole_one(void **state)
{
    int count;
    struct file f = written(0);
    assert_int_equal(read_all(f.bytes, f.size, &count), 0);
    assert_int_equal(count, 0);
    free(f.bytes);
}

static void a_file_cut_anywhere_is_refused(void **state)
{
    int count;
    struct file f = written(50);
    for (size_t size = 0; size < f.size; size++)
        assert_int_equal(read_all(f.bytes, size, &count), DUMP_E_BAD);
    free(f.bytes);
}

/* Some bits of a zstd frame mean nothing; read_all has looked that every entry is what it was. */
static void a_changed_bit_is_noticed_or_means_nothing(void **state)
{
    int count;
    size_t passed = 0;
    struct file f = written(50);
    for (size_t bit = 0; bit < f.size * 8; bit++) {
        f.bytes[bit / 8] ^= (char)(1 << bit % 8);
        passed += read_all(f.bytes, f.size, &count) == 0;
        f.bytes[bit / 8] ^= (char)(1 << bit % 8);
    }
    assert_true(passed * 100 < f.size * 8);
    free(f.bytes);
}

static void a_file_with_something_behind_its_end_is_refused(void **state)
{
    int count;
    struct file f = written(5);
    f.bytes = realloc(f.bytes, f.size * 2);
    memcpy(f.bytes + f.size, f.bytes, f.size);
    assert_int_equal(read_all(f.bytes, f.size + 1, &count), DUMP_E_BAD);
    assert_int_equal(read_all(f.bytes, f.size * 2, &count), DUMP_E_BAD);
    free(f.bytes);
}

static void a_newer_format_is_named_so(void **state)
{
    struct file f = written(5);
    struct dump_reader r;
    f.bytes[8] = DUMP_FORMAT + 1;
    FILE *in = fmemopen(f.bytes, f.size, "r");
    assert_int_equal(dump_open(&r, in), DUMP_E_BAD);
    assert_non_null(strstr(r.why, "newer"));
    fclose(in);
    free(f.bytes);
}

/* ======= the first format ======= */

static void pack_old(struct buffer *b)
{
    assert_int_equal(pack_array(b, 4) | pack_uint(b, DUMP_HEAD) | pack_uint(b, 123) |
                         pack_text(b, slice_text("default")) | pack_text(b, slice_text("0.0.9")),
                     0);
    assert_int_equal(pack_array(b, 8) | pack_uint(b, DUMP_ENTRY) | pack_bytes(b, slice_text("key")) |
                         pack_bytes(b, slice_text("value")) | pack_uint(b, 1000) | pack_uint(b, 10) |
                         pack_uint(b, 7) | pack_uint(b, 8) | pack_bool(b, false),
                     0);
    assert_int_equal(pack_array(b, 2) | pack_uint(b, DUMP_END) | pack_uint(b, 1), 0);
}

static FILE *old_file(char *room, size_t room_bytes)
{
    struct buffer b;
    buffer_init(&b, 1000);
    pack_old(&b);
    memcpy(room, DUMP_MAGIC "\1\0\0\0", 12);
    size_t size = ZSTD_compress(room + 16, room_bytes - 16, b.data, b.size, 3);
    assert_false(ZSTD_isError(size));
    memcpy(room + 12, (unsigned char[]){(unsigned char)size, (unsigned char)(size >> 8), 0, 0}, 4);
    buffer_finish(&b);
    return fmemopen(room, 16 + size, "r");
}

static void a_dump_from_before_there_were_tags_is_read(void **state)
{
    char room[500];
    struct dump_reader r;
    struct dump_entry e = {.tags_count = 9};
    FILE *in = old_file(room, sizeof(room));
    assert_int_equal(dump_open(&r, in), 0);
    assert_int_equal(dump_next(&r, &e), 1);
    assert_true(slice_equal(e.key, slice_text("key")) && slice_equal(e.value, slice_text("value")));
    assert_true(e.ttl_ms == 1000 && e.user_flags == 7 && e.schema == 8 && e.tags_count == 0);
    assert_int_equal(dump_next(&r, &e), 0);
    dump_reader_finish(&r);
    fclose(in);
}

/* ======= places ======= */

static void begin_place(char *path, size_t size)
{
    snprintf(path, size, "/tmp/larder-test.dump.XXXXXX");
    close(mkstemp(path));
}

static void end_place(const char *path)
{
    char place[80];
    snprintf(place, sizeof(place), "%s.pos", path);
    unlink(place);
    unlink(path);
}

static void a_place_is_found_again_until_the_load_is_over(void **state)
{
    char path[64];
    struct place p;
    begin_place(path, sizeof(path));
    assert_int_equal(place_open(&p, path, 5, 1000), 0);
    assert_int_equal(p.done, 0);
    assert_int_equal(place_keep(&p, 999), 0);
    assert_int_equal(place_keep(&p, 12), 0); /* shorter than what was there */
    place_close(&p, false);
    assert_int_equal(place_open(&p, path, 5, 1000), 0);
    assert_int_equal(p.done, 12);
    place_close(&p, true);
    assert_int_equal(place_open(&p, path, 5, 1000), 0);
    assert_int_equal(p.done, 0);
    place_close(&p, true);
    end_place(path);
}

static void a_place_in_another_dump_is_none(void **state)
{
    char path[64];
    struct place p;
    begin_place(path, sizeof(path));
    place_open(&p, path, 5, 1000);
    place_keep(&p, 12);
    place_close(&p, false);
    assert_int_equal(place_open(&p, path, 6, 1000), 0);
    assert_int_equal(p.done, 0);
    place_close(&p, false);
    assert_int_equal(place_open(&p, path, 5, 11), 0);
    assert_int_equal(p.done, 0);
    place_close(&p, true);
    end_place(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_comes_back),
        cmocka_unit_test(an_empty_dump_is_a_whole_one),
        cmocka_unit_test(a_file_cut_anywhere_is_refused),
        cmocka_unit_test(a_changed_bit_is_noticed_or_means_nothing),
        cmocka_unit_test(a_file_with_something_behind_its_end_is_refused),
        cmocka_unit_test(a_newer_format_is_named_so),
        cmocka_unit_test(a_dump_from_before_there_were_tags_is_read),
        cmocka_unit_test(a_place_is_found_again_until_the_load_is_over),
        cmocka_unit_test(a_place_in_another_dump_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
