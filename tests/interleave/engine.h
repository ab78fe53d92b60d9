/* SPDX-License-Identifier: MIT
 *
 * engine.h: what the parts of the explorer share. Models include explore.h instead.
 */
#ifndef EXPLORE_ENGINE_H
#define EXPLORE_ENGINE_H

#include "explore.h"

#include <setjmp.h>
#include <ucontext.h>

enum {
    /* An actor takes steps: a thread, or the store buffer of one, which writes its oldest entry. */
    ACTORS = 2 * EXPLORE_THREADS,
    STEPS_MAX = 2000,
    BUFFER_MAX = 8,
    WATCHED_MAX = 16,
    SITES_MAX = 512,
    STACK_SIZE = 64 * 1024,
    ARENA_SIZE = 256 * 1024,
};

enum op_kind {
    OP_START,
    OP_LOAD,
    OP_STORE,
    OP_BUFFER, /* a store that goes into the thread's buffer */
    OP_FLUSH,  /* …and leaves it */
    OP_RMW,
    OP_CAS,
    OP_FENCE,
    OP_RELAX,
    OP_LOCK,
    OP_UNLOCK,
    OP_WAIT,  /* looks at a futex word, and lies down if it is as expected */
    OP_SLEEP, /* …until a wake */
    OP_WAKE,
    OP_DRAIN,
    OP_NOTE,
};

struct op {
    enum op_kind kind;
    int order;
    uint8_t size;
    uint8_t rmw;
    bool drains;  /* waits until the thread's store buffer is empty                            */
    bool touches; /* reads or writes memory that others may see: addr counts for conflicts     */
    bool writes;  /* pending: may write; done: did                                             */
    bool unlocks; /* the store that gives back a lock                                          */
    uintptr_t addr;
    uint64_t operand;
    uint64_t expected;
    uint64_t result;
    const struct explore_site *site;
};

/* A step's or thread's past: for each actor, the number of its latest step known to come before. */
struct past {
    uint32_t upto[ACTORS];
};

/* The race detector's clock of a thread: see memory.c. */
struct epoch {
    uint32_t of[EXPLORE_THREADS];
};

struct entry { /* of a store buffer */
    struct op op;
    struct past past;
    struct epoch sync;
    uint32_t clock; /* of its thread, when it was issued */
};

struct thread {
    jmp_buf at;
    ucontext_t first;
    char *stack;
    void (*fn)(void); /* from here on new in each execution */
    bool exists, started, ended;
    struct op op; /* what it does when it is chosen */
    struct past past;
    struct entry buffer[BUFFER_MAX];
    unsigned buffered;
    /* What it read since it last relaxed; a spin goes on only after one of these has changed. */
    uintptr_t watched[WATCHED_MAX];
    unsigned watched_count;
    bool watch_changed, woken;
    struct past changed_by; /* the past of the step that set one of the two above */
    uintptr_t elided[4];    /* locks that a mutation made it not take */
    struct epoch hb, hb_release, hb_acquire;
};

struct node { /* a step of the execution, and what else could have been done in its place */
    int actor;
    unsigned enabled, backtrack, done, sleep;
    int preemptions;
    struct op op;
    struct past past;
};

enum mode { MODE_FULL, MODE_BOUNDED, MODE_RANDOM, MODE_REPLAY };
enum mutation { MUTATE_NOTHING, MUTATE_TEAR, MUTATE_ELIDE, MUTATE_RELAX, MUTATIONS };

struct options {
    enum mode mode;
    bool tso;
    int preemptions_max;
    uint64_t executions_max;
    uint64_t seed;
    const char *replay;
    int bug;
    enum mutation mutation;
    const struct explore_site *mutated;
};

struct result {
    uint64_t executions, pruned, steps;
    bool complete;
    bool failed;
    char message[512];
};

struct engine {
    const struct explore_model *model;
    struct options options;
    struct result result;
    jmp_buf home;
    int current;     /* the thread whose code runs */
    bool inside;     /* code of the model runs, not the engine's */
    bool alone;      /* set-up or check: every operation happens at once */
    int last_thread; /* that took a step: going on with it is no preemption */
    struct thread threads[EXPLORE_THREADS];
    struct past flusher_past[EXPLORE_THREADS];
    struct node nodes[STEPS_MAX + 1];
    int depth, prefix;
    uint64_t random;
    unsigned stickiness; /* of this random execution: chance in 256 to go on with the same thread */
    int fds[8];          /* modelled eventfds: their counters as 0 and 1; -1 when closed */
    /* Sites seen, with the mutations that make sense there. */
    const struct explore_site *sites[SITES_MAX];
    unsigned site_mutations[SITES_MAX];
    int site_count;
    char *snapshot;
    uint64_t seen_by_alarm;
    const char *ignored_race; /* --ignore-race: for looking past one that is known */
};

extern struct engine *E;

/* engine.c */
void engine_init(void);
void engine_explore(const struct explore_model *model, const struct options *options,
                    struct result *ret);
void engine_step(struct op op); /* from a model's thread: gives control away, then does the op */
_Noreturn void engine_abandon(bool failed);

/* step.c */
bool step_enabled(int actor);
struct op step_pending(int actor);
struct past step_pending_past(int actor);
void step_perform(int actor, struct op *op);
/* A plain access by the running thread: what its buffer holds for these bytes comes first. */
void step_plain(uintptr_t addr, size_t size);
void step_remember_site(const struct explore_site *site, unsigned mutations);

/* memory.c */
void memory_init(void);
void memory_reset(void);
bool memory_is_arena(const volatile void *p);
void memory_access(int thread, uintptr_t addr, size_t size, bool write, bool atomic,
                   const void *where, bool where_is_site);
/* An access that was issued when the thread's own clock was `clock`: a store that was buffered. */
void memory_access_of(int thread, uint32_t clock, uintptr_t addr, size_t size, bool write,
                      bool atomic, const void *where, bool where_is_site);
struct epoch *memory_sync(uintptr_t addr); /* NULL: not a place that we watch */
const char *memory_leak(void);             /* NULL: none */

/* report.c */
void report_trace(void);
void report_replay(char *ret, size_t size);
int report_parse(const char *replay, struct node *nodes, int max);
const char *report_place(const void *where, bool where_is_site);
/* The message with names in place of addresses. */
void report_named(const char *message, char *ret, size_t size);

static inline void past_join(struct past *a, const struct past *b)
{
    for (int i = 0; i < ACTORS; i++)
        if (b->upto[i] > a->upto[i])
            a->upto[i] = b->upto[i];
}

static inline void epoch_join(struct epoch *a, const struct epoch *b)
{
    for (int i = 0; i < EXPLORE_THREADS; i++)
        if (b->of[i] > a->of[i])
            a->of[i] = b->of[i];
}

#endif
