/*
 * kernel/timer.c: order, arming of the hardware, callbacks that set and cancel,
 * and random operations against a model.
 */
// SOURCES: kernel/timer.c
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/timer.h"

#define MANY 16

static struct timer_queue queue;
static u64 armed;
static u32 arms;

static struct timer *fired[64];
static u32 fired_count;

static void hw_arm(u64 tsc)
{
	armed = tsc;
	arms++;
}

static void note(struct timer *t)
{
	assert_true(fired_count < 64);
	fired[fired_count++] = t;
	assert_false(timer_is_set(t));
}

static int setup(void **state)
{
	(void)state;
	timer_init_cpu(&queue, hw_arm);
	armed = arms = fired_count = 0;
	return 0;
}

static void runs_in_order(void **state)
{
	struct timer t[4] = { { .fn = note }, { .fn = note }, { .fn = note }, { .fn = note } };

	(void)state;
	assert_int_equal(timer_next(&queue), ~0ull);
	timer_set(&queue, &t[0], 300);
	assert_int_equal(armed, 300);
	timer_set(&queue, &t[1], 100);
	assert_int_equal(armed, 100);
	timer_set(&queue, &t[2], 200);
	timer_set(&queue, &t[3], 100); /* equal: first come, first served */
	assert_int_equal(arms, 2);
	assert_int_equal(timer_next(&queue), 100);

	timer_run(&queue, 99); /* early: armed again */
	assert_int_equal(fired_count, 0);
	assert_int_equal(arms, 3);
	timer_run(&queue, 250);
	assert_int_equal(fired_count, 3);
	assert_ptr_equal(fired[0], &t[1]);
	assert_ptr_equal(fired[1], &t[3]);
	assert_ptr_equal(fired[2], &t[2]);
	assert_int_equal(armed, 300);
	timer_run(&queue, 300);
	assert_int_equal(fired_count, 4);
	assert_int_equal(armed, 0);
}

static void set_again_and_cancel(void **state)
{
	struct timer a = { .fn = note }, b = { .fn = note };

	(void)state;
	timer_cancel(&queue, &a); /* never set */
	assert_int_equal(arms, 0);
	timer_set(&queue, &a, 10);
	timer_set(&queue, &b, 20);
	timer_set(&queue, &a, 30); /* later than b */
	assert_int_equal(armed, 20);
	timer_cancel(&queue, &b);
	assert_int_equal(armed, 30);
	assert_false(timer_is_set(&b));
	assert_true(timer_is_set(&a));
	timer_cancel(&queue, &a);
	assert_int_equal(armed, 0);
	timer_run(&queue, 1000);
	assert_int_equal(fired_count, 0);
	timer_set(&queue, &a, 0); /* the hardware's "off" is not a deadline */
	assert_int_equal(armed, 1);
}

static struct timer chain[3];
static u32 calls;

static void again_in_the_past(struct timer *t)
{
	calls++;
	timer_set(&queue, t, 5);
}

static void cancels_next_sets_other(struct timer *t)
{
	(void)t;
	calls++;
	timer_cancel(&queue, &chain[1]);
	timer_set(&queue, &chain[2], 7);
	timer_run(&queue, ~0ull); /* nested: ignored */
}

static void callbacks_are_bounded(void **state)
{
	(void)state;
	memset(chain, 0, sizeof(chain));
	calls = 0;
	chain[0].fn = again_in_the_past;
	timer_set(&queue, &chain[0], 10);
	timer_run(&queue, 10);
	assert_int_equal(calls, 1);
	assert_int_equal(armed, 5);
	timer_cancel(&queue, &chain[0]);

	calls = 0;
	chain[0].fn = cancels_next_sets_other;
	chain[1].fn = chain[2].fn = note;
	timer_set(&queue, &chain[0], 1);
	timer_set(&queue, &chain[1], 2); /* due as well, cancelled by the first */
	timer_set(&queue, &chain[2], 3); /* due as well, moved by the first */
	timer_run(&queue, 4);
	assert_int_equal(calls, 1);
	assert_int_equal(fired_count, 0);
	assert_int_equal(timer_next(&queue), 7);
	assert_int_equal(armed, 7);
}

static struct timer many[MANY];
static u64 model[MANY]; /* ~0: not set */
static u64 now;

static void model_fire(struct timer *t)
{
	u32 i = (u32)(t - many);

	assert_true(model[i] <= now);
	for (u32 j = 0; j < MANY; j++)
		assert_true(model[j] >= model[i]);
	model[i] = ~0ull;
}

static void random_against_model(void **state)
{
	(void)state;
	srand(1);
	now = 0;
	memset(many, 0, sizeof(many));
	for (u32 i = 0; i < MANY; i++) {
		many[i].fn = model_fire;
		model[i] = ~0ull;
	}
	for (u32 step = 0; step < 20000; step++) {
		u32 i = (u32)rand() % MANY;
		u64 first = ~0ull;
		u32 set = 0;

		switch (rand() % 4) {
		case 0:
		case 1:
			model[i] = now + (u64)rand() % 100 + 1;
			timer_set(&queue, &many[i], model[i]);
			break;
		case 2:
			model[i] = ~0ull;
			timer_cancel(&queue, &many[i]);
			break;
		default:
			now += (u64)rand() % 30;
			timer_run(&queue, now);
			for (u32 j = 0; j < MANY; j++)
				assert_true(model[j] > now);
		}
		for (u32 j = 0; j < MANY; j++) {
			first = MIN(first, model[j]);
			assert_int_equal(timer_is_set(&many[j]), model[j] != ~0ull);
			set += model[j] != ~0ull;
		}
		assert_int_equal(timer_next(&queue), first);
		assert_int_equal(queue.count, set);
		assert_int_equal(armed, first == ~0ull ? 0 : first);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(runs_in_order, setup),
		cmocka_unit_test_setup(set_again_and_cancel, setup),
		cmocka_unit_test_setup(callbacks_are_bounded, setup),
		cmocka_unit_test_setup(random_against_model, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
