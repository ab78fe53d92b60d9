/* SPDX-License-Identifier: MIT
 *
 * self_models.c: programs whose outcome everybody knows. They are out to show that the explorer
 * finds what is there (lost updates, store buffering, deadlock, races, use after free, leaks,
 * livelock), and that it says nothing about what is right.
 */
#include "explore.h"

#include <stdlib.h>

static uint32_t a, b, turn, counter;
static uint32_t seen[2];
static int plain;
static int *block;

/* ---- lost update ------------------------------------------------------------------------------
 */

static void add_torn(void)
{
    ceasei_store(&counter, ceasei_load(&counter, RELAXED) + 1, RELAXED);
}

static void add_whole(void)
{
    ceasei_add(&counter, 1, RELAXED);
}

static void check_counter_2(void)
{
    EXPLORE_CHECK(counter == 2);
}

static void check_counter_3(void)
{
    EXPLORE_CHECK(counter == 3);
}

MODEL(self_lost_update, .threads = {add_torn, add_torn}, .check = check_counter_2,
      .sc_fails = "counter == 2", .tso_fails = "counter == 2");
MODEL(self_add, .threads = {add_whole, add_whole, add_whole}, .check = check_counter_3,
      .mutants_found_min = 1);

/* ---- store buffering: both read 0 only when stores are late -----------------------------------
 */

static void write_a_read_b(void)
{
    ceasei_store(&a, 1, RELEASE);
    seen[0] = ceasei_load(&b, ACQUIRE);
}

static void write_b_read_a(void)
{
    ceasei_store(&b, 1, RELEASE);
    seen[1] = ceasei_load(&a, ACQUIRE);
}

static void fenced_write_a_read_b(void)
{
    ceasei_store(&a, 1, RELAXED);
    ceasei_fence(SEQ_CST);
    seen[0] = ceasei_load(&b, RELAXED);
}

static void strong_write_b_read_a(void)
{
    ceasei_store(&b, 1, SEQ_CST);
    seen[1] = ceasei_load(&a, SEQ_CST);
}

static void check_one_seen(void)
{
    EXPLORE_CHECK(seen[0] || seen[1]);
}

MODEL(self_store_buffering, .threads = {write_a_read_b, write_b_read_a}, .check = check_one_seen,
      .tso_fails = "seen[0] || seen[1]");
MODEL(self_store_buffering_fenced, .threads = {fenced_write_a_read_b, strong_write_b_read_a},
      .check = check_one_seen, .mutants_found_min = 2);

/* ---- message passing: what release and acquire are for ----------------------------------------
 */

static void send(void)
{
    plain = 42;
    ceasei_store(&a, 1, RELEASE);
}

static void send_relaxed(void)
{
    plain = 42;
    ceasei_store(&a, 1, RELAXED);
}

static void receive(void)
{
    while (!ceasei_load(&a, ACQUIRE))
        ceasei_relax();
    EXPLORE_CHECK(plain == 42);
}

MODEL(self_message, .threads = {send, receive}, .mutants_found_min = 2);
MODEL(self_message_relaxed, .threads = {send_relaxed, receive}, .sc_fails = "race",
      .tso_fails = "race");

/* ---- locks ------------------------------------------------------------------------------------
 */

static struct ceasei_lock first, second;

static void lock_first_second(void)
{
    ceasei_lock(&first);
    ceasei_lock(&second);
    plain++;
    ceasei_unlock(&second);
    ceasei_unlock(&first);
}

static void lock_second_first(void)
{
    ceasei_lock(&second);
    ceasei_lock(&first);
    plain++;
    ceasei_unlock(&first);
    ceasei_unlock(&second);
}

static void check_plain_2(void)
{
    EXPLORE_CHECK(plain == 2);
}

MODEL(self_deadlock, .threads = {lock_first_second, lock_second_first}, .sc_fails = "deadlock",
      .tso_fails = "deadlock");
/* Either lock would do: that one is not taken may go unnoticed. */
MODEL(self_locks, .threads = {lock_first_second, lock_first_second}, .check = check_plain_2);

static void lock_one(void)
{
    ceasei_lock(&first);
    plain++;
    ceasei_unlock(&first);
}

MODEL(self_lock, .threads = {lock_one, lock_one}, .check = check_plain_2, .mutants_found_min = 3);

/* Peterson's lock: its store must not be late. */
static void peterson(uint32_t *mine, const uint32_t *other, uint32_t me)
{
    ceasei_store(mine, 1, RELAXED);
    ceasei_store(&turn, 1 - me, RELAXED);
    if (!CEASE_SEED_BUG(BUG_SELF))
        ceasei_fence(SEQ_CST);
    while (ceasei_load(other, ACQUIRE) && ceasei_load(&turn, ACQUIRE) == 1 - me)
        ceasei_relax();
    counter++; /* plain on purpose: the lock is all that orders it */
    ceasei_store(mine, 0, RELEASE);
}

