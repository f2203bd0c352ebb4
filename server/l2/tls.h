/* TLS over bytes: what came from the socket goes in, what shall go to it comes out; no socket in here.  The only home
 * of <openssl/…>.
 *
 * What must stay true: TLS 1.2 at least; a certificate that is not signed by whom we trust, not for the name we asked
 * for, or not valid now ends the connection before a byte of ours, a password least of all, was sent; there is
 * no way back to plain bytes. */
#ifndef LARDER_L2_TLS_H
#define LARDER_L2_TLS_H

#include <stdbool.h>
#include "proto/slice.h"

/* Who is trusted and who we are; read once, and again when somebody makes a new one. */
struct tls_context;

struct tls_files {
    const char *cacert;     /* "": whom the system trusts */
    const char *cert, *key; /* "": none */
};

#define TLS_ERRORS(ERROR)                                                                      \
    ERROR(-1, CACERT, "the file of trusted certificates cannot be read or has none in it")     \
    ERROR(-2, CERT, "the file of our certificate cannot be read or has none in it")            \
    ERROR(-3, KEY, "the file of our key cannot be read or does not belong to our certificate") \
    ERROR(-4, BROKEN, "TLS failed")                                                            \
    ERROR(-5, ENDED, "Redis ended TLS in order")

enum {
#define ERROR(code, NAME, sentence) TLS_E_##NAME = (code),
    TLS_ERRORS(ERROR)
#undef ERROR
};
const char *tls_error_text(int error);

/* <0: TLS_E_CACERT, _CERT, _KEY. */
int tls_context_create(const struct tls_files *files, struct tls_context **ret);
struct tls_context *tls_context_destroy(struct tls_context *c); /* connections may outlive it; NULL ok */

struct tls;

/* `name`: whom the certificate must be for; a host name, which is also asked for (SNI), or a number. */
struct tls *tls_create(struct tls_context *c, const char *name);
struct tls *tls_destroy(struct tls *t); /* NULL ok, returns NULL */

/* Bytes from the socket.  Read them out before more are fed: that is what bounds the memory. */
void tls_feed(struct tls *t, struct slice bytes);
/* 1: both sides are sure of each other.  0: more must come.  <0: TLS_E_BROKEN. */
int tls_shake(struct tls *t);
/* >0: so many bytes of text.  0: none yet.  <0: TLS_E_BROKEN, TLS_E_ENDED. */
int tls_read(struct tls *t, void *room, size_t size);
/* After tls_shake said 1.  0 or TLS_E_BROKEN. */
int tls_write(struct tls *t, struct slice text);
/* Bytes for the socket, until the next call with this t; tls_out_taken says they were copied. */
struct slice tls_out(struct tls *t);
void tls_out_taken(struct tls *t);

/* Why TLS_E_BROKEN: a sentence, static or within t. */
const char *tls_trouble(const struct tls *t);

#endif
