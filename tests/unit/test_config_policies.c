/* [policy NAME]: what is merged into what, and what is said about a wrong one. */
#include "support/config_rig.h"

static struct policies *policies_in(const struct config *c, const char *namespace)
{
    struct policy_fault fault;
    for (unsigned i = 0; i < c->namespaces_count; i++)
        if (strcmp(c->namespaces[i].name, namespace) == 0)
            return config_make_policies(c, &c->namespaces[i], NULL, &fault);
    fail_msg("no namespace %s", namespace);
    return NULL;
}

static struct policies *policies_of(const char *file)
{
    struct config *c = from_file(file);
    struct policies *p = policies_in(c, "default");
    config_destroy(c); /* a set keeps nothing of it */
    return p;
}

static const struct policy *match(const struct policies *p, const char *key)
{
    return policies_match(p, slice_text(key));
}

static void a_policy_is_laid_over_its_namespace(void **state)
{
    struct policies *p = policies_of("[namespace default]\nttl = 10m\nstale = 1m\njitter = 10%\n"
                                     "[policy users]\npattern = user:*\nttl = 30m\nl1_ttl = 5s\n");
    assert_int_equal(match(p, "user:1")->ttl_ns, 1800ull * SECOND);
    assert_int_equal(match(p, "user:1")->stale_ns, 60ull * SECOND);
    assert_int_equal(match(p, "user:1")->jitter, 100);
    assert_int_equal(match(p, "user:1")->l1_ttl_ns, 5ull * SECOND);
    assert_int_equal(match(p, "other:1")->ttl_ns, 600ull * SECOND);
    assert_string_equal(match(p, "other:1")->name, "default");
    policies_destroy(p);
}

static void what_environment_and_flags_say_of_namespaces_holds_for_policies_too(void **state)
{
    struct config *c = load_good(&(struct given){.file = "[policy users]\npattern = user:*\nttl = 30m\n",
                                                 .environment = {(char *)"CACHE_L2_TTL_SECONDS=90"},
                                                 .flags = {"jitter", "5%"}});
    struct policies *p = policies_in(c, "default");
    assert_int_equal(match(p, "user:1")->l2_ttl_ns, 90ull * SECOND);
    assert_int_equal(match(p, "user:1")->jitter, 50);
    assert_int_equal(match(p, "user:1")->ttl_ns, 1800ull * SECOND);
    policies_destroy(p);
    config_destroy(c);
}

static void the_order_of_the_file_is_the_order_of_matching(void **state)
{
    struct policies *p =
        policies_of("[policy one]\npattern = a:*\n[policy two]\npattern = *\n[policy one]\nttl = 1m\n");
    assert_string_equal(match(p, "a:1")->name, "one");
    assert_int_equal(match(p, "a:1")->ttl_ns, 60ull * SECOND);
    assert_string_equal(match(p, "b:1")->name, "two");
    policies_destroy(p);
}

static void a_policy_is_for_all_namespaces_or_for_the_one_it_names(void **state)
{
    struct config *c = from_file("[namespace pages]\nttl = 2m\n[policy all]\npattern = a:*\n"
                                 "[policy some]\npattern = b:*\nnamespace = pages\n");
    struct policies *p = policies_in(c, "pages"), *q = policies_in(c, "default");
    assert_string_equal(match(p, "b:1")->name, "some");
    assert_int_equal(match(p, "a:1")->ttl_ns, 120ull * SECOND);
    assert_string_equal(match(q, "b:1")->name, "default");
    assert_int_equal(match(q, "a:1")->ttl_ns, 3600ull * SECOND);
    policies_destroy(p);
    policies_destroy(q);
    config_destroy(c);
}

