/* SPDX-License-Identifier: MIT
 *
 * render.c: see render.h.
 *
 * Many pages go through one mandoc. It writes them one behind the other and passes over files that
 * it cannot read, so to know which text belongs to which file a separator page stands behind each;
 * its title can be no real page's.
 *
 * mandoc 1.14 takes every compressed file but the first for plain text, so this program
 * decompresses: into nameless files in memory, which mandoc opens through /proc. They cannot be
 * left behind, whatever happens.
 *
 * Its output goes into such a file, too: mandoc writes line by line, and a pipe would wake both
 * sides for each. It runs nice, so that requests come before indexing.
 */
#include "render.h"

#include <cease/block.h>
#include <cease/process.h>
#include <cease/time.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "text.h"

#define SEPARATOR_TITLE "CEASE-SEARCH-NEXT"

enum { OUTPUT_MAX = 128 << 20, SOURCE_MAX = 16 << 20 };

/* ---- text ---- */

/* Removes what makes letters bold or underlined on a terminal: "x\bx", "_\bx". Returns the new
 * size. */
static size_t strip_overstrike(char *s, size_t size)
{
    size_t to = 0;
    for (size_t from = 0; from < size; from++) {
        if (s[from] != '\b') {
            s[to++] = s[from];
            continue;
        }
        while (to > 0 && ((unsigned char)s[to - 1] & 0xc0) == 0x80)
            to--; /* the rest of a UTF-8 sequence */
        if (to > 0 && s[to - 1] != '\n')
            to--;
    }
    return to;
}

/* Makes every run of white space one space, in place, and drops control characters and what is at
 * the ends. */
static size_t squeeze(char *s, size_t size)
{
    size_t to = 0;
    bool space = false;
    for (size_t from = 0; from < size; from++) {
        unsigned char c = (unsigned char)s[from];
        bool nbsp = c == 0xc2 && from + 1 < size && (unsigned char)s[from + 1] == 0xa0;
        if (c <= ' ' || nbsp) {
            space = true;
            from += nbsp;
            continue;
        }
        if (space && to > 0)
            s[to++] = ' ';
        space = false;
        s[to++] = (char)c;
    }
    s[to] = '\0';
    return to;
}

static const char *next_line(const char *line, const char *end)
{
    const char *newline = memchr(line, '\n', (size_t)(end - line));
    return newline ? newline + 1 : end;
}

static bool is_blank(const char *line, const char *next)
{
    return (size_t)(next - line) == strspn(line, " \n");
}

/* The part of a page between its first and its last line, which only repeat title and date. */
static void without_frame(const char **begin, const char **end)
{
    const char *line = *begin;
    while (line < *end && is_blank(line, next_line(line, *end)))
        line = next_line(line, *end);
    *begin = next_line(line, *end);
    const char *last = *begin;
    for (line = *begin; line < *end; line = next_line(line, *end))
        if (!is_blank(line, next_line(line, *end)))
            last = line;
    *end = last;
}

/* The indented lines below the first heading: the NAME section, in whatever language. */
static void find_name(const char *begin, const char *end, const char **ret_begin,
                      const char **ret_end)
{
    const char *line = begin;
    while (line < end && (is_blank(line, next_line(line, end)) || *line == ' '))
        line = next_line(line, end);
    line = line < end ? next_line(line, end) : end;
    *ret_begin = line;
    while (line < end && (*line == ' ' || *line == '\n'))
        line = next_line(line, end);
    *ret_end = line;
}

/* Cuts "names - summary" in two, in place, at the first dash between spaces: -, en or em dash. */
static void split_at_dash(char *name, const char **ret_names, const char **ret_summary)
{
    static const char *const dashes[] = {" - ", " \xe2\x80\x93 ", " \xe2\x80\x94 "};
    char *first = NULL;
    size_t skip = 0;
    for (size_t i = 0; i < 3; i++) {
        char *found = strstr(name, dashes[i]);
        if (found && (!first || found < first)) {
            first = found;
            skip = strlen(dashes[i]);
        }
    }
    *ret_names = first ? name : "";
    *ret_summary = first ? first + skip : name;
    if (first)
        *first = '\0';
}

cease_error render_digest(const char *page, size_t size, struct rendered *ret)
{
    char *text = malloc(2 * size + 3); /* the text, then the NAME section, which is a part of it */
    if (!text)
        return CEASE_ENOMEM;
    memcpy(text, page, size);
    size = strip_overstrike(text, size);
    text[size] = '\0';
    const char *begin = text;
    const char *end = text + size;
    const char *name_begin;
    const char *name_end;
    without_frame(&begin, &end);
    find_name(begin, end, &name_begin, &name_end);
    char *name = text + size + 1;
    size_t name_size = (size_t)(name_end - name_begin);
    memcpy(name, name_begin, name_size);
    name[squeeze(name, name_size)] = '\0';
    split_at_dash(name, &ret->names, &ret->summary);
    if (ret->names[0] != '\0')
        begin = name_end; /* both are kept apart: a snippet should not repeat them */
    char *body = text + (begin - text);
    squeeze(body, (size_t)(end - begin));
    ret->body = body;
    ret->memory = text;
    return CEASE_OK;
}

