#include "bench/peer.h"

#include <string.h>

const struct peer_kind *const peer_kinds[] = {
    &peer_larder_shm, &peer_larder_socket, &peer_inprocess, &peer_pingpong,
    &peer_redis,      &peer_memcached,     &peer_chase,     NULL};

const struct peer_kind *peer_kind_of(const char *name)
{
    for (unsigned i = 0; peer_kinds[i]; i++) {
        if (strcmp(peer_kinds[i]->name, name) == 0)
            return peer_kinds[i];
    }
    return NULL;
}
