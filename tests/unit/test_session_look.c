/* Tenants, listings and documents: what a connection may see, and what it may not. */
#include "support/session_rig.h"

#include <endian.h>

DEFINE_SAY(lease)
DEFINE_SAY(tag)

/* ======= tenants ======= */

static void a_bound_connection_names_only_its_own_keys(void **state)
{
    struct fixture *f = *state;
    struct slice foreign = S("acmex:1");
    assert_int_equal(set(f, "acme:1", "v", NULL), STATUS_OK);
    assert_int_equal(get(f, "acme:1").status, STATUS_HIT);
    assert_int_equal(set(f, "other:1", "v", NULL), STATUS_DENIED);
    assert_int_equal(get(f, "acme").status, STATUS_DENIED);
    SAY(f, touch, .keys = {1, &foreign});
    assert_int_equal(expect_outcome(f).status, STATUS_DENIED);
    SAY(f, invalidate, .keys = {1, &foreign});
    expect_status(f, STATUS_DENIED);
    SAY(f, invalidate, .prefixes = {1, &foreign});
    expect_status(f, STATUS_DENIED);
    SAY(f, explain, .key = foreign);
    expect_status(f, STATUS_DENIED);
    SAY(f, keys, .prefix = foreign);
    expect_status(f, STATUS_DENIED);
}

static void tags_of_two_tenants_are_two_tags(void **state)
{
    struct fixture *f = *state;
    struct slice tag = S("t"), long_name = S("acme:t");
    int unbound = connect_session(f), bound = f->fd;
    set(f, "acme:1", "v", "t");
    f->fd = unbound;
    greet_as(f, "", 0);
    SAY(f, invalidate, .tags = {1, &tag});
    expect_status(f, STATUS_OK);
    f->fd = bound;
    assert_int_equal(get(f, "acme:1").status, STATUS_HIT);
    f->fd = unbound;
    SAY(f, invalidate, .tags = {1, &long_name});
    expect_status(f, STATUS_OK);
    assert_int_equal(get(f, "acme:1").status, STATUS_MISS);
    close(bound);
}

static void everything_of_a_bound_connection_is_the_tenants(void **state)
{
    struct fixture *f = *state;
    int unbound = connect_session(f), bound = f->fd;
    set(f, "acme:1", "v", NULL);
    f->fd = unbound;
    greet_as(f, "", 0);
    set(f, "other:1", "v", NULL);
    f->fd = bound;
    SAY(f, invalidate, .flags = WIRE_INVALIDATE_ALL);
    expect_status(f, STATUS_OK);
    assert_int_equal(get(f, "acme:1").status, STATUS_MISS);
    f->fd = unbound;
    assert_int_equal(get(f, "other:1").status, STATUS_HIT);
    close(bound);
}

/* Pages of a listing, each after the cursor of the one before; asserts that each key is the tenant's. */
static unsigned count_own_keys(struct fixture *f, struct slice prefix)
{
    char cursor[WIRE_TOKEN_MAX];
    struct wire_page page = {0};
    unsigned seen = 0;
    do {
        SAY(f, keys, .cursor = slice_of(cursor, page.cursor.size), .prefix = prefix, .limit = 3);
        page = expect_page(f);
        struct reader list = reader_of(page.held.raw);
        struct wire_held held;
        for (; wire_next_held(&list, &held); seen++)
            assert_true(held.key.size > 5 && memcmp(held.key.data, "acme:", 5) == 0);
        memcpy(cursor, page.cursor.data, page.cursor.size);
    } while (page.cursor.size);
    return seen;
}

