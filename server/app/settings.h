/* What was said, before anybody asks what it means: every key = value of files, environment and flags, with the place
 * it came from, in the order of precedence.  The three sources differ only here. */
#ifndef LARDER_APP_SETTINGS_H
#define LARDER_APP_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>
#include "app/options.h"

/* What is wrong, for people: one sentence a line, with the place.  Bounded: nobody reads the 17th. */
enum { COMPLAINTS_MAX = 16, COMPLAINT_BYTES = 600 };
struct complaints {
    unsigned count; /* of all; only the first COMPLAINTS_MAX are kept */
    char lines[COMPLAINTS_MAX][COMPLAINT_BYTES];
};
void complain(struct complaints *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

struct setting {
    enum section section;
    char *name; /* of the section; NULL: none, which in [namespace] means all of them */
    char *key;  /* NULL: the section was opened */
    char *value;
    char *origin; /* larder.conf:12, environment REDIS_URL, flag --l1-bytes */
    uint64_t plain_unit;
    bool from_file;
};

enum { SETTINGS_MAX = 10000 }; /* a bound on what a file may make us hold; real ones have dozens */
struct settings {
    struct setting *items;
    unsigned count;
};

void settings_add(struct settings *s, const struct setting *copied, struct complaints *wrong);
void settings_finish(struct settings *s);

/* A file in INI form.  A missing one is a complaint if `required`. */
void settings_read_file(struct settings *s, const char *path, bool required, struct complaints *wrong);
/* directory/conf.d/ *.conf beside the file, in the order of their names. */
void settings_read_directory(struct settings *s, const char *file, struct complaints *wrong);
/* LARDER_<SECTION>_<KEY> and the aliases; a canonical name beats an alias.  Those of a limit speak of this one: */
#define LIMIT_OF_ENVIRONMENT "default"
void settings_read_environment(struct settings *s, char *const *environment, struct complaints *wrong);

/* The value of a variable, NULL when it is not set or empty. */
const char *environment_get(char *const *environment, const char *name);

/* "no such option in [server]; did you mean socket?" */
void complain_unknown(struct complaints *c, const char *origin, enum section section, const char *key);

#endif
