/* SPDX-License-Identifier: MIT
 *
 * ctx.h: what a context is made of, and who guards which part of it. Private to src/context.
 *
 * Two sizes of context. A plain one (value, source, without_cancel) is a struct cease_ctx: it
 * cannot end by itself and shows the state of its nearest ancestor that can. That one is a *node*:
 * struct ceasei_node. The first member of every context points at the state word of its node, so
 * the check is two loads whatever is in between, and the node of any context is found from that
 * pointer (node_of).
 *
 * The state word goes through
 *
 *     OPEN (0) <- LAZY    LAZY: has a deadline that no timer watches yet; OPEN once it is armed
 *       |          |
 *       v          v
 *     CLAIMED             one thread has won the right to end the node and writes the cause;
 *       |                 still reads as open
 *       v
 *     ENDING              the cause is published (release); reads as ended: whoever sees it and
 *       |                 hands the error on first makes sure that a done fd is readable
 *       v
 *     DONE                the fd, if any, is readable
 *
 * ENDING and DONE carry DEADLINE (which error), INHERITED (the cause is an ancestor's) and TEXT (its
 * text is to be freed). The
 * claim is a compare and swap; the claimer holds CLAIMED only for a few stores and at most one wait
 * for the node's own lock, and nobody waits for the end of CLAIMED while holding a lock.
 *
 * The registry. A node that can hear an ancestor end is linked into a list of that ancestor, its
 * *up*: the home list, or one of the stripes that a contended node grows. Each list has its own
 * lock, which guards the list, the links in it, and the count of *kids*: the children that were
 * derived from the node itself and are not freed yet. A child holds its parent by being counted
 * there (no locked operation of its own), or, when its parent is a plain context, a second parent or
 * had ended before it was born, by a reference.
 *
 * Invariants:
 *
 *  I1 A node is linked from birth until its subtree is marked. So what is not in the list of an
 *     ended node is done, and so is everything below it. Marking comes before leaving the list.
 *
 *  I2 A linked node has a reference, unless its last holder is on the way to take it off, which
 *     waits for the list's lock. So a walker that needs a reference tries to get one; what it does
 *     under the lock needs none. A node that ends with nothing below it stays linked, ended, until
 *     it is freed: its end and its freeing together then take that lock once.
 *
 *  I3 Derive, watch_add and done_fd read the state word under the home lock (a stripe's lock for a
 *     child) after taking it (seq_cst), and change the node only if it is open. A claimer changes
 *     the word (seq_cst), then looks whether the lock is held. One of them sees the other; so after
 *     the claim, and one passage through a lock that was held, nothing is added any more.
 *
 *  I4 A walker goes down with a reference to the node it stands on, and up by the parent pointers;
 *     merges that it entered through their second parent are chained through themselves. It never
 *     holds two locks, except that it takes a timer's lock under a list's, never the other way
 *     round.
 *
 *  I5 Walkers help each other: one that meets a node which another is ending walks its children
 *     too, instead of waiting, because whatever is unfinished is still linked (I1). Only a merge
 *     entered through its second parent is walked by one at a time; waiting for it goes strictly
 *     downwards, so there is no cycle.
 *
 * Lock order: list lock -> timer shard lock; under CEASE_DEBUG list lock -> debug.c's mutex -> that of the
 * threads. Everything else is taken alone. No lock is held while foreign code runs (callbacks, destructors,
 * sources, hooks).
 *
 * Freeing. refs counts references, one for all shares together, one for each second parent or plain
 * child, one for each walker. At zero the node's kids decide: with none it is freed; else it
 * becomes an *orphan*: each list that still counts kids holds one reference, given back by its last
 * kid.
 *
 * Fork. Every node knows the fork generation of its birth. In a forked child, the first lock that
 * is taken on an older node adopts it (ceasei_adopt): its locks are made anew and its lists, whose
 * forward pointers are consistent at every instant, are mended. An older node whose lock was never
 * needed there keeps its memory.
 */
