/* A Redis that answers whatever the input says, to the node and the membership that ship: each question is answered
 * once, a value that comes back is the one that was stored, positions and names stay within their bounds, and nothing
 * is left at the end.  The input is read as a program: what is done here, and what is answered there. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/log.h"
#include "l2/l2_private.h"
#include "proto/wire.h"
#include "support/puppet_redis.h"

enum { ACTIONS_MAX = 12, TURNS = 6, TURNS_OF_START = 14, WIDTH_MAX = 13, DEPTH_MAX = 4, ENTRY_MAX = 256 };

#define PROOF "nonce---" PUPPET_EPOCH "12345678"

static const char value[] = "the value that was stored";

static struct world {
    struct puppet puppet;
    struct later spin; /* so that no turn waits */
    struct l2_url url;
    struct l2_options options;
    uint8_t entry[ENTRY_MAX];
    const uint8_t *at, *end;
} world;

static uint8_t take(void)
{
    return world.at < world.end ? *world.at++ : 0;
}

/* ======= what is answered ======= */

static void put(struct buffer *out, const void *bytes, size_t size)
{
    CHECK(buffer_append(out, bytes, size) == 0);
}

static void put_line(struct buffer *out, char kind, const char *words)
{
    put(out, &kind, 1);
    put(out, words, strlen(words));
    put(out, "\r\n", 2);
}

static void put_bulk(struct buffer *out, struct slice bytes)
{
    char size[24];
    snprintf(size, sizeof(size), "%zu", bytes.size);
    put_line(out, '$', size);
    put(out, bytes.data, bytes.size);
    put(out, "\r\n", 2);
}

static const char *const numbers[] = {"0",
                                      "1",
                                      "-1",
                                      "5",
                                      "99",
                                      "100",
                                      "101",
                                      "102",
                                      "150",
                                      "1000000",
                                      "281474976710655",
                                      "281474976710656",
                                      "9223372036854775807",
                                      "-9223372036854775808"};
static const char *const words[] = {"OK",    "EXISTS", "NOT_FOUND",   "CONFLICT",   "REFUSED",
                                    "HIT",   "MISS",   "0",           "1",          "2",
                                    "101-0", "102-0",  "100-1",       "150-0",      "18446744073709551615-0",
                                    "-",     "{ns}:j", "{ns}:x",      "s",          "k",
                                    "K",     "t",      "T",           "p",          "a",
                                    "w",     "W",      "name:",       PUPPET_EPOCH, "epoch-2!",
                                    "100",   "",       "allkeys-lru", "LEASE",      "BUSY",
                                    "RESTS", PROOF};
static const char *const errors[] = {"EPOCH",   "SESSION", "NOSCRIPT", "WRONGTYPE x", "OOM", "BUSY",
                                     "LOADING", "ERR",     ""};

static void put_anything(struct buffer *out, unsigned depth)
{
    char count[8];
    unsigned kind = take() % 8, width = take();
    switch (kind) {
    case 0: put_line(out, ':', numbers[width % COUNT_OF(numbers)]); break;
    case 1:
    case 2: put_bulk(out, slice_text(words[width % COUNT_OF(words)])); break;
    case 3: put_line(out, '-', errors[width % COUNT_OF(errors)]); break;
    case 4: put_line(out, width % 2 ? '$' : '*', "-1"); break;
    case 5: put_bulk(out, slice_of(world.entry, width < 128 ? world.puppet.entry.size : width % 64)); break;
    default:
        width = depth < DEPTH_MAX ? width % WIDTH_MAX : 0;
        snprintf(count, sizeof(count), "%u", width);
        put_line(out, '*', count);
        for (unsigned i = 0; i < width; i++)
            put_anything(out, depth + 1);
    }
}

/* The honest answer with a byte or two changed. */
static void put_nearly(struct puppet *p, enum puppet_ask ask, struct buffer *out)
{
    size_t from = out->size;
    puppet_answer(p, ask, out);
    for (unsigned n = 1 + take() % 2; n > 0 && out->size > from; n--)
        out->data[from + take() % (out->size - from)] ^= (uint8_t)(1 + take() % 127);
}

static bool speak(struct puppet *p, enum puppet_ask ask, struct buffer *out)
{
    switch (world.at < world.end ? take() % 16 : 0) {
    case 11: return true; /* nothing */
    case 12:
    case 13: put_nearly(p, ask, out); return true;
    case 14:
    case 15: put_anything(out, 0); return true;
    default: return false;
    }
}

/* ======= what is done here ======= */

struct asked_read {
    struct tier_read read;
    unsigned done;
};

static void was_read(struct tier_read *read, int outcome)
{
    struct asked_read *a = CONTAINER_OF(read, struct asked_read, read);
    CHECK(a->done++ == 0);
    if (outcome == TIER_MISSED)
        return;
    CHECK(outcome == TIER_FOUND || (outcome == TIER_SAME && read->known.given));
    CHECK(read->at_v <= POSITION_MAX && read->entry.v <= read->at_v);
    if (outcome == TIER_FOUND)
        CHECK(slice_equal(read->entry.value, slice_text(value)));
}

