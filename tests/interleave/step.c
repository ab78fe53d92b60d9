/* SPDX-License-Identifier: MIT
 *
 * step.c: what each operation does, to memory and to the order of things.
 *
 * The functions that src/base/atomic_explore.h declares turn a call into a struct op and hand it to
 * the engine; step_perform carries one out when the engine has chosen it. Memory itself is always
 * sequentially consistent here; weaker orders show in two ways. In store-buffer mode (TSO) a store
 * that is not SEQ_CST waits in its thread's buffer, which its own loads look into first, and which
 * SEQ_CST stores, fences, locks and all read-modify-writes empty. And everywhere, the release and
 * acquire edges (and nothing else) order plain accesses for the race detector: a RELAXED where a
 * RELEASE is needed is a race, on whatever machine. Not modelled: loads that are late (the detector
 * sees what they would break), stores that overtake stores, spurious failures.
 *
 * A mutation changes what one site does: tears its read-modify-write in two, does not take its
 * lock, makes its order RELAXED.
 */
#include "engine.h"

#include <string.h>

/* ---- orders -----------------------------------------------------------------------------------
 */

static bool acquires(int order)
{
    return order == __ATOMIC_ACQUIRE || order == __ATOMIC_ACQ_REL || order == __ATOMIC_SEQ_CST ||
           order == __ATOMIC_CONSUME;
}

static bool releases(int order)
{
    return order == __ATOMIC_RELEASE || order == __ATOMIC_ACQ_REL || order == __ATOMIC_SEQ_CST;
}

static struct epoch *sync_of(uintptr_t addr)
{
    static struct epoch none; /* a place outside of what is watched orders nothing */
    struct epoch *sync = memory_sync(addr);
    if (sync)
        return sync;
    none = (struct epoch){{0}};
    return &none;
}

static void sync_load(struct thread *t, uintptr_t addr, int order)
{
    epoch_join(acquires(order) ? &t->hb : &t->hb_acquire, sync_of(addr));
}

static struct epoch sync_to_store(const struct thread *t, int order)
{
    return releases(order) ? t->hb : t->hb_release;
}

static void sync_rmw(struct thread *t, uintptr_t addr, int order)
{
    sync_load(t, addr, order);
    struct epoch mine = sync_to_store(t, order);
    epoch_join(sync_of(addr), &mine); /* what it continues stays released */
}

static void sync_fence(struct thread *t, int order)
{
    if (acquires(order))
        epoch_join(&t->hb, &t->hb_acquire);
    if (releases(order))
        t->hb_release = t->hb;
}

/* ---- memory -----------------------------------------------------------------------------------
 */

static uint64_t peek(uintptr_t addr, size_t size)
{
    switch (size) {
    case 1:
        return *(const volatile uint8_t *)addr;
    case 2:
        return *(const volatile uint16_t *)addr;
    case 4:
        return *(const volatile uint32_t *)addr;
    default:
        return *(const volatile uint64_t *)addr;
    }
}

static uint64_t cut(uint64_t value, size_t size)
{
    return size >= 8 ? value : value & ((UINT64_C(1) << (8 * size)) - 1);
}

/* Who spins on this place may go on. */
static void tell_watchers(int actor, uintptr_t addr)
{
    for (int q = 0; q < EXPLORE_MAIN; q++) {
        struct thread *t = &E->threads[q];
        if (q == actor % EXPLORE_THREADS)
            continue;
        for (unsigned i = 0; i < t->watched_count; i++)
            t->watch_changed |= t->watched[i] == addr / 8;
    }
}

static void poke(int actor, uintptr_t addr, size_t size, uint64_t value)
{
    value = cut(value, size);
    if (peek(addr, size) == value)
        return;
    switch (size) {
    case 1:
        *(volatile uint8_t *)addr = (uint8_t)value;
        break;
    case 2:
        *(volatile uint16_t *)addr = (uint16_t)value;
        break;
    case 4:
        *(volatile uint32_t *)addr = (uint32_t)value;
        break;
    default:
        *(volatile uint64_t *)addr = value;
    }
    tell_watchers(actor, addr);
}

static void watch(struct thread *t, uintptr_t addr)
{
    for (unsigned i = 0; i < t->watched_count; i++)
        if (t->watched[i] == addr / 8)
            return;
    if (t->watched_count == WATCHED_MAX)
        t->watch_changed = true; /* too many to tell: let it spin */
    else
        t->watched[t->watched_count++] = addr / 8;
}

static void touch(int actor, const struct op *op, bool write)
{
    memory_access(actor % EXPLORE_THREADS, op->addr, op->size, write, true, op->site, true);
}

