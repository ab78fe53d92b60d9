/* SPDX-License-Identifier: MIT
 *
 * cease/snapshot.h: what goes on right now: which tasks live, under which contexts, and what each of
 * them waits for.
 *
 *     background
 *       cancel, made at main.c:80 in main
 *         deadline, 1.2 s left, made at server.c:210 in serve
 *           task 17, started at server.c:214 in serve: waits to read fd 9, for 340 ms
 *
 * A snapshot shows every task, below the context that its wait obeys (which may be one that it has derived
 * itself; between waits, and where a wait obeys none, the one that it was started under), and every context from there up to the root. A context with no task
 * below it is not shown: nobody waits for it.
 *
 * It is taken while the program runs. Each worker describes its own tasks, a few at a time, between two
 * of them, so nobody is held up for more than 256 tasks; and a task that comes or goes meanwhile may be
 * in it or not. A worker that runs one task for so long that it does not answer within 50 ms is told
 * about from outside: which task that is, and who waits for its turn there.
 *
 * The text is for people and may change; the JSON is for programs: an object with
 *
 *     "workers"   how many threads run tasks
 *     "contexts"  a list of {"id", "parent" (an id, null for a root), "other" (of a merge: the second
 *                 parent's id), "kind", "key" (of a value), "left_ns" (time to the deadline, null for
 *                 none), "made" (a place or null), "cause" (null while it is open, else {"error",
 *                 "code", "text", "at" (a place or null)})}, in no particular order
 *     "tasks"     a list of {"id", "context" (an id, null when not known), "started" (a place),
 *                 "function" (its name where it is exported, or null), "worker", "state", "for" (what
 *                 it waits for, or null), "since_ns" (how long it has been waiting, or null)}
 *
 * A place is {"file", "line", "function"}. A state is "new", "ready", "running", "waiting" or "unknown"
 * (its worker does not answer). New fields may be added.
 */
#ifndef CEASE_SNAPSHOT_H
#define CEASE_SNAPSHOT_H

#include <cease/attr.h>
#include <cease/error.h>
#include <stddef.h>

CEASE_BEGIN_DECLS

/* Gives the live tree as text. `ret_size` may be NULL; the text also ends in a NUL.
 *
 * Parks: yes, for as long as the workers need to answer; not cut short
 * Callers: tasks and plain threads; one snapshot at a time is taken, others wait for it
 * Owns: *ret_text is the caller's, for free()
 * Errors: CEASE_ENOMEM
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_snapshot_text(char **ret_text, size_t *ret_size);

/* The same as JSON, on one line.
 *
 * Parks: yes, as cease_snapshot_text
 * Callers: tasks and plain threads
 * Owns: *ret_text is the caller's, for free()
 * Errors: CEASE_ENOMEM
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_snapshot_json(char **ret_text, size_t *ret_size);

/* Writes the text to a file descriptor, all of it.
 *
 * Parks: yes, as cease_snapshot_text; the writing itself blocks the thread
 * Callers: tasks and plain threads
 * Owns: borrows fd
 * Errors: CEASE_ENOMEM; what write() says
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_snapshot_print(int fd);

/* From now on SIGQUIT (Ctrl-\\ on a terminal, kill -QUIT) does not end the process: the text goes to
 * standard error, and the program goes on. The signal is taken by a handler (SA_RESTART), which wakes a
 * thread of ours that takes the snapshot; no signal mask is touched. Signals that come while one is being
 * written give one more. cease_runtime_stop puts the former handler back. A forked child dies of SIGQUIT
 * as ever. Asking twice is asking once.
 *
 * Parks: no
 * Callers: any thread; not while the program changes this handler in another
 * Owns: nothing
 * Errors: CEASE_EMFILE or CEASE_ENFILE without a file descriptor; CEASE_EAGAIN or CEASE_ENOMEM without a
 * thread
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_snapshot_on_sigquit(void);

CEASE_END_DECLS

#endif
