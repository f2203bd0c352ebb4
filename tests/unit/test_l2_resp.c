/* Replies, whole and in every kind of pieces; limits; what hiredis must never see; commands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/check.h"
#include "l2/resp.h"

/* ======= a view as text ======= */

enum { SHOWN_BYTES = 4096 };

static void show(const struct l2_reply *r, char *room)
{
    char *to = room + strlen(room);
    size_t left = SHOWN_BYTES - strlen(room);
    switch (r->kind) {
    case L2_NIL: snprintf(to, left, "nil"); break;
    case L2_STATUS: snprintf(to, left, "+%.*s", (int)r->text.size, (const char *)r->text.data); break;
    case L2_ERROR: snprintf(to, left, "-%.*s", (int)r->text.size, (const char *)r->text.data); break;
    case L2_BULK: snprintf(to, left, "'%.*s'", (int)r->text.size, (const char *)r->text.data); break;
    case L2_INTEGER: snprintf(to, left, "%lld", (long long)r->integer); break;
    case L2_ARRAY:
        strcat(room, "[");
        for (const struct l2_reply *e = l2_reply_first(r); e; e = l2_reply_next(r, e)) {
            strcat(room, e == l2_reply_first(r) ? "" : " ");
            show(e, room);
        }
        strcat(room, "]");
    }
}

/* Everything that comes out of these bytes, given in pieces of `step`; or the error. */
static int replies_of(const struct resp_limits *limits, struct slice bytes, size_t step, char *room)
{
    struct resp *r = resp_create(limits);
    const struct l2_reply *reply;
    int e = 0;
    room[0] = 0;
    for (size_t at = 0; at < bytes.size && e >= 0; at += step) {
        size_t size = bytes.size - at < step ? bytes.size - at : step;
        char *piece = malloc(size); /* a sanitizer sees one byte too far */
        memcpy(piece, (const char *)bytes.data + at, size);
        struct slice rest = slice_of(piece, size);
        while ((e = resp_take(r, &rest, &reply)) > 0) {
            show(reply, room);
            strcat(room, ";");
        }
        assert_true(e < 0 || rest.size == 0);
        free(piece);
    }
    resp_destroy(r);
    return e;
}

static const struct {
    const char *bytes, *shown;
} understood[] = {
    {"+OK\r\n", "+OK;"},
    {"+\r\n", "+;"},
    {"-ERR no such thing\r\n", "-ERR no such thing;"},
    {":0\r\n:-1\r\n:9223372036854775807\r\n:-9223372036854775808\r\n",
     "0;-1;9223372036854775807;-9223372036854775808;"},
    {"$5\r\nhello\r\n", "'hello';"},
    {"$0\r\n\r\n", "'';"},
    {"$4\r\n\r\n\r\n\r\n", "'\r\n\r\n';"},
    {"$-1\r\n", "nil;"},
    {"*-1\r\n", "nil;"},
    {"*0\r\n", "[];"},
    {"*3\r\n:1\r\n$1\r\na\r\n$-1\r\n+OK\r\n", "[1 'a' nil];+OK;"},
    {"*2\r\n*2\r\n:1\r\n*0\r\n*1\r\n+x\r\n", "[[1 []] [+x]];"},
    {"*1\r\n*2\r\n$1\r\nj\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nk\r\n$1\r\nv\r\n",
     "[['j' [['1-0' ['k' 'v']]]]];"},
    {"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:7\r\n", "[[[[[[7]]]]]];"},
};

static void replies_of_every_kind_are_understood_in_pieces_of_every_size(void **state)
{
    char shown[SHOWN_BYTES];
    for (size_t i = 0; i < COUNT_OF(understood); i++)
        for (size_t step = 1; step <= strlen(understood[i].bytes); step++) {
            int e = replies_of(&RESP_LIMITS_DEFAULT, slice_text(understood[i].bytes), step, shown);
            assert_int_equal(e, 0);
            assert_string_equal(shown, understood[i].shown);
        }
}

