/* SPDX-License-Identifier: MIT
 *
 * event.c: server-sent events, on top of a response.
 */
#include "http/server.h"

#include <string.h>

static bool is_line(const char *text)
{
    return !text || text[strcspn(text, "\r\n")] == '\0';
}

/* "name: " and the first line of text; gives what follows it. A line ends as the standard has it: CRLF,
 * LF or CR. */
static cease_error write_line(cease_ctx *ctx, cease_http_response *res, const char *name,
                              const char **text)
{
    size_t size = strcspn(*text, "\r\n");
    cease_error e = cease_http_response_write(ctx, res, name, strlen(name));
    if (e == CEASE_OK) {
        e = cease_http_response_write(ctx, res, *text, size);
    }
    if (e == CEASE_OK) {
        e = cease_http_response_write(ctx, res, "\n", 1);
    }
    const char *rest = *text + size;
    *text = rest[0] == '\r' && rest[1] == '\n' ? rest + 2 : rest[0] ? rest + 1 : NULL;
    return e;
}

static cease_error write_field(cease_ctx *ctx, cease_http_response *res, const char *name,
                               const char *text)
{
    cease_error e = CEASE_OK;
    while (text && e == CEASE_OK) {
        e = write_line(ctx, res, name, &text);
    }
    return e;
}

static cease_error headers(cease_http_response *res)
{
    if (res->stage != CEASEI_RES_OPEN || res->total > 0) {
        return CEASE_OK;
    }
    cease_error e = cease_http_response_header(res, "Content-Type", "text/event-stream");
    return e == CEASE_OK ? cease_http_response_header(res, "Cache-Control", "no-store") : e;
}

cease_error cease_http_response_event(cease_ctx *ctx, cease_http_response *res, const char *event,
                                      const char *id, const char *data)
{
    if (!is_line(event) || !is_line(id)) {
        return CEASE_EINVAL;
    }
    cease_error e = headers(res);
    if (e == CEASE_OK) {
        e = write_field(ctx, res, "event: ", event);
    }
    if (e == CEASE_OK) {
        e = write_field(ctx, res, "id: ", id);
    }
    if (e == CEASE_OK) {
        e = data ? write_field(ctx, res, "data: ", data)
                 : cease_http_response_write(ctx, res, ":\n", 2);
    }
    if (e == CEASE_OK) {
        e = cease_http_response_write(ctx, res, "\n", 1);
    }
    return e == CEASE_OK ? cease_http_response_flush(ctx, res) : e;
}
