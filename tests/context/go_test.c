/* SPDX-License-Identifier: MIT
 *
 * Out to break: what Go's own context tests check and no other file here does. Names in brackets
 * are those of Go's tests; tests/README.md has the table of all of them.
 *
 * Go's "custom contexts" implement its interface by hand, and Go finds out at each derivation how
 * to hear of their end. A cease context is always ours: a foreign *lifetime* pushes its end into a
 * share (struct lifetime below), and foreign *values* are pulled through a source.
 */
#include "harness.h"

#include <cease/hooks.h>
#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static cease_key k1 = CEASE_KEY("k1"), k2 = CEASE_KEY("k2"), k3 = CEASE_KEY("k3");

static const char *describe(const cease_ctx *ctx)
{
    static char text[512];
    cease_describe(ctx, text, sizeof text);
    return text;
}

static int threads_now(void)
{
    DIR *dir = opendir("/proc/self/task");
    if (dir == NULL)
        SKIP("no /proc here");
    int count = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

/* A wrapper that has nothing of its own (Go: otherContext, myCtx). */
static bool has_nothing(void *self, cease_key *key, void **ret_value)
{
    (void)self;
    (void)key;
    (void)ret_value;
    return false;
}
static const cease_source wrapper = {sizeof wrapper, has_nothing, NULL};

static cease_ctx *wrap(cease_ctx *ctx)
{
    return cease_with_source(ctx, &wrapper, NULL);
}

/* ----- values ----- */

static void check_values(const cease_ctx *ctx, const char *v1, const char *v2, const char *v3)
{
    const char *found[] = {cease_value(ctx, &k1), cease_value(ctx, &k2), cease_value(ctx, &k3)};
    const char *wanted[] = {v1, v2, v3};
    for (int i = 0; i < 3; i++)
        CHECK_STR(found[i] != NULL ? found[i] : "none", wanted[i] != NULL ? wanted[i] : "none");
}

/* [TestValues] in Go's own steps, foreign wrappers and text forms included. */
TEST(value_inGosSteps_isFoundHiddenAndDescribedAsInGo)
{
    cease_ctx *c[9] = {cease_background()};
    check_values(c[0], NULL, NULL, NULL);
    c[1] = cease_with_value(c[0], &k1, "c1k1");
    check_values(c[1], "c1k1", NULL, NULL);
    CHECK_STR(describe(c[1]), "background.value(k1)");
    c[2] = cease_with_value(c[1], &k2, "c2k2");
    check_values(c[2], "c1k1", "c2k2", NULL);
    CHECK_STR(describe(c[2]), "background.value(k1).value(k2)");
    c[3] = cease_with_value(c[2], &k3, "c3k3");
    check_values(c[3], "c1k1", "c2k2", "c3k3");
    c[4] = cease_with_value(c[3], &k1, NULL);
    check_values(c[4], NULL, "c2k2", "c3k3");
    CHECK_STR(describe(c[4]), "background.value(k1).value(k2).value(k3).value(k1)");

    c[5] = wrap(cease_background());
    check_values(c[5], NULL, NULL, NULL);
    c[6] = wrap(c[1]);
    check_values(c[6], "c1k1", NULL, NULL);
    cease_ctx *over = cease_with_value(c[6], &k2, "o2k2");
    check_values(over, "c1k1", "o2k2", NULL);
    c[7] = wrap(c[4]);
    check_values(c[7], NULL, "c2k2", "c3k3");
    c[8] = cease_with_value(c[7], &k3, NULL);
    check_values(c[8], NULL, "c2k2", NULL);

    cease_unref(over);
    for (int i = 8; i >= 1; i--)
        cease_unref(c[i]);
    CHECK_EQ(cease_live_count(), 0);
}

/* ----- layers ----- */

enum { LAYERS_MIN = 30, LAYERS_MAX = 200 };
struct layers {
    cease_key keys[LAYERS_MAX];
    cease_ctx *values[LAYERS_MAX];
    cease_canceler *stops[LAYERS_MAX];
    int value_count, stop_count, timer_count;
    cease_ctx *ctx;
};

static void grow_layers(struct layers *l, unsigned *seed, cease_dur timeout)
{
    l->ctx = cease_background();
    for (int i = 0; i < LAYERS_MAX && (i < LAYERS_MIN || l->timer_count == 0 ||
                                       l->stop_count == 0 || l->value_count == 0);
         i++) {
        *seed = *seed * 1103515245 + 12345;
        switch ((*seed >> 16) % 3) {
        case 0: {
            cease_key *key = &l->keys[l->value_count];
            key->name = "layer";
            l->ctx = cease_with_value(l->ctx, key, key);
            l->values[l->value_count++] = l->ctx;
            break;
        }
        case 1:
            l->ctx = cease_with_cancel(l->ctx, &l->stops[l->stop_count++]);
            break;
        default:
            l->ctx = cease_with_timeout(l->ctx, timeout, &l->stops[l->stop_count++]);
            l->timer_count++;
        }
    }
}

static void check_layers(const struct layers *l)
{
    for (int i = 0; i < l->value_count; i++)
        CHECK_PTR(cease_value(l->ctx, (cease_key *)&l->keys[i]), &l->keys[i]);
}

static void drop_layers(struct layers *l)
{
    for (int i = 0; i < l->value_count; i++)
        cease_unref(l->values[i]);
    for (int i = 0; i < l->stop_count; i++)
        cease_end(l->stops[i]);
    /* The timer thread may still hold what it has just ended. */
    CHECK_EVENTUALLY(cease_live_count() == 0);
}

/* [TestLayersCancel] Any canceler in the pile ends the innermost; values stay readable. */
TEST(layers_oneOfThemCancelled_endTheInnermostAndKeepAllValues)
{
    unsigned seed = 3;
    for (int round = 0; round < (harness_is_slow() ? 50 : 500); round++) {
        struct layers l = {.ctx = NULL};
        grow_layers(&l, &seed, cease_hour(1000));
        CHECK(!cease_done(l.ctx));
        CHECK(strncmp(describe(l.ctx), "background.", 11) == 0);
        check_layers(&l);
        cease_cancel(l.stops[(seed >> 9) % (unsigned)l.stop_count]);
        CHECK_ERR(cease_err(l.ctx), CEASE_ECANCELED);
        check_layers(&l);
        drop_layers(&l);
    }
}

/* [TestLayersTimeout] */
TEST(layers_theirTimeIsOver_endTheInnermostAndKeepAllValues)
{
    unsigned seed = 4;
    for (int round = 0; round < (harness_is_slow() ? 10 : 50); round++) {
        struct layers l = {.ctx = NULL};
        grow_layers(&l, &seed, cease_ms(1));
        check_layers(&l);
        CHECK_ERR(cease_wait(l.ctx), CEASE_EDEADLINE);
        check_layers(&l);
        drop_layers(&l);
    }
}

/* ----- the deadline's error ----- */

/* [TestDeadlineExceededSupportsTimeout, TestDeadlineExceededIsNetError] In Go the deadline's error
 * says of itself that it is a timeout, also to package net. Here the code says so: it is one of a
 * kind, and no errno that a peer or the network may report. */
TEST(deadlineError_amongOthers_isToldByItsCode)
{
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ns(0), &stop);
    cease_error e = cease_err(ctx);
    CHECK_ERR(e, CEASE_EDEADLINE);
    CHECK((int)e == -ETIME);
    CHECK(e != CEASE_ECANCELED && e != CEASE_ETIMEDOUT && (int)e != -ETIMEDOUT);
    CHECK_STR(cease_strerror(e), "context deadline exceeded");
    CHECK_STR(cease_error_name(e), "CEASE_EDEADLINE");
}