static const struct {
    const char *bytes;
    int error;
} broken[] = {
    {"%1\r\n+a\r\n+b\r\n", RESP_E_KIND},
    {"_\r\n", RESP_E_KIND},
    {">2\r\n", RESP_E_KIND},
    {"HTTP/1.1 400 Bad Request\r\n", RESP_E_KIND},
    {"\r\n", RESP_E_KIND},
    {"+OK\n", RESP_E_LINE},
    {"+OK\rx", RESP_E_LINE},
    {":1\rx", RESP_E_LINE},
    {":\r\n", RESP_E_NUMBER},
    {":-\r\n", RESP_E_NUMBER},
    {":-0\r\n", RESP_E_NUMBER},
    {":+1\r\n", RESP_E_NUMBER},
    {":01\r\n", RESP_E_NUMBER},
    {":1 \r\n", RESP_E_NUMBER},
    {":1-1\r\n", RESP_E_NUMBER},
    {":--1\r\n", RESP_E_NUMBER},
    {":9223372036854775808\r\n", RESP_E_NUMBER},
    {":-9223372036854775809\r\n", RESP_E_NUMBER},
    {":99999999999999999999\r\n", RESP_E_NUMBER},
    {"$-2\r\n", RESP_E_NUMBER},
    {"*-2\r\n", RESP_E_NUMBER},
    {"$\r\n", RESP_E_NUMBER},
    {"$2\r\nabc\r\n", RESP_E_BODY},
    {"$2\r\nab\rx", RESP_E_BODY},
    {"*1\r\n$1\r\nab\r\n", RESP_E_BODY},
    {"$999999999\r\n", RESP_E_BULK_BYTES},
    {"$9223372036854775807\r\n", RESP_E_BULK_BYTES},
    {"*1073741824\r\n", RESP_E_ARRAY_ELEMENTS},
    {"*4611686018427387905\r\n", RESP_E_ARRAY_ELEMENTS},
    {"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:7\r\n", RESP_E_DEPTH},
};

static void what_is_no_reply_is_refused_by_its_own_sentence(void **state)
{
    char shown[SHOWN_BYTES];
    for (size_t i = 0; i < COUNT_OF(broken); i++)
        for (size_t step = 1; step <= strlen(broken[i].bytes); step++) {
            int e = replies_of(&RESP_LIMITS_DEFAULT, slice_text(broken[i].bytes), step, shown);
            if (e != broken[i].error || *shown)
                fail_msg("%s: %s, after %s", broken[i].bytes, resp_error_text(e), shown);
        }
}

static void a_nul_in_a_line_is_refused_and_in_a_string_is_kept(void **state)
{
    char shown[SHOWN_BYTES];
    assert_int_equal(replies_of(&RESP_LIMITS_DEFAULT, slice_of("+a\0\r\n", 5), 5, shown), RESP_E_LINE);
    struct resp *r = resp_create(&RESP_LIMITS_DEFAULT);
    struct slice bytes = slice_of("$3\r\na\0b\r\n", 9);
    const struct l2_reply *reply;
    assert_int_equal(resp_take(r, &bytes, &reply), 1);
    assert_true(slice_equal(reply->text, slice_of("a\0b", 3)));
    resp_destroy(r);
}

static const struct resp_limits tight = {
    .reply_bytes = 64, .bulk_bytes = 16, .line_bytes = 8, .array_elements = 4, .elements = 7, .depth = 2};

static const struct {
    const char *bytes;
    int error;
} at_the_limits[] = {
    {"+12345678\r\n", 0},
    {"+123456789\r\n", RESP_E_LINE_BYTES},
    {"-123456789\r\n", RESP_E_LINE_BYTES},
    {"$16\r\n0123456789abcdef\r\n", 0},
    {"$17\r\n", RESP_E_BULK_BYTES},
    {"*4\r\n:1\r\n:2\r\n:3\r\n:4\r\n", 0},
    {"*5\r\n", RESP_E_ARRAY_ELEMENTS},
    {"*3\r\n*3\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n", 0},
    {"*3\r\n*4\r\n", RESP_E_ELEMENTS},
    {"*1\r\n*1\r\n:1\r\n", 0},
    {"*1\r\n*1\r\n*0\r\n", 0},
    {"*1\r\n*1\r\n*1\r\n", RESP_E_DEPTH},
    {"*4\r\n$16\r\n0123456789abcdef\r\n$16\r\n0123456789abcdef\r\n$14\r\n", RESP_E_REPLY_BYTES},
    {"*3\r\n$16\r\n0123456789abcdef\r\n$16\r\n0123456789abcdef\r\n+12345\r\n", 0},
    {"*4\r\n$16\r\n0123456789abcdef\r\n$16\r\n0123456789abcdef\r\n+1234567\r\n:12\r\n", RESP_E_REPLY_BYTES},
};

