#include "bench/options.h"

#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bench/keys.h"

const struct options options_default = {
    .target = "larder_shm",
    .keys = "zipf",
    .theta = 0.99,
    .seed = 1,
    .levels = 1,
    .sizes = {1, {100}, {1}},
    .get_share = 0.95,
    .clients = 1,
    .depth = 1,
    .duration_s = 10,
    .fractions = "0.001,0.01,0.1",
    .ghosts = 4,
    .touch_delay = 256,
};

/* ---- values ------------------------------------------------------------------------------------------- */

static bool parse_text(const char *text, void *to)
{
    *(const char **)to = text;
    return true;
}

static bool parse_real(const char *text, void *to)
{
    char *end;
    *(double *)to = strtod(text, &end);
    return *end == '\0' && end != text && *(double *)to >= 0;
}

static bool parse_count(const char *text, void *to)
{
    static const struct {
        const char *suffix;
        uint64_t factor;
    } units[] = {{"", 1},      {"KiB", 1u << 10}, {"MiB", 1u << 20}, {"GiB", 1u << 30},
                 {"k", 1000u}, {"M", 1000000u},   {"B", 1}};
    char *end;
    uint64_t n = strtoull(text, &end, 10);
    for (unsigned i = 0; end != text && i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(end, units[i].suffix) == 0) {
            *(uint64_t *)to = n * units[i].factor;
            return true;
        }
    }
    return false;
}

static bool parse_seconds(const char *text, void *to)
{
    char *end;
    double n = strtod(text, &end);
    double factor = strcmp(end, "ms") == 0 ? 1e-3 : strcmp(end, "m") == 0 ? 60 : 1;
    *(double *)to = n * factor;
    return end != text && n > 0 && (factor != 1 || *end == '\0' || strcmp(end, "s") == 0);
}

static bool parse_share(const char *text, void *to)
{
    return parse_real(text, to) && *(double *)to <= 1;
}

/* "100:0.5,1KiB:0.4,16KiB:0.1"; shares are relative; a lone size is a mix of one. */
static bool parse_mix(const char *text, void *to)
{
    struct size_mix *m = to;
    char copy[256], *rest = copy, *word;
    double sum = 0;
    *m = (struct size_mix){0};
    snprintf(copy, sizeof(copy), "%s", text);
    while ((word = strsep(&rest, ",")) != NULL) {
        char *share = strchr(word, ':');
        double weight = 1;
        if (share)
            *share++ = '\0';
        if (m->count == MIX_MAX || !parse_count(word, &m->bytes[m->count]) ||
            (share && !parse_real(share, &weight)))
            return false;
        m->share[m->count++] = sum += weight;
    }
    for (unsigned i = 0; i < m->count; i++)
        m->share[i] /= sum;
    return m->count > 0 && sum > 0;
}

/* ---- the table ---------------------------------------------------------------------------------------- */

struct row {
    const char *name;
    const char *value; /* NULL: a switch */
    bool (*parse)(const char *text, void *to);
    size_t offset;
    const char *sentence;
};