/* ---- operations -------------------------------------------------------------------------------
 */

static void perform_load(int actor, struct op *op)
{
    struct thread *t = &E->threads[actor];
    watch(t, op->addr);
    for (unsigned i = t->buffered; i-- > 0;)
        if (t->buffer[i].op.addr == op->addr) {
            op->result = t->buffer[i].op.operand;
            return;
        }
    touch(actor, op, false);
    op->result = peek(op->addr, op->size);
    sync_load(t, op->addr, op->order);
}

static void perform_buffer(struct thread *t, const struct op *op)
{
    struct entry *entry = &t->buffer[t->buffered++];
    int number = (int)(t - E->threads);
    *entry =
        (struct entry){.op = *op, .sync = sync_to_store(t, op->order), .clock = t->hb.of[number]};
    entry->op.kind = OP_FLUSH;
    entry->op.touches = entry->op.writes = true;
}

static void perform_flush(int actor)
{
    struct thread *t = &E->threads[actor - EXPLORE_THREADS];
    struct entry entry = t->buffer[0];
    memmove(t->buffer, t->buffer + 1, --t->buffered * sizeof entry);
    memory_access_of(actor - EXPLORE_THREADS, entry.clock, entry.op.addr, entry.op.size, true, true,
                     entry.op.site, true);
    poke(actor, entry.op.addr, entry.op.size, entry.op.operand);
    *sync_of(entry.op.addr) = entry.sync;
}

static void perform_store(int actor, const struct op *op)
{
    struct thread *t = &E->threads[actor];
    touch(actor, op, true);
    poke(actor, op->addr, op->size, op->operand);
    *sync_of(op->addr) = sync_to_store(t, op->order);
}

static void perform_rmw(int actor, struct op *op)
{
    struct thread *t = &E->threads[actor];
    touch(actor, op, true);
    watch(t, op->addr);
    uint64_t old = peek(op->addr, op->size), v = op->operand;
    sync_rmw(t, op->addr, op->order);
    switch ((enum explore_rmw)op->rmw) {
    case EXPLORE_SWAP:
        break;
    case EXPLORE_ADD:
        v = old + v;
        break;
    case EXPLORE_SUB:
        v = old - v;
        break;
    case EXPLORE_OR:
        v = old | v;
        break;
    case EXPLORE_AND:
        v = old & v;
        break;
    }
    op->writes = cut(v, op->size) != old || op->rmw == EXPLORE_SWAP;
    poke(actor, op->addr, op->size, v);
    op->result = old;
}

static void perform_cas(int actor, struct op *op)
{
    struct thread *t = &E->threads[actor];
    uint64_t old = peek(op->addr, op->size);
    op->result = old;
    op->writes = old == op->expected;
    touch(actor, op, op->writes);
    if (op->writes) {
        sync_rmw(t, op->addr, op->order);
        poke(actor, op->addr, op->size, op->operand);
    } else {
        watch(t, op->addr);
        sync_load(t, op->addr,
                  op->order == __ATOMIC_ACQ_REL   ? __ATOMIC_ACQUIRE
                  : op->order == __ATOMIC_RELEASE ? __ATOMIC_RELAXED
                                                  : op->order);
    }
}

static void perform_lock(int actor, struct op *op)
{
    struct thread *t = &E->threads[actor];
    touch(actor, op, true);
    watch(t, op->addr); /* who spins on what it reads under the lock: until another has had it */
    poke(actor, op->addr, op->size, 1);
    if (op->order != __ATOMIC_RELAXED)
        epoch_join(&t->hb, sync_of(op->addr));
}

static void perform_wake(struct op *op)
{
    op->result = 0;
    for (int q = 0; q < EXPLORE_MAIN && op->result < op->operand; q++) {
        struct thread *t = &E->threads[q];
        if (t->op.kind == OP_SLEEP && t->exists && !t->ended && !t->woken &&
            t->op.addr == op->addr) {
            t->woken = true;
            op->result++;
        }
    }
}

static void perform_relax(struct thread *t)
{
    t->watched_count = 0;
    t->watch_changed = false;
    t->changed_by = (struct past){{0}};
}

