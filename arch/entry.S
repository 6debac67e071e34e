/*
 * All ways between ring 3 and ring 0, and interrupts inside ring 0 (APM Vol. 2,
 * 8.9 and 6.1). The kernel never relies on GS, which may hold a guest's value,
 * but for the two instructions after SYSCALL: ring 3 runs with KERNEL_GS_BASE =
 * this CPU's struct cpu. Only SYSCALL, user_run() and cpu_enter() switch stacks.
 */
#include "arch/offsets.h"
#include "arch/vectors.h"

#define STACK_MASK -0x4000 /* KSTACK_SIZE */
#define FRAME_CS 19 * 8
#define GPR(n) CTX_GPR + 8 * n

	.text

/* ------------------------------------------------------------- vectors */

/* One 16-byte stub per vector: error code (or 0) and vector on the stack. */
	.balign 16
	.globl trap_stubs
trap_stubs:
	.set vec, 0
	.rept 256
	.balign 16
	.if vec != 8 && (vec < 10 || vec > 14) && vec != 17 && vec != 21 && vec != 29 && vec != 30
	pushq $0
	.endif
	pushq $vec
	.if vec == 2 || vec == 8 || vec == 18
	jmp ist_entry
	.else
	jmp trap_entry
	.endif
	.set vec, vec + 1
	.endr

/* The order of struct trap_frame. AC is cleared (SMAP), and DF. */
	.macro SAVE_ALL
	pushq %r15
	pushq %r14
	pushq %r13
	pushq %r12
	pushq %r11
	pushq %r10
	pushq %r9
	pushq %r8
	pushq %rdi
	pushq %rsi
	pushq %rbp
	pushq %rsp
	pushq %rbx
	pushq %rdx
	pushq %rcx
	pushq %rax
	pushq $2
	popfq
	movq %rsp, %rdi
	.endm

	.macro RESTORE_ALL_IRETQ
	popq %rax
	popq %rcx
	popq %rdx
	popq %rbx
	addq $8, %rsp
	popq %rbp
	popq %rsi
	popq %rdi
	popq %r8
	popq %r9
	popq %r10
	popq %r11
	popq %r12
	popq %r13
	popq %r14
	popq %r15
	addq $16, %rsp
	iretq
	.endm

	.macro RETURN_FROM_USER_RUN
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	ret
	.endm

	.balign 16
trap_entry:
	SAVE_ALL
	testb $3, FRAME_CS(%rdi)
	jnz 1f
	subq $8, %rsp /* the processor aligned it to 16, 23 words ago */
	call trap_kernel
	addq $8, %rsp
	RESTORE_ALL_IRETQ
1:	/* from ring 3: user_run() returns, with what trap_user() answers */
	subq $8, %rsp
	call trap_user
	movq $STACK_MASK, %rcx
	andq %rsp, %rcx
	movq (%rcx), %rcx
	movq CPU_KERNEL_RSP(%rcx), %rsp
	popq %rdi
	RETURN_FROM_USER_RUN

/* NMI, #DF, #MC: a stack of their own, and always back by IRETQ, which is
 * what ends NMI blocking. */
	.balign 16
ist_entry:
	SAVE_ALL
	subq $8, %rsp
	call trap_ist
	addq $8, %rsp
	RESTORE_ALL_IRETQ

/* -------------------------------------------------------------- ring 3 */

/* enum user_exit user_run(struct user_ctx *ctx) */
	.balign 16
	.globl user_run
	.type user_run, @function
user_run:
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	pushq %rdi
	movq $STACK_MASK, %rax
	andq %rsp, %rax
	movq (%rax), %rax
	movq %rsp, CPU_KERNEL_RSP(%rax)
	movq %rsp, CPU_RSP0(%rax)
	cmpl $USER_FRESH, CTX_RESUME(%rdi)
	jne user_resume
	movq CTX_START_RIP(%rdi), %rcx
	movq CTX_START_RSP(%rdi), %rsp
	movq CTX_START_RDI(%rdi), %rdi
	xorl %eax, %eax
	xorl %ebx, %ebx
	xorl %edx, %edx
	xorl %esi, %esi
	xorl %ebp, %ebp
	xorl %r8d, %r8d
	xorl %r9d, %r9d
	xorl %r10d, %r10d
	xorl %r12d, %r12d
	xorl %r13d, %r13d
	xorl %r14d, %r14d
	xorl %r15d, %r15d
	movl $USER_RFLAGS, %r11d
	sysretq

/* A RIP that is not in the lower half would make SYSRET (on Intel) fault in
 * ring 0 on the user's stack, and IRETQ fault in ring 0: it never gets there. */
