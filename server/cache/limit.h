/* Rate limits: at most so many a window, spread over it, counted once for the whole fleet.
 *
 * The leaky bucket as a meter (Turner, "New directions in communications", 1986; the same as the generic cell rate
 * algorithm, ITU-T I.371): of each key a level is kept that a request raises by its cost and time lowers by max a window.
 * What would make it overflow max is refused.  So a burst of `max` is allowed at once, and one more each window / max after
 * it; no window ends at a fixed moment in which twice as many slip through.
 *
 * With a fleet the level is in its store (l2/scripts/limit.lua does the same sums), exact for all hosts.  While the store
 * is away each host counts by itself, or as the caller says.  Without a fleet this host is all there is. */
#ifndef LARDER_CACHE_LIMIT_H
#define LARDER_CACHE_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

struct bucket {
    uint64_t at_ns; /* 0: never used */
    double level;   /* then */
};

struct bucket_answer {
    bool allowed;
    uint64_t remaining; /* how many more of cost 1 would be allowed now */
    uint64_t reset_ns;  /* until it is as if nothing had been asked */
    uint64_t retry_ns;  /* of a refusal: until the same would be allowed */
};

/* 1 <= max, 1 <= window_ns, cost <= max. */
void bucket_ask(struct bucket *b, uint64_t now_ns, uint64_t max, uint64_t window_ns, uint64_t cost,
                struct bucket_answer *ret);

/* What this host counts by itself: bounded; in a full row the key that is idle soonest is forgotten. */
enum { LIMITS_ROWS = 8192, LIMITS_WAYS = 4 }; /* 1 MiB */
struct limits;
struct limits *limits_create(void);
struct limits *limits_destroy(struct limits *l); /* NULL ok, returns NULL */
void limits_ask(struct limits *l, uint64_t key_hash, uint64_t now_ns, uint64_t max, uint64_t window_ns,
                uint64_t cost, struct bucket_answer *ret);

#endif
