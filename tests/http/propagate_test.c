/* propagate_test.c: out to break what a context carries across processes: strict parsing, limits, what goes
 * in and out with requests, and what must not. */
#include "play.h"

#include <cease/http_client.h>
#include <cease/propagate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRACE  "0af7651916cd43dd8448eb211c80319c"
#define SPAN   "b7ad6b7169203331"
#define PARENT "00-" TRACE "-" SPAN "-01"

static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
static struct play server;

static cease_ctx *root(void)
{
    return cease_background();
}

TEST(traceparent_strict_isReadOrRefused)
{
    static const char *const good[] = {
        PARENT,
        "00-" TRACE "-" SPAN "-00",
        "00-" TRACE "-" SPAN "-ff",
        "01-" TRACE "-" SPAN "-01-more",
        "cc-" TRACE "-" SPAN "-01",
    };
    static const char *const bad[] = {
        "",
        "00",
        "00-" TRACE "-" SPAN,
        "00-" TRACE "-" SPAN "-1",
        "00-" TRACE "-" SPAN "-01-",
        "00-" TRACE "-" SPAN "-011",
        "01-" TRACE "-" SPAN "-01more",
        "ff-" TRACE "-" SPAN "-01",
        "0-" TRACE "-" SPAN "-01xx",
        "00-0AF7651916CD43DD8448EB211C80319C-" SPAN "-01",
        "00-00000000000000000000000000000000-" SPAN "-01",
        "00-" TRACE "-0000000000000000-01",
        "00-" TRACE "-" SPAN "-0G",
        "00_" TRACE "-" SPAN "-01",
        " " PARENT,
        PARENT " ",
    };
    cease_trace_context t;
    char text[CEASE_TRACEPARENT_SIZE];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        CHECK_OK(cease_trace_parse(good[i], NULL, &t));
        cease_trace_format(&t, text);
        CHECK(strncmp(text, "00-" TRACE "-" SPAN "-", 53) == 0);
        CHECK_STR(t.state, "");
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_ERR(cease_trace_parse(bad[i], NULL, &t), CEASE_EPARSE);
    }
    CHECK_OK(cease_trace_parse(PARENT, NULL, &t));
    cease_trace_format(&t, text);
    CHECK_STR(text, PARENT);
}

TEST(tracestate_strict_isKeptWholeOrLeftOut)
{
    static const char *const good[] = {"a=1",        "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
                                       "a=1,,b=2",   "fw529a3039@dt=FfAAA,a=1",
                                       "a=1 , b= 2", "0a/_-*=x y"};
    static const char *const bad[] = {"a",    "=1",   "A=1",     "a=1=2", "a=\x7f",
                                      "@v=1", "t@=1", "a@b@c=1", "a=",    "a b=1"};
    cease_trace_context t;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        CHECK_OK(cease_trace_parse(PARENT, good[i], &t));
        CHECK_STR(t.state, good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_OK(cease_trace_parse(PARENT, bad[i], &t));
        CHECK_STR(t.state, "");
    }
    char many[400] = "";
    for (int i = 0; i < 33; i++) {
        snprintf(many + strlen(many), sizeof many - strlen(many), "%sk%d=v", i ? "," : "", i);
    }
    CHECK_OK(cease_trace_parse(PARENT, many, &t));
    CHECK_STR(t.state, ""); /* 33 members */
    *strrchr(many, ',') = '\0';
    CHECK_OK(cease_trace_parse(PARENT, many, &t));
    CHECK_STR(t.state, many);
}

TEST(child_ofATrace_keepsItAndIsAnotherSpan)
{
    cease_trace_context parent;
    cease_trace_context a;
    cease_trace_context b;
    CHECK_OK(cease_trace_parse(PARENT, "a=1", &parent));
    cease_trace_child(&parent, &a);
    cease_trace_child(&a, &b);
    CHECK(memcmp(a.trace_id, parent.trace_id, 16) == 0 && memcmp(b.trace_id, a.trace_id, 16) == 0);
    CHECK(memcmp(a.span_id, parent.span_id, 8) != 0 && memcmp(b.span_id, a.span_id, 8) != 0);
    CHECK_EQ(b.flags, CEASE_TRACE_SAMPLED);
    CHECK_STR(b.state, "a=1");
    cease_trace_child(NULL, &a);
    cease_trace_child(NULL, &b);
    CHECK(memcmp(a.trace_id, b.trace_id, 16) != 0);
    CHECK_EQ(a.flags, 0);
}

