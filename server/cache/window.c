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

void window_learns(struct window *w, uint64_t took_ns, unsigned under_way)
{
    bool late = is_late(w, took_ns), old_news = w->old_news > 0;
    remember_best(w, took_ns);
    w->old_news -= old_news;
    if (!late) {
        w->size = w->size + 1 / w->size < MOST ? w->size + 1 / w->size : MOST;
    } else if (!old_news) {
        w->size = w->size / 2 > LEAST ? w->size / 2 : LEAST;
        w->old_news = under_way - 1;
    }
}
