/* SPDX-License-Identifier: MIT
 *
 * cease/context.h: deadlines, cancellation and request-scoped values, in a tree that any thread may
 * use.
 *
 * A context (cease_ctx) travels with a request, as first argument of every function that works for
 * it. It says whether the work is still wanted, until when, and carries values such as the user or
 * a trace id. Contexts form a tree: a context is derived from its parent, ends with its parent, and
 * may end earlier. When it ends, everything below it ends.
 *
 *     cease_error handle(cease_ctx *request) {
 *         CEASE_AUTO_END cease_canceler *stop = NULL;
 *         cease_ctx *ctx = cease_with_timeout(request, cease_ms(80), &stop);
 *         return search(ctx, "golang"); // gives up when 80 ms are over, or the request has ended
 *     }                                 // here ctx ends, and its memory is given back
 *
 * Who may cancel. A cease_ctx can be looked at, waited for and derived from; it cannot be
 * cancelled. The right to cancel is another type, cease_canceler, and stays with whoever made the
 * context: so says the article that this follows (Go Concurrency Patterns: Context), and here the
 * compiler sees to it.
 *
 * Who owns what. A derivation that takes a `ret_canceler` gives one *share*, to be ended by
 * cease_end() once; the shares own the context. Derivations without one (values, sources,
 * without_cancel) give a *reference*, dropped by cease_unref() once. A context is valid until its
 * last share is ended and its last reference dropped. Before handing a context to another thread
 * take a reference (cease_ref) or a share (cease_canceler_ref) for it. A child keeps its parents
 * alive; a parent never keeps a child.
 *
 * Never NULL. When memory runs out, a derivation returns a static context that has ended already,
 * with CEASE_ECANCELED and the code CEASE_ENOMEM in its cause, and a canceler that does nothing. So
 * running out of memory takes the path that every caller has anyway. That context has no values, and
 * what the derivation was given is consumed as always. A NULL parent or key is a bug of the caller:
 * the program aborts and names the caller's place.
 *
 * Errors and causes. cease_err() is CEASE_OK while a context is open, then CEASE_ECANCELED or
 * CEASE_EDEADLINE, for ever. cease_cause_of() says more: a code and a text of the canceller's,
 * where and when, and which task it was. The first cause wins, and a child hands on its parent's.
 *
 * What order others may rely on:
 *  - When the call that ended a context returns, its whole subtree is done. A cancel that finds it
 *    ended or ending returns at once, and the context is done by then.
 *  - During a cancel a child may still be open while its parent is done; a child never ends by
 *    inheritance before its parent.
 *  - Who sees the error sees the cause and a readable done fd; who sees the fd readable sees the
 *    error.
 *  - The callbacks of a context run newest first, a parent's before its children's, after the
 *    subtree is marked; each exactly once unless removed before; no lock is held meanwhile.
 *
 * Callbacks (cease_watch_add) and destructors of keys run on the canceller's stack, on a timer
 * thread, or between two tasks. They must not park or block: a parking call in one aborts and names
 * the place that added the callback. They may call everything in this header that does not park, on
 * any context.
 *
 * Deadlines are absolute and monotonic, and never early. Nothing is set up for one until somebody
 * could notice its passing: the first check, wait, watch, derivation or done fd arms the timer, and
 * the first timer starts a thread of the library (a runtime brings its own). When there is no memory
 * or no thread for that, the context ends at once, with CEASE_ECANCELED and CEASE_ENOMEM or
 * CEASE_EAGAIN as its cause's code. The other thread that this library may start is the helper of
 * cease_after_func().
 *
 * Size. Nothing here recurses over the tree: a million levels end and are freed in a stack of 16 KiB.
 * No derivation, end, watch or removal on any context waits for more than 256 contexts of somebody
 * else's cancel. A context that can end takes 120 bytes; a thread
 * keeps up to 64 freed ones for its next. Up to some hundred are blocks of malloc(); beyond that they
 * come from slabs, which go back to the system when they are empty.
 *
 * Other frameworks. An end that happens elsewhere is pushed: give the foreign object a share
 * (cease_canceler_ref) and let it cancel that. Values that live elsewhere are pulled: see
 * cease_with_source().
 *
 * CEASE_DEBUG=1 in the environment makes any build report contexts that were never ended or dropped,
 * with the place that made them, and abort when one is used after it is gone.
 *
 * Fork. In a forked child, contexts of the parent process may be read, referenced, dropped,
 * cancelled and ended: that takes no lock and touches no fd made before the fork; the memory of
 * cancellable ones may be kept. New contexts and deadlines work. What another thread was in the middle
 * of cancelling when the fork happened may be half done in the child: cancelling it there again
 * completes it.
 */
