/*
 * The floating-point and vector registers and XCR0 are the guest's own: they
 * survive every kind of exit, and XSETBV takes valid values only. APM Vol. 2
 * chapter 11.
 */
#include "lib.h"

const char guest_name[] = "fpu";

static u8 image[16][32] __attribute__((aligned(32)));
static u8 back[16][32] __attribute__((aligned(32)));
static bool avx;

#define EACH_REG(X) \
	X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define LOAD_X(n) asm volatile("movdqu %0, %%xmm" #n : : "m"(image[n]));
#define SAVE_X(n) asm volatile("movdqu %%xmm" #n ", %0" : "=m"(back[n]));
#define LOAD_Y(n) asm volatile("vmovdqu %0, %%ymm" #n : : "m"(image[n]));
#define SAVE_Y(n) asm volatile("vmovdqu %%ymm" #n ", %0" : "=m"(back[n]));

static void fill(u8 seed)
{
	for (u32 r = 0; r < 16; r++)
		for (u32 i = 0; i < 32; i++)
			image[r][i] = (u8)(seed + 37 * r + 11 * i + 1);
	if (avx) {
		EACH_REG(LOAD_Y)
	} else {
		EACH_REG(LOAD_X)
	}
}

static void check(const char *what)
{
	u32 width = avx ? 32 : 16;

	if (avx) {
		EACH_REG(SAVE_Y)
	} else {
		EACH_REG(SAVE_X)
	}
	for (u32 r = 0; r < 16; r++)
		for (u32 i = 0; i < width; i++)
			if (back[r][i] != image[r][i]) {
				fail("%s: byte %u of vector register %u is %x, not %x", what, i, r,
				     back[r][i], image[r][i]);
				return;
			}
}

static u64 xgetbv(void)
{
	u32 lo, hi;

	asm volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return (u64)hi << 32 | lo;
}

static void check_xcr0(void)
{
	static const u64 bad[] = { 0, 2, 4, 5, 6, 1ull << 63, 1ull << 62, 0x18, 1 << 20 };
	u32 r[4];

	CHECK(try_xsetbv(0, 1) < 0 && xgetbv() == 1, "XCR0 = 1: %lx", xgetbv());
	CHECK(try_xsetbv(0, 3) < 0 && xgetbv() == 3, "XCR0 = 3: %lx", xgetbv());
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK(try_xsetbv(0, bad[i]) == 13, "XCR0 takes %lx", bad[i]);
	CHECK(try_xsetbv(1, 1) == 13, "XCR1 can be written");
	CHECK(try_xsetbv(0xffffffff, 3) == 13, "XCR 0xffffffff can be written");
	CHECK(xgetbv() == 3, "XCR0 has become %lx", xgetbv());
	if (avx) {
		CHECK(try_xsetbv(0, 7) < 0, "XCR0 refuses 7");
		cpuid(13, 0, r);
		CHECK((r[0] & 7) == 7, "leaf 13 offers %x", r[0]);
		for (u32 i = 0; i < 50; i++) {
			cpuid(1, 0, r);
			inb(0x21);
		}
		CHECK(xgetbv() == 7, "XCR0 is %lx after exits", xgetbv());
	}
}

static void one_shot(u32 count)
{
	irq_count[0x40] = 0;
	apic_write(LAPIC_LVT_TIMER, 0x40);
	apic_write(LAPIC_TIMER_INITIAL, count);
	asm volatile("sti; hlt; cli" : : : "memory");
}

void guest_main(void)
{
	u32 r[4], mxcsr = 0x5f80, mxcsr_back = 0;
	u16 fcw = 0x0c7f, fcw_back = 0;

	cpuid(1, 0, r);
	CHECK(r[3] & 1 << 25, "no SSE");
	if (r[2] & 1 << 26) {
		write_cr4(read_cr4() | 0x40000);
		avx = cpu_has_avx();
		check_xcr0();
	}
	print("%s registers\n", avx ? "256-bit" : "128-bit");
	asm volatile("ldmxcsr %0" : : "m"(mxcsr));
	asm volatile("fldcw %0; fldpi" : : "m"(fcw));
	for (u32 round = 0; round < 40; round++) {
		u8 seed = (u8)(round * 59);

		fill(seed);
		cpuid(0, 0, r);
		check("CPUID");
		inb(0x21);
		check("IN");
		outb(0x80, 0);
		check("OUT");
		rdmsr(MSR_APIC_BASE);
		check("RDMSR");
		(void)*(volatile u32 *)(LAPIC_BASE + LAPIC_ID);
		check("LAPIC");
		ioapic_read(1);
		check("IOAPIC");
		one_shot(100000);
		check("HLT and an interrupt");
	}
	asm volatile("stmxcsr %0" : "=m"(mxcsr_back));
	asm volatile("fnstcw %0" : "=m"(fcw_back));
	CHECK(mxcsr_back == mxcsr, "MXCSR %x, not %x", mxcsr_back, mxcsr);
	CHECK(fcw_back == fcw, "FCW %x, not %x", fcw_back, fcw);
	/* pi is still on the x87 stack. */
	{
		double pi;
		u64 bits;

		asm volatile("fstpl %0" : "=m"(pi));
		memcpy(&bits, &pi, 8);
		CHECK(bits == 0x400921fb54442d18, "x87: %lx", bits);
	}
}
