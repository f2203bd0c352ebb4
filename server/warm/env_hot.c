/* The hot set, and how large its entries were: written as one, read once, by the next run. */
#include "warm/env_mdb.h"

#include <string.h>
#include "base/check.h"

enum { HOT_CHUNK = 128 }; /* hashes in a record of h: 1 KiB stays off overflow pages */

static MDB_val usual_key(void)
{
    return val("entry", 5);
}

/* ======= writing ======= */

static int save_chunks(struct env_txn *t, const uint64_t *hashes, uint32_t count)
{
    int rc = 0;
    uint64_t chunk = 0;
    for (uint32_t at = 0; at < count && rc == 0; at += HOT_CHUNK, chunk++) {
        uint32_t some = count - at < HOT_CHUNK ? count - at : HOT_CHUNK;
        MDB_val key = val(&chunk, sizeof(chunk)), data = val(hashes + at, some * sizeof(*hashes));
        rc = mdb_put(t->handle, t->env->h, &key, &data, 0);
    }
    return rc;
}

int env_save_hot(struct env_txn *t, uint64_t usual, const uint64_t *hashes, uint32_t count)
{
    MDB_val key = usual_key(), data = val(&usual, sizeof(usual));
    int rc = mdb_drop(t->handle, t->env->h, 0);
    if (rc == 0)
        rc = mdb_put(t->handle, t->env->m, &key, &data, 0);
    return env_answer(rc ? rc : save_chunks(t, hashes, count));
}

/* ======= reading ======= */

static int load_chunks(MDB_cursor *cursor, uint64_t **ret, uint32_t *ret_count)
{
    MDB_val key, data;
    int rc;
    while ((rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT)) == 0) {
        uint32_t more = (uint32_t)(data.mv_size / sizeof(uint64_t));
        if (more > HOT_CHUNK || *ret_count > ENV_HOT_MAX)
            return MDB_CORRUPTED;
        *ret = must_realloc(*ret, (*ret_count + more) * sizeof(uint64_t));
        memcpy(*ret + *ret_count, data.mv_data, more * sizeof(uint64_t));
        *ret_count += more;
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int env_load_hot(struct env *env, uint64_t **ret, uint32_t *ret_count)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    *ret = NULL;
    *ret_count = 0;
    int rc = mdb_txn_begin(env->mdb, NULL, MDB_RDONLY, &txn);
    if (rc)
        return env_answer(rc);
    rc = mdb_cursor_open(txn, env->h, &cursor);
    if (rc == 0) {
        rc = load_chunks(cursor, ret, ret_count);
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    return env_answer(rc);
}

uint64_t env_load_usual(struct env *env)
{
    MDB_txn *txn;
    MDB_val key = usual_key(), data;
    uint64_t usual = 0;
    if (mdb_txn_begin(env->mdb, NULL, MDB_RDONLY, &txn) != 0)
        return 0;
    if (mdb_get(txn, env->m, &key, &data) == 0 && data.mv_size == sizeof(usual))
        memcpy(&usual, data.mv_data, sizeof(usual));
    mdb_txn_abort(txn);
    return usual;
}
