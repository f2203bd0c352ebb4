/* tag on one host: an entry gets tags, and stays what it is. */
#include <stdio.h>
#include "support/cache_rig.h"

static void tag_done(struct cache_tag *tag)
{
    sets_done++;
}

static struct cache_tag tag_with(struct fixture *f, const char *key, const struct slice *tags, unsigned count)
{
    struct cache_tag t = {.key = slice_text(key), .tags = tags, .tags_count = count, .done = tag_done};
    assert_int_equal(cache_tag(f->cache, &t), CACHE_DONE);
    return t;
}

static struct cache_tag tag(struct fixture *f, const char *key, const char *name)
{
    struct slice tags[] = {slice_text(name)};
    return tag_with(f, key, tags, 1);
}

static void set_tagged(struct fixture *f, const char *key, const char *name)
{
    struct slice tags[] = {slice_text(name)};
    struct cache_set s = a_set(key, "v");
    s.tags = tags;
    s.tags_count = 1;
    s.user_flags = 7;
    s.schema = 3;
    assert_int_equal(cache_set(f->cache, &s), CACHE_DONE);
    assert_int_equal(s.status, STATUS_OK);
}

static struct entry found(struct fixture *f, const char *key)
{
    struct asked a;
    assert_int_equal(ask(f, &a, key), CACHE_DONE);
    assert_true(a.get.status == STATUS_HIT || a.get.status == STATUS_ABSENT);
    return a.get.entry;
}

static void a_tag_given_later_takes_the_entry_along(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "v");
    set(f, "beside", "v");
    struct cache_tag t = tag(f, "k", "late");
    assert_int_equal(t.status, STATUS_OK);
    assert_int_equal(t.ttl_left_ms, 60000);
    assert_int_equal(get(f, "k"), STATUS_HIT);
    kill_tag(f, "late");
    assert_int_equal(get(f, "k"), STATUS_MISS);
    assert_int_equal(get(f, "beside"), STATUS_HIT);
}

static void it_is_so_in_every_tier(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "v");
    tag(f, "k", "late");
    assert_int_equal(table_tier_find(&f->l1, slice_text("k"))->entry.tags_count, 1);
    assert_int_equal(table_tier_find(&f->warm, slice_text("k"))->entry.tags_count, 1);
}

static void its_tags_stay_known_by_name_where_they_were(void **state)
{
    struct fixture *f = *state;
    set_tagged(f, "k", "old");
    tag(f, "k", "new");
    const struct entry *e = &table_tier_find(&f->warm, slice_text("k"))->entry;
    assert_int_equal(e->tag_names.size, 10);
    assert_memory_equal(e->tag_names.data, "\3\0old\3\0new", 10);
}

static void where_nobody_knows_them_by_name_they_stay_hashes(void **state)
{
    struct fixture *f = *state;
    set_tagged(f, "k", "old");
    table_tier_find(&f->warm, slice_text("k"))->used = false;
    table_tier_find(&f->l1, slice_text("k"))->entry.tag_names = slice_of(NULL, 0);
    assert_int_equal(tag(f, "k", "new").status, STATUS_OK);
    assert_int_equal(found(f, "k").tags_count, 2);
    kill_tag(f, "old");
    assert_int_equal(get(f, "k"), STATUS_MISS);
}

/* Shared memory has fingerprints of them, by which nothing elsewhere is killed. */
static void what_only_shared_memory_has_is_stored_there_alone(void **state)
{
    struct fixture *f = *state;
    set_tagged(f, "k", "old");
    table_tier_find(&f->warm, slice_text("k"))->used = false;
    struct entry *e = &table_tier_find(&f->l1, slice_text("k"))->entry;
    e->tag_names = slice_of(NULL, 0);
    e->tags[0] = shm_fingerprint(e->tags[0]);
    assert_int_equal(tag(f, "k", "new").status, STATUS_OK);
    assert_non_null(table_tier_find(&f->l1, slice_text("k")));
    assert_null(table_tier_find(&f->warm, slice_text("k")));
}

