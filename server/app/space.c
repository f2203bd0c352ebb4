#include "app/space.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "admin/reports.h"
#include "app/hot_set.h"
#include "app/identity.h"
#include "app/keyfile.h"
#include "app/places.h"
#include "app/top.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "l1/l1.h"
#include "l2/l2.h"
#include "warm/warm.h"

enum {
    KILLS_WORTH_PRUNING = 1000, /* 48 KB; pruning makes old tokens useless, so not before it is of use */
    BANS_WORTH_PRUNING = BANS_MAX / 4,
};
/* A fill may come this long after its miss, whatever was killed meanwhile. */
#define PRUNE_EVERY (60 * NS_PER_S)

/* ---- what the session asks ----------------------------------------------------------------------------- */

static struct space *space_of(struct session_space *session)
{
    return CONTAINER_OF(session, struct space, session);
}

static int give_segment(struct session_space *session, int *ret_fd, uint64_t *ret_incarnation,
                        const char **ret_why)
{
    struct space *s = space_of(session);
    if (!s->l1) {
        *ret_why = s->l1_trouble;
        return -1;
    }
    *ret_fd = l1_fd(s->l1);
    *ret_incarnation = l1_incarnation(s->l1);
    return 0;
}

static int open_touch(struct session_space *session, void **ret_page, int *ret_fd)
{
    struct space *s = space_of(session);
    struct touch_page *page = NULL;
    if (!s->l1 || l1_touch_page_open(s->l1, &page, ret_fd) < 0)
        return -1;
    *ret_page = page;
    return 0;
}

static void close_touch(struct session_space *session, void *page)
{
    l1_touch_page_close(page);
}

static const struct session_space_ops session_ops = {give_segment, open_touch, close_touch};

/* ---- opening ------------------------------------------------------------------------------------------- */

static void open_page(struct space *s, const char *state, const char *runtime)
{
    char path[PLACE_BYTES + 128];
    if (!runtime) {
        s->page_trouble = "no directory on tmpfs can be used: each change waits for its commit";
        return;
    }
    /* The state's path is part of the name: a page belongs to one database and to no other. */
    uint64_t hash = shm_hash_key(0, slice_text(state));
    snprintf(path, sizeof(path), "%s/%s-%08x.live", runtime, s->config->name, (unsigned)hash);
    if (page_open(path, &s->page, &s->found) < 0) {
        s->page = NULL;
        s->page_trouble = "the runtime page cannot be used: each change waits for its commit";
    }
}

static uint64_t random_number(void)
{
    uint64_t number;
    CHECK(getrandom(&number, sizeof(number), 0) == sizeof(number));
    return number;
}

/* Without a database nothing is remembered, so everything is new: positions of an epoch nobody has seen. */
static void remember_nothing(struct space *s, const char *why)
{
    s->warm = NULL;
    s->memory = (struct warm_memory){
        .hash_secret = random_number(), .epoch = random_number(), .start_no = 1, .empty = true, .why = why};
    s->warm_trouble = why;
}

static const char *warm_error_text(int error)
{
    switch (error) {
    case WARM_E_ACCESS: return "its directory cannot be used: entries do not survive a restart";
    case WARM_E_FULL: return "the disk is full: entries do not survive a restart";
    default: return "its database cannot be opened: entries do not survive a restart";
    }
}

static bool in_fleet(const struct space_setup *setup)
{
    return setup->redis && setup->redis->configured;
}

static int open_warm(struct space *s, const char *state, bool state_usable, const struct l2_options *fleet)
{
    char directory[PLACE_BYTES + 128];
    if (!s->config->warm.warm || !state_usable) {
        remember_nothing(s, state_usable
                                ? "switched off"
                                : "the state directory cannot be used: entries do not survive a restart");
        return 0;
    }
    snprintf(directory, sizeof(directory), "%s/%s", state, s->config->name);
    struct warm_setup setup = {.options = &s->config->warm,
                               .loop = s->loop,
                               .directory = directory,
                               .namespace = s->config->name,
                               .page = s->page,
                               .page_found = &s->found,
                               .fleet = fleet != NULL,
                               .partitions = fleet ? (unsigned)fleet->partitions : 1};
    int error = warm_open(&setup, &s->memory, &s->warm);
    if (error == WARM_E_LOCKED) {
        log_error("another daemon uses this state", L_TEXT("directory", directory));
        return -1;
    }
    if (error < 0) {
        remember_nothing(s, warm_error_text(error));
        log_error("no warm tier", L_TEXT("namespace", s->config->name), L_TEXT("directory", directory),
                  L_TEXT("why", s->warm_trouble));
    } else if (s->memory.empty && s->memory.why) {
        log_warn("the warm tier starts empty", L_TEXT("namespace", s->config->name),
                 L_TEXT("why", s->memory.why));
    }
    return 0;
}

