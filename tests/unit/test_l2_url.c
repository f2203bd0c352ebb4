/* Addresses of Redis: what is understood, what is refused and with which sentence, and that no password shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <string.h>

#include "base/check.h"
#include "l2/url.h"

struct good {
    const char *text;
    bool tls;
    const char *path, *host;
    unsigned port, db;
    const char *user, *password;
    const char *shown;
};

static const struct good goods[] = {
    {"redis://h", false, "", "h", 6379, 0, "", "", "redis://h:6379/0"},
    {"redis://h/", false, "", "h", 6379, 0, "", "", "redis://h:6379/0"},
    {"redis://10.0.0.1:7000/3", false, "", "10.0.0.1", 7000, 3, "", "", "redis://10.0.0.1:7000/3"},
    {"redis://h?db=4", false, "", "h", 6379, 4, "", "", "redis://h:6379/4"},
    {"redis://[::1]:7000", false, "", "::1", 7000, 0, "", "", "redis://[::1]:7000/0"},
    {"redis://[fe80::1%25eth0]", false, "", "fe80::1%eth0", 6379, 0, "", "", "redis://[fe80::1%eth0]:6379/0"},
    {"rediss://h:6380", true, "", "h", 6380, 0, "", "", "rediss://h:6380/0"},
    {"redis://:secret@h", false, "", "h", 6379, 0, "", "secret", "redis://h:6379/0"},
    {"redis://app:secret@h:1/2", false, "", "h", 1, 2, "app", "secret", "redis://app@h:1/2"},
    {"redis://a%3Ab:%40%2F%3f%23%25@h", false, "", "h", 6379, 0, "a:b", "@/?#%", "redis://a:b@h:6379/0"},
    {"redis://app:p@ss:word@h", false, "", "h", 6379, 0, "app", "p@ss:word", "redis://app@h:6379/0"},
    {"unix:///run/redis.sock", false, "/run/redis.sock", "", 0, 0, "", "", "unix:///run/redis.sock?db=0"},
    {"unix:///run/r%20s?db=2", false, "/run/r s", "", 0, 2, "", "", "unix:///run/r s?db=2"},
    {"unix:run/redis.sock", false, "run/redis.sock", "", 0, 0, "", "", "unix://run/redis.sock?db=0"},
    {"unix:/a@b", false, "/a@b", "", 0, 0, "", "", "unix:///a@b?db=0"},
    {"unix://app:secret@/run/r", false, "/run/r", "", 0, 0, "app", "secret", "unix://app@/run/r?db=0"},
};

static void addresses_of_every_kind_are_understood(void **state)
{
    char room[L2_URL_SHOWN];
    for (size_t i = 0; i < COUNT_OF(goods); i++) {
        const struct good *g = &goods[i];
        struct l2_url url;
        assert_int_equal(l2_url_parse(g->text, &url), 0);
        assert_int_equal(url.tls, g->tls);
        assert_string_equal(url.path, g->path);
        assert_string_equal(url.host, g->host);
        assert_int_equal(url.port, g->port);
        assert_int_equal(url.db, g->db);
        assert_string_equal(url.user, g->user);
        assert_string_equal(url.password, g->password);
        assert_string_equal(l2_url_show(&url, room), g->shown);
        l2_url_finish(&url);
    }
}

static void files_and_name_for_tls_stand_behind_the_question_mark(void **state)
{
    struct l2_url url;
    assert_int_equal(
        l2_url_parse("rediss://h?cacert=/ca%2Bx.pem&cert=/c.pem&key=/k.pem&servername=cache.local&db=1",
                     &url),
        0);
    assert_string_equal(url.cacert, "/ca+x.pem");
    assert_string_equal(url.cert, "/c.pem");
    assert_string_equal(url.key, "/k.pem");
    assert_string_equal(url.servername, "cache.local");
    assert_int_equal(url.db, 1);
    l2_url_finish(&url);
}

static const struct {
    const char *text;
    int error;
} bads[] = {
    {NULL, L2_URL_E_LENGTH},
    {"", L2_URL_E_LENGTH},
    {"h:6379", L2_URL_E_SCHEME},
    {"REDIS://h", L2_URL_E_SCHEME},
    {"redis:/h", L2_URL_E_SCHEME},
    {"https://eu1.upstash.io", L2_URL_E_HTTP},
    {"redis://h /1", L2_URL_E_CHARACTER},
    {"redis://h\r\nFLUSHALL", L2_URL_E_CHARACTER},
    {"redis://:a%0d%0aFLUSHALL@h", L2_URL_E_CHARACTER},
    {"redis://h%00x", L2_URL_E_CHARACTER},
    {"redis://:a%4@h", L2_URL_E_PERCENT},
    {"redis://:a%@h", L2_URL_E_PERCENT},
    {"redis://:a%zz@h", L2_URL_E_PERCENT},
    {"redis://:a#b@h", L2_URL_E_FRAGMENT},
    {"redis://", L2_URL_E_HOST},
    {"redis:///1", L2_URL_E_HOST},
    {"redis://:6379", L2_URL_E_HOST},
    {"redis://::1", L2_URL_E_HOST},
    {"redis://[::1", L2_URL_E_HOST},
    {"redis://[::1]x", L2_URL_E_HOST},
    {"redis://[h]", L2_URL_E_HOST},
    {"redis://:pa/ss@h", L2_URL_E_HOST},
    {"redis://h:", L2_URL_E_PORT},
    {"redis://h:0", L2_URL_E_PORT},
    {"redis://h:65536", L2_URL_E_PORT},
    {"redis://h:+1", L2_URL_E_PORT},
    {"redis://h:99999999999999999999", L2_URL_E_PORT},
    {"redis://h/x", L2_URL_E_DB},
    {"redis://h/1/2", L2_URL_E_DB},
    {"redis://h/-1", L2_URL_E_DB},
    {"redis://h/2147483648", L2_URL_E_DB},
    {"redis://h/1?db=1", L2_URL_E_DB},
    {"redis://h?db=", L2_URL_E_DB},
    {"unix:", L2_URL_E_PATH},
    {"unix://", L2_URL_E_PATH},
    {"unix://run/redis", L2_URL_E_PATH},
    {"redis://h?timeout=1", L2_URL_E_PARAMETER},
    {"redis://h?db", L2_URL_E_PARAMETER},
    {"rediss://h?cacert=a&cacert=b", L2_URL_E_PARAMETER},
    {"rediss://h?cacert=", L2_URL_E_PARAMETER},
    {"redis://h?cacert=/a", L2_URL_E_NOT_TLS},
    {"unix:/a?servername=x", L2_URL_E_NOT_TLS},
    {"rediss://h?cert=/a", L2_URL_E_PAIR},
    {"rediss://h?key=/a", L2_URL_E_PAIR},
    {"redis://app@h", L2_URL_E_PASSWORD},
    {"redis://app:@h", L2_URL_E_PASSWORD},
};

static void each_mistake_has_its_own_sentence(void **state)
{
    for (size_t i = 0; i < COUNT_OF(bads); i++) {
        struct l2_url url;
        int e = l2_url_parse(bads[i].text, &url);
        if (e != bads[i].error)
            fail_msg("%s: %s", bads[i].text, l2_url_error_text(e));
        assert_string_not_equal(l2_url_error_text(e), "no error");
    }
}

static void what_is_too_long_is_refused(void **state)
{
    struct l2_url url;
    char *text = must_alloc(L2_URL_MAX + 2);
    memset(text, 'a', L2_URL_MAX + 1);
    memcpy(text, "redis://", 8);
    assert_int_equal(l2_url_parse(text, &url), L2_URL_E_LENGTH);
    text[L2_URL_MAX] = 0;
    assert_int_equal(l2_url_parse(text, &url), L2_URL_E_HOST);
    memcpy(text, "unix:///", 8);
    text[strlen("unix://") + L2_URL_PATH_MAX + 1] = 0;
    assert_int_equal(l2_url_parse(text, &url), L2_URL_E_PATH);
    text[strlen("unix://") + L2_URL_PATH_MAX] = 0;
    assert_int_equal(l2_url_parse(text, &url), 0);
    l2_url_finish(&url);
    free(text);
}

static void the_longest_parts_fit_the_shown_form(void **state)
{
    struct l2_url url;
    char *text = must_alloc(L2_URL_MAX), room[L2_URL_SHOWN];
    strcpy(text, "rediss://");
    memset(text + strlen(text), 'u', 4000);
    strcat(text, ":secret@");
    memset(text + strlen(text), 'h', L2_URL_HOST_MAX);
    strcat(text, ":65535/2147483647");
    assert_int_equal(l2_url_parse(text, &url), 0);
    assert_non_null(strstr(l2_url_show(&url, room), ":65535/2147483647"));
    assert_null(strstr(room, "secret"));
    l2_url_finish(&url);
    free(text);
}

static void a_password_may_come_from_elsewhere(void **state)
{
    struct l2_url url;
    assert_int_equal(l2_url_parse_with("redis://app@h", "a%40 b", &url), 0);
    assert_string_equal(url.user, "app");
    assert_string_equal(url.password, "a%40 b");
    assert_string_equal(url.host, "h");
    l2_url_finish(&url);
    assert_int_equal(l2_url_parse_with("unix:/run/r", "pw", &url), 0);
    assert_string_equal(url.password, "pw");
    l2_url_finish(&url);
    assert_int_equal(l2_url_parse_with("redis://:x@h", "pw", &url), L2_URL_E_TWICE);
    assert_int_equal(l2_url_parse_with("redis://app@h", "", &url), L2_URL_E_PASSWORD);
}

static void finishing_twice_is_fine(void **state)
{
    struct l2_url url = {0};
    l2_url_finish(&url);
    assert_int_equal(l2_url_parse("redis://h", &url), 0);
    l2_url_finish(&url);
    l2_url_finish(&url);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_of_every_kind_are_understood),
        cmocka_unit_test(files_and_name_for_tls_stand_behind_the_question_mark),
        cmocka_unit_test(each_mistake_has_its_own_sentence),
        cmocka_unit_test(what_is_too_long_is_refused),
        cmocka_unit_test(the_longest_parts_fit_the_shown_form),
        cmocka_unit_test(a_password_may_come_from_elsewhere),
        cmocka_unit_test(finishing_twice_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
