/* SPDX-License-Identifier: MIT
 *
 * remote.h: backends that are other instances of this program, asked over HTTP.
 *
 * The time that is left goes with the request (X-Request-Timeout-Ms), and so does
 * the user's address (X-Forwarded-For). When the context ends the connection is closed, which is how
 * the other instance learns that nobody waits any more.
 *
 * Several URLs are replicas of each other: one is asked, after the hedge time, or as soon as it has
 * failed, the next as well; the first answer wins, and the others are cancelled and waited for.
 *
 * A request carries how many instances it has been through, so that two that name each other do not
 * ask in circles: after HOPS_MAX of them no further one is asked.
 */
#ifndef SEARCH_REMOTE_H
#define SEARCH_REMOTE_H

#include "backend.h"

enum { HOPS_MAX = 4 };
#define REMOTE_HOPS_FIELD "X-Search-Hops"

/* `name`, `title` and the URLs ("http://host:port") are borrowed. NULL self: out of memory. */
struct backend remote_backend(const char *name, const char *title, const char *const *urls,
                              size_t count, cease_dur hedge);

/* How many instances a request has been through before this one. */
struct remote_hops {
    long count;
};
/* From the header field's value; NULL, or what is no number: 0. */
void remote_read_hops(const char *field, struct remote_hops *ret_hops);
/* A context that carries *hops, which is borrowed; yours: cease_unref. */
cease_ctx *remote_with_hops(cease_ctx *parent, struct remote_hops *hops);

/* For tests: what an instance has answered to /search?format=json, as hits. Errors: CEASE_EPARSE. */
cease_error remote_parse_hits(const char *json, size_t size, const char *query,
                              struct hits *ret_hits);

#endif
