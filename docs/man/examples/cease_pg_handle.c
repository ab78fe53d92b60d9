#include "pg_common.h"

/* [example] */
#include <cease/pg.h>
#include <libpq-fe.h>
#include <stdio.h>

/* What libpq knows already, asks nobody, and does not wait. */
static void print_session(cease_pg *db)
{
    PGconn *conn = cease_pg_handle(db);
    printf("server %d, process %d, %s\n", PQserverVersion(conn), PQbackendPID(conn),
           PQsslInUse(conn) ? "TLS" : "no TLS");
}
/* [end] */

TEST(example_pg_handle)
{
    warm_up();
    cease_pg *db = open_pg();
    print_session(db);
    cease_pg_close(db);
}
