/* Shapes of keys (cache/shape.h), and every verb of a cache whose namespace demands one. */
#include "cache/shape.h"

#include "support/cache_rig.h"
#include "support/load_rig.h"

#define FITS(shape, key)   assert_true(shape_fits(shape, slice_text(key)))
#define MISFIT(shape, key) assert_false(shape_fits(shape, slice_text(key)))

static void a_key_has_as_many_parts_as_its_shape_and_none_of_them_empty(void **state)
{
    FITS("tenant:resource:id", "acme:user:7");
    FITS("tenant", "acme");
    MISFIT("tenant:resource:id", "acme:user");
    MISFIT("tenant:resource:id", "acme:user:7:v1");
    MISFIT("tenant:resource:id", ":user:7");
    MISFIT("tenant:resource:id", "acme::7");
    MISFIT("tenant:resource:id", "acme:user:");
    MISFIT("tenant", "acme:user");
}

static void a_star_takes_one_part_and_more(void **state)
{
    FITS("tenant:*", "acme:user");
    FITS("tenant:*", "acme:user:7:v1");
    FITS("*", "anything:at:all");
    MISFIT("tenant:*", "acme");
    MISFIT("tenant:*", "acme:");
    MISFIT("tenant:*", ":user");
    MISFIT("tenant:*", "acme:user::v1");
    MISFIT("tenant:*", "acme:user:");
}

static void no_shape_fits_all(void **state)
{
    FITS("", "acme");
    FITS("", "::");
}

static void parts_are_bytes(void **state)
{
    assert_true(shape_fits("tenant:id", slice_of("a\0b:\0", 5)));
    assert_false(shape_fits("tenant:id", slice_of("a\0b:", 4)));
}

static void a_shape_has_names_and_a_star_at_its_end_only(void **state)
{
    static const char *const good[] = {"", "tenant", "tenant:resource:id:version", "tenant:*", "*"};
    static const char *const wrong[] = {":", "tenant:", ":id", "a::b", "*:id", "a:*:b", "a*", "a:b*"};
    for (unsigned i = 0; i < COUNT_OF(good); i++)
        assert_true(shape_ok(good[i]));
    for (unsigned i = 0; i < COUNT_OF(wrong); i++)
        assert_false(shape_ok(wrong[i]));
}

/* ======= the verbs ======= */

static void every_verb_that_names_a_key_of_another_shape_refuses_it(void **state)
{
    struct fixture *f = *state;
    struct load_peer ann;
    struct caller a;
    struct slice keys[] = {slice_text("acme:user:7"), slice_text("user7")};
    struct cache_touch touch = {.key = slice_text("user7"), .ttl_ms = 1000};
    struct cache_invalidate i = {.keys = keys, .keys_count = 2};
    f->options.key_shape = "tenant:*";
    set(f, "acme:user:7", "v");
    assert_int_equal(get(f, "user7"), STATUS_BAD_SHAPE);
    struct cache_set s = a_set("user7", "v");
    assert_int_equal(cache_set(f->cache, &s), CACHE_DONE);
    assert_int_equal(s.status, STATUS_BAD_SHAPE);
    assert_int_equal(cache_touch(f->cache, &touch), CACHE_DONE);
    assert_int_equal(touch.status, STATUS_BAD_SHAPE);
    load_peer_init(&ann, 1);
    want(f->cache, &a, &ann, "user7");
    ASSERT_STATUS(a, BAD_SHAPE);
    assert_int_equal(a.load.token_bytes, 0);
    assert_int_equal(cache_invalidate(f->cache, &i), CACHE_DONE);
    assert_int_equal(i.status, STATUS_BAD_SHAPE);
    assert_non_null(i.message);
    assert_int_equal(get(f, "acme:user:7"), STATUS_HIT); /* the whole call was refused */
}

static void prefixes_and_tags_have_no_shape(void **state)
{
    struct fixture *f = *state;
    struct slice names[] = {slice_text("acme:")};
    struct cache_invalidate i = {.prefixes = names, .prefixes_count = 1, .tags = names, .tags_count = 1};
    f->options.key_shape = "tenant:resource:id";
    set(f, "acme:user:7", "v");
    assert_int_equal(cache_invalidate(f->cache, &i), CACHE_DONE);
    assert_int_equal(i.status, STATUS_OK);
    assert_int_equal(get(f, "acme:user:7"), STATUS_MISS);
}

#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_has_as_many_parts_as_its_shape_and_none_of_them_empty),
        cmocka_unit_test(a_star_takes_one_part_and_more),
        cmocka_unit_test(no_shape_fits_all),
        cmocka_unit_test(parts_are_bytes),
        cmocka_unit_test(a_shape_has_names_and_a_star_at_its_end_only),
        T(every_verb_that_names_a_key_of_another_shape_refuses_it),
        T(prefixes_and_tags_have_no_shape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
