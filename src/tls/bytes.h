/* SPDX-License-Identifier: MIT
 *
 * bytes.h: bytes that wait to be taken, in memory that is there only as long as some do.
 */
#ifndef CEASE_TLS_BYTES_H
#define CEASE_TLS_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* All zero is empty. */
struct ceasei_bytes {
    char *data;
    size_t at, end, room; /* from `at` to `end` they wait */
};

static inline size_t ceasei_bytes_count(const struct ceasei_bytes *b)
{
    return b->end - b->at;
}

static inline void ceasei_bytes_free(struct ceasei_bytes *b)
{
    free(b->data);
    *b = (struct ceasei_bytes){0};
}

/* False: no memory, and nothing has changed. */
static inline bool ceasei_bytes_add(struct ceasei_bytes *b, const char *data, size_t size)
{
    if (b->room - b->end < size) {
        size_t room = b->end + size > 2 * b->room ? b->end + size : 2 * b->room;
        char *more = realloc(b->data, room);
        if (!more) {
            return false;
        }
        b->data = more;
        b->room = room;
    }
    memcpy(b->data + b->end, data, size);
    b->end += size;
    return true;
}

/* So many were taken from the front. */
static inline void ceasei_bytes_taken(struct ceasei_bytes *b, size_t size)
{
    b->at += size;
    if (b->at == b->end) {
        ceasei_bytes_free(b);
    }
}

#endif