static void a_bound_connection_lists_only_its_own_keys(void **state)
{
    struct fixture *f = *state;
    static const char *const others[] = {"acmf:1", "acme", "acmex:2", "other:3", "ACME:4", "b:acme:5"};
    int unbound = connect_session(f), bound = f->fd;
    f->fd = unbound;
    greet_as(f, "", 0);
    for (unsigned i = 0; i < COUNT_OF(others); i++)
        assert_int_equal(set(f, others[i], "v", NULL), STATUS_OK);
    assert_int_equal(set(f, "acme:a:1", "v", NULL), STATUS_OK);
    assert_int_equal(set(f, "acme:b:2", "v", NULL), STATUS_OK);
    f->fd = bound;
    assert_int_equal(count_own_keys(f, S("")), 2);
    assert_int_equal(count_own_keys(f, S("acme:b:")), 1);
    for (uint64_t number = 1; number; number <<= 1) { /* cursors of nobody's */
        uint64_t cursor = htobe64(number);
        SAY(f, keys, .cursor = slice_of(&cursor, sizeof(cursor)), .limit = 100);
        struct wire_page page = expect_page(f);
        struct reader list = reader_of(page.held.raw);
        struct wire_held held;
        while (wire_next_held(&list, &held))
            assert_true(held.key.size > 5 && memcmp(held.key.data, "acme:", 5) == 0);
    }
    close(unbound);
}

static void a_bound_connection_explains_only_its_own_keys(void **state)
{
    struct fixture *f = *state;
    static const char *const others[] = {"acme", "acmex:1", "other:1", ":acme:1", "Acme:1"};
    for (unsigned i = 0; i < COUNT_OF(others); i++) {
        SAY(f, explain, .key = S(others[i]));
        struct wire_result m = expect_result(f);
        assert_int_equal(m.status, STATUS_DENIED);
        assert_null(memmem(m.message.data, m.message.size, "other", 5));
    }
    SAY(f, explain, .key = S("acme:1"));
    struct wire_document m = expect_document(f);
    assert_non_null(memmem(m.json.data, m.json.size, "acme:1", 6));
}

static void a_tenant_has_no_colon(void **state)
{
    struct fixture *f = *state;
    SAY(f, hello, .version_min = 1, .version_max = 1, .tenant = S("a:b"));
    expect_status(f, STATUS_BAD_REQUEST);
}

/* ======= looking in ======= */

static void keys_are_listed_page_by_page(void **state)
{
    struct fixture *f = *state;
    char key[20];
    unsigned seen = 0;
    for (unsigned i = 0; i < 10; i++) {
        snprintf(key, sizeof(key), "%s:%u", i % 2 ? "odd" : "even", i);
        set(f, key, "v", NULL);
    }
    char cursor[WIRE_TOKEN_MAX];
    struct wire_page page = {0};
    do {
        SAY(f, keys, .cursor = slice_of(cursor, page.cursor.size), .prefix = S("odd:"), .limit = 2);
        page = expect_page(f);
        assert_true(page.held.count <= 2);
        seen += page.held.count;
        memcpy(cursor, page.cursor.data, page.cursor.size);
    } while (page.cursor.size);
    assert_int_equal(seen, 5);
}

static void a_cursor_of_another_shape_is_refused(void **state)
{
    struct fixture *f = *state;
    SAY(f, keys, .cursor = S("abc"));
    expect_status(f, STATUS_BAD_REQUEST);
}

static void documents_come_from_the_host(void **state)
{
    struct fixture *f = *state;
    say_stats(f, &(struct wire_stats){});
    assert_slice(expect_document(f).json, "{\"kind\":0,\"key\":\"\",\"status\":-1}");
}

static void the_doctor_of_a_host_by_itself_answers_at_once(void **state)
{
    struct fixture *f = *state;
    SAY(f, doctor, .timeout_ms = 100);
    assert_slice(expect_document(f).json, "{\"kind\":4,\"key\":\"\",\"status\":-1}");
}

static void outcomes_and_the_welcome_tell_partitions(void **state)
{
    struct fixture *f = *state;
    struct slice key = S("k");
    assert_int_equal(greet_as(f, "", 0).partitions, 1);
    ask_set(f, "k", S("v"), NULL);
    struct wire_outcome told = expect_outcome(f);
    assert_int_equal(told.partition, 0);
    SAY(f, get, .keys = {1, &key}, .after_epoch = told.epoch, .after_v = told.v);
    assert_int_equal(expect_entry(f).status, STATUS_HIT);
}

