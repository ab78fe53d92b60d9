/* SPDX-License-Identifier: MIT
 *
 * tls.c: TLS over a connection, by OpenSSL, under a context.
 *
 * OpenSSL never sees the socket. It reads from and writes to two buffers in memory, and one loop moves
 * bytes between these and the connection, so that all waiting happens in cease_conn_read and _write and
 * ends as they do. What a context's end leaves in the outgoing buffer stays there and goes out first
 * next time.
 *
 * OpenSSL keeps its errors in a queue of the thread. So the queue is emptied before each of its calls
 * and read right after, with no park in between; what it says becomes `why`.
 *
 * A connection belongs to one task at a time; it has a share of its configuration.
 */
#include "tls/config.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cease_tls {
    SSL *ssl;
    cease_tls_config *config; /* a share */
    BIO *in, *out;            /* the SSL's: what has come, and what is to be sent */
    cease_conn *conn;
    char why[256];
};

/* ---- connections ---- */

static cease_tls *tls_new(cease_tls_config *config, cease_conn *take_conn)
{
    cease_tls *t = config && take_conn ? calloc(1, sizeof *t) : NULL;
    if (!t) {
        cease_conn_close(take_conn);
        return NULL;
    }
    t->conn = take_conn;
    t->config = cease_tls_config_ref(config);
    t->ssl = SSL_new(config->ctx);
    BIO *in = BIO_new(BIO_s_mem());
    BIO *out = BIO_new(BIO_s_mem());
    if (!t->ssl || !in || !out) {
        BIO_free(in);
        BIO_free(out);
        cease_tls_close(t);
        ERR_clear_error();
        return NULL;
    }
    BIO_set_mem_eof_return(in, -1); /* empty means "not yet" */
    BIO_set_mem_eof_return(out, -1);
    SSL_set_bio(t->ssl, in, out); /* the SSL owns them */
    t->in = in;
    t->out = out;
    return t;
}

cease_tls *cease_tls_client(cease_tls_config *config, cease_conn *take_conn, const char *host)
{
    cease_tls *t = tls_new(config, take_conn);
    if (!t) {
        return NULL;
    }
    X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);
    bool ok = X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
    if (!ok) { /* no address: a name */
        ok = host[0] != '\0' && SSL_set1_host(t->ssl, host) == 1 &&
             SSL_set_tlsext_host_name(t->ssl, host) == 1;
    }
    ERR_clear_error();
    if (!ok) {
        cease_tls_close(t);
        return NULL;
    }
    SSL_set_hostflags(t->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    SSL_set_connect_state(t->ssl);
    return t;
}

cease_tls *cease_tls_server(cease_tls_config *config, cease_conn *take_conn)
{
    cease_tls *t = tls_new(config, take_conn);
    if (t) {
        SSL_set_accept_state(t->ssl);
    }
    return t;
}

void cease_tls_close(cease_tls *tls)
{
    if (tls) {
        SSL_free(tls->ssl);
        cease_tls_config_unref(tls->config);
        cease_conn_close(tls->conn);
        free(tls);
    }
}

const char *cease_tls_why(const cease_tls *tls)
{
    return tls ? tls->why : "out of memory";
}

const char *cease_tls_alpn(const cease_tls *tls)
{
    const unsigned char *name = NULL;
    unsigned size = 0;
    if (tls && SSL_is_init_finished(tls->ssl)) {
        SSL_get0_alpn_selected(tls->ssl, &name, &size);
    }
    return name ? ceasei_tls_alpn_text(tls->config, name, size) : NULL;
}

cease_conn *cease_tls_conn(const cease_tls *tls)
{
    return tls ? tls->conn : NULL;
}

bool cease_tls_pending(const cease_tls *tls)
{
    return tls && (SSL_has_pending(tls->ssl) || BIO_pending(tls->in) > 0);
}

/* ---- moving bytes ---- */

/* Sends what OpenSSL has written. */
static cease_error flush(cease_ctx *ctx, cease_tls *t)
{
    char *data;
    long size;
    while ((size = BIO_get_mem_data(t->out, &data)) > 0) {
        size_t n = 0;
        cease_error e = cease_conn_write(ctx, t->conn, data, (size_t)size, &n);
        char waste[4096];
        while (n > 0) { /* takes from the front what was sent */
            int taken = BIO_read(t->out, waste, n < sizeof waste ? (int)n : (int)sizeof waste);
            if (taken <= 0) {
                break;
            }
            n -= (size_t)taken;
        }
        if (e != CEASE_OK) {
            return e;
        }
    }
    return CEASE_OK;
}

static cease_error fails(cease_tls *t, const char *why)
{
    snprintf(t->why, sizeof t->why, "%s", why);
    return CEASE_ETLS;
}

