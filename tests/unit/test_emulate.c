/*
 * Emulation beyond what a processor can be compared with: LAPIC finishes,
 * segments, 16-bit addressing, page tables, accesses that cross pages and leave
 * the device, long strings in parts, port strings, stale exits, and what stops
 * the VM.
 */
// SOURCES: vmm/emulate.c vmm/string_op.c vmm/access.c vmm/fetch.c vmm/decode.c vmm/walk.c
// SOURCES: vmm/alu.c vmm/iomap.c vmm/lib.c vmm/vm.c tests/unit/fake/sys_fake.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "sys_fake.h"
#include "vmm/board.h"
#include "vmm/emulate.h"
#include "vmm/fetch.h"
#include "vmm/iomap.h"
#include "vmm/vm.h"
#include "vmm/walk.h"

#define MMIO 0xd0000000ull
#define CODE 0x1000u

static struct abi_vcpu *v;
static u8 device[0x2000];
static u32 port_bytes, accesses;
static u8 port_log[4096];

static u64 device_read(void *dev, u64 off, u32 size)
{
	u64 value = 0;

	(void)dev;
	accesses++;
	memcpy(&value, device + off, size);
	return value;
}

static void device_write(void *dev, u64 off, u32 size, u64 value)
{
	(void)dev;
	accesses++;
	memcpy(device + off, &value, size);
}

static u64 port_read(void *dev, u64 off, u32 size)
{
	(void)dev;
	(void)off;
	port_bytes += size;
	return 0x11111111ull * (port_bytes & 15);
}

static void port_write(void *dev, u64 off, u32 size, u64 value)
{
	(void)dev;
	(void)off;
	memcpy(port_log + port_bytes, &value, size);
	port_bytes += size;
}

static int setup(void **state)
{
	struct io_range mem = { MMIO, sizeof(device), NULL, device_read, device_write, "memory" };
	struct io_range port = { 0x300, 1, NULL, port_read, port_write, "port" };

	(void)state;
	sys_fake_reset(0x400000, 0);
	walk_forget();
	iomap_clear();
	iomap_add(IO_MMIO, &mem);
	port.len = 4;
	iomap_add(IO_PORT, &port);
	memset(device, 0, sizeof(device));
	port_bytes = accesses = 0;
	v = &fake_vcpu;
	v->rip = CODE;
	v->rflags = 2;
	v->gpa = MMIO;
	for (u32 i = 0; i < ABI_SEGS; i++) {
		v->state.seg[i].limit = 0xffffffff;
		v->state.seg[i].attr = 0x93 | ABI_ATTR_DB;
	}
	v->state.seg[ABI_CS].attr = 0x9b | ABI_ATTR_L;
	v->state.efer = 0x500; /* long mode; the tests leave paging off mostly */
	return 0;
}

static void mode(u32 bits)
{
	v->state.efer = 0;
	v->state.cr0 = 1;
	v->state.seg[ABI_CS].attr = 0x9b | (bits == 32 ? ABI_ATTR_DB : 0);
}

static void code(const char *bytes, u32 n)
{
	memcpy(guest_ptr(CODE, n), bytes, n);
}

#define CODE_BYTES(s) code(s, sizeof(s) - 1)

static void mmio(void)
{
	SYS_FAKE_UPCALL(emulate_mmio(v));
}

static void expect(enum abi_finish kind, u64 a, u64 b, u64 c)
{
	assert_int_equal(fake.fin, kind);
	assert_int_equal(fake.a, a);
	assert_int_equal(fake.b, b);
	assert_int_equal(fake.c, c);
}

static void expect_stop(const char *text)
{
	assert_int_equal(fake.stop_count, 1);
	assert_int_equal(fake.stop_why, ABI_STOP_EMULATION);
	assert_int_equal(fake.fin, ABI_FIN_NONE);
	assert_non_null(strstr(fake.log, text));
}

static void expect_undefined(const char *text)
{
	assert_int_equal(fake.stop_count, 0);
	expect(ABI_FIN_FAULT, VEC_UD, 0, 0);
	assert_non_null(strstr(fake.log, text));
}

