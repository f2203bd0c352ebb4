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
    *ret = (struct env_txn){.env = env, .handle = txn};
    return env_answer(rc);
}

static void close_cursors(struct env_txn *t)
{
    void **all[] = {&t->append, &t->names, &t->forget};
    for (unsigned n = 0; n < COUNT_OF(all); n++) {
        if (*all[n])
            mdb_cursor_close(*all[n]);
        *all[n] = NULL;
    }
}

static int open_cursor(struct env_txn *t, MDB_dbi dbi, void **cursor)
{
    MDB_cursor *opened;
    if (*cursor)
        return 0;
    int rc = mdb_cursor_open(t->handle, dbi, &opened);
    *cursor = rc == 0 ? opened : NULL;
    return rc;
}

int env_commit(struct env_txn *t)
{
    close_cursors(t);
    return env_answer(mdb_txn_commit(t->handle));
}

void env_abort(struct env_txn *t)
{
    close_cursors(t);
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

/* ---- many at once: see env.h ---- */

int env_append(struct env_txn *t, uint64_t sequence, struct slice record)
{
    uint64_t place = htobe64(sequence);
    MDB_val key = val(&place, sizeof(place)), data = val(record.data, record.size);
    int rc = open_cursor(t, t->env->v, &t->append);
    return env_answer(rc ? rc : mdb_cursor_put(t->append, &key, &data, MDB_APPEND));
}

static int sequence_in(const MDB_val *data, uint64_t *ret)
{
    if (data->mv_size != sizeof(*ret))
        return MDB_CORRUPTED;
    memcpy(ret, data->mv_data, sizeof(*ret));
    return 0;
}

int env_name(struct env_txn *t, uint64_t hash, uint64_t sequence, uint64_t *ret_old)
{
    MDB_val key = val(&hash, sizeof(hash)), at = val(&sequence, sizeof(sequence)), old = at;
    *ret_old = 0;
    int rc = open_cursor(t, t->env->i, &t->names);
    if (rc == 0)
        rc = mdb_cursor_put(t->names, &key, &old, MDB_NOOVERWRITE);
    if (rc != MDB_KEYEXIST)
        return env_answer(rc);
    rc = sequence_in(&old, ret_old);
    return env_answer(rc ? rc : mdb_cursor_put(t->names, &key, &at, MDB_CURRENT));
}

static int is_newer(struct env_txn *t, uint64_t sequence, uint64_t epoch, uint64_t v, bool *ret)
{
    struct record r;
    MDB_val data;
    *ret = false;
    if (v == UINT64_MAX)
        return 0;
    int rc = env_find_record(t->env, t->handle, sequence, &data);
    if (rc == 0)
        *ret = record_decode_unchecked(slice_of(data.mv_data, data.mv_size), &r) && r.entry.epoch == epoch &&
               r.entry.v >= v;
    return none_is_fine(rc);
}

int env_unname(struct env_txn *t, uint64_t hash, uint64_t epoch, uint64_t v, uint64_t *ret_old)
{
    MDB_val key = val(&hash, sizeof(hash)), data;
    bool newer = false;
    *ret_old = 0;
    int rc = open_cursor(t, t->env->i, &t->names);
    if (rc == 0)
        rc = mdb_cursor_get(t->names, &key, &data, MDB_SET);
    if (rc == 0)
        rc = sequence_in(&data, ret_old);
    if (rc == 0)
        rc = is_newer(t, *ret_old, epoch, v, &newer);
    if (rc == 0 && !newer)
        rc = mdb_cursor_del(t->names, 0);
    if (rc || newer)
        *ret_old = 0;
    return newer ? ENV_NONE : env_answer(rc);
}

int env_forget(struct env_txn *t, uint64_t sequence)
{
    uint64_t place = htobe64(sequence);
    MDB_val key = val(&place, sizeof(place)), data;
    int rc = open_cursor(t, t->env->v, &t->forget);
    if (rc == 0)
        rc = mdb_cursor_get(t->forget, &key, &data, MDB_SET);
    if (rc == 0)
        rc = mdb_cursor_del(t->forget, 0);
    return env_answer(none_is_fine(rc));
}

/* ---- one by one ---- */

static int forget_if(struct env_txn *t, int rc, uint64_t sequence)
{
    int forgotten = rc == 0 && sequence ? env_forget(t, sequence) : 0;
    return forgotten < 0 ? forgotten : rc;
}

int env_put(struct env_txn *t, uint64_t sequence, uint64_t hash, struct slice record)
{
    uint64_t old = 0;
    int rc = env_append(t, sequence, record);
    if (rc == 0)
        rc = env_name(t, hash, sequence, &old);
    return forget_if(t, rc, old);
}

int env_drop(struct env_txn *t, uint64_t hash, uint64_t epoch, uint64_t v)
{
    uint64_t old;
    int rc = env_unname(t, hash, epoch, v, &old);
    return forget_if(t, rc, old);
}

/* The record a hash names.  MDB_NOTFOUND also when i names one that is not there. */
static int find_both(struct env_txn *t, uint64_t hash, uint64_t *ret_sequence, MDB_val *ret)
{
    int rc = env_find(t->env, t->handle, hash, ret_sequence);
    return rc ? rc : env_find_record(t->env, t->handle, *ret_sequence, ret);
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

enum { EVICT_MAX = 1024 }; /* records in one call at most */

struct front {
    struct front_record {
        uint64_t hash, sequence;
    } list[EVICT_MAX];
    uint32_t count;
};

static int find_front(struct env_txn *t, uint32_t count, uint64_t below, struct front *f)
{
    MDB_cursor *cursor;
    MDB_val key, data;
    struct record r;
    int rc = mdb_cursor_open(t->handle, t->env->v, &cursor);
    if (rc)
        return rc;
    rc = mdb_cursor_get(cursor, &key, &data, MDB_FIRST);
    while (rc == 0 && f->count < count && env_sequence_of(&key) < below) {
        bool known = record_decode_unchecked(slice_of(data.mv_data, data.mv_size), &r);
        f->list[f->count++] = (struct front_record){known ? r.entry.key_hash : 0, env_sequence_of(&key)};
        rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return none_is_fine(rc);
}

static int by_hash(const void *a, const void *b)
{
    const struct front_record *x = a, *y = b;
    return (x->hash > y->hash) - (x->hash < y->hash);
}

/* Only if it names that record and not a newer one. */
static int unname_exactly(struct env_txn *t, const struct front_record *r)
{
    MDB_val key = val(&r->hash, sizeof(r->hash)), data;
    uint64_t named;
    int rc = mdb_cursor_get(t->names, &key, &data, MDB_SET);
    if (rc == 0)
        rc = sequence_in(&data, &named);
    if (rc == 0 && named == r->sequence)
        rc = mdb_cursor_del(t->names, 0);
    return none_is_fine(rc);
}

static int remove_front(struct env_txn *t, struct front *f)
{
    int rc = open_cursor(t, t->env->i, &t->names);
    for (uint32_t n = 0; n < f->count && rc == 0; n++) /* by sequence still */
        rc = env_forget(t, f->list[n].sequence) < 0 ? MDB_MAP_FULL : 0;
    qsort(f->list, f->count, sizeof(f->list[0]), by_hash);
    for (uint32_t n = 0; n < f->count && rc == 0; n++)
        rc = unname_exactly(t, &f->list[n]);
    return rc;
}

int env_evict(struct env_txn *t, uint32_t count, uint64_t below, uint32_t *ret_evicted)
{
    struct front f;
    f.count = 0;
    int rc = find_front(t, count < EVICT_MAX ? count : EVICT_MAX, below, &f);
    if (rc == 0 && f.count > 0)
        rc = remove_front(t, &f);
    *ret_evicted = f.count;
    return env_answer(rc);
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
    return !kills_is_floor(name) && env_kill_of(name, data, &kill) && kill.hard_v <= v && kill.soft_v <= v;
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

/* Names of a partition stand together, since its number is what they begin with. */
static int remove_names(MDB_cursor *cursor, unsigned partition)
{
    uint64_t name = kills_name(0, partition);
    MDB_val key = val(&name, sizeof(name)), data;
    int rc = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
    for (; rc == 0; rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT)) {
        if (key.mv_size != sizeof(name))
            return MDB_CORRUPTED;
        memcpy(&name, key.mv_data, sizeof(name));
        if (name >> KILLS_PARTITION_SHIFT != partition)
            return 0;
        rc = mdb_cursor_del(cursor, 0);
        if (rc)
            break;
    }
    return none_is_fine(rc);
}

int env_forget_kills(struct env_txn *t, unsigned partition, unsigned partitions)
{
    MDB_cursor *cursor;
    if (partitions == 1)
        return env_answer(mdb_drop(t->handle, t->env->k, 0));
    int rc = mdb_cursor_open(t->handle, t->env->k, &cursor);
    if (rc)
        return env_answer(rc);
    rc = remove_names(cursor, partition);
    mdb_cursor_close(cursor);
    return env_answer(rc);
}

/* ======= the outbox ======= */

int env_keep(struct env_txn *t, enum env_kept what, uint64_t number, struct slice bytes)
{
    uint64_t check = env_kept_check(number, bytes);
    MDB_val key = val(&number, sizeof(number)), data = {.mv_size = sizeof(check) + bytes.size};
    int rc = mdb_put(t->handle, t->env->kept[what], &key, &data, MDB_RESERVE);
    if (rc)
        return env_answer(rc);
    memcpy(data.mv_data, &check, sizeof(check));
    if (bytes.size)
        memcpy((char *)data.mv_data + sizeof(check), bytes.data, bytes.size);
    return 0;
}

static bool is_up_to(const MDB_val *key, uint64_t number)
{
    uint64_t at;
    if (key->mv_size != sizeof(at))
        return false;
    memcpy(&at, key->mv_data, sizeof(at));
    return at <= number;
}

/* Usually all there are, and then none is looked at. */
static int drop_kept(MDB_cursor *cursor, uint64_t number, bool *ret_all)
{
    MDB_val key, data;
    int rc = mdb_cursor_get(cursor, &key, &data, MDB_LAST);
    *ret_all = rc == 0 && is_up_to(&key, number);
    if (*ret_all)
        return 0;
    if (rc == 0)
        rc = mdb_cursor_get(cursor, &key, &data, MDB_FIRST);
    while (rc == 0 && is_up_to(&key, number)) {
        rc = mdb_cursor_del(cursor, 0);
        if (rc == 0)
            rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
    }
    return none_is_fine(rc);
}

int env_drop_kept(struct env_txn *t, enum env_kept what, uint64_t number)
{
    MDB_cursor *cursor;
    bool all = false;
    int rc = mdb_cursor_open(t->handle, t->env->kept[what], &cursor);
    if (rc)
        return env_answer(rc);
    rc = drop_kept(cursor, number, &all);
    mdb_cursor_close(cursor);
    return env_answer(all ? mdb_drop(t->handle, t->env->kept[what], 0) : rc);
}
