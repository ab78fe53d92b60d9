/* SPDX-License-Identifier: MIT
 *
 * manpath.c: see manpath.h.
 *
 * The walk is one job of the block pool, which looks at its context between files. All files are
 * first taken into one array, links and pages alike; then links are matched with what they stand
 * for by real path, and split off. A name has the form NAME.SECTION[.gz], as mandoc reads no other
 * compression.
 */
#include "manpath.h"

#include <cease/block.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* A page that is smaller than this may be nothing but a ".so" line, compressed or not. */
enum { SO_SIZE_MAX = 512 };

struct walk {
    cease_ctx *ctx;
    const char *const *roots;
    size_t root_count;
    struct manpages all;
    cease_error error;
};

static void page_deinit(struct manpage *p)
{
    free(p->memory);
    free(p->source);
    free(p->aliases);
}

void manpages_deinit(struct manpages *m)
{
    for (size_t i = 0; i < m->count; i++)
        page_deinit(&m->data[i]);
    for (size_t i = 0; i < m->link_count; i++)
        page_deinit(&m->links[i]);
    free(m->data);
    free(m->links);
    *m = (struct manpages){0};
}

/* ---- one file ---- */

static int rank_of(const char *section, const char *lang)
{
    static const char order[] = "2371";
    const char *found = strchr(order, section[0]);
    return (found && *found ? (int)(found - order) : 4) + (*lang ? 10 : 0);
}

/* The first words of a small page, when they are ".so FILE": FILE goes to `ret`. */
static bool read_so(const char *path, char *ret, size_t size)
{
    char head[SO_SIZE_MAX];
    gzFile file = gzopen(path, "rbe");
    if (!file)
        return false;
    int count = gzread(file, head, sizeof head - 1);
    gzclose(file);
    if (count <= 0)
        return false;
    head[count] = '\0';
    char *line = head;
    while (strncmp(line, ".\\\"", 3) == 0 || strncmp(line, "'\\\"", 3) == 0 ||
           *line == '\n') { /* comments */
        line = strchr(line, '\n');
        if (!line)
            return false;
        line++;
    }
    if (strncmp(line, ".so ", 4) != 0)
        return false;
    line += 4 + strspn(line + 4, " \t\"");
    size_t length = strcspn(line, " \t\"\r\n");
    if (length == 0 || length >= size)
        return false;
    memcpy(ret, line, length);
    ret[length] = '\0';
    return true;
}

/* The real path of what `path` stands for; NULL: it is a page itself, or a link to nothing
 * (*ret_dead). */
static char *link_target(const char *path, const char *folder, const struct stat *linked,
                         const struct stat *st, bool *ret_dead)
{
    char so[256];
    char target[PATH_MAX + 300];
    *ret_dead = false;
    if (S_ISLNK(linked->st_mode))
        return realpath(path, NULL);
    if (st->st_size >= SO_SIZE_MAX || !read_so(path, so, sizeof so))
        return NULL;
    *ret_dead = true;
    /* "man3/x.3" counts from the folder above; a bare "x.3" from the page's own. */
    const char *base = strchr(so, '/') ? "/.." : "";
    snprintf(target, sizeof target, "%s%s/%s", folder, base, so);
    char *real = realpath(target, NULL);
    if (real)
        return real;
    strncat(target, ".gz", sizeof target - strlen(target) - 1);
    return realpath(target, NULL);
}

/* Splits "NAME.SECTION[.gz]" in place. */
static bool split_name(char *file, char **ret_section)
{
    char *dot = strrchr(file, '.');
    if (dot && strcmp(dot, ".gz") == 0) {
        *dot = '\0';
        dot = strrchr(file, '.');
    }
    if (!dot || dot == file || dot[1] < '0' || (dot[1] > '9' && dot[1] != 'n' && dot[1] != 'l'))
        return false;
    *dot = '\0';
    *ret_section = dot + 1;
    return true;
}

static struct manpage *grow(struct manpages *m)
{
    if (m->count == m->room) {
        size_t room = m->room ? m->room * 2 : 1024;
        struct manpage *data = realloc(m->data, room * sizeof *data);
        if (!data)
            return NULL;
        m->data = data;
        m->room = room;
    }
    return memset(&m->data[m->count], 0, sizeof *m->data);
}

