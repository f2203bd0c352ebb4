#include "app/explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "app/log_document.h"
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

/* ---- the last invalidation ---- */

/* What the line says of others is not told to who is bound to a tenant: who they are, and names beyond his own. */
static struct chronicled for_tenant(const struct chronicled *t)
{
    return (struct chronicled){.at_ms = t->at_ms,
                               .v = t->v,
                               .partition = t->partition,
                               .status = t->status,
                               .elsewhere = t->elsewhere,
                               .soft = t->soft};
}

static json_t *name_of(const struct session_question *q, const struct named_item *by)
{
    bool within = by->name.size >= q->tenant.size &&
                  memcmp(by->name.data ? by->name.data : "", q->tenant.data, q->tenant.size) == 0;
    if (by->kind == NAMED_ALL || !within)
        return json_null();
    size_t own = by->kind == NAMED_TAG ? q->tenant.size : 0; /* as he named it */
    return readable(slice_of((const char *)by->name.data + own, by->name.size - own));
}

static json_t *explain_invalidation(const struct session_question *q, const struct chronicle_found *f)
{
    if (!f->found)
        return json_null();
    struct chronicled line = q->bound ? for_tenant(&f->line) : f->line;
    json_t *o = json_object();
    put_chronicled(o, &line);
    put_number(o, "ago_ms", clock_wall_ns() / NS_PER_MS - line.at_ms);
    put_number(o, "position", line.v);
    put_text(o, "kind", named_word(f->by.kind));
    json_object_set_new(o, "name", name_of(q, &f->by));
    put_switch(o, "cascaded", f->by.cascaded);
    return o;
}

/* How sure that is. */
static json_t *explain_log(const struct session_question *q, const struct chronicle_found *f)
{
    json_t *o = json_object();
    put_switch(o, "complete", !f->stopped && !f->uncertain && !f->skipped && !f->tagged);
    put_switch(o, "stopped_early", f->stopped);
    if (q->bound)
        return o;
    put_number(o, "lines", f->lines);
    put_number(o, "uncertain", f->uncertain);
    put_number(o, "tagged", f->tagged);
    put_number(o, "skipped", f->skipped);
    return o;
}

static void put_invalidation(json_t *o, const struct session_question *q)
{
    struct chronicle_found f;
    cache_last_invalidation(q->space->cache, q->get, &f);
    json_object_set_new(o, "last_invalidation", explain_invalidation(q, &f));
    json_object_set_new(o, "invalidations_seen", explain_log(q, &f));
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
    put_invalidation(o, q);
    return o;
}
