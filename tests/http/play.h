/* play.h: a server that says exactly what a test wants, connection by connection. */
#ifndef CEASE_TESTS_HTTP_PLAY_H
#define CEASE_TESTS_HTTP_PLAY_H

#include "rig.h"

enum { PLAY_REQUESTS_MAX = 64, PLAY_REQUEST_SIZE = 4096 };

struct play;
/* Serves one connection, the index-th; returns when it is to be closed. ctx ends with play_stop. */
typedef void play_fn(cease_ctx *ctx, struct play *p, cease_conn *c, int index);

struct play {
    play_fn *fn;
    void *arg;
    cease_listener *listener;
    cease_ctx *ctx;
    cease_canceler *stop;
    cease_group *group;
    char address[CEASE_ADDRESS_SIZE];
    char url[CEASE_ADDRESS_SIZE + 16];                  /* "http://127.0.0.1:port" */
    int connections;                                    /* atomic: taken */
    int ended;                                          /* atomic: served to their end */
    int requests;                                       /* atomic: read whole */
    char request[PLAY_REQUESTS_MAX][PLAY_REQUEST_SIZE]; /* head and body, in order */
};

void play_start(struct play *p, play_fn *fn, void *arg);
void play_stop(struct play *p);

/* Reads one request, with its body when it has a Content-Length or is chunked; false: the client has gone. */
bool play_hear(cease_ctx *ctx, struct play *p, cease_conn *c);
void play_say(cease_ctx *ctx, cease_conn *c, const char *text);
/* Waits for the client to close. */
void play_wait_end(cease_ctx *ctx, cease_conn *c);

/* Answers every request on every connection with p->arg. */
play_fn play_always;

#endif
