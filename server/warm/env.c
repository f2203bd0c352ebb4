/* Flags: no WRITEMAP, since a full disk ends a writer through it by SIGBUS; NOSYNC and NOMETASYNC, since kill -9 loses
 * no page cache and another boot without a clean stop starts empty anyway; NORDAHEAD for random reads; NOTLS, since
 * a reader here belongs to who made it and not to a thread. */
#include "warm/env_mdb.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>
#include "base/check.h"
#include "base/log.h"

enum {
    DATABASES = 9,
    ENV_READERS_MAX = 256, /* the pool has at most a few dozen threads; one more reader is a miss */
    STATE_FORMAT = 3,
};

#define STATE_MAGIC 0x4d52415752414c31ull

int env_answer(int rc)
{
    switch (rc) {
    case MDB_SUCCESS: return 0;
    case MDB_NOTFOUND: return ENV_NONE;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
    case MDB_PAGE_FULL:
    case MDB_CURSOR_FULL: return ENV_FULL;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EIO: /* LMDB's word for a short write, which is what a disk does while it becomes full */
        return ENV_NO_DISK;
    case EACCES:
    case EPERM:
    case EROFS:
    case ENOTDIR: return ENV_ACCESS;
    case MDB_INVALID:
    case MDB_CORRUPTED:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
    case MDB_PAGE_NOTFOUND:
    case MDB_BAD_VALSIZE: return ENV_BROKEN;
    default: return ENV_SYSTEM;
    }
}

/* ======= opening ======= */

static int open_databases(struct env *env)
{
    const struct {
        const char *name;
        unsigned flags;
        MDB_dbi *dbi;
    } table[DATABASES] = {
        {"v", 0, &env->v},
        {"i", MDB_INTEGERKEY, &env->i},
        {"k", MDB_INTEGERKEY, &env->k},
        {"m", 0, &env->m},
        {"h", MDB_INTEGERKEY, &env->h},
        {"o", MDB_INTEGERKEY, &env->kept[ENV_OUTBOX]},
        {"n", MDB_INTEGERKEY, &env->kept[ENV_NOTES]},
        {"d", MDB_INTEGERKEY, &env->kept[ENV_ROLLUPS]},
        {"r", MDB_INTEGERKEY, &env->kept[ENV_RUNS]},
    };
    MDB_txn *txn;
    int rc = mdb_txn_begin(env->mdb, NULL, 0, &txn);
    if (rc)
        return rc;
    for (unsigned n = 0; n < DATABASES && rc == 0; n++)
        rc = mdb_dbi_open(txn, table[n].name, MDB_CREATE | table[n].flags, table[n].dbi);
    if (rc == 0)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return rc;
}

static int open_mdb(struct env *env, const char *path)
{
    int rc = mdb_env_create(&env->mdb);
    if (rc == 0)
        rc = mdb_env_set_mapsize(env->mdb, env->map_bytes);
    if (rc == 0)
        rc = mdb_env_set_maxdbs(env->mdb, DATABASES);
    if (rc == 0)
        rc = mdb_env_set_maxreaders(env->mdb, ENV_READERS_MAX);
    if (rc == 0)
        rc = mdb_env_open(env->mdb, path, MDB_NOSYNC | MDB_NOMETASYNC | MDB_NORDAHEAD | MDB_NOTLS, 0600);
    return rc ? rc : open_databases(env);
}

int env_open(const char *path, uint64_t map_bytes, struct env **ret)
{
    struct env *env = must_alloc(sizeof(*env));
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    env->map_bytes = map_bytes / page * page;
    int rc = open_mdb(env, path);
    if (rc)
        env = env_close(env);
    *ret = env;
    return env_answer(rc);
}

struct env *env_close(struct env *env)
{
    if (env && env->mdb)
        mdb_env_close(env->mdb);
    free(env);
    return NULL;
}

int env_sync(struct env *env)
{
    return env_answer(mdb_env_sync(env->mdb, 1));
}

int env_file(const struct env *env)
{
    mdb_filehandle_t fd = -1;
    CHECK(mdb_env_get_fd(env->mdb, &fd) == MDB_SUCCESS);
    return fd;
}

/* ======= state ======= */

struct saved_state {
    uint64_t magic, format;
    struct env_state state;
    uint64_t checksum;
};

static uint64_t state_checksum(const struct saved_state *s)
{
    return XXH3_64bits(s, offsetof(struct saved_state, checksum));
}

static int begin_read(struct env *env, MDB_txn **ret)
{
    return mdb_txn_begin(env->mdb, NULL, MDB_RDONLY, ret);
}

