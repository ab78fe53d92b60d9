/* SPDX-License-Identifier: MIT
 *
 * describe.c: what can be seen of a context: as text, the way from the root down to it; and its parts.
 */
#include "context/ctx.h"

#include <stdio.h>
#include <string.h>

static const char *kind_of(const cease_ctx *ctx)
{
    static const char *const names[] = {
        [KIND_ROOT] = "background", [KIND_VALUE] = "value",
        [KIND_SOURCE] = "source",   [KIND_DETACHED] = "without_cancel",
        [KIND_CANCEL] = "cancel",   [KIND_DEADLINE] = "deadline",
        [KIND_MERGE] = "merge",     [KIND_GRACE] = "grace",
    };
    if (ctx == &ceasei_todo.ctx)
        return "todo";
    return ctx == &ceasei_failed.ctx ? "out of memory" : names[ctx->kind];
}

static size_t name_of(const cease_ctx *ctx, char *ret_text, size_t size)
{
    const char *kind = kind_of(ctx);
    int length;
    if (ctx->kind == KIND_VALUE)
        length = snprintf(ret_text, size, ".value(%s)", ceasei_value_name(ctx));
    else
        length = snprintf(ret_text, size, "%s%s", ctx->kind == KIND_ROOT ? "" : ".", kind);
    return length > 0 ? (size_t)length : 0;
}

/* Puts one name where it ends at `end` of the whole text; bytes beyond `size` - 1 are dropped. */
static size_t put_before(const cease_ctx *ctx, size_t end, char *ret_text, size_t size)
{
    char name[256];
    size_t length = name_of(ctx, name, sizeof name);
    if (length >= sizeof name)
        length = sizeof name - 1;
    size_t start = end - length;
    if (start + 1 < size)
        memcpy(ret_text + start, name, end < size ? length : size - 1 - start);
    return start;
}

size_t cease_describe(const cease_ctx *ctx, char *ret_text, size_t size)
{
    size_t length = 0;
    char name[256];
    for (const cease_ctx *at = ctx; at != NULL; at = at->parent) {
        size_t part = name_of(at, name, sizeof name);
        length += part < sizeof name ? part : sizeof name - 1;
    }
    size_t end = length;
    for (const cease_ctx *at = ctx; at != NULL; at = at->parent)
        end = put_before(at, end, ret_text, size);
    if (size > 0)
        ret_text[length < size ? length : size - 1] = '\0';
    return length;
}

/* While the node is open its place is that of its making; a claimer may put its own there. */
static const cease_place *place_of(const cease_ctx *ctx)
{
#ifndef CEASE_INTERLEAVE
    if (CEASE_UNLIKELY(ceasei_debug) && ctx->kind != KIND_ROOT)
        return ceasei_debug_place(ctx);
#endif
    if (!is_node(ctx))
        return NULL;
    return __atomic_load_n(&node_of(ctx)->cause.own.place, __ATOMIC_RELAXED);
}

void cease_inspect(const cease_ctx *ctx, cease_ctx_info *ret_info)
{
    const struct ceasei_node *node = node_of(ctx);
    bool ended = (ceasei_load(&node->word, ACQUIRE) & WORD_ENDED) != 0;
    cease_ctx_info info = {
        .size = ret_info->size,
        .kind = kind_of(ctx),
        .key = ctx->kind == KIND_VALUE ? ceasei_value_name(ctx) : NULL,
        .parent = ctx->parent,
        .other =
            ctx->kind == KIND_MERGE ? container_of_(node, struct ceasei_merge, node)->other : NULL,
        .deadline = ctx->deadline,
        .place = place_of(ctx),
        .cause = ended ? ceasei_cause(node) : NULL,
    };
    memcpy(ret_info, &info, info.size < sizeof info ? info.size : sizeof info);
}
