/* Loading, for the calls that change keys: what is being loaded and what is kept without a daemon must not outlive it. */
#ifndef LARDER_CLIENT_LOAD_H
#define LARDER_CLIENT_LOAD_H

#include "client/client.h"

/* How a load may be kept, and what its fill proves. */
enum judge {
    JUDGE_LEASE, /* a lease: given back with a fill or a failure */
    JUDGE_TOKEN, /* a token: only the fill is judged */
    JUDGE_OFF,   /* a daemon that judges nothing: switched off, or too busy; only rule 1 of flight.h holds */
    JUDGE_AWAY,  /* no daemon: the load is this process' own */
};
#define NO_BACKOFF_MS UINT32_MAX

/* "Somebody else refreshes this": remembered for 10 ms, so that the readers of a hot stale value do not all ask. */
bool load_is_quiet(struct larder_client *c, uint64_t hash);
void load_be_quiet(struct larder_client *c, uint64_t hash);
/* Failed keys that only this process knows of: how long one is to be left alone, 0: not at all. */
uint64_t load_set_back_ns(struct larder_client *c, uint64_t hash);
void load_note_failure(struct larder_client *c, uint64_t hash, uint32_t backoff_ms);
void load_note_success(struct larder_client *c, uint64_t hash);
/* The fill was accepted: nothing newer happened since the lease. */
static inline bool load_is_vouched(int set_result)
{
    return set_result == LARDER_OK || set_result == LARDER_QUEUED || set_result == LARDER_LOCAL ||
           set_result == LARDER_SKIPPED;
}

/* Called before a change returns, whatever became of it: it may have taken effect. */
void load_key_changes(struct larder_client *c, struct slice key);
void load_names_change(struct larder_client *c, const larder_invalidate_options *how);

#endif
