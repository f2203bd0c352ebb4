/* A connection to a real redis-server: commands, what bounds them, and each way it can end. */
#include "support/conn_rig.h"

/* ======= commands ======= */

static void commands_are_answered_in_order(void **state)
{
    enum { MANY = 1000 };
    struct rig *rig = connected(state);
    struct ask *asks = calloc(MANY, sizeof(*asks));
    EXPECT_STATUS(rig, "OK", "SET", "n", "0");
    for (unsigned i = 0; i < MANY; i++)
        ASK(rig, &asks[i], "INCR", "n");
    assert_int_equal(conn_under_way(rig->conn), MANY);
    ask_wait(rig, &asks[MANY - 1]);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(asks[i].done, 1);
        assert_int_equal(asks[i].integer, i + 1);
    }
    assert_int_equal(conn_under_way(rig->conn), 0);
    assert_int_equal(conn_bytes_under_way(rig->conn), 0);
    free(asks);
}

static void the_few_of_a_turn_leave_together(void **state)
{
    enum { FEW = 20 };
    struct rig *rig = connected(state);
    struct ask asks[FEW] = {{.done = 0}};
    for (unsigned i = 0; i < FEW; i++)
        ASK(rig, &asks[i], "PING");
    assert_int_equal(asks[0].command.sent_ns, 0);
    ask_wait(rig, &asks[FEW - 1]);
    for (unsigned i = 0; i < FEW; i++)
        assert_int_equal(asks[i].command.sent_ns, asks[0].command.sent_ns); /* one write */
}

/* Redis has something to do while the rest is written.  By the clock of the turn: what is answered within it must not be
 * earlier than what was asked. */
static void of_many_the_first_leave_within_the_turn(void **state)
{
    enum { MANY = 1000 };
    struct rig *rig = connected(state);
    struct ask *asks = calloc(MANY, sizeof(*asks));
    for (unsigned i = 0; i < MANY; i++)
        ASK(rig, &asks[i], "PING");
    assert_int_equal(asks[0].command.sent_ns, loop_now_ns(rig->loop));
    assert_int_equal(asks[MANY - 1].command.sent_ns, 0);
    ask_wait(rig, &asks[MANY - 1]);
    free(asks);
}

struct slow_answers {
    struct rig *rig;
    unsigned count;
};

struct slow {
    struct l2_command command;
    struct slow_answers *all;
};

static void answered_slowly(struct l2_command *command, const struct l2_reply *reply, enum l2_outcome outcome)
{
    struct slow_answers *all = CONTAINER_OF(command, struct slow, command)->all;
    assert_int_equal(outcome, L2_ANSWERED);
    all->count++;
    while (!loop_turn_is_long(all->rig->loop))
        ;
}

/* Redis has answered them all by then: without a look at the clock they would be read in one go. */
static void a_long_turn_reads_no_more_than_a_piece(void **state)
{
    enum { MANY = 150, BYTES = 1000, PIECE = 16 };
    struct rig *rig = connected(state);
    struct slow *asks = calloc(MANY, sizeof(*asks));
    struct slow_answers all = {.rig = rig};
    char text[BYTES];
    memset(text, 'x', BYTES);
    struct slice argv[] = {slice_text("ECHO"), slice_of(text, BYTES)};
    for (unsigned i = 0; i < MANY; i++) {
        asks[i] = (struct slow){
            .command = {.argv = argv, .count = 2, .deadline_ns = UINT64_MAX, .done = answered_slowly},
            .all = &all};
        assert_int_equal(conn_issue(rig->conn, &asks[i].command), 0);
    }
    for (unsigned before = 0; all.count < MANY; before = all.count) {
        loop_run_once(rig->loop);
        assert_in_range(all.count, before, before + PIECE + 1);
    }
    free(asks);
}

static void the_moment_of_sending_is_known(void **state)
{
    struct rig *rig = connected(state);
    struct ask a;
    uint64_t before = clock_boot_ns();
    ASK(rig, &a, "PING");
    assert_int_equal(a.command.sent_ns, 0);
    ask_wait(rig, &a);
    assert_in_range(a.command.sent_ns, before, clock_boot_ns());
}

static void an_error_of_redis_is_an_answer(void **state)
{
    struct rig *rig = connected(state);
    struct ask a;
    ASK(rig, &a, "NOSUCH");
    ask_wait(rig, &a);
    assert_int_equal(a.outcome, L2_ANSWERED);
    assert_int_equal(a.kind, L2_ERROR);
    EXPECT_STATUS(rig, "PONG", "PING");
}

