#include "client/lease.h"

#include "client/value.h"

enum { HARD_DEFAULT_MS = 30000, HARD_MAX_MS = 600000 };
const larder_load_options load_defaults = {.struct_size = sizeof(larder_load_options),
                                           .hard_ms = HARD_DEFAULT_MS};

int load_options_take(larder_load_options *ret, const larder_load_options *given)
{
    *ret = load_defaults;
    if (!options_copy(ret, sizeof(*ret), given))
        return LARDER_E_INVALID;
    if (ret->hard_ms == 0)
        ret->hard_ms = HARD_DEFAULT_MS;
    bool known = ret->scope <= LARDER_SCOPE_PROCESS && ret->refresh <= LARDER_REFRESH_LATER;
    return known && ret->hard_ms <= HARD_MAX_MS ? 0 : LARDER_E_INVALID;
}

struct reading lease_reading(const larder_load_options *how)
{
    return (struct reading){
        .get = {.no_stale = how->no_stale, .tiers = how->tiers, .schema = how->schema},
        .lease = true,
        .scope = how->scope,
        .hold_ms = how->hard_ms,
        .early_ms = how->early_ms,
    };
}

/* ======= a round ======= */

static bool waiter_begin(struct larder_client *c)
{
    if (atomic_fetch_add(&c->waiters, 1) < LEASE_WAITERS)
        return true;
    atomic_fetch_sub(&c->waiters, 1);
    return false;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static int ask_round(struct larder_client *c, struct slice key, struct reading how, uint32_t wait_ms,
                     larder_value *value)
{
    struct call call;
    how.wait_ms = wait_ms;
    call_begin(&call, c, wait_ms * NS_PER_MS + c->get_ns, 0, true);
    call.pool = how.lease ? &c->leases : &c->pool;
    int r = read_far(&call, key, &how, value);
    if (r == LARDER_E_UNSUPPORTED && how.lease) {
        how.lease = false; /* a daemon from before leases: its tokens fence a fill as well */
        r = read_far(&call, key, &how, value);
    }
    call_end(&call);
    return r;
}

int lease_round(struct larder_client *c, struct slice key, const struct reading *how, uint64_t until_ns,
                larder_value *value)
{
    uint64_t now = now_ns();
    uint32_t wait_ms = 0;
    if (until_ns > now)
        wait_ms = (uint32_t)sooner((until_ns - now) / NS_PER_MS + 1, LEASE_ROUND_MS);
    if (wait_ms == 0)
        return ask_round(c, key, *how, 0, value);
    if (!waiter_begin(c)) {
        wait_until(-1, 0, sooner(until_ns, now + LEASE_LOOK_MS * NS_PER_MS));
        return ask_round(c, key, *how, 0, value);
    }
    int r = ask_round(c, key, *how, wait_ms, value);
    atomic_fetch_sub(&c->waiters, 1);
    return r;
}

/* ======= for a flow of the app's own ======= */

static int lease_until(struct larder_client *c, struct slice key, const struct reading *how,
                       uint32_t timeout_ms, larder_value *value)
{
    uint64_t until = now_ns() + timeout_ms * NS_PER_MS;
    int r = lease_round(c, key, how, 0, value);
    while (r == LARDER_WAIT && now_ns() < until)
        r = lease_round(c, key, how, until, value);
    return r < 0 ? value_fail(c, value, r) : r;
}

static bool near_suffices(const larder_value *value, uint32_t early_ms)
{
    return !(value->flags & LARDER_STALE) && value->fresh_ms >= early_ms;
}

int larder_lease(larder_client *client, larder_slice key, const larder_load_options *options,
                 larder_value *value)
{
    larder_load_options how;
    client_enter(client);
    if (load_options_take(&how, options) < 0 || how.scope == LARDER_SCOPE_PROCESS)
        return value_fail(client, value, LARDER_E_INVALID);
    if (!key_fits(key))
        return value_fail(client, value, LARDER_E_KEY);
    uint64_t begin = log_begin(client);
    struct reading reading = lease_reading(&how);
    int r = read_near(client, slice_in(key), &reading.get, value);
    if (r == READ_NOT_NEAR || !near_suffices(value, how.early_ms))
        r = lease_until(client, slice_in(key), &reading, how.timeout_ms, value);
    log_end(client, begin, "lease", slice_in(key), r, value);
    return r;
}

int larder_mlease(larder_client *client, const larder_slice *keys, size_t count,
                  const larder_load_options *options, larder_value *values)
{
    larder_load_options how;
    client_enter(client);
    int r = load_options_take(&how, options);
    if (r == 0 && how.scope == LARDER_SCOPE_PROCESS)
        r = LARDER_E_INVALID;
    for (size_t i = 0; r < 0 && i < count; i++)
        value_fail(client, &values[i], r);
    if (r < 0)
        return r;
    struct reading reading = lease_reading(&how);
    return read_many(client, keys, count, &reading, "mlease", values);
}

int larder_lease_fill(larder_client *client, larder_slice key, const larder_token *lease, larder_slice value,
                      const larder_set_options *options)
{
    larder_set_options how = LARDER_SET_OPTIONS_INIT;
    if (!lease || lease->size == 0 || !options_copy(&how, sizeof(how), options))
        return LARDER_E_INVALID;
    how.since = lease;
    return larder_set(client, key, value, &how);
}

int larder_lease_fail(larder_client *client, larder_slice key, const larder_token *lease, uint32_t backoff_ms)
{
    struct wire_result result;
    struct call call;
    client_enter(client);
    if (!key_fits(key))
        return LARDER_E_KEY;
    if (!lease || lease->size == 0 || lease->size > sizeof(lease->bytes))
        return LARDER_E_INVALID;
    struct wire_fail fail = {
        .key = slice_in(key),
        .token = slice_of(lease->bytes, lease->size),
        .backoff_ms = backoff_ms,
    };
    uint64_t begin = log_begin(client);
    call_begin(&call, client, client->change_ns, 0, false);
    int r = call_needs_version(&call, 3);
    if (r == 0)
        r = ask(&call, WIRE_FAIL, &fail, WIRE_RESULT, &result);
    if (r == 0)
        r = result_of_status(result.status);
    call_end(&call);
    log_end(client, begin, "lease_fail", slice_in(key), r, NULL);
    return r;
}
