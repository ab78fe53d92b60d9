/* SPDX-License-Identifier: MIT
 *
 * main.c: runs the models, and shows that the explorer can fail.
 *
 * Each model is explored with sequentially consistent memory and with store buffers, in full when
 * that ends within the limit; where it does not, all orders with few preemptions and random ones
 * follow. Then the bugs: each seeded one (CEASE_SEED_BUG) must be found, and of the mutations of
 * the model's own sites — a read-modify-write torn in two, a lock not taken, an order made RELAXED
 * — at least as many as the model says. The long form tries every mutation and lists those that
 * nothing noticed: each is a stronger order than needed, a path that the model does not take, or a
 * gap.
 */
#include "engine.h"
#include "random_models.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const struct explore_model *models;
static int failed_count, passed_count;
static bool is_long, is_verbose;
static uint64_t limit_full = 3000, limit_bounded = 1000, limit_random = 1000, limit_bug = 3000;

void explore_register(struct explore_model *model)
{
    const struct explore_model **at = &models;
    while (*at)
        at = (const struct explore_model **)&(*at)->next;
    *at = model;
}

static void say(const struct explore_model *model, const char *how, const struct result *r,
                const char *verdict)
{
    printf("%-30s %-14s %8llu executions %9llu steps  %s\n", model->name, how,
           (unsigned long long)r->executions, (unsigned long long)r->steps, verdict);
    fflush(stdout);
}

static void show_failure(const struct explore_model *model, const struct options *o,
                         const struct result *r)
{
    char replay[2048], message[1024];
    report_replay(replay, sizeof replay);
    report_named(r->message, message, sizeof message);
    printf("  %s\n", message);
    report_trace();
    printf("  again: --model=%s%s --replay=%s", model->name, o->tso ? " --tso" : "", replay);
    if (o->bug)
        printf(" --bug=%d", o->bug);
    printf("\n");
}

static void count(bool ok)
{
    ok ? passed_count++ : failed_count++;
}

/* Explores, and compares with what must be found (`expected` NULL: nothing). True: as it should be,
 * and nothing found. */
static bool run(const struct explore_model *model, struct options o, const char *how,
                const char *expected, struct result *ret)
{
    engine_explore(model, &o, ret);
    bool right = expected ? ret->failed && strstr(ret->message, expected) : !ret->failed;
    char verdict[80];
    snprintf(verdict, sizeof verdict, "%s",
             ret->failed && right ? "found what it should"
             : ret->failed        ? "FAILED"
             : expected           ? "NOT FOUND"
             : ret->complete      ? "complete"
                                  : "bounded");
    say(model, how, ret, verdict);
    if (!right || (is_verbose && ret->failed))
        show_failure(model, &o, ret);
    return right && !ret->failed;
}

/* What was just found fails again, in the same way, when its steps are repeated. */
static bool repeats(const struct explore_model *model, struct options o, const struct result *found)
{
    char replay[2048];
    struct result again;
    report_replay(replay, sizeof replay);
    o.mode = MODE_REPLAY;
    o.replay = replay;
    engine_explore(model, &o, &again);
    return again.failed && strcmp(again.message, found->message) == 0;
}

static void run_memory_model(const struct explore_model *model, bool tso)
{
    const char *expected = tso ? model->tso_fails : model->sc_fails;
    struct result r;
    struct options o = {.mode = MODE_FULL, .tso = tso, .executions_max = limit_full};
    bool quiet = run(model, o, tso ? "full tso" : "full sc", expected, &r);
    bool ok = quiet || (expected && r.failed);
    if (ok && expected && !repeats(model, o, &r)) {
        printf("%-30s NOT REPEATED: %s\n", model->name, r.message);
        ok = false;
    }
    if (quiet && !expected && !r.complete) {
        o.mode = MODE_BOUNDED;
        o.preemptions_max = is_long ? 3 : 2;
        o.executions_max = limit_bounded;
        ok = run(model, o, tso ? "bounded tso" : "bounded sc", NULL, &r);
        o.mode = MODE_RANDOM;
        o.seed = 1;
        o.executions_max = limit_random;
        ok = ok && run(model, o, tso ? "random tso" : "random sc", NULL, &r);
    }
    count(ok && (!expected || r.failed));
}

/* Full search with a limit, then random orders: enough to find a bug on purpose. */
static bool finds(const struct explore_model *model, struct options o, struct result *ret)
{
    o.mode = MODE_FULL;
    o.executions_max = limit_bug;
    engine_explore(model, &o, ret);
    if (ret->failed || ret->complete)
        return ret->failed;
    uint64_t before = ret->executions;
    o.mode = MODE_RANDOM;
    o.seed = 7;
    engine_explore(model, &o, ret);
    ret->executions += before;
    return ret->failed;
}

