/* SPDX-License-Identifier: MIT
 *
 * cease/flight.h: many who ask for the same thing at the same time, and one who fetches it.
 *
 *     static cease_error load_user(cease_ctx *ctx, const char *key, void *self, void **ret_value);
 *
 *     cease_flights *users = cease_flights_new(load_user, free, database);
 *     ...
 *     cease_flight *flight;
 *     cease_error err = cease_flight_do(ctx, users, "alice", &flight);
 *     if (err == CEASE_OK) {
 *         show(cease_flight_value(flight));
 *         cease_flight_unref(flight);
 *     }
 *
 * While load_user runs for "alice", everybody else who asks for "alice" waits for that one call and
 * gets its result, an error too. (Go's singleflight.) Nothing is kept: who asks after the call has
 * returned begins a new one. A cache is another thing, and may stand behind it.
 *
 * The call is nobody's. It runs in a task of its own, under a context with the values of whoever came
 * first, but with neither its deadline nor its cancellation: whoever gives up leaves, and the call
 * goes on for the others. When the last who wants it has left, its context ends, and that last one
 * waits until the call has returned: nothing runs on that nobody waits for. For the same reason the
 * call gets the key and `self`, and nothing that belongs to one of the callers.
 */
#ifndef CEASE_FLIGHT_H
#define CEASE_FLIGHT_H

#include <cease/attr.h>
#include <cease/context.h>
#include <cease/error.h>
#include <stddef.h>

CEASE_BEGIN_DECLS

typedef struct cease_flights cease_flights; /* calls in flight, by key */
typedef struct cease_flight cease_flight;   /* one of them, with its result */

/* Fetches what `key` stands for. With CEASE_OK *ret_value is the flight's, which frees it when
 * the last of those who wanted it has let go. */
typedef cease_error cease_flight_fn(cease_ctx *ctx, const char *key, void *self, void **ret_value);

/* Makes a place where calls of `fn` are shared. `drop` frees a value; NULL: nothing is to be freed.
 *
 * Parks: no
 * Callers: any thread
 * Owns: the caller gets it, for cease_flights_free; `self` is borrowed until then
 * Errors: NULL when memory is short; aborts on a NULL fn
 * Since: 0.1
 */
CEASE_PUBLIC cease_flights *cease_flights_new(cease_flight_fn *fn, void (*drop)(void *value),
                                              void *self);

/* Frees it. Results that somebody still holds stay valid. NULL is fine.
 *
 * Parks: no
 * Callers: any thread, when nobody is in cease_flight_do any more
 * Owns: takes the flights
 * Errors: aborts when a call is in flight
 * Since: 0.1
 */
CEASE_PUBLIC void cease_flights_free(cease_flights *f);

/* Waits for the call for `key` that is in flight, or begins one and waits for that.
 *
 * Parks: yes; cut short by ctx, but the last one who leaves joins the call, which has been cancelled
 * Callers: tasks; plain threads, where it blocks the thread; not the call itself for its own key
 * Owns: with CEASE_OK *ret_flight is the caller's, for cease_flight_unref; `key` is copied
 * Errors: ctx's; those of fn, to everybody who waited for it; CEASE_ENOMEM, also for NULL flights;
 * what cease_go says
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_flight_do(cease_ctx *ctx, cease_flights *f, const char *key,
                                         cease_flight **ret_flight);
CEASE_PUBLIC cease_error cease_flight_do_at(cease_ctx *ctx, cease_flights *f, const char *key,
                                            cease_flight **ret_flight, const cease_place *place);
#define cease_flight_do(ctx, f, key, ret_flight) \
    cease_flight_do_at((ctx), (f), (key), (ret_flight), CEASE_HERE)

/* The value that the call gave. All who share the flight get the same address: it is for reading.
 *
 * Parks: no
 * Callers: any thread that holds a share of the flight
 * Owns: borrowed, until the share is given back
 * Errors: NULL for NULL
 * Since: 0.1
 */
CEASE_PUBLIC void *cease_flight_value(const cease_flight *flight);

/* How many callers got this flight's result: 1 when nobody else wanted it.
 *
 * Parks: no
 * Callers: any thread that holds a share of the flight
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC size_t cease_flight_shared(const cease_flight *flight);

/* Gives a share back; with the last one the value is dropped. Returns NULL. NULL is fine.
 *
 * Parks: no (unless the function that drops does)
 * Callers: any thread that holds a share
 * Owns: takes the share
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC cease_flight *cease_flight_unref(cease_flight *flight);

CEASE_END_DECLS

#endif
