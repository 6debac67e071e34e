/*
 * Memory-mapped registers through every form of access a monitor has to
 * decode: widths, registers, addressing modes, extensions, immediates,
 * strings, page crossings; and unmapped space, which reads all ones.
 * The subject is the IOAPIC (selector at +0, window at +0x10) and the LAPIC.
 */
#include "lib.h"

const char guest_name[] = "mmio";

#define SEL ((volatile u32 *)IOAPIC_BASE)
#define WIN ((volatile u32 *)(IOAPIC_BASE + 0x10))
#define LAPIC(reg) ((volatile u32 *)(LAPIC_BASE + (reg)))

static u32 version; /* of the LAPIC: a stable non-zero register */

#define READ_FORM(what, expected, insn, reg, ...) \
	do { \
		u64 got_ = 0x1122334455667788; \
		asm volatile(insn "\n\tmov %%" reg ", %0" \
			     : "=&r"(got_) \
			     : __VA_ARGS__ \
			     : reg, "memory"); \
		CHECK(got_ == (u64)(expected), what ": %lx, not %lx", got_, (u64)(expected)); \
	} while (0)

static void check_registers(void)
{
	u64 p = LAPIC_BASE + LAPIC_VERSION;

#define EACH(r64, r32) READ_FORM("MOV to " r32, version, "movl (%1), %%" r32, r64, "r"(p));
	EACH("rax", "eax")
	EACH("rbx", "ebx")
	EACH("rcx", "ecx")
	EACH("rdx", "edx")
	EACH("rsi", "esi")
	EACH("rdi", "edi")
	EACH("r8", "r8d")
	EACH("r9", "r9d")
	EACH("r10", "r10d")
	EACH("r11", "r11d")
	EACH("r12", "r12d")
	EACH("r13", "r13d")
	EACH("r14", "r14d")
	EACH("r15", "r15d")
}

static void check_addressing(void)
{
	u64 base = LAPIC_BASE, got;

	READ_FORM("disp8", version, "movl 0x30(%1), %%eax", "rax", "r"(base));
	READ_FORM("disp32", version, "movl 0x130(%1), %%eax", "rax", "r"(base - 0x100));
	READ_FORM("negative", version, "movl -0x10(%1), %%eax", "rax", "r"(base + 0x40));
	READ_FORM("index", version, "movl (%1,%2,1), %%eax", "rax", "r"(base), "r"(0x30ul));
	READ_FORM("index * 8", version, "movl 0x10(%1,%2,8), %%eax", "rax", "r"(base), "r"(4ul));
	READ_FORM("SIB disp8", version, "movl 8(%1,%2,4), %%eax", "rax", "r"(base), "r"(10ul));
	READ_FORM("no base", version, "movl 0x30(,%1,2), %%eax", "rax", "r"(base / 2));
	READ_FORM("R13 base", version, "mov %1, %%r13; movl (%%r13), %%r13d", "r13",
		  "r"(base + 0x30));
	READ_FORM("R12 base", version, "mov %1, %%r12; movl (%%r12), %%r12d", "r12",
		  "r"(base + 0x30));
	asm volatile("push %%rbp; mov %1, %%rbp; movl 0x30(%%rbp), %%eax; pop %%rbp"
		     : "=a"(got)
		     : "r"(base)
		     : "memory");
	CHECK(got == version, "RBP base: %lx", got);
	asm volatile("movabs 0xfee00030, %%eax" : "=a"(got) : : "memory");
	CHECK(got == version, "moffs: %lx", got);
	asm volatile("addr32 movl (%%ebx), %%eax"
		     : "=a"(got)
		     : "b"(0xffffffff00000000 | (base + 0x30))
		     : "memory");
	CHECK(got == version, "32-bit address size: %lx", got);
	wrmsr(0xc0000100, base);
	asm volatile("movl %%fs:0x30, %%eax" : "=a"(got) : : "memory");
	CHECK(got == version, "FS base: %lx", got);
	wrmsr(0xc0000100, 0);
	wrmsr(0xc0000101, base - 0x1000);
	asm volatile("movl %%gs:(%1), %%eax" : "=a"(got) : "r"(0x1030ul) : "memory");
	CHECK(got == version, "GS base: %lx", got);
	wrmsr(0xc0000101, 0);
}