/* F3: until when readers may still believe a killed predecessor.  A page that is missing may have been lost with its
 * promises; then only a database that trusts itself tells that there was a clean stop, or none before us. */
static uint64_t gate(const struct space *s, uint64_t now_ns)
{
    bool clean_stop = s->warm && !(s->memory.empty && s->memory.why);
    if (s->found.same_boot)
        return s->found.clean ? 0 : s->found.alive_until_ns;
    return clean_stop ? 0 : clock_after(now_ns, s->config->l1.l1_lease);
}

/* ---- the fleet ------------------------------------------------------------------------------------------ */

/* What the fleet tells goes to the cache, which knows what it means, and to the two tiers that keep something of it. */
static void on_record(void *user, unsigned partition, const struct fleet_record *record)
{
    cache_fleet_record(((struct space *)user)->cache, partition, record);
}

static void on_gap(void *user, unsigned partition, uint64_t floor)
{
    struct space *s = user;
    log_warn("changes of the fleet were missed: what is here is compared before it is served",
             L_TEXT("namespace", s->config->name), L_U64("partition", partition), L_U64("below", floor));
    cache_fleet_gap(s->cache, partition, floor);
}

static void on_epoch(void *user, unsigned partition)
{
    struct space *s = user;
    log_info("another epoch of the fleet: what is here belongs to none", L_TEXT("namespace", s->config->name),
             L_U64("partition", partition));
    cache_fleet_epoch(s->cache, partition);
    if (s->warm)
        warm_fleet_epoch(s->warm, partition, l2_fleet(s->l2)->view->of[partition].epoch);
    if (s->l1)
        l1_fleet_epoch(s->l1);
}

static void on_applied(void *user, unsigned partition, uint64_t last_fence_ns)
{
    struct space *s = user;
    const struct fleet_partition *p = &l2_fleet(s->l2)->view->of[partition];
    struct fleet_memory place = {p->epoch, p->applied, p->floor, last_fence_ns};
    cache_fleet_applied(s->cache, partition);
    if (s->warm)
        warm_keep_place(s->warm, partition, &place);
}

static void on_shown(void *user)
{
    struct space *s = user;
    if (s->l1)
        l1_fleet_shown(s->l1);
}

static const struct fleet_listener listener = {on_record, on_gap, on_epoch, on_applied, on_shown};

/* The database is thrown once and lasts, like what tells this host from all others. */
static uint64_t host_of(const struct space *s, const struct space_setup *setup)
{
    return s->warm ? s->memory.epoch
                   : identity_of(setup->state_usable ? setup->state : setup->runtime, s->config->name);
}

static void open_l2(struct space *s, const struct space_setup *setup)
{
    struct fleet_memory places[FLEET_PARTITIONS_MAX];
    uint64_t newest[FLEET_PARTITIONS_MAX];
    if (!in_fleet(setup))
        return;
    if (s->warm)
        warm_places(s->warm, places, newest);
    struct l2_setup l2 = {.options = setup->l2,
                          .loop = s->loop,
                          .url = &setup->redis->url,
                          .tls = setup->redis->tls,
                          .namespace = s->config->name,
                          .host = host_of(s, setup),
                          .hash_secret = s->memory.hash_secret,
                          .value_max = s->config->cache.max_value,
                          .max_ttl_ns = s->config->cache.max_ttl,
                          .detached_max_ns = s->config->cache.detached_max,
                          .outbox = s->warm ? warm_outbox(s->warm) : NULL,
                          .memory = s->warm ? places : NULL,
                          .newest = s->warm ? newest : NULL,
                          .listener = &listener,
                          .user = s};
    s->l2 = l2_create(&l2);
}

