/* certificate.h: a certificate and its key, in the test's own folder. */
#ifndef CEASE_TESTS_HTTPS_CERTIFICATE_H
#define CEASE_TESTS_HTTPS_CERTIFICATE_H

#include "harness.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>

static char cert_file[256], key_file[256];
static const char *cert_names = "DNS:localhost";

static void write_pem(const char *path, X509 *cert, EVP_PKEY *key)
{
    FILE *f = fopen(path, "w");
    CHECK(f != NULL);
    CHECK_EQ(cert ? PEM_write_X509(f, cert)
                  : PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL),
             1);
    fclose(f);
}

/* A certificate that signs itself, of `subject` (its CN), for `names`. */
static void write_certificate(const char *cert, const char *its_key, const char *subject,
                              const char *names)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, key);
    X509_NAME *name = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)subject, -1, -1,
                               0);
    X509_set_issuer_name(x, name);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
    X509_add_ext(x, ext, -1);
    X509_EXTENSION_free(ext);
    CHECK(X509_sign(x, key, EVP_sha256()) > 0);
    write_pem(cert, x, NULL);
    write_pem(its_key, NULL, key);
    X509_free(x);
    EVP_PKEY_free(key);
}

/* One for cert_names. */
static void make_certificate(void)
{
    tzset(); /* the C library keeps what it has read for gmtime_r, which OpenSSL calls */
    harness_mark();
    snprintf(cert_file, sizeof cert_file, "%s/cert.pem", harness_temp_dir());
    snprintf(key_file, sizeof key_file, "%s/key.pem", harness_temp_dir());
    write_certificate(cert_file, key_file, "test", cert_names);
}

#endif
