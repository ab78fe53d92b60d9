/* SPDX-License-Identifier: MIT
 *
 * protocol.c: the door for another protocol on the same listener and handlers.
 */
#include "http/server.h"

#include "base/atomic.h"

#include <string.h>

static const struct ceasei_http_seam seam = {
    .exchange_init = ceasei_http_exchange_init,
    .exchange_serve = ceasei_http_exchange_serve,
    .exchange_refuse = ceasei_http_exchange_refuse,
    .body_begin = ceasei_http_body_begin,
    .body_end = ceasei_http_body_end,
    .budget_begin = ceasei_http_budget_begin,
    .budget_end = ceasei_http_budget_end,
    .put_number = ceasei_put_number,
    .put_date = ceasei_put_date,
    .connection_read = ceasei_http_connection_read,
    .connection_write = ceasei_http_connection_write,
    .connection_try_write = ceasei_http_connection_try_write,
    .connection_shutdown = ceasei_http_connection_shutdown,
};

cease_error cease_http_server_protocol(cease_http_server *s, const cease_http_protocol *protocol)
{
    if (!s) {
        return CEASE_ENOMEM;
    }
    if (protocol->size != sizeof *protocol || protocol->seam != CEASE_HTTP_SEAM ||
        protocol->preface_size == 0 || !protocol->run) {
        return CEASE_EINVAL;
    }
    if (ceasei_load(&s->serving, ACQUIRE) > 0) {
        return CEASE_EBUSY;
    }
    if (s->protocol.size != 0) {
        return CEASE_EEXIST;
    }
    s->protocol = *protocol;
    return CEASE_OK;
}

enum ceasei_http_preface ceasei_http_preface(const cease_http_server *s, const char *data,
                                             size_t size)
{
    size_t all = s->protocol.preface_size;
    size_t there = size < all ? size : all;
    if (s->protocol.size == 0 || memcmp(data, s->protocol.preface, there) != 0) {
        return CEASEI_PREFACE_NO;
    }
    return there == all ? CEASEI_PREFACE_YES : CEASEI_PREFACE_MORE;
}

bool ceasei_http_protocol_agreed(const struct ceasei_http_connection *c)
{
    const cease_http_tls *tls = c->run->tls;
    const char *mine = c->run->server->protocol.alpn;
    const char *agreed =
        mine && c->session && tls->duplex && tls->alpn ? tls->alpn(c->session) : NULL;
    return agreed && strcmp(agreed, mine) == 0;
}

void ceasei_http_protocol_run(struct ceasei_http_connection *c, const void *data, size_t size)
{
    const cease_http_protocol *p = &c->run->server->protocol;
    p->run(p->self, &seam, c, data, size);
}
