/* The checker: what was committed in which order, and which value a read may still return.
 *
 * A value is superseded by the first committed change of its key that came after its birth.  Birth is the commit of
 * the set that brought it, or the reading of its source: a change that commits later names an older value. */
#include <stdarg.h>
#include "tests/model/fleet_world.h"

struct mutation {
    uint64_t at_ns;
    uint8_t keys;
    unsigned op;
    int only_host; /* not committed: a change that this host made for itself; else NOBODY */
};

struct value {
    unsigned key, born;
    bool known; /* born */
    bool refused;
    int host; /* whose it is */
};

static struct mutation mutations[MUTATIONS_MAX];
static struct value values[VALUES_MAX];
static unsigned mutations_count, values_count;
static unsigned at_least[HOSTS][KEYS];     /* on this host nothing born before (C1, C8) */
static unsigned seen[HOSTS][KEYS];         /* nor this (C5) */
static unsigned at_least_everywhere[KEYS]; /* unflagged, on any host (C3) */

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

void history_commit(uint8_t keys, unsigned value, unsigned op)
{
    CHECK(mutations_count < MUTATIONS_MAX);
    mutations[mutations_count++] = (struct mutation){world_ns, keys, op, NOBODY};
    if (value) {
        values[value].known = true;
        values[value].born = mutations_count;
    }
}

void history_refused(unsigned value)
{
    values[value].refused = true;
}

/* The first change that made the value old, or NULL. */
static const struct mutation *superseded(unsigned key, unsigned value)
{
    for (unsigned i = values[value].born; i < mutations_count; i++)
        if (mutations[i].keys & 1u << key && mutations[i].only_host == NOBODY)
            return &mutations[i];
    return NULL;
}

bool history_current(unsigned key, unsigned value)
{
    return values[value].known && !superseded(key, value);
}

void history_filled(unsigned key, unsigned value)
{
    if (superseded(key, value))
        violation("C6", "Redis took value %u of key %u, read from its source before a change", value, key);
}

static void raise_to(unsigned *at, unsigned least)
{
    *at = *at > least ? *at : least;
}

void history_acknowledged(int host, unsigned op, bool everywhere)
{
    for (unsigned i = 0; i < mutations_count; i++)
        for (unsigned key = 0; key < KEYS && mutations[i].op == op; key++) {
            if (!(mutations[i].keys & 1u << key))
                continue;
            raise_to(&at_least[host][key], i + 1);
            if (everywhere)
                raise_to(&at_least_everywhere[key], i + 1);
        }
}

unsigned history_change_begins(int host, uint8_t keys)
{
    CHECK(mutations_count < MUTATIONS_MAX);
    mutations[mutations_count] = (struct mutation){world_ns, keys, 0, host};
    return mutations_count++;
}

void history_queued(int host, unsigned change)
{
    for (unsigned key = 0; key < KEYS; key++)
        if (mutations[change].keys & 1u << key)
            raise_to(&at_least[host][key], change + 1);
}

struct history_view history_read_begins(int host, unsigned key)
{
    return (struct history_view){world_ns, at_least[host][key], seen[host][key], at_least_everywhere[key]};
}

/* Whoever saw this saw every change before it (C5). */
static void monotonic(int host, unsigned key, unsigned born)
{
    for (unsigned i = born; i-- > 0;)
        if (mutations[i].keys & 1u << key && mutations[i].only_host == NOBODY) {
            raise_to(&seen[host][key], i + 1);
            return;
        }
}

/* Records that no client waited for may be undone by a kill when there is no journal for kills; they are done again
 * before anything is vouched for. */
void history_forgets_reads(int host)
{
    memset(seen[host], 0, sizeof(seen[host]));
}

static void judge_flagged(int host, unsigned key, unsigned value, const struct history_view *view)
{
    const struct mutation *after = superseded(key, value);
    uint64_t bound_ns = DETACHED_MAX_NS / 10 * 12 + DETACHED_MAX_NS / 1000;
    if (after && after->at_ns + bound_ns < view->began_ns)
        violation("C7", "host %d key %u: value %u, flagged, %.0f ms after its end", host, key, value,
                  (double)(view->began_ns - after->at_ns) / 1e6);
}

static void judge_unflagged(int host, unsigned key, unsigned value, const struct history_view *view)
{
    const struct mutation *after = superseded(key, value);
    if (after && after->at_ns + FLEET_FRESH_NS + FLEET_FRESH_NS / 1000 < view->began_ns)
        violation("C2", "host %d key %u: value %u, %.1f ms after its end", host, key, value,
                  (double)(view->began_ns - after->at_ns) / 1e6);
    if (values[value].born < view->at_least_unflagged)
        violation("C3", "host %d key %u: value %u after wait=all was answered", host, key, value);
}

void history_read_ends(int host, unsigned key, unsigned value, enum history_how how,
                       const struct history_view *view)
{
    const struct value *v = &values[value];
    if (value == 0 || value >= values_count || v->key != key) {
        violation("C13", "host %d key %u: value %u is not of this key", host, key, value);
        return;
    }
    if (how == READ_LOCAL) {
        if (v->host != host)
            violation("C7", "host %d key %u: value %u is local to host %d", host, key, value, v->host);
        return;
    }
    if (!v->known)
        violation("C9", "host %d key %u: value %u was never committed", host, key, value);
    if (v->refused)
        violation("C6", "host %d key %u: value %u was refused", host, key, value);
    if (v->born < view->at_least)
        violation("C1", "host %d key %u: value %u, born at %u, though %u was known here", host, key, value,
                  v->born, view->at_least);
    if (v->born < view->seen)
        violation("C5", "host %d key %u: value %u, born at %u, though %u was seen here", host, key, value,
                  v->born, view->seen);
    if (how == READ_FLAGGED)
        judge_flagged(host, key, value, view);
    else
        judge_unflagged(host, key, value, view);
    monotonic(host, key, v->born);
}
