/* Random schedules of a fleet: three hosts with the code that ships against a Redis in memory, links that deliver,
 * delay, cut and hold, hosts that stop and crash, a Redis that restarts with what it had, with less, or with nothing.
 * Every read is compared with the history of what was committed; at the end everything heals, and then every host must
 * be fresh and right.
 *
 * usage: fleet_model [SCHEDULES [SEED]]       100,000 from seed 1; SEED alone is told, step by step, when SCHEDULES is 1
 *        fleet_model off RULE [SCHEDULES]     without that rule something must break
 *        fleet_model mutant [SCHEDULES]       so must it when a source was changed */
#include <malloc.h>
#include <stdarg.h>
#include <stdlib.h>
#include "tests/model/fleet_world.h"

enum { STEPS = 150, SCHEDULES = 100000 };

const char *const key_texts[KEYS] = {"a:0", "a:1", "b:0", "b:1"};
const char *const tag_texts[TAGS] = {"t0", "t1", "late"};
const char *const prefix_texts[PREFIXES] = {"a:", "b:"};
const char *const glob_texts[GLOBS] = {"*:0", "*:1"};
uint64_t world_ns;
bool world_talks;
unsigned violations;

static uint64_t seed, state;
static const char *rule_without;
static bool expect_trouble;
static uint64_t first_bad_seed;
static char first_bad[200];

/* ======= rules, dice, names ======= */

bool rule_off(const char *name, signed char *at)
{
    if (*at < 0)
        *at = rule_without && strcmp(rule_without, name) == 0;
    return *at;
}

