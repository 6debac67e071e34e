/*
 * Emulated instructions against the processor that runs this test: the same
 * bytes, registers and memory, once natively and once through emulate_mmio()
 * with a device that is plain memory. Registers, defined flags and memory must
 * come out equal. Repeatable: fixed seed.
 */
// SOURCES: vmm/emulate.c vmm/string_op.c vmm/access.c vmm/fetch.c vmm/decode.c vmm/walk.c
// SOURCES: vmm/alu.c vmm/iomap.c vmm/lib.c vmm/vm.c tests/unit/fake/sys_fake.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "sys_fake.h"
#include "vmm/emulate.h"
#include "vmm/iomap.h"
#include "vmm/vm.h"

#define MMIO 0xd0000000ull
#define MEM 256 /* bytes of memory; operands are in its middle */
#define CODE 0x1000u
#define CASES 60000

#define AF 0x10u
#define STATUS 0x8d5u /* CF PF AF ZF SF OF */

static u64 seed = 0x2545f4914f6cdd1dull;

static u64 rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x9e3779b97f4a7c15ull;
}

struct machine {
	u64 rax, rcx, rdx, rsi, rdi; /* rdi and rsi: offsets in mem */
	u64 flags;
	u8 mem[MEM];
};

static u8 device[MEM];

static u64 device_read(void *dev, u64 off, u32 size)
{
	u64 value = 0;

	(void)dev;
	memcpy(&value, device + off, size);
	return value;
}

static void device_write(void *dev, u64 off, u32 size, u64 value)
{
	(void)dev;
	memcpy(device + off, &value, size);
}

static void run_native(struct machine *m, const u8 *code, u32 len)
{
	static u8 *page;
	u64 flags = m->flags | 2, rdi = (u64)m->mem + m->rdi, rsi = (u64)m->mem + m->rsi;

	if (!page) {
		page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		assert_ptr_not_equal(page, MAP_FAILED);
	}
	memcpy(page, code, len);
	page[len] = 0xc3;
	__asm__ volatile("sub $128, %%rsp\n\t" /* past the red zone */
			 "push %[flags]\n\t"
			 "popfq\n\t"
			 "call *%[fn]\n\t"
			 "pushfq\n\t"
			 "pop %[flags]\n\t"
			 "cld\n\t"
			 "add $128, %%rsp"
			 : "+a"(m->rax), "+c"(m->rcx), "+d"(m->rdx), "+D"(rdi),
			   "+S"(rsi), [flags] "+r"(flags)
			 : [fn] "r"(page)
			 : "memory", "cc");
	m->flags = flags & (STATUS | 0x400);
	m->rdi = rdi - (u64)m->mem;
	m->rsi = rsi - (u64)m->mem;
}

/* Until the instruction is over: a long string takes several upcalls. */
static void run_emulated(struct machine *m, const u8 *code, u32 len)
{
	struct abi_vcpu *v = &fake_vcpu;

	memcpy(device, m->mem, MEM);
	memcpy(guest_ptr(CODE, 16), code, len);
	memset(v->gpr, 0, sizeof(v->gpr));
	v->gpr[ABI_RAX] = m->rax;
	v->gpr[ABI_RCX] = m->rcx;
	v->gpr[ABI_RDX] = m->rdx;
	v->gpr[ABI_RDI] = MMIO + m->rdi;
	v->gpr[ABI_RSI] = MMIO + m->rsi;
	v->rip = CODE;
	v->rflags = m->flags | 2;
	v->gpa = MMIO;
	for (volatile u32 i = 0; i < 100; i++) {
		SYS_FAKE_UPCALL(emulate_mmio(v));
		if (fake.fin == ABI_FIN_REG) {
			assert_int_equal(fake.c, len);
			if (fake.a != ABI_NO_GPR)
				v->gpr[fake.a] = fake.b;
			break;
		}
		assert_int_equal(fake.fin, ABI_FIN_REGS);
		assert_int_equal(v->rip, CODE);
		if (fake.a) {
			assert_int_equal(fake.a, len);
			break;
		}
	}
	memcpy(m->mem, device, MEM);
	m->rax = v->gpr[ABI_RAX];
	m->rcx = v->gpr[ABI_RCX];
	m->rdx = v->gpr[ABI_RDX];
	m->rdi = v->gpr[ABI_RDI] - MMIO;
	m->rsi = v->gpr[ABI_RSI] - MMIO;
	m->flags = v->rflags & (STATUS | 0x400);
}

