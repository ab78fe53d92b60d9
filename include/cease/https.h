/* SPDX-License-Identifier: MIT
 *
 * cease/https.h: what joins the HTTP client and server with libcease-tls. Part of libcease-https, so that
 * libcease-http alone needs no TLS library.
 *
 *     cease_tls_config *trust = cease_tls_client_new(NULL);
 *     cease_http_client_opts opts = {.size = sizeof opts, .tls = cease_https(), .tls_arg = trust};
 *     cease_http_client *client = cease_http_client_new(&opts);
 *     …
 *     cease_http_client_free(client);
 *     cease_tls_config_unref(trust);
 *
 * A server:
 *
 *     cease_tls_server_opts opts = {.size = sizeof opts, .certificate_file = …, .key_file = …};
 *     e = cease_tls_server_new(&opts, &own);
 *     e = cease_http_server_serve_tls(ctx, server, listener, cease_https_server(), own);
 *     cease_tls_config_unref(own);
 */
#ifndef CEASE_HTTPS_H
#define CEASE_HTTPS_H

#include <cease/attr.h>
#include <cease/http_client.h>
#include <cease/tls.h>

CEASE_BEGIN_DECLS

/* The table for cease_http_client_opts.tls; tls_arg is a cease_tls_config of cease_tls_client_new, which
 * stays the caller's and must live as long as the client.
 *
 * Parks: never.
 * Callers: any.
 * Owns: nothing: the table is static.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC const cease_http_tls *cease_https(void);

/* The table for cease_http_server_serve_tls; its tls_arg is a cease_tls_config of cease_tls_server_new, which
 * stays the caller's.
 *
 * Parks: never.
 * Callers: any.
 * Owns: nothing: the table is static.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC const cease_http_tls *cease_https_server(void);

CEASE_END_DECLS

#endif
