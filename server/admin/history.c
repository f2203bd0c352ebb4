#include "admin/history.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/check.h"

struct history {
    unsigned spaces_count;
    unsigned count, next; /* of the ring */
    struct history_sample samples[HISTORY_SAMPLES];
    struct history_space *spaces; /* of sample i from i * spaces_count on; behind the last: zeros */
};

struct history *history_create(unsigned spaces)
{
    struct history *h = must_alloc(sizeof(*h));
    h->spaces_count = spaces;
    h->spaces = must_alloc(((size_t)HISTORY_SAMPLES + 1) * (spaces + 1) * sizeof(*h->spaces));
    return h;
}

struct history *history_destroy(struct history *h)
{
    if (!h)
        return NULL;
    free(h->spaces);
    free(h);
    return NULL;
}

void history_add(struct history *h, const struct history_sample *sample, const struct history_space *spaces)
{
    unsigned at = h->next;
    h->samples[at] = *sample;
    for (unsigned i = 0; i < h->spaces_count; i++)
        h->spaces[(size_t)at * h->spaces_count + i] = spaces[i];
    h->next = (at + 1) % HISTORY_SAMPLES;
    h->count += h->count < HISTORY_SAMPLES;
}

/* The nth, the oldest first. */
static unsigned slot_of(const struct history *h, unsigned nth)
{
    return (h->next + HISTORY_SAMPLES - h->count + nth) % HISTORY_SAMPLES;
}

void history_before(const struct history *h, uint64_t now_ns, uint64_t window_ns, struct history_sample *ret,
                    const struct history_space **ret_spaces)
{
    uint64_t until_ns = now_ns > window_ns ? now_ns - window_ns : 0;
    *ret = (struct history_sample){0};
    *ret_spaces = h->spaces + (size_t)HISTORY_SAMPLES * h->spaces_count;
    for (unsigned n = h->count; n-- > 0;) {
        unsigned slot = slot_of(h, n);
        bool full_round = n == 0 && h->count == HISTORY_SAMPLES; /* nothing older is left */
        if (h->samples[slot].at_ns > until_ns && !full_round)
            continue;
        *ret = h->samples[slot];
        *ret_spaces = h->spaces + (size_t)slot * h->spaces_count;
        return;
    }
}

/* ---- told ---------------------------------------------------------------------------------------------- */

static const struct series {
    const char *name;
    size_t offset;
} series[] = {{"t", offsetof(struct history_sample, wall_s)},
#define SAMPLE(name, sentence) {#name, offsetof(struct history_sample, name)},
              HISTORY_COUNTERS(SAMPLE) HISTORY_GAUGES(SAMPLE)
#undef SAMPLE
};

static int append_series(const struct history *h, const struct series *s, unsigned step, struct buffer *ret)
{
    char number[40];
    int r = 0;
    for (unsigned n = (h->count - 1) % step; r == 0 && n < h->count;
         n += step) { /* the newest is always told */
        const char *sample = (const char *)&h->samples[slot_of(h, n)];
        int size = snprintf(number, sizeof(number), "%s%llu", n < step ? "" : ",",
                            (unsigned long long)*(const uint64_t *)(const void *)(sample + s->offset));
        r = buffer_append(ret, number, (size_t)size);
    }
    return r;
}

int history_append_json(const struct history *h, struct buffer *ret)
{
    unsigned step = h->count / HISTORY_POINTS + 1;
    int r = buffer_append(ret, "{", 1);
    for (unsigned i = 0; r == 0 && i < COUNT_OF(series); i++) {
        char head[48];
        int size = snprintf(head, sizeof(head), "%s\"%s\":[", i ? "," : "", series[i].name);
        r = buffer_append(ret, head, (size_t)size);
        if (r == 0 && h->count)
            r = append_series(h, &series[i], step, ret);
        if (r == 0)
            r = buffer_append(ret, "]", 1);
    }
    return r == 0 ? buffer_append(ret, "}", 1) : r;
}
