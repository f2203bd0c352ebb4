/* What a client that keeps to the protocol is answered: HELLO and each verb. */
#include "support/session_rig.h"

/* ======= hello ======= */

static void hello_is_answered_with_names_and_limits(void **state)
{
    struct fixture *f = *state;
    struct wire_welcome w = greet_as(f, "", 0);
    assert_slice(w.namespace, "default");
    assert_slice(w.daemon, "test");
    assert_int_equal(w.version, 1);
    assert_int_equal(w.key_max, WIRE_KEY_MAX);
    assert_int_equal(w.value_max, 100000);
    assert_true(w.frame_max >= w.value_max + WIRE_FRAME_ROOM);
    assert_int_equal(w.descriptors, 0);
}

static void segment_and_touch_page_come_with_the_welcome(void **state)
{
    struct fixture *f = *state;
    struct wire_welcome w = greet_as(f, "", WIRE_WANT_SEGMENT | WIRE_WANT_TOUCH);
    assert_int_equal(w.descriptors, 2);
    assert_int_equal(f->fds_count, 2);
    assert_int_equal(w.incarnation, 77);
    assert_int_equal(w.why_no_segment.size, 0);
    assert_int_equal(f->touch_pages, 1);
}

static void attaching_again_replaces_the_touch_page(void **state)
{
    struct fixture *f = *state;
    greet_as(f, "", WIRE_WANT_SEGMENT | WIRE_WANT_TOUCH);
    greet_as(f, "", WIRE_WANT_SEGMENT | WIRE_WANT_TOUCH);
    assert_int_equal(f->fds_count, 4);
    assert_int_equal(f->touch_pages, 1);
}

static void the_touch_page_goes_with_its_client(void **state)
{
    struct fixture *f = *state;
    greet_as(f, "", WIRE_WANT_SEGMENT | WIRE_WANT_TOUCH);
    close(f->fd);
    f->fd = -1;
    while (f->touch_pages)
        loop_run_once(f->loop);
}

static void a_clock_that_differs_gets_no_segment(void **state)
{
    struct fixture *f = *state;
    SAY(f, hello, .version_min = 1, .version_max = 1, .want = WIRE_WANT_SEGMENT,
        .mono_ns = clock_mono_ns() + NS_PER_S, .boot_ns = clock_boot_ns());
    struct wire_welcome w = expect_welcome(f);
    assert_int_equal(w.descriptors, 0);
    assert_true(w.why_no_segment.size > 0);
}

static void a_bound_connection_gets_no_segment(void **state)
{
    struct fixture *f = *state;
    struct wire_welcome w = greet_as(f, "acme", WIRE_WANT_SEGMENT);
    assert_int_equal(w.descriptors, 0);
    assert_non_null(memmem(w.why_no_segment.data, w.why_no_segment.size, "tenant", 6));
}

static void a_secret_namespace_gives_no_segment(void **state)
{
    struct fixture *f = *state;
    f->space.secret = true;
    struct wire_welcome w = greet_as(f, "", WIRE_WANT_SEGMENT);
    assert_int_equal(w.descriptors, 0);
    assert_non_null(memmem(w.why_no_segment.data, w.why_no_segment.size, "secret", 6));
}

static void no_version_in_common_says_so(void **state)
{
    struct fixture *f = *state;
    SAY(f, hello, .version_min = 200, .version_max = 201);
    expect_status(f, STATUS_BAD_VERSION);
    greet_as(f, "", 0); /* and may try again */
}

static void an_unknown_namespace_says_so(void **state)
{
    struct fixture *f = *state;
    SAY(f, hello, .version_min = 1, .version_max = 1, .namespace = S("other"));
    expect_status(f, STATUS_NO_NAMESPACE);
}

static void nobody_leaves_the_tenant_he_is_bound_to(void **state)
{
    struct fixture *f = *state;
    greet_as(f, "acme", 0);
    SAY(f, hello, .version_min = 1, .version_max = 1, .tenant = S(""));
    expect_status(f, STATUS_DENIED);
    assert_int_equal(get(f, "other:1").status, STATUS_DENIED);
}

