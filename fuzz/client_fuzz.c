/* client_fuzz.c: what a server, a proxy or a peer can say to a client, as texts: a Location, trace and baggage,
 * conditions and ranges, gzip. The first byte chooses; what was taken must obey what is promised of it. */
#include "http/content.h"
#include "http/gunzip.h"
#include "http/propagate.h"
#include "http/proxy.h"
#include "http/redirect.h"
#include "http/url.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* Resolved once more, a URL stays what it is. */
static void check_location(const char *text)
{
    static const char base[] = "https://a.example/b/c?d";
    struct ceasei_text once;
    struct ceasei_text twice;
    ceasei_text_init(&once);
    ceasei_text_init(&twice);
    if (ceasei_redirect_resolve(base, text, &once)) {
        struct ceasei_url u;
        require(ceasei_url_split(once.data, &u));
        require(strpbrk(once.data, " \t\r\n#") == NULL);
        require(ceasei_redirect_resolve(base, once.data, &twice));
        require(strcmp(once.data, twice.data) == 0);
    }
    ceasei_text_deinit(&once);
    ceasei_text_deinit(&twice);
}

static void check_trace(const char *text)
{
    cease_trace_context t;
    cease_trace_context again;
    char back[CEASE_TRACEPARENT_SIZE];
    if (cease_trace_parse(text, text, &t) == CEASE_OK) {
        cease_trace_format(&t, back);
        require(cease_trace_parse(back, NULL, &again) == CEASE_OK);
        require(memcmp(t.trace_id, again.trace_id, 16) == 0 && t.flags == again.flags);
    }
    if (ceasei_tracestate_check(text, strlen(text))) {
        require(strpbrk(text, "\r\n") == NULL);
    }
}

static void check_baggage(const char *text)
{
    cease_ctx *ctx;
    cease_ctx *more;
    char value[64];
    if (cease_with_baggage(cease_background(), text, &ctx) != CEASE_OK) {
        return;
    }
    const char *kept = cease_baggage_from_context(ctx);
    size_t size = strlen(kept);
    require(size <= 8192 && strncmp(text, kept, size) == 0 && strpbrk(kept, "\r\n") == NULL);
    require(ceasei_baggage_check(kept, size) == (int64_t)size);
    if (cease_with_baggage_member(ctx, "key", text, &more) == CEASE_OK) {
        kept = cease_baggage_from_context(more);
        require(ceasei_baggage_check(kept, strlen(kept)) == (int64_t)strlen(kept));
        cease_error e = cease_baggage_value(more, "key", value, sizeof value, NULL);
        require(e == CEASE_ERANGE || (e == CEASE_OK && strcmp(value, text) == 0));
        cease_unref(more);
    }
    cease_unref(ctx);
}

static void check_content(const char *text)
{
    static const char tag[] = "\"tag\"";
    uint64_t begin = 0;
    uint64_t end = 0;
    for (uint64_t size = 0; size < 12; size += 11) {
        const struct ceasei_conditions c = {.range = text, .tag = tag, .size = size};
        if (ceasei_conditions_decide(&c, &begin, &end) == 206) {
            require(begin < end && end <= size);
        }
    }
    const struct ceasei_conditions all = {.if_match = text,
                                          .if_none_match = text,
                                          .if_modified_since = text,
                                          .if_unmodified_since = text,
                                          .range = text,
                                          .if_range = text,
                                          .tag = tag,
                                          .size = 7};
    ceasei_conditions_decide(&all, &begin, &end);
    require(ceasei_date_parse(text) >= -1);
    require(ceasei_media_type(text) != NULL);
}

static void check_proxy(const char *text)
{
    struct ceasei_proxy p;
    if (ceasei_proxy_parse(text, &p)) {
        require(strlen(p.address) < sizeof p.address && strlen(p.auth) < sizeof p.auth);
        require(p.auth[0] == '\0' || strchr(p.auth, '\r') == p.auth + strlen(p.auth) - 2);
    }
    ceasei_no_proxy_has(text, "a.example", 9, "80");
}

/* However it is cut, the same comes out. */
static void check_gunzip(const uint8_t *data, size_t size)
{
    uint64_t sums[2] = {0, 0};
    cease_error ends[2] = {CEASE_OK, CEASE_OK};
    for (int round = 0; round < 2; round++) {
        struct ceasei_gunzip *g = ceasei_gunzip_new();
        const char *in = (const char *)data;
        size_t step = round == 0 ? size : 3;
        uint64_t total = 0;
        require(g != NULL);
        for (size_t at = 0; at < size && ends[round] == CEASE_OK && total < 100000; at += step) {
            size_t left = size - at < step ? size - at : step;
            in = (const char *)data + at;
            size_t n = 1;
            while (ends[round] == CEASE_OK && (left > 0 || n > 0) && total < 100000) {
                unsigned char out[1000];
                ends[round] = ceasei_gunzip_next(g, &in, &left, out, sizeof out, &n);
                require(n <= sizeof out);
                for (size_t i = 0; ends[round] == CEASE_OK && i < n; i++) {
                    sums[round] = sums[round] * 31 + out[i];
                }
                total += n;
            }
        }
        ceasei_gunzip_free(g);
        if (total >= 98000) {
            return; /* a bomb: cut off, not at the same byte */
        }
    }
    require(ends[0] == ends[1] && (ends[0] != CEASE_OK || sums[0] == sums[1]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const checks[])(const char *text) = {check_location, check_trace, check_baggage,
                                                       check_content, check_proxy};
    enum { CHECKS = sizeof checks / sizeof *checks };
    if (size == 0) {
        return 0;
    }
    if (data[0] % (CHECKS + 1) == CHECKS) {
        check_gunzip(data + 1, size - 1);
        return 0;
    }
    char *text = malloc(size);
    require(text != NULL);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    checks[data[0] % (CHECKS + 1)](text);
    free(text);
    return 0;
}