#ifndef CEASE_CONTEXT_H
#define CEASE_CONTEXT_H

#include <cease/attr.h>
#include <cease/error.h>
#include <cease/time.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

CEASE_BEGIN_DECLS

typedef struct cease_ctx cease_ctx;           /* what travels: may be looked at, never cancelled */
typedef struct cease_canceler cease_canceler; /* what stays: the right to cancel, with its maker */

/* A place in a program. */
typedef struct cease_place {
    const char *file;
    int line;
    const char *function;
} cease_place;

/* The address of a static cease_place that names this line. */
#define CEASE_HERE                                                                   \
    (__extension__({                                                                 \
        static const cease_place cease_place_here_ = {__FILE__, __LINE__, __func__}; \
        &cease_place_here_;                                                          \
    }))

/* Why a context ended. Read-only; valid while the context is. */
typedef struct cease_cause {
    cease_error error; /* CEASE_ECANCELED or CEASE_EDEADLINE                                     */
    int code;          /* what the canceller said; the error when it said nothing                */
    const char *text;  /* never NULL                                                             */
    const cease_place
        *place;    /* of the cancel; of the making, for a deadline or the end of a scope     */
    cease_time at; /* coarse clock; for a deadline, the deadline                             */
    uint64_t task; /* the canceller's task id; 0: a plain thread                             */
} cease_cause;

/* A key of request-scoped values: a static object that is compared by address, made by CEASE_KEY or
 * CEASE_KEY_OWNED.
 *
 *     static cease_key user_key = CEASE_KEY("user");
 *
 * Keep it static in the module that owns the value, and give others functions (user_new_context,
 * user_from_context). */
typedef struct cease_key {
    const char *name; /* for people                                                            */
    void (*destroy)(
        void *value); /* where the last reference is dropped, never with NULL, and it must
                                     not park; NULL: values are not owned                      */
    uint32_t slot_;   /* private, atomic: given out by the first cease_with_value()              */
} cease_key;

#if defined(__cplusplus)
#define CEASE_KEY_INIT_(name, destroy) \
    {                                  \
        name, destroy, 0               \
    }
#else
#define CEASE_KEY_INIT_(key_name, key_destroy)                   \
    {                                                            \
        .name = (key_name), .destroy = (key_destroy), .slot_ = 0 \
    }
#endif
#define CEASE_KEY(name)                CEASE_KEY_INIT_(name, 0)
#define CEASE_KEY_OWNED(name, destroy) CEASE_KEY_INIT_(name, destroy)

/* Values of another framework, asked for by key. `value` runs on the stack of who looks a
 * key up, `release` where the last reference is dropped; neither may park. */
typedef struct cease_source {
    size_t size; /* sizeof(cease_source) */
    /* True when it has a value for the key, written to *ret_value; false sends the lookup on to the
     * parent.  */
    bool (*value)(void *self, cease_key *key, void **ret_value);
    void (*release)(void *self); /* may be NULL */
} cease_source;

typedef void cease_watch_fn(void *arg);

