/* The scanner before the codec: finds where a reply ends, byte by byte as they come, and judges every count and
 * length the moment it is read.  Pure: no memory, no copies. */
#ifndef LARDER_L2_SCAN_H
#define LARDER_L2_SCAN_H

#include "l2/resp.h"

struct scan {
    enum { SCAN_KIND, SCAN_LINE, SCAN_NUMBER, SCAN_LF, SCAN_BODY, SCAN_BODY_CR, SCAN_BODY_LF } at;
    uint8_t kind;
    bool negative;
    unsigned digits;
    uint64_t number;
    uint32_t line_bytes;
    uint64_t body_left;
    uint64_t bytes;                /* of this reply so far */
    uint32_t elements;             /* of this reply so far */
    unsigned depth;                /* arrays that are open */
    uint32_t left[RESP_DEPTH_MAX]; /* elements each of them still waits for */
};

/* *ret_used bytes were looked at.  1: they end a reply, and *s is that of the next one except for s->elements, which
 * stays until the next call.  0: all were looked at.  <0: RESP_E_*. */
int scan_some(struct scan *s, const struct resp_limits *limits, struct slice bytes, size_t *ret_used);

#endif
