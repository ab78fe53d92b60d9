/* SPDX-License-Identifier: MIT
 *
 * end.c: how a context ends, and everything below it.
 *
 * In three phases, on the stack of the call that ends it:
 *   1. Claim the root, write its cause, publish.
 *   2. Walk: mark everything below. No foreign code runs and no lock is held for more than
 * CHUNK_MAX nodes.
 *   3. Callbacks: of the root, then of the nodes marked in phase 2, in the order in which they were
 * marked. Where more than CROWD_MIN of one node are left, and all of them only wake somebody who waits
 * (cease_watch.waits_), a task of the runtime goes on with them, a part at a time: those who have been
 * woken run while their stacks are still in a cache, and the call returns.
 *
 * The walk is a depth-first search without a stack: it stands on one node, to which it holds a
 * reference, takes the first child off that node's lists, and goes back by the parent pointer.
 * Children that have nothing below them, no watches and no fd are marked right in the list, many
 * per hold of its lock; the others are entered. A node leaves its parent's list when its own lists
 * are empty, so what another thread finds missing is done (I1), and what it finds there it can help
 * with (I5).
 *
 * Deliberately not here: freeing what was cancelled. Ending marks; memory goes when its owners let
 * go.
 */
#include "context/list.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { CHUNK_MAX = 256 }; /* nodes that a list's lock is held for */
#ifdef CEASE_INTERLEAVE
enum { CROWD_MIN = 1, CROWD_PART = 1, CROWD_AHEAD = 1 };
#else
enum {
    CROWD_MIN = 512,  /* callbacks of one context that its end runs itself; */
    CROWD_PART = 128, /* more, if all are of waiters, are left to a task, for so many at a time */
    CROWD_AHEAD = 8,  /* how far ahead memory is fetched */
};
#endif

static const char *usual_text(cease_error error)
{
    return error == CEASE_EDEADLINE ? "context deadline exceeded" : "context canceled";
}

/* ----- the state word ----- */

/* Waits until a claim has become an end. The caller has adopted what is older than the fork: its
 * claimer would not be in this process. */
uint32_t ceasei_settled_word(const struct ceasei_node *node)
{
    for (unsigned round = 0;;) {
        uint32_t word = ceasei_load(&node->word, ACQUIRE);
        if ((word & WORD_CLAIMED) == 0)
            return word;
        ceasei_backoff(&round);
    }
}

/* Wins the right to end the node, or not. The winner has taken it off its timer. */
static bool claim(struct ceasei_node *node)
{
    if (ceasei_is_older(&node->ctx) && !CEASE_SEED_BUG(BUG_FORK))
        ceasei_adopt(node); /* so that nobody takes this claim for one that the fork cut off */
    uint32_t word = ceasei_load(&node->word, RELAXED);
    do {
        if (word & ~(uint32_t)WORD_LAZY)
            return false;
    } while (!ceasei_cas(&node->word, &word, WORD_CLAIMED, SEQ_CST)); /* I3 */
    if (has_timer(node) && word == 0)
        ceasei_timer_disarm(node);
    return true;
}

/* A deadline that nobody could notice is not armed (LAZY). When it has passed all the same, it came
 * before whatever ends the node now. */
static bool may_have_passed(const struct ceasei_node *node, cease_time coarse_now)
{
    return (ceasei_load(&node->word, RELAXED) & WORD_LAZY) != 0 &&
           ceasei_may_have_passed(node->ctx.deadline, coarse_now);
}

static void end_if_passed(struct ceasei_node *node, cease_time coarse_now)
{
    if (CEASE_UNLIKELY(may_have_passed(node, coarse_now)) &&
        node->ctx.deadline.ns <= cease_now().ns)
        ceasei_end_by_deadline(node);
}

const cease_cause *ceasei_cause(const struct ceasei_node *node)
{
    bool inherited = (ceasei_load(&node->word, RELAXED) & WORD_INHERITED) != 0;
    return inherited ? node->cause.over.inherited : &node->cause.own;
}

static uint32_t inherited_bits(const struct ceasei_node *from)
{
    return WORD_INHERITED | (ceasei_load(&from->word, RELAXED) & WORD_DEADLINE);
}

/* Publishes the end: whoever sees the error sees the cause, and an fd that is or will be readable.
 */
static void publish(struct ceasei_node *node, uint32_t bits)
{
    ceasei_store(&node->word, (CEASE_SEED_BUG(BUG_DONE_FD) ? WORD_DONE : WORD_ENDING) | bits,
                 SEQ_CST);
    ceasei_fd_signal(node);
    ceasei_store(&node->word, WORD_DONE | bits, RELEASE);
}

