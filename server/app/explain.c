#include "app/explain.h"

#include <stdio.h>
#include <stdlib.h>
#include "app/policy_documents.h"
#include "app/put.h"
#include "app/readable.h"
#include "base/check.h"
#include "base/clock.h"
#include "l1/l1.h"

/* Keys are bytes: those that are no text, or hold control characters, are told in hexadecimal. */
static void put_key(json_t *object, struct slice key)
{
    if (is_readable(key)) {
        json_object_set_new(object, "key", readable(key));
        return;
    }
    char *hex = must_alloc(2 * key.size + 1);
    for (size_t i = 0; i < key.size; i++)
        snprintf(hex + 2 * i, 3, "%02x", ((const uint8_t *)key.data)[i]);
    put_text(object, "key_hex", hex);
    free(hex);
}

static uint64_t left_ms(uint64_t until_ns, uint64_t now_ns)
{
    return until_ns > now_ns ? (until_ns - now_ns) / NS_PER_MS : 0;
}

/* 64-bit numbers as text: a reader in JavaScript would round them. */
static json_t *version_of(const struct entry *e)
{
    return json_sprintf("%llx.%llx.%x", (unsigned long long)e->epoch, (unsigned long long)e->v,
                        (unsigned)e->id);
}

static void explain_entry(json_t *o, const struct cache_get *get)
{
    const struct entry *e = &get->entry;
    put_text(o, "tier", tier_name_text(get->tier));
    put_number(o, "value_bytes", e->value.size);
    put_number(o, "ttl_ms", left_ms(e->hard_ns, get->now_ns));
    put_number(o, "fresh_ms", e->stale ? 0 : left_ms(e->soft_ns, get->now_ns));
    put_switch(o, "stale", e->stale || e->soft_ns <= get->now_ns);
    put_switch(o, "too_big_for_l1", get->too_big_for_l1);
    json_object_set_new(o, "version", version_of(e));
    put_number(o, "tags", e->tags_count);
    put_number(o, "user_flags", e->user_flags);
    put_number(o, "schema_number", e->schema);
}

static json_t *explain_l1(const struct space *s, struct slice key)
{
    struct l1_explain x = {0};
    json_t *o = json_object();
    l1_explain(s->l1, key, shm_hash_key(s->memory.hash_secret, key), &x);
    put_switch(o, "present", x.present);
    if (!x.present)
        return o;
    put_number(o, "slot", x.slot_number);
    put_number(o, "segment", x.segment);
    put_number(o, "frequency", x.frequency);
    put_number(o, "pool", x.pool);
    put_number(o, "ttl_class", x.ttl_class);
    put_number(o, "born", x.born);
    put_number(o, "seq", x.seq);
    return o;
}

/* Who loads it: null when nobody does. */
static json_t *explain_lease(const struct load_look *look)
{
    if (!look->there)
        return json_null();
    json_t *o = json_object();
    put_text(o, "state", look->state);
    put_text(o, "scope", look->in_fleet ? "fleet" : "host");
    put_switch(o, "to_refresh", look->to_refresh);
    put_number(o, "holder_pid", look->holder_pid);
    put_number(o, "left_ms", look->left_ns / NS_PER_MS);
    put_number(o, "waiting", look->waiting);
    return o;
}

json_t *explain_key(const struct session_question *q)
{
    const struct space *s = CONTAINER_OF(q->space, struct space, session);
    bool found = q->get->status == STATUS_HIT || q->get->status == STATUS_ABSENT;
    json_t *o = json_object();
    put_key(o, q->key);
    put_text(o, "namespace", s->config->name);
    put_text(o, "result", status_name(q->get->status));
    if (found)
        explain_entry(o, q->get);
    else
        put_text(o, "reason", miss_reason_sentence(q->get->reason));
    put_text(o, "policy", policies_match(cache_policies(s->cache), q->key)->name);
    json_object_set_new(o, "holds", explain_policy(s, q->key));
    if (s->l1)
        json_object_set_new(o, "l1", explain_l1(s, q->key));
    struct load_look look;
    cache_load_look(s->cache, q->key, &look);
    json_object_set_new(o, "lease", explain_lease(&look));
    put_number(o, "load_rests_ms", look.rest_ns / NS_PER_MS);
    return o;
}
