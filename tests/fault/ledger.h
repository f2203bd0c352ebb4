/* What writers, readers and the nemesis (kills.py) know in common: a file mapped by all of them.
 *
 * THE CHECK.  Each key has one writer, so its operations have an order: 1, 2, 3, …  A stored value carries the number
 * of its set.  A reader loads `acked` and `seen` before its get; what it finds must carry a number at least as great as
 * both (an acknowledged set is not undone, an acknowledged invalidation is not undone, time does not run backwards),
 * and at most `started` loaded after the get (nobody reads what was never written).
 *
 * THE EXCEPTION.  An operation without an answer may take effect late: its bytes may lie in the socket of a stopped
 * daemon.  Its number is remembered with the era; a value that carries it is not held against anybody, until the key has
 * an acknowledged operation of a later era: the daemon that could have carried it out is dead by then. */
#ifndef LARDER_TESTS_FAULT_LEDGER_H
#define LARDER_TESTS_FAULT_LEDGER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    LEDGER_KEYS = 1024,
    LEDGER_DOUBTS = 64, /* operations without an answer remembered a key */
    LEDGER_PROCESSES = 8,
    LEDGER_TEXT = 256,
};

struct ledger_doubt {
    _Atomic uint64_t number, era;
};

struct ledger_key {
    _Atomic uint64_t started, acked, acked_era, seen;
    _Atomic uint64_t doubts_count;
    struct ledger_doubt doubts[LEDGER_DOUBTS];
};

/* kills.py knows the offsets of these words: eight bytes each, in this order. */
#define LEDGER_WORDS(WORD) \
    WORD(stop)             \
    WORD(era)              \
    WORD(violations)       \
    WORD(reads)            \
    WORD(hits)             \
    WORD(near_hits)        \
    WORD(warm_hits) WORD(misses) WORD(acks) WORD(doubtful) WORD(unsent) WORD(refused) WORD(expired_seen)

struct ledger {
#define WORD(name) _Atomic uint64_t name;
    LEDGER_WORDS(WORD)
#undef WORD
    _Atomic uint64_t processes[LEDGER_PROCESSES]; /* pids; readers may be shot */
    char violation[LEDGER_TEXT];                  /* the first one */
    struct ledger_key keys[LEDGER_KEYS];
};

static inline void ledger_doubt(struct ledger *l, struct ledger_key *k, uint64_t number)
{
    uint64_t n = atomic_fetch_add(&k->doubts_count, 1);
    struct ledger_doubt *d = &k->doubts[n % LEDGER_DOUBTS];
    atomic_store(&d->number, 0);
    atomic_store(&d->era, atomic_load(&l->era));
    atomic_store(&d->number, number);
}

/* May a value with this number still turn up, however old it is? */
static inline bool ledger_doubtful(const struct ledger_key *k, uint64_t number)
{
    uint64_t settled = atomic_load(&k->acked_era);
    if (atomic_load(&k->doubts_count) > LEDGER_DOUBTS)
        return true; /* too many to remember: this key proves nothing any more */
    for (unsigned i = 0; i < LEDGER_DOUBTS; i++) {
        if (atomic_load(&k->doubts[i].number) == number)
            return atomic_load(&k->doubts[i].era) >= settled;
    }
    return false;
}

#endif