static void test_lapic(void **state)
{
	(void)state;
	v->gpa = BOARD_LAPIC + 0xb0;
	v->gpr[ABI_RBX] = BOARD_LAPIC;
	v->gpr[ABI_RAX] = 0x1234567890;
	CODE_BYTES("\x89\x83\xb0\x00\x00\x00"); /* mov [rbx + 0xb0], eax */
	mmio();
	expect(ABI_FIN_LAPIC_WRITE, 0xb0, 0x34567890, 6);
	CODE_BYTES("\xc7\x83\xb0\x00\x00\x00\x00\x00\x00\x00"); /* mov dword [...], 0 */
	mmio();
	expect(ABI_FIN_LAPIC_WRITE, 0xb0, 0, 10);
	CODE_BYTES("\x44\x8b\x8b\xb0\x00\x00\x00"); /* mov r9d, [rbx + 0xb0] */
	mmio();
	expect(ABI_FIN_LAPIC_READ, 0xb0, ABI_R9, 7);
	fake.lapic[0xb0 / 4] = 0xcafe0102;
	CODE_BYTES("\x0f\xb6\x83\xb1\x00\x00\x00"); /* movzx eax, byte [rbx + 0xb1] */
	mmio();
	expect(ABI_FIN_REG, ABI_RAX, 1, 7);
	CODE_BYTES("\x87\x83\xb0\x00\x00\x00"); /* xchg [rbx + 0xb0], eax */
	mmio();
	expect(ABI_FIN_REGS, 6, 0, 0);
	assert_int_equal(fake.lapic[0xb0 / 4], 0x34567890);
	assert_int_equal(v->gpr[ABI_RAX], 0xcafe0102);
	CODE_BYTES("\x8b\x83\xb4\x00\x00\x00"); /* between registers */
	mmio();
	expect(ABI_FIN_REG, ABI_RAX, 0, 6);
}

static void test_addressing(void **state)
{
	(void)state;
	memcpy(device + 0x100, "\x11\x22\x33\x44\x55\x66\x77\x88", 8);
	/* rip-relative: mov rax, [rip + disp] */
	CODE_BYTES("\x48\x8b\x05\xf9\xf0\xff\xcf"); /* 0x1007 + 0xcffff0f9 = MMIO + 0x100 */
	mmio();
	assert_int_equal(fake.fin, ABI_FIN_NONE); /* sign-extended: not there */
	v->gpr[ABI_RBX] = MMIO;
	v->gpr[ABI_RCX] = 0x20;
	CODE_BYTES("\x8b\x84\xcb\x00\x00\x00\x00"); /* mov eax, [rbx + rcx * 8] */
	mmio();
	expect(ABI_FIN_REG, ABI_RAX, 0x44332211, 7);
	v->gpr[ABI_RBX] |= 0xabcdef00000000;
	CODE_BYTES("\x67\x66\x8b\x83\x02\x01\x00\x00"); /* mov ax, [ebx + 0x102] */
	v->gpr[ABI_RAX] = ~0ull;
	mmio();
	expect(ABI_FIN_REG, ABI_RAX, 0xffffffffffff4433ull, 8);
	CODE_BYTES("\xa1\x04\x01\x00\xd0\x00\x00\x00\x00"); /* mov eax, [abs64] */
	mmio();
	expect(ABI_FIN_REG, ABI_RAX, 0x88776655, 9);
	v->state.seg[ABI_GS].base = MMIO - 0x1000;
	CODE_BYTES("\x65\x8a\x24\x25\x00\x11\x00\x00"); /* mov ah, gs:[0x1100] */
	v->gpr[ABI_RAX] = 0;
	mmio();
	expect(ABI_FIN_REG, ABI_RAX, 0x1100, 8);
	v->state.seg[ABI_DS].base = 0x5000; /* means nothing here */
	v->gpr[ABI_RBX] = MMIO + 0x100;
	CODE_BYTES("\x3e\x8b\x03");
	mmio();
	expect(ABI_FIN_REG, ABI_RAX, 0x44332211, 3);
	v->gpr[ABI_RBX] = 0x800000000000; /* not canonical */
	mmio();
	expect(ABI_FIN_FAULT, VEC_GP, 0, 0);
	CODE_BYTES("\x8b\x45\x00"); /* mov eax, [rbp] */
	v->gpr[ABI_RBP] = 0x7ffffffffffe;
	mmio();
	expect(ABI_FIN_FAULT, VEC_SS, 0, 0);
}

