/* SPDX-License-Identifier: MIT
 *
 * cease/nopark.h: marking code in which nothing may wait.
 *
 *     pthread_mutex_lock(&foreign_lock);
 *     {
 *         CEASE_AUTO_NOPARK cease_nopark scope = {0};
 *         cease_nopark_begin(&scope);
 *         foreign_library_call(table);       // and whatever that calls back
 *     }
 *     pthread_mutex_unlock(&foreign_lock);
 *
 * A task that waits gives its thread to another task. Between the two halves of something that belongs to the
 * thread (a lock of the system, a thread-local variable, the state that a library keeps for each thread)
 * that must not happen, and nothing in the code shows whether some function far below does it. Under
 * CEASE_DEBUG every call that would wait, inside the scope, on the thread that began it, ends the
 * process with the place where the scope began; calls that may wait but do not have to pass, unless
 * they are the last of the task's turn, the 256th, which lets others run. Without CEASE_DEBUG the scope costs one predicted branch and forbids nothing.
 *
 * docs/guide/tasks.md has the list of what must not be done in a task, and what happens if one does.
 */
#ifndef CEASE_NOPARK_H
#define CEASE_NOPARK_H

#include <cease/attr.h>
#include <cease/context.h>
#include <stdbool.h>

CEASE_BEGIN_DECLS

/* A scope, on the stack of whoever begins it. Zero-initialised is valid: not begun. Its fields are
 * private. */
typedef struct cease_nopark {
    const cease_place *place_, *outer_;
    bool outer_is_scope_;
} cease_nopark;

/* From here to cease_nopark_end nothing on this thread may wait. Scopes may lie in each other.
 *
 * Parks: no
 * Callers: tasks; plain threads; callbacks too
 * Owns: the memory is the caller's, until the scope has ended
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_nopark_begin(cease_nopark *scope);
CEASE_PUBLIC void cease_nopark_begin_at(cease_nopark *scope, const cease_place *place);
#define cease_nopark_begin(scope) cease_nopark_begin_at((scope), CEASE_HERE)

/* The end of the scope. Does nothing for one that has not begun, or has ended already.
 *
 * Parks: no
 * Callers: whoever began the scope; the one that began last ends first (aborts otherwise, under
 * CEASE_DEBUG)
 * Owns: the memory is the caller's again
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_nopark_end(cease_nopark *scope);

/* Ends the scope in a variable when that goes out of scope. */
#define CEASE_AUTO_NOPARK CEASE_CLEANUP(cease_nopark_end)

CEASE_END_DECLS

#endif
