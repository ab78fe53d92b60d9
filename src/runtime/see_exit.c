/* SPDX-License-Identifier: MIT
 *
 * see_exit.c: under CEASE_DEBUG, the tasks that still live when the process ends, by the place that
 * started them. (The core does the same for contexts.)
 *
 * A task that computes on may end meanwhile: what is read is atomic, and static behind that. Nothing is
 * allocated: more than PLACES_MAX places become one line.
 */
#include "base/atomic.h"
#include "runtime/runtime.h"
#include "runtime/see.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PLACES_MAX = 64, CHUNK = 256 };

struct tally {
    const cease_place *place;
    size_t count;
};

bool ceasei_rt_debug;

__attribute__((constructor)) static void init(void)
{
    const char *wanted = secure_getenv("CEASE_DEBUG"); /* as the core reads it */
    ceasei_rt_debug = wanted && *wanted != '\0' && strcmp(wanted, "0") != 0;
}

static size_t count_up(struct tally *places, size_t *ret_others)
{
    struct ceasei_task *tasks[CHUNK];
    struct ceasei_stack_walk walk = {0};
    size_t used = 0, n;
    *ret_others = 0;
    while ((n = ceasei_stack_walk(&walk, tasks, CHUNK)) > 0) {
        for (size_t i = 0; i < n; i++) {
            const cease_place *place = ceasei_load(&tasks[i]->place, RELAXED);
            size_t at = 0;
            while (at < used && places[at].place != place) {
                at++;
            }
            if (at == PLACES_MAX) {
                (*ret_others)++;
                continue;
            }
            used = at == used ? used + 1 : used;
            places[at].place = place;
            places[at].count++;
        }
    }
    return used;
}

static void tell(const cease_place *place, const char *text)
{
    if (ceasei_runtime_report(&(cease_report){CEASE_REPORT_LEAK, text, place, 0})) {
        return;
    }
    if (place) {
        dprintf(STDERR_FILENO, "cease: %s:%d: %s: %s\n", place->file, place->line, place->function,
                text);
    } else {
        dprintf(STDERR_FILENO, "cease: %s\n", text);
    }
}

void ceasei_see_exit(void)
{
    struct tally places[PLACES_MAX] = {{0}};
    char text[128];
    size_t others;
    if (!ceasei_rt_debug) {
        return;
    }
    size_t used = count_up(places, &others);
    for (size_t i = 0; i < used; i++) {
        snprintf(text, sizeof text, "%zu task%s started here and never ended", places[i].count,
                 places[i].count == 1 ? " was" : "s were");
        tell(places[i].place, text);
    }
    if (others > 0) {
        snprintf(text, sizeof text, "%zu more tasks, started in other places", others);
        tell(NULL, text);
    }
}
