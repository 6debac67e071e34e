/*
 * The virtual local APIC, see lapic.h: Intel SDM Vol. 3A, APIC chapter
 * (register map, priorities, error and IPI rules, x2APIC's reserved bits).
 * MMIO and MSR accesses meet in reg_read and reg_write. irr_top, isr_top and
 * ppr are derived and kept right by the few functions that change their
 * sources, so that lapic_pending is two comparisons.
 */
#include "kernel/lapic.h"

#define VERSION (0x14u | (LVT_COUNT - 1) << 16)

#define SVR_ENABLE 0x100u
#define SVR_BITS 0x3ffu

#define LVT_MASKED 0x10000u
#define LVT_STATUS 0x1000u     /* read-only, never set: delivery is at once */
#define LVT_REMOTE_IRR 0x4000u /* read-only, never set */

#define TIMER_PERIODIC 1u
#define TIMER_DEADLINE 2u

#define ESR_SEND_VECTOR 0x20u
#define ESR_RECEIVE_VECTOR 0x40u
#define ESR_REGISTER 0x80u

#define ICR_LOGICAL 0x800u
#define ICR_STATUS 0x1000u
#define ICR_ASSERT 0x4000u
#define ICR_LEVEL 0x8000u
#define ICR_BITS 0x000cdfffu

#define STOPPED (~0ull)

/* Bits that software may set in each LVT entry. */
static const u32 lvt_bits[LVT_COUNT] = {
	[LVT_TIMER] = 0x700ff, [LVT_THERMAL] = 0x107ff, [LVT_PERF] = 0x107ff,
	[LVT_LINT0] = 0x1a7ff, [LVT_LINT1] = 0x1a7ff,	[LVT_ERROR] = 0x100ff,
};

/* ------------------------------------------------------------ arithmetic */

/* a * b / c and the remainder, by way of 128 bits; ~0 when it does not fit. */
static u64 mul_div(u64 a, u64 b, u64 c, u64 *rem)
{
	unsigned __int128 product = (unsigned __int128)a * b;
	u64 high = (u64)(product >> 64), low = (u64)product;

	*rem = 0;
	if (high >= c)
		return ~0ull;
	asm("divq %4" : "=a"(low), "=d"(*rem) : "a"(low), "d"(high), "r"(c) : "cc");
	return low;
}

static u64 add_sat(u64 a, u64 b)
{
	return a + b < a ? ~0ull : a + b;
}

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

static void enabled_update(struct lapic *l)
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

/* Note an error; a new one raises the error LVT's interrupt. */
static void error_note(struct lapic *l, u32 bit)
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
		error_note(l, ESR_RECEIVE_VECTOR);
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

/* ----------------------------------------------------------------- timer */

static u32 timer_mode(const struct lapic *l)
{
	return l->lvt[LVT_TIMER] >> 17 & 3;
}

/* Bus ticks per count: 1 to 128. */
static u32 timer_divider(const struct lapic *l)
{
	u32 code = (l->timer_divide & 3) | (l->timer_divide >> 1 & 4);

	return 1u << ((code + 1) & 7);
}

/* Bus ticks from one expiry to the next in periodic mode. */
static u64 timer_period(const struct lapic *l)
{
	return MAX((u64)l->timer_init * timer_divider(l), LAPIC_MIN_PERIOD);
}

/* Move the expiry on by bus ticks, without losing fractions of a TSC tick. */
static void timer_advance(struct lapic *l, u64 bus_ticks)
{
	u64 rem, ticks = mul_div(bus_ticks, l->tsc_hz, LAPIC_BUS_HZ, &rem);

	l->timer_frac += rem;
	if (l->timer_frac >= LAPIC_BUS_HZ) {
		l->timer_frac -= LAPIC_BUS_HZ;
		ticks = add_sat(ticks, 1);
	}
	l->timer_expiry = add_sat(l->timer_expiry, ticks);
}

static void timer_start(struct lapic *l, u64 bus_ticks, u64 now)
{
	l->timer_expiry = now;
	l->timer_frac = 0;
	timer_advance(l, bus_ticks);
}

