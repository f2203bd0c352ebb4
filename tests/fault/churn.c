/* Load that knows what it did: writers and readers, each a process of its own, over liblarder.
 *
 *     churn SOCKET LEDGER WRITERS READERS READS SEED
 *     churn prove      shows that the checks notice seeded wrong histories
 *
 * Ends when the ledger says stop, or when READS gets (0: no limit) were checked; exit code 1 when one was wrong.
 * A process that is shot is replaced.  See ledger.h for what is checked. */
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "client/larder.h"
#include "tests/fault/ledger.h"

enum {
    KEY_TEXT = 64,
    VALUE_MAX = 100 * 1024,
    SHORT_TTL_MS = 300,
    CHANGE_MS = 500,
    GRACE_MS = 100, /* a change is in the daemon at most CHANGE_MS after it began; clocks tick */
    BATCH = 16,     /* keys of one checked mget */
};

struct value_head {
    uint64_t magic, key, number, expires_ns, bytes, sum;
};

#define VALUE_MAGIC 0x6c6564676572656dull

static struct ledger *ledger;
static uint64_t chance;

static uint64_t next_random(void)
{
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;
    return chance;
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void violation(const char *what, uint64_t key, uint64_t found, uint64_t wanted)
{
    if (atomic_fetch_add(&ledger->violations, 1) == 0)
        snprintf(ledger->violation, sizeof(ledger->violation),
                 "%s: key %" PRIu64 ", found %" PRIu64 ", at least %" PRIu64 " (era %" PRIu64 ")", what, key,
                 found, wanted, atomic_load(&ledger->era));
}

/* ---- keys and values ------------------------------------------------------------------------------------ */

/* A tag and a prefix of its own for every key: killing either is an operation on that key alone. */
static larder_slice key_text(char room[KEY_TEXT], uint64_t key)
{
    return larder_bytes(room, (size_t)snprintf(room, KEY_TEXT, "churn:%" PRIu64 ":value", key));
}

static larder_slice prefix_text(char room[KEY_TEXT], uint64_t key)
{
    return larder_bytes(room, (size_t)snprintf(room, KEY_TEXT, "churn:%" PRIu64 ":", key));
}

static larder_slice tag_text(char room[KEY_TEXT], uint64_t key)
{
    return larder_bytes(room, (size_t)snprintf(room, KEY_TEXT, "tag of %" PRIu64, key));
}

/* Mostly small, sometimes some KiB, rarely too large for shared memory. */
static uint64_t value_bytes(void)
{
    uint64_t r = next_random() % 1000;
    uint64_t body = r < 900   ? next_random() % 400
                    : r < 995 ? next_random() % 8000
                              : 70000 + next_random() % 20000;
    return sizeof(struct value_head) + body;
}

static uint8_t pattern(uint64_t key, uint64_t number, uint64_t at)
{
    return (uint8_t)((key * 31 + number * 131 + at * 7) >> 1);
}

static uint64_t head_sum(const struct value_head *h)
{
    return (h->magic ^ h->key * 3 ^ h->number * 5 ^ h->expires_ns * 7 ^ h->bytes * 11) *
           0x9e3779b97f4a7c15ull;
}

static larder_slice value_make(uint8_t *room, uint64_t key, uint64_t number, uint64_t expires_ns)
{
    struct value_head h = {VALUE_MAGIC, key, number, expires_ns, value_bytes(), 0};
    h.sum = head_sum(&h);
    memcpy(room, &h, sizeof(h));
    for (uint64_t i = sizeof(h); i < h.bytes; i++)
        room[i] = pattern(key, number, i);
    return larder_bytes(room, h.bytes);
}

/* Whole, and this key's? */
static bool value_check(const larder_value *v, uint64_t key, struct value_head *ret)
{
    const uint8_t *bytes = v->data;
    if (v->size < sizeof(*ret))
        return false;
    memcpy(ret, bytes, sizeof(*ret));
    if (ret->magic != VALUE_MAGIC || ret->key != key || ret->bytes != v->size || ret->sum != head_sum(ret))
        return false;
    for (uint64_t i = sizeof(*ret); i < ret->bytes; i++) {
        if (bytes[i] != pattern(key, ret->number, i))
            return false;
    }
    return true;
}

/* ---- writers -------------------------------------------------------------------------------------------- */

static uint8_t room_for_value[VALUE_MAX];

static int set_one(larder_client *c, uint64_t key, uint64_t number, uint64_t ttl_ms,
                   const larder_token *since)
{
    char key_room[KEY_TEXT], tag_room[KEY_TEXT];
    larder_slice tag = tag_text(tag_room, key);
    larder_set_options how = LARDER_SET_OPTIONS_INIT;
    how.tags = &tag;
    how.tags_count = 1;
    how.since = since;
    how.stale_ms = 0;
    how.ttl_ms = ttl_ms ? ttl_ms : 600000;
    uint64_t expires = ttl_ms ? now_ns() + (ttl_ms + CHANGE_MS + GRACE_MS) * 1000000 : UINT64_MAX;
    return larder_set(c, key_text(key_room, key), value_make(room_for_value, key, number, expires), &how);
}

/* What apps do: a miss, a load, a set that says since when. */
static int set_since(larder_client *c, uint64_t key, uint64_t number)
{
    char room[KEY_TEXT];
    larder_value value = LARDER_VALUE_INIT;
    int result = larder_get(c, key_text(room, key), NULL, &value);
    larder_token token = value.token;
    larder_value_free(&value);
    return set_one(c, key, number, 0, result == LARDER_MISS && token.size ? &token : NULL);
}

static int invalidate_name(larder_client *c, uint64_t key, bool by_tag)
{
    char room[KEY_TEXT];
    larder_slice name = by_tag ? tag_text(room, key) : prefix_text(room, key);
    larder_invalidate_options what = LARDER_INVALIDATE_OPTIONS_INIT;
    what.tags = by_tag ? &name : NULL;
    what.tags_count = by_tag;
    what.prefixes = by_tag ? NULL : &name;
    what.prefixes_count = !by_tag;
    return larder_invalidate_all_of(c, &what);
}

static int change(larder_client *c, uint64_t key, uint64_t number)
{
    char room[KEY_TEXT];
    switch (next_random() % 32) {
    case 0: return larder_invalidate(c, key_text(room, key));
    case 1: return invalidate_name(c, key, true);
    case 2: return invalidate_name(c, key, false);
    case 3: return set_one(c, key, number, SHORT_TTL_MS, NULL);
    case 4:
    case 5: return set_since(c, key, number);
    default: return set_one(c, key, number, 0, NULL);
    }
}

/* A refused change did not happen; an unanswered one may still happen.  `era` is that in which it began: the daemon
 * that acknowledged it is of that era or a later one. */
static void note(struct ledger_key *k, uint64_t number, uint64_t era, int result)
{
    if (result == LARDER_REFUSED) {
        atomic_fetch_add(&ledger->refused, 1);
    } else if (result >= 0) {
        atomic_store(&k->acked_era, era);
        atomic_store(&k->acked, number);
        atomic_fetch_add(&ledger->acks, 1);
    } else {
        ledger_doubt(ledger, k, number);
        atomic_fetch_add(result == LARDER_E_UNREACHABLE ? &ledger->unsent : &ledger->doubtful, 1);
    }
}

/* Without a daemon nobody has anything to do: the one that starts needs the processor more. */
static void rest(void)
{
    poll(NULL, 0, 2);
}

/* A writer without a daemon waits for one instead of filling the ledger with doubts. */
static void wait_for_daemon(larder_client *c)
{
    while (!atomic_load(&ledger->stop) && larder_ping(c) < 0)
        rest();
}

static void write_forever(larder_client *c, uint64_t writer, uint64_t writers)
{
    wait_for_daemon(c);
    while (!atomic_load(&ledger->stop)) {
        uint64_t key = next_random() % (LEDGER_KEYS / writers) * writers + writer;
        struct ledger_key *k = &ledger->keys[key];
        uint64_t era = atomic_load(&ledger->era), number = atomic_fetch_add(&k->started, 1) + 1;
        int result = change(c, key, number);
        note(k, number, era, result);
        if (result < 0)
            wait_for_daemon(c);
    }
}

/* ---- readers -------------------------------------------------------------------------------------------- */

static void see(struct ledger_key *k, uint64_t number)
{
    uint64_t seen = atomic_load(&k->seen);
    while (seen < number && !atomic_compare_exchange_weak(&k->seen, &seen, number))
        ;
}

struct before {
    uint64_t key, acked, seen, begin_ns;
};

static struct before look_before(uint64_t key)
{
    const struct ledger_key *k = &ledger->keys[key];
    return (struct before){key, atomic_load(&k->acked), atomic_load(&k->seen), now_ns()};
}

static void check_hit(const struct before *b, const larder_value *v)
{
    struct ledger_key *k = &ledger->keys[b->key];
    struct value_head h;
    if (!value_check(v, b->key, &h)) {
        violation("torn or foreign value", b->key, v->size, 0);
        return;
    }
    bool doubtful = ledger_doubtful(k, h.number);
    if (h.number < b->acked && !doubtful)
        violation(v->near ? "older than acknowledged, from memory" : "older than acknowledged, by socket",
                  b->key, h.number, b->acked);
    else if (h.number < b->seen && !doubtful)
        violation(v->near ? "older than seen before, from memory" : "older than seen before, by socket",
                  b->key, h.number, b->seen);
    if (h.number > atomic_load(&k->started))
        violation("never written", b->key, h.number, atomic_load(&k->started));
    if (b->begin_ns > h.expires_ns && !doubtful)
        violation("past its life", b->key, h.number, (b->begin_ns - h.expires_ns) / 1000000);
    if (!doubtful)
        see(k, h.number);
}

static void check(const struct before *b, const larder_value *v, int result)
{
    atomic_fetch_add_explicit(&ledger->reads, 1, memory_order_relaxed);
    if (result != LARDER_HIT) {
        atomic_fetch_add_explicit(&ledger->misses, 1, memory_order_relaxed);
        if (v->reason == LARDER_REASON_UNREACHABLE)
            rest();
        return;
    }
    atomic_fetch_add_explicit(&ledger->hits, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&ledger->near_hits, v->near, memory_order_relaxed);
    atomic_fetch_add_explicit(&ledger->warm_hits, v->tier == LARDER_TIER_WARM, memory_order_relaxed);
    check_hit(b, v);
}

static void read_batch(larder_client *c, larder_value values[BATCH])
{
    char rooms[BATCH][KEY_TEXT];
    larder_slice keys[BATCH];
    struct before before[BATCH];
    for (unsigned i = 0; i < BATCH; i++) {
        before[i] = look_before(next_random() % LEDGER_KEYS);
        keys[i] = key_text(rooms[i], before[i].key);
    }
    if (larder_mget(c, keys, BATCH, NULL, values) < 0)
        return;
    for (unsigned i = 0; i < BATCH; i++)
        check(&before[i], &values[i], values[i].result);
}

/* Half of the reads go to a few keys, where overlaps with a writer are likely. */
static void read_forever(larder_client *c, bool asks)
{
    larder_value one = LARDER_VALUE_INIT, many[BATCH];
    char room[KEY_TEXT];
    memset(many, 0, sizeof(many));
    while (!atomic_load(&ledger->stop)) {
        uint64_t r = next_random();
        if (r % 64 == 0) {
            read_batch(c, many);
            continue;
        }
        struct before before = look_before(r % 2 ? (r >> 8) % 16 : (r >> 8) % LEDGER_KEYS);
        check(&before, &one, larder_get(c, key_text(room, before.key), NULL, &one));
        if (asks && r % 16 == 1)
            rest(); /* the one that always asks is there for variety, not for load */
    }
    larder_value_free(&one);
    for (unsigned i = 0; i < BATCH; i++)
        larder_value_free(&many[i]);
}

/* ---- processes ------------------------------------------------------------------------------------------ */

struct plan {
    const char *socket;
    uint64_t writers, readers, reads, seed;
};

static int work(const struct plan *plan, unsigned number)
{
    larder_options options = LARDER_OPTIONS_INIT;
    larder_client *client;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    options.socket = plan->socket;
    options.change_ms = CHANGE_MS;
    bool asks = number == plan->writers && plan->readers > 1; /* one reader without shared memory */
    options.no_shared_memory = asks;
    chance = plan->seed * 0x9e3779b97f4a7c15ull + number + 1;
    if (larder_open(&client, &options) != LARDER_OK)
        return 2;
    if (number < plan->writers)
        write_forever(client, number, plan->writers);
    else
        read_forever(client, asks);
    larder_close(client);
    return 0;
}

static void spawn(const struct plan *plan, unsigned number)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(work(plan, number));
    atomic_store(&ledger->processes[number], (uint64_t)pid);
}

