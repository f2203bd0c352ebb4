#include "admin/events.h"

#include <stdlib.h>
#include <string.h>
#include "base/check.h"
#include "base/clock.h"
#include "base/list.h"

#define EVERY NS_PER_S

enum { EVENT_BYTES = 16 << 20 /* two documents */ };

struct moment {
    unsigned readers;
    struct buffer text;
};

struct reader_of_events {
    struct list node;
    struct events *events;
    struct http_stream *stream;
    struct moment *moment; /* NULL: waits for the next one */
    size_t at;
};

struct events {
    struct events_setup setup;
    struct timer tick;
    struct list readers;
    unsigned count;
};

static void let_go(struct reader_of_events *r)
{
    struct moment *m = r->moment;
    r->moment = NULL;
    r->at = 0;
    if (!m || --m->readers > 0)
        return;
    buffer_finish(&m->text);
    free(m);
}

static size_t read_event(void *user, char *room, size_t size)
{
    struct reader_of_events *r = user;
    if (!r->moment)
        return 0;
    size_t left = r->moment->text.size - r->at, take = left < size ? left : size;
    memcpy(room, r->moment->text.data + r->at, take);
    r->at += take;
    if (take == left)
        let_go(r);
    return take;
}

static void reader_ended(void *user)
{
    struct reader_of_events *r = user;
    struct events *e = r->events;
    let_go(r);
    list_remove(&r->node);
    free(r);
    if (--e->count == 0)
        timer_stop(&e->tick);
}

static const struct http_stream_ops ops = {read_event, reader_ended};

static struct moment *render(struct events *e)
{
    struct moment *m = must_alloc(sizeof(*m));
    buffer_init(&m->text, EVENT_BYTES);
    if (e->setup.render(e->setup.user, &m->text) == 0 && m->text.size > 0)
        return m;
    buffer_finish(&m->text);
    free(m);
    return NULL;
}

static void give(struct reader_of_events *r, struct moment *m)
{
    m->readers++;
    r->moment = m;
    if (r->stream)
        http_stream_wake(r->stream);
}

static void on_tick(struct timer *tick)
{
    struct events *e = CONTAINER_OF(tick, struct events, tick);
    struct moment *m = render(e);
    if (!m)
        return;
    m->readers++; /* ours, until all have been asked */
    LIST_FOR(node, &e->readers)
    {
        struct reader_of_events *r = CONTAINER_OF(node, struct reader_of_events, node);
        if (!r->moment)
            give(r, m);
    }
    let_go(&(struct reader_of_events){.moment = m});
}

void events_open(struct events *e, struct http_exchange *x)
{
    struct reader_of_events *r = must_alloc(sizeof(*r));
    struct moment *first = render(e);
    r->events = e;
    list_append(&e->readers, &r->node);
    if (e->count++ == 0)
        timer_start(&e->tick, EVERY, EVERY);
    if (first)
        give(r, first);
    r->stream = http_stream(x, "text/event-stream", &ops, r);
}

unsigned events_count(const struct events *e)
{
    return e->count;
}

struct events *events_create(const struct events_setup *setup)
{
    struct events *e = must_alloc(sizeof(*e));
    e->setup = *setup;
    list_init(&e->readers);
    timer_init(&e->tick, setup->loop, on_tick);
    return e;
}

static void on_closed(struct timer *tick)
{
    free(CONTAINER_OF(tick, struct events, tick));
}

struct events *events_destroy(struct events *e)
{
    if (!e)
        return NULL;
    CHECK(e->count == 0);
    timer_finish(&e->tick, on_closed);
    return NULL;
}
