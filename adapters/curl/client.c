/* SPDX-License-Identifier: MIT
 *
 * client.c: clients, their seats, and what the seats share.
 *
 * A permit is the right to a seat. Permits are values in a channel, so transfers beyond the limit wait in
 * the order of coming, under their contexts.
 */
#include "client.h"
#include "base/atomic.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define TRANSFERS_MAX_DEFAULT 16

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static bool curl_is_there; /* set by curl_once */

static void curl_init(void)
{
    curl_is_there = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

static void share_lock(CURL *easy, curl_lock_data data, curl_lock_access access, void *arg)
{
    cease_curl *client = arg;
    (void)easy;
    (void)access;
    pthread_mutex_lock(&client->share_locks[data]);
}

static void share_unlock(CURL *easy, curl_lock_data data, void *arg)
{
    cease_curl *client = arg;
    (void)easy;
    pthread_mutex_unlock(&client->share_locks[data]);
}

static void client_unref(cease_curl *client)
{
    if (ceasei_sub(&client->references, 1, ACQ_REL) != 1)
        return;
    if (client->share)
        curl_share_cleanup(client->share);
    cease_chan_unref(client->permits);
    for (int i = 0; i < CURL_LOCK_DATA_LAST; i++)
        pthread_mutex_destroy(&client->share_locks[i]);
    free(client);
}

static bool share_init(cease_curl *client)
{
    client->share = curl_share_init();
    return client->share &&
           curl_share_setopt(client->share, CURLSHOPT_LOCKFUNC, share_lock) == CURLSHE_OK &&
           curl_share_setopt(client->share, CURLSHOPT_UNLOCKFUNC, share_unlock) == CURLSHE_OK &&
           curl_share_setopt(client->share, CURLSHOPT_USERDATA, client) == CURLSHE_OK &&
           curl_share_setopt(client->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS) == CURLSHE_OK &&
           curl_share_setopt(client->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) ==
               CURLSHE_OK;
}

cease_curl *cease_curl_new(const cease_curl_opts *opts)
{
    pthread_once(&curl_once, curl_init);
    cease_curl *client = calloc(1, sizeof *client);
    if (!client || !curl_is_there) {
        free(client);
        return NULL;
    }
    uint32_t transfers_max =
        opts && opts->transfers_max ? opts->transfers_max : TRANSFERS_MAX_DEFAULT;
    client->references = 1;
    for (int i = 0; i < CURL_LOCK_DATA_LAST; i++)
        pthread_mutex_init(&client->share_locks[i], NULL);
    client->permits = cease_chan_new(0, transfers_max);
    if (!client->permits || !share_init(client)) {
        client_unref(client);
        return NULL;
    }
    for (uint32_t i = 0; i < transfers_max; i++)
        cease_chan_try_send(client->permits, NULL);
    return client;
}

/* ---- seats ---- */

static void seat_free(struct ceasei_curl_seat *seat)
{
    if (seat->easy)
        curl_easy_cleanup(seat->easy);
    if (seat->multi)
        curl_multi_cleanup(seat->multi);
    if (seat->epoll >= 0)
        close(seat->epoll);
    free(seat);
}

static cease_error seat_new(struct ceasei_curl_seat **ret_seat)
{
    struct ceasei_curl_seat *seat = calloc(1, sizeof *seat);
    if (!seat)
        return CEASE_ENOMEM;
    seat->epoll = epoll_create1(EPOLL_CLOEXEC);
    cease_error e = seat->epoll < 0 ? (cease_error)-errno : CEASE_OK;
    seat->multi = curl_multi_init();
    seat->easy = curl_easy_init();
    if (e == CEASE_OK && (!seat->multi || !seat->easy))
        e = CEASE_ENOMEM;
    if (e != CEASE_OK) {
        seat_free(seat);
        return e;
    }
    ceasei_curl_listen(seat);
    *ret_seat = seat;
    return CEASE_OK;
}

static cease_error find(cease_curl *client, struct ceasei_curl_seat **ret_seat)
{
    ceasei_lock(&client->lock);
    bool closed = client->closed;
    struct ceasei_curl_seat *seat = client->idle;
    if (seat)
        client->idle = seat->next;
    ceasei_unlock(&client->lock);
    if (closed) /* permits stay in a closed channel until they are taken */
        return CEASE_ECLOSED;
    if (!seat)
        return seat_new(ret_seat);
    *ret_seat = seat;
    return CEASE_OK;
}

cease_error ceasei_curl_take(cease_ctx *ctx, cease_curl *client, struct ceasei_curl_seat **ret_seat)
{
    ceasei_add(&client->references, 1,
               RELAXED); /* the caller sees to it that the client is there */
    cease_error e = cease_chan_recv(ctx, client->permits, NULL);
    if (e == CEASE_OK) {
        e = find(client, ret_seat);
        if (e != CEASE_OK)
            cease_chan_try_send(client->permits, NULL);
    }
    if (e != CEASE_OK)
        client_unref(client);
    return e;
}

void ceasei_curl_give(cease_curl *client, struct ceasei_curl_seat *take_seat)
{
    ceasei_lock(&client->lock);
    bool closed = client->closed;
    if (!closed) {
        take_seat->next = client->idle;
        client->idle = take_seat;
    }
    ceasei_unlock(&client->lock);
    if (closed)
        seat_free(take_seat);
    cease_chan_try_send(client->permits, NULL);
    client_unref(client);
}

void cease_curl_free(cease_curl *client)
{
    if (!client)
        return;
    ceasei_lock(&client->lock);
    client->closed = true;
    struct ceasei_curl_seat *idle = client->idle;
    client->idle = NULL;
    ceasei_unlock(&client->lock);
    cease_chan_close(client->permits);
    while (idle) {
        struct ceasei_curl_seat *next = idle->next;
        seat_free(idle);
        idle = next;
    }
    client_unref(client);
}
