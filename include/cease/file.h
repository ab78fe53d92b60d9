/* SPDX-License-Identifier: MIT
 *
 * cease/file.h: files on disk under a context.
 *
 *     cease_file *f;
 *     cease_error e = cease_file_open(ctx, "/etc/motd", O_RDONLY, 0, &f);
 *     e = cease_file_read(ctx, f, buf, sizeof buf, 0, &count);      // from the beginning
 *     cease_file_close(f);
 *
 * Disks cannot be waited for as sockets can, so these calls use the pool of cease/block.h: the task is
 * parked while a thread of the pool waits. What the kernel has in its cache is read on the spot, without
 * the pool. A plain thread makes the calls itself.
 *
 * The system cannot take a read or write back that it has begun. So a context that ends is obeyed before
 * each piece, and never within one: the call returns when the disk has answered, and what was done by
 * then counts.
 *
 * There is no position: every call says where in the file it works, so tasks may share a file without
 * taking turns. Pipes, terminals and devices are no files here; wait for them with cease_fd_wait.
 */
#ifndef CEASE_FILE_H
#define CEASE_FILE_H

#include <cease/attr.h>
#include <cease/context.h>
#include <cease/error.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>

CEASE_BEGIN_DECLS

typedef struct cease_file cease_file;

/* Opens a file. `flags` are those of open(2): O_RDONLY, O_WRONLY or O_RDWR, with O_CREAT, O_EXCL,
 * O_TRUNC, O_APPEND and others as needed; `mode` is what one that is made gets, cut by the umask. The
 * descriptor is CLOEXEC.
 *
 * Parks: yes
 * Callers: tasks; plain threads, where it blocks the thread
 * Owns: *ret_file is yours: cease_file_close
 * Errors: CEASE_ENOENT, CEASE_EACCES, CEASE_EEXIST, CEASE_EMFILE, CEASE_ENOMEM and what else open(2)
 * says; -EISDIR for a folder; CEASE_EINVAL for what is no file on a disk; ctx's, then nothing was opened
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_file_open(cease_ctx *ctx, const char *path, int flags, unsigned mode,
                                         cease_file **ret_file);

/* Reads at most `size` bytes that begin `offset` bytes behind the file's start: at least one, and fewer
 * than `size` also before the end when only those are in the kernel's cache.
 *
 * Parks: yes, unless the kernel has the bytes in its cache
 * Callers: tasks, several at once; plain threads
 * Owns: nothing
 * Errors: CEASE_EOF at the end; CEASE_EINVAL (size is 0); CEASE_EBADF (not open for reading); CEASE_EIO;
 * ctx's
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_file_read(cease_ctx *ctx, cease_file *f, void *buf, size_t size,
                                         uint64_t offset, size_t *ret_count);

/* Writes all of it, `offset` bytes behind the file's start, or at its end when it was opened with
 * O_APPEND. *ret_count (which may be NULL) is written on errors too: so many are in the file (in the
 * kernel's cache: see cease_file_sync). ctx is looked at before each MiB.
 *
 * Parks: yes
 * Callers: tasks, several at once; plain threads
 * Owns: nothing
 * Errors: CEASE_ENOSPC, CEASE_EBADF (not open for writing), CEASE_EIO; ctx's
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_file_write(cease_ctx *ctx, cease_file *f, const void *buf,
                                          size_t size, uint64_t offset, size_t *ret_count);

/* How many bytes the file has.
 *
 * Parks: yes
 * Callers: tasks, several at once; plain threads
 * Owns: nothing
 * Errors: CEASE_EIO; ctx's
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_file_size(cease_ctx *ctx, cease_file *f, uint64_t *ret_size);

/* Waits until what was written is on the disk (fdatasync).
 *
 * Parks: yes
 * Callers: tasks, several at once; plain threads
 * Owns: nothing
 * Errors: CEASE_EIO, CEASE_ENOSPC: then some of it is lost; ctx's
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_file_sync(cease_ctx *ctx, cease_file *f);

/* The file's descriptor, for cease_conn_send_file and for calls that are not here. -1 for NULL.
 *
 * Parks: no
 * Callers: any
 * Owns: nothing: it is closed with the file
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC int cease_file_fd(const cease_file *f);

/* Closes. No call may be under way. On a network's file system this may block for a moment. NULL is
 * fine.
 *
 * Parks: no
 * Callers: any
 * Owns: consumes f
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_file_close(cease_file *f);

CEASE_END_DECLS

#endif
