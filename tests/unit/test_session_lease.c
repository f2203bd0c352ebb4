/* LEASE and FAIL over connections: who is told what, and that no lease is lost on its way. */
#include "support/session_rig.h"

#define LEASE(f, text, ...)                                  \
    do {                                                     \
        struct slice lease_key = S(text);                    \
        SAY(f, lease, .keys = {1, &lease_key}, __VA_ARGS__); \
    } while (0)

DEFINE_SAY(lease)
DEFINE_SAY(fail)

static struct cache_figures counted(const struct fixture *f)
{
    struct cache_figures figures;
    cache_measure(f->cache, &figures);
    return figures;
}

/* Another connection; its end takes the place of the first. */
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
    assert_int_equal(f->in.size, 0); /* nothing unread of the one that is left */
    f->fd = *other;
    *other = fd;
}

static void wait_for(struct fixture *f, uint64_t waits)
{
    while (counted(f).load_waits < waits)
        loop_run_once(f->loop);
}

static void fill(struct fixture *f, const char *key, const char *value, const struct wire_entry *leased)
{
    uint8_t token[64];
    memcpy(token, leased->token.data, leased->token.size);
    struct wire_item item = {.key = S(key),
                             .value = S(value),
                             .ttl_ms = WIRE_TTL_DEFAULT,
                             .stale_ms = WIRE_TTL_DEFAULT,
                             .token = slice_of(token, leased->token.size)};
    SAY(f, set, .items = {.count = 1, .items = &item});
}

/* The token outlives the reply it came in. */
struct kept {
    struct wire_entry entry;
    uint8_t token[64];
};

static struct wire_entry *lease(struct fixture *f, struct kept *k, const char *key)
{
    LEASE(f, key, 0);
    k->entry = expect_entry(f);
    memcpy(k->token, k->entry.token.data, k->entry.token.size);
    k->entry.token.data = k->token;
    assert_string_equal(status_name(k->entry.status), "LEASE");
    return &k->entry;
}

static void the_second_waits_until_the_first_has_filled(void **state)
{
    struct fixture *f = *state;
    struct kept k;
    lease(f, &k, "k");
    int other = another(f);
    LEASE(f, "k", .wait_ms = 60000);
    wait_for(f, 1);
    use(f, &other);
    fill(f, "k", "v", &k.entry);
    assert_int_equal(expect_outcome(f).status, STATUS_OK);
    use(f, &other);
    struct wire_entry e = expect_entry(f);
    assert_int_equal(e.status, STATUS_HIT);
    assert_true(slice_equal(e.value, S("v")));
    assert_int_equal(e.token.size, 0);
    close(other);
}

static void a_connection_that_ends_passes_its_leases_on(void **state)
{
    struct fixture *f = *state;
    struct kept k;
    lease(f, &k, "k");
    int other = another(f);
    LEASE(f, "k", .wait_ms = 60000);
    wait_for(f, 1);
    close(other);
    assert_string_equal(status_name(expect_entry(f).status), "LEASE");
}

static void a_lease_for_somebody_who_left_while_a_tier_was_asked_is_not_given(void **state)
{
    struct fixture *f = *state;
    f->warm.slow = true;
    LEASE(f, "k", 0);
    while (!f->warm.waiting_count)
        loop_run_once(f->loop);
    close(f->fd);
    f->fd = -1;
    while (figures(f).client_connections)
        loop_run_once(f->loop);
    table_tier_land(&f->warm);
    assert_int_equal(counted(f).leases, 0);
}

static void a_lease_that_comes_after_the_deadline_goes_back(void **state)
{
    struct fixture *f = *state;
    f->options.request_timeout = NS_PER_MS;
    f->warm.slow = true;
    LEASE(f, "k", 0);
    struct wire_entry e = expect_entry(f);
    assert_int_equal(e.status, STATUS_MISS);
    assert_int_equal(e.reason, MISS_TIMEOUT);
    table_tier_land(&f->warm);
    assert_int_equal(counted(f).loads, 1);
    assert_int_equal(counted(f).loads_passed_on, 1);
    assert_int_equal(counted(f).leases, 0);
}

static void a_lease_whose_reply_finds_no_room_goes_back(void **state)
{
    struct fixture *f = *state;
    enum { ASKED = 40 };
    unsigned leases = 0, busy = 0;
    char key[16];
    f->options.write_stop = f->options.write_kill = 500;
    f->warm.slow = true;
    for (unsigned i = 0; i < ASKED; i++) {
        snprintf(key, sizeof(key), "k%u", i);
        LEASE(f, key, 0);
    }
    while (figures(f).requests_in_flight < ASKED)
        loop_run_once(f->loop);
    while (f->warm.waiting_count)
        table_tier_land(&f->warm); /* answers all in one turn */
    for (unsigned i = 0; i < ASKED; i++) {
        struct wire_entry e = expect_entry(f);
        leases += e.status == STATUS_LEASE;
        busy += e.status == STATUS_BUSY;
    }
    assert_int_equal(leases + busy, ASKED);
    assert_in_range(leases, 1, ASKED - 1);
    assert_int_equal(counted(f).leases, leases);
}

