/* SPDX-License-Identifier: MIT
 *
 * fd.c: the done fd, an eventfd that becomes readable when its context ends.
 *
 * It is made under the home lock if the node is open (I3), so whoever ends the node afterwards sees
 * it. It is written after ENDING has been published, by the thread that ends the node and by every
 * reader that sees ENDING before DONE: so an error that anyone has seen implies a readable fd, and
 * a readable fd implies an error. The eventfd is a semaphore that is written with its largest
 * value: a stray read takes one off, and it stays readable.
 */
#include "context/list.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void signal_fd(int fd)
{
    const uint64_t most = UINT64_MAX - 1;
    ssize_t written;
    do
        written = write(fd, &most, sizeof most);
    /* not taken: EAGAIN: somebody has written it, in the instant between ENDING and DONE */
    while (written < 0 && errno == EINTR);
}

static int load_fd(const struct ceasei_extra *extra)
{
    int fd = ceasei_load(&extra->fd, ACQUIRE);
    return fd >= 0 && extra->fd_generation == ceasei_generation ? fd : -1;
}

/* Called with an errno of the caller's worth keeping: a check must not change it. */
void ceasei_fd_signal(struct ceasei_node *node)
{
    struct ceasei_extra *extra = ceasei_extra_of(node);
    if (extra == NULL)
        return;
    int fd = load_fd(extra), saved = errno;
    if (fd >= 0)
        signal_fd(fd);
    errno = saved;
}

void ceasei_extra_free(struct ceasei_node *node)
{
    struct ceasei_extra *extra = ceasei_extra_of(node);
    if (extra == NULL)
        return; /* a node that has one and is older than a fork was adopted when its kids were counted */
    if (load_fd(extra) >= 0)
        close(extra->fd);
    free(extra->stripes);
    free(extra);
}

static int new_fd(bool readable)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
    if (fd < 0)
        return -errno;
    if (readable)
        signal_fd(fd);
    return fd;
}

/* The fd of a context that never ends, or never was open: made once, for everybody, and never
 * closed. */
static int static_fd(bool readable)
{
    static uint64_t known[2]; /* atomic: fork generation << 32 | fd + 1; 0: none */
    uint64_t seen = ceasei_load(&known[readable], ACQUIRE);
    uint64_t tag = (uint64_t)ceasei_generation << 32;
    for (;;) {
        if (seen != 0 && (seen & ~(uint64_t)UINT32_MAX) == tag)
            return (int)(uint32_t)seen - 1;
        int fd = new_fd(readable);
        if (fd < 0)
            return fd;
        if (ceasei_cas(&known[readable], &seen, tag | ((uint32_t)fd + 1), ACQ_REL))
            return fd;
        close(fd);
    }
}

/* Under the home lock: the fd of a node; *fd becomes it if it has none, and is -1 then. */
static int adopt_fd(struct ceasei_node *node, int *fd)
{
    struct ceasei_extra *extra = ceasei_extra_of(node);
    int found = load_fd(extra);
    if (found < 0) {
        found = *fd;
        *fd = -1;
        extra->fd_generation = ceasei_generation;
        ceasei_store(&extra->fd, found, RELEASE);
    }
    return found;
}

/* Puts the new fd into the node, if that has none; returns the one that it has now. On a node that has
 * ended the fd is readable before anybody can get it, because nobody would write it afterwards. */
static int install_fd(struct ceasei_node *node, struct ceasei_extra **extra, int *fd)
{
    bool readable = false;
    for (;;) {
        uint32_t word = ceasei_load(&node->word, ACQUIRE);
        if (word & WORD_LAZY)
            ceasei_timer_arm(node);
        if (word & WORD_ENDED) {
            signal_fd(*fd);
            readable = true;
        }
        ceasei_node_lock(node, &node->home);
        word = ceasei_load(&node->word, SEQ_CST); /* I3 */
        int found = -1;
        if (word == 0 || ((word & WORD_ENDED) != 0 && readable)) {
            ceasei_extra_install(node, extra);
            found = adopt_fd(node, fd);
        }
        ceasei_unlock(&node->home.lock);
        if (found >= 0)
            return found;
        (void)ceasei_settled_word(node);
    }
}

int cease_done_fd(cease_ctx *ctx)
{
    CEASEI_ALIVE(ctx, NULL, "cease_done_fd");
    struct ceasei_node *node = node_of(ctx);
    if (node->ctx.kind == KIND_ROOT)
        return static_fd(!never_ends(node));
    struct ceasei_extra *extra = ceasei_extra_of(node);
    int fd = extra != NULL ? load_fd(extra) : -1;
    if (fd >= 0)
        return fd;
    if ((fd = new_fd(false)) < 0)
        return fd;
    extra = ceasei_extra_new();
    int found = CEASE_ENOMEM;
    if (extra != NULL)
        found = install_fd(node, &extra, &fd);
    free(extra);
    if (fd >= 0)
        close(fd);
    return found;
}
