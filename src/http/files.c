/* SPDX-License-Identifier: MIT
 *
 * files.c: serving the files of a folder.
 *
 * The folder is open from birth, and names are resolved beneath it by the kernel, so there is no moment in
 * between in which a segment could become a link to somewhere else. What can block (opening, reading a slow
 * disk) is done by the block pool, one piece of PIECE bytes at a time; nothing else of a request runs there.
 *
 * A file that grows or shrinks while it is sent: as many bytes are sent as its head has said; when they are
 * no longer there, the response is cut off, so that the client can tell.
 */
#include "http/content.h"
#include "http/server.h"

#include <cease/block.h>
#include <cease/http_files.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PIECE = 64 * 1024, NAME_MAX_SIZE = 4096, TRIES_MAX = 32 };

struct cease_http_files {
    int folder; /* all set at birth */
    char *index, *cache_control;
    bool hidden;
};

cease_http_files *cease_http_files_new(const char *folder, const cease_http_files_opts *opts)
{
    cease_http_files *f = calloc(1, sizeof *f);
    if (!f) {
        return NULL;
    }
    f->folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    f->hidden = opts && opts->hidden;
    f->index = strdup(opts && opts->index ? opts->index : "index.html");
    f->cache_control = opts && opts->cache_control ? strdup(opts->cache_control) : NULL;
    if (f->folder < 0 || !f->index || (opts && opts->cache_control && !f->cache_control)) {
        cease_http_files_free(f);
        return NULL;
    }
    return f;
}

void cease_http_files_free(cease_http_files *files)
{
    if (files) {
        if (files->folder >= 0) {
            close(files->folder);
        }
        free(files->index);
        free(files->cache_control);
        free(files);
    }
}

/* ---- what blocks ---- */

struct opening {
    int folder;
    const char *path; /* not empty, no slash in front */
    int fd;           /* or -errno */
    struct stat st;
};

/* Segment by segment, no links. For kernels and sandboxes without openat2. */
static int open_by_steps(int folder, const char *path, int flags)
{
    int at = folder;
    while (*path) {
        char name[256];
        size_t size = strcspn(path, "/");
        const char *next = path + size + strspn(path + size, "/");
        if (size >= sizeof name || (size == 2 && memcmp(path, "..", 2) == 0)) {
            errno = ENOENT;
            size = 0;
        }
        memcpy(name, path, size);
        name[size] = '\0';
        int step = *next ? O_PATH | O_DIRECTORY : flags;
        int fd = size > 0 ? openat(at, name, step | O_NOFOLLOW | O_CLOEXEC) : -1;
        int saved = errno;
        if (at != folder) {
            close(at);
        }
        errno = saved;
        if (fd < 0 || !*next) {
            return fd;
        }
        at = fd;
        path = next;
    }
    errno = ENOENT;
    return -1;
}

