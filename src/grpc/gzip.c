/* SPDX-License-Identifier: MIT
 *
 * gzip.c: whole messages in and out of gzip (RFC 1952), with zlib.
 *
 * What is unpacked grows as it comes, up to the most that is allowed: a bomb costs no more than a message
 * of that size.
 */
#include "grpc/gzip.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>

enum {
    GZIP_ONLY = 16 + MAX_WBITS, /* zlib's way to say: with gzip's head and trailer, nothing else */
    MEMORY_LEVEL = 8,
    ROOM_FIRST = 1024,
};

static bool reserve(struct ceasei_grpc_bytes *b, size_t room)
{
    char *grown = room > b->room ? realloc(b->data, room) : b->data;
    if (grown) {
        b->data = grown;
        b->room = room > b->room ? room : b->room;
    }
    return grown != NULL;
}

cease_error ceasei_grpc_gzip(const void *data, size_t size, struct ceasei_grpc_bytes *ret)
{
    z_stream z = {0};
    if (size > UINT_MAX / 2) {
        return CEASE_EMSGSIZE;
    }
    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_ONLY, MEMORY_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        return CEASE_ENOMEM;
    }
    uLong most = deflateBound(&z, (uLong)size);
    cease_error e = reserve(ret, most) ? CEASE_OK : CEASE_ENOMEM;
    if (e == CEASE_OK) {
        z.next_in = (Bytef *)(uintptr_t)data;
        z.avail_in = (uInt)size;
        z.next_out = (Bytef *)ret->data;
        z.avail_out = (uInt)most;
        e = deflate(&z, Z_FINISH) == Z_STREAM_END ? CEASE_OK : CEASE_ENOMEM;
        ret->size = most - z.avail_out;
    }
    deflateEnd(&z);
    return e;
}

/* Makes room for more, a byte above the most included: to see that it is too much. */
static cease_error grow(z_stream *z, size_t max, struct ceasei_grpc_bytes *ret)
{
    size_t room = ret->room < ROOM_FIRST      ? ROOM_FIRST
                  : ret->size + 2 > ret->room ? ret->room * 2
                                              : ret->room;
    if (room - 1 > max + 1) {
        room = max + 2;
    }
    if (!reserve(ret, room)) {
        return CEASE_ENOMEM;
    }
    z->next_out = (Bytef *)ret->data + ret->size;
    z->avail_out = (uInt)(ret->room - 1 - ret->size);
    return CEASE_OK;
}

static cease_error unpack(z_stream *z, size_t max, struct ceasei_grpc_bytes *ret)
{
    for (;;) {
        cease_error e = grow(z, max, ret);
        if (e != CEASE_OK) {
            return e;
        }
        int r = inflate(z, Z_NO_FLUSH);
        ret->size = (size_t)((char *)z->next_out - ret->data);
        if (ret->size > max) {
            return CEASE_EMSGSIZE;
        }
        if (r == Z_MEM_ERROR) {
            return CEASE_ENOMEM;
        }
        if (r == Z_STREAM_END) {
            ret->data[ret->size] = '\0';
            return z->avail_in == 0 ? CEASE_OK : CEASE_EPROTO;
        }
        if ((r != Z_OK && r != Z_BUF_ERROR) || z->avail_out > 0) {
            return CEASE_EPROTO; /* no gzip; or it wants more than there is */
        }
    }
}

cease_error ceasei_grpc_gunzip(const void *data, size_t size, size_t max,
                               struct ceasei_grpc_bytes *ret)
{
    z_stream z = {0};
    ret->size = 0;
    if (size > UINT_MAX || max > UINT_MAX / 2) {
        return CEASE_EMSGSIZE;
    }
    z.next_in = (Bytef *)(uintptr_t)data;
    z.avail_in = (uInt)size;
    if (inflateInit2(&z, GZIP_ONLY) != Z_OK) {
        return CEASE_ENOMEM;
    }
    cease_error e = unpack(&z, max, ret);
    inflateEnd(&z);
    return e;
}
