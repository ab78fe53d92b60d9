/* SPDX-License-Identifier: MIT
 *
 * call.c: messages of a gRPC call, on either side.
 *
 * A message is read into memory that grows as its bytes come, not as its prefix promises, so that a peer
 * that says "4 MiB" and sends nothing costs nothing.
 */
#include "grpc/call.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { ROOM_FIRST = 4096 };

void ceasei_grpc_call_deinit(struct cease_grpc_call *call)
{
    free(call->message);
    free(call->unpacked.data);
}

enum ceasei_grpc_encoding ceasei_grpc_encoding_read(const char *text)
{
    return !text || strcmp(text, "identity") == 0 ? CEASEI_GRPC_IDENTITY
           : strcmp(text, "gzip") == 0            ? CEASEI_GRPC_GZIP
                                                  : CEASEI_GRPC_UNKNOWN_ENCODING;
}

/* ---- receiving ---- */

static cease_error read_some(cease_ctx *ctx, struct cease_grpc_call *call, void *buf, size_t size,
                             size_t *ret_count)
{
    return call->req ? cease_http_request_read(ctx, call->req, buf, size, ret_count)
                     : cease_http2_stream_read(ctx, call->stream, buf, size, ret_count);
}

/* Reads exactly `size` bytes; CEASE_EOF only where `may_end`, and before the first. */
static cease_error read_all(cease_ctx *ctx, struct cease_grpc_call *call, void *buf, size_t size,
                            bool may_end)
{
    size_t at = 0;
    while (at < size) {
        size_t n = 0;
        cease_error e = read_some(ctx, call, (char *)buf + at, size - at, &n);
        if (e == CEASE_EOF && (at > 0 || !may_end)) {
            return CEASE_EPROTO;
        }
        if (e != CEASE_OK) {
            return e;
        }
        at += n;
    }
    return CEASE_OK;
}

/* Makes room for more, at most for the whole message and its NUL. */
static bool grow(struct cease_grpc_call *call, size_t at, size_t size)
{
    size_t room = at < ROOM_FIRST / 2 ? ROOM_FIRST : at * 2;
    room = room < size + 1 ? room : size + 1;
    if (room <= call->room) {
        return true;
    }
    char *grown = realloc(call->message, room);
    if (grown) {
        call->message = grown;
        call->room = room;
    }
    return grown != NULL;
}

static cease_error read_message(cease_ctx *ctx, struct cease_grpc_call *call, size_t size)
{
    size_t at = 0;
    for (;;) {
        if (!grow(call, at, size)) {
            return CEASE_ENOMEM;
        }
        size_t n = call->room - 1 < size ? call->room - 1 : size;
        cease_error e = read_all(ctx, call, call->message + at, n - at, false);
        if (e != CEASE_OK) {
            return e;
        }
        at = n;
        if (at == size) {
            call->message[at] = '\0';
            return CEASE_OK;
        }
    }
}

static cease_error recv(cease_ctx *ctx, struct cease_grpc_call *call, cease_grpc_message *ret)
{
    uint8_t prefix[CEASEI_GRPC_PREFIX];
    bool compressed = false;
    uint32_t size = 0;
    cease_error e = read_all(ctx, call, prefix, sizeof prefix, true);
    if (e != CEASE_OK) {
        return e;
    }
    if (!ceasei_grpc_prefix_read(prefix, &compressed, &size)) {
        return CEASE_EPROTO;
    }
    if (compressed && call->encoding != CEASEI_GRPC_GZIP) {
        return call->encoding == CEASEI_GRPC_IDENTITY ? CEASE_EPROTO : CEASE_ENOTSUP;
    }
    if (size > call->message_max) {
        return CEASE_EMSGSIZE;
    }
    e = read_message(ctx, call, size);
    if (e == CEASE_OK && compressed) {
        e = ceasei_grpc_gunzip(call->message, size, call->message_max, &call->unpacked);
        *ret = (cease_grpc_message){.data = call->unpacked.data, .size = call->unpacked.size};
    } else if (e == CEASE_OK) {
        *ret = (cease_grpc_message){.data = call->message, .size = size};
    }
    return e;
}

cease_error cease_grpc_recv(cease_ctx *ctx, cease_grpc_call *call, cease_grpc_message *ret)
{
    cease_error e = cease_err(ctx);
    if (call->ended) {
        return CEASE_EOF;
    }
    if (e == CEASE_OK && call->stream && !call->answered) {
        e = ceasei_grpc_client_begin(ctx, call);
    }
    if (e == CEASE_OK) {
        e = recv(ctx, call, ret);
    }
    if (e != CEASE_OK && call->stream) {
        e = ceasei_grpc_client_end(call, e);
    }
    return e;
}

