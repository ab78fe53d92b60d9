/* SPDX-License-Identifier: MIT
 *
 * debug.c: what CEASE_DEBUG=1 in the environment of any build turns on.
 *
 *  - Contexts that are never ended or dropped are reported at exit, with the place that made them.
 *  - A context that is used after its last reference was dropped, or dropped once too often, aborts with both places:
 *    freed contexts are kept for a while, marked, before their memory is used again.
 *  - A context that is wrapped again and again (in a loop, say) is reported once it is DEPTH_MAX deep.
 *  - Two callbacks that each wait for the other abort, with both places.
 *
 * Every context gets a head in front of it, which links it into the list of the living. One mutex guards the list, the
 * heads, the freed ones and who waits for whom. Off, all of this is one predicted branch per call.
 */
#include "context/ctx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef CEASE_INTERLEAVE

enum { DEPTH_MAX = 1000, KEPT_MAX = 4096, PLACES_MAX = 64 };

bool ceasei_debug;

struct head {
    struct head *next, **pprev; /* of the living */
    const cease_place *place;
    uint32_t depth;
    uint32_t size;
};
_Static_assert(sizeof(struct head) % 16 == 0, "what follows is aligned as malloc's memory");

static struct {
    pthread_mutex_t mutex;
    struct head *living;
    struct head *kept[KEPT_MAX]; /* a ring of freed ones */
    size_t kept_next;
    bool depth_told;
} debug = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static const cease_place unknown = {"unknown", 0, "unknown"};

static struct head *head_of(const cease_ctx *ctx)
{
    return (struct head *)(void *)((char *)(uintptr_t)ctx - sizeof(struct head));
}

static void tell(cease_report_kind kind, const cease_place *place, const char *text)
{
    const cease_hooks *hooks = cease_hooks_installed();
    if (hooks->report != NULL)
        hooks->report(&(cease_report){.kind = kind, .text = text, .place = place});
    else
        fprintf(stderr, "cease: %s:%d: %s: %s\n", place->file, place->line, place->function, text);
}

void *ceasei_debug_alloc(size_t size)
{
    struct head *head = malloc(sizeof *head + size);
    if (head == NULL)
        return NULL;
    *head = (struct head){.place = &unknown, .size = (uint32_t)size};
    pthread_mutex_lock(&debug.mutex);
    head->next = debug.living;
    head->pprev = &debug.living;
    if (head->next != NULL)
        head->next->pprev = &head->next;
    debug.living = head;
    pthread_mutex_unlock(&debug.mutex);
    return head + 1;
}

/* A freed context shows the state of this one, which every look takes to the slow path. */
static struct ceasei_node freed_node = {.ctx = {.kind = KIND_FREED},
                                        .word = WORD_FREED | WORD_LAZY};

void ceasei_debug_free(void *ctx)
{
    struct head *head = head_of(ctx);
    pthread_mutex_lock(&debug.mutex);
    *head->pprev = head->next;
    if (head->next != NULL)
        head->next->pprev = head->pprev;
    memset(ctx, 0, head->size);
    *(cease_ctx *)ctx =
        (cease_ctx){.state = &freed_node.word, .values = &ceasei_no_values, .kind = KIND_FREED};
    struct head *oldest = debug.kept[debug.kept_next];
    debug.kept[debug.kept_next] = head;
    debug.kept_next = (debug.kept_next + 1) % KEPT_MAX;
    pthread_mutex_unlock(&debug.mutex);
    free(oldest);
}

void ceasei_debug_born(cease_ctx *ctx, const cease_place *place)
{
    struct head *head = head_of(ctx);
    const cease_ctx *parent = ctx->parent;
    head->place = place != NULL ? place : &unknown;
    head->depth = parent->kind == KIND_ROOT ? 1 : head_of(parent)->depth + 1;
    if (head->depth < DEPTH_MAX)
        return;
    pthread_mutex_lock(&debug.mutex);
    bool told = debug.depth_told;
    debug.depth_told = true;
    pthread_mutex_unlock(&debug.mutex);
    if (!told)
        tell(CEASE_REPORT_DEPTH, head->place,
             "the context made here is 1000 contexts deep: is it wrapped again and again in a "
             "loop?");
}

