/* SPDX-License-Identifier: MIT
 *
 * packet_test.c: out to break datagram sockets: every kind of address, answers to whoever asked, datagrams
 * that are empty or too large, queues that are full, peers that are not there, contexts that end and
 * sockets that are closed while somebody waits.
 */
#include "harness.h"

#include <cease/cease.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static cease_ctx *root(void)
{
    return cease_background();
}

static cease_packet *open_at(const char *address)
{
    cease_packet *p = NULL;
    CHECK_OK(cease_packet_open(root(), address, NULL, &p));
    return p;
}

static cease_packet *dial_to(cease_packet *server)
{
    char text[CEASE_ADDRESS_SIZE];
    cease_packet *p = NULL;
    CHECK_OK(cease_packet_local(server, text, sizeof text));
    CHECK_OK(cease_packet_dial(root(), text, NULL, &p));
    return p;
}

static const char *path_at(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "unix:%s/%s", harness_temp_dir(), name);
    return path;
}

/* A client asks, the server answers whom it has heard, and both agree on who the client is. */
static void check_talk(const char *address)
{
    char buf[16];
    char own[CEASE_ADDRESS_SIZE];
    char seen[CEASE_ADDRESS_SIZE];
    size_t n = 0;
    cease_address from;
    cease_address to;
    cease_packet *server = open_at(address);
    cease_packet *client = dial_to(server);
    CHECK_OK(cease_packet_send(root(), client, "ask", 3));
    CHECK_OK(cease_packet_recv(root(), server, buf, sizeof buf, &n, &from));
    CHECK_EQ(n, 3);
    CHECK(memcmp(buf, "ask", 3) == 0);
    CHECK_OK(cease_packet_local(client, own, sizeof own));
    CHECK_OK(cease_address_text(&from, seen, sizeof seen));
    CHECK_STR(own, seen);
    CHECK_OK(cease_address_resolve(root(), own, &to));
    CHECK(cease_address_equal(&from, &to));
    CHECK_OK(cease_packet_send_to(root(), server, "answer", 6, &to));
    CHECK_OK(cease_packet_recv(root(), client, buf, sizeof buf, &n, NULL));
    CHECK_EQ(n, 6);
    CHECK_OK(cease_packet_send(root(), client, "", 0)); /* nothing is something */
    CHECK_OK(cease_packet_recv(root(), server, buf, sizeof buf, &n, NULL));
    CHECK_EQ(n, 0);
    cease_packet_close(client);
    cease_packet_close(server);
}

TEST(packet_over_udp_is_asked_and_answered)
{
    check_talk("127.0.0.1:0");
}

TEST(packet_over_ipv6_is_asked_and_answered)
{
    cease_packet *probe = NULL;
    cease_error e = cease_packet_open(root(), "[::1]:0", NULL, &probe);
    if (e == CEASE_EADDRNOTAVAIL || e == (cease_error)-EAFNOSUPPORT) {
        SKIP("there is no ::1 here");
    }
    cease_packet_close(probe);
    check_talk("[::1]:0");
}

TEST(packet_over_a_unix_path_is_asked_and_answered)
{
    check_talk(path_at("s"));
    struct stat st;
    CHECK_EQ(lstat(path_at("s") + 5, &st), -1);
}

TEST(packet_over_an_abstract_name_is_asked_and_answered)
{
    check_talk("unix:@cease-packet-test");
}

static cease_error talk_task(cease_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    check_talk("127.0.0.1:0");
    return CEASE_OK;
}

