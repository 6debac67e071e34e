/*
 * The local APIC of the CPU this runs on (SDM Vol. 3A chapter 10, APM Vol. 2
 * chapter 16), by MMIO (xAPIC) or by MSR (x2APIC). APIC_BASE.EN is never
 * cleared: some implementations cannot set it again. Mode and timer rate are
 * written by the BSP before other CPUs start.
 */
#include "arch/apic.h"
#include "arch/cpu.h"
#include "arch/kmap.h"
#include "arch/log.h"
#include "arch/panic.h"
#include "arch/vectors.h"
#include "arch/x86.h"

/* Register offsets of the MMIO page; MSR 0x800 + offset / 16. */
#define APIC_ID 0x020
#define APIC_VERSION 0x030
#define APIC_TPR 0x080
#define APIC_EOI 0x0b0
#define APIC_LDR 0x0d0
#define APIC_DFR 0x0e0
#define APIC_SVR 0x0f0
#define APIC_ESR 0x280
#define APIC_LVT_CMCI 0x2f0
#define APIC_ICR_LOW 0x300
#define APIC_ICR_HIGH 0x310
#define APIC_LVT_TIMER 0x320
#define APIC_LVT_THERMAL 0x330
#define APIC_LVT_PERF 0x340
#define APIC_LVT_LINT0 0x350
#define APIC_LVT_LINT1 0x360
#define APIC_LVT_ERROR 0x370
#define APIC_TIMER_INITIAL 0x380
#define APIC_TIMER_CURRENT 0x390
#define APIC_TIMER_DIVIDE 0x3e0

#define LVT_MASKED BIT(16)
#define LVT_TSC_DEADLINE BIT(18)
#define LVT_NMI (4u << 8)
#define SVR_ENABLE BIT(8)
#define DIVIDE_BY_1 0xb
#define ICR_BUSY BIT(12)
#define ICR_ASSERT BIT(14)
#define ICR_NMI (4u << 8)
#define ICR_INIT (5u << 8)
#define ICR_STARTUP (6u << 8)

#define APIC_BASE_ADDR 0x000ffffffffff000ull
#define ICR_POLLS 100000u
#define CALIBRATE_US 700u
#define CALIBRATE_ROUNDS 3u
#define COUNT_MAX 0xffffffffu

static bool x2;
static bool deadline_mode;
static volatile u8 *regs;
/* timer counts = TSC ticks * count_mul >> 32 */
static u64 count_mul;
static u64 max_ticks; /* the furthest deadline that the count can hold */

static u32 reg_read(u32 reg)
{
	if (x2)
		return (u32)rdmsr(MSR_X2APIC_FIRST + reg / 16);
	return *(volatile u32 *)(regs + reg);
}

static void reg_write(u32 reg, u32 value)
{
	if (x2)
		wrmsr(MSR_X2APIC_FIRST + reg / 16, value);
	else
		*(volatile u32 *)(regs + reg) = value;
}

/* The 8259s send nothing; what they may still send goes to VEC_PIC_FIRST.. */
static void mask_8259(void)
{
	outb(0x20, 0x11);
	outb(0xa0, 0x11);
	outb(0x21, VEC_PIC_FIRST);
	outb(0xa1, VEC_PIC_FIRST + 8);
	outb(0x21, 4);
	outb(0xa1, 2);
	outb(0x21, 1);
	outb(0xa1, 1);
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
}

static void init_this(void)
{
	u64 base = rdmsr(MSR_APIC_BASE);
	u32 max_lvt;

	if (x2)
		wrmsr(MSR_APIC_BASE, base | APIC_BASE_EN | APIC_BASE_EXTD);
	else if (!(base & APIC_BASE_EN))
		wrmsr(MSR_APIC_BASE, base | APIC_BASE_EN);

	max_lvt = reg_read(APIC_VERSION) >> 16 & 0xff;
	if (!x2) {
		reg_write(APIC_DFR, 0xffffffff);
		reg_write(APIC_LDR, 0);
	}
	reg_write(APIC_TPR, 0);
	reg_write(APIC_SVR, SVR_ENABLE | VEC_SPURIOUS);
	reg_write(APIC_LVT_TIMER, LVT_MASKED);
	reg_write(APIC_LVT_LINT0, LVT_MASKED);
	reg_write(APIC_LVT_LINT1, LVT_NMI);
	if (max_lvt >= 3)
		reg_write(APIC_LVT_ERROR, LVT_MASKED);
	if (max_lvt >= 4)
		reg_write(APIC_LVT_PERF, LVT_MASKED);
	if (max_lvt >= 5)
		reg_write(APIC_LVT_THERMAL, LVT_MASKED);
	if (max_lvt >= 6)
		reg_write(APIC_LVT_CMCI, LVT_MASKED);
	reg_write(APIC_ESR, 0);
	/* whatever firmware left in service */
	for (u32 i = 0; i < 8; i++)
		apic_eoi();

	if (deadline_mode) {
		reg_write(APIC_LVT_TIMER, (u32)LVT_TSC_DEADLINE | VEC_TIMER);
		/* the mode must be in force before the MSR counts (SDM 10.5.4.1) */
		__asm__ volatile("mfence" ::: "memory");
		wrmsr(MSR_TSC_DEADLINE, 0);
	} else {
		reg_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
		reg_write(APIC_TIMER_INITIAL, 0);
		reg_write(APIC_LVT_TIMER, VEC_TIMER);
	}
}

