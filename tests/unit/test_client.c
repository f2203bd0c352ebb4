/* liblarder against a real daemon: what each verb answers, and what each option does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "client/larder.h"
#include "support/daemon.h"

static struct daemon larderd;
static const char config[] =
    "[server]\n[namespace default]\nl1_bytes = 8MiB\n[namespace other]\nl1_bytes = 4MiB\n";

static larder_client *open_with(larder_options o)
{
    larder_client *c;
    o.socket = larderd.socket;
    o.get_ms = o.change_ms = o.connect_ms = 5000; /* a loaded machine is no failure here */
    assert_int_equal(larder_open(&c, &o), LARDER_OK);
    return c;
}

static larder_client *open_default(void)
{
    larder_options o = LARDER_OPTIONS_INIT;
    o.strict = true;
    return open_with(o);
}

static larder_client *open_far(void)
{
    larder_options o = LARDER_OPTIONS_INIT;
    o.strict = true;
    o.no_shared_memory = true;
    return open_with(o);
}

static larder_slice T(const char *text)
{
    return larder_text(text);
}

static void set_text(larder_client *c, const char *key, const char *value)
{
    assert_int_equal(larder_set(c, T(key), T(value), NULL), LARDER_OK);
}

static void expect_text(larder_client *c, const char *key, const char *value)
{
    larder_value v = LARDER_VALUE_INIT;
    assert_int_equal(larder_get(c, T(key), NULL, &v), LARDER_HIT);
    assert_int_equal(v.size, strlen(value));
    assert_memory_equal(v.data, value, v.size);
    larder_value_free(&v);
}

static int get_result(larder_client *c, const char *key)
{
    larder_value v = LARDER_VALUE_INIT;
    int r = larder_get(c, T(key), NULL, &v);
    larder_value_free(&v);
    return r;
}

/* ======= get and set ======= */

static void a_value_that_was_set_is_found(void **state)
{
    larder_client *c = open_default();
    set_text(c, "found", "hello");
    expect_text(c, "found", "hello");
    larder_close(c);
}

static void a_second_get_hits_in_shared_memory(void **state)
{
    larder_client *c = open_default();
    larder_value v = LARDER_VALUE_INIT;
    set_text(c, "near", "hello");
    assert_int_equal(larder_get(c, T("near"), NULL, &v), LARDER_HIT);
    assert_int_equal(larder_get(c, T("near"), NULL, &v), LARDER_HIT);
    assert_true(v.near);
    assert_int_equal(v.tier, LARDER_TIER_L1);
    larder_value_free(&v);
    larder_close(c);
}

static void a_client_that_asked_to_do_without_never_hits_near(void **state)
{
    larder_client *c = open_far();
    larder_value v = LARDER_VALUE_INIT;
    set_text(c, "far", "hello");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(larder_get(c, T("far"), NULL, &v), LARDER_HIT);
        assert_false(v.near);
    }
    larder_value_free(&v);
    larder_close(c);
}

static void near_and_far_tell_the_same_of_an_entry(void **state)
{
    larder_client *near = open_default(), *far = open_far();
    larder_value a = LARDER_VALUE_INIT, b = LARDER_VALUE_INIT;
    larder_set_options how = LARDER_SET_OPTIONS_INIT;
    how.ttl_ms = 100000;
    how.stale_ms = 50000;
    how.user_flags = 77;
    how.schema = 5;
    assert_int_equal(larder_set(near, T("same"), T("value"), &how), LARDER_OK);
    larder_get(near, T("same"), NULL, &a);
    assert_int_equal(larder_get(near, T("same"), NULL, &a), LARDER_HIT);
    assert_int_equal(larder_get(far, T("same"), NULL, &b), LARDER_HIT);
    assert_true(a.near && !b.near);
    assert_int_equal(a.user_flags, 77);
    assert_int_equal(b.user_flags, 77);
    assert_int_equal(a.schema, 5);
    assert_int_equal(b.schema, 5);
    assert_true(larder_version_equal(a.version, b.version));
    assert_in_range(a.fresh_ms, 1, 100000);
    assert_in_range(a.ttl_ms, 100000, 150000);
    assert_in_range(b.fresh_ms, 1, 100000);
    assert_in_range(b.ttl_ms, 100000, 150000);
    larder_value_free(&a);
    larder_value_free(&b);
    larder_close(near);
    larder_close(far);
}

