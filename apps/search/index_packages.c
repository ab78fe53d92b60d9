/* SPDX-License-Identifier: MIT
 *
 * index_packages.c: package descriptions → store.
 *
 * Sources in order of precedence, the first that names a package counts: dpkg's status file (what
 * is installed, with long descriptions), apt's Translation-en lists (long ones), apt's Packages
 * lists (often only the first line). Lists that apt keeps compressed are read through apt's own
 * helper. A source that is missing is passed over.
 */
#include <cease/block.h>
#include <cease/process.h>
#include <cease/task.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control.h"
#include "index.h"

enum { BATCH = 128, FILES_MAX = 256, YIELD_EVERY = 512 };

/* Names that this run has met: a set of 64-bit hashes, open addressing. That two of 100,000 names
 * collide, and one package is missed, has a chance of one in 10^9. */
struct names {
    uint64_t *slots; /* 0: free */
    size_t room;     /* a power of 2 */
    size_t count;
};

struct fill {
    cease_ctx *ctx;
    struct index *index;
    cease_sqlite *db;
    struct stamps stamps;
    struct names met;
    uint64_t done; /* up to date in the store */
    struct document documents[BATCH];
    struct text memory[BATCH]; /* what documents[i] points into */
    size_t count;
};

static uint64_t hash_of(uint64_t hash, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)data[i]) * 1099511628211u;
    return hash;
}
#define HASH_START UINT64_C(14695981039346656037)

/* ---- names ---- */

static void names_place(struct names *n, uint64_t hash)
{
    size_t i = (size_t)hash & (n->room - 1);
    while (n->slots[i] != 0)
        i = (i + 1) & (n->room - 1);
    n->slots[i] = hash;
}

static bool names_grow(struct names *n)
{
    struct names bigger = {.room = n->room ? n->room * 2 : 4096, .count = n->count};
    bigger.slots = calloc(bigger.room, sizeof *bigger.slots);
    if (!bigger.slots)
        return false;
    for (size_t i = 0; i < n->room; i++)
        if (n->slots[i])
            names_place(&bigger, n->slots[i]);
    free(n->slots);
    *n = bigger;
    return true;
}

/* Adds a name; *ret_new says whether it was not there. False: out of memory. */
static bool names_add(struct names *n, struct piece name, bool *ret_new)
{
    uint64_t hash = hash_of(HASH_START, name.data, name.size) | 1;
    if (n->count * 2 >= n->room && !names_grow(n))
        return false;
    for (size_t i = (size_t)hash & (n->room - 1); n->slots[i] != 0; i = (i + 1) & (n->room - 1)) {
        if (n->slots[i] == hash) {
            *ret_new = false;
            return true;
        }
    }
    names_place(n, hash);
    n->count++;
    *ret_new = true;
    return true;
}

/* ---- documents ---- */

static cease_error flush(struct fill *f)
{
    cease_error e = f->count > 0 ? store_put(f->ctx, f->db, f->documents, f->count) : CEASE_OK;
    if (e != CEASE_OK)
        return index_fail(f->index, e, cease_sqlite_message(f->db));
    index_progress(f->index, f->count);
    f->done += f->count;
    f->count = 0;
    return e;
}

static void add_extra(struct text *t, const char *name, struct piece value)
{
    if (!value.data || value.size == 0)
        return;
    text_printf(t, "%s: %.*s\n", name, (int)(value.size > 1000 ? 1000 : value.size), value.data);
}

/* Puts all texts of a document into one buffer, whose address is only known at the end: first where
 * each begins. */