static void test_segments(void **state)
{
	(void)state;
	mode(32);
	memcpy(device + 0x100, "\x11\x22\x33\x44", 4);
	v->state.seg[ABI_DS].base = MMIO - 0x1000;
	v->gpr[ABI_RBX] = 0x1100;
	CODE_BYTES("\x8b\x03"); /* mov eax, [ebx] */
	mmio();
	expect(ABI_FIN_REG, ABI_RAX, 0x44332211, 2);
	v->gpr[ABI_RBX] = 0x1100ull - 0x10000000; /* the linear address wraps at 4 GiB */
	v->state.seg[ABI_DS].base = MMIO - 0x1000 + 0x10000000;
	mmio();
	expect(ABI_FIN_REG, ABI_RAX, 0x44332211, 2);
	v->state.seg[ABI_DS].base = MMIO - 0x1000;
	v->gpr[ABI_RBX] = 0x1100;
	v->state.seg[ABI_DS].limit = 0x1102;
	mmio();
	expect(ABI_FIN_FAULT, VEC_GP, 0, 0);
	v->state.seg[ABI_DS].limit = 0x1103;
	mmio();
	expect(ABI_FIN_REG, ABI_RAX, 0x44332211, 2);
	v->state.seg[ABI_DS].attr = 0x97 | ABI_ATTR_DB; /* expands down */
	mmio();
	expect(ABI_FIN_FAULT, VEC_GP, 0, 0);
	v->state.seg[ABI_DS].limit = 0x10ff;
	mmio();
	expect(ABI_FIN_REG, ABI_RAX, 0x44332211, 2);
	v->state.seg[ABI_DS].attr = 0x91; /* read-only */
	v->state.seg[ABI_DS].limit = ~0u;
	CODE_BYTES("\x89\x03");
	mmio();
	expect(ABI_FIN_FAULT, VEC_GP, 0, 0);
	v->state.seg[ABI_DS].attr = 0x13; /* not present: a null selector */
	mmio();
	expect(ABI_FIN_FAULT, VEC_GP, 0, 0);
	v->state.seg[ABI_CS].limit = CODE;
	mmio();
	expect(ABI_FIN_FAULT, VEC_GP, 0, 0);
}

static void test_16bit(void **state)
{
	(void)state;
	mode(16);
	v->state.cr0 = 0;
	memcpy(device + 0x100, "\x11\x22\x33\x44", 4);
	v->state.seg[ABI_DS].base = v->state.seg[ABI_SS].base = MMIO;
	v->state.seg[ABI_DS].limit = v->state.seg[ABI_SS].limit = 0xffff;
	v->gpr[ABI_RBP] = 0xff80;
	v->gpr[ABI_RSI] = 0x0100;
	CODE_BYTES("\x8b\x82\x80\x00"); /* mov ax, [bp + si + 0x80]: wraps to 0x100 */
	mmio();
	expect(ABI_FIN_REG, ABI_RAX, 0x2211, 4);
	CODE_BYTES("\x66\xa1\x00\x01"); /* mov eax, [0x100] */
	mmio();
	expect(ABI_FIN_REG, ABI_RAX, 0x44332211, 4);
	CODE_BYTES("\xa1\xff\xff"); /* a word at 0xffff passes the limit */
	mmio();
	expect(ABI_FIN_FAULT, VEC_GP, 0, 0);
	CODE_BYTES("\x89\x46\x7f"); /* mov [bp + 0x7f], ax */
	mmio();
	expect(ABI_FIN_FAULT, VEC_SS, 0, 0);
}

/* 4-level tables: 0x400000 -> 0x5000 (RAM), 0x401000 -> MMIO, 0x402000 -> MMIO + 0x1000,
 * 0x403000 -> RAM 0x6000, 0x404000 nothing; code at 0x1000 mapped flat. */
static u64 *pt;

static void paging(void)
{
	u64 *t = (u64 *)(void *)guest_ptr(0x10000, 0x5000);

	v->state.cr0 = 0x80010001;
	v->state.cr4 = 0x20;
	v->state.efer = 0xd00;
	v->state.cr3 = 0x10000;
	t[0] = 0x11007;
	t[512] = 0x12007;
	t[1024] = 0x13007;
	t[1026] = 0x14007;
	t[1536 + 1] = 0x1007;
	t[1536 + 2] = 0x2007;
	pt = t + 2048;
	pt[0] = 0x5003;
	pt[1] = MMIO | 3;
	pt[2] = (MMIO + 0x1000) | 3;
	pt[3] = 0x6003;
}

