/*
 * The monitor's entry point. The kernel comes here for every upcall, on the
 * vCPU's upcall stack (16-byte aligned, empty), all registers zero but RDI =
 * the vCPU's shared page. There is no way back but SYS_FINISH.
 */
	.section .text.entry, "ax"
	.globl _start
	.type _start, @function
_start:
	call	upcall
	ud2			/* the kernel sees a monitor that faulted */
	.size _start, . - _start

	.section .note.GNU-stack, "", @progbits