/* ----- TestCause ----- */

enum { PARENTS = 101, CHILDS = 102, TOO_SLOW = 103, FINISHED = 104 };

/* One row of Go's table: makes a parent and perhaps a child, ends them in some order, and looks at
 * the last one. A step is one of:  P C  cancel the parent, the child with its cause;  p c  without
 * one. */
struct cause_row {
    const char *name, *steps;
    cease_error error;
    int code;
};

static void check_row(const char *name, const cease_ctx *ctx, cease_error error, int code)
{
    const cease_cause *cause = cease_cause_of(ctx);
    if (cease_err(ctx) != error || (cause != NULL ? cause->code : 0) != code)
        harness_fail(__FILE__, __LINE__, "%s: error %s and cause %d, not %s and %d", name,
                     cease_error_name(cease_err(ctx)), cause != NULL ? cause->code : 0,
                     cease_error_name(error), code);
}

static void take_step(char step, cease_canceler *parent_stop, cease_canceler *child_stop)
{
    if (step == 'P')
        cease_cancel_cause(parent_stop, PARENTS, "parentCause");
    else if (step == 'p')
        cease_cancel(parent_stop);
    else if (step == 'C')
        cease_cancel_cause(child_stop, CHILDS, "childCause");
    else
        cease_cancel(child_stop);
}

