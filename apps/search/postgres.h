/* SPDX-License-Identifier: MIT
 *
 * postgres.h: a backend on PostgreSQL, and who fills its table.
 *
 * The table `cease_search` holds what the embedded indexes hold, of one machine or of several that fill the same
 * database with the same pages; so it is one more backend that is asked beside them, and what both find is shown
 * once. Its full-text search has a GIN index. What happens to a query when its request ends is cease-pg's to say: it
 * is cancelled in the server.
 */
#ifndef SEARCH_POSTGRES_H
#define SEARCH_POSTGRES_H

#include "backend.h"
#include "index.h"

/* `url` is libpq's connection string, borrowed. NULL self: out of memory, or built without PostgreSQL. */
struct backend postgres_backend(const char *url, long slow_ms);

/* Whether this program was built with it. */
bool postgres_is_there(void);

/* Whether libpq would take it for a connection string. Connects to nothing. */
bool postgres_url_is_good(const char *url);

/* Makes the table and brings it in step with the embedded indexes, in transactions; at once when another process
 * is doing that. What it cannot do it says on standard error, and tries again after a while, until ctx ends.
 *
 * Parks: all the time.
 * Errors: the context's. */
cease_error postgres_fill(cease_ctx *ctx, const char *url, const struct indexes *indexes);

#endif
