/* net_test.c: out to break listeners, dialing and connections: who waits when something is closed, order
 * of two readers, cancels that race with bytes, addresses of every form, paths left behind, and
 * descriptors running out. Over loopback and Unix sockets only, on ports that the kernel chooses. */
#include "harness.h"

#include <cease/cease.h>
#include <cease/net.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static cease_ctx *root(void)
{
    return cease_background();
}

static cease_listener *listen_at(const char *address)
{
    cease_listener *l = NULL;
    CHECK_OK(cease_listen(root(), address, NULL, &l));
    return l;
}

struct pair {
    cease_listener *l;
    cease_conn *client, *server;
};

static struct pair pair_at(const char *address)
{
    struct pair p;
    char text[CEASE_ADDRESS_SIZE];
    p.l = listen_at(address);
    CHECK_OK(cease_listener_address(p.l, text, sizeof text));
    CHECK_OK(cease_dial(root(), text, NULL, &p.client));
    CHECK_OK(cease_listener_accept(root(), p.l, &p.server));
    return p;
}

static struct pair pair_new(void)
{
    return pair_at("127.0.0.1:0");
}

static void pair_close(struct pair *p)
{
    cease_conn_close(p->client);
    cease_conn_close(p->server);
    cease_listener_close(p->l);
}

static void check_talk(struct pair *p)
{
    char buf[16];
    size_t n = 0;
    CHECK_OK(cease_conn_write(root(), p->client, "hello", 5, &n));
    CHECK_EQ(n, 5);
    CHECK_OK(cease_conn_read(root(), p->server, buf, sizeof buf, &n));
    CHECK_EQ(n, 5);
    CHECK(memcmp(buf, "hello", 5) == 0);
    CHECK_OK(cease_conn_write(root(), p->server, "you", 3, NULL));
    CHECK_OK(cease_conn_read(root(), p->client, buf, 2, &n));
    CHECK_EQ(n, 2);
    CHECK_OK(cease_conn_read(root(), p->client, buf, sizeof buf, &n));
    CHECK_EQ(n, 1);
    CHECK_OK(cease_conn_shutdown(p->client));
    CHECK_ERR(cease_conn_read(root(), p->server, buf, sizeof buf, &n), CEASE_EOF);
    CHECK_ERR(cease_conn_read(root(), p->server, buf, sizeof buf, &n), CEASE_EOF);
    CHECK_OK(cease_conn_write(root(), p->server, "still", 5, NULL));
    CHECK_OK(cease_conn_read(root(), p->client, buf, sizeof buf, &n));
    CHECK_EQ(n, 5);
}

/* Both ends agree on who they are. */
static void check_address(const char *address)
{
    struct pair p = pair_at(address);
    check_talk(&p);
    char local[CEASE_ADDRESS_SIZE];
    char peer[CEASE_ADDRESS_SIZE];
    CHECK_OK(cease_conn_local(p.client, local, sizeof local));
    CHECK_OK(cease_conn_peer(p.server, peer, sizeof peer));
    CHECK_STR(local, peer);
    pair_close(&p);
}

TEST(conn_over_every_kind_of_address_talks)
{
    struct addrinfo *list = NULL; /* what the resolver of the C library sets up once, it keeps */
    CHECK_EQ(getaddrinfo("localhost", "80", NULL, &list), 0);
    freeaddrinfo(list);
    harness_mark();
    char path[256];
    snprintf(path, sizeof path, "unix:%s/s", harness_temp_dir());
    const char *const addresses[] = {"127.0.0.1:0", "localhost:0", path, "unix:@cease-net-test"};
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        check_address(addresses[i]);
    }
}

TEST(conn_over_ipv6_talks)
{
    cease_listener *probe = NULL;
    cease_error e = cease_listen(root(), "[::1]:0", NULL, &probe);
    if (e == CEASE_EADDRNOTAVAIL || e == (cease_error)-EAFNOSUPPORT) {
        SKIP("there is no ::1 here");
    }
    cease_listener_close(probe);
    check_address("[::1]:0");
}

/* The same from a task. */
static cease_error talk_task(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    struct pair p = pair_new();
    check_talk(&p);
    pair_close(&p);
    return CEASE_OK;
}

