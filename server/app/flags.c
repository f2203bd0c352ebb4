#include "app/flags.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include "app/config.h"
#include "app/nearest.h"
#include "base/check.h"

enum {
    FLAG_CONFIG = 1,
    FLAG_CHECK,
    FLAG_VERSION,
    FLAG_HELP,
    FLAG_HELP_CONFIG,
    FLAG_REDIS,
    FLAG_OPTIONS = 100
};

static const struct {
    int code;
    const char *name, *argument, *sentence;
} own_flags[] = {
    {FLAG_CONFIG, "config", "FILE",
     "configuration; " CONFIG_FILE " if it is there, and conf.d/*.conf beside it"},
    {FLAG_CHECK, "check-config", NULL,
     "read the configuration, say what is wrong with it, and end: 0 nothing, 2 something"},
    {FLAG_REDIS, "redis", "URL", "the store that all hosts share: redis://host, rediss://host or unix:/path"},
    {FLAG_HELP, "help", NULL, "this text"},
    {FLAG_HELP_CONFIG, "help-config", NULL, "a configuration file with every option at its default"},
    {FLAG_VERSION, "version", NULL, "name and release"},
};

static const char *const type_words[] = {
    [KNOB_SIZE] = "SIZE",     [KNOB_COUNT] = "NUMBER", [KNOB_DURATION] = "TIME",
    [KNOB_SWITCH] = "on|off", [KNOB_RATIO] = "SHARE",  [KNOB_TEXT] = "TEXT"};

/* l1_bytes → l1-bytes */
static char *flag_name(const char *option)
{
    char *name = must_strdup(option);
    for (char *p = name; *p; p++)
        if (*p == '_')
            *p = '-';
    return name;
}

/* The n-th option of all tables. */
static const struct knob *option_at(unsigned n, enum section *ret_section)
{
    for (unsigned t = 0; t < option_tables_count; n -= option_tables[t].count, t++)
        if (n < option_tables[t].count) {
            *ret_section = option_tables[t].section;
            return &option_tables[t].knobs[n];
        }
    return NULL;
}

static struct option *long_options(void)
{
    enum section section;
    unsigned own = COUNT_OF(own_flags), all = own;
    while (option_at(all - own, &section))
        all++;
    struct option *table = must_alloc((all + 1) * sizeof(*table));
    for (unsigned i = 0; i < own; i++)
        table[i] =
            (struct option){must_strdup(own_flags[i].name),
                            own_flags[i].argument ? required_argument : no_argument, NULL, own_flags[i].code};
    for (unsigned i = own; i < all; i++)
        table[i] = (struct option){flag_name(option_at(i - own, &section)->name), required_argument, NULL,
                                   FLAG_OPTIONS + (int)(i - own)};
    return table;
}

static void free_options(struct option *table)
{
    for (unsigned i = 0; table[i].name; i++)
        free((char *)table[i].name);
    free(table);
}

static void add_setting(struct flags *f, enum section section, const char *key, const char *flag,
                        struct complaints *wrong)
{
    char origin[96];
    snprintf(origin, sizeof(origin), "flag --%s", flag);
    settings_add(&f->settings,
                 &(struct setting){.section = section, .key = (char *)key, .value = optarg, .origin = origin},
                 wrong);
}

static void take_flag(struct flags *f, int code, const struct option *table, int index,
                      struct complaints *wrong)
{
    enum section section;
    switch (code) {
    case FLAG_CONFIG: f->config = optarg; break;
    case FLAG_CHECK: f->check = true; break;
    case FLAG_VERSION: f->version = true; break;
    case FLAG_HELP: f->help = true; break;
    case FLAG_HELP_CONFIG: f->help_config = true; break;
    case FLAG_REDIS: add_setting(f, SECTION_REDIS, "url", "redis", wrong); break;
    default: {
        const struct knob *knob = option_at((unsigned)code - FLAG_OPTIONS, &section);
        add_setting(f, section, knob->name, table[index].name, wrong);
    }
    }
}

