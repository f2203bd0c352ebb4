#include "app/advice.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include "app/put.h"
#include "app/units.h"
#include "base/clock.h"
#include "l1/curve.h"
#include "l1/l1.h"

enum {
    MISSES_NEEDED = 100, /* of a policy, for a reason, before that reason is worth a line */
    RETURNS_NEEDED = 20, /* of watched values that came back */
    GETS_NEEDED = 1000,  /* keys asked for before a hit ratio says anything: then chance is ± 3 % at most */
    L1_GRAIN = 1 << 20,  /* sizes are told in whole MiB */
    ENTRY_OVERHEAD = 42, /* header and slot */
    INDEX_TIMES = 2,     /* larger than the index was made for: below, there is little to win */
};
static const double REASON_SHARE = 0.2;   /* of its misses: less is not worth a line */
static const double SAME_SHARE = 0.5;     /* of the values that came back */
static const double POOR_RATIO = 0.1;     /* of hits: below, a policy is not worth keeping */
static const double WORTH_POINTS = 0.01;  /* fewer misses, of all gets, for half more memory */
static const double INDEX_SHARE = 0.02;   /* of the segment, that a smaller index would free */
static const double CHEAP_POINTS = 0.005; /* more misses for half of it */

static json_t *advice(const struct space *s, const char *kind, const char *scope, const char *line,
                      const char *figure, ...) __attribute__((format(printf, 5, 6)));

static json_t *advice(const struct space *s, const char *kind, const char *scope, const char *line,
                      const char *figure, ...)
{
    char text[256];
    json_t *o = json_object();
    va_list arguments;
    va_start(arguments, figure);
    vsnprintf(text, sizeof(text), figure, arguments);
    va_end(arguments);
    put_text(o, "namespace", s->config->name);
    put_text(o, "kind", kind);
    put_text(o, "scope", scope);
    put_text(o, "figure", text);
    put_text(o, "line", line);
    return o;
}

/* ---- memory ---------------------------------------------------------------------------------------------- */

struct size {
    double times;
    const char *word;
};
static const struct size sizes[] = {
    {0.5, "half of its memory"}, {0.75, "a quarter less"}, {1.25, "a quarter more"}, {1.5, "half more"}};

static double ratio_of(double part, double whole)
{
    return whole > 0 ? part / whole : 0;
}

static void print_line(const struct space *s, double times, char *ret, size_t room)
{
    char text[UNIT_TEXT];
    uint64_t bytes = (uint64_t)((double)s->config->l1.l1_bytes * times) / L1_GRAIN * L1_GRAIN;
    if (l1_limited_by_entries(s->l1))
        snprintf(ret, room, "[namespace %s] l1_entries = %.0f", s->config->name,
                 (double)s->config->l1.l1_entries * times);
    else
        snprintf(ret, room, "[namespace %s] l1_bytes = %s", s->config->name,
                 print_size(bytes ? bytes : L1_GRAIN, text));
}

/* Is it worth changing?  Only where the difference is larger than what is not known of it. */
static bool worth_it(double times, double more_misses, double error)
{
    return times > 1 ? -more_misses >= WORTH_POINTS && -more_misses > error
                     : more_misses + error < CHEAP_POINTS;
}

/* Of what rounds to none, no "-0". */
static double whole(double number)
{
    return fabs(number) < 0.5 ? 0 : number;
}

static json_t *advice_of_size(const struct space *s, const struct curve *c, const struct curve_summary *sum,
                              const struct size *size)
{
    struct curve_point p = curve_predict(c, size->times);
    double now = ratio_of(sum->misses, sum->uses), more = p.misses - now;
    char line[160];
    print_line(s, size->times, line, sizeof(line));
    json_t *o = advice(s, "memory", s->config->name, worth_it(size->times, more, p.error) ? line : NULL,
                       "with %s L1 would miss %.1f %% ± %.1f of what is asked for, now %.1f %%: %+.0f hits/s",
                       size->word, 100 * p.misses, 100 * p.error, 100 * now, whole(-more * sum->uses_per_s));
    json_object_set_new(o, "times", json_real(size->times));
    json_object_set_new(o, "l1_miss_ratio", json_real(p.misses));
    json_object_set_new(o, "error", json_real(p.error));
    json_object_set_new(o, "l1_miss_ratio_now", json_real(now));
    json_object_set_new(o, "hits_per_s_more", json_real(-more * sum->uses_per_s));
    return o;
}

static void put_seen(json_t *o, const struct curve_summary *sum)
{
    json_object_set_new(o, "uses", json_real(sum->uses));
    json_object_set_new(o, "seen", json_real(sum->seen));
    put_number(o, "keys_watched", sum->keys);
}

