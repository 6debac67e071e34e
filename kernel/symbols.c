/*
 * The kernel's symbol table: validated once, then binary search. It is used
 * while the kernel dies, so lookups touch nothing but the table itself.
 */
#include "kernel/symbols.h"

#include "arch/layout.h"

#define SYMBOLS_MAGIC 0x534d5953 /* "SYMS" */

struct symbols_header {
	u32 magic, count, names_size;
};

static const u32 *offsets;
static const u32 *positions;
static const char *names;
static u32 count;

/* More than a function is long: an address so far beyond the last one is not in it. */
#define LAST_SPAN 0x10000u

bool symbols_init(const void *table, u64 size)
{
	const struct symbols_header *header = table;
	const u32 *words;

	count = 0;
	if (!table || size < sizeof(*header) || header->magic != SYMBOLS_MAGIC)
		return false;
	if (header->count > size / 8 || header->names_size == 0 ||
	    sizeof(*header) + (u64)header->count * 8 + header->names_size > size)
		return false;
	words = (const u32 *)(header + 1);
	offsets = words;
	positions = words + header->count;
	names = (const char *)(words + 2 * (u64)header->count);
	if (names[header->names_size - 1] != '\0')
		return false;
	for (u32 i = 0; i < header->count; i++) {
		if (positions[i] >= header->names_size)
			return false;
		if (i > 0 && offsets[i] <= offsets[i - 1])
			return false;
	}
	count = header->count;
	return true;
}

const char *symbol_lookup(u64 addr, u64 *offset)
{
	u64 wanted = addr - KERNEL_BASE;
	u32 low = 0, high = count;

	*offset = 0;
	if (addr < KERNEL_BASE || count == 0 || wanted < offsets[0] ||
	    wanted >= (u64)offsets[count - 1] + LAST_SPAN)
		return NULL;
	/* the last entry that is not above: offsets[low] <= wanted < offsets[high] */
	while (high - low > 1) {
		u32 middle = low + (high - low) / 2;

		if (offsets[middle] <= wanted)
			low = middle;
		else
			high = middle;
	}
	*offset = wanted - offsets[low];
	return names + positions[low];
}
