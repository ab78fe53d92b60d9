/* SPDX-License-Identifier: MIT
 *
 * queue.c: how a task that can run gets to its worker; the slow half of queue.h.
 *
 * Nothing here switches stacks, so the interleaving explorer runs this file, queue.h and worker.c as
 * they are.
 */
#include "runtime/queue.h"

#include "runtime/park.h"
#include "runtime/runtime.h"
#include "runtime/trace.h"

void ceasei_queue_drain_inbox(struct ceasei_worker *w)
{
    struct ceasei_task *newest = ceasei_swap(&w->inbox, NULL, ACQUIRE), *oldest = NULL;
    while (newest) {
        struct ceasei_task *task = newest;
        newest = task->next;
        task->next = oldest;
        oldest = task;
    }
    while (oldest) {
        struct ceasei_task *task = oldest;
        oldest = task->next;
        ceasei_ready_push(w, task);
    }
}

void ceasei_queue_refill_ring(struct ceasei_worker *w)
{
    /* Out of the one before it is in the other, where it may be taken, begin and be gone at once. */
    while (w->overflow.first && ceasei_ring_has_room(w)) {
        (void)ceasei_ring_push(w, ceasei_pending_pop(&w->overflow));
    }
}

void ceasei_sched_push_new(struct ceasei_worker *w, struct ceasei_pending *p)
{
    ceasei_queue_push_new(w, p);
}

void ceasei_queue_call_others(void)
{
    /* The ring's tail, then `searching`; a searcher clears that, then looks at the rings. */
    if (ceasei_or(&ceasei_runtime.searching, 0, SEQ_CST) == 0) {
        ceasei_worker_wake_any();
    }
}

struct ceasei_task *ceasei_sched_next(struct ceasei_worker *w)
{
    return ceasei_queue_next(w);
}

void ceasei_sched_ready(struct ceasei_task *task)
{
    struct ceasei_worker *w = task->worker, *here = ceasei_worker_self;
    ceasei_trace(CEASEI_TRACE_WAKE, task, NULL);
    if (w == here) {
        ceasei_ready_push(w, task);
        return;
    }
    /* Once it is pushed the task may run and end, and somebody may stop the runtime: a plain thread
     * says that it still needs the worker. A worker is joined before anything goes. */
    if (!here) {
        ceasei_add(&ceasei_runtime.users, 1, RELAXED);
    }
    struct ceasei_task *first = ceasei_load(&w->inbox, RELAXED);
    do {
        task->next = first;
    } while (!ceasei_cas(&w->inbox, &first, task, SEQ_CST));
    if (!first) { /* else somebody has pushed before, and wakes */
        ceasei_worker_wake(w);
    }
    if (!here) {
        ceasei_sub(&ceasei_runtime.users, 1, RELEASE);
    }
}
