#include "admin/health.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/check.h"
#include "base/clock.h"

enum { OVERBOOKED_SHARE = 50 };             /* thousandths: less is what neighbours cost anybody */
#define OVERBOOKED_NEEDS_NS (60 * NS_PER_S) /* a start has company and is no news */

const char *health_condition_word(enum health_condition condition)
{
    static const char *const words[] = {
#define CONDITION(NAME, word) [HEALTH_##NAME] = word,
        HEALTH_CONDITIONS(CONDITION)
#undef CONDITION
    };
    return words[condition];
}

const char *health_severity_word(enum health_severity severity)
{
    static const char *const words[] = {"hint", "warning", "critical"};
    return words[severity];
}

static enum health_severity severity_of(int weight)
{
    return weight >= 2 * HEALTH_DEGRADES   ? HEALTH_CRITICAL
           : weight >= HEALTH_DEGRADES / 2 ? HEALTH_WARNING
                                           : HEALTH_HINT;
}

void health_add(struct health *h, enum health_condition condition, int weight, const char *scope,
                const char *recommendation, const char *issue, ...)
{
    va_list arguments;
    h->score = h->score > weight ? h->score - weight : 0;
    h->degraded |= weight >= HEALTH_DEGRADES;
    if (h->count == HEALTH_FINDINGS_MAX)
        return;
    struct health_finding *f = &h->findings[h->count++];
    *f = (struct health_finding){.condition = condition, .severity = severity_of(weight), .weight = weight};
    snprintf(f->scope, sizeof(f->scope), "%s", scope ? scope : "");
    snprintf(f->recommendation, sizeof(f->recommendation), "%s", recommendation ? recommendation : "");
    int used = scope ? snprintf(f->issue, sizeof(f->issue), "%.63s: ", scope) : 0;
    va_start(arguments, issue);
    vsnprintf(f->issue + used, sizeof(f->issue) - (size_t)used, issue, arguments);
    va_end(arguments);
}

/* ---- numbers for people -------------------------------------------------------------------------------- */

static double percent(uint64_t part, uint64_t whole)
{
    return whole ? 100.0 * (double)part / (double)whole : 0;
}

static bool over(uint64_t part, uint64_t whole, uint64_t thousandths)
{
    return whole > 0 && (double)part * 1000 > (double)whole * (double)thousandths;
}

/* "5 minutes", "42 seconds"; a struct, so that its text lives until the call it is an argument of has returned. */
struct span {
    char text[32];
};

static struct span span_of(uint64_t ns)
{
    struct span span;
    uint64_t seconds = ns / NS_PER_S;
    bool whole_minutes = seconds >= 120;
    snprintf(span.text, sizeof(span.text), "%llu %s",
             (unsigned long long)(whole_minutes ? seconds / 60 : seconds),
             whole_minutes ? "minutes" : "seconds");
    return span;
}

static double mib(uint64_t bytes)
{
    return (double)bytes / (1 << 20);
}

/* ---- a namespace --------------------------------------------------------------------------------------- */

static void judge_tiers(struct health *h, const struct health_space *s)
{
    if (s->wants_warm && s->warm_trouble)
        health_add(h, HEALTH_NO_WARM, 30, s->name,
                   "look at the space and the permissions of the state directory; the log names it", "%s",
                   s->warm_trouble);
    if (s->wants_l1 && !s->has_l1)
        health_add(h, HEALTH_NO_L1, 40, s->name,
                   "give the daemon the memory l1_bytes asks for, or ask for less", "%s",
                   s->l1_trouble ? s->l1_trouble : "no L1");
    if (s->tier_trouble)
        health_add(h, HEALTH_L1_TROUBLE, 10, s->name, NULL, "%s", s->tier_trouble);
    if (s->wants_warm && s->page_trouble)
        health_add(h, HEALTH_PAGE, 10, s->name,
                   "set runtime to a directory on tmpfs with 9 MiB free for each namespace", "%s",
                   s->page_trouble);
    if (s->bad_records)
        health_add(h, HEALTH_BAD_RECORDS, 5, s->name, "check the disk under the state directory",
                   "%llu records of the warm tier were damaged and dropped",
                   (unsigned long long)s->bad_records);
    h->failing |= s->wants_l1 && !s->has_l1 && !s->has_warm;
}

struct reason {
    uint64_t misses;
    const char *word, *advice;
};
enum { REASONS = 5 };

static int commonest_first(const void *a, const void *b)
{
    const struct reason *x = a, *y = b;
    return (x->misses < y->misses) - (x->misses > y->misses);
}

