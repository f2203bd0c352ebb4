/* Runs of policies' warmings, with the clock, the tiers and the loaders in hand (cache/runs.h). */
#include "cache/runs.h"

#include "support/loader_rig.h"

#define EVERY (100 * NS_PER_S)

static struct policy_source a_policy(struct fixture *f, const char *warming)
{
    struct policy_source s = {.name = "pages", .rule = cache_default_rule(&f->options)};
    s.rule.pattern = "page:*";
    s.rule.warming = warming;
    s.rule.ttl = s.rule.max_ttl = 10 * EVERY;
    s.rule.warming_interval = EVERY;
    s.rule.warming_at_a_time = 16;
    s.rule.warming_batch = 1000;
    return s;
}

static void take(struct fixture *f, const struct policy_source *s, unsigned count)
{
    struct policy_rule own = cache_default_rule(&f->options);
    struct policy_fault fault;
    struct policies *p = policies_create(&own, s, count, cache_policies(f->cache), &fault);
    if (!p)
        fail_msg("%s: %s", fault.option, fault.why);
    cache_take_policies(f->cache, p);
}

/* Turns of a millisecond, so that a run comes to its end. */
static void settle(struct fixture *f)
{
    for (unsigned i = 0; i < 20; i++)
        pass(f, NS_PER_MS);
}

static struct run_look look(const struct fixture *f)
{
    struct run_look l;
    assert_true(run_look(f->cache, 1, &l));
    return l;
}

static const char *by_hand(struct fixture *f, const char *name)
{
    unsigned number;
    return run_begin(f->cache, slice_text(name), &number);
}

static void run_by_hand(struct fixture *f)
{
    assert_null(by_hand(f, "pages"));
    settle(f);
}

static struct scene {
    struct loader *ann, *ben; /* of page:*; NULL: not there */
    struct hand a, b;         /* one each */
} the;                        /* and not on a stack: leaving answers what is open */

static int begin_runs(void **state)
{
    the = (struct scene){0};
    begin(state);
    struct fixture *f = *state;
    f->options.warming = true;
    f->options.max_ttl = 10 * EVERY;
    return 0;
}

static int end_runs(void **state)
{
    the.ann = loader_leave(the.ann);
    the.ben = loader_leave(the.ben);
    settle(*state); /* a run that waited for them ends */
    return end(state);
}

static struct fixture *with_policy(void **state, const char *warming)
{
    struct policy_source s = a_policy(*state, warming);
    take(*state, &s, 1);
    return *state;
}

static void fall_due(struct fixture *f)
{
    pass(f, EVERY);
    settle(f);
}

static void store_below(struct fixture *f, const char *key)
{
    assert_int_equal(set(f, key, "v"), STATUS_OK);
    table_tier_find(&f->l1, slice_text(key))->used = false;
}

static bool is_near(struct fixture *f, const char *key)
{
    return table_tier_find(&f->l1, slice_text(key)) != NULL;
}

/* ======= where keys come from ======= */

static void named_keys_and_ranges_are_pulled_up(void **state)
{
    struct fixture *f = with_policy(state, "key page:home, key page:{8-10}:top");
    store_below(f, "page:home");
    store_below(f, "page:9:top");
    store_below(f, "page:11:top");
    fall_due(f);
    assert_int_equal(look(f).last.state, WARMING_DONE);
    assert_int_equal(look(f).last.loaded, 2);
    assert_int_equal(look(f).last.missing, 2);
    assert_true(is_near(f, "page:home") && is_near(f, "page:9:top"));
    assert_false(is_near(f, "page:11:top"));
}

static void what_is_stored_of_the_policy_is_pulled_up_and_nothing_else(void **state)
{
    struct fixture *f = with_policy(state, "stored");
    store_below(f, "page:1");
    store_below(f, "user:1");
    fall_due(f);
    assert_true(is_near(f, "page:1"));
    assert_false(is_near(f, "user:1"));
    assert_int_equal(look(f).last.done, 1);
}

static void without_shared_memory_a_run_has_nothing_to_fill_and_ends(void **state)
{
    struct fixture *f = *state;
    cache_destroy(f->cache);
    f->no_l1 = true;
    open_cache(f, 0);
    with_policy(state, "stored, key page:home");
    assert_int_equal(set(f, "page:1", "v"), STATUS_OK);
    fall_due(f);
    assert_int_equal(look(f).last.state, WARMING_DONE);
}