static void an_empty_value_is_a_hit_of_no_bytes(void **state)
{
    larder_client *c = open_default();
    assert_int_equal(larder_set(c, T("empty"), larder_bytes(NULL, 0), NULL), LARDER_OK);
    for (int i = 0; i < 2; i++) {
        larder_value v = LARDER_VALUE_INIT;
        assert_int_equal(larder_get(c, T("empty"), NULL, &v), LARDER_HIT);
        assert_int_equal(v.size, 0);
        larder_value_free(&v);
    }
    larder_close(c);
}

static void a_loop_of_hits_keeps_its_buffer(void **state)
{
    larder_client *c = open_default();
    larder_value v = LARDER_VALUE_INIT;
    set_text(c, "buffer", "0123456789");
    larder_get(c, T("buffer"), NULL, &v);
    void *data = v.data;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(larder_get(c, T("buffer"), NULL, &v), LARDER_HIT);
        assert_ptr_equal(v.data, data);
    }
    larder_value_free(&v);
    larder_close(c);
}

static void a_value_that_outgrew_the_buffer_is_read_whole(void **state)
{
    larder_client *c = open_default();
    static char large[30000];
    larder_value v = LARDER_VALUE_INIT;
    memset(large, 'x', sizeof(large));
    set_text(c, "grow", "small");
    larder_get(c, T("grow"), NULL, &v);
    assert_int_equal(larder_set(c, T("grow"), larder_bytes(large, sizeof(large)), NULL), LARDER_OK);
    assert_int_equal(larder_get(c, T("grow"), NULL, &v), LARDER_HIT);
    assert_int_equal(v.size, sizeof(large));
    assert_memory_equal(v.data, large, sizeof(large));
    larder_value_free(&v);
    larder_close(c);
}

static void a_value_too_large_for_shared_memory_comes_by_the_socket_and_says_so(void **state)
{
    larder_client *c = open_default();
    size_t size = 600000;
    char *large = malloc(size);
    larder_value v = LARDER_VALUE_INIT;
    memset(large, 'y', size);
    assert_int_equal(larder_set(c, T("large"), larder_bytes(large, size), NULL), LARDER_OK);
    assert_int_equal(larder_get(c, T("large"), NULL, &v), LARDER_HIT);
    assert_int_equal(v.size, size);
    assert_true(v.flags & LARDER_TOO_BIG_FOR_L1);
    assert_false(v.near);
    larder_value_free(&v);
    larder_close(c);
    free(large);
}

static void a_value_over_the_limit_is_refused_and_the_old_one_does_not_stay(void **state)
{
    larder_client *c = open_default();
    size_t size = 3 << 20;
    char *huge = calloc(1, size);
    set_text(c, "huge", "old");
    assert_int_equal(larder_set(c, T("huge"), larder_bytes(huge, size), NULL), LARDER_E_TOO_BIG);
    assert_int_equal(get_result(c, "huge"), LARDER_MISS);
    larder_close(c);
    free(huge);
}

static void a_key_that_is_empty_or_too_long_is_refused_at_once(void **state)
{
    larder_client *c = open_default();
    static char text[1026];
    larder_value v = LARDER_VALUE_INIT;
    memset(text, 'k', sizeof(text));
    assert_int_equal(larder_get(c, larder_bytes(text, 0), NULL, &v), LARDER_E_KEY);
    assert_int_equal(larder_get(c, larder_bytes(text, 1025), NULL, &v), LARDER_E_KEY);
    assert_int_equal(larder_set(c, larder_bytes(text, 1025), T("v"), NULL), LARDER_E_KEY);
    assert_int_equal(larder_set(c, larder_bytes(text, 1024), T("v"), NULL), LARDER_OK);
    assert_int_equal(larder_get(c, larder_bytes(text, 1024), NULL, &v), LARDER_HIT);
    larder_value_free(&v);
    larder_close(c);
}

static void absent_is_a_value_too(void **state)
{
    larder_client *c = open_default();
    larder_set_options how = LARDER_SET_OPTIONS_INIT;
    how.absent = true;
    assert_int_equal(larder_set(c, T("absent"), T("no value allowed"), &how), LARDER_E_INVALID);
    assert_int_equal(larder_set(c, T("absent"), larder_bytes(NULL, 0), &how), LARDER_OK);
    assert_int_equal(get_result(c, "absent"), LARDER_ABSENT);
    assert_int_equal(get_result(c, "absent"), LARDER_ABSENT);
    larder_close(c);
}

