/* Three connections to one Redis: control (hello, fence, changes), tail (the journal), data (reads).  A value of 16 MiB
 * on one of them does not keep a fence from its answer (F13).
 *
 * What must stay true: they are one session: the first that ends takes the others with it, at once; what an older
 * generation still reports is counted as ended and otherwise ignored. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "base/log.h"
#include "l2/fence.h"
#include "l2/l2_private.h"

enum {
    TAIL_RECORDS = 256, /* of one XREAD: bounds the turn that applies them */
    TAIL_BLOCK_MS = 500,
};
#define TAIL_DEADLINE_NS ((TAIL_BLOCK_MS + 2000) * NS_PER_MS) /* Redis rounds a block up, by its own timer */
#define MAX_TTL_SLACK_MS 3600000ull

/* Changes may fill the control link up to the default.  Above that there is room for hello and fences, each with its script
 * in full: one that found none would be missed for ever. */
enum {
    RESERVED = FLEET_PARTITIONS_MAX * (FENCES_MAX + 1),
    RESERVED_BYTES = RESERVED * 16384,
};

/* ======= the end of a session ======= */

static void close_links(struct node *n)
{
    n->generation++;
    n->ready = 0;
    later_cancel(&n->tailing.again);
    n->tailing.busy = false;
    memset(n->tailing.started, 0, sizeof(n->tailing.started));
    for (unsigned i = 0; i < LINKS; i++) {
        conn_close(n->links[i]);
        n->links[i] = NULL;
    }
}

/* Once, not at each attempt. */
static void tell_trouble(struct l2 *l2, const char *why)
{
    if (l2->node.told)
        return;
    l2->node.told = true;
    log_warn("Redis is away: what is here is served, flagged, as long as detached_max allows",
             L_TEXT("namespace", l2->setup.namespace), L_TEXT("why", why));
}

static void tell_joined(struct l2 *l2)
{
    if (l2->node.joined)
        return;
    l2->node.joined = true;
    l2->node.told = false;
    log_info("in the fleet", L_TEXT("namespace", l2->setup.namespace), L_TEXT("redis", l2->health.version),
             L_U64("partitions", l2->setup.options->partitions));
}

void node_fail(struct l2 *l2, const char *why)
{
    close_links(&l2->node);
    l2->node.joined = false;
    l2->health.trouble = why;
    l2->health.failed_at = L2_STEP_WRITE; /* connected we were: who knows better says so */
    l2->health.said[0] = 0;
    tell_trouble(l2, why);
    coherence_lost(l2->coherence, why, l2_now(l2));
}

/* Coherence ends sessions of its own accord too. */
void node_tick(struct l2 *l2)
{
    struct fleet_figures figures;
    coherence_measure(l2->coherence, &figures);
    if (coherence_state(l2->coherence) != COHERENCE_DOWN || !figures.trouble)
        return;
    l2->node.joined = false;
    tell_trouble(l2, figures.trouble);
}

bool node_ended(const struct l2 *l2)
{
    return l2->node.open == 0;
}

/* Static, unlike the end's own, which may quote Redis. */
static const char *why_text(enum conn_why why)
{
    static const char *const texts[] = {
#define END(NAME, sentence) [CONN_END_##NAME] = (sentence),
        CONN_ENDS(END)
#undef END
    };
    return texts[why];
}

static enum l2_step step_of(enum conn_why why)
{
    switch (why) {
    case CONN_END_NO_ADDRESS: return L2_STEP_ADDRESS;
    case CONN_END_NO_CONNECT:
    case CONN_END_OPEN_TIMEOUT: return L2_STEP_CONNECT;
    case CONN_END_TLS: return L2_STEP_TLS;
    case CONN_END_AUTH: return L2_STEP_AUTH;
    case CONN_END_SELECT: return L2_STEP_DATABASE;
    default: return L2_STEP_WRITE;
    }
}

/* Which link it is, or LINKS when it is one of an older generation. */
static unsigned link_of(const struct node *n, const struct conn *conn)
{
    unsigned i = 0;
    while (i < LINKS && n->links[i] != conn)
        i++;
    return i;
}

