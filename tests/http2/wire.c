/* wire.c: HTTP/2 frames written by hand. */
#include "wire.h"

#include "harness.h"

#include <stdlib.h>
#include <string.h>

void wire_free(struct wire *w)
{
    free(w->data);
    *w = (struct wire){0};
}

void wire_clear(struct wire *w)
{
    w->size = 0;
}

void wire_bytes(struct wire *w, const void *data, size_t size)
{
    if (size > w->room - w->size) {
        w->room = (w->size + size) * 2;
        w->data = realloc(w->data, w->room);
        CHECK(w->data != NULL);
    }
    if (size > 0) {
        memcpy(w->data + w->size, data, size);
    }
    w->size += size;
}

void wire_frame(struct wire *w, uint8_t type, uint8_t flags, uint32_t stream, const void *payload,
                size_t size)
{
    const uint8_t head[9] = {(uint8_t)(size >> 16),
                             (uint8_t)(size >> 8),
                             (uint8_t)size,
                             type,
                             flags,
                             (uint8_t)(stream >> 24),
                             (uint8_t)(stream >> 16),
                             (uint8_t)(stream >> 8),
                             (uint8_t)stream};
    wire_bytes(w, head, sizeof head);
    wire_bytes(w, payload, size);
}

void wire_preface(struct wire *w)
{
    static const char text[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    wire_bytes(w, text, sizeof text - 1);
    wire_frame(w, WIRE_SETTINGS, 0, 0, NULL, 0);
}

void wire_u32(struct wire *w, uint8_t type, uint32_t stream, uint32_t value)
{
    const uint8_t payload[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16),
                                (uint8_t)(value >> 8), (uint8_t)value};
    wire_frame(w, type, 0, stream, payload, sizeof payload);
}

void wire_setting(struct wire *w, uint16_t id, uint32_t value)
{
    const uint8_t payload[6] = {(uint8_t)(id >> 8),     (uint8_t)id,
                                (uint8_t)(value >> 24), (uint8_t)(value >> 16),
                                (uint8_t)(value >> 8),  (uint8_t)value};
    wire_frame(w, WIRE_SETTINGS, 0, 0, payload, sizeof payload);
}

/* An HPACK integer with a prefix of 7 bits, whose first bit is 0. */
static void put_length(struct wire *w, size_t n)
{
    uint8_t byte = n < 127 ? (uint8_t)n : 127;
    wire_bytes(w, &byte, 1);
    if (n < 127) {
        return;
    }
    for (n -= 127; n >= 128; n /= 128) {
        byte = (uint8_t)(n % 128 + 128);
        wire_bytes(w, &byte, 1);
    }
    byte = (uint8_t)n;
    wire_bytes(w, &byte, 1);
}

void wire_field(struct wire *w, const char *name, const char *value)
{
    wire_bytes(w, "\0", 1);
    put_length(w, strlen(name));
    wire_bytes(w, name, strlen(name));
    put_length(w, strlen(value));
    wire_bytes(w, value, strlen(value));
}

void wire_pseudo(struct wire *w, const char *method, const char *path)
{
    wire_field(w, ":method", method);
    wire_field(w, ":scheme", "http");
    wire_field(w, ":authority", "localhost");
    wire_field(w, ":path", path);
}

void wire_request(struct wire *w, uint32_t stream, const char *method, const char *path, int flags)
{
    struct wire head = {0};
    wire_pseudo(&head, method, path);
    wire_frame(w, WIRE_HEADERS, (uint8_t)(WIRE_END_HEADERS | flags), stream, head.data, head.size);
    wire_free(&head);
}

size_t wire_next(const uint8_t *data, size_t size, struct wire_frame *ret)
{
    if (size < 9) {
        return 0;
    }
    ret->size = (uint32_t)data[0] << 16 | (uint32_t)data[1] << 8 | data[2];
    ret->type = data[3];
    ret->flags = data[4];
    ret->stream =
        ((uint32_t)data[5] << 24 | (uint32_t)data[6] << 16 | (uint32_t)data[7] << 8 | data[8]) &
        0x7fffffff;
    ret->payload = data + 9;
    return size - 9 < ret->size ? 0 : 9 + (size_t)ret->size;
}
