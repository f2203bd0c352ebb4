/* May what a state directory holds be believed?  Pure: it sees what directory and page say of themselves.
 *
 * A directory misses changes when a daemon ran without it, when the machine lost memory that was not yet on disk,
 * or when somebody put an older copy in its place.  All of these end in an entry that was invalidated and comes
 * back; so in doubt the tier starts empty.  What cannot be noticed: a copy put in place while the machine was off,
 * with a clean mark on it. */
#ifndef LARDER_WARM_TRUST_H
#define LARDER_WARM_TRUST_H

#include "warm/env.h"
#include "warm/page.h"

struct trust {
    const struct env_state *state; /* as the last run left it */
    const char *boot_id;           /* of now; "": unknown */
    bool page_same_boot;           /* there is a runtime page, and was already in this boot */
    struct page_owner owner;       /* what it says */
};
/* NULL: yes.  Otherwise a sentence. */
const char *trust_judge(const struct trust *t);

#endif
