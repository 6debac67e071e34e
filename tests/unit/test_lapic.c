/*
 * kernel/lapic.c against the SDM's rules: priorities, EOI, modes and their
 * transitions, LVTs, IPIs, destinations, errors, the three timers; and random
 * accesses against a slow model of IRR, ISR and PPR.
 */
// SOURCES: kernel/lapic*.c
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/lapic.h"

#define HZ 2500000000ull
#define X2(reg) (0x800u + ((reg) >> 4))
#define NONE (~0ull)

static struct lapic l;

/* A write whose effects are not the point. */
static void wr(u32 reg, u32 value, u64 now)
{
	u32 effects = lapic_write(&l, reg, value, now);

	assert_int_equal(effects & ~0x1fu, 0);
}

static int setup_bsp(void **state)
{
	(void)state;
	lapic_reset(&l, 0, true, HZ, 40);
	return 0;
}

static int setup_x2(void **state)
{
	u32 effects;

	(void)state;
	lapic_reset(&l, 0x123, true, HZ, 40);
	assert_true(lapic_msr_write(&l, MSR_APIC_BASE, 0xfee00d00, 0, &effects));
	assert_int_equal(effects, LAPIC_MODE | LAPIC_TIMER | LAPIC_EVENT);
	assert_true(lapic_x2apic(&l) && !lapic_mmio(&l));
	return 0;
}

static bool wrmsr_ok(u32 msr, u64 value)
{
	struct lapic before = l;
	u32 effects;
	bool ok = lapic_msr_write(&l, msr, value, 0, &effects);

	if (!ok) /* #GP changes nothing */
		assert_memory_equal(&before, &l, sizeof(l));
	return ok;
}

static bool rdmsr_ok(u32 msr)
{
	u64 value;

	return lapic_msr_read(&l, msr, &value, 0);
}

static u64 rd(u32 msr)
{
	u64 value = 0;

	assert_true(lapic_msr_read(&l, msr, &value, 0));
	return value;
}

/* ------------------------------------------------------------ state, modes */

static void reset_state(void **state)
{
	(void)state;
	/* the BSP is in virtual wire mode, as firmware leaves it */
	assert_int_equal(l.apic_base, 0xfee00900);
	assert_int_equal(lapic_read(&l, LAPIC_SVR, 0), 0x1ff);
	assert_true(lapic_lint0_extint(&l));
	assert_true(lapic_lint1_nmi(&l));
	assert_int_equal(lapic_read(&l, LAPIC_LVT_TIMER, 0), 0x10000);
	assert_int_equal(lapic_read(&l, LAPIC_VERSION, 0), 0x50014);

	lapic_reset(&l, 3, false, HZ, 40);
	assert_int_equal(l.apic_base, 0xfee00800);
	assert_int_equal(lapic_read(&l, LAPIC_ID, 0), 3u << 24);
	assert_int_equal(lapic_read(&l, LAPIC_SVR, 0), 0xff);
	assert_int_equal(lapic_read(&l, LAPIC_DFR, 0), ~0u);
	for (u32 r = LAPIC_LVT_TIMER; r <= LAPIC_LVT_ERROR; r += 16)
		assert_int_equal(lapic_read(&l, r, 0), 0x10000);
	assert_false(lapic_lint0_extint(&l));
	assert_int_equal(lapic_pending(&l), -1);
	assert_int_equal(lapic_timer_deadline(&l), NONE);
	lapic_deliver(&l, 0x80, false); /* disabled by software: not accepted */
	assert_int_equal(lapic_pending(&l), -1);
}

static void init_keeps_identity(void **state)
{
	(void)state;
	lapic_deliver(&l, 0x80, true);
	wr(LAPIC_TPR, 0x40, 0);
	lapic_init_signal(&l);
	assert_int_equal(l.apic_base, 0xfee00900);
	assert_int_equal(lapic_pending(&l), -1);
	assert_int_equal(lapic_get_cr8(&l), 0);
	assert_int_equal(lapic_read(&l, LAPIC_SVR, 0), 0xff);
}

static void base_transitions(void **state)
{
	static const u64 mode[] = { 0, 0x800, 0xc00, 0x400 };
	/* from disabled, xAPIC, x2APIC (row) to disabled, xAPIC, x2APIC, invalid */
	static const bool valid[3][4] = { { 1, 1, 0, 0 }, { 1, 1, 1, 0 }, { 1, 0, 1, 0 } };

	(void)state;
	for (u32 from = 0; from < 3; from++)
		for (u32 to = 0; to < 4; to++) {
			setup_bsp(NULL);
			if (from == 0)
				assert_true(wrmsr_ok(MSR_APIC_BASE, 0xfee00100));
			if (from == 2)
				assert_true(wrmsr_ok(MSR_APIC_BASE, 0xfee00d00));
			assert_int_equal(wrmsr_ok(MSR_APIC_BASE, 0xfee00100 | mode[to]),
					 valid[from][to]);
			assert_int_equal(rd(MSR_APIC_BASE) & 0xc00,
					 mode[valid[from][to] ? to : from]);
		}
	setup_bsp(NULL);
	assert_false(wrmsr_ok(MSR_APIC_BASE, 0xfee00901));	     /* reserved */
	assert_false(wrmsr_ok(MSR_APIC_BASE, 0xfee00b00));	     /* reserved */
	assert_false(wrmsr_ok(MSR_APIC_BASE, 0xfee00900 | BIT(40))); /* too wide */
	assert_false(wrmsr_ok(MSR_APIC_BASE, 0xfed00900));	     /* elsewhere */
	assert_true(wrmsr_ok(MSR_APIC_BASE, 0xfee00800));
	assert_int_equal(rd(MSR_APIC_BASE), 0xfee00900); /* the BSP stays one */
}

