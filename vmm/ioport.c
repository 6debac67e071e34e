/*
 * What devices share: see vmm/ioport.h. The wide accesses here are rare.
 */
#include "vmm/ioport.h"

#include "vmm/sys.h"

void io_claim(enum io_space space, const struct io_range *range)
{
	if (!iomap_add(space, range))
		sys_fail("%s: no room in the I/O map at 0x%llx", range->name,
			 (unsigned long long)range->base);
}

u64 io_read_bytes(u64 off, u32 size, u8 (*read)(u32 reg))
{
	u64 value = 0;

	for (u32 i = 0; i < size && i < 8; i++)
		value |= (u64)read((u32)off + i) << (8 * i);
	return value;
}

void io_write_bytes(u64 off, u32 size, u64 value, void (*write)(u32 reg, u8 byte))
{
	for (u32 i = 0; i < size && i < 8; i++)
		write((u32)off + i, (u8)(value >> (8 * i)));
}