static void keys_with_any_bytes_in_them_stay_what_they_are(void **state)
{
    struct rig *rig = connected(state);
    struct ask a = {.command = {.done = ask_done, .count = 2}};
    a.argv[0] = slice_text("ECHO");
    a.argv[1] = slice_of("a\r\n$3\r\n\0%s", 11);
    a.command.argv = a.argv;
    a.command.deadline_ns = UINT64_MAX;
    assert_int_equal(conn_issue(rig->conn, &a.command), 0);
    ask_wait(rig, &a);
    assert_int_equal(a.text_bytes, 11);
    assert_memory_equal(a.text, "a\r\n$3\r\n", 7);
}

static void a_value_of_megabytes_goes_and_comes(void **state)
{
    enum { BYTES = 9 << 20 };
    struct fixture *f = running(state, NULL);
    char *value = malloc(BYTES + 1);
    for (unsigned i = 0; i < BYTES; i++)
        value[i] = (char)('a' + i % 23);
    value[BYTES] = 0;
    rig_dial(&f->rig, "redis://127.0.0.1:%u", f->redis.port);
    rig_until_ready(&f->rig);
    EXPECT_STATUS(&f->rig, "OK", "SET", "big", value);
    struct ask a, b;
    ASK(&f->rig, &a, "GET", "big");
    ASK(&f->rig, &b, "PING");
    ask_wait(&f->rig, &b);
    assert_int_equal(a.text_bytes, BYTES);
    assert_memory_equal(a.text, value, RIG_TEXT - 1);
    free(value);
}

struct chain {
    struct ask ask;
    struct rig *rig;
    unsigned left;
};

static void go_on(struct l2_command *command, const struct l2_reply *reply, enum l2_outcome outcome)
{
    struct chain *chain = CONTAINER_OF(command, struct chain, ask.command);
    assert_int_equal(outcome, L2_ANSWERED);
    if (--chain->left > 0)
        assert_int_equal(conn_issue(chain->rig->conn, command), 0);
}

static void a_command_may_be_issued_from_the_answer_of_another(void **state)
{
    struct rig *rig = connected(state);
    struct chain chain = {.rig = rig, .left = 50};
    chain.ask.argv[0] = slice_text("PING");
    chain.ask.command =
        (struct l2_command){.argv = chain.ask.argv, .count = 1, .deadline_ns = UINT64_MAX, .done = go_on};
    assert_int_equal(conn_issue(rig->conn, &chain.ask.command), 0);
    RIG_UNTIL(rig, chain.left == 0);
}

/* ======= bounds ======= */

static void no_more_commands_than_the_limit_are_under_way(void **state)
{
    struct fixture *f = running(state, NULL);
    struct ask asks[5];
    f->rig.limits.commands = 4;
    rig_dial(&f->rig, "unix:%s", f->redis.socket);
    assert_int_equal(ask_in(&f->rig, &asks[0], NS_PER_S, "PING", (char *)NULL), CONN_E_NOT_READY);
    rig_until_ready(&f->rig);
    for (unsigned i = 0; i < 4; i++)
        ASK(&f->rig, &asks[i], "PING");
    assert_int_equal(ask_in(&f->rig, &asks[4], NS_PER_S, "PING", (char *)NULL), CONN_E_FULL);
    ask_wait(&f->rig, &asks[3]);
    ASK(&f->rig, &asks[4], "PING");
    ask_wait(&f->rig, &asks[4]);
}

static void no_more_bytes_than_the_limit_are_under_way(void **state)
{
    struct fixture *f = running(state, NULL);
    char half[600], more[1100];
    struct ask a, b, c;
    memset(half, 'x', sizeof(half));
    memset(more, 'x', sizeof(more));
    half[sizeof(half) - 1] = more[sizeof(more) - 1] = 0;
    f->rig.limits.bytes = 1024;
    rig_dial(&f->rig, "unix:%s", f->redis.socket);
    rig_until_ready(&f->rig);
    ASK(&f->rig, &a, "ECHO", half);
    assert_int_equal(ask_in(&f->rig, &b, NS_PER_S, "ECHO", half, (char *)NULL), CONN_E_FULL);
    assert_int_equal(ask_in(&f->rig, &c, NS_PER_S, "ECHO", more, (char *)NULL), CONN_E_TOO_BIG);
    ask_wait(&f->rig, &a);
    ASK(&f->rig, &b, "ECHO", half);
    ask_wait(&f->rig, &b);
}

static void a_command_that_comes_too_late_is_refused_and_ends_nothing(void **state)
{
    struct rig *rig = connected(state);
    struct ask a;
    assert_int_equal(ask_in(rig, &a, 0, "PING", (char *)NULL), CONN_E_LATE);
    EXPECT_STATUS(rig, "PONG", "PING");
    assert_int_equal(a.done, 0);
}