void rendered_deinit(struct rendered *r)
{
    free(r->memory);
    *r = (struct rendered){0};
}

/* ---- running mandoc ---- */

static cease_error run_mandoc(cease_ctx *ctx, const char *const *argv, cease_process_result *ret)
{
    cease_canceler *stop;
    /* One page in a million sends a formatter into a loop: it must not stop the index. */
    ctx = cease_with_timeout_cause(ctx, cease_sec(60), CEASE_EDEADLINE, "mandoc took too long",
                                   &stop);
    cease_process_opts opts = {
        .size = sizeof opts, .argv = argv, .output_max = OUTPUT_MAX, .grace = cease_ms(200)};
    cease_error e = cease_process_run(ctx, &opts, ret);
    cease_end(stop);
    return e;
}

/* Where the separator's page begins in `at`; its lines end where *ret_next says. NULL: there is
 * none. */
static const char *find_separator(const char *at, const char *end, const char **ret_next)
{
    const char *head =
        memmem(at, (size_t)(end - at), SEPARATOR_TITLE "(0)", strlen(SEPARATOR_TITLE "(0)"));
    if (!head)
        return NULL;
    const char *next = next_line(head, end);
    /* head line, then the foot line, which names it again; then perhaps a line of dashes between
     * pages */
    const char *foot =
        memmem(next, (size_t)(end - next), SEPARATOR_TITLE "(0)", strlen(SEPARATOR_TITLE "(0)"));
    next = foot ? next_line(foot, end) : next;
    while (next < end && (*next == '\n' || *next == '-'))
        next = next_line(next, end);
    *ret_next = next;
    while (head > at && head[-1] != '\n')
        head--;
    return head;
}

/* Cuts the line of dashes that mandoc writes between two pages. */
static const char *without_rule(const char *begin, const char *end)
{
    while (end > begin && (end[-1] == '\n' || end[-1] == '-'))
        end--;
    return end;
}

static cease_error digest_all(const char *output, size_t size, size_t count,
                              struct rendered *ret_pages)
{
    const char *at = output;
    const char *end = output + size;
    for (size_t i = 0; i < count; i++) {
        const char *next = end;
        const char *stop = find_separator(at, end, &next);
        const char *page_end = without_rule(at, stop ? stop : end);
        cease_error e = render_digest(at, (size_t)(page_end - at), &ret_pages[i]);
        if (e != CEASE_OK) {
            while (i-- > 0)
                rendered_deinit(&ret_pages[i]);
            return e;
        }
        at = next;
    }
    return CEASE_OK;
}

/* ---- sources ---- */

/* A batch as files in memory: the pages, the separator, and what mandoc makes of them. */
struct files {
    const char *const *paths;
    size_t count;
    int fds[RENDER_MAX + 2]; /* -1: none */
    char *output;            /* after files_read */
    size_t output_size;
    cease_error error;
};
#define SEPARATOR_FD(f) ((f)->fds[(f)->count])
#define OUTPUT_FD(f)    ((f)->fds[(f)->count + 1])

static int memory_file(void)
{
    return memfd_create("manual page", MFD_CLOEXEC);
}

static bool write_whole(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t count = write(fd, data, size);
        if (count <= 0)
            return false;
        data += count;
        size -= (size_t)count;
    }
    return true;
}

/* A page that cannot be read is an empty one. */
static void copy_page(const char *path, int fd)
{
    char buffer[16 << 10];
    gzFile file = gzopen(path, "rbe");
    if (!file)
        return;
    int count;
    for (size_t total = 0; total < SOURCE_MAX && (count = gzread(file, buffer, sizeof buffer)) > 0;
         total += (size_t)count)
        if (!write_whole(fd, buffer, (size_t)count))
            break;
    gzclose(file);
}

static void load_run(void *arg)
{
    static const char separator[] = ".TH " SEPARATOR_TITLE " 0\n";
    struct files *f = arg;
    for (size_t i = 0; i < f->count + 2; i++) {
        f->fds[i] = memory_file();
        if (f->fds[i] < 0) {
            f->error = (cease_error)-errno;
            return;
        }
        if (i < f->count)
            copy_page(f->paths[i], f->fds[i]);
    }
    if (!write_whole(SEPARATOR_FD(f), separator, sizeof separator - 1))
        f->error = CEASE_ENOMEM;
}

