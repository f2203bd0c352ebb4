/* A cursor that never passes the end reads the tags; everything else stands at fixed places in a head whose size was
 * compared first. */
#include "l2/record.h"

#include <assert.h>
#include <string.h>
#include <xxhash.h>
#include <zstd.h>
#include "base/check.h"
#include "base/tag_names.h"

enum { SHAPE_TAGS = 0x1f, SHAPE_ABSENT = 0x20, SHAPE_ZSTD = 0x40, SHAPE_UNKNOWN = 0x80 };
enum { ZSTD_LEVEL = 1 }; /* on the loop thread: speed before size */

static_assert(L2_RECORD_NAMES_BYTES_MAX ==
                  L2_RECORD_HEAD_BYTES + SHM_TAGS_MAX * (2 + L2_RECORD_TAG_BYTES_MAX),
              "contract: record.h");
static_assert((int)SHM_TAGS_MAX <= (int)SHAPE_TAGS, "contract: record.h");

/* ======= numbers ======= */

static void put_number(void *to, uint64_t number, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        ((uint8_t *)to)[i] = (uint8_t)(number >> 8 * i);
}

static uint64_t number_at(const void *from, unsigned bytes)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < bytes; i++)
        number |= (uint64_t)((const uint8_t *)from)[i] << 8 * i;
    return number;
}

void l2_epoch(uint8_t ret[8], uint64_t epoch)
{
    put_number(ret, epoch, 8);
}

uint64_t l2_epoch_read(const void *bytes8)
{
    return number_at(bytes8, 8);
}

void l2_version(uint8_t ret[L2_VERSION_BYTES], uint64_t epoch, uint64_t v, uint32_t id)
{
    put_number(ret, epoch, 8);
    put_number(ret + 8, v, 7);
    put_number(ret + 15, id, 3);
}

/* ======= packing ======= */

/* Of what stands behind the check, for this key only. */
static uint32_t check_of(struct slice key, const void *behind, size_t size)
{
    return (uint32_t)XXH3_64bits_withSeed(behind, size, XXH3_64bits(key.data, key.size));
}

static size_t tags_bytes(const struct l2_entry *e)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < e->tags_count; i++)
        bytes += TAG_NAME_HEAD + e->tags[i].size;
    return bytes;
}

size_t l2_tail_bytes_max(const struct l2_entry *e)
{
    size_t value = ZSTD_compressBound(e->value.size);
    return L2_RECORD_HEAD_BYTES - L2_RECORD_TAIL + tags_bytes(e) +
           (value > e->value.size ? value : e->value.size);
}

/* Where offset `at` of the record is in its tail. */
static uint8_t *in_tail(uint8_t *tail, unsigned at)
{
    return tail + (at - L2_RECORD_TAIL);
}

static uint8_t *put_tags(uint8_t *at, const struct l2_entry *e)
{
    CHECK(e->tags_count <= SHM_TAGS_MAX);
    for (unsigned i = 0; i < e->tags_count; i++) {
        CHECK(e->tags[i].size <= L2_RECORD_TAG_BYTES_MAX);
        put_number(at, e->tags[i].size, 2);
        if (e->tags[i].size)
            memcpy(at + 2, e->tags[i].data, e->tags[i].size);
        at += 2 + e->tags[i].size;
    }
    return at;
}

/* Returns the size, and whether it is packed. */
static size_t put_value(uint8_t *at, struct slice value, uint32_t compress_min, bool *ret_packed)
{
    *ret_packed = false;
    if (value.size == 0)
        return 0;
    if (value.size >= compress_min && value.size <= L2_RECORD_PACK_MAX) {
        size_t packed = ZSTD_compress(at, ZSTD_compressBound(value.size), value.data, value.size, ZSTD_LEVEL);
        *ret_packed = !ZSTD_isError(packed) && packed < value.size;
        if (*ret_packed)
            return packed;
    }
    memcpy(at, value.data, value.size);
    return value.size;
}

size_t l2_tail_encode(void *ret, const struct l2_entry *e, uint32_t compress_min)
{
    uint8_t *tail = ret, *checked = in_tail(ret, L2_RECORD_AT_ID);
    bool packed;
    CHECK(e->value.size <= L2_RECORD_VALUE_MAX);
    uint8_t *at = put_tags(in_tail(tail, L2_RECORD_HEAD_BYTES), e);
    at += put_value(at, e->value, compress_min, &packed);
    put_number(in_tail(tail, L2_RECORD_AT_ID), e->id, 3);
    *in_tail(tail, L2_RECORD_AT_SHAPE) =
        (uint8_t)(e->tags_count | (e->absent ? SHAPE_ABSENT : 0) | (packed ? SHAPE_ZSTD : 0));
    put_number(in_tail(tail, L2_RECORD_AT_USER_FLAGS), e->user_flags, 4);
    put_number(in_tail(tail, L2_RECORD_AT_SCHEMA), e->schema, 4);
    put_number(in_tail(tail, L2_RECORD_AT_CHECK), check_of(e->key, checked, (size_t)(at - checked)), 4);
    return (size_t)(at - tail);
}

