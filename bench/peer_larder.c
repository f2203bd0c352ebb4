/* Larder through its library: by shared memory, and by socket alone. */
#include "bench/peer.h"

#include <stdlib.h>
#include "client/larder.h"

struct peer {
    larder_client *client;
    larder_value value;
    uint64_t near;
    int result;
};

static void close_larder(struct peer *p)
{
    larder_value_free(&p->value);
    if (p->client)
        larder_close(p->client);
    free(p);
}

static struct peer *open_larder(const struct peer_where *where, bool no_shared_memory)
{
    struct peer *p = calloc(1, sizeof(*p));
    larder_options options = LARDER_OPTIONS_INIT;
    options.socket = where->socket;
    options.name = "larder-bench";
    options.strict = true;
    options.no_shared_memory = no_shared_memory;
    options.get_ms = 10000; /* a slow answer is to be seen, not cut off, on a busy machine too */
    options.change_ms = 10000;
    if (p && larder_open(&p->client, &options) == LARDER_OK && larder_ping(p->client) == LARDER_OK)
        return p;
    if (p)
        close_larder(p);
    return NULL;
}

static struct peer *open_shm(const struct peer_where *where)
{
    return open_larder(where, false);
}

static struct peer *open_socket(const struct peer_where *where)
{
    return open_larder(where, true);
}

static int get_larder(struct peer *p, struct slice key, struct slice *ret_value)
{
    p->result = larder_get(p->client, larder_bytes(key.data, key.size), NULL, &p->value);
    if (p->result < 0)
        return PEER_ERROR;
    if (p->result != LARDER_HIT)
        return PEER_MISS;
    p->near += p->value.near;
    *ret_value = slice_of(p->value.data, p->value.size);
    return PEER_HIT;
}

static int set_larder(struct peer *p, struct slice key, struct slice value)
{
    larder_set_options how = LARDER_SET_OPTIONS_INIT;
    how.ttl_ms = 1000ull * CODEC_TTL_S;
    how.stale_ms = 0;
    p->result =
        larder_set(p->client, larder_bytes(key.data, key.size), larder_bytes(value.data, value.size), &how);
    return p->result == LARDER_OK ? PEER_OK : PEER_ERROR;
}

static const char *why_larder(const struct peer *p)
{
    return larder_strerror(p->result);
}

static uint64_t near_larder(const struct peer *p)
{
    return p->near;
}

#define LARDER_PEER(name_, sentence_, open_, memory_)                                                        \
    {                                                                                                        \
        .name = name_, .sentence = sentence_, .server = SERVER_LARDER, .codec = &codec_larder,               \
        .reads_memory = memory_, .open = open_, .get = get_larder, .set = set_larder, .close = close_larder, \
        .why = why_larder, .near = near_larder,                                                              \
    }
const struct peer_kind peer_larder_shm = LARDER_PEER("larder_shm", "Larder, shared memory", open_shm, true);
const struct peer_kind peer_larder_socket =
    LARDER_PEER("larder_socket", "Larder, socket only", open_socket, false);