/* Receives some bytes for OpenSSL to read. */
static cease_error feed(cease_ctx *ctx, cease_tls *t)
{
    char buf[16 * 1024];
    size_t n = 0;
    cease_error e = cease_conn_read(ctx, t->conn, buf, sizeof buf, &n);
    if (e == CEASE_EOF) {
        return fails(t, "the peer has closed the connection without saying so");
    }
    if (e == CEASE_OK && BIO_write(t->in, buf, (int)n) != (int)n) {
        e = CEASE_ENOMEM;
    }
    return e;
}

/* What OpenSSL's last call has complained of. */
static cease_error complain(cease_tls *t)
{
    char text[200] = "TLS protocol error";
    unsigned long code = ERR_peek_last_error();
    long verified = SSL_get_verify_result(t->ssl);
    if (verified != X509_V_OK) {
        snprintf(text, sizeof text, "certificate: %s", X509_verify_cert_error_string(verified));
    } else if (code != 0 && ERR_reason_error_string(code)) {
        snprintf(text, sizeof text, "%s", ERR_reason_error_string(code));
    }
    ERR_clear_error();
    return fails(t, text);
}

/* After a call of OpenSSL's that returned r <= 0: moves what it wants moved. CEASE_OK: try again. */
static cease_error serve(cease_ctx *ctx, cease_tls *t, int r)
{
    int what = SSL_get_error(t->ssl, r);
    cease_error failure =
        what == SSL_ERROR_WANT_READ || what == SSL_ERROR_WANT_WRITE || what == SSL_ERROR_ZERO_RETURN
            ? CEASE_OK
            : complain(t);
    cease_error e = flush(ctx, t); /* an alert, too, that says what is wrong */
    if (failure != CEASE_OK) {
        return failure;
    }
    if (e != CEASE_OK) {
        return e;
    }
    if (what == SSL_ERROR_ZERO_RETURN) {
        return CEASE_EOF;
    }
    return what == SSL_ERROR_WANT_READ ? feed(ctx, t) : CEASE_OK;
}

/* What every call begins with. */
static cease_error enter(cease_ctx *ctx, cease_tls *t)
{
    if (!t) {
        return CEASE_ENOMEM;
    }
    t->why[0] = '\0';
    return cease_err(ctx);
}

cease_error cease_tls_handshake(cease_ctx *ctx, cease_tls *tls)
{
    cease_error e = enter(ctx, tls);
    while (e == CEASE_OK) {
        ERR_clear_error();
        int r = SSL_do_handshake(tls->ssl);
        if (r == 1) {
            return flush(ctx, tls);
        }
        e = serve(ctx, tls, r);
    }
    return e == CEASE_EOF ? fails(tls, "the peer has ended the handshake") : e;
}

cease_error cease_tls_read(cease_ctx *ctx, cease_tls *tls, void *buf, size_t size,
                           size_t *ret_count)
{
    cease_error e = enter(ctx, tls);
    if (e == CEASE_OK && size == 0) {
        e = CEASE_EINVAL;
    }
    while (e == CEASE_OK) {
        size_t n = 0;
        ERR_clear_error();
        int r = SSL_read_ex(tls->ssl, buf, size, &n);
        if (r == 1) {
            *ret_count = n;
            return CEASE_OK;
        }
        e = serve(ctx, tls, r);
    }
    return e;
}

cease_error cease_tls_write(cease_ctx *ctx, cease_tls *tls, const void *buf, size_t size,
                            size_t *ret_count)
{
    static const size_t PIECE = 64 * 1024; /* bounds the outgoing buffer */
    const char *p = buf;
    size_t done = 0;
    cease_error e = enter(ctx, tls);
    if (e == CEASE_OK && !SSL_is_init_finished(tls->ssl)) {
        e = cease_tls_handshake(ctx, tls);
    }
    if (e == CEASE_OK) {
        e = flush(ctx, tls); /* what an earlier call could not send */
    }
    while (e == CEASE_OK && done < size) {
        size_t n = 0;
        ERR_clear_error();
        int r = SSL_write_ex(tls->ssl, p + done, size - done < PIECE ? size - done : PIECE, &n);
        done += r == 1 ? n : 0;
        e = r == 1 ? flush(ctx, tls) : serve(ctx, tls, r);
    }
    if (ret_count) {
        *ret_count = done;
    }
    return e;
}

cease_error cease_tls_shutdown(cease_ctx *ctx, cease_tls *tls)
{
    cease_error e = enter(ctx, tls);
    if (e != CEASE_OK) {
        return e;
    }
    ERR_clear_error();
    SSL_shutdown(tls->ssl); /* writes the goodbye; whether the peer's has come does not matter */
    ERR_clear_error();
    e = flush(ctx, tls);
    return e == CEASE_OK ? cease_conn_shutdown(tls->conn) : e;
}
