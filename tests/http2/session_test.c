/* session_test.c: out to break the protocol machine without any I/O: a hostile peer's bytes go in, what it
 * would say comes out. Each flood must meet its bound, and an honest peer must not. */
#include "harness.h"
#include "http2/session.h"
#include "wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A session with what it has said. */
struct rig {
    struct ceasei_h2_session ses;
    struct wire out; /* every byte pumped */
    size_t seen;     /* of out, by next_frame */
    int heads, inputs, outputs, closed;
    struct ceasei_h2_stream *last; /* of the last HEAD; held */
    uint32_t last_code;
};

static void on_event(void *arg, struct ceasei_h2_stream *s, enum ceasei_h2_event event)
{
    struct rig *r = arg;
    r->heads += event == CEASEI_H2_HEAD;
    r->inputs += event == CEASEI_H2_INPUT;
    r->outputs += event == CEASEI_H2_OUTPUT;
    r->closed += event == CEASEI_H2_CLOSED;
    if (event == CEASEI_H2_HEAD) {
        if (r->last) {
            ceasei_h2_stream_unref(r->last);
        }
        r->last = s;
        s->refs++;
    }
    if (event == CEASEI_H2_CLOSED) {
        r->last_code = s->code;
    }
}

static const struct ceasei_h2_opts server_opts = {.server = true,
                                                  .stream_max = 16,
                                                  .stream_window = 65535,
                                                  .connection_window = 1 << 20,
                                                  .head_max = 16384,
                                                  .field_max = 100};

static void pump(struct rig *r)
{
    const uint8_t *data;
    int64_t n;
    while ((n = ceasei_h2_pump(&r->ses, &data)) > 0) {
        wire_bytes(&r->out, data, (size_t)n);
    }
    CHECK_EQ(n, 0);
}

static bool feed_at(struct rig *r, struct wire *w, int64_t ns)
{
    bool more = ceasei_h2_feed(&r->ses, (cease_time){ns}, w->data, w->size);
    wire_clear(w);
    pump(r);
    return more;
}

static bool feed(struct rig *r, struct wire *w)
{
    return feed_at(r, w, 1);
}

static void begin(struct rig *r, struct wire *w)
{
    memset(r, 0, sizeof *r);
    memset(w, 0, sizeof *w);
    CHECK(ceasei_h2_init(&r->ses, &server_opts, on_event, r));
    wire_preface(w);
    CHECK(feed(r, w));
}

static void end(struct rig *r, struct wire *w)
{
    if (r->last) {
        ceasei_h2_stream_unref(r->last);
    }
    ceasei_h2_abort(&r->ses, 0);
    ceasei_h2_deinit(&r->ses);
    wire_free(&r->out);
    wire_free(w);
}

/* The next frame of that type that was sent. */
static struct wire_frame sent(struct rig *r, uint8_t type)
{
    struct wire_frame f = {0};
    size_t n;
    while ((n = wire_next(r->out.data + r->seen, r->out.size - r->seen, &f)) > 0) {
        r->seen += n;
        if (f.type == type) {
            return f;
        }
    }
    harness_fail(__FILE__, __LINE__, "no frame of type %u was sent", (unsigned)type);
}

static uint32_t u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void check_goaway(struct rig *r, uint32_t code)
{
    struct wire_frame f = sent(r, WIRE_GOAWAY);
    CHECK(f.size >= 8);
    CHECK_EQ(u32(f.payload + 4), code);
}

static uint32_t check_reset(struct rig *r, uint32_t stream)
{
    struct wire_frame f = sent(r, WIRE_RST_STREAM);
    CHECK_EQ(f.stream, stream);
    return u32(f.payload);
}

static void respond(struct ceasei_h2_stream *s, bool last)
{
    nghttp2_nv nv = {.name = (uint8_t *)(uintptr_t) ":status",
                     .value = (uint8_t *)(uintptr_t) "200",
                     .namelen = 7,
                     .valuelen = 3};
    CHECK_OK(ceasei_h2_respond(s, &nv, 1, last, false));
}

