/* Looking in: the daemon's documents, its keys, and what the segment's header tells when it does not answer. */
#include "client/ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void larder_text_free(char *text)
{
    free(text);
}

/* ======= documents ======= */

static int document_take(const struct wire_document *document, char **ret)
{
    char *text = malloc(document->json.size + 1);
    if (!text)
        return LARDER_E_MEMORY;
    if (document->json.size)
        memcpy(text, document->json.data, document->json.size);
    text[document->json.size] = '\0';
    *ret = text;
    return LARDER_OK;
}

static int ask_document(struct larder_client *c, enum wire_code code, const void *message, char **ret)
{
    struct wire_document document;
    struct call call;
    call_begin(&call, c, c->change_ns, 0, true);
    int r = ask(&call, code, message, WIRE_DOCUMENT, &document);
    if (r == 0)
        r = document_take(&document, ret);
    call_end(&call);
    return r;
}

int larder_stats(larder_client *client, char **ret_json)
{
    struct wire_stats stats = {};
    client_enter(client);
    return ask_document(client, WIRE_STATS, &stats, ret_json);
}

int larder_explain(larder_client *client, larder_slice key, char **ret_json)
{
    struct wire_explain explain = {.key = slice_in(key)};
    client_enter(client);
    if (!key.data || key.size < 1 || key.size > WIRE_KEY_MAX)
        return LARDER_E_KEY;
    return ask_document(client, WIRE_EXPLAIN, &explain, ret_json);
}

int larder_config(larder_client *client, bool with_origin, char **ret_json)
{
    struct wire_config config = {.origin = with_origin};
    client_enter(client);
    return ask_document(client, WIRE_CONFIG, &config, ret_json);
}

int larder_doctor(larder_client *client, char **ret_json)
{
    struct wire_doctor doctor = {.timeout_ms = (uint32_t)(client->change_ns / NS_PER_MS * 3 / 4)};
    client_enter(client);
    return ask_document(client, WIRE_DOCTOR, &doctor, ret_json);
}

int larder_log(larder_client *client, uint64_t back_ms, uint32_t limit, char **ret_json)
{
    struct wire_log log = {.back_ms = back_ms, .limit = limit};
    client_enter(client);
    return ask_document(client, WIRE_LOG, &log, ret_json);
}

int larder_report(larder_client *client, uint32_t days, int by, uint32_t from, char **ret_json)
{
    client_enter(client);
    if (by < LARDER_REPORT_BY_DAY || by > LARDER_REPORT_BY_MINUTE)
        return LARDER_E_INVALID;
    struct wire_report report = {.days = days, .by = (uint8_t)by, .from = from};
    return ask_document(client, WIRE_REPORT, &report, ret_json);
}

/* ======= health ======= */

static const char *mode_name(uint64_t mode)
{
    static const char *const names[] = {"STANDALONE", "FRESH", "SUSPECT", "DETACHED"};
    return mode < sizeof(names) / sizeof(names[0]) ? names[mode] : "UNKNOWN";
}

static const char *daemon_state(const struct shm_view *view)
{
    const struct shm_header *h = view->header;
    if (atomic_load_explicit(&h->owner, memory_order_relaxed) & SHM_OWNER_DIED)
        return "dead";
    if (atomic_load_explicit(&h->state, memory_order_relaxed) == SHM_CLOSED)
        return "stopped";
    return shm_alive(view) ? "busy" : "hung";
}

/* One shape with the daemon's own health document.  The incarnation is 64 random bits, and no number: JSON readers take 63
 * of them, or 53. */
#define HEALTH_HEAD  "{\"status\":\"failing\",\"score\":0,\"source\":\"segment header\","
#define HEALTH_STATE "\"daemon\":\"%s\",\"mode\":\"%s\",\"incarnation\":\"%016llx\","
#define HEALTH_TIERS "\"tiers\":{\"l1\":{\"available\":%s,\"bytes\":%llu}},"
#define HEALTH_ADVICE \
    "\"issues\":[\"%s\"],\"recommendations\":[\"the log of larderd says more; restart it\"]}"

static int header_health(const struct shm_view *view, int why, char **ret)
{
    const char *mode = mode_name(atomic_load_explicit(&view->header->mode, memory_order_relaxed));
    const struct shm_shape *shape = &view->shape;
    int n = asprintf(ret, HEALTH_HEAD HEALTH_STATE HEALTH_TIERS HEALTH_ADVICE, daemon_state(view), mode,
                     (unsigned long long)shape->incarnation, shm_alive(view) ? "true" : "false",
                     (unsigned long long)shape->total_bytes, larder_strerror(why));
    return n < 0 ? LARDER_E_MEMORY : LARDER_OK;
}

int larder_health(larder_client *client, char **ret_json)
{
    struct wire_health health = {};
    client_enter(client);
    int r = ask_document(client, WIRE_HEALTH, &health, ret_json);
    if (r != LARDER_E_TIMEOUT && r != LARDER_E_UNREACHABLE)
        return r;
    struct seat *seat = seat_mine(client, &client->seats);
    struct attachment *a = seat ? near_enter(&client->near, seat) : NULL;
    if (!a)
        return r; /* nothing is known of it: a stopped daemon gives no segment out */
    r = header_health(&a->view, r, ret_json);
    near_leave(seat);
    return r;
}

/* ======= keys ======= */

static int page_hand_out(const struct wire_page *page, bool (*each)(void *user, const larder_listed *listed),
                         void *user)
{
    struct reader list = reader_of(page->held.raw);
    struct wire_held held;
    int count = 0;
    while (wire_next_held(&list, &held)) {
        larder_listed listed = {slice_out(held.key), held.tier, held.ttl_ms, held.bytes, held.no_dump};
        count++;
        if (!each(user, &listed))
            break;
    }
    return count;
}

int larder_keys(larder_client *client, larder_slice prefix, uint32_t limit, larder_token *cursor,
                bool (*each)(void *user, const larder_listed *listed), void *user)
{
    struct wire_page page;
    struct call call;
    client_enter(client);
    if (!cursor || !each || cursor->size > sizeof(cursor->bytes) || prefix.size > WIRE_KEY_MAX)
        return LARDER_E_INVALID;
    struct wire_keys keys = {
        .cursor = slice_of(cursor->bytes, cursor->size),
        .prefix = slice_in(prefix),
        .limit = limit,
    };
    call_begin(&call, client, client->change_ns, 0, true);
    int r = ask(&call, WIRE_KEYS, &keys, WIRE_PAGE, &page);
    if (r == 0) {
        cursor->size = (uint8_t)page.cursor.size; /* the decoder allows WIRE_TOKEN_MAX */
        if (page.cursor.size)
            memcpy(cursor->bytes, page.cursor.data, page.cursor.size);
        r = page_hand_out(&page, each, user);
    }
    call_end(&call);
    return r;
}
