/* What must not lie in a cache: sessions.  They still profit from it: of all requests of a page that come at once, one asks
 * the store of sessions, and the others wait for it.  Nothing of it is kept, in no tier; a policy with `store = no` for
 * "session:*" says the same for every program of the host, should one forget.
 *
 *     cc sessions.c -o sessions $(pkg-config --cflags --libs larder)
 *
 * Requests, a line each: "login USER" (answers a token), "who TOKEN", "logout TOKEN", "reads". */
#include <stdio.h>
#include <string.h>
#include "client/larder.h" /* <larder.h> when installed */

enum { SESSIONS = 100 };

struct store {
    char users[SESSIONS][32]; /* empty: logged out */
    int count, reads;
};

/* A real one is random and long. */
static int number_of(const char *token)
{
    int number = -1;
    sscanf(token, "secret-token-%d", &number);
    return number >= 0 && number < SESSIONS ? number : -1;
}

static int load_session(void *user, larder_slice key, larder_loaded *ret)
{
    struct store *s = user;
    char token[64];
    snprintf(token, sizeof(token), "%.*s", (int)key.size, (const char *)key.data);
    int number = number_of(token + strlen("session:"));
    s->reads++;
    ret->no_store = true;
    ret->absent = number < 0 || !*s->users[number];
    return ret->absent ? 0 : larder_loaded_set(ret, larder_text(s->users[number]));
}

static void who(larder_client *cache, struct store *s, const char *token)
{
    char key[64];
    larder_value user = LARDER_VALUE_INIT;
    snprintf(key, sizeof(key), "session:%s", token);
    int r = larder_get_or_load(cache, larder_text(key), NULL, load_session, s, &user);
    if (r == LARDER_HIT)
        printf("%.*s\n", (int)user.size, (const char *)user.data);
    else
        printf("%s\n", r == LARDER_ABSENT ? "nobody" : larder_strerror(r));
    larder_value_free(&user);
}

static void login(struct store *s, const char *user)
{
    int number = s->count++ % SESSIONS;
    snprintf(s->users[number], sizeof(s->users[number]), "%s", user);
    printf("secret-token-%d\n", number);
}

static void logout(struct store *s, const char *token)
{
    int number = number_of(token);
    if (number >= 0)
        s->users[number][0] = '\0';
    printf("done\n"); /* nothing to invalidate: nothing was kept */
}

static void answer(larder_client *cache, struct store *s, const char *line)
{
    char verb[16] = "", what[32] = "";
    sscanf(line, "%15s %31s", verb, what);
    if (strcmp(verb, "who") == 0)
        who(cache, s, what);
    else if (strcmp(verb, "login") == 0)
        login(s, what);
    else if (strcmp(verb, "logout") == 0)
        logout(s, what);
    else
        printf("%d\n", s->reads);
    fflush(stdout);
}

int main(void)
{
    struct store store = {.count = 0};
    larder_client *cache;
    char line[128];
    if (larder_open(&cache, NULL) < 0)
        return 1;
    while (fgets(line, sizeof(line), stdin))
        answer(cache, &store, line);
    larder_close(cache);
    return 0;
}
