/* pooled_test.c: out to break HTTP/2 in the client that keeps its connections: who shares one and who does not, what a
 * server refuses, resets or says goodbye to, and what is tried again. TLS is pretended: its table hands bytes through
 * and says what was agreed on. Our server, and one that is frames by hand. */
#include "peer.h"

#include "../http/handlers.h"
#include "../http/no_tls.h"

#include <arpa/inet.h>
#include <cease/http2.h>
#include <cease/http_client.h>
#include <cease/http_files.h>
#include <cease/test.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static cease_ctx *root(void)
{
    return cease_background();
}

/* ---- the table that pretends ---- */

static const char *agreed = "h2";

static cease_error pretend_open(cease_ctx *ctx, void *arg, cease_conn *take_conn, const char *host,
                                void **ret_session)
{
    (void)ctx;
    (void)arg;
    (void)host;
    *ret_session = take_conn;
    return CEASE_OK;
}

static const char *pretend_alpn(void *session)
{
    (void)session;
    return agreed;
}

static const cease_http_tls pretended = {NO_TLS, .open = pretend_open, .duplex = true,
                                         .alpn = pretend_alpn};

static cease_http_client *client_of(const cease_http_multiplex *multiplex, uint32_t connection_max)
{
    const cease_http_client_opts opts = {.size = sizeof opts,
                                         .proxy = "",
                                         .tls = &pretended,
                                         .multiplex = multiplex,
                                         .connection_max = connection_max};
    cease_http_client *c = cease_http_client_new(&opts);
    CHECK(c != NULL);
    return c;
}

static cease_http_client *client_new(void)
{
    return client_of(cease_http2(), 0);
}

static cease_http_client_counts counts_of(cease_http_client *c)
{
    cease_http_client_counts counts;
    cease_http_client_count(c, &counts);
    return counts;
}

/* ---- against our server ---- */

/* Handlers that answer when `wanted` of them are there. */
static struct {
    int wanted, there; /* there: atomic */
    cease_chan *all;
} meeting;

static cease_error meet(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                        void *arg)
{
    char waste;
    (void)req;
    (void)arg;
    if (__atomic_add_fetch(&meeting.there, 1, __ATOMIC_SEQ_CST) == meeting.wanted) {
        cease_chan_close(meeting.all);
    }
    CHECK_ERR(cease_chan_recv(ctx, meeting.all, &waste), CEASE_ECLOSED);
    return cease_http_response_write(ctx, res, "met", 3);
}

static cease_error until_end(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                             void *arg)
{
    int code = 0; /* it has begun */
    (void)req;
    (void)res;
    CHECK_OK(cease_chan_send(root(), arg, &code));
    cease_error e = cease_wait(ctx);
    code = cease_cause_of(ctx)->code;
    CHECK_OK(cease_chan_send(root(), arg, &code));
    return e;
}

/* Answers once a request to /end has begun. */
static cease_error after_it(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                            void *arg)
{
    int code;
    (void)req;
    cease_error e = cease_chan_recv(ctx, arg, &code);
    return e == CEASE_OK ? cease_http_response_write(ctx, res, "after", 5) : e;
}

/* Says what the request said. */
static cease_error tell(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                        void *arg)
{
    const char *name;
    const char *value;
    cease_error e = cease_http_response_print(ctx, res, "%s %s\n", cease_http_request_method(req),
                                              cease_http_request_target(req));
    (void)arg;
    for (size_t i = 0; e == CEASE_OK && cease_http_request_header_at(req, i, &name, &value); i++) {
        e = cease_http_response_print(ctx, res, "%s: %s\n", name, value);
    }
    return e;
}

static cease_error send_away(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                             void *arg)
{
    char to[128];
    (void)ctx;
    const char *where = cease_http_request_query(req);
    snprintf(to, sizeof to, "%s%s", (const char *)arg, where);
    cease_http_response_status(res, 307);
    return cease_http_response_header(res, "Location", to);
}

static cease_error nothing(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                           void *arg)
{
    (void)ctx;
    (void)req;
    (void)arg;
    cease_http_response_status(res, 204);
    return CEASE_OK;
}

static cease_error big(cease_ctx *ctx, cease_http_request *req, cease_http_response *res, void *arg)
{
    static char text[20000];
    (void)req;
    (void)arg;
    memset(text, 'g', sizeof text);
    cease_error e = cease_http_response_header(res, "Content-Type", "text/plain");
    CHECK_OK(cease_http_response_trailer(res, "X-Sum", "20000 g"));
    return e == CEASE_OK ? cease_http_response_write(ctx, res, text, sizeof text) : e;
}

struct site {
    struct rig r;
    cease_chan *ended; /* of /end: an int each */
    char url[100];     /* "https://127.0.0.1:port" */
};

static void site_start(struct site *s, uint32_t stream_max)
{
    const cease_http2_opts opts = {.size = sizeof opts, .stream_max = stream_max};
    rig_init(&s->r, NULL);
    s->ended = cease_chan_new(sizeof(int), 16);
    CHECK_OK(cease_http2_enable(s->r.server, &opts));
    CHECK_OK(cease_http_server_use(s->r.server, cease_http_compress, NULL));
    CHECK_OK(cease_http_server_route(s->r.server, "GET", "/", handle_hello, NULL));
    CHECK_OK(cease_http_server_route(s->r.server, "GET", "/big", big, NULL));
    CHECK_OK(cease_http_server_route(s->r.server, NULL, "/echo", handle_echo, NULL));
    CHECK_OK(cease_http_server_route(s->r.server, "GET", "/meet", meet, NULL));
    CHECK_OK(cease_http_server_route(s->r.server, "GET", "/end", until_end, s->ended));
    CHECK_OK(cease_http_server_route(s->r.server, "GET", "/after", after_it, s->ended));
    CHECK_OK(cease_http_server_route(s->r.server, NULL, "/tell", tell, NULL));
    CHECK_OK(cease_http_server_route(s->r.server, "GET", "/nothing", nothing, NULL));
    CHECK_OK(cease_http_server_route(s->r.server, NULL, "/away", send_away, s->url));
    rig_start(&s->r);
    snprintf(s->url, sizeof s->url, "https://127.0.0.1:%d", s->r.port);
}