static void named_durations_stand_wherever_a_duration_does(void **state)
{
    struct policies *p =
        policies_of("[durations]\nbrief = 7s\n[policy p]\npattern = *\nttl = brief\nnegative_ttl = short\n");
    assert_int_equal(match(p, "a")->ttl_ns, 7ull * SECOND);
    assert_int_equal(match(p, "a")->negative_ttl_ns, 60ull * SECOND);
    policies_destroy(p);
}

static void a_policy_cannot_have_what_its_namespace_does_without(void **state)
{
    struct policies *p = policies_of("[namespace default]\nl1 = off\nmax_value = 1KiB\n"
                                     "[policy p]\npattern = *\nl1 = on\nmax_value = 1MiB\n");
    assert_int_equal(match(p, "a")->tiers, 1u << TIER_WARM | 1u << TIER_L2);
    assert_int_equal(match(p, "a")->max_value, 1024);
    policies_destroy(p);
}

static void only_what_is_said_is_a_value(void **state)
{
    struct config *c = from_file("[policy p]\npattern = a:*\nttl = 1m\nttl = 2m\n");
    assert_int_equal(c->policies_count, 1);
    assert_int_equal(c->policies[0].is.values_count, 2);
    assert_string_equal(c->policies[0].is.values[1].knob->name, "ttl");
    assert_non_null(strstr(c->policies[0].is.values[1].origin, "larder.conf:4"));
    config_destroy(c);
}

static void values_are_where_they_were_when_more_policies_come(void **state)
{
    char room[UNIT_TEXT];
    struct config *c =
        from_file("[policy p]\npattern = a:*\nttl = 1m\n[policy q]\npattern = q\n[policy r]\npattern = r\n"
                  "[policy p]\nttl = 2m\n");
    assert_int_equal(c->policies_count, 3);
    assert_ptr_equal(c->policies[0].is.values[1].field, &c->policies[0].said.ttl);
    assert_string_equal(config_value_text(&c->policies[0].is.values[1], room), "2m");
    config_destroy(c);
}

/* ======= events ======= */

static void an_event_is_read(void **state)
{
    struct policy_fault fault;
    struct config *c =
        from_file("[event course.updated]\ninvalidate = key \"course:{id}\", tag \"courses\"\n");
    assert_int_equal(c->events_count, 1);
    assert_non_null(strstr(c->events[0].is.values[0].origin, "larder.conf:2"));
    struct policies *p = config_make_policies(c, &c->namespaces[0], NULL, &fault);
    assert_non_null(p);
    policies_destroy(p);
    config_destroy(c);
}

static void a_wrong_event_is_told_with_its_place(void **state)
{
    assert_refused("[event e]\ninvalidate = key \"a:{b\"\n",
                   "larder.conf:2: [event e] invalidate: key \"a:{b\": a { begins a {name}");
    assert_refused("[event e]\ninvalidate = a:*:b\n",
                   "larder.conf:2: [event e] invalidate: a:*:b: a * can only end it");
    assert_refused("\n[event e]\n", "larder.conf:2: [event e] says nothing: expected invalidate = NAMES");
    assert_refused("[event e]\ninvalidat = a\n", "did you mean invalidate?");
    assert_refused("[event]\ninvalidate = a\n", "needs a name");
}

static void events_have_a_bound(void **state)
{
    static char file[16000];
    file[0] = '\0';
    for (unsigned i = 0; i <= EVENTS_MAX; i++)
        sprintf(file + strlen(file), "[event e%u]\ninvalidate = k\n", i);
    assert_refused(file, "larder.conf:513: more than 256 events");
}

/* ======= limits ======= */

