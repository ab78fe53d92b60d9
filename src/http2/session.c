/* SPDX-License-Identifier: MIT
 *
 * session.c: one HTTP/2 connection's protocol, as a machine over bytes.
 *
 * nghttp2 is told by callbacks, and tells by callbacks; nothing else of it is seen outside this file
 * but its name-value pairs. It answers PING and SETTINGS itself and refuses what breaks RFC 9113: frames
 * out of order, malformed fields, a length that is not kept, windows that overflow.
 *
 * Windows are opened only as input is read (no_auto_window_update), so what waits for a reader is
 * bounded by the two windows. Output is borrowed memory from which nghttp2 copies as the peer's windows
 * allow; nothing is queued for a stream but what its giver waits for.
 *
 * What a peer may make us do for nothing is bounded by "noise", a bucket that frames take from which
 * bring it nothing; see the limits in session.h. An exhausted bucket and an oversized head doom the
 * session: the callback fails, which stops nghttp2 in the middle of its input, and a GOAWAY goes out.
 */
#include "http2/session.h"

#include <stdlib.h>
#include <string.h>

enum { THOUSAND = 1000 };

static struct ceasei_h2_session *session_of(void *user)
{
    return user;
}

static void tell(struct ceasei_h2_stream *s, enum ceasei_h2_event event)
{
    s->session->on_event(s->session->arg, s, event);
}

/* ---- streams ---- */

static struct ceasei_h2_stream *stream_new(struct ceasei_h2_session *ses, int32_t id)
{
    struct ceasei_h2_stream *s =
        ceasei_h2_memory_take(&ses->memory, sizeof *s + ses->opts.user_size);
    if (!s) {
        return NULL;
    }
    memset(s->user_room, 0, ses->opts.user_size);
    memset(s, 0, offsetof(struct ceasei_h2_stream, text));
    ceasei_h2_block_init(&s->head, s->text, sizeof s->text, s->fields, CEASEI_H2_INLINE_FIELDS);
    ceasei_h2_block_init(&s->trailers, NULL, 0, NULL, 0);
    s->session = ses;
    s->id = id;
    s->refs = 1;
    s->next = ses->streams;
    if (s->next) {
        s->next->prev = s;
    }
    ses->streams = s;
    ses->stream_count++;
    return s;
}

void ceasei_h2_stream_unref(struct ceasei_h2_stream *s)
{
    if (--s->refs > 0) {
        return;
    }
    ceasei_h2_drop_input(s);
    ceasei_h2_block_deinit(&s->head);
    ceasei_h2_block_deinit(&s->trailers);
    ceasei_h2_memory_give(&s->session->memory, s);
}

/* The session lets go of a stream. */
static void stream_close(struct ceasei_h2_stream *s, uint32_t code)
{
    struct ceasei_h2_session *ses = s->session;
    if (s->next) {
        s->next->prev = s->prev;
    }
    if (s->prev) {
        s->prev->next = s->next;
    } else {
        ses->streams = s->next;
    }
    ses->stream_count--;
    ses->recent = ses->recent == s ? NULL : ses->recent;
    s->closed = true;
    s->code = code;
    s->out_lost = s->out_left > 0 || s->out_end != s->out_ended;
    ceasei_h2_take_back(s);
    tell(s, CEASEI_H2_CLOSED);
    ceasei_h2_stream_unref(s);
}

/* The stream of a frame, mostly the one that the last frame was for. NULL: unknown, or gone. */
static struct ceasei_h2_stream *find(struct ceasei_h2_session *ses, int32_t id)
{
    if (!ses->recent || ses->recent->id != id) {
        ses->recent = nghttp2_session_get_stream_user_data(ses->ng, id);
    }
    return ses->recent;
}

/* ---- noise ---- */