static json_t *little_seen(const struct space *s, const struct curve_summary *sum)
{
    json_t *o =
        advice(s, "little_seen", s->config->name, NULL,
               "too little was seen to say anything of memory: %.0f uses, %.0f of them of watched keys",
               sum->uses, sum->seen);
    put_seen(o, sum);
    return o;
}

/* Misses that no memory helps, of all uses. */
static json_t *what_does_not_help(const struct space *s, const struct curve_summary *sum)
{
    double expired = ratio_of(sum->expired, sum->uses), invalidated = ratio_of(sum->invalidated, sum->uses),
           far = ratio_of(sum->far, sum->uses);
    json_t *o = advice(s, "no_memory_helps", s->config->name, NULL,
                       "of what is asked for, %.1f %% had expired, %.1f %% had been invalidated, %.1f %% is "
                       "new or was not used "
                       "for long: no memory helps",
                       100 * expired, 100 * invalidated, 100 * far);
    json_object_set_new(o, "expired", json_real(expired));
    json_object_set_new(o, "invalidated", json_real(invalidated));
    json_object_set_new(o, "new", json_real(far));
    put_seen(o, sum);
    return o;
}

static void advise_on_memory(json_t *array, const struct space *s, const struct curve *c)
{
    struct curve_summary sum;
    curve_summarize(c, &sum);
    if (!sum.enough) {
        json_array_append_new(array, little_seen(s, &sum));
        return;
    }
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        json_array_append_new(array, advice_of_size(s, c, &sum, &sizes[i]));
    json_array_append_new(array, what_does_not_help(s, &sum));
}

/* ---- the index -------------------------------------------------------------------------------------------- */

/* How much of the index would be left. */
static double index_left(double made_for, double entry_bytes)
{
    return (made_for + ENTRY_OVERHEAD) / (entry_bytes + ENTRY_OVERHEAD);
}

/* It finds its size by itself, unless it was told one. */
static void advise_on_index(json_t *array, const struct space *s)
{
    struct l1_figures f;
    char line[160], said[UNIT_TEXT], room[UNIT_TEXT];
    l1_measure(s->l1, &f);
    uint64_t made_for = f.l1_made_for, entry = l1_usual_entry(s->l1);
    if (!s->config->l1.l1_entry_bytes || entry == 0 || l1_limited_by_entries(s->l1))
        return;
    double index = (double)(f.l1_total_bytes - f.l1_segment_bytes) - SHM_CELLS * sizeof(au64);
    double gain = index * (1 - index_left((double)made_for, (double)entry));
    if (entry < INDEX_TIMES * made_for || gain < INDEX_SHARE * (double)f.l1_total_bytes)
        return;
    snprintf(line, sizeof(line), "[namespace %s] l1_entry_bytes = 0", s->config->name);
    json_t *o = advice(
        s, "index", s->config->name, line,
        "entries have %llu bytes on average, the index is made for such of %s: about %s more room for them",
        (unsigned long long)entry, print_size(made_for, said),
        print_size((uint64_t)gain / L1_GRAIN * L1_GRAIN, room));
    put_number(o, "entry_bytes", entry);
    put_number(o, "made_for", made_for);
    json_array_append_new(array, o);
}

void advice_of_more(const struct space *s, char *ret, size_t room)
{
    const struct curve *c = s->l1 ? l1_curve(s->l1) : NULL;
    struct curve_summary sum;
    *ret = '\0';
    if (!c)
        return;
    curve_summarize(c, &sum);
    if (!sum.enough)
        return;
    struct curve_point p = curve_predict(c, 1.5);
    snprintf(ret, room, "half more would miss %.1f %% ± %.1f in L1, now %.1f %%", 100 * p.misses,
             100 * p.error, 100 * ratio_of(sum.misses, sum.uses));
}

/* ---- policies ----------------------------------------------------------------------------------------------- */

struct looked_at {
    const struct space *s;
    const struct policy *policy;
    struct policy_figures figures;
    uint64_t near;
    const struct curve_policy *watched; /* NULL: its number is shared, or nothing is watched */
    char scope[96];
};

/* Where an option of the policy is written. */
static void print_option(const struct looked_at *l, const char *text, char *ret, size_t room)
{
    bool own = l->policy->number != 0;
    snprintf(ret, room, "[%s %s] %s", own ? "policy" : "namespace",
             own ? l->policy->name : l->s->config->name, text);
}

static void put_reason(json_t *o, uint64_t misses, uint64_t of_reason, double back, double same)
{
    put_number(o, "misses", misses);
    put_number(o, "misses_of_that", of_reason);
    json_object_set_new(o, "came_back", json_real(back));
    json_object_set_new(o, "came_back_same", json_real(same));
}