static void the_set_that_follows_a_miss_is_refused_when_something_newer_happened(void **state)
{
    larder_client *c = open_default();
    larder_value v = LARDER_VALUE_INIT;
    larder_set_options how = LARDER_SET_OPTIONS_INIT;
    assert_int_equal(larder_get(c, T("since"), NULL, &v), LARDER_MISS);
    assert_int_equal(v.reason, LARDER_REASON_COLD);
    assert_true(v.token.size > 0);
    how.since = &v.token;
    assert_int_equal(larder_invalidate(c, T("since")), LARDER_OK);
    assert_int_equal(larder_set(c, T("since"), T("old"), &how), LARDER_REFUSED);
    assert_int_equal(larder_get(c, T("since"), NULL, &v), LARDER_MISS);
    assert_int_equal(larder_set(c, T("since"), T("new"), &how), LARDER_OK);
    expect_text(c, "since", "new");
    larder_value_free(&v);
    larder_close(c);
}

/* ======= conditions and versions ======= */

static void conditions_are_kept(void **state)
{
    larder_client *c = open_default();
    larder_set_options absent = LARDER_SET_OPTIONS_INIT, present = LARDER_SET_OPTIONS_INIT;
    absent.if_absent = true;
    present.if_present = true;
    assert_int_equal(larder_set(c, T("cond"), T("1"), &present), LARDER_NOT_FOUND);
    assert_int_equal(larder_set(c, T("cond"), T("2"), &absent), LARDER_OK);
    assert_int_equal(larder_set(c, T("cond"), T("3"), &absent), LARDER_EXISTS);
    assert_int_equal(larder_set(c, T("cond"), T("4"), &present), LARDER_OK);
    expect_text(c, "cond", "4");
    larder_close(c);
}

static void two_conditions_at_once_are_refused(void **state)
{
    larder_client *c = open_default();
    larder_set_options how = LARDER_SET_OPTIONS_INIT;
    how.if_absent = how.if_present = true;
    assert_int_equal(larder_set(c, T("two"), T("1"), &how), LARDER_E_INVALID);
    larder_close(c);
}

static void compare_and_set_wants_the_current_version(void **state)
{
    larder_client *c = open_default();
    larder_entry_version first, second;
    larder_set_options how = LARDER_SET_OPTIONS_INIT;
    how.ret_version = &first;
    assert_int_equal(larder_set(c, T("cas"), T("1"), &how), LARDER_OK);
    how.if_version = &first;
    how.ret_version = &second;
    assert_int_equal(larder_set(c, T("cas"), T("2"), &how), LARDER_OK);
    assert_false(larder_version_equal(first, second));
    assert_int_equal(larder_set(c, T("cas"), T("3"), &how), LARDER_CONFLICT);
    expect_text(c, "cas", "2");
    larder_close(c);
}

static void the_version_one_has_is_not_sent_again_near_and_far(void **state)
{
    larder_client *clients[] = {open_default(), open_far()};
    set_text(clients[0], "etag", "body");
    for (int i = 0; i < 2; i++) {
        larder_value v = LARDER_VALUE_INIT;
        larder_get_options how = LARDER_GET_OPTIONS_INIT;
        larder_get(clients[i], T("etag"), NULL, &v);
        assert_int_equal(larder_get(clients[i], T("etag"), NULL, &v), LARDER_HIT);
        larder_entry_version mine = v.version;
        how.if_version = &mine;
        assert_int_equal(larder_get(clients[i], T("etag"), &how, &v), LARDER_NOT_MODIFIED);
        assert_int_equal(v.near, i == 0);
        mine.v++;
        assert_int_equal(larder_get(clients[i], T("etag"), &how, &v), LARDER_HIT);
        larder_value_free(&v);
        larder_close(clients[i]);
    }
}

