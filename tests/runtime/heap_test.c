/* SPDX-License-Identifier: MIT
 *
 * heap_test.c: the sleepers' heap against a plain array: random adds, removals of any node and of the
 * earliest, equal times, and a long ascending run, which must not recurse.
 */
#include "runtime/heap.h"

#include "harness.h"

#include <stdint.h>
#include <stdlib.h>

enum { NODES = 500 };

static struct ceasei_heap_node nodes[NODES];
static bool is_in[NODES];

static int64_t earliest(void)
{
    int64_t at = INT64_MAX;
    for (int i = 0; i < NODES; i++) {
        if (is_in[i] && nodes[i].at.ns < at) {
            at = nodes[i].at.ns;
        }
    }
    return at;
}

TEST(heap_agrees_with_an_array_on_random_scripts)
{
    struct ceasei_heap h = {0};
    unsigned seed = 1;
    for (int step = 0; step < 100000; step++) {
        int i = rand_r(&seed) % NODES;
        if (is_in[i]) {
            ceasei_heap_remove(&h, &nodes[i]);
        } else {
            nodes[i].at.ns = rand_r(&seed) % 300;
            ceasei_heap_add(&h, &nodes[i]);
        }
        is_in[i] = !is_in[i];
        CHECK_EQ(ceasei_heap_next(&h).ns, earliest());
        if (step % 3 == 0 && h.root) {
            is_in[h.root - nodes] = false;
            ceasei_heap_remove(&h, h.root);
        }
    }
}

TEST(heap_gives_what_it_got_in_order)
{
    static struct ceasei_heap_node many[200000];
    struct ceasei_heap h = {0};
    unsigned seed = 7;
    for (int i = 0; i < 200000; i++) {
        many[i].at.ns = i % 2 ? i : rand_r(&seed);
        ceasei_heap_add(&h, &many[i]);
    }
    int64_t last = 0;
    for (int i = 0; i < 200000; i++) {
        CHECK(h.root != NULL && h.root->at.ns >= last);
        last = h.root->at.ns;
        ceasei_heap_remove(&h, h.root);
    }
    CHECK(h.root == NULL);
    CHECK_EQ(ceasei_heap_next(&h).ns, INT64_MAX);
}
