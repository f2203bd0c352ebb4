/* The chronicle of invalidations: what a line says, what is left out and counted, what is whose. */
#include <stdio.h>
#include "support/cache_rig.h"

enum { KEPT_MAX = 8192, NAMES_TOO_MANY = 500, NAMES_A_LINE = 32 };
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
        s->names[chronicled_text(t, s->names)] = '\0';
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
    chronicle_call(*state, &i, NOW_NS);
    struct seen s = see(*state);
    assert_int_equal(s.count, 1);
    assert_string_equal(s.names, "key a, key b, tag t, glob *:x");
    assert_string_equal(s.by, "app");
    assert_string_equal(s.cause, "user.left");
    assert_true(s.first.soft && !s.first.elsewhere && s.first.pid == 7 && s.first.keys == 2);
}

static void names_that_do_not_fit_are_counted(void **state)
{
    static struct slice keys[500];
    for (unsigned n = 0; n < 500; n++)
        keys[n] = slice_text("a_key_of_some_length");
    struct cache_invalidate i = {.keys = keys, .keys_count = 500};
    chronicle_call(*state, &i, NOW_NS);
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
    chronicle_call(*state, &i, NOW_NS);
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

/* ======= of one key ======= */

enum { HASH_SECRET = 11 };

static struct chronicle_found find(const struct chronicle *c, const char *key, const char *tag)
{
    static uint64_t hash;
    hash = shm_hash_name(HASH_SECRET, SHM_NAME_TAG, slice_text(tag));
    struct named_of of = {slice_text(key), &hash, *tag != '\0', *tag != '\0', HASH_SECRET};
    struct chronicle_found f;
    chronicle_find(c, &of, &f);
    return f;
}

/* One call that names one thing, at that position. */
static void call_one(struct chronicle *c, uint64_t v, const char *kind, const char *name)
{
    struct slice names[] = {slice_text(name)};
    struct cache_invalidate i = {.result = {.v = v}, .all = *kind == 'a'};
    switch (*kind) {
    case 'k': i.keys = names, i.keys_count = 1; break;
    case 't': i.tags = names, i.tags_count = 1; break;
    case 'p': i.prefixes = names, i.prefixes_count = 1; break;
    case 'g': i.globs = names, i.globs_count = 1; break;
    default: break;
    }
    chronicle_call(c, &i, NOW_NS);
}

static void a_key_finds_the_newest_that_concerned_it_and_by_what(void **state)
{
    struct chronicle *c = *state;
    static const struct {
        const char *kind, *name, *others;
    } steps[] = {{"key", "acme:user:7", "acme:user:77"},
                 {"tag", "team", "teams"},
                 {"prefix", "acme:user:", "acme:users:"},
                 {"glob", "*:user:7", "*:user:8"},
                 {"all", "", ""}};
    for (unsigned n = 0; n < COUNT_OF(steps); n++) {
        uint64_t v = 10 * (n + 1);
        call_one(c, v, steps[n].kind, steps[n].name);
        if (*steps[n].others)
            call_one(c, v + 1, steps[n].kind, steps[n].others);
        struct chronicle_found f = find(c, "acme:user:7", "team");
        assert_true(f.found && !f.stopped && !f.uncertain && !f.skipped);
        assert_int_equal(f.line.v, v);
        assert_string_equal(named_word(f.by.kind), steps[n].kind);
        assert_true(slice_equal(f.by.name, slice_text(steps[n].name)));
    }
}

static void a_key_that_nothing_concerned_finds_nothing(void **state)
{
    call_one(*state, 1, "key", "a, tag team, b"); /* bytes are bytes, not a list */
    call_one(*state, 2, "tag", "other");
    struct chronicle_found f = find(*state, "acme:user:7", "team");
    assert_true(!f.found && !f.stopped && f.lines == 2 && !f.tagged);
    f = find(*state, "acme:user:7", "");
    assert_true(!f.found && f.tagged == 1); /* its tags are not known: it may have been that one */
    assert_false(find(*state, "b", "").found);
}

static void what_is_not_written_down_makes_it_uncertain(void **state)
{
    static struct slice keys[NAMES_TOO_MANY];
    for (unsigned n = 0; n < NAMES_TOO_MANY; n++)
        keys[n] = slice_text("some_key");
    struct cache_invalidate i = {.keys = keys, .keys_count = NAMES_TOO_MANY};
    call_one(*state, 1, "key", "k");
    chronicle_call(*state, &i, NOW_NS);
    struct chronicle_found f = find(*state, "k", "");
    assert_true(f.found && f.uncertain == 1);
    call_one(*state, 2, "key", "k");
    assert_int_equal(find(*state, "k", "").uncertain, 0);
    for (uint64_t v = 3; v < CHRONICLE_A_SECOND + 10; v++)
        tell_tag(*state, v, NOW_NS);
    assert_true(find(*state, "k", "").skipped > 0);
}

static void a_key_is_looked_for_among_a_bounded_number_of_names(void **state)
{
    static struct slice keys[NAMES_A_LINE];
    for (unsigned n = 0; n < NAMES_A_LINE; n++)
        keys[n] = slice_text("x");
    struct cache_invalidate i = {.keys = keys, .keys_count = NAMES_A_LINE};
    call_one(*state, 1, "key", "k");
    unsigned lines = CHRONICLE_NAMES / NAMES_A_LINE;
    for (unsigned n = 0; n < lines - 1; n++)
        chronicle_call(*state, &i, NOW_NS);
    assert_true(find(*state, "k", "").found);
    chronicle_call(*state, &i, NOW_NS);
    struct chronicle_found f = find(*state, "k", "");
    assert_true(!f.found && f.stopped && f.lines == lines);
}

static void what_was_named_is_compared_in_the_next_run_too(void **state)
{
    call_one(*state, 7, "tag", "team");
    struct chronicle *again = chronicle_create(&notes.outbox);
    assert_int_equal(find(again, "k", "team").line.v, 7);
    chronicle_destroy(again);
}

static void broken_bytes_of_an_earlier_run_name_nothing_beyond_them(void **state)
{
    struct {
        struct chronicled told;
        char text[4];
    } line;
    memset(&line, 0, sizeof(line));
    line.told.names_bytes = sizeof(line.text);
    memcpy(line.text, "\1\377\377k", sizeof(line.text)); /* a tag of 65,535 bytes */
    keep(&notes.outbox, 1, slice_of(&line, offsetof(__typeof__(line), text) + sizeof(line.text)));
    struct chronicle *again = chronicle_create(&notes.outbox);
    struct chronicle_found f = find(again, "k", "team");
    assert_true(f.lines == 1 && !f.found);
    assert_string_equal(see(again).names, "");
    chronicle_destroy(again);
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
        KEPT(a_key_finds_the_newest_that_concerned_it_and_by_what),
        KEPT(a_key_that_nothing_concerned_finds_nothing),
        KEPT(what_is_not_written_down_makes_it_uncertain),
        KEPT(a_key_is_looked_for_among_a_bounded_number_of_names),
        KEPT(what_was_named_is_compared_in_the_next_run_too),
        KEPT(broken_bytes_of_an_earlier_run_name_nothing_beyond_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