/* splitmix64 (Steele, Lea, Flood, 2014) */
uint64_t dice(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

unsigned dice_below(unsigned n)
{
    return (unsigned)(dice() % n);
}

bool dice_say(unsigned percent)
{
    return dice_below(100) < percent;
}

uint8_t names_cover(const struct names *n)
{
    static const uint8_t by_end[] = {0x5, 0xa}, by_prefix[PREFIXES] = {0x3, 0xc};
    uint8_t keys = n->all ? 0xf : n->keys;
    for (unsigned i = 0; i < COUNT_OF(by_end); i++) {
        keys |= (n->tags | n->globs) & 1u << i ? by_end[i] : 0;
        keys |= n->prefixes & 1u << i ? by_prefix[i] : 0;
    }
    return keys;
}

uint8_t names_late(const struct names *n)
{
    return n->tags & 1u << TAG_LATE ? 0xf : 0;
}

static uint8_t mask_of(const struct slice *names, unsigned count, const char *const *texts,
                       unsigned texts_count)
{
    uint8_t mask = 0;
    for (unsigned n = 0; n < count; n++)
        for (unsigned i = 0; i < texts_count; i++)
            if (slice_equal(names[n], slice_text(texts[i])))
                mask |= (uint8_t)(1u << i);
    return mask;
}

uint8_t tags_of(const struct slice *tags, unsigned count)
{
    return mask_of(tags, count, tag_texts, TAGS);
}

struct names names_of(const struct fleet_change *c)
{
    if (c->verb != FLEET_INVALIDATE)
        return (struct names){0};
    return (struct names){mask_of(c->keys, c->keys_count, key_texts, KEYS),
                          tags_of(c->tags, c->tags_count),
                          mask_of(c->prefixes, c->prefixes_count, prefix_texts, PREFIXES),
                          mask_of(c->globs, c->globs_count, glob_texts, GLOBS),
                          c->all,
                          c->soft};
}

void violation(const char *promise, const char *format, ...)
{
    char text[160];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    if (violations++ == 0) {
        first_bad_seed = seed;
        snprintf(first_bad, sizeof(first_bad), "%s broken: %s", promise, text);
    }
    if (world_talks || (!expect_trouble && violations < 10))
        printf("# seed %llu: %s broken: %s\n", (unsigned long long)seed, promise, text);
}

/* ======= time ======= */

static void pass(uint64_t ns, bool deliver)
{
    for (uint64_t left = ns; left > 0;) {
        uint64_t step = left < 10 * NS_PER_MS ? left : 10 * NS_PER_MS;
        world_ns += step;
        left -= step;
        for (int h = 0; h < HOSTS; h++) {
            host_tick(h);
            if (deliver)
                link_all_flow(h);
        }
    }
}

/* ======= steps ======= */

static int any_host(void)
{
    return (int)dice_below(HOSTS);
}

static void step_get(void)
{
    if (dice_say(20))
        host_get_not_older(any_host(), dice_below(KEYS));
    else
        host_get(any_host(), dice_below(KEYS));
}

static void step_set(void)
{
    enum fleet_condition condition = dice_say(25) ? 1 + dice_below(FLEET_IF_VERSION) : FLEET_ALWAYS;
    host_set(any_host(), dice_below(KEYS), dice_say(15), dice_say(20), condition);
}

static void step_touch(void)
{
    host_touch(any_host(), dice_below(KEYS));
}

/* Redis answers, while the journal is late. */
static void answers_flow(int host)
{
    for (unsigned i = 0; i < 3; i++)
        for (enum channel c = 0; c < CHANNEL_TAIL; c++) {
            link_flow(host, c, false);
            link_flow(host, c, true);
        }
}

/* Often two hosts after each other: the other is too late then, and reads what it has. */
static void step_tag(void)
{
    unsigned key = dice_below(KEYS);
    for (unsigned i = dice_say(50); i < 2; i++) {
        int host = any_host();
        host_tag(host, key, dice_say(30));
        if (dice_say(50)) {
            answers_flow(host);
            host_get(host, key);
        }
    }
}

static void step_fill(void)
{
    host_fill(any_host());
}

static void step_invalidate(void)
{
    struct names names = {.soft = dice_say(30)};
    switch (dice_below(9)) {
    case 0: names.tags = (uint8_t)(1u << dice_below(TAGS)); break;
    case 1: names.prefixes = (uint8_t)(1u << dice_below(PREFIXES)); break;
    case 2: names.globs = (uint8_t)(1u << dice_below(GLOBS)); break;
    case 3:
        names.all = dice_say(50);
        names.keys = 3;
        break;
    default: names.keys = (uint8_t)(1u << dice_below(KEYS)); break;
    }
    host_invalidate(any_host(), &names, dice_say(20));
}

static void step_moment(void)
{
    pass(1 + dice_below(5 * NS_PER_MS), dice_say(80));
}

static void step_while(void)
{
    pass((20 + dice_below(300)) * NS_PER_MS, dice_say(80));
}

static void step_long(void)
{
    pass((300 + dice_below(2700)) * NS_PER_MS, dice_say(70));
}

static void step_some_messages(void)
{
    for (unsigned i = 0; i < 3; i++)
        link_flow(any_host(), dice_below(CHANNELS), dice_say(50));
}

static void step_hold(void)
{
    link_hold(any_host(), dice_below(CHANNELS), dice_say(50), dice_say(50));
}

static void step_release(void)
{
    link_release_all(any_host());
}

static void step_cut(void)
{
    link_cut(any_host());
}

static void step_zombies(void)
{
    zombies_arrive();
}

static void step_commit(void)
{
    host_commit_disk(any_host());
}

static void step_land(void)
{
    host_land_disk(any_host());
}

static void step_crash(void)
{
    host_restart(any_host(), dice_say(30));
}

static void step_pause(void)
{
    host_pause(any_host(), dice_say(40));
}

static void step_snapshot(void)
{
    redis_snapshot();
}

static void step_redis(void)
{
    switch (dice_below(6)) {
    case 0: redis_flush(); break;
    case 1:
        redis_restart(true);
        links_die();
        break;
    case 2:
        redis_restart(false);
        links_die();
        break;
    default: redis_trim(dice_below(redis_partitions()), dice_say(30) ? 1000 : 1 + dice_below(3)); break;
    }
}

static const struct {
    unsigned weight;
    void (*run)(void);
} steps[] = {
    {28, step_get},       {7, step_set},     {12, step_fill}, {3, step_touch},    {5, step_tag},
    {7, step_invalidate}, {14, step_moment}, {6, step_while}, {1, step_long},     {14, step_some_messages},
    {4, step_hold},       {2, step_release}, {2, step_cut},   {2, step_zombies},  {5, step_commit},
    {3, step_land},       {2, step_crash},   {2, step_pause}, {1, step_snapshot}, {2, step_redis},
};

static void any_step(void)
{
    static unsigned total;
    if (total == 0)
        for (unsigned i = 0; i < COUNT_OF(steps); i++)
            total += steps[i].weight;
    unsigned at = dice_below(total), i = 0;
    while (at >= steps[i].weight)
        at -= steps[i++].weight;
    steps[i].run();
}

/* ======= a schedule ======= */

static void heal(void)
{
    for (int h = 0; h < HOSTS; h++) {
        host_pause(h, false);
        link_release_all(h);
    }
    for (unsigned i = 0; i < 20; i++) {
        pass(100 * NS_PER_MS, true);
        for (int h = 0; h < HOSTS; h++) {
            host_land_disk(h);
            host_commit_disk(h);
            host_get(h, dice_below(KEYS));
        }
    }
    zombies_arrive();
    pass(600 * NS_PER_MS, true);
}

/* Twice: what the first look promotes, the second finds. */
static void look_at_everything(void)
{
    for (unsigned i = 0; i < 2; i++)
        for (int h = 0; h < HOSTS; h++)
            for (unsigned key = 0; key < KEYS; key++) {
                host_get(h, key);
                link_all_flow(h);
                host_land_disk(h);
                link_all_flow(h);
            }
}

static void run_schedule(void)
{
    state = seed;
    state = dice(); /* neighbours have nothing in common */
    world_ns = 1000 * NS_PER_S;
    history_begin();
    redis_begin(1 + dice_below(PARTITIONS_MOST));
    hosts_begin();
    pass(60 * NS_PER_MS, true);
    for (unsigned i = 0; i < STEPS; i++)
        any_step();
    heal();
    for (int h = 0; h < HOSTS; h++)
        if (!host_is_fresh(h))
            violation("return", "host %d is not fresh though everything healed", h);
    look_at_everything();
    hosts_end();
}

static int report(bool good, const char *what)
{
    printf("1..1\n%s 1 - %s\n", good ? "ok" : "not ok", what);
    if (violations)
        printf("# first: seed %llu: %s\n", (unsigned long long)first_bad_seed, first_bad);
    return good ? 0 : 1;
}

int main(int argc, char **argv)
{
    mallopt(M_MMAP_THRESHOLD, 256 << 10); /* guards are large and hardly touched: pages, not memset */
    bool off = argc > 2 && strcmp(argv[1], "off") == 0, mutant = argc > 1 && strcmp(argv[1], "mutant") == 0;
    int numbers = off ? 3 : mutant ? 2 : 1;
    expect_trouble = off || mutant;
    rule_without = off ? argv[2] : NULL;
    uint64_t count = argc > numbers ? strtoull(argv[numbers], NULL, 10) : expect_trouble ? 60000 : SCHEDULES;
    uint64_t from = argc > numbers + 1 ? strtoull(argv[numbers + 1], NULL, 10) : 1;
    world_talks = count == 1;
    for (seed = from; seed < from + count && !(expect_trouble && violations); seed++)
        run_schedule();
    printf("# %llu schedules from seed %llu, %u violations\n", (unsigned long long)(seed - from),
           (unsigned long long)from, violations);
    char what[120];
    snprintf(what, sizeof(what), "%s%s",
             expect_trouble ? "noticed without " : "no promise is broken in any schedule",
             off      ? rule_without
             : mutant ? "it"
                      : "");
    return report((violations > 0) == expect_trouble, what);
}
