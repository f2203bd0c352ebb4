#include <stdlib.h>
#include "l2/coherence_private.h"
#include "l2/rules.h"
#include "l2/tail.h"

/* How much of the time between two ticks counts as silence of the tail: a host that was stopped must not take its own
 * pause for somebody else's. */
#define SILENCE_STEP_NS (5 * COHERENCE_TICK_NS)
/* Redis speaks for so long after an answer: the next fence and one to spare, and by far less than silence is let pass. */
#define HEARD_NS (2 * FENCE_EVERY_NS)
/* How old the last fence in the warm tier's memory may be: less precise, but not a commit per fence. */
#define MEMORY_EVERY_NS (1 * NS_PER_S)

/* ======= states ======= */

static void enter_hello(struct coherence *c, uint64_t now_ns);
static void enter_outbox(struct coherence *c, uint64_t now_ns);
static void enter_catching_up(struct coherence *c, uint64_t now_ns);
static void enter_live(struct coherence *c, uint64_t now_ns);
static void enter_connecting(struct coherence *c, uint64_t now_ns);

static const struct {
    const char *text;
    enum shm_mode shown;
    bool linked;                                                  /* changes are sent, reads believed */
    enum limit { LIMIT_NONE, LIMIT_CONNECT, LIMIT_ANSWER } limit; /* without progress */
    const char *late;
    void (*enter)(struct coherence *c, uint64_t now_ns);
} states[] = {
    [COHERENCE_DOWN] = {"down", SHM_DETACHED, false, LIMIT_NONE, NULL, NULL},
    [COHERENCE_CONNECTING] = {"connecting", SHM_DETACHED, false, LIMIT_CONNECT,
                              "Redis does not take our connection", enter_connecting},
    [COHERENCE_HELLO] = {"hello", SHM_DETACHED, false, LIMIT_ANSWER,
                         "Redis takes connections and does not answer", enter_hello},
    [COHERENCE_OUTBOX] = {"outbox", SHM_SUSPECT, false, LIMIT_ANSWER,
                          "Redis does not take the invalidations that waited for it", enter_outbox},
    [COHERENCE_CATCHING_UP] = {"catching up", SHM_SUSPECT, true, LIMIT_NONE, NULL, enter_catching_up},
    [COHERENCE_LIVE] = {"live", SHM_FRESH, true, LIMIT_NONE, NULL, enter_live},
};

const char *coherence_state_text(enum coherence_state state)
{
    return (unsigned)state < COUNT_OF(states) ? states[state].text : "unknown";
}

/* ======= what is shown ======= */

/* The readers of shared memory, whenever something they look at has changed. */
static void tell_shown(struct coherence *c)
{
    if (!c->shown_news)
        return;
    c->shown_news = false;
    c->setup.listener->shown(c->setup.listener_user);
}

/* One moment for the whole namespace: that of the partition heard of longest ago. */
static uint64_t serve_until(const struct coherence *c)
{
    uint64_t oldest_ns = UINT64_MAX;
    FOR_PARTITIONS(c, p)
    oldest_ns = c->of[p].last_fence_ns < oldest_ns ? c->of[p].last_fence_ns : oldest_ns;
    return oldest_ns ? clock_after(oldest_ns, c->setup.detached_max_ns / 10 * 8) : 0;
}

static void show(struct coherence *c, enum shm_mode mode)
{
    c->view.serve_until_ns = serve_until(c); /* before the mode */
    c->shown_news |= mode != c->view.mode;
    c->view.mode = mode;
}

static enum shm_mode shown_in(const struct coherence *c, enum coherence_state state)
{
    bool away = states[state].shown == SHM_DETACHED;
    return away && !RULE(C11_first, c->tried) ? SHM_SUSPECT : states[state].shown;
}

static void enter(struct coherence *c, enum coherence_state state, uint64_t now_ns)
{
    c->state = state;
    c->since_ns = now_ns;
    c->figures.connected = state >= COHERENCE_OUTBOX;
    show(c, shown_in(c, state));
    if (states[state].enter)
        states[state].enter(c, now_ns);
}

bool coherence_linked(const struct coherence *c)
{
    return states[c->state].linked;
}

/* ======= what the journal means ======= */

/* The position may be kept: its effects are queued before it (I6). */
static void tell_applied(struct coherence *c, unsigned p)
{
    struct partition *part = &c->of[p];
    bool old_fence = part->last_fence_ns - part->told_fence_ns >= MEMORY_EVERY_NS;
    if (!part->applied_news && !old_fence)
        return;
    part->applied_news = false;
    part->told_fence_ns = part->last_fence_ns;
    c->setup.listener->applied(c->setup.listener_user, p, part->last_fence_ns);
}