static void site_stop(struct site *s)
{
    rig_stop(&s->r);
    cease_chan_unref(s->ended);
}

/* One call; gives the status, or the error, and the body as text. */
static int ask(cease_ctx *ctx, cease_http_client *c, const cease_http_call *call, char *ret,
               size_t size)
{
    cease_http_reply reply = {0};
    cease_error e = cease_http_client_do(ctx, c, call, &reply);
    int status = e == CEASE_OK ? reply.status : (int)e;
    if (ret) {
        snprintf(ret, size, "%s", e == CEASE_OK ? reply.body : "");
    }
    cease_http_reply_deinit(&reply);
    return status;
}

static int get(cease_ctx *ctx, cease_http_client *c, const char *site, const char *path)
{
    char url[200];
    const cease_http_call call = {.size = sizeof call, .url = url};
    snprintf(url, sizeof url, "%s%s", site, path);
    return ask(ctx, c, &call, NULL, 0);
}

struct asking {
    cease_http_client *c;
    const char *site, *path;
    int status;
};

static cease_error ask_task(cease_ctx *ctx, void *arg)
{
    struct asking *a = arg;
    a->status = get(ctx, a->c, a->site, a->path);
    return CEASE_OK;
}

/* So many at once; all must succeed. */
static void meet_all(cease_http_client *c, const char *site, int count)
{
    struct asking *a = calloc((size_t)count, sizeof *a);
    cease_group *g = cease_group_new(root(), NULL);
    meeting.wanted = count;
    meeting.there = 0;
    meeting.all = cease_chan_new(1, 0);
    for (int i = 0; i < count; i++) {
        a[i] = (struct asking){.c = c, .site = site, .path = "/meet"};
        CHECK_OK(cease_group_go(g, ask_task, &a[i]));
    }
    CHECK_OK(cease_group_wait(g));
    for (int i = 0; i < count; i++) {
        CHECK_EQ(a[i].status, 200);
    }
    cease_group_free(g);
    cease_chan_unref(meeting.all);
    free(a);
}

TEST(calls_atOnceAndInTurn_shareOneConnection)
{
    struct site s;
    site_start(&s, 0);
    cease_http_client *c = client_new();
    meet_all(c, s.url, 64); /* all of them are there before one is answered */
    CHECK_EQ(counts_of(c).dials_total, 1);
    CHECK_EVENTUALLY(counts_of(c).idle == 1);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(get(root(), c, s.url, "/"), 200);
    }
    cease_http_client_counts n = counts_of(c);
    CHECK_EQ(n.dials_total, 1);
    CHECK_EQ(n.reused_total, 66);
    CHECK_EQ(n.idle, 1);
    CHECK_EQ(n.busy, 0);
    CHECK_EQ(rig_counts(&s.r).connections_total, 1);
    cease_http_client_free(c);
    site_stop(&s);
}

TEST(calls_aboveWhatTheServerTakes_haveMoreConnections)
{
    struct site s;
    site_start(&s, 4);
    cease_http_client *c = client_new();
    meet_all(c, s.url, 12);
    CHECK_EQ(counts_of(c).dials_total, 3);
    CHECK_EVENTUALLY(counts_of(c).busy == 0);
    meet_all(c, s.url, 12);
    CHECK_EQ(counts_of(c).dials_total, 3);
    cease_http_client_free(c);
    site_stop(&s);
}

TEST(calls_aboveTheConnections_waitForOneThatLeaves)
{
    struct site s;
    int code;
    site_start(&s, 2);
    cease_http_client *c = client_of(cease_http2(), 1);
    CHECK_EQ(get(root(), c, s.url, "/"), 200);
    struct asking a[3];
    cease_canceler *stop[3];
    cease_group *g[3];
    for (int i = 0; i < 3; i++) {
        a[i] = (struct asking){.c = c, .site = s.url, .path = i < 2 ? "/end" : "/"};
        g[i] = cease_group_new(cease_with_cancel(root(), &stop[i]), NULL);
        CHECK_OK(cease_group_go(g[i], ask_task, &a[i]));
        if (i < 2) {
            CHECK_OK(cease_chan_recv(root(), s.ended, &code));
        }
    }
    CHECK_EVENTUALLY(counts_of(c).waiting == 1);
    cease_cancel(stop[0]);
    CHECK_OK(cease_chan_recv(root(), s.ended, &code));
    CHECK_EQ(code, 8); /* CANCEL: of that one alone */
    CHECK_OK(cease_group_wait(g[2]));
    CHECK_EQ(a[2].status, 200);
    cease_cancel(stop[1]);
    for (int i = 0; i < 3; i++) {
        cease_group_wait(g[i]);
        cease_group_free(g[i]);
        cease_end(stop[i]);
    }
    CHECK_EQ(a[0].status, CEASE_ECANCELED);
    CHECK_EQ(a[1].status, CEASE_ECANCELED);
    CHECK_EQ(counts_of(c).dials_total, 1);
    cease_http_client_free(c);
    site_stop(&s);
}

