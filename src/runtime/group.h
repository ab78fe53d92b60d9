/* SPDX-License-Identifier: MIT
 *
 * group.h: what a worker keeps for its groups. See group.c.
 */
#ifndef CEASE_RUNTIME_GROUP_H
#define CEASE_RUNTIME_GROUP_H

struct ceasei_worker;

/* Frees the memory that w keeps for groups to come. On its thread, at its end. */
void ceasei_groups_trim(struct ceasei_worker *w);

#endif
