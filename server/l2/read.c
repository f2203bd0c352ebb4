/* Reads of the shared store, three ways (scripts/README.md, "Reads without a script"):
 *
 *   PLAIN  while somebody vouches: GET, behind one TIME and one look at the counter for all reads of a turn; kills by
 *          name are judged by the exact map of this host, which knows all from a position on
 *   EXACT  otherwise, and for entries older than what the map knows: a script judges in Redis
 *   SAME   the caller has a version: is it still the current one?  If not, EXACT
 *
 * What must stay true (I3): an answer goes out only if it was asked for in the present session, is of the present epoch,
 * and reflects a position that is not below the floor; what was applied here meanwhile is cache/'s to know. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "l2/l2_private.h"

enum way { PLAIN, EXACT, SAME };

struct reading {
    struct l2_command command;
    struct l2 *l2;
    struct tier_read *read; /* NULL: the caller was told */
    struct batch *batch;    /* PLAIN */
    enum way way;
    unsigned partition;
    uint64_t session;
    uint64_t seen;     /* known when it was asked: an answer that shows less is of no Redis of ours */
    uint64_t until_ns; /* then the caller is told, whatever is still on its way */
    struct list node;  /* of l2->waiting, until the caller was told */
};

/* What the plain reads of one turn have in common; replies come in order, so it is complete before the first value. */
struct batch {
    struct l2_command time, counter;
    struct l2 *l2;
    unsigned users, partition;
    bool good;
    uint64_t sent_ns, redis_ms, v, seen;
    uint64_t generation;
};

static bool start(struct reading *r);

static const char nonsense[] = "Redis answered a read with something else";
static const char went_back[] = "the positions in Redis went back";

/* ======= answers ======= */

static void finish(struct reading *r, int outcome)
{
    struct tier_read *read = r->read;
    r->l2->hits += outcome != TIER_MISSED;
    list_remove(&r->node);
    free(r);
    read->done(read, outcome);
}

static void miss(struct reading *r, enum miss_reason reason)
{
    r->read->reason = reason;
    finish(r, TIER_MISSED);
}

static enum miss_reason away_reason(const struct l2 *l2)
{
    return coherence_view(l2->coherence)->mode == SHM_DETACHED ? MISS_DETACHED : MISS_SUSPECT;
}

static void ask_exactly(struct reading *r)
{
    r->way = EXACT;
    if (!start(r))
        miss(r, away_reason(r->l2));
}

static uint64_t present_epoch(const struct reading *r)
{
    return coherence_view(r->l2->coherence)->of[r->partition].epoch;
}

/* Whatever else it says, an answer that is believed tells how far the fleet is.  That of a miss too: what is loaded after it
 * is judged by its position, and one that this host has not seen admits nothing. */
static bool believe(struct reading *r, uint64_t v)
{
    struct coherence *c = r->l2->coherence;
    if (!coherence_may_believe(c, r->session, r->partition, present_epoch(r), v))
        return false;
    coherence_saw(c, r->partition, v);
    r->read->at_v = v;
    return true;
}

/* ======= an entry ======= */

static bool unpack(struct l2 *l2, const struct l2_record *record, struct slice *ret)
{
    struct buffer *b = &l2->value;
    size_t room = record->packed ? record->value_bytes : 0;
    b->size = 0;
    b->limit = room > b->limit ? room : b->limit;
    if (room && buffer_reserve(b, room) < 0)
        return false;
    return l2_record_value(record, b->data, ret);
}

