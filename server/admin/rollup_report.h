/* A report: what was counted on the last so many days, summed as it is asked for.
 *
 * What must stay true: whatever the grouping, the rows add up to the total.  Pure; the work is a look at each day's record,
 * 5 µs of a usual day, 25 of one with 64 policies: so it can be done in steps of a few days, and whoever has a loop to
 * keep turning does it so (reports.h). */
#ifndef LARDER_ADMIN_ROLLUP_REPORT_H
#define LARDER_ADMIN_ROLLUP_REPORT_H

#include "admin/rollup.h"

#define ROLLUP_BY(WORD)                                                                            \
    WORD(DAY, "day", "a row a day")                                                                \
    WORD(POLICY, "policy", "a row a policy")                                                       \
    WORD(TENANT, "tenant", "a row a tenant, of the connections that are bound to one")             \
    WORD(RESOURCE, "resource", "a row for what the patterns of policies name: page of {t}:page:*") \
    WORD(MINUTE, "minute", "a row a minute, of the last 24 hours")

enum rollup_by {
#define WORD(NAME, word, sentence) ROLLUP_BY_##NAME,
    ROLLUP_BY(WORD)
#undef WORD
        ROLLUP_BY_COUNT
};
const char *rollup_by_word(enum rollup_by by);
bool rollup_by_parse(struct slice word, enum rollup_by *ret);

enum {
    ROLLUP_LINES = 256
}; /* with names: more policies than a namespace can have; the rest is the others' */

struct rollup_line {
    uint64_t time; /* of days and minutes: seconds since 1970 */
    uint8_t name_bytes;
    char name[ROLLUP_NAME_BYTES];
    struct rollup_counts counts;
};

struct rollup_hot {
    uint64_t heat;
    uint8_t bytes;
    char key[ROLLUP_KEY_BYTES];
};

struct rollup_report {
    uint64_t from_day, to_day; /* since 1970, both included */
    struct rollup_counts total;
    struct rollup_line
        *lines; /* by time, or by name; what is in no row of its own comes last, in parentheses */
    unsigned count;
    struct rollup_hot keys[ROLLUP_KEYS]; /* hottest first */
    unsigned keys_count;
};

/* `days`, today among them: 1 to ROLLUP_DAYS.  Of minutes those of the last 24 hours, whatever `days` says. */
void rollup_report(const struct rollup *r, unsigned days, enum rollup_by by, struct rollup_report *ret);
void rollup_report_finish(struct rollup_report *p);

/* The same in steps: begun, taken on until it returns true, ended.  The rollup may be added to and turned meanwhile. */
struct rollup_making;
struct rollup_making *rollup_making_begin(const struct rollup *r, unsigned days, enum rollup_by by);
bool rollup_making_step(struct rollup_making *m);
/* Up to this moment.  False: another day has begun since, and so has the making; step on. */
bool rollup_making_end(struct rollup_making *m, struct rollup_report *ret);
struct rollup_making *rollup_making_destroy(struct rollup_making *m); /* NULL ok, returns NULL */

#endif