TEST(serverThatChoosesOther_isSpokenToInThatOrRefused)
{
    struct site s;
    site_start(&s, 0);
    cease_http_client *c = client_new();
    agreed = NULL;
    meet_all(c, s.url, 8); /* they had to wait until that was known */
    CHECK_EQ(counts_of(c).dials_total, 8);
    cease_http_client_free(c);
    c = client_new();
    agreed = "http/1.1";
    CHECK_EQ(get(root(), c, s.url, "/"), 200);
    CHECK_EQ(get(root(), c, s.url, "/"), 200);
    CHECK_EQ(counts_of(c).dials_total, 1);
    agreed = "spdy/3";
    cease_http_client_close_idle(c);
    char url[200];
    char why[100] = "";
    const cease_http_call call = {
        .size = sizeof call, .url = url, .why = why, .why_size = sizeof why};
    snprintf(url, sizeof url, "%s/", s.url);
    CHECK_EQ(ask(root(), c, &call, NULL, 0), CEASE_ENOTSUP);
    CHECK(strstr(why, "does not speak") != NULL);
    cease_http_client_free(c);
    c = client_of(NULL, 0);
    agreed = "h2";
    CHECK_EQ(get(root(), c, s.url, "/"), CEASE_ENOTSUP);
    cease_http_client_free(c);
    site_stop(&s);
}

TEST(request_says_whatItSaysInHttp1)
{
    static const cease_http_header fields[] = {{"X-Mine", " 1\t "},
                                               {"Host", "virtual.example"},
                                               {"Authorization", "secret"},
                                               {"Upgrade", "x"},
                                               {"TE", "gzip"},
                                               {NULL, NULL}};
    struct site s;
    char url[200];
    char text[2000];
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(root(), cease_sec(100), &stop);
    site_start(&s, 0);
    cease_http_client *c = client_new();
    cease_http_call call = {
        .size = sizeof call, .url = url, .headers = fields, .method = "PUT", .address = NULL};
    snprintf(url, sizeof url, "%s/tell?a=%%20b#c", s.url);
    CHECK_EQ(ask(ctx, c, &call, text, sizeof text), 200);
    CHECK_HAS(text, "PUT /tell?a=%20b\n");
    CHECK_HAS(text, "x-mine: 1\n");
    CHECK_HAS(text, "authorization: secret\n");
    CHECK_HAS(text, "accept-encoding: gzip\n");
    CHECK_HAS(text, "x-request-timeout-ms: 99");
    CHECK_HAS(text, "content-length: 0\n");
    CHECK_HAS_NOT(text, "upgrade");
    CHECK_HAS_NOT(text, "te: ");
    snprintf(url, sizeof url, "%s/away?/tell", s.url); /* the same origin: everything goes along */
    CHECK_EQ(ask(ctx, c, &call, text, sizeof text), 200);
    CHECK_HAS(text, "PUT /tell\n");
    CHECK_HAS(text, "authorization: secret\n");
    CHECK_EQ(counts_of(c).dials_total, 1);
    struct site other;
    site_start(&other, 0);
    CHECK_EQ(counts_of(c).redirects_total, 1);
    snprintf(other.url, sizeof other.url, "%s", s.url); /* it sends to the first */
    snprintf(url, sizeof url, "https://127.0.0.1:%d/away?/tell", other.r.port);
    CHECK_EQ(ask(ctx, c, &call, text, sizeof text), 200);
    CHECK_HAS(text, "x-mine: 1\n");
    CHECK_HAS_NOT(text, "authorization");
    CHECK_EQ(counts_of(c).dials_total, 2);
    cease_http_client_free(c);
    cease_end(stop);
    site_stop(&other);
    site_stop(&s);
}

TEST(answers_withoutABody_andOtherMethods_areWhole)
{
    struct site s;
    char url[200];
    site_start(&s, 0);
    cease_http_client *c = client_new();
    cease_http_call call = {.size = sizeof call, .url = url, .method = "HEAD"};
    snprintf(url, sizeof url, "%s/tell", s.url);
    CHECK_EQ(ask(root(), c, &call, NULL, 0), 200);
    CHECK_EQ(get(root(), c, s.url, "/nothing"), 204);
    CHECK_EQ(get(root(), c, s.url, "/nowhere"), 404);
    call.headers = (const cease_http_header[]){{"A", "b\nc"}, {NULL, NULL}};
    CHECK_EQ(ask(root(), c, &call, NULL, 0), CEASE_EINVAL);
    CHECK_EQ(counts_of(c).dials_total, 1);
    CHECK_EQ(counts_of(c).retries_total, 0);
    cease_http_client_free(c);
    site_stop(&s);
}

