/* SPDX-License-Identifier: MIT
 *
 * wire.h: gRPC's own formats, as pure functions over bytes: the frame around a message, grpc-timeout,
 * grpc-message, and what codes of other protocols mean.
 */
#ifndef CEASE_GRPC_WIRE_H
#define CEASE_GRPC_WIRE_H

#include <cease/grpc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CEASEI_GRPC_PREFIX = 5,        /* a flag, and the size in four bytes */
    CEASEI_GRPC_TIMEOUT_SIZE = 10, /* "99999999n", its NUL included */
    CEASEI_GRPC_TEXT_MAX = 1024,   /* of a status' text, before encoding */
};

void ceasei_grpc_prefix(uint8_t ret[CEASEI_GRPC_PREFIX], bool compressed, uint32_t size);
/* False: the flag is neither 0 nor 1. */
bool ceasei_grpc_prefix_read(const uint8_t prefix[CEASEI_GRPC_PREFIX], bool *ret_compressed,
                             uint32_t *ret_size);

/* The finest unit whose value, rounded up, fits 8 digits; "0n" when nothing is left. */
void ceasei_grpc_timeout(cease_dur d, char ret[CEASEI_GRPC_TIMEOUT_SIZE]);

/* Percent-encodes a status' text, cut to fit; the result has at most `size` bytes with its NUL. */
void ceasei_grpc_text_encode(const char *text, char *ret, size_t size);
/* Decodes in place; what is no encoding stays as it is. */
void ceasei_grpc_text_decode(char *text);

/* "12": one to three digits, at most 16; anything else is UNKNOWN. */
cease_grpc_code ceasei_grpc_code_read(const char *text);
cease_grpc_code ceasei_grpc_code_of_http(int status);
cease_grpc_code ceasei_grpc_code_of_http2(uint32_t code);
/* For a handler's error, and for a client's. */
cease_grpc_code ceasei_grpc_code_of_error(cease_error e);

#endif
