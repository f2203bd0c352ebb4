/* The texts built into the daemon on a real Redis, and the daemon's bytes in the scripts' hands: what both sides must
 * agree on.  What each script does is asked in tests/scripts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion" /* inline functions of its strings */
#include <hiredis.h>
#pragma GCC diagnostic pop
#include <cmocka.h>

#include "base/check.h"
#include "l2/record.h"
#include "l2/script.h"
#include "support/redis.h"

enum { WORDS_MAX = 32, VALUE_MAX = 1 << 20 };

struct rig {
    struct redis redis;
    redisContext *link;
    struct script_digests digests;
    redisReply *reply;
    const char *words[WORDS_MAX];
    size_t sizes[WORDS_MAX];
    int count;
};

static const uint64_t epoch = 0x8877665544332211;
static const char *const common_keys[] = {"{n}:inc", "{n}:ver", "{n}:j", "{n}:tags"};

static void word(struct rig *rig, struct slice bytes)
{
    CHECK(rig->count < WORDS_MAX);
    rig->words[rig->count] = bytes.data;
    rig->sizes[rig->count++] = bytes.size;
}

static void text(struct rig *rig, const char *words)
{
    word(rig, slice_text(words));
}

/* Command, script, keys, epoch, host and session; own arguments follow. */
static void begin(struct rig *rig, enum script_id id, const char *own_key, const char *own_key_2)
{
    static uint8_t epoch_bytes[8];
    struct script_call call = script_call(&rig->digests, id, false);
    rig->count = 0;
    word(rig, call.command);
    word(rig, call.script);
    text(rig, own_key_2 ? "6" : "5");
    for (unsigned i = 0; i < SCRIPT_COMMON_KEYS; i++)
        text(rig, common_keys[i]);
    text(rig, own_key);
    if (own_key_2)
        text(rig, own_key_2);
    l2_epoch(epoch_bytes, epoch);
    word(rig, slice_of(epoch_bytes, 8));
    text(rig, "s:a");
    text(rig, "session1");
}

static const redisReply *run(struct rig *rig)
{
    if (rig->reply)
        freeReplyObject(rig->reply);
    rig->reply = redisCommandArgv(rig->link, rig->count, rig->words, rig->sizes);
    assert_non_null(rig->reply);
    return rig->reply;
}

static struct slice bytes_of(const redisReply *reply, size_t n)
{
    assert_int_equal(reply->type, REDIS_REPLY_ARRAY);
    assert_true(n < reply->elements && reply->element[n]->type == REDIS_REPLY_STRING);
    return slice_of(reply->element[n]->str, reply->element[n]->len);
}

static long long number_of(const redisReply *reply, size_t n)
{
    assert_int_equal(reply->type, REDIS_REPLY_ARRAY);
    assert_true(n < reply->elements && reply->element[n]->type == REDIS_REPLY_INTEGER);
    return reply->element[n]->integer;
}

static void is(struct slice got, const char *wanted)
{
    assert_int_equal(got.size, strlen(wanted));
    assert_memory_equal(got.data, wanted, got.size);
}

static struct l2_entry sample(void)
{
    return (struct l2_entry){.key = slice_text("acme:k"),
                             .value = slice_text("a value"),
                             .id = 0xabcdef,
                             .user_flags = 7,
                             .schema = 9,
                             .tags_count = 2,
                             .tags = {slice_text("red"), slice_text("blue")}};
}

static void hello(struct rig *rig)
{
    begin(rig, SCRIPT_HELLO, "{n}:hosts", "{n}:marks");
    text(rig, "1");
    assert_int_equal(run(rig)->elements, 11);
    assert_true(l2_epoch_read(bytes_of(rig->reply, 0).data) == epoch);
}

static void set(struct rig *rig, const struct l2_entry *e, struct slice condition, const char *wanted)
{
    static uint8_t tail[4096];
    CHECK(l2_tail_bytes_max(e) <= sizeof(tail));
    begin(rig, SCRIPT_SET, "{n}:e:acme:k", "{n}:l:acme:k");
    text(rig, "1000");
    word(rig, condition);
    text(rig, "20000");
    text(rig, "30000");
    word(rig, slice_of(tail, l2_tail_encode(tail, e, 1024)));
    is(bytes_of(run(rig), 0), wanted);
}

static void kill_tag(struct rig *rig, const char *tag)
{
    begin(rig, SCRIPT_INVALIDATE, "{n}:e:other", "{n}:l:other");
    text(rig, "1000");
    text(rig, "hard");
    text(rig, SCRIPT_NAMES_MAX);
    text(rig, tag);
    number_of(run(rig), 0);
}

static const redisReply *getl(struct rig *rig)
{
    begin(rig, SCRIPT_GETL, "{n}:e:acme:k", "{n}:l:acme:k");
    text(rig, "8 bytes.");
    text(rig, "0");
    return run(rig);
}

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    redis_prepare(&rig->redis, "");
    redis_start(&rig->redis);
    rig->link = redisConnectUnix(rig->redis.socket);
    CHECK(rig->link && !rig->link->err);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;
    if (rig->reply)
        freeReplyObject(rig->reply);
    redisFree(rig->link);
    redis_finish(&rig->redis);
    free(rig);
    return 0;
}