void apic_init_bsp(void)
{
	u64 base = rdmsr(MSR_APIC_BASE);

	mask_8259();
	x2 = (base & APIC_BASE_EXTD) || cpu_has(CPU_X2APIC);
	deadline_mode = cpu_has(CPU_TSC_DEADLINE);
	if (!x2) {
		regs = kmap_mmio(base & APIC_BASE_ADDR, PAGE_SIZE, false);
		if (!regs)
			panic("cannot map the local APIC at %#llx",
			      (unsigned long long)(base & APIC_BASE_ADDR));
	}
	init_this();
	this_cpu()->apic_id = apic_id();
}

void apic_init_ap(void)
{
	init_this();
	this_cpu()->apic_id = apic_id(); /* whatever the tables said */
}

/*
 * One measurement: counts and TSC ticks of the same interval. Returns how many
 * ticks its ends are uncertain by (an SMI or another hypervisor may break in).
 */
static u64 measure(u64 length, u32 *counts, u64 *ticks)
{
	u64 before, start, end, after;

	before = rdtsc();
	reg_write(APIC_TIMER_INITIAL, COUNT_MAX);
	start = rdtsc();
	do
		end = rdtsc();
	while (end - start < length);
	*counts = COUNT_MAX - reg_read(APIC_TIMER_CURRENT);
	after = rdtsc();
	*ticks = end + (after - end) / 2 - before - (start - before) / 2;
	return (start - before) + (after - end);
}

void apic_calibrate(u64 hz_of_tsc)
{
	u64 best = ~0ull, total = 0;
	u32 best_counts = 0;
	u64 best_ticks = 1;

	if (deadline_mode)
		return;
	reg_write(APIC_LVT_TIMER, LVT_MASKED | VEC_TIMER);
	for (u32 i = 0; i < CALIBRATE_ROUNDS; i++) {
		u32 counts;
		u64 ticks, doubt;

		doubt = measure(hz_of_tsc / 1000000 * CALIBRATE_US, &counts, &ticks);
		if (doubt < best) {
			best = doubt;
			best_counts = counts;
			best_ticks = ticks;
		}
		total += ticks;
		if (total > hz_of_tsc / 1000000 * CALIBRATE_US * CALIBRATE_ROUNDS * 4)
			break; /* somebody else has this CPU: take what there is */
	}
	reg_write(APIC_TIMER_INITIAL, 0);
	reg_write(APIC_LVT_TIMER, VEC_TIMER);
	if (best_counts == 0) {
		log_error("the local APIC's timer does not count; timers will come late");
		best_counts = 1;
	}
	count_mul = ((u64)best_counts << 32) / best_ticks;
	if (count_mul == 0)
		count_mul = 1;
	/* beyond that the product, or the count, would overflow */
	max_ticks = ((u64)(COUNT_MAX / 2) << 32) / MAX(count_mul, BIT(32));
	log_debug("local APIC timer: %u kHz", (u32)((hz_of_tsc / 1000 * count_mul) >> 32));
}

bool apic_is_x2(void)
{
	return x2;
}

const char *apic_timer_name(void)
{
	return deadline_mode ? "TSC deadline" : "one-shot";
}

u32 apic_id(void)
{
	u32 id = reg_read(APIC_ID);

	return x2 ? id : id >> 24;
}

void apic_eoi(void)
{
	if (x2)
		wrmsr(MSR_X2APIC_FIRST + APIC_EOI / 16, 0);
	else
		*(volatile u32 *)(regs + APIC_EOI) = 0;
}

void apic_look_again(void)
{
	reg_write(APIC_TPR, 0);
}

static bool icr_idle(void)
{
	for (u32 i = 0; i < ICR_POLLS; i++) {
		if (!(*(volatile u32 *)(regs + APIC_ICR_LOW) & ICR_BUSY))
			return true;
		cpu_pause();
	}
	return false;
}

static bool icr_send(u32 dest, u32 low)
{
	if (x2) {
		/* an MSR write to the APIC does not wait for earlier stores */
		__asm__ volatile("mfence\n\tlfence" ::: "memory");
		wrmsr(MSR_X2APIC_FIRST + APIC_ICR_LOW / 16, (u64)dest << 32 | low);
		return true;
	}
	if (!regs || dest > 0xff || !icr_idle())
		return false;
	reg_write(APIC_ICR_HIGH, dest << 24);
	reg_write(APIC_ICR_LOW, low);
	return true;
}

bool apic_send(u32 dest, u8 vector)
{
	return icr_send(dest, (u32)ICR_ASSERT | vector);
}

bool apic_nmi(u32 dest)
{
	return icr_send(dest, (u32)ICR_ASSERT | ICR_NMI);
}

bool apic_send_init(u32 dest)
{
	return icr_send(dest, (u32)ICR_ASSERT | ICR_INIT) && (x2 || icr_idle());
}

bool apic_send_startup(u32 dest, u8 page)
{
	return icr_send(dest, (u32)ICR_ASSERT | ICR_STARTUP | page) && (x2 || icr_idle());
}

void apic_timer_set(u64 tsc_deadline)
{
	u64 now, ticks;
	u32 count;

	if (deadline_mode) {
		wrmsr(MSR_TSC_DEADLINE, tsc_deadline);
		return;
	}
	if (tsc_deadline == 0) {
		reg_write(APIC_TIMER_INITIAL, 0);
		return;
	}
	now = rdtsc();
	ticks = tsc_deadline > now ? MIN(tsc_deadline - now, max_ticks) : 0;
	/* one more, so that it never comes too early by rounding */
	count = (u32)((ticks * count_mul) >> 32) + 1;
	reg_write(APIC_TIMER_INITIAL, count);
}
