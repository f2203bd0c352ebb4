#include "app/watchman.h"

#include <stdio.h>
#include <string.h>
#include "app/metrics.h"
#include "base/log.h"

enum { TOKEN_ROOM = 512 };

/* ---- what the admin asks ------------------------------------------------------------------------------- */

static int answer_metrics(const struct watchman *w, struct buffer *ret_text)
{
    struct metrics_more more = {.detached_ns = w->detached_ns};
    admin_measure(w->admin, &more.admin);
    return metrics_answer(w->documents, &more, ret_text);
}

static int answer_document(void *user, enum admin_document which, struct buffer *ret_text)
{
    const struct watchman *w = user;
    static const enum session_document kinds[] = {
        [ADMIN_STATS] = DOCUMENT_STATS, [ADMIN_HEALTH] = DOCUMENT_HEALTH};
    if (which == ADMIN_METRICS)
        return answer_metrics(w, ret_text);
    struct session_question question = {.kind = kinds[which]};
    return documents_answer(w->documents, &question, ret_text);
}

static enum admin_health health(void *user)
{
    return ADMIN_OK;
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
    int error = admin_open(&(struct admin_setup){.loop = w->loop,
                                                 .options = &w->config->admin,
                                                 .token = token,
                                                 .host = {w, answer_document, health, ready, find_space}},
                           &w->admin);
    explicit_bzero(token, sizeof(token));
    return error;
}

/* ---- life ---------------------------------------------------------------------------------------------- */

int watchman_open(struct watchman *w, const struct documents *documents)
{
    *w = (struct watchman){.documents = documents, .config = documents->config, .loop = documents->loop};
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
}
