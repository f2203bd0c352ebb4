/* OFFER and LOAD over connections: who is asked for what, and that no key is lost on its way. */
#include "cache/loaders.h"
#include "cache/warming.h"
#include "support/session_rig.h"

DEFINE_SAY(offer)
DEFINE_SAY(warm)
DEFINE_EXPECT(LOAD, load)
DEFINE_EXPECT(PROGRESS, progress)

#define LONG_MS (3600u * 1000)

static int another(struct fixture *f)
{
    int first = f->fd;
    f->fd = connect_session(f);
    greet_as(f, "", 0);
    return first;
}

static void use(struct fixture *f, int *other)
{
    int fd = f->fd;
    assert_int_equal(f->in.size, 0);
    f->fd = *other;
    *other = fd;
}

static struct loader_figures counted(const struct fixture *f)
{
    struct loader_figures figures;
    loaders_measure(f->cache, &figures);
    return figures;
}

static void offer(struct fixture *f, const char *pattern, uint32_t wait_ms)
{
    struct slice patterns[] = {S(pattern)};
    SAY(f, offer, .wait_ms = wait_ms, .patterns = {1, patterns});
}

/* The daemon knows of it. */
static void offered(struct fixture *f, const char *pattern, unsigned hands)
{
    offer(f, pattern, LONG_MS);
    while (counted(f).loader_hands < hands)
        loop_run_once(f->loop);
}

static void warm(struct fixture *f, const char *key)
{
    struct slice keys[] = {S(key)};
    SAY(f, warm, .flags = WIRE_WARM_LOAD, .keys = {1, keys});
    assert_int_equal(expect_progress(f).state, WARMING_RUNS);
    cache_tick(f->cache);
}

static struct wire_progress progress(struct fixture *f)
{
    cache_tick(f->cache);
    SAY(f, warm, .flags = 0);
    return expect_progress(f);
}

struct kept {
    uint8_t token[64];
    size_t bytes;
};

static void expect_key(struct fixture *f, const char *key, struct kept *ret)
{
    struct wire_load m = expect_load(f);
    assert_int_equal(m.kind, WIRE_LOAD_KEY);
    assert_slice(m.key, key);
    ret->bytes = m.token.size;
    memcpy(ret->token, m.token.data, m.token.size);
}

static unsigned bring(struct fixture *f, const char *key, const char *value, const struct kept *k)
{
    struct wire_item item = {.key = S(key),
                             .value = S(value),
                             .ttl_ms = WIRE_TTL_DEFAULT,
                             .stale_ms = WIRE_TTL_DEFAULT,
                             .token = slice_of(k->token, k->bytes)};
    SAY(f, set, .items = {.count = 1, .items = &item});
    return expect_outcome(f).status;
}

static void what_is_warmed_and_nowhere_is_asked_of_who_offered_it(void **state)
{
    struct fixture *f = *state;
    struct kept k;
    offered(f, "user:*", 1);
    int loader = another(f);
    warm(f, "user:1");
    use(f, &loader);
    expect_key(f, "user:1", &k);
    assert_int_equal(bring(f, "user:1", "v", &k), STATUS_OK);
    use(f, &loader);
    struct wire_progress p = progress(f);
    assert_int_equal(p.state, WARMING_DONE);
    assert_int_equal(p.brought, 1);
    assert_slice(get(f, "user:1").value, "v");
    close(loader);
}

static void a_loader_that_goes_passes_its_key_to_the_next(void **state)
{
    struct fixture *f = *state;
    struct kept k;
    offered(f, "user:*", 1);
    int first = another(f), third;
    offered(f, "user:*", 2);
    third = another(f);
    warm(f, "user:1");
    int second = third;
    use(f, &first); /* `first` is the one that warms now */
    expect_key(f, "user:1", &k);
    close(f->fd);
    f->fd = second;
    expect_key(f, "user:1", &k);
    assert_int_equal(bring(f, "user:1", "v", &k), STATUS_OK);
    use(f, &first);
    assert_int_equal(progress(f).brought, 1);
    close(first);
}

static void nothing_to_load_is_said_at_once_when_nobody_waits(void **state)
{
    struct fixture *f = *state;
    offer(f, "user:*", 0);
    struct wire_load m = expect_load(f);
    assert_int_equal(m.kind, WIRE_LOAD_NOTHING);
    assert_int_equal(m.key.size, 0);
    assert_int_equal(counted(f).loader_hands, 0);
    SAY(f, offer, .wait_ms = 0);
    assert_int_equal(expect_load(f).kind, WIRE_LOAD_NOTHING);
}

static void an_offer_of_nothing_and_one_that_makes_no_sense_are_told_so(void **state)
{
    struct fixture *f = *state;
    SAY(f, offer, .wait_ms = 0);
    struct wire_result r = expect_result(f);
    assert_int_equal(r.status, STATUS_BAD_REQUEST);
    assert_slice(r.message, "the first OFFER of a connection names patterns");
    offer(f, "a:{x}*", 0);
    expect_status(f, STATUS_BAD_REQUEST);
    offer(f, "a:*,b:*", 0);
    r = expect_result(f);
    assert_int_equal(r.status, STATUS_BAD_REQUEST);
    assert_slice(r.message, "patterns: a pattern has a comma");
}

