/*
 * The TSC's rate, by comparing it (drivers/rate.c) with clocks of known rate:
 * ACPI PM timer (3.579545 MHz, ACPI 6.5 4.8.3.3), PIT channel 2 (1.193182
 * MHz, 8254), HPET (rate in its capabilities). CPUID's own figures are wrong on
 * emulators and absent on many CPUs, so they are only the last resort. BSP only.
 */
#include "drivers/clock.h"
#include "arch/cpu.h"
#include "arch/kmap.h"
#include "arch/log.h"
#include "arch/x86.h"
#include "drivers/acpi.h"
#include "drivers/rate.h"

#define PM_TIMER_HZ 3579545u
#define PIT_HZ 1193182u
#define PIIX4_PM_TIMER 0xb008 /* where it is on an i440FX without tables */
#define GUESS_HZ 1000000000u

#define HPET_CAPS 0x000
#define HPET_CONFIG 0x010
#define HPET_COUNTER 0x0f0
#define FEMTO_PER_SECOND 1000000000000000ull
#define HPET_PERIOD_MAX 100000000u /* fs; the specification's limit */

static u16 pm_port;
static hpa_t hpet_base;
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
static bool start_pit(struct rate_source *s)
{
	(void)s;
	outb(0x61, (u8)((inb(0x61) & ~2u) | 1));
	outb(0x43, 0xb4);
	outb(0x42, 0);
	outb(0x42, 0);
	return true;
}

static bool start_hpet(struct rate_source *s)
{
	u32 period;

	hpet = hpet_base ? kmap_mmio(hpet_base, 0x400, false) : NULL;
	if (!hpet)
		return false;
	period = *(volatile u32 *)(hpet + HPET_CAPS + 4);
	if (period == 0 || period > HPET_PERIOD_MAX)
		return false;
	*(volatile u32 *)(hpet + HPET_CONFIG) |= 1;
	s->hz = FEMTO_PER_SECOND / period;
	return true;
}

static u64 read_tsc(void)
{
	return rdtsc();
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
	return (u32)((hz + 500000) / 1000000);
}

static void log_lone_clock(const struct rate_source *s, u32 n)
{
	for (u32 i = 0; i < n; i++)
		log_warn("%s: %u measurements, about %u MHz", s[i].name, s[i].count,
			 s[i].count ? mhz(s[i].rates[s[i].count / 2]) : 0);
}

void clock_init(const struct acpi_info *acpi)
{
	struct rate_source sources[] = {
		{ .name = "PM timer",
		  .hz = PM_TIMER_HZ,
		  .mask = acpi->pm_timer_32bit ? 0xffffffff : 0xffffff,
		  .read = read_pm },
		{ .name = "PIT",
		  .hz = PIT_HZ,
		  .mask = 0xffff,
		  .read = read_pit,
		  .start = start_pit },
		/* last: two others that agree at once leave it alone */
		{ .name = "HPET", .mask = 0xffffffff, .read = read_hpet, .start = start_hpet },
	};
	struct rate_result r;

	pm_port = (u16)(acpi->pm_timer_port ? acpi->pm_timer_port : PIIX4_PM_TIMER);
	hpet_base = acpi->hpet;
	r = rate_find(sources, ARRAY_SIZE(sources), read_tsc);
	tsc_hz = r.hz;
	if (r.and) {
		log_info("TSC %u MHz by %s and %s", mhz(tsc_hz), r.by, r.and);
		return;
	}
	if (tsc_hz) {
		log_warn("TSC %u MHz by the %s alone: no other clock agrees", mhz(tsc_hz), r.by);
		log_lone_clock(sources, ARRAY_SIZE(sources));
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