static void complain_flag(struct complaints *wrong, const char *word, const struct option *table)
{
    char name[64];
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + strspn(word, "-"), "="),
             word + strspn(word, "-"));
    struct nearest near = nearest_to(name);
    for (unsigned i = 0; table[i].name; i++) {
        if (strcmp(name, table[i].name) == 0) {
            complain(wrong, "--%s takes no value", name);
            return;
        }
        nearest_offer(&near, table[i].name);
    }
    if (near.best)
        complain(wrong, "no flag %s; did you mean --%s?", word, near.best);
    else
        complain(wrong, "no flag %s; larderd --help lists them all", word);
}

void flags_read(int count, char **words, struct flags *ret, struct complaints *wrong)
{
    struct option *table = long_options();
    int code, index = 0;
    *ret = (struct flags){0};
    optind = 1;
    opterr = 0;
    while ((code = getopt_long(count, words, ":", table, &index)) != -1) {
        if (code == ':')
            complain(wrong, "%s wants a value", words[optind - 1]);
        else if (code == '?')
            complain_flag(wrong, words[optind - 1], table);
        else
            take_flag(ret, code, table, index, wrong);
    }
    for (; optind < count; optind++)
        complain(wrong, "%s is no flag, and there is nothing else to say", words[optind]);
    free_options(table);
}

void flags_finish(struct flags *f)
{
    settings_finish(&f->settings);
}

/* ---- texts --------------------------------------------------------------------------------------------- */

static void print_flag(FILE *out, const char *name, const char *argument, const char *sentence,
                       const char *fallback)
{
    char left[64];
    snprintf(left, sizeof(left), "--%s%s%s", name, argument ? " " : "", argument ? argument : "");
    fprintf(out, "  %-30s %s%s%s%s\n", left, sentence, *fallback ? " (" : "", fallback, *fallback ? ")" : "");
}

static void print_table(FILE *out, const struct option_table *table)
{
    fprintf(out, "\n[%s] %s:\n", section_kinds[table->section].name, table->title);
    for (unsigned i = 0; i < table->count; i++) {
        char *name = flag_name(table->knobs[i].name);
        print_flag(out, name, type_words[table->knobs[i].type], table->knobs[i].sentence,
                   table->knobs[i].fallback);
        free(name);
    }
}

void flags_print_help(FILE *out)
{
    fputs("usage: larderd [--config FILE] [--OPTION VALUE]…\n"
          "The cache daemon: answers at a Unix socket, keeps hot entries in shared memory and all of them on "
          "disk.\n\n",
          out);
    for (unsigned i = 0; i < COUNT_OF(own_flags); i++)
        print_flag(out, own_flags[i].name, own_flags[i].argument, own_flags[i].sentence, "");
    for (unsigned t = 0; t < option_tables_count; t++)
        print_table(out, &option_tables[t]);
    fputs("\nPrecedence: built-in, file, conf.d, environment (LARDER_<SECTION>_<OPTION>), flags.  Options of "
          "[namespace]\n"
          "given as flags or in the environment are the default namespace's, and every other's unless its "
          "section\n"
          "says otherwise.\n"
          "Signals: HUP reload, TERM or INT drain and stop (again: at once), USR1 statistics to the log.\n"
          "Exit: 0 stopped as asked, 2 usage or configuration, 4 the system refused something needed.\n",
          out);
}

static void print_wrapped(FILE *out, const char *text)
{
    enum { WIDTH = 100 };
    size_t column = 0;
    for (const char *word = text; *word;) {
        size_t size = strcspn(word, " ");
        if (column == 0 || column + 1 + size > WIDTH) {
            fputs(column ? "\n# " : "# ", out);
            column = 2;
        } else {
            fputc(' ', out);
            column++;
        }
        fwrite(word, 1, size, out);
        column += size;
        word += size + strspn(word + size, " ");
    }
    fputc('\n', out);
}

