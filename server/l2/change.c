/* A change becomes a script call, and the script's answer the outcome of the change. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "l2/l2_private.h"

/* ======= what Redis refuses ======= */

/* FAILED and AWAY: nothing was done.  UNKNOWN is for answers nobody thought of. */
static const struct {
    const char *code;
    struct refusal refusal;
} refusals[] = {
    {"EPOCH", {FLEET_AWAY, true, "Redis has begun anew"}},
    {"SESSION", {FLEET_AWAY, true, "Redis knows a newer session of this host"}},
    {"NOSCRIPT", {FLEET_AWAY, true, "Redis has forgotten our scripts"}},
    {"PARTITIONS", {FLEET_AWAY, true, "other hosts have this namespace in another number of partitions"}},
    {"NOTMASTER", {FLEET_AWAY, true, "this Redis is a replica"}},
    {"READONLY", {FLEET_AWAY, true, "this Redis is a replica and takes no changes"}},
    {"NOREPLICAS", {FLEET_FAILED, false, "Redis has too few replicas to take changes"}},
    {"MASTERDOWN", {FLEET_AWAY, true, "this Redis is a replica that has lost its master"}},
    {"UNBLOCKED", {FLEET_AWAY, true, "this Redis has become a replica"}},
    {"LOADING", {FLEET_AWAY, true, "Redis is loading its data"}},
    {"NOAUTH", {FLEET_AWAY, true, "Redis wants a password"}},
    {"WRONGPASS", {FLEET_AWAY, true, "Redis does not take our password"}},
    {"NOPERM", {FLEET_FAILED, true, "Redis does not allow our user what we need: see the doctor"}},
    {"OOM", {FLEET_FAILED, false, "Redis has no memory left"}},
    {"MISCONF", {FLEET_FAILED, false, "Redis cannot save and takes no changes"}},
    {"BUSY", {FLEET_FAILED, false, "Redis is busy with a script"}},
    {"WRONGTYPE", {FLEET_FAILED, true, "there is a foreign value at one of our keys in Redis"}},
};

/* Of XADD, within a script: it is the first that a script writes. */
static bool journal_is_ahead(const struct l2_reply *error)
{
    static const char words[] = "equal or smaller than the target stream top item";
    return memmem(error->text.data, error->text.size, words, sizeof(words) - 1) != NULL;
}

/* Within a script: what it wrote before stays, and nobody knows. */
static bool denied(struct l2 *l2, const struct l2_reply *error, enum script_id script, struct refusal *ret)
{
    bool in_script;
    struct slice text = script == SCRIPTS ? slice_of("", 0) : script_text(script);
    if (!denied_read(error->text, text, l2->denied, &in_script))
        return false;
    *ret = (struct refusal){in_script ? FLEET_UNKNOWN : FLEET_FAILED, true, l2->denied};
    return true;
}

struct refusal refusal_of(struct l2 *l2, const struct l2_reply *error, enum script_id script)
{
    struct refusal why;
    if (denied(l2, error, script, &why))
        return why;
    if (journal_is_ahead(error))
        return (struct refusal){FLEET_AWAY, true, "the journal in Redis is ahead of its counter"};
    for (unsigned i = 0; i < COUNT_OF(refusals); i++)
        if (l2_reply_is_error(error, refusals[i].code))
            return refusals[i].refusal;
    return (struct refusal){FLEET_UNKNOWN, true, "Redis answered with an error we do not know"};
}

/* ======= the answer ======= */

struct sent {
    struct l2_command command;
    struct l2 *l2;
    struct fleet_change *change;
    uint64_t generation;
    uint64_t seen; /* known when it was asked: nothing that is answered is older */
};

bool reply_number(const struct l2_reply *r, uint64_t *ret)
{
    if (!r || r->kind != L2_INTEGER || r->integer < 0)
        return false;
    *ret = (uint64_t)r->integer;
    return true;
}

bool reply_position(const struct l2_reply *r, uint64_t *ret)
{
    return reply_number(r, ret) && *ret <= POSITION_MAX;
}

enum { FITS_SET = 1, FITS_FILL = 2, FITS_TOUCH = 4 };

