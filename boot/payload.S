/*
 * What BOOTX64.EFI carries: kernel and monitor (stripped ELF), and the
 * kernel's symbol table. Read-only; the loader copies what must stay.
 */
	.macro payload name, file
	.globl payload_\name, payload_\name\()_end
	.balign 16
payload_\name:
	.incbin "\file"
payload_\name\()_end:
	.endm

	.section .rodata
	payload kernel, "kernel.stripped"
	payload monitor, "monitor.stripped"
	payload symbols, "kernel.sym"
	.section .note.GNU-stack, "", @progbits
