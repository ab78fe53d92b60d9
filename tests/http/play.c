/* play.c: a server that says exactly what a test wants, connection by connection. */
#include "play.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct serving {
    struct play *p;
    cease_conn *c;
    int index;
};

static cease_error serve_one(cease_ctx *ctx, void *arg)
{
    struct serving s = *(struct serving *)arg;
    free(arg);
    s.p->fn(ctx, s.p, s.c, s.index);
    cease_conn_close(s.c);
    __atomic_add_fetch(&s.p->ended, 1, __ATOMIC_SEQ_CST);
    return CEASE_OK;
}

static cease_error accept_all(cease_ctx *ctx, void *arg)
{
    struct play *p = arg;
    for (;;) {
        cease_conn *c;
        cease_error e = cease_listener_accept(ctx, p->listener, &c);
        if (e == CEASE_ENOMEM && cease_err(ctx) == CEASE_OK) {
            continue;
        }
        if (e != CEASE_OK) {
            return CEASE_OK;
        }
        struct serving *s = malloc(sizeof *s);
        if (s) {
            *s = (struct serving){p, c, __atomic_fetch_add(&p->connections, 1, __ATOMIC_SEQ_CST)};
        }
        if (!s || cease_group_go(p->group, serve_one, s) != CEASE_OK) {
            free(s);
            cease_conn_close(c);
        }
    }
}

void play_start(struct play *p, play_fn *fn, void *arg)
{
    memset(p, 0, sizeof *p);
    p->fn = fn;
    p->arg = arg;
    CHECK_OK(cease_listen(cease_background(), "127.0.0.1:0", NULL, &p->listener));
    CHECK_OK(cease_listener_address(p->listener, p->address, sizeof p->address));
    snprintf(p->url, sizeof p->url, "http://%s", p->address);
    p->ctx = cease_with_cancel(cease_background(), &p->stop);
    static const cease_group_opts supervise = {.size = sizeof supervise, .supervise = true};
    p->group = cease_group_new(p->ctx, &supervise);
    CHECK_OK(cease_group_go(p->group, accept_all, p));
}

void play_stop(struct play *p)
{
    cease_cancel(p->stop);
    cease_group_free(p->group);
    cease_listener_close(p->listener);
    cease_end(p->stop);
}

static bool is_whole(const char *text, size_t size)
{
    const char *end = strstr(text, "\r\n\r\n");
    if (!end) {
        return false;
    }
    const char *length = strcasestr(text, "content-length: ");
    if (length && length < end) {
        return size >= (size_t)(end + 4 - text) + strtoul(length + 16, NULL, 10);
    }
    const char *chunked = strcasestr(text, "transfer-encoding: chunked");
    return !chunked || chunked > end || strstr(end, "\r\n0\r\n\r\n");
}

bool play_hear(cease_ctx *ctx, struct play *p, cease_conn *c)
{
    char text[PLAY_REQUEST_SIZE];
    size_t size = 0;
    text[0] = '\0';
    while (!is_whole(text, size)) {
        size_t n = 0;
        if (size + 1 == sizeof text ||
            cease_conn_read(ctx, c, text + size, sizeof text - 1 - size, &n) != CEASE_OK) {
            return false;
        }
        size += n;
        text[size] = '\0';
    }
    int at = __atomic_fetch_add(&p->requests, 1, __ATOMIC_SEQ_CST);
    if (at < PLAY_REQUESTS_MAX) {
        memcpy(p->request[at], text, size + 1);
    }
    return true;
}

void play_say(cease_ctx *ctx, cease_conn *c, const char *text)
{
    cease_conn_write(ctx, c, text, strlen(text), NULL);
}

void play_wait_end(cease_ctx *ctx, cease_conn *c)
{
    char byte;
    size_t n;
    while (cease_conn_read(ctx, c, &byte, 1, &n) == CEASE_OK) {
    }
}

void play_always(cease_ctx *ctx, struct play *p, cease_conn *c, int index)
{
    (void)index;
    while (play_hear(ctx, p, c)) {
        play_say(ctx, c, p->arg);
    }
}
