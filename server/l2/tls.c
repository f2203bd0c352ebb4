#include "l2/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/check.h"

enum { TROUBLE_BYTES = 200, WRITE_MAX = 1 << 30 };

struct tls_context {
    SSL_CTX *ctx;
};

struct tls {
    SSL *ssl;
    BIO *in, *out; /* of the ssl */
    char trouble[TROUBLE_BYTES];
};

const char *tls_error_text(int error)
{
    switch (error) {
#define ERROR(code, NAME, sentence) \
    case TLS_E_##NAME: return sentence;
        TLS_ERRORS(ERROR)
#undef ERROR
    default: return "no error";
    }
}

/* ======= context ======= */

static int load_files(SSL_CTX *ctx, const struct tls_files *files)
{
    if (!*files->cacert)
        SSL_CTX_set_default_verify_paths(
            ctx); /* a system that trusts nobody is noticed at the first certificate */
    else if (SSL_CTX_load_verify_file(ctx, files->cacert) != 1)
        return TLS_E_CACERT;
    if (!*files->cert)
        return 0;
    if (SSL_CTX_use_certificate_chain_file(ctx, files->cert) != 1)
        return TLS_E_CERT;
    if (SSL_CTX_use_PrivateKey_file(ctx, files->key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(ctx) != 1)
        return TLS_E_KEY;
    return 0;
}

/* A key with a passphrase is refused: nobody is there to be asked for it. */
static int no_passphrase(char *room, int size, int writing, void *user)
{
    return -1;
}

int tls_context_create(const struct tls_files *files, struct tls_context **ret)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    CHECK(ctx && SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
    int e = load_files(ctx, files);
    ERR_clear_error();
    if (e < 0) {
        SSL_CTX_free(ctx);
        return e;
    }
    struct tls_context *c = must_alloc(sizeof(*c));
    c->ctx = ctx;
    *ret = c;
    return 0;
}

struct tls_context *tls_context_destroy(struct tls_context *c)
{
    if (c)
        SSL_CTX_free(c->ctx);
    free(c);
    return NULL;
}

/* ======= what went wrong, in words ======= */

struct words {
    int reason;
    const char *sentence;
};

static const struct words verify_words[] = {
    {X509_V_ERR_HOSTNAME_MISMATCH, "the certificate of Redis is for another name"},
    {X509_V_ERR_IP_ADDRESS_MISMATCH, "the certificate of Redis is for another address"},
    {X509_V_ERR_CERT_HAS_EXPIRED, "the certificate of Redis has expired"},
    {X509_V_ERR_CERT_NOT_YET_VALID, "the certificate of Redis is not valid yet"},
    {X509_V_ERR_CERT_REVOKED, "the certificate of Redis was revoked"},
    {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "the certificate of Redis is signed by nobody we trust"},
    {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "the certificate of Redis is signed by nobody but itself"},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, "the certificate of Redis is signed by nobody we know"},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, "the certificate of Redis is signed by nobody we know"},
    {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, "the certificate of Redis is signed by nobody we know"},
    {X509_V_ERR_CERT_SIGNATURE_FAILURE, "the certificate of Redis is signed by nobody we trust"},
};

static const struct words alert_words[] = {
    {SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, "Redis wants a client certificate, and we have none"},
    {SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE,
     "Redis broke the handshake off: no cipher in common, or it wants a client certificate"},
    {SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, "Redis refuses our client certificate"},
    {SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE, "Redis refuses our client certificate"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, "Redis says that our client certificate has expired"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED, "Redis says that our client certificate was revoked"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, "Redis refuses our client certificate"},
    {SSL_R_TLSV1_ALERT_UNKNOWN_CA, "Redis does not trust whoever signed our client certificate"},
    {SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, "Redis has no TLS version in common with us: 1.2 is the least"},
    {SSL_R_UNSUPPORTED_PROTOCOL, "Redis has no TLS version in common with us: 1.2 is the least"},
    {SSL_R_TLSV1_UNRECOGNIZED_NAME, "Redis does not know the name it was asked for"},
    {SSL_R_WRONG_VERSION_NUMBER, "what answers at this port does not speak TLS"},
};

