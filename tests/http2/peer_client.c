/* peer_client.c: our HTTP/2 client against another implementation's server: prints "ok NAME" or "FAIL NAME" for
 * each thing it tries.
 *
 *     peer_client HOST:PORT [CA_FILE]     with a file: over TLS
 *
 * The server has /hello, /echo (with the trailer "end: yes"), /wait (answers never), /fields (the request's trace,
 * baggage and time that is left), /abort (cuts its answer off) and /stop (stops, and answers when it is told by its
 * other streams' ends).
 */
#include <cease/cease.h>
#include <cease/http2.h>
#include <cease/https.h>
#include <cease/propagate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct peer {
    cease_http2_client *client;
    const char *scheme, *address;
};

static int failures;

static void check(const char *name, bool ok)
{
    printf("%s %s\n", ok ? "ok" : "FAIL", name);
    failures += !ok;
}

static cease_error ask(cease_ctx *ctx, const struct peer *p, const char *path,
                       cease_http_reply *ret)
{
    char url[200];
    const cease_http_call call = {.size = sizeof call, .url = url};
    snprintf(url, sizeof url, "%s://%s%s", p->scheme, p->address, path);
    return cease_http2_do(ctx, p->client, &call, ret);
}

static bool says(cease_ctx *ctx, const struct peer *p, const char *path, const char *want)
{
    cease_http_reply reply = {0};
    bool ok = ask(ctx, p, path, &reply) == CEASE_OK && reply.status == 200 &&
              strcmp(reply.body, want) == 0;
    cease_http_reply_deinit(&reply);
    return ok;
}

static cease_error hello_task(cease_ctx *ctx, void *arg)
{
    return says(ctx, arg, "/hello", "Hello, world\n") ? CEASE_OK : CEASE_EPROTO;
}

static void many(cease_ctx *ctx, struct peer *p)
{
    check("is answered", says(ctx, p, "/hello", "Hello, world\n"));
    cease_group *g = cease_group_new(ctx, NULL);
    cease_error e = CEASE_OK;
    for (int i = 0; i < 500 && e == CEASE_OK; i++) { /* above what a server takes at a time */
        e = cease_group_go(g, hello_task, p);
    }
    cease_error joined = cease_group_wait(g);
    check("500 requests at a time are answered", e == CEASE_OK && joined == CEASE_OK);
    cease_group_free(g);
}

static cease_error open_stream(cease_ctx *ctx, struct peer *p, const char *path, bool end,
                               cease_http2_stream **ret)
{
    char url[200];
    const cease_http_call call = {.size = sizeof call, .url = url, .method = end ? "GET" : "POST"};
    snprintf(url, sizeof url, "%s://%s%s", p->scheme, p->address, path);
    return cease_http2_stream_open(ctx, p->client, &call, end, ret);
}

struct upload {
    cease_http2_stream *stream;
    const char *data;
    size_t size;
};

static cease_error upload_task(cease_ctx *ctx, void *arg)
{
    struct upload *u = arg;
    cease_error e = cease_http2_stream_write(ctx, u->stream, u->data, u->size);
    return e == CEASE_OK ? cease_http2_stream_end(ctx, u->stream, NULL) : e;
}

/* Reads all; whether it is what was sent. */
static bool comes_back(cease_ctx *ctx, const struct upload *u)
{
    char buf[8192];
    size_t at = 0;
    size_t n = 0;
    cease_error e;
    while ((e = cease_http2_stream_read(ctx, u->stream, buf, sizeof buf, &n)) == CEASE_OK) {
        if (n > u->size - at || memcmp(buf, u->data + at, n) != 0) {
            return false;
        }
        at += n;
    }
    return e == CEASE_EOF && at == u->size;
}

static void echo(cease_ctx *ctx, struct peer *p)
{
    struct upload u = {.size = 3 * 1000 * 1000};
    char *data = malloc(u.size);
    int status = 0;
    u.data = data;
    for (size_t i = 0; i < u.size; i++) {
        data[i] = (char)(i * 7 / 3);
    }
    if (open_stream(ctx, p, "/echo", false, &u.stream) != CEASE_OK) {
        check("a stream is opened", false);
        exit(1);
    }
    cease_group *g = cease_group_new(ctx, NULL);
    bool ok = cease_group_go(g, upload_task, &u) == CEASE_OK &&
              cease_http2_stream_wait(ctx, u.stream, &status) == CEASE_OK && status == 200 &&
              comes_back(ctx, &u);
    check("3 MB come back while they are sent", ok && cease_group_wait(g) == CEASE_OK);
    cease_group_free(g);
    const char *end = cease_http2_stream_trailer(u.stream, "End");
    check("with their trailer", end && strcmp(end, "yes") == 0);
    cease_http2_stream_close(u.stream);
    free(data);
}

