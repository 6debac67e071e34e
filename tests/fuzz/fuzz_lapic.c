/*
 * The virtual LAPIC: register and MSR accesses, interrupts that arrive and are
 * taken, time. Beside it a slow model of IRR, ISR and TMR; after each step what
 * the LAPIC derives from them must be what the manual's rules give, a refused
 * MSR write has changed nothing, and the timer is never due for ever.
 */
// SOURCES-OF: tests/unit/test_lapic.c
// FLAGS: -fno-sanitize-coverage=trace-cmp
// RUNS: 40000
// MAX_LEN: 200
#include "fuzz.h"

#include "kernel/lapic.h"

#define HZ 2500000000ull
#define EFFECTS 0x1fu
#define LVT_MASKED 0x10000u
#define VECTORS 256

static struct lapic l;
static u32 irr[VECTORS / 32], isr[VECTORS / 32], tmr[VECTORS / 32];

static bool bit(const u32 *reg, int n)
{
	return reg[n / 32] >> (n % 32) & 1;
}

static void put(u32 *reg, int n, bool value)
{
	reg[n / 32] &= ~(1u << n % 32);
	reg[n / 32] |= (u32)value << n % 32;
}

/* The model takes over what the LAPIC says: for steps that it does not follow. */
static void resync(void)
{
	memcpy(irr, l.irr, sizeof(irr));
	memcpy(isr, l.isr, sizeof(isr));
	memcpy(tmr, l.tmr, sizeof(tmr));
}

static int top(const u32 *set)
{
	for (int i = VECTORS - 1; i >= 0; i--)
		if (!set[i / 32])
			i -= 31; /* none of these */
		else if (bit(set, i))
			return i;
	return -1;
}

static void check(void)
{
	int serving = top(isr), asking = top(irr);
	u32 ppr = serving < 0 ? 0 : (u32)serving & 0xf0;

	FUZZ_CHECK(memcmp(l.irr, irr, sizeof(irr)) == 0 && memcmp(l.isr, isr, sizeof(isr)) == 0);
	for (u32 i = 0; i < VECTORS / 32; i++)
		FUZZ_CHECK(((l.tmr[i] ^ tmr[i]) & (irr[i] | isr[i])) == 0);
	FUZZ_CHECK(!((irr[0] | isr[0]) & 0xffff));
	FUZZ_CHECK(l.irr_top == asking && l.isr_top == serving);
	if ((l.tpr & 0xf0u) >= ppr)
		ppr = l.tpr;
	FUZZ_CHECK(l.ppr == ppr);
	if (asking >> 4 > (int)ppr >> 4)
		FUZZ_CHECK(lapic_pending(&l) == asking);
	else
		FUZZ_CHECK(lapic_pending(&l) < 0);
	FUZZ_CHECK(l.enabled == (lapic_hw_enabled(&l) && l.svr & 0x100));
	if (!l.enabled)
		for (u32 i = 0; i < LVT_COUNT; i++)
			FUZZ_CHECK(l.lvt[i] & LVT_MASKED || !lapic_hw_enabled(&l));
	FUZZ_CHECK(!(lapic_x2apic(&l) && !lapic_hw_enabled(&l)));
	FUZZ_CHECK((l.apic_base & ~(APIC_BASE_ENABLE | APIC_BASE_X2APIC | APIC_BASE_BSP)) ==
		   LAPIC_MMIO_BASE);
	FUZZ_CHECK(lapic_get_cr8(&l) == l.tpr >> 4);
}

/* An end of interrupt: the highest in service, and no other. */
static void model_eoi(u32 effects)
{
	int vector = top(isr);

	if (vector < 0) {
		FUZZ_CHECK(!(effects & LAPIC_EOI_LEVEL));
		return;
	}
	FUZZ_CHECK(!!(effects & LAPIC_EOI_LEVEL) == bit(tmr, vector));
	if (effects & LAPIC_EOI_LEVEL)
		FUZZ_CHECK(l.eoi_vector == vector);
	put(isr, vector, false);
}

static void check_ipi(u32 effects)
{
	if (!(effects & LAPIC_IPI))
		return;
	FUZZ_CHECK(l.ipi.mode == LAPIC_MODE_FIXED || l.ipi.mode == LAPIC_MODE_LOWEST ||
		   l.ipi.mode == LAPIC_MODE_NMI || l.ipi.mode == LAPIC_MODE_INIT ||
		   l.ipi.mode == LAPIC_MODE_SIPI);
	FUZZ_CHECK(l.ipi.shorthand <= LAPIC_TO_OTHERS && l.ipi.logical <= 1);
	if (l.ipi.mode <= LAPIC_MODE_LOWEST)
		FUZZ_CHECK(l.ipi.vector >= 16);
	if (!lapic_x2apic(&l))
		FUZZ_CHECK(l.ipi.dest <= 0xff);
}

static void written(u32 reg, u32 effects)
{
	FUZZ_CHECK((effects & ~EFFECTS) == 0);
	check_ipi(effects);
	if (reg == LAPIC_EOI)
		model_eoi(effects);
	else
		FUZZ_CHECK(!(effects & LAPIC_EOI_LEVEL));
	/* these may request an interrupt, or reset all */
	if (reg == LAPIC_EOI || reg == LAPIC_TPR)
		check();
	resync();
}