static void every_request_of_each_kind_counts_from_the_first_on(void **state)
{
    struct fixture *f = *state;
    struct session_times times;
    set(f, "k", "v", NULL);
    get(f, "k");
    for (unsigned class = CLASS_GET; class <= CLASS_SET; class ++) {
        sessions_times(f->sessions, class, &times);
        assert_int_equal(times.count, 1);
        assert_true(times.sum_ns > 0 && times.p50_ns > 0 && times.p99_ns <= times.max_ns);
    }
    for (unsigned i = 1; i <= 100; i++)
        get(f, "k");
    sessions_times(f->sessions, CLASS_GET, &times);
    assert_int_equal(times.count, 101);
    assert_int_equal(session_times_of(&f->space.times[CLASS_GET]).count, 101);
    assert_int_equal(session_times_of(&f->space.times[CLASS_SET]).count, 1);
}

/* Runs turns until requests of that reach were answered; returns how many requests there were in the last of those turns, and
 * how long it was at most. */
static uint64_t turn_to(struct fixture *f, enum session_reach reach, uint64_t *ret_ns)
{
    struct session_times times;
    uint64_t began_ns, before;
    do {
        before = figures(f).requests;
        began_ns = clock_boot_ns();
        loop_run_once(f->loop);
        *ret_ns = clock_boot_ns() - began_ns;
        sessions_times_to(f->sessions, CLASS_GET, reach, &times);
    } while (times.count == 0);
    return figures(f).requests - before;
}

static void who_is_in_no_sample_takes_its_share_of_the_turn_and_not_all_that_went_before(void **state)
{
    enum { REQUESTS = 64 }; /* the sample has the first, and not the last: numbers 1, 4, 8, 28, 41, 54, 72 */
    struct fixture *f = *state;
    struct buffer b = {.limit = 1 << 20};
    struct slice key = S("k"), none = S("nowhere");
    struct session_times times;
    uint64_t turn_ns;
    set(f, "k", "v", NULL);
    for (unsigned i = 1; i <= REQUESTS; i++) {
        struct wire_get m = {.keys = {1, i < REQUESTS ? &key : &none}};
        assert_int_equal(wire_write_get(&b, i, &m, 1 << 20), 0);
    }
    say_bytes(f, b.data, b.size);
    buffer_finish(&b);
    uint64_t requests = turn_to(f, REACH_MISS, &turn_ns);
    sessions_times_to(f->sessions, CLASS_GET, REACH_MISS, &times);
    assert_int_equal(times.count, 1);
    assert_true(times.sum_ns * requests <= turn_ns);
}

static uint64_t timed_by_policy(const struct fixture *f, enum timed of)
{
    struct took took;
    cache_measure_policy_took(f->cache, 0, of, &took);
    assert_int_equal(turns_within(&took.turns, UINT64_MAX), took.turns.count);
    return took.turns.count;
}

static void each_key_of_a_request_counts_for_its_policy(void **state)
{
    struct fixture *f = *state;
    struct slice keys[] = {S("a"), S("b"), S("c")}, key = S("leased");
    for (unsigned i = 0; i < 40; i++) {
        SAY(f, get, .keys = {3, keys});
        expect_values(f);
    }
    assert_int_equal(timed_by_policy(f, TIMED_GET), 120);
    SAY(f, lease, .keys = {1, &key});
    expect_values(f);
    assert_int_equal(timed_by_policy(f, TIMED_GET), 121);
    struct policy_figures figures;
    cache_measure_policy(f->cache, 0, &figures);
    assert_int_equal(figures.gets, 121);
    assert_int_equal(timed_by_policy(f, TIMED_SET), 0);
}

