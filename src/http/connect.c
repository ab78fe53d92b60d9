/* SPDX-License-Identifier: MIT
 *
 * connect.c: making one connection for HTTP: dial, ask a proxy for a tunnel, put TLS on it.
 *
 * The answer to a CONNECT is read byte by byte to its end, so that nothing of the tunnel is taken with
 * it: it is some hundred bytes, once for a connection. A proxy that says anything but 2xx, or sends a
 * head over TUNNEL_HEAD_MAX, has refused.
 */
#include "http/growing.h"
#include "http/parse.h"
#include "http/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TUNNEL_HEAD_MAX = 8 * 1024, TUNNEL_FIELDS_MAX = 64, PIECES_MAX = 16 };

cease_error ceasei_link_read(cease_ctx *ctx, struct ceasei_link *l, void *buf, size_t size,
                             size_t *ret_count)
{
    return l->session ? l->tls->read(ctx, l->session, buf, size, ret_count)
                      : cease_conn_read(ctx, l->conn, buf, size, ret_count);
}

cease_error ceasei_link_write(cease_ctx *ctx, struct ceasei_link *l, const struct iovec *iov,
                              int count, size_t *ret_count)
{
    if (!l->session) {
        return cease_conn_writev(ctx, l->conn, iov, count, ret_count);
    }
    *ret_count = 0;
    for (int i = 0; i < count; i++) {
        if (iov[i].iov_len == 0) {
            continue;
        }
        size_t n = 0;
        cease_error e = l->tls->write(ctx, l->session, iov[i].iov_base, iov[i].iov_len, &n);
        *ret_count += n;
        if (e != CEASE_OK) {
            return e;
        }
    }
    return CEASE_OK;
}

const char *ceasei_link_why(const struct ceasei_link *l)
{
    const char *why = l->session && l->tls->why ? l->tls->why(l->session) : NULL;
    return why ? why : "";
}

bool ceasei_link_is_quiet(const struct ceasei_link *l)
{
    return !l->session || !l->tls->pending || !l->tls->pending(l->session);
}

bool ceasei_link_is_duplex(const struct ceasei_link *l)
{
    return !l->session || l->tls->duplex;
}

/* ---- a tunnel through a proxy ---- */

struct tunnel {
    struct ceasei_http_head head;
    struct ceasei_http_field fields[TUNNEL_FIELDS_MAX];
    char in[TUNNEL_HEAD_MAX];
};

static cease_error read_tunnel(cease_ctx *ctx, cease_conn *conn, struct tunnel *t)
{
    size_t size = 0;
    ceasei_http_head_init(&t->head, t->fields, TUNNEL_FIELDS_MAX, TUNNEL_HEAD_MAX);
    for (;;) {
        size_t n = 0;
        cease_error e = cease_conn_read(ctx, conn, t->in + size, 1, &n);
        if (e != CEASE_OK) {
            return e == CEASE_EOF ? CEASE_ECONNREFUSED : e;
        }
        size += n;
        if (t->in[size - 1] != '\n' && size < sizeof t->in) {
            continue;
        }
        int64_t r = ceasei_http_parse_response(&t->head, t->in, size);
        if (r > 0 && t->head.status >= 200) {
            return t->head.status < 300 ? CEASE_OK : CEASE_ECONNREFUSED;
        }
        if (r != 0 || size == sizeof t->in) {
            return CEASE_ECONNREFUSED;
        }
    }
}

static cease_error open_tunnel(cease_ctx *ctx, cease_conn *conn, const struct ceasei_target *to)
{
    struct ceasei_text head;
    struct tunnel *t = malloc(sizeof *t);
    ceasei_text_init(&head);
    ceasei_text_put(&head, "CONNECT ");
    ceasei_text_add(&head, to->authority, to->authority_size);
    ceasei_text_put(&head, " HTTP/1.1\r\nHost: ");
    ceasei_text_add(&head, to->authority, to->authority_size);
    ceasei_text_put(&head, "\r\n");
    ceasei_text_put(&head, to->proxy_auth);
    ceasei_text_put(&head, "\r\n");
    cease_error e = t && !head.failed ? CEASE_OK : CEASE_ENOMEM;
    if (e == CEASE_OK) {
        e = cease_conn_write(ctx, conn, head.data, head.size, NULL);
    }
    if (e == CEASE_OK) {
        e = read_tunnel(ctx, conn, t);
    }
    ceasei_text_deinit(&head);
    free(t);
    return e;
}

/* ---- the whole ---- */

static void say_why(const struct ceasei_target *t, const char *why)
{
    if (t->why) {
        snprintf(t->why, CEASEI_WHY_SIZE, "%s", why);
    }
}

static cease_error add_tls(cease_ctx *ctx, struct ceasei_link *l, const struct ceasei_target *t,
                           void *tls_arg)
{
    char host[256];
    if (t->host_size >= sizeof host) {
        return CEASE_EINVAL;
    }
    memcpy(host, t->host, t->host_size);
    host[t->host_size] = '\0';
    cease_conn_ref(l->conn); /* the session closes its own share */
    cease_error e = l->tls->open(ctx, tls_arg, l->conn, host, &l->session);
    if (e != CEASE_OK && l->session) {
        say_why(t, ceasei_link_why(l));
        l->tls->close(l->session);
        l->session = NULL;
    }
    return e;
}

/* What both sides have agreed to speak, over TLS. */
static cease_error choose(cease_ctx *ctx, struct ceasei_pool *p, struct ceasei_link *l,
                          const struct ceasei_target *t)
{
    const cease_http_multiplex *m = p->multi;
    const char *agreed = l->tls->alpn ? l->tls->alpn(l->session) : NULL;
    void *session = l->session;
    if (!agreed || strcmp(agreed, "http/1.1") == 0) {
        return CEASE_OK;
    }
    l->session = NULL;
    if (!m || strcmp(agreed, m->alpn) != 0) {
        say_why(t, "the server has chosen a protocol that this client does not speak");
        l->tls->close(session);
        return CEASE_ENOTSUP;
    }
    cease_error e = m->open(ctx, l->tls, session, ceasei_pool_gone, l, &l->shared);
    if (e == CEASE_OK) {
        l->multi = m;
    }
    return e;
}

cease_error ceasei_link_dial(cease_ctx *ctx, struct ceasei_pool *p, const struct ceasei_target *t,
                             struct ceasei_link **ret_link)
{
    if (t->tls && (!p || !p->tls)) {
        return CEASE_ENOTSUP;
    }
    struct ceasei_link *l = calloc(1, sizeof *l);
    if (!l) {
        return CEASE_ENOMEM;
    }
    l->pool = p;
    l->tls = p ? p->tls : NULL;
    cease_error e = cease_dial(ctx, t->address, NULL, &l->conn);
    if (e == CEASE_OK && t->tunnel) {
        e = open_tunnel(ctx, l->conn, t);
    }
    if (e == CEASE_OK && t->tls) {
        e = add_tls(ctx, l, t, p->tls_arg);
    }
    if (e == CEASE_OK && l->session) {
        e = choose(ctx, p, l, t);
    }
    if (e != CEASE_OK) {
        cease_conn_close(l->conn);
        free(l);
        return e;
    }
    *ret_link = l;
    return CEASE_OK;
}
