/* The checker: what was committed in which order, and which value a read may still return.
 *
 * A value is superseded by the first committed change of its key that came after its birth.  Birth is the commit of
 * the set that brought it, or the reading of its source: a change that commits later names an older value.  A soft
 * change only ends its being fresh: what is promised of any hit counts the hard ones, of a fresh hit all.
 *
 * A TAG makes another version of a value: born when it commits, over the version without the tag, which it may do only
 * where that one is still what Redis has.  But a value that had become stale is stale in its new version too: as a fresh
 * one that is born no later than what made it stale.  Invalidations of the tag concern only versions that have it. */
#include <stdarg.h>
#include "tests/model/fleet_world.h"

struct mutation {
    struct committed is;
    uint64_t at_ns;
    int only_host; /* not committed: a change that this host made for itself; else NOBODY */
};

struct value {
    unsigned key, born;
    bool known; /* born */
    bool refused, tagged;
    int host; /* whose it is */
    uint64_t until_ns;
};

/* What a reader may have of a value. */
struct version {
    unsigned born[2]; /* at all, as fresh */
    bool tagged;
};

static struct mutation mutations[MUTATIONS_MAX];
static struct value values[VALUES_MAX];
static unsigned mutations_count, values_count;
static struct history_least at_least[HOSTS][KEYS];     /* on this host nothing born before (C1, C8) */
static struct history_least seen[HOSTS][KEYS];         /* nor this (C5) */
static struct history_least at_least_everywhere[KEYS]; /* unflagged, on any host (C3) */

void history_begin(void)
{
    mutations_count = 0;
    values_count = 1;
    memset(at_least, 0, sizeof(at_least));
    memset(seen, 0, sizeof(seen));
    memset(at_least_everywhere, 0, sizeof(at_least_everywhere));
}

static unsigned new_value(int host, unsigned key, bool known)
{
    CHECK(values_count < VALUES_MAX);
    values[values_count] = (struct value){.key = key, .born = mutations_count, .known = known, .host = host};
    return values_count++;
}

unsigned history_loaded(int host, unsigned key)
{
    return new_value(host, key, true);
}

unsigned history_to_set(int host, unsigned key)
{
    return new_value(host, key, false);
}

/* Whether it is committed or only one host's own: such a version of the key is older than it. */
static bool hits(const struct mutation *m, unsigned key, bool tagged)
{
    return (m->is.keys | (tagged ? m->is.late : 0)) & 1u << key;
}

/* It was committed, and hits the version; a soft one counts for what is shown as fresh. */
static bool concerns(const struct mutation *m, unsigned key, bool tagged, bool fresh)
{
    return hits(m, key, tagged) && m->only_host == NOBODY && (fresh || !m->is.soft);
}

/* The first change that made the version old, or NULL. */
static const struct mutation *superseded(unsigned key, const struct version *version, bool fresh)
{
    for (unsigned i = version->born[fresh]; i < mutations_count; i++)
        if (concerns(&mutations[i], key, version->tagged, fresh))
            return &mutations[i];
    return NULL;
}

/* Nobody but a TAG stores a value twice, and none twice in one epoch: the version that it found has the tag then. */
static struct version version_at(unsigned value, const struct position *at)
{
    const struct value *v = &values[value];
    struct version ret = {.born = {v->born, v->born}};
    for (unsigned i = v->born; v->tagged && i < mutations_count; i++) {
        const struct committed *c = &mutations[i].is;
        if (!c->again || c->value != value || c->epoch != at->epoch || c->v > at->v)
            continue;
        const struct mutation *softened = superseded(v->key, &ret, true);
        ret.born[0] = ret.born[1] = i + 1;
        if (softened < &mutations[i])
            ret.born[1] = (unsigned)(softened - mutations);
        ret.tagged = true;
    }
    return ret;
}

static void judge_again(const struct committed *c)
{
    values[c->value].tagged = true;
    if (c->over != c->value)
        violation("C6", "value %u was tagged where value %u had come meanwhile", c->value, c->over);
}

