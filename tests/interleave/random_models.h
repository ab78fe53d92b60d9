/* SPDX-License-Identifier: MIT
 *
 * random_models.h: for main.c; see random_models.c.
 */
#ifndef EXPLORE_RANDOM_MODELS_H
#define EXPLORE_RANDOM_MODELS_H

#include "explore.h"

enum { RANDOM_OUTCOMES_MAX = 20000 };

struct random_outcomes {
    unsigned count;
    uint64_t of[RANDOM_OUTCOMES_MAX];
};

/* The program of this seed, whose outcomes go to *into, which is emptied. */
const struct explore_model *random_model(uint64_t seed, struct random_outcomes *into);
bool random_outcomes_equal(const struct random_outcomes *a, const struct random_outcomes *b);

#endif
