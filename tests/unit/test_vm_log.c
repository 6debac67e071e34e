/*
 * The limit on a VM's lines in the log (kernel/vm_log.c): a burst, then so many
 * a second, and what was dropped is told.
 */
// SOURCES: kernel/vm_log.c tests/unit/fake/fake_log.c
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/log.h"
#include "fake_log.h"
#include "kernel/vm_log.h"

#define SECOND 1000000000ull

static struct vm_log l;

static int setup(void **state)
{
	(void)state;
	l = (struct vm_log){ 0 };
	memset(fake_log_count, 0, sizeof(fake_log_count));
	return 0;
}

static u32 taken(ns_t now, u32 tries, u32 lines)
{
	u32 n = 0;

	for (u32 i = 0; i < tries; i++)
		n += vm_log_take(&l, now, lines, "alpha");
	return n;
}

static void a_burst_then_a_rate(void **state)
{
	(void)state;
	assert_int_equal(taken(5 * SECOND, 10000, 1), VM_LOG_BURST);
	assert_int_equal(taken(5 * SECOND + SECOND / VM_LOG_PER_S - 1, 100, 1), 0);
	assert_int_equal(taken(5 * SECOND + SECOND / VM_LOG_PER_S, 100, 1), 1);
	/* silence gives the burst back, and no more than that */
	assert_int_equal(taken(1000 * SECOND, 10000, 1), VM_LOG_BURST);
}

static void the_rate_is_exact(void **state)
{
	u32 n = 0;

	(void)state;
	taken(SECOND, 1000, 1);
	for (u32 ms = 0; ms < 10000; ms++)
		n += taken(SECOND + ms * (SECOND / 1000), 5, 1);
	assert_in_range(n, 10 * VM_LOG_PER_S - 1, 10 * VM_LOG_PER_S);
}

static void what_was_dropped_is_told(void **state)
{
	(void)state;
	taken(SECOND, VM_LOG_BURST + 77, 1);
	assert_int_equal(fake_log_count[LOG_WARN], 0);
	assert_int_equal(taken(2 * SECOND, 1, 1), 1);
	assert_int_equal(fake_log_count[LOG_WARN], 1);
	assert_string_equal(fake_log_text, "alpha: 77 lines dropped");
	assert_int_equal(taken(2 * SECOND, 1, 1), 1);
	assert_int_equal(fake_log_count[LOG_WARN], 1);
}

/* A record of many lines comes whole or not at all. */
static void records_are_whole(void **state)
{
	(void)state;
	assert_int_equal(taken(SECOND, 100, 50), VM_LOG_BURST / 50);
	assert_int_equal(l.dropped, (100 - VM_LOG_BURST / 50) * 50);
	assert_int_equal(taken(SECOND, 1, 1), 1);
}

static void a_clock_that_stands_or_goes_back(void **state)
{
	(void)state;
	assert_int_equal(taken(0, 1000, 1), VM_LOG_BURST);
	l = (struct vm_log){ 0 };
	assert_int_equal(taken(~0ull, 1000, 1), VM_LOG_BURST);
	assert_int_equal(taken(SECOND, 1000, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_burst_then_a_rate, setup),
		cmocka_unit_test_setup(the_rate_is_exact, setup),
		cmocka_unit_test_setup(what_was_dropped_is_told, setup),
		cmocka_unit_test_setup(records_are_whole, setup),
		cmocka_unit_test_setup(a_clock_that_stands_or_goes_back, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