TEST(session_request_isToldWithItsFieldsAndAnswered)
{
    struct rig r;
    struct wire w;
    begin(&r, &w);
    wire_request(&w, 1, "GET", "/a", WIRE_END_STREAM);
    CHECK(feed(&r, &w));
    CHECK_EQ(r.heads, 1);
    CHECK(r.last->in_ended);
    CHECK_STR(ceasei_h2_block_find(&r.last->head, ":method"), "GET");
    CHECK_STR(ceasei_h2_block_find(&r.last->head, ":path"), "/a");
    CHECK_PTR(ceasei_h2_block_find(&r.last->head, "a"), NULL);
    struct iovec iov = {.iov_base = (void *)(uintptr_t) "hello", .iov_len = 5};
    respond(r.last, false);
    pump(&r);
    CHECK_EQ(r.closed, 0);
    CHECK_OK(
        ceasei_h2_give(r.last, &(struct ceasei_h2_piece){.iov = &iov, .count = 1, .end = true}));
    pump(&r);
    CHECK_EQ(r.outputs, 1);
    CHECK_EQ(r.closed, 1);
    CHECK_EQ(sent(&r, WIRE_HEADERS).stream, 1);
    struct wire_frame data = sent(&r, WIRE_DATA);
    CHECK_EQ(data.size, 5);
    CHECK_EQ(data.flags, WIRE_END_STREAM);
    end(&r, &w);
}

/* Answers with a head of which nothing is left after the first pump; what came out of it. */
static size_t head_from(bool lent, uint8_t *buf, size_t size)
{
    struct rig r;
    struct wire w;
    const uint8_t *data;
    char *text = strdup(":statusx-name200value"); /* read after its end, a sanitizer would say so */
    nghttp2_nv nv[2] = {
        {.name = (uint8_t *)text, .value = (uint8_t *)text + 13, .namelen = 7, .valuelen = 3},
        {.name = (uint8_t *)text + 7, .value = (uint8_t *)text + 16, .namelen = 6, .valuelen = 5}};
    begin(&r, &w);
    wire_request(&w, 1, "GET", "/", WIRE_END_STREAM);
    CHECK(feed(&r, &w));
    CHECK(ceasei_h2_pumps_next(&r.ses));
    CHECK_OK(ceasei_h2_respond(r.last, nv, 2, true, lent));
    int64_t n = ceasei_h2_pump(&r.ses, &data);
    CHECK(n > 0 && (size_t)n <= size);
    memcpy(buf, data, (size_t)n);
    free(text);
    pump(&r);
    CHECK_EQ(r.closed, 1);
    end(&r, &w);
    return (size_t)n;
}

TEST(head_lent_isSentAsOneThatIsCopied)
{
    uint8_t lent[100];
    uint8_t copied[100];
    size_t n = head_from(true, lent, sizeof lent);
    CHECK_EQ(head_from(false, copied, sizeof copied), n);
    CHECK(memcmp(lent, copied, n) == 0);
}

TEST(head_behindSomethingElse_isNotTheNextToBePumped)
{
    struct rig r;
    struct wire w;
    const uint8_t *data;
    begin(&r, &w);
    CHECK(ceasei_h2_pumps_next(&r.ses));
    wire_frame(&w, WIRE_PING, 0, 0, "12345678", 8);
    CHECK(ceasei_h2_feed(&r.ses, (cease_time){0}, w.data, w.size));
    wire_clear(&w);
    CHECK(!ceasei_h2_pumps_next(&r.ses)); /* its answer comes first */
    CHECK(ceasei_h2_pump(&r.ses, &data) > 0);
    CHECK(!ceasei_h2_pumps_next(&r.ses)); /* there may be more of it */
    CHECK_EQ(ceasei_h2_pump(&r.ses, &data), 0);
    CHECK(ceasei_h2_pumps_next(&r.ses));
    end(&r, &w);
}

TEST(session_windowOfThePeer_holdsOutputUntilItOpens)
{
    struct rig r;
    struct wire w;
    char big[1000];
    begin(&r, &w);
    wire_setting(&w, 4, 10); /* INITIAL_WINDOW_SIZE */
    wire_request(&w, 1, "GET", "/", WIRE_END_STREAM);
    CHECK(feed(&r, &w));
    memset(big, 'x', sizeof big);
    struct iovec iov[2] = {{.iov_base = big, .iov_len = 4}, {.iov_base = big, .iov_len = 996}};
    respond(r.last, false);
    CHECK_OK(
        ceasei_h2_give(r.last, &(struct ceasei_h2_piece){.iov = iov, .count = 2, .end = true}));
    pump(&r);
    CHECK_EQ(r.outputs, 0);
    CHECK_EQ(r.last->out_left, 990);
    wire_u32(&w, WIRE_WINDOW_UPDATE, 1, 989);
    CHECK(feed(&r, &w));
    CHECK_EQ(r.last->out_left, 1);
    wire_u32(&w, WIRE_WINDOW_UPDATE, 1, 1);
    CHECK(feed(&r, &w));
    CHECK_EQ(r.outputs, 1);
    CHECK_EQ(r.closed, 1);
    end(&r, &w);
}