static void no_value_tells_everything_but_the_bytes(void **state)
{
    larder_client *clients[] = {open_default(), open_far()};
    set_text(clients[0], "about", "body");
    for (int i = 0; i < 2; i++) {
        larder_value v = LARDER_VALUE_INIT;
        larder_get_options how = LARDER_GET_OPTIONS_INIT;
        how.no_value = true;
        larder_get(clients[i], T("about"), &how, &v);
        assert_int_equal(larder_get(clients[i], T("about"), &how, &v), LARDER_HIT);
        assert_int_equal(v.size, 0);
        assert_true(v.ttl_ms > 0 && v.version.v > 0);
        larder_value_free(&v);
        larder_close(clients[i]);
    }
}

static void the_tiers_of_a_get_can_be_named(void **state)
{
    larder_client *c = open_default();
    larder_value v = LARDER_VALUE_INIT;
    larder_get_options how = LARDER_GET_OPTIONS_INIT;
    set_text(c, "tiers", "body");
    how.tiers = LARDER_ONLY_WARM;
    assert_int_equal(larder_get(c, T("tiers"), &how, &v), LARDER_HIT);
    assert_int_equal(v.tier, LARDER_TIER_WARM);
    how.tiers = LARDER_ONLY_L2;
    assert_int_equal(larder_get(c, T("tiers"), &how, &v), LARDER_MISS);
    larder_value_free(&v);
    larder_close(c);
}

/* Real time passes here: life cannot be wound on from outside. */
static void wait_until_stale(larder_client *c, const char *key)
{
    larder_value v = LARDER_VALUE_INIT;
    for (int i = 0; i < 2000; i++) {
        if (larder_get(c, T(key), NULL, &v) == LARDER_HIT && v.flags & LARDER_STALE)
            break;
        poll(NULL, 0, 5);
    }
    assert_true(v.flags & LARDER_STALE);
    larder_value_free(&v);
}

static void a_stale_value_is_flagged_and_can_be_refused(void **state)
{
    larder_client *c = open_default();
    larder_value v = LARDER_VALUE_INIT;
    larder_get_options fresh = LARDER_GET_OPTIONS_INIT;
    larder_set_options how = LARDER_SET_OPTIONS_INIT;
    fresh.no_stale = true;
    how.ttl_ms = 30;
    how.stale_ms = 600000;
    assert_int_equal(larder_set(c, T("stale"), T("old"), &how), LARDER_OK);
    wait_until_stale(c, "stale");
    assert_int_equal(larder_get(c, T("stale"), &fresh, &v), LARDER_MISS);
    assert_int_equal(v.reason, LARDER_REASON_STALE);
    larder_value_free(&v);
    larder_close(c);
}

/* ======= touch and ttl ======= */

static void touch_prolongs_and_never_shortens(void **state)
{
    larder_client *c = open_far();
    larder_value v = LARDER_VALUE_INIT;
    larder_set_options how = LARDER_SET_OPTIONS_INIT;
    how.ttl_ms = 50000;
    how.stale_ms = 0;
    assert_int_equal(larder_set(c, T("touch"), T("v"), &how), LARDER_OK);
    assert_int_equal(larder_touch(c, T("touch"), 500000), LARDER_OK);
    larder_get(c, T("touch"), NULL, &v);
    assert_in_range(v.ttl_ms, 400000, 500000);
    assert_int_equal(larder_touch(c, T("touch"), 1000), LARDER_OK);
    larder_get(c, T("touch"), NULL, &v);
    assert_in_range(v.ttl_ms, 400000, 500000);
    assert_int_equal(larder_touch(c, T("touch:nobody"), 1000), LARDER_NOT_FOUND);
    larder_value_free(&v);
    larder_close(c);
}

static void an_explicit_ttl_does_not_make_an_entry_stale_for_ever(void **state)
{
    larder_client *c = open_far();
    larder_value v = LARDER_VALUE_INIT;
    larder_set_options how = LARDER_SET_OPTIONS_INIT;
    how.ttl_ms = 60000; /* and stale_ms as the macro has it */
    assert_int_equal(larder_set(c, T("ttl"), T("v"), &how), LARDER_OK);
    assert_int_equal(larder_get(c, T("ttl"), NULL, &v), LARDER_HIT);
    assert_in_range(v.ttl_ms, 1, 60000); /* no stale window is configured */
    larder_value_free(&v);
    larder_close(c);
}

static void a_ttl_of_0_stores_nothing_and_drops_what_is_there(void **state)
{
    larder_client *c = open_default();
    larder_set_options how = LARDER_SET_OPTIONS_INIT;
    how.ttl_ms = 0;
    set_text(c, "zero", "v");
    assert_int_equal(larder_set(c, T("zero"), T("w"), &how), LARDER_SKIPPED);
    assert_int_equal(get_result(c, "zero"), LARDER_MISS);
    larder_close(c);
}