static void sources_that_make_no_sense_are_refused_with_a_reason(void **state)
{
    static const char *const wrong[] = {"pages",     "file hot.txt", "key ",
                                        "key a{1-}", "key a{9-1}",   "key a{1-9000000}"};
    struct fixture *f = *state;
    struct policy_rule own = cache_default_rule(&f->options);
    struct policy_fault fault;
    for (unsigned i = 0; i < COUNT_OF(wrong); i++) {
        struct policy_source s = a_policy(f, wrong[i]);
        assert_null(policies_create(&own, &s, 1, NULL, &fault));
        assert_string_equal(fault.option, "warming");
    }
}

/* ======= loaders ======= */

static struct fixture *ready(struct fixture *f)
{
    the.ann = join(f, "page:*");
    offer(f, &the.a, the.ann);
    return f;
}

/* The run falls due, asks for page:1 and is brought it. */
static void load_page_1(struct fixture *f, const char *value)
{
    fall_due(f);
    ASSERT_ASKED(the.a, "page:1");
    bring(f, &the.a, value);
    settle(f);
    assert_int_equal(look(f).last.brought, 1);
}

static void assert_young_yet(struct fixture *f)
{
    offer(f, &the.a, the.ann);
    run_by_hand(f);
    assert_int_equal(the.a.answers, 0);
    assert_int_equal(look(f).last.here, 1);
}

static void what_is_nowhere_is_loaded_and_so_is_what_is_older_than_half_an_interval(void **state)
{
    struct fixture *f = ready(with_policy(state, "key page:1"));
    load_page_1(f, "first");
    assert_young_yet(f);
    load_page_1(f, "second");
}

/* It is brought by one host's run, and looked at by that of the next. */
static void assert_loaded_once(struct fixture *f, const struct policy_source *s, unsigned count)
{
    take(f, s, count);
    ready(f);
    load_page_1(f, "first");
    assert_young_yet(f);
}

static void a_life_that_is_cut_by_a_tier_is_young_all_the_same(void **state)
{
    struct fixture *f = *state;
    struct policy_source s = a_policy(f, "key page:1");
    s.rule.l1_ttl = 5 * EVERY;
    assert_loaded_once(f, &s, 1);
}

static void so_is_one_that_is_cut_by_its_jitter(void **state)
{
    struct fixture *f = *state;
    struct policy_source s = a_policy(f, "key page:1");
    s.rule.jitter = 500;
    assert_loaded_once(f, &s, 1);
}

static void of_another_policys_keys_only_those_that_are_nowhere_or_stale_are_loaded(void **state)
{
    struct fixture *f = *state;
    struct policy_source s[] = {a_policy(f, "key page:1"), a_policy(f, "")};
    s[0].rule.pattern = "other:*";
    s[1].name = "short";
    s[1].rule.ttl = 2 * EVERY;
    s[1].rule.warming_interval = 0;
    assert_loaded_once(f, s, 2);
}

static void no_more_keys_are_out_than_the_policy_says(void **state)
{
    struct fixture *f = *state;
    struct policy_source s = a_policy(f, "key page:{1-9}");
    static struct hand more[2];
    s.rule.warming_at_a_time = 2;
    take(f, &s, 1);
    ready(f);
    offer(f, &more[0], the.ann);
    offer(f, &more[1], the.ann);
    fall_due(f);
    assert_int_equal(the.a.answers + more[0].answers + more[1].answers, 2);
}

/* ======= keys that a loader names ======= */

static void can_list(struct loader *l)
{
    assert_true(can(l, "page:*", 1));
}

static void list_from(struct fixture *f, struct hand *h, struct loader *l)
{
    can_list(l);
    offer(f, h, l);
}

static void begin_listing(struct fixture *f)
{
    the.ann = join(f, "page:*");
    list_from(f, &the.a, the.ann);
    run_by_hand(f);
    assert_int_equal(the.a.offer.kind, OFFER_LIST);
}

static struct fixture *listing(void **state)
{
    struct fixture *f = with_policy(state, "loader");
    begin_listing(f);
    return f;
}

static enum status name(struct fixture *f, const struct hand *h, const char *key, enum listed how)
{
    struct slice keys[] = {slice_text(key), slice_text("user:1")};
    uint32_t taken;
    enum status s = loader_listed(f->cache, hand_token(h), keys, how == LISTED_FAILED ? 0 : 2, how, &taken);
    assert_int_equal(taken, s == STATUS_OK && how != LISTED_FAILED ? 2 : 0);
    return s;
}