/* What cease_watch_remove() found. */
typedef enum {
    CEASE_WATCH_REMOVED, /* it will not run (or was never added)                     */
    CEASE_WATCH_RAN,     /* it has run to its end                                    */
    CEASE_WATCH_RUNNING, /* it is running now: on another thread, or the caller's own */
} cease_watch_state;

/* A callback that is registered with a context, in the caller's memory. Zero-initialised is valid:
 * never added. Its fields are private. */
typedef struct cease_watch {
    struct cease_watch *next_;
    struct cease_watch **link_;
    uint32_t state_;
    uint32_t waits_;
    cease_ctx *ctx_;
    cease_watch_fn *fn_;
    void *arg_;
    const cease_place *place_;
} cease_watch;

typedef struct cease_after
    cease_after; /* a function that runs by itself after a context has ended */

/* Roots */

/* The root of all contexts: never ends, has no deadline and no values. For main, tests, and what
 * starts requests.
 *
 * Parks: no
 * Callers: any thread
 * Owns: static: cease_ref and cease_unref do nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC cease_ctx *cease_background(void);

/* The same as cease_background(), for code that does not know yet which context it should use.
 *
 * Parks: no
 * Callers: any thread
 * Owns: static: cease_ref and cease_unref do nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC cease_ctx *cease_todo(void);

/* Derivations that can be cancelled. Each records the place of the call */

/* A child of `parent` that ends when it is cancelled, its last share is ended, or the parent ends
 * (Go: WithCancel). `ret_canceler` may not be NULL: without it nobody could end the child.
 *
 * Parks: no
 * Callers: any thread
 * Owns: the caller owns one share of *ret_canceler: cease_end() once; the context belongs to the
 * shares
 * Errors: out of memory: the static ended context (cause code CEASE_ENOMEM) and an inert canceler;
 * NULL parent or ret_canceler aborts
 * Since: 0.1
 */
CEASE_PUBLIC cease_ctx *cease_with_cancel(cease_ctx *parent, cease_canceler **ret_canceler);
CEASE_PUBLIC cease_ctx *cease_with_cancel_at(cease_ctx *parent, cease_canceler **ret_canceler,
                                             const cease_place *place);
#define cease_with_cancel(parent, ret_canceler) \
    cease_with_cancel_at((parent), (ret_canceler), CEASE_HERE)

/* A child that ends with CEASE_EDEADLINE at `deadline`, unless the parent or the canceller ends it
 * before (Go: WithDeadline). When the parent's own deadline is not later, no timer is needed, and
 * the parent's cause is what shows. A deadline that has passed ends the child before the call
 * returns. CEASE_NEVER: no deadline of its own.
 *
 * Parks: no
 * Callers: any thread
 * Owns: the caller owns one share of *ret_canceler: cease_end() once; the context belongs to the
 * shares
 * Errors: out of memory: the static ended context (cause code CEASE_ENOMEM) and an inert canceler;
 * NULL parent or ret_canceler aborts
 * Since: 0.1
 */
CEASE_PUBLIC cease_ctx *cease_with_deadline(cease_ctx *parent, cease_time deadline,
                                            cease_canceler **ret_canceler);
CEASE_PUBLIC cease_ctx *cease_with_deadline_at(cease_ctx *parent, cease_time deadline,
                                               cease_canceler **ret_canceler,
                                               const cease_place *place);
#define cease_with_deadline(parent, deadline, ret_canceler) \
    cease_with_deadline_at((parent), (deadline), (ret_canceler), CEASE_HERE)

/* The same with a deadline `timeout` from now; 0 or less has passed; CEASE_FOREVER: none of its own
 * (Go: WithTimeout).
 *
 * Parks: no
 * Callers: any thread
 * Owns: the caller owns one share of *ret_canceler: cease_end() once; the context belongs to the
 * shares
 * Errors: out of memory: the static ended context (cause code CEASE_ENOMEM) and an inert canceler;
 * NULL parent or ret_canceler aborts
 * Since: 0.1
 */
