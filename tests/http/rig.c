/* rig.c: a server under test, its log, and clients that write raw bytes. */
#include "rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void on_log(const cease_http_log_entry *entry, void *arg)
{
    struct rig *r = arg;
    pthread_mutex_lock(&r->lock);
    struct rig_log *l = &r->log[r->log_count < RIG_LOG_MAX ? r->log_count : RIG_LOG_MAX - 1];
    *l = (struct rig_log){.status = entry->status,
                          .bytes = entry->bytes,
                          .elapsed = entry->elapsed,
                          .error = entry->error,
                          .cause_code = entry->cause_code};
    snprintf(l->cause_text, sizeof l->cause_text, "%s", entry->cause_text);
    snprintf(l->method, sizeof l->method, "%s", entry->method);
    snprintf(l->target, sizeof l->target, "%s", entry->target);
    r->log_count++;
    pthread_mutex_unlock(&r->lock);
}

void rig_init(struct rig *r, const cease_http_server_opts *opts)
{
    cease_http_server_opts o = {.size = sizeof o};
    memset(r, 0, sizeof *r);
    if (opts) {
        o = *opts;
    }
    o.log = on_log;
    o.log_arg = r;
    pthread_mutex_init(&r->lock, NULL);
    r->server = cease_http_server_new(&o);
    CHECK(r->server != NULL);
    r->ctx = cease_with_cancel(cease_background(), &r->stop);
}

static cease_error serve_task(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    struct rig *r = arg;
    r->served = cease_http_server_serve(r->ctx, r->server, r->listener);
    return CEASE_OK;
}

void rig_start(struct rig *r)
{
    char address[CEASE_ADDRESS_SIZE];
    if (!r->listener) {
        CHECK_OK(cease_listen(cease_background(), "127.0.0.1:0", NULL, &r->listener));
        CHECK_OK(cease_listener_address(r->listener, address, sizeof address));
        r->port = atoi(strchr(address, ':') + 1);
        snprintf(r->url, sizeof r->url, "http://127.0.0.1:%d", r->port);
    }
    r->group = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(r->group, serve_task, r));
}

void rig_cancel(struct rig *r)
{
    cease_cancel(r->stop);
}

void rig_join(struct rig *r)
{
    CHECK_OK(cease_group_wait(r->group));
    CHECK_OK(r->served);
    cease_http_server_counts counts = rig_counts(r);
    CHECK_EQ(counts.connections, 0);
    CHECK_EQ(counts.idle, 0);
    CHECK_EQ(counts.requests, 0);
    cease_group_free(r->group);
    cease_http_server_free(r->server);
    cease_end(r->stop);
    pthread_mutex_destroy(&r->lock);
}

void rig_stop(struct rig *r)
{
    rig_cancel(r);
    rig_join(r);
}

static int log_count(struct rig *r)
{
    pthread_mutex_lock(&r->lock);
    int n = r->log_count;
    pthread_mutex_unlock(&r->lock);
    return n;
}

struct rig_log rig_logged(struct rig *r, int count)
{
    CHECK_EVENTUALLY(log_count(r) >= count);
    pthread_mutex_lock(&r->lock);
    struct rig_log l = r->log[count - 1];
    pthread_mutex_unlock(&r->lock);
    return l;
}

cease_http_server_counts rig_counts(struct rig *r)
{
    cease_http_server_counts counts;
    cease_http_server_count(r->server, &counts);
    return counts;
}

int rig_connect(struct rig *r)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)r->port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK_EQ(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

void rig_send(int fd, const char *text)
{
    size_t size = strlen(text);
    while (size > 0) {
        ssize_t n = send(fd, text, size, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return; /* the server has refused in the middle: what it says is to be read */
        }
        text += n;
        size -= (size_t)n;
    }
}

static ssize_t receive(int fd, char *buf, size_t size)
{
    ssize_t n;
    do {
        n = recv(fd, buf, size, 0);
    } while (n < 0 && errno == EINTR);
    return n;
}

/* Reads byte by byte, so that the next response stays in the socket. */
static bool complete(const char *text, size_t size, bool head)
{
    const char *end = strstr(text, "\r\n\r\n");
    if (!end) {
        return false;
    }
    const char *length = strstr(text, "Content-Length: ");
    if (head || strstr(text, " 204 ") || strstr(text, " 100 ")) {
        return true;
    }
    if (length && length < end) {
        return size >= (size_t)(end + 4 - text) + strtoul(length + 16, NULL, 10);
    }
    return strstr(text, "\r\n0\r\n\r\n") != NULL;
}

char *rig_response(int fd, bool head)
{
    size_t size = 0;
    size_t room = 1024;
    char *text = malloc(room);
    CHECK(text != NULL);
    text[0] = '\0';
    while (!complete(text, size, head)) {
        if (size + 2 > room) {
            room *= 2;
            text = realloc(text, room);
            CHECK(text != NULL);
        }
        if (receive(fd, text + size, 1) != 1) {
            break;
        }
        text[++size] = '\0';
    }
    return text;
}

char *rig_rest(int fd)
{
    size_t size = 0;
    size_t room = 65536;
    char *text = malloc(room);
    CHECK(text != NULL);
    ssize_t n;
    while ((n = receive(fd, text + size, room - size - 1)) > 0) {
        size += (size_t)n;
        if (room - size < 4096) {
            room *= 2;
            text = realloc(text, room);
            CHECK(text != NULL);
        }
    }
    text[size] = '\0';
    return text;
}

void rig_check_end(int fd)
{
    char byte;
    CHECK_EQ(receive(fd, &byte, 1), 0);
}

char *rig_ask(struct rig *r, const char *request)
{
    int fd = rig_connect(r);
    rig_send(fd, request);
    char *text = rig_response(fd, strncmp(request, "HEAD", 4) == 0);
    close(fd);
    return text;
}

void rig_check_has(const char *file, int line, const char *text, const char *part, bool has)
{
    if ((strstr(text, part) != NULL) != has) {
        harness_fail(file, line, "\"%s\" is %sin: %.400s", part, has ? "not " : "", text);
    }
}
