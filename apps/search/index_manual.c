/* SPDX-License-Identifier: MIT
 *
 * index_manual.c: manual pages → store.
 *
 * What is to be done is cut into batches in the order of usefulness. As many tasks as there are
 * cores render batches (a mandoc process each) and send them through a channel to the index's own
 * task, the store's only writer. The channel is short, so whoever renders waits for the writer
 * instead of filling the memory. The first batches are small: a search finds something a moment
 * after the first start.
 */
#include <cease/chan.h>
#include <cease/group.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "index.h"
#include "manpath.h"
#include "render.h"

enum { RENDERERS_MAX = 8, SMALL_BATCHES = 8, SMALL_BATCH = 8, HEAD_START = 1000 };

struct batch {
    size_t count;
    const struct manpage *pages[RENDER_MAX];
    struct rendered texts[RENDER_MAX];
};

struct fill {
    cease_ctx *ctx;
    struct index *index;
    cease_sqlite *db;
    struct manpages pages;
    const struct manpage **todo; /* borrowed from pages */
    size_t todo_count;
    _Atomic size_t next;  /* the first of todo that no renderer has taken */
    _Atomic size_t taken; /* batches taken */
    _Atomic int renderers;
    cease_chan *batches; /* of struct batch * */
};

static void batch_free(struct batch *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->count; i++)
        rendered_deinit(&b->texts[i]);
    free(b);
}

static void drop_batch(void *value)
{
    batch_free(*(struct batch **)value);
}

/* ---- rendering: one task per core ---- */

static struct batch *take_batch(struct fill *f)
{
    struct batch *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    size_t want = atomic_fetch_add(&f->taken, 1) < SMALL_BATCHES ? SMALL_BATCH : RENDER_MAX;
    size_t first = atomic_fetch_add(&f->next, want);
    for (size_t i = first; i < first + want && i < f->todo_count; i++)
        b->pages[b->count++] = f->todo[i];
    return b;
}

static cease_error render_one_batch(cease_ctx *ctx, struct fill *f, bool *ret_more)
{
    const char *paths[RENDER_MAX];
    struct batch *b = take_batch(f);
    if (!b)
        return CEASE_ENOMEM;
    *ret_more = b->count > 0;
    for (size_t i = 0; i < b->count; i++)
        paths[i] = b->pages[i]->path;
    cease_error e = b->count > 0 ? render_texts(ctx, paths, b->count, b->texts) : CEASE_OK;
    if (e == CEASE_OK && b->count > 0) {
        e = cease_chan_send(ctx, f->batches, &b);
        if (e == CEASE_OK)
            return e;
    }
    batch_free(b);
    return e;
}

static cease_error render_task(cease_ctx *ctx, void *arg)
{
    struct fill *f = arg;
    cease_error e = CEASE_OK;
    for (bool more = true; more && e == CEASE_OK;)
        e = render_one_batch(ctx, f, &more);
    if (atomic_fetch_sub(&f->renderers, 1) == 1)
        cease_chan_close(f->batches); /* the last one out */
    return e;
}

/* ---- writing: the index's task ---- */

static void stamp_of(const struct manpage *p, char *ret, size_t size)
{
    uint32_t hash =
        2166136261u; /* FNV-1a, of the aliases: a new link must make the page be indexed again */
    for (const char *s = p->aliases ? p->aliases : ""; *s; s++)
        hash = (hash ^ (unsigned char)*s) * 16777619u;
    snprintf(ret, size, "%" PRId64 ".%" PRId64 ".%08" PRIx32, p->mtime_ns, p->size, hash);
}

struct words {
    char stamp[80];
    char title[300];
    char extra[320];
    char aliases[4096];
};

static struct document describe(const struct manpage *p, const struct rendered *text,
                                struct words *w)
{
    stamp_of(p, w->stamp, sizeof w->stamp);
    snprintf(w->title, sizeof w->title, "%s(%s)", p->name, p->section);
    snprintf(w->extra, sizeof w->extra, "%s%s", *p->lang ? "Language: " : "", p->lang);
    snprintf(w->aliases, sizeof w->aliases, "%s %s", p->aliases ? p->aliases : "",
             text->names ? text->names : "");
    return (struct document){.key = p->key,
                             .stamp = w->stamp,
                             .name = p->name,
                             .title = w->title,
                             .summary = text->summary ? text->summary : "",
                             .aliases = w->aliases,
                             .body = text->body ? text->body : "",
                             .source = p->path,
                             .extra = w->extra,
                             .rank = p->rank};
}

static cease_error write_batch(struct fill *f, const struct batch *b)
{
    struct document documents[RENDER_MAX];
    struct words *words = calloc(b->count, sizeof *words);
    if (!words)
        return CEASE_ENOMEM;
    for (size_t i = 0; i < b->count; i++)
        documents[i] = describe(b->pages[i], &b->texts[i], &words[i]);
    cease_error e = store_put(f->ctx, f->db, documents, b->count);
    if (e != CEASE_OK)
        index_fail(f->index, e, cease_sqlite_message(f->db));
    free(words);
    if (e == CEASE_OK)
        index_progress(f->index, b->count);
    if (f->index->added >= HEAD_START)
        cease_chan_close(f->index->head_start);
    return e;
}

