/* SPDX-License-Identifier: MIT
 *
 * load.c: asks a server for the same small thing over many keep-alive connections, each as soon as it
 * has its answer, and says what that cost the server.
 *
 *     load PORT PID CONNECTIONS REQUESTS [PATH]
 *
 * Prints user and system time of process PID for one request, in ns, then the median and the 99th
 * percentile of the latency. Every response is checked: 200, and as long as it says.
 *
 *     load PORT PID CONNECTIONS REQUESTS echo
 *
 * The same of a server that sends back what it gets: 64 bytes, each of which is checked.
 *
 *     load PORT PID CONNECTIONS idle
 *
 * Asks once over each connection, all at once, and then leaves them open: prints by how many bytes, for
 * one connection, the resident memory and page tables of process PID have grown.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ECHO_SIZE = 64 };

static char request[256];
static size_t request_size;
static bool is_echo; /* the request is its number, ECHO_SIZE times */

struct connection {
    int fd;
    uint8_t number;
    char buffer[2048];
    size_t filled;
    int64_t sent_ns;
};

static int epoll;
static int64_t *latencies_ns;
static uint64_t started, finished, wanted;

static void fail(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
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
    c->number = (uint8_t)started++;
    c->filled = 0;
    if (is_echo)
        memset(request, c->number, request_size);
    c->sent_ns = read_clock(CLOCK_MONOTONIC);
    if (write(c->fd, request, request_size) != (ssize_t)request_size)
        fail("write");
}

static size_t echo_size(const struct connection *c)
{
    for (size_t i = 0; i < c->filled; i++)
        if ((uint8_t)c->buffer[i] != c->number) {
            fprintf(stderr, "load: other bytes came back\n");
            exit(1);
        }
    return ECHO_SIZE;
}

/* The size of the whole response; 0 while its head is not complete. */
static size_t response_size(struct connection *c)
{
    if (is_echo)
        return echo_size(c);
    c->buffer[c->filled] = '\0';
    char *end = strstr(c->buffer, "\r\n\r\n");
    if (!end)
        return 0;
    if (strncmp(c->buffer, "HTTP/1.1 200", 12) != 0) {
        fprintf(stderr, "load: %.60s\n", c->buffer);
        exit(1);
    }
    char *length = strcasestr(c->buffer, "content-length:");
    if (!length || length > end) {
        fprintf(stderr, "load: no Content-Length\n");
        exit(1);
    }
    return (size_t)(end + 4 - c->buffer) + strtoul(length + 15, NULL, 10);
}

static void on_readable(struct connection *c)
{
    ssize_t size = read(c->fd, c->buffer + c->filled, sizeof c->buffer - 1 - c->filled);
    if (size <= 0)
        fail("read");
    c->filled += (size_t)size;
    size_t whole = response_size(c);
    if (whole == 0 || c->filled < whole)
        return;
    latencies_ns[finished++] = read_clock(CLOCK_MONOTONIC) - c->sent_ns;
    ask(c);
}

static void run(struct connection *connections, int count, uint64_t requests)
{
    struct epoll_event events[256];
    started = finished = 0;
    wanted = requests;
    for (int i = 0; i < count; i++)
        ask(&connections[i]);
    while (finished < wanted) {
        int ready = epoll_wait(epoll, events, 256, 10000);
        if (ready == 0) {
            fprintf(stderr, "load: no answer for 10 s\n");
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

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Resident memory and page tables of a process, in bytes. */
static double memory_of(int pid)
{
    char path[64], line[256];
    double kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *status = fopen(path, "r");
    if (!status)
        fail(path);
    while (fgets(line, sizeof line, status))
        if (strncmp(line, "VmRSS:", 6) == 0 || strncmp(line, "VmPTE:", 6) == 0)
            kib += strtod(line + 6, NULL);
    fclose(status);
    return kib * 1024;
}

/* One connection asks and goes, so that what is made once is there; then all of them. */
static double idle_bytes(uint16_t port, int pid, struct connection *connections, int count)
{
    open_connection(&connections[0], port);
    run(connections, 1, 1);
    close(connections[0].fd);
    sleep(1);
    double before = memory_of(pid);
    for (int i = 0; i < count; i++)
        open_connection(&connections[i], port);
    run(connections, count, (uint64_t)(unsigned)count);
    sleep(2); /* what is given back late is given back */
    return (memory_of(pid) - before) / count;
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "usage: load PORT PID CONNECTIONS (REQUESTS [PATH | echo] | idle)\n");
        return 2;
    }
    uint16_t port = (uint16_t)atoi(argv[1]);
    int pid = atoi(argv[2]), count = atoi(argv[3]);
    bool idle = strcmp(argv[4], "idle") == 0;
    uint64_t requests = idle ? (uint64_t)(unsigned)count : (uint64_t)strtoull(argv[4], NULL, 10);
    const char *path = argc > 5 ? argv[5] : "/";
    is_echo = strcmp(path, "echo") == 0;
    request_size = is_echo ? ECHO_SIZE
                           : (size_t)snprintf(request, sizeof request,
                                              "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
    clockid_t server;
    errno = clock_getcpuclockid(pid, &server);
    if (errno != 0)
        fail("clock_getcpuclockid");
    epoll = epoll_create1(EPOLL_CLOEXEC);
    struct connection *connections = calloc((size_t)count, sizeof *connections);
    latencies_ns = calloc(requests + (uint64_t)(unsigned)count, sizeof *latencies_ns);
    if (epoll < 0 || !connections || !latencies_ns)
        fail("start");
    if (idle) {
        printf("%.1f\n", idle_bytes(port, pid, connections, count));
        return 0;
    }
    for (int i = 0; i < count; i++)
        open_connection(&connections[i], port);
    /* Warm: each of them at least once. */
    run(connections, count, requests / 10 + (uint64_t)(unsigned)count);
    int64_t before = read_clock(server);
    run(connections, count, requests);
    int64_t used = read_clock(server) - before;
    qsort(latencies_ns, requests, sizeof *latencies_ns, compare);
    printf("%.1f %lld %lld\n", (double)used / (double)requests,
           (long long)latencies_ns[requests / 2], (long long)latencies_ns[requests * 99 / 100]);
    return 0;
}
