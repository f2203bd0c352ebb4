/* The network of the model: messages wait in both directions of each connection until the dice let them through; a
 * connection that is cut takes along what was in it, except what may arrive yet. */
#include "tests/model/fleet_host.h"

enum { ZOMBIES = 16 };

static struct message zombies[ZOMBIES];
static unsigned zombies_count;
static bool redis_gone; /* with its connections and what was in them */

void links_begin(void)
{
    zombies_count = 0;
    for (int host = 0; host < HOSTS; host++)
        link_release_all(host);
}

/* ======= sending ======= */

bool link_send(struct host *h, enum channel channel, struct message m)
{
    struct queue *q = &h->link.requests[channel];
    if (q->count == QUEUE / 2)
        return false;
    m.host = h->number;
    m.nonce = h->link.nonce;
    m.sent_ns = world_ns;
    q->of[q->count++] = m;
    return true;
}

/* What was sent may arrive yet (F7). */
static void leave_zombies(const struct queue *q)
{
    for (unsigned i = 0; i < q->count && !redis_gone; i++)
        if (!q->of[i].dead && q->of[i].ask != ASK_READ && q->of[i].ask != ASK_FENCE &&
            zombies_count < ZOMBIES)
            zombies[zombies_count++] = q->of[i];
}

static void abandon_reads(struct host *h, const struct queue *q)
{
    for (unsigned i = 0; i < q->count; i++)
        if (q->of[i].read)
            h->failed[h->failed_count++] = q->of[i].read;
}

void link_close(struct host *h)
{
    for (unsigned c = 0; c < CHANNEL_TAIL; c++) {
        leave_zombies(&h->link.requests[c]);
        abandon_reads(h, &h->link.requests[c]);
        abandon_reads(h, &h->link.replies[c]);
    }
    CHECK(h->failed_count <= QUEUE);
    bool tail_held = h->link.tail_held;
    for (unsigned c = 0; c < CHANNEL_TAIL; c++)
        h->link.requests[c].count = h->link.replies[c].count = 0;
    h->link.wanted = h->link.up = h->link.lost = h->link.tailing[0] = h->link.tailing[1] = false;
    h->link.tail_held = tail_held;
    h->link.nonce = dice();
}

/* ======= trouble ======= */

void link_hold(int host, enum channel channel, bool replies, bool held)
{
    struct link *l = &hosts[host].link;
    if (channel == CHANNEL_TAIL)
        l->tail_held = held;
    else
        (replies ? l->replies : l->requests)[channel].held = held;
}

void link_release_all(int host)
{
    for (enum channel c = 0; c < CHANNELS; c++) {
        link_hold(host, c, false, false);
        link_hold(host, c, true, false);
    }
}

/* The host hears of it when it next looks. */
void link_cut(int host)
{
    hosts[host].link.lost |= hosts[host].link.wanted;
}

void link_tell_failed(struct host *h)
{
    while (h->failed_count) {
        struct tier_read *read = h->failed[--h->failed_count];
        read->reason = MISS_DETACHED;
        read->done(read, TIER_MISSED);
    }
}

/* Everything under way ends without anybody hearing of it. */
static void lose(struct host *h, const char *why)
{
    TALK("host %d: lost: %s", h->number, why);
    coherence_lost(h->coherence, why, clock_of(h));
    link_tell_failed(h);
}

/* A host that does not look hears of it later. */
static void link_kill(struct link *l)
{
    l->lost = l->wanted;
    for (unsigned c = 0; c < CHANNEL_TAIL; c++)
        for (unsigned i = 0; i < l->requests[c].count; i++)
            l->requests[c].of[i].dead = true;
}

void links_die(void)
{
    zombies_count = 0;
    redis_gone = true;
    for (int i = 0; i < HOSTS; i++)
        if (hosts[i].link.wanted && !hosts[i].paused)
            lose(&hosts[i], "Redis is gone");
        else
            link_kill(&hosts[i].link);
    redis_gone = false;
}

/* ======= flow ======= */

static void take_first(struct queue *q, struct message *ret)
{
    *ret = q->of[0];
    memmove(q->of, q->of + 1, --q->count * sizeof(q->of[0]));
}

