/* SPDX-License-Identifier: MIT
 *
 * cease/chan.h: channels, which hand values from whoever sends to whoever receives.
 *
 * A channel has an element size and a capacity, both given at birth. With capacity 0 a send
 * completes when a receiver takes the value (a rendezvous); with capacity n up to n values wait
 * inside, in order. Values are copied in and out, byte by byte; to pass ownership of something,
 * send a pointer to it. Tasks and plain threads may use one channel, in any mix. Who waits is
 * served in the order of coming.
 *
 * What a call gave is never taken back: a value that was received, or sent, stays so although the
 * context ended in the same moment. The other way round, a context that is done on entry always
 * wins, also over a channel that is ready.
 *
 * After cease_chan_close nothing more can be sent. Receivers first get what is still inside, then
 * CEASE_ECLOSED.
 *
 * A channel is shared and counted. Whoever calls a function here holds a reference for as long as
 * the call lasts.
 *
 * Every function accepts the NULL that cease_chan_new gave when memory was short: the ones that
 * return an error return CEASE_ENOMEM, the others do nothing.
 */
#ifndef CEASE_CHAN_H
#define CEASE_CHAN_H

#include <cease/attr.h>
#include <cease/context.h>
#include <cease/error.h>
#include <stddef.h>

CEASE_BEGIN_DECLS

typedef struct cease_chan cease_chan;

/* Makes a channel for values of `element_size` bytes, of which up to `capacity` wait inside.
 *
 * An `element_size` of 0 makes a channel of signals: `value` and `ret_value` are not looked at and
 * may be NULL. The buffer is allocated here, whole; nothing is allocated later.
 *
 * Parks: no
 * Callers: any thread
 * Owns: the caller gets one reference; give it back with cease_chan_unref
 * Errors: NULL when memory is short or the sizes are absurd
 * Since: 0.1
 */
CEASE_PUBLIC cease_chan *cease_chan_new(size_t element_size, size_t capacity);

/* Takes another reference, for another holder. Returns `ch`.
 *
 * Parks: no
 * Callers: any thread that holds a reference
 * Owns: the new reference is the caller's
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC cease_chan *cease_chan_ref(cease_chan *ch);

/* Gives a reference back. With the last one, what is still inside goes to the function that
 * cease_chan_on_drop set, oldest value first, and the memory is freed. Returns NULL.
 *
 * Parks: no (unless the function that was set does)
 * Callers: any thread that holds a reference
 * Owns: takes the caller's reference
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC cease_chan *cease_chan_unref(cease_chan *ch);

/* Sets what becomes of values that were sent and never received: when the last reference goes, fn
 * is called once for each, with the address of the value. Without it they are forgotten. A value
 * whose send failed never was the channel's: it stays with its sender and fn does not see it.
 *
 * Parks: no
 * Callers: its maker, before the channel is shared
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_chan_on_drop(cease_chan *ch, void (*fn)(void *value));

/* Sends a copy of *value: hands it to the receiver that has waited longest, or puts it inside if
 * there is room, or else parks until one of both has happened, ctx is done or the channel is
 * closed. On success the value is the receiver's (or the channel's); on any error it is still the
 * caller's.
 *
 * Parks: yes, in tasks and threads
 * Callers: any thread
 * Owns: the value passes on with CEASE_OK only
 * Errors: ctx's; CEASE_ECLOSED (before or during the wait); CEASE_ENOMEM for a NULL channel
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_chan_send(cease_ctx *ctx, cease_chan *ch, const void *value);

/* Receives the oldest value into *ret_value, parking until there is one, ctx is done, or the
 * channel is closed and empty.
 *
 * Parks: yes, in tasks and threads
 * Callers: any thread
 * Owns: the value is the caller's with CEASE_OK; *ret_value is untouched on error
 * Errors: ctx's; CEASE_ECLOSED when closed and drained; CEASE_ENOMEM for a NULL channel
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_chan_recv(cease_ctx *ctx, cease_chan *ch, void *ret_value);

/* Sends if that is possible at once: a receiver waits, or there is room.
 *
 * Parks: no
 * Callers: any thread, also inside a callback of a context
 * Owns: the value passes on with CEASE_OK only
 * Errors: CEASE_EAGAIN; CEASE_ECLOSED; CEASE_ENOMEM for a NULL channel
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_chan_try_send(cease_chan *ch, const void *value);

/* Receives if that is possible at once: a value is inside, or a sender waits.
 *
 * Parks: no
 * Callers: any thread, also inside a callback of a context
 * Owns: the value is the caller's with CEASE_OK; *ret_value is untouched on error
 * Errors: CEASE_EAGAIN; CEASE_ECLOSED when closed and drained; CEASE_ENOMEM for a NULL channel
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_chan_try_recv(cease_chan *ch, void *ret_value);

/* How many values are inside at this moment: for metrics. Whoever decides by it has decided by the past.
 *
 * Parks: no
 * Callers: any thread
 * Owns: nothing
 * Errors: 0 for a NULL channel
 * Since: 0.1
 */
CEASE_PUBLIC size_t cease_chan_length(const cease_chan *ch);

/* How many values fit inside: what cease_chan_new was given.
 *
 * Parks: no
 * Callers: any thread
 * Owns: nothing
 * Errors: 0 for a NULL channel
 * Since: 0.1
 */
CEASE_PUBLIC size_t cease_chan_capacity(const cease_chan *ch);

/* Closes the channel and wakes everybody who waits on it with CEASE_ECLOSED; senders keep their
 * values, values inside stay for receivers. Closing again does nothing (unlike in Go, where it
 * panics).
 *
 * Parks: no
 * Callers: any thread, also inside a callback of a context
 * Owns: nothing; the references stay
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_chan_close(cease_chan *ch);

CEASE_END_DECLS

#endif
