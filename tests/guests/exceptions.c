/*
 * Exceptions reach the guest with the right vector, error code, RIP and CR2,
 * right after world switches too; single-stepping and breakpoints work
 * across instructions that exit. APM Vol. 2 chapter 8, 13.1.
 */
#include "lib.h"

const char guest_name[] = "exceptions";

/* An exit before and after each try: state must survive the switch. */
static void world_switch(void)
{
	u32 r[4];

	cpuid(0, 0, r);
	inb(0x21);
}

#define EXPECT(what, v, err, insn, ...) \
	do { \
		u64 at_; \
		world_switch(); \
		fault.vector = -1; \
		fault.error = 0; \
		asm volatile("movq $772f, %0\n\tmovq $773f, fault_resume\n772:\n\t" insn \
			     "\n773:\n\tmovq $0, fault_resume" \
			     : "=&b"(at_) \
			     : __VA_ARGS__); \
		CHECK(fault.vector == (v), what ": vector %d, not %d", fault.vector, (v)); \
		CHECK((v) < 0 || fault.vector != (v) || fault.error == (err), \
		      what ": error code %lx, not %lx", fault.error, (u64)(err)); \
		CHECK((v) < 0 || fault.vector != (v) || fault.rip == at_, \
		      what ": at %lx, not %lx", fault.rip, at_); \
	} while (0)

static void check_faults(void)
{
	u64 hole = 0x8000000000; /* not mapped by start.S */
	u16 unmasked = 0x37b;	 /* divide by zero */

	EXPECT("#DE", 0, 0, "div %%ecx", "a"(1), "d"(0), "c"(0) : "memory");
	EXPECT("#UD", 6, 0, "ud2", "a"(0) : "memory");
	EXPECT("#GP by address", 13, 0, "movl (%%rax), %%eax", "a"(0x8000000000000000) : "memory");
	/* A non-canonical address by way of RSP; QEMU's TCG knows no difference. */
	EXPECT("#SS by address", option("strict") ? 12 : 13, 0, "movl (%%rsp,%%rax), %%eax",
	       "a"(0x8000000000000000)
	       : "memory");
	if (bulkhead) /* QEMU itself hangs */
		EXPECT("#GP by CR4", 13, 0, "mov %%rax, %%cr4", "a"(read_cr4() | 1ull << 63)
		       : "memory");
	EXPECT("#GP by selector", 13, 0x50, "mov %%eax, %%fs", "a"(0x50) : "memory");
	EXPECT("#NP", 11, 0x18, "mov %%eax, %%fs", "a"(0x18) : "memory");
	EXPECT("#PF read", 14, 0, "movl (%%rax), %%eax", "a"(hole + 0x123) : "memory");
	CHECK(fault.cr2 == hole + 0x123, "#PF read: CR2 %lx", fault.cr2);
	EXPECT("#PF write", 14, 2, "movl %%eax, (%%rax)", "a"(hole + 0x456) : "memory");
	CHECK(fault.cr2 == hole + 0x456, "#PF write: CR2 %lx", fault.cr2);
	write_cr0(read_cr0() | 8);
	EXPECT("#NM", 7, 0, "fnop", "a"(0) : "memory");
	asm volatile("clts");
	CHECK(!(read_cr0() & 8), "CLTS leaves CR0.TS set");
	EXPECT("an x87 instruction after CLTS", -1, 0, "fnop", "a"(0) : "memory");
	asm volatile("fldcw %0; fld1; fldz; fdivrp" : : "m"(unmasked));
	EXPECT("#MF", 16, 0, "fwait", "a"(0) : "memory");
	asm volatile("fninit");
}

/* Write protection and no-execute, on the page that map_window() maps. */
static void check_protection(void)
{
	extern u64 window_dir[512];
	volatile u8 *p = map_window(0x200000);

	asm volatile("movb $0xc3, (%0)" : : "r"(p) : "memory");
	window_dir[0] &= ~2ull;
	asm volatile("invlpg (%0)" : : "r"(p) : "memory");
	EXPECT("#PF write-protected", 14, 3, "movl %%eax, (%%rdx)", "a"(0), "d"(p) : "memory");
	CHECK(fault.cr2 == (u64)p, "#PF write-protected: CR2 %lx", fault.cr2);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | 0x800);
	window_dir[0] |= 1ull << 63;
	asm volatile("invlpg (%0)" : : "r"(p) : "memory");
	world_switch();
	fault.vector = -1;
	asm volatile(
		"movq %%rsp, %%rbx; movq $1f, fault_resume; call *%0\n1:\tmovq %%rbx, %%rsp\n\t"
		"movq $0, fault_resume"
		:
		: "r"(p)
		: "rbx", "memory");
	CHECK(fault.vector == 14 && fault.error == 0x11, "#PF no-execute: vector %d error %lx",
	      fault.vector, fault.error);
	CHECK(fault.rip == (u64)p, "#PF no-execute: at %lx", fault.rip);
	window_dir[0] |= 1ull << 51; /* a reserved address bit */
	asm volatile("invlpg (%0)" : : "r"(p) : "memory");
	TRY("movl (%0), %%eax", NOTHING, "r"(p) : "rax", "memory");
	/* QEMU's TCG leaves out the P bit under nested paging. */
	CHECK(fault.vector == 14 && (fault.error | !option("strict")) == 9,
	      "#PF reserved bit: vector %d error %lx", fault.vector, fault.error);
	window_dir[0] = 0;
	asm volatile("invlpg (%0)" : : "r"(p) : "memory");
}