TEST(context_carriesCopies_forAllThatIsDerived)
{
    char state[] = "a=1";
    cease_trace_context t;
    char value[64];
    size_t size;
    CHECK_PTR(cease_trace_from_context(root()), NULL);
    CHECK_STR(cease_baggage_from_context(root()), "");
    CHECK_ERR(cease_baggage_value(root(), "k", value, sizeof value, NULL), CEASE_ENOENT);
    CHECK_OK(cease_trace_parse(PARENT, state, &t));
    cease_ctx *traced = cease_with_trace(root(), &t);
    memset(state, 'x', 3);
    cease_ctx *ctx;
    CHECK_OK(cease_with_baggage(traced, "k = v%20w ;p;q=1 , user=anna", &ctx));
    cease_unref(traced);
    cease_canceler *stop;
    cease_ctx *below = cease_with_cancel(ctx, &stop);
    CHECK_STR(cease_trace_from_context(below)->state, "a=1");
    CHECK_OK(cease_baggage_value(below, "k", value, sizeof value, &size));
    CHECK_STR(value, "v w");
    CHECK_EQ(size, 3);
    CHECK_ERR(cease_baggage_value(below, "k", value, 3, &size), CEASE_ERANGE);
    CHECK_OK(cease_baggage_value(below, "user", value, sizeof value, NULL));
    CHECK_STR(value, "anna");
    CHECK_ERR(cease_baggage_value(below, "use", value, sizeof value, NULL), CEASE_ENOENT);
    cease_ctx *more;
    CHECK_OK(cease_with_baggage_member(below, "k", "a,b;c%\"\\ \xc3\xa9", &more));
    CHECK_OK(cease_baggage_value(more, "k", value, sizeof value, NULL));
    CHECK_STR(value, "a,b;c%\"\\ \xc3\xa9");
    CHECK_STR(cease_baggage_from_context(more), "user=anna,k=a%2Cb%3Bc%25%22%5C%20%C3%A9");
    cease_unref(more);
    CHECK_ERR(cease_with_baggage_member(below, "a b", "x", &more), CEASE_EINVAL);
    CHECK_ERR(cease_with_baggage_member(below, "", "x", &more), CEASE_EINVAL);
    cease_end(stop);
    cease_unref(ctx);
    CHECK_OK(cease_trace_parse(PARENT, NULL, &t));
    t.state = "a=1\r\nEvil: yes"; /* a caller's slip is not sent */
    traced = cease_with_trace(root(), &t);
    CHECK_STR(cease_trace_from_context(traced)->state, "");
    cease_unref(traced);
}

TEST(baggage_strictAndBounded_isKeptByWholeMembers)
{
    static const char *const bad[] = {"a",     "=1",      "a=1,",     "a b=1", "a=1 2",  "a=\"1\"",
                                      "a=1;=", "a=1;b c", "a=1,,b=2", "a=\\",  "a=\x01", "\xc3=1"};
    static char text[20000];
    cease_ctx *ctx;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (strcmp(bad[i], "a=1,") != 0) { /* nothing behind a comma is nothing */
            CHECK_ERR(cease_with_baggage(root(), bad[i], &ctx), CEASE_EPARSE);
        }
    }
    size_t size = 0;
    for (int i = 0; i < 70; i++) {
        size += (size_t)snprintf(text + size, sizeof text - size, "%sk%02d=v", i ? "," : "", i);
    }
    CHECK_OK(cease_with_baggage(root(), text, &ctx));
    CHECK_STR(strrchr(cease_baggage_from_context(ctx), ','), ",k63=v");
    cease_ctx *more;
    CHECK_ERR(cease_with_baggage_member(ctx, "new", "x", &more), CEASE_EMSGSIZE);
    cease_unref(ctx);
    memset(text, 'v', sizeof text);
    memcpy(text, "a=1,b=", 6);
    text[8193] = '\0'; /* 8,193 bytes */
    CHECK_OK(cease_with_baggage(root(), text, &ctx));
    CHECK_STR(cease_baggage_from_context(ctx), "a=1");
    cease_unref(ctx);
    text[8192] = '\0';
    CHECK_OK(cease_with_baggage(root(), text, &ctx));
    CHECK_EQ(strlen(cease_baggage_from_context(ctx)), 8192);
    cease_unref(ctx);
}

/* ---- out ---- */

