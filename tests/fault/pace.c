/* How fast a process goes on while something is wrong with Redis (outages.py).  Obeys lines, answers each with one:
 *
 *     keep             sets KEYS keys and reads them until all are hits in shared memory: OK
 *     hits MS          gets them, one after the other:   NS NEAR SOCKET GONE WORST_US
 *     calls MS         what must go through the daemon: gets of what is nowhere, sets, invalidations:
 *                      GETS WORST_US LATE CHANGES WORST_US LATE RESULT=COUNT…
 *
 * NS is a get that was a hit in shared memory, by slices of SLICE of them: a twentieth of the slices were faster.  Not the
 * median: whatever else the machine does on the other half of a core doubles that.  Slices in which any was no such hit do
 * not count.  LATE is how many took longer than their deadline and the slack that the command line names. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <signal.h>
#include <time.h>
#include "client/larder.h"

enum {
    KEYS = 100,
    SLICE = 500,
    SLICES_MAX = 200000,
    GET_US = 50000, /* deadlines of the library as it is delivered */
    CHANGE_US = 500000,
    RESULTS = 64,
    RESULT_LEAST = -32, /* of the library's numbers */
};

static larder_client *client;
static larder_value value = LARDER_VALUE_INIT;
static char names[KEYS][16];
static uint64_t slack_us, number;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

/* ======= hits ======= */

static bool is_near(unsigned key)
{
    return larder_get(client, larder_text(names[key]), NULL, &value) == LARDER_HIT && value.near;
}

static void keep(void)
{
    for (unsigned key = 0; key < KEYS; key++)
        while (!is_near(key))
            if (larder_get(client, larder_text(names[key]), NULL, &value) != LARDER_HIT)
                larder_set(client, larder_text(names[key]),
                           larder_text("a value of some length, as they are"), NULL);
    puts("OK");
}

struct hits {
    uint64_t near, socket, gone, worst_ns;
    unsigned slices;
    uint32_t slice_ns[SLICES_MAX]; /* of a get, in hundredths */
};

static void slice(struct hits *h)
{
    uint64_t near = h->near, begin = now_ns();
    for (unsigned i = 0; i < SLICE; i++) {
        int result = larder_get(client, larder_text(names[i % KEYS]), NULL, &value);
        *(result != LARDER_HIT ? &h->gone : value.near ? &h->near : &h->socket) += 1;
    }
    uint64_t took = now_ns() - begin;
    if (h->near - near == SLICE && h->slices < SLICES_MAX)
        h->slice_ns[h->slices++] = (uint32_t)(took * 100 / SLICE);
    h->worst_ns = took > h->worst_ns ? took : h->worst_ns;
}

static int by_size(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void hits(uint64_t ms)
{
    static struct hits h;
    h = (struct hits){0};
    for (uint64_t end = now_ns() + ms * 1000000; now_ns() < end;)
        slice(&h);
    qsort(h.slice_ns, h.slices, sizeof(h.slice_ns[0]), by_size);
    printf("%.2f %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
           h.slices ? h.slice_ns[h.slices / 20] / 100.0 : 0.0, h.near, h.socket, h.gone, h.worst_ns / 1000);
}

/* ======= calls ======= */

struct calls {
    uint64_t count, worst_us, late;
};

static uint64_t results[RESULTS];

static void note(struct calls *c, uint64_t begin_ns, uint64_t deadline_us, int result)
{
    uint64_t took = (now_ns() - begin_ns) / 1000;
    c->count++;
    c->late += took > deadline_us + slack_us;
    c->worst_us = took > c->worst_us ? took : c->worst_us;
    results[result - RESULT_LEAST]++;
}

static void one_call(struct calls *gets, struct calls *changes)
{
    char name[32];
    snprintf(name, sizeof(name), "call:%" PRIu64, ++number);
    uint64_t begin = now_ns();
    switch (number % 3) {
    case 0:
        larder_get(client, larder_text(name), NULL, &value);
        note(gets, begin, GET_US, LARDER_MISS);
        results[LARDER_MISS - RESULT_LEAST]--; /* of gets there is nothing to tell */
        break;
    case 1:
        note(changes, begin, CHANGE_US, larder_set(client, larder_text(name), larder_text("v"), NULL));
        break;
    case 2: note(changes, begin, CHANGE_US, larder_invalidate(client, larder_text(name))); break;
    }
}

static void calls(uint64_t ms)
{
    struct calls gets = {0}, changes = {0};
    memset(results, 0, sizeof(results));
    for (uint64_t end = now_ns() + ms * 1000000; now_ns() < end;)
        one_call(&gets, &changes);
    printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64, gets.count, gets.worst_us,
           gets.late, changes.count, changes.worst_us, changes.late);
    for (int i = 0; i < RESULTS; i++)
        if (results[i])
            printf(" %d=%" PRIu64, i + RESULT_LEAST, results[i]);
    putchar('\n');
}

int main(int argc, char **argv)
{
    char line[64], verb[16];
    unsigned long ms;
    larder_options options = LARDER_OPTIONS_INIT;
    if (argc < 3)
        return 2;
    options.socket = argv[1];
    slack_us = strtoull(argv[2], NULL, 10) * 1000;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (unsigned key = 0; key < KEYS; key++)
        snprintf(names[key], sizeof(names[key]), "kept:%u", key);
    if (larder_open(&client, &options) != LARDER_OK)
        return 1;
    while (fgets(line, sizeof(line), stdin) && sscanf(line, "%15s %lu", verb, &ms) >= 1)
        if (strcmp(verb, "keep") == 0)
            keep();
        else if (strcmp(verb, "hits") == 0)
            hits(ms);
        else
            calls(ms);
    larder_value_free(&value);
    larder_close(client);
    return 0;
}
