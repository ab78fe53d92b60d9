/* answer_test.c: out to break what the client does with answers: redirects, gzip, bodies both ways,
 * proxies, hedging; with servers that lie, stall, reset at every byte, and with every allocation
 * failing and every wait cancelled in turn. */
#include "handlers.h"
#include "no_tls.h"
#include "play.h"

#include <cease/http_client.h>
#include <cease/test.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
static struct play server, other;

static cease_ctx *root(void)
{
    return cease_background();
}

static cease_http_client_counts counts_of(cease_http_client *c)
{
    cease_http_client_counts counts;
    cease_http_client_count(c, &counts);
    return counts;
}

static cease_http_client *client_new(void)
{
    cease_http_client_opts opts = {.size = sizeof opts, .proxy = ""};
    cease_http_client *c = cease_http_client_new(&opts);
    CHECK(c != NULL);
    return c;
}

static int loaded(const int *p)
{
    return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}

/* ---- redirects ---- */

/* Says the n-th of p->arg's texts to the n-th request. */
static void in_turn(cease_ctx *ctx, struct play *p, cease_conn *c, int index)
{
    (void)index;
    const char *const *texts = p->arg;
    while (play_hear(ctx, p, c)) {
        play_say(ctx, c, texts[loaded(&p->requests) - 1]);
    }
}

#define REDIRECT(status, to) \
    "HTTP/1.1 " status " x\r\nLocation: " to "\r\nContent-Length: 4\r\n\r\nbody"

TEST(redirect_chain_isFollowedOnTheSameConnection)
{
    static const char *const texts[] = {REDIRECT("302", "/a?b#c"), REDIRECT("301", "d/e"),
                                        REDIRECT("308", "../f"), ok};
    const cease_http_header headers[] = {{"Authorization", "secret"}, {NULL, NULL}};
    cease_http_client *c = client_new();
    char expected[200];
    play_start(&server, in_turn, (void *)(uintptr_t)texts);
    const cease_http_call call = {.size = sizeof call, .url = server.url, .headers = headers};
    cease_http_answer *a;
    CHECK_OK(cease_http_client_open(root(), c, &call, &a));
    CHECK_EQ(cease_http_answer_status(a), 200);
    CHECK_STR(cease_http_answer_reason(a), "OK");
    snprintf(expected, sizeof expected, "%s/f", server.url);
    CHECK_STR(cease_http_answer_url(a), expected);
    cease_http_answer_close(a);
    CHECK_HAS(server.request[0], "GET / HTTP/1.1\r\n");
    CHECK_HAS(server.request[1], "GET /a?b HTTP/1.1\r\n");
    CHECK_HAS(server.request[2], "GET /d/e HTTP/1.1\r\n");
    CHECK_HAS(server.request[3], "GET /f HTTP/1.1\r\n");
    CHECK_HAS(server.request[3], "Authorization: secret\r\n");
    CHECK_EQ(counts_of(c).redirects_total, 3);
    CHECK_EQ(loaded(&server.connections), 1);
    cease_http_client_free(c);
    play_stop(&server);
}

TEST(redirect_toAnotherOrigin_takesNoSecretsAlongAndNeverAgain)
{
    static char there[300], back[300];
    static const char *texts[] = {there, ok};
    static const char *others[] = {back};
    const cease_http_header headers[] = {{"authorization", "secret"},
                                         {"Cookie", "secret"},
                                         {"Host", "virtual.example"},
                                         {"X-Kept", "kept"},
                                         {NULL, NULL}};
    cease_http_client *c = client_new();
    cease_http_reply reply = {0};
    play_start(&server, in_turn, texts);
    play_start(&other, in_turn, others);
    snprintf(there, sizeof there, REDIRECT("307", "%s/x"), other.url);
    snprintf(back, sizeof back, REDIRECT("307", "%s/y"), server.url);
    const cease_http_call call = {.size = sizeof call, .url = server.url, .headers = headers};
    CHECK_OK(cease_http_client_do(root(), c, &call, &reply));
    cease_http_reply_deinit(&reply);
    CHECK_HAS(server.request[0], "secret");
    CHECK_HAS(server.request[0], "Host: virtual.example\r\n");
    CHECK_HAS_NOT(other.request[0], "secret");
    CHECK_HAS_NOT(other.request[0], "virtual");
    CHECK_HAS(other.request[0], "X-Kept: kept\r\n");
    CHECK_HAS_NOT(server.request[1], "secret"); /* also when it leads back */
    cease_http_client_free(c);
    play_stop(&other);
    play_stop(&server);
}

TEST(redirect_ofAPost_becomesAGetOrKeepsItsBody)
{
    static const struct {
        const char *status, *line, *body;
    } rows[] = {{"301", "GET /z HTTP/1.1\r\n", ""},
                {"302", "GET /z HTTP/1.1\r\n", ""},
                {"303", "GET /z HTTP/1.1\r\n", ""},
                {"307", "POST /z HTTP/1.1\r\n", "{}"},
                {"308", "POST /z HTTP/1.1\r\n", "{}"},
                {"300", NULL, NULL},
                {"304", NULL, NULL}};
    const cease_http_header headers[] = {{"Content-Type", "application/json"}, {NULL, NULL}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        static char first[200];
        static const char *texts[] = {first, ok};
        cease_http_client *c = client_new();
        cease_http_reply reply = {0};
        snprintf(first, sizeof first, REDIRECT("%s", "/z"), rows[i].status);
        play_start(&server, in_turn, texts);
        const cease_http_call call = {.size = sizeof call,
                                      .url = server.url,
                                      .headers = headers,
                                      .body = "{}",
                                      .body_size = 2};
        CHECK_OK(cease_http_client_do(root(), c, &call, &reply));
        CHECK_EQ(reply.status, rows[i].line ? 200 : atoi(rows[i].status));
        cease_http_reply_deinit(&reply);
        if (rows[i].line) {
            CHECK_HAS(server.request[1], rows[i].line);
            CHECK_STR(strstr(server.request[1], "\r\n\r\n") + 4, rows[i].body);
            CHECK_EQ(strstr(server.request[1], "Content-Type") != NULL, rows[i].body[0] != '\0');
        }
        cease_http_client_free(c);
        play_stop(&server);
    }
}

