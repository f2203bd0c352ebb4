/* Opening: the lock, the check of the file, the decision whether what it holds may be believed, the journal.
 *
 * What must stay true: one daemon a directory; the file is opened only after its lock is ours and scan_file found it
 * whole, or its stamp says that nobody touched it since the last commit; start_no is committed before anything is
 * answered; what cannot be believed is gone before warm_open returns, and warm_memory says why. */
#include "warm/inside.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "warm/scan.h"
#include "warm/stamp.h"
#include "warm/trust.h"

extern const struct tier_ops warm_ops;

static const char corrupt[] = "the file was corrupt: it was moved aside, and the tier starts empty";
static const char of_another_fleet[] = "what was kept is of another fleet, or of none: nothing of it is used";
static const char full[] = "no room to begin on the disk: the file was removed, and the tier starts empty";

enum {
    FLOOR_FILE_BYTES = 4096,
    LOCK_FILE_BYTES = 5 * 4096, /* 64 bytes a reader, ENV_READERS_MAX of them, and a head */
    BEGIN_EVICTIONS = 256,
    BEGIN_TRIES = 64,
};

/* ======= the directory ======= */

static bool is_remote(const char *path)
{
    struct statfs fs;
    const long remote[] = {NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, 0xff534d42 /* CIFS */, 0xfe534d42 /* SMB2 */};
    if (statfs(path, &fs) != 0)
        return true;
    for (unsigned n = 0; n < COUNT_OF(remote); n++)
        if (fs.f_type == remote[n])
            return true;
    return false;
}

static int refuse(const char *path, const char *why, int rc)
{
    log_error("warm tier: cannot use its directory", L_TEXT("path", path), L_TEXT("why", why));
    return rc;
}

static int make_directory(const char *path)
{
    struct stat st;
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return refuse(path, strerror(errno),
                      errno == ENOSPC || errno == EDQUOT ? WARM_E_FULL : WARM_E_ACCESS);
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        return refuse(path, "not a directory", WARM_E_ACCESS);
    if (st.st_uid != geteuid())
        return refuse(path, "belongs to another user", WARM_E_ACCESS);
    if ((st.st_mode & 077) && chmod(path, 0700) != 0)
        return refuse(path, "open to other users, and cannot be closed to them", WARM_E_ACCESS);
    return is_remote(path) ? refuse(path, "on a network file system", WARM_E_ACCESS) : 0;
}

static char *path_in(const char *directory, const char *name)
{
    char *path;
    CHECK(asprintf(&path, "%s/%s", directory, name) > 0);
    return path;
}

static int open_file(const struct warm *w, const char *name)
{
    char *path = path_in(w->directory, name);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    free(path);
    return fd;
}

static int lock_directory(struct warm *w)
{
    w->owner_file = open_file(w, "owner.lock");
    if (w->owner_file < 0)
        return refuse(w->directory, strerror(errno), errno == ENOSPC ? WARM_E_FULL : WARM_E_ACCESS);
    if (flock(w->owner_file, LOCK_EX | LOCK_NB) != 0)
        return refuse(w->directory, "another daemon has it", WARM_E_LOCKED);
    return 0;
}

/* A few bytes, allocated now, that can be written when the disk is full: where the floor goes without a page. */
static void open_floor_file(struct warm *w)
{
    char zero[FLOOR_FILE_BYTES] = {0};
    struct stat st;
    w->floor_file = open_file(w, "floor");
    if (w->floor_file >= 0 && fstat(w->floor_file, &st) == 0 && st.st_size < FLOOR_FILE_BYTES &&
        pwrite(w->floor_file, zero, sizeof(zero), 0) != (ssize_t)sizeof(zero))
        log_warn("warm tier: no floor file, a full disk will cost the entries");
}

static uint64_t saved_floor(const struct warm *w)
{
    uint64_t words[2];
    if (pread(w->floor_file, words, sizeof(words), 0) != (ssize_t)sizeof(words))
        return 0;
    return words[0] == w->state.epoch ? words[1] : 0;
}

/* ======= aside ======= */

static const char aside_prefix[] = "data.mdb.corrupt-";

/* Removes the ones moved aside before, since one is enough to look at; returns the number for the next. */
static unsigned long remove_aside(const char *directory)
{
    unsigned long next = 1;
    DIR *d = opendir(directory);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (strncmp(e->d_name, aside_prefix, sizeof(aside_prefix) - 1) != 0)
            continue;
        unsigned long n = strtoul(e->d_name + sizeof(aside_prefix) - 1, NULL, 10);
        next = n >= next ? n + 1 : next;
        unlinkat(dirfd(d), e->d_name, 0);
    }
    if (d)
        closedir(d);
    return next;
}

