/*
 * The hostile guest: tries all that it must not have (but for memory that is
 * not its own: guest outside). It passes through every stage when each
 * forbidden thing is a fault, a #GP or all ones, and ends in a triple fault;
 * whether it harmed anybody its neighbour knows. Each stage is announced, so
 * that a hang shows where. Words on the command line: strict: the processor
 * does all that the manual says; brief: each port is read and written once.
 */
#include "lib.h"

const char guest_name[] = "hostile";

extern u8 null_idt[];

static u64 ram_end; /* below 4 GiB */

static u32 stage_start;

static void stage(const char *name)
{
	static const char *before;

	if (before)
		print("stage %s done in %u ms\n", before,
		      (u32)((u64)(inl(pm_port) - stage_start) * 1000 / PM_HZ));
	before = name;
	print("stage %s\n", name);
	stage_start = inl(pm_port);
}

static bool survives(u32 port)
{
	return port != 0x64 && port != 0x92 && port / 4 != EXIT_PORT / 4 && port != 0xcf9 &&
	       port != DEBUG_PORT && port / 4 != pm_control / 4u;
}

static void ports(void)
{
	static const u8 values[] = { 0xa5, 0 };
	bool brief = option("brief");

	for (u32 port = 0; port < 65536; port++) {
		inb((u16)port);
		for (u32 i = brief; i < 2; i++)
			if (survives(port))
				outb((u16)port, values[i]);
		if (brief && port % 16)
			continue;
		inl((u16)port);
		if (survives(port) && survives(port + 1) && survives(port + 2) &&
		    survives(port + 3))
			outl((u16)port, 0xffffffff);
	}
	serial_init();
	pic_init(0x20);
}

static void strings(void)
{
	static u8 buf[64];
	u64 di = (u64)buf, cx = 16, si;

	asm volatile("rep insb" : "+D"(di), "+c"(cx) : "d"(0x1234) : "memory");
	CHECK(!cx && buf[0] == 0xff && buf[15] == 0xff && !buf[16], "REP INSB: RCX %lx", cx);
	si = (u64)buf;
	cx = 16;
	asm volatile("rep outsl" : "+S"(si), "+c"(cx) : "d"(0x80) : "memory");
	CHECK(!cx && si == (u64)buf + 64, "REP OUTSL: RCX %lx", cx);
	/* Into nothing: the page fault is the guest's own. */
	TRY("rep insb", NOTHING, "D"(0x8000000000ul), "c"(4), "d"(0x1234) : "memory");
	CHECK(fault.vector == 14, "INS into an unmapped page: vector %d", fault.vector);
	TRY("rep outsb", NOTHING, "S"(0x8000000000000000ul), "c"(4), "d"(0x1234) : "memory");
	CHECK(fault.vector == 13, "OUTS from a non-canonical address: vector %d", fault.vector);
	/* A count without end, in steps that others can stand. */
	si = (u64)buf;
	cx = 100000;
	asm volatile("1: mov %2, %0; outsb; loop 1b"
		     : "+S"(si), "+c"(cx)
		     : "r"(si), "d"(0x80)
		     : "memory");
}

static void msr_range(u64 first, u64 last)
{
	for (u64 msr = first; msr <= last; msr++) {
		static const u64 values[] = { 0, ~0ull, 0x8000000000000000 };
		u64 old;
		bool had;

		if ((msr >= 0x10 && msr <= 0x1b) || msr == 0x3b || msr == MSR_EFER ||
		    msr == 0x83f || msr == 0x830)
			continue; /* its own clock, APIC and mode: stage "self" */
		had = try_rdmsr((u32)msr, &old) < 0;
		for (u32 i = 0; i < 3; i++)
			try_wrmsr((u32)msr, values[i]);
		if (had)
			try_wrmsr((u32)msr, old);
	}
}

