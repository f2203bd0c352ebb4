/* A tag that a million entries carry: what its invalidation costs, and that all of them are dead when it has returned. */
#include "bench/bars.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bench/keys.h"
#include "bench/timing.h"

enum {
    FILL_MS = 60000
}; /* of a batch: on a busy machine sets may wait for the warm tier, which is not measured here */
enum {
    CROWD = 1000000,
    CROWD_QUICK = 50000,
    AT_ONCE = 250,
    LOOKS = 100000,
    LATER_KILLS = 100,
    ROUNDS = 5,
    AWAKE_KILLS = 20
};

/* The keys AT_ONCE at a time; <0: LARDER_E_… */
static int fill_some(larder_client *client, uint32_t first, const larder_set_options *how)
{
    static char names[AT_ONCE][KEY_BYTES_MAX];
    static uint8_t values[AT_ONCE][64];
    larder_item items[AT_ONCE];
    for (uint32_t i = 0; i < AT_ONCE; i++) {
        struct slice key = key_name(names[i], first + i, 1);
        value_make(values[i], sizeof(values[i]), first + i, 1);
        items[i] = (larder_item){.key = larder_bytes(key.data, key.size),
                                 .value = larder_bytes(values[i], sizeof(values[i]))};
    }
    int r = larder_mset(client, items, AT_ONCE, how);
    return r < 0 || r == AT_ONCE ? r : items[0].result;
}

static bool fill(struct bars *b, larder_client *client, uint32_t count)
{
    larder_slice tags[] = {larder_text("crowd")};
    larder_set_options how = LARDER_SET_OPTIONS_INIT;
    int r = 0;
    how.tags = tags;
    how.tags_count = 1;
    how.timeout_ms = FILL_MS;
    for (uint32_t k = 0; k < count && r >= 0; k += AT_ONCE)
        r = fill_some(client, k, &how);
    if (r < 0)
        bar_failed(b, "filling", larder_strerror(r));
    return r >= 0;
}

/* How many of those looked at are there. */
static uint64_t alive(larder_client *client, uint32_t count, uint64_t seed)
{
    larder_value value = LARDER_VALUE_INIT;
    uint64_t found = 0;
    for (uint32_t i = 0; i < LOOKS; i++) {
        char name[KEY_BYTES_MAX];
        struct slice key = key_name(name, (uint32_t)(mix64(seed + i) % count), 1);
        found += larder_get(client, larder_bytes(key.data, key.size), NULL, &value) == LARDER_HIT;
    }
    larder_value_free(&value);
    return found;
}

static double kill_ms(struct bars *b, larder_client *client, const char *name)
{
    larder_slice tag = larder_text(name);
    larder_invalidate_options how = LARDER_INVALIDATE_OPTIONS_INIT;
    how.tags = &tag;
    how.tags_count = 1;
    uint64_t begin = timing_now_ns();
    int r = larder_invalidate_all_of(client, &how);
    uint64_t end = timing_now_ns();
    if (r < 0)
        bar_failed(b, "invalidate", larder_strerror(r));
    return (double)(end - begin) / 1e6;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The same call when nobody carries the tag: that is what a round trip and an O(1) kill cost here and now. */
static double empty_kill_ms(struct bars *b, larder_client *client)
{
    double ms[LATER_KILLS];
    for (unsigned i = 0; i < LATER_KILLS; i++) {
        char name[32];
        snprintf(name, sizeof(name), "nobody:%u", i);
        ms[i] = kill_ms(b, client, name);
    }
    qsort(ms, LATER_KILLS, sizeof(*ms), by_size);
    return ms[LATER_KILLS / 2];
}

struct crowd {
    double ms[ROUNDS], there, left; /* the worst shares of all rounds */
};

static bool play(struct bars *b, larder_client *writer, larder_client *reader, uint32_t count,
                 struct crowd *c)
{
    *c = (struct crowd){.there = 100};
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (!fill(b, writer, count))
            return false;
        double there = 100.0 * (double)alive(reader, count, 1) / LOOKS;
        for (unsigned n = 0; n < AWAKE_KILLS; n++)
            kill_ms(b, writer, "nobody"); /* waking a daemon that slept is not what is measured */
        c->ms[i] = kill_ms(b, writer, "crowd");
        double left = 100.0 * (double)alive(reader, count, 2) / LOOKS;
        c->there = there < c->there ? there : c->there;
        c->left = left > c->left ? left : c->left;
    }
    qsort(c->ms, ROUNDS, sizeof(*c->ms), by_size);
    return true;
}

static void measure(struct bars *b, larder_client *writer, larder_client *reader, uint32_t count)
{
    struct crowd c;
    char text[96];
    if (!play(b, writer, reader, count, &c))
        return;
    snprintf(text, sizeof(text), "invalidating a tag of %u entries, median of %d", count, ROUNDS);
    struct bar_row *row = bar_figure(b, text, AT_MOST, 1, c.ms[ROUNDS / 2], "ms");
    if (c.there < 99)
        bar_unclaimed(row, "not all of them were there before");
    bar_beside(b, "the slowest of them", c.ms[ROUNDS - 1], "ms");
    bar_beside(b, "a tag of nobody, median of 100", empty_kill_ms(b, writer), "ms");
    bar_figure(b, "its entries another process still finds then", AT_MOST, 0, c.left, "%");
}

void bar_crowd(struct bars *b)
{
    struct server s = {.pid = 0};
    larder_client *writer = NULL, *reader = NULL;
    uint32_t count = b->options->quick ? CROWD_QUICK : CROWD;
    if (bar_server(b, &s, SERVER_LARDER, 768ull << 20) && bar_client(b, &writer, s.socket) &&
        bar_client(b, &reader, s.socket))
        measure(b, writer, reader, count);
    larder_close(reader);
    larder_close(writer);
    server_stop(&s);
}
