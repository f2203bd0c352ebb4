/* The memory of one incarnation of the segment: the file, its mapping here, the tables beside it.
 *
 * What must stay true
 *   - It is made before anything else knows of it, and given back after everything has forgotten it: so both can be done on
 *     any thread, and take a pool thread's time and not the loop's (ADR 30).
 *   - The kernel's lock of the address space, for which mappings that other threads want wait, is held for a piece of
 *     MEMORY_PIECE at a time.
 *   - The shape is written before the file is sealed. */
#ifndef LARDER_L1_MEMORY_H
#define LARDER_L1_MEMORY_H

#include "l1/l1.h"
#include "proto/shm.h"

enum { MEMORY_PIECE = 2 << 20 };

struct eviction;
struct segment;

struct memory_plan {
    struct l1_options options;
    struct shm_shape shape; /* what stays from one incarnation to the next: name, secret, epoch */
    uint64_t entries_max, made_for;
    uint64_t huge_ns; /* huge pages for the index may take that long */
};

struct memory {
    struct shm_shape
        shape; /* its incarnation and the fleet's epochs are up to the caller, until it is sealed */
    uint64_t made_for;
    int fd;
    uint8_t *base;
    uint64_t huge_index_bytes;
    struct segment *segments;
    uint32_t *heat; /* by slot */
    uint8_t *sizes;
    struct eviction *eviction;
};

/* Populates the index; segments when they are opened.  <0: the system refused (logged), and nothing is left.  Any thread. */
int memory_make(const struct memory_plan *plan, struct memory *ret);
/* From here on the shape is what it is.  <0: the system refused (logged). */
int memory_seal(struct memory *m);
/* All of it; done with what was never made, nothing.  Any thread. */
void memory_unmake(struct memory *m);

/* False: the machine is out of memory. */
bool memory_populate(void *at, size_t bytes);

#endif
