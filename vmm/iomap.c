/*
 * The I/O map: a list of ranges per space. Ports below 0x1000, where all of the
 * board's are, have a table of their own; elsewhere the range found last is
 * tried first (drivers poll). No lock: upcalls of a VM never overlap.
 */
#include "vmm/iomap.h"

#define RANGES_MAX 64
#define PORTS 0x1000u

static struct space {
	u32 count;
	struct io_range range[RANGES_MAX];
} spaces[IO_SPACES];

/* The range of each port, counted from 1; 0: nobody. */
static u8 port_range[PORTS];

/* Found last in each space; never NULL: nobody is an empty range. */
static const struct io_range nobody = { .name = "nobody" };
static const struct io_range *last[IO_SPACES] = { &nobody, &nobody };

static u64 space_end(enum io_space space) /* the last address */
{
	return space == IO_PORT ? 0xffff : ~0ull;
}

bool iomap_add(enum io_space space, const struct io_range *range)
{
	struct space *s = &spaces[space];
	u64 end = range->base + range->len - 1;

	if (!range->len || end < range->base || end > space_end(space) || s->count == RANGES_MAX)
		return false;
	for (u32 i = 0; i < s->count; i++)
		if (range->base <= s->range[i].base + s->range[i].len - 1 &&
		    s->range[i].base <= end)
			return false;
	s->range[s->count++] = *range;
	for (u64 port = range->base; space == IO_PORT && port <= end && port < PORTS; port++)
		port_range[port] = (u8)s->count;
	return true;
}

const struct io_range *iomap_find(enum io_space space, u64 addr)
{
	struct space *s = &spaces[space];

	if (space == IO_PORT && addr < PORTS)
		return port_range[addr] ? &s->range[port_range[addr] - 1] : NULL;
	for (u32 i = 0; i < s->count; i++) {
		const struct io_range *r = &s->range[i];

		if (addr - r->base < r->len) {
			last[space] = r;
			return r;
		}
	}
	return NULL;
}

/* The range that holds all of [addr, addr + size), or NULL. */
static inline const struct io_range *whole(const struct io_range *r, u64 addr, u32 size)
{
	return likely(size <= r->len - (addr - r->base)) ? r : NULL;
}

static inline const struct io_range *port_range_of(u32 port, u32 size)
{
	u32 i = likely(port < PORTS) ? port_range[port] : 0;
	const struct io_range *r = i ? &spaces[IO_PORT].range[i - 1] : iomap_find(IO_PORT, port);

	return likely(r) ? whole(r, port, size) : NULL;
}

static inline const struct io_range *mmio_range_of(gpa_t gpa, u32 size)
{
	const struct io_range *r = last[IO_MMIO];

	if (unlikely(gpa - r->base >= r->len))
		r = iomap_find(IO_MMIO, gpa);
	return likely(r) ? whole(r, gpa, size) : NULL;
}

/* An access that no one range holds: byte by byte. */
static __attribute__((noinline)) u64 read_bytes(enum io_space space, u64 addr, u32 size)
{
	u64 value = 0;

	for (u32 i = 0; i < size; i++) {
		const struct io_range *r = iomap_find(space, addr + i);
		u64 byte = r && r->read ? r->read(r->dev, addr + i - r->base, 1) : 0xff;

		value |= (byte & 0xff) << (8 * i);
	}
	return value;
}

static __attribute__((noinline)) void write_bytes(enum io_space space, u64 addr, u32 size,
						  u64 value)
{
	for (u32 i = 0; i < size; i++) {
		const struct io_range *r = iomap_find(space, addr + i);

		if (r && r->write)
			r->write(r->dev, addr + i - r->base, 1, (value >> (8 * i)) & 0xff);
	}
}

static inline u64 read(const struct io_range *r, enum io_space space, u64 addr, u32 size)
{
	if (unlikely(!r))
		return read_bytes(space, addr, size);
	if (unlikely(!r->read))
		return size_mask(size);
	return r->read(r->dev, addr - r->base, size) & size_mask(size);
}

static inline void write(const struct io_range *r, enum io_space space, u64 addr, u32 size,
			 u64 value)
{
	if (unlikely(!r))
		write_bytes(space, addr, size, value);
	else if (likely(r->write))
		r->write(r->dev, addr - r->base, size, value & size_mask(size));
}

u64 iomap_in(u32 port, u32 size)
{
	return read(port_range_of(port, size), IO_PORT, port, size);
}

void iomap_out(u32 port, u32 size, u64 value)
{
	write(port_range_of(port, size), IO_PORT, port, size, value);
}

u64 iomap_mmio_read(gpa_t gpa, u32 size)
{
	return read(mmio_range_of(gpa, size), IO_MMIO, gpa, size);
}

void iomap_mmio_write(gpa_t gpa, u32 size, u64 value)
{
	write(mmio_range_of(gpa, size), IO_MMIO, gpa, size, value);
}

void iomap_clear(void)
{
	for (u32 i = 0; i < IO_SPACES; i++) {
		spaces[i].count = 0;
		last[i] = &nobody;
	}
	memset(port_range, 0, sizeof(port_range));
}
