/* SPDX-License-Identifier: MIT
 *
 * wire.c: gRPC's own formats, as pure functions over bytes (gRPC over HTTP2, the protocol's document).
 */
#include "grpc/wire.h"

#include <string.h>

void ceasei_grpc_prefix(uint8_t ret[CEASEI_GRPC_PREFIX], bool compressed, uint32_t size)
{
    ret[0] = compressed;
    ret[1] = (uint8_t)(size >> 24);
    ret[2] = (uint8_t)(size >> 16);
    ret[3] = (uint8_t)(size >> 8);
    ret[4] = (uint8_t)size;
}

bool ceasei_grpc_prefix_read(const uint8_t prefix[CEASEI_GRPC_PREFIX], bool *ret_compressed,
                             uint32_t *ret_size)
{
    *ret_compressed = prefix[0] == 1;
    *ret_size = (uint32_t)prefix[1] << 24 | (uint32_t)prefix[2] << 16 | (uint32_t)prefix[3] << 8 |
                prefix[4];
    return prefix[0] <= 1;
}

void ceasei_grpc_timeout(cease_dur d, char ret[CEASEI_GRPC_TIMEOUT_SIZE])
{
    static const struct {
        int64_t ns;
        char letter;
    } units[] = {{1, 'n'},
                 {1000, 'u'},
                 {1000000, 'm'},
                 {1000000000, 'S'},
                 {INT64_C(60) * 1000000000, 'M'},
                 {INT64_C(3600) * 1000000000, 'H'}};
    size_t unit = 0;
    int64_t n = d.ns > 0 ? d.ns : 0;
    while (n > 99999999) { /* the hours of INT64_MAX ns fit */
        unit++;
        n = d.ns / units[unit].ns + (d.ns % units[unit].ns != 0);
    }
    char digits[8];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    for (size_t i = 0; i < count; i++) {
        ret[i] = digits[count - 1 - i];
    }
    ret[count] = units[unit].letter;
    ret[count + 1] = '\0';
}

/* ---- texts ---- */

void ceasei_grpc_text_encode(const char *text, char *ret, size_t size)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t n = 0;
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        bool plain = *p >= ' ' && *p <= '~' && *p != '%' && !(*p == ' ' && (n == 0 || p[1] == 0));
        if (n + (plain ? 1 : 3) + 1 > size) {
            break;
        }
        if (plain) {
            ret[n++] = (char)*p;
        } else {
            ret[n++] = '%';
            ret[n++] = hex[*p >> 4];
            ret[n++] = hex[*p & 15];
        }
    }
    ret[n] = '\0';
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

void ceasei_grpc_text_decode(char *text)
{
    char *to = text;
    for (const char *p = text; *p; p++) {
        int high = p[0] == '%' ? hex_digit(p[1]) : -1;
        int low = high >= 0 ? hex_digit(p[2]) : -1;
        if (low >= 0 && high * 16 + low != 0) {
            *to++ = (char)(high * 16 + low);
            p += 2;
        } else {
            *to++ = *p;
        }
    }
    *to = '\0';
}

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

cease_error cease_grpc_bin_encode(const void *data, size_t size, char *ret, size_t ret_size)
{
    const uint8_t *p = data;
    size_t n = 0;
    uint32_t bits = 0;
    unsigned count = 0;
    if (size > SIZE_MAX / 2 || ret_size < (size * 4 + 2) / 3 + 1) {
        return CEASE_ERANGE;
    }
    for (size_t i = 0; i < size; i++) {
        bits = bits << 8 | p[i];
        for (count += 8; count >= 6; count -= 6) {
            ret[n++] = base64[bits >> (count - 6) & 63];
        }
    }
    if (count > 0) {
        ret[n++] = base64[bits << (6 - count) & 63];
    }
    ret[n] = '\0';
    return CEASE_OK;
}

