/* Huge pages for the shared segment.
 *
 * A hit reads a bucket and an item at random places of a segment that is much larger than what the TLB covers: with pages
 * of 4 KiB a fifth of its time goes to page tables.  Linux gives memfds huge pages by itself only where its administrator
 * said so; MADV_COLLAPSE (6.1) gives them to whoever asks, block by block.
 *
 * What must stay true
 *   - A block is asked for before anything is in it: then the kernel clears 2 MiB (0.2 ms), where a block in use would be
 *     copied, and whoever touches it meanwhile would wait.
 *   - It may be refused, for good (an old kernel, another architecture) or now (no 2 MiB in one piece): small pages are
 *     as right, and that block keeps them.
 *   - Memory is taken when it is used, AHEAD_BYTES at most before: a cache that stays small takes little.
 *
 * Thread rule: loop thread; the asking is done in the pool, since finding 2 MiB in one piece may take 20 ms. */
#ifndef LARDER_L1_HUGE_H
#define LARDER_L1_HUGE_H

#include <stdint.h>
#include "net/loop.h"

/* Those of the file from its beginning that hold `bytes`, at once: for the index, before anybody reads it.  Gives up when
 * `budget_ns` have passed.  Returns how many bytes are huge now. */
uint64_t huge_begin(int fd, uint64_t bytes, uint64_t file_bytes, uint64_t budget_ns);

/* Ahead of need, from `from` on.  The descriptor must be of a file of `file_bytes` that grows no more; stays the caller's. */
struct huge;
struct huge *huge_create(struct loop *loop, int fd, uint64_t from, uint64_t file_bytes);
struct huge *huge_destroy(struct huge *h); /* NULL ok, returns NULL */
/* What is in front of that offset is in use now, or will be at once. */
void huge_used(struct huge *h, uint64_t offset);
/* Asked for so far, and given. */
uint64_t huge_asked(const struct huge *h);
uint64_t huge_bytes(const struct huge *h);

#endif