TEST(gzip_overHttp2_isUnpackedAndItsFieldsHidden)
{
    struct site s;
    char url[200];
    cease_http_reply reply = {0};
    site_start(&s, 0);
    cease_http_client *c = client_new();
    const cease_http_call call = {.size = sizeof call, .url = url};
    snprintf(url, sizeof url, "%s/big", s.url);
    CHECK_OK(cease_http_client_do(root(), c, &call, &reply));
    CHECK_EQ(reply.body_size, 20000);
    CHECK(cease_http_reply_header(&reply, "Content-Encoding") == NULL);
    CHECK(cease_http_reply_header(&reply, "Vary") != NULL); /* it was packed */
    CHECK(rig_logged(&s.r, 1).bytes < 1000);
    cease_http_reply_deinit(&reply);
    cease_http_answer *a;
    char buf[3000];
    size_t n = 0;
    CHECK_OK(cease_http_client_open(root(), c, &call, &a));
    while (cease_http_answer_read(root(), a, buf, sizeof buf, &n) == CEASE_OK) {
        CHECK_PTR(cease_http_answer_trailer(a, "X-Sum"), NULL);
    }
    CHECK_STR(cease_http_answer_trailer(a, "X-Sum"), "20000 g");
    cease_http_answer_close(a);
    cease_http_client_free(c);
    site_stop(&s);
}

/* ---- bodies ---- */

struct source {
    size_t left;
    size_t fails_at;  /* that much left: CEASE_EPROTO */
    cease_chan *wait; /* parks there instead */
};

static cease_error from_source(cease_ctx *ctx, void *arg, void *buf, size_t size, size_t *ret_count)
{
    struct source *s = arg;
    if (s->left == s->fails_at) {
        char waste;
        return s->wait       ? cease_chan_recv(ctx, s->wait, &waste)
               : s->left > 0 ? CEASE_EPROTO
                             : CEASE_EOF;
    }
    size_t n = s->left - s->fails_at < size ? s->left - s->fails_at : size;
    memset(buf, 'a' + (int)(s->left % 23), n);
    s->left -= n;
    *ret_count = n;
    return CEASE_OK;
}

TEST(bodies_ofAnySize_goBothWaysAtOnce)
{
    static const size_t sizes[] = {0, 1, 16383, 65535, 65536, 300000};
    static char memory[300000];
    struct site s;
    char url[200];
    site_start(&s, 0);
    cease_http_client *c = client_new();
    snprintf(url, sizeof url, "%s/echo", s.url);
    memset(memory, 'm', sizeof memory);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (int kind = 0; kind < 3; kind++) {
            struct source from = {.left = sizes[i]};
            cease_http_reply reply = {0};
            cease_http_call call = {.size = sizeof call, .url = url};
            if (kind == 0) {
                call.body = memory;
                call.body_size = sizes[i];
            } else {
                call.body_read = from_source;
                call.body_arg = &from;
                call.body_length = kind == 1 ? 0 : sizes[i];
            }
            CHECK_OK(cease_http_client_do(root(), c, &call, &reply));
            CHECK_EQ(reply.status, 200);
            CHECK_EQ(reply.body_size, sizes[i]);
            CHECK(kind > 0 || memcmp(reply.body, memory, sizes[i]) == 0);
            cease_http_reply_deinit(&reply);
        }
    }
    CHECK_EQ(counts_of(c).dials_total, 1);
    cease_http_client_free(c);
    site_stop(&s);
}

TEST(body_thatFailsOrIsCancelled_endsItsExchangeAlone)
{
    struct site s;
    char url[200];
    site_start(&s, 0);
    cease_http_client *c = client_new();
    snprintf(url, sizeof url, "%s/echo", s.url);
    struct source from = {.left = 200000, .fails_at = 1000};
    cease_http_call call = {
        .size = sizeof call, .url = url, .body_read = from_source, .body_arg = &from};
    CHECK_EQ(ask(root(), c, &call, NULL, 0), CEASE_EPROTO);
    from = (struct source){.left = 5000};
    call.body_length = 5001;
    CHECK_EQ(ask(root(), c, &call, NULL, 0), CEASE_EINVAL); /* less than was promised */
    from = (struct source){.left = 200000, .fails_at = 1000};
    from.wait = cease_chan_new(1, 0);
    call.body_length = 0;
    cease_canceler *stop;
    cease_http_answer *a;
    cease_ctx *ctx = cease_with_cancel(root(), &stop);
    CHECK_OK(cease_http_client_open(ctx, c, &call, &a));
    char buf[100];
    size_t n = 0;
    CHECK_OK(cease_http_answer_read(ctx, a, buf, sizeof buf, &n)); /* while it is being sent */
    cease_cancel(stop);
    CHECK_ERR(cease_http_answer_read(ctx, a, buf, sizeof buf, &n), CEASE_ECANCELED);
    cease_http_answer_close(a);
    cease_end(stop);
    CHECK_EQ(get(root(), c, s.url, "/"), 200);
    CHECK_EQ(counts_of(c).dials_total, 1);
    cease_chan_unref(from.wait);
    cease_http_client_free(c);
    site_stop(&s);
}

TEST(hedge_theFirstIsSlow_isResetAndItsConnectionIsKept)
{
    struct site s;
    char urls[2][200];
    int code;
    size_t index = 9;
    cease_http_reply reply = {0};
    site_start(&s, 0);
    cease_http_client *c = client_new();
    const cease_http_call calls[2] = {{.size = sizeof *calls, .url = urls[0]},
                                      {.size = sizeof *calls, .url = urls[1]}};
    snprintf(urls[0], sizeof urls[0], "%s/end", s.url);
    snprintf(urls[1], sizeof urls[1], "%s/after", s.url);
    CHECK_OK(cease_http_client_hedge(root(), c, calls, 2, cease_ms(1), &reply, &index));
    CHECK_EQ(index, 1);
    CHECK_STR(reply.body, "after");
    cease_http_reply_deinit(&reply);
    CHECK_OK(cease_chan_recv(root(), s.ended, &code));
    CHECK_EQ(code, 8); /* CANCEL */
    CHECK_EQ(get(root(), c, s.url, "/"), 200);
    CHECK_EQ(counts_of(c).dials_total, 1);
    CHECK_EQ(counts_of(c).busy, 0);
    cease_http_client_free(c);
    site_stop(&s);
}

