/* SPDX-License-Identifier: MIT
 *
 * cease/faults.h: makes the C library's allocations and system calls fail on demand, for
 * cease_test_each_failure (cease/test.h).
 *
 *     int main(void)
 *     {
 *         cease_faults_allocations();
 *         cease_faults_system_calls();
 *         return cease_test_each_failure(NULL, my_scenario, NULL) == CEASE_OK ? 0 : 1;
 *     }
 *
 *     cc test.c $(pkg-config --cflags --libs cease-faults)
 *
 * A static library, so that its malloc, read and so on are the program's own, which every shared library of the
 * process then calls too. Link it to tests, never to what is shipped. Each of the two functions brings its
 * half along when it is called somewhere in the program, and nothing otherwise: a test that has an
 * allocator of its own takes only the second.
 *
 * Calls that the C library makes inside itself (fopen's open, say), static linking, and
 * -D_FORTIFY_SOURCE's variants of read and recv are not reached. Sanitizers bring an allocator of
 * their own: there cease_faults_allocations does nothing, and under ThreadSanitizer
 * cease_faults_system_calls does nothing either. (cease_test_each_failure gives CEASE_ENOTSUP when
 * nothing can fail.)
 */
#ifndef CEASE_FAULTS_H
#define CEASE_FAULTS_H

#include <cease/attr.h>

CEASE_BEGIN_DECLS

/* Lets the n-th malloc, calloc, realloc, aligned_alloc, posix_memalign or memalign fail with ENOMEM, and
 * counts blocks, so that a run that leaves one behind is noticed.
 *
 * Parks: no
 * Callers: plain threads, between runs
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_faults_allocations(void);

/* Lets the n-th system call fail, each with an error that the world can cause: EMFILE where a descriptor
 * is made, ENOMEM for memory, EAGAIN for a thread, EIO for a file, ECONNRESET for a socket (which is reset from then on), and so on. What
 * the runtime's own threads wait with (epoll_wait, futex, eventfds) never fails.
 *
 * Parks: no
 * Callers: plain threads, between runs
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_faults_system_calls(void);

CEASE_END_DECLS

#endif
