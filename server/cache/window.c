#include "cache/window.h"

#include "base/clock.h"

enum {
    FIRST = 16,
    LEAST = 4,
    MOST = 128, /* their answers make a turn of half a millisecond */
    LATE_TIMES = 4,
    FORGETS = 1024, /* what was quick once need not be for ever */
};
#define LATE_NS (1 * NS_PER_MS)

void window_init(struct window *w)
{
    *w = (struct window){.size = FIRST};
}

bool window_has_room(const struct window *w, unsigned under_way)
{
    return under_way < (unsigned)w->size;
}

static bool is_late(const struct window *w, uint64_t took_ns)
{
    return w->best_ns && took_ns > LATE_TIMES * w->best_ns && took_ns > LATE_NS;
}

static void remember_best(struct window *w, uint64_t took_ns)
{
    if (w->best_ns == 0 || took_ns < w->best_ns)
        w->best_ns = took_ns ? took_ns : 1;
    else
        w->best_ns += (took_ns - w->best_ns) / FORGETS;
}

/* The next one is of what was asked for meanwhile: after a halving that is old news, and counts for nothing yet. */
static void end_windowful(struct window *w)
{
    bool late = is_late(w, w->quickest_ns), halve = late && w->late;
    if (halve)
        w->size = w->size / 2 > LEAST ? w->size / 2 : LEAST;
    w->late = late && !halve;
}

static void join_windowful(struct window *w, uint64_t took_ns, unsigned under_way)
{
    bool begins = w->left == 0;
    if (begins)
        w->left = under_way;
    if (begins || took_ns < w->quickest_ns)
        w->quickest_ns = took_ns;
    if (--w->left == 0)
        end_windowful(w);
}

void window_learns(struct window *w, uint64_t took_ns, unsigned under_way)
{
    if (!is_late(w, took_ns))
        w->size = w->size + 1 / w->size < MOST ? w->size + 1 / w->size : MOST;
    join_windowful(w, took_ns, under_way);
    remember_best(w, took_ns);
}