/* ---- the end of a connection ---- */

TEST(serverThatStops_finishesWhatItHasAndIsLeft)
{
    struct site s;
    char url[200];
    char buf[16];
    size_t n = 0;
    site_start(&s, 0);
    cease_http_client *c = client_new();
    struct source from = {.left = 200000, .fails_at = 1};
    from.wait = cease_chan_new(1, 0);
    const cease_http_call call = {
        .size = sizeof call, .url = url, .body_read = from_source, .body_arg = &from};
    snprintf(url, sizeof url, "%s/echo", s.url);
    cease_http_answer *a;
    CHECK_OK(cease_http_client_open(root(), c, &call, &a));
    rig_cancel(&s.r);
    CHECK_OK(cease_http_answer_read(root(), a, buf, sizeof buf, &n));
    cease_http_answer_close(a); /* its body never ends */
    rig_join(&s.r);
    CHECK_EVENTUALLY(counts_of(c).idle + counts_of(c).busy == 0); /* noticed without being asked */
    CHECK_EQ(get(root(), c, s.url, "/"), CEASE_ECONNREFUSED);
    cease_chan_unref(from.wait);
    cease_chan_unref(s.ended);
    cease_http_client_free(c);
}

/* ---- a server that is frames by hand ---- */

struct stage {
    int fd; /* listens */
    char url[64];
    struct peer p;
    cease_http_client *c;
};

static void stage_begin(struct stage *s)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof in;
    memset(s, 0, sizeof *s);
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_EQ(bind(s->fd, (struct sockaddr *)&in, sizeof in), 0);
    CHECK_EQ(listen(s->fd, 16), 0);
    CHECK_EQ(getsockname(s->fd, (struct sockaddr *)&in, &size), 0);
    snprintf(s->url, sizeof s->url, "https://127.0.0.1:%d", ntohs(in.sin_port));
    s->c = client_new();
}

/* What a client says to a proxy, which has no objection. */
static void hear_connect(int fd, char *ret, size_t size)
{
    size_t n = 0;
    do {
        CHECK(n + 1 < size && recv(fd, ret + n, 1, 0) == 1);
        ret[++n] = '\0';
    } while (!strstr(ret, "\r\n\r\n"));
    CHECK_EQ(send(fd, "HTTP/1.1 200 OK\r\n\r\n", 19, 0), 19);
}

/* Takes the next connection, and answers its preface; as a proxy, when there is room for what it hears first. */
static void stage_accept_through(struct stage *s, char *connect, size_t size)
{
    char preface[24];
    CHECK_EQ(nghttp2_hd_inflate_new(&s->p.inflater), 0);
    s->p.fd = accept(s->fd, NULL, NULL);
    CHECK(s->p.fd >= 0);
    if (connect) {
        hear_connect(s->p.fd, connect, size);
    }
    CHECK_EQ(recv(s->p.fd, preface, sizeof preface, MSG_WAITALL), 24);
    wire_frame(&s->p.out, WIRE_SETTINGS, 0, 0, NULL, 0);
    peer_flush(&s->p);
}

static void stage_accept(struct stage *s)
{
    stage_accept_through(s, NULL, 0);
}

static void stage_drop(struct stage *s)
{
    peer_close(&s->p);
    s->p = (struct peer){0};
}

static void stage_end(struct stage *s)
{
    cease_http_client_free(s->c);
    close(s->fd);
}

static void answer(struct stage *s, uint32_t stream, const char *body)
{
    struct wire head = {0};
    wire_field(&head, ":status", "200");
    wire_frame(&s->p.out, WIRE_HEADERS, WIRE_END_HEADERS, stream, head.data, head.size);
    wire_frame(&s->p.out, WIRE_DATA, WIRE_END_STREAM, stream, body, strlen(body));
    wire_free(&head);
    peer_flush(&s->p);
}

/* A call on a task of its own, of which the test's thread is the server. */
struct call_task {
    struct stage *s;
    const char *method;
    int status;
    cease_group *group;
};

static cease_error call_run(cease_ctx *ctx, void *arg)
{
    struct call_task *t = arg;
    char url[100];
    cease_http_call call = {.size = sizeof call, .url = url, .method = t->method};
    snprintf(url, sizeof url, "%s/", t->s->url);
    if (strcmp(t->method, "POST") == 0) {
        call.body = "body";
        call.body_size = 4;
    }
    t->status = ask(ctx, t->s->c, &call, NULL, 0);
    return CEASE_OK;
}

static void call_begin(struct call_task *t, struct stage *s, const char *method)
{
    *t = (struct call_task){.s = s, .method = method};
    t->group = cease_group_new(root(), NULL);
    CHECK_OK(cease_group_go(t->group, call_run, t));
}

static int call_end(struct call_task *t)
{
    CHECK_OK(cease_group_wait(t->group));
    cease_group_free(t->group);
    return t->status;
}