/* [TestCause] The rows with cancels, from "WithCancel" to "child cause before nil". */
TEST(cause_inGosRowsOfCancels_isAsInGo)
{
    static const struct cause_row rows[] = {
        {"WithCancel", "c", CEASE_ECANCELED, CEASE_ECANCELED},
        {"WithCancelCause", "C", CEASE_ECANCELED, CHILDS},
        {"WithCancelCause: parent cause before child", "PC", CEASE_ECANCELED, PARENTS},
        {"WithCancelCause: parent cause after child", "CP", CEASE_ECANCELED, CHILDS},
        {"WithCancelCause: parent cause before nil", "Pc", CEASE_ECANCELED, PARENTS},
        {"WithCancelCause: parent cause after nil", "cP", CEASE_ECANCELED, CEASE_ECANCELED},
        {"WithCancelCause: child cause after nil", "pC", CEASE_ECANCELED, CEASE_ECANCELED},
        {"WithCancelCause: child cause before nil", "Cp", CEASE_ECANCELED, CHILDS},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cease_canceler *stop, *child_stop;
        cease_ctx *parent = cease_with_cancel(cease_background(), &stop);
        cease_ctx *child = cease_with_cancel(parent, &child_stop);
        for (const char *step = rows[i].steps; *step != 0; step++)
            take_step(*step, stop, child_stop);
        check_row(rows[i].name, child, rows[i].error, rows[i].code);
        cease_end(child_stop);
        cease_end(stop);
    }
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_cancel_cause(stop, 0, NULL);
    check_row("WithCancelCause nil", ctx, CEASE_ECANCELED, CEASE_ECANCELED);
    check_row("the background", cease_background(), CEASE_OK, 0);
    check_row("the other root", cease_todo(), CEASE_OK, 0);
}

/* [TestCause] The six rows with timeouts: plain or with a cause, over or cancelled early, and below
 * a parent that is cancelled afterwards. */
