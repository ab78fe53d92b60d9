/* SPDX-License-Identifier: MIT
 *
 * main.c: cease-search from start to end.
 *
 * One context is the root of everything: it ends on SIGTERM or SIGINT, or when the index cannot be
 * written any more. The server's and the index's contexts hang below it. The server then gives
 * running requests their grace; the index stops at once, as it can go on next time.
 *
 * Exit status: 0 after a stop by signal, 1 when something made it impossible to go on, 2 for a
 * wrong command line.
 */
#include <cease/group.h>
#include <cease/http.h>
#include <cease/runtime.h>
#include <cease/signal.h>
#include <cease/snapshot.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accesslog.h"
#include "cache.h"
#include "postgres.h"
#include "remote.h"
#include "server.h"

enum { READERS = 16 }; /* connections to each store: how many requests it works for at a time */

struct program {
    struct options options;
    struct indexes indexes;
    struct app app;
    struct accesslog *log;
    cease_canceler *stop;
    cease_error index_error; /* written by the index's task, read after it was joined */
};

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "cease-search: %s%s%s\n", what, why[0] ? ": " : "", why);
    return 1;
}

static cease_error index_task(cease_ctx *ctx, void *arg)
{
    struct program *p = arg;
    cease_error e = indexes_fill(ctx, &p->indexes);
    if (e == CEASE_OK && p->options.db)
        e = postgres_fill(ctx, p->options.db, &p->indexes);
    if (e == CEASE_OK || e == cease_err(ctx))
        return CEASE_OK;
    p->index_error = e;
    cease_cancel_cause(p->stop, e, "the index cannot be written");
    return e;
}

static int listen_failed(const char *address, cease_error e)
{
    char what[400];
    snprintf(what, sizeof what, "cannot listen on %s", address);
    if (e == CEASE_EADDRINUSE)
        return fail(
            what,
            "another program does (choose another address with --listen, or a port with PORT=…)");
    if (e == CEASE_EINVAL)
        return fail(what, "expected an address such as 127.0.0.1:8080, [::1]:80 or unix:/path");
    return fail(what, cease_strerror(e));
}

static void announce(cease_listener *listener)
{
    char address[CEASE_ADDRESS_SIZE];
    if (cease_listener_address(listener, address, sizeof address) != CEASE_OK)
        return;
    bool local = strncmp(address, "unix:", 5) == 0;
    fprintf(stderr, "cease-search: serving %s%s%s\n", local ? "" : "http://", address,
            local ? "" : "/");
}

/* False: there was no memory for it. */
static bool add_backend(struct app *app, struct backend backend)
{
    if (app->cache)
        backend = cache_wrap(app->cache, backend);
    if (!backend.self)
        return false;
    app->backends.budget[app->backends.count] = options_budget(app->options, backend.name);
    app->backends.of[app->backends.count++] = backend;
    return true;
}

static bool make_app(struct program *p)
{
    static const char *const titles[INDEX_COUNT] = {"Manual pages", "Packages"};
    struct app *app = &p->app;
    const struct options *o = &p->options;
    bool whole = true;
    *app = (struct app){.options = o, .indexes = &p->indexes, .started = cease_now()};
    if (o->cache) {
        app->cache = cache_new(o->cache, o->cache_ttl);
        whole = app->cache != NULL;
    }
    for (int i = 0; i < INDEX_COUNT; i++)
        whole = add_backend(app, embedded_backend(index_names[i], titles[i], p->indexes.of[i].path,
                                                  READERS, o->slow_ms)) &&
                whole;
    for (size_t i = 0; i < o->instance_count; i++) {
        const struct instance *instance = &o->instances[i];
        whole = add_backend(app, remote_backend(instance->name, instance->title, &instance->url, 1,
                                                o->hedge)) &&
                whole;
    }
    if (o->replica_count > 0)
        whole = add_backend(app, remote_backend("replica", "Replicas", o->replicas,
                                                o->replica_count, o->hedge)) &&
                whole;
    if (o->db)
        whole = add_backend(app, postgres_backend(o->db, o->slow_ms)) && whole;
    cease_http_server_opts opts = {
        .size = sizeof opts,
        .grace = o->grace,
        /* Ours is the handlers' own; this one is for a handler that forgets it. */
        .request_timeout =
            cease_ns(o->limit.ns > INT64_MAX / 2 ? INT64_MAX : o->limit.ns + 5000000000),
        .log = accesslog_entry,
        .log_arg = p->log};
    app->server = cease_http_server_new(&opts);
    return whole && app->server && server_routes(app) == CEASE_OK;
}

static void free_app(struct app *app)
{
    cease_http_server_free(app->server);
    for (size_t i = 0; i < app->backends.count; i++)
        app->backends.of[i].free(app->backends.of[i].self);
    cache_free(app->cache);
}

/* Serves, and fills the index meanwhile, until ctx has ended. */
static int serve(cease_ctx *ctx, struct program *p, cease_listener *take_listener)
{
    cease_group *background = cease_group_new(ctx, NULL);
    cease_error e = make_app(p) && background ? CEASE_OK : CEASE_ENOMEM;
    if (e == CEASE_OK && p->options.index)
        e = cease_group_go(background, index_task, p);
    if (e == CEASE_OK) {
        announce(take_listener);
        e = cease_http_server_serve(ctx, p->app.server, take_listener);
    } else {
        cease_listener_close(take_listener);
    }
    cease_group_free(background);
    free_app(&p->app);
    if (p->index_error != CEASE_OK)
        return 1; /* it was said when it happened */
    return e == CEASE_OK ? 0 : fail("cannot serve", cease_strerror(e));
}

static int index_only(cease_ctx *ctx, struct program *p)
{
    cease_error e = indexes_fill(ctx, &p->indexes);
    if (e == CEASE_OK)
        return 0;
    return cease_done(ctx) ? fail("indexing was stopped", cease_cause_of(ctx)->text) : 1;
}

static int run(cease_ctx *ctx, struct program *p)
{
    cease_listener *listener = NULL;
    struct trouble trouble = {{0}};
    if (p->options.serve) {
        cease_error e = cease_listen(ctx, p->options.listen, NULL, &listener);
        if (e != CEASE_OK)
            return listen_failed(p->options.listen, e);
    }
    cease_error e = indexes_open(ctx, &p->indexes, &p->options, &trouble);
    if (e != CEASE_OK) {
        cease_listener_close(listener);
        return fail(trouble.text, "");
    }
    int status = p->options.serve ? serve(ctx, p, listener) : index_only(ctx, p);
    indexes_close(&p->indexes);
    return status;
}

int main(int argc, char **argv)
{
    static struct program program; /* its paths would take much of a stack */
    struct program *p = &program;
    switch (options_read(argc, argv, &p->options)) {
    case OPTIONS_EXIT_OK:
        return fflush(stdout) == 0 ? 0 : 1;
    case OPTIONS_EXIT_USAGE:
        return 2;
    case OPTIONS_RUN:
        break;
    }
    signal(SIGPIPE, SIG_IGN); /* a log that nobody reads any more */
    signal(SIGXFSZ, SIG_IGN); /* a file size limit is an error like a full disk */
    cease_error e = accesslog_open(p->options.log, &p->log);
    if (e != CEASE_OK)
        return fail(p->options.log, cease_strerror(e));
    (void)cease_snapshot_on_sigquit(); /* without it the program works as well */
    cease_ctx *ctx = cease_with_signals(cease_background(), &p->stop);
    int status = run(ctx, p);
    cease_end(p->stop);
    accesslog_close(p->log);
    cease_runtime_stop();
    return status;
}