/* The current count; what has passed unnoticed counts as having happened. */
static u32 timer_count(const struct lapic *l, u64 now)
{
	u64 left, counts, rem;

	if (l->timer_expiry == STOPPED || timer_mode(l) == TIMER_DEADLINE)
		return 0;
	if (now < l->timer_expiry) {
		left = l->timer_expiry - now;
	} else {
		u64 period = mul_div(timer_period(l), l->tsc_hz, LAPIC_BUS_HZ, &rem);

		if (timer_mode(l) != TIMER_PERIODIC || !period)
			return 0;
		left = period - (now - l->timer_expiry) % period;
	}
	left = mul_div(left, LAPIC_BUS_HZ, l->tsc_hz, &rem);
	counts = left / timer_divider(l);
	counts += rem || left % timer_divider(l); /* rounded up: 0 only when it is over */
	return (u32)MIN(counts, (u64)l->timer_init);
}

u64 lapic_timer_deadline(const struct lapic *l)
{
	if (l->lvt[LVT_TIMER] & LVT_MASKED)
		return STOPPED; /* it runs, but nobody will hear it */
	if (timer_mode(l) == TIMER_DEADLINE)
		return l->tsc_deadline ? l->tsc_deadline : STOPPED;
	return l->timer_expiry;
}

/* The first expiry after now, in step with those before. Takes a constant
 * time, however far a guest has moved its TSC. */
static void timer_next_period(struct lapic *l, u64 now)
{
	u64 rem, period = timer_period(l);
	u64 missed = mul_div(now - l->timer_expiry, LAPIC_BUS_HZ, l->tsc_hz, &rem) / period;

	if (missed < ~0ull / period)
		timer_advance(l, missed * period);
	for (u32 i = 0; i < 2 && l->timer_expiry <= now; i++)
		timer_advance(l, period); /* the second one for rounding */
	if (l->timer_expiry <= now)	  /* too far for the arithmetic: in step no more */
		timer_start(l, period, now);
	if (l->timer_expiry <= now)
		l->timer_expiry = STOPPED; /* a frequency of 0 */
}

void lapic_timer_expire(struct lapic *l, u64 now)
{
	u32 lvt = l->lvt[LVT_TIMER];

	if (timer_mode(l) == TIMER_DEADLINE) {
		if (!l->tsc_deadline || now < l->tsc_deadline)
			return;
		l->tsc_deadline = 0;
	} else {
		if (l->timer_expiry == STOPPED || now < l->timer_expiry)
			return;
		if (timer_mode(l) == TIMER_PERIODIC)
			timer_next_period(l, now);
		else
			l->timer_expiry = STOPPED;
	}
	if (!(lvt & LVT_MASKED))
		lapic_deliver(l, (u8)lvt, false);
}

void lapic_tsc_moved(struct lapic *l, u64 delta)
{
	if (l->timer_expiry != STOPPED)
		l->timer_expiry += delta;
}

static u32 timer_lvt_write(struct lapic *l, u32 value, u64 now)
{
	u32 old_mode = timer_mode(l);

	lapic_timer_expire(l, now); /* what was due fell under the old entry */
	l->lvt[LVT_TIMER] = value;
	if (old_mode != timer_mode(l) &&
	    (old_mode == TIMER_DEADLINE || timer_mode(l) == TIMER_DEADLINE)) {
		l->timer_expiry = STOPPED;
		l->timer_init = 0;
		l->tsc_deadline = 0;
	}
	return LAPIC_TIMER | LAPIC_EVENT;
}

static u32 timer_init_write(struct lapic *l, u32 value, u64 now)
{
	if (timer_mode(l) == TIMER_DEADLINE)
		return 0;
	lapic_timer_expire(l, now);
	l->timer_init = value;
	l->timer_expiry = STOPPED;
	if (value && timer_mode(l) == TIMER_PERIODIC)
		timer_start(l, timer_period(l), now);
	else if (value)
		timer_start(l, (u64)value * timer_divider(l), now);
	return LAPIC_TIMER | LAPIC_EVENT;
}

