/* SPDX-License-Identifier: MIT
 *
 * cease/error.h: one enum for everything that can go wrong.
 *
 * A cease_error is 0 for success and negative otherwise: `-errno` where an errno of the system says
 * it, a number of our own below -4096 where none does. Functions return it; none of them sets
 * errno, and there is no "last error" kept anywhere. A value that is not in the table below is
 * still a valid cease_error when it is the negative of an errno: the table only gives names to
 * those that a caller is likely to compare with.
 *
 * The deadline of a context is CEASE_EDEADLINE (-ETIME), so that it is never mistaken for the
 * ETIMEDOUT that a peer or a network reported. The end of a stream is CEASE_EOF, not a count of 0.
 */
#ifndef CEASE_ERROR_H
#define CEASE_ERROR_H

#include <cease/attr.h>
#include <errno.h>

CEASE_BEGIN_DECLS

/* X(name, number, text): the one table that numbers, names and texts come from. */
#define CEASE_ERRORS(X)                                           \
    X(OK, 0, "success")                                           \
    X(ECANCELED, -ECANCELED, "context canceled")                  \
    X(EDEADLINE, -ETIME, "context deadline exceeded")             \
    X(ENOMEM, -ENOMEM, "out of memory")                           \
    X(EINVAL, -EINVAL, "invalid argument")                        \
    X(EAGAIN, -EAGAIN, "would have to wait")                      \
    X(EBUSY, -EBUSY, "in use")                                    \
    X(EDEADLK, -EDEADLK, "would wait for itself")                 \
    X(EEXIST, -EEXIST, "exists already")                          \
    X(ENOENT, -ENOENT, "no such file or entry")                   \
    X(EACCES, -EACCES, "permission denied")                       \
    X(EPERM, -EPERM, "not permitted")                             \
    X(EIO, -EIO, "input/output error")                            \
    X(EBADF, -EBADF, "not an open file descriptor")               \
    X(EMFILE, -EMFILE, "too many open files in this process")     \
    X(ENFILE, -ENFILE, "too many open files in the system")       \
    X(ENOSPC, -ENOSPC, "no space left")                           \
    X(ENOTSUP, -ENOTSUP, "not supported")                         \
    X(EMSGSIZE, -EMSGSIZE, "too large")                           \
    X(ERANGE, -ERANGE, "out of range")                            \
    X(EPIPE, -EPIPE, "the other side has closed")                 \
    X(ECONNREFUSED, -ECONNREFUSED, "connection refused")          \
    X(ECONNRESET, -ECONNRESET, "connection reset by the peer")    \
    X(ECONNABORTED, -ECONNABORTED, "connection aborted")          \
    X(ENOTCONN, -ENOTCONN, "not connected")                       \
    X(EADDRINUSE, -EADDRINUSE, "address in use")                  \
    X(EADDRNOTAVAIL, -EADDRNOTAVAIL, "address not available")     \
    X(EHOSTUNREACH, -EHOSTUNREACH, "no route to the host")        \
    X(ENETUNREACH, -ENETUNREACH, "no route to the network")       \
    X(ETIMEDOUT, -ETIMEDOUT, "the peer or the network timed out") \
    X(EPROTO, -EPROTO, "protocol error")                          \
    X(EOF, -4097, "end of stream")                                \
    X(ECLOSED, -4098, "closed")                                   \
    X(ERESOLVE, -4099, "host name cannot be resolved")            \
    X(EPARSE, -4100, "malformed input")                           \
    X(ETLS, -4101, "TLS error")                                   \
    X(ESQL, -4102, "database error")                              \
    X(ESTOPPING, -4103, "server stopping")                        \
    X(EPEERGONE, -4104, "the client went away")                   \
    X(ERETURNED, -4105, "the scope that owned it has returned")

typedef enum cease_error {
#define CEASE_ERROR_ENUMERATOR_(name, number, text) CEASE_##name = (number),
    CEASE_ERRORS(CEASE_ERROR_ENUMERATOR_)
#undef CEASE_ERROR_ENUMERATOR_
        CEASE_ERROR_LIMIT_ = -8191 /* only here so that every value in between may be stored */
} cease_error;

/* What an error means, in a few words, such as "context canceled".
 *
 * For a value without an entry in the table the text of the system for that errno, or "unknown
 * error".
 *
 * Parks: no
 * Callers: any thread, async-signal-safe
 * Owns: the text is static
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC const char *cease_strerror(cease_error e);

/* The name of an error, such as "CEASE_ECANCELED", for logs and tests.
 *
 * For a value without an entry in the table the errno's own name, such as "EXDEV", or "unknown".
 *
 * Parks: no
 * Callers: any thread, async-signal-safe
 * Owns: the text is static
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC const char *cease_error_name(cease_error e);

CEASE_END_DECLS

#endif