static void each_item_of_a_change_counts_for_its_policy(void **state)
{
    struct fixture *f = *state;
    struct slice keys[] = {S("a"), S("b"), S("c")}, tag = S("t");
    struct wire_item items[3] = {{.key = keys[0]}, {.key = keys[1]}, {.key = keys[2]}};
    for (unsigned i = 0; i < 3; i++)
        items[i].ttl_ms = items[i].stale_ms = WIRE_TTL_DEFAULT;
    for (unsigned i = 0; i < 40; i++) {
        SAY(f, set, .items = {3, items});
        expect_outcomes(f);
    }
    assert_int_equal(timed_by_policy(f, TIMED_SET), 120);
    SAY(f, touch, .keys = {3, keys}, .ttl_ms = 100000);
    expect_outcomes(f);
    assert_int_equal(timed_by_policy(f, TIMED_SET), 123);
    SAY(f, tag, .keys = {3, keys}, .tags = {1, &tag});
    expect_outcomes(f);
    assert_int_equal(timed_by_policy(f, TIMED_SET), 126);
    assert_int_equal(timed_by_policy(f, TIMED_GET), 0);
}

static void a_change_that_waits_counts_once_for_its_policy(void **state)
{
    struct fixture *f = *state;
    f->warm.unsafe = true;
    ask_set(f, "k", S("v"), NULL);
    while (!figures(f).requests_in_flight)
        loop_run_once(f->loop);
    assert_int_equal(timed_by_policy(f, TIMED_SET), 0);
    table_tier_commit(&f->warm);
    assert_int_equal(expect_outcome(f).status, STATUS_OK);
    assert_int_equal(timed_by_policy(f, TIMED_SET), 1);
}

static void what_is_refused_counts_for_no_policy(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(get(f, "").status, STATUS_BAD_KEY);
    assert_int_equal(timed_by_policy(f, TIMED_GET), 0);
    assert_int_equal(set(f, "", "v", NULL), STATUS_BAD_KEY);
    assert_int_equal(timed_by_policy(f, TIMED_SET), 0);
}

static void count_took(void *user, struct slice name, const struct tenant *t, const struct took *took)
{
    uint64_t *sums = user;
    assert_slice(name, "acme");
    assert_int_equal(t->misses, 2);
    for (enum timed of = 0; of < TIMED_COUNT; of++)
        sums[of] += took[of].turns.count;
}

static void keys_of_a_bound_connection_count_for_its_tenant(void **state)
{
    struct fixture *f = *state;
    uint64_t took[TIMED_COUNT] = {0};
    get(f, "acme:1");
    get(f, "acme:2");
    get(f, "other:1"); /* denied */
    set(f, "acme:1", "v", NULL);
    set(f, "acme:2", "v", NULL);
    set(f, "acme:3", "v", NULL);
    set(f, "other:1", "v", NULL); /* denied */
    tenants_each(cache_tenants(f->cache), count_took, took);
    assert_int_equal(took[TIMED_GET], 2);
    assert_int_equal(took[TIMED_SET], 3);
    assert_int_equal(timed_by_policy(f, TIMED_GET), 2);
    assert_int_equal(timed_by_policy(f, TIMED_SET), 3);
}

static uint64_t timed_to(struct fixture *f, enum session_reach reach)
{
    struct session_times times;
    sessions_times_to(f->sessions, CLASS_GET, reach, &times);
    assert_int_equal(sessions_times_within(f->sessions, CLASS_GET, reach, UINT64_MAX), times.count);
    return times.count;
}

static void a_get_is_timed_by_the_farthest_any_of_its_keys_had_to_go(void **state)
{
    struct fixture *f = *state;
    struct slice both[] = {S("k"), S("nowhere")};
    set(f, "k", "v", NULL);
    get(f, "k");
    assert_int_equal(timed_to(f, REACH_L1), 1);
    SAY(f, get, .keys = {2, both});
    expect_values(f);
    assert_int_equal(timed_to(f, REACH_MISS), 1);
    f->l1.ops.drop(&f->l1.tier, S("k"), 0, UINT64_MAX);
    f->warm.slow = true;
    SAY(f, get, .keys = {1, both});
    while (!f->warm.waiting_count)
        loop_run_once(f->loop);
    table_tier_land(&f->warm);
    assert_int_equal(expect_entry(f).tier, TIER_WARM);
    assert_int_equal(timed_to(f, REACH_WARM), 1);
    assert_int_equal(timed_to(f, REACH_L1), 1);
    struct session_times all;
    sessions_times(f->sessions, CLASS_GET, &all);
    assert_int_equal(all.count, 3);
}