static const struct {
    const char *word;
    enum fleet_outcome outcome;
    unsigned verbs;      /* FITS_*: who may be answered so */
    unsigned conditions; /* of a set: 1 << FLEET_* */
} verdicts[] = {
    {"OK", FLEET_COMMITTED, FITS_SET | FITS_FILL | FITS_TOUCH, ~0u},
    {"EXISTS", FLEET_EXISTS, FITS_SET, 1u << FLEET_IF_ABSENT},
    {"NOT_FOUND", FLEET_NOT_FOUND, FITS_SET | FITS_TOUCH, 1u << FLEET_IF_PRESENT | 1u << FLEET_IF_VERSION},
    {"CONFLICT", FLEET_CONFLICT, FITS_SET, 1u << FLEET_IF_VERSION},
    {"REFUSED", FLEET_REFUSED, FITS_FILL, ~0u},
};

static bool fits(const struct fleet_change *c, unsigned verbs, unsigned conditions)
{
    switch (c->verb) {
    case FLEET_SET: return verbs & FITS_SET && conditions & 1u << c->condition;
    case FLEET_FILL: return verbs & FITS_FILL;
    case FLEET_TOUCH: return verbs & FITS_TOUCH;
    default: return false;
    }
}

static bool read_verdict(const struct l2_reply *word, struct fleet_change *c)
{
    if (!word || word->kind != L2_BULK)
        return false;
    for (unsigned i = 0; i < COUNT_OF(verdicts); i++)
        if (slice_equal(word->text, slice_text(verdicts[i].word))) {
            c->outcome = verdicts[i].outcome;
            return fits(c, verdicts[i].verbs, verdicts[i].conditions);
        }
    return false;
}

/* OK, V, ms, head: the entry's version and the life it has now; counted from the sending, or it would live longer here
 * than there (I8). */
static bool read_touched(const struct sent *s, const struct l2_reply *r, struct fleet_change *c)
{
    const struct l2_reply *head = l2_reply_at(r, 3);
    uint64_t ms, sent_ns = s->command.sent_ns;
    struct l2_record record;
    struct l2_left left;
    if (!head || head->kind != L2_BULK || !reply_number(l2_reply_at(r, 2), &ms) ||
        !l2_record_peek(head->text, &record) || !l2_record_left(&record, ms, &left) ||
        record.epoch != c->epoch || record.v > c->v)
        return false;
    c->v = record.v;
    c->id = record.entry.id;
    c->hard_ns = clock_after(sent_ns, left.hard_ms * NS_PER_MS);
    c->soft_ns = clock_after(sent_ns, left.soft_ms * NS_PER_MS);
    return true;
}

/* Redis gives each change a position of its own, above all that it showed before; the rest show its newest. */
static bool is_next(const struct sent *s, const struct fleet_change *c)
{
    bool own = c->outcome == FLEET_COMMITTED && (c->verb == FLEET_SET || c->verb == FLEET_INVALIDATE);
    return own ? c->v > s->seen : c->v >= s->seen;
}

static bool read_answer(const struct sent *s, const struct l2_reply *r, struct fleet_change *c)
{
    const struct fleet_view *view = coherence_view(s->l2->coherence);
    bool plain = c->verb == FLEET_INVALIDATE;
    c->epoch = view->of[c->partition].epoch;
    c->outcome = FLEET_COMMITTED;
    if (!plain && !read_verdict(l2_reply_at(r, 0), c))
        return false;
    if (!reply_position(l2_reply_at(r, plain ? 0 : 1), &c->v) || !is_next(s, c))
        return false;
    return c->verb != FLEET_TOUCH || c->outcome != FLEET_COMMITTED || read_touched(s, r, c);
}

static enum script_id script_of(const struct fleet_change *c)
{
    static const enum script_id scripts[] = {[FLEET_SET] = SCRIPT_SET,
                                             [FLEET_FILL] = SCRIPT_FILL,
                                             [FLEET_TOUCH] = SCRIPT_TOUCH,
                                             [FLEET_INVALIDATE] = SCRIPT_INVALIDATE};
    return scripts[c->verb];
}

/* A refusal that ends the session is told to who asked first, then to everybody (coherence.h). */
static void refused(struct l2 *l2, struct fleet_change *c, const struct l2_reply *error)
{
    struct refusal why = refusal_of(l2, error, script_of(c));
    c->outcome = why.outcome;
    c->why = why.why;
    l2->health.trouble = why.why;
    log_debug("Redis refused a change", L_TEXT("why", why.why));
    coherence_answered(l2->coherence, c, l2_now(l2));
    if (why.ends)
        node_fail(l2, why.why);
}

