/*
 * Control- and debug-register instructions: what the kernel is asked to commit.
 */
// SOURCES: vmm/control.c vmm/access.c vmm/fetch.c vmm/decode.c vmm/walk.c vmm/iomap.c vmm/lib.c
// SOURCES: vmm/vm.c tests/unit/fake/sys_fake.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "sys_fake.h"
#include "vmm/control.h"
#include "vmm/fetch.h"
#include "vmm/vm.h"

#define CODE 0x1000u

static struct abi_vcpu *v;

static int setup(void **state)
{
	(void)state;
	sys_fake_reset(0x200000, 0);
	v = &fake_vcpu;
	v->rip = CODE;
	v->state.efer = 0x500;
	v->state.seg[ABI_CS].attr = 0x9b | ABI_ATTR_L;
	v->state.cr0 = 0x60000019; /* PG off: linear = physical */
	for (u32 i = 0; i < 16; i++)
		v->gpr[i] = 0x1111111100000000ull + i;
	return 0;
}

static void mode32(void)
{
	v->state.efer = 0;
	v->state.seg[ABI_CS].attr = 0x9b | ABI_ATTR_DB;
	v->state.seg[ABI_CS].limit = 0xffffffff;
	v->state.seg[ABI_DS].attr = 0x93;
	v->state.seg[ABI_DS].limit = 0xffffffff;
}

#define CR(s) (memcpy(guest_ptr(CODE, 16), s, sizeof(s)), cr())
#define DR(s) (memcpy(guest_ptr(CODE, 16), s, sizeof(s)), dr())

static void cr(void)
{
	SYS_FAKE_UPCALL(control_cr(v));
}

static void dr(void)
{
	SYS_FAKE_UPCALL(control_dr(v));
}

static void expect(enum abi_finish kind, u64 a, u64 b, u64 c)
{
	assert_int_equal(fake.fin, kind);
	assert_int_equal(fake.a, a);
	assert_int_equal(fake.b, b);
	assert_int_equal(fake.c, c);
}

static void test_cr(void **state)
{
	(void)state;
	CR("\x0f\x22\xc1"); /* mov cr0, rcx */
	expect(ABI_FIN_CR, 0, 0x1111111100000001, 3);
	CR("\x45\x0f\x22\xc7"); /* mov cr8, r15 */
	expect(ABI_FIN_CR, 8, 0x111111110000000f, 4);
	CR("\x41\x0f\x22\xe1"); /* mov cr4, r9 */
	expect(ABI_FIN_CR, 4, 0x1111111100000009, 4);
	v->state.cr3 = 0x123456789000;
	CR("\x0f\x20\xd8"); /* mov rax, cr3 */
	expect(ABI_FIN_REG, ABI_RAX, 0x123456789000, 3);
	assert_int_equal(fake.get_state_calls, 0);
	v->state.cr8 = 5;
	CR("\x44\x0f\x20\xc3"); /* mov rbx, cr8 */
	expect(ABI_FIN_REG, ABI_RBX, 5, 4);
	assert_int_equal(fake.get_state_calls, 1);
	v->cpl = 3;
	CR("\x0f\x22\xc1");
	expect(ABI_FIN_FAULT, VEC_GP, 0, 0);
	v->cpl = 0;
	mode32();
	CR("\x0f\x22\xd9"); /* mov cr3, ecx */
	expect(ABI_FIN_CR, 3, 1, 3);
	CR("\xf0\x0f\x22\xc2"); /* AMD: mov cr8, edx */
	expect(ABI_FIN_CR, 8, 2, 4);
	CR("\x90");
	expect(ABI_FIN_NONE, 0, 0, 0);
}

static void test_msw(void **state)
{
	(void)state;
	v->gpr[ABI_RAX] = 0xfff2; /* clears all but PE, sets MP */
	v->state.cr0 = 0x6000001d;
	CR("\x0f\x01\xf0"); /* lmsw ax */
	expect(ABI_FIN_CR, 0, 0x60000013, 3);
	v->gpr[ABI_RBX] = 0x5000;
	guest_write16(guest_ptr(0x5000, 2), 0x000e);
	v->state.cr0 = 0x60000010; /* PE stays as it is */
	CR("\x0f\x01\x33");	   /* lmsw [rbx] */
	expect(ABI_FIN_CR, 0, 0x6000001e, 3);
	CR("\x0f\x06"); /* clts */
	expect(ABI_FIN_CR, 0, 0x60000010, 2);
	v->state.cr0 = 0x60000018;
	CR("\x0f\x06");
	expect(ABI_FIN_CR, 0, 0x60000010, 2);
	v->cpl = 3;	    /* anyone may */
	CR("\x0f\x01\xe1"); /* smsw ecx */
	expect(ABI_FIN_REG, ABI_RCX, 0x60000018, 3);
	CR("\x66\x0f\x01\xe1"); /* smsw cx */
	expect(ABI_FIN_REG, ABI_RCX, 0x1111111100000018, 4);
	CR("\x0f\x01\x23"); /* smsw [rbx] */
	expect(ABI_FIN_REG, ABI_NO_GPR, 0, 3);
	assert_int_equal(guest_read16(guest_ptr(0x5000, 2)), 0x18);
	CR("\x0f\x06");
	expect(ABI_FIN_FAULT, VEC_GP, 0, 0);
}

static void test_dr(void **state)
{
	(void)state;
	DR("\x0f\x23\xf9"); /* mov dr7, rcx */
	expect(ABI_FIN_DR, 7, 0x1111111100000001, 3);
	DR("\x0f\x23\xe1"); /* dr4 is dr6 */
	expect(ABI_FIN_DR, 6, 0x1111111100000001, 3);
	v->state.dr7 = 0x400;
	v->state.dr[3] = 0x1234;
	DR("\x0f\x21\xe8"); /* mov rax, dr5 */
	expect(ABI_FIN_REG, ABI_RAX, 0x400, 3);
	DR("\x41\x0f\x21\xd8"); /* mov r8, dr3 */
	expect(ABI_FIN_REG, ABI_R8, 0x1234, 4);
	v->state.cr4 = 8;
	DR("\x0f\x21\xe8");
	expect(ABI_FIN_FAULT, VEC_UD, 0, 0);
	v->cpl = 1;
	DR("\x0f\x21\xd8");
	expect(ABI_FIN_FAULT, VEC_GP, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_cr, setup),
		cmocka_unit_test_setup(test_msw, setup),
		cmocka_unit_test_setup(test_dr, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
