/* A load of a larder_async, for async_load.c (who waits, who loads, how it lands) and async_lease.c (what is asked of the
 * daemon for it). */
#ifndef LARDER_CLIENT_ASYNC_LOAD_H
#define LARDER_CLIENT_ASYNC_LOAD_H

#include "client/async.h"
#include "client/load.h"

struct asking {
    larder_load_options how;
    larder_async_loader loader;
    void *loader_user;
    uint64_t began_ns;
    struct slice key; /* in the request's names */
};

struct larder_load {
    struct larder_async *a; /* NULL: closed meanwhile */
    struct larder_load *next;
    struct loading loading;
    larder_value value;
    struct request *aboard, **last;
    /* Nobody boards; the app holds it; asked again over a new connection; the daemon asked for it. */
    bool is_shut, is_out, has_retried, is_served;
    uint64_t hash, asked_ns, turn;
    enum judge judge;
    larder_token token;
    struct reading reading;
    larder_async_loader loader;
    void *loader_user;
    size_t key_bytes;
    unsigned char key[];
};

static inline struct slice async_load_key(const struct larder_load *load)
{
    return slice_of(load->key, load->key_bytes);
}

/* Asks the daemon, which may wait so long for somebody else's load; lease_answered follows, later.  From here to there the
 * load belongs to its request. */
void lease_ask(struct larder_load *load, uint32_t wait_ms);
void lease_answered(struct larder_load *load, int result, const larder_value *value);
/* Sent and forgotten. */
void lease_give_back(struct larder_async *a, struct slice key, const larder_token *lease,
                     uint32_t backoff_ms);
/* One that the daemon asks for: nobody is aboard, and it begins with its lease.  NULL: no memory. */
struct larder_load *async_load_create(struct larder_async *a, struct slice key, struct slice lease,
                                      larder_async_loader loader, void *user);
void async_load_start(struct larder_load *load);
/* Ends a load: for all aboard who may have what it brought; the others begin again. */
void async_land(struct larder_load *load, int result, const larder_value *value, bool vouched);

#endif
