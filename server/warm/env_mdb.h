/* What the files of the environment share: LMDB's own types, not to be seen outside of them. */
#ifndef LARDER_WARM_ENV_MDB_H
#define LARDER_WARM_ENV_MDB_H

#include <lmdb.h>
#include "warm/env.h"

struct env {
    MDB_env *mdb;
    MDB_dbi v, i, k, m, h, kept[ENV_KEPT];
    uint64_t map_bytes;
};

/* `check` covers name and positions: a kill with a changed bit would bring the dead back. */
struct env_kill {
    uint64_t hard_v, soft_v, check;
};

static inline MDB_val val(const void *data, size_t size)
{
    return (MDB_val){.mv_size = size, .mv_data = (void *)(uintptr_t)data};
}

int env_answer(int rc);
/* These return LMDB's codes. */
int env_find(struct env *env, MDB_txn *txn, uint64_t hash, uint64_t *ret_sequence);
int env_find_record(struct env *env, MDB_txn *txn, uint64_t sequence, MDB_val *ret);
uint64_t env_sequence_of(const MDB_val *key);
uint64_t env_kill_check(uint64_t name, const struct env_kill *kill);
uint64_t env_kept_check(uint64_t number, struct slice bytes);
bool env_kill_of(uint64_t name, const MDB_val *data, struct env_kill *ret);

#endif
