/* SPDX-License-Identifier: MIT
 *
 * timer.c: the deadlines that somebody could notice.
 *
 * A context with a deadline of its own is born LAZY: nothing watches its deadline. The first look
 * at it, watch on it, derivation from it or fd of it arms it: from then on it is in the heap of a
 * shard, and the shard's driver ends it. What hooks.h calls shard 0 is driven by a thread of this file,
 * which starts with the first deadline that is armed there; the others by the workers of a runtime.
 *
 * Shard 0 is several: one for each of 64 threads, so that threads that look at their deadlines do not
 * meet at one lock. (64 that did took from 0.05 s to more than a minute for 320,000 contexts, on two
 * busy processors: a fair lock stands still while the thread whose turn it is does not run.)
 *
 * The shard's lock guards its heap and the timer_index of the nodes in it. A node is armed by
 * turning LAZY into OPEN and pushing it under that lock; it is disarmed by whoever has claimed it,
 * before the claim is published, so a node in a heap is alive. The driver takes a reference under
 * the lock before it ends what is due without it.
 *
 * The heap is 4-ary: entries hold the deadline, so that sifting does not touch the nodes but to
 * tell them where they are. It grows by doubling; when there is no memory for that, the context
 * ends at once, with the code CEASE_ENOMEM: late is worse than early and told.
 */
#include "context/ctx.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>

enum { ARITY = 4, CAPACITY_MIN = 16, DUE_MAX = 64 };

#ifdef CEASE_INTERLEAVE
enum { OWN_SHARDS = 1 };
#else
enum { OWN_SHARDS = 64 };
#endif
/* Those of hooks.h, and behind them the core's own but the first. */
enum { SHARDS = CEASE_TIMER_SHARDS + OWN_SHARDS - 1 };
_Static_assert(SHARDS <= 256, "struct cease_ctx has a byte for the number");

struct entry {
    int64_t when_ns;
    struct ceasei_node *node;
};

static struct shard {
    struct ceasei_lock lock;
    uint32_t count, capacity;                  /* under lock */
    struct entry *heap;                        /* under lock */
    int64_t next_ns;                           /* atomic: written under lock; 0: empty */
} __attribute__((aligned(64))) shards[SHARDS]; /* a cache line each */

static bool is_own(unsigned shard)
{
    return shard == 0 || shard >= CEASE_TIMER_SHARDS;
}

/* INT64_MAX: it is empty. */
static int64_t next_of(unsigned shard)
{
    int64_t next = ceasei_load(&shards[shard].next_ns, SEQ_CST);
    return next == 0 ? INT64_MAX : next;
}

/* ----- the heap: under the shard's lock ----- */

static void put(struct shard *shard, uint32_t index, struct entry entry)
{
    shard->heap[index] = entry;
    entry.node->cause.over.timer_index = index;
}

static void sift_up(struct shard *shard, uint32_t index, struct entry entry)
{
    while (index > 0) {
        uint32_t above = (index - 1) / ARITY;
        if (shard->heap[above].when_ns <= entry.when_ns)
            break;
        put(shard, index, shard->heap[above]);
        index = above;
    }
    put(shard, index, entry);
}

static void sift_down(struct shard *shard, uint32_t index, struct entry entry)
{
    for (;;) {
        uint32_t first = index * ARITY + 1, least = first;
        if (first >= shard->count)
            break;
        for (uint32_t i = first + 1; i < shard->count && i < first + ARITY; i++)
            if (shard->heap[i].when_ns < shard->heap[least].when_ns)
                least = i;
        if (shard->heap[least].when_ns >= entry.when_ns)
            break;
        put(shard, index, shard->heap[least]);
        index = least;
    }
    put(shard, index, entry);
}

static void publish_next(struct shard *shard)
{
    /* +1: a zeroed shard is an empty one. */
    int64_t next = shard->count > 0 ? shard->heap[0].when_ns : INT64_MAX;
    ceasei_store(&shard->next_ns, next == INT64_MAX ? 0 : next == 0 ? 1 : next, SEQ_CST);
}

