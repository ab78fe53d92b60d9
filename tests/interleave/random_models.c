/* SPDX-License-Identifier: MIT
 *
 * random_models.c: does the search leave anything out? Random programs of two or three threads are
 * explored twice: in full mode, which skips what it takes to be equal to something seen, and in
 * bounded mode without a bound, which skips nothing. Both must end with exactly the same outcomes,
 * with and without store buffers.
 */
#include "random_models.h"
#include "explore.h"

#include <string.h>

enum { OPS_MAX = 4, VARIABLES = 2 };

enum kind { LOAD, STORE, STORE_STRONG, ADD, CAS, LOCKED, FENCE, KINDS };

static struct {
    enum kind kind;
    unsigned variable;
    uint32_t value;
} program[3][OPS_MAX];
static unsigned ops[3];
static uint32_t variables[VARIABLES];
static uint32_t seen[3][OPS_MAX];
static struct ceasei_lock lock;
static struct random_outcomes *outcomes;

static uint32_t run_op(unsigned t, unsigned i)
{
    uint32_t *at = &variables[program[t][i].variable], value = program[t][i].value, old = 0;
    switch (program[t][i].kind) {
    case LOAD:
        return ceasei_load(at, ACQUIRE);
    case STORE:
        ceasei_store(at, value, RELEASE);
        return 0;
    case STORE_STRONG:
        ceasei_store(at, value, SEQ_CST);
        return 0;
    case ADD:
        return ceasei_add(at, value, ACQ_REL);
    case CAS:
        ceasei_cas(at, &old, value, SEQ_CST);
        return old;
    case LOCKED:
        ceasei_lock(&lock);
        old = ceasei_load(at, RELAXED);
        ceasei_store(at, old + value, RELAXED);
        ceasei_unlock(&lock);
        return old;
    default:
        ceasei_fence(SEQ_CST);
        return 0;
    }
}

static void run_thread(void)
{
    unsigned t = (unsigned)explore_current();
    for (unsigned i = 0; i < ops[t]; i++)
        seen[t][i] = run_op(t, i);
}

static void mix(uint64_t *hash, const void *data, size_t size)
{
    for (const unsigned char *p = data; size-- > 0; p++)
        *hash = (*hash ^ *p) * UINT64_C(0x100000001b3);
}

/* The set is outside of what is put back between executions. */
static void remember(void)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    mix(&hash, variables, sizeof variables);
    mix(&hash, seen, sizeof seen);
    for (unsigned i = 0; i < outcomes->count; i++)
        if (outcomes->of[i] == hash)
            return;
    if (outcomes->count == RANDOM_OUTCOMES_MAX)
        explore_fail("more outcomes than there is room for");
    outcomes->of[outcomes->count++] = hash;
}

const struct explore_model *random_model(uint64_t seed, struct random_outcomes *into)
{
    static struct explore_model model;
    uint64_t x = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    unsigned threads = 2 + seed % 2;
    model = (struct explore_model){.name = "self_random", .check = remember};
    for (unsigned t = 0; t < threads; t++) {
        model.threads[t] = run_thread;
        ops[t] = (threads == 2 ? OPS_MAX : 2);
        for (unsigned i = 0; i < ops[t]; i++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            program[t][i].kind = (enum kind)((x >> 8) % KINDS);
            program[t][i].variable = (unsigned)((x >> 20) % VARIABLES);
            program[t][i].value = (uint32_t)(1 + t * OPS_MAX + i);
        }
    }
    into->count = 0;
    outcomes = into;
    return &model;
}

static bool has(const struct random_outcomes *set, uint64_t hash)
{
    for (unsigned i = 0; i < set->count; i++)
        if (set->of[i] == hash)
            return true;
    return false;
}

bool random_outcomes_equal(const struct random_outcomes *a, const struct random_outcomes *b)
{
    bool equal = a->count == b->count;
    for (unsigned i = 0; i < a->count && equal; i++)
        equal = has(b, a->of[i]);
    return equal;
}