static void carries(cease_ctx *ctx, struct peer *p)
{
    static const char parent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    cease_trace_context trace;
    cease_canceler *stop;
    cease_ctx *full = NULL;
    cease_http_reply reply = {0};
    char want[200];
    cease_trace_parse(parent, "k=v", &trace);
    cease_ctx *timed = cease_with_timeout(ctx, cease_sec(60), &stop);
    cease_ctx *traced = cease_with_trace(timed, &trace);
    snprintf(want, sizeof want, "%s k=v user=7 ", parent);
    bool ok = cease_with_baggage(traced, "user=7", &full) == CEASE_OK &&
              ask(full, p, "/fields", &reply) == CEASE_OK &&
              strncmp(reply.body, want, strlen(want)) == 0;
    long ms = ok ? strtol(reply.body + strlen(want), NULL, 10) : 0;
    check("what a context carries arrives", ok && ms > 0 && ms < 60000);
    cease_http_reply_deinit(&reply);
    cease_unref(full);
    cease_unref(traced);
    cease_end(stop);
}

static void ends(cease_ctx *ctx, struct peer *p)
{
    cease_canceler *stop;
    cease_http_reply reply = {0};
    cease_http2_stream *s = NULL;
    int status = 0;
    cease_ctx *late = cease_with_timeout(ctx, cease_ms(50), &stop);
    check("a deadline ends a request", ask(late, p, "/wait", &reply) == CEASE_EDEADLINE);
    cease_end(stop);
    check("an answer that is cut off is no answer",
          ask(ctx, p, "/abort", &reply) == CEASE_ECONNRESET);
    check("the connection goes on", says(ctx, p, "/hello", "Hello, world\n"));
    bool ok = open_stream(ctx, p, "/wait", false, &s) == CEASE_OK &&
              cease_http2_stream_write(ctx, s, "x", 1) == CEASE_OK &&
              cease_http2_stream_wait(ctx, s, &status) == CEASE_OK && status == 200;
    check("a head comes before its body", ok);
    cease_http2_stream_close(s); /* the server prints that it heard of it */
}

/* The server says GOAWAY when it is asked to stop, and answers what it has. */
static void goes(cease_ctx *ctx, struct peer *p)
{
    cease_http_reply reply = {0};
    check("a server that stops still answers what it has", says(ctx, p, "/stop", "stopping\n"));
    while (cease_http2_client_usable(p->client) && cease_err(ctx) == CEASE_OK) {
        cease_sleep(ctx, cease_ms(1));
    }
    check("and is not usable then", !cease_http2_client_usable(p->client));
    check("and takes nothing more", ask(ctx, p, "/hello", &reply) == CEASE_ECLOSED);
}

static cease_error dial(cease_ctx *ctx, struct peer *p, const char *ca_file)
{
    static const char *const protocols[] = {"h2", NULL};
    const cease_tls_client_opts trust = {
        .size = sizeof trust, .ca_file = ca_file, .alpn = protocols};
    cease_tls_config *config = ca_file ? cease_tls_client_new(&trust) : NULL;
    const cease_http2_opts opts = {
        .size = sizeof opts, .tls = ca_file ? cease_https() : NULL, .tls_arg = config};
    cease_error e = cease_http2_dial(ctx, p->address, &opts, &p->client);
    cease_tls_config_unref(config);
    return e;
}

int main(int argc, char **argv)
{
    cease_canceler *stop;
    if (argc != 2 && argc != 3) {
        return 2;
    }
    struct peer p = {.address = argv[1], .scheme = argc == 3 ? "https" : "http"};
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_sec(90), &stop);
    if (dial(ctx, &p, argc == 3 ? argv[2] : NULL) != CEASE_OK) {
        check("connects", false);
        return 1;
    }
    many(ctx, &p);
    echo(ctx, &p);
    carries(ctx, &p);
    ends(ctx, &p);
    goes(ctx, &p);
    cease_http2_client_close(p.client);
    cease_end(stop);
    check("nothing is left", cease_runtime_stop() == CEASE_OK && cease_live_count() == 0);
    return failures > 0;
}
