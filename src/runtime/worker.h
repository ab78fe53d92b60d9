/* SPDX-License-Identifier: MIT
 *
 * worker.h: one worker: a thread, its queues, its epoll instance. For the scheduler's own files only
 * (sched.c, queue.c, worker.c, thread.c, runtime.c, timer.c, poller.c).
 *
 * Three ways lead to a worker:
 *  - ready: tasks that have started here, first in first out. The owner's alone, so waking a task on
 *    its own worker is a few plain stores.
 *  - inbox: started tasks of this worker that others have woken. A stack of pushes by
 *    compare-and-swap; the owner takes all of it at once and turns it round.
 *  - ring: tasks that have not started. The owner adds at the tail with a store; the owner and
 *    thieves take at the head by compare-and-swap (Go's run queue). What does not fit waits in
 *    `overflow`, the owner's alone, and moves up as the ring drains.
 * The owner numbers what it queues in ready, ring and overflow, and picks the lower number of the two
 * heads: one worker alone runs tasks strictly in the order in which they became ready.
 *
 * Tasks that plain threads start go to a queue of the runtime (runtime.h), where every worker looks.
 */
#ifndef CEASE_RUNTIME_WORKER_H
#define CEASE_RUNTIME_WORKER_H

#include "base/atomic.h"
#include "runtime/bell.h"
#include "runtime/heap.h"
#include "runtime/pending.h"
#include "runtime/stack.h"
#include "runtime/task.h"

#include <cease/attr.h>
#include <cease/group.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    CEASEI_WORKERS_MAX = 64, /* one bit each in runtime.idle, one timer shard each */
#ifdef CEASE_INTERLEAVE
    CEASEI_RING_SIZE = 2, /* so that three tasks do not fit */
#else
    CEASEI_RING_SIZE = 256,
#endif
    CEASEI_SWITCHES = 64,      /* switches until the worker looks at timers and at its epoll, */
    CEASEI_SWITCHES_MAX = 256, /* and when they are quick ones */
    CEASEI_BUDGET = 256,
    CEASEI_CACHE_KEEP = 64,  /* stacks that a worker keeps for itself when it sleeps, */
    CEASEI_CACHE_MAX = 1024, /* and while it is awake: to hand them on is to touch each */
};

/* First in, first out; by ceasei_task.next. */
struct ceasei_queue {
    struct ceasei_task *first, *last;
};

struct ceasei_worker {
    /* The owner's alone. */
    struct ceasei_task
        *current; /* NULL: between tasks, on the thread's own stack; atomic for see.c */
    struct ceasei_queue ready;
    struct ceasei_pending_queue overflow;
    uint64_t order;     /* number of the next task that is queued */
    uint32_t looks;     /* around, ever; this and switches are atomic: long_run.c looks */
    uint32_t switches;  /* left until maintenance */
    uint32_t turn;      /* how many there were after the last one; 0: there was none */
    int32_t trust;      /* bias.c: whether a new lock is this worker\'s from its birth: >= 0 */
    uint32_t budget;    /* of the current task: operations left until it must let others run */
    uint32_t rounds;    /* of maintenance since the last poll */
    uint32_t random;    /* select.c: state of a generator; 0: not begun */
    bool may_have_new;  /* false: ring and overflow are empty */
    uint32_t index;     /* set at birth; its timer shard is index + 1 */
    uint32_t number;    /* index + 1 */
    uintptr_t *entered; /* set at birth: see bias.h */
    void *base_sp;      /* the thread's own stack, while a task runs */
    void *left_for; /* where the wait that was switched from last would return to: see leave.h */
    struct ceasei_stack_cache
        stacks; /* at least as many as pending ones here have none: pending.h */
    struct ceasei_pending_cache pendings;
    struct cease_group *spare_groups; /* group.c: memory for the next ones */
    uint32_t spare_count;
    struct ceasei_heap sleepers;
    uint64_t id_next, id_end; /* a block of task ids */
    cease_time looked_at;     /* the clock at the last look around */
    cease_time poll_at;       /* when the epoll is looked at next, while there is work */
    uint32_t now_ms;          /* the clock at the last look around, modulo 2^32 */
    int64_t trim_at_ns;       /* when surplus stacks are given back; 0: not planned */
    bool spin;                /* the last sleep was so short that spinning would have caught it */
    bool has_watched;         /* its last sleep was that of a watcher */
    uint32_t started_seen;    /* tasks that others had started before the last sleep */
    uint32_t in_vain;         /* sleeps since then; worker.c */
    int *errno_at;            /* the thread's errno: set when it starts */
    void *base_fiber, *base_fake;
    const void *base_bottom;
    size_t base_size;
    void *dead_fiber; /* of the task that has just ended here */

    /* Written by the owner, read by others. */
    uint64_t begun, ended;                         /* atomic: tasks begun and ended here */
    uint32_t tail;                                 /* atomic: released by the owner's push */
    struct ceasei_pending *ring[CEASEI_RING_SIZE]; /* atomic, ordered by head and tail */
    uint64_t ring_order[CEASEI_RING_SIZE];         /* the owner's alone */
    struct ceasei_poll_entry *telling;             /* atomic: whose hangup function runs */

    /* Written by others. */
    _Alignas(64) uint32_t head;             /* atomic: compare-and-swap by whoever takes */
    _Alignas(64) struct ceasei_task *inbox; /* atomic: released by pushes, acquired by the owner */
    struct ceasei_bell bell;
    struct ceasei_ask *ask; /* atomic: see.c wants to know something; taken by a swap */

    /* Set at birth. */
    int epoll, event;
    pthread_t thread;
    void *signal_stack;
    uint32_t gone; /* atomic: the thread is about to return */
};

