/* How one get or set looks on a socket, for each server that speaks over one.  Codecs only write and read bytes;
 * stream.h moves them, pipeline.h counts them.
 *
 * What must stay true: all do the same amount of work, no objects, no copies, so that a comparison compares
 * servers and not clients. */
#ifndef LARDER_BENCH_CODEC_H
#define LARDER_BENCH_CODEC_H

#include <stdbool.h>
#include <stdint.h>
#include "bench/stream.h"
#include "proto/slice.h"

enum answer_kind { ANSWER_HIT, ANSWER_MISS, ANSWER_STORED, ANSWER_REFUSED };

struct answer {
    enum answer_kind kind;
    bool has_id;        /* the protocol names the request; else answers come in the order of requests */
    uint64_t id;        /* of the request; the pipeline's, when the protocol has none */
    struct slice value; /* of a HIT; into the bytes given */
    char why[96];       /* of REFUSED */
};

enum { TAKE_WHOLE = 1, TAKE_PARTIAL = 0, TAKE_BROKEN = -1 };

struct codec {
    const char *name;
    int (*greet)(struct stream *s); /* blocking, once a connection; 0 or < 0; NULL: nothing to say */
    int (*write_get)(struct buffer *out, uint64_t id, struct slice key);
    int (*write_set)(struct buffer *out, uint64_t id, struct slice key, struct slice value);
    int (*take)(struct slice bytes, struct answer *ret, size_t *ret_used);
};

/* All store with the same TTL. */
enum { CODEC_TTL_S = 3600 };

extern const struct codec codec_larder;    /* proto/wire.h */
extern const struct codec codec_redis;     /* RESP2 */
extern const struct codec codec_memcached; /* meta commands */

/* For text protocols: the line at the front of `bytes` without its CR LF.  False when it is not complete. */
bool codec_line(struct slice bytes, struct slice *ret_line, size_t *ret_used);
void codec_why(struct answer *a, struct slice line);

#endif