static void entry_from(struct reading *r, const struct l2_record *record, const struct l2_left *left,
                       bool stale)
{
    struct l2 *l2 = r->l2;
    struct entry *e = &r->read->entry;
    uint64_t now_ns = l2_now(l2);
    *e = (struct entry){.key = r->read->key,
                        .key_hash = r->read->key_hash,
                        .epoch = record->epoch,
                        .v = record->v,
                        .id = record->entry.id,
                        .hard_ns = clock_after(now_ns, left->hard_ms * NS_PER_MS),
                        .soft_ns = clock_after(now_ns, left->soft_ms * NS_PER_MS),
                        .user_flags = record->entry.user_flags,
                        .schema = record->entry.schema,
                        .absent = record->entry.absent,
                        .stale = stale || record->soft_ms == 0,
                        .tags_count = (uint8_t)record->entry.tags_count};
    for (unsigned i = 0; i < record->entry.tags_count; i++)
        e->tags[i] = shm_hash_name(l2->setup.hash_secret, SHM_NAME_TAG, record->entry.tags[i]);
    e->tag_names = l2_tag_names(&record->entry);
}

/* The counter was read before the entry, so what is ahead of it was just written, or is a lie that no invalidation would
 * reach. */
static bool must_be_exact(const struct reading *r, const struct l2_record *record)
{
    return record->v > r->read->at_v ||
           !coherence_knows_kills(r->l2->coherence, r->partition, record->v, r->read->at_v, l2_now(r->l2));
}

/* Bytes that are no entry of this key, or too much for us, are as good as none. */
static void found(struct reading *r, struct slice bytes, uint64_t redis_ms, bool stale)
{
    struct l2 *l2 = r->l2;
    struct l2_record record;
    struct l2_left left;
    struct slice value;
    if (!l2_record_decode(bytes, r->read->key, l2->setup.value_max, &record) ||
        record.epoch != present_epoch(r)) {
        miss(r, MISS_COLD);
    } else if (!l2_record_left(&record, redis_ms, &left)) {
        miss(r, MISS_EXPIRED);
    } else if (r->way != PLAIN && record.v > r->read->at_v) {
        miss(r, MISS_COLD); /* no entry is ahead of the counter: these bytes are not what a script wrote */
    } else if (r->way == PLAIN && must_be_exact(r, &record)) {
        ask_exactly(r);
    } else if (!unpack(l2, &record, &value)) {
        miss(r, MISS_COLD);
    } else {
        entry_from(r, &record, &left, stale);
        r->read->entry.value = value;
        finish(r, TIER_FOUND);
        room_kept(&l2->value);
    }
}

/* ======= the answers of Redis ======= */

/* False: that is no answer, and nothing was done. */
static bool plain_answered(struct reading *r, const struct l2_reply *reply)
{
    const struct batch *b = r->batch;
    if (reply->kind != L2_BULK && reply->kind != L2_NIL)
        return false;
    if (!b->good || !believe(r, b->v)) {
        miss(r, MISS_SUSPECT);
        return true;
    }
    if (reply->kind == L2_NIL)
        miss(r, MISS_COLD);
    else /* at most so late is it there now */
        found(r, reply->text, b->redis_ms + (l2_now(r->l2) - b->sent_ns) / NS_PER_MS + 1, false);
    return true;
}

static bool is_word(const struct l2_reply *r, const char *word)
{
    return r && r->kind == L2_BULK && slice_equal(r->text, slice_text(word));
}

/* HIT, V, ms, stale, record, …  or  MISS, V, ms. */
static bool exact_answered(struct reading *r, const struct l2_reply *reply)
{
    const struct l2_reply *record = l2_reply_at(reply, 4), *stale = l2_reply_at(reply, 3);
    bool hit = is_word(l2_reply_at(reply, 0), "HIT");
    uint64_t v, ms, passed_ms = (l2_now(r->l2) - r->command.sent_ns) / NS_PER_MS + 1;
    if (!reply_position(l2_reply_at(reply, 1), &v) || !reply_number(l2_reply_at(reply, 2), &ms) ||
        v < r->seen)
        return false;
    if (hit ? !record || record->kind != L2_BULK || stale->kind != L2_INTEGER
            : !is_word(l2_reply_at(reply, 0), "MISS"))
        return false;
    if (!believe(r, v)) {
        miss(r, MISS_SUSPECT);
        return true;
    }
    if (hit)
        found(r, record->text, ms + passed_ms, stale->integer != 0);
    else
        miss(r, MISS_COLD);
    return true;
}

