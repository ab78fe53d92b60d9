/* SPDX-License-Identifier: MIT
 *
 * report.c: a failed execution, as steps to read and as a string that repeats it.
 *
 * The string is the list of who took each step: "0*5,1*3,f0,1" is five steps of thread 0, three of
 * thread 1, one entry out of thread 0's store buffer, one step of thread 1.
 *
 * A message says places in the code as addresses. What it says must follow from the steps alone, since
 * a failure is told by it from another one; names come from another program, which can fail to answer
 * (a signal that cut its answer short made repeated failures look different). So they are put in when
 * the message is shown.
 */
#include "engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char __executable_start;

const char *explore_file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* How a place in the code stands in a message, until somebody is to read it. */
#define PC "pc 0x"

/* One line of the output of addr2line for the call before `pc`. Empty: none is installed. */
static void ask_addr2line(unsigned long pc, char *ret, size_t size)
{
    char exe[256], command[400];
    ssize_t length = readlink("/proc/self/exe", exe, sizeof exe - 1);
    ret[0] = '\0';
    if (length <= 0)
        return;
    exe[length] = '\0';
    snprintf(command, sizeof command, "addr2line -e '%s' -s -f -p 0x%lx 2>/dev/null", exe, pc - 1);
    FILE *pipe = popen(command, "r");
    if (!pipe)
        return;
    if (fgets(ret, (int)size, pipe))
        ret[strcspn(ret, "\n")] = '\0';
    pclose(pipe);
}

const char *report_place(const void *where, bool where_is_site)
{
    static char text[2][200];
    static int turn;
    char *ret = text[turn ^= 1];
    const struct explore_site *site = where;
    if (where_is_site)
        snprintf(ret, sizeof text[0], "%s:%d (%s: %s)", explore_file_name(site->file), site->line,
                 site->function, site->text);
    else
        snprintf(ret, sizeof text[0], PC "%lx",
                 (unsigned long)((const char *)where - &__executable_start));
    return ret;
}

void report_named(const char *message, char *ret, size_t size)
{
    size_t used = 0;
    while (*message && used + 1 < size) {
        char name[200] = "", *end = NULL;
        if (strncmp(message, PC, strlen(PC)) == 0)
            ask_addr2line(strtoul(message + strlen(PC), &end, 16), name, sizeof name);
        if (name[0]) {
            used += (size_t)snprintf(ret + used, size - used, "%s", name);
            message = end;
        } else {
            ret[used++] = *message++;
        }
    }
    ret[used < size ? used : size - 1] = '\0';
}

static const char *op_text(const struct op *op, char *ret, size_t size)
{
    static const char *const names[] = {
        [OP_START] = "start", [OP_LOAD] = "load", [OP_STORE] = "store",   [OP_BUFFER] = "buffer",
        [OP_FLUSH] = "flush", [OP_RMW] = "rmw",   [OP_CAS] = "cas",       [OP_FENCE] = "fence",
        [OP_RELAX] = "relax", [OP_LOCK] = "lock", [OP_UNLOCK] = "unlock", [OP_WAIT] = "wait",
        [OP_SLEEP] = "woken", [OP_WAKE] = "wake", [OP_DRAIN] = "drain",   [OP_NOTE] = "note"};
    static const char *const rmw[] = {"swap", "add", "sub", "or", "and"};
    unsigned long long result = op->result, operand = op->operand;
    switch (op->kind) {
    case OP_LOAD:
    case OP_WAIT:
        snprintf(ret, size, "%s = 0x%llx", names[op->kind], result);
        break;
    case OP_STORE:
    case OP_BUFFER:
    case OP_FLUSH:
        snprintf(ret, size, "%s 0x%llx", names[op->kind], operand);
        break;
    case OP_RMW:
        snprintf(ret, size, "%s 0x%llx, was 0x%llx", rmw[op->rmw], operand, result);
        break;
    case OP_CAS:
        snprintf(ret, size, "cas 0x%llx -> 0x%llx, %s 0x%llx", (unsigned long long)op->expected,
                 operand, op->writes ? "was" : "failed:", result);
        break;
    default:
        snprintf(ret, size, "%s", names[op->kind]);
    }
    return ret;
}

void report_trace(void)
{
    for (int d = 0; d < E->depth; d++) {
        const struct node *node = &E->nodes[d];
        const struct explore_site *site = node->op.site;
        char text[120], who[16];
        snprintf(who, sizeof who, "%s%d", node->actor >= EXPLORE_THREADS ? "buffer " : "thread ",
                 node->actor % EXPLORE_THREADS);
        printf("  %3d  %-9s %-44s", d, who, op_text(&node->op, text, sizeof text));
        if (site)
            printf(" %s:%d %s: %s", explore_file_name(site->file), site->line, site->function,
                   site->text);
        printf("\n");
    }
}

void report_replay(char *ret, size_t size)
{
    size_t used = 0;
    ret[0] = '\0';
    for (int d = 0; d < E->depth && used < size;) {
        int actor = E->nodes[d].actor, count = 0;
        for (; d < E->depth && E->nodes[d].actor == actor; d++)
            count++;
        used += (size_t)snprintf(ret + used, size - used, "%s%s%d", used ? "," : "",
                                 actor >= EXPLORE_THREADS ? "f" : "", actor % EXPLORE_THREADS);
        if (count > 1 && used < size)
            used += (size_t)snprintf(ret + used, size - used, "*%d", count);
    }
}

int report_parse(const char *replay, struct node *nodes, int max)
{
    int depth = 0;
    while (*replay && depth < max) {
        int actor = 0;
        if (*replay == 'f') {
            actor = EXPLORE_THREADS;
            replay++;
        }
        char *end;
        actor += (int)strtol(replay, &end, 10) % EXPLORE_THREADS;
        long count = 1;
        if (*end == '*')
            count = strtol(end + 1, &end, 10);
        while (count-- > 0 && depth < max)
            nodes[depth++] = (struct node){.actor = actor};
        replay = *end == ',' ? end + 1 : end;
        if (end == replay && *end != '\0')
            break;
    }
    return depth;
}
