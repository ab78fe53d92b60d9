/* SPDX-License-Identifier: MIT
 *
 * Go's ExampleWithValue: what belongs to a request travels with it, under a key that only its owner
 * knows.
 */
#include <cease/cease.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cease_key language = CEASE_KEY("language");
static cease_key colour = CEASE_KEY("colour");

static bool look_up(const cease_ctx *ctx, cease_key *key)
{
    const char *value = cease_value(ctx, key);
    printf("%s: %s\n", key->name, value ? value : "not found");
    return value != NULL;
}

int main(void)
{
    char value[] = "C";
    CEASE_AUTO_UNREF cease_ctx *ctx = cease_with_value(cease_background(), &language, value);
    return look_up(ctx, &language) && !look_up(ctx, &colour) ? EXIT_SUCCESS : EXIT_FAILURE;
}
