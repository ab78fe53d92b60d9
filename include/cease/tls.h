/* SPDX-License-Identifier: MIT
 *
 * cease/tls.h: TLS over a connection, under a context. Part of libcease-tls, which uses OpenSSL.
 *
 *     cease_tls_config *trust = cease_tls_client_new(NULL);
 *     cease_error e = cease_dial(ctx, "example.com:443", NULL, &conn);
 *     cease_tls *tls = cease_tls_client(trust, conn, "example.com");   // consumes conn
 *     e = cease_tls_handshake(ctx, tls);
 *     if (e == CEASE_ETLS) puts(cease_tls_why(tls));                   // "certificate: …"
 *     e = cease_tls_write(ctx, tls, "GET / HTTP/1.0\r\n\r\n", 18, NULL);
 *     …
 *     cease_tls_close(tls);
 *     cease_tls_config_unref(trust);
 *
 * TLS 1.2 and 1.3. Every call that talks parks only in the connection below, so it obeys its context
 * as that does. As with a plain connection, one task may read while another writes; several readers (or
 * writers) take turns, whole calls at a time.
 *
 * A client keeps what servers gave it to take up its sessions again, so that the second connection to a
 * host begins with half a handshake; this belongs to the configuration, which connections should share.
 */
#ifndef CEASE_TLS_H
#define CEASE_TLS_H

#include <cease/attr.h>
#include <cease/context.h>
#include <cease/error.h>
#include <cease/net.h>
#include <stdbool.h>
#include <stddef.h>

CEASE_BEGIN_DECLS

typedef struct cease_tls_config
    cease_tls_config;               /* whom to trust, or who one is; shared, counted */
typedef struct cease_tls cease_tls; /* one connection */

/* Whom a client trusts, and what it speaks. Borrowed during the call. */
typedef struct cease_tls_client_opts {
    size_t size;             /* sizeof(cease_tls_client_opts) */
    const char *ca_file;     /* PEM certificates; NULL: those of the system */
    const char *const *alpn; /* protocols to offer ("h2", "http/1.1"), the best first, NULL at the
                              * end; NULL: none (ALPN, RFC 7301) */
    const char
        *certificate_file; /* PEM: what it proves itself with to servers that ask; NULL: nothing */
    const char *key_file;  /* PEM: the certificate's private key */
} cease_tls_client_opts;

/* A certificate and its key. Borrowed during the call. */
typedef struct cease_tls_identity {
    const char *certificate_file; /* PEM: the certificate, then those that lead to a trusted one */
    const char *key_file;         /* PEM: its private key */
} cease_tls_identity;

/* Who a server is, and what it speaks. Borrowed during the call. */
typedef struct cease_tls_server_opts {
    size_t size;                  /* sizeof(cease_tls_server_opts) */
    const char *certificate_file; /* PEM: its certificate, then those that lead to a trusted one */
    const char *key_file;         /* PEM: the certificate's private key */
    const char *const *alpn; /* protocols to choose from, the best first, NULL at the end; a client
                                   * that offers some, but none of these, is refused; NULL: ignored */
    /* Further certificates: a client that asks for a host (SNI) is shown the first of all that is for it, and
     * the very first when none is. */
    const cease_tls_identity *more;
    size_t more_count;
    const char
        *client_ca_file;  /* PEM: who has issued the certificates that clients must have; NULL: they
                                 * are asked for none */
    bool client_optional; /* with client_ca_file: a client may come without one */
} cease_tls_server_opts;

/* Makes a client's configuration. opts may be NULL. There is no way to switch off verification.
 *
 * Parks: never; reads files.
 * Callers: any.
 * Owns: the result is yours: cease_tls_config_unref.
 * Errors: NULL when out of memory or when the file cannot be used; every function here accepts that
 *     NULL with CEASE_ENOMEM.
 * Since: 0.1
 */
CEASE_PUBLIC cease_tls_config *cease_tls_client_new(const cease_tls_client_opts *opts);

/* Makes a server's configuration.
 *
 * Parks: never; reads files.
 * Callers: any.
 * Owns: *ret_config is yours: cease_tls_config_unref.
 * Errors: CEASE_ENOENT (a file cannot be read), CEASE_ETLS (not a certificate, or not its key),
 *     CEASE_EINVAL (a file is not named, or a protocol's name is empty or above 255 bytes),
 *     CEASE_ENOMEM.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_tls_server_new(const cease_tls_server_opts *opts,
                                              cease_tls_config **ret_config);

/* Reads the files again that a configuration was made from: a server's certificate and key, the
 * certificates that a client trusts. Connections that are made from now on use what was read; those that
 * have begun go on as they are. When it fails, everything is as before. Sessions outlive the reload of a
 * server, unless it asks its clients for certificates; a client forgets its own: whom one trusts may have
 * changed.
 *
 * Parks: never; reads files, so a task does it in cease_block.
 * Callers: any, also while connections are made.
 * Owns: nothing.
 * Errors: CEASE_ENOENT (a file cannot be read), CEASE_ETLS (its content cannot be used), CEASE_ENOMEM.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_tls_config_reload(cease_tls_config *config);

/* Takes another share of a configuration.
 *
 * Parks: never.
 * Callers: any, that hold a share.
 * Owns: the share is yours: cease_tls_config_unref.
 * Errors: none; returns config.
 * Since: 0.1
 */
CEASE_PUBLIC cease_tls_config *cease_tls_config_ref(cease_tls_config *config);

/* Gives a share back; connections keep theirs. NULL is fine.
 *
 * Parks: never.
 * Callers: any.
 * Owns: consumes the share.
 * Errors: none; returns NULL.
 * Since: 0.1
 */
CEASE_PUBLIC cease_tls_config *cease_tls_config_unref(cease_tls_config *config);

