/*
 * What CR0, CR4, EFER, DR6 and DR7 may hold: the reserved-bit and consistency
 * checks for which MOV CR and WRMSR raise #GP. Intel SDM Vol. 3A "Control
 * Registers", AMD APM Vol. 2 chapter 3. Pure functions.
 */
#ifndef KERNEL_CONTROL_REGS_H
#define KERNEL_CONTROL_REGS_H

#include "arch/types.h"

/* MOV to CR0. Paging needs protection, NW needs CD, bits 63:32 are zero; other
 * undefined bits are ignored by processors: cr0_fixed gives what is stored. */
bool cr0_valid(u64 value);
u64 cr0_fixed(u64 value);
/* Against the rest: entering long mode needs PAE and CS.L = 0, leaving it needs
 * compatibility mode, PCID (CR4) forbids clearing PG. */
bool cr0_change_valid(u64 old, u64 value, u64 cr4, u64 efer, bool cs_l);

/* MOV to CR4: no bit outside allowed (struct cpuid_table.cr4). */
bool cr4_valid(u64 value, u64 allowed);
/* PAE may not go, LA57 not change in long mode; PCIDE comes with CR3[11:0] = 0. */
bool cr4_change_valid(u64 old, u64 value, u64 efer, u64 cr3);

/* MOV to CR3: reserved bits in long mode (phys_bits from CPUID). */
bool cr3_valid(u64 value, u64 efer, u64 cr4, u32 phys_bits);

/* WRMSR EFER: reserved bits (allowed: struct cpuid_table.efer), LME fixed while
 * paging. LMA is not writable: efer_fixed gives what is stored. */
bool efer_valid(u64 old, u64 value, u64 cr0, u64 allowed);
u64 efer_fixed(u64 old, u64 value);

/* MOV to DR6, DR7 in 64-bit mode: the high half must be zero. */
bool dr_valid(u64 value);
u64 dr6_fixed(u64 value);
u64 dr7_fixed(u64 value);

/* Bits 63:47 equal (48-bit linear addresses). */
static inline bool is_canonical(u64 va)
{
	return (u64)((s64)(va << 16) >> 16) == va;
}

#endif
