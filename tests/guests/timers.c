/*
 * Every clock a guest may count on, each measured with the ACPI PM timer:
 * LAPIC one-shot, periodic and TSC-deadline through xAPIC and x2APIC, the PIT
 * through the PIC and through the IOAPIC, PIT channel 2, the TSC, the RTC.
 * Lower limits are strict (a timer never fires early), upper ones leave room
 * for a busy machine below. With "strict" on the command line time is that of
 * this guest's own instructions, and they leave less.
 */
#include "lib.h"

const char guest_name[] = "timers";

#define VEC 0x40
/* How late an interrupt may be on a loaded test machine, and what is waited for it: pm_since()
 * is good for 4 s. */
#define LATE_US (option("strict") ? 400000u : 3000000u)
#define WAIT_US 3500000
#define TRIES 8 /* of what only a guest that is never held up gets right at once */

static u32 lapic_per_ms;
static u64 tsc_per_ms;

static u32 to_us(u32 pm_ticks)
{
	return (u32)((u64)pm_ticks * 1000000 / PM_HZ);
}

/* A clock's ticks per ms, looked at for us microseconds. Being held up between two readings makes
 * them fewer, never more: the most that one of several tries gives and another confirms. */
static u64 calibrate(const char *what, u64 (*clock)(void), u32 us)
{
	u64 best = 0, rate, from;

	for (u32 i = 0; i < TRIES; i++) {
		u32 start = pm_read();

		from = clock();
		spin_us(us);
		rate = clock() - from;
		rate = rate * PM_US(1000) / pm_since(start);
		if (rate && rate <= best + best / 50 && rate >= best - best / 50)
			return rate > best ? rate : best;
		if (rate > best)
			best = rate;
	}
	fail("%s against PM timer: %lu, then %lu ticks per ms", what, best, rate);
	return best;
}

static u64 read_tsc(void)
{
	return rdtsc();
}

static u64 read_lapic(void)
{
	return 0xffffffff - apic_read(LAPIC_TIMER_CURRENT);
}

static void check_pm_and_tsc(void)
{
	u32 last = pm_read();
	u64 tsc = rdtsc();

	for (u32 i = 0; i < 2000; i++) {
		u32 now = pm_read();
		u64 t = rdtsc();

		CHECK(((now - last) & 0xffffff) < 0x800000, "the PM timer went back: %x, %x", last,
		      now);
		CHECK(t > tsc, "the TSC went back: %lx, %lx", tsc, t);
		last = now;
		tsc = t;
	}
	tsc_per_ms = calibrate("TSC", read_tsc, 50000);
	print("TSC %lu kHz\n", tsc_per_ms);
}

static void calibrate_lapic(void)
{
	apic_write(LAPIC_LVT_TIMER, LVT_MASKED | VEC);
	apic_write(LAPIC_TIMER_DIVIDE, 0xb);
	apic_write(LAPIC_TIMER_INITIAL, 0xffffffff);
	lapic_per_ms = (u32)calibrate("LAPIC timer", read_lapic, 20000);
	CHECK(lapic_per_ms > 1000, "LAPIC timer: %u ticks per ms", lapic_per_ms);
	apic_write(LAPIC_TIMER_INITIAL, 0);
	CHECK(!apic_read(LAPIC_TIMER_CURRENT), "a stopped LAPIC timer counts");
	print("LAPIC timer %u kHz\n", lapic_per_ms);
}

static void check_elapsed(const char *what, u32 pm, u32 us)
{
	u32 took = to_us(pm_since(pm));

	CHECK(took >= us - us / 20, "%s: %u us instead of %u", what, took, us);
	CHECK(took <= us + LATE_US, "%s: %u us instead of %u", what, took, us);
}