/* Puts a client's TLS on a connection. The server's certificate must be for `host`, a name or a
 * numeric address, which a name also tells the server (SNI).
 *
 * Parks: never: nothing is sent before the handshake.
 * Callers: any.
 * Owns: consumes take_conn, also on failure; the result is yours: cease_tls_close.
 * Errors: NULL when out of memory, or host is no name.
 * Since: 0.1
 */
CEASE_PUBLIC cease_tls *cease_tls_client(cease_tls_config *config, cease_conn *take_conn,
                                         const char *host);

/* Puts a server's TLS on a connection.
 *
 * Parks: never: nothing is sent before the handshake.
 * Callers: any.
 * Owns: consumes take_conn, also on failure; the result is yours: cease_tls_close.
 * Errors: NULL when out of memory.
 * Since: 0.1
 */
CEASE_PUBLIC cease_tls *cease_tls_server(cease_tls_config *config, cease_conn *take_conn);

/* Agrees on keys and verifies certificates. The first read or write does it if nobody has.
 *
 * Parks: until done.
 * Callers: tasks and threads; of several, one does it.
 * Owns: nothing.
 * Errors: CEASE_ETLS (cease_tls_why says what), those of the connection; the context's, after which
 *     it can be continued.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_tls_handshake(cease_ctx *ctx, cease_tls *tls);

/* Reads what is there, at least one byte, at most `size`.
 *
 * Parks: until there is a byte, the end of the stream, or an error.
 * Callers: tasks and threads; of several readers, one at a time.
 * Owns: nothing.
 * Errors: CEASE_EOF (the peer has said that this is the end), CEASE_ETLS (it has not, but closed; or
 *     anything else that cease_tls_why says), CEASE_EINVAL (size is 0), those of the connection; the
 *     context's.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_tls_read(cease_ctx *ctx, cease_tls *tls, void *buf, size_t size,
                                        size_t *ret_count);

/* Writes all of it. *ret_count (which may be NULL) is written on errors too: how many of the bytes
 * were encrypted. They count as written: what of them the kernel has not taken yet, the next write or
 * shutdown sends first, since a stream cannot be taken up in the middle of a record.
 *
 * Parks: until the kernel has taken everything.
 * Callers: tasks and threads; of several writers, one whole call at a time.
 * Owns: nothing.
 * Errors: CEASE_ETLS, those of the connection; the context's.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_tls_write(cease_ctx *ctx, cease_tls *tls, const void *buf,
                                         size_t size, size_t *ret_count);

/* Says that nothing more will be written, and ends the connection's sending half.
 *
 * Parks: until the kernel has taken it.
 * Callers: tasks and threads; after a write that is under way.
 * Owns: nothing.
 * Errors: as cease_tls_write.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_tls_shutdown(cease_ctx *ctx, cease_tls *tls);

/* The protocol that both sides have agreed on (ALPN), such as "h2"; NULL when there is none, or before
 * the handshake is done.
 *
 * Parks: never.
 * Callers: any.
 * Owns: the text is the connection's, valid until it is closed.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC const char *cease_tls_alpn(const cease_tls *tls);

/* The host name that a client has asked for (SNI), for servers that are several hosts; NULL when it has
 * named none, or before the handshake is done.
 *
 * Parks: never.
 * Callers: any.
 * Owns: the text is the connection's, valid until it is closed.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC const char *cease_tls_server_name(const cease_tls *tls);

/* Whom the peer has proved to be: the subject of its certificate, as "CN=alice,O=Example" (RFC 2253). On a
 * server NULL when the client has shown no certificate (it was not asked, or client_optional); on a client
 * that of the server; NULL before the handshake is done. With TLS 1.3 a client learns only from its first read
 * that the server has refused its certificate.
 *
 * Parks: never.
 * Callers: any.
 * Owns: the text is the connection's, valid until it is closed.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC const char *cease_tls_peer_subject(const cease_tls *tls);

/* Whether the handshake has taken up an earlier session; false before it is done.
 *
 * Parks: never.
 * Callers: any.
 * Owns: nothing.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC bool cease_tls_resumed(const cease_tls *tls);

/* The connection underneath: to guard it, to wait for bytes without a task, to ask for its peer's
 * address. Reading from it or writing to it breaks the stream.
 *
 * Parks: never.
 * Callers: any.
 * Owns: nothing: it is closed with tls; cease_conn_ref keeps it.
 * Errors: none; NULL for NULL.
 * Since: 0.1
 */
CEASE_PUBLIC cease_conn *cease_tls_conn(const cease_tls *tls);

/* Whether bytes have been taken from the connection that no read has delivered yet. Such a read may
 * still have to wait for the rest of a record. Who waits with cease_conn_on_readable asks this first:
 * the connection knows nothing of those bytes.
 *
 * Parks: never.
 * Callers: who reads.
 * Owns: nothing.
 * Errors: none; false for NULL.
 * Since: 0.1
 */
CEASE_PUBLIC bool cease_tls_pending(const cease_tls *tls);

/* What the connection has failed of, in words: "certificate: hostname mismatch: it is for example.org,
 * www.example.org", "the peer says: unknown CA". The first failure counts, those that follow from it do
 * not; "" when there was none.
 *
 * Parks: never.
 * Callers: any.
 * Owns: the text is the connection's, valid until it is closed.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC const char *cease_tls_why(const cease_tls *tls);

/* Closes, without a goodbye if cease_tls_shutdown has not said it. No call may be under way: end its
 * context first. NULL is fine.
 *
 * Parks: never.
 * Callers: any.
 * Owns: consumes tls.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC void cease_tls_close(cease_tls *tls);

CEASE_END_DECLS

#endif