static void compare(const struct machine *start, const u8 *code, u32 len, u64 flags)
{
	struct machine a = *start, b = *start;

	run_native(&a, code, len);
	run_emulated(&b, code, len);
	a.flags &= flags;
	b.flags &= flags;
	if (!memcmp(&a, &b, sizeof(a)))
		return;
	for (u32 i = 0; i < len; i++)
		printf(" %02x", code[i]);
	printf("\nnative:   %lx %lx %lx rdi %lx rsi %lx flags %lx\n", a.rax, a.rcx, a.rdx, a.rdi,
	       a.rsi, a.flags);
	printf("emulated: %lx %lx %lx rdi %lx rsi %lx flags %lx\n", b.rax, b.rcx, b.rdx, b.rdi,
	       b.rsi, b.flags);
	for (u32 i = 0; i < MEM; i++)
		if (a.mem[i] != b.mem[i])
			printf("mem[%u]: native %02x emulated %02x\n", i, a.mem[i], b.mem[i]);
	fail();
}

static u64 rnd_value(void) /* edge values are likelier */
{
	static const u64 edges[] = { 0,
				     1,
				     0x7f,
				     0x80,
				     0xff,
				     0x7fff,
				     0x8000,
				     0xffff,
				     0x7fffffff,
				     0x80000000,
				     0xffffffff,
				     0x7fffffffffffffffull,
				     0x8000000000000000ull,
				     ~0ull };
	u64 r = rnd();

	return r & 3 ? r >> (r % 64) : edges[(r >> 8) % 14];
}

static void rnd_machine(struct machine *m)
{
	m->rax = rnd_value();
	m->rcx = rnd_value();
	m->rdx = rnd_value();
	m->rdi = MEM / 2;
	m->rsi = MEM / 4;
	m->flags = rnd() & STATUS;
	for (u32 i = 0; i < MEM; i += 8) {
		u64 value = rnd_value();

		memcpy(m->mem + i, &value, 8);
	}
	if (rnd() & 1) /* so that CMPXCHG and CMP meet equality */
		memcpy(m->mem + m->rdi, &m->rax, 8);
}

struct form {
	u8 opcode;
	u8 map;	       /* 0x0f or 0 */
	s8 digit;      /* ModRM.reg if it extends the opcode, else -1 */
	u8 imm;	       /* bytes: 1, or 4 = by operand size */
	u64 undefined; /* flags */
	bool bytes, lockable;
};

static const struct form forms[] = {
	{ 0x84, 0, -1, 0, AF, true, false },	    { 0x85, 0, -1, 0, AF, false, false },
	{ 0x86, 0, -1, 0, 0, true, true },	    { 0x87, 0, -1, 0, 0, false, true },
	{ 0x88, 0, -1, 0, 0, true, false },	    { 0x89, 0, -1, 0, 0, false, false },
	{ 0x8a, 0, -1, 0, 0, true, false },	    { 0x8b, 0, -1, 0, 0, false, false },
	{ 0xc6, 0, 0, 1, 0, true, false },	    { 0xc7, 0, 0, 4, 0, false, false },
	{ 0xf6, 0, 0, 1, AF, true, false },	    { 0xf7, 0, 0, 4, AF, false, false },
	{ 0xf6, 0, 2, 0, 0, true, true },	    { 0xf7, 0, 2, 0, 0, false, true },
	{ 0xf6, 0, 3, 0, 0, true, true },	    { 0xf7, 0, 3, 0, 0, false, true },
	{ 0xfe, 0, 0, 0, 0, true, true },	    { 0xff, 0, 0, 0, 0, false, true },
	{ 0xfe, 0, 1, 0, 0, true, true },	    { 0xff, 0, 1, 0, 0, false, true },
	{ 0xb0, 0x0f, -1, 0, 0, true, true },	    { 0xb1, 0x0f, -1, 0, 0, false, true },
	{ 0xc0, 0x0f, -1, 0, 0, true, true },	    { 0xc1, 0x0f, -1, 0, 0, false, true },
	{ 0xb6, 0x0f, -1, 0, 0, false, false },	    { 0xb7, 0x0f, -1, 0, 0, false, false },
	{ 0xbe, 0x0f, -1, 0, 0, false, false },	    { 0xbf, 0x0f, -1, 0, 0, false, false },
	{ 0xc3, 0x0f, -1, 0, 0, false, false },	    { 0x63, 0, -1, 0, 0, false, false },
	{ 0xba, 0x0f, 4, 1, 0x8d4, false, false },  { 0xba, 0x0f, 5, 1, 0x8d4, false, true },
	{ 0xba, 0x0f, 6, 1, 0x8d4, false, true },   { 0xba, 0x0f, 7, 1, 0x8d4, false, true },
	{ 0xa3, 0x0f, -1, 0, 0x8d4, false, false }, { 0xab, 0x0f, -1, 0, 0x8d4, false, true },
	{ 0xb3, 0x0f, -1, 0, 0x8d4, false, true },  { 0xbb, 0x0f, -1, 0, 0x8d4, false, true },
};