static cease_error no_more(cease_ctx *ctx, void *arg, void *buf, size_t size, size_t *ret_count)
{
    (void)ctx, (void)arg, (void)buf, (void)size, (void)ret_count;
    return CEASE_EOF;
}

TEST(redirect_thatCannotBeFollowed_isTheAnswerOrAnError)
{
    static const char *const bad[] = {"ftp://a/", "http://a b/", "http://u@a/", "mailto:x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        static char text[200];
        cease_http_client *c = client_new();
        cease_http_reply reply = {0};
        snprintf(text, sizeof text, REDIRECT("302", "%s"), bad[i]);
        play_start(&server, play_always, text);
        const cease_http_call call = {.size = sizeof call, .url = server.url};
        CHECK_ERR(cease_http_client_do(root(), c, &call, &reply), CEASE_EPROTO);
        cease_http_client_free(c);
        play_stop(&server);
    }
    cease_http_client *c = client_new();
    cease_http_reply reply = {0};
    play_start(&server, play_always, (void *)(uintptr_t)REDIRECT("307", "/again"));
    cease_http_call call = {.size = sizeof call, .url = server.url};
    CHECK_ERR(cease_http_client_do(root(), c, &call, &reply), CEASE_EPROTO); /* a loop */
    CHECK_EQ(loaded(&server.requests), 11);
    call.body_read = no_more; /* and no rewind */
    CHECK_OK(cease_http_client_do(root(), c, &call, &reply));
    CHECK_EQ(reply.status, 307);
    CHECK_STR(reply.body, "body");
    cease_http_reply_deinit(&reply);
    cease_http_client_free(c);
    cease_http_client_opts opts = {
        .size = sizeof opts, .proxy = "", .redirect_max = CEASE_HTTP_NO_REDIRECTS};
    c = cease_http_client_new(&opts);
    call.body_read = NULL;
    CHECK_OK(cease_http_client_do(root(), c, &call, &reply));
    CHECK_EQ(reply.status, 307);
    cease_http_reply_deinit(&reply);
    cease_http_client_free(c);
    play_stop(&server);
}

/* ---- gzip ---- */

static size_t pack(const void *data, size_t size, unsigned char *ret, size_t room)
{
    z_stream z = {0};
    CHECK_EQ(deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)data;
    z.avail_in = (uInt)size;
    z.next_out = ret;
    z.avail_out = (uInt)room;
    CHECK_EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
    size = room - z.avail_out;
    deflateEnd(&z);
    return size;
}

struct packed {
    unsigned char data[64 * 1024];
    size_t size;
    const char *coding;
    bool chunked;
};

static void say_packed(cease_ctx *ctx, struct play *p, cease_conn *c, int index)
{
    const struct packed *z = p->arg;
    char head[200];
    (void)index;
    while (play_hear(ctx, p, c)) {
        if (!z->chunked) {
            snprintf(head, sizeof head,
                     "HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %zu\r\n\r\n",
                     z->coding, z->size);
            play_say(ctx, c, head);
            cease_conn_write(ctx, c, z->data, z->size, NULL);
            continue;
        }
        snprintf(head, sizeof head,
                 "HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nTransfer-Encoding: chunked\r\n\r\n",
                 z->coding);
        play_say(ctx, c, head);
        for (size_t i = 0; i < z->size; i += 7) {
            size_t n = z->size - i < 7 ? z->size - i : 7;
            snprintf(head, sizeof head, "%zx\r\n", n);
            play_say(ctx, c, head);
            cease_conn_write(ctx, c, z->data + i, n, NULL);
            play_say(ctx, c, "\r\n");
        }
        play_say(ctx, c, "0\r\n\r\n");
    }
}

static struct packed z;

TEST(gzip_inAnyFraming_isUnpackedAndItsFieldsHidden)
{
    static char text[3000];
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = (char)('a' + i * i % 23);
    }
    z.size = pack(text, 2000, z.data, sizeof z.data);
    z.size += pack(text + 2000, 1000, z.data + z.size, sizeof z.data - z.size); /* two members */
    z.coding = "GZip";
    for (int chunked = 0; chunked < 2; chunked++) {
        z.chunked = chunked;
        cease_http_client *c = client_new();
        play_start(&server, say_packed, &z);
        for (int i = 0; i < 2; i++) {
            cease_http_reply reply = {0};
            const cease_http_call call = {.size = sizeof call, .url = server.url};
            CHECK_OK(cease_http_client_do(root(), c, &call, &reply));
            CHECK_EQ(reply.body_size, sizeof text);
            CHECK(memcmp(reply.body, text, sizeof text) == 0);
            CHECK_PTR(cease_http_reply_header(&reply, "Content-Encoding"), NULL);
            CHECK_PTR(cease_http_reply_header(&reply, "Content-Length"), NULL);
            cease_http_reply_deinit(&reply);
        }
        CHECK_HAS(server.request[0], "Accept-Encoding: gzip\r\n");
        CHECK_EQ(loaded(&server.connections), 1);
        cease_http_client_free(c);
        play_stop(&server);
    }
}