#ifndef CEASE_CONTEXT_CTX_H
#define CEASE_CONTEXT_CTX_H

#include "base/atomic.h"
#include "base/futex.h"
#include "base/lock.h"
#include "base/panic.h"

#include <cease/context.h>
#include <cease/hooks.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum {
    WORD_LAZY = 1,
    WORD_CLAIMED = 2,
    WORD_ENDING = 4,
    WORD_DONE = 8,
    WORD_DEADLINE = 16,
    WORD_INHERITED = 32,
    WORD_FREED = 64, /* debug.c: a context that is gone */
    WORD_TEXT = 128, /* the cause's text is on the heap */
    WORD_ENDED = WORD_ENDING | WORD_DONE,
};

enum ceasei_kind {
    KIND_ROOT, /* background, todo, and the context of failed derivations: static, not counted */
    KIND_VALUE,
    KIND_SOURCE,
    KIND_DETACHED, /* without_cancel                                                      */
    KIND_CANCEL,   /* from here on: nodes                                                 */
    KIND_DEADLINE,
    KIND_MERGE,
    KIND_GRACE,
    KIND_FREED = 255, /* debug.c */
};

struct ceasei_values; /* value.c */

struct cease_ctx {
    uint32_t *state;   /* set at birth; ABI: first                                 */
    cease_ctx *parent; /* set at birth; held; NULL for roots                       */
    const struct ceasei_values *values; /* set at birth */
    cease_time deadline; /* set at birth: the earliest from here up                  */
    uint32_t refs;       /* atomic                                                   */
    uint8_t kind;        /* set at birth                                             */
    uint8_t generation;  /* atomic: fork generation, see fork.c                      */
    uint8_t shard;       /* set at birth: where its timer goes                       */
    uint8_t stripe;      /* set at birth: the list of `up` it is linked in; 0: home.
                            STRIPE_KID: that list counts it, else it holds a reference */
};
enum { STRIPE_KID = 128 };

/* A place in a list of children. Tagged pointers: bit 0 says that the link is a merge's second one.
 */
struct ceasei_link {
    uintptr_t next;   /* under the list's lock   */
    uintptr_t *pprev; /* under the list's lock; atomic: NULL (release) when not linked, for looks
                         without  */
};

/* A list of children with its lock: the home list of a node, or a stripe. */
struct ceasei_list {
    struct ceasei_lock lock;
    uint32_t kids;   /* under lock; atomic for looks. KIDS_ORPHAN: the list holds a reference while
                        kids > 0 */
    uintptr_t items; /* under lock; atomic for looks: tagged link, newest first; see ITEMS_RUN */
};
#define KIDS_ORPHAN (UINT32_C(1) << 31) /* as many kids would take 240 GiB */
enum { CEASEI_STRIPE_SIZE = 64 };       /* a stripe: a list in a cache line of its own */
#ifdef CEASE_INTERLEAVE
enum { CEASEI_STRIPES = 4 };
#else
enum { CEASEI_STRIPES = 64 };
#endif

/* What else `items` of the home list can be. Once its node has ended and nothing is linked any more:
 * the run of the callbacks that go on. And, from when a node gets what few nodes need until it is
 * freed: that extra, which then has the items. */
#define ITEMS_RUN   ((uintptr_t)2)
#define ITEMS_EXTRA ((uintptr_t)4)
#define ITEMS_TAGS  ((uintptr_t)7)

/* What few nodes need. Made under the home lock, freed with the node. */
struct ceasei_extra {
    uintptr_t items; /* under the home lock; atomic for looks: those of the home list */
    int fd;          /* atomic: the done fd; -1                                               */
    uint8_t fd_generation;       /* set with fd       */
    struct ceasei_list *stripes; /* atomic: released once, under the home lock */
};

enum { TIMER_NONE = UINT32_MAX };
/* Of references, and of shares: far from where a counter would begin anew, and free what is in use. */
#define COUNT_MAX (UINT32_C(1) << 31)