/* The register p points at is EDX's; RAX holds r before and after. */
#define FORM(what, insn, before, after) \
	do { \
		u64 r_ = (before); \
		asm volatile(insn : "+a"(r_) : "d"(p) : "memory"); \
		CHECK(r_ == (after), what ": %lx, not %lx", r_, (u64)(after)); \
	} while (0)

static void check_widths(void)
{
	u64 p = IOAPIC_BASE + 0x10;

	*SEL = 0x10;
	*WIN = 0x100f5; /* vector 0xf5, masked */
	CHECK(*WIN == 0x100f5, "redirection entry 0 reads %x", *WIN);
	FORM("MOV AL", "movb (%1), %%al", 0x1122334455667788, 0x11223344556677f5);
	FORM("MOV AH", "movb (%1), %%ah", 0x1122334455667788, 0x112233445566f588);
	FORM("MOV AX", "movw (%1), %%ax", 0x1122334455667788, 0x11223344556600f5);
	FORM("MOV EAX", "movl (%1), %%eax", 0x1122334455667788, 0x100f5);
	FORM("MOVZX byte", "movzbl (%1), %%eax", 0x1122334455667788, 0xf5);
	FORM("MOVZX byte to 64", "movzbq (%1), %%rax", 0x1122334455667788, 0xf5);
	FORM("MOVZX byte to 16", "movzbw (%1), %%ax", 0x1122334455667788, 0x11223344556600f5);
	FORM("MOVZX word", "movzwl (%1), %%eax", 0x1122334455667788, 0xf5);
	FORM("MOVSX byte", "movsbl (%1), %%eax", 0x1122334455667788, 0xfffffff5);
	FORM("MOVSX byte to 64", "movsbq (%1), %%rax", 0x1122334455667788, 0xfffffffffffffff5);
	FORM("MOVSX word", "movswl (%1), %%eax", 0x1122334455667788, 0xf5);
	FORM("MOVSXD", "movslq (%1), %%rax", 0x1122334455667788, 0x100f5);
	FORM("SIL", "push %%rsi; xor %%esi, %%esi; movb (%1), %%sil; mov %%rsi, %%rax; pop %%rsi",
	     0, 0xf5);
}

static void check_writes(void)
{
	u64 p = IOAPIC_BASE + 0x10, r8 = 0x100a8;

	*SEL = 0x10;
	FORM("MOV from EAX", "movl %%eax, (%1)", 0x100a1, 0x100a1);
	CHECK(*WIN == 0x100a1, "after MOV from EAX: %x", *WIN);
	asm volatile("movl $0x100a2, (%0)" : : "r"(p) : "memory");
	CHECK(*WIN == 0x100a2, "after MOV imm32: %x", *WIN);
	asm volatile("mov %1, %%r8; movl %%r8d, (%0)" : : "r"(p), "r"(r8) : "r8", "memory");
	CHECK(*WIN == 0x100a8, "after MOV from R8D: %x", *WIN);
	/* The selector has 8 bits: byte and word writes set it too. */
	p = IOAPIC_BASE;
	asm volatile("movb $1, (%0)" : : "r"(p) : "memory");
	CHECK(*SEL == 1, "after MOV imm8: selector %x", *SEL);
	asm volatile("movb %%ah, (%0)" : : "r"(p), "a"(0x1000) : "memory");
	CHECK(*SEL == 0x10, "after MOV from AH: selector %x", *SEL);
	asm volatile("movw %%ax, (%0)" : : "r"(p), "a"(0x0001) : "memory");
	CHECK(*SEL == 1, "after MOV from AX: selector %x", *SEL);
	asm volatile("movw $0x10, (%0)" : : "r"(p) : "memory");
	CHECK(*SEL == 0x10, "after MOV imm16: selector %x", *SEL);
	asm volatile("movl %%eax, %%fs:(%0)" : : "r"(p), "a"(0) : "memory");
	CHECK(*SEL == 0, "after MOV with a segment prefix: selector %x", *SEL);
}

