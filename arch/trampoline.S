/*
 * Where an application processor starts (SDM Vol. 3A 8.4.3): copied to a page
 * below 1 MiB, entered in real mode at offset 0 with CS = page / 16. Goes to
 * long mode on a small table that maps this page 1:1 and the kernel's image,
 * then into the image. smp.c fills the fields at the end.
 */
#include "arch/offsets.h"

	.section .rodata.trampoline, "a", @progbits
	.balign 16
	.globl trampoline_start, trampoline_end, trampoline_args
trampoline_start:
	.code16
	cli
	cld
	movw %cs, %bx
	movw %bx, %ds
	movzwl %bx, %ebx
	shll $4, %ebx /* the page's address */
	lidtl no_idt - trampoline_start
	/* the GDT pointer and the far jumps need linear addresses */
	leal gdt - trampoline_start(%ebx), %eax
	movl %eax, gdt_base - trampoline_start
	leal 1f - trampoline_start(%ebx), %eax
	movl %eax, jump32 - trampoline_start
	leal 2f - trampoline_start(%ebx), %eax
	movl %eax, jump64 - trampoline_start
	lgdtl gdt_pointer - trampoline_start
	movl $0x11, %eax /* PE, ET; caches on */
	movl %eax, %cr0
	ljmpl *(jump32 - trampoline_start)

	.code32
1:	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %ss
	movl $0x20, %eax /* PAE */
	movl %eax, %cr4
	movl trampoline_args - trampoline_start(%ebx), %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx
	xorl %edx, %edx
	movl $0x901, %eax /* NXE, LME, SCE */
	wrmsr
	movl $0x80010033, %eax /* PG WP NE ET MP PE */
	movl %eax, %cr0
	ljmpl *(jump64 - trampoline_start)(%ebx)

	.code64
2:	movq trampoline_args + 8 - trampoline_start(%rbx), %rsi
	movq trampoline_args + 16 - trampoline_start(%rbx), %rdi
	movq trampoline_args + 24 - trampoline_start(%rbx), %rdx
	movq trampoline_args + 32 - trampoline_start(%rbx), %rax
	jmpq *%rsi

	.balign 8
gdt:	.quad 0
	.quad 0x00af9b000000ffff /* 0x08: 64-bit code */
	.quad 0x00cf93000000ffff /* 0x10: data */
	.quad 0x00cf9b000000ffff /* 0x18: 32-bit code */
gdt_pointer:
	.word 31
gdt_base:
	.long 0
no_idt:	.word 0
	.long 0
jump32:	.long 0
	.word 0x18
jump64:	.long 0
	.word 0x08
	.balign 8
trampoline_args: /* struct trampoline_args */
	.quad 0 /* table, below 4 GiB */
	.quad 0 /* trampoline_high */
	.quad 0 /* the kernel's CR3 */
	.quad 0 /* the CPU's stack top */
	.quad 0 /* the CPU's index */
trampoline_end:

/*
 * In the image now: RDI = CR3, RDX = stack top, RAX = index. Only the CPU that
 * is waited for may take the stack: one that comes late, or twice, stops here.
 */
	.text
	.globl trampoline_high
	.type trampoline_high, @function
trampoline_high:
	movq %rdi, %cr3
	xorl %ecx, %ecx
	lock cmpxchgl %ecx, smp_invited(%rip)
	jne 1f
	movq %rdx, %rsp
	xorl %ebp, %ebp
	call smp_ap_main
1:	cli
	hlt
	jmp 1b
	.size trampoline_high, . - trampoline_high
	.section .note.GNU-stack, "", @progbits
