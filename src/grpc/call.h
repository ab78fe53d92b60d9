/* SPDX-License-Identifier: MIT
 *
 * call.h: one gRPC call, on either side.
 */
#ifndef CEASE_GRPC_CALL_H
#define CEASE_GRPC_CALL_H

#include "grpc/gzip.h"
#include "grpc/wire.h"

enum {
    CEASEI_GRPC_MESSAGE_MAX = 4 * 1024 * 1024,
    CEASEI_GRPC_GZIP_MIN = 1024, /* bytes: smaller messages are not worth it */
};

/* What the peer says of its messages (grpc-encoding). */
enum ceasei_grpc_encoding { CEASEI_GRPC_IDENTITY, CEASEI_GRPC_GZIP, CEASEI_GRPC_UNKNOWN_ENCODING };

/* What we take (grpc-accept-encoding). */
#define CEASEI_GRPC_ENCODINGS "identity,gzip"

struct cease_grpc_call {
    /* a handler's call has these, a client's the stream; set at birth */
    cease_http_request *req;
    cease_http_response *res;
    cease_http2_stream *stream;
    uint32_t message_max;

    /* the receiver's */
    char *message; /* the last one, and a NUL */
    size_t room;
    struct ceasei_grpc_bytes unpacked; /* the same, if it was compressed */
    enum ceasei_grpc_encoding encoding;
    bool answered; /* client: the response's head is there, and is gRPC's */
    bool ended;    /* nothing more comes: `code` is valid (client) */

    /* the sender's */
    bool begun; /* handler: something was sent */
    bool gzip;  /* compress; set before the first message */

    /* a handler's own status, a client's verdict */
    bool code_set;
    cease_grpc_code code;
    char text[CEASEI_GRPC_TEXT_MAX];
};

enum ceasei_grpc_encoding ceasei_grpc_encoding_read(const char *text);
void ceasei_grpc_call_deinit(struct cease_grpc_call *call);
/* client.c: waits for the response's head. CEASE_EOF: it is no answer of gRPC's, and `code` says so. */
cease_error ceasei_grpc_client_begin(cease_ctx *ctx, struct cease_grpc_call *call);
/* client.c: settles how the call has ended, after a read gave e; gives what recv is to say. */
cease_error ceasei_grpc_client_end(struct cease_grpc_call *call, cease_error e);

#endif