/* Why gets missed, the commonest reason first; it says what would help. */
static void find_reasons(const struct health_space *s, struct reason ret[REASONS])
{
    uint64_t known = s->cold + s->expired + s->invalidated + s->missed_evicted;
    const struct reason all[REASONS] = {
        {s->expired, "expired", "most of those entries had ended: a longer ttl, or stale, would keep them"},
        {s->invalidated, "invalidated",
         "most of those entries had been invalidated: narrower tags or prefixes would leave more alive"},
        {s->missed_evicted, "evicted",
         "L1 evicts: raise l1_bytes, or warm_bytes when the warm tier is full as well"},
        {s->cold, "never stored before",
         "most keys were asked for the first time: see whether they are set after a miss (larder monitor), "
         "and "
         "warm what is known to be asked for"},
        {s->misses > known ? s->misses - known : 0, "for other reasons",
         "larder stats names the other reasons: policies.NAME.misses_..."}};
    memcpy(ret, all, sizeof(all));
    qsort(ret, REASONS, sizeof(*ret), commonest_first);
}

/* "90 % expired, 10 % evicted": of those that there are. */
static void tell_reasons(const struct health_space *s, const struct reason of[REASONS], char *to, size_t room)
{
    size_t used = 0;
    for (unsigned n = 0; n < REASONS && of[n].misses && used < room; n++)
        used += (size_t)snprintf(to + used, room - used, "%s%.0f %% %s", n ? ", " : "",
                                 percent(of[n].misses, s->misses), of[n].word);
}

static void judge_hits(struct health *h, const struct health_space *s, const struct health_facts *facts,
                       const struct health_options *o)
{
    uint64_t asked = s->hits + s->misses;
    bool critical = s->hits * 1000 < asked * o->critical_hit_ratio;
    struct reason reasons[REASONS];
    char told[HEALTH_TEXT] = "";
    if (asked < o->hit_ratio_needs || s->hits * 1000 >= asked * o->min_hit_ratio)
        return;
    find_reasons(s, reasons);
    tell_reasons(s, reasons, told, sizeof(told));
    health_add(h, HEALTH_HIT_RATIO, critical ? 20 : 8, s->name, reasons[0].advice,
               "hit ratio %.1f %% over the last %s (%s below %.0f %%); why %llu gets missed: %s",
               percent(s->hits, asked), span_of(facts->window_ns).text, critical ? "critical" : "an issue",
               (double)(critical ? o->critical_hit_ratio : o->min_hit_ratio) / 10,
               (unsigned long long)s->misses, told);
}

static void judge_room(struct health *h, const struct health_space *s, const struct health_facts *facts,
                       const struct health_options *o)
{
    char advice[HEALTH_TEXT];
    if (over(s->evicted, s->l1_entries, o->max_turnover)) {
        snprintf(advice, sizeof(advice),
                 "if the hit ratio matters, raise l1_bytes of [namespace %s] over %.0f MiB%s%s", s->name,
                 mib(s->l1_bytes), *s->l1_more ? "; larder advise: " : "", s->l1_more);
        health_add(h, HEALTH_TURNOVER, 3, s->name, advice,
                   "L1 evicted %llu entries in %s, %.0f %% of the %llu it holds",
                   (unsigned long long)s->evicted, span_of(facts->window_ns).text,
                   percent(s->evicted, s->l1_entries), (unsigned long long)s->l1_entries);
    }
    if (s->warm_evicted) {
        snprintf(advice, sizeof(advice), "raise warm_bytes of [namespace %s] over %.0f MiB", s->name,
                 mib(s->warm_bytes_max));
        health_add(h, HEALTH_WARM_FULL, 3, s->name, advice,
                   "the warm tier is full and evicted %llu entries in %s",
                   (unsigned long long)s->warm_evicted, span_of(facts->window_ns).text);
    }
    if (s->puts_dropped)
        health_add(h, HEALTH_WARM_QUEUE, 5, s->name, "a faster disk, or a larger warm_queue_bytes for bursts",
                   "%llu entries did not reach the warm tier in %s: its disk does not keep up",
                   (unsigned long long)s->puts_dropped, span_of(facts->window_ns).text);
}

/* ---- the daemon ---------------------------------------------------------------------------------------- */

