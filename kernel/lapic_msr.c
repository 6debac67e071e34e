/*
 * The virtual local APIC by RDMSR and WRMSR: APIC_BASE with its three modes,
 * TSC_DEADLINE, and x2APIC's registers with the bits that are reserved there
 * (Intel SDM Vol. 3A "Extended XAPIC (x2APIC)").
 */
#include "kernel/lapic_internal.h"

/* Bits that must be zero in an x2APIC register write. */
static u64 x2_reserved(u32 reg)
{
	int lvt = lapic_lvt_index(reg);
	u64 bits;

	if (lvt >= 0) {
		bits = lapic_lvt_bits[lvt] | LVT_STATUS;
		if (lvt == LVT_LINT0 || lvt == LVT_LINT1)
			bits |= LVT_REMOTE_IRR;
		return ~bits;
	}
	switch (reg) {
	case LAPIC_TPR:
	case LAPIC_SELF_IPI: return ~0xffull;
	case LAPIC_SVR: return ~(u64)SVR_BITS;
	case LAPIC_TIMER_INIT: return ~0xffffffffull;
	case LAPIC_TIMER_DIVIDE: return ~0xbull;
	case LAPIC_ICR: return 0xffffffffull & ~(u64)ICR_BITS;
	default: return ~0ull; /* EOI, ESR: only zero may be written */
	}
}

static bool x2_write(struct lapic *l, u32 reg, u64 value, u64 now, u32 *effects)
{
	if (value & x2_reserved(reg))
		return false;
	switch (reg) {
	case LAPIC_ICR:
		l->icr_low = (u32)value & ~ICR_STATUS;
		l->icr_high = (u32)(value >> 32);
		*effects = lapic_icr_send(l, l->icr_low, l->icr_high);
		return true;
	case LAPIC_SELF_IPI: *effects = lapic_self_ipi(l, (u8)value); return true;
	default: return lapic_reg_write(l, reg, (u32)value, now, effects);
	}
}

static bool apic_base_write(struct lapic *l, u64 value, u32 *effects)
{
	const u64 mode_bits = APIC_BASE_ENABLE | APIC_BASE_X2APIC;
	u64 old = l->apic_base & mode_bits, mode = value & mode_bits;

	if ((value & ~(mode_bits | APIC_BASE_BSP)) != LAPIC_MMIO_BASE)
		return false;
	if (mode == APIC_BASE_X2APIC)
		return false;
	if (old == mode_bits && mode == APIC_BASE_ENABLE)
		return false; /* x2APIC is left only by switching off */
	if (!old && mode == mode_bits)
		return false; /* and entered only from xAPIC */
	*effects = 0;
	if (mode == old)
		return true;
	/* The BSP flag stays what the board made it. */
	l->apic_base = (l->apic_base & ~mode_bits) | mode;
	if (mode == mode_bits)
		l->icr_high = 0; /* other bits count there now */
	else
		lapic_registers_reset(l); /* switched off, or on again */
	lapic_enabled_update(l);
	*effects = LAPIC_MODE | LAPIC_TIMER | LAPIC_EVENT;
	return true;
}

bool lapic_msr_read(struct lapic *l, u32 msr, u64 *value, u64 now_tsc)
{
	u32 reg = (msr - MSR_X2APIC_FIRST) << 4, word;

	if (msr == MSR_APIC_BASE) {
		*value = l->apic_base;
		return true;
	}
	if (msr == MSR_TSC_DEADLINE) {
		*value = l->tsc_deadline > now_tsc ? l->tsc_deadline : 0;
		return true;
	}
	if (msr < MSR_X2APIC_FIRST || msr > MSR_X2APIC_LAST || !lapic_x2apic(l) ||
	    !lapic_reg_read(l, reg, now_tsc, &word))
		return false;
	*value = word;
	if (reg == LAPIC_ICR)
		*value |= (u64)l->icr_high << 32;
	return true;
}

bool lapic_msr_write(struct lapic *l, u32 msr, u64 value, u64 now_tsc, u32 *effects)
{
	*effects = 0;
	if (msr == MSR_APIC_BASE)
		return apic_base_write(l, value, effects);
	if (msr == MSR_TSC_DEADLINE) {
		if (lapic_timer_mode(l) != TIMER_DEADLINE)
			return true; /* ignored in the other modes */
		l->tsc_deadline = value;
		lapic_timer_expire(l, now_tsc);
		*effects = LAPIC_TIMER | LAPIC_EVENT;
		return true;
	}
	if (msr < MSR_X2APIC_FIRST || msr > MSR_X2APIC_LAST || !lapic_x2apic(l))
		return false;
	return x2_write(l, (msr - MSR_X2APIC_FIRST) << 4, value, now_tsc, effects);
}
