#include "harness.h"

/* [example] */
#include <cease/context.h>
#include <stdint.h>

/* Sums as many numbers as 80 ms allow, or fewer when the request ends before. */
static cease_error sum(cease_ctx *request, const uint32_t *numbers, size_t count, uint64_t *ret)
{
    CEASE_AUTO_END cease_canceler *stop = NULL; /* ended when this function returns */
    cease_ctx *ctx = cease_with_timeout(request, cease_ms(80), &stop);
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        if (i % 1024 == 0 && cease_err(ctx) != CEASE_OK)
            return cease_err(ctx); /* CEASE_ECANCELED or CEASE_EDEADLINE */
        total += numbers[i];
    }
    *ret = total;
    return CEASE_OK;
}
/* [end] */

TEST(example_with_timeout)
{
    static const uint32_t numbers[3] = {1, 2, 3};
    uint64_t total = 0;
    CHECK_OK(sum(cease_background(), numbers, 3, &total));
    CHECK_EQ(total, 6);
    cease_canceler *stop;
    cease_ctx *over = cease_with_timeout(cease_background(), cease_ms(0), &stop);
    CHECK_ERR(sum(over, numbers, 3, &total), CEASE_EDEADLINE);
    cease_end(stop);
}
