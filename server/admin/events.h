/* GET /events: the stats document and the health document once a second, as server-sent events.
 *
 * What must stay true: a reader pins one text, shared by all readers, and its place in it; one that is slow misses some.
 * Nothing is rendered while nobody reads. */
#ifndef LARDER_ADMIN_EVENTS_H
#define LARDER_ADMIN_EVENTS_H

#include "admin/http.h"
#include "proto/pack.h"

struct events;

struct events_setup {
    struct loop *loop;
    /* Appends the next event.  <0: there is none. */
    int (*render)(void *user, struct buffer *ret_text);
    void *user;
};

struct events *events_create(const struct events_setup *setup);
struct events *events_destroy(struct events *e); /* no reader is left; NULL ok, returns NULL */
void events_open(struct events *e, struct http_exchange *x);
unsigned events_count(const struct events *e);

#endif