static int open_beneath(int folder, const char *path)
{
    const int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC; /* a FIFO must not hold us up */
    const struct open_how how = {.flags = (unsigned)flags,
                                 .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    int fd = -1;
    errno = EINTR;
    /* EAGAIN: something was renamed meanwhile, or somebody has a lease on the file */
    for (int i = 0; fd < 0 && (errno == EINTR || errno == EAGAIN) && i < TRIES_MAX; i++) {
        fd = (int)syscall(SYS_openat2, folder, path, &how, sizeof how);
    }
    if (fd < 0 && (errno == ENOSYS || errno == EPERM)) {
        fd = open_by_steps(folder, path, flags);
    }
    return fd;
}

static void open_job(void *arg)
{
    struct opening *o = arg;
    o->fd = open_beneath(o->folder, o->path);
    if (o->fd >= 0 && fstat(o->fd, &o->st) != 0) {
        close(o->fd);
        o->fd = -1;
    }
    o->fd = o->fd < 0 ? -errno : o->fd;
}

struct reading {
    int fd;
    char *buf;
    size_t size;
    off_t at;
    ssize_t count; /* or -errno */
};

static void read_job(void *arg)
{
    struct reading *r = arg;
    do {
        r->count = pread(r->fd, r->buf, r->size, r->at);
    } while (r->count < 0 && errno == EINTR);
    r->count = r->count < 0 ? -errno : r->count;
}

/* ---- one response ---- */

static cease_error page(cease_ctx *ctx, cease_http_response *res, int status, const char *text)
{
    cease_http_response_status(res, status);
    cease_http_response_header(res, "Content-Type", "text/plain");
    return cease_http_response_write(ctx, res, text, strlen(text));
}

static cease_error send_bytes(cease_ctx *ctx, cease_http_response *res, int fd, uint64_t begin,
                              uint64_t end)
{
    struct reading r = {.fd = fd, .buf = malloc(PIECE)};
    cease_error e = r.buf ? CEASE_OK : CEASE_ENOMEM;
    while (e == CEASE_OK && begin < end) {
        r.at = (off_t)begin;
        r.size = end - begin < PIECE ? (size_t)(end - begin) : PIECE;
        e = cease_block(ctx, read_job, NULL, &r);
        if (e == CEASE_OK && r.count <= 0) {
            e = r.count < 0 ? (cease_error)r.count : CEASE_EIO; /* it has shrunk */
        }
        if (e == CEASE_OK) {
            e = cease_http_response_write(ctx, res, r.buf, (size_t)r.count);
            begin += (uint64_t)r.count;
        }
    }
    free(r.buf);
    return e;
}

static cease_error send_file(cease_ctx *ctx, cease_http_files *f, cease_http_request *req,
                             cease_http_response *res, const struct opening *o)
{
    char tag[64];
    char date[CEASEI_DATE_SIZE + 1];
    char text[96];
    uint64_t begin = 0;
    uint64_t size = (uint64_t)o->st.st_size;
    uint64_t end = size;
    bool head = strcmp(cease_http_request_method(req), "HEAD") == 0;
    int64_t modified = o->st.st_mtim.tv_sec > 0 ? (int64_t)o->st.st_mtim.tv_sec : 0;
    snprintf(tag, sizeof tag, "\"%llx-%llx-%llx\"", (unsigned long long)o->st.st_ino,
             (unsigned long long)size,
             (unsigned long long)modified * 1000000000 + (unsigned long long)o->st.st_mtim.tv_nsec);
    const struct ceasei_conditions c = {
        .if_match = cease_http_request_header(req, "If-Match"),
        .if_none_match = cease_http_request_header(req, "If-None-Match"),
        .if_modified_since = cease_http_request_header(req, "If-Modified-Since"),
        .if_unmodified_since = cease_http_request_header(req, "If-Unmodified-Since"),
        .range = head ? NULL : cease_http_request_header(req, "Range"), /* RFC 9110, 14.2 */
        .if_range = cease_http_request_header(req, "If-Range"),
        .tag = tag,
        .modified = modified,
        .size = size};
    int status = ceasei_conditions_decide(&c, &begin, &end);
    if (status == 412) {
        return page(ctx, res, 412, "412 Precondition Failed\n");
    }
    if (status == 416) {
        snprintf(text, sizeof text, "bytes */%llu", (unsigned long long)size);
        cease_http_response_header(res, "Content-Range", text);
        return page(ctx, res, 416, "416 Range Not Satisfiable\n");
    }
    ceasei_make_date(date, modified);
    date[CEASEI_DATE_SIZE] = '\0';
    cease_http_response_status(res, status);
    cease_http_response_header(res, "ETag", tag);
    cease_http_response_header(res, "Last-Modified", date);
    cease_http_response_header(res, "Accept-Ranges", "bytes");
    if (f->cache_control) {
        cease_http_response_header(res, "Cache-Control", f->cache_control);
    }
    if (status == 304) {
        return CEASE_OK;
    }
    if (status == 206) {
        snprintf(text, sizeof text, "bytes %llu-%llu/%llu", (unsigned long long)begin,
                 (unsigned long long)end - 1, (unsigned long long)size);
        cease_http_response_header(res, "Content-Range", text);
    }
    snprintf(text, sizeof text, "%llu", (unsigned long long)(end - begin));
    cease_http_response_header(res, "Content-Length", text);
    cease_http_response_header(res, "Content-Type", ceasei_media_type(o->path));
    return head ? CEASE_OK : send_bytes(ctx, res, o->fd, begin, end);
}

/* Whether every segment is one that may be asked for. */
static bool is_allowed(const cease_http_files *f, const char *path)
{
    while (*path) {
        size_t size = strcspn(path, "/");
        bool dots = (size == 1 && path[0] == '.') || (size == 2 && memcmp(path, "..", 2) == 0);
        if (dots || (path[0] == '.' && !f->hidden) || size == 0) {
            return false;
        }
        path += size + (path[size] == '/');
    }
    return true;
}

static cease_error open_file(cease_ctx *ctx, struct opening *o)
{
    cease_error e = cease_block(ctx, open_job, NULL, o);
    if (e != CEASE_OK) {
        return e;
    }
    switch (o->fd < 0 ? -o->fd : 0) {
    case 0:
        return CEASE_OK;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EIO:
    case EAGAIN:
        return (cease_error)o->fd;
    default: /* not there, or nobody's business */
        return CEASE_ENOENT;
    }
}

static cease_error redirect_to_folder(cease_ctx *ctx, cease_http_request *req,
                                      cease_http_response *res)
{
    char location[NAME_MAX_SIZE];
    const char *target = cease_http_request_target(req);
    size_t path = strcspn(target, "?");
    /* by its last segment only: so no target, as "//elsewhere", can lead to another host */
    size_t at = path;
    while (at > 0 && target[at - 1] != '/') {
        at--;
    }
    snprintf(location, sizeof location, "./%.*s/%s", (int)(path - at), target + at, target + path);
    cease_http_response_header(res, "Location", location);
    return page(ctx, res, 301, "301 Moved Permanently\n");
}

cease_error cease_http_files_send(cease_ctx *ctx, cease_http_files *files, cease_http_request *req,
                                  cease_http_response *res, const char *path)
{
    char name[NAME_MAX_SIZE];
    const char *method = cease_http_request_method(req);
    if (!files) {
        return CEASE_ENOMEM;
    }
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        cease_http_response_header(res, "Allow", "GET, HEAD");
        return page(ctx, res, 405, "405 Method Not Allowed\n");
    }
    size_t size = strlen(path);
    bool folder = size == 0 || path[size - 1] == '/';
    int n = snprintf(name, sizeof name, "%s%s", path, folder ? files->index : "");
    if (n <= 0 || (size_t)n >= sizeof name || !is_allowed(files, name) ||
        (folder && files->index[0] == '\0')) {
        return page(ctx, res, 404, "404 Not Found\n");
    }
    struct opening o = {.folder = files->folder, .path = name};
    cease_error e = open_file(ctx, &o);
    if (e == CEASE_ENOENT) {
        return page(ctx, res, 404, "404 Not Found\n");
    }
    if (e != CEASE_OK) {
        return e;
    }
    if (S_ISREG(o.st.st_mode)) {
        e = send_file(ctx, files, req, res, &o);
    } else if (S_ISDIR(o.st.st_mode) && !folder && files->index[0] != '\0') {
        e = redirect_to_folder(ctx, req, res);
    } else {
        e = page(ctx, res, 404, "404 Not Found\n");
    }
    close(o.fd);
    return e;
}

cease_error cease_http_files_serve(cease_ctx *ctx, cease_http_request *req,
                                   cease_http_response *res, void *arg)
{
    const char *path = cease_http_request_param(req, "path");
    return cease_http_files_send(ctx, arg, req, res, path ? path : "");
}
