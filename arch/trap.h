/*
 * Exceptions and interrupts (AMD APM Vol. 2 chapter 8). Kernel code runs with
 * interrupts off; handlers run on the stack of what they interrupt and must
 * not wait. Handlers are registered during init, before their vector is used.
 */
#ifndef ARCH_TRAP_H
#define ARCH_TRAP_H

#include "arch/types.h"

/* As arch/entry.S pushes it. */
struct trap_frame {
	u64 gpr[16]; /* RAX RCX RDX RBX (unused) RBP RSI RDI R8..R15 */
	u64 vector, error;
	u64 rip, cs, rflags, rsp, ss;
};

typedef void irq_fn(void);

/* One handler per vector; the dispatcher ends the interrupt at the APIC afterwards. */
void irq_register(u8 vector, irq_fn *fn);
/* A free device vector with this handler, or 0 when all are taken. */
u8 irq_alloc(irq_fn *fn);

/* Loads the one IDT that all CPUs share. */
void trap_load_idt(void);
const char *exception_name(u32 vector);

#endif
