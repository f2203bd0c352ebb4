#include "cache/runs.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "cache/cache_private.h"
#include "cache/loaders.h"
#include "cache/runs_private.h"

#define TRY_AGAIN_NS NS_PER_S

struct runs {
    struct schedules plan;
    struct warming *warming; /* of plan.running */
    bool by_hand;
    uint64_t checked;               /* keys done when its health was looked at */
    struct run *of[POLICY_NUMBERS]; /* by number, held; of no name but that which the number has */
    struct runs_kept kept;
};

struct runs *runs_create(struct outbox *store)
{
    struct runs *r = must_alloc(sizeof(*r));
    runs_kept_load(&r->kept, store);
    return r;
}

struct runs *runs_destroy(struct runs *r)
{
    if (!r)
        return NULL;
    CHECK(!r->warming);
    runs_kept_free(&r->kept);
    free(r);
    return NULL;
}

/* ======= what is counted ======= */

static struct asked asked_for(const struct cache *c, unsigned n)
{
    const struct policy_figures *f = &c->by_policy[n];
    uint64_t near[SHM_POLICIES] = {0};
    if (c->setup.near_hits && n < POLICY_NEAR_MAX)
        c->setup.near_hits(c->setup.user, near);
    uint64_t hits = f->hits_l1 + f->hits_warm + f->hits_l2 + (n < POLICY_NEAR_MAX ? near[n] : 0);
    return (struct asked){hits, hits + f->misses};
}

/* -1: nobody asked; also when counts began anew meanwhile. */
static int ratio(struct asked from, struct asked to)
{
    uint64_t all = to.all - from.all, hits = to.hits - from.hits;
    return to.all <= from.all || hits > all ? -1 : (int)(hits * 1000 / all);
}

static struct run_sums *today(struct run *r)
{
    return run_today(r, clock_wall_ns());
}

static struct run *run_of(struct cache *c, unsigned n)
{
    struct run **at = &c->runs->of[n];
    if (!*at) {
        *at = runs_kept_of(&c->runs->kept, policies_number_name(c->policies, n));
        (*at)->held = true;
    }
    return *at;
}

/* A number went to another name: what is of the old one is kept under that, and makes room when it has to. */
static void let_go(struct cache *c, unsigned n)
{
    struct run **at = &c->runs->of[n];
    if (*at && strcmp((*at)->name, policies_number_name(c->policies, n)) != 0) {
        (*at)->held = false;
        *at = NULL;
    }
}

static void keep(const struct cache *c, const struct run *run)
{
    runs_kept_save(&c->runs->kept, run);
}

static void add_to(struct run_sums *s, const struct warming_figures *f)
{
    s->runs++;
    s->keys += f->done;
    s->loaded += f->loaded;
    s->brought += f->brought;
    s->here += f->here;
    s->missing += f->missing;
    s->failed += f->failed;
    s->took_ns += f->elapsed_ns;
}

static void add_up(struct run *r)
{
    add_to(today(r), &r->look.last);
    add_to(&r->look.total, &r->look.last);
}

/* ======= is it any good ======= */

static bool wants(const struct cache *c, const struct policy *p, enum key_source_kind kind)
{
    const struct key_source *sources;
    unsigned count = policies_sources(c->policies, p, &sources);
    for (unsigned i = 0; i < count; i++)
        if (sources[i].kind == kind)
            return true;
    return false;
}

/* NULL: it can begin, or go on. */
static const char *unfit(const struct cache *c, const struct policy *p)
{
    if (!c->setup.options->cache)
        return "the cache is switched off";
    if (c->fleet && cache_mode(c) != WIRE_FRESH)
        return "Redis does not answer";
    bool loads = cache_loads_of(c, p);
    if (wants(c, p, KEYS_OF_LOADER) && !cache_lists_of(c, p))
        return "no loader is registered that names its keys";
    if (!loads && cache_l1_full(c))
        return "shared memory is full";
    return NULL;
}

/* ======= a run ======= */

