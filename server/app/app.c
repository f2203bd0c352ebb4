#include "app/app.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "app/documents.h"
#include "app/hot_set.h"
#include "app/notify.h"
#include "app/places.h"
#include "app/space.h"
#include "app/watchman.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

#define TICK_EVERY       (20 * NS_PER_MS) /* how late a held-back change is let go */
#define KEEP_EVERY       (100 * NS_PER_MS)
#define WARM_STOP_WITHIN (5 * NS_PER_S) /* one commit of a full queue on a slow disk */
#define LAST_RESORT_AFTER \
    (WARM_STOP_WITHIN + NS_PER_S) /* on top of drain_timeout: then a read of a dead disk is stuck */

enum signal_bit { SEEN_STOP = 1, SEEN_RELOAD = 2, SEEN_STATS = 4 };

enum phase { PHASE_RUNNING, PHASE_DRAINING, PHASE_STOPPING };

struct app {
    struct config *config;
    struct config_sources sources;
    enum phase phase;
    struct redis redis;
    int state_lock_fd;
    char runtime[PLACE_BYTES]; /* where the pages lie */
    struct loop *loop;
    struct space *spaces;
    unsigned spaces_count, spaces_stopping;
    struct sessions *sessions;
    struct listener *listener;
    struct tenant_door *doors; /* of tenants with a socket of their own, as they were at the start */
    unsigned doors_count;
    struct timer tick, keep, watchdog, last_resort;
    struct wakeup signals;
    _Atomic unsigned signals_seen, stops_seen;
    struct documents documents;
    struct watchman watchman;
    unsigned draining; /* sessions and admin: what may still wait for a cache */
};

/* Whoever comes through it is the tenant's. */
struct tenant_door {
    struct app *app;
    char *tenant;
    struct listener *listener;
};

/* A signal handler has no other way to its app. */
static struct app *the_app;

/* ---- signals ------------------------------------------------------------------------------------------- */

static void on_signal(int number)
{
    int saved_errno = errno;
    unsigned bit = number == SIGHUP ? SEEN_RELOAD : number == SIGUSR1 ? SEEN_STATS : SEEN_STOP;
    if (bit == SEEN_STOP)
        atomic_fetch_add(&the_app->stops_seen, 1);
    atomic_fetch_or(&the_app->signals_seen, bit);
    wakeup_send(&the_app->signals);
    errno = saved_errno;
}

static void catch_signals(void (*handler)(int))
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
    for (unsigned i = 0; i < COUNT_OF(numbers); i++) {
        struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
        CHECK(sigaction(numbers[i], &action, NULL) == 0);
    }
}

/* ---- reload -------------------------------------------------------------------------------------------- */

static void tell_change(void *user, const char *namespace, const struct knob *knob, const char *value,
                        bool live)
{
    unsigned *waiting = user;
    const char *where = namespace ? namespace : "";
    if (live) {
        log_info("option changed", L_TEXT("option", knob->name), L_TEXT("namespace", where),
                 L_TEXT("value", value));
        return;
    }
    ++*waiting;
    if (knob)
        log_warn("option changes with the next restart", L_TEXT("option", knob->name),
                 L_TEXT("namespace", where), L_TEXT("value", value));
    else
        log_warn("a namespace comes or goes with the next restart", L_TEXT("namespace", where),
                 L_TEXT("change", value));
}

/* Between two turns: no request sees some of the old ones and some of the new. */
static void take_policies(struct app *a)
{
    for (unsigned i = 0; i < a->spaces_count; i++)
        space_take_policies(&a->spaces[i], a->config);
}

static void reload(struct app *a)
{
    struct complaints *wrong = must_alloc(sizeof(*wrong));
    unsigned waiting = 0;
    notify_reloading();
    struct config *fresh = config_load(&a->sources, wrong);
    if (fresh) {
        config_take_live(a->config, fresh, tell_change, &waiting);
        take_policies(a);
        log_set_level((enum log_level)option_word_index(LOG_LEVEL_WORDS, a->config->server.log_level));
        log_info("configuration reloaded", L_U64("policies", a->config->policies_count),
                 L_U64("waiting_for_restart", waiting));
    }
    for (unsigned i = 0; !fresh && i < wrong->count && i < COMPLAINTS_MAX; i++)
        log_error("configuration not reloaded, the old one stays", L_TEXT("why", wrong->lines[i]));
    notify_send(fresh ? "READY=1\nSTATUS=answering"
                      : "READY=1\nSTATUS=answering; the new configuration is wrong, see the log");
    config_destroy(fresh);
    free(wrong);
}

/* ---- stop ---------------------------------------------------------------------------------------------- */

static void space_stopped(void *user)
{
    struct app *a = user;
    if (--a->spaces_stopping == 0)
        loop_stop(a->loop);
}