static void peterson_0(void)
{
    peterson(&a, &b, 0);
}

static void peterson_1(void)
{
    peterson(&b, &a, 1);
}

MODEL(self_peterson, .threads = {peterson_0, peterson_1}, .check = check_counter_2,
      .seeds = {{BUG_SELF, true, "no fence between the stores and the loads"}},
      .mutants_found_min = 2);

/* ---- an order that a careless reduction loses: thread 2 first, thread 1 last ------------------- */

static uint32_t seen_by_2;

static void cas_then_load(void)
{
    uint32_t expected = 0;
    ceasei_cas(&a, &expected, 1, SEQ_CST);
    (void)ceasei_load(&a, ACQUIRE);
}

static void add_5_torn_locked(void)
{
    ceasei_lock(&first);
    ceasei_store(&a, ceasei_load(&a, RELAXED) + 5, RELAXED);
    ceasei_unlock(&first);
}

static void fence_then_load(void)
{
    ceasei_fence(SEQ_CST);
    seen_by_2 = ceasei_load(&a, ACQUIRE);
}

static void check_not_that_order(void)
{
    EXPLORE_CHECK(seen_by_2 != 0 || a != 6);
}

MODEL(self_source_sets, .threads = {cas_then_load, add_5_torn_locked, fence_then_load},
      .check = check_not_that_order, .sc_fails = "a != 6", .tso_fails = "a != 6");

/* A ticket lock, spelled out. */
static void ticket(void)
{
    uint32_t mine = ceasei_add(&a, 1, RELAXED);
    while (ceasei_load(&b, ACQUIRE) != mine)
        ceasei_relax();
    plain++;
    ceasei_store(&b, CEASE_SEED_BUG(BUG_SELF) ? mine : mine + 1, RELEASE);
}

static void check_plain_3(void)
{
    EXPLORE_CHECK(plain == 3);
}

MODEL(self_ticket, .threads = {ticket, ticket, ticket}, .check = check_plain_3,
      .seeds = {{BUG_SELF, false, "the ticket is not handed on: the others spin for ever"}},
      .mutants_found_min = 3);

/* ---- sleeping ---------------------------------------------------------------------------------
 */

static void sleep_until_1(void)
{
    while (!ceasei_load(&a, ACQUIRE))
        ceasei_futex_wait(&a, 0);
    EXPLORE_CHECK(plain == 42);
}

static void set_and_wake(void)
{
    plain = 42;
    if (CEASE_SEED_BUG(BUG_SELF)) {
        ceasei_futex_wake(&a, 1);
        ceasei_store(&a, 1, RELEASE);
        return;
    }
    ceasei_store(&a, 1, SEQ_CST);
    ceasei_futex_wake(&a, 1);
}

MODEL(self_futex, .threads = {sleep_until_1, set_and_wake},
      .seeds = {{BUG_SELF, false, "the wake comes before the store: it is lost"}});

/* ---- memory -----------------------------------------------------------------------------------
 */

static void make_block(void)
{
    block = malloc(sizeof *block);
    *block = 0;
    counter = 2;
}

static void drop(void)
{
    EXPLORE_CHECK(*block == 0);
    if (ceasei_sub(&b, 1, ACQ_REL) == 1)
        free(block);
}

static void share_block(void)
{
    make_block();
    b = 2;
}

MODEL(self_refcount, .setup = share_block, .threads = {drop, drop}, .mutants_found_min = 2);

static void use_block(void)
{
    EXPLORE_CHECK(*block == 0);
}

static void free_block(void)
{
    free(block);
}

static void publish_nothing(void)
{
    ceasei_add(&a, 1, ACQ_REL);
    free(block);
}

static void use_after_sight(void)
{
    if (ceasei_load(&a, ACQUIRE))
        EXPLORE_CHECK(*block == 0);
}

static void leave_block(void)
{
    make_block();
}

MODEL(self_use_after_free, .setup = make_block, .threads = {publish_nothing, use_after_sight},
      .sc_fails = "free", .tso_fails = "free");
MODEL(self_free_race, .setup = make_block, .threads = {use_block, free_block}, .sc_fails = "race",
      .tso_fails = "race");
MODEL(self_double_free, .setup = make_block, .threads = {free_block, free_block}, .sc_fails = "",
      .tso_fails = "");
MODEL(self_leak, .threads = {leave_block}, .sc_fails = "leak", .tso_fails = "leak");

static void spin_for_ever(void)
{
    while (!ceasei_load(&a, ACQUIRE))
        ceasei_relax();
}

MODEL(self_livelock, .threads = {spin_for_ever, spin_for_ever}, .sc_fails = "livelock",
      .tso_fails = "livelock");
