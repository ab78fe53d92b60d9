/* SPDX-License-Identifier: MIT
 *
 * https.c: libcease-tls behind the tables of the HTTP client and server.
 */
#include <cease/https.h>

static cease_error begin(cease_ctx *ctx, cease_tls *tls, void **ret_session)
{
    if (!tls) {
        return CEASE_ENOMEM;
    }
    *ret_session = tls;
    return cease_tls_handshake(ctx, tls);
}

static const char *why_of(void *session)
{
    return cease_tls_why((const cease_tls *)session);
}

static cease_error open_client(cease_ctx *ctx, void *arg, cease_conn *take_conn, const char *host,
                               void **ret_session)
{
    return begin(ctx, cease_tls_client((cease_tls_config *)arg, take_conn, host), ret_session);
}

static cease_error open_server(cease_ctx *ctx, void *arg, cease_conn *take_conn, const char *host,
                               void **ret_session)
{
    (void)host;
    return begin(ctx, cease_tls_server((cease_tls_config *)arg, take_conn), ret_session);
}

static cease_error shut_session(cease_ctx *ctx, void *session)
{
    return cease_tls_shutdown(ctx, (cease_tls *)session);
}

static cease_error read_session(cease_ctx *ctx, void *session, void *buf, size_t size,
                                size_t *ret_count)
{
    return cease_tls_read(ctx, (cease_tls *)session, buf, size, ret_count);
}

static cease_error write_session(cease_ctx *ctx, void *session, const void *buf, size_t size,
                                 size_t *ret_count)
{
    return cease_tls_write(ctx, (cease_tls *)session, buf, size, ret_count);
}

static bool is_pending(void *session)
{
    return cease_tls_pending((const cease_tls *)session);
}

static const char *agreed_protocol(void *session)
{
    return cease_tls_alpn((const cease_tls *)session);
}

static const char *subject_of(void *session)
{
    return cease_tls_peer_subject((const cease_tls *)session);
}

static void close_session(void *session)
{
    cease_tls_close((cease_tls *)session);
}

const cease_http_tls *cease_https(void)
{
    static const cease_http_tls table = {.size = sizeof table,
                                         .open = open_client,
                                         .read = read_session,
                                         .write = write_session,
                                         .pending = is_pending,
                                         .close = close_session,
                                         .duplex = true,
                                         .alpn = agreed_protocol,
                                         .subject = subject_of,
                                         .why = why_of};
    return &table;
}

const cease_http_tls *cease_https_server(void)
{
    static const cease_http_tls table = {.size = sizeof table,
                                         .open = open_server,
                                         .read = read_session,
                                         .write = write_session,
                                         .pending = is_pending,
                                         .close = close_session,
                                         .duplex = true,
                                         .shutdown = shut_session,
                                         .alpn = agreed_protocol,
                                         .subject = subject_of,
                                         .why = why_of};
    return &table;
}
