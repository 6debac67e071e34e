/*
 * The operations of the guest fuzzer (fuzz.c): random instructions, accesses of
 * every kind to devices and to nothing, ports, MSRs, control registers, tables,
 * hypercalls, interrupts. What ends the VM by its nature is seldom, or nothing
 * else would be tried.
 */
#ifndef TESTS_GUESTS_FUZZ_OPS_H
#define TESTS_GUESTS_FUZZ_OPS_H

#include "fuzz_run.h"

#define OPERATIONS 24 /* of a program */

extern u64 window_dir[512];

static u64 base_cr0, base_cr3, base_cr4, base_efer;

static void restore(void)
{
	u64 selector = 0x10;

	asm volatile("cli; lidt %0; lgdt %1" : : "m"(idt_pointer), "m"(gdt_pointer_64));
	asm volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%ss" : : "r"(selector));
	if (read_cr3() != base_cr3)
		write_cr3(base_cr3);
	if (read_cr4() != base_cr4)
		write_cr4(base_cr4);
	if (read_cr0() != base_cr0)
		write_cr0(base_cr0);
}

static u32 masked; /* interrupts are off in all but one of so many runs; 0: in one of 64 */

/* Runs what stands at LANDING, with these registers or random ones. */
static void go(void)
{
	bool on = masked ? one_in(masked) : !one_in(64);

	running = true;
	fuzz_target = code + LANDING;
	fuzz_flags = 2 | (any() & 0x40cd5) | (on ? 0x200 : 0) | (one_in(32) ? 0x100 : 0);
	fuzz_run();
	running = false;
	restore();
}

/* HLT with IF = 0 would be the last of all: mostly something else. */
static bool spoils(u8 byte)
{
	return byte == 0xf4 && !one_in(64);
}

static void random_registers(void)
{
	for (u32 i = 0; i < 16; i++)
		fuzz_regs[i] = somewhere();
	if (!one_in(16)) /* else, the stack in a device */
		fuzz_regs[4] = (u64)scratch + PAGE + below(2 * PAGE);
	fuzz_regs[1] = one_in(8) ? value() & 0xfff : below(32); /* a REP's count */
}

static void emit(const u8 *bytes, u32 n)
{
	memset(code + LANDING, 0xcc, CODE_MAX); /* INT3: the way out */
	memcpy(code + LANDING, bytes, n);
	random_registers();
}

static bool is_jump(const u8 *op, bool two)
{
	return two ? (*op & 0xf0) == 0x80
		   : (*op & 0xf0) == 0x70 || (*op >= 0xe0 && *op <= 0xe3) || *op == 0xe8 ||
			       *op == 0xe9 || *op == 0xeb;
}

/* What QEMU 7.2 itself dies of: LTR of 0 and then an interrupt, VPERMILPS and its like without
 * VEX, bit operations on registers with LOCK. And MOV to CR3, of which it makes VMEXIT_INVALID
 * where #GP would be right: system_instruction() has proper values for that. */
static void spare_qemu(u8 *op)
{
	if (!op[0] && (op[1] & 0x38) == 0x18)
		op[1] ^= 0x10;
	if (op[0] == 0x38 && (op[1] & 0xfc) == 0x0c)
		op[1] ^= 0x10;
	if ((op[0] & 0xe7) == 0xa3 || op[0] == 0xba)
		op[1] &= 0x3f;
	if (op[0] == 0x22 && (op[1] & 0x38) == 0x18)
		op[1] ^= 0x08;
}

static void random_instruction(void)
{
	static const u8 prefixes[] = { 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x2e, 0x36,
				       0x3e, 0x26, 0x64, 0x65, 0x48, 0x41, 0x4c };
	u8 bytes[CODE_MAX];
	u32 n = 0, op;
	bool two;

	for (u32 i = below(4); i; i--) {
		if (n && bytes[n - 1] >> 4 == 4) /* QEMU 7.2 heeds a REX that is not the last one */
			n--;
		if (one_in(2))
			bytes[n++] = prefixes[below(ARRAY_SIZE(prefixes))];
	}
	two = one_in(2);
	if (two)
		bytes[n++] = 0x0f;
	op = n;
	bytes[n++] = (u8)any();
	if (two && one_in(8))
		bytes[op] = one_in(2) ? 0x38 : 0x3a;
	while (n < sizeof(bytes))
		bytes[n++] = (u8)any();
	for (u32 i = op; i < n; i++)
		if (spoils(bytes[i]))
			bytes[i] = 0x90;
	if (two)
		spare_qemu(bytes + op);
	if (is_jump(bytes + op, two))
		memcpy(bytes + op + 1, "\x40\0\0\0", 4);
	emit(bytes, op + 1 + below(12));
	go();
}

