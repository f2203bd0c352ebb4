/* invalidate by glob, as cache/ decides it. */
#include <stdio.h>
#include "support/cache_rig.h"

static enum status kill_glob(struct fixture *f, const char *glob)
{
    struct slice globs[] = {slice_text(glob)};
    struct cache_invalidate i = {.globs = globs, .globs_count = 1, .done = invalidate_done};
    assert_int_equal(cache_invalidate(f->cache, &i), CACHE_DONE);
    return i.status;
}

static void what_matches_is_gone_from_every_tier_and_the_rest_stays(void **state)
{
    struct fixture *f = *state;
    set(f, "acme:k:1", "v");
    set(f, "acme:l:1", "v");
    assert_int_equal(kill_glob(f, "*:k:*"), STATUS_OK);
    assert_int_equal(get(f, "acme:k:1"), STATUS_MISS);
    assert_int_equal(get(f, "acme:l:1"), STATUS_HIT);
    set(f, "acme:k:1", "newer");
    assert_int_equal(get(f, "acme:k:1"), STATUS_HIT);
}

/* C6 */
static void a_fill_is_refused_after_a_glob_that_matches_and_no_other(void **state)
{
    struct fixture *f = *state;
    struct asked miss;
    ask(f, &miss, "acme:k");
    kill_glob(f, "*:l");
    assert_int_equal(set_with_token(f, &miss.get, "v", "t"), STATUS_OK);
    invalidate(f, "acme:k");
    ask(f, &miss, "acme:k");
    kill_glob(f, "*:k");
    assert_int_equal(set_with_token(f, &miss.get, "v", "t"), STATUS_REFUSED);
    assert_int_equal(get(f, "acme:k"), STATUS_MISS);
}

/* F9 */
static void a_read_under_way_is_not_believed_after_a_glob(void **state)
{
    struct fixture *f = *state;
    set(f, "acme:k", "v");
    table_tier_find(&f->l1, slice_text("acme:k"))->used = false;
    f->warm.slow = true;
    struct asked slow, late;
    assert_int_equal(ask(f, &slow, "acme:k"), CACHE_PENDING);
    kill_glob(f, "*:k");
    assert_int_equal(ask(f, &late, "acme:k"), CACHE_PENDING);
    table_tier_land(&f->warm);
    assert_int_equal(late.done, 1);
    assert_int_equal(late.get.status, STATUS_MISS);
    f->warm.slow = false;
    assert_int_equal(get(f, "acme:k"), STATUS_MISS);
}

static void softly_it_is_stale(void **state)
{
    struct fixture *f = *state;
    set(f, "acme:k", "v");
    struct slice globs[] = {slice_text("acme:*")};
    struct cache_invalidate i = {.globs = globs, .globs_count = 1, .soft = true};
    cache_invalidate(f->cache, &i);
    struct asked a;
    ask(f, &a, "acme:k");
    assert_int_equal(a.get.status, STATUS_HIT);
    assert_true(a.get.entry.stale);
}

static void a_dry_run_changes_nothing(void **state)
{
    struct fixture *f = *state;
    set(f, "acme:k", "v");
    struct slice globs[] = {slice_text("acme:*")};
    struct cache_invalidate i = {.globs = globs, .globs_count = 1, .dry_run = true};
    cache_invalidate(f->cache, &i);
    assert_int_equal(i.status, STATUS_OK);
    assert_int_equal(get(f, "acme:k"), STATUS_HIT);
}

static void what_is_none_and_too_many_are_refused_with_a_sentence(void **state)
{
    struct fixture *f = *state;
    struct slice globs[CACHE_GLOBS_MAX + 1], bad[] = {slice_text("a*b*")};
    for (unsigned n = 0; n <= CACHE_GLOBS_MAX; n++)
        globs[n] = slice_text("a:*");
    struct cache_invalidate i = {.globs = globs, .globs_count = CACHE_GLOBS_MAX + 1};
    cache_invalidate(f->cache, &i);
    assert_int_equal(i.status, STATUS_LIMIT);
    i = (struct cache_invalidate){.globs = bad, .globs_count = 1};
    cache_invalidate(f->cache, &i);
    assert_int_equal(i.status, STATUS_BAD_REQUEST);
    assert_non_null(i.message);
}

static void one_glob_too_many_gives_up_what_is_older_than_the_oldest(void **state)
{
    struct fixture *f = *state;
    char glob[16];
    set(f, "acme:k", "ancient");
    for (int n = 0; n < BANS_MAX; n++) {
        snprintf(glob, sizeof(glob), "g%d:*", n);
        kill_glob(f, glob);
        if (n == 0)
            set(f, "acme:l", "younger");
    }
    assert_int_equal(get(f, "acme:k"), STATUS_HIT);
    set(f, "g:1:more", "v");
    assert_int_equal(kill_glob(f, "g:*:more"), STATUS_OK);
    assert_int_equal(get(f, "acme:k"), STATUS_MISS);
    assert_int_equal(get(f, "acme:l"), STATUS_HIT);
    assert_int_equal(get(f, "g:1:more"), STATUS_MISS);
    struct cache_figures figures;
    cache_measure(f->cache, &figures);
    assert_int_equal(figures.globs_displaced, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_matches_is_gone_from_every_tier_and_the_rest_stays),
        TEST(a_fill_is_refused_after_a_glob_that_matches_and_no_other),
        TEST(a_read_under_way_is_not_believed_after_a_glob),
        TEST(softly_it_is_stale),
        TEST(a_dry_run_changes_nothing),
        TEST(what_is_none_and_too_many_are_refused_with_a_sentence),
        TEST(one_glob_too_many_gives_up_what_is_older_than_the_oldest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
