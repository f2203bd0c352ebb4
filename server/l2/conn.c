/* States, one way only:
 *
 *     OPENING ──opened──▶ GREETING ──PING answered──▶ READY
 *        └────────────────────┴──anything wrong─────────┴──▶ ENDING ──all told──▶ gone
 *
 * Two queues: `waiting` (written into `out`, still ours) and `sent` (may be with Redis).  A flush at the end of the turn,
 * or as soon as so much waits that Redis may as well begin with it, moves all of the first into the second; replies are for
 * the front of the second. */
#include "l2/conn.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/check.h"
#include "base/clock.h"
#include "l2/greet.h"
#include "l2/transport.h"

enum {
    SENTENCE_BYTES = 400,
    KEPT_BYTES = 64 * 1024,
    /* Some thirty reads: Redis answers them while the next are made, and a system call for so many is little. */
    EARLY_BYTES = 2 * 1024,
    GREETING_BYTES =
        3 * L2_URL_MAX, /* user, password, the rest; reserved at once: growing would leave copies behind */
    NAME_MAX_BYTES = 256,
};

struct conn {
    struct conn_setup setup;
    enum { OPENING, GREETING, READY, ENDING } state;
    struct transport *transport;
    struct resp *resp;
    struct buffer out;
    struct list waiting, sent;
    unsigned under_way;
    uint64_t bytes_under_way;
    uint64_t open_by_ns, next_deadline_ns; /* 0: none is watched */
    uint64_t answered_ns;                  /* the newest answer */
    struct timer timer;
    struct later flush, end, judge;
    bool polled; /* since the timer fired */
    struct greet greet;
    struct conn_end why;
    char sentence[SENTENCE_BYTES];
};

static const struct {
    const char *name, *sentence;
} ends[] = {
#define END(NAME, sentence) {#NAME, sentence},
    CONN_ENDS(END)
#undef END
};

const char *conn_why_name(enum conn_why why)
{
    return (unsigned)why < COUNT_OF(ends) ? ends[why].name : "UNKNOWN";
}

const char *conn_error_text(int error)
{
    switch (error) {
    case CONN_E_NOT_READY: return "there is no connection to Redis now";
    case CONN_E_FULL: return "too much is on its way to Redis";
    case CONN_E_LATE: return "there was no time left to ask Redis";
    case CONN_E_TOO_BIG: return "the command is too big for Redis";
    default: return "no error";
    }
}

void *conn_user(const struct conn *c)
{
    return c->setup.user;
}

unsigned conn_under_way(const struct conn *c)
{
    return c->under_way;
}

uint64_t conn_bytes_under_way(const struct conn *c)
{
    return c->bytes_under_way;
}

/* ======= ending ======= */

static void write_sentence(struct conn *c, const char *detail)
{
    bool more = detail && *detail;
    snprintf(c->sentence, sizeof(c->sentence), "%s%s%s", ends[c->why.why].sentence, more ? ": " : "",
             more ? detail : "");
    for (char *at = c->sentence; *at; at++) /* some of it is Redis' own words */
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = '?';
    c->why.sentence = c->sentence;
}

/* The socket goes now, so that nothing more leaves; the callers are told at the end of the turn. */
static void end(struct conn *c, enum conn_why why, const char *detail)
{
    if (c->state == ENDING)
        return;
    c->state = ENDING;
    c->why.why = why;
    write_sentence(c, detail);
    c->transport = transport_close(c->transport);
    if (c->out.data)
        explicit_bzero(c->out.data, c->out.size); /* maybe a greeting */
    later_cancel(&c->flush);
    later_cancel(&c->judge);
    timer_stop(&c->timer);
    later_ask(c->setup.loop, &c->end);
}

/* In the order of issue: nothing that waits was issued before something sent. */
static struct l2_command *take(struct conn *c, struct list *from)
{
    struct l2_command *command = CONTAINER_OF(list_first(from), struct l2_command, node);
    list_remove(&command->node);
    c->under_way--;
    c->bytes_under_way -= command->bytes;
    return command;
}

static void tell_all(struct conn *c, struct list *from, enum l2_outcome outcome)
{
    while (!list_empty(from)) {
        struct l2_command *command = take(c, from);
        command->done(command, NULL, outcome);
    }
}

static void on_timer_closed(struct timer *t)
{
    free(CONTAINER_OF(t, struct conn, timer));
}

static void on_end(struct later *later)
{
    struct conn *c = CONTAINER_OF(later, struct conn, end);
    tell_all(c, &c->sent, L2_LOST);
    tell_all(c, &c->waiting, L2_UNSENT);
    CHECK(c->under_way == 0 && c->bytes_under_way == 0);
    if (c->setup.closed)
        c->setup.closed(c, &c->why);
    c->resp = resp_destroy(c->resp);
    buffer_finish(&c->out);
    timer_finish(&c->timer, on_timer_closed);
}

