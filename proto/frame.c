#include "proto/frame.h"

static uint32_t load_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void store_be32(uint8_t *p, uint32_t n)
{
    p[0] = (uint8_t)(n >> 24);
    p[1] = (uint8_t)(n >> 16);
    p[2] = (uint8_t)(n >> 8);
    p[3] = (uint8_t)n;
}

int frame_split(struct slice bytes, size_t payload_max, struct slice *ret_payload, size_t *ret_used)
{
    const uint8_t *p = bytes.data;
    if (bytes.size < FRAME_HEADER_BYTES) {
        *ret_used = 0;
        return FRAME_PARTIAL;
    }
    size_t length = load_be32(p);
    if (length > payload_max)
        return FRAME_E_TOO_LONG;
    if (length < FRAME_BYTES_MIN)
        return FRAME_E_TOO_SHORT;
    *ret_used = FRAME_HEADER_BYTES + length;
    if (bytes.size < *ret_used)
        return FRAME_PARTIAL;
    *ret_payload = slice_of(p + FRAME_HEADER_BYTES, length);
    return FRAME_WHOLE;
}

int frame_begin(struct buffer *b, size_t *ret_mark)
{
    static const uint8_t later[FRAME_HEADER_BYTES];
    *ret_mark = b->size;
    return buffer_append(b, later, sizeof(later));
}

int frame_end(struct buffer *b, size_t mark, size_t payload_max)
{
    size_t length = b->size - mark - FRAME_HEADER_BYTES;
    if (length > payload_max || length > UINT32_MAX) {
        b->size = mark;
        return PACK_E_FULL;
    }
    store_be32(b->data + mark, (uint32_t)length);
    return 0;
}