static void the_tags_it_had_stay(void **state)
{
    struct fixture *f = *state;
    set_tagged(f, "k", "old");
    assert_int_equal(tag(f, "k", "new").status, STATUS_OK);
    kill_tag(f, "old");
    assert_int_equal(get(f, "k"), STATUS_MISS);
}

static void all_but_the_version_is_as_it_was(void **state)
{
    struct fixture *f = *state;
    set_tagged(f, "k", "old");
    struct entry before = found(f, "k");
    f->now_ns += 10 * NS_PER_S;
    struct cache_tag t = tag(f, "k", "new");
    struct entry after = found(f, "k");
    assert_int_equal(t.ttl_left_ms, 50000);
    assert_int_equal(after.hard_ns, before.hard_ns);
    assert_int_equal(after.soft_ns, before.soft_ns);
    assert_int_equal(after.user_flags, 7);
    assert_int_equal(after.schema, 3);
    assert_true(slice_equal(after.value, slice_text("v")));
    assert_true(after.v > before.v);
    assert_int_equal(after.v, t.result.v);
}

static void what_has_the_tag_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct slice twice[] = {slice_text("old"), slice_text("old")};
    set_tagged(f, "k", "old");
    struct entry before = found(f, "k");
    struct cache_tag t = tag_with(f, "k", twice, 2);
    assert_int_equal(t.status, STATUS_OK);
    assert_int_equal(t.result.v, before.v);
    assert_int_equal(found(f, "k").v, before.v);
}

static void what_is_stale_stays_stale(void **state)
{
    struct fixture *f = *state;
    struct cache_set s = a_set("k", "v");
    s.ttl_ms = 1000;
    s.stale_ms = 60000;
    cache_set(f->cache, &s);
    f->now_ns += 2 * NS_PER_S;
    assert_int_equal(tag(f, "k", "late").status, STATUS_OK);
    assert_true(found(f, "k").stale);
}

static void what_was_invalidated_softly_stays_stale(void **state)
{
    struct fixture *f = *state;
    struct slice keys[] = {slice_text("k")};
    struct cache_invalidate i = {.keys = keys, .keys_count = 1, .soft = true, .done = invalidate_done};
    set(f, "k", "v");
    assert_int_equal(cache_invalidate(f->cache, &i), CACHE_DONE);
    assert_true(found(f, "k").stale);
    assert_int_equal(tag(f, "k", "late").status, STATUS_OK);
    assert_true(found(f, "k").stale);
}

static void what_is_known_not_to_exist_stays_so(void **state)
{
    struct fixture *f = *state;
    struct cache_set s = a_set("k", "");
    s.absent = true;
    s.ttl_ms = 60000;
    cache_set(f->cache, &s);
    assert_int_equal(tag(f, "k", "late").status, STATUS_OK);
    assert_int_equal(get(f, "k"), STATUS_ABSENT);
}

static void more_than_16_in_all_change_nothing(void **state)
{
    struct fixture *f = *state;
    struct slice tags[SHM_TAGS_MAX];
    char names[SHM_TAGS_MAX][8];
    for (unsigned i = 0; i < SHM_TAGS_MAX; i++) {
        snprintf(names[i], sizeof(names[i]), "t%u", i);
        tags[i] = slice_text(names[i]);
    }
    set_tagged(f, "k", "old");
    assert_int_equal(tag_with(f, "k", tags, SHM_TAGS_MAX).status, STATUS_LIMIT);
    assert_int_equal(found(f, "k").tags_count, 1);
    assert_int_equal(tag_with(f, "k", tags, SHM_TAGS_MAX - 1).status, STATUS_OK);
    assert_int_equal(found(f, "k").tags_count, SHM_TAGS_MAX);
}

