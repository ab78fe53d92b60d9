/* SPDX-License-Identifier: MIT
 *
 * memory.h: memory of one connection's session, kept for the next stream. See memory.c.
 */
#ifndef CEASE_HTTP2_MEMORY_H
#define CEASE_HTTP2_MEMORY_H

#include <nghttp2/nghttp2.h>
#include <stddef.h>

enum {
    CEASEI_H2_MEMORY_STEP = 64,
    CEASEI_H2_MEMORY_CLASSES = 24, /* up to 1,536 bytes, its own head included */
    CEASEI_H2_MEMORY_KEPT_MAX = 128 * 1024,
};

struct ceasei_h2_memory {
    struct ceasei_h2_spare {
        struct ceasei_h2_spare *next;
    } * spare[CEASEI_H2_MEMORY_CLASSES];
    size_t kept; /* bytes in all lists */
};

/* Zero-initialised is valid. Used under the lock of whoever owns it. */
void *ceasei_h2_memory_take(struct ceasei_h2_memory *m, size_t size);
void ceasei_h2_memory_give(struct ceasei_h2_memory *m, void *block);
/* Gives back to the system what nobody uses. */
void ceasei_h2_memory_trim(struct ceasei_h2_memory *m);
/* The same for nghttp2, whose blocks are all to be given before m goes. */
nghttp2_mem ceasei_h2_memory_for_nghttp2(struct ceasei_h2_memory *m);

#endif
