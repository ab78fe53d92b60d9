/* SPDX-License-Identifier: MIT
 *
 * raw.c: the limit that servers are measured against: one thread, epoll, and for whatever can be read on a
 * connection one write. No parsing, no timers. A second thread does nothing: no shortcut of the C library for
 * programs with a single one shall flatter the limit.
 *
 *     raw         writes one fixed HTTP response
 *     raw echo    writes back what it has read
 *
 * Prints its port, serves until its standard input ends.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static const char response[] = "HTTP/1.1 200 OK\r\n"
                               "Content-Type: text/plain\r\n"
                               "Content-Length: 13\r\n"
                               "\r\n"
                               "Hello, world\n";

static void need(int result, const char *what)
{
    if (result >= 0)
        return;
    perror(what);
    exit(1);
}

static int listen_any(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    need(fd, "socket");
    need(bind(fd, (struct sockaddr *)&address, size), "bind");
    need(listen(fd, 4096), "listen");
    need(getsockname(fd, (struct sockaddr *)&address, &size), "getsockname");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static void add(int epoll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    need(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

static void take(int epoll, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
    need(fd, "accept4");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    add(epoll, fd);
}

static void answer(int fd, bool echo)
{
    char request[4096];
    ssize_t size = read(fd, request, sizeof request);
    ssize_t answer_size = echo ? size : (ssize_t)sizeof response - 1;
    if (size <= 0 || write(fd, echo ? request : response, (size_t)answer_size) != answer_size)
        close(fd);
}

static void *do_nothing(void *unused)
{
    for (;;)
        pause();
    return unused;
}

int main(int argc, char **argv)
{
    struct epoll_event events[256];
    bool echo = argc > 1 && strcmp(argv[1], "echo") == 0;
    pthread_t second;
    if (pthread_create(&second, NULL, do_nothing, NULL) != 0)
        exit(1);
    int epoll = epoll_create1(EPOLL_CLOEXEC), listener = listen_any();
    need(epoll, "epoll_create1");
    add(epoll, listener);
    add(epoll, STDIN_FILENO);
    for (;;) {
        int count = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == STDIN_FILENO)
                return 0;
            if (fd == listener)
                take(epoll, listener);
            else
                answer(fd, echo);
        }
    }
}