static cease_error describe(struct fill *f, const struct stanza *s, bool installed,
                            const char *stamp)
{
    enum { KEY, STAMP, SUMMARY, EXTRA, BODY, PARTS };
    struct text *t = &f->memory[f->count];
    size_t start[PARTS];
    struct piece summary = control_summary(s->description);
    text_clear(t);
    start[KEY] = t->size;
    text_add(t, s->package.data, s->package.size);
    text_add(t, "", 1);
    start[STAMP] = t->size;
    text_add(t, stamp, strlen(stamp) + 1);
    start[SUMMARY] = t->size;
    if (summary.data)
        text_add(t, summary.data, summary.size);
    text_add(t, "", 1);
    start[EXTRA] = t->size;
    if (installed)
        text_puts(t, "Installed: yes\n");
    add_extra(t, "Version", s->version);
    add_extra(t, "Section", s->section);
    add_extra(t, "Homepage", s->homepage);
    text_add(t, "", 1);
    start[BODY] = t->size;
    struct text body = {0};
    control_long_text(&body, s->description);
    text_puts(t, text_str(&body));
    text_add(t, "", 1);
    bool failed = t->failed || body.failed;
    text_deinit(&body);
    if (failed)
        return index_fail(f->index, CEASE_ENOMEM, "");
    const char *key = t->data + start[KEY];
    f->documents[f->count++] = (struct document){.key = key,
                                                 .stamp = t->data + start[STAMP],
                                                 .name = key,
                                                 .title = key,
                                                 .summary = t->data + start[SUMMARY],
                                                 .aliases = "",
                                                 .body = t->data + start[BODY],
                                                 .source = "",
                                                 .extra = t->data + start[EXTRA],
                                                 .rank = installed ? 0 : 1};
    return f->count == BATCH ? flush(f) : CEASE_OK;
}

static cease_error take_stanza(struct fill *f, const struct stanza *s, bool installed)
{
    bool new_name = false;
    if (!s->package.data || s->package.size == 0 || s->package.size > 200 || !s->description.data)
        return CEASE_OK;
    if (installed && !piece_is(s->status, "install ok installed"))
        return CEASE_OK;
    if (!names_add(&f->met, s->package, &new_name))
        return index_fail(f->index, CEASE_ENOMEM, "");
    if (!new_name)
        return CEASE_OK;
    char name[201];
    char stamp[24];
    memcpy(name, s->package.data, s->package.size);
    name[s->package.size] = '\0';
    uint64_t hash = hash_of(HASH_START, s->description.data, s->description.size);
    hash = s->version.data ? hash_of(hash, s->version.data, s->version.size) : hash;
    snprintf(stamp, sizeof stamp, "%c%016" PRIx64, installed ? 'i' : 'a', hash);
    struct stamp *known = stamps_find(&f->stamps, name);
    if (known)
        known->seen = true;
    if (known && strcmp(known->stamp, stamp) == 0) {
        f->done++;
        return CEASE_OK;
    }
    return describe(f, s, installed, stamp);
}

static size_t count_stanzas(const char *data, size_t size)
{
    size_t count = 0;
    const char *end = data + size;
    static const char mark[] = "\nPackage: ";
    for (const char *at = data; (at = memmem(at, (size_t)(end - at), mark, sizeof mark - 1)); at++)
        count++;
    return count + 1;
}

static cease_error take_list(struct fill *f, const char *data, size_t size, bool installed)
{
    const char *at = data;
    struct stanza s;
    cease_error e = CEASE_OK;
    uint64_t total = f->done + count_stanzas(data, size);
    index_begin(f->index, f->done, total);
    for (size_t n = 1; e == CEASE_OK && control_next(&at, data + size, &s); n++) {
        e = take_stanza(f, &s, installed);
        if (n % YIELD_EVERY != 0)
            continue;
        index_begin(f->index, f->done, total);
        cease_yield();
        if (e == CEASE_OK)
            e = cease_err(f->ctx);
    }
    if (e == CEASE_OK)
        e = flush(f);
    /* What was passed over (not installed, met before) was not done, and is no part of the total
     * after all. */
    index_begin(f->index, f->done, f->done);
    return e;
}

/* ---- files ---- */

struct reading {
    const char *path;
    char *data;
    size_t size;
    cease_error error;
};

static void read_run(void *arg)
{
    struct reading *r = arg;
    struct stat st;
    int fd = open(r->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        r->error = (cease_error)-errno;
        if (fd >= 0)
            close(fd);
        return;
    }
    size_t room = st.st_size > 0 ? (size_t)st.st_size : 0;
    r->data = malloc(room + 1);
    r->error = r->data ? CEASE_OK : CEASE_ENOMEM;
    while (r->error == CEASE_OK && r->size < room) {
        ssize_t count = read(fd, r->data + r->size, room - r->size);
        if (count <= 0)
            break;
        r->size += (size_t)count;
    }
    close(fd);
}

