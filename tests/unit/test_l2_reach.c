/* The way to a real redis-server: where it is, who we say we are, what is said when there is no way, and finding it again. */
#include "support/conn_rig.h"

/* ======= reaching it ======= */

static void it_is_reached_by_socket_by_number_and_by_name(void **state)
{
    struct fixture *f = running(state, "bind 127.0.0.1");
    char where[3][160];
    snprintf(where[0], sizeof(where[0]), "unix:%s", f->redis.socket);
    snprintf(where[1], sizeof(where[1]), "redis://127.0.0.1:%u", f->redis.port);
    snprintf(where[2], sizeof(where[2]), "redis://localhost:%u",
             f->redis.port); /* ::1 first, where there is one */
    for (unsigned i = 0; i < 3; i++) {
        rig_dial(&f->rig, "%s", where[i]);
        rig_until_ready(&f->rig);
        EXPECT_STATUS(&f->rig, "PONG", "PING");
        conn_close(f->rig.conn);
        rig_expect_end(&f->rig, CONN_END_CLOSED, "by us");
    }
}

static void user_password_database_and_name_are_given(void **state)
{
    struct fixture *f = running(state, "user app on >s3cret%/ ~* &* +@all");
    f->rig.name = "larder-1";
    rig_dial(&f->rig, "redis://app:s3cret%%25%%2F@127.0.0.1:%u/3", f->redis.port);
    rig_until_ready(&f->rig);
    const char *clients = redis_ask(&f->redis, "CLIENT LIST");
    const char *ours = strstr(clients, "name=larder-1 ");
    assert_non_null(ours);
    assert_non_null(strstr(ours, " db=3 "));
    assert_non_null(strstr(ours, " user=app "));
}

static void a_password_without_a_user_is_for_the_default_one(void **state)
{
    struct fixture *f = running(state, "requirepass s3cret");
    rig_dial(&f->rig, "unix://:s3cret@%s", f->redis.socket);
    rig_until_ready(&f->rig);
    EXPECT_STATUS(&f->rig, "OK", "SET", "k", "v");
}

static void a_wrong_password_is_said_without_saying_it(void **state)
{
    struct fixture *f = running(state, "requirepass s3cret");
    rig_dial(&f->rig, "unix://:s3cr3t@%s", f->redis.socket);
    rig_expect_end(&f->rig, CONN_END_AUTH, "WRONGPASS");
    assert_null(strstr(f->rig.sentence, "s3cr3t"));
    assert_false(f->rig.ready);
}

static void a_missing_password_is_said(void **state)
{
    struct fixture *f = running(state, "requirepass s3cret");
    rig_dial(&f->rig, "unix:%s", f->redis.socket);
    rig_expect_end(&f->rig, CONN_END_AUTH, "NOAUTH");
}

static void a_redis_that_quotes_the_password_is_not_quoted(void **state)
{
    struct fixture *f = running(state, "rename-command AUTH \"\"");
    rig_dial(&f->rig, "unix://:s3cret@%s", f->redis.socket);
    rig_expect_end(&f->rig, CONN_END_AUTH, "ERR");
    assert_null(strstr(f->rig.sentence, "s3cret"));
}

static void a_database_that_is_not_there_is_said(void **state)
{
    struct fixture *f = running(state, "databases 4");
    rig_dial(&f->rig, "redis://127.0.0.1:%u/4", f->redis.port);
    rig_expect_end(&f->rig, CONN_END_SELECT, "DB index");
}

static void a_redis_that_keeps_client_and_ping_from_us_is_fine(void **state)
{
    struct fixture *f = running(state, "user app on >pw ~* &* +get +set");
    f->rig.name = "larder";
    rig_dial(&f->rig, "redis://app:pw@127.0.0.1:%u", f->redis.port);
    rig_until_ready(&f->rig);
    EXPECT_STATUS(&f->rig, "OK", "SET", "k", "v");
}

