/* SPDX-License-Identifier: MIT
 *
 * engine.c: runs a model in every order, once each.
 *
 * The idea is stateless search: an execution is a list of choices (who takes the next step); the
 * next execution repeats a prefix of it and then chooses otherwise. In full mode, dynamic
 * partial-order reduction (Flanagan and Godefroid, POPL 2005) decides where another choice can make
 * a difference: only where two steps touch the same place, one of them writes, and nothing else
 * orders them; sleep sets (Godefroid 1996) then avoid orders that are equal to earlier ones.
 * Bounded mode tries every choice with at most so many preemptions (CHESS); random mode draws them
 * by seed.
 *
 * Threads are contexts on stacks of their own inside one OS thread. A thread stops *before* each
 * operation and publishes it; so the operation that each would do next is known, which is what the
 * reduction needs. Who is chosen has its operation done by the scheduler, on the stack of whoever
 * ran last, and then goes on to its next one.
 *
 * A store buffer is an actor of its own, whose step is to write the oldest entry. It shares no code
 * with its thread, so the search needs to know nothing else about buffers.
 *
 * Everything that an execution changes is put back by force: the data segment from a copy, the
 * arena by starting anew; stacks are simply left. So an execution can be dropped in the middle.
 * The engine's own state lives in a mapping outside the data segment.
 */
#include "engine.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

extern char __data_start, _end;

struct engine *E;
int explore_bug;
void (*explore_at_thread_end)(void);
void (*explore_at_start)(void);
int64_t explore_clock_ns;

int explore_current(void)
{
    return E->current;
}

_Noreturn void engine_abandon(bool failed)
{
    E->inside = false;
    E->result.failed |= failed;
    _longjmp(E->home, 1);
}

_Noreturn void explore_fail(const char *format, ...)
{
    E->inside = false;
    va_list list;
    va_start(list, format);
    vsnprintf(E->result.message, sizeof E->result.message, format, list);
    va_end(list);
    engine_abandon(true);
}

/* ---- the search ------------------------------------------------------------------------------ */

static bool conflict(const struct op *a, const struct op *b)
{
    return a->touches && b->touches && (a->writes || b->writes) && a->addr / 8 == b->addr / 8;
}

/* While a lock is held nobody else can take it, and who sleeps cannot wake before the wake: there
 * is no other order of such a pair to try. */
static bool could_swap(const struct op *done, const struct op *next)
{
    return !(next->kind == OP_LOCK && done->unlocks);
}

/* Whether step k comes before what has this past. */
static bool is_before(int k, const struct past *past)
{
    return (uint32_t)k + 1 <= past->upto[E->nodes[k].actor];
}

/* Who could take the first step from step i's state on the way to an execution in which `next`, the
 * pending step of `actor`, comes before step i: of the steps that do not depend on step i, and of
 * `next`, those that do not depend on each other (the initials of source sets; Abdulla and others,
 * POPL 2014). It is not always `actor` itself, whose step may need another's before it. */
static unsigned initials(int i, int actor, const struct op *next, const struct past *next_past)
{
    int first[ACTORS];
    unsigned mask = 0, in_v = 0;
    for (int k = i + 1; k < E->depth; k++) {
        const struct node *node = &E->nodes[k];
        if (is_before(i, &node->past) || in_v & 1u << node->actor)
            continue;
        bool is_first = true;
        for (int q = 0; q < ACTORS; q++)
            if (in_v & 1u << q && is_before(first[q], &node->past))
                is_first = false;
        in_v |= 1u << node->actor;
        first[node->actor] = k;
        mask |= (unsigned)is_first << node->actor;
    }
    bool is_first = !(in_v & 1u << actor);
    for (int k = i + 1; k < E->depth && is_first; k++)
        if (!is_before(i, &E->nodes[k].past) &&
            (is_before(k, next_past) || conflict(&E->nodes[k].op, next)))
            is_first = false;
    return mask | (unsigned)is_first << actor;
}

/* Step i and the pending step of `actor` could come the other way round: see to it that this is
 * tried, unless something already chosen there, or asleep there, leads to it. */