struct ceasei_run;
struct ceasei_thread;

struct ceasei_node {
    struct cease_ctx ctx;
    uint32_t word;           /* atomic: the state; see above       */
    uint32_t shares;         /* atomic                             */
    struct ceasei_link link; /* under the lock of the list of `up` */
    struct ceasei_list home;
    union {
        cease_cause
            own; /* place at birth; code and text of a deadline at birth; else by the claimer   */
        struct { /* laid over it                                                              */
            uint32_t timer_index; /* over `error`: under the shard's lock, until the claimer has
                                     taken the node off its timer                             */
            int code_;
            const cease_cause *inherited; /* with WORD_INHERITED: over `text` */
            const cease_place *place_;
            struct ceasei_node *next_run; /* over `at`: written by a claimer that inherits */
            cease_watch *watches; /* over `task`: under the home lock until the node claims a
                                     cause of its own, which moves them to its run            */
        } over;
    } cause;
};

_Static_assert(sizeof(cease_error) == 4 && offsetof(cease_cause, text) == 8 &&
                   offsetof(cease_cause, at) == 24 && offsetof(cease_cause, task) == 32,
               "the overlay matches the cause");
_Static_assert(sizeof(void *) != 8 || sizeof(struct ceasei_node) == 120, "as small as can be");

struct ceasei_merge {
    struct ceasei_node node;
    cease_ctx *other; /* set at birth; a reference                                            */
    struct ceasei_link link; /* under the lock of a list of other's node */
    uint32_t stripe;         /* set at birth: which                                           */
    uint32_t crossing; /* atomic: one walker has entered through `other`                       */
    struct ceasei_node *outer;        /* the crossing walker's: where it came from        */
    struct ceasei_merge *outer_cross; /* the crossing walker's: the merge it had crossed before */
};

#define container_of_(pointer, type, member) \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

static inline struct ceasei_node *node_of(const cease_ctx *ctx)
{
    return container_of_(ctx->state, struct ceasei_node, word);
}

static inline struct ceasei_node *as_node(cease_ctx *ctx)
{
    return container_of_(ctx, struct ceasei_node, ctx);
}

static inline struct ceasei_node *node_of_canceler(cease_canceler *c)
{
    return (struct ceasei_node *)(void *)c;
}

static inline bool is_node(const cease_ctx *ctx)
{
    return ctx->kind >= KIND_CANCEL;
}

/* It has a deadline of its own, not one from above. */
static inline bool has_timer(const struct ceasei_node *node)
{
    return node->ctx.kind == KIND_DEADLINE ||
           (node->ctx.kind == KIND_GRACE && node->ctx.deadline.ns != INT64_MAX);
}

/* background and todo: no registration, no timer, nothing to hear. */
static inline bool never_ends(const struct ceasei_node *node)
{
    return node->ctx.kind == KIND_ROOT && node->word == 0;
}

/* Without this the compiler would take what is declared here for replaceable, and go through tables. */
#pragma GCC visibility push(hidden)

/* ctx.c */
extern struct ceasei_node ceasei_background, ceasei_todo, ceasei_failed;
cease_ctx *ceasei_plain_new(cease_ctx *parent, enum ceasei_kind kind, size_t size,
                            const cease_place *place);
void ceasei_check_parent(const cease_ctx *parent, const cease_place *place, const char *what);
void ceasei_check(const void *pointer, const cease_place *place, const char *what);
void ceasei_ref(cease_ctx *ctx);
void ceasei_unref(cease_ctx *ctx);
void ceasei_release(cease_ctx *ctx); /* one reference; frees up the tree without recursion */

/* registry.c: lists of children */
uint32_t ceasei_choose_stripe(const struct ceasei_node *up);
struct ceasei_list *ceasei_leave_contended(struct ceasei_node *up, bool long_,
                                           uint32_t *ret_stripe);
