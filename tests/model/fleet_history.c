/* The checker: what was committed in which order, and which value a read may still return.
 *
 * A value is superseded by the first committed change of its key that came after its birth.  Birth is the commit of
 * the set that brought it, or the reading of its source: a change that commits later names an older value.  A soft
 * change only ends its being fresh: what is promised of any hit counts the hard ones, of a fresh hit all. */
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
    bool refused;
    int host; /* whose it is */
    uint64_t until_ns;
};

static struct mutation mutations[MUTATIONS_MAX];
static struct value values[VALUES_MAX];
static unsigned mutations_count, values_count;
static unsigned at_least[HOSTS][KEYS][2];     /* on this host nothing born before (C1, C8) */
static unsigned seen[HOSTS][KEYS][2];         /* nor this (C5) */
static unsigned at_least_everywhere[KEYS][2]; /* unflagged, on any host (C3) */

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

void history_commit(const struct committed *c)
{
    CHECK(mutations_count < MUTATIONS_MAX);
    mutations[mutations_count++] = (struct mutation){*c, world_ns, NOBODY};
    if (c->value) {
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

/* It was committed, and names the key; a soft one counts for what is shown as fresh. */
static bool concerns(const struct mutation *m, unsigned key, bool fresh)
{
    return m->is.keys & 1u << key && m->only_host == NOBODY && (fresh || !m->is.soft);
}

/* The first change that made the value old, or NULL. */
static const struct mutation *superseded(unsigned key, unsigned value, bool fresh)
{
    for (unsigned i = values[value].born; i < mutations_count; i++)
        if (concerns(&mutations[i], key, fresh))
            return &mutations[i];
    return NULL;
}

void history_filled(unsigned key, unsigned value)
{
    if (superseded(key, value, true))
        violation("C6", "Redis took value %u of key %u, read from its source before a change", value, key);
}

static void raise_to(unsigned *at, unsigned least)
{
    *at = *at > least ? *at : least;
}

static void raise_both(unsigned at[2], unsigned mutation)
{
    raise_to(&at[1], mutation + 1);
    if (!mutations[mutation].is.soft)
        raise_to(&at[0], mutation + 1);
}

void history_acknowledged(int host, unsigned op, bool everywhere)
{
    for (unsigned i = 0; i < mutations_count; i++)
        for (unsigned key = 0; key < KEYS && mutations[i].is.op == op; key++) {
            if (!(mutations[i].is.keys & 1u << key))
                continue;
            raise_both(at_least[host][key], i);
            if (everywhere)
                raise_both(at_least_everywhere[key], i);
        }
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

unsigned history_change_begins(int host, uint8_t keys, bool soft)
{
    CHECK(mutations_count < MUTATIONS_MAX);
    mutations[mutations_count] = (struct mutation){{.keys = keys, .soft = soft}, world_ns, host};
    return mutations_count++;
}

void history_queued(int host, unsigned change)
{
    for (unsigned key = 0; key < KEYS; key++)
        if (mutations[change].is.keys & 1u << key)
            raise_both(at_least[host][key], change);
}

/* Everything up to that position, of that epoch: another one has positions of its own. */
static void up_to(const struct position *p, unsigned key, unsigned ret_at[2])
{
    for (unsigned i = 0; i < mutations_count; i++) {
        const struct committed *c = &mutations[i].is;
        if (concerns(&mutations[i], key, true) && c->partition == p->partition && c->epoch == p->epoch &&
            c->v <= p->v)
            raise_both(ret_at, i);
    }
}

struct history_view history_read_begins(int host, unsigned key, const struct position *brought)
{
    struct history_view view = {.began_ns = world_ns};
    memcpy(view.at_least, at_least[host][key], sizeof(view.at_least));
    memcpy(view.seen, seen[host][key], sizeof(view.seen));
    memcpy(view.at_least_unflagged, at_least_everywhere[key], sizeof(view.at_least_unflagged));
    if (brought)
        up_to(brought, key, view.brought);
    return view;
}

/* Whoever saw this saw every change before it (C5). */
static void monotonic(int host, unsigned key, unsigned born)
{
    for (unsigned i = born; i-- > 0;)
        if (concerns(&mutations[i], key, true)) {
            raise_both(seen[host][key], i);
            if (!mutations[i].is.soft)
                return;
        }
}

/* Records that no client waited for may be undone by a kill when there is no journal for kills; they are done again
 * before anything is vouched for. */
void history_forgets_reads(int host)
{
    memset(seen[host], 0, sizeof(seen[host]));
}

static void judge_flagged(int host, unsigned key, unsigned value, bool fresh, const struct history_view *view)
{
    const struct mutation *after = superseded(key, value, fresh);
    uint64_t bound_ns = DETACHED_MAX_NS / 10 * 12 + DETACHED_MAX_NS / 1000;
    if (after && after->at_ns + bound_ns < view->began_ns)
        violation("C7", "host %d key %u: value %u, flagged, %.0f ms after its end", host, key, value,
                  (double)(view->began_ns - after->at_ns) / 1e6);
}

static void judge_unflagged(int host, unsigned key, unsigned value, bool fresh,
                            const struct history_view *view)
{
    const struct mutation *after = superseded(key, value, fresh);
    if (after && after->at_ns + FLEET_FRESH_NS + FLEET_FRESH_NS / 1000 < view->began_ns)
        violation("C2", "host %d key %u: value %u, %.1f ms after its end", host, key, value,
                  (double)(view->began_ns - after->at_ns) / 1e6);
    if (values[value].born < view->at_least_unflagged[fresh])
        violation("C3", "host %d key %u: value %u after wait=all was answered", host, key, value);
}

void history_read_ends(int host, unsigned key, unsigned value, bool stale, enum history_how how,
                       const struct history_view *view)
{
    const struct value *v = &values[value];
    bool fresh = !stale;
    if (value == 0 || value >= values_count || v->key != key) {
        violation("C13", "host %d key %u: value %u is not of this key", host, key, value);
        return;
    }
    if (v->until_ns < view->began_ns)
        violation("C13", "host %d key %u: value %u, %.1f ms past its end", host, key, value,
                  (double)(view->began_ns - v->until_ns) / 1e6);
    if (v->born < view->brought[fresh])
        violation("C4", "host %d key %u: value %u, born at %u, though the reader knew of %u", host, key,
                  value, v->born, view->brought[fresh]);
    if (how == READ_LOCAL) {
        if (v->host != host)
            violation("C7", "host %d key %u: value %u is local to host %d", host, key, value, v->host);
        return;
    }
    if (!v->known)
        violation("C9", "host %d key %u: value %u was never committed", host, key, value);
    if (v->refused)
        violation("C6", "host %d key %u: value %u was refused", host, key, value);
    if (v->born < view->at_least[fresh])
        violation("C1", "host %d key %u: value %u, born at %u, though %u was known here", host, key, value,
                  v->born, view->at_least[fresh]);
    if (v->born < view->seen[fresh])
        violation("C5", "host %d key %u: value %u, born at %u, though %u was seen here", host, key, value,
                  v->born, view->seen[fresh]);
    if (how == READ_FLAGGED)
        judge_flagged(host, key, value, fresh, view);
    else
        judge_unflagged(host, key, value, fresh, view);
    monotonic(host, key, v->born);
}
