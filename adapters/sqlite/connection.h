/* SPDX-License-Identifier: MIT
 *
 * connection.h: what pool.c and function.c see of a connection, which is sqlite.c's.
 */
#ifndef CEASE_SQLITE_CONNECTION_H
#define CEASE_SQLITE_CONNECTION_H

#include <cease/sqlite.h>
#include <stdbool.h>

/* Whether the next user may have it: it works, and no transaction is open. For who owns it at this time. */
bool ceasei_sqlite_is_at_rest(const cease_sqlite *db);
/* The context of the call under way; a root when there is none. On the thread of its job. */
cease_ctx *ceasei_sqlite_ctx(const cease_sqlite *db);

#endif
