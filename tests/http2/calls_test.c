/* calls_test.c: breaks the clients by letting each system call fail in turn, over HTTP/1.1 and HTTP/2: any error is right,
 * but every call returns, and nothing is left behind. */
#include "calls.h"

#include "../http/handlers.h"

#include <cease/http2.h>
#include <cease/http_client.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BIG = 100 * 1000 };
static char big[BIG];

static cease_error handle_big(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                              void *arg)
{
    (void)req;
    (void)arg;
    cease_error e = CEASE_OK;
    for (size_t at = 0; at < BIG && e == CEASE_OK; at += BIG / 4)
        e = cease_http_response_write(ctx, res, big + at, BIG / 4);
    return e;
}

/* ---- the server: another process, whose calls do not fail ---- */

static char address[CEASE_ADDRESS_SIZE];
static pid_t server_pid;

static cease_error serve(cease_ctx *ctx, void *arg)
{
    cease_http_server *server = cease_http_server_new(NULL);
    cease_listener *l = NULL;
    CHECK_OK(cease_http2_enable(server, NULL));
    CHECK_OK(cease_http_server_route(server, "GET", "/", handle_hello, NULL));
    CHECK_OK(cease_http_server_route(server, "GET", "/big", handle_big, NULL));
    CHECK_OK(cease_http_server_route(server, "POST", "/echo", handle_echo, NULL));
    CHECK_OK(cease_listen(ctx, "127.0.0.1:0", NULL, &l));
    CHECK_OK(cease_listener_address(l, address, sizeof address));
    CHECK_EQ(write(*(int *)arg, address, sizeof address), sizeof address);
    return cease_http_server_serve(ctx, server, l); /* until it is killed */
}

static void server_start(void)
{
    int told[2];
    CHECK_EQ(pipe2(told, O_CLOEXEC), 0);
    server_pid = fork();
    if (server_pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        cease_group *g = cease_group_new(cease_background(), NULL);
        CHECK_OK(cease_group_go(g, serve, &told[1]));
        (void)cease_group_wait(g);
        _exit(1);
    }
    CHECK(server_pid > 0);
    close(told[1]);
    CHECK_EQ(read(told[0], address, sizeof address), sizeof address);
    close(told[0]);
}

static void server_stop(void)
{
    CHECK_EQ(kill(server_pid, SIGKILL), 0);
    CHECK_EQ(waitpid(server_pid, NULL, 0), server_pid);
}

/* ---- the clients ---- */

static void check_reply(const cease_http_reply *reply, const char *body, size_t size)
{
    CHECK_EQ(reply->status, 200);
    CHECK_EQ(reply->body_size, size);
    CHECK(memcmp(reply->body, body, size) == 0);
}

typedef cease_error do_fn(cease_ctx *ctx, void *client, const cease_http_call *call,
                          cease_http_reply *ret);

static cease_error ask_all(cease_ctx *ctx, do_fn *fn, void *client)
{
    static const struct {
        const char *path, *send, *expect;
        size_t send_size, size;
    } all[] = {
        {"/", NULL, "Hello, world\n", 0, 13},
        {"/echo", big, big, BIG / 2, BIG / 2},
        {"/big", NULL, big, 0, BIG},
    };
    cease_error e = CEASE_OK;
    for (size_t i = 0; i < sizeof all / sizeof *all && e == CEASE_OK; i++) {
        char url[CEASE_ADDRESS_SIZE + 32];
        cease_http_reply reply = {0};
        snprintf(url, sizeof url, "http://%s%s", address, all[i].path);
        const cease_http_call call = {.size = sizeof call,
                                      .url = url,
                                      .method = all[i].send ? "POST" : NULL,
                                      .body = all[i].send,
                                      .body_size = all[i].send_size};
        e = fn(ctx, client, &call, &reply);
        if (e == CEASE_OK)
            check_reply(&reply, all[i].expect, all[i].size);
        cease_http_reply_deinit(&reply);
    }
    return e;
}

static cease_error do_pooled(cease_ctx *ctx, void *client, const cease_http_call *call,
                             cease_http_reply *ret)
{
    return cease_http_client_do(ctx, client, call, ret);
}

static cease_error do_http2(cease_ctx *ctx, void *client, const cease_http_call *call,
                            cease_http_reply *ret)
{
    return cease_http2_do(ctx, client, call, ret);
}

static cease_error ask_pooled(cease_ctx *ctx, void *arg)
{
    (void)arg;
    const cease_http_client_opts opts = {.size = sizeof opts, .proxy = ""};
    cease_http_client *client = cease_http_client_new(&opts);
    cease_error e = client ? ask_all(ctx, do_pooled, client) : CEASE_ENOMEM;
    cease_http_client_free(client);
    return e;
}

static cease_error ask_http2(cease_ctx *ctx, void *arg)
{
    (void)arg;
    cease_http2_client *client;
    cease_error e = cease_http2_dial(ctx, address, NULL, &client);
    if (e == CEASE_OK) {
        e = ask_all(ctx, do_http2, client);
        cease_http2_client_close(client);
    }
    return e;
}

static void torture(cease_task_fn *scenario)
{
    for (size_t i = 0; i < BIG; i++)
        big[i] = (char)(i * 7 + i / 256);
    server_start();
    each_system_call_fails(scenario, NULL);
    server_stop();
}

TEST(each_failing_system_call_of_a_client_is_an_error_and_leaves_nothing)
{
    torture(ask_pooled);
}

TEST(each_failing_system_call_over_http2_is_an_error_and_leaves_nothing)
{
    torture(ask_http2);
}
