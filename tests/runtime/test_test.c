/*
 * cease/test.h: tries to make time move while something runs, stand while nothing does, and the same seed
 * give two schedules; and to get past the runners with what they should catch.
 */
#include "harness.h"

#include <cease/cease.h>
#include <cease/faults.h>
#include <cease/file.h>
#include <cease/net.h>
#include <cease/test.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
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

/* ---- connections inside a run ------------------------------------------------------------------- */

static cease_error echo_slowly(cease_ctx *ctx, void *arg)
{
    cease_conn *conn = arg;
    char buf[64];
    size_t n;
    cease_error e;
    while ((e = cease_conn_read(ctx, conn, buf, sizeof buf, &n)) == CEASE_OK) {
        e = cease_sleep(ctx, cease_sec(2));
        e = e ? e : cease_conn_write(ctx, conn, buf, n, NULL);
        if (e != CEASE_OK) {
            break;
        }
    }
    cease_conn_close(conn);
    return e == CEASE_EOF ? CEASE_OK : e;
}

static cease_error talk(cease_ctx *ctx, void *arg)
{
    (void)arg;
    cease_conn *here, *there;
    cease_error e = cease_test_conn_pair(&here, &there);
    if (e != CEASE_OK) {
        return e;
    }
    e = cease_go(ctx, echo_slowly, there);
    if (e != CEASE_OK) {
        cease_conn_close(there);
        cease_conn_close(here);
        return e;
    }
    cease_time begin = cease_now();
    char buf[64] = "";
    size_t n = 0;
    for (int i = 1; i <= 3 && e == CEASE_OK; i++) {
        e = cease_conn_write(ctx, here, "hello", 5, NULL);
        e = e ? e : cease_conn_read(ctx, here, buf, sizeof buf, &n);
        CHECK(e != CEASE_OK || cease_time_sub(cease_now(), begin).ns == cease_sec(2 * i).ns);
        CHECK(e != CEASE_OK || n == 5);
    }
    cease_conn_close(here);
    return e;
}

TEST(connPair_clientAndServer_talkInVirtualTime)
{
    CHECK_OK(cease_test_run(NULL, talk, NULL));
    cease_test_result r = {.size = sizeof r};
    cease_test_last(&r);
    CHECK_EQ(r.elapsed.ns, cease_sec(6).ns);
}

TEST(connPair_cancelledAtEveryWait_leavesNothingBehind)
{
    CHECK_OK(cease_test_each_cancel(NULL, talk, NULL));
    cease_test_result r = {.size = sizeof r};
    cease_test_last(&r);
    CHECK(r.rounds > 5);
}

TEST(connPair_theSameSeedTwice_isTheSameSchedule)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        cease_test_result r[2] = {{.size = sizeof *r}, {.size = sizeof *r}};
        for (int i = 0; i < 2; i++) {
            CHECK_OK(cease_test_run(&(cease_test_opts){.seed = seed}, talk, NULL));
            cease_test_last(&r[i]);
        }
        CHECK_EQ(r[0].schedule, r[1].schedule);
    }
}

static cease_error silent_peer(cease_ctx *ctx, void *arg)
{
    (void)arg;
    cease_conn *here, *there;
    CHECK_OK(cease_test_conn_pair(&here, &there));
    cease_canceler *stop;
    cease_ctx *hour = cease_with_timeout(ctx, cease_hour(1), &stop);
    char byte;
    size_t n;
    cease_time begin = cease_now();
    CHECK_ERR(cease_conn_read(hour, here, &byte, 1, &n), CEASE_EDEADLINE);
    CHECK_EQ(cease_time_sub(cease_now(), begin).ns, cease_hour(1).ns);
    cease_end(stop);
    /* Its buffer fills up, and then it waits as well. */
    hour = cease_with_timeout(ctx, cease_hour(1), &stop);
    char *much = calloc(1, 1 << 20);
    cease_error e = CEASE_OK;
    size_t sum = 0;
    while (e == CEASE_OK) {
        e = cease_conn_write(hour, here, much, 1 << 20, &n);
        sum += n;
    }
    CHECK_ERR(e, CEASE_EDEADLINE);
    CHECK(sum > 0);
    free(much);
    cease_end(stop);
    /* The guard hears that the other end has gone. */
    cease_ctx *guarded = cease_with_cancel(ctx, &stop);
    CHECK_OK(cease_conn_guard(here, stop, CEASE_EPEERGONE, "gone", false));
    cease_conn_close(there);
    CHECK_ERR(cease_wait(guarded), CEASE_ECANCELED);
    CHECK_EQ(cease_cause_of(guarded)->code, CEASE_EPEERGONE);
    cease_conn_unguard(here);
    cease_end(stop);
    cease_conn_close(here);
    return CEASE_OK;
}

TEST(connPair_peerThatIsSilentOrGone_isNoticedWithoutTheWorld)
{
    CHECK_OK(cease_test_run(NULL, silent_peer, NULL));
}

static cease_error both_read(cease_ctx *ctx, void *arg)
{
    (void)arg;
    cease_conn *here, *there;
    CHECK_OK(cease_test_conn_pair(&here, &there));
    CHECK_OK(cease_go(ctx, echo_slowly, there));
    char byte;
    size_t n;
    cease_error e = cease_conn_read(ctx, here, &byte, 1, &n);
    cease_conn_close(here);
    return e;
}

