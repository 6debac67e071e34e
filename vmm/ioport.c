/*
 * Claiming ranges of the I/O map: see vmm/ioport.h.
 */
#include "vmm/ioport.h"

#include "vmm/sys.h"

void io_claim(enum io_space space, const struct io_range *range)
{
	if (!iomap_add(space, range))
		sys_fail("%s: no room in the I/O map at 0x%llx", range->name,
			 (unsigned long long)range->base);
}