static void test_paging(void **state)
{
	(void)state;
	paging();
	v->gpr[ABI_RBX] = 0x401020;
	v->gpr[ABI_RAX] = 0x1122334455667788;
	CODE_BYTES("\x48\x89\x03"); /* mov [rbx], rax */
	v->gpa = MMIO + 0x20;
	mmio();
	expect(ABI_FIN_REG, ABI_NO_GPR, 0, 3);
	assert_memory_equal(device + 0x20, "\x88\x77\x66\x55\x44\x33\x22\x11", 8);
	mmio(); /* from the caches */
	expect(ABI_FIN_REG, ABI_NO_GPR, 0, 3);
	v->cpl = 3; /* the page is the supervisor's */
	mmio();
	expect(ABI_FIN_FAULT, VEC_PF, PF_PRESENT | PF_WRITE | PF_USER, 0x401020);
	v->cpl = 0;
	pt[1] = MMIO | 1;
	mmio();
	expect(ABI_FIN_FAULT, VEC_PF, PF_PRESENT | PF_WRITE, 0x401020);
	pt[1] = 0;
	mmio();
	expect(ABI_FIN_FAULT, VEC_PF, PF_WRITE, 0x401020);
	pt[1] = 0x5003; /* remapped to RAM behind this exit: let the guest do it */
	mmio();
	expect(ABI_FIN_NONE, 0, 0, 0);
	assert_int_equal(fake.stop_count, 0);
	pt[1] = MMIO | 3;
	CODE_BYTES("\x48\x8b\x03"); /* other code at the same place */
	mmio();
	expect(ABI_FIN_REG, ABI_RAX, 0x1122334455667788, 3);
}

static void test_crossing(void **state)
{
	(void)state;
	paging();
	v->gpr[ABI_RAX] = 0x1122334455667788;
	CODE_BYTES("\x48\x89\x03"); /* mov [rbx], rax */
	v->gpr[ABI_RBX] = 0x400ffd; /* RAM, then the device */
	v->gpa = MMIO;
	mmio();
	expect(ABI_FIN_REG, ABI_NO_GPR, 0, 3);
	assert_memory_equal(guest_ptr(0x5ffd, 3), "\x88\x77\x66", 3);
	assert_memory_equal(device, "\x55\x44\x33\x22\x11", 5);
	CODE_BYTES("\x48\x8b\x0b"); /* mov rcx, [rbx] */
	mmio();
	expect(ABI_FIN_REG, ABI_RCX, 0x1122334455667788, 3);
	v->gpr[ABI_RBX] = 0x402ffe; /* the device, then RAM */
	v->gpa = MMIO + 0x1ffe;
	memcpy(device + 0x1ffe, "\x01\x02", 2);
	memcpy(guest_ptr(0x6000, 6), "\x03\x04\x05\x06\x07\x08", 6);
	mmio();
	expect(ABI_FIN_REG, ABI_RCX, 0x0807060504030201, 3);
	v->gpr[ABI_RBX] = 0x403ffe; /* RAM, then nothing */
	v->gpa = 0x6ffe;
	accesses = 0;
	mmio();
	expect(ABI_FIN_FAULT, VEC_PF, 0, 0x404000);
	assert_int_equal(accesses, 0);
}

static void test_fetch_crossing(void **state)
{
	(void)state;
	paging();
	v->rip = 0x1ffd; /* mov dword [rbx], 0x44332211 in two pages */
	memcpy(guest_ptr(0x1ffd, 3), "\xc7\x03\x11", 3);
	memcpy(guest_ptr(0x2000, 3), "\x22\x33\x44", 3);
	v->gpr[ABI_RBX] = 0x401000;
	mmio();
	expect(ABI_FIN_REG, ABI_NO_GPR, 0, 6);
	assert_memory_equal(device, "\x11\x22\x33\x44", 4);
	((u64 *)(void *)guest_ptr(0x13000, 4096))[2] = 0;
	mmio();
	expect(ABI_FIN_FAULT, VEC_PF, PF_FETCH, 0x2000);
	memcpy(guest_ptr(0x1ffd, 3), "\x88\x43\x01", 3); /* ends with the page: no fault */
	mmio();
	expect(ABI_FIN_REG, ABI_NO_GPR, 0, 3);
}

