/* SPDX-License-Identifier: MIT
 *
 * multiplex.c: HTTP/2 for the client that keeps its connections: the table of cease/http_client.h, over clients and
 * streams of this library.
 */
#include "http2/client.h"
#include "http2/server.h"

enum { MUTE_MS = 1000 };

/* Fields, the deadline among them, are made by who begins an exchange. */
static const cease_http2_opts plain = {.size = sizeof plain, .no_trace = true, .no_baggage = true};

/* A server says at once how many streams it takes. What is begun before that is known may be more, and would wait
 * in this connection while another has room. */
static cease_error open_connection(cease_ctx *ctx, const cease_http_tls *tls, void *take_session,
                                   void (*gone)(void *arg), void *arg, void **ret_connection)
{
    cease_http2_client carrier = {
        .tls = tls, .session = take_session, .gone = gone, .gone_arg = arg};
    cease_http2_client *c = NULL;
    if (!tls->duplex) {
        tls->close(take_session);
        return CEASE_ENOTSUP;
    }
    cease_error e = ceasei_h2_client_new(&carrier, &plain, &c);
    if (e == CEASE_OK) {
        e = ceasei_h2_conn_await_settings(ctx, &c->conn);
        if (e != CEASE_OK) {
            cease_http2_client_close(c);
            return e == CEASE_ECLOSED ? CEASE_ECONNRESET : e;
        }
        *ret_connection = c;
    }
    return e;
}

static uint32_t limit_of(void *connection)
{
    struct ceasei_h2_conn *c = &((cease_http2_client *)connection)->conn;
    pthread_mutex_lock(&c->lock);
    uint32_t limit = c->ses.over || c->ses.peer_going || c->mute ? 0 : c->ses.peer_max;
    pthread_mutex_unlock(&c->lock);
    return limit;
}

static bool has_served(void *connection)
{
    struct ceasei_h2_conn *c = &((cease_http2_client *)connection)->conn;
    pthread_mutex_lock(&c->lock);
    bool has = c->ses.peer_has_begun;
    pthread_mutex_unlock(&c->lock);
    return has;
}

static void close_connection(void *connection)
{
    cease_http2_client_close(connection);
}

static cease_error begin(cease_ctx *ctx, void *connection, const cease_http_call *request,
                         void **ret_exchange)
{
    cease_http2_stream *s = NULL;
    bool lends = !request->body_read && request->body && request->body_size > 0;
    cease_error e =
        cease_http2_stream_open(ctx, connection, request, !lends && !request->body_read, &s);
    if (e != CEASE_OK) {
        return e;
    }
    if (lends) {
        ceasei_h2_stream_lend(s, request->body, request->body_size);
    }
    *ret_exchange = s;
    return CEASE_OK;
}

static cease_error write_piece(cease_ctx *ctx, void *exchange, const void *data, size_t size,
                               bool last)
{
    const struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    return cease_http2_stream_writev(ctx, exchange, &iov, size > 0 ? 1 : 0, last);
}

static cease_error wait_for_head(cease_ctx *ctx, void *exchange, int *ret_status)
{
    return cease_http2_stream_wait(ctx, exchange, ret_status);
}

static bool header_at(void *exchange, size_t index, const char **ret_name, const char **ret_value)
{
    return cease_http2_stream_header_at(exchange, index, ret_name, ret_value);
}

static cease_error read_piece(cease_ctx *ctx, void *exchange, void *buf, size_t size,
                              size_t *ret_count)
{
    return cease_http2_stream_read(ctx, exchange, buf, size, ret_count);
}

static bool trailer_at(void *exchange, size_t index, const char **ret_name, const char **ret_value)
{
    return cease_http2_stream_trailer_at(exchange, index, ret_name, ret_value);
}

static void give_up(void *exchange)
{
    ceasei_h2_stream_give_up(exchange);
}

/* A server that is there but slow cannot be told from one that is not; a connection costs less than more calls that come to
 * nothing. */
static void timed_out(void *exchange)
{
    struct ceasei_h2_conn *c = ((cease_http2_stream *)exchange)->call.conn;
    pthread_mutex_lock(&c->lock);
    c->mute = c->mute || (c->asked.ns != 0 && cease_until(c->asked).ns <= -cease_ms(MUTE_MS).ns);
    pthread_mutex_unlock(&c->lock);
}

static void end(void *exchange)
{
    cease_http2_stream_close(exchange);
}

const cease_http_multiplex *cease_http2(void)
{
    static const cease_http_multiplex table = {.size = sizeof table,
                                               .alpn = CEASEI_H2_ALPN,
                                               .open = open_connection,
                                               .limit = limit_of,
                                               .has_served = has_served,
                                               .close = close_connection,
                                               .begin = begin,
                                               .write = write_piece,
                                               .wait = wait_for_head,
                                               .header_at = header_at,
                                               .read = read_piece,
                                               .trailer_at = trailer_at,
                                               .give_up = give_up,
                                               .timed_out = timed_out,
                                               .end = end};
    return &table;
}
