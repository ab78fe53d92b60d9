/* SPDX-License-Identifier: MIT
 *
 * propagate.c: trace and baggage, as texts and as values of a context.
 *
 * Both are values under keys of this file, one block of memory each, freed with the last context that has
 * them. A trace's state and a whole baggage stay the text that they came as: who hands them on must not
 * change a byte of what others put there.
 *
 * Strict (W3C Trace Context 2, W3C Baggage): a traceparent in upper case, of version ff, with an id of zeroes, or
 * of version 00 with anything behind its 55 bytes, is none, and its tracestate neither; two of them are none.
 * A malformed list is ignored whole: half of it might say the opposite.
 */
#include "http/propagate.h"

#include "http/url.h"

#include <cease/hooks.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>

enum {
    STATE_MAX = 4096,
    STATE_MEMBERS_MAX = 32,
    BAGGAGE_MAX = 8192,
    BAGGAGE_MEMBERS_MAX = 64,
    PARENT_SIZE = CEASE_TRACEPARENT_SIZE - 1,
};

static cease_key trace_key = CEASE_KEY_OWNED("trace", free);
static cease_key baggage_key = CEASE_KEY_OWNED("baggage", free);

/* ---- traceparent ---- */

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Lower-case digits to bytes. */
static bool read_hex(const char *text, uint8_t *ret, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int high = hex(text[2 * i]);
        int low = hex(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        ret[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool is_zero(const uint8_t *bytes, size_t count)
{
    uint8_t all = 0;
    for (size_t i = 0; i < count; i++) {
        all |= bytes[i];
    }
    return all == 0;
}

static bool parse_parent(const char *text, size_t size, cease_trace_context *ret)
{
    uint8_t version;
    cease_trace_context t = {.state = ""};
    if (size < PARENT_SIZE || text[2] != '-' || text[35] != '-' || text[52] != '-' ||
        !read_hex(text, &version, 1) || version == 0xff || !read_hex(text + 3, t.trace_id, 16) ||
        !read_hex(text + 36, t.span_id, 8) || !read_hex(text + 53, &t.flags, 1)) {
        return false;
    }
    if (size > PARENT_SIZE && (version == 0 || text[PARENT_SIZE] != '-')) {
        return false;
    }
    if (is_zero(t.trace_id, 16) || is_zero(t.span_id, 8)) {
        return false;
    }
    if (version > 0) {
        t.flags &= CEASE_TRACE_SAMPLED; /* what else they mean there nobody knows */
    }
    *ret = t;
    return true;
}

void cease_trace_format(const cease_trace_context *trace, char ret[CEASE_TRACEPARENT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t bytes[25];
    char *p = ret;
    memcpy(bytes, trace->trace_id, 16);
    memcpy(bytes + 16, trace->span_id, 8);
    bytes[24] = trace->flags;
    memcpy(p, "00-", 3);
    p += 3;
    for (size_t i = 0; i < sizeof bytes; i++) {
        *p++ = digits[bytes[i] >> 4];
        *p++ = digits[bytes[i] & 15];
        if (i == 15 || i == 23) {
            *p++ = '-';
        }
    }
    *p = '\0';
}

static bool is_key_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c && strchr("_-*/", c));
}

/* key=value: the key of lower-case letters and "_-*" "/", one "@" for a tenant; the value printable, without
 * "," and "=". */
static bool state_member(const char *text, size_t size)
{
    size_t key = 0;
    bool tenant = false;
    while (key < size && text[key] != '=') {
        if (text[key] == '@' ? tenant || key == 0 : !is_key_char(text[key])) {
            return false;
        }
        tenant = tenant || text[key] == '@';
        key++;
    }
    bool starts =
        key > 0 && ((text[0] >= 'a' && text[0] <= 'z') || (text[0] >= '0' && text[0] <= '9'));
    if (!starts || key > 256 || key >= size || text[key - 1] == '@' || size - key - 1 > 256 ||
        size - key - 1 == 0) {
        return false;
    }
    for (size_t i = key + 1; i < size; i++) {
        if (text[i] < ' ' || text[i] > '~' || text[i] == '=') {
            return false;
        }
    }
    return true;
}

/* The next member of a list, without the blanks around it. False: there is none. */
static bool next_member(const char **text, const char *end, const char **ret, size_t *ret_size)
{
    if (*text >= end) {
        return false;
    }
    const char *comma = memchr(*text, ',', (size_t)(end - *text));
    const char *p = *text;
    const char *q = comma ? comma : end;
    *text = q + 1;
    while (p < q && (*p == ' ' || *p == '\t')) {
        p++;
    }
    while (q > p && (q[-1] == ' ' || q[-1] == '\t')) {
        q--;
    }
    *ret = p;
    *ret_size = (size_t)(q - p);
    return true;
}

bool ceasei_tracestate_check(const char *text, size_t size)
{
    const char *end = text + size;
    const char *member;
    size_t length;
    unsigned count = 0;
    while (next_member(&text, end, &member, &length)) {
        if (length == 0) {
            continue; /* allowed: "a=1,,b=2" */
        }
        if (++count > STATE_MEMBERS_MAX || !state_member(member, length)) {
            return false;
        }
    }
    return size <= STATE_MAX;
}

cease_error cease_trace_parse(const char *traceparent, const char *tracestate,
                              cease_trace_context *ret)
{
    if (!parse_parent(traceparent, strlen(traceparent), ret)) {
        return CEASE_EPARSE;
    }
    if (tracestate && ceasei_tracestate_check(tracestate, strlen(tracestate))) {
        ret->state = tracestate;
    }
    return CEASE_OK;
}

static void random_id(uint8_t *ret, size_t size)
{
    static uint64_t count; /* atomic */
    do {
        ssize_t n = getrandom(ret, size, 0);
        if (n != (ssize_t)size &&
            errno != EINTR) { /* a sandbox without it: unlikely to be the same */
            struct timespec now;
            clock_gettime(CLOCK_REALTIME, &now);
            uint64_t x = (uint64_t)now.tv_nsec ^ (uint64_t)now.tv_sec << 30 ^
                         (uint64_t)(uintptr_t)&now ^
                         __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED);
            for (size_t i = 0; i < size; i++) {
                x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
                ret[i] = (uint8_t)(x >> 56);
            }
        }
    } while (is_zero(ret, size));
}

void cease_trace_child(const cease_trace_context *parent, cease_trace_context *ret)
{
    cease_trace_context t = {.state = ""};
    if (parent) {
        t = *parent;
    } else {
        random_id(t.trace_id, sizeof t.trace_id);
    }
    random_id(t.span_id, sizeof t.span_id);
    *ret = t;
}

cease_ctx *cease_with_trace(cease_ctx *parent, const cease_trace_context *trace)
{
    size_t size = strlen(trace->state) + 1;
    cease_trace_context *own = malloc(sizeof *own + size);
    if (!own) {
        return cease_nomem();
    }
    *own = *trace;
    memcpy(own + 1, trace->state, size);
    own->state = ceasei_tracestate_check(trace->state, size - 1) ? (char *)(own + 1) : "";
    return cease_with_value(parent, &trace_key, own);
}

const cease_trace_context *cease_trace_from_context(const cease_ctx *ctx)
{
    return cease_value(ctx, &trace_key);
}

/* ---- baggage ---- */

static bool is_token(const char *text, size_t size)
{
    return ceasei_http_is_name(text, size);
}

/* What may stand in a value: printable ASCII but for blanks, quotes, "," ";" and "\". */
static bool is_octet(char c)
{
    return c > ' ' && c <= '~' && !strchr("\",;\\", c);
}

/* key OWS "=" OWS value, both trimmed. False: malformed. */
static bool split_pair(const char *text, size_t size, bool needs_value, const char **ret_value,
                       size_t *ret_value_size, size_t *ret_key_size)
{
    const char *equal = memchr(text, '=', size);
    size_t key = equal ? (size_t)(equal - text) : size;
    while (key > 0 && (text[key - 1] == ' ' || text[key - 1] == '\t')) {
        key--;
    }
    if (!is_token(text, key) || (!equal && needs_value)) {
        return false;
    }
    const char *value = equal ? equal + 1 : text + size;
    const char *end = text + size;
    while (value < end && (*value == ' ' || *value == '\t')) {
        value++;
    }
    for (const char *p = value; p < end; p++) {
        if (!is_octet(*p)) {
            return false;
        }
    }
    *ret_value = value;
    *ret_value_size = (size_t)(end - value);
    *ret_key_size = key;
    return true;
}

/* One member: key=value *( ";" property ). */
static bool parse_baggage_member(const char *text, size_t size, const char **ret_value,
                                 size_t *ret_value_size, size_t *ret_key_size)
{
    bool first = true;
    const char *end = text + size;
    for (const char *p = text; first || p <= end;) {
        const char *semicolon = p < end ? memchr(p, ';', (size_t)(end - p)) : NULL;
        const char *q = semicolon ? semicolon : end;
        const char *next = q + 1;
        const char *value;
        size_t value_size;
        size_t key_size;
        while (p < q && (*p == ' ' || *p == '\t')) {
            p++;
        }
        while (q > p && (q[-1] == ' ' || q[-1] == '\t')) {
            q--;
        }
        if (!split_pair(p, (size_t)(q - p), first, &value, &value_size, &key_size)) {
            return false;
        }
        if (first) {
            *ret_value = value;
            *ret_value_size = value_size;
            *ret_key_size = key_size;
        }
        first = false;
        p = next;
    }
    return true;
}

int64_t ceasei_baggage_check(const char *text, size_t size)
{
    const char *begin = text;
    const char *end = text + size;
    const char *member;
    const char *value;
    size_t length;
    size_t value_size;
    size_t key_size;
    unsigned count = 0;
    int64_t kept = 0;
    while (next_member(&text, end, &member, &length)) {
        if (!parse_baggage_member(member, length, &value, &value_size, &key_size)) {
            return -1;
        }
        count++;
        if (count <= BAGGAGE_MEMBERS_MAX && member + length - begin <= BAGGAGE_MAX) {
            kept = member + length - begin;
        }
    }
    return kept;
}

static cease_error with_baggage_text(cease_ctx *parent, const char *text, size_t size,
                                     cease_ctx **ret_ctx)
{
    char *own = malloc(size + 1);
    if (!own) {
        return CEASE_ENOMEM;
    }
    memcpy(own, text, size);
    own[size] = '\0';
    *ret_ctx = cease_with_value(parent, &baggage_key, own);
    return CEASE_OK;
}

cease_error cease_with_baggage(cease_ctx *parent, const char *text, cease_ctx **ret_ctx)
{
    int64_t kept = ceasei_baggage_check(text, strlen(text));
    return kept < 0 ? CEASE_EPARSE : with_baggage_text(parent, text, (size_t)kept, ret_ctx);
}

const char *cease_baggage_from_context(const cease_ctx *ctx)
{
    const char *text = cease_value(ctx, &baggage_key);
    return text ? text : "";
}

/* Adds the members of `text` under other keys than `key`. */
static unsigned add_others(struct ceasei_text *t, const char *text, const char *key)
{
    const char *end = text + strlen(text);
    const char *member;
    const char *value;
    size_t length;
    size_t value_size;
    size_t key_size;
    unsigned count = 0;
    while (next_member(&text, end, &member, &length)) {
        if (parse_baggage_member(member, length, &value, &value_size, &key_size) &&
            (key_size != strlen(key) || memcmp(member, key, key_size) != 0)) {
            ceasei_text_add(t, ",", count > 0);
            ceasei_text_add(t, member, length);
            count++;
        }
    }
    return count;
}

cease_error cease_with_baggage_member(cease_ctx *parent, const char *key, const char *value,
                                      cease_ctx **ret_ctx)
{
    static const char digits[] = "0123456789ABCDEF";
    struct ceasei_text t;
    if (!is_token(key, strlen(key))) {
        return CEASE_EINVAL;
    }
    ceasei_text_init(&t);
    unsigned count = add_others(&t, cease_baggage_from_context(parent), key);
    ceasei_text_add(&t, ",", count > 0);
    ceasei_text_put(&t, key);
    ceasei_text_put(&t, "=");
    for (const char *p = value; *p; p++) {
        const char escape[3] = {'%', digits[(unsigned char)*p >> 4], digits[*p & 15]};
        bool plain = is_octet(*p) && *p != '%';
        ceasei_text_add(&t, plain ? p : escape, plain ? 1 : 3);
    }
    cease_error e = t.failed ? CEASE_ENOMEM
                    : count >= BAGGAGE_MEMBERS_MAX || t.size > BAGGAGE_MAX
                        ? CEASE_EMSGSIZE
                        : with_baggage_text(parent, t.data, t.size, ret_ctx);
    ceasei_text_deinit(&t);
    return e;
}

cease_error cease_baggage_value(const cease_ctx *ctx, const char *key, char *ret, size_t size,
                                size_t *ret_size)
{
    const char *text = cease_baggage_from_context(ctx);
    const char *end = text + strlen(text);
    const char *member;
    const char *value;
    size_t length;
    size_t value_size;
    size_t key_size;
    while (next_member(&text, end, &member, &length)) {
        if (!parse_baggage_member(member, length, &value, &value_size, &key_size) ||
            key_size != strlen(key) || memcmp(member, key, key_size) != 0) {
            continue;
        }
        char *decoded = malloc(value_size + 1);
        int64_t n = decoded ? ceasei_url_decode(value, value_size, false, decoded) : -1;
        const char *from = n >= 0 ? decoded : value; /* a "%" that is none stays what it is */
        size_t count = n >= 0 ? (size_t)n : value_size;
        bool fits = count < size;
        if (fits) {
            memcpy(ret, from, count);
            ret[count] = '\0';
            if (ret_size) {
                *ret_size = count;
            }
        }
        free(decoded);
        return fits ? CEASE_OK : CEASE_ERANGE;
    }
    return CEASE_ENOENT;
}

/* ---- in and out ---- */

/* The fields of one name, joined by commas (RFC 9110, 5.3). Gives how many there are. */
static unsigned join(const struct ceasei_http_head *h, const char *data, const char *name,
                     struct ceasei_text *t)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < h->field_count; i++) {
        const struct ceasei_http_field *f = &h->fields[i];
        if (ceasei_http_same(data + f->name, f->name_size, name, strlen(name))) {
            ceasei_text_add(t, ",", count > 0);
            ceasei_text_add(t, data + f->value, f->value_size);
            count++;
        }
    }
    return count;
}