static void switched_off(void **state)
{
	(void)state;
	lapic_deliver(&l, 0x80, false);
	wr(LAPIC_LVT_LINT0, 0x10000, 0);
	assert_false(lapic_lint0_extint(&l));
	assert_true(wrmsr_ok(MSR_APIC_BASE, 0xfee00100));
	assert_false(lapic_hw_enabled(&l));
	assert_false(lapic_mmio(&l));
	assert_int_equal(lapic_pending(&l), -1); /* its state is lost */
	assert_true(lapic_lint0_extint(&l));	 /* the pins are INTR and NMI now */
	assert_true(lapic_lint1_nmi(&l));
	lapic_deliver(&l, 0x81, false);
	assert_int_equal(lapic_pending(&l), -1);
	assert_false(lapic_match(&l, 0xff, false, false));
	assert_false(rdmsr_ok(X2(LAPIC_ID)));
	assert_true(wrmsr_ok(MSR_APIC_BASE, 0xfee00900));
	assert_int_equal(lapic_read(&l, LAPIC_SVR, 0), 0xff);
}

/* ---------------------------------------------------------------- priority */

static void priorities(void **state)
{
	(void)state;
	lapic_deliver(&l, 0x35, false);
	lapic_deliver(&l, 0x61, false);
	lapic_deliver(&l, 0x31, false);
	assert_int_equal(lapic_pending(&l), 0x61);
	lapic_accept(&l, 0x61);
	assert_int_equal(lapic_read(&l, LAPIC_PPR, 0), 0x60);
	assert_int_equal(lapic_pending(&l), -1); /* lower classes wait */
	lapic_deliver(&l, 0x6f, false);
	assert_int_equal(lapic_pending(&l), -1); /* the same class waits, too */
	lapic_deliver(&l, 0x70, false);
	assert_int_equal(lapic_pending(&l), 0x70);
	lapic_accept(&l, 0x70); /* nested */
	assert_int_equal(lapic_write(&l, LAPIC_EOI, 0, 0), LAPIC_EVENT);
	assert_int_equal(lapic_read(&l, LAPIC_PPR, 0), 0x60);
	assert_int_equal(lapic_write(&l, LAPIC_EOI, 123, 0), LAPIC_EVENT);
	assert_int_equal(lapic_pending(&l), 0x6f);

	assert_int_equal(lapic_write(&l, LAPIC_TPR, 0x65, 0), LAPIC_EVENT);
	assert_int_equal(lapic_read(&l, LAPIC_PPR, 0), 0x65);
	assert_int_equal(lapic_get_cr8(&l), 6);
	assert_int_equal(lapic_pending(&l), -1);
	lapic_set_cr8(&l, 5);
	assert_int_equal(lapic_read(&l, LAPIC_TPR, 0), 0x50);
	assert_int_equal(lapic_pending(&l), 0x6f);
	lapic_set_cr8(&l, 0);
	lapic_accept(&l, 0x6f);
	assert_int_equal(lapic_write(&l, LAPIC_EOI, 0, 0), LAPIC_EVENT);
	assert_int_equal(lapic_pending(&l), 0x35);
	lapic_accept(&l, 0x35);
	wr(LAPIC_EOI, 0, 0);
	assert_int_equal(lapic_pending(&l), 0x31);
	lapic_accept(&l, 0x31);
	wr(LAPIC_EOI, 0, 0);
	assert_int_equal(lapic_pending(&l), -1);
	assert_int_equal(lapic_write(&l, LAPIC_EOI, 0, 0), 0); /* one too many */
}

static void level_eoi(void **state)
{
	(void)state;
	lapic_deliver(&l, 0x41, true);
	assert_int_equal(lapic_read(&l, LAPIC_TMR + 0x20, 0), 2);
	assert_int_equal(lapic_read(&l, LAPIC_IRR + 0x20, 0), 2);
	lapic_accept(&l, 0x41);
	assert_int_equal(lapic_read(&l, LAPIC_IRR + 0x20, 0), 0);
	assert_int_equal(lapic_read(&l, LAPIC_ISR + 0x20, 0), 2);
	assert_int_equal(lapic_write(&l, LAPIC_EOI, 0, 0), LAPIC_EVENT | LAPIC_EOI_LEVEL);
	assert_int_equal(l.eoi_vector, 0x41);
	lapic_deliver(&l, 0x41, false); /* the same vector, edge this time */
	lapic_accept(&l, 0x41);
	assert_int_equal(lapic_write(&l, LAPIC_EOI, 0, 0), LAPIC_EVENT);
}

