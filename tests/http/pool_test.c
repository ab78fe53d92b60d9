/* pool_test.c: out to break the client that keeps its connections: who gets one and when, what is never
 * used again, what is tried again and what never, and servers that lie. */
#include "no_tls.h"
#include "play.h"

#include <cease/http_client.h>
#include <cease/test.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
static struct play server;

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

/* One GET; gives the status, or the error. */
static int get(cease_http_client *c, const char *url)
{
    cease_http_reply reply = {0};
    const cease_http_call call = {.size = sizeof call, .url = url};
    cease_error e = cease_http_client_do(root(), c, &call, &reply);
    int status = e == CEASE_OK ? reply.status : (int)e;
    cease_http_reply_deinit(&reply);
    return status;
}

static int loaded(const int *p)
{
    return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}

/* ---- reuse ---- */

TEST(call_afterCall_usesTheSameConnection)
{
    cease_http_client *c = client_new();
    play_start(&server, play_always, (void *)(uintptr_t)ok);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(get(c, server.url), 200);
    }
    CHECK_EQ(loaded(&server.connections), 1);
    cease_http_client_counts n = counts_of(c);
    CHECK_EQ(n.dials_total, 1);
    CHECK_EQ(n.reused_total, 4);
    CHECK_EQ(n.calls_total, 5);
    CHECK_EQ(n.idle, 1);
    CHECK_EQ(n.busy, 0);
    CHECK_HAS_NOT(server.request[0], "Connection:");
    cease_http_client_free(c);
    play_stop(&server);
}

/* What each row says is read as far as it goes, and the connection is not used again. */
TEST(answer_thatDoesNotEndWhereItSays_closesItsConnection)
{
    static const char *const rows[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok!",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\nwrong",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nmore",
        "HTTP/1.1 204 No Content\r\n\r\nbody",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cease_http_client *c = client_new();
        play_start(&server, play_always, (void *)(uintptr_t)rows[i]);
        CHECK(get(c, server.url) / 100 == 2);
        CHECK_EVENTUALLY(counts_of(c).idle + counts_of(c).busy == 0);
        CHECK(get(c, server.url) / 100 == 2);
        CHECK_EQ(counts_of(c).dials_total, 2);
        cease_http_client_free(c);
        play_stop(&server);
    }
}

static void once_then_close(cease_ctx *ctx, struct play *p, cease_conn *c, int index)
{
    (void)index;
    if (play_hear(ctx, p, c)) {
        play_say(ctx, c, p->arg);
    }
}

TEST(idle_theServerCloses_isForgottenAtOnce)
{
    cease_http_client *c = client_new();
    play_start(&server, once_then_close, (void *)(uintptr_t)ok);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(get(c, server.url), 200);
        CHECK_EVENTUALLY(counts_of(c).idle == 0);
    }
    CHECK_EQ(counts_of(c).dials_total, 3);
    cease_http_client_free(c);
    play_stop(&server);
}

static void speaks_unasked(cease_ctx *ctx, struct play *p, cease_conn *c, int index)
{
    if (play_hear(ctx, p, c)) {
        play_say(ctx, c, ok);
        while (index == 0 && loaded(p->arg) == 0) {
            cease_yield();
        }
        play_say(ctx, c, index == 0 ? "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong" : "");
        play_wait_end(ctx, c);
    }
}

TEST(idle_theServerSpeaksUnasked_isClosed)
{
    static int go;
    cease_http_client *c = client_new();
    play_start(&server, speaks_unasked, &go);
    CHECK_EQ(get(c, server.url), 200);
    CHECK_EQ(counts_of(c).idle, 1);
    __atomic_store_n(&go, 1, __ATOMIC_SEQ_CST);
    CHECK_EVENTUALLY(counts_of(c).idle == 0);
    CHECK_EQ(get(c, server.url), 200);
    CHECK_EQ(loaded(&server.connections), 2);
    cease_http_client_free(c);
    play_stop(&server);
}