TEST(session_takenBack_isNotSentAndTheStreamGoesOn)
{
    struct rig r;
    struct wire w;
    char *gone = malloc(100); /* read after its end, a sanitizer would say so */
    begin(&r, &w);
    wire_setting(&w, 4, 10);
    wire_request(&w, 1, "GET", "/", WIRE_END_STREAM);
    CHECK(feed(&r, &w));
    memset(gone, 'a', 100);
    struct iovec iov = {.iov_base = gone, .iov_len = 100};
    respond(r.last, false);
    CHECK_OK(ceasei_h2_give(r.last, &(struct ceasei_h2_piece){.iov = &iov, .count = 1}));
    pump(&r);
    CHECK_EQ(r.last->out_taken, 10);
    ceasei_h2_take_back(r.last);
    free(gone);
    wire_u32(&w, WIRE_WINDOW_UPDATE, 1, 500);
    CHECK(feed(&r, &w));
    CHECK_EQ(r.last->out_taken, 10);
    struct iovec rest = {.iov_base = (void *)(uintptr_t) "b", .iov_len = 1};
    CHECK_OK(
        ceasei_h2_give(r.last, &(struct ceasei_h2_piece){.iov = &rest, .count = 1, .end = true}));
    pump(&r);
    CHECK_EQ(r.last->out_taken, 11);
    CHECK_EQ(r.closed, 1);
    end(&r, &w);
}

TEST(session_reading_opensTheWindowAndNothingElseDoes)
{
    struct rig r;
    struct wire w;
    static uint8_t body[16000];
    char buf[65535];
    begin(&r, &w);
    wire_request(&w, 1, "POST", "/", 0);
    for (int i = 0; i < 4; i++) {
        wire_frame(&w, WIRE_DATA, 0, 1, body, sizeof body);
    }
    CHECK(feed(&r, &w));
    CHECK_EQ(r.last->in.size - r.last->in.at, 64000);
    sent(&r, WIRE_SETTINGS);
    size_t before = r.out.size;
    CHECK_EQ(ceasei_h2_read(r.last, buf, 1000), 1000);
    pump(&r);
    CHECK_EQ(r.out.size, before); /* too little to be worth a frame */
    CHECK_EQ(ceasei_h2_read(r.last, buf, sizeof buf), 63000);
    pump(&r);
    CHECK_EQ(sent(&r, WIRE_WINDOW_UPDATE).stream, 0); /* the connection's, at the beginning */
    struct wire_frame f = sent(&r, WIRE_WINDOW_UPDATE);
    CHECK_EQ(f.stream, 1);
    CHECK_EQ(u32(f.payload), 64000);
    end(&r, &w);
}

TEST(session_moreThanTheWindow_isAnErrorOfThatStream)
{
    struct rig r;
    struct wire w;
    static uint8_t body[16000];
    begin(&r, &w);
    wire_request(&w, 1, "POST", "/", 0);
    for (int i = 0; i < 5; i++) {
        wire_frame(&w, WIRE_DATA, 0, 1, body, sizeof body);
    }
    feed(&r, &w);
    CHECK(r.last->in.size <= 65535);
    CHECK_EQ(r.closed, 1);
    CHECK_EQ(r.last_code, NGHTTP2_FLOW_CONTROL_ERROR);
    end(&r, &w);
}

TEST(session_resetByThePeer_closesWithItsCode)
{
    struct rig r;
    struct wire w;
    begin(&r, &w);
    wire_request(&w, 1, "GET", "/", WIRE_END_STREAM);
    wire_u32(&w, WIRE_RST_STREAM, 1, 8);
    CHECK(feed(&r, &w));
    CHECK_EQ(r.closed, 1);
    CHECK(r.last->by_peer);
    CHECK_EQ(r.last->code, 8);
    CHECK_STR(ceasei_h2_code_name(8), "CANCEL");
    CHECK_STR(ceasei_h2_code_name(99), "unknown");
    end(&r, &w);
}

