/* SPDX-License-Identifier: MIT
 *
 * config.h: what a TLS configuration is made of, for config.c, session.c and tls.c.
 */
#ifndef CEASE_TLS_CONFIG_H
#define CEASE_TLS_CONFIG_H

#include <cease/tls.h>

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdint.h>

enum { CEASEI_TLS_SESSIONS_MAX = 64 };

/* A session that a client may take up again with that host. */
struct ceasei_tls_session {
    char *host;
    SSL_SESSION *session;
};

/* A certificate and its key; set at birth. */
struct ceasei_tls_identity {
    char *certificate_file, *key_file;
};

struct cease_tls_config {
    uint32_t shares;    /* atomic; connections have one each */
    BIO_METHOD *method; /* set at birth, as all above the lock: how OpenSSL reaches our buffers */
    bool server;
    struct ceasei_tls_identity
        *identities; /* a server's, the first for those who name none; a client's one */
    size_t identity_count;
    char *ca_file; /* whom it trusts; NULL: a client, the system's; a server, it does not ask */
    bool client_optional; /* of a server that asks: a client need not have a certificate */
    /* The protocols as RFC 7301 has them on the wire, each name behind a byte with its length; and in
     * the same memory behind that, at the same offsets, each name with a NUL behind it. */
    unsigned char *alpn;
    unsigned alpn_size; /* of one of the two */

    pthread_mutex_t lock;
    SSL_CTX *ctx;                                                /* under lock */
    struct ceasei_tls_session sessions[CEASEI_TLS_SESSIONS_MAX]; /* under lock, oldest first */
    int session_count;                                           /* under lock */
};

/* The text of a protocol that is on the configuration's list; NULL for another. */
const char *ceasei_tls_alpn_text(const cease_tls_config *config, const unsigned char *name,
                                 unsigned size);

/* A new connection's SSL, made from what the configuration is now; NULL: no memory. */
SSL *ceasei_tls_ssl_new(cease_tls_config *config);

/* identity.c. False: no memory, or OpenSSL complains. */
bool ceasei_tls_identities_copy(cease_tls_config *config, const cease_tls_identity *list,
                                size_t count);
void ceasei_tls_identities_free(cease_tls_config *config);
/* Reads a certificate and its key into c. */
bool ceasei_tls_identity_use(SSL_CTX *c, const struct ceasei_tls_identity *identity);
/* Makes `first` choose between itself and the others, a list in malloc's memory with a NULL at its end, by
 * the name that a client asks for. */
bool ceasei_tls_others_put(SSL_CTX *first, SSL_CTX **take_others);
/* Whom the peer has proved to be; NULL: it has not. */
bool ceasei_tls_subject(SSL *ssl, char **ret_subject);

/* Keeps a session for the next connection to that host, and drops the oldest when there are too many.
 * True: the session's reference has become the configuration's. */
bool ceasei_tls_session_put(cease_tls_config *config, const char *host, SSL_SESSION *session);

/* The newest session with that host, for a connection that begins; NULL when there is none. The
 * reference is the caller's. */
SSL_SESSION *ceasei_tls_session_take(cease_tls_config *config, const char *host);

/* Under lock. */
void ceasei_tls_sessions_drop(cease_tls_config *config);

#endif
