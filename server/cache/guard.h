/* What keeps a late fill out (C6): the newest change of each key, as far as a token can still ask for it.
 *
 * A miss hands out the position V at that moment; a store that brings the token back is refused when its key was
 * changed at a position greater than V.  Remembering every key for ever is out of the question, so this is a
 * 4-way table of fingerprints with a floor per row: a change that is pushed out raises the floor of its row, and
 * what the table cannot rule out it refuses.  A false refusal costs one more load; a false admission cannot be.
 *
 * 65,536 rows of 40 bytes: tokens a few hundred thousand changes old are still judged right.
 * The idea of a token taken at the miss and voided by a delete: Nishtala et al., "Scaling Memcache at Facebook",
 * NSDI 2013, "leases"; here without a table of outstanding leases. */
#ifndef LARDER_CACHE_GUARD_H
#define LARDER_CACHE_GUARD_H

#include <stdbool.h>
#include <stdint.h>

struct guard;

/* Positions up to base_v are of earlier lives: nothing is known of them, every token that old is refused.  `rows`: a
 * power of two. */
enum { GUARD_ROWS = 65536 };
struct guard *guard_create(uint64_t base_v, uint32_t rows);
struct guard *guard_destroy(struct guard *g); /* NULL ok, returns NULL */

/* In any order: what counts is the newest. */
void guard_note(struct guard *g, uint64_t key_hash, uint64_t v);
/* Some change of this key may have a position greater than v. */
bool guard_changed_since(const struct guard *g, uint64_t key_hash, uint64_t v);
/* Tokens older than v are refused whatever their key (kills up to v were forgotten). */
void guard_raise(struct guard *g, uint64_t v);

#endif