/* With the lock of one of up's lists held, and up's state word just read: whether it is open. Waits
 * out a claim, without the lock. */
bool ceasei_is_open(struct ceasei_node *up, struct ceasei_list *list, uint32_t word);
bool ceasei_register_other(struct ceasei_node *up, struct ceasei_merge *merge);
void ceasei_unlink(struct ceasei_node *node); /* from its up, and a merge from both             */
bool ceasei_unkid(struct ceasei_node *node);  /* its parent counts it no more; true: the parent
                                                is an orphan, and the caller drops a reference  */
struct ceasei_extra *ceasei_extra_new(void);
/* Under the home lock: gives *extra to the node, and it the items, unless it has one already. */
void ceasei_extra_install(struct ceasei_node *node, struct ceasei_extra **extra);

/* end.c: claiming, marking, walking, callbacks */
struct ceasei_run {                   /* one call that ends contexts: on its stack, or a crowd's */
    struct ceasei_node *first, *last; /* nodes with callbacks to run, in order; referenced */
    struct ceasei_node *root;
    struct ceasei_merge *cross;    /* innermost merge entered through its second parent          */
    cease_watch *root_watches;     /* under the root's home lock                                 */
    cease_watch *current;          /* under the home lock of the node whose callbacks run        */
    struct ceasei_thread *thread;  /* whose stack this is                                        */
    struct ceasei_waiter *waiters; /* under that lock: synchronous removals of `current`         */
};
struct ceasei_waiter { /* on the stack of a synchronous removal */
    cease_parker parker;
    struct ceasei_waiter *next;
};
/* What an ending says. */
struct ceasei_reason {
    cease_error error;
    int code;                 /* 0, for a deadline: as laid down at birth */
    const char *text;         /* NULL: the usual was laid down at birth  */
    bool text_owned;          /* on the heap: consumed              */
    const cease_place *place; /* NULL: where the context was made   */
};
/* Ends the node unless it has ended; true when this call did. The caller keeps the node alive. */
bool ceasei_end(struct ceasei_node *node, const struct ceasei_reason *reason);
void ceasei_end_by_deadline(struct ceasei_node *node);
const cease_cause *ceasei_cause(const struct ceasei_node *node); /* of an ended node */
void ceasei_inherit(struct ceasei_node *node, const struct ceasei_node *from); /* no children yet */
uint32_t ceasei_settled_word(const struct ceasei_node *node); /* waits while CLAIMED */

/* A node that nobody else knows any more. */
static inline void ceasei_free_text(struct ceasei_node *node)
{
    if (CEASE_UNLIKELY((node->word & WORD_TEXT) != 0))
        free((char *)node->cause.own.text);
}

/* watch.c */
#define WATCH_NONE    0u
#define WATCH_LINKED  1u
#define WATCH_ENTERED 2u                  /* fn has been or is being called */
#define WATCH_NEVER   3u                  /* on a context that never ends   */
void ceasei_watch_unlink(cease_watch *w); /* under the home lock */
void ceasei_call_watch(cease_watch_fn *fn, void *arg, const cease_place *place);

/* value.c */
extern const struct ceasei_values ceasei_no_values;
size_t ceasei_values_deinit(cease_ctx *ctx); /* destroys what it has; returns the size */
const char *ceasei_value_name(const cease_ctx *ctx);

/* timer.c */
unsigned ceasei_timer_shard(void);
void ceasei_timer_arm(struct ceasei_node *node);    /* LAZY -> OPEN; may end the node         */
void ceasei_timer_disarm(struct ceasei_node *node); /* by the claimer, when it was not LAZY    */
void ceasei_timers_fork(int phase);
void ceasei_timer_stop_driver(void);
void ceasei_timer_take_over(void); /* after other hooks were installed */

/* fd.c */
void ceasei_fd_signal(struct ceasei_node *node); /* makes the done fd readable, if there is one */
void ceasei_extra_free(struct ceasei_node *node);

