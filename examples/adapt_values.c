/* SPDX-License-Identifier: MIT
 *
 * Values of another framework (the article's adapter for Gorilla): a framework keeps what it knows of
 * a request in a table of its own, here a GHashTable from names to strings. A context with the table
 * as its source answers for it: code that knows only contexts finds those values by its keys, and
 * they shadow what is above like any other value.
 */
#include <cease/context.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>

/* The keys are of the module that uses the values; the table knows them by their names. */
static cease_key user_key = CEASE_KEY("user");
static cease_key trace_key = CEASE_KEY("trace");
static cease_key region_key = CEASE_KEY("region");

/* Asked before the parent. True: the table has an entry, also when its value is NULL. */
static bool table_value(void *self, cease_key *key, void **ret_value)
{
    return g_hash_table_lookup_extended(self, key->name, NULL, ret_value);
}

static void table_release(void *self)
{
    g_hash_table_unref(self);
}

static const cease_source table_source = {
    .size = sizeof table_source,
    .value = table_value,
    .release = table_release,
};

/* A context with the values of `table`; holds a reference to the table. The table is not written any
 * more from now on: contexts are read by many threads. */
static cease_ctx *with_table(cease_ctx *parent, GHashTable *table)
{
    return cease_with_source(parent, &table_source, g_hash_table_ref(table));
}

static const char *text(const cease_ctx *ctx, cease_key *key)
{
    const char *value = cease_value(ctx, key);
    return value != NULL ? value : "(none)";
}

int main(void)
{
    /* What the framework does for each request. */
    GHashTable *table = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
    g_hash_table_insert(table, (void *)"user", g_strdup("ann"));
    g_hash_table_insert(table, (void *)"region", NULL);

    CEASE_AUTO_UNREF cease_ctx *server = cease_with_value(cease_background(), &trace_key, "t-1");
    CEASE_AUTO_UNREF cease_ctx *above = cease_with_value(server, &region_key, "north");
    cease_ctx *request = with_table(above, table);
    g_hash_table_unref(table); /* the context has its own reference */

    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *work = cease_with_timeout(request, cease_sec(1), &stop);
    cease_unref(request); /* the child keeps it */

    g_print("user %s, trace %s, region %s\n", text(work, &user_key), text(work, &trace_key),
            text(work, &region_key));
    bool right = strcmp(text(work, &user_key), "ann") == 0 &&    /* the table's */
                 strcmp(text(work, &trace_key), "t-1") == 0 &&   /* from above it */
                 strcmp(text(work, &region_key), "(none)") == 0; /* hidden by the table's NULL */
    return right ? EXIT_SUCCESS : EXIT_FAILURE;
}