/* ======= invalidate ======= */

static void set_tagged(larder_client *c, const char *key, const char *tag)
{
    larder_set_options how = LARDER_SET_OPTIONS_INIT;
    larder_slice tags[] = {T(tag)};
    how.tags = tags;
    how.tags_count = 1;
    assert_int_equal(larder_set(c, T(key), T("v"), &how), LARDER_OK);
}

static void an_invalidated_key_is_not_found_near_or_far(void **state)
{
    larder_client *c = open_default();
    set_text(c, "gone", "v");
    expect_text(c, "gone", "v");
    expect_text(c, "gone", "v");
    assert_int_equal(larder_invalidate(c, T("gone")), LARDER_OK);
    assert_int_equal(get_result(c, "gone"), LARDER_MISS);
    larder_close(c);
}

static void keys_tags_and_prefixes_die_in_one_change(void **state)
{
    larder_client *c = open_default();
    set_text(c, "mix:key", "v");
    set_tagged(c, "mixtag", "mix-tag");
    set_text(c, "mixed:prefix:1", "v");
    set_text(c, "stays", "v");
    larder_slice keys[] = {T("mix:key")}, tags[] = {T("mix-tag")}, prefixes[] = {T("mixed:prefix:")};
    larder_position position;
    larder_invalidate_options how = LARDER_INVALIDATE_OPTIONS_INIT;
    how.keys = keys;
    how.tags = tags;
    how.prefixes = prefixes;
    how.keys_count = how.tags_count = how.prefixes_count = 1;
    how.ret_position = &position;
    assert_int_equal(larder_invalidate_all_of(c, &how), LARDER_OK);
    assert_true(position.v > 0);
    assert_int_equal(get_result(c, "mix:key"), LARDER_MISS);
    assert_int_equal(get_result(c, "mixtag"), LARDER_MISS);
    assert_int_equal(get_result(c, "mixed:prefix:1"), LARDER_MISS);
    assert_int_equal(get_result(c, "stays"), LARDER_HIT);
    larder_close(c);
}

static void naming_nothing_is_refused(void **state)
{
    larder_client *c = open_default();
    larder_invalidate_options how = LARDER_INVALIDATE_OPTIONS_INIT;
    assert_int_equal(larder_invalidate_all_of(c, &how), LARDER_E_INVALID);
    assert_int_equal(larder_invalidate_all_of(c, NULL), LARDER_E_INVALID);
    larder_close(c);
}

static void a_dry_run_changes_nothing(void **state)
{
    larder_client *c = open_default();
    larder_slice keys[] = {T("dry")};
    uint64_t count = 99;
    larder_invalidate_options how = LARDER_INVALIDATE_OPTIONS_INIT;
    how.keys = keys;
    how.keys_count = 1;
    how.dry_run = true;
    how.ret_count = &count;
    set_text(c, "dry", "v");
    assert_int_equal(larder_invalidate_all_of(c, &how), LARDER_OK);
    assert_int_equal(count, 1);
    assert_int_equal(get_result(c, "dry"), LARDER_HIT);
    larder_close(c);
}

static void a_limit_is_named_in_the_message(void **state)
{
    larder_client *c = open_default();
    larder_set_options how = LARDER_SET_OPTIONS_INIT;
    static char names[40][8];
    larder_slice tags[40];
    for (int i = 0; i < 40; i++) {
        snprintf(names[i], sizeof(names[i]), "t%d", i);
        tags[i] = T(names[i]);
    }
    how.tags = tags;
    how.tags_count = 40;
    assert_int_equal(larder_set(c, T("tags"), T("v"), &how), LARDER_E_LIMIT);
    assert_int_equal(get_result(c, "tags"), LARDER_MISS);
    larder_close(c);
}

/* ======= batches ======= */

enum { BATCH = 200 };
static char batch_texts[BATCH][16];

static void batch_keys(larder_slice *keys, const char *prefix)
{
    for (int i = 0; i < BATCH; i++) {
        snprintf(batch_texts[i], sizeof(batch_texts[i]), "%s:%d", prefix, i);
        keys[i] = T(batch_texts[i]);
    }
}

