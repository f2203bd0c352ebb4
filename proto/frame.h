/* Frames on a byte stream: a 4-byte big-endian length, then that many bytes of payload.
 *
 * What must stay true: a length is judged before a single payload byte is waited for, so a peer cannot make
 * us reserve more than the limit; and there is no resynchronisation: after a bad length the stream is over. */
#ifndef LARDER_PROTO_FRAME_H
#define LARDER_PROTO_FRAME_H

#include <stdint.h>
#include "proto/pack.h"
#include "proto/slice.h"

enum {
    FRAME_HEADER_BYTES = 4,
    FRAME_BYTES_MIN = 3, /* array header, code, id: the shortest payload that can mean anything */
};

/* Answers of frame_split. */
enum {
    FRAME_WHOLE = 1,   /* *ret_payload is set; *ret_used bytes belong to this frame */
    FRAME_PARTIAL = 0, /* *ret_used says how many bytes the frame will have in all, 0 while unknown */
    FRAME_E_TOO_LONG = -1,
    FRAME_E_TOO_SHORT = -2,
};

/* Looks at the front of `bytes`.  Never copies; the payload points into `bytes`. */
int frame_split(struct slice bytes, size_t payload_max, struct slice *ret_payload, size_t *ret_used);

/* Writing: begin, append the payload to the same buffer, end.  frame_end fails with PACK_E_FULL and takes the
 * begun frame away again when the payload is longer than payload_max. */
int frame_begin(struct buffer *b, size_t *ret_mark);
int frame_end(struct buffer *b, size_t mark, size_t payload_max);

#endif