static int doomed(struct ceasei_h2_session *ses, uint32_t code)
{
    ses->doom = code;
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int noise(struct ceasei_h2_session *ses, int frames)
{
    ses->noise_left -= (int64_t)frames * THOUSAND;
    return ses->noise_left < 0 ? doomed(ses, NGHTTP2_ENHANCE_YOUR_CALM) : 0;
}

static void calm(struct ceasei_h2_session *ses, int64_t thousandths)
{
    const int64_t full = (int64_t)CEASEI_H2_NOISE_BURST * THOUSAND;
    ses->noise_left += thousandths < full ? thousandths : full;
    if (ses->noise_left > full) {
        ses->noise_left = full;
    }
}

/* ---- what comes in ---- */

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct ceasei_h2_session *ses = session_of(user);
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
        return 0;
    }
    struct ceasei_h2_stream *s = stream_new(ses, frame->hd.stream_id);
    if (!s) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    nghttp2_session_set_stream_user_data(ng, s->id, s);
    ses->recent = s;
    return 0;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                     void *user)
{
    struct ceasei_h2_session *ses = session_of(user);
    struct ceasei_h2_stream *s = find(ses, frame->hd.stream_id);
    const struct ceasei_h2_limits limits = {ses->opts.head_max, ses->opts.field_max};
    (void)ng;
    (void)flags;
    if (!s || frame->hd.type != NGHTTP2_HEADERS) {
        return 0;
    }
    struct ceasei_h2_block *b = s->head_ended ? &s->trailers : &s->head;
    ceasei_h2_block_add(b, &limits, (struct ceasei_h2_text){name, name_size},
                        (struct ceasei_h2_text){value, value_size});
    if (b->cost > (size_t)CEASEI_H2_BOMB_FACTOR * ses->opts.head_max) {
        return doomed(ses, NGHTTP2_ENHANCE_YOUR_CALM);
    }
    return b->no_memory ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE : 0;
}

