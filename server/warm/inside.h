/* The tier's own structure, shared by open.c, warm.c (changes), get.c (reads), restore.c and list.c. */
#ifndef LARDER_WARM_INSIDE_H
#define LARDER_WARM_INSIDE_H

#include "warm/env.h"
#include "warm/overlay.h"
#include "warm/page.h"
#include "warm/warm.h"
#include "warm/writer.h"

struct restore;

/* What nobody waits for, one a kind (outbox.c). */
struct notes {
    struct outbox outbox;
    struct warm *warm;
    enum env_kept what;
};

/* A read on the pool, or a batch of them: changes committed since it began stay in the overlay until it ends. */
struct warm_read {
    struct list node;
    uint64_t ticket;
};

struct warm {
    struct tier tier;
    struct outbox outbox;
    struct notes notes[ENV_KEPT];
    struct warm_options options;
    struct loop *loop;
    struct page *page;
    struct kills *kills;
    struct env *env;
    struct env_state state; /* as of the start of this run */
    uint64_t stored_kill_v; /* the newest in the database then */
    uint32_t boot;
    char boot_id[37];
    char *directory, *data_path, *lock_path;
    int owner_file, floor_file;
    const char *why_empty;
    bool scanned;              /* the file, at open */
    unsigned partitions;       /* of the namespace; without a fleet 1 */
    unsigned fleet_partitions; /* 0: no fleet */
    bool hasty;
    struct env_place places[SHM_PARTITIONS]; /* as found, without a fleet zeros */
    uint64_t epochs[SHM_PARTITIONS];         /* that positions are in now; without a fleet state.epoch */

    /* changes */
    struct writer *writer;
    struct overlay *overlay;
    struct list replayed; /* from the page's journal, until warm_start */
    struct list carried;  /* from an environment that was discarded, until there is another */
    uint64_t sequence;    /* newest given out */
    uint64_t dead_below;  /* records of a lower sequence are dead */
    uint64_t unsafe;      /* newest change that kill -9 could undo before its commit */
    uint64_t safe;        /* changes up to here it cannot undo */
    uint64_t kept;        /* newest that is safe with its commit only: of the outbox, and see warm_kill */
    uint64_t turned;      /* newest change of an epoch */
    uint64_t queue_bytes;
    bool failing;
    struct list barriers; /* by what they wait for */
    struct list settlers;
    struct list ahead; /* of the disk: their changes are safe, and too many */

    /* reads */
    struct env_reader *reader;
    struct env_buffer found;
    uint64_t tickets;
    struct list reads; /* under way, oldest first */
    struct {
        uint64_t v, before_v, ticket; /* see warm_swept_v */
    } swept;
    struct list lingering; /* committed changes that reads under way may have missed */
    struct restore *restore;
    bool restores_hot; /* the saved hot set is not back yet */

    /* stopping */
    struct wakeup news;
    struct timer deadline;
    unsigned handles; /* open on the loop */
    bool started, stopping, exited, closed;
    struct writer_news last_news;
    void (*on_closed)(void *user);
    void *user;

    struct saved_kills {
        struct saved_kill {
            uint64_t name, hard_v, soft_v;
        } * list;
        size_t count, room;
    } saved;
    uint64_t hits, misses, offloaded, puts_dropped, bad, drops, expired, collapses, restored;
};

static inline struct warm *warm_of(struct tier *t)
{
    return (struct warm *)t;
}

static inline unsigned warm_partition(const struct warm *w, struct slice key)
{
    return shm_partition(key, w->partitions);
}

static inline unsigned warm_partition_of_name(const struct warm *w, uint64_t name)
{
    return w->partitions == 1 ? 0 : (unsigned)(name >> KILLS_PARTITION_SHIFT);
}

/* queue.c */
void warm_queue(struct warm *w, struct op *op); /* from the journal, before the writer runs */
int warm_submit(struct warm *w, struct op *op);
void warm_release_lingering(struct warm *w);
/* No read is under way that began before `ticket` was the next one. */
bool warm_reads_are_over(const struct warm *w, uint64_t ticket);
void warm_make_room(struct warm *w);    /* before a change looks at what it changes */
void warm_forget_swept(struct warm *w); /* positions of another epoch begin */
void warm_barrier(struct tier *t, struct tier_barrier *b);
void warm_news(struct wakeup *news);
void warm_free_changes(struct warm *w, struct list *ops);
/* As the tier's barrier, but waits for the commit even when the page holds the changes. */
void warm_settle(struct warm *w, struct tier_barrier *barrier);

/* warm.c */
void warm_save_kill(struct warm *w, uint64_t name, uint64_t hard_v, uint64_t soft_v);
void warm_maybe_closed(struct warm *w);

/* get.c */
int warm_get(struct tier *t, struct tier_read *read);
void warm_read_begin(struct warm *w, struct warm_read *r);
void warm_read_end(struct warm *w, struct warm_read *r);
/* TIER_FOUND with the entry as it is to be given out, or TIER_MISSED with the reason. */
int warm_judge(struct warm *w, struct slice bytes, uint64_t sequence, const struct op *op, uint64_t now_ns,
               struct entry *ret, enum miss_reason *ret_reason);

/* carry.c: while it is opened */
void warm_carry_take(struct warm *w); /* before its environment is discarded */
void warm_carry_put(struct warm *w);
void warm_carry_free(struct warm *w);

/* restore.c */
void warm_restore_cancel(struct warm *w);

/* list.c */
void warm_list(struct tier *t, uint64_t *cursor, uint32_t limit, uint64_t now_ns,
               bool (*each)(void *user, const struct tier_listed *listed), void *user);

#endif
