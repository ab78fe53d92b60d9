/* SPDX-License-Identifier: MIT
 *
 * error.c: the server's states as our errors, and the words of the last call.
 */
#include "base/atomic.h"
#include "connection.h"

#include <stdio.h>
#include <string.h>

void ceasei_pg_say(cease_pg *db, const char *sqlstate, const char *text)
{
    snprintf(db->sqlstate, sizeof db->sqlstate, "%s", sqlstate);
    snprintf(db->message, sizeof db->message, "%s", text);
    size_t size = strlen(db->message);
    while (size > 0 && db->message[size - 1] == '\n')
        db->message[--size] = '\0';
}

void ceasei_pg_say_context(cease_pg *db, cease_ctx *ctx, cease_error e)
{
    const cease_cause *cause = cease_cause_of(ctx);
    ceasei_pg_say(db, "", cause ? cause->text : cease_strerror(e));
}

/* By prefix; the first that fits counts (PostgreSQL's manual, appendix A). */
static const struct {
    char state[6];
    cease_error error;
} table[] = {
    {"08P01", CEASE_EINVAL}, /* the number of parameters is wrong */
    {"08", CEASE_ECONNRESET},  {"22023", CEASE_EINVAL},
    {"23", CEASE_EEXIST},      {"25006", CEASE_EACCES}, /* a read-only transaction */
    {"28", CEASE_EACCES},                               /* the password, or pg_hba.conf */
    {"3D000", CEASE_ENOENT},                            /* no such database */
    {"40", CEASE_EAGAIN},                               /* serialization, deadlock */
    {"42501", CEASE_EACCES},   {"53100", CEASE_ENOSPC},
    {"53200", CEASE_ENOMEM}, /* the server's memory */
    {"53300", CEASE_EAGAIN}, /* too many connections */
    {"55P03", CEASE_EBUSY},  /* a lock is not available */
    {"57P03", CEASE_EAGAIN}, /* it is starting or stopping */
    {"57P", CEASE_ECONNRESET},
};

cease_error ceasei_pg_error_of_state(const char *sqlstate)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strncmp(sqlstate, table[i].state, strlen(table[i].state)) == 0)
            return table[i].error;
    }
    return CEASE_ESQL;
}

cease_error ceasei_pg_fail(cease_pg *db, const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (state) {
        ceasei_pg_say(db, state, text ? text : "");
        return ceasei_pg_error_of_state(state);
    }
    /* libpq's own: it broke, or memory was short. */
    text = PQresultErrorMessage(result);
    ceasei_pg_say(db, "", text);
    if (PQstatus(db->conn) == CONNECTION_BAD)
        return CEASE_ECONNRESET;
    return strstr(text, "out of memory") || !*text ? CEASE_ENOMEM : CEASE_EPROTO;
}

void ceasei_pg_shut(cease_pg *db)
{
    PQfinish(db->conn);
    db->conn = NULL;
    db->cut = false;
}

cease_error ceasei_pg_break(cease_pg *db, const char *text)
{
    cease_error e = CEASE_ECONNRESET;
    if (!db->conn)
        return e;
    if (!text) {
        text = PQerrorMessage(db->conn);
        if (PQstatus(db->conn) != CONNECTION_BAD && (!*text || strstr(text, "out of memory")))
            e = CEASE_ENOMEM;
    }
    ceasei_pg_say(db, "", *text ? text : cease_strerror(e));
    ceasei_pg_shut(db);
    return e;
}

void cease_pg_count(struct cease_pg_counts *ret_counts)
{
    ret_counts->connections = ceasei_load(&ceasei_pg_counts.connections, RELAXED);
    ret_counts->cut = ceasei_load(&ceasei_pg_counts.cut, RELAXED);
    ret_counts->cancels = ceasei_load(&ceasei_pg_counts.cancels, RELAXED);
    ret_counts->abandoned = ceasei_load(&ceasei_pg_counts.abandoned, RELAXED);
}
