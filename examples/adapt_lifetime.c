/* SPDX-License-Identifier: MIT
 *
 * Lifetimes of another framework (the article's adapter for Tomb), both ways, with GLib:
 *
 *   - a context that ends when a GCancellable is cancelled, or its parent ends;
 *   - a GCancellable that is cancelled when a context ends, for GIO's calls;
 *   - a GMainLoop that is left when a context ends.
 *
 * Endings are pushed: who knows that something has ended says so, nobody asks. First reason wins.
 */
#include <cease/context.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <stdlib.h>

/* ----- a GCancellable ends a context ----- */

static void on_cancelled(GCancellable *cancellable, void *share)
{
    (void)cancellable;
    cease_cancel_cause(share, G_IO_ERROR_CANCELLED, "the GCancellable was cancelled");
}

static void drop_share(void *share)
{
    cease_end(share);
}

struct bound {
    cease_ctx *ctx;
    cease_canceler *stop;
    GCancellable *cancellable;
    gulong handler; /* holds a share of its own, which goes when it is disconnected */
};

static void bound_init(struct bound *b, cease_ctx *parent, GCancellable *cancellable)
{
    b->ctx = cease_with_cancel(parent, &b->stop);
    b->cancellable = g_object_ref(cancellable);
    /* When it has been cancelled already, the handler runs in here. */
    b->handler = g_cancellable_connect(cancellable, G_CALLBACK(on_cancelled),
                                       cease_canceler_ref(b->stop), drop_share);
}

/* Waits for a handler that runs on another thread; so not from within one. */
static void bound_deinit(struct bound *b)
{
    g_cancellable_disconnect(b->cancellable, b->handler);
    g_object_unref(b->cancellable);
    cease_end(b->stop);
}

/* ----- a context cancels a GCancellable ----- */

static void cancel_it(void *cancellable)
{
    /* Handlers of GLib run in here, on the thread that ended the context: they must not block. */
    g_cancellable_cancel(cancellable);
}

struct fed {
    cease_watch watch;
    GCancellable *cancellable;
};

/* The caller keeps the context until fed_deinit(). */
static void fed_init(struct fed *f, cease_ctx *ctx)
{
    f->cancellable = g_cancellable_new();
    cease_watch_add(&f->watch, ctx, cancel_it, f->cancellable);
}

static void fed_deinit(struct fed *f)
{
    cease_watch_remove_sync(&f->watch); /* afterwards nobody uses the cancellable any more */
    g_object_unref(f->cancellable);
}

/* ----- a context ends a main loop ----- */

static gboolean leave_loop(int fd, GIOCondition condition, void *loop)
{
    (void)fd;
    (void)condition;
    g_main_loop_quit(loop);
    return G_SOURCE_REMOVE;
}

static bool loop_until(cease_ctx *ctx)
{
    int fd = cease_done_fd(ctx);
    if (fd < 0)
        return false;
    GMainLoop *loop = g_main_loop_new(NULL, FALSE);
    guint source = g_unix_fd_add(fd, G_IO_IN, leave_loop, loop);
    g_main_loop_run(loop);
    (void)source; /* has removed itself: the fd is out of the loop before the context goes */
    g_main_loop_unref(loop);
    return cease_done(ctx);
}

int main(void)
{
    /* Ended by the GCancellable. */
    GCancellable *user = g_cancellable_new();
    struct bound b;
    bound_init(&b, cease_background(), user);
    bool open = cease_err(b.ctx) == CEASE_OK;
    g_cancellable_cancel(user);
    bool pushed = open && cease_cause_of(b.ctx)->code == G_IO_ERROR_CANCELLED;
    g_print("%s\n", cease_cause_of(b.ctx)->text);
    bound_deinit(&b);

    /* Ended by the parent, or born ended: the GCancellable is left alone, or was first. */
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    bound_init(&b, ctx, user);
    bool born_ended = cease_done(b.ctx) && !cease_done(ctx);
    bound_deinit(&b);
    g_object_unref(user);

    /* GIO's calls stop with a context, in GIO's own words. */
    struct fed f;
    GError *error = NULL;
    fed_init(&f, ctx);
    cease_cancel(stop);
    bool fed = g_cancellable_set_error_if_cancelled(f.cancellable, &error);
    g_print("%s\n", error != NULL ? error->message : "no error");
    g_clear_error(&error);
    fed_deinit(&f);
    cease_end(stop);

    CEASE_AUTO_END cease_canceler *stop_loop = NULL;
    bool left = loop_until(cease_with_timeout(cease_background(), cease_ms(5), &stop_loop));
    g_print("the main loop has ended\n");
    return pushed && born_ended && fed && left ? EXIT_SUCCESS : EXIT_FAILURE;
}
