/* A record of the warm tier, and a whole LMDB file, out of any bytes: bad, or whole and within its bounds. */
#include "fuzz.h"

#include <string.h>

#include "base/check.h"
#include "warm/record.h"
#include "warm/scan.h"

static void decode(struct slice bytes)
{
    static const struct record_clock now = {.boot = 2, .boot_ns = 1000, .wall_ns = 1000};
    struct record r;
    if (!record_decode_unchecked(bytes, &r))
        return;
    const char *end = (const char *)bytes.data + bytes.size;
    CHECK((const char *)r.entry.value.data + r.entry.value.size == end);
    CHECK(!r.entry.tag_names.size ||
          (const char *)r.entry.tag_names.data + r.entry.tag_names.size == r.entry.key.data);
    CHECK((const char *)r.entry.key.data > (const char *)bytes.data && r.entry.tags_count <= SHM_TAGS_MAX);
    if (record_reckon(&r, &now))
        CHECK(r.entry.hard_ns > now.boot_ns);
}

/* The input's first bytes make a head that may pass, so that what follows is looked at too. */
static void decode_encoded(const uint8_t *data, size_t size)
{
    static char bytes[4096];
    struct record_clock now = {.boot = 1, .boot_ns = 1, .wall_ns = 1};
    struct entry e = {.key = {data, size < 1024 ? size : 1024}, .value = {data, size < 1500 ? size : 1500}};
    struct record r;
    if (size < 8)
        return;
    memcpy(&e.hard_ns, data, 8);
    record_encode(bytes, &e, &now);
    struct slice whole = slice_of(bytes, record_bytes(&e));
    CHECK(record_decode(whole, &r) && slice_equal(r.entry.key, e.key) && slice_equal(r.entry.value, e.value));
    bytes[data[0] % whole.size] = (char)(bytes[data[0] % whole.size] ^ (data[1] | 1));
    CHECK(!record_decode(whole, &r));
}

/* An empty LMDB file of eight pages, overwritten at places the input names. */
static void scan(const uint8_t *data, size_t size)
{
    static char file[8 * 4096];
    memset(file, 0, sizeof(file));
    for (unsigned n = 0; n < 2; n++) {
        char *meta = file + 4096 * n;
        const uint64_t number = n, none = UINT64_MAX, last = 7;
        const uint32_t magic = 0xbeefc0de, version = 1, page = 4096;
        memcpy(meta, &number, 8);
        meta[10] = 8;
        memcpy(meta + 16, &magic, 4);
        memcpy(meta + 20, &version, 4);
        memcpy(meta + 40, &page, 4);
        meta[44] = 8;
        memcpy(meta + 40 + 40, &none, 8);
        memcpy(meta + 88 + 40, &none, 8);
        memcpy(meta + 136, &last, 8);
        meta[144] = (char)n;
    }
    for (size_t at = 0; at + 3 <= size; at += 3)
        file[(data[at] | (size_t)data[at + 1] << 8) % sizeof(file)] = (char)data[at + 2];
    scan_bytes(file, sizeof(file));
    scan_bytes(data, size);
}

/* A valid record of every small shape. */
size_t fuzz_seed(unsigned number, uint8_t *room, size_t size)
{
    const struct record_clock now = {.boot = 1 + number % 2, .boot_ns = number, .wall_ns = 500};
    struct entry e = {.key = {"a key of a record", 1 + number % 17},
                      .value = {"and its value", number % 13},
                      .hard_ns = number * 7ull,
                      .tags_count = (uint8_t)(number % (SHM_TAGS_MAX + 1))};
    if (record_bytes(&e) > size)
        return 0;
    record_encode(room, &e, &now);
    return record_bytes(&e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode(slice_of(data, size));
    decode_encoded(data, size);
    scan(data, size);
    return 0;
}
