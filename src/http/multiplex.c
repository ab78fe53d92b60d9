/* SPDX-License-Identifier: MIT
 *
 * multiplex.c: one exchange on a connection that carries many (HTTP/2).
 *
 * The request says what it would say in HTTP/1.1: its head is made by the same function, and then taken apart
 * again. So what a redirect leaves out, or the context replaces, is decided in one place. The fields of the answer
 * are copied to where those of HTTP/1.1 are; what follows is the same for both, but where bytes come from.
 */
#include "http/answer.h"
#include "http/call.h"

#include <string.h>
#include <strings.h>

struct request {
    struct ceasei_text head, url;
    cease_http_header *fields; /* into the head */
    const char *host;
};

static void request_deinit(struct request *r)
{
    ceasei_text_deinit(&r->head);
    ceasei_text_deinit(&r->url);
    free(r->fields);
}

/* Fields that frame a message, or belong to a connection of HTTP/1.1. */
static bool is_left_out(const char *name, const char *value)
{
    static const char *const names[] = {"Content-Length", "Transfer-Encoding", "Connection",
                                        "Keep-Alive",     "Proxy-Connection",  "Upgrade",
                                        "Expect"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcasecmp(name, names[i]) == 0) {
            return true;
        }
    }
    return strcasecmp(name, "TE") == 0 && strcasecmp(value, "trailers") != 0;
}

/* Takes the head apart, in place. */
static cease_error split(struct request *r)
{
    size_t count = 0;
    for (size_t i = 0; i < r->head.size; i++) {
        count += r->head.data[i] == '\n';
    }
    r->fields = malloc((count + 1) * sizeof *r->fields);
    if (!r->fields) {
        return CEASE_ENOMEM;
    }
    count = 0;
    char *line = strstr(r->head.data, "\r\n") + 2; /* behind the request line */
    while (*line != '\r') {
        char *end = strstr(line, "\r\n");
        char *colon = strchr(line, ':');
        *end = *colon = '\0';
        char *value = colon + 2; /* without the blanks around it, which HTTP/1.1 does not mind */
        value += strspn(value, " \t");
        for (char *last = end; last > value && (last[-1] == ' ' || last[-1] == '\t'); last--) {
            last[-1] = '\0';
        }
        if (strcasecmp(line, "Host") == 0) {
            r->host = r->host ? r->host : value;
        } else if (!is_left_out(line, value)) {
            r->fields[count++] = (cease_http_header){line, value};
        }
        line = end + 2;
    }
    r->fields[count] = (cease_http_header){NULL, NULL};
    return CEASE_OK;
}

static cease_error request_make(cease_ctx *ctx, const struct ceasei_call *c, struct request *r)
{
    ceasei_text_init(&r->head);
    ceasei_text_init(&r->url);
    r->fields = NULL;
    r->host = NULL;
    cease_error e = ceasei_call_head(ctx, c, &r->head);
    ceasei_text_add(&r->head, "", 1);
    if (e == CEASE_OK) {
        e = r->head.failed ? CEASE_ENOMEM : split(r);
    }
    if (e != CEASE_OK) {
        return e;
    }
    ceasei_text_put(&r->url, "https://");
    ceasei_text_put(&r->url, r->host);
    ceasei_text_add(&r->url, c->split.target, c->split.target_size);
    ceasei_text_add(&r->url, "", 1);
    return r->url.failed ? CEASE_ENOMEM : CEASE_OK;
}

/* What the table is given: the caller's words, as this hop sends them. */
static cease_http_call words(const struct ceasei_call *c, const struct request *r)
{
    cease_http_call w = {.size = sizeof w,
                         .method = c->method,
                         .url = r->url.data,
                         .headers = r->fields,
                         .no_deadline = true};
    if (c->call->body_read && !c->dropped) {
        w.body_read = c->call->body_read;
        w.body_length = c->call->body_length;
    } else if (c->call->body && !c->dropped) {
        w.body = c->call->body;
        w.body_size = c->call->body_size;
    } else if (strcmp(c->method, "POST") == 0 || strcmp(c->method, "PUT") == 0) {
        w.body = ""; /* and says so */
    }
    return w;
}

static uint32_t put(struct cease_http_answer *a, const char *text, size_t size)
{
    uint32_t at = (uint32_t)a->in_size;
    memcpy(a->in + at, text, size);
    a->in[at + size] = '\0';
    a->in_size += size + 1;
    return at;
}

