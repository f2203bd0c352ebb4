/* What was put into the tiers here before the journal got there: own changes, and entries read from the fleet.
 *
 * The journal tells us of them again.  L1 compares positions by itself; the warm tier's overlay does not, and a record
 * would mask the very entry that it announces.  So a record of a key that is here at that position or a later one is
 * passed over.  Exact by 64-bit hash, which is how the warm tier tells keys apart as well.
 *
 * Bound: AHEAD_MAX keys; more are forgotten, which costs an entry of the warm tier each, never truth. */
#ifndef LARDER_CACHE_AHEAD_H
#define LARDER_CACHE_AHEAD_H

#include <stdbool.h>
#include <stdint.h>

enum { AHEAD_MAX = 65536 };

struct ahead;

struct ahead *ahead_create(void);
struct ahead *ahead_destroy(struct ahead *a); /* NULL ok, returns NULL */

void ahead_note(struct ahead *a, unsigned partition, uint64_t key_hash, uint64_t v);
/* The position at which the key is here already; 0: none known. */
uint64_t ahead_position(const struct ahead *a, uint64_t key_hash);
/* The journal of the partition is done up to v. */
void ahead_passed(struct ahead *a, unsigned partition, uint64_t v);
/* Another epoch: positions of the old one mean nothing. */
void ahead_forget(struct ahead *a, unsigned partition);

#endif
