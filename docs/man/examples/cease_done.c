#include "harness.h"

/* [example] */
#include <cease/context.h>
#include <stdint.h>

/* FNV-1a over a large block. The look costs two loads while the context is open, so a look for
 * every 4 KiB is not to be measured. */
static bool checksum(cease_ctx *ctx, const uint8_t *data, size_t size, uint64_t *ret_sum)
{
    uint64_t sum = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < size; i++) {
        if (i % 4096 == 0 && cease_done(ctx))
            return false;
        sum = (sum ^ data[i]) * UINT64_C(1099511628211);
    }
    *ret_sum = sum;
    return true;
}
/* [end] */

TEST(example_done)
{
    uint64_t sum = 0;
    CHECK(checksum(cease_background(), (const uint8_t *)"a", 1, &sum));
    CHECK_EQ(sum, UINT64_C(0xaf63dc4c8601ec8c));
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    cease_cancel(stop);
    CHECK(!checksum(ctx, (const uint8_t *)"a", 1, &sum));
    cease_end(stop);
}
