/* SPDX-License-Identifier: MIT
 *
 * echo_load.c: sends 64 bytes over each of many connections, again as soon as they have come back, and
 * says what that cost the server.
 *
 *     echo_load PORT PID CONNECTIONS REQUESTS
 *
 * Prints user and system time of process PID for one request, in ns. Every byte is checked.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SIZE = 64 };

struct connection {
    int fd;
    size_t filled;
    char sent[SIZE], back[SIZE];
};

static int epoll;
static uint64_t started, finished, wanted;

static void fail(const char *what)
{
    fprintf(stderr, "echo_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t read_clock(clockid_t id)
{
    struct timespec now;
    if (clock_gettime(id, &now) != 0)
        fail("the clock of the server's process");
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void ask(struct connection *c)
{
    if (started >= wanted)
        return;
    memset(c->sent, (int)(started++ & 0xff), SIZE);
    c->filled = 0;
    if (write(c->fd, c->sent, SIZE) != SIZE)
        fail("write");
}

static void on_readable(struct connection *c)
{
    ssize_t size = read(c->fd, c->back + c->filled, SIZE - c->filled);
    if (size <= 0)
        fail("read");
    c->filled += (size_t)size;
    if (c->filled < SIZE)
        return;
    if (memcmp(c->sent, c->back, SIZE) != 0) {
        fprintf(stderr, "echo_load: other bytes came back\n");
        exit(1);
    }
    finished++;
    ask(c);
}

static void run(struct connection *connections, int count, uint64_t requests)
{
    struct epoll_event events[256];
    started = finished = 0;
    wanted = requests;
    for (int i = 0; i < count; i++)
        ask(&connections[i]);
    while (finished < started) {
        int ready = epoll_wait(epoll, events, 256, 10000);
        if (ready == 0) {
            fprintf(stderr, "echo_load: no answer for 10 s\n");
            exit(1);
        }
        for (int i = 0; i < ready; i++)
            on_readable(events[i].data.ptr);
    }
}

static void open_connection(struct connection *c, uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address) != 0)
        fail("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event) != 0)
        fail("epoll_ctl");
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: echo_load PORT PID CONNECTIONS REQUESTS\n");
        return 2;
    }
    int count = atoi(argv[3]);
    uint64_t requests = strtoull(argv[4], NULL, 10);
    clockid_t server;
    errno = clock_getcpuclockid(atoi(argv[2]), &server);
    if (errno != 0)
        fail("clock_getcpuclockid");
    epoll = epoll_create1(EPOLL_CLOEXEC);
    struct connection *connections = calloc((size_t)count, sizeof *connections);
    if (epoll < 0 || !connections)
        fail("start");
    for (int i = 0; i < count; i++)
        open_connection(&connections[i], (uint16_t)atoi(argv[1]));
    run(connections, count, requests / 10 + (uint64_t)count); /* warm: each of them at least once */
    int64_t before = read_clock(server);
    run(connections, count, requests);
    printf("%.1f\n", (double)(read_clock(server) - before) / (double)requests);
    return 0;
}