static void msrs(void)
{
	msr_range(0, 0x2fff);
	msr_range(0x3ffffff0, 0x40000200);
	msr_range(0x4b564cf0, 0x4b564e00);
	msr_range(0x7ffffff0, 0x80000010);
	msr_range(0xbffffff0, 0xc0002010);
	msr_range(0xc000fff0, 0xc0012010);
	msr_range(0xfffffff0, 0xffffffff);
	for (u32 bit = 14; bit < 32; bit++) {
		msr_range((1ull << bit) - 1, (1ull << bit) + 1);
		msr_range(0xc0000000 | (1ull << bit), (0xc0000000 | (1ull << bit)) + 1);
	}
}

static void cpuid_leaves(void)
{
	static const u32 bases[] = { 0,		 0x20000000, 0x40000000, 0x4000ff00,
				     0x80000000, 0x80860000, 0xc0000000, 0xffffff00 };
	u32 r[4];

	for (u32 b = 0; b < ARRAY_SIZE(bases); b++)
		for (u32 leaf = 0; leaf < 256; leaf++) {
			for (u32 sub = 0; sub < 16; sub++)
				cpuid(bases[b] + leaf, sub, r);
			cpuid(bases[b] + leaf, 0xffffffff, r);
		}
	for (u32 bit = 0; bit < 32; bit++)
		for (u32 sub = 0; sub < 64; sub++)
			cpuid(1u << bit, sub, r);
}

static void control_registers(void)
{
	u64 cr0 = read_cr0(), cr3 = read_cr3(), cr4 = read_cr4();

	CHECK(try_cr0(cr0 & ~1ull) == 13, "PE cleared under paging");
	CHECK(try_cr0(cr0 & ~0x80000000ull) == 13, "PG cleared in long mode");
	CHECK(try_cr0((cr0 | 0x20000000) & ~0x40000000ull) == 13, "NW without CD");
	CHECK(try_cr0(cr0 | 1ull << 32) == 13, "CR0 takes bit 32");
	CHECK(try_cr0(cr0 | 0x60000000) < 0, "CD and NW refused");
	write_cr0(cr0);
	CHECK(read_cr0() == cr0, "CR0 is %lx", read_cr0());
	CHECK(try_cr4(cr4 & ~0x20ull) == 13, "PAE cleared in long mode");
	for (u32 bit = 0; bit < 64; bit++) {
		if (bit == 5 || bit == 12)
			continue;
		if (try_cr4(cr4 ^ 1ull << bit) < 0)
			write_cr4(cr4);
		if (bit >= 13 && bit <= 14)
			CHECK(fault.vector == 13, "CR4 takes VMXE or SMXE");
		if (bit == 15 || bit == 19 || bit >= 25)
			CHECK(fault.vector == 13, "CR4 takes bit %u", bit);
	}
	CHECK(read_cr4() == cr4, "CR4 is %lx", read_cr4());
	if (option("strict")) /* QEMU's TCG ends the VM with VMEXIT_INVALID: guest badcr3 */
		CHECK(try_cr3(cr3 | 1ull << 63) == 13, "CR3 takes bit 63");
	write_cr3(cr3);
	CHECK(try_cr8(16) == 13, "CR8 takes 16");
	TRY("mov %%cr1, %%rax", NOTHING, "a"(0) : "memory");
	CHECK(fault.vector == 6, "CR1: vector %d", fault.vector);
	TRY("mov %%rax, %%cr7", NOTHING, "a"(0) : "memory");
	CHECK(fault.vector == 6, "CR7: vector %d", fault.vector);
	TRY("mov %%rax, %%cr15", NOTHING, "a"(0) : "memory");
	CHECK(fault.vector == 6, "CR15: vector %d", fault.vector);
	TRY("lmsw %%ax", NOTHING, "a"(0x30) : "memory");
	CHECK(read_cr0() & 1, "LMSW has cleared PE");
	write_cr0(cr0);
	for (u32 i = 0; i < 200; i++) { /* storms */
		write_cr0(cr0 ^ 8);
		write_cr0(cr0);
		write_cr4(cr4 ^ 0x80);
		write_cr4(cr4);
	}
}

