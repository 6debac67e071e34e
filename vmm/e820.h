/*
 * The guest's memory map, in the form of BIOS call INT 15h, AX=E820h, which
 * both Linux's zero page and Multiboot's memory map take over.
 */
#ifndef VMM_E820_H
#define VMM_E820_H

#include <stdbool.h>

#include "kernel/abi.h"

enum e820_type { E820_RAM = 1, E820_RESERVED = 2 };

struct e820_entry {
	u64 base, size;
	u32 type; /* enum e820_type */
};

#define E820_MAX 4u

/* Fills map, ascending and without gaps inside RAM; returns the count. */
u32 e820_build(struct e820_entry map[E820_MAX]);

/* Whether [base, base + size) lies wholly within usable RAM (one entry). */
bool e820_usable(gpa_t base, u64 size);

#endif
