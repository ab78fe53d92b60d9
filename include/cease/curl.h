/* SPDX-License-Identifier: MIT
 *
 * cease/curl.h: whatever libcurl can fetch or send, under a context (libcease-curl).
 *
 * HTTP by any version and through any proxy, FTP, SFTP, mail and the rest: a transfer runs in the task (or on the
 * thread) that asks for it, which parks whenever curl waits. Bodies stream both ways through functions that are called
 * on that task's own stack and may park; nothing is buffered beyond curl's own few KiB.
 *
 *     cease_curl *client = cease_curl_new(NULL);
 *     …
 *     cease_curl_request request = {.size = sizeof request, .url = "https://example.com/",
 *                                   .sink = print};
 *     cease_curl_response response;
 *     cease_error err = cease_curl_fetch(ctx, client, &request, &response);
 *
 * What happens on cancel. When the context ends, the transfer is taken out of curl before the call
 * returns: its connection is closed (over HTTP/1 that is how the server hears of it), no function of
 * the caller's is called any more, and nothing of it is left running. The one thing that may live a little
 * longer is a thread of curl's own that asks a name server: it touches nothing of the caller's, and ends by itself. A
 * transfer that was complete when the context ended is a success. Connections that are at rest are kept
 * for the next transfer; one that was cut is never used again, so no answer goes to another request.
 *
 * A client is shared by any number of tasks and threads. Each transfer has a seat in it, with connections of its own;
 * all seats share the names that were resolved and the TLS sessions. The seat that was left last is taken first, so that
 * connections are used again. Transfers do not share one HTTP/2 connection.
 */
#ifndef CEASE_CURL_H
#define CEASE_CURL_H

#include <cease/attr.h>
#include <cease/context.h>
#include <cease/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

CEASE_BEGIN_DECLS

typedef struct cease_curl cease_curl; /* a client */

/* Options of cease_curl_new. All zero (or NULL instead of the struct) means the defaults. */
typedef struct cease_curl_opts {
    size_t size;            /* sizeof(cease_curl_opts)                        */
    uint32_t transfers_max; /* at a time; others wait in their order; 0: 16   */
} cease_curl_opts;

/* Takes the next piece of a body, on the task that fetches; it may park. CEASE_OK asks for more, CEASE_EOF wants no
 * more (the transfer ends there, and succeeds), anything else ends it with that error. */
typedef cease_error cease_curl_sink_fn(const void *data, size_t size, void *arg);

/* Writes the next piece of a body, at most `size` bytes, to buf; it may park. CEASE_EOF at the end, any
 * other error ends the transfer with it. */
typedef cease_error cease_curl_source_fn(void *arg, void *buf, size_t size, size_t *ret_count);

/* Sees one header line of the response, without its end ("Content-Type: text/plain"; the status line too). */
typedef void cease_curl_header_fn(const char *line, size_t size, void *arg);

/* Sets what is not here: `easy` is curl's handle (CURL *), for curl_easy_setopt. Called before the transfer
 * starts, on the task that fetches; what it gives to curl lives until the fetch returns. Signals, the
 * error buffer, and the functions for bodies and headers are the client's. */
typedef void cease_curl_setup_fn(void *easy, void *arg);

/* What to fetch. Zero is the default of each but url. Everything is borrowed until the call returns. */
typedef struct cease_curl_request {
    size_t size; /* sizeof(cease_curl_request) */
    const char *url;
    const char *method; /* NULL: GET; POST with a body, PUT with a source                  */
    const char *const
        *headers;      /* "Name: value", the last one NULL                                */
    const char *proxy; /* as curl's CURLOPT_PROXY; NULL: what the environment says        */
    bool follow;       /* redirects, at most 10                                           */
    bool decompress;   /* ask for compressed bodies, and give the sink their content      */
    const void *body;  /* to send, from memory                                            */
    size_t body_size;
    cease_curl_source_fn
        *source;              /* to send, as it comes; its size is not known before, unless ... */
    int64_t source_size;      /* ... this is more than 0                                       */
    cease_curl_sink_fn *sink; /* NULL: the body is thrown away                                 */
    cease_curl_header_fn *header;
    cease_curl_setup_fn *setup;
    void *arg;     /* of all four functions                                                  */
    char *message; /* where a failing fetch leaves what went wrong, in words                 */
    size_t
        message_size; /* its room in bytes, NUL included; 0: nowhere                            */
} cease_curl_request;

/* What came. */
typedef struct cease_curl_response {
    long status;      /* HTTP's, or what the protocol has in its place; 0: none          */
    int64_t received; /* bytes of body, as they came over the network                    */
    long connects;    /* connections that had to be made for it; 0: one was used again   */
    char type[128];   /* the Content-Type, cut to fit; "" when there is none             */
} cease_curl_response;

/* A body in memory; data[size] is NUL. */
typedef struct cease_curl_body {
    char *data;
    size_t size;
    cease_curl_response response;
} cease_curl_body;

/* Makes a client.
 *
 * Parks: no; the first one in the process lets curl set itself up, which reads files
 * Callers: any thread
 * Owns: the client is yours: cease_curl_free; opts is copied
 * Errors: NULL when memory is short
 * Since: 0.1
 */
CEASE_PUBLIC cease_curl *cease_curl_new(const cease_curl_opts *opts);

/* Closes the client: who waits for a seat gets CEASE_ECLOSED, idle connections are closed now, those of transfers that
 * run with their end. NULL is fine.
 *
 * Parks: no
 * Callers: any thread, once; transfers that have begun go on, but none may begin
 * Owns: consumes the client
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_curl_free(cease_curl *client);

/* Runs one transfer. A status such as 404 is no error: it is in the response.
 *
 * Parks: until the transfer is over, and as its functions do
 * Callers: tasks and threads
 * Owns: nothing
 * Errors: CEASE_ERESOLVE, CEASE_ECONNREFUSED (no connection), CEASE_ETIMEDOUT (a limit of curl's own), CEASE_ECONNRESET
 * (it broke in the middle), CEASE_ETLS, CEASE_EACCES (login), CEASE_ENOENT (no such file, but by HTTP), CEASE_EINVAL
 * (the URL), CEASE_ENOTSUP (the protocol), CEASE_EPROTO, CEASE_EMSGSIZE, CEASE_ENOMEM, CEASE_EMFILE, CEASE_EIO (all that
 * curl has besides; the message says what), CEASE_ECLOSED; what a function returned; the context's
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_curl_fetch(cease_ctx *ctx, cease_curl *client,
                                          const cease_curl_request *request,
                                          cease_curl_response *ret_response);

/* Fetches a URL into memory, redirects followed. A body of more than `size_max` bytes is CEASE_EMSGSIZE.
 *
 * Parks: until it is there.
 * Callers: tasks and threads
 * Owns: *ret_body is yours: cease_curl_body_deinit
 * Errors: CEASE_EMSGSIZE; as cease_curl_fetch
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_curl_get(cease_ctx *ctx, cease_curl *client, const char *url,
                                        size_t size_max, cease_curl_body *ret_body);

/* Frees what cease_curl_get has fetched. Zeroed is fine.
 *
 * Parks: no
 * Callers: any thread
 * Owns: consumes the body's memory
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_curl_body_deinit(cease_curl_body *body);

CEASE_END_DECLS

#endif