static void debug_registers(void)
{
	u64 v;

	for (u32 i = 0; i < 64; i++) {
		TRY("mov %0, %%dr7", NOTHING, "r"((1ull << i) & ~0x23ffull) : "memory");
		CHECK(i < 32 || fault.vector == 13, "DR7 takes bit %u", i);
		TRY("mov %0, %%dr6", NOTHING, "r"(1ull << i) : "memory");
		CHECK(i < 32 || fault.vector == 13, "DR6 takes bit %u", i);
	}
	TRY("mov %0, %%dr7", NOTHING, "r"(0x2400ul) : "memory"); /* GD: the next access is #DB */
	TRY("mov %%dr0, %0", "=r"(v), "i"(0) : "memory");
	/* QEMU's TCG has no DR7.GD and exits without #DB; on Bochs it comes before the exit */
	CHECK(!option("strict") || fault.vector == 1, "DR7.GD: vector %d", fault.vector);
	asm volatile("mov %0, %%dr7" : : "r"(0x400ul));
	asm volatile("mov %0, %%dr0; mov %0, %%dr1" : : "r"(0xfffffffffffff000));
	TRY("mov %%dr4, %0", "=r"(v), "i"(0) : "memory"); /* DR6, or #UD with CR4.DE */
	asm volatile("mov %0, %%dr0; mov %0, %%dr1" : : "r"(0ul));
}

static void xcr0(void)
{
	u32 r[4];

	cpuid(1, 0, r);
	TRY("xsetbv", NOTHING, "c"(0), "a"(3), "d"(0) : "memory");
	CHECK(fault.vector == 6, "XSETBV without CR4.OSXSAVE: vector %d", fault.vector);
	if (!(r[2] & 1 << 26))
		return;
	write_cr4(read_cr4() | 0x40000);
	for (u32 bit = 0; bit < 64; bit++) {
		int v = try_xsetbv(0, 1ull << bit);

		CHECK(bit == 0 || v == 13, "XCR0 takes bit %u alone", bit);
		v = try_xsetbv(0, 3 | 1ull << bit);
		CHECK(bit <= 2 || bit == 9 || v == 13, "XCR0 takes bit %u", bit);
	}
	for (u32 i = 1; i < 64; i++)
		CHECK(try_xsetbv(i, 1) == 13, "XSETBV(%u)", i);
	CHECK(try_xsetbv(0, 3) < 0, "XCR0 refuses 3");
}

/* Instructions no guest may use: #UD or #GP; or nothing that shows. */
#define FAULTS(what, insn, ...) \
	do { \
		TRY(insn, NOTHING, __VA_ARGS__); \
		CHECK(fault.vector == 6 || fault.vector == 13, what ": vector %d", fault.vector); \
	} while (0)
#define ANY(insn, ...) TRY(insn, NOTHING, __VA_ARGS__)
#define UNDEFINED(what, insn, ...) \
	do { \
		TRY(insn, NOTHING, __VA_ARGS__); \
		CHECK(fault.vector == 6, what ": vector %d", fault.vector); \
	} while (0)

/* What AMD-V and VT-x add to ring 0: none of it exists for a guest, on either vendor. */
static void virtualisation(u64 addr)
{
	FAULTS("VMRUN", "vmrun", "a"(addr) : "memory"); /* a wild RAX may be seen first */
	FAULTS("VMLOAD", "vmload", "a"(addr) : "memory");
	FAULTS("VMSAVE", "vmsave", "a"(addr) : "memory");
	UNDEFINED("VMRUN", "vmrun", "a"(0x1000) : "memory");
	UNDEFINED("VMLOAD", "vmload", "a"(0x1000) : "memory");
	UNDEFINED("VMSAVE", "vmsave", "a"(0x1000) : "memory");
	UNDEFINED("STGI", "stgi", "a"(0) : "memory");
	UNDEFINED("CLGI", "clgi", "a"(0) : "memory");
	UNDEFINED("SKINIT", "skinit", "a"(0) : "memory");
	UNDEFINED("INVLPGA", "invlpga", "a"(addr), "c"(1) : "memory");
	UNDEFINED("VMXON", "vmxon (%%rax)", "a"(addr) : "memory");
	UNDEFINED("VMXOFF", "vmxoff", "a"(0) : "memory");
	UNDEFINED("VMCLEAR", "vmclear (%%rax)", "a"(addr) : "memory");
	UNDEFINED("VMPTRLD", "vmptrld (%%rax)", "a"(addr) : "memory");
	UNDEFINED("VMPTRST", "vmptrst (%%rax)", "a"(addr) : "memory");
	UNDEFINED("VMREAD", "vmread %%rdx, (%%rax)", "a"(addr), "d"(0x681e) : "memory");
	UNDEFINED("VMWRITE", "vmwrite (%%rax), %%rdx", "a"(addr), "d"(0x681e) : "memory");
	UNDEFINED("VMLAUNCH", "vmlaunch", "a"(0) : "memory");
	UNDEFINED("VMRESUME", "vmresume", "a"(0) : "memory");
	UNDEFINED("INVEPT", "invept (%%rax), %%rdx", "a"(addr), "d"(2) : "memory");
	UNDEFINED("INVVPID", "invvpid (%%rax), %%rdx", "a"(addr), "d"(2) : "memory");
	UNDEFINED("VMFUNC", "vmfunc", "a"(0), "c"(0) : "memory");
}

