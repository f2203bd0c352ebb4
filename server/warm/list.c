/* Listing: the database by sequence, then the changes not yet in it.  A page is short rather than long in work: what is
 * dead is skipped, and skipping is counted too. */
#include "warm/inside.h"

#include "base/clock.h"

enum { LOOKS_PER_ENTRY = 4 };

#define CURSOR_OVERLAY (1ull << 55) /* the caller keeps its own bits above */

struct listing {
    struct warm *warm;
    uint64_t *cursor, now_ns;
    uint32_t left, looks;
    bool (*each)(void *user, const struct tier_listed *listed);
    void *user;
    bool stopped, reached_end;
};

static bool show(struct listing *l, const struct entry *e)
{
    struct tier_listed listed = {
        .key = e->key, .key_hash = e->key_hash, .hard_ns = e->hard_ns, .value_bytes = e->value.size};
    l->stopped = !l->each(l->user, &listed);
    l->left -= !l->stopped;
    return !l->stopped;
}

static bool list_record(void *listing, uint64_t sequence, struct slice bytes)
{
    struct listing *l = listing;
    struct record r;
    struct entry e;
    enum miss_reason reason;
    if (l->left == 0 || l->looks == 0) {
        *l->cursor = sequence;
        l->stopped = true;
        return false;
    }
    l->looks--;
    if (!record_decode_unchecked(bytes, &r))
        return true;
    const struct op *op = overlay_find(l->warm->overlay, OP_OF_KEY, r.entry.key_hash);
    if (op && op->kind != OP_LIFE) /* a drop, or a put to be listed later */
        return true;
    if (warm_judge(l->warm, bytes, sequence, op, l->now_ns, &e, &reason) == TIER_FOUND && !show(l, &e))
        *l->cursor = sequence;
    return !l->stopped;
}

static bool list_change(void *listing, const struct op *op)
{
    struct listing *l = listing;
    struct entry e;
    enum miss_reason reason;
    if (op->kind == OP_PUT &&
        warm_judge(l->warm, slice_of(op->bytes, op->size), 0, op, l->now_ns, &e, &reason) == TIER_FOUND)
        return show(l, &e);
    return true;
}

/* A bucket is listed whole or again: a key may come twice, never get lost. */
static void list_changes(struct listing *l)
{
    uint32_t bucket = (uint32_t)(*l->cursor & ~CURSOR_OVERLAY);
    while (l->left > 0 && !l->stopped) {
        overlay_walk(l->warm->overlay, &bucket, l->looks, list_change, l);
        if (bucket == 0)
            break;
        l->looks = l->left;
    }
    *l->cursor = bucket ? bucket | CURSOR_OVERLAY : 0;
}

void warm_list(struct tier *t, uint64_t *cursor, uint32_t limit, uint64_t now_ns,
               bool (*each)(void *user, const struct tier_listed *listed), void *user)
{
    struct listing l = {.warm = warm_of(t),
                        .cursor = cursor,
                        .now_ns = now_ns,
                        .left = limit,
                        .looks = limit * LOOKS_PER_ENTRY,
                        .each = each,
                        .user = user};
    if (limit == 0)
        return;
    if (!(*cursor & CURSOR_OVERLAY)) {
        struct env_reader *r = l.warm->reader;
        if (r && env_walk(r, *cursor, false, list_record, &l) == 0 && l.stopped)
            return;
        *cursor = CURSOR_OVERLAY;
    }
    list_changes(&l);
}
