/* SPDX-License-Identifier: MIT
 *
 * Out to break: lookups. Against a plain model, with more keys than one node of the table has, in every order of growth.
 */
#include "harness.h"

#include <cease/hooks.h>
#include <stdlib.h>

static cease_key user = CEASE_KEY("user"), trace = CEASE_KEY("trace"), other = CEASE_KEY("other");

/* [TestValues] */
TEST(value_distinctKeysShadowingAndNull_areFoundAsInGo)
{
    cease_ctx *a = cease_with_value(cease_background(), &user, "a");
    cease_ctx *b = cease_with_value(a, &trace, "b");
    cease_ctx *c = cease_with_value(b, &user, "c");
    cease_ctx *d = cease_with_value(c, &user, NULL);
    CHECK_STR(cease_value(a, &user), "a");
    CHECK(cease_value(a, &trace) == NULL);
    CHECK_STR(cease_value(b, &user), "a");
    CHECK_STR(cease_value(b, &trace), "b");
    CHECK_STR(cease_value(c, &user), "c");
    CHECK_STR(cease_value(c, &trace), "b");
    CHECK(cease_value(d, &user) == NULL);
    CHECK_STR(cease_value(d, &trace), "b");
    CHECK(cease_value(d, &other) == NULL);
    cease_unref(a);
    cease_unref(b);
    cease_unref(c);
    CHECK_STR(cease_value(d, &trace), "b");
    cease_unref(d);
    CHECK_EQ(cease_live_count(), 0);
}

static int destroyed[4];
static void destroy(void *value)
{
    destroyed[(intptr_t)value]++;
}

TEST(value_ownedByItsKey_isDestroyedWithTheLastReference)
{
    static cease_key owned = CEASE_KEY_OWNED("owned", destroy);
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_value(cease_background(), &owned, (void *)(intptr_t)1);
    cease_ctx *below = cease_with_cancel(ctx, &stop);
    cease_unref(ctx);
    CHECK_EQ(destroyed[1], 0);
    CHECK_PTR(cease_value(below, &owned), (void *)(intptr_t)1);
    cease_end(stop);
    CHECK_EQ(destroyed[1], 1);
    cease_unref(cease_with_value(cease_background(), &owned, NULL));
    CHECK_EQ(destroyed[0], 0);
}

/* A source has what its table has, and is asked before its parent. */
struct table {
    cease_key *key;
    void *value;
    int asked, released;
};

static bool table_value(void *self, cease_key *key, void **ret_value)
{
    struct table *table = self;
    table->asked++;
    if (table->key != key)
        return false;
    *ret_value = table->value;
    return true;
}

static void table_release(void *self)
{
    ((struct table *)self)->released++;
}

static const cease_source table_source = {sizeof table_source, table_value, table_release};

TEST(source_inTheMiddle_isAskedAfterWhatIsBelowAndBeforeWhatIsAbove)
{
    struct table table = {.key = &trace, .value = "source's"};
    struct table hiding = {.key = &user, .value = NULL};
    cease_canceler *stop;
    cease_ctx *above = cease_with_value(cease_background(), &user, "above");
    cease_ctx *above2 = cease_with_value(above, &trace, "above");
    cease_ctx *source = cease_with_source(above2, &table_source, &table);
    cease_ctx *below = cease_with_value(source, &other, "below");
    cease_ctx *ctx = cease_with_cancel(below, &stop);
    CHECK_STR(cease_value(ctx, &other), "below");
    CHECK_EQ(table.asked, 0);
    CHECK_STR(cease_value(ctx, &trace), "source's");
    CHECK_STR(cease_value(ctx, &user), "above");
    CHECK_EQ(table.asked, 2);
    CHECK(cease_value(source, &other) == NULL);
    cease_ctx *hidden = cease_with_source(ctx, &table_source, &hiding);
    CHECK(cease_value(hidden, &user) == NULL);
    CHECK_STR(cease_value(hidden, &other), "below");
    cease_unref(hidden);
    CHECK_EQ(hiding.released, 1);
    cease_unref(above);
    cease_unref(above2);
    cease_unref(source);
    cease_unref(below);
    CHECK_EQ(table.released, 0);
    cease_end(stop);
    CHECK_EQ(table.released, 1);
}

/* Random chains over many keys, compared with an array. The keys get their slots in random order, so tables grow by one
 * level, by several, and back into their first leaf. */
enum { KEYS = 5000, CHAIN = 60 };
static cease_key keys[KEYS];

TEST(value_randomChainsOverManyKeys_agreeWithAModel)
{
    static void *model[KEYS];
    unsigned seed = 12345;
    int rounds = harness_is_slow() ? 20 : 100;
    for (int i = 0; i < KEYS; i++)
        keys[i].name = "k";
    for (int round = 0; round < rounds; round++) {
        cease_ctx *chain[CHAIN + 1] = {cease_background()};
        for (int i = 0; i < KEYS; i++)
            model[i] = NULL;
        int spread = round < 10 ? 1 + round * 3 : round < 40 ? 300 : KEYS;
        for (int i = 1; i <= CHAIN; i++) {
            seed = seed * 1103515245 + 12345;
            int k = (int)((seed >> 8) % (unsigned)spread);
            model[k] = &model[(seed >> 4) % KEYS];
            chain[i] = cease_with_value(chain[i - 1], &keys[k], model[k]);
        }
        for (int k = 0; k < KEYS; k++)
            CHECK_PTR(cease_value(chain[CHAIN], &keys[k]), model[k]);
        for (int i = CHAIN; i >= 1; i--)
            cease_unref(chain[i]);
    }
    CHECK_EQ(cease_live_count(), 0);
}

static void park(void *value)
{
    (void)cease_wait(value);
}

TEST_ABORTS(value_destructorThatParks_abortsAndNamesTheKey, "parking_key")
{
    static cease_key parking = CEASE_KEY_OWNED("parking_key", park);
    cease_canceler *stop;
    cease_ctx *open = cease_with_cancel(cease_background(), &stop);
    cease_unref(cease_with_value(cease_background(), &parking, open));
}
