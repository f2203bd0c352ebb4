/* The chronicle of invalidations: what a line says, what is left out and counted, what is whose. */
#include <stdio.h>
#include "support/cache_rig.h"

enum { KEPT_MAX = 8192 };
#define NOW_NS (1000 * NS_PER_S)

/* A store in memory that outlives the chronicle. */
struct notes {
    struct outbox outbox;
    struct {
        uint64_t number;
        size_t size;
        char bytes[1024];
    } kept[KEPT_MAX];
    unsigned count;
};
static struct notes notes;

static int keep(struct outbox *o, uint64_t number, struct slice bytes)
{
    unsigned n = 0;
    while (n < notes.count && notes.kept[n].number != number)
        n++;
    assert_true(n < KEPT_MAX && bytes.size <= sizeof(notes.kept[n].bytes));
    notes.count += n == notes.count;
    notes.kept[n].number = number;
    notes.kept[n].size = bytes.size;
    memcpy(notes.kept[n].bytes, bytes.data, bytes.size);
    return TIER_DONE;
}

static void drop_up_to(struct outbox *o, uint64_t number)
{
    unsigned left = 0;
    for (unsigned n = 0; n < notes.count; n++)
        if (notes.kept[n].number > number)
            notes.kept[left++] = notes.kept[n];
    notes.count = left;
}

static void each(struct outbox *o, void (*each_one)(void *user, uint64_t number, struct slice bytes),
                 void *user)
{
    for (unsigned n = 0; n < notes.count; n++)
        each_one(user, notes.kept[n].number, slice_of(notes.kept[n].bytes, notes.kept[n].size));
}

static const struct outbox_ops notes_ops = {keep, drop_up_to, each};

static int open_notes(void **state)
{
    notes.count = 0;
    notes.outbox.ops = &notes_ops;
    *state = chronicle_create(&notes.outbox);
    return 0;
}

static int close_notes(void **state)
{
    chronicle_destroy(*state);
    return 0;
}

struct seen {
    unsigned count;
    struct chronicled first;
    char names[CHRONICLE_TEXT + 1], by[64], cause[64];
};

static void copy(char *to, struct slice s)
{
    memcpy(to, s.data, s.size);
    to[s.size] = '\0';
}

static bool see_one(void *user, const struct chronicled *t)
{
    struct seen *s = user;
    if (s->count++ == 0) {
        s->first = *t;
        copy(s->names, t->names);
        copy(s->by, t->by);
        copy(s->cause, t->cause);
    }
    return true;
}

static struct seen see(const struct chronicle *c)
{
    struct seen s = {.count = 0};
    chronicle_each(c, 0, see_one, &s);
    return s;
}

static void tell_record(struct chronicle *c, uint64_t v, bool stored)
{
    struct slice keys[] = {slice_text("k")};
    chronicle_record(c, 0, &(struct fleet_record){.v = v, .keys = keys, .keys_count = 1, .stored = stored},
                     NOW_NS);
}

static void tell_tag(struct chronicle *c, uint64_t v, uint64_t now_ns)
{
    struct slice tags[] = {slice_text("t")};
    chronicle_record(c, 0, &(struct fleet_record){.v = v, .tags = tags, .tags_count = 1}, now_ns);
}

static void a_line_says_who_what_and_because_of_what(void **state)
{
    struct slice keys[] = {slice_text("a"), slice_text("b")}, tags[] = {slice_text("t")},
                 globs[] = {slice_text("*:x")};
    struct cache_invalidate i = {.keys = keys,
                                 .keys_count = 2,
                                 .tags = tags,
                                 .tags_count = 1,
                                 .globs = globs,
                                 .globs_count = 1,
                                 .soft = true,
                                 .by = slice_text("app"),
                                 .cause = slice_text("user.left"),
                                 .pid = 7,
                                 .count = 1};
    chronicle_call(*state, &i, 3, NOW_NS);
    struct seen s = see(*state);
    assert_int_equal(s.count, 1);
    assert_string_equal(s.names, "key a, key b, tag t, glob *:x");
    assert_string_equal(s.by, "app");
    assert_string_equal(s.cause, "user.left");
    assert_true(s.first.soft && !s.first.elsewhere && s.first.pid == 7 && s.first.cascaded == 3 &&
                s.first.keys == 2);
}

