/* A warm tier on a real LMDB in a fresh directory, on a real loop, with a runtime page on tmpfs; and short words for
 * what the tests do with it.  A test is one process; children of crash tests are forked before any thread exists. */
#ifndef LARDER_TESTS_WARM_RIG_H
#define LARDER_TESTS_WARM_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <ftw.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/kills.h"
#include "base/log.h"
#include "net/loop.h"
#include "warm/inside.h"
#include "warm/page.h"

#define BOOT_A "11111111-1111-4111-8111-111111111111"
#define BOOT_B "22222222-2222-4222-8222-222222222222"

struct rig {
    char root[64], directory[128], page_path[96];
    const char *boot_id;
    bool with_page;
    bool fleet, hasty;
    unsigned partitions;
    struct warm_options options;
    /* of one run */
    struct loop *loop;
    struct page *page;
    struct page_found found;
    struct kills *kills;
    struct warm *warm;
    struct warm_memory memory;
    struct tier *tier;
    uint64_t v;
    bool closed;
};

static inline int rig_unlink(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    return remove(path);
}

static inline void rig_make_in(struct rig *rig, const char *parent)
{
    *rig = (struct rig){.boot_id = BOOT_A, .with_page = true};
    rig->options = (struct warm_options){
        .warm = true, .warm_bytes = 64 << 20, .warm_queue_bytes = 64 << 20, .warm_commit_every = NS_PER_MS};
    snprintf(rig->root, sizeof(rig->root), "%s/larder-warm-XXXXXX", parent);
    CHECK(mkdtemp(rig->root));
    snprintf(rig->directory, sizeof(rig->directory), "%s/state", rig->root);
    snprintf(rig->page_path, sizeof(rig->page_path), "%s/page", rig->root);
    log_setup(LOG_ERROR + 1, LOG_LOGFMT, 2);
}

static inline void rig_make(struct rig *rig)
{
    rig_make_in(rig, "/dev/shm"); /* tmpfs, which the page needs */
}

