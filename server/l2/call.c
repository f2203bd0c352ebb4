/* Calls on the links of the node: from words to a command, and a script once more with its text when Redis has forgotten
 * it (SCRIPT FLUSH, which anybody may say at any time).
 *
 * What must stay true: NOSCRIPT means that nothing was done, so the same words go again by EVAL, once, and whoever asked
 * sees nothing of it.  Two calls under way may change places by that: each was asked before the other was answered, so
 * neither has a right to be first.  Fences too: an answer then counts for an older sending than its own, which promises
 * less, or for a younger one that it was itself sent behind.
 *
 * The words of a call are kept until its answer, up to 64 KiB.  Beside longer ones the text of a script, a few KiB, is
 * little: it goes with them at once. */
#include <stdlib.h>
#include <string.h>
#include "l2/l2_private.h"

enum { KEPT_BYTES = 64 * 1024 };

/* A call by digest, with what it takes to make it again. */
struct call {
    struct l2_command command;
    struct l2_command *asked; /* whose it is */
    struct l2 *l2;
    enum link link;
    enum script_id script;
    uint64_t generation;
    bool again;
    struct slice argv[]; /* then their bytes */
};

/* ======= the words ======= */

void call_key(struct l2 *l2, unsigned partition, const char *kind, struct slice key)
{
    args_join(&l2->args, slice_text(l2->names.of[partition]), kind, key);
}

void call_begin(struct l2 *l2, enum script_id id, unsigned partition, unsigned items, size_t names_bytes,
                void (*keys)(struct l2 *l2, unsigned partition, const void *what), const void *what)
{
    static const char *const common[SCRIPT_COMMON_KEYS] = {":inc", ":ver", ":j", ":tags"};
    struct args *a = &l2->args;
    struct script_call call = script_call(&l2->node.digests, id, false);
    unsigned count = script_keys(id, items);
    args_begin(a, &l2->room, count, 2 * names_bytes);
    a->script = id;
    args_add(a, call.command);
    args_add(a, call.script);
    args_number(a, count);
    for (unsigned i = 0; i < SCRIPT_COMMON_KEYS; i++)
        call_key(l2, partition, common[i], slice_of(NULL, 0));
    keys(l2, partition, what);
    CHECK(a->count == 3 + count);
    l2_epoch(l2->epoch, coherence_view(l2->coherence)->of[partition].epoch);
    args_add(a, slice_of(l2->epoch, sizeof(l2->epoch)));
    args_text(a, l2->host_field);
    args_add(a, slice_of(l2->node.session, sizeof(l2->node.session)));
}

static size_t bytes_of(const struct args *a)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < a->count; i++)
        bytes += a->argv[i].size;
    return bytes;
}

/* ======= once more ======= */

static void name_script(const struct l2 *l2, struct slice *argv, enum script_id id)
{
    struct script_call text = script_call(&l2->node.digests, id, true);
    argv[0] = text.command;
    argv[1] = text.script;
}

static bool issue_again(struct call *call)
{
    struct l2 *l2 = call->l2;
    struct conn *conn = l2->node.links[call->link];
    if (call->again || call->generation != l2->node.generation || !conn)
        return false;
    call->again = true;
    name_script(l2, call->argv, call->script);
    return conn_issue(conn, &call->command) == 0;
}

static void call_answered(struct l2_command *command, const struct l2_reply *reply, enum l2_outcome outcome)
{
    struct call *call = CONTAINER_OF(command, struct call, command);
    struct l2_command *asked = call->asked;
    bool forgotten =
        outcome == L2_ANSWERED && reply->kind == L2_ERROR && l2_reply_is_error(reply, "NOSCRIPT");
    if (forgotten && issue_again(call))
        return;
    asked->sent_ns = command->sent_ns;
    free(call);
    asked->done(asked, reply, outcome);
}

static struct call *keep_call(struct l2 *l2, enum link link, struct l2_command *asked, size_t bytes)
{
    const struct args *a = &l2->args;
    struct call *call = must_alloc(sizeof(*call) + a->count * sizeof(call->argv[0]) + bytes);
    char *at = (char *)(call->argv + a->count);
    *call = (struct call){
        .asked = asked, .l2 = l2, .link = link, .script = a->script, .generation = l2->node.generation};
    for (unsigned i = 0; i < a->count; i++) {
        if (a->argv[i].size)
            memcpy(at, a->argv[i].data, a->argv[i].size);
        call->argv[i] = slice_of(at, a->argv[i].size);
        at += a->argv[i].size;
    }
    call->command = (struct l2_command){
        .argv = call->argv, .count = a->count, .deadline_ns = asked->deadline_ns, .done = call_answered};
    return call;
}

static bool issue_kept(struct l2 *l2, enum link link, struct l2_command *command, size_t bytes)
{
    struct call *call = keep_call(l2, link, command, bytes);
    if (conn_issue(l2->node.links[link], &call->command) == 0)
        return true;
    free(call);
    return false;
}

/* ======= sending ======= */

static bool issue(struct l2 *l2, enum link link, struct l2_command *command)
{
    struct args *a = &l2->args;
    bool by_digest = a->script != SCRIPTS && l2->node.digests.known[a->script];
    size_t bytes = by_digest ? bytes_of(a) : 0;
    if (by_digest && bytes <= KEPT_BYTES)
        return issue_kept(l2, link, command, bytes);
    if (by_digest)
        name_script(l2, a->argv, a->script);
    command->argv = a->argv;
    command->count = a->count;
    return conn_issue(l2->node.links[link], command) == 0;
}

bool call_issue(struct l2 *l2, enum link link, struct l2_command *command)
{
    if (command->deadline_ns == 0)
        command->deadline_ns = l2_deadline(l2);
    bool issued = l2->node.links[link] && l2->node.ready == LINKS && issue(l2, link, command);
    room_kept(&l2->room);
    return issued;
}

bool call_change(struct l2 *l2, struct l2_command *command)
{
    const struct conn_limits limits = CONN_LIMITS_DEFAULT;
    const struct conn *conn = l2->node.links[LINK_CONTROL];
    return conn && conn_under_way(conn) < limits.commands &&
           conn_bytes_under_way(conn) + bytes_of(&l2->args) <= limits.bytes &&
           call_issue(l2, LINK_CONTROL, command);
}