static void a_batch_mixes_near_and_far_and_misses(void **state)
{
    larder_client *c = open_default();
    larder_slice keys[BATCH];
    static larder_value values[BATCH];
    static char large[100000];
    batch_keys(keys, "batch");
    assert_int_equal(larder_ping(c), LARDER_OK); /* attaches */
    for (int i = 0; i < BATCH; i++)
        if (i % 4 == 0) /* near */
            assert_int_equal(larder_set(c, keys[i], T("small"), NULL), LARDER_OK);
        else if (i % 4 == 1 && i < 40) /* far: too large for shared memory */
            assert_int_equal(larder_set(c, keys[i], larder_bytes(large, sizeof(large)), NULL), LARDER_OK);
    assert_int_equal(larder_mget(c, keys, BATCH, NULL, values), BATCH / 4 + 10);
    for (int i = 0; i < BATCH; i++) {
        bool near = i % 4 == 0, far = i % 4 == 1 && i < 40;
        assert_int_equal(values[i].result, near || far ? LARDER_HIT : LARDER_MISS);
        assert_int_equal(values[i].near, near);
        assert_int_equal(values[i].size, near ? 5 : far ? sizeof(large) : 0);
        assert_true(near || far || values[i].token.size > 0);
        larder_value_free(&values[i]);
    }
    larder_close(c);
}

static void values_that_do_not_fit_into_one_reply_come_one_by_one(void **state)
{
    larder_client *c = open_far();
    enum { COUNT = 8, SIZE = 900000 };
    static char large[SIZE];
    larder_slice keys[BATCH];
    larder_value values[COUNT] = {LARDER_VALUE_INIT};
    batch_keys(keys, "alone");
    for (int i = 0; i < COUNT; i++) {
        memset(large, 'a' + i, SIZE);
        assert_int_equal(larder_set(c, keys[i], larder_bytes(large, SIZE), NULL), LARDER_OK);
    }
    assert_int_equal(larder_mget(c, keys, COUNT, NULL, values), COUNT);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(values[i].size, SIZE);
        assert_int_equal(((char *)values[i].data)[SIZE - 1], 'a' + i);
        larder_value_free(&values[i]);
    }
    larder_close(c);
}

static void a_batch_of_sets_larger_than_a_frame_is_split(void **state)
{
    larder_client *c = open_far();
    enum { COUNT = 40, SIZE = 100000 };
    static char large[SIZE];
    larder_slice keys[BATCH];
    larder_item items[COUNT] = {{.result = 99}};
    batch_keys(keys, "mset");
    memset(large, 'm', SIZE);
    for (int i = 0; i < COUNT; i++)
        items[i] = (larder_item){.key = keys[i], .value = larder_bytes(large, SIZE)};
    assert_int_equal(larder_mset(c, items, COUNT, NULL), COUNT);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(items[i].result, LARDER_OK);
        assert_int_equal(get_result(c, batch_texts[i]), LARDER_HIT);
    }
    larder_close(c);
}

static void each_item_of_a_batch_has_options_and_a_result_of_its_own(void **state)
{
    larder_client *c = open_far();
    larder_set_options common = LARDER_SET_OPTIONS_INIT, flagged = LARDER_SET_OPTIONS_INIT;
    larder_value v = LARDER_VALUE_INIT;
    common.if_absent = flagged.if_absent = true;
    flagged.user_flags = 9;
    set_text(c, "own:there", "v");
    larder_item items[] = {{.key = T("own:there"), .value = T("w")},
                           {.key = T("own:new"), .value = T("w"), .options = &flagged}};
    assert_int_equal(larder_invalidate(c, T("own:new")), LARDER_OK);
    assert_int_equal(larder_mset(c, items, 2, &common), 1);
    assert_int_equal(items[0].result, LARDER_EXISTS);
    assert_int_equal(items[1].result, LARDER_OK);
    larder_get(c, T("own:new"), NULL, &v);
    assert_int_equal(v.user_flags, 9);
    larder_value_free(&v);
    larder_close(c);
}

static void different_conditions_in_one_batch_are_refused(void **state)
{
    larder_client *c = open_far();
    larder_set_options present = LARDER_SET_OPTIONS_INIT;
    present.if_present = true;
    larder_item items[] = {{.key = T("a"), .value = T("1")},
                           {.key = T("b"), .value = T("2"), .options = &present}};
    assert_int_equal(larder_mset(c, items, 2, NULL), LARDER_E_INVALID);
    larder_close(c);
}