cease_error cease_grpc_bin_decode(const char *text, void *ret, size_t ret_size, size_t *ret_count)
{
    uint8_t *to = ret;
    size_t n = 0;
    size_t size = strlen(text);
    uint32_t bits = 0;
    unsigned count = 0;
    if (size % 4 == 0 && size > 0 && text[size - 1] == '=') { /* padded */
        size -= text[size - 2] == '=' ? 2 : 1;
    }
    if (size % 4 == 1) {
        return CEASE_EPARSE;
    }
    for (size_t i = 0; i < size; i++) {
        const char *at = text[i] ? strchr(base64, text[i]) : NULL;
        if (!at) {
            return CEASE_EPARSE;
        }
        bits = bits << 6 | (uint32_t)(at - base64);
        count += 6;
        if (count >= 8) {
            count -= 8;
            if (n == ret_size) {
                return CEASE_ERANGE;
            }
            to[n++] = (uint8_t)(bits >> count);
        }
    }
    *ret_count = n;
    return CEASE_OK;
}

/* ---- codes ---- */

const char *cease_grpc_code_name(cease_grpc_code code)
{
    switch (code) {
#define NAME(name, number)  \
    case CEASE_GRPC_##name: \
        return #name;
        CEASE_GRPC_CODES(NAME)
#undef NAME
    default:
        return "UNKNOWN";
    }
}

cease_grpc_code ceasei_grpc_code_read(const char *text)
{
    size_t size = strlen(text);
    int n = 0;
    if (size == 0 || size > 2 || strspn(text, "0123456789") != size) {
        return CEASE_GRPC_UNKNOWN;
    }
    for (; *text; text++) {
        n = n * 10 + (*text - '0');
    }
    return n <= CEASE_GRPC_UNAUTHENTICATED ? (cease_grpc_code)n : CEASE_GRPC_UNKNOWN;
}

cease_grpc_code ceasei_grpc_code_of_http(int status)
{
    switch (status) {
    case 400:
        return CEASE_GRPC_INTERNAL;
    case 401:
        return CEASE_GRPC_UNAUTHENTICATED;
    case 403:
        return CEASE_GRPC_PERMISSION_DENIED;
    case 404:
        return CEASE_GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return CEASE_GRPC_UNAVAILABLE;
    default:
        return CEASE_GRPC_UNKNOWN;
    }
}

cease_grpc_code ceasei_grpc_code_of_http2(uint32_t code)
{
    switch (code) {
    case 7: /* REFUSED_STREAM */
        return CEASE_GRPC_UNAVAILABLE;
    case 8: /* CANCEL */
        return CEASE_GRPC_CANCELLED;
    case 11: /* ENHANCE_YOUR_CALM */
        return CEASE_GRPC_RESOURCE_EXHAUSTED;
    case 12: /* INADEQUATE_SECURITY */
        return CEASE_GRPC_PERMISSION_DENIED;
    default:
        return CEASE_GRPC_INTERNAL;
    }
}

cease_grpc_code ceasei_grpc_code_of_error(cease_error e)
{
    switch ((int)e) {
    case CEASE_OK:
        return CEASE_GRPC_OK;
    case CEASE_ECANCELED:
    case CEASE_EPEERGONE:
        return CEASE_GRPC_CANCELLED;
    case CEASE_EDEADLINE:
    case CEASE_ETIMEDOUT:
        return CEASE_GRPC_DEADLINE_EXCEEDED;
    case CEASE_EMSGSIZE:
    case CEASE_ENOMEM:
        return CEASE_GRPC_RESOURCE_EXHAUSTED;
    case CEASE_EPROTO:
        return CEASE_GRPC_INTERNAL;
    case CEASE_ENOTSUP:
        return CEASE_GRPC_UNIMPLEMENTED;
    case CEASE_EAGAIN:
    case CEASE_EPIPE:
    case CEASE_ECLOSED:
        return CEASE_GRPC_UNAVAILABLE;
    default:
        return CEASE_GRPC_UNKNOWN;
    }
}