/* An access of every kind to what may be a device. */
static void memory_access(void)
{
	static const u8 ops[][4] = {
		{ 2, 0x8b, 0x07 },
		{ 2, 0x89, 0x07 },
		{ 2, 0x8a, 0x07 },
		{ 2, 0x88, 0x07 },
		{ 3, 0x66, 0x8b, 0x07 },
		{ 3, 0x66, 0x89, 0x07 },
		{ 3, 0x48, 0x8b, 0x07 },
		{ 3, 0x48, 0x89, 0x07 },
		{ 3, 0x0f, 0xb6, 0x07 },
		{ 3, 0x0f, 0xbf, 0x07 },
		{ 2, 0x87, 0x07 },
		{ 2, 0x01, 0x07 },
		{ 2, 0x31, 0x07 },
		{ 2, 0x39, 0x07 },
		{ 2, 0xf7, 0x07 },
		{ 1, 0xa5 },
		{ 1, 0xaa },
		{ 2, 0xf3, 0xa4 },
		{ 2, 0xf3, 0xab },
		{ 1, 0xa6 },
		{ 1, 0xae },
		{ 3, 0x0f, 0xb1, 0x07 },
		{ 3, 0x0f, 0xc1, 0x07 },
		{ 2, 0xff, 0x07 },
		{ 2, 0x8f, 0x07 },
		{ 2, 0xff, 0x37 },
		{ 3, 0x0f, 0xab, 0x07 },
	};
	const u8 *op = ops[below(ARRAY_SIZE(ops))];

	emit(op + 1, op[0]);
	fuzz_regs[7] = one_in(2) ? LAPIC_BASE + (below(64) << 4) + (one_in(8) ? below(16) : 0)
				 : somewhere();
	go();
}

/* What clean_up() has to do: each costs many exits. */
static bool armed, pic_touched, serial_touched;

static void port_access(void)
{
	static const u16 known[] = { 0x20,  0x21,  0xa0,  0xa1,	 0x40,	0x42,  0x43,  0x60,  0x61,
				     0x64,  0x70,  0x71,  0x80,	 0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x3fc,
				     0x3fd, 0x3fe, 0x3ff, 0xcf8, 0xcfc, 0xcff, 0x2f8, 0x4d0, 0x4d1 };
	static const u8 ops[][3] = { { 1, 0xec },	{ 1, 0xed },	   { 1, 0xee },
				     { 1, 0xef },	{ 1, 0x6c },	   { 1, 0x6e },
				     { 2, 0xf3, 0x6c }, { 2, 0xf3, 0x6f }, { 2, 0x66, 0xed },
				     { 2, 0x66, 0xef } };
	const u8 *op = ops[below(ARRAY_SIZE(ops))];
	u32 port = one_in(4) ? below(65536) : known[below(ARRAY_SIZE(known))];

	if (one_in(8))
		port = (pm_port & ~0x3fu) + below(64);
	/* what ends the VM, seldom, or nothing else would be tried */
	if ((port == 0x64 || port == 0x92 || port == 0xcf9 || port / 4 == pm_control / 4u) &&
	    !one_in(512))
		port = 0x61;
	if (port / 4 == EXIT_PORT / 4 || port == DEBUG_PORT)
		port = 0x80;
	pic_touched |= (port & 0xff7e) == 0x20 || (port & ~1u) == 0x4d0;
	serial_touched |= (port & ~7u) == 0x3f8;
	emit(op + 1, op[0]);
	fuzz_regs[2] = port;
	fuzz_regs[0] = value();
	go();
}

/* What WRMSRs have changed, to be put back. */
static struct {
	u32 msr;
	u64 value;
} changed[OPERATIONS];
static u32 changes;

static void remember_msr(u32 msr)
{
	/* the TSC goes on; the LAPIC's come with APIC_BASE */
	if (msr == 0x10 || msr == MSR_APIC_BASE || msr == MSR_TSC_DEADLINE || msr >> 8 == 8)
		return;
	if (changes < OPERATIONS && try_rdmsr(msr, &changed[changes].value) < 0)
		changed[changes++].msr = msr;
}

static void msr_access(void)
{
	static const u32 bases[] = { 0,		 0x10,	     0x1b,	 0x3b,	     0x174,
				     0x1d9,	 0x200,	     0x277,	 0x2ff,	     0x400,
				     0x6e0,	 0x800,	     0x480,	 0xc0000080, 0xc0000100,
				     0xc0010000, 0xc0010110, 0xc0011020, 0x4b564d00, 0x40000000 };
	u32 msr = one_in(8) ? (u32)value()
			    : bases[below(ARRAY_SIZE(bases))] + below(one_in(2) ? 2 : 64);
	u64 v = value();

	if ((msr & ~0xffu) == 0x4b564d00) /* the clock's page: not over this program */
		v = ((u64)scratch + (v & 0xfff)) | (one_in(8) ? v : 0);
	if (one_in(3)) {
		try_rdmsr(msr, &v);
		return;
	}
	remember_msr(msr);
	emit((const u8 *)"\x0f\x30", 2); /* WRMSR */
	fuzz_regs[1] = msr;
	fuzz_regs[0] = (u32)v;
	fuzz_regs[2] = v >> 32;
	go();
	if (try_rdmsr(MSR_EFER, &v) < 0 && v != base_efer)
		try_wrmsr(MSR_EFER, base_efer);
}

