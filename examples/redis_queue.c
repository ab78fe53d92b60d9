/* SPDX-License-Identifier: MIT
 *
 * A queue of jobs in Redis: workers wait for jobs in the server until they are told to stop. No job is lost then,
 * though all of them are in the middle of a blocking command.
 *
 *     example-redis-queue redis://localhost:6379
 */
#include <cease/cease.h>
#include <cease/redis.h>
#include <stdio.h>

static const char *url = "localhost:6379";

static cease_error work(cease_ctx *ctx, void *arg)
{
    int *done = arg;
    cease_redis *db;
    cease_error err = cease_redis_open(ctx, url, NULL, &db);
    if (err != CEASE_OK)
        return err;
    cease_redis_reply *reply;
    while ((err = cease_redis_command(ctx, db, &reply, "BLPOP example:jobs 0")) == CEASE_OK) {
        ++*done;
        cease_redis_reply_free(reply);
    }
    cease_redis_close(db);
    return err;
}

int main(int argc, char **argv)
{
    int done[3] = {0}, jobs = 1000;
    if (argc > 1)
        url = argv[1];
    cease_ctx *bg = cease_background();
    cease_redis *db;
    cease_redis_reply *reply;
    if (cease_redis_open(bg, url, NULL, &db) != CEASE_OK)
        return 1;
    cease_redis_command(bg, db, NULL, "DEL example:jobs");
    cease_group *workers = cease_group_new(bg, NULL);
    for (int i = 0; i < 3; i++)
        cease_group_go(workers, work, &done[i]);
    for (int i = 0; i < jobs; i++)
        cease_redis_command(bg, db, NULL, "RPUSH example:jobs job-%d", i);
    cease_group_stop(workers); /* every worker has returned */
    cease_group_free(workers);
    if (cease_redis_command(bg, db, &reply, "LLEN example:jobs") != CEASE_OK)
        return 1;
    int left = (int)cease_redis_reply_int(reply);
    printf("done %d + %d + %d, left %d\n", done[0], done[1], done[2], left);
    cease_redis_reply_free(reply);
    cease_redis_close(db);
    return done[0] + done[1] + done[2] + left != jobs;
}