static void add_backtrack(int i, int actor, const struct op *next, const struct past *past)
{
    struct node *node = &E->nodes[i];
    unsigned mask = initials(i, actor, next, past) & node->enabled;
    if (!mask)
        node->backtrack |= node->enabled;
    else if (!(mask & (node->backtrack | node->sleep)))
        node->backtrack |= mask & 1u << actor ? 1u << actor : mask & -mask;
}

/* Finds each step that races with the pending one of `actor`: that touches the same, with nothing in
 * between that orders the two. */
static void find_races_of(int actor)
{
    struct op next = step_pending(actor);
    if (!next.touches)
        return;
    struct past past = step_pending_past(actor), past_of_next = past;
    for (int i = E->depth - 1; i >= 0; i--) {
        const struct node *node = &E->nodes[i];
        if (node->actor == actor || is_before(i, &past) || !conflict(&node->op, &next) ||
            !could_swap(&node->op, &next))
            continue;
        add_backtrack(i, actor, &next, &past_of_next);
        past_join(&past, &node->past);
    }
}

static bool actor_exists(int actor)
{
    const struct thread *t = &E->threads[actor % EXPLORE_THREADS];
    if (!t->exists)
        return false;
    return actor < EXPLORE_THREADS ? !t->ended : t->buffered > 0;
}

/* Who cannot step now may never step: what keeps it from that is found while it waits. */
static void find_races_of_waiting(unsigned enabled)
{
    for (int a = 0; a < ACTORS; a++)
        if (actor_exists(a) && !(enabled & 1u << a))
            find_races_of(a);
}

static unsigned enabled_mask(void)
{
    unsigned mask = 0;
    for (int a = 0; a < ACTORS; a++)
        if (actor_exists(a) && step_enabled(a))
            mask |= 1u << a;
    return mask;
}

static unsigned next_random(unsigned below)
{
    E->random ^= E->random << 13;
    E->random ^= E->random >> 7;
    E->random ^= E->random << 17;
    return (unsigned)((E->random >> 20) % below);
}

static int pick_random(unsigned mask)
{
    if (mask & 1u << E->last_thread && next_random(256) < E->stickiness)
        return E->last_thread;
    int count = __builtin_popcount(mask);
    int skip = (int)next_random((unsigned)count);
    for (int a = 0;; a++)
        if (mask & 1u << a && skip-- == 0)
            return a;
}

static int pick_first(unsigned mask)
{
    if (mask & 1u << E->last_thread)
        return E->last_thread;
    return __builtin_ctz(mask);
}

/* Steps that were explored from the parent and stay what they were cannot lead to anything new. */
static unsigned inherited_sleep(void)
{
    if (E->depth == 0)
        return 0;
    const struct node *parent = &E->nodes[E->depth - 1];
    unsigned sleep = (parent->sleep | parent->done) & ~(1u << parent->actor);
    for (int a = 0; a < ACTORS; a++)
        if (sleep & 1u << a) {
            if (!actor_exists(a) || a % EXPLORE_THREADS == parent->actor % EXPLORE_THREADS) {
                sleep &= ~(1u << a);
                continue;
            }
            struct op next = step_pending(a);
            if (conflict(&parent->op, &next))
                sleep &= ~(1u << a);
        }
    return sleep;
}

static int choose_new(struct node *node)
{
    const struct options *o = &E->options;
    if (o->mode == MODE_RANDOM)
        return pick_random(node->enabled);
    if (o->mode == MODE_REPLAY)
        return pick_first(node->enabled);
    if (o->mode == MODE_FULL) {
        find_races_of_waiting(node->enabled);
        node->sleep = inherited_sleep();
        if (!(node->enabled & ~node->sleep)) {
            E->result.pruned++;
            engine_abandon(false);
        }
        int actor = pick_first(node->enabled & ~node->sleep);
        node->backtrack = 1u << actor;
        return actor;
    }
    node->preemptions = E->depth > 0 ? E->nodes[E->depth - 1].preemptions : 0;
    node->backtrack = node->enabled;
    unsigned last = 1u << E->last_thread;
    if (node->preemptions >= o->preemptions_max && node->enabled & last)
        node->backtrack = last | (node->enabled >> EXPLORE_THREADS << EXPLORE_THREADS);
    return pick_first(node->backtrack);
}