TEST(cause_inGosRowsOfTimeouts_isAsInGo)
{
    static const struct {
        const char *name;
        bool with_cause, stacked, passes;
        cease_error error;
        int code;
    } rows[] = {
        {"WithTimeout", false, false, true, CEASE_EDEADLINE, CEASE_EDEADLINE},
        {"WithTimeout canceled", false, false, false, CEASE_ECANCELED, CEASE_ECANCELED},
        {"WithTimeoutCause", true, false, true, CEASE_EDEADLINE, TOO_SLOW},
        {"WithTimeoutCause canceled", true, false, false, CEASE_ECANCELED, CEASE_ECANCELED},
        {"WithTimeoutCause stacked", true, true, true, CEASE_EDEADLINE, TOO_SLOW},
        {"WithTimeoutCause stacked canceled", true, true, false, CEASE_ECANCELED, FINISHED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cease_canceler *stop, *timer_stop;
        cease_ctx *parent = cease_with_cancel(cease_background(), &stop);
        cease_dur timeout = rows[i].passes ? cease_ns(0) : cease_hour(300);
        cease_ctx *ctx = rows[i].with_cause ? cease_with_timeout_cause(parent, timeout, TOO_SLOW,
                                                                       "tooSlow", &timer_stop)
                                            : cease_with_timeout(parent, timeout, &timer_stop);
        if (rows[i].stacked)
            cease_cancel_cause(stop, FINISHED, "finishedEarly");
        else
            cease_cancel(timer_stop);
        check_row(rows[i].name, ctx, rows[i].error, rows[i].code);
        cease_end(timer_stop);
        cease_end(stop);
    }
}

/* [TestCause] "WithoutCancel", "… canceled", "… timeout". */
TEST(cause_inGosRowsOfWithoutCancel_isNone)
{
    static const char *names[] = {"WithoutCancel", "WithoutCancel canceled",
                                  "WithoutCancel timeout"};
    for (int i = 0; i < 3; i++) {
        cease_canceler *stop;
        cease_ctx *parent = i == 2 ? cease_with_timeout_cause(cease_background(), cease_ns(0),
                                                              TOO_SLOW, "tooSlow", &stop)
                                   : cease_with_cancel(cease_background(), &stop);
        cease_ctx *ctx = cease_without_cancel(i == 0 ? cease_background() : parent);
        cease_cancel_cause(stop, FINISHED, "finishedEarly");
        check_row(names[i], ctx, CEASE_OK, 0);
        cease_unref(ctx);
        cease_end(stop);
    }
}

/* ----- allocations ----- */

static long cost(void (*fn)(void))
{
    fn(); /* what a first call sets up once for the thread or the process is not its price */
    cease_trim();
    fn();
    long before = harness_heap_allocs();
    fn();
    return harness_heap_allocs() - before;
}
static void use_background(void)
{
    CHECK(!cease_done(cease_background()));
}
static void use_value(void)
{
    cease_ctx *ctx = cease_with_value(cease_background(), &k1, NULL);
    CHECK(cease_value(ctx, &k1) == NULL);
    cease_unref(ctx);
}
static void use_passing_timeout(void)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ns(1), &stop);
    CHECK_ERR(cease_wait(ctx), CEASE_EDEADLINE);
    cease_end(stop);
}
static void use_cancel(void)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_cancel(stop);
    CHECK_ERR(cease_wait(ctx), CEASE_ECANCELED);
    cease_end(stop);
}
static void use_cancelled_timeout(void)
{
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_hour(1), &stop);
    CHECK(!cease_done(ctx));
    cease_cancel(stop);
    CHECK_ERR(cease_wait(ctx), CEASE_ECANCELED);
    cease_end(stop);
}
static void use_source(void)
{
    cease_unref(wrap(cease_background()));
}
static void use_detached(void)
{
    cease_unref(cease_without_cancel(cease_background()));
}
static void use_merge(void)
{
    cease_canceler *stop;
    (void)cease_with_merge(cease_background(), cease_todo(), &stop);
    cease_end(stop);
}
static void use_grace(void)
{
    cease_canceler *stop;
    (void)cease_with_grace(cease_background(), cease_hour(1), &stop);
    cease_end(stop);
}