/* Fields that nghttp2 ignores cost as much as others. */
static int on_invalid_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
                             size_t name_size, const uint8_t *value, size_t value_size,
                             uint8_t flags, void *user)
{
    (void)ng, (void)frame, (void)name, (void)name_size, (void)value, (void)value_size, (void)flags;
    (void)user;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* and are a reason to reset the stream */
}

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data, size_t size,
                   void *user)
{
    struct ceasei_h2_stream *s = find(session_of(user), id);
    (void)flags;
    if (!s || s->in_dropped) {
        return nghttp2_session_consume(ng, id, size) == NGHTTP2_ERR_NOMEM
                   ? NGHTTP2_ERR_CALLBACK_FAILURE
                   : 0;
    }
    /* nghttp2 hands on what is above the window until it has sent the reset */
    bool over = size > s->session->opts.stream_window - (s->in.size - s->in.at);
    if (over || !ceasei_h2_buffer_add(&s->in, data, size)) {
        ceasei_h2_drop_input(s);
        ceasei_h2_reset(s, over ? NGHTTP2_FLOW_CONTROL_ERROR : NGHTTP2_INTERNAL_ERROR);
        return nghttp2_session_consume_connection(ng, size) == 0 ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    tell(s, CEASEI_H2_INPUT);
    return 0;
}

/* A head or the trailers are complete. */
static void headers_end(struct ceasei_h2_stream *s)
{
    const char *status =
        s->session->opts.server || s->head_ended ? NULL : ceasei_h2_block_find(&s->head, ":status");
    if (s->head_ended) {
        return; /* trailers: told with the end */
    }
    if (status && status[0] == '1') { /* an interim response */
        ceasei_h2_block_clear(&s->head);
        return;
    }
    s->head_ended = true;
    s->session->peer_has_begun = true;
    s->head_at = s->session->fed;
    tell(s, CEASEI_H2_HEAD);
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct ceasei_h2_session *ses = session_of(user);
    struct ceasei_h2_stream *s = NULL;
    (void)ng;
    if (frame->hd.stream_id > 0) {
        s = find(ses, frame->hd.stream_id);
    }
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        ses->peer_going = true;
        ses->peer_code = frame->goaway.error_code;
        int32_t last = frame->goaway.last_stream_id;
        ses->peer_has_begun = ses->peer_has_begun || (last > 0 && last < INT32_MAX);
    }
    if (frame->hd.type == NGHTTP2_SETTINGS) {
        if (frame->hd.flags & NGHTTP2_FLAG_ACK) {
            ses->settings_acked = true;
        } else {
            ses->peer_settled = true;
            ses->peer_max =
                nghttp2_session_get_remote_settings(ng, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
        }
    }
    if (frame->hd.type == NGHTTP2_PING && frame->hd.flags & NGHTTP2_FLAG_ACK) {
        ses->pong = true;
    }
    if (s && frame->hd.type == NGHTTP2_RST_STREAM) {
        s->by_peer = true;
    }
    if (s && (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA)) {
        s->in_ended = s->in_ended || frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
        if (frame->hd.type == NGHTTP2_HEADERS) {
            headers_end(s);
        }
        if (s->in_ended) {
            tell(s, CEASEI_H2_INPUT);
        }
    }
    if (s && frame->hd.type == NGHTTP2_RST_STREAM && ses->opts.server && !s->out_ended) {
        return noise(ses, CEASEI_H2_NOISE_RESET);
    }
    return 0;
}

/* Frames that bring the peer nothing. (Those of unknown kinds are skipped by nghttp2 unseen, at the
 * price of their bytes.) */
static int on_begin_frame(nghttp2_session *ng, const nghttp2_frame_hd *hd, void *user)
{
    (void)ng;
    switch (hd->type) {
    case NGHTTP2_PING:
    case NGHTTP2_SETTINGS:
        return hd->flags & NGHTTP2_FLAG_ACK ? 0 : noise(session_of(user), 1);
    case NGHTTP2_PRIORITY:
    case NGHTTP2_WINDOW_UPDATE:
    case NGHTTP2_PRIORITY_UPDATE:
        return noise(session_of(user), 1);
    case NGHTTP2_DATA:
        return hd->length > 0 || hd->flags & NGHTTP2_FLAG_END_STREAM ? 0
                                                                     : noise(session_of(user), 1);
    default:
        return 0;
    }
}

static int on_close(nghttp2_session *ng, int32_t id, uint32_t code, void *user)
{
    struct ceasei_h2_stream *s = find(session_of(user), id);
    (void)ng;
    if (s) {
        stream_close(s, code); /* nghttp2 forgets the number next (no_closed_streams) */
    }
    return 0;
}

bool ceasei_h2_feed(struct ceasei_h2_session *ses, cease_time now, const void *data, size_t size)
{
    if (ses->over) {
        return false;
    }
    ses->fed = now;
    if (now.ns > ses->now.ns) {
        int64_t ms = (now.ns - ses->now.ns) / 1000000;
        calm(ses, ms < 1000000 ? ms * CEASEI_H2_NOISE_PER_SECOND : INT64_MAX);
        ses->now.ns += ms * 1000000;
    }
    ssize_t n = nghttp2_session_mem_recv(ses->ng, data, size);
    if (n < 0 && ses->doom == 0) {
        ses->doom = n == NGHTTP2_ERR_FLOODED            ? NGHTTP2_ENHANCE_YOUR_CALM
                    : n == NGHTTP2_ERR_BAD_CLIENT_MAGIC ? NGHTTP2_PROTOCOL_ERROR
                                                        : NGHTTP2_INTERNAL_ERROR;
    }
    if (ses->doom != 0) {
        ses->over = true;
        nghttp2_session_terminate_session(ses->ng, ses->doom);
    }
    return !ses->over;
}

/* ---- what goes out ---- */

static size_t copy_out(struct ceasei_h2_stream *s, uint8_t *buf, size_t size)
{
    size_t done = 0;
    while (done < size && s->out_left > 0) {
        size_t n = s->out->iov_len - s->out_at;
        n = n < size - done ? n : size - done;
        if (n > 0) {
            memcpy(buf + done, (const char *)s->out->iov_base + s->out_at, n);
        }
        done += n;
        s->out_left -= n;
        s->out_at += n;
        if (s->out_at == s->out->iov_len) {
            s->out++;
            s->out_at = 0;
        }
    }
    s->out_taken += done;
    return done;
}

static ssize_t on_read(nghttp2_session *ng, int32_t id, uint8_t *buf, size_t size, uint32_t *flags,
                       nghttp2_data_source *source, void *user)
{
    struct ceasei_h2_stream *s = source->ptr;
    struct ceasei_h2_session *ses = session_of(user);
    if (s->closed || (s->out_left == 0 && !s->out_end)) {
        return NGHTTP2_ERR_DEFERRED;
    }
    size_t n = copy_out(s, buf, size);
    if (s->out_left == 0 && s->out_end) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        s->out_ended = true;
        if (s->trailing_count > 0) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            if (nghttp2_submit_trailer(ng, id, s->trailing, s->trailing_count) != 0) {
                return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets the stream */
            }
            s->trailing_count = 0;
        }
    }
    if (s->out_left == 0) {
        tell(s, CEASEI_H2_OUTPUT);
    }
    calm(ses, n >= CEASEI_H2_SMALL ? CEASEI_H2_NOISE_BACK : CEASEI_H2_NOISE_BACK_SMALL);
    ses->recent = s; /* it is what may be closed next */
    return (ssize_t)n;
}