static _Noreturn void stuck(void)
{
    bool spin = true;
    char who[256] = "";
    for (int t = 0; t < EXPLORE_MAIN; t++) {
        const struct thread *thread = &E->threads[t];
        if (!thread->exists || thread->ended)
            continue;
        spin &= thread->op.kind == OP_RELAX;
        const struct explore_site *site = thread->op.site;
        size_t used = strlen(who);
        snprintf(who + used, sizeof who - used, "; thread %d in %s at %s:%d (%s)", t,
                 site ? site->function : "?", site ? explore_file_name(site->file) : "?",
                 site ? site->line : 0, site ? site->text : "?");
    }
    explore_fail("%s%s", spin ? "livelock: all that is left spins" : "deadlock", who);
}

/* Chooses who steps next, and takes the step. Returns the actor; -1 when all have ended. */
static int take_step(void)
{
    struct node *node = &E->nodes[E->depth];
    unsigned enabled = enabled_mask();
    if (!enabled) {
        for (int t = 0; t < EXPLORE_MAIN; t++)
            if (E->threads[t].exists && !E->threads[t].ended)
                stuck();
        return -1;
    }
    if (E->depth >= STEPS_MAX)
        explore_fail("livelock: %d steps, and no end", STEPS_MAX);
    if (E->depth < E->prefix) {
        if (!(enabled & 1u << node->actor)) {
            if (E->options.mode == MODE_REPLAY)
                node->actor = pick_first(enabled);
            else
                explore_fail("the model is not deterministic: step %d cannot be repeated",
                             E->depth);
        }
    } else {
        *node = (struct node){.enabled = enabled};
        node->actor = choose_new(node);
    }
    unsigned last = 1u << E->last_thread;
    if (E->options.mode == MODE_BOUNDED && E->depth > 0) {
        bool preempts =
            node->actor < EXPLORE_THREADS && node->actor != E->last_thread && enabled & last;
        node->preemptions = E->nodes[E->depth - 1].preemptions + preempts;
    }

    int actor = node->actor;
    if (E->options.mode == MODE_FULL && E->depth + 1 >= E->prefix)
        find_races_of(actor);
    struct past past = step_pending_past(actor);
    node->op = step_pending(actor);
    step_perform(actor, &node->op);
    for (int i = 0; i < E->depth; i++)
        if (conflict(&E->nodes[i].op, &node->op))
            past_join(&past, &E->nodes[i].past);
    past.upto[actor] = (uint32_t)E->depth + 1;
    node->past = past;
    struct thread *t = &E->threads[actor % EXPLORE_THREADS];
    if (actor < EXPLORE_THREADS) {
        t->past = past;
        E->last_thread = actor;
    } else {
        E->flusher_past[actor - EXPLORE_THREADS] = past;
    }
    if (node->op.kind == OP_BUFFER)
        t->buffer[t->buffered - 1].past = past;
    /* Who spins on what this step has changed, or sleeps on what it woke, comes after it. */
    for (int q = 0; q < EXPLORE_MAIN; q++) {
        struct thread *other = &E->threads[q];
        if ((other->watch_changed || other->woken) && !other->changed_by.upto[actor] &&
            !memcmp(&other->changed_by, &(struct past){{0}}, sizeof(struct past)))
            other->changed_by = past;
    }
    E->depth++;
    E->result.steps++;
    return actor;
}

/* Runs steps until it is the turn of a thread's code. `from` NULL: nobody comes back. */
static void dispatch(jmp_buf *from)
{
    E->inside = false;
    int actor;
    do {
        actor = take_step();
    } while (actor >= EXPLORE_THREADS);
    if (actor < 0)
        _longjmp(E->home, 2);
    struct thread *t = &E->threads[actor];
    if (from && actor == E->current) {
        E->inside = true;
        return;
    }
    if (from && _setjmp(*from)) {
        E->inside = true;
        return;
    }
    E->current = actor;
    if (t->started)
        _longjmp(t->at, 1);
    t->started = true;
    setcontext(&t->first);
}

