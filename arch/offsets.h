/*
 * Numbers that assembly shares with C: selectors and structure offsets. The
 * structures assert them where they are defined. Plain numbers only.
 */
#ifndef ARCH_OFFSETS_H
#define ARCH_OFFSETS_H

/* Selectors: the order is what SYSCALL and SYSRET want. */
#define SEL_KCODE 0x08
#define SEL_KDATA 0x10
#define SEL_UDATA 0x1b
#define SEL_UCODE 0x23
#define SEL_TSS 0x28

/* struct cpu */
#define CPU_KERNEL_RSP 8
#define CPU_USER_RSP 16
#define CPU_RSP0 32

/* struct user_ctx; its registers are at CTX_GPR + 8 * enum abi_gpr */
#define CTX_START_RIP 0
#define CTX_START_RSP 8
#define CTX_START_RDI 16
#define CTX_RESUME 24
#define CTX_RIP 32
#define CTX_RFLAGS 40
#define CTX_GPR 48

/* CTX_RESUME: how to enter */
#define USER_FRESH 0  /* an upcall: CTX_START_*; all else zero */
#define USER_SYSRET 1 /* after a system call: RCX and R11 are lost */
#define USER_IRET 2   /* after an interrupt: every register as it was */

#define USER_RFLAGS 0x202	  /* IF and the fixed bit */
#define USER_RFLAGS_KEEP 0x200cd5 /* ID OF DF SF ZF AF PF CF: what a monitor may set */
#define USER_TOP_BIT 47		  /* user addresses are below 1 << this */

#endif