void step_perform(int actor, struct op *op)
{
    struct thread *t = &E->threads[actor % EXPLORE_THREADS];
    switch (op->kind) {
    case OP_START:
    case OP_DRAIN:
    case OP_NOTE:
        break;
    case OP_LOAD:
        perform_load(actor, op);
        break;
    case OP_STORE:
    case OP_UNLOCK:
        perform_store(actor, op);
        break;
    case OP_BUFFER:
        perform_buffer(t, op);
        break;
    case OP_FLUSH:
        perform_flush(actor);
        return; /* the thread's own clock and operation stay */
    case OP_RMW:
        perform_rmw(actor, op);
        break;
    case OP_CAS:
        perform_cas(actor, op);
        break;
    case OP_FENCE:
        sync_fence(t, op->order);
        break;
    case OP_RELAX:
        perform_relax(t);
        break;
    case OP_LOCK:
        perform_lock(actor, op);
        break;
    case OP_WAIT:
        touch(actor, op, false);
        op->result = peek(op->addr, op->size);
        t->woken = false;
        break;
    case OP_SLEEP:
        t->woken = false;
        t->changed_by = (struct past){{0}};
        break;
    case OP_WAKE:
        perform_wake(op);
        break;
    }
    t->op.result = op->result;
    t->hb.of[actor]++;
}

bool step_enabled(int actor)
{
    const struct thread *t = &E->threads[actor % EXPLORE_THREADS];
    if (actor >= EXPLORE_THREADS)
        return t->buffered > 0;
    if (t->op.drains && t->buffered > 0)
        return false;
    switch (t->op.kind) {
    case OP_LOCK:
        return *(const volatile uint32_t *)t->op.addr == 0;
    case OP_RELAX:
        return t->watch_changed;
    case OP_SLEEP:
        return t->woken;
    case OP_BUFFER:
        return t->buffered < BUFFER_MAX;
    default:
        return true;
    }
}

struct op step_pending(int actor)
{
    struct thread *t = &E->threads[actor % EXPLORE_THREADS];
    return actor < EXPLORE_THREADS ? t->op : t->buffer[0].op;
}

/* What must have come before the pending step, its conflicts aside. */
struct past step_pending_past(int actor)
{
    const struct thread *t = &E->threads[actor % EXPLORE_THREADS];
    if (actor >= EXPLORE_THREADS) {
        struct past past = E->flusher_past[actor - EXPLORE_THREADS];
        past_join(&past, &t->buffer[0].past);
        return past;
    }
    struct past past = t->past;
    if (t->op.drains || (t->op.kind == OP_BUFFER && t->buffered > 0))
        past_join(&past, &E->flusher_past[actor]);
    if (t->op.kind == OP_RELAX || t->op.kind == OP_SLEEP)
        past_join(&past, &t->changed_by);
    return past;
}

/* ---- what the code under test calls -----------------------------------------------------------
 */

void step_remember_site(const struct explore_site *site, unsigned mutations)
{
    for (int i = 0; i < E->site_count; i++)
        if (E->sites[i] == site) {
            E->site_mutations[i] |= mutations;
            return;
        }
    if (E->site_count < SITES_MAX) {
        E->sites[E->site_count] = site;
        E->site_mutations[E->site_count++] = mutations;
    }
}

static bool mutated(const struct explore_site *site, enum mutation how, bool sensible)
{
    if (!E->alone && sensible && E->options.mutation == MUTATE_NOTHING)
        step_remember_site(site, 1u << how);
    return E->options.mutation == how && E->options.mutated == site;
}

static int order_of(const struct explore_site *site, int order)
{
    bool relaxed = mutated(site, MUTATE_RELAX, order != __ATOMIC_RELAXED);
    return relaxed ? __ATOMIC_RELAXED : order;
}

static uint64_t step(struct op op)
{
    engine_step(op);
    return E->threads[E->current].op.result;
}

uint64_t explore_load(const struct explore_site *site, const volatile void *p, size_t size,
                      int order)
{
    return step((struct op){.kind = OP_LOAD,
                            .order = order_of(site, order),
                            .size = (uint8_t)size,
                            .touches = true,
                            .addr = (uintptr_t)p,
                            .site = site});
}

static void store(const struct explore_site *site, uintptr_t addr, size_t size, uint64_t value,
                  int order, bool unlocks)
{
    /* Not on the thread's own stack: plain stores are not buffered, so that one of a later frame
     * could be overtaken by what is still in the buffer for an earlier one. */
    const char *stack = E->threads[E->current].stack;
    bool own_stack = addr - (uintptr_t)stack < STACK_SIZE;
    bool buffered = E->options.tso && !E->alone && order != __ATOMIC_SEQ_CST && !own_stack;
    step((struct op){.kind = buffered  ? OP_BUFFER
                             : unlocks ? OP_UNLOCK
                                       : OP_STORE,
                     .order = order,
                     .size = (uint8_t)size,
                     .drains = !buffered,
                     .touches = !buffered,
                     .writes = !buffered,
                     .unlocks = unlocks,
                     .addr = addr,
                     .operand = cut(value, size),
                     .site = site});
}

