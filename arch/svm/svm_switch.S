/*
 * The world switch: void svm_switch(struct hv_vcpu *v, hpa_t vmcb).
 *
 * Called with GIF clear. STI only makes RFLAGS.IF one in the host state, so
 * that physical interrupts (masked by host IF while V_INTR_MASKING is set, APM
 * Vol. 2, 15.21.1) end the guest's run; with GIF clear none is taken here. It
 * is not the last instruction before VMRUN: QEMU's TCG lets STI's interrupt
 * shadow live on in the guest, which then gets V_IRQ an instruction late.
 * After #VMEXIT, RAX holds the VMCB's address
 * again, RSP is the host's, everything else is the guest's (APM 15.6).
 */
	.text
	.globl svm_switch
	.type svm_switch, @function
svm_switch:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	push %rdi
	sti
	mov %rsi, %rax
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
	vmrun %rax
	cli
	pop %rax
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
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret
	.size svm_switch, . - svm_switch
	.section .note.GNU-stack, "", @progbits