CEASE_PUBLIC cease_ctx *cease_with_timeout(cease_ctx *parent, cease_dur timeout,
                                           cease_canceler **ret_canceler);
CEASE_PUBLIC cease_ctx *cease_with_timeout_at(cease_ctx *parent, cease_dur timeout,
                                              cease_canceler **ret_canceler,
                                              const cease_place *place);
#define cease_with_timeout(parent, timeout, ret_canceler) \
    cease_with_timeout_at((parent), (timeout), (ret_canceler), CEASE_HERE)

/* cease_with_deadline(), with the code and text of the cause when the deadline ends it (Go:
 * WithDeadlineCause). `code` 0 means CEASE_EDEADLINE. `text` is borrowed for the life of the
 * context and normally a literal; NULL: the usual text.
 *
 * Parks: no
 * Callers: any thread
 * Owns: the caller owns one share of *ret_canceler: cease_end() once; the context belongs to the
 * shares
 * Errors: out of memory: the static ended context (cause code CEASE_ENOMEM) and an inert canceler;
 * NULL parent or ret_canceler aborts
 * Since: 0.1
 */
CEASE_PUBLIC cease_ctx *cease_with_deadline_cause(cease_ctx *parent, cease_time deadline, int code,
                                                  const char *text, cease_canceler **ret_canceler);
CEASE_PUBLIC cease_ctx *cease_with_deadline_cause_at(cease_ctx *parent, cease_time deadline,
                                                     int code, const char *text,
                                                     cease_canceler **ret_canceler,
                                                     const cease_place *place);
#define cease_with_deadline_cause(parent, deadline, code, text, ret_canceler) \
    cease_with_deadline_cause_at((parent), (deadline), (code), (text), (ret_canceler), CEASE_HERE)

/* cease_with_timeout(), with the code and text of the cause when the time is over (Go:
 * WithTimeoutCause).
 *
 * Parks: no
 * Callers: any thread
 * Owns: the caller owns one share of *ret_canceler: cease_end() once; the context belongs to the
 * shares
 * Errors: out of memory: the static ended context (cause code CEASE_ENOMEM) and an inert canceler;
 * NULL parent or ret_canceler aborts
 * Since: 0.1
 */
CEASE_PUBLIC cease_ctx *cease_with_timeout_cause(cease_ctx *parent, cease_dur timeout, int code,
                                                 const char *text, cease_canceler **ret_canceler);
CEASE_PUBLIC cease_ctx *cease_with_timeout_cause_at(cease_ctx *parent, cease_dur timeout, int code,
                                                    const char *text, cease_canceler **ret_canceler,
                                                    const cease_place *place);
#define cease_with_timeout_cause(parent, timeout, code, text, ret_canceler) \
    cease_with_timeout_cause_at((parent), (timeout), (code), (text), (ret_canceler), CEASE_HERE)

/* A child of two: it ends as soon as either `parent` or `other` ends, with that one's cause. Values
 * come from `parent` alone; the deadline is the earlier one. It keeps both alive. A NULL `other` aborts, like a NULL parent.
 *
 * Parks: no
 * Callers: any thread
 * Owns: the caller owns one share of *ret_canceler: cease_end() once; the context belongs to the
 * shares
 * Errors: out of memory: the static ended context (cause code CEASE_ENOMEM) and an inert canceler;
 * NULL parent or ret_canceler aborts
 * Since: 0.1
 */
CEASE_PUBLIC cease_ctx *cease_with_merge(cease_ctx *parent, cease_ctx *other,
                                         cease_canceler **ret_canceler);
CEASE_PUBLIC cease_ctx *cease_with_merge_at(cease_ctx *parent, cease_ctx *other,
                                            cease_canceler **ret_canceler,
                                            const cease_place *place);
