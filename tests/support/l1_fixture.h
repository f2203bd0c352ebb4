/* An L1 without a loop: the test is the clock and the timer. */
#ifndef LARDER_TESTS_L1_FIXTURE_H
#define LARDER_TESTS_L1_FIXTURE_H

#include "base/fleet.h"
#include "base/kills.h"
#include "l1/l1_private.h"
#include "proto/shm_view.h"

enum { FIXTURE_SECRET = 4711 };

struct fixture {
    struct kills *kills;
    struct l1 *l1;
    struct tier *tier;
    struct shm_view view; /* over a second, read-only mapping, as a client has it */
    void *mapped;
    size_t mapped_bytes;
    uint64_t v; /* position of the last change */
    struct l1_figures figures;
};

/* `bytes` 0: the smallest.  Opened, with a view. */
struct fixture *fixture_create(uint64_t bytes, uint64_t entries_max);
struct fixture *fixture_create_for(uint64_t bytes, uint64_t entry_bytes); /* with an index made for those */
/* The smallest, in a fleet. */
struct fixture *fixture_create_in_fleet(const struct fleet_view *fleet);
struct fixture *fixture_destroy(struct fixture *f);
void fixture_attach(struct fixture *f); /* again, to the present incarnation */

uint64_t fixture_hash(const char *key);
/* An entry that lives an hour, at a new position. */
struct entry fixture_entry(struct fixture *f, const char *key, struct slice value);
int fixture_put(struct fixture *f, const char *key, const char *value);
/* Of whatever version is there. */
int fixture_touch(struct fixture *f, const char *key, uint64_t soft_ns, uint64_t hard_ns);
int fixture_put_tagged(struct fixture *f, const char *key, const char *value, const char *tag);
void fixture_kill_tag(struct fixture *f, const char *tag, bool soft);
void fixture_kill_prefix(struct fixture *f, const char *prefix, bool soft);
void fixture_sweep(struct fixture *f);
const struct l1_figures *fixture_measure(struct fixture *f);

/* By shared memory: SHM_HIT … with the value as text, and why not in found.reason. */
struct seen {
    int outcome;
    struct shm_found found;
    char value[1024];
};
struct seen fixture_see(struct fixture *f, const char *key);
/* By the daemon's own lookup. */
struct tier_read fixture_get(struct fixture *f, const char *key, int *ret_outcome);

#endif
