/* Where values come from, which source wins, and what is said about a wrong one. */
#include "support/config_rig.h"

/* ---- precedence ---------------------------------------------------------------------------------------- */

static void without_a_word_the_built_in_values_hold(void **state)
{
    struct config *c = load_good(&(struct given){0});
    assert_int_equal(c->namespaces_count, 1);
    assert_int_equal(c->namespaces[0].l1.l1_bytes, 256 * MIB);
    assert_int_equal(cache_of(c, "default")->ttl, 3600ull * SECOND);
    assert_true(cache_of(c, "default")->cache);
    assert_int_equal(c->socket_mode, 0660);
    assert_string_equal(value_named(c, "default", "ttl")->origin, "built-in");
    config_destroy(c);
}

static void each_source_beats_the_one_before(void **state)
{
    struct given g = {.file = "[namespace default]\nttl = 1s\n"};
    mkdir(path_in("conf.d"), 0700);
    struct config *c = load_good(&g);
    assert_int_equal(cache_of(c, "default")->ttl, 1ull * SECOND);
    config_destroy(c);
    write_file("conf.d/20-b.conf", "[namespace default]\nttl = 3s\n");
    write_file("conf.d/10-a.conf", "[namespace default]\nttl = 2s\n");
    c = load_good(&g);
    assert_int_equal(cache_of(c, "default")->ttl, 3ull * SECOND);
    assert_non_null(strstr(value_named(c, "default", "ttl")->origin, "conf.d/20-b.conf:2"));
    config_destroy(c);
    g.environment[0] = (char *)"CACHE_DEFAULT_TTL=4";
    c = load_good(&g);
    assert_int_equal(cache_of(c, "default")->ttl, 4ull * SECOND);
    config_destroy(c);
    g.environment[1] = (char *)"LARDER_NAMESPACE_TTL=5s";
    c = load_good(&g);
    assert_int_equal(cache_of(c, "default")->ttl, 5ull * SECOND);
    assert_string_equal(value_named(c, "default", "ttl")->origin, "environment LARDER_NAMESPACE_TTL");
    config_destroy(c);
    g.flags[0] = "ttl";
    g.flags[1] = "6s";
    c = load_good(&g);
    assert_int_equal(cache_of(c, "default")->ttl, 6ull * SECOND);
    config_destroy(c);
}

static void a_namespace_keeps_what_its_own_section_says(void **state)
{
    struct config *c = load_good(&(struct given){
        .file = "[namespace default]\nttl = 1s\nstale = 1s\n"
                "[namespace pages]\nttl = 2s\n",
        .environment = {(char *)"LARDER_NAMESPACE_TTL=9s", (char *)"LARDER_NAMESPACE_MAX_TTL=1h"}});
    assert_int_equal(cache_of(c, "pages")->ttl, 2ull * SECOND);
    assert_int_equal(cache_of(c, "pages")->max_ttl, 3600ull * SECOND);
    assert_int_equal(cache_of(c, "pages")->stale, 0);
    assert_int_equal(cache_of(c, "default")->ttl, 9ull * SECOND);
    config_destroy(c);
}

static void an_empty_section_makes_a_namespace(void **state)
{
    struct config *c = from_file("[namespace pages]\n[namespace users]\n");
    assert_int_equal(c->namespaces_count, 3);
    assert_string_equal(c->namespaces[0].name, "default");
    assert_int_equal(cache_of(c, "users")->ttl, 3600ull * SECOND);
    config_destroy(c);
}

static void an_empty_variable_is_none(void **state)
{
    struct config *c = from_variable("CACHE_DEFAULT_TTL=");
    assert_int_equal(cache_of(c, "default")->ttl, 3600ull * SECOND);
    config_destroy(c);
}

/* ---- aliases ------------------------------------------------------------------------------------------- */