void l2_record_seal(void *record, size_t size, struct slice key)
{
    uint8_t *bytes = record;
    CHECK(size >= L2_RECORD_HEAD_BYTES);
    uint32_t check = check_of(key, bytes + L2_RECORD_AT_ID, size - L2_RECORD_AT_ID);
    put_number(bytes + L2_RECORD_AT_CHECK, check, 4);
}

/* ======= reading ======= */

bool l2_record_peek(struct slice head, struct l2_record *ret)
{
    const uint8_t *p = head.data;
    *ret = (struct l2_record){0};
    if (head.size < L2_RECORD_HEAD_BYTES || memcmp(p, L2_RECORD_MAGIC, L2_RECORD_AT_EPOCH) != 0)
        return false;
    ret->epoch = number_at(p + L2_RECORD_AT_EPOCH, 8);
    ret->v = number_at(p + L2_RECORD_AT_V, 7);
    ret->born_ms = number_at(p + L2_RECORD_AT_BORN, 6);
    ret->soft_ms = (uint32_t)number_at(p + L2_RECORD_AT_SOFT, 4);
    ret->hard_ms = (uint32_t)number_at(p + L2_RECORD_AT_HARD, 4);
    ret->entry.id = (uint32_t)number_at(p + L2_RECORD_AT_ID, 3);
    ret->entry.user_flags = (uint32_t)number_at(p + L2_RECORD_AT_USER_FLAGS, 4);
    ret->entry.schema = (uint32_t)number_at(p + L2_RECORD_AT_SCHEMA, 4);
    ret->entry.tags_count = p[L2_RECORD_AT_SHAPE] & SHAPE_TAGS;
    ret->entry.absent = p[L2_RECORD_AT_SHAPE] & SHAPE_ABSENT;
    ret->packed = p[L2_RECORD_AT_SHAPE] & SHAPE_ZSTD;
    return true;
}

static bool take_tags(struct l2_entry *e, const uint8_t **at, const uint8_t *end)
{
    for (unsigned i = 0; i < e->tags_count; i++) {
        if (end - *at < 2)
            return false;
        size_t size = number_at(*at, 2);
        if (size > L2_RECORD_TAG_BYTES_MAX || size > (size_t)(end - *at) - 2)
            return false;
        e->tags[i] = slice_of(*at + 2, size);
        *at += 2 + size;
    }
    return true;
}

struct slice l2_tag_names(const struct l2_entry *e)
{
    if (e->tags_count == 0)
        return slice_of(NULL, 0);
    return slice_of((const uint8_t *)e->tags[0].data - TAG_NAME_HEAD, tags_bytes(e));
}

/* How large the value is once unpacked, as far as the bytes can be believed; false: too large, or not said. */
static bool take_value(struct l2_record *r, uint64_t value_max)
{
    struct slice value = r->entry.value;
    r->value_bytes = value.size;
    if (r->packed) {
        unsigned long long size = ZSTD_getFrameContentSize(value.data, value.size);
        if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR)
            return false;
        r->value_bytes = size;
    }
    return r->value_bytes <= value_max && r->value_bytes <= L2_RECORD_VALUE_MAX;
}

bool l2_record_decode(struct slice bytes, struct slice key, uint64_t value_max, struct l2_record *ret)
{
    const uint8_t *p = bytes.data, *at = p + L2_RECORD_HEAD_BYTES;
    if (!l2_record_peek(bytes, ret))
        return false;
    uint32_t check = (uint32_t)number_at(p + L2_RECORD_AT_CHECK, 4);
    if (check != check_of(key, p + L2_RECORD_AT_ID, bytes.size - L2_RECORD_AT_ID))
        return false;
    if (p[L2_RECORD_AT_SHAPE] & SHAPE_UNKNOWN || ret->entry.tags_count > SHM_TAGS_MAX)
        return false;
    if (!take_tags(&ret->entry, &at, p + bytes.size))
        return false;
    ret->entry.key = key;
    ret->entry.value = slice_of(at, (size_t)(p + bytes.size - at));
    return take_value(ret, value_max);
}

bool l2_record_value(const struct l2_record *r, void *room, struct slice *ret)
{
    *ret = r->entry.value;
    if (!r->packed)
        return true;
    size_t size = ZSTD_decompress(room, r->value_bytes, r->entry.value.data, r->entry.value.size);
    *ret = slice_of(room, r->value_bytes);
    return !ZSTD_isError(size) && size == r->value_bytes;
}

/* ======= life ======= */

bool l2_record_left(const struct l2_record *r, uint64_t redis_ms, struct l2_left *ret)
{
    *ret = (struct l2_left){0};
    if (redis_ms < r->born_ms || redis_ms - r->born_ms >= r->hard_ms)
        return false;
    uint64_t age = redis_ms - r->born_ms;
    ret->hard_ms = r->hard_ms - age;
    ret->soft_ms = r->soft_ms > age ? r->soft_ms - age : 0;
    if (ret->soft_ms > ret->hard_ms)
        ret->soft_ms = ret->hard_ms;
    return true;
}
