/* One namespace, put together: page, kills, warm tier, L1, cache.  Thread rule: before the loop runs, or on it. */
#ifndef LARDER_APP_SPACE_H
#define LARDER_APP_SPACE_H

#include "app/config.h"
#include "app/redis.h"
#include "app/rollups.h"
#include "session/session.h"

struct space {
    struct session_space session; /* first: ops get it back */
    const struct config_namespace *config;
    struct loop *loop;
    uint64_t stop_deadline_ns;
    struct page *page;
    struct page_found found;
    struct warm *warm;
    struct warm_memory memory;
    struct kills *kills;
    struct gone *gone;
    struct l1 *l1;
    struct l2 *l2; /* NULL: STANDALONE */
    struct cache *cache;
    const char *page_trouble, *warm_trouble, *l1_trouble; /* static sentences: why there is none, else NULL */
    uint64_t gate_until_ns;
    bool restoring;
    uint64_t restore_began_ns;
    void (*stopped)(void *user);
    void *stopped_user;
    struct later no_warm_to_stop;
    struct later let_go; /* while what waited in the cache is more than a turn could take */
    struct hot_round {
        uint64_t *hashes; /* slice s's i-th hottest at i * slices + s, so that the whole is hottest first */
        uint32_t slices, at, keys_a_slice, cursor;
    } hot;
    struct refit {
        uint64_t at_ns;   /* not before */
        uint64_t rest_ns; /* after the last time; 0: L1 never was made anew */
        bool saved;       /* a whole hot set, a call ago */
        bool begun;       /* the new memory is being made */
    } refit;
    struct rollups *rollups;
    struct reports *reports;
    uint64_t told_hot_ns; /* when the fleet was last told what is hot here */
    uint32_t told_hot_cursor, told_hot_calls;
    struct top_keys *top_keys; /* NULL: none are told */
    struct prune_mark {
        uint64_t at_ns, position, sweeps;
    } mark; /* kills up to that position are old enough a while after it */
    uint64_t pruned_v;
};

struct space_setup {
    const struct config_namespace *config;
    struct loop *loop;
    const char *state;         /* its real path: also what the runtime page is named after */
    bool state_usable;         /* it is there, ours, and nobody else's */
    const struct redis *redis; /* NULL, or not configured: STANDALONE */
    const struct l2_options *l2;
    const char *runtime; /* NULL: no place on tmpfs */
};

/* Everything up to answering; may block.  Missing tiers are logged and told by the trouble sentences.  <0: another
 * daemon has the state. */
int space_open(struct space *s, const struct space_setup *setup);
/* The policies of the configuration, from now on.  False: it has none that could be used, and the old ones stay. */
bool space_take_policies(struct space *s, const struct config *config);
void space_tick(struct space *s); /* every 20 ms: lets go what waits for the gate */
void space_keep(
    struct space *s); /* every 100 ms: a slice of the hot set, kills nobody needs any more; bounded */
/* A part of keeping; by a clock of the caller. */
void space_prune_kills(struct space *s, uint64_t now_ns);
/* Nothing may ask the cache any more: saves the hot set, closes L1, lets the warm tier finish; `stopped` is called later,
 * on the loop, always. */
void space_stop(struct space *s, uint64_t deadline_ns, void (*stopped)(void *user), void *user);
void space_close(struct space *s); /* after stopped, or instead of it when the loop never ran */

#endif
