/* The write half of the environment.  Overwriting removes the old record in the same transaction; everything that
 * removes keeps i and v in step; nothing here trusts a record further than its head. */
#include "warm/env_mdb.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include "base/check.h"

int env_begin(struct env *env, struct env_txn *ret)
{
    MDB_txn *txn = NULL;
    int rc = mdb_txn_begin(env->mdb, NULL, 0, &txn);
    *ret = (struct env_txn){env, txn};
    return env_answer(rc);
}

int env_commit(struct env_txn *t)
{
    return env_answer(mdb_txn_commit(t->handle));
}

void env_abort(struct env_txn *t)
{
    mdb_txn_abort(t->handle);
}

static int none_is_fine(int rc)
{
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* ======= records ======= */

static int remove_pair(struct env_txn *t, uint64_t hash, uint64_t sequence)
{
    uint64_t place = htobe64(sequence);
    MDB_val record = val(&place, sizeof(place)), index = val(&hash, sizeof(hash));
    int rc = none_is_fine(mdb_del(t->handle, t->env->v, &record, NULL));
    return rc ? rc : none_is_fine(mdb_del(t->handle, t->env->i, &index, NULL));
}

int env_put(struct env_txn *t, uint64_t sequence, uint64_t hash, struct slice record)
{
    uint64_t old, place = htobe64(sequence);
    MDB_val key = val(&place, sizeof(place)), data = val(record.data, record.size);
    int rc = env_find(t->env, t->handle, hash, &old);
    if (rc == 0)
        rc = remove_pair(t, hash, old);
    rc = none_is_fine(rc);
    if (rc == 0)
        rc = mdb_put(t->handle, t->env->v, &key, &data, MDB_APPEND);
    if (rc == 0) {
        MDB_val index = val(&hash, sizeof(hash)), at = val(&sequence, sizeof(sequence));
        rc = mdb_put(t->handle, t->env->i, &index, &at, 0);
    }
    return env_answer(rc);
}

/* The record a hash names.  MDB_NOTFOUND also when i names one that is not there. */
static int find_both(struct env_txn *t, uint64_t hash, uint64_t *ret_sequence, MDB_val *ret)
{
    int rc = env_find(t->env, t->handle, hash, ret_sequence);
    return rc ? rc : env_find_record(t->env, t->handle, *ret_sequence, ret);
}

int env_drop(struct env_txn *t, uint64_t hash, uint64_t epoch, uint64_t v)
{
    uint64_t sequence;
    struct record r;
    MDB_val data;
    int rc = find_both(t, hash, &sequence, &data);
    if (rc)
        return env_answer(rc);
    bool newer = record_decode_unchecked(slice_of(data.mv_data, data.mv_size), &r) &&
                 r.entry.epoch == epoch && r.entry.v >= v;
    return newer ? ENV_NONE : env_answer(remove_pair(t, hash, sequence));
}

/* `hash` of the record at `sequence` is believed only if i agrees. */
static int remove_record(struct env_txn *t, uint64_t sequence, const MDB_val *data)
{
    struct record r;
    uint64_t named, place = htobe64(sequence);
    MDB_val key = val(&place, sizeof(place));
    if (record_decode_unchecked(slice_of(data->mv_data, data->mv_size), &r) &&
        env_find(t->env, t->handle, r.entry.key_hash, &named) == 0 && named == sequence)
        return remove_pair(t, r.entry.key_hash, sequence);
    return none_is_fine(mdb_del(t->handle, t->env->v, &key, NULL));
}

int env_erase(struct env_txn *t, uint64_t sequence)
{
    MDB_val data;
    int rc = env_find_record(t->env, t->handle, sequence, &data);
    return env_answer(rc ? rc : remove_record(t, sequence, &data));
}

static bool change_record(struct slice old, struct record_change change, const struct record_clock *now,
                          char *to)
{
    struct record r;
    if (!record_decode(old, &r) || !record_reckon(&r, now))
        return false;
    record_apply(change, &r.entry);
    record_encode(to, &r.entry, now);
    return true;
}

int env_relife(struct env_txn *t, uint64_t hash, struct record_change change, const struct record_clock *now)
{
    uint64_t sequence;
    MDB_val data;
    int rc = find_both(t, hash, &sequence, &data);
    if (rc)
        return env_answer(rc);
    char *bytes = must_alloc(data.mv_size);
    if (change_record(slice_of(data.mv_data, data.mv_size), change, now, bytes)) {
        uint64_t place = htobe64(sequence);
        MDB_val key = val(&place, sizeof(place)), changed = val(bytes, data.mv_size);
        rc = mdb_put(t->handle, t->env->v, &key, &changed, 0);
    } else
        rc = remove_pair(t, hash, sequence); /* bad or over: what must become stale may as well be gone */
    free(bytes);
    return env_answer(rc);
}

/* ======= from the front ======= */

static int evict_one(struct env_txn *t, uint64_t below)
{
    MDB_cursor *cursor;
    MDB_val key, data;
    int rc = mdb_cursor_open(t->handle, t->env->v, &cursor);
    if (rc)
        return rc;
    rc = mdb_cursor_get(cursor, &key, &data, MDB_FIRST);
    mdb_cursor_close(cursor);
    if (rc)
        return rc;
    if (key.mv_size != sizeof(uint64_t))
        return MDB_CORRUPTED;
    uint64_t sequence = env_sequence_of(&key);
    return sequence < below ? remove_record(t, sequence, &data) : MDB_NOTFOUND;
}

int env_evict(struct env_txn *t, uint32_t count, uint64_t below, uint32_t *ret_evicted)
{
    int rc = 0;
    for (*ret_evicted = 0; *ret_evicted < count && rc == 0;) {
        rc = evict_one(t, below);
        *ret_evicted += rc == 0;
    }
    return rc == MDB_NOTFOUND ? 0 : env_answer(rc);
}

/* ======= inspection ======= */

enum {
    INSPECT_MAX = 1024,         /* records to change in one call at most */
    INSPECT_REWRITES = 4 << 20, /* bytes: a few milliseconds of copying, with one value more than that */
};

struct inspection {
    struct finding {
        uint64_t sequence, hash;
        enum env_wish wish;
    } found[INSPECT_MAX];
    uint32_t count;
    uint64_t rewrites; /* bytes */
};

static void note_finding(struct inspection *i, const struct env_seen *seen, enum env_wish wish, size_t size)
{
    if (wish != ENV_KEEP)
        i->found[i->count++] = (struct finding){seen->sequence, seen->record.entry.key_hash, wish};
    i->rewrites += wish == ENV_SOFTEN ? size : 0;
}

static int inspect(struct env_txn *t, MDB_cursor *cursor, uint64_t *sequence, uint32_t count,
                   enum env_wish (*judge)(void *user, struct env_txn *t, const struct env_seen *seen),
                   void *user, struct inspection *i)
{
    uint64_t place = htobe64(*sequence);
    MDB_val key = val(&place, sizeof(place)), data;
    int rc = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
    for (; rc == 0 && count > 0 && i->rewrites < INSPECT_REWRITES; count--) {
        struct env_seen seen = {.sequence = env_sequence_of(&key)};
        seen.bad = !record_decode_unchecked(slice_of(data.mv_data, data.mv_size), &seen.record);
        note_finding(i, &seen, judge(user, t, &seen), data.mv_size);
        *sequence = seen.sequence + 1;
        rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
    }
    if (rc == MDB_NOTFOUND)
        *sequence = 0;
    return none_is_fine(rc);
}

static int do_as_told(struct env_txn *t, const struct finding *f, const struct record_clock *now)
{
    return f->wish == ENV_REMOVE ? env_erase(t, f->sequence)
                                 : env_relife(t, f->hash, record_soften(now->boot_ns), now);
}

int env_inspect(struct env_txn *t, uint64_t *sequence, uint32_t count, const struct record_clock *now,
                enum env_wish (*judge)(void *user, struct env_txn *t, const struct env_seen *seen),
                void *user, uint32_t *ret_changed)
{
    struct inspection *i = must_alloc(sizeof(*i));
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(t->handle, t->env->v, &cursor);
    if (rc == 0) {
        rc = inspect(t, cursor, sequence, count < INSPECT_MAX ? count : INSPECT_MAX, judge, user, i);
        mdb_cursor_close(cursor);
    }
    rc = env_answer(rc);
    for (uint32_t n = 0; n < i->count && rc >= 0; n++)
        rc = do_as_told(t, &i->found[n], now);
    *ret_changed = i->count;
    free(i);
    return rc < 0 ? rc : 0;
}

/* ======= kills ======= */

int env_find_kill(struct env_txn *t, uint64_t name, uint64_t *ret_hard_v, uint64_t *ret_soft_v)
{
    struct env_kill old = {0};
    MDB_val key = val(&name, sizeof(name)), data;
    int rc = mdb_get(t->handle, t->env->k, &key, &data);
    if (rc == 0 && !env_kill_of(name, &data, &old))
        rc = MDB_CORRUPTED;
    *ret_hard_v = old.hard_v;
    *ret_soft_v = old.soft_v;
    return env_answer(rc);
}

int env_kill(struct env_txn *t, uint64_t name, uint64_t hard_v, uint64_t soft_v)
{
    struct env_kill kill;
    int rc = env_find_kill(t, name, &kill.hard_v, &kill.soft_v);
    if (rc < 0)
        return rc;
    if (hard_v > kill.hard_v)
        kill.hard_v = hard_v;
    if (soft_v > kill.soft_v)
        kill.soft_v = soft_v;
    kill.check = env_kill_check(name, &kill);
    MDB_val key = val(&name, sizeof(name)), data = val(&kill, sizeof(kill));
    return env_answer(mdb_put(t->handle, t->env->k, &key, &data, 0));
}

static bool is_past(const MDB_val *key, const MDB_val *data, uint64_t v)
{
    struct env_kill kill;
    uint64_t name;
    if (key->mv_size != sizeof(name))
        return false;
    memcpy(&name, key->mv_data, sizeof(name));
    return env_kill_of(name, data, &kill) && kill.hard_v <= v && kill.soft_v <= v;
}

int env_prune_kills(struct env_txn *t, uint64_t v, uint64_t *name, uint32_t count)
{
    MDB_cursor *cursor;
    MDB_val key = val(name, sizeof(*name)), data;
    int rc = mdb_cursor_open(t->handle, t->env->k, &cursor);
    if (rc)
        return env_answer(rc);
    rc = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
    for (; rc == 0 && count > 0; count--) {
        if (is_past(&key, &data, v))
            rc = mdb_cursor_del(cursor, 0);
        if (rc == 0)
            rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
    }
    if (rc == 0 && key.mv_size == sizeof(*name))
        memcpy(name, key.mv_data, sizeof(*name));
    else
        *name = 0;
    mdb_cursor_close(cursor);
    return env_answer(none_is_fine(rc));
}

/* ======= hot set ======= */

int env_save_hot(struct env_txn *t, const uint64_t *hashes, uint32_t count)
{
    int rc = mdb_drop(t->handle, t->env->h, 0);
    uint64_t chunk = 0;
    for (uint32_t at = 0; at < count && rc == 0; at += HOT_CHUNK, chunk++) {
        uint32_t some = count - at < HOT_CHUNK ? count - at : HOT_CHUNK;
        MDB_val key = val(&chunk, sizeof(chunk)), data = val(hashes + at, some * sizeof(*hashes));
        rc = mdb_put(t->handle, t->env->h, &key, &data, 0);
    }
    return env_answer(rc);
}
