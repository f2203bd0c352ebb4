/* What the fleet tells: changes of other hosts, and our own again.
 *
 * What must stay true: when a call returns, its effect holds for every reader of this host (I1), and has been handed to
 * the warm tier before the position that includes it (I6). */
#include "cache/cache_private.h"

void cache_fleet_record(void *user, unsigned partition, const struct fleet_record *record)
{
    struct cache *c = user;
    apply_record(c, partition, record);
    chronicle_record(c->chronicle, partition, record, cache_now(c));
    for (unsigned n = 0; n < record->keys_count; n++)
        load_heard(c, partition, record->keys[n]);
    c->figures.records++;
    probes_heard(c, partition, record->v);
}

void cache_fleet_applied(void *user, unsigned partition)
{
    struct cache *c = user;
    ahead_passed(c->ahead, partition, c->fleet->view->of[partition].applied);
}

static void new_guard(struct cache *c, unsigned partition)
{
    guard_destroy(c->guards[partition]);
    c->guards[partition] = guard_create(c->fleet->view->of[partition].applied, c->guard_rows);
}

/* What happened to any key up to the floor is not known: no read under way and no token from before can be judged. */
void cache_fleet_gap(void *user, unsigned partition, uint64_t floor)
{
    struct cache *c = user;
    flights_detach_all(c->flights);
    c->kills_seen++;
    guard_raise(c->guards[partition], floor);
    apply_kill(c, kills_name(KILLS_UNKNOWN, partition), floor, false);
    c->figures.gaps++;
}

void cache_fleet_epoch(void *user, unsigned partition)
{
    struct cache *c = user;
    flights_detach_all(c->flights);
    c->kills_seen++;
    ahead_forget(c->ahead, partition);
    kills_forget(c->setup.kills,
                 partition); /* positions of another epoch say nothing about those of this one */
    new_guard(c, partition);
}
