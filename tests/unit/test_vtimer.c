/*
 * The monitor's timers: order, re-arming from within, and that the kernel is
 * called only when the earliest time changes.
 */
// SOURCES: vmm/timer.c vmm/vm.c tests/unit/fake/sys_fake.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sys_fake.h"
#include "vmm/timer.h"

static struct vtimer *fired[16];
static u32 fired_count;

static void note(void *arg)
{
	if (fired_count < 16)
		fired[fired_count] = arg;
	fired_count++;
}

static int setup(void **state)
{
	(void)state;
	vtimer_clear();
	sys_fake_reset(0x200000, 0);
	fired_count = 0;
	return 0;
}

static void test_order(void **state)
{
	struct vtimer a = { .fn = note, .arg = &a }, b = { .fn = note, .arg = &b },
		      c = { .fn = note, .arg = &c };

	(void)state;
	vtimer_set(&b, 200);
	assert_int_equal(fake.timer, 200);
	vtimer_set(&c, 300);
	assert_int_equal(fake.timer_calls, 1); /* not the first to come */
	vtimer_set(&a, 100);
	assert_int_equal(fake.timer, 100);
	assert_int_equal(fake.timer_calls, 2);

	fake.tsc = 200;
	vtimer_run();
	assert_int_equal(fired_count, 2);
	assert_ptr_equal(fired[0], &a);
	assert_ptr_equal(fired[1], &b);
	assert_false(a.armed);
	assert_int_equal(fake.timer, 300);
	assert_int_equal(fake.timer_calls, 3);

	fake.tsc = 300;
	vtimer_run();
	assert_int_equal(fired_count, 3);
	assert_int_equal(fake.timer_calls, 3); /* it has fired: nothing to turn off */
}

static void test_move_cancel(void **state)
{
	struct vtimer a = { .fn = note, .arg = &a }, b = { .fn = note, .arg = &b };

	(void)state;
	vtimer_set(&a, 100);
	vtimer_set(&b, 200);
	vtimer_set(&a, 100);
	assert_int_equal(fake.timer_calls, 1);
	vtimer_set(&a, 300);
	assert_int_equal(fake.timer, 200);
	vtimer_cancel(&b);
	assert_int_equal(fake.timer, 300);
	vtimer_cancel(&b);
	vtimer_cancel(&a);
	assert_int_equal(fake.timer, ~0ull);
	assert_int_equal(fake.timer_calls, 4);
	vtimer_set(&a, ~0ull); /* never, but not "off" by accident */
	assert_true(a.armed);
	fake.tsc = 1000;
	vtimer_run();
	assert_int_equal(fired_count, 0);
}

static struct vtimer periodic;

static void again(void *arg)
{
	note(arg);
	vtimer_set(&periodic, periodic.at + 10);
}

static void test_periodic(void **state)
{
	(void)state;
	periodic = (struct vtimer){ .fn = again, .arg = &periodic };
	vtimer_set(&periodic, 10);
	fake.tsc = 35;
	vtimer_run();
	assert_int_equal(fired_count, 3); /* 10, 20, 30 */
	assert_int_equal(fake.timer, 40);
	assert_int_equal(fake.timer_calls, 2);
}

static void same_time(void *arg)
{
	note(arg);
	vtimer_set(&periodic, 1);
}

static void test_bounded(void **state)
{
	(void)state;
	periodic = (struct vtimer){ .fn = same_time, .arg = &periodic };
	vtimer_set(&periodic, 1);
	fake.tsc = 35;
	vtimer_run();
	assert_in_range(fired_count, 1, 1000);
	assert_int_equal(fake.timer, 1); /* goes on at once, in another upcall */
	assert_int_equal(fake.timer_calls, 2);
}

static struct vtimer other;

static void cancels(void *arg)
{
	note(arg);
	vtimer_cancel(&other);
}

static void test_cancel_within(void **state)
{
	struct vtimer a = { .fn = cancels, .arg = &a };

	(void)state;
	other = (struct vtimer){ .fn = note, .arg = &other };
	vtimer_set(&a, 10);
	vtimer_set(&other, 20);
	fake.tsc = 50;
	vtimer_run();
	assert_int_equal(fired_count, 1);
	assert_ptr_equal(fired[0], &a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_order, setup),
		cmocka_unit_test_setup(test_move_cancel, setup),
		cmocka_unit_test_setup(test_periodic, setup),
		cmocka_unit_test_setup(test_bounded, setup),
		cmocka_unit_test_setup(test_cancel_within, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
