#include "harness.h"

/* [example] */
#include <cease/cease.h>
#include <cease/test.h>

/* A server that takes two seconds for each byte, and a client that gives it five for three. */
static cease_error serve(cease_ctx *ctx, void *arg)
{
    cease_conn *conn = arg;
    char byte;
    size_t n;
    cease_error err;
    while ((err = cease_conn_read(ctx, conn, &byte, 1, &n)) == CEASE_OK) {
        err = cease_sleep(ctx, cease_sec(2));
        if (err == CEASE_OK)
            err = cease_conn_write(ctx, conn, &byte, 1, NULL);
        if (err != CEASE_OK)
            break;
    }
    cease_conn_close(conn);
    return err == CEASE_EOF ? CEASE_OK : err;
}

static cease_error ask(cease_ctx *ctx, cease_conn *conn, int *ret_answers)
{
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *budget = cease_with_timeout(ctx, cease_sec(5), &stop);
    char byte;
    size_t n;
    cease_error err = cease_conn_write(budget, conn, "abc", 3, NULL);
    while (err == CEASE_OK) {
        err = cease_conn_read(budget, conn, &byte, 1, &n);
        *ret_answers += err == CEASE_OK;
    }
    cease_conn_close(conn);
    return err;
}

static cease_error client_and_server(cease_ctx *ctx, void *arg)
{
    cease_conn *client, *server;
    cease_error err = cease_test_conn_pair(&client, &server);
    if (err != CEASE_OK)
        return err;
    err = cease_go(ctx, serve, server);
    return err != CEASE_OK ? err : ask(ctx, client, arg);
}

/* Takes no time: whenever both wait, the clock moves on. */
static bool answers_two_in_five_seconds(void)
{
    int answers = 0;
    return cease_test_run(NULL, client_and_server, &answers) == CEASE_EDEADLINE && answers == 2;
}
/* [end] */

TEST(example_test_conn_pair)
{
    CHECK(answers_two_in_five_seconds());
}
