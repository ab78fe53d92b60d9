/* SPDX-License-Identifier: MIT
 *
 * config.c: whom a client trusts, who a server is (identity.c), and which protocols they speak.
 *
 * Everything that OpenSSL knows of a configuration is in one SSL_CTX, and those that go with it. It is never changed once it is made:
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
           (config->identity_count == 0 || ceasei_tls_identity_use(c, config->identities)) &&
           (config->alpn_size == 0 ||
            SSL_CTX_set_alpn_protos(c, config->alpn, config->alpn_size) == 0);
}

/* A server asks its clients for certificates. */
static bool ask_clients(const cease_tls_config *config, SSL_CTX *c)
{
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(config->ca_file);
    SSL_CTX_set_client_CA_list(c, names); /* says which ones are of use; takes them */
    SSL_CTX_set_verify(
        c, SSL_VERIFY_PEER | (config->client_optional ? 0 : SSL_VERIFY_FAIL_IF_NO_PEER_CERT),
        ceasei_tls_on_verify);
    return names && SSL_CTX_load_verify_file(c, config->ca_file) == 1;
}

static bool set_up_server(cease_tls_config *config, SSL_CTX *c,
                          const struct ceasei_tls_identity *identity)
{
    static const unsigned char name[] = "cease";
    if (config->alpn_size > 0) {
        SSL_CTX_set_alpn_select_cb(c, alpn_select, config);
    }
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF); /* clients keep them, sealed */
    return SSL_CTX_set_session_id_context(c, name, sizeof name - 1) == 1 &&
           ceasei_tls_identity_use(c, identity) && (!config->ca_file || ask_clients(config, c));
}

/* One SSL_CTX, for one of the identities; a client may have none. */
static cease_error one_new(cease_tls_config *config, size_t at, SSL_CTX **ret)
{
    SSL_CTX *c = SSL_CTX_new(config->server ? TLS_server_method() : TLS_client_method());
    if (!c) {
        return CEASE_ENOMEM;
    }
    SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
    SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION);
    if (!(config->server ? set_up_server(config, c, &config->identities[at])
                         : set_up_client(config, c))) {
        SSL_CTX_free(c);
        return CEASE_ETLS;
    }
    *ret = c;
    return CEASE_OK;
}

/* Those of a server beyond the first. */
static cease_error others_new(cease_tls_config *config, SSL_CTX *first)
{
    size_t count = config->server ? config->identity_count - 1 : 0;
    SSL_CTX **others = count > 0 ? calloc(count + 1, sizeof(SSL_CTX *)) : NULL;
    cease_error e = count == 0 || others ? CEASE_OK : CEASE_ENOMEM;
    for (size_t i = 0; i < count && e == CEASE_OK; i++) {
        e = one_new(config, i + 1, &others[i]);
    }
    if (others && !ceasei_tls_others_put(first, others) && e == CEASE_OK) {
        e = CEASE_ENOMEM;
    }
    return e;
}

static bool files_are_there(const cease_tls_config *config)
{
    for (size_t i = 0; i < config->identity_count; i++) {
        const struct ceasei_tls_identity *own = &config->identities[i];
        if (access(own->certificate_file, R_OK) != 0 || access(own->key_file, R_OK) != 0) {
            return false;
        }
    }
    return !config->ca_file || access(config->ca_file, R_OK) == 0;
}

static cease_error ctx_new(cease_tls_config *config, SSL_CTX **ret)
{
    SSL_CTX *c = NULL;
    cease_error e = files_are_there(config) ? one_new(config, 0, &c) : CEASE_ENOENT;
    e = e == CEASE_OK ? others_new(config, c) : e;
    if (e != CEASE_OK) {
        SSL_CTX_free(c);
        return e;
    }
    *ret = c;
    return CEASE_OK;
}

static bool copy_text(const char *text, char **ret)
{
    *ret = text ? strdup(text) : NULL;
    return !text || *ret;
}

