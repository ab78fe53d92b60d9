/* SPDX-License-Identifier: MIT
 *
 * glib.c: GLib's GCancellable and g_timeout_add, asked what ctx.c asks. A GCancellable has no
 * parent: a child is connected to its parent's signal, as a tree would have to be made.
 */
#include "bench.h"

#include <gio/gio.h>
#include <stdlib.h>

struct child {
    GCancellable *cancellable;
    gulong link;
};

static GCancellable *parent(void)
{
    static GCancellable *up;
    if (!up)
        up = g_cancellable_new();
    return up;
}

static void on_parent(GCancellable *up, gpointer data)
{
    (void)up;
    g_cancellable_cancel(data);
}

static struct child derive(GCancellable *up)
{
    struct child c = {g_cancellable_new(), 0};
    c.link = g_cancellable_connect(up, G_CALLBACK(on_parent), c.cancellable, NULL);
    return c;
}

static void release(GCancellable *up, struct child c)
{
    g_cancellable_disconnect(up, c.link);
    g_object_unref(c.cancellable);
}

static void cancel_child(uint64_t n)
{
    GCancellable *up = parent();
    while (n-- > 0) {
        struct child c = derive(up);
        g_cancellable_cancel(c.cancellable);
        release(up, c);
    }
}

static gboolean on_time(gpointer data)
{
    (void)data;
    return G_SOURCE_REMOVE;
}

static void timeout(uint64_t n)
{
    while (n-- > 0)
        g_source_remove(g_timeout_add(3600 * 1000, on_time, NULL));
}

static double fan_out(size_t count, int rounds)
{
    struct child *children = malloc(count * sizeof *children);
    bench_need(children != NULL, "malloc");
    int64_t took = 0;
    for (int round = 0; round < rounds; round++) {
        GCancellable *up = g_cancellable_new();
        for (size_t i = 0; i < count; i++)
            children[i] = derive(up);
        int64_t from = bench_now_ns();
        g_cancellable_cancel(up);
        took += bench_now_ns() - from;
        for (size_t i = 0; i < count; i++)
            release(up, children[i]);
        g_object_unref(up);
    }
    free(children);
    return (double)took / (double)rounds / (double)count;
}

static double fan_out_1k(void)
{
    fan_out(1000, 10);
    return fan_out(1000, 100);
}

static double fan_out_1m(void)
{
    return fan_out(1000000, 1);
}

BENCH(ctx_cancel, cancel_child, "A GCancellable connected to a parent, cancelled, dropped?")
BENCH(ctx_timeout, timeout, "g_timeout_add of one hour, and g_source_remove?")
BENCH_VALUE(ctx_fanout_1k, fan_out_1k, "ns", "Cancelling one with 1,000 connected: by child?")
BENCH_VALUE(ctx_fanout_1m, fan_out_1m, "ns", "Cancelling one with a million connected: by child?")