static void a_failure_is_told_and_the_key_rests(void **state)
{
    struct fixture *f = *state;
    struct kept k;
    lease(f, &k, "k");
    SAY(f, fail, .key = S("k"), .token = k.entry.token, .backoff_ms = 5000);
    expect_status(f, STATUS_OK);
    LEASE(f, "k", .wait_ms = 60000);
    struct wire_entry e = expect_entry(f);
    assert_string_equal(status_name(e.status), "LOAD_FAILED");
    assert_in_range(e.ttl_ms, 4000, 5000);
    SAY(f, fail, .key = S("k"), .token = k.entry.token);
    expect_status(f, STATUS_REFUSED);
}

static void a_lease_may_be_given_back(void **state)
{
    struct fixture *f = *state;
    struct kept k;
    lease(f, &k, "k");
    SAY(f, fail, .key = S("k"), .token = k.entry.token, .backoff_ms = WIRE_NO_BACKOFF);
    expect_status(f, STATUS_OK);
    lease(f, &k, "k");
}

static void foreign_tokens_fail_nothing(void **state)
{
    struct fixture *f = *state;
    struct kept k;
    lease(f, &k, "k");
    SAY(f, fail, .key = S("other"), .token = k.entry.token);
    expect_status(f, STATUS_REFUSED);
    SAY(f, fail, .key = S("k"), .token = S("what is this"));
    expect_status(f, STATUS_REFUSED);
    SAY(f, fail, .key = S("k"), .token = S(""));
    expect_status(f, STATUS_REFUSED);
    assert_int_equal(counted(f).leases, 1);
}

static void the_token_of_a_miss_is_no_lease(void **state)
{
    struct fixture *f = *state;
    ask(f, "k");
    struct wire_entry miss = expect_entry(f);
    uint8_t token[64];
    memcpy(token, miss.token.data, miss.token.size);
    SAY(f, fail, .key = S("k"), .token = slice_of(token, miss.token.size));
    expect_status(f, STATUS_REFUSED);
}

static void a_batch_with_one_key_twice_does_not_wait_for_itself(void **state)
{
    struct fixture *f = *state;
    struct slice keys[] = {S("k"), S("k")};
    SAY(f, lease, .keys = {2, keys}, .wait_ms = 60000);
    struct wire_values m = expect_values(f);
    struct reader r = reader_of(m.entries.raw);
    struct wire_entry first, second;
    assert_true(wire_next_entry(&r, &first) && wire_next_entry(&r, &second));
    assert_string_equal(status_name(first.status), "LEASE");
    assert_string_equal(status_name(second.status), "WAIT");
}

static void waits_leave_room_for_the_fill_they_wait_for(void **state)
{
    struct fixture *f = *state;
    struct kept k;
    f->options.requests_in_flight = 8;
    lease(f, &k, "k");
    for (unsigned i = 0; i < 7; i++)
        LEASE(f, "k", .wait_ms = 60000);
    wait_for(f, 7);
    LEASE(f, "k", .wait_ms = 60000);
    assert_string_equal(status_name(expect_entry(f).status), "WAIT");
    fill(f, "k", "v", &k.entry);
    for (unsigned i = 0; i < 7; i++)
        assert_int_equal(expect_entry(f).status, STATUS_HIT);
    assert_int_equal(expect_outcome(f).status, STATUS_OK);
}

static void a_lease_of_no_key_is_answered_with_none(void **state)
{
    struct fixture *f = *state;
    SAY(f, lease, .wait_ms = 1);
    assert_int_equal(expect_values(f).entries.count, 0);
}

static void values_may_be_left_out(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "v", NULL);
    LEASE(f, "k", .flags = WIRE_GET_NO_VALUE);
    struct wire_entry e = expect_entry(f);
    assert_int_equal(e.status, STATUS_HIT);
    assert_int_equal(e.value.size, 0);
}

static void a_drain_answers_who_waits(void **state)
{
    struct fixture *f = *state;
    struct kept k;
    lease(f, &k, "k");
    int other = another(f);
    LEASE(f, "k", .wait_ms = 60000);
    wait_for(f, 1);
    drain(f, 3600 * NS_PER_S);
    assert_string_equal(status_name(expect_entry(f).status), "WAIT");
    expect_hang_up(f);
    close(other);
}

#define GREETED(name) cmocka_unit_test_setup_teardown(name, begin_greeted, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        GREETED(the_second_waits_until_the_first_has_filled),
        GREETED(a_connection_that_ends_passes_its_leases_on),
        GREETED(a_lease_for_somebody_who_left_while_a_tier_was_asked_is_not_given),
        GREETED(a_lease_that_comes_after_the_deadline_goes_back),
        GREETED(a_lease_whose_reply_finds_no_room_goes_back),
        GREETED(a_failure_is_told_and_the_key_rests),
        GREETED(a_lease_may_be_given_back),
        GREETED(foreign_tokens_fail_nothing),
        GREETED(the_token_of_a_miss_is_no_lease),
        GREETED(a_batch_with_one_key_twice_does_not_wait_for_itself),
        GREETED(waits_leave_room_for_the_fill_they_wait_for),
        GREETED(a_lease_of_no_key_is_answered_with_none),
        GREETED(values_may_be_left_out),
        GREETED(a_drain_answers_who_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
