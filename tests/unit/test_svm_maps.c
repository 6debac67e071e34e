/*
 * arch/svm/svm_maps.c: every port is intercepted, and every MSR but those of
 * the list, which must be the same list that kernel/msrs.c gives.
 */
// SOURCES: arch/svm/svm_maps.c kernel/msrs.c kernel/control_regs.c
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/kmap.h"
#include "arch/svm/svm.h"
#include "arch/svm/svm_maps.h"
#include "kernel/msrs.h"

hpa_t kimage_hpa(const void *va)
{
	return (hpa_t)va;
}

/* APM Vol. 2, 15.11: two bits per MSR, read then write. 3 where no map reaches. */
static u32 bits_of(const u8 *map, u32 msr)
{
	static const u32 first[] = { 0, 0xc0000000, 0xc0010000 };

	for (u32 i = 0; i < 3; i++)
		if (msr - first[i] < 0x2000) {
			u32 bit = i * 0x800 * 8 + (msr - first[i]) * 2;

			return (u32)(map[bit / 8] >> bit % 8 & 1) |
			       (u32)(map[(bit + 1) / 8] >> (bit + 1) % 8 & 1) << 1;
		}
	return 3;
}

static bool listed(u32 msr)
{
	for (u32 i = 0; i < msr_passthrough_count; i++)
		if (msr_passthrough[i] == msr)
			return true;
	return false;
}

static void every_port_exits(void **state)
{
	const u8 *map;

	(void)state;
	svm_maps_init();
	map = (const u8 *)svm_iopm();
	assert_int_equal((u64)map % 4096, 0);
	/* 64 Ki bits, and the three that an access at 0xffff can reach beyond */
	for (u32 i = 0; i < SVM_IOPM_SIZE; i++)
		assert_int_equal(map[i], 0xff);
}

static void only_listed_msrs_pass(void **state)
{
	static const u32 first[] = { 0, 0xc0000000, 0xc0010000 };
	const u8 *map;
	u32 clear = 0;

	(void)state;
	svm_maps_init();
	map = (const u8 *)svm_msrpm();
	assert_int_equal((u64)map % 4096, 0);
	for (u32 r = 0; r < 3; r++)
		for (u32 i = 0; i < 0x2000; i++) {
			u32 bits = bits_of(map, first[r] + i);

			assert_int_equal(bits, listed(first[r] + i) ? 0 : 3);
			clear += !bits;
		}
	assert_int_equal(clear, msr_passthrough_count);
	for (u32 i = 0x1800; i < SVM_MSRPM_SIZE; i++) /* reserved */
		assert_int_equal(map[i], 0xff);
	/* none of those that would reach another VM or the host */
	assert_int_equal(bits_of(map, 0xc0000080), 3); /* EFER */
	assert_int_equal(bits_of(map, 0x1b), 3);       /* APIC_BASE */
	assert_int_equal(bits_of(map, 0xc0000103), 3); /* TSC_AUX */
	assert_int_equal(bits_of(map, 0xc0010114), 3); /* VM_CR */
	assert_int_equal(bits_of(map, 0xc0010117), 3); /* VM_HSAVE_PA */
}

static void an_msr_outside_is_refused(void **state)
{
	static const u32 outside[] = { 0x2000,	   0xbfffffff, 0xc0002000, 0xc000ffff,
				       0xc0012000, 0x4b564d00, 0xffffffff };
	u8 map[SVM_MSRPM_SIZE], before[SVM_MSRPM_SIZE];

	(void)state;
	memset(map, 0xff, sizeof(map));
	memset(before, 0xff, sizeof(before));
	for (u32 i = 0; i < ARRAY_SIZE(outside); i++)
		assert_false(svm_msrpm_allow(map, outside[i]));
	assert_memory_equal(map, before, sizeof(map));
	assert_true(svm_msrpm_allow(map, 0));
	assert_true(svm_msrpm_allow(map, 0x1fff));
	assert_true(svm_msrpm_allow(map, 0xc0000000));
	assert_true(svm_msrpm_allow(map, 0xc0011fff));
	assert_int_equal(map[0], 0xfc);
	assert_int_equal(map[0x7ff], 0x3f);
	assert_int_equal(map[0x800], 0xfc);
	assert_int_equal(map[0x17ff], 0x3f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_port_exits),
		cmocka_unit_test(only_listed_msrs_pass),
		cmocka_unit_test(an_msr_outside_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