static cease_ctx *trace_in(cease_ctx *ctx, const struct ceasei_http_head *h, const char *data,
                           unsigned *bad)
{
    struct ceasei_text parent;
    struct ceasei_text state;
    cease_trace_context t;
    ceasei_text_init(&parent);
    ceasei_text_init(&state);
    if (join(h, data, "traceparent", &parent) != 1 || !parse_parent(parent.data, parent.size, &t)) {
        *bad += 1;
        ceasei_text_deinit(&parent);
        return ctx;
    }
    if (join(h, data, "tracestate", &state) > 0) {
        ceasei_text_add(&state, "", 1);
        if (!state.failed && ceasei_tracestate_check(state.data, state.size - 1)) {
            t.state = state.data;
        } else {
            *bad += 1;
        }
    }
    cease_ctx *inner = cease_with_trace(ctx, &t);
    ceasei_text_deinit(&parent);
    ceasei_text_deinit(&state);
    cease_unref(ctx);
    return inner;
}

static cease_ctx *baggage_in(cease_ctx *ctx, const struct ceasei_http_head *h, const char *data,
                             unsigned *bad)
{
    struct ceasei_text text;
    cease_ctx *inner = ctx;
    ceasei_text_init(&text);
    join(h, data, "baggage", &text);
    int64_t kept = text.failed ? -1 : ceasei_baggage_check(text.data, text.size);
    if (kept < 0 || with_baggage_text(ctx, text.data, (size_t)kept, &inner) != CEASE_OK) {
        *bad += 1;
    } else {
        cease_unref(ctx);
    }
    ceasei_text_deinit(&text);
    return inner;
}

