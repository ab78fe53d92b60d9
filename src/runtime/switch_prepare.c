/* SPDX-License-Identifier: MIT
 *
 * switch_prepare.c: what of the assembler switches is seldom or not quick.
 */
#include "runtime/switch.h"

#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)

uint64_t ceasei_modes_take(void)
{
    uint32_t mxcsr;
    uint16_t word;
    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(mxcsr), "=m"(word));
    ceasei_modes_set(CEASEI_MODES_DEFAULT);
    return (uint64_t)word << 32 | mxcsr;
}

#elif defined(__aarch64__)

/* In switch_aarch64.S: calls the function that is in the saved register FRAME_ENTRY. */
void ceasei_switch_start(void);

enum { FRAME_WORDS = 22, FRAME_ENTRY = 2, FRAME_RETURN = 1 }; /* all modes 0 */

void *ceasei_switch_prepare(void *bottom, void *top, void (*entry)(void))
{
    (void)bottom;
    uint64_t *frame = (uint64_t *)top - FRAME_WORDS;
    memset(frame, 0, FRAME_WORDS * sizeof *frame);
    frame[FRAME_ENTRY] = (uint64_t)(uintptr_t)entry;
    frame[FRAME_RETURN] = (uint64_t)(uintptr_t)ceasei_switch_start;
    return frame;
}

#endif
