/* Loads for the daemon, in threads of the app: larder_register_loader, larder_serve_loads.
 *
 *     offer a hand ──nothing for a while──▶ once more, until the time is up
 *       │ a key                  └─no daemon──▶ a pause
 *       ▼
 *     load ──▶ fill, or say that it failed ──▶ once more
 *
 * What must stay true: the connection a key came over is held until its load is over: the daemon passes the key on when
 * that connection ends.  An offer is made in rounds of SERVE_ROUND_MS, so that a daemon that hangs is noticed. */
#include "client/serve.h"

#include <stdlib.h>
#include <string.h>
#include "client/ask.h"
#include "client/loaded.h"

enum { SERVE_ROUND_MS = 500, SERVE_PAUSE_MS = 50, HOLD_MAX_MS = 600000 };

/* ======= what is registered ======= */

int registry_init(struct registry *registry)
{
    memset(registry, 0, sizeof(*registry));
    if (pthread_mutex_init(&registry->lock, NULL) != 0)
        return LARDER_E_MEMORY;
    return pool_init(&registry->pool);
}

void registry_finish(struct registry *registry)
{
    for (unsigned i = 0; i < registry->count; i++)
        free(registry->of[i].pattern);
    pool_finish(&registry->pool);
    pthread_mutex_destroy(&registry->lock);
}

void registry_reborn(struct registry *registry)
{
    pthread_mutex_init(&registry->lock, NULL);
    pool_reborn(&registry->pool);
}

struct registered *registry_named(struct registry *registry, struct slice pattern)
{
    unsigned count = atomic_load(&registry->count);
    for (unsigned i = 0; i < count; i++)
        if (slice_equal(registry->of[i].text, pattern))
            return &registry->of[i];
    return NULL;
}

static int append(struct registry *registry, struct slice text, larder_loader loader,
                  larder_async_loader async_loader, void *user)
{
    unsigned count = atomic_load(&registry->count);
    if (count == REGISTERED_MAX)
        return LARDER_E_LIMIT;
    struct registered *to = &registry->of[count];
    to->pattern = malloc(text.size);
    if (!to->pattern)
        return LARDER_E_MEMORY;
    memcpy(to->pattern, text.data, text.size);
    to->text = slice_of(to->pattern, text.size);
    to->loader = loader;
    to->async_loader = async_loader;
    to->user = user;
    atomic_store(&registry->count, count + 1);
    return LARDER_OK;
}

int registry_add(struct registry *registry, struct slice text, larder_loader loader,
                 larder_async_loader async_loader, void *user)
{
    if (!text.data || text.size == 0 || text.size > WIRE_TAG_BYTES_MAX || memchr(text.data, ',', text.size))
        return LARDER_E_INVALID;
    pthread_mutex_lock(&registry->lock);
    int r = append(registry, text, loader, async_loader, user);
    pthread_mutex_unlock(&registry->lock);
    return r;
}

struct wire_offer registry_offer(struct registry *registry, uint32_t wait_ms, uint32_t hold_ms,
                                 struct slice *room)
{
    unsigned count = atomic_load(&registry->count);
    uint32_t lists = 0;
    for (unsigned i = 0; i < count; i++) {
        room[i] = registry->of[i].text;
        lists |= atomic_load(&registry->of[i].lister) || registry->of[i].async_lister ? 1u << i : 0;
    }
    return (struct wire_offer){
        .wait_ms = wait_ms, .hold_ms = hold_ms, .patterns = {.count = count, .items = room}, .lists = lists};
}

const struct registered *registry_find(struct registry *registry, const struct wire_load *load)
{
    bool is_key = load->kind == WIRE_LOAD_KEY;
    bool known = load->pattern < atomic_load(&registry->count) && (load->key.size > 0) == is_key &&
                 load->key.size <= WIRE_KEY_MAX && load->token.size > 0;
    return known ? &registry->of[load->pattern] : NULL;
}

/* ======= one load ======= */

/* Copied: the connection's buffer is its own again with the next message. */
struct task {
    const struct registered *by;
    larder_token token;
    size_t key_bytes;
    unsigned char key[WIRE_KEY_MAX];
};

static larder_slice key_of(const struct task *t)
{
    return larder_bytes(t->key, t->key_bytes);
}

static int take_task(struct larder_client *c, const struct wire_load *m, struct task *ret)
{
    ret->by = registry_find(&c->registry, m);
    if (!ret->by || m->token.size > sizeof(ret->token.bytes))
        return LARDER_E_PROTOCOL;
    ret->token.size = (uint8_t)m->token.size;
    memcpy(ret->token.bytes, m->token.data, m->token.size);
    ret->key_bytes = m->key.size;
    if (m->key.size)
        memcpy(ret->key, m->key.data, m->key.size);
    return 0;
}

/* What cannot be stored is not worth another try at once. */
static bool bring(struct larder_client *c, const struct task *t, const struct loading *loading)
{
    larder_set_options how = loading_options(loading);
    how.since = &t->token;
    int r = larder_set(c, key_of(t), loading_value(loading), &how);
    if (r < 0)
        larder_lease_fail(c, key_of(t), &t->token, 0);
    return r >= 0 && r != LARDER_REFUSED;
}

