#include "app/settings.h"

#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include "app/nearest.h"
#include "base/check.h"

void complain(struct complaints *c, const char *format, ...)
{
    va_list arguments;
    if (c->count++ >= COMPLAINTS_MAX)
        return;
    va_start(arguments, format);
    vsnprintf(c->lines[c->count - 1], COMPLAINT_BYTES, format, arguments);
    va_end(arguments);
}

static char *copy(const char *text)
{
    return text ? must_strdup(text) : NULL;
}

void settings_add(struct settings *s, const struct setting *copied, struct complaints *wrong)
{
    if (s->count == SETTINGS_MAX) {
        complain(wrong, "%s: more than %d settings", copied->origin, SETTINGS_MAX);
        return;
    }
    if ((s->count & (s->count - 1)) == 0) /* grows at powers of two */
        s->items = must_realloc(s->items, (s->count ? 2 * s->count : 1) * sizeof(*s->items));
    struct setting *new = &s->items[s->count++];
    *new = *copied;
    new->name = copy(copied->name);
    new->key = copy(copied->key);
    new->value = copy(copied->value);
    new->origin = copy(copied->origin);
}

void settings_finish(struct settings *s)
{
    for (unsigned i = 0; i < s->count; i++) {
        free(s->items[i].name);
        free(s->items[i].key);
        free(s->items[i].value);
        free(s->items[i].origin);
    }
    free(s->items);
    *s = (struct settings){0};
}

/* ---- what is not known --------------------------------------------------------------------------------- */

static void offer_table(struct nearest *n, const struct option_table *table, enum section section)
{
    for (unsigned i = 0; table->section == section && i < table->count; i++)
        nearest_offer(n, table->knobs[i].name);
}

static void offer_keys(struct nearest *n, enum section section)
{
    for (unsigned t = 0; t < option_tables_count; t++)
        offer_table(n, &option_tables[t], section);
    offer_table(n, &policy_table, section);
    offer_table(n, &event_table, section);
    offer_table(n, &limit_table, section);
    offer_table(n, &tenant_table, section);
    for (unsigned i = 0; i < later_options_count; i++)
        if (later_options[i].section == section)
            nearest_offer(n, later_options[i].name);
}

/* The other section that has an option of this very name. */
static enum section section_with(const char *key)
{
    const struct option_table *table;
    for (unsigned section = 0; section < SECTIONS; section++)
        if (option_find(section, key, &table) || option_find_later(section, key))
            return section;
    return SECTION_UNKNOWN;
}

void complain_unknown(struct complaints *c, const char *origin, enum section section, const char *key)
{
    const char *here = section_kinds[section].name;
    enum section there = section_with(key);
    struct nearest near = nearest_to(key);
    offer_keys(&near, section);
    if (there != SECTION_UNKNOWN)
        complain(c, "%s: no option %s in [%s]; it belongs in [%s%s]", origin, key, here,
                 section_kinds[there].name, section_kinds[there].named ? " NAME" : "");
    else if (near.best)
        complain(c, "%s: no option %s in [%s]; did you mean %s?", origin, key, here, near.best);
    else
        complain(c, "%s: no option %s in [%s]; larderd --help-config lists them all", origin, key, here);
}

/* ---- files --------------------------------------------------------------------------------------------- */

struct reading {
    struct settings *settings;
    struct complaints *wrong;
    const char *path;
    FILE *file;
    int line;
    bool section_ok;
    enum section section;
    char section_name[64];
};

static const char *place(const struct reading *r, char ret[512])
{
    snprintf(ret, 512, "%s:%d", r->path, r->line);
    return ret;
}

static void complain_section(struct reading *r, const char *text)
{
    char at[512], word[64];
    struct nearest near = nearest_to(word);
    snprintf(word, sizeof(word), "%.*s", (int)strcspn(text, " \t"), text);
    for (unsigned i = 0; i < SECTIONS; i++)
        nearest_offer(&near, section_kinds[i].name);
    if (near.best)
        complain(r->wrong, "%s: no section [%s]; did you mean [%s]?", place(r, at), text, near.best);
    else
        complain(r->wrong,
                 "%s: no section [%s]; there are [server] [namespace NAME] [policy NAME] [event NAME] "
                 "[limit NAME] [tenant NAME] [redis] [admin] [health] [durations]",
                 place(r, at), text);
}

