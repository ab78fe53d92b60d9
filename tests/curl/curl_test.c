/*
 * Breaks the curl adapter against a real nginx, and against a server of its own that stops in the middle: contexts
 * that end before, in the middle of and just when a transfer ends, functions that fail, servers that go, memory that
 * runs out. After every cut the client must give the right answer to the next, and nothing of the transfer may be
 * left: the harness counts descriptors and memory, and the server sees the connection closed.
 */
#include "curl_common.h"

#include <cease/net.h>
#include <curl/curl.h>

SERVERS("nginx");

/* ---- plain use ---- */

struct lines {
    int count;
    char first[64];
};

static void take_line(const char *line, size_t size, void *arg)
{
    struct lines *l = arg;
    if (l->count++ == 0)
        snprintf(l->first, sizeof l->first, "%.*s", (int)size, line);
}

BOTH(fetch_gives_status_headers_and_reuses_the_connection)
{
    cease_curl *client = cease_curl_new(NULL);
    for (int i = 0; i < 3; i++) {
        struct lines lines = {0};
        cease_curl_request request = {
            .size = sizeof request, .url = url_of("/hello"), .header = take_line, .arg = &lines};
        cease_curl_response response;
        CHECK_OK(cease_curl_fetch(cease_background(), client, &request, &response));
        CHECK_EQ(response.status, 200);
        CHECK_EQ(response.received, 13);
        CHECK_EQ(response.connects, i == 0);
        CHECK(strlen(response.type) > 0);
        CHECK_STR(lines.first, "HTTP/1.1 200 OK");
        CHECK(lines.count > 3);
    }
    cease_curl_free(client);
}

BOTH(get_follows_redirects_and_bounds_the_body)
{
    cease_curl *client = cease_curl_new(NULL);
    cease_curl_body body = {0};
    CHECK_OK(cease_curl_get(cease_background(), client, url_of("/moved"), 13, &body));
    CHECK_STR(body.data, "hello, world\n");
    CHECK_EQ(body.response.status, 200);
    cease_curl_body_deinit(&body);
    CHECK_ERR(cease_curl_get(cease_background(), client, url_of("/hello"), 12, &body),
              CEASE_EMSGSIZE);
    CHECK_OK(cease_curl_get(cease_background(), client, url_of("/gone"), 100, &body));
    CHECK_EQ(body.response.status, 410);
    cease_curl_body_deinit(&body);
    CHECK_OK(cease_curl_get(cease_background(), client, url_of("/files/big"), 1 << 20, &body));
    for (size_t i = 0; i < body.size; i++)
        CHECK_EQ((unsigned char)body.data[i], i * 7 % 251);
    CHECK_EQ(body.size, 1 << 20);
    cease_curl_body_deinit(&body);
    cease_curl_free(client);
}

static cease_error fetch(cease_curl *client, const char *url, char *message, size_t size)
{
    cease_curl_request request = {
        .size = sizeof request, .url = url, .message = message, .message_size = size};
    return cease_curl_fetch(cease_background(), client, &request, NULL);
}

BOTH(errors_come_with_words)
{
    char message[256];
    cease_curl *client = cease_curl_new(NULL);
    CHECK_ERR(fetch(client, "http://127.0.0.1:1/", message, sizeof message), CEASE_ECONNREFUSED);
    CHECK(strstr(message, "Failed to connect to 127.0.0.1 port 1") != NULL);
    CHECK_ERR(fetch(client, "nonsense://x/", message, sizeof message), CEASE_ENOTSUP);
    CHECK_ERR(fetch(client, "http://", message, sizeof message), CEASE_EINVAL);
    CHECK_ERR(fetch(client, NULL, message, sizeof message), CEASE_EINVAL);
    CHECK_ERR(fetch(client, "file:///no/such/file", message, sizeof message), CEASE_ENOENT);
    CHECK_ERR(fetch(NULL, url_of("/hello"), message, sizeof message), CEASE_ENOMEM);
    CHECK_OK(fetch(client, url_of("/hello"), message, sizeof message));
    CHECK_STR(message, "");
    cease_curl_free(client);
}