static void every_text_is_taken_by_redis_and_called_by_its_digest(void **state)
{
    struct rig *rig = *state;
    for (enum script_id id = 0; id < SCRIPTS; id++) {
        rig->count = 0;
        text(rig, "SCRIPT");
        text(rig, "LOAD");
        word(rig, script_text(id));
        run(rig);
        assert_int_equal(rig->reply->type, REDIS_REPLY_STRING);
        assert_true(script_loaded(&rig->digests, id, slice_of(rig->reply->str, rig->reply->len)));
    }
    hello(rig);
}

static void a_forgotten_script_is_known_again_after_one_call_with_its_text(void **state)
{
    struct rig *rig = *state;
    every_text_is_taken_by_redis_and_called_by_its_digest(state);
    rig->count = 0;
    text(rig, "SCRIPT");
    text(rig, "FLUSH");
    run(rig);
    begin(rig, SCRIPT_HELLO, "{n}:hosts", "{n}:marks");
    text(rig, "1");
    assert_int_equal(run(rig)->type, REDIS_REPLY_ERROR);
    is(slice_of(rig->reply->str, 8), "NOSCRIPT");
    struct script_call again = script_call(&rig->digests, SCRIPT_HELLO, true);
    rig->words[0] = again.command.data, rig->sizes[0] = again.command.size;
    rig->words[1] = again.script.data, rig->sizes[1] = again.script.size;
    assert_int_equal(run(rig)->type, REDIS_REPLY_ARRAY);
    hello(rig);
}

static void what_the_daemon_packs_comes_back_stamped(void **state)
{
    struct rig *rig = *state;
    struct l2_entry e = sample();
    struct l2_record r;
    struct l2_left left;
    hello(rig);
    set(rig, &e, slice_text(""), "OK");
    uint64_t redis_ms = (uint64_t)number_of(rig->reply, 2);
    is(bytes_of(getl(rig), 0), "HIT");
    assert_true(l2_record_decode(bytes_of(rig->reply, 4), e.key, VALUE_MAX, &r));
    assert_true(r.epoch == epoch && r.v == 1 && r.born_ms == redis_ms && r.soft_ms == 20000 &&
                r.hard_ms == 30000);
    assert_true(r.entry.id == e.id && r.entry.user_flags == 7 && r.entry.schema == 9 &&
                r.entry.tags_count == 2);
    assert_true(slice_equal(r.entry.value, e.value) && slice_equal(r.entry.tags[1], slice_text("blue")));
    assert_true(l2_record_left(&r, redis_ms, &left) && left.hard_ms == 30000);
}

static void a_packed_value_comes_back_whole(void **state)
{
    static const char same[3000];
    struct rig *rig = *state;
    struct l2_entry e = {.key = slice_text("acme:k"), .value = {same, sizeof(same)}};
    struct l2_record r;
    struct slice value;
    char room[3000];
    hello(rig);
    set(rig, &e, slice_text(""), "OK");
    getl(rig);
    assert_true(l2_record_decode(bytes_of(rig->reply, 4), e.key, VALUE_MAX, &r) && r.packed);
    assert_true(l2_record_value(&r, room, &value) && slice_equal(value, e.value));
}

static void the_scripts_find_the_tags_where_the_daemon_put_them(void **state)
{
    struct rig *rig = *state;
    struct l2_entry e = sample();
    hello(rig);
    for (unsigned i = 0; i < 3; i++) {
        static const char *const names[] = {"tred", "tblue", "pacme:"};
        set(rig, &e, slice_text(""), "OK");
        kill_tag(rig, "tgreen");
        is(bytes_of(getl(rig), 0), "HIT");
        kill_tag(rig, names[i]);
        is(bytes_of(getl(rig), 0), "MISS");
    }
}

static void the_scripts_compare_the_version_that_the_daemon_compares(void **state)
{
    struct rig *rig = *state;
    struct l2_entry e = sample();
    struct l2_record head;
    uint8_t version[L2_VERSION_BYTES];
    hello(rig);
    set(rig, &e, slice_text(""), "OK");
    l2_version(version, epoch, 1, e.id + 1);
    set(rig, &e, slice_of(version, sizeof(version)), "CONFLICT");
    assert_true(l2_record_peek(bytes_of(rig->reply, 2), &head));
    assert_true(head.epoch == epoch && head.v == 1 && head.entry.id == e.id);
    l2_version(version, epoch, 1, e.id);
    set(rig, &e, slice_of(version, sizeof(version)), "OK");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_text_is_taken_by_redis_and_called_by_its_digest, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_forgotten_script_is_known_again_after_one_call_with_its_text, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_the_daemon_packs_comes_back_stamped, setup, teardown),
        cmocka_unit_test_setup_teardown(a_packed_value_comes_back_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(the_scripts_find_the_tags_where_the_daemon_put_them, setup, teardown),
        cmocka_unit_test_setup_teardown(the_scripts_compare_the_version_that_the_daemon_compares, setup,
                                        teardown),
    };
    if (!redis_installed()) {
        puts("1..0 # SKIP no redis-server here");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
