/* SPDX-License-Identifier: MIT
 *
 * accesslog.c: see accesslog.h.
 *
 * Requests put lines into a channel, a thread takes them out and writes: a pipe that nobody reads
 * blocks that thread and no request. What the client sent is escaped, so that no target can forge a
 * line.
 */
#include "accesslog.h"

#include <cease/chan.h>
#include <cease/duration.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "text.h"
#include "userip.h"

enum { LINES_WAITING_MAX = 4096, TARGET_MAX = 2000 };

struct accesslog {
    int fd;            /* -1: off */
    cease_chan *lines; /* of char * */
    pthread_t writer;
    _Atomic uint64_t dropped;
};

static void add_escaped(struct text *t, const char *s)
{
    for (size_t i = 0; s[i] && i < TARGET_MAX; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
            text_printf(t, "\\x%02x", c);
        else
            text_putc(t, (char)c);
    }
}

void accesslog_line(struct text *t, const cease_http_log_entry *entry, int64_t unix_ms)
{
    char when[32];
    char elapsed[CEASE_DUR_SIZE];
    char ignored[200];
    struct tm tm;
    struct userip ip;
    time_t seconds = (time_t)(unix_ms / 1000);
    gmtime_r(&seconds, &tm);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
    cease_dur_format(cease_us(entry->elapsed.ns / 1000), elapsed, sizeof elapsed);
    bool known = userip_parse(entry->peer, &ip, ignored, sizeof ignored) == CEASE_OK;
    text_printf(t, "%s.%03dZ %s \"", when, (int)(unix_ms % 1000), known ? ip.text : "-");
    add_escaped(t, entry->method);
    text_putc(t, ' ');
    add_escaped(t, entry->target);
    text_printf(t, "\" %d %" PRIu64 " %s ", entry->status, entry->bytes, elapsed);
    if (entry->cause_code == CEASE_ERETURNED || !entry->cause_text[0]) {
        text_putc(t, '-');
        return;
    }
    text_putc(t, '"');
    add_escaped(t, entry->cause_text);
    text_putc(t, '"');
}

void accesslog_entry(const cease_http_log_entry *entry, void *arg)
{
    struct accesslog *log = arg;
    struct timespec now;
    struct text line = {0};
    if (log->fd < 0)
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    accesslog_line(&line, entry, (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000);
    text_putc(&line, '\n');
    if (!line.failed && cease_chan_try_send(log->lines, &line.data) == CEASE_OK)
        return;
    text_deinit(&line);
    atomic_fetch_add_explicit(&log->dropped, 1, memory_order_relaxed);
}

static void write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t count = write(fd, data, size);
        if (count < 0 && errno != EINTR)
            return; /* a closed pipe, a full disk: no reason to stop serving */
        if (count <= 0)
            continue;
        data += count;
        size -= (size_t)count;
    }
}

static void *write_lines(void *arg)
{
    struct accesslog *log = arg;
    char *line;
    while (cease_chan_recv(cease_background(), log->lines, &line) == CEASE_OK) {
        struct text note = {0};
        uint64_t dropped = atomic_exchange_explicit(&log->dropped, 0, memory_order_relaxed);
        if (dropped > 0)
            text_printf(&note, "# %" PRIu64 " lines were dropped: the log is read too slowly\n",
                        dropped);
        write_all(log->fd, text_str(&note), note.size);
        write_all(log->fd, line, strlen(line));
        text_deinit(&note);
        free(line);
    }
    return NULL;
}

static void drop_line(void *value)
{
    free(*(char **)value);
}

static cease_error start(struct accesslog *log)
{
    sigset_t all;
    sigset_t before;
    log->lines = cease_chan_new(sizeof(char *), LINES_WAITING_MAX);
    if (!log->lines)
        return CEASE_ENOMEM;
    cease_chan_on_drop(log->lines, drop_line);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&log->writer, NULL, write_lines, log);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return (cease_error)-failed;
}

static int open_log(const char *name)
{
    if (strcmp(name, "-") == 0)
        return fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    return open(name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
}

cease_error accesslog_open(const char *name, struct accesslog **ret_log)
{
    struct accesslog *log = calloc(1, sizeof *log);
    if (!log)
        return CEASE_ENOMEM;
    bool off = strcmp(name, "off") == 0;
    log->fd = off ? -1 : open_log(name);
    cease_error e = off ? CEASE_OK : log->fd < 0 ? (cease_error)-errno : start(log);
    if (e != CEASE_OK) {
        if (log->fd >= 0)
            close(log->fd);
        cease_chan_unref(log->lines);
        free(log);
        return e;
    }
    *ret_log = log;
    return CEASE_OK;
}

void accesslog_close(struct accesslog *log)
{
    if (!log)
        return;
    if (log->fd >= 0) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec++;
        cease_chan_close(log->lines);
        /* A writer that is stuck keeps what it uses: the process is about to end. */
        if (pthread_timedjoin_np(log->writer, NULL, &until) != 0)
            return;
        cease_chan_unref(log->lines);
        close(log->fd);
    }
    free(log);
}
