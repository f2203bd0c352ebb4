/* larder-bench: measures Larder, and others beside it, on this machine.  METHOD.md says what the figures mean. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bench/spawn.h"
#include "bench/verbs.h"

static const struct {
    const char *name;
    int (*run)(struct options *o);
    const char *sentence;
} verbs[] = {
    {"compare", verb_compare, "Larder, an in-process table, Redis, memcached and the floor, in one run"},
    {"load", verb_load, "keys, sizes and mixes as asked for, closed or open loop, any number of clients"},
    {"replay", verb_replay, "a recorded trace, read through: hit ratio and latency of each tier"},
    {"bars", verb_bars, "every bar of the design: goal, figure, and by how much it is missed"},
    {"simulate", verb_simulate, "a recorded trace through the daemon's eviction policy: miss ratio by size"},
    {"hitratio", verb_hitratio, "recorded traces through Larder, memcached and Redis with the same memory"},
    {"growth", verb_growth, "what a get costs among 10 thousand to 10 million items"},
    {"depth", verb_depth, "requests a second over a socket, by how many are under way"},
    {"memory", verb_memory, "what an item costs beyond key and value, by the size of values"},
    {"lag", verb_lag, "how long another host goes on seeing what was invalidated here"},
};
enum { VERBS = sizeof(verbs) / sizeof(verbs[0]) };

static int help(void)
{
    printf("usage: larder-bench VERB [OPTION...]\n\n");
    for (unsigned i = 0; i < VERBS; i++)
        printf("  %-20s %s\n", verbs[i].name, verbs[i].sentence);
    printf("\n");
    options_help();
    return 0;
}

/* What this shell says to apps and daemons must not change a measurement; with a running server it may be meant. */
static void forget_settings(void)
{
    static const char *const beginnings[] = {"LARDER_", "CACHE_", "REDIS_"};
    for (unsigned i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
        for (char **e = environ; *e;) {
            char name[128];
            bool ours = strncmp(*e, beginnings[i], strlen(beginnings[i])) == 0;
            snprintf(name, sizeof(name), "%.*s", (int)strcspn(*e, "="), *e);
            if (!ours || unsetenv(name) < 0)
                e++; /* else the next one moved here */
        }
    }
}

static int run(const char *name, struct options *o)
{
    for (unsigned i = 0; i < VERBS; i++) {
        if (strcmp(verbs[i].name, name) != 0)
            continue;
        if (!o->socket)
            forget_settings();
        spawn_guarded();
        return verbs[i].run(o);
    }
    fprintf(stderr, "larder-bench: no verb '%s'; see larder-bench --help\n", name);
    return 2;
}

int main(int argc, char **argv)
{
    struct options o = options_default;
    int r = options_parse(&o, &argc, argv);
    if (r < 0)
        return 2;
    if (r > 0 || (argc == 1 && strcmp(argv[0], "help") == 0))
        return help();
    if (argc != 1) {
        fprintf(stderr, "larder-bench: one verb, please; see larder-bench --help\n");
        return 2;
    }
    return run(argv[0], &o);
}