/* What the registers must say, computed the slow way. */
static void random_against_model(void **state)
{
	bool irr[256] = { 0 }, isr[256] = { 0 }, tmr[256] = { 0 };
	u32 tpr = 0;

	(void)state;
	srand(3);
	for (u32 step = 0; step < 100000; step++) {
		int top_irr = -1, top_isr = -1, pending;
		u32 v = 16 + (u32)rand() % 240, ppr, effects;
		bool level = rand() & 1;

		switch (rand() % 4) {
		case 0:
			lapic_deliver(&l, (u8)v, level);
			irr[v] = true;
			tmr[v] = level;
			break;
		case 1:
			tpr = (u32)rand() & 0xff;
			wr(LAPIC_TPR, tpr, 0);
			break;
		case 2:
			pending = lapic_pending(&l);
			if (pending < 0)
				break;
			lapic_accept(&l, (u8)pending);
			irr[pending] = false;
			isr[pending] = true;
			break;
		default:
			for (int i = 0; i < 256; i++)
				if (isr[i])
					top_isr = i;
			effects = lapic_write(&l, LAPIC_EOI, 0, 0);
			if (top_isr < 0) {
				assert_int_equal(effects, 0);
				break;
			}
			isr[top_isr] = false;
			assert_int_equal(!!(effects & LAPIC_EOI_LEVEL), tmr[top_isr]);
			top_isr = -1;
		}
		for (int i = 0; i < 256; i++) {
			u32 word = (u32)i / 32 * 16, bit = (u32)i % 32;

			if (irr[i])
				top_irr = i;
			if (isr[i])
				top_isr = i;
			if (step % 64)
				continue;
			assert_int_equal(lapic_read(&l, LAPIC_IRR + word, 0) >> bit & 1, irr[i]);
			assert_int_equal(lapic_read(&l, LAPIC_ISR + word, 0) >> bit & 1, isr[i]);
			assert_int_equal(lapic_read(&l, LAPIC_TMR + word, 0) >> bit & 1, tmr[i]);
		}
		ppr = top_isr >= 0 && (u32)top_isr >> 4 > tpr >> 4 ? (u32)top_isr & 0xf0 : tpr;
		assert_int_equal(lapic_read(&l, LAPIC_PPR, 0), ppr);
		assert_int_equal(lapic_pending(&l),
				 top_irr >= 0 && (u32)top_irr >> 4 > ppr >> 4 ? top_irr : -1);
	}
}

/* ------------------------------------------------------ registers and LVTs */

static void software_disable(void **state)
{
	(void)state;
	wr(LAPIC_LVT_ERROR, 0xfe, 0);
	lapic_deliver(&l, 0x50, false);
	wr(LAPIC_SVR, 0xff, 0);
	for (u32 r = LAPIC_LVT_TIMER; r <= LAPIC_LVT_ERROR; r += 16)
		assert_true(lapic_read(&l, r, 0) & 0x10000);
	assert_false(lapic_lint0_extint(&l));
	wr(LAPIC_LVT_LINT0, 0x700, 0); /* cannot be unmasked now */
	assert_int_equal(lapic_read(&l, LAPIC_LVT_LINT0, 0), 0x10700);
	lapic_deliver(&l, 0x60, false);
	assert_int_equal(lapic_pending(&l), 0x50); /* what was there is held */
	wr(LAPIC_SVR, 0x1ff, 0);
	assert_int_equal(lapic_read(&l, LAPIC_LVT_LINT0, 0), 0x10700);
	assert_int_equal(lapic_write(&l, LAPIC_LVT_LINT0, 0x700, 0), LAPIC_EVENT);
	assert_true(lapic_lint0_extint(&l));
	wr(LAPIC_LVT_LINT0, 0x30, 0); /* a fixed one is not ExtINT */
	assert_false(lapic_lint0_extint(&l));
}

static void writable_bits(void **state)
{
	static const struct {
		u32 reg, bits;
	} r[] = {
		{ LAPIC_LVT_TIMER, 0x700ff },
		{ LAPIC_LVT_THERMAL, 0x107ff },
		{ LAPIC_LVT_PERF, 0x107ff },
		{ LAPIC_LVT_LINT0, 0x1a7ff },
		{ LAPIC_LVT_LINT1, 0x1a7ff },
		{ LAPIC_LVT_ERROR, 0x100ff },
		{ LAPIC_LDR, 0xff000000 },
		{ LAPIC_DFR, ~0u },
		{ LAPIC_ICR2, 0xff000000 },
		{ LAPIC_TPR, 0xff },
		{ LAPIC_TIMER_DIVIDE, 0xb },
		{ LAPIC_SVR, 0x3ff },
		{ LAPIC_VERSION, 0x50014 },
		{ LAPIC_ID, 0 },
		{ LAPIC_APR, 0 },
		{ LAPIC_RRD, 0 },
		{ LAPIC_IRR, 0 },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(r); i++) {
		wr(r[i].reg, ~0u, 0);
		assert_int_equal(lapic_read(&l, r[i].reg, 0), r[i].bits);
	}
	wr(LAPIC_DFR, 0, 0);
	assert_int_equal(lapic_read(&l, LAPIC_DFR, 0), 0x0fffffff);
	/* none of these was an error, and unaligned accesses do nothing */
	wr(LAPIC_TPR + 4, 0x12, 0);
	assert_int_equal(lapic_read(&l, LAPIC_TPR, 0), 0xff);
	assert_int_equal(lapic_read(&l, LAPIC_TPR + 1, 0), 0);
	wr(LAPIC_ESR, 0, 0);
	assert_int_equal(lapic_read(&l, LAPIC_ESR, 0), 0);
}