static void check_lapic(const char *mode)
{
	u32 pm, r[4];

	calibrate_lapic();

	/* One-shot: once, not early, and then no more. */
	irq_count[VEC] = 0;
	apic_write(LAPIC_LVT_TIMER, VEC);
	pm = pm_read();
	apic_write(LAPIC_TIMER_INITIAL, 10 * lapic_per_ms);
	CHECK(wait_count(&irq_count[VEC], 1, WAIT_US), "%s: no one-shot interrupt", mode);
	check_elapsed(mode, pm, 10000);
	wait_count(&irq_count[VEC], 2, 25000);
	CHECK(irq_count[VEC] == 1, "%s: a one-shot fired %u times", mode, irq_count[VEC]);
	CHECK(!apic_read(LAPIC_TIMER_CURRENT), "%s: an expired one-shot counts on", mode);

	/* Divided by 16: sixteen times as long. */
	irq_count[VEC] = 0;
	apic_write(LAPIC_TIMER_DIVIDE, 3);
	pm = pm_read();
	apic_write(LAPIC_TIMER_INITIAL, lapic_per_ms);
	CHECK(wait_count(&irq_count[VEC], 1, WAIT_US), "%s: no divided one-shot", mode);
	check_elapsed("divided by 16", pm, 16000);
	apic_write(LAPIC_TIMER_DIVIDE, 0xb);

	/* Masked: nothing. */
	irq_count[VEC] = 0;
	apic_write(LAPIC_LVT_TIMER, LVT_MASKED | VEC);
	apic_write(LAPIC_TIMER_INITIAL, lapic_per_ms);
	wait_count(&irq_count[VEC], 1, 10000);
	CHECK(!irq_count[VEC], "%s: a masked timer fires", mode);

	/* Periodic. */
	irq_count[VEC] = 0;
	apic_write(LAPIC_LVT_TIMER, 0x20000 | VEC);
	pm = pm_read();
	apic_write(LAPIC_TIMER_INITIAL, 3 * lapic_per_ms);
	CHECK(wait_count(&irq_count[VEC], 10, WAIT_US), "%s: %u of 10 periodic interrupts", mode,
	      irq_count[VEC]);
	check_elapsed("ten periods", pm, 30000);
	apic_write(LAPIC_TIMER_INITIAL, 0);
	irq_count[VEC] = 0;
	wait_count(&irq_count[VEC], 2, 15000);
	CHECK(irq_count[VEC] <= 1, "%s: a stopped periodic timer fires", mode);

	/* It wakes HLT. */
	irq_count[VEC] = 0;
	apic_write(LAPIC_LVT_TIMER, VEC);
	pm = pm_read();
	apic_write(LAPIC_TIMER_INITIAL, 5 * lapic_per_ms);
	asm volatile("sti; hlt; cli" : : : "memory");
	CHECK(irq_count[VEC] == 1, "%s: HLT returned after %u interrupts", mode, irq_count[VEC]);
	check_elapsed("HLT", pm, 5000);

	cpuid(1, 0, r);
	if (!(r[2] & 1 << 24))
		return;
	irq_count[VEC] = 0;
	apic_write(LAPIC_LVT_TIMER, 0x40000 | VEC);
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + 3000 * tsc_per_ms);
	CHECK(rdmsr(MSR_TSC_DEADLINE), "%s: the deadline reads 0 while armed", mode);
	pm = pm_read();
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + 10 * tsc_per_ms); /* instead of the other */
	CHECK(wait_count(&irq_count[VEC], 1, WAIT_US), "%s: no deadline interrupt", mode);
	check_elapsed("deadline", pm, 10000);
	CHECK(!rdmsr(MSR_TSC_DEADLINE), "%s: the deadline stays after it fired", mode);
	/* In the past: at once. */
	irq_count[VEC] = 0;
	pm = pm_read();
	wrmsr(MSR_TSC_DEADLINE, 1);
	CHECK(wait_count(&irq_count[VEC], 1, WAIT_US), "%s: a past deadline does not fire", mode);
	check_elapsed("past deadline", pm, 0);
	/* Zero: never, if it was written in time. */
	for (u32 i = 0; i < TRIES; i++) {
		u64 due = rdtsc() + 5 * tsc_per_ms;

		wrmsr(MSR_TSC_DEADLINE, due);
		wrmsr(MSR_TSC_DEADLINE, 0);
		irq_count[VEC] = 0;
		if (rdtsc() < due)
			break;
		wait_count(&irq_count[VEC], 1, 1000); /* it may be pending */
		irq_count[VEC] = 0;
	}
	wait_count(&irq_count[VEC], 1, 15000);
	CHECK(!irq_count[VEC], "%s: a cancelled deadline fires", mode);
	/* The initial count does nothing in this mode. */
	apic_write(LAPIC_TIMER_INITIAL, lapic_per_ms);
	wait_count(&irq_count[VEC], 1, 10000);
	CHECK(!irq_count[VEC], "%s: a count fires in deadline mode", mode);
	apic_write(LAPIC_LVT_TIMER, LVT_MASKED | VEC);
}

static void pit_channel0(u16 count)
{
	outb(0x43, 0x34); /* mode 2, low then high */
	outb(0x40, count & 0xff);
	outb(0x40, count >> 8);
}

static void pic_eoi(struct frame *f)
{
	(void)f;
	outb(0x20, 0x20);
}

