/* SPDX-License-Identifier: MIT
 *
 * tls.c: TLS over a connection, by OpenSSL, under a context.
 *
 * OpenSSL never sees the socket. It reads from and writes to two buffers in memory, and what moves bytes
 * between these and the connection is ours, so that all waiting happens in cease_conn_read and _write
 * and ends as they do. The buffers are there only while they hold something: an idle connection has none.
 *
 * One task may read while another writes, but OpenSSL's object is one for both. So it is under a lock
 * that is held for single calls of OpenSSL's, which never wait, and order is kept by turns (tls.h):
 *
 *     HANDSHAKE  who agrees on keys; everybody else waits for that. Its two directions are the holder's.
 *     READ       who moves bytes from the connection into `in`, in their order
 *     WRITE      who moves bytes from `out` into the connection, in their order
 *
 * A read may make OpenSSL write (an answer to a change of keys). If the reader waited for its turn to
 * send that, two peers that both write much and read little would wait for each other. So it sends only
 * what goes at once and if it is nobody's turn; otherwise who has the turn sends it, because after giving
 * the turn back he looks into `out` once more.
 *
 * What a context's end leaves in `sending` stays there and goes out first next time.
 *
 * OpenSSL keeps its errors in a queue of the thread. So the queue is emptied before each of its calls and
 * read right after, with no park in between; what it says becomes `why` (why.c).
 */
#include "tls/tls.h"

#include "base/atomic.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

/* ---- the buffers, as OpenSSL sees them ----------------------------------------------------------- */

static int bio_read(BIO *bio, char *data, int size)
{
    cease_tls *t = BIO_get_data(bio);
    size_t n = ceasei_bytes_count(&t->in);
    BIO_clear_retry_flags(bio);
    if (n == 0) {
        BIO_set_retry_read(bio); /* empty means "not yet" */
        return -1;
    }
    n = n < (size_t)size ? n : (size_t)size;
    memcpy(data, t->in.data + t->in.at, n);
    ceasei_bytes_taken(&t->in, n);
    return (int)n;
}

static int bio_write(BIO *bio, const char *data, int size)
{
    cease_tls *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    return ceasei_bytes_add(&t->out, data, (size_t)size) ? size : -1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

BIO_METHOD *ceasei_tls_bio_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "cease");
    if (m) {
        BIO_meth_set_read(m, bio_read);
        BIO_meth_set_write(m, bio_write);
        BIO_meth_set_ctrl(m, bio_ctrl);
    }
    return m;
}

static bool is_open(const cease_tls *t)
{
    return ceasei_load(&t->is_open, ACQUIRE) != 0;
}

/* ---- making and closing -------------------------------------------------------------------------- */

static bool make_parts(cease_tls *t)
{
    for (int i = 0; i < CEASEI_TLS_TURNS; i++) {
        t->turns[i] = cease_chan_new(1, 1);
        if (!t->turns[i]) {
            return false;
        }
    }
    t->ssl = ceasei_tls_ssl_new(t->config);
    BIO *bio = t->ssl ? BIO_new(t->config->method) : NULL;
    if (!bio) {
        return false;
    }
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    SSL_set_bio(t->ssl, bio, bio); /* the SSL owns it */
    SSL_set_app_data(t->ssl, t);
    return true;
}

static cease_tls *tls_new(cease_tls_config *config, cease_conn *take_conn)
{
    cease_tls *t = config && take_conn ? calloc(1, sizeof *t) : NULL;
    if (!t) {
        cease_conn_close(take_conn);
        return NULL;
    }
    t->conn = take_conn;
    t->config = cease_tls_config_ref(config);
    pthread_mutex_init(&t->lock, NULL);
    if (!make_parts(t)) {
        cease_tls_close(t);
        t = NULL;
    }
    ERR_clear_error();
    return t;
}

static bool set_host(cease_tls *t, const char *host)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);
    if (host[0] == '\0' || !(t->host = strdup(host))) {
        return false;
    }
    SSL_set_hostflags(t->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1 || /* no address: a name */
           (SSL_set1_host(t->ssl, host) == 1 && SSL_set_tlsext_host_name(t->ssl, host) == 1);
}

