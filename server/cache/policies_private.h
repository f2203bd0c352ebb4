/* What policies.c and cascade.c share.  Nobody else includes this. */
#ifndef LARDER_CACHE_POLICIES_PRIVATE_H
#define LARDER_CACHE_POLICIES_PRIVATE_H

#include "base/pattern.h"
#include "cache/policies.h"
#include "cache/target.h"

enum {
    LEVELS_INDEXED = 8,
    WORDS_MAX = POLICY_PATTERNS_MAX / 64,
};

struct bits {
    uint64_t words[WORDS_MAX];
};

/* Patterns whose level `level` is exactly a text of that hash: where their bits are. */
struct literal {
    uint32_t hash; /* 0: free */
    uint32_t bits; /* index in policies.literal_bits */
};

struct known {
    struct policy shown;
    char *name, *pattern, *description, *tags_text, *cascade_text,
        *warming_text; /* what `shown` and the parsed point into */
    struct pattern_names names;
    unsigned first, patterns; /* its alternatives among all */
    struct template *tags;
    unsigned tags_count;
    struct target *cascade;
    unsigned cascade_count;
    struct key_source *sources;
    unsigned sources_count;
};

struct event {
    char *name, *text;
    struct pattern_names names; /* of its arguments */
    struct target *targets;
    unsigned targets_count;
};

struct policies {
    struct known *known; /* [0]: the namespace's own */
    unsigned count;
    struct pattern *patterns;
    uint8_t *owners; /* of each pattern: index in known */
    unsigned patterns_count, words;
    struct bits any[LEVELS_INDEXED];       /* those that take more than one text there */
    struct bits sized[LEVELS_INDEXED + 2]; /* those that a key of so many levels can match; last: of more */
    struct literal *literals;              /* a hash table */
    struct bits *literal_bits;
    unsigned literals_mask, literals_count;
    struct event *events;
    unsigned events_count;
    bool cascades;               /* some policy has a rule */
    char *names[POLICY_NUMBERS]; /* whose a number is, also of policies that are gone */
    uint8_t by_number[POLICY_NUMBERS];
};

/* Into *f; always false. */
bool policy_fault(struct policy_fault *f, const char *option, struct slice text, const char *why);
/* A {name} in it has to be known whichever alternative of the pattern matched. */
bool policy_names_known(const struct policies *p, const struct known *k, const struct template *t);

/* What its pattern remembers of the key; false: it is the policy of this key no more. */
bool policies_remember(const struct policies *p, const struct known *k, struct slice key,
                       struct captures *ret);

/* ---- cascade.c and event.c ---- */

enum { CASCADE_TARGETS_MAX = 32 };
void event_free(struct event *e);

/* Reads k->cascade_text. */
bool cascade_parse(struct policies *p, struct known *k, struct policy_fault *fault);
void cascade_free(struct known *k);
/* No rule leads back to itself; *ret_fault names one that does. */
bool cascade_ends(const struct policies *p, struct policy_fault *ret_fault);

#endif