TEST(gzip_theCallerAskedForItself_isLeftAlone)
{
    const cease_http_header headers[] = {{"accept-encoding", "gzip"}, {NULL, NULL}};
    cease_http_client *c = client_new();
    cease_http_reply reply = {0};
    z.size = pack("x", 1, z.data, sizeof z.data);
    z.coding = "gzip";
    z.chunked = false;
    play_start(&server, say_packed, &z);
    const cease_http_call call = {.size = sizeof call, .url = server.url, .headers = headers};
    CHECK_OK(cease_http_client_do(root(), c, &call, &reply));
    CHECK_EQ(reply.body_size, z.size);
    CHECK_STR(cease_http_reply_header(&reply, "Content-Encoding"), "gzip");
    CHECK_HAS_NOT(server.request[0], "Accept-Encoding: gzip");
    cease_http_reply_deinit(&reply);
    cease_http_client_free(c);
    play_stop(&server);
}

/* What becomes of z as it is now; each time by another server, since z changes. */
static cease_error ask_packed(uint64_t reply_max, size_t *ret_size)
{
    cease_http_client *c = client_new();
    cease_http_reply reply = {0};
    play_start(&server, say_packed, &z);
    const cease_http_call call = {
        .size = sizeof call, .url = server.url, .reply_max = (size_t)reply_max};
    cease_error e = cease_http_client_do(root(), c, &call, &reply);
    *ret_size = reply.body_size;
    cease_http_reply_deinit(&reply);
    cease_http_client_free(c);
    play_stop(&server);
    return e;
}

TEST(gzip_bombsAndLies_areBounded)
{
    enum { BOMB = 16 * 1024 * 1024 };
    char *zeroes = calloc(1, BOMB);
    size_t size = 0;
    CHECK(zeroes != NULL);
    z.coding = "gzip";
    z.chunked = false;
    z.size = pack(zeroes, BOMB, z.data, sizeof z.data);
    free(zeroes);
    CHECK_ERR(ask_packed(BOMB - 1, &size), CEASE_EMSGSIZE);
    CHECK_OK(ask_packed(BOMB, &size));
    CHECK_EQ(size, BOMB);
    size_t whole = pack("some text", 9, z.data, sizeof z.data);
    for (z.size = 1; z.size < whole; z.size++) { /* cut off, with a length that says otherwise */
        CHECK_ERR(ask_packed(0, &size), CEASE_EPROTO);
    }
    z.data[whole] = 'x'; /* something behind it */
    z.size = whole + 1;
    CHECK_ERR(ask_packed(0, &size), CEASE_EPROTO);
    z.size = whole;
    z.data[whole - 5] ^= 1; /* its length */
    CHECK_ERR(ask_packed(0, &size), CEASE_EPROTO);
}

/* ---- bodies both ways, against our own server ---- */

static struct rig rig;
enum { MUCH = 6 * 1000 * 1000 };

static unsigned char byte_at(size_t i)
{
    return (unsigned char)(i * 31 + i / 997);
}

struct much {
    size_t at, size;
    cease_error end; /* what comes after the last byte */
};

static cease_error read_much(cease_ctx *ctx, void *arg, void *buf, size_t size, size_t *ret_count)
{
    struct much *m = arg;
    unsigned char *p = buf;
    (void)ctx;
    if (m->at == m->size) {
        return m->end;
    }
    size_t n = m->size - m->at < size ? m->size - m->at : size;
    for (size_t i = 0; i < n; i++) {
        p[i] = byte_at(m->at + i);
    }
    m->at += n;
    *ret_count = n;
    return CEASE_OK;
}

static cease_error refuse(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                          void *arg)
{
    (void)ctx, (void)req, (void)arg;
    return cease_http_response_status(res, 403);
}

static void start_rig(void)
{
    rig_init(&rig, NULL);
    const cease_http_route route = {
        .size = sizeof route, .pattern = "/echo", .fn = handle_echo, .body_max = UINT64_C(1) << 40};
    CHECK_OK(cease_http_server_add(rig.server, &route));
    CHECK_OK(cease_http_server_route(rig.server, NULL, "/refuse", refuse, NULL));
    rig_start(&rig);
}

static void check_echo(cease_http_client *c, const cease_http_call *call)
{
    cease_http_answer *a;
    static unsigned char buf[10000];
    size_t total = 0;
    size_t n = 0;
    cease_error e;
    CHECK_OK(cease_http_client_open(root(), c, call, &a));
    CHECK_EQ(cease_http_answer_status(a), 200);
    while ((e = cease_http_answer_read(root(), a, buf, sizeof buf, &n)) == CEASE_OK) {
        for (size_t i = 0; i < n; i++) {
            if (buf[i] != byte_at(total + i)) {
                CHECK_EQ(buf[i], byte_at(total + i));
            }
        }
        total += n;
    }
    CHECK_ERR(e, CEASE_EOF);
    CHECK_EQ(total, MUCH);
    cease_http_answer_close(a);
}

/* More than all socket buffers together: nobody may wait for the other to finish. */
TEST(bodies_ofAnySize_goBothWaysAtOnce)
{
    char url[100];
    start_rig();
    snprintf(url, sizeof url, "%s/echo", rig.url);
    cease_http_client *c = client_new();
    for (int i = 0; i < 3; i++) {
        bool known = i == 2; /* our server then says that it closes, before it has read it all */
        struct much m = {.size = MUCH, .end = CEASE_EOF};
        const cease_http_call call = {.size = sizeof call,
                                      .url = url,
                                      .method = "PUT",
                                      .body_read = read_much,
                                      .body_arg = &m,
                                      .body_length = known ? MUCH : 0};
        check_echo(c, &call);
        CHECK_EQ(counts_of(c).dials_total, 1);
    }
    unsigned char *body = malloc(MUCH);
    CHECK(body != NULL);
    for (size_t i = 0; i < MUCH; i++) {
        body[i] = byte_at(i);
    }
    const cease_http_call call = {.size = sizeof call, .url = url, .body = body, .body_size = MUCH};
    check_echo(c, &call);
    check_echo(c, &call);
    free(body);
    cease_http_client_free(c);
    rig_stop(&rig);
}