static bool is_compressed(const char *path)
{
    static const char *const endings[] = {".lz4", ".gz", ".xz", ".bz2", ".zst"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const char *dot = strrchr(path, '.');
        if (dot && strcmp(dot, endings[i]) == 0)
            return true;
    }
    return false;
}

/* Takes one file; one that cannot be read is passed over, which no error says. */
static cease_error take_file(struct fill *f, const char *path, bool installed)
{
    cease_error e;
    if (is_compressed(path)) {
        const char *argv[] = {"/usr/lib/apt/apt-helper", "cat-file", path, NULL};
        cease_process_opts opts = {
            .size = sizeof opts, .argv = argv, .output_max = (size_t)512 << 20};
        cease_process_result result;
        e = cease_process_run(f->ctx, &opts, &result);
        if (e != CEASE_OK)
            return cease_err(f->ctx);
        e = take_list(f, result.output, result.output_size, installed);
        cease_process_result_deinit(&result);
        return e;
    }
    struct reading r = {.path = path};
    e = cease_block(f->ctx, read_run, NULL, &r);
    if (e == CEASE_OK && r.error == CEASE_OK)
        e = take_list(f, r.data, r.size, installed);
    free(r.data);
    return e;
}

struct listing {
    const char *folder;
    char *files[FILES_MAX];
    size_t count;
};

/* Translations before Packages, otherwise by name. */
static int by_kind(const void *a, const void *b)
{
    const char *x = *(char *const *)a;
    const char *y = *(char *const *)b;
    int kind = (strstr(x, "_Translation-") == NULL) - (strstr(y, "_Translation-") == NULL);
    return kind ? kind : strcmp(x, y);
}

static void list_run(void *arg)
{
    struct listing *l = arg;
    DIR *dir = opendir(l->folder);
    if (!dir)
        return;
    for (struct dirent *d; l->count < FILES_MAX && (d = readdir(dir));) {
        const char *ending = strstr(d->d_name, "_Translation-en");
        if (!ending)
            ending = strstr(d->d_name, "_Packages");
        if (!ending)
            continue;
        const char *dot = strchr(ending, '.');
        if (dot && !is_compressed(dot))
            continue;
        if (asprintf(&l->files[l->count], "%s/%s", l->folder, d->d_name) >= 0)
            l->count++;
    }
    closedir(dir);
    if (l->count > 0)
        qsort(l->files, l->count, sizeof *l->files, by_kind);
}

static cease_error take_lists(struct fill *f)
{
    struct listing *l = calloc(1, sizeof *l);
    if (!l)
        return index_fail(f->index, CEASE_ENOMEM, "");
    l->folder = f->index->options->apt_lists;
    cease_error e = cease_block(f->ctx, list_run, NULL, l);
    for (size_t i = 0; i < l->count && e == CEASE_OK; i++)
        e = take_file(f, l->files[i], false);
    for (size_t i = 0; i < l->count; i++)
        free(l->files[i]);
    free(l);
    return e;
}

cease_error index_fill_packages(cease_ctx *ctx, struct index *index, cease_sqlite *db)
{
    struct fill *f = calloc(1, sizeof *f);
    if (!f)
        return index_fail(index, CEASE_ENOMEM, "");
    f->ctx = ctx;
    f->index = index;
    f->db = db;
    cease_error e = store_stamps(ctx, db, &f->stamps);
    if (e != CEASE_OK)
        index_fail(index, e, cease_sqlite_message(db));
    if (e == CEASE_OK)
        e = take_file(f, index->options->dpkg_status, true);
    if (e == CEASE_OK && cease_chan_recv(ctx, index->head_start, NULL) != CEASE_ECLOSED)
        e = cease_err(ctx);
    if (e == CEASE_OK)
        e = take_lists(f);
    if (e == CEASE_OK)
        e = index_sweep(ctx, index, db, &f->stamps);
    stamps_deinit(&f->stamps);
    for (size_t i = 0; i < BATCH; i++)
        text_deinit(&f->memory[i]);
    free(f->met.slots);
    free(f);
    return e;
}