void conn_close(struct conn *c)
{
    if (c)
        end(c, CONN_END_CLOSED, NULL);
}

/* ======= deadlines ======= */

/* Redis answers in order, so as long as it answers at all nobody's time runs but that of the next: a thousand commands
 * that were sent together may take as long as a thousand take. */
static uint64_t due_ns(const struct conn *c, const struct l2_command *command)
{
    uint64_t since_answer = clock_after(c->answered_ns, command->patience_ns);
    return command->deadline_ns > since_answer ? command->deadline_ns : since_answer;
}

static uint64_t earliest_of(const struct conn *c, const struct list *commands, uint64_t earliest)
{
    LIST_FOR(node, commands)
    {
        uint64_t due = due_ns(c, CONTAINER_OF(node, struct l2_command, node));
        if (due < earliest)
            earliest = due;
    }
    return earliest;
}

/* Bounded by limits.commands; it is asked once a deadline, not once a command. */
static uint64_t earliest(const struct conn *c)
{
    uint64_t limit = c->state == READY ? UINT64_MAX : c->open_by_ns;
    return earliest_of(c, &c->sent, earliest_of(c, &c->waiting, limit));
}

static void watch(struct conn *c, uint64_t deadline_ns)
{
    uint64_t now = loop_now_ns(c->setup.loop);
    if (c->next_deadline_ns && c->next_deadline_ns <= deadline_ns)
        return; /* fires early, looks again */
    c->next_deadline_ns = deadline_ns;
    timer_start(&c->timer, deadline_ns > now ? deadline_ns - now : 0, 0);
}

static void watch_again(struct conn *c)
{
    c->next_deadline_ns = 0;
    timer_stop(&c->timer);
    uint64_t next = earliest(c);
    if (next != UINT64_MAX)
        watch(c, next);
}

static const char *phase_text(const struct conn *c)
{
    if (c->state == GREETING)
        return "it took the connection and did not answer the greeting";
    if (transport_phase(c->transport) == TRANSPORT_SHAKING)
        return "it took the connection and did not answer the TLS handshake; does it speak TLS at this port?";
    return *c->setup.url->path ? "its socket did not take the connection"
                               : "its address did not take the connection";
}

/* Timers fire before the sockets are looked at.  If it was us who slept, the answer may lie there: look first. */
static void on_timer(struct timer *t)
{
    struct conn *c = CONTAINER_OF(t, struct conn, timer);
    c->next_deadline_ns = 0;
    c->polled = false;
    later_ask(c->setup.loop, &c->judge);
}

static void on_judge(struct later *later)
{
    struct conn *c = CONTAINER_OF(later, struct conn, judge);
    if (!c->polled) { /* this is before the poll; the next time is after it */
        c->polled = true;
        later_ask(c->setup.loop, &c->judge);
        return;
    }
    if (earliest(c) > loop_now_ns(c->setup.loop))
        watch_again(c);
    else if (c->state == READY)
        end(c, CONN_END_TIMEOUT, NULL);
    else
        end(c, CONN_END_OPEN_TIMEOUT, phase_text(c));
}

/* ======= commands ======= */

static void flush(struct conn *c, uint64_t now)
{
    if (list_empty(&c->waiting) || transport_busy(c->transport))
        return;
    while (!list_empty(&c->waiting)) {
        struct l2_command *command = CONTAINER_OF(list_first(&c->waiting), struct l2_command, node);
        command->sent_ns = now;
        list_remove(&command->node);
        list_append(&c->sent, &command->node);
    }
    transport_send(c->transport, &c->out, c->state == GREETING);
    if (c->out.capacity > KEPT_BYTES)
        buffer_finish(&c->out);
}

static void on_flush(struct later *later)
{
    flush(CONTAINER_OF(later, struct conn, flush), clock_boot_ns());
}

static int put(struct conn *c, struct l2_command *command)
{
    size_t before = c->out.size;
    if (resp_write(&c->out, command->argv, command->count) < 0)
        return CONN_E_TOO_BIG;
    command->bytes = c->out.size - before;
    command->sent_ns = 0;
    c->under_way++;
    c->bytes_under_way += command->bytes;
    list_append(&c->waiting, &command->node);
    later_ask(c->setup.loop, &c->flush);
    watch(c, command->deadline_ns);
    return 0;
}

/* An estimate from above: what RESP adds to an argument, and to the command. */
static uint64_t bytes_at_most(const struct l2_command *command)
{
    uint64_t bytes = 32;
    for (unsigned i = 0; i < command->count; i++)
        bytes += command->argv[i].size + 32;
    return bytes;
}

