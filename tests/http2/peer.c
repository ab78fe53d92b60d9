/* peer.c: an HTTP/2 client that does what it is told and nothing by itself. */
#include "peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void peer_open(struct peer *p, struct rig *r)
{
    memset(p, 0, sizeof *p);
    CHECK_EQ(nghttp2_hd_inflate_new(&p->inflater), 0);
    p->fd = rig_connect(r);
    wire_preface(&p->out);
    peer_flush(p);
}

void peer_close(struct peer *p)
{
    close(p->fd);
    nghttp2_hd_inflate_del(p->inflater);
    wire_free(&p->out);
    wire_free(&p->in);
}

void peer_flush(struct peer *p)
{
    size_t at = 0;
    while (at < p->out.size) {
        ssize_t n = send(p->fd, p->out.data + at, p->out.size - at, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            break; /* the server has ended it: what it says is to be read */
        }
        at += (size_t)n;
    }
    wire_clear(&p->out);
}

static void inflate(struct peer *p, const struct wire_frame *f)
{
    const uint8_t *data = f->payload;
    size_t size = f->size;
    size_t used = 0;
    for (;;) {
        nghttp2_nv nv;
        int flags = 0;
        ssize_t n = nghttp2_hd_inflate_hd2(p->inflater, &nv, &flags, data, size, 1);
        CHECK(n >= 0);
        data += n;
        size -= (size_t)n;
        if (flags & NGHTTP2_HD_INFLATE_EMIT) {
            int put = snprintf(p->head + used, sizeof p->head - used, "%s: %s\n",
                               (const char *)nv.name, (const char *)nv.value);
            used += (size_t)put;
            CHECK(used < sizeof p->head);
        }
        if (flags & NGHTTP2_HD_INFLATE_FINAL) {
            nghttp2_hd_inflate_end_headers(p->inflater);
            return;
        }
        CHECK(size > 0 || n > 0);
    }
}

bool peer_next(struct peer *p, struct wire_frame *ret)
{
    size_t n;
    while ((n = wire_next(p->in.data + p->at, p->in.size - p->at, ret)) == 0) {
        uint8_t buf[16384];
        ssize_t got = recv(p->fd, buf, sizeof buf, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return false;
        }
        if (p->at == p->in.size) {
            wire_clear(&p->in);
            p->at = 0;
        }
        wire_bytes(&p->in, buf, (size_t)got);
    }
    p->at += n;
    if (ret->type == WIRE_HEADERS) {
        inflate(p, ret);
    }
    return true;
}

struct wire_frame peer_wait(struct peer *p, uint8_t type, uint32_t stream)
{
    struct wire_frame f;
    while (peer_next(p, &f)) {
        if (f.type == type && (stream == UINT32_MAX || f.stream == stream)) {
            return f;
        }
    }
    harness_fail(__FILE__, __LINE__, "the connection ended before a frame of type %u came",
                 (unsigned)type);
}

void peer_get(struct peer *p, uint32_t stream, const char *path)
{
    wire_request(&p->out, stream, "GET", path, WIRE_END_STREAM);
    peer_flush(p);
}

char *peer_response(struct peer *p, uint32_t stream)
{
    struct wire body = {0};
    struct wire_frame f = peer_wait(p, WIRE_HEADERS, stream);
    while (!(f.flags & WIRE_END_STREAM)) {
        f = peer_wait(p, WIRE_DATA, stream);
        wire_bytes(&body, f.payload, f.size);
    }
    wire_bytes(&body, "", 1);
    return (char *)body.data;
}

void peer_check_end(struct peer *p)
{
    struct wire_frame f;
    while (peer_next(p, &f)) {
    }
}

uint32_t peer_u32(const uint8_t *data)
{
    return (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
}