static void keys_that_a_loader_names_are_warmed_and_those_of_other_policies_passed_over(void **state)
{
    struct fixture *f = with_policy(state, "loader");
    store_below(f, "page:1");
    store_below(f, "page:2");
    store_below(f, "user:1");
    begin_listing(f);
    assert_int_equal(name(f, &the.a, "page:1", LISTED_MORE), STATUS_OK);
    settle(f);
    assert_true(look(f).is_running);
    assert_int_equal(name(f, &the.a, "page:2", LISTED_LAST), STATUS_OK);
    settle(f);
    assert_int_equal(look(f).last.state, WARMING_DONE);
    assert_int_equal(look(f).last.loaded, 2);
    assert_false(is_near(f, "user:1"));
    assert_int_equal(name(f, &the.a, "page:3", LISTED_MORE), STATUS_REFUSED);
}

static void a_loader_that_goes_while_it_names_keys_is_followed_by_another(void **state)
{
    struct fixture *f = listing(state);
    the.ben = join(f, "page:*");
    list_from(f, &the.b, the.ben);
    the.ann = loader_leave(the.ann);
    assert_int_equal(the.b.offer.kind, OFFER_LIST);
    assert_int_equal(name(f, &the.a, "page:1", LISTED_LAST), STATUS_REFUSED);
    the.ben = loader_leave(the.ben);
    settle(f);
    assert_int_equal(look(f).last.state, WARMING_FAILED);
    assert_string_equal(look(f).last.why, "no loader is registered that names its keys");
}

static void one_that_cannot_be_told_to_name_keys_is_followed_by_the_next_hand(void **state)
{
    struct fixture *f = with_policy(state, "loader");
    the.ann = join(f, "page:*"), the.ben = join(f, "page:*");
    can_list(the.ann);
    run_by_hand(f);
    offer_as(f, &the.a, the.ann, 3600 * NS_PER_S, true);
    list_from(f, &the.b, the.ben);
    assert_int_equal(the.b.answers, 1);
    assert_int_equal(the.b.offer.kind, OFFER_LIST);
    assert_int_equal(name(f, &the.a, "page:1", LISTED_LAST), STATUS_REFUSED);
    assert_int_equal(name(f, &the.b, "page:1", LISTED_LAST), STATUS_OK);
}

/* As many as there is room for. */
static void name_many(struct fixture *f, const struct hand *h)
{
    char text[32];
    uint32_t taken = 1;
    for (unsigned i = 0; taken; i++) {
        snprintf(text, sizeof(text), "page:%u", i);
        struct slice key = slice_text(text);
        if (loader_listed(f->cache, hand_token(h), &key, 1, LISTED_MORE, &taken) != STATUS_OK)
            return;
    }
}

static void more_keys_than_there_is_room_for_and_no_hand_but_who_names_them_end_the_run(void **state)
{
    struct fixture *f = listing(state);
    for (unsigned n = 0; n < 3; n++) {
        name_many(f, &the.a);
        settle(f);
    }
    assert_true(look(f).is_running);
    pass(f, 2 * NS_PER_S);
    name_many(f, &the.a);
    settle(f);
    assert_int_equal(look(f).last.state, WARMING_FAILED);
    assert_string_equal(look(f).last.why,
                        "its keys are more than there is room for, and nobody has a hand free to load them");
}

static void one_that_cannot_name_them_and_one_that_takes_too_long_end_the_run(void **state)
{
    struct fixture *f = listing(state);
    assert_int_equal(name(f, &the.a, "", LISTED_FAILED), STATUS_OK);
    settle(f);
    assert_string_equal(look(f).last.why, "the loader that was to name its keys could not");
    list_from(f, &the.a, the.ann);
    run_by_hand(f);
    pass(f, 11 * NS_PER_S);
    settle(f);
    assert_string_equal(look(f).last.why, "the loader that was to name its keys took too long");
    assert_int_equal(name(f, &the.a, "page:1", LISTED_MORE), STATUS_REFUSED);
}

static void a_run_that_is_cancelled_wants_no_more_names(void **state)
{
    struct fixture *f = listing(state);
    struct slice keys[] = {slice_text("page:1")};
    uint32_t taken;
    run_cancel(f->cache, 1);
    settle(f);
    loader_listed(f->cache, hand_token(&the.a), keys, 1, LISTED_MORE, &taken);
    assert_int_equal(taken, 0);
    assert_int_equal(name(f, &the.a, "page:1", LISTED_MORE), STATUS_REFUSED);
}

