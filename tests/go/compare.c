/* SPDX-License-Identifier: MIT
 *
 * compare.c: random scripts of context operations, run by the library and by Go, compared line by
 * line; a script on which they differ is made as short as it can be and printed with both sides.
 *
 *     go_compare --go=PROGRAM [--count=N] [--seed=N] [--break=grace|cause|deadline] [--replay]
 *
 * PROGRAM is the test binary of peer_test.go; --replay takes one script from the standard input
 * instead of making some. tools/test-go builds and starts all this. `--break` makes a deliberate
 * mistake in our runner: then a difference must be found, and shrunk, or this program fails.
 *
 * A script is lines of a letter and numbers. D, P, O are slots of contexts (0: the background):
 *
 *     c D P           with_cancel            x D code       cancel, with cause `code` unless 0
 *     d D P at code   with_deadline(_cause)  h D            take another share
 *     t D P ns code   with_timeout(_cause)   e D            end a share
 *     g D P ns        with_grace             r D            drop the slot, shares and all
 *     m D P O         with_merge             f A P          after_func in slot A
 *     v D P key value with_value             z A            stop it, and say what that said
 *     s D P key value with_source            a 0 ns         let time pass
 *     w D P           without_cancel         l D, q         look at one, at all
 *     A               (first) look at all after every step
 *
 * Looks matter: a deadline that nobody could notice is not armed, so scripts with few looks go
 * other ways. Times are in ns since the start; time passes in whole microseconds and deadlines
 * lie in between, each in another place, because of two at the same instant Go says nothing.
 */
#include "script.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "go_compare: %s\n", what);
    exit(2);
}

/* ----- making scripts ----- */

static uint64_t seed_state;

static uint32_t draw(uint32_t below)
{
    seed_state += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */
    uint64_t z = seed_state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ (z >> 31)) >> 32) % below;
}

/* What the generator remembers, so that most steps do something. */
struct known {
    bool taken[SLOTS], shares[SLOTS];
};

static int draw_slot(const bool *wanted, bool value)
{
    for (int tries = 0; tries < 20; tries++) {
        int at = (int)draw(SLOTS - 1) + 1;
        if (wanted[at] == value)
            return at;
    }
    return (int)draw(SLOTS - 1) + 1;
}

static int draw_parent(const struct known *k)
{
    return draw(6) == 0 ? 0 : draw_slot(k->taken, true);
}

static int draw_code(void)
{
    return draw(2) == 0 ? 0 : (int)draw(CODES - 1) + 1;
}

/* Unique to the step, never a multiple of UNIT; now and then in the past. */
static int64_t draw_time(int step, int units)
{
    return ((int64_t)draw((uint32_t)units) - units / 8) * UNIT + step + 1;
}

static struct step draw_derivation(int step, struct known *k)
{
    static const char ops[] = "ccccddtttgmmvvvsw";
    struct step s = {.op = ops[draw(sizeof ops - 1)]};
    s.n[0] = draw_slot(k->taken, false);
    s.n[1] = draw_parent(k);
    if (s.op == 'd' || s.op == 't' || s.op == 'g')
        s.n[2] = draw(20) == 0 && s.op != 'd' ? 0 : draw_time(step, 40);
    else if (s.op == 'm')
        s.n[2] = draw_parent(k);
    else if (s.op == 'v' || s.op == 's')
        s.n[2] = draw(KEYS);
    if (s.op == 'd' || s.op == 't')
        s.n[3] = draw_code();
    else if (s.op == 'v' || s.op == 's')
        s.n[3] = draw(8);
    k->taken[s.n[0]] = true;
    k->shares[s.n[0]] = strchr("cdtgm", s.op) != NULL;
    return s;
}

static struct step draw_step(int step, struct known *k)
{
    uint32_t r = draw(100);
    if (r < 45)
        return draw_derivation(step, k);
    if (r < 58)
        return (struct step){'x', {draw_slot(k->shares, true), draw_code()}};
    if (r < 62)
        return (struct step){'h', {draw_slot(k->shares, true)}};
    if (r < 67)
        return (struct step){'e', {draw_slot(k->shares, true)}};
    if (r < 73) {
        int at = draw_slot(k->taken, true);
        k->taken[at] = k->shares[at] = false;
        return (struct step){'r', {at}};
    }
    if (r < 81)
        return (struct step){'f', {draw(AFTERS), draw_parent(k)}};
    if (r < 85)
        return (struct step){'z', {draw(AFTERS)}};
    if (r < 92)
        return (struct step){'a', {0, (int64_t)draw(20) * UNIT}};
    if (r < 98)
        return (struct step){'l', {draw_slot(k->taken, true)}};
    return (struct step){.op = 'q'};
}