/* [TestAllocs] Go's rows, and the derivations that Go does not have. */
TEST(allocations_ofEachDerivation_stayUnderTheirCeilings)
{
    if (!harness_heap_is_ours())
        SKIP("malloc is not ours here");
    static const struct {
        const char *name;
        void (*fn)(void);
        int most;
    } rows[] = {
        {"background", use_background, 0},
        {"value", use_value, 1},
        {"timeout that passes", use_passing_timeout, 0},
        {"cancel", use_cancel, 0},
        {"timeout that is cancelled", use_cancelled_timeout, 0},
        {"source", use_source, 1},
        {"without_cancel", use_detached, 1},
        {"merge", use_merge, 1},
        {"grace", use_grace, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        long allocs = cost(rows[i].fn);
        if (allocs > rows[i].most)
            harness_fail(__FILE__, __LINE__, "%s allocates %ld times, not at most %d", rows[i].name,
                         allocs, rows[i].most);
    }
}

/* ----- foreign lifetimes ----- */

static void nothing(void *arg)
{
    (void)arg;
}

/* [TestCustomContextGoroutines] Where Go starts a goroutine to hear of a custom parent's end, a
 * derivation here starts nothing, whatever is above it. The first armed deadline starts the one
 * timer thread. */
TEST(derive_belowForeignParents_startsNoThreadButTheTimers)
{
    cease_canceler *stops[64];
    cease_ctx *wrappers[64];
    int before = threads_now();
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stops[0]);
    for (int i = 1; i < 64; i++) {
        wrappers[i] = wrap(ctx);
        ctx = cease_with_cancel(wrappers[i], &stops[i]);
    }
    cease_canceler *late_stop;
    cease_ctx *timed = cease_with_timeout(ctx, cease_hour(1), &late_stop);
    CHECK_EQ(threads_now(), before);
    CHECK(!cease_done(timed));
    int with_timer = threads_now();
    if (harness_heap_is_ours()) /* a sanitizer may start a thread of its own with the first */
        CHECK_EQ(with_timer, before + 1);
    cease_end(late_stop);
    cease_cancel(stops[0]);
    CHECK(cease_done(ctx));
    for (int i = 0; i < 20; i++) { /* below one that has ended there is nothing to hear */
        timed = cease_with_timeout(ctx, cease_hour(1), &late_stop);
        CHECK(cease_done(timed));
        cease_end(late_stop);
    }
    CHECK_EQ(threads_now(), with_timer);
    for (int i = 63; i >= 1; i--) {
        cease_unref(wrappers[i]);
        cease_end(stops[i]);
    }
    cease_end(stops[0]);
}

/* And of everything else here only two things need a thread: a deadline that somebody looked at, and
 * an after-func. They give them back. */
TEST(threads_ofTheCore_startWhenNeededAndStopWhenTold)
{
    if (!harness_heap_is_ours())
        SKIP("a sanitizer has threads of its own");
    cease_canceler *stop, *merge_stop, *timer_stop;
    cease_watch w;
    int before = threads_now(); /* an emulator has one more */
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_ctx *value = cease_with_value(ctx, &k1, "v");
    cease_ctx *merge = cease_with_merge(value, ctx, &merge_stop);
    cease_watch_add(&w, merge, nothing, NULL);
    CHECK(cease_done_fd(merge) >= 0);
    cease_ctx *timed = cease_with_timeout(merge, cease_hour(1), &timer_stop);
    cease_time deadline;
    CHECK(cease_deadline(timed, &deadline));
    CHECK_EQ(threads_now(), before);
    CHECK(!cease_done(timed));
    CHECK_EQ(threads_now(), before + 1);
    CHECK(cease_after_stop(cease_after_func(ctx, nothing, NULL)));
    CHECK_EQ(threads_now(), before + 2);
    cease_end(timer_stop);
    cease_end(merge_stop);
    cease_unref(value);
    cease_end(stop);
    cease_threads_stop();
    /* Joined or detached, they leave the list a little later. */
    CHECK_EVENTUALLY(threads_now() == before);
}

/* Another framework's lifetime: it knows how to call those back that have subscribed (Go's
 * afterFuncContext). bind() is all the code that an adapter needs. */