/* What a configuration is made of; borrowed. */
struct model {
    bool server, client_optional;
    const char *ca_file;
    const char *const *alpn;
    const cease_tls_identity *identities;
    size_t identity_count;
};

static cease_error config_new(const struct model *model, cease_tls_config **ret_config)
{
    cease_tls_config *config = calloc(1, sizeof *config);
    if (!config) {
        return CEASE_ENOMEM;
    }
    config->shares = 1;
    config->server = model->server;
    config->client_optional = model->client_optional;
    pthread_mutex_init(&config->lock, NULL);
    config->method = ceasei_tls_bio_method();
    bool ok = config->method && copy_text(model->ca_file, &config->ca_file) &&
              ceasei_tls_identities_copy(config, model->identities, model->identity_count);
    cease_error e = ok ? alpn_encode(model->alpn, &config->alpn, &config->alpn_size) : CEASE_ENOMEM;
    e = e == CEASE_OK ? ctx_new(config, &config->ctx) : e;
    ERR_clear_error();
    if (e != CEASE_OK) {
        cease_tls_config_unref(config);
        return e;
    }
    *ret_config = config;
    return CEASE_OK;
}

/* A caller of an older version has a shorter struct: what it lacks stays the default. */
static void copy_opts(void *own, size_t own_size, const void *opts, size_t size)
{
    memcpy(own, opts, size > 0 && size < own_size ? size : own_size);
}

cease_tls_config *cease_tls_client_new(const cease_tls_client_opts *opts)
{
    cease_tls_client_opts o = {0};
    cease_tls_config *config = NULL;
    if (opts) {
        copy_opts(&o, sizeof o, opts, opts->size);
    }
    const cease_tls_identity own = {o.certificate_file, o.key_file};
    bool has = o.certificate_file && o.key_file;
    const struct model model = {
        .ca_file = o.ca_file, .alpn = o.alpn, .identities = &own, .identity_count = has};
    if (has || (!o.certificate_file && !o.key_file)) {
        (void)config_new(&model, &config);
    }
    return config;
}

/* The first and those beyond it; to be freed. */
static cease_error all_identities(const cease_tls_server_opts *o, cease_tls_identity **ret)
{
    cease_tls_identity *all = calloc(o->more_count + 1, sizeof *all);
    if (!all) {
        return CEASE_ENOMEM;
    }
    all[0] = (cease_tls_identity){o->certificate_file, o->key_file};
    cease_error e = CEASE_OK;
    for (size_t i = 0; i <= o->more_count && e == CEASE_OK; i++) {
        if (i > 0) {
            all[i] = o->more[i - 1];
        }
        e = all[i].certificate_file && all[i].key_file ? CEASE_OK : CEASE_EINVAL;
    }
    *ret = all;
    return e;
}

cease_error cease_tls_server_new(const cease_tls_server_opts *opts, cease_tls_config **ret_config)
{
    cease_tls_server_opts o = {0};
    cease_tls_identity *all = NULL;
    if (!opts) {
        return CEASE_EINVAL;
    }
    copy_opts(&o, sizeof o, opts, opts->size);
    cease_error e = all_identities(&o, &all);
    if (e == CEASE_OK) {
        const struct model model = {.server = true,
                                    .client_optional = o.client_optional,
                                    .ca_file = o.client_ca_file,
                                    .alpn = o.alpn,
                                    .identities = all,
                                    .identity_count = o.more_count + 1};
        e = config_new(&model, ret_config);
    }
    free(all);
    return e;
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
    /* A session is not verified again: where clients are, they begin anew, because whom the server trusts
     * may have changed. */
    if (config->server && !config->ca_file &&
        SSL_CTX_get_tlsext_ticket_keys(former, keys, KEYS_SIZE) == 1) {
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
        ceasei_tls_identities_free(config);
        free(config->ca_file);
        free(config->alpn);
        free(config);
    }
    return NULL;
}
