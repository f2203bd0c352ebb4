/* A host of the model, as its files see it: the membership and the cache that ship (fleet_host.c), what stands for the
 * node of l2/ (fleet_node.c), the network under it (fleet_link.c), and what callers ask (fleet_verbs.c). */
#ifndef LARDER_TESTS_FLEET_HOST_H
#define LARDER_TESTS_FLEET_HOST_H

#include "cache/cache.h"
#include "l2/coherence.h"
#include "tests/model/fleet_tier.h"

enum { OPS = 12, LOADS = 6, QUEUE = 64, KEPT = 256 };

/* ======= what is on the disk ======= */

struct disk {
    struct model_kept warm;
    struct fleet_memory memory[PARTITIONS_MOST];
    struct {
        uint64_t number;
        uint32_t size;
        char bytes[32];
    } kept[KEPT];
    unsigned kept_count;
};

/* ======= operations under way ======= */

struct op {
    enum { FREE, GET, SET, FILL, TOUCH, TAG, INVALIDATE } kind;
    int host;
    unsigned id, key, value, change, over;
    bool wait_all;
    enum fleet_condition condition;
    struct history_view view;
    struct slice names[KEYS + TAGS + PREFIXES + GLOBS];
    unsigned value_bytes;
    struct slice tag;
    uint8_t token[64];
    union {
        struct cache_get get;
        struct cache_set set;
        struct cache_touch touch;
        struct cache_tag tagging;
        struct cache_invalidate invalidate;
    };
};

/* A miss whose caller is reading its source: the value is what the source said. */
struct load {
    bool used;
    unsigned key, value;
    uint8_t token[64], token_bytes;
};

/* ======= the link ======= */

struct queue {
    struct message of[QUEUE];
    unsigned count;
    bool held;
};

struct link {
    bool wanted, up; /* connect was asked; Redis took it */
    uint64_t nonce;
    struct queue requests[CHANNEL_TAIL], replies[CHANNEL_TAIL];
    bool tailing[PARTITIONS_MOST], tail_held;
    uint64_t cursor[PARTITIONS_MOST];
    bool lost; /* the host has not heard yet */
};

struct host {
    int number;
    bool paused, dying, away;
    double rate; /* its clock against the world's */
    uint64_t offset_ns;
    struct coherence *coherence;
    struct cache *cache;
    struct kills *kills;
    struct model_tier l1, warm;
    struct tier l2_tier;
    struct fleet fleet;
    struct outbox outbox;
    struct disk now, disk; /* what the disk will have; what it has */
    struct link link;
    struct tier_read *failed[QUEUE]; /* their link is gone; told when nothing else runs */
    unsigned failed_count;
    struct op ops[OPS];
    struct load loads[LOADS];
    struct {
        unsigned value; /* 0: none */
        struct version version;
    } shown[KEYS]; /* what was last given to a caller */
};

extern struct host hosts[HOSTS];
extern unsigned calling_op; /* who is asking, while a verb runs; 0: nobody */

static inline uint64_t clock_of(const struct host *h)
{
    return (uint64_t)((double)world_ns * h->rate) + h->offset_ns;
}

/* The names of a mask, as slices; how many. */
unsigned names_list(struct slice *ret, const char *const *texts, unsigned mask);

/* ---- fleet_node.c ---- */

extern const struct coherence_io node_io;     /* its user is the host */
extern const struct tier_ops node_tier_ops;   /* of host.l2_tier */
extern const struct fleet_ops node_fleet_ops; /* of host.fleet */
void node_read_answered(struct host *h, struct message *m);

/* ---- fleet_link.c ---- */

/* False: there is no room. */
bool link_send(struct host *h, enum channel channel, struct message m);
void link_close(struct host *h);
/* What has become of it since it was last looked at. */
void link_tick(struct host *h);
/* Reads whose link is gone, now that nothing else runs. */
void link_tell_failed(struct host *h);
void links_begin(void);

/* ---- fleet_verbs.c ---- */

void verbs_begin(void);
/* Nobody waits for an answer any more. */
void verbs_forget(struct host *h);

#endif
