/* A directory with a configuration in it, and what came of reading that. */
#ifndef LARDER_TESTS_CONFIG_RIG_H
#define LARDER_TESTS_CONFIG_RIG_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "app/config.h"
#include "app/flags.h"
#include "app/units.h"
#include "base/check.h"

enum { SECOND = 1000000000 };
#define MIB (1ull << 20)

/* ---- a place to read from ------------------------------------------------------------------------------ */

static char directory[64];

static inline int make_directory(void **state)
{
    snprintf(directory, sizeof(directory), "/tmp/larder-config-XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static inline const char *path_in(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
    return path;
}

static inline int remove_directory(void **state)
{
    static const char *const names[] = {"larder.conf", "conf.d/10-a.conf", "conf.d/20-b.conf", "conf.d"};
    for (unsigned i = 0; i < COUNT_OF(names); i++)
        remove(path_in(names[i]));
    return rmdir(directory);
}

static inline void write_file(const char *name, const char *text)
{
    FILE *file = fopen(path_in(name), "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    fclose(file);
}

struct given {
    const char *file;
    char *environment[8];
    const char *flags[4]; /* key, value, key, value in [namespace] */
};

static struct complaints wrong;

static inline struct config *load(const struct given *g)
{
    struct settings flags = {0};
    char *environment[12] = {(char *)"XDG_RUNTIME_DIR=/run/user/1", (char *)"XDG_STATE_HOME=/home/u/state"};
    memset(&wrong, 0, sizeof(wrong));
    memcpy(environment + 2, g->environment, sizeof(g->environment));
    if (g->file)
        write_file("larder.conf", g->file);
    for (unsigned i = 0; i + 1 < COUNT_OF(g->flags) && g->flags[i]; i += 2)
        settings_add(&flags,
                     &(struct setting){.section = SECTION_NAMESPACE,
                                       .key = (char *)g->flags[i],
                                       .value = (char *)g->flags[i + 1],
                                       .origin = (char *)"flag"},
                     &wrong);
    struct config *c = config_load(
        &(struct config_sources){.file = path_in("larder.conf"), .environment = environment, .flags = &flags},
        &wrong);
    settings_finish(&flags);
    return c;
}

static inline struct config *load_good(const struct given *g)
{
    struct config *c = load(g);
    if (!c)
        fail_msg("%s", wrong.lines[0]);
    return c;
}

static inline struct config *from_file(const char *text)
{
    return load_good(&(struct given){.file = text});
}

static inline struct config *from_variable(const char *variable)
{
    return load_good(&(struct given){.environment = {(char *)variable}});
}

static inline void assert_complaint(const char *part)
{
    for (unsigned i = 0; i < wrong.count && i < COMPLAINTS_MAX; i++)
        if (strstr(wrong.lines[i], part))
            return;
    fail_msg("nobody complains of \"%s\", but of \"%s\"", part, wrong.count ? wrong.lines[0] : "nothing");
}

static inline void assert_refused(const char *text, const char *complaint)
{
    assert_null(load(&(struct given){.file = text}));
    assert_complaint(complaint);
}

static inline const struct cache_options *cache_of(const struct config *c, const char *namespace)
{
    for (unsigned i = 0; i < c->namespaces_count; i++)
        if (strcmp(c->namespaces[i].name, namespace) == 0)
            return &c->namespaces[i].cache;
    fail_msg("no namespace %s", namespace);
    return NULL;
}

static inline const struct config_value *value_named(const struct config *c, const char *namespace,
                                                     const char *option)
{
    for (unsigned i = 0; i < c->values_count; i++) {
        const struct config_value *v = &c->values[i];
        bool here = namespace ? v->namespace && strcmp(v->namespace, namespace) == 0 : !v->namespace;
        if (here && strcmp(v->knob->name, option) == 0)
            return v;
    }
    fail_msg("no option %s", option);
    return NULL;
}

#define WITH_FILES(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

#endif