TEST(conn_from_tasks_talks)
{
    cease_group *g = cease_group_new(root(), NULL);
    for (int i = 0; i < 20; i++) {
        CHECK_OK(cease_group_go(g, talk_task, NULL));
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
}

TEST(address_malformed_is_refused)
{
    static const char *const rows[] = {
        "",
        "80",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:x",
        "a:b:80",
        "::1:80",
        "[::1]",
        "[::1]80",
        "[]:80",
        "[1.2.3.4]:80",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1: 1",
        "a b:80",
        "a/b:80",
        "unix:",
        "unix:@",
        "127.0.0.1:00080000",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cease_listener *l = NULL;
        cease_conn *c = NULL;
        CHECK_ERR(cease_listen(root(), rows[i], NULL, &l), CEASE_EINVAL);
        CHECK_ERR(cease_dial(root(), rows[i], NULL, &c), CEASE_EINVAL);
        CHECK_PTR(l, NULL);
        CHECK_PTR(c, NULL);
    }
    char longest[256] = "unix:/";
    memset(longest + 6, 'x', 200);
    cease_listener *l = NULL;
    CHECK_ERR(cease_listen(root(), longest, NULL, &l), CEASE_EINVAL);
}

TEST(listen_on_a_taken_port_says_so)
{
    cease_listener *l = listen_at("127.0.0.1:0");
    char address[CEASE_ADDRESS_SIZE];
    CHECK_OK(cease_listener_address(l, address, sizeof address));
    cease_listener *second = NULL;
    CHECK_ERR(cease_listen(root(), address, NULL, &second), CEASE_EADDRINUSE);
    CHECK_PTR(second, NULL);
    cease_listener_close(l);
    CHECK_OK(cease_listen(root(), address, NULL, &second));
    cease_listener_close(second);
}

TEST(dial_to_a_closed_port_is_refused)
{
    cease_listener *l = listen_at("127.0.0.1:0");
    char address[CEASE_ADDRESS_SIZE];
    CHECK_OK(cease_listener_address(l, address, sizeof address));
    cease_listener_close(l);
    cease_conn *c = NULL;
    CHECK_ERR(cease_dial(root(), address, NULL, &c), CEASE_ECONNREFUSED);
    char path[256];
    snprintf(path, sizeof path, "unix:%s/none", harness_temp_dir());
    CHECK_ERR(cease_dial(root(), path, NULL, &c), CEASE_ENOENT);
    CHECK_PTR(c, NULL);
}

TEST(unix_path_of_the_dead_is_replaced_and_of_the_living_kept)
{
    char path[256];
    char address[300];
    snprintf(path, sizeof path, "%s/s", harness_temp_dir());
    snprintf(address, sizeof address, "unix:%s", path);
    /* a server that died without cleaning up */
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    snprintf(un.sun_path, sizeof un.sun_path, "%.100s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_EQ(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
    close(fd);
    const cease_listen_opts opts = {.size = sizeof opts, .unix_mode = 0600};
    cease_listener *l = NULL;
    CHECK_OK(cease_listen(root(), address, &opts, &l));
    struct stat st;
    CHECK_EQ(lstat(path, &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0600);
    cease_listener *second = NULL;
    CHECK_ERR(cease_listen(root(), address, NULL, &second), CEASE_EADDRINUSE);
    cease_listener_close(l);
    CHECK_EQ(lstat(path, &st), -1);
    /* a file that is no socket */
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    CHECK_ERR(cease_listen(root(), address, NULL, &second), CEASE_EADDRINUSE);
    CHECK_EQ(unlink(path), 0);
    /* somebody put another file in our place: it stays */
    CHECK_OK(cease_listen(root(), address, NULL, &l));
    CHECK_EQ(unlink(path), 0);
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    cease_listener_close(l);
    CHECK_EQ(lstat(path, &st), 0);
}

/* ---- cancel and close ---- */

struct reading {
    cease_ctx *ctx;
    cease_conn *conn;
    cease_error error;
    char buf[8];
    size_t count;
};

static cease_error read_task(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    struct reading *r = arg;
    r->error = cease_conn_read(r->ctx, r->conn, r->buf, sizeof r->buf, &r->count);
    return CEASE_OK;
}

static void *read_thread(void *arg)
{
    read_task(NULL, arg);
    return NULL;
}

/* How many tasks do `what` right now, by the snapshot. */
static int tasks_that(const char *what)
{
    char *text;
    int count = 0;
    CHECK_OK(cease_snapshot_text(&text, NULL));
    for (const char *at = text; (at = strstr(at, what)); at += strlen(what)) {
        count++;
    }
    free(text);
    return count;
}

TEST(conn_read_ends_with_its_context_and_loses_nothing)
{
    struct pair p = pair_new();
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(root(), &stop);
    struct reading r = {.ctx = ctx, .conn = p.server};
    cease_group *g = cease_group_new(root(), NULL);
    CHECK_OK(cease_group_go(g, read_task, &r));
    CHECK_EVENTUALLY(tasks_that("waits") == 1);
    cease_cancel(stop);
    CHECK_OK(cease_group_wait(g));
    CHECK_ERR(r.error, CEASE_ECANCELED);
    /* a done context takes nothing, although there are bytes */
    CHECK_OK(cease_conn_write(root(), p.client, "abc", 3, NULL));
    CHECK_ERR(cease_conn_read(ctx, p.server, r.buf, sizeof r.buf, &r.count), CEASE_ECANCELED);
    size_t written = 7;
    CHECK_ERR(cease_conn_write(ctx, p.server, "abc", 3, &written), CEASE_ECANCELED);
    CHECK_EQ(written, 0);
    CHECK_OK(cease_conn_read(root(), p.server, r.buf, sizeof r.buf, &r.count));
    CHECK_EQ(r.count, 3);
    cease_group_free(g);
    cease_end(stop);
    pair_close(&p);
}

TEST(conn_read_on_a_thread_ends_with_its_deadline)
{
    struct pair p = pair_new();
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(root(), cease_ms(20), &stop);
    char byte;
    size_t n;
    CHECK_ERR(cease_conn_read(ctx, p.server, &byte, 1, &n), CEASE_EDEADLINE);
    cease_end(stop);
    pair_close(&p);
}

TEST(conn_close_wakes_readers_that_read_and_that_queue)
{
    for (int round = 0; round < 20; round++) {
        struct pair p = pair_new();
        struct reading r[3];
        pthread_t thread;
        cease_group *g = cease_group_new(root(), NULL);
        for (int i = 0; i < 3; i++) {
            r[i] = (struct reading){.ctx = root(), .conn = cease_conn_ref(p.server)};
        }
        CHECK_OK(cease_group_go(g, read_task, &r[0]));
        CHECK_OK(cease_group_go(g, read_task, &r[1]));
        CHECK_EQ(pthread_create(&thread, NULL, read_thread, &r[2]), 0);
        if (round % 2) {
            CHECK_EVENTUALLY(tasks_that("waits") == 2);
        }
        cease_conn_close(p.server);
        CHECK_OK(cease_group_wait(g));
        CHECK_EQ(pthread_join(thread, NULL), 0);
        for (int i = 0; i < 3; i++) {
            CHECK_ERR(r[i].error, CEASE_ECLOSED);
            CHECK_ERR(cease_conn_write(root(), r[i].conn, "x", 1, NULL), CEASE_ECLOSED);
            CHECK_ERR(cease_conn_shutdown(r[i].conn), CEASE_ECLOSED);
            cease_conn_unref(r[i].conn);
        }
        cease_group_free(g);
        char byte;
        size_t n;
        CHECK_ERR(cease_conn_read(root(), p.client, &byte, 1, &n), CEASE_EOF);
        cease_conn_close(p.client);
        cease_listener_close(p.l);
    }
}

TEST(conn_readers_that_queue_are_served_and_may_leave)
{
    struct pair p = pair_new();
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(root(), &stop);
    struct reading r[3];
    cease_group *g = cease_group_new(root(), NULL);
    for (int i = 0; i < 3; i++) {
        r[i] = (struct reading){.ctx = i == 1 ? ctx : root(), .conn = p.server};
        CHECK_OK(cease_group_go(g, read_task, &r[i]));
        CHECK_EVENTUALLY(tasks_that("waits") == i + 1); /* they queue in this order */
    }
    cease_cancel(stop);
    size_t n;
    for (int i = 0; i < 2; i++) {
        CHECK_OK(cease_conn_write(root(), p.client, "12345678", 8, &n));
    }
    CHECK_OK(cease_group_wait(g));
    CHECK_OK(r[0].error);
    CHECK_ERR(r[1].error, CEASE_ECANCELED);
    CHECK_OK(r[2].error);
    CHECK_EQ(r[0].count + r[2].count, 16);
    cease_group_free(g);
    cease_end(stop);
    pair_close(&p);
}

static cease_error accept_task(cease_ctx *ctx, void *arg)
{
    cease_conn *c = NULL;
    cease_error e = cease_listener_accept(ctx, arg, &c);
    cease_conn_close(c);
    return e;
}

TEST(listener_close_wakes_who_accepts)
{
    cease_listener *l = listen_at("127.0.0.1:0");
    cease_group *g = cease_group_new(root(), NULL);
    cease_listener *shared = cease_listener_ref(l);
    CHECK_OK(cease_group_go(g, accept_task, shared));
    CHECK_EVENTUALLY(tasks_that("waits to read fd") == 1);
    cease_listener_close(l);
    CHECK_ERR(cease_group_wait(g), CEASE_ECLOSED);
    cease_group_free(g);
    CHECK_ERR(accept_task(root(), shared), CEASE_ECLOSED);
    cease_listener_unref(shared);
}

/* ---- big writes, resets, guards ---- */

enum { BIG = 4 * 1024 * 1024 };

static cease_error write_big_task(cease_ctx *ctx, void *arg)
{
    char *big = malloc(BIG);
    CHECK(big != NULL);
    for (size_t i = 0; i < BIG; i++) {
        big[i] = (char)(i * 7 + i / 251);
    }
    const struct iovec pieces[3] = {{big, 1}, {big + 1, 0}, {big + 1, BIG - 1}};
    size_t n = 0;
    cease_error e = cease_conn_writev(ctx, arg, pieces, 3, &n);
    CHECK_EQ(e == CEASE_OK, n == BIG);
    free(big);
    return e;
}

TEST(conn_write_larger_than_the_buffers_arrives_whole)
{
    struct pair p = pair_new();
    cease_group *g = cease_group_new(root(), NULL);
    CHECK_OK(cease_group_go(g, write_big_task, p.client));
    static char buf[65536];
    size_t at = 0;
    while (at < BIG) {
        size_t n = 0;
        CHECK_OK(cease_conn_read(root(), p.server, buf, sizeof buf, &n));
        for (size_t i = 0; i < n; i++, at++) {
            CHECK_EQ(buf[i], (char)(at * 7 + at / 251));
        }
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    pair_close(&p);
}

TEST(conn_write_to_a_peer_that_does_not_read_ends_with_its_context)
{
    struct pair p = pair_new();
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(root(), cease_ms(30), &stop);
    CHECK_ERR(write_big_task(ctx, p.client), CEASE_EDEADLINE);
    cease_end(stop);
    pair_close(&p);
}

static void reset(cease_conn *c)
{
    /* unread bytes make the kernel answer a close with a reset */
    cease_conn_close(c);
}

TEST(conn_reset_is_an_error_and_no_signal)
{
    struct pair p = pair_new();
    CHECK_OK(cease_conn_write(root(), p.server, "unread", 6, NULL));
    char byte;
    size_t n;
    CHECK_OK(cease_conn_wait_readable(root(), p.client));
    reset(p.client);
    p.client = NULL;
    CHECK_ERR(cease_conn_read(root(), p.server, &byte, 1, &n), CEASE_ECONNRESET);
    CHECK_ERR(cease_conn_write(root(), p.server, "x", 1, NULL), CEASE_EPIPE);
    pair_close(&p);
}

static void count_call(void *arg)
{
    __atomic_add_fetch((int *)arg, 1, __ATOMIC_SEQ_CST);
}

static int calls(const int *count)
{
    return __atomic_load_n(count, __ATOMIC_SEQ_CST);
}

TEST(conn_on_readable_calls_once_for_bytes_and_for_the_end)
{
    struct pair p = pair_new();
    char buf[8];
    size_t n;
    int count = 0;
    for (int i = 1; i <= 50; i++) { /* again and again: an event that is left over must not count */
        CHECK_OK(cease_conn_on_readable(p.server, count_call, &count));
        CHECK_ERR(cease_conn_on_readable(p.server, count_call, &count), CEASE_EBUSY);
        CHECK_EQ(calls(&count), i - 1);
        CHECK_OK(cease_conn_write(root(), p.client, "x", 1, NULL));
        CHECK_EVENTUALLY(calls(&count) == i);
        CHECK_ERR(cease_conn_on_readable(p.server, count_call, &count), CEASE_EAGAIN);
        CHECK_OK(cease_conn_read(root(), p.server, buf, sizeof buf, &n));
        CHECK(!cease_conn_off_readable(p.server));
    }
    CHECK_OK(cease_conn_on_readable(p.server, count_call, &count));
    CHECK_OK(cease_conn_shutdown(p.client));
    CHECK_EVENTUALLY(calls(&count) == 51);
    CHECK_ERR(cease_conn_read(root(), p.server, buf, sizeof buf, &n), CEASE_EOF);
    CHECK_ERR(cease_conn_on_readable(p.server, count_call, &count), CEASE_EAGAIN);
    CHECK_EQ(calls(&count), 51);
    pair_close(&p);
}

TEST(conn_on_readable_taken_off_is_not_called_and_lets_readers_in)
{
    struct pair p = pair_new();
    char buf[8];
    size_t n = 0;
    int count = 0;
    CHECK_OK(cease_conn_on_readable(p.server, count_call, &count));
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(root(), cease_ms(5), &stop);
    CHECK_ERR(cease_conn_read(ctx, p.server, buf, sizeof buf, &n), CEASE_EDEADLINE);
    cease_end(stop);
    CHECK(cease_conn_off_readable(p.server));
    CHECK(!cease_conn_off_readable(p.server));
    CHECK_OK(cease_conn_write(root(), p.client, "abc", 3, NULL));
    CHECK_OK(cease_conn_read(root(), p.server, buf, sizeof buf, &n));
    CHECK_EQ(n, 3);
    CHECK_EQ(calls(&count), 0);
    pair_close(&p);
}

TEST(conn_on_readable_is_called_by_a_close)
{
    struct pair p = pair_new();
    int count = 0;
    CHECK_OK(cease_conn_on_readable(p.server, count_call, &count));
    cease_conn_ref(p.server);
    cease_conn_close(p.server);
    CHECK_EQ(calls(&count), 1);
    CHECK(!cease_conn_off_readable(p.server));
    CHECK_ERR(cease_conn_on_readable(p.server, count_call, &count), CEASE_ECLOSED);
    CHECK_EQ(calls(&count), 1);
    cease_conn_unref(p.server);
    p.server = NULL;
    pair_close(&p);
}

static void *close_share(void *arg)
{
    cease_conn_close(arg);
    return NULL;
}

static void *write_byte(void *arg)
{
    (void)cease_conn_write(root(), arg, "x", 1, NULL);
    return NULL;
}

TEST(conn_on_readable_is_called_or_taken_off_in_every_race)
{
    for (int i = 0; i < (harness_is_slow() ? 40 : 400); i++) {
        struct pair p = pair_at("unix:@cease-on-readable");
        pthread_t closer, writer;
        int count = 0;
        CHECK_EQ(pthread_create(&writer, NULL, write_byte, p.client), 0);
        CHECK_EQ(pthread_create(&closer, NULL, close_share, cease_conn_ref(p.server)), 0);
        cease_error e = cease_conn_on_readable(p.server, count_call, &count);
        CHECK(e == CEASE_OK || e == CEASE_EAGAIN || e == CEASE_ECLOSED);
        int off = cease_conn_off_readable(p.server);
        pthread_join(writer, NULL);
        pthread_join(closer, NULL);
        CHECK_EVENTUALLY(calls(&count) + off == (e == CEASE_OK));
        pair_close(&p);
    }
}

static cease_error echo_once(cease_ctx *ctx, void *arg);

static void start_echo(void *arg)
{
    CHECK_OK(cease_go(root(), echo_once, arg));
}

/* Echoes what is there, then leaves the connection without a task. */
static cease_error echo_once(cease_ctx *ctx, void *arg)
{
    char buf[8];
    size_t n;
    cease_error e;
    do {
        e = cease_conn_read(ctx, arg, buf, sizeof buf, &n);
        e = e == CEASE_OK ? cease_conn_write(ctx, arg, buf, n, NULL) : e;
        e = e == CEASE_OK ? cease_conn_on_readable(arg, start_echo, arg) : e;
    } while (e == CEASE_EAGAIN);
    if (e != CEASE_OK) {
        cease_conn_close(arg);
    }
    return CEASE_OK;
}

TEST(conn_on_readable_may_start_a_task_each_time)
{
    struct pair p = pair_new();
    char buf[8];
    size_t n;
    CHECK_OK(cease_conn_on_readable(p.server, start_echo, p.server));
    p.server = NULL; /* its task's */
    for (int i = 0; i < 300; i++) {
        CHECK_OK(cease_conn_write(root(), p.client, "ping", 4, NULL));
        CHECK_OK(cease_conn_read(root(), p.client, buf, sizeof buf, &n));
        CHECK_EQ(n, 4);
    }
    CHECK_OK(cease_conn_shutdown(p.client));
    CHECK_ERR(cease_conn_read(root(), p.client, buf, sizeof buf, &n), CEASE_EOF);
    pair_close(&p);
}

TEST(conn_guard_hears_the_peer_go_while_bytes_are_unread)
{
    for (int late = 0; late < 2; late++) {
        struct pair p = pair_new();
        cease_canceler *stop;
        cease_ctx *ctx = cease_with_cancel(root(), &stop);
        CHECK_OK(cease_conn_write(root(), p.client, "unread", 6, NULL));
        if (late) {
            cease_conn_close(p.client);
            p.client = NULL;
        }
        CHECK_OK(cease_conn_guard(p.server, stop, CEASE_EPEERGONE, "gone", false));
        CHECK(late || !cease_done(ctx));
        cease_conn_close(p.client);
        p.client = NULL;
        CHECK_ERR(cease_wait(ctx), CEASE_ECANCELED);
        CHECK_EQ(cease_cause_of(ctx)->code, CEASE_EPEERGONE);
        CHECK_STR(cease_cause_of(ctx)->text, "gone");
        cease_conn_unguard(p.server);
        cease_conn_unguard(p.server);
        cease_end(stop);
        pair_close(&p);
    }
}

TEST(conn_guard_that_allows_half_closed_hears_only_a_reset)
{
    struct pair p = pair_new();
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(root(), &stop);
    CHECK_OK(cease_conn_guard(p.server, stop, CEASE_EPEERGONE, "gone", true));
    CHECK_OK(cease_conn_shutdown(p.client));
    char byte;
    size_t n;
    CHECK_ERR(cease_conn_read(root(), p.server, &byte, 1, &n), CEASE_EOF);
    cease_conn_unguard(p.server);
    CHECK_OK(cease_conn_guard(p.server, stop, CEASE_EPEERGONE, "gone", true));
    CHECK(!cease_done(ctx));
    CHECK_OK(cease_conn_write(root(), p.server, "unread", 6, NULL));
    CHECK_OK(cease_conn_wait_readable(root(), p.client));
    reset(p.client);
    p.client = NULL;
    CHECK_ERR(cease_wait(ctx), CEASE_ECANCELED);
    cease_conn_unguard(p.server);
    cease_end(stop);
    pair_close(&p);
}

TEST(conn_guard_that_was_taken_down_hears_nothing)
{
    struct pair p = pair_new();
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(root(), &stop);
    CHECK_OK(cease_conn_guard(p.server, stop, 1, "gone", false));
    cease_conn_unguard(p.server);
    cease_conn_close(p.client);
    p.client = NULL;
    char byte;
    size_t n;
    CHECK_ERR(cease_conn_read(root(), p.server, &byte, 1, &n), CEASE_EOF);
    CHECK(!cease_done(ctx));
    cease_end(stop);
    pair_close(&p);
}

TEST(conn_data_and_end_in_one_segment_are_both_read)
{
    /* a short read must not take the end for something that will be told later */
    for (int i = 0; i < 200; i++) {
        struct pair p = pair_new();
        struct reading r = {.ctx = root(), .conn = p.server};
        cease_group *g = cease_group_new(root(), NULL);
        CHECK_OK(cease_group_go(g, read_task, &r));
        if (i % 2) {
            cease_yield();
        }
        CHECK_OK(cease_conn_write(root(), p.client, "abc", 3, NULL));
        cease_conn_close(p.client);
        p.client = NULL;
        CHECK_OK(cease_group_wait(g));
        CHECK_OK(r.error);
        CHECK_EQ(r.count, 3);
        CHECK_ERR(cease_conn_read(root(), p.server, r.buf, 1, &r.count), CEASE_EOF);
        cease_group_free(g);
        pair_close(&p);
    }
}

TEST(conn_from_fd_takes_stream_sockets_only)
{
    int fds[2];
    cease_conn *c[2] = {NULL, NULL};
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    CHECK_OK(cease_conn_from_fd(fds[0], &c[0]));
    CHECK_OK(cease_conn_from_fd(fds[1], &c[1]));
    CHECK(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
    CHECK(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
    CHECK_OK(cease_conn_write(root(), c[0], "x", 1, NULL));
    char byte;
    size_t n;
    CHECK_OK(cease_conn_read(root(), c[1], &byte, 1, &n));
    cease_conn_close(c[0]);
    cease_conn_close(c[1]);
    CHECK_ERR(cease_conn_from_fd(-1, &c[0]), CEASE_EBADF);
    CHECK_ERR(cease_conn_from_fd(open("/dev/null", O_RDONLY | O_CLOEXEC), &c[0]), CEASE_EINVAL);
}

/* Whoever writes and reads what is there at once gets no more than a turn. */
static cease_error write_and_read_until(cease_ctx *ctx, void *arg)
{
    int fds[2];
    char byte = 'x';
    size_t n;
    cease_conn *c[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    CHECK_OK(cease_conn_from_fd(fds[0], &c[0]));
    CHECK_OK(cease_conn_from_fd(fds[1], &c[1]));
    while (!*(volatile bool *)arg) { /* set by a task of the same thread */
        CHECK_OK(cease_conn_write(ctx, c[0], &byte, 1, NULL));
        CHECK_OK(cease_conn_read(ctx, c[1], &byte, 1, &n));
    }
    cease_conn_close(c[0]);
    cease_conn_close(c[1]);
    return CEASE_OK;
}

static cease_error set_over(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    *(volatile bool *)arg = true;
    return CEASE_OK;
}

TEST(conn_that_is_always_ready_lets_others_run)
{
    bool over = false;
    CHECK_OK(cease_runtime_configure(
        &(cease_runtime_opts){.size = sizeof(cease_runtime_opts), .workers = 1}));
    cease_group *g = cease_group_new(root(), NULL);
    CHECK_OK(cease_group_go(g, write_and_read_until, &over));
    CHECK_OK(cease_group_go(g, set_over, &over));
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
}

TEST(listener_accept_without_descriptors_waits_for_some)
{
    cease_listener *l = listen_at("127.0.0.1:0");
    char address[CEASE_ADDRESS_SIZE];
    CHECK_OK(cease_listener_address(l, address, sizeof address));
    cease_conn *client = NULL;
    CHECK_OK(cease_dial(root(), address, NULL, &client));
    /* one accept that parks registers the listener while there still are descriptors */
    struct rlimit old;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
    int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct rlimit low = {.rlim_cur = (rlim_t)next, .rlim_max = old.rlim_max};
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(root(), cease_ms(40), &stop);
    CHECK_ERR(cease_sleep(ctx, cease_ms(1)), CEASE_OK);
    close(next);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
    cease_conn *server = NULL;
    CHECK_ERR(cease_listener_accept(ctx, l, &server), CEASE_EDEADLINE);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
    CHECK_OK(cease_listener_accept(root(), l, &server));
    cease_end(stop);
    cease_conn_close(server);
    cease_conn_close(client);
    cease_listener_close(l);
}

TEST(conn_every_allocation_failing_leaves_nothing)
{
    HARNESS_EACH_ALLOC_FAILS(n)
    {
        cease_listener *l = NULL;
        cease_conn *client = NULL;
        cease_conn *server = NULL;
        char text[CEASE_ADDRESS_SIZE];
        cease_error e = cease_listen(root(), "127.0.0.1:0", NULL, &l);
        if (e == CEASE_OK) {
            e = cease_listener_address(l, text, sizeof text);
        }
        if (e == CEASE_OK) {
            e = cease_dial(root(), text, NULL, &client);
        }
        if (e == CEASE_OK) {
            e = cease_listener_accept(root(), l, &server);
        }
        CHECK(e == CEASE_OK || e == CEASE_ENOMEM || e == CEASE_EAGAIN);
        cease_conn_close(client);
        cease_conn_close(server);
        cease_listener_close(l);
    }
}
