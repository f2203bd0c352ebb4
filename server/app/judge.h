/* Gathers the facts that health is judged by, and what history keeps of them. */
#ifndef LARDER_APP_JUDGE_H
#define LARDER_APP_JUDGE_H

#include "admin/health.h"
#include "admin/history.h"
#include "app/readings.h"

struct documents;

/* What judging remembers.  Before it is kept, rates are those since the start. */
struct judge {
    struct history *history;
    uint64_t memory_max;    /* of the process; 0: unknown */
    uint64_t away_since_ns; /* 0: Redis is there, or none is wanted */
};

void judge_open(struct judge *j, const struct documents *d);
void judge_close(struct judge *j); /* zeroed memory is fine */

/* The figures of now, into history. */
void judge_remember(struct judge *j, const struct documents *d);
uint64_t resident_bytes(void); /* of this process */

/* Is Redis away, and since when? */
void judge_notice(struct judge *j, const struct documents *d, uint64_t now_ns);

void judge_now(const struct documents *d, struct health *ret);

#endif