static void run_form(const struct form *f)
{
	struct machine m;
	u32 n = 0, reg = (u32)(rnd() % 3), size = f->bytes ? 1 : 4;
	u8 code[16], kind = (u8)(rnd() % 3);
	bool bit_reg = f->map && (f->opcode & 0xe7) == 0xa3;

	rnd_machine(&m);
	if (kind == 1 && f->opcode != 0xc3 && f->opcode != 0x63) {
		code[n++] = 0x66;
		size = f->bytes ? 1 : 2;
	}
	if (f->lockable && rnd() & 1)
		code[n++] = 0xf0;
	if (kind == 2)
		code[n++] = 0x48;
	else if (f->bytes && rnd() & 1)
		reg += 4; /* AH CH DH */
	if (f->map)
		code[n++] = f->map;
	code[n++] = f->opcode;
	code[n++] = (u8)(((f->digit < 0 ? reg : (u32)f->digit) << 3) | 7); /* [rdi] */
	for (u32 i = f->imm == 4 ? size : f->imm; i; i--)
		code[n++] = (u8)rnd();
	if (bit_reg) { /* stay within mem */
		m.rax = m.rcx = m.rdx = (u64)((s64)(rnd() % 1600) - 800);
		if (size == 4 && kind != 2)
			m.rdx |= rnd() << 32;
	}
	compare(&m, code, n, STATUS & ~f->undefined);
}

static void test_forms(void **state)
{
	(void)state;
	for (u32 i = 0; i < CASES; i++)
		run_form(&forms[rnd() % (sizeof(forms) / sizeof(forms[0]))]);
}

static void test_arithmetic(void **state)
{
	(void)state;
	for (u32 i = 0; i < CASES; i++) {
		u8 op = (u8)(rnd() % 8);
		bool logic = op == 1 || op == 4 || op == 6;
		struct form f = { .undefined = logic ? AF : 0, .digit = -1 };

		if (rnd() & 1) {
			f.opcode = (u8)(op << 3 | rnd() % 4);
			f.bytes = !(f.opcode & 1);
			f.lockable = op != 7 && !(f.opcode & 2);
		} else {
			f.opcode = (u8[]){ 0x80, 0x81, 0x83 }[rnd() % 3];
			f.digit = (s8)op;
			f.bytes = f.opcode == 0x80;
			f.imm = f.opcode == 0x81 ? 4 : 1;
			f.lockable = op != 7;
		}
		run_form(&f);
	}
}

static void test_strings(void **state)
{
	static const u8 opcodes[] = { 0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf };

	(void)state;
	for (u32 i = 0; i < CASES / 2; i++) {
		struct machine m;
		u8 code[4], opcode = opcodes[rnd() % sizeof(opcodes)];
		u32 n = 0, kind = (u32)(rnd() % 3), size;

		rnd_machine(&m);
		size = !(opcode & 1) ? 1 : kind == 0 ? 4 : kind == 1 ? 2 : 8;
		if (kind == 1)
			code[n++] = 0x66;
		if (rnd() & 1) {
			code[n++] = rnd() & 1 ? 0xf2 : 0xf3;
			m.rcx = rnd() % (MEM / 4 / size + 1);
		}
		if (kind == 2)
			code[n++] = 0x48;
		code[n++] = opcode;
		if (rnd() & 1)
			m.flags |= 0x400; /* DF */
		if (rnd() & 1)		  /* equal stretches */
			memset(m.mem, (u8)m.rax, MEM);
		m.rdi = MEM / 2 - 8 + rnd() % 16;
		m.rsi = MEM / 2 - 8 + rnd() % 16;
		compare(&m, code, n, STATUS | 0x400);
	}
}

static int setup(void **state)
{
	struct io_range range = { MMIO, MEM, NULL, device_read, device_write, "memory" };

	(void)state;
	sys_fake_reset(0x200000, 0);
	iomap_clear();
	iomap_add(IO_MMIO, &range);
	fake_vcpu.state.efer = 0x500;
	fake_vcpu.state.seg[ABI_CS].attr = ABI_ATTR_L;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_arithmetic, setup),
		cmocka_unit_test_setup(test_forms, setup),
		cmocka_unit_test_setup(test_strings, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
