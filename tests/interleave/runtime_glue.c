/* SPDX-License-Identifier: MIT */
#include "runtime_glue.h"

#include "base/futex.h"
#include "context/ctx.h"
#include "runtime/park.h"
#include "runtime/runtime.h"
#include "runtime/virtual.h"

#include <cease/hooks.h>
#include <string.h>

bool ceasei_rt_debug;

cease_ctx *glue_root;
void (*glue_between_tasks)(struct ceasei_task *parked);

static cease_canceler *root_stop;
static struct ceasei_task tasks[2] = {{.id = 1}, {.id = 2}};
static uint32_t ready[2];
static struct {
    struct ceasei_task_start start;
    uint32_t is_there; /* 2: there will be none */
} started[4];
static uint32_t started_count;

/* A repeatable select: its order is drawn from here. */
struct ceasei_virtual ceasei_virtual = {.on = 1};

uint32_t ceasei_virtual_random(void)
{
    return 0;
}

/* ---- waiting: see runtime/park.h -------------------------------------------------------------- */

struct ceasei_task *ceasei_sched_self(void)
{
    return explore_current() < 2 ? &tasks[explore_current()] : NULL;
}

struct ceasei_task *ceasei_task_self(void)
{
    return ceasei_sched_self();
}

void ceasei_sched_block(struct ceasei_task *self)
{
    uint32_t *word = &ready[self - tasks];
    if (glue_between_tasks)
        glue_between_tasks(self);
    while (!ceasei_load(word, ACQUIRE))
        ceasei_futex_wait(word, 0);
    ceasei_store(word, 0, RELAXED);
}

void ceasei_sched_ready(struct ceasei_task *task)
{
    EXPLORE_CHECK(ceasei_swap(&ready[task - tasks], 1, ACQ_REL) == 0);
    ceasei_futex_wake(&ready[task - tasks], 1);
}

static const cease_hooks hooks = {
    .size = sizeof hooks,
    .park = ceasei_park,
    .wake = ceasei_wake,
};

/* ---- starting --------------------------------------------------------------------------------- */

cease_error ceasei_task_start(const struct ceasei_task_start *start)
{
    uint32_t n = ceasei_add(&started_count, 1, RELAXED);
    EXPLORE_CHECK(n < sizeof started / sizeof *started);
    started[n].start = *start;
    ceasei_store(&started[n].is_there, 1, RELEASE);
    ceasei_futex_wake(&started[n].is_there, 1);
    return CEASE_OK;
}

void glue_no_more_tasks(void)
{
    uint32_t n = ceasei_load(&started_count, RELAXED);
    ceasei_store(&started[n].is_there, 2, RELEASE);
    ceasei_futex_wake(&started[n].is_there, 1);
}

bool glue_run_task(unsigned n)
{
    struct ceasei_task *self = ceasei_task_self();
    while (!ceasei_load(&started[n].is_there, ACQUIRE))
        ceasei_futex_wait(&started[n].is_there, 0);
    if (ceasei_load(&started[n].is_there, RELAXED) == 2)
        return false;
    const struct ceasei_task_start *s = &started[n].start;
    self->done = s->done;
    self->owner = s->owner;
    self->place = s->place;
    cease_error result = s->fn(s->ctx, s->arg);
    self->done(self->owner, result);
    self->done = NULL;
    return true;
}

void ceasei_runtime_check_fork(void) {}

void ceasei_spend(void) {}

void cease_yield(void)
{
    explore_note("yield");
}

/* ---- a model's begin and end ------------------------------------------------------------------ */

void glue_start(void)
{
    cease_hooks_install(&hooks);
    glue_root = cease_with_cancel(cease_background(), &root_stop);
}

void glue_cancel(void)
{
    cease_cancel(root_stop);
}

void glue_end(void)
{
    cease_end(root_stop);
    EXPLORE_CHECK(cease_live_count() == 0);
}

void glue_nothing(void) {}