void ceasei_inherit(struct ceasei_node *node, const struct ceasei_node *from)
{
    (void)ceasei_settled_word(from);
    if (!claim(node))
        return;
    node->cause.over.inherited = ceasei_cause(from);
    ceasei_store(&node->word, WORD_DONE | inherited_bits(from), RELEASE);
}

/* ----- the walk ----- */

/* What a walker found in a list: a child to enter, with a reference to it. */
struct step {
    struct ceasei_node *child; /* NULL: nothing left                                       */
    bool claimed;              /* this walker holds the claim on it                         */
    bool crossed;              /* it was reached through its second parent                  */
};

/* A reference to a linked node, unless it has none left (I2). */
static bool try_ref(cease_ctx *ctx)
{
    uint32_t refs = ceasei_load(&ctx->refs, RELAXED);
    do {
        if (refs == 0)
            return false;
    } while (!ceasei_cas(&ctx->refs, &refs, refs + 1, ACQUIRE));
    return true;
}

/* Marks a leaf with the claim on it. Done first, then off the list: who finds the list empty relies
 * on it (I1). Its owner may see it done and be about to free it, but waits for the list's lock. */
static void mark_claimed_leaf(struct ceasei_node *child, const struct ceasei_node *up)
{
    child->cause.over.inherited = ceasei_cause(up);
    ceasei_store(&child->word, WORD_DONE | inherited_bits(up), RELEASE);
    ceasei_list_remove(&child->link);
}

/* Tries to deal with a child where it stands, in the list whose lock is held, and to take it off;
 * it may be gone afterwards. False: it must be entered, and a reference has been taken. */
static bool mark_in_place(uintptr_t tagged, const struct ceasei_node *up, struct step *step)
{
    struct ceasei_node *child = ceasei_node_of_link(tagged);
    if (child->ctx.kind != KIND_MERGE && ceasei_is_quiet(child) &&
        !may_have_passed(child, ceasei_cause(up)->at)) {
        bool claimed = claim(child);
        if (claimed && ceasei_is_quiet(child)) {
            mark_claimed_leaf(child, up);
            return true;
        }
        if (!claimed && (ceasei_load(&child->word, ACQUIRE) & WORD_DONE) != 0) {
            ceasei_list_remove(&child->link); /* ended before, by its owner or another walker */
            return true;
        }
        step->claimed = claimed;
    }
    if (!try_ref(&child->ctx)) {
        ceasei_list_remove(ceasei_untag(tagged)); /* its last holder waits for this lock */
        return true;
    }
    step->child = child;
    step->crossed = (tagged & 1) != 0;
    return false;
}

/* One hold of one list's lock: marks leaves until there is something to enter, or the list is
 * empty, or the chunk is over. True: come again. */
static bool take_chunk(struct ceasei_node *up, struct ceasei_list *list, struct step *step)
{
    ceasei_node_lock(up, list);
    int left = CHUNK_MAX;
    uintptr_t *items = ceasei_items_of(list);
    while (*items != 0 && (*items & ITEMS_RUN) == 0 && left > 0) {
        left--;
        if (!mark_in_place(*items, up, step))
            break;
    }
    ceasei_unlock(&list->lock);
    return left == 0 && step->child == NULL;
}

static struct step take(struct ceasei_node *up)
{
    struct step step = {NULL, false, false};
    struct ceasei_list *list;
    for (uint32_t i = 0; step.child == NULL && i <= CEASEI_STRIPES; i++) {
        if ((list = ceasei_list_at(up, i)) == NULL)
            break;
        /* Up has ended: what is empty and not locked stays empty (I3). */
        if (!ceasei_lock_held(&list->lock) && ceasei_list_is_empty(list))
            continue;
        while (take_chunk(up, list, &step))
            continue;
    }
    return step;
}

static void enqueue(struct ceasei_run *run, struct ceasei_node *node)
{
    ceasei_ref(&node->ctx);
    node->cause.over.next_run = NULL;
    if (run->first == NULL)
        run->first = node;
    else
        run->last->cause.over.next_run = node;
    run->last = node;
}