static void ping_works_before_hello(void **state)
{
    struct fixture *f = *state;
    SAY(f, ping, .payload = S("are you there"));
    assert_slice(expect_pong(f).payload, "are you there");
}

static void everything_else_waits_for_hello(void **state)
{
    struct fixture *f = *state;
    ask(f, "k");
    expect_status(f, STATUS_BAD_REQUEST);
    greet_as(f, "", 0);
}

static void a_large_frame_before_hello_is_a_broken_one(void **state)
{
    struct fixture *f = *state;
    say_bytes(f, "\0\0\x10\1", 4); /* 4097 */
    expect_status(f, STATUS_BAD_FRAME);
    expect_hang_up(f);
}

/* ======= get and set ======= */

static void what_was_set_is_found(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(set(f, "k", "value", NULL), STATUS_OK);
    struct wire_entry e = get(f, "k");
    assert_int_equal(e.status, STATUS_HIT);
    assert_int_equal(e.tier, TIER_L1);
    assert_slice(e.value, "value");
    assert_in_range(e.ttl_ms, 1, 60000);
}

static void a_miss_carries_reason_and_token(void **state)
{
    struct fixture *f = *state;
    struct wire_entry e = get(f, "k");
    assert_int_equal(e.status, STATUS_MISS);
    assert_int_equal(e.reason, MISS_COLD);
    assert_true(e.token.size > 0);
}

static void a_batch_is_answered_in_the_order_of_its_keys(void **state)
{
    struct fixture *f = *state;
    set(f, "a", "1", NULL);
    set(f, "c", "3", NULL);
    struct slice keys[] = {S("a"), S("b"), S("c")};
    SAY(f, get, .keys = {3, keys});
    struct wire_values m = expect_values(f);
    struct reader r = reader_of(m.entries.raw);
    const unsigned expected[] = {STATUS_HIT, STATUS_MISS, STATUS_HIT};
    for (unsigned i = 0; i < 3; i++) {
        struct wire_entry e;
        assert_true(wire_next_entry(&r, &e));
        assert_int_equal(e.status, expected[i]);
    }
}

static void a_batch_with_a_slow_key_keeps_order_and_values(void **state)
{
    struct fixture *f = *state;
    set(f, "slow", "from warm", NULL);
    set(f, "fast", "from l1", NULL);
    f->l1.ops.drop(&f->l1.tier, S("slow"), 0, UINT64_MAX);
    f->warm.slow = true;
    struct slice keys[] = {S("slow"), S("fast")};
    SAY(f, get, .keys = {2, keys});
    while (!f->warm.waiting_count)
        loop_run_once(f->loop);
    set(f, "fast", "changed", NULL); /* the batch has its own copy of what it saw */
    table_tier_land(&f->warm);
    struct wire_values m = expect_values(f);
    struct reader r = reader_of(m.entries.raw);
    struct wire_entry e;
    assert_true(wire_next_entry(&r, &e));
    assert_slice(e.value, "from warm");
    assert_true(wire_next_entry(&r, &e));
    assert_slice(e.value, "from l1");
}

static void later_requests_overtake_one_that_waits(void **state)
{
    struct fixture *f = *state;
    struct wire_head head;
    struct reader fields;
    f->warm.slow = true;
    ask(f, "slow");
    uint64_t ping = SAY(f, ping, .payload = S(""));
    assert_true(hear(f, &head, &fields));
    assert_int_equal(head.id, ping);
    table_tier_land(&f->warm);
    assert_true(hear(f, &head, &fields));
    assert_int_equal(head.id, ping - 1);
}

static void every_request_has_exactly_one_reply(void **state)
{
    struct fixture *f = *state;
    enum { ROUNDS = 300 };
    uint8_t seen[ROUNDS + 2] = {0};
    struct buffer b = {.limit = 1 << 24};
    struct slice keys[] = {S("a"), S("b")};
    struct wire_item item = {.key = S("a"), .value = S("x"), .ttl_ms = WIRE_TTL_DEFAULT};
    uint64_t first = f->next_id + 1;
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t id = ++f->next_id;
        if (i % 3 == 0)
            wire_write_get(&b, id, &(struct wire_get){.keys = {2, keys}}, 4096);
        else if (i % 3 == 1)
            wire_write_set(&b, id, &(struct wire_set){.items = {1, &item}}, 4096);
        else
            wire_write_values(&b, id, &(struct wire_values){0}, 4096); /* not a request at all */
    }
    f->warm.slow = true;
    say_bytes(f, b.data, b.size);
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct wire_head head;
        struct reader fields;
        while (f->in.size == 0 && hear_some(f) < 0) {
            table_tier_land(&f->warm);
            loop_run_once(f->loop);
        }
        assert_true(hear(f, &head, &fields));
        assert_int_equal(seen[head.id - first]++, 0);
    }
    assert_int_equal(f->in.size, 0);
    buffer_finish(&b);
}

