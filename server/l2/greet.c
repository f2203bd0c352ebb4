#include "l2/greet.h"

#include <stdio.h>
#include <string.h>
#include "base/check.h"

/* ======= what is sent ======= */

static struct greet_step *add(struct greet *g, unsigned *count, enum greet_kind kind)
{
    CHECK(*count < GREET_STEPS);
    struct greet_step *step = &g->steps[(*count)++];
    *step = (struct greet_step){.greet = g, .kind = kind};
    step->command.argv = step->argv;
    return step;
}

static void add_word(struct greet_step *step, const char *word)
{
    CHECK(step->command.count < GREET_ARGUMENTS);
    step->argv[step->command.count++] = slice_text(word);
}

static void add_auth(struct greet *g, unsigned *count, const struct l2_url *url)
{
    struct greet_step *step = add(g, count, GREET_AUTH);
    add_word(step, "AUTH");
    if (*url->user) /* Redis before 6 knows no users */
        add_word(step, url->user);
    add_word(step, url->password);
}

unsigned greet_prepare(struct greet *g, const struct l2_url *url, const char *name)
{
    unsigned count = 0;
    if (*url->password)
        add_auth(g, &count, url);
    if (url->db > 0) {
        snprintf(g->db, sizeof(g->db), "%u", url->db);
        struct greet_step *step = add(g, &count, GREET_SELECT);
        add_word(step, "SELECT");
        add_word(step, g->db);
    }
    if (name) {
        struct greet_step *step = add(g, &count, GREET_NAME);
        add_word(step, "CLIENT");
        add_word(step, "SETNAME");
        add_word(step, name);
    }
    add_word(add(g, &count, GREET_PING), "PING");
    return count;
}

bool greet_is_last(const struct greet_step *step)
{
    return step->kind == GREET_PING;
}

/* ======= what is answered ======= */

static bool has_password(struct slice text, const struct l2_url *url)
{
    return *url->password && memmem(text.data, text.size, url->password, strlen(url->password));
}

/* A Redis that does not know AUTH quotes the arguments it was given. */
static void quote(struct slice text, const struct l2_url *url, char ret_detail[GREET_DETAIL])
{
    const char *words = text.data;
    size_t size = text.size;
    if (has_password(text, url)) {
        const char *space = memchr(words, ' ', size);
        size = space ? (size_t)(space - words) : 0;
        if (has_password(slice_of(words, size), url))
            size = 0;
    }
    snprintf(ret_detail, GREET_DETAIL, "%.*s", (int)(size < GREET_DETAIL ? size : GREET_DETAIL), words);
}

/* May come as the answer to any step, since Redis says some of it unasked and hangs up. */
static const struct {
    const char *code;
    enum conn_why why;
} anywhere[] = {
    {"NOAUTH", CONN_END_AUTH},  {"WRONGPASS", CONN_END_AUTH},     {"LOADING", CONN_END_LOADING},
    {"BUSY", CONN_END_LOADING}, {"DENIED", CONN_END_TURNED_AWAY}, {"MASTERDOWN", CONN_END_TURNED_AWAY},
};

static int judge_error(const struct greet_step *step, const struct l2_reply *reply)
{
    static const char full[] = "ERR max number of clients";
    for (size_t i = 0; i < COUNT_OF(anywhere); i++)
        if (l2_reply_is_error(reply, anywhere[i].code))
            return anywhere[i].why;
    if (reply->text.size >= sizeof(full) - 1 && memcmp(reply->text.data, full, sizeof(full) - 1) == 0)
        return CONN_END_TURNED_AWAY;
    switch (step->kind) {
    case GREET_AUTH: return CONN_END_AUTH;
    case GREET_SELECT: return CONN_END_SELECT;
    default: return -1; /* a Redis that keeps CLIENT or PING from us is one all the same */
    }
}

int greet_judge(const struct greet_step *step, const struct l2_reply *reply, const struct l2_url *url,
                char ret_detail[GREET_DETAIL])
{
    ret_detail[0] = 0;
    if (reply->kind == L2_ERROR) {
        int why = judge_error(step, reply);
        quote(reply->text, url, ret_detail);
        return why;
    }
    if (reply->kind == L2_STATUS)
        return -1;
    snprintf(ret_detail, GREET_DETAIL, "it answered the greeting with what is no status");
    return CONN_END_PROTOCOL;
}

const char *greet_hint(const struct l2_url *url)
{
    if (url->tls && !*url->cert)
        return "; it may want a client certificate";
    if (!url->tls && !*url->path)
        return "; if it speaks TLS there, the address begins with rediss://";
    return "";
}
