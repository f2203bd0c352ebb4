/* The shared L1 segment: the second wire.  Every byte that daemon and readers agree on is fixed here.
 *
 * WHO TOUCHES WHAT.  One process, the daemon, and in it one thread, the loop, writes.  Any number of reader
 * processes map the segment read-only (the memfd is sealed FUTURE_WRITE, SHRINK, GROW and SEAL, so a reader
 * can neither write to it nor be shot by a truncation).  Readers write nothing, take no lock and call nothing;
 * a reader can be killed or frozen at any instruction, and so can the writer, and neither leaves anything
 * behind that the other could wait for.
 *
 * WHY A COPY IS WHOLE.  Items lie in append-only segments.  A segment's bytes change in two ways only: an
 * item is appended behind all published ones, or the whole segment is recycled.
 *
 *   writer, publish:  item words (relaxed) → slot = new word (release)                               [W1]
 *   writer, recycle:  slots that name the segment = 0 (relaxed) → gen + 1 (release) [W2]
 *                     → fence (release) [W3] → item words of the next use (relaxed)
 *   reader:           slot (relaxed) → gen (acquire) → slot again (acquire), equal                   [R2]
 *                     → item words (relaxed) → fence (acquire) [R3] → gen and slot, both unchanged   [R4]
 *
 * If any item word the reader copied was stored after W3, then the fences W3 and R3 synchronise and R4 sees
 * the new gen: the copy is thrown away.  gen is a 64-bit counter compared whole, so a reader frozen for a
 * week is not fooled by a wrap.  R2 ties the slot word to the generation that was read before it; slots are
 * cleared before W2, so a slot word of an older life cannot be taken for one of the present generation.
 * A live key never changes its slot: an update or a move stores a new word into the same slot, so a lookup
 * cannot pass a key in motion.  R4's second half (slot unchanged) makes a get that overlaps an update or a
 * removal of its key come back empty-handed instead of with the old value; nothing else depends on that half
 * (the model finds no schedule that needs it).
 *
 * WHY A HIT IS CURRENT.  Besides the bytes, a hit depends on words of the header.  Their order matters on
 * every machine, because it is program order that is wrong when it is wrong (tests/model/reader_order.c walks
 * all interleavings):
 *
 *   R0 before the lookup: fresh_until[partition], alive_until, mode, sweeps (acquire).
 *      Taken later, a promise made *after* the daemon applied a kill would vouch for a copy made *before* it.
 *   R1–R4 as above; the two mutable words are part of the copy, born (acquire) before life: a survivor of a soft
 *      kill gets its new life first and its new born second, so that a new born never comes with an old life.
 *   R5 floor_seq, last_kill (acquire): born < floor_seq → ask.  born < last_kill → the item's own kill cells.
 *      LOCAL and born < local_floor → ask.  Then a fence (acquire) and sweeps, unchanged since R0: cells are only
 *      cleared after the dead they stand for have lost their slots, but a reader that copied such an item, slept
 *      through the rest of the sweep and looked at the cells afterwards would find nothing against it.
 *   R6 the clock last, so that no pause of the reader can stretch a promise: owner dead, state not OPEN,
 *      now ≥ alive_until, past hard, or past soft → ask.  Past fresh_until: only while mode was DETACHED and
 *      now < serve_until, and flagged.  LOCAL entries only while mode was DETACHED, but then beyond serve_until
 *      too: they are no older than detached_max by themselves.
 *
 *   writer: effect (slot or cell) → last_kill (release) → reply to whoever asked for it
 *           dead dropped, survivors' life → their born (release) → sweeps + 1 (release) → fence (release)
 *                                                              → cells = 0, last_kill = 0 (relaxed)
 *           all effects up to V → fresh_until (release)
 *           serve_until → mode = DETACHED;   local_floor → mode ≠ DETACHED
 *
 * "Ask" is never a miss: it sends the reader to the daemon, which decides exactly.
 *
 * WHY NOBODY TRUSTS ANYBODY.  A reader takes every number that bounds an access from a copy made and checked
 * at attach time; offsets and lengths found in slots and items are compared with those before each use.  A
 * segment of random bytes gives "ask", never a crash and never a loop: all loops here have constant bounds.
 *
 * CLOCK.  The daemon promises in CLOCK_BOOTTIME.  Readers use CLOCK_MONOTONIC_COARSE + boot_minus_mono, which
 * costs 5 ns instead of 23, and count two ticks against themselves in every comparison (one by design, and up to
 * 1.5 were measured). */
#ifndef LARDER_PROTO_SHM_H
#define LARDER_PROTO_SHM_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "proto/slice.h"

typedef _Atomic uint64_t au64;

#define SHM_MAGIC       0x314c52454452414cull /* "LARDERL1" */
#define SHM_TOUCH_MAGIC 0x484354524544524cull /* "LRDERTCH" */

