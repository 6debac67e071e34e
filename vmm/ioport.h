/*
 * What devices share: claiming a range of the I/O map, splitting wide accesses
 * into bytes as the ISA bus does, and clock frequencies against guest time.
 */
#ifndef VMM_IOPORT_H
#define VMM_IOPORT_H

#include "vmm/iomap.h"
#include "vmm/lib.h"

/* iomap_add() of a range that must be free: otherwise the VM stops, by name. */
void io_claim(enum io_space space, const struct io_range *range);

/* A chip with byte registers, accessed with any size: low address first. */
u64 io_read_bytes(u64 off, u32 size, u8 (*read)(u32 reg));
void io_write_bytes(u64 off, u32 size, u64 value, void (*write)(u32 reg, u8 byte));

static inline u64 io_split_read(u64 off, u32 size, u8 (*read)(u32 reg))
{
	return likely(size == 1) ? read((u32)off) : io_read_bytes(off, size, read);
}

static inline void io_split_write(u64 off, u32 size, u64 value, void (*write)(u32 reg, u8 byte))
{
	if (likely(size == 1))
		write((u32)off, (u8)value);
	else
		io_write_bytes(off, size, value, write);
}

#define NS_PER_S 1000000000ull

/* Whole periods of a clock of hz in ns. No overflow for hz < 4 GHz. */
static inline u64 ns_to_ticks(ns_t ns, u32 hz)
{
	return ns / NS_PER_S * hz + ns % NS_PER_S * hz / NS_PER_S;
}

/* The first nanosecond at which ns_to_ticks() gives this many. */
static inline ns_t ticks_to_ns(u64 ticks, u32 hz)
{
	return ticks / hz * NS_PER_S + (ticks % hz * NS_PER_S + hz - 1) / hz;
}

#endif
