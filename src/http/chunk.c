/* SPDX-License-Identifier: MIT
 *
 * chunk.c: the chunked coding, decoded in place, as a pure function over bytes (RFC 9112, 7.1).
 *
 * The one idea: a state machine eats the framing byte by byte and hands out the data between as
 * spans, so a body is copied once, by who reads it. Strict for the reason that parse.c gives: a
 * size that does not fit 15 digits, or is followed by anything but CRLF or a plain extension, ends
 * it; extensions and trailers are checked and bounded in sum, and extensions dropped.
 *
 *     SIZE           hex -> SIZE; ';' -> EXT; CR -> SIZE_LF
 *     EXT            plain byte -> EXT; CR -> SIZE_LF
 *     SIZE_LF        LF -> DATA, or TRAILER when the size was 0
 *     DATA           all of it -> DATA_CR
 *     DATA_CR        CR -> DATA_LF -> LF -> SIZE
 *     TRAILER        at the start of a line: CR -> END_LF; token -> TRAILER_NAME
 *     TRAILER_NAME   token -> TRAILER_NAME; ':' -> TRAILER_VALUE
 *     TRAILER_VALUE  value -> TRAILER_VALUE; CR -> TRAILER_LF -> LF -> TRAILER
 *     END_LF         LF -> END
 *     anything else -> BAD
 */
#include "http/parse.h"

#include <string.h>

enum chunk_state {
    SIZE,
    EXT,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER,
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    END_LF,
    END,
    BAD,
};

enum { CHUNK_DIGITS_MAX = 15, CHUNK_OVERHEAD_MAX = 8192 };

static uint8_t on_size(struct ceasei_http_chunks *c, unsigned char b)
{
    int digit = b >= '0' && b <= '9'                 ? b - '0'
                : (b | 32) >= 'a' && (b | 32) <= 'f' ? (b | 32) - 'a' + 10
                                                     : -1;
    if (digit >= 0) {
        c->left = c->left << 4 | (uint64_t)digit;
        return ++c->digits > CHUNK_DIGITS_MAX ? BAD : SIZE;
    }
    if (c->digits == 0) {
        return BAD;
    }
    return b == '\r' ? SIZE_LF : b == ';' ? EXT : BAD;
}

/* One byte of framing. */
static uint8_t on_byte(struct ceasei_http_chunks *c, unsigned char b)
{
    switch ((enum chunk_state)c->state) {
    case SIZE:
        return on_size(c, b);
    case EXT:
        return b == '\r' ? SIZE_LF : ceasei_http_kind[b] & CEASEI_HTTP_EXTENSION ? EXT : BAD;
    case SIZE_LF:
        return b != '\n' ? BAD : c->left > 0 ? DATA : TRAILER;
    case DATA_CR:
        return b == '\r' ? DATA_LF : BAD;
    case DATA_LF:
        c->digits = 0;
        return b == '\n' ? SIZE : BAD;
    case TRAILER:
        return b == '\r' ? END_LF : ceasei_http_kind[b] & CEASEI_HTTP_TOKEN ? TRAILER_NAME : BAD;
    case TRAILER_NAME:
        return b == ':'                                  ? TRAILER_VALUE
               : ceasei_http_kind[b] & CEASEI_HTTP_TOKEN ? TRAILER_NAME
                                                         : BAD;
    case TRAILER_VALUE:
        return b == '\r'                                 ? TRAILER_LF
               : ceasei_http_kind[b] & CEASEI_HTTP_VALUE ? TRAILER_VALUE
                                                         : BAD;
    case TRAILER_LF:
        return b == '\n' ? TRAILER : BAD;
    case END_LF:
        return b == '\n' ? END : BAD;
    default:
        return BAD;
    }
}

static bool is_overhead(uint8_t state)
{
    return state == EXT || (state >= TRAILER && state <= TRAILER_LF);
}

enum ceasei_http_chunk ceasei_http_chunks_next(struct ceasei_http_chunks *c, const char *data,
                                               size_t size, size_t *ret_used, size_t *ret_size)
{
    size_t i = 0;
    enum ceasei_http_chunk result = CEASEI_HTTP_CHUNK_MORE;
    *ret_size = 0;
    while (i < size && result == CEASEI_HTTP_CHUNK_MORE && c->state != END && c->state != BAD) {
        if (c->state == DATA) {
            size_t n = size - i < c->left ? size - i : (size_t)c->left;
            c->left -= n;
            c->state = c->left > 0 ? DATA : DATA_CR;
            *ret_size = n;
            result = CEASEI_HTTP_CHUNK_DATA;
            break;
        }
        c->trailer += c->state >= TRAILER;
        c->state = on_byte(c, (unsigned char)data[i++]);
        if (is_overhead(c->state) && ++c->overhead > CHUNK_OVERHEAD_MAX) {
            c->state = BAD;
        }
    }
    *ret_used = i;
    return c->state == BAD   ? CEASEI_HTTP_CHUNK_BAD
           : c->state == END ? CEASEI_HTTP_CHUNK_END
                             : result;
}

/* The value of one line "name: value", without the white space around it, as a C string. */
static const char *line_value(char *value, char *end)
{
    while (value < end && (*value == ' ' || *value == '\t')) {
        value++;
    }
    while (end > value && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    *end = '\0';
    return value;
}

const char *ceasei_http_trailer_find(char *section, size_t section_size, const char *name)
{
    size_t size = strlen(name);
    char *end = section + section_size;
    for (char *p = section; p < end;) {
        char *line_end = memchr(p, '\n', (size_t)(end - p));
        char *colon = line_end ? memchr(p, ':', (size_t)(line_end - p)) : NULL;
        if (!colon) {
            break; /* the empty line */
        }
        if (ceasei_http_same(p, (size_t)(colon - p), name, size)) {
            return line_value(colon + 1, line_end - 1);
        }
        p = line_end + 1;
    }
    return NULL;
}
