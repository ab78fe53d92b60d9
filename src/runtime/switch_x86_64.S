/* SPDX-License-Identifier: MIT
 *
 * switch_x86_64.S: the first instruction of a new stack. The switch itself is in switch_x86_64.h. The entry
 * is in rbp. The undefined return address ends a backtrace.
 */
    .text
    .globl ceasei_switch_start
    .hidden ceasei_switch_start
    .type ceasei_switch_start, @function
    .p2align 4
ceasei_switch_start:
    .cfi_startproc
    .cfi_undefined rip
    movq %rbp, %rax
    xorl %ebp, %ebp
    callq *%rax
    ud2
    .cfi_endproc
    .size ceasei_switch_start, .-ceasei_switch_start

    .section .note.GNU-stack, "", @progbits
