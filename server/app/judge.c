#include "app/judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "app/advice.h"
#include "app/documents.h"
#include "app/policy_documents.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

/* ---- the machine --------------------------------------------------------------------------------------- */

uint64_t resident_bytes(void)
{
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file && fscanf(file, "%*u %llu", &pages) != 1)
        pages = 0;
    if (file)
        fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t number_in(const char *path)
{
    unsigned long long number = 0;
    FILE *file = fopen(path, "re");
    if (file && fscanf(file, "%llu", &number) != 1) /* "max" */
        number = 0;
    if (file)
        fclose(file);
    return number;
}

/* Of our control group, or of the machine. */
static uint64_t find_memory_max(void)
{
    char line[512], path[600];
    uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE), own = 0;
    FILE *file = fopen("/proc/self/cgroup", "re");
    while (file && fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "0::", 3) != 0)
            continue;
        snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.max", line + 3);
        own = number_in(path);
    }
    if (file)
        fclose(file);
    return own && own < machine ? own : machine;
}

/* ---- figures ------------------------------------------------------------------------------------------- */

static struct readings *read_all(const struct documents *d)
{
    struct readings *all = must_alloc((d->spaces_count + 1) * sizeof(*all));
    for (unsigned i = 0; i < d->spaces_count; i++)
        readings_take(&d->spaces[i], &all[i]);
    return all;
}

static struct history_space space_of(const struct readings *r)
{
    return (struct history_space){.hits = readings_hits(r),
                                  .misses = r->cache.misses,
                                  .expired = r->cache.misses_expired,
                                  .invalidated = r->cache.misses_invalidated,
                                  .cold = r->cache.misses_cold,
                                  .missed_evicted = r->cache.misses_evicted,
                                  .evicted = r->l1.l1_evictions + r->l1.l1_displaced,
                                  .warm_evicted = r->warm.warm_evictions,
                                  .puts_dropped = r->warm.warm_puts_dropped};
}

static void add_space(struct history_sample *s, const struct readings *r)
{
    s->near += r->l1.l1_hits_shared;
    s->l1 += r->cache.hits_l1;
    s->warm += r->cache.hits_warm;
    s->l2 += r->cache.hits_l2;
    s->misses += r->cache.misses;
    s->sets += r->cache.sets;
    s->invalidations += r->cache.invalidations;
    s->evictions += r->l1.l1_evictions + r->l1.l1_displaced;
    s->l1_bytes += r->l1.l1_item_bytes;
    s->warm_bytes += r->warm.warm_bytes_used;
    s->redis_bytes = r->redis.memory_used > s->redis_bytes ? r->redis.memory_used : s->redis_bytes;
    s->lag_us = r->redis.lag_ns / NS_PER_US > s->lag_us ? r->redis.lag_ns / NS_PER_US : s->lag_us;
    s->state = r->mode > s->state ? r->mode : s->state;
}

static struct history_sample sample_of(const struct documents *d, const struct readings *all)
{
    struct history_sample s = {.at_ns = loop_now_ns(d->loop), .wall_s = clock_wall_ns() / NS_PER_S};
    struct session_figures sessions = {0};
    struct session_times times = {0};
    struct loop_turns turns;
    loop_turns(d->loop, &turns);
    if (d->sessions) {
        sessions_measure(d->sessions, &sessions);
        sessions_times(d->sessions, CLASS_GET, &times);
    }
    for (unsigned i = 0; i < d->spaces_count; i++)
        add_space(&s, &all[i]);
    s.errors = sessions.requests_bad + sessions.requests_timed_out;
    s.gets_measured = times.count;
    s.gets_ns = times.sum_ns;
    s.refused = sessions.connections_refused;
    s.log_dropped = log_dropped();
    s.off_cpu_ns = turns.off_cpu_ns;
    s.clients = sessions.client_connections;
    s.resident_bytes = resident_bytes();
    return s;
}

void judge_remember(struct judge *j, const struct documents *d)
{
    struct readings *all = read_all(d);
    struct history_space *spaces = must_alloc((d->spaces_count + 1) * sizeof(*spaces));
    struct history_sample sample = sample_of(d, all);
    for (unsigned i = 0; i < d->spaces_count; i++)
        spaces[i] = space_of(&all[i]);
    history_add(j->history, &sample, spaces);
    free(spaces);
    free(all);
}

/* ---- facts --------------------------------------------------------------------------------------------- */

static uint64_t since(uint64_t now, uint64_t before)
{
    return now > before ? now - before : 0;
}