static void print_sample(FILE *out, const struct knob *knob, const char *indent)
{
    char min[UNIT_TEXT], max[UNIT_TEXT];
    const char *words = option_words(knob);
    fputc('\n', out);
    print_wrapped(out, knob->sentence);
    if (knob->type == KNOB_SIZE)
        fprintf(out, "# From %s to %s", print_size(knob->min, min), print_size(knob->max, max));
    else if (knob->type == KNOB_DURATION)
        fprintf(out, "# From %s to %s", print_duration(knob->min, min), print_duration(knob->max, max));
    else if (knob->type == KNOB_RATIO)
        fprintf(out, "# From %s to %s", print_ratio(knob->min, min), print_ratio(knob->max, max));
    else if (knob->type == KNOB_COUNT)
        fprintf(out, "# From %llu to %llu", (unsigned long long)knob->min, (unsigned long long)knob->max);
    else
        fprintf(out, "# %s", knob->type == KNOB_SWITCH ? "on or off" : words ? words : "Text");
    fprintf(out, "; %s.\n", knob->reload == KNOB_LIVE ? "changes with SIGHUP" : "changes with a restart");
    if (*knob->aliases)
        fprintf(out, "# Environment: %s\n", knob->aliases);
    fprintf(out, "#%s%s =%s%s\n", indent, knob->name, *knob->fallback ? " " : "", knob->fallback);
}

static void print_samples(FILE *out, const struct option_table *table, const char *indent)
{
    fprintf(out, "\n# ---- %s ----\n", table->title);
    for (unsigned i = 0; i < table->count; i++)
        print_sample(out, &table->knobs[i], indent);
}

static void print_section(FILE *out, enum section section, const char *head)
{
    fprintf(out, "\n\n%s\n", head);
    for (unsigned t = 0; t < option_tables_count; t++)
        if (option_tables[t].section == section)
            print_samples(out, &option_tables[t], "");
}

static void print_policies(FILE *out)
{
    fputs("\n\n# What holds for some keys, in place of what their namespace says: of the policies in the "
          "order of "
          "this file,\n"
          "# the first whose pattern matches.  What it does not say, the namespace says.  Built-in values "
          "below are "
          "those of\n"
          "# a namespace that says nothing.\n#[policy NAME]\n",
          out);
    print_samples(out, &policy_table, "  ");
    fputs("\n\n# Something that happens in the app, by a name of its own: `larder invalidate --event NAME "
          "id=7`.  "
          "Rules of\n"
          "# policies (cascade) hold for what it names.\n#[event NAME]\n",
          out);
    print_samples(out, &event_table, "  ");
    fputs("\n\n# How often something may be done, by a name the app asks with: `larder limit NAME user=7 "
          "plan=pro`.\n"
          "#[limit NAME]\n",
          out);
    print_samples(out, &limit_table, "  ");
    fputs("\n\n# Who may name nothing but keys that begin with \"NAME:\", whatever he says of himself.  "
          "Connections that are "
          "not bound\n"
          "# here may bind themselves.\n#[tenant NAME]\n",
          out);
    print_samples(out, &tenant_table, "  ");
}

void flags_print_config(FILE *out)
{
    fputs("# Larder, every option at its default.  Printed by larderd --help-config.\n"
          "#\n"
          "# Read from " CONFIG_FILE
          ", then conf.d/*.conf beside it in the order of their names, then the environment\n"
          "# (LARDER_<SECTION>_<OPTION> and the names given below), then flags (--l1-bytes 1GiB): later ones "
          "win.\n"
          "# In the environment NAME:S counts seconds, NAME:MS milliseconds, NAME:MIB MiB when a number has "
          "no unit.\n"
          "# larderd --check-config says what is wrong with a file; larder config dump --show-origin what is "
          "in force.\n",
          out);
    print_section(out, SECTION_SERVER, "[server]");
    print_section(out, SECTION_REDIS, "# One Redis for all namespaces.\n[redis]");
    print_section(out, SECTION_ADMIN, "[admin]");
    print_section(out, SECTION_HEALTH, "[health]");
    fputs("\n\n# Names for durations; these five are there without being said.\n[durations]\n#short = "
          "60s\n#medium = 5m\n"
          "#long = 30m\n#very_long = 1h\n#day = 24h\n",
          out);
    print_section(
        out, SECTION_NAMESPACE,
        "# One section a namespace, each with a segment and a database of its own.  What is not said in\n"
        "# [namespace NAME] is the built-in default, or what environment and flags say.\n[namespace "
        "default]");
    print_policies(out);
}
