/* SPDX-License-Identifier: MIT
 *
 * Digests every file under a folder, eight at a time (Go: "md5all, bounded"), until done, Ctrl-C or
 * the timeout:
 *
 *     digest FOLDER [SECONDS]
 *
 * One block job walks the tree and sends paths into a channel; reading is a block job too, so no
 * worker is ever held by a disk. The walk blocks in the channel while the digesters are behind, so
 * memory stays bounded, and everything ends with the context, whoever ends it.
 */
#include <cease/cease.h>
#include <fts.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DIGESTERS 8

struct digests {
    cease_ctx *ctx;
    cease_chan *paths; /* of char *, each its receiver's to free */
    char *folder;
    cease_error walked;
    uint64_t files, bytes; /* atomic */
};

static void drop_path(void *value)
{
    free(*(char **)value);
}

/* On a thread of the block pool, which may use channels like everybody. */
static void walk(void *arg)
{
    struct digests *d = arg;
    char *const roots[] = {d->folder, NULL};
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    d->walked = tree ? CEASE_OK : CEASE_ENOENT;
    for (FTSENT *entry; !d->walked && tree && (entry = fts_read(tree));) {
        if (entry->fts_info == FTS_NS && entry->fts_level == FTS_ROOTLEVEL) {
            d->walked = (cease_error)-entry->fts_errno; /* the folder itself */
        }
        if (entry->fts_info != FTS_F) {
            continue;
        }
        char *path = strdup(entry->fts_path);
        d->walked = path ? cease_chan_send(d->ctx, d->paths, &path) : CEASE_ENOMEM;
        if (d->walked) {
            free(path); /* still ours: nobody has received it */
        }
    }
    if (tree) {
        fts_close(tree);
    }
}

static cease_error walk_task(cease_ctx *ctx, void *arg)
{
    struct digests *d = arg;
    cease_error e = cease_block(ctx, walk, NULL, d);
    cease_chan_close(d->paths); /* the digesters finish what is inside */
    return e ? e : d->walked;
}

struct file {
    cease_ctx *ctx;
    const char *path;
    uint64_t digest, size;
    bool whole;
};

static void read_file(void *arg)
{
    struct file *f = arg;
    unsigned char block[16384];
    FILE *in = fopen(f->path, "re");
    size_t n = 0;
    f->digest = UINT64_C(14695981039346656037); /* FNV-1a: short enough to stand here */
    while (in && !cease_done(f->ctx) && (n = fread(block, 1, sizeof block, in)) > 0) {
        for (size_t i = 0; i < n; i++) {
            f->digest = (f->digest ^ block[i]) * UINT64_C(1099511628211);
        }
        f->size += n;
    }
    f->whole = in && feof(in);
    if (in) {
        fclose(in);
    }
}

static cease_error digest_task(cease_ctx *ctx, void *arg)
{
    struct digests *d = arg;
    char *path;
    cease_error e;
    while ((e = cease_chan_recv(ctx, d->paths, &path)) == CEASE_OK) {
        struct file f = {.ctx = ctx, .path = path};
        e = cease_block(ctx, read_file, NULL, &f);
        if (!e && f.whole) {
            printf("%016" PRIx64 "  %s\n", f.digest, path);
            __atomic_add_fetch(&d->files, 1, __ATOMIC_RELAXED);
            __atomic_add_fetch(&d->bytes, f.size, __ATOMIC_RELAXED);
        }
        free(path);
        if (e) {
            return e;
        }
    }
    return e == CEASE_ECLOSED ? CEASE_OK : e;
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: digest FOLDER [SECONDS]\n");
        return 2;
    }
    CEASE_AUTO_END cease_canceler *stop_signals = NULL, *stop = NULL;
    cease_ctx *signals = cease_with_signals(cease_background(), &stop_signals);
    char *rest = NULL;
    long seconds = argc == 3 ? strtol(argv[2], &rest, 10) : 0;
    if (argc == 3 && (*rest || seconds <= 0)) {
        fprintf(stderr, "digest: %s is no number of seconds\n", argv[2]);
        return 2;
    }
    cease_dur budget = argc == 3 ? cease_sec(seconds) : CEASE_FOREVER;
    cease_ctx *ctx = cease_with_timeout(signals, budget, &stop);
    cease_group *g = cease_group_new(ctx, NULL);
    struct digests d = {.ctx = cease_group_ctx(g),
                        .paths = cease_chan_new(sizeof(char *), DIGESTERS),
                        .folder = argv[1]};
    cease_chan_on_drop(d.paths, drop_path);

    cease_error e = cease_group_go(g, walk_task, &d);
    for (int i = 0; i < DIGESTERS && !e; i++) {
        e = cease_group_go(g, digest_task, &d);
    }
    cease_error joined = e ? cease_group_stop(g) : cease_group_wait(g);
    e = e ? e : joined;
    cease_group_free(g);
    cease_chan_unref(d.paths);
    fprintf(stderr, "%" PRIu64 " files, %" PRIu64 " bytes\n", d.files, d.bytes);
    if (e) {
        const cease_cause *cause = cease_cause_of(ctx);
        fprintf(stderr, "digest: %s\n", cause ? cause->text : cease_strerror(e));
    }
    return e ? EXIT_FAILURE : EXIT_SUCCESS;
}