/* ======= health first ======= */

static void a_run_without_its_loader_is_put_off_until_there_is_one(void **state)
{
    struct fixture *f = with_policy(state, "loader");
    fall_due(f);
    assert_string_equal(look(f).waits_for, "no loader is registered that names its keys");
    assert_false(look(f).has_last);
    pass(f, NS_PER_S);
    pass(f, NS_PER_S);
    assert_int_equal(look(f).days[0].put_off, 1);
    assert_string_equal(by_hand(f, "pages"), "no loader is registered that names its keys");
}

static void a_cache_that_is_switched_off_warms_nothing(void **state)
{
    struct fixture *f = with_policy(state, "key page:1");
    f->options.cache = false;
    fall_due(f);
    assert_string_equal(look(f).waits_for, "the cache is switched off");
}

static void schedules_can_be_switched_off_and_runs_by_hand_go_on(void **state)
{
    struct fixture *f = with_policy(state, "key page:1");
    f->options.warming = false;
    pass(f, 2 * EVERY);
    settle(f);
    assert_false(look(f).has_last);
    run_by_hand(f);
    assert_int_equal(look(f).last.state, WARMING_DONE);
}

/* ======= by hand ======= */

static void by_hand_it_is_told_why_not(void **state)
{
    struct fixture *f = *state;
    struct policy_source s[] = {a_policy(f, "key page:1"), a_policy(f, "")};
    s[1].name = "users";
    s[1].rule.pattern = "user:*";
    take(f, s, 2);
    assert_string_equal(by_hand(f, "nobody"), "there is no such policy in this namespace");
    assert_string_equal(by_hand(f, "users"),
                        "the policy does not say what to warm: [policy NAME] warming = …");
    f->warm.slow = true;
    assert_null(by_hand(f, "pages"));
    pass(f, NS_PER_MS);
    assert_string_equal(by_hand(f, "pages"), "its last run is still going");
    assert_true(look(f).is_running && look(f).by_hand);
    f->warm.slow = false;
    table_tier_land(&f->warm);
    settle(f);
    assert_int_equal(look(f).days[0].runs, 1);
}

static void what_falls_due_while_it_runs_is_skipped_and_counted(void **state)
{
    struct fixture *f = with_policy(state, "key page:1");
    f->warm.slow = true;
    pass(f, EVERY);
    pass(f, NS_PER_MS);
    assert_true(look(f).is_running);
    pass(f, EVERY);
    assert_int_equal(look(f).days[0].skipped, 1);
    f->warm.slow = false;
    table_tier_land(&f->warm);
    settle(f);
}

/* ======= ends ======= */

static void a_policy_that_is_gone_ends_with_its_run(void **state)
{
    struct fixture *f = *state;
    struct policy_source s = a_policy(f, "key page:{1-100000}");
    s.rule.warming_batch = 1;
    take(f, &s, 1);
    pass(f, EVERY);
    assert_true(look(f).is_running);
    take(f, NULL, 0);
    settle(f);
    assert_int_equal(look(f).last.state, WARMING_FAILED);
    assert_string_equal(look(f).last.why, "there is no such policy any more");
    assert_true(look(f).left_ns == UINT64_MAX);
}

/* ======= numbers and names ======= */

/* Policies of keys of their own, name-first and on, as one configuration. */
static void take_named(struct fixture *f, unsigned first, unsigned count, const char *warming)
{
    static char names[POLICIES_MAX][16], patterns[POLICIES_MAX][16];
    struct policy_source s[POLICIES_MAX];
    for (unsigned n = 0; n < count; n++) {
        snprintf(names[n], sizeof(names[n]), "name-%u", first + n);
        snprintf(patterns[n], sizeof(patterns[n]), "kind-%u:*", first + n);
        s[n] = a_policy(f, warming);
        s[n].name = names[n];
        s[n].rule.pattern = patterns[n];
    }
    take(f, s, count);
}

static unsigned number_of(const struct fixture *f, const char *name)
{
    const struct policies *p = cache_policies(f->cache);
    for (unsigned n = 1; n < POLICY_NUMBERS; n++)
        if (policies_number_name(p, n) && strcmp(policies_number_name(p, n), name) == 0)
            return n;
    return 0;
}

