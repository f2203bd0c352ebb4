/* Inside of the runtime page: what warm/ keeps in it besides the mirror of alive_until (warm.h).
 *
 * A ring of 24-byte records, appended by the loop thread before a change is acknowledged, forgotten by the warm
 * thread when the commit that contains the change has succeeded.  kill -9 leaves it as it is; the next daemon
 * replays what no commit contains.
 *
 * Why a torn record cannot be read: the record is stored before the head that covers it, and memory of tmpfs is
 * memory: what one process stored in an order, the next one sees in that order or later. */
#ifndef LARDER_WARM_PAGE_H
#define LARDER_WARM_PAGE_H

#include "warm/warm.h"

enum page_kind {
    PAGE_KEY = 1,      /* hash of a key, sequence of the change: whatever was there before is gone */
    PAGE_SOFT_KEY = 2, /* the same, but only stale */
    PAGE_NAME = 3,     /* hash of a name (floors too: base/kills.h), position of its kill */
    PAGE_SOFT_NAME = 4,
};

struct page_record {
    enum page_kind kind;
    uint64_t hash, number;
    uint64_t end; /* position behind it, for page_forget */
};

/* As page_open, in a boot of the caller's choice. */
int page_open_in(const char *path, const char *boot_id, struct page **ret, struct page_found *ret_found);

/* Whose page it was and is.  `stranger`: a daemon used the page without a warm tier, so the warm tier may have
 * missed changes. */
struct page_owner {
    uint64_t id;       /* of the page, random */
    uint64_t epoch;    /* of the state directory; 0: none yet */
    uint64_t start_no; /* of the run */
    uint64_t applied;  /* newest change that was in a commit */
    bool stranger;
};
void page_owner(const struct page *p, struct page_owner *ret);
void page_own(struct page *p, uint64_t epoch, uint64_t start_no);
/* Forgets all records and the floor: for a state directory that starts empty. */
void page_clear(struct page *p);

/* Position behind the new record; 0: the journal is full. */
uint64_t page_append(struct page *p, enum page_kind kind, uint64_t hash, uint64_t number);
bool page_full(const struct page *p);
/* Everything before `position`, and all changes up to `applied`, are in a commit.  Any thread; never goes back. */
void page_forget(struct page *p, uint64_t position, uint64_t applied);
/* Nothing in the journal matters any more. */
void page_forget_all(struct page *p);
/* Everything stored under a sequence below this is dead.  Never falls. */
void page_set_floor(struct page *p, uint64_t sequence);
uint64_t page_floor(const struct page *p);
/* The file as the last commit left it (warm/stamp.h); 0: unknown.  A file with another stamp was changed by somebody
 * else, or by a commit that did not come to its end. */
void page_set_stamp(struct page *p, uint64_t stamp);
uint64_t page_stamp(const struct page *p);
/* Walks the records not forgotten, oldest first.  false: the ring contradicts itself and cannot be believed. */
bool page_replay(const struct page *p, void (*each)(void *user, const struct page_record *record),
                 void *user);

#endif
