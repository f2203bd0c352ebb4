/* Globs that were invalidated: their kills are names in k like all others (base/kills.h), their text stands in m.
 *
 * What must stay true: text and kill of a glob are written in one transaction, so a kill that is read with the text beside
 * it is one of that text, or of another that had the name before and was overtaken by a floor (apply.c of cache/), or was
 * settled: then it hits more than it should, never less.  A text that cannot be read is no text: the kill hits every key. */
#include "warm/env_mdb.h"

#include <string.h>
#include <xxhash.h>

struct place_key {
    char bytes[2]; /* others in m have one byte, or more */
};

static struct place_key key_of(unsigned place)
{
    return (struct place_key){{'g', (char)place}};
}

static uint64_t check_of(unsigned place, struct slice glob)
{
    return XXH3_64bits_withSeed(glob.data, glob.size, place);
}

int env_save_glob(struct env_txn *t, unsigned place, struct slice glob)
{
    uint64_t check = check_of(place, glob);
    struct place_key k = key_of(place);
    char bytes[sizeof(check) + BAN_BYTES_MAX];
    memcpy(bytes, &check, sizeof(check));
    memcpy(bytes + sizeof(check), glob.data, glob.size);
    MDB_val key = val(k.bytes, sizeof(k.bytes)), data = val(bytes, sizeof(check) + glob.size);
    return env_answer(mdb_put(t->handle, t->env->m, &key, &data, 0));
}

static int find_glob(struct env *env, MDB_txn *txn, unsigned place, struct slice *ret)
{
    struct place_key k = key_of(place);
    MDB_val key = val(k.bytes, sizeof(k.bytes)), data;
    uint64_t check;
    *ret = slice_of(NULL, 0);
    int rc = mdb_get(txn, env->m, &key, &data);
    if (rc || data.mv_size <= sizeof(check) || data.mv_size > sizeof(check) + BAN_BYTES_MAX)
        return rc == MDB_NOTFOUND ? 0 : rc;
    memcpy(&check, data.mv_data, sizeof(check));
    struct slice glob = slice_of((const char *)data.mv_data + sizeof(check), data.mv_size - sizeof(check));
    if (check == check_of(place, glob))
        *ret = glob;
    return 0;
}

int env_load_globs(struct env *env, void (*each)(void *user, unsigned place, struct slice glob), void *user)
{
    MDB_txn *txn;
    struct slice glob;
    int rc = mdb_txn_begin(env->mdb, NULL, MDB_RDONLY, &txn);
    if (rc)
        return env_answer(rc);
    for (unsigned place = 0; place < BANS_MAX && rc == 0; place++) {
        rc = find_glob(env, txn, place, &glob);
        if (rc == 0 && glob.size)
            each(user, place, glob);
    }
    mdb_txn_abort(txn);
    return env_answer(rc);
}

/* Kills of globs stand together in each partition, since their names are small numbers. */
static int add_partition(struct env_txn *t, MDB_cursor *cursor, unsigned partition, struct bans *ret)
{
    uint64_t name = kills_name(KILLS_BAN_FIRST, partition);
    MDB_val key = val(&name, sizeof(name)), data;
    struct env_kill kill;
    struct slice glob;
    int rc = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
    for (; rc == 0; rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT)) {
        if (key.mv_size != sizeof(name))
            return MDB_CORRUPTED;
        memcpy(&name, key.mv_data, sizeof(name));
        if (!kills_is_ban(name) || name >> KILLS_PARTITION_SHIFT != partition)
            return 0;
        unsigned place = kills_ban_place(name);
        bool intact = env_kill_of(name, &data, &kill);
        const char *why;
        rc = find_glob(t->env, t->handle, place, &glob);
        if (rc)
            return rc;
        if (glob.size && bans_glob_ok(glob, &why))
            bans_put(ret, place, glob);
        bans_kill(ret, place, partition, intact ? kill.hard_v : UINT64_MAX, false);
        bans_kill(ret, place, partition, intact ? kill.soft_v : 0, true);
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int env_load_bans(struct env_txn *t, unsigned partitions, struct bans *ret)
{
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(t->handle, t->env->k, &cursor);
    if (rc)
        return env_answer(rc);
    for (unsigned p = 0; p < partitions && rc == 0; p++)
        rc = add_partition(t, cursor, p, ret);
    mdb_cursor_close(cursor);
    return env_answer(rc);
}
