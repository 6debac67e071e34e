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

u64 iomap_in(u32 port, u32 size);
void iomap_out(u32 port, u32 size, u64 value);
u64 iomap_mmio_read(gpa_t gpa, u32 size);
void iomap_mmio_write(gpa_t gpa, u32 size, u64 value);

/* size 1 to 8; of value, so many bytes count. An access that is not inside one
 * range is done byte by byte. */
static inline u64 iomap_read(enum io_space space, u64 addr, u32 size)
{
	return space == IO_PORT ? iomap_in((u32)addr, size) : iomap_mmio_read(addr, size);
}

static inline void iomap_write(enum io_space space, u64 addr, u32 size, u64 value)
{
	if (space == IO_PORT)
		iomap_out((u32)addr, size, value);
	else
		iomap_mmio_write(addr, size, value);
}

/* The range that holds addr, or NULL (for tests and messages). */
const struct io_range *iomap_find(enum io_space space, u64 addr);

void iomap_clear(void); /* for tests */

#endif