static void every_alias_has_the_unit_people_give_it(void **state)
{
    static const struct {
        const char *variable, *option;
        uint64_t expected;
    } rows[] = {
        {"CACHE_DEFAULT_TTL=90", "ttl", 90ull * SECOND},
        {"CACHE_L1_TTL_SECONDS=30", "ttl", 30ull * SECOND},
        {"CACHE_L1_TTL_SECONDS=5m", "ttl", 300ull * SECOND},
        {"CACHE_L1_MAX_SIZE_MB=64", "l1_bytes", 64 * MIB},
        {"CACHE_L1_MAX_SIZE_MB=1GiB", "l1_bytes", 1024 * MIB},
        {"CACHE_L1_MAX_ENTRIES=1000", "l1_entries", 1000},
        {"CACHE_MAX_MEMORY_ITEMS=500", "l1_entries", 500},
        {"CACHE_ENABLED=false", "cache", false},
        {"CACHE_ENABLED=0", "cache", false},
        {"CACHE_ENABLED=yes", "cache", true},
        {"CACHE_L1_ENABLED=off", "l1", false},
        {"CACHE_WARMING_ENABLED=false", "warming", false},
        {"CACHE_WARMING_INTERVAL=300000", "warming_interval", 300ull * SECOND},
        {"CACHE_WARM_ON_START=1", "warm_on_start", true},
    };
    for (unsigned i = 0; i < COUNT_OF(rows); i++) {
        struct config *c = from_variable(rows[i].variable);
        const struct config_value *v = value_named(c, "default", rows[i].option);
        uint64_t value = v->knob->type == KNOB_SWITCH ? *(bool *)v->field : *(uint64_t *)v->field;
        if (value != rows[i].expected)
            fail_msg("%s gives %llu", rows[i].variable, (unsigned long long)value);
        assert_int_equal(strncmp(v->origin, "environment ", 12), 0);
        config_destroy(c);
    }
}

static void count_unused(void *user, const struct setting *s)
{
    ++*(unsigned *)user;
}

static void names_of_features_to_come_are_taken_and_change_nothing(void **state)
{
    unsigned unused = 0;
    struct config *c = load_good(&(struct given){.file = "[policy p]\npattern = a:*\nencrypt = on\n"});
    config_each_unused(c, count_unused, &unused);
    assert_int_equal(unused, 1);
    config_destroy(c);
}

static void the_environments_rate_limit_is_the_default_one_and_a_minutes(void **state)
{
    struct given g = {.environment = {(char *)"RATE_LIMIT_MAX_REQUESTS=100"}};
    struct config *c = load_good(&g);
    assert_int_equal(c->limits_count, 1);
    assert_string_equal(c->limits[0].is.name, "default");
    assert_int_equal(c->limits[0].said.max, 100);
    assert_int_equal(c->limits[0].said.window, 60ull * SECOND);
    assert_string_equal(c->limits[0].is.values[0].origin, "environment RATE_LIMIT_MAX_REQUESTS");
    config_destroy(c);
    g.file = "[limit default]\nmax = 5\nwindow = 1h\nscope = {ip}\n[limit api]\nmax = 5\nwindow = 1h\n";
    c = load_good(&g);
    assert_int_equal(c->limits_count, 2);
    assert_int_equal(c->limits[0].said.max, 100);
    assert_int_equal(c->limits[0].said.window, 3600ull * SECOND);
    assert_int_equal(c->limits[1].said.max, 5);
    config_destroy(c);
}

static void names_apps_have_for_redis_are_taken(void **state)
{
    struct config *c = from_variable("REDIS_URL=redis://u:p@h:6379/0");
    assert_string_equal(c->redis.url, "redis://u:p@h:6379/0");
    assert_true(config_names_redis(c));
    config_destroy(c);
    c = from_variable("REDIS_HOST=h");
    assert_true(config_names_redis(c));
    config_destroy(c);
    c = from_variable("REDIS_CACHE_DB=3");
    assert_int_equal(c->redis.database, 3);
    assert_false(config_names_redis(c));
    config_destroy(c);
    c = from_variable("CACHE_COMPRESSION_THRESHOLD=4096");
    assert_int_equal(c->redis.compress_min, 4096);
    config_destroy(c);
    c = from_variable("CACHE_L2_ENABLED=0");
    assert_false(c->redis.enabled);
    config_destroy(c);
}

static void names_of_the_client_are_none_of_our_business(void **state)
{
    static const char *const variables[] = {"CACHE_MIDDLEWARE_ENABLED=1", "SKIP_CACHE_DEV=1",
                                            "LARDER_NAMESPACE=pages", "LARDER_DEBUG=1"};
    for (unsigned i = 0; i < COUNT_OF(variables); i++)
        config_destroy(from_variable(variables[i]));
}

static void an_alias_with_a_wrong_value_is_named(void **state)
{
    assert_null(load(&(struct given){.environment = {(char *)"CACHE_DEFAULT_TTL=soon"}}));
    assert_int_equal(wrong.count, 1);
    assert_complaint("environment CACHE_DEFAULT_TTL: ttl = soon: expected a duration");
    assert_complaint("a plain number counts seconds here");
}

/* ---- what is wrong ------------------------------------------------------------------------------------- */

