/* SPDX-License-Identifier: MIT
 *
 * switch_aarch64.S: see switch.h. AAPCS64: x19-x28, the frame pointer, d8-d15 and fpcr are the
 * callee's to keep. A saved stack, from its stack pointer upwards:
 *
 *     0 x29 x30   16 x19 x20   32 x21 x22   48 x23 x24   64 x25 x26   80 x27 x28
 *     96 d8 d9   112 d10 d11   128 d12 d13   144 d14 d15   160 fpcr
 */
    .text
    .globl ceasei_switch
    .hidden ceasei_switch
    .type ceasei_switch, %function
    .p2align 4
ceasei_switch:
    .cfi_startproc
    stp x29, x30, [sp, #-176]!
    .cfi_def_cfa_offset 176
    .cfi_offset x29, -176
    .cfi_offset x30, -168
    stp x19, x20, [sp, #16]
    stp x21, x22, [sp, #32]
    stp x23, x24, [sp, #48]
    stp x25, x26, [sp, #64]
    stp x27, x28, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mrs x2, fpcr
    str x2, [sp, #160]
    .cfi_offset x19, -160
    .cfi_offset x20, -152
    .cfi_offset x21, -144
    .cfi_offset x22, -136
    .cfi_offset x23, -128
    .cfi_offset x24, -120
    .cfi_offset x25, -112
    .cfi_offset x26, -104
    .cfi_offset x27, -96
    .cfi_offset x28, -88
    mov x3, sp
    str x3, [x0]
    mov sp, x1
    ldr x3, [sp, #160]
    cmp x2, x3
    b.eq 1f
    msr fpcr, x3
1:  ldp x19, x20, [sp, #16]
    ldp x21, x22, [sp, #32]
    ldp x23, x24, [sp, #48]
    ldp x25, x26, [sp, #64]
    ldp x27, x28, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    ldp x29, x30, [sp], #176
    .cfi_def_cfa_offset 0
    .cfi_restore x29
    .cfi_restore x30
    ret
    .cfi_endproc
    .size ceasei_switch, .-ceasei_switch

/* The first instruction of a new stack: entry is in x19. The undefined return address ends a
 * backtrace. Why it jumps is said in switch_x86_64.S. */
    .globl ceasei_switch_start
    .hidden ceasei_switch_start
    .type ceasei_switch_start, %function
    .p2align 4
ceasei_switch_start:
    .cfi_startproc
    .cfi_undefined x30
    mov x29, xzr
    adr x30, 1f
    mov x16, x19
    br x16
1:  brk #1
    .cfi_endproc
    .size ceasei_switch_start, .-ceasei_switch_start

    .section .note.GNU-stack, "", %progbits
