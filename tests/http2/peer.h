/* peer.h: an HTTP/2 client that does what it is told and nothing by itself: it never answers a PING, a
 * SETTINGS or an opening window unless the test says so. */
#ifndef CEASE_TESTS_HTTP2_PEER_H
#define CEASE_TESTS_HTTP2_PEER_H

#include "../http/rig.h"
#include "wire.h"

#include <nghttp2/nghttp2.h>

struct peer {
    int fd;
    struct wire out; /* sent by peer_flush */
    struct wire in;  /* read, and not yet cut into frames */
    size_t at;       /* of in */
    char head[4096]; /* of the last HEADERS frame: "name: value\n" each */
    nghttp2_hd_inflater *inflater;
};

/* Connects and sends the preface. */
void peer_open(struct peer *p, struct rig *r);
void peer_close(struct peer *p);
/* Sends what is in out. */
void peer_flush(struct peer *p);
/* The next frame; false at the end of the connection. */
bool peer_next(struct peer *p, struct wire_frame *ret);
/* The next one of that type (and stream, unless it is UINT32_MAX); fails at the end. */
struct wire_frame peer_wait(struct peer *p, uint8_t type, uint32_t stream);
/* Sends a GET. */
void peer_get(struct peer *p, uint32_t stream, const char *path);
/* Reads one response: its head into p->head, its body as text; to be freed. */
char *peer_response(struct peer *p, uint32_t stream);
/* Reads until the end. */
void peer_check_end(struct peer *p);
uint32_t peer_u32(const uint8_t *data);

#endif
