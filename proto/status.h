/* Outcomes, once: the daemon answers them, the wire carries them, the library and the command print them.
 *
 * Three kinds, told apart by their number: 0..31 something was done or found, 32..63 a negative answer that
 * is no failure, 64.. the request was not carried out.  Numbers are part of the wire contract: append only.
 *
 * STATUS(code, NAME, "sentence", retryable): retryable means that the same request may succeed unchanged. */
#ifndef LARDER_PROTO_STATUS_H
#define LARDER_PROTO_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#define STATUS_TABLE(STATUS)                                                                                   \
    STATUS(0, OK, "done", false)                                                                               \
    STATUS(1, HIT, "value found", false)                                                                       \
    STATUS(2, ABSENT, "known not to exist", false)                                                             \
    STATUS(3, NOT_MODIFIED, "the version you have is still the current one", false)                            \
    STATUS(4, QUEUED, "done here, on its way to the fleet", false)                                             \
    STATUS(5, LOCAL, "done on this host only", false)                                                          \
    STATUS(6, SKIPPED, "not stored, as its policy or a ttl of 0 asks", false)                                  \
    STATUS(32, MISS, "not in the cache", false)                                                                \
    STATUS(33, EXISTS, "not stored: the key exists", false)                                                    \
    STATUS(34, NOT_FOUND, "not changed: the key does not exist", false)                                        \
    STATUS(35, CONFLICT, "not stored: the version is another one", false)                                      \
    STATUS(36, REFUSED, "not stored: something newer happened since the token was given", false)               \
    STATUS(37, ALONE, "does not fit into this reply: ask for this key alone", true)                            \
    STATUS(38, LEASE, "not in the cache: you are the one to load it", false)                                   \
    STATUS(39, WAIT, "not in the cache: another caller is loading it", true)                                   \
    STATUS(40, LIMITED, "over the rate limit", true)                                                           \
    STATUS(41, LOAD_FAILED, "not in the cache, and whoever was loading it could not", true)                    \
    STATUS(64, UNKNOWN, "sent, and nobody knows whether it took effect", true)                                 \
    STATUS(65, BAD_FRAME, "the frame is broken", false)                                                        \
    STATUS(66, BAD_REQUEST, "the request does not follow the protocol", false)                                 \
    STATUS(67, UNSUPPORTED, "this daemon does not know that verb", false)                                      \
    STATUS(68, BAD_VERSION, "no protocol version in common", false)                                            \
    STATUS(69, NO_NAMESPACE, "no such namespace", false)                                                       \
    STATUS(70, BAD_KEY, "the key is empty or longer than the limit", false)                                    \
    STATUS(71, TOO_BIG, "the value is larger than the limit", false)                                           \
    STATUS(72, LIMIT, "more items than the limit", false)                                                      \
    STATUS(73, BUSY, "too much is in flight: try again later", true)                                           \
    STATUS(74, TIMEOUT, "the deadline passed", true)                                                           \
    STATUS(75, DRAINING, "the daemon is stopping", true)                                                       \
    STATUS(76, DETACHED, "cannot be decided while the fleet's store is unreachable", true)                     \
    STATUS(77, DENIED, "not allowed for this peer", false)                                                     \
    STATUS(78, UNREACHABLE, "no daemon answers at the socket", true)                                           \
    STATUS(79, INTERNAL, "the daemon failed; its log says how", false)                                         \
    STATUS(80, BAD_SHAPE, "the key has not the parts that its namespace demands", false)

enum status {
#define STATUS(code, NAME, sentence, retryable) STATUS_##NAME = (code),
    STATUS_TABLE(STATUS)
#undef STATUS
};

/* Why a get found nothing: for people and statistics, never for decisions. */
#define MISS_REASON_TABLE(REASON)                                                                              \
    REASON(0, NONE, "")                                                                                        \
    REASON(1, COLD, "never stored, as far as is remembered")                                                   \
    REASON(2, EXPIRED, "past its ttl")                                                                         \
    REASON(3, INVALIDATED, "invalidated")                                                                      \
    REASON(4, SUSPECT, "its freshness cannot be proven now")                                                   \
    REASON(5, DETACHED, "the fleet's store is unreachable")                                                    \
    REASON(6, STALE, "stale, and the caller refused stale")                                                    \
    REASON(7, DISABLED, "the cache is switched off")                                                           \
    REASON(8, UNREACHABLE, "no daemon answers at the socket")                                                  \
    REASON(9, TIMEOUT, "the deadline passed")                                                                  \
    REASON(10, EVICTED, "evicted to make room")                                                                \
    REASON(11, TOO_BIG, "its value was too large to be stored")                                                \
    REASON(12, SCHEMA, "stored with another schema than the caller wants")                                     \
    REASON(13, UNNAMED, "its tags were asked for, and are not known by name")

enum miss_reason {
#define REASON(code, NAME, sentence) MISS_##NAME = (code),
    MISS_REASON_TABLE(REASON)
#undef REASON
};

/* The tiers, as a number in replies and as a bit (1 << tier) in requests. */
#define TIER_TABLE(TIER) TIER(0, NONE, "none") TIER(1, L1, "l1") TIER(2, WARM, "warm") TIER(3, L2, "l2")

enum tier_name {
#define TIER(code, NAME, text) TIER_##NAME = (code),
    TIER_TABLE(TIER)
#undef TIER
};

/* All but one return static text, and all accept any number ("unknown status" and so on for those not in the table). */
const char *status_name(unsigned status);     /* "NOT_FOUND" */
const char *status_sentence(unsigned status); /* "not changed: the key does not exist" */
const char *miss_reason_name(unsigned reason);
const char *miss_reason_sentence(unsigned reason);
/* "cold", as in log lines; returns `ret`. */
enum { MISS_REASON_BYTES = 16 };
char *miss_reason_word(unsigned reason, char ret[MISS_REASON_BYTES]);
const char *tier_name_text(unsigned tier);
bool status_retryable(unsigned status);

/* The request was not carried out. */
static inline bool status_is_error(unsigned status)
{
    return status >= 64;
}

#endif
