/*
 * kernel/time.c and mul_div against exact arithmetic, at the frequencies of
 * real machines and of odd ones.
 */
// SOURCES: kernel/time.c
// FLAGS: -Itests/unit/fake/hw
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/cpu.h"
#include "arch/x86.h"
#include "kernel/time.h"

typedef unsigned __int128 u128;

u64 tsc_hz;
static u64 tsc;

u64 rdtsc(void)
{
	return tsc;
}

static u64 random64(void)
{
	u64 r = (u64)rand() << 42 ^ (u64)rand() << 21 ^ (u64)rand();

	return r >> rand() % 64;
}

static void products_are_exact(void **state)
{
	(void)state;
	srand(1);
	assert_int_equal(mul_div(~0ull, ~0ull, ~0ull), ~0ull);
	assert_int_equal(mul_div(~0ull, 2, 1), ~0ull);
	assert_int_equal(mul_div(~0ull, 0, 1), 0);
	assert_int_equal(mul_div(1, 1, 0), ~0ull); /* no division fault */
	for (u32 i = 0; i < 100000; i++) {
		u64 a = random64(), b = random64(), c = random64() | 1;
		u128 exact = (u128)a * b / c;

		assert_true(mul_div(a, b, c) == (exact >> 64 ? ~0ull : (u64)exact));
	}
}

static const u64 hz_list[] = {
	1000000,    24000000,	100000000,  999999999,	1000000000, 1000000001, 1999999999,
	2000000000, 2000000001, 2095078000, 3500000000, 5800000000, 9999999999,
};

/* Right to one part in 2^29; the first never ahead of the truth. */
static void scales_are_exact_enough(void **state)
{
	(void)state;
	srand(2);
	for (u32 i = 0; i < ARRAY_SIZE(hz_list); i++) {
		u64 hz = hz_list[i];
		u32 mul, shift, kvm_mul;
		s32 kvm_shift;

		time_scale(hz, &mul, &shift);
		time_scale_pvclock(hz, &kvm_mul, &kvm_shift);
		assert_true(shift <= 32);
		assert_true(mul);
		assert_in_range(kvm_shift + 32, 0, 64);
		for (u32 n = 0; n < 1000; n++) {
			u64 ticks = random64() >> 12;
			u128 exact = (u128)ticks * 1000000000 / hz;
			u64 ns = (u64)((u128)ticks * mul >> shift);
			u128 scaled =
				kvm_shift < 0 ? ticks >> -kvm_shift : (u128)ticks << kvm_shift;
			u64 kvm_ns = (u64)(scaled * kvm_mul >> 32);
			u128 allowed = (exact >> 29) + 40;

			assert_true(ns <= exact && exact - ns <= allowed);
			assert_true((kvm_ns > exact ? kvm_ns - exact : exact - kvm_ns) <= allowed);
		}
	}
}

static void the_clock(void **state)
{
	u32 nsec;

	(void)state;
	tsc = 12345;
	tsc_hz = 0;
	time_init(0, 0, 0);
	assert_int_equal(time_now(), 0); /* no clock yet: no division by zero */
	assert_int_equal(time_delta(1000), 0);

	tsc_hz = 2500000000;
	time_init(1000, 1700000000, 1000 + 2500000000);
	tsc = 1000 + 5 * tsc_hz + 25;
	assert_int_equal(time_now(), 5000000010);
	assert_int_equal(time_of_tsc(1000), 0);
	assert_int_equal(time_ticks(1000000000), 2500000000);
	assert_int_equal(time_ticks(~0ull), ~0ull);
	assert_int_equal(time_wall(tsc, &nsec), 1700000004);
	assert_int_equal(nsec, 10);
	assert_int_equal(time_wall(500, &nsec), 1700000000); /* before the clock was read */
	assert_int_equal(nsec, 0);
	/* a century later */
	tsc = 1000 + tsc_hz * 3155760000ull;
	assert_int_equal(time_now() / 1000000000, 3155760000ull);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(products_are_exact),
		cmocka_unit_test(scales_are_exact_enough),
		cmocka_unit_test(the_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