static void a_reply_over_the_limit_ends_the_connection(void **state)
{
    struct fixture *f = running(state, NULL);
    struct ask a, b;
    f->rig.limits.reply.bulk_bytes = 100;
    rig_dial(&f->rig, "unix:%s", f->redis.socket);
    rig_until_ready(&f->rig);
    ASK(&f->rig, &a, "EVAL", "return string.rep('x', 101)", "0");
    ASK(&f->rig, &b, "PING");
    rig_expect_end(&f->rig, CONN_END_LIMIT, "longer than the limit");
    assert_int_equal(a.outcome, L2_LOST);
    assert_int_equal(b.outcome, L2_LOST);
}

/* ======= endings ======= */

static void a_command_past_its_deadline_ends_the_connection(void **state)
{
    struct rig *rig = connected(state);
    struct fixture *f = *state;
    struct ask patient, hasty;
    redis_freeze(&f->redis);
    ASK(rig, &patient, "PING");
    assert_int_equal(ask_in(rig, &hasty, 20 * NS_PER_MS, "PING", (char *)NULL), 0);
    rig_expect_end(rig, CONN_END_TIMEOUT, "not answered in time");
    assert_int_equal(patient.done, 1);
    assert_int_equal(hasty.done, 1);
    assert_int_equal(patient.outcome, L2_LOST);
    assert_int_equal(hasty.outcome, L2_LOST);
}

/* Five that take 0.3 s each, one after the other, and may take 1 s. */
static void a_redis_that_goes_on_answering_is_given_its_time(void **state)
{
    enum { MANY = 5 };
    struct rig *rig = connected(state);
    struct ask asks[MANY];
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(ask_in(rig, &asks[i], NS_PER_S, "BLPOP", "nothing", "0.3", (char *)NULL), 0);
    ask_wait(rig, &asks[MANY - 1]);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(asks[i].outcome, L2_ANSWERED);
    EXPECT_STATUS(rig, "PONG", "PING");
}

static void a_killed_redis_loses_what_is_under_way(void **state)
{
    enum { MANY = 1000 };
    struct rig *rig = connected(state);
    struct fixture *f = *state;
    struct ask *asks = calloc(MANY, sizeof(*asks));
    redis_freeze(&f->redis);
    for (unsigned i = 0; i < MANY; i++)
        ASK(rig, &asks[i], "PING");
    RIG_UNTIL(rig, asks[0].command.sent_ns);
    redis_kill(&f->redis);
    rig_until_closed(rig);
    assert_int_equal(rig->why, CONN_END_GONE);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(asks[i].done, 1);
        assert_int_equal(asks[i].outcome, L2_LOST);
    }
    free(asks);
}

static void a_connection_killed_by_redis_is_over(void **state)
{
    struct rig *rig = connected(state);
    struct fixture *f = *state;
    redis_ask(&f->redis, "CLIENT KILL TYPE normal SKIPME yes");
    rig_expect_end(rig, CONN_END_GONE, "closed by the other side");
}

static void what_the_kernel_has_not_got_is_told_apart(void **state)
{
    enum { BYTES = 30 << 20 };
    struct rig *rig = connected(state);
    struct fixture *f = *state;
    char *value = malloc(BYTES + 1);
    struct ask big, late;
    memset(value, 'x', BYTES);
    value[BYTES] = 0;
    redis_freeze(&f->redis);
    ASK(rig, &big, "SET", "big", value);
    RIG_UNTIL(rig, big.command.sent_ns);
    ASK(rig, &late, "PING");
    loop_run_once(rig->loop);
    loop_run_once(rig->loop);
    conn_close(rig->conn);
    assert_int_equal(big.done + late.done, 0); /* never from inside */
    rig_until_closed(rig);
    assert_int_equal(big.outcome, L2_LOST);
    assert_int_equal(late.outcome, L2_UNSENT);
    assert_int_equal(late.command.sent_ns, 0);
    free(value);
}

static void nothing_is_taken_after_the_end(void **state)
{
    struct rig *rig = connected(state);
    struct ask a, b;
    ASK(rig, &a, "PING");
    conn_close(rig->conn);
    assert_int_equal(ask_in(rig, &b, NS_PER_S, "PING", (char *)NULL), CONN_E_NOT_READY);
    rig_until_closed(rig);
    assert_int_equal(a.outcome, L2_UNSENT);
}

static void close_from_inside(struct l2_command *command, const struct l2_reply *reply,
                              enum l2_outcome outcome)
{
    struct chain *chain = CONTAINER_OF(command, struct chain, ask.command);
    chain->left--;
    conn_close(chain->rig->conn);
}

