/* SPDX-License-Identifier: MIT */
#include "with_http2.h"

#include <string.h>

static cease_error echo(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                        void *arg)
{
    char buf[100];
    size_t size = 0;
    cease_error e;
    (void)arg;
    cease_http_response_header(res, "Content-Type", "text/plain");
    cease_http_response_trailer(res, "Checksum", "none");
    while ((e = cease_http_request_read(ctx, req, buf, sizeof buf, &size)) == CEASE_OK) {
        cease_http_response_write(ctx, res, buf, size);
        cease_http_response_flush(ctx, res);
    }
    return e == CEASE_EOF ? CEASE_OK : e;
}

/* [example] */
#include <cease/http2.h>
#include <stdio.h>
#include <sys/uio.h>

/* Says something and hears the answer, while both sides can still say more. */
static cease_error say(cease_ctx *ctx, cease_http2_stream *s, const char *text, size_t size)
{
    char answer[100];
    size_t got;
    int status;
    cease_error err = cease_http2_stream_write(ctx, s, text, size);
    if (err == CEASE_OK)
        err = cease_http2_stream_wait(ctx, s, &status); /* the head: once it is there, at once */
    if (err == CEASE_OK)
        err = cease_http2_stream_read(ctx, s, answer, sizeof answer, &got);
    if (err == CEASE_OK)
        printf("%d: %.*s\n", status, (int)got, answer);
    else if (err == CEASE_ECONNRESET)
        fprintf(stderr, "reset with code %u\n", cease_http2_stream_code(s));
    return err;
}

static cease_error talk(cease_ctx *ctx, cease_http2_client *client)
{
    const cease_http_call call = {
        .size = sizeof call, .method = "POST", .url = "http://localhost/echo"};
    struct iovec last[2] = {{.iov_base = "good", .iov_len = 4}, {.iov_base = "bye", .iov_len = 3}};
    cease_http2_stream *s;
    char rest[100];
    size_t got;
    cease_error err = cease_http2_stream_open(ctx, client, &call, false, &s);
    if (err != CEASE_OK)
        return err;
    err = say(ctx, s, "hello", 5);
    if (err == CEASE_OK)
        err = cease_http2_stream_writev(ctx, s, last, 2, false);
    if (err == CEASE_OK)
        err = cease_http2_stream_end(ctx, s, NULL);
    while (err == CEASE_OK)
        err = cease_http2_stream_read(ctx, s, rest, sizeof rest, &got);
    const char *name, *value;
    for (size_t i = 0; cease_http2_stream_header_at(s, i, &name, &value); i++)
        printf("%s: %s\n", name, value);
    for (size_t i = 0; cease_http2_stream_trailer_at(s, i, &name, &value); i++)
        printf("at the end, %s: %s\n", name, value);
    bool complete = err == CEASE_EOF && cease_http2_stream_header(s, "Content-Type") &&
                    cease_http2_stream_trailer(s, "Checksum");
    cease_http2_stream_close(s); /* had it not ended, this would have reset it with CANCEL */
    return complete ? CEASE_OK : err;
}
/* [end] */

TEST(example_http2_stream_open)
{
    struct with_http2 w;
    with_http2_init(&w);
    CHECK_OK(cease_http_server_route(w.server, "POST", "/echo", echo, NULL));
    with_http2_start(&w);
    CHECK_OK(talk(cease_background(), w.client));
    with_http2_stop(&w);
}
