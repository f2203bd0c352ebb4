/* Rate limits in the shared store: one script, one number a key (cache/limit.h). */
#include <stdlib.h>
#include "l2/l2_private.h"

struct asking {
    struct l2_command command;
    struct l2 *l2;
    struct fleet_limit *limit;
    uint64_t generation;
};

static void limit_key(struct l2 *l2, unsigned partition, const void *what)
{
    const struct slice *key = what;
    call_key(l2, partition, ":r:", *key);
}

static bool read_answer(const struct l2_reply *reply, struct fleet_limit *limit)
{
    uint64_t allowed;
    if (!reply_number(l2_reply_at(reply, 0), &allowed) ||
        !reply_number(l2_reply_at(reply, 1), &limit->remaining) ||
        !reply_number(l2_reply_at(reply, 2), &limit->reset_us) ||
        !reply_number(l2_reply_at(reply, 3), &limit->retry_us))
        return false;
    limit->allowed = allowed == 1;
    return true;
}

/* Somebody else's value at one of these keys is the trouble of that limit alone. */
static struct refusal refused(struct l2 *l2, const struct l2_reply *error)
{
    struct refusal why = refusal_of(l2, error, SCRIPT_LIMIT);
    if (l2_reply_is_error(error, "WRONGTYPE"))
        return (struct refusal){.ends = false};
    l2->health.trouble = why.why;
    return why;
}

static void answered(struct l2_command *command, const struct l2_reply *reply, enum l2_outcome outcome)
{
    struct asking *a = CONTAINER_OF(command, struct asking, command);
    struct l2 *l2 = a->l2;
    struct fleet_limit *limit = a->limit;
    bool of_this = outcome == L2_ANSWERED && a->generation == l2->node.generation;
    struct refusal refusal = {.ends = false};
    limit->answered = of_this && reply->kind != L2_ERROR && read_answer(reply, limit);
    if (of_this && reply->kind == L2_ERROR)
        refusal = refused(l2, reply);
    else if (of_this && !limit->answered)
        refusal = (struct refusal){.ends = true, .why = "Redis answered a rate limit with something else"};
    free(a);
    limit->done(limit);
    if (refusal.ends)
        node_fail(l2, refusal.why);
}

int l2_limit(struct l2 *l2, struct fleet_limit *limit)
{
    if (!coherence_linked(l2->coherence))
        return FLEET_DONE;
    struct asking *a = must_alloc(sizeof(*a));
    *a = (struct asking){
        .command.done = answered, .l2 = l2, .limit = limit, .generation = l2->node.generation};
    call_begin(l2, SCRIPT_LIMIT, limit->partition, 0, limit->key.size, limit_key, &limit->key);
    args_number(&l2->args, limit->max);
    args_number(&l2->args, limit->window_us);
    args_number(&l2->args, limit->cost);
    if (call_issue(l2, LINK_DATA, &a->command))
        return FLEET_PENDING;
    free(a);
    return FLEET_DONE;
}
