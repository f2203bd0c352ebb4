/* A connection to a peer that follows a script: what no real Redis can be made to say, and names that resolve as the
 * test wants. */
#include "support/link_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <semaphore.h>
#include <sys/socket.h>

/* ======= names ======= */

/* The program's own getaddrinfo stands before the C library's: "two.test" is 127.0.0.2, then 127.0.0.1; "slow.test" is
 * answered when the test says so. */
static sem_t slow_may_go;

static struct addrinfo *address(const char *number, const char *service, struct addrinfo *next)
{
    struct sockaddr_in *in = must_alloc(sizeof(*in));
    struct addrinfo *ai = must_alloc(sizeof(*ai));
    *in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(service))};
    inet_pton(AF_INET, number, &in->sin_addr);
    *ai = (struct addrinfo){.ai_family = AF_INET,
                            .ai_socktype = SOCK_STREAM,
                            .ai_addrlen = sizeof(*in),
                            .ai_addr = (struct sockaddr *)in,
                            .ai_next = next};
    return ai;
}

__attribute__((visibility("default"))) int getaddrinfo(const char *name, const char *service,
                                                       const struct addrinfo *hints, struct addrinfo **ret)
{
    if (strcmp(name, "slow.test") == 0)
        while (sem_wait(&slow_may_go) != 0)
            ;
    if (strcmp(name, "none.test") == 0)
        return EAI_NONAME;
    *ret = address("127.0.0.1", service, NULL);
    if (strcmp(name, "two.test") == 0)
        *ret = address("127.0.0.2", service, *ret);
    return 0;
}

__attribute__((visibility("default"))) void freeaddrinfo(struct addrinfo *ai)
{
    while (ai) {
        struct addrinfo *next = ai->ai_next;
        free(ai->ai_addr);
        free(ai);
        ai = next;
    }
}

/* ======= the peer ======= */

struct peer {
    struct rig rig;
    int door, fd;
    unsigned port;
};

static int listen_at(const char *number, unsigned port, int backlog)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    inet_pton(AF_INET, number, &at.sin_addr);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fd, backlog), 0);
    return fd;
}

static int begin(void **state)
{
    struct peer *p = calloc(1, sizeof(*p));
    rig_make(&p->rig);
    p->port = free_port();
    p->door = listen_at("127.0.0.1", p->port, 16);
    p->fd = -1;
    *state = p;
    return 0;
}

static int finish(void **state)
{
    struct peer *p = *state;
    rig_drop(&p->rig);
    close(p->door);
    if (p->fd >= 0)
        close(p->fd);
    free(p);
    return 0;
}

static void let_in(struct peer *p)
{
    RIG_UNTIL(&p->rig, (p->fd = accept(p->door, NULL, NULL)) >= 0);
}

static void expect(struct peer *p, const char *words)
{
    char room[1024];
    size_t have = 0, wanted = strlen(words);
    assert_true(wanted < sizeof(room));
    while (have < wanted) {
        ssize_t got = recv(p->fd, room + have, wanted - have, MSG_DONTWAIT);
        if (got > 0)
            have += (size_t)got;
        else
            loop_run_once(p->rig.loop);
    }
    room[have] = 0;
    assert_string_equal(room, words);
}

static void say(struct peer *p, const char *words)
{
    assert_int_equal(send(p->fd, words, strlen(words), MSG_NOSIGNAL), strlen(words));
}

static void hang_up(struct peer *p)
{
    close(p->fd);
    p->fd = -1;
}

static void dial(struct peer *p)
{
    rig_dial(&p->rig, "redis://127.0.0.1:%u", p->port);
    let_in(p);
}

#define PING "*1\r\n$4\r\nPING\r\n"

static struct peer *greeted(void **state)
{
    struct peer *p = *state;
    dial(p);
    expect(p, PING);
    say(p, "+PONG\r\n");
    rig_until_ready(&p->rig);
    return p;
}

/* ======= greeting ======= */

static void the_greeting_is_what_the_address_asks_for_and_no_more(void **state)
{
    struct peer *p = *state;
    p->rig.name = "larder";
    rig_dial(&p->rig, "redis://app:pw@127.0.0.1:%u/7", p->port);
    let_in(p);
    expect(p, "*3\r\n$4\r\nAUTH\r\n$3\r\napp\r\n$2\r\npw\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n7\r\n"
              "*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$6\r\nlarder\r\n" PING);
    say(p, "+OK\r\n+OK\r\n-ERR unknown command\r\n+PONG\r\n");
    rig_until_ready(&p->rig);
}