/* after.c */
void ceasei_after_fork(int phase);
void ceasei_after_stop_helpers(void);

/* hooks.c */
extern const cease_hooks *ceasei_hooks; /* atomic */
extern cease_end_fn *ceasei_on_end;     /* atomic */
/* A few ns instead of 20, up to a tick behind: when something happened, never when something is
 * due. */
static inline cease_time ceasei_coarse_now(void)
{
    const cease_hooks *hooks = ceasei_load(&ceasei_hooks, ACQUIRE);
    if (CEASE_UNLIKELY(hooks->clock != NULL))
        return hooks->clock();
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (cease_time){(int64_t)now.tv_sec * 1000000000 + now.tv_nsec};
}

enum { CEASEI_TICK_NS = 20 * 1000 * 1000 }; /* more than the coarse clock is ever behind */

/* False: it certainly has not. Saves the reading of the exact clock for what is far away. */
static inline bool ceasei_may_have_passed(cease_time deadline, cease_time coarse_now)
{
    return deadline.ns <= cease_time_add(coarse_now, cease_ns(CEASEI_TICK_NS)).ns;
}

static inline uint64_t ceasei_task_id(void)
{
    const cease_hooks *hooks = ceasei_load(&ceasei_hooks, ACQUIRE);
    return hooks->task_id != NULL ? hooks->task_id() : 0;
}

/* fork.c: fork generations */
enum { FORK_PREPARE, FORK_PARENT, FORK_CHILD };
extern uint8_t
    ceasei_generation; /* written in a forked child only, before it has a second thread */
void ceasei_adopt(struct ceasei_node *node);
static inline bool ceasei_is_older(const cease_ctx *ctx)
{
    return CEASE_UNLIKELY(ceasei_load(&ctx->generation, ACQUIRE) != ceasei_generation);
}

/* debug.c: CEASE_DEBUG=1 */
#ifdef CEASE_INTERLEAVE
#define ceasei_debug false
#else
extern bool ceasei_debug; /* set before main */
#endif
void *ceasei_debug_alloc(size_t size);
void ceasei_debug_free(void *ctx);
void ceasei_debug_born(cease_ctx *ctx, const cease_place *place);
void ceasei_debug_alive(const cease_ctx *ctx, const cease_place *place, const char *what);
void ceasei_debug_wait(struct ceasei_thread *self, struct ceasei_thread *other);
void ceasei_debug_thread_gone(const struct ceasei_thread *thread);
const cease_place *ceasei_debug_place(const cease_ctx *ctx); /* where it was made */
void ceasei_debug_trim(void);
void ceasei_debug_fork(int phase);

/* A call of the user's with a context: under CEASE_DEBUG it must not be gone. */
#define CEASEI_ALIVE(ctx, place, what)                  \
    do {                                                \
        if (CEASE_UNLIKELY(ceasei_debug))               \
            ceasei_debug_alive((ctx), (place), (what)); \
    } while (0)

#if defined(CEASE_INTERLEAVE) || defined(__SANITIZE_ADDRESS__)
#define CEASEI_CACHES 0 /* so that use after free is seen */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CEASEI_CACHES 0
#endif
#endif
#ifndef CEASEI_CACHES
#define CEASEI_CACHES 1
#endif

