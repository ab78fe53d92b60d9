/* SPDX-License-Identifier: MIT
 *
 * task.h: a task as the rest of the runtime sees it, and how to start one with somebody to tell.
 *
 * A task lives at the top of its own stack, in the page that its first frames touch anyway:
 * starting one allocates nothing but the stack. From its start to its end it belongs to the worker
 * that runs it, and nobody else reads it, but for what cease_wake() may do with a parked task: link
 * it into its worker's inbox.
 *
 *     FREE --taken from its queue--> NEW --first switch--> STARTED --fn has returned--> FREE
 *
 * What has been started and not begun is a struct ceasei_pending (pending.h), in exactly one queue, and any
 * worker may take it; who does makes it a NEW task and runs it next. A STARTED one
 * is running, or in its worker's ready queue or inbox, or parked: then a cease_parker or a timer
 * points at it, and nothing else does.
 */
#ifndef CEASE_RUNTIME_TASK_H
#define CEASE_RUNTIME_TASK_H

#include <cease/task.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ceasei_arena;
struct ceasei_worker;
struct cease_mutex;

enum ceasei_task_state { CEASEI_TASK_FREE = 0, CEASEI_TASK_NEW, CEASEI_TASK_STARTED };

/* Told about the end of a task, on the task's own stack, as the last thing that happens there: the
 * reference on its context is dropped already (unless it was borrowed) and the task does not count
 * as alive any more, so whoever is woken from here may call cease_runtime_stop. Must not park. */
typedef void ceasei_task_done(void *owner, cease_error result);

struct ceasei_task {
    void *sp;                     /* saved stack pointer while it is switched out               */
    struct ceasei_task *next;     /* in the one queue or list that it is in                     */
    struct ceasei_worker *worker; /* set when it starts, for life                               */
    uint64_t order;               /* when it was queued, counted by the worker whose queue it is */
    uint64_t id;                  /* set when it starts                                         */
    cease_ctx *ctx;               /* these are set at spawn                                     */
    cease_task_fn *fn;
    void *arg;
    ceasei_task_done *done;
    void *owner;
    const cease_place *place;
    struct ceasei_arena *arena; /* where its stack comes from: set at the stack's birth, kept */
    uint8_t state; /* enum ceasei_task_state; atomic: looked at from outside, by see.c           */
    bool borrows_ctx;
    uint8_t wait; /* enum ceasei_wait; this and the next three are its worker's, for see.c       */
    uint32_t wait_since_ms; /* the worker's last look at the clock before the wait, modulo 2^32  */
    uintptr_t wait_object;
    struct cease_mutex *held; /* under CEASE_DEBUG: the mutexes that it has; its own (mutex.c)    */
    cease_ctx *wait_ctx; /* that the wait is under: alive while it waits; NULL: none            */
    union {              /* one sanitizer at a time                                           */
        void *fiber;     /* ThreadSanitizer's idea of this stack                              */
        void *fake;      /* AddressSanitizer's                                                */
    };
};

/* What a task that does not run is there for; what wait_object is then. */
enum ceasei_wait {
    CEASEI_WAIT_PARKED =
        0,              /* for a wake: cease_wait, a removal, a parker of somebody's              */
    CEASEI_WAIT_READY,  /* for its turn                                                           */
    CEASEI_WAIT_SEND,   /* the channel                                                            */
    CEASEI_WAIT_RECV,   /* the channel                                                            */
    CEASEI_WAIT_SELECT, /* how many cases                                                         */
    CEASEI_WAIT_SLEEP,  /* until: ns on the monotonic clock                                       */
    CEASEI_WAIT_READ,   /* the fd                                                                 */
    CEASEI_WAIT_WRITE,  /* the fd                                                                 */
    CEASEI_WAIT_JOIN,   /* a cease_place: where the group was made                                */
    CEASEI_WAIT_LIMIT,  /* the same                                                               */
    CEASEI_WAIT_BLOCK,  /* -                                                                      */
    CEASEI_WAIT_NAMED,  /* a static string that completes "waits for"                             */
    CEASEI_WAIT_MUTEX,  /* a cease_place: where it had been taken when the wait began             */
};

/* Says what the calling task is about to wait for, and under which context (NULL: none); nothing on a
 * plain thread, whose `self` is NULL. */
static inline void ceasei_waits(struct ceasei_task *self, cease_ctx *ctx, enum ceasei_wait wait,
                                uintptr_t object)
{
    if (self) {
        self->wait_ctx = ctx;
        self->wait = (uint8_t)wait;
        self->wait_object = object;
    }
}

/* Whether the checks of CEASE_DEBUG are on: set before main. */
extern bool ceasei_rt_debug __attribute__((visibility("hidden")));

/* Aborts: the task returns though it has a mutex on its list (mutex.c). */
_Noreturn void ceasei_task_holds(const struct ceasei_task *task);

/* How a task is started. */
struct ceasei_task_start {
    cease_ctx *ctx;
    cease_task_fn *fn;
    void *arg;
    ceasei_task_done *done; /* may be NULL                                               */
    void *owner;            /* for done                                                  */
    const cease_place *place;
    bool borrows_ctx; /* the owner keeps ctx alive until done: saves two locked operations  */
};

/* Starts a task as cease_go does. With CEASE_OK fn will run, and then done will be called; with an
 * error neither. Any thread. */
cease_error ceasei_task_start(const struct ceasei_task_start *start);

/* The calling task; NULL on a plain thread, and on a worker between tasks. */
struct ceasei_task *ceasei_task_self(void);

#endif