void engine_step(struct op op)
{
    struct thread *t = &E->threads[E->current];
    t->op = op;
    if (E->alone) {
        bool inside = E->inside;
        E->inside = false;
        if (!step_enabled(E->current))
            explore_fail("set-up or check would wait: %s",
                         op.site ? report_place(op.site, true) : "?");
        step_perform(E->current, &t->op);
        E->inside = inside;
        return;
    }
    dispatch(&t->at);
}

/* ---- one execution ----------------------------------------------------------------------------
 */

static void thread_main(void)
{
    E->inside = true;
    struct thread *t = &E->threads[E->current];
    t->fn();
    if (explore_at_thread_end)
        explore_at_thread_end();
    E->inside = false;
    t->ended = true;
    if (E->alone)
        _longjmp(E->home, 3);
    dispatch(NULL);
}

static void prepare_thread(int number, void (*fn)(void))
{
    struct thread *t = &E->threads[number];
    memset((char *)t + offsetof(struct thread, fn), 0, sizeof *t - offsetof(struct thread, fn));
    if (!fn)
        return;
    t->fn = fn;
    t->exists = true;
    t->op = (struct op){.kind = OP_START};
    t->hb.of[number] = 1;
    if (t->first.uc_stack.ss_sp == NULL) {
        getcontext(&t->first);
        t->first.uc_stack.ss_sp = t->stack;
        t->first.uc_stack.ss_size = STACK_SIZE;
    }
    makecontext(&t->first, thread_main, 0);
}

static void before_setup(void)
{
    if (explore_at_start)
        explore_at_start();
    if (E->model->setup)
        E->model->setup();
}

static void nothing(void) {}

/* Runs `fn` on the main thread's stack, alone. */
static void run_alone(void (*fn)(void))
{
    E->alone = true;
    E->current = EXPLORE_MAIN;
    struct epoch hb = E->threads[EXPLORE_MAIN].hb;
    prepare_thread(EXPLORE_MAIN, fn ? fn : nothing);
    epoch_join(&E->threads[EXPLORE_MAIN].hb, &hb);
    E->threads[EXPLORE_MAIN].started = true;
    switch (_setjmp(E->home)) {
    case 0:
        setcontext(&E->threads[EXPLORE_MAIN].first);
        abort();
    case 1:
        E->alone = false;
        return;
    default:
        E->alone = false;
        E->threads[EXPLORE_MAIN].exists = false;
    }
}

/* False: dropped in the middle (pruned, or failed). */
static bool execute(void)
{
    memcpy(&__data_start, E->snapshot, (size_t)(&_end - &__data_start));
    memory_reset();
    E->depth = 0;
    E->last_thread = 0;
    memset(E->flusher_past, 0, sizeof E->flusher_past);
    for (size_t i = 0; i < sizeof E->fds / sizeof E->fds[0]; i++)
        E->fds[i] = -1;
    memset(&E->threads[EXPLORE_MAIN].hb, 0, sizeof(struct epoch));
    for (int t = 0; t < EXPLORE_MAIN; t++)
        prepare_thread(t, NULL);

    run_alone(before_setup);
    if (E->result.failed)
        return false;
    for (int t = 0; t < EXPLORE_MAIN; t++) {
        prepare_thread(t, E->model->threads[t]);
        epoch_join(&E->threads[t].hb, &E->threads[EXPLORE_MAIN].hb);
    }
    E->threads[EXPLORE_MAIN].hb.of[EXPLORE_MAIN]++;
    int how = _setjmp(E->home);
    if (how == 0)
        dispatch(NULL);
    if (how == 1)
        return false;
    for (int t = 0; t < EXPLORE_MAIN; t++)
        epoch_join(&E->threads[EXPLORE_MAIN].hb, &E->threads[t].hb);
    run_alone(E->model->check);
    if (E->result.failed)
        return false;
    const char *leak = E->model->may_leak ? NULL : memory_leak();
    if (!leak && !E->model->may_leak && explore_fds_open() > 0)
        leak = "leak: an fd is left open";
    if (leak) {
        snprintf(E->result.message, sizeof E->result.message, "%s", leak);
        E->result.failed = true;
        return false;
    }
    return true;
}

