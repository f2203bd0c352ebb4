/* A segment whose shape is valid and whose everything else comes from somebody who means harm.  Its last byte is
 * the last of the mapping: the page behind it cannot be read. */
#ifndef LARDER_TESTS_HOSTILE_H
#define LARDER_TESTS_HOSTILE_H

#include <stddef.h>
#include <stdint.h>
#include "proto/shm_view.h"

/* The memory, made once.  Its shape is the smallest: two buckets, one segment. */
struct hostile {
    uint8_t *base;
    size_t bytes;
    struct shm_shape shape;
};
void hostile_make(struct hostile *h);
/* Header words, the 16 slots, gens and the end of the segment from `data`; slots get the tag of `key` so that the
 * lookup goes as deep as it can. */
void hostile_fill(struct hostile *h, struct slice key, const uint8_t *data, size_t size);
/* Runs every call of shm_view.h over it; traps when an answer is impossible. */
void hostile_read(const struct hostile *h, struct slice key);

#endif