static void heap_remove(struct shard *shard, uint32_t index)
{
    struct entry last = shard->heap[--shard->count];
    shard->heap[index].node->cause.over.timer_index = TIMER_NONE;
    if (index < shard->count) {
        if (index > 0 && last.when_ns < shard->heap[(index - 1) / ARITY].when_ns)
            sift_up(shard, index, last);
        else
            sift_down(shard, index, last);
    }
    publish_next(shard);
}

/* Leaves the lock to grow, and takes it again. False: no memory. */
static bool make_room(struct shard *shard)
{
    while (shard->count == shard->capacity) {
        uint32_t capacity = shard->capacity > 0 ? shard->capacity * 2 : CAPACITY_MIN;
        ceasei_unlock(&shard->lock);
        struct entry *bigger = malloc(capacity * sizeof *bigger), *old = bigger;
        ceasei_lock(&shard->lock);
        if (shard->capacity < capacity && bigger != NULL) {
            for (uint32_t i = 0; i < shard->count; i++)
                bigger[i] = shard->heap[i];
            old = shard->heap;
            shard->heap = bigger;
            shard->capacity = capacity;
        }
        bool failed = bigger == NULL && shard->count == shard->capacity;
        ceasei_unlock(&shard->lock);
        free(old);
        ceasei_lock(&shard->lock);
        if (failed && shard->count == shard->capacity)
            return false;
    }
    return true;
}

/* ----- what is due ----- */

/* Takes what is due, with a reference each. */
static size_t take_due(struct shard *shard, cease_time now, struct ceasei_node **ret_due)
{
    size_t count = 0;
    ceasei_lock(&shard->lock);
    while (count < DUE_MAX && shard->count > 0 && shard->heap[0].when_ns <= now.ns) {
        struct ceasei_node *node = shard->heap[0].node;
        if (!CEASE_SEED_BUG(BUG_FIRE))
            ceasei_ref(&node->ctx);
        heap_remove(shard, 0);
        ret_due[count++] = node;
    }
    ceasei_unlock(&shard->lock);
    return count;
}

static size_t run_shard(unsigned shard, cease_time now)
{
    struct ceasei_node *due[DUE_MAX];
    size_t total = 0, count;
    do {
        count = take_due(&shards[shard], now, due);
        for (size_t i = 0; i < count; i++) {
            ceasei_end_by_deadline(due[i]);
            if (!CEASE_SEED_BUG(BUG_FIRE))
                ceasei_release(&due[i]->ctx);
        }
        total += count;
    } while (count == DUE_MAX);
    return total;
}

cease_time cease_timers_next(unsigned shard)
{
    ceasei_assert(shard < CEASE_TIMER_SHARDS);
    int64_t next = next_of(shard);
    for (unsigned i = CEASE_TIMER_SHARDS; shard == 0 && i < SHARDS; i++)
        if (next_of(i) < next)
            next = next_of(i);
    return (cease_time){next};
}

size_t cease_timers_run(unsigned shard, cease_time now)
{
    ceasei_assert(shard < CEASE_TIMER_SHARDS);
    size_t total = run_shard(shard, now);
    for (unsigned i = CEASE_TIMER_SHARDS; shard == 0 && i < SHARDS; i++)
        total += run_shard(i, now);
    return total;
}

/* ----- the core's own driver ----- */

#ifndef CEASE_INTERLEAVE
static struct {
    pthread_mutex_t mutex;
    bool running;     /* under mutex                                             */
    pthread_t thread; /* under mutex                                             */
    uint32_t changed; /* atomic: a futex; counts kicks                           */
    uint32_t stop;    /* atomic                                                  */
    int64_t
        told_ns; /* atomic: until when the thread sleeps; INT64_MAX: it is awake, or nobody knows */
    uint32_t ready; /* atomic: the thread runs; saves the mutex on every arm   */
} driver = {.mutex = PTHREAD_MUTEX_INITIALIZER, .told_ns = INT64_MAX};