static cease_error write_all(struct fill *f)
{
    for (;;) {
        struct batch *b;
        cease_error e = cease_chan_recv(f->ctx, f->batches, &b);
        if (e == CEASE_ECLOSED)
            return CEASE_OK;
        if (e != CEASE_OK)
            return e;
        e = write_batch(f, b);
        batch_free(b);
        if (e != CEASE_OK)
            return e;
    }
}

static cease_error write_aliases(struct fill *f)
{
    enum { CHUNK = 500 };
    struct store_alias aliases[CHUNK];
    cease_error e = CEASE_OK;
    for (size_t i = 0; i < f->pages.link_count && e == CEASE_OK; i += CHUNK) {
        size_t count = 0;
        for (size_t j = i; j < i + CHUNK && j < f->pages.link_count; j++)
            aliases[count++] =
                (struct store_alias){f->pages.links[j].key, f->pages.links[j].target};
        e = store_put_aliases(f->ctx, f->db, aliases, count);
    }
    return e == CEASE_OK ? e : index_fail(f->index, e, cease_sqlite_message(f->db));
}

/* ---- the whole ---- */

static cease_error find_work(struct fill *f, struct stamps *stamps)
{
    const struct options *o = f->index->options;
    cease_error e = manpages_find(f->ctx, o->roots, o->root_count, &f->pages);
    if (e == CEASE_OK)
        e = store_stamps(f->ctx, f->db, stamps);
    if (e != CEASE_OK)
        return index_fail(f->index, e, cease_sqlite_message(f->db));
    f->todo = calloc(f->pages.count + 1, sizeof *f->todo);
    if (!f->todo)
        return index_fail(f->index, CEASE_ENOMEM, "");
    for (size_t i = 0; i < f->pages.count; i++) {
        char stamp[80];
        stamp_of(&f->pages.data[i], stamp, sizeof stamp);
        struct stamp *known = stamps_find(stamps, f->pages.data[i].key);
        if (known)
            known->seen = true;
        if (!known || strcmp(known->stamp, stamp) != 0)
            f->todo[f->todo_count++] = &f->pages.data[i];
    }
    index_begin(f->index, f->pages.count - f->todo_count, f->pages.count);
    return CEASE_OK;
}

static cease_error start_renderers(struct fill *f, cease_group *group)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int count = cores < 1 ? 1 : cores > RENDERERS_MAX ? RENDERERS_MAX : (int)cores;
    atomic_store(&f->renderers, count);
    int started = 0;
    cease_error e = CEASE_OK;
    while (started < count && (e = cease_group_go(group, render_task, f)) == CEASE_OK)
        started++;
    if (started == count)
        return CEASE_OK;
    /* Fewer will do, but whoever is last must know it is. */
    if (atomic_fetch_sub(&f->renderers, count - started) == count - started)
        cease_chan_close(f->batches);
    return started > 0 ? CEASE_OK : e;
}

static cease_error fill_all(struct fill *f)
{
    cease_group *group = cease_group_new(f->ctx, NULL);
    f->batches = cease_chan_new(sizeof(struct batch *), 2);
    cease_error e = group && f->batches ? CEASE_OK : CEASE_ENOMEM;
    if (f->batches)
        cease_chan_on_drop(f->batches, drop_batch);
    if (e == CEASE_OK)
        e = start_renderers(f, group);
    if (e == CEASE_OK)
        e = write_all(f);
    cease_error rendering =
        group ? (e == CEASE_OK ? cease_group_wait(group) : cease_group_stop(group)) : CEASE_OK;
    cease_group_free(group);
    cease_chan_unref(f->batches);
    if (e == CEASE_OK && rendering == CEASE_ENOENT)
        return index_fail(f->index, CEASE_ENOENT,
                          "mandoc is not installed: manual pages cannot be rendered");
    if (e == CEASE_OK && rendering != CEASE_OK)
        return index_fail(f->index, rendering, "mandoc cannot be run");
    return e;
}

cease_error index_fill_manual(cease_ctx *ctx, struct index *index, cease_sqlite *db)
{
    struct fill f = {.ctx = ctx, .index = index, .db = db};
    struct stamps stamps = {0};
    cease_error e = find_work(&f, &stamps);
    if (e == CEASE_OK && f.todo_count > 0)
        e = fill_all(&f);
    if (e == CEASE_OK)
        e = write_aliases(&f);
    if (e == CEASE_OK)
        e = index_sweep(ctx, index, db, &stamps);
    stamps_deinit(&stamps);
    free(f.todo);
    manpages_deinit(&f.pages);
    return e;
}
