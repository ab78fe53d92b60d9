/* SPDX-License-Identifier: MIT
 *
 * see.c: taking a snapshot of all tasks and their contexts.
 *
 * The idea: what a task waits for is known to its worker alone, and stands still only between two of
 * that worker's tasks. So a plain thread walks over the stacks, sees by a few atomic fields which tasks
 * live and whose they are, and asks each worker about at most ASK_MAX of its own at a time. The worker
 * answers in its next look around, taking a reference on each context; the rest is done from those
 * references, without the worker.
 *
 * The way of a question, by the worker's word `ask`:
 *
 *     NULL --asker--> question --worker, by a swap--> NULL, and is_done follows
 *                              --asker, by a swap---> NULL: withdrawn, the worker has not seen it
 *
 * Whoever swaps it out owns it. A sleeping worker is woken as for anything else that comes in: it sets
 * its idle bit, then looks at the word; the asker writes the word, then looks at the bit.
 *
 * A worker that does not answer in time runs one task for long: its tasks are told from outside, by
 * what is written once for each task. A slot that is used again meanwhile can make such a line wrong,
 * never unsafe: places and functions are static.
 *
 * One snapshot at a time, by `mutex`. A task that wants one has it taken on a thread of the block pool,
 * so that its own worker can answer.
 */
#include "runtime/see.h"

#include "base/panic.h"
#include "runtime/runtime.h"

#include <cease/block.h>
#include <cease/snapshot.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ASK_MAX = 256, PATIENCE_NS = 50 * 1000 * 1000 };
#define NONE UINT32_MAX

struct ceasei_ask {
    struct ceasei_task *tasks[ASK_MAX];
    struct ceasei_seen *seen; /* of the asker; the worker fills in */
    uint32_t count;
    bool is_done; /* under the mutex */
    pthread_mutex_t mutex;
    pthread_cond_t done;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* ---- the worker's side ---------------------------------------------------------------------- */

static void describe(const struct ceasei_worker *w, const struct ceasei_task *task,
                     struct ceasei_seen *seen)
{
    if (ceasei_load(&task->state, ACQUIRE) != CEASEI_TASK_STARTED ||
        ceasei_load(&task->worker, RELAXED) != w) {
        seen->state = CEASEI_SEEN_GONE; /* ended since, and perhaps another one in its place */
        return;
    }
    /* Under the context of its wait, which may be one that it has derived; else that of its start. */
    bool told = task->wait > CEASEI_WAIT_READY && task->wait_ctx;
    *seen = (struct ceasei_seen){
        .id = task->id,
        .place = task->place,
        .fn = task->fn,
        .ctx = cease_ref(told ? task->wait_ctx : task->ctx),
        .object = task->wait_object,
        .since_ms = task->wait_since_ms,
        .worker = w->index,
        .state = task->wait == CEASEI_WAIT_READY ? CEASEI_SEEN_READY : CEASEI_SEEN_WAITING,
        .wait = task->wait,
    };
}

void ceasei_see_answer(struct ceasei_worker *w)
{
    struct ceasei_ask *ask = ceasei_swap(&w->ask, NULL, ACQ_REL);
    if (!ask) {
        return; /* withdrawn */
    }
    for (uint32_t i = 0; i < ask->count; i++) {
        describe(w, ask->tasks[i], &ask->seen[i]);
    }
    pthread_mutex_lock(&ask->mutex);
    ask->is_done = true;
    pthread_cond_signal(&ask->done); /* under the lock: the question goes when it is released */
    pthread_mutex_unlock(&ask->mutex);
}

/* ---- the asker's side ----------------------------------------------------------------------- */

/* True once it is answered; false when the time is over. */
static bool wait_done(struct ceasei_ask *ask, int64_t patience_ns)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t at = until.tv_sec * INT64_C(1000000000) + until.tv_nsec;
    at = patience_ns < INT64_MAX - at ? at + patience_ns : INT64_MAX;
    until = (struct timespec){at / 1000000000, at % 1000000000};
    int failed = 0;
    pthread_mutex_lock(&ask->mutex);
    while (!ask->is_done && failed == 0) {
        failed = patience_ns == INT64_MAX
                     ? pthread_cond_wait(&ask->done, &ask->mutex)
                     : pthread_cond_clockwait(&ask->done, &ask->mutex, CLOCK_MONOTONIC, &until);
    }
    bool is_done = ask->is_done;
    pthread_mutex_unlock(&ask->mutex);
    return is_done;
}

