/*
 * Every clock a guest may count on, each measured with the ACPI PM timer:
 * LAPIC one-shot, periodic and TSC-deadline through xAPIC and x2APIC, the PIT
 * through the PIC and through the IOAPIC, PIT channel 2, the TSC, the RTC.
 * Lower limits are strict (a timer never fires early), upper ones leave room
 * for a busy machine below.
 */
#include "lib.h"

const char guest_name[] = "timers";

#define VEC 0x40
#define LATE_US 400000 /* how late an interrupt may be on a loaded test machine */

static u32 lapic_per_ms;
static u64 tsc_per_ms;

static u32 to_us(u32 pm_ticks)
{
	return (u32)((u64)pm_ticks * 1000000 / PM_HZ);
}

static void check_pm_and_tsc(void)
{
	u32 last = pm_read(), start, ticks;
	u64 t0, tsc = rdtsc(), window[2];

	for (u32 i = 0; i < 2000; i++) {
		u32 now = pm_read();
		u64 t = rdtsc();

		CHECK(((now - last) & 0xffffff) < 0x800000, "the PM timer went back: %x, %x", last,
		      now);
		CHECK(t > tsc, "the TSC went back: %lx, %lx", tsc, t);
		last = now;
		tsc = t;
	}
	for (u32 i = 0; i < 2; i++) {
		start = pm_read();
		t0 = rdtsc();
		spin_us(50000);
		window[i] = rdtsc() - t0;
		ticks = pm_since(start);
		window[i] = window[i] * PM_US(1000) / ticks;
	}
	tsc_per_ms = window[1];
	CHECK(window[0] / 20 >
		      (window[0] > window[1] ? window[0] - window[1] : window[1] - window[0]),
	      "TSC against PM timer: %lu, then %lu ticks per ms", window[0], window[1]);
	print("TSC %lu kHz\n", tsc_per_ms);
}

static void calibrate_lapic(void)
{
	u32 pm, ticks, counted;

	apic_write(LAPIC_LVT_TIMER, LVT_MASKED | VEC);
	apic_write(LAPIC_TIMER_DIVIDE, 0xb);
	apic_write(LAPIC_TIMER_INITIAL, 0xffffffff);
	pm = pm_read();
	counted = apic_read(LAPIC_TIMER_CURRENT);
	spin_us(20000);
	counted -= apic_read(LAPIC_TIMER_CURRENT);
	ticks = pm_since(pm);
	lapic_per_ms = (u32)((u64)counted * PM_US(1000) / ticks);
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
	CHECK(wait_count(&irq_count[VEC], 1, 1000000), "%s: no one-shot interrupt", mode);
	check_elapsed(mode, pm, 10000);
	wait_count(&irq_count[VEC], 2, 25000);
	CHECK(irq_count[VEC] == 1, "%s: a one-shot fired %u times", mode, irq_count[VEC]);
	CHECK(!apic_read(LAPIC_TIMER_CURRENT), "%s: an expired one-shot counts on", mode);

	/* Divided by 16: sixteen times as long. */
	irq_count[VEC] = 0;
	apic_write(LAPIC_TIMER_DIVIDE, 3);
	pm = pm_read();
	apic_write(LAPIC_TIMER_INITIAL, lapic_per_ms);
	CHECK(wait_count(&irq_count[VEC], 1, 1000000), "%s: no divided one-shot", mode);
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
	CHECK(wait_count(&irq_count[VEC], 10, 1500000), "%s: %u of 10 periodic interrupts", mode,
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
	pm = pm_read();
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + 10 * tsc_per_ms);
	CHECK(rdmsr(MSR_TSC_DEADLINE), "%s: the deadline reads 0 while armed", mode);
	CHECK(wait_count(&irq_count[VEC], 1, 1000000), "%s: no deadline interrupt", mode);
	check_elapsed("deadline", pm, 10000);
	CHECK(!rdmsr(MSR_TSC_DEADLINE), "%s: the deadline stays after it fired", mode);
	/* In the past: at once. Zero: never. */
	irq_count[VEC] = 0;
	wrmsr(MSR_TSC_DEADLINE, 1);
	CHECK(wait_count(&irq_count[VEC], 1, 100000), "%s: a past deadline does not fire", mode);
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + 5 * tsc_per_ms);
	wrmsr(MSR_TSC_DEADLINE, 0);
	wait_count(&irq_count[VEC], 2, 15000);
	CHECK(irq_count[VEC] == 1, "%s: a cancelled deadline fires", mode);
	/* The initial count does nothing in this mode. */
	apic_write(LAPIC_TIMER_INITIAL, lapic_per_ms);
	wait_count(&irq_count[VEC], 2, 10000);
	CHECK(irq_count[VEC] == 1, "%s: a count fires in deadline mode", mode);
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
	wait_count(&irq_count[0x20], 1, 1000000);
	irq_count[0x20] = 0;
	pm = pm_read();
	CHECK(wait_count(&irq_count[0x20], 10, 2000000), "PIT by PIC: %u of 10", irq_count[0x20]);
	CHECK(to_us(pm_since(pm)) >= 80000, "PIT by PIC: ten ticks in %u us", to_us(pm_since(pm)));
	check_elapsed("PIT by PIC", pm, 85000);
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
	wait_count(&irq_count[0x41], 1, 1000000);
	irq_count[0x41] = 0;
	pm = pm_read();
	CHECK(wait_count(&irq_count[0x41], 10, 2000000), "PIT by IOAPIC: %u of 10",
	      irq_count[0x41]);
	check_elapsed("PIT by IOAPIC", pm, 85000);
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
	CHECK(!(inb(0x61) & 0x20), "PIT channel 2 is done at once");
	while (!(inb(0x61) & 0x20) && pm_since(pm) < PM_US(1000000))
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