static void judge_redis(struct health *h, const struct health_redis *r, const struct health_options *o)
{
    if (!r->configured)
        return;
    if (!r->linked) {
        health_add(h, HEALTH_REDIS_LOST, 30, NULL,
                   "entries are answered from this host until detached_max has passed; see that Redis can be "
                   "reached "
                   "(larder doctor names the step that fails)",
                   "%s (for %.0f s)", r->trouble ? r->trouble : "Redis is not connected",
                   (double)r->away_ns / NS_PER_S);
        return;
    }
    if (r->trouble)
        health_add(h, HEALTH_REDIS_TROUBLE, 10, NULL, NULL, "%s", r->trouble);
    if (r->lag_ns > o->max_lag)
        health_add(h, HEALTH_LAG, 10, NULL, "look at the load of Redis and the network to it",
                   "news of other hosts are %.0f ms late, over %.0f ms", (double)r->lag_ns / NS_PER_MS,
                   (double)o->max_lag / NS_PER_MS);
    if (over(r->memory_used, r->memory_max, o->max_memory))
        health_add(h, HEALTH_REDIS_MEMORY, 5, NULL, "give Redis more maxmemory, or entries a shorter l2_ttl",
                   "Redis uses %.0f MiB of %.0f MiB, over %.0f %%", mib(r->memory_used), mib(r->memory_max),
                   (double)o->max_memory / 10);
}

static void judge_load(struct health *h, const struct health_facts *f, const struct health_options *o)
{
    uint64_t mean_ns = f->gets_measured ? f->gets_ns / f->gets_measured : 0;
    if (mean_ns > o->max_latency)
        health_add(h, HEALTH_LATENCY, 15, NULL,
                   "see times and redis in larder stats: a slow Redis or disk is what gets wait for",
                   "a get takes %.1f ms on average over the last %s, over %.1f ms",
                   (double)mean_ns / NS_PER_MS, span_of(f->window_ns).text,
                   (double)o->max_latency / NS_PER_MS);
    if (over(f->memory_used, f->memory_max, o->max_memory))
        health_add(h, HEALTH_MEMORY, 15, NULL,
                   "lower l1_bytes or client_memory, or give the daemon more memory",
                   "the daemon uses %.0f MiB of the %.0f MiB it may, over %.0f %%", mib(f->memory_used),
                   mib(f->memory_max), (double)o->max_memory / 10);
    if (over(f->client_bytes, f->client_bytes_max, o->max_memory))
        health_add(h, HEALTH_CLIENT_MEMORY, 10, NULL,
                   "raise client_memory, or find the client that does not read its replies",
                   "clients pin %.0f MiB of client_memory's %.0f MiB, over %.0f %%", mib(f->client_bytes),
                   mib(f->client_bytes_max), (double)o->max_memory / 10);
    if (f->refused)
        health_add(h, HEALTH_REFUSED, 5, NULL, "raise connections, client_memory or the limit on open files",
                   "%llu clients were refused for want of room in %s", (unsigned long long)f->refused,
                   span_of(f->window_ns).text);
    if (f->log_dropped)
        health_add(h, HEALTH_LOG, 1, NULL, NULL, "%llu log lines were dropped: nobody reads them fast enough",
                   (unsigned long long)f->log_dropped);
    if (f->window_ns >= OVERBOOKED_NEEDS_NS && over(f->off_cpu_ns, f->window_ns, OVERBOOKED_SHARE))
        health_add(
            h, HEALTH_OVERBOOKED, 2, NULL,
            "give it processors, or CPUWeight= in its unit; its quota, if it has one, may be too small",
            "in the middle of its work the daemon had no processor for %.0f %% of the last %s",
            percent(f->off_cpu_ns, f->window_ns), span_of(f->window_ns).text);
}

void health_begin(struct health *h)
{
    h->score = 100;
    h->degraded = h->failing = false;
    h->count = 0;
}

void health_judge(struct health *h, const struct health_facts *facts, const struct health_options *options)
{
    for (unsigned i = 0; i < facts->spaces_count; i++) {
        judge_tiers(h, &facts->spaces[i]);
        judge_hits(h, &facts->spaces[i], facts, options);
        judge_room(h, &facts->spaces[i], facts, options);
    }
    judge_redis(h, &facts->redis, options);
    judge_load(h, facts, options);
}

void health_end(struct health *h, const struct health_options *options)
{
    int score = h->score;
    bool degraded = h->degraded;
    if (score >= (int)options->min_score)
        return;
    health_add(h, HEALTH_SCORE, 0, NULL, NULL, "the score is %d, below %llu", score,
               (unsigned long long)options->min_score);
    h->degraded = degraded;
    if (h->count > 0 && h->findings[h->count - 1].condition == HEALTH_SCORE)
        h->findings[h->count - 1].severity = HEALTH_CRITICAL;
}