static void what_is_not_there_gets_none(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(tag(f, "nobody", "late").status, STATUS_NOT_FOUND);
    assert_int_equal(tag(f, "", "late").status, STATUS_BAD_KEY);
    set(f, "k", "v");
    f->now_ns += 61 * NS_PER_S;
    assert_int_equal(tag(f, "k", "late").status, STATUS_NOT_FOUND);
}

static void a_policy_that_stores_no_bare_sets_does_not_lose_the_entry(void **state)
{
    struct fixture *f = *state;
    struct asked miss;
    struct policy_fault fault;
    struct policy_rule own = cache_default_rule(&f->options);
    own.write_through = false;
    cache_take_policies(f->cache, policies_create(&own, NULL, 0, NULL, &fault));
    ask(f, &miss, "k");
    struct cache_set s = a_set("k", "v");
    s.token = slice_of(miss.get.token, miss.get.token_bytes);
    cache_set(f->cache, &s);
    assert_int_equal(s.status, STATUS_OK);
    assert_int_equal(tag(f, "k", "late").status, STATUS_OK);
    assert_int_equal(get(f, "k"), STATUS_HIT);
}

static void a_set_that_comes_while_a_tier_is_asked_wins_and_is_tagged(void **state)
{
    struct fixture *f = *state;
    struct slice tags[] = {slice_text("late")};
    struct cache_tag t = {.key = slice_text("k"), .tags = tags, .tags_count = 1, .done = tag_done};
    set(f, "k", "old");
    table_tier_find(&f->l1, slice_text("k"))->used = false;
    f->warm.slow = true;
    sets_done = 0;
    assert_int_equal(cache_tag(f->cache, &t), CACHE_PENDING);
    set(f, "k", "new");
    f->warm.slow = false;
    table_tier_land(&f->warm);
    assert_int_equal(sets_done, 1);
    assert_int_equal(t.status, STATUS_OK);
    assert_true(slice_equal(found(f, "k").value, slice_text("new")));
    kill_tag(f, "late");
    assert_int_equal(get(f, "k"), STATUS_MISS);
}

/* Both looks wait for a slow tier, and the soft invalidation comes between them. */
static void what_is_softened_between_the_looks_stays_stale(void **state)
{
    struct fixture *f = *state;
    struct slice tags[] = {slice_text("late")}, keys[] = {slice_text("k")};
    struct cache_tag t = {.key = keys[0], .tags = tags, .tags_count = 1, .done = tag_done};
    struct cache_invalidate i = {.keys = keys, .keys_count = 1, .soft = true, .done = invalidate_done};
    set(f, "k", "v");
    table_tier_find(&f->l1, keys[0])->used = false;
    f->warm.slow = true;
    sets_done = 0;
    assert_int_equal(cache_tag(f->cache, &t), CACHE_PENDING);
    table_tier_land(&f->warm); /* read; now its set looks */
    cache_invalidate(f->cache, &i);
    f->warm.slow = false;
    table_tier_land(&f->warm);
    assert_int_equal(sets_done, 1);
    assert_int_equal(t.status, STATUS_OK);
    assert_true(found(f, "k").stale);
}

#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_is_softened_between_the_looks_stays_stale),
        T(a_tag_given_later_takes_the_entry_along),
        T(it_is_so_in_every_tier),
        T(its_tags_stay_known_by_name_where_they_were),
        T(where_nobody_knows_them_by_name_they_stay_hashes),
        T(what_only_shared_memory_has_is_stored_there_alone),
        T(the_tags_it_had_stay),
        T(all_but_the_version_is_as_it_was),
        T(what_has_the_tag_is_left_alone),
        T(what_is_stale_stays_stale),
        T(what_was_invalidated_softly_stays_stale),
        T(what_is_known_not_to_exist_stays_so),
        T(more_than_16_in_all_change_nothing),
        T(what_is_not_there_gets_none),
        T(a_policy_that_stores_no_bare_sets_does_not_lose_the_entry),
        T(a_set_that_comes_while_a_tier_is_asked_wins_and_is_tagged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