static volatile u64 trap_rips[64], trap_dr6[64];

/* Bochs 2.7 writes DR6 only after it has looked whether #DB is intercepted (APM Vol. 2,
 * 15.12.2 wants it before): there the cause is lost for every hypervisor that intercepts. */
#define DR6_SAYS(i, bit) (option("nodr6") || trap_dr6[i] & (bit))
static volatile u32 traps;
static volatile u32 trap_vector;

static u64 read_dr6(void)
{
	u64 v;

	asm volatile("mov %%dr6, %0" : "=r"(v));
	return v;
}

static void write_dr6(u64 v)
{
	asm volatile("mov %0, %%dr6" : : "r"(v));
}

static bool on_debug(struct frame *f)
{
	if (f->vector != trap_vector)
		return false;
	if (traps < 64) {
		trap_rips[traps] = f->rip;
		trap_dr6[traps] = read_dr6();
		traps++;
	}
	if (f->vector == 1) {
		write_dr6(0xffff0ff0);
		f->rflags |= 0x10000; /* RF: past an instruction breakpoint */
	}
	return true;
}

static void check_int3(void)
{
	u64 after;

	trap_hook = on_debug;
	trap_vector = 3;
	traps = 0;
	world_switch();
	asm volatile("movq $1f, %0; int3; 1:" : "=r"(after) : : "memory");
	CHECK(traps == 1 && trap_rips[0] == after, "#BP: %u times, at %lx", traps, trap_rips[0]);
	trap_vector = 0x80;
	traps = 0;
	asm volatile("movq $1f, %0; int $0x80; 1:" : "=r"(after) : : "memory");
	CHECK(traps == 1 && trap_rips[0] == after, "INT 0x80: %u times, at %lx", traps,
	      trap_rips[0]);
	trap_hook = NULL;
}

/* TF set: one #DB after each instruction, exits included, none twice. */
static void check_single_step(void)
{
	u64 expected[9];

	trap_hook = on_debug;
	trap_vector = 1;
	traps = 0;
	write_dr6(0xffff0ff0);
	asm volatile("movq $1f, 0(%0); movq $2f, 8(%0); movq $3f, 16(%0); movq $4f, 24(%0)\n\t"
		     "movq $5f, 32(%0); movq $6f, 40(%0); movq $7f, 48(%0); movq $8f, 56(%0)\n\t"
		     "movq %0, %%r8\n\t"
		     "pushfq; orq $0x100, (%%rsp); popfq\n\t"
		     "nop\n1:\t"
		     "xorl %%eax, %%eax\n2:\t"
		     "cpuid\n3:\t"
		     "inb $0x21, %%al\n4:\t"
		     "movl $0x1b, %%ecx\n5:\t"
		     "rdmsr\n6:\t"
		     "movl 0xfee00030, %%eax\n7:\t"
		     "outb %%al, $0x80\n8:\t"
		     "pushfq; andq $~0x100, (%%rsp); popfq"
		     :
		     : "S"(expected)
		     : "rax", "rbx", "rcx", "rdx", "r8", "memory");
	trap_hook = NULL;
	CHECK(traps == 11, "single step: %u traps, not 11", traps);
	for (u32 i = 0; i < 8; i++) {
		CHECK(trap_rips[i] == expected[i], "single step %u: at %lx, not %lx", i,
		      trap_rips[i], expected[i]);
		CHECK(DR6_SAYS(i, 0x4000), "single step %u: DR6 %lx without BS", i, trap_dr6[i]);
	}
}

static void check_breakpoints(void)
{
	static volatile u32 watched;
	bool armed = !bulkhead || option("strict"); /* QEMU's VMRUN loads DR7 and arms nothing */
	u64 at, dr7;

	trap_hook = on_debug;
	trap_vector = 1;
	traps = 0;
	asm volatile("movq $1f, %0; mov %0, %%dr0; mov %1, %%dr7\n\t"
		     "cpuid; nop\n1:\tnop; nop"
		     : "=&r"(at)
		     : "r"(0x402ul)
		     : "rax", "rbx", "rcx", "rdx", "memory");
	CHECK(traps == armed, "instruction breakpoint: %u traps", traps);
	CHECK(traps != 1 || trap_rips[0] == at, "instruction breakpoint: at %lx, not %lx",
	      trap_rips[0], at);
	CHECK(traps != 1 || DR6_SAYS(0, 1), "instruction breakpoint: DR6 %lx", trap_dr6[0]);
	traps = 0;
	asm volatile("mov %0, %%dr1; mov %1, %%dr7" : : "r"(&watched), "r"(0xd00408ul));
	world_switch();
	watched = 1;
	asm volatile("nop");
	CHECK(traps == armed, "write watchpoint: %u traps", traps);
	CHECK(traps != 1 || DR6_SAYS(0, 2), "write watchpoint: DR6 %lx", trap_dr6[0]);
	asm volatile("mov %%dr7, %0" : "=r"(dr7));
	CHECK(dr7 == 0xd00408 + 0x0, "DR7 reads %lx", dr7);
	asm volatile("mov %0, %%dr7" : : "r"(0x400ul));
	traps = 0;
	watched = 2;
	world_switch();
	CHECK(!traps, "a watchpoint that is off traps");
	trap_hook = NULL;
	EXPECT("DR7's high half", 13, 0, "mov %%rax, %%dr7", "a"(1ull << 32) : "memory");
}

void guest_main(void)
{
	for (u32 round = 0; round < 50; round++)
		check_faults();
	check_protection();
	check_int3();
	check_single_step();
	check_breakpoints();
}
