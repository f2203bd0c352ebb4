/* msgpack written straight into room that is there: how messages are put on the wire.
 *
 * What must stay true: a caller has reserved the ROOM of everything it puts before the first byte, so nothing here
 * checks or fails; and the bytes are those of msgpack-c's packer behind pack_* (tests/unit/test_pack.c compares).
 * Why not that packer: it calls back once a field, and asks for room each time; a GET and its answer have thirty fields
 * (server/doc/adr/0001).
 *
 * Each returns where the next byte goes. */
#ifndef LARDER_PROTO_PUT_H
#define LARDER_PROTO_PUT_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "proto/slice.h"

/* Of a number, or of the head of an array, bytes or text; all of it may be written to, whatever the form. */
enum { PUT_ROOM = 9 };

/* A first byte, and a number of so many bytes behind it: one store of eight, what is too much is overwritten. */
static inline uint8_t *put_number(uint8_t *at, unsigned first, uint64_t number, unsigned bytes)
{
    uint64_t big_endian = htobe64(number << (64 - 8 * bytes));
    *at = (uint8_t)first;
    memcpy(at + 1, &big_endian, sizeof(big_endian));
    return at + 1 + bytes;
}

static inline uint8_t *put_uint(uint8_t *at, uint64_t number)
{
    if (number < 0x80) {
        *at = (uint8_t)number;
        return at + 1;
    }
    unsigned power = number > 0xffffffff ? 3 : number > 0xffff ? 2 : number > 0xff;
    return put_number(at, 0xcc + power, number, 1u << power);
}

static inline uint8_t *put_bool(uint8_t *at, bool value)
{
    *at = value ? 0xc3 : 0xc2;
    return at + 1;
}

static inline uint8_t *put_array(uint8_t *at, uint32_t count)
{
    if (count < 0x10) {
        *at = (uint8_t)(0x90 | count);
        return at + 1;
    }
    return count > 0xffff ? put_number(at, 0xdd, count, 4) : put_number(at, 0xdc, count, 2);
}

static inline uint8_t *put_raw(uint8_t *at, struct slice value)
{
    if (value.size)
        memcpy(at, value.data, value.size);
    return at + value.size;
}

static inline uint8_t *put_bytes(uint8_t *at, struct slice value) /* msgpack bin */
{
    unsigned power = value.size > 0xffff ? 2 : value.size > 0xff;
    return put_raw(put_number(at, 0xc4 + power, value.size, 1u << power), value);
}

static inline uint8_t *put_text(uint8_t *at, struct slice value) /* msgpack str */
{
    unsigned power = value.size > 0xffff ? 2 : value.size > 0xff;
    if (value.size < 0x20)
        *at++ = (uint8_t)(0xa0 | value.size);
    else
        at = put_number(at, 0xd9 + power, value.size, 1u << power);
    return put_raw(at, value);
}

#endif
