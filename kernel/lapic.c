/*
 * The virtual local APIC, see lapic.h: Intel SDM Vol. 3A, APIC chapter:
 * priorities, EOI, errors, and the register map. MMIO and MSR accesses meet in
 * lapic_reg_read and lapic_reg_write. irr_top, isr_top and ppr are derived and
 * kept right by the few functions that change their sources, so that
 * lapic_pending is two comparisons.
 */
#include "kernel/lapic_internal.h"

#define VERSION (0x14u | (LVT_COUNT - 1) << 16)

#define SVR_ENABLE 0x100u

const u32 lapic_lvt_bits[LVT_COUNT] = {
	[LVT_TIMER] = 0x700ff, [LVT_THERMAL] = 0x107ff, [LVT_PERF] = 0x107ff,
	[LVT_LINT0] = 0x1a7ff, [LVT_LINT1] = 0x1a7ff,	[LVT_ERROR] = 0x100ff,
};

/* ------------------------------------------------------------ priorities */

static int top_bit(const u32 *reg)
{
	for (int i = 7; i >= 0; i--)
		if (reg[i])
			return i * 32 + 31 - __builtin_clz(reg[i]);
	return -1;
}

static bool bit_test(const u32 *reg, u8 vector)
{
	return reg[vector / 32] >> (vector % 32) & 1;
}

static void bit_set(u32 *reg, u8 vector)
{
	reg[vector / 32] |= 1u << (vector % 32);
}

static void bit_clear(u32 *reg, u8 vector)
{
	reg[vector / 32] &= ~(1u << (vector % 32));
}

static void ppr_update(struct lapic *l)
{
	u8 serving = l->isr_top < 0 ? 0 : (u8)l->isr_top;

	l->ppr = l->tpr >> 4 >= serving >> 4 ? l->tpr : serving & 0xf0;
}

void lapic_enabled_update(struct lapic *l)
{
	l->enabled = lapic_hw_enabled(l) && (l->svr & SVR_ENABLE);
}

void lapic_accept(struct lapic *l, u8 vector)
{
	bit_clear(l->irr, vector);
	bit_set(l->isr, vector);
	l->irr_top = (s16)top_bit(l->irr);
	l->isr_top = MAX(l->isr_top, (s16)vector);
	ppr_update(l);
}

static void irr_set(struct lapic *l, u8 vector, bool level)
{
	bit_set(l->irr, vector);
	if (level)
		bit_set(l->tmr, vector);
	else
		bit_clear(l->tmr, vector);
	l->irr_top = MAX(l->irr_top, (s16)vector);
}

void lapic_error(struct lapic *l, u32 bit)
{
	u32 lvt = l->lvt[LVT_ERROR];
	bool fresh = !(l->esr_pending & bit);

	l->esr_pending |= bit;
	if (!fresh || lvt & LVT_MASKED || !l->enabled)
		return;
	if ((lvt & 0xff) < 16)
		l->esr_pending |= ESR_RECEIVE_VECTOR;
	else
		irr_set(l, (u8)lvt, false);
}

void lapic_deliver(struct lapic *l, u8 vector, bool level)
{
	if (!l->enabled)
		return;
	if (vector < 16)
		lapic_error(l, ESR_RECEIVE_VECTOR);
	else
		irr_set(l, vector, level);
}

static u32 eoi(struct lapic *l)
{
	u8 vector = (u8)l->isr_top;

	if (l->isr_top < 0)
		return 0;
	bit_clear(l->isr, vector);
	l->isr_top = (s16)top_bit(l->isr);
	ppr_update(l);
	if (!bit_test(l->tmr, vector))
		return LAPIC_EVENT;
	l->eoi_vector = vector;
	return LAPIC_EVENT | LAPIC_EOI_LEVEL;
}

void lapic_set_cr8(struct lapic *l, u64 cr8)
{
	l->tpr = (u8)((cr8 & 0xf) << 4);
	ppr_update(l);
}

bool lapic_lint0_extint(const struct lapic *l)
{
	if (!lapic_hw_enabled(l))
		return true; /* the pin is INTR then */
	return (l->lvt[LVT_LINT0] & (LVT_MASKED | 0x700)) == LAPIC_MODE_EXTINT << 8;
}

bool lapic_lint1_nmi(const struct lapic *l)
{
	if (!lapic_hw_enabled(l))
		return true; /* the pin is NMI then */
	return (l->lvt[LVT_LINT1] & (LVT_MASKED | 0x700)) == LAPIC_MODE_NMI << 8;
}

/* ------------------------------------------------------------- registers */

void lapic_registers_reset(struct lapic *l)
{
	for (u32 i = 0; i < 8; i++)
		l->irr[i] = l->isr[i] = l->tmr[i] = 0;
	l->irr_top = l->isr_top = -1;
	l->tpr = l->ppr = 0;
	l->ldr = 0;
	l->dfr = ~0u;
	l->svr = 0xff;
	l->esr = l->esr_pending = 0;
	l->icr_low = l->icr_high = 0;
	for (u32 i = 0; i < LVT_COUNT; i++)
		l->lvt[i] = LVT_MASKED;
	l->timer_init = l->timer_divide = 0;
	l->timer_expiry = TIMER_STOPPED;
	l->timer_frac = 0;
	l->tsc_deadline = 0;
	lapic_enabled_update(l);
}