static const char *find_words(const struct words *table, size_t count, int reason)
{
    for (size_t i = 0; i < count; i++)
        if (table[i].reason == reason)
            return table[i].sentence;
    return NULL;
}

static int fail(struct tls *t)
{
    unsigned long error = ERR_peek_error();
    long verified = SSL_get_verify_result(t->ssl);
    int reason = ERR_GET_REASON(error);
    const char *sentence = find_words(alert_words, COUNT_OF(alert_words), reason);
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
        sentence = find_words(verify_words, COUNT_OF(verify_words), (int)verified);
    if (sentence)
        snprintf(t->trouble, sizeof(t->trouble), "%s", sentence);
    else if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
        snprintf(t->trouble, sizeof(t->trouble), "the certificate of Redis is not accepted: %s",
                 X509_verify_cert_error_string(verified));
    else {
        const char *theirs = ERR_reason_error_string(error);
        snprintf(t->trouble, sizeof(t->trouble), "TLS failed: %s", theirs ? theirs : "no reason given");
    }
    ERR_clear_error();
    return TLS_E_BROKEN;
}

const char *tls_trouble(const struct tls *t)
{
    return t->trouble;
}

/* ======= a connection ======= */

static bool is_number(const char *name)
{
    unsigned char room[16];
    return inet_pton(AF_INET, name, room) == 1 || inet_pton(AF_INET6, name, room) == 1;
}

static void expect_name(SSL *ssl, const char *name)
{
    if (is_number(name)) {
        CHECK(X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1);
        return;
    }
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    CHECK(SSL_set1_host(ssl, name) == 1);
    SSL_set_tlsext_host_name(ssl, name); /* refuses names over 255 bytes; then nobody is asked for */
}

struct tls *tls_create(struct tls_context *c, const char *name)
{
    struct tls *t = must_alloc(sizeof(*t));
    CHECK(*name); /* no name would mean that any is good */
    t->ssl = SSL_new(c->ctx);
    t->in = BIO_new(BIO_s_mem());
    t->out = BIO_new(BIO_s_mem());
    CHECK(t->ssl && t->in && t->out);
    BIO_set_mem_eof_return(t->in, -1);
    SSL_set_bio(t->ssl, t->in, t->out);
    expect_name(t->ssl, name);
    SSL_set_connect_state(t->ssl);
    return t;
}

struct tls *tls_destroy(struct tls *t)
{
    if (t)
        SSL_free(t->ssl); /* its BIOs too */
    free(t);
    return NULL;
}

void tls_feed(struct tls *t, struct slice bytes)
{
    CHECK(BIO_write(t->in, bytes.data, (int)bytes.size) == (int)bytes.size);
}

int tls_shake(struct tls *t)
{
    ERR_clear_error();
    int r = SSL_do_handshake(t->ssl);
    if (r == 1)
        return 1;
    int e = SSL_get_error(t->ssl, r);
    return e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE ? 0 : fail(t);
}

int tls_read(struct tls *t, void *room, size_t size)
{
    ERR_clear_error();
    int r = SSL_read(t->ssl, room, (int)size);
    if (r > 0)
        return r;
    switch (SSL_get_error(t->ssl, r)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return 0;
    case SSL_ERROR_ZERO_RETURN: return TLS_E_ENDED;
    default: return fail(t);
    }
}

/* A BIO of memory takes all there is, so a write is whole or broken. */
int tls_write(struct tls *t, struct slice text)
{
    ERR_clear_error();
    CHECK(text.size <= WRITE_MAX);
    if (text.size == 0 || SSL_write(t->ssl, text.data, (int)text.size) == (int)text.size)
        return 0;
    return fail(t);
}

struct slice tls_out(struct tls *t)
{
    char *data = NULL;
    long size = BIO_get_mem_data(t->out, &data);
    return slice_of(data, size > 0 ? (size_t)size : 0);
}

void tls_out_taken(struct tls *t)
{
    (void)BIO_reset(t->out);
}