TEST(body_thatFails_endsTheRequestWithItsError)
{
    static const struct {
        uint64_t length;
        cease_error end, expected;
    } rows[] = {{0, CEASE_EIO, CEASE_EIO},
                {MUCH, CEASE_EIO, CEASE_EIO},
                {MUCH + 1, CEASE_EOF, CEASE_EINVAL},
                {MUCH - 1, CEASE_EOF, CEASE_EINVAL}};
    char url[100];
    start_rig();
    snprintf(url, sizeof url, "%s/echo", rig.url);
    cease_http_client *c = client_new();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct much m = {.size = MUCH, .end = rows[i].end};
        cease_http_reply reply = {0};
        const cease_http_call call = {.size = sizeof call,
                                      .url = url,
                                      .body_read = read_much,
                                      .body_arg = &m,
                                      .body_length = rows[i].length};
        CHECK_ERR(cease_http_client_do(root(), c, &call, &reply), rows[i].expected);
        CHECK_EQ(counts_of(c).idle, 0);
    }
    cease_http_client_free(c);
    rig_stop(&rig);
}

/* ---- 100 Continue ---- */

static int bodies; /* atomic: how often a body was asked for */

static cease_error read_four(cease_ctx *ctx, void *arg, void *buf, size_t size, size_t *ret_size)
{
    (void)ctx;
    (void)size;
    if ((*(int *)arg)++ > 0) {
        return CEASE_EOF;
    }
    __atomic_add_fetch(&bodies, 1, __ATOMIC_SEQ_CST);
    memcpy(buf, "four", *ret_size = 4);
    return CEASE_OK;
}

/* Reads until `end`; false: the client has gone. */
static bool hear_until(cease_ctx *ctx, cease_conn *c, const char *end)
{
    char text[4096] = "";
    size_t size = 0;
    while (!strstr(text, end)) {
        size_t n = 0;
        if (cease_conn_read(ctx, c, text + size, 1, &n) != CEASE_OK) {
            return false;
        }
        text[size += n] = '\0';
    }
    return true;
}

