/* Bytes of a Redis, or of whoever answers at its address.  The first byte says in what pieces they come; whole or in
 * pieces, the same must come out, and the view may never lead out of itself or of the bytes. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>
#include "base/check.h"
#include "l2/resp.h"

/* Small, so that inputs reach them. */
static const struct resp_limits limits = {.reply_bytes = 3000,
                                          .bulk_bytes = 1000,
                                          .line_bytes = 200,
                                          .array_elements = 40,
                                          .elements = 100,
                                          .depth = 4};

static uint64_t sum; /* of everything a view shows, so that two runs can be compared */

static void add(uint64_t value)
{
    sum = (sum ^ value) * 0x100000001b3ull;
}

static unsigned walk(const struct l2_reply *r, unsigned depth)
{
    unsigned nodes = 1;
    CHECK(depth <= limits.depth + 1);
    add(r->kind);
    add((uint64_t)r->integer);
    add(r->count);
    for (size_t i = 0; i < r->text.size; i++)
        add(((const uint8_t *)r->text.data)[i]);
    for (const struct l2_reply *e = l2_reply_first(r); e; e = l2_reply_next(r, e))
        nodes += walk(e, depth + 1);
    CHECK(r->span == nodes && nodes <= limits.elements);
    return nodes;
}

static uint64_t run(const uint8_t *data, size_t size, size_t step)
{
    struct resp *r = resp_create(&limits);
    const struct l2_reply *reply;
    int e = 0;
    sum = 0;
    for (size_t at = 0; at < size && e >= 0; at += step) {
        size_t piece = size - at < step ? size - at : step;
        struct slice rest = slice_of(data + at, piece);
        while ((e = resp_take(r, &rest, &reply)) > 0)
            walk(reply, 1);
        CHECK(resp_pending(r) <= limits.reply_bytes);
        CHECK(e != RESP_E_CODEC); /* what the scanner lets through, the codec understands */
    }
    add((uint64_t)e);
    resp_destroy(r);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    uint64_t whole = run(data + 1, size - 1, size);
    CHECK(run(data + 1, size - 1, 1u + data[0] % 64) == whole);
    return 0;
}

size_t fuzz_seed(unsigned n, uint8_t *room, size_t room_bytes)
{
    static const char *const seeds[] = {
        "\x02+OK\r\n+PONG\r\n:42\r\n",
        "\x05$5\r\nhello\r\n$-1\r\n$0\r\n\r\n",
        "\x07*3\r\n:1\r\n*2\r\n$1\r\na\r\n+b\r\n*-1\r\n",
        "\x03-NOSCRIPT No matching script. Please use EVAL.\r\n",
        "\x01*1\r\n*2\r\n$1\r\nj\r\n*2\r\n*2\r\n$3\r\n1-0\r\n*1\r\n$1\r\nk\r\n*-1\r\n",
        "\x09:-9223372036854775808\r\n*0\r\n",
    };
    const char *seed = seeds[n % COUNT_OF(seeds)];
    CHECK(strlen(seed) <= room_bytes);
    memcpy(room, seed, strlen(seed));
    return strlen(seed);
}
