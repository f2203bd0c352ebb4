/* Certificates of a test's own: an authority, and what it signs. */
#ifndef LARDER_TESTS_CERTS_H
#define LARDER_TESTS_CERTS_H

struct authority {
    void *key, *cert; /* OpenSSL's */
    const char *directory;
};

/* Writes DIRECTORY/NAME.pem. */
void authority_make(struct authority *a, const char *directory, const char *name);
void authority_drop(struct authority *a);

/* Writes DIRECTORY/NAME.pem and NAME.key.  `names` as in "DNS:redis.test,IP:127.0.0.1", NULL: for a client.  Valid from
 * and to so many seconds from now. */
void authority_issue(const struct authority *a, const char *name, const char *names, long from_s, long to_s);

#endif
