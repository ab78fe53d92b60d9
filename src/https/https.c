/* SPDX-License-Identifier: MIT
 *
 * https.c: libcease-tls behind the HTTP client's table.
 */
#include <cease/https.h>

static cease_error open_session(cease_ctx *ctx, void *arg, cease_conn *take_conn, const char *host,
                                void **ret_session)
{
    cease_tls *tls = cease_tls_client((cease_tls_config *)arg, take_conn, host);
    if (!tls) {
        return CEASE_ENOMEM;
    }
    cease_error e = cease_tls_handshake(ctx, tls);
    if (e != CEASE_OK) {
        cease_tls_close(tls);
        return e;
    }
    *ret_session = tls;
    return CEASE_OK;
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

static void close_session(void *session)
{
    cease_tls_close((cease_tls *)session);
}

const cease_http_tls *cease_https(void)
{
    static const cease_http_tls table = {.size = sizeof table,
                                         .open = open_session,
                                         .read = read_session,
                                         .write = write_session,
                                         .pending = is_pending,
                                         .close = close_session,
                                         .duplex = true};
    return &table;
}
