/*
 * Floating-point and vector state of guests (APM Vol. 2 11.5). The kernel and
 * the monitors never touch these registers, so a vCPU's stay live until it is
 * put away; never lazily. XSAVE's standard format, or FXSAVE where there is no
 * XSAVE. Between save and load a CPU's XCR0 is fpu_host_xcr0().
 */
#ifndef ARCH_FPU_H
#define ARCH_FPU_H

#include "arch/types.h"

/* On each CPU, after cpu_init_this(). */
void fpu_init_cpu(void);
/* Bytes of an area, which is 64-byte aligned. */
u32 fpu_size(void);
/* All that a guest may enable; 0 without XSAVE. */
u64 fpu_host_xcr0(void);

/* The state after INIT. */
void fpu_reset(void *area);
/* Both want XCR0 = fpu_host_xcr0(): put that in place first if the guest's differs. */
void fpu_save(void *area);
void fpu_load(const void *area);

#endif