static void link_closed(struct conn *conn, const struct conn_end *end)
{
    struct l2 *l2 = conn_user(conn);
    struct node *n = &l2->node;
    unsigned i = link_of(n, conn);
    n->open--;
    if (i < LINKS) {
        n->links[i] = NULL;
        log_debug("a connection to Redis ended", L_TEXT("namespace", l2->setup.namespace),
                  L_TEXT("why", end->sentence));
        node_fail(l2, why_text(end->why));
        l2->health.failed_at = step_of(end->why);
        snprintf(l2->health.said, sizeof(l2->health.said), "%s", end->sentence);
    }
    if (n->open == 0 && l2->stopped && !l2->ticking) /* else the end of the tick says it, and once */
        l2->stopped(l2->stopped_user);
}

/* ======= the beginning ======= */

static void script_answered(struct l2_command *command, const struct l2_reply *reply, enum l2_outcome outcome)
{
    struct script_load *load = CONTAINER_OF(command, struct script_load, command);
    struct l2 *l2 = load->l2;
    struct node *n = &l2->node;
    if (outcome != L2_ANSWERED || load->generation != n->generation)
        return;
    if (reply->kind == L2_BULK)
        script_loaded(&n->digests, load->id, reply->text); /* else it goes on by EVAL */
    if (--n->loading == 0)
        coherence_connected(l2->coherence, l2_now(l2));
}

static void load_scripts(struct l2 *l2)
{
    struct node *n = &l2->node;
    n->digests = (struct script_digests){0};
    n->loading = SCRIPTS;
    for (unsigned id = 0; id < SCRIPTS; id++) {
        struct script_load *load = &n->load[id];
        struct slice argv[] = {slice_text("SCRIPT"), slice_text("LOAD"), script_text((enum script_id)id)};
        *load = (struct script_load){.l2 = l2, .id = (enum script_id)id, .generation = n->generation};
        load->command = (struct l2_command){
            .argv = argv, .count = 3, .deadline_ns = l2_join_deadline(l2), .done = script_answered};
        if (conn_issue(n->links[LINK_CONTROL], &load->command) < 0)
            return; /* it ended while the last one was greeted, and says so in this turn */
    }
}

static void link_ready(struct conn *conn)
{
    struct l2 *l2 = conn_user(conn);
    struct node *n = &l2->node;
    if (link_of(n, conn) < LINKS && ++n->ready == LINKS)
        load_scripts(l2);
}

static struct conn_limits limits_of(unsigned link)
{
    struct conn_limits limits = CONN_LIMITS_DEFAULT;
    limits.commands += link == LINK_CONTROL ? RESERVED : 0;
    limits.bytes += link == LINK_CONTROL ? RESERVED_BYTES : 0;
    return limits;
}

static void node_connect(void *io)
{
    static const char *const names[] = {"larder-control", "larder-tail", "larder-data"};
    struct l2 *l2 = io;
    struct node *n = &l2->node;
    CHECK(getrandom(n->session, sizeof(n->session), 0) == sizeof(n->session));
    for (unsigned i = 0; i < LINKS; i++) {
        struct conn_setup setup = {.loop = l2->setup.loop,
                                   .url = l2->setup.url,
                                   .tls = l2->setup.tls,
                                   .name = names[i],
                                   .open_timeout_ns = l2->setup.options->connect_timeout,
                                   .limits = limits_of(i),
                                   .ready = link_ready,
                                   .closed = link_closed,
                                   .user = l2};
        n->links[i] = conn_open(&setup);
        n->open++;
    }
}

static void node_close(void *io)
{
    struct l2 *l2 = io;
    close_links(&l2->node);
}

/* ======= hello and fence ======= */

static void membership_keys(struct l2 *l2, unsigned partition, const void *what)
{
    (void)what;
    call_key(l2, partition, ":hosts", slice_of(NULL, 0));
    call_key(l2, partition, ":marks", slice_of(NULL, 0));
}

struct asked {
    struct l2_command command;
    struct l2 *l2;
    unsigned partition;
    enum script_id script;
    uint64_t generation;
};

static struct asked *ask(struct l2 *l2, unsigned partition,
                         void (*done)(struct l2_command *, const struct l2_reply *, enum l2_outcome))
{
    struct asked *a = must_alloc(sizeof(*a));
    *a = (struct asked){
        .l2 = l2, .partition = partition, .script = l2->args.script, .generation = l2->node.generation};
    a->command.done = done;
    return a;
}

static void issue_asked(struct asked *a)
{
    struct l2 *l2 = a->l2;
    if (call_issue(l2, LINK_CONTROL, &a->command))
        return;
    free(a); /* the link is full or gone: its deadlines will say so */
}

