#include "admin/admin_private.h"

#include <stdlib.h>
#include <string.h>
#include "base/log.h"

/* ======= doors ======= */

const char *admin_check(const struct admin_options *options)
{
    struct door_address addresses[DOORS_MAX];
    const char *why = NULL;
    return door_addresses(options->listen, addresses, &why) < 0 ? why : NULL;
}

/* Is it a TCP socket?  Asked of the socket itself: one callback serves all doors. */
static bool came_by_path(int fd)
{
    struct sockaddr_storage own;
    socklen_t size = sizeof(own);
    return getsockname(fd, (struct sockaddr *)&own, &size) == 0 && own.ss_family == AF_UNIX;
}

static void on_visitor(void *user, int fd, const struct peer *peer)
{
    struct admin *a = user;
    http_take(a->http, fd, came_by_path(fd));
}

static mode_t mode_of(const char *octal)
{
    return (mode_t)strtoul(octal, NULL, 8) & 0777;
}

static int open_doors(struct admin *a, const struct door_address *addresses, int count)
{
    const struct admin_options *o = a->setup.options;
    for (int i = 0; i < count; i++) {
        char shown[DOOR_TEXT];
        int error = door_open(a->setup.loop, &addresses[i], mode_of(o->listen_mode), on_visitor, a,
                              &a->doors[a->doors_count], shown);
        if (error < 0)
            return error;
        a->doors_count++;
        log_info("HTTP is answered", L_TEXT("at", shown), L_TEXT("token", *a->token ? "wanted" : "none"));
        if (!*addresses[i].path && !*a->token)
            log_warn("whoever can connect to this port may clear the cache: set [admin] token_file",
                     L_TEXT("at", shown));
    }
    return 0;
}

static void close_doors(struct admin *a)
{
    while (a->doors_count > 0)
        listener_close(a->doors[--a->doors_count]);
}

/* ======= events ======= */

static int append_event(struct admin *a, enum admin_document which, const char *name, struct buffer *ret)
{
    const struct text *text = texts_get(&a->texts, &a->setup.host, a->setup.loop, which);
    if (!text)
        return -1;
    int r = buffer_append(ret, "event: ", 7);
    if (r == 0)
        r = buffer_append(ret, name, strlen(name));
    if (r == 0)
        r = buffer_append(ret, "\ndata: ", 7);
    if (r == 0)
        r = buffer_append(ret, text->bytes.data, text->bytes.size); /* compact JSON has no line ends */
    return r == 0 ? buffer_append(ret, "\n\n", 2) : r;
}

static int render_event(void *user, struct buffer *ret)
{
    int r = append_event(user, ADMIN_STATS, "stats", ret);
    return r < 0 ? r : append_event(user, ADMIN_HEALTH, "health", ret);
}

/* ======= life ======= */

static struct admin *make(const struct admin_setup *setup)
{
    struct admin *a = must_alloc(sizeof(*a));
    a->setup = *setup;
    a->token = must_strdup(setup->token);
    a->http = http_create(&(struct http_setup){.loop = setup->loop,
                                               .connections = (unsigned)setup->options->http_connections,
                                               .timeout_ns = &setup->options->http_timeout,
                                               .handle = admin_route,
                                               .user = a});
    list_init(&a->reporting);
    later_init(&a->report_turn, admin_reports_on_turn);
    a->events = events_create(&(struct events_setup){setup->loop, render_event, a});
    return a;
}

int admin_open(const struct admin_setup *setup, struct admin **ret)
{
    struct door_address addresses[DOORS_MAX];
    const char *why = NULL;
    int count = door_addresses(setup->options->listen, addresses, &why);
    *ret = NULL;
    if (count < 0)
        log_error("[admin] listen cannot be used", L_TEXT("why", why));
    if (count <= 0)
        return count;
    struct admin *a = make(setup);
    int error = open_doors(a, addresses, count);
    *ret = error < 0 ? admin_close(a) : a;
    return error;
}

void admin_settled(struct admin *a)
{
    void (*drained)(void *user) = a->drained;
    if (!a->draining || http_waiting(a->http) > 0 || !drained)
        return;
    a->drained = NULL;
    drained(a->drained_user);
}

void admin_drain(struct admin *a, void (*drained)(void *user), void *user)
{
    if (!a) {
        drained(user);
        return;
    }
    a->draining = true;
    a->drained = drained;
    a->drained_user = user;
    close_doors(a);
    admin_settled(a);
}

struct admin *admin_close(struct admin *a)
{
    if (!a)
        return NULL;
    close_doors(a);
    a->http = http_destroy(a->http);
    a->events = events_destroy(a->events);
    texts_finish(&a->texts);
    admin_reports_finish(a);
    explicit_bzero(a->token, strlen(a->token));
    free(a->token);
    free(a);
    return NULL;
}

void admin_measure(const struct admin *a, struct admin_figures *ret)
{
    struct http_figures http;
    *ret = (struct admin_figures){0};
    if (!a)
        return;
    http_measure(a->http, &http);
    *ret = (struct admin_figures){.http_connections = http.connections,
                                  .http_streams = events_count(a->events),
                                  .http_requests = http.requests,
                                  .http_connections_refused = http.refused,
                                  .http_connections_cut = http.cut,
                                  .http_changes = a->changes,
                                  .http_changes_denied = a->changes_denied,
                                  .http_documents = a->texts.rendered};
}