static void write_mmio(struct fuzz_in *in, u64 now)
{
	u32 offset = fuzz_u8(in) << 4 | (fuzz_u8(in) > 250), value = fuzz_u32(in);

	if (fuzz_u8(in) & 1)
		value &= 0x7ffff;
	if (offset == LAPIC_TIMER_INIT || offset == LAPIC_LVT_TIMER) /* what falls due meanwhile */
		lapic_timer_expire(&l, now), resync();
	if (lapic_mmio(&l))
		written(offset, lapic_write(&l, offset, value, now));
}

static void write_msr(struct fuzz_in *in, u64 now)
{
	u8 which = fuzz_u8(in);
	u32 msr = 0x800u + (which & 0x3f), effects = 0;
	u64 value = fuzz_u8(in) & 1 ? fuzz_u64(in) : fuzz_u8(in);
	struct lapic before = l;

	if (which >= 0xe0) {
		msr = MSR_APIC_BASE;
		value = LAPIC_MMIO_BASE | (value & 0xd00) | (which == 0xe1 ? value : 0);
	} else if (which >= 0xd0) {
		msr = MSR_TSC_DEADLINE;
		value = which & 1 ? now + value : value;
	} else if (which >= 0xc0) {
		msr = fuzz_u32(in);
	}
	if (!lapic_msr_write(&l, msr, value, now, &effects)) {
		FUZZ_CHECK(memcmp(&before, &l, sizeof(l)) == 0);
		return;
	}
	written(msr == 0x80b ? LAPIC_EOI : 0, effects);
}

static void read_any(struct fuzz_in *in, u64 now)
{
	u8 which = fuzz_u8(in);
	struct lapic before = l;
	u64 value = 0;
	u32 got;

	if (which & 0x80) {
		bool ok = lapic_msr_read(&l,
					 which == 0xff	 ? (u32)MSR_APIC_BASE
					 : which == 0xfe ? (u32)MSR_TSC_DEADLINE
							 : 0x800u + (which & 0x7f),
					 &value, now);

		FUZZ_CHECK(memcmp(&before, &l, sizeof(l)) == 0);
		if (!ok)
			FUZZ_CHECK(value == 0);
	} else if (lapic_mmio(&l)) {
		got = lapic_read(&l, (u32)which << 4, now);
		if (which << 4 == LAPIC_TIMER_COUNT)
			FUZZ_CHECK(got <= l.timer_init);
		resync(); /* an error may be an interrupt */
		FUZZ_CHECK(before.isr_top == l.isr_top && before.tpr == l.tpr);
	}
}

static void deliver(struct fuzz_in *in)
{
	u8 vector = fuzz_u8(in), level = fuzz_u8(in) & 1;

	lapic_deliver(&l, vector, level);
	if (!l.enabled)
		return;
	if (vector < 16) {
		resync();
		return;
	}
	put(irr, vector, true);
	put(tmr, vector, level);
}

static void take(void)
{
	int vector = lapic_pending(&l);

	if (vector < 0)
		return;
	lapic_accept(&l, (u8)vector);
	put(irr, vector, false);
	put(isr, vector, true);
	FUZZ_CHECK(lapic_pending(&l) < 0 || lapic_pending(&l) >> 4 > vector >> 4);
}

static void expire(u64 now)
{
	u64 deadline;

	lapic_timer_expire(&l, now);
	deadline = lapic_timer_deadline(&l);
	/* or a host timer would come again at once, for ever; ~0: it is stopped */
	FUZZ_CHECK(deadline > now || deadline == ~0ull);
	resync();
}

static void match(struct fuzz_in *in)
{
	u32 dest = fuzz_u32(in);
	bool logical = dest & 1, x2 = dest & 2;

	dest = fuzz_u8(in) & 1 ? dest >> 8 : dest >> 24;
	if (lapic_match(&l, dest, logical, x2))
		FUZZ_CHECK(lapic_hw_enabled(&l));
	if (!lapic_x2apic(&l) && !x2 && dest > 0xff)
		FUZZ_CHECK(!lapic_match(&l, dest, logical, x2));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	u64 now = fuzz_u32(&in);

	lapic_reset(&l, fuzz_u8(&in), fuzz_u8(&in) & 1, HZ >> (now & 7), 40);
	resync();
	for (u32 i = 0; in.n && i < 150; i++) {
		u8 op = fuzz_u8(&in);

		switch (op & 15) {
		case 0 ... 3: write_mmio(&in, now); break;
		case 4 ... 6: write_msr(&in, now); break;
		case 7: read_any(&in, now); break;
		case 8:
		case 9: deliver(&in); break;
		case 10:
		case 11: take(); break;
		case 12:
			now += fuzz_u32(&in) << (op >> 4);
			expire(now);
			break;
		case 13: lapic_set_cr8(&l, fuzz_u8(&in)); break;
		case 14: match(&in); break;
		case 15:
			if (op & 0x80) {
				lapic_init_signal(&l);
				resync();
			} else if (op & 0x40) { /* the guest sets its TSC, to anywhere */
				u64 delta = fuzz_u64(&in);

				now += delta;
				lapic_tsc_moved(&l, delta);
			} else {
				(void)lapic_lint0_extint(&l);
				(void)lapic_lint1_nmi(&l);
			}
			break;
		}
		check();
	}
	return 0;
}