void lapic_reset(struct lapic *l, u32 id, bool bsp, u64 tsc_hz, u32 phys_bits)
{
	*l = (struct lapic){ .id = id, .tsc_hz = tsc_hz, .phys_bits = (u8)phys_bits };
	l->apic_base = LAPIC_MMIO_BASE | APIC_BASE_ENABLE | (bsp ? APIC_BASE_BSP : 0);
	lapic_registers_reset(l);
	if (bsp) {
		l->svr |= SVR_ENABLE;
		l->lvt[LVT_LINT0] = LAPIC_MODE_EXTINT << 8;
		l->lvt[LVT_LINT1] = LAPIC_MODE_NMI << 8;
		lapic_enabled_update(l);
	}
}

void lapic_init_signal(struct lapic *l)
{
	lapic_registers_reset(l);
}

static u32 svr_write(struct lapic *l, u32 value)
{
	l->svr = value & SVR_BITS;
	lapic_enabled_update(l);
	if (!l->enabled)
		for (u32 i = 0; i < LVT_COUNT; i++)
			l->lvt[i] |= LVT_MASKED;
	return LAPIC_TIMER | LAPIC_EVENT;
}

static u32 lvt_write(struct lapic *l, int index, u32 value, u64 now)
{
	value &= lapic_lvt_bits[index];
	if (!l->enabled)
		value |= LVT_MASKED;
	if (index == LVT_TIMER)
		return lapic_timer_lvt_write(l, value, now);
	l->lvt[index] = value;
	return index == LVT_LINT0 ? LAPIC_EVENT : 0;
}

static u32 ldr_read(const struct lapic *l)
{
	return lapic_x2apic(l) ? l->id >> 4 << 16 | 1u << (l->id & 15) : l->ldr;
}

bool lapic_reg_read(const struct lapic *l, u32 reg, u64 now, u32 *value)
{
	int lvt = lapic_lvt_index(reg);

	if (lvt >= 0) {
		*value = l->lvt[lvt];
		return true;
	}
	switch (reg) {
	case LAPIC_ID: *value = lapic_x2apic(l) ? l->id : l->id << 24; return true;
	case LAPIC_VERSION: *value = VERSION; return true;
	case LAPIC_TPR: *value = l->tpr; return true;
	case LAPIC_PPR: *value = l->ppr; return true;
	case LAPIC_LDR: *value = ldr_read(l); return true;
	case LAPIC_SVR: *value = l->svr; return true;
	case LAPIC_ESR: *value = l->esr; return true;
	case LAPIC_ICR: *value = l->icr_low; return true;
	case LAPIC_TIMER_INIT: *value = l->timer_init; return true;
	case LAPIC_TIMER_COUNT: *value = lapic_timer_count(l, now); return true;
	case LAPIC_TIMER_DIVIDE: *value = l->timer_divide; return true;
	default: break;
	}
	if (reg >= LAPIC_ISR && reg < LAPIC_ESR) { /* ISR, TMR, IRR: 8 words each */
		const u32 *set = reg < LAPIC_TMR ? l->isr : reg < LAPIC_IRR ? l->tmr : l->irr;

		*value = set[reg >> 4 & 7];
		return true;
	}
	return false;
}

bool lapic_reg_write(struct lapic *l, u32 reg, u32 value, u64 now, u32 *effects)
{
	int lvt = lapic_lvt_index(reg);

	if (lvt >= 0) {
		*effects = lvt_write(l, lvt, value, now);
		return true;
	}
	*effects = 0;
	switch (reg) {
	case LAPIC_TPR:
		l->tpr = (u8)value;
		ppr_update(l);
		*effects = LAPIC_EVENT;
		return true;
	case LAPIC_EOI: *effects = eoi(l); return true;
	case LAPIC_SVR: *effects = svr_write(l, value); return true;
	case LAPIC_ESR:
		l->esr = l->esr_pending;
		l->esr_pending = 0;
		return true;
	case LAPIC_TIMER_INIT: *effects = lapic_timer_init_write(l, value, now); return true;
	case LAPIC_TIMER_DIVIDE: *effects = lapic_timer_divide_write(l, value, now); return true;
	default: return false;
	}
}

u32 lapic_read(struct lapic *l, u32 offset, u64 now_tsc)
{
	u32 value = 0;

	if (offset & 15)
		return 0;
	switch (offset) {
	case LAPIC_DFR: return l->dfr;
	case LAPIC_ICR2: return l->icr_high;
	case LAPIC_APR:
	case LAPIC_RRD:
	case LAPIC_EOI: return 0;
	default: break;
	}
	if (!lapic_reg_read(l, offset, now_tsc, &value))
		lapic_error(l, ESR_REGISTER);
	return value;
}

u32 lapic_write(struct lapic *l, u32 offset, u32 value, u64 now_tsc)
{
	u32 effects = 0, unused;

	if (likely(offset == LAPIC_EOI)) /* the commonest by far */
		return eoi(l);
	if (offset & 15)
		return 0;
	switch (offset) {
	case LAPIC_LDR: l->ldr = value & 0xff000000; return 0;
	case LAPIC_DFR: l->dfr = value | 0x0fffffff; return 0;
	case LAPIC_ICR2: l->icr_high = value & 0xff000000; return 0;
	case LAPIC_ICR:
		l->icr_low = value & ICR_BITS & ~ICR_STATUS;
		return lapic_icr_send(l, l->icr_low, l->icr_high >> 24);
	case LAPIC_APR:
	case LAPIC_RRD: return 0;
	default: break;
	}
	/* Writing a read-only register changes nothing and is no error. */
	if (!lapic_reg_write(l, offset, value, now_tsc, &effects) &&
	    !lapic_reg_read(l, offset, now_tsc, &unused)) {
		lapic_error(l, ESR_REGISTER);
		return LAPIC_EVENT;
	}
	return effects;
}