#define cease_with_merge(parent, other, ret_canceler) \
    cease_with_merge_at((parent), (other), (ret_canceler), CEASE_HERE)

/* A context for cleaning up after `parent` has ended: it has the parent's values, does not feel the
 * parent's end, and has a deadline `budget` from now (CEASE_FOREVER: none). Canceling and ending
 * are its own.
 *
 * Parks: no
 * Callers: any thread
 * Owns: the caller owns one share of *ret_canceler: cease_end() once; the context belongs to the
 * shares
 * Errors: out of memory: the static ended context (cause code CEASE_ENOMEM) and an inert canceler;
 * NULL parent or ret_canceler aborts
 * Since: 0.1
 */
CEASE_PUBLIC cease_ctx *cease_with_grace(cease_ctx *parent, cease_dur budget,
                                         cease_canceler **ret_canceler);
CEASE_PUBLIC cease_ctx *cease_with_grace_at(cease_ctx *parent, cease_dur budget,
                                            cease_canceler **ret_canceler,
                                            const cease_place *place);
#define cease_with_grace(parent, budget, ret_canceler) \
    cease_with_grace_at((parent), (budget), (ret_canceler), CEASE_HERE)

/* Derivations that cannot be cancelled by themselves: references, to be dropped */

/* A child that has `value` for `key` and everything else from its parent (Go: WithValue). A NULL
 * value hides an outer one. When the key owns its values (CEASE_KEY_OWNED), the value is consumed:
 * destroyed when the context is gone, also when memory runs out.
 *
 * Parks: no
 * Callers: any thread
 * Owns: the caller owns a reference: cease_unref(); takes value when the key owns its values
 * Errors: out of memory: the static ended context; NULL parent or key aborts
 * Since: 0.1
 */
CEASE_PUBLIC cease_ctx *cease_with_value(cease_ctx *parent, cease_key *key, void *value);
CEASE_PUBLIC cease_ctx *cease_with_value_at(cease_ctx *parent, cease_key *key, void *value,
                                            const cease_place *place);
#define cease_with_value(parent, key, value) \
    cease_with_value_at((parent), (key), (value), CEASE_HERE)

/* The parent's values without its end and its deadline (Go: WithoutCancel). It never ends: for work
 * that must outlive a request, such as an audit record. For cleanup use cease_with_grace().
 *
 * Parks: no
 * Callers: any thread
 * Owns: the caller owns a reference: cease_unref()
 * Errors: out of memory: the static ended context; NULL parent or ret_canceler aborts
 * Since: 0.1
 */
CEASE_PUBLIC cease_ctx *cease_without_cancel(cease_ctx *parent);
CEASE_PUBLIC cease_ctx *cease_without_cancel_at(cease_ctx *parent, const cease_place *place);
#define cease_without_cancel(parent) cease_without_cancel_at((parent), CEASE_HERE)

/* A child whose values are asked of `source` before its parent: the values of another framework.
 * `source` is borrowed and normally static. `self` is consumed: released with the last reference,
 * also when memory runs out.
 *
 * Parks: no
 * Callers: any thread
 * Owns: the caller owns a reference: cease_unref(); takes self
 * Errors: out of memory: the static ended context; NULL parent or source aborts
 * Since: 0.1
 */
CEASE_PUBLIC cease_ctx *cease_with_source(cease_ctx *parent, const cease_source *source,
                                          void *self);
CEASE_PUBLIC cease_ctx *cease_with_source_at(cease_ctx *parent, const cease_source *source,
                                             void *self, const cease_place *place);
#define cease_with_source(parent, source, self) \
    cease_with_source_at((parent), (source), (self), CEASE_HERE)

/* Ending */

