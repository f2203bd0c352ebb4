/* liblarder against a real daemon: get and set, and what each of their options does. */
#include "support/client_rig.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void the_version_one_has_of_another_schema_is_a_miss_near_and_far(void **state)
{
    larder_client *clients[] = {open_default(), open_far()};
    set_text(clients[0], "of 0", "body");
    for (int i = 0; i < 2; i++) {
        larder_value v = LARDER_VALUE_INIT;
        larder_get_options how = LARDER_GET_OPTIONS_INIT;
        assert_int_equal(larder_get(clients[i], T("of 0"), NULL, &v), LARDER_HIT);
        larder_entry_version mine = v.version;
        how.if_version = &mine;
        how.schema = 7;
        assert_int_equal(larder_get(clients[i], T("of 0"), &how, &v), LARDER_MISS);
        assert_int_equal(v.reason, LARDER_REASON_SCHEMA);
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
        cmocka_unit_test(the_version_one_has_of_another_schema_is_a_miss_near_and_far),
        cmocka_unit_test(no_value_tells_everything_but_the_bytes),
        cmocka_unit_test(the_tiers_of_a_get_can_be_named),
        cmocka_unit_test(a_stale_value_is_flagged_and_can_be_refused),
    };
    return cmocka_run_group_tests(tests, rig_start, rig_finish);
}