static void tail_spoke(struct partition *part)
{
    part->silent_ns = part->unheard_ns = 0;
}

/* Redis answers, and so the silence until now was the tail's; a long one may have been its own until just now. */
static void redis_spoke(struct partition *part, uint64_t now_ns)
{
    part->silent_ns += part->unheard_ns < SILENCE_STEP_NS ? part->unheard_ns : SILENCE_STEP_NS;
    part->unheard_ns = 0;
    part->heard_ns = now_ns;
}

static bool redis_speaks(const struct coherence *c, unsigned p, uint64_t now_ns)
{
    return c->state != COHERENCE_LIVE /* no questions yet */ || now_ns - c->of[p].heard_ns <= HEARD_NS;
}

/* A gap or an epoch goes to the warm tier in the turn of its effects: kills that are forgotten there under the old
 * position would let their dead return. */
static void tell(struct coherence *c, unsigned p, enum tail_news news)
{
    const struct fleet_listener *listener = c->setup.listener;
    if (news == TAIL_NOTHING || news == TAIL_RECORD)
        return;
    c->of[p].applied_news = true;
    tail_spoke(&c->of[p]);
    if (news == TAIL_GAP) {
        c->figures.gaps++;
        c->of[p].kills_from = c->view.of[p].floor;
        listener->gap(c->setup.listener_user, p, c->view.of[p].floor);
        tell_applied(c, p);
        return;
    }
    c->figures.epochs++;
    c->shown_news = true;
    c->of[p].last_fence_ns = 0;
    c->of[p].believe_from = 0;
    fences_forget(&c->of[p].fences);
    listener->epoch(c->setup.listener_user, p);
    tell_applied(c, p);
}

/* Whatever moved `applied` may have made a fence good (F13). */
static void vouch(struct coherence *c, unsigned p)
{
    struct fleet_partition *shown = &c->view.of[p];
    uint64_t sent_ns = fences_vouch(&c->of[p].fences, shown->applied);
    if (!sent_ns)
        return;
    c->of[p].last_fence_ns = sent_ns;
    if (clock_after(sent_ns, FLEET_FRESH_NS) <= shown->fresh_until_ns)
        return;
    shown->fresh_until_ns = clock_after(sent_ns, FLEET_FRESH_NS); /* I8: from the sending */
    c->shown_news = true;
}

static bool caught_up(const struct coherence *c)
{
    FOR_PARTITIONS(c, p)
    if (!RULE(C10_caught_up, c->view.of[p].applied >= c->of[p].target))
        return false;
    return true;
}

/* Nothing new to do here, perhaps much to do elsewhere. */
static void look_forward(struct coherence *c, uint64_t now_ns)
{
    if (c->state == COHERENCE_CATCHING_UP && caught_up(c))
        enter(c, COHERENCE_LIVE, now_ns);
}

/* ======= trouble ======= */

static struct list *node_of(struct fleet_change *change)
{
    static_assert(sizeof(struct list) <= sizeof(change->fleet_private), "the list fits into what is ours");
    return (struct list *)(void *)change->fleet_private;
}

static struct fleet_change *change_of(struct list *node)
{
    return (struct fleet_change *)(void *)((char *)node - offsetof(struct fleet_change, fleet_private));
}

/* Sent and never answered: nobody knows (C9).  Each caller hears of it when everything else is in order. */
static void abandon_changes(struct coherence *c)
{
    struct list *first;
    while ((first = list_first(&c->in_flight))) {
        struct fleet_change *change = change_of(first);
        list_remove(first);
        change->outcome = FLEET_UNKNOWN;
        c->figures.unknown++;
        change->done(change);
    }
}

static void abandon_questions(struct coherence *c)
{
    FOR_PARTITIONS(c, p)
    {
        struct partition *part = &c->of[p];
        fences_forget(&part->fences);
        if (part->sending)
            backlog_returned(c->backlog, p);
        part->sending = part->greeted = false;
        tail_spoke(part);
    }
}

/* An attempt that went unanswered has been a pause already; one on top, and the last host hears of Redis' return more than
 * a second late.  Hosts that lost a session together still spread: that is no attempt. */
static uint64_t pause_from(const struct coherence *c, uint64_t now_ns)
{
    bool joining = c->state == COHERENCE_CONNECTING || c->state == COHERENCE_HELLO;
    return joining ? c->begun_ns : now_ns;
}