/* Ends the context of `c`, and all below it, with CEASE_ECANCELED (Go: CancelFunc). The first
 * cancel counts; further ones do nothing. When this call ended it, everything below is done and its
 * callbacks have run when it returns. When it finds the context ended or being ended by another call,
 * it returns at once: the context itself is done, its subtree and its callbacks may follow. It is
 * safe while other holders cancel or end. The place of the call is in the cause.
 *
 * Parks: no
 * Callers: any thread that holds a share, any number of times, callbacks too; NULL is fine
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_cancel(cease_canceler *c);
CEASE_PUBLIC void cease_cancel_at(cease_canceler *c, const cease_place *place);
#define cease_cancel(c) cease_cancel_at((c), CEASE_HERE)

/* cease_cancel() with a reason (Go: WithCancelCause's function): a code of the caller's choice (0:
 * CEASE_ECANCELED) and a text, formatted as by printf and copied; NULL: the usual text. A text that
 * cannot be allocated is dropped, its code kept.
 *
 * Parks: no
 * Callers: any thread that holds a share, any number of times, callbacks too; NULL is fine
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_cancel_cause(cease_canceler *c, int code, const char *format, ...)
    CEASE_PRINTF(3, 4);
CEASE_PUBLIC void cease_cancel_cause_at(cease_canceler *c, const cease_place *place, int code,
                                        const char *format, ...) CEASE_PRINTF(4, 5);
#define cease_cancel_cause(c, code, ...) cease_cancel_cause_at((c), CEASE_HERE, (code), __VA_ARGS__)

/* Another share, for another holder, who ends it with cease_end(). Take it before handing it over.
 *
 * Parks: no
 * Callers: any thread that holds a share; NULL gives NULL
 * Owns: the caller owns the new share
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC cease_canceler *cease_canceler_ref(cease_canceler *c);

/* Cancels, and gives this share back; with the last share the context goes, as soon as its
 * references are gone. The cause says CEASE_ECANCELED and the place that made the context, unless
 * something ended it before.
 *
 * Parks: no
 * Callers: any thread, once per share; NULL is fine
 * Owns: consumes the share
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_end(cease_canceler *c);

/* A reference of the caller's own: the context stays valid (not open) until it is dropped.
 *
 * Parks: no
 * Callers: any thread that may use ctx; NULL gives NULL
 * Owns: the caller owns the new reference
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC cease_ctx *cease_ref(cease_ctx *ctx);

/* Drops a reference. With the last one the context's value is destroyed and its hold on its parent
 * ends, up the tree. Dropping a reference that was never taken on a context that its canceler owns
 * aborts.
 *
 * Parks: no
 * Callers: any thread, callbacks too; NULL is fine
 * Owns: consumes the reference; returns NULL
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC cease_ctx *cease_unref(cease_ctx *ctx);

static inline void cease_auto_end_(cease_canceler **c)
{
    cease_end(*c);
}
static inline void cease_auto_unref_(cease_ctx **ctx)
{
    (void)cease_unref(*ctx);
}

/* Ends the share, or drops the reference, when the variable leaves its scope: `defer cancel()` in
 * C.
 *
 *     CEASE_AUTO_END cease_canceler *stop = NULL;
 *     CEASE_AUTO_UNREF cease_ctx *ctx = cease_with_value(parent, &user_key, user);
 */
#define CEASE_AUTO_END   CEASE_CLEANUP(cease_auto_end_)
#define CEASE_AUTO_UNREF CEASE_CLEANUP(cease_auto_unref_)

/* Looking */