/* Says p->arg (NULL: nothing) to each head that asks, then takes a body of "four" and answers. */
static void welcome(cease_ctx *ctx, struct play *p, cease_conn *c, int index)
{
    (void)index;
    while (hear_until(ctx, c, "\r\nExpect: 100-continue\r\n") && hear_until(ctx, c, "\r\n\r\n")) {
        if (p->arg) {
            play_say(ctx, c, p->arg);
        }
        if (hear_until(ctx, c, "four")) {
            play_say(ctx, c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    }
}

/* Asks before a body of memory, then of a function, is sent; the status of both. */
static void check_asks(const char *says, int want, int want_bodies)
{
    cease_http_reply reply = {0};
    int at = 0;
    __atomic_store_n(&bodies, 0, __ATOMIC_SEQ_CST);
    play_start(&server, welcome, (void *)(uintptr_t)says);
    cease_http_client *c = client_new();
    cease_http_call call = {.size = sizeof call,
                            .url = server.url,
                            .body = "four",
                            .body_size = 4,
                            .expect_continue = true};
    CHECK_OK(cease_http_client_do(root(), c, &call, &reply));
    CHECK_EQ(reply.status, want);
    cease_http_reply_deinit(&reply);
    CHECK_EQ(counts_of(c).idle, want_bodies); /* half a request ends its connection */
    call.body = NULL;
    call.body_read = read_four;
    call.body_arg = &at;
    call.body_length = 4;
    CHECK_OK(cease_http_client_do(root(), c, &call, &reply));
    CHECK_EQ(reply.status, want);
    cease_http_reply_deinit(&reply);
    CHECK_EQ(loaded(&bodies), want_bodies);
    cease_http_client_free(c);
    play_stop(&server);
}

TEST(expect_body_isSentWhenItIsWelcomeOrNobodyAnswers)
{
    check_asks("HTTP/1.1 100 Continue\r\n\r\n", 200, 1);
    check_asks("HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n", 200, 1);
    check_asks(NULL, 200, 1);
}

TEST(expect_refusedByTheHead_neverSendsTheBody)
{
    check_asks("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", 403, 0);
    check_asks("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno", 417, 0);
}

static void goes_when_asked(cease_ctx *ctx, struct play *p, cease_conn *c, int index)
{
    (void)p;
    (void)index;
    hear_until(ctx, c, "\r\n\r\n");
}

TEST(expect_serverOrContextEnds_isThatError)
{
    cease_http_reply reply = {0};
    cease_canceler *stop;
    play_start(&server, goes_when_asked, NULL);
    cease_http_client *c = client_new();
    const cease_http_call call = {.size = sizeof call,
                                  .url = server.url,
                                  .body = "four",
                                  .body_size = 4,
                                  .expect_continue = true};
    cease_error e = cease_http_client_do(root(), c, &call, &reply);
    CHECK(e == CEASE_EPROTO || e == CEASE_ECONNRESET);
    play_stop(&server);
    play_start(&server, welcome, NULL);
    const cease_http_call again = {.size = sizeof call,
                                   .url = server.url,
                                   .body = "four",
                                   .body_size = 4,
                                   .expect_continue = true};
    cease_ctx *ctx = cease_with_timeout(root(), cease_ms(20), &stop);
    CHECK_ERR(cease_http_client_do(ctx, c, &again, &reply), CEASE_EDEADLINE);
    cease_end(stop);
    cease_http_client_free(c);
    play_stop(&server);
}

/* Never ends by itself. */
static cease_error read_forever(cease_ctx *ctx, void *arg, void *buf, size_t size,
                                size_t *ret_count)
{
    (void)arg;
    memset(buf, 'x', size);
    *ret_count = size;
    return cease_err(ctx);
}

TEST(answer_beforeTheBodyIsSent_isTakenAndTheRestCancelled)
{
    char url[100];
    start_rig();
    snprintf(url, sizeof url, "%s/refuse", rig.url);
    cease_http_client *c = client_new();
    cease_http_answer *a;
    const cease_http_call call = {.size = sizeof call, .url = url, .body_read = read_forever};
    cease_error e = cease_http_client_open(root(), c, &call, &a);
    /* the server closes while we write: the answer may have been lost to the reset */
    CHECK(e == CEASE_OK || e == CEASE_ECONNRESET || e == CEASE_EPIPE || e == CEASE_EPROTO);
    if (e == CEASE_OK) {
        CHECK_EQ(cease_http_answer_status(a), 403);
        cease_http_answer_close(a);
    }
    CHECK_EQ(counts_of(c).idle, 0);
    cease_http_client_free(c);
    rig_stop(&rig);
}

TEST(context_endsInTheMiddle_stopsBothBodies)
{
    char url[100];
    char buf[100];
    size_t n;
    start_rig();
    snprintf(url, sizeof url, "%s/echo", rig.url);
    cease_http_client *c = client_new();
    cease_http_answer *a;
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(root(), &stop);
    const cease_http_call call = {.size = sizeof call, .url = url, .body_read = read_forever};
    CHECK_OK(cease_http_client_open(ctx, c, &call, &a));
    CHECK_OK(cease_http_answer_read(ctx, a, buf, sizeof buf, &n));
    cease_cancel(stop);
    CHECK_ERR(cease_http_answer_read(ctx, a, buf, sizeof buf, &n), CEASE_ECANCELED);
    cease_http_answer_close(a);
    struct rig_log log = rig_logged(&rig, 1);
    CHECK(log.cause_code == CEASE_EPEERGONE || log.cause_code == CEASE_EPIPE);
    CHECK_EQ(counts_of(c).idle, 0);
    cease_end(stop);
    cease_http_client_free(c);
    rig_stop(&rig);
}

/* ---- hostile servers ---- */

static cease_error ask(cease_http_client *c, const char *method)
{
    cease_http_reply reply = {0};
    const cease_http_call call = {.size = sizeof call, .url = server.url, .method = method};
    cease_error e = cease_http_client_do(root(), c, &call, &reply);
    cease_http_reply_deinit(&reply);
    return e;
}

TEST(answers_thatCouldBeReadTwoWays_areRefused)
{
    static const char *const rows[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 999 OK\r\n\r\n",
        "HTTP/2 200\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "\x16\x03\x01\x02",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cease_http_client *c = client_new();
        play_start(&server, play_always, (void *)(uintptr_t)rows[i]);
        CHECK_ERR(ask(c, "GET"), CEASE_EPROTO);
        CHECK_EQ(counts_of(c).idle, 0);
        cease_http_client_free(c);
        play_stop(&server);
    }
}

/* p->arg again and again, until the client has had enough. */
static void endless(cease_ctx *ctx, struct play *p, cease_conn *c, int index)
{
    const char *text = p->arg;
    (void)index;
    if (play_hear(ctx, p, c)) {
        play_say(ctx, c, text[0] == 'H' && text[9] == '1' ? "" : "HTTP/1.1 200 OK\r\n");
        while (cease_conn_write(ctx, c, text, strlen(text), NULL) == CEASE_OK) {
        }
    }
}

TEST(heads_withoutEnd_areCutOff)
{
    static const char *const rows[] = {
        "A: b\r\n",
        "aaaaaaaaaaaaaaaa",
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "A:                                                                              \r\n",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cease_http_client *c = client_new();
        play_start(&server, endless, (void *)(uintptr_t)rows[i]);
        CHECK_ERR(ask(c, "GET"), CEASE_EPROTO);
        cease_http_client_free(c);
        play_stop(&server);
    }
}

static const char long_answer[] = "HTTP/1.1 103 Early\r\nA: b\r\n\r\n"
                                  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n"
                                  "2;a=b\r\nok\r\n3\r\n...\r\n0\r\nTrailer: t\r\n\r\n";

enum { LONG = sizeof long_answer - 1 };

/* Connection n gets the first n bytes of an answer, then the end; from LONG on a reset. */
static void cut_off(cease_ctx *ctx, struct play *p, cease_conn *c, int index)
{
    bool reset = index >= LONG;
    char byte;
    size_t n;
    /* what is left unread makes the kernel send a reset */
    bool heard = reset ? cease_conn_read(ctx, c, &byte, 1, &n) == CEASE_OK : play_hear(ctx, p, c);
    if (heard) {
        cease_conn_write(ctx, c, long_answer, (size_t)(index % LONG), NULL);
    }
}

TEST(connections_cutAtEveryByte_giveAnErrorAndAreNotKept)
{
    play_start(&server, cut_off, NULL);
    for (int i = 0; i < 2 * LONG; i++) {
        cease_http_client *c = client_new();
        cease_error e = ask(c, "GET");
        CHECK(e == CEASE_EPROTO || (i >= LONG && (e == CEASE_ECONNRESET || e == CEASE_EPIPE)));
        CHECK_EQ(counts_of(c).idle, 0);
        cease_http_client_free(c);
    }
    play_stop(&server);
}

/* Reads the whole body of one answer; gives the answer. */
static cease_http_answer *read_to_end(cease_http_client *c)
{
    const cease_http_call call = {.size = sizeof call, .url = server.url};
    cease_http_answer *a;
    char buf[7];
    size_t n = 0;
    cease_error e;
    CHECK_OK(cease_http_client_open(root(), c, &call, &a));
    CHECK_PTR(cease_http_answer_trailer(a, "Trailer"), NULL); /* not yet */
    while ((e = cease_http_answer_read(root(), a, buf, sizeof buf, &n)) == CEASE_OK) {
    }
    CHECK_ERR(e, CEASE_EOF);
    return a;
}

static void in_one_piece(cease_ctx *ctx, struct play *p, cease_conn *c, int index)
{
    (void)index;
    while (play_hear(ctx, p, c)) {
        play_say(ctx, c, p->arg);
    }
}

static void byte_by_byte(cease_ctx *ctx, struct play *p, cease_conn *c, int index)
{
    const char *text = p->arg;
    (void)index;
    while (play_hear(ctx, p, c)) {
        for (size_t i = 0; text[i]; i++) {
            cease_conn_write(ctx, c, text + i, 1, NULL);
            cease_yield();
        }
    }
}

TEST(trailers_howeverTheyCome_areThereOnceTheBodyHasEnded)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                               "2\r\nok\r\n3\r\n...\r\n0\r\nTrailer:  t u \r\nEmpty:\r\n\r\n";
    for (int i = 0; i < 2; i++) {
        cease_http_client *c = client_new();
        play_start(&server, i == 0 ? in_one_piece : byte_by_byte, (void *)(uintptr_t)text);
        for (int j = 0; j < 3; j++) {
            cease_http_answer *a = read_to_end(c);
            CHECK_STR(cease_http_answer_trailer(a, "trailer"), "t u");
            CHECK_STR(cease_http_answer_trailer(a, "Trailer"), "t u"); /* again */
            CHECK_STR(cease_http_answer_trailer(a, "Empty"), "");
            CHECK_PTR(cease_http_answer_trailer(a, "Other"), NULL);
            cease_http_answer_close(a);
        }
        CHECK_EQ(loaded(&server.connections), 1);
        cease_http_client_free(c);
        play_stop(&server);
    }
    static char much[6000];
    size_t size = (size_t)snprintf(much, sizeof much,
                                   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: ");
    memset(much + size, 'a', 5000);
    strcpy(much + size + 5000, "\r\n\r\n");
    cease_http_client *c = client_new();
    play_start(&server, byte_by_byte, much);
    CHECK_ERR(ask(c, "GET"), CEASE_EPROTO); /* over 4 KiB */
    cease_http_client_free(c);
    play_stop(&server);
}

/* An answer byte by byte, and its parts in turn. */
static void drop_by_drop(cease_ctx *ctx, struct play *p, cease_conn *c, int index)
{
    (void)index;
    while (play_hear(ctx, p, c)) {
        for (size_t i = 0; i < sizeof long_answer - 1; i++) {
            cease_conn_write(ctx, c, long_answer + i, 1, NULL);
            cease_yield();
        }
    }
}

TEST(answers_dropByDrop_areReadAllTheSame)
{
    cease_http_client *c = client_new();
    play_start(&server, drop_by_drop, NULL);
    for (int i = 0; i < 3; i++) {
        const cease_http_call call = {.size = sizeof call, .url = server.url};
        cease_http_reply reply = {0};
        CHECK_OK(cease_http_client_do(root(), c, &call, &reply));
        CHECK_STR(reply.body, "ok...");
        cease_http_reply_deinit(&reply);
    }
    CHECK_EQ(loaded(&server.connections), 1);
    cease_http_client_free(c);
    play_stop(&server);
}

TEST(head_ofAnAnswerWithManyFields_isReadUpToItsLimit)
{
    enum { FIELDS = 200 };
    static char text[FIELDS * 110 + 200];
    size_t size = (size_t)snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n");
    for (int i = 0; i < FIELDS; i++) {
        size += (size_t)snprintf(text + size, sizeof text - size, "X-%d: %0100d\r\n", i, i);
    }
    snprintf(text + size, sizeof text - size, "\r\nok");
    play_start(&server, play_always, text);
    cease_http_client *c = client_new();
    const cease_http_call call = {.size = sizeof call, .url = server.url};
    cease_http_answer *a;
    const char *name;
    const char *value;
    CHECK_OK(cease_http_client_open(root(), c, &call, &a));
    CHECK_EQ(strtol(cease_http_answer_header(a, "x-199"), NULL, 10), 199);
    CHECK(cease_http_answer_header_at(a, 200, &name, &value));
    CHECK_STR(name, "X-199");
    CHECK(!cease_http_answer_header_at(a, 201, &name, &value));
    cease_http_answer_close(a);
    cease_http_client_free(c);
    cease_http_client_opts opts = {.size = sizeof opts, .proxy = "", .head_max = 8000};
    c = cease_http_client_new(&opts);
    CHECK_ERR(ask(c, "GET"), CEASE_EPROTO);
    cease_http_client_free(c);
    play_stop(&server);
}

/* ---- proxies ---- */

TEST(proxy_ofAPlainUrl_isAskedForTheWholeUrl)
{
    char proxy[200];
    play_start(&server, play_always, (void *)(uintptr_t)ok);
    snprintf(proxy, sizeof proxy, "http://user:pass@%s", server.address);
    cease_http_client_opts opts = {
        .size = sizeof opts, .proxy = proxy, .no_proxy = "nowhere.invalid"};
    cease_http_client *c = cease_http_client_new(&opts);
    static const char *const urls[] = {"http://one.example/a?b", "http://Two.example:8080"};
    for (size_t i = 0; i < 2; i++) {
        cease_http_reply reply = {0};
        const cease_http_call call = {.size = sizeof call, .url = urls[i]};
        CHECK_OK(cease_http_client_do(root(), c, &call, &reply));
        cease_http_reply_deinit(&reply);
    }
    CHECK_HAS(server.request[0], "GET http://one.example/a?b HTTP/1.1\r\nHost: one.example\r\n");
    CHECK_HAS(server.request[0], "Proxy-Authorization: Basic dXNlcjpwYXNz\r\n");
    CHECK_HAS(server.request[1], "GET http://Two.example:8080/ HTTP/1.1\r\n");
    CHECK_EQ(loaded(&server.connections), 1); /* one proxy, one pool */
    cease_http_client_free(c);
    play_stop(&server);
}

static cease_error through_open(cease_ctx *ctx, void *arg, cease_conn *take_conn, const char *host,
                                void **ret_session)
{
    (void)ctx;
    snprintf(arg, 100, "%s", host);
    *ret_session = take_conn;
    return CEASE_OK;
}

static const cease_http_tls through = {NO_TLS, .open = through_open};

TEST(proxy_ofASecureUrl_isAskedForATunnel)
{
    static const char *const texts[] = {"HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n", ok,
                                        ok};
    char host[100];
    play_start(&server, in_turn, (void *)(uintptr_t)texts);
    cease_http_client_opts opts = {
        .size = sizeof opts, .proxy = server.url, .tls = &through, .tls_arg = host};
    cease_http_client *c = cease_http_client_new(&opts);
    for (int i = 0; i < 2; i++) {
        cease_http_reply reply = {0};
        const cease_http_call call = {.size = sizeof call, .url = "https://secret.example/a"};
        CHECK_OK(cease_http_client_do(root(), c, &call, &reply));
        cease_http_reply_deinit(&reply);
    }
    CHECK_STR(host, "secret.example");
    CHECK_STR(server.request[0],
              "CONNECT secret.example:443 HTTP/1.1\r\nHost: secret.example:443\r\n\r\n");
    CHECK_HAS(server.request[1], "GET /a HTTP/1.1\r\nHost: secret.example\r\n");
    CHECK_EQ(loaded(&server.connections), 1);
    cease_http_client_free(c);
    play_stop(&server);
}

TEST(proxy_thatRefusesOrBabbles_isAConnectionRefused)
{
    static const char *const rows[] = {
        "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 502 Bad Gateway\r\n\r\n",
        "HTTP/1.1 302 Found\r\nLocation: http://a/\r\n\r\n",
        "garbage\r\n",
    };
    char host[100];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cease_http_reply reply = {0};
        play_start(&server, play_always, (void *)(uintptr_t)rows[i]);
        cease_http_client_opts opts = {
            .size = sizeof opts, .proxy = server.url, .tls = &through, .tls_arg = host};
        cease_http_client *c = cease_http_client_new(&opts);
        const cease_http_call call = {.size = sizeof call, .url = "https://a.example/"};
        CHECK_ERR(cease_http_client_do(root(), c, &call, &reply), CEASE_ECONNREFUSED);
        cease_http_client_free(c);
        play_stop(&server);
    }
    play_start(&server, endless, (void *)(uintptr_t) "A: b\r\n");
    cease_http_client_opts opts = {
        .size = sizeof opts, .proxy = server.url, .tls = &through, .tls_arg = host};
    cease_http_client *c = cease_http_client_new(&opts);
    cease_http_reply reply = {0};
    const cease_http_call call = {.size = sizeof call, .url = "https://a.example/"};
    CHECK_ERR(cease_http_client_do(root(), c, &call, &reply), CEASE_ECONNREFUSED);
    cease_http_client_free(c);
    play_stop(&server);
}

TEST(redirect_fromSecureToPlain_isNotFollowed)
{
    char url[200];
    char host[100];
    cease_http_reply reply = {0};
    play_start(&server, play_always, (void *)(uintptr_t)REDIRECT("302", "http://127.0.0.1:1/"));
    snprintf(url, sizeof url, "https://%s/", server.address);
    cease_http_client_opts opts = {
        .size = sizeof opts, .proxy = "", .tls = &through, .tls_arg = host};
    cease_http_client *c = cease_http_client_new(&opts);
    const cease_http_call call = {.size = sizeof call, .url = url};
    CHECK_OK(cease_http_client_do(root(), c, &call, &reply));
    CHECK_EQ(reply.status, 302);
    cease_http_reply_deinit(&reply);
    cease_http_client_free(c);
    play_stop(&server);
}

/* ---- hedging ---- */

/* Hears, and says nothing until the client goes. */
static void silent(cease_ctx *ctx, struct play *p, cease_conn *c, int index)
{
    (void)index;
    while (play_hear(ctx, p, c)) {
    }
}

TEST(hedge_theFirstIsSlow_theSecondWinsAndTheFirstIsCancelled)
{
    cease_http_client *c = client_new();
    cease_http_reply reply = {0};
    size_t index = 9;
    play_start(&server, silent, NULL);
    play_start(&other, play_always, (void *)(uintptr_t)ok);
    const cease_http_call calls[] = {{.size = sizeof *calls, .url = server.url},
                                     {.size = sizeof *calls, .url = other.url}};
    CHECK_OK(cease_http_client_hedge(root(), c, calls, 2, cease_ms(1), &reply, &index));
    CHECK_EQ(index, 1);
    CHECK_STR(reply.body, "ok");
    cease_http_reply_deinit(&reply);
    CHECK_EVENTUALLY(loaded(&server.ended) == loaded(&server.connections)); /* it was told */
    CHECK_EQ(counts_of(c).busy, 0);
    cease_http_client_free(c);
    play_stop(&other);
    play_stop(&server);
}

TEST(hedge_failures_beginTheNextAtOnceAndTheLastStatusIsTheResult)
{
    static const char busy[] = "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy";
    cease_http_client *c = client_new();
    cease_http_reply reply = {0};
    size_t index = 9;
    play_start(&server, play_always, (void *)(uintptr_t)busy);
    play_start(&other, play_always, (void *)(uintptr_t)ok);
    const cease_http_call good[] = {{.size = sizeof *good, .url = "http://127.0.0.1:1/"},
                                    {.size = sizeof *good, .url = server.url},
                                    {.size = sizeof *good, .url = other.url}};
    CHECK_OK(cease_http_client_hedge(root(), c, good, 3, CEASE_FOREVER, &reply, &index));
    CHECK_EQ(index, 2);
    cease_http_reply_deinit(&reply);
    CHECK_OK(cease_http_client_hedge(root(), c, good, 2, CEASE_FOREVER, &reply, &index));
    CHECK_EQ(index, 1);
    CHECK_EQ(reply.status, 503);
    cease_http_reply_deinit(&reply);
    CHECK_ERR(cease_http_client_hedge(root(), c, good, 1, CEASE_FOREVER, &reply, &index),
              CEASE_ECONNREFUSED);
    CHECK_ERR(cease_http_client_hedge(root(), c, good, 0, CEASE_FOREVER, &reply, &index),
              CEASE_EINVAL);
    CHECK_ERR(cease_http_client_hedge(root(), c, good, 17, CEASE_FOREVER, &reply, &index),
              CEASE_EINVAL);
    cease_http_client_free(c);
    play_stop(&other);
    play_stop(&server);
}

TEST(hedge_itsContextEnds_stopsThemAll)
{
    cease_http_client *c = client_new();
    cease_http_reply reply = {0};
    play_start(&server, silent, NULL);
    const cease_http_call calls[] = {{.size = sizeof *calls, .url = server.url},
                                     {.size = sizeof *calls, .url = server.url}};
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(root(), cease_ms(30), &stop);
    CHECK_ERR(cease_http_client_hedge(ctx, c, calls, 2, cease_ms(1), &reply, NULL),
              CEASE_EDEADLINE);
    CHECK_EQ(counts_of(c).busy, 0);
    CHECK_EQ(counts_of(c).waiting, 0);
    cease_end(stop);
    cease_http_client_free(c);
    play_stop(&server);
}

/* ---- torture ---- */

/* Two calls with a redirect, a body of a function and gzip among them. */
static cease_error scenario(cease_ctx *ctx, cease_http_client *c)
{
    struct much m = {.size = 40000, .end = CEASE_EOF};
    cease_http_reply reply = {0};
    char body[5000];
    memset(body, 'b', sizeof body);
    cease_http_call call = {
        .size = sizeof call, .url = server.url, .body = body, .body_size = 10, .method = "PUT"};
    cease_error e = cease_http_client_do(ctx, c, &call, &reply);
    CHECK(e != CEASE_OK || reply.status == 200);
    cease_http_reply_deinit(&reply);
    if (e == CEASE_OK) {
        call = (cease_http_call){.size = sizeof call,
                                 .url = other.url,
                                 .body_read = read_much,
                                 .body_arg = &m,
                                 .body_length = 100};
        m.size = 100;
        e = cease_http_client_do(ctx, c, &call, &reply);
        CHECK(e != CEASE_OK || reply.body_size == 1000);
        cease_http_reply_deinit(&reply);
    }
    return e;
}

/* A redirect, or the answer, by the path. */
static void redirect_or_answer(cease_ctx *ctx, struct play *p, cease_conn *c, int index)
{
    (void)index;
    for (;;) {
        char head[2000];
        size_t size = 0;
        size_t n;
        head[0] = '\0';
        while (!strstr(head, "\r\n\r\n") || !strstr(head, "bbbbbbbbbb")) {
            if (size + 1 == sizeof head ||
                cease_conn_read(ctx, c, head + size, sizeof head - 1 - size, &n) != CEASE_OK) {
                return;
            }
            size += n;
            head[size] = '\0';
        }
        play_say(ctx, c, strncmp(head, "PUT / ", 6) == 0 ? p->arg : ok);
    }
}

static void start_scenario(void)
{
    static char zeroes[1000];
    z.coding = "gzip";
    z.chunked = true;
    z.size = pack(zeroes, sizeof zeroes, z.data, sizeof z.data);
    play_start(&server, redirect_or_answer, (void *)(uintptr_t)REDIRECT("307", "/there"));
    play_start(&other, say_packed, &z);
}

static cease_error cancelled_scenario(cease_ctx *ctx, void *arg)
{
    (void)arg;
    cease_http_client *c = client_new();
    start_scenario();
    cease_error e = scenario(ctx, c);
    cease_http_client_free(c);
    play_stop(&server);
    play_stop(&other);
    return e;
}

TEST(scenario_cancelledAtEveryWait_leavesNothing)
{
    CHECK_OK(cease_test_each_cancel(NULL, cancelled_scenario, NULL));
}

TEST(scenario_everyAllocationFailing_leavesNothing)
{
    start_scenario();
    HARNESS_EACH_ALLOC_FAILS(n)
    {
        cease_http_client_opts opts = {.size = sizeof opts, .proxy = "", .no_proxy = "x"};
        cease_http_client *c = cease_http_client_new(&opts);
        cease_error e = c ? scenario(root(), c) : CEASE_ENOMEM;
        if (!(e == CEASE_OK || e == CEASE_ENOMEM || e == CEASE_EAGAIN || e == CEASE_EPROTO ||
              e == CEASE_ECONNRESET || e == CEASE_EPIPE || e == CEASE_ECANCELED)) {
            CHECK_OK(e);
        }
        cease_http_client_free(c);
    }
    play_stop(&server);
    play_stop(&other);
}