TEST(session_streamsAboveTheMost_areRefused)
{
    struct rig r;
    struct wire w;
    begin(&r, &w);
    for (uint32_t i = 0; i < 20; i++) {
        wire_request(&w, 1 + 2 * i, "GET", "/", WIRE_END_STREAM);
    }
    CHECK(feed(&r, &w));
    CHECK_EQ(r.heads, 16);
    CHECK_EQ(check_reset(&r, 33), NGHTTP2_REFUSED_STREAM);
    end(&r, &w);
}

/* ---- floods ---- */

/* Sends `one` over and over; how many it took until the session ended, at most 100,000. */
static int flood(struct rig *r, struct wire *w, const struct wire *one)
{
    for (int i = 1; i <= 100000; i++) {
        wire_bytes(w, one->data, one->size);
        if (!feed(r, w)) {
            return i;
        }
    }
    return 0;
}

static void check_flood(struct wire *one, int most)
{
    struct rig r;
    struct wire w;
    begin(&r, &w);
    wire_request(&w, 1, "POST", "/", 0);
    CHECK(feed(&r, &w));
    int n = flood(&r, &w, one);
    CHECK(n > 0 && n <= most);
    check_goaway(&r, NGHTTP2_ENHANCE_YOUR_CALM);
    CHECK(ceasei_h2_finished(&r.ses));
    wire_request(&w, 3, "GET", "/", WIRE_END_STREAM);
    CHECK(!feed(&r, &w));
    CHECK_EQ(r.heads, 1);
    end(&r, &w);
    wire_free(one);
}

TEST(flood_ofPings_isEndedAtTheBound)
{
    struct wire one = {0};
    wire_frame(&one, WIRE_PING, 0, 0, "12345678", 8);
    check_flood(&one, CEASEI_H2_NOISE_BURST + 1);
}

TEST(flood_ofSettings_isEndedAtTheBound)
{
    struct wire one = {0};
    wire_setting(&one, 3, 100);
    check_flood(&one, CEASEI_H2_NOISE_BURST + 1);
}

TEST(flood_ofEmptyData_isEndedAtTheBound)
{
    struct wire one = {0};
    wire_frame(&one, WIRE_DATA, 0, 1, NULL, 0);
    check_flood(&one, CEASEI_H2_NOISE_BURST + 1);
}

TEST(flood_ofPriorities_isEndedAtTheBound)
{
    struct wire one = {0};
    wire_frame(&one, WIRE_PRIORITY, 0, 1, "\0\0\0\3\1", 5);
    check_flood(&one, CEASEI_H2_NOISE_BURST + 1);
}

TEST(flood_ofWindowUpdates_isEndedAtTheBound)
{
    struct wire one = {0};
    wire_u32(&one, WIRE_WINDOW_UPDATE, 0, 1);
    check_flood(&one, CEASEI_H2_NOISE_BURST + 1);
}

TEST(flood_ofUnansweredPings_isEndedAtTheQueuesBound)
{
    struct rig r;
    struct wire w;
    begin(&r, &w);
    for (int i = 0; i < CEASEI_H2_ACK_MAX + 2; i++) { /* all before anything can be pumped */
        wire_frame(&w, WIRE_PING, 0, 0, "12345678", 8);
    }
    CHECK(!feed(&r, &w));
    check_goaway(&r, NGHTTP2_ENHANCE_YOUR_CALM);
    end(&r, &w);
}

TEST(flood_ofResets_isEndedAtTheBound)
{
    struct rig r;
    struct wire w;
    int n = 0;
    bool more = true;
    begin(&r, &w);
    while (more && n < 100000) { /* CVE-2023-44487 */
        wire_request(&w, (uint32_t)(1 + 2 * n), "GET", "/", WIRE_END_STREAM);
        wire_u32(&w, WIRE_RST_STREAM, (uint32_t)(1 + 2 * n), 8);
        more = feed(&r, &w);
        n++;
    }
    CHECK_EQ(n, (CEASEI_H2_NOISE_BURST - 1) / CEASEI_H2_NOISE_RESET + 1); /* SETTINGS took one */
    check_goaway(&r, NGHTTP2_ENHANCE_YOUR_CALM);
    end(&r, &w);
}