TEST(client_underAContext_sendsWhatItCarriesInsteadOfTheCallers)
{
    cease_http_client_opts opts = {.size = sizeof opts, .proxy = ""};
    cease_http_client *c = cease_http_client_new(&opts);
    opts.no_trace = opts.no_baggage = true;
    cease_http_client *mute = cease_http_client_new(&opts);
    const cease_http_header headers[] = {
        {"Traceparent", "old"}, {"TraceState", "old"}, {"Baggage", "old"}, {NULL, NULL}};
    cease_trace_context t;
    cease_http_reply reply = {0};
    CHECK_OK(cease_trace_parse(PARENT, "a=1", &t));
    cease_ctx *traced = cease_with_trace(root(), &t);
    cease_ctx *ctx;
    CHECK_OK(cease_with_baggage(traced, "user=anna", &ctx));
    play_start(&server, play_always, (void *)(uintptr_t)ok);
    const cease_http_call call = {.size = sizeof call, .url = server.url, .headers = headers};
    CHECK_OK(cease_http_client_do(ctx, c, &call, &reply));
    cease_http_reply_deinit(&reply);
    CHECK_HAS(server.request[0], "\r\ntraceparent: " PARENT "\r\ntracestate: a=1\r\n");
    CHECK_HAS(server.request[0], "\r\nbaggage: user=anna\r\n");
    CHECK_HAS_NOT(server.request[0], "old");
    CHECK_OK(cease_http_client_do(ctx, mute, &call, &reply));
    cease_http_reply_deinit(&reply);
    CHECK_HAS_NOT(server.request[1], PARENT);
    CHECK_HAS_NOT(server.request[1], "anna");
    CHECK_HAS(server.request[1], "Traceparent: old\r\n");
    CHECK_OK(cease_http_client_do(root(), c, &call, &reply));
    cease_http_reply_deinit(&reply);
    CHECK_HAS(server.request[2], "Baggage: old\r\n");
    CHECK_OK(cease_http_get(ctx, server.url, NULL, &reply)); /* the simple form as well */
    cease_http_reply_deinit(&reply);
    CHECK_HAS(server.request[3], "traceparent: " PARENT "\r\n");
    cease_http_client_free(c);
    cease_http_client_free(mute);
    cease_unref(ctx);
    cease_unref(traced);
    play_stop(&server);
}

/* ---- in ---- */

static cease_error say_carried(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                               void *arg)
{
    char parent[CEASE_TRACEPARENT_SIZE] = "none";
    const cease_trace_context *t = cease_trace_from_context(ctx);
    (void)req;
    (void)arg;
    if (t) {
        cease_trace_format(t, parent);
    }
    return cease_http_response_print(ctx, res, "<%s|%s|%s>", parent, t ? t->state : "",
                                     cease_baggage_from_context(ctx));
}

static struct rig rig;

TEST(server_putsWhatCameIn_intoTheRequestsContext)
{
    static const struct {
        const char *fields, *expected;
        unsigned bad;
    } rows[] = {
        {"", "<none||>", 0},
        {"traceparent: " PARENT "\r\n", "<" PARENT "||>", 0},
        {"Traceparent: " PARENT "\r\ntracestate: a=1\r\nTraceState: b=2\r\n",
         "<" PARENT "|a=1,b=2|>", 0},
        {"traceparent: " PARENT "\r\ntraceparent: " PARENT "\r\n", "<none||>", 1},
        {"traceparent: x\r\ntracestate: a=1\r\n", "<none||>", 1},
        {"traceparent: " PARENT "\r\ntracestate: =\r\n", "<" PARENT "||>", 1},
        {"tracestate: a=1\r\n", "<none||>", 0},
        {"baggage: a=1\r\nBaggage: b=2;p\r\n", "<none||a=1,b=2;p>", 0},
        {"baggage: a=1\r\nBaggage: b\r\n", "<none||>", 1},
    };
    for (int take = 0; take < 2; take++) {
        cease_http_server_opts opts = {.size = sizeof opts, .take_baggage = take};
        unsigned bad = 0;
        rig_init(&rig, &opts);
        CHECK_OK(cease_http_server_route(rig.server, "GET", "/", say_carried, NULL));
        rig_start(&rig);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            char request[1000];
            bool baggage = strstr(rows[i].fields, "aggage") != NULL;
            snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n",
                     rows[i].fields);
            char *text = rig_ask(&rig, request);
            CHECK_HAS(text, take || !baggage ? rows[i].expected : "<none||>");
            free(text);
            bad += take || !baggage ? rows[i].bad : 0;
            CHECK_EQ(rig_counts(&rig).bad_trace_total, bad);
        }
        rig_stop(&rig);
    }
}

TEST(everyAllocation_failing_leavesNothing)
{
    cease_trace_context t;
    CHECK_OK(cease_trace_parse(PARENT, "a=1", &t));
    HARNESS_EACH_ALLOC_FAILS(n)
    {
        cease_ctx *ctx = cease_with_trace(root(), &t);
        cease_ctx *inner;
        char value[10];
        if (cease_with_baggage(ctx, "a=1", &inner) == CEASE_OK) {
            cease_error e = cease_baggage_value(inner, "a", value, sizeof value, NULL);
            CHECK(e == CEASE_OK || e == CEASE_ENOENT);
            cease_unref(inner);
        }
        if (cease_with_baggage_member(ctx, "a", "1", &inner) == CEASE_OK) {
            cease_unref(inner);
        }
        cease_unref(ctx);
    }
}
