/*
 * The kernel's first instructions: the loader jumps here (boot/boot_info.h)
 * with RDI = struct boot_info, on a stack of its own. Take the boot stack,
 * whose base will hold this CPU's struct (arch/layout.h), and call main().
 */
	.section .text.entry, "ax"
	.globl _start
_start:
	lea boot_stack + 0x4000(%rip), %rsp /* KSTACK_SIZE */
	xor %ebp, %ebp
	call main
	ud2
	.section .note.GNU-stack, "", @progbits