#define AT(field) offsetof(struct options, field)
static const struct row rows[] = {
    {"target", "PEER", parse_text, AT(target), "load: larder_shm larder_socket inprocess redis memcached"},
    {"keys", "ORDER", parse_text, AT(keys), "uniform, zipf or trace (with --trace); zipf"},
    {"key-count", "N", parse_count, AT(key_count), "how many keys; 1M, with --quick 100k"},
    {"theta", "S", parse_real, AT(theta), "exponent of zipf; 0.99"},
    {"seed", "N", parse_count, AT(seed), "the same seed gives the same keys in the same order; 1"},
    {"levels", "N", parse_count, AT(levels), "prefix levels of keys, 1 to 3; 1"},
    {"value-bytes", "SIZE", parse_mix, AT(sizes), "size of values; 100"},
    {"value-mix", "MIX", parse_mix, AT(sizes), "sizes with shares, as 100:0.7,1KiB:0.2,16KiB:0.1"},
    {"get-share", "P", parse_share, AT(get_share), "load: share of gets, the rest are sets; 0.95"},
    {"rate", "N", parse_real, AT(rate),
     "load: open loop with N requests a second in all; 0 is a closed loop"},
    {"clients", "N", parse_count, AT(clients), "load: client processes; 1"},
    {"depth", "N", parse_count, AT(depth),
     "load: requests under way a client, above 1 on a raw connection; 1"},
    {"duration", "TIME", parse_seconds, AT(duration_s), "load, lag: how long to measure; 10s"},
    {"ops", "N", parse_count, AT(ops),
     "load, lag: end after so many requests, or rounds, instead; hitratio: only so many"},
    {"trace", "FILE", parse_text, AT(trace),
     "requests of a trace, one 'op key size' a line, plain or .zst; hitratio: a list"},
    {"steps", "LIST", parse_text, AT(steps),
     "growth: items, 10k,100k,1M,10M; depth: requests under way; memory: sizes of values"},
    {"fractions", "LIST", parse_text, AT(fractions),
     "simulate: sizes as shares of the trace's keys; 0.001,0.01,0.1"},
    {"ghosts", "N", parse_count, AT(ghosts), "simulate: evicted keys remembered, an item of the capacity; 4"},
    {"touch-delay", "N", parse_count, AT(touch_delay),
     "simulate: hits are told every N requests, and before a segment is chosen; 256"},
    {"bytes", NULL, NULL, AT(bytes), "simulate: sizes as recorded, capacity in bytes"},
    {"curve", NULL, NULL, AT(curve),
     "simulate: what `larder advise` would say of other sizes, and what is true"},
    {"l1-bytes", "SIZE", parse_count, AT(l1_bytes),
     "shared memory of a larderd that is started; what the keys need; hitratio: what each may use; 256MiB"},
    {"socket", "PATH", parse_text, AT(socket),
     "load, replay, lag: use a running server instead of starting one"},
    {"other", "PATH", parse_text, AT(other),
     "lag: the daemon of another host, beside --socket; both are started if not given"},
    {"mutations", "N", parse_real, AT(mutations),
     "lag: other changes a second meanwhile, through the first; 0"},
    {"larderd", "PATH", parse_text, AT(larderd), "the daemon to start; the one beside this program"},
    {"only", "NAMES", parse_text, AT(only), "compare, bars, hitratio: only these, comma separated"},
    {"json", NULL, NULL, AT(json), "figures as JSON on standard output"},
    {"cdf", NULL, NULL, AT(cdf), "compare, load: with --json the distributions as well, as [ns, share]"},
    {"pin", NULL, NULL, AT(pin),
     "compare, bars: client on the first core, servers on the last; figures repeat better"},
    {"quick", NULL, NULL, AT(quick), "fewer keys and shorter rounds: for a look, not for a claim"},
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

void options_help(void)
{
    for (unsigned i = 0; i < ROWS; i++) {
        char usage[32];
        snprintf(usage, sizeof(usage), "--%s%s%s", rows[i].name, rows[i].value ? " " : "",
                 rows[i].value ? rows[i].value : "");
        printf("  %-20s %s\n", usage, rows[i].sentence);
    }
}

static bool apply(struct options *o, const struct row *row, const char *text)
{
    void *to = (char *)o + row->offset;
    if (!row->parse) {
        *(bool *)to = true;
        return true;
    }
    if (row->offset == AT(sizes))
        o->sizes_given = true;
    if (row->parse(text, to))
        return true;
    fprintf(stderr, "larder-bench: --%s cannot be '%s'\n", row->name, text);
    return false;
}

enum { KEYS_USUAL = 1000000, KEYS_QUICK = 100000 };

static const char *contradiction(const struct options *o)
{
    if (o->key_count < 1 || o->key_count > 1u << 30)
        return "--key-count must be 1 to 2^30";
    if (o->levels < 1 || o->levels > 3)
        return "--levels must be 1 to 3";
    if (o->clients < 1 || o->clients > 64)
        return "--clients must be 1 to 64";
    if (o->depth < 1 || o->depth > 1024)
        return "--depth must be 1 to 1024";
    if (strcmp(o->keys, "uniform") != 0 && strcmp(o->keys, "zipf") != 0 && strcmp(o->keys, "trace") != 0)
        return "--keys must be uniform, zipf or trace";
    if (strcmp(o->keys, "trace") == 0 && !o->trace)
        return "--keys trace needs --trace FILE";
    return NULL;
}

int options_parse(struct options *o, int *argc, char **argv)
{
    struct option longs[ROWS + 2] = {{"help", no_argument, NULL, 'h'}};
    int at, c;
    for (unsigned i = 0; i < ROWS; i++)
        longs[i + 1] =
            (struct option){rows[i].name, rows[i].parse ? required_argument : no_argument, NULL, 1000};
    while ((c = getopt_long(*argc, argv, "h", longs, &at)) != -1) {
        if (c == 'h')
            return 1;
        if (c != 1000 || !apply(o, &rows[at - 1], optarg))
            return -1;
    }
    if (o->key_count == 0)
        o->key_count = o->quick ? KEYS_QUICK : KEYS_USUAL;
    const char *wrong = contradiction(o);
    if (wrong)
        fprintf(stderr, "larder-bench: %s\n", wrong);
    *argc -= optind;
    memmove(argv, argv + optind, (size_t)*argc * sizeof(*argv));
    return wrong ? -1 : 0;
}

unsigned options_steps(const char *list, uint64_t *ret, unsigned room, uint64_t most)
{
    char copy[256], *rest = copy, *word;
    unsigned count = 0;
    snprintf(copy, sizeof(copy), "%s", list);
    while ((word = strsep(&rest, ",")) != NULL) {
        if (count == room || !parse_count(word, &ret[count]) || ret[count] < 1 || ret[count] > most) {
            fprintf(stderr, "larder-bench: --steps cannot be '%s'\n", list);
            return 0;
        }
        count++;
    }
    return count;
}

bool options_wanted(const struct options *o, const char *name)
{
    size_t size = strlen(name);
    for (const char *at = o->only; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, name, size) == 0 && (at[size] == '\0' || at[size] == ','))
            return true;
    }
    return o->only == NULL;
}

/* ---- sizes -------------------------------------------------------------------------------------------- */

uint64_t size_mix_of(const struct size_mix *m, uint32_t key_number)
{
    double u = (double)(mix64(key_number ^ 0x51ed270b7a1f3c5dull) >> 11) * 0x1.0p-53;
    for (unsigned i = 0; i + 1 < m->count; i++) {
        if (u < m->share[i])
            return m->bytes[i];
    }
    return m->bytes[m->count - 1];
}

uint64_t size_mix_max(const struct size_mix *m)
{
    uint64_t max = 0;
    for (unsigned i = 0; i < m->count; i++)
        max = m->bytes[i] > max ? m->bytes[i] : max;
    return max;
}

double size_mix_mean(const struct size_mix *m)
{
    double mean = 0, before = 0;
    for (unsigned i = 0; i < m->count; i++) {
        mean += (double)m->bytes[i] * (m->share[i] - before);
        before = m->share[i];
    }
    return mean;
}
