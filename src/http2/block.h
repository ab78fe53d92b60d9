/* SPDX-License-Identifier: MIT
 *
 * block.h: the fields of a head as they are decoded, and the bytes of a body until they are read.
 * Pure; who owns one guards it.
 */
#ifndef CEASE_HTTP2_BLOCK_H
#define CEASE_HTTP2_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One header field: offsets into its block's text, both NUL-terminated. */
struct ceasei_h2_field {
    uint32_t name, value;
    uint32_t name_size, value_size;
};

/* The fields of a head or of trailers, in the order sent (pseudo fields first). */
struct ceasei_h2_block {
    char *text;
    struct ceasei_h2_field *fields;
    size_t size, room;         /* of text */
    uint32_t count, count_max; /* of fields: there, room for */
    size_t cost;               /* by the RFC's formula, of what was kept and what was not */
    bool too_large, no_memory; /* what came after that is not kept */
    char *inline_text;         /* its owner's memory, used first */
    struct ceasei_h2_field *inline_fields;
};

struct ceasei_h2_limits {
    size_t cost_max; /* names, values and 32 bytes for each field (RFC 9113, 6.5.2) */
    uint32_t count_max;
};

struct ceasei_h2_text {
    const void *data;
    size_t size;
};

/* Input that nobody has read. Zero-initialised is empty. */
struct ceasei_h2_buffer {
    char *data;
    size_t at, size, room; /* read up to; filled up to; allocated */
};

/* text and fields may be NULL with no room: then everything comes from the heap. */
void ceasei_h2_block_init(struct ceasei_h2_block *b, char *text, size_t room,
                          struct ceasei_h2_field *fields, uint32_t count_max);
void ceasei_h2_block_deinit(struct ceasei_h2_block *b);
void ceasei_h2_block_clear(struct ceasei_h2_block *b);
void ceasei_h2_block_add(struct ceasei_h2_block *b, const struct ceasei_h2_limits *limits,
                         struct ceasei_h2_text name, struct ceasei_h2_text value);
/* The value of the first field of that name, NULL when there is none; names are in lower case. */
const char *ceasei_h2_block_find(const struct ceasei_h2_block *b, const char *name);

/* Makes one field of all fields of that name, where the first one stands. */
void ceasei_h2_block_join(struct ceasei_h2_block *b, const char *name, const char *between);

/* False: out of memory, nothing was added. */
bool ceasei_h2_buffer_add(struct ceasei_h2_buffer *b, const void *data, size_t size);
/* How many bytes were copied out, at most `size`. */
size_t ceasei_h2_buffer_take(struct ceasei_h2_buffer *b, void *buf, size_t size);
void ceasei_h2_buffer_deinit(struct ceasei_h2_buffer *b);

#endif
