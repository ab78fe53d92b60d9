/* SPDX-License-Identifier: MIT
 *
 * process.h: one run of a program, for process.c, which sees it through, and process_start.c.
 */
#ifndef CEASE_RUNTIME_PROCESS_H
#define CEASE_RUNTIME_PROCESS_H

#include <cease/process.h>
#include <sys/types.h>
#include <unistd.h>

/* One output stream. */
struct ceasei_stream {
    int fd;       /* our end; -1: closed */
    int child_fd; /* the program's end; -1 after the start */
    char *data;   /* NULL or `room` bytes */
    size_t size, room;
};

enum ceasei_run_state {
    CEASEI_RUN_RUNNING,
    CEASEI_RUN_TERMINATING,
    CEASEI_RUN_KILLING,
    CEASEI_RUN_ENDED
};

struct ceasei_run {
    cease_process_opts opts; /* defaults filled in */
    enum ceasei_run_state state;
    cease_error error; /* why the run is not a success */
    pid_t pid;
    int pidfd, epoll, input_fd;
    struct ceasei_stream out, err;
};

/* Closes *fd, if it is one, and makes it -1. */
static inline void ceasei_close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd); /* EINTR: Linux has closed it all the same */
    }
    *fd = -1;
}

/* Starts the program: a job for cease_block. The result is in run->error; after a failure there is no
 * process, and the fds that are open already are process.c's to close. */
void ceasei_process_start(void *run);

#endif
