/*
 * All of the guest's RAM is there, was empty when it started (nothing of
 * whoever had it before), and keeps what is written, above 4 GiB too.
 */
#include "lib.h"

const char guest_name[] = "memory";

extern u8 image_start[], image_end[];
extern u32 boot_info;

#define MIB2 0x200000ull

static bool ours(u64 page) /* image, stack, or near Multiboot's information */
{
	return page < 0x100000 || page < ((u64)image_end + 0xfff) ||
	       (page >= (boot_info & ~0xfffull) && page < (boot_info & ~0xfffull) + 0x8000);
}

static u64 page_sum(volatile u64 *p)
{
	u64 sum = 0;

	for (u32 i = 0; i < 512; i++)
		sum += p[i];
	return sum;
}

static bool page_is_zero(volatile u64 *p)
{
	u64 any = 0;

	for (u32 i = 0; i < 512; i++)
		any |= p[i];
	return !any;
}

void guest_main(void)
{
	u64 base, size, pages = 0, dirty = 0, sum = 0, total = 0;

	for (u32 i = 0; ram_range(i, &base, &size); i++) {
		print("RAM %lx-%lx\n", base, base + size - 1);
		total += size;
		CHECK(base + size <= 0xc0000000 || base >= 1ull << 32, "RAM where devices belong");
		for (u64 at = (base + 0xfff) & ~0xfffull; at + 4096 <= base + size; at += 4096) {
			volatile u64 *p = (volatile u64 *)map_window(at);

			if (ours(at))
				continue;
			pages++;
			sum += page_sum(p);
			if (!page_is_zero(p) && ++dirty <= 4 && bulkhead)
				fail("page %lx was not empty", at);
			for (u32 k = 0; k < 512; k += 64)
				p[k] = at + k;
		}
	}
	for (u32 i = 0; ram_range(i, &base, &size); i++)
		for (u64 at = (base + 0xfff) & ~0xfffull; at + 4096 <= base + size; at += 4096) {
			volatile u64 *p = (volatile u64 *)map_window(at);

			for (u32 k = 0; !ours(at) && k < 512; k += 64)
				CHECK(p[k] == at + k, "%lx reads %lx", at + 8 * k, p[k]);
		}
	CHECK(pages > 256, "only %lu pages", pages);
	print("memory %lu KiB, %lu pages, %lu not empty, sum %lx\n", total / 1024, pages, dirty,
	      sum);
}
