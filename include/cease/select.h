/* SPDX-License-Identifier: MIT
 *
 * cease/select.h: waiting for the first of several things.
 *
 *     cease_case cases[] = {CEASE_RECV(results, &result), CEASE_SEND(log, &line), CEASE_ENDED(other)};
 *     size_t fired;
 *     cease_error e = cease_select(ctx, cases, 3, &fired);
 *     if (e == CEASE_OK && fired == 0 && cases[0].result == CEASE_OK)
 *         use(result);
 *
 * Exactly one case fires: its value has moved, and no other case's has. Among several that are ready
 * one is chosen at random, so none is starved by the others.
 */
#ifndef CEASE_SELECT_H
#define CEASE_SELECT_H

#include <cease/attr.h>
#include <cease/chan.h>
#include <cease/context.h>
#include <cease/error.h>
#include <stddef.h>

CEASE_BEGIN_DECLS

#define CEASE_SELECT_MAX 64 /* cases in one select */

typedef enum cease_case_kind {
    CEASE_CASE_NIL = 0, /* never fires: to switch a case off                                      */
    CEASE_CASE_SEND,    /* fires when `value` is sent, or the channel is closed                   */
    CEASE_CASE_RECV,    /* fires when `ret_value` is received, or the channel is closed and empty */
    CEASE_CASE_ENDED,   /* fires when another context has ended                                   */
    CEASE_CASE_DEFAULT, /* fires at once when no other case does                                  */
} cease_case_kind;

typedef struct cease_case {
    cease_case_kind kind;
    cease_chan *ch;     /* SEND, RECV; NULL: the case never fires                                 */
    const void *value;  /* SEND: copied if the case fires with CEASE_OK, else it stays yours      */
    void *ret_value;    /* RECV: written only if the case fires with CEASE_OK                     */
    cease_ctx *ctx;     /* ENDED                                                                  */
    cease_error result; /* written if it fires: CEASE_OK or CEASE_ECLOSED; for ENDED that error   */
} cease_case;

/* Initialisers of a cease_case. */
#define CEASE_NIL                            \
    {                                        \
        CEASE_CASE_NIL, 0, 0, 0, 0, CEASE_OK \
    }
#define CEASE_SEND(ch, value)                          \
    {                                                  \
        CEASE_CASE_SEND, (ch), (value), 0, 0, CEASE_OK \
    }
#define CEASE_RECV(ch, ret_value)                          \
    {                                                      \
        CEASE_CASE_RECV, (ch), 0, (ret_value), 0, CEASE_OK \
    }
#define CEASE_ENDED(ctx)                           \
    {                                              \
        CEASE_CASE_ENDED, 0, 0, 0, (ctx), CEASE_OK \
    }
#define CEASE_DEFAULT                            \
    {                                            \
        CEASE_CASE_DEFAULT, 0, 0, 0, 0, CEASE_OK \
    }

/* Waits until one of `count` cases fires, or ctx is done, which is looked at first. With a DEFAULT
 * case it does not wait. Without any case that can fire it waits for the end of ctx.
 *
 * CEASE_OK says that a case fired, *ret_index which, and that case's `result` how: a closed channel
 * fires its case with CEASE_ECLOSED. One channel may stand in several cases.
 *
 * Parks: yes, without a DEFAULT case
 * Callers: tasks; plain threads, where it blocks the thread
 * Owns: the value of the case that fired passes on; everything else stays the caller's
 * Errors: ctx's, and no case has fired; CEASE_EINVAL for more than CEASE_SELECT_MAX cases, more than
 * one DEFAULT, or an unknown kind
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_select(cease_ctx *ctx, cease_case *cases, size_t count,
                                      size_t *ret_index);

CEASE_END_DECLS

#endif