TEST(noise_ofAnHonestPeer_isForgottenWithTime)
{
    struct rig r;
    struct wire w;
    begin(&r, &w);
    for (int64_t i = 1; i < 5000; i++) { /* a PING each 20 ms */
        wire_frame(&w, WIRE_PING, 0, 0, "12345678", 8);
        CHECK(feed_at(&r, &w, i * 20 * 1000000));
    }
    end(&r, &w);
}

TEST(noise_byteByByteWindows_isEndedAtTheBound)
{
    struct rig r;
    struct wire w;
    static char big[100000];
    begin(&r, &w);
    wire_setting(&w, 4, 1);
    wire_request(&w, 1, "GET", "/", WIRE_END_STREAM);
    CHECK(feed(&r, &w));
    struct iovec iov = {.iov_base = big, .iov_len = sizeof big};
    respond(r.last, false);
    CHECK_OK(
        ceasei_h2_give(r.last, &(struct ceasei_h2_piece){.iov = &iov, .count = 1, .end = true}));
    pump(&r);
    struct wire one = {0};
    wire_u32(&one, WIRE_WINDOW_UPDATE, 1, 1);
    int n = flood(&r, &w, &one);
    CHECK(n > CEASEI_H2_NOISE_BURST && n < 2 * CEASEI_H2_NOISE_BURST);
    check_goaway(&r, NGHTTP2_ENHANCE_YOUR_CALM);
    wire_free(&one);
    end(&r, &w);
}

TEST(flood_ofContinuations_isEndedAtTheBound)
{
    struct rig r;
    struct wire w;
    struct wire head = {0};
    int n = 0;
    begin(&r, &w);
    wire_pseudo(&head, "GET", "/");
    wire_frame(&w, WIRE_HEADERS, WIRE_END_STREAM, 1, head.data, head.size);
    CHECK(feed(&r, &w));
    bool more = true;
    while (more && n < 1000) { /* CVE-2024-28182 */
        wire_frame(&w, WIRE_CONTINUATION, 0, 1, NULL, 0);
        more = feed(&r, &w);
        n++;
    }
    CHECK(n <= CEASEI_H2_CONTINUATION_MAX + 1);
    CHECK_EQ(r.heads, 0);
    check_goaway(&r, NGHTTP2_INTERNAL_ERROR);
    wire_free(&head);
    end(&r, &w);
}

TEST(head_tooLarge_isToldAsSuchAndNotKept)
{
    struct rig r;
    struct wire w;
    struct wire head = {0};
    char value[9000];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    begin(&r, &w);
    wire_pseudo(&head, "GET", "/");
    wire_frame(&w, WIRE_HEADERS, WIRE_END_STREAM, 1, head.data, head.size);
    wire_clear(&head);
    wire_field(&head, "a", value);
    wire_frame(&w, WIRE_CONTINUATION, 0, 1, head.data, head.size);
    wire_frame(&w, WIRE_CONTINUATION, WIRE_END_HEADERS, 1, head.data, head.size);
    CHECK(feed(&r, &w));
    CHECK_EQ(r.heads, 1);
    CHECK(r.last->head.too_large);
    CHECK(r.last->head.size < 16384);
    wire_free(&head);
    end(&r, &w);
}

TEST(head_thatIsABomb_endsTheConnection)
{
    struct rig r;
    struct wire w;
    struct wire head = {0};
    static char value[3900];
    memset(value, 'v', sizeof value - 1);
    begin(&r, &w);
    wire_pseudo(&head, "GET", "/");
    wire_bytes(&head,
               "\x40\x01"
               "b",
               3);                        /* into the dynamic table: then one byte is 4 KB */
    wire_bytes(&head, "\x7f\xbc\x1d", 3); /* 127 + 60 + 29 * 128 = 3899 */
    wire_bytes(&head, value, 3899);
    for (int i = 0; i < 10000; i++) {
        wire_bytes(&head, "\xbe", 1);
    }
    wire_frame(&w, WIRE_HEADERS, WIRE_END_STREAM | WIRE_END_HEADERS, 1, head.data, head.size);
    CHECK(!feed(&r, &w));
    CHECK_EQ(r.heads, 0);
    check_goaway(&r, NGHTTP2_ENHANCE_YOUR_CALM);
    wire_free(&head);
    end(&r, &w);
}

