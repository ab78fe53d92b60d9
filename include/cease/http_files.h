/* SPDX-License-Identifier: MIT
 *
 * cease/http_files.h: handlers that serve files, and responses that are compressed. Part of libcease-http.
 *
 *     cease_http_files *files = cease_http_files_new("/srv/www", NULL);
 *     cease_http_server_route(server, "GET", "/static/{path...}", cease_http_files_serve, files);
 *     cease_http_server_use(server, cease_http_compress, NULL);
 *     …
 *     cease_http_server_free(server);
 *     cease_http_files_free(files);
 *
 * Files are opened and read by the pool of cease/block.h, so a slow disk holds up one request and no
 * worker. The kernel resolves their names beneath the folder (openat2 with RESOLVE_BENEATH): neither ".." nor a
 * symbolic link leads out of it. Where the kernel cannot, each segment is opened by itself and
 * symbolic links are refused. What is not a regular file is not there.
 */
#ifndef CEASE_HTTP_FILES_H
#define CEASE_HTTP_FILES_H

#include <cease/attr.h>
#include <cease/context.h>
#include <cease/error.h>
#include <cease/http.h>
#include <stdbool.h>
#include <stddef.h>

CEASE_BEGIN_DECLS

typedef struct cease_http_files cease_http_files; /* a folder; shared by any number of handlers */

/* Options of cease_http_files_new. 0 and NULL mean the default. */
typedef struct cease_http_files_opts {
    size_t size;               /* sizeof(cease_http_files_opts) */
    const char *index;         /* "index.html": what a folder's name stands for; "": nothing */
    const char *cache_control; /* the value of Cache-Control; NULL: no such field */
    bool hidden;               /* serve names that begin with a dot */
} cease_http_files_opts;

/* Opens a folder. opts may be NULL; what it points to is copied.
 *
 * Parks: never; opening the folder may block for a moment.
 * Callers: any.
 * Owns: the result is yours: cease_http_files_free.
 * Errors: returns NULL when it is no folder, or out of memory; every function here accepts that NULL.
 * Since: 0.1
 */
CEASE_PUBLIC cease_http_files *cease_http_files_new(const char *folder,
                                                    const cease_http_files_opts *opts);

/* Frees it, when no handler uses it any more. NULL is fine.
 *
 * Parks: never.
 * Callers: the owner.
 * Owns: consumes files.
 * Errors: none.
 * Since: 0.1
 */
CEASE_PUBLIC void cease_http_files_free(cease_http_files *files);

/* A handler for routes whose last segment is "{path...}"; arg is a cease_http_files. Answers GET and HEAD with
 * the file, other methods with 405: one range of it (206, 416) when asked for one, and the whole when for several; 304 or 412 as its
 * conditions say (RFC 9110, 13.2.2);
 * ETag, Last-Modified, a Content-Type by the name's ending; 404 for what is not there, and for everything
 * that is not to be served; 301 from a folder's name to the one with a slash.
 *
 * Parks: while the file is opened and read, and while the client does not take it.
 * Callers: the server; another handler, or a middleware, may call it as well.
 * Owns: nothing.
 * Errors: as cease_http_response_write; those of reading; the context's.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http_files_serve(cease_ctx *ctx, cease_http_request *req,
                                                cease_http_response *res, void *arg);

/* The same for a path relative to the folder that the caller says.
 *
 * Parks: as cease_http_files_serve.
 * Callers: the handler's task.
 * Owns: nothing.
 * Errors: as cease_http_files_serve; CEASE_ENOMEM when files is NULL.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http_files_send(cease_ctx *ctx, cease_http_files *files,
                                               cease_http_request *req, cease_http_response *res,
                                               const char *path);

/* A middleware that compresses responses with gzip, for clients that accept it: text, JSON, XML, JavaScript
 * and SVG (by Content-Type), with a status of 200 or an error's, of 512 bytes or more, and not
 * encoded already or "no-transform" (Cache-Control). It adds Content-Encoding and Vary, makes a strong ETag weak, and takes
 * a Content-Length away, from the answer to a HEAD as well. A flush sends what has been written, so events still
 * arrive one by one. arg is not used.
 *
 *     cease_http_server_use(server, cease_http_compress, NULL);
 *
 * Parks: as what is inside it.
 * Callers: the server.
 * Owns: nothing.
 * Errors: those of what is inside it; CEASE_ENOMEM.
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_http_compress(cease_ctx *ctx, cease_http_request *req,
                                             cease_http_response *res, const cease_http_next *next,
                                             void *arg);

CEASE_END_DECLS

#endif
