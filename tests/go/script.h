/* SPDX-License-Identifier: MIT
 *
 * script.h: what the two halves of our side of `make test-go` share: steps, and running them.
 */
#ifndef TESTS_GO_SCRIPT_H
#define TESTS_GO_SCRIPT_H

#include <stddef.h>
#include <stdint.h>

enum {
    SLOTS = 12, /* of contexts; 0 is the background                                    */
    AFTERS = 6,
    KEYS = 3,
    CODES = 100, /* of causes: 1 to 99; 0: none                                         */
    STEPS_MAX = 64,
    UNIT = 1000, /* the clock advances in these; deadlines lie strictly in between      */
};

struct step {
    char op;
    int64_t n[4];
};

struct script {
    int count;
    struct step steps[STEPS_MAX];
};

/* A deliberate mistake of the runner's, to see that it is found. */
enum mistake {
    MISTAKE_NONE,
    MISTAKE_GRACE,   /* a grace period feels its parent's end        */
    MISTAKE_CAUSE,   /* a child ended by its parent loses the cause  */
    MISTAKE_DEADLINE /* a timeout takes the later of two deadlines   */
};

/* A growing text. */
struct text {
    char *data;
    size_t size, capacity;
};
void text_add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Runs the script against the library. One line a step; what is left behind at the end, if
 * anything, on a line more. */
void run_script(const struct script *script, enum mistake mistake, struct text *ret_out);
void runner_start(void);

#endif