/* One allocation with "key\0name\0section\0lang\0path". */
static bool name_page(struct manpage *p, const char *name, const char *section, const char *lang,
                      const char *path)
{
    size_t size = 2 * (strlen(name) + strlen(section) + strlen(lang)) + strlen(path) + 8;
    char *at = malloc(size);
    if (!at)
        return false;
    p->memory = at;
    p->key = at;
    at += snprintf(at, size, "%s.%s%s%s", name, section, *lang ? "@" : "", lang) + 1;
    p->name = at;
    at = stpcpy(at, name) + 1;
    p->section = at;
    at = stpcpy(at, section) + 1;
    p->lang = at;
    at = stpcpy(at, lang) + 1;
    p->path = at;
    memcpy(at, path, strlen(path) + 1);
    return true;
}

static cease_error add_file(struct walk *w, const char *folder, const char *lang, const char *file)
{
    char path[PATH_MAX];
    char name[NAME_MAX + 1];
    char *section;
    struct stat linked;
    struct stat st;
    bool dead;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, file) >= sizeof path)
        return CEASE_OK;
    snprintf(name, sizeof name, "%s", file);
    if (!split_name(name, &section))
        return CEASE_OK;
    if (lstat(path, &linked) != 0 || stat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return CEASE_OK;
    char *source = link_target(path, folder, &linked, &st, &dead);
    if (!source && dead)
        return CEASE_OK;
    struct manpage *p = grow(&w->all);
    if (!p || !name_page(p, name, section, lang, path)) {
        free(source);
        return CEASE_ENOMEM;
    }
    p->source = source;
    p->mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    p->size = st.st_size;
    p->rank = rank_of(section, lang);
    w->all.count++;
    return CEASE_OK;
}

/* ---- folders ---- */

static cease_error walk_section(struct walk *w, const char *folder, const char *lang)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return CEASE_OK;
    cease_error e = CEASE_OK;
    for (struct dirent *d; e == CEASE_OK && (d = readdir(dir));) {
        e = cease_err(w->ctx);
        if (e == CEASE_OK && d->d_name[0] != '.')
            e = add_file(w, folder, lang, d->d_name);
    }
    closedir(dir);
    return e;
}

static bool is_section(const char *name)
{
    return strncmp(name, "man", 3) == 0 &&
           ((name[3] >= '0' && name[3] <= '9') || name[3] == 'n' || name[3] == 'l') &&
           strchr(name, '.') == NULL;
}

/* A folder of a language: "de", "pt_BR", "zh_CN.UTF-8". The language without its encoding goes to
 * ret_lang. */
static bool is_language(const char *name, char *ret_lang, size_t size)
{
    size_t length = strcspn(name, ".");
    if (length < 2 || length >= size || name[0] < 'a' || name[0] > 'z' || name[1] < 'a' ||
        name[1] > 'z')
        return false;
    if (length > 2 && name[2] != '_' && !(length == 3 && name[2] >= 'a' && name[2] <= 'z'))
        return false;
    memcpy(ret_lang, name, length);
    ret_lang[length] = '\0';
    return true;
}

static cease_error walk_language(struct walk *w, const char *folder, const char *lang);

static cease_error walk_entry(struct walk *w, const char *folder, const char *lang,
                              const char *name)
{
    char path[PATH_MAX];
    char other[16];
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path)
        return CEASE_OK;
    if (is_section(name))
        return walk_section(w, path, lang);
    if (*lang || !is_language(name, other, sizeof other))
        return CEASE_OK; /* languages are one level deep */
    return walk_language(w, path, strncmp(other, "en", 2) == 0 ? "" : other);
}

static cease_error walk_language(struct walk *w, const char *folder, const char *lang)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return CEASE_OK;
    cease_error e = CEASE_OK;
    for (struct dirent *d; e == CEASE_OK && (d = readdir(dir));)
        if (d->d_name[0] != '.')
            e = walk_entry(w, folder, lang, d->d_name);
    closedir(dir);
    return e;
}

/* ---- order ---- */

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct manpage *)a)->key, ((const struct manpage *)b)->key);
}

static int by_rank(const void *a, const void *b)
{
    const struct manpage *x = a;
    const struct manpage *y = b;
    return x->rank != y->rank ? x->rank - y->rank : by_key(a, b);
}

static int by_path(const void *a, const void *b)
{
    return strcmp((*(struct manpage *const *)a)->path, (*(struct manpage *const *)b)->path);
}

/* Of neighbours with one key keeps the first. */
static void drop_doubles(struct manpages *m)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->count; i++) {
        if (kept > 0 && strcmp(m->data[kept - 1].key, m->data[i].key) == 0)
            page_deinit(&m->data[i]);
        else
            m->data[kept++] = m->data[i];
    }
    m->count = kept;
}

