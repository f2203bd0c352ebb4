/* TLS with a real redis-server: who is believed, who is not, and in which words. */
#include "support/link_rig.h"
#include "support/certs.h"
#include "support/proxy.h"

enum { HOUR = 3600 };

static bool have_tls;

struct fixture {
    struct rig rig;
    struct redis redis;
    struct proxy proxy;
    bool proxied;
    struct authority ours, strangers;
    char ca[128];
};

static int begin(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    rig_make(&f->rig);
    redis_prepare(&f->redis, NULL);
    authority_make(&f->ours, f->redis.home, "ca");
    authority_make(&f->strangers, f->redis.home, "strangers");
    redis_path(&f->redis, "ca.pem", f->ca);
    *state = f;
    return 0;
}

static int finish(void **state)
{
    struct fixture *f = *state;
    rig_drop(&f->rig);
    if (f->proxied)
        proxy_stop(&f->proxy);
    redis_finish(&f->redis);
    authority_drop(&f->ours);
    authority_drop(&f->strangers);
    free(f);
    return 0;
}

/* A Redis that shows this certificate: `names` in it, valid from and to, signed by ours or by strangers. */
static struct fixture *showing(void **state, bool by_us, const char *names, long from_s, long to_s,
                               const char *options)
{
    struct fixture *f = *state;
    const char *home = f->redis.home;
    if (!have_tls)
        skip();
    authority_issue(by_us ? &f->ours : &f->strangers, "redis", names, from_s, to_s);
    f->redis.tls_port = free_port();
    redis_option(&f->redis, "tls-port %u\ntls-cert-file %s/redis.pem\ntls-key-file %s/redis.key",
                 f->redis.tls_port, home, home);
    redis_option(&f->redis, "tls-ca-cert-file %s/ca.pem\n%s", home,
                 options ? options : "tls-auth-clients no");
    redis_start(&f->redis);
    return f;
}

static struct fixture *sound(void **state, const char *options)
{
    return showing(state, true, "DNS:redis.test,DNS:localhost,IP:127.0.0.1", -HOUR, HOUR, options);
}

static void dial(struct fixture *f, const char *host, const char *more)
{
    rig_dial(&f->rig, "rediss://%s:%u?cacert=%s%s", host, f->redis.tls_port, f->ca, more);
}

/* ======= who is believed ======= */

static void a_certificate_for_the_number_the_name_or_the_name_given_is_good(void **state)
{
    struct fixture *f = sound(state, NULL);
    static const char *const ways[][2] = {
        {"127.0.0.1", ""}, {"localhost", ""}, {"127.0.0.1", "&servername=redis.test"}};
    for (unsigned i = 0; i < COUNT_OF(ways); i++) {
        dial(f, ways[i][0], ways[i][1]);
        rig_until_ready(&f->rig);
        EXPECT_STATUS(&f->rig, "PONG", "PING");
        conn_close(f->rig.conn);
        rig_until_closed(&f->rig);
    }
}

static void a_certificate_for_another_name_is_refused(void **state)
{
    struct fixture *f = sound(state, NULL);
    dial(f, "127.0.0.1", "&servername=other.test");
    rig_expect_end(&f->rig, CONN_END_TLS, "for another name");
}

static void a_certificate_for_another_number_is_refused(void **state)
{
    struct fixture *f = showing(state, true, "DNS:localhost,IP:127.0.0.2", -HOUR, HOUR, NULL);
    dial(f, "127.0.0.1", "");
    rig_expect_end(&f->rig, CONN_END_TLS, "for another address");
}

static void a_certificate_signed_by_strangers_is_refused(void **state)
{
    struct fixture *f = showing(state, false, "IP:127.0.0.1", -HOUR, HOUR, NULL);
    dial(f, "127.0.0.1", "");
    rig_expect_end(&f->rig, CONN_END_TLS, "signed by nobody we");
}

static void without_a_file_only_whom_the_system_trusts_is_good(void **state)
{
    struct fixture *f = sound(state, NULL);
    rig_dial(&f->rig, "rediss://127.0.0.1:%u", f->redis.tls_port);
    rig_expect_end(&f->rig, CONN_END_TLS, "signed by nobody we");
}

static void an_expired_certificate_is_refused(void **state)
{
    struct fixture *f = showing(state, true, "IP:127.0.0.1", -2 * HOUR, -HOUR, NULL);
    dial(f, "127.0.0.1", "");
    rig_expect_end(&f->rig, CONN_END_TLS, "has expired");
}

static void a_certificate_of_tomorrow_is_refused(void **state)
{
    struct fixture *f = showing(state, true, "IP:127.0.0.1", HOUR, 2 * HOUR, NULL);
    dial(f, "127.0.0.1", "");
    rig_expect_end(&f->rig, CONN_END_TLS, "not valid yet");
}

