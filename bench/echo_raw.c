/* SPDX-License-Identifier: MIT
 *
 * echo_raw.c: the limit that echo_100 and echo_1000 are measured against: one thread, epoll, and what can
 * be read on a connection is written back. One read, one write, nothing else.
 *
 * Prints its port, serves until its standard input ends.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

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

static void answer(int fd)
{
    char buf[1024];
    ssize_t size = read(fd, buf, sizeof buf);
    if (size <= 0 || write(fd, buf, (size_t)size) != size)
        close(fd);
}

int main(void)
{
    struct epoll_event events[256];
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
                answer(fd);
        }
    }
}