/* The deepest step where something is left to try becomes the end of the next prefix. */
static bool next_prefix(void)
{
    for (int d = E->depth - 1; d >= 0; d--) {
        struct node *node = &E->nodes[d];
        node->done |= 1u << node->actor;
        unsigned left = node->backtrack & ~node->done & ~node->sleep;
        if (left) {
            node->actor = __builtin_ctz(left);
            E->prefix = d + 1;
            return true;
        }
    }
    return false;
}

static void explore_all(void)
{
    struct result *r = &E->result;
    E->prefix = 0;
    for (;;) {
        r->executions += execute();
        if (r->failed)
            return;
        if (!next_prefix()) {
            r->complete = E->options.mode == MODE_FULL;
            return;
        }
        if (r->executions + r->pruned >= E->options.executions_max)
            return;
    }
}

static void explore_randomly(void)
{
    for (uint64_t i = 0; i < E->options.executions_max && !E->result.failed; i++) {
        E->random = (E->options.seed + i) * UINT64_C(0x9E3779B97F4A7C15) + 1;
        next_random(2);
        E->stickiness = next_random(4) * 64;
        E->prefix = 0;
        E->result.executions += execute();
    }
}

void engine_explore(const struct explore_model *model, const struct options *options,
                    struct result *ret)
{
    E->model = model;
    E->options = *options;
    E->result = (struct result){0};
    explore_bug = options->bug;
    memcpy(E->snapshot, &__data_start, (size_t)(&_end - &__data_start));
    if (options->mode == MODE_RANDOM) {
        explore_randomly();
    } else if (options->mode == MODE_REPLAY) {
        E->prefix = report_parse(options->replay, E->nodes, STEPS_MAX);
        E->result.executions += execute();
    } else {
        explore_all();
    }
    memcpy(&__data_start, E->snapshot, (size_t)(&_end - &__data_start));
    explore_bug = 0;
    *ret = E->result;
}

/* ---- crashes and hangs of the code under test -------------------------------------------------
 */

static void on_crash(int number)
{
    static const char *const names[] = {[SIGSEGV] = "SIGSEGV",
                                        [SIGBUS] = "SIGBUS",
                                        [SIGABRT] = "SIGABRT",
                                        [SIGFPE] = "SIGFPE",
                                        [SIGILL] = "SIGILL"};
    if (!E->inside) {
        signal(number, SIG_DFL);
        raise(number);
        return;
    }
    explore_fail("crash: %s", names[number]);
}

/* A thread that goes on for seconds of processor time without a step will not come to one. */
static void on_alarm(int number)
{
    (void)number;
    uint64_t now = E->result.steps + E->result.executions + E->result.pruned;
    if (E->inside && E->seen_by_alarm == now)
        explore_fail("hang: thread %d runs for seconds without a step", E->current);
    E->seen_by_alarm = now;
}

static void catch_signals(void)
{
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
    stack_t stack = {.ss_size = STACK_SIZE};
    stack.ss_sp =
        mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sigaltstack(&stack, NULL);
    struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_ONSTACK | SA_NODEFER};
    for (size_t i = 0; i < sizeof crashes / sizeof crashes[0]; i++)
        sigaction(crashes[i], &action, NULL);
    action.sa_handler = on_alarm;
    action.sa_flags |= SA_RESTART;
    sigaction(SIGPROF, &action, NULL);
    struct itimerval every = {{10, 0}, {10, 0}};
    setitimer(ITIMER_PROF, &every, NULL);
}

void engine_init(void)
{
    size_t data = (size_t)(&_end - &__data_start);
    size_t size = sizeof(struct engine) + data + (size_t)EXPLORE_THREADS * STACK_SIZE;
    char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                    -1, 0);
    if (at == MAP_FAILED) {
        perror("mmap");
        exit(2);
    }
    E = (struct engine *)at;
    E->snapshot = at + sizeof(struct engine) + (size_t)EXPLORE_THREADS * STACK_SIZE;
    for (int t = 0; t < EXPLORE_THREADS; t++)
        E->threads[t].stack = at + sizeof(struct engine) + (size_t)t * STACK_SIZE;
    memory_init();
    catch_signals();
}