/* The name becomes a directory and travels in HELLO, so it is kept plain. */
static bool name_ok(const char *name)
{
    size_t size = strlen(name);
    return size > 0 && size < 40 && name[0] != '.' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == size;
}

static bool section_of(struct reading *r, const char *text)
{
    char at[512];
    for (unsigned i = 0; i < SECTIONS; i++) {
        size_t size = strlen(section_kinds[i].name);
        if (strncmp(text, section_kinds[i].name, size) != 0 ||
            (text[size] && !isblank((unsigned char)text[size])))
            continue;
        const char *name = text + size + strspn(text + size, " \t");
        r->section = i;
        snprintf(r->section_name, sizeof(r->section_name), "%s", name);
        if (!section_kinds[i].named && !*name)
            return true;
        /* An event is named by the app ("course.updated"), the others by the rule above; both fit it. */
        if (section_kinds[i].named && name_ok(name))
            return true;
        complain(r->wrong,
                 section_kinds[i].named
                     ? "%s: [%s] needs a name of 1 to 39 letters, digits, _ . or -, as in [%s NAME]"
                     : "%s: [%s] takes no name: [%s]",
                 place(r, at), text, section_kinds[i].name);
        return false;
    }
    complain_section(r, text);
    return false;
}

static void add_from_file(struct reading *r, const char *key, const char *value)
{
    char at[512];
    struct setting found = {.section = r->section,
                            .name = section_kinds[r->section].named ? r->section_name : NULL,
                            .key = (char *)key,
                            .value = (char *)value,
                            .origin = (char *)place(r, at),
                            .from_file = true};
    settings_add(r->settings, &found, r->wrong);
}

static void open_section(struct reading *r, char *line)
{
    char *end = strchr(line, ']');
    r->section_ok = false;
    if (!end)
        return; /* inih says so */
    *end = '\0';
    r->section_ok = section_of(r, line + 1);
    if (r->section_ok)
        add_from_file(r, NULL, NULL);
    *end = ']';
}

/* inih asks for a line at a time.  Indentation is taken off, since inih would glue an indented line to the option
 * before; sections are noted here, since inih does not tell of empty ones. */
static char *next_line(char *buffer, int size, void *user)
{
    struct reading *r = user;
    char at[512];
    int c, used = 0;
    bool any = false, long_line = false;
    while ((c = getc(r->file)) != EOF && c != '\n') {
        any = true;
        if (used == 0 && isblank(c))
            continue;
        if (used < size - 2)
            buffer[used++] = (char)c;
        else
            long_line = true;
    }
    if (c == EOF && !any)
        return NULL;
    r->line++;
    buffer[used] = '\0';
    if (long_line) {
        complain(r->wrong, "%s: the line is longer than %d bytes", place(r, at), size - 2);
        buffer[0] = '\0';
    }
    if (buffer[0] == '[')
        open_section(r, buffer);
    return buffer;
}

static int take_pair(void *user, const char *section, const char *key, const char *value)
{
    struct reading *r = user;
    char at[512];
    if (*section == '\0')
        complain(r->wrong, "%s: %s stands before the first [section]", place(r, at), key);
    else if (r->section_ok)
        add_from_file(r, key, value);
    return 1;
}

void settings_read_file(struct settings *s, const char *path, bool required, struct complaints *wrong)
{
    struct stat st;
    struct reading r = {.settings = s, .wrong = wrong, .path = path, .file = fopen(path, "re")};
    if (r.file && fstat(fileno(r.file), &st) == 0 && S_ISDIR(st.st_mode)) {
        complain(wrong, "%s: is a directory, not a file", path);
    } else if (r.file) {
        int line = ini_parse_stream(next_line, &r, take_pair, &r);
        if (line > 0)
            complain(wrong, "%s:%d: neither [section] nor key = value", path, line);
    } else if (errno != ENOENT || required) {
        complain(wrong, "%s: cannot be read: %s", path, strerror(errno));
    }
    if (r.file)
        fclose(r.file);
}