/* Is it an answer of the present session?  An error ends that. */
static bool is_good(struct asked *a, const struct l2_reply *reply, enum l2_outcome outcome, unsigned elements)
{
    if (outcome != L2_ANSWERED || a->generation != a->l2->node.generation)
        return false;
    if (reply->kind == L2_ARRAY && reply->count >= elements)
        return true;
    node_fail(a->l2, reply->kind == L2_ERROR ? refusal_of(a->l2, reply, a->script).why
                                             : "Redis answered a script with something else");
    return false;
}

static void take_text(char *ret, size_t room, const struct l2_reply *r)
{
    size_t size = r && r->kind == L2_BULK && r->text.size < room ? r->text.size : 0;
    if (size)
        memcpy(ret, r->text.data, size);
    ret[size] = 0;
}

/* Whoever may evict what has no end of life may evict the journal, and nobody would notice. */
static bool policy_is_safe(const struct l2_health *h)
{
    static const char *const safe[] = {"", "noeviction", "volatile-lru", "volatile-lfu", "volatile-random"};
    if (h->memory_max == 0)
        return true;
    for (unsigned i = 0; i < COUNT_OF(safe); i++)
        if (strcmp(h->policy, safe[i]) == 0)
            return true;
    return false;
}

static bool read_hello(struct l2 *l2, const struct l2_reply *r, struct coherence_hello *ret)
{
    struct l2_health *h = &l2->health;
    const struct l2_reply *epoch = l2_reply_at(r, 0);
    take_text(h->version, sizeof(h->version), l2_reply_at(r, 7));
    take_text(h->policy, sizeof(h->policy), l2_reply_at(r, 8));
    reply_number(l2_reply_at(r, 9), &h->memory_used);
    reply_number(l2_reply_at(r, 10), &h->memory_max);
    if (epoch->kind != L2_BULK || epoch->text.size != 8)
        return false;
    ret->epoch = l2_epoch_read(epoch->text.data);
    return ret->epoch && reply_position(l2_reply_at(r, 1), &ret->v) &&
           reply_number(l2_reply_at(r, 2), &ret->first) && reply_position(l2_reply_at(r, 4), &ret->killed);
}

/* Redis says how many there are and how many we have. */
static void tell_partitions(struct l2 *l2, const struct l2_reply *reply)
{
    struct l2_health *h = &l2->health;
    if (reply->kind != L2_ERROR || !l2_reply_is_error(reply, "PARTITIONS"))
        return;
    h->failed_at = L2_STEP_PARTITIONS;
    snprintf(h->said, sizeof(h->said), "%.*s",
             (int)(reply->text.size < sizeof(h->said) ? reply->text.size : 0),
             (const char *)reply->text.data);
}

static void hello_answered(struct l2_command *command, const struct l2_reply *reply, enum l2_outcome outcome)
{
    struct asked *a = CONTAINER_OF(command, struct asked, command);
    struct l2 *l2 = a->l2;
    struct coherence_hello hello;
    if (is_good(a, reply, outcome, 11)) {
        if (!read_hello(l2, reply, &hello))
            node_fail(l2, "Redis answered hello with something else");
        else if (!policy_is_safe(&l2->health)) {
            node_fail(l2, "Redis may evict our journal: CONFIG SET maxmemory-policy volatile-lru mends it");
            l2->health.failed_at = L2_STEP_POLICY;
        } else
            coherence_greeted(l2->coherence, a->partition, &hello, l2_now(l2));
    } else if (outcome == L2_ANSWERED) {
        tell_partitions(l2, reply);
    }
    free(a);
}

static void node_hello(void *io, unsigned partition)
{
    struct l2 *l2 = io;
    uint8_t fresh[8];
    CHECK(getrandom(fresh, sizeof(fresh), 0) == sizeof(fresh));
    fresh[0] |= 1; /* never 0 */
    call_begin(l2, SCRIPT_HELLO, partition, 0, 0, membership_keys, NULL);
    l2->args.argv[l2->args.count - SCRIPT_COMMON_ARGUMENTS] = slice_of(fresh, sizeof(fresh));
    args_number(&l2->args, l2->setup.options->partitions);
    args_add(&l2->args, slice_of(l2->epoch, sizeof(l2->epoch)));
    args_number(&l2->args, coherence_view(l2->coherence)->of[partition].seen);
    struct asked *a = ask(l2, partition, hello_answered);
    a->command.deadline_ns = l2_join_deadline(l2);
    issue_asked(a);
}