static void errors(void **state)
{
	(void)state;
	wr(LAPIC_LVT_ERROR, 0xfe, 0);
	assert_int_equal(lapic_read(&l, 0x3b0, 0), 0); /* no such register */
	assert_int_equal(lapic_pending(&l), 0xfe);
	assert_int_equal(lapic_read(&l, LAPIC_ESR, 0), 0); /* not latched yet */
	lapic_deliver(&l, 5, false);
	wr(LAPIC_ICR, 0x0b | 1 << 18, 0);
	wr(LAPIC_ESR, 0x1234, 0);
	assert_int_equal(lapic_read(&l, LAPIC_ESR, 0), 0x80 | 0x40 | 0x20);
	wr(LAPIC_ESR, 0, 0);
	assert_int_equal(lapic_read(&l, LAPIC_ESR, 0), 0);

	/* an error while reporting an error */
	lapic_accept(&l, 0xfe);
	wr(LAPIC_EOI, 0, 0);
	wr(LAPIC_LVT_ERROR, 0x08, 0);
	wr(0x3b0, 1, 0);
	wr(LAPIC_ESR, 0, 0);
	assert_int_equal(lapic_read(&l, LAPIC_ESR, 0), 0x80 | 0x40);
	assert_int_equal(lapic_pending(&l), -1);
	/* the whole page answers */
	for (u32 r = 0; r < 0x1000; r += 4) {
		(void)lapic_read(&l, r, 0);
		wr(r, 0xffffffff, 0);
	}
}

/* -------------------------------------------------------------------- IPIs */

static u32 icr(u32 low, u32 dest)
{
	memset(&l.ipi, 0xcc, sizeof(l.ipi));
	wr(LAPIC_ICR2, dest << 24, 0);
	return lapic_write(&l, LAPIC_ICR, low, 0);
}

static void ipis(void **state)
{
	(void)state;
	assert_int_equal(icr(0x4031, 7), LAPIC_IPI);
	assert_int_equal(l.ipi.mode, LAPIC_MODE_FIXED);
	assert_int_equal(l.ipi.vector, 0x31);
	assert_int_equal(l.ipi.dest, 7);
	assert_int_equal(l.ipi.shorthand, LAPIC_TO_DEST);
	assert_false(l.ipi.logical);
	assert_int_equal(lapic_read(&l, LAPIC_ICR, 0), 0x4031);
	assert_int_equal(lapic_read(&l, LAPIC_ICR2, 0), 7 << 24);

	assert_int_equal(icr(0x4000 | 0x800 | 0x100 | 0x44, 0x0f), LAPIC_IPI);
	assert_int_equal(l.ipi.mode, LAPIC_MODE_LOWEST);
	assert_true(l.ipi.logical);
	assert_int_equal(icr(0x4400, 1), LAPIC_IPI);
	assert_int_equal(l.ipi.mode, LAPIC_MODE_NMI);
	assert_int_equal(icr(0xc500, 1), LAPIC_IPI); /* INIT, asserted, level */
	assert_int_equal(l.ipi.mode, LAPIC_MODE_INIT);
	assert_int_equal(icr(0x8500, 1), 0); /* INIT de-assert */
	assert_int_equal(icr(0x4608, 1), LAPIC_IPI);
	assert_int_equal(l.ipi.mode, LAPIC_MODE_SIPI);
	assert_int_equal(l.ipi.vector, 8);
	assert_int_equal(icr(0x4200, 1), 0);	       /* SMI */
	assert_int_equal(icr(0x4300, 1), 0);	       /* reserved */
	assert_int_equal(icr(0x4700, 1), 0);	       /* ExtINT cannot be sent */
	assert_int_equal(icr(0x400f, 1), LAPIC_EVENT); /* bad vector: an error */

	assert_int_equal(icr(0x40000 | 0x51, 1), LAPIC_EVENT); /* self */
	assert_int_equal(lapic_pending(&l), 0x51);
	assert_int_equal(icr(0x80000 | 0x52, 1), LAPIC_IPI);
	assert_int_equal(l.ipi.shorthand, LAPIC_TO_ALL);
	assert_int_equal(icr(0xc0000 | 0x400, 1), LAPIC_IPI); /* NMI to the others */
	assert_int_equal(l.ipi.shorthand, LAPIC_TO_OTHERS);
	assert_int_equal(icr(0x40000 | 0x400, 1), 0); /* NMI to self: not allowed */
	assert_int_equal(icr(0x80000 | 0x500, 1), 0); /* INIT to all: not allowed */
	/* reserved bits and delivery status do not stick */
	(void)icr(~0u & ~0x700u, 1);
	assert_int_equal(lapic_read(&l, LAPIC_ICR, 0), 0xcc8ff & ~0x1000u);
}

