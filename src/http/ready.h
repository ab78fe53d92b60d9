/* SPDX-License-Identifier: MIT
 *
 * ready.h: connections that something has come for, and the few tasks that take them in turn. See ready.c.
 */
#ifndef CEASE_HTTP_READY_H
#define CEASE_HTTP_READY_H

#include "base/lock.h"

#include <cease/error.h>
#include <stdbool.h>
#include <stdint.h>

struct ceasei_http_connection;
struct ceasei_http_run;

/* A list for each of some threads, so that workers seldom meet at a lock; more threads share. */
enum { CEASEI_HTTP_READY_LISTS = 16 };
struct ceasei_http_ready {
    struct ceasei_http_run *run; /* set at birth */
    struct ceasei_lock lock;
    bool coming; /* under lock: a task was started, and has not looked yet */
    struct ceasei_http_connection *first, *last; /* under lock, oldest first; by their next_ready */
};

void ceasei_http_ready_init(struct ceasei_http_run *run);

/* Hands a connection, which is the caller's, to a task that calls ceasei_http_connection_serve with it. When
 * no task can be had it is given to ceasei_http_connection_turn_away. Any thread; does not park. */
void ceasei_http_ready_push(struct ceasei_http_connection *c);

#endif