static cease_error idle_scenario(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    cease_http_client_opts opts = {.size = sizeof opts, .proxy = "", .idle_timeout = cease_sec(30)};
    cease_http_client *c = cease_http_client_new(&opts);
    play_start(&server, play_always, (void *)(uintptr_t)ok);
    CHECK_EQ(get(c, server.url), 200);
    cease_test_advance(cease_sec(29));
    CHECK_EQ(counts_of(c).idle, 1);
    CHECK_EQ(get(c, server.url), 200);
    cease_test_advance(cease_sec(29)); /* its time began again */
    CHECK_EQ(counts_of(c).idle, 1);
    cease_test_advance(cease_sec(1));
    CHECK_EQ(counts_of(c).idle, 0);
    CHECK_EQ(get(c, server.url), 200);
    CHECK_EQ(counts_of(c).dials_total, 2);
    cease_http_client_free(c);
    play_stop(&server);
    return CEASE_OK;
}

TEST(idle_itsTimeIsOver_isClosed)
{
    CHECK_OK(cease_test_run(NULL, idle_scenario, NULL));
}

TEST(idle_moreThanTheLimits_closesTheOldest)
{
    static struct play other;
    cease_http_client_opts opts = {.size = sizeof opts, .proxy = "", .idle_max = 1};
    cease_http_client *c = cease_http_client_new(&opts);
    play_start(&server, play_always, (void *)(uintptr_t)ok);
    play_start(&other, play_always, (void *)(uintptr_t)ok);
    CHECK_EQ(get(c, server.url), 200);
    CHECK_EQ(get(c, other.url), 200);
    CHECK_EQ(counts_of(c).idle, 1);
    CHECK_EVENTUALLY(loaded(&server.ended) == 1);
    CHECK_EQ(get(c, other.url), 200);
    CHECK_EQ(loaded(&other.connections), 1);
    cease_http_client_close_idle(c);
    CHECK_EQ(counts_of(c).idle, 0);
    CHECK_EVENTUALLY(loaded(&other.ended) == 1);
    cease_http_client_free(c);
    play_stop(&other);
    play_stop(&server);
}

/* ---- waiting ---- */

struct asking {
    cease_http_client *c;
    cease_ctx *ctx;
    const char *url;
    cease_error error;
    int done; /* atomic */
};

static cease_error ask_task(cease_ctx *ctx, void *arg)
{
    struct asking *a = arg;
    cease_http_reply reply = {0};
    const cease_http_call call = {.size = sizeof call, .url = a->url};
    a->error = cease_http_client_do(a->ctx ? a->ctx : ctx, a->c, &call, &reply);
    cease_http_reply_deinit(&reply);
    __atomic_store_n(&a->done, 1, __ATOMIC_SEQ_CST);
    return CEASE_OK;
}

TEST(limit_ofConnections_makesCallsWaitTheirTurn)
{
    cease_http_client_opts opts = {.size = sizeof opts, .proxy = "", .connection_max = 1};
    cease_http_client *c = cease_http_client_new(&opts);
    play_start(&server, play_always, (void *)(uintptr_t)ok);
    const cease_http_call call = {.size = sizeof call, .url = server.url};
    cease_http_answer *held;
    CHECK_OK(cease_http_client_open(root(), c, &call, &held));
    cease_group *g = cease_group_new(root(), NULL);
    static struct asking a[8];
    for (size_t i = 0; i < 8; i++) {
        a[i] = (struct asking){.c = c, .url = server.url};
        CHECK_OK(cease_group_go(g, ask_task, &a[i]));
    }
    CHECK_EVENTUALLY(counts_of(c).waiting == 8);
    cease_canceler *stop;
    cease_ctx *ended = cease_with_cancel(root(), &stop);
    static struct asking leaves;
    leaves = (struct asking){.c = c, .ctx = ended, .url = server.url};
    CHECK_OK(cease_group_go(g, ask_task, &leaves));
    CHECK_EVENTUALLY(counts_of(c).waiting == 9);
    cease_cancel(stop);
    CHECK_EVENTUALLY(loaded(&leaves.done));
    CHECK_ERR(leaves.error, CEASE_ECANCELED);
    char buf[8];
    size_t n;
    CHECK_OK(cease_http_answer_read(root(), held, buf, sizeof buf, &n));
    CHECK_EQ(n, 2);
    CHECK_ERR(cease_http_answer_read(root(), held, buf, sizeof buf, &n), CEASE_EOF);
    CHECK_OK(cease_group_wait(g)); /* the end of the body gave it back: close was not needed */
    for (size_t i = 0; i < 8; i++) {
        CHECK_OK(a[i].error);
    }
    cease_http_answer_close(held);
    CHECK_EQ(loaded(&server.connections), 1);
    cease_group_free(g);
    cease_end(stop);
    cease_http_client_free(c);
    play_stop(&server);
}