/* A child that was shot is replaced; one that failed by itself ends everything. */
static bool replace(const struct plan *plan, pid_t pid, int status)
{
    for (unsigned i = 0; i < plan->writers + plan->readers; i++) {
        if (atomic_load(&ledger->processes[i]) != (uint64_t)pid)
            continue;
        atomic_store(&ledger->processes[i], 0);
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && !atomic_load(&ledger->stop))
            spawn(plan, i);
        else if (status != 0)
            return false;
    }
    return true;
}

static bool enough(const struct plan *plan)
{
    return atomic_load(&ledger->stop) || (plan->reads && atomic_load(&ledger->reads) >= plan->reads) ||
           atomic_load(&ledger->violations) > 0;
}

static bool supervise(const struct plan *plan)
{
    sigset_t child_or_time;
    struct timespec tick = {.tv_nsec = 20 * 1000 * 1000};
    bool sound = true;
    int status;
    sigemptyset(&child_or_time);
    sigaddset(&child_or_time, SIGCHLD);
    while (sound && !enough(plan)) {
        sigtimedwait(&child_or_time, NULL, &tick);
        for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
            sound = replace(plan, pid, status) && sound;
    }
    atomic_store(&ledger->stop, 1);
    while (waitpid(-1, &status, 0) > 0)
        sound = status == 0 && sound;
    return sound;
}

