/* no_tls.h: what stands in for TLS where a test is about who asks for it: bytes go through as they are. Each test has an
 * open() of its own:
 *
 *     static const cease_http_tls pretended = {NO_TLS, .open = pretend_open};
 */
#ifndef CEASE_TESTS_HTTP_NO_TLS_H
#define CEASE_TESTS_HTTP_NO_TLS_H

#include <cease/http_client.h>
#include <cease/net.h>

static inline cease_error no_tls_read(cease_ctx *ctx, void *session, void *buf, size_t size,
                                      size_t *ret_count)
{
    return cease_conn_read(ctx, session, buf, size, ret_count);
}

static inline cease_error no_tls_write(cease_ctx *ctx, void *session, const void *buf, size_t size,
                                       size_t *ret_count)
{
    return cease_conn_write(ctx, session, buf, size, ret_count);
}

static inline void no_tls_close(void *session)
{
    cease_conn_close(session);
}

#define NO_TLS                                                                  \
    .size = sizeof(cease_http_tls), .read = no_tls_read, .write = no_tls_write, \
    .close = no_tls_close

#endif