/* More names than places, none of which ran; then every other one of those that are there runs. */
static void of_more_names_than_places_those_that_are_there_have_one_each(void **state)
{
    struct fixture *f = *state;
    struct run_look l;
    char name[16];
    for (unsigned first = 0; first < 3 * 100; first += 100)
        take_named(f, first, 100, "key page:1");
    for (unsigned n = 200; n < 300; n += 2) {
        snprintf(name, sizeof(name), "name-%u", n);
        assert_null(by_hand(f, name));
        settle(f);
    }
    for (unsigned n = 200; n < 300; n++) {
        snprintf(name, sizeof(name), "name-%u", n);
        assert_true(run_look(f->cache, number_of(f, name), &l));
        assert_int_equal(l.has_last, n % 2 == 0);
    }
}

static void a_number_that_goes_to_another_name_takes_no_run_along(void **state)
{
    struct fixture *f = *state;
    struct run_look l;
    take_named(f, 0, POLICY_NEAR_MAX - 1, "");
    take_named(f, POLICY_NEAR_MAX - 1, 1, "key page:1"); /* the first number that may go to another */
    unsigned number = number_of(f, "name-62");
    assert_null(by_hand(f, "name-62"));
    settle(f);
    for (unsigned first = 100; first < 4 * 100; first += 100)
        take_named(f, first, 100, "");
    assert_int_equal(number_of(f, "name-62"), 0);
    assert_false(run_look(f->cache, number, &l));
}

static void the_stop_cancels_it_and_nothing_begins_any_more(void **state)
{
    struct fixture *f = with_policy(state, "key page:{1-100000}");
    pass(f, EVERY);
    assert_true(look(f).is_running);
    cache_stop_runs(f->cache);
    assert_int_equal(look(f).last.state, WARMING_CANCELLED);
    pass(f, 2 * EVERY);
    settle(f);
    assert_false(look(f).is_running);
    assert_string_equal(by_hand(f, "pages"), "the daemon is stopping");
}

static void hits_before_and_after_are_told(void **state)
{
    struct fixture *f = with_policy(state, "key page:1");
    store_below(f, "page:1");
    get(f, "page:2");
    get(f, "page:3");
    get(f, "page:4");
    get(f, "page:1");
    fall_due(f);
    assert_int_equal(look(f).ratio_before, 250);
    assert_int_equal(look(f).ratio_after, -1);
    get(f, "page:1");
    assert_int_equal(look(f).ratio_after, 1000);
}

#define T(name) cmocka_unit_test_setup_teardown(name, begin_runs, end_runs)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(named_keys_and_ranges_are_pulled_up),
        T(what_is_stored_of_the_policy_is_pulled_up_and_nothing_else),
        T(without_shared_memory_a_run_has_nothing_to_fill_and_ends),
        T(sources_that_make_no_sense_are_refused_with_a_reason),
        T(what_is_nowhere_is_loaded_and_so_is_what_is_older_than_half_an_interval),
        T(a_life_that_is_cut_by_a_tier_is_young_all_the_same),
        T(so_is_one_that_is_cut_by_its_jitter),
        T(of_another_policys_keys_only_those_that_are_nowhere_or_stale_are_loaded),
        T(no_more_keys_are_out_than_the_policy_says),
        T(keys_that_a_loader_names_are_warmed_and_those_of_other_policies_passed_over),
        T(a_loader_that_goes_while_it_names_keys_is_followed_by_another),
        T(one_that_cannot_be_told_to_name_keys_is_followed_by_the_next_hand),
        T(more_keys_than_there_is_room_for_and_no_hand_but_who_names_them_end_the_run),
        T(one_that_cannot_name_them_and_one_that_takes_too_long_end_the_run),
        T(a_run_that_is_cancelled_wants_no_more_names),
        T(a_run_without_its_loader_is_put_off_until_there_is_one),
        T(a_cache_that_is_switched_off_warms_nothing),
        T(schedules_can_be_switched_off_and_runs_by_hand_go_on),
        T(by_hand_it_is_told_why_not),
        T(what_falls_due_while_it_runs_is_skipped_and_counted),
        T(a_policy_that_is_gone_ends_with_its_run),
        T(of_more_names_than_places_those_that_are_there_have_one_each),
        T(a_number_that_goes_to_another_name_takes_no_run_along),
        T(the_stop_cancels_it_and_nothing_begins_any_more),
        T(hits_before_and_after_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