static const struct {
    const char *said;
    enum conn_why why;
    const char *words;
} refusals[] = {
    {"-LOADING Redis is loading the dataset in memory\r\n", CONN_END_LOADING, "loading the dataset"},
    {"-MASTERDOWN Link with MASTER is down\r\n", CONN_END_TURNED_AWAY, "MASTERDOWN"},
    {"-DENIED Redis is running in protected mode\r\n", CONN_END_TURNED_AWAY, "protected mode"},
    {"-ERR max number of clients reached\r\n", CONN_END_TURNED_AWAY, "max number"},
    {"-NOAUTH Authentication required.\r\n", CONN_END_AUTH, "NOAUTH"},
    {"*0\r\n", CONN_END_PROTOCOL, "no status"},
    {"-NOAUTH \x1b[31mred\r\n", CONN_END_AUTH, "NOAUTH ?[31mred"},
    {"HTTP/1.1 400 Bad Request\r\n", CONN_END_PROTOCOL, "means nothing"},
    {"*1073741824\r\n", CONN_END_LIMIT, "more elements than the limit"},
    {"", CONN_END_GONE, "closed by the other side"},
};

static void each_refusal_of_the_greeting_is_told_apart(void **state)
{
    struct peer *p = *state;
    for (size_t i = 0; i < COUNT_OF(refusals); i++) {
        dial(p);
        expect(p, PING);
        say(p, refusals[i].said);
        hang_up(p);
        rig_expect_end(&p->rig, refusals[i].why, refusals[i].words);
        assert_false(p->rig.ready);
    }
}

static void what_is_said_before_anything_was_asked_is_heard(void **state)
{
    struct peer *p = *state;
    dial(p);
    say(p, "-DENIED Redis is running in protected mode\r\n");
    hang_up(p);
    rig_expect_end(&p->rig, CONN_END_TURNED_AWAY, "protected mode");
}

/* ======= replies ======= */

static void a_reply_byte_by_byte_is_a_reply(void **state)
{
    struct peer *p = greeted(state);
    struct ask a;
    ASK(&p->rig, &a, "PING");
    expect(p, PING);
    for (const char *at = "$5\r\nhello\r\n"; *at; at++) {
        say(p, (char[]){*at, 0});
        loop_run_once(p->rig.loop);
    }
    ask_wait(&p->rig, &a);
    assert_string_equal(a.text, "hello");
}

static void a_reply_that_nobody_asked_for_ends_the_connection(void **state)
{
    struct peer *p = greeted(state);
    say(p, "+surprise\r\n");
    rig_expect_end(&p->rig, CONN_END_PROTOCOL, "nobody asked for");
}

static void one_reply_too_many_ends_the_connection(void **state)
{
    struct peer *p = greeted(state);
    struct ask a;
    ASK(&p->rig, &a, "PING");
    expect(p, PING);
    say(p, "+1\r\n+2\r\n");
    rig_expect_end(&p->rig, CONN_END_PROTOCOL, "nobody asked for");
    assert_int_equal(a.outcome, L2_ANSWERED);
}

static const struct {
    const char *said;
    enum conn_why why;
} nonsense[] = {
    {"%1\r\n+a\r\n+b\r\n", CONN_END_PROTOCOL},    {":12x\r\n", CONN_END_PROTOCOL},
    {"$2\r\nabc\r\n", CONN_END_PROTOCOL},         {"$99999999999\r\n", CONN_END_LIMIT},
    {"*4611686018427387905\r\n", CONN_END_LIMIT},
};

static void what_is_no_reply_ends_the_connection_and_nothing_after_it_is_believed(void **state)
{
    for (size_t i = 0; i < COUNT_OF(nonsense); i++) {
        struct peer *p = greeted(state);
        struct ask a, b, c;
        ASK(&p->rig, &a, "PING");
        ASK(&p->rig, &b, "PING");
        ASK(&p->rig, &c, "PING");
        expect(p, PING PING PING);
        say(p, "+fine\r\n");
        say(p, nonsense[i].said);
        say(p, "+late\r\n");
        rig_until_closed(&p->rig);
        assert_int_equal(p->rig.why, nonsense[i].why);
        assert_int_equal(a.outcome, L2_ANSWERED);
        assert_int_equal(b.outcome, L2_LOST);
        assert_int_equal(c.outcome, L2_LOST);
        assert_int_equal(a.done + b.done + c.done, 3);
        hang_up(p);
    }
}

static void half_a_reply_is_none(void **state)
{
    struct peer *p = greeted(state);
    struct ask a;
    ASK(&p->rig, &a, "PING");
    expect(p, PING);
    say(p, "$5\r\nhel");
    hang_up(p);
    rig_until_closed(&p->rig);
    assert_int_equal(a.outcome, L2_LOST);
}

static void an_answer_after_the_deadline_is_not_believed(void **state)
{
    struct peer *p = greeted(state);
    struct ask a;
    assert_int_equal(ask_in(&p->rig, &a, 10 * NS_PER_MS, "PING", (char *)NULL), 0);
    expect(p, PING);
    rig_until_closed(&p->rig);
    send(p->fd, "+late\r\n", 7, MSG_NOSIGNAL);
    loop_run_once(p->rig.loop);
    assert_int_equal(a.done, 1);
    assert_int_equal(a.outcome, L2_LOST);
}