/* Read-modify-write and compare: the result and the flags. */
static void check_arithmetic(void)
{
	volatile u32 *tpr = LAPIC(LAPIC_TPR);
	u64 p = (u64)tpr;
	u8 flag;

	*tpr = 0x20;
	asm volatile("orl $0x40, (%0)" : : "r"(p) : "memory");
	CHECK(*tpr == 0x60, "OR: TPR %x", *tpr);
	asm volatile("andl %1, (%0)" : : "r"(p), "r"(0x50) : "memory");
	CHECK(*tpr == 0x40, "AND: TPR %x", *tpr);
	asm volatile("addl $0x10, (%0)" : : "r"(p) : "memory");
	CHECK(*tpr == 0x50, "ADD: TPR %x", *tpr);
	asm volatile("xorl $0x70, (%0)" : : "r"(p) : "memory");
	CHECK(*tpr == 0x20, "XOR: TPR %x", *tpr);
	asm volatile("cmpl $0x20, (%1); sete %0" : "=q"(flag) : "r"(p) : "cc");
	CHECK(flag, "CMP: equal values differ");
	asm volatile("cmpl $0x21, (%1); setb %0" : "=q"(flag) : "r"(p) : "cc");
	CHECK(flag, "CMP: 0x20 is not below 0x21");
	asm volatile("testl $0x20, (%1); setnz %0" : "=q"(flag) : "r"(p) : "cc");
	CHECK(flag, "TEST: bit 5 is clear");
	FORM("CMP reg", "cmpl (%1), %%eax; sete %%al", 0x20, 1);
	FORM("ADD from memory", "addl (%1), %%eax", 1, 0x21);
	FORM("XCHG", "xchgl %%eax, (%1)", 0x30, 0x20);
	CHECK(*tpr == 0x30, "XCHG: TPR %x", *tpr);
	*tpr = 0;
}

static void check_strings(void)
{
	static u32 buf[4];
	u64 di = (u64)buf, si = LAPIC_BASE + LAPIC_VERSION, cx = 3, got;

	memset(buf, 0, sizeof(buf));
	asm volatile("movsl" : "+D"(di), "+S"(si) : : "memory");
	CHECK(buf[0] == version, "MOVS from a register: %x", buf[0]);
	CHECK(di == (u64)(buf + 1) && si == LAPIC_BASE + LAPIC_VERSION + 4, "MOVS: RDI %lx RSI %lx",
	      di, si);
	si = LAPIC_BASE + LAPIC_VERSION;
	asm volatile("lodsl" : "=a"(got), "+S"(si) : : "memory");
	CHECK((u32)got == version, "LODS: %lx", got);
	di = IOAPIC_BASE;
	asm volatile("stosl" : "+D"(di) : "a"(0x10) : "memory");
	CHECK(*SEL == 0x10 && di == IOAPIC_BASE + 4, "STOS: selector %x RDI %lx", *SEL, di);
	buf[0] = 0x100b7;
	si = (u64)buf;
	di = IOAPIC_BASE + 0x10;
	asm volatile("movsl" : "+D"(di), "+S"(si) : : "memory");
	CHECK(*WIN == 0x100b7, "MOVS to a register: %x", *WIN);
	/* REP with a count, out of unmapped space. */
	if (bulkhead) {
		si = 0xd0000000;
		di = (u64)buf;
		asm volatile("rep movsl" : "+D"(di), "+S"(si), "+c"(cx) : : "memory");
		CHECK(buf[0] == ~0u && buf[2] == ~0u, "REP MOVS: %x %x", buf[0], buf[2]);
		CHECK(!cx && si == 0xd000000c && di == (u64)(buf + 3), "REP MOVS: RCX %lx RSI %lx",
		      cx, si);
		CHECK(buf[3] == 0, "REP MOVS wrote too much");
	}
}

