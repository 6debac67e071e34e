/*
 * Measures what it is left with: does the same work again and again, with no
 * cause for an exit, and says after every 32 rounds how many TSC ticks the
 * quickest and the slowest took, and all of them together:
 *     work <n> <quickest> <slowest> <all>
 */
#include "lib.h"

const char guest_name[] = "worker";

#define ROUNDS 32
#define WORDS 4096

static u64 area[WORDS];

static u64 __attribute__((noinline)) work(u64 seed)
{
	u64 sum = 0;

	for (u32 i = 0; i < WORDS; i++)
		area[i] = (seed + i) * 0x9e3779b97f4a7c15;
	for (u32 i = 0; i < WORDS; i++)
		sum += area[i];
	return sum;
}

void guest_main(void)
{
	u64 expected = work(1);

	print("READY %s\n", guest_name);
	for (u32 n = 0;; n++) {
		u64 quickest = ~0ull, slowest = 0, all = 0;

		sti(); /* Bochs 2.7 lets nobody stop a guest that has them off and does not exit */
		for (u32 i = 0; i < ROUNDS; i++) {
			u64 start = rdtsc(), took;

			CHECK(work(1) == expected, "round %u of %u", i, n);
			took = rdtsc() - start;
			quickest = took < quickest ? took : quickest;
			slowest = took > slowest ? took : slowest;
			all += took;
		}
		cli();
		print("work %u %lu %lu %lu\n", n, quickest, slowest, all);
	}
}