static void a_password_is_not_told_to_somebody_else(void **state)
{
    struct fixture *f = showing(state, false, "IP:127.0.0.1", -HOUR, HOUR, NULL);
    unsigned before = 0, after = 0;
    sscanf(strstr(redis_ask(&f->redis, "INFO stats"), "total_commands_processed:"),
           "total_commands_processed:%u", &before);
    rig_dial(&f->rig, "rediss://:s3cret@127.0.0.1:%u?cacert=%s", f->redis.tls_port, f->ca);
    rig_expect_end(&f->rig, CONN_END_TLS, "certificate");
    sscanf(strstr(redis_ask(&f->redis, "INFO stats"), "total_commands_processed:"),
           "total_commands_processed:%u", &after);
    assert_int_equal(after, before + 1); /* the INFO before */
}

/* ======= who we are ======= */

static void use_client(struct fixture *f, const struct authority *by)
{
    char more[300];
    authority_issue(by, "client", NULL, -HOUR, HOUR);
    snprintf(more, sizeof(more), "&cert=%s/client.pem&key=%s/client.key", f->redis.home, f->redis.home);
    dial(f, "127.0.0.1", more);
}

static void a_client_certificate_is_shown(void **state)
{
    struct fixture *f = sound(state, "tls-auth-clients yes");
    use_client(f, &f->ours);
    rig_until_ready(&f->rig);
    EXPECT_STATUS(&f->rig, "PONG", "PING");
}

static void a_client_certificate_that_is_wanted_and_missing_is_said(void **state)
{
    struct fixture *f = sound(state, "tls-auth-clients yes");
    dial(f, "127.0.0.1", "");
    rig_until_closed(&f->rig);
    assert_false(f->rig.ready);
    assert_non_null(strstr(f->rig.sentence, "client certificate"));
}

static void a_client_certificate_that_is_missing_is_said_by_tls_1_2_too(void **state)
{
    struct fixture *f = sound(state, "tls-auth-clients yes\ntls-protocols TLSv1.2");
    dial(f, "127.0.0.1", "");
    rig_until_closed(&f->rig);
    assert_non_null(strstr(f->rig.sentence, "client certificate"));
}

static void a_client_certificate_signed_by_strangers_is_not_taken(void **state)
{
    struct fixture *f = sound(state, "tls-auth-clients yes");
    use_client(f, &f->strangers);
    rig_until_closed(&f->rig);
    assert_false(f->rig.ready);
}

/* ======= plain and TLS mixed up ======= */

static void tls_at_a_plain_port_is_said(void **state)
{
    struct fixture *f = sound(state, NULL);
    f->rig.open_timeout_ns = 500 * NS_PER_MS;
    rig_dial(&f->rig, "rediss://127.0.0.1:%u?cacert=%s", f->redis.port, f->ca);
    rig_until_closed(&f->rig);
    assert_non_null(strstr(f->rig.sentence, "TLS"));
}

static void plain_at_a_tls_port_is_said(void **state)
{
    struct fixture *f = sound(state, NULL);
    rig_dial(&f->rig, "redis://127.0.0.1:%u", f->redis.tls_port);
    rig_until_closed(&f->rig);
    assert_non_null(strstr(f->rig.sentence, "rediss://"));
}

/* ======= files ======= */

static void files_that_are_no_certificates_are_said_before_anything_is_dialled(void **state)
{
    struct fixture *f = *state;
    char none[128], config[128], cert[128], key[128], other[128];
    struct tls_context *c;
    authority_issue(&f->ours, "a", NULL, -HOUR, HOUR);
    authority_issue(&f->ours, "b", NULL, -HOUR, HOUR);
    redis_path(&f->redis, "none", none);
    redis_path(&f->redis, "conf", config);
    redis_path(&f->redis, "a.pem", cert);
    redis_path(&f->redis, "a.key", key);
    redis_path(&f->redis, "b.key", other);
    assert_int_equal(tls_context_create(&(struct tls_files){none, "", ""}, &c), TLS_E_CACERT);
    assert_int_equal(tls_context_create(&(struct tls_files){config, "", ""}, &c), TLS_E_CACERT);
    assert_int_equal(tls_context_create(&(struct tls_files){f->ca, none, key}, &c), TLS_E_CERT);
    assert_int_equal(tls_context_create(&(struct tls_files){f->ca, key, key}, &c), TLS_E_CERT);
    assert_int_equal(tls_context_create(&(struct tls_files){f->ca, cert, none}, &c), TLS_E_KEY);
    assert_int_equal(tls_context_create(&(struct tls_files){f->ca, cert, other}, &c), TLS_E_KEY);
    assert_int_equal(tls_context_create(&(struct tls_files){f->ca, cert, key}, &c), 0);
    tls_context_destroy(c);
}

