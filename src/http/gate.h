/* SPDX-License-Identifier: MIT
 *
 * gate.h: how many handlers run at a time, and who waits for a place. See gate.c.
 */
#ifndef CEASE_HTTP_GATE_H
#define CEASE_HTTP_GATE_H

#include "base/lock.h"

#include <cease/context.h>
#include <cease/error.h>
#include <stdint.h>

struct ceasei_http_gate {
    uint32_t run_max, wait_max; /* set at birth */
    uint64_t word;              /* atomic: see gate.c */
    struct ceasei_lock lock;
    struct ceasei_http_waiter *first, *last; /* under lock, oldest first */
};

/* Takes a place, or waits for one in order of arrival. CEASE_EAGAIN: as many wait as may. Else ctx's error.
 * Parks. */
cease_error ceasei_http_gate_enter(cease_ctx *ctx, struct ceasei_http_gate *g);
void ceasei_http_gate_leave(struct ceasei_http_gate *g);

uint32_t ceasei_http_gate_running(const struct ceasei_http_gate *g);
uint32_t ceasei_http_gate_waiting(const struct ceasei_http_gate *g);

#endif