void coherence_lost(struct coherence *c, const char *why, uint64_t now_ns)
{
    if (c->state == COHERENCE_DOWN)
        return;
    c->setup.io->close(c->setup.io_user);
    c->figures.trouble = why;
    c->retry_ns =
        clock_after(pause_from(c, now_ns), backoff_next(&c->pause, c->setup.random(c->setup.random_user)));
    abandon_questions(c);
    c->tried = true;
    if (c->state != COHERENCE_CONNECTING) /* then it is the same absence still: what it granted holds */
        c->view.session += !RULE(F14_absence, false);
    enter(c, COHERENCE_DOWN, now_ns);
    tell_shown(c);
    abandon_changes(c);
}

/* ======= connecting and greeting ======= */

static void enter_connecting(struct coherence *c, uint64_t now_ns)
{
    c->begun_ns = now_ns;
    c->setup.io->connect(c->setup.io_user);
}

void coherence_connected(struct coherence *c, uint64_t now_ns)
{
    if (c->state != COHERENCE_CONNECTING)
        return;
    c->view.session++;
    c->figures.sessions++;
    enter(c, COHERENCE_HELLO, now_ns);
}

static void enter_hello(struct coherence *c, uint64_t now_ns)
{
    FOR_PARTITIONS(c, p)
    c->setup.io->hello(c->setup.io_user, p);
}

static bool all_greeted(const struct coherence *c)
{
    FOR_PARTITIONS(c, p)
    if (!c->of[p].greeted)
        return false;
    return true;
}

/* In one epoch they never do.  What is known stays known, and the next hello brings it: Redis then begins another epoch,
 * since entries from above its counter would outlive every change to come. */
static const char went_back[] = "the positions in Redis went back";

void coherence_greeted(struct coherence *c, unsigned p, const struct coherence_hello *hello, uint64_t now_ns)
{
    struct partition *part = &c->of[p];
    if (c->state != COHERENCE_HELLO)
        return;
    if (part->greeted || hello->epoch == 0 || hello->first > hello->v + 1) {
        coherence_lost(c, "Redis greeted us in a way it cannot", now_ns);
        return;
    }
    enum tail_news news = tail_greeted(&c->view.of[p], hello->epoch, hello->v, hello->first);
    if (news == TAIL_BACK) {
        coherence_lost(c, went_back, now_ns);
        return;
    }
    tell(c, p, news);
    if (news == TAIL_EPOCH || !part->greeted_before)
        part->kills_from =
            hello->killed > part->kills_from || news == TAIL_EPOCH ? hello->killed : part->kills_from;
    part->greeted = part->greeted_before = true;
    if (all_greeted(c))
        enter(c, COHERENCE_OUTBOX, now_ns);
    tell_shown(c);
}

/* ======= the outbox ======= */

/* Sends what waits; one call of a partition at a time, all partitions at once. */
static void pump_partition(struct coherence *c, unsigned p)
{
    struct partition *part = &c->of[p];
    struct backlog_batch batch;
    if (part->sending || backlog_empty(c->backlog, p))
        return;
    CHECK(backlog_next(c->backlog, p, &batch));
    part->batch = batch.change;
    part->sending = c->setup.io->send(c->setup.io_user, &part->batch);
    if (!part->sending) /* no room: the next tick tries again */
        backlog_returned(c->backlog, p);
}

static bool nothing_waits(const struct coherence *c)
{
    FOR_PARTITIONS(c, p)
    if (!RULE(C10_outbox, backlog_empty(c->backlog, p)))
        return false;
    return true;
}

static void pump(struct coherence *c, uint64_t now_ns)
{
    if (c->state < COHERENCE_OUTBOX)
        return;
    FOR_PARTITIONS(c, p)
    pump_partition(c, p);
    if (c->state == COHERENCE_OUTBOX && nothing_waits(c))
        enter(c, COHERENCE_CATCHING_UP, now_ns);
}

static void enter_outbox(struct coherence *c, uint64_t now_ns)
{
    pump(c, now_ns);
}

/* I7: what was done here under a guessed position is done again under the one it got, before any read is believed: an
 * entry from above the guess may have come meanwhile.  `applied` does not move; the journal will bring it too (I1). */
static void do_batch_here(struct coherence *c, unsigned p, uint64_t v)
{
    struct backlog_batch batch;
    backlog_sent(c->backlog, p, &batch);
    struct fleet_record record = fleet_record_of(&batch.change, v);
    record.again = true;
    if (!RULE(I7_outbox, false))
        c->setup.listener->record(c->setup.listener_user, p, &record);
}

