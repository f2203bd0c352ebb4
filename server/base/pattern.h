/* Patterns over keys, and names made of what a pattern remembered.
 *
 *   org:*                 "org:" and everything below it: a * that ends a pattern takes the rest, ':' included
 *   {t}:messages:*        {t} is one whole level, not empty, and remembered
 *   {t}:user:*:profile    a * elsewhere stays within its level, and may take nothing
 *   user_{id}             one * or {name} a level, with text before and after it
 *   a:*, b:{x}            alternatives
 *
 * One wildcard a level: so a match is one pass over the key, whatever pattern and key are; there is nothing to try twice.
 * Bytes are bytes: keys may hold anything, and what a pattern says besides the above is meant literally.
 *
 * Pure.  Everything parsed points into the text it was parsed from. */
#ifndef LARDER_BASE_PATTERN_H
#define LARDER_BASE_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "proto/slice.h"

enum {
    PATTERN_BYTES_MAX = 255,
    PATTERN_LEVELS_MAX = 16,
    PATTERN_NAMES_MAX = 8, /* {name}s of all alternatives together */
    TEMPLATE_PIECES_MAX = 2 * PATTERN_NAMES_MAX + 1,
};

/* The {name}s of one policy: a number for each. */
struct pattern_names {
    struct slice of[PATTERN_NAMES_MAX];
    unsigned count;
};

struct pattern_level {
    struct slice head, tail; /* without a wildcard: head is the whole level */
    uint64_t word, mask;     /* of the head: its first eight bytes, and which of them it has */
    bool any;
    int8_t name; /* of any: what it is remembered as; -1: not */
};

struct pattern {
    struct pattern_level levels[PATTERN_LEVELS_MAX];
    unsigned count;
    bool rest;       /* the last level takes all that is left */
    unsigned naming; /* bits 1 << name of those it remembers */
};

/* What a match remembered, by the numbers of the names. */
struct captures {
    struct slice of[PATTERN_NAMES_MAX];
};

/* A key, taken apart once for many comparisons. */
struct key_level {
    struct slice text;
    uint64_t word; /* its first eight bytes, zeros behind the last */
};
struct key_levels {
    struct key_level of[PATTERN_LEVELS_MAX];
    unsigned count; /* PATTERN_LEVELS_MAX + 1: more than those */
};
void key_split(struct slice key, struct key_levels *ret);

/* One alternative.  False: *ret_why, a static sentence. */
bool pattern_parse(struct slice text, struct pattern_names *names, struct pattern *ret, const char **ret_why);
bool pattern_match(const struct pattern *p, const struct key_levels *key);
/* Can a key that begins with the prefix match?  `prefix` is "a:b:" taken apart; *ret_known: the names it decides. */
bool pattern_reaches(const struct pattern *p, const struct key_levels *prefix, struct captures *ret,
                     unsigned *ret_known);
/* Can a key that `other` matches match?  As pattern_overlaps; *ret_known: the names that all such keys decide. */
bool pattern_meets(const struct pattern *p, const struct pattern *other, struct captures *ret,
                   unsigned *ret_known);
void pattern_remember(const struct pattern *p, const struct key_levels *key,
                      struct captures *ret); /* after a match */
/* Is there a key that both match?  Exact but for what two wildcards in one level can agree on: then yes. */
bool pattern_overlaps(const struct pattern *a, const struct pattern *b);

/* Text with {name}s, to be filled in. */
struct template
{
    struct template_piece {
        struct slice text; /* of name < 0 */
        int name;
    } pieces[TEMPLATE_PIECES_MAX];
    unsigned count;
    unsigned naming;
};
/* A name that is not known: if `add`, it is from now on, else it is wrong. */
bool template_parse(struct slice text, struct pattern_names *names, bool add, struct template *ret,
                    const char **ret_why);
/* Its size; 0: it does not fit into `room` or is empty. */
size_t template_fill(const struct template *t, const struct captures *captures, char *to, size_t room);

/* The next of "a, b, c" without the blanks around it; false at the end.  Begin with *rest = the whole. */
bool list_next_item(struct slice *rest, struct slice *ret_item);

#endif
