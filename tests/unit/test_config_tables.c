/* What is made of the option tables: masks, the sample file, the help, the flags. */
#include "support/config_rig.h"

/* ---- secrets ------------------------------------------------------------------------------------------- */

static void secrets_are_masked(void **state)
{
    static const struct {
        const char *key, *value, *shown;
    } rows[] = {
        {"password", "hunter2", "***"},
        {"token", "abc", "***"},
        {"password_file", "/etc/secret", "/etc/secret"},
        {"url", "redis://user:hunter2@host:6379/0", "redis://user:***@host:6379/0"},
        {"url", "rediss://:p@ss@host", "rediss://:***@host"},
        {"url", "redis://host:6379", "redis://host:6379"},
        {"socket", "/run/larder.sock", "/run/larder.sock"},
    };
    char shown[128];
    for (unsigned i = 0; i < COUNT_OF(rows); i++) {
        config_mask(rows[i].key, rows[i].value, shown, sizeof(shown));
        assert_string_equal(shown, rows[i].shown);
    }
}

/* ---- the tables ---------------------------------------------------------------------------------------- */

static void no_two_options_share_a_flag(void **state)
{
    for (unsigned t = 0; t < option_tables_count; t++)
        for (unsigned i = 0; i < option_tables[t].count; i++) {
            unsigned seen = 0;
            const struct option_table *table;
            for (unsigned section = 0; section < SECTIONS; section++)
                seen += section != SECTION_POLICY && section != SECTION_TENANT && /* they have no flags */
                        option_find(section, option_tables[t].knobs[i].name, &table) != NULL;
            assert_int_equal(seen, 1);
        }
}

static char *printed(void (*print)(FILE *out))
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    print(out);
    fclose(out);
    return text;
}

static void the_sample_file_says_what_is_built_in(void **state)
{
    char *text = printed(flags_print_config), *from = text, *to = text;
    for (; *from; from++) /* takes the # off the options, not off the prose */
        if (!(*from == '#' && (from == text || from[-1] == '\n') && from[1] >= 'a' && from[1] <= 'z'))
            *to++ = *from;
    *to = '\0';
    struct config *built_in = load_good(&(struct given){.file = "\n"}), *sample = from_file(text);
    for (unsigned i = 0; i < built_in->values_count; i++) {
        char a[UNIT_TEXT], b[UNIT_TEXT];
        const struct config_value *v =
            value_named(sample, built_in->values[i].namespace, built_in->values[i].knob->name);
        assert_string_equal(config_value_text(v, a), config_value_text(&built_in->values[i], b));
        if (v->text == NULL || *v->knob->fallback)
            assert_non_null(strstr(v->origin, "larder.conf:"));
    }
    config_destroy(built_in);
    config_destroy(sample);
    free(text);
}

/* After a change of an option: larderd --help-config > server/doc/larder.conf */
static void the_sample_file_in_the_tree_is_the_printed_one(void **state)
{
    char *text = printed(flags_print_config), *kept = must_alloc(strlen(text) + 2);
    FILE *file = fopen(SAMPLE_FILE, "r");
    assert_non_null(file);
    size_t size = fread(kept, 1, strlen(text) + 1, file);
    fclose(file);
    assert_int_equal(size, strlen(text));
    assert_string_equal(kept, text);
    free(text);
    free(kept);
}

static void the_help_names_every_option(void **state)
{
    char *text = printed(flags_print_help);
    assert_non_null(strstr(text, "--l1-bytes SIZE"));
    assert_non_null(strstr(text, "--socket TEXT"));
    assert_non_null(strstr(text, "--check-config"));
    assert_non_null(strstr(text, "--warm-commit-every TIME"));
    free(text);
}

static void flags_become_settings(void **state)
{
    char *words[] = {
        (char *)"larderd", (char *)"--config",  (char *)"/x.conf",        (char *)"--l1-bytes=64MiB",
        (char *)"--redis", (char *)"redis://h", (char *)"--check-config", NULL};
    struct flags flags;
    memset(&wrong, 0, sizeof(wrong));
    flags_read(7, words, &flags, &wrong);
    assert_int_equal(wrong.count, 0);
    assert_string_equal(flags.config, "/x.conf");
    assert_true(flags.check);
    assert_int_equal(flags.settings.count, 2);
    assert_string_equal(flags.settings.items[0].key, "l1_bytes");
    assert_string_equal(flags.settings.items[0].value, "64MiB");
    assert_string_equal(flags.settings.items[0].origin, "flag --l1-bytes");
    assert_string_equal(flags.settings.items[1].key, "url");
    flags_finish(&flags);
}

static void a_flag_nobody_knows_comes_with_a_suggestion(void **state)
{
    char *words[] = {(char *)"larderd", (char *)"--l1-byts", (char *)"--check-config=1",
                     (char *)"more",    (char *)"--socket",  NULL};
    struct flags flags;
    memset(&wrong, 0, sizeof(wrong));
    flags_read(5, words, &flags, &wrong);
    assert_int_equal(wrong.count, 4);
    assert_complaint("no flag --l1-byts; did you mean --l1-bytes?");
    assert_complaint("--check-config takes no value");
    assert_complaint("--socket wants a value");
    assert_complaint("more is no flag");
    flags_finish(&flags);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FILES(secrets_are_masked),
        WITH_FILES(no_two_options_share_a_flag),
        WITH_FILES(the_sample_file_says_what_is_built_in),
        WITH_FILES(the_sample_file_in_the_tree_is_the_printed_one),
        WITH_FILES(the_help_names_every_option),
        WITH_FILES(flags_become_settings),
        WITH_FILES(a_flag_nobody_knows_comes_with_a_suggestion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