/* thread.c: what each thread keeps for itself */
enum { CACHE_NODES = 64, CEASEI_BATCH = CACHE_NODES / 2 };
struct ceasei_thread {
    void *nodes[CACHE_NODES]; /* freed nodes, for the next derivations */
    uint32_t node_count;
    uint32_t number;      /* set at birth: counts up, chooses the stripe                        */
    uint64_t made, freed; /* atomic: written by the thread, read by cease_live_count            */
    const cease_place *callback; /* where the running callback was registered ...     */
    bool callback_is_scope;      /* ... or the scope began in which nothing may park (nopark.c)  */
    const struct ceasei_node *contended; /* whose lock it found held last ... */
    uint32_t contended_count; /* ... and how many times in a row                         */
    uint32_t
        node_limit; /* how many nodes it keeps: none for the fallback, and under CEASE_DEBUG    */
    bool shared;    /* the fallback when a thread's own cannot be allocated                     */
    struct ceasei_thread
        *waits_for; /* under debug.c's mutex                                        */
    struct ceasei_thread *next, **pprev; /* under the list's lock (thread.c) */
};
#ifdef CEASE_INTERLEAVE
struct ceasei_thread *ceasei_thread_self(void);
#else
extern __thread struct ceasei_thread *ceasei_thread_current
    __attribute__((tls_model("initial-exec")));
struct ceasei_thread *ceasei_thread_new(void);
static inline struct ceasei_thread *ceasei_thread_self(void)
{
    struct ceasei_thread *self = ceasei_thread_current;
    return CEASE_LIKELY(self != NULL) ? self : ceasei_thread_new();
}
#endif
void ceasei_thread_exit(struct ceasei_thread *self); /* gives back what it keeps */
/* Memory of contexts: counted; blocks of up to a node's size come from the thread's cache. */
void *ceasei_alloc_slow(struct ceasei_thread *self, size_t size);
void ceasei_free_slow(struct ceasei_thread *self, void *ctx, size_t size);
void ceasei_threads_forget(
    const struct ceasei_thread *gone); /* under debug.c's mutex: nobody waits for it */
void ceasei_threads_fork(int phase);

/* pool.c: blocks of a node's size. A new one may come with others, for the cache of the thread. */
void *ceasei_block_new(struct ceasei_thread *self);
void ceasei_blocks_free(void **blocks, size_t count);
void ceasei_pool_fork(int phase);

/* Starts a thread of the library: small, and deaf to all asynchronous signals. */
bool ceasei_start_thread(pthread_t *ret_thread, void *(*fn)(void *), void *arg);

static inline void ceasei_count(uint64_t *counter)
{
    ceasei_store(counter, *counter + 1, RELAXED); /* only its thread writes it */
}

static inline void *ceasei_alloc(size_t size)
{
    struct ceasei_thread *self = ceasei_thread_self();
    if (CEASE_UNLIKELY(!CEASEI_CACHES || size > sizeof(struct ceasei_node) ||
                       self->node_count == 0))
        return ceasei_alloc_slow(self, size);
    ceasei_count(&self->made);
    return self->nodes[--self->node_count];
}

/* A block of a node's size that is had without a call; NULL: ask ceasei_alloc(). Never under CEASE_DEBUG. */
static inline void *ceasei_alloc_at_hand(void)
{
#if CEASEI_CACHES
    struct ceasei_thread *self = ceasei_thread_current;
    if (CEASE_LIKELY(self != NULL && self->node_count > 0)) {
        ceasei_count(&self->made);
        return self->nodes[--self->node_count];
    }
#endif
    return NULL;
}

/* Gives such a block back, if that takes no call. */
static inline bool ceasei_free_at_hand(void *ctx)
{
#if CEASEI_CACHES
    struct ceasei_thread *self = ceasei_thread_current;
    if (CEASE_LIKELY(self != NULL && self->node_count < self->node_limit)) {
        ceasei_count(&self->freed);
        self->nodes[self->node_count++] = ctx;
        return true;
    }
#endif
    (void)ctx;
    return false;
}

static inline void ceasei_free(void *ctx, size_t size)
{
    struct ceasei_thread *self = ceasei_thread_self();
    if (CEASE_UNLIKELY(!CEASEI_CACHES || size > sizeof(struct ceasei_node) ||
                       self->node_count >= self->node_limit)) {
        ceasei_free_slow(self, ctx, size);
        return;
    }
    ceasei_count(&self->freed);
    self->nodes[self->node_count++] = ctx;
}

#pragma GCC visibility pop

#endif
