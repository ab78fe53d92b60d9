/* SPDX-License-Identifier: MIT
 *
 * nsync.c: Google's nsync_note, a tree of one-bit notes with deadlines, asked what ctx.c asks.
 */
#include "bench.h"

#include <nsync.h>
#include <stdlib.h>

static nsync_note parent(void)
{
    static nsync_note note;
    if (!note)
        note = nsync_note_new(NULL, nsync_time_no_deadline);
    return note;
}

static void cancel_child(uint64_t n)
{
    nsync_note up = parent();
    while (n-- > 0) {
        nsync_note note = nsync_note_new(up, nsync_time_no_deadline);
        BENCH_KEEP(note);
        nsync_note_notify(note);
        nsync_note_free(note);
    }
}

static double fan_out(size_t count, int rounds)
{
    nsync_note *notes = malloc(count * sizeof *notes);
    bench_need(notes != NULL, "malloc");
    int64_t took = 0;
    for (int round = 0; round < rounds; round++) {
        nsync_note up = nsync_note_new(NULL, nsync_time_no_deadline);
        for (size_t i = 0; i < count; i++)
            notes[i] = nsync_note_new(up, nsync_time_no_deadline);
        int64_t from = bench_now_ns();
        nsync_note_notify(up);
        took += bench_now_ns() - from;
        for (size_t i = 0; i < count; i++)
            nsync_note_free(notes[i]);
        nsync_note_free(up);
    }
    free(notes);
    return (double)took / (double)rounds / (double)count;
}

static double fan_out_1k(void)
{
    fan_out(1000, 10);
    return fan_out(1000, 200);
}

static double fan_out_1m(void)
{
    return fan_out(1000000, 3);
}

static double bytes(void)
{
    const size_t count = 1000000;
    nsync_note up = parent();
    double before = bench_resident();
    for (size_t i = 0; i < count; i++)
        BENCH_KEEP(nsync_note_new(up, nsync_time_no_deadline));
    return (bench_resident() - before) / (double)count;
}

BENCH(ctx_cancel, cancel_child, "A note under a parent, notified and freed?")
BENCH_VALUE(ctx_fanout_1k, fan_out_1k, "ns", "Notifying a note of 1,000: by child?")
BENCH_VALUE(ctx_fanout_1m, fan_out_1m, "ns", "Notifying a note of a million: by child?")
BENCH_VALUE(ctx_bytes, bytes, "bytes", "Resident memory by live note, a million of them?")
