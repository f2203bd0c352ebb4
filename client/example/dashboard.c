/* A page made of parts: each part is an entry with the name of what it shows as its tag, and the page carries the tags of
 * all of them, so that whoever changes something says only what it is.
 *
 *     cc dashboard.c -o dashboard $(pkg-config --cflags --libs larder)
 *
 * Requests, a line each: "show USER", "finish USER" (a course), "message USER", "logout USER", "reads". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "client/larder.h" /* <larder.h> when installed */

enum { USERS = 10 };

struct school {
    larder_client *cache;
    int courses[USERS], messages[USERS]; /* the source */
    int reads;
};

static int user_in(larder_slice key)
{
    const char *text = key.data;
    return (int)((unsigned)(text[key.size - 1] - '0') % USERS);
}

static void tag(larder_loaded *ret, const char *what, int user)
{
    char name[32];
    snprintf(name, sizeof(name), "%s:%d", what, user);
    larder_loaded_tag(ret, larder_text(name));
}

/* ======= loaders ======= */

static int bring(larder_loaded *ret, const char *what, int user, int number)
{
    char text[32];
    snprintf(text, sizeof(text), "%d", number);
    ret->ttl_ms = 10 * 60 * 1000;
    ret->stale_ms = 60 * 60 * 1000; /* rather an old number than none, should the source fail */
    tag(ret, what, user);
    tag(ret, "user", user);
    return larder_loaded_set(ret, larder_text(text));
}

static int load_courses(void *school, larder_slice key, larder_loaded *ret)
{
    struct school *s = school;
    s->reads++;
    return bring(ret, "courses", user_in(key), s->courses[user_in(key)]);
}

static int load_messages(void *school, larder_slice key, larder_loaded *ret)
{
    struct school *s = school;
    s->reads++;
    return bring(ret, "messages", user_in(key), s->messages[user_in(key)]);
}

static int part(struct school *s, const char *what, int user, larder_loader load, int *ret)
{
    char key[32], text[32] = "";
    larder_value value = LARDER_VALUE_INIT;
    snprintf(key, sizeof(key), "%s:%d", what, user);
    int r = larder_get_or_load(s->cache, larder_text(key), NULL, load, s, &value);
    if (r == LARDER_HIT)
        memcpy(text, value.data, value.size < sizeof(text) ? value.size : sizeof(text) - 1);
    larder_value_free(&value);
    *ret = atoi(text);
    return r == LARDER_HIT ? 0 : -1;
}

/* A loader may use the cache. */
static int load_page(void *school, larder_slice key, larder_loaded *ret)
{
    struct school *s = school;
    int user = user_in(key), courses, messages;
    char text[64];
    if (part(s, "courses", user, load_courses, &courses) < 0 ||
        part(s, "messages", user, load_messages, &messages) < 0)
        return -1;
    snprintf(text, sizeof(text), "%d courses finished, %d messages", courses, messages);
    tag(ret, "courses", user);
    tag(ret, "messages", user);
    tag(ret, "user", user);
    return larder_loaded_set(ret, larder_text(text));
}

/* ======= requests ======= */

static void show(struct school *s, int user)
{
    char key[32];
    larder_value page = LARDER_VALUE_INIT;
    snprintf(key, sizeof(key), "dashboard:%d", user);
    int r = larder_get_or_load(s->cache, larder_text(key), NULL, load_page, s, &page);
    if (r == LARDER_HIT)
        printf("%.*s\n", (int)page.size, (const char *)page.data);
    else
        printf("%s\n", larder_strerror(r));
    larder_value_free(&page);
}

/* "Something about these courses changed", whatever was made of them. */
static void changed(struct school *s, const char *what, int user)
{
    char name[32];
    larder_slice slice;
    larder_invalidate_options o = LARDER_INVALIDATE_OPTIONS_INIT;
    snprintf(name, sizeof(name), "%s:%d", what, user);
    slice = larder_text(name);
    o.tags = &slice;
    o.tags_count = 1;
    larder_invalidate_all_of(s->cache, &o);
    printf("done\n");
}

static void answer(struct school *s, const char *line)
{
    char verb[16] = "", id[16] = "0";
    sscanf(line, "%15s %15s", verb, id);
    int user = user_in(larder_text(id));
    if (strcmp(verb, "show") == 0)
        show(s, user);
    else if (strcmp(verb, "reads") == 0)
        printf("%d\n", s->reads);
    else if (strcmp(verb, "finish") == 0) {
        s->courses[user]++;
        changed(s, "courses", user);
    } else if (strcmp(verb, "message") == 0) {
        s->messages[user]++;
        changed(s, "messages", user);
    } else
        changed(s, "user", user); /* logout: nothing of that user is served any more */
    fflush(stdout);
}

int main(void)
{
    struct school school = {.reads = 0};
    char line[128];
    if (larder_open(&school.cache, NULL) < 0)
        return 1;
    while (fgets(line, sizeof(line), stdin))
        answer(&school, line);
    larder_close(school.cache);
    return 0;
}
