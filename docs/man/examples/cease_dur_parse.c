#include "harness.h"

/* [example] */
#include <cease/duration.h>
#include <stdio.h>

/* An option such as --grace=2s. */
static cease_error read_grace(const char *text, cease_dur *ret_grace)
{
    cease_error err = cease_dur_parse(text, ret_grace);
    return err == CEASE_OK && ret_grace->ns < 0 ? CEASE_ERANGE : err;
}

static void print_grace(cease_dur grace)
{
    char text[CEASE_DUR_SIZE];
    (void)cease_dur_format(grace, text, sizeof text); /* always fits */
    printf("waits for %s\n", text);
}
/* [end] */

TEST(example_dur_parse)
{
    cease_dur grace;
    CHECK_OK(read_grace("1m1.5s", &grace));
    CHECK_EQ(grace.ns, 61500000000);
    print_grace(grace);
    CHECK_ERR(read_grace("-1s", &grace), CEASE_ERANGE);
    CHECK_ERR(read_grace("soon", &grace), CEASE_EPARSE);
}
