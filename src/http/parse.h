/* SPDX-License-Identifier: MIT
 *
 * parse.h: HTTP/1.1 message heads and chunked bodies, as pure functions over bytes (RFC 9112).
 */
#ifndef CEASE_HTTP_PARSE_H
#define CEASE_HTTP_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One header field, as offsets into the bytes that were parsed. The byte after a name is ':', the
 * one after a value white space or CR: an owner of the bytes may put a NUL there. */
struct ceasei_http_field {
    uint32_t name;
    uint32_t value;
    uint32_t value_size; /* without the white space around it */
    uint16_t name_size;
};

enum ceasei_http_form { CEASEI_HTTP_ORIGIN, CEASEI_HTTP_ABSOLUTE, CEASEI_HTTP_ASTERISK };

/* A head being parsed. The caller sets the first block and zeroes the rest
 * (ceasei_http_head_init); what is below it is valid once the parser has returned a positive
 * number. */
struct ceasei_http_head {
    struct ceasei_http_field *fields; /* the caller's, room for field_max */
    uint32_t field_max;
    uint32_t size_max; /* of the whole head; the first line alone may use it up */

    uint32_t line;    /* where the current line starts */
    uint32_t scanned; /* up to where it has been searched for its end */
    uint8_t stage;    /* enum stage in parse.c */

    uint8_t minor;               /* HTTP/1.0 or 1.1; higher ones count as 1.1 */
    uint8_t form;                /* enum ceasei_http_form */
    bool host, length, transfer; /* which of these fields were seen */
    bool chunked;
    bool close, keep_alive;             /* options of Connection */
    bool expect;                        /* Expect: 100-continue */
    uint32_t method, method_size;       /* request only */
    uint32_t target, target_size;       /* request only: as sent */
    uint32_t path, path_size;           /* request only: of the target, still encoded */
    uint32_t query, query_size;         /* request only: without the '?' */
    uint32_t authority, authority_size; /* request only: the target's when absolute, else Host's */
    uint32_t reason, reason_size;       /* response only */
    uint16_t status;                    /* response only */
    uint32_t field_count;
    uint64_t content_length; /* valid when `length` */
};

void ceasei_http_head_init(struct ceasei_http_head *h, struct ceasei_http_field *fields,
                           uint32_t field_max, uint32_t size_max);

/* Parse a head at the start of `data`. Returns its size in bytes when it is complete, 0 when more
 * bytes are needed, or a negative HTTP status when it must be refused (for a response: -502). To
 * resume, call again with the same head and all bytes so far, which may have moved in memory: no
 * byte is looked at more than twice, however they are cut. */
int64_t ceasei_http_parse_request(struct ceasei_http_head *h, const char *data, size_t size);
int64_t ceasei_http_parse_response(struct ceasei_http_head *h, const char *data, size_t size);

/* A chunked body being decoded. Zero-initialised is its start. */
struct ceasei_http_chunks {
    uint8_t state; /* enum chunk_state in chunk.c */
    uint8_t digits;
    uint32_t overhead; /* bytes of extensions and trailers so far, bounded */
    uint32_t trailer;  /* bytes of the trailer section so far, its empty line included */
    uint64_t left;     /* of the current chunk's data */
};

enum ceasei_http_chunk {
    CEASEI_HTTP_CHUNK_MORE, /* everything consumed, the body goes on */
    CEASEI_HTTP_CHUNK_DATA, /* *ret_size bytes of the body begin at data + *ret_used */
    CEASEI_HTTP_CHUNK_END,  /* the last byte of the body was at data + *ret_used - 1 */
    CEASEI_HTTP_CHUNK_BAD,
};

/* Decodes the next step of `data`: skips framing, then hands out a span of the body in place. The
 * caller goes on after *ret_used + *ret_size. */
enum ceasei_http_chunk ceasei_http_chunks_next(struct ceasei_http_chunks *c, const char *data,
                                               size_t size, size_t *ret_used, size_t *ret_size);

/* The value of a trailer field in a section as it was sent, of which a byte may be changed; NULL: not there. */
const char *ceasei_http_trailer_find(char *section, size_t section_size, const char *name);

/* What a byte may be part of: a token (RFC 9110, 5.6.2), a field value, a request target, a host
 * with port, a chunk extension without spaces. A target may hold what browsers send raw
 * ("|[]{}^`"), but nothing that ends a line, a string or a tag. */
enum ceasei_http_kind {
    CEASEI_HTTP_TOKEN = 1,
    CEASEI_HTTP_VALUE = 2,
    CEASEI_HTTP_TARGET = 4,
    CEASEI_HTTP_HOST = 8,
    CEASEI_HTTP_EXTENSION = 16,
};
extern const uint8_t ceasei_http_kind[256];

/* Whether two names are the same but for the case of letters. */
bool ceasei_http_same(const char *a, size_t a_size, const char *b, size_t b_size);

/* Whether these bytes may stand in a header field, on the way out. */
bool ceasei_http_is_name(const char *name, size_t size);
bool ceasei_http_is_value(const char *value, size_t size);

#endif
