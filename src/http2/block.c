/* SPDX-License-Identifier: MIT
 *
 * block.c: the fields of a head as they are decoded, and the bytes of a body until they are read.
 */
#include "http2/block.h"

#include <stdlib.h>
#include <string.h>

enum { FIELD_COST = 32 }; /* what the RFC counts for a field besides its bytes */

void ceasei_h2_block_init(struct ceasei_h2_block *b, char *text, size_t room,
                          struct ceasei_h2_field *fields, uint32_t count_max)
{
    *b = (struct ceasei_h2_block){
        .text = text,
        .fields = fields,
        .room = room,
        .count_max = count_max,
        .inline_text = text,
        .inline_fields = fields,
    };
}

void ceasei_h2_block_deinit(struct ceasei_h2_block *b)
{
    if (b->text != b->inline_text) {
        free(b->text);
    }
    if (b->fields != b->inline_fields) {
        free(b->fields);
    }
}

void ceasei_h2_block_clear(struct ceasei_h2_block *b)
{
    b->size = b->cost = b->count = 0;
    b->too_large = false;
}

static bool grow_text(struct ceasei_h2_block *b, size_t more)
{
    size_t room = (b->size + more) * 2;
    bool own = b->text != b->inline_text;
    char *grown = own ? realloc(b->text, room) : malloc(room);
    if (!grown) {
        return false;
    }
    if (!own && b->size > 0) {
        memcpy(grown, b->text, b->size);
    }
    b->text = grown;
    b->room = room;
    return true;
}

static bool grow_fields(struct ceasei_h2_block *b)
{
    uint32_t count = b->count_max * 2 + 8;
    bool own = b->fields != b->inline_fields;
    struct ceasei_h2_field *grown =
        own ? realloc(b->fields, count * sizeof *grown) : malloc(count * sizeof *grown);
    if (!grown) {
        return false;
    }
    if (!own && b->count > 0) {
        memcpy(grown, b->fields, b->count * sizeof *grown);
    }
    b->fields = grown;
    b->count_max = count;
    return true;
}

static inline bool reserve_text(struct ceasei_h2_block *b, size_t more)
{
    return more <= b->room - b->size || grow_text(b, more);
}

void ceasei_h2_block_add(struct ceasei_h2_block *b, const struct ceasei_h2_limits *limits,
                         struct ceasei_h2_text name, struct ceasei_h2_text value)
{
    size_t size = name.size + value.size;
    b->cost += size + FIELD_COST;
    if (b->cost > limits->cost_max || b->count >= limits->count_max) {
        b->too_large = true;
    }
    if (b->too_large || b->no_memory) {
        return;
    }
    if (!reserve_text(b, size + 2) || (b->count == b->count_max && !grow_fields(b))) {
        b->no_memory = true;
        return;
    }
    char *text = b->text + b->size;
    b->fields[b->count++] = (struct ceasei_h2_field){
        .name = (uint32_t)b->size,
        .value = (uint32_t)(b->size + name.size + 1),
        .name_size = (uint32_t)name.size,
        .value_size = (uint32_t)value.size,
    };
    b->size += size + 2;
    memcpy(text, name.data, name.size);
    text[name.size] = '\0';
    memcpy(text + name.size + 1, value.data, value.size);
    text[size + 1] = '\0';
}

static bool has_name(const struct ceasei_h2_block *b, const struct ceasei_h2_field *f,
                     const char *name, size_t size)
{
    return f->name_size == size && memcmp(b->text + f->name, name, size) == 0;
}

const char *ceasei_h2_block_find(const struct ceasei_h2_block *b, const char *name)
{
    size_t size = strlen(name);
    for (uint32_t i = 0; i < b->count; i++) {
        if (has_name(b, &b->fields[i], name, size)) {
            return b->text + b->fields[i].value;
        }
    }
    return NULL;
}

void ceasei_h2_block_join(struct ceasei_h2_block *b, const char *name, const char *between)
{
    struct ceasei_h2_field *first = NULL;
    size_t name_size = strlen(name);
    size_t gap = strlen(between);
    size_t size = 0;
    uint32_t found = 0;
    for (uint32_t i = 0; i < b->count; i++) {
        if (has_name(b, &b->fields[i], name, name_size)) {
            size += b->fields[i].value_size + gap;
            found++;
        }
    }
    if (found < 2 || !reserve_text(b, size + 1)) {
        return; /* without memory the crumbs stay what they are */
    }
    uint32_t kept = 0;
    uint32_t at = (uint32_t)b->size;
    for (uint32_t i = 0; i < b->count; i++) {
        struct ceasei_h2_field f = b->fields[i];
        bool same = has_name(b, &f, name, name_size);
        if (same) {
            if (first) {
                memcpy(b->text + b->size, between, gap);
                b->size += gap;
            }
            memcpy(b->text + b->size, b->text + f.value, f.value_size);
            b->size += f.value_size;
        }
        if (!same || !first) {
            b->fields[kept] = f;
            first = same ? &b->fields[kept] : first;
            kept++;
        }
    }
    first->value = at;
    first->value_size = (uint32_t)(b->size - at);
    b->text[b->size++] = '\0';
    b->count = kept;
}

/* ---- bytes ---- */

bool ceasei_h2_buffer_add(struct ceasei_h2_buffer *b, const void *data, size_t size)
{
    if (b->at == b->size) {
        b->at = b->size = 0;
    }
    if (size > b->room - b->size && b->at > 0) {
        memmove(b->data, b->data + b->at, b->size - b->at);
        b->size -= b->at;
        b->at = 0;
    }
    if (size > b->room - b->size) {
        size_t room = b->size + size + b->size / 2;
        char *grown = realloc(b->data, room);
        if (!grown) {
            return false;
        }
        b->data = grown;
        b->room = room;
    }
    memcpy(b->data + b->size, data, size);
    b->size += size;
    return true;
}

size_t ceasei_h2_buffer_take(struct ceasei_h2_buffer *b, void *buf, size_t size)
{
    size_t there = b->size - b->at;
    size = size < there ? size : there;
    if (size > 0) {
        memcpy(buf, b->data + b->at, size);
        b->at += size;
    }
    return size;
}

void ceasei_h2_buffer_deinit(struct ceasei_h2_buffer *b)
{
    free(b->data);
    *b = (struct ceasei_h2_buffer){0};
}