/* Timers fire before sockets are read: a process that was stopped must not take its own sleep for Redis'. */
static void an_answer_that_came_while_we_slept_counts(void **state)
{
    struct peer *p = greeted(state);
    struct ask a;
    assert_int_equal(ask_in(&p->rig, &a, NS_PER_S / 2, "PING", (char *)NULL), 0);
    expect(p, PING);
    say(p, "+PONG\r\n");
    while (clock_boot_ns() < a.command.deadline_ns + 5 * NS_PER_MS) /* nobody turns the loop meanwhile */
        ;
    ask_wait(&p->rig, &a);
    assert_int_equal(a.outcome, L2_ANSWERED);
    assert_non_null(p->rig.conn);
}

/* ======= resets ======= */

/* The bytes our kernel still has must not arrive later: a reset, not an orderly end behind them. */
static void closing_throws_away_what_was_not_sent_yet(void **state)
{
    enum { BYTES = 32 << 20 };
    struct peer *p = greeted(state);
    struct ask a;
    char *value = malloc(BYTES + 1), *room = malloc(BYTES);
    memset(value, 'x', BYTES);
    value[BYTES] = 0;
    ASK(&p->rig, &a, "SET", "k", value);
    RIG_UNTIL(&p->rig, a.command.sent_ns);
    conn_close(p->rig.conn);
    rig_until_closed(&p->rig);
    size_t arrived = 0;
    ssize_t got;
    errno = 0;
    while ((got = recv(p->fd, room, BYTES, 0)) > 0 || (got < 0 && errno == EAGAIN)) {
        arrived += got > 0 ? (size_t)got : 0;
        loop_run_once(p->rig.loop);
    }
    assert_int_equal(got, -1);
    assert_int_equal(errno, ECONNRESET);
    assert_true(arrived < BYTES);
    free(value);
    free(room);
}

/* ======= names ======= */

static void of_two_addresses_the_second_is_tried_when_the_first_refuses(void **state)
{
    struct peer *p = *state;
    rig_dial(&p->rig, "redis://two.test:%u", p->port);
    let_in(p);
    expect(p, PING);
    say(p, "+PONG\r\n");
    rig_until_ready(&p->rig);
}

/* A listener whose queue is full answers no more: a black hole on loopback. */
static void of_two_addresses_the_first_may_not_take_all_the_time(void **state)
{
    enum { FILLERS = 4 };
    struct peer *p = *state;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)p->port)};
    int hole = listen_at("127.0.0.2", p->port, 0), fillers[FILLERS];
    inet_pton(AF_INET, "127.0.0.2", &at.sin_addr);
    for (unsigned i = 0; i < FILLERS; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        connect(fillers[i], (struct sockaddr *)&at, sizeof(at));
    }
    p->rig.open_timeout_ns = 2 * NS_PER_S;
    rig_dial(&p->rig, "redis://two.test:%u", p->port);
    let_in(p);
    expect(p, PING);
    say(p, "+PONG\r\n");
    rig_until_ready(&p->rig);
    for (unsigned i = 0; i < FILLERS; i++)
        close(fillers[i]);
    close(hole);
}

static void a_name_nobody_knows_is_said(void **state)
{
    struct peer *p = *state;
    rig_dial(&p->rig, "redis://none.test");
    rig_expect_end(&p->rig, CONN_END_NO_ADDRESS, "unknown node or service");
}

static void a_name_server_that_is_slow_does_not_keep_us_waiting(void **state)
{
    struct peer *p = *state;
    p->rig.open_timeout_ns = 20 * NS_PER_MS;
    rig_dial(&p->rig, "redis://slow.test:%u", p->port);
    rig_expect_end(&p->rig, CONN_END_OPEN_TIMEOUT, "in time"); /* while it still thinks */
    sem_post(&slow_may_go);
}

static void a_loop_that_ends_waits_for_the_name_server(void **state)
{
    struct peer *p = *state;
    rig_dial(&p->rig, "redis://slow.test:%u", p->port);
    conn_close(p->rig.conn);
    rig_expect_end(&p->rig, CONN_END_CLOSED, "by us");
    sem_post(&slow_may_go); /* the teardown checks that nothing is left */
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_greeting_is_what_the_address_asks_for_and_no_more),
        CASE(each_refusal_of_the_greeting_is_told_apart),
        CASE(what_is_said_before_anything_was_asked_is_heard),
        CASE(a_reply_byte_by_byte_is_a_reply),
        CASE(a_reply_that_nobody_asked_for_ends_the_connection),
        CASE(one_reply_too_many_ends_the_connection),
        CASE(what_is_no_reply_ends_the_connection_and_nothing_after_it_is_believed),
        CASE(half_a_reply_is_none),
        CASE(an_answer_after_the_deadline_is_not_believed),
        CASE(an_answer_that_came_while_we_slept_counts),
        CASE(closing_throws_away_what_was_not_sent_yet),
        CASE(of_two_addresses_the_second_is_tried_when_the_first_refuses),
        CASE(of_two_addresses_the_first_may_not_take_all_the_time),
        CASE(a_name_nobody_knows_is_said),
        CASE(a_name_server_that_is_slow_does_not_keep_us_waiting),
        CASE(a_loop_that_ends_waits_for_the_name_server),
    };
    sem_init(&slow_may_go, 0, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