void ceasei_debug_alive(const cease_ctx *ctx, const cease_place *place, const char *what)
{
    if (ctx == NULL || ctx->kind != KIND_FREED)
        return;
    /* not taken: freed_node itself: nobody is given it */
    const cease_place *made = ctx == &freed_node.ctx ? &unknown : head_of(ctx)->place;
    ceasei_panic(
        place,
        "%s: this context is gone: its last reference has been dropped; it was made at %s:%d in %s",
        what, made->file, made->line, made->function);
}

const cease_place *ceasei_debug_place(const cease_ctx *ctx)
{
    return head_of(ctx)->place;
}

/* Forgets the freed ones: at exit of a leak checker, say. */
void ceasei_debug_trim(void)
{
    for (size_t i = 0; i < KEPT_MAX; i++) {
        pthread_mutex_lock(&debug.mutex);
        struct head *head = debug.kept[i];
        debug.kept[i] = NULL;
        pthread_mutex_unlock(&debug.mutex);
        free(head);
    }
}

/* ----- callbacks that wait for each other ----- */

void ceasei_debug_wait(struct ceasei_thread *self, struct ceasei_thread *other)
{
    pthread_mutex_lock(&debug.mutex);
    self->waits_for = other;
    for (const struct ceasei_thread *at = other; at != NULL; at = at->waits_for) {
        if (at != self)
            continue;
        /* not taken: NULL: only a callback waits for another */
        const cease_place *theirs = other->callback != NULL ? other->callback : &unknown;
        ceasei_panic(self->callback,
                     "the callback added here waits for the one added at %s:%d in %s, which waits "
                     "for it: each removes "
                     "the other synchronously",
                     theirs->file, theirs->line, theirs->function);
    }
    pthread_mutex_unlock(&debug.mutex);
}

/* Before its memory goes: who has waited for it may not have noticed yet that it need not any more. */
void ceasei_debug_thread_gone(const struct ceasei_thread *thread)
{
    pthread_mutex_lock(&debug.mutex);
    ceasei_threads_forget(thread);
    pthread_mutex_unlock(&debug.mutex);
}

/* ----- at exit ----- */

struct leak {
    const cease_place *place;
    size_t count;
};

static size_t collect(struct leak *ret_leaks, size_t *ret_others)
{
    size_t places = 0;
    *ret_others = 0;
    for (struct head *head = debug.living; head != NULL; head = head->next) {
        size_t i = 0;
        while (i < places && ret_leaks[i].place != head->place)
            i++;
        if (i == PLACES_MAX) {
            (*ret_others)++;
            continue;
        }
        if (i == places)
            ret_leaks[places++] = (struct leak){head->place, 0};
        ret_leaks[i].count++;
    }
    return places;
}

static void report_leaks(void)
{
    struct leak leaks[PLACES_MAX];
    size_t others;
    char text[128];
    pthread_mutex_lock(&debug.mutex);
    size_t count = collect(leaks, &others);
    pthread_mutex_unlock(&debug.mutex);
    for (size_t i = 0; i < count; i++) {
        snprintf(text, sizeof text, "%zu context%s made here and never ended or dropped",
                 leaks[i].count, leaks[i].count == 1 ? " was" : "s were");
        tell(CEASE_REPORT_LEAK, leaks[i].place, text);
    }
    if (others > 0) {
        snprintf(text, sizeof text, "%zu more contexts, made in other places", others);
        tell(CEASE_REPORT_LEAK, &unknown, text);
    }
}

void ceasei_debug_fork(int phase)
{
    if (phase == FORK_PREPARE)
        pthread_mutex_lock(&debug.mutex);
    else /* in the child too: the thread that forked has locked it, as ThreadSanitizer remembers */
        pthread_mutex_unlock(&debug.mutex);
}

__attribute__((constructor(101))) static void init(void)
{
    const char *wanted = secure_getenv("CEASE_DEBUG");
    ceasei_debug = wanted != NULL && *wanted != '\0' && strcmp(wanted, "0") != 0;
    if (ceasei_debug)
        (void)atexit(report_leaks);
}

#endif