enum {
    SHM_ABI = 1,
    SHM_LINE = 64,
    SHM_PAGE = 4096,
    SHM_SLOTS = 8,            /* slots a bucket: one cache line */
    SHM_PARTITIONS = 64,      /* positions are per partition; a namespace has 1 to 64 */
    SHM_CELLS = 65536,        /* kill cells, 512 KiB */
    SHM_ATTEMPTS = 4,         /* lookups that lost a race before the socket is asked */
    SHM_PREFIX_LEVELS = 8,    /* = WIRE_PREFIX_LEVELS */
    SHM_TAGS_MAX = 16,        /* = WIRE_TAGS_MAX */
    SHM_POLICIES = 64,        /* hit counters a stripe */
    SHM_STRIPES = 64,
    SHM_TOUCHES = 256,        /* touch slots a stripe */
    SHM_SEGMENT_SHIFT_MIN = 15,
    SHM_SEGMENT_SHIFT_MAX = 18, /* 256 KiB; an item fills at most a quarter of a segment */
};

/* ---- header ------------------------------------------------------------------------------------------- */

enum shm_state { SHM_STARTING = 0, SHM_OPEN = 1, SHM_CLOSED = 2 };
/* The same numbers as enum wire_mode. */
enum shm_mode { SHM_STANDALONE = 0, SHM_FRESH = 1, SHM_SUSPECT = 2, SHM_DETACHED = 3 };

/* Written before the memfd is sealed, never after.  Offsets count from the start of the segment and are
 * multiples of SHM_PAGE. */
struct shm_shape {
    uint64_t magic;
    uint32_t abi;
    uint32_t partitions;
    uint64_t total_bytes;
    uint64_t incarnation;
    uint64_t hash_secret;
    uint64_t base_boot_ns;    /* tick 0 of all life words, CLOCK_BOOTTIME */
    uint64_t cells_offset;
    uint64_t gens_offset;
    uint64_t buckets_offset;
    uint64_t segments_offset;
    uint32_t bucket_count;
    uint32_t segment_count;
    uint32_t segment_shift;
    uint32_t boottime_clock;  /* 1: readers must use CLOCK_BOOTTIME */
    char namespace[64];
    uint64_t epochs[SHM_PARTITIONS]; /* E of every item in here, by partition */
};

struct shm_header {
    struct shm_shape shape; /* lines 0-10 */
    uint8_t pad0[11 * SHM_LINE - sizeof(struct shm_shape)];
    /* Line 11: the daemon's loop thread holds this robust mutex as long as it lives.  When it dies the kernel
     * sets FUTEX_OWNER_DIED in the first word, about 50 µs after a SIGKILL. */
    _Atomic uint32_t owner;
    uint8_t owner_rest[60];
    /* Line 12: written every 10 to 50 ms. */
    au64 alive_until;     /* CLOCK_BOOTTIME ns; past it the daemon is stopped or hung */
    au64 boot_minus_mono; /* ns, two's complement */
    au64 state;
    au64 mode;
    au64 serve_until;
    uint8_t pad4[24];
    /* Line 13: written by invalidations. */
    au64 floor_seq;
    au64 local_floor;
    au64 last_kill;
    au64 sweeps; /* how often cells were cleared: a reader that saw it change has lost a race */
    uint8_t pad5[32];
    /* Lines 14-21: one promise a partition. */
    au64 fresh_until[SHM_PARTITIONS]; /* CLOCK_BOOTTIME ns; UINT64_MAX in STANDALONE */
};

static_assert(sizeof(struct shm_shape) <= 11 * SHM_LINE, "contract: shm.h");
static_assert(offsetof(struct shm_header, owner) == 11 * SHM_LINE, "contract: shm.h");
static_assert(offsetof(struct shm_header, alive_until) == 12 * SHM_LINE, "contract: shm.h");
static_assert(offsetof(struct shm_header, floor_seq) == 13 * SHM_LINE, "contract: shm.h");
static_assert(offsetof(struct shm_header, fresh_until) == 14 * SHM_LINE, "contract: shm.h");
static_assert(sizeof(struct shm_header) == 22 * SHM_LINE, "contract: shm.h");

#define SHM_OWNER_DIED 0x40000000u

/* ---- slots -------------------------------------------------------------------------------------------- */

/* tag:16 | gen:16 | location:32.  0 is empty.  The location counts 8 bytes from the start of the segment file,
 * so 32 GiB can be addressed; the gen bits only filter, the full generation is compared separately. */
static inline uint64_t shm_slot(uint16_t tag, uint64_t gen, uint64_t offset)
{
    return (uint64_t)tag << 48 | (gen & 0xffff) << 32 | offset >> 3;
}