/* V, ms, one verdict. */
static bool same_answered(struct reading *r, const struct l2_reply *reply)
{
    const struct l2_reply *verdicts = l2_reply_at(reply, 2);
    uint64_t v;
    if (!reply_position(l2_reply_at(reply, 0), &v) || v < r->seen || !verdicts || verdicts->kind != L2_BULK ||
        verdicts->text.size != 1)
        return false;
    char verdict = *(const char *)verdicts->text.data;
    if (verdict < '0' || verdict > '2')
        return false;
    if (!believe(r, v)) {
        miss(r, MISS_SUSPECT);
        return true;
    }
    if (verdict == '0') {
        ask_exactly(r);
        return true;
    }
    r->read->entry = (struct entry){.stale = verdict == '2'};
    finish(r, TIER_SAME);
    return true;
}

static bool (*const answered[])(struct reading *r, const struct l2_reply *reply) = {
    [PLAIN] = plain_answered,
    [EXACT] = exact_answered,
    [SAME] = same_answered,
};

static void leave_batch(struct batch *b)
{
    if (b && --b->users == 0)
        free(b);
}

/* Somebody else's value at one entry is nobody's trouble: the next set goes over it. */
static struct refusal refused(struct reading *r, const struct l2_reply *error)
{
    static const enum script_id scripts[] = {[PLAIN] = SCRIPTS, [EXACT] = SCRIPT_GETL, [SAME] = SCRIPT_SAME};
    struct refusal why = refusal_of(r->l2, error, scripts[r->way]);
    bool foreign = r->way == PLAIN && l2_reply_is_error(error, "WRONGTYPE");
    why.ends = why.ends && !foreign;
    r->l2->health.trouble = why.why;
    miss(r, foreign ? MISS_COLD : MISS_SUSPECT);
    return why;
}

static struct refusal judge(struct reading *r, const struct l2_reply *reply, enum l2_outcome outcome)
{
    if (outcome != L2_ANSWERED) {
        miss(r, away_reason(r->l2));
    } else if (reply->kind == L2_ERROR) {
        return refused(r, reply);
    } else if (!answered[r->way](r, reply)) {
        miss(r, MISS_SUSPECT);
        return (struct refusal){.ends = true, .why = nonsense};
    }
    return (struct refusal){0};
}

static void command_done(struct l2_command *command, const struct l2_reply *reply, enum l2_outcome outcome)
{
    struct reading *r = CONTAINER_OF(command, struct reading, command);
    struct l2 *l2 = r->l2;
    struct batch *batch = r->batch;
    struct refusal why = {0};
    uint64_t generation = l2->node.generation;
    bool of_this = r->session == coherence_view(l2->coherence)->session;
    if (r->read)
        why = judge(r, reply, outcome);
    else
        free(r);
    leave_batch(batch);
    if (why.ends && of_this && generation == l2->node.generation)
        node_fail(l2, why.why);
}

/* ======= questions ======= */

/* The end of a question of a batch: what is wrong with its answer ends the session. */
static void batch_answered(struct batch *b, enum l2_outcome outcome, const struct l2_reply *reply,
                           const char *wrong)
{
    struct l2 *l2 = b->l2;
    bool of_this = outcome == L2_ANSWERED && b->generation == l2->node.generation;
    b->good = outcome == L2_ANSWERED && !wrong;
    leave_batch(b);
    if (of_this && wrong)
        node_fail(l2, reply->kind == L2_ERROR ? refusal_of(l2, reply, SCRIPTS).why : wrong);
}

