/*
 * arch/x86.h for unit tests of the kernel's core: the constants are the real
 * ones; what only ring 0 may do, and the clock, is plain functions of
 * tests/unit/fake/world.c. First on the include path: "FLAGS:" of a test.
 */
#ifndef FAKE_HW_ARCH_X86_H
#define FAKE_HW_ARCH_X86_H

#define rdmsr real_rdmsr
#define wrmsr real_wrmsr
#define rdmsr_safe real_rdmsr_safe
#define rdtsc real_rdtsc
#define cpuid_count real_cpuid_count
#define read_cr3 real_read_cr3
#define write_cr3 real_write_cr3
#define sti_hlt real_sti_hlt
#define irq_window real_irq_window
#define xgetbv real_xgetbv
#define xsetbv real_xsetbv
#include_next "arch/x86.h"
#undef rdmsr
#undef wrmsr
#undef rdmsr_safe
#undef rdtsc
#undef cpuid_count
#undef read_cr3
#undef write_cr3
#undef sti_hlt
#undef irq_window
#undef xgetbv
#undef xsetbv

u64 rdmsr(u32 msr);
void wrmsr(u32 msr, u64 value);
bool rdmsr_safe(u32 msr, u64 *value);
u64 rdtsc(void);
void cpuid_count(u32 leaf, u32 sub, u32 r[4]);
u64 read_cr3(void);
void write_cr3(u64 value);
void sti_hlt(void);
void irq_window(void);
u64 xgetbv(u32 index);
void xsetbv(u32 index, u64 value);

#endif