static void move_aside(const struct warm *w)
{
    char *path;
    CHECK(asprintf(&path, "%s/%s%lu", w->directory, aside_prefix, remove_aside(w->directory)) > 0);
    if (rename(w->data_path, path) != 0)
        unlink(w->data_path);
    free(path);
}

static void discard(struct warm *w, const char *why, bool aside)
{
    log_warn("warm tier starts empty", L_TEXT("path", w->data_path), L_TEXT("why", why));
    w->env = env_close(w->env);
    if (aside)
        move_aside(w);
    else
        unlink(w->data_path);
    w->why_empty = why;
    w->saved.count = 0;
    memset(w->places, 0, sizeof(w->places));
}

/* ======= the environment ======= */

static uint64_t higher(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void begin_state(struct warm *w)
{
    struct env_state *s = &w->state;
    *s = (struct env_state){0};
    CHECK(getrandom(&s->secret, sizeof(s->secret), 0) == sizeof(s->secret));
    do
        CHECK(getrandom(&s->epoch, sizeof(s->epoch), 0) == sizeof(s->epoch));
    while (s->epoch == 0);
    s->clean = true;
    s->partitions = w->fleet_partitions;
    memcpy(s->boot_id, w->boot_id, sizeof(w->boot_id));
}

static const char *distrust(const struct warm *w, const struct page_found *found)
{
    struct page_owner owner = {0};
    if (w->page)
        page_owner(w->page, &owner);
    return trust_judge(&(struct trust){.state = &w->state,
                                       .boot_id = w->boot_id,
                                       .page_same_boot = w->page && found && found->same_boot,
                                       .owner = owner});
}

static void save_kill(void *warm, uint64_t name, uint64_t hard_v, uint64_t soft_v)
{
    warm_save_kill(warm, name, hard_v, soft_v);
}

/* LMDB's table of readers, which it maps: allocated whole, or storing into it on a full disk would be a SIGBUS.  Anew
 * at each start: what a dead process left in it is of no use, and might be corrupt. */
static int make_lock_file(const char *path)
{
    unlink(path);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return errno == ENOSPC || errno == EDQUOT ? ENV_FULL : ENV_ACCESS;
    int rc = posix_fallocate(fd, 0, LOCK_FILE_BYTES);
    close(fd);
    return rc == 0 ? 0 : ENV_FULL;
}

/* Nobody changed the file since the last commit of a daemon of this boot, however that daemon ended: what the kernel
 * has of it is what LMDB wrote.  Looking at each page takes 100 ms with a million entries, and a reader waits. */
static bool is_as_committed(const struct warm *w, const struct page_found *found)
{
    uint64_t stamp = w->page && found && found->same_boot ? page_stamp(w->page) : 0;
    return stamp != 0 && stamp == stamp_of_path(w->data_path);
}

static const char *damage_in_file(struct warm *w, const struct page_found *found)
{
    if (access(w->data_path, F_OK) != 0 || is_as_committed(w, found))
        return NULL;
    w->scanned = true;
    return scan_file(w->data_path);
}

/* 0: usable, with w->state; otherwise the environment is to be discarded. */
static int load(struct warm *w, const struct page_found *found, const char **ret_why, bool *ret_aside)
{
    const char *damage = damage_in_file(w, found);
    *ret_aside = true;
    *ret_why = corrupt;
    if (damage) {
        log_error("warm tier: the file is damaged", L_TEXT("path", w->data_path), L_TEXT("why", damage));
        return ENV_BROKEN;
    }
    int rc = make_lock_file(w->lock_path);
    if (rc == 0)
        rc = env_open(w->directory, w->options.warm_bytes, &w->env);
    if (rc == 0)
        rc = env_load(w->env, &w->state);
    if (rc == ENV_NONE) {
        begin_state(w);
        return 0;
    }
    if (rc == 0)
        rc = env_each_kill(w->env, save_kill, w);
    if (rc == 0)
        rc = env_load_places(w->env, w->places);
    const char *doubt = rc == 0 ? distrust(w, found) : NULL;
    if (doubt) {
        warm_carry_take(w);
        *ret_why = doubt;
        *ret_aside = false;
        rc = ENV_BROKEN;
    }
    return rc;
}

/* Positions of a fleet say nothing about those of another one, or of none: what is there counts as dead, and its room is
 * given back by and by. */
static int begin_in_fleet(struct warm *w, struct env_txn *t, struct env_state *next)
{
    if (next->partitions == w->fleet_partitions)
        return 0;
    next->partitions = w->fleet_partitions;
    next->dead_below = 1 + higher(higher(next->applied, next->dead_below), env_last_sequence(w->env));
    next->applied = next->dead_below;
    int rc = env_forget_kills(t, 0, 1);
    return rc ? rc : env_forget_places(t);
}

/* What is in memory already of another fleet's. */
static void forget_other_fleet(struct warm *w)
{
    log_warn("warm tier starts empty", L_TEXT("path", w->data_path), L_TEXT("why", of_another_fleet));
    w->why_empty = of_another_fleet;
    w->saved.count = 0;
    memset(w->places, 0, sizeof(w->places));
    if (w->page)
        page_clear(w->page);
}

static int try_begin_run(struct warm *w)
{
    struct env_txn t;
    struct env_state next = w->state;
    struct page_owner owner = {0};
    if (w->page)
        page_owner(w->page, &owner);
    next.start_no++;
    next.clean = false;
    next.page_id = owner.id;
    memset(next.boot_id, 0, sizeof(next.boot_id));
    memcpy(next.boot_id, w->boot_id, sizeof(w->boot_id));
    int rc = env_begin(w->env, &t);
    if (rc)
        return rc;
    rc = begin_in_fleet(w, &t, &next);
    if (rc == 0)
        rc = env_save(&t, &next);
    if (rc < 0) {
        env_abort(&t);
        return rc;
    }
    rc = env_commit(&t);
    if (rc)
        return rc;
    if (w->page)
        page_set_stamp(w->page, stamp_of_file(env_file(w->env)));
    if (next.partitions != w->state.partitions)
        forget_other_fleet(w);
    w->state = next;
    return 0;
}

static bool evict_some(struct warm *w, uint32_t count)
{
    struct env_txn t;
    uint32_t evicted = 0;
    if (env_begin(w->env, &t) != 0)
        return false;
    if (env_evict(&t, count, UINT64_MAX, &evicted) < 0 || evicted == 0) {
        env_abort(&t);
        return false;
    }
    return env_commit(&t) == 0;
}

/* The map may have become smaller, or the disk full: then the oldest entries make room. */
static int begin_run(struct warm *w)
{
    int rc = try_begin_run(w);
    for (unsigned n = 0; n < BEGIN_TRIES && env_wants_room(rc); n++) {
        if (!evict_some(w, BEGIN_EVICTIONS) && !evict_some(w, 1))
            break;
        rc = try_begin_run(w);
    }
    return rc;
}

static int warm_error(int rc)
{
    return env_wants_room(rc) ? WARM_E_FULL : rc == ENV_ACCESS ? WARM_E_ACCESS : WARM_E_SYSTEM;
}

/* Twice: what is there, and if that is of no use, a new one. */
static int open_environment(struct warm *w, const struct page_found *found)
{
    const char *why = NULL;
    bool aside = false;
    int rc = 0;
    for (unsigned attempt = 0; attempt < 2; attempt++) {
        rc = load(w, found, &why, &aside);
        if (rc == 0)
            rc = begin_run(w);
        if (rc == 0) {
            warm_carry_put(w);
            return 0;
        }
        if (env_wants_room(rc)) {
            why = full;
            aside = false;
        }
        if (rc == ENV_ACCESS || rc == ENV_SYSTEM)
            break;
        discard(w, why, aside);
    }
    log_error("warm tier: cannot be opened", L_TEXT("path", w->data_path));
    return warm_error(rc);
}

/* ======= the journal ======= */

static void queue_key(struct warm *w, const struct page_record *record)
{
    struct op *op = overlay_find(w->overlay, OP_OF_KEY, record->hash);
    bool hard = record->kind == PAGE_KEY;
    if (op && (op->kind == OP_DROP || !hard))
        return;
    bool is_new = !op;
    if (is_new)
        op = op_create(OP_LIFE, OP_OF_KEY, record->hash, 0);
    op->kind = hard ? OP_DROP : OP_LIFE;
    op->need = op->cover = hard ? COVER_HARD : COVER_SOFT;
    op->v = UINT64_MAX;
    op->change = record_soften(clock_boot_ns());
    if (is_new) {
        op->journal_end = record->end;
        warm_queue(w, op);
    }
}

static void queue_kill(struct warm *w, const struct page_record *record)
{
    bool hard = record->kind == PAGE_NAME;
    struct op *op = overlay_find(w->overlay, OP_OF_NAME, record->hash);
    if (!op) {
        op = op_create(OP_KILL, OP_OF_NAME, record->hash, 0);
        op->partition = (uint8_t)warm_partition_of_name(w, record->hash);
        op->epoch = w->epochs[op->partition];
        op->need = COVER_HARD;
        op->journal_end = record->end;
        warm_queue(w, op);
    }
    op->hard_v = higher(op->hard_v, hard ? record->number : 0);
    op->soft_v = higher(op->soft_v, hard ? 0 : record->number);
}

/* For the map: kills of the journal are not in the database yet. */
static void save_queued_kills(struct warm *w)
{
    LIST_FOR(node, &w->replayed)
    {
        const struct op *op = CONTAINER_OF(node, struct op, node);
        if (op->kind == OP_KILL)
            warm_save_kill(w, op->hash, op->hard_v, op->soft_v);
    }
}

struct replay {
    struct warm *warm;
    uint64_t newest; /* sequence in a record */
};

static void find_newest(void *replay, const struct page_record *record)
{
    struct replay *r = replay;
    if (record->kind == PAGE_KEY || record->kind == PAGE_SOFT_KEY)
        r->newest = higher(r->newest, record->number);
}

static void replay_record(void *replay, const struct page_record *record)
{
    struct replay *r = replay;
    if (record->kind != PAGE_KEY && record->kind != PAGE_SOFT_KEY)
        queue_kill(r->warm, record);
    else if (record->number > r->warm->state.applied)
        queue_key(r->warm, record);
}

/* Changes whose commit never came are queued again; the page keeps them until it comes.  So a full disk at this
 * moment costs nothing. */
static void replay_page(struct warm *w)
{
    struct replay r = {w, 0};
    struct page_owner owner;
    page_owner(w->page, &owner);
    bool ours = owner.epoch == w->state.epoch;
    if (ours && page_replay(w->page, find_newest, &r)) {
        w->sequence = higher(w->sequence, higher(r.newest, page_floor(w->page)));
        w->dead_below = higher(w->dead_below, page_floor(w->page));
        page_replay(w->page, replay_record, &r);
    } else
        page_clear(w->page);
    page_own(w->page, w->state.epoch, w->state.start_no);
}

static void carry_on(struct warm *w)
{
    w->dead_below = higher(w->state.dead_below, saved_floor(w));
    w->sequence = higher(higher(w->state.applied, w->dead_below), env_last_sequence(w->env));
    for (unsigned p = 0; p < w->partitions; p++)
        w->epochs[p] = w->fleet_partitions ? w->places[p].epoch : w->state.epoch;
    if (w->page)
        replay_page(w);
    w->state.dead_below = w->dead_below;
    for (size_t n = 0; n < w->saved.count; n++)
        w->stored_kill_v = higher(w->stored_kill_v, higher(w->saved.list[n].hard_v, w->saved.list[n].soft_v));
    save_queued_kills(w);
    w->reader = env_reader_create(w->env);
}

/* ======= the whole ======= */

static struct warm *make(const struct warm_setup *setup)
{
    struct warm *w = must_alloc(sizeof(*w));
    w->tier.ops = &warm_ops;
    w->options = *setup->options;
    w->loop = setup->loop;
    w->page = setup->page;
    w->partitions = setup->fleet && setup->partitions ? setup->partitions : 1;
    w->fleet_partitions = setup->fleet ? w->partitions : 0;
    w->hasty = setup->hasty;
    CHECK(w->partitions <= SHM_PARTITIONS);
    w->owner_file = w->floor_file = -1;
    w->directory = must_strdup(setup->directory);
    w->data_path = path_in(setup->directory, "data.mdb");
    w->lock_path = path_in(setup->directory, "lock.mdb");
    w->overlay = overlay_create();
    list_init(&w->replayed);
    list_init(&w->carried);
    list_init(&w->barriers);
    list_init(&w->settlers);
    list_init(&w->ahead);
    list_init(&w->reads);
    list_init(&w->lingering);
    if (setup->boot_id)
        strncpy(w->boot_id, setup->boot_id, sizeof(w->boot_id) - 1);
    else
        clock_boot_id(w->boot_id);
    w->boot = record_boot(w->boot_id);
    return w;
}

int warm_open(const struct warm_setup *setup, struct warm_memory *ret_memory, struct warm **ret)
{
    struct warm *w = make(setup);
    *ret = NULL;
    int rc = make_directory(setup->directory);
    if (rc == 0)
        rc = lock_directory(w);
    if (rc == 0) {
        open_floor_file(w);
        rc = open_environment(w, setup->page_found);
    }
    if (rc) {
        warm_destroy(w);
        return rc;
    }
    carry_on(w);
    *ret_memory = (struct warm_memory){.hash_secret = w->state.secret,
                                       .epoch = w->state.epoch,
                                       .start_no = w->state.start_no,
                                       .empty = w->why_empty || w->state.applied == 0,
                                       .why = w->why_empty,
                                       .scanned = w->scanned,
                                       .usual_entry = env_load_usual(w->env)};
    *ret = w;
    return 0;
}
