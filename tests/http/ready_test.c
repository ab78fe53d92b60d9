/* ready_test.c: out to break how connections that have bytes get their tasks: a crowd at once shall not take
 * a task each; one whose handlers all wait must all the same; and nobody is left in the list at the stop. (That a
 * task that computes leaves the others to an idle worker cannot be shown for certain: which worker polls a
 * connection is chance, and one that computes does not poll.) */
#include "rig.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ASK(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\n\r\n"

enum { CROWD = 64 };

static struct rig rig;
static int fds[CROWD];
static uint64_t ids[CROWD]; /* of the tasks that have served /id */
static int id_count, holding, release_held, waiting;
static cease_chan *all_wait; /* closed by the last one of a crowd */

static cease_error id(cease_ctx *ctx, cease_http_request *req, cease_http_response *res, void *arg)
{
    (void)req;
    (void)arg;
    int at = __atomic_fetch_add(&id_count, 1, __ATOMIC_SEQ_CST);
    ids[at % CROWD] = cease_task_id();
    return cease_http_response_print(ctx, res, "done\n");
}

/* Never parks: nothing else runs on its worker. */
static cease_error hold(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                        void *arg)
{
    (void)req;
    (void)arg;
    __atomic_add_fetch(&holding, 1, __ATOMIC_SEQ_CST);
    while (!__atomic_load_n(&release_held, __ATOMIC_SEQ_CST)) {
        sched_yield();
    }
    return cease_http_response_print(ctx, res, "held\n");
}

/* Parks until the whole crowd is here. */
static cease_error meet(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                        void *arg)
{
    char nothing;
    (void)req;
    (void)arg;
    if (__atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST) == CROWD) {
        cease_chan_close(all_wait);
    }
    cease_error e = cease_chan_recv(ctx, all_wait, &nothing);
    return e == CEASE_ECLOSED ? cease_http_response_print(ctx, res, "met\n") : e;
}

/* A Unix socket: what is sent has arrived when send returns. */
static int connect_unix(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s/s", harness_temp_dir());
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK_EQ(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static void start(void)
{
    char address[CEASE_ADDRESS_SIZE];
    CHECK_EQ(setenv("CEASE_WORKERS", "1", 1), 0);
    harness_mark();
    rig_init(&rig, NULL);
    CHECK_OK(cease_http_server_route(rig.server, "GET", "/id", id, NULL));
    CHECK_OK(cease_http_server_route(rig.server, "GET", "/hold", hold, NULL));
    CHECK_OK(cease_http_server_route(rig.server, "GET", "/meet", meet, NULL));
    snprintf(address, sizeof address, "unix:%s/s", harness_temp_dir());
    CHECK_OK(cease_listen(cease_background(), address, NULL, &rig.listener));
    rig_start(&rig);
}

static void hear(int fd, const char *what)
{
    char *text = rig_response(fd, false);
    CHECK_HAS(text, what);
    free(text);
}

/* The crowd, each of which has asked once, and rests. */
static void gather(void)
{
    for (int i = 0; i < CROWD; i++) {
        fds[i] = connect_unix();
        rig_send(fds[i], ASK("/id"));
        hear(fds[i], "done");
    }
    CHECK_EVENTUALLY(rig_counts(&rig).idle == CROWD);
    id_count = 0;
}

static void ask_all(const char *text)
{
    for (int i = 0; i < CROWD; i++) {
        rig_send(fds[i], text);
    }
}

static void hear_all(const char *text)
{
    for (int i = 0; i < CROWD; i++) {
        hear(fds[i], text);
    }
}

static void leave(void)
{
    for (int i = 0; i < CROWD; i++) {
        close(fds[i]);
    }
    rig_stop(&rig);
}

TEST(ready_crowdAtOnce_isServedByFewTasks)
{
    int tasks = 0;
    start();
    gather();
    int holder = connect_unix();
    rig_send(holder, ASK("/hold"));
    CHECK_EVENTUALLY(__atomic_load_n(&holding, __ATOMIC_SEQ_CST) == 1);
    ask_all(ASK("/id"));
    __atomic_store_n(&release_held, 1, __ATOMIC_SEQ_CST);
    hear_all("done");
    CHECK_EQ(id_count, CROWD);
    for (int i = 0; i < CROWD; i++) {
        bool again = false;
        for (int j = 0; j < i; j++) {
            again |= ids[j] == ids[i];
        }
        tasks += !again;
    }
    CHECK(tasks <= CROWD / 4);
    hear(holder, "held");
    close(holder);
    leave();
}

TEST(ready_handlersThatAllWait_haveATaskEach)
{
    start();
    gather();
    all_wait = cease_chan_new(1, 0);
    ask_all(ASK("/meet"));
    hear_all("met");
    leave();
    cease_chan_unref(all_wait);
}

/* The crowd is in the list, and the server told to stop, before the first of it is looked at. */
TEST(ready_stop_servesOrClosesThoseThatWait)
{
    start();
    gather();
    int holder = connect_unix();
    rig_send(holder, ASK("/hold"));
    CHECK_EVENTUALLY(__atomic_load_n(&holding, __ATOMIC_SEQ_CST) == 1);
    ask_all(ASK("/id"));
    rig_cancel(&rig);
    __atomic_store_n(&release_held, 1, __ATOMIC_SEQ_CST);
    for (int i = 0; i < CROWD; i++) {
        free(rig_rest(fds[i]));
        close(fds[i]);
    }
    close(holder);
    rig_join(&rig);
}