static void an_unknown_option_comes_with_a_suggestion(void **state)
{
    assert_refused("[server]\n\nsockt = /x\n",
                   "larder.conf:3: no option sockt in [server]; did you mean socket?");
    assert_refused("[namespace default]\nl1_byte = 1\n", "did you mean l1_bytes?");
    assert_refused("[server]\nl1_bytes = 64MiB\n", "it belongs in [namespace NAME]");
    assert_refused("[server]\nzzzzzz = 1\n", "larderd --help-config lists them all");
    assert_null(load(&(struct given){.environment = {(char *)"LARDER_SERVER_SOKET=/x"}}));
    assert_complaint("environment LARDER_SERVER_SOKET: no option soket in [server]; did you mean socket?");
}

static void an_unknown_section_comes_with_a_suggestion(void **state)
{
    assert_refused("[sever]\nsocket = /x\n", "larder.conf:1: no section [sever]; did you mean [server]?");
    assert_int_equal(wrong.count, 1);
    assert_refused("[namespace]\nttl = 1s\n", "needs a name");
    assert_refused("[namespace a/b]\nttl = 1s\n", "needs a name");
    assert_refused("[server x]\nsocket = /x\n", "takes no name");
}

static void a_value_out_of_bounds_is_told_the_bounds(void **state)
{
    assert_refused("[namespace default]\nl1_bytes = 1KiB\n",
                   "larder.conf:2: l1_bytes = 1KiB: expected a size from 4MiB to 31GiB");
    assert_refused("[namespace default]\nttl = 10\n", "expected a duration from");
    assert_refused("[namespace default]\nl1 = maybe\n", "expected on or off");
    assert_refused("[server]\nlog_level = loud\n", "one of: debug info warn error");
    assert_refused("[server]\nsocket_mode = 999\n", "permissions in octal");
    assert_refused("[server]\nconnections = 0\n", "a number from 1 to");
}

static void all_that_is_wrong_is_told_at_once(void **state)
{
    assert_refused("[server]\nsockt = /x\nlog_level = loud\n[nmespace a]\n", "sockt");
    assert_int_equal(wrong.count, 3);
    assert_complaint(":3: log_level");
    assert_complaint(":4: no section");
}

static void a_line_that_is_nothing_is_named(void **state)
{
    assert_refused("[server]\nlog_level = info\nwhat is this\n",
                   "larder.conf:3: neither [section] nor key = value");
    assert_refused("log_level = info\n", "before the first [section]");
}

static void a_line_too_long_is_named_and_not_cut(void **state)
{
    char text[1024] = "[server]\nsocket = /";
    memset(text + strlen(text), 'x', 400);
    strcat(text, "\nlog_level = info\n");
    assert_refused(text, "larder.conf:2: the line is longer than");
    assert_int_equal(wrong.count, 1);
}

static void an_indented_line_is_an_option_of_its_own(void **state)
{
    struct config *c =
        from_file("[server]\n  socket = /a\n  log_level = debug\n\tdrain_timeout = 1s ; short\n");
    assert_string_equal(c->server.socket, "/a");
    assert_string_equal(c->server.log_level, "debug");
    assert_int_equal(c->server.drain_timeout, 1ull * SECOND);
    config_destroy(c);
}

static void a_path_no_socket_can_have_is_refused_with_its_length(void **state)
{
    char text[256] = "[server]\nsocket = /";
    memset(text + strlen(text), 'x', 107);
    assert_refused(text, "larder.conf:2: socket: /xx");
    assert_complaint("the path has 108 bytes, the system takes 107");
}

static void a_ttl_above_its_ceiling_is_refused(void **state)
{
    assert_refused("[namespace default]\nttl = 2h\nmax_ttl = 1h\n", "above its max_ttl");
}

static void a_file_that_was_asked_for_must_be_there(void **state)
{
    char *environment[] = {(char *)"XDG_RUNTIME_DIR=/run", (char *)"HOME=/home/u", NULL};
    struct config_sources sources = {
        .file = path_in("none.conf"), .file_required = true, .environment = environment};
    memset(&wrong, 0, sizeof(wrong));
    assert_null(config_load(&sources, &wrong));
    assert_complaint("none.conf: cannot be read: No such file or directory");
    sources.file_required = false;
    memset(&wrong, 0, sizeof(wrong));
    struct config *c = config_load(&sources, &wrong);
    assert_non_null(c);
    config_destroy(c);
}

/* ---- durations with names ------------------------------------------------------------------------------ */

static void a_duration_may_have_a_name_given_later(void **state)
{
    struct config *c =
        from_file("[namespace default]\nttl = lunch\nstale = short\n[durations]\nlunch = 45m\n");
    assert_int_equal(cache_of(c, "default")->ttl, 2700ull * SECOND);
    assert_int_equal(cache_of(c, "default")->stale, 60ull * SECOND);
    config_destroy(c);
    assert_refused("[durations]\nlunch = soon\n", "lunch = soon: expected a duration");
}