/* Asks w about ask->tasks. False: it does not answer. */
static bool ask_worker(struct ceasei_worker *w, struct ceasei_ask *ask)
{
    ask->is_done = false;
    ceasei_store(&w->ask, ask, SEQ_CST);
    ceasei_worker_wake(w);
    if (wait_done(ask, PATIENCE_NS)) {
        return true;
    }
    if (ceasei_swap(&w->ask, NULL, ACQ_REL) == ask) {
        return false;
    }
    return wait_done(ask, INT64_MAX); /* it has begun to */
}

static void from_outside(const struct ceasei_worker *w, const struct ceasei_task *task,
                         struct ceasei_seen *seen)
{
    bool runs = w && ceasei_load(&w->current, RELAXED) == task;
    *seen = (struct ceasei_seen){
        .id = ceasei_load(&task->id, RELAXED),
        .place = ceasei_load(&task->place, RELAXED),
        .fn = ceasei_load(&task->fn, RELAXED),
        .worker = w ? w->index : NONE,
        .state = !w     ? CEASEI_SEEN_NEW
                 : runs ? CEASEI_SEEN_RUNNING
                        : CEASEI_SEEN_UNKNOWN,
    };
}

/* Room for `count` more of `size`, in a list that grows by doubling. */
static bool reserve(void *list, size_t size, size_t used, size_t count, size_t *room)
{
    if (used + count <= *room) {
        return true;
    }
    size_t more = *room ? *room * 2 : 512;
    more = more < used + count ? used + count : more;
    void *bigger = realloc(*(void **)list, more * size);
    if (!bigger) {
        return false;
    }
    *(void **)list = bigger;
    *room = more;
    return true;
}

/* Those that have not begun. */
static cease_error take_pending(struct ceasei_tree *tree)
{
    struct ceasei_pending *list[ASK_MAX];
    struct ceasei_pending_walk walk = {0};
    cease_error err = CEASE_OK;
    size_t count;
    while (err == CEASE_OK && (count = ceasei_pending_walk(&walk, list, ASK_MAX)) > 0) {
        if (!reserve(&tree->tasks, sizeof *tree->tasks, tree->task_count, count,
                     &tree->task_room)) {
            err = CEASE_ENOMEM;
            continue;
        }
        for (size_t i = 0; i < count; i++) {
            tree->tasks[tree->task_count++] = (struct ceasei_seen){
                .place = ceasei_load(&list[i]->place, RELAXED),
                .fn = ceasei_load(&list[i]->fn, RELAXED),
                .worker = NONE,
                .state = CEASEI_SEEN_NEW,
            };
        }
    }
    ceasei_pending_walk_stop();
    return err;
}

/* The tasks of `list` that belong to w (NULL: that nobody has begun), into the tree. */
static cease_error take_of(struct ceasei_tree *tree, struct ceasei_ask *ask,
                           struct ceasei_worker *w, uint64_t *silent,
                           struct ceasei_task *const list[], size_t count)
{
    ask->count = 0;
    for (size_t i = 0; i < count; i++) {
        enum ceasei_task_state state = ceasei_load(&list[i]->state, ACQUIRE);
        struct ceasei_worker *whose = ceasei_load(&list[i]->worker, RELAXED);
        if (state != CEASEI_TASK_FREE && (state == CEASEI_TASK_NEW ? w == NULL : w && whose == w)) {
            ask->tasks[ask->count++] = list[i];
        }
    }
    if (ask->count == 0) {
        return CEASE_OK;
    }
    if (!reserve(&tree->tasks, sizeof *tree->tasks, tree->task_count, ask->count,
                 &tree->task_room)) {
        return CEASE_ENOMEM;
    }
    ask->seen = tree->tasks + tree->task_count;
    bool asked = w && !(*silent >> w->index & 1) && ask_worker(w, ask);
    if (w && !asked) {
        *silent |= UINT64_C(1) << w->index;
    }
    for (uint32_t i = 0; i < ask->count; i++) {
        if (!asked) {
            from_outside(w, ask->tasks[i], &ask->seen[i]);
        }
        if (ask->seen[i].state != CEASEI_SEEN_GONE) {
            tree->tasks[tree->task_count++] = ask->seen[i];
        }
    }
    return CEASE_OK;
}