static void batch_answered(struct coherence *c, unsigned p, uint64_t now_ns)
{
    struct partition *part = &c->of[p];
    if (part->batch.outcome == FLEET_FAILED)
        coherence_lost(c, part->batch.why, now_ns);
    if (part->batch.outcome != FLEET_COMMITTED)
        return; /* the session has ended, or ends with this answer: whoever knows why says so */
    part->sending = false;
    part->believe_from = part->batch.v;
    do_batch_here(c, p, part->batch.v);
    c->since_ns = now_ns;
    backlog_answered(c->backlog, p);
    tail_saw(&c->view.of[p], part->batch.v);
    pump(c, now_ns);
    tell_shown(c);
}

int coherence_queue(struct coherence *c, const struct fleet_change *change)
{
    int kept = backlog_add(c->backlog, change);
    pump(c, c->tick_ns);
    return kept;
}

/* ======= the journal ======= */

static void enter_catching_up(struct coherence *c, uint64_t now_ns)
{
    FOR_PARTITIONS(c, p)
    {
        c->of[p].target = c->view.of[p].seen;
        c->setup.io->tail(c->setup.io_user, p, c->view.of[p].applied);
    }
    look_forward(c, now_ns);
}

void coherence_record(struct coherence *c, unsigned p, uint64_t note, const struct fleet_record *record,
                      uint64_t now_ns)
{
    struct fleet_partition *shown = &c->view.of[p];
    if (!coherence_linked(c) || note > 0)
        return;
    tail_spoke(&c->of[p]);
    enum tail_news news = tail_record(shown, record->v);
    if (news == TAIL_NOTHING)
        return;
    tell(c, p, news);
    c->setup.listener->record(c->setup.listener_user, p, record);
    tail_applied(shown, record->v); /* after its effects */
    c->figures.records++;
    c->of[p].applied_news = true;
    vouch(c, p);
    look_forward(c, now_ns);
    tell_shown(c);
}

/* A position was shown, and its record does not come (I2), though Redis answers.  Of one that says nothing at all everything
 * is late: the session ends, and who comes back reads on where it was; a loss made of that would have nothing served until
 * then. */
static void watch_tail(struct coherence *c, unsigned p, uint64_t now_ns, uint64_t passed_ns)
{
    struct partition *part = &c->of[p];
    if (c->view.of[p].seen <= c->view.of[p].applied)
        tail_spoke(part);
    else if (redis_speaks(c, p, now_ns))
        part->silent_ns += passed_ns;
    else
        part->unheard_ns += passed_ns;
    if (RULE(I2_silence, part->silent_ns <= FLEET_FRESH_NS))
        return;
    tell(c, p, tail_lost(&c->view.of[p]));
    vouch(c, p);
}

/* ======= fences ======= */

static void send_fence(struct coherence *c, unsigned p, uint64_t now_ns)
{
    fences_sent(&c->of[p].fences, now_ns, c->view.of[p].seen);
    c->setup.io->fence(c->setup.io_user, p);
    c->figures.fences++;
}

static void fence_if_due(struct coherence *c, unsigned p, uint64_t now_ns)
{
    fences_expire(&c->of[p].fences, now_ns);
    if (fences_due(&c->of[p].fences, now_ns, c->last_read_ns))
        send_fence(c, p, now_ns);
}

/* One at once, read or not: it is what the next DETACHED counts from. */
static void enter_live(struct coherence *c, uint64_t now_ns)
{
    FOR_PARTITIONS(c, p)
    send_fence(c, p, now_ns);
}

void coherence_fenced(struct coherence *c, unsigned p, uint64_t v, uint64_t now_ns)
{
    if (c->state != COHERENCE_LIVE)
        return;
    switch (fences_answered(&c->of[p].fences, v)) {
    case FENCE_UNASKED: coherence_lost(c, "Redis answered a fence that nobody sent", now_ns); return;
    case FENCE_WENT_BACK: coherence_lost(c, went_back, now_ns); return;
    case FENCE_GOOD: break;
    }
    redis_spoke(&c->of[p], now_ns);
    tail_saw(&c->view.of[p], v);
    backoff_reset(&c->pause);
    c->figures.trouble = NULL;
    vouch(c, p);
    tell_shown(c);
}

/* ======= time ======= */