/* ---- places -------------------------------------------------------------------------------------------- */

static struct config *with_environment(char *const *environment)
{
    memset(&wrong, 0, sizeof(wrong));
    return config_load(&(struct config_sources){.environment = environment}, &wrong);
}

static void a_service_managers_directories_are_used(void **state)
{
    char *environment[] = {(char *)"RUNTIME_DIRECTORY=/run/l", (char *)"STATE_DIRECTORY=/var/lib/l:/other",
                           NULL};
    struct config *c = with_environment(environment);
    assert_non_null(c);
    assert_string_equal(c->server.socket, "/run/l/larder.sock");
    assert_string_equal(c->server.state, "/var/lib/l");
    config_destroy(c);
}

static void a_user_without_places_is_told_which_option_to_set(void **state)
{
    char *environment[] = {NULL};
    struct config *c = with_environment(environment);
    if (geteuid() == 0) {
        assert_string_equal(c->server.socket, "/run/larder/larder.sock");
        assert_string_equal(c->server.state, "/var/lib/larder");
        config_destroy(c);
        return;
    }
    assert_null(c);
    assert_complaint("say --socket PATH");
}

/* ---- reload -------------------------------------------------------------------------------------------- */

struct told {
    unsigned live, start, namespaces;
};

static void tell(void *user, const char *namespace, const struct knob *knob, const char *value, bool live)
{
    struct told *t = user;
    *(knob ? live ? &t->live : &t->start : &t->namespaces) += 1;
}

static void a_reload_takes_live_options_and_reports_the_others(void **state)
{
    struct told t = {0};
    struct config *running =
        from_file("[server]\nlog_level = info\n[namespace default]\nttl = 1s\nl1_bytes = 8MiB\n");
    struct config *fresh = from_file(
        "[server]\nlog_level = debug\n[namespace default]\nttl = 2s\nl1_bytes = 16MiB\n[namespace new]\n");
    config_take_live(running, fresh, tell, &t);
    config_destroy(fresh);
    assert_int_equal(t.live, 2);
    assert_int_equal(t.start, 1);
    assert_int_equal(t.namespaces, 1);
    assert_string_equal(running->server.log_level, "debug");
    assert_int_equal(cache_of(running, "default")->ttl, 2ull * SECOND);
    assert_int_equal(running->namespaces[0].l1.l1_bytes, 8 * MIB);
    config_destroy(running);
}

static void a_wrong_file_gives_no_configuration_at_all(void **state)
{
    assert_refused("[namespace default]\nttl = 2s\nl1_bytes = a lot\n",
                   "larder.conf:3: l1_bytes = a lot: expected");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FILES(without_a_word_the_built_in_values_hold),
        WITH_FILES(each_source_beats_the_one_before),
        WITH_FILES(a_namespace_keeps_what_its_own_section_says),
        WITH_FILES(an_empty_section_makes_a_namespace),
        WITH_FILES(an_empty_variable_is_none),
        WITH_FILES(every_alias_has_the_unit_people_give_it),
        WITH_FILES(names_of_features_to_come_are_taken_and_change_nothing),
        WITH_FILES(the_environments_rate_limit_is_the_default_one_and_a_minutes),
        WITH_FILES(names_apps_have_for_redis_are_taken),
        WITH_FILES(names_of_the_client_are_none_of_our_business),
        WITH_FILES(an_alias_with_a_wrong_value_is_named),
        WITH_FILES(an_unknown_option_comes_with_a_suggestion),
        WITH_FILES(an_unknown_section_comes_with_a_suggestion),
        WITH_FILES(a_value_out_of_bounds_is_told_the_bounds),
        WITH_FILES(all_that_is_wrong_is_told_at_once),
        WITH_FILES(a_line_that_is_nothing_is_named),
        WITH_FILES(a_line_too_long_is_named_and_not_cut),
        WITH_FILES(an_indented_line_is_an_option_of_its_own),
        WITH_FILES(a_path_no_socket_can_have_is_refused_with_its_length),
        WITH_FILES(a_ttl_above_its_ceiling_is_refused),
        WITH_FILES(a_file_that_was_asked_for_must_be_there),
        WITH_FILES(a_duration_may_have_a_name_given_later),
        WITH_FILES(a_service_managers_directories_are_used),
        WITH_FILES(a_user_without_places_is_told_which_option_to_set),
        WITH_FILES(a_reload_takes_live_options_and_reports_the_others),
        WITH_FILES(a_wrong_file_gives_no_configuration_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