static void a_connection_may_be_closed_from_an_answer(void **state)
{
    struct rig *rig = connected(state);
    struct chain chain = {.rig = rig, .left = 1};
    struct ask after;
    chain.ask.argv[0] = slice_text("PING");
    chain.ask.command = (struct l2_command){
        .argv = chain.ask.argv, .count = 1, .deadline_ns = UINT64_MAX, .done = close_from_inside};
    assert_int_equal(conn_issue(rig->conn, &chain.ask.command), 0);
    ASK(rig, &after, "PING");
    rig_expect_end(rig, CONN_END_CLOSED, "by us");
    assert_int_equal(chain.left, 0);
    assert_int_equal(after.outcome, L2_LOST); /* its answer lay there, and was not looked at any more */
}

/* ======= through a bad network ======= */

static void a_network_that_swallows_everything_does_not_keep_us_waiting(void **state)
{
    struct rig *rig = proxied(state, true);
    struct fixture *f = *state;
    struct ask a;
    proxy_tell(&f->proxy, "hold down");
    assert_int_equal(ask_in(rig, &a, 20 * NS_PER_MS, "SET", "k", "v", (char *)NULL), 0);
    rig_expect_end(rig, CONN_END_TIMEOUT, "in time");
    assert_int_equal(a.outcome, L2_LOST);
    assert_string_equal(redis_ask(&f->redis, "GET k"), "v"); /* lost is not undone */
}

static void a_cut_connection_is_over(void **state)
{
    struct rig *rig = proxied(state, true);
    struct fixture *f = *state;
    proxy_tell(&f->proxy, "cut");
    rig_expect_end(rig, CONN_END_GONE, "reset");
}

/* Why sessions exist (F7): closing does not call back what is on its way. */
static void what_a_network_holds_arrives_after_we_have_left(void **state)
{
    struct rig *rig = proxied(state, true);
    struct fixture *f = *state;
    struct ask a;
    proxy_tell(&f->proxy, "hold up");
    assert_int_equal(ask_in(rig, &a, 20 * NS_PER_MS, "SET", "k", "zombie", (char *)NULL), 0);
    rig_expect_end(rig, CONN_END_TIMEOUT, "in time");
    assert_true(proxy_count(&f->proxy).held > 0);
    assert_string_equal(redis_ask(&f->redis, "GET k"), "$-1");
    proxy_tell(&f->proxy, "release up");
    while (strcmp(redis_ask(&f->redis, "EXISTS k"), ":1") != 0)
        ;
    assert_string_equal(redis_ask(&f->redis, "GET k"), "zombie");
}

static void a_slow_network_is_only_slow(void **state)
{
    struct rig *rig = proxied(state, true);
    struct fixture *f = *state;
    proxy_tell(&f->proxy, "delay both 5");
    for (unsigned i = 0; i < 3; i++)
        EXPECT_STATUS(rig, "PONG", "PING");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(commands_are_answered_in_order),
        CASE(the_few_of_a_turn_leave_together),
        CASE(of_many_the_first_leave_within_the_turn),
        CASE(a_long_turn_reads_no_more_than_a_piece),
        CASE(the_moment_of_sending_is_known),
        CASE(an_error_of_redis_is_an_answer),
        CASE(keys_with_any_bytes_in_them_stay_what_they_are),
        CASE(a_value_of_megabytes_goes_and_comes),
        CASE(a_command_may_be_issued_from_the_answer_of_another),
        CASE(no_more_commands_than_the_limit_are_under_way),
        CASE(no_more_bytes_than_the_limit_are_under_way),
        CASE(a_command_that_comes_too_late_is_refused_and_ends_nothing),
        CASE(a_reply_over_the_limit_ends_the_connection),
        CASE(a_command_past_its_deadline_ends_the_connection),
        CASE(a_redis_that_goes_on_answering_is_given_its_time),
        CASE(a_killed_redis_loses_what_is_under_way),
        CASE(a_connection_killed_by_redis_is_over),
        CASE(what_the_kernel_has_not_got_is_told_apart),
        CASE(nothing_is_taken_after_the_end),
        CASE(a_connection_may_be_closed_from_an_answer),
        CASE(a_network_that_swallows_everything_does_not_keep_us_waiting),
        CASE(a_cut_connection_is_over),
        CASE(what_a_network_holds_arrives_after_we_have_left),
        CASE(a_slow_network_is_only_slow),
    };
    return cmocka_run_group_tests_name("l2_conn", tests, look_for_redis, NULL);
}
