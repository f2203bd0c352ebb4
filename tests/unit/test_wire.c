/* Every message of wire.def: its bytes are what they were, come back as they went, and no cut or growth confuses the
 * reader.  The golden bytes are the contract with clients we do not know: a change here is a change of the protocol. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "proto/wire.h"
#include "support/wire_samples.h"
#include "wire_golden.h"

enum { ID = 0x1234, ROOM = 1 << 16 };

/* For each message: write its sample, read the head and then the fields, write again what was read. */
struct kind {
    const char *name;
    unsigned code;
    int (*write_sample)(struct buffer *b);
    int (*read)(struct slice payload);
    int (*rewrite)(struct slice payload, struct buffer *b);
};

#define MESSAGE(code, NAME, name, who, since, sentence)                     \
    static int write_sample_##name(struct buffer *b)                        \
    {                                                                       \
        struct wire_##name m;                                               \
        sample_##name(&m);                                                  \
        return wire_write_##name(b, ID, &m, ROOM);                          \
    }                                                                       \
    static int decode_##name(struct slice payload, struct wire_##name *ret) \
    {                                                                       \
        struct reader r = reader_of(payload);                               \
        struct wire_head head;                                              \
        int e = wire_read_head(&r, &head);                                  \
        return e < 0 ? e : wire_read_##name(&r, &head, ret);                \
    }                                                                       \
    static int only_read_##name(struct slice payload)                       \
    {                                                                       \
        struct wire_##name m;                                               \
        return decode_##name(payload, &m);                                  \
    }                                                                       \
    static int rewrite_##name(struct slice payload, struct buffer *b)       \
    {                                                                       \
        struct wire_##name m;                                               \
        int e = decode_##name(payload, &m);                                 \
        return e < 0 ? e : wire_write_##name(b, ID, &m, ROOM);              \
    }
#include "proto/wire.def"