/* VMCALL is Intel's, VMMCALL is AMD's; there are no hypercalls behind it, so it has KVM's
 * answer to an unknown one. The other vendor's does not exist. */
static void hypercall(u64 number)
{
	u32 r[4];
	u64 answer;

	cpuid(0, 0, r);
	if (r[2] == 0x6c65746e) { /* GenuineI"ntel" */
		UNDEFINED("VMMCALL", "vmmcall", "a"(number) : "memory");
		TRY("vmcall", "=a"(answer), "a"(number), "b"(-1), "c"(-1), "d"(-1) : "memory");
	} else {
		UNDEFINED("VMCALL", "vmcall", "a"(number) : "memory");
		TRY("vmmcall", "=a"(answer), "a"(number), "b"(-1), "c"(-1), "d"(-1) : "memory");
	}
	CHECK(fault.vector < 0 && answer == (u64)-1000, "hypercall %lx: vector %d, answer %lx",
	      number, fault.vector, answer);
}

static void instructions(void)
{
	static u8 block[4096] __attribute__((aligned(4096)));

	for (u32 round = 0; round < 2; round++) {
		u64 addr = round ? 0xffff800000000000 : (u64)block;

		virtualisation(addr);
		hypercall(round ? -1 : 0);
		FAULTS("MONITOR", "monitor", "a"(block), "c"(0), "d"(0) : "memory");
		FAULTS("MWAIT", "mwait", "a"(0), "c"(0) : "memory");
		FAULTS("RDPMC", "rdpmc", "c"(0) : "rax", "rdx", "memory");
		FAULTS("RSM", "rsm", "a"(0) : "memory");
		FAULTS("GETSEC", ".byte 0x0f, 0x37", "a"(0), "b"(0) : "memory");
		ANY("wbinvd", "a"(0) : "memory");
		ANY("invd", "a"(0) : "memory");
		ANY(".byte 0x0f, 0x01, 0xf8", "a"(0) : "memory"); /* SWAPGS */
		ANY(".byte 0x0f, 0x01, 0xf8", "a"(0) : "memory");
		ANY(".byte 0x0f, 0x01, 0xf9", "a"(0) : "rcx", "rdx", "memory");	  /* RDTSCP */
		ANY(".byte 0x0f, 0xc7, 0xf0", "a"(0) : "memory");		  /* RDRAND EAX */
		ANY(".byte 0x66, 0x0f, 0x38, 0x82, 0x00", "a"(block) : "memory"); /* INVPCID */
		ANY("int1", "a"(0) : "memory");
		ANY("lldt %%ax", "a"(0x58) : "memory");
		ANY("ltr %%ax", "a"(0x58) : "memory");
	}
	block[0] = 0x77;
	ANY("invd", "a"(0) : "memory");
	CHECK(block[0] == 0x77, "INVD has thrown away memory");
}

