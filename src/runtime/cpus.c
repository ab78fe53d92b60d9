/* SPDX-License-Identifier: MIT
 *
 * cpus.c: how many cores there are for us: those of the affinity mask, and no more than the cgroup's
 * quota buys (version 2: cpu.max of our group and of each above it), rounded up.
 */
#include "runtime/runtime.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned cpus_by_affinity(void)
{
    for (size_t cpus = 1024; cpus <= 1024 * 1024; cpus *= 2) {
        cpu_set_t *set = CPU_ALLOC(cpus);
        size_t size = CPU_ALLOC_SIZE(cpus);
        int count = 0;
        if (set && sched_getaffinity(0, size, set) == 0) {
            count = CPU_COUNT_S(size, set);
        }
        CPU_FREE(set);
        if (count > 0) {
            return (unsigned)count;
        }
    }
    return 1;
}

/* Lowers *cpus to what the cpu.max of one group allows. */
static void apply_quota(const char *group, unsigned *cpus)
{
    char path[PATH_MAX + 32];
    unsigned long long quota, period;
    snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", group);
    FILE *f = fopen(path, "re");
    if (!f) {
        return;
    }
    if (fscanf(f, "%llu %llu", &quota, &period) == 2 && period > 0) { /* "max": no quota */
        unsigned long long whole = (quota + period - 1) / period;
        if (whole < *cpus) {
            *cpus = whole > 0 ? (unsigned)whole : 1;
        }
    }
    fclose(f);
}

unsigned ceasei_cpus_usable(void)
{
    unsigned cpus = cpus_by_affinity();
    char line[PATH_MAX];
    FILE *f = fopen("/proc/self/cgroup", "re");
    if (!f) {
        return cpus;
    }
    while (fgets(line, sizeof line, f)) {
        if (strncmp(line, "0::/", 4) != 0) {
            continue;
        }
        char *group = line + 3;
        group[strcspn(group, "\n")] = '\0';
        for (char *slash; (slash = strrchr(group, '/')); *slash = '\0') {
            apply_quota(group, &cpus);
        }
        apply_quota("", &cpus);
    }
    fclose(f);
    return cpus;
}