static void read_run(void *arg)
{
    struct files *f = arg;
    off_t size = lseek(OUTPUT_FD(f), 0, SEEK_END);
    f->output = malloc((size_t)size + 1);
    f->error = f->output ? CEASE_OK : CEASE_ENOMEM;
    while (f->output && f->output_size < (size_t)size) {
        ssize_t count = pread(OUTPUT_FD(f), f->output + f->output_size,
                              (size_t)size - f->output_size, (off_t)f->output_size);
        if (count <= 0)
            break;
        f->output_size += (size_t)count;
    }
}

static cease_error files_do(cease_ctx *ctx, struct files *f, cease_block_fn *fn)
{
    cease_error e = cease_block(ctx, fn, NULL, f);
    return e == CEASE_OK ? f->error : e;
}

static void files_init(struct files *f, const char *const *paths, size_t count)
{
    *f = (struct files){.paths = paths, .count = count};
    for (size_t i = 0; i < count + 2; i++)
        f->fds[i] = -1;
}

static void files_deinit(struct files *f)
{
    for (size_t i = 0; i < f->count + 2; i++)
        if (f->fds[i] >= 0)
            close(f->fds[i]);
    free(f->output);
}

/* ---- batches ---- */

/* Runs mandoc on the files. The shell gives it its output, and stops it at OUTPUT_MAX (of half
 * KiB). */
static cease_error run_batch(cease_ctx *ctx, const struct files *f, cease_process_result *ret)
{
    char names[RENDER_MAX + 2][48];
    char script[160];
    const char *argv[5 + 2 * RENDER_MAX + 1] = {"sh", "-c", script, names[f->count + 1]};
    size_t n = 4;
    for (size_t i = 0; i < f->count + 2; i++)
        snprintf(names[i], sizeof names[i], "/proc/%ld/fd/%d", (long)getpid(), f->fds[i]);
    snprintf(script, sizeof script,
             "ulimit -f %d; exec nice -n 10 mandoc -T utf8 -O width=200 -- \"$@\" >\"$0\"",
             OUTPUT_MAX / 512);
    for (size_t i = 0; i < f->count; i++) {
        argv[n++] = names[i];
        argv[n++] = names[f->count];
    }
    argv[n] = NULL;
    return run_mandoc(ctx, argv, ret);
}

/* One mandoc for all of them. *ret_whole is false when it did not get to the end. */
static cease_error render_batch(cease_ctx *ctx, const char *const *paths, size_t count,
                                struct rendered *ret_pages, bool *ret_whole)
{
    struct files files;
    cease_process_result result = {0};
    files_init(&files, paths, count);
    cease_error e = files_do(ctx, &files, load_run);
    if (e == CEASE_OK)
        e = run_batch(ctx, &files, &result);
    if (e == CEASE_OK && result.status == 127)
        e = CEASE_ENOENT; /* nice's word for "no such program" */
    if (e == CEASE_OK)
        e = files_do(ctx, &files, read_run);
    *ret_whole = result.signal == 0 && result.status < 128;
    if (e == CEASE_OK && *ret_whole)
        e = digest_all(files.output, files.output_size, count, ret_pages);
    files_deinit(&files);
    cease_process_result_deinit(&result);
    return e;
}

static bool is_about_one_page(cease_error e)
{
    return e == CEASE_EMSGSIZE || e == CEASE_EDEADLINE;
}

cease_error render_texts(cease_ctx *ctx, const char *const *paths, size_t count,
                         struct rendered *ret_pages)
{
    bool whole = false;
    memset(ret_pages, 0, count * sizeof *ret_pages);
    cease_error e = render_batch(ctx, paths, count, ret_pages, &whole);
    if (cease_done(ctx) || (e != CEASE_OK && !is_about_one_page(e)) || (e == CEASE_OK && whole))
        return e;
    if (count == 1)
        return render_digest("", 0, &ret_pages[0]);
    /* A page crashed mandoc, or made it write or run without end: each for itself, to find it. */
    e = CEASE_OK;
    for (size_t i = 0; i < count && e == CEASE_OK; i++)
        e = render_texts(ctx, paths + i, 1, ret_pages + i);
    for (size_t i = 0; i < count && e != CEASE_OK; i++)
        rendered_deinit(&ret_pages[i]);
    return e;
}

cease_error render_html(cease_ctx *ctx, const char *path, char **ret_html)
{
    static const char links[] = "fragment,man=/doc/manual/%N.%S";
    const char *argv[] = {"mandoc", "-T", "html", "-O", links, "--", path, NULL};
    cease_process_result result;
    cease_error e = run_mandoc(ctx, argv, &result);
    if (e != CEASE_OK)
        return e;
    char *html =
        result.output_size > 0 && result.signal == 0 ? render_sanitize(result.output) : NULL;
    if (!html)
        e = result.output_size > 0 && result.signal == 0 ? CEASE_ENOMEM : CEASE_EPARSE;
    cease_process_result_deinit(&result);
    if (e == CEASE_OK)
        *ret_html = html;
    return e;
}
