/* Leases in the shared store (D3, D4): getl asks for one, renew keeps it, drop ends it; a fill that brings its proof goes
 * the way of changes (change.c).
 *
 * All three go on the data link, one behind the other: who drops a lease and asks for the next is not told of the first.
 * What renew and drop answer is of no use to anybody: what became of the lease shows in its fill.
 *
 * What must stay true: a lease is told only if it was asked for and given in the present session and epoch, at a position
 * that may be believed (I3); one that may not be goes back. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "l2/l2_private.h"

struct asking {
    struct l2_command command;
    struct l2 *l2;
    struct fleet_lease *lease;
    uint64_t session, generation;
    uint64_t seen; /* an answer that shows less is of no Redis of ours */
};

/* ======= the words ======= */

static void both_keys(struct l2 *l2, unsigned partition, const void *what)
{
    const struct slice *key = what;
    call_key(l2, partition, ":e:", *key);
    call_key(l2, partition, ":l:", *key);
}

static void lease_keys(struct l2 *l2, unsigned partition, const void *what)
{
    const struct slice *key = what;
    call_key(l2, partition, ":l:", *key);
}

static uint64_t ms_of(uint64_t ns)
{
    return ns / NS_PER_MS + (ns % NS_PER_MS != 0);
}

static void add_nonce(struct l2 *l2)
{
    CHECK(getrandom(l2->nonce, sizeof(l2->nonce), 0) == sizeof(l2->nonce));
    l2->nonce[0] |= 1; /* all zeros mean something else */
    args_add(&l2->args, slice_of(l2->nonce, sizeof(l2->nonce)));
}

/* ======= answers to getl ======= */

static const struct {
    const char *word;
    enum fleet_lease_outcome outcome;
    unsigned more; /* which element tells how long, or the proof */
} verdicts[] = {
    {"LEASE", FLEET_LEASE_GIVEN, 3},
    {"BUSY", FLEET_LEASE_BUSY, 3},
    {"RESTS", FLEET_LEASE_RESTS, 3},
    {"HIT", FLEET_LEASE_THERE, 5},
};

static bool read_proof(const struct l2_reply *r, struct fleet_lease *lease)
{
    if (!r || r->kind != L2_BULK || r->text.size != FLEET_PROOF_BYTES)
        return false;
    memcpy(lease->proof, r->text.data, FLEET_PROOF_BYTES);
    return true;
}

/* PTTL says -2 or -1 of what is gone or lasts for ever. */
static bool read_left(const struct l2_reply *r, struct fleet_lease *lease)
{
    if (!r || r->kind != L2_INTEGER)
        return false;
    uint64_t ms = r->integer > 0 ? (uint64_t)r->integer : 0;
    lease->left_ns = ms < UINT32_MAX ? ms * NS_PER_MS : UINT32_MAX * NS_PER_MS;
    return true;
}

/* HIT, V, ms, stale, record, token: what is to be refreshed comes with a lease, or with nothing because somebody else has
 * it. */
static bool read_hit(const struct l2_reply *reply, struct fleet_lease *lease)
{
    const struct l2_reply *stale = l2_reply_at(reply, 3), *token = l2_reply_at(reply, 5);
    if (!stale || stale->kind != L2_INTEGER || !token || token->kind != L2_BULK)
        return false;
    if (!stale->integer)
        return true;
    lease->outcome = token->text.size ? FLEET_LEASE_GIVEN : FLEET_LEASE_BUSY;
    return token->text.size == 0 || read_proof(token, lease);
}

static bool read_verdict(const struct l2_reply *reply, struct fleet_lease *lease)
{
    const struct l2_reply *word = l2_reply_at(reply, 0);
    for (unsigned i = 0; word && word->kind == L2_BULK && i < COUNT_OF(verdicts); i++) {
        if (!slice_equal(word->text, slice_text(verdicts[i].word)))
            continue;
        const struct l2_reply *more = l2_reply_at(reply, verdicts[i].more);
        lease->outcome = verdicts[i].outcome;
        switch (lease->outcome) {
        case FLEET_LEASE_THERE: return read_hit(reply, lease);
        case FLEET_LEASE_GIVEN: return read_proof(more, lease);
        default: return read_left(more, lease);
        }
    }
    return false;
}

static bool is_believed(const struct asking *a)
{
    const struct coherence *c = a->l2->coherence;
    uint64_t epoch = coherence_view(c)->of[a->lease->partition].epoch;
    return coherence_may_believe(c, a->session, a->lease->partition, epoch, a->lease->v);
}

