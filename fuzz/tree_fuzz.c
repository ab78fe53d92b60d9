/* SPDX-License-Identifier: MIT
 *
 * tree_fuzz.c: bytes as a script of operations on contexts, beside a model that says after each of
 * them who has ended, with which code, and how often every callback has run.
 *
 * The one idea of the model: a context is a row with the rows that it hears, and an end goes down
 * by looking at all rows until nothing changes. Slow, short, and nothing like the real thing.
 */
#include <cease/context.h>
#include <cease/hooks.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROWS = 32, WATCHES = 16, NONE = -1 };

struct row {
    cease_ctx *ctx;
    cease_canceler *stop;  /* NULL: a plain context, or its share was ended */
    unsigned shares, refs; /* of this script; a watch has one */
    int hears, other;      /* rows whose end it feels; NONE */
    int gives;             /* the row whose values it has: NONE for the background */
    int code;              /* of its end; 0: open */
    bool has_value;
};

static struct row rows[ROWS];
static int row_count;

static struct {
    cease_watch w;
    int row; /* NONE: not in use */
    unsigned calls, expected;
} watches[WATCHES];

static cease_key key = CEASE_KEY("fuzz");

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void called(void *arg)
{
    ++*(unsigned *)arg;
}

/* ----- the model ----- */

static void model_end(int at, int code)
{
    if (rows[at].code != 0)
        return;
    rows[at].code = code;
    for (bool changed = true; changed;) {
        changed = false;
        for (int i = 0; i < row_count; i++) {
            struct row *r = &rows[i];
            int from = r->hears != NONE && rows[r->hears].code != 0   ? r->hears
                       : r->other != NONE && rows[r->other].code != 0 ? r->other
                                                                      : NONE;
            if (r->code == 0 && from != NONE) {
                r->code = rows[from].code;
                changed = true;
            }
        }
    }
    for (int i = 0; i < WATCHES; i++)
        if (watches[i].row != NONE && rows[watches[i].row].code != 0)
            watches[i].expected = 1;
}

static void *model_value(int at)
{
    for (; at != NONE; at = rows[at].gives)
        if (rows[at].has_value)
            return &rows[at];
    return NULL;
}

/* ----- the comparison ----- */

static bool is_alive(int at)
{
    return rows[at].shares + rows[at].refs > 0;
}

static void compare(void)
{
    for (int i = 0; i < row_count; i++) {
        const struct row *r = &rows[i];
        if (!is_alive(i))
            continue;
        require(cease_done(r->ctx) == (r->code != 0));
        require((cease_err(r->ctx) != CEASE_OK) == (r->code != 0));
        if (r->code != 0)
            require(cease_cause_of(r->ctx)->code == r->code);
        require(cease_value(r->ctx, &key) == model_value(i));
    }
    for (int i = 0; i < WATCHES; i++)
        if (watches[i].row != NONE)
            require(watches[i].calls == watches[i].expected);
}

/* ----- the operations ----- */

static struct row *new_row(int hears, int other, int gives)
{
    struct row *r = &rows[row_count++];
    *r = (struct row){.hears = hears, .other = other, .gives = gives};
    if (hears != NONE && rows[hears].code != 0)
        r->code = rows[hears].code;
    else if (other != NONE && rows[other].code != 0)
        r->code = rows[other].code;
    return r;
}

/* The script's parents: a row that is alive, or the background. */
static int pick(uint8_t byte)
{
    int at = row_count > 0 ? byte % (row_count + 1) - 1 : NONE;
    return at != NONE && is_alive(at) ? at : NONE;
}

static cease_ctx *ctx_of(int at)
{
    return at != NONE ? rows[at].ctx : cease_background();
}

