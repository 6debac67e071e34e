/*
 * The guest's memory map (ACPI 6.5, chapter 15 lists the types). What is not
 * named is not RAM; the devices below 4 GiB are described by ACPI instead.
 */
#include "vmm/e820.h"

#include "vmm/board.h"
#include "vmm/vm.h"

u32 e820_build(struct e820_entry map[E820_MAX])
{
	u32 n = 0;

	map[n++] = (struct e820_entry){ 0, BOARD_EBDA, E820_RAM };
	map[n++] = (struct e820_entry){ BOARD_EBDA, BOARD_HOLE_END - BOARD_EBDA, E820_RESERVED };
	map[n++] = (struct e820_entry){ BOARD_HOLE_END, vm->ram_low - BOARD_HOLE_END, E820_RAM };
	if (vm->ram_high)
		map[n++] = (struct e820_entry){ ABI_RAM_HIGH_BASE, vm->ram_high, E820_RAM };
	return n;
}

bool e820_usable(gpa_t base, u64 size)
{
	struct e820_entry map[E820_MAX];
	u32 n = e820_build(map);

	for (u32 i = 0; i < n; i++)
		if (map[i].type == E820_RAM && base >= map[i].base && size <= map[i].size &&
		    base - map[i].base <= map[i].size - size)
			return true;
	return false;
}