static inline uint16_t shm_slot_tag(uint64_t slot)
{
    return (uint16_t)(slot >> 48);
}

static inline uint16_t shm_slot_gen(uint64_t slot)
{
    return (uint16_t)(slot >> 32);
}

static inline uint64_t shm_slot_offset(uint64_t slot)
{
    return (slot & 0xffffffffu) << 3;
}

/* ---- items -------------------------------------------------------------------------------------------- */

/* Four words, then tag fingerprints (4 B each), the schema (4 B, only with SHM_ITEM_SCHEMA), key and value
 * packed without padding; the whole is rounded up to 8.
 *
 *   shape: value bytes 17 | key bytes - 1  10 | tags 5 | policy 6 | bits 2 | id 24
 *   life:  hard 31 | soft 31 | STALE | LOCAL     in 1/64 s since base_boot_ns, rounded down; may be rewritten
 *   born:  kill sequence at insertion 32 | user flags 32                        may be rewritten
 *   v:     position in the partition
 *
 * life and born are the only words of a published item that change, each by one store. */
struct shm_item {
    au64 shape;
    au64 life;
    au64 born;
    au64 v;
};
static_assert(sizeof(struct shm_item) == 32, "contract: shm.h");

enum { SHM_ITEM_ABSENT = 1, SHM_ITEM_SCHEMA = 2 };

static inline uint64_t shm_item_shape(uint32_t value_bytes, uint32_t key_bytes, unsigned tags, unsigned policy,
                                      unsigned bits, uint32_t id)
{
    return (uint64_t)value_bytes | (uint64_t)(key_bytes - 1) << 17 | (uint64_t)tags << 27 | (uint64_t)policy << 32 |
           (uint64_t)bits << 38 | (uint64_t)id << 40;
}

static inline uint32_t shm_item_value_bytes(uint64_t shape)
{
    return (uint32_t)(shape & 0x1ffff);
}

static inline uint32_t shm_item_key_bytes(uint64_t shape)
{
    return (uint32_t)(shape >> 17 & 0x3ff) + 1;
}

static inline unsigned shm_item_tags(uint64_t shape)
{
    return (unsigned)(shape >> 27 & 0x1f);
}

static inline unsigned shm_item_policy(uint64_t shape)
{
    return (unsigned)(shape >> 32 & 0x3f);
}

static inline unsigned shm_item_bits(uint64_t shape)
{
    return (unsigned)(shape >> 38 & 3);
}

static inline uint32_t shm_item_id(uint64_t shape)
{
    return (uint32_t)(shape >> 40);
}

/* Where the key begins, and how many bytes the item takes in its segment. */
static inline uint32_t shm_item_key_offset(uint64_t shape)
{
    bool schema = shm_item_bits(shape) & SHM_ITEM_SCHEMA;
    return (uint32_t)sizeof(struct shm_item) + 4 * (shm_item_tags(shape) + schema);
}

static inline uint32_t shm_item_bytes(uint64_t shape)
{
    return (shm_item_key_offset(shape) + shm_item_key_bytes(shape) + shm_item_value_bytes(shape) + 7) & ~7u;
}

#define SHM_TICK_NS     15625000u /* 1/64 s */
#define SHM_TICKS_MAX   0x7fffffffu
#define SHM_LIFE_STALE  (1ull << 62)
#define SHM_LIFE_LOCAL  (1ull << 63)

static inline uint64_t shm_life(uint32_t hard, uint32_t soft, uint64_t bits)
{
    return (uint64_t)hard | (uint64_t)soft << 31 | bits;
}

static inline uint32_t shm_life_hard(uint64_t life)
{
    return (uint32_t)(life & SHM_TICKS_MAX);
}

static inline uint32_t shm_life_soft(uint64_t life)
{
    return (uint32_t)(life >> 31 & SHM_TICKS_MAX);
}

/* ---- kill cells --------------------------------------------------------------------------------------- */

/* fingerprint 32 | seq 32.  A cell kills an item that carries its fingerprint (or any, for SHM_KILL_ANY: two
 * live names share the cell) and was born before its seq.  For a reader "killed" means "ask the daemon". */
#define SHM_KILL_ANY 0xffffffffu

static inline uint64_t shm_cell(uint32_t fingerprint, uint32_t seq)
{
    return (uint64_t)fingerprint << 32 | seq;
}

static inline uint32_t shm_cell_index(uint32_t fingerprint)
{
    return fingerprint & (SHM_CELLS - 1);
}

static inline bool shm_cell_kills(uint64_t cell, uint32_t fingerprint, uint32_t born)
{
    uint32_t owner = (uint32_t)(cell >> 32);
    return (uint32_t)cell > born && (owner == fingerprint || owner == SHM_KILL_ANY);
}

