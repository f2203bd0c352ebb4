/* Layout: struct head, tag hashes, their names (format 2: what is left of the size), key, value; no padding, byte order of
 * the machine (the file never leaves it).
 * The checksum is XXH3 over everything behind it. */
#include "warm/record.h"

#include <assert.h>
#include <string.h>
#include <xxhash.h>
#include "base/check.h"

#define RECORD_MAGIC 0x4352444cu /* "LDRC" */

enum { BIT_ABSENT = 1, BIT_STALE = 2, BIT_LOCAL = 4 };

struct head {
    uint64_t checksum;
    uint32_t magic;
    uint16_t format;
    uint16_t bits;
    uint64_t key_hash;
    uint32_t value_bytes;
    uint16_t key_bytes;
    uint8_t tags_count;
    uint8_t policy;
    uint64_t epoch, v;
    uint32_t id, user_flags, schema, boot;
    uint64_t written_boot_ns, written_wall_ns, hard_ns, soft_ns;
};
static_assert(sizeof(struct head) == RECORD_HEAD_BYTES, "contract: record.h");

uint32_t record_boot(const char *boot_id)
{
    if (boot_id[0] == '\0')
        return 0;
    uint32_t boot = (uint32_t)XXH3_64bits(boot_id, strlen(boot_id));
    return boot ? boot : 1;
}

/* ======= writing ======= */

size_t record_bytes(const struct entry *e)
{
    return sizeof(struct head) + e->tags_count * sizeof(e->tags[0]) + e->tag_names.size + e->key.size +
           e->value.size;
}

static uint64_t checksum(const void *bytes, size_t size)
{
    return XXH3_64bits((const char *)bytes + sizeof(uint64_t), size - sizeof(uint64_t));
}

static struct head head_of(const struct entry *e, const struct record_clock *now)
{
    return (struct head){
        .magic = RECORD_MAGIC,
        .format = e->tag_names.size ? RECORD_FORMAT_NAMES : RECORD_FORMAT,
        .bits = (uint16_t)((e->absent ? BIT_ABSENT : 0) | (e->stale ? BIT_STALE : 0) |
                           (e->local ? BIT_LOCAL : 0)),
        .key_hash = e->key_hash,
        .value_bytes = (uint32_t)e->value.size,
        .key_bytes = (uint16_t)e->key.size,
        .tags_count = e->tags_count,
        .policy = e->policy,
        .epoch = e->epoch,
        .v = e->v,
        .id = e->id,
        .user_flags = e->user_flags,
        .schema = e->schema,
        .boot = now->boot,
        .written_boot_ns = now->boot_ns,
        .written_wall_ns = now->wall_ns,
        .hard_ns = e->hard_ns,
        .soft_ns = e->soft_ns,
    };
}

static char *append(char *to, const void *bytes, size_t size)
{
    if (size)
        memcpy(to, bytes, size);
    return to + size;
}

void record_encode(void *ret, const struct entry *e, const struct record_clock *now)
{
    CHECK(e->key.size >= 1 && e->key.size <= RECORD_KEY_MAX && e->value.size <= RECORD_VALUE_MAX);
    CHECK(e->tags_count <= SHM_TAGS_MAX);
    struct head h = head_of(e, now);
    char *at = append(ret, &h, sizeof(h));
    at = append(at, e->tags, e->tags_count * sizeof(e->tags[0]));
    at = append(at, e->tag_names.data, e->tag_names.size);
    at = append(at, e->key.data, e->key.size);
    at = append(at, e->value.data, e->value.size);
    h.checksum = checksum(ret, (size_t)(at - (char *)ret));
    memcpy(ret, &h.checksum, sizeof(h.checksum));
}

/* ======= reading ======= */

static size_t bytes_without_names(const struct head *h)
{
    return sizeof(*h) + h->tags_count * sizeof(uint64_t) + h->key_bytes + h->value_bytes;
}

static bool size_is_possible(const struct head *h, size_t size)
{
    size_t least = bytes_without_names(h);
    return h->format == RECORD_FORMAT ? size == least : h->format == RECORD_FORMAT_NAMES && size > least;
}

static bool head_is_possible(const struct head *h, size_t size)
{
    return h->magic == RECORD_MAGIC && h->tags_count <= SHM_TAGS_MAX && h->key_bytes >= 1 &&
           h->key_bytes <= RECORD_KEY_MAX && h->value_bytes <= RECORD_VALUE_MAX && size_is_possible(h, size);
}

