// SOURCES: kernel/wall_time.c
#include "kernel/wall_time.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <time.h>

static void known_dates(void **state)
{
	(void)state;
	assert_int_equal(wall_time(1970, 1, 1, 0, 0, 1), 1);
	assert_int_equal(wall_time(2000, 2, 29, 12, 0, 0), 951825600);
	assert_int_equal(wall_time(2038, 1, 19, 3, 14, 8), 0x80000000ll);
	assert_int_equal(wall_time(2100, 3, 1, 0, 0, 0), 4107542400);
}

/* The C library agrees, at an odd step through two centuries. */
static void agrees_with_gmtime(void **state)
{
	(void)state;
	for (time_t t = 1; t < 6000000000; t += 3601 * 101) {
		struct tm tm;

		gmtime_r(&t, &tm);
		assert_int_equal(wall_time((u32)tm.tm_year + 1900, (u32)tm.tm_mon + 1,
					   (u32)tm.tm_mday, (u32)tm.tm_hour, (u32)tm.tm_min,
					   (u32)tm.tm_sec),
				 t);
	}
}

static void nonsense_is_no_time(void **state)
{
	(void)state;
	assert_int_equal(wall_time(0, 0, 0, 0, 0, 0), 0);
	assert_int_equal(wall_time(1969, 12, 31, 0, 0, 0), 0);
	assert_int_equal(wall_time(2024, 13, 1, 0, 0, 0), 0);
	assert_int_equal(wall_time(2023, 2, 29, 0, 0, 0), 0);
	assert_int_equal(wall_time(2024, 4, 31, 0, 0, 0), 0);
	assert_int_equal(wall_time(2024, 4, 30, 24, 0, 0), 0);
	assert_int_equal(wall_time(2024, 4, 30, 0, 60, 0), 0);
	assert_int_equal(wall_time(65535, 255, 255, 255, 255, 255), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_dates),
		cmocka_unit_test(agrees_with_gmtime),
		cmocka_unit_test(nonsense_is_no_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
