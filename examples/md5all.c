/* SPDX-License-Identifier: MIT
 *
 * MD5All, from Go's "Pipelines and cancellation": the MD5 sum of every file under some folders, in md5sum's format,
 * sorted by path.
 *
 *     md5all serial|parallel|bounded FOLDER...
 *
 * Three forms of the same function: one file after another; a task for each file; twenty digesters behind a
 * channel. All stop at the first error, and none returns before everything that it has started has: Go's versions
 * leave digesters behind that still read their files.
 */
#include "md5.h"

#include <cease/cease.h>
#include <cease/file.h>
#include <fcntl.h>
#include <fts.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { DIGESTERS = 20 };

struct sum {
    char *path;
    char text[33];
};

struct sums {
    struct sum *list;
    size_t count, room;
};

static cease_error sums_add(struct sums *s, const char *path, const char *text)
{
    if (s->count == s->room) {
        size_t room = s->room ? 2 * s->room : 64;
        struct sum *list = realloc(s->list, room * sizeof *list);
        if (!list) {
            return CEASE_ENOMEM;
        }
        s->list = list;
        s->room = room;
    }
    struct sum *sum = &s->list[s->count];
    sum->path = strdup(path);
    snprintf(sum->text, sizeof sum->text, "%s", text);
    s->count += sum->path != NULL;
    return sum->path ? CEASE_OK : CEASE_ENOMEM;
}

static void sums_free(struct sums *s)
{
    for (size_t i = 0; i < s->count; i++) {
        free(s->list[i].path);
    }
    free(s->list);
}

/* The sum of one file. Parks while the file is read, so that others run. */
static cease_error digest(cease_ctx *ctx, const char *path, char ret_text[33])
{
    cease_file *file;
    cease_error e = cease_file_open(ctx, path, O_RDONLY, 0, &file);
    if (e) {
        return e;
    }
    struct md5 md5;
    md5_init(&md5);
    char block[16384];
    size_t n = 0;
    for (uint64_t at = 0;; at += n) {
        e = cease_file_read(ctx, file, block, sizeof block, at, &n);
        if (e) {
            break;
        }
        md5_add(&md5, block, n);
    }
    cease_file_close(file);
    if (e != CEASE_EOF) {
        return e;
    }
    md5_finish(&md5, ret_text);
    return CEASE_OK;
}

/* ---- the walk ---------------------------------------------------------------------------------------- */

typedef cease_error visit_fn(cease_ctx *ctx, void *arg, const char *path);

/* Calls visit for every regular file, until it gives an error. */
static cease_error walk(cease_ctx *ctx, char **roots, visit_fn *visit, void *arg)
{
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    cease_error e = tree ? CEASE_OK : CEASE_ENOMEM;
    for (FTSENT *entry; !e && (entry = fts_read(tree));) {
        if (entry->fts_info == FTS_F && S_ISREG(entry->fts_statp->st_mode)) {
            e = visit(ctx, arg, entry->fts_path);
        } else if (entry->fts_info == FTS_NS || entry->fts_info == FTS_DNR) {
            e = (cease_error)-entry->fts_errno;
        }
        e = e ? e : cease_err(ctx);
    }
    if (tree) {
        fts_close(tree);
    }
    return e;
}

/* ---- serial ------------------------------------------------------------------------------------------- */

static cease_error digest_now(cease_ctx *ctx, void *arg, const char *path)
{
    char text[33];
    cease_error e = digest(ctx, path, text);
    return e ? e : sums_add(arg, path, text);
}

static cease_error md5_all_serial(cease_ctx *ctx, char **roots, struct sums *sums)
{
    return walk(ctx, roots, digest_now, sums);
}

/* ---- a task for each file ------------------------------------------------------------------------------ */

struct parallel {
    cease_group *group;
    cease_mutex mutex;
    struct sums *sums; /* under mutex */
};

struct job {
    struct parallel *all;
    char path[];
};

static cease_error digest_job(cease_ctx *ctx, void *arg)
{
    struct job *job = arg;
    char text[33];
    cease_error e = digest(ctx, job->path, text);
    e = e ? e : cease_mutex_lock(ctx, &job->all->mutex);
    if (!e) {
        e = sums_add(job->all->sums, job->path, text);
        cease_mutex_unlock(&job->all->mutex);
    }
    free(job);
    return e;
}

static cease_error start_job(cease_ctx *ctx, void *arg, const char *path)
{
    (void)ctx;
    struct parallel *all = arg;
    size_t size = strlen(path) + 1;
    struct job *job = malloc(sizeof *job + size);
    if (!job) {
        return CEASE_ENOMEM;
    }
    job->all = all;
    memcpy(job->path, path, size);
    cease_error e = cease_group_go(all->group, digest_job, job);
    if (e) {
        free(job);
    }
    return e;
}

static cease_error md5_all_parallel(cease_ctx *ctx, char **roots, struct sums *sums)
{
    struct parallel all = {.group = cease_group_new(ctx, NULL), .sums = sums};
    cease_error walked = walk(cease_group_ctx(all.group), roots, start_job, &all);
    /* A walk that was ended by a task's error says only that; the group says which. */
    cease_error e = walked ? cease_group_stop(all.group) : cease_group_wait(all.group);
    cease_group_free(all.group);
    return e ? e : walked;
}

