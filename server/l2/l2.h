/* The Redis tier of one namespace: what all hosts share, and the order in which they change it.
 *
 *   l2.c      the struct fleet that cache/ sees            coherence.c  membership: what may be vouched for (pure)
 *   node.c    three connections, one session, one fate     conn.c …     the transport
 *   call.c    words become commands; NOSCRIPT              script.c     what runs inside Redis: scripts/README.md
 *   change.c  a change becomes a script
 *   read.c    a read becomes commands, and is judged       record.c     an entry as bytes in Redis
 *   lease.c   one loader a key in the fleet
 *   journal.c the stream becomes records
 *
 * What must stay true: nothing waits for Redis longer than its deadline; a connection that did anything unexpected is
 * over, and with it its session (I9); what is not known to be committed is told as not known.
 *
 * Thread rule: loop thread only. */
#ifndef LARDER_L2_L2_H
#define LARDER_L2_L2_H

#include "base/fleet.h"
#include "base/knob.h"
#include "l2/url.h"
#include "net/loop.h"

/* [redis] */
#define L2_OPTIONS(OPTION)                                                                                  \
    OPTION(TEXT, url, "", 0, 0, START, "REDIS_URL",                                                         \
           "redis://, rediss:// or unix: address of the store that all hosts share; none: STANDALONE")      \
    OPTION(SWITCH, enabled, "on", 0, 1, START, "CACHE_L2_ENABLED", "off: STANDALONE, whatever the address") \
    OPTION(TEXT, host, "", 0, 0, START, "REDIS_HOST", "instead of an address: its host")                    \
    OPTION(COUNT, port, "6379", 1, 65535, START, "REDIS_PORT", "with host")                                 \
    OPTION(COUNT, database, "0", 0, 2147483647, START, "REDIS_CACHE_DB", "with host")                       \
    OPTION(TEXT, user, "", 0, 0, START, "", "of its access list, with host")                                \
    OPTION(TEXT, password, "", 0, 0, START, "REDIS_PASSWORD", "with host")                                  \
    OPTION(TEXT, password_file, "", 0, 0, START, "", "file with the password, with host")                   \
    OPTION(TEXT, key_prefix, "", 0, 0, START, "REDIS_KEY_PREFIX", "what all our keys in Redis begin with")  \
    OPTION(COUNT, partitions, "1", 1, 64, START, "",                                                        \
           "parts of a namespace with an order of their own; the same on all hosts, for good")              \
    OPTION(DURATION, connect_timeout, "1s", 10 * 1000000ull, 60000 * 1000000ull, START, "",                 \
           "until a connection must be open and greeted")                                                   \
    OPTION(DURATION, command_timeout, "250ms", 10 * 1000000ull, 60000 * 1000000ull, START, "",              \
           "until a command must be answered; one that is not ends the connection")                         \
    OPTION(COUNT, journal_length, "1000000", 1000, 1ull << 32, START, "",                                   \
           "changes that a host may miss and still catch up with; about 100 bytes each, in Redis")          \
    OPTION(SIZE, compress_min, "1KiB", 0, 1ull << 30, START, "CACHE_COMPRESSION_THRESHOLD:B",               \
           "values of that size and more, up to 1 MiB, are compressed in Redis; 0: none")

struct l2_options {
    KNOB_FIELDS(L2_OPTIONS)
};

struct l2;
struct tls_context;

struct l2_setup {
    const struct l2_options *options;
    struct loop *loop;
    const struct l2_url *url; /* with its password; outlives the l2 */
    struct tls_context *tls;  /* exactly when url->tls */
    const char *namespace;
    uint64_t host; /* tells this host, and this namespace's state on it, from all others */
    uint64_t hash_secret;
    uint64_t value_max;
    uint64_t max_ttl_ns, detached_max_ns;
    struct outbox *outbox;             /* NULL: what waits for Redis dies with the process */
    const struct fleet_memory *memory; /* one a partition; NULL: none */
    const uint64_t
        *newest; /* newest position among the entries that are here already; NULL: there are none */
    const struct fleet_listener *listener;
    void *user; /* of the listener */
    bool hasty; /* no pause between attempts: for tests of what a session does, hundreds of them */
};

struct l2 *l2_create(const struct l2_setup *setup);
/* Connects; from here on the listener is told things, never from inside a call. */
void l2_start(struct l2 *l2);
/* Ends the session; `stopped` is called later, when nothing of it is left on the loop. */
void l2_stop(struct l2 *l2, void (*stopped)(void *user), void *user);
struct l2 *l2_destroy(struct l2 *l2); /* after stopped, or never started; NULL ok, returns NULL */

struct fleet *l2_fleet(struct l2 *l2);

/* The way into a session, and what must hold in it: STEP(NAME, word). */
#define L2_STEPS(STEP)             \
    STEP(ADDRESS, "address")       \
    STEP(CONNECT, "connection")    \
    STEP(TLS, "TLS")               \
    STEP(AUTH, "AUTH")             \
    STEP(DATABASE, "database")     \
    STEP(WRITE, "write right")     \
    STEP(PARTITIONS, "partitions") \
    STEP(POLICY, "eviction policy")

enum l2_step {
#define STEP(NAME, word) L2_STEP_##NAME,
    L2_STEPS(STEP)
#undef STEP
        L2_STEPS_COUNT
};

/* For health and the doctor. */
struct l2_health {
    bool linked;
    const char *state;      /* of the session, in words */
    const char *trouble;    /* why not, or what is wrong with Redis; NULL: nothing */
    enum l2_step failed_at; /* with `trouble` while not linked: how far the last attempt came */
    char said[200];         /* and what it met, more closely than `trouble`; "": nothing more is known */
    char address[L2_URL_SHOWN];
    bool tls, auth; /* are used */
    char version[32], policy[32];
    uint64_t memory_used, memory_max;
    uint64_t lag_ns; /* last fence: from its sending until it vouched */
};
void l2_health(const struct l2 *l2, struct l2_health *ret);

#endif