static void entry_of(const struct head *h, const char *bytes, size_t size, struct entry *ret)
{
    *ret = (struct entry){
        .key_hash = h->key_hash,
        .epoch = h->epoch,
        .v = h->v,
        .id = h->id,
        .hard_ns = h->hard_ns,
        .soft_ns = h->soft_ns,
        .user_flags = h->user_flags,
        .schema = h->schema,
        .policy = h->policy,
        .absent = h->bits & BIT_ABSENT,
        .stale = h->bits & BIT_STALE,
        .local = h->bits & BIT_LOCAL,
        .tags_count = h->tags_count,
    };
    const char *at = bytes + sizeof(*h);
    memcpy(ret->tags, at, h->tags_count * sizeof(ret->tags[0]));
    at += h->tags_count * sizeof(ret->tags[0]);
    ret->tag_names = slice_of(at, size - bytes_without_names(h));
    at += ret->tag_names.size;
    ret->key = slice_of(at, h->key_bytes);
    ret->value = slice_of(at + h->key_bytes, h->value_bytes);
}

bool record_decode_unchecked(struct slice bytes, struct record *ret)
{
    struct head h;
    if (bytes.size < sizeof(h))
        return false;
    memcpy(&h, bytes.data, sizeof(h));
    if (!head_is_possible(&h, bytes.size))
        return false;
    entry_of(&h, bytes.data, bytes.size, &ret->entry);
    ret->boot = h.boot;
    ret->written_boot_ns = h.written_boot_ns;
    ret->written_wall_ns = h.written_wall_ns;
    return true;
}

bool record_decode(struct slice bytes, struct record *ret)
{
    uint64_t written;
    if (!record_decode_unchecked(bytes, ret))
        return false;
    memcpy(&written, bytes.data, sizeof(written));
    return written == checksum(bytes.data, bytes.size);
}

/* ======= time ======= */

/* When `end` of the boot it was written in comes in this one, given how long ago it was written. */
static uint64_t moved(uint64_t end_ns, uint64_t written_ns, uint64_t elapsed_ns, uint64_t now_ns)
{
    if (end_ns == UINT64_MAX)
        return UINT64_MAX;
    uint64_t life = end_ns > written_ns ? end_ns - written_ns : 0;
    uint64_t left = life > elapsed_ns ? life - elapsed_ns : 0;
    return left > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + left;
}

bool record_reckon(struct record *r, const struct record_clock *now)
{
    struct entry *e = &r->entry;
    if (r->boot != now->boot || r->boot == 0) {
        if (now->wall_ns < r->written_wall_ns)
            return false; /* the wall clock went back: how long it lived meanwhile, nobody knows */
        uint64_t elapsed = now->wall_ns - r->written_wall_ns;
        e->hard_ns = moved(e->hard_ns, r->written_boot_ns, elapsed, now->boot_ns);
        e->soft_ns = moved(e->soft_ns, r->written_boot_ns, elapsed, now->boot_ns);
    }
    return now->boot_ns < e->hard_ns;
}

/* ======= changes of life ======= */

struct record_change record_soften(uint64_t now_ns)
{
    return (struct record_change){.stale_ns = now_ns};
}

struct record_change record_prolong(const struct entry *as)
{
    return (struct record_change){
        .longer = {.v = as->v, .id = as->id, .soft_ns = as->soft_ns, .hard_ns = as->hard_ns}};
}

static uint64_t later_of(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static bool prolongs(struct record_change change, uint64_t v, uint32_t id)
{
    return change.longer.hard_ns && change.longer.v == v && change.longer.id == id;
}

bool record_concerns(struct record_change change, const struct entry *e)
{
    return change.stale_ns || prolongs(change, e->v, e->id);
}

/* Of two versions only one is there, and the later caller was told of the newer one. */
struct record_change record_both(struct record_change first, struct record_change second)
{
    struct record_change both = second;
    if (!second.stale_ns)
        both.stale_ns = first.stale_ns;
    if (!second.longer.hard_ns)
        both.longer = first.longer;
    else if (prolongs(first, second.longer.v, second.longer.id)) {
        both.longer.soft_ns = later_of(first.longer.soft_ns, second.longer.soft_ns);
        both.longer.hard_ns = later_of(first.longer.hard_ns, second.longer.hard_ns);
    }
    return both;
}

void record_apply(struct record_change change, struct entry *e)
{
    if (change.stale_ns) {
        e->stale = true;
        e->soft_ns = change.stale_ns;
    }
    if (prolongs(change, e->v, e->id)) {
        e->soft_ns = e->stale ? e->soft_ns : later_of(e->soft_ns, change.longer.soft_ns);
        e->hard_ns = later_of(e->hard_ns, change.longer.hard_ns);
    }
    if (e->soft_ns > e->hard_ns)
        e->soft_ns = e->hard_ns;
}