static void answer_change(struct host *h, struct message *m)
{
    static const enum fleet_outcome outcomes[] = {
        [SAID_OK] = FLEET_COMMITTED,      [SAID_EXISTS] = FLEET_EXISTS,   [SAID_NOT_FOUND] = FLEET_NOT_FOUND,
        [SAID_CONFLICT] = FLEET_CONFLICT, [SAID_REFUSED] = FLEET_REFUSED, [SAID_EPOCH] = FLEET_AWAY,
        [SAID_SESSION] = FLEET_AWAY,
    };
    m->change->epoch = m->epoch;
    m->change->v = m->v;
    m->change->id = m->id;
    m->change->hard_ns = m->change->soft_ns = clock_of(h) + m->left_ns - (world_ns - m->sent_ns);
    m->change->outcome = outcomes[m->said];
    coherence_answered(h->coherence, m->change, clock_of(h));
}

static void answer(struct host *h, struct message *m)
{
    struct coherence_hello hello = {m->epoch, m->v, m->first, m->killed};
    bool ended = m->said == SAID_EPOCH || m->said == SAID_SESSION;
    if (m->change)
        answer_change(h, m);
    else if (m->read && ended)
        h->failed[h->failed_count++] = m->read;
    else if (m->read)
        node_read_answered(h, m);
    else if (ended)
        ;
    else if (m->ask == ASK_FENCE)
        coherence_fenced(h->coherence, m->partition, m->v, clock_of(h));
    else
        coherence_greeted(h->coherence, m->partition, &hello, clock_of(h));
    if (ended)
        lose(h, m->said == SAID_EPOCH ? "EPOCH" : "SESSION");
    link_tell_failed(h);
}

static bool tail_flow(struct host *h)
{
    struct redis_record r;
    for (unsigned p = 0; p < redis_partitions(); p++) {
        if (!h->link.tailing[p] || !redis_journal_after(p, &h->link.cursor[p], &r))
            continue;
        struct slice names[KEYS + TAGS + PREFIXES + GLOBS];
        struct fleet_record record = {.v = r.v,
                                      .keys = names,
                                      .tags = names + KEYS,
                                      .prefixes = names + KEYS + TAGS,
                                      .globs = names + KEYS + TAGS + PREFIXES,
                                      .all = r.names.all,
                                      .soft = r.names.soft};
        record.keys_count = names_list(names, key_texts, r.names.keys);
        record.tags_count = names_list(names + KEYS, tag_texts, r.names.tags);
        record.prefixes_count = names_list(names + KEYS + TAGS, prefix_texts, r.names.prefixes);
        record.globs_count = names_list(names + KEYS + TAGS + PREFIXES, glob_texts, r.names.globs);
        coherence_record(h->coherence, p, 0, &record, clock_of(h));
        link_tell_failed(h);
        return true;
    }
    return false;
}

bool link_flow(int host, enum channel channel, bool replies)
{
    struct host *h = &hosts[host];
    struct link *l = &h->link;
    struct message m;
    if (!l->up || l->lost)
        return false;
    if (channel == CHANNEL_TAIL)
        return !l->tail_held && !h->paused && tail_flow(h);
    struct queue *from = replies ? &l->replies[channel] : &l->requests[channel];
    if (from->count == 0 || from->held || (replies && h->paused) || l->replies[channel].count == QUEUE)
        return false;
    take_first(from, &m);
    if (replies) {
        answer(h, &m);
        return true;
    }
    redis_run(&m);
    l->replies[channel].of[l->replies[channel].count++] = m;
    return true;
}

void link_all_flow(int host)
{
    bool moved = true;
    for (unsigned turns = 0; moved && turns < 1000; turns++) {
        moved = false;
        for (enum channel c = 0; c < CHANNELS; c++) {
            moved |= link_flow(host, c, false);
            if (c != CHANNEL_TAIL)
                moved |= link_flow(host, c, true);
        }
    }
}

void zombies_arrive(void)
{
    while (zombies_count) {
        struct message m = zombies[--zombies_count];
        TALK("a request of a dead session of host %d arrives", m.host);
        redis_run(&m);
    }
}

/* ======= time ======= */

static uint64_t oldest(const struct queue *q, uint64_t than)
{
    return q->count && q->of[0].sent_ns < than ? q->of[0].sent_ns : than;
}

/* A command has 250 ms. */
static bool late(const struct link *l)
{
    uint64_t sent_ns = world_ns;
    for (unsigned c = 0; c < CHANNEL_TAIL; c++)
        sent_ns = oldest(&l->replies[c], oldest(&l->requests[c], sent_ns));
    return world_ns - sent_ns > 250 * NS_PER_MS;
}

void link_tick(struct host *h)
{
    if (h->link.lost)
        lose(h, "cut");
    else if (late(&h->link))
        lose(h, "late");
    if (h->link.wanted && !h->link.up) {
        h->link.up = true;
        coherence_connected(h->coherence, clock_of(h));
    }
}
