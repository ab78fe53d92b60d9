/* SPDX-License-Identifier: MIT
 *
 * switch_prepare.c: the first frame of a new stack, as the assembler switches expect to find it.
 */
#include "runtime/switch.h"

#include <stdint.h>
#include <string.h>

/* In switch_<processor>.S: calls the function that is in the saved register FRAME_ENTRY. */
void ceasei_switch_start(void);

#if defined(__x86_64__)

enum { FRAME_RED_ZONE_WORDS = 16, FRAME_WORDS = 2 + FRAME_RED_ZONE_WORDS };
enum { FRAME_ENTRY = 0, FRAME_RETURN = 1, FRAME_CLEARED = 0 }; /* the rest is nobody's */

uint64_t ceasei_modes_take(void)
{
    uint32_t mxcsr;
    uint16_t word;
    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(mxcsr), "=m"(word));
    ceasei_modes_set(CEASEI_MODES_DEFAULT);
    return (uint64_t)word << 32 | mxcsr;
}

#elif defined(__aarch64__)

enum {
    FRAME_WORDS = 22,
    FRAME_ENTRY = 2,
    FRAME_RETURN = 1,
    FRAME_CLEARED = FRAME_WORDS
}; /* all modes 0 */

#endif

void *ceasei_switch_prepare(void *bottom, void *top, void (*entry)(void))
{
    (void)bottom;
    uint64_t *frame = (uint64_t *)top - FRAME_WORDS;
    memset(frame, 0, FRAME_CLEARED * sizeof *frame);
    frame[FRAME_ENTRY] = (uint64_t)(uintptr_t)entry;
    frame[FRAME_RETURN] = (uint64_t)(uintptr_t)ceasei_switch_start;
    return frame;
}
