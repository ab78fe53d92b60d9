/* SPDX-License-Identifier: MIT
 *
 * function.c: functions that SQL calls and that see the query's context.
 */
#include "connection.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

struct function {
    cease_sqlite *db;
    cease_sqlite_function_opts opts;
};

static void function_free(void *arg)
{
    struct function *f = arg;
    if (f->opts.release)
        f->opts.release(f->opts.arg);
    free(f);
}

/* SQLite calls this inside a step. A context that has ended ends the statement here and now: the progress
 * handler would only see it some steps later. */
static void call(sqlite3_context *of_call, int count, sqlite3_value **values)
{
    struct function *f = sqlite3_user_data(of_call);
    cease_ctx *ctx = ceasei_sqlite_ctx(f->db);
    if (!cease_done(ctx))
        f->opts.fn(ctx, of_call, count, values, f->opts.arg);
    if (cease_done(ctx))
        sqlite3_result_error_code(of_call, SQLITE_INTERRUPT);
}

static int define(cease_ctx *ctx, sqlite3 *handle, void *arg)
{
    struct function *f = arg;
    (void)ctx;
    int flags = SQLITE_UTF8 | (f->opts.deterministic ? SQLITE_DETERMINISTIC : 0);
    /* Calls function_free itself when it fails. */
    return sqlite3_create_function_v2(handle, f->opts.name, f->opts.arg_count, flags, f, call, NULL,
                                      NULL, function_free);
}

struct defining {
    struct function *f;
    bool began;
};

static int define_once(cease_ctx *ctx, sqlite3 *handle, void *arg)
{
    struct defining *d = arg;
    d->began = true;
    return define(ctx, handle, d->f);
}

cease_error cease_sqlite_function(cease_ctx *ctx, cease_sqlite *db,
                                  const cease_sqlite_function_opts *opts)
{
    struct function *f = malloc(sizeof *f);
    if (!f) {
        if (opts->release)
            opts->release(opts->arg);
        return CEASE_ENOMEM;
    }
    *f = (struct function){.db = db, .opts = *opts};
    struct defining d = {.f = f};
    cease_error e = cease_sqlite_run(ctx, db, define_once, &d);
    if (!d.began)
        function_free(f);
    return e;
}