static struct policy const *policy_numbered(const struct cache *c, unsigned n)
{
    const struct policy *p = policies_at(c->policies, n);
    return p->number == n ? p : NULL;
}

/* The shortest fresh life that the policy gives: jitter and the bounds of tiers only take from it. */
static uint64_t least_life_ns(const struct policy *p)
{
    uint64_t ttl_ns = p->ttl_ns < p->max_ttl_ns ? p->ttl_ns : p->max_ttl_ns;
    uint64_t least_ns = ttl_ns - ttl_ns / 1000 * p->jitter;
    least_ns = least_ns < p->l1_ttl_ns ? least_ns : p->l1_ttl_ns;
    return least_ns < p->l2_ttl_ns ? least_ns : p->l2_ttl_ns;
}

/* Half an interval: what another host of the fleet loaded in its run is young enough for ours. */
static uint64_t refresh_ns(const struct policy *p)
{
    uint64_t half_ns = p->schedule.every_ns / 2, life_ns = least_life_ns(p);
    return half_ns && life_ns > half_ns ? life_ns - half_ns : 0;
}

static const char *begin(struct cache *c, const struct policy *p)
{
    struct warming *w = warming_begin_own(c);
    warming_load(w, p->warming_at_a_time);
    warming_refresh(w, refresh_ns(p), p->number);
    const char *why = warming_policy(w, p);
    if (why) {
        warming_end(w);
        return why;
    }
    warming_close(w);
    struct run *run = run_of(c, p->number);
    struct asked now = asked_for(c, p->number);
    run->look.ratio_before = ratio(run->since, now);
    run->look.waits_for = NULL;
    run->look.has_last = true;
    run->look.last_wall_ns = clock_wall_ns();
    c->runs->warming = w;
    c->runs->checked = 0;
    return NULL;
}

static void put_off(struct cache *c, unsigned n, const char *why)
{
    struct run *run = run_of(c, n);
    if (!run->look.waits_for) {
        today(run)->put_off++;
        run->look.total.put_off++;
        keep(c, run);
    }
    run->look.waits_for = why;
    schedule_postpone(&c->runs->plan, clock_after(cache_now(c), TRY_AGAIN_NS));
}

static void try_begin(struct cache *c, unsigned n)
{
    const struct policy *p = policy_numbered(c, n);
    c->runs->by_hand = false;
    const char *why = p ? unfit(c, p) : "there is no such policy any more";
    why = why ? why : begin(c, p);
    if (why)
        put_off(c, n, why);
}

static void end(struct cache *c)
{
    struct runs *r = c->runs;
    unsigned n = r->plan.running;
    struct run *run = run_of(c, n);
    warming_measure(r->warming, &run->look.last);
    add_up(run);
    run->since = asked_for(c, n);
    keep(c, run);
    const struct warming_figures *f = &run->look.last;
    const char *name = policies_number_name(c->policies, n);
    log_info("warmed", L_TEXT("policy", name ? name : ""), L_TEXT("namespace", cache_namespace(c)),
             L_U64("loaded", f->loaded), L_U64("brought", f->brought), L_U64("here", f->here),
             L_U64("missing", f->missing), L_U64("failed", f->failed), L_U64("ms", f->elapsed_ns / NS_PER_MS),
             L_TEXT("why", f->why ? f->why : ""));
    r->warming = warming_end(r->warming);
    schedule_over(&r->plan);
}

/* After each batch: is it still any good? */
static void look_again(struct cache *c, const struct warming_figures *f)
{
    struct runs *r = c->runs;
    const struct policy *p = policy_numbered(c, r->plan.running);
    uint64_t batch = p ? p->warming_batch : 1;
    if (f->done < r->checked + batch)
        return;
    r->checked = f->done;
    const char *why = p ? unfit(c, p) : "there is no such policy any more";
    if (why)
        warming_fail(r->warming, why);
}