TEST(packet_from_tasks_is_asked_and_answered)
{
    cease_group *g = cease_group_new(root(), NULL);
    for (int i = 0; i < 20; i++) {
        CHECK_OK(cease_group_go(g, talk_task, NULL));
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
}

TEST(packet_socket_for_both_families_sees_plain_ipv4)
{
    char text[CEASE_ADDRESS_SIZE];
    char byte;
    size_t n;
    cease_address from;
    cease_address to;
    cease_packet *server = open_at(":0");
    CHECK_OK(cease_packet_local(server, text, sizeof text));
    char port[CEASE_ADDRESS_SIZE];
    snprintf(port, sizeof port, "127.0.0.1%s", strrchr(text, ':'));
    cease_packet *client = NULL;
    CHECK_OK(cease_packet_dial(root(), port, NULL, &client));
    CHECK_OK(cease_packet_send(root(), client, "a", 1));
    CHECK_OK(cease_packet_recv(root(), server, &byte, 1, &n, &from));
    CHECK_OK(cease_packet_local(client, text, sizeof text));
    CHECK_OK(cease_address_resolve(root(), text, &to));
    CHECK(cease_address_equal(&from, &to));
    CHECK_OK(cease_packet_send_to(root(), server, "b", 1, &from));
    CHECK_OK(cease_packet_recv(root(), client, &byte, 1, &n, NULL));
    CHECK_EQ(byte, 'b');
    cease_packet_close(client);
    cease_packet_close(server);
}

TEST(packet_larger_than_the_buffer_is_cut_and_says_so)
{
    char buf[4];
    size_t n = 0;
    cease_address from;
    cease_packet *server = open_at("127.0.0.1:0");
    cease_packet *client = dial_to(server);
    CHECK_OK(cease_packet_send(root(), client, "0123456789", 10));
    CHECK_OK(cease_packet_send(root(), client, "ab", 2));
    CHECK_ERR(cease_packet_recv(root(), server, buf, sizeof buf, &n, &from), CEASE_EMSGSIZE);
    CHECK_EQ(n, 10);
    CHECK(memcmp(buf, "0123", 4) == 0);
    CHECK_OK(cease_packet_send_to(root(), server, "!", 1, &from)); /* it is known who sent it */
    CHECK_OK(cease_packet_recv(root(), server, buf, sizeof buf, &n, NULL));
    CHECK_EQ(n, 2);
    static char huge[70000];
    CHECK_ERR(cease_packet_send(root(), client, huge, sizeof huge), CEASE_EMSGSIZE);
    cease_packet_close(client);
    cease_packet_close(server);
}

TEST(packet_to_nobody_is_refused)
{
    char byte;
    size_t n;
    cease_packet *server = open_at("127.0.0.1:0");
    cease_packet *client = dial_to(server);
    cease_packet_close(server);
    CHECK_OK(cease_packet_send(root(), client, "x", 1));
    CHECK_ERR(cease_packet_recv(root(), client, &byte, 1, &n, NULL), CEASE_ECONNREFUSED);
    cease_packet_close(client);
    CHECK_ERR(cease_packet_dial(root(), path_at("none"), NULL, &client), CEASE_ENOENT);
    CHECK_ERR(cease_packet_dial(root(), "unix:@cease-none", NULL, &client), CEASE_ECONNREFUSED);
}

TEST(packet_addresses_that_are_none_are_refused)
{
    static const cease_address empty;
    cease_packet *p = NULL;
    cease_address a;
    char text[CEASE_ADDRESS_SIZE] = "x";
    CHECK_ERR(cease_packet_open(root(), "127.0.0.1", NULL, &p), CEASE_EINVAL);
    CHECK_ERR(cease_packet_dial(root(), "127.0.0.1:x", NULL, &p), CEASE_EINVAL);
    CHECK_ERR(cease_packet_dial(root(), ":1", NULL, &p), CEASE_EINVAL);
    CHECK_ERR(cease_packet_open(root(), NULL, NULL, &p), CEASE_EINVAL);
    CHECK_ERR(cease_address_resolve(root(), "nowhere", &a), CEASE_EINVAL);
    CHECK_PTR(p, NULL);
    p = open_at("127.0.0.1:0");
    CHECK_ERR(cease_packet_send(root(), p, "x", 1), -EDESTADDRREQ);
    CHECK_ERR(cease_packet_send_to(root(), p, "x", 1, &empty), CEASE_EINVAL);
    CHECK_OK(cease_address_resolve(root(), "unix:@x", &a));
    CHECK_ERR(cease_packet_send_to(root(), p, "x", 1, &a), CEASE_EINVAL);
    CHECK_OK(cease_address_text(&empty, text, sizeof text));
    CHECK_STR(text, "");
    CHECK_ERR(cease_address_text(&a, text, 0), CEASE_EINVAL);
    CHECK_OK(cease_address_text(&a, text, sizeof text));
    CHECK_STR(text, "unix:@x");
    CHECK(!cease_address_equal(&a, &empty));
    cease_packet *second = NULL;
    CHECK_OK(cease_packet_local(p, text, sizeof text));
    CHECK_ERR(cease_packet_open(root(), text, NULL, &second), CEASE_EADDRINUSE);
    cease_packet_close(p);
}

TEST(packet_path_of_the_dead_is_replaced_and_of_the_living_kept)
{
    struct stat st;
    const char *address = path_at("s");
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    snprintf(un.sun_path, sizeof un.sun_path, "%.100s", address + 5);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK_EQ(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
    cease_packet *p = NULL;
    CHECK_ERR(cease_packet_open(root(), address, NULL, &p), CEASE_EADDRINUSE);
    close(fd);
    const cease_packet_opts opts = {.size = sizeof opts, .unix_mode = 0600};
    CHECK_OK(cease_packet_open(root(), address, &opts, &p));
    CHECK_EQ(lstat(un.sun_path, &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0600);
    CHECK_EQ(unlink(un.sun_path), 0); /* somebody put another file in our place: it stays */
    close(open(un.sun_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    cease_packet_close(p);
    CHECK_EQ(lstat(un.sun_path, &st), 0);
}

/* ---- contexts and closes ----------------------------------------------------------------------- */

struct receiving {
    cease_packet *packet;
    cease_ctx *ctx;
    cease_error error;
};

static cease_error recv_task(cease_ctx *ctx, void *arg)
{
    struct receiving *r = arg;
    char byte;
    size_t n;
    (void)ctx;
    r->error = cease_packet_recv(r->ctx, r->packet, &byte, 1, &n, NULL);
    return CEASE_OK;
}

static void *recv_thread(void *arg)
{
    recv_task(NULL, arg);
    return NULL;
}

TEST(packet_close_wakes_receivers_of_every_kind)
{
    for (int round = 0; round < 20; round++) {
        cease_packet *p = open_at("127.0.0.1:0");
        struct receiving r[3];
        pthread_t thread;
        cease_group *g = cease_group_new(root(), NULL);
        for (int i = 0; i < 3; i++) {
            r[i] = (struct receiving){.packet = cease_packet_ref(p), .ctx = root()};
        }
        CHECK_OK(cease_group_go(g, recv_task, &r[0]));
        CHECK_OK(cease_group_go(g, recv_task, &r[1]));
        CHECK_EQ(pthread_create(&thread, NULL, recv_thread, &r[2]), 0);
        for (int i = 0; i < round * 10; i++) {
            sched_yield();
        }
        cease_packet_close(p);
        CHECK_OK(cease_group_wait(g));
        CHECK_EQ(pthread_join(thread, NULL), 0);
        for (int i = 0; i < 3; i++) {
            char text[CEASE_ADDRESS_SIZE];
            CHECK_ERR(r[i].error, CEASE_ECLOSED);
            CHECK_ERR(cease_packet_local(r[i].packet, text, sizeof text), CEASE_ECLOSED);
            CHECK_ERR(cease_packet_send_to(root(), r[i].packet, "x", 1,
                                           &(cease_address){.size_ = 16, .words_ = {AF_INET}}),
                      CEASE_ECLOSED);
            cease_packet_unref(r[i].packet);
        }
        cease_group_free(g);
    }
}

TEST(packet_recv_ends_with_its_context_and_loses_nothing)
{
    cease_packet *server = open_at("127.0.0.1:0");
    cease_packet *client = dial_to(server);
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(root(), cease_ms(10), &stop);
    struct receiving r = {.packet = server, .ctx = ctx};
    cease_group *g = cease_group_new(root(), NULL);
    CHECK_OK(cease_group_go(g, recv_task, &r));
    CHECK_OK(cease_group_wait(g));
    CHECK_ERR(r.error, CEASE_EDEADLINE);
    CHECK_OK(cease_packet_send(root(), client, "x", 1));
    char byte;
    size_t n;
    CHECK_ERR(cease_packet_recv(ctx, server, &byte, 1, &n, NULL), CEASE_EDEADLINE);
    CHECK_ERR(cease_packet_send(ctx, client, "y", 1), CEASE_EDEADLINE);
    CHECK_OK(cease_packet_recv(root(), server, &byte, 1, &n, NULL));
    CHECK_EQ(byte, 'x');
    cease_group_free(g);
    cease_end(stop);
    cease_packet_close(client);
    cease_packet_close(server);
}

/* ---- a queue that is full ---------------------------------------------------------------------- */

enum { MANY = 600 }; /* more than a Unix datagram queue holds */

struct sending {
    cease_packet *packet;
    const cease_address *to; /* NULL: dialled */
    int sent;
};

static cease_error send_one(cease_ctx *ctx, struct sending *s)
{
    return s->to ? cease_packet_send_to(ctx, s->packet, "x", 1, s->to)
                 : cease_packet_send(ctx, s->packet, "x", 1);
}

static cease_error send_many(cease_ctx *ctx, void *arg)
{
    struct sending *s = arg;
    cease_error e = CEASE_OK;
    while (e == CEASE_OK && s->sent < MANY) {
        e = send_one(ctx, s);
        s->sent += e == CEASE_OK;
    }
    return e;
}

static void check_full(bool dialled)
{
    char text[CEASE_ADDRESS_SIZE];
    cease_address to;
    cease_canceler *stop;
    cease_packet *server = open_at(path_at("full"));
    CHECK_OK(cease_packet_local(server, text, sizeof text));
    CHECK_OK(cease_address_resolve(root(), text, &to));
    struct sending s = {.packet = dialled ? dial_to(server) : open_at("unix:@cease-packet-full"),
                        .to = dialled ? NULL : &to};
    cease_ctx *ctx = cease_with_timeout(root(), cease_ms(30), &stop);
    CHECK_ERR(send_many(ctx, &s), CEASE_EDEADLINE);
    cease_end(stop);
    CHECK(s.sent > 0 && s.sent < MANY);
    cease_group *g = cease_group_new(root(), NULL);
    CHECK_OK(cease_group_go(g, send_many, &s));
    for (int i = 0; i < MANY; i++) {
        char byte;
        size_t n;
        CHECK_OK(cease_packet_recv(root(), server, &byte, 1, &n, NULL));
    }
    CHECK_OK(cease_group_wait(g));
    CHECK_EQ(s.sent, MANY);
    cease_group_free(g);
    cease_packet_close(s.packet);
    cease_packet_close(server);
}

TEST(packet_to_a_full_queue_waits_for_room)
{
    check_full(true);
}

TEST(packet_to_a_full_queue_without_a_peer_of_its_own_waits_for_room)
{
    check_full(false);
}

TEST(packet_every_allocation_failing_leaves_nothing)
{
    HARNESS_EACH_ALLOC_FAILS(n)
    {
        char buf[4];
        char text[CEASE_ADDRESS_SIZE];
        size_t count;
        cease_packet *server = NULL;
        cease_packet *client = NULL;
        cease_error e = cease_packet_open(root(), path_at("a"), NULL, &server);
        e = e == CEASE_OK ? cease_packet_local(server, text, sizeof text) : e;
        e = e == CEASE_OK ? cease_packet_dial(root(), text, NULL, &client) : e;
        e = e == CEASE_OK ? cease_packet_send(root(), client, "x", 1) : e;
        e = e == CEASE_OK ? cease_packet_recv(root(), server, buf, sizeof buf, &count, NULL) : e;
        CHECK(e == CEASE_OK || e == CEASE_ENOMEM);
        cease_packet_close(client);
        cease_packet_close(server);
    }
    CHECK_ERR(cease_packet_send(root(), NULL, "x", 1), CEASE_ENOMEM);
    CHECK_ERR(cease_packet_recv(root(), NULL, NULL, 0, NULL, NULL), CEASE_ENOMEM);
    cease_packet_close(NULL);
}
