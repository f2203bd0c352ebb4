/* The clients of the comparison: answers are understood however the bytes arrive, errors are never taken for misses,
 * and a pipeline pairs each answer with its request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "bench/pipeline.h"
#include "proto/status.h"
#include "proto/wire.h"

/* Every beginning of a whole answer is partial, never broken, never something else. */
static void assert_whole_only_at_the_end(const struct codec *codec, struct slice answer,
                                         enum answer_kind kind)
{
    struct answer a;
    size_t used;
    for (size_t n = 1; n < answer.size; n++)
        assert_int_equal(codec->take(slice_of(answer.data, n), &a, &used), TAKE_PARTIAL);
    assert_int_equal(codec->take(answer, &a, &used), TAKE_WHOLE);
    assert_int_equal(used, answer.size);
    assert_int_equal(a.kind, kind);
}

static void redis_answers_are_whole_only_when_their_last_byte_is_there(void **state)
{
    assert_whole_only_at_the_end(&codec_redis, slice_text("$5\r\nva\r\ne\r\n"), ANSWER_HIT);
    assert_whole_only_at_the_end(&codec_redis, slice_text("$-1\r\n"), ANSWER_MISS);
    assert_whole_only_at_the_end(&codec_redis, slice_text("+OK\r\n"), ANSWER_STORED);
    assert_whole_only_at_the_end(&codec_redis, slice_text("-OOM command not allowed\r\n"), ANSWER_REFUSED);
}

static void memcached_answers_are_whole_only_when_their_last_byte_is_there(void **state)
{
    assert_whole_only_at_the_end(&codec_memcached, slice_text("VA 5\r\nva\r\ne\r\n"), ANSWER_HIT);
    assert_whole_only_at_the_end(&codec_memcached, slice_text("EN\r\n"), ANSWER_MISS);
    assert_whole_only_at_the_end(&codec_memcached, slice_text("HD\r\n"), ANSWER_STORED);
    assert_whole_only_at_the_end(&codec_memcached, slice_text("SERVER_ERROR out of memory\r\n"),
                                 ANSWER_REFUSED);
}

static struct slice larder_values(struct buffer *b, uint64_t id, unsigned status, const char *value)
{
    struct wire_entry entry = {.status = (uint8_t)status, .value = slice_text(value)};
    struct wire_values m = {.entries = {.count = 1, .items = &entry}};
    assert_int_equal(wire_write_values(b, id, &m, 4096), 0);
    return slice_of(b->data, b->size);
}

static void larder_answers_tell_hit_miss_and_error_apart(void **state)
{
    static const struct {
        unsigned status;
        enum answer_kind kind;
    } rows[] = {{STATUS_HIT, ANSWER_HIT}, {STATUS_MISS, ANSWER_MISS}, {STATUS_BUSY, ANSWER_REFUSED}};
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buffer b;
        buffer_init(&b, 4096);
        assert_whole_only_at_the_end(&codec_larder, larder_values(&b, 7, rows[i].status, "value"),
                                     rows[i].kind);
        buffer_finish(&b);
    }
}

static void a_value_is_handed_out_as_it_came(void **state)
{
    struct answer a;
    size_t used;
    assert_int_equal(codec_redis.take(slice_text("$5\r\nva\r\ne\r\n+OK\r\n"), &a, &used), TAKE_WHOLE);
    assert_true(slice_equal(a.value, slice_text("va\r\ne")));
    assert_int_equal(used, 11);
}

static void nonsense_breaks_the_stream(void **state)
{
    struct answer a;
    size_t used;
    assert_int_equal(codec_redis.take(slice_text("?what\r\n"), &a, &used), TAKE_BROKEN);
    assert_int_equal(codec_memcached.take(slice_text("X\r\n"), &a, &used), TAKE_BROKEN);
    assert_int_equal(codec_larder.take(slice_of("\xff\xff\xff\xff", 4), &a, &used), TAKE_BROKEN);
}