static struct health_space space_facts(const struct space *s, const struct readings *r,
                                       const struct history_space *before)
{
    struct history_space now = space_of(r);
    return (struct health_space){.name = s->config->name,
                                 .wants_l1 = s->config->l1.l1,
                                 .has_l1 = s->l1,
                                 .wants_warm = s->config->warm.warm,
                                 .has_warm = s->warm,
                                 .l1_trouble = s->l1_trouble,
                                 .warm_trouble = s->warm ? warm_trouble(s->warm) : s->warm_trouble,
                                 .page_trouble = s->page_trouble,
                                 .tier_trouble = r->l1_tier.trouble,
                                 .bad_records = r->warm.warm_bad_records,
                                 .hits = since(now.hits, before->hits),
                                 .misses = since(now.misses, before->misses),
                                 .expired = since(now.expired, before->expired),
                                 .invalidated = since(now.invalidated, before->invalidated),
                                 .cold = since(now.cold, before->cold),
                                 .missed_evicted = since(now.missed_evicted, before->missed_evicted),
                                 .evicted = since(now.evicted, before->evicted),
                                 .l1_entries = r->l1.l1_entries,
                                 .l1_bytes = r->l1.l1_total_bytes,
                                 .warm_evicted = since(now.warm_evicted, before->warm_evicted),
                                 .puts_dropped = since(now.puts_dropped, before->puts_dropped),
                                 .warm_bytes_max = r->warm.warm_bytes_max};
}

/* All namespaces share one Redis; the one whose session is worst off speaks. */
static struct health_redis redis_facts(const struct documents *d, const struct readings *all)
{
    struct health_redis f = {.configured = config_names_redis(d->config)};
    bool any = false;
    for (unsigned i = 0; i < d->spaces_count; i++) {
        const struct l2_health *h = &all[i].redis;
        bool worse = h->linked < f.linked || (h->linked == f.linked && h->lag_ns > f.lag_ns);
        if (!d->spaces[i].l2 || (any && !worse))
            continue;
        any = true;
        f.linked = h->linked;
        f.trouble = h->trouble;
        f.lag_ns = h->lag_ns;
        f.memory_used = h->memory_used;
        f.memory_max = h->memory_max;
    }
    if (d->judge && d->judge->away_since_ns)
        f.away_ns = since(loop_now_ns(d->loop), d->judge->away_since_ns);
    return f;
}

static void find_policy(void *user, const char *scope, const char *issue)
{
    health_add(user, HEALTH_POLICY, 5, scope,
               "see larder stats for its misses: entries that live too short, or are too many for L1", "%s",
               issue);
}

static void judge_with(const struct documents *d, const struct readings *all,
                       const struct history_sample *before, const struct history_space *spaces_before,
                       struct health *ret)
{
    struct history_sample now = sample_of(d, all);
    struct session_figures sessions = {0};
    struct health_space *spaces = must_alloc((d->spaces_count + 1) * sizeof(*spaces));
    if (d->sessions)
        sessions_measure(d->sessions, &sessions);
    for (unsigned i = 0; i < d->spaces_count; i++) {
        spaces[i] = space_facts(&d->spaces[i], &all[i], &spaces_before[i]);
        advice_of_more(&d->spaces[i], spaces[i].l1_more, sizeof(spaces[i].l1_more));
    }
    struct health_facts facts = {.spaces = spaces,
                                 .spaces_count = d->spaces_count,
                                 .redis = redis_facts(d, all),
                                 .window_ns = now.at_ns - (before->at_ns ? before->at_ns : d->started_ns),
                                 .gets_measured = since(now.gets_measured, before->gets_measured),
                                 .gets_ns = since(now.gets_ns, before->gets_ns),
                                 .memory_used = now.resident_bytes,
                                 .memory_max = d->judge ? d->judge->memory_max : 0,
                                 .client_bytes = sessions.client_bytes,
                                 .client_bytes_max = d->config->net.client_memory,
                                 .refused = since(now.refused, before->refused),
                                 .log_dropped = since(now.log_dropped, before->log_dropped),
                                 .off_cpu_ns = since(now.off_cpu_ns, before->off_cpu_ns)};
    health_judge(ret, &facts, &d->config->health);
    free(spaces);
}

void judge_now(const struct documents *d, struct health *ret)
{
    struct history *none = d->judge ? NULL : history_create(d->spaces_count);
    const struct history *history = d->judge ? d->judge->history : none;
    const struct history_space *spaces_before;
    struct history_sample before;
    struct readings *all = read_all(d);
    history_before(history, loop_now_ns(d->loop), d->config->health.health_window, &before, &spaces_before);
    health_begin(ret);
    judge_with(d, all, &before, spaces_before, ret);
    for (unsigned i = 0; i < d->spaces_count; i++)
        each_disappointment(&d->spaces[i], find_policy, ret);
    health_end(ret, &d->config->health);
    history_destroy(none);
    free(all);
}

/* ---- over time ----------------------------------------------------------------------------------------- */

void judge_notice(struct judge *j, const struct documents *d, uint64_t now_ns)
{
    struct readings *all = read_all(d);
    struct health_redis redis = redis_facts(d, all);
    bool away = redis.configured && !redis.linked;
    if (!away)
        j->away_since_ns = 0;
    else if (!j->away_since_ns)
        j->away_since_ns = now_ns;
    free(all);
}

void judge_open(struct judge *j, const struct documents *d)
{
    *j = (struct judge){.history = history_create(d->spaces_count), .memory_max = find_memory_max()};
}

void judge_close(struct judge *j)
{
    j->history = history_destroy(j->history);
}