/* ---- hashes ------------------------------------------------------------------------------------------- */

/* XXH3 (Yann Collet, xxHash), keyed with the secret of the state directory. */
uint64_t shm_hash_key(uint64_t secret, struct slice key);
enum shm_name_kind { SHM_NAME_TAG = 1, SHM_NAME_PREFIX = 2 };
uint64_t shm_hash_name(uint64_t secret, enum shm_name_kind kind, struct slice name);

/* The fingerprint of a name: its hash's low half, never SHM_KILL_ANY and never 0. */
static inline uint32_t shm_fingerprint(uint64_t name_hash)
{
    uint32_t fp = (uint32_t)name_hash;
    return fp == 0 || fp == SHM_KILL_ANY ? 1 : fp;
}

/* Two-choice placement: the two buckets of a key (never the same one) and its slot tag.  Multiply-shift
 * instead of a mask, so that the table can have any size (Lemire, "fast alternative to modulo"). */
static inline void shm_buckets(uint64_t hash, uint32_t bucket_count, uint32_t ret[2])
{
    uint32_t a = (uint32_t)((hash >> 32) * bucket_count >> 32);
    uint32_t b = (uint32_t)((hash * 0x9e3779b97f4a7c15ull >> 32) * bucket_count >> 32);
    if (b == a)
        b = a + 1 == bucket_count ? 0 : a + 1;
    ret[0] = a;
    ret[1] = b;
}

static inline uint16_t shm_tag(uint64_t hash)
{
    return (uint16_t)hash;
}

/* Which partition's positions and promises a key belongs to.  Not keyed with the secret: the fleet must agree. */
uint32_t shm_partition(struct slice key, uint32_t partitions);

/* The prefix of `key` that ends with its n-th ':' (n from 0), or an empty slice. */
struct slice shm_prefix(struct slice key, unsigned n);

/* ---- touch page --------------------------------------------------------------------------------------- */

/* One memfd a client, made by the daemon, written by the client, believed by nobody.  A thread owns a stripe
 * and stores into it with relaxed stores only it makes; the daemon reads the counters and swaps the touch slots
 * back to 0 now and then.  A lost touch costs a little recency, never more.
 *
 * What other sizes of memory would do is learnt from a sample of keys, those with tags below `watch_below` (the daemon's to
 * set, 0 for none).  Among all others their touches would be lost where readers are fast, so they have places of their
 * own; the daemon has fewer keys watched when those become crowded.
 *
 * HOW LONG HITS TAKE.  Each thread measures one of SHM_TOOK_EVERY of its hits, and adds its time to the page: log-linear, four
 * steps a power of two, so a cell is right to 25 %.  Added to so rarely that all threads share it, with atomic additions. */
struct shm_stripe {
    au64 hits[SHM_POLICIES];    /* exact as long as at most SHM_STRIPES threads of the client are alive */
    au64 touched[SHM_TOUCHES];  /* slot number 32 | slot tag 16 | 1; by slot number, so repeats store nothing */
    au64 watched[SHM_TOUCHES];  /* the same, of watched keys alone */
};

enum { SHM_TOOK_EVERY = 1024, SHM_TOOK_CELLS = 128 };

struct shm_touch_page {
    uint64_t magic;
    uint32_t abi;
    _Atomic uint32_t stripes_used; /* only ever grows */
    _Atomic uint32_t watch_below;  /* stored by the daemon */
    uint8_t pad[SHM_LINE - 32];
    au64 took_ns; /* the sum of what is counted in `took` */
    au64 took[SHM_TOOK_CELLS];
    struct shm_stripe stripes[SHM_STRIPES];
};
static_assert(sizeof(struct shm_stripe) == 4608, "contract: shm.h");
static_assert(offsetof(struct shm_touch_page, took) == SHM_LINE, "contract: shm.h");
static_assert(sizeof(struct shm_touch_page) == 64 + 8 * 128 + 64 * 4608, "contract: shm.h");

static inline uint64_t shm_touch(uint32_t slot_number, uint16_t tag)
{
    return (uint64_t)slot_number << 32 | (uint64_t)tag << 16 | 1;
}

static inline unsigned shm_took_cell(uint64_t ns)
{
    if (ns < 4)
        return (unsigned)ns;
    unsigned shift = 61 - (unsigned)__builtin_clzll(ns);
    unsigned cell = (shift + 1) * 4 + (unsigned)(ns >> shift & 3);
    return cell < SHM_TOOK_CELLS ? cell : SHM_TOOK_CELLS - 1;
}

/* The longest time a cell counts. */
static inline uint64_t shm_took_end(unsigned cell)
{
    return cell < 4 ? cell : ((uint64_t)(5 + cell % 4) << (cell / 4 - 1)) - 1;
}

#endif
