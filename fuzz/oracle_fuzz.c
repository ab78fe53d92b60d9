/* oracle_fuzz.c: requests, read by our parser and by Debian's http_parser. What both take they must read
 * alike: method, target, version, fields, where the head ends, the body, and where that ends. (Ours takes
 * less: what http_parser takes and ours refuses is no finding, nor is what only ours takes, since
 * http_parser knows a fixed list of methods and looks into targets.) */
#include "http/parse.h"

#include <http_parser.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { FIELDS_MAX = 16, HEAD_MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* What one of them has read. Texts are joined, each ended by a byte that cannot stand in one. */
struct reading {
    char *text; /* url, then name and value of each field */
    size_t text_size;
    char *body;
    size_t body_size;
    unsigned fields;
    bool last_was_value;
    bool headers_ended, ended;
    bool
        keep; /* as the head says: http_parser would look at a Connection among the trailers, too */
    size_t end; /* of the whole message */
};

static void add(struct reading *r, const char *p, size_t size)
{
    memcpy(r->text + r->text_size, p, size);
    r->text_size += size;
}

/* Ends a text, without the white space behind it. */
static void end_text(struct reading *r)
{
    while (r->text_size > 0 &&
           (r->text[r->text_size - 1] == ' ' || r->text[r->text_size - 1] == '\t')) {
        r->text_size--;
    }
    r->text[r->text_size++] = '\n';
}

/* ---- theirs ---- */

static int on_url(http_parser *p, const char *at, size_t size)
{
    add(p->data, at, size);
    return 0;
}

static int on_field(http_parser *p, const char *at, size_t size)
{
    struct reading *r = p->data;
    if (r->last_was_value || r->fields == 0) {
        end_text(r);
        r->fields++;
        r->last_was_value = false;
    }
    if (!r->headers_ended) {
        add(r, at, size);
    }
    return 0;
}

static int on_value(http_parser *p, const char *at, size_t size)
{
    struct reading *r = p->data;
    if (!r->last_was_value) {
        end_text(r);
        r->last_was_value = true;
    }
    if (!r->headers_ended) {
        add(r, at, size);
    }
    return 0;
}

static int on_headers_complete(http_parser *p)
{
    struct reading *r = p->data;
    end_text(r);
    r->headers_ended = true;
    r->keep = http_should_keep_alive(p);
    return 0;
}

static int on_body(http_parser *p, const char *at, size_t size)
{
    struct reading *r = p->data;
    memcpy(r->body + r->body_size, at, size);
    r->body_size += size;
    return 0;
}

static int on_message_complete(http_parser *p)
{
    struct reading *r = p->data;
    r->ended = true;
    http_parser_pause(p, 1);
    return 0;
}

/* ---- ours ---- */

static void read_ours(struct reading *r, const struct ceasei_http_head *h, const char *text,
                      size_t size, size_t head)
{
    add(r, text + h->target, h->target_size);
    end_text(r);
    for (uint32_t i = 0; i < h->field_count; i++) {
        add(r, text + h->fields[i].name, h->fields[i].name_size);
        end_text(r);
        add(r, text + h->fields[i].value, h->fields[i].value_size);
        end_text(r);
    }
    r->end = head;
    r->ended = !h->chunked;
    if (h->length) {
        r->body_size = size - head < h->content_length ? size - head : (size_t)h->content_length;
        memcpy(r->body, text + head, r->body_size);
        r->end += r->body_size;
        r->ended = r->body_size == h->content_length;
    }
    struct ceasei_http_chunks chunks = {0};
    while (h->chunked && !r->ended) {
        size_t used = 0;
        size_t span = 0;
        enum ceasei_http_chunk c =
            ceasei_http_chunks_next(&chunks, text + r->end, size - r->end, &used, &span);
        memcpy(r->body + r->body_size, text + r->end + used, span);
        r->body_size += span;
        r->end += used + span;
        r->ended = c == CEASEI_HTTP_CHUNK_END;
        if (c == CEASEI_HTTP_CHUNK_BAD || c == CEASEI_HTTP_CHUNK_MORE) {
            break;
        }
    }
}

static void reading_init(struct reading *r, size_t size)
{
    *r = (struct reading){.text = malloc(2 * size + 64), .body = malloc(size + 1)};
    require(r->text && r->body);
}

/* Whether the connection's options are a list. http_parser finds none behind an empty element, nor behind one that begins
 * as another does ("c,keep-alive"). */
static bool has_list(const struct ceasei_http_head *h, const char *text)
{
    for (uint32_t i = 0; i < h->field_count; i++) {
        const struct ceasei_http_field *f = &h->fields[i];
        if (f->name_size == strlen("Connection") &&
            strncasecmp(text + f->name, "Connection", f->name_size) == 0 &&
            memchr(text + f->value, ',', f->value_size)) {
            return true;
        }
    }
    return false;
}

static void compare(const char *text, size_t size)
{
    struct ceasei_http_field fields[FIELDS_MAX];
    struct ceasei_http_head h;
    ceasei_http_head_init(&h, fields, FIELDS_MAX, HEAD_MAX);
    int64_t head = ceasei_http_parse_request(&h, text, size);
    if (head <= 0) {
        return;
    }
    static const http_parser_settings settings = {.on_url = on_url,
                                                  .on_header_field = on_field,
                                                  .on_header_value = on_value,
                                                  .on_headers_complete = on_headers_complete,
                                                  .on_body = on_body,
                                                  .on_message_complete = on_message_complete};
    struct reading ours;
    struct reading theirs;
    reading_init(&ours, size);
    reading_init(&theirs, size);
    http_parser parser;
    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = &theirs;
    size_t parsed = http_parser_execute(&parser, &settings, text, size);
    enum http_errno error = HTTP_PARSER_ERRNO(&parser);
    read_ours(&ours, &h, text, size, (size_t)head);
    if (theirs.headers_ended && !parser.upgrade) {
        const char *method = http_method_str((enum http_method)parser.method);
        require(strlen(method) == h.method_size &&
                memcmp(method, text + h.method, h.method_size) == 0);
        require(parser.http_major == 1 && (parser.http_minor == 0) == (h.minor == 0));
        require(ours.text_size <= theirs.text_size &&
                memcmp(ours.text, theirs.text, ours.text_size) == 0);
        bool keep = h.minor > 0 ? !h.close : h.keep_alive && !h.close;
        /* http_parser does not know that a tab is white space there */
        require(!keep || theirs.keep || memchr(text, '\t', (size_t)head) || has_list(&h, text));
    }
    if (theirs.ended && ours.ended && error == HPE_PAUSED && !parser.upgrade) {
        require(ours.body_size == theirs.body_size &&
                memcmp(ours.body, theirs.body, ours.body_size) == 0);
        require(ours.end == parsed ||
                ours.end == parsed + 1); /* paused at the last byte, or behind */
    }
    /* a message that both have taken has ended for both or for none */
    if (error == HPE_OK && !parser.upgrade) {
        require(!ours.ended);
    }
    free(ours.text);
    free(ours.body);
    free(theirs.text);
    free(theirs.body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size > 0 ? size : 1); /* exact, so that a byte too far is seen */
    require(text != NULL);
    memcpy(text, data, size);
    compare(text, size);
    free(text);
    return 0;
}
