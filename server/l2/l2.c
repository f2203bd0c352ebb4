#include "l2/l2.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include "l2/l2_private.h"

static struct l2 *l2_of(struct fleet *f)
{
    return CONTAINER_OF(f, struct l2, fleet);
}

static int commit(struct fleet *f, struct fleet_change *change)
{
    return coherence_commit(l2_of(f)->coherence, change);
}

static int queue(struct fleet *f, const struct fleet_change *change)
{
    return coherence_queue(l2_of(f)->coherence, change);
}

static void measure(struct fleet *f, struct fleet_figures *ret)
{
    const struct l2 *l2 = l2_of(f);
    coherence_measure(l2->coherence, ret);
    ret->reads = l2->reads;
    ret->hits = l2->hits;
    ret->redis_memory_used = l2->health.memory_used;
    ret->redis_memory_max = l2->health.memory_max;
    ret->trouble = ret->trouble ? ret->trouble : l2->health.trouble;
}

static void forgot(struct fleet *f, unsigned partition, uint64_t v)
{
    coherence_forgot(l2_of(f)->coherence, partition, v);
}

static int lease(struct fleet *f, struct fleet_lease *asked)
{
    return lease_ask(l2_of(f), asked);
}

static void keep(struct fleet *f, unsigned partition, struct slice key, const uint8_t *proof,
                 uint64_t life_ns)
{
    lease_keep(l2_of(f), partition, key, proof, life_ns);
}

static void drop(struct fleet *f, unsigned partition, struct slice key, const uint8_t *proof,
                 uint64_t rest_ns)
{
    lease_drop(l2_of(f), partition, key, proof, rest_ns);
}

static int limit(struct fleet *f, struct fleet_limit *asked)
{
    return l2_limit(l2_of(f), asked);
}

static int list(struct fleet *f, struct fleet_list *page)
{
    return l2_list(l2_of(f), page);
}

static void hot_add(struct fleet *f, const struct fleet_hot *keys, unsigned count, uint64_t most)
{
    l2_hot_add(l2_of(f), keys, count, most);
}

static int hot_list(struct fleet *f, struct fleet_list *page)
{
    return l2_hot_list(l2_of(f), page);
}

static const struct fleet_ops ops = {.commit = commit,
                                     .lease = lease,
                                     .lease_keep = keep,
                                     .lease_drop = drop,
                                     .limit = limit,
                                     .list = list,
                                     .hot_add = hot_add,
                                     .hot_list = hot_list,
                                     .queue = queue,
                                     .forgot = forgot,
                                     .measure = measure};

static uint64_t random_number(void *user)
{
    uint64_t number;
    (void)user;
    CHECK(getrandom(&number, sizeof(number), 0) == sizeof(number));
    return number;
}

/* The dice fall on the shortest. */
static uint64_t no_pause(void *user)
{
    (void)user;
    return 0;
}

static void make_coherence(struct l2 *l2)
{
    const struct l2_setup *s = &l2->setup;
    struct coherence_setup setup = {.partitions = (unsigned)s->options->partitions,
                                    .detached_max_ns = s->detached_max_ns,
                                    .backlog_max = BACKLOG_MAX,
                                    .connect_ns = s->options->connect_timeout + 2 * l2_join_ns(s->options),
                                    .answer_ns = 2 * l2_join_ns(s->options),
                                    .io = &node_io,
                                    .io_user = l2,
                                    .listener = s->listener,
                                    .listener_user = s->user,
                                    .outbox = s->outbox,
                                    .memory = s->memory,
                                    .newest = s->newest,
                                    .random = s->hasty ? no_pause : random_number};
    l2->coherence = coherence_create(&setup);
}

struct l2 *l2_create(const struct l2_setup *setup)
{
    struct l2 *l2 = must_alloc(sizeof(*l2));
    l2->setup = *setup;
    l2->collected = journal_collected();
    node_init(&l2->node);
    later_init(&l2->batch_over, read_batch_over);
    list_init(&l2->waiting);
    names_make(&l2->names, setup->options->key_prefix, setup->namespace,
               (unsigned)setup->options->partitions);
    snprintf(l2->host_field, sizeof(l2->host_field), "s:%016" PRIx64, setup->host);
    make_coherence(l2);
    l2->tier.ops = &read_ops;
    l2->fleet = (struct fleet){.ops = &ops, .view = coherence_view(l2->coherence), .tier = &l2->tier};
    return l2;
}

static void on_tick(struct timer *t)
{
    struct l2 *l2 = CONTAINER_OF(t, struct l2, tick);
    coherence_tick(l2->coherence, l2_now(l2));
    node_tick(l2);
    read_give_up(l2);
}

void l2_start(struct l2 *l2)
{
    timer_init(&l2->tick, l2->setup.loop, on_tick);
    timer_start(&l2->tick, 0,
                l2->setup.hasty ? NS_PER_MS
                                : COHERENCE_TICK_NS); /* the sooner it is joined, the sooner it serves */
    l2->ticking = true;
}

/* ======= the end ======= */

static void tick_closed(struct timer *t)
{
    struct l2 *l2 = CONTAINER_OF(t, struct l2, tick);
    l2->ticking = false;
    if (node_ended(l2))
        l2->stopped(l2->stopped_user);
}

void l2_stop(struct l2 *l2, void (*stopped)(void *user), void *user)
{
    CHECK(l2->ticking);
    l2->stopped = stopped;
    l2->stopped_user = user;
    coherence_lost(l2->coherence, "the daemon stops", l2_now(l2));
    timer_finish(&l2->tick, tick_closed);
    later_cancel(&l2->batch_over);
    read_batch_over(&l2->batch_over);
}

struct l2 *l2_destroy(struct l2 *l2)
{
    if (!l2)
        return NULL;
    CHECK(!l2->ticking && node_ended(l2) && list_empty(&l2->waiting));
    l2->coherence = coherence_destroy(l2->coherence);
    buffer_finish(&l2->room);
    buffer_finish(&l2->tail);
    buffer_finish(&l2->value);
    free(l2->collected);
    free(l2);
    return NULL;
}

/* ======= looking in ======= */

struct fleet *l2_fleet(struct l2 *l2)
{
    return &l2->fleet;
}

void l2_health(const struct l2 *l2, struct l2_health *ret)
{
    struct fleet_figures figures;
    coherence_measure(l2->coherence, &figures);
    *ret = l2->health;
    ret->trouble = figures.trouble ? figures.trouble : ret->trouble;
    ret->linked = coherence_linked(l2->coherence);
    ret->state = coherence_state_text(coherence_state(l2->coherence));
    l2_url_show(l2->setup.url, ret->address);
    ret->tls = l2->setup.url->tls;
    ret->auth = *l2->setup.url->password != 0;
}
