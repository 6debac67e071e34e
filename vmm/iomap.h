/*
 * The I/O map: which device answers at which port or guest-physical address.
 * Ranges do not overlap; what nobody claims reads as all ones.
 */
#ifndef VMM_IOMAP_H
#define VMM_IOMAP_H

#include "kernel/abi.h"
#include "vmm/lib.h"

enum io_space { IO_PORT, IO_MMIO, IO_SPACES };

/*
 * off: from the range's base; off + size never passes its end. size: 1, 2, 4,
 * and for MMIO also 8. value has no bits above size; read's result is cut to it.
 */
typedef u64 io_read_fn(void *dev, u64 off, u32 size);
typedef void io_write_fn(void *dev, u64 off, u32 size, u64 value);

struct io_range {
	u64 base, len;
	void *dev;	    /* handed to the functions */
	io_read_fn *read;   /* NULL: all ones */
	io_write_fn *write; /* NULL: ignored */
	const char *name;
};

/* Copies *range. false: empty, wraps, overlaps another, past the space, or full. */
bool iomap_add(enum io_space space, const struct io_range *range);

/* size 1 to 8. An access that is not inside one range is done byte by byte. */
u64 iomap_read(enum io_space space, u64 addr, u32 size);
void iomap_write(enum io_space space, u64 addr, u32 size, u64 value);

/* The range that holds addr, or NULL (for tests and messages). */
const struct io_range *iomap_find(enum io_space space, u64 addr);

void iomap_clear(void); /* for tests */

#endif