static void entries_that_do_not_fit_are_to_be_asked_alone(void **state)
{
    struct fixture *f = *state;
    static char big[250];
    enum { KEYS = 1024 };
    static struct slice keys[KEYS];
    memset(big, 'v', sizeof(big) - 1);
    assert_int_equal(set(f, "k", big, NULL), STATUS_OK);
    f->cache_options.max_value = 1; /* frames of 256 KiB: 1,024 times 250 bytes and heads are more */
    int other = connect_session(f), first = f->fd;
    f->fd = other;
    greet_as(f, "", 0);
    for (unsigned i = 0; i < KEYS; i++)
        keys[i] = S("k");
    SAY(f, get, .keys = {KEYS, keys});
    struct wire_values m = expect_values(f);
    struct reader r = reader_of(m.entries.raw);
    struct wire_entry e;
    unsigned hits = 0, alone = 0;
    while (wire_next_entry(&r, &e)) {
        hits += e.status == STATUS_HIT;
        alone += e.status == STATUS_ALONE;
    }
    assert_int_equal(hits + alone, KEYS);
    assert_true(hits > 100 && alone > 10);
    assert_int_equal(get(f, "k").status, STATUS_HIT);
    close(first);
}

static void a_change_is_answered_only_when_it_is_safe(void **state)
{
    struct fixture *f = *state;
    f->warm.unsafe = true;
    ask_set(f, "k", S("v"), NULL);
    while (!f->warm.barriers_count)
        loop_run_once(f->loop);
    SAY(f, ping, .payload = S(""));
    expect_pong(f); /* and not the outcome */
    table_tier_commit(&f->warm);
    assert_int_equal(expect_outcome(f).status, STATUS_OK);
}

static void touch_prolongs(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "v", NULL);
    struct slice key = S("k");
    SAY(f, touch, .ttl_ms = 500000, .keys = {1, &key});
    assert_int_equal(expect_outcome(f).status, STATUS_OK);
    assert_in_range(get(f, "k").ttl_ms, 60001, 500000);
}

static void a_get_past_its_deadline_is_a_miss_that_says_so(void **state)
{
    struct fixture *f = *state;
    f->warm.slow = true;
    struct slice keys[] = {S("a"), S("b")};
    SAY(f, get, .timeout_ms = 1, .keys = {1, keys});
    assert_int_equal(expect_entry(f).reason, MISS_TIMEOUT);
    SAY(f, get, .timeout_ms = 1, .keys = {2, keys});
    assert_int_equal(expect_values(f).entries.count, 2);
    table_tier_land(&f->warm); /* the late answers are dropped */
    SAY(f, ping, .payload = S(""));
    expect_pong(f);
    assert_int_equal(figures(f).requests_timed_out, 2);
    assert_int_equal(figures(f).requests_in_flight, 0);
}

static void a_change_past_its_deadline_is_unknown_and_goes_on(void **state)
{
    struct fixture *f = *state;
    f->warm.unsafe = true;
    f->options.request_timeout = NS_PER_MS;
    assert_int_equal(set(f, "k", "v", NULL), STATUS_UNKNOWN);
    assert_slice(get(f, "k").value, "v");
}

/* ======= invalidate ======= */

static void a_tag_kills_what_carries_it(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "v", "t");
    struct slice tag = S("t");
    SAY(f, invalidate, .tags = {1, &tag});
    expect_status(f, STATUS_OK);
    assert_int_equal(get(f, "k").status, STATUS_MISS);
}

