/* SPDX-License-Identifier: MIT
 *
 * cease/signal.h: a context that ends when the user or the system asks the program to stop.
 *
 *     cease_canceler *stop;
 *     cease_ctx *ctx = cease_with_signals(cease_background(), &stop);
 *     cease_error e = serve(ctx);
 *     cease_end(stop);
 *
 * SIGINT or SIGTERM ends ctx; the cause's code is the signal's number and its text the name,
 * "SIGINT" or "SIGTERM". A second one, of either kind, while the first is still being obeyed, ends
 * the process at once with status 128 + number, without destructors: for the user who is tired of
 * waiting.
 *
 * The signals are taken by a handler (SA_RESTART), which wakes a thread of ours that ends the
 * contexts; no signal mask of the process is touched, and a SIGINT that was ignored is taken too.
 * The former handlers come back when the context is gone: when its canceler's shares have been
 * ended and no child and no reference is left, so that a second signal works while its tasks still
 * wind down. A handler that the program has put in place of ours meanwhile is left alone.
 *
 * There may be several such contexts: one signal ends them all, and the handlers stay until the
 * last one is gone. One that is made after the first signal, while those that it ended still live,
 * is done from birth with the same cause. When all are gone, the next one starts afresh.
 */
#ifndef CEASE_SIGNAL_H
#define CEASE_SIGNAL_H

#include <cease/attr.h>
#include <cease/context.h>

CEASE_BEGIN_DECLS

/* Derives a context that ends on SIGINT and SIGTERM, with its parent, or by its canceler.
 *
 * Parks: no
 * Callers: any thread; not while the program changes the handlers of these signals in another
 * Owns: *ret_canceler is the caller's, for cease_end, and owns the context
 * Errors: never NULL; what stands in the way (memory, no fd, no thread) is the cause's code of a
 * context that is done already
 * Since: 0.1
 */
CEASE_PUBLIC cease_ctx *cease_with_signals(cease_ctx *parent, cease_canceler **ret_canceler);
CEASE_PUBLIC cease_ctx *cease_with_signals_at(cease_ctx *parent, cease_canceler **ret_canceler,
                                              const cease_place *place);
#define cease_with_signals(parent, ret_canceler) \
    cease_with_signals_at((parent), (ret_canceler), CEASE_HERE)

CEASE_END_DECLS

#endif