static void names_that_do_not_fit_are_counted(void **state)
{
    static struct slice keys[500];
    for (unsigned n = 0; n < 500; n++)
        keys[n] = slice_text("a_key_of_some_length");
    struct cache_invalidate i = {.keys = keys, .keys_count = 500};
    chronicle_call(*state, &i, 0, NOW_NS);
    struct seen s = see(*state);
    assert_true(s.first.names_bytes <= CHRONICLE_TEXT);
    assert_non_null(strstr(s.names, ", …"));
    assert_int_equal(s.first.keys, 500);
}

static void records_of_others_are_told_and_sets_are_not(void **state)
{
    tell_record(*state, 5, true);
    assert_int_equal(see(*state).count, 0);
    tell_record(*state, 6, false);
    assert_true(see(*state).first.elsewhere);
}

static void an_own_change_is_told_once_whichever_of_answer_and_record_comes_first(void **state)
{
    struct cache_invalidate i = {.all = true};
    chronicle_own(*state, 0, 5);
    tell_record(*state, 5, false);
    assert_int_equal(see(*state).count, 0);
    tell_record(*state, 6, false);
    chronicle_own(*state, 0, 6);
    chronicle_call(*state, &i, 0, NOW_NS);
    assert_int_equal(see(*state).count, 1);
    assert_false(see(*state).first.elsewhere);
    struct chronicle *again = chronicle_create(&notes.outbox);
    assert_int_equal(see(again).count, 1);
    chronicle_destroy(again);
}

static void it_is_there_in_the_next_run(void **state)
{
    tell_record(*state, 5, false);
    struct chronicle *again = chronicle_create(&notes.outbox);
    assert_string_equal(see(again).names, "key k");
    tell_record(again, 6, false);
    assert_int_equal(see(again).count, 2);
    chronicle_destroy(again);
}

static void what_comes_too_fast_is_counted_in_the_line_after_it(void **state)
{
    struct chronicle *c = chronicle_create(NULL);
    for (uint64_t v = 1; v <= CHRONICLE_A_SECOND + 5; v++)
        tell_tag(c, v, NOW_NS);
    assert_false(chronicle_is_kept(c));
    assert_int_equal(see(c).count, CHRONICLE_A_SECOND);
    assert_int_equal(chronicle_skipped(c), 5);
    tell_tag(c, 9999, NOW_NS + NS_PER_S);
    assert_int_equal(see(c).first.skipped, 5);
    chronicle_destroy(c);
}

static void single_keys_of_others_leave_room_for_what_is_named(void **state)
{
    struct chronicle *c = chronicle_create(NULL);
    for (uint64_t v = 1; v <= 2 * CHRONICLE_A_SECOND; v++)
        tell_record(c, v, false);
    assert_int_equal(see(c).count, CHRONICLE_SINGLE_A_SECOND);
    assert_int_equal(chronicle_skipped(c), 2 * CHRONICLE_A_SECOND - CHRONICLE_SINGLE_A_SECOND);
    tell_tag(c, 9999, NOW_NS);
    assert_string_equal(see(c).names, "tag t");
    assert_int_equal(see(c).count, CHRONICLE_SINGLE_A_SECOND + 1);
    chronicle_destroy(c);
}

static void the_oldest_go_from_memory_and_store(void **state)
{
    struct chronicle *c = *state;
    /* More lines than are written in a second: as if they were of an earlier run. */
    struct chronicled told;
    memset(&told, 0, sizeof(told));
    notes.count = 0;
    for (uint64_t n = 1; n <= CHRONICLE_MAX + 100; n++) {
        told.v = n;
        keep(&notes.outbox, n, slice_of(&told, sizeof(told)));
    }
    c = chronicle_create(&notes.outbox);
    struct seen s = see(c);
    assert_true(s.count <= CHRONICLE_MAX);
    assert_int_equal(s.first.v, CHRONICLE_MAX + 100);
    for (unsigned n = 0; n < 256; n++)
        tell_tag(c, 100000 + n, NOW_NS);
    assert_true(notes.count <= CHRONICLE_MAX + 256);
    chronicle_destroy(c);
}

#define KEPT(name) cmocka_unit_test_setup_teardown(name, open_notes, close_notes)

int main(void)
{
    const struct CMUnitTest tests[] = {
        KEPT(a_line_says_who_what_and_because_of_what),
        KEPT(names_that_do_not_fit_are_counted),
        KEPT(records_of_others_are_told_and_sets_are_not),
        KEPT(an_own_change_is_told_once_whichever_of_answer_and_record_comes_first),
        KEPT(it_is_there_in_the_next_run),
        KEPT(what_comes_too_fast_is_counted_in_the_line_after_it),
        KEPT(single_keys_of_others_leave_room_for_what_is_named),
        KEPT(the_oldest_go_from_memory_and_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