static void destinations(void **state)
{
	(void)state;
	lapic_reset(&l, 5, false, HZ, 40);
	assert_true(lapic_match(&l, 5, false, false));
	assert_false(lapic_match(&l, 4, false, false));
	assert_true(lapic_match(&l, 0xff, false, false));
	assert_true(lapic_match(&l, 0xffffffff, false, true));
	assert_false(lapic_match(&l, 0xff, false, true));
	assert_true(lapic_match(&l, 5, false, true));

	wr(LAPIC_LDR, 0x20u << 24, 0); /* flat */
	assert_true(lapic_match(&l, 0x20, true, false));
	assert_true(lapic_match(&l, 0x61, true, false));
	assert_false(lapic_match(&l, 0x41, true, false));
	assert_false(lapic_match(&l, 0, true, false));
	assert_true(lapic_match(&l, 0xff, true, false));
	assert_false(lapic_match(&l, 0x120, true, true));

	wr(LAPIC_DFR, 0x0fffffff, 0); /* cluster 2, member 1 */
	wr(LAPIC_LDR, 0x22u << 24, 0);
	assert_true(lapic_match(&l, 0x23, true, false));
	assert_false(lapic_match(&l, 0x21, true, false));
	assert_false(lapic_match(&l, 0x32, true, false));
	assert_true(lapic_match(&l, 0xf2, true, false));
	assert_false(lapic_match(&l, 0xf1, true, false));
	wr(LAPIC_DFR, 0x5fffffff, 0); /* no such model */
	assert_false(lapic_match(&l, 0x22, true, false));
}

/* ------------------------------------------------------------------ x2APIC */

static void x2_destinations(void **state)
{
	(void)state;
	assert_int_equal(rd(X2(LAPIC_ID)), 0x123);
	assert_int_equal(rd(X2(LAPIC_LDR)), 0x12 << 16 | 1 << 3);
	assert_true(lapic_match(&l, 0x123, false, true));
	assert_false(lapic_match(&l, 0x23, false, true));
	assert_false(lapic_match(&l, 0x23, false, false)); /* 8 bits do not reach it */
	assert_true(lapic_match(&l, 0x120008, true, true));
	assert_true(lapic_match(&l, 0x12000f, true, true));
	assert_false(lapic_match(&l, 0x120007, true, true));
	assert_false(lapic_match(&l, 0x130008, true, true));
	assert_true(lapic_match(&l, 0xffffffff, true, true));
	assert_true(lapic_match(&l, 0xff, false, false)); /* a device's broadcast */
	l.id = 2;
	assert_true(lapic_match(&l, 0x04, true, false)); /* cluster 0, by an MSI */
	assert_true(lapic_match(&l, 2, false, false));
}

static void x2_registers(void **state)
{
	static const u32 read_write[] = { LAPIC_TPR,	   LAPIC_SVR,	     LAPIC_ESR,
					  LAPIC_ICR,	   LAPIC_LVT_TIMER,  LAPIC_LVT_THERMAL,
					  LAPIC_LVT_PERF,  LAPIC_LVT_LINT0,  LAPIC_LVT_LINT1,
					  LAPIC_LVT_ERROR, LAPIC_TIMER_INIT, LAPIC_TIMER_DIVIDE };
	static const u32 read_only[] = { LAPIC_ID, LAPIC_VERSION, LAPIC_PPR, LAPIC_LDR,
					 LAPIC_TIMER_COUNT };

	(void)state;
	for (u32 msr = MSR_X2APIC_FIRST; msr <= MSR_X2APIC_LAST; msr++) {
		u32 reg = (msr - MSR_X2APIC_FIRST) << 4;
		bool r = reg >= LAPIC_ISR && reg < LAPIC_ESR, w = false;

		for (u32 i = 0; i < ARRAY_SIZE(read_write); i++)
			if (reg == read_write[i])
				r = w = true;
		for (u32 i = 0; i < ARRAY_SIZE(read_only); i++)
			r |= reg == read_only[i];
		w |= reg == LAPIC_EOI || reg == LAPIC_SELF_IPI;
		assert_int_equal(rdmsr_ok(msr), r);
		assert_int_equal(wrmsr_ok(msr, 0), w);
		if (reg != LAPIC_ICR)
			assert_false(wrmsr_ok(msr, BIT(32)));
	}
	/* reserved bits */
	assert_false(wrmsr_ok(X2(LAPIC_TPR), 0x100));
	assert_true(wrmsr_ok(X2(LAPIC_TPR), 0xff));
	assert_false(wrmsr_ok(X2(LAPIC_EOI), 1));
	assert_false(wrmsr_ok(X2(LAPIC_ESR), 1));
	assert_false(wrmsr_ok(X2(LAPIC_SVR), 0x1000));
	assert_true(wrmsr_ok(X2(LAPIC_SVR), 0x1ff));
	assert_false(wrmsr_ok(X2(LAPIC_TIMER_DIVIDE), 4));
	assert_false(wrmsr_ok(X2(LAPIC_LVT_TIMER), 0x80000));
	assert_true(wrmsr_ok(X2(LAPIC_LVT_TIMER), 0x300ff));
	assert_false(wrmsr_ok(X2(LAPIC_LVT_ERROR), 0x4fe));
	assert_true(wrmsr_ok(X2(LAPIC_LVT_LINT0), 0x1f7ff)); /* status bits: ignored */
	assert_int_equal(rd(X2(LAPIC_LVT_LINT0)), 0x1a7ff);
	assert_false(wrmsr_ok(X2(LAPIC_SELF_IPI), 0x130));
	for (u32 b = 0; b < 32; b++)
		assert_int_equal(wrmsr_ok(X2(LAPIC_ICR), 0x31 | BIT(b)),
				 b != 13 && b != 16 && b != 17 && b < 20);
	assert_false(wrmsr_ok(X2(LAPIC_DFR), ~0u));
	assert_false(rdmsr_ok(X2(LAPIC_ICR2)));
	assert_true(wrmsr_ok(MSR_APIC_BASE, 0xfee00100));
	assert_false(rdmsr_ok(X2(LAPIC_ID)));
	setup_bsp(NULL);
	assert_false(rdmsr_ok(X2(LAPIC_ID))); /* xAPIC mode: no MSRs */
	assert_false(wrmsr_ok(X2(LAPIC_EOI), 0));
}

