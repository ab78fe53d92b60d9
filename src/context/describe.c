/* SPDX-License-Identifier: MIT
 *
 * describe.c: a context as text, for people: the way from the root down to it.
 */
#include "context/ctx.h"

#include <stdio.h>
#include <string.h>

static size_t name_of(const cease_ctx *ctx, char *ret_text, size_t size)
{
    static const char *const names[] = {
        [KIND_SOURCE] = ".source", [KIND_DETACHED] = ".without_cancel",
        [KIND_CANCEL] = ".cancel", [KIND_DEADLINE] = ".deadline",
        [KIND_MERGE] = ".merge",   [KIND_GRACE] = ".grace",
    };
    const char *name = "background";
    if (ctx == &ceasei_todo.ctx)
        name = "todo";
    else if (ctx == &ceasei_failed.ctx)
        name = "out of memory";
    int length;
    if (ctx->kind == KIND_VALUE)
        length = snprintf(ret_text, size, ".value(%s)", ceasei_value_name(ctx));
    else
        length = snprintf(ret_text, size, "%s", ctx->kind == KIND_ROOT ? name : names[ctx->kind]);
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
