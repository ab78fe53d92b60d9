/* SPDX-License-Identifier: MIT
 *
 * cease/https.h: what joins the HTTP client with libcease-tls. Part of libcease-https, so that
 * libcease-http alone needs no TLS library.
 *
 *     cease_tls_config *trust = cease_tls_client_new(NULL);
 *     cease_http_client_opts opts = {.size = sizeof opts, .tls = cease_https(), .tls_arg = trust};
 *     cease_http_client *client = cease_http_client_new(&opts);
 *     …
 *     cease_http_client_free(client);
 *     cease_tls_config_unref(trust);
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

CEASE_END_DECLS

#endif
