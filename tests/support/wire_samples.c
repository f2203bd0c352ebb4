#include "support/wire_samples.h"

static unsigned counter;

static uint64_t number_up_to(uint64_t limit)
{
    uint64_t n = ++counter * 0x0101010101010101ull;
    return limit < UINT64_MAX ? n % (limit + 1) : n;
}

#define SAMPLE_U8(name, limit)    ret->name = (uint8_t)number_up_to(limit)
#define SAMPLE_U32(name, limit)   ret->name = (uint32_t)number_up_to(limit)
#define SAMPLE_U64(name, limit)   ret->name = number_up_to(limit)
#define SAMPLE_BOOL(name, limit)  ret->name = ++counter & 1
#define SAMPLE_BYTES(name, limit) ret->name = slice_text(#name)
#define SAMPLE_TEXT(name, limit)  ret->name = slice_text(#name)

#define RECORD(name, sentence) static void sample_##name(struct wire_##name *ret);
#include "proto/wire.def"

/* clang-format off */
#define MESSAGE(code, NAME, name, who, since, sentence) void sample_##name(struct wire_##name *ret) { counter = code;
#define RECORD(name, sentence)                          static void sample_##name(struct wire_##name *ret) {
#define FIELD(TYPE, name, limit, since, sentence)       SAMPLE_##TYPE(name, limit);
#define STRINGS(name, count_max, since, sentence)                                                              \
    static struct slice items_##name[2];                                                                       \
    items_##name[0] = slice_text(#name);                                                                       \
    items_##name[1] = slice_text("");                                                                          \
    ret->name = (struct wire_strings){.count = 2, .items = items_##name};
#define LIST(record, name, count_max, since, sentence)                                                         \
    static struct wire_##record list_##name[2];                                                                \
    sample_##record(&list_##name[0]);                                                                          \
    sample_##record(&list_##name[1]);                                                                          \
    ret->name = (struct wire_##record##_list){.count = 2, .items = list_##name};
#define END(name)                                                                                              \
    (void)ret;                                                                                                 \
    }
#include "proto/wire.def"