static int read_state(struct env *env, MDB_txn *txn, struct env_state *ret)
{
    struct saved_state s;
    MDB_val key = val("state", 5), data;
    int rc = mdb_get(txn, env->m, &key, &data);
    if (rc)
        return env_answer(rc);
    if (data.mv_size != sizeof(s))
        return ENV_BROKEN;
    memcpy(&s, data.mv_data, sizeof(s));
    if (s.magic != STATE_MAGIC || s.format != STATE_FORMAT || s.checksum != state_checksum(&s))
        return ENV_BROKEN;
    *ret = s.state;
    ret->boot_id[sizeof(ret->boot_id) - 1] = '\0';
    return 0;
}

int env_load(struct env *env, struct env_state *ret)
{
    MDB_txn *txn;
    int rc = env_answer(begin_read(env, &txn));
    if (rc)
        return rc;
    rc = read_state(env, txn, ret);
    mdb_txn_abort(txn);
    return rc;
}

int env_save(struct env_txn *t, const struct env_state *state)
{
    struct saved_state s;
    memset(&s, 0, sizeof(s)); /* padding is part of the checksum */
    s.magic = STATE_MAGIC;
    s.format = STATE_FORMAT;
    s.state = *state;
    s.checksum = state_checksum(&s);
    MDB_val key = val("state", 5), data = val(&s, sizeof(s));
    return env_answer(mdb_put(t->handle, t->env->m, &key, &data, 0));
}

/* ======= places ======= */

struct saved_place {
    struct env_place place;
    uint64_t check;
};

static uint64_t place_check(unsigned partition, const struct env_place *place)
{
    return XXH3_64bits_withSeed(place, sizeof(*place), partition);
}

