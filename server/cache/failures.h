/* Keys whose load failed a short while ago: until when nobody may try again.
 *
 * Each failure in a row doubles the time, from 100 ms up to 10 s, give or take a fifth; a key that was left alone for
 * 10 s after that begins anew.  Exact by 64-bit hash.  Bound: FAILURES_MAX keys; more push out the oldest, and one load
 * of that key may be tried too early.
 *
 * Pure: clock and dice are passed in. */
#ifndef LARDER_CACHE_FAILURES_H
#define LARDER_CACHE_FAILURES_H

#include <stdint.h>

enum { FAILURES_MAX = 4096 };

struct failures;

struct failures *failures_create(void);
struct failures *failures_destroy(struct failures *f); /* NULL ok, returns NULL */

/* For wanted_ns, or for as long as the row says when that is 0.  Returns the end. */
uint64_t failures_note(struct failures *f, uint64_t key_hash, uint64_t wanted_ns, uint64_t now_ns,
                       uint32_t dice);
/* Somebody else knows the end; a later one that is known already stays. */
void failures_hear(struct failures *f, uint64_t key_hash, uint64_t until_ns);
/* It was loaded. */
void failures_forget(struct failures *f, uint64_t key_hash);
/* How long nobody may try yet; 0: now. */
uint64_t failures_left_ns(const struct failures *f, uint64_t key_hash, uint64_t now_ns);

#endif