/* True: brought and taken. */
static bool end_load(struct larder_client *c, const struct task *t, const struct loading *loading, int error)
{
    bool failed = error < 0 || loading_is_nothing(loading);
    atomic_fetch_add_explicit(failed ? &c->load_failures : &c->loads, 1, memory_order_relaxed);
    if (!failed)
        return bring(c, t, loading);
    larder_lease_fail(c, key_of(t), &t->token, loading->loaded.backoff_ms);
    return false;
}

/* A loader that forked comes back twice: the child has no part in the lease, nor in the connection. */
static bool is_child(struct larder_client *c, uint32_t forks)
{
    client_enter(c);
    return forks != atomic_load_explicit(&c->forks, memory_order_relaxed);
}

/* ======= a round ======= */

struct serving {
    struct larder_client *c;
    larder_serve_options how;
    uint64_t until_ns;
    uint32_t forks;
    int brought;
};

static uint32_t left_ms(const struct serving *s)
{
    uint64_t now = now_ns();
    uint64_t ms = s->until_ns > now ? (s->until_ns - now) / NS_PER_MS : 0;
    return ms < SERVE_ROUND_MS ? (uint32_t)ms : SERVE_ROUND_MS;
}

static int offer_hand(struct serving *s, struct call *call, struct wire_load *ret)
{
    struct slice room[REGISTERED_MAX];
    uint32_t wait_ms = left_ms(s);
    struct wire_offer offer = registry_offer(&s->c->registry, wait_ms, s->how.hold_ms, room);
    call_begin(call, s->c, wait_ms * NS_PER_MS + s->c->change_ns, 0, true);
    call->pool = &s->c->registry.pool;
    int r = call_needs_version(call, 3);
    return r == 0 ? ask(call, WIRE_OFFER, &offer, WIRE_LOAD, ret) : r;
}

static int load(struct serving *s, const struct wire_load *m)
{
    struct loading loading;
    struct task t;
    int r = take_task(s->c, m, &t);
    if (r < 0)
        return r;
    loading_init(&loading);
    r = t.by->loader(t.by->user, key_of(&t), &loading.loaded);
    if (!is_child(s->c, s->forks))
        s->brought += end_load(s->c, &t, &loading, r);
    loading_finish(&loading);
    return 0;
}

static int list(struct serving *s, const struct wire_load *m)
{
    struct task t;
    int r = take_task(s->c, m, &t);
    if (r == 0 && !atomic_load(&t.by->lister))
        r = LARDER_E_PROTOCOL;
    if (r == 0)
        list_keys(s->c, t.by, &t.token); /* which tells the daemon how it went */
    return r;
}

static int serve_round(struct serving *s)
{
    struct wire_load m;
    struct call call;
    int r = offer_hand(s, &call, &m);
    if (r == 0 && m.kind == WIRE_LOAD_KEY)
        r = load(s, &m);
    else if (r == 0 && m.kind == WIRE_LOAD_LIST)
        r = list(s, &m);
    if (!is_child(s->c, s->forks)) /* whose connections are others than before */
        call_end(&call);
    return r;
}

/* A daemon that is away comes back; what it refuses for ever is told. */
static bool may_pass(int r)
{
    return r == LARDER_E_UNREACHABLE || r == LARDER_E_TIMEOUT || r == LARDER_E_UNKNOWN ||
           r == LARDER_E_DRAINING || r == LARDER_E_BUSY;
}

static void pause_for(const struct serving *s)
{
    uint64_t until = now_ns() + SERVE_PAUSE_MS * NS_PER_MS;
    wait_until(-1, 0, until < s->until_ns ? until : s->until_ns);
}

static int serve(struct serving *s)
{
    int r;
    do {
        r = serve_round(s);
        if (is_child(s->c, s->forks))
            return s->brought;
        if (r < 0 && !may_pass(r))
            return r == LARDER_E_PROTOCOL ? LARDER_E_INVALID : r; /* a pattern; the message says which */
        if (r < 0)
            pause_for(s);
    } while (now_ns() < s->until_ns);
    return s->brought;
}

/* ======= public ======= */

int larder_register_loader(larder_client *client, larder_slice pattern, larder_loader loader, void *user)
{
    client_enter(client);
    if (!loader)
        return LARDER_E_INVALID;
    return registry_add(&client->registry, slice_in(pattern), loader, NULL, user);
}

int larder_serve_loads(larder_client *client, const larder_serve_options *options)
{
    struct serving s = {.c = client, .how = LARDER_SERVE_OPTIONS_INIT};
    client_enter(client);
    if (!options_copy(&s.how, sizeof(s.how), options) || s.how.hold_ms > HOLD_MAX_MS)
        return LARDER_E_INVALID;
    if (atomic_load(&client->registry.count) == 0)
        return LARDER_E_INVALID;
    s.until_ns = now_ns() + s.how.wait_ms * NS_PER_MS;
    s.forks = atomic_load_explicit(&client->forks, memory_order_relaxed);
    return serve(&s);
}