TEST(refused_isTriedAgainWhateverItsMethodWithinReason)
{
    static const char *const methods[] = {"GET", "POST"};
    struct stage s;
    struct call_task t;
    stage_begin(&s);
    for (int i = 0; i < 2; i++) {
        uint32_t stream = 1 + 4 * (uint32_t)i;
        call_begin(&t, &s, methods[i]);
        if (i == 0) {
            stage_accept(&s);
        }
        peer_wait(&s.p, WIRE_HEADERS, stream);
        wire_u32(&s.p.out, WIRE_RST_STREAM, stream, NGHTTP2_REFUSED_STREAM);
        peer_flush(&s.p);
        peer_wait(&s.p, WIRE_HEADERS, stream + 2);
        answer(&s, stream + 2, "ok");
        CHECK_EQ(call_end(&t), 200);
    }
    call_begin(&t, &s, "GET");
    for (uint32_t stream = 9; stream <= 19; stream += 2) {
        peer_wait(&s.p, WIRE_HEADERS, stream);
        wire_u32(&s.p.out, WIRE_RST_STREAM, stream, NGHTTP2_REFUSED_STREAM);
        peer_flush(&s.p);
    }
    CHECK_EQ(call_end(&t), CEASE_EAGAIN);
    CHECK_EQ(counts_of(s.c).dials_total, 1);
    CHECK_EQ(counts_of(s.c).retries_total, 2 + 5);
    stage_drop(&s);
    stage_end(&s);
}

TEST(goaway_leavesOutACall_whichIsMadeOnAnotherConnection)
{
    struct stage s;
    struct call_task t[2];
    stage_begin(&s);
    call_begin(&t[0], &s, "POST");
    stage_accept(&s);
    peer_wait(&s.p, WIRE_HEADERS, 1);
    call_begin(&t[1], &s, "POST");
    peer_wait(&s.p, WIRE_HEADERS, 3);
    wire_frame(&s.p.out, WIRE_GOAWAY, 0, 0, "\0\0\0\1\0\0\0\0", 8); /* 1 goes on, 3 has not begun */
    peer_flush(&s.p);
    struct peer first = s.p;
    s.p = (struct peer){0};
    stage_accept(&s);
    peer_wait(&s.p, WIRE_HEADERS, 1);
    answer(&s, 1, "second");
    CHECK_EQ(call_end(&t[1]), 200);
    struct peer second = s.p;
    s.p = first;
    answer(&s, 1, "first");
    CHECK_EQ(call_end(&t[0]), 200);
    CHECK_EVENTUALLY(counts_of(s.c).idle + counts_of(s.c).busy == 1); /* the first is closed */
    peer_check_end(&s.p);
    stage_drop(&s);
    s.p = second;
    CHECK_EQ(counts_of(s.c).dials_total, 2);
    stage_drop(&s);
    stage_end(&s);
}

/* Each connection serves one call: the last of them is left out by all but one. */
TEST(goaway_leavesOutManyCalls_eachIsServedInTheEnd)
{
    enum { CALLS = 40 };
    struct stage s;
    struct call_task t[CALLS];
    stage_begin(&s);
    for (int i = 0; i < CALLS; i++) {
        call_begin(&t[i], &s, "POST");
    }
    for (int i = 0; i < CALLS; i++) {
        stage_accept(&s);
        for (int n = i; n < CALLS; n++) { /* all that are left */
            peer_wait(&s.p, WIRE_HEADERS, 1 + 2 * (uint32_t)(n - i));
        }
        wire_frame(&s.p.out, WIRE_GOAWAY, 0, 0, "\0\0\0\1\0\0\0\0", 8);
        answer(&s, 1, "ok");
        peer_check_end(&s.p);
        stage_drop(&s);
    }
    for (int i = 0; i < CALLS; i++) {
        CHECK_EQ(call_end(&t[i]), 200);
    }
    CHECK_EQ(counts_of(s.c).dials_total, CALLS);
    CHECK_EQ(counts_of(s.c).retries_total, CALLS * (CALLS - 1) / 2);
    stage_end(&s);
}

/* None begins with anything: that is not asked for ever. */
TEST(goaway_atOnceByEachConnection_isTriedAFewTimes)
{
    struct stage s;
    struct call_task t;
    stage_begin(&s);
    call_begin(&t, &s, "POST");
    for (int i = 0; i < 6; i++) {
        stage_accept(&s);
        peer_wait(&s.p, WIRE_HEADERS, 1);
        wire_frame(&s.p.out, WIRE_GOAWAY, 0, 0, "\0\0\0\0\0\0\0\0", 8);
        peer_flush(&s.p);
        peer_check_end(&s.p);
        stage_drop(&s);
    }
    CHECK_EQ(call_end(&t), CEASE_EAGAIN);
    CHECK_EQ(counts_of(s.c).dials_total, 6);
    stage_end(&s);
}

TEST(calls_beforeTheServerSaysHowMany_waitForThat)
{
    static const char one_stream[] = "\0\3\0\0\0\1"; /* SETTINGS_MAX_CONCURRENT_STREAMS */
    char preface[24];
    struct stage s;
    struct call_task t[2];
    stage_begin(&s);
    call_begin(&t[0], &s, "GET");
    call_begin(&t[1], &s, "GET");
    CHECK_EQ(nghttp2_hd_inflate_new(&s.p.inflater), 0);
    s.p.fd = accept(s.fd, NULL, NULL);
    CHECK(s.p.fd >= 0);
    CHECK_EQ(recv(s.p.fd, preface, sizeof preface, MSG_WAITALL), 24);
    CHECK_EVENTUALLY(counts_of(s.c).waiting == 2);
    wire_frame(&s.p.out, WIRE_SETTINGS, 0, 0, one_stream, 6);
    peer_flush(&s.p);
    peer_wait(&s.p, WIRE_HEADERS, 1);
    struct peer first = s.p;
    s.p = (struct peer){0};
    stage_accept(&s); /* for the other */
    peer_wait(&s.p, WIRE_HEADERS, 1);
    answer(&s, 1, "second");
    struct peer second = s.p;
    s.p = first;
    answer(&s, 1, "first");
    CHECK_EQ(call_end(&t[0]), 200);
    CHECK_EQ(call_end(&t[1]), 200);
    stage_drop(&s);
    s.p = second;
    stage_drop(&s);
    stage_end(&s);
}

