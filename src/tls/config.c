/* SPDX-License-Identifier: MIT
 *
 * config.c: whom a client trusts, who a server is, and which protocols they speak.
 *
 * Everything that OpenSSL knows of a configuration is in one SSL_CTX. It is never changed once it is made:
 * a reload makes another and puts it in its place, so connections that have begun go on with the one that
 * they have, and a reload that fails leaves everything as it was. The keys that sessions are sealed with
 * pass to the new one, so that clients need no full handshake after a reload.
 *
 * OpenSSL keeps its errors in a queue of the thread: whoever makes it complain empties it.
 *
 * Who guards what: `lock` guards the place of the SSL_CTX and the sessions (session.c). It may be taken
 * while a connection's lock is held, never the other way round.
 */
#include "tls/config.h"

#include "base/atomic.h"
#include "tls/tls.h"

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

/* ---- what OpenSSL is told ----------------------------------------------------------------------- */

static bool set_up_client(const cease_tls_config *config, SSL_CTX *c)
{
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER, ceasei_tls_on_verify);
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(c, ceasei_tls_on_session);
    return (config->ca_file ? SSL_CTX_load_verify_file(c, config->ca_file)
                            : SSL_CTX_set_default_verify_paths(c)) == 1 &&
           (config->alpn_size == 0 ||
            SSL_CTX_set_alpn_protos(c, config->alpn, config->alpn_size) == 0);
}

static bool set_up_server(cease_tls_config *config, SSL_CTX *c)
{
    static const unsigned char name[] = "cease";
    if (config->alpn_size > 0) {
        SSL_CTX_set_alpn_select_cb(c, alpn_select, config);
    }
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF); /* clients keep them, sealed */
    return SSL_CTX_set_session_id_context(c, name, sizeof name - 1) == 1 &&
           SSL_CTX_use_certificate_chain_file(c, config->certificate_file) == 1 &&
           SSL_CTX_use_PrivateKey_file(c, config->key_file, SSL_FILETYPE_PEM) == 1 &&
           SSL_CTX_check_private_key(c) == 1;
}

static cease_error ctx_new(cease_tls_config *config, SSL_CTX **ret)
{
    if (config->server &&
        (access(config->certificate_file, R_OK) != 0 || access(config->key_file, R_OK) != 0)) {
        return CEASE_ENOENT;
    }
    SSL_CTX *c = SSL_CTX_new(config->server ? TLS_server_method() : TLS_client_method());
    if (!c) {
        return CEASE_ENOMEM;
    }
    SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
    SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION);
    if (!(config->server ? set_up_server(config, c) : set_up_client(config, c))) {
        SSL_CTX_free(c);
        return CEASE_ETLS;
    }
    *ret = c;
    return CEASE_OK;
}

static bool copy_text(const char *text, char **ret)
{
    *ret = text ? strdup(text) : NULL;
    return !text || *ret;
}

static cease_error config_new(const cease_tls_config *model, const char *const *alpn,
                              cease_tls_config **ret_config)
{
    cease_tls_config *config = calloc(1, sizeof *config);
    if (!config) {
        return CEASE_ENOMEM;
    }
    config->shares = 1;
    config->server = model->server;
    pthread_mutex_init(&config->lock, NULL);
    config->method = ceasei_tls_bio_method();
    bool ok = config->method && copy_text(model->certificate_file, &config->certificate_file) &&
              copy_text(model->key_file, &config->key_file) &&
              copy_text(model->ca_file, &config->ca_file);
    cease_error e = ok ? alpn_encode(alpn, &config->alpn, &config->alpn_size) : CEASE_ENOMEM;
    e = e == CEASE_OK ? ctx_new(config, &config->ctx) : e;
    ERR_clear_error();
    if (e != CEASE_OK) {
        cease_tls_config_unref(config);
        return e;
    }
    *ret_config = config;
    return CEASE_OK;
}

cease_tls_config *cease_tls_client_new(const cease_tls_client_opts *opts)
{
    static const cease_tls_client_opts none;
    cease_tls_config *config = NULL;
    opts = opts ? opts : &none;
    const cease_tls_config model = {.ca_file = (char *)(uintptr_t)opts->ca_file};
    (void)config_new(&model, opts->alpn, &config);
    return config;
}

cease_error cease_tls_server_new(const cease_tls_server_opts *opts, cease_tls_config **ret_config)
{
    if (!opts || !opts->certificate_file || !opts->key_file) {
        return CEASE_EINVAL;
    }
    const cease_tls_config model = {.server = true,
                                    .certificate_file = (char *)(uintptr_t)opts->certificate_file,
                                    .key_file = (char *)(uintptr_t)opts->key_file};
    return config_new(&model, opts->alpn, ret_config);
}

cease_error cease_tls_config_reload(cease_tls_config *config)
{
    enum { KEYS_SIZE = 80 }; /* bytes: what OpenSSL seals sessions with */
    unsigned char keys[KEYS_SIZE];
    SSL_CTX *made = NULL;
    if (!config) {
        return CEASE_ENOMEM;
    }
    cease_error e = ctx_new(config, &made);
    ERR_clear_error();
    if (e != CEASE_OK) {
        return e;
    }
    pthread_mutex_lock(&config->lock);
    SSL_CTX *former = config->ctx;
    if (config->server && SSL_CTX_get_tlsext_ticket_keys(former, keys, KEYS_SIZE) == 1) {
        SSL_CTX_set_tlsext_ticket_keys(made, keys, KEYS_SIZE);
    }
    config->ctx = made;
    ceasei_tls_sessions_drop(config); /* of a client: whom it trusted then, it may not now */
    pthread_mutex_unlock(&config->lock);
    OPENSSL_cleanse(keys, sizeof keys);
    SSL_CTX_free(former); /* connections have their own references */
    return CEASE_OK;
}

SSL *ceasei_tls_ssl_new(cease_tls_config *config)
{
    pthread_mutex_lock(&config->lock);
    SSL_CTX *c = config->ctx;
    SSL_CTX_up_ref(c);
    pthread_mutex_unlock(&config->lock);
    SSL *ssl = SSL_new(c);
    SSL_CTX_free(c);
    return ssl;
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
        ceasei_tls_sessions_drop(config);
        SSL_CTX_free(config->ctx); /* NULL is fine, as to those below */
        BIO_meth_free(config->method);
        pthread_mutex_destroy(&config->lock);
        free(config->certificate_file);
        free(config->key_file);
        free(config->ca_file);
        free(config->alpn);
        free(config);
    }
    return NULL;
}