static inline void rig_remove(struct rig *rig)
{
    nftw(rig->root, rig_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

static inline int rig_try_open(struct rig *rig)
{
    rig->loop = loop_create();
    rig->page = NULL;
    rig->found = (struct page_found){0};
    if (rig->with_page)
        CHECK(page_open_in(rig->page_path, rig->boot_id, &rig->page, &rig->found) == 0);
    struct warm_setup setup = {.options = &rig->options,
                               .loop = rig->loop,
                               .directory = rig->directory,
                               .namespace = "test",
                               .page = rig->page,
                               .page_found = &rig->found,
                               .boot_id = rig->boot_id,
                               .fleet = rig->fleet,
                               .partitions = rig->partitions,
                               .hasty = rig->hasty};
    return warm_open(&setup, &rig->memory, &rig->warm);
}

static inline void rig_open(struct rig *rig)
{
    CHECK(rig_try_open(rig) == 0);
    rig->kills = kills_create(rig->memory.hash_secret);
    if (rig->fleet)
        kills_split(rig->kills, rig->partitions);
    warm_start(rig->warm, rig->kills);
    rig->tier = warm_tier(rig->warm);
    rig->v = rig->memory.start_no << 40;
    rig->closed = false;
}

static inline void rig_on_closed(void *user)
{
    ((struct rig *)user)->closed = true;
}

static inline void rig_drop_loop(struct rig *rig, bool clean)
{
    warm_destroy(rig->warm);
    rig->page = page_close(rig->page, clean);
    rig->kills = kills_destroy(rig->kills);
    rig->loop = loop_destroy(rig->loop);
}

static inline void rig_close(struct rig *rig)
{
    warm_stop(rig->warm, clock_after(loop_now_fresh(rig->loop), 30 * NS_PER_S), rig_on_closed, rig);
    while (!rig->closed)
        loop_run_once(rig->loop);
    rig_drop_loop(rig, true);
}

/* ---- waiting ---- */

struct rig_barrier {
    struct tier_barrier barrier;
    bool reached;
};

static inline void rig_reached(struct tier_barrier *b)
{
    CONTAINER_OF(b, struct rig_barrier, barrier)->reached = true;
}

static inline void rig_barrier(struct rig *rig)
{
    struct rig_barrier b = {.barrier.done = rig_reached};
    rig->tier->ops->barrier(rig->tier, &b.barrier);
    while (!b.reached)
        loop_run_once(rig->loop);
}

/* Until everything is in a commit and out of the overlay. */
static inline void rig_settle(struct rig *rig)
{
    struct rig_barrier b = {.barrier.done = rig_reached};
    warm_settle(rig->warm, &b.barrier);
    while (!b.reached)
        loop_run_once(rig->loop);
}

static inline void rig_wait(struct rig *rig, bool (*until)(struct rig *rig))
{
    while (!until(rig))
        loop_run_once(rig->loop);
}

static inline struct warm_figures rig_figures(struct rig *rig)
{
    struct warm_figures f;
    warm_measure(rig->warm, &f);
    return f;
}

/* ---- entries ---- */

static inline uint64_t rig_hash(struct rig *rig, const char *key)
{
    return shm_hash_key(rig->memory.hash_secret, slice_text(key));
}

static inline uint64_t rig_tag(struct rig *rig, const char *tag)
{
    return kills_name(shm_hash_name(rig->memory.hash_secret, SHM_NAME_TAG, slice_text(tag)), 0);
}

static inline struct entry rig_entry(struct rig *rig, const char *key, struct slice value)
{
    uint64_t now = loop_now_ns(rig->loop);
    return (struct entry){.key = slice_text(key),
                          .key_hash = rig_hash(rig, key),
                          .value = value,
                          .epoch = rig->memory.epoch,
                          .v = ++rig->v,
                          .id = 7,
                          .hard_ns = now + 3600 * NS_PER_S,
                          .soft_ns = now + 1800 * NS_PER_S};
}

static inline int rig_put(struct rig *rig, const char *key, const char *value)
{
    struct entry e = rig_entry(rig, key, slice_text(value));
    return rig->tier->ops->put(rig->tier, &e);
}

static inline int rig_put_tagged(struct rig *rig, const char *key, const char *value, const char *tag)
{
    struct entry e = rig_entry(rig, key, slice_text(value));
    e.tags_count = 1;
    e.tags[0] = rig_tag(rig, tag);
    return rig->tier->ops->put(rig->tier, &e);
}

static inline int rig_drop(struct rig *rig, const char *key)
{
    return rig->tier->ops->drop(rig->tier, slice_text(key), rig_hash(rig, key), ++rig->v);
}

static inline int rig_soften(struct rig *rig, const char *key)
{
    return rig->tier->ops->soften(rig->tier, slice_text(key), rig_hash(rig, key), ++rig->v,
                                  loop_now_ns(rig->loop));
}

static inline int rig_kill_tag(struct rig *rig, const char *tag)
{
    kills_add(rig->kills, rig_tag(rig, tag), ++rig->v, false);
    return rig->tier->ops->kill(rig->tier, rig_tag(rig, tag), rig->v, false);
}

static inline int rig_touch(struct rig *rig, const struct entry *e, uint64_t soft_ns, uint64_t hard_ns)
{
    struct entry as = *e;
    as.soft_ns = soft_ns;
    as.hard_ns = hard_ns;
    return rig->tier->ops->touch(rig->tier, &as);
}

struct rig_read {
    struct tier_read read;
    bool done;
    int outcome;
    char value[256];
};

static inline void rig_read_done(struct tier_read *read, int outcome)
{
    struct rig_read *r = CONTAINER_OF(read, struct rig_read, read);
    r->done = true;
    r->outcome = outcome;
    if (outcome == TIER_FOUND && read->entry.value.size < sizeof(r->value))
        memcpy(r->value, read->entry.value.data, read->entry.value.size);
}

static inline void rig_get_at(struct rig *rig, const char *key, uint64_t now_ns, struct rig_read *r)
{
    *r = (struct rig_read){
        .read = {
            .key = slice_text(key), .key_hash = rig_hash(rig, key), .now_ns = now_ns, .done = rig_read_done}};
    int outcome = rig->tier->ops->get(rig->tier, &r->read);
    if (outcome != TIER_PENDING)
        rig_read_done(&r->read, outcome);
    while (!r->done)
        loop_run_once(rig->loop);
}

static inline void rig_get(struct rig *rig, const char *key, struct rig_read *r)
{
    rig_get_at(rig, key, loop_now_ns(rig->loop), r);
}

/* What must be there. */
static inline struct entry rig_fetch(struct rig *rig, const char *key)
{
    struct rig_read r;
    rig_get(rig, key, &r);
    assert_int_equal(r.outcome, TIER_FOUND);
    return r.read.entry;
}

static inline void rig_expect(struct rig *rig, const char *key, const char *value)
{
    struct rig_read r;
    rig_get(rig, key, &r);
    assert_int_equal(r.outcome, TIER_FOUND);
    assert_string_equal(r.value, value);
}

static inline void rig_expect_none(struct rig *rig, const char *key)
{
    struct rig_read r;
    rig_get(rig, key, &r);
    assert_int_equal(r.outcome, TIER_MISSED);
}

/* Runs `life` on an open tier in a child and ends that by SIGKILL.  The parent has no thread and no tier then. */
static inline void rig_in_killed_child(struct rig *rig, void (*life)(void))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        rig_open(rig);
        life();
        raise(SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* ---- the rig of a test program, and what its tests begin and end with ---- */

static struct rig rig;

static inline int make_rig(void **state)
{
    rig_make(&rig);
    return 0;
}

static inline int drop_rig(void **state)
{
    rig_remove(&rig);
    return 0;
}

static inline int open_rig(void **state)
{
    rig_make(&rig);
    rig_open(&rig);
    return 0;
}

static inline int close_rig(void **state)
{
    rig_close(&rig);
    rig_remove(&rig);
    return 0;
}

static inline void restart(void)
{
    rig_close(&rig);
    rig_open(&rig);
}

/* No commit but those that somebody asks for. */
static inline void hour_long_commits(void)
{
    rig.options.warm_commit_every = 3600 * NS_PER_S;
}

static inline void nudge(struct timer *t)
{
}

/* With a timer, so that what the writer finds out without telling is seen too. */
static inline void wait_with_timer(bool (*until)(struct rig *))
{
    struct timer t;
    timer_init(&t, rig.loop, nudge);
    timer_start(&t, NS_PER_MS, NS_PER_MS);
    rig_wait(&rig, until);
    timer_finish(&t, NULL);
    loop_run_once(rig.loop);
}

static inline bool one_is_left(struct rig *r)
{
    return rig_figures(r).warm_entries == 1;
}

static inline bool commits_fail(struct rig *r)
{
    return r->warm->failing;
}

static inline bool is_well(struct rig *r)
{
    return !r->warm->failing && warm_trouble(r->warm) == NULL;
}

static inline uint64_t stored_kills(void)
{
    struct env_sizes sizes;
    CHECK(env_measure(rig.warm->env, &sizes) == 0);
    return sizes.kills;
}

#endif
