/*
 * cease/test.h: tries to make time move while something runs, stand while nothing does, and the same seed
 * give two schedules; and to get past the runners with what they should catch.
 */
#include "harness.h"

#include <cease/cease.h>
#include <cease/test.h>
#include <string.h>
#include <unistd.h>

static cease_error long_deadline(cease_ctx *ctx, void *arg)
{
    (void)arg;
    cease_time begin = cease_now();
    CHECK_EQ(begin.ns, cease_hour(1).ns);
    cease_canceler *stop;
    cease_ctx *hour = cease_with_timeout(ctx, cease_hour(1000), &stop);
    cease_chan *never = cease_chan_new(1, 0);
    char got;
    CHECK_ERR(cease_chan_recv(hour, never, &got), CEASE_EDEADLINE);
    CHECK_EQ(cease_time_sub(cease_now(), begin).ns, cease_hour(1000).ns);
    cease_end(stop);
    CHECK_OK(cease_sleep(ctx, cease_hour(24)));
    CHECK_EQ(cease_time_sub(cease_now(), begin).ns, cease_hour(1024).ns);
    cease_chan_unref(never);
    return CEASE_OK;
}

TEST(run_longDeadlineAndSleep_endAtTheirExactTimes)
{
    CHECK_OK(cease_test_run(NULL, long_deadline, NULL));
    cease_test_result r = {.size = sizeof r};
    cease_test_last(&r);
    CHECK_EQ(r.elapsed.ns, cease_hour(1024).ns);
    CHECK(r.waits >= 2);
}

static cease_error set_one(cease_ctx *ctx, void *arg)
{
    cease_error e = cease_sleep(ctx, cease_ms(10));
    *(int *)arg += 1;
    return e;
}

static cease_error settle_and_advance(cease_ctx *ctx, void *arg)
{
    (void)arg;
    int count = 0;
    cease_time begin = cease_now();
    cease_group *g = cease_group_new(ctx, NULL);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(cease_group_go(g, set_one, &count));
    }
    cease_test_settle();
    CHECK_EQ(count, 0);
    CHECK_EQ(cease_now().ns, begin.ns);
    cease_test_advance(cease_ns(9999999));
    CHECK_EQ(count, 0);
    cease_test_advance(cease_ns(1));
    CHECK_EQ(count, 3);
    CHECK_EQ(cease_time_sub(cease_now(), begin).ns, cease_ms(10).ns);
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    return CEASE_OK;
}

TEST(settle_andAdvance_runWhatIsDueAndNoMore)
{
    CHECK_OK(cease_test_run(NULL, settle_and_advance, NULL));
}

static void write_later(void *arg)
{
    usleep(2000);
    CHECK_EQ(write(*(int *)arg, "x", 1), 1);
}

static cease_error held_by_a_job(cease_ctx *ctx, void *arg)
{
    (void)arg;
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    cease_canceler *stop;
    cease_ctx *soon = cease_with_timeout(ctx, cease_ms(1), &stop);
    (void)cease_done(soon);
    cease_time begin = cease_now();
    CHECK_OK(cease_block(soon, write_later, NULL, &ends[1]));
    CHECK_EQ(cease_now().ns, begin.ns);
    CHECK_OK(cease_fd_wait(soon, ends[0], CEASE_READABLE));
    CHECK_EQ(cease_now().ns, begin.ns);
    CHECK_ERR(cease_wait(soon), CEASE_EDEADLINE);
    cease_end(stop);
    close(ends[0]);
    close(ends[1]);
    return CEASE_OK;
}

TEST(time_whileAJobAndAnFdAreWaitedFor_stands)
{
    CHECK_OK(cease_test_run(NULL, held_by_a_job, NULL));
}

static unsigned reports;
static void count_report(const cease_report *r)
{
    CHECK(r->text != NULL);
    reports += r->kind == CEASE_REPORT_DEADLOCK || r->kind == CEASE_REPORT_LEAK;
}

static cease_error deadlocked(cease_ctx *ctx, void *arg)
{
    (void)arg;
    cease_chan *never = cease_chan_new(1, 0);
    char got;
    cease_error e = cease_chan_recv(ctx, never, &got);
    cease_chan_unref(never);
    CHECK_ERR(e, CEASE_ECANCELED);
    CHECK_EQ(cease_cause_of(ctx)->code, CEASE_EDEADLK);
    return e;
}

TEST(deadlock_ofTasksThatObeyTheirContext_isReportedAndEndsTheRun)
{
    cease_set_report(count_report);
    CHECK_ERR(cease_test_run(NULL, deadlocked, NULL), CEASE_EDEADLK);
    CHECK_EQ(reports, 1);
    cease_set_report(NULL);
    CHECK_OK(cease_test_run(NULL, long_deadline, NULL));
}

static cease_error stubborn(cease_ctx *ctx, void *arg)
{
    (void)ctx, (void)arg;
    return cease_wait(cease_background());
}

TEST_ABORTS(deadlock_ofATaskThatIgnoresItsContext_aborts, "tasks still wait")
{
    (void)cease_test_run(NULL, stubborn, NULL);
}

struct order {
    char text[64];
    size_t length;
};
static struct order order;

