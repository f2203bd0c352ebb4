/* Redis with the scripts of server/l2/scripts, in memory: what they check, in which order, and what they answer. */
#include "tests/model/fleet_world.h"

enum { JOURNAL_MAX = 1024 };

struct stored {
    unsigned value; /* 0: nothing is there */
    uint64_t epoch, v;
    uint32_t id;
    uint64_t end_ns;
    bool stale; /* invalidated softly */
    uint8_t tags;
};

/* Positions of the newest kills by name. */
struct killed {
    uint64_t tag_v[TAGS], prefix_v[PREFIXES], glob_v[GLOBS], all_v;
};

struct partition {
    bool there; /* inc and ver exist */
    uint64_t run, epoch, v, session[HOSTS];
    struct killed killed[2]; /* hard, soft */
    struct stored stored[KEYS];
    unsigned journal_count;
    struct redis_record journal[JOURNAL_MAX];
};

static struct {
    uint64_t run;
    unsigned partitions;
    struct partition of[PARTITIONS_MOST], snapshot[PARTITIONS_MOST];
} redis;

static uint8_t partition_mask(unsigned p)
{
    uint8_t mask = 0;
    for (unsigned key = 0; key < KEYS; key++)
        if (shm_partition(slice_text(key_texts[key]), redis.partitions) == p)
            mask |= (uint8_t)(1u << key);
    return mask;
}

/* ======= journal and life ======= */

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t newest_kill(const struct killed *k)
{
    uint64_t v = k->all_v;
    for (unsigned i = 0; i < TAGS; i++)
        v = larger(v, k->tag_v[i]);
    for (unsigned i = 0; i < PREFIXES; i++)
        v = larger(v, larger(k->glob_v[i], k->prefix_v[i]));
    return v;
}

/* The newest kill by name of what the key carries, with those tags. */
static uint64_t name_killed(const struct killed *k, unsigned key, uint8_t tags)
{
    uint64_t v = larger(larger(k->all_v, k->glob_v[key % GLOBS]), k->prefix_v[key / PREFIXES]);
    for (unsigned i = 0; i < TAGS; i++)
        v = tags & 1u << i ? larger(v, k->tag_v[i]) : v;
    return v;
}

static bool alive(const struct partition *p, unsigned key)
{
    const struct stored *s = &p->stored[key];
    return s->value && s->epoch == p->epoch && s->end_ns > world_ns &&
           s->v >= name_killed(&p->killed[0], key, s->tags);
}

static bool is_stale(const struct partition *p, unsigned key)
{
    const struct stored *s = &p->stored[key];
    return s->stale || s->v < name_killed(&p->killed[1], key, s->tags);
}

static void copy_partition(struct partition *to, const struct partition *from)
{
    memcpy(to, from, offsetof(struct partition, journal) + from->journal_count * sizeof(from->journal[0]));
}

static uint64_t mutate(struct partition *p, const struct names *names, const struct message *m,
                       unsigned value)
{
    bool told = !m->again || !RULE(tag_record, false);
    CHECK(p->journal_count < JOURNAL_MAX);
    p->journal[p->journal_count++] = (struct redis_record){++p->v, told ? *names : (struct names){0}};
    uint8_t hit = names_cover(names) & partition_mask(m->partition);
    history_commit(&(struct committed){.partition = m->partition,
                                       .op = m->op,
                                       .epoch = p->epoch,
                                       .v = p->v,
                                       .keys = hit,
                                       .late = names_late(names) & partition_mask(m->partition),
                                       .soft = names->soft,
                                       .value = value,
                                       .again = m->again,
                                       .over = alive(p, m->key) ? p->stored[m->key].value : 0});
    TALK("redis %u: V %llu hits %x, value %u", m->partition, (unsigned long long)p->v, hit, value);
    return p->v;
}

/* ======= scripts ======= */

static void new_epoch(struct partition *p)
{
    p->there = true;
    p->run = redis.run;
    p->epoch = dice() | 1;
    p->journal_count = 0;
    memset(p->killed, 0, sizeof(p->killed));
    memset(p->session, 0, sizeof(p->session));
}

static void run_hello(struct partition *p, struct message *m)
{
    if (!RULE(I10_run, p->run == redis.run) || !p->there)
        new_epoch(p);
    p->session[m->host] = m->nonce;
    m->epoch = p->epoch;
    m->v = p->v;
    m->first = p->journal_count ? p->journal[0].v : p->v + 1;
    m->killed = larger(newest_kill(&p->killed[0]), newest_kill(&p->killed[1]));
}