static u32 timer_divide_write(struct lapic *l, u32 value, u64 now)
{
	u32 count;

	lapic_timer_expire(l, now);
	count = timer_count(l, now);
	l->timer_divide = value & 0xb;
	if (count) /* the count goes on from here at the new speed */
		timer_start(l, (u64)count * timer_divider(l), now);
	return LAPIC_TIMER | LAPIC_EVENT;
}

/* ------------------------------------------------------------------ IPIs */

static u32 self_ipi(struct lapic *l, u8 vector)
{
	if (vector < 16)
		error_note(l, ESR_SEND_VECTOR);
	else
		lapic_deliver(l, vector, false);
	return LAPIC_EVENT;
}

static u32 icr_send(struct lapic *l, u32 low, u32 dest)
{
	u8 vector = (u8)low, mode = low >> 8 & 7, shorthand = low >> 18 & 3;

	switch (mode) {
	case LAPIC_MODE_FIXED:
		if (shorthand == LAPIC_TO_SELF)
			return self_ipi(l, vector);
		break;
	case LAPIC_MODE_INIT:
		if ((low & (ICR_LEVEL | ICR_ASSERT)) == ICR_LEVEL)
			return 0; /* de-assert: only arbitration of old */
		break;
	case LAPIC_MODE_LOWEST:
	case LAPIC_MODE_NMI:
	case LAPIC_MODE_SIPI: break;
	default: return 0; /* SMI: there is no SMM here; the rest is reserved */
	}
	if (mode <= LAPIC_MODE_LOWEST && vector < 16) {
		error_note(l, ESR_SEND_VECTOR);
		return LAPIC_EVENT;
	}
	/* Only a fixed interrupt may reach its sender through a shorthand. */
	if (mode != LAPIC_MODE_FIXED && (shorthand == LAPIC_TO_SELF || shorthand == LAPIC_TO_ALL))
		return 0;
	l->ipi = (struct lapic_ipi){
		.dest = dest,
		.mode = mode,
		.vector = vector,
		.shorthand = shorthand,
		.logical = !!(low & ICR_LOGICAL),
	};
	return LAPIC_IPI;
}

bool lapic_match(const struct lapic *l, u32 dest, bool logical, bool x2)
{
	u32 mine;

	if (!lapic_hw_enabled(l))
		return false;
	if (dest == (x2 ? ~0u : 0xffu))
		return true;
	if (!logical)
		return dest == (lapic_x2apic(l) ? l->id : l->id & 0xff);
	if (lapic_x2apic(l))
		return dest >> 16 == l->id >> 4 && dest >> (l->id & 15) & 1;
	if (dest > 0xff)
		return false;
	mine = l->ldr >> 24;
	if (l->dfr >> 28 == 0xf) /* flat */
		return dest & mine;
	if (l->dfr >> 28)
		return false;
	/* cluster; cluster 15 addresses all of them */
	return (dest >> 4 == mine >> 4 || dest >> 4 == 0xf) && (dest & mine & 0xf);
}

/* ------------------------------------------------------------- registers */

/* Power-on values of the registers (SDM "Local APIC State After Power-Up"). */
static void registers_reset(struct lapic *l)
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
	l->timer_expiry = STOPPED;
	l->timer_frac = 0;
	l->tsc_deadline = 0;
	enabled_update(l);
}

void lapic_reset(struct lapic *l, u32 id, bool bsp, u64 tsc_hz, u32 phys_bits)
{
	*l = (struct lapic){ .id = id, .tsc_hz = tsc_hz, .phys_bits = (u8)phys_bits };
	l->apic_base = LAPIC_MMIO_BASE | APIC_BASE_ENABLE | (bsp ? APIC_BASE_BSP : 0);
	registers_reset(l);
	if (bsp) {
		l->svr |= SVR_ENABLE;
		l->lvt[LVT_LINT0] = LAPIC_MODE_EXTINT << 8;
		l->lvt[LVT_LINT1] = LAPIC_MODE_NMI << 8;
		enabled_update(l);
	}
}

