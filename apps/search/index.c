/* SPDX-License-Identifier: MIT
 *
 * index.c: see index.h. One task per index, one that shows the progress, and a lock file, so that
 * of several processes with one folder only one writes.
 */
#include "index.h"

#include <cease/group.h>
#include <cease/task.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- state ---- */

struct index_status index_status(const struct index *index)
{
    struct index *i = (struct index *)(uintptr_t)index; /* atomic_load wants it writable in C11 */
    return (struct index_status){.state = atomic_load_explicit(&i->state, memory_order_acquire),
                                 .done = atomic_load_explicit(&i->done, memory_order_relaxed),
                                 .total = atomic_load_explicit(&i->total, memory_order_relaxed)};
}

const char *index_state_name(enum index_state state)
{
    static const char *const names[] = {"off", "looking", "filling", "ready", "stopped", "failed"};
    return names[state];
}

static void set_state(struct index *index, enum index_state state)
{
    atomic_store_explicit(&index->state, state, memory_order_release);
}

void index_begin(struct index *index, uint64_t done, uint64_t total)
{
    atomic_store_explicit(&index->done, done, memory_order_relaxed);
    atomic_store_explicit(&index->total, total, memory_order_relaxed);
    set_state(index, INDEX_FILLING);
}

void index_progress(struct index *index, uint64_t count)
{
    atomic_fetch_add_explicit(&index->done, count, memory_order_relaxed);
    atomic_fetch_add_explicit(&index->added, count, memory_order_relaxed);
}

cease_error index_fail(struct index *index, cease_error e, const char *words)
{
    if (e == CEASE_ECANCELED || e == CEASE_EDEADLINE)
        return e;
    char *text = index->trouble.text;
    size_t size = sizeof index->trouble.text;
    const char *why = words && *words ? words : cease_strerror(e);
    if (e == CEASE_ENOSPC)
        snprintf(text, size, "no space left for the index %.300s (%s)", index->path, why);
    else if (e == CEASE_ENOENT)
        snprintf(text, size, "%s", why);
    else
        snprintf(text, size, "cannot write the index %.300s: %s", index->path, why);
    return e;
}

cease_error index_sweep(cease_ctx *ctx, struct index *index, cease_sqlite *db,
                        const struct stamps *stamps)
{
    enum { CHUNK = 200 };
    const char *gone[CHUNK];
    cease_error e = CEASE_OK;
    for (size_t i = 0; i < stamps->count && e == CEASE_OK;) {
        size_t count = 0;
        for (; i < stamps->count && count < CHUNK; i++)
            if (!stamps->data[i].seen)
                gone[count++] = stamps->data[i].key;
        if (count > 0)
            e = store_remove(ctx, db, gone, count);
    }
    return e == CEASE_OK ? e : index_fail(index, e, cease_sqlite_message(db));
}

/* ---- the folder ---- */

static cease_error make_folders(char *path)
{
    for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash)
            *slash = '\0';
        cease_error e = mkdir(path, 0755) == 0 || errno == EEXIST ? CEASE_OK : (cease_error)-errno;
        if (slash)
            *slash = '/';
        if (!slash || e != CEASE_OK)
            return e;
    }
}

