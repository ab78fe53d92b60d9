/* SPDX-License-Identifier: MIT
 *
 * atomic_explore.h: what atomic.h is when a source is compiled for the interleaving explorer.
 *
 * Included by atomic.h under CEASE_INTERLEAVE and by nothing else; the functions are defined in
 * tests/interleave. Every operation becomes a call that first hands control to the explorer's
 * scheduler, which decides whose operation is carried out next, and then performs it on the real
 * memory. Operands travel as 64-bit words: integers, enums, bools and pointers of up to 8 bytes.
 *
 * The site (file, line, function, operand's text) is static, so its address names the place in the
 * source: traces print it, and the mutations that seed bugs choose by it.
 */
#ifndef CEASE_BASE_ATOMIC_EXPLORE_H
#define CEASE_BASE_ATOMIC_EXPLORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct explore_site {
    const char *file;
    int line;
    const char *function;
    const char *text;
};

enum explore_rmw { EXPLORE_SWAP, EXPLORE_ADD, EXPLORE_SUB, EXPLORE_OR, EXPLORE_AND };

uint64_t explore_load(const struct explore_site *site, const volatile void *p, size_t size,
                      int order);
void explore_store(const struct explore_site *site, volatile void *p, size_t size, uint64_t value,
                   int order);
uint64_t explore_rmw(const struct explore_site *site, volatile void *p, size_t size,
                     enum explore_rmw what, uint64_t operand, int order);
/* `size_order`: size in the low byte, order above it. */
bool explore_cas(const struct explore_site *site, volatile void *p, void *expected,
                 uint64_t desired, unsigned size_order);
void explore_fence(const struct explore_site *site, int order);
void explore_relax(const struct explore_site *site);
void explore_futex_wait(const struct explore_site *site, uint32_t *word, uint32_t expected);
void explore_futex_wake(const struct explore_site *site, uint32_t *word, int count);

/* The seeded bug that this run has, 0: none. See CEASE_SEED_BUG. */
extern int explore_bug;

/* One for each protocol at least; what each does is said at the models that must find it. */
enum explore_bug {
    BUG_SELF = 1,
    BUG_DERIVE,
    BUG_CANCEL,
    BUG_END,
    BUG_SHARES,
    BUG_UNREF,
    BUG_WATCH_ADD,
    BUG_WATCH_REMOVE,
    BUG_REMOVE_SYNC,
    BUG_AFTER_STOP,
    BUG_DONE_FD,
    BUG_FIRE,
    BUG_LAZY,
    BUG_MERGE,
    BUG_GRACE,
    BUG_STRIPES,
    BUG_FORK,
    BUG_PARK,
    BUG_CHAN,
    BUG_COMMIT,
    BUG_SELECT,
    BUG_GROUP,
    BUG_TIMER,
    BUG_STEAL,
    BUG_SLEEP,
    BUG_SEARCH,
    BUG_NAP,
    BUG_WATCH,
    BUG_WATCH_LEFT,
    BUG_BIAS_FENCE,
    BUG_BIAS_WAIT,
    BUG_MUTEX,
    BUG_MUTEX_MARK,
    BUG_SEMAPHORE,
    BUG_COND,
    BUG_WAIT_GROUP,
    BUG_FD_ENTER,
    BUG_FD_QUEUE,
    BUG_POLL_CLOSE,
    BUG_UNGUARD,
    BUG_STALE,
    BUG_EXTRA,
    BUG_FLIGHT,
    BUG_GUARD,
    BUG_BLOCK_WAIT,
    BUG_BLOCK_TAKE,
    BUG_BLOCK_LEAVE,
    BUG_CROWD,
    BUG_LONG_RUN,
    BUG_CROWD_COUNT,
};

#define EXPLORE_SITE(what)                                                                     \
    (__extension__({                                                                           \
        static const struct explore_site explore_site_ = {__FILE__, __LINE__, __func__, what}; \
        &explore_site_;                                                                        \
    }))

/* The word that is stored for `v`: pointers and integers alike. */
#define EXPLORE_WORD(v) ((uint64_t)(v))

#define ceasei_load(p, order) \
    ((__typeof__(*(p)))explore_load(EXPLORE_SITE(#p), (p), sizeof *(p), __ATOMIC_##order))
#define ceasei_store(p, v, order) \
    explore_store(EXPLORE_SITE(#p), (p), sizeof *(p), EXPLORE_WORD(v), __ATOMIC_##order)
/* The variable is there so that nobody is warned of a result that is not used. */
#define EXPLORE_RMW(p, what, v, order)                                                      \
    (__extension__({                                                                        \
        __typeof__(*(p)) explore_old_ = (__typeof__(*(p)))explore_rmw(                      \
            EXPLORE_SITE(#p), (p), sizeof *(p), (what), EXPLORE_WORD(v), __ATOMIC_##order); \
        explore_old_;                                                                       \
    }))
#define ceasei_swap(p, v, order)   EXPLORE_RMW(p, EXPLORE_SWAP, v, order)
#define ceasei_add(p, n, order)    EXPLORE_RMW(p, EXPLORE_ADD, n, order)
#define ceasei_sub(p, n, order)    EXPLORE_RMW(p, EXPLORE_SUB, n, order)
#define ceasei_or(p, bits, order)  EXPLORE_RMW(p, EXPLORE_OR, bits, order)
#define ceasei_and(p, bits, order) EXPLORE_RMW(p, EXPLORE_AND, bits, order)
#define ceasei_cas(p, expected, desired, order)                           \
    explore_cas(EXPLORE_SITE(#p), (p), (expected), EXPLORE_WORD(desired), \
                (unsigned)sizeof *(p) | (unsigned)__ATOMIC_##order << 8)
#define ceasei_fence(order) explore_fence(EXPLORE_SITE(#order), __ATOMIC_##order)
#define ceasei_relax()      explore_relax(EXPLORE_SITE("relax"))

#define ceasei_futex_wait(word, expected) \
    explore_futex_wait(EXPLORE_SITE(#word), (word), (expected))
#define ceasei_futex_wake(word, count) explore_futex_wake(EXPLORE_SITE(#word), (word), (count))

/* A point where a protocol can be broken on purpose: the explorer must find each of them. In a
 * normal build it is the constant 0. */
#define CEASE_SEED_BUG(bug) (explore_bug == (bug))

#endif