/* An unclean stop, which is what everything here is built to survive. */
static _Noreturn void leave(int code, const char *why)
{
    log_warn(why);
    _exit(code);
}

static void close_doors(struct app *a)
{
    a->listener = listener_close(a->listener);
    for (unsigned i = 0; i < a->doors_count; i++) {
        a->doors[i].listener = listener_close(a->doors[i].listener);
        free(a->doors[i].tenant);
    }
    free(a->doors);
    a->doors = NULL;
    a->doors_count = 0;
}

static bool all_idle(const struct app *a)
{
    for (unsigned i = 0; i < a->spaces_count; i++)
        if (!cache_idle(a->spaces[i].cache))
            return false;
    return true;
}

static void stop_spaces(struct app *a)
{
    a->phase = PHASE_STOPPING;
    timer_stop(&a->tick);
    timer_stop(&a->keep);
    watchman_close(&a->watchman);
    a->sessions = a->documents.sessions = sessions_destroy(a->sessions);
    a->spaces_stopping = a->spaces_count;
    uint64_t deadline_ns = clock_after(loop_now_fresh(a->loop), WARM_STOP_WITHIN);
    for (unsigned i = 0; i < a->spaces_count; i++)
        space_stop(&a->spaces[i], deadline_ns, space_stopped, a);
}

static void drained(void *user)
{
    struct app *a = user;
    a->draining--; /* the next tick goes on: not from inside the sessions' own call */
}

/* Nobody asks any more; what was asked for nobody, to warm or to refresh, may still wait for a tier. */
static bool is_drained(const struct app *a)
{
    return a->phase == PHASE_DRAINING && a->draining == 0 && all_idle(a);
}

static void begin_stop(struct app *a)
{
    a->phase = PHASE_DRAINING;
    log_info("stopping");
    notify_send("STOPPING=1\nSTATUS=answering what is under way");
    close_doors(a);
    timer_start(&a->last_resort, clock_after(a->config->server.drain_timeout, LAST_RESORT_AFTER), 0);
    a->draining = 2;
    for (unsigned i = 0; i < a->spaces_count; i++)
        cache_stop_runs(a->spaces[i].cache);
    watchman_drain(&a->watchman, drained, a);
    sessions_drain(a->sessions, clock_after(loop_now_fresh(a->loop), a->config->server.drain_timeout),
                   drained, a);
}

static void stop_asked(struct app *a)
{
    if (a->phase == PHASE_RUNNING)
        begin_stop(a);
    if (atomic_load(&a->stops_seen) < 2)
        return;
    if (a->phase == PHASE_DRAINING)
        sessions_cut(a->sessions); /* the next tick sees whether that was all */
    else
        leave(EXIT_DONE, "stopped at once: what was not saved is gone");
}

static void signals_woken(struct wakeup *w)
{
    struct app *a = CONTAINER_OF(w, struct app, signals);
    unsigned seen = atomic_exchange(&a->signals_seen, 0);
    if ((seen & SEEN_RELOAD) && a->phase == PHASE_RUNNING)
        reload(a);
    if ((seen & SEEN_STATS) && a->phase != PHASE_STOPPING)
        documents_log(&a->documents);
    if (seen & SEEN_STOP)
        stop_asked(a);
}

/* ---- clockwork ----------------------------------------------------------------------------------------- */

static void tick_fired(struct timer *t)
{
    struct app *a = CONTAINER_OF(t, struct app, tick);
    if (is_drained(a)) {
        log_info("clients are gone, saving");
        stop_spaces(a);
        return;
    }
    if (a->phase == PHASE_DRAINING && atomic_load(&a->stops_seen) > 1)
        leave(EXIT_DONE, "stopped at once: changes under way were not answered");
    for (unsigned i = 0; i < a->spaces_count; i++)
        space_tick(&a->spaces[i]);
}

static void last_resort_fired(struct timer *t)
{
    leave(EXIT_RUNTIME, "stopped by force: a tier never answered");
}

static void keep_fired(struct timer *t)
{
    struct app *a = CONTAINER_OF(t, struct app, keep);
    for (unsigned i = 0; i < a->spaces_count; i++)
        space_keep(&a->spaces[i]);
}

/* From the loop, so that a loop that hangs is noticed. */
static void watchdog_fired(struct timer *t)
{
    notify_send("WATCHDOG=1");
}

static void start_clockwork(struct app *a)
{
    uint64_t watchdog_ns = notify_watchdog_ns();
    timer_init(&a->tick, a->loop, tick_fired);
    timer_init(&a->keep, a->loop, keep_fired);
    timer_init(&a->watchdog, a->loop, watchdog_fired);
    timer_init(&a->last_resort, a->loop, last_resort_fired);

    timer_start(&a->tick, TICK_EVERY, TICK_EVERY);
    timer_start(&a->keep, KEEP_EVERY, KEEP_EVERY);
    if (watchdog_ns)
        timer_start(&a->watchdog, watchdog_ns / 2, watchdog_ns / 2);
    the_app = a;
    wakeup_init(&a->signals, a->loop, signals_woken);
    catch_signals(on_signal);
}

