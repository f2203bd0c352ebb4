/* The pure parts of the admin: whom it trusts, where it may listen, how it writes figures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <arpa/inet.h>

#include "admin/door.h"
#include "admin/exposition.h"
#include "admin/trust.h"
#include "base/check.h"

/* ======= trust ======= */

static void a_host_is_one_of_this_host_or_one_that_was_named(void **state)
{
    static const char *const good[] = {"localhost", "LocalHost:80", "127.0.0.1:8370", "127.9.9.9",
                                       "[::1]",     "[::1]:1",      "a.example",      "b.example:7"};
    static const char *const bad[] = {"",
                                      "evil.example",
                                      "localhost.evil.example",
                                      "127.0.0.1.evil.example",
                                      "localhos",
                                      "localhost:80:80",
                                      "localhost:x",
                                      "[::1",
                                      "[::1]evil",
                                      "::1",
                                      "a.example.evil",
                                      "a"};
    for (unsigned i = 0; i < COUNT_OF(good); i++)
        assert_true(trust_host(good[i], "a.example, b.example"));
    for (unsigned i = 0; i < COUNT_OF(bad); i++)
        if (trust_host(bad[i], "a.example, b.example"))
            fail_msg("%s is trusted", bad[i]);
    assert_false(trust_host(NULL, "a"));
    assert_false(trust_host("a.example", ""));
}

static void an_origin_is_the_host_itself_or_none(void **state)
{
    assert_true(trust_origin(NULL, "localhost:1"));
    assert_true(trust_origin(NULL, NULL));
    assert_true(trust_origin("http://localhost:1", "localhost:1"));
    assert_true(trust_origin("https://cache.example", "cache.example"));
    assert_false(trust_origin("http://localhost:2", "localhost:1"));
    assert_false(trust_origin("http://localhost:1", NULL));
    assert_false(trust_origin("null", "null"));
    assert_false(trust_origin("", ""));
    assert_false(trust_origin("localhost:1", "localhost:1"));
}

static void a_token_is_brought_whole_or_not_at_all(void **state)
{
    assert_true(trust_bearer("Bearer secret", "secret"));
    assert_true(trust_bearer("bearer secret", "secret"));
    static const char *const bad[] = {
        "Bearer secre", "Bearer secret ", "Bearer secretsecret", "Bearer ", "Bearer",
        "Basic secret", "secret",         "Bearer Secret",       "",        "Bearer xecret"};
    for (unsigned i = 0; i < COUNT_OF(bad); i++)
        assert_false(trust_bearer(bad[i], "secret"));
    assert_false(trust_bearer(NULL, "secret"));
    assert_false(trust_bearer("Bearer ", "")); /* no token is no key to anything */
}

/* ======= doors ======= */

static int parse(const char *text, struct door_address ret[DOORS_MAX])
{
    const char *why = NULL;
    int count = door_addresses(text, ret, &why);
    assert_true(count >= 0 ? !why : why && *why);
    return count;
}

static void addresses_are_paths_and_ports_of_this_host(void **state)
{
    struct door_address a[DOORS_MAX];
    assert_int_equal(parse("", a), 0);
    assert_int_equal(parse("unix:/run/a.sock, 127.0.0.1:8370 [::1]:9 localhost:0", a), 4);
    assert_string_equal(a[0].path, "/run/a.sock");
    assert_int_equal(a[1].tcp.v4.sin_family, AF_INET);
    assert_int_equal(ntohs(a[1].tcp.v4.sin_port), 8370);
    assert_int_equal(a[2].tcp.v6.sin6_family, AF_INET6);
    assert_int_equal(ntohs(a[2].tcp.v6.sin6_port), 9);
    assert_int_equal(ntohl(a[3].tcp.v4.sin_addr.s_addr), INADDR_LOOPBACK);
}

static void no_address_of_another_host_is_listened_on(void **state)
{
    static const char *const bad[] = {
        "0.0.0.0:1",    "[::]:1",    "10.0.0.1:1", "192.168.0.1:1",      "example.org:1",   ":1",
        "8370",         "127.0.0.1", "127.0.0.1:", "127.0.0.1:1x",       "127.0.0.1:65536", "unix:",
        "[127.0.0.1]:", "[]:1",      "-1:1",       "a:1 b:2 c:3 d:4 e:5"};
    struct door_address a[DOORS_MAX];
    for (unsigned i = 0; i < COUNT_OF(bad); i++)
        if (parse(bad[i], a) >= 0)
            fail_msg("%s is taken", bad[i]);
    assert_true(parse("127.0.0.1:1 127.0.0.1:2 127.0.0.1:3 127.0.0.1:4 127.0.0.1:5", a) < 0);
}

/* ======= exposition ======= */

static void samples_are_written_as_prometheus_reads_them(void **state)
{
    struct buffer text;
    buffer_init(&text, 4096);
    struct exposition e = {.out = &text};
    exposition_family(&e, "a_total", "counter", "what \\ and\nwhere");
    exposition_sample(&e, "a_total", "", NULL, 12345678901234);
    exposition_sample(&e, "a", "_bucket",
                      (struct exposition_label[EXPOSITION_LABELS]){{"le", "0.1"}, {"x", "a\"b\\c\nd"}}, 0.1);
    assert_int_equal(e.error, 0);
    assert_int_equal(buffer_append(&text, "", 1), 0);
    assert_string_equal((const char *)text.data,
                        "# HELP a_total what \\\\ and\\nwhere\n# TYPE a_total counter\n"
                        "a_total 12345678901234\n"
                        "a_bucket{le=\"0.1\",x=\"a\\\"b\\\\c\\nd\"} 0.1\n");
    buffer_finish(&text);
}

static void a_text_that_does_not_fit_is_an_error_and_stays_within_its_bound(void **state)
{
    struct buffer text;
    buffer_init(&text, 100);
    struct exposition e = {.out = &text};
    for (unsigned i = 0; i < 100; i++)
        exposition_sample(&e, "name", "", NULL, i);
    assert_int_equal(e.error, PACK_E_FULL);
    assert_true(text.size <= 100);
    buffer_finish(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_is_one_of_this_host_or_one_that_was_named),
        cmocka_unit_test(an_origin_is_the_host_itself_or_none),
        cmocka_unit_test(a_token_is_brought_whole_or_not_at_all),
        cmocka_unit_test(addresses_are_paths_and_ports_of_this_host),
        cmocka_unit_test(no_address_of_another_host_is_listened_on),
        cmocka_unit_test(samples_are_written_as_prometheus_reads_them),
        cmocka_unit_test(a_text_that_does_not_fit_is_an_error_and_stays_within_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
