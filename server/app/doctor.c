#include "app/doctor.h"

#include <stdio.h>
#include <string.h>
#include "base/check.h"
#include "base/clock.h"
#include "l2/l2.h"

struct examination {
    const struct space *space;
    const struct cache_probe *probe;
    struct l2_health redis;
    json_t *steps;
    bool failed; /* what comes after the first failure was not reached */
};

/* ======= one step ======= */

static void add(struct examination *x, const char *name, const char *result, const char *says,
                const char *check)
{
    json_t *step = json_object();
    json_object_set_new(step, "name", json_string(name));
    json_object_set_new(step, "result", json_string(result));
    json_object_set_new(step, "says", json_string(says));
    if (check)
        json_object_set_new(step, "check", json_string(check));
    json_array_append_new(x->steps, step);
}

static void passed(struct examination *x, const char *name, const char *says)
{
    if (x->failed)
        add(x, name, "skipped", "not reached", NULL);
    else
        add(x, name, "ok", says, NULL);
}

static void failed(struct examination *x, const char *name, const char *says, const char *check)
{
    if (x->failed) {
        passed(x, name, says);
        return;
    }
    add(x, name, "failed", says, check);
    x->failed = true;
}

/* ======= the way in ======= */

static const char *says_of(const struct examination *x, enum l2_step step)
{
    const struct l2_health *h = &x->redis;
    switch (step) {
    case L2_STEP_ADDRESS: return h->address;
    case L2_STEP_CONNECT: return "three connections are open";
    case L2_STEP_TLS: return h->tls ? "certificate and name are good" : "not used";
    case L2_STEP_AUTH: return h->auth ? "user and password are taken" : "not used";
    case L2_STEP_DATABASE: return "selected";
    case L2_STEP_WRITE:
        return h->linked || h->failed_at > L2_STEP_WRITE ? "our scripts run" : "not tried yet";
    case L2_STEP_PARTITIONS: return h->linked ? "as many as the other hosts have" : "not compared yet";
    case L2_STEP_POLICY:
        return *h->policy ? h->policy : "Redis does not tell it to us; see that it is none of allkeys-*";
    case L2_STEPS_COUNT: break;
    }
    WRONG("a step that is none");
}

static const char *const checks[L2_STEPS_COUNT] = {
    [L2_STEP_ADDRESS] = "the host in [redis] url, and the resolver of this machine",
    [L2_STEP_CONNECT] =
        "that Redis runs, its bind and port or unixsocket, firewalls, and the permissions of a socket",
    [L2_STEP_TLS] = "that the port speaks TLS, that cacert knows who signed its certificate, and servername",
    [L2_STEP_AUTH] = "user and password of [redis], and the access list: ACL GETUSER",
    [L2_STEP_DATABASE] = "database of [redis], and `databases` of Redis",
    [L2_STEP_WRITE] =
        "that this is a master with its data loaded (INFO replication, INFO persistence), and that the "
        "user may run scripts and streams: +@all ~PREFIX*",
    [L2_STEP_PARTITIONS] =
        "partitions of [redis]: the same on all hosts, for good; a namespace that is to have another number "
        "gets another name, or all of its keys in Redis are deleted first",
    [L2_STEP_POLICY] = "CONFIG SET maxmemory-policy volatile-lru",
};

static const char *const words[L2_STEPS_COUNT] = {
#define STEP(NAME, word) [L2_STEP_##NAME] = (word),
    L2_STEPS(STEP)
#undef STEP
};

static void examine_way_in(struct examination *x)
{
    const struct l2_health *h = &x->redis;
    const char *said = *h->said ? h->said : h->trouble;
    bool at_a_loss = !h->linked && h->trouble;
    for (enum l2_step step = 0; step < L2_STEPS_COUNT; step++) {
        if (at_a_loss && step == h->failed_at)
            failed(x, words[step], said, checks[step]);
        else
            passed(x, words[step], says_of(x, step));
    }
}

/* ======= within ======= */

enum { NEARLY_FULL_PERCENT = 95 };

static void examine_memory(struct examination *x)
{
    const struct l2_health *h = &x->redis;
    char says[96];
    if (h->memory_max == 0)
        snprintf(says, sizeof(says), "%.1f MiB, no maximum", (double)h->memory_used / 1048576);
    else
        snprintf(says, sizeof(says), "%.1f of %.1f MiB", (double)h->memory_used / 1048576,
                 (double)h->memory_max / 1048576);
    if (h->memory_max && h->memory_used / NEARLY_FULL_PERCENT >= h->memory_max / 100)
        failed(x, "memory", says, "maxmemory of Redis: it evicts, or refuses to write, from there on");
    else
        passed(x, "memory", says);
}

static void examine_journey(struct examination *x)
{
    static const char name[] = "journal round trip";
    static const char path[] = "the load of Redis (INFO commandstats, SLOWLOG GET) and the network to it";
    const struct cache_probe *p = x->probe;
    char says[160];
    if (!p) {
        failed(x, name, "no answer within the time of this request", path);
        return;
    }
    switch (p->end) {
    case PROBE_BACK:
        snprintf(says, sizeof(says), "committed after %.2f ms, its record came back after %.2f ms",
                 (double)p->commit_ns / NS_PER_MS, (double)p->back_ns / NS_PER_MS);
        passed(x, name, says);
        break;
    case PROBE_AWAY:
        failed(x, name, "not sent: not in the fleet now", "the state above; it may be joining, try again");
        break;
    case PROBE_REFUSED: failed(x, name, p->why ? p->why : "Redis refused it", checks[L2_STEP_WRITE]); break;
    case PROBE_UNKNOWN: failed(x, name, "sent, and never answered", path); break;
    case PROBE_SILENT: failed(x, name, "committed, but its record did not come", path); break;
    case PROBE_STANDALONE: WRONG("a fleet that is none");
    }
}

/* ======= the whole ======= */

json_t *doctor_document(const struct space *s, const struct cache_probe *probe)
{
    struct examination x = {.space = s, .probe = probe, .steps = json_array()};
    json_t *o = json_object();
    if (s->l2) {
        l2_health(s->l2, &x.redis);
        examine_way_in(&x);
        examine_memory(&x);
        examine_journey(&x);
    } else {
        failed(&x, "address", "no Redis is configured: STANDALONE, every host for itself",
               "[redis] url, or REDIS_URL, if hosts are to share what they cache");
    }
    json_object_set_new(o, "ok", json_boolean(!x.failed));
    json_object_set_new(o, "namespace", json_string(s->config->name));
    json_object_set_new(o, "state", json_string(s->l2 ? x.redis.state : "STANDALONE"));
    json_object_set_new(o, "steps", x.steps);
    return o;
}
