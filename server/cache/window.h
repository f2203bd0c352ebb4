/* How many questions may be under way at once, so that others' do not wait for them: grown by one for each windowful that
 * came back in time, halved when two windowfuls in a row have nothing that did (additive increase, multiplicative decrease:
 * Chiu and Jain 1989; the quickest of many, as in LEDBAT, RFC 6817: a pause of the machine makes all late that it meets,
 * somebody else's work is there again in the next windowful).  Those that were under way when it was halved are late for
 * the same reason and halve it no further.
 *
 * Late is later than four times the quickest lately, and than a millisecond.
 *
 * Pure: times are passed in. */
#ifndef LARDER_CACHE_WINDOW_H
#define LARDER_CACHE_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

struct window {
    double size;
    uint64_t best_ns;     /* the quickest answer lately; 0: none yet */
    uint64_t quickest_ns; /* of this windowful */
    bool late;            /* the one before it was, and may count */
    unsigned left;        /* answers that this windowful still lacks */
};

void window_init(struct window *w);
/* An answer came; `under_way` counts it still. */
void window_learns(struct window *w, uint64_t took_ns, unsigned under_way);
bool window_has_room(const struct window *w, unsigned under_way);

#endif
