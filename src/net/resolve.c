/* SPDX-License-Identifier: MIT
 *
 * resolve.c: host names to addresses, under a context.
 *
 * getaddrinfo() can neither park nor be interrupted, so it runs in the block pool, and who asked leaves
 * it behind when its context ends first. The job is in memory of its own, which the pool frees in that
 * case; the pool also bounds how many lookups a dead resolver can hold.
 */
#include "net/address.h"

#include <cease/block.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct job {
    char host[CEASEI_HOST_MAX];
    char port[8];
    cease_error error; /* written by look_up, as are these */
    int count;
    struct ceasei_address found[CEASEI_ADDRESSES_MAX];
};

static cease_error error_of(int status)
{
    switch (status) {
    case EAI_MEMORY:
        return CEASE_ENOMEM;
    case EAI_SYSTEM:
        return errno == EMFILE || errno == ENFILE ? (cease_error)-errno : CEASE_ERESOLVE;
    default:
        return CEASE_ERESOLVE;
    }
}

/* On a thread of the block pool. */
static void look_up(void *arg)
{
    struct job *job = arg;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    int status = getaddrinfo(job->host, job->port, &hints, &list);
    job->error = status == 0 ? CEASE_OK : error_of(status);
    for (struct addrinfo *i = list; i && job->count < CEASEI_ADDRESSES_MAX; i = i->ai_next) {
        struct ceasei_address *a = &job->found[job->count];
        bool ours = i->ai_family == AF_INET || i->ai_family == AF_INET6;
        if (ours && i->ai_addrlen <= sizeof a->u) {
            memcpy(&a->u, i->ai_addr, i->ai_addrlen);
            a->size = i->ai_addrlen;
            job->count++;
        }
    }
    if (list) {
        freeaddrinfo(list);
    }
    if (job->error == CEASE_OK && job->count == 0) {
        job->error = CEASE_ERESOLVE;
    }
}

static cease_error ask(cease_ctx *ctx, const char *host, unsigned port,
                       struct ceasei_address ret[CEASEI_ADDRESSES_MAX], int *ret_count)
{
    struct job *job = calloc(1, sizeof *job);
    if (!job) {
        return CEASE_ENOMEM;
    }
    snprintf(job->host, sizeof job->host, "%s", host);
    snprintf(job->port, sizeof job->port, "%u", port);
    cease_error e = cease_block_leave(ctx, look_up, free, job);
    if (e != CEASE_OK) {
        return e; /* the job is the pool's to free */
    }
    e = job->error;
    if (e == CEASE_OK) {
        memcpy(ret, job->found, (size_t)job->count * sizeof *ret);
        *ret_count = job->count;
    }
    free(job);
    return e;
}

cease_error ceasei_address_resolve(cease_ctx *ctx, const struct ceasei_address_text *text,
                                   struct ceasei_address ret[CEASEI_ADDRESSES_MAX], int *ret_count)
{
    if (text->numeric) {
        ret[0] = text->address;
        *ret_count = 1;
        return CEASE_OK;
    }
    return text->host[0] == '\0' ? CEASE_EINVAL : ask(ctx, text->host, text->port, ret, ret_count);
}
