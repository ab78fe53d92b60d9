/* SPDX-License-Identifier: MIT
 *
 * switch_x86_64.S: the first instruction of a new stack. The switch itself is in switch_x86_64.h. The entry
 * is in rbp. The undefined return address ends a backtrace. It jumps, because nobody returns from there: after
 * a call the processor would predict each return of the stack that is switched to next by the one before.
 */
    .text
    .globl ceasei_switch_start
    .hidden ceasei_switch_start
    .type ceasei_switch_start, @function
    .p2align 4
ceasei_switch_start:
    .cfi_startproc
    .cfi_undefined rip
    leaq 1f(%rip), %rcx
    pushq %rcx
    movq %rbp, %rax
    xorl %ebp, %ebp
    jmpq *%rax
1:  ud2
    .cfi_endproc
    .size ceasei_switch_start, .-ceasei_switch_start

/* Returns 0, by a jump. */
    .globl ceasei_jump_back, ceasei_jump_back_void
    .hidden ceasei_jump_back, ceasei_jump_back_void
    .type ceasei_jump_back, @function
    .type ceasei_jump_back_void, @function
    .p2align 4
ceasei_jump_back:
ceasei_jump_back_void:
    .cfi_startproc
    xorl %eax, %eax
    popq %rcx
    .cfi_adjust_cfa_offset -8
    .cfi_register rip, rcx
    jmpq *%rcx
    .cfi_endproc
    .size ceasei_jump_back, .-ceasei_jump_back

    .section .note.GNU-stack, "", @progbits
