/* SPDX-License-Identifier: MIT
 *
 * search.c: see search.h. The tasks write into the caller's result, which is safe because they are
 * always joined.
 */
#include "search.h"

#include <cease/group.h>
#include <stdlib.h>
#include <string.h>

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

/* Whether `outer` is `name`/`key`, or ends in it: the same document, found by way of others. */
static bool leads_to(const char *outer, const char *name, const char *key)
{
    size_t outer_size = strlen(outer), name_size = strlen(name), key_size = strlen(key);
    size_t size = name_size + 1 + key_size;
    if (outer_size < size || (outer_size > size && outer[outer_size - size - 1] != '/'))
        return false;
    const char *end = outer + outer_size - size;
    return memcmp(end, name, name_size) == 0 && end[name_size] == '/' &&
           memcmp(end + name_size + 1, key, key_size) == 0;
}

static bool is_same(const struct backend *a, const struct hit *x, const struct backend *b,
                    const struct hit *y)
{
    if (a == b)
        return false; /* a backend gives each once */
    if (a->relays && b->relays)
        return strcmp(x->key, y->key) == 0;
    return a->relays ? leads_to(x->key, b->name, y->key)
                     : b->relays && leads_to(y->key, a->name, x->key);
}

/* Instances on one machine, and replicas, have the same documents: the first backend that has found
 * one shows it. */
static bool is_elsewhere(const struct result *r, const struct answer *a, const struct hit *hit)
{
    for (const struct answer *b = r->answers; b < a; b++)
        for (size_t i = 0; b->error == CEASE_OK && i < b->hits.count; i++)
            if (is_same(b->backend, &b->hits.data[i], a->backend, hit))
                return true;
    return false;
}

/* The best of each backend in turn, but first what bears the very name. */
static void rank(struct result *r)
{
    for (int exact = 1; exact >= 0; exact--)
        for (size_t place = 0; place < HITS_MAX; place++)
            for (size_t i = 0; i < r->count && r->ranked_count < RANKED_MAX; i++) {
                const struct answer *a = &r->answers[i];
                if (a->error != CEASE_OK || place >= a->hits.count ||
                    a->hits.data[place].exact != exact || is_elsewhere(r, a, &a->hits.data[place]))
                    continue;
                r->ranked[r->ranked_count].answer = a;
                r->ranked[r->ranked_count++].hit = &a->hits.data[place];
            }
}

static cease_error ask_all(cease_group *group, const struct backends *all, struct asking *asking,
                           struct result *ret)
{
    cease_error e = CEASE_OK;
    for (size_t i = 0; i < all->count && e == CEASE_OK; i++) {
        asking[i].answer = &ret->answers[i];
        asking[i].budget = all->budget[i];
        ret->answers[i].backend = &all->of[i];
        e = cease_group_go(group, ask_task, &asking[i]);
        if (e == CEASE_OK)
            ret->count++;
    }
    return e;
}

cease_error search_all(cease_ctx *ctx, const struct backends *all, const char *query,
                       struct result *ret)
{
    struct asking asking[BACKENDS_MAX];
    for (size_t i = 0; i < all->count; i++)
        asking[i].query = query;
    ret->answers = calloc(all->count, sizeof *ret->answers);
    cease_group *group = cease_group_new(ctx, NULL);
    cease_error e = group && ret->answers ? ask_all(group, all, asking, ret) : CEASE_ENOMEM;
    if (group && e == CEASE_OK)
        cease_group_wait(group);
    if (group && e != CEASE_OK)
        cease_group_stop(group);
    cease_group_free(group);
    if (e == CEASE_OK)
        rank(ret);
    return e;
}

void result_deinit(struct result *r)
{
    for (size_t i = 0; i < r->count; i++)
        hits_deinit(&r->answers[i].hits);
    free(r->answers);
    *r = (struct result){0};
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