static void check_unmapped(void)
{
	static const u64 places[] = { 0xc0000000, 0xd0000000, 0xfec01000,  0xfed00000,
				      0xfee01000, 0xfffffff0, 0x7000000000 };
	u64 base, size, ram_end = 0;

	for (u32 i = 0; i < ARRAY_SIZE(places); i++) {
		u64 p = (u64)map_window(places[i]);

		FORM("unmapped byte", "movb (%1), %%al", 0, 0xff);
		FORM("unmapped word", "movw (%1), %%ax", 0, 0xffff);
		FORM("unmapped dword", "movl (%1), %%eax", 0, 0xffffffff);
		FORM("unmapped qword", "movq (%1), %%rax", 0, 0xffffffffffffffff);
		*(volatile u32 *)p = 0x12345678;
		FORM("unmapped after a write", "movl (%1), %%eax", 0, 0xffffffff);
	}
	/* Half in the IOAPIC's page, half behind it. */
	{
		u64 p = IOAPIC_BASE + 0x1000 - 4;
		u64 got;

		asm volatile("movq (%1), %0" : "=r"(got) : "r"(p) : "memory");
		CHECK(got >> 32 == 0xffffffff, "across the IOAPIC's end: %lx", got);
	}
	/* The last bytes of RAM and the first behind it. */
	for (u32 i = 0; ram_range(i, &base, &size); i++)
		if (base + size <= 0xc0000000 && base + size > ram_end)
			ram_end = base + size;
	if (!(ram_end & 0x1fffff)) {
		u64 p = ram_end - 4, got;

		*(volatile u32 *)p = 0xcafe1234;
		asm volatile("movq (%1), %0" : "=r"(got) : "r"(p) : "memory");
		CHECK(got == 0xffffffffcafe1234, "across RAM's end: %lx", got);
		asm volatile("movq %1, (%0)" : : "r"(p), "r"(0x5555555544444444) : "memory");
		CHECK(*(volatile u32 *)p == 0x44444444, "written across RAM's end: %x",
		      *(volatile u32 *)p);
		asm volatile("movb $7, (%0)" : : "r"(ram_end) : "memory");
	}
}

/* The instruction itself lies across a page boundary. */
static void check_code_crossing(void)
{
	static u8 pages[8192] __attribute__((aligned(4096)));
	static const u8 code[] = { 0x8b, 0x82, 0x30, 0, 0, 0, 0xc3 }; /* mov 0x30(%rdx), %eax; ret */
	u64 got;

	for (u32 i = 1; i < sizeof(code); i++) {
		u8 *at = pages + 4096 - i;

		memcpy(at, code, sizeof(code));
		asm volatile("call *%2" : "=a"(got) : "d"(LAPIC_BASE), "r"(at) : "memory");
		CHECK(got == version, "instruction across a page, %u bytes before: %lx", i, got);
	}
}

void guest_main(void)
{
	version = *LAPIC(LAPIC_VERSION);
	CHECK((version & 0xff) >= 0x10 && (version & 0xff) < 0x20, "LAPIC version %x", version);
	check_registers();
	check_addressing();
	if (bulkhead) /* QEMU's IOAPIC takes double words only */
		check_widths();
	check_writes();
	check_arithmetic();
	check_strings();
	check_code_crossing();
	if (bulkhead)
		check_unmapped();
	*SEL = 0x10;
	*WIN = LVT_MASKED;
}
