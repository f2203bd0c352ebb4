/* The LMDB environment of one namespace: open, reads, write transactions; foreign error codes stop here.
 *
 *   v  sequence (be64)       → record        appended, evicted from the front
 *   i  hash of key           → sequence
 *   k  hash of tag or prefix → hard V, soft V
 *   m  "state"               → struct env_state
 *      number of partition   → struct env_place
 *      "entry"               → bytes of key and value of the entries that were hot
 *      'g', place of a glob  → checksum, the glob (base/bans.h; its kills are names in k)
 *   h  number of chunk       → hot key hashes, hottest first
 *   o  number                → checksum, bytes of the outbox
 *   n  number                → checksum, bytes of the chronicle
 *   d  number                → checksum, bytes of statistics by the day
 *   r  number                → checksum, bytes of what became of warmings
 *
 * What must stay true: i names for each key at most one sequence and v holds at most one record of a key; a
 * transaction either has all effects up to its env_state.applied or none; nobody holds a read transaction while
 * control is elsewhere. */
#ifndef LARDER_WARM_ENV_H
#define LARDER_WARM_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/kills.h"
#include "proto/shm.h"
#include "proto/slice.h"
#include "warm/record.h"

struct env;

/* Answers of everything here that returns int, besides 0. */
enum {
    ENV_NONE = 1,  /* not there */
    ENV_FULL = -1, /* the map is full: the transaction is lost, evict and try again */
    ENV_ACCESS = -2,
    ENV_BROKEN = -3, /* not an environment, or a corrupt one */
    ENV_SYSTEM = -4,
    ENV_NO_DISK = -5, /* as ENV_FULL, and it is the disk */
};
static inline bool env_wants_room(int rc)
{
    return rc == ENV_FULL || rc == ENV_NO_DISK;
}

/* Bytes that mean something to others, by ascending numbers. */
enum env_kept { ENV_OUTBOX, ENV_NOTES, ENV_ROLLUPS, ENV_RUNS, ENV_KEPT };

/* What one commit fixes about the whole. */
struct env_state {
    uint64_t secret, epoch, start_no;
    uint64_t partitions; /* of the fleet the run was in; 0: none */
    char boot_id[40];
    uint64_t clean;
    uint64_t page_id;    /* of the runtime page the run uses; 0: none */
    uint64_t applied;    /* sequence of the newest change in here */
    uint64_t dead_below; /* records of a lower sequence are dead */
};

/* How far the fleet's journal is done in here, a partition (I6). */
struct env_place {
    uint64_t epoch; /* 0: none known */
    uint64_t applied, floor;
    uint64_t newest; /* position of an entry ever stored in that epoch, when it is above `applied` */
    uint64_t last_fence_ns;
    uint64_t boot; /* record_boot of the one last_fence_ns is in */
};

int env_open(const char *path, uint64_t map_bytes, struct env **ret);
struct env *env_close(struct env *env); /* NULL ok, returns NULL */
int env_sync(struct env *env);
/* The open file, which is the environment's. */
int env_file(const struct env *env);
/* ENV_NONE: a new environment; ENV_BROKEN: written by somebody else. */
int env_load(struct env *env, struct env_state *ret);
/* All partitions; zeros where nothing is known. */
int env_load_places(struct env *env, struct env_place ret[SHM_PARTITIONS]);

/* ---- reads: any thread, each with a reader of its own; nothing is held between two calls ---- */

struct env_buffer {
    char *data;
    size_t size, room;
};
void env_buffer_take(struct env_buffer *b, struct slice bytes);
void env_buffer_free(struct env_buffer *b);

struct env_reader;
struct env_reader *env_reader_create(struct env *env); /* NULL: too many */
struct env_reader *env_reader_destroy(struct env_reader *r);
/* Copies the record of a hash.  0, ENV_NONE, or < 0. */
int env_fetch(struct env_reader *r, uint64_t hash, struct env_buffer *ret, uint64_t *ret_sequence);
/* Is there a record of that hash?  Reads the index only. */
bool env_contains(struct env_reader *r, uint64_t hash);
/* Walks records from `sequence` on (or, backward, below it) until `each` returns false. */
int env_walk(struct env_reader *r, uint64_t sequence, bool backward,
             bool (*each)(void *user, uint64_t sequence, struct slice record), void *user);
int env_each_kill(struct env *env, void (*each)(void *user, uint64_t name, uint64_t hard_v, uint64_t soft_v),
                  void *user);