/* ---- twenty digesters ----------------------------------------------------------------------------------- */

struct result {
    char *path; /* its receiver's to free */
    char text[33];
};

struct bounded {
    char **roots;
    cease_chan *paths, *results; /* of char *, of struct result */
    cease_wait_group digesters;
};

static cease_error send_path(cease_ctx *ctx, void *arg, const char *path)
{
    struct bounded *all = arg;
    char *copy = strdup(path);
    cease_error e = copy ? cease_chan_send(ctx, all->paths, &copy) : CEASE_ENOMEM;
    if (e) {
        free(copy); /* nobody has received it */
    }
    return e;
}

static cease_error walk_task(cease_ctx *ctx, void *arg)
{
    struct bounded *all = arg;
    cease_error e = walk(ctx, all->roots, send_path, all);
    cease_chan_close(all->paths); /* the digesters finish what is there */
    return e;
}

static cease_error digest_task(cease_ctx *ctx, void *arg)
{
    struct bounded *all = arg;
    struct result r;
    cease_error e;
    while ((e = cease_chan_recv(ctx, all->paths, &r.path)) == CEASE_OK) {
        e = digest(ctx, r.path, r.text);
        e = e ? e : cease_chan_send(ctx, all->results, &r);
        if (e) {
            free(r.path);
            break;
        }
    }
    cease_wait_group_done(&all->digesters);
    return e == CEASE_ECLOSED ? CEASE_OK : e;
}

/* Closes the results when the last digester has returned. */
static cease_error close_task(cease_ctx *ctx, void *arg)
{
    struct bounded *all = arg;
    cease_error e = cease_wait_group_wait(ctx, &all->digesters);
    cease_chan_close(all->results);
    return e;
}

static void drop_path(void *value)
{
    free(*(char **)value);
}

static void drop_result(void *value)
{
    free(((struct result *)value)->path);
}

static cease_error collect(cease_ctx *ctx, struct bounded *all, struct sums *sums)
{
    struct result r;
    cease_error e;
    while ((e = cease_chan_recv(ctx, all->results, &r)) == CEASE_OK) {
        e = sums_add(sums, r.path, r.text);
        free(r.path);
        if (e) {
            return e;
        }
    }
    return e == CEASE_ECLOSED ? CEASE_OK : e;
}

static cease_error md5_all_bounded(cease_ctx *ctx, char **roots, struct sums *sums)
{
    struct bounded all = {.roots = roots,
                          .paths = cease_chan_new(sizeof(char *), 0),
                          .results = cease_chan_new(sizeof(struct result), 0)};
    cease_chan_on_drop(all.paths, drop_path);
    cease_chan_on_drop(all.results, drop_result);
    cease_group *group = cease_group_new(ctx, NULL);
    cease_error e = cease_group_go(group, walk_task, &all);
    for (int i = 0; i < DIGESTERS && !e; i++) {
        cease_wait_group_add(&all.digesters, 1);
        e = cease_group_go(group, digest_task, &all);
    }
    e = e ? e : cease_group_go(group, close_task, &all);
    e = e ? e : collect(cease_group_ctx(group), &all, sums);
    cease_error failed = e ? cease_group_stop(group) : cease_group_wait(group);
    cease_group_free(group);
    cease_chan_unref(all.paths);
    cease_chan_unref(all.results);
    return failed ? failed : e;
}

/* ---- the program ----------------------------------------------------------------------------------------- */

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct sum *)a)->path, ((const struct sum *)b)->path);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        cease_error (*run)(cease_ctx *ctx, char **roots, struct sums *sums);
    } forms[] = {
        {"serial", md5_all_serial}, {"parallel", md5_all_parallel}, {"bounded", md5_all_bounded}};
    size_t form = 0;
    while (argc >= 3 && form < 3 && strcmp(argv[1], forms[form].name) != 0) {
        form++;
    }
    if (argc < 3 || form == 3) {
        fprintf(stderr, "usage: md5all serial|parallel|bounded FOLDER...\n");
        return 2;
    }
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *ctx = cease_with_signals(cease_background(), &stop);
    struct sums sums = {0};
    cease_error e = forms[form].run(ctx, argv + 2, &sums);
    struct cease_runtime_counts left = {.size = sizeof left};
    cease_runtime_count(&left);
    if (left.tasks != 0) {
        fprintf(stderr, "md5all: %zu tasks are left behind\n", left.tasks);
        return 3;
    }
    if (e) {
        fprintf(stderr, "md5all: %s\n", cease_strerror(e));
    } else if (sums.count > 0) {
        qsort(sums.list, sums.count, sizeof *sums.list, by_path);
    }
    for (size_t i = 0; i < sums.count && !e; i++) {
        printf("%s  %s\n", sums.list[i].text, sums.list[i].path);
    }
    sums_free(&sums);
    return e ? EXIT_FAILURE : EXIT_SUCCESS;
}
