#include "base/tally.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include "base/check.h"

struct tally {
    unsigned used;
    uint64_t hashes[TALLY_PLACES], counts[TALLY_PLACES], errors[TALLY_PLACES];
    uint8_t bytes[TALLY_PLACES];
    char names[TALLY_PLACES][TALLY_NAME_MAX];
};

struct tally *tally_create(void)
{
    return must_alloc(sizeof(struct tally));
}

struct tally *tally_destroy(struct tally *t)
{
    free(t);
    return NULL;
}

static unsigned find(const struct tally *t, uint64_t hash, struct slice name)
{
    for (unsigned i = 0; i < t->used; i++)
        if (t->hashes[i] == hash && slice_equal(slice_of(t->names[i], t->bytes[i]), name))
            return i;
    return TALLY_PLACES;
}

/* An empty place, or that of the rarest, whose count the newcomer might have had. */
static unsigned take_place(struct tally *t)
{
    unsigned rarest = 0;
    if (t->used < TALLY_PLACES)
        return t->used++;
    for (unsigned i = 1; i < TALLY_PLACES; i++)
        if (t->counts[i] < t->counts[rarest])
            rarest = i;
    t->errors[rarest] = t->counts[rarest];
    return rarest;
}

void tally_add(struct tally *t, struct slice name)
{
    if (name.size == 0 || name.size > TALLY_NAME_MAX)
        return;
    uint64_t hash = XXH3_64bits(name.data, name.size);
    unsigned at = find(t, hash, name);
    if (at == TALLY_PLACES) {
        at = take_place(t);
        t->hashes[at] = hash;
        t->bytes[at] = (uint8_t)name.size;
        memcpy(t->names[at], name.data, name.size);
    }
    t->counts[at]++;
}

unsigned tally_top(const struct tally *t, struct tallied *ret, unsigned max)
{
    unsigned count = 0;
    for (unsigned i = 0; i < t->used; i++) {
        unsigned at = count < max ? count++ : max;
        for (; at > 0 && ret[at - 1].count < t->counts[i]; at--)
            if (at < max)
                ret[at] = ret[at - 1];
        if (at < max)
            ret[at] = (struct tallied){slice_of(t->names[i], t->bytes[i]), t->counts[i], t->errors[i]};
    }
    return count;
}