/* What cease_done() calls when the state word is in between: arms a deadline that nobody has noticed
 * yet, makes sure that the done fd of a context which is just ending is readable.
 *
 * Parks: no
 * Callers: any thread
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC bool cease_done_slow_(const cease_ctx *ctx);

/* Whether the context has ended (Go: Done, asked without waiting). Two loads while it is open. It
 * may be asked as often as one likes: in a loop over rows, between two blocks of a checksum.
 *
 * ABI, for bindings that want it in line: the first member of a context is a pointer to the 32-bit
 * state word of its nearest ancestor that can end, itself included. Loaded with acquire, zero means
 * open with no timer to arm. If one of the bits 0 to 2 is set, call cease_done_exported(); if none is,
 * bit 3 says that it has ended, and bit 4 then that its deadline did it.
 *
 * Parks: no
 * Callers: any thread
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
static inline bool cease_done(const cease_ctx *ctx)
{
    /* Pairs with the release store that publishes the end. */
    const uint32_t *word = *(const uint32_t *const *)(const void *)ctx;
    uint32_t state = __atomic_load_n(word, __ATOMIC_ACQUIRE);
    if (CEASE_UNLIKELY((state & 7u) != 0))
        return cease_done_slow_(ctx);
    return (state & 8u) != 0;
}

/* What cease_err() calls when the state word is in between.
 *
 * Parks: no
 * Callers: any thread
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_err_slow_(const cease_ctx *ctx);

/* CEASE_OK while the context is open; then CEASE_ECANCELED or CEASE_EDEADLINE for ever (Go: Err).
 *
 * Parks: no
 * Callers: any thread
 * Owns: nothing
 * Errors: the two are its result
 * Since: 0.1
 */
static inline cease_error cease_err(const cease_ctx *ctx)
{
    const uint32_t *word = *(const uint32_t *const *)(const void *)ctx;
    uint32_t state = __atomic_load_n(word, __ATOMIC_ACQUIRE);
    if (CEASE_UNLIKELY((state & 7u) != 0))
        return cease_err_slow_(ctx);
    if (CEASE_LIKELY((state & 8u) == 0))
        return CEASE_OK;
    return (state & 16u) != 0 ? CEASE_EDEADLINE : CEASE_ECANCELED;
}

/* cease_done() and cease_err() as functions, for bindings of other languages.
 *
 * Parks: no
 * Callers: any thread
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC bool cease_done_exported(const cease_ctx *ctx);
CEASE_PUBLIC cease_error cease_err_exported(const cease_ctx *ctx);

/* Why the context ended; NULL while it is open (Go: Cause).
 *
 * Parks: no
 * Callers: any thread
 * Owns: valid while the context is
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC const cease_cause *cease_cause_of(const cease_ctx *ctx);

/* Whether the context has a deadline, its own or one from above, and which.
 *
 * Parks: no
 * Callers: any thread
 * Owns: *ret_deadline is written when true is returned; may be NULL
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC bool cease_deadline(const cease_ctx *ctx, cease_time *ret_deadline);

/* The value of the nearest context, upwards, that has one for `key`; NULL when none has, or its
 * value is NULL. The cost does not grow with the number of contexts above, and a miss is as cheap as
 * a hit, sources excepted: those are asked in turn.
 *
 * Parks: no
 * Callers: any thread
 * Owns: the value belongs to its context: valid while ctx is
 * Errors: NULL key aborts
 * Since: 0.1
 */
CEASE_PUBLIC void *cease_value(const cease_ctx *ctx, cease_key *key);
CEASE_PUBLIC void *cease_value_at(const cease_ctx *ctx, cease_key *key, const cease_place *place);
#define cease_value(ctx, key) cease_value_at((ctx), (key), CEASE_HERE)

/* Waits until the context has ended and returns its error. On a context that never ends it waits
 * for ever.
 *
 * Parks: yes: a task parks, a thread sleeps
 * Callers: any task or thread, no callback; ctx stays valid
 * Owns: nothing
 * Errors: CEASE_ECANCELED or CEASE_EDEADLINE
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_wait(cease_ctx *ctx);

/* A file descriptor that is readable as soon as, and only when, the context has ended: for poll
 * loops of other libraries. It belongs to the context (an eventfd, made by the first call, the same
 * for everybody, close-on-exec): never close or read it, and take it out of your loop before you
 * drop the context. A stray read does not make it unreadable. For a context that never ends: valid
 * and never readable.
 *
 * Parks: no
 * Callers: any thread
 * Owns: the context owns the fd
 * Errors: a negative cease_error, such as CEASE_EMFILE
 * Since: 0.1
 */
