/* SPDX-License-Identifier: MIT
 *
 * search.h: one query, asked of all backends at once.
 */
#ifndef SEARCH_SEARCH_H
#define SEARCH_SEARCH_H

#include "backend.h"

struct answer {
    const struct backend *backend;
    struct hits hits;
    cease_error error; /* CEASE_EDEADLINE: its budget, or the request's time, was over */
    struct trouble trouble;
    cease_dur elapsed;
};

enum { RANKED_MAX = 3 * HITS_MAX };

struct result {
    struct answer *answers;
    size_t count;
    cease_dur elapsed; /* the caller's, who knows when the request's time began */
    struct {
        const struct answer *answer;
        const struct hit *hit;
    } ranked[RANKED_MAX]; /* the hits of all, best first, each document once */
    size_t ranked_count;
};

/* Asks every backend, each in a task of its own and within its own budget, and waits until all of
 * them have returned: then nothing works for this query any more. A backend that fails is an answer
 * with an error; the others are not stopped.
 *
 * Parks: until the last has answered, or ctx has ended.
 * Owns: *ret is yours also on errors: result_deinit.
 * Errors: CEASE_ENOMEM, CEASE_EAGAIN (no task to be had). That ctx has ended is no error here: see
 * the answers. */
cease_error search_all(cease_ctx *ctx, const struct backends *all, const char *query,
                       struct result *ret);
void result_deinit(struct result *r);

/* 200 when any backend has answered; otherwise 504 if time was up for all of them, 502 if not. */
int result_status(const struct result *r);

/* What a backend's error is called, or NULL for none. */
const char *answer_error(const struct answer *a);

#endif
