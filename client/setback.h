/* Keys whose loader failed: nobody tries again for 100 ms, doubling to 10 s with each failure in a row, give or take a
 * quarter so that many processes do not come back at once.  The daemon keeps this for everybody; a process does when
 * there was no lease to give back.
 *
 * Pure: the clock is passed in.  A fixed table, one place a key: two keys that meet forget the older one, which costs
 * an attempt too many. */
#ifndef LARDER_CLIENT_SETBACK_H
#define LARDER_CLIENT_SETBACK_H

#include <stdint.h>

enum {
    SETBACK_PLACES = 256
}; /* failing keys of one process at a time; a source that is down fails them all alike */
#define SETBACK_MIN_NS    (100 * 1000000ull)
#define SETBACK_MAX_NS    (10000 * 1000000ull)
#define SETBACK_FORGET_NS (60000 * 1000000ull) /* a failure after that is a first one again */

struct setbacks {
    struct {
        uint64_t hash, until_ns, step_ns;
    } places[SETBACK_PLACES];
};

/* How long nobody may try yet; 0: now. */
uint64_t setback_left_ns(const struct setbacks *s, uint64_t hash, uint64_t now_ns);
/* It failed.  `wish_ns`: what the loader asked for, 0: as described above.  Returns what came of it. */
uint64_t setback_note(struct setbacks *s, uint64_t hash, uint64_t wish_ns, uint64_t now_ns);
void setback_over(struct setbacks *s, uint64_t hash);

#endif
