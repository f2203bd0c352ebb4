/* A client of a fleet that writes down all it does, for history.py to judge.
 *
 *     traffic CLIENT SEED FILE HOST SOCKET HOST SOCKET
 *
 * It works on the first host; now and then it goes to the second, with the position of its own last change.
 *
 * Obeys lines: `go ROUND` begins a new file FILE.ROUND and new keys, `stop` ends it and is answered `ops N`.  It ends
 * with its standard input.  Key n of a round is "r:gG:hH:kN" below two prefixes, with two tags (traffic.h) and perhaps a
 * shade, a tag it gets later; a value is its key and a number, long or short, so that whatever is found can be told from
 * everything else.  Keys of odd number are loaded by one in the fleet, those of even number by one a host. */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>
#include "client/larder.h"
#include "tests/fault/traffic.h"

enum {
    TEXT = 64,
    LONG_VALUE = 3000, /* above compress_min */
    PAUSE_US = 2000,   /* at most, between two operations */
    TTL_MS = 400,      /* of the short-lived ones */
    WAITS_OF = 30,     /* one change of so many waits for all hosts */
    LEASE_WAIT_MS = 30,
    LOAD_MS = 30,
    HARD_MS = 200,    /* how long a load may take */
    OVERDUE_MS = 250, /* how long one of OVERDUE_OF takes */
    OVERDUE_OF = 64,
    WANTED = 2,   /* keys that are worked on most, so that somebody waits for a load */
    AGAIN_OF = 8, /* one lease of so many is used twice */
};

static struct place {
    larder_client *client;
    uint64_t host;
} places[2], *at;
static struct traffic_op op;
static FILE *file;
static uint64_t number, chance, last_value, ops;
static larder_position last; /* of our own changes */
static char round_name[TEXT / 2];
static struct {
    larder_entry_version version;
    bool known;
} seen[TRAFFIC_KEYS]; /* what a compare-and-set may name */

static uint64_t next_random(void)
{
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;
    return chance;
}