/* ---- bodies ---- */

struct sending {
    size_t left, received;
    cease_error end;
    cease_canceler *stop;
};

static cease_error give(void *arg, void *buf, size_t size, size_t *ret_count)
{
    struct sending *s = arg;
    if (s->left == 0)
        return s->end;
    size_t count = s->left < size ? s->left : size;
    memset(buf, 'x', count);
    s->left -= count;
    *ret_count = count;
    if (s->left < 100000)
        cease_cancel(s->stop);
    return CEASE_OK;
}

static cease_error count_x(const void *data, size_t size, void *arg)
{
    struct sending *s = arg;
    for (size_t i = 0; i < size; i++)
        CHECK_EQ(((const char *)data)[i], 'x');
    s->received += size;
    return cease_sleep(cease_background(), cease_us(1)); /* it may park */
}

static cease_error put_file(cease_ctx *ctx, cease_curl *client, struct sending *s, bool known,
                            cease_curl_response *response)
{
    cease_curl_request request = {.size = sizeof request,
                                  .url = url_of("/files/sent"),
                                  .source = give,
                                  .source_size = known ? (int64_t)s->left : 0,
                                  .arg = s};
    return cease_curl_fetch(ctx, client, &request, response);
}

BOTH(source_and_sink_stream_bodies)
{
    cease_curl *client = cease_curl_new(NULL);
    cease_curl_response response;
    for (int known = 0; known < 2; known++) {
        struct sending s = {.left = 1000000, .end = CEASE_EOF};
        CHECK_OK(put_file(cease_background(), client, &s, known, &response));
        CHECK(response.status == 201 || response.status == 204);
        cease_curl_request request = {
            .size = sizeof request, .url = url_of("/files/sent"), .sink = count_x, .arg = &s};
        CHECK_OK(cease_curl_fetch(cease_background(), client, &request, &response));
        CHECK_EQ(s.received, 1000000);
    }
    cease_curl_free(client);
}

BOTH(source_that_fails_or_is_cut_ends_the_transfer)
{
    cease_curl *client = cease_curl_new(NULL);
    struct sending s = {.left = 300000, .end = CEASE_EPROTO};
    CHECK_ERR(put_file(cease_background(), client, &s, false, NULL), CEASE_EPROTO);
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    s = (struct sending){.left = 300000, .end = CEASE_EOF, .stop = stop};
    CHECK_ERR(put_file(ctx, client, &s, true, NULL), CEASE_ECANCELED);
    CHECK(s.left > 0 && s.left < 100000);
    cease_end(stop);
    check_alive(client);
    cease_curl_free(client);
}

static cease_error refuse(const void *data, size_t size, void *arg)
{
    (void)data;
    (void)size;
    return *(cease_error *)arg;
}

BOTH(sink_that_fails_or_has_enough_ends_the_transfer)
{
    cease_curl *client = cease_curl_new(NULL);
    cease_error said[] = {CEASE_EPROTO, CEASE_EOF};
    for (int i = 0; i < 2; i++) {
        cease_curl_request request = {
            .size = sizeof request, .url = url_of("/files/big"), .sink = refuse, .arg = &said[i]};
        CHECK_ERR(cease_curl_fetch(cease_background(), client, &request, NULL),
                  i == 0 ? CEASE_EPROTO : CEASE_OK);
        check_alive(client);
    }
    cease_curl_free(client);
}

static void set_up(void *easy, void *arg)
{
    ++*(size_t *)arg;
    curl_easy_setopt(easy, CURLOPT_RANGE, "10-19");
}