static void begin(struct pipeline *p, const struct codec *codec, int ends[2])
{
    static uint64_t started[PIPELINE_WINDOW];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    memset(started, 0, sizeof(started));
    *p = (struct pipeline){.codec = codec, .started = started};
    stream_adopt(&p->stream, ends[0]);
}

static void end(struct pipeline *p, int ends[2])
{
    stream_close(&p->stream);
    close(ends[1]);
}

static void say(int fd, struct slice bytes)
{
    assert_int_equal(write(fd, bytes.data, bytes.size), (ssize_t)bytes.size);
}

static void answers_without_a_name_belong_to_requests_in_order(void **state)
{
    struct pipeline p;
    struct answer a;
    uint64_t started;
    int ends[2];
    begin(&p, &codec_redis, ends);
    assert_int_equal(pipeline_get(&p, slice_text("a"), 100), 0);
    assert_int_equal(pipeline_set(&p, slice_text("b"), slice_text("x"), 200), 0);
    assert_int_equal(pipeline_flush(&p), 0);
    say(ends[1], slice_text("$-1\r\n+OK\r\n"));
    assert_int_equal(pipeline_take(&p, true, &a, &started), 1);
    assert_int_equal(started, 100);
    assert_int_equal(pipeline_take(&p, true, &a, &started), 1);
    assert_int_equal(started, 200);
    assert_int_equal(pipeline_take(&p, false, &a, &started), 0);
    end(&p, ends);
}

static void answers_with_a_name_may_overtake_each_other(void **state)
{
    struct pipeline p;
    struct answer a;
    struct buffer b;
    uint64_t started;
    int ends[2];
    begin(&p, &codec_larder, ends);
    pipeline_get(&p, slice_text("a"), 100);
    pipeline_get(&p, slice_text("b"), 200);
    buffer_init(&b, 4096);
    larder_values(&b, 1, STATUS_MISS, "");
    say(ends[1], larder_values(&b, 0, STATUS_HIT, "late"));
    assert_int_equal(pipeline_take(&p, true, &a, &started), 1);
    assert_true(started == 200 && a.kind == ANSWER_MISS);
    assert_int_equal(pipeline_take(&p, true, &a, &started), 1);
    assert_true(started == 100 && slice_equal(a.value, slice_text("late")));
    assert_int_equal(pipeline_under_way(&p), 0);
    buffer_finish(&b);
    end(&p, ends);
}

static void an_answer_to_nothing_breaks_the_pipeline(void **state)
{
    struct pipeline p;
    struct answer a;
    uint64_t started;
    int ends[2];
    begin(&p, &codec_redis, ends);
    say(ends[1], slice_text("+OK\r\n"));
    assert_int_equal(pipeline_take(&p, true, &a, &started), PIPELINE_BROKEN);
    assert_non_null(strstr(p.why, "nothing that was asked"));
    end(&p, ends);
}

static void a_peer_that_hangs_up_is_told(void **state)
{
    struct pipeline p;
    struct answer a;
    uint64_t started;
    int ends[2];
    begin(&p, &codec_redis, ends);
    pipeline_get(&p, slice_text("a"), 100);
    pipeline_flush(&p);
    shutdown(ends[1], SHUT_RDWR);
    assert_int_equal(pipeline_take(&p, true, &a, &started), PIPELINE_BROKEN);
    assert_true(p.why[0] != '\0');
    end(&p, ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(redis_answers_are_whole_only_when_their_last_byte_is_there),
        cmocka_unit_test(memcached_answers_are_whole_only_when_their_last_byte_is_there),
        cmocka_unit_test(larder_answers_tell_hit_miss_and_error_apart),
        cmocka_unit_test(a_value_is_handed_out_as_it_came),
        cmocka_unit_test(nonsense_breaks_the_stream),
        cmocka_unit_test(answers_without_a_name_belong_to_requests_in_order),
        cmocka_unit_test(answers_with_a_name_may_overtake_each_other),
        cmocka_unit_test(an_answer_to_nothing_breaks_the_pipeline),
        cmocka_unit_test(a_peer_that_hangs_up_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
