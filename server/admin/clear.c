/* POST /api/cache/clear: {namespace?, keys?, tags?, prefix?, soft?} or {"all": true}, as one invalidation.
 *
 * What must stay true: nothing is cleared by a request that was not understood to the last word. */
#include "admin/admin_private.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"

enum { NAMES_MAX = 1024 }; /* of each kind: what one turn of the loop kills in well under a millisecond */

struct clear {
    struct admin *admin;
    struct http_exchange *x;
    struct cache *cache;
    struct cache_invalidate call;
    json_t *body; /* the slices point into it */
    struct slice *names;
    unsigned names_count;
};

/* ======= reading ======= */

static const char *take_names(struct clear *c, const json_t *value, const struct slice **ret,
                              unsigned *ret_count)
{
    size_t count = json_is_array(value) ? json_array_size(value) : 1;
    *ret = c->names + c->names_count;
    if (count > NAMES_MAX - *ret_count)
        return "more than 1024 names of a kind: send them in parts";
    for (size_t i = 0; i < count; i++) {
        const json_t *one = json_is_array(value) ? json_array_get(value, i) : value;
        if (!json_is_string(one))
            return "keys, tags and prefix are texts, or lists of texts";
        c->names[c->names_count++] = slice_of(json_string_value(one), json_string_length(one));
    }
    *ret_count += (unsigned)count;
    return NULL;
}

static const char *take_switch(const json_t *value, bool *ret)
{
    if (!json_is_boolean(value))
        return "all and soft are true or false";
    *ret = json_is_true(value);
    return NULL;
}

static const char *take_namespace(struct clear *c, const json_t *value)
{
    const struct admin_host *host = &c->admin->setup.host;
    if (!json_is_string(value))
        return "namespace is a text";
    c->cache = host->space(host->user, slice_of(json_string_value(value), json_string_length(value)));
    return c->cache ? NULL : "there is no such namespace";
}

static const char *take_member(struct clear *c, const char *name, const json_t *value)
{
    struct cache_invalidate *i = &c->call;
    if (strcmp(name, "namespace") == 0)
        return take_namespace(c, value);
    if (strcmp(name, "keys") == 0)
        return take_names(c, value, &i->keys, &i->keys_count);
    if (strcmp(name, "tags") == 0)
        return take_names(c, value, &i->tags, &i->tags_count);
    if (strcmp(name, "prefix") == 0)
        return take_names(c, value, &i->prefixes, &i->prefixes_count);
    if (strcmp(name, "all") == 0)
        return take_switch(value, &i->all);
    if (strcmp(name, "soft") == 0)
        return take_switch(value, &i->soft);
    return "there are: namespace, keys, tags, prefix, all, soft";
}

static bool names_something(const struct cache_invalidate *i)
{
    return i->all || i->keys_count || i->tags_count || i->prefixes_count;
}

static const char *read_body(struct clear *c, struct slice text)
{
    const char *name, *wrong = NULL;
    json_t *value;
    c->body = json_loadb(text.data ? text.data : "", text.size, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(c->body))
        return "the body is a JSON object, such as {\"tags\": [\"users\"]}";
    json_object_foreach(c->body, name, value) if (!wrong) wrong = take_member(c, name, value);
    if (!wrong && !names_something(&c->call))
        wrong = "say what to clear: keys, tags, prefix, or {\"all\": true} for everything";
    return wrong;
}

/* ======= doing ======= */

static unsigned http_status(enum status status)
{
    switch (status) {
    case STATUS_OK:
    case STATUS_QUEUED:
    case STATUS_LOCAL: return 200;
    case STATUS_BAD_KEY:
    case STATUS_BAD_SHAPE:
    case STATUS_BAD_REQUEST:
    case STATUS_LIMIT: return 400;
    default: return 503;
    }
}

static json_t *describe(const struct clear *c)
{
    const struct cache_invalidate *i = &c->call;
    json_t *o = json_pack("{s:s, s:s, s:I}", "status", status_name(i->status), "namespace",
                          cache_namespace(c->cache), "count", (json_int_t)i->count);
    if (http_status(i->status) != 200)
        json_object_set_new(o, "error", json_string(i->message ? i->message : status_sentence(i->status)));
    return o;
}

static void settle(struct clear *c)
{
    struct admin *a = c->admin;
    json_t *o = describe(c);
    char *text = json_dumps(o, JSON_COMPACT);
    a->changes +=
        c->call.status == STATUS_OK || c->call.status == STATUS_QUEUED || c->call.status == STATUS_LOCAL;
    log_info("cleared by HTTP", L_TEXT("namespace", cache_namespace(c->cache)),
             L_TEXT("result", status_name(c->call.status)), L_U64("keys", c->call.keys_count),
             L_U64("tags", c->call.tags_count), L_U64("prefixes", c->call.prefixes_count),
             L_U64("all", c->call.all));
    admin_reply_json(c->x, http_status(c->call.status), text);
    free(text);
    json_decref(o);
    json_decref(c->body);
    free(c->names);
    free(c);
    admin_settled(a);
}

static void on_done(struct cache_invalidate *call)
{
    settle(CONTAINER_OF(call, struct clear, call));
}

void admin_clear(struct admin *a, struct http_exchange *x)
{
    const struct admin_host *host = &a->setup.host;
    struct clear *c = must_alloc(sizeof(*c));
    c->admin = a;
    c->x = x;
    c->cache = host->space(host->user, slice_text(""));
    c->names = must_alloc(3 * NAMES_MAX * sizeof(*c->names));
    c->call.done = on_done;
    c->call.by = slice_text("http");
    const char *wrong = a->draining ? "the daemon is stopping" : read_body(c, http_body(x));
    if (wrong) {
        admin_refuse(x, a->draining ? 503 : 400, wrong);
        json_decref(c->body);
        free(c->names);
        free(c);
    } else if (cache_invalidate(c->cache, &c->call) == CACHE_DONE) {
        settle(c);
    }
}