static void storm(void)
{
	u32 before;

	for (u32 i = 0; i < 256; i++)
		irq_count[i] = 0;
	sti();
	for (u32 i = 0; i < 20000; i++)
		apic_self_ipi((u8)(0x40 + i % 128));
	cli();
	before = irq_count[0x40];
	CHECK(before > 10, "the IPI storm delivered %u", before);
	for (u32 dest = 0; dest < 256; dest++) { /* IPIs, INITs and NMIs to everybody else */
		static const u32 modes[] = {
			0x40, 0x400, 0x500, 0x4500, 0x600, 0x200, 0x8500, 0x700
		};

		if (dest == apic_id() || dest == 255)
			continue;
		for (u32 m = 0; m < ARRAY_SIZE(modes); m++) {
			apic_write(LAPIC_ICR_HIGH, dest << 24);
			apic_write(LAPIC_ICR, modes[m]);
		}
	}
	apic_write(LAPIC_ICR, 0xc0000 | 0x400);	 /* NMI to all but self */
	apic_write(LAPIC_ICR, 0xc0000 | 0x4500); /* INIT to all but self */
	apic_write(LAPIC_ICR, 0xc0000 | 0x699);
	apic_write(LAPIC_ICR, 0xc0000 | 0x55);
	for (u32 pin = 0; pin < 24; pin++) /* every delivery mode on every pin */
		for (u32 mode = 0; mode < 8; mode++)
			ioapic_route(pin, (u64)0xff << 56 | LVT_MASKED | mode << 8 | 0x30);
	for (u32 reg = 0; reg < 256; reg++) {
		ioapic_read(reg);
		if (reg < 0x10 || reg >= 0x40)
			ioapic_write(reg, 0xffffffff);
	}
	for (u32 reg = 0; reg < 0x1000; reg += 4) {
		volatile u32 *p = (volatile u32 *)(LAPIC_BASE + reg);

		(void)*p;
		if (reg != LAPIC_SVR && reg != LAPIC_ICR && reg != LAPIC_TPR)
			*p = LVT_MASKED | 0xfe;
	}
	apic_init();
}

static void own_mode(void)
{
	u64 base = rdmsr(MSR_APIC_BASE);

	/* The APIC elsewhere, or beyond physical memory: refused, or this guest's own loss. */
	try_wrmsr(MSR_APIC_BASE, (base & 0xfff) | 0xffffffffff000);
	try_wrmsr(MSR_APIC_BASE, ~0ull);
	try_wrmsr(MSR_APIC_BASE, base);
	try_wrmsr(MSR_EFER, ~0ull);
	try_wrmsr(MSR_EFER, 0x1500);
	try_wrmsr(MSR_TSC_ADJUST, ~0ull);
	try_wrmsr(0x10, ~0ull);
	try_wrmsr(MSR_TSC_DEADLINE, ~0ull);
	try_wrmsr(MSR_TSC_DEADLINE, 1);
	try_wrmsr(0x4b564d01, 0xfffffffffffff001); /* the clock's page, outside all memory */
	try_wrmsr(0x4b564d01, ram_end | 1);
	try_wrmsr(0x4b564d01, (ram_end - 4) | 1); /* across RAM's end */
	try_wrmsr(0x4b564d00, ram_end - 4);
	try_wrmsr(0x4b564d01, 0);
}

void guest_main(void)
{
	u64 base, size;

	for (u32 i = 0; ram_range(i, &base, &size); i++)
		if (base + size <= 1ull << 32)
			ram_end = (base + size + 0x1fffff) & ~0x1fffffull;
	stage("cpuid");
	cpuid_leaves();
	stage("instructions");
	instructions();
	stage("control registers");
	control_registers();
	stage("debug registers");
	debug_registers();
	stage("xcr0");
	xcr0();
	stage("msrs");
	msrs();
	stage("strings");
	strings();
	stage("ports");
	ports();
	stage("storm");
	storm();
	stage("self");
	own_mode();
	stage("triple fault");
	/* The verdict comes before the end, without the exit port: the end is the last test. */
	verdict();
	asm volatile("lidt (%0); ud2" : : "r"(null_idt));
}