/* The worker that this thread is; NULL on a plain thread. */
#ifdef CEASE_INTERLEAVE
struct ceasei_worker **explore_worker(void); /* one thread plays all of a model's */
#define ceasei_worker_self (*explore_worker())
#else
extern __thread struct ceasei_worker *ceasei_worker_self
    __attribute__((tls_model("initial-exec"), visibility("hidden")));
#endif

static inline struct ceasei_task *ceasei_worker_task(void)
{
    struct ceasei_worker *w = ceasei_worker_self;
    return w ? w->current : NULL;
}

/* ---- queues ------------------------------------------------------------------------------------ */

static inline void ceasei_queue_push(struct ceasei_queue *q, struct ceasei_task *task)
{
    task->next = NULL;
    if (q->first) {
        q->last->next = task;
    } else {
        q->first = task;
    }
    q->last = task;
}

static inline struct ceasei_task *ceasei_queue_pop(struct ceasei_queue *q)
{
    struct ceasei_task *task = q->first;
    if (task) {
        q->first = task->next;
    }
    return task;
}

static inline void ceasei_ready_push(struct ceasei_worker *w, struct ceasei_task *task)
{
    task->order = w->order++;
    task->wait = CEASEI_WAIT_READY;
    ceasei_queue_push(&w->ready, task);
}

/* Un-started tasks that thieves could take from w; from other threads a guess. */
static inline uint32_t ceasei_ring_count(const struct ceasei_worker *w)
{
    uint32_t head = ceasei_load(&w->head, ACQUIRE);
    return ceasei_load(&w->tail, ACQUIRE) - head;
}

/* The owner's. ACQUIRE pairs with the takers' compare-and-swap: they have read the slot that is written next. */
static inline bool ceasei_ring_has_room(const struct ceasei_worker *w)
{
    return w->tail - ceasei_load(&w->head, ACQUIRE) < CEASEI_RING_SIZE;
}

/* The owner's: false when the ring is full. */
static inline bool ceasei_ring_push(struct ceasei_worker *w, struct ceasei_pending *p)
{
    uint32_t tail = w->tail;
    if (!ceasei_ring_has_room(w)) {
        return false;
    }
    ceasei_store(&w->ring[tail % CEASEI_RING_SIZE], p, RELAXED);
    w->ring_order[tail % CEASEI_RING_SIZE] = p->order;
    ceasei_store(&w->tail, tail + 1, RELEASE);
    w->may_have_new = true; /* also for what goes to overflow, as that is when the ring is full */
    return true;
}

/* Anybody's: the oldest un-started task of w; NULL when there is none. */
static inline struct ceasei_pending *ceasei_ring_take(struct ceasei_worker *w)
{
    uint32_t head = ceasei_load(&w->head, ACQUIRE);
    while (head != ceasei_load(&w->tail, ACQUIRE)) {
        struct ceasei_pending *p = ceasei_load(&w->ring[head % CEASEI_RING_SIZE], RELAXED);
        if (CEASE_SEED_BUG(BUG_STEAL)) {
            ceasei_store(&w->head, head + 1, RELEASE);
            return p;
        }
        if (ceasei_cas(&w->head, &head, head + 1, ACQ_REL)) {
            return p;
        }
    }
    return NULL;
}

/* ---- queue.c ------------------------------------------------------------------------------------ */

/* Queues an un-started task on the calling worker. */
void ceasei_sched_push_new(struct ceasei_worker *w, struct ceasei_pending *p);
/* The next task of w; NULL when there is none, or it is time to look around. */
struct ceasei_task *ceasei_sched_next(struct ceasei_worker *w);

/* ---- sched.c ------------------------------------------------------------------------------------ */

/* Switches from the thread's own stack to a task; returns when there is nothing to run, or it is time
 * to look around. */
void ceasei_sched_run(struct ceasei_worker *w, struct ceasei_task *task);
/* The first function on a new stack. */
void ceasei_sched_main(void);

/* ---- worker.c ----------------------------------------------------------------------------------- */

/* The thread's function. */
void *ceasei_worker_main(void *arg);
/* Makes w look at its queues if it sleeps. Any thread. */
void ceasei_worker_wake(struct ceasei_worker *w);
/* Before a socket is registered with w, and after it was taken back. Any thread. */
void ceasei_worker_socket_comes(struct ceasei_worker *w);
void ceasei_worker_socket_goes(struct ceasei_worker *w);
/* There is more un-started work than this thread can begin at once: lets somebody else look. */
void ceasei_worker_wake_any(void);

/* ---- thread.c ----------------------------------------------------------------------------------- */

cease_error ceasei_worker_new(uint32_t index, struct ceasei_worker **ret_worker);
void ceasei_worker_free(struct ceasei_worker *w);
/* The first and the last thing on its thread. */
void ceasei_worker_set_up(struct ceasei_worker *w);
void ceasei_worker_tear_down(struct ceasei_worker *w);
/* Ends the current or the next sleep of w. Any thread. */
void ceasei_worker_ring(struct ceasei_worker *w);
/* Sleeps until a socket, a ring, or so many ns are over (INT64_MAX: never), and dispatches. If it may be
 * long, after the worker has said that it sleeps. */
void ceasei_worker_poll(struct ceasei_worker *w, int64_t timeout_ns);

/* ---- timer.c, poller.c: called by the worker between tasks -------------------------------------- */

/* Wakes the sleepers whose time has come. */
void ceasei_timer_fire(struct ceasei_worker *w, cease_time now);

struct epoll_event;
/* What epoll has said. */
void ceasei_poller_dispatch(struct ceasei_worker *w, const struct epoll_event *events, int count);

#endif