static bool read_time(const struct l2_reply *reply, uint64_t *ret_ms)
{
    const struct l2_reply *s = l2_reply_at(reply, 0), *us = l2_reply_at(reply, 1);
    return s && us && s->kind == L2_BULK && us->kind == L2_BULK && l2_time_read(s->text, us->text, ret_ms);
}

static void time_answered(struct l2_command *command, const struct l2_reply *reply, enum l2_outcome outcome)
{
    struct batch *b = CONTAINER_OF(command, struct batch, time);
    bool good = outcome == L2_ANSWERED && read_time(reply, &b->redis_ms);
    b->sent_ns = command->sent_ns;
    batch_answered(b, outcome, reply, good ? NULL : nonsense);
}

static const char *wrong_counter(struct batch *b, const struct l2_reply *reply)
{
    if (reply->kind == L2_NIL)
        return "Redis has lost the counter of the namespace";
    if (reply->kind != L2_BULK || !l2_number_read(reply->text, &b->v) || b->v > POSITION_MAX)
        return nonsense;
    return b->v < b->seen ? went_back : NULL;
}

static void counter_answered(struct l2_command *command, const struct l2_reply *reply,
                             enum l2_outcome outcome)
{
    struct batch *b = CONTAINER_OF(command, struct batch, counter);
    batch_answered(b, outcome, reply, outcome == L2_ANSWERED ? wrong_counter(b, reply) : nonsense);
}

static bool ask_time(struct l2 *l2, struct batch *b)
{
    args_begin(&l2->args, &l2->room, 1, 0);
    args_text(&l2->args, "TIME");
    b->users++;
    if (call_issue(l2, LINK_DATA, &b->time))
        return true;
    b->users--;
    return false;
}

static bool ask_counter(struct l2 *l2, struct batch *b)
{
    args_begin(&l2->args, &l2->room, 1, 0);
    args_text(&l2->args, "GET");
    call_key(l2, b->partition, ":ver", slice_of(NULL, 0));
    b->users++;
    if (call_issue(l2, LINK_DATA, &b->counter))
        return true;
    b->users--;
    return false;
}

void read_batch_over(struct later *w)
{
    struct l2 *l2 = CONTAINER_OF(w, struct l2, batch_over);
    for (unsigned p = 0; p < l2->setup.options->partitions; p++) {
        leave_batch(l2->batch[p]);
        l2->batch[p] = NULL;
    }
}

static struct batch *begin_batch(struct l2 *l2, unsigned partition)
{
    struct batch *b = must_alloc(sizeof(*b));
    *b = (struct batch){.l2 = l2,
                        .partition = partition,
                        .users = 1,
                        .generation = l2->node.generation,
                        .seen = coherence_view(l2->coherence)->of[partition].seen};
    b->time.done = time_answered;
    b->counter.done = counter_answered;
    return b;
}

/* The batch of this turn, for this partition. */
static struct batch *batch_for(struct l2 *l2, unsigned partition)
{
    struct batch **at = &l2->batch[partition];
    if (*at && (*at)->generation == l2->node.generation)
        return *at;
    leave_batch(*at);
    *at = begin_batch(l2, partition);
    later_ask(l2->setup.loop, &l2->batch_over);
    if (ask_time(l2, *at) && ask_counter(l2, *at))
        return *at;
    leave_batch(*at);
    *at = NULL;
    return NULL;
}

static bool start_plain(struct reading *r)
{
    struct l2 *l2 = r->l2;
    r->batch = batch_for(l2, r->partition);
    if (!r->batch)
        return false;
    args_begin(&l2->args, &l2->room, 1, r->read->key.size);
    args_text(&l2->args, "GET");
    call_key(l2, r->partition, ":e:", r->read->key);
    if (!call_issue(l2, LINK_DATA, &r->command)) {
        r->batch = NULL;
        return false;
    }
    r->batch->users++;
    return true;
}

static void entry_keys(struct l2 *l2, unsigned partition, const void *what)
{
    const struct slice *key = what;
    call_key(l2, partition, ":e:", *key);
    call_key(l2, partition, ":l:", *key);
}

