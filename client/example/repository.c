/* The cache class that every team writes, in one call: a repository of users in front of a table.
 *
 *     cc repository.c -o repository $(pkg-config --cflags --libs larder)
 *
 * Reads requests line by line and answers each: "find ID", "rename ID NAME", "remove ID", "reads".  The answers are the same
 * with the cache on or off, without Redis, and with larderd gone: only "reads" tells how often the table was asked. */
#include <stdio.h>
#include <string.h>
#include "client/larder.h" /* <larder.h> when installed */

/* ======= the source: think of a database ======= */

struct table {
    char names[10][32]; /* empty: no such user */
    int reads;
};

static char *row(struct table *t, const char *id)
{
    return t->names[id[0] >= '0' && id[0] <= '9' ? id[0] - '0' : 0];
}

/* ======= the repository ======= */

struct users {
    larder_client *cache;
    struct table *table;
};

static int load_user(void *table, larder_slice key, larder_loaded *ret)
{
    const char *name = row(table, (const char *)key.data + strlen("user:"));
    ((struct table *)table)->reads++;
    ret->ttl_ms = 30 * 60 * 1000;
    ret->absent = !*name; /* that there is no such user is worth knowing as well */
    larder_loaded_tag(ret, larder_text("users"));
    return larder_loaded_set(ret, larder_text(name));
}

/* The whole of it. */
static int users_find(struct users *u, const char *id, larder_value *ret)
{
    char key[32];
    snprintf(key, sizeof(key), "user:%.16s", id);
    return larder_get_or_load(u->cache, larder_text(key), NULL, load_user, u->table, ret);
}

/* First the source, then the cache: a load that read the old name meanwhile is refused. */
static void users_rename(struct users *u, const char *id, const char *name)
{
    char key[32];
    snprintf(key, sizeof(key), "user:%.16s", id);
    snprintf(row(u->table, id), sizeof(u->table->names[0]), "%s", name);
    larder_invalidate(u->cache, larder_text(key));
}

/* ======= lines ======= */

static void answer_find(struct users *u, const char *id)
{
    larder_value user = LARDER_VALUE_INIT;
    int r = users_find(u, id, &user);
    if (r == LARDER_HIT)
        printf("%.*s\n", (int)user.size, (const char *)user.data);
    else
        printf("%s\n", r == LARDER_ABSENT ? "no such user" : larder_strerror(r));
    larder_value_free(&user);
}

static void answer(struct users *u, const char *line)
{
    char verb[16] = "", id[16] = "", name[32] = "";
    sscanf(line, "%15s %15s %31s", verb, id, name);
    if (strcmp(verb, "find") == 0)
        answer_find(u, id);
    else if (strcmp(verb, "reads") == 0)
        printf("%d\n", u->table->reads);
    else {
        users_rename(u, id, name); /* to nothing: removes */
        printf("done\n");
    }
    fflush(stdout);
}

int main(void)
{
    struct table table = {.names = {[1] = "Ada", [2] = "Grace", [3] = "Edsger"}};
    struct users users = {.table = &table};
    char line[128];
    if (larder_open(&users.cache, NULL) < 0)
        return 1;
    while (fgets(line, sizeof(line), stdin))
        answer(&users, line);
    larder_close(users.cache);
    return 0;
}
