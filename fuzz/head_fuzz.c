/* head_fuzz.c: request and response heads. The first byte says how the rest is cut: what is parsed in
 * pieces must come out as what is parsed whole, and everything that was found must lie inside. */
#include "http/deadline.h"
#include "http/parse.h"
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

static void check_inside(uint32_t at, uint32_t size, int64_t head)
{
    require((int64_t)at + size <= head);
}

static void check_found(const struct ceasei_http_head *h, int64_t head)
{
    check_inside(h->method, h->method_size, head);
    check_inside(h->target, h->target_size, head);
    check_inside(h->path, h->path_size, head);
    check_inside(h->query, h->query_size, head);
    check_inside(h->authority, h->authority_size, head);
    check_inside(h->reason, h->reason_size, head);
    for (uint32_t i = 0; i < h->field_count; i++) {
        check_inside(h->fields[i].name, h->fields[i].name_size, head);
        check_inside(h->fields[i].value, h->fields[i].value_size, head);
    }
    require(!(h->chunked && h->length));
}

static int64_t parse(struct ceasei_http_head *h, const char *text, size_t size, bool request)
{
    return request ? ceasei_http_parse_request(h, text, size)
                   : ceasei_http_parse_response(h, text, size);
}

static void one(const char *text, size_t size, size_t step, bool request)
{
    struct ceasei_http_field fields[16];
    struct ceasei_http_field again[16];
    struct ceasei_http_head whole;
    struct ceasei_http_head cut;
    ceasei_http_head_init(&whole, fields, 16, 4096);
    ceasei_http_head_init(&cut, again, 16, 4096);
    int64_t a = parse(&whole, text, size, request);
    int64_t b = 0;
    for (size_t n = 0; b == 0; n += step) {
        n = n < size ? n : size;
        b = parse(&cut, text, n, request);
        if (n == size) {
            break;
        }
    }
    require(a == b || (a < 0 && b < 0));
    if (a > 0) {
        check_found(&whole, a);
        require(whole.field_count == cut.field_count);
        for (uint32_t i = 0; i < whole.field_count; i++) {
            require(fields[i].name == again[i].name && fields[i].value == again[i].value &&
                    fields[i].name_size == again[i].name_size &&
                    fields[i].value_size == again[i].value_size);
        }
        char *path = malloc(whole.path_size + 1);
        size_t path_size = 0;
        require(path != NULL);
        if (request && ceasei_url_path(text + whole.path, whole.path_size, path, &path_size)) {
            require(path[0] == '/' && strlen(path) == path_size);
        }
        free(path);
        unsigned bad;
        require(ceasei_deadline_of(&whole, text, &bad).ns >= 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    size_t step = data[0] % 32 + 1;
    char *text = malloc(size > 1 ? size - 1 : 1); /* exact, so that a byte too far is seen */
    require(text != NULL);
    memcpy(text, data + 1, size - 1);
    one(text, size - 1, step, true);
    one(text, size - 1, step, false);
    free(text);
    return 0;
}