/* Ends a child that is being entered, with the cause of `up`. */
static void mark(struct ceasei_run *run, struct ceasei_node *child, const struct ceasei_node *up,
                 bool claimed)
{
    if (!claimed)
        end_if_passed(child, ceasei_coarse_now());
    if (!claimed && !claim(child)) {
        if (ceasei_settled_word(child) & WORD_ENDING)
            ceasei_fd_signal(child);
        return;
    }
    ceasei_node_lock(child, &child->home); /* whoever was adding something has done so */
    bool watched = child->cause.over.watches != NULL;
    ceasei_unlock(&child->home.lock);
    child->cause.over.inherited = ceasei_cause(up);
    if (watched)
        enqueue(run, child);
    publish(child, inherited_bits(up));
}

/* Enters a merge through its second parent. False: somebody else was there, and has left again. */
static bool cross(struct ceasei_run *run, struct ceasei_node *from, struct ceasei_merge *merge)
{
    if (ceasei_is_older(&merge->node.ctx))
        ceasei_adopt(&merge->node); /* a walker that was in it at the fork is not in this process */
    bool alone = ceasei_swap(&merge->crossing, 1, ACQUIRE) == 0;
    if (CEASE_SEED_BUG(BUG_MERGE))
        alone = true;
    if (alone) {
        merge->outer = from;
        merge->outer_cross = run->cross;
        run->cross = merge;
        return true;
    }
    for (unsigned round = 0; ceasei_load(&merge->crossing, ACQUIRE) != 0;)
        ceasei_backoff(&round);
    return false;
}

/* The walker has finished `at`: off the lists with it, and back to where it came from. */
static struct ceasei_node *leave(struct ceasei_run *run, struct ceasei_node *at)
{
    struct ceasei_merge *crossed = NULL;
    struct ceasei_node *back = ceasei_up_of(at);
    if (run->cross != NULL && at == &run->cross->node) {
        crossed = run->cross;
        back = crossed->outer;
        run->cross = crossed->outer_cross;
    }
    ceasei_unlink(at);
    if (crossed != NULL)
        ceasei_store(&crossed->crossing, 0, RELEASE);
    ceasei_release(&at->ctx);
    return back;
}

static void walk(struct ceasei_run *run, struct ceasei_node *root)
{
    for (struct ceasei_node *at = root;;) {
        struct step step = take(at);
        if (step.child == NULL) {
            if (at == root)
                return;
            at = leave(run, at);
            continue;
        }
        if (step.crossed && !cross(run, at, container_of_(step.child, struct ceasei_merge, node))) {
            ceasei_release(&step.child->ctx);
            continue;
        }
        mark(run, step.child, at, step.claimed);
        at = step.child;
    }
}

/* ----- callbacks ----- */

/* Says whose run of the node's callbacks goes on; NULL: none. Under the home lock; a callback may have given the
 * node an extra since the last look. */
static inline void set_run(struct ceasei_node *node, const struct ceasei_run *run)
{
    uintptr_t item = run != NULL ? (uintptr_t)run | ITEMS_RUN : 0;
    ceasei_store(ceasei_items_of(&node->home), item, RELAXED);
}

/* Takes a watch off and runs its callback. With the home lock held, which is given back meanwhile. */
static inline void run_callback(struct ceasei_run *run, struct ceasei_node *node, cease_watch *w)
{
    struct ceasei_list *home = &node->home;
    cease_watch_fn *fn = w->fn_;
    void *arg = w->arg_;
    const cease_place *place = w->place_;
    ceasei_watch_unlink(w);
    ceasei_store(&w->state_, WATCH_ENTERED, RELEASE);
    run->current = w; /* an address to compare: *w is not touched again */
    ceasei_unlock(&home->lock);
    ceasei_call_watch(fn, arg, place);
    ceasei_node_lock(node, home);
    struct ceasei_waiter *waiter = run->waiters;
    run->current = NULL;
    run->waiters = NULL;
    if (CEASE_UNLIKELY(waiter != NULL)) {
        ceasei_unlock(&home->lock);
        for (struct ceasei_waiter *next; waiter != NULL; waiter = next) {
            next = waiter->next;
            cease_wake(&waiter->parker);
        }
        ceasei_node_lock(node, home);
    }
}

/* The count of a node's home list holds the node, as a kid would. Under the home lock; true: the list held the
 * last reference, and the caller drops it. */
static inline void take_count(struct ceasei_node *node)
{
    ceasei_store(&node->home.kids, node->home.kids + 1, RELAXED);
}

static inline bool give_count(struct ceasei_node *node)
{
    uint32_t kids = node->home.kids - 1;
    ceasei_store(&node->home.kids, kids, RELAXED);
    return kids == KIDS_ORPHAN;
}

