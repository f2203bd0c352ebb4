/* What a rule invalidates: a key, a tag or a prefix, with {name}s to be filled in.
 *
 *   key "course:{id}"    tag "courses"    prefix "course:{id}:"
 *   course:{id}          a key            course:{id}:*   the prefix "course:{id}:"
 *
 * Quotes may be left out.  Pure. */
#ifndef LARDER_CACHE_TARGET_H
#define LARDER_CACHE_TARGET_H

#include "base/pattern.h"

enum target_kind { TARGET_KEY, TARGET_TAG, TARGET_PREFIX };

struct target {
    enum target_kind kind;
    struct slice text; /* with its {name}s */
    struct template name;
};

/* `names`, `add`: as of template_parse.  False: *ret_why, a static sentence. */
bool target_parse(struct slice item, struct pattern_names *names, bool add, struct target *ret,
                  const char **ret_why);

/* The keys it may name, whatever is filled in; never of a tag. */
bool target_reaches(const struct target *t, const struct pattern *p);

#endif