static void check_pit_pic(void)
{
	u32 pm, a, b;

	pit_channel0(11932); /* 100 Hz */
	outb(0x43, 0);
	a = inb(0x40);
	a |= (u32)inb(0x40) << 8;
	spin_us(1000);
	outb(0x43, 0);
	b = inb(0x40);
	b |= (u32)inb(0x40) << 8;
	CHECK(a <= 11932 && b <= 11932 && a != b, "PIT counter: %u, then %u", a, b);

	irq_count[0x20] = 0;
	irq_hook[0x20] = pic_eoi;
	no_eoi = true;
	apic_write(LAPIC_LVT_LINT0, 0x700); /* ExtINT */
	pic_mask(0xfffe);
	wait_count(&irq_count[0x20], 1, WAIT_US);
	irq_count[0x20] = 0;
	pm = pm_read();
	CHECK(wait_count(&irq_count[0x20], 10, WAIT_US), "PIT by PIC: %u of 10", irq_count[0x20]);
	CHECK(to_us(pm_since(pm)) >= 80000, "PIT by PIC: ten ticks in %u us", to_us(pm_since(pm)));
	check_elapsed("PIT by PIC", pm, 84000);
	pic_mask(0xffff);
	wait_count(&irq_count[0x20], 1000, 1000);
	irq_count[0x20] = 0;
	wait_count(&irq_count[0x20], 1, 30000);
	CHECK(!irq_count[0x20], "a masked IRQ0 fires");
	apic_write(LAPIC_LVT_LINT0, LVT_MASKED);
	no_eoi = false;
}

static void check_pit_ioapic(void)
{
	u32 pm;

	irq_count[0x41] = 0;
	ioapic_route(2, (u64)apic_id() << 56 | 0x41);
	wait_count(&irq_count[0x41], 1, WAIT_US);
	irq_count[0x41] = 0;
	pm = pm_read();
	CHECK(wait_count(&irq_count[0x41], 10, WAIT_US), "PIT by IOAPIC: %u of 10",
	      irq_count[0x41]);
	check_elapsed("PIT by IOAPIC", pm, 84000);
	ioapic_route(2, LVT_MASKED);
	irq_count[0x41] = 0;
	wait_count(&irq_count[0x41], 2, 30000);
	CHECK(irq_count[0x41] <= 1, "a masked pin 2 fires");
}

/* Linux calibrates the TSC this way. */
static void check_pit_channel2(void)
{
	u32 pm;

	outb(0x61, (inb(0x61) & ~2) | 1);
	outb(0x43, 0xb0); /* mode 0 */
	outb(0x42, 11932 & 0xff);
	pm = pm_read();
	outb(0x42, 11932 >> 8);
	CHECK(!(inb(0x61) & 0x20) || pm_since(pm) > PM_US(9500), "PIT channel 2 is done at once");
	while (!(inb(0x61) & 0x20) && pm_since(pm) < PM_US(WAIT_US))
		cpu_pause();
	CHECK(inb(0x61) & 0x20, "PIT channel 2 never ends");
	check_elapsed("PIT channel 2", pm, 10000);
	outb(0x61, inb(0x61) & ~1);
}

static u32 rtc(u8 reg)
{
	outb(0x70, reg);
	return inb(0x71);
}

static void check_rtc(void)
{
	u32 pm = pm_read(), s, year;

	while (rtc(10) & 0x80 && pm_since(pm) < PM_US(1000000))
		cpu_pause();
	s = rtc(0);
	year = rtc(9);
	CHECK(year >= 0x24 && year <= 0x99 && rtc(0x32) == 0x20, "the year is %x%x", rtc(0x32),
	      year);
	CHECK(rtc(8) >= 1 && rtc(8) <= 0x12 && rtc(7) >= 1 && rtc(7) <= 0x31, "month %x day %x",
	      rtc(8), rtc(7));
	while (rtc(0) == s && pm_since(pm) < PM_US(3000000))
		cpu_pause();
	CHECK(rtc(0) != s, "the RTC stands still");
	print("RTC 20%02x-%02x-%02x %02x:%02x\n", rtc(9), rtc(8), rtc(7), rtc(4), rtc(2));
}

void guest_main(void)
{
	u32 r[4];

	check_pm_and_tsc();
	check_lapic("xAPIC");
	check_pit_channel2();
	check_pit_pic();
	check_pit_ioapic();
	check_rtc();
	cpuid(1, 0, r);
	if (r[2] & 1 << 21) {
		apic_enter_x2();
		check_lapic("x2APIC");
	} else {
		CHECK(!bulkhead, "no x2APIC");
	}
}