struct lifetime;
struct subscriber {
    void (*fn)(void *arg);
    void *arg;
    struct subscriber *next;
};
struct lifetime {
    struct subscriber *first;
    int count;
    bool ended;
};
static void subscribe(struct lifetime *life, struct subscriber *s)
{
    s->next = life->first;
    life->first = s;
    life->count++;
}
static void unsubscribe(struct lifetime *life, struct subscriber *s)
{
    for (struct subscriber **at = &life->first; *at != NULL; at = &(*at)->next)
        if (*at == s) {
            *at = s->next;
            life->count--;
            return;
        }
}
static void lifetime_end(struct lifetime *life)
{
    life->ended = true;
    for (struct subscriber *s; (s = life->first) != NULL;) {
        unsubscribe(life, s);
        s->fn(s->arg);
    }
}

struct binding {
    struct subscriber subscriber;
    cease_canceler *stop;
    cease_watch unbind; /* the other way round: an ended context needs its lifetime no more */
    struct lifetime *life;
};
static void on_lifetime_end(void *arg)
{
    cease_cancel_cause(arg, 900, "the foreign one ended");
}
static void on_context_end(void *arg)
{
    struct binding *b = arg;
    unsubscribe(b->life, &b->subscriber);
}
static cease_ctx *bind(struct binding *b, cease_ctx *parent, struct lifetime *life)
{
    cease_ctx *ctx = cease_with_cancel(parent, &b->stop);
    b->life = life;
    b->subscriber = (struct subscriber){.fn = on_lifetime_end, .arg = b->stop};
    subscribe(life, &b->subscriber);
    cease_watch_add(&b->unbind, ctx, on_context_end, b);
    return ctx;
}

/* [TestCustomContextPropagation] The parent ends with a cause, the foreign one after it. */
TEST(foreign_inTheMiddle_handsDownTheCauseThatCameFirst)
{
    struct lifetime life = {.first = NULL};
    struct binding b;
    cease_canceler *stop, *child_stop;
    cease_ctx *parent = cease_with_cancel(cease_background(), &stop);
    cease_ctx *middle = bind(&b, parent, &life);
    cease_ctx *child = cease_with_cancel(middle, &child_stop);
    cease_cancel_cause(stop, 7, "the parent's");
    lifetime_end(&life);
    CHECK_ERR(cease_err(child), CEASE_ECANCELED);
    CHECK_EQ(cease_cause_of(child)->code, 7);
    cease_end(child_stop);
    cease_end(b.stop);
    cease_end(stop);
}

/* [TestCustomContextCause] in its four parts. */
TEST(foreign_itsEndAndItsChilds_haveEachTheirOwnCause)
{
    struct lifetime life = {.first = NULL};
    struct binding b;
    cease_ctx *custom = bind(&b, cease_background(), &life);
    lifetime_end(&life);
    CHECK_ERR(cease_err(custom), CEASE_ECANCELED);
    CHECK_EQ(cease_cause_of(custom)->code, 900);
    cease_end(b.stop);

    cease_canceler *stop;
    life = (struct lifetime){.first = NULL};
    custom = bind(&b, cease_background(), &life);
    cease_ctx *child = cease_with_cancel(custom, &stop);
    cease_cancel_cause(stop, 5, "the child's own");
    CHECK_EQ(cease_cause_of(child)->code, 5);
    CHECK_OK(cease_err(custom));
    CHECK(cease_cause_of(custom) == NULL);
    lifetime_end(&life);
    CHECK_EQ(cease_cause_of(child)->code, 5);
    CHECK_EQ(cease_cause_of(custom)->code, 900);
    cease_end(stop);
    cease_end(b.stop);

    life = (struct lifetime){.first = NULL};
    custom = bind(&b, cease_background(), &life);
    child = cease_with_cancel(custom, &stop);
    lifetime_end(&life);
    CHECK_ERR(cease_err(child), CEASE_ECANCELED);
    CHECK_PTR(cease_cause_of(child), cease_cause_of(custom));
    cease_end(stop);
    cease_end(b.stop);
}

/* [TestCause] "parent of custom context not canceled", "… canceled before", "… canceled after". In
 * the last one Go gives the parent's cause and says itself that this is not right, because it cannot
 * know which was first; a context of ours knows. */
