/* SPDX-License-Identifier: MIT
 *
 * value.c: request-scoped values.
 *
 * A key gets a small number, its slot, when it is used first. A value context carries a table of
 * all values that are visible from it, indexed by slot: a radix tree with 16 entries a node, of
 * which a new context copies only the path to its own entry. The rest is shared with the contexts
 * above, which live as long as it does. So a lookup is one step for every factor of 16 in the
 * number of keys of the program (one, up to 16 keys), however many contexts are above, and a miss
 * costs the same as a hit. The copies lie behind the context, in the same allocation.
 *
 * A source starts an empty table: what is not found in the table is asked of the source, then
 * looked up in the table of the source's parent.
 */
#include "context/ctx.h"

#include <stdio.h>
#include <string.h>

enum { FANOUT_BITS = 4, FANOUT = 1 << FANOUT_BITS, LEVELS_MAX = 8 };

/* Set at birth, like all of this file's memory. */
struct ceasei_values {
    void *const *root;       /* FANOUT entries, or `limit` when levels is 0; NULL: empty */
    uint32_t limit;          /* slots below it are covered                                        */
    uint32_t levels;         /* inner levels above the values                                     */
    const cease_ctx *source; /* whose table this is the continuation of; NULL: none               */
};

struct value_ctx {
    cease_ctx ctx;
    struct ceasei_values values;
    cease_key *key;
    void *value;
    size_t entry_count;
    void *entries[]; /* the copied path: root first */
};

struct source_ctx {
    cease_ctx ctx;
    struct ceasei_values values;
    const cease_source *source;
    void *self;
};

static const char absent_object; /* its address says that a slot is empty: a value may be NULL */
static void *const absent = (void *)&absent_object;

const struct ceasei_values ceasei_no_values;

/* ----- slots ----- */

static uint32_t slots; /* atomic: those given out; one that loses the race is not used */

/* 1 + the slot of a key; given out now if it has none. */
static uint32_t register_key(cease_key *key)
{
    uint32_t slot = ceasei_load(&key->slot_, ACQUIRE);
    if (slot != 0)
        return slot;
    uint32_t mine = ceasei_add(&slots, 1, RELAXED) + 1;
    if (CEASE_UNLIKELY(mine == 0))
        ceasei_panic_at(NULL, 0, NULL,
                        "cease_with_value: four thousand million keys: a key is to be static");
    if (ceasei_cas(&key->slot_, &slot, mine, ACQ_REL))
        return mine;
    return slot;
}

/* ----- looking up ----- */

static void *table_find(const struct ceasei_values *values, uint32_t slot)
{
    if (slot >= values->limit)
        return absent;
    void *const *node = values->root;
    for (uint32_t level = values->levels; level > 0; level--) {
        node = node[(slot >> (FANOUT_BITS * level)) & (FANOUT - 1)];
        if (node == NULL)
            return absent;
    }
    return node[slot & (FANOUT - 1)];
}

void *cease_value_at(const cease_ctx *ctx, cease_key *key, const cease_place *place)
{
    ceasei_check(key, place, "cease_value: the key");
    CEASEI_ALIVE(ctx, place, "cease_value");
    /* A key that no context was made with has no slot: 0 - 1 is above every limit. */
    uint32_t slot = ceasei_load(&key->slot_, RELAXED) - 1;
    const struct ceasei_values *values = ctx->values;
    for (;;) {
        void *value = table_find(values, slot);
        if (value != absent)
            return value;
        if (values->source == NULL)
            return NULL;
        const struct source_ctx *from = container_of_(values->source, const struct source_ctx, ctx);
        if (from->source->value != NULL && from->source->value(from->self, key, &value))
            return value;
        values = from->ctx.parent->values;
    }
}

void *(cease_value)(const cease_ctx *ctx, cease_key *key)
{
    return cease_value_at(ctx, key, NULL);
}

/* ----- making ----- */

/* How a table that has all of `old` and a slot looks. A table of one level is as long as it must be;
 * in taller ones every node is full. */
struct shape {
    uint32_t levels;
    uint32_t limit;
    uint32_t
        kept_levels; /* new nodes that lead from the new root to the old values, when it grows */
    size_t entries;  /* of all new nodes                                                       */
};

static struct shape shape_for(const struct ceasei_values *old, uint32_t slot)
{
    struct shape shape = {.levels = old->levels};
    /* not taken: the limit: that takes 2^28 keys, each an object of its own */
    while (shape.levels < LEVELS_MAX - 1 && (slot >> (FANOUT_BITS * (shape.levels + 1))) != 0)
        shape.levels++;
    if (shape.levels == 0) {
        shape.limit = slot + 1 > old->limit ? slot + 1 : old->limit;
        shape.entries = shape.limit;
        return shape;
    }
    shape.limit = shape.levels == LEVELS_MAX - 1
                      ? UINT32_MAX /* not taken: as above */
                      : UINT32_C(1) << (FANOUT_BITS * (shape.levels + 1));
    if (old->root != NULL && shape.levels > old->levels)
        shape.kept_levels = shape.levels - old->levels - (old->levels > 0);
    shape.entries = (size_t)FANOUT * (shape.levels + 1 + shape.kept_levels);
    return shape;
}

