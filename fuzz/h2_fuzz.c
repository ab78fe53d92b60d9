/* h2_fuzz.c: whole HTTP/2 sessions from bytes, both roles. The first byte chooses: the role, the size of the
 * pieces in which the rest is fed, and what the session's user does with its streams (reads, answers, resets,
 * drops). Whatever comes: no limit is passed, every stream is closed once, and nothing is left. */
#include "http2/session.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STREAMS = 8, WINDOW = 4096, HEAD_MAX = 2048 };

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* What the user holds. */
struct user {
    struct ceasei_h2_session ses;
    unsigned choice;
    struct ceasei_h2_stream *held[STREAMS];
    int count;
};

static void on_event(void *arg, struct ceasei_h2_stream *s, enum ceasei_h2_event event)
{
    struct user *u = arg;
    require(s->in.size - s->in.at <= WINDOW);
    require(s->head.size <= HEAD_MAX && s->trailers.size <= HEAD_MAX);
    if (event == CEASEI_H2_HEAD) {
        require(!s->user || !u->ses.opts.server);
        if (!s->user && u->count < STREAMS) {
            s->user = u;
            s->refs++;
            u->held[u->count++] = s;
        }
    }
    if (event == CEASEI_H2_CLOSED) {
        require(s->closed && s->out_left == 0);
        s->user = NULL;
    }
}

static nghttp2_nv pair(const char *name, const char *value)
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
                        .value = (uint8_t *)(uintptr_t)value,
                        .namelen = strlen(name),
                        .valuelen = strlen(value)};
}

/* Does something with each stream that is held. */
static void use(struct user *u)
{
    static char text[6000];
    static const struct iovec iov = {.iov_base = text, .iov_len = sizeof text};
    nghttp2_nv status = pair(":status", "200");
    nghttp2_nv trailer = pair("t", "v");
    char buf[500];
    for (int i = 0; i < u->count; i++) {
        struct ceasei_h2_stream *s = u->held[i];
        const struct ceasei_h2_piece piece = {
            .iov = &iov, .count = 1, .end = true, .trailers = &trailer, .trailer_count = 1};
        switch ((u->choice + (unsigned)i) % 5) {
        case 0:
            ceasei_h2_read(s, buf, sizeof buf);
            break;
        case 1:
            if (u->ses.opts.server && !s->out_begun &&
                ceasei_h2_respond(s, &status, 1, false, ceasei_h2_pumps_next(&u->ses)) ==
                    CEASE_OK) {
                ceasei_h2_give(s, &piece);
            }
            break;
        case 2:
            ceasei_h2_reset(s, NGHTTP2_CANCEL);
            break;
        case 3:
            ceasei_h2_drop_input(s);
            break;
        default:
            ceasei_h2_block_join(&s->head, "cookie", "; ");
            ceasei_h2_block_find(&s->head, ":path");
            break;
        }
    }
}

static bool pump(struct user *u)
{
    const uint8_t *out;
    int64_t n;
    for (int i = 0; i < 1000; i++) {
        n = ceasei_h2_pump(&u->ses, &out);
        if (n <= 0) {
            return n == 0;
        }
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    if (size < 2) {
        return 0;
    }
    struct user u = {.choice = data[0] >> 4};
    const struct ceasei_h2_opts opts = {.server = data[0] & 1,
                                        .stream_max = STREAMS,
                                        .stream_window = WINDOW,
                                        .connection_window = 65535,
                                        .head_max = HEAD_MAX,
                                        .field_max = 20};
    size_t step = (data[0] & 6) == 0 ? size : (size_t)(data[0] & 6) * 7;
    require(ceasei_h2_init(&u.ses, &opts, on_event, &u));
    if (!opts.server) {
        nghttp2_nv nv[] = {pair(":method", "GET"), pair(":scheme", "http"), pair(":authority", "a"),
                           pair(":path", "/")};
        for (int i = 0; i < 3; i++) {
            struct ceasei_h2_stream *s = ceasei_h2_request(&u.ses, nv, 4, i != 1);
            require(s != NULL);
            s->refs++;
            s->user = &u;
            u.held[u.count++] = s;
        }
    } else if (data[0] & 8) {
        ceasei_h2_feed(&u.ses, (cease_time){1}, preface, sizeof preface - 1);
    }
    bool more = pump(&u);
    for (size_t at = 1; more && at < size; at += step) {
        size_t n = size - at < step ? size - at : step;
        more = ceasei_h2_feed(&u.ses, (cease_time){(int64_t)at}, data + at, n);
        use(&u);
        more = pump(&u) && more;
        require(u.ses.stream_count <= STREAMS + 1);
    }
    ceasei_h2_abort(&u.ses, NGHTTP2_NO_ERROR);
    require(u.ses.stream_count == 0);
    for (int i = 0; i < u.count; i++) {
        require(u.held[i]->closed && u.held[i]->refs == 1);
        ceasei_h2_stream_unref(u.held[i]);
    }
    ceasei_h2_deinit(&u.ses);
    return 0;
}
