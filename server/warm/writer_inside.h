/* What writer.c, apply.c and tend.c share. */
#ifndef LARDER_WARM_WRITER_INSIDE_H
#define LARDER_WARM_WRITER_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>
#include "warm/writer.h"

struct tend {
    uint64_t next_ns; /* of the sweep */
    uint64_t next_memory_ns;
    struct sweep_mark {
        uint64_t sequence; /* of the newest change when it was taken */
        uint64_t kill_v;   /* position of the newest kill then, with one partition */
        uint64_t epochs;   /* how often the epoch had changed */
    } mark;
    uint64_t epochs;     /* the same, for all below */
    uint64_t cursor;     /* of the pass, 0: none under way */
    uint64_t pass_v;     /* kills up to here are settled when it ends */
    uint64_t swept_v;    /* are settled */
    uint64_t prune_name; /* cursor of pruning */
    bool pruning;
    struct bans *bans;     /* of the step under way: as in the database */
    uint64_t expired, bad; /* of the step under way */
};

struct writer {
    struct writer_setup setup;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work;
    /* under the lock */
    struct list waiting, finished;
    uint64_t waiting_count, waiting_bytes;
    uint64_t taken_sequence;  /* changes up to here wait no more */
    struct sweep_mark newest; /* change ever appended, and kill among them */
    uint64_t due_ns;          /* when what waits must be committed */
    uint64_t floor;           /* everything of a lower sequence is dead */
    bool hurry, stopping, muted;
    uint64_t stop_by_ns;
    struct writer_news news;
    struct writer_figures figures;
    /* the warm thread's own */
    struct list taken; /* no more to be replaced; in the order of changes, `batch` before it */
    struct list batch; /* the next transaction */
    uint32_t batch_ops, batch_ops_max;
    uint64_t batch_bytes_max;
    struct keyed {
        uint64_t hash, sequence;
        const struct op *op;
    } * keyed;     /* the changes of keys in the batch */
    uint64_t *old; /* records that have no name any more */
    uint32_t keyed_count, old_count;
    struct env_state state;                  /* as committed */
    struct env_place places[SHM_PARTITIONS]; /* as committed */
    bool disk_full;                          /* a commit found no room on it, and there has been none since */
    unsigned puts_failed;                    /* batches in a row that lost their puts */
    struct tend tend;
    /* any thread */
    _Atomic uint64_t refuse_puts_until_ns;
    _Atomic bool resident;
};

/* Of a key's positions; 0: none known. */
static inline uint64_t writer_epoch(const struct writer *w, struct slice key)
{
    return w->state.partitions ? w->places[shm_partition(key, w->setup.partitions)].epoch : w->state.epoch;
}

struct record_clock writer_clock(const struct writer *w);
void writer_tell(struct writer *w); /* that there is news */

/* apply.c: one transaction with the whole batch. */
struct tally {
    uint64_t puts, puts_dropped, deletes;
};
int apply_batch(struct writer *w, bool with_puts, struct tally *ret);

/* tend.c: room, expiry, kills; each step a small transaction of its own. */
uint32_t tend_evict(struct writer *w, uint32_t count);
void tend_database(struct writer *w);
/* When it wants to be called again. */
uint64_t tend_next_ns(const struct writer *w);
void tend_measure(struct writer *w);
void tend_memory(struct writer *w, uint64_t now_ns);

#endif
