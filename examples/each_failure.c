/* SPDX-License-Identifier: MIT
 *
 * What becomes of a program when an allocation or a system call fails? Here a client and a server save what they
 * have said to each other; the scenario runs again and again, and each time another call fails, until all have.
 *
 * The scenario may fail: it may not crash, hang, or leave a task, a descriptor or a block behind.
 */
#include <cease/cease.h>
#include <cease/faults.h>
#include <cease/test.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static cease_error answer(cease_ctx *ctx, void *arg)
{
    cease_conn *conn = arg;
    char line[64];
    size_t n;
    cease_error e = cease_conn_read(ctx, conn, line, sizeof line, &n);
    e = e ? e : cease_conn_write(ctx, conn, line, n, NULL);
    cease_conn_close(conn);
    return e;
}

/* Whole, or not at all. */
static cease_error save(const char *path, const char *text)
{
    size_t size = strlen(path) + sizeof ".new";
    char *new_path = malloc(size);
    if (!new_path) {
        return CEASE_ENOMEM;
    }
    snprintf(new_path, size, "%s.new", path);
    cease_error e = CEASE_OK;
    int fd = open(new_path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0) {
        e = (cease_error)-errno;
    } else {
        ssize_t n = write(fd, text, strlen(text));
        e = n == (ssize_t)strlen(text) ? CEASE_OK : n < 0 ? (cease_error)-errno : CEASE_ENOSPC;
        close(fd);
        if (e == CEASE_OK && rename(new_path, path) != 0) {
            e = (cease_error)-errno;
        }
    }
    if (e != CEASE_OK) {
        unlink(new_path);
    }
    free(new_path);
    return e;
}

static cease_error converse(cease_ctx *ctx, void *arg)
{
    cease_conn *client, *server;
    cease_error e = cease_test_conn_pair(&client, &server);
    if (e) {
        return e;
    }
    cease_group *group = cease_group_new(ctx, NULL);
    e = cease_group_go(group, answer, server);
    if (e) {
        cease_conn_close(server);
    }
    char line[64] = "";
    size_t n;
    e = e ? e : cease_conn_write(cease_group_ctx(group), client, "hello\n", 6, NULL);
    e = e ? e : cease_conn_read(cease_group_ctx(group), client, line, sizeof line - 1, &n);
    cease_conn_close(client);
    cease_error answered = cease_group_wait(group);
    cease_group_free(group);
    e = answered ? answered : e;
    return e ? e : save(arg, line);
}

int main(void)
{
    char folder[] = "/tmp/each_failure.XXXXXX", path[64];
    if (!mkdtemp(folder)) {
        return EXIT_FAILURE;
    }
    snprintf(path, sizeof path, "%s/said", folder);
    cease_faults_allocations();
    cease_faults_system_calls();
    cease_error e = cease_test_each_failure(NULL, converse, path);
    cease_test_result result = {.size = sizeof result};
    cease_test_last(&result);
    printf("%llu rounds: %s\n", (unsigned long long)result.rounds, cease_strerror(e));
    unlink(path);
    snprintf(path, sizeof path, "%s/said.new", folder);
    unlink(path); /* when its own removal was what failed */
    rmdir(folder);
    if (e == CEASE_ENOTSUP) {
        return EXIT_SUCCESS; /* under a sanitizer that needs these calls for itself */
    }
    return e == CEASE_OK && result.rounds > 10 ? EXIT_SUCCESS : EXIT_FAILURE;
}
