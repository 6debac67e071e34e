/*
 * The good neighbour: computes a sum with a known answer over its memory
 * again and again, says `ok <n>` now and then, and finds every page as it
 * left it. A 'q' on its console asks for the final check and PASS. The word
 * calm on the command line: it sleeps for 0.2 s after each round, lazy: 1 s.
 */
#include "lib.h"

const char guest_name[] = "neighbour";

#define WORDS ((4u << 20) / 8) /* of the area it watches */
static u64 area[WORDS];

static u64 pattern(u64 i, u64 round)
{
	return (i + round) * 0x9e3779b97f4a7c15;
}

/* Sum of pattern(0..n-1): known without looking at memory. */
static u64 expected(u64 n, u64 round)
{
	return (n * (n - 1) / 2 + n * round) * 0x9e3779b97f4a7c15;
}

static bool quit(void)
{
	int c = get_char();

	return c == 'q' || c == 'Q';
}

static void rest(u32 us)
{
	u32 start = pm_read();

	while (pm_since(start) < PM_US(us)) { /* the timer's rate is not known: many naps */
		apic_write(LAPIC_LVT_TIMER, 0x40);
		apic_write(LAPIC_TIMER_INITIAL, 10000000);
		asm volatile("sti; hlt; cli" : : : "memory");
	}
}

void guest_main(void)
{
	u32 pause = option("calm") ? 200000 : option("lazy") ? 1000000 : 0;
	u64 rounds = 0;
	u32 last = pm_read();
	bool stop = false;

	print("READY %s\n", guest_name);
	while (!stop) {
		u64 sum = 0;

		for (u64 i = 0; i < WORDS; i++)
			area[i] = pattern(i, rounds);
		for (u64 i = 0; i < WORDS; i++) {
			sum += area[i];
			if (!(i & 0xffff))
				stop |= quit();
		}
		CHECK(sum == expected(WORDS, rounds), "round %lu: sum %lx, not %lx", rounds, sum,
		      expected(WORDS, rounds));
		rounds++;
		if (pm_since(last) > PM_US(500000)) {
			print("ok %lu\n", rounds);
			last = pm_read();
		}
		if (pause)
			rest(pause);
	}
	for (u64 i = 0; i < WORDS; i++)
		CHECK(area[i] == pattern(i, rounds - 1), "word %lu is %lx", i, area[i]);
	print("%lu rounds\n", rounds);
}