static bool admitted(struct partition *p, struct message *m)
{
    m->said = SAID_OK;
    if (!p->there || p->epoch != m->epoch)
        m->said = SAID_EPOCH;
    else if (!RULE(F7_session, p->session[m->host] == m->nonce))
        m->said = SAID_SESSION;
    return m->said == SAID_OK;
}

/* A TAG prolongs nothing, however long it was on its way. */
static void store(struct partition *p, const struct message *m)
{
    struct stored *s = &p->stored[m->key];
    uint64_t end_ns = world_ns + m->left_ns;
    if (m->again && end_ns > s->end_ns)
        end_ns = s->end_ns;
    *s = (struct stored){m->value, p->epoch, m->v, m->id, end_ns, m->stale, m->tags};
    if (!m->again)
        history_lives(m->value, end_ns);
}

static bool is_version(const struct stored *s, const struct message *m)
{
    return s->epoch == m->expected_epoch && s->v == m->expected_v && s->id == m->expected_id;
}

static enum said judge_condition(const struct partition *p, const struct message *m)
{
    bool there = alive(p, m->key);
    if (m->condition == FLEET_ALWAYS)
        return SAID_OK;
    if (m->condition == FLEET_IF_ABSENT)
        return there ? SAID_EXISTS : SAID_OK;
    if (!there)
        return SAID_NOT_FOUND;
    if (m->condition == FLEET_IF_PRESENT)
        return SAID_OK;
    bool too_old = m->expected_fresh && is_stale(p, m->key);
    return is_version(&p->stored[m->key], m) && RULE(tag_fresh, !too_old) ? SAID_OK : SAID_CONFLICT;
}

static void run_set(struct partition *p, struct message *m)
{
    struct names names = {.keys = (uint8_t)(1u << m->key)};
    m->v = p->v;
    m->said = judge_condition(p, m);
    if (m->said != SAID_OK)
        return;
    m->v = mutate(p, &names, m, m->remove ? 0 : m->value);
    if (m->remove)
        p->stored[m->key] = (struct stored){0};
    else
        store(p, m);
}

/* Longer, never shorter, and only what a get would return; no position, since no value changed. */
static void run_touch(struct partition *p, struct message *m)
{
    struct stored *s = &p->stored[m->key];
    m->v = p->v;
    m->said = alive(p, m->key) ? SAID_OK : SAID_NOT_FOUND;
    if (m->said != SAID_OK)
        return;
    s->end_ns = larger(s->end_ns, world_ns + m->left_ns);
    history_lives(s->value, s->end_ns);
    m->left_ns = s->end_ns - world_ns;
    m->v = s->v;
    m->id = s->id;
    TALK("redis %u: value %u of key %u lives %.0f ms more", m->partition, s->value, m->key,
         (double)m->left_ns / 1e6);
}

/* Nothing since then may have named the key or what it carries; what is no longer known refuses. */
static bool nothing_since(const struct partition *p, const struct message *m)
{
    uint64_t expected = m->since_v + 1;
    for (unsigned i = 0; i < p->journal_count; i++) {
        if (p->journal[i].v <= m->since_v)
            continue;
        if (p->journal[i].v != expected++ || names_cover(&p->journal[i].names) & 1u << m->key)
            return false;
    }
    return expected == p->v + 1 && name_killed(&p->killed[0], m->key, m->tags) <= m->since_v &&
           name_killed(&p->killed[1], m->key, m->tags) <= m->since_v;
}

static void run_fill(struct partition *p, struct message *m)
{
    if (!RULE(I5_proof, nothing_since(p, m))) {
        m->said = SAID_REFUSED;
        m->v = p->v;
        return;
    }
    struct names names = {.keys = (uint8_t)(1u << m->key)};
    history_filled(m->key, m->value);
    m->v = !alive(p, m->key) ? p->v : mutate(p, &names, m, m->value);
    store(p, m);
    TALK("redis %u: filled key %u with value %u at %llu", m->partition, m->key, m->value,
         (unsigned long long)m->v);
}