static void a_bound_connection_offers_what_is_its_tenants(void **state)
{
    struct fixture *f = *state;
    offer(f, "evil:*", 0);
    expect_status(f, STATUS_DENIED);
    offer(f, "*", 0);
    expect_status(f, STATUS_DENIED);
    offer(f, "acme:user:*", 0);
    assert_int_equal(expect_load(f).kind, WIRE_LOAD_NOTHING);
}

static void offers_leave_room_for_what_they_bring(void **state)
{
    struct fixture *f = *state;
    f->options.requests_in_flight = 8;
    for (unsigned i = 0; i < 7; i++)
        offer(f, "user:*", LONG_MS);
    offer(f, "user:*", LONG_MS); /* the eighth would leave none */
    assert_int_equal(expect_load(f).kind, WIRE_LOAD_NOTHING);
    assert_int_equal(counted(f).loader_hands, 7);
    SAY(f, ping, .payload = S("still there"));
    assert_slice(expect_pong(f).payload, "still there");
}

static void a_drain_answers_offers_with_nothing(void **state)
{
    struct fixture *f = *state;
    offered(f, "user:*", 1);
    drain(f, 3600 * NS_PER_S);
    assert_int_equal(expect_load(f).kind, WIRE_LOAD_NOTHING);
    expect_hang_up(f);
}

static void a_key_for_a_connection_that_ended_while_a_tier_was_asked_comes_back(void **state)
{
    struct fixture *f = *state;
    offered(f, "user:*", 1);
    int loader = another(f);
    struct slice keys[] = {S("user:1")};
    f->warm.slow = true;
    SAY(f, warm, .flags = WIRE_WARM_LOAD, .keys = {1, keys});
    expect_progress(f);
    cache_tick(f->cache);
    assert_int_equal(f->warm.waiting_count, 1);
    table_tier_land(&f->warm); /* it is nowhere: now the loader's load asks the tier again */
    assert_int_equal(f->warm.waiting_count, 1);
    close(loader);
    while (counted(f).loaders)
        loop_run_once(f->loop);
    f->warm.slow = false;
    table_tier_land(&f->warm);
    while (progress(f).state == WARMING_RUNS)
        continue;
    assert_int_equal(progress(f).failed, 1);
    struct cache_figures figures;
    cache_measure(f->cache, &figures);
    assert_int_equal(figures.leases, 0);
}

static void a_reader_of_a_stale_key_makes_a_loader_refresh_it(void **state)
{
    struct fixture *f = *state;
    struct kept k;
    struct wire_item item = {
        .key = S("user:1"), .value = S("old"), .ttl_ms = WIRE_TTL_DEFAULT, .stale_ms = WIRE_TTL_DEFAULT};
    f->cache_options.stale = 60 * NS_PER_S;
    offered(f, "user:*", 1);
    int loader = another(f);
    SAY(f, set, .items = {.count = 1, .items = &item});
    assert_int_equal(expect_outcome(f).status, STATUS_OK);
    SAY(f, invalidate, .flags = WIRE_INVALIDATE_SOFT, .keys = {1, &item.key});
    expect_status(f, STATUS_OK);
    struct wire_entry e = get(f, "user:1");
    assert_slice(e.value, "old");
    assert_int_equal(e.flags, WIRE_ENTRY_STALE);
    use(f, &loader);
    expect_key(f, "user:1", &k);
    assert_int_equal(bring(f, "user:1", "new", &k), STATUS_OK);
    assert_slice(get(f, "user:1").value, "new");
    close(loader);
}

static void expect_faulty(struct fixture *f, struct slice *patterns, uint32_t count, const char *why)
{
    SAY(f, offer, .wait_ms = 0, .patterns = {count, patterns});
    struct wire_result r = expect_result(f);
    assert_int_equal(r.status, STATUS_BAD_REQUEST);
    assert_slice(r.message, why);
}

static void patterns_that_would_be_dropped_or_shift_the_others_are_refused(void **state)
{
    struct fixture *f = *state;
    struct slice patterns[LOADER_PATTERNS_MAX + 1];
    for (unsigned i = 0; i < COUNT_OF(patterns); i++)
        patterns[i] = S("a:*");
    expect_faulty(f, patterns, LOADER_PATTERNS_MAX + 1, "offer: a number or length over its limit");
    patterns[1] = S("");
    expect_faulty(f, patterns, 3, "patterns: one is empty");
    patterns[1] = S(" \t");
    expect_faulty(f, patterns, 3, "patterns: one is empty");
    patterns[1] = S("b:*");
    SAY(f, offer, .wait_ms = 0, .patterns = {LOADER_PATTERNS_MAX, patterns});
    assert_int_equal(expect_load(f).kind, WIRE_LOAD_NOTHING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        GREETED(what_is_warmed_and_nowhere_is_asked_of_who_offered_it),
        GREETED(a_loader_that_goes_passes_its_key_to_the_next),
        GREETED(nothing_to_load_is_said_at_once_when_nobody_waits),
        GREETED(an_offer_of_nothing_and_one_that_makes_no_sense_are_told_so),
        GREETED(patterns_that_would_be_dropped_or_shift_the_others_are_refused),
        BOUND(a_bound_connection_offers_what_is_its_tenants),
        GREETED(offers_leave_room_for_what_they_bring),
        GREETED(a_drain_answers_offers_with_nothing),
        GREETED(a_key_for_a_connection_that_ended_while_a_tier_was_asked_comes_back),
        GREETED(a_reader_of_a_stale_key_makes_a_loader_refresh_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
