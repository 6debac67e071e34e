/*
 * Back-off between a VM's restarts: waits that double, an end of it, and a new
 * beginning for who ran well.
 */
// SOURCES: kernel/restart.c
#include "kernel/restart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kernel/budget.h"

#define S 1000000000ull

static void crashes(void **state)
{
	static const u32 seconds[] = { 1, 2, 4, 8, 16, 16 };
	struct restarts r = { 0 };
	ns_t delay = 77;

	(void)state;
	assert_int_equal(ARRAY_SIZE(seconds), RESTART_LIMIT);
	for (u32 i = 0; i < RESTART_LIMIT; i++) {
		assert_true(restart_next(&r, true, RESTART_GOOD_NS - 1, &delay));
		assert_int_equal(delay, seconds[i] * S);
		assert_int_equal(r.total, i + 1);
	}
	delay = 77;
	for (u32 i = 0; i < 3; i++)
		assert_false(restart_next(&r, true, 0, &delay));
	assert_int_equal(delay, 77);
	assert_int_equal(r.total, RESTART_LIMIT);
	/* that run lasted */
	assert_true(restart_next(&r, true, RESTART_GOOD_NS, &delay));
	assert_int_equal(delay, S);
	assert_int_equal(r.total, RESTART_LIMIT + 1);
}

static void resets(void **state)
{
	static const u32 seconds[] = { 0, 1, 2, 4, 8, 16, 16, 16 };
	struct restarts r = { 0 };
	ns_t delay;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(seconds); i++) {
		assert_true(restart_next(&r, false, 0, &delay));
		assert_int_equal(delay, seconds[i] * S);
	}
	for (u32 i = 0; i < 100000; i++) {
		assert_true(restart_next(&r, false, 0, &delay));
		assert_int_equal(delay, 16 * S);
	}
	assert_true(restart_next(&r, false, RESTART_GOOD_NS, &delay));
	assert_int_equal(delay, 0);
}

/* A guest that reboots often has not failed: its first crash waits a second. */
static void each_for_itself(void **state)
{
	struct restarts r = { 0 };
	ns_t delay;

	(void)state;
	for (u32 i = 0; i < 20; i++)
		assert_true(restart_next(&r, false, 0, &delay));
	assert_true(restart_next(&r, true, 0, &delay));
	assert_int_equal(delay, S);
	assert_int_equal(r.total, 21);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crashes),
		cmocka_unit_test(resets),
		cmocka_unit_test(each_for_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