static bool in_vain(const struct looked_at *l, uint64_t misses, double back, double same)
{
    return misses >= MISSES_NEEDED && (double)misses >= REASON_SHARE * (double)l->figures.misses &&
           back >= RETURNS_NEEDED && same >= SAME_SHARE * back;
}

/* Entries end and come back as they were: lives could be longer. */
static void advise_on_life(json_t *array, const struct looked_at *l)
{
    char text[64], line[160], ns[UNIT_TEXT];
    uint64_t misses = l->figures.misses_expired, life = l->policy->ttl_ns;
    double back = l->watched ? l->watched->expired : 0, same = l->watched ? l->watched->expired_same : 0;
    bool l1 = l->policy->l1_ttl_ns < life;
    if (!in_vain(l, misses, back, same))
        return;
    life = 2 * (l1 ? l->policy->l1_ttl_ns : life);
    snprintf(text, sizeof(text), "%s = %s", l1 ? "l1_ttl" : "ttl", print_duration(life, ns));
    print_option(l, text, line, sizeof(line));
    json_t *o = advice(l->s, "ttl", l->scope, line,
                       "%.0f %% of its %llu misses had expired, and %.0f of %.0f watched values that came "
                       "back were the same",
                       100 * ratio_of((double)misses, (double)l->figures.misses),
                       (unsigned long long)l->figures.misses, same, back);
    put_reason(o, l->figures.misses, misses, back, same);
    json_array_append_new(array, o);
}

static void advise_on_invalidation(json_t *array, const struct looked_at *l)
{
    char line[160];
    uint64_t misses = l->figures.misses_invalidated;
    double back = l->watched ? l->watched->invalidated : 0,
           same = l->watched ? l->watched->invalidated_same : 0;
    if (!in_vain(l, misses, back, same))
        return;
    print_option(l, "tags = fewer or narrower ones; or invalidate --soft", line, sizeof(line));
    json_t *o = advice(l->s, "invalidation", l->scope, line,
                       "%.0f %% of its %llu misses had been invalidated, and %.0f of %.0f watched values "
                       "that came back were "
                       "the same",
                       100 * ratio_of((double)misses, (double)l->figures.misses),
                       (unsigned long long)l->figures.misses, same, back);
    put_reason(o, l->figures.misses, misses, back, same);
    json_array_append_new(array, o);
}

static void advise_on_worth(json_t *array, const struct looked_at *l)
{
    char line[160];
    uint64_t hits = l->figures.hits_l1 + l->figures.hits_warm + l->figures.hits_l2 + l->near;
    uint64_t asked = hits + l->figures.misses;
    double share = l->watched ? l->watched->bytes_share : 0;
    if (!l->watched || asked < GETS_NEEDED || l->figures.sets < GETS_NEEDED / 10 ||
        (double)hits >= POOR_RATIO * (double)asked)
        return;
    print_option(l, "store = off", line, sizeof(line));
    json_t *o = advice(l->s, "policy", l->scope, line,
                       "found in %.1f %% of %llu gets, for %llu sets; holds %.0f %% of what L1 holds",
                       100 * ratio_of((double)hits, (double)asked), (unsigned long long)asked,
                       (unsigned long long)l->figures.sets, 100 * share);
    put_number(o, "hits", hits);
    put_number(o, "gets", asked);
    put_number(o, "sets", l->figures.sets);
    json_object_set_new(o, "l1_share", json_real(share));
    json_array_append_new(array, o);
}

static void advise_on_policies(json_t *array, const struct space *s, const struct curve *c)
{
    const struct policies *all = cache_policies(s->cache);
    struct curve_policy watched[CURVE_POLICIES];
    uint64_t near[SHM_POLICIES];
    curve_policies(c, watched);
    l1_policy_hits(s->l1, near);
    for (unsigned i = 0; i < policies_count(all); i++) {
        const struct policy *p = policies_nth(all, i);
        bool alone = p->number < POLICY_NEAR_MAX;
        struct looked_at l = {.s = s,
                              .policy = p,
                              .near = alone ? near[p->number] : 0,
                              .watched = alone ? &watched[p->number] : NULL};
        cache_measure_policy(s->cache, p->number, &l.figures);
        snprintf(l.scope, sizeof(l.scope), "%s/%s", s->config->name, p->name);
        advise_on_life(array, &l);
        advise_on_invalidation(array, &l);
        advise_on_worth(array, &l);
    }
}

json_t *advice_document(const struct space *spaces, unsigned count)
{
    json_t *array = json_array();
    for (unsigned i = 0; i < count; i++) {
        const struct curve *c = spaces[i].l1 ? l1_curve(spaces[i].l1) : NULL;
        if (!c)
            continue;
        advise_on_memory(array, &spaces[i], c);
        advise_on_index(array, &spaces[i]);
        advise_on_policies(array, &spaces[i], c);
    }
    return array;
}
