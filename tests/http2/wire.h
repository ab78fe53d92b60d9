/* wire.h: HTTP/2 frames written by hand, as a hostile peer writes them. */
#ifndef CEASE_TESTS_HTTP2_WIRE_H
#define CEASE_TESTS_HTTP2_WIRE_H

#include <stddef.h>
#include <stdint.h>

enum {
    WIRE_DATA = 0,
    WIRE_HEADERS = 1,
    WIRE_PRIORITY = 2,
    WIRE_RST_STREAM = 3,
    WIRE_SETTINGS = 4,
    WIRE_PING = 6,
    WIRE_GOAWAY = 7,
    WIRE_WINDOW_UPDATE = 8,
    WIRE_CONTINUATION = 9,
    WIRE_END_STREAM = 1,
    WIRE_ACK = 1,
    WIRE_END_HEADERS = 4,
};

/* Bytes that grow. */
struct wire {
    uint8_t *data;
    size_t size, room;
};

struct wire_frame {
    uint32_t size;
    uint8_t type, flags;
    uint32_t stream;
    const uint8_t *payload;
};

void wire_free(struct wire *w);
void wire_clear(struct wire *w);
void wire_bytes(struct wire *w, const void *data, size_t size);
void wire_frame(struct wire *w, uint8_t type, uint8_t flags, uint32_t stream, const void *payload,
                size_t size);
/* The client's preface and empty SETTINGS. */
void wire_preface(struct wire *w);
void wire_u32(struct wire *w, uint8_t type, uint32_t stream, uint32_t value);
void wire_setting(struct wire *w, uint16_t id, uint32_t value);
/* HPACK: a literal field that is not indexed, its name in full. */
void wire_field(struct wire *w, const char *name, const char *value);
/* The pseudo fields of a request. */
void wire_pseudo(struct wire *w, const char *method, const char *path);
/* A whole request without a body, or a HEADERS frame whose body follows. */
void wire_request(struct wire *w, uint32_t stream, const char *method, const char *path, int flags);

/* Cuts a frame off the front: how many bytes it has, 0 when it is not complete. */
size_t wire_next(const uint8_t *data, size_t size, struct wire_frame *ret);

#endif