BOTH(request_sends_method_headers_and_what_setup_sets)
{
    cease_curl *client = cease_curl_new(NULL);
    cease_curl_response response;
    size_t calls = 0;
    cease_curl_request request = {
        .size = sizeof request, .url = url_of("/files/big"), .setup = set_up, .arg = &calls};
    CHECK_OK(cease_curl_fetch(cease_background(), client, &request, &response));
    CHECK_EQ(calls, 1);
    CHECK_EQ(response.status, 206);
    CHECK_EQ(response.received, 10);
    request =
        (cease_curl_request){.size = sizeof request, .url = url_of("/files/big"), .method = "HEAD"};
    CHECK_OK(cease_curl_fetch(cease_background(), client, &request, &response));
    CHECK_EQ(response.received, 0);
    const char *const headers[] = {"If-Match: \"nonsense\"", NULL};
    request = (cease_curl_request){
        .size = sizeof request, .url = url_of("/files/big"), .headers = headers};
    CHECK_OK(cease_curl_fetch(cease_background(), client, &request, &response));
    CHECK_EQ(response.status, 412);
    request = (cease_curl_request){
        .size = sizeof request, .url = url_of("/files/big"), .body = "x=1", .body_size = 3};
    CHECK_OK(cease_curl_fetch(cease_background(), client, &request, &response));
    CHECK_EQ(response.status, 405); /* a POST to a file */
    request = (cease_curl_request){
        .size = sizeof request, .url = "http://name.invalid/hello", .proxy = url_of("")};
    CHECK_OK(cease_curl_fetch(cease_background(), client, &request, &response));
    CHECK_EQ(response.status, 200); /* the proxy was asked: nobody resolved the name */
    cease_curl_free(client);
}

/* ---- cancel ---- */

BOTH(context_done_before_the_fetch_does_nothing)
{
    cease_curl *client = cease_curl_new(NULL);
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_cancel_cause(stop, 7, "enough");
    char message[64];
    cease_curl_request request = {.size = sizeof request,
                                  .url = url_of("/hello"),
                                  .message = message,
                                  .message_size = sizeof message};
    CHECK_ERR(cease_curl_fetch(ctx, client, &request, NULL), CEASE_ECANCELED);
    CHECK_STR(message, "enough");
    cease_end(stop);
    cease_curl_free(client);
}

BOTH(slow_body_ends_with_its_deadline)
{
    cease_curl *client = cease_curl_new(NULL);
    for (int i = 0; i < 10; i++) {
        cease_canceler *stop;
        cease_ctx *ctx = cease_with_timeout(cease_background(), cease_us(i * 1000), &stop);
        size_t size = 0;
        cease_curl_request request = {
            .size = sizeof request, .url = url_of("/slow/big"), .sink = take_size, .arg = &size};
        CHECK_ERR(cease_curl_fetch(ctx, client, &request, NULL), CEASE_EDEADLINE);
        cease_end(stop);
        check_alive(client);
    }
    cease_curl_free(client);
}

/* A server of our own: sends the beginning of a response, then does what the case wants. */
struct half {
    cease_listener *listener;
    cease_canceler *stop; /* cancelled when the client is in the middle; NULL: the server goes */
    bool saw_the_end;
};

static cease_error serve_half(cease_ctx *ctx, void *arg)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
    struct half *h = arg;
    cease_conn *conn;
    char request[1000];
    size_t count = 0;
    CHECK_OK(cease_listener_accept(ctx, h->listener, &conn));
    CHECK_OK(cease_conn_read(ctx, conn, request, sizeof request, &count));
    CHECK_OK(cease_conn_write(ctx, conn, text, sizeof text - 1, NULL));
    if (h->stop) {
        cease_cancel(h->stop);
        cease_error e = cease_conn_read(ctx, conn, request, sizeof request, &count);
        h->saw_the_end = e == CEASE_EOF || e == CEASE_ECONNRESET;
    }
    cease_conn_close(conn);
    return CEASE_OK;
}

