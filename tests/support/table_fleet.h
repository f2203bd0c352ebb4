/* A fleet for tests of cache/: a small store in memory that obeys base/fleet.h, with a journal.  The test plays the other
 * hosts, says when the journal is heard, and, when things are slow, when answers come.
 *
 * Reads and changes are judged when they are asked, as a store would, and, when slow, answered when the test says so. */
#ifndef LARDER_TESTS_TABLE_FLEET_H
#define LARDER_TESTS_TABLE_FLEET_H

#include "base/fleet.h"
#include "base/tag_names.h"

enum { FLEET_ROWS = 64, FLEET_JOURNAL = 64, FLEET_WAITING = 16, FLEET_NAME = 32 };

struct fleet_row {
    bool used;
    char key[FLEET_NAME], value[FLEET_NAME];
    struct entry entry;
    uint8_t tag_names[TAG_NAMES_MAX]; /* base/tag_names.h */
    size_t tag_names_bytes;
};

struct journal_row {
    unsigned partition;
    uint64_t v;
    char key[FLEET_NAME], tag[FLEET_NAME]; /* empty: none; only these two are told again, */
    bool all;                              /* and everything, for which prefixes stand too */
};

struct lease_row {
    bool used, rests, waited_for;
    char key[FLEET_NAME];
    uint64_t v;       /* of the grant */
    uint64_t left_ns; /* as told; nothing runs by itself */
    uint8_t proof[FLEET_PROOF_BYTES];
};

struct waiting_read {
    struct tier_read *read;
    int outcome;
    struct fleet_row found;
};

struct table_fleet {
    struct fleet fleet;
    struct fleet_view view;
    struct tier tier;
    struct fleet_row rows[FLEET_ROWS];
    uint64_t newest[FLEET_PARTITIONS_MAX]; /* V */
    struct journal_row journal[FLEET_JOURNAL];
    unsigned journal_count, journal_told;
    bool slow_commits, slow_reads;
    enum fleet_outcome outcome; /* of the changes to come; COMMITTED: as the store judges */
    struct fleet_change *changes[FLEET_WAITING];
    unsigned changes_count;
    struct waiting_read reads[FLEET_WAITING];
    unsigned reads_count;
    struct lease_row leases[FLEET_WAITING];
    struct fleet_lease *asked[FLEET_WAITING];
    bool slow_leases, silent_leases;
    unsigned asked_count, leases_asked, leases_kept, leases_given; /* waiting; ever */
    uint64_t commits, gets, compared, exact;                       /* asked for so far */
    struct slice large;       /* unless empty: what reads answered at once find as value */
    unsigned largest, queued; /* items of a change; changes kept for later */
    bool outbox_lost;         /* what is queued dies with the process */
    struct cache *cache;      /* who listens */
    const uint64_t *now_ns;   /* for what is soon stale; NULL: nothing is */
    uint64_t hash_secret;
};

void table_fleet_init(struct table_fleet *f, unsigned partitions, uint64_t epoch, uint64_t hash_secret);
/* Somebody vouches for all partitions, up to that time. */
void table_fleet_fresh(struct table_fleet *f, uint64_t until_ns);
/* The link is down: entries may be served, flagged, up to that time and the spread more. */
void table_fleet_lose(struct table_fleet *f, uint64_t serve_until_ns, uint64_t spread_ns);

void table_fleet_tell_answers(struct table_fleet *f);
void table_fleet_answer_reads(struct table_fleet *f);
void table_fleet_answer_leases(struct table_fleet *f);

/* Another host; the position it got. */
uint64_t table_fleet_set(struct table_fleet *f, const char *key, const char *value, uint64_t hard_ns);
/* Where nothing was: no record. */
uint64_t table_fleet_fill(struct table_fleet *f, const char *key, const char *value, uint64_t hard_ns);
uint64_t table_fleet_remove(struct table_fleet *f, const char *key);
/* The entry has this tag from now on, and no other. */
uint64_t table_fleet_tag(struct table_fleet *f, const char *key, const char *tag);
uint64_t table_fleet_kill(struct table_fleet *f, unsigned partition, const char *tag);
/* Its soft invalidation, of which the journal does not tell. */
void table_fleet_soften(struct table_fleet *f, const char *key);
/* Its lease of a key: taken, and ended; rests: after a failure. */
void table_fleet_lease(struct table_fleet *f, const char *key, uint64_t left_ns);
void table_fleet_lease_ends(struct table_fleet *f, const char *key, uint64_t rest_ns);
void table_fleet_epoch(struct table_fleet *f, uint64_t epoch);

/* The journal is heard up to its end; or what was not heard yet is lost. */
void table_fleet_hear(struct table_fleet *f);
void table_fleet_gap(struct table_fleet *f);

#endif
