/* liblarder against a real daemon: touch, invalidate, batches, and looking in. */
#include "support/client_rig.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void a_tag_given_later_takes_the_entry_along(void **state)
{
    larder_client *c = open_default();
    larder_slice tags[] = {T("late"), T("late-too")};
    larder_invalidate_options how = LARDER_INVALIDATE_OPTIONS_INIT;
    set_tagged(c, "tagged", "old");
    expect_text(c, "tagged", "v");
    assert_int_equal(larder_tag(c, T("tagged"), tags, 2), LARDER_OK);
    expect_text(c, "tagged", "v");
    how.tags = &tags[1];
    how.tags_count = 1;
    assert_int_equal(larder_invalidate_all_of(c, &how), LARDER_OK);
    assert_int_equal(get_result(c, "tagged"), LARDER_MISS);
    assert_int_equal(larder_tag(c, T("tagged"), tags, 2), LARDER_NOT_FOUND);
    larder_close(c);
}

static void tags_that_cannot_be_are_refused(void **state)
{
    larder_client *c = open_default();
    larder_slice tags[17];
    set_text(c, "tagged", "v");
    for (int i = 0; i < 17; i++)
        tags[i] = T("same");
    assert_int_equal(larder_tag(c, T("tagged"), tags, 0), LARDER_E_INVALID);
    assert_int_equal(larder_tag(c, T("tagged"), NULL, 1), LARDER_E_INVALID);
    assert_int_equal(larder_tag(c, T("tagged"), tags, 17), LARDER_E_LIMIT);
    assert_int_equal(larder_tag(c, T("tagged"), tags, 16), LARDER_OK);
    tags[0] = T("");
    assert_int_equal(larder_tag(c, T("tagged"), tags, 1), LARDER_E_LIMIT);
    assert_int_equal(larder_tag(c, T(""), tags, 1), LARDER_E_KEY);
    larder_close(c);
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
        assert_int_equal(get_result(c, keys[i].data), LARDER_HIT);
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

static void a_get_after_a_position_is_the_daemons_to_answer(void **state)
{
    larder_client *c = open_default();
    larder_position position = {0};
    larder_set_options set = LARDER_SET_OPTIONS_INIT;
    larder_get_options get = LARDER_GET_OPTIONS_INIT;
    larder_value v = LARDER_VALUE_INIT;
    set.ret_position = &position;
    set.wait_all = true;
    assert_int_equal(larder_set(c, T("after"), T("v"), &set), LARDER_OK);
    assert_true(position.v > 0);
    expect_text(c, "after", "v");
    get.not_older_than = &position;
    assert_int_equal(larder_get(c, T("after"), &get, &v), LARDER_HIT);
    assert_false(v.near);
    assert_int_equal(v.version.v, position.v);
    larder_value_free(&v);
    larder_close(c);
}

static void documents_are_json_texts(void **state)
{
    larder_client *c = open_far();
    char *texts[5];
    assert_int_equal(larder_stats(c, &texts[0]), LARDER_OK);
    assert_int_equal(larder_health(c, &texts[1]), LARDER_OK);
    assert_int_equal(larder_explain(c, T("any"), &texts[2]), LARDER_OK);
    assert_int_equal(larder_config(c, true, &texts[3]), LARDER_OK);
    assert_int_equal(larder_doctor(c, &texts[4]), LARDER_OK);
    for (int i = 0; i < 5; i++) {
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
    assert_non_null(strstr(line, "result=MISS reason=cold"));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(touch_prolongs_and_never_shortens),
        cmocka_unit_test(an_explicit_ttl_does_not_make_an_entry_stale_for_ever),
        cmocka_unit_test(a_ttl_of_0_stores_nothing_and_drops_what_is_there),
        cmocka_unit_test(a_tag_given_later_takes_the_entry_along),
        cmocka_unit_test(tags_that_cannot_be_are_refused),
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
        cmocka_unit_test(a_get_after_a_position_is_the_daemons_to_answer),
        cmocka_unit_test(documents_are_json_texts),
        cmocka_unit_test(debug_lines_tell_of_hits_the_daemon_never_sees),
        cmocka_unit_test(options_of_another_size_are_taken_or_refused),
    };
    return cmocka_run_group_tests(tests, rig_start, rig_finish);
}
