/*
 * kernel/control_regs.c: which values of CR0, CR3, CR4, EFER and the debug
 * registers a guest may write.
 */
// SOURCES: kernel/control_regs.c
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86.h"
#include "kernel/control_regs.h"

#define LME BIT(8)
#define LMA BIT(10)
#define NXE BIT(11)
#define SVME BIT(12)

static void cr0(void **state)
{
	(void)state;
	assert_true(cr0_valid(0));
	assert_true(cr0_valid(0x60000010));
	assert_true(cr0_valid(CR0_PE | CR0_PG));
	assert_false(cr0_valid(CR0_PG));
	assert_false(cr0_valid(CR0_PE | CR0_NW));
	assert_true(cr0_valid(CR0_PE | CR0_NW | CR0_CD));
	assert_false(cr0_valid(CR0_PE | BIT(32)));
	assert_false(cr0_valid(CR0_PE | BIT(63)));
	/* undefined bits are dropped, ET reads 1 */
	assert_int_equal(cr0_fixed(0xffffffff), 0xe005003f);
	assert_int_equal(cr0_fixed(0), 0x10);
}

static void cr0_paging(void **state)
{
	const u64 on = CR0_PE | CR0_PG, off = CR0_PE;

	(void)state;
	assert_true(cr0_change_valid(off, on, 0, 0, false)); /* 32-bit paging */
	assert_true(cr0_change_valid(off, on, CR4_PAE, LME, false));
	assert_false(cr0_change_valid(off, on, 0, LME, false));	     /* without PAE */
	assert_false(cr0_change_valid(off, on, CR4_PAE, LME, true)); /* CS.L = 1 */
	assert_true(cr0_change_valid(on, off, CR4_PAE, LME | LMA, false));
	assert_false(cr0_change_valid(on, off, CR4_PAE, LME | LMA, true)); /* 64-bit mode */
	assert_false(cr0_change_valid(on, off, CR4_PAE | CR4_PCIDE, LME | LMA, false));
	assert_true(cr0_change_valid(on, on | CR0_TS, CR4_PAE | CR4_PCIDE, LME | LMA, true));
	assert_false(cr0_change_valid(on, CR0_PG, 0, 0, false));
}

static void cr3(void **state)
{
	(void)state;
	assert_true(cr3_valid(0x12345018, 0, 0, 40));
	assert_false(cr3_valid(BIT(32), 0, 0, 40));
	assert_true(cr3_valid(BIT(39), LME | LMA, CR4_PAE, 40));
	assert_false(cr3_valid(BIT(40), LME | LMA, CR4_PAE, 40));
	assert_false(cr3_valid(BIT(63) | 0x1000, LME | LMA, CR4_PAE, 40));
	assert_true(cr3_valid(BIT(63) | 0x1005, LME | LMA, CR4_PAE | CR4_PCIDE, 40));
	assert_false(cr3_valid(BIT(62), LME | LMA, CR4_PAE | CR4_PCIDE, 40));
	assert_true(cr3_valid(BIT(51), LMA, CR4_PAE, 52));
}

static void cr4(void **state)
{
	const u64 allowed = CR4_PAE | CR4_PGE | CR4_PCIDE;

	(void)state;
	for (u32 b = 0; b < 64; b++)
		assert_int_equal(cr4_valid(BIT(b), allowed), !!(allowed & BIT(b)));
	assert_true(cr4_valid(allowed, allowed));

	assert_true(cr4_change_valid(CR4_PAE, 0, 0, 0));
	assert_false(cr4_change_valid(CR4_PAE, 0, LMA, 0));
	assert_false(cr4_change_valid(CR4_PAE, CR4_PAE | CR4_LA57, LMA, 0));
	assert_false(cr4_change_valid(CR4_PAE, CR4_PAE | CR4_PCIDE, LMA, 0x1001));
	assert_true(cr4_change_valid(CR4_PAE, CR4_PAE | CR4_PCIDE, LMA, 0x1000));
	assert_false(cr4_change_valid(0, CR4_PCIDE, 0, 0x1000));
	assert_true(cr4_change_valid(CR4_PAE | CR4_PCIDE, CR4_PAE | CR4_PCIDE | CR4_PGE, LMA, 5));
	assert_true(cr4_change_valid(CR4_PAE | CR4_PCIDE, CR4_PAE, LMA, 5));
}

static void efer(void **state)
{
	const u64 allowed = BIT(0) | LME | LMA | NXE;

	(void)state;
	assert_true(efer_valid(0, LME | NXE | BIT(0), 0, allowed));
	assert_false(efer_valid(0, SVME, 0, allowed));
	assert_false(efer_valid(0, BIT(1), 0, allowed));
	assert_false(efer_valid(0, BIT(63), 0, allowed));
	assert_false(efer_valid(0, LME, CR0_PE | CR0_PG, allowed));
	assert_false(efer_valid(LME | LMA, LMA, CR0_PE | CR0_PG, allowed));
	assert_true(efer_valid(LME | LMA, LME | LMA | NXE, CR0_PE | CR0_PG, allowed));
	assert_true(efer_valid(LME | LMA, LME, CR0_PE | CR0_PG, allowed)); /* LMA: ignored */
	assert_int_equal(efer_fixed(LME | LMA, LME), LME | LMA);
	assert_int_equal(efer_fixed(LME, LME | LMA), LME);
}

static void debug_registers(void **state)
{
	(void)state;
	assert_true(dr_valid(0xffffffff));
	assert_false(dr_valid(BIT(32)));
	assert_int_equal(dr6_fixed(0), 0xffff0ff0);
	assert_int_equal(dr6_fixed(~0ull), 0xffffeff0 | 0xf);
	assert_int_equal(dr7_fixed(0), 0x400);
	assert_int_equal(dr7_fixed(~0ull), 0xffff27ff);
}

static void canonical(void **state)
{
	(void)state;
	assert_true(is_canonical(0));
	assert_true(is_canonical(0x00007fffffffffff));
	assert_false(is_canonical(0x0000800000000000));
	assert_false(is_canonical(0xffff7fffffffffff));
	assert_true(is_canonical(0xffff800000000000));
	assert_true(is_canonical(~0ull));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cr0),	     cmocka_unit_test(cr0_paging),
		cmocka_unit_test(cr3),	     cmocka_unit_test(cr4),
		cmocka_unit_test(efer),	     cmocka_unit_test(debug_registers),
		cmocka_unit_test(canonical),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
