/* SPDX-License-Identifier: MIT
 *
 * growing.h: a text that grows, on the caller's stack while it is short.
 */
#ifndef CEASE_HTTP_GROWING_H
#define CEASE_HTTP_GROWING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct ceasei_text {
    char *data; /* `small`, or of the heap */
    size_t size, room;
    bool failed; /* memory has run out: what was added since is missing */
    char small[1024];
};

static inline void ceasei_text_init(struct ceasei_text *t)
{
    t->data = t->small;
    t->size = 0;
    t->room = sizeof t->small;
    t->failed = false;
}

static inline void ceasei_text_deinit(struct ceasei_text *t)
{
    if (t->data != t->small) {
        free(t->data);
    }
    ceasei_text_init(t);
}

static inline bool ceasei_text_grow(struct ceasei_text *t, size_t size)
{
    size_t room = (t->size + size) * 2;
    char *grown = t->failed ? NULL : t->data == t->small ? malloc(room) : realloc(t->data, room);
    if (!grown) {
        t->failed = true;
        return false;
    }
    if (t->data == t->small) {
        memcpy(grown, t->small, t->size);
    }
    t->data = grown;
    t->room = room;
    return true;
}

static inline void ceasei_text_add(struct ceasei_text *t, const char *data, size_t size)
{
    if (size > t->room - t->size && !ceasei_text_grow(t, size)) {
        return;
    }
    if (size > 0) {
        memcpy(t->data + t->size, data, size);
        t->size += size;
    }
}

static inline void ceasei_text_put(struct ceasei_text *t, const char *text)
{
    ceasei_text_add(t, text, strlen(text));
}

#endif