/* NULL, or why the session is over. */
static const char *judge(struct asking *a, const struct l2_reply *reply)
{
    struct fleet_lease *lease = a->lease;
    bool good =
        read_verdict(reply, lease) && reply_position(l2_reply_at(reply, 1), &lease->v) && lease->v >= a->seen;
    if (good && is_believed(a)) {
        coherence_saw(a->l2->coherence, lease->partition, lease->v);
        return NULL;
    }
    if (good && lease->outcome == FLEET_LEASE_GIVEN)
        lease_drop(a->l2, lease->partition, lease->key, lease->proof, 0);
    lease->outcome = FLEET_LEASE_AWAY;
    return good ? NULL : "Redis answered a request for a lease with something else";
}

static void answered(struct l2_command *command, const struct l2_reply *reply, enum l2_outcome outcome)
{
    struct asking *a = CONTAINER_OF(command, struct asking, command);
    struct l2 *l2 = a->l2;
    struct fleet_lease *lease = a->lease;
    uint64_t generation = a->generation;
    struct refusal refusal = {0};
    lease->outcome = FLEET_LEASE_AWAY;
    if (outcome == L2_ANSWERED && generation == l2->node.generation) {
        if (reply->kind == L2_ERROR)
            refusal = refusal_of(l2, reply, SCRIPT_GETL);
        else
            refusal.why = judge(a, reply);
        refusal.ends |= reply->kind != L2_ERROR && refusal.why;
    }
    free(a);
    lease->done(lease);
    if (refusal.ends && generation == l2->node.generation)
        node_fail(l2, refusal.why);
}

int lease_ask(struct l2 *l2, struct fleet_lease *lease)
{
    lease->outcome = FLEET_LEASE_AWAY;
    lease->left_ns = 0;
    if (!coherence_linked(l2->coherence))
        return FLEET_DONE;
    struct asking *a = must_alloc(sizeof(*a));
    *a = (struct asking){.l2 = l2,
                         .lease = lease,
                         .session = coherence_view(l2->coherence)->session,
                         .generation = l2->node.generation,
                         .seen = coherence_view(l2->coherence)->of[lease->partition].seen};
    a->command.done = answered;
    call_begin(l2, SCRIPT_GETL, lease->partition, 0, lease->key.size, both_keys, &lease->key);
    add_nonce(l2);
    args_number(&l2->args, ms_of(lease->life_ns));
    args_number(&l2->args, ms_of(lease->ahead_ns));
    if (call_issue(l2, LINK_DATA, &a->command))
        return FLEET_PENDING;
    free(a);
    return FLEET_DONE;
}

/* ======= renew, drop ======= */

struct telling {
    struct l2_command command;
    struct l2 *l2;
    enum script_id script;
    uint64_t generation;
};

static void told(struct l2_command *command, const struct l2_reply *reply, enum l2_outcome outcome)
{
    struct telling *t = CONTAINER_OF(command, struct telling, command);
    struct l2 *l2 = t->l2;
    bool of_this = outcome == L2_ANSWERED && t->generation == l2->node.generation;
    struct refusal refusal = {.ends = true, .why = "Redis answered a script with something else"};
    if (of_this && reply->kind == L2_ERROR)
        refusal = refusal_of(l2, reply, t->script);
    free(t);
    if (of_this && reply->kind != L2_INTEGER && refusal.ends)
        node_fail(l2, refusal.why);
}

static void issue(struct l2 *l2, enum script_id script)
{
    struct telling *t = must_alloc(sizeof(*t));
    *t =
        (struct telling){.command.done = told, .l2 = l2, .script = script, .generation = l2->node.generation};
    if (!call_issue(l2, LINK_DATA, &t->command))
        free(t); /* no room or no link: the lease ends by itself */
}

void lease_drop(struct l2 *l2, unsigned partition, struct slice key, const uint8_t *proof, uint64_t rest_ns)
{
    if (!coherence_linked(l2->coherence))
        return;
    call_begin(l2, SCRIPT_DROP, partition, 0, key.size, lease_keys, &key);
    args_number(&l2->args, l2->setup.options->journal_length);
    args_add(&l2->args, slice_of(proof, FLEET_PROOF_BYTES));
    args_number(&l2->args, ms_of(rest_ns));
    issue(l2, SCRIPT_DROP);
}

void lease_keep(struct l2 *l2, unsigned partition, struct slice key, const uint8_t *proof, uint64_t life_ns)
{
    if (!coherence_linked(l2->coherence))
        return;
    call_begin(l2, SCRIPT_RENEW, partition, 0, key.size, lease_keys, &key);
    args_add(&l2->args, slice_of(proof, FLEET_PROOF_BYTES));
    args_number(&l2->args, ms_of(life_ns));
    issue(l2, SCRIPT_RENEW);
}
