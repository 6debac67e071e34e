/*
 * Validity of control and debug register values, see control_regs.h: Intel
 * SDM Vol. 3A "Control Registers" and "Debug Registers", AMD APM Vol. 2
 * sections 3.1 and 13.1. Pure functions.
 */
#include "kernel/control_regs.h"

#include "arch/x86.h"

/* PE MP EM TS ET NE, WP, AM, NW CD PG */
#define CR0_DEFINED 0xe005003full

#define CR3_NO_FLUSH BIT(63)

bool cr0_valid(u64 value)
{
	if (value >> 32)
		return false;
	if (value & CR0_PG && !(value & CR0_PE))
		return false;
	return !(value & CR0_NW) || value & CR0_CD;
}

u64 cr0_fixed(u64 value)
{
	return (value & CR0_DEFINED) | CR0_ET;
}

bool cr0_change_valid(u64 old, u64 value, u64 cr4, u64 efer, bool cs_l)
{
	bool was = old & CR0_PG, is = value & CR0_PG;

	if (!cr0_valid(value))
		return false;
	if (!was && is && efer & EFER_LME)
		return cr4 & CR4_PAE && !cs_l;
	if (was && !is)
		return !(efer & EFER_LMA && cs_l) && !(cr4 & CR4_PCIDE);
	return true;
}

bool cr4_valid(u64 value, u64 allowed)
{
	return !(value & ~allowed);
}

bool cr4_change_valid(u64 old, u64 value, u64 efer, u64 cr3)
{
	u64 changed = old ^ value;

	if (efer & EFER_LMA && (!(value & CR4_PAE) || changed & CR4_LA57))
		return false;
	if (changed & value & CR4_PCIDE)
		return efer & EFER_LMA && !(cr3 & 0xfff);
	return true;
}

bool cr3_valid(u64 value, u64 efer, u64 cr4, u32 phys_bits)
{
	if (!(efer & EFER_LMA))
		return !(value >> 32);
	if (cr4 & CR4_PCIDE)
		value &= ~CR3_NO_FLUSH;
	return !(value >> phys_bits);
}

bool efer_valid(u64 old, u64 value, u64 cr0, u64 allowed)
{
	if (value & ~(allowed | EFER_LMA))
		return false;
	return !(cr0 & CR0_PG) || !((old ^ value) & EFER_LME);
}

u64 efer_fixed(u64 old, u64 value)
{
	return (value & ~EFER_LMA) | (old & EFER_LMA);
}

bool dr_valid(u64 value)
{
	return !(value >> 32);
}

u64 dr6_fixed(u64 value)
{
	return (value & 0xe00f) | 0xffff0ff0;
}

u64 dr7_fixed(u64 value)
{
	return (value & 0xffff23ff) | 0x400;
}
