/*
 * The monitor's formatted text against the C library's, and guest_ptr's edges.
 */
// SOURCES: vmm/lib.c vmm/vm.c tests/unit/fake/sys_fake.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "sys_fake.h"
#include "vmm/lib.h"
#include "vmm/vm.h"

/* Not constants, so that the compiler does not warn of what is tested. */
static volatile size_t small = 6;
static const char *volatile null;

#define SAME(...) \
	do { \
		char a_[128], b_[128]; \
		int n_ = snprintf(a_, sizeof(a_), __VA_ARGS__); \
		assert_int_equal(str_format(b_, sizeof(b_), __VA_ARGS__), n_); \
		assert_string_equal(b_, a_); \
		n_ = snprintf(a_, small, __VA_ARGS__); \
		assert_int_equal(str_format(b_, small, __VA_ARGS__), n_); \
		assert_string_equal(b_, a_); \
	} while (0)

static void test_format(void **state)
{
	(void)state;
	SAME("plain %% text");
	SAME("%d %d %d %i", 0, -1, 2147483647, INT_MIN);
	SAME("%u %x %X", 4294967295u, 0xdeadbeefu, 0xdeadbeefu);
	SAME("%lu %lx %ld %zu %lld", ~0ul, ~0ul, LONG_MIN, (size_t)5, -7ll);
	SAME("[%5d] [%-5d] [%05d] [%5s] [%-5s] [%2s]", 42, -42, -42, "ab", "ab", "abc");
	SAME("[%016lx] [%8x] [%-8x]", 0x123456789abcul, 0x12u, 0x12u);
	SAME("%c%c[%3c]", 'a', 'b', 'c');
	SAME("%.3s|%.0s|%.10s|%6.2s|%.*s", "abcdef", "x", "abc", "xyz", 2, "12345");
	SAME("%p", (void *)0x1234);
}

static void test_format_odd(void **state)
{
	char b[16] = "untouched";

	(void)state;
	assert_int_equal(str_format(b, 0, "%d", 12345), 5);
	assert_string_equal(b, "untouched");
	assert_int_equal(str_format(b, 1, "%d", 12345), 5);
	assert_string_equal(b, "");
	str_format(b, sizeof(b), "%s", null);
	assert_string_equal(b, "(null)");
	{
		const char *unknown = "a%qb"; /* shown as it is */

		str_format(b, sizeof(b), unknown);
		assert_string_equal(b, "a%qb");
	}
}

static void test_guest_ptr(void **state)
{
	(void)state;
	sys_fake_reset(0x200000, 0x100000);
	assert_ptr_equal(guest_ptr(0, 1), guest_base);
	assert_non_null(guest_ptr(0, 0x200000));
	assert_null(guest_ptr(0, 0x200001));
	assert_non_null(guest_ptr(0x1fffff, 1));
	assert_null(guest_ptr(0x1fffff, 2));
	assert_null(guest_ptr(0x200000, 1));
	assert_null(guest_ptr(1, ~0ull));
	assert_null(guest_ptr(~0ull, 2));
	assert_null(guest_ptr(0xffffffff, 2));
	assert_ptr_equal(guest_ptr(0x100000000, 0x100000), guest_base + 0x100000000);
	assert_null(guest_ptr(0x100000000, 0x100001));
	assert_non_null(guest_ptr(0x1000fffff, 1));
	assert_null(guest_ptr(0x1000fffff, 2));
	fake_vm.ram_high = 0;
	assert_null(guest_ptr(0x100000000, 1));
}

static void test_time(void **state)
{
	(void)state;
	sys_fake_reset(0x200000, 0);
	fake_vm.tsc_base = 1000;
	fake_vm.ns_mul = 3u << 30; /* 3 ns a tick */
	fake_vm.ns_shift = 30;
	fake_vm.tsc_offset = 0 - 500ull;
	fake.tsc = 1000 + 0x7000000000000000; /* no overflow on the way */
	assert_int_equal(vm_now(), 3 * 0x7000000000000000ull);
	fake.tsc = 999; /* this CPU is a little behind */
	assert_int_equal(vm_now(), 0);
	assert_int_equal(guest_tsc(), 499);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_format_odd),
		cmocka_unit_test(test_guest_ptr),
		cmocka_unit_test(test_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