static void each_limit_holds_to_the_byte(void **state)
{
    char shown[SHOWN_BYTES];
    for (size_t i = 0; i < COUNT_OF(at_the_limits); i++) {
        int e = replies_of(&tight, slice_text(at_the_limits[i].bytes), 3, shown);
        if (e != at_the_limits[i].error)
            fail_msg("%s: %s", at_the_limits[i].bytes, resp_error_text(e));
        if (e < 0)
            assert_true(resp_error_is_limit(e));
    }
    assert_false(resp_error_is_limit(RESP_E_BODY));
    assert_false(resp_error_is_limit(RESP_E_CODEC));
}

static void limits_are_those_of_one_reply_not_of_all(void **state)
{
    char bytes[2048] = "", shown[SHOWN_BYTES];
    for (unsigned i = 0; i < 50; i++)
        strcat(bytes, "*3\r\n:1\r\n:2\r\n+123\r\n");
    assert_int_equal(replies_of(&tight, slice_text(bytes), 7, shown), 0);
}

static void after_an_error_nothing_more_is_taken(void **state)
{
    struct resp *r = resp_create(&RESP_LIMITS_DEFAULT);
    struct slice bad = slice_text("!\r\n"), good = slice_text("+OK\r\n");
    const struct l2_reply *reply;
    assert_int_equal(resp_take(r, &bad, &reply), RESP_E_KIND);
    assert_int_equal(resp_take(r, &good, &reply), RESP_E_KIND);
    resp_destroy(r);
}

static void announced_bytes_are_not_reserved(void **state)
{
    struct resp *r = resp_create(&RESP_LIMITS_DEFAULT);
    struct slice head = slice_text("*60000\r\n$60000000\r\nabc");
    const struct l2_reply *reply;
    assert_int_equal(resp_take(r, &head, &reply), 0);
    assert_int_equal(resp_pending(r), strlen("*60000\r\n$60000000\r\nabc"));
    resp_destroy(r);
}

static void a_reply_that_came_whole_is_looked_at_where_it_stands(void **state)
{
    struct resp *r = resp_create(&RESP_LIMITS_DEFAULT);
    const char text[] = "$5\r\nhello\r\n+OK\r\n";
    struct slice bytes = slice_text(text);
    const struct l2_reply *reply;
    assert_int_equal(resp_take(r, &bytes, &reply), 1);
    assert_ptr_equal(reply->text.data, text + 4);
    assert_int_equal(resp_take(r, &bytes, &reply), 1);
    assert_ptr_equal(reply->text.data, text + 12);
    resp_destroy(r);
}

/* Long enough for the codec's own buffer to be moved, emptied and given back between replies. */
static void long_and_short_replies_in_turn_stay_whole(void **state)
{
    enum { LONG = 300000 };
    struct resp *r = resp_create(&RESP_LIMITS_DEFAULT);
    char *bytes = malloc(LONG + 64);
    int head = sprintf(bytes, "*2\r\n$%d\r\n", LONG);
    for (int i = 0; i < LONG; i++)
        bytes[head + i] = (char)('a' + i % 26);
    int size = head + LONG + sprintf(bytes + head + LONG, "\r\n:42\r\n+fine\r\n");
    for (unsigned round = 0; round < 5; round++) {
        const struct l2_reply *reply;
        struct slice first = slice_of(bytes, 1000 + 7 * round);
        struct slice rest = slice_of(bytes + first.size, (size_t)size - first.size);
        assert_int_equal(resp_take(r, &first, &reply), 0);
        assert_int_equal(resp_take(r, &rest, &reply), 1);
        assert_int_equal(l2_reply_at(reply, 1)->integer, 42);
        assert_true(slice_equal(l2_reply_at(reply, 0)->text, slice_of(bytes + head, LONG)));
        assert_int_equal(resp_take(r, &rest, &reply), 1);
        assert_true(l2_reply_is_status(reply, "fine"));
        assert_int_equal(resp_take(r, &rest, &reply), 0);
    }
    free(bytes);
    resp_destroy(r);
}