/* The earliest of all that the thread drives; INT64_MAX: none. With `run` those that are due at `now` are
 * ended first. Without a runtime every shard is the thread's: one that has stopped may leave deadlines in
 * those of its workers. */
static int64_t earliest(bool run, int64_t now)
{
    bool all = cease_hooks_installed()->timer_kick == NULL;
    int64_t least = INT64_MAX;
    for (unsigned i = 0; i < SHARDS; i++) {
        if (!all && !is_own(i))
            continue;
        if (run && next_of(i) <= now)
            (void)run_shard(i, (cease_time){now});
        int64_t next = next_of(i); /* pairs with kick() */
        if (next < least)
            least = next;
    }
    return least;
}

static void *drive(void *unused)
{
    (void)unused;
    prctl(PR_SET_NAME, "cease-timer");
    prctl(PR_SET_TIMERSLACK, 1); /* the default of 50 us is most of how late a deadline would be */
    while (ceasei_load(&driver.stop, ACQUIRE) == 0) {
        uint32_t seen = ceasei_load(&driver.changed, SEQ_CST);
        /* From here on whoever adds a deadline kicks; what was added before is seen below. */
        ceasei_store(&driver.told_ns, INT64_MAX, SEQ_CST);
        int64_t next = earliest(true, cease_now().ns);
        ceasei_store(&driver.told_ns, next, SEQ_CST);
        if (next == INT64_MAX)
            ceasei_futex_wait(&driver.changed, seen);
        else
            ceasei_futex_wait_until(&driver.changed, seen, next);
    }
    return NULL;
}

/* A deadline has come, at `when_ns`, that may be before what the thread sleeps for. False: no thread to be had. */
static bool kick_own(int64_t when_ns)
{
    if (when_ns >= ceasei_load(&driver.told_ns, SEQ_CST))
        return true; /* it wakes before, and looks again */
    ceasei_add(&driver.changed, 1, SEQ_CST);
    if (CEASE_LIKELY(ceasei_load(&driver.ready, ACQUIRE) != 0)) {
        ceasei_futex_wake(&driver.changed, 1);
        return true;
    }
    pthread_mutex_lock(&driver.mutex);
    /* not taken: running: another thread's first deadline in this instant */
    if (!driver.running) {
        driver.running = ceasei_start_thread(&driver.thread, drive, NULL);
        ceasei_store(&driver.ready, driver.running, RELEASE);
    }
    bool ok = driver.running;
    pthread_mutex_unlock(&driver.mutex);
    /* Another may have made the thread between the look at `ready` and the lock: it may sleep by now. */
    ceasei_futex_wake(&driver.changed, 1);
    return ok;
}

/* Other hooks are installed: what a runtime drove may be the thread's now. */
void ceasei_timer_take_over(void)
{
    int64_t next = earliest(false, 0);
    if (next != INT64_MAX)
        (void)kick_own(next);
}

void ceasei_timer_stop_driver(void)
{
    pthread_mutex_lock(&driver.mutex);
    if (driver.running) {
        ceasei_store(&driver.ready, 0, RELEASE);
        ceasei_store(&driver.stop, 1, SEQ_CST);
        ceasei_add(&driver.changed, 1, SEQ_CST);
        ceasei_futex_wake(&driver.changed, 1);
        pthread_join(driver.thread, NULL);
        ceasei_store(&driver.stop, 0, SEQ_CST);
        ceasei_store(&driver.told_ns, INT64_MAX, SEQ_CST);
        driver.running = false;
    }
    pthread_mutex_unlock(&driver.mutex);
    for (unsigned i = 0; i < SHARDS; i++) {
        struct entry *heap = NULL;
        ceasei_lock(&shards[i].lock);
        if (shards[i].count == 0) {
            heap = shards[i].heap;
            shards[i].heap = NULL;
            shards[i].capacity = 0;
        }
        ceasei_unlock(&shards[i].lock);
        free(heap);
    }
    ceasei_timer_take_over(); /* somebody may have a deadline after all */
}

