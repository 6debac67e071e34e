/*
 * Where a bare test guest begins: Multiboot 1 header, 32-bit entry, page
 * tables (identity map of the first 4 GiB in 2 MiB pages, the window of
 * map_window() at 256 GiB), long mode, interrupt stubs.
 *
 * Multiboot Specification 0.6.96; AMD APM Vol. 2 chapter 14.
 */
#define MAGIC 0x1badb002
#define FLAGS 3

	.section .multiboot, "a"
	.balign 4
	.long MAGIC, FLAGS, -(MAGIC + FLAGS)

	.text
	.code32
	.globl _start
_start:
	cli
	cld
	movl %eax, boot_magic
	movl %ebx, boot_info
	movl %ecx, entry_regs
	movl %edx, entry_regs + 8
	movl %esi, entry_regs + 16
	movl %edi, entry_regs + 24
	movl %ebp, entry_regs + 32
	movl $stack_top, %esp

	/* Four page directories: 2048 leaves of 2 MiB; uncached from 3 GiB on. */
	movl $page_dirs, %edi
	movl $0x83, %eax
1:	movl %eax, (%edi)
	addl $8, %edi
	addl $0x200000, %eax
	cmpl $0xc0000083, %eax
	jne 2f
	orl $0x18, %eax
2:	cmpl $page_dirs + 4 * 4096, %edi
	jne 1b
	movl $page_dirs + 3, %eax
	movl $pdpt, %edi
	movl $4, %ecx
3:	movl %eax, (%edi)
	addl $8, %edi
	addl $4096, %eax
	loop 3b
	movl $window_dir + 3, pdpt + 8 * 256
	movl $pdpt + 3, pml4

	/* LME before PAE: as good an order as any, and once it cost the host its CR0 */
	movl $0xc0000080, %ecx
	rdmsr
	orl $0x100, %eax		/* LME */
	wrmsr
	movl %cr4, %eax
	orl $0x620, %eax		/* PAE, OSFXSR, OSXMMEXCPT */
	movl %eax, %cr4
	movl $pml4, %eax
	movl %eax, %cr3
	movl %cr0, %eax
	andl $0x9ffffffb, %eax		/* caches on, no x87 emulation */
	orl $0x80010022, %eax		/* PG, WP, NE, MP */
	movl %eax, %cr0
	lgdt gdt_pointer
	ljmp $8, $start64

	.code64
start64:
	movq %r8, entry_regs + 40
	movq %r9, entry_regs + 48
	movq %r10, entry_regs + 56
	movq %r11, entry_regs + 64
	movq %r12, entry_regs + 72
	movq %r13, entry_regs + 80
	movq %r14, entry_regs + 88
	movq %r15, entry_regs + 96
	movl $16, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	lidt null_idt
	fninit
	call lib_start
4:	cli
	hlt
	jmp 4b

	/* One 16-byte stub per vector: error code (0 if the CPU pushes none), number. */
	.balign 16
	.globl trap_stubs
trap_stubs:
	.set vector, 0
	.rept 256
	.balign 16
	.if !((vector == 8) || ((vector >= 10) && (vector <= 14)) || (vector == 17))
	pushq $0
	.endif
	pushq $vector
	jmp trap_common
	.set vector, vector + 1
	.endr

trap_common:
	push %rax
	push %rcx
	push %rdx
	push %rbx
	push %rbp
	push %rsi
	push %rdi
	push %r8
	push %r9
	push %r10
	push %r11
	push %r12
	push %r13
	push %r14
	push %r15
	cld
	movq %rsp, %rdi
	movq %rsp, %rbx
	andq $-16, %rsp
	call trap
	movq %rbx, %rsp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rdi
	pop %rsi
	pop %rbp
	pop %rbx
	pop %rdx
	pop %rcx
	pop %rax
	addq $16, %rsp
	iretq

	.data
	.balign 8
	.globl gdt
gdt:
	.quad 0
	.quad 0x00af9b000000ffff	/* 0x08: 64-bit code */
	.quad 0x00cf93000000ffff	/* 0x10: data */
	.quad 0x00cf13000000ffff	/* 0x18: data, not present */
gdt_end:
gdt_pointer:
	.word gdt_end - gdt - 1
	.quad gdt
	.globl null_idt
null_idt:
	.word 0
	.quad 0

	.globl boot_magic, boot_info
boot_magic:
	.long 0
boot_info:
	.long 0
	.balign 8
	.globl entry_regs	/* ECX EDX ESI EDI EBP R8 to R15, as they came */
entry_regs:
	.fill 13, 8, 0

	.bss
	.balign 4096
	.globl pml4, window_dir, page_dirs
pml4:	.skip 4096
pdpt:	.skip 4096
window_dir:
	.skip 4096
page_dirs:
	.skip 4 * 4096
	.skip 32768
stack_top:

	.section .note.GNU-stack, "", @progbits