static const struct kind kinds[] = {
#define MESSAGE(code, NAME, name, who, since, sentence) \
    {#name, code, write_sample_##name, only_read_##name, rewrite_##name},
#include "proto/wire.def"
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static struct slice sample_frame(const struct kind *k, struct buffer *b)
{
    b->size = 0;
    assert_int_equal(k->write_sample(b), 0);
    return slice_of(b->data, b->size);
}

static struct slice payload_of(struct slice frame)
{
    return slice_of((const char *)frame.data + FRAME_HEADER_BYTES, frame.size - FRAME_HEADER_BYTES);
}

/* ======= for every message ======= */

static void print_golden(const char *name, struct slice frame)
{
    print_message("    {\"%s\", \"", name);
    for (size_t i = 0; i < frame.size; i++)
        print_message("%02x", ((const uint8_t *)frame.data)[i]);
    print_message("\"},\n");
}

static void the_bytes_of_every_message_are_what_they_were(void **state)
{
    struct buffer b = {.limit = ROOM};
    bool all_known = sizeof(wire_golden) / sizeof(wire_golden[0]) == KINDS;
    for (unsigned i = 0; i < KINDS; i++) {
        struct slice frame = sample_frame(&kinds[i], &b);
        char hex[4096] = "";
        for (size_t at = 0; at < frame.size; at++)
            snprintf(hex + 2 * at, 3, "%02x", ((const uint8_t *)frame.data)[at]);
        if (!all_known)
            print_golden(kinds[i].name, frame);
        else
            assert_string_equal(hex, wire_golden[i].hex);
    }
    assert_true(all_known);
    buffer_finish(&b);
}

static void every_message_comes_back_as_it_went(void **state)
{
    struct buffer b = {.limit = ROOM}, again = {.limit = ROOM};
    for (unsigned i = 0; i < KINDS; i++) {
        struct slice frame = sample_frame(&kinds[i], &b);
        again.size = 0;
        assert_int_equal(kinds[i].rewrite(payload_of(frame), &again), 0);
        assert_int_equal(again.size, frame.size);
        assert_memory_equal(again.data, frame.data, frame.size);
    }
    buffer_finish(&b);
    buffer_finish(&again);
}

static void every_truncation_of_every_message_fails_cleanly(void **state)
{
    struct buffer b = {.limit = ROOM};
    for (unsigned i = 0; i < KINDS; i++) {
        struct slice payload = payload_of(sample_frame(&kinds[i], &b));
        for (size_t cut = 0; cut < payload.size; cut++) {
            uint8_t *exact = malloc(cut ? cut : 1); /* so that a sanitizer sees one byte too far */
            memcpy(exact, payload.data, cut);
            assert_int_equal(kinds[i].read(slice_of(exact, cut)), PACK_E_SHORT);
            free(exact);
        }
    }
    buffer_finish(&b);
}

static void every_single_wrong_byte_is_survived(void **state)
{
    struct buffer b = {.limit = ROOM}, again = {.limit = ROOM};
    for (unsigned i = 0; i < KINDS; i++) {
        struct slice payload = payload_of(sample_frame(&kinds[i], &b));
        uint8_t *bytes = (uint8_t *)b.data + FRAME_HEADER_BYTES;
        for (size_t at = 0; at < payload.size; at++) {
            uint8_t right = bytes[at];
            for (unsigned wrong = 0; wrong < 256; wrong++) {
                bytes[at] = (uint8_t)wrong;
                again.size = 0;
                kinds[i].rewrite(payload, &again); /* whatever it says: it says it */
            }
            bytes[at] = right;
        }
    }
    buffer_finish(&b);
    buffer_finish(&again);
}

/* [code, id, field, …] with `extra` more fields, whose bytes follow. */
static void grow(struct slice payload, const char *fields, size_t bytes, uint32_t extra, struct buffer *ret)
{
    struct reader r = reader_of(payload);
    uint32_t count;
    assert_int_equal(read_array(&r, UINT32_MAX, &count), 0);
    ret->size = 0;
    pack_array(ret, count + extra);
    buffer_append(ret, r.at, reader_left(&r));
    buffer_append(ret, fields, bytes);
}

static void fields_of_later_versions_are_stepped_over(void **state)
{
    struct buffer b = {.limit = ROOM}, grown = {.limit = ROOM}, again = {.limit = ROOM};
    for (unsigned i = 0; i < KINDS; i++) {
        struct slice frame = sample_frame(&kinds[i], &b);
        grow(payload_of(frame), "\xc0\x81\1\x92\2\3\xa1x", 8, 3, &grown);
        again.size = 0;
        assert_int_equal(kinds[i].rewrite(slice_of(grown.data, grown.size), &again), 0);
        assert_int_equal(again.size, frame.size);
        assert_memory_equal(again.data, frame.data, frame.size);
    }
    buffer_finish(&b);
    buffer_finish(&grown);
    buffer_finish(&again);
}

/* [GET, 7, flags, tiers, timeout, version, keys]: all that version 1 had. */
static void a_get_of_version_1_names_no_position(void **state)
{
    static const char get[] = "\x99\x06\x07\0\0\x32\0\0\0\x91\xc4\1k";
    struct wire_get m = {.after_v = 9};
    assert_int_equal(decode_get(slice_of(get, sizeof(get) - 1), &m), 0);
    assert_int_equal(m.keys.count, 1);
    assert_int_equal(m.timeout_ms, 50);
    assert_int_equal(m.after_v, 0);
}

static void bytes_behind_the_last_field_are_an_error(void **state)
{
    struct buffer b = {.limit = ROOM}, grown = {.limit = ROOM};
    for (unsigned i = 0; i < KINDS; i++) {
        grow(payload_of(sample_frame(&kinds[i], &b)), "\xc0", 1, 0, &grown);
        assert_int_equal(kinds[i].read(slice_of(grown.data, grown.size)), PACK_E_TRAILING);
    }
    buffer_finish(&b);
    buffer_finish(&grown);
}

static void a_message_over_the_frame_limit_is_not_written_at_all(void **state)
{
    struct buffer b = {.limit = ROOM};
    struct wire_ping m = {.payload = slice_text("a payload")};
    assert_int_equal(wire_write_ping(&b, ID, &m, 5), PACK_E_FULL);
    assert_int_equal(b.size, 0);
    buffer_finish(&b);
}

static void a_message_over_the_buffers_limit_leaves_it_as_it_was(void **state)
{
    for (size_t limit = 0; limit < 40; limit++) {
        struct buffer b = {.limit = limit};
        struct wire_ping m = {.payload =
                                  slice_text("a payload of more than forty bytes, and that is enough")};
        assert_int_equal(wire_write_ping(&b, ID, &m, ROOM), PACK_E_FULL);
        assert_int_equal(b.size, 0);
        buffer_finish(&b);
    }
}

/* ======= lists ======= */

static void a_giant_list_is_refused_by_its_head(void **state)
{
    static const char get[] = "\x99\6\1\0\0\0\0\0\0\xdd\x10\0\0\0"; /* keys: 2^28 of them */
    assert_int_equal(only_read_get(slice_of(get, sizeof(get) - 1)), PACK_E_RANGE);
    static const char within[] = "\x99\6\1\0\0\0\0\0\0\xdd\0\1\0\0"; /* 65,536, and no byte of them */
    assert_int_equal(only_read_get(slice_of(within, sizeof(within) - 1)), PACK_E_SHORT);
}

static void records_of_later_versions_are_stepped_over(void **state)
{
    /* OUTCOMES with one outcome of seven fields, the last one unknown */
    static const char bytes[] = "\x93\x09\1\x91\x97\0\1\2\3\4\5\x91\xc0";
    struct wire_outcomes m;
    struct wire_outcome o;
    assert_int_equal(decode_outcomes(slice_of(bytes, sizeof(bytes) - 1), &m), 0);
    struct reader r = reader_of(m.outcomes.raw);
    assert_true(wire_next_outcome(&r, &o));
    assert_int_equal(o.id, 5);
    assert_false(wire_next_outcome(&r, &o));
}

static void a_list_is_walked_to_its_end(void **state)
{
    struct buffer b = {.limit = ROOM};
    struct wire_get m;
    struct slice key;
    const struct kind *get = NULL;
    for (unsigned i = 0; i < KINDS; i++)
        if (kinds[i].code == WIRE_GET)
            get = &kinds[i];
    assert_int_equal(decode_get(payload_of(sample_frame(get, &b)), &m), 0);
    struct reader r = reader_of(m.keys.raw);
    assert_true(wire_next_string(&r, &key));
    assert_memory_equal(key.data, "keys", 4);
    assert_true(wire_next_string(&r, &key));
    assert_int_equal(key.size, 0);
    assert_false(wire_next_string(&r, &key));
    buffer_finish(&b);
}

static void a_list_put_together_piece_by_piece_is_the_same(void **state)
{
    struct buffer whole = {.limit = ROOM}, pieces = {.limit = ROOM}, raw = {.limit = ROOM};
    struct wire_values m;
    sample_values(&m);
    assert_int_equal(wire_write_values(&whole, ID, &m, ROOM), 0);
    for (uint32_t i = 0; i < m.entries.count; i++)
        assert_int_equal(wire_append_entry(&raw, &m.entries.items[i]), 0);
    m.entries.items = NULL;
    m.entries.raw = slice_of(raw.data, raw.size);
    assert_int_equal(wire_write_values(&pieces, ID, &m, ROOM), 0);
    assert_int_equal(pieces.size, whole.size);
    assert_memory_equal(pieces.data, whole.data, whole.size);
    buffer_finish(&whole);
    buffer_finish(&pieces);
    buffer_finish(&raw);
}

/* ======= heads ======= */

static void a_head_carries_code_and_id(void **state)
{
    static const char bytes[] = "\x93\6\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xc0";
    struct reader r = reader_of(slice_of(bytes, sizeof(bytes) - 1));
    struct wire_head head;
    assert_int_equal(wire_read_head(&r, &head), 0);
    assert_int_equal(head.code, WIRE_GET);
    assert_int_equal(head.id, UINT64_MAX);
    assert_int_equal(head.fields_count, 1);
}

static void a_payload_that_is_no_array_has_no_head(void **state)
{
    struct reader map = reader_of(slice_of("\x82\1\2\3\4", 5)), one = reader_of(slice_of("\x91\1", 2));
    struct wire_head head;
    assert_int_equal(wire_read_head(&map, &head), PACK_E_TYPE);
    assert_int_equal(wire_read_head(&one, &head), PACK_E_SHORT);
}

static void codes_have_names(void **state)
{
    assert_string_equal(wire_code_name(WIRE_GET), "GET");
    assert_string_equal(wire_code_name(WIRE_LEASE), "LEASE");
    assert_string_equal(wire_code_name(0), "UNKNOWN");
    assert_string_equal(wire_code_name(255), "UNKNOWN");
}

static void a_trace_id_is_the_recommendations_or_none(void **state)
{
    static const char good[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    static const char *const bad[] = {
        "",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-011",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    };
    assert_true(wire_trace_valid(slice_text(good)));
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(wire_trace_valid(slice_text(bad[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bytes_of_every_message_are_what_they_were),
        cmocka_unit_test(every_message_comes_back_as_it_went),
        cmocka_unit_test(every_truncation_of_every_message_fails_cleanly),
        cmocka_unit_test(every_single_wrong_byte_is_survived),
        cmocka_unit_test(fields_of_later_versions_are_stepped_over),
        cmocka_unit_test(a_get_of_version_1_names_no_position),
        cmocka_unit_test(bytes_behind_the_last_field_are_an_error),
        cmocka_unit_test(a_message_over_the_frame_limit_is_not_written_at_all),
        cmocka_unit_test(a_message_over_the_buffers_limit_leaves_it_as_it_was),
        cmocka_unit_test(a_giant_list_is_refused_by_its_head),
        cmocka_unit_test(records_of_later_versions_are_stepped_over),
        cmocka_unit_test(a_list_is_walked_to_its_end),
        cmocka_unit_test(a_list_put_together_piece_by_piece_is_the_same),
        cmocka_unit_test(a_head_carries_code_and_id),
        cmocka_unit_test(a_payload_that_is_no_array_has_no_head),
        cmocka_unit_test(codes_have_names),
        cmocka_unit_test(a_trace_id_is_the_recommendations_or_none),
    };
    return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