TEST(tunnel_ofAProxy_isSharedByTheCallsToOneServer)
{
    struct stage s;
    struct call_task t;
    char heard[300];
    char proxy[64];
    stage_begin(&s);
    cease_http_client_free(s.c);
    snprintf(proxy, sizeof proxy, "http://%.50s", s.url + strlen("https://"));
    const cease_http_client_opts opts = {
        .size = sizeof opts, .proxy = proxy, .tls = &pretended, .multiplex = cease_http2()};
    s.c = cease_http_client_new(&opts);
    snprintf(s.url, sizeof s.url, "https://secret.example");
    for (uint32_t stream = 1; stream < 6; stream += 2) {
        call_begin(&t, &s, "GET");
        if (stream == 1) {
            stage_accept_through(&s, heard, sizeof heard);
            CHECK_HAS(heard, "CONNECT secret.example:443 HTTP/1.1\r\n");
        }
        peer_wait(&s.p, WIRE_HEADERS, stream);
        CHECK_HAS(s.p.head, stream == 1 ? ":authority: secret.example\n" : "");
        answer(&s, stream, "ok");
        CHECK_EQ(call_end(&t), 200);
    }
    CHECK_EQ(counts_of(s.c).dials_total, 1);
    stage_drop(&s);
    stage_end(&s);
}

/* A connection that has served and dies under the next call. */
static int call_that_dies(const char *method, int *ret_again)
{
    struct stage s;
    struct call_task t;
    stage_begin(&s);
    call_begin(&t, &s, "GET");
    stage_accept(&s);
    peer_wait(&s.p, WIRE_HEADERS, 1);
    answer(&s, 1, "ok");
    CHECK_EQ(call_end(&t), 200);
    call_begin(&t, &s, method);
    peer_wait(&s.p, WIRE_HEADERS, 3);
    stage_drop(&s);
    if (strcmp(method, "GET") == 0) {
        stage_accept(&s);
        peer_wait(&s.p, WIRE_HEADERS, 1);
        answer(&s, 1, "ok");
        stage_drop(&s);
    }
    int status = call_end(&t);
    *ret_again = (int)counts_of(s.c).retries_total;
    stage_end(&s);
    return status;
}

TEST(connection_lost_isTriedAgainOnlyWhereThatIsSafe)
{
    int again = 0;
    CHECK_EQ(call_that_dies("GET", &again), 200);
    CHECK_EQ(again, 1);
    CHECK_EQ(call_that_dies("POST", &again), CEASE_ECONNRESET);
    CHECK_EQ(again, 0);
}

TEST(reset_byTheServer_isNotTriedAgain)
{
    struct stage s;
    struct call_task t;
    stage_begin(&s);
    call_begin(&t, &s, "GET");
    stage_accept(&s);
    peer_wait(&s.p, WIRE_HEADERS, 1);
    wire_u32(&s.p.out, WIRE_RST_STREAM, 1, NGHTTP2_INTERNAL_ERROR);
    peer_flush(&s.p);
    CHECK_EQ(call_end(&t), CEASE_ECONNRESET);
    call_begin(&t, &s, "GET"); /* in the middle of an answer */
    peer_wait(&s.p, WIRE_HEADERS, 3);
    struct wire head = {0};
    wire_field(&head, ":status", "200");
    wire_frame(&s.p.out, WIRE_HEADERS, WIRE_END_HEADERS, 3, head.data, head.size);
    wire_free(&head);
    wire_frame(&s.p.out, WIRE_DATA, 0, 3, "part", 4);
    wire_u32(&s.p.out, WIRE_RST_STREAM, 3, NGHTTP2_REFUSED_STREAM); /* which is a lie by now */
    peer_flush(&s.p);
    CHECK_EQ(call_end(&t), CEASE_ECONNRESET);
    CHECK_EQ(counts_of(s.c).dials_total, 1);
    CHECK_EQ(counts_of(s.c).retries_total, 0);
    stage_drop(&s);
    stage_end(&s);
}

TEST(connection_thatSaysNothingAnyMore_getsNoMoreCalls)
{
    struct stage s;
    struct call_task t;
    cease_canceler *stop;
    stage_begin(&s);
    call_begin(&t, &s, "GET");
    stage_accept(&s);
    peer_wait(&s.p, WIRE_HEADERS, 1);
    answer(&s, 1, "ok");
    CHECK_EQ(call_end(&t), 200);
    cease_ctx *ctx = cease_with_timeout(root(), cease_ms(10), &stop);
    CHECK_EQ(get(ctx, s.c, s.url, "/"), CEASE_EDEADLINE); /* too short to say anything of it */
    cease_end(stop);
    CHECK_EQ(counts_of(s.c).idle, 1);
    ctx = cease_with_timeout(root(), cease_ms(1100), &stop);
    CHECK_EQ(get(ctx, s.c, s.url, "/"), CEASE_EDEADLINE);
    cease_end(stop);
    CHECK_EQ(counts_of(s.c).idle, 0);
    call_begin(&t, &s, "GET");
    struct peer dead = s.p;
    s.p = (struct peer){0};
    stage_accept(&s);
    peer_wait(&s.p, WIRE_HEADERS, 1);
    answer(&s, 1, "ok");
    CHECK_EQ(call_end(&t), 200);
    CHECK_EQ(counts_of(s.c).dials_total, 2);
    stage_drop(&s);
    s.p = dead;
    stage_drop(&s);
    stage_end(&s);
}