int64_t ceasei_h2_pump(struct ceasei_h2_session *ses, const uint8_t **ret)
{
    ssize_t n = ses->dead ? 0 : nghttp2_session_mem_send(ses->ng, ret);
    if (n < 0) {
        ses->over = true;
    }
    ses->drained = n == 0;
    return n;
}

bool ceasei_h2_pumps_next(const struct ceasei_h2_session *ses)
{
    return ses->drained && nghttp2_session_get_outbound_queue_size(ses->ng) == 0;
}

bool ceasei_h2_wants_write(const struct ceasei_h2_session *ses)
{
    return !ses->dead && nghttp2_session_want_write(ses->ng) != 0;
}

bool ceasei_h2_wants_read(const struct ceasei_h2_session *ses)
{
    return nghttp2_session_want_read(ses->ng) != 0;
}

bool ceasei_h2_finished(const struct ceasei_h2_session *ses)
{
    return !nghttp2_session_want_read(ses->ng) && !nghttp2_session_want_write(ses->ng);
}

void ceasei_h2_going(struct ceasei_h2_session *ses, int phase)
{
    if (phase == 1) {
        nghttp2_submit_shutdown_notice(ses->ng);
    } else if (phase == 2) { /* once that has been pumped: a PING would overtake it */
        ses->pong = false;
        nghttp2_submit_ping(ses->ng, NGHTTP2_FLAG_NONE, NULL);
    } else {
        nghttp2_submit_goaway(ses->ng, NGHTTP2_FLAG_NONE,
                              nghttp2_session_get_last_proc_stream_id(ses->ng), NGHTTP2_NO_ERROR,
                              NULL, 0);
    }
}

static cease_error error_of(int ng)
{
    return ng == 0 ? CEASE_OK : ng == NGHTTP2_ERR_NOMEM ? CEASE_ENOMEM : CEASE_ECLOSED;
}

