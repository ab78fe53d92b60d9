/* SPDX-License-Identifier: MIT
 *
 * origin.c: to whom a pool has connections, and which of those are idle.
 *
 * An origin is an address, an authority, and how to speak there. It lives while it has connections (`count`:
 * busy, idle and being dialed), waiters, or somebody between two locks (`holders`). An idle connection is in two
 * lists: that of its origin, the newest first, which is the one to take; and that of the pool, in which the
 * oldest is the one to close.
 */
#include "http/origin.h"

#include <stdlib.h>
#include <string.h>

size_t ceasei_origin_key(const struct ceasei_target *t, char key[CEASEI_ORIGIN_KEY_MAX])
{
    size_t address = strlen(t->address);
    if (address + t->authority_size + 3 > CEASEI_ORIGIN_KEY_MAX) {
        return 0;
    }
    key[0] = (char)('0' + t->tls + 2 * t->tunnel);
    memcpy(key + 1, t->address, address + 1);
    memcpy(key + 2 + address, t->authority, t->authority_size);
    return address + 2 + t->authority_size;
}

uint32_t ceasei_origin_hash(const char *key, size_t size) /* FNV-1a */
{
    uint32_t h = UINT32_C(2166136261);
    for (size_t i = 0; i < size; i++) {
        h = (h ^ (unsigned char)key[i]) * UINT32_C(16777619);
    }
    return h;
}

struct ceasei_origin *ceasei_origin_find(struct ceasei_pool *p, uint32_t hash, const char *key,
                                         size_t size)
{
    struct ceasei_origin *o = p->table[hash % CEASEI_ORIGIN_BUCKETS];
    while (o && (o->hash != hash || o->key_size != size || memcmp(o->key, key, size) != 0)) {
        o = o->next;
    }
    return o;
}

struct ceasei_origin *ceasei_origin_unneeded(struct ceasei_pool *p, struct ceasei_origin *o)
{
    if (o->count > 0 || o->holders > 0 || o->first) {
        return NULL;
    }
    struct ceasei_origin **at = &p->table[o->hash % CEASEI_ORIGIN_BUCKETS];
    while (*at != o) {
        at = &(*at)->next;
    }
    *at = o->next;
    p->origin_count--;
    return o;
}

cease_error ceasei_origin_hold(struct ceasei_pool *p, uint32_t hash, const char *key, size_t size,
                               struct ceasei_origin **ret_origin)
{
    struct ceasei_origin *made = NULL;
    for (;;) {
        ceasei_lock(&p->lock);
        struct ceasei_origin *o = ceasei_origin_find(p, hash, key, size);
        if (!o && made) {
            o = made;
            made = NULL;
            o->next = p->table[hash % CEASEI_ORIGIN_BUCKETS];
            p->table[hash % CEASEI_ORIGIN_BUCKETS] = o;
            p->origin_count++;
        }
        if (o) {
            o->holders++;
        }
        ceasei_unlock(&p->lock);
        if (o) {
            free(made);
            *ret_origin = o;
            return CEASE_OK;
        }
        made = calloc(1, sizeof *made + size);
        if (!made) {
            return CEASE_ENOMEM;
        }
        made->hash = hash;
        made->key_size = size;
        memcpy(made->key, key, size);
    }
}

void ceasei_origin_let_go(struct ceasei_pool *p, struct ceasei_origin *o)
{
    ceasei_lock(&p->lock);
    o->holders--;
    struct ceasei_origin *gone = ceasei_origin_unneeded(p, o);
    ceasei_unlock(&p->lock);
    free(gone);
}

/* ---- the idle ones ---- */

void ceasei_origin_rest(struct ceasei_pool *p, struct ceasei_link *l)
{
    struct ceasei_origin *o = l->origin;
    l->older = p->newest;
    l->newer = NULL;
    *(p->newest ? &p->newest->newer : &p->oldest) = l;
    p->newest = l;
    l->origin_prev = NULL;
    l->origin_next = o->idle;
    if (o->idle) {
        o->idle->origin_prev = l;
    }
    o->idle = l;
    o->idle_count++;
    p->idle++;
    p->busy--;
    l->state = CEASEI_LINK_IDLE;
}

void ceasei_origin_take(struct ceasei_pool *p, struct ceasei_link *l)
{
    struct ceasei_origin *o = l->origin;
    *(l->older ? &l->older->newer : &p->oldest) = l->newer;
    *(l->newer ? &l->newer->older : &p->newest) = l->older;
    *(l->origin_prev ? &l->origin_prev->origin_next : &o->idle) = l->origin_next;
    if (l->origin_next) {
        l->origin_next->origin_prev = l->origin_prev;
    }
    o->idle_count--;
    p->idle--;
    p->busy++;
    l->state = CEASEI_LINK_TAKEN;
}

/* ---- the multiplexed ones ---- */

void ceasei_origin_list(struct ceasei_link *l)
{
    if (!l->listed) {
        l->listed = true;
        l->listed_next = l->origin->listed;
        l->origin->listed = l;
    }
}

void ceasei_origin_unlist(struct ceasei_link *l)
{
    struct ceasei_link **at = &l->origin->listed;
    if (!l->listed) {
        return;
    }
    while (*at != l) {
        at = &(*at)->listed_next;
    }
    *at = l->listed_next;
    l->listed = false;
}

struct ceasei_link *ceasei_origin_roomy(const struct ceasei_origin *o)
{
    struct ceasei_link *l = o->listed;
    while (l && l->users >= l->limit) {
        l = l->listed_next;
    }
    return l;
}