/* MOV to and from CR, DR; CLTS, LMSW, XSETBV, INVLPG, INVPCID, WBINVD, the tables. */
static void system_instruction(void)
{
	u8 op[8] = { 0x0f };
	u32 n = 3, reg = below(16);

	switch (below(6)) {
	case 0:
	case 1: /* MOV CR/DR, RAX..RDI; CR3 keeps its tables */
		op[1] = (u8)(0x20 + below(4));
		op[2] = (u8)(0xc0 | (reg & 7) << 3);
		armed |= op[1] == 0x23;
		break;
	case 2: op[1] = 1, op[2] = (u8)(0xc0 + below(64)); break; /* VMCALL ... RDTSCP */
	case 3:
		op[1] = 1, op[2] = (u8)(below(8) << 3 | 7);
		if ((op[2] >> 3 & 6) == 2 && !one_in(32)) { /* LGDT, LIDT, and then the good one */
			op[3] = 0x0f, op[4] = 1, op[5] = (u8)(op[2] & 0x38), op[5] |= 6; /* [rsi] */
			n = 6;
		}
		break;
	case 4:
		op[1] = 0, op[2] = (u8)(0xc0 | below(64));
		if ((op[2] & 0x38) == 0x18) /* LTR: not of 0, see spare_qemu() */
			op[2] = 0xd8;
		break;
	default: op[1] = one_in(2) ? 8 : 9, op[2] = 0xcc; break;
	}
	emit(op, n);
	fuzz_regs[0] = op[1] == 0x22 && (reg & 7) == 3	 ? base_cr3 | (value() & 0xfff)
		       : op[1] == 0x22 && (reg & 7) == 4 ? base_cr4 ^ 1ull << below(64)
		       : op[1] == 0x22 && !(reg & 7)	 ? base_cr0 ^ 1ull << below(64)
							 : value();
	if (op[2] == 0xd8 && !op[1])
		fuzz_regs[0] |= 4;
	if (n == 6) {
		fuzz_regs[6] = (u64)(op[2] & 8 ? &idt_pointer : &gdt_pointer_64);
		fuzz_regs[7] = (u64)scratch + PAGE + below(PAGE); /* read for certain */
	}
	go();
}

static void hypercall(void)
{
	emit((const u8 *)(one_in(2) ? "\x0f\x01\xd9" : "\x0f\x01\xc1"), 3);
	fuzz_regs[0] = one_in(2) ? below(32) : value();
	fuzz_regs[3] = value();
	go();
}

static void cpuid_leaf(void)
{
	u32 r[4];

	cpuid((u32)value(), (u32)value(), r);
	cpuid(below(2) << 31 | below(64), below(8), r);
}

/* A page-table entry of any kind for the window, and an access through it. */
static void table_entry(void)
{
	u64 va = 256ull << 30;

	/* seldom a table instead of a leaf: one in device memory ends the VM */
	window_dir[0] = value() | (one_in(4) ? 0 : 1) | (one_in(64) ? 0 : 0x80);
	asm volatile("invlpg (%0)" : : "r"(va) : "memory");
	emit((const u8 *)(one_in(2) ? "\x8b\x07" : "\x89\x07"), 2);
	fuzz_regs[7] = va + below(0x200000);
	go();
}

static u64 routed; /* the IOAPIC's registers that were written */

/* Interrupts to itself, the IOAPIC's pins, timers at any distance; then IF = 1 for a while,
 * or a HLT when something is to come. */
static void interrupt_operation(void)
{
	bool sleep = false;
	u32 reg;

	switch (below(5)) {
	case 0:
		try_write32((void *)(LAPIC_BASE + LAPIC_ICR),
			    (u32)value() & ~0x00000500u); /* INIT, SIPI: see memory_access */
		break;
	case 1:
		reg = below(64);
		routed |= 1ull << reg;
		ioapic_write(reg, (u32)value());
		break;
	case 2:
		sleep = one_in(8);
		try_write32((void *)(LAPIC_BASE + LAPIC_LVT_TIMER),
			    sleep ? 0x20 + below(0xe0) : (u32)value() & 0x600ff);
		try_write32((void *)(LAPIC_BASE + LAPIC_TIMER_INITIAL), sleep	   ? below(100000)
									: below(2) ? (u32)value()
										   : 1);
		break;
	case 3: try_wrmsr(MSR_TSC_DEADLINE, rdtsc() + value() % 100000); break;
	default: apic_self_ipi((u8)value()); break;
	}
	emit((const u8 *)(sleep ? "\xfb\xf4\x90\x90" : "\xfb\x90\x90\x90"), 4); /* STI; HLT */
	go();
}

#endif