static void elements_are_found_by_number_and_only_those_there_are(void **state)
{
    struct resp *r = resp_create(&RESP_LIMITS_DEFAULT);
    struct slice bytes = slice_text("*3\r\n*2\r\n:1\r\n:2\r\n*0\r\n:3\r\n");
    const struct l2_reply *reply;
    assert_int_equal(resp_take(r, &bytes, &reply), 1);
    assert_int_equal(l2_reply_at(reply, 0)->kind, L2_ARRAY);
    assert_int_equal(l2_reply_at(l2_reply_at(reply, 0), 1)->integer, 2);
    assert_null(l2_reply_at(l2_reply_at(reply, 1), 0));
    assert_int_equal(l2_reply_at(reply, 2)->integer, 3);
    assert_null(l2_reply_at(reply, 3));
    assert_null(l2_reply_at(l2_reply_at(reply, 2), 0));
    assert_null(l2_reply_first(l2_reply_at(reply, 2)));
    resp_destroy(r);
}

static void errors_are_told_by_their_first_word(void **state)
{
    struct l2_reply r = {.kind = L2_ERROR, .span = 1, .text = slice_text("NOSCRIPT No matching script")};
    assert_true(l2_reply_is_error(&r, "NOSCRIPT"));
    assert_false(l2_reply_is_error(&r, "NO"));
    r.text = slice_text("LOADING");
    assert_true(l2_reply_is_error(&r, "LOADING"));
    r.kind = L2_STATUS;
    assert_false(l2_reply_is_error(&r, "LOADING"));
}

/* ======= commands ======= */

static void a_command_is_written_as_counted_strings_whatever_is_in_them(void **state)
{
    struct buffer out = {.limit = 1024};
    struct slice argv[] = {slice_text("SET"), slice_of("a\0\r\n%s", 6), slice_of(NULL, 0)};
    assert_int_equal(resp_write(&out, argv, COUNT_OF(argv)), 0);
    const char wanted[] = "*3\r\n$3\r\nSET\r\n$6\r\na\0\r\n%s\r\n$0\r\n\r\n";
    assert_true(slice_equal(slice_of(out.data, out.size), slice_of(wanted, sizeof(wanted) - 1)));
    buffer_finish(&out);
}

static void a_command_of_many_arguments_is_written(void **state)
{
    enum { MANY = 5000 };
    static struct slice argv[MANY];
    struct buffer out = {.limit = 1 << 20};
    for (unsigned i = 0; i < MANY; i++)
        argv[i] = slice_text("x");
    assert_int_equal(resp_write(&out, argv, MANY), 0);
    assert_int_equal(out.size, strlen("*5000\r\n") + MANY * strlen("$1\r\nx\r\n"));
    buffer_finish(&out);
}

static void a_command_that_does_not_fit_leaves_nothing_behind(void **state)
{
    static struct slice many[RESP_ARGUMENTS_MAX + 1];
    struct buffer out = {.limit = 40};
    struct slice argv[] = {slice_text("GET"), slice_text("a key of some length")};
    assert_int_equal(resp_write(&out, argv, 1), 0);
    size_t before = out.size;
    assert_int_equal(resp_write(&out, argv, 2), RESP_E_FULL);
    assert_int_equal(resp_write(&out, argv, 0), RESP_E_FULL);
    assert_int_equal(resp_write(&out, many, COUNT_OF(many)), RESP_E_FULL);
    argv[1].size = SIZE_MAX;
    assert_int_equal(resp_write(&out, argv, 2), RESP_E_FULL);
    assert_int_equal(out.size, before);
    buffer_finish(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_of_every_kind_are_understood_in_pieces_of_every_size),
        cmocka_unit_test(what_is_no_reply_is_refused_by_its_own_sentence),
        cmocka_unit_test(a_nul_in_a_line_is_refused_and_in_a_string_is_kept),
        cmocka_unit_test(each_limit_holds_to_the_byte),
        cmocka_unit_test(limits_are_those_of_one_reply_not_of_all),
        cmocka_unit_test(after_an_error_nothing_more_is_taken),
        cmocka_unit_test(announced_bytes_are_not_reserved),
        cmocka_unit_test(a_reply_that_came_whole_is_looked_at_where_it_stands),
        cmocka_unit_test(long_and_short_replies_in_turn_stay_whole),
        cmocka_unit_test(elements_are_found_by_number_and_only_those_there_are),
        cmocka_unit_test(errors_are_told_by_their_first_word),
        cmocka_unit_test(a_command_is_written_as_counted_strings_whatever_is_in_them),
        cmocka_unit_test(a_command_of_many_arguments_is_written),
        cmocka_unit_test(a_command_that_does_not_fit_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
