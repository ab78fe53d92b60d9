/* SPDX-License-Identifier: MIT
 *
 * tls.h: the insides of a connection, for tls.c, why.c and config.c.
 */
#ifndef CEASE_TLS_TLS_H
#define CEASE_TLS_TLS_H

#include "tls/bytes.h"
#include "tls/config.h"

#include <cease/chan.h>

/* Whose turn it is. A turn is a channel with room for one: to send into it is to take it, which parks
 * and obeys a context; to receive is to give it back, which does neither. */
enum ceasei_tls_turn { CEASEI_TLS_HANDSHAKE, CEASEI_TLS_READ, CEASEI_TLS_WRITE, CEASEI_TLS_TURNS };

struct cease_tls {
    cease_conn *conn;         /* set at birth, as the next three */
    cease_tls_config *config; /* a share */
    char *host;               /* whom a client wants to talk to; NULL: a server */
    cease_chan *turns[CEASEI_TLS_TURNS];

    pthread_mutex_t lock;    /* never held while anybody parks */
    SSL *ssl;                /* under lock, once the connection is in use */
    struct ceasei_bytes in;  /* under lock: has come, for OpenSSL to read */
    struct ceasei_bytes out; /* under lock: OpenSSL has written it, to be sent */
    char why[256];           /* written once, under lock */
    uint32_t has_why;        /* atomic: released by who has written `why` */
    char *subject;           /* of the peer's certificate; written once, before is_open is */
    uint32_t is_open;        /* atomic: released when the handshake is done and sent */

    struct ceasei_bytes sending; /* of who has the turn to write: on its way into the connection */
};

/* How OpenSSL reads `in` and writes `out`. */
BIO_METHOD *ceasei_tls_bio_method(void);

/* Puts down what went wrong, unless something has before. Under lock. */
void ceasei_tls_fail(cease_tls *t, const char *text);

/* What OpenSSL's last call on this thread complains of. Under lock. */
void ceasei_tls_complain(cease_tls *t);

/* OpenSSL's callbacks: a certificate was looked at; a session can be taken up later. */
int ceasei_tls_on_verify(int ok, X509_STORE_CTX *store);
int ceasei_tls_on_session(SSL *ssl, SSL_SESSION *session);

#endif
