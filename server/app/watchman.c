#include "app/watchman.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "app/log_document.h"
#include "app/metrics.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

enum { TOKEN_ROOM = 512 };

/* ---- what the admin asks ------------------------------------------------------------------------------- */

static enum admin_health health_of(const struct health *h)
{
    return h->failing ? ADMIN_FAILING : h->degraded ? ADMIN_DEGRADED : ADMIN_OK;
}

static int answer_metrics(const struct watchman *w, struct buffer *ret_text)
{
    struct health *h = must_alloc(sizeof(*h));
    struct metrics_more more = {.health = h, .detached_ns = w->detached_ns};
    judge_now(w->documents, h);
    admin_measure(w->admin, &more.admin);
    alarm_measure(w->bell, &more.alarm);
    int r = metrics_answer(w->documents, &more, ret_text);
    free(h);
    return r;
}

/* The document judges as well; this is for the status of the reply, which has to be that of the same moment. */
static void look_now(struct watchman *w)
{
    struct health *h = must_alloc(sizeof(*h));
    judge_now(w->documents, h);
    w->health = health_of(h);
    free(h);
}

static int answer_invalidations(const struct watchman *w, struct buffer *ret_text)
{
    json_t *o = log_of_all(w->documents->spaces, w->documents->spaces_count);
    char *text = json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER);
    CHECK(text);
    int r = buffer_append(ret_text, text, strlen(text));
    free(text);
    json_decref(o);
    return r;
}

static int answer_document(void *user, enum admin_document which, struct buffer *ret_text)
{
    struct watchman *w = user;
    static const enum session_document kinds[] = {
        [ADMIN_STATS] = DOCUMENT_STATS, [ADMIN_HEALTH] = DOCUMENT_HEALTH};
    if (which == ADMIN_METRICS)
        return answer_metrics(w, ret_text);
    if (which == ADMIN_HISTORY)
        return history_append_json(w->judge.history, ret_text);
    if (which == ADMIN_INVALIDATIONS)
        return answer_invalidations(w, ret_text);
    if (which == ADMIN_HEALTH)
        look_now(w);
    struct session_question question = {.kind = kinds[which], .bound = !w->config->admin.http_names};
    return documents_answer(w->documents, &question, ret_text);
}

static int answer_report(void *user, const struct admin_report *which, struct buffer *ret_text)
{
    return documents_report(((const struct watchman *)user)->documents, which, ret_text);
}

static enum admin_health health(void *user)
{
    return ((const struct watchman *)user)->health;
}

static bool ready(void *user)
{
    return !((const struct watchman *)user)->stopping;
}

static struct cache *find_space(void *user, struct slice name)
{
    const struct documents *d = ((const struct watchman *)user)->documents;
    for (unsigned i = 0; i < d->spaces_count; i++)
        if (name.size == 0 || slice_equal(name, slice_text(d->spaces[i].config->name)))
            return d->spaces[i].cache;
    return NULL;
}

/* ---- the door ------------------------------------------------------------------------------------------ */

/* The first line of its file, or the option.  <0: the file cannot be read, or is empty. */
static int find_token(const struct admin_options *o, char room[TOKEN_ROOM])
{
    snprintf(room, TOKEN_ROOM, "%s", o->token);
    if (*room || !*o->token_file)
        return 0;
    FILE *file = fopen(o->token_file, "re");
    bool read = file && fgets(room, TOKEN_ROOM, file);
    if (file)
        fclose(file);
    room[strcspn(room, "\r\n")] = '\0';
    if (read && *room)
        return 0;
    log_error("the token's file cannot be read or is empty", L_TEXT("file", o->token_file));
    return -1;
}

static int open_admin(struct watchman *w)
{
    char token[TOKEN_ROOM];
    if (find_token(&w->config->admin, token) < 0)
        return -1;
    int error = admin_open(
        &(struct admin_setup){.loop = w->loop,
                              .options = &w->config->admin,
                              .token = token,
                              .host = {w, answer_document, answer_report, health, ready, find_space}},
        &w->admin);
    explicit_bzero(token, sizeof(token));
    return error;
}

/* ---- rounds -------------------------------------------------------------------------------------------- */

static bool any_detached(const struct documents *d)
{
    for (unsigned i = 0; i < d->spaces_count; i++)
        if (cache_mode(d->spaces[i].cache) == SHM_DETACHED)
            return true;
    return false;
}

static void on_second(struct timer *second)
{
    struct watchman *w = CONTAINER_OF(second, struct watchman, second);
    struct health *h = must_alloc(sizeof(*h));
    uint64_t now_ns = loop_now_ns(w->loop);
    if (any_detached(w->documents))
        w->detached_ns += now_ns - w->noticed_ns;
    w->noticed_ns = now_ns;
    judge_notice(&w->judge, w->documents, now_ns);
    judge_now(w->documents, h);
    w->health = health_of(h);
    alarm_update(w->bell, h);
    free(h);
}

static void on_sample(struct timer *sample)
{
    struct watchman *w = CONTAINER_OF(sample, struct watchman, sample);
    judge_remember(&w->judge, w->documents);
}

/* Sixty samples a window: its end is then right to 2 %. */
static uint64_t sample_every(const struct health_options *o)
{
    uint64_t every_ns = o->health_window / 60;
    return every_ns > 100 * NS_PER_MS ? every_ns : 100 * NS_PER_MS;
}

static void start_rounds(struct watchman *w)
{
    uint64_t every_ns = sample_every(&w->config->health);
    judge_open(&w->judge, w->documents);
    w->documents->judge = &w->judge;
    w->bell = alarm_create(w->loop, &w->config->health);
    w->noticed_ns = loop_now_ns(w->loop);
    timer_init(&w->second, w->loop, on_second);
    timer_init(&w->sample, w->loop, on_sample);
    timer_start(&w->second, NS_PER_S, NS_PER_S);
    timer_start(&w->sample, every_ns, every_ns);
    w->ticking = true;
}

static void stop_rounds(struct watchman *w)
{
    if (!w->ticking)
        return;
    w->ticking = false;
    timer_finish(&w->second, NULL);
    timer_finish(&w->sample, NULL);
    w->bell = alarm_destroy(w->bell);
    w->documents->judge = NULL;
    judge_close(&w->judge);
}

/* ---- life ---------------------------------------------------------------------------------------------- */

int watchman_open(struct watchman *w, struct documents *documents)
{
    *w = (struct watchman){.documents = documents, .config = documents->config, .loop = documents->loop};
    start_rounds(w);
    return open_admin(w);
}

void watchman_drain(struct watchman *w, void (*drained)(void *user), void *user)
{
    w->stopping = true;
    admin_drain(w->admin, drained, user);
}

void watchman_close(struct watchman *w)
{
    w->admin = admin_close(w->admin);
    stop_rounds(w);
}