static cease_error note(cease_ctx *ctx, void *arg)
{
    for (int i = 0; i < 3; i++) {
        order.text[order.length++] = *(const char *)arg;
        CHECK_OK(cease_sleep(ctx, cease_ms(1)));
    }
    return CEASE_OK;
}

static cease_error several(cease_ctx *ctx, void *arg)
{
    (void)arg;
    memset(&order, 0, sizeof order);
    cease_group *g = cease_group_new(ctx, NULL);
    static const char *const names = "abcdef";
    for (int i = 0; i < 6; i++) {
        CHECK_OK(cease_group_go(g, note, (void *)(uintptr_t)&names[i]));
    }
    cease_error e = cease_group_wait(g);
    cease_group_free(g);
    return e;
}

static uint64_t run_seeded(uint64_t seed, struct order *ret)
{
    cease_test_opts opts = {.size = sizeof opts, .seed = seed};
    CHECK_OK(cease_test_run(&opts, several, NULL));
    *ret = order;
    cease_test_result r = {.size = sizeof r};
    cease_test_last(&r);
    return r.schedule;
}

TEST(seed_theSameTwice_givesTheSameScheduleAndOthersAnother)
{
    struct order first, second, plain, other;
    unsigned different = 0;
    run_seeded(0, &plain);
    CHECK_EQ(strncmp(plain.text, "abcdef", 6), 0);
    for (uint64_t seed = 1; seed <= 10; seed++) {
        uint64_t a = run_seeded(seed, &first), b = run_seeded(seed, &second);
        CHECK_EQ(a, b);
        CHECK_STR(first.text, second.text);
        different += run_seeded(seed + 1, &other) != a && strcmp(first.text, other.text) != 0;
    }
    CHECK(different >= 9);
}

static cease_error fails_in_some_order(cease_ctx *ctx, void *arg)
{
    CHECK_OK(several(ctx, arg));
    return order.text[0] == 'f' ? CEASE_EIO : CEASE_OK;
}

TEST(eachSeed_oneOrderFails_findsItAndTheSeedRepeatsIt)
{
    cease_set_report(count_report);
    CHECK_ERR(cease_test_each_seed(NULL, 1000, fails_in_some_order, NULL), CEASE_EIO);
    CHECK_EQ(reports, 1);
    cease_test_result r = {.size = sizeof r};
    cease_test_last(&r);
    cease_test_opts opts = {.size = sizeof opts, .seed = r.seed};
    CHECK_ERR(cease_test_run(&opts, fails_in_some_order, NULL), CEASE_EIO);
    cease_set_report(NULL);
}

static cease_error note_obedient(cease_ctx *ctx, void *arg)
{
    (void)arg;
    cease_error e = CEASE_OK;
    for (int i = 0; i < 3 && e == CEASE_OK; i++) {
        e = cease_sleep(ctx, cease_ms(1));
    }
    return e;
}

static cease_error obedient(cease_ctx *ctx, void *arg)
{
    (void)arg;
    cease_canceler *stop;
    cease_ctx *own = cease_with_cancel(ctx, &stop);
    cease_group *g = cease_group_new(own, NULL);
    CHECK_OK(cease_group_go(g, note_obedient, NULL));
    CHECK_OK(cease_group_go(g, note_obedient, NULL));
    cease_error e = cease_group_wait(g);
    cease_group_free(g);
    cease_end(stop);
    return e;
}

TEST(eachCancel_cancelsAtEveryWaitAndPasses)
{
    CHECK_OK(cease_test_each_cancel(NULL, obedient, NULL));
    cease_test_result r = {.size = sizeof r};
    cease_test_last(&r);
    CHECK(r.rounds >= 8);
}

static cease_error leaky(cease_ctx *ctx, void *arg)
{
    cease_canceler **leaked = arg;
    (void)cease_with_cancel(ctx, leaked);
    cease_error e = cease_sleep(ctx, cease_ms(1));
    if (e == CEASE_OK) {
        cease_end(*leaked);
        *leaked = NULL;
    }
    return e;
}

TEST(eachCancel_aContextLeakedOnCancel_isCaught)
{
    cease_canceler *leaked = NULL;
    cease_set_report(count_report);
    CHECK_ERR(cease_test_each_cancel(NULL, leaky, &leaked), CEASE_EBUSY);
    CHECK_EQ(reports, 1);
    cease_end(leaked);
    cease_set_report(NULL);
}

static cease_error ticks(cease_ctx *ctx, void *arg)
{
    (void)arg;
    cease_error e = CEASE_OK;
    while (e == CEASE_OK) {
        e = cease_sleep(ctx, cease_sec(1));
    }
    return e;
}

TEST(limit_ofVirtualTime_endsARunThatTicksForEver)
{
    cease_test_opts opts = {.size = sizeof opts, .limit = cease_min(1)};
    cease_set_report(count_report);
    CHECK_ERR(cease_test_run(&opts, ticks, NULL), CEASE_ETIMEDOUT);
    cease_set_report(NULL);
}

TEST_ABORTS(settle_outsideOfARun_aborts, "only a task of a cease_test_run")
{
    cease_test_settle();
}