static void run_seeds(const struct explore_model *model)
{
    for (const struct explore_seed *seed = model->seeds; seed->number; seed++) {
        struct options o = {.bug = (int)seed->number, .tso = seed->tso};
        struct result r;
        bool found = finds(model, o, &r);
        bool repeated = found && repeats(model, o, &r);
        char verdict[160];
        snprintf(verdict, sizeof verdict, "%s: %s",
                 repeated ? "found"
                 : found  ? "NOT REPEATED"
                          : "NOT FOUND",
                 seed->what);
        say(model, "seeded bug", &r, verdict);
        if (found && is_verbose)
            show_failure(model, &o, &r);
        count(repeated);
    }
}

static const char *const mutation_names[] = {"", "torn", "lock not taken", "relaxed"};

static bool try_mutation(const struct explore_model *model, const struct explore_site *site,
                         enum mutation how)
{
    struct result r = {0};
    struct options o = {.mutation = how, .mutated = site};
    bool found = finds(model, o, &r);
    if (!found) {
        o.tso = true;
        found = finds(model, o, &r);
    }
    if (is_verbose)
        printf("    %-14s %-14s %s:%d %s: %s%s%s\n", found ? "found" : "unnoticed",
               mutation_names[how], explore_file_name(site->file), site->line, site->function,
               site->text, found ? " — " : "", found ? r.message : "");
    return found;
}

/* The mutations of all models, and whether any model has noticed them. */
static struct mutant {
    const struct explore_site *site;
    enum mutation how;
    bool found;
} mutants[4 * SITES_MAX];
static int mutant_count;

static struct mutant *mutant_of(const struct explore_site *site, enum mutation how)
{
    for (int i = 0; i < mutant_count; i++)
        if (mutants[i].site == site && mutants[i].how == how)
            return &mutants[i];
    if (mutant_count == 4 * SITES_MAX)
        return NULL;
    mutants[mutant_count] = (struct mutant){site, how, false};
    return &mutants[mutant_count++];
}

/* E->sites as the full exploration left them. What a model must find it must find itself; beyond
 * that the long form tries only what no model has noticed so far. */
static void run_mutations(const struct explore_model *model)
{
    if (model->mutants_found_min == 0 && !is_long)
        return;
    int tried = 0, found = 0;
    for (int how = MUTATE_TEAR; how < MUTATIONS; how++)
        for (int i = 0; i < E->site_count; i++) {
            if (!(E->site_mutations[i] & 1u << how))
                continue;
            struct mutant *mutant = mutant_of(E->sites[i], (enum mutation)how);
            bool enough = found >= model->mutants_found_min;
            if (!mutant || (enough && (!is_long || mutant->found)))
                continue;
            tried++;
            bool noticed = try_mutation(model, E->sites[i], (enum mutation)how);
            found += noticed;
            mutant->found |= noticed;
        }
    bool ok = found >= model->mutants_found_min;
    printf("%-30s %-14s %d tried, %d found%s\n", model->name, "mutations", tried, found,
           ok ? "" : ": TOO FEW");
    count(ok);
}

static void list_unnoticed(void)
{
    int unnoticed = 0;
    for (int i = 0; i < mutant_count; i++) {
        const struct explore_site *site = mutants[i].site;
        if (mutants[i].found || strncmp(explore_file_name(site->file), "self_", 5) == 0)
            continue;
        printf("    unnoticed by every model: %-14s %s:%d %s: %s\n", mutation_names[mutants[i].how],
               explore_file_name(site->file), site->line, site->function, site->text);
        unnoticed++;
    }
    printf("%d mutations of %d unnoticed by every model\n", unnoticed, mutant_count);
}

static void run_model(const struct explore_model *model)
{
    E->site_count = 0;
    int failed_before = failed_count;
    run_memory_model(model, false);
    run_memory_model(model, true);
    if (failed_count > failed_before)
        return; /* the bugs on purpose say nothing about a model that has one of its own */
    run_seeds(model);
    if (!model->sc_fails && !model->tso_fails)
        run_mutations(model);
}

/* Full mode against trying everything: 1 when both have the same outcomes, 0 when not, -1 when one of
 * them did not end within the limit. */
static int compare_modes(uint64_t seed, bool tso, struct random_outcomes *sets, struct result *ret)
{
    struct options o = {.mode = MODE_FULL, .tso = tso, .executions_max = is_long ? 20000 : 3000};
    struct result full;
    engine_explore(random_model(seed, &sets[0]), &o, &full);
    o.mode = MODE_BOUNDED;
    o.preemptions_max = STEPS_MAX;
    struct result all;
    engine_explore(random_model(seed, &sets[1]), &o, &all);
    ret->executions += full.executions;
    ret->pruned += all.executions;
    ret->steps += full.steps;
    if (full.failed || all.failed)
        return 0;
    if (!full.complete || all.executions >= o.executions_max)
        return -1;
    return random_outcomes_equal(&sets[0], &sets[1]);
}

