/* What must stay true: shared memory is only touched through proto/shm_load.h, in the order R0 to R6 that the
 * essay in proto/shm.h argues for; nothing found there bounds an access before it was compared with the checked
 * copy of the shape; every loop has a constant bound or one given by the caller's key. */
#include "proto/shm_view.h"

#include <stdalign.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include "proto/shm_load.h"

/* ThreadSanitizer knows atomics but neither fences nor assembly: it gets the word loop, whose loads are all
 * atomics, and needs no fence to see that nothing races. */
#if defined(__SANITIZE_THREAD__)
#define SHM_COPY_WORDS 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SHM_COPY_WORDS 1
#endif
#endif
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wtsan"
#endif

#if defined(__x86_64__) && !defined(SHM_COPY_WORDS)
#include "proto/shm_copy_x86.h"
#else
#include "proto/shm_copy_words.h"
#endif

/* ---- hashes -------------------------------------------------------------------------------------------- */

uint64_t shm_hash_key(uint64_t secret, struct slice key)
{
    return XXH3_64bits_withSeed(key.data, key.size, secret);
}

static inline uint64_t hash_name(uint64_t secret, enum shm_name_kind kind, struct slice name)
{
    return XXH3_64bits_withSeed(name.data, name.size, secret + (uint64_t)kind * 0x9e3779b97f4a7c15ull);
}

uint64_t shm_hash_name(uint64_t secret, enum shm_name_kind kind, struct slice name)
{
    return hash_name(secret, kind, name);
}

uint32_t shm_partition(struct slice key, uint32_t partitions)
{
    if (partitions <= 1)
        return 0;
    return (uint32_t)((XXH3_64bits(key.data, key.size) >> 32) * partitions >> 32);
}

struct slice shm_prefix(struct slice key, unsigned n)
{
    const char *text = key.data, *end = text + key.size;
    for (const char *at = text; at < end; at++)
        if (*at == ':' && n-- == 0)
            return slice_of(text, (size_t)(at + 1 - text));
    return slice_of(text, 0);
}

/* ---- attach -------------------------------------------------------------------------------------------- */

static bool region_fits(const struct shm_shape *s, uint64_t offset, uint64_t bytes)
{
    return offset % SHM_PAGE == 0 && offset >= SHM_PAGE && offset <= s->total_bytes &&
           bytes <= s->total_bytes - offset;
}

static const char *shape_fault(const struct shm_shape *s, size_t size)
{
    if (s->magic != SHM_MAGIC)
        return "not a segment";
    if (s->abi != SHM_ABI)
        return "a segment of another version";
    if (s->total_bytes > size || s->total_bytes > 32ull << 30)
        return "larger than the file it lies in";
    if (s->partitions < 1 || s->partitions > SHM_PARTITIONS)
        return "partitions out of range";
    if (s->segment_shift < SHM_SEGMENT_SHIFT_MIN || s->segment_shift > SHM_SEGMENT_SHIFT_MAX)
        return "segment size out of range";
    if (s->bucket_count < 2 || s->segment_count < 1)
        return "no room for entries";
    if (!region_fits(s, s->cells_offset, SHM_CELLS * sizeof(au64)) ||
        !region_fits(s, s->gens_offset, (uint64_t)s->segment_count * sizeof(au64)) ||
        !region_fits(s, s->buckets_offset, (uint64_t)s->bucket_count * SHM_LINE) ||
        !region_fits(s, s->segments_offset, (uint64_t)s->segment_count << s->segment_shift))
        return "offsets and counts do not fit together";
    return NULL;
}

/* How far the clock of readers may be behind.  The coarse clock is up to a tick old by design and was measured up
 * to 1.5 ticks old on a virtual machine, for half of all readings: two are counted. */