struct ceasei_h2_stream *ceasei_h2_request(struct ceasei_h2_session *ses, const nghttp2_nv *nv,
                                           size_t count, bool end)
{
    struct ceasei_h2_stream *s = ses->over || ses->peer_going ? NULL : stream_new(ses, 0);
    if (!s) {
        return NULL;
    }
    const nghttp2_data_provider provider = {.source = {.ptr = s}, .read_callback = on_read};
    s->id = nghttp2_submit_request(ses->ng, NULL, nv, count, end ? NULL : &provider, s);
    if (s->id < 0) {
        /* after 2^30 streams their numbers are used up, which is as good as a GOAWAY */
        ses->peer_going = ses->peer_going || s->id == NGHTTP2_ERR_STREAM_ID_NOT_AVAILABLE;
        s->id = 0;
        stream_close(s, NGHTTP2_REFUSED_STREAM);
        return NULL;
    }
    s->out_begun = true;
    s->out_end = s->out_ended = end;
    return s;
}

cease_error ceasei_h2_respond(struct ceasei_h2_stream *s, nghttp2_nv *nv, size_t count, bool end,
                              bool lent)
{
    const nghttp2_data_provider provider = {.source = {.ptr = s}, .read_callback = on_read};
    if (s->closed) {
        return CEASE_ECLOSED;
    }
    for (size_t i = 0; lent && i < count; i++) {
        nv[i].flags |= NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE;
    }
    int r = nghttp2_submit_response(s->session->ng, s->id, nv, count, end ? NULL : &provider);
    s->out_begun = r == 0;
    s->out_end = s->out_ended = r == 0 && end;
    return error_of(r);
}

cease_error ceasei_h2_interim(struct ceasei_h2_stream *s, const nghttp2_nv *nv, size_t count)
{
    if (s->closed) {
        return CEASE_ECLOSED;
    }
    int r = nghttp2_submit_headers(s->session->ng, NGHTTP2_FLAG_NONE, s->id, NULL, nv, count, NULL);
    return error_of(r);
}

cease_error ceasei_h2_give(struct ceasei_h2_stream *s, const struct ceasei_h2_piece *piece)
{
    if (s->closed) {
        return CEASE_ECLOSED;
    }
    s->out = piece->iov;
    s->out_at = 0;
    s->out_left = 0;
    for (int i = 0; i < piece->count; i++) {
        s->out_left += piece->iov[i].iov_len;
    }
    s->out_end = piece->end;
    s->trailing = piece->trailers;
    s->trailing_count = piece->trailer_count;
    if (nghttp2_session_resume_data(s->session->ng, s->id) == NGHTTP2_ERR_NOMEM) {
        ceasei_h2_take_back(s);
        return CEASE_ENOMEM;
    }
    return CEASE_OK; /* it was deferred, or has not been asked yet */
}

void ceasei_h2_take_back(struct ceasei_h2_stream *s)
{
    s->out = NULL;
    s->out_left = 0;
    s->out_end = s->out_ended;
    s->trailing_count = 0;
}

void ceasei_h2_reset(struct ceasei_h2_stream *s, uint32_t code)
{
    if (!s->closed) {
        ceasei_h2_take_back(s);
        nghttp2_submit_rst_stream(s->session->ng, NGHTTP2_FLAG_NONE, s->id, code);
    }
}

size_t ceasei_h2_read(struct ceasei_h2_stream *s, void *buf, size_t size)
{
    size_t n = ceasei_h2_buffer_take(&s->in, buf, size);
    if (n > 0 && !s->session->dead) {
        nghttp2_session_consume(s->session->ng, s->id, n); /* a stream that is gone is fine */
    }
    if (s->in.at == s->in.size && s->in.room > CEASEI_H2_KEEP) {
        ceasei_h2_buffer_deinit(&s->in);
    }
    return n;
}

void ceasei_h2_drop_input(struct ceasei_h2_stream *s)
{
    size_t n = s->in.size - s->in.at;
    if (n > 0 && !s->session->dead) {
        nghttp2_session_consume(s->session->ng, s->id, n);
    }
    ceasei_h2_buffer_deinit(&s->in);
    s->in_dropped = true;
}

/* ---- birth and death ---- */

