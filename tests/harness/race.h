/*
 * race.h: contexts that end at a random moment around the operations of several tasks at once. It breaks the promise
 * of every adapter: that a cancel hits what it was meant for, and nothing else.
 *
 * A round is one operation under a context whose time is random, whose answer the operation checks itself, and on
 * the same connection, at once, a control operation under no such context, which must get its own answer. What a
 * cancel leaves behind is there: a reply that came too late, a cancel request, an interrupt.
 *
 * CEASE_RACE=N in the environment: N rounds instead of the test's own number (make race-pg and its like: a million).
 */
#ifndef HARNESS_RACE_H
#define HARNESS_RACE_H

#include "harness.h"

#include <cease/context.h>
#include <cease/group.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { RACERS = 4 };

struct race;

struct racer {
    const struct race *race;
    int index;
    uint64_t random;
    long rounds, cut;
};

struct race {
    const char *what; /* "queries" */
    long rounds;
    uint32_t time_max_us;
    bool
        some_unbounded; /* no operation lasts for ever: one context in three has all the time in the world */
    /* Lends a connection, and takes it back; give may be NULL. */
    void *(*take)(struct racer *r);
    void (*give)(struct racer *r, void *db);
    /* One operation of a random kind, which checks what it was given; CEASE_OK or the context's error. */
    cease_error (*ask)(cease_ctx *ctx, void *db, struct racer *r);
    void (*check)(void *db); /* the control operation */
    void *arg;
};

static inline uint64_t race_random(struct racer *r)
{
    r->random = r->random * 6364136223846793005u + 1442695040888963407u;
    return r->random >> 33;
}

/* How many rounds: `wanted`, a fraction of it where everything is slow, or what the environment says. */
static inline long race_rounds(long wanted)
{
    const char *text = getenv("CEASE_RACE");
    return text ? strtol(text, NULL, 10) : harness_is_slow() ? wanted / 5 : wanted;
}

static inline cease_error race_one(cease_ctx *parent, void *arg)
{
    struct racer *r = (struct racer *)arg;
    const struct race *race = r->race;
    for (long i = 0; i < r->rounds; i++) {
        cease_canceler *stop;
        void *db = race->take(r);
        cease_dur time = cease_us((int64_t)(race_random(r) % race->time_max_us));
        bool bounded = !race->some_unbounded || race_random(r) % 3 != 0;
        cease_ctx *ctx = cease_with_timeout(parent, bounded ? time : CEASE_FOREVER, &stop);
        cease_error e = race->ask(ctx, db, r);
        if (e != CEASE_OK)
            CHECK_ERR(e, CEASE_EDEADLINE);
        r->cut += e != CEASE_OK;
        race->check(db); /* the canceller may still be on its way */
        cease_end(stop);
        if (race->give)
            race->give(r, db);
    }
    return CEASE_OK;
}

/* Says how it went, on a line that the caller ends. */
static inline void race_run(const struct race *race)
{
    struct racer racers[RACERS];
    cease_time began = cease_now();
    cease_group *group = cease_group_new(cease_background(), NULL);
    for (int i = 0; i < RACERS; i++) {
        racers[i] = (struct racer){.race = race,
                                   .index = i,
                                   .random = (uint64_t)i + 1,
                                   .rounds = (race->rounds + RACERS - 1 - i) / RACERS};
        CHECK_OK(cease_group_go(group, race_one, &racers[i]));
    }
    CHECK_OK(cease_group_wait(group));
    cease_group_free(group);
    long cut = 0;
    for (int i = 0; i < RACERS; i++)
        cut += racers[i].cut;
    printf("%ld %s, %ld cut, in %.1f s", race->rounds, race->what, cut,
           (double)cease_time_sub(cease_now(), began).ns / 1e9);
    CHECK(cut > 0);
}

#endif