static void answered(const struct sent *s, struct fleet_change *c, const struct l2_reply *reply)
{
    struct l2 *l2 = s->l2;
    bool good = reply->kind == L2_ARRAY && read_answer(s, reply, c);
    if (good)
        l2->health.trouble =
            NULL; /* whatever was refused before: on a host that nobody reads no fence says so */
    else
        c->outcome = FLEET_UNKNOWN;
    coherence_answered(l2->coherence, c, l2_now(l2));
    if (!good)
        node_fail(l2, "Redis answered a script with something else");
}

/* The link ended, and says why in this turn. */
static void unanswered(struct l2 *l2, struct fleet_change *c, enum l2_outcome outcome)
{
    c->outcome = outcome == L2_LOST ? FLEET_UNKNOWN : FLEET_AWAY;
    coherence_answered(l2->coherence, c, l2_now(l2));
}

static void command_done(struct l2_command *command, const struct l2_reply *reply, enum l2_outcome outcome)
{
    struct sent *s = CONTAINER_OF(command, struct sent, command);
    struct l2 *l2 = s->l2;
    struct fleet_change *c = s->change;
    if (s->generation != l2->node.generation)
        ; /* coherence answered it when the session ended */
    else if (outcome == L2_ANSWERED && reply->kind == L2_ERROR)
        refused(l2, c, reply);
    else if (outcome == L2_ANSWERED)
        answered(s, c, reply);
    else
        unanswered(l2, c, outcome);
    free(s);
}

/* ======= the question ======= */

static void entry_keys(struct l2 *l2, unsigned partition, const void *what)
{
    const struct slice *key = what;
    call_key(l2, partition, ":e:", *key);
    call_key(l2, partition, ":l:", *key);
}

static void touch_keys(struct l2 *l2, unsigned partition, const void *what)
{
    const struct slice *key = what;
    call_key(l2, partition, ":e:", *key);
}

static void invalidate_keys(struct l2 *l2, unsigned partition, const void *what)
{
    const struct fleet_change *c = what;
    for (unsigned i = 0; i < c->keys_count; i++)
        entry_keys(l2, partition, &c->keys[i]);
}

static void add_life(struct l2 *l2, const struct entry *e)
{
    uint64_t now_ns = l2_now(l2);
    uint64_t hard_ms = e->hard_ns > now_ns ? (e->hard_ns - now_ns) / NS_PER_MS : 0;
    uint64_t soft_ms = e->soft_ns > now_ns ? (e->soft_ns - now_ns) / NS_PER_MS : 0;
    hard_ms = hard_ms ? hard_ms : 1;
    hard_ms = hard_ms < UINT32_MAX ? hard_ms : UINT32_MAX;
    soft_ms = e->stale ? 0 : soft_ms ? soft_ms : 1; /* 0 means: stale by invalidation */
    args_number(&l2->args, soft_ms < hard_ms ? soft_ms : hard_ms);
    args_number(&l2->args, hard_ms);
}

static void add_tail(struct l2 *l2, const struct fleet_change *c)
{
    const struct entry *e = c->entry;
    struct l2_entry packed = {.key = e->key,
                              .value = e->value,
                              .id = e->id,
                              .user_flags = e->user_flags,
                              .schema = e->schema,
                              .absent = e->absent};
    for (unsigned i = 0; i < c->tags_count && packed.tags_count < SHM_TAGS_MAX; i++) {
        bool known = false;
        for (unsigned n = 0; n < packed.tags_count; n++)
            known |= slice_equal(packed.tags[n], c->tags[i]);
        if (!known)
            packed.tags[packed.tags_count++] = c->tags[i];
    }
    uint64_t min = c->compress_min ? c->compress_min : l2->setup.options->compress_min;
    size_t room = l2_tail_bytes_max(&packed);
    l2->tail.size = 0;
    l2->tail.limit = room > l2->tail.limit ? room : l2->tail.limit;
    CHECK(buffer_reserve(&l2->tail, room) == 0);
    l2->tail.size =
        l2_tail_encode(l2->tail.data, &packed, min && min < UINT32_MAX ? (uint32_t)min : UINT32_MAX);
    args_add(&l2->args, slice_of(l2->tail.data, l2->tail.size));
}