static void half_way(bool cancel, cease_error expected)
{
    cease_curl *client = cease_curl_new(NULL);
    struct half h = {0};
    char address[CEASE_ADDRESS_SIZE], url[200], message[256];
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    CHECK_OK(cease_listen(ctx, "127.0.0.1:0", NULL, &h.listener));
    cease_listener_address(h.listener, address, sizeof address);
    snprintf(url, sizeof url, "http://%s/", address);
    h.stop = cancel ? stop : NULL;
    cease_group *group = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(group, serve_half, &h));
    cease_curl_request request = {
        .size = sizeof request, .url = url, .message = message, .message_size = sizeof message};
    CHECK_ERR(cease_curl_fetch(ctx, client, &request, NULL), expected);
    CHECK(strlen(message) > 0);
    CHECK_OK(cease_group_wait(group)); /* while the client is still there */
    CHECK_EQ(h.saw_the_end, cancel);
    cease_group_free(group);
    cease_listener_close(h.listener);
    cease_end(stop);
    check_alive(client);
    cease_curl_free(client);
}

BOTH(fetch_cancelled_closes_its_connection_before_it_returns)
{
    half_way(true, CEASE_ECANCELED);
}

BOTH(server_gone_in_the_middle_is_a_clear_error)
{
    half_way(false, CEASE_ECONNRESET);
}

/* A backlog that is full: the connection is never accepted, the handshake never ends. */
BOTH(fetch_that_only_waits_for_an_answer_ends_with_its_context)
{
    cease_curl *client = cease_curl_new(NULL);
    cease_listener *listener;
    char address[CEASE_ADDRESS_SIZE], url[200];
    CHECK_OK(cease_listen(cease_background(), "127.0.0.1:0", NULL, &listener));
    cease_listener_address(listener, address, sizeof address);
    snprintf(url, sizeof url, "http://%s/", address);
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(10), &stop);
    cease_curl_body body;
    CHECK_ERR(cease_curl_get(ctx, client, url, 100, &body), CEASE_EDEADLINE);
    cease_end(stop);
    cease_listener_close(listener);
    cease_curl_free(client);
}

/* ---- many, shortage ---- */

static cease_error wait_for_a_seat(cease_ctx *ctx, void *arg)
{
    cease_canceler *stop;
    cease_ctx *limited = cease_with_timeout(ctx, cease_ms(5), &stop);
    cease_curl_body body;
    CHECK_ERR(cease_curl_get(limited, arg, url_of("/hello"), 100, &body), CEASE_EDEADLINE);
    cease_end(stop);
    return CEASE_OK;
}

static cease_error ask_inside(const void *data, size_t size, void *arg)
{
    (void)data;
    (void)size;
    wait_for_a_seat(cease_background(), arg);
    return CEASE_EOF;
}

BOTH(transfers_beyond_the_limit_wait_under_their_contexts)
{
    cease_curl_opts opts = {.size = sizeof opts, .transfers_max = 1};
    cease_curl *client = cease_curl_new(&opts);
    cease_curl_request request = {
        .size = sizeof request, .url = url_of("/hello"), .sink = ask_inside, .arg = client};
    CHECK_OK(cease_curl_fetch(cease_background(), client, &request, NULL));
    check_alive(client);
    cease_curl_free(client);
}

static void scenario(void)
{
    cease_curl *client = cease_curl_new(NULL);
    cease_curl_body body = {0};
    cease_error e = cease_curl_get(cease_background(), client, url_of("/hello"), 100, &body);
    if (e == CEASE_OK)
        CHECK_STR(body.data, "hello, world\n");
    else
        CHECK(e == CEASE_ENOMEM || e == CEASE_ECONNREFUSED || e == CEASE_ECONNRESET ||
              e == CEASE_EIO || e == CEASE_ERESOLVE || e == CEASE_EPROTO || e == CEASE_EINVAL);
    cease_curl_body_deinit(&body);
    cease_curl_free(client);
}

TEST(each_failing_allocation_is_an_error_and_leaves_nothing)
{
    warm_up();
    scenario();
    harness_mark();
    HARNESS_EACH_ALLOC_FAILS(n)
    scenario();
}