static void a_batch_over_the_limit_is_refused(void **state)
{
    larder_client *c = open_far();
    static larder_slice keys[1025];
    static larder_value values[1025];
    for (int i = 0; i < 1025; i++)
        keys[i] = T("k");
    assert_int_equal(larder_mget(c, keys, 1025, NULL, values), LARDER_E_LIMIT);
    assert_int_equal(larder_minvalidate(c, keys, 1025), LARDER_E_LIMIT);
    larder_close(c);
}

/* ======= namespaces, tenants, looking in ======= */

static void namespaces_do_not_see_each_other(void **state)
{
    larder_options o = LARDER_OPTIONS_INIT;
    o.strict = true;
    o.namespace_ = "other";
    larder_client *c = open_default(), *other = open_with(o);
    set_text(c, "isolated", "v");
    assert_int_equal(get_result(other, "isolated"), LARDER_MISS);
    larder_close(c);
    larder_close(other);
}

static void a_namespace_nobody_configured_is_its_own_error(void **state)
{
    larder_options o = LARDER_OPTIONS_INIT;
    o.strict = true;
    o.namespace_ = "nowhere";
    larder_client *c = open_with(o);
    assert_int_equal(larder_ping(c), LARDER_E_NAMESPACE);
    larder_close(c);
}

static void a_tenant_is_confined_to_its_keys_and_works_by_socket(void **state)
{
    larder_options o = LARDER_OPTIONS_INIT;
    o.strict = true;
    o.tenant = "acme";
    larder_client *c = open_with(o);
    larder_value v = LARDER_VALUE_INIT;
    set_text(c, "acme:key", "v");
    larder_get(c, T("acme:key"), NULL, &v);
    assert_int_equal(larder_get(c, T("acme:key"), NULL, &v), LARDER_HIT);
    assert_false(v.near);
    assert_true(larder_set(c, T("rival:key"), T("v"), NULL) < 0);
    larder_value_free(&v);
    larder_close(c);
}

static bool count_key(void *user, const larder_listed *listed)
{
    assert_memory_equal(listed->key.data, "list:", 5);
    assert_true(listed->ttl_ms > 0 && listed->value_bytes == 1);
    ++*(int *)user;
    return true;
}

static void keys_are_listed_page_by_page(void **state)
{
    larder_client *c = open_far();
    larder_slice keys[BATCH];
    larder_item items[BATCH];
    larder_token cursor = {.size = 0};
    int count = 0, pages = 0;
    batch_keys(keys, "list");
    for (int i = 0; i < BATCH; i++)
        items[i] = (larder_item){.key = keys[i], .value = T("v")};
    assert_int_equal(larder_mset(c, items, BATCH, NULL), BATCH);
    do {
        assert_true(larder_keys(c, T("list:"), 30, &cursor, count_key, &count) >= 0);
        pages++;
    } while (cursor.size);
    assert_int_equal(count, BATCH);
    assert_true(pages > 1);
    larder_close(c);
}

static void documents_are_json_texts(void **state)
{
    larder_client *c = open_far();
    char *texts[4];
    assert_int_equal(larder_stats(c, &texts[0]), LARDER_OK);
    assert_int_equal(larder_health(c, &texts[1]), LARDER_OK);
    assert_int_equal(larder_explain(c, T("any"), &texts[2]), LARDER_OK);
    assert_int_equal(larder_config(c, true, &texts[3]), LARDER_OK);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(texts[i][0], '{');
        larder_text_free(texts[i]);
    }
    larder_close(c);
}

static void keep_line(void *user, const char *line)
{
    snprintf(user, 200, "%s", line);
}

static void debug_lines_tell_of_hits_the_daemon_never_sees(void **state)
{
    char line[200] = "";
    larder_options o = LARDER_OPTIONS_INIT;
    o.log = keep_line;
    o.log_user = line;
    o.debug = true;
    larder_client *c = open_with(o);
    set_text(c, "log key", "v");
    expect_text(c, "log key", "v");
    expect_text(c, "log key", "v");
    assert_non_null(strstr(line, "op=get key=log\\x20key result=HIT tier=l1"));
    assert_int_equal(get_result(c, "log miss"), LARDER_MISS);
    assert_non_null(strstr(line, "result=MISS reason=COLD"));
    larder_close(c);
}

