/* What runs inside Redis: one table, the text, and how a call names it.  What each script takes, answers and keeps
 * true: scripts/README.md.
 *
 * A script is called by its digest, which Redis tells when it is given the text (SCRIPT LOAD at connect); we compute
 * none.  Where SCRIPT is forbidden, or until the digest is known, the text travels with each call (EVAL).  NOSCRIPT
 * means that nothing was done: the same call goes again by EVAL, which makes Redis know the script again, so the
 * digest stays good.
 *
 * Pure; one struct script_digests per Redis server, since a digest once told holds for all. */
#ifndef LARDER_L2_SCRIPT_H
#define LARDER_L2_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include "base/fleet.h"
#include "proto/slice.h"

/* SCRIPT(NAME, file, own keys, own keys per item): KEYS are inc ver j tags, then the own ones. */
#define SCRIPT_TABLE(SCRIPT)             \
    SCRIPT(HELLO, hello, 2, 0)           \
    SCRIPT(FENCE, fence, 2, 0)           \
    SCRIPT(SET, set, 2, 0)               \
    SCRIPT(FILL, fill, 2, 0)             \
    SCRIPT(INVALIDATE, invalidate, 0, 2) \
    SCRIPT(TOUCH, touch, 1, 0)           \
    SCRIPT(GETL, getl, 2, 0)             \
    SCRIPT(SAME, same, 0, 1)             \
    SCRIPT(RENEW, renew, 1, 0)           \
    SCRIPT(DROP, drop, 1, 0)             \
    SCRIPT(LIMIT, limit, 1, 0)           \
    SCRIPT(HOT, hot, 1, 0)

enum script_id {
#define SCRIPT(NAME, file, keys, keys_per_item) SCRIPT_##NAME,
    SCRIPT_TABLE(SCRIPT)
#undef SCRIPT
        SCRIPTS
};

enum {
    SCRIPT_COMMON_KEYS = 4,
    SCRIPT_COMMON_ARGUMENTS = 3,        /* epoch, host's field, session */
    SCRIPT_ITEMS_MAX = FLEET_ITEMS_MAX, /* keys and names of one call: bounds the turn Redis spends on it */
    SCRIPT_DIGEST_BYTES = 40,
};

/* Largest size of {ns}:tags before its oldest names are given up for a floor. */
#define SCRIPT_NAMES_MAX "1000000"

#define SCRIPT(NAME, file, keys, keys_per_item) extern const char script_text_##file[];
SCRIPT_TABLE(SCRIPT)
#undef SCRIPT

const char *script_name(enum script_id id);
struct slice script_text(enum script_id id);
/* How many KEYS a call with `items` keys has. */
unsigned script_keys(enum script_id id, unsigned items);

struct script_digests {
    char of[SCRIPTS][SCRIPT_DIGEST_BYTES];
    bool known[SCRIPTS];
};

/* The reply to SCRIPT LOAD.  false: that is no digest, the script goes on by EVAL. */
bool script_loaded(struct script_digests *digests, enum script_id id, struct slice reply);

/* The first two words of a call; numkeys, KEYS and ARGV follow.  `again`: after NOSCRIPT. */
struct script_call {
    struct slice command, script;
};
struct script_call script_call(const struct script_digests *digests, enum script_id id, bool again);

#endif
