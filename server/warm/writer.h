/* The warm thread: the only one with LMDB write transactions.
 *
 * The loop thread appends changes to `waiting` and may replace or take back one as long as it waits; the warm
 * thread takes all of them, commits them batch by batch, and hands them back; only the loop thread frees.  A batch
 * whose commit failed is tried again until it succeeds: first with half of it after evicting from the front, then
 * without its puts, then with growing pauses.  So the order of changes is never broken and a removal is never lost.
 *
 * Bounds: a batch is as large as the queue has become meanwhile, which is what makes a busy writer faster, but at
 * most what cannot use up the free part of the map in one transaction (writer.c), one change at least. */
#ifndef LARDER_WARM_WRITER_H
#define LARDER_WARM_WRITER_H

#include "net/loop.h"
#include "warm/env.h"
#include "warm/overlay.h"
#include "warm/page.h"
#include "warm/warm.h"

struct writer;

struct writer_setup {
    struct env *env;
    const struct warm_options *options;
    struct page *page;      /* NULL: none */
    struct env_state state; /* as committed */
    unsigned partitions;
    const struct env_place *places; /* as committed, one a partition */
    uint64_t newest_kill_v;         /* in the database; changes still to come count by themselves */
    uint32_t boot;                  /* record_boot of this boot */
    int floor_file;                 /* where the floor goes when there is no page */
    const char *data_path;          /* removed when not even that works: the next start is empty then */
    struct wakeup *news;            /* sent when there is something to collect */
    bool hasty;
};

struct writer *writer_create(const struct writer_setup *setup); /* starts the thread */
struct writer *writer_destroy(struct writer *w,
                              struct list *ret_left); /* after `exited`; hands back what is left */

/* ---- loop thread: changes ---- */

void writer_append(struct writer *w, struct op *op);
/* If `old` still waits and op_may_inherit (or `anyway`): `op` takes its place.  false: it does not. */
bool writer_replace(struct writer *w, struct op *old, struct op *op, bool anyway);
/* If it still waits, it leaves the queue. */
bool writer_take_back(struct writer *w, struct op *old);
void writer_hurry(struct writer *w); /* commit now */
/* Everything below `sequence` is dead: what waits is handed back, what is taken changes nothing any more. */
void writer_collapse(struct writer *w, uint64_t sequence, struct list *ret_waiting);
void writer_stop(struct writer *w, uint64_t deadline_ns);
void writer_mute(struct writer *w); /* no news any more: the wake-up is about to go */

/* ---- loop thread: news ---- */

struct writer_news {
    uint64_t committed;     /* changes up to this sequence are in a commit */
    uint64_t floor_written; /* newest floor that reached the floor file */
    uint64_t swept_v;       /* kills up to here mask no record, and no change that is still to be committed */
    bool failing;           /* the last attempt failed */
    bool exited, clean;
    const char *trouble;
};
/* Moves finished changes to the list. */
void writer_collect(struct writer *w, struct list *ret_finished, struct writer_news *ret);

struct writer_figures {
    uint64_t puts, puts_dropped, deletes, evictions, expired, bad, commits, commits_failed;
    struct env_sizes sizes;
};
void writer_measure(struct writer *w, struct writer_figures *ret);
/* Any thread. */
bool writer_refuses_puts(const struct writer *w, uint64_t now_ns);
bool writer_file_is_resident(const struct writer *w);

#endif