static struct ledger *ledger_map(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(struct ledger)) != 0)
        return NULL;
    void *map = mmap(NULL, sizeof(struct ledger), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return map == MAP_FAILED ? NULL : map;
}

static void report(void)
{
#define WORD(name) printf(#name " %" PRIu64 "\n", atomic_load(&ledger->name));
    LEDGER_WORDS(WORD)
#undef WORD
    if (atomic_load(&ledger->violations))
        printf("violation: %s\n", ledger->violation);
}

/* ---- proof ---------------------------------------------------------------------------------------------- */

/* A history of one key: operations up to `started`, `acked` and `seen`, maybe one without an answer. */
struct history {
    const char *name;
    uint64_t started, acked, seen, doubt, found;
    bool settled; /* the key has an acknowledged operation of a later era than the doubt's */
    int64_t late_ms;
    int spoil; /* byte of the value to spoil, -1: none */
    bool wrong;
};

static const struct history histories[] = {
    {"the last value", 5, 5, 5, 0, 5, false, 0, -1, false},
    {"a value not yet acknowledged", 6, 5, 5, 0, 6, false, 0, -1, false},
    {"older than acknowledged", 5, 5, 3, 0, 4, false, 0, -1, true},
    {"older than seen", 6, 4, 6, 0, 5, false, 0, -1, true},
    {"never written", 5, 5, 5, 0, 6, false, 0, -1, true},
    {"an unanswered set that took effect late", 6, 6, 6, 5, 5, false, 0, -1, false},
    {"an unanswered set of a daemon that is dead", 6, 6, 6, 5, 5, true, 0, -1, true},
    {"past its life", 5, 5, 5, 0, 5, false, 1, -1, true},
    {"a torn head", 5, 5, 5, 0, 5, false, 0, 16, true},
    {"a torn body", 5, 5, 5, 0, 5, false, 0, sizeof(struct value_head), true},
};

