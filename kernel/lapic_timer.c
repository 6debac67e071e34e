/*
 * The virtual local APIC's timer: one-shot, periodic and TSC deadline (Intel
 * SDM Vol. 3A "APIC Timer"). It is not run by ticks: its state is the guest
 * TSC of the next expiry, and counts are computed when they are read.
 */
#include "kernel/lapic_internal.h"

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

u32 lapic_timer_count(const struct lapic *l, u64 now)
{
	u64 left, counts, rem;

	if (l->timer_expiry == TIMER_STOPPED || lapic_timer_mode(l) == TIMER_DEADLINE)
		return 0;
	if (now < l->timer_expiry) {
		left = l->timer_expiry - now;
	} else {
		u64 period = mul_div(timer_period(l), l->tsc_hz, LAPIC_BUS_HZ, &rem);

		if (lapic_timer_mode(l) != TIMER_PERIODIC || !period)
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
		return TIMER_STOPPED; /* it runs, but nobody will hear it */
	if (lapic_timer_mode(l) == TIMER_DEADLINE)
		return l->tsc_deadline ? l->tsc_deadline : TIMER_STOPPED;
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
		l->timer_expiry = TIMER_STOPPED; /* a frequency of 0 */
}

void lapic_timer_expire(struct lapic *l, u64 now)
{
	u32 lvt = l->lvt[LVT_TIMER];

	if (lapic_timer_mode(l) == TIMER_DEADLINE) {
		if (!l->tsc_deadline || now < l->tsc_deadline)
			return;
		l->tsc_deadline = 0;
	} else {
		if (l->timer_expiry == TIMER_STOPPED || now < l->timer_expiry)
			return;
		if (lapic_timer_mode(l) == TIMER_PERIODIC)
			timer_next_period(l, now);
		else
			l->timer_expiry = TIMER_STOPPED;
	}
	if (!(lvt & LVT_MASKED))
		lapic_deliver(l, (u8)lvt, false);
}

void lapic_tsc_moved(struct lapic *l, u64 delta)
{
	if (l->timer_expiry != TIMER_STOPPED)
		l->timer_expiry += delta;
}

u32 lapic_timer_lvt_write(struct lapic *l, u32 value, u64 now)
{
	u32 old_mode = lapic_timer_mode(l);

	lapic_timer_expire(l, now); /* what was due fell under the old entry */
	l->lvt[LVT_TIMER] = value;
	if (old_mode != lapic_timer_mode(l) &&
	    (old_mode == TIMER_DEADLINE || lapic_timer_mode(l) == TIMER_DEADLINE)) {
		l->timer_expiry = TIMER_STOPPED;
		l->timer_init = 0;
		l->tsc_deadline = 0;
	}
	return LAPIC_TIMER | LAPIC_EVENT;
}

u32 lapic_timer_init_write(struct lapic *l, u32 value, u64 now)
{
	if (lapic_timer_mode(l) == TIMER_DEADLINE)
		return 0;
	lapic_timer_expire(l, now);
	l->timer_init = value;
	l->timer_expiry = TIMER_STOPPED;
	if (value && lapic_timer_mode(l) == TIMER_PERIODIC)
		timer_start(l, timer_period(l), now);
	else if (value)
		timer_start(l, (u64)value * timer_divider(l), now);
	return LAPIC_TIMER | LAPIC_EVENT;
}

u32 lapic_timer_divide_write(struct lapic *l, u32 value, u64 now)
{
	u32 count;

	lapic_timer_expire(l, now);
	count = lapic_timer_count(l, now);
	l->timer_divide = value & 0xb;
	if (count) /* the count goes on from here at the new speed */
		timer_start(l, (u64)count * timer_divider(l), now);
	return LAPIC_TIMER | LAPIC_EVENT;
}