static void x2_ipis(void **state)
{
	u32 effects;

	(void)state;
	assert_true(lapic_msr_write(&l, X2(LAPIC_ICR), 0x12345678ull << 32 | 0x4831, 0, &effects));
	assert_int_equal(effects, LAPIC_IPI);
	assert_int_equal(l.ipi.dest, 0x12345678);
	assert_true(l.ipi.logical);
	assert_int_equal(rd(X2(LAPIC_ICR)), 0x12345678ull << 32 | 0x4831);
	assert_true(lapic_msr_write(&l, X2(LAPIC_SELF_IPI), 0x77, 0, &effects));
	assert_int_equal(effects, LAPIC_EVENT);
	assert_int_equal(lapic_pending(&l), 0x77);
	assert_true(lapic_msr_write(&l, X2(LAPIC_SELF_IPI), 3, 0, &effects));
	assert_true(wrmsr_ok(X2(LAPIC_ESR), 0));
	assert_int_equal(rd(X2(LAPIC_ESR)), 0x20);
	lapic_accept(&l, 0x77);
	assert_true(lapic_msr_write(&l, X2(LAPIC_EOI), 0, 0, &effects));
	assert_int_equal(effects, LAPIC_EVENT);
	assert_int_equal(lapic_pending(&l), -1);
}

/* ------------------------------------------------------------------ timers */

/* The count of TSC ticks for bus ticks, exactly. */
static u64 tsc_of(u64 bus, u64 hz)
{
	return (u64)((unsigned __int128)bus * hz / LAPIC_BUS_HZ);
}

static void one_shot(void **state)
{
	u64 now = 1000000;

	(void)state;
	wr(LAPIC_LVT_TIMER, 0x40, now);
	wr(LAPIC_TIMER_DIVIDE, 0x3, now); /* 16 */
	assert_int_equal(lapic_write(&l, LAPIC_TIMER_INIT, 1000, now), LAPIC_TIMER | LAPIC_EVENT);
	assert_int_equal(lapic_timer_deadline(&l), now + tsc_of(16000, HZ));
	assert_int_equal(lapic_read(&l, LAPIC_TIMER_COUNT, now), 1000);
	assert_int_equal(lapic_read(&l, LAPIC_TIMER_COUNT, now + 39), 1000); /* 40 to a count */
	assert_int_equal(lapic_read(&l, LAPIC_TIMER_COUNT, now + 20001), 500);
	assert_int_equal(lapic_read(&l, LAPIC_TIMER_COUNT, now + 39999), 1);
	assert_int_equal(lapic_read(&l, LAPIC_TIMER_COUNT, now + 40000), 0);
	lapic_timer_expire(&l, now + 39999); /* too early */
	assert_int_equal(lapic_pending(&l), -1);
	lapic_timer_expire(&l, now + 40000);
	assert_int_equal(lapic_pending(&l), 0x40);
	assert_int_equal(lapic_timer_deadline(&l), NONE);
	assert_int_equal(lapic_read(&l, LAPIC_TIMER_INIT, now), 1000);
	lapic_accept(&l, 0x40);
	wr(LAPIC_EOI, 0, 0);
	lapic_timer_expire(&l, now + 90000);
	assert_int_equal(lapic_pending(&l), -1); /* once */

	wr(LAPIC_TIMER_INIT, 1000, now);
	wr(LAPIC_TIMER_INIT, 0, now); /* stop */
	assert_int_equal(lapic_timer_deadline(&l), NONE);
	for (u32 code = 0; code < 16; code++) {
		static const u32 divide[] = { 2, 4, 8, 16, 0, 0, 0, 0, 32, 64, 128, 1 };

		if (code & 4)
			continue;
		wr(LAPIC_TIMER_DIVIDE, code, now);
		wr(LAPIC_TIMER_INIT, ~0u, now);
		assert_int_equal(lapic_timer_deadline(&l),
				 now + tsc_of(0xffffffffull * divide[code], HZ));
	}
}

static void masked_timer(void **state)
{
	(void)state;
	wr(LAPIC_TIMER_DIVIDE, 0xb, 0);
	wr(LAPIC_LVT_TIMER, 0x10040, 0);
	wr(LAPIC_TIMER_INIT, 1000000, 0);
	assert_int_equal(lapic_timer_deadline(&l), NONE); /* nobody listens */
	assert_int_equal(lapic_read(&l, LAPIC_TIMER_COUNT, 1250000), 500000);
	wr(LAPIC_LVT_TIMER, 0x40, 1250000);
	assert_int_equal(lapic_timer_deadline(&l), 2500000);
	wr(LAPIC_LVT_TIMER, 0x10040, 1250000);
	/* it passes while masked: the interrupt is lost */
	wr(LAPIC_LVT_TIMER, 0x40, 2500001);
	assert_int_equal(lapic_timer_deadline(&l), NONE);
	assert_int_equal(lapic_pending(&l), -1);
	/* due, not yet expired, then masked: it did happen */
	wr(LAPIC_TIMER_INIT, 1000, 3000000);
	wr(LAPIC_LVT_TIMER, 0x10040, 3100000);
	assert_int_equal(lapic_pending(&l), 0x40);
}

