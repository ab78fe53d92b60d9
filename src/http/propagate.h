/* SPDX-License-Identifier: MIT
 *
 * propagate.h: between a message's head and what a context carries.
 */
#ifndef CEASE_HTTP_PROPAGATE_H
#define CEASE_HTTP_PROPAGATE_H

#include "http/growing.h"
#include "http/parse.h"

#include <cease/propagate.h>
#include <stdbool.h>

/* A child of ctx that carries what the head says, to be dropped by cease_unref, or ctx itself, with a
 * reference, when it is malformed, which is counted in *ret_bad. NULL when it says nothing. */
cease_ctx *ceasei_propagate_in(cease_ctx *ctx, const struct ceasei_http_head *h, const char *data,
                               bool take_baggage, unsigned *ret_bad);

/* Adds the fields for what ctx carries. */
void ceasei_propagate_out(const cease_ctx *ctx, bool trace, bool baggage, struct ceasei_text *t);

/* Whether the field is one that the context replaces. */
bool ceasei_propagate_replaces(const cease_ctx *ctx, bool trace, bool baggage, const char *name);

/* Pure. The size of the text up to which a list of members is kept (64, 8,192 bytes); -1: malformed. */
int64_t ceasei_baggage_check(const char *text, size_t size);
bool ceasei_tracestate_check(const char *text, size_t size);

#endif
