/* The hottest keys of a round, in their order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include "app/top.h"

static char name[] = "n";
static struct config_namespace config = {.name = name};

static void offer(struct top_keys *t, const char *key, unsigned rank)
{
    top_keys_offer(t, slice_text(key), rank, rank >> 8);
}

/* "key key …" */
static void expect_shown(struct top_keys *t, const char *wanted)
{
    struct space s = {.config = &config, .top_keys = t};
    json_t *array = json_array(), *row;
    char shown[512] = "";
    size_t i;
    top_keys_list(array, &s);
    json_array_foreach(array, i, row)
    {
        if (i)
            strcat(shown, " ");
        strcat(shown, json_string_value(json_object_get(row, "key")));
    }
    assert_string_equal(shown, wanted);
    json_decref(array);
}

static void the_highest_rank_comes_first(void **state)
{
    struct top_keys *t = top_keys_create();
    expect_shown(t, "");
    offer(t, "middle", 300);
    offer(t, "last", 200);
    offer(t, "first", 4000);
    expect_shown(t, "first middle last");
    top_keys_destroy(t);
}

static void the_least_gives_way_when_there_is_no_more_room(void **state)
{
    struct top_keys *t = top_keys_create();
    char key[16];
    for (unsigned n = 0; n < 2 * TOP_NAMES; n++) {
        snprintf(key, sizeof(key), "%u", n);
        offer(t, key, 100 + n);
    }
    offer(t, "as good as the last is not better", 100 + TOP_NAMES);
    expect_shown(t, "39 38 37 36 35 34 33 32 31 30 29 28 27 26 25 24 23 22 21 20");
    top_keys_destroy(t);
}

static void after_the_first_round_only_whole_ones_are_shown(void **state)
{
    struct top_keys *t = top_keys_create();
    offer(t, "old", 300);
    top_keys_round(t);
    offer(t, "new", 200);
    expect_shown(t, "old");
    top_keys_round(t);
    expect_shown(t, "new");
    top_keys_round(t);
    expect_shown(t, "");
    top_keys_destroy(t);
}

static void nothing_secret_is_told(void **state)
{
    struct top_keys *t = top_keys_create();
    offer(t, "k", 300);
    config.cache.secret = true;
    expect_shown(t, "");
    config.cache.secret = false;
    expect_shown(t, "k");
    top_keys_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_highest_rank_comes_first),
        cmocka_unit_test(the_least_gives_way_when_there_is_no_more_room),
        cmocka_unit_test(after_the_first_round_only_whole_ones_are_shown),
        cmocka_unit_test(nothing_secret_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