static void explain_waits_for_a_slow_tier(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "v", NULL);
    f->l1.ops.drop(&f->l1.tier, S("k"), 0, UINT64_MAX);
    f->warm.slow = true;
    SAY(f, explain, .key = S("k"));
    while (!f->warm.waiting_count)
        loop_run_once(f->loop);
    table_tier_land(&f->warm);
    assert_slice(expect_document(f).json, "{\"kind\":2,\"key\":\"k\",\"status\":1}");
}

enum { NEVER = 1 << 30 };

static void a_report_that_takes_turns_is_answered_when_it_is_made_and_holds_nobody_up(void **state)
{
    struct fixture *f = *state;
    f->documents_later = 100;
    SAY(f, report, .days = 1);
    SAY(f, ping, .payload = S(""));
    expect_pong(f);
    assert_in_range(f->documents_later, 1, 99);
    assert_slice(expect_document(f).json, "{\"kind\":6,\"key\":\"\",\"status\":-1}");
    assert_int_equal(f->documents_asked, 101);
}

static void a_report_that_takes_too_long_is_told_so_and_asked_for_no_more(void **state)
{
    struct fixture *f = *state;
    f->options.request_timeout = NS_PER_MS;
    f->documents_later = NEVER;
    SAY(f, report, .days = 1);
    expect_status(f, STATUS_TIMEOUT);
    unsigned asked = f->documents_asked;
    SAY(f, ping, .payload = S(""));
    expect_pong(f);
    assert_int_equal(f->documents_asked, asked);
}

static void a_report_is_made_no_more_for_who_has_gone(void **state)
{
    struct fixture *f = *state;
    int asker = f->fd;
    f->documents_later = NEVER;
    SAY(f, report, .days = 1);
    while (!f->documents_asked)
        loop_run_once(f->loop);
    f->fd = connect_session(f);
    greet_as(f, "", 0);
    close(asker);
    struct session_figures figures;
    do {
        loop_run_once(f->loop);
        sessions_measure(f->sessions, &figures);
    } while (figures.client_connections == 2);
    SAY(f, ping, .payload = S("")); /* a turn in which that is noticed */
    expect_pong(f);
    unsigned asked = f->documents_asked;
    SAY(f, ping, .payload = S(""));
    expect_pong(f);
    assert_int_equal(f->documents_asked, asked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOUND(a_bound_connection_names_only_its_own_keys),
        BOUND(tags_of_two_tenants_are_two_tags),
        BOUND(everything_of_a_bound_connection_is_the_tenants),
        BOUND(a_bound_connection_lists_only_its_own_keys),
        BOUND(a_bound_connection_explains_only_its_own_keys),
        CONNECTED(a_tenant_has_no_colon),
        GREETED(keys_are_listed_page_by_page),
        GREETED(a_cursor_of_another_shape_is_refused),
        GREETED(documents_come_from_the_host),
        GREETED(the_doctor_of_a_host_by_itself_answers_at_once),
        GREETED(outcomes_and_the_welcome_tell_partitions),
        GREETED(every_request_of_each_kind_counts_from_the_first_on),
        GREETED(who_is_in_no_sample_takes_its_share_of_the_turn_and_not_all_that_went_before),
        GREETED(each_key_of_a_request_counts_for_its_policy),
        GREETED(each_item_of_a_change_counts_for_its_policy),
        GREETED(a_change_that_waits_counts_once_for_its_policy),
        GREETED(what_is_refused_counts_for_no_policy),
        BOUND(keys_of_a_bound_connection_count_for_its_tenant),
        GREETED(a_get_is_timed_by_the_farthest_any_of_its_keys_had_to_go),
        GREETED(a_report_that_takes_turns_is_answered_when_it_is_made_and_holds_nobody_up),
        GREETED(a_report_that_takes_too_long_is_told_so_and_asked_for_no_more),
        GREETED(a_report_is_made_no_more_for_who_has_gone),
        GREETED(explain_waits_for_a_slow_tier),
    };
    return cmocka_run_group_tests_name("session_look", tests, NULL, NULL);
}
