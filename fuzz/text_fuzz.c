/* text_fuzz.c: URLs, queries, percent-encoding, durations and deadline fields, as texts: what was read
 * must be written back the same, and lie inside. */
#include "http/deadline.h"
#include "http/url.h"

#include <cease/duration.h>
#include <cease/http.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void check_durations(const char *text, size_t size)
{
    char back[CEASE_DUR_SIZE];
    char grpc[CEASEI_DEADLINE_SIZE];
    cease_dur d;
    cease_dur again;
    if (cease_dur_parse(text, &d) == CEASE_OK && d.ns != INT64_MAX) {
        require(cease_dur_format(d, back, sizeof back) == CEASE_OK);
        require(cease_dur_parse(back, &again) == CEASE_OK && again.ns == d.ns);
        ceasei_deadline_grpc_format(d, grpc);
        require(ceasei_deadline_grpc(grpc, strlen(grpc), &again));
        require(again.ns >= d.ns);
    }
    if (ceasei_deadline_grpc(text, size, &d)) {
        require(d.ns >= 0 && size >= 2 && size <= 9);
    }
    if (ceasei_deadline_ms(text, size, &d)) {
        require(d.ns >= 0 && size <= 10);
    }
}

static void check_urls(const char *text, size_t size)
{
    struct ceasei_url u;
    if (ceasei_url_split(text, &u)) {
        require(u.authority + u.authority_size <= u.target);
        require(u.target + u.target_size <= text + size);
    }
    char value[32];
    size_t value_size = 0;
    if (ceasei_url_query_value(text, "q", value, sizeof value, &value_size) == CEASE_OK) {
        require(value_size < sizeof value && value[value_size] == '\0');
    }
    char *encoded = malloc(3 * size + 1);
    char *decoded = malloc(size + 1);
    require(encoded && decoded);
    require(cease_http_encode(text, encoded, 3 * size + 1) == CEASE_OK);
    int64_t n = ceasei_url_decode(encoded, strlen(encoded), true, decoded);
    require(n == (int64_t)size && memcmp(decoded, text, size) == 0);
    n = ceasei_url_decode(text, size, true, decoded);
    require(n <= (int64_t)size);
    free(encoded);
    free(decoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    require(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    size_t length = strlen(text);
    check_durations(text, length);
    check_urls(text, length);
    free(text);
    return 0;
}
