/* SPDX-License-Identifier: MIT
 *
 * cease/tls.h: TLS over a connection, under a context. Part of libcease-tls, which uses OpenSSL.
 *
 *     cease_tls_config *trust = cease_tls_client_new(NULL);
 *     cease_error e = cease_dial(ctx, "example.com:443", NULL, &conn);
 *     cease_tls *tls = cease_tls_client(trust, conn, "example.com");   // consumes conn
 *     e = cease_tls_handshake(ctx, tls);
 *     if (e == CEASE_ETLS) puts(cease_tls_why(tls));                   // "certificate has expired"
 *     e = cease_tls_write(ctx, tls, "GET / HTTP/1.0\r\n\r\n", 18);
 *     …
 *     cease_tls_close(tls);
 *     cease_tls_config_unref(trust);
 *
 * TLS 1.2 and 1.3. Every call that talks parks only in the connection below, so it obeys its context
 * as that does. One task at a time uses a cease_tls: unlike a plain connection, it cannot be read and
 * written at once.
 */
#ifndef CEASE_TLS_H
#define CEASE_TLS_H

#include <cease/attr.h>
#include <cease/context.h>
#include <cease/error.h>
#include <cease/net.h>
#include <stddef.h>

CEASE_BEGIN_DECLS

typedef struct cease_tls_config
    cease_tls_config;               /* whom to trust, or who one is; shared, counted */
typedef struct cease_tls cease_tls; /* one connection */

/* Whom a client trusts. */
typedef struct cease_tls_client_opts {
    size_t size;         /* sizeof(cease_tls_client_opts) */
    const char *ca_file; /* PEM certificates; NULL: those of the system */
} cease_tls_client_opts;

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

/* Makes a server's configuration: a certificate chain and its key, PEM files.
 *
 * Parks: never; reads files.
 * Callers: any.
 * Owns: *ret_config is yours: cease_tls_config_unref.
 * Errors: CEASE_ENOENT (a file cannot be read), CEASE_ETLS (not a certificate, or not its key),
 *     CEASE_ENOMEM.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_tls_server_new(const char *certificate_file, const char *key_file,
                                              cease_tls_config **ret_config);

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
 * Callers: one task at a time.
 * Owns: nothing.
 * Errors: CEASE_ETLS (cease_tls_why says what), those of the connection; the context's, after which
 *     it can be continued.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_tls_handshake(cease_ctx *ctx, cease_tls *tls);

/* Reads what is there, at least one byte, at most `size`.
 *
 * Parks: until there is a byte, the end of the stream, or an error.
 * Callers: one task at a time.
 * Owns: nothing.
 * Errors: CEASE_EOF (the peer has said that this is the end), CEASE_ETLS (it has not, but closed; or
 *     anything else that cease_tls_why says), CEASE_EINVAL (size is 0), those of the connection; the
 *     context's.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_tls_read(cease_ctx *ctx, cease_tls *tls, void *buf, size_t size,
                                        size_t *ret_count);

/* Writes all of it. After an error of the context the rest of what was encrypted is sent first by the
 * next write: a stream cannot be taken up in the middle of a record.
 *
 * Parks: until the kernel has taken everything.
 * Callers: one task at a time.
 * Owns: nothing.
 * Errors: CEASE_ETLS, those of the connection; the context's.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_tls_write(cease_ctx *ctx, cease_tls *tls, const void *buf,
                                         size_t size);

/* Says that nothing more will be written, and ends the connection's sending half.
 *
 * Parks: until the kernel has taken it.
 * Callers: one task at a time.
 * Owns: nothing.
 * Errors: as cease_tls_write.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_tls_shutdown(cease_ctx *ctx, cease_tls *tls);

/* What the last CEASE_ETLS was about, in words; "" when there was none.
 *
 * Parks: never.
 * Callers: one task at a time.
 * Owns: the text is the connection's, valid until its next call.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC const char *cease_tls_why(const cease_tls *tls);

/* Closes, without a goodbye if cease_tls_shutdown has not said it. NULL is fine.
 *
 * Parks: never.
 * Callers: one task at a time.
 * Owns: consumes tls.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC void cease_tls_close(cease_tls *tls);

CEASE_END_DECLS

#endif
