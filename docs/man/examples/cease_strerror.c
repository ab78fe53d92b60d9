#include "harness.h"

#include <string.h>

/* [example] */
#include <cease/error.h>
#include <stdio.h>

/* "CEASE_EDEADLINE: context deadline exceeded" */
static int describe_error(cease_error e, char *ret_text, size_t size)
{
    return snprintf(ret_text, size, "%s: %s", cease_error_name(e), cease_strerror(e));
}
/* [end] */

TEST(example_strerror)
{
    char text[80];
    CHECK(describe_error(CEASE_EDEADLINE, text, sizeof text) > 0);
    CHECK_STR(text, "CEASE_EDEADLINE: context deadline exceeded");
    CHECK(describe_error((cease_error)-EXDEV, text, sizeof text) > 0);
    CHECK(strncmp(text, "EXDEV: ", 7) == 0);
}
