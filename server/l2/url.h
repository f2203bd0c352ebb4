/* The address of a Redis, as people write it:
 *
 *     redis://[user[:password]@]host[:port][/db]          rediss:// the same through TLS
 *     unix://[user[:password]@]/path                      unix:path
 *
 * and behind a '?': db, and for rediss:// cacert, cert, key (paths of PEM files) and servername.  Everything may be
 * percent-encoded; an address of version 6 stands in brackets.
 *
 * What must stay true: pure; what comes of an address has no control character in it; the password is in no sentence
 * and in no shown form, and is wiped at the end. */
#ifndef LARDER_L2_URL_H
#define LARDER_L2_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    L2_URL_MAX = 8192,     /* passwords of managed services are signed tokens of some kilobytes */
    L2_URL_PATH_MAX = 107, /* the system's limit for a Unix socket; libuv would cut a longer one in silence */
    L2_URL_HOST_MAX = 253,
    L2_URL_PORT_DEFAULT = 6379,
    L2_URL_SHOWN = 640, /* room that is always enough for l2_url_show */
};

/* All texts point into `text`; what was not given is "". */
struct l2_url {
    bool tls;
    const char *path; /* of a Unix socket; "" when it is host and port */
    const char *host; /* name or number, without brackets */
    uint16_t port;
    uint32_t db;
    const char *user, *password;
    const char *cacert, *cert, *key, *servername;
    char *text;
    size_t text_bytes;
};

#define L2_URL_ERRORS(ERROR)                                                                               \
    ERROR(-1, LENGTH, "the address of Redis is empty, or it or its password is longer than 8 KiB")         \
    ERROR(-2, SCHEME, "the address of Redis begins with none of redis://, rediss://, unix:")               \
    ERROR(-3, HTTP,                                                                                        \
          "this is the HTTP address of a Redis service; the one that begins with rediss:// is needed")     \
    ERROR(-4, CHARACTER,                                                                                   \
          "the address of Redis has a space or a control character in it; write %20 and the like")         \
    ERROR(-5, PERCENT, "the address of Redis has a '%' that is not followed by two hexadecimal digits")    \
    ERROR(-6, FRAGMENT, "the address of Redis has a '#' in it; in a password it is written %23")           \
    ERROR(-7, HOST, "the address of Redis has no host, or one that is too long or oddly bracketed")        \
    ERROR(-8, PORT, "the port of Redis is no number from 1 to 65535")                                      \
    ERROR(-9, DB, "the database of Redis is no number from 0 to 2147483647, or it is given twice")         \
    ERROR(-10, PATH,                                                                                       \
          "the path of the socket of Redis is empty or longer than 107 bytes, the system's limit")         \
    ERROR(-11, PARAMETER, "behind the '?' only db, cacert, cert, key and servername are known, each once") \
    ERROR(-12, NOT_TLS, "cacert, cert, key and servername are for rediss:// only")                         \
    ERROR(-13, PAIR, "cert and key are given together or not at all")                                      \
    ERROR(-14, PASSWORD, "the address of Redis has a user, and there is no password")                      \
    ERROR(-15, TWICE, "the password of Redis is given in the address and beside it")

enum {
#define ERROR(code, NAME, sentence) L2_URL_E_##NAME = (code),
    L2_URL_ERRORS(ERROR)
#undef ERROR
};
const char *l2_url_error_text(int error);

/* <0: L2_URL_E_*, nothing to finish. */
int l2_url_parse(const char *text, struct l2_url *ret);
/* The same with a password from elsewhere, a file for instance, taken as it is; "" or NULL: none. */
int l2_url_parse_with(const char *text, const char *password, struct l2_url *ret);
void l2_url_finish(struct l2_url *url); /* wipes, frees; zeroed memory and a second time are fine */

/* For logs and documents: scheme, user, place and database; no password, no parameters.  Returns room. */
const char *l2_url_show(const struct l2_url *url, char room[L2_URL_SHOWN]);

#endif
