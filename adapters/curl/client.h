/* SPDX-License-Identifier: MIT
 *
 * client.h: what the files of libcease-curl share: the client and its seats.
 *
 * The one idea: a transfer has a seat to itself, which is a multi handle of curl's with the connections that it keeps,
 * one easy handle, and an epoll instance with curl's sockets; and it is driven by the task that wants it. So no
 * curl handle is ever used by two tasks, functions of the caller's run on the caller's stack, and a cancel is no message to
 * anybody: the task itself takes the transfer out.
 *
 * Who guards what: `lock` guards the list of idle seats; a seat belongs to who took it; the client's other fields are set at
 * birth. What the seats share lies in curl's share handle, under curl's locks, which are ours to give: plain mutexes, never
 * held over anything that parks.
 */
#ifndef CEASE_CURL_CLIENT_H
#define CEASE_CURL_CLIENT_H

#include "base/lock.h"

#include <cease/chan.h>
#include <cease/curl.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdint.h>

struct ceasei_curl_seat {
    CURLM *multi;
    CURL *easy;
    int epoll;                     /* curl's sockets, level-triggered */
    cease_time timer;              /* when curl wants to be called; CEASE_NEVER: no more */
    bool epoll_failed;             /* a socket could not be added: out of memory */
    struct ceasei_curl_seat *next; /* in the list; under the client's lock */
};

struct cease_curl {
    CURLSH *share;
    pthread_mutex_t share_locks[CURL_LOCK_DATA_LAST];
    cease_chan *permits; /* as many values as there may be transfers more */
    uint32_t references; /* atomic; the last one frees */

    struct ceasei_lock lock;
    struct ceasei_curl_seat *idle; /* under lock: the last left first */
    bool closed;                   /* under lock */
};

/* client.c */
cease_error ceasei_curl_take(cease_ctx *ctx, cease_curl *client,
                             struct ceasei_curl_seat **ret_seat);
void ceasei_curl_give(cease_curl *client, struct ceasei_curl_seat *take_seat);

/* drive.c */
/* Lets curl tell us its sockets and its timer. */
void ceasei_curl_listen(struct ceasei_curl_seat *seat);
/* Drives the transfer in seat->easy, which is in seat->multi, to its end; CEASE_OK says that it has one. */
cease_error ceasei_curl_drive(cease_ctx *ctx, struct ceasei_curl_seat *seat, CURLcode *ret_code);

#endif