static void make_script(struct script *script)
{
    struct known known = {.taken = {true}};
    script->count = 0;
    int count = 4 + (int)draw(STEPS_MAX - 6);
    if (draw(2) == 0)
        script->steps[script->count++] = (struct step){.op = 'A'};
    while (script->count < count) {
        script->steps[script->count] = draw_step(script->count, &known);
        script->count++;
    }
    script->steps[script->count++] = (struct step){.op = 'q'};
}

/* ----- scripts as text ----- */

static void print_step(FILE *out, const struct step *s)
{
    fprintf(out, "%c", s->op);
    const char *with_1 = "herlz", *with_2 = "cxwfa", *with_3 = "gm";
    int numbers = s->op == 'A' || s->op == 'q' ? 0
                  : strchr(with_1, s->op)      ? 1
                  : strchr(with_2, s->op)      ? 2
                  : strchr(with_3, s->op)      ? 3
                                               : 4;
    for (int i = 0; i < numbers; i++)
        fprintf(out, " %lld", (long long)s->n[i]);
    fputc('\n', out);
}

static bool in_range(const struct step *s)
{
    bool derives = strchr("cdtgmvsw", s->op) != NULL;
    if (s->op == 0 || strchr("cdtgmvswxherfzalqA", s->op) == NULL || s->n[0] < 0 ||
        s->n[0] >= SLOTS)
        return false;
    if ((derives || s->op == 'f') && (s->n[1] < 0 || s->n[1] >= SLOTS))
        return false;
    if (derives && s->n[0] == 0)
        return false;
    if (s->op == 'x' && (s->n[1] < 0 || s->n[1] >= CODES))
        return false;
    if (s->op == 'm' && (s->n[2] < 0 || s->n[2] >= SLOTS))
        return false;
    if ((s->op == 'v' || s->op == 's') && (s->n[2] < 0 || s->n[2] >= KEYS))
        return false;
    return (s->op != 'd' && s->op != 't') || (s->n[3] >= 0 && s->n[3] < CODES);
}

static void read_script(struct script *script)
{
    char line[128];
    while (fgets(line, sizeof line, stdin) != NULL && script->count < STEPS_MAX) {
        struct step s = {.op = 0};
        long long n[4] = {0};
        if (sscanf(line, " %c %lld %lld %lld %lld", &s.op, &n[0], &n[1], &n[2], &n[3]) < 1)
            continue;
        for (int i = 0; i < 4; i++)
            s.n[i] = n[i];
        if (!in_range(&s))
            die("a line of the script makes no sense");
        script->steps[script->count++] = s;
    }
}

/* ----- Go ----- */

static FILE *to_go, *from_go;
static pid_t go_pid;

