/* SPDX-License-Identifier: MIT
 *
 * identity.c: certificates: whom a server shows to be, by the name that it is asked for, and who its clients are.
 *
 * OpenSSL keeps a certificate in an SSL_CTX. So a server with several has one for each, all set up alike: the
 * first is the configuration's, and has the others in a list that goes with it. While the client's greeting is
 * read a connection changes over to the one whose certificate is for the name in it. The certificates
 * themselves say which names those are, wildcards included, and OpenSSL compares them.
 */
#include "tls/config.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

/* Of an SSL_CTX: the others, with a NULL at the end. */
static int others_index = -1;
static pthread_once_t others_once = PTHREAD_ONCE_INIT;

static void others_free(void *parent, void *list, CRYPTO_EX_DATA *data, int index, long number,
                        void *arg)
{
    SSL_CTX **others = list;
    (void)parent;
    (void)data;
    (void)index;
    (void)number;
    (void)arg;
    for (size_t i = 0; others && others[i]; i++) {
        SSL_CTX_free(others[i]);
    }
    free(list);
}

static void others_init(void)
{
    others_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, others_free);
}

static bool is_for(const SSL_CTX *c, const char *name)
{
    X509 *x = SSL_CTX_get0_certificate(c);
    return x && X509_check_host(x, name, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
}

/* OpenSSL's callback, when it has read which name the client asks for. */
static int on_name(SSL *ssl, int *ret_alert, void *arg)
{
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const SSL_CTX *first = SSL_get_SSL_CTX(ssl);
    SSL_CTX *const *others = SSL_CTX_get_ex_data(first, others_index);
    (void)ret_alert;
    (void)arg;
    if (name && !is_for(first, name)) {
        for (; others && *others; others++) {
            if (is_for(*others, name)) {
                SSL_set_SSL_CTX(ssl, *others);
                break;
            }
        }
    }
    return SSL_TLSEXT_ERR_OK;
}

bool ceasei_tls_others_put(SSL_CTX *first, SSL_CTX **take_others)
{
    pthread_once(&others_once, others_init);
    if (others_index < 0 || SSL_CTX_set_ex_data(first, others_index, take_others) != 1) {
        others_free(NULL, take_others, NULL, 0, 0, NULL);
        return false;
    }
    SSL_CTX_set_tlsext_servername_callback(first, on_name);
    return true;
}

bool ceasei_tls_identity_use(SSL_CTX *c, const struct ceasei_tls_identity *identity)
{
    return SSL_CTX_use_certificate_chain_file(c, identity->certificate_file) == 1 &&
           SSL_CTX_use_PrivateKey_file(c, identity->key_file, SSL_FILETYPE_PEM) == 1 &&
           SSL_CTX_check_private_key(c) == 1;
}

bool ceasei_tls_identities_copy(cease_tls_config *config, const cease_tls_identity *list,
                                size_t count)
{
    config->identities = count > 0 ? calloc(count, sizeof *config->identities) : NULL;
    if (count > 0 && !config->identities) {
        return false;
    }
    config->identity_count = count;
    for (size_t i = 0; i < count; i++) {
        struct ceasei_tls_identity *own = &config->identities[i];
        own->certificate_file = strdup(list[i].certificate_file);
        own->key_file = strdup(list[i].key_file);
        if (!own->certificate_file || !own->key_file) {
            return false;
        }
    }
    return true;
}

void ceasei_tls_identities_free(cease_tls_config *config)
{
    for (size_t i = 0; i < config->identity_count; i++) {
        free(config->identities[i].certificate_file);
        free(config->identities[i].key_file);
    }
    free(config->identities);
}

bool ceasei_tls_subject(SSL *ssl, char **ret_subject)
{
    X509 *x = SSL_get_verify_result(ssl) == X509_V_OK ? SSL_get0_peer_certificate(ssl) : NULL;
    BIO *out = x ? BIO_new(BIO_s_mem()) : NULL;
    char *data = NULL;
    if (!x) {
        *ret_subject = NULL;
        return true;
    }
    if (out &&
        X509_NAME_print_ex(out, X509_get_subject_name(x), 0,
                           XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) >= 0 &&
        BIO_write(out, "", 1) == 1) { /* its end: what is in memory has none */
        BIO_get_mem_data(out, &data);
        *ret_subject = strdup(data);
    } else {
        *ret_subject = NULL;
    }
    BIO_free(out);
    return *ret_subject != NULL;
}