static void watch(struct cache *c)
{
    struct warming_figures f;
    warming_measure(c->runs->warming, &f);
    if (f.state == WARMING_RUNS)
        look_again(c, &f);
    else
        end(c);
}

static void note_skipped(struct cache *c)
{
    unsigned n = c->runs->plan.running;
    struct run *run = n ? run_of(c, n) : NULL;
    uint64_t skipped = n ? c->runs->plan.of[n].skipped : 0;
    if (!run || skipped == run->skipped_seen)
        return;
    today(run)->skipped += skipped - run->skipped_seen;
    run->look.total.skipped += skipped - run->skipped_seen;
    run->skipped_seen = skipped;
    keep(c, run);
}

void runs_tick(struct cache *c)
{
    struct runs *r = c->runs;
    if (r->warming)
        watch(c);
    if (!c->setup.options->warming && !r->warming)
        return;
    unsigned n = schedule_turn(&r->plan, cache_now(c), (uint32_t)cache_random(c));
    note_skipped(c);
    if (n)
        try_begin(c, n);
}

/* ======= plans ======= */

void runs_plan(struct cache *c)
{
    for (unsigned n = 1; n < POLICY_NUMBERS; n++)
        let_go(c, n);
    for (unsigned n = 1; n < POLICY_NUMBERS; n++) {
        const struct policy *p = policy_numbered(c, n);
        bool planned = p && p->warms && (p->schedule.every_ns || p->schedule.on_start);
        if (p && p->warms)
            run_of(c, n);
        schedule_plan(&c->runs->plan, n, planned ? &p->schedule : NULL, cache_now(c),
                      (uint32_t)cache_random(c));
    }
}

void runs_stop(struct cache *c)
{
    schedule_stop(&c->runs->plan);
    if (!c->runs->warming)
        return;
    warming_cancel(c->runs->warming);
    end(c);
}

/* ======= by hand ======= */

static const struct policy *policy_named(const struct cache *c, struct slice name)
{
    for (unsigned i = 1; i < policies_count(c->policies); i++)
        if (slice_equal(slice_text(policies_nth(c->policies, i)->name), name))
            return policies_nth(c->policies, i);
    return NULL;
}

const char *run_begin(struct cache *c, struct slice name, unsigned *ret_number)
{
    struct runs *r = c->runs;
    const struct policy *p = policy_named(c, name);
    if (!p)
        return "there is no such policy in this namespace";
    if (!p->warms)
        return "the policy does not say what to warm: [policy NAME] warming = …";
    const char *why = unfit(c, p);
    if (why)
        return why;
    if (!schedule_begin(&r->plan, p->number, cache_now(c), (uint32_t)cache_random(c)))
        return r->plan.stopped                ? "the daemon is stopping"
               : r->plan.running == p->number ? "its last run is still going"
                                              : "the run of another policy is going on";
    why = begin(c, p);
    if (why)
        schedule_over(&r->plan);
    r->by_hand = true;
    *ret_number = p->number;
    return why;
}

void run_cancel(struct cache *c, unsigned number)
{
    if (c->runs->warming && c->runs->plan.running == number)
        warming_cancel(c->runs->warming);
}

bool run_look(const struct cache *c, unsigned n, struct run_look *ret)
{
    const struct runs *r = c->runs;
    const struct policy *p = policy_numbered(c, n);
    if (!r->of[n] && !(p && p->warms))
        return false;
    *ret = (struct run_look){.ratio_before = -1, .ratio_after = -1};
    if (r->of[n]) {
        *ret = r->of[n]->look;
        run_tell_days(r->of[n], clock_wall_ns(), ret->days);
        ret->ratio_after = ret->has_last ? ratio(r->of[n]->since, asked_for(c, n)) : -1;
    }
    ret->is_running = r->warming && r->plan.running == n;
    ret->by_hand = ret->is_running && r->by_hand;
    ret->left_ns = schedule_left_ns(&r->plan, n, cache_now(c));
    if (ret->is_running)
        warming_measure(r->warming, &ret->last);
    return true;
}