CEASE_PUBLIC int cease_done_fd(cease_ctx *ctx);

/* What a context is, for people: for example `background.cancel.value(user).deadline`. Cut to
 * `size` bytes, always ended by a zero byte when size is not 0.
 *
 * Parks: no
 * Callers: any thread
 * Owns: writes ret_text; returns the length that the whole text has
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC size_t cease_describe(const cease_ctx *ctx, char *ret_text, size_t size);

/* Being told */

/* Calls `fn(arg)` once when `ctx` ends, on the thread that ends it. `*w` is the caller's memory and
 * must stay until fn is entered or cease_watch_remove() has said REMOVED; fn may free it, if nobody
 * removes it synchronously. On a context that has ended already, fn runs before this call returns
 * false. It cannot fail and allocates nothing. It takes no reference: keep the context alive until
 * the watch has run or is removed. fn must not park or block.
 *
 * A lock that you hold while removing a watch synchronously, and that fn takes, is a deadlock.
 *
 * Parks: no
 * Callers: any thread; *w is not added now
 * Owns: borrows *w
 * Errors: false: ctx had ended, fn has run
 * Since: 0.1
 */
CEASE_PUBLIC bool cease_watch_add(cease_watch *w, cease_ctx *ctx, cease_watch_fn *fn, void *arg);
CEASE_PUBLIC bool cease_watch_add_at(cease_watch *w, cease_ctx *ctx, cease_watch_fn *fn, void *arg,
                                     const cease_place *place);
#define cease_watch_add(w, ctx, fn, arg) cease_watch_add_at((w), (ctx), (fn), (arg), CEASE_HERE)

/* Takes the watch off its context, if it has not begun to run, and says what it found. It never
 * waits. After CEASE_WATCH_RUNNING the callback may still be using what it was given.
 *
 * Parks: no
 * Callers: any thread that keeps the context alive, callbacks too
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC cease_watch_state cease_watch_remove(cease_watch *w);

/* The same, but when the callback is running on another thread it waits until that has returned;
 * inside the callback itself it returns at once. Afterwards *w and all that fn used may be freed.
 *
 * Parks: while the callback runs elsewhere
 * Callers: any thread that keeps the context alive, callbacks too (of which two must not wait for
 * each other)
 * Owns: nothing
 * Errors: none
 * Since: 0.1
 */
CEASE_PUBLIC void cease_watch_remove_sync(cease_watch *w);

/* Runs `fn(arg)` in a task of its own (without a runtime: on a helper thread of the library) once
 * `ctx` has ended (Go: AfterFunc), at once if it has already. fn may park and block. It keeps the
 * context alive meanwhile. The helper thread is started by this call; cease_threads_stop() of
 * cease/hooks.h stops it.
 *
 * Parks: no
 * Callers: any thread
 * Owns: the caller owns the result: cease_after_stop() once
 * Errors: NULL when out of memory: fn never runs
 * Since: 0.1
 */
CEASE_PUBLIC cease_after *cease_after_func(cease_ctx *ctx, void (*fn)(void *arg), void *arg);
CEASE_PUBLIC cease_after *cease_after_func_at(cease_ctx *ctx, void (*fn)(void *arg), void *arg,
                                              const cease_place *place);
#define cease_after_func(ctx, fn, arg) cease_after_func_at((ctx), (fn), (arg), CEASE_HERE)

/* Prevents the function from running, if it has not been started, and consumes `a` in any case. It
 * never waits for fn.
 *
 * Parks: no
 * Callers: any thread, once; NULL is fine (false)
 * Owns: consumes a
 * Errors: true: fn was prevented; false: it has been or is being run
 * Since: 0.1
 */
CEASE_PUBLIC bool cease_after_stop(cease_after *a);

CEASE_END_DECLS

#endif
