#include "harness.h"

/* [example] */
#include <cease/block.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

/* On the heap, because the lookup may go on when nobody waits for it any more. */
struct lookup {
    char host[256];
    struct addrinfo *found;
    int failed;
};

static void look_up(void *arg)
{
    struct lookup *l = arg;
    l->failed =
        getaddrinfo(l->host, NULL, NULL, &l->found); /* can be neither parked nor interrupted */
}

static void lookup_free(void *arg)
{
    struct lookup *l = arg;
    if (!l->failed)
        freeaddrinfo(l->found);
    free(l);
}

static cease_error is_known(cease_ctx *ctx, const char *host, bool *ret_known)
{
    struct lookup *l = calloc(1, sizeof *l);
    if (l == NULL)
        return CEASE_ENOMEM;
    l->failed = EAI_AGAIN; /* until it has run */
    strncpy(l->host, host, sizeof l->host - 1);
    cease_error err = cease_block_leave(ctx, look_up, lookup_free, l);
    if (err != CEASE_OK)
        return err; /* and `l` is not ours: lookup_free has it, now or later */
    *ret_known = l->failed == 0;
    lookup_free(l);
    return CEASE_OK;
}
/* [end] */

TEST(example_block_leave)
{
    bool known = false;
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(cease_background(), &stop);
    CHECK_OK(is_known(ctx, "127.0.0.1", &known));
    CHECK(known);
    harness_mark(); /* libc keeps what it has read of resolv.conf */
    cease_cancel(stop);
    CHECK_ERR(is_known(ctx, "127.0.0.1", &known), CEASE_ECANCELED);
    cease_end(stop);
}
