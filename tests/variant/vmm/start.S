/*
 * vmm/start.S, but each upcall first looks whether the kernel has left anything
 * in the registers: all are zero but RDI, and RCX and R11, which SYSRET makes
 * the entry point and the flags. If not, the monitor faults and its VM fails.
 */
	.section .text.entry, "ax"
	.globl _start
	.type _start, @function
_start:
	orq	%rbx, %rax
	orq	%rdx, %rax
	orq	%rsi, %rax
	orq	%rbp, %rax
	orq	%r8, %rax
	orq	%r9, %rax
	orq	%r10, %rax
	orq	%r12, %rax
	orq	%r13, %rax
	orq	%r14, %rax
	orq	%r15, %rax
	leaq	_start(%rip), %rbx
	xorq	%rcx, %rbx
	orq	%rbx, %rax
	andq	$~0x202, %r11
	orq	%r11, %rax
	jz	1f
	ud2
1:	call	upcall
	ud2			/* the kernel sees a monitor that faulted */
	.size _start, . - _start

	.section .note.GNU-stack, "", @progbits