/* ---- sending ---- */

static cease_error send_frame(cease_ctx *ctx, struct cease_grpc_call *call, bool compressed,
                              const struct ceasei_grpc_bytes *message, bool last)
{
    uint8_t prefix[CEASEI_GRPC_PREFIX];
    const void *data = message->data;
    size_t size = message->size;
    ceasei_grpc_prefix(prefix, compressed, (uint32_t)size);
    if (call->stream) {
        const struct iovec iov[2] = {{.iov_base = prefix, .iov_len = sizeof prefix},
                                     {.iov_base = (void *)(uintptr_t)data, .iov_len = size}};
        return cease_http2_stream_writev(ctx, call->stream, iov, 2, last);
    }
    call->begun = true;
    cease_error e = cease_http_response_write(ctx, call->res, prefix, sizeof prefix);
    if (e == CEASE_OK) {
        e = cease_http_response_write(ctx, call->res, data, size);
    }
    return e == CEASE_OK && !last ? cease_http_response_flush(ctx, call->res) : e;
}

static cease_error send(cease_ctx *ctx, struct cease_grpc_call *call, const void *data, size_t size,
                        bool last)
{
    const struct ceasei_grpc_bytes plain = {.data = (char *)(uintptr_t)data, .size = size};
    struct ceasei_grpc_bytes packed = {0};
    cease_error e = size <= UINT32_MAX ? CEASE_OK : CEASE_EMSGSIZE;
    bool pack = call->gzip && size >= CEASEI_GRPC_GZIP_MIN;
    if (e == CEASE_OK && pack) {
        e = ceasei_grpc_gzip(data, size, &packed);
    }
    if (e == CEASE_OK) {
        pack = pack && packed.size < size;
        e = send_frame(ctx, call, pack, pack ? &packed : &plain, last);
    }
    free(packed.data);
    return e;
}

cease_error cease_grpc_send(cease_ctx *ctx, cease_grpc_call *call, const void *data, size_t size)
{
    return send(ctx, call, data, size, false);
}

cease_error cease_grpc_send_last(cease_ctx *ctx, cease_grpc_call *call, const void *data,
                                 size_t size)
{
    return send(ctx, call, data, size, true);
}

cease_error cease_grpc_send_end(cease_ctx *ctx, cease_grpc_call *call)
{
    return call->stream ? cease_http2_stream_end(ctx, call->stream, NULL) : CEASE_EINVAL;
}

/* ---- metadata and status ---- */

const char *cease_grpc_metadata(cease_grpc_call *call, const char *name)
{
    return call->req ? cease_http_request_header(call->req, name)
                     : cease_http2_stream_header(call->stream, name);
}

const char *cease_grpc_trailer(cease_grpc_call *call, const char *name)
{
    return call->stream ? cease_http2_stream_trailer(call->stream, name) : NULL;
}

/* Names that are the protocol's. */
static bool is_ours(const char *name)
{
    return strncasecmp(name, "grpc-", 5) == 0 || strcasecmp(name, "Content-Type") == 0 ||
           strcasecmp(name, "TE") == 0 || strcasecmp(name, "Content-Length") == 0;
}

cease_error cease_grpc_metadata_add(cease_grpc_call *call, const char *name, const char *value)
{
    return call->res && !is_ours(name) ? cease_http_response_header(call->res, name, value)
                                       : CEASE_EINVAL;
}

cease_error cease_grpc_trailer_add(cease_grpc_call *call, const char *name, const char *value)
{
    return call->res && !is_ours(name) ? cease_http_response_trailer(call->res, name, value)
                                       : CEASE_EINVAL;
}

void cease_grpc_status_set(cease_grpc_call *call, cease_grpc_code code, const char *format, ...)
{
    call->code_set = true;
    call->code = code;
    call->text[0] = '\0';
    if (format) {
        va_list args;
        va_start(args, format);
        vsnprintf(call->text, sizeof call->text, format, args);
        va_end(args);
    }
}

cease_grpc_code cease_grpc_status(cease_grpc_call *call, const char **ret_text)
{
    if (ret_text) {
        *ret_text = call->text;
    }
    return call->code_set ? call->code : CEASE_GRPC_UNKNOWN;
}