TEST(cause_inGosRowsOfCustomContexts_isWhatCameFirst)
{
    static const struct {
        const char *name, *steps; /* L: the lifetime ends; P: the parent is cancelled */
        int code;
    } rows[] = {
        {"parent of custom context not canceled", "L", 900},
        {"parent of custom context is canceled before", "PL", PARENTS},
        {"parent of custom context is canceled after", "LP", 900},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct lifetime life = {.first = NULL};
        struct binding b;
        cease_canceler *stop;
        cease_ctx *parent = cease_with_cancel(cease_background(), &stop);
        cease_ctx *ctx = bind(&b, parent, &life);
        for (const char *step = rows[i].steps; *step != 0; step++) {
            if (*step == 'L')
                lifetime_end(&life);
            else
                take_step('P', stop, NULL);
        }
        check_row(rows[i].name, ctx, CEASE_ECANCELED, rows[i].code);
        cease_end(b.stop);
        cease_end(stop);
    }
}

/* [TestCustomContextAfterFuncCancel, …Timeout] */
TEST(foreign_ends_endsWhatWasDerivedFromIt)
{
    for (int i = 0; i < 2; i++) {
        struct lifetime life = {.first = NULL};
        struct binding b;
        cease_canceler *stop;
        cease_ctx *custom = bind(&b, cease_background(), &life);
        cease_ctx *child = i == 0 ? cease_with_cancel(custom, &stop)
                                  : cease_with_timeout(custom, cease_hour(1), &stop);
        CHECK(!cease_done(child));
        lifetime_end(&life);
        CHECK_ERR(cease_wait(child), CEASE_ECANCELED);
        cease_end(stop);
        cease_end(b.stop);
    }
}

static int ran; /* atomic */
static void run(void *arg)
{
    (void)arg;
    __atomic_add_fetch(&ran, 1, __ATOMIC_SEQ_CST);
}

/* [TestCustomContextAfterFuncAfterFunc] */
TEST(foreign_ends_runsTheAfterFuncOfItsContext)
{
    struct lifetime life = {.first = NULL};
    struct binding b;
    cease_ctx *custom = bind(&b, cease_background(), &life);
    cease_after *after = cease_after_func(custom, run, NULL);
    lifetime_end(&life);
    CHECK_EVENTUALLY(__atomic_load_n(&ran, __ATOMIC_SEQ_CST) == 1);
    CHECK(!cease_after_stop(after));
    cease_end(b.stop);
}

/* [TestCustomContextAfterFuncUnregisterCancel, …UnregisterTimeout, …UnregisterAfterFunc] A context
 * that has ended leaves nothing behind with the foreign one, nor its children with it. */
TEST(foreign_itsContextsEnd_hasNoSubscriberLeft)
{
    struct lifetime life = {.first = NULL};
    struct binding b[2];
    (void)bind(&b[0], cease_background(), &life);
    (void)bind(&b[1], cease_background(), &life);
    CHECK_EQ(life.count, 2);
    cease_cancel(b[0].stop);
    cease_cancel(b[1].stop);
    CHECK_EQ(life.count, 0);
    cease_end(b[0].stop);
    cease_end(b[1].stop);

    cease_canceler *stop;
    cease_ctx *timed = cease_with_timeout(cease_background(), cease_hour(1), &stop);
    (void)bind(&b[0], timed, &life);
    CHECK_EQ(life.count, 1);
    cease_end(stop); /* by the parent's end too */
    CHECK_EQ(life.count, 0);
    cease_end(b[0].stop);

    cease_ctx *custom = bind(&b[0], cease_background(), &life);
    CHECK_EQ(cease_child_count(custom), 1); /* the binding's own watch */
    cease_after *after = cease_after_func(custom, run, NULL);
    CHECK_EQ(cease_child_count(custom), 2);
    CHECK(cease_after_stop(after));
    CHECK_EQ(cease_child_count(custom), 1);
    cease_end(b[0].stop);
    CHECK_EQ(life.count, 0);
    CHECK_EQ(ran, 0);
}
