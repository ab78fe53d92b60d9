/* SPDX-License-Identifier: MIT
 *
 * nopark.c: scopes in which nothing may park, and what is said to who does.
 *
 * A started task stays on its thread, and while parking is forbidden no other task can get there. So
 * whether it is forbidden is the thread's, in the same field that says which callback it is in.
 */
#include "context/ctx.h"

#include <cease/nopark.h>

void cease_nopark_begin_at(cease_nopark *scope, const cease_place *place)
{
    *scope = (cease_nopark){0};
    if (CEASE_LIKELY(!ceasei_debug))
        return;
    struct ceasei_thread *self = ceasei_thread_self();
    *scope = (cease_nopark){place, self->callback, self->callback_is_scope};
    self->callback = place;
    self->callback_is_scope = true;
}

void cease_nopark_end(cease_nopark *scope)
{
    if (CEASE_LIKELY(scope->place_ == NULL))
        return;
    struct ceasei_thread *self = ceasei_thread_self();
    if (self->callback != scope->place_ || !self->callback_is_scope)
        /* not taken: a scope that has begun has a place */
        ceasei_panic(scope->place_,
                     "cease_nopark_end: the scope that begins here is not the one that "
                     "began last on this thread");
    self->callback = scope->outer_;
    self->callback_is_scope = scope->outer_is_scope_;
    scope->place_ = NULL;
}

void cease_park_forbidden(const char *function)
{
    const struct ceasei_thread *self = ceasei_thread_self();
    if (self->callback_is_scope)
        /* not taken: whoever forbids parking has a place */
        ceasei_panic(self->callback,
                     "%s parks inside the scope that begins here, in which nothing may "
                     "(cease_nopark_begin)",
                     function);
    /* not taken: the same */
    ceasei_panic(self->callback,
                 "%s inside a callback of a context: the callback that was added here "
                 "parks; callbacks must not",
                 function);
}

#undef cease_nopark_begin
/* For bindings of other languages. */
void cease_nopark_begin(cease_nopark *scope)
{
    cease_nopark_begin_at(scope, CEASE_HERE);
}
