/* Parsed in place: one copy of the text is cut at its delimiters and each piece decoded where it stands, since
 * decoding never makes it longer. */
#include "l2/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/check.h"

enum { USER_SHOWN = 128 };

const char *l2_url_error_text(int error)
{
    switch (error) {
#define ERROR(code, NAME, sentence) \
    case L2_URL_E_##NAME: return sentence;
        L2_URL_ERRORS(ERROR)
#undef ERROR
    default: return "no error";
    }
}

/* ======= pieces ======= */

/* Ends the text at the delimiter and returns what stands behind it; NULL when there is none. */
static char *cut(char *text, char delimiter)
{
    char *at = text ? strchr(text, delimiter) : NULL;
    if (at)
        *at++ = 0;
    return at;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_control(unsigned char c)
{
    return c < 0x20 || c == 0x7f;
}

static int decode(char *text)
{
    char *to = text;
    for (const char *at = text; *at; at++, to++) {
        *to = *at;
        if (*at != '%')
            continue;
        int high = hex(at[1]), low = high < 0 ? -1 : hex(at[2]);
        if (low < 0)
            return L2_URL_E_PERCENT;
        *to = (char)(16 * high + low);
        if (is_control((unsigned char)*to))
            return L2_URL_E_CHARACTER;
        at += 2;
    }
    *to = 0;
    return 0;
}

static bool parse_number(const char *text, uint64_t max, uint64_t *ret)
{
    uint64_t value = 0;
    size_t digits = strlen(text);
    if (digits == 0 || digits > 10 || strspn(text, "0123456789") != digits)
        return false;
    for (; *text; text++)
        value = 10 * value + (uint64_t)(*text - '0');
    *ret = value;
    return value <= max;
}

/* ======= parts ======= */

static int parse_credentials(struct l2_url *url, char *text)
{
    char *password = cut(text, ':');
    url->user = text;
    url->password = password ? password : "";
    int e = decode(text);
    if (e == 0 && password)
        e = decode(password);
    return e;
}

/* Up to the last '@' before the place: passwords with an '@' of their own are common enough. */
static int take_credentials(struct l2_url *url, char **authority)
{
    char *at = strrchr(*authority, '@');
    if (!at)
        return 0;
    *at = 0;
    char *text = *authority;
    *authority = at + 1;
    return parse_credentials(url, text);
}

static int parse_port(struct l2_url *url, const char *text)
{
    uint64_t port = L2_URL_PORT_DEFAULT;
    if (text && (!parse_number(text, UINT16_MAX, &port) || port == 0))
        return L2_URL_E_PORT;
    url->port = (uint16_t)port;
    return 0;
}

/* [::1]:6379 or host:6379; *ret_port stays NULL when there is none. */
static int split_host(char *place, char **ret_host, char **ret_port)
{
    if (*place != '[') {
        *ret_host = place;
        *ret_port = cut(place, ':');
        return *ret_port && strchr(*ret_port, ':') ? L2_URL_E_HOST : 0;
    }
    char *behind = cut(place, ']');
    if (!behind || (*behind && *behind != ':') || !strchr(place, ':'))
        return L2_URL_E_HOST;
    *ret_host = place + 1;
    *ret_port = *behind ? behind + 1 : NULL;
    return 0;
}

static int parse_place(struct l2_url *url, char *place)
{
    char *host = NULL, *port = NULL;
    int e = split_host(place, &host, &port);
    if (e == 0)
        e = decode(host);
    if (e < 0)
        return e;
    if (!*host || strlen(host) > L2_URL_HOST_MAX || strpbrk(host, "[]/@ "))
        return L2_URL_E_HOST;
    url->host = host;
    return parse_port(url, port);
}

static int parse_db(struct l2_url *url, const char *text, bool *given)
{
    uint64_t db = 0;
    if (*given || !parse_number(text, INT32_MAX, &db))
        return L2_URL_E_DB;
    *given = true;
    url->db = (uint32_t)db;
    return 0;
}

static int parse_tcp(struct l2_url *url, char *rest, bool *db_given)
{
    char *db = cut(rest, '/');
    int e = take_credentials(url, &rest);
    if (e == 0)
        e = parse_place(url, rest);
    if (e == 0 && db && *db)
        e = parse_db(url, db, db_given);
    return e;
}

/* unix://user:password@/path: what stands before the first '/' is no path.  unix:path is all path. */
static int parse_unix(struct l2_url *url, char *rest, bool with_authority)
{
    char *path = rest;
    if (with_authority) {
        path = strchr(rest, '/');
        if (!path || (path != rest && path[-1] != '@'))
            return L2_URL_E_PATH;
        if (path != rest) {
            path[-1] = 0;
            int e = parse_credentials(url, rest);
            if (e < 0)
                return e;
        }
    }
    url->path = path;
    int e = decode(path);
    if (e == 0 && (!*path || strlen(path) > L2_URL_PATH_MAX))
        e = L2_URL_E_PATH;
    return e;
}

static const char **parameter(struct l2_url *url, const char *name)
{
    const struct {
        const char *name;
        const char **field;
    } table[] = {
        {"cacert", &url->cacert}, {"cert", &url->cert}, {"key", &url->key}, {"servername", &url->servername}};
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if (strcmp(table[i].name, name) == 0)
            return table[i].field;
    return NULL;
}

static int parse_parameter(struct l2_url *url, char *text, bool *db_given)
{
    char *value = cut(text, '=');
    if (!value)
        return L2_URL_E_PARAMETER;
    int e = decode(value);
    if (e < 0)
        return e;
    if (strcmp(text, "db") == 0)
        return parse_db(url, value, db_given);
    const char **field = parameter(url, text);
    if (!field || **field || !*value)
        return L2_URL_E_PARAMETER;
    *field = value;
    return 0;
}

static int parse_query(struct l2_url *url, char *query, bool *db_given)
{
    int e = 0;
    while (e == 0 && query && *query) {
        char *next = cut(query, '&');
        e = parse_parameter(url, query, db_given);
        query = next;
    }
    return e;
}

/* ======= the whole ======= */

static const struct scheme {
    const char *text;
    bool unix_socket, tls, authority;
} schemes[] = {
    {"redis://", false, false, true},
    {"rediss://", false, true, true},
    {"unix://", true, false, true}, /* before unix: */
    {"unix:", true, false, false},
};

static const struct scheme *scheme_of(const char *text)
{
    for (size_t i = 0; i < COUNT_OF(schemes); i++)
        if (strncmp(text, schemes[i].text, strlen(schemes[i].text)) == 0)
            return &schemes[i];
    return NULL;
}

static int judge_text(const char *text)
{
    size_t size = text ? strnlen(text, L2_URL_MAX + 1) : 0;
    if (size == 0 || size > L2_URL_MAX)
        return L2_URL_E_LENGTH;
    for (size_t i = 0; i < size; i++)
        if (is_control((unsigned char)text[i]) || text[i] == ' ')
            return L2_URL_E_CHARACTER;
    if (strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0)
        return L2_URL_E_HTTP;
    if (!scheme_of(text))
        return L2_URL_E_SCHEME;
    return strchr(text, '#') ? L2_URL_E_FRAGMENT : 0;
}

static int judge_parts(const struct l2_url *url)
{
    if (!url->tls && (*url->cacert || *url->cert || *url->key || *url->servername))
        return L2_URL_E_NOT_TLS;
    if (!*url->cert != !*url->key)
        return L2_URL_E_PAIR;
    return *url->user && !*url->password ? L2_URL_E_PASSWORD : 0;
}

static int parse_copy(struct l2_url *url, const char *password)
{
    const struct scheme *scheme = scheme_of(url->text);
    char *rest = url->text + strlen(scheme->text);
    char *query = cut(rest, '?');
    bool db_given = false;
    url->tls = scheme->tls;
    int e = scheme->unix_socket ? parse_unix(url, rest, scheme->authority) : parse_tcp(url, rest, &db_given);
    if (e == 0)
        e = parse_query(url, query, &db_given);
    if (e == 0 && *password && *url->password)
        e = L2_URL_E_TWICE;
    if (e == 0 && *password)
        url->password = password;
    return e < 0 ? e : judge_parts(url);
}

/* The password stands behind the address, in memory that is wiped with it. */
static void copy(struct l2_url *url, const char *text, const char *password)
{
    size_t text_bytes = strlen(text) + 1, password_bytes = strlen(password) + 1;
    url->text_bytes = text_bytes + password_bytes;
    url->text = must_alloc(url->text_bytes);
    memcpy(url->text, text, text_bytes);
    memcpy(url->text + text_bytes, password, password_bytes);
}

int l2_url_parse_with(const char *text, const char *password, struct l2_url *ret)
{
    int e = judge_text(text);
    if (e == 0 && password && strnlen(password, L2_URL_MAX + 1) > L2_URL_MAX)
        e = L2_URL_E_LENGTH;
    if (e < 0)
        return e;
    size_t text_bytes = strlen(text) + 1;
    *ret = (struct l2_url){.path = "",
                           .host = "",
                           .user = "",
                           .password = "",
                           .cacert = "",
                           .cert = "",
                           .key = "",
                           .servername = ""};
    copy(ret, text, password ? password : "");
    e = parse_copy(ret, ret->text + text_bytes);
    if (e < 0)
        l2_url_finish(ret);
    return e;
}

int l2_url_parse(const char *text, struct l2_url *ret)
{
    return l2_url_parse_with(text, NULL, ret);
}

void l2_url_finish(struct l2_url *url)
{
    if (url->text)
        explicit_bzero(url->text, url->text_bytes);
    free(url->text);
    *url = (struct l2_url){0};
}

const char *l2_url_show(const struct l2_url *url, char room[L2_URL_SHOWN])
{
    const char *at = *url->user ? "@" : "";
    if (*url->path)
        snprintf(room, L2_URL_SHOWN, "unix://%.*s%s%s?db=%u", USER_SHOWN, url->user, at, url->path, url->db);
    else
        snprintf(room, L2_URL_SHOWN, strchr(url->host, ':') ? "%s%.*s%s[%s]:%u/%u" : "%s%.*s%s%s:%u/%u",
                 url->tls ? "rediss://" : "redis://", USER_SHOWN, url->user, at, url->host, url->port,
                 url->db);
    return room;
}
