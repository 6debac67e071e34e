/*
 * What the guest before it on this CPU left in the registers, it must not
 * find: general, vector, x87, debug and control registers and MSRs are as a
 * start makes them. Then it leaves something in all of them for the next one.
 * The word stay on the command line: PASS, and never the end.
 */
#include "lib.h"

const char guest_name[] = "leftover";

#define MSR_PAT 0x277
#define MSR_TSC_AUX 0xc0000103
#define EACH_REG(X) \
	X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define LOAD_X(n) asm volatile("movdqu %0, %%xmm" #n : : "m"(junk));
#define LOAD_Y(n) asm volatile("vmovdqu %0, %%ymm" #n : : "m"(junk));
#define SAVE_Y(n) asm volatile("vmovdqu %%ymm" #n ", %0" : "=m"(wide[n]));

extern u64 entry_regs[13];

static u8 area[512] __attribute__((aligned(16)));
static u8 wide[16][32], junk[32];

/* The MSRs that a guest may write and read back, and what a start leaves in them. */
static const struct {
	u32 msr;
	u64 reset, junk;
} msrs[] = {
	{ 0xc0000081, 0, 0x1234567890abcdef }, /* STAR */
	{ 0xc0000082, 0, 0xffff8000deadbee0 }, /* LSTAR */
	{ 0xc0000083, 0, 0xffff8000deadbee1 }, /* CSTAR */
	{ 0xc0000084, 0, 0x47700 },	       /* SFMASK */
	{ 0xc0000100, 0, 0xffff8000deadbee2 }, /* FS base */
	{ 0xc0000101, 0, 0xffff8000deadbee3 }, /* GS base */
	{ 0xc0000102, 0, 0xffff8000deadbee4 }, /* KernelGSbase */
	{ 0x174, 0, 0x4567 },		       /* SYSENTER CS, ESP, EIP */
	{ 0x175, 0, 0x7fffdead0001 },
	{ 0x176, 0, 0x7fffdead0002 },
	{ MSR_PAT, 0x0007040600070406, 0x0606060606060604 },
	{ MSR_TSC_ADJUST, 0, 0x123456789 },
	{ 0x2ff, 0xc06, 0x800 },	  /* MTRR default type */
	{ 0x20e, 0, 0x80000006 },	  /* the last variable MTRR */
	{ 0x6e0, 0, 0x7000000000000000 }, /* TSC deadline */
};

static void check_general(void)
{
	static const char names[13][4] = { "ecx", "edx", "esi", "edi", "ebp", "r8", "r9",
					   "r10", "r11", "r12", "r13", "r14", "r15" };

	for (u32 i = 0; i < 13; i++)
		CHECK(!entry_regs[i], "%s was %lx", names[i], entry_regs[i]);
}

static void check_vectors(void)
{
	u32 lo, hi, r[4];

	asm volatile("fxsave64 %0" : "=m"(area));
	CHECK(*(u16 *)area == 0x37f, "FCW was %x", *(u16 *)area);
	CHECK(*(u32 *)(area + 24) == 0x1f80, "MXCSR was %x", *(u32 *)(area + 24));
	for (u32 i = 32; i < 416; i++)
		if (area[i]) {
			fail("%s%u was not 0", i < 160 ? "ST" : "XMM",
			     i < 160 ? (i - 32) / 16 : (i - 160) / 16);
			break;
		}
	cpuid(1, 0, r);
	if (!(r[2] & 1 << 26))
		return;
	write_cr4(read_cr4() | 0x40000);
	asm volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	CHECK(lo == 1 && !hi, "XCR0 was %x", lo);
	if (!cpu_has_avx())
		return;
	try_xsetbv(0, 7);
	EACH_REG(SAVE_Y)
	for (u32 i = 0; i < sizeof(wide); i++)
		if (wide[i / 32][i % 32]) {
			fail("YMM%u was not 0", i / 32);
			break;
		}
}

static void check_msrs(void)
{
	u64 v;

	for (u32 i = 0; i < ARRAY_SIZE(msrs); i++) {
		int vector = try_rdmsr(msrs[i].msr, &v);

		CHECK(vector < 0 && v == msrs[i].reset, "MSR %x was %lx (vector %d)", msrs[i].msr,
		      v, vector);
	}
	if (try_rdmsr(MSR_TSC_AUX, &v) < 0)
		CHECK(!v, "TSC_AUX was %lx", v);
	CHECK(rdtsc() >> 40 == 0, "the TSC was %lx", rdtsc());
}

static void check_control(void)
{
	u64 dr0, dr1, dr2, dr3, dr6, dr7;

	asm volatile("mov %%dr0, %0; mov %%dr1, %1; mov %%dr2, %2; mov %%dr3, %3"
		     : "=r"(dr0), "=r"(dr1), "=r"(dr2), "=r"(dr3));
	asm volatile("mov %%dr6, %0; mov %%dr7, %1" : "=r"(dr6), "=r"(dr7));
	CHECK(!(dr0 | dr1 | dr2 | dr3), "DR0 to DR3 were %lx %lx %lx %lx", dr0, dr1, dr2, dr3);
	CHECK(dr6 == 0xffff0ff0, "DR6 was %lx", dr6);
	CHECK(dr7 == 0x400, "DR7 was %lx", dr7);
	CHECK(!read_cr2(), "CR2 was %lx", read_cr2());
	CHECK(!read_cr8(), "CR8 was %lx", read_cr8());
	CHECK(!apic_in_irr(0x77), "an interrupt is pending");
}

static void leave_things(void)
{
	u32 mxcsr = 0x1fbf, v;
	u16 fcw = 0x0c7f;

	for (u32 i = 0; i < ARRAY_SIZE(msrs); i++) {
		u64 back = 0;
		int vector = try_wrmsr(msrs[i].msr, msrs[i].junk);

		try_rdmsr(msrs[i].msr, &back);
		/* the deadline reads as 0 unless the timer is in that mode */
		CHECK(vector < 0 && (back == msrs[i].junk || msrs[i].msr == 0x6e0),
		      "MSR %x keeps %lx (vector %d)", msrs[i].msr, back, vector);
	}
	try_wrmsr(MSR_TSC_AUX, 0xdeadbeef);
	memset(junk, 0xa5, sizeof(junk));
	if (cpu_has_avx()) {
		EACH_REG(LOAD_Y)
	} else {
		EACH_REG(LOAD_X)
	}
	for (u32 i = 0; i < 8; i++)
		asm volatile("fldpi");
	asm volatile("fldcw %0; ldmxcsr %1" : : "m"(fcw), "m"(mxcsr));
	asm volatile("mov %0, %%dr0; mov %0, %%dr1; mov %0, %%dr2; mov %0, %%dr3"
		     :
		     : "r"(0xffff8000deadb000));
	asm volatile("mov %0, %%dr6; mov %1, %%dr7" : : "r"(0xe00ful), "r"(0x4ful));
	try_read32((void *)0x7fffdead0000, &v); /* CR2 */
	CHECK(read_cr2() == 0x7fffdead0000, "CR2 is %lx", read_cr2());
	apic_self_ipi(0x77); /* stays pending: interrupts are off */
	write_cr8(5);
}

void guest_main(void)
{
	bool stay = option("stay");

	check_general();
	check_vectors();
	check_msrs();
	check_control();
	leave_things();
	verdict();
	/* The general registers last; exit with EXIT_PASS in AL, else stay with them. */
	asm volatile("mov %0, %%eax\n\t"
		     "mov $0xdeadbeef, %%ebx; mov %%rbx, %%rcx; mov %%rbx, %%rsi\n\t"
		     "mov %%rbx, %%rdi; mov %%rbx, %%rbp; mov %%rbx, %%r8; mov %%rbx, %%r9\n\t"
		     "mov %%rbx, %%r10; mov %%rbx, %%r11; mov %%rbx, %%r12; mov %%rbx, %%r13\n\t"
		     "mov %%rbx, %%r14; mov %%rbx, %%r15\n\t"
		     "test %%eax, %%eax; jnz 2f\n"
		     "1:\txor %%eax, %%eax; cpuid; jmp 1b\n" /* exits: see quiet.c */
		     "2:\tmov $0xf4, %%edx; out %%al, %%dx; jmp 1b"
		     :
		     : "r"(stay		    ? 0
			   : had_failures() ? EXIT_FAIL
					    : EXIT_PASS)
		     : "memory");
}
