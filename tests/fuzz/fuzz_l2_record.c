/* Bytes found at an entry's key in Redis: not an entry, or whole and within their bounds. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "l2/record.h"

enum { VALUE_MAX = 4096, ROOM = 8192 };

static void within(struct slice inner, struct slice outer)
{
    const char *from = outer.data, *at = inner.data;
    CHECK(at >= from && at + inner.size <= from + outer.size);
}

static bool decode(struct slice bytes, struct slice key)
{
    static uint8_t room[VALUE_MAX];
    struct l2_record r;
    struct l2_left left;
    struct slice value;
    if (!l2_record_decode(bytes, key, VALUE_MAX, &r))
        return false;
    CHECK(r.value_bytes <= VALUE_MAX && r.entry.tags_count <= SHM_TAGS_MAX);
    for (unsigned i = 0; i < r.entry.tags_count; i++)
        within(r.entry.tags[i], bytes);
    within(r.entry.value, bytes);
    if (l2_record_value(&r, room, &value))
        CHECK(value.size == r.value_bytes);
    if (l2_record_left(&r, r.born_ms + 1, &left))
        CHECK(left.soft_ms <= left.hard_ms && left.hard_ms < r.hard_ms);
    return true;
}

/* The input as what stands behind a check that is right, so that tags and packed value are looked at too. */
static void decode_checked(const uint8_t *data, size_t size)
{
    static uint8_t room[ROOM], other[ROOM];
    struct l2_entry e = {.key = slice_text("k"), .value = slice_of(data, size < 4000 ? size : 4000)};
    memcpy(room, L2_RECORD_MAGIC, L2_RECORD_AT_EPOCH);
    size_t tail = l2_tail_encode(room + L2_RECORD_TAIL, &e, UINT32_MAX);
    CHECK(decode(slice_of(room, L2_RECORD_TAIL + tail), e.key));
    if (e.value.size < L2_RECORD_HEAD_BYTES - L2_RECORD_AT_ID)
        return;
    memcpy(other, room, L2_RECORD_TAIL);
    memcpy(other + L2_RECORD_AT_ID, e.value.data, e.value.size);
    l2_record_seal(other, L2_RECORD_AT_ID + e.value.size, e.key);
    decode(slice_of(other, L2_RECORD_AT_ID + e.value.size), e.key);
}

/* Every small shape, packed and plain. */
size_t fuzz_seed(unsigned number, uint8_t *room, size_t size)
{
    static const char same[512];
    struct l2_entry e = {
        .key = slice_text("k"),
        .value = {number % 3 ? "and its value" : same, number % 3 ? number % 13 : sizeof(same)},
        .absent = number % 5 == 0,
        .tags_count = number % (SHM_TAGS_MAX + 1)};
    for (unsigned i = 0; i < e.tags_count; i++)
        e.tags[i] = slice_of("a tag of it", i % 12);
    if (L2_RECORD_TAIL + l2_tail_bytes_max(&e) > size)
        return 0;
    memset(room, (int)number, L2_RECORD_TAIL);
    memcpy(room, L2_RECORD_MAGIC, L2_RECORD_AT_EPOCH);
    return L2_RECORD_TAIL + l2_tail_encode(room + L2_RECORD_TAIL, &e, number % 2 ? 64 : UINT32_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode(slice_of(data, size), slice_text("k"));
    decode_checked(data, size);
    return 0;
}
