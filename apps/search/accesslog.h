/* SPDX-License-Identifier: MIT
 *
 * accesslog.h: one line per request, also for requests whose client has gone.
 *
 *     2026-11-22T22:33:40.123Z 127.0.0.1 "GET /search?q=x" 499 0 203.412ms "the client went away"
 *
 * time (UTC), the user's address, method and target, status, bytes of the body, time taken, and the
 * cause of the context's end unless the handler simply returned ("-").
 */
#ifndef SEARCH_ACCESSLOG_H
#define SEARCH_ACCESSLOG_H

#include <cease/error.h>
#include <cease/http.h>

struct accesslog;

/* Opens "-", "off", or a file to append to. */
cease_error accesslog_open(const char *name, struct accesslog **ret_log);
/* Writes what is still to be written, for at most a second: a reader that has stopped reading does
 * not keep the program. */
void accesslog_close(struct accesslog *log);
/* For cease_http_server_opts; arg is the log. Never waits: when the reader is too slow, lines are
 * dropped and counted. */
void accesslog_entry(const cease_http_log_entry *entry, void *arg);
/* The line for an entry, without the newline and with the given time since 1970. For tests. */
struct text;
void accesslog_line(struct text *t, const cease_http_log_entry *entry, int64_t unix_ms);

#endif
