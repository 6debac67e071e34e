/*
 * The guest fuzzer: executes programs of random operations, each made from a
 * seed, so that a seed does the same again. A line `SEED COUNT EVERY` on the
 * console runs COUNT programs from SEED on and prints the seed of each EVERYth
 * before it starts; then `done SEED` and the next line is awaited, an empty
 * one ends with PASS. Whatever a program does to this guest (a triple fault, a
 * power-off, a hang) is its own loss; a neighbour and the host are judged.
 */
#include "lib.h"

const char guest_name[] = "fuzz";

#define OPERATIONS 24 /* of a program */
#define PAGE 4096u
#define LANDING 2048u /* the instruction's place in its page of INT3 */

/* ----------------------------------------------------------- randomness */

static u64 state;

/* splitmix64 */
static u64 any(void)
{
	u64 z = state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static u32 below(u32 n)
{
	return (u32)((any() >> 32) * n >> 32);
}

static bool one_in(u32 n)
{
	return !below(n);
}

/* Values that checks get wrong: edges, single bits, sign changes. */
static u64 value(void)
{
	switch (below(8)) {
	case 0: return 0;
	case 1: return ~0ull;
	case 2: return 1ull << below(64);
	case 3: return ~(1ull << below(64));
	case 4: return below(256);
	case 5: return (1ull << below(64)) - 1;
	case 6: return (u32)any();
	default: return any();
	}
}

/* ------------------------------------------- running and coming back */

static u8 code[PAGE] __attribute__((aligned(4096)));
static u8 scratch[4 * PAGE] __attribute__((aligned(4096)));
static u8 trap_stack[PAGE] __attribute__((aligned(16)));

/* What run_code() loads, in the order of the encoding; and its way back. */
u64 fuzz_regs[16], fuzz_flags, fuzz_back[7];
void *fuzz_target;
void fuzz_run(void);
void fuzz_return(void);

/* Saves what C wants kept, takes all registers from fuzz_regs, goes. Any trap comes back. */
asm(".text\n"
    "fuzz_run:\n"
    "	mov %rbx, fuzz_back\n	mov %rbp, fuzz_back+8\n	mov %r12, fuzz_back+16\n"
    "	mov %r13, fuzz_back+24\n	mov %r14, fuzz_back+32\n	mov %r15, fuzz_back+40\n"
    "	mov %rsp, fuzz_back+48\n"
    "	pushq fuzz_flags\n	popfq\n"
    "	mov fuzz_regs, %rax\n	mov fuzz_regs+8, %rcx\n	mov fuzz_regs+16, %rdx\n"
    "	mov fuzz_regs+24, %rbx\n	mov fuzz_regs+40, %rbp\n	mov fuzz_regs+48, %rsi\n"
    "	mov fuzz_regs+56, %rdi\n	mov fuzz_regs+64, %r8\n	mov fuzz_regs+72, %r9\n"
    "	mov fuzz_regs+80, %r10\n	mov fuzz_regs+88, %r11\n	mov fuzz_regs+96, %r12\n"
    "	mov fuzz_regs+104, %r13\n	mov fuzz_regs+112, %r14\n	mov fuzz_regs+120, %r15\n"
    "	mov fuzz_regs+32, %rsp\n"
    "	jmp *fuzz_target\n"
    "fuzz_return:\n"
    "	mov fuzz_back, %rbx\n	mov fuzz_back+8, %rbp\n	mov fuzz_back+16, %r12\n"
    "	mov fuzz_back+24, %r13\n	mov fuzz_back+32, %r14\n	mov fuzz_back+40, %r15\n"
    "	mov fuzz_back+48, %rsp\n"
    "	ret\n");

static volatile bool running; /* inside fuzz_run() */
static volatile u32 traps[32], interrupts;

static bool on_trap(struct frame *f)
{
	asm volatile("mov %0, %%dr7" : : "r"(0x400ul));
	if (f->vector < 32)
		traps[f->vector]++;
	else
		interrupts++;
	if (!running)
		return f->vector == 1 || f->vector == 2 || f->vector >= 32;
	running = false;
	f->rip = (u64)fuzz_return;
	f->cs = 8;
	f->ss = 0x10;
	f->rflags = 2;
	f->rsp = (u64)(trap_stack + sizeof(trap_stack) - 64);
	return true;
}

static struct {
	u16 limit;
	u64 base;
} __attribute__((packed)) idt_pointer, gdt_pointer_64;

/* Every vector gets a stack of its own (IST1): a program's RSP may point anywhere. */
static void own_tables(void)
{
	static u64 gdt_copy[8];
	static u32 tss[26];
	u64 base = (u64)tss;

	asm volatile("sidt %0; sgdt %1" : "=m"(idt_pointer), "=m"(gdt_pointer_64));
	memcpy(gdt_copy, (void *)gdt_pointer_64.base, 32);
	gdt_copy[4] = (sizeof(tss) - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 |
		      (base >> 24 & 0xff) << 56;
	gdt_copy[5] = base >> 32;
	gdt_pointer_64.base = (u64)gdt_copy;
	gdt_pointer_64.limit = 6 * 8 - 1;
	*(u64 *)(tss + 9) = (u64)(trap_stack + sizeof(trap_stack));
	for (u32 i = 0; i < 256; i++)
		((u8 *)idt_pointer.base)[16 * i + 4] = 1;
	asm volatile("lgdt %0; ltr %%ax" : : "m"(gdt_pointer_64), "a"(0x20));
}

/* Where a pointer register may point. */
static u64 somewhere(void)
{
	switch (below(8)) {
	case 0: return LAPIC_BASE + below(PAGE);
	case 1: return IOAPIC_BASE + below(0x40);
	case 2: return 0xc0000000 + (u64)below(0x3fffffff);
	case 3: return (256ull << 30) + below(0x200000); /* the window */
	case 4: return value();
	case 5: return below(64);
	default: return (u64)scratch + PAGE + below(2 * PAGE);
	}
}

/* ----------------------------------------------------------- operations */

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

/* Runs what stands at LANDING, with these registers or random ones. */
static void go(void)
{
	running = true;
	fuzz_target = code + LANDING;
	fuzz_flags = 2 | (any() & 0x40cd5) | (one_in(4) ? 0x200 : 0) | (one_in(32) ? 0x100 : 0);
	fuzz_run();
	running = false;
	restore();
}

static void random_registers(void)
{
	for (u32 i = 0; i < 16; i++)
		fuzz_regs[i] = somewhere();
	if (!one_in(16)) /* else, the stack in a device */
		fuzz_regs[4] = (u64)scratch + PAGE + below(2 * PAGE);
	fuzz_regs[1] = one_in(8) ? value() & 0xffff : below(32); /* a REP's count */
}

static void emit(const u8 *bytes, u32 n)
{
	memset(code, 0xcc, sizeof(code)); /* INT3: the way out, wherever it goes */
	memcpy(code + LANDING, bytes, n);
	random_registers();
}

static bool is_jump(const u8 *op, bool two)
{
	return two ? (*op & 0xf0) == 0x80
		   : (*op & 0xf0) == 0x70 || (*op >= 0xe0 && *op <= 0xe3) || *op == 0xe8 ||
			       *op == 0xe9 || *op == 0xeb;
}

static void random_instruction(void)
{
	static const u8 prefixes[] = { 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x2e, 0x36,
				       0x3e, 0x26, 0x64, 0x65, 0x48, 0x41, 0x4c };
	u8 bytes[24];
	u32 n = 0, op;
	bool two;

	for (u32 i = below(4); i; i--)
		if (one_in(2))
			bytes[n++] = prefixes[below(ARRAY_SIZE(prefixes))];
	two = one_in(2);
	if (two)
		bytes[n++] = 0x0f;
	op = n;
	bytes[n++] = (u8)any();
	if (two && one_in(8))
		bytes[op] = one_in(2) ? 0x38 : 0x3a;
	while (n < sizeof(bytes))
		bytes[n++] = (u8)any();
	if (bytes[op] == 0xf4 && !two) /* HLT: nothing would wake it */
		bytes[op] = 0x90;
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
	emit(op + 1, op[0]);
	fuzz_regs[2] = port;
	fuzz_regs[0] = value();
	go();
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

	random_registers();
	switch (below(6)) {
	case 0:
	case 1: /* MOV CR/DR, RAX..RDI; CR3 keeps its tables */
		op[1] = (u8)(0x20 + below(4));
		op[2] = (u8)(0xc0 | (reg & 7) << 3);
		break;
	case 2: op[1] = 1, op[2] = (u8)(0xc0 + below(64)); break; /* VMCALL ... RDTSCP */
	case 3: op[1] = 1, op[2] = (u8)(below(8) << 3 | 7); break;
	case 4: op[1] = 0, op[2] = (u8)(0xc0 | below(64)); break;
	default: op[1] = one_in(2) ? 8 : 9, op[2] = 0xcc; break;
	}
	emit(op, n);
	fuzz_regs[0] = op[1] == 0x22 && (reg & 7) == 3	 ? base_cr3 | (value() & 0xfff)
		       : op[1] == 0x22 && (reg & 7) == 4 ? base_cr4 ^ 1ull << below(64)
		       : op[1] == 0x22 && !(reg & 7)	 ? base_cr0 ^ 1ull << below(64)
							 : value();
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
	extern u64 window_dir[512];
	u64 va = 256ull << 30;

	/* seldom a table instead of a leaf: one in device memory ends the VM */
	window_dir[0] = value() | (one_in(4) ? 0 : 1) | (one_in(64) ? 0 : 0x80);
	asm volatile("invlpg (%0)" : : "r"(va) : "memory");
	emit((const u8 *)(one_in(2) ? "\x8b\x07" : "\x89\x07"), 2);
	fuzz_regs[7] = va + below(0x200000);
	go();
}

/* Interrupts to itself, the IOAPIC's pins, timers at any distance; then IF = 1 for a while. */
static void interrupt_operation(void)
{
	switch (below(5)) {
	case 0:
		try_write32((void *)(LAPIC_BASE + LAPIC_ICR),
			    (u32)value() & ~0x00000500u); /* INIT, SIPI: see memory_access */
		break;
	case 1: ioapic_write(below(64), (u32)value()); break;
	case 2:
		try_write32((void *)(LAPIC_BASE + LAPIC_LVT_TIMER), (u32)value() & 0x600ff);
		try_write32((void *)(LAPIC_BASE + LAPIC_TIMER_INITIAL),
			    below(2) ? (u32)value() : 1);
		break;
	case 3: try_wrmsr(MSR_TSC_DEADLINE, rdtsc() + value() % 100000); break;
	default: apic_self_ipi((u8)value()); break;
	}
	emit((const u8 *)"\xfb\x90\x90\x90", 4); /* STI */
	go();
}

static void program(u64 seed)
{
	static void (*const operations[])(void) = {
		random_instruction, random_instruction, memory_access,	     memory_access,
		port_access,	    msr_access,		system_instruction,  hypercall,
		cpuid_leaf,	    table_entry,	interrupt_operation,
	};

	state = seed * 0xd1342543de82ef95 + 1;
	for (u32 i = 0; i < OPERATIONS; i++)
		operations[below(ARRAY_SIZE(operations))]();
	/* the next program finds the machine as this one did */
	try_wrmsr(MSR_APIC_BASE, 0xfee00100);
	try_wrmsr(MSR_APIC_BASE, 0xfee00900);
	x2apic = false;
	apic_init();
	apic_write(LAPIC_EOI, 0);
	pic_init(0x20);
	serial_init();
}

/* ------------------------------------------------------------- console */

static u64 number(const char **p)
{
	u64 v = 0;

	while (**p == ' ')
		(*p)++;
	for (; **p >= '0' && **p <= '9'; (*p)++)
		v = v * 10 + (u64)(**p - '0');
	return v;
}

static void read_line(char *line, u32 size)
{
	u32 n = 0;
	int c;

	while ((c = get_char()) != '\n' && c != '\r')
		if (c >= 0 && n + 1 < size)
			line[n++] = (char)c;
	line[n] = 0;
}

void guest_main(void)
{
	char line[80];

	own_tables();
	trap_hook = on_trap;
	base_cr0 = read_cr0();
	base_cr3 = read_cr3();
	base_cr4 = read_cr4();
	base_efer = rdmsr(MSR_EFER);
	print("READY %s\n", guest_name);
	for (;;) {
		const char *p = line;
		u64 seed, count, every;

		read_line(line, sizeof(line));
		seed = number(&p);
		count = number(&p);
		every = number(&p);
		if (!count)
			break;
		for (u64 i = 0; i < count; i++, seed++) {
			if (every && i % every == 0)
				print("seed %lu\n", seed);
			program(seed);
		}
		print("done %lu:", seed);
		for (u32 i = 0; i < 32; i++)
			if (traps[i])
				print(" #%u=%u", i, traps[i]);
		print(" interrupts=%u\n", interrupts);
	}
}