static void test_string_parts(void **state)
{
	u32 upcalls = 0;

	(void)state;
	paging();
	v->gpr[ABI_RSI] = 0x400000;
	v->gpr[ABI_RDI] = 0x401000;
	v->gpr[ABI_RCX] = 4096 / 4;
	for (u32 i = 0; i < 4096; i++)
		*guest_ptr(0x5000 + i, 1) = (u8)(i * 7);
	CODE_BYTES("\xf3\xa5"); /* rep movsd */
	do {
		v->gpa = MMIO + (v->gpr[ABI_RDI] & 0xfff);
		mmio();
		assert_int_equal(fake.fin, ABI_FIN_REGS);
		assert_int_equal(v->rip, CODE);
		upcalls++;
	} while (!fake.a && upcalls < 100);
	assert_int_equal(fake.a, 2);
	assert_in_range(upcalls, 2, 16);
	assert_int_equal(v->gpr[ABI_RCX], 0);
	assert_int_equal(v->gpr[ABI_RSI], 0x401000);
	assert_int_equal(v->gpr[ABI_RDI], 0x402000);
	assert_memory_equal(device, guest_ptr(0x5000, 4096), 4096);

	mmio(); /* RCX = 0 from the start */
	expect(ABI_FIN_REGS, 2, 0, 0);
}

static void test_string_fault(void **state)
{
	(void)state;
	paging();
	pt[2] = 0;
	v->gpr[ABI_RDI] = 0x401ff8;
	v->gpr[ABI_RCX] = 4;
	v->gpa = MMIO + 0xff8;
	v->gpr[ABI_RAX] = 0xaabbccdd;
	CODE_BYTES("\xf3\xab"); /* rep stosd: two, then a page that is not there */
	mmio();
	expect(ABI_FIN_REGS, 0, 0, 0);
	assert_int_equal(v->gpr[ABI_RCX], 2);
	assert_int_equal(v->gpr[ABI_RDI], 0x402000);
	assert_int_equal(accesses, 2);
	mmio(); /* were it to come here again */
	expect(ABI_FIN_FAULT, VEC_PF, PF_WRITE, 0x402000);
}

static void io(void)
{
	SYS_FAKE_UPCALL(emulate_pio_string(v));
}

static void test_port_strings(void **state)
{
	(void)state;
	v->port = 0x300;
	v->size = 2;
	v->gpr[ABI_RSI] = 0x5000;
	v->gpr[ABI_RCX] = 3;
	memcpy(guest_ptr(0x5000, 6), "bulkhe", 6);
	CODE_BYTES("\x66\xf3\x6f"); /* rep outsw */
	io();
	expect(ABI_FIN_REGS, 3, 0, 0);
	assert_memory_equal(port_log, "bulkhe", 6);
	assert_int_equal(v->gpr[ABI_RSI], 0x5006);

	v->size = 4;
	v->gpr[ABI_RDI] = 0x5010;
	v->rflags |= 0x400;
	port_bytes = 0;
	CODE_BYTES("\x6d"); /* insd, downwards */
	io();
	expect(ABI_FIN_REGS, 1, 0, 0);
	assert_int_equal(v->gpr[ABI_RDI], 0x500c);
	assert_int_equal(guest_read32(guest_ptr(0x5010, 4)), 0x44444444);

	mode(16); /* a segment override, 16-bit registers that wrap */
	v->state.cr0 = 0;
	v->rflags = 2;
	v->size = 1;
	v->state.seg[ABI_ES].base = 0x20000;
	*guest_ptr(0x20000 + 0xffff, 1) = 'x';
	v->gpr[ABI_RSI] = 0xabcdffff;
	port_bytes = 0;
	CODE_BYTES("\x26\x6e"); /* outsb es: */
	io();
	expect(ABI_FIN_REGS, 2, 0, 0);
	assert_int_equal(port_log[0], 'x');
	assert_int_equal(v->gpr[ABI_RSI], 0xabcd0000);

	v->gpr[ABI_RCX] = 0xffff; /* bounded */
	v->gpr[ABI_RDI] = 0;
	port_bytes = 0;
	CODE_BYTES("\xf3\x6c");
	io();
	expect(ABI_FIN_REGS, 0, 0, 0);
	assert_int_equal(port_bytes, 1024);
	assert_int_equal(v->gpr[ABI_RCX], 0xffff - 1024);

	CODE_BYTES("\x90"); /* not what exited */
	io();
	expect(ABI_FIN_NONE, 0, 0, 0);
}

