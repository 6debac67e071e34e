/*
 * The Gregorian calendar against the C library's, day by day over four
 * centuries and at the edges.
 */
// SOURCES: vmm/calendar.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <cmocka.h>

#include "vmm/calendar.h"

static void check(s64 days)
{
	time_t t = (time_t)days * 86400;
	struct calendar date;
	struct tm tm;

	gmtime_r(&t, &tm);
	calendar_date(days, &date);
	assert_int_equal(date.year, tm.tm_year + 1900);
	assert_int_equal(date.month, tm.tm_mon + 1);
	assert_int_equal(date.day, tm.tm_mday);
	assert_int_equal(calendar_weekday(days), tm.tm_wday);
	assert_int_equal(calendar_count(&date), days);
}

static void test_every_day(void **state)
{
	(void)state;
	for (s64 days = -150000; days < 150000; days++)
		check(days);
	for (s64 days = -719528; days < 35000000; days += 997) /* years 0 to 97000 */
		check(days);
}

static void test_known(void **state)
{
	struct calendar date = { 2000, 2, 29 };

	(void)state;
	assert_int_equal(calendar_count(&date), 11016);
	assert_int_equal(calendar_weekday(11016), 2);
	assert_int_equal(calendar_days(-1), -1);
	assert_int_equal(calendar_days(86399), 0);
	assert_int_equal(calendar_days(86400), 1);
}

static void test_out_of_range(void **state)
{
	struct calendar date = { 2023, 2, 29 }, other = { 2023, 3, 1 };

	(void)state;
	assert_int_equal(calendar_count(&date), calendar_count(&other));
	date = (struct calendar){ 2023, 0, 1 };
	other = (struct calendar){ 2023, 1, 1 };
	assert_int_equal(calendar_count(&date), calendar_count(&other));
	date = (struct calendar){ 2023, 255, 0 };
	other = (struct calendar){ 2023, 11, 30 };
	assert_int_equal(calendar_count(&date), calendar_count(&other));
	calendar_date(-1000000, &date);
	assert_int_equal(date.year, 0);
	assert_int_equal(date.month, 1);
	assert_int_equal(date.day, 1);
	calendar_date(INT64_MAX / 100000, &date);
	assert_int_equal(date.year, 99999);
	assert_int_equal(date.month, 12);
	assert_int_equal(date.day, 31);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_day),
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_out_of_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
