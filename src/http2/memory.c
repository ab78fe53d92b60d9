/* SPDX-License-Identifier: MIT
 *
 * memory.c: memory of one connection's session, kept for the next stream.
 *
 * A stream takes some ten blocks, most of them nghttp2's, and all of a batch are taken before the first is
 * given back: that is more than the allocator keeps at hand for a thread, so each would go through its
 * slow path. All of it happens under the connection's lock, so a list for each size does.
 *
 * A block has its class in front of it, where malloc's alignment leaves room. What is larger than the classes,
 * or more than KEPT_MAX, is the system's. Under AddressSanitizer every block is, so that it sees who
 * uses what is gone.
 */
#include "http2/memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define WATCHED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WATCHED 1
#endif
#endif
#ifndef WATCHED
#define WATCHED 0
#endif

enum { HEAD = 16 }; /* bytes: malloc's alignment is kept */

static size_t *class_of(void *block)
{
    return (size_t *)(void *)((char *)block - HEAD);
}

void *ceasei_h2_memory_take(struct ceasei_h2_memory *m, size_t size)
{
    if (size > SIZE_MAX - HEAD - CEASEI_H2_MEMORY_STEP) {
        return NULL;
    }
    size_t class = (size + HEAD + CEASEI_H2_MEMORY_STEP - 1) / CEASEI_H2_MEMORY_STEP;
    bool small = !WATCHED && class < CEASEI_H2_MEMORY_CLASSES;
    size_t whole = small ? class * CEASEI_H2_MEMORY_STEP : size + HEAD;
    struct ceasei_h2_spare *spare = small ? m->spare[class] : NULL;
    if (spare) {
        m->spare[class] = spare->next;
        m->kept -= whole;
        return spare; /* its class still stands in front of it */
    }
    char *p = malloc(whole);
    if (!p) {
        return NULL;
    }
    *class_of(p + HEAD) = small ? class : size + CEASEI_H2_MEMORY_CLASSES;
    return p + HEAD;
}

void ceasei_h2_memory_give(struct ceasei_h2_memory *m, void *block)
{
    if (!block) {
        return;
    }
    size_t class = *class_of(block);
    size_t whole = class * CEASEI_H2_MEMORY_STEP;
    if (class >= CEASEI_H2_MEMORY_CLASSES || m->kept + whole > CEASEI_H2_MEMORY_KEPT_MAX) {
        free(class_of(block));
        return;
    }
    struct ceasei_h2_spare *spare = block;
    spare->next = m->spare[class];
    m->spare[class] = spare;
    m->kept += whole;
}

void ceasei_h2_memory_trim(struct ceasei_h2_memory *m)
{
    for (size_t class = 0; class < CEASEI_H2_MEMORY_CLASSES; class ++) {
        while (m->spare[class]) {
            struct ceasei_h2_spare *spare = m->spare[class];
            m->spare[class] = spare->next;
            free(class_of(spare));
        }
    }
    m->kept = 0;
}

/* ---- as nghttp2 wants it ---- */

static void *take(size_t size, void *m)
{
    return ceasei_h2_memory_take(m, size);
}

static void give(void *block, void *m)
{
    ceasei_h2_memory_give(m, block);
}

static void *take_zeroed(size_t count, size_t size, void *m)
{
    size_t whole;
    if (__builtin_mul_overflow(count, size, &whole)) {
        return NULL;
    }
    void *block = ceasei_h2_memory_take(m, whole);
    return block ? memset(block, 0, whole) : NULL;
}

/* How many bytes its user may have put there. */
static size_t room_of(void *block)
{
    size_t class = *class_of(block);
    return class < CEASEI_H2_MEMORY_CLASSES ? class * CEASEI_H2_MEMORY_STEP - HEAD
                                            : class - CEASEI_H2_MEMORY_CLASSES;
}

static void *take_more(void *block, size_t size, void *m)
{
    if (block && size <= room_of(block)) {
        return block;
    }
    void *other = ceasei_h2_memory_take(m, size);
    if (other && block) {
        memcpy(other, block, room_of(block));
        ceasei_h2_memory_give(m, block);
    }
    return other;
}

nghttp2_mem ceasei_h2_memory_for_nghttp2(struct ceasei_h2_memory *m)
{
    return (nghttp2_mem){m, take, give, take_zeroed, take_more};
}