static void same_keys(struct l2 *l2, unsigned partition, const void *what)
{
    const struct slice *key = what;
    call_key(l2, partition, ":e:", *key);
}

static bool start_exact(struct reading *r)
{
    struct l2 *l2 = r->l2;
    call_begin(l2, SCRIPT_GETL, r->partition, 0, r->read->key.size, entry_keys, &r->read->key);
    args_text(&l2->args, "");  /* no nonce: */
    args_number(&l2->args, 0); /* no lease is taken */
    return call_issue(l2, LINK_DATA, &r->command);
}

static bool start_same(struct reading *r)
{
    struct l2 *l2 = r->l2;
    call_begin(l2, SCRIPT_SAME, r->partition, 1, r->read->key.size, same_keys, &r->read->key);
    l2_version(l2->version, r->read->known.epoch, r->read->known.v, r->read->known.id);
    args_add(&l2->args, slice_of(l2->version, L2_VERSION_BYTES));
    return call_issue(l2, LINK_DATA, &r->command);
}

static bool start(struct reading *r)
{
    static bool (*const ways[])(struct reading *
                                r) = {[PLAIN] = start_plain, [EXACT] = start_exact, [SAME] = start_same};
    r->command = (struct l2_command){.done = command_done};
    r->batch = NULL; /* of an earlier way: whoever answers that leaves it */
    return ways[r->way](r);
}

static enum way way_for(const struct l2 *l2, const struct tier_read *read, unsigned partition)
{
    if (read->known.given)
        return SAME;
    return !read->exact && l2_now(l2) < coherence_view(l2->coherence)->of[partition].fresh_until_ns ? PLAIN
                                                                                                    : EXACT;
}

static int read_get(struct tier *t, struct tier_read *read)
{
    struct l2 *l2 = CONTAINER_OF(t, struct l2, tier);
    coherence_read_noticed(l2->coherence, l2_now(l2));
    read->reason = away_reason(l2);
    if (!coherence_linked(l2->coherence))
        return TIER_MISSED;
    struct reading *r = must_alloc(sizeof(*r));
    unsigned partition = shm_partition(read->key, (uint32_t)l2->setup.options->partitions);
    *r = (struct reading){.l2 = l2,
                          .read = read,
                          .way = way_for(l2, read, partition),
                          .partition = partition,
                          .session = coherence_view(l2->coherence)->session,
                          .seen = coherence_view(l2->coherence)->of[partition].seen,
                          .until_ns = l2_deadline(l2)};
    list_init(&r->node);
    l2->reads++;
    if (!start(r)) {
        free(r);
        return TIER_MISSED;
    }
    list_append(&l2->waiting, &r->node);
    return TIER_PENDING;
}

/* Two ways may take longer than one; each command has a deadline of its own, the caller has one for both.  In the order
 * asked, which is that of the deadlines. */
void read_give_up(struct l2 *l2)
{
    struct list *first;
    while ((first = list_first(&l2->waiting))) {
        struct reading *r = CONTAINER_OF(first, struct reading, node);
        struct tier_read *read = r->read;
        if (l2_now(l2) < r->until_ns)
            return;
        list_remove(&r->node);
        r->read = NULL;
        read->reason = away_reason(l2);
        read->done(read, TIER_MISSED);
    }
}

static void read_measure(struct tier *t, struct tier_figures *ret)
{
    struct l2 *l2 = CONTAINER_OF(t, struct l2, tier);
    *ret = (struct tier_figures){.hits = l2->hits,
                                 .misses = l2->reads - l2->hits,
                                 .bytes = l2->health.memory_used,
                                 .bytes_max = l2->health.memory_max,
                                 .available = coherence_linked(l2->coherence),
                                 .trouble = l2->health.trouble};
}

const struct tier_ops read_ops = {.name = TIER_L2, .get = read_get, .measure = read_measure};