static void stop_clockwork(struct app *a)
{
    catch_signals(SIG_IGN); /* the end is near enough */
    timer_finish(&a->tick, NULL);
    timer_finish(&a->keep, NULL);
    timer_finish(&a->watchdog, NULL);
    timer_finish(&a->last_resort, NULL);

    wakeup_finish(&a->signals, NULL);
}

/* ---- what the sessions ask ----------------------------------------------------------------------------- */

static struct session_space *find_space(void *user, struct slice name)
{
    struct app *a = user;
    for (unsigned i = 0; i < a->spaces_count; i++)
        if (name.size == 0 || slice_equal(name, slice_text(a->spaces[i].config->name)))
            return &a->spaces[i].session;
    return NULL;
}

static int answer_document(void *user, const struct session_question *question, struct buffer *ret_json)
{
    struct app *a = user;
    return documents_answer(&a->documents, question, ret_json);
}

/* ---- start --------------------------------------------------------------------------------------------- */

/* One daemon a state, also while the warm tier is switched off.  <0: someone else has it; *ret_usable tells whether
 * there is a state directory at all. */
static int take_state(struct app *a, bool *ret_usable)
{
    char path[PLACE_BYTES + 16];
    const char *state = a->config->server.state;
    a->state_lock_fd = -1;
    *ret_usable = false;
    snprintf(path, sizeof(path), "%s/lock", state);
    if (place_make(state, 0700) == 0)
        a->state_lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (a->state_lock_fd < 0) {
        log_error("the state directory cannot be used, so entries do not survive a restart",
                  L_TEXT("state", state), L_TEXT("system", strerror(errno)));
        return 0;
    }
    if (flock(a->state_lock_fd, LOCK_EX | LOCK_NB) < 0) {
        log_error("another daemon uses this state directory; give each its own with --state",
                  L_TEXT("state", state));
        return -1;
    }
    *ret_usable = true;
    return 0;
}

static const char *find_runtime(const struct app *a, char room[PLACE_BYTES])
{
    const struct server_options *o = &a->config->server;
    if (*o->runtime) {
        snprintf(room, PLACE_BYTES, "%s", o->runtime);
        if (place_make(room, 0700) == 0 && place_is_tmpfs(room))
            return room;
        log_error("the runtime directory is not on tmpfs or cannot be made", L_TEXT("runtime", room));
        return NULL;
    }
    return place_runtime(o->socket, o->state, room) ? room : NULL;
}

static int open_redis(struct app *a)
{
    const char *wrong = redis_open(&a->redis, &a->config->redis);
    if (wrong)
        log_error("the address of Redis cannot be used", L_TEXT("why", wrong));
    return wrong ? EXIT_USAGE : EXIT_DONE;
}

static int open_spaces(struct app *a)
{
    char state[PLACE_BYTES];
    bool usable;
    if (take_state(a, &usable) < 0)
        return EXIT_USAGE;
    if (!realpath(a->config->server.state, state)) /* the same state under another name is the same state */
        snprintf(state, sizeof(state), "%s", a->config->server.state);
    struct space_setup setup = {.loop = a->loop,
                                .state = state,
                                .state_usable = usable,
                                .runtime = find_runtime(a, a->runtime),
                                .redis = &a->redis,
                                .l2 = &a->config->redis};
    a->spaces = must_alloc(a->config->namespaces_count * sizeof(*a->spaces));
    for (unsigned i = 0; i < a->config->namespaces_count; i++) {
        setup.config = &a->config->namespaces[i];
        if (space_open(&a->spaces[i], &setup) < 0)
            return EXIT_USAGE;
        a->spaces_count++;
    }
    take_policies(a);
    return EXIT_DONE;
}

static void take_bound(struct app *a, int fd, const struct peer *peer, const struct config_tenant *t)
{
    struct session_bound bound = {.tenant = slice_text(t->is.name)};
    if (*t->said.namespace)
        bound.space = find_space(a, slice_text(t->said.namespace));
    if (*t->said.namespace && !bound.space) { /* without it he would be let into all others */
        log_warn("a tenant's namespace is there from the next start on", L_TEXT("tenant", t->is.name),
                 L_TEXT("namespace", t->said.namespace));
        close(fd);
        return;
    }
    sessions_take_bound(a->sessions, fd, peer, &bound);
}

/* Through the door of all: a user may belong to a tenant. */
static void came_in(void *user, int fd, const struct peer *peer)
{
    struct app *a = user;
    const struct config_tenant *t = config_tenant_of_uid(a->config, peer->uid);
    if (t)
        take_bound(a, fd, peer, t);
    else
        sessions_take(a->sessions, fd, peer);
}

