/* tls_client.c: our HTTP/2 clients over TLS, for tls_test.py. The one with a connection asks once, then a hundred times at
 * once; the one that keeps connections asks from 50 tasks, 20 times each. Says what came.
 *
 *     tls_client HOST:PORT CA_FILE PATH [pool]
 */
#include <cease/cease.h>
#include <cease/http2.h>
#include <cease/https.h>
#include <stdio.h>
#include <string.h>

struct asking {
    cease_http2_client *client;
    const char *url;
    size_t size; /* of the body that must come; SIZE_MAX: any */
};

static cease_error ask(cease_ctx *ctx, void *arg)
{
    struct asking *a = arg;
    const cease_http_call call = {.size = sizeof call, .url = a->url};
    cease_http_reply reply = {0};
    cease_error e = cease_http2_do(ctx, a->client, &call, &reply);
    bool ok =
        e == CEASE_OK && reply.status == 200 && (a->size == SIZE_MAX || reply.body_size == a->size);
    a->size = ok && a->size == SIZE_MAX ? reply.body_size : a->size;
    cease_http_reply_deinit(&reply);
    return ok ? CEASE_OK : e != CEASE_OK ? e : CEASE_EPROTO;
}

static cease_error ask_all(cease_ctx *ctx, struct asking *a)
{
    cease_error e = ask(ctx, a); /* tells the size */
    cease_group *g = cease_group_new(ctx, NULL);
    for (int i = 0; i < 100 && e == CEASE_OK; i++) {
        e = cease_group_go(g, ask, a);
    }
    cease_error joined = cease_group_wait(g);
    cease_group_free(g);
    return e == CEASE_OK ? joined : e;
}

/* As cease_http2_dial does it, by hand: the session is the caller's until it is given away. */
static cease_error connect_tls(cease_ctx *ctx, char **argv, cease_tls **ret_tls)
{
    static const char *const protocols[] = {"h2", "http/1.1", NULL};
    const cease_tls_client_opts opts = {.size = sizeof opts, .ca_file = argv[2], .alpn = protocols};
    cease_conn *conn;
    cease_error e = cease_dial(ctx, argv[1], NULL, &conn);
    if (e != CEASE_OK) {
        return e;
    }
    cease_tls_config *trust = cease_tls_client_new(&opts);
    *ret_tls = cease_tls_client(trust, conn, "localhost");
    cease_tls_config_unref(trust);
    e = *ret_tls ? cease_tls_handshake(ctx, *ret_tls) : CEASE_ENOMEM;
    if (e != CEASE_OK) {
        fprintf(stderr, "%s\n", cease_tls_why(*ret_tls));
        cease_tls_close(*ret_tls);
    }
    return e;
}

/* ---- the client that keeps its connections ---- */

enum { TASKS = 50, CALLS = 20 };

struct pooled {
    cease_http_client *client;
    const char *url;
    int http2, http1; /* atomic: answers, by what they came over */
};

static cease_error ask_pooled(cease_ctx *ctx, void *arg)
{
    struct pooled *p = arg;
    const cease_http_call call = {.size = sizeof call, .url = p->url};
    cease_error e = CEASE_OK;
    for (int i = 0; i < CALLS && e == CEASE_OK; i++) {
        cease_http_reply reply = {0};
        e = cease_http_client_do(ctx, p->client, &call, &reply);
        if (e == CEASE_OK) {
            bool two = reply.reason[0] == '\0'; /* which only HTTP/1.1 has */
            __atomic_fetch_add(two ? &p->http2 : &p->http1, 1, __ATOMIC_RELAXED);
            e = reply.status == 200 ? e : CEASE_EPROTO;
        }
        cease_http_reply_deinit(&reply);
    }
    return e;
}

static cease_error run_pooled(cease_ctx *ctx, char **argv, const char *url)
{
    static const char *const protocols[] = {"h2", "http/1.1", NULL};
    const cease_tls_client_opts trust = {
        .size = sizeof trust, .ca_file = argv[2], .alpn = protocols};
    cease_http_client_opts opts = {
        .size = sizeof opts, .proxy = "", .tls = cease_https(), .multiplex = cease_http2()};
    cease_tls_config *config = cease_tls_client_new(&trust);
    opts.tls_arg = config;
    struct pooled p = {.client = cease_http_client_new(&opts), .url = url};
    cease_http_client_counts n;
    cease_group *g = cease_group_new(ctx, NULL);
    cease_error e = CEASE_OK;
    for (int i = 0; i < TASKS && e == CEASE_OK; i++) {
        e = cease_group_go(g, ask_pooled, &p);
    }
    cease_error joined = cease_group_wait(g);
    cease_group_free(g);
    cease_http_client_count(p.client, &n);
    printf("%s: %d by HTTP/2, %d by HTTP/1.1, %llu connections, %llu retries\n",
           cease_strerror(joined), p.http2, p.http1, (unsigned long long)n.dials_total,
           (unsigned long long)n.retries_total);
    cease_http_client_free(p.client);
    cease_tls_config_unref(config);
    return e == CEASE_OK ? joined : e;
}

static cease_error run_one(cease_ctx *ctx, char **argv, const char *url)
{
    cease_tls *tls = NULL;
    struct asking a = {.url = url, .size = SIZE_MAX};
    cease_error e = connect_tls(ctx, argv, &tls);
    if (e == CEASE_OK) {
        const char *protocol = cease_tls_alpn(tls);
        printf("%s\n", protocol ? protocol : "none");
        e = cease_http2_client_over(cease_https(), tls, NULL, &a.client);
    }
    if (e == CEASE_OK) {
        e = ask_all(ctx, &a);
        printf("%s, %zu bytes each\n", cease_strerror(e), a.size);
        cease_http2_client_close(a.client);
    }
    return e;
}

int main(int argc, char **argv)
{
    cease_canceler *stop;
    char url[200];
    if (argc < 4) {
        return 2;
    }
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_sec(20), &stop);
    snprintf(url, sizeof url, "https://%s%s", argv[1], argv[3]);
    cease_error e = argc > 4 ? run_pooled(ctx, argv, url) : run_one(ctx, argv, url);
    cease_end(stop);
    cease_error stopped = cease_runtime_stop();
    return e == CEASE_OK && stopped == CEASE_OK && cease_live_count() == 0 ? 0 : 1;
}
