/*
 * Reads its console more slowly than one can paste: up to 16 bytes, then a
 * pause of some ms, without an exit. A line feed ends it: it tells how many bytes
 * came before that, and their Fletcher sums, which show a byte that is missing or
 * out of order.
 */
#include "lib.h"

const char guest_name[] = "reader";

void guest_main(void)
{
	u32 count = 0, a = 0, b = 0;
	int c = -1;

	print("READY %s\n", guest_name);
	while (c != '\n') {
		for (u32 i = 0; i < 16 && (c = get_char()) >= 0 && c != '\n'; i++) {
			count++;
			a = (a + (u32)c) % 65521;
			b = (b + a) % 65521;
		}
		for (u64 start = rdtsc(); rdtsc() - start < 12000000;)
			cpu_pause();
	}
	print("%u bytes, sums %u %u\n", count, a, b);
}
