/* SPDX-License-Identifier: MIT
 *
 * client.c: what one request costs a client that keeps its connections: the CPU time, user and system, of
 * this whole process for one small request through a pool.
 *
 *     client PORT CALLERS REQUESTS
 *
 * CALLERS tasks ask one after the other, each under a context with a timeout of 1 s, and check every
 * response. Prints nanoseconds for one.
 */
#include <cease/cease.h>
#include <cease/http_client.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static cease_http_client *client;
static char url[64];
static long left; /* atomic */

static cease_error ask(cease_ctx *ctx, void *arg)
{
    const cease_http_call call = {.size = sizeof call, .url = url};
    (void)arg;
    while (__atomic_fetch_sub(&left, 1, __ATOMIC_RELAXED) > 0) {
        cease_canceler *stop;
        cease_http_reply reply = {0};
        cease_ctx *limited = cease_with_timeout(ctx, cease_sec(1), &stop);
        cease_error e = cease_http_client_do(limited, client, &call, &reply);
        cease_end(stop);
        if (e != CEASE_OK || reply.status != 200 || reply.body_size != 13) {
            fprintf(stderr, "client: %s, status %d\n", cease_strerror(e), reply.status);
            exit(1);
        }
        cease_http_reply_deinit(&reply);
    }
    return CEASE_OK;
}

static void run(int callers, long requests)
{
    left = requests;
    cease_group *g = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < callers; i++)
        cease_group_go(g, ask, NULL);
    cease_group_wait(g);
    cease_group_free(g);
}

static double used_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: client PORT CALLERS REQUESTS\n");
        return 2;
    }
    cease_http_client_opts opts = {.size = sizeof opts, .proxy = ""};
    int callers = (int)strtol(argv[2], NULL, 10);
    long requests = strtol(argv[3], NULL, 10);
    client = cease_http_client_new(&opts);
    snprintf(url, sizeof url, "http://127.0.0.1:%s/", argv[1]);
    run(callers, requests / 10 + 1); /* warm */
    double before = used_ns();
    run(callers, requests);
    printf("%.1f\n", (used_ns() - before) / (double)requests);
    cease_http_client_free(client);
    return 0;
}
