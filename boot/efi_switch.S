/*
 * switch_code(RDI = boot_info, RSI = CR3, RDX = entry, RCX = stack): runs in
 * a page of its own that is mapped 1:1, read and execute, in the firmware's
 * tables and in the kernel's. Leaves the CPU with a defined CR0, CR4, EFER.NXE,
 * a flat GDT, no IDT (a fault here resets the machine, instead of running
 * firmware code that is gone), and interrupts off.
 */
	.section .rodata
	.globl switch_code, switch_code_end
	.balign 16
switch_code:
	cli
	cld
	movq %rcx, %rsp
	movq %rdx, %r8
	movl $0xc0000080, %ecx		/* EFER: no-execute works */
	rdmsr
	btsl $11, %eax
	wrmsr
	movl $0x20, %eax		/* CR4: PAE alone; flushes global pages too */
	movq %rax, %cr4
	movq %rsi, %cr3
	movl $0x80010033, %eax		/* CR0: PG WP NE ET MP PE; caches on */
	movq %rax, %cr0
	lgdt .Lgdt_pointer(%rip)
	lidt .Lidt_pointer(%rip)
	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	lldt %ax
	pushq $0x08
	leaq 1f(%rip), %rax
	pushq %rax
	lretq
1:	xorl %ebp, %ebp
	xorl %esi, %esi
	pushq $0			/* no return address: the end of a stack dump */
	jmpq *%r8

	.balign 16
	.globl switch_gdt, switch_gdt_base
switch_gdt:	/* the accessed bits are set: the page is not writable */
	.quad 0
	.quad 0x00af9b000000ffff	/* 0x08 code, 64-bit */
	.quad 0x00cf93000000ffff	/* 0x10 data */
.Lgdt_end:
.Lgdt_pointer:				/* the base is filled in by the loader */
	.word .Lgdt_end - switch_gdt - 1
switch_gdt_base:
	.quad 0
.Lidt_pointer:
	.word 0
	.quad 0
switch_code_end:
	.section .note.GNU-stack, "", @progbits