/* The watches of a node that are left to a task of the runtime, with a count on the node. */
struct crowd {
    struct ceasei_run run; /* its root: the node */
    uintptr_t trail[CROWD_AHEAD];
    uint32_t count;
};

/* Those who wait are often tasks that were started alike, as far from one another as their stacks, each in a
 * page that is in no cache. So the one that is CROWD_AHEAD further on is fetched from where it is if the
 * distance stays what it was. Nothing is read there; a guess that is wrong costs some lines of a cache. */
static inline void fetch_ahead(struct crowd *crowd, const cease_watch *w)
{
    enum { LINE = 64, BELOW = 5, ABOVE = 6 }; /* frames of the wait; the task at the stack's top */
    uintptr_t at = (uintptr_t)w, *before = &crowd->trail[crowd->count++ % CROWD_AHEAD];
    uintptr_t guess = at + (at - *before), i;
    for (guess -= BELOW * LINE, i = 0; i < BELOW + ABOVE; i++)
        __builtin_prefetch((const void *)(guess + (uintptr_t)i * LINE), 1);
    *before = at;
}

/* A task: wakes a part of the crowd, and lets those run. */
static void run_crowd(void *arg)
{
    struct crowd *crowd = arg;
    struct ceasei_node *node = crowd->run.root;
    struct ceasei_list *home = &node->home;
    cease_watch *w;
    crowd->run.thread = ceasei_thread_self(); /* a task that has begun stays where it is */
    ceasei_node_lock(node, home);
    uint32_t left = CROWD_PART;
    while ((w = crowd->run.root_watches) != NULL) {
        if (left-- == 0) {
            left = CROWD_PART;
            ceasei_unlock(&home->lock);
            ceasei_load(&ceasei_hooks, ACQUIRE)->yield();
            ceasei_node_lock(node, home);
            continue;
        }
        fetch_ahead(crowd, w);
        run_callback(&crowd->run, node, w);
    }
    set_run(node, NULL);
    bool last = !CEASE_SEED_BUG(BUG_CROWD_COUNT) && give_count(node);
    ceasei_unlock(&home->lock);
    if (last)
        ceasei_release(&node->ctx);
    free(crowd);
}

/* Moves a list of watches to another head. Under the home lock. */
static inline void move_watches(cease_watch **to, cease_watch **from)
{
    *to = *from;
    if (*to != NULL && !CEASE_SEED_BUG(BUG_CROWD))
        (*to)->link_ = to;
    *from = NULL;
}

/* Leaves the watches from *head on, all of waiters, to a task. With the home lock held, which is given back
 * meanwhile. False: there is no runtime, or no memory. */
static __attribute__((noinline)) bool leave_to_task(struct ceasei_run *run,
                                                    struct ceasei_node *node, cease_watch **head)
{
    const cease_hooks *hooks = ceasei_load(&ceasei_hooks, ACQUIRE);
    bool can = hooks->spawn != NULL && hooks->yield != NULL;
    struct crowd *crowd = can ? malloc(sizeof *crowd) : NULL;
    if (crowd == NULL)
        return false;
    *crowd = (struct crowd){.run = {.root = node}};
    move_watches(&crowd->run.root_watches, head);
    set_run(node, &crowd->run);
    if (!CEASE_SEED_BUG(BUG_CROWD_COUNT))
        take_count(node);
    ceasei_unlock(&node->home.lock);
    bool left = hooks->spawn(run_crowd, crowd) == CEASE_OK;
    ceasei_node_lock(node, &node->home);
    if (left)
        return true;
    (void)give_count(node); /* the caller has one */
    move_watches(head, &crowd->run.root_watches);
    set_run(node, run);
    free(crowd);
    return false;
}

/* Runs the callbacks of one node, newest first. `head` is where their list begins. With the home lock held. */
static void run_callbacks(struct ceasei_run *run, struct ceasei_node *node, cease_watch **head)
{
    set_run(node, run);
    uint32_t count = 1;
    for (cease_watch *w; (w = *head) != NULL; count++) {
        if (CEASE_UNLIKELY(count > CROWD_MIN) && w->waits_) {
            if (leave_to_task(run, node, head))
                return;
            count = 0; /* it tries again later */
            continue;
        }
        run_callback(run, node, w);
    }
    set_run(node, NULL);
}

