/* SPDX-License-Identifier: MIT
 *
 * deadline.h: the header fields that carry a request's remaining time from process to process.
 */
#ifndef CEASE_HTTP_DEADLINE_H
#define CEASE_HTTP_DEADLINE_H

#include "http/parse.h"

#include <cease/time.h>
#include <stdbool.h>
#include <stddef.h>

/* "100m": 1 to 8 digits and one of H M S m u n (the gRPC wire format). False when malformed. */
bool ceasei_deadline_grpc(const char *text, size_t size, cease_dur *ret);

/* 1 to 10 digits: milliseconds. False when malformed. */
bool ceasei_deadline_ms(const char *text, size_t size, cease_dur *ret);

/* The longest text that ceasei_deadline_grpc_format writes, its NUL included. */
#define CEASEI_DEADLINE_SIZE 10

/* The finest unit whose value, rounded up, fits 8 digits; "0n" when nothing is left. */
void ceasei_deadline_grpc_format(cease_dur d, char ret[CEASEI_DEADLINE_SIZE]);

/* The smallest duration that the fields of a parsed head ask for, CEASE_FOREVER when none does.
 * Malformed ones are ignored and counted in *ret_bad. */
cease_dur ceasei_deadline_of(const struct ceasei_http_head *h, const char *data, unsigned *ret_bad);

#endif