static void periodic_without_drift(void **state)
{
	/* frequencies that divide badly */
	static const u64 hz[] = { HZ, 2499999999ull, 999999937ull, 50000000, 3ull, 1193182 };

	(void)state;
	for (u32 h = 0; h < ARRAY_SIZE(hz); h++) {
		const u64 start = 12345, bus = 1000003ull * 16;

		lapic_reset(&l, 0, true, hz[h], 40);
		wr(LAPIC_LVT_TIMER, 0x20030, start);
		wr(LAPIC_TIMER_DIVIDE, 0x3, start);
		wr(LAPIC_TIMER_INIT, 1000003, start);
		for (u64 k = 1; k < 20000; k++) {
			u64 due = lapic_timer_deadline(&l);

			if (due != start + tsc_of(bus * k, hz[h]))
				assert_int_equal(k, 0);
			lapic_timer_expire(&l, due);
			if (hz[h] < 1000)
				break; /* slower than the period: only must not hang */
			assert_int_equal(lapic_pending(&l), 0x30);
			lapic_accept(&l, 0x30);
			wr(LAPIC_EOI, 0, 0);
		}
	}
}

static void periodic_missed(void **state)
{
	const u64 period = tsc_of(1000000, HZ); /* 1 ms */
	u64 now = 77;

	(void)state;
	wr(LAPIC_LVT_TIMER, 0x20030, now);
	wr(LAPIC_TIMER_DIVIDE, 0xb, now);
	wr(LAPIC_TIMER_INIT, 1000000, now);
	lapic_timer_expire(&l, now + period * 1000 + 5); /* late: merged into one */
	assert_int_equal(lapic_pending(&l), 0x30);
	assert_int_equal(lapic_timer_deadline(&l), now + period * 1001);
	/* the count goes on during an expiry that nobody has noticed */
	assert_int_equal(lapic_read(&l, LAPIC_TIMER_COUNT, now + period * 1001 + period / 2),
			 500000);
	srand(4);
	for (u32 i = 0; i < 5000; i++) {
		u64 at = lapic_timer_deadline(&l) + ((u64)rand() << 8) % (period * 40);

		lapic_timer_expire(&l, at);
		assert_true(lapic_timer_deadline(&l) > at);
		assert_true(lapic_timer_deadline(&l) <= at + period);
		assert_int_equal((lapic_timer_deadline(&l) - now) % period, 0);
	}
}

static void periodic_storms(void **state)
{
	(void)state;
	wr(LAPIC_LVT_TIMER, 0x20030, 0);
	wr(LAPIC_TIMER_DIVIDE, 0xb, 0);
	wr(LAPIC_TIMER_INIT, 1, 0);
	assert_int_equal(lapic_timer_deadline(&l), tsc_of(LAPIC_MIN_PERIOD, HZ));
	lapic_timer_expire(&l, tsc_of(LAPIC_MIN_PERIOD, HZ));
	assert_int_equal(lapic_timer_deadline(&l), tsc_of(2 * LAPIC_MIN_PERIOD, HZ));
	assert_in_range(lapic_read(&l, LAPIC_TIMER_COUNT, 300000), 0, 1);
	/* a one-shot made periodic late */
	wr(LAPIC_LVT_TIMER, 0x00030, 0);
	wr(LAPIC_TIMER_INIT, 10, 0);
	wr(LAPIC_LVT_TIMER, 0x20030, 0);
	lapic_timer_expire(&l, 1000);
	assert_true(lapic_timer_deadline(&l) >= tsc_of(LAPIC_MIN_PERIOD, HZ));
}

/* A TSC that a guest has moved anywhere: nothing loops, nothing overflows. */
static void wild_clocks(void **state)
{
	static const u64 hz[] = { 0, 1, 1000000, HZ, ~0ull };
	static const u64 when[] = { 0, 1, 1ull << 32, 1ull << 62, ~0ull >> 1, ~0ull - 1, ~0ull };

	(void)state;
	for (u32 h = 0; h < ARRAY_SIZE(hz); h++)
		for (u32 a = 0; a < ARRAY_SIZE(when); a++)
			for (u32 b = 0; b < ARRAY_SIZE(when); b++)
				for (u32 mode = 0; mode < 4; mode++) {
					u64 v;

					lapic_reset(&l, 0, true, hz[h], 40);
					wr(LAPIC_LVT_TIMER, mode << 17 | 0x30, when[a]);
					wr(LAPIC_TIMER_INIT, 1 + a * 1000, when[a]);
					assert_true(wrmsr_ok(MSR_TSC_DEADLINE, when[b]));
					(void)lapic_read(&l, LAPIC_TIMER_COUNT, when[b]);
					lapic_timer_expire(&l, when[b]);
					v = lapic_timer_deadline(&l);
					(void)v;
					wr(LAPIC_TIMER_DIVIDE, 0, when[b]);
					lapic_tsc_moved(&l, when[a]);
					lapic_timer_expire(&l, when[a]);
				}
}