static void run_all_callbacks(struct ceasei_run *run)
{
    run->thread = ceasei_thread_self();
    if (ceasei_load(&run->root_watches, ACQUIRE) != NULL) {
        ceasei_node_lock(run->root, &run->root->home);
        run_callbacks(run, run->root, &run->root_watches);
        ceasei_unlock(&run->root->home.lock);
    }
    for (struct ceasei_node *node = run->first, *next; node != NULL; node = next) {
        next = node->cause.over.next_run;
        ceasei_node_lock(node, &node->home);
        run_callbacks(run, node, &node->cause.over.watches);
        ceasei_unlock(&node->home.lock);
        ceasei_release(&node->ctx);
    }
}

/* ----- ending ----- */

/* By the claimer. A deadline's code and text were laid down at birth. */
static inline void write_cause(struct ceasei_node *node, const struct ceasei_reason *reason,
                               cease_time at)
{
    cease_cause *own = &node->cause.own;
    own->error = reason->error;
    /* not taken: a deadline with a code: that was laid down at birth */
    if (reason->error == CEASE_EDEADLINE && reason->code == 0) {
        own->at = node->ctx.deadline;
        ceasei_store(&own->task, 0, RELAXED); /* laid over `watches`, which others look at */
        if (own->text == NULL)
            own->text = usual_text(CEASE_EDEADLINE);
        return;
    }
    own->code = reason->code;
    own->text = reason->text != NULL ? reason->text : usual_text(reason->error);
    if (reason->place != NULL)
        /* Atomic for cease_inspect, which looks without waiting; no step of the protocol. */
        __atomic_store_n(&own->place, reason->place, __ATOMIC_RELAXED);
    own->at = at;
    ceasei_store(&own->task, ceasei_task_id(), RELAXED);
}

/* With the home lock held, which is given back: the root has watches and nothing else, the usual end of
 * what somebody waits for. An fd or a child would come under this lock: so nobody needs ENDING, and
 * there is nothing to walk. Like others without children it stays linked until it is freed (I2). A
 * callback may end the share that this call came with: the list's count holds the node meanwhile, as a
 * kid would. */
static void end_watched(struct ceasei_run *run, const struct ceasei_reason *reason, uint32_t bits,
                        cease_time at)
{
    struct ceasei_node *node = run->root;
    struct ceasei_list *home = &node->home;
    take_count(node);
    write_cause(node, reason, at);
    ceasei_store(&node->word, WORD_DONE | bits, RELEASE);
    run->thread = ceasei_thread_self();
    run_callbacks(run, node, &run->root_watches);
    bool last = give_count(node);
    ceasei_unlock(&home->lock);
    if (last)
        ceasei_release(&node->ctx);
}

/* The root has children, watches or an fd. Its own watches move to the run: their place in the node
 * is the cause's. */
static __attribute__((noinline)) void end_busy(struct ceasei_node *node,
                                               const struct ceasei_reason *reason, uint32_t bits,
                                               cease_time at)
{
    struct ceasei_run run = {.root = node};
    ceasei_node_lock(node, &node->home);
    run.root_watches = node->cause.over.watches;
    if (run.root_watches != NULL)
        run.root_watches->link_ = &run.root_watches;
    if (node->home.items == 0 && node->ctx.kind != KIND_MERGE) {
        end_watched(&run, reason, bits, at);
        return;
    }
    ceasei_unlock(&node->home.lock);
    ceasei_ref(&node->ctx); /* a callback may end the share that this call came with */
    write_cause(node, reason, at);
    publish(node, bits);
    walk(&run, node);
    ceasei_unlink(node);
    if (ceasei_load(&run.root_watches, ACQUIRE) != NULL || run.first != NULL)
        run_all_callbacks(&run);
    ceasei_release(&node->ctx);
}

/* In a forked child: finishes what a thread of the parent process may have left half done. */
static __attribute__((noinline)) void end_again(struct ceasei_node *node)
{
    struct ceasei_run run = {.root = node};
    ceasei_ref(&node->ctx);
    walk(&run, node);
    ceasei_unlink(node);
    run_all_callbacks(&run);
    ceasei_release(&node->ctx);
}

/* For a trace. With the claim held: the first thing that anybody could see of this end. */
static inline void tell_end(const struct ceasei_node *node, cease_error error,
                            const cease_place *place)
{
#ifndef CEASE_INTERLEAVE
    cease_end_fn *fn = ceasei_load(&ceasei_on_end, ACQUIRE);
    if (CEASE_UNLIKELY(fn != NULL))
        fn(&node->ctx, error, error == CEASE_EDEADLINE ? NULL : place);
#else
    (void)node;
    (void)error;
    (void)place;
#endif
}

