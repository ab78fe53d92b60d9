/* SPDX-License-Identifier: MIT
 *
 * gunzip.c: unpacking gzip as it comes, with zlib (RFC 1952: one member or several).
 */
#include "http/gunzip.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>

enum {
    GZIP_ONLY = 16 + MAX_WBITS
}; /* zlib's way to say: with gzip's head and trailer, nothing else */

struct ceasei_gunzip {
    z_stream z;
    bool between; /* members: nothing has come yet of the next one */
    bool any;     /* one member was whole */
};

struct ceasei_gunzip *ceasei_gunzip_new(void)
{
    struct ceasei_gunzip *g = calloc(1, sizeof *g);
    if (g && inflateInit2(&g->z, GZIP_ONLY) != Z_OK) {
        free(g);
        return NULL;
    }
    return g;
}

void ceasei_gunzip_free(struct ceasei_gunzip *g)
{
    if (g) {
        inflateEnd(&g->z);
        free(g);
    }
}

static uInt cut(size_t size)
{
    return size < UINT_MAX ? (uInt)size : UINT_MAX;
}

cease_error ceasei_gunzip_next(struct ceasei_gunzip *g, const char **in, size_t *in_size, void *out,
                               size_t out_size, size_t *ret_count)
{
    if (g->between && *in_size > 0) {
        inflateReset(&g->z);
        g->between = false;
    }
    g->z.next_in = (Bytef *)(uintptr_t)*in;
    g->z.avail_in = cut(*in_size);
    g->z.next_out = out;
    g->z.avail_out = cut(out_size);
    uInt in_before = g->z.avail_in;
    uInt out_before = g->z.avail_out;
    int r = inflate(&g->z, Z_NO_FLUSH);
    *in += in_before - g->z.avail_in;
    *in_size -= in_before - g->z.avail_in;
    *ret_count = out_before - g->z.avail_out;
    if (r == Z_STREAM_END) {
        g->between = g->any = true;
        return CEASE_OK;
    }
    return r == Z_OK || r == Z_BUF_ERROR ? CEASE_OK
           : r == Z_MEM_ERROR            ? CEASE_ENOMEM
                                         : CEASE_EPROTO;
}

bool ceasei_gunzip_is_whole(const struct ceasei_gunzip *g)
{
    return g->between && g->any;
}