int conn_issue(struct conn *c, struct l2_command *command)
{
    uint64_t bytes = bytes_at_most(command);
    if (c->state != READY)
        return CONN_E_NOT_READY;
    if (bytes > c->setup.limits.bytes || command->count > RESP_ARGUMENTS_MAX)
        return CONN_E_TOO_BIG;
    if (c->under_way >= c->setup.limits.commands || bytes > c->setup.limits.bytes - c->bytes_under_way)
        return CONN_E_FULL;
    uint64_t now = loop_now_ns(c->setup.loop);
    if (command->deadline_ns <= now)
        return CONN_E_LATE; /* whoever asks too late is no reason to end the connection */
    command->patience_ns = command->deadline_ns - now;
    int e = put(c, command);
    if (c->out.size >= EARLY_BYTES)
        flush(
            c,
            now); /* answers may come within this turn: they must not be earlier by its clock than their questions */
    return e;
}

/* ======= greeting ======= */

static void on_greeted(struct l2_command *command, const struct l2_reply *reply, enum l2_outcome outcome)
{
    struct greet_step *step = CONTAINER_OF(command, struct greet_step, command);
    struct conn *c = CONTAINER_OF(step->greet, struct conn, greet);
    if (outcome != L2_ANSWERED || c->state == ENDING)
        return;
    char detail[GREET_DETAIL];
    int why = greet_judge(step, reply, c->setup.url, detail);
    if (why >= 0) {
        end(c, (enum conn_why)why, detail);
        return;
    }
    if (!greet_is_last(step))
        return;
    c->state = READY;
    watch_again(c);
    if (c->setup.ready)
        c->setup.ready(c);
}

static void on_opened(void *user)
{
    struct conn *c = user;
    c->state = GREETING;
    CHECK(buffer_reserve(&c->out, GREETING_BYTES) == 0);
    unsigned count = greet_prepare(&c->greet, c->setup.url, c->setup.name);
    for (unsigned i = 0; i < count; i++) {
        struct l2_command *command = &c->greet.steps[i].command;
        command->deadline_ns = c->open_by_ns;
        command->done = on_greeted;
        CHECK(put(c, command) == 0);
    }
}

/* ======= replies ======= */

static void answer(struct conn *c, const struct l2_reply *reply)
{
    if (list_empty(&c->sent)) {
        end(c, CONN_END_PROTOCOL, "a reply that nobody asked for");
        return;
    }
    struct l2_command *command = take(c, &c->sent);
    c->answered_ns = loop_now_ns(c->setup.loop);
    command->done(command, reply, L2_ANSWERED);
}

static void on_received(void *user, struct slice bytes)
{
    struct conn *c = user;
    const struct l2_reply *reply;
    int e = 0;
    while (c->state != ENDING && (e = resp_take(c->resp, &bytes, &reply)) > 0)
        answer(c, reply);
    if (e < 0)
        end(c, resp_error_is_limit(e) ? CONN_END_LIMIT : CONN_END_PROTOCOL, resp_error_text(e));
}

static void on_ready_to_send(void *user)
{
    struct conn *c = user;
    if (c->state != ENDING && !list_empty(&c->waiting))
        later_ask(c->setup.loop, &c->flush);
}

static void on_transport_ended(void *user, enum transport_end why, const char *detail)
{
    static const enum conn_why whys[] = {[TRANSPORT_NO_ADDRESS] = CONN_END_NO_ADDRESS,
                                         [TRANSPORT_NO_CONNECT] = CONN_END_NO_CONNECT,
                                         [TRANSPORT_GONE] = CONN_END_GONE,
                                         [TRANSPORT_TLS] = CONN_END_TLS};
    struct conn *c = user;
    char hinted[SENTENCE_BYTES];
    bool hung_up = c->state == GREETING && why == TRANSPORT_GONE;
    snprintf(hinted, sizeof(hinted), "%s%s", detail, hung_up ? greet_hint(c->setup.url) : "");
    end(c, whys[why], hinted);
}

/* ======= life ======= */

static const struct transport_events transport_events = {
    .opened = on_opened, .received = on_received, .ready = on_ready_to_send, .ended = on_transport_ended};

struct conn *conn_open(const struct conn_setup *setup)
{
    CHECK(setup->url->tls == (setup->tls != NULL) && setup->limits.commands > 0);
    CHECK(!setup->name || strlen(setup->name) <= NAME_MAX_BYTES);
    struct conn *c = must_alloc(sizeof(*c));
    c->setup = *setup;
    c->resp = resp_create(&setup->limits.reply);
    buffer_init(&c->out, setup->limits.bytes > GREETING_BYTES ? setup->limits.bytes : GREETING_BYTES);
    list_init(&c->waiting);
    list_init(&c->sent);
    later_init(&c->flush, on_flush);
    later_init(&c->end, on_end);
    later_init(&c->judge, on_judge);
    timer_init(&c->timer, setup->loop, on_timer);
    c->open_by_ns = clock_after(loop_now_ns(setup->loop), setup->open_timeout_ns);
    watch(c, c->open_by_ns);
    c->transport = transport_open(setup->loop, setup->url, setup->tls, c->open_by_ns, &transport_events, c);
    return c;
}
