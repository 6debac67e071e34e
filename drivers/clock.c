/*
 * The TSC's rate, by comparing it for some milliseconds with clocks of known
 * rate: ACPI PM timer (3.579545 MHz, ACPI 6.5 4.8.3.3), PIT channel 2 (1.193182
 * MHz, 8254), HPET (rate in its capabilities). CPUID's own figures are wrong on
 * emulators and absent on many CPUs, so they are only the last resort. BSP only.
 */
#include "drivers/clock.h"
#include "arch/cpu.h"
#include "arch/kmap.h"
#include "arch/log.h"
#include "arch/x86.h"
#include "drivers/acpi.h"

#define PM_TIMER_HZ 3579545u
#define PIT_HZ 1193182u
#define PIIX4_PM_TIMER 0xb008 /* where it is on an i440FX without tables */
#define MEASURE_US 8000u
#define ALIVE_READS 3000u
#define CHANGES 4u
#define ROUNDS 3u /* another hypervisor may stop us for longer than a source's turn */
#define MAX_READS 100000u
#define SPIN 200u      /* between reads, which are slow in emulators */
#define TOLERANCE 200u /* sources agree within 1/200 */
#define GUESS_HZ 1000000000u

#define HPET_CAPS 0x000
#define HPET_CONFIG 0x010
#define HPET_COUNTER 0x0f0
#define FEMTO_PER_SECOND 1000000000000000ull
#define HPET_PERIOD_MAX 100000000u /* fs; the specification's limit */

struct source {
	const char *name;
	u64 hz, mask;
	u64 (*read)(void); /* counts up, modulo mask + 1 */
};

static u16 pm_port;
static volatile u8 *hpet;

static u64 read_pm(void)
{
	return inl(pm_port);
}

static u64 read_pit(void)
{
	u32 low;

	outb(0x43, 0x80); /* latch channel 2 */
	low = inb(0x42);
	return 0xffff - (low | (u32)inb(0x42) << 8);
}

static u64 read_hpet(void)
{
	return *(volatile u32 *)(hpet + HPET_COUNTER);
}

/* Channel 2 counts down from 65536 in mode 2, gate on, speaker off. */
static void start_pit(void)
{
	outb(0x61, (u8)((inb(0x61) & ~2u) | 1));
	outb(0x43, 0xb4);
	outb(0x42, 0);
	outb(0x42, 0);
}

static bool start_hpet(hpa_t base, struct source *s)
{
	u32 period;

	hpet = base ? kmap_mmio(base, 0x400, false) : NULL;
	if (!hpet)
		return false;
	period = *(volatile u32 *)(hpet + HPET_CAPS + 4);
	if (period == 0 || period > HPET_PERIOD_MAX)
		return false;
	*(volatile u32 *)(hpet + HPET_CONFIG) |= 1;
	*s = (struct source){ "HPET", FEMTO_PER_SECOND / period, 0xffffffff, read_hpet };
	return true;
}

/*
 * The TSC at a moment when the source's value changes; 0: it does not. Of a few
 * changes the one that is known most exactly: SMIs and other hypervisors break in.
 */
static u64 tsc_at_change(const struct source *s, u64 *value)
{
	u64 last = s->read() & s->mask;
	u64 best = ~0ull, tsc = 0;
	u32 changes = 0;

	for (u32 i = 0; i < ALIVE_READS && changes < CHANGES; i++) {
		u64 before = rdtsc();
		u64 v = s->read() & s->mask;
		u64 width = rdtsc() - before;

		if (v == last)
			continue;
		last = v;
		changes++;
		if (width < best) {
			best = width;
			tsc = before + width / 2;
			*value = v;
		}
	}
	return tsc;
}

/* TSC ticks per second by this source, or 0 when it stands still or races. */
static u64 measure(const struct source *s)
{
	u64 want = s->hz * MEASURE_US / 1000000;
	u64 from, to, t0, t1, counts;

	t0 = tsc_at_change(s, &from);
	if (!t0)
		return 0;
	for (u32 i = 0; (((s->read() & s->mask) - from) & s->mask) < want; i++) {
		if (i == MAX_READS)
			return 0;
		for (u32 j = 0; j < SPIN; j++)
			barrier();
	}
	t1 = tsc_at_change(s, &to);
	counts = (to - from) & s->mask;
	if (!t1 || t1 <= t0 || counts == 0 || counts > s->mask / 2)
		return 0;
	return (t1 - t0) * s->hz / counts;
}

static bool agree(u64 a, u64 b)
{
	u64 d = a > b ? a - b : b - a;

	return a && b && d <= MAX(a, b) / TOLERANCE;
}

/* Leaf 0x15 (crystal ratio) or 0x16 (base MHz), if believable. */
static u64 hz_of_cpuid(void)
{
	u32 r[4], max;

	cpuid_count(0, 0, r);
	max = r[0];
	if (max >= 0x15) {
		cpuid_count(0x15, 0, r);
		if (r[0] && r[1] && r[2])
			return (u64)r[2] * r[1] / r[0];
	}
	if (max >= 0x16) {
		cpuid_count(0x16, 0, r);
		return (u64)(r[0] & 0xffff) * 1000000;
	}
	return 0;
}

static u32 mhz(u64 hz)
{
	return (u32)(hz / 1000000);
}

static bool accept(u64 hz, const char *one, const char *other)
{
	tsc_hz = hz;
	log_info("TSC %u MHz by %s and %s", mhz(hz), one, other);
	return true;
}

void clock_init(const struct acpi_info *acpi)
{
	struct source pm = { "PM timer", PM_TIMER_HZ, acpi->pm_timer_32bit ? 0xffffffff : 0xffffff,
			     read_pm };
	struct source pit = { "PIT", PIT_HZ, 0xffff, read_pit };
	struct source third = { "HPET", 0, 0, NULL };
	u64 by_pm = 0, by_pit = 0, by_third = 0;

	pm_port = (u16)(acpi->pm_timer_port ? acpi->pm_timer_port : PIIX4_PM_TIMER);
	start_pit();
	for (u32 i = 0; i < ROUNDS; i++) {
		by_pm = measure(&pm);
		by_pit = measure(&pit);
		if (agree(by_pm, by_pit) && accept(by_pm, pm.name, pit.name))
			return;
		if (third.read || start_hpet(acpi->hpet, &third))
			by_third = measure(&third);
		if (agree(by_pm, by_third) && accept(by_third, third.name, pm.name))
			return;
		if (agree(by_pit, by_third) && accept(by_third, third.name, pit.name))
			return;
	}
	tsc_hz = by_pm ? by_pm : by_third ? by_third : by_pit;
	if (tsc_hz) {
		log_warn("TSC %u MHz by one clock alone (PM timer %u, HPET %u, PIT %u)",
			 mhz(tsc_hz), mhz(by_pm), mhz(by_third), mhz(by_pit));
		return;
	}
	tsc_hz = hz_of_cpuid();
	if (tsc_hz < 100000000 || tsc_hz > 20000000000ull) {
		tsc_hz = GUESS_HZ;
		log_error("no clock works: the TSC is taken for %u MHz", mhz(tsc_hz));
		return;
	}
	log_warn("TSC %u MHz by CPUID alone: no other clock works", mhz(tsc_hz));
}