static void put_condition(struct l2 *l2, const struct fleet_change *c)
{
    switch (c->condition) {
    case FLEET_ALWAYS: args_text(&l2->args, ""); break;
    case FLEET_IF_ABSENT: args_text(&l2->args, "absent"); break;
    case FLEET_IF_PRESENT: args_text(&l2->args, "present"); break;
    case FLEET_IF_VERSION:
        l2_version(l2->version, c->expected_epoch, c->expected_v, c->expected_id);
        l2->version[L2_VERSION_BYTES] = c->expected_fresh ? 'f' : 's';
        args_add(&l2->args, slice_of(l2->version, L2_VERSION_BYTES + c->again));
        break;
    }
}

static void put_since(struct l2 *l2, const struct fleet_change *c)
{
    snprintf(l2->since, sizeof(l2->since), "%" PRIu64 "%s", c->since_v, c->beside ? "e" : "");
    args_text(&l2->args, l2->since);
}

static void put_store(struct l2 *l2, const struct fleet_change *c)
{
    bool fill = c->verb == FLEET_FILL;
    call_begin(l2, fill ? SCRIPT_FILL : SCRIPT_SET, c->partition, 0, c->entry->key.size, entry_keys,
               &c->entry->key);
    args_number(&l2->args, l2->setup.options->journal_length);
    if (fill && c->proof)
        args_add(&l2->args, slice_of(c->proof, FLEET_PROOF_BYTES));
    else if (fill)
        put_since(l2, c);
    else
        put_condition(l2, c);
    add_life(l2, c->entry);
    if (c->remove)
        args_text(&l2->args, "");
    else
        add_tail(l2, c);
}

static void put_touch(struct l2 *l2, const struct fleet_change *c)
{
    call_begin(l2, SCRIPT_TOUCH, c->partition, 0, c->entry->key.size, touch_keys, &c->entry->key);
    add_life(l2, c->entry);
}

static size_t names_bytes(const struct fleet_change *c)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < c->keys_count; i++)
        bytes += c->keys[i].size;
    for (unsigned i = 0; i < c->tags_count; i++)
        bytes += c->tags[i].size + 1;
    for (unsigned i = 0; i < c->prefixes_count; i++)
        bytes += c->prefixes[i].size + 1;
    for (unsigned i = 0; i < c->globs_count; i++)
        bytes += c->globs[i].size + 1;
    return bytes;
}

static void put_invalidate(struct l2 *l2, const struct fleet_change *c)
{
    struct args *a = &l2->args;
    call_begin(l2, SCRIPT_INVALIDATE, c->partition, c->keys_count, names_bytes(c), invalidate_keys, c);
    args_number(a, l2->setup.options->journal_length);
    args_text(a, c->soft ? "soft" : "hard");
    args_text(a, SCRIPT_NAMES_MAX);
    for (unsigned i = 0; i < c->tags_count; i++)
        args_join(a, slice_text("t"), "", c->tags[i]);
    for (unsigned i = 0; i < c->prefixes_count; i++)
        args_join(a, slice_text("p"), "", c->prefixes[i]);
    for (unsigned i = 0; i < c->globs_count; i++)
        args_join(a, slice_text("g"), "", c->globs[i]);
    if (c->all)
        args_text(a, "a");
}

bool change_send(struct l2 *l2, struct fleet_change *c)
{
    if (c->keys_count + c->tags_count + c->prefixes_count + c->globs_count + c->all > SCRIPT_ITEMS_MAX)
        return false;
    switch (c->verb) {
    case FLEET_SET:
    case FLEET_FILL: put_store(l2, c); break;
    case FLEET_TOUCH: put_touch(l2, c); break;
    case FLEET_INVALIDATE: put_invalidate(l2, c); break;
    }
    uint64_t seen = coherence_view(l2->coherence)->of[c->partition].seen;
    struct sent *s = must_alloc(sizeof(*s));
    *s = (struct sent){.l2 = l2, .change = c, .generation = l2->node.generation, .seen = seen};
    s->command.done = command_done;
    if (!c->done) /* of the backlog */
        s->command.deadline_ns = l2_join_deadline(l2);
    bool issued = call_change(l2, &s->command);
    room_kept(&l2->tail);
    if (!issued)
        free(s);
    return issued;
}
