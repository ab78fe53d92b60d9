/* chunk_fuzz.c: chunked bodies. The first byte says how the rest is cut: the body that comes out and
 * where it ends must not depend on it. */
#include "http/parse.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

struct result {
    enum ceasei_http_chunk end;
    size_t used, size;
    char *body;
};

static struct result decode(const char *text, size_t size, size_t step)
{
    struct ceasei_http_chunks c = {0};
    struct result r = {.end = CEASEI_HTTP_CHUNK_MORE, .body = malloc(size + 1)};
    require(r.body != NULL);
    while (r.used < size && r.end != CEASEI_HTTP_CHUNK_END && r.end != CEASEI_HTTP_CHUNK_BAD) {
        size_t piece = size - r.used < step ? size - r.used : step;
        size_t used = 0;
        size_t span = 0;
        r.end = ceasei_http_chunks_next(&c, text + r.used, piece, &used, &span);
        require(used + span <= piece && used + span > 0);
        require((span > 0) == (r.end == CEASEI_HTTP_CHUNK_DATA));
        memcpy(r.body + r.size, text + r.used + used, span);
        r.size += span;
        r.used += used + span;
    }
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    char *text = malloc(size - 1);
    require(text != NULL);
    memcpy(text, data + 1, size - 1);
    struct result whole = decode(text, size - 1, size);
    struct result cut = decode(text, size - 1, data[0] % 16 + 1);
    bool over = whole.end == CEASEI_HTTP_CHUNK_END || whole.end == CEASEI_HTTP_CHUNK_BAD;
    require(!over || (whole.end == cut.end && whole.used == cut.used));
    require(whole.size == cut.size && memcmp(whole.body, cut.body, cut.size) == 0);
    free(whole.body);
    free(cut.body);
    free(text);
    return 0;
}