static void a_key_is_counted(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "v", NULL);
    struct slice keys[] = {S("k"), S("not there")};
    SAY(f, invalidate, .keys = {2, keys});
    struct wire_result m = expect_result(f);
    assert_int_equal(m.status, STATUS_OK);
    assert_int_equal(m.count, 1);
}

static void naming_nothing_is_a_bad_request(void **state)
{
    struct fixture *f = *state;
    SAY(f, invalidate, .flags = WIRE_INVALIDATE_SOFT);
    expect_status(f, STATUS_BAD_REQUEST);
}

static unsigned glob_of_keys(struct fixture *f, const char *text)
{
    struct slice globs[] = {S(text), S("page:*:x")};
    SAY(f, invalidate, .globs = {2, globs});
    return expect_result(f).status;
}

static void a_glob_that_is_a_prefix_takes_none_of_their_places(void **state)
{
    struct fixture *f = *state;
    set(f, "user:42", "v", NULL);
    set(f, "user:42:", "v", NULL);
    set(f, "user:42:name:first", "v", NULL);
    set(f, "page:1:x", "v", NULL);
    assert_int_equal(glob_of_keys(f, "user:42:*"), STATUS_OK);
    assert_int_equal(kills_bans(f->kills), 1); /* of page:*:x */
    assert_int_equal(get(f, "user:42").status, STATUS_HIT);
    assert_int_equal(get(f, "user:42:").status, STATUS_MISS);
    assert_int_equal(get(f, "user:42:name:first").status, STATUS_MISS);
    assert_int_equal(get(f, "page:1:x").status, STATUS_MISS);
}

static void a_glob_that_no_prefix_can_say_stays_one(void **state)
{
    static const char *const texts[] = {"user:4*", "user:*:", "a:b:c:d:e:f:g:h:i:*", "*"};
    struct fixture *f = *state;
    for (unsigned i = 0; i < COUNT_OF(texts); i++) {
        assert_int_equal(glob_of_keys(f, texts[i]), STATUS_OK);
        assert_int_equal(kills_bans(f->kills), 2 + i);
    }
}

static void what_is_no_glob_is_a_bad_request(void **state)
{
    struct fixture *f = *state;
    struct slice glob = S("*x*");
    SAY(f, invalidate, .globs = {1, &glob});
    expect_status(f, STATUS_BAD_REQUEST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONNECTED(hello_is_answered_with_names_and_limits),
        CONNECTED(segment_and_touch_page_come_with_the_welcome),
        CONNECTED(attaching_again_replaces_the_touch_page),
        CONNECTED(the_touch_page_goes_with_its_client),
        CONNECTED(a_clock_that_differs_gets_no_segment),
        CONNECTED(a_bound_connection_gets_no_segment),
        CONNECTED(a_secret_namespace_gives_no_segment),
        CONNECTED(no_version_in_common_says_so),
        CONNECTED(an_unknown_namespace_says_so),
        CONNECTED(nobody_leaves_the_tenant_he_is_bound_to),
        CONNECTED(ping_works_before_hello),
        CONNECTED(everything_else_waits_for_hello),
        CONNECTED(a_large_frame_before_hello_is_a_broken_one),
        GREETED(what_was_set_is_found),
        GREETED(a_miss_carries_reason_and_token),
        GREETED(a_batch_is_answered_in_the_order_of_its_keys),
        GREETED(a_batch_with_a_slow_key_keeps_order_and_values),
        GREETED(later_requests_overtake_one_that_waits),
        GREETED(every_request_has_exactly_one_reply),
        GREETED(entries_that_do_not_fit_are_to_be_asked_alone),
        GREETED(a_change_is_answered_only_when_it_is_safe),
        GREETED(touch_prolongs),
        GREETED(a_get_past_its_deadline_is_a_miss_that_says_so),
        GREETED(a_change_past_its_deadline_is_unknown_and_goes_on),
        GREETED(a_tag_kills_what_carries_it),
        GREETED(a_key_is_counted),
        GREETED(naming_nothing_is_a_bad_request),
        GREETED(a_glob_that_is_a_prefix_takes_none_of_their_places),
        GREETED(a_glob_that_no_prefix_can_say_stays_one),
        GREETED(what_is_no_glob_is_a_bad_request),
    };
    return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