static cease_error open_folder(struct indexes *all, const struct options *o,
                               struct trouble *ret_trouble)
{
    char path[PATH_MAX + 16];
    snprintf(path, sizeof path, "%s", o->data);
    cease_error e = make_folders(path);
    snprintf(path, sizeof path, "%s/lock", o->data);
    if (e == CEASE_OK) {
        all->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (all->lock_fd < 0)
            e = (cease_error)-errno;
    }
    if (e != CEASE_OK)
        snprintf(ret_trouble->text, sizeof ret_trouble->text,
                 "cannot use the folder %.400s for the index: %s", o->data, strerror(-(int)e));
    if (e == CEASE_OK && flock(all->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        close(all->lock_fd); /* another process fills it: serve what it writes */
        all->lock_fd = -1;
    }
    return e;
}

cease_error indexes_open(cease_ctx *ctx, struct indexes *all, const struct options *options,
                         struct trouble *ret_trouble)
{
    all->lock_fd = -1;
    cease_error e = open_folder(all, options, ret_trouble);
    for (int i = 0; i < INDEX_COUNT && e == CEASE_OK; i++) {
        struct index *index = &all->of[i];
        index->name = index_names[i];
        index->options = options;
        snprintf(index->path, sizeof index->path, "%s/%s.db", options->data, index->name);
        cease_sqlite *db;
        e = store_open(ctx, index->path, &db, ret_trouble);
        if (e != CEASE_OK)
            break;
        int64_t count = 0;
        e = store_count(ctx, db, &count);
        if (e != CEASE_OK)
            snprintf(ret_trouble->text, sizeof ret_trouble->text,
                     "cannot read the database %.300s: %s", index->path, cease_sqlite_message(db));
        index->done = index->total = (uint64_t)count;
        cease_sqlite_close(db);
    }
    if (e != CEASE_OK)
        indexes_close(all);
    return e;
}

void indexes_close(struct indexes *all)
{
    if (all->lock_fd >= 0)
        close(all->lock_fd);
    all->lock_fd = -1;
}

/* ---- filling ---- */

static cease_error (*const fillers[INDEX_COUNT])(cease_ctx *, struct index *, cease_sqlite *) = {
    [INDEX_MANUAL] = index_fill_manual, [INDEX_PACKAGES] = index_fill_packages};

static cease_error fill_task(cease_ctx *ctx, void *arg)
{
    struct index *index = arg;
    cease_sqlite *db = NULL;
    cease_error e = store_open(ctx, index->path, &db, &index->trouble);
    if (e == CEASE_OK) {
        for (int i = 0; i < INDEX_COUNT; i++)
            if (strcmp(index->name, index_names[i]) == 0)
                e = fillers[i](ctx, index, db);
        cease_sqlite_close(db);
    }
    if (strcmp(index->name, index_names[INDEX_MANUAL]) == 0)
        cease_chan_close(index->head_start);
    bool cut = e != CEASE_OK && e == cease_err(ctx);
    set_state(index, e == CEASE_OK ? INDEX_READY : cut ? INDEX_STOPPED : INDEX_FAILED);
    /* Without mandoc the rest still works; an index that cannot be written cannot. */
    return e == CEASE_OK || cut ? e : e == CEASE_ENOENT ? CEASE_OK : e;
}

static void print_progress(struct indexes *all, bool terminal)
{
    char line[200];
    int size = 0;
    for (int i = 0; i < INDEX_COUNT; i++) {
        struct index_status s = index_status(&all->of[i]);
        size += snprintf(line + size, sizeof line - (size_t)size, "%s%s %" PRIu64 " of %" PRIu64,
                         i ? ", " : "", all->of[i].name, s.done, s.total);
    }
    fprintf(stderr, terminal ? "\r\033[Kindexing: %s" : "cease-search: indexing: %s\n", line);
    fflush(stderr);
}

/* On a terminal one line that changes, elsewhere a line now and then. */
static cease_error show_task(cease_ctx *ctx, void *arg)
{
    struct indexes *all = arg;
    bool terminal = isatty(STDERR_FILENO);
    for (int64_t pause_ms = terminal ? 200 : 2000;;
         pause_ms = terminal || pause_ms > 20000 ? pause_ms : pause_ms * 2) {
        cease_error e = cease_sleep(ctx, cease_ms(pause_ms));
        if (e != CEASE_OK) {
            if (terminal)
                fputs("\r\033[K", stderr);
            return e;
        }
        print_progress(all, terminal);
    }
}

static void print_trouble(const struct indexes *all)
{
    for (int i = 0; i < INDEX_COUNT; i++)
        if (index_status(&all->of[i]).state == INDEX_FAILED)
            fprintf(stderr, "cease-search: %s\n", all->of[i].trouble.text);
}

static void print_result(struct indexes *all, cease_time since)
{
    uint64_t added = 0;
    for (int i = 0; i < INDEX_COUNT; i++)
        added += all->of[i].added;
    struct index_status manual = index_status(&all->of[INDEX_MANUAL]);
    struct index_status packages = index_status(&all->of[INDEX_PACKAGES]);
    fprintf(stderr,
            "cease-search: %s: %" PRIu64 " manual pages, %" PRIu64 " packages (%" PRIu64
            " new, %.1f s)\n",
            manual.state == INDEX_READY && packages.state == INDEX_READY ? "indexed"
                                                                         : "indexing stopped",
            manual.done, packages.done, added, (double)cease_time_sub(cease_now(), since).ns / 1e9);
}

cease_error indexes_fill(cease_ctx *ctx, struct indexes *all)
{
    if (all->lock_fd < 0) {
        fprintf(stderr, "cease-search: another process fills the index in %s; serving from it\n",
                all->of[0].options->data);
        return CEASE_OK;
    }
    bool quiet = all->of[0].options->quiet;
    cease_time since = cease_now();
    cease_group *fill = cease_group_new(ctx, NULL);
    cease_group *show = cease_group_new(ctx, NULL);
    cease_chan *head_start = cease_chan_new(0, 0);
    cease_error e = fill && show && head_start ? CEASE_OK : CEASE_ENOMEM;
    for (int i = 0; i < INDEX_COUNT && e == CEASE_OK; i++) {
        all->of[i].head_start = head_start;
        set_state(&all->of[i], INDEX_LOOKING);
        e = cease_group_go(fill, fill_task, &all->of[i]);
    }
    if (e == CEASE_OK && !quiet)
        cease_group_go(show, show_task, all); /* without it the index is filled just the same */
    /* Without the one that gives the head start the other would wait for ever. */
    cease_error filling = !fill           ? CEASE_OK
                          : e == CEASE_OK ? cease_group_wait(fill)
                                          : cease_group_stop(fill);
    if (show)
        cease_group_stop(show);
    cease_group_free(fill);
    cease_group_free(show);
    cease_chan_unref(head_start);
    print_trouble(all);
    if (e == CEASE_OK && !quiet)
        print_result(all, since);
    return e == CEASE_OK ? filling : e;
}