static void fence_answered(struct l2_command *command, const struct l2_reply *reply, enum l2_outcome outcome)
{
    struct asked *a = CONTAINER_OF(command, struct asked, command);
    struct l2 *l2 = a->l2;
    uint64_t v;
    if (is_good(a, reply, outcome, 2)) {
        if (reply_position(l2_reply_at(reply, 0), &v)) {
            l2->health.trouble = NULL;
            tell_joined(l2);
            l2->health.lag_ns = loop_now_fresh(l2->setup.loop) - command->sent_ns;
            coherence_fenced(l2->coherence, a->partition, v, l2_now(l2));
        } else {
            node_fail(l2, "Redis answered a fence with something else");
        }
    }
    free(a);
}

static void node_fence(void *io, unsigned partition)
{
    struct l2 *l2 = io;
    call_begin(l2, SCRIPT_FENCE, partition, 0, 0, membership_keys, NULL);
    args_number(&l2->args, l2->setup.max_ttl_ns / NS_PER_MS + MAX_TTL_SLACK_MS);
    issue_asked(ask(l2, partition, fence_answered));
}

/* ======= the tail ======= */

static void tail_answered(struct l2_command *command, const struct l2_reply *reply, enum l2_outcome outcome)
{
    struct tailing *t = CONTAINER_OF(command, struct tailing, command);
    struct l2 *l2 = CONTAINER_OF(t, struct l2, node.tailing);
    uint64_t generation = l2->node.generation;
    if (outcome != L2_ANSWERED || t->generation != generation)
        return;
    t->busy = false;
    if (reply->kind == L2_ERROR) {
        node_fail(l2, refusal_of(l2, reply, SCRIPTS).why);
        return;
    }
    bool good = journal_read(l2, reply);
    if (generation != l2->node.generation)
        return; /* a record ended the session */
    if (good)
        later_ask(l2->setup.loop, &t->again);
    else
        node_fail(l2, "there is something in the journal that is no record");
}

static void add_position(struct args *a, uint64_t v, uint64_t note)
{
    char text[48];
    int size = snprintf(text, sizeof(text), "%llu-%llu", (unsigned long long)v, (unsigned long long)note);
    args_join(a, slice_of(text, (size_t)size), "", slice_of(NULL, 0));
}

/* One question for all partitions that have a place to go on from. */
static void tail_ask(struct l2 *l2)
{
    struct tailing *t = &l2->node.tailing;
    struct args *a = &l2->args;
    unsigned partitions = (unsigned)l2->setup.options->partitions;
    args_begin(a, &l2->room, partitions, 0);
    args_text(a, "XREAD");
    args_text(a, "COUNT");
    args_number(a, TAIL_RECORDS);
    args_text(a, "BLOCK");
    args_number(a, TAIL_BLOCK_MS);
    args_text(a, "STREAMS");
    for (unsigned p = 0; p < partitions; p++)
        if (t->started[p])
            call_key(l2, p, ":j", slice_of(NULL, 0));
    for (unsigned p = 0; p < partitions; p++)
        if (t->started[p])
            add_position(a, t->after[p], t->after_note[p]);
    t->generation = l2->node.generation;
    t->command =
        (struct l2_command){.deadline_ns = clock_after(l2_now(l2), TAIL_DEADLINE_NS), .done = tail_answered};
    t->busy = call_issue(l2, LINK_TAIL, &t->command);
}

static void tail_again(struct later *w)
{
    struct tailing *t = CONTAINER_OF(w, struct tailing, again);
    if (!t->busy)
        tail_ask(CONTAINER_OF(t, struct l2, node.tailing));
}

/* All partitions begin in one turn, so that the first question asks for all of them. */
static void node_tail(void *io, unsigned partition, uint64_t after_v)
{
    struct l2 *l2 = io;
    struct tailing *t = &l2->node.tailing;
    t->started[partition] = true;
    t->after[partition] = after_v;
    t->after_note[partition] = 0;
    later_ask(l2->setup.loop, &t->again);
}

void node_init(struct node *n)
{
    later_init(&n->tailing.again, tail_again);
}

static bool node_send(void *io, struct fleet_change *change)
{
    return change_send(io, change);
}

const struct coherence_io node_io = {
    .connect = node_connect,
    .close = node_close,
    .hello = node_hello,
    .fence = node_fence,
    .tail = node_tail,
    .send = node_send,
};
