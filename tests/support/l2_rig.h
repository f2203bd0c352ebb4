/* A Redis tier on a loop, with a listener that counts.  Nothing waits by the clock: the loop is turned until
 * something is so, and an alarm ends a test that hangs. */
#ifndef LARDER_TESTS_L2_RIG_H
#define LARDER_TESTS_L2_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <signal.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "l2/l2.h"

enum { L2_RIG_TEXT = 256, L2_RIG_PARTITIONS = 4, L2_RIG_SECRET = 77, L2_RIG_VALUE_MAX = 16 << 20 };

/* What the listener heard, of all partitions. */
struct heard {
    unsigned records, gaps, epochs, shown;
    uint64_t v;
    unsigned partition, keys_count, tags_count, prefixes_count;
    bool all, soft;
    char name[L2_RIG_TEXT]; /* the first of the last record */
};

struct rig_read {
    struct tier_read read;
    unsigned done;
    int outcome;
    struct entry entry; /* but for its slices */
    char value[L2_RIG_TEXT];
    size_t value_bytes;
};

struct l2_rig {
    struct loop *loop;
    bool own_loop;
    struct l2_options options;
    struct l2_url url;
    struct l2_setup setup;
    struct l2 *l2;
    struct fleet *fleet;
    struct heard heard;
    unsigned stopped;
    struct rig_read reader; /* whose reads nobody looks at */
    bool reads;
};

#define L2_RIG_UNTIL(rig, condition)    \
    do {                                \
        while (!(condition))            \
            loop_run_once((rig)->loop); \
    } while (0)

static inline void rig_record(void *user, unsigned partition, const struct fleet_record *r)
{
    struct heard *h = &((struct l2_rig *)user)->heard;
    const struct slice *first = r->keys_count ? r->keys : r->tags_count ? r->tags : r->prefixes;
    bool named = r->keys_count || r->tags_count || r->prefixes_count;
    h->records++;
    h->partition = partition;
    h->v = r->v;
    h->keys_count = r->keys_count;
    h->tags_count = r->tags_count;
    h->prefixes_count = r->prefixes_count;
    h->all = r->all;
    h->soft = r->soft;
    snprintf(h->name, sizeof(h->name), "%.*s", named ? (int)first->size : 0,
             named ? (const char *)first->data : "");
}

static inline void rig_gap(void *user, unsigned partition, uint64_t floor)
{
    ((struct l2_rig *)user)->heard.gaps++;
}

static inline void rig_epoch(void *user, unsigned partition)
{
    ((struct l2_rig *)user)->heard.epochs++;
}

static inline void rig_applied(void *user, unsigned partition, uint64_t last_fence_ns)
{
}

static inline void rig_shown(void *user)
{
    ((struct l2_rig *)user)->heard.shown++;
}

static const struct fleet_listener rig_listener = {rig_record, rig_gap, rig_epoch, rig_applied, rig_shown};

static inline const struct fleet_view *rig_view(const struct l2_rig *rig)
{
    return rig->fleet->view;
}

/* On a loop of somebody else, or on its own.  Between this and rig_start options may be changed. */
static inline void rig_prepare(struct l2_rig *rig, struct loop *loop, const char *url, uint64_t host)
{
    *rig = (struct l2_rig){.loop = loop ? loop : loop_create(), .own_loop = !loop};
    rig->options = (struct l2_options){.enabled = true,
                                       .key_prefix = "",
                                       .partitions = 1,
                                       .connect_timeout = 1000 * NS_PER_MS,
                                       .command_timeout = 5 * NS_PER_S,
                                       .journal_length = 100000,
                                       .compress_min = 1024};
    CHECK(l2_url_parse(url, &rig->url) == 0);
    rig->setup = (struct l2_setup){.options = &rig->options,
                                   .loop = rig->loop,
                                   .url = &rig->url,
                                   .namespace = "ns",
                                   .host = host,
                                   .hash_secret = L2_RIG_SECRET,
                                   .value_max = L2_RIG_VALUE_MAX,
                                   .max_ttl_ns = 3600 * NS_PER_S,
                                   .detached_max_ns = 60 * NS_PER_S,
                                   .listener = &rig_listener,
                                   .user = rig};
    signal(SIGPIPE, SIG_IGN); /* as the daemon does */
    alarm(100);
}

static inline void rig_start(struct l2_rig *rig)
{
    rig->l2 = l2_create(&rig->setup);
    rig->fleet = l2_fleet(rig->l2);
    l2_start(rig->l2);
}

static inline void rig_on_stopped(void *user)
{
    ((struct l2_rig *)user)->stopped++;
}

static inline void rig_nothing_left(struct timer *t)
{
    loop_stop(t->loop);
}

