/*
 * The I/O map: sorted tables, binary search, and the last range found in each
 * space tried first (drivers poll). No lock: upcalls of a VM never overlap.
 */
#include "vmm/iomap.h"

#define RANGES_MAX 64

static struct space {
	u32 count;
	struct io_range range[RANGES_MAX]; /* by base */
} spaces[IO_SPACES];

/* Found last in each space; never NULL: nobody is an empty range. */
static const struct io_range nobody = {.name = "nobody"};
static const struct io_range *last[IO_SPACES] = {&nobody, &nobody};

static u64 space_end(enum io_space space) /* the last address */
{
	return space == IO_PORT ? 0xffff : ~0ull;
}

bool iomap_add(enum io_space space, const struct io_range *range)
{
	struct space *s = &spaces[space];
	u64 end = range->base + range->len - 1;
	u32 at = 0;

	if (!range->len || end < range->base || end > space_end(space) || s->count == RANGES_MAX)
		return false;
	while (at < s->count && s->range[at].base <= end)
		at++;
	/* range[at] begins behind the new one; range[at - 1] must end before it */
	if (at && s->range[at - 1].base + s->range[at - 1].len - 1 >= range->base)
		return false;
	memmove(&s->range[at + 1], &s->range[at], (s->count - at) * sizeof(s->range[0]));
	s->range[at] = *range;
	s->count++;
	last[space] = &nobody; /* it may have moved */
	return true;
}

const struct io_range *iomap_find(enum io_space space, u64 addr)
{
	struct space *s = &spaces[space];
	u32 from = 0, to = s->count;

	while (from < to) {
		u32 mid = (from + to) / 2;
		const struct io_range *r = &s->range[mid];

		if (addr < r->base) {
			to = mid;
		} else if (addr - r->base >= r->len) {
			from = mid + 1;
		} else {
			last[space] = r;
			return r;
		}
	}
	return NULL;
}

/* The range that holds all of [addr, addr + size), or NULL. */
static inline const struct io_range *range_of(enum io_space space, u64 addr, u32 size)
{
	const struct io_range *r = last[space];
	u64 off = addr - r->base;

	if (likely(off < r->len && size <= r->len - off))
		return r;
	r = iomap_find(space, addr);
	if (!r || size > r->len - (addr - r->base))
		return NULL;
	return r;
}

static u64 read_bytes(enum io_space space, u64 addr, u32 size)
{
	u64 value = 0;

	for (u32 i = 0; i < size; i++) {
		const struct io_range *r = iomap_find(space, addr + i);
		u64 byte = r && r->read ? r->read(r->dev, addr + i - r->base, 1) : 0xff;

		value |= (byte & 0xff) << (8 * i);
	}
	return value;
}

u64 iomap_read(enum io_space space, u64 addr, u32 size)
{
	const struct io_range *r = range_of(space, addr, size);

	if (unlikely(!r))
		return read_bytes(space, addr, size);
	if (unlikely(!r->read))
		return size_mask(size);
	return r->read(r->dev, addr - r->base, size) & size_mask(size);
}

void iomap_write(enum io_space space, u64 addr, u32 size, u64 value)
{
	const struct io_range *r = range_of(space, addr, size);

	value &= size_mask(size);
	if (likely(r)) {
		if (r->write)
			r->write(r->dev, addr - r->base, size, value);
		return;
	}
	for (u32 i = 0; i < size; i++) {
		r = iomap_find(space, addr + i);
		if (r && r->write)
			r->write(r->dev, addr + i - r->base, 1, (value >> (8 * i)) & 0xff);
	}
}

void iomap_clear(void)
{
	for (u32 i = 0; i < IO_SPACES; i++) {
		spaces[i].count = 0;
		last[i] = &nobody;
	}
}