TEST(preface_thatIsNone_endsTheConnection)
{
    struct rig r;
    struct wire w = {0};
    memset(&r, 0, sizeof r);
    CHECK(ceasei_h2_init(&r.ses, &server_opts, on_event, &r));
    wire_bytes(&w, "GET / HTTP/1.1\r\n\r\n          ", 28);
    CHECK(!feed(&r, &w));
    end(&r, &w);
}

TEST(head_malformed_resetsItsStreamOnly)
{
    static const char *const fields[][2] = {{"Upper", "x"},
                                            {"connection", "close"},
                                            {"transfer-encoding", "chunked"},
                                            {":status", "200"},
                                            {"a b", "x"},
                                            {"a", "x\ny"},
                                            {"content-length", "x"}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        struct rig r;
        struct wire w;
        struct wire head = {0};
        begin(&r, &w);
        wire_pseudo(&head, "GET", "/");
        wire_field(&head, fields[i][0], fields[i][1]);
        wire_frame(&w, WIRE_HEADERS, WIRE_END_STREAM | WIRE_END_HEADERS, 1, head.data, head.size);
        CHECK(feed(&r, &w));
        CHECK_EQ(r.heads, 0);
        check_reset(&r, 1);
        wire_request(&w, 3, "GET", "/", WIRE_END_STREAM);
        CHECK(feed(&r, &w));
        CHECK_EQ(r.heads, 1);
        wire_free(&head);
        end(&r, &w);
    }
}

/* ---- both roles ---- */

static void carry(struct rig *from, struct rig *to)
{
    pump(from);
    CHECK(ceasei_h2_feed(&to->ses, (cease_time){1}, from->out.data, from->out.size));
    wire_clear(&from->out);
}

/* A request with body and trailers both ways, between a client and a server of ours. */
static void exchange(void)
{
    struct rig c = {0};
    struct rig s = {0};
    struct ceasei_h2_opts opts = server_opts;
    char buf[16];
    if (!ceasei_h2_init(&s.ses, &opts, on_event, &s)) {
        return;
    }
    opts.server = false;
    CHECK(ceasei_h2_init(&c.ses, &opts, on_event, &c));
    nghttp2_nv nv[] = {
        {(uint8_t *)(uintptr_t) ":method", (uint8_t *)(uintptr_t) "POST", 7, 4, 0},
        {(uint8_t *)(uintptr_t) ":scheme", (uint8_t *)(uintptr_t) "http", 7, 4, 0},
        {(uint8_t *)(uintptr_t) ":authority", (uint8_t *)(uintptr_t) "a", 10, 1, 0},
        {(uint8_t *)(uintptr_t) ":path", (uint8_t *)(uintptr_t) "/", 5, 1, 0},
    };
    nghttp2_nv trailer = {(uint8_t *)(uintptr_t) "t", (uint8_t *)(uintptr_t) "end", 1, 3, 0};
    struct iovec iov = {.iov_base = (void *)(uintptr_t) "ping", .iov_len = 4};
    struct ceasei_h2_stream *q = ceasei_h2_request(&c.ses, nv, 4, false);
    CHECK(q != NULL);
    q->refs++;
    CHECK_OK(ceasei_h2_give(q, &(struct ceasei_h2_piece){&iov, 1, true, &trailer, 1}));
    carry(&c, &s);
    CHECK_EQ(s.heads, 1);
    CHECK(s.last->in_ended);
    CHECK_EQ(ceasei_h2_read(s.last, buf, sizeof buf), 4);
    CHECK_STR(ceasei_h2_block_find(&s.last->trailers, "t"), "end");
    nghttp2_nv early = {(uint8_t *)(uintptr_t) ":status", (uint8_t *)(uintptr_t) "103", 7, 3, 0};
    CHECK_OK(ceasei_h2_interim(s.last, &early, 1));
    carry(&s, &c);
    CHECK_EQ(c.heads, 0);
    respond(s.last, false);
    CHECK_OK(ceasei_h2_give(s.last, &(struct ceasei_h2_piece){&iov, 1, true, &trailer, 1}));
    carry(&s, &c);
    CHECK_EQ(c.heads, 1);
    CHECK_STR(ceasei_h2_block_find(&q->head, ":status"), "200");
    CHECK_EQ(ceasei_h2_read(q, buf, sizeof buf), 4);
    CHECK(q->in_ended);
    CHECK_STR(ceasei_h2_block_find(&q->trailers, "t"), "end");
    CHECK(q->closed);
    CHECK_EQ(q->code, 0);
    ceasei_h2_stream_unref(q);
    ceasei_h2_stream_unref(c.last);
    ceasei_h2_stream_unref(s.last);
    ceasei_h2_abort(&c.ses, 0);
    ceasei_h2_abort(&s.ses, 0);
    ceasei_h2_deinit(&c.ses);
    ceasei_h2_deinit(&s.ses);
    wire_free(&c.out);
    wire_free(&s.out);
}

