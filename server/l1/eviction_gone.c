/* Keys that went, in four bytes each: when they come back, their past goes on.
 *
 * What must stay true: a ghost is a hint.  Another key with the same print in the same set takes its past (1 in 500
 * look-ups of a full set); a time is right up to 90 times the capacity and wraps then; when the unit of time changes, older
 * ghosts tell wrong times until they are replaced. */
#include "l1/eviction_private.h"

#include "base/check.h"

enum { TIMES = 2048 };

static uint32_t *set_of(const struct eviction *e, uint64_t key_hash)
{
    return e->gone.words + (size_t)GHOST_WAYS * ((key_hash >> 32) * e->gone.sets >> 32);
}

static uint32_t print_of(uint64_t key_hash)
{
    return (uint32_t)(key_hash >> 4 & 0xfff) << 20;
}

static uint32_t time_of(const struct eviction *e, uint64_t request)
{
    return (uint32_t)(request >> e->unit) % TIMES;
}

static uint32_t age_in_units(const struct eviction *e, uint32_t word)
{
    return (time_of(e, e->now) - (word >> 9)) % TIMES;
}

void gone_setup(struct eviction *e, uint64_t count)
{
    e->gone.sets = (uint32_t)(count / GHOST_WAYS + 1);
    e->gone.words = must_alloc(sizeof(uint32_t) * GHOST_WAYS * e->gone.sets);
}

void gone_teardown(struct eviction *e)
{
    free(e->gone.words);
    e->gone.words = NULL;
}

/* Empty, the same key's, or the one that was used least for its age. */
static uint32_t *place_for(struct eviction *e, uint64_t key_hash)
{
    uint32_t *set = set_of(e, key_hash), *worst = set;
    float worst_age = -1;
    for (int i = 0; i < GHOST_WAYS; i++) {
        if (set[i] == 0 || (set[i] & 0xfff00000u) == print_of(key_hash))
            return &set[i];
        float age = (float)(age_in_units(e, set[i]) + 1) / (float)(set[i] >> 5 & 15);
        if (age > worst_age) {
            worst_age = age;
            worst = &set[i];
        }
    }
    return worst;
}

void gone_put(struct eviction *e, uint64_t key_hash, struct past past, uint64_t age)
{
    uint64_t used = age < e->now ? e->now - age : 0;
    *place_for(e, key_hash) = print_of(key_hash) | time_of(e, used) << 9 | (uint32_t)past.frequency << 5 |
                              (uint32_t)past.distance / OCTAVE;
}

bool gone_take(struct eviction *e, uint64_t key_hash, struct past *ret, uint64_t *ret_age)
{
    uint32_t *set = set_of(e, key_hash);
    for (int i = 0; i < GHOST_WAYS; i++) {
        if (set[i] == 0 || (set[i] & 0xfff00000u) != print_of(key_hash))
            continue;
        *ret = (struct past){set[i] >> 5 & 15, (uint8_t)((set[i] & 31) * OCTAVE + OCTAVE / 2)};
        *ret_age = ((uint64_t)age_in_units(e, set[i]) << e->unit) + (1ull << e->unit) / 2;
        set[i] = 0;
        return true;
    }
    return false;
}
