/* The fleet's list of its hottest keys, one a namespace, in the first partition's place: hosts add to it what is hot with them, and
 * one that joins reads it, hottest first.
 *
 * Names of keys and nothing else: what it names may be dead by now, which is for the get of the key to judge; and nothing that is
 * answered can end a session. */
#include <stdlib.h>
#include <string.h>
#include "l2/l2_private.h"

enum { HALF_LIFE_MS = 60 * 1000 }; /* what was as hot a minute ago counts half */

static const char kind[] = ":hot";

/* ======= adding ======= */

static void hot_key(struct l2 *l2, unsigned partition, const void *what)
{
    (void)what;
    call_key(l2, partition, kind, slice_of(NULL, 0));
}

static void added(struct l2_command *command, const struct l2_reply *reply, enum l2_outcome outcome)
{
    (void)reply;
    (void)outcome; /* the next ones come in a second */
    free(command);
}

void l2_hot_add(struct l2 *l2, const struct fleet_hot *keys, unsigned count, uint64_t most)
{
    if (!coherence_linked(l2->coherence) || count == 0)
        return;
    struct l2_command *command = must_alloc(sizeof(*command));
    size_t bytes = 0;
    command->done = added;
    for (unsigned i = 0; i < count; i++)
        bytes += keys[i].key.size;
    call_begin(l2, SCRIPT_HOT, 0, 0, bytes, hot_key, NULL);
    args_number(&l2->args, most);
    args_number(&l2->args, HALF_LIFE_MS);
    for (unsigned i = 0; i < count; i++) {
        args_add(&l2->args, keys[i].key);
        args_number(&l2->args, keys[i].weight);
    }
    if (!call_issue(l2, LINK_DATA, command))
        free(command);
}

/* ======= reading ======= */

struct reading {
    struct l2_command command;
    struct fleet_list *list;
};

static void each_key(struct fleet_list *list, const struct l2_reply *keys)
{
    uint64_t count = 0;
    for (const struct l2_reply *k = l2_reply_first(keys); k; k = l2_reply_next(keys, k), count++)
        if (k->kind == L2_BULK)
            list->each(list, k->text);
    list->cursor = count < list->count ? 0 : list->cursor + count;
}

static void answered(struct l2_command *command, const struct l2_reply *reply, enum l2_outcome outcome)
{
    struct reading *r = CONTAINER_OF(command, struct reading, command);
    struct fleet_list *list = r->list;
    list->why = NULL;
    if (outcome != L2_ANSWERED)
        list->why = "Redis went away";
    else if (reply->kind != L2_ARRAY)
        list->why = "Redis has something else in the place of the hot list";
    else
        each_key(list, reply);
    free(r);
    list->done(list);
}

int l2_hot_list(struct l2 *l2, struct fleet_list *list)
{
    struct reading *r = must_alloc(sizeof(*r));
    struct args *a = &l2->args;
    *r = (struct reading){.list = list, .command.done = answered};
    args_begin(a, &l2->room, 1, 0);
    args_text(a, "ZREVRANGE");
    call_key(l2, 0, kind, slice_of(NULL, 0));
    args_number(a, list->cursor);
    args_number(a, list->cursor + list->count - 1);
    if (call_issue(l2, LINK_DATA, &r->command))
        return FLEET_PENDING;
    free(r);
    return FLEET_DONE;
}