static void tick_linked(struct coherence *c, unsigned p, uint64_t now_ns, uint64_t passed_ns)
{
    watch_tail(c, p, now_ns, passed_ns < SILENCE_STEP_NS ? passed_ns : SILENCE_STEP_NS);
    if (c->state == COHERENCE_LIVE)
        fence_if_due(c, p, now_ns);
    tell_applied(c, p);
}

static uint64_t limit_of(const struct coherence *c)
{
    switch (states[c->state].limit) {
    case LIMIT_CONNECT: return c->setup.connect_ns ? c->setup.connect_ns : COHERENCE_CONNECT_NS;
    case LIMIT_ANSWER: return c->setup.answer_ns ? c->setup.answer_ns : COHERENCE_ANSWER_NS;
    default: return UINT64_MAX;
    }
}

void coherence_tick(struct coherence *c, uint64_t now_ns)
{
    uint64_t passed_ns = now_ns - c->tick_ns;
    c->tick_ns = now_ns;
    if (c->state == COHERENCE_DOWN && now_ns >= c->retry_ns) {
        enter(c, COHERENCE_CONNECTING, now_ns);
    } else if (now_ns - c->since_ns > limit_of(c)) {
        coherence_lost(c, states[c->state].late, now_ns);
    } else if (coherence_linked(c)) {
        FOR_PARTITIONS(c, p)
        tick_linked(c, p, now_ns, passed_ns);
        look_forward(c, now_ns);
    }
    pump(c, now_ns);
    tell_shown(c);
}

/* ======= changes ======= */

int coherence_commit(struct coherence *c, struct fleet_change *change)
{
    CHECK(change->partition < c->view.partitions);
    list_init(node_of(change));
    if (!coherence_linked(c) || !c->setup.io->send(c->setup.io_user, change)) {
        change->outcome = FLEET_AWAY;
        return FLEET_DONE;
    }
    c->figures.changes++;
    list_append(&c->in_flight, node_of(change));
    return FLEET_PENDING;
}

static bool shows_position(enum fleet_outcome outcome)
{
    return outcome != FLEET_UNKNOWN && outcome != FLEET_AWAY && outcome != FLEET_FAILED;
}

void coherence_answered(struct coherence *c, struct fleet_change *change, uint64_t now_ns)
{
    unsigned p = change->partition;
    if (change == &c->of[p].batch) {
        batch_answered(c, p, now_ns);
        return;
    }
    list_remove(node_of(change));
    if (shows_position(change->outcome)) {
        tail_saw(&c->view.of[p], change->v);
        redis_spoke(&c->of[p], now_ns);
    }
    c->figures.unknown += change->outcome == FLEET_UNKNOWN;
    change->done(change);
}

/* ======= the whole ======= */

/* Entries may have been kept at positions the journal had not brought yet: they were seen (coherence_saw). */
static void remember(struct coherence *c, unsigned p, const struct fleet_memory *memory, uint64_t newest)
{
    uint64_t seen = newest > memory->applied ? newest : memory->applied;
    c->view.of[p] = (struct fleet_partition){
        .epoch = memory->epoch, .applied = memory->applied, .seen = seen, .floor = memory->floor};
    c->of[p].last_fence_ns = c->of[p].told_fence_ns = memory->last_fence_ns;
    c->of[p].kills_from = RULE(C2_remembered, false) ? 0 : memory->floor;
}

struct coherence *coherence_create(const struct coherence_setup *setup)
{
    CHECK(setup->partitions >= 1 && setup->partitions <= FLEET_PARTITIONS_MAX);
    struct coherence *c = must_alloc(sizeof(*c));
    c->setup = *setup;
    c->pause = backoff_of(BACKOFF_BASE_NS, BACKOFF_CAP_NS);
    c->backlog = backlog_create(setup->partitions, setup->backlog_max, setup->outbox);
    list_init(&c->in_flight);
    c->view.partitions = setup->partitions;
    c->view.serve_spread_ns = setup->detached_max_ns / 10 * 4;
    for (unsigned p = 0; p < setup->partitions && setup->memory; p++)
        remember(c, p, &setup->memory[p], setup->newest ? setup->newest[p] : 0);
    show(c, shown_in(c, COHERENCE_DOWN));
    c->setup.memory = NULL; /* the caller's, and read */
    c->setup.newest = NULL;
    return c;
}

struct coherence *coherence_destroy(struct coherence *c)
{
    if (!c)
        return NULL;
    coherence_lost(c, "this daemon is stopping", c->tick_ns);
    CHECK(list_empty(&c->in_flight));
    backlog_destroy(c->backlog);
    free(c);
    return NULL;
}