static uint64_t clock_lag_ns(bool boottime)
{
    struct timespec t = {0, 10000000}; /* the coarsest tick there is, should the call fail */
    clock_getres(boottime ? CLOCK_BOOTTIME : CLOCK_MONOTONIC_COARSE, &t);
    return 2 * ((uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec);
}

static bool refuse(const char **ret_why, const char *why)
{
    if (ret_why)
        *ret_why = why;
    return false;
}

bool shm_view_init(struct shm_view *v, const void *base, size_t size, const char **ret_why)
{
    *v = (struct shm_view){0};
    if (!base || (uintptr_t)base % alignof(struct shm_header) || size < SHM_PAGE)
        return refuse(ret_why, "too small for a segment");
    struct shm_shape s;
    memcpy(&s, base, sizeof(s));
    const char *fault = shape_fault(&s, size);
    if (fault)
        return refuse(ret_why, fault);
    s.namespace[sizeof(s.namespace) - 1] = 0;
    const uint8_t *b = base;
    *v = (struct shm_view){
        .base = b,
        .header = base,
        .cells = (const au64 *)(const void *)(b + s.cells_offset),
        .gens = (const au64 *)(const void *)(b + s.gens_offset),
        .buckets = (const au64 *)(const void *)(b + s.buckets_offset),
        .shape = s,
        .clock_lag_ns = clock_lag_ns(s.boottime_clock != 0),
    };
    return true;
}

/* ---- R0: promises, before anything they vouch for -------------------------------------------------------- */

static inline void take_promises(const struct shm_view *v, struct shm_peek *p, struct shm_found *f)
{
    const struct shm_header *h = v->header;
    f->partition = (uint8_t)shm_partition(p->key, v->shape.partitions);
    p->fresh_until = SHM_ACQUIRE(&h->fresh_until[f->partition]);
    p->alive_until = SHM_ACQUIRE(&h->alive_until);
    p->mode = SHM_ACQUIRE(&h->mode);
    p->sweeps = SHM_ACQUIRE(&h->sweeps);
}

/* ---- R3, R4: was the copy whole -------------------------------------------------------------------------- */

static inline bool unchanged(const struct shm_peek *p)
{
    SHM_FENCE();                                                                   /* R3 */
    return SHM_RELAXED(p->gen_at) == p->gen && SHM_RELAXED(p->slot_at) == p->slot; /* R4 */
}

/* ---- R1, R2: find the item ------------------------------------------------------------------------------- */

enum look { LOOK_NO, LOOK_YES, LOOK_RACE };

/* Tag fingerprints and schema, by the word: the second half of the last one may be the key's first bytes. */
static inline void copy_prints(struct shm_peek *p, const au64 *from, unsigned count)
{
    for (unsigned i = 0; i < count; i += 2) {
        uint64_t pair = SHM_RELAXED(from + i / 2);
        p->prints[i] = (uint32_t)pair;
        p->prints[i + 1] = (uint32_t)(pair >> 32);
    }
}

static inline void copy_head(struct shm_peek *p, struct shm_found *f, const struct shm_item *item,
                             uint64_t shape)
{
    unsigned bits = shm_item_bits(shape);
    p->born = SHM_ACQUIRE(&item->born); /* before life: see R1 in shm.h */
    p->life = SHM_RELAXED(&item->life);
    p->prints_count = shm_item_tags(shape);
    copy_prints(p, (const au64 *)(item + 1), p->prints_count + (bits & SHM_ITEM_SCHEMA ? 1 : 0));
    f->v = SHM_RELAXED(&item->v);
    f->value_bytes = shm_item_value_bytes(shape);
    f->user_flags = (uint32_t)(p->born >> 32);
    f->schema = bits & SHM_ITEM_SCHEMA ? p->prints[p->prints_count] : 0;
    f->id = shm_item_id(shape);
    f->policy = (uint8_t)shm_item_policy(shape);
    f->absent = bits & SHM_ITEM_ABSENT;
}

static inline enum look look_item(struct shm_peek *p, struct shm_found *f, const uint8_t *at, uint64_t room)
{
    const struct shm_item *item = (const struct shm_item *)(const void *)at;
    if (room < sizeof(*item))
        return LOOK_NO;
    uint64_t shape = SHM_RELAXED(&item->shape);
    if (shm_item_key_bytes(shape) != p->key.size || shm_item_tags(shape) > SHM_TAGS_MAX ||
        shm_item_bytes(shape) > room)
        return LOOK_NO;
    const uint8_t *key = at + shm_item_key_offset(shape);
    if (!shm_same(key, p->key.data, p->key.size))
        return LOOK_NO;
    copy_head(p, f, item, shape);
    p->value = key + p->key.size;
    return LOOK_YES;
}

static inline enum look look_slot(const struct shm_view *v, struct shm_peek *p, struct shm_found *f,
                                  const au64 *slot_at, uint64_t slot)
{
    const struct shm_shape *s = &v->shape;
    uint64_t offset =
        shm_slot_offset(slot) - s->segments_offset; /* wraps when too small, and fails the next test */
    uint64_t segment = offset >> s->segment_shift;
    if (segment >= s->segment_count)
        return LOOK_NO;
    const uint8_t *at = v->base + s->segments_offset + offset;
    p->slot_at = slot_at;
    p->slot = slot;
    p->gen_at = v->gens + segment;
    p->gen = SHM_ACQUIRE(p->gen_at);
    if (SHM_ACQUIRE(slot_at) != slot) /* R2 */
        return LOOK_RACE;
    if ((uint16_t)p->gen != shm_slot_gen(slot))
        return LOOK_NO;
    uint64_t room = ((segment + 1) << s->segment_shift) - offset;
    enum look found = look_item(p, f, at, room);
    return found == LOOK_YES || unchanged(p) ? found
                                             : LOOK_RACE; /* not this key, or it moved on under the reader */
}

static inline enum look look_bucket(const struct shm_view *v, struct shm_peek *p, struct shm_found *f,
                                    uint32_t bucket, uint16_t tag)
{
    const au64 *slots = v->buckets + (uint64_t)bucket * SHM_SLOTS;
    for (unsigned found = shm_match(slots, tag); found; found &= found - 1) {
        unsigned i = (unsigned)__builtin_ctz(found);
        uint64_t slot = SHM_RELAXED(slots + i);
        if (shm_slot_tag(slot) != tag || slot == 0)
            continue;
        enum look looked = look_slot(v, p, f, slots + i, slot);
        if (looked == LOOK_NO)
            continue;
        f->slot_number = bucket * SHM_SLOTS + i;
        f->tag = tag;
        return looked;
    }
    return LOOK_NO;
}

static inline enum look look(const struct shm_view *v, struct shm_peek *p, struct shm_found *f, uint64_t hash)
{
    uint32_t buckets[2];
    shm_buckets(hash, v->shape.bucket_count, buckets);
    __builtin_prefetch(v->buckets + (uint64_t)buckets[1] * SHM_SLOTS);
    enum look found = LOOK_NO;
    for (unsigned i = 0; i < 2 && found == LOOK_NO; i++)
        found = look_bucket(v, p, f, buckets[i], shm_tag(hash));
    return found;
}

/* ---- R5: was it invalidated ------------------------------------------------------------------------------ */

static inline bool print_killed(const struct shm_view *v, uint32_t print, uint32_t born)
{
    return shm_cell_kills(SHM_RELAXED(v->cells + shm_cell_index(print)), print, born);
}

static bool cells_kill(const struct shm_view *v, const struct shm_peek *p)
{
    uint32_t born = (uint32_t)p->born;
    for (unsigned i = 0; i < p->prints_count; i++)
        if (print_killed(v, p->prints[i], born))
            return true;
    const char *text = p->key.data;
    unsigned levels = 0;
    for (size_t i = 0; i < p->key.size && levels < SHM_PREFIX_LEVELS; i++) {
        if (text[i] != ':')
            continue;
        levels++;
        uint64_t name = hash_name(v->shape.hash_secret, SHM_NAME_PREFIX, slice_of(text, i + 1));
        if (print_killed(v, shm_fingerprint(name), born))
            return true;
    }
    return false;
}

enum { NOTHING_AGAINST_IT = -1 };

static inline int killed(const struct shm_view *v, const struct shm_peek *p)
{
    const struct shm_header *h = v->header;
    uint32_t born = (uint32_t)p->born;
    if (born < SHM_ACQUIRE(&h->floor_seq))
        return SHM_ASK_FLOOR;
    if (p->life & SHM_LIFE_LOCAL && born < SHM_ACQUIRE(&h->local_floor))
        return SHM_ASK_FLOOR;
    if (born < SHM_ACQUIRE(&h->last_kill) && cells_kill(v, p))
        return SHM_ASK_KILLED;
    SHM_FENCE();
    return SHM_RELAXED(&h->sweeps) == p->sweeps ? NOTHING_AGAINST_IT : SHM_ASK_RACE;
}

/* ---- R6: the clock, last ----------------------------------------------------------------------------------- */

/* CLOCK_BOOTTIME, never behind it: what the clock may lag is counted against the reader. */
static inline uint64_t now_ns(const struct shm_view *v)
{
    bool boottime = v->shape.boottime_clock;
    uint64_t shift = boottime ? 0 : SHM_ACQUIRE(&v->header->boot_minus_mono);
    struct timespec t;
    SHM_CLOCK(boottime ? CLOCK_BOOTTIME : CLOCK_MONOTONIC_COARSE, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec + shift + v->clock_lag_ns;
}

static inline bool owner_alive(const struct shm_view *v)
{
    const struct shm_header *h = v->header;
    return !(SHM_ACQUIRE(&h->owner) & SHM_OWNER_DIED) && SHM_ACQUIRE(&h->state) == SHM_OPEN;
}

/* Past the fence's promise: only a detached daemon may still be believed, and the caller is told. */
static inline int suspect(const struct shm_view *v, const struct shm_peek *p, struct shm_found *f)
{
    bool serving = f->local || f->now_ns < SHM_ACQUIRE(&v->header->serve_until);
    if (p->mode != SHM_DETACHED || !serving)
        return SHM_ASK_SUSPECT;
    f->detached = true;
    return NOTHING_AGAINST_IT;
}

static inline int outdated(const struct shm_view *v, const struct shm_peek *p, struct shm_found *f)
{
    uint64_t base = v->shape.base_boot_ns;
    f->hard_ns = base + (uint64_t)shm_life_hard(p->life) * SHM_TICK_NS;
    f->soft_ns = base + (uint64_t)shm_life_soft(p->life) * SHM_TICK_NS;
    f->stale = p->life & SHM_LIFE_STALE;
    f->local = p->life & SHM_LIFE_LOCAL;
    f->detached = false;
    f->now_ns = now_ns(v);
    if (!owner_alive(v) || f->now_ns >= p->alive_until)
        return SHM_ASK_DEAD;
    if (f->now_ns >= f->hard_ns)
        return SHM_ASK_EXPIRED;
    if (f->now_ns >= p->fresh_until || f->local) {
        int reason = suspect(v, p, f);
        if (reason != NOTHING_AGAINST_IT)
            return reason;
    }
    return f->now_ns >= f->soft_ns ? SHM_ASK_REFRESH : NOTHING_AGAINST_IT;
}

/* ---- the three together ------------------------------------------------------------------------------------ */

/* R3 to R6: what speaks against the copy. */
static inline int objection(const struct shm_view *v, const struct shm_peek *p, struct shm_found *f)
{
    if (!unchanged(p))
        return SHM_ASK_RACE;
    int reason = killed(v, p);
    return reason != NOTHING_AGAINST_IT ? reason : outdated(v, p, f);
}

static int ask(struct shm_found *f, enum shm_ask reason)
{
    f->reason = reason;
    return SHM_ASK;
}

/* R0 to R2.  Found: LOOK_YES. */
static inline enum look begin(const struct shm_view *v, struct shm_peek *p, struct shm_found *f,
                              uint64_t hash)
{
    take_promises(v, p, f);
    return look(v, p, f, hash);
}

int shm_get(const struct shm_view *v, struct slice key, uint64_t hash, void *buffer, size_t capacity,
            struct shm_found *ret)
{
    struct shm_peek p;
    p.key = key;
    for (int attempt = 0; attempt < SHM_ATTEMPTS; attempt++) {
        enum look found = begin(v, &p, ret, hash);
        if (found == LOOK_NO)
            return ask(ret, SHM_ASK_NOT_FOUND);
        if (found == LOOK_RACE)
            continue;
        bool fits = ret->value_bytes <= capacity;
        if (fits)
            shm_copy(buffer, p.value, ret->value_bytes);
        int reason = objection(v, &p, ret);
        if (reason == NOTHING_AGAINST_IT)
            return fits ? SHM_HIT : SHM_SMALL;
        if (reason != SHM_ASK_RACE)
            return ask(ret, (enum shm_ask)reason);
    }
    return ask(ret, SHM_ASK_RACE);
}

int shm_peek(const struct shm_view *v, struct slice key, uint64_t hash, struct shm_peek *ret)
{
    ret->key = key;
    for (int attempt = 0; attempt < SHM_ATTEMPTS; attempt++) {
        enum look found = begin(v, ret, &ret->found, hash);
        if (found == LOOK_YES)
            return SHM_HIT;
        if (found == LOOK_NO)
            return ask(&ret->found, SHM_ASK_NOT_FOUND);
    }
    return ask(&ret->found, SHM_ASK_RACE);
}

bool shm_validate(const struct shm_view *v, struct shm_peek *p)
{
    int reason = objection(v, p, &p->found);
    if (reason == NOTHING_AGAINST_IT)
        return true;
    p->found.reason = (enum shm_ask)reason;
    return false;
}

bool shm_alive(const struct shm_view *v)
{
    uint64_t alive_until = SHM_ACQUIRE(&v->header->alive_until);
    return now_ns(v) < alive_until && owner_alive(v);
}

void shm_prefetch(const struct shm_view *v, uint64_t hash)
{
    uint32_t buckets[2];
    shm_buckets(hash, v->shape.bucket_count, buckets);
    __builtin_prefetch(v->buckets + (uint64_t)buckets[0] * SHM_SLOTS);
    __builtin_prefetch(v->buckets + (uint64_t)buckets[1] * SHM_SLOTS);
}

/* Where key and value lie is in the item's first word: asked for one after the other their lines would come one after the
 * other.  A prefetch never faults, so the item's end need not be known. */
static inline void expect_item(const uint8_t *at)
{
    __builtin_prefetch(at);
    __builtin_prefetch(at + SHM_LINE);
    __builtin_prefetch(at + 2 * (size_t)SHM_LINE);
}

static bool expect_bucket(const struct shm_view *v, uint32_t bucket, uint16_t tag)
{
    const au64 *slots = v->buckets + (uint64_t)bucket * SHM_SLOTS;
    for (unsigned found = shm_match(slots, tag); found; found &= found - 1) {
        unsigned i = (unsigned)__builtin_ctz(found);
        uint64_t slot = SHM_RELAXED(slots + i);
        if (shm_slot_tag(slot) == tag && slot != 0 && shm_slot_offset(slot) < v->shape.total_bytes) {
            expect_item(v->base + shm_slot_offset(slot));
            return true;
        }
    }
    return false;
}

void shm_prefetch_item(const struct shm_view *v, uint64_t hash)
{
    uint32_t buckets[2];
    shm_buckets(hash, v->shape.bucket_count, buckets);
    if (!expect_bucket(v, buckets[0], shm_tag(hash)))
        expect_bucket(v, buckets[1], shm_tag(hash));
}