/* A row that cannot be read is a place nobody knows: then the fleet's epoch is a new one here. */
static int read_place(struct env *env, MDB_txn *txn, unsigned partition, struct env_place *ret)
{
    struct saved_place s;
    uint8_t number = (uint8_t)partition;
    MDB_val key = val(&number, sizeof(number)), data;
    *ret = (struct env_place){0};
    int rc = mdb_get(txn, env->m, &key, &data);
    if (rc == 0 && data.mv_size == sizeof(s)) {
        memcpy(&s, data.mv_data, sizeof(s));
        if (s.check == place_check(partition, &s.place))
            *ret = s.place;
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int env_load_places(struct env *env, struct env_place ret[SHM_PARTITIONS])
{
    MDB_txn *txn;
    int rc = begin_read(env, &txn);
    if (rc)
        return env_answer(rc);
    for (unsigned p = 0; p < SHM_PARTITIONS && rc == 0; p++)
        rc = read_place(env, txn, p, &ret[p]);
    mdb_txn_abort(txn);
    return env_answer(rc);
}

int env_save_place(struct env_txn *t, unsigned partition, const struct env_place *place)
{
    struct saved_place s = {*place, place_check(partition, place)};
    uint8_t number = (uint8_t)partition;
    MDB_val key = val(&number, sizeof(number)), data = val(&s, sizeof(s));
    return env_answer(mdb_put(t->handle, t->env->m, &key, &data, 0));
}

int env_forget_places(struct env_txn *t)
{
    int rc = 0;
    for (unsigned p = 0; p < SHM_PARTITIONS && rc == 0; p++) {
        uint8_t number = (uint8_t)p;
        MDB_val key = val(&number, sizeof(number));
        rc = mdb_del(t->handle, t->env->m, &key, NULL);
        rc = rc == MDB_NOTFOUND ? 0 : rc;
    }
    return env_answer(rc);
}

/* ======= reads ======= */

void env_buffer_take(struct env_buffer *b, struct slice bytes)
{
    if (bytes.size > b->room) {
        free(b->data);
        b->room = bytes.size + bytes.size / 2;
        b->data = must_alloc(b->room);
    }
    memcpy(b->data, bytes.data, bytes.size);
    b->size = bytes.size;
}

void env_buffer_free(struct env_buffer *b)
{
    free(b->data);
    *b = (struct env_buffer){0};
}

struct env_reader {
    struct env *env;
    MDB_txn *txn; /* reset: holds no snapshot */
};

struct env_reader *env_reader_create(struct env *env)
{
    MDB_txn *txn;
    if (begin_read(env, &txn) != 0)
        return NULL;
    mdb_txn_reset(txn);
    struct env_reader *r = must_alloc(sizeof(*r));
    *r = (struct env_reader){env, txn};
    return r;
}

struct env_reader *env_reader_destroy(struct env_reader *r)
{
    if (r)
        mdb_txn_abort(r->txn);
    free(r);
    return NULL;
}

int env_find(struct env *env, MDB_txn *txn, uint64_t hash, uint64_t *ret_sequence)
{
    MDB_val key = val(&hash, sizeof(hash)), data;
    int rc = mdb_get(txn, env->i, &key, &data);
    if (rc)
        return rc;
    if (data.mv_size != sizeof(*ret_sequence))
        return MDB_CORRUPTED;
    memcpy(ret_sequence, data.mv_data, sizeof(*ret_sequence));
    return 0;
}

int env_find_record(struct env *env, MDB_txn *txn, uint64_t sequence, MDB_val *ret)
{
    uint64_t place = htobe64(sequence);
    MDB_val key = val(&place, sizeof(place));
    return mdb_get(txn, env->v, &key, ret);
}

int env_fetch(struct env_reader *r, uint64_t hash, struct env_buffer *ret, uint64_t *ret_sequence)
{
    MDB_val data;
    int rc = mdb_txn_renew(r->txn);
    if (rc)
        return env_answer(rc);
    rc = env_find(r->env, r->txn, hash, ret_sequence);
    if (rc == 0)
        rc = env_find_record(r->env, r->txn, *ret_sequence, &data);
    if (rc == 0)
        env_buffer_take(ret, slice_of(data.mv_data, data.mv_size));
    mdb_txn_reset(r->txn);
    return env_answer(rc);
}

bool env_contains(struct env_reader *r, uint64_t hash)
{
    uint64_t sequence;
    if (mdb_txn_renew(r->txn) != 0)
        return false;
    int rc = env_find(r->env, r->txn, hash, &sequence);
    mdb_txn_reset(r->txn);
    return rc == 0;
}

uint64_t env_sequence_of(const MDB_val *key)
{
    uint64_t place = 0;
    if (key->mv_size == sizeof(place))
        memcpy(&place, key->mv_data, sizeof(place));
    return be64toh(place);
}

/* To the first record at or above `sequence`, or the last one below it. */
static int position(MDB_cursor *cursor, uint64_t sequence, bool backward, MDB_val *key, MDB_val *data)
{
    uint64_t place = htobe64(sequence);
    *key = val(&place, sizeof(place));
    int rc = mdb_cursor_get(cursor, key, data, MDB_SET_RANGE);
    if (!backward)
        return rc;
    return mdb_cursor_get(cursor, key, data, rc == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
}

/* Only what the index names is an entry: a damaged file may hold an older record of a key as well. */
static bool is_named(struct env *env, MDB_txn *txn, uint64_t sequence, const MDB_val *data)
{
    struct record r;
    uint64_t named;
    return record_decode_unchecked(slice_of(data->mv_data, data->mv_size), &r) &&
           env_find(env, txn, r.entry.key_hash, &named) == 0 && named == sequence;
}

static int walk(struct env_reader *r, MDB_cursor *cursor, uint64_t from, bool backward,
                bool (*each)(void *user, uint64_t sequence, struct slice record), void *user)
{
    MDB_val key, data;
    int rc = position(cursor, from, backward, &key, &data);
    for (; rc == 0; rc = mdb_cursor_get(cursor, &key, &data, backward ? MDB_PREV : MDB_NEXT)) {
        uint64_t sequence = env_sequence_of(&key);
        if (is_named(r->env, r->txn, sequence, &data) &&
            !each(user, sequence, slice_of(data.mv_data, data.mv_size)))
            break;
    }
    return rc;
}

int env_walk(struct env_reader *r, uint64_t sequence, bool backward,
             bool (*each)(void *user, uint64_t sequence, struct slice record), void *user)
{
    MDB_cursor *cursor;
    int rc = mdb_txn_renew(r->txn);
    if (rc)
        return env_answer(rc);
    rc = mdb_cursor_open(r->txn, r->env->v, &cursor);
    if (rc == 0) {
        rc = walk(r, cursor, sequence, backward, each, user);
        mdb_cursor_close(cursor);
    }
    mdb_txn_reset(r->txn);
    return env_answer(rc);
}

uint64_t env_kill_check(uint64_t name, const struct env_kill *kill)
{
    const uint64_t words[3] = {name, kill->hard_v, kill->soft_v};
    return XXH3_64bits(words, sizeof(words));
}

bool env_kill_of(uint64_t name, const MDB_val *data, struct env_kill *ret)
{
    if (data->mv_size != sizeof(*ret))
        return false;
    memcpy(ret, data->mv_data, sizeof(*ret));
    return ret->check == env_kill_check(name, ret);
}

static int each_kill(struct env *env, MDB_cursor *cursor,
                     void (*each)(void *user, uint64_t name, uint64_t hard_v, uint64_t soft_v), void *user)
{
    MDB_val key, data;
    struct env_kill kill;
    uint64_t name;
    int rc;
    while ((rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT)) == 0) {
        if (key.mv_size != sizeof(name))
            return MDB_CORRUPTED;
        memcpy(&name, key.mv_data, sizeof(name));
        if (!env_kill_of(name, &data, &kill))
            return MDB_CORRUPTED;
        each(user, name, kill.hard_v, kill.soft_v);
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int env_each_kill(struct env *env, void (*each)(void *user, uint64_t name, uint64_t hard_v, uint64_t soft_v),
                  void *user)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    int rc = begin_read(env, &txn);
    if (rc)
        return env_answer(rc);
    rc = mdb_cursor_open(txn, env->k, &cursor);
    if (rc == 0) {
        rc = each_kill(env, cursor, each, user);
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    return env_answer(rc);
}

/* ======= the outbox ======= */

uint64_t env_kept_check(uint64_t number, struct slice bytes)
{
    return XXH3_64bits_withSeed(bytes.data, bytes.size, number);
}

/* False: it cannot be read. */
static bool show_kept(const MDB_val *key, const MDB_val *data,
                      void (*each)(void *user, uint64_t number, struct slice bytes), void *user)
{
    uint64_t number = 0, check = 0;
    bool whole = key->mv_size == sizeof(number) && data->mv_size >= sizeof(check);
    if (whole) {
        memcpy(&number, key->mv_data, sizeof(number));
        memcpy(&check, data->mv_data, sizeof(check));
    }
    struct slice bytes = slice_of((const char *)data->mv_data + sizeof(check), data->mv_size - sizeof(check));
    whole = whole && check == env_kept_check(number, bytes);
    if (whole)
        each(user, number, bytes);
    return whole;
}

static void say_lost(enum env_kept what, uint64_t lost)
{
    static const char *const names[ENV_KEPT] = {
        [ENV_OUTBOX] = "invalidations that waited for the fleet",
        [ENV_NOTES] = "lines of the log of invalidations",
        [ENV_ROLLUPS] = "days and minutes of statistics",
        [ENV_RUNS] = "statistics of warmings",
    };
    if (lost)
        log_error("warm tier: some of what was kept cannot be read and is lost", L_TEXT("what", names[what]),
                  L_U64("records", lost));
}

int env_each_kept(struct env *env, enum env_kept what,
                  void (*each)(void *user, uint64_t number, struct slice bytes), void *user)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key, data;
    uint64_t lost = 0;
    int rc = begin_read(env, &txn);
    if (rc)
        return env_answer(rc);
    rc = mdb_cursor_open(txn, env->kept[what], &cursor);
    if (rc == 0) {
        while ((rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT)) == 0)
            lost += !show_kept(&key, &data, each, user);
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    say_lost(what, lost);
    return rc == MDB_NOTFOUND ? 0 : env_answer(rc);
}

uint64_t env_last_sequence(struct env *env)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key = {0}, data;
    uint64_t last = 0;
    if (begin_read(env, &txn) != 0)
        return 0;
    if (mdb_cursor_open(txn, env->v, &cursor) == 0) {
        if (mdb_cursor_get(cursor, &key, &data, MDB_LAST) == 0)
            last = env_sequence_of(&key);
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    return last;
}

/* ======= sizes ======= */

/* Pages a table holds.  Counting these is O(1); counting the free ones would mean reading the free list. */
static uint64_t pages(const MDB_stat *s)
{
    return s->ms_branch_pages + s->ms_leaf_pages + s->ms_overflow_pages;
}

int env_measure(struct env *env, struct env_sizes *ret)
{
    const MDB_dbi all[] = {0,
                           1,
                           env->v,
                           env->i,
                           env->k,
                           env->m,
                           env->h,
                           env->kept[ENV_OUTBOX],
                           env->kept[ENV_NOTES],
                           env->kept[ENV_ROLLUPS],
                           env->kept[ENV_RUNS]}; /* 0 and 1: free list and names */
    MDB_txn *txn;
    MDB_stat s = {0};
    uint64_t used = 2; /* the meta pages */
    int rc = begin_read(env, &txn);
    if (rc)
        return env_answer(rc);
    for (unsigned n = 0; n < COUNT_OF(all) && rc == 0; n++) {
        rc = mdb_stat(txn, all[n], &s);
        used += pages(&s);
        if (all[n] == env->v)
            ret->entries = s.ms_entries;
        if (all[n] == env->k)
            ret->kills = s.ms_entries;
    }
    mdb_txn_abort(txn);
    ret->bytes_used = used * s.ms_psize;
    ret->bytes_max = env->map_bytes;
    return env_answer(rc);
}
