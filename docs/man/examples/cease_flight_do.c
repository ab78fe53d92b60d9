#include "harness.h"

/* [example] */
#include <cease/flight.h>
#include <cease/task.h>
#include <stdio.h>
#include <stdlib.h>

/* Runs once for all who ask for the same name at the same time, under a context that ends when the
 * last of them has given up. */
static cease_error load_user(cease_ctx *ctx, const char *name, void *self, void **ret_value)
{
    const char *database = self;
    cease_error err = cease_sleep(ctx, cease_ms(1)); /* the query */
    if (err != CEASE_OK)
        return err;
    char *user = malloc(64);
    if (user == NULL)
        return CEASE_ENOMEM;
    snprintf(user, 64, "%s of %s", name, database);
    *ret_value = user;
    return CEASE_OK;
}

static cease_error greet(cease_ctx *ctx, cease_flights *users, const char *name)
{
    cease_flight *flight;
    cease_error err = cease_flight_do(ctx, users, name, &flight);
    if (err != CEASE_OK)
        return err;
    printf("hello, %s (asked for by %zu)\n", (const char *)cease_flight_value(flight),
           cease_flight_shared(flight));
    cease_flight_unref(flight); /* with the last share the value goes to free() */
    return CEASE_OK;
}

static cease_error greet_alice(cease_ctx *ctx, const char *database)
{
    cease_flights *users = cease_flights_new(load_user, free, (void *)(uintptr_t)database);
    cease_error err = greet(ctx, users, "alice");
    cease_flights_free(users);
    return err;
}
/* [end] */

TEST(example_flight_do)
{
    CHECK_OK(greet_alice(cease_background(), "here"));
}