static void start_go(const char *program)
{
    int in[2], out[2];
    if (pipe(in) != 0 || pipe(out) != 0)
        die("no pipe");
    signal(SIGPIPE, SIG_IGN);
    go_pid = fork();
    if (go_pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        close(out[0]);
        setenv("CEASE_GO_PEER", "1", 1);
        execl(program, program, "-test.run=^TestPeer$", "-test.timeout=0", (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    to_go = fdopen(in[1], "w");
    from_go = fdopen(out[0], "r");
    if (go_pid < 0 || to_go == NULL || from_go == NULL)
        die("cannot start Go's half");
}

static void run_in_go(const struct script *script, struct text *ret_out)
{
    static char *line;
    static size_t capacity;
    for (int i = 0; i < script->count; i++)
        print_step(to_go, &script->steps[i]);
    fputs("E\n", to_go);
    if (fflush(to_go) != 0)
        die("Go's half is gone");
    while (getline(&line, &capacity, from_go) > 0) {
        if (strcmp(line, "E\n") == 0)
            return;
        text_add(ret_out, "%s", line);
    }
    die("Go's half has ended in the middle of a script");
}

/* ----- comparing and shrinking ----- */

static enum mistake mistake;
static struct text ours, gos;

static bool differs(const struct script *script)
{
    ours.size = gos.size = 0;
    text_add(&ours, "%s", "");
    text_add(&gos, "%s", "");
    run_script(script, mistake, &ours);
    run_in_go(script, &gos);
    return ours.size != gos.size || memcmp(ours.data, gos.data, ours.size) != 0;
}

static bool try_without(struct script *script, int first, int count)
{
    struct script shorter = *script;
    memmove(&shorter.steps[first], &shorter.steps[first + count],
            sizeof shorter.steps[0] * (size_t)(shorter.count - first - count));
    shorter.count -= count;
    if (!differs(&shorter))
        return false;
    *script = shorter;
    return true;
}

/* A simpler step in the same place: a root for a parent, no cause, less time. */
static bool try_simpler(struct script *script, int at, int number)
{
    struct script simpler = *script;
    struct step *s = &simpler.steps[at];
    bool is_time = number == 2 && strchr("dtg", s->op) != NULL;
    bool is_place = number == 0 && s->op != 'a';
    if (s->n[number] == 0 || is_place || is_time || (s->op == 'a' && s->n[1] <= UNIT))
        return false;
    s->n[number] = s->op == 'a' ? s->n[1] / UNIT / 2 * UNIT : 0;
    if (!differs(&simpler))
        return false;
    *script = simpler;
    return true;
}

/* Derives from the parent's parent instead. */
static bool try_shortcut(struct script *script, int at)
{
    struct script simpler = *script;
    struct step *s = &simpler.steps[at];
    if (strchr("cdtgmvswf", s->op) == NULL || s->n[1] == 0)
        return false;
    for (int i = at - 1; i >= 0; i--) {
        const struct step *made = &simpler.steps[i];
        if (strchr("cdtgmvsw", made->op) == NULL || made->n[0] != s->n[1])
            continue;
        s->n[1] = made->n[1];
        if (!differs(&simpler))
            return false;
        *script = simpler;
        return true;
    }
    return false;
}

/* Until no part can be left out and no number made smaller. */
static void shrink(struct script *script)
{
    bool again = true;
    for (int round = 0; again && round < 20; round++) {
        again = false;
        for (int size = script->count / 2; size >= 1; size = size > 1 ? size / 2 : 0)
            for (int first = 0; first + size <= script->count;)
                if (try_without(script, first, size))
                    again = true;
                else
                    first++;
        for (int at = 0; at < script->count; at++)
            again = try_shortcut(script, at) || again;
        for (int at = 0; at < script->count; at++)
            for (int number = 0; number < 4; number++)
                while (try_simpler(script, at, number))
                    again = true;
    }
    (void)differs(script); /* the two texts are its own again */
}

static void print_difference(const struct script *script)
{
    char *a = ours.data, *b = gos.data;
    for (int i = 0; i <= script->count; i++) {
        size_t a_size = strcspn(a, "\n"), b_size = strcspn(b, "\n");
        bool same = a_size == b_size && memcmp(a, b, a_size) == 0;
        printf("    ");
        if (i < script->count)
            print_step(stdout, &script->steps[i]);
        else if (!same)
            printf("(the end)\n");
        else
            printf("\n");
        if (!same)
            printf("        cease: %.*s\n        Go:    %.*s\n", (int)a_size, a, (int)b_size, b);
        a += a_size + (a[a_size] != 0);
        b += b_size + (b[b_size] != 0);
    }
}

/* ----- main ----- */

struct options {
    const char *go;
    long count;
    uint64_t seed;
    bool replay;
};

static void parse(struct options *o, int argc, char **argv)
{
    static const char *names[] = {"none", "grace", "cause", "deadline"};
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--go=", 5) == 0)
            o->go = argv[i] + 5;
        else if (strncmp(argv[i], "--count=", 8) == 0)
            o->count = atol(argv[i] + 8);
        else if (strncmp(argv[i], "--seed=", 7) == 0)
            o->seed = strtoull(argv[i] + 7, NULL, 10);
        else if (strcmp(argv[i], "--replay") == 0)
            o->replay = true;
        else if (strncmp(argv[i], "--break=", 8) == 0)
            for (int n = 0; n < 4; n++)
                mistake = strcmp(argv[i] + 8, names[n]) == 0 ? (enum mistake)n : mistake;
        else
            die("usage: go_compare --go=PROGRAM [--count=N] [--seed=N] [--break=KIND] [--replay]");
    }
    if (o->go == NULL)
        die("--go=PROGRAM is missing");
}

/* The first script that differs, shrunk; the number of those that were run. */
static long find(const struct options *o, struct script *script, bool *ret_found)
{
    long steps = 0;
    *ret_found = false;
    for (long i = 0; i < o->count && !*ret_found; i++) {
        seed_state = o->seed + (uint64_t)i * UINT64_C(0x9e3779b97f4a7c15) * 77;
        make_script(script);
        steps += script->count;
        if ((*ret_found = differs(script))) {
            printf("script %ld of seed %llu differs; shrinking its %d steps\n", i,
                   (unsigned long long)o->seed, script->count);
            shrink(script);
        }
    }
    return steps;
}

int main(int argc, char **argv)
{
    struct options o = {.count = 2000, .seed = 1};
    struct script script = {.count = 0};
    bool found;
    long steps = 0;
    parse(&o, argc, argv);
    runner_start();
    start_go(o.go);
    if (o.replay) {
        read_script(&script);
        found = differs(&script);
        printf("%s", ours.data);
    } else {
        steps = find(&o, &script, &found);
    }
    if (found) {
        printf("cease and Go differ (--replay takes this script):\n");
        print_difference(&script);
    } else if (!o.replay) {
        printf("%ld scripts of %ld steps, seed %llu: no difference\n", o.count, steps,
               (unsigned long long)o.seed);
    }
    fclose(to_go);
    fclose(from_go);
    waitpid(go_pid, NULL, 0);
    if (mistake != MISTAKE_NONE)
        return found && script.count <= 8 ? 0 : 1; /* a mistake must be found, and made small */
    return found ? 1 : 0;
}
