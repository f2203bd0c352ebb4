/* Pages of the keys that have an entry in Redis, for warming: SCAN with a pattern, a page at a time.
 *
 * SCAN walks the whole database, whoever else lives there, so a page may bring few keys or none; what it names may be
 * dead, of another epoch, or named twice.  All of that is for the get of the key to judge: here is only asked, and
 * nothing that is answered can end a session. */
#include <stdlib.h>
#include <string.h>
#include "l2/l2_private.h"

struct listing {
    struct l2_command command;
    struct l2 *l2;
    struct fleet_list *list;
};

static const char entry_kind[] = ":e:";

/* ======= the words ======= */

/* Literally, whatever it means to a pattern of Redis. */
static char *escape(char *to, struct slice text)
{
    const char *from = text.data;
    for (size_t i = 0; i < text.size; i++) {
        if (strchr("*?[]\\^-", from[i]) && from[i] != '\0')
            *to++ = '\\';
        *to++ = from[i];
    }
    return to;
}

static bool ask(struct l2 *l2, struct listing *l, char *pattern)
{
    const struct fleet_list *list = l->list;
    struct args *a = &l2->args;
    char *end = escape(pattern, slice_text(l2->names.of[list->partition]));
    end = escape(end, slice_text(entry_kind));
    end = escape(end, list->prefix);
    *end++ = '*';
    args_begin(a, &l2->room, 1, 0);
    args_text(a, "SCAN");
    args_number(a, list->cursor);
    args_text(a, "MATCH");
    args_add(a, slice_of(pattern, (size_t)(end - pattern)));
    args_text(a, "COUNT");
    args_number(a, list->count);
    return call_issue(l2, LINK_DATA, &l->command);
}

/* ======= the answer ======= */

static bool key_of(const struct l2 *l2, const struct fleet_list *list, struct slice name, struct slice *ret)
{
    const char *first = l2->names.of[list->partition];
    size_t size = strlen(first), kind = sizeof(entry_kind) - 1;
    const char *text = name.data;
    if (name.size <= size + kind || memcmp(text, first, size) != 0 ||
        memcmp(text + size, entry_kind, kind) != 0)
        return false;
    *ret = slice_of(text + size + kind, name.size - size - kind);
    return true;
}

static bool read_page(struct listing *l, const struct l2_reply *reply)
{
    struct fleet_list *list = l->list;
    const struct l2_reply *cursor = l2_reply_at(reply, 0), *names = l2_reply_at(reply, 1);
    struct slice key;
    if (!cursor || cursor->kind != L2_BULK || !l2_number_read(cursor->text, &list->cursor) || !names ||
        names->kind != L2_ARRAY)
        return false;
    for (const struct l2_reply *n = l2_reply_first(names); n; n = l2_reply_next(names, n))
        if (n->kind == L2_BULK && key_of(l->l2, list, n->text, &key))
            list->each(list, key);
    return true;
}

static void answered(struct l2_command *command, const struct l2_reply *reply, enum l2_outcome outcome)
{
    struct listing *l = CONTAINER_OF(command, struct listing, command);
    struct fleet_list *list = l->list;
    list->why = NULL;
    if (outcome != L2_ANSWERED)
        list->why = "Redis went away";
    else if (reply->kind == L2_ERROR)
        list->why = refusal_of(l->l2, reply, SCRIPTS).why;
    else if (!read_page(l, reply))
        list->why = "Redis answered a SCAN with something else";
    free(l);
    list->done(list);
}

int l2_list(struct l2 *l2, struct fleet_list *list)
{
    struct listing *l = must_alloc(sizeof(*l));
    char *pattern = must_alloc(2 * (NAME_ROOM + sizeof(entry_kind) + list->prefix.size) + 1);
    *l = (struct listing){.l2 = l2, .list = list, .command = {.done = answered}};
    bool asked = ask(l2, l, pattern);
    free(pattern);
    if (!asked)
        free(l);
    return asked ? FLEET_PENDING : FLEET_DONE;
}