static void a_limit_is_read_with_its_plans_and_shown_as_it_was_written(void **state)
{
    struct config *c = from_file("[limit api]\nmax = 100\nwindow = 60s\nscope = {ip}|{user}\nplan.free = 10\n"
                                 "plan.pro = 500\nplan.free = 20\n");
    struct quotas *q = config_make_quotas(c);
    const struct quota *api = quotas_nth(q, 0);
    struct slice words[] = {slice_text("ip"), slice_text("::1"), slice_text("plan"), slice_text("free")};
    struct quota_call call = {.arguments = words, .arguments_count = 4};
    char room[1024];
    uint64_t max;
    assert_int_equal(quotas_count(q), 1);
    assert_int_equal(api->max, 100);
    assert_int_equal(api->window_ms, 60000);
    assert_true(quota_key(api, &call, room, &max) > 0);
    assert_int_equal(max, 20);
    assert_int_equal(c->limits[0].is.values_count, 5);
    assert_string_equal(c->limits[0].is.values[3].knob->name, "plan.free");
    assert_non_null(strstr(c->limits[0].is.values[3].origin, "larder.conf:7"));
    quotas_destroy(q);
    config_destroy(c);
}

static void a_wrong_limit_is_told_with_its_place(void **state)
{
    static const struct {
        const char *file, *complaint;
    } rows[] = {
        {"\n[limit a]\nwindow = 1s\n",
         "larder.conf:2: [limit a] max: a: says not how many: expected max = 100"},
        {"[limit a]\nmax = 1\n", "larder.conf:1: [limit a] window: a: says not in which time"},
        {"[limit a]\nmax = 0\nwindow = 1s\n",
         "larder.conf:2: max = 0: expected a number from 1 to 1000000000"},
        {"[limit a]\nmax = -1\nwindow = 1s\n", "larder.conf:2: max = -1: expected a number"},
        {"[limit a]\nmax = 99999999999999999999\nwindow = 1s\n", "larder.conf:2: max = 9999"},
        {"[limit a]\nmax = 1\nwindow = 31d\n",
         "larder.conf:3: window = 31d: expected a duration from 1ms to 30d"},
        {"[limit a]\nmax = 1\nwindow = 1s\nscope = {ip\n", "larder.conf:4: [limit a] scope: {ip: a { begins"},
        {"[limit a]\nmax = 1\nwindow = 1s\nalone = maybe\n",
         "larder.conf:4: alone = maybe: expected one of: count"},
        {"[limit a]\nmax = 1\nwindow = 1s\nplan.x = no\n",
         "larder.conf:4: plan.x = no: expected a number from 1"},
        {"[limit a]\nmax = 1\nwindow = 1s\nplan. = 1\n", "larder.conf:4: no option plan. in [limit]"},
        {"[limit a]\nmax = 1\nwindow = 1s\nmaxx = 1\n",
         "larder.conf:4: no option maxx in [limit]; did you mean max?"},
        {"[limit]\nmax = 1\n", "needs a name"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_refused(rows[i].file, rows[i].complaint);
}

static void limits_and_their_plans_have_a_bound(void **state)
{
    static char file[16000];
    file[0] = '\0';
    for (unsigned i = 0; i <= QUOTAS_MAX; i++)
        sprintf(file + strlen(file), "[limit l%u]\nmax = 1\nwindow = 1s\n", i);
    assert_refused(file, "larder.conf:193: more than 64 limits");
    strcpy(file, "[limit a]\nmax = 1\nwindow = 1s\n");
    for (unsigned i = 0; i <= QUOTA_PLANS_MAX; i++)
        sprintf(file + strlen(file), "plan.p%u = 1\n", i);
    assert_refused(file, "larder.conf:20: [limit a] has more than 16 plans");
}

/* ======= tenants ======= */

static void a_tenant_is_found_by_the_users_it_is_for(void **state)
{
    struct config *c = from_file("[tenant acme]\nuids = 7, 8\n[tenant b]\nuids = 9\nsocket = /tmp/b.sock\n");
    assert_string_equal(config_tenant_of_uid(c, 8)->is.name, "acme");
    assert_string_equal(config_tenant_of_uid(c, 9)->is.name, "b");
    assert_null(config_tenant_of_uid(c, 10));
    assert_string_equal(config_tenant_named(c, "b")->said.socket, "/tmp/b.sock");
    config_destroy(c);
}

static void a_wrong_tenant_is_told_with_its_place(void **state)
{
    static const struct {
        const char *file, *complaint;
    } rows[] = {
        {"\n[tenant a]\n", "larder.conf:2: [tenant a] binds nobody: expected uids = 1001 or socket = PATH"},
        {"[tenant a]\nuids = root\n", "larder.conf:2: uids: root: expected user ids from 0"},
        {"[tenant a]\nuids = 1,,2\n", "larder.conf:2: uids: : expected user ids"},
        {"[tenant a]\nuids = 4294967295\n", "larder.conf:2: uids: 4294967295: expected user ids"},
        {"[tenant a]\nuids = 1\n[tenant b]\nuids = 2, 1\n",
         "larder.conf:4: uids: 1 is bound to tenant a already"},
        {"[tenant a]\nsocket = a.sock\n", "larder.conf:2: socket = a.sock: expected a path from /"},
        {"[tenant a]\nsocket = /x\n[tenant b]\nsocket = /x\n",
         "larder.conf:4: socket = /x: another one has it"},
        {"[server]\nsocket = /x\n[tenant b]\nsocket = /x\n",
         "larder.conf:4: socket = /x: another one has it"},
        {"[tenant a]\nuids = 1\nnamespace = no\n", "larder.conf:3: namespace = no: expected the name of a"},
        {"[tenant a]\nuid = 1\n", "larder.conf:2: no option uid in [tenant]; did you mean uids?"},
        {"[tenant a:b]\nuids = 1\n", "needs a name"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_refused(rows[i].file, rows[i].complaint);
}

/* ======= what is wrong ======= */

static void every_mistake_is_told_with_its_place_and_what_would_be_right(void **state)
{
    static const struct {
        const char *lines, *complaint;
    } rows[] = {
        {"ttl = banana\n", "larder.conf:3: ttl = banana: expected a duration from"},
        {"jitter = 80%\n", "larder.conf:3: jitter = 80%: expected a share from 0% to 50%"},
        {"refresh_at = often\n", "expected a share from 0% to 99%"},
        {"l2 = maybe\n", "larder.conf:3: l2 = maybe: expected on or off"},
        {"lease_scope = world\n", "larder.conf:3: lease_scope = world: expected one of: host fleet"},
        {"max_value = 1GiB\n", "larder.conf:3: max_value = 1GiB: expected a size from"},
        {"namespace = nowhere\n",
         "larder.conf:3: namespace = nowhere: expected the name of a [namespace NAME]"},
        {"tags = x{id}\n", "larder.conf:3: [policy p] tags: x{id}: no such {name} in the pattern"},
        {"ttl = 2h\nmax_ttl = 1h\n", "larder.conf:3: [policy p] ttl: p: its ttl is above its max_ttl"},
        {"max_ttl = 1m\n", "larder.conf:1: [policy p] ttl: p: its ttl is above its max_ttl"},
        {"ttll = 1h\n", "larder.conf:3: no option ttll in [policy]; did you mean ttl?"},
        {"pattern = a:**\n", "larder.conf:3: [policy p] pattern: a:**: one * or {name} in a level"},
    };
    for (unsigned i = 0; i < COUNT_OF(rows); i++) {
        char file[256];
        snprintf(file, sizeof(file), "[policy p]\npattern = a:*\n%s", rows[i].lines);
        assert_refused(file, rows[i].complaint);
    }
}

static void a_policy_needs_a_pattern_and_a_name_of_its_own(void **state)
{
    assert_refused("\n[policy p]\nttl = 1m\n",
                   "larder.conf:2: [policy p] has no pattern: expected pattern = KEYS");
    assert_refused("[policy default]\npattern = *\n", "larder.conf:1: a policy cannot be called default");
    assert_refused("[policy]\npattern = *\n", "needs a name");
}

static void what_is_wrong_with_one_policy_does_not_hide_the_next(void **state)
{
    assert_null(
        load(&(struct given){.file = "[policy a]\npattern = {a\n[policy b]\npattern = b:*\ntags = {x}\n"
                                     "[policy c]\nttl = 1m\n"}));
    assert_int_equal(wrong.count, 3);
    assert_complaint("larder.conf:2: [policy a] pattern");
    assert_complaint("larder.conf:5: [policy b] tags");
    assert_complaint("larder.conf:6: [policy c] has no pattern");
}

static void a_circle_of_cascade_rules_is_named_with_its_way(void **state)
{
    assert_refused(
        "[policy a]\npattern = a:*\ncascade = b:1\n[policy b]\npattern = b:*\ncascade = key \"a:1\"\n",
        "larder.conf:3: [policy a] cascade: a → b → a: a rule may not lead back to itself");
    assert_refused("[policy p]\npattern = a:*\ncascade = b:{x}\n",
                   "larder.conf:3: [policy p] cascade: b:{x}: no such {name} in the pattern");
}

static void policies_have_a_bound(void **state)
{
    static char file[16000];
    file[0] = '\0';
    for (unsigned i = 0; i <= POLICIES_MAX; i++) {
        if (i == POLICIES_MAX)
            config_destroy(from_file(file));
        sprintf(file + strlen(file), "[policy p%u]\npattern = p%u:*\n", i, i);
    }
    assert_refused(file, "more than 128 policies in [namespace default]");
}

/* ======= reload ======= */

static void nothing(void *user, const char *namespace, const struct knob *knob, const char *value, bool live)
{
}

static void a_reload_takes_all_policies(void **state)
{
    struct config *running = from_file("[policy a]\npattern = a:*\n"),
                  *fresh = from_file("[namespace default]\nttl = 5m\n[policy b]\npattern = b:*\n");
    config_take_live(running, fresh, nothing, NULL);
    config_destroy(fresh);
    struct policies *p = policies_in(running, "default");
    assert_string_equal(match(p, "a:1")->name, "default");
    assert_string_equal(match(p, "b:1")->name, "b");
    assert_int_equal(match(p, "b:1")->ttl_ns, 300ull * SECOND);
    policies_destroy(p);
    config_destroy(running);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FILES(a_policy_is_laid_over_its_namespace),
        WITH_FILES(what_environment_and_flags_say_of_namespaces_holds_for_policies_too),
        WITH_FILES(the_order_of_the_file_is_the_order_of_matching),
        WITH_FILES(a_policy_is_for_all_namespaces_or_for_the_one_it_names),
        WITH_FILES(named_durations_stand_wherever_a_duration_does),
        WITH_FILES(a_policy_cannot_have_what_its_namespace_does_without),
        WITH_FILES(only_what_is_said_is_a_value),
        WITH_FILES(values_are_where_they_were_when_more_policies_come),
        WITH_FILES(an_event_is_read),
        WITH_FILES(a_wrong_event_is_told_with_its_place),
        WITH_FILES(events_have_a_bound),
        WITH_FILES(a_limit_is_read_with_its_plans_and_shown_as_it_was_written),
        WITH_FILES(a_wrong_limit_is_told_with_its_place),
        WITH_FILES(limits_and_their_plans_have_a_bound),
        WITH_FILES(a_tenant_is_found_by_the_users_it_is_for),
        WITH_FILES(a_wrong_tenant_is_told_with_its_place),
        WITH_FILES(every_mistake_is_told_with_its_place_and_what_would_be_right),
        WITH_FILES(a_policy_needs_a_pattern_and_a_name_of_its_own),
        WITH_FILES(what_is_wrong_with_one_policy_does_not_hide_the_next),
        WITH_FILES(a_circle_of_cascade_rules_is_named_with_its_way),
        WITH_FILES(policies_have_a_bound),
        WITH_FILES(a_reload_takes_all_policies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