void lapic_init_signal(struct lapic *l)
{
	registers_reset(l);
}

static u32 svr_write(struct lapic *l, u32 value)
{
	l->svr = value & SVR_BITS;
	enabled_update(l);
	if (!l->enabled)
		for (u32 i = 0; i < LVT_COUNT; i++)
			l->lvt[i] |= LVT_MASKED;
	return LAPIC_TIMER | LAPIC_EVENT;
}

static int lvt_index(u32 reg)
{
	return reg >= LAPIC_LVT_TIMER && reg <= LAPIC_LVT_ERROR ? (int)(reg - LAPIC_LVT_TIMER) >> 4
								: -1;
}

static u32 lvt_write(struct lapic *l, int index, u32 value, u64 now)
{
	value &= lvt_bits[index];
	if (!l->enabled)
		value |= LVT_MASKED;
	if (index == LVT_TIMER)
		return timer_lvt_write(l, value, now);
	l->lvt[index] = value;
	return index == LVT_LINT0 ? LAPIC_EVENT : 0;
}

static u32 ldr_read(const struct lapic *l)
{
	return lapic_x2apic(l) ? l->id >> 4 << 16 | 1u << (l->id & 15) : l->ldr;
}

/* A register that exists in both modes; false: there is none to read. */
static bool reg_read(const struct lapic *l, u32 reg, u64 now, u32 *value)
{
	int lvt = lvt_index(reg);

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
	case LAPIC_TIMER_COUNT: *value = timer_count(l, now); return true;
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

/* A register that is writable in both modes; false: there is none. */
static bool reg_write(struct lapic *l, u32 reg, u32 value, u64 now, u32 *effects)
{
	int lvt = lvt_index(reg);

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
	case LAPIC_TIMER_INIT: *effects = timer_init_write(l, value, now); return true;
	case LAPIC_TIMER_DIVIDE: *effects = timer_divide_write(l, value, now); return true;
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
	if (!reg_read(l, offset, now_tsc, &value))
		error_note(l, ESR_REGISTER);
	return value;
}

u32 lapic_write(struct lapic *l, u32 offset, u32 value, u64 now_tsc)
{
	u32 effects = 0, unused;

	if (offset & 15)
		return 0;
	switch (offset) {
	case LAPIC_LDR: l->ldr = value & 0xff000000; return 0;
	case LAPIC_DFR: l->dfr = value | 0x0fffffff; return 0;
	case LAPIC_ICR2: l->icr_high = value & 0xff000000; return 0;
	case LAPIC_ICR:
		l->icr_low = value & ICR_BITS & ~ICR_STATUS;
		return icr_send(l, l->icr_low, l->icr_high >> 24);
	case LAPIC_APR:
	case LAPIC_RRD: return 0;
	default: break;
	}
	/* Writing a read-only register changes nothing and is no error. */
	if (!reg_write(l, offset, value, now_tsc, &effects) &&
	    !reg_read(l, offset, now_tsc, &unused)) {
		error_note(l, ESR_REGISTER);
		return LAPIC_EVENT;
	}
	return effects;
}

/* ------------------------------------------------------------------ MSRs */

/* Bits that must be zero in an x2APIC register write. */
static u64 x2_reserved(u32 reg)
{
	int lvt = lvt_index(reg);
	u64 bits;

	if (lvt >= 0) {
		bits = lvt_bits[lvt] | LVT_STATUS;
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
		*effects = icr_send(l, l->icr_low, l->icr_high);
		return true;
	case LAPIC_SELF_IPI: *effects = self_ipi(l, (u8)value); return true;
	default: return reg_write(l, reg, (u32)value, now, effects);
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
		registers_reset(l); /* switched off, or on again */
	enabled_update(l);
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
	    !reg_read(l, reg, now_tsc, &word))
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
		if (timer_mode(l) != TIMER_DEADLINE)
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
