/*
 * A sorted list of memory ranges without overlaps, in an array of fixed size:
 * how the loader turns a firmware's map of any length into boot_info.ranges.
 * Pure; the loader is single-threaded.
 */
#ifndef BOOT_RANGES_H
#define BOOT_RANGES_H

#include "boot/boot_info.h"

struct range_list {
	struct boot_range *range;
	u32 count, max;
	u64 lost; /* bytes of free memory dropped because the array was full */
};

/*
 * From now on [base, base + size) is of this kind, whatever it was before.
 * Neighbours of one kind are merged. When the array is full the smallest free
 * ranges are dropped: what is not listed is never touched.
 */
void ranges_set(struct range_list *list, u64 base, u64 size, u32 kind);

/* Bytes of one kind. */
u64 ranges_total(const struct range_list *list, u32 kind);

#endif