void history_commit(const struct committed *c)
{
    CHECK(mutations_count < MUTATIONS_MAX);
    mutations[mutations_count++] = (struct mutation){*c, world_ns, NOBODY};
    if (c->again) {
        judge_again(c);
    } else if (c->value) {
        values[c->value].known = true;
        values[c->value].born = mutations_count;
    }
}

void history_lives(unsigned value, uint64_t until_ns)
{
    uint64_t slack_ns = (until_ns - world_ns) / 500;
    if (until_ns + slack_ns > values[value].until_ns)
        values[value].until_ns = until_ns + slack_ns;
}

void history_refused(unsigned value)
{
    values[value].refused = true;
}

void history_filled(unsigned key, unsigned value)
{
    struct version version = {.born = {values[value].born, values[value].born}};
    if (superseded(key, &version, true))
        violation("C6", "Redis took value %u of key %u, read from its source before a change", value, key);
}

static void raise_to(unsigned *at, unsigned least)
{
    *at = *at > least ? *at : least;
}

/* For the versions of the key that the change hits. */
static void raise_all(struct history_least *at, unsigned key, unsigned mutation)
{
    const struct mutation *m = &mutations[mutation];
    for (unsigned tagged = 0; tagged < 2; tagged++)
        for (unsigned fresh = m->is.soft; fresh < 2 && hits(m, key, tagged); fresh++)
            raise_to(&at->of[tagged][fresh], mutation + 1);
}

void history_acknowledged(int host, unsigned op, bool everywhere)
{
    for (unsigned i = 0; i < mutations_count; i++)
        for (unsigned key = 0; key < KEYS && mutations[i].is.op == op; key++) {
            raise_all(&at_least[host][key], key, i);
            if (everywhere)
                raise_all(&at_least_everywhere[key], key, i);
        }
}

void history_tagged(int host, unsigned key, const struct position *at, bool everywhere)
{
    unsigned i = 0;
    while (i < mutations_count && !(mutations[i].is.again && hits(&mutations[i], key, false) &&
                                    mutations[i].is.epoch == at->epoch && mutations[i].is.v == at->v))
        i++;
    if (i == mutations_count) {
        violation("C1", "host %d key %u: a tag was answered, and nobody gave it", host, key);
        return;
    }
    raise_all(&at_least[host][key], key, i);
    if (everywhere)
        raise_all(&at_least_everywhere[key], key, i);
}

static bool condition_met(const struct committed *c, enum fleet_condition condition, unsigned over)
{
    switch (condition) {
    case FLEET_IF_ABSENT: return c->over == 0;
    case FLEET_IF_PRESENT: return c->over != 0;
    case FLEET_IF_VERSION: return c->over == over;
    default: return true;
    }
}

void history_condition(int host, unsigned op, enum fleet_condition condition, unsigned over)
{
    for (unsigned i = 0; i < mutations_count; i++)
        if (mutations[i].is.op == op && !condition_met(&mutations[i].is, condition, over))
            violation("condition", "host %d: a set of condition %d, over value %u, replaced value %u", host,
                      condition, over, mutations[i].is.over);
}

unsigned history_change_begins(int host, const struct names *names)
{
    struct committed c = {.keys = names_cover(names), .late = names_late(names), .soft = names->soft};
    CHECK(mutations_count < MUTATIONS_MAX);
    mutations[mutations_count] = (struct mutation){c, world_ns, host};
    return mutations_count++;
}

void history_queued(int host, unsigned change)
{
    for (unsigned key = 0; key < KEYS; key++)
        raise_all(&at_least[host][key], key, change);
}

/* Everything up to that position, of that epoch: another one has positions of its own. */
static void up_to(const struct position *p, unsigned key, struct history_least *ret_at)
{
    for (unsigned i = 0; i < mutations_count; i++) {
        const struct committed *c = &mutations[i].is;
        if (mutations[i].only_host == NOBODY && c->partition == p->partition && c->epoch == p->epoch &&
            c->v <= p->v)
            raise_all(ret_at, key, i);
    }
}

