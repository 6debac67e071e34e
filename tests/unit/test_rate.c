/*
 * Finding the TSC's rate on a simulated machine: clocks that derive from one
 * time, which reads move on, and a host that steals time at random moments.
 */
// SOURCES: drivers/rate.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "drivers/rate.h"

#define US 1000ull /* in the simulation's unit, ns */
#define MS (1000 * US)

static u64 now, start, read_cost, tsc_hz;
static u64 gap_every, gap_ns; /* on average a gap of gap_ns every so many ns; 0: none */
static u64 seed, reads;
static double pit_factor;

static u64 random64(void)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return seed >> 33;
}

static void pass(u64 ns)
{
	now += ns;
	if (gap_every && random64() % gap_every < ns)
		now += gap_ns / 2 + random64() % gap_ns;
}

static u64 counter(double hz)
{
	return (u64)((double)now * hz / 1e9);
}

static u64 fake_tsc(void)
{
	pass(20);
	return counter((double)tsc_hz);
}

static u64 counted_read(double hz)
{
	u64 v;

	reads++;
	pass(read_cost / 2);
	v = counter(hz);
	pass(read_cost / 2);
	return v;
}

static u64 fake_pm(void)
{
	return counted_read(3579545);
}

static u64 fake_pit(void)
{
	return counted_read(1193182 * pit_factor);
}

static u64 fake_hpet(void)
{
	return counted_read(100e6);
}

static u64 fake_dead(void)
{
	reads++;
	pass(read_cost);
	return 0xffffffff;
}

static bool no_start(struct rate_source *s)
{
	(void)s;
	return false;
}

enum { PM, PIT, HPET };

static struct rate_source sources[3];

static int machine(void **state)
{
	(void)state;
	now = 12345678;
	start = now;
	read_cost = US;
	tsc_hz = 2600000000;
	gap_every = gap_ns = reads = 0;
	seed = 1;
	pit_factor = 1;
	sources[PM] =
		(struct rate_source){ "PM timer", 3579545, 0xffffff, fake_pm, NULL, { 0 }, 0 };
	sources[PIT] = (struct rate_source){ "PIT", 1193182, 0xffff, fake_pit, NULL, { 0 }, 0 };
	sources[HPET] =
		(struct rate_source){ "HPET", 100000000, 0xffffffff, fake_hpet, NULL, { 0 }, 0 };
	return 0;
}

static struct rate_result find(void)
{
	return rate_find(sources, 3, fake_tsc);
}

static void assert_near(u64 hz, u64 want)
{
	assert_in_range(hz, want - want / 150, want + want / 150);
}

static void quiet(void **state)
{
	static const u64 rates[] = { 50000000, 1000000000, 2600000000, 6000000000 };
	static const u64 costs[] = { 100, US, 10 * US };

	for (u32 i = 0; i < ARRAY_SIZE(rates); i++) {
		for (u32 k = 0; k < ARRAY_SIZE(costs); k++) {
			struct rate_result r;

			machine(state);
			tsc_hz = rates[i];
			read_cost = costs[k];
			r = find();
			assert_near(r.hz, rates[i]);
			assert_string_equal(r.by, "PIT");
			assert_string_equal(r.and, "PM timer");
			assert_true(now - start < 30 * MS);
		}
	}
}

static void one_is_dead(void **state)
{
	for (u32 dead = 0; dead < 3; dead++) {
		struct rate_result r;

		machine(state);
		sources[dead].read = fake_dead;
		r = find();
		assert_near(r.hz, tsc_hz);
		assert_non_null(r.and);
		assert_string_not_equal(r.by, sources[dead].name);
		assert_string_not_equal(r.and, sources[dead].name);
	}
}

static void one_alone(void **state)
{
	for (u32 good = 0; good < 3; good++) {
		struct rate_result r;

		machine(state);
		sources[(good + 1) % 3].read = fake_dead;
		sources[(good + 2) % 3].start = no_start;
		r = find();
		assert_near(r.hz, tsc_hz);
		assert_string_equal(r.by, sources[good].name);
		assert_null(r.and);
		assert_true(now - start < 100 * MS);
	}
}

static void none(void **state)
{
	machine(state);
	for (u32 i = 0; i < 3; i++)
		sources[i].read = fake_dead;
	assert_int_equal(find().hz, 0);
	assert_true(reads < 40000);
	sources[PM].read = sources[PIT].read = sources[HPET].read = NULL;
	assert_int_equal(find().hz, 0);
}

static void one_lies(void **state)
{
	struct rate_result r;

	machine(state);
	pit_factor = 1.5;
	r = find();
	assert_near(r.hz, tsc_hz);
	assert_string_equal(r.by, "HPET");
	assert_string_equal(r.and, "PM timer");
}

static void two_that_never_agree(void **state)
{
	struct rate_result r;

	machine(state);
	pit_factor = 1.5;
	sources[HPET].start = no_start;
	r = find();
	assert_near(r.hz, tsc_hz); /* the PM timer is trusted first */
	assert_null(r.and);
	assert_true(now - start < 300 * MS);
}

/* Gaps of 20 ms to 3 s, every 3 to 50 ms on average: from a busy host to one that
 * gives us a tenth of its time, and longer than the PIT can count. */
static void noisy_host(void **state)
{
	static const u64 gaps[] = { 100 * US, 5 * MS, 20 * MS, 60 * MS, 200 * MS, 1000 * MS };
	static const u64 every[] = { 3 * MS, 10 * MS, 50 * MS };
	u32 alone = 0, wrong = 0, runs = 0;

	for (u32 i = 0; i < ARRAY_SIZE(gaps); i++) {
		for (u32 k = 0; k < ARRAY_SIZE(every); k++) {
			for (u32 n = 0; n < 25; n++) {
				struct rate_result r;
				u64 d;

				machine(state);
				seed = n * 1000 + i * 10 + k + 1;
				gap_ns = gaps[i];
				gap_every = every[k];
				r = find();
				d = r.hz > tsc_hz ? r.hz - tsc_hz : tsc_hz - r.hz;
				runs++;
				wrong += d > tsc_hz / 150;
				alone += !r.and;
			}
		}
	}
	if (wrong || alone)
		print_message("of %u runs %u wrong, %u by one clock\n", runs, wrong, alone);
	assert_int_equal(wrong, 0);
	assert_true(alone < runs / 100);
}

static void noisy_without_hpet(void **state)
{
	for (u32 n = 0; n < 100; n++) {
		struct rate_result r;

		machine(state);
		sources[HPET].start = no_start;
		seed = n + 1;
		gap_ns = 60 * MS;
		gap_every = 20 * MS;
		r = find();
		assert_near(r.hz, tsc_hz);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(quiet, machine),
		cmocka_unit_test_setup(one_is_dead, machine),
		cmocka_unit_test_setup(one_alone, machine),
		cmocka_unit_test_setup(none, machine),
		cmocka_unit_test_setup(one_lies, machine),
		cmocka_unit_test_setup(two_that_never_agree, machine),
		cmocka_unit_test_setup(noisy_host, machine),
		cmocka_unit_test_setup(noisy_without_hpet, machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
