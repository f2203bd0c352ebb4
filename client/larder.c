/* A client's life: open, close, ping, idle; what happens to it in a forked child; what it counted. */
#include "client/client.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/un.h>
#include <unistd.h>
#include "client/ask.h"

/* ======= options ======= */

bool options_copy(void *defaults, size_t size, const void *given)
{
    size_t given_size;
    if (!given)
        return true;
    memcpy(&given_size, given, sizeof(given_size));
    if (given_size <= sizeof(given_size))
        return false; /* not made with its init macro */
    memcpy(defaults, given, given_size < size ? given_size : size);
    return true;
}

/* Joins with no bound of its own: the caller measures the result. */
static char *join(const char *a, const char *b)
{
    size_t a_size = strlen(a), b_size = strlen(b);
    char *text = malloc(a_size + b_size + 1);
    if (text) {
        memcpy(text, a, a_size);
        memcpy(text + a_size, b, b_size + 1);
    }
    return text;
}

static char *socket_path(const char *given)
{
    const char *env = secure_getenv("LARDER_SOCKET"), *runtime = secure_getenv("XDG_RUNTIME_DIR");
    if (given || (env && *env))
        return join(given ? given : env, "");
    char *path = runtime && *runtime ? join(runtime, "/larder/larder.sock") : NULL;
    if (path && access(path, F_OK) == 0)
        return path;
    free(path);
    return join("/run/larder/larder.sock", "");
}