static void options_of_another_size_are_taken_or_refused(void **state)
{
    larder_client *c = open_far();
    struct {
        larder_get_options known;
        char later[64];
    } newer = {.known = LARDER_GET_OPTIONS_INIT};
    larder_get_options not_made = {.struct_size = 0};
    larder_value v = LARDER_VALUE_INIT;
    newer.known.struct_size = sizeof(newer);
    set_text(c, "size", "v");
    assert_int_equal(larder_get(c, T("size"), &newer.known, &v), LARDER_HIT);
    assert_int_equal(larder_get(c, T("size"), &not_made, &v), LARDER_E_INVALID);
    larder_value_free(&v);
    larder_close(c);
}

static int start(void **state)
{
    daemon_prepare(&larderd, config);
    daemon_start(&larderd);
    return 0;
}

static int finish(void **state)
{
    daemon_finish(&larderd);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_that_was_set_is_found),
        cmocka_unit_test(a_second_get_hits_in_shared_memory),
        cmocka_unit_test(a_client_that_asked_to_do_without_never_hits_near),
        cmocka_unit_test(near_and_far_tell_the_same_of_an_entry),
        cmocka_unit_test(an_empty_value_is_a_hit_of_no_bytes),
        cmocka_unit_test(a_loop_of_hits_keeps_its_buffer),
        cmocka_unit_test(a_value_that_outgrew_the_buffer_is_read_whole),
        cmocka_unit_test(a_value_too_large_for_shared_memory_comes_by_the_socket_and_says_so),
        cmocka_unit_test(a_value_over_the_limit_is_refused_and_the_old_one_does_not_stay),
        cmocka_unit_test(a_key_that_is_empty_or_too_long_is_refused_at_once),
        cmocka_unit_test(absent_is_a_value_too),
        cmocka_unit_test(the_set_that_follows_a_miss_is_refused_when_something_newer_happened),
        cmocka_unit_test(conditions_are_kept),
        cmocka_unit_test(two_conditions_at_once_are_refused),
        cmocka_unit_test(compare_and_set_wants_the_current_version),
        cmocka_unit_test(the_version_one_has_is_not_sent_again_near_and_far),
        cmocka_unit_test(no_value_tells_everything_but_the_bytes),
        cmocka_unit_test(the_tiers_of_a_get_can_be_named),
        cmocka_unit_test(a_stale_value_is_flagged_and_can_be_refused),
        cmocka_unit_test(touch_prolongs_and_never_shortens),
        cmocka_unit_test(an_explicit_ttl_does_not_make_an_entry_stale_for_ever),
        cmocka_unit_test(a_ttl_of_0_stores_nothing_and_drops_what_is_there),
        cmocka_unit_test(an_invalidated_key_is_not_found_near_or_far),
        cmocka_unit_test(keys_tags_and_prefixes_die_in_one_change),
        cmocka_unit_test(naming_nothing_is_refused),
        cmocka_unit_test(a_dry_run_changes_nothing),
        cmocka_unit_test(a_limit_is_named_in_the_message),
        cmocka_unit_test(a_batch_mixes_near_and_far_and_misses),
        cmocka_unit_test(values_that_do_not_fit_into_one_reply_come_one_by_one),
        cmocka_unit_test(a_batch_of_sets_larger_than_a_frame_is_split),
        cmocka_unit_test(each_item_of_a_batch_has_options_and_a_result_of_its_own),
        cmocka_unit_test(different_conditions_in_one_batch_are_refused),
        cmocka_unit_test(a_batch_over_the_limit_is_refused),
        cmocka_unit_test(namespaces_do_not_see_each_other),
        cmocka_unit_test(a_namespace_nobody_configured_is_its_own_error),
        cmocka_unit_test(a_tenant_is_confined_to_its_keys_and_works_by_socket),
        cmocka_unit_test(keys_are_listed_page_by_page),
        cmocka_unit_test(documents_are_json_texts),
        cmocka_unit_test(debug_lines_tell_of_hits_the_daemon_never_sees),
        cmocka_unit_test(options_of_another_size_are_taken_or_refused),
    };
    return cmocka_run_group_tests(tests, start, finish);
}