TEST(connPair_bothEndsRead_isADeadlock)
{
    cease_set_report(count_report);
    CHECK_ERR(cease_test_run(NULL, both_read, NULL), CEASE_EDEADLK);
    CHECK_EQ(reports, 1);
    cease_set_report(NULL);
}

TEST(connPair_outsideOfARun_isAPairOfSockets)
{
    cease_conn *here, *there;
    CHECK_OK(cease_test_conn_pair(&here, &there));
    char byte = 0;
    size_t n;
    CHECK_OK(cease_conn_write(cease_background(), here, "x", 1, NULL));
    CHECK_OK(cease_conn_read(cease_background(), there, &byte, 1, &n));
    CHECK_EQ(byte, 'x');
    cease_conn_close(here);
    cease_conn_close(there);
}

/* ---- what fails ------------------------------------------------------------------------------------ */

/* The harness has an allocator of its own. */
static void arm_harness(uint64_t n)
{
    harness_fail_alloc(n);
}

static const cease_test_faults harness_faults = {sizeof harness_faults, arm_harness,
                                                 harness_alloc_failed, harness_heap_blocks};

static void use_allocations(void)
{
    if (!harness_heap_is_ours()) {
        SKIP("a sanitizer has the heap");
    }
    cease_test_faults_use(CEASE_TEST_ALLOCATION, &harness_faults);
}

static uint64_t rounds_of_the_last(void)
{
    cease_test_result r = {.size = sizeof r};
    cease_test_last(&r);
    return r.rounds;
}

/* A compiler may leave out a malloc whose block is not used. */
static __attribute__((noinline)) void *take(size_t size)
{
    void *block = malloc(size);
    __asm__ __volatile__("" : "+r"(block));
    return block;
}

static cease_error allocate_some(cease_ctx *ctx, void *arg)
{
    (void)arg;
    cease_error e = CEASE_ENOMEM;
    char *one = take(10), *two = one ? take(20) : NULL;
    cease_chan *ch = two ? cease_chan_new(1, 1) : NULL;
    if (ch) {
        e = cease_sleep(ctx, cease_ms(1));
    }
    cease_chan_unref(ch);
    free(two);
    free(one);
    return e;
}

TEST(eachFailure_ofAllocations_failsEachAndPasses)
{
    use_allocations();
    CHECK_OK(cease_test_each_failure(NULL, allocate_some, NULL));
    CHECK(rounds_of_the_last() >= 1 + 3 + 1);
}

static void *lost[8];
static int lost_count;

static cease_error lose_on_failure(cease_ctx *ctx, void *arg)
{
    (void)ctx, (void)arg;
    char *one = take(10), *two = take(20);
    if (one && !two) {
        lost[lost_count++] = one; /* forgotten */
        return CEASE_ENOMEM;
    }
    free(one);
    free(two);
    return one ? CEASE_OK : CEASE_ENOMEM;
}

TEST(eachFailure_aBlockLostOnFailure_isCaught)
{
    use_allocations();
    cease_set_report(count_report);
    CHECK_ERR(cease_test_each_failure(NULL, lose_on_failure, NULL), CEASE_EBUSY);
    CHECK_EQ(reports, 1);
    CHECK_EQ(lost_count, 1);
    CHECK_EQ(rounds_of_the_last(), 3);
    cease_set_report(NULL);
    free(lost[0]);
}

static cease_error write_a_file(cease_ctx *ctx, void *arg)
{
    cease_file *file;
    cease_error e = cease_file_open(ctx, arg, O_CREAT | O_WRONLY | O_TRUNC, 0600, &file);
    if (e == CEASE_OK) {
        size_t n;
        e = cease_file_write(ctx, file, "hello", 5, 0, &n);
        e = e ? e : cease_file_sync(ctx, file);
        cease_file_close(file);
    }
    return e;
}

TEST(eachFailure_ofSystemCalls_failsEachAndPasses)
{
    char path[300];
    snprintf(path, sizeof path, "%s/file", harness_temp_dir());
    cease_faults_system_calls();
    cease_error e = cease_test_each_failure(NULL, write_a_file, path);
    unlink(path);
    if (e == CEASE_ENOTSUP) {
        SKIP("a sanitizer has the system calls");
    }
    CHECK_OK(e);
    CHECK(rounds_of_the_last() >= 1 + 3 + 1); /* open, write and sync, at least */
}

TEST(eachFailure_ofConnections_leavesNothingBehind)
{
    cease_faults_system_calls();
    if (harness_heap_is_ours()) {
        use_allocations();
    }
    cease_error e = cease_test_each_failure(NULL, talk, NULL);
    if (e == CEASE_ENOTSUP) {
        SKIP("a sanitizer has heap and system calls");
    }
    CHECK_OK(e);
    CHECK(rounds_of_the_last() > 10);
}

TEST(eachFailure_nobodyMakesCallsFail_isNotSupported)
{
    CHECK_ERR((cease_test_each_failure)(NULL, allocate_some, NULL), CEASE_ENOTSUP);
}