struct history_view history_read_begins(int host, unsigned key, const struct position *brought)
{
    struct history_view view = {.began_ns = world_ns,
                                .at_least = at_least[host][key],
                                .seen = seen[host][key],
                                .at_least_unflagged = at_least_everywhere[key]};
    if (brought)
        up_to(brought, key, &view.brought);
    return view;
}

/* Whoever saw this saw every change before it (C5). */
static void monotonic(int host, unsigned key, unsigned born)
{
    for (unsigned i = born; i-- > 0;)
        if (concerns(&mutations[i], key, true, true)) {
            raise_all(&seen[host][key], key, i);
            if (concerns(&mutations[i], key, false, false))
                return;
        }
}

/* Records that no client waited for may be undone by a kill when there is no journal for kills; they are done again
 * before anything is vouched for. */
void history_forgets_reads(int host)
{
    memset(seen[host], 0, sizeof(seen[host]));
}

static void judge_flagged(int host, const struct history_shown *shown, const struct version *version,
                          const struct history_view *view)
{
    const struct mutation *after = superseded(shown->key, version, !shown->stale);
    uint64_t bound_ns = DETACHED_MAX_NS / 10 * 12 + DETACHED_MAX_NS / 1000;
    if (after && after->at_ns + bound_ns < view->began_ns)
        violation("C7", "host %d key %u: value %u, flagged, %.0f ms after its end", host, shown->key,
                  shown->value, (double)(view->began_ns - after->at_ns) / 1e6);
}

static void judge_unflagged(int host, const struct history_shown *shown, const struct version *version,
                            const struct history_view *view)
{
    bool fresh = !shown->stale;
    const struct mutation *after = superseded(shown->key, version, fresh);
    if (after && after->at_ns + FLEET_FRESH_NS + FLEET_FRESH_NS / 1000 < view->began_ns)
        violation("C2", "host %d key %u: value %u, %.1f ms after its end", host, shown->key, shown->value,
                  (double)(view->began_ns - after->at_ns) / 1e6);
    if (version->born[fresh] < view->at_least_unflagged.of[version->tagged][fresh])
        violation("C3", "host %d key %u: value %u after wait=all was answered", host, shown->key,
                  shown->value);
}

void history_read_ends(int host, const struct history_shown *shown, const struct history_view *view)
{
    unsigned key = shown->key, value = shown->value;
    const struct value *v = &values[value];
    bool fresh = !shown->stale;
    if (value == 0 || value >= values_count || v->key != key) {
        violation("C13", "host %d key %u: value %u is not of this key", host, key, value);
        return;
    }
    if (v->until_ns < view->began_ns)
        violation("C13", "host %d key %u: value %u, %.1f ms past its end", host, key, value,
                  (double)(view->began_ns - v->until_ns) / 1e6);
    struct version version = version_at(value, &shown->at);
    unsigned born = version.born[fresh], tagged = version.tagged;
    if (born < view->brought.of[tagged][fresh])
        violation("C4", "host %d key %u: value %u, born at %u, though the reader knew of %u", host, key,
                  value, born, view->brought.of[tagged][fresh]);
    if (shown->how == READ_LOCAL) {
        if (v->host != host)
            violation("C7", "host %d key %u: value %u is local to host %d", host, key, value, v->host);
        return;
    }
    if (!v->known)
        violation("C9", "host %d key %u: value %u was never committed", host, key, value);
    if (v->refused)
        violation("C6", "host %d key %u: value %u was refused", host, key, value);
    if (born < view->at_least.of[tagged][fresh])
        violation("C1", "host %d key %u: value %u, born at %u, though %u was known here", host, key, value,
                  born, view->at_least.of[tagged][fresh]);
    if (born < view->seen.of[tagged][fresh])
        violation("C5", "host %d key %u: value %u, born at %u, though %u was seen here", host, key, value,
                  born, view->seen.of[tagged][fresh]);
    if (shown->how == READ_FLAGGED)
        judge_flagged(host, shown, &version, view);
    else
        judge_unflagged(host, shown, &version, view);
    monotonic(host, key, version.born[0]);
}