void explore_store(const struct explore_site *site, volatile void *p, size_t size, uint64_t value,
                   int order)
{
    store(site, (uintptr_t)p, size, value, order_of(site, order), false);
}

static struct op change(enum op_kind kind, const struct explore_site *site, volatile void *p,
                        size_t size, int order)
{
    return (struct op){.kind = kind,
                       .order = order_of(site, order),
                       .size = (uint8_t)size,
                       .drains = true,
                       .touches = true,
                       .writes = true,
                       .addr = (uintptr_t)p,
                       .site = site};
}

uint64_t explore_rmw(const struct explore_site *site, volatile void *p, size_t size,
                     enum explore_rmw what, uint64_t operand, int order)
{
    if (mutated(site, MUTATE_TEAR, true)) {
        uint64_t old = explore_load(site, p, size, order), v = operand;
        v = what == EXPLORE_SWAP  ? v
            : what == EXPLORE_ADD ? old + v
            : what == EXPLORE_SUB ? old - v
            : what == EXPLORE_OR  ? (old | v)
                                  : (old & v);
        explore_store(site, p, size, v, order);
        return old;
    }
    struct op op = change(OP_RMW, site, p, size, order);
    op.rmw = (uint8_t)what;
    op.operand = operand;
    return step(op);
}

bool explore_cas(const struct explore_site *site, volatile void *p, void *expected,
                 uint64_t desired, unsigned size_order)
{
    size_t size = size_order & 0xff;
    int order = (int)(size_order >> 8);
    uint64_t old, want = peek((uintptr_t)expected, size);
    if (mutated(site, MUTATE_TEAR, true)) {
        old = explore_load(site, p, size, order);
        if (old == want)
            explore_store(site, p, size, desired, order);
    } else {
        struct op op = change(OP_CAS, site, p, size, order);
        op.expected = want;
        op.operand = cut(desired, size);
        old = step(op);
    }
    if (old == want)
        return true;
    memcpy(expected, &old, size); /* little-endian, as everything here */
    return false;
}

void explore_fence(const struct explore_site *site, int order)
{
    order = order_of(site, order);
    step((struct op){
        .kind = OP_FENCE, .order = order, .drains = order == __ATOMIC_SEQ_CST, .site = site});
}

void explore_relax(const struct explore_site *site)
{
    step((struct op){.kind = OP_RELAX, .site = site});
}

void step_plain(uintptr_t addr, size_t size)
{
    static const struct explore_site site = {"", 0, "plain", "an access to what it has buffered"};
    const struct thread *t = &E->threads[E->current];
    for (unsigned i = 0; i < t->buffered; i++)
        if (t->buffer[i].op.addr < addr + size &&
            addr < t->buffer[i].op.addr + t->buffer[i].op.size) {
            step((struct op){.kind = OP_DRAIN, .drains = true, .site = &site});
            return;
        }
}

void explore_note(const char *text)
{
    static const struct explore_site site = {"", 0, "", "note"};
    (void)text;
    step((struct op){.kind = OP_NOTE, .site = &site});
}

void explore_lock(const struct explore_site *site, uint32_t *word)
{
    struct thread *t = &E->threads[E->current];
    if (mutated(site, MUTATE_ELIDE, true))
        for (size_t i = 0; i < sizeof t->elided / sizeof t->elided[0]; i++)
            if (!t->elided[i]) {
                t->elided[i] = (uintptr_t)word;
                return;
            }
    step(change(OP_LOCK, site, word, sizeof *word, __ATOMIC_SEQ_CST));
}

void explore_unlock(const struct explore_site *site, uint32_t *word)
{
    struct thread *t = &E->threads[E->current];
    for (size_t i = 0; i < sizeof t->elided / sizeof t->elided[0]; i++)
        if (t->elided[i] == (uintptr_t)word) {
            t->elided[i] = 0;
            return;
        }
    store(site, (uintptr_t)word, sizeof *word, 0, order_of(site, __ATOMIC_RELEASE), true);
}

void explore_futex_wait(const struct explore_site *site, uint32_t *word, uint32_t expected)
{
    uint64_t value = step(change(OP_WAIT, site, word, sizeof *word, __ATOMIC_RELAXED));
    if (value != expected)
        return;
    struct op op = {.kind = OP_SLEEP, .addr = (uintptr_t)word, .site = site};
    engine_step(op);
}

void explore_futex_wake(const struct explore_site *site, uint32_t *word, int count)
{
    struct op op = change(OP_WAKE, site, word, sizeof *word, __ATOMIC_RELAXED);
    op.operand = (uint64_t)count;
    step(op);
}