static void open_l1(struct space *s)
{
    struct l1_setup setup = {.options = &s->config->l1,
                             .loop = s->loop,
                             .kills = s->kills,
                             .gone = s->gone,
                             .namespace = s->config->name,
                             .hash_secret = s->memory.hash_secret,
                             .usual_entry = s->memory.usual_entry,
                             .epoch = s->memory.epoch,
                             .view = s->l2 ? l2_fleet(s->l2)->view : NULL,
                             .mirror = s->page ? page_mirror : NULL,
                             .user = s->page};
    if (!s->config->l1.l1) {
        s->l1_trouble = "shared memory is switched off";
    } else if (l1_create(&setup, &s->l1) < 0) {
        s->l1 = NULL;
        s->l1_trouble = "shared memory cannot be had";
        log_error("no L1: every get costs a round trip", L_TEXT("namespace", s->config->name));
    } else {
        l1_open(s->l1);
    }
}

static uint64_t loop_clock(const void *loop)
{
    return loop_now_ns(loop);
}

static bool turn_is_long(const void *loop)
{
    return loop_turn_is_long(loop);
}

static void near_hits(void *user, uint64_t ret_of[SHM_POLICIES])
{
    const struct space *s = user;
    if (s->l1)
        l1_policy_hits(s->l1, ret_of);
}

static struct warming_feed *read_keys(void *user, struct slice path)
{
    const struct space *s = user;
    return keyfile_feed(s->loop, path);
}

static void open_cache(struct space *s)
{
    s->gate_until_ns = gate(s, loop_now_fresh(s->loop));
    struct cache_setup setup = {.options = &s->config->cache,
                                .now_ns = loop_clock,
                                .turn_is_long = turn_is_long,
                                .clock = s->loop,
                                .namespace = s->config->name,
                                .kills = s->kills,
                                .gone = s->gone,
                                .l1 = s->l1 ? l1_tier(s->l1) : NULL,
                                .warm = s->warm ? warm_tier(s->warm) : NULL,
                                .fleet = s->l2 ? l2_fleet(s->l2) : NULL,
                                .hash_secret = s->memory.hash_secret,
                                .epoch = s->memory.epoch,
                                .start_no = s->memory.start_no,
                                .near_hits = near_hits,
                                .read_keys = read_keys,
                                .user = s,
                                .notes = s->warm ? warm_notes(s->warm) : NULL,
                                .runs = s->warm ? warm_runs(s->warm) : NULL,
                                .gate_until_ns = s->gate_until_ns};
    s->cache = cache_create(&setup);
}

static const struct rollup *up_to_now(void *user)
{
    return rollups_now(((const struct space *)user)->rollups);
}

/* What a turn leaves is there for the next, not for the next tick. */
static void let_go_on(struct space *s, bool more)
{
    if (more)
        later_ask(s->loop, &s->let_go);
}

static void let_go(struct later *w)
{
    struct space *s = CONTAINER_OF(w, struct space, let_go);
    let_go_on(s, cache_let_go(s->cache));
}

int space_open(struct space *s, const struct space_setup *setup)
{
    *s = (struct space){.config = setup->config, .loop = setup->loop};
    later_init(&s->let_go, let_go);
    open_page(s, setup->state, setup->runtime);
    if (open_warm(s, setup->state, setup->state_usable, in_fleet(setup) ? setup->l2 : NULL) < 0) {
        s->page = page_close(s->page, false);
        return -1;
    }
    s->kills = kills_create(s->memory.hash_secret);
    s->gone = gone_create();
    if (!s->config->cache.secret)
        s->top_keys = top_keys_create();
    if (in_fleet(setup))
        kills_split(s->kills, (unsigned)setup->l2->partitions);
    if (s->warm)
        warm_start(s->warm, s->kills);
    open_l2(s, setup);
    open_l1(s);
    open_cache(s);
    s->rollups = rollups_create(s);
    s->reports = reports_create(up_to_now, s);
    if (s->l2)
        l2_start(s->l2);
    s->session = (struct session_space){.name = s->config->name,
                                        .cache = s->cache,
                                        .secret = s->config->cache.secret,
                                        .ops = &session_ops,
                                        .user = s};
    return 0;
}

bool space_take_policies(struct space *s, const struct config *config)
{
    struct policy_fault fault;
    struct policies *p = config_make_policies(config, s->config, cache_policies(s->cache), &fault);
    if (p) {
        rollups_before_policies(s->rollups);
        cache_take_policies(s->cache, p);
        rollups_after_policies(s->rollups);
    } else {
        log_error("policies not taken, the old ones stay", L_TEXT("namespace", s->config->name),
                  L_TEXT("option", fault.option), L_TEXT("why", fault.why));
    }
    cache_take_quotas(s->cache, config_make_quotas(config));
    return p;
}

