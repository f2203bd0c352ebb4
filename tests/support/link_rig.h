/* A loop and a connection to a Redis on it, and short words for what the tests do with them.  Nothing waits by the
 * clock: the loop is turned until something is so, and an alarm ends a test that hangs. */
#ifndef LARDER_TESTS_LINK_RIG_H
#define LARDER_TESTS_LINK_RIG_H

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
#include "l2/conn.h"
#include "redis.h"

enum { RIG_TEXT = 512, RIG_ARGUMENTS = 8, RIG_PATIENT_S = 20 };

struct rig {
    struct loop *loop;
    struct timer tick; /* so that a turn ends when only the other side has something to do */
    struct l2_url url;
    struct tls_context *tls;
    const char *name;
    struct conn_limits limits;
    uint64_t open_timeout_ns;
    struct conn *conn; /* NULL: closed */
    bool ready;
    unsigned closed;
    enum conn_why why;
    char sentence[RIG_TEXT];
};

static inline void rig_tick(struct timer *t)
{
}

static inline void rig_tick_closed(struct timer *t)
{
    loop_stop(t->loop);
}

static inline void rig_make(struct rig *rig)
{
    *rig = (struct rig){.limits = CONN_LIMITS_DEFAULT, .open_timeout_ns = RIG_PATIENT_S * NS_PER_S};
    rig->loop = loop_create();
    timer_init(&rig->tick, rig->loop, rig_tick);
    timer_start(&rig->tick, NS_PER_MS, NS_PER_MS);
    signal(SIGPIPE, SIG_IGN); /* as the daemon does */
    alarm(60);
}

#define RIG_UNTIL(rig, condition)       \
    do {                                \
        while (!(condition))            \
            loop_run_once((rig)->loop); \
    } while (0)

static inline void rig_drop(struct rig *rig)
{
    conn_close(rig->conn);
    RIG_UNTIL(rig, !rig->conn);
    timer_finish(&rig->tick, rig_tick_closed);
    loop_run(rig->loop); /* what is closing closes */
    loop_destroy(rig->loop);
    tls_context_destroy(rig->tls);
    l2_url_finish(&rig->url);
}

/* ======= connections ======= */

static inline void rig_on_ready(struct conn *c)
{
    struct rig *rig = conn_user(c);
    assert_false(rig->ready);
    rig->ready = true;
}

static inline void rig_on_closed(struct conn *c, const struct conn_end *end)
{
    struct rig *rig = conn_user(c);
    rig->conn = NULL;
    rig->closed++;
    rig->why = end->why;
    snprintf(rig->sentence, sizeof(rig->sentence), "%s", end->sentence);
}

static inline void rig_dial(struct rig *rig, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline void rig_dial(struct rig *rig, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    l2_url_finish(&rig->url);
    assert_int_equal(l2_url_parse(text, &rig->url), 0);
    if (rig->url.tls && !rig->tls) {
        struct tls_files files = {rig->url.cacert, rig->url.cert, rig->url.key};
        assert_int_equal(tls_context_create(&files, &rig->tls), 0);
    }
    rig->ready = false;
    rig->closed = 0;
    rig->conn = conn_open(&(struct conn_setup){.loop = rig->loop,
                                               .url = &rig->url,
                                               .tls = rig->url.tls ? rig->tls : NULL,
                                               .name = rig->name,
                                               .open_timeout_ns = rig->open_timeout_ns,
                                               .limits = rig->limits,
                                               .ready = rig_on_ready,
                                               .closed = rig_on_closed,
                                               .user = rig});
    assert_int_equal(rig->closed, 0);
}

static inline void rig_until_ready(struct rig *rig)
{
    RIG_UNTIL(rig, rig->ready || !rig->conn);
    if (!rig->ready)
        fail_msg("%s: %s", conn_why_name(rig->why), rig->sentence);
}

static inline void rig_until_closed(struct rig *rig)
{
    RIG_UNTIL(rig, !rig->conn);
    assert_int_equal(rig->closed, 1);
}

static inline void rig_expect_end(struct rig *rig, enum conn_why why, const char *words)
{
    rig_until_closed(rig);
    assert_string_equal(conn_why_name(rig->why), conn_why_name(why));
    if (!strstr(rig->sentence, words))
        fail_msg("\"%s\" does not say \"%s\"", rig->sentence, words);
}

/* ======= commands ======= */

struct ask {
    struct l2_command command;
    struct slice argv[RIG_ARGUMENTS];
    unsigned done;
    enum l2_outcome outcome;
    enum l2_kind kind;
    int64_t integer;
    char text[RIG_TEXT];
    size_t text_bytes;
};

static inline void ask_done(struct l2_command *command, const struct l2_reply *reply, enum l2_outcome outcome)
{
    struct ask *a = CONTAINER_OF(command, struct ask, command);
    a->done++;
    a->outcome = outcome;
    assert_int_equal(reply != NULL, outcome == L2_ANSWERED);
    if (!reply)
        return;
    a->kind = reply->kind;
    a->integer = reply->integer;
    a->text_bytes = reply->text.size;
    snprintf(a->text, sizeof(a->text), "%.*s",
             (int)(reply->text.size < RIG_TEXT ? reply->text.size : RIG_TEXT),
             reply->text.size ? (const char *)reply->text.data : "");
}

/* Words up to NULL. */
static inline int ask_in(struct rig *rig, struct ask *a, uint64_t timeout_ns, ...)
{
    va_list words;
    *a = (struct ask){.command = {.done = ask_done}};
    va_start(words, timeout_ns);
    for (const char *word; (word = va_arg(words, const char *));)
        a->argv[a->command.count++] = slice_text(word);
    va_end(words);
    a->command.argv = a->argv;
    a->command.deadline_ns = loop_now_ns(rig->loop) + timeout_ns;
    int e = conn_issue(rig->conn, &a->command);
    assert_int_equal(a->done, 0); /* never from inside */
    return e;
}
#define ASK(rig, a, ...) \
    assert_int_equal(ask_in(rig, a, RIG_PATIENT_S *NS_PER_S, __VA_ARGS__, (char *)NULL), 0)

static inline void ask_wait(struct rig *rig, struct ask *a)
{
    RIG_UNTIL(rig, a->done);
    assert_int_equal(a->done, 1);
}

#define EXPECT_STATUS(rig, words, ...)               \
    do {                                             \
        struct ask ask_;                             \
        ASK(rig, &ask_, __VA_ARGS__);                \
        ask_wait(rig, &ask_);                        \
        assert_int_equal(ask_.outcome, L2_ANSWERED); \
        assert_string_equal(ask_.text, words);       \
    } while (0)

#endif
