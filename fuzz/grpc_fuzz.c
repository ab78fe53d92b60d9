/* grpc_fuzz.c: gRPC's own formats, and messages put together from bytes. The first byte says in which pieces the
 * rest comes; whatever comes, a message is no longer than its limit, texts come back as they went, and a
 * timeout that we write is one that we read. The carriers below a call are replaced by this file. */
#include "grpc/call.h"
#include "http/deadline.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MESSAGE_MAX = 3000 };

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* ---- what a call reads from ---- */

static const uint8_t *input;
static size_t input_size, input_step;

cease_error cease_http_request_read(cease_ctx *ctx, cease_http_request *req, void *buf, size_t size,
                                    size_t *ret_count)
{
    (void)ctx;
    (void)req;
    if (input_size == 0) {
        return CEASE_EOF;
    }
    size_t n = size < input_step ? size : input_step;
    n = n < input_size ? n : input_size;
    memcpy(buf, input, n);
    input += n;
    input_size -= n;
    *ret_count = n;
    return CEASE_OK;
}

/* ---- what a handler's receiving half never calls ---- */

cease_error cease_http2_stream_read(cease_ctx *ctx, cease_http2_stream *s, void *buf, size_t size,
                                    size_t *ret_count)
{
    (void)ctx, (void)s, (void)buf, (void)size, (void)ret_count;
    abort();
}

cease_error cease_http2_stream_writev(cease_ctx *ctx, cease_http2_stream *s,
                                      const struct iovec *iov, int count, bool end)
{
    (void)ctx, (void)s, (void)iov, (void)count, (void)end;
    abort();
}

cease_error cease_http2_stream_end(cease_ctx *ctx, cease_http2_stream *s,
                                   const cease_http_header *trailers)
{
    (void)ctx, (void)s, (void)trailers;
    abort();
}

const char *cease_http2_stream_header(const cease_http2_stream *s, const char *name)
{
    (void)s, (void)name;
    abort();
}

const char *cease_http2_stream_trailer(const cease_http2_stream *s, const char *name)
{
    (void)s, (void)name;
    abort();
}

const char *cease_http_request_header(const cease_http_request *req, const char *name)
{
    (void)req, (void)name;
    abort();
}

cease_error cease_http_response_write(cease_ctx *ctx, cease_http_response *res, const void *data,
                                      size_t size)
{
    (void)ctx, (void)res, (void)data, (void)size;
    abort();
}

cease_error cease_http_response_flush(cease_ctx *ctx, cease_http_response *res)
{
    (void)ctx, (void)res;
    abort();
}

cease_error cease_http_response_header(cease_http_response *res, const char *name,
                                       const char *value)
{
    (void)res, (void)name, (void)value;
    abort();
}

cease_error cease_http_response_trailer(cease_http_response *res, const char *name,
                                        const char *value)
{
    (void)res, (void)name, (void)value;
    abort();
}

cease_error ceasei_grpc_client_begin(cease_ctx *ctx, struct cease_grpc_call *call)
{
    (void)ctx, (void)call;
    abort();
}

cease_error ceasei_grpc_client_end(struct cease_grpc_call *call, cease_error e)
{
    (void)call, (void)e;
    abort();
}

/* ---- */

static void messages(const uint8_t *data, size_t size, enum ceasei_grpc_encoding encoding)
{
    struct cease_grpc_call call = {.req = (cease_http_request *)(uintptr_t)1,
                                   .message_max = MESSAGE_MAX,
                                   .encoding = encoding};
    bool plain = encoding != CEASEI_GRPC_GZIP; /* what is packed may become more than came */
    cease_grpc_message m;
    cease_error e;
    size_t total = 0;
    input = data + 1;
    input_size = size - 1;
    input_step = (size_t)data[0] + 1;
    while ((e = cease_grpc_recv(cease_background(), &call, &m)) == CEASE_OK) {
        require(m.size <= MESSAGE_MAX && ((const char *)m.data)[m.size] == '\0');
        total += m.size + CEASEI_GRPC_PREFIX;
        require(!plain || total <= size - 1);
    }
    require(e == CEASE_EOF || e == CEASE_EPROTO || e == CEASE_EMSGSIZE || e == CEASE_ENOTSUP);
    require(e != CEASE_EOF || !plain || total == size - 1);
    require(call.room <= MESSAGE_MAX + 1 && call.unpacked.room <= MESSAGE_MAX + 2);
    ceasei_grpc_call_deinit(&call);
}

static void texts(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    char *encoded = malloc(3 * size + 1);
    size_t n = 0;
    require(text && encoded);
    memcpy(text, data, size);
    text[size] = '\0';
    ceasei_grpc_text_encode(text, encoded, 3 * size + 1);
    ceasei_grpc_text_decode(encoded);
    require(strcmp(text, encoded) == 0);
    ceasei_grpc_code_read(text);
    cease_error e = cease_grpc_bin_decode(text, encoded, 3 * size + 1, &n);
    require(e == CEASE_OK || e == CEASE_EPARSE);
    require(cease_grpc_bin_encode(data, size, encoded, 3 * size + 1) == CEASE_OK || size < 2);
    if (size >= 2) {
        require(cease_grpc_bin_decode(encoded, text, size, &n) == CEASE_OK);
        require(n == size && memcmp(text, data, size) == 0);
    }
    free(text);
    free(encoded);
}

static void timeouts(const uint8_t *data, size_t size)
{
    int64_t ns = 0;
    char text[CEASEI_GRPC_TIMEOUT_SIZE];
    cease_dur back;
    memcpy(&ns, data, size < sizeof ns ? size : sizeof ns);
    ceasei_grpc_timeout(cease_ns(ns), text);
    require(ceasei_deadline_grpc(text, strlen(text), &back));
    require(back.ns >= ns && (ns <= 99999999 || back.ns - ns <= ns / 27000 + 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0) {
        messages(data, size, CEASEI_GRPC_IDENTITY);
        messages(data, size, CEASEI_GRPC_GZIP);
        texts(data, size);
        timeouts(data, size);
    }
    return 0;
}
