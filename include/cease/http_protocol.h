/* SPDX-License-Identifier: MIT
 *
 * cease/http_protocol.h: the low-level door between the HTTP server and further protocols.
 *
 * Programs do not need this header. A library that teaches a server another protocol does
 * (libcease-http2): it registers a table, and from then on a connection that begins with the protocol's
 * preface is its own. What it then calls to serve requests on the same handlers is the seam, whose types are
 * private to the libraries of this project and of the same version.
 */
#ifndef CEASE_HTTP_PROTOCOL_H
#define CEASE_HTTP_PROTOCOL_H

#include <cease/attr.h>
#include <cease/error.h>
#include <cease/http.h>
#include <cease/net.h>
#include <stddef.h>

CEASE_BEGIN_DECLS

/* Changes whenever the seam's private types do. */
#define CEASE_HTTP_SEAM 3

struct ceasei_http_seam;
struct ceasei_http_connection;

/* A protocol beside HTTP/1.1. */
typedef struct cease_http_protocol {
    size_t size;         /* sizeof(cease_http_protocol) */
    unsigned seam;       /* CEASE_HTTP_SEAM */
    const char *preface; /* the bytes with which a connection begins; static */
    size_t preface_size;
    const char
        *alpn; /* its name over TLS, where that decides, not the preface; NULL: not over TLS */
    /* Serves one connection, of which these bytes have been read, on its task; returns when it is to be
     * closed. */
    void (*run)(void *self, const struct ceasei_http_seam *seam, struct ceasei_http_connection *c,
                const void *data, size_t size);
    void (*release)(void *self); /* with the server; may be NULL */
    void *self;
} cease_http_protocol;

/* Gives the server a protocol.
 *
 * Parks: never.
 * Callers: one at a time, before serve.
 * Owns: copies *protocol; consumes its self with CEASE_OK only.
 * Errors: CEASE_EINVAL (another version), CEASE_EEXIST (it has one), CEASE_EBUSY (serving already),
 *     CEASE_ENOMEM (s is NULL).
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http_server_protocol(cease_http_server *s,
                                                    const cease_http_protocol *protocol);

CEASE_END_DECLS

#endif