TEST(session_bothRoles_exchangeBodiesAndTrailers)
{
    exchange();
}

TEST(session_going_refusesNewStreamsInTwoSteps)
{
    struct rig r;
    struct wire w;
    begin(&r, &w);
    wire_request(&w, 1, "GET", "/", WIRE_END_STREAM);
    CHECK(feed(&r, &w));
    ceasei_h2_going(&r.ses, 1);
    pump(&r);
    struct wire_frame f = sent(&r, WIRE_GOAWAY);
    CHECK_EQ(u32(f.payload), 0x7fffffff);
    ceasei_h2_going(&r.ses, 2);
    pump(&r);
    f = sent(&r, WIRE_PING);
    wire_request(&w, 3, "GET", "/", WIRE_END_STREAM); /* it did not know yet */
    wire_frame(&w, WIRE_PING, WIRE_ACK, 0, f.payload, 8);
    CHECK(feed(&r, &w));
    CHECK(r.ses.pong);
    CHECK_EQ(r.heads, 2);
    ceasei_h2_going(&r.ses, 3);
    pump(&r);
    f = sent(&r, WIRE_GOAWAY);
    CHECK_EQ(u32(f.payload), 3);
    wire_request(&w, 5, "GET", "/", WIRE_END_STREAM);
    feed(&r, &w);
    CHECK_EQ(r.heads, 2);
    end(&r, &w);
}

/* ---- memory ---- */

TEST(memory_given_isTakenAgainUpToItsMost)
{
    static const size_t sizes[] = {0, 1, 47, 48, 49, 1000, 1472, 1473, 5000, 300000};
    enum { BLOCKS = 400, SIZE = 1000 };
    struct ceasei_h2_memory m = {0};
    void *blocks[BLOCKS];
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        void *block = ceasei_h2_memory_take(&m, sizes[i]);
        CHECK(block != NULL);
        CHECK_EQ((uintptr_t)block % 16, 0);
        memset(block, 'm', sizes[i]);
        ceasei_h2_memory_give(&m, block);
    }
    CHECK(ceasei_h2_memory_take(&m, SIZE_MAX) == NULL);
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = ceasei_h2_memory_take(&m, SIZE);
        memset(blocks[i], i & 255, SIZE);
    }
    for (int i = 0; i < BLOCKS; i++) { /* none is in another */
        CHECK_EQ(((unsigned char *)blocks[i])[0], i & 255);
        CHECK_EQ(((unsigned char *)blocks[i])[SIZE - 1], i & 255);
        ceasei_h2_memory_give(&m, blocks[i]);
    }
    CHECK(m.kept <= CEASEI_H2_MEMORY_KEPT_MAX);
    ceasei_h2_memory_give(&m, NULL);
    ceasei_h2_memory_trim(&m);
    CHECK_EQ(m.kept, 0);
}

TEST(memory_asNghttp2WantsIt_growsAndIsZeroed)
{
    struct ceasei_h2_memory m = {0};
    nghttp2_mem mem = ceasei_h2_memory_for_nghttp2(&m);
    CHECK(mem.calloc(SIZE_MAX / 2, 3, mem.mem_user_data) == NULL);
    char *p = mem.realloc(NULL, 10, mem.mem_user_data);
    CHECK(p != NULL);
    memcpy(p, "0123456789", 10);
    for (size_t size = 11; size < 5000; size = size * 3 / 2) {
        p = mem.realloc(p, size, mem.mem_user_data);
        CHECK_EQ(memcmp(p, "0123456789", 10), 0);
        memset(p + 10, 'x', size - 10);
    }
    mem.free(p, mem.mem_user_data);
    p = mem.calloc(10, 6, mem.mem_user_data);
    for (int i = 0; i < 60; i++) {
        CHECK_EQ(p[i], 0);
    }
    mem.free(p, mem.mem_user_data);
    mem.free(NULL, mem.mem_user_data);
    ceasei_h2_memory_trim(&m);
}
