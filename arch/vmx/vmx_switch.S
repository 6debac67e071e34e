/*
 * The world switch: u32 vmx_switch(struct hv_vcpu *v, u32 launched, u64 *host_rsp).
 *
 * Called with interrupts off. An exit comes to vmx_exit_entry with the host's
 * RSP, RIP, segments, CR3, EFER and PAT from the VMCS, RFLAGS = 2 and the
 * guest's general registers but RSP (Intel SDM Vol. 3C, 28.5). Returns 0
 * then; 1 when the entry failed with an error number, 2 without one.
 */
#define HOST_RSP 0x6c14

	.text
	.globl vmx_switch
	.type vmx_switch, @function
vmx_switch:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	push %rdi
	cmp (%rdx), %rsp
	je 1f
	mov %rsp, (%rdx)
	mov $HOST_RSP, %eax
	vmwrite %rsp, %rax
1:	test %esi, %esi
	mov 0x00(%rdi), %rax
	mov 0x08(%rdi), %rcx
	mov 0x10(%rdi), %rdx
	mov 0x18(%rdi), %rbx
	mov 0x28(%rdi), %rbp
	mov 0x30(%rdi), %rsi
	mov 0x40(%rdi), %r8
	mov 0x48(%rdi), %r9
	mov 0x50(%rdi), %r10
	mov 0x58(%rdi), %r11
	mov 0x60(%rdi), %r12
	mov 0x68(%rdi), %r13
	mov 0x70(%rdi), %r14
	mov 0x78(%rdi), %r15
	mov 0x38(%rdi), %rdi
	jz 2f
	vmresume
	jmp 3f
2:	vmlaunch
3:	pop %rdi
	mov $2, %eax
	jc 4f
	mov $1, %eax
	jmp 4f

	.balign 16
	.globl vmx_exit_entry
vmx_exit_entry:
	push %rax
	mov 8(%rsp), %rax
	pop 0x00(%rax)
	mov %rcx, 0x08(%rax)
	mov %rdx, 0x10(%rax)
	mov %rbx, 0x18(%rax)
	mov %rbp, 0x28(%rax)
	mov %rsi, 0x30(%rax)
	mov %rdi, 0x38(%rax)
	mov %r8, 0x40(%rax)
	mov %r9, 0x48(%rax)
	mov %r10, 0x50(%rax)
	mov %r11, 0x58(%rax)
	mov %r12, 0x60(%rax)
	mov %r13, 0x68(%rax)
	mov %r14, 0x70(%rax)
	mov %r15, 0x78(%rax)
	pop %rcx
	xor %eax, %eax
4:	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret
	.size vmx_switch, . - vmx_switch
	.section .note.GNU-stack, "", @progbits
