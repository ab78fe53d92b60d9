/* SPDX-License-Identifier: MIT
 *
 * fetch.c: one transfer: its options, its functions, its end.
 *
 * A fetch's life: a seat is taken; the easy handle gets its options and is put into the multi handle; the task drives it;
 * it is taken out of the multi handle, whether it has ended or not; the seat is left. After it is
 * out, curl calls nothing of ours for it.
 *
 * A function of the caller's that fails, or finds the context ended, makes curl give the transfer up; what it said is
 * remembered and wins over curl's own word for that.
 */
#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REDIRECTS_MAX = 10 };

struct transfer {
    cease_ctx *ctx;
    const cease_curl_request *request;
    struct curl_slist *headers;
    cease_error error; /* of a function of the caller's; EOF: the sink wants no more */
    char words[CURL_ERROR_SIZE];
};

/* ---- errors ---- */

static cease_error error_of_code(CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        return CEASE_OK;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_NOT_BUILT_IN:
        return CEASE_ENOTSUP;
    case CURLE_URL_MALFORMAT:
    case CURLE_BAD_FUNCTION_ARGUMENT:
        return CEASE_EINVAL;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
        return CEASE_ERESOLVE;
    case CURLE_COULDNT_CONNECT:
    case CURLE_PROXY:
        return CEASE_ECONNREFUSED;
    case CURLE_OPERATION_TIMEDOUT:
        return CEASE_ETIMEDOUT;
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
        return CEASE_ECONNRESET;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_USE_SSL_FAILED:
        return CEASE_ETLS;
    case CURLE_REMOTE_ACCESS_DENIED:
    case CURLE_LOGIN_DENIED:
    case CURLE_AUTH_ERROR:
        return CEASE_EACCES;
    case CURLE_REMOTE_FILE_NOT_FOUND:
    case CURLE_FILE_COULDNT_READ_FILE:
        return CEASE_ENOENT;
    case CURLE_FILESIZE_EXCEEDED:
        return CEASE_EMSGSIZE;
    case CURLE_REMOTE_DISK_FULL:
        return CEASE_ENOSPC;
    case CURLE_OUT_OF_MEMORY:
        return CEASE_ENOMEM;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_TOO_MANY_REDIRECTS:
    case CURLE_BAD_CONTENT_ENCODING:
        return CEASE_EPROTO;
    default:
        return CEASE_EIO;
    }
}

/* ---- curl calls these ---- */

/* Whether the caller's function may be called: not when one has failed, or the context has ended. */
static bool goes_on(struct transfer *t)
{
    if (t->error == CEASE_OK && cease_done(t->ctx))
        t->error = cease_err(t->ctx);
    return t->error == CEASE_OK;
}

static size_t on_body(char *data, size_t one, size_t count, void *arg)
{
    struct transfer *t = arg;
    size_t size = one * count;
    if (!goes_on(t))
        return CURL_WRITEFUNC_ERROR;
    if (t->request->sink)
        t->error = t->request->sink(data, size, t->request->arg);
    return t->error == CEASE_OK ? size : CURL_WRITEFUNC_ERROR;
}

static size_t on_header(char *data, size_t one, size_t count, void *arg)
{
    struct transfer *t = arg;
    size_t size = one * count, line = size;
    while (line > 0 && (data[line - 1] == '\n' || data[line - 1] == '\r'))
        line--;
    if (line > 0 && goes_on(t))
        t->request->header(data, line, t->request->arg);
    return size;
}

static size_t on_send(char *data, size_t one, size_t count, void *arg)
{
    struct transfer *t = arg;
    size_t given = 0;
    if (!goes_on(t))
        return CURL_READFUNC_ABORT;
    cease_error e = t->request->source(t->request->arg, data, one * count, &given);
    if (e == CEASE_EOF)
        return 0;
    t->error = e;
    return e == CEASE_OK ? given : CURL_READFUNC_ABORT;
}

/* ---- options ---- */

static bool set_headers(struct transfer *t)
{
    for (const char *const *header = t->request->headers; header && *header; header++) {
        struct curl_slist *longer = curl_slist_append(t->headers, *header);
        if (!longer)
            return false;
        t->headers = longer;
    }
    return true;
}

static CURLcode set_sending(CURL *easy, struct transfer *t)
{
    const cease_curl_request *r = t->request;
    CURLcode code = CURLE_OK;
    if (r->source) {
        curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_send);
        curl_easy_setopt(easy, CURLOPT_READDATA, t);
        curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE,
                         (curl_off_t)(r->source_size > 0 ? r->source_size : -1));
    } else if (r->body) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_size);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, r->body);
    }
    if (r->method && strcmp(r->method, "HEAD") == 0)
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    else if (r->method)
        code = curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, r->method);
    return code;
}