/* ======= as a connection ======= */

static void a_value_of_megabytes_goes_and_comes(void **state)
{
    enum { BYTES = 9 << 20 };
    struct fixture *f = sound(state, NULL);
    struct ask a, b;
    char *value = malloc(BYTES + 1);
    memset(value, 'v', BYTES);
    value[BYTES] = 0;
    dial(f, "127.0.0.1", "");
    rig_until_ready(&f->rig);
    EXPECT_STATUS(&f->rig, "OK", "SET", "big", value);
    ASK(&f->rig, &a, "GET", "big");
    ASK(&f->rig, &b, "STRLEN", "big");
    ask_wait(&f->rig, &b);
    assert_int_equal(a.text_bytes, BYTES);
    assert_int_equal(b.integer, BYTES);
    free(value);
}

static void many_commands_are_answered_in_order(void **state)
{
    enum { MANY = 1000 };
    struct fixture *f = sound(state, NULL);
    struct ask *asks = calloc(MANY, sizeof(*asks));
    dial(f, "127.0.0.1", "");
    rig_until_ready(&f->rig);
    for (unsigned i = 0; i < MANY; i++)
        ASK(&f->rig, &asks[i], "INCR", "n");
    ask_wait(&f->rig, &asks[MANY - 1]);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(asks[i].integer, i + 1);
    free(asks);
}

static void a_redis_that_stands_still_loses_what_is_under_way(void **state)
{
    struct fixture *f = sound(state, NULL);
    struct ask a;
    dial(f, "127.0.0.1", "");
    rig_until_ready(&f->rig);
    redis_freeze(&f->redis);
    assert_int_equal(ask_in(&f->rig, &a, 20 * NS_PER_MS, "PING", (char *)NULL), 0);
    rig_expect_end(&f->rig, CONN_END_TIMEOUT, "in time");
    assert_int_equal(a.outcome, L2_LOST);
}

static void a_killed_redis_is_gone(void **state)
{
    struct fixture *f = sound(state, NULL);
    dial(f, "127.0.0.1", "");
    rig_until_ready(&f->rig);
    redis_kill(&f->redis);
    rig_expect_end(&f->rig, CONN_END_GONE, "the connection to Redis ended");
}

static void a_handshake_that_is_held_up_does_not_keep_us_waiting(void **state)
{
    struct fixture *f = sound(state, NULL);
    char server[64];
    snprintf(server, sizeof(server), "127.0.0.1:%u", f->redis.tls_port);
    proxy_start(&f->proxy, server);
    f->proxied = true;
    proxy_tell(&f->proxy, "hold down");
    f->rig.open_timeout_ns = 500 * NS_PER_MS;
    rig_dial(&f->rig, "rediss://127.0.0.1:%u?cacert=%s", f->proxy.port, f->ca);
    rig_expect_end(&f->rig, CONN_END_OPEN_TIMEOUT, "TLS handshake");
    proxy_tell(&f->proxy, "release down");
    f->rig.open_timeout_ns = RIG_PATIENT_S * NS_PER_S;
    rig_dial(&f->rig, "rediss://127.0.0.1:%u?cacert=%s", f->proxy.port, f->ca);
    rig_until_ready(&f->rig);
    proxy_tell(&f->proxy, "cut");
    rig_expect_end(&f->rig, CONN_END_GONE, "reset");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_certificate_for_the_number_the_name_or_the_name_given_is_good),
        CASE(a_certificate_for_another_name_is_refused),
        CASE(a_certificate_for_another_number_is_refused),
        CASE(a_certificate_signed_by_strangers_is_refused),
        CASE(without_a_file_only_whom_the_system_trusts_is_good),
        CASE(an_expired_certificate_is_refused),
        CASE(a_certificate_of_tomorrow_is_refused),
        CASE(a_password_is_not_told_to_somebody_else),
        CASE(a_client_certificate_is_shown),
        CASE(a_client_certificate_that_is_wanted_and_missing_is_said),
        CASE(a_client_certificate_that_is_missing_is_said_by_tls_1_2_too),
        CASE(a_client_certificate_signed_by_strangers_is_not_taken),
        CASE(tls_at_a_plain_port_is_said),
        CASE(plain_at_a_tls_port_is_said),
        CASE(files_that_are_no_certificates_are_said_before_anything_is_dialled),
        CASE(a_value_of_megabytes_goes_and_comes),
        CASE(many_commands_are_answered_in_order),
        CASE(a_redis_that_stands_still_loses_what_is_under_way),
        CASE(a_killed_redis_is_gone),
        CASE(a_handshake_that_is_held_up_does_not_keep_us_waiting),
    };
    have_tls = redis_has_tls();
    if (!have_tls)
        print_message("# no redis-server with TLS is installed: what needs one is skipped\n");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