/* Copies the first `count` entries of a node, and makes the rest of `size` empty. */
static void copy_node(void **to, size_t size, void *const *from, size_t count, void *empty)
{
    if (from == NULL)
        count = 0;
    /* not taken: count > size: no table is shorter than the one that it grew from */
    for (size_t i = 0; i < count && i < size; i++)
        to[i] = from[i];
    for (size_t i = count; i < size; i++)
        to[i] = empty;
}

/* Makes the old tree the first child of a taller one: nodes with one entry each, and in place of a
 * short table of one level a full one. */
static void *keep_old(void **at, const struct ceasei_values *old, const struct shape *shape)
{
    void *kept = (void *)(uintptr_t)old->root;
    for (uint32_t i = 0; i < shape->kept_levels; i++, at += FANOUT) {
        if (i == 0 && old->levels == 0) {
            copy_node(at, FANOUT, old->root, old->limit, absent);
        } else {
            copy_node(at, FANOUT, NULL, 0, NULL);
            at[0] = kept;
        }
        kept = at;
    }
    return kept;
}

/* Lays the new nodes into self->entries: the path to the slot, then what leads to the old ones. */
static void copy_path(struct value_ctx *self, const struct ceasei_values *old, uint32_t slot,
                      const struct shape *shape)
{
    void **at = self->entries;
    void *const *from = old->root;
    size_t count = old->levels == 0 ? old->limit : FANOUT;
    void *kept = NULL;
    if (from != NULL && shape->levels > old->levels) {
        kept = keep_old(at + (size_t)FANOUT * (shape->levels + 1), old, shape);
        from = NULL;
    }
    for (uint32_t level = shape->levels; level > 0; level--, at += FANOUT) {
        uint32_t index = (slot >> (FANOUT_BITS * level)) & (FANOUT - 1);
        copy_node(at, FANOUT, from, FANOUT, NULL);
        if (kept != NULL)
            at[0] = kept; /* index is not 0 here: else the tree would not have grown */
        kept = NULL;
        from = at[index];
        count = FANOUT;
        at[index] = at + FANOUT;
    }
    copy_node(at, shape->levels == 0 ? shape->limit : FANOUT, from, count, absent);
    at[slot & (FANOUT - 1)] = self->value;
}

/* A NULL value is nothing to destroy, as for pthread keys. */
static void destroy_value(const cease_key *key, void *value)
{
    cease_place place = {"destructor of a key", 0, key->name};
    if (key->destroy != NULL && value != NULL)
        ceasei_call_watch(key->destroy, value,
                          &place); /* parking in it is a bug, as in a callback */
}

cease_ctx *cease_with_value_at(cease_ctx *parent, cease_key *key, void *value,
                               const cease_place *place)
{
    ceasei_check_parent(parent, place, "cease_with_value: the parent");
    ceasei_check(key, place, "cease_with_value: the key");
    uint32_t slot = register_key(key) - 1;
    const struct ceasei_values *old = parent->values;
    struct shape shape = shape_for(old, slot);
    struct value_ctx *self = (struct value_ctx *)(void *)ceasei_plain_new(
        parent, KIND_VALUE, sizeof *self + shape.entries * sizeof(void *), place);
    if (self == NULL) {
        destroy_value(key, value);
        return &ceasei_failed.ctx;
    }
    self->key = key;
    self->value = value;
    self->entry_count = shape.entries;
    copy_path(self, old, slot, &shape);
    self->values = (struct ceasei_values){
        .root = self->entries, .limit = shape.limit, .levels = shape.levels, .source = old->source};
    self->ctx.values = &self->values;
    return &self->ctx;
}

cease_ctx *(cease_with_value)(cease_ctx *parent, cease_key *key, void *value)
{
    return cease_with_value_at(parent, key, value, NULL);
}

cease_ctx *cease_with_source_at(cease_ctx *parent, const cease_source *source, void *self,
                                const cease_place *place)
{
    ceasei_check_parent(parent, place, "cease_with_source: the parent");
    ceasei_check(source, place, "cease_with_source: the source");
    struct source_ctx *made =
        (struct source_ctx *)(void *)ceasei_plain_new(parent, KIND_SOURCE, sizeof *made, place);
    if (made == NULL) {
        if (source->release != NULL)
            source->release(self);
        return &ceasei_failed.ctx;
    }
    made->source = source;
    made->self = self;
    made->values = (struct ceasei_values){.source = &made->ctx};
    made->ctx.values = &made->values;
    return &made->ctx;
}

cease_ctx *(cease_with_source)(cease_ctx *parent, const cease_source *source, void *self)
{
    return cease_with_source_at(parent, source, self, NULL);
}

size_t ceasei_values_deinit(cease_ctx *ctx)
{
    if (ctx->kind == KIND_VALUE) {
        struct value_ctx *self = container_of_(ctx, struct value_ctx, ctx);
        destroy_value(self->key, self->value);
        return sizeof *self + self->entry_count * sizeof(void *);
    }
    if (ctx->kind == KIND_SOURCE) {
        struct source_ctx *self = container_of_(ctx, struct source_ctx, ctx);
        cease_place place = {"release of a source", 0, "cease_source"};
        if (self->source->release != NULL)
            ceasei_call_watch(self->source->release, self->self, &place);
        return sizeof *self;
    }
    return sizeof *ctx;
}

const char *ceasei_value_name(const cease_ctx *ctx)
{
    return container_of_(ctx, const struct value_ctx, ctx)->key->name;
}