static void seed_history(const struct history *h)
{
    struct ledger_key *k = &ledger->keys[1];
    memset(ledger, 0, sizeof(*ledger));
    atomic_store(&k->started, h->started);
    atomic_store(&k->seen, h->seen);
    if (h->doubt)
        ledger_doubt(ledger, k, h->doubt);
    atomic_store(&k->acked_era, h->settled ? 1 : 0);
    atomic_store(&k->acked, h->acked);
}

static bool noticed(const struct history *h)
{
    uint64_t expires = h->late_ms ? now_ns() - (uint64_t)h->late_ms * 1000000 : UINT64_MAX;
    larder_slice made = value_make(room_for_value, 1, h->found, expires);
    if (h->spoil >= 0)
        room_for_value[h->spoil] ^= 1;
    struct before before = look_before(1);
    larder_value value = {.data = room_for_value, .size = made.size};
    check(&before, &value, LARDER_HIT);
    return atomic_load(&ledger->violations) > 0;
}

static int prove(void)
{
    int bad = 0;
    for (unsigned i = 0; i < sizeof(histories) / sizeof(histories[0]); i++) {
        seed_history(&histories[i]);
        if (noticed(&histories[i]) == histories[i].wrong)
            continue;
        printf("%s: %s\n", histories[i].name, histories[i].wrong ? "not noticed" : "held against it");
        bad = 1;
    }
    return bad;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "prove") == 0) {
        static struct ledger mine;
        ledger = &mine;
        chance = 1;
        return prove();
    }
    if (argc != 7)
        return 2;
    struct plan plan = {argv[1], strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10),
                        strtoull(argv[5], NULL, 10), strtoull(argv[6], NULL, 10)};
    sigset_t block;
    sigemptyset(&block);
    sigaddset(&block, SIGCHLD);
    sigprocmask(SIG_BLOCK, &block, NULL);
    ledger = ledger_map(argv[2]);
    if (!ledger || plan.writers + plan.readers > LEDGER_PROCESSES || !plan.writers)
        return 2;
    for (unsigned i = 0; i < plan.writers + plan.readers; i++)
        spawn(&plan, i);
    bool sound = supervise(&plan);
    report();
    return sound && !atomic_load(&ledger->violations) ? 0 : 1;
}