static const char *namespace_name(const char *given)
{
    const char *env = secure_getenv("LARDER_NAMESPACE");
    return given ? given : env && *env ? env : "default";
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

static char *text_put(char **at, const char *text)
{
    char *begin = *at;
    *at = stpcpy(begin, text) + 1;
    return begin;
}

/* One block for all strings, so that there is one thing to free. */
static int dialing_take(struct larder_client *c, const char *path, const larder_options *o)
{
    const char *names[] = {namespace_name(o->namespace_), or_empty(o->tenant), or_empty(o->name)};
    size_t bytes = strlen(path) + 1;
    for (int i = 0; i < 3; i++) {
        if (strlen(names[i]) > WIRE_NAME_MAX)
            return LARDER_E_INVALID;
        bytes += strlen(names[i]) + 1;
    }
    if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
        return LARDER_E_INVALID;
    char *at = c->texts = malloc(bytes);
    if (!at)
        return LARDER_E_MEMORY;
    c->dialing.path = text_put(&at, path);
    c->dialing.namespace = slice_text(text_put(&at, names[0]));
    c->dialing.tenant = slice_text(text_put(&at, names[1]));
    c->dialing.name = slice_text(text_put(&at, names[2]));
    return 0;
}

enum { TIMEOUT_MAX_MS = 60 * 1000 };

/* A machine that is slower than the usual deadlines allow for is mended from outside, once for every program on it. */
static uint64_t deadline_ns(uint32_t given_ms, uint32_t usual_ms)
{
    const char *env = secure_getenv("LARDER_TIMEOUT_MS");
    unsigned long wanted_ms = env && isdigit((unsigned char)*env) ? strtoul(env, NULL, 10) : 0;
    if (given_ms == 0 && wanted_ms > 0)
        given_ms = (uint32_t)(wanted_ms < TIMEOUT_MAX_MS ? wanted_ms : TIMEOUT_MAX_MS);
    return (uint64_t)(given_ms ? given_ms : usual_ms) * NS_PER_MS;
}

static void settings_take(struct larder_client *c, const larder_options *o)
{
    const char *debug = secure_getenv("LARDER_DEBUG");
    bool lines = o->debug || (debug && strcmp(debug, "1") == 0);
    c->dialing.unheard = &c->unheard;
    c->dialing.connect_ns = deadline_ns(o->connect_ms, 100);
    c->get_ns = deadline_ns(o->get_ms, 50);
    c->change_ns = deadline_ns(o->change_ms, 500);
    c->strict = o->strict;
    c->log = lines ? o->log : NULL;
    c->log_user = o->log_user;
}

/* ======= open and close ======= */

static int load_parts_init(struct larder_client *c, size_t fallback_bytes)
{
    int r = flights_init(&c->flights);
    if (r < 0)
        return r;
    if ((r = refreshes_init(&c->refreshes)) < 0)
        goto no_refreshes;
    if ((r = fallback_init(&c->fallback, fallback_bytes)) < 0)
        goto no_fallback;
    c->secret = now_ns() ^ (uintptr_t)c << 16;
    return 0;
no_fallback:
    refreshes_finish(&c->refreshes);
no_refreshes:
    flights_finish(&c->flights);
    return r;
}

static void load_parts_finish(struct larder_client *c)
{
    fallback_finish(&c->fallback);
    refreshes_finish(&c->refreshes);
    flights_finish(&c->flights);
}

static int client_parts_init(struct larder_client *c, bool near_wanted, size_t fallback_bytes)
{
    int r = client_mark_open(c);
    if (r < 0)
        return r;
    if ((r = seats_init(&c->seats)) < 0)
        goto no_seats;
    if ((r = near_init(&c->near, near_wanted)) < 0)
        goto no_near;
    if ((r = pool_init(&c->pool)) < 0)
        goto no_pool;
    if ((r = pool_init(&c->leases)) < 0)
        goto no_leases;
    if ((r = registry_init(&c->registry)) < 0)
        goto no_registry;
    if ((r = load_parts_init(c, fallback_bytes)) < 0)
        goto no_load;
    return 0;
no_load:
    registry_finish(&c->registry);
no_registry:
    pool_finish(&c->leases);
no_leases:
    pool_finish(&c->pool);
no_pool:
    near_finish(&c->near);
no_near:
    seats_finish(&c->seats);
no_seats:
    client_mark_close(c);
    return r;
}

static struct larder_client *client_free(struct larder_client *c)
{
    free(c->texts);
    free(c);
    return NULL;
}

int larder_open(larder_client **ret_client, const larder_options *options)
{
    larder_options o = LARDER_OPTIONS_INIT;
    if (!options_copy(&o, sizeof(o), options))
        return LARDER_E_INVALID;
    struct larder_client *c = calloc(1, sizeof(*c));
    char *path = socket_path(o.socket);
    int r = c && path ? dialing_take(c, path, &o) : LARDER_E_MEMORY;
    free(path);
    if (r == 0) {
        settings_take(c, &o);
        r = client_parts_init(c, !o.no_shared_memory && c->dialing.tenant.size == 0, o.fallback_bytes);
    }
    if (r < 0) {
        if (c)
            client_free(c);
        return r;
    }
    *ret_client = c;
    return LARDER_OK;
}

void larder_close(larder_client *client)
{
    if (!client)
        return;
    client_enter(client); /* a child closes its own things, not its parent's */
    load_parts_finish(client);
    registry_finish(&client->registry);
    pool_finish(&client->leases);
    pool_finish(&client->pool);
    near_finish(&client->near);
    seats_finish(&client->seats);
    client_mark_close(client);
    client_free(client);
}

const char *larder_socket(const larder_client *client)
{
    return client->dialing.path;
}

/* ======= fork ======= */

/* No process number is that large. */
enum { MARK_BUSY = 0x7fffffff };

int client_mark_open(struct larder_client *c)
{
    void *page = mmap(NULL, SHM_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return LARDER_E_MEMORY;
    c->mark = page;
    c->mark_is_pid = madvise(page, SHM_PAGE, MADV_WIPEONFORK) != 0;
    atomic_store(c->mark, c->mark_is_pid ? (uint32_t)getpid() : CLIENT_MARK);
    return 0;
}

void client_mark_close(struct larder_client *c)
{
    munmap((void *)c->mark, SHM_PAGE);
}

static void reborn(struct larder_client *c)
{
    seats_reborn(&c->seats);
    near_reborn(&c->near);
    pool_reborn(&c->pool);
    pool_reborn(&c->leases);
    registry_reborn(&c->registry);
    flights_reborn(&c->flights);
    refreshes_reborn(&c->refreshes);
    fallback_reborn(&c->fallback);
    atomic_store(&c->waiters, 0);
    atomic_store(&c->unheard.unreachable, 0); /* the parent tells of them */
    atomic_store(&c->unheard.timeouts, 0);
    atomic_fetch_add(&c->forks, 1);
}

/* The first thread of the child to come by does it; any other one that comes meanwhile waits those few microseconds. */
void client_reborn(struct larder_client *c)
{
    uint32_t settled = c->mark_is_pid ? (uint32_t)getpid() : CLIENT_MARK;
    for (;;) {
        uint32_t mark = atomic_load_explicit(c->mark, memory_order_acquire);
        if (mark == settled)
            return;
        if (mark != MARK_BUSY && atomic_compare_exchange_strong(c->mark, &mark, MARK_BUSY))
            break;
        sched_yield();
    }
    reborn(c);
    atomic_store_explicit(c->mark, settled, memory_order_release);
}

/* ======= ping, idle, counters ======= */

int larder_ping(larder_client *client)
{
    static const char payload[] = "larder";
    struct wire_ping ping = {.payload = slice_text(payload)};
    struct wire_pong pong;
    struct call call;
    client_enter(client);
    atomic_store(&client->pool.retry_at_ns, 0); /* whoever asks whether it is there wants to know it now */
    call_begin(&call, client, client->change_ns, 0, true);
    int r = ask(&call, WIRE_PING, &ping, WIRE_PONG, &pong);
    if (r == 0 && !slice_equal(ping.payload, pong.payload))
        r = LARDER_E_PROTOCOL;
    call_end(&call);
    return r;
}

int larder_idle(larder_client *client)
{
    client_enter(client);
    struct seat *seat = seat_mine(client, &client->seats);
    if (!seat)
        return LARDER_E_MEMORY;
    near_forget_dead(client, seat);
    near_mend(client, seat, now_ns() + client->change_ns);
    return LARDER_OK;
}

static uint64_t near_hits(const struct larder_client *c)
{
    uint64_t sum = 0;
    for (struct seat *s = atomic_load(&c->seats.first); s; s = s->next)
        sum += atomic_load_explicit(&s->near_hits, memory_order_relaxed);
    return sum;
}

int larder_counted(larder_client *client, larder_counters *ret)
{
    client_enter(client);
    struct seat *seat = seat_mine(client, &client->seats);
    if (!ret || ret->struct_size <= sizeof(ret->struct_size))
        return LARDER_E_INVALID;
    if (!seat)
        return LARDER_E_MEMORY;
    larder_counters now = {
        .struct_size = ret->struct_size,
        .near_hits = near_hits(client),
        .asked = atomic_load(&client->asked),
        .unreachable = atomic_load(&client->unreachable),
        .timeouts = atomic_load(&client->timeouts),
        .attaches = atomic_load(&client->near.attaches),
        .dead_bytes = near_dead_bytes(client, seat),
        .loads = atomic_load(&client->loads),
        .load_failures = atomic_load(&client->load_failures),
        .joined = flights_joined(&client->flights),
    };
    memcpy(ret, &now, now.struct_size < sizeof(now) ? now.struct_size : sizeof(now));
    return LARDER_OK;
}

const char *larder_message(larder_client *client)
{
    struct seat *seat = pthread_getspecific(client->seats.key);
    return seat ? seat->message : "";
}