cease_ctx *ceasei_propagate_in(cease_ctx *ctx, const struct ceasei_http_head *h, const char *data,
                               bool take_baggage, unsigned *ret_bad)
{
    bool trace = false;
    bool baggage = false;
    *ret_bad = 0;
    for (uint32_t i = 0; i < h->field_count; i++) {
        const struct ceasei_http_field *f = &h->fields[i];
        const char *name = data + f->name;
        if (f->name_size == 11) {
            trace = trace || strncasecmp(name, "traceparent", 11) == 0;
        } else if (f->name_size == 7) {
            baggage = baggage || (take_baggage && strncasecmp(name, "baggage", 7) == 0);
        }
    }
    if (!trace && !baggage) {
        return NULL; /* most requests: no reference to be counted */
    }
    cease_ref(ctx);
    if (trace) {
        ctx = trace_in(ctx, h, data, ret_bad);
    }
    return baggage ? baggage_in(ctx, h, data, ret_bad) : ctx;
}

void ceasei_propagate_out(const cease_ctx *ctx, bool trace, bool baggage, struct ceasei_text *t)
{
    const cease_trace_context *span = trace ? cease_trace_from_context(ctx) : NULL;
    const char *text = baggage ? cease_baggage_from_context(ctx) : "";
    if (span) {
        char parent[CEASE_TRACEPARENT_SIZE];
        cease_trace_format(span, parent);
        ceasei_text_put(t, "traceparent: ");
        ceasei_text_put(t, parent);
        ceasei_text_put(t, "\r\n");
        if (span->state[0] != '\0') {
            ceasei_text_put(t, "tracestate: ");
            ceasei_text_put(t, span->state);
            ceasei_text_put(t, "\r\n");
        }
    }
    if (text[0] != '\0') {
        ceasei_text_put(t, "baggage: ");
        ceasei_text_put(t, text);
        ceasei_text_put(t, "\r\n");
    }
}

bool ceasei_propagate_replaces(const cease_ctx *ctx, bool trace, bool baggage, const char *name)
{
    if (strcasecmp(name, "traceparent") == 0 || strcasecmp(name, "tracestate") == 0) {
        return trace && cease_trace_from_context(ctx);
    }
    return strcasecmp(name, "baggage") == 0 && baggage && *cease_baggage_from_context(ctx);
}
