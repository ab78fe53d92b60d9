/* SPDX-License-Identifier: MIT
 *
 * config.c: whom a client trusts, who a server is, and which protocols they speak.
 *
 * A configuration never changes once it is made, so connections of all threads share it without a lock.
 * OpenSSL keeps its errors in a queue of the thread: whoever makes it complain empties it.
 */
#include "tls/config.h"

#include "base/atomic.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ALPN_NAME_MAX = 255, ALPN_SIZE_MAX = 65535 }; /* bytes: RFC 7301, section 3.1 */

/* Puts the names into their form on the wire. None: no memory, size 0. */
static cease_error alpn_encode(const char *const *names, unsigned char **ret, unsigned *ret_size)
{
    size_t size = 0;
    for (const char *const *name = names; name && *name; name++) {
        size_t length = strlen(*name);
        if (length == 0 || length > ALPN_NAME_MAX) {
            return CEASE_EINVAL;
        }
        size += length + 1;
    }
    if (size > ALPN_SIZE_MAX) {
        return CEASE_EINVAL;
    }
    unsigned char *p = size > 0 ? malloc(2 * size) : NULL;
    if (size > 0 && !p) {
        return CEASE_ENOMEM;
    }
    *ret = p;
    *ret_size = (unsigned)size;
    for (const char *const *name = names; name && *name; name++) {
        size_t length = strlen(*name);
        *p = (unsigned char)length;
        memcpy(p + 1, *name, length);
        memcpy(p + size, *name, length + 1);
        p += length + 1;
    }
    return CEASE_OK;
}

const char *ceasei_tls_alpn_text(const cease_tls_config *config, const unsigned char *name,
                                 unsigned size)
{
    const unsigned char *p = config->alpn;
    for (unsigned left = config->alpn_size; left > 0; left -= *p + 1U, p += *p + 1U) {
        if (*p == size && memcmp(p + 1, name, size) == 0) {
            return (const char *)p + config->alpn_size;
        }
    }
    return NULL;
}

/* OpenSSL's callback: the first of ours that the client offers. The answer points into `offer`. */
static int alpn_select(SSL *ssl, const unsigned char **ret, unsigned char *ret_size,
                       const unsigned char *offer, unsigned offer_size, void *arg)
{
    const cease_tls_config *config = arg;
    (void)ssl;
    unsigned char *chosen = NULL;
    int found = SSL_select_next_proto(&chosen, ret_size, config->alpn, config->alpn_size, offer,
                                      offer_size);
    *ret = chosen;
    return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static cease_error config_new(const SSL_METHOD *method, const char *const *alpn,
                              cease_tls_config **ret_config)
{
    cease_tls_config *config = calloc(1, sizeof *config);
    if (!config) {
        return CEASE_ENOMEM;
    }
    config->shares = 1;
    config->ctx = SSL_CTX_new(method);
    cease_error e =
        config->ctx ? alpn_encode(alpn, &config->alpn, &config->alpn_size) : CEASE_ENOMEM;
    if (e != CEASE_OK) {
        cease_tls_config_unref(config);
        return e;
    }
    SSL_CTX_set_min_proto_version(config->ctx, TLS1_2_VERSION);
    SSL_CTX_set_mode(config->ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(config->ctx, SSL_OP_NO_RENEGOTIATION);
    *ret_config = config;
    return CEASE_OK;
}

cease_tls_config *cease_tls_client_new(const cease_tls_client_opts *opts)
{
    static const cease_tls_client_opts none;
    cease_tls_config *config = NULL;
    opts = opts ? opts : &none;
    if (config_new(TLS_client_method(), opts->alpn, &config) == CEASE_OK) {
        SSL_CTX_set_verify(config->ctx, SSL_VERIFY_PEER, NULL);
        bool ok = opts->ca_file ? SSL_CTX_load_verify_file(config->ctx, opts->ca_file) == 1
                                : SSL_CTX_set_default_verify_paths(config->ctx) == 1;
        ok = ok && (config->alpn_size == 0 ||
                    SSL_CTX_set_alpn_protos(config->ctx, config->alpn, config->alpn_size) == 0);
        if (!ok) {
            config = cease_tls_config_unref(config);
        }
    }
    ERR_clear_error();
    return config;
}

cease_error cease_tls_server_new(const cease_tls_server_opts *opts, cease_tls_config **ret_config)
{
    cease_tls_config *config = NULL;
    if (!opts || !opts->certificate_file || !opts->key_file) {
        return CEASE_EINVAL;
    }
    if (access(opts->certificate_file, R_OK) != 0 || access(opts->key_file, R_OK) != 0) {
        return CEASE_ENOENT;
    }
    cease_error e = config_new(TLS_server_method(), opts->alpn, &config);
    if (e == CEASE_OK) {
        SSL_CTX *c = config->ctx;
        if (config->alpn_size > 0) {
            SSL_CTX_set_alpn_select_cb(c, alpn_select, config);
        }
        if (SSL_CTX_use_certificate_chain_file(c, opts->certificate_file) != 1 ||
            SSL_CTX_use_PrivateKey_file(c, opts->key_file, SSL_FILETYPE_PEM) != 1 ||
            SSL_CTX_check_private_key(c) != 1) {
            cease_tls_config_unref(config);
            e = CEASE_ETLS;
        }
    }
    ERR_clear_error();
    if (e == CEASE_OK) {
        *ret_config = config;
    }
    return e;
}

cease_tls_config *cease_tls_config_ref(cease_tls_config *config)
{
    if (config) {
        ceasei_add(&config->shares, 1, RELAXED);
    }
    return config;
}

cease_tls_config *cease_tls_config_unref(cease_tls_config *config)
{
    /* ACQ_REL: the last one frees what the others have used. */
    if (config && ceasei_sub(&config->shares, 1, ACQ_REL) == 1) {
        SSL_CTX_free(config->ctx); /* NULL is fine */
        free(config->alpn);
        free(config);
    }
    return NULL;
}