/* ---- running ------------------------------------------------------------------------------------------- */

void space_tick(struct space *s)
{
    if (!s->cache)
        return;
    cache_hold_warmings(s->cache, s->restoring && warm_restores_hot(s->warm));
    let_go_on(s, cache_tick(s->cache));
    hot_set_tell(s);
}

/* One whole sweep began after the mark; the one under way then may have begun before the newest kills. */
static bool l1_is_swept(const struct space *s, uint64_t sweeps)
{
    return !s->l1 || l1_settled(s->l1) || sweeps >= s->mark.sweeps + 2;
}

/* A kill may be forgotten when no tier holds what it hides, and nobody comes with a token from before it. */
void space_prune_kills(struct space *s, uint64_t now_ns)
{
    struct l1_figures l1 = {0};
    struct prune_mark *m = &s->mark;
    if (s->l2 &&
        l2_fleet(s->l2)->view->partitions > 1) /* no order among positions: the map has its own bound */
        return;
    bool worth = kills_count(s->kills) >= KILLS_WORTH_PRUNING || kills_bans(s->kills) >= BANS_WORTH_PRUNING;
    if (!worth || now_ns < clock_after(m->at_ns, PRUNE_EVERY))
        return;
    if (s->l1)
        l1_measure(s->l1, &l1);
    if (m->at_ns && !l1_is_swept(s, l1.l1_sweeps))
        return;
    uint64_t swept_v = s->warm ? warm_swept_v(s->warm) : UINT64_MAX;
    uint64_t v = swept_v < m->position ? swept_v : m->position;
    if (v > s->pruned_v)
        cache_prune_kills(s->cache, s->pruned_v = v);
    *m = (struct prune_mark){.at_ns = now_ns, .position = cache_position(s->cache), .sweeps = l1.l1_sweeps};
}

void space_keep(struct space *s)
{
    if (!s->stopped)
        hot_set_keep(s);
    if (s->l1 && s->top_keys && !s->stopped)
        top_keys_slice(s->top_keys, s->l1);
    space_prune_kills(s, loop_now_ns(s->loop));
    if (s->cache) {
        rollups_tick(s->rollups);
        reports_tick(s->reports, loop_now_ns(s->loop));
    }
}

/* ---- stopping ------------------------------------------------------------------------------------------ */

static void tell_stopped(void *user)
{
    struct space *s = user;
    s->stopped(s->stopped_user);
}

static void stopped_at_once(struct later *w)
{
    tell_stopped(CONTAINER_OF(w, struct space, no_warm_to_stop));
}

/* Whoever still waited for the fleet has its answer now, so nothing is pending in the cache. */
static void left_fleet(void *user)
{
    struct space *s = user;
    hot_set_save(s);
    rollups_stop(s->rollups);
    later_cancel(&s->let_go);
    s->cache = cache_destroy(s->cache);
    s->l1 = l1_destroy(s->l1); /* CLOSED: from here on readers ask a socket that is gone */
    later_init(&s->no_warm_to_stop, stopped_at_once);
    if (s->warm)
        warm_stop(s->warm, s->stop_deadline_ns, tell_stopped, s);
    else
        later_ask(s->loop, &s->no_warm_to_stop);
}

void space_stop(struct space *s, uint64_t deadline_ns, void (*stopped)(void *user), void *user)
{
    s->stopped = stopped;
    s->stopped_user = user;
    s->stop_deadline_ns = deadline_ns;
    if (s->l2)
        l2_stop(s->l2, left_fleet, s);
    else
        left_fleet(s);
}

void space_close(struct space *s)
{
    /* An older predecessor's promises may still be running: then the next daemon has to wait for them, as we did. */
    bool clean = s->stopped && loop_now_fresh(s->loop) >= s->gate_until_ns;
    s->reports = reports_destroy(s->reports);
    s->rollups = rollups_destroy(s->rollups);
    s->cache = cache_destroy(s->cache);
    s->l1 = l1_destroy(s->l1);
    s->l2 = l2_destroy(s->l2);
    s->warm = warm_destroy(s->warm);
    s->kills = kills_destroy(s->kills);
    s->gone = gone_destroy(s->gone);
    s->top_keys = top_keys_destroy(s->top_keys);
    s->page = page_close(s->page, clean);
    hot_set_free(s);
}
