#include "support/certs.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include "base/check.h"

static FILE *create(const char *directory, const char *name, const char *ending)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s%s", directory, name, ending);
    FILE *file = fopen(path, "w");
    CHECK(file);
    return file;
}

static void write_cert(const char *directory, const char *name, X509 *cert)
{
    FILE *file = create(directory, name, ".pem");
    CHECK(PEM_write_X509(file, cert) == 1 && fclose(file) == 0);
}

static void write_key(const char *directory, const char *name, EVP_PKEY *key)
{
    FILE *file = create(directory, name, ".key");
    CHECK(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1 && fclose(file) == 0);
}

static void extend(X509 *cert, X509 *issuer, int what, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, what, value);
    CHECK(extension && X509_add_ext(cert, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static X509 *new_cert(EVP_PKEY *key, const char *name, long from_s, long to_s)
{
    static long serial;
    X509 *cert = X509_new();
    CHECK(cert && X509_set_version(cert, X509_VERSION_3) == 1);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(cert), from_s);
    X509_gmtime_adj(X509_getm_notAfter(cert), to_s);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC, (const unsigned char *)name,
                               -1, -1, 0);
    return cert;
}

void authority_make(struct authority *a, const char *directory, const char *name)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = new_cert(key, name, -3600, 3600);
    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    extend(cert, cert, NID_basic_constraints, "critical,CA:TRUE");
    extend(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign");
    CHECK(X509_sign(cert, key, EVP_sha256()) > 0);
    write_cert(directory, name, cert);
    *a = (struct authority){.key = key, .cert = cert, .directory = directory};
}

void authority_drop(struct authority *a)
{
    EVP_PKEY_free(a->key);
    X509_free(a->cert);
}

void authority_issue(const struct authority *a, const char *name, const char *names, long from_s, long to_s)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = new_cert(key, name, from_s, to_s);
    X509_set_issuer_name(cert, X509_get_subject_name(a->cert));
    extend(cert, a->cert, NID_ext_key_usage, names ? "serverAuth" : "clientAuth");
    if (names)
        extend(cert, a->cert, NID_subject_alt_name, names);
    CHECK(X509_sign(cert, a->key, EVP_sha256()) > 0);
    write_cert(a->directory, name, cert);
    write_key(a->directory, name, key);
    EVP_PKEY_free(key);
    X509_free(cert);
}
