/* POST /api/cache/warm: {namespace?, policy}: the run of that policy, as its schedule or larder warm --policy begins it.
 *
 * Answered at once; how it goes on, the statistics tell. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "admin/admin_private.h"
#include "base/log.h"
#include "cache/runs.h"

struct wish {
    struct cache *cache;
    struct slice policy; /* points into the body */
};

static const char *take_member(struct wish *w, const struct admin_host *host, const char *name,
                               const json_t *value)
{
    struct slice text = slice_of(json_string_value(value), json_string_length(value));
    if (strcmp(name, "policy") != 0 && strcmp(name, "namespace") != 0)
        return "there are: namespace, policy";
    if (!json_is_string(value))
        return "namespace and policy are texts";
    if (strcmp(name, "policy") == 0)
        w->policy = text;
    else
        w->cache = host->space(host->user, text);
    return w->cache ? NULL : "there is no such namespace";
}

static const char *read_body(struct wish *w, const struct admin_host *host, const json_t *body)
{
    const char *name, *wrong = NULL;
    const json_t *value;
    json_t *members = (json_t *)body;
    if (!json_is_object(body))
        return "the body is a JSON object, such as {\"policy\": \"pages\"}";
    json_object_foreach(members, name, value) if (!wrong) wrong = take_member(w, host, name, value);
    return wrong || w->policy.size ? wrong : "say what to warm: {\"policy\": \"NAME\"}";
}

static void begun(struct admin *a, struct http_exchange *x, const struct wish *w)
{
    json_t *o = json_pack("{s:s, s:s, s:s%}", "status", "OK", "namespace", cache_namespace(w->cache),
                          "policy", w->policy.data, w->policy.size);
    char *text = json_dumps(o, JSON_COMPACT);
    a->changes++;
    log_info("warming begun by HTTP", L_TEXT("namespace", cache_namespace(w->cache)),
             L_BYTES("policy", w->policy));
    admin_reply_json(x, 200, text);
    free(text);
    json_decref(o);
}

void admin_warm(struct admin *a, struct http_exchange *x)
{
    const struct admin_host *host = &a->setup.host;
    struct wish w = {.cache = host->space(host->user, slice_text(""))};
    struct slice text = http_body(x);
    json_t *body = json_loadb(text.data ? text.data : "", text.size, JSON_REJECT_DUPLICATES, NULL);
    const char *wrong = read_body(&w, host, body);
    unsigned number;
    const char *why = wrong ? NULL : run_begin(w.cache, w.policy, &number);
    if (wrong || why)
        admin_refuse(x, wrong ? 400 : 409, wrong ? wrong : why);
    else
        begun(a, x, &w);
    json_decref(body);
}