static void run_random_programs(void)
{
    struct random_outcomes *sets =
        mmap(NULL, 2 * sizeof *sets, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct result sum = {0};
    uint64_t seeds = is_long ? 300 : 60;
    int compared = 0, wrong = 0;
    for (uint64_t seed = 1; seed <= seeds; seed++)
        for (int tso = 0; tso < 2; tso++) {
            int verdict = compare_modes(seed, tso, sets, &sum);
            compared += verdict >= 0;
            if (verdict == 0) {
                wrong++;
                printf("  seed %llu%s: %u outcomes in full mode, %u in all\n",
                       (unsigned long long)seed, tso ? " tso" : "", sets[0].count, sets[1].count);
            }
        }
    printf("%-30s %-14s %8llu executions against %llu: %d programs compared, %d differ\n",
           "self_random", "full = all", (unsigned long long)sum.executions,
           (unsigned long long)sum.pruned, compared, wrong);
    munmap(sets, 2 * sizeof *sets);
    count(wrong == 0 && compared > (int)seeds / 2);
}

struct arguments {
    const char *models[32];
    int model_count;
    const char *replay;
    const char *ignored_race;
    bool tso, list;
    int bug;
    uint64_t seed, runs;
};

static void usage(void)
{
    printf("usage: interleave [--list] [--long] [-v] [--model=GLOB]... [--limit=EXECUTIONS]\n"
           "                  [--tso] [--bug=N] [--replay=STEPS | --random=SEED --runs=N]\n"
           "                  [--ignore-race=FUNCTION]\n");
    exit(2);
}

static const char *value_of(const char *arg, const char *name)
{
    size_t length = strlen(name);
    return strncmp(arg, name, length) == 0 ? arg + length : NULL;
}

static void parse(int argc, char **argv, struct arguments *a)
{
    for (int i = 1; i < argc; i++) {
        const char *v;
        if ((v = value_of(argv[i], "--model=")) && a->model_count < 32)
            a->models[a->model_count++] = v;
        else if ((v = value_of(argv[i], "--replay=")))
            a->replay = v;
        else if ((v = value_of(argv[i], "--bug=")))
            a->bug = atoi(v);
        else if ((v = value_of(argv[i], "--random=")))
            a->seed = strtoull(v, NULL, 10);
        else if ((v = value_of(argv[i], "--runs=")))
            a->runs = strtoull(v, NULL, 10);
        else if ((v = value_of(argv[i], "--limit=")))
            limit_full = strtoull(v, NULL, 10);
        else if ((v = value_of(argv[i], "--ignore-race=")))
            a->ignored_race = v;
        else if (!strcmp(argv[i], "--tso"))
            a->tso = true;
        else if (!strcmp(argv[i], "--list"))
            a->list = true;
        else if (!strcmp(argv[i], "--long"))
            is_long = true;
        else if (!strcmp(argv[i], "-v"))
            is_verbose = true;
        else
            usage();
    }
}

static bool selected(const struct arguments *a, const char *name)
{
    for (int i = 0; i < a->model_count; i++)
        if (fnmatch(a->models[i], name, 0) == 0)
            return true;
    return a->model_count == 0;
}

/* One kind of run that was asked for, with its trace. */
static void run_asked(const struct explore_model *model, const struct arguments *a)
{
    struct options o = {.mode = a->replay ? MODE_REPLAY : MODE_RANDOM,
                        .tso = a->tso,
                        .bug = a->bug,
                        .replay = a->replay,
                        .seed = a->seed,
                        .executions_max = a->runs};
    struct result r;
    engine_explore(model, &o, &r);
    say(model, a->replay ? "replay" : "random", &r, r.failed ? "FAILED" : "nothing found");
    if (r.failed)
        show_failure(model, &o, &r);
    else if (a->replay)
        report_trace();
    count(!r.failed);
}

int main(int argc, char **argv)
{
    struct arguments a = {.runs = 10000};
    setvbuf(stdout, NULL, _IOLBF, 0);
    parse(argc, argv, &a);
    if (is_long) {
        limit_full = limit_full == 3000 ? 50000 : limit_full;
        limit_bounded = 10000;
        limit_random = 10000;
        limit_bug = 3000;
    }
    engine_init();
    E->ignored_race = a.ignored_race;
    for (const struct explore_model *m = models; m; m = m->next) {
        if (!selected(&a, m->name))
            continue;
        if (a.list)
            printf("%s\n", m->name);
        else if (a.replay || a.seed)
            run_asked(m, &a);
        else
            run_model(m);
    }
    if (selected(&a, "self_random") && !a.list && !a.replay && !a.seed)
        run_random_programs();
    if (is_long && !a.list && !a.replay && !a.seed)
        list_unnoticed();
    if (!a.list)
        printf("%d passed, %d failed, 0 skipped\n", passed_count, failed_count);
    return failed_count > 0;
}