/* A tenant that a reload took out of the configuration has a door until the next start; nobody comes in by it. */
static void came_in_by_tenant(void *user, int fd, const struct peer *peer)
{
    struct tenant_door *door = user;
    const struct config_tenant *t = config_tenant_named(door->app->config, door->tenant);
    const struct config_tenant *of_user = config_tenant_of_uid(door->app->config, peer->uid);
    if (t && (!of_user || of_user == t))
        take_bound(door->app, fd, peer, t);
    else
        close(fd);
}

static int open_tenant_doors(struct app *a)
{
    const struct config *c = a->config;
    a->doors = must_alloc((c->tenants_count + 1) * sizeof(*a->doors)); /* they do not move */
    for (unsigned i = 0; i < c->tenants_count; i++) {
        if (!*c->tenants[i].said.socket)
            continue;
        struct tenant_door *door = &a->doors[a->doors_count++];
        *door = (struct tenant_door){a, must_strdup(c->tenants[i].is.name), NULL};
        struct listener_setup setup = {.loop = a->loop,
                                       .path = c->tenants[i].said.socket,
                                       .mode = (mode_t)c->socket_mode,
                                       .fd = -1,
                                       .accepted = came_in_by_tenant,
                                       .user = door};
        if (listener_open(&setup, &door->listener) < 0)
            return EXIT_USAGE;
    }
    return EXIT_DONE;
}

static int open_door(struct app *a, int listen_fd)
{
    struct session_host host = {.loop = a->loop,
                                .options = &a->config->net,
                                .program = "larderd " LARDER_RELEASE,
                                .user = a,
                                .space = find_space,
                                .document = answer_document};
    a->sessions = sessions_create(&host);
    struct listener_setup setup = {.loop = a->loop,
                                   .path = a->config->server.socket,
                                   .mode = (mode_t)a->config->socket_mode,
                                   .fd = listen_fd,
                                   .accepted = came_in,
                                   .user = a};
    int error = listener_open(&setup, &a->listener);
    if (error == LISTENER_E_IN_USE || error == LISTENER_E_PATH || error == LISTENER_E_OCCUPIED)
        return EXIT_USAGE;
    return error < 0 ? EXIT_RUNTIME : open_tenant_doors(a);
}

static void say_ready(const struct app *a)
{
    char status[PLACE_BYTES + 64];
    snprintf(status, sizeof(status), "READY=1\nSTATUS=answering at %s", a->config->server.socket);
    log_info("answering", L_TEXT("socket", a->config->server.socket),
             L_TEXT("state", a->config->server.state), L_TEXT("runtime", a->runtime),
             L_U64("namespaces", a->spaces_count),
             L_TEXT("mode", a->redis.configured ? "fleet" : "STANDALONE"));
    notify_send(status);
}

/* What was opened has to be closed as properly as after a long life. */
static void give_up(struct app *a)
{
    stop_spaces(a);
    if (a->spaces_stopping > 0)
        loop_run(a->loop);
    app_destroy(a);
}

int app_create(const struct app_setup *setup, struct app **ret)
{
    struct app *a = must_alloc(sizeof(*a));
    a->config = setup->config;
    a->sources = *setup->sources;
    a->state_lock_fd = -1;
    a->loop = loop_create();
    a->documents = (struct documents){.config = a->config, .loop = a->loop, .started_ns = clock_boot_ns()};
    start_clockwork(a);
    int code = open_redis(a);
    if (code == EXIT_DONE)
        code = open_spaces(a);
    a->documents.spaces = a->spaces;
    a->documents.spaces_count = a->spaces_count;
    if (code == EXIT_DONE)
        code = open_door(a, setup->listen_fd);
    a->documents.sessions = a->sessions;
    if (code == EXIT_DONE && watchman_open(&a->watchman, &a->documents) < 0)
        code = EXIT_USAGE;
    if (code == EXIT_DONE)
        *ret = a;
    else
        give_up(a);
    return code;
}

int app_run(struct app *a)
{
    for (unsigned i = 0; i < a->spaces_count; i++)
        hot_set_restore(&a->spaces[i]);
    say_ready(a);
    loop_run(a->loop);
    log_info("stopped");
    return EXIT_DONE;
}

struct app *app_destroy(struct app *a)
{
    close_doors(a);
    a->sessions = sessions_destroy(a->sessions);
    for (unsigned i = a->spaces_count; i-- > 0;)
        space_close(&a->spaces[i]);
    stop_clockwork(a);
    a->loop = loop_destroy(a->loop);
    free(a->spaces);
    if (a->state_lock_fd >= 0)
        close(a->state_lock_fd);
    redis_close(&a->redis);
    config_destroy(a->config);
    free(a);
    return NULL;
}