/* In line in each of its callers, with what they say: by value, so that it comes to lie in memory for
 * end_busy() only. */
static inline __attribute__((always_inline)) bool end(struct ceasei_node *node,
                                                      struct ceasei_reason reason)
{
    uint32_t word = ceasei_load(&node->word, RELAXED);
    cease_time at = {0}; /* of a deadline it is known */
    /* not taken: a deadline, in line in cease_cancel() */
    if (reason.error != CEASE_EDEADLINE && (word & WORD_ENDED) == 0) {
        at = ceasei_coarse_now();
        if (word & WORD_LAZY)
            end_if_passed(node, at);
    }
    /* In a forked child, and also when that has adopted the node by now: adopting does not finish a walk.
     * not taken: a root in a forked child, in line in one of the two */
    bool cut_off = ceasei_generation > 0 && node->ctx.kind != KIND_ROOT; /* perhaps */
    if (!claim(node)) {
        (void)ceasei_settled_word(node);
        /* not taken: a text, in line in cease_cancel() */
        if (reason.text_owned)
            free((char *)reason.text);
        /* not taken: in a forked child, in line in cancel_code() */
        if (cut_off)
            end_again(node);
        return false;
    }
    tell_end(node, reason.error, reason.place);
    /* not taken: either, in line in cease_cancel() */
    uint32_t bits =
        (reason.error == CEASE_EDEADLINE ? WORD_DEADLINE : 0) | (reason.text_owned ? WORD_TEXT : 0);
    if (!ceasei_is_quiet(node)) {
        struct ceasei_reason copy = reason;
        end_busy(node, &copy, bits, at);
        return true;
    }
    if (CEASE_SEED_BUG(BUG_CANCEL))
        ceasei_store(&node->word, WORD_DONE | bits, RELEASE);
    write_cause(node, &reason, at);
    ceasei_store(&node->word, WORD_DONE | bits, RELEASE);
    if (node->ctx.kind == KIND_MERGE)
        ceasei_unlink(node); /* others stay until they are freed (I2) */
    return true;
}

bool ceasei_end(struct ceasei_node *node, const struct ceasei_reason *reason)
{
    return end(node, *reason);
}

void ceasei_end_by_deadline(struct ceasei_node *node)
{
    ceasei_end(node, &(struct ceasei_reason){.error = CEASE_EDEADLINE});
}

void cease_cancel_at(cease_canceler *c, const cease_place *place)
{
    if (c == NULL)
        return;
    CEASEI_ALIVE((cease_ctx *)(void *)c, place, "cease_cancel");
    end(node_of_canceler(c),
        (struct ceasei_reason){.error = CEASE_ECANCELED, .code = CEASE_ECANCELED, .place = place});
}

static void cancel_cause(cease_canceler *c, const cease_place *place, int code, const char *format,
                         va_list args)
{
    if (c == NULL)
        return;
    CEASEI_ALIVE((cease_ctx *)(void *)c, place, "cease_cancel_cause");
    char *text = NULL;
    bool open = (ceasei_load(&node_of_canceler(c)->word, RELAXED) & WORD_ENDED) == 0;
    if (format != NULL && open && vasprintf(&text, format, args) < 0)
        text = NULL; /* the code is kept */
    ceasei_end(node_of_canceler(c),
               &(struct ceasei_reason){.error = CEASE_ECANCELED,
                                       .code = code != 0 ? code : CEASE_ECANCELED,
                                       .text = text,
                                       .text_owned = text != NULL,
                                       .place = place});
}

/* Without a text: a group's end does it. Its reason stays in registers, as cease_cancel()'s does. */
static void cancel_code(cease_canceler *c, const cease_place *place, int code)
{
    CEASEI_ALIVE((cease_ctx *)(void *)c, place, "cease_cancel_cause");
    end(node_of_canceler(c), (struct ceasei_reason){.error = CEASE_ECANCELED,
                                                    .code = code != 0 ? code : CEASE_ECANCELED,
                                                    .place = place});
}

void cease_cancel_cause_at(cease_canceler *c, const cease_place *place, int code,
                           const char *format, ...)
{
    if (format == NULL && c != NULL) {
        cancel_code(c, place, code);
        return;
    }
    va_list args;
    va_start(args, format);
    cancel_cause(c, place, code, format, args);
    va_end(args);
}

void(cease_cancel_cause)(cease_canceler *c, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cancel_cause(c, NULL, code, format, args);
    va_end(args);
}

void(cease_cancel)(cease_canceler *c)
{
    cease_cancel_at(c, NULL);
}
