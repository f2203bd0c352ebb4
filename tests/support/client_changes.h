/* Every way to change "over:k", which is tagged "over-tag". */
#ifndef LARDER_TESTS_CLIENT_CHANGES_H
#define LARDER_TESTS_CLIENT_CHANGES_H

#include "client/larder.h"

#define OVER_KEY "over:k"
#define OVER_TAG "over-tag"

enum over { BY_KEY, BY_TAG, BY_PREFIX, BY_ALL, INVALIDATIONS, BY_SET = INVALIDATIONS, BY_MSET, CHANGES };

static const larder_slice over_key = {OVER_KEY, sizeof(OVER_KEY) - 1},
                          over_tag = {OVER_TAG, sizeof(OVER_TAG) - 1}, over_prefix = {"over:", 5};

/* Of the invalidations only. */
static inline larder_invalidate_options invalidation_over(enum over by)
{
    larder_invalidate_options o = LARDER_INVALIDATE_OPTIONS_INIT;
    o.keys = &over_key, o.keys_count = by == BY_KEY;
    o.tags = &over_tag, o.tags_count = by == BY_TAG;
    o.prefixes = &over_prefix, o.prefixes_count = by == BY_PREFIX;
    o.all = by == BY_ALL;
    return o;
}

static inline int change_over(larder_client *c, enum over by)
{
    larder_item item = {.key = over_key, .value = larder_text("x")};
    larder_invalidate_options o = invalidation_over(by);
    if (by == BY_SET)
        return larder_set(c, over_key, item.value, NULL);
    if (by == BY_MSET)
        return larder_mset(c, &item, 1, NULL);
    return by == BY_KEY ? larder_invalidate(c, over_key) : larder_invalidate_all_of(c, &o);
}

#endif
