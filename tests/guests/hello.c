/* The smallest guest: it runs, it prints, it has long mode and its RAM. */
#include "lib.h"

const char guest_name[] = "hello";

void guest_main(void)
{
	u64 base, size, total = 0;

	for (u32 i = 0; ram_range(i, &base, &size); i++)
		total += size;
	print("hello from a bare guest with %lu KiB\n", total / 1024);
	for (const char *p = "hello on the debug port\n"; *p; p++)
		outb(DEBUG_PORT, *p);
	CHECK(total > 1 << 20, "only %lu bytes of RAM in the memory map", total);
	CHECK(rdmsr(MSR_EFER) & 0x400, "EFER.LMA is clear in long mode");
}