static CURLcode set_options(CURL *easy, struct transfer *t, cease_curl *client)
{
    const cease_curl_request *r = t->request;
    if (!r->url)
        return CURLE_URL_MALFORMAT;
    if (!set_headers(t))
        return CURLE_OUT_OF_MEMORY;
    CURLcode code = curl_easy_setopt(easy, CURLOPT_URL, r->url);
    if (code == CURLE_OK)
        code = curl_easy_setopt(easy, CURLOPT_USERAGENT, "cease");
    if (code == CURLE_OK && r->proxy)
        code = curl_easy_setopt(easy, CURLOPT_PROXY, r->proxy);
    if (code == CURLE_OK && r->decompress)
        code = curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
    if (code == CURLE_OK)
        code = set_sending(easy, t);
    if (code != CURLE_OK)
        return code;
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, t->headers);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, (long)r->follow);
    curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    if (r->setup)
        r->setup(easy, r->arg);
    curl_easy_setopt(easy, CURLOPT_SHARE, client->share);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    /* A transfer that is taken out while its name is resolved must not wait for the name server: curl's thread is
     * left to itself. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->words);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, r->header ? on_header : NULL);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, r->header ? t : NULL);
    return CURLE_OK;
}

/* ---- a fetch ---- */

static void look(CURL *easy, cease_curl_response *ret_response)
{
    char *type = NULL;
    curl_off_t received = 0;
    cease_curl_response r = {0};
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &r.status);
    curl_easy_getinfo(easy, CURLINFO_SIZE_DOWNLOAD_T, &received);
    curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &r.connects);
    curl_easy_getinfo(easy, CURLINFO_CONTENT_TYPE, &type);
    snprintf(r.type, sizeof r.type, "%s", type ? type : "");
    r.received = received;
    *ret_response = r;
}

static cease_error run(struct transfer *t, cease_curl *client, struct ceasei_curl_seat *seat)
{
    CURLcode code = set_options(seat->easy, t, client);
    if (code != CURLE_OK)
        return error_of_code(code);
    CURLMcode added = curl_multi_add_handle(seat->multi, seat->easy);
    if (added != CURLM_OK)
        return added == CURLM_OUT_OF_MEMORY ? CEASE_ENOMEM : CEASE_EIO;
    cease_error e = ceasei_curl_drive(t->ctx, seat, &code);
    curl_multi_remove_handle(seat->multi, seat->easy);
    if (e == CEASE_OK)
        e = error_of_code(code);
    if (t->error == CEASE_EOF)
        return CEASE_OK;
    return t->error != CEASE_OK ? t->error : e;
}

static void tell(struct transfer *t, cease_error e)
{
    const cease_curl_request *r = t->request;
    if (!r->message || r->message_size == 0)
        return;
    const cease_cause *cause = cease_cause_of(t->ctx);
    const char *text = e == CEASE_OK                                 ? ""
                       : cause && e == cease_err(t->ctx)             ? cause->text
                       : t->words[0] != '\0' && t->error == CEASE_OK ? t->words
                                                                     : cease_strerror(e);
    snprintf(r->message, r->message_size, "%s", text);
}

cease_error cease_curl_fetch(cease_ctx *ctx, cease_curl *client, const cease_curl_request *request,
                             cease_curl_response *ret_response)
{
    struct transfer t = {.ctx = ctx, .request = request};
    struct ceasei_curl_seat *seat;
    cease_error e = client ? ceasei_curl_take(ctx, client, &seat) : CEASE_ENOMEM;
    if (e != CEASE_OK) {
        tell(&t, e);
        return e;
    }
    e = run(&t, client, seat);
    if (e == CEASE_OK && ret_response)
        look(seat->easy, ret_response);
    tell(&t, e);
    curl_easy_reset(seat->easy);
    curl_easy_setopt(seat->easy, CURLOPT_SHARE,
                     NULL); /* reset leaves it; the client may go first */
    ceasei_curl_give(client, seat);
    curl_slist_free_all(t.headers);
    return e;
}

/* ---- into memory ---- */

struct collecting {
    cease_curl_body body;
    size_t room, size_max;
};

static cease_error collect(const void *data, size_t size, void *arg)
{
    struct collecting *c = arg;
    size_t wanted = c->body.size + size;
    if (wanted > c->size_max)
        return CEASE_EMSGSIZE;
    if (wanted + 1 > c->room) {
        size_t room = c->room * 2 > wanted + 1 ? c->room * 2 : wanted + 1;
        char *moved = realloc(c->body.data, room);
        if (!moved)
            return CEASE_ENOMEM;
        c->body.data = moved;
        c->room = room;
    }
    memcpy(c->body.data + c->body.size, data, size);
    c->body.size = wanted;
    c->body.data[wanted] = '\0';
    return CEASE_OK;
}

cease_error cease_curl_get(cease_ctx *ctx, cease_curl *client, const char *url, size_t size_max,
                           cease_curl_body *ret_body)
{
    struct collecting c = {.size_max = size_max};
    cease_curl_request request = {
        .size = sizeof request, .url = url, .follow = true, .sink = collect, .arg = &c};
    cease_error e = collect("", 0, &c); /* an empty body is a text, too */
    if (e == CEASE_OK)
        e = cease_curl_fetch(ctx, client, &request, &c.body.response);
    if (e == CEASE_OK)
        *ret_body = c.body;
    else
        cease_curl_body_deinit(&c.body);
    return e;
}

void cease_curl_body_deinit(cease_curl_body *body)
{
    free(body->data);
    *body = (cease_curl_body){0};
}