static void derive(uint8_t kind, int parent, int other)
{
    cease_ctx *above = ctx_of(parent), *second = ctx_of(other);
    if (row_count == ROWS)
        return;
    bool hears = kind % 8 != 2 && kind % 8 != 4;
    struct row *r = new_row(hears ? parent : NONE, kind % 8 == 1 ? other : NONE, parent);
    switch (kind % 8) {
    case 1:
        r->ctx = cease_with_merge(above, second, &r->stop);
        break;
    case 2:
        r->ctx = cease_with_grace(above, cease_hour(1), &r->stop);
        break;
    case 3:
        r->ctx = cease_with_value(above, &key, r);
        r->has_value = true;
        break;
    case 4:
        r->ctx = cease_without_cancel(above);
        break;
    case 5:
        r->ctx = cease_with_timeout(above, cease_hour(1), &r->stop);
        break;
    default:
        r->ctx = cease_with_cancel(above, &r->stop);
    }
    r->shares = r->stop != NULL;
    r->refs = r->stop == NULL;
}

static void cancel(int at, int code)
{
    if (at == NONE || rows[at].shares == 0)
        return;
    cease_cancel_cause(rows[at].stop, code, "%d", code);
    model_end(at, code);
}

static void end(int at)
{
    if (at == NONE || rows[at].shares == 0)
        return;
    model_end(at, CEASE_ECANCELED);
    rows[at].shares--;
    cease_end(rows[at].stop);
}

static void ref(int at, bool share)
{
    if (at == NONE)
        return;
    if (share && rows[at].shares > 0) {
        require(cease_canceler_ref(rows[at].stop) == rows[at].stop);
        rows[at].shares++;
    } else if (!share) {
        require(cease_ref(rows[at].ctx) == rows[at].ctx);
        rows[at].refs++;
    }
}

static void remove_watch(int slot)
{
    if (watches[slot].row == NONE)
        return;
    cease_watch_state state = cease_watch_remove(&watches[slot].w);
    require(state == (watches[slot].expected ? CEASE_WATCH_RAN : CEASE_WATCH_REMOVED));
    require(watches[slot].calls == watches[slot].expected);
    cease_unref(rows[watches[slot].row].ctx);
    rows[watches[slot].row].refs--;
    watches[slot].row = NONE;
}

static void unref(int at)
{
    unsigned held = 0; /* by watches: a watch's context must stay */
    for (int i = 0; i < WATCHES; i++)
        held += watches[i].row == at;
    if (at == NONE || rows[at].refs <= held)
        return;
    rows[at].refs--;
    cease_unref(rows[at].ctx);
}

static void watch(int slot, int at)
{
    if (at == NONE || watches[slot].row != NONE)
        return;
    ref(at, false);
    watches[slot].row = at;
    watches[slot].calls = 0;
    watches[slot].expected = rows[at].code != 0;
    bool added = cease_watch_add(&watches[slot].w, rows[at].ctx, called, &watches[slot].calls);
    require(added == (rows[at].code == 0));
}

static void look_at_fd(int at)
{
    if (at == NONE)
        return;
    struct pollfd p = {.fd = cease_done_fd(rows[at].ctx), .events = POLLIN};
    require(p.fd >= 0);
    require(poll(&p, 1, 0) == (rows[at].code != 0));
}

static void step(const uint8_t *op)
{
    int at = pick(op[1]), other = pick(op[2]), slot = op[2] % WATCHES;
    switch (op[0] % 16) {
    case 8:
        cancel(at, 1 + op[2]);
        break;
    case 9:
        end(at);
        break;
    case 10:
        ref(at, (op[2] & 1) != 0);
        break;
    case 11:
        unref(at);
        break;
    case 12:
        watch(slot, at);
        break;
    case 13:
        remove_watch(slot);
        break;
    case 14:
        look_at_fd(at);
        break;
    case 15:
        if (at != NONE)
            require((cease_describe(rows[at].ctx, NULL, 0)) > 0);
        break;
    default:
        derive(op[0], at, other);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    row_count = 0;
    for (int i = 0; i < WATCHES; i++)
        watches[i].row = NONE;
    for (; size >= 3; size -= 3, data += 3) {
        step(data);
        compare();
    }
    for (int i = 0; i < WATCHES; i++)
        remove_watch(i);
    for (int i = 0; i < row_count; i++) {
        while (rows[i].refs > 0)
            unref(i);
        while (rows[i].shares > 0)
            end(i);
    }
    require(cease_live_count() == 0);
    return 0;
}