static void test_stack(void **state)
{
	(void)state;
	v->gpr[ABI_RBX] = MMIO;
	v->gpr[ABI_RSP] = 0x8000;
	memcpy(device, "\x11\x22\x33\x44\x55\x66\x77\x88", 8);
	CODE_BYTES("\xff\x33"); /* push qword [rbx] */
	mmio();
	expect(ABI_FIN_REGS, 2, 0, 0);
	assert_int_equal(v->gpr[ABI_RSP], 0x7ff8);
	assert_int_equal(guest_read64(guest_ptr(0x7ff8, 8)), 0x8877665544332211);
	CODE_BYTES("\x8f\x43\x10"); /* pop qword [rbx + 16] */
	mmio();
	expect(ABI_FIN_REGS, 3, 0, 0);
	assert_int_equal(v->gpr[ABI_RSP], 0x8000);
	assert_memory_equal(device + 16, device, 8);
	mode(16);
	v->state.seg[ABI_SS].attr = 0x93;
	v->gpr[ABI_RSP] = 0x12340000; /* SP wraps, the rest stays */
	CODE_BYTES("\x67\xff\x33");
	mmio();
	expect(ABI_FIN_REGS, 3, 0, 0);
	assert_int_equal(v->gpr[ABI_RSP], 0x1234fffe);
}

static void test_stale(void **state)
{
	(void)state;
	fake.tsc = 5000000000;	  /* not counting with other tests */
	v->gpr[ABI_RBX] = 0x5000; /* RAM: this cannot have exited */
	CODE_BYTES("\x8b\x03");
	for (volatile u32 i = 0; i < 1000; i++) {
		mmio();
		expect(ABI_FIN_NONE, 0, 0, 0);
		assert_int_equal(fake.stop_count, 0);
	}
	mmio();
	expect_stop("no progress at RIP 1000");
}

static void test_stops(void **state)
{
	(void)state;
	CODE_BYTES("\x0f\x11\x03\x90"); /* movups [rbx], xmm0 */
	mmio();
	expect_undefined("cannot decode at RIP 1000, guest-physical d0000000, "
			 "64-bit code: 0f 11 03 90");
	setup(NULL);
	CODE_BYTES("\xd1\x23"); /* shl dword [rbx] */
	mmio();
	expect_undefined("cannot emulate at RIP 1000");
	setup(NULL);
	v->walk = 1;
	mmio();
	expect_stop("page table in device memory");
	setup(NULL);
	v->fetch = 1;
	mmio();
	expect_undefined("execution in device memory");
	setup(NULL);
	v->rip = 0xd0000000;
	mmio();
	expect_undefined("code outside RAM");
}

static void test_clflush(void **state)
{
	(void)state;
	v->gpr[ABI_RBX] = MMIO;
	CODE_BYTES("\x0f\xae\x3b");
	mmio();
	expect(ABI_FIN_REG, ABI_NO_GPR, 0, 3);
	assert_int_equal(accesses, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_lapic, setup),
		cmocka_unit_test_setup(test_addressing, setup),
		cmocka_unit_test_setup(test_segments, setup),
		cmocka_unit_test_setup(test_16bit, setup),
		cmocka_unit_test_setup(test_paging, setup),
		cmocka_unit_test_setup(test_crossing, setup),
		cmocka_unit_test_setup(test_fetch_crossing, setup),
		cmocka_unit_test_setup(test_string_parts, setup),
		cmocka_unit_test_setup(test_string_fault, setup),
		cmocka_unit_test_setup(test_port_strings, setup),
		cmocka_unit_test_setup(test_stack, setup),
		cmocka_unit_test_setup(test_stale, setup),
		cmocka_unit_test_setup(test_stops, setup),
		cmocka_unit_test_setup(test_clflush, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
