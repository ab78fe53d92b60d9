/* SPDX-License-Identifier: MIT
 *
 * The code of docs/guide/http-client.md, against a server of our own.
 */
#include "harness.h"

#include <stdio.h>

/* [one_client] */
#include <cease/cease.h>
#include <cease/http_client.h>

/* How many bytes a page has, in at most 5 s. */
static cease_error measure_page(cease_ctx *ctx, cease_http_client *client, const char *url,
                                size_t *ret_size)
{
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *limited = cease_with_timeout(ctx, cease_sec(5), &stop);
    const cease_http_call call = {.size = sizeof call, .url = url};
    cease_http_reply reply = {0};
    cease_error e = cease_http_client_do(limited, client, &call, &reply);
    if (e == CEASE_OK && reply.status != 200)
        e = CEASE_ENOENT; /* any status is an answer: what it means is for us to say */
    *ret_size = reply.body_size;
    cease_http_reply_deinit(&reply);
    return e;
}
/* [end] */

/* [streaming] */
/* Copies a page to a function, piece by piece, however long it is. */
static cease_error copy_page(cease_ctx *ctx, cease_http_client *client, const char *url,
                             void (*take)(const char *data, size_t size))
{
    const cease_http_call call = {.size = sizeof call, .url = url};
    cease_http_answer *answer;
    cease_error e = cease_http_client_open(ctx, client, &call, &answer);
    if (e != CEASE_OK)
        return e;
    char piece[4096];
    size_t size;
    while ((e = cease_http_answer_read(ctx, answer, piece, sizeof piece, &size)) == CEASE_OK)
        take(piece, size);
    cease_http_answer_close(answer); /* what was not read is not waited for */
    return e == CEASE_EOF ? CEASE_OK : e;
}
/* [end] */

/* [sending] */
/* Numbers, one a line: a body that nobody has in memory. */
struct numbers {
    int next, last;
};

static cease_error read_numbers(cease_ctx *ctx, void *arg, void *buf, size_t size, size_t *ret_size)
{
    struct numbers *n = arg;
    if (n->next > n->last)
        return CEASE_EOF;
    *ret_size = (size_t)snprintf(buf, size, "%d\n", n->next++);
    return cease_err(ctx);
}

static bool rewind_numbers(void *arg) /* so that it can be sent again, after a 307 say */
{
    ((struct numbers *)arg)->next = 1;
    return true;
}

static cease_error send_numbers(cease_ctx *ctx, cease_http_client *client, const char *url,
                                cease_http_reply *ret)
{
    struct numbers n = {1, 1000};
    const cease_http_call call = {.size = sizeof call,
                                  .url = url,
                                  .method = "PUT",
                                  .body_read = read_numbers,
                                  .body_rewind = rewind_numbers,
                                  .body_arg = &n};
    return cease_http_client_do(ctx, client, &call, ret);
}
/* [end] */

/* [hedging] */
/* Asks the second replica when the first has not answered in time. */
static cease_error ask_replicas(cease_ctx *ctx, cease_http_client *client,
                                const char *const urls[2], cease_http_reply *ret)
{
    const cease_http_call calls[] = {{.size = sizeof *calls, .url = urls[0]},
                                     {.size = sizeof *calls, .url = urls[1]}};
    return cease_http_client_hedge(ctx, client, calls, 2, cease_ms(20), ret, NULL);
}
/* [end] */

static cease_error hello(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                         void *arg)
{
    char piece[512];
    size_t n;
    size_t total = 0;
    (void)arg;
    while (cease_http_request_read(ctx, req, piece, sizeof piece, &n) == CEASE_OK)
        total += n;
    return cease_http_response_print(ctx, res, "hello %zu", total);
}

static cease_http_server *server;
static cease_ctx *serving;

static cease_error serve(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    return cease_http_server_serve(serving, server, arg);
}

static size_t taken;

static void count_bytes(const char *data, size_t size)
{
    (void)data;
    taken += size;
}

TEST(guide_httpClient_itsCodeDoesWhatItSays)
{
    char address[CEASE_ADDRESS_SIZE];
    char url[CEASE_ADDRESS_SIZE + 16];
    cease_listener *listener;
    cease_canceler *stop;
    server = cease_http_server_new(NULL);
    serving = cease_with_cancel(cease_background(), &stop);
    CHECK_OK(cease_http_server_route(server, NULL, "/", hello, NULL));
    CHECK_OK(cease_listen(cease_background(), "127.0.0.1:0", NULL, &listener));
    CHECK_OK(cease_listener_address(listener, address, sizeof address));
    snprintf(url, sizeof url, "http://%s/", address);
    cease_group *group = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(group, serve, listener));

    cease_http_client *client = cease_http_client_new(NULL);
    cease_http_reply reply = {0};
    size_t size;
    CHECK_OK(measure_page(cease_background(), client, url, &size));
    CHECK_EQ(size, 7);
    CHECK_OK(copy_page(cease_background(), client, url, count_bytes));
    CHECK_EQ(taken, 7);
    CHECK_OK(send_numbers(cease_background(), client, url, &reply));
    CHECK_STR(reply.body, "hello 3893");
    cease_http_reply_deinit(&reply);
    const char *const urls[2] = {url, url};
    CHECK_OK(ask_replicas(cease_background(), client, urls, &reply));
    CHECK_STR(reply.body, "hello 0");
    cease_http_reply_deinit(&reply);
    cease_http_client_free(client);

    cease_cancel(stop);
    CHECK_OK(cease_group_wait(group));
    cease_group_free(group);
    cease_http_server_free(server);
    cease_end(stop);
}
