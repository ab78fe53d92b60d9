/* SPDX-License-Identifier: MIT
 *
 * search.c: see search.h. The tasks write into the caller's result, which is safe because they are
 * always joined.
 */
#include "search.h"

#include <cease/group.h>

struct asking {
    struct answer *answer;
    const char *query;
    cease_dur budget; /* 0: the request's time is its only limit */
};

static cease_error ask_task(cease_ctx *ctx, void *arg)
{
    struct asking *a = arg;
    struct answer *answer = a->answer;
    const struct backend *backend = answer->backend;
    CEASE_AUTO_END cease_canceler *stop = NULL;
    if (a->budget.ns > 0)
        ctx = cease_with_timeout_cause(ctx, a->budget, CEASE_EDEADLINE,
                                       "the backend's budget is spent", &stop);
    cease_time since = cease_now();
    answer->error = backend->search(ctx, backend->self, a->query, &answer->hits, &answer->trouble);
    answer->elapsed = cease_time_sub(cease_now(), since);
    return CEASE_OK; /* one failure does not stop the others */
}

/* The best of each backend in turn, but first what bears the very name. */
static void rank(struct result *r)
{
    for (int exact = 1; exact >= 0; exact--)
        for (size_t place = 0; place < HITS_MAX; place++)
            for (size_t i = 0; i < r->count; i++) {
                const struct answer *a = &r->answers[i];
                if (a->error != CEASE_OK || place >= a->hits.count ||
                    a->hits.data[place].exact != exact)
                    continue;
                r->ranked[r->ranked_count].answer = a;
                r->ranked[r->ranked_count++].hit = &a->hits.data[place];
            }
}

cease_error search_all(cease_ctx *ctx, const struct backend *backends, const cease_dur *budgets,
                       size_t count, const char *query, struct result *ret)
{
    struct asking asking[BACKEND_COUNT];
    cease_time since = cease_now();
    cease_group *group = cease_group_new(ctx, NULL);
    cease_error e = group ? CEASE_OK : CEASE_ENOMEM;
    for (size_t i = 0; i < count && e == CEASE_OK; i++) {
        ret->answers[i] = (struct answer){.backend = &backends[i]};
        asking[i] =
            (struct asking){.answer = &ret->answers[i], .query = query, .budget = budgets[i]};
        e = cease_group_go(group, ask_task, &asking[i]);
        if (e == CEASE_OK)
            ret->count++;
    }
    if (group && e == CEASE_OK)
        cease_group_wait(group);
    if (group && e != CEASE_OK)
        cease_group_stop(group);
    cease_group_free(group);
    ret->elapsed = cease_time_sub(cease_now(), since);
    if (e == CEASE_OK)
        rank(ret);
    return e;
}

void result_deinit(struct result *r)
{
    for (size_t i = 0; i < r->count; i++)
        hits_deinit(&r->answers[i].hits);
    r->count = 0;
}

int result_status(const struct result *r)
{
    bool all_late = true;
    for (size_t i = 0; i < r->count; i++) {
        if (r->answers[i].error == CEASE_OK)
            return 200;
        all_late = all_late && r->answers[i].error == CEASE_EDEADLINE;
    }
    return all_late ? 504 : 502;
}

const char *answer_error(const struct answer *a)
{
    if (a->error == CEASE_OK)
        return NULL;
    if (a->error == CEASE_EDEADLINE)
        return "deadline exceeded";
    if (a->error == CEASE_ECANCELED)
        return "canceled";
    return a->trouble.text[0] ? a->trouble.text : cease_strerror(a->error);
}