static cease_error split_links(struct manpages *m)
{
    size_t pages = 0;
    m->links = calloc(m->count + 1, sizeof *m->links);
    if (!m->links)
        return CEASE_ENOMEM;
    for (size_t i = 0; i < m->count; i++) {
        if (m->data[i].source)
            m->links[m->link_count++] = m->data[i];
        else
            m->data[pages++] = m->data[i];
    }
    m->count = pages;
    return CEASE_OK;
}

static bool add_alias(struct manpage *p, const char *name)
{
    size_t old = p->aliases ? strlen(p->aliases) : 0;
    char *aliases = realloc(p->aliases, old + strlen(name) + 2);
    if (!aliases)
        return false;
    snprintf(aliases + old, strlen(name) + 2, "%s%s", old ? " " : "", name);
    p->aliases = aliases;
    return true;
}

/* Gives every page the names of the links to it, and every link the key of its page. */
static cease_error match_links(struct manpages *m)
{
    struct manpage **sorted = calloc(m->count + 1, sizeof *sorted);
    if (!sorted)
        return CEASE_ENOMEM;
    for (size_t i = 0; i < m->count; i++)
        sorted[i] = &m->data[i];
    if (m->count > 0)
        qsort(sorted, m->count, sizeof *sorted, by_path);
    cease_error e = CEASE_OK;
    size_t kept = 0;
    for (size_t i = 0; i < m->link_count; i++) {
        struct manpage *link = &m->links[i];
        struct manpage wanted = {.path = link->source};
        struct manpage *key = &wanted;
        struct manpage **found =
            m->count == 0 ? NULL : bsearch(&key, sorted, m->count, sizeof *sorted, by_path);
        if (!found || e != CEASE_OK) {
            page_deinit(link);
            continue;
        }
        link->target = (*found)->key;
        if (!add_alias(*found, link->name))
            e = CEASE_ENOMEM;
        m->links[kept++] = *link;
    }
    m->link_count = kept;
    free(sorted);
    return e;
}

/* Merges two arrays that are sorted by key; of two with one key the one of `earlier` comes first,
 * and stays. Consumes both. */
static cease_error merge(struct manpages *earlier, struct manpages *later, struct manpages *ret)
{
    struct manpages both = {.room = earlier->count + later->count + 1};
    both.data = calloc(both.room, sizeof *both.data);
    if (!both.data) {
        manpages_deinit(earlier);
        manpages_deinit(later);
        return CEASE_ENOMEM;
    }
    size_t a = 0;
    size_t b = 0;
    while (a < earlier->count || b < later->count) {
        bool first = b == later->count ||
                     (a < earlier->count && by_key(&earlier->data[a], &later->data[b]) <= 0);
        both.data[both.count++] = first ? earlier->data[a++] : later->data[b++];
    }
    free(earlier->data);
    free(later->data);
    drop_doubles(&both);
    *ret = both;
    return CEASE_OK;
}

static void walk_run(void *arg)
{
    struct walk *w = arg;
    for (size_t i = 0; i < w->root_count && w->error == CEASE_OK; i++) {
        char real[PATH_MAX]; /* links are compared by real path */
        if (!realpath(w->roots[i], real))
            continue;
        struct manpages earlier = w->all;
        w->all = (struct manpages){0};
        w->error = walk_language(w, real, "");
        struct manpages later = w->all;
        w->all = (struct manpages){0};
        if (later.count > 0)
            qsort(later.data, later.count, sizeof *later.data, by_key);
        cease_error e = merge(&earlier, &later, &w->all);
        if (w->error == CEASE_OK)
            w->error = e;
    }
    if (w->error == CEASE_OK)
        w->error = split_links(&w->all);
    if (w->error == CEASE_OK)
        w->error = match_links(&w->all);
    if (w->all.count > 0)
        qsort(w->all.data, w->all.count, sizeof *w->all.data, by_rank);
}

cease_error manpages_find(cease_ctx *ctx, const char *const *roots, size_t root_count,
                          struct manpages *ret)
{
    struct walk w = {.ctx = ctx, .roots = roots, .root_count = root_count};
    cease_error e = cease_block(ctx, walk_run, NULL, &w);
    if (e == CEASE_OK)
        e = w.error;
    if (e != CEASE_OK) {
        manpages_deinit(&w.all);
        return e;
    }
    *ret = w.all;
    return CEASE_OK;
}