static void reset_driver(void)
{
    driver.mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    driver.running = false;
    driver.stop = 0;
    driver.ready = 0;
    driver.told_ns = INT64_MAX;
}
#else
static bool kick_own(int64_t when_ns)
{
    (void)when_ns;
    return true; /* no driver: a model's thread runs what is due */
}
static void reset_driver(void) {}
#endif

static bool kick(unsigned shard, int64_t when_ns)
{
    /* Either the hooks that are read here are the latest, or who installed them sees the deadline. */
    const cease_hooks *hooks = ceasei_load(&ceasei_hooks, SEQ_CST);
    if (is_own(shard) || hooks->timer_kick == NULL)
        return kick_own(when_ns);
    hooks->timer_kick(shard);
    return true;
}

unsigned ceasei_timer_shard(void)
{
    const cease_hooks *hooks = ceasei_load(&ceasei_hooks, ACQUIRE);
    unsigned shard = hooks->timer_shard != NULL ? hooks->timer_shard() : 0;
    if (shard > 0 && shard < CEASE_TIMER_SHARDS)
        return shard;
    unsigned own = ceasei_thread_self()->number % OWN_SHARDS;
    return own == 0 ? 0 : CEASE_TIMER_SHARDS + own - 1;
}

/* ----- arming ----- */

void ceasei_timer_arm(struct ceasei_node *node)
{
    struct shard *shard = &shards[node->ctx.shard];
    int64_t when_ns = node->ctx.deadline.ns;
    if (ceasei_may_have_passed(node->ctx.deadline, ceasei_coarse_now()) &&
        when_ns <= cease_now().ns) {
        ceasei_end_by_deadline(node);
        return;
    }
    ceasei_lock(&shard->lock);
    bool room = make_room(shard);
    uint32_t lazy = WORD_LAZY;
    bool first = false, open = room && ceasei_cas(&node->word, &lazy, 0, SEQ_CST);
    if (CEASE_SEED_BUG(BUG_LAZY))
        open = room;
    if (open) {
        first = shard->count == 0 || when_ns < shard->heap[0].when_ns;
        sift_up(shard, shard->count++, (struct entry){when_ns, node});
        publish_next(shard);
    }
    ceasei_unlock(&shard->lock);
    if (CEASE_UNLIKELY(!room))
        ceasei_end(node, &(struct ceasei_reason){.error = CEASE_ECANCELED,
                                                 .code = CEASE_ENOMEM,
                                                 .text = "out of memory for its deadline"});
    if (first && !kick(node->ctx.shard, when_ns))
        ceasei_end(node, &(struct ceasei_reason){.error = CEASE_ECANCELED,
                                                 .code = CEASE_EAGAIN,
                                                 .text = "no thread for its deadline"});
}

void ceasei_timer_disarm(struct ceasei_node *node)
{
    struct shard *shard = &shards[node->ctx.shard];
    ceasei_lock(&shard->lock);
    if (node->cause.over.timer_index != TIMER_NONE)
        heap_remove(shard, node->cause.over.timer_index);
    ceasei_unlock(&shard->lock);
}

/* ----- fork ----- */

/* The child has none of the threads that drove the shards: what was armed becomes lazy again, so
 * that the next look arms it there. */
static void disarm_all(struct shard *shard)
{
    for (uint32_t i = 0; i < shard->count; i++) {
        struct ceasei_node *node = shard->heap[i].node;
        node->cause.over.timer_index = TIMER_NONE;
        node->ctx.shard = 0;
        if (node->word == 0)
            node->word = WORD_LAZY;
    }
    shard->count = 0;
    publish_next(shard);
}

void ceasei_timers_fork(int phase)
{
    for (unsigned i = 0; i < SHARDS; i++) {
        if (phase == FORK_PREPARE) {
            ceasei_lock(&shards[i].lock);
            continue;
        }
        if (phase == FORK_PARENT) {
            ceasei_unlock(&shards[i].lock);
        } else {
            disarm_all(&shards[i]);
            shards[i].lock = (struct ceasei_lock){0}; /* who waited for it is not here */
        }
    }
    if (phase == FORK_CHILD)
        reset_driver();
}