/* In the order of numbers; what cannot be read is left out, and logged. */
int env_each_kept(struct env *env, enum env_kept what,
                  void (*each)(void *user, uint64_t number, struct slice bytes), void *user);
/* What had a place last, in use or not. */
int env_load_globs(struct env *env, void (*each)(void *user, unsigned place, struct slice glob), void *user);
enum { ENV_HOT_MAX = 262144 }; /* 2 MiB: more than fits in the first seconds of a restart */
/* The saved hot set; *ret is allocated. */
int env_load_hot(struct env *env, uint64_t **ret, uint32_t *ret_count);
/* How large its entries were; 0: nothing was saved, or it was not known. */
uint64_t env_load_usual(struct env *env);
uint64_t env_last_sequence(struct env *env);

/* ---- writes: one thread, one transaction ---- */

struct env_txn {
    struct env *env;
    void *handle;                  /* MDB_txn */
    void *append, *names, *forget; /* MDB_cursor, each where the last call left it */
};
int env_begin(struct env *env, struct env_txn *ret);
int env_commit(struct env_txn *t); /* on failure all of it is gone */
void env_abort(struct env_txn *t);

int env_save(struct env_txn *t, const struct env_state *state);
int env_save_place(struct env_txn *t, unsigned partition, const struct env_place *place);
int env_forget_places(struct env_txn *t);
/* Removes what the key had before; `sequence` is higher than all in the database. */
int env_put(struct env_txn *t, uint64_t sequence, uint64_t hash, struct slice record);
/* Removes the record of a hash unless its position in `epoch` is v or newer. */
int env_drop(struct env_txn *t, uint64_t hash, uint64_t epoch, uint64_t v);
/* The parts of the two above, for many changes at once: first append in the order of sequences, then name and unname
 * in the order of hashes, then forget the old records in the order of theirs.  So each part walks through its tree
 * once and finds most of what it wants on the page where it is. */
int env_append(struct env_txn *t, uint64_t sequence, struct slice record);
int env_name(struct env_txn *t, uint64_t hash, uint64_t sequence, uint64_t *ret_old); /* 0: none */
int env_unname(struct env_txn *t, uint64_t hash, uint64_t epoch, uint64_t v, uint64_t *ret_old);
int env_forget(struct env_txn *t, uint64_t sequence);
/* Removes one record, if it is still the one of its hash or nobody's. */
int env_erase(struct env_txn *t, uint64_t sequence);
int env_relife(struct env_txn *t, uint64_t hash, struct record_change change, const struct record_clock *now);
int env_kill(struct env_txn *t, uint64_t name, uint64_t hard_v, uint64_t soft_v);
int env_save_glob(struct env_txn *t, unsigned place, struct slice glob); /* with its kill */
/* All kills of globs; one that cannot be read kills whatever its position may have been. */
int env_load_bans(struct env_txn *t, unsigned partitions, struct bans *ret);
int env_save_hot(struct env_txn *t, uint64_t usual, const uint64_t *hashes, uint32_t count);
/* Removes up to `count` records from the front, all of them below `below`. */
int env_evict(struct env_txn *t, uint32_t count, uint64_t below, uint32_t *ret_evicted);

/* Asks about up to `count` records from *sequence on, then does as told; 0 in *sequence: the end was reached. */
struct env_seen {
    uint64_t sequence;
    struct record record;
    bool bad;
};
enum env_wish { ENV_KEEP, ENV_SOFTEN, ENV_REMOVE };
int env_inspect(struct env_txn *t, uint64_t *sequence, uint32_t count, const struct record_clock *now,
                enum env_wish (*judge)(void *user, struct env_txn *t, const struct env_seen *seen),
                void *user, uint32_t *ret_changed);
/* Hard and soft position of the kill of a name, 0 when there is none. */
int env_find_kill(struct env_txn *t, uint64_t name, uint64_t *ret_hard_v, uint64_t *ret_soft_v);
/* Forgets kills at positions up to v among up to `count` names from *name on; *name is 0 at both ends.  Floors stay. */
int env_prune_kills(struct env_txn *t, uint64_t v, uint64_t *name, uint32_t count);
int env_keep(struct env_txn *t, enum env_kept what, uint64_t number, struct slice bytes);
/* All numbers up to this one. */
int env_drop_kept(struct env_txn *t, enum env_kept what, uint64_t number);
/* Forgets all kills of a partition, floors too. */
int env_forget_kills(struct env_txn *t, unsigned partition, unsigned partitions);

struct env_sizes {
    uint64_t entries, kills, bytes_used, bytes_max;
};
int env_measure(struct env *env, struct env_sizes *ret);

#endif