struct asked_change {
    struct fleet_change change;
    struct entry entry;
    struct slice key;
    unsigned done;
};

static void was_changed(struct fleet_change *change)
{
    struct asked_change *a = CONTAINER_OF(change, struct asked_change, change);
    CHECK(a->done++ == 0);
    if (change->outcome == FLEET_COMMITTED)
        CHECK(change->v <= POSITION_MAX && change->epoch != 0);
    CHECK(change->outcome != FLEET_EXISTS || change->condition == FLEET_IF_ABSENT);
}

static void ask_read(struct l2 *l2, struct asked_read *a, unsigned how)
{
    struct tier *t = l2_fleet(l2)->tier;
    *a = (struct asked_read){.read = {.key = slice_text("k"), .exact = how == 1, .done = was_read}};
    a->read.known.given = how == 2;
    int outcome = t->ops->get(t, &a->read);
    if (outcome != TIER_PENDING)
        was_read(&a->read, outcome);
}

static void ask_change(struct l2 *l2, struct asked_change *a, unsigned how)
{
    uint64_t now_ns = l2_now(l2);
    *a = (struct asked_change){.key = slice_text("k")};
    a->entry = (struct entry){.key = a->key,
                              .value = slice_text(value),
                              .hard_ns = now_ns + NS_PER_S,
                              .soft_ns = now_ns + NS_PER_S};
    a->change = (struct fleet_change){.verb = (enum fleet_verb)(how % 4),
                                      .condition = (enum fleet_condition)(how / 4 % 4),
                                      .entry = &a->entry,
                                      .keys = &a->key,
                                      .done = was_changed};
    a->change.keys_count = a->change.verb == FLEET_INVALIDATE;
    if (l2_fleet(l2)->ops->commit(l2_fleet(l2), &a->change) == FLEET_DONE)
        was_changed(&a->change);
}

struct asked_lease {
    struct fleet_lease lease;
    unsigned done;
};

static void was_leased(struct fleet_lease *lease)
{
    struct asked_lease *a = CONTAINER_OF(lease, struct asked_lease, lease);
    CHECK(a->done++ == 0);
    CHECK(lease->outcome <= FLEET_LEASE_AWAY);
    CHECK(lease->outcome == FLEET_LEASE_AWAY || lease->v <= POSITION_MAX);
}

static void ask_lease(struct l2 *l2, struct asked_lease *a, unsigned how)
{
    struct fleet *fleet = l2_fleet(l2);
    *a = (struct asked_lease){.lease = {.key = slice_text("k"), .life_ns = NS_PER_S, .done = was_leased}};
    switch (how % 4) {
    case 0: fleet->ops->lease_keep(fleet, 0, a->lease.key, (const uint8_t *)PROOF, NS_PER_S); break;
    case 1:
        fleet->ops->lease_drop(fleet, 0, a->lease.key, (const uint8_t *)PROOF, how / 4 * NS_PER_MS);
        break;
    default:
        if (fleet->ops->lease(fleet, &a->lease) == FLEET_DONE)
            was_leased(&a->lease);
        return;
    }
    a->lease.done = NULL; /* nobody answers */
}

static void was_heard(void *user, unsigned partition, struct slice key)
{
    CHECK(partition == 0 && key.size > 0 && key.size <= WIRE_KEY_MAX);
}

static void tell_tail(void)
{
    struct buffer reply;
    if (!world.puppet.tail)
        return;
    buffer_init(&reply, 1 << 24);
    if (take() % 2) { /* nearly a record */
        static const char start[] = "*1\r\n*2\r\n$6\r\n{ns}:j\r\n*1\r\n*2\r\n";
        put(&reply, start, sizeof(start) - 1);
        put_bulk(&reply, slice_text(words[10 + take() % 6]));
        put_line(&reply, '*', "2");
        put_bulk(&reply, slice_text(words[18 + take() % 9]));
    }
    put_anything(&reply, 0);
    put(&reply, "", 1);
    puppet_tell(&world.puppet, (const char *)reply.data);
    buffer_finish(&reply);
}

/* ======= who listens ======= */

static void on_record(void *user, unsigned partition, const struct fleet_record *r)
{
    CHECK(partition == 0 && r->v <= POSITION_MAX &&
          (r->all || r->keys_count + r->tags_count + r->prefixes_count));
    for (unsigned i = 0; i < r->keys_count; i++)
        CHECK(r->keys[i].size > 0 && r->keys[i].size <= WIRE_KEY_MAX);
}

static void on_position(void *user, unsigned partition, uint64_t v)
{
    CHECK(partition == 0);
}

static void on_partition(void *user, unsigned partition)
{
    CHECK(partition == 0);
}