static cease_error take_tasks(struct ceasei_tree *tree, struct ceasei_ask *ask)
{
    struct ceasei_runtime *rt = &ceasei_runtime;
    struct ceasei_task *list[ASK_MAX];
    struct ceasei_stack_walk walk = {0};
    cease_error err = CEASE_OK;
    uint64_t silent = 0;
    size_t count;
    for (uint32_t i = 0; i < rt->max; i++) {
        tree->workers += ceasei_load(&rt->workers[i], ACQUIRE) != NULL;
    }
    err = take_pending(
        tree); /* first: none is missed that begins meanwhile, but may be there twice */
    while (err == CEASE_OK && (count = ceasei_stack_walk(&walk, list, ASK_MAX)) > 0) {
        err = take_of(tree, ask, NULL, &silent, list, count);
        for (uint32_t i = 0; i < rt->max && err == CEASE_OK; i++) {
            struct ceasei_worker *w = ceasei_load(&rt->workers[i], ACQUIRE);
            err = w ? take_of(tree, ask, w, &silent, list, count) : CEASE_OK;
        }
    }
    ceasei_stack_walk_stop(&walk);
    return err;
}

/* ---- the tree ------------------------------------------------------------------------------- */

static size_t index_of(const struct ceasei_tree *tree, const cease_ctx *ctx)
{
    size_t at = (size_t)(((uintptr_t)ctx >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 20);
    for (;; at++) {
        at &= tree->index_size - 1;
        if (tree->index[at] == 0 || tree->contexts[tree->index[at] - 1].ctx == ctx) {
            return at;
        }
    }
}

static bool index_grow(struct ceasei_tree *tree)
{
    if (tree->context_count * 2 < tree->index_size) {
        return true;
    }
    size_t size = tree->index_size ? tree->index_size * 2 : 1024;
    uint32_t *index = calloc(size, sizeof *index);
    if (!index) {
        return false;
    }
    free(tree->index);
    tree->index = index;
    tree->index_size = size;
    for (size_t i = 0; i < tree->context_count; i++) {
        tree->index[index_of(tree, tree->contexts[i].ctx)] = (uint32_t)i + 1;
    }
    return true;
}

/* The number of a context, which is new or known. NONE without memory, and for NULL. */
static uint32_t number_of(struct ceasei_tree *tree, cease_ctx *ctx)
{
    if (!ctx || !index_grow(tree)) {
        return NONE;
    }
    size_t at = index_of(tree, ctx);
    if (tree->index[at] == 0) {
        if (!reserve(&tree->contexts, sizeof *tree->contexts, tree->context_count, 1,
                     &tree->context_room)) {
            return NONE;
        }
        struct ceasei_seen_ctx *c = &tree->contexts[tree->context_count];
        *c = (struct ceasei_seen_ctx){
            ctx, {.size = sizeof c->info}, NONE, NONE, NONE, NONE, NONE,
        };
        cease_inspect(ctx, &c->info);
        tree->index[at] = (uint32_t)++tree->context_count;
    }
    return tree->index[at] - 1;
}

/* The contexts of all tasks and what is above them: the list is its own work list. */
static cease_error take_contexts(struct ceasei_tree *tree)
{
    for (size_t i = 0; i < tree->task_count; i++) {
        tree->tasks[i].context = number_of(tree, tree->tasks[i].ctx);
        if (tree->tasks[i].ctx && tree->tasks[i].context == NONE) {
            return CEASE_ENOMEM;
        }
    }
    for (size_t i = 0; i < tree->context_count; i++) {
        cease_ctx *parent = tree->contexts[i].info.parent, *other = tree->contexts[i].info.other;
        uint32_t parent_number = number_of(tree, parent), other_number = number_of(tree, other);
        if ((parent && parent_number == NONE) || (other && other_number == NONE)) {
            return CEASE_ENOMEM;
        }
        tree->contexts[i].parent = parent_number;
        tree->contexts[i].other = other_number;
    }
    return CEASE_OK;
}

/* From the end, so that each list is in the order in which it was found. */
static void link_up(struct ceasei_tree *tree)
{
    for (size_t i = tree->context_count; i-- > 0;) {
        struct ceasei_seen_ctx *c = &tree->contexts[i];
        if (c->parent != NONE) {
            c->next = tree->contexts[c->parent].first_child;
            tree->contexts[c->parent].first_child = (uint32_t)i;
        }
    }
    for (size_t i = tree->task_count; i-- > 0;) {
        struct ceasei_seen *t = &tree->tasks[i];
        t->next = NONE;
        if (t->context != NONE) {
            t->next = tree->contexts[t->context].first_task;
            tree->contexts[t->context].first_task = (uint32_t)i;
        }
    }
}

cease_error ceasei_tree_take(struct ceasei_tree *ret_tree)
{
    *ret_tree = (struct ceasei_tree){0};
    struct ceasei_ask *ask = calloc(1, sizeof *ask);
    if (!ask) {
        return CEASE_ENOMEM;
    }
    pthread_mutex_init(&ask->mutex, NULL);
    pthread_cond_init(&ask->done, NULL);
    cease_error err = CEASE_OK;
    pthread_mutex_lock(&mutex);
    if (ceasei_runtime_try_enter()) {
        err = take_tasks(ret_tree, ask);
        ceasei_runtime_leave();
    }
    pthread_mutex_unlock(&mutex);
    pthread_cond_destroy(&ask->done);
    pthread_mutex_destroy(&ask->mutex);
    free(ask);
    if (err == CEASE_OK) {
        err = take_contexts(ret_tree);
    }
    if (err == CEASE_OK) {
        link_up(ret_tree);
        ret_tree->now = cease_now();
    } else {
        ceasei_tree_deinit(ret_tree);
    }
    return err;
}

void ceasei_tree_deinit(struct ceasei_tree *tree)
{
    for (size_t i = 0; i < tree->task_count; i++) {
        cease_unref(tree->tasks[i].ctx);
    }
    free(tree->tasks);
    free(tree->contexts);
    free(tree->index);
    *tree = (struct ceasei_tree){0};
}

/* ---- the calls ------------------------------------------------------------------------------ */

struct order {
    void (*render)(const struct ceasei_tree *tree, FILE *out);
    char *text;
    size_t size;
    cease_error err;
};

static void carry_out(void *arg)
{
    struct order *order = arg;
    struct ceasei_tree tree;
    order->err = ceasei_tree_take(&tree);
    if (order->err != CEASE_OK) {
        return;
    }
    FILE *out = open_memstream(&order->text, &order->size);
    if (out) {
        order->render(&tree, out);
    }
    bool failed = !out || ferror(out) != 0;
    if (out && (fclose(out) != 0 || failed)) {
        free(order->text);
        failed = true;
    }
    order->err = failed ? CEASE_ENOMEM : CEASE_OK;
    ceasei_tree_deinit(&tree);
}

static cease_error snapshot(void (*render)(const struct ceasei_tree *tree, FILE *out),
                            char **ret_text, size_t *ret_size)
{
    struct order order = {.render = render};
    ceasei_runtime_check_fork();
    if (ceasei_worker_self) {
        cease_error err = cease_block(cease_background(), carry_out, NULL, &order);
        if (err != CEASE_OK) {
            return err == CEASE_EAGAIN ? CEASE_ENOMEM : err;
        }
    } else {
        carry_out(&order);
    }
    if (order.err == CEASE_OK) {
        *ret_text = order.text;
        if (ret_size) {
            *ret_size = order.size;
        }
    }
    return order.err;
}

CEASE_PUBLIC cease_error cease_snapshot_text(char **ret_text, size_t *ret_size)
{
    return snapshot(ceasei_tree_text, ret_text, ret_size);
}

CEASE_PUBLIC cease_error cease_snapshot_json(char **ret_text, size_t *ret_size)
{
    return snapshot(ceasei_tree_json, ret_text, ret_size);
}

CEASE_PUBLIC cease_error cease_snapshot_print(int fd)
{
    char *text;
    size_t size;
    cease_error err = cease_snapshot_text(&text, &size);
    if (err != CEASE_OK) {
        return err;
    }
    for (size_t done = 0; done < size && err == CEASE_OK;) {
        ssize_t n = write(fd, text + done, size - done);
        if (n >= 0) {
            done += (size_t)n;
        } else if (errno != EINTR) {
            err = (cease_error)-errno;
        }
    }
    free(text);
    return err;
}
