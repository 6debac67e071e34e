/*
 * arch/vmx/vmx_maps.c: every port exits, and every MSR but those of the list,
 * which has the same MSRs as kernel/msrs.c's.
 */
// SOURCES: arch/vmx/vmx_maps.c kernel/msrs.c kernel/control_regs.c
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/kmap.h"
#include "arch/vmx/vmx.h"
#include "arch/vmx/vmx_maps.h"
#include "kernel/msrs.h"

hpa_t kimage_hpa(const void *va)
{
	return (hpa_t)va;
}

/* SDM Vol. 3C, 25.6.9: four 1 KiB maps. What is in none exits. */
static bool exits(const u8 *map, u32 msr, bool write)
{
	u32 at = write ? 0x800 : 0;

	if (msr >= 0xc0000000 && msr < 0xc0002000)
		at += 0x400;
	else if (msr >= 0x2000)
		return true;
	return map[at + (msr & 0x1fff) / 8] >> msr % 8 & 1;
}

static u32 listed(u32 msr)
{
	static const struct {
		u32 msr, access;
	} list[] = {
#define X(name, number, access) { number, access },
		VMX_PASSTHROUGH(X)
#undef X
	};

	for (u32 i = 0; i < ARRAY_SIZE(list); i++)
		if (list[i].msr == msr)
			return list[i].access;
	return 0;
}

static void check_range(const u8 *map, u32 first)
{
	for (u32 msr = first; msr < first + 0x2000; msr++) {
		assert_int_equal(exits(map, msr, false), !(listed(msr) & VMX_MSR_READ));
		assert_int_equal(exits(map, msr, true), !(listed(msr) & VMX_MSR_WRITE));
	}
}

static void all_but_the_list_exits(void **state)
{
	const u8 *map;

	(void)state;
	vmx_maps_init();
	map = (const u8 *)vmx_msr_bitmap();
	check_range(map, 0);
	check_range(map, 0xc0000000);
	for (u32 half = 0; half < 2; half++)
		for (u32 i = 0; i < 4096; i++)
			assert_int_equal(((const u8 *)vmx_io_bitmap(half))[i], 0xff);
	assert_int_equal(vmx_msr_bitmap() % 4096, 0);
	assert_int_equal(vmx_io_bitmap(1) % 4096, 0);
}

static void the_list_is_msrs_c_s(void **state)
{
	u32 n = 0;

	(void)state;
	for (u32 i = 0; i < msr_passthrough_count; i++)
		assert_true(listed(msr_passthrough[i]) & VMX_MSR_READ);
#define X(name, number, access) n++;
	VMX_PASSTHROUGH(X)
#undef X
	assert_int_equal(n, msr_passthrough_count);
}

static void out_of_range(void **state)
{
	u8 map[4096], before[4096];

	(void)state;
	memset(map, 0xff, sizeof(map));
	memcpy(before, map, sizeof(map));
	assert_false(vmx_msr_allow(map, 0x2000, VMX_MSR_READ));
	assert_false(vmx_msr_allow(map, 0xbfffffff, VMX_MSR_READ));
	assert_false(vmx_msr_allow(map, 0xc0002000, VMX_MSR_WRITE));
	assert_false(vmx_msr_allow(map, 0xc0010000, VMX_MSR_WRITE));
	assert_memory_equal(map, before, sizeof(map));
	assert_true(vmx_msr_allow(map, 0x1fff, VMX_MSR_WRITE));
	assert_false(exits(map, 0x1fff, true));
	assert_true(exits(map, 0x1fff, false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_but_the_list_exits),
		cmocka_unit_test(the_list_is_msrs_c_s),
		cmocka_unit_test(out_of_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