/* Ends it; a loop of its own must then be empty. */
static inline void rig_finish(struct l2_rig *rig)
{
    if (rig->l2) {
        l2_stop(rig->l2, rig_on_stopped, rig);
        L2_RIG_UNTIL(rig, rig->stopped);
        for (unsigned i = 0; i < 3; i++) { /* nothing more may come */
            struct timer t;
            timer_init(&t, rig->loop, NULL);
            timer_finish(&t, rig_nothing_left);
            loop_run(rig->loop);
        }
        assert_int_equal(rig->stopped, 1);
        rig->l2 = l2_destroy(rig->l2);
    }
    l2_url_finish(&rig->url);
    if (rig->own_loop)
        loop_destroy(rig->loop);
}

static inline struct l2_health rig_health(const struct l2_rig *rig)
{
    struct l2_health h;
    l2_health(rig->l2, &h);
    return h;
}

/* ======= changes ======= */

struct rig_change {
    struct fleet_change change;
    struct entry entry;
    struct slice names[4];
    unsigned done;
};

static inline void rig_changed(struct fleet_change *change)
{
    CONTAINER_OF(change, struct rig_change, change)->done++;
}

static inline struct entry rig_entry(const struct l2_rig *rig, const char *key, struct slice value)
{
    uint64_t now = loop_now_ns(rig->loop);
    return (struct entry){.key = slice_text(key),
                          .value = value,
                          .id = 0xabcdef,
                          .user_flags = 7,
                          .schema = 9,
                          .hard_ns = now + 60 * NS_PER_S,
                          .soft_ns = now + 30 * NS_PER_S};
}

static inline void rig_commit(struct l2_rig *rig, struct rig_change *c)
{
    c->done = 0;
    c->change.done = rig_changed;
    if (c->change.verb != FLEET_INVALIDATE) {
        c->change.entry = &c->entry;
        c->change.partition = shm_partition(c->entry.key, (uint32_t)rig->options.partitions);
    }
    if (rig->fleet->ops->commit(rig->fleet, &c->change) == FLEET_DONE)
        c->done++;
}

static inline void rig_wait_change(struct l2_rig *rig, struct rig_change *c)
{
    L2_RIG_UNTIL(rig, c->done);
    assert_int_equal(c->done, 1);
}

static inline enum fleet_outcome rig_change(struct l2_rig *rig, struct rig_change *c)
{
    rig_commit(rig, c);
    rig_wait_change(rig, c);
    return c->change.outcome;
}

/* ======= reads ======= */

static inline void rig_was_read(struct tier_read *read, int outcome)
{
    struct rig_read *r = CONTAINER_OF(read, struct rig_read, read);
    struct slice value = read->entry.value;
    r->done++;
    r->outcome = outcome;
    if (outcome == TIER_MISSED)
        return;
    r->entry = read->entry;
    r->value_bytes = value.size;
    snprintf(r->value, sizeof(r->value), "%.*s", (int)(value.size < L2_RIG_TEXT ? value.size : L2_RIG_TEXT),
             value.size ? (const char *)value.data : "");
}

static inline void rig_ask(struct l2_rig *rig, struct rig_read *r, const char *key)
{
    r->done = 0;
    r->read.key = slice_text(key);
    r->read.now_ns = loop_now_ns(rig->loop);
    r->read.done = rig_was_read;
    int outcome = rig->fleet->tier->ops->get(rig->fleet->tier, &r->read);
    if (outcome != TIER_PENDING)
        rig_was_read(&r->read, outcome);
}

static inline int rig_get(struct l2_rig *rig, struct rig_read *r, const char *key)
{
    rig_ask(rig, r, key);
    L2_RIG_UNTIL(rig, r->done);
    assert_int_equal(r->done, 1);
    return r->outcome;
}

/* The least of its partitions; 0: somebody never vouched. */
static inline uint64_t rig_promised_until(const struct l2_rig *rig)
{
    uint64_t least = UINT64_MAX;
    for (unsigned p = 0; p < rig->options.partitions; p++)
        if (rig_view(rig)->of[p].fresh_until_ns < least)
            least = rig_view(rig)->of[p].fresh_until_ns;
    return least;
}

/* In the fleet, and somebody vouches.  A promise is asked for only while somebody reads, and the first may be over before
 * it is looked at. */
static inline bool rig_fresh(struct l2_rig *rig)
{
    uint64_t until_ns = rig_promised_until(rig);
    bool in_fleet = rig_view(rig)->mode == SHM_FRESH, is_over = loop_now_ns(rig->loop) >= until_ns;
    if (in_fleet && is_over && until_ns && (!rig->reads || rig->reader.done)) {
        rig->reads = true;
        rig_ask(rig, &rig->reader, "whatever");
    }
    return in_fleet && !is_over;
}

#endif