static nghttp2_option *make_options(void)
{
    nghttp2_option *o = NULL;
    if (nghttp2_option_new(&o) != 0) {
        return NULL;
    }
    nghttp2_option_set_no_auto_window_update(o, 1);
    nghttp2_option_set_no_closed_streams(o, 1);
    nghttp2_option_set_max_outbound_ack(o, CEASEI_H2_ACK_MAX);
    nghttp2_option_set_max_settings(o, CEASEI_H2_SETTINGS_MAX);
    nghttp2_option_set_max_continuations(o, CEASEI_H2_CONTINUATION_MAX);
    /* the noise bucket is stricter; this one must not come first */
    nghttp2_option_set_stream_reset_rate_limit(o, UINT32_MAX, UINT32_MAX);
    return o;
}

static nghttp2_session_callbacks *make_callbacks(void)
{
    nghttp2_session_callbacks *c = NULL;
    if (nghttp2_session_callbacks_new(&c) != 0) {
        return NULL;
    }
    nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(c, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(c, on_invalid_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
    nghttp2_session_callbacks_set_on_begin_frame_callback(c, on_begin_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_close);
    return c;
}

/* Not among them: NO_RFC7540_PRIORITIES. With it, nghttp2 1.52 frees a stream's pending DATA twice when it
 * runs out of memory as it queues it. */
static bool settings(struct ceasei_h2_session *ses)
{
    const struct ceasei_h2_opts *o = &ses->opts;
    const nghttp2_settings_entry entries[] = {
        {o->server ? NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS : NGHTTP2_SETTINGS_ENABLE_PUSH,
         o->server ? o->stream_max : 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, o->stream_window},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, o->head_max},
    };
    return nghttp2_submit_settings(ses->ng, NGHTTP2_FLAG_NONE, entries,
                                   sizeof entries / sizeof *entries) == 0 &&
           nghttp2_session_set_local_window_size(ses->ng, NGHTTP2_FLAG_NONE, 0,
                                                 (int32_t)o->connection_window) == 0;
}

bool ceasei_h2_init(struct ceasei_h2_session *ses, const struct ceasei_h2_opts *opts,
                    ceasei_h2_event_fn *on_event, void *arg)
{
    *ses = (struct ceasei_h2_session){.opts = *opts, .on_event = on_event, .arg = arg};
    ses->noise_left = (int64_t)CEASEI_H2_NOISE_BURST * THOUSAND;
    ses->peer_max = CEASEI_H2_PEER_MAX;
    nghttp2_option *o = make_options();
    nghttp2_session_callbacks *c = make_callbacks();
    nghttp2_mem mem = ceasei_h2_memory_for_nghttp2(&ses->memory);
    int r = NGHTTP2_ERR_NOMEM;
    if (o && c) {
        r = opts->server ? nghttp2_session_server_new3(&ses->ng, c, ses, o, &mem)
                         : nghttp2_session_client_new3(&ses->ng, c, ses, o, &mem);
    }
    nghttp2_option_del(o);
    nghttp2_session_callbacks_del(c);
    if (r == 0 && !settings(ses)) {
        nghttp2_session_del(ses->ng);
        r = NGHTTP2_ERR_NOMEM;
    }
    if (r != 0) {
        ceasei_h2_memory_trim(&ses->memory);
    }
    return r == 0;
}

void ceasei_h2_abort(struct ceasei_h2_session *ses, uint32_t code)
{
    ses->over = ses->dead = true;
    while (ses->streams) {
        stream_close(ses->streams, code);
    }
}

void ceasei_h2_deinit(struct ceasei_h2_session *ses)
{
    nghttp2_session_del(ses->ng);
    ses->ng = NULL;
    ceasei_h2_memory_trim(&ses->memory);
}

const char *ceasei_h2_code_name(uint32_t code)
{
    return code <= NGHTTP2_HTTP_1_1_REQUIRED ? nghttp2_http2_strerror(code) : "unknown";
}