static void tsc_moved(void **state)
{
	(void)state;
	wr(LAPIC_LVT_TIMER, 0x40, 0);
	lapic_tsc_moved(&l, 5000);
	assert_int_equal(lapic_timer_deadline(&l), NONE);
	wr(LAPIC_TIMER_INIT, 1000, 10);
	lapic_tsc_moved(&l, 1000000);
	assert_int_equal(lapic_timer_deadline(&l), 10 + 5000 + 1000000);
	lapic_tsc_moved(&l, -1000000ull);
	assert_int_equal(lapic_timer_deadline(&l), 10 + 5000);
}

static void tsc_deadline(void **state)
{
	u32 effects;
	u64 value;

	(void)state;
	/* ignored in the other modes */
	assert_true(lapic_msr_write(&l, MSR_TSC_DEADLINE, 500, 100, &effects));
	assert_int_equal(effects, 0);
	assert_int_equal(rd(MSR_TSC_DEADLINE), 0);
	wr(LAPIC_TIMER_INIT, 1000, 100);
	wr(LAPIC_LVT_TIMER, 0x40030, 100); /* the change of mode disarms */
	assert_int_equal(lapic_timer_deadline(&l), NONE);
	wr(LAPIC_TIMER_INIT, 1000, 100); /* ignored now */
	assert_int_equal(lapic_read(&l, LAPIC_TIMER_INIT, 100), 0);
	assert_int_equal(lapic_read(&l, LAPIC_TIMER_COUNT, 100), 0);

	assert_true(lapic_msr_write(&l, MSR_TSC_DEADLINE, 500, 100, &effects));
	assert_int_equal(effects, LAPIC_TIMER | LAPIC_EVENT);
	assert_int_equal(lapic_timer_deadline(&l), 500);
	assert_int_equal(rd(MSR_TSC_DEADLINE), 500);
	assert_int_equal(lapic_pending(&l), -1);
	lapic_timer_expire(&l, 499);
	assert_int_equal(lapic_pending(&l), -1);
	lapic_timer_expire(&l, 500);
	assert_int_equal(lapic_pending(&l), 0x30);
	assert_int_equal(rd(MSR_TSC_DEADLINE), 0);
	assert_int_equal(lapic_timer_deadline(&l), NONE);
	lapic_accept(&l, 0x30);
	wr(LAPIC_EOI, 0, 0);

	/* in the past: at once */
	assert_true(lapic_msr_write(&l, MSR_TSC_DEADLINE, 700, 700, &effects));
	assert_int_equal(lapic_pending(&l), 0x30);
	lapic_accept(&l, 0x30);
	wr(LAPIC_EOI, 0, 0);
	/* disarmed by 0, silent when masked */
	assert_true(lapic_msr_write(&l, MSR_TSC_DEADLINE, 900, 700, &effects));
	assert_true(lapic_msr_write(&l, MSR_TSC_DEADLINE, 0, 700, &effects));
	assert_int_equal(lapic_timer_deadline(&l), NONE);
	wr(LAPIC_LVT_TIMER, 0x50030, 700);
	assert_true(lapic_msr_write(&l, MSR_TSC_DEADLINE, 900, 700, &effects));
	assert_int_equal(lapic_timer_deadline(&l), NONE);
	assert_true(lapic_msr_read(&l, MSR_TSC_DEADLINE, &value, 901));
	assert_int_equal(value, 0);
	wr(LAPIC_LVT_TIMER, 0x40030, 901);
	assert_int_equal(lapic_pending(&l), -1);
	/* leaving the mode forgets the deadline */
	assert_true(lapic_msr_write(&l, MSR_TSC_DEADLINE, 2000, 901, &effects));
	wr(LAPIC_LVT_TIMER, 0x30, 901);
	wr(LAPIC_LVT_TIMER, 0x40030, 901);
	assert_int_equal(lapic_timer_deadline(&l), NONE);
}

static void divide_while_running(void **state)
{
	(void)state;
	wr(LAPIC_LVT_TIMER, 0x40, 0);
	wr(LAPIC_TIMER_DIVIDE, 0xb, 0);
	wr(LAPIC_TIMER_INIT, 1000, 0);
	/* half of it is left (1250 of 2500 ticks), from now on at a quarter of the speed */
	wr(LAPIC_TIMER_DIVIDE, 0x1, 1250);
	assert_in_range(lapic_timer_deadline(&l), 1250 + 4990, 1250 + 5020);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup_bsp)
#define T2(f) cmocka_unit_test_setup(f, setup_x2)
	const struct CMUnitTest tests[] = {
		T(reset_state),
		T(init_keeps_identity),
		T(base_transitions),
		T(switched_off),
		T(priorities),
		T(level_eoi),
		T(random_against_model),
		T(software_disable),
		T(writable_bits),
		T(errors),
		T(ipis),
		T(destinations),
		T2(x2_destinations),
		T2(x2_registers),
		T2(x2_ipis),
		T(one_shot),
		T(masked_timer),
		T(periodic_without_drift),
		T(periodic_missed),
		T(periodic_storms),
		T(wild_clocks),
		T(tsc_moved),
		T(tsc_deadline),
		T(divide_while_running),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