static uint64_t below(uint64_t limit)
{
    return next_random() % limit;
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

/* ======= names ======= */

static larder_slice key_name(unsigned key, char room[TEXT])
{
    snprintf(room, TEXT, "%s:g%u:h%u:k%u", round_name, key % TRAFFIC_PREFIXES, key % TRAFFIC_SUBPREFIXES,
             key);
    return larder_text(room);
}

static larder_slice tag_name(unsigned tag, char room[TEXT])
{
    snprintf(room, TEXT, "%s.t%u", round_name, tag);
    return larder_text(room);
}

static larder_slice colour_name(unsigned colour, char room[TEXT])
{
    snprintf(room, TEXT, "%s.c%u", round_name, colour);
    return larder_text(room);
}

static larder_slice shade_name(uint64_t shade, char room[TEXT])
{
    snprintf(room, TEXT, "%s.s%" PRIu64, round_name, shade);
    return larder_text(room);
}

static larder_slice prefix_name(unsigned prefix, char room[TEXT])
{
    snprintf(room, TEXT, "%s:g%u:", round_name, prefix);
    return larder_text(room);
}

static larder_slice subprefix_name(unsigned key, char room[TEXT])
{
    snprintf(room, TEXT, "%s:g%u:h%u:", round_name, key % TRAFFIC_PREFIXES, key % TRAFFIC_SUBPREFIXES);
    return larder_text(room);
}

static uint64_t mask_of(unsigned groups, unsigned group)
{
    uint64_t mask = 0;
    for (unsigned key = group; key < TRAFFIC_KEYS; key += groups)
        mask |= 1ull << key;
    return mask;
}

static uint8_t scope_of(unsigned key)
{
    return key % 2 ? LARDER_SCOPE_FLEET : LARDER_SCOPE_HOST;
}

/* ======= the book ======= */

static void begin(uint64_t verb, uint64_t names)
{
    op = (struct traffic_op){
        .verb = verb, .host = at->host, .client = number, .names = names, .begin = now_ns()};
}

static void end(int result)
{
    op.end = now_ns();
    op.result = (uint64_t)(int64_t)result;
    if (fwrite(&op, sizeof(op), 1, file) != 1)
        abort();
    ops++;
}

static void put_position(const larder_position *position)
{
    if (position->epoch)
        last = *position;
    op.partition = position->partition;
    op.epoch = position->epoch;
    op.v = position->v;
}

/* ======= changes ======= */

static larder_slice new_value(unsigned key, char *room, size_t size)
{
    op.value = number << 40 | ++last_value;
    int text = snprintf(room, size, "%u %" PRIu64 " ", key, op.value);
    size_t bytes = below(4) == 0 ? LONG_VALUE : (size_t)text;
    memset(room + text, 'x', bytes - (size_t)text);
    return larder_bytes(room, bytes);
}

static void store(unsigned key, larder_set_options *options)
{
    static char room[LONG_VALUE + TEXT];
    char name[TEXT], tag[TEXT], colour[TEXT];
    larder_slice tags[] = {tag_name(key % TRAFFIC_TAGS, tag), colour_name(key % TRAFFIC_COLOURS, colour)};
    larder_entry_version version = {0};
    larder_position position = {0};
    options->tags = tags;
    options->tags_count = 2;
    options->ret_version = &version;
    options->ret_position = &position;
    if (below(8) == 0)
        options->ttl_ms = TTL_MS;
    op.waited = options->wait_all = options->since == NULL && below(WAITS_OF) == 0;
    op.ttl_ms = options->ttl_ms == LARDER_TTL_DEFAULT ? 0 : options->ttl_ms;
    larder_slice value = new_value(key, room, sizeof(room));
    int result = larder_set(at->client, key_name(key, name), value, options);
    put_position(&position);
    op.id = version.id;
    end(result);
}

static void set(unsigned key)
{
    larder_set_options options = LARDER_SET_OPTIONS_INIT;
    begin(TRAFFIC_SET, 1ull << key);
    store(key, &options);
}

static void compare_and_set(unsigned key)
{
    larder_set_options options = LARDER_SET_OPTIONS_INIT;
    if (!seen[key].known)
        return;
    begin(TRAFFIC_COMPARE, 1ull << key);
    options.if_version = &seen[key].version;
    /* Enough to tell two of them apart. */
    op.expected = seen[key].version.epoch ^ seen[key].version.v << 24 ^ seen[key].version.id;
    store(key, &options);
}

static void invalidate(larder_invalidate_options *options, uint64_t names, uint64_t shade)
{
    larder_position position = {0};
    options->ret_position = &position;
    begin(options->soft ? TRAFFIC_SOFTEN : TRAFFIC_INVALIDATE, names);
    op.shade = shade;
    op.waited = options->wait_all = below(WAITS_OF) == 0;
    int result = larder_invalidate_all_of(at->client, options);
    put_position(&position);
    end(result);
}

static void kill_key(unsigned key, bool soft)
{
    char name[TEXT];
    larder_invalidate_options options = LARDER_INVALIDATE_OPTIONS_INIT;
    larder_slice keys[] = {key_name(key, name)};
    options.keys = keys, options.keys_count = 1, options.soft = soft;
    invalidate(&options, 1ull << key, 0);
}

/* By either of its tags, or by any of both. */
static void kill_tag(unsigned key, bool soft)
{
    char tag[TEXT], colour[TEXT];
    larder_invalidate_options options = LARDER_INVALIDATE_OPTIONS_INIT;
    larder_slice tags[] = {tag_name(key % TRAFFIC_TAGS, tag), colour_name(key % TRAFFIC_COLOURS, colour)};
    uint64_t masks[] = {mask_of(TRAFFIC_TAGS, key % TRAFFIC_TAGS),
                        mask_of(TRAFFIC_COLOURS, key % TRAFFIC_COLOURS)};
    uint64_t first = below(2), count = below(4) == 0 ? 2 - first : 1;
    options.tags = &tags[first], options.tags_count = count, options.soft = soft;
    invalidate(&options, masks[first] | masks[first + count - 1], 0);
}

static void invalidate_key(unsigned key)
{
    kill_key(key, false);
}

static void invalidate_tag(unsigned key)
{
    kill_tag(key, false);
}

static void soften_key(unsigned key)
{
    kill_key(key, true);
}

static void soften_tag(unsigned key)
{
    kill_tag(key, true);
}

static void invalidate_prefix(unsigned key)
{
    char name[TEXT];
    larder_invalidate_options options = LARDER_INVALIDATE_OPTIONS_INIT;
    bool deep = below(2);
    uint64_t mask = mask_of(TRAFFIC_PREFIXES, key % TRAFFIC_PREFIXES);
    larder_slice prefixes[] = {deep ? subprefix_name(key, name) : prefix_name(key % TRAFFIC_PREFIXES, name)};
    options.prefixes = prefixes, options.prefixes_count = 1;
    invalidate(&options, deep ? mask & mask_of(TRAFFIC_SUBPREFIXES, key % TRAFFIC_SUBPREFIXES) : mask, 0);
}

/* A key, the tag of another one and the prefix of a third, in one change. */
static void invalidate_several(unsigned key)
{
    char name[TEXT], tag[TEXT], prefix[TEXT];
    larder_invalidate_options options = LARDER_INVALIDATE_OPTIONS_INIT;
    unsigned second = (unsigned)below(TRAFFIC_TAGS), third = (unsigned)below(TRAFFIC_PREFIXES);
    larder_slice keys[] = {key_name(key, name)}, tags[] = {tag_name(second, tag)};
    larder_slice prefixes[] = {prefix_name(third, prefix)};
    options.keys = keys, options.keys_count = 1;
    options.tags = tags, options.tags_count = 1;
    options.prefixes = prefixes, options.prefixes_count = 1;
    invalidate(&options, 1ull << key | mask_of(TRAFFIC_TAGS, second) | mask_of(TRAFFIC_PREFIXES, third), 0);
}

static void invalidate_all(unsigned key)
{
    (void)key;
    larder_invalidate_options options = LARDER_INVALIDATE_OPTIONS_INIT;
    options.all = true;
    invalidate(&options, mask_of(1, 0), 0);
}

/* Which keys have it, the judge finds out. */
static void tag(unsigned key)
{
    char name[TEXT], shade[TEXT];
    begin(TRAFFIC_TAG, 1ull << key);
    op.shade = 1 + below(TRAFFIC_SHADES);
    larder_slice tags[] = {shade_name(op.shade, shade)};
    end(larder_tag(at->client, key_name(key, name), tags, 1));
}

static void invalidate_shade(unsigned key)
{
    (void)key;
    char name[TEXT];
    uint64_t shade = 1 + below(TRAFFIC_SHADES);
    larder_invalidate_options options = LARDER_INVALIDATE_OPTIONS_INIT;
    larder_slice tags[] = {shade_name(shade, name)};
    options.tags = tags, options.tags_count = 1;
    invalidate(&options, 0, shade);
}

/* ======= gets ======= */

static void found(unsigned key, const larder_value *value)
{
    unsigned named = 0;
    char text[TEXT] = "";
    memcpy(text, value->data, value->size < TEXT - 1 ? value->size : TEXT - 1);
    if (sscanf(text, "%u %" SCNu64, &named, &op.value) != 2 || named != key)
        op.flags |= TRAFFIC_FOREIGN;
    op.epoch = value->version.epoch;
    op.v = value->version.v;
    op.id = value->version.id;
    if (value->flags & LARDER_IS_LOADED)
        return;
    seen[key].version = value->version;
    seen[key].known = true;
}

static void pause_ms(uint64_t ms)
{
    struct timespec t = {.tv_nsec = (long)ms * 1000000};
    nanosleep(&t, NULL);
}

/* `lease`: that of the token, 0 when it is of a miss. */
static void fill(unsigned key, const larder_token *token, uint64_t read_ns, uint64_t lease)
{
    larder_set_options options = LARDER_SET_OPTIONS_INIT;
    begin(TRAFFIC_FILL, 1ull << key);
    op.read = read_ns;
    op.lease = lease;
    op.scope = lease ? scope_of(key) : 0;
    options.since = token;
    store(key, &options);
}

/* The token of a miss. */
static void load_and_fill(unsigned key, const larder_token *token)
{
    uint64_t read_ns = now_ns(); /* the source is read here: what is invalidated from now on may be in it */
    pause_ms(below(3));
    fill(key, token, read_ns, 0);
}

/* FNV-1a. */
static uint64_t name_of(const larder_token *token)
{
    uint64_t h = 0xcbf29ce484222325ull;
    for (unsigned i = 0; i < token->size; i++)
        h = (h ^ token->bytes[i]) * 0x100000001b3ull;
    return h | 1;
}

/* While it loads, it may see to it that its value comes too late. */
static void load(unsigned key)
{
    void (*changes[])(unsigned) = {invalidate_key,
                                   invalidate_tag,
                                   invalidate_prefix,
                                   invalidate_several,
                                   soften_tag,
                                   invalidate_all,
                                   set};
    uint64_t load_ms = below(OVERDUE_OF) == 0 ? OVERDUE_MS : below(LOAD_MS);
    pause_ms(load_ms / 2);
    if (below(3) == 0)
        changes[below(sizeof(changes) / sizeof(changes[0]))](key);
    pause_ms(load_ms - load_ms / 2);
}

/* It may fail, bring its value, or bring it twice. */
static void hold(unsigned key, const larder_token *token)
{
    char name[TEXT];
    uint64_t read_ns = now_ns(), lease = name_of(token);
    load(key);
    if (below(8) == 0) {
        larder_lease_fail(at->client, key_name(key, name), token, 1 + (uint32_t)below(20));
        return;
    }
    fill(key, token, read_ns, lease);
    if (below(AGAIN_OF) == 0)
        fill(key, token, read_ns, lease);
}

static void lease(unsigned key)
{
    static larder_value value = LARDER_VALUE_INIT;
    char name[TEXT];
    larder_load_options options = LARDER_LOAD_OPTIONS_INIT;
    options.scope = scope_of(key);
    options.hard_ms = HARD_MS;
    options.timeout_ms = below(2) ? LEASE_WAIT_MS : 0;
    begin(TRAFFIC_LEASE, 1ull << key);
    op.scope = options.scope;
    op.waited = options.timeout_ms;
    int result = larder_lease(at->client, key_name(key, name), &options, &value);
    op.flags = value.flags | (value.near ? TRAFFIC_NEAR : 0);
    if (result == LARDER_HIT)
        found(key, &value);
    end(result);
    if (result == LARDER_LEASE || (result == LARDER_HIT && value.token.size))
        hold(key, &value.token);
    else if (result == LARDER_MISS && value.token.size)
        load_and_fill(key, &value.token);
}

static void get(unsigned key)
{
    static larder_value value = LARDER_VALUE_INIT;
    char name[TEXT];
    larder_get_options options = LARDER_GET_OPTIONS_INIT;
    begin(TRAFFIC_GET, 1ull << key);
    if (at == &places[1] && last.epoch) {
        options.not_older_than = &last;
        op.after_partition = last.partition;
        op.after_epoch = last.epoch;
        op.after_v = last.v;
    }
    int result = larder_get(at->client, key_name(key, name), &options, &value);
    op.flags = value.flags | (value.near ? TRAFFIC_NEAR : 0);
    if (result == LARDER_HIT)
        found(key, &value);
    else
        op.expected = (uint64_t)value.reason;
    end(result);
    if (result == LARDER_MISS && value.token.size && below(2) == 0)
        load_and_fill(key, &value.token);
}

/* ======= the mix ======= */

static const struct {
    unsigned of_1000;
    void (*act)(unsigned key);
} mix[] = {{60, set},
           {25, compare_and_set},
           {40, invalidate_key},
           {12, invalidate_tag},
           {6, invalidate_prefix},
           {4, invalidate_several},
           {10, soften_key},
           {4, soften_tag},
           {2, invalidate_all},
           {40, tag},
           {10, invalidate_shade},
           {250, lease},
           {1000, get}};

static void act(void)
{
    uint64_t dice = below(1000);
    size_t i = 0;
    while (dice >= mix[i].of_1000)
        dice -= mix[i++].of_1000;
    at = &places[below(8) == 0];
    mix[i].act((unsigned)below(below(3) ? TRAFFIC_KEYS : WANTED));
    struct timespec pause = {.tv_nsec = (long)below(PAUSE_US) * 1000};
    nanosleep(&pause, NULL);
}

/* ======= orders ======= */

static void go(const char *path, unsigned long number_of_round)
{
    char name[512];
    snprintf(name, sizeof(name), "%s.%lu", path, number_of_round);
    snprintf(round_name, sizeof(round_name), "r%lu", number_of_round);
    file = fopen(name, "we");
    if (!file)
        abort();
    memset(seen, 0, sizeof(seen));
    ops = 0;
}

static void stop(void)
{
    if (file && fclose(file) != 0)
        abort();
    file = NULL;
    printf("ops %" PRIu64 "\n", ops);
}

static bool ordered(int wait_ms)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&in, 1, wait_ms) > 0;
}

static bool obey(const char *path)
{
    char line[TEXT];
    ssize_t got = read(STDIN_FILENO, line, sizeof(line) - 1); /* whoever orders waits for the answer */
    if (got <= 0)
        return false;
    line[got] = 0;
    if (strncmp(line, "go ", 3) == 0)
        go(path, strtoul(line + 3, NULL, 10));
    else
        stop();
    return true;
}

static bool open_place(struct place *p, char **words)
{
    larder_options options = LARDER_OPTIONS_INIT;
    p->host = strtoul(words[0], NULL, 10);
    options.socket = words[1];
    return larder_open(&p->client, &options) == LARDER_OK;
}

int main(int argc, char **argv)
{
    if (argc != 8)
        return 2;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    number = strtoul(argv[1], NULL, 10);
    chance = strtoull(argv[2], NULL, 10) * 0x9e3779b97f4a7c15ull + number + 1;
    if (!open_place(&places[0], argv + 4) || !open_place(&places[1], argv + 6))
        return 1;
    for (;;) {
        if (ordered(file ? 0 : -1) && !obey(argv[3]))
            break;
        if (file)
            act();
    }
    larder_close(places[0].client);
    larder_close(places[1].client);
    return 0;
}