static void run_invalidate(struct partition *p, struct message *m)
{
    m->v = mutate(p, &m->names, m, 0);
    struct killed *k = &p->killed[m->names.soft];
    for (unsigned key = 0; key < KEYS; key++)
        if (m->names.keys & 1u << key && m->names.soft)
            p->stored[key].stale = true;
        else if (m->names.keys & 1u << key)
            p->stored[key] = (struct stored){0};
    for (unsigned i = 0; i < TAGS; i++)
        k->tag_v[i] = m->names.tags & 1u << i ? m->v : k->tag_v[i];
    for (unsigned i = 0; i < PREFIXES; i++) {
        k->glob_v[i] = m->names.globs & 1u << i ? m->v : k->glob_v[i];
        k->prefix_v[i] = m->names.prefixes & 1u << i ? m->v : k->prefix_v[i];
    }
    k->all_v = m->names.all ? m->v : k->all_v;
}

/* A plain read: the counter, then the bytes, whatever they are worth; or the exact one, which judges. */
static void run_read(struct partition *p, struct message *m)
{
    const struct stored *s = &p->stored[m->key];
    m->said = p->there ? SAID_OK : SAID_EPOCH;
    m->v = p->v;
    m->epoch = p->epoch; /* of the session, in the exact one; the plain one learns it from the entry */
    m->found = s->value && s->end_ns > world_ns && (!m->exact || alive(p, m->key));
    m->stale = s->stale || (m->exact && is_stale(p, m->key));
    m->left_ns = m->found ? s->end_ns - world_ns : 0;
    m->value = s->value;
    m->tags = s->tags;
    m->entry_epoch = s->epoch;
    m->entry_v = s->v;
    m->entry_id = s->id;
}

void redis_run(struct message *m)
{
    static void (*const scripts[])(struct partition * p,
                                   struct message * m) = {[ASK_SET] = run_set,
                                                          [ASK_FILL] = run_fill,
                                                          [ASK_TOUCH] = run_touch,
                                                          [ASK_INVALIDATE] = run_invalidate};
    struct partition *p = &redis.of[m->partition];
    switch (m->ask) {
    case ASK_HELLO: run_hello(p, m); return;
    case ASK_READ:
        if (!m->exact || admitted(p, m))
            run_read(p, m);
        return;
    case ASK_FENCE:
        if (admitted(p, m))
            m->v = p->v;
        return;
    default:
        if (admitted(p, m))
            scripts[m->ask](p, m);
        else
            TALK("redis %u: refuses a request of host %d, %d", m->partition, m->host, m->said);
    }
}

bool redis_journal_after(unsigned partition, uint64_t *cursor, struct redis_record *ret)
{
    const struct partition *p = &redis.of[partition];
    for (unsigned i = 0; i < p->journal_count; i++)
        if (p->journal[i].v > *cursor) {
            *ret = p->journal[i];
            *cursor = ret->v;
            return true;
        }
    return false;
}

unsigned redis_partitions(void)
{
    return redis.partitions;
}

/* ======= what happens to it ======= */

static void clear(struct partition *p)
{
    memset(p, 0, offsetof(struct partition, journal));
}

void redis_begin(unsigned partitions)
{
    redis.run = 1;
    redis.partitions = partitions;
    for (unsigned p = 0; p < PARTITIONS_MOST; p++) {
        clear(&redis.of[p]);
        clear(&redis.snapshot[p]);
    }
}

void redis_snapshot(void)
{
    for (unsigned p = 0; p < redis.partitions; p++)
        copy_partition(&redis.snapshot[p], &redis.of[p]);
}

/* Another run id; leases and data as they were written, or as of the last snapshot. */
void redis_restart(bool with_older_data)
{
    TALK("redis: restarts%s", with_older_data ? " with older data" : "");
    redis.run++;
    for (unsigned p = 0; with_older_data && p < redis.partitions; p++)
        copy_partition(&redis.of[p], &redis.snapshot[p]);
}

void redis_flush(void)
{
    TALK("redis: FLUSHALL");
    for (unsigned p = 0; p < redis.partitions; p++)
        clear(&redis.of[p]);
}

void redis_trim(unsigned partition, unsigned records)
{
    struct partition *p = &redis.of[partition];
    records = records < p->journal_count ? records : p->journal_count;
    TALK("redis %u: loses %u records", partition, records);
    p->journal_count -= records;
    memmove(p->journal, p->journal + records, p->journal_count * sizeof(p->journal[0]));
}
