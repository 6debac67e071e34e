/*
 * Reaches for guest-physical memory that is not its own: every page below
 * 4 GiB, every power of two and map edge above. All reads as ones, writes go
 * nowhere, nothing faults. The word coarse on the command line: every 256 KiB,
 * and page by page only behind RAM and around the chips.
 */
#include "lib.h"

const char guest_name[] = "outside";

#define MIB2 0x200000ull

static u64 ram_low_end, ram_high_end;

static bool is_chip(u64 pa)
{
	return pa >> 12 == LAPIC_BASE >> 12 || pa >> 12 == IOAPIC_BASE >> 12;
}

static void touch(u64 pa)
{
	volatile u8 *p = map_window(pa);
	u32 v;

	CHECK(try_read32(p, &v) < 0 && v == 0xffffffff, "%lx: vector %d value %x", pa, fault.vector,
	      v);
	CHECK(try_write32(p, 0xdeadbeef) < 0, "write to %lx: vector %d", pa, fault.vector);
}

/*
 * Every page of [from, to): read and written by one instruction, so that a page costs one exit.
 * Half a million pages: the loop has nothing else in it.
 */
static void sweep(u64 from, u64 to)
{
	while (from < to) {
		u64 end = (from & ~0x1fffffull) + 0x200000 < to ? (from & ~0x1fffffull) + 0x200000
								: to;
		u64 at = (u64)map_window(from), stop = at + (end - from), v = 0;

		TRY("1: movl $0xdeadbeef, %%eax\n\t"
		    "xaddl %%eax, (%0)\n\t"
		    "cmpl $-1, %%eax\n\t"
		    "jne 2f\n\t"
		    "addq $4096, %0\n\t"
		    "cmpq %2, %0\n\t"
		    "jb 1b\n"
		    "2:",
		    OUT("+r"(at), "=&a"(v)), "r"(stop)
		    : "memory", "cc");
		CHECK(at == stop, "%lx: vector %d value %lx", end - (stop - at), fault.vector, v);
		from = at == stop ? end : end - (stop - at) + 4096;
	}
}

static void below_4g(void)
{
	bool coarse = option("coarse");
	u64 near = coarse ? ram_low_end + 32 * MIB2 : IOAPIC_BASE, step;

	/* A read and a write of their own: behind RAM's end, and for one page in 16 or 64. */
	for (u64 pa = ram_low_end; pa < 1ull << 32; pa += step) {
		step = pa < ram_low_end + 2 * MIB2 ? 0x1000 : coarse ? 0x40000 : 0x10000;
		if (!is_chip(pa))
			touch(pa);
	}
	sweep(ram_low_end, near);
	sweep(IOAPIC_BASE - 8 * MIB2, IOAPIC_BASE);
	sweep(IOAPIC_BASE + 0x1000, LAPIC_BASE);
	sweep(LAPIC_BASE + 0x1000, 1ull << 32);
}

static void above_4g(void)
{
	u32 r[4], width;

	cpuid(0x80000008, 0, r);
	width = r[0] & 0xff;
	for (u32 bit = 32; bit < width; bit++)
		for (s64 d = -0x1000; d <= 0x1000; d += 0x1000) {
			u64 pa = (1ull << bit) + (u64)d;

			if (pa >= 1ull << 32 && !(pa < ram_high_end) && pa < 1ull << width)
				touch(pa);
		}
	if (ram_high_end)
		for (u64 pa = ram_high_end; pa < ram_high_end + 2 * MIB2; pa += 0x1000)
			touch(pa);
	touch((1ull << width) - 0x1000);
	/* Where a hypervisor might have left itself. */
	for (u64 pa = 1ull << 39; pa < 1ull << 40 && width >= 40; pa += 1ull << 33)
		touch(pa);
}

void guest_main(void)
{
	u64 base, size;

	for (u32 i = 0; ram_range(i, &base, &size); i++) {
		u64 end = base + size;

		if (end <= 1ull << 32 && end > ram_low_end)
			ram_low_end = end;
		if (base >= 1ull << 32 && end > ram_high_end)
			ram_high_end = end;
	}
	ram_low_end = (ram_low_end + MIB2 - 1) & ~(MIB2 - 1);
	print("RAM ends at %lx and %lx\n", ram_low_end, ram_high_end);
	below_4g();
	above_4g();
}