void settings_read_directory(struct settings *s, const char *file, struct complaints *wrong)
{
    char pattern[4096];
    glob_t found;
    const char *slash = strrchr(file, '/');
    snprintf(pattern, sizeof(pattern), "%.*sconf.d/*.conf", slash ? (int)(slash - file + 1) : 0, file);
    if (glob(pattern, 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++)
            settings_read_file(s, found.gl_pathv[i], true, wrong);
    globfree(&found);
}

/* ---- environment --------------------------------------------------------------------------------------- */

const char *environment_get(char *const *environment, const char *name)
{
    size_t size = strlen(name);
    for (; environment && *environment; environment++)
        if (strncmp(*environment, name, size) == 0 && (*environment)[size] == '=')
            return (*environment)[size + 1] ? *environment + size + 1 : NULL;
    return NULL;
}

/* `in`: section, its name, and key. */
static void add_from_environment(struct settings *s, struct setting in, const char *variable,
                                 const char *value, uint64_t unit, struct complaints *wrong)
{
    char origin[160];
    snprintf(origin, sizeof(origin), "environment %.128s", variable);
    in.value = (char *)value;
    in.origin = origin;
    in.plain_unit = unit;
    settings_add(s, &in, wrong);
}

static void read_aliases(struct settings *s, char *const *environment, const struct option_table *table,
                         const char *section_name, struct complaints *wrong)
{
    char name[64];
    uint64_t unit;
    for (unsigned i = 0; i < table->count; i++) {
        const char *aliases = table->knobs[i].aliases, *value;
        struct setting in = {
            .section = table->section, .name = (char *)section_name, .key = (char *)table->knobs[i].name};
        while (option_next_alias(&aliases, name, &unit))
            if ((value = environment_get(environment, name)))
                add_from_environment(s, in, name, value, unit, wrong);
    }
}

/* LARDER_SERVER_DRAIN_TIMEOUT=5s → server, drain_timeout, 5s.  Variables that begin otherwise are not ours: the client
 * library has LARDER_ ones too. */
static bool canonical(const char *entry, enum section *ret_section, char ret_key[64], const char **ret_value)
{
    const char *equals = strchr(entry, '=');
    if (!equals || strncmp(entry, "LARDER_", 7) != 0)
        return false;
    for (unsigned i = 0; i < SECTIONS; i++) {
        const char *name = section_kinds[i].name, *key = entry + 7 + strlen(name) + 1;
        if (strncasecmp(entry + 7, name, strlen(name)) != 0 || key > equals || key[-1] != '_')
            continue;
        size_t size = (size_t)(equals - key) < 63 ? (size_t)(equals - key) : 63;
        for (size_t j = 0; j < size; j++)
            ret_key[j] = (char)tolower((unsigned char)key[j]);
        ret_key[size] = '\0';
        *ret_section = i;
        *ret_value = equals + 1;
        return size > 0 && i != SECTION_POLICY && i != SECTION_EVENT && i != SECTION_LIMIT &&
               i != SECTION_TENANT;
    }
    return false;
}

void settings_read_environment(struct settings *s, char *const *environment, struct complaints *wrong)
{
    for (unsigned t = 0; t < option_tables_count; t++)
        read_aliases(s, environment, &option_tables[t], NULL, wrong);
    read_aliases(s, environment, &limit_table, LIMIT_OF_ENVIRONMENT, wrong);
    for (; environment && *environment; environment++) {
        enum section section;
        char key[64], variable[128];
        const char *value;
        if (!canonical(*environment, &section, key, &value) || !*value)
            continue;
        snprintf(variable, sizeof(variable), "%.*s", (int)(value - 1 - *environment), *environment);
        add_from_environment(s, (struct setting){.section = section, .key = key}, variable, value, 0, wrong);
    }
}