TEST(idle_theServerCloses_isForgottenAtOnce)
{
    struct stage s;
    struct call_task t;
    stage_begin(&s);
    for (int i = 0; i < 3; i++) {
        call_begin(&t, &s, "GET");
        stage_accept(&s);
        peer_wait(&s.p, WIRE_HEADERS, 1);
        answer(&s, 1, "ok");
        CHECK_EQ(call_end(&t), 200);
        CHECK_EQ(counts_of(s.c).idle, 1);
        stage_drop(&s);
        CHECK_EVENTUALLY(counts_of(s.c).idle + counts_of(s.c).busy == 0);
    }
    stage_end(&s);
}

/* ---- everything at once ---- */

enum { CROWD = 40, ROUNDS = 25 };

static cease_error crowd_task(cease_ctx *ctx, void *arg)
{
    struct asking *a = arg;
    char body[64];
    char text[64];
    char url[200];
    (void)ctx;
    snprintf(url, sizeof url, "%s/echo", a->site);
    cease_http_call call = {.size = sizeof call, .url = url, .body = body};
    for (int i = 0; i < ROUNDS; i++) {
        cease_canceler *stop;
        call.body_size = (size_t)snprintf(body, sizeof body, "%p %d", arg, i);
        bool cut = (i + a->status) % 3 == 0;
        cease_ctx *one = cut ? cease_with_timeout(root(), cease_us(50 * (i + 1)), &stop)
                             : cease_with_cancel(root(), &stop);
        int status = ask(one, a->c, &call, text, sizeof text);
        /* 504: the server knows of it, too; EAGAIN: it has refused, and no time is left to try again */
        if (!cut || (status != CEASE_EDEADLINE && status != 504 && status != CEASE_EAGAIN)) {
            CHECK_EQ(status, 200);
        }
        CHECK(status != 200 || strcmp(text, body) == 0);
        if (i % 10 == 9) {
            cease_http_client_close_idle(a->c);
        }
        cease_end(stop);
    }
    return CEASE_OK;
}

TEST(crowd_ofCallsThirdOfThemCut_getsTheRightAnswersAndLeavesNothing)
{
    struct site s;
    struct asking a[CROWD];
    site_start(&s, 8);
    cease_http_client *c = client_of(cease_http2(), 3);
    cease_group *g = cease_group_new(root(), NULL);
    for (int i = 0; i < CROWD; i++) {
        a[i] = (struct asking){.c = c, .site = s.url, .status = i};
        CHECK_OK(cease_group_go(g, crowd_task, &a[i]));
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    CHECK_EVENTUALLY(counts_of(c).busy == 0);
    CHECK_EQ(counts_of(c).waiting, 0);
    cease_http_client_free(c);
    site_stop(&s);
}

/* Two calls at once, one with a body of a function, then one more. */
static cease_error scenario(cease_ctx *ctx, cease_http_client *c, const char *site)
{
    char url[200];
    struct source from = {.left = 20000};
    struct asking a = {.c = c, .site = site, .path = "/big"};
    cease_http_reply reply = {0};
    const cease_http_call call = {
        .size = sizeof call, .url = url, .body_read = from_source, .body_arg = &from};
    snprintf(url, sizeof url, "%s/echo", site);
    cease_group *g = cease_group_new(ctx, NULL);
    cease_error e = g ? cease_group_go(g, ask_task, &a) : CEASE_ENOMEM;
    if (e == CEASE_OK) {
        e = cease_http_client_do(ctx, c, &call, &reply);
        CHECK(e != CEASE_OK || reply.status != 200 || reply.body_size == 20000);
        cease_http_reply_deinit(&reply);
    }
    cease_group_wait(g);
    cease_group_free(g);
    return e == CEASE_OK && a.status < 0 ? (cease_error)a.status : e;
}

static cease_error cancelled_scenario(cease_ctx *ctx, void *arg)
{
    static struct site s; /* too large for a task's stack */
    (void)arg;
    site_start(&s, 0);
    cease_http_client *c = client_new();
    cease_error e = scenario(ctx, c, s.url);
    cease_http_client_free(c);
    site_stop(&s);
    return e;
}

TEST(scenario_cancelledAtEveryWait_leavesNothing)
{
    CHECK_OK(cease_test_each_cancel(NULL, cancelled_scenario, NULL));
}

/* The server's allocations fail as well, so whatever error is fine. */
TEST(scenario_everyAllocationFailing_leavesNothing)
{
    struct site s;
    site_start(&s, 0);
    HARNESS_EACH_ALLOC_FAILS(n)
    {
        const cease_http_client_opts opts = {
            .size = sizeof opts, .proxy = "", .tls = &pretended, .multiplex = cease_http2()};
        cease_canceler *stop;
        cease_ctx *ctx = cease_with_timeout(root(), cease_ms(200), &stop);
        cease_http_client *c = cease_http_client_new(&opts);
        if (c) {
            (void)scenario(ctx, c, s.url);
        }
        cease_http_client_free(c);
        cease_end(stop);
    }
    site_stop(&s);
}