user_resume:
	movq CTX_RIP(%rdi), %rcx
	movq %rcx, %rax
	shrq $USER_TOP_BIT, %rax
	jnz 2f
	movl CTX_RFLAGS(%rdi), %r11d
	andl $USER_RFLAGS_KEEP, %r11d
	orl $USER_RFLAGS, %r11d
	movq GPR(0)(%rdi), %rax
	movq GPR(2)(%rdi), %rdx
	movq GPR(3)(%rdi), %rbx
	movq GPR(5)(%rdi), %rbp
	movq GPR(6)(%rdi), %rsi
	movq GPR(8)(%rdi), %r8
	movq GPR(9)(%rdi), %r9
	movq GPR(10)(%rdi), %r10
	movq GPR(12)(%rdi), %r12
	movq GPR(13)(%rdi), %r13
	movq GPR(14)(%rdi), %r14
	movq GPR(15)(%rdi), %r15
	cmpl $USER_SYSRET, CTX_RESUME(%rdi)
	jne 1f
	movq GPR(4)(%rdi), %rsp
	movq GPR(7)(%rdi), %rdi
	sysretq
1:	pushq $SEL_UDATA
	pushq GPR(4)(%rdi)
	pushq %r11
	pushq $SEL_UCODE
	pushq %rcx
	movq GPR(1)(%rdi), %rcx
	movq GPR(11)(%rdi), %r11
	movq GPR(7)(%rdi), %rdi
	iretq
2:	call user_bad_rip
	popq %rdi
	RETURN_FROM_USER_RUN
	.size user_run, . - user_run

/* LSTAR. SFMASK has cleared IF, DF, TF, NT and AC. RCX = RIP, R11 = RFLAGS. */
	.balign 16
	.globl syscall_entry
	.type syscall_entry, @function
syscall_entry:
	swapgs
	testq %rax, %rax
	jnz 1f
	movq %gs:CPU_KERNEL_RSP, %rsp
	swapgs
	popq %rcx /* the context; the monitor's RSP, RIP and the rest are done with */
	movq %rdx, GPR(2)(%rcx)
	movq %rsi, GPR(6)(%rcx)
	movq %rdi, GPR(7)(%rcx)
	movq %r10, GPR(10)(%rcx)
	RETURN_FROM_USER_RUN /* RAX = USER_FINISH = 0 */
1:	movq %rsp, %gs:CPU_USER_RSP
	movq %gs:CPU_KERNEL_RSP, %rsp
	pushq %rcx
	movq 8(%rsp), %rcx
	movq %rax, GPR(0)(%rcx)
	movq %gs:CPU_USER_RSP, %rax
	swapgs
	movq %rax, GPR(4)(%rcx)
	popq CTX_RIP(%rcx)
	movq %r11, CTX_RFLAGS(%rcx)
	movl $USER_SYSRET, CTX_RESUME(%rcx)
	movq %rdx, GPR(2)(%rcx)
	movq %rbx, GPR(3)(%rcx)
	movq %rbp, GPR(5)(%rcx)
	movq %rsi, GPR(6)(%rcx)
	movq %rdi, GPR(7)(%rcx)
	movq %r8, GPR(8)(%rcx)
	movq %r9, GPR(9)(%rcx)
	movq %r10, GPR(10)(%rcx)
	movq %r12, GPR(12)(%rcx)
	movq %r13, GPR(13)(%rcx)
	movq %r14, GPR(14)(%rcx)
	movq %r15, GPR(15)(%rcx)
	popq %rcx
	movl $1, %eax /* USER_SYSCALL */
	RETURN_FROM_USER_RUN
	.size syscall_entry, . - syscall_entry

/* -------------------------------------------------------------- set-up */

/* void cpu_load_segments(const void *gdt_pointer): GDT, CS, the rest null, TR */
	.globl cpu_load_segments
	.type cpu_load_segments, @function
cpu_load_segments:
	lgdt (%rdi)
	popq %rdx
	pushq $SEL_KCODE
	pushq %rdx
	movl $SEL_KDATA, %eax
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %fs
	movl %eax, %gs
	lldt %ax
	movl $SEL_TSS, %eax
	ltr %ax
	lretq
	.size cpu_load_segments, . - cpu_load_segments

/* _Noreturn void cpu_jump(u64 stack_top, void (*entry)(void)) */
	.globl cpu_jump
	.type cpu_jump, @function
cpu_jump:
	movq %rdi, %rsp
	xorl %ebp, %ebp
	call *%rsi
	ud2
	.size cpu_jump, . - cpu_jump

	.section .note.GNU-stack, "", @progbits