static void on_shown(void *user)
{
}

static const struct fleet_listener listener = {on_record, on_position, on_partition, on_position, on_shown};

/* ======= a run ======= */

static void spin(struct later *w)
{
    later_ask(world.puppet.loop, w);
}

static void make_entry(void)
{
    struct l2_entry e = {.key = slice_text("k"), .value = slice_text(value), .id = 3};
    uint64_t v = 100, born_ms = PUPPET_MS - 10;
    uint32_t life_ms = 60000;
    memcpy(world.entry, L2_RECORD_MAGIC, L2_RECORD_AT_EPOCH);
    memcpy(world.entry + L2_RECORD_AT_EPOCH, PUPPET_EPOCH, 8);
    memcpy(world.entry + L2_RECORD_AT_V, &v, 7);
    memcpy(world.entry + L2_RECORD_AT_BORN, &born_ms, 6);
    memcpy(world.entry + L2_RECORD_AT_SOFT, &life_ms, 4);
    memcpy(world.entry + L2_RECORD_AT_HARD, &life_ms, 4);
    size_t tail = l2_tail_encode(world.entry + L2_RECORD_TAIL, &e, UINT32_MAX);
    world.puppet.entry = slice_of(world.entry, L2_RECORD_TAIL + tail);
}

static void make_world(void)
{
    puppet_begin(&world.puppet, loop_create());
    later_init(&world.spin, spin);
    spin(&world.spin);
    CHECK(l2_url_parse("unix:/nowhere", &world.url) == 0);
    world.options = (struct l2_options){.enabled = true,
                                        .key_prefix = "",
                                        .partitions = 1,
                                        .connect_timeout = NS_PER_S,
                                        .command_timeout = NS_PER_S,
                                        .journal_length = 1000,
                                        .compress_min = 1024};
    world.puppet.speak = speak;
    make_entry();
    log_set_level(LOG_ERROR);
}

static void turn(unsigned times)
{
    while (times-- > 0)
        loop_run_once(world.puppet.loop);
}

static void act(struct l2 *l2, struct asked_read *read, struct asked_change *change,
                struct asked_lease *lease)
{
    unsigned what = take();
    switch (what % 8) {
    case 0:
    case 1:
    case 2: ask_read(l2, read, what % 8); break;
    case 3: tell_tail(); break;
    case 4: coherence_tick(l2->coherence, l2_now(l2)); break;
    case 5: read_give_up(l2); break;
    case 6: ask_lease(l2, lease, what / 8); break;
    default: ask_change(l2, change, what / 8); break;
    }
    turn(what / 8 % 3 ? TURNS : 1);
}

static void run(void)
{
    static struct asked_read reads[ACTIONS_MAX];
    static struct asked_change changes[ACTIONS_MAX];
    static struct asked_lease leases[ACTIONS_MAX];
    struct l2_setup setup = {.options = &world.options,
                             .loop = world.puppet.loop,
                             .url = &world.url,
                             .namespace = "ns",
                             .host = 1,
                             .value_max = 1 << 20,
                             .max_ttl_ns = NS_PER_S,
                             .detached_max_ns = NS_PER_S,
                             .listener = &listener};
    struct l2 *l2 = l2_create(&setup);
    struct l2_health health;
    memset(reads, 0, sizeof(reads));
    memset(changes, 0, sizeof(changes));
    memset(leases, 0, sizeof(leases));
    l2_fleet(l2)->heard = was_heard;
    world.puppet.v = 100;
    coherence_tick(l2->coherence, l2_now(l2)); /* the ticks are ours: no input waits for a timer */
    turn(TURNS_OF_START);
    for (unsigned i = 0; i < ACTIONS_MAX && world.at < world.end; i++)
        act(l2, &reads[i], &changes[i], &leases[i]);
    coherence_lost(l2->coherence, "the input ends", l2_now(l2));
    while (!node_ended(l2))
        turn(1);
    for (unsigned i = 0; i < ACTIONS_MAX; i++) {
        CHECK(!reads[i].read.done || reads[i].done == 1);
        CHECK(!changes[i].change.done || changes[i].done == 1);
        CHECK(!leases[i].lease.done || leases[i].done == 1);
    }
    l2_health(l2, &health);
    l2_destroy(l2);
    turn(2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!world.puppet.loop)
        make_world();
    world.at = data;
    world.end = data + size;
    run();
    return 0;
}

/* An honest start, then whatever the number makes of it. */
size_t fuzz_seed(unsigned n, uint8_t *room, size_t room_bytes)
{
    enum { HONEST = 19, PROGRAM = 60 };
    uint64_t state = n * 2654435761u + 1;
    size_t honest = n % 4 ? HONEST : 0, size = honest + PROGRAM;
    CHECK(size <= room_bytes);
    memset(room, 0, honest);
    for (size_t i = honest; i < size; i++) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        room[i] = (uint8_t)(state >> 56);
    }
    return size;
}