TEST(limit_whenAnAnswerIsDropped_dialsForWhoWaits)
{
    cease_http_client_opts opts = {.size = sizeof opts, .proxy = "", .connection_max = 1};
    cease_http_client *c = cease_http_client_new(&opts);
    play_start(&server, play_always,
               (void *)(uintptr_t) "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    const cease_http_call call = {.size = sizeof call, .url = server.url};
    cease_http_answer *held;
    CHECK_OK(cease_http_client_open(root(), c, &call, &held));
    cease_group *g = cease_group_new(root(), NULL);
    static struct asking a;
    a = (struct asking){.c = c, .url = server.url};
    CHECK_OK(cease_group_go(g, ask_task, &a));
    CHECK_EVENTUALLY(counts_of(c).waiting == 1);
    cease_http_answer_close(held); /* unread: closed */
    CHECK_OK(cease_group_wait(g));
    CHECK_OK(a.error);
    CHECK_EQ(counts_of(c).dials_total, 2);
    cease_group_free(g);
    cease_http_client_free(c);
    play_stop(&server);
}

/* A "TLS" that lets everything through, once its gate is open. */
struct gate {
    cease_chan *opened; /* closed: go on */
    int waiting;        /* atomic */
    cease_error error;  /* what open says then */
};

static cease_error gate_open(cease_ctx *ctx, void *arg, cease_conn *take_conn, const char *host,
                             void **ret_session)
{
    struct gate *g = arg;
    CHECK_STR(host, "127.0.0.1");
    __atomic_add_fetch(&g->waiting, 1, __ATOMIC_SEQ_CST);
    cease_error e = g->opened ? cease_chan_recv(ctx, g->opened, NULL) : CEASE_ECLOSED;
    __atomic_sub_fetch(&g->waiting, 1, __ATOMIC_SEQ_CST);
    if (e == CEASE_ECLOSED) {
        e = g->error;
    }
    if (e != CEASE_OK) {
        cease_conn_close(take_conn);
        return e;
    }
    *ret_session = take_conn;
    return CEASE_OK;
}

static const cease_http_tls gate_tls = {NO_TLS, .open = gate_open};

static cease_http_client *gate_client(struct gate *g)
{
    cease_http_client_opts opts = {
        .size = sizeof opts, .proxy = "", .tls = &gate_tls, .tls_arg = g};
    cease_http_client *c = cease_http_client_new(&opts);
    CHECK(c != NULL);
    return c;
}

TEST(dial_itsCallerHasGone_endsInThePool)
{
    static struct gate gate;
    static struct asking a;
    char url[160];
    gate.opened = cease_chan_new(0, 0);
    cease_http_client *c = gate_client(&gate);
    play_start(&server, play_always, (void *)(uintptr_t)ok);
    snprintf(url, sizeof url, "https://%s/", server.address);
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(root(), &stop);
    cease_group *g = cease_group_new(root(), NULL);
    a = (struct asking){.c = c, .ctx = ctx, .url = url};
    CHECK_OK(cease_group_go(g, ask_task, &a));
    CHECK_EVENTUALLY(loaded(&gate.waiting) == 1);
    cease_cancel(stop);
    CHECK_OK(cease_group_wait(g));
    CHECK_ERR(a.error, CEASE_ECANCELED);
    CHECK_EQ(counts_of(c).dialing, 1); /* it goes on */
    cease_chan_close(gate.opened);
    CHECK_EVENTUALLY(counts_of(c).idle == 1);
    CHECK_EQ(get(c, url), 200);
    CHECK_EQ(counts_of(c).dials_total, 1);
    cease_group_free(g);
    cease_end(stop);
    cease_http_client_free(c);
    cease_chan_unref(gate.opened);
    play_stop(&server);
}

TEST(dial_thatHangs_isOvertakenByAConnectionGivenBack)
{
    static struct gate gate;
    static struct asking a;
    char url[160];
    gate.opened = NULL;
    cease_http_client *c = gate_client(&gate);
    play_start(&server, play_always, (void *)(uintptr_t)ok);
    snprintf(url, sizeof url, "https://%s/", server.address);
    const cease_http_call call = {.size = sizeof call, .url = url};
    cease_http_answer *held;
    CHECK_OK(cease_http_client_open(root(), c, &call, &held));
    gate.opened = cease_chan_new(0, 0);
    cease_group *g = cease_group_new(root(), NULL);
    a = (struct asking){.c = c, .url = url};
    CHECK_OK(cease_group_go(g, ask_task, &a));
    CHECK_EVENTUALLY(loaded(&gate.waiting) == 1);
    char buf[8];
    size_t n;
    while (cease_http_answer_read(root(), held, buf, sizeof buf, &n) == CEASE_OK) {
    }
    CHECK_OK(cease_group_wait(g)); /* with the dial still under way */
    CHECK_OK(a.error);
    CHECK_EQ(counts_of(c).dialing, 1);
    cease_http_answer_close(held);
    cease_group_free(g);
    cease_http_client_free(c); /* gives the dial up */
    CHECK_EQ(loaded(&gate.waiting), 0);
    cease_chan_unref(gate.opened);
    play_stop(&server);
}

TEST(dial_thatFails_tellsItsOwnCallOnly)
{
    static struct gate gate = {.error = CEASE_ETLS};
    char url[160];
    cease_http_client *c = gate_client(&gate);
    play_start(&server, play_always, (void *)(uintptr_t)ok);
    snprintf(url, sizeof url, "https://%s/", server.address);
    CHECK_EQ(get(c, url), CEASE_ETLS);
    CHECK_EQ(get(c, url), CEASE_ETLS);
    gate.error = CEASE_OK;
    CHECK_EQ(get(c, url), 200);
    CHECK_EQ(counts_of(c).dialing, 0);
    cease_http_client_free(c);
    play_stop(&server);
    c = client_new();
    CHECK_EQ(get(c, "https://127.0.0.1:1/"), CEASE_ENOTSUP);
    CHECK_EQ(get(c, "http://127.0.0.1:1/"), CEASE_ECONNREFUSED);
    CHECK_EQ(get(c, "http://[::1/"), CEASE_EINVAL);
    cease_http_client_free(c);
}

/* ---- trying again ---- */

/* The first connection answers once and closes when it hears the second request; later ones serve. */
static void dies_at_second(cease_ctx *ctx, struct play *p, cease_conn *c, int index)
{
    const char *last_words = p->arg;
    for (int i = 0; play_hear(ctx, p, c); i++) {
        if (index == 0 && i == 1) {
            play_say(ctx, c, last_words);
            return;
        }
        play_say(ctx, c, ok);
    }
}

static cease_error ask_method(cease_http_client *c, const char *method, const cease_http_call *like)
{
    cease_http_call call = like ? *like : (cease_http_call){.size = sizeof call};
    cease_http_reply reply = {0};
    call.url = server.url;
    call.method = method;
    cease_error e = cease_http_client_do(root(), c, &call, &reply);
    cease_http_reply_deinit(&reply);
    return e;
}

TEST(retry_onAnOldConnectionThatDies_isMadeWhereItIsSafe)
{
    static const struct {
        const char *method;
        bool again;
    } rows[] = {{"GET", true},     {"HEAD", true},  {"PUT", true},    {"DELETE", true},
                {"OPTIONS", true}, {"POST", false}, {"PATCH", false}, {"get", false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const cease_http_call body = {.size = sizeof body, .body = "body", .body_size = 4};
        bool has_body = strcmp(rows[i].method, "PUT") == 0 || strcmp(rows[i].method, "POST") == 0;
        cease_http_client *c = client_new();
        play_start(&server, dies_at_second, (void *)(uintptr_t) "");
        CHECK_EQ(get(c, server.url), 200);
        cease_error e = ask_method(c, rows[i].method, has_body ? &body : NULL);
        CHECK_EQ(e == CEASE_OK, rows[i].again);
        CHECK_EQ(counts_of(c).retries_total, rows[i].again);
        CHECK_EQ(loaded(&server.requests), rows[i].again ? 3 : 2);
        if (has_body && rows[i].again) {
            CHECK_HAS(server.request[2], "Content-Length: 4\r\n");
            CHECK_HAS(server.request[2], "\r\n\r\nbody");
        }
        cease_http_client_free(c);
        play_stop(&server);
    }
}

TEST(retry_ofAPostWithAKey_isMadeWithTheSameKey)
{
    static const cease_http_header key[] = {{"idempotency-key", "\"17\""}, {NULL, NULL}};
    const cease_http_call call = {
        .size = sizeof call, .body = "body", .body_size = 4, .headers = key};
    cease_http_client *c = client_new();
    play_start(&server, dies_at_second, (void *)(uintptr_t) "");
    CHECK_EQ(get(c, server.url), 200);
    CHECK_OK(ask_method(c, "POST", &call));
    CHECK_EQ(counts_of(c).retries_total, 1);
    CHECK_HAS(server.request[2], "idempotency-key: \"17\"\r\n");
    cease_http_client_free(c);
    play_stop(&server);
}

TEST(retry_afterAByteOfAnAnswer_isNotMade)
{
    cease_http_client *c = client_new();
    play_start(&server, dies_at_second, (void *)(uintptr_t) "H");
    CHECK_EQ(get(c, server.url), 200);
    CHECK_EQ(get(c, server.url), CEASE_EPROTO);
    CHECK_EQ(counts_of(c).retries_total, 0);
    cease_http_client_free(c);
    play_stop(&server);
}

TEST(retry_onANewConnection_isNotMade)
{
    cease_http_client *c = client_new();
    play_start(&server, once_then_close, (void *)(uintptr_t) "");
    CHECK_EQ(get(c, server.url), CEASE_EPROTO);
    CHECK_EQ(loaded(&server.connections), 1);
    cease_http_client_free(c);
    play_stop(&server);
}

struct text_body {
    const char *text;
    size_t at;
    int rewinds;
};

static cease_error read_text(cease_ctx *ctx, void *arg, void *buf, size_t size, size_t *ret_count)
{
    struct text_body *b = arg;
    size_t n = strlen(b->text + b->at);
    (void)ctx;
    n = n < size ? n : size;
    n = n < 3 ? n : 3; /* in small pieces */
    memcpy(buf, b->text + b->at, n);
    b->at += n;
    *ret_count = n;
    return n == 0 ? CEASE_EOF : CEASE_OK;
}

static bool rewind_text(void *arg)
{
    struct text_body *b = arg;
    b->at = 0;
    b->rewinds++;
    return true;
}

TEST(retry_ofABodyOfAFunction_needsItsRewind)
{
    for (int rewinds = 0; rewinds < 2; rewinds++) {
        struct text_body body = {.text = "some text"};
        const cease_http_call call = {.size = sizeof call,
                                      .body_read = read_text,
                                      .body_rewind = rewinds ? rewind_text : NULL,
                                      .body_arg = &body};
        cease_http_client *c = client_new();
        play_start(&server, dies_at_second, (void *)(uintptr_t) "");
        CHECK_EQ(get(c, server.url), 200);
        cease_error e = ask_method(c, "PUT", &call);
        CHECK_EQ(e == CEASE_OK, rewinds);
        CHECK_EQ(body.rewinds, rewinds);
        if (rewinds) {
            CHECK_HAS(server.request[2], "Transfer-Encoding: chunked\r\n");
            CHECK_HAS(server.request[2], "\r\n\r\n3\r\nsom\r\n3\r\ne t\r\n3\r\next\r\n0\r\n\r\n");
        }
        cease_http_client_free(c);
        play_stop(&server);
    }
}

TEST_ABORTS(client_freedWhileAnAnswerIsOpen_aborts, "while a call or an answer uses it")
{
    cease_http_client *c = client_new();
    play_start(&server, play_always, (void *)(uintptr_t)ok);
    const cease_http_call call = {.size = sizeof call, .url = server.url};
    cease_http_answer *a;
    CHECK_OK(cease_http_client_open(root(), c, &call, &a));
    cease_http_client_free(c);
}

TEST(null_everywhere_isAnErrorOrNothing)
{
    cease_http_reply reply = {0};
    cease_http_answer *a;
    cease_http_client_counts n = {.idle = 7};
    const cease_http_call call = {.size = sizeof call, .url = "http://a/"};
    cease_http_client_free(NULL);
    cease_http_client_close_idle(NULL);
    cease_http_answer_close(NULL);
    cease_http_client_count(NULL, &n);
    CHECK_EQ(n.idle, 0);
    CHECK_ERR(cease_http_client_do(root(), NULL, &call, &reply), CEASE_ENOMEM);
    CHECK_ERR(cease_http_client_open(root(), NULL, &call, &a), CEASE_ENOMEM);
    CHECK_ERR(cease_http_client_hedge(root(), NULL, &call, 1, cease_ms(1), &reply, NULL),
              CEASE_ENOMEM);
    cease_http_client_opts opts = {.size = sizeof opts, .proxy = "socks5://x"};
    CHECK_PTR(cease_http_client_new(&opts), NULL);
}