static cease_error take_fields(struct cease_http_answer *a)
{
    const cease_http_multiplex *m = a->link->multi;
    const char *name;
    const char *value;
    size_t size = 1;
    size_t count = 0;
    for (; m->header_at(a->exchange, count, &name, &value); count++) {
        size += strlen(name) + strlen(value) + 2;
    }
    if (count > CEASEI_ANSWER_FIELDS || size > a->head_max) {
        return CEASE_EPROTO;
    }
    if (size > a->in_room) {
        char *in = realloc(a->in, size);
        if (!in) {
            return CEASE_ENOMEM;
        }
        a->in = in;
        a->in_room = size;
    }
    a->in_size = 0;
    a->head.reason = put(a, "", 0);
    for (size_t i = 0; m->header_at(a->exchange, i, &name, &value); i++) {
        struct ceasei_http_field *f = &a->fields[i];
        f->name_size = (uint16_t)strlen(name);
        f->value_size = (uint32_t)strlen(value);
        f->name = put(a, name, f->name_size);
        f->value = put(a, value, f->value_size);
    }
    a->head.field_count = (uint32_t)count;
    a->in_at = a->in_size;
    return CEASE_OK;
}

static cease_error take_head(struct cease_http_answer *a, int status, bool head_only)
{
    ceasei_http_head_init(&a->head, a->fields, CEASEI_ANSWER_FIELDS, a->head_max);
    cease_error e = take_fields(a);
    if (e != CEASE_OK) {
        return e;
    }
    const char *length = cease_http_answer_header(a, "Content-Length");
    a->head.status = (uint16_t)status;
    a->head_only = head_only;
    a->ended = head_only || status == 204 || status == 304 || (length && strcmp(length, "0") == 0);
    a->body = a->ended ? CEASEI_ANSWER_NONE : CEASEI_ANSWER_UNTIL_END;
    a->reusable = true;
    return CEASE_OK;
}

cease_error ceasei_answer_take_trailers(struct cease_http_answer *a)
{
    const cease_http_multiplex *m = a->link->multi;
    const char *name;
    const char *value;
    size_t size = 0;
    for (size_t i = 0; m->trailer_at(a->exchange, i, &name, &value); i++) {
        size += strlen(name) + strlen(value) + 3;
    }
    if (size == 0) {
        return CEASE_OK;
    }
    char *p = malloc(size);
    if (!p) {
        return CEASE_ENOMEM;
    }
    a->trailers = a->trailers_own = p;
    a->trailers_size = size;
    for (size_t i = 0; m->trailer_at(a->exchange, i, &name, &value); i++) {
        p = stpcpy(p, name);
        *p++ = ':';
        p = mempcpy(p, value, strlen(value));
        *p++ = '\r';
        *p++ = '\n';
    }
    return CEASE_OK;
}

/* What an error means to the caller. */
static cease_error meaning(cease_ctx *ctx, struct cease_http_answer *a, cease_error e)
{
    cease_error own = cease_err(ctx) != CEASE_OK ? cease_err(ctx) : ceasei_upload_error(a);
    if (own != CEASE_OK) {
        return own;
    }
    return e == CEASE_EMSGSIZE                      ? CEASE_EPROTO
           : e == CEASE_ECLOSED || e == CEASE_EPIPE ? CEASE_ECONNRESET
                                                    : e;
}

cease_error ceasei_answer_exchange(cease_ctx *ctx, struct cease_http_answer *a,
                                   const struct ceasei_call *c, bool *ret_sent)
{
    const cease_http_multiplex *m = a->link->multi;
    struct request r;
    int status = 0;
    cease_error e = request_make(ctx, c, &r);
    const cease_http_call request = e == CEASE_OK ? words(c, &r) : (cease_http_call){0};
    if (e == CEASE_OK) {
        e = m->begin(ctx, a->link->shared, &request, &a->exchange);
    }
    request_deinit(&r);
    if (e == CEASE_OK && request.body_read) {
        e = ceasei_upload_begin(ctx, a, c->call);
    }
    if (e == CEASE_OK) {
        e = m->wait(ctx, a->exchange, &status);
    }
    if (e == CEASE_OK) {
        a->begun = true;
        e = take_head(a, status, strcmp(c->method, "HEAD") == 0);
    }
    if (e == CEASE_EDEADLINE && a->exchange) {
        m->timed_out(a->exchange);
    }
    *ret_sent = a->exchange && e != CEASE_EAGAIN && e != CEASE_ECLOSED;
    return e == CEASE_OK ? e : meaning(ctx, a, e);
}
