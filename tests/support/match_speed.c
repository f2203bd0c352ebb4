/* How long a key takes to find its policy: match-speed [POLICIES].  A command for people; what it finds is not judged.
 *
 * Three kinds of configuration: patterns as applications have them, patterns that only their last levels tell apart, and
 * the worst there is: patterns that all have to be compared with the key. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/check.h"
#include "cache/cache.h"

enum { KEYS = 1024, ROUNDS = 20, TRIES = 50 };

/* Of this process alone: the machine may be busy with others. */
static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static const struct shape {
    const char *name, *pattern, *key; /* # is the number of a policy */
} shapes[] = {
    {"as applications have them", "{t}:resource#:*", "tenant42:resource#:1234567:profile"},
    {"told apart by the last level", "{t}:{a}:*:part#", "tenant42:user:1234567:part#"},
    {"nothing to tell them apart by", "{t}:x{a}y:#*", "tenant42:xny:#-1234567"},
};

static void write_number(char *to, size_t size, const char *text, unsigned number)
{
    size_t before = strcspn(text, "#");
    snprintf(to, size, "%.*s%u%s", (int)before, text, number, text + before + 1);
}

static struct policies *make(const struct shape *shape, unsigned count)
{
    static char names[POLICIES_MAX][16], patterns[POLICIES_MAX][64];
    struct policy_source *sources = must_alloc(count * sizeof(*sources));
    struct cache_options options = {.ttl = 1, .max_ttl = 1, .max_value = 1};
    struct policy_rule own = cache_default_rule(&options);
    struct policy_fault fault;
    for (unsigned i = 0; i < count; i++) {
        snprintf(names[i], sizeof(names[i]), "p%u", i);
        write_number(patterns[i], sizeof(patterns[i]), shape->pattern, 100 + i);
        sources[i] = (struct policy_source){names[i], own};
        sources[i].rule.pattern = patterns[i];
    }
    struct policies *p = policies_create(&own, sources, count, NULL, &fault);
    CHECK(p);
    free(sources);
    return p;
}

/* The best of many tries.  One key in eight has no policy. */
static double measure(const struct policies *p, const struct shape *shape, unsigned count)
{
    static char keys[KEYS][64];
    struct slice slices[KEYS];
    unsigned seed = 1, sum = 0;
    double best = 0;
    for (unsigned i = 0; i < KEYS; i++) {
        unsigned number = (unsigned)rand_r(&seed) % (count + count / 7 + 1);
        write_number(keys[i], sizeof(keys[i]), shape->key, 100 + number);
        slices[i] = slice_text(keys[i]);
    }
    for (unsigned try = 0; try < TRIES; try++) {
        double began = now_ns();
        for (unsigned round = 0; round < ROUNDS; round++)
            for (unsigned i = 0; i < KEYS; i++)
                sum += policies_match(p, slices[i])->number;
        double spent = now_ns() - began;
        best = try == 0 || spent < best ? spent : best;
    }
    CHECK(sum > 0);
    return best / ((double)KEYS * ROUNDS);
}

int main(int count, char **words)
{
    unsigned policies = count > 1 ? (unsigned)atoi(words[1]) : 100;
    if (policies < 1 || policies > POLICIES_MAX) {
        fprintf(stderr, "usage: match-speed [1 to %d]\n", POLICIES_MAX);
        return 2;
    }
    for (unsigned i = 0; i < COUNT_OF(shapes); i++) {
        struct policies *p = make(&shapes[i], policies);
        printf("%-32s %6.1f ns a match at %u policies\n", shapes[i].name, measure(p, &shapes[i], policies),
               policies);
        policies_destroy(p);
    }
    return 0;
}