static void a_full_redis_is_said(void **state)
{
    struct fixture *f = running(state, "maxclients 1");
    struct fixture other = {0};
    while (!f->rig.ready) { /* the connection that saw it start may still count */
        rig_dial(&f->rig, "unix:%s", f->redis.socket);
        RIG_UNTIL(&f->rig, f->rig.ready || !f->rig.conn);
    }
    rig_make(&other.rig);
    rig_dial(&other.rig, "unix:%s", f->redis.socket);
    rig_expect_end(&other.rig, CONN_END_TURNED_AWAY, "max number of clients");
    rig_drop(&other.rig);
}

static void a_closed_door_is_said_at_once(void **state)
{
    struct fixture *f = *state;
    rig_dial(&f->rig, "redis://127.0.0.1:%u", free_port());
    rig_expect_end(&f->rig, CONN_END_NO_CONNECT, "connection refused");
    rig_dial(&f->rig, "unix:%s/none", f->redis.home);
    rig_expect_end(&f->rig, CONN_END_NO_CONNECT, "no such file");
}

static void a_name_without_an_address_is_said(void **state)
{
    struct fixture *f = *state;
    rig_dial(&f->rig, "redis://no-such-host.invalid");
    rig_expect_end(&f->rig, CONN_END_NO_ADDRESS, "the host of Redis has no address");
}

static void closing_while_a_name_is_asked_for_is_fine(void **state)
{
    struct fixture *f = *state;
    rig_dial(&f->rig, "redis://no-such-host.invalid");
    conn_close(f->rig.conn);
    conn_close(f->rig.conn);
    rig_expect_end(&f->rig, CONN_END_CLOSED, "by us");
}

static void a_redis_that_stands_still_does_not_keep_us_waiting(void **state)
{
    struct fixture *f = running(state, NULL);
    redis_freeze(&f->redis);
    f->rig.open_timeout_ns = 30 * NS_PER_MS;
    rig_dial(&f->rig, "unix:%s", f->redis.socket);
    rig_expect_end(&f->rig, CONN_END_OPEN_TIMEOUT, "did not answer the greeting");
}

/* ======= again ======= */

static void a_door_that_opens_again_is_found_again(void **state)
{
    struct rig *rig = proxied(state, true);
    struct fixture *f = *state;
    proxy_tell(&f->proxy, "refuse");
    proxy_tell(&f->proxy, "cut");
    rig_until_closed(rig);
    rig_dial(rig, "redis://127.0.0.1:%u", f->proxy.port);
    rig_expect_end(rig, CONN_END_NO_CONNECT, "refused");
    proxy_tell(&f->proxy, "accept");
    rig_dial(rig, "redis://127.0.0.1:%u", f->proxy.port);
    rig_until_ready(rig);
}

static void a_killed_redis_is_found_again(void **state)
{
    struct rig *rig = connected(state);
    struct fixture *f = *state;
    for (unsigned i = 0; i < 3; i++) {
        redis_kill(&f->redis);
        rig_until_closed(rig);
        redis_start(&f->redis);
        rig_dial(rig, "redis://127.0.0.1:%u", f->redis.port);
        rig_until_ready(rig);
        EXPECT_STATUS(rig, "PONG", "PING");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(it_is_reached_by_socket_by_number_and_by_name),
        CASE(user_password_database_and_name_are_given),
        CASE(a_password_without_a_user_is_for_the_default_one),
        CASE(a_wrong_password_is_said_without_saying_it),
        CASE(a_missing_password_is_said),
        CASE(a_redis_that_quotes_the_password_is_not_quoted),
        CASE(a_database_that_is_not_there_is_said),
        CASE(a_redis_that_keeps_client_and_ping_from_us_is_fine),
        CASE(a_full_redis_is_said),
        CASE(a_closed_door_is_said_at_once),
        CASE(a_name_without_an_address_is_said),
        CASE(closing_while_a_name_is_asked_for_is_fine),
        CASE(a_redis_that_stands_still_does_not_keep_us_waiting),
        CASE(a_door_that_opens_again_is_found_again),
        CASE(a_killed_redis_is_found_again),
    };
    return cmocka_run_group_tests_name("l2_reach", tests, look_for_redis, NULL);
}