cease_tls *cease_tls_client(cease_tls_config *config, cease_conn *take_conn, const char *host)
{
    cease_tls *t = tls_new(config, take_conn);
    if (!t) {
        return NULL;
    }
    if (!set_host(t, host)) {
        cease_tls_close(t);
        t = NULL;
    } else {
        SSL_SESSION *session = ceasei_tls_session_take(config, host);
        if (session) {
            SSL_set_session(t->ssl, session); /* takes a reference */
            SSL_SESSION_free(session);
        }
        SSL_set_connect_state(t->ssl);
    }
    ERR_clear_error();
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
    if (!tls) {
        return;
    }
    if (tls->ssl && is_open(tls) && !ceasei_load(&tls->has_why, RELAXED)) {
        /* A missing goodbye is no reason to distrust the session (RFC 4346, 7.2.1); OpenSSL would. */
        SSL_set_shutdown(tls->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    }
    SSL_free(tls->ssl);
    for (int i = 0; i < CEASEI_TLS_TURNS; i++) {
        cease_chan_unref(tls->turns[i]);
    }
    ceasei_bytes_free(&tls->in);
    ceasei_bytes_free(&tls->out);
    ceasei_bytes_free(&tls->sending);
    pthread_mutex_destroy(&tls->lock);
    cease_tls_config_unref(tls->config);
    cease_conn_close(tls->conn);
    free(tls->subject);
    free(tls->host);
    free(tls);
}

/* ---- what is known ------------------------------------------------------------------------------- */

const char *cease_tls_why(const cease_tls *tls)
{
    return !tls ? "out of memory" : ceasei_load(&tls->has_why, ACQUIRE) ? tls->why : "";
}

const char *cease_tls_alpn(const cease_tls *tls)
{
    const unsigned char *name = NULL;
    unsigned size = 0;
    if (tls && is_open(tls)) {
        SSL_get0_alpn_selected(tls->ssl, &name, &size);
    }
    return name ? ceasei_tls_alpn_text(tls->config, name, size) : NULL;
}

const char *cease_tls_server_name(const cease_tls *tls)
{
    return tls && is_open(tls) ? SSL_get_servername(tls->ssl, TLSEXT_NAMETYPE_host_name) : NULL;
}

const char *cease_tls_peer_subject(const cease_tls *tls)
{
    return tls && is_open(tls) ? tls->subject : NULL;
}

bool cease_tls_resumed(const cease_tls *tls)
{
    return tls && is_open(tls) && SSL_session_reused(tls->ssl);
}

cease_conn *cease_tls_conn(const cease_tls *tls)
{
    return tls ? tls->conn : NULL;
}

bool cease_tls_pending(const cease_tls *tls)
{
    return tls && (SSL_has_pending(tls->ssl) || ceasei_bytes_count(&tls->in) > 0);
}

int ceasei_tls_on_session(SSL *ssl, SSL_SESSION *session)
{
    cease_tls *t = SSL_get_app_data(ssl);
    return ceasei_tls_session_put(t->config, t->host, session);
}

/* ---- moving bytes -------------------------------------------------------------------------------- */

static cease_error take_turn(cease_ctx *ctx, cease_tls *t, enum ceasei_tls_turn turn)
{
    const char token = 1;
    return cease_chan_send(ctx, t->turns[turn], &token);
}

static bool try_turn(cease_tls *t, enum ceasei_tls_turn turn)
{
    const char token = 1;
    return cease_chan_try_send(t->turns[turn], &token) == CEASE_OK;
}

static void give_turn(cease_tls *t, enum ceasei_tls_turn turn)
{
    char token;
    (void)cease_chan_try_recv(t->turns[turn], &token);
}

/* Sends what OpenSSL has written; without a context, what goes at once. With the turn to write. */
static cease_error send_out(cease_ctx *ctx, cease_tls *t)
{
    for (;;) {
        if (ceasei_bytes_count(&t->sending) == 0) {
            pthread_mutex_lock(&t->lock);
            t->sending = t->out;
            t->out = (struct ceasei_bytes){0};
            pthread_mutex_unlock(&t->lock);
        }
        struct iovec piece = {.iov_base = t->sending.data + t->sending.at,
                              .iov_len = ceasei_bytes_count(&t->sending)};
        size_t n = 0;
        if (piece.iov_len == 0) {
            return CEASE_OK;
        }
        cease_error e = ctx ? cease_conn_writev(ctx, t->conn, &piece, 1, &n)
                            : cease_conn_try_writev(t->conn, &piece, 1, &n);
        ceasei_bytes_taken(&t->sending, n);
        if (e != CEASE_OK) {
            return e;
        }
    }
}

static bool has_out(cease_tls *t)
{
    pthread_mutex_lock(&t->lock);
    bool has = ceasei_bytes_count(&t->out) > 0;
    pthread_mutex_unlock(&t->lock);
    return has;
}

/* Sends what a reader has left, if it goes at once. */
static void send_rest(cease_tls *t)
{
    while (has_out(t) && try_turn(t, CEASEI_TLS_WRITE)) {
        cease_error e = send_out(NULL, t);
        give_turn(t, CEASEI_TLS_WRITE);
        if (e != CEASE_OK) {
            return; /* who writes next meets the same error, or sends it */
        }
    }
}

static cease_error flush(cease_ctx *ctx, cease_tls *t)
{
    cease_error e = take_turn(ctx, t, CEASEI_TLS_WRITE);
    if (e == CEASE_OK) {
        e = send_out(ctx, t);
        give_turn(t, CEASEI_TLS_WRITE);
        send_rest(t);
    }
    return e;
}

/* Receives some bytes for OpenSSL to read. With the turn to read, or to shake hands. */
static cease_error feed(cease_ctx *ctx, cease_tls *t)
{
    char buf[16 * 1024];
    size_t n = 0;
    cease_error e = cease_conn_read(ctx, t->conn, buf, sizeof buf, &n);
    pthread_mutex_lock(&t->lock);
    if (e == CEASE_EOF) {
        ceasei_tls_fail(t, "the peer has closed the connection without saying so");
        e = CEASE_ETLS;
    } else if (e == CEASE_OK && !ceasei_bytes_add(&t->in, buf, n)) {
        ceasei_tls_fail(t, "out of memory"); /* bytes are lost: this is the end */
        e = CEASE_ENOMEM;
    }
    pthread_mutex_unlock(&t->lock);
    return e;
}

/* Judges OpenSSL's last call, which returned r. Under lock. CEASE_OK: it is done; CEASE_EAGAIN: it wants
 * to read; CEASE_EOF: the peer has said that this is the end. */
static cease_error judge(cease_tls *t, int r)
{
    switch (r == 1 ? SSL_ERROR_NONE : SSL_get_error(t->ssl, r)) {
    case SSL_ERROR_NONE:
        return CEASE_OK;
    case SSL_ERROR_WANT_READ:
        return CEASE_EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return CEASE_EOF;
    default:
        ceasei_tls_complain(t);
        return CEASE_ETLS;
    }
}

/* With its turn. */
static cease_error shake_hands(cease_ctx *ctx, cease_tls *t)
{
    for (;;) {
        pthread_mutex_lock(&t->lock);
        ERR_clear_error();
        cease_error e = judge(t, SSL_do_handshake(t->ssl));
        if (e == CEASE_EOF) {
            ceasei_tls_fail(t, "the peer has ended the handshake");
            e = CEASE_ETLS;
        } else if (e == CEASE_OK && !t->subject && !ceasei_tls_subject(t->ssl, &t->subject)) {
            ceasei_tls_fail(t, "out of memory");
            e = CEASE_ENOMEM;
        }
        pthread_mutex_unlock(&t->lock);
        cease_error sent = flush(ctx, t); /* an alert, too, that says what is wrong */
        if (e != CEASE_OK && e != CEASE_EAGAIN) {
            return e;
        }
        if (sent != CEASE_OK) {
            return sent;
        }
        if (e == CEASE_OK) {
            ceasei_store(&t->is_open, 1, RELEASE);
            return CEASE_OK;
        }
        e = feed(ctx, t);
        if (e != CEASE_OK) {
            return e;
        }
    }
}

cease_error cease_tls_handshake(cease_ctx *ctx, cease_tls *tls)
{
    if (!tls) {
        return CEASE_ENOMEM;
    }
    cease_error e = cease_err(ctx);
    if (e != CEASE_OK || is_open(tls)) {
        return e;
    }
    e = take_turn(ctx, tls, CEASEI_TLS_HANDSHAKE);
    if (e == CEASE_OK) {
        e = is_open(tls) ? CEASE_OK : shake_hands(ctx, tls);
        give_turn(tls, CEASEI_TLS_HANDSHAKE);
    }
    return e;
}

/* With the turn to read. */
static cease_error read_some(cease_ctx *ctx, cease_tls *t, void *buf, size_t size,
                             size_t *ret_count)
{
    for (;;) {
        size_t n = 0;
        pthread_mutex_lock(&t->lock);
        ERR_clear_error();
        cease_error e = judge(t, SSL_read_ex(t->ssl, buf, size, &n));
        bool answers = ceasei_bytes_count(&t->out) > 0;
        pthread_mutex_unlock(&t->lock);
        if (answers) {
            send_rest(t);
        }
        if (e == CEASE_OK) {
            *ret_count = n;
            return CEASE_OK;
        }
        e = e == CEASE_EAGAIN ? feed(ctx, t) : e;
        if (e != CEASE_OK) {
            return e;
        }
    }
}

cease_error cease_tls_read(cease_ctx *ctx, cease_tls *tls, void *buf, size_t size,
                           size_t *ret_count)
{
    cease_error e = cease_tls_handshake(ctx, tls);
    if (e == CEASE_OK && size == 0) {
        e = CEASE_EINVAL;
    }
    e = e == CEASE_OK ? take_turn(ctx, tls, CEASEI_TLS_READ) : e;
    if (e == CEASE_OK) {
        e = read_some(ctx, tls, buf, size, ret_count);
        give_turn(tls, CEASEI_TLS_READ);
    }
    return e;
}

/* With the turn to write. */
static cease_error write_all(cease_ctx *ctx, cease_tls *t, const char *data, size_t size,
                             size_t *ret_count)
{
    static const size_t PIECE = 64 * 1024; /* bounds `out` */
    cease_error e = send_out(ctx, t);      /* what an earlier call could not send */
    while (e == CEASE_OK && *ret_count < size) {
        size_t left = size - *ret_count;
        size_t n = 0;
        pthread_mutex_lock(&t->lock);
        ERR_clear_error();
        e = judge(t, SSL_write_ex(t->ssl, data + *ret_count, left < PIECE ? left : PIECE, &n));
        pthread_mutex_unlock(&t->lock);
        *ret_count += e == CEASE_OK ? n : 0;
        e = e == CEASE_OK ? send_out(ctx, t) : e;
    }
    return e;
}

cease_error cease_tls_write(cease_ctx *ctx, cease_tls *tls, const void *buf, size_t size,
                            size_t *ret_count)
{
    size_t done = 0;
    cease_error e = cease_tls_handshake(ctx, tls);
    e = e == CEASE_OK ? take_turn(ctx, tls, CEASEI_TLS_WRITE) : e;
    if (e == CEASE_OK) {
        e = write_all(ctx, tls, buf, size, &done);
        give_turn(tls, CEASEI_TLS_WRITE);
        send_rest(tls);
    }
    if (ret_count) {
        *ret_count = done;
    }
    return e;
}

cease_error cease_tls_shutdown(cease_ctx *ctx, cease_tls *tls)
{
    if (!tls) {
        return CEASE_ENOMEM;
    }
    cease_error e = take_turn(ctx, tls, CEASEI_TLS_WRITE);
    if (e != CEASE_OK) {
        return e;
    }
    pthread_mutex_lock(&tls->lock);
    ERR_clear_error();
    SSL_shutdown(tls->ssl); /* writes the goodbye; whether the peer's has come does not matter */
    ERR_clear_error();
    pthread_mutex_unlock(&tls->lock);
    e = send_out(ctx, tls);
    give_turn(tls, CEASEI_TLS_WRITE);
    return e == CEASE_OK ? cease_conn_shutdown(tls->conn) : e;
}
