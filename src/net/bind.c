/* SPDX-License-Identifier: MIT
 *
 * bind.c: Unix addresses: what a socket leaves in the file system.
 *
 * A Unix path outlives its process. So a path that is in the way is asked: if nobody answers it is the
 * rest of a dead server and replaced, else it is in use. On close the path is removed only if it still
 * is the socket made here (device and inode), since somebody may have put another in its place.
 */
#include "net/bind.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether the socket at that path is the rest of a dead process. */
static bool is_stale(const struct ceasei_address *a, int type)
{
    struct stat st;
    if (lstat(a->u.local.sun_path, &st) < 0 || !S_ISSOCK(st.st_mode)) {
        return false;
    }
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return false;
    }
    bool stale = connect(fd, &a->u.any, a->size) < 0 && errno == ECONNREFUSED;
    close(fd);
    return stale;
}

cease_error ceasei_bind_unix(int fd, const struct ceasei_address *a, unsigned mode,
                             struct ceasei_bound *ret_bound)
{
    const char *path = a->u.local.sun_path;
    int type = SOCK_STREAM;
    socklen_t size = sizeof type;
    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
    bool bound = bind(fd, &a->u.any, a->size) == 0;
    if (!bound && errno == EADDRINUSE && path[0] != '\0' && is_stale(a, type)) {
        unlink(path);
        bound = bind(fd, &a->u.any, a->size) == 0;
    }
    if (!bound) {
        return (cease_error)-errno;
    }
    if (path[0] == '\0') {
        return CEASE_OK;
    }
    struct stat st;
    if (lstat(path, &st) < 0) {
        return (cease_error)-errno;
    }
    struct ceasei_bound b = {strdup(path), st.st_dev, st.st_ino};
    if (!b.path) {
        unlink(path);
        return CEASE_ENOMEM;
    }
    *ret_bound = b;
    /* before anybody can connect, so that nobody does under other permissions */
    return mode == 0 || chmod(path, mode) == 0 ? CEASE_OK : (cease_error)-errno;
}

void ceasei_bind_undo(struct ceasei_bound *bound)
{
    struct stat st;
    if (bound->path && lstat(bound->path, &st) == 0 && st.st_dev == bound->device &&
        st.st_ino == bound->inode) {
        unlink(bound->path);
    }
    free(bound->path);
    bound->path = NULL;
}
