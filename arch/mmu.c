/*
 * Page tables of every format by one recursive walk per operation (APM Vol. 2
 * 5.3 and 15.25, SDM Vol. 3C 28.3). Level 3 is the PML4, level 0 holds 4 KiB
 * leaves. Depth is four, work is bounded by the range that the caller gives.
 */
#include "arch/mmu.h"
#include "arch/frames.h"
#include "arch/panic.h"

#define ENTRIES 512u
#define TOP_LEVEL 3
#define ADDR_MASK 0x000ffffffffff000ull
#define VA_LIMIT BIT(48) /* after the sign extension is cut off */

/* What an entry of one format looks like. */
struct mmu_fmt {
	u64 present; /* any of these set: the entry is in use */
	u64 read;    /* in every leaf */
	u64 write, user, global;
	u64 exec;    /* set when code may run... */
	u64 no_exec; /* ...or set when it may not */
	u64 large;   /* a leaf above level 0 */
	u64 table;   /* in every entry that points to a table */
	u64 leaf;    /* in every leaf: accessed and dirty, so that the CPU need not write */
	u64 cached, uncached; /* memory type of a leaf */
};

#define PTE_P BIT(0)
#define PTE_W BIT(1)
#define PTE_U BIT(2)
#define PTE_PWT BIT(3)
#define PTE_PCD BIT(4)
#define PTE_A BIT(5)
#define PTE_D BIT(6)
#define PTE_PS BIT(7)
#define PTE_G BIT(8)
#define PTE_NX BIT(63)

const struct mmu_fmt mmu_host = {
	.present = PTE_P,
	.read = PTE_P,
	.write = PTE_W,
	.user = PTE_U,
	.global = PTE_G,
	.no_exec = PTE_NX,
	.large = PTE_PS,
	.table = PTE_P | PTE_W | PTE_U | PTE_A, /* the leaves decide */
	.leaf = PTE_A | PTE_D,
	.uncached = PTE_PWT | PTE_PCD,
};

/* Nested walks are user accesses: every entry has U. */
const struct mmu_fmt mmu_npt = {
	.present = PTE_P,
	.read = PTE_P | PTE_U,
	.write = PTE_W,
	.no_exec = PTE_NX,
	.large = PTE_PS,
	.table = PTE_P | PTE_W | PTE_U | PTE_A,
	.leaf = PTE_A | PTE_D,
	.uncached = PTE_PWT | PTE_PCD,
};

const struct mmu_fmt mmu_ept = {
	.present = 7,
	.read = BIT(0),
	.write = BIT(1),
	.exec = BIT(2),
	.large = BIT(7),
	.table = 7,
	.leaf = BIT(8) | BIT(9),
	.cached =
		6ull << 3 | BIT(6), /* WB, whatever the guest's PAT says (SDM Vol. 3C, 29.3.7.2) */
};

static const struct frame_ops *frames;

void mmu_set_frames(const struct frame_ops *ops)
{
	frames = ops;
}

void *mmu_frame_alloc(u16 owner)
{
	return frames->alloc(owner);
}

void mmu_frame_free(void *page, u16 owner)
{
	frames->free(page, owner);
}

static u64 leaf_bits(const struct mmu_fmt *f, u32 prot)
{
	u64 e = f->read | f->leaf;

	e |= prot & MMU_W ? f->write : 0;
	e |= prot & MMU_X ? f->exec : f->no_exec;
	e |= prot & MMU_USER ? f->user : 0;
	e |= prot & MMU_GLOBAL ? f->global : 0;
	e |= prot & MMU_UC ? f->uncached : f->cached;
	return e;
}

static u32 leaf_prot(const struct mmu_fmt *f, u64 e)
{
	u32 prot = MMU_R;

	prot |= e & f->write ? MMU_W : 0;
	prot |= f->exec ? (e & f->exec ? MMU_X : 0) : (e & f->no_exec ? 0 : MMU_X);
	prot |= e & f->user ? MMU_USER : 0;
	prot |= e & f->global ? MMU_GLOBAL : 0;
	prot |= (e & (f->cached | f->uncached)) != f->cached ? MMU_UC : 0;
	return prot;
}

static u64 span(u32 level)
{
	return PAGE_SIZE << (9 * level);
}

static u32 index_of(u64 va, u32 level)
{
	return (u32)(va >> (12 + 9 * level)) % ENTRIES;
}

/* The end of the part of [va, end) that one entry of this level covers. */
static u64 part_end(u64 va, u64 end, u32 level)
{
	u64 next = ALIGN_DOWN(va, span(level)) + span(level);

	return next < end ? next : end;
}

static u64 *table_at(u64 entry)
{
	return virt_of(entry & ADDR_MASK);
}

static bool is_used(const struct mmu_fmt *f, u64 e)
{
	return (e & f->present) != 0;
}

static bool is_leaf(const struct mmu_fmt *f, u64 e, u32 level)
{
	return level == 0 || (e & f->large) != 0;
}

static bool is_empty(const u64 *table)
{
	for (u32 i = 0; i < ENTRIES; i++) {
		if (table[i])
			return false;
	}
	return true;
}

static void set_entry(u64 *e, u64 value)
{
	*(volatile u64 *)e = value;
}

/* Both ends canonical (or both cut to 48 bits), page-aligned, no wrap. */
static bool good_range(u64 va, u64 size)
{
	u64 low = va & (VA_LIMIT - 1);
	u64 high = va & ~(VA_LIMIT - 1);

	if ((va | size) % PAGE_SIZE || size == 0 || size > VA_LIMIT - low)
		return false;
	if (high)
		return high == ~(VA_LIMIT - 1) && low >= VA_LIMIT / 2;
	return true;
}

enum err mmu_init(struct mmu *m, const struct mmu_fmt *fmt, u16 owner)
{
	void *root = frames->alloc(owner);

	if (!root)
		return ERR_NOMEM;
	*m = (struct mmu){ .root = phys_of(root), .fmt = fmt, .owner = owner };
	return OK;
}

static bool any_mapped(const struct mmu *m, const u64 *table, u32 level, u64 va, u64 end)
{
	while (va < end) {
		u64 e = table[index_of(va, level)];
		u64 stop = part_end(va, end, level);

		if (is_used(m->fmt, e) &&
		    (is_leaf(m->fmt, e, level) || any_mapped(m, table_at(e), level - 1, va, stop)))
			return true;
		va = stop;
	}
	return false;
}

/* [va, end) is known to be free. On failure *done is where mapping stopped. */
static enum err map_level(struct mmu *m, u64 *table, u32 level, u64 va, u64 end, hpa_t pa, u64 bits,
			  u64 *done)
{
	u32 max_leaf = m->small ? 0 : m->gib ? 2 : 1;

	while (va < end) {
		u64 *e = &table[index_of(va, level)];
		u64 stop = part_end(va, end, level);

		if (level <= max_leaf && !is_used(m->fmt, *e) && stop - va == span(level) &&
		    pa % span(level) == 0) {
			set_entry(e, pa | bits | (level ? m->fmt->large : 0));
		} else {
			enum err err;

			if (!is_used(m->fmt, *e)) {
				void *page = frames->alloc(m->owner);

				if (!page) {
					*done = va;
					return ERR_NOMEM;
				}
				set_entry(e, phys_of(page) | m->fmt->table);
			}
			err = map_level(m, table_at(*e), level - 1, va, stop, pa, bits, done);
			if (err)
				return err;
		}
		pa += stop - va;
		va = stop;
	}
	return OK;
}

static void unmap_level(struct mmu *m, u64 *table, u32 level, u64 va, u64 end)
{
	while (va < end) {
		u64 *e = &table[index_of(va, level)];
		u64 stop = part_end(va, end, level);

		if (is_used(m->fmt, *e)) {
			if (is_leaf(m->fmt, *e, level)) {
				ASSERT(stop - va == span(level));
				set_entry(e, 0);
			} else {
				u64 *child = table_at(*e);

				unmap_level(m, child, level - 1, va, stop);
				if (!m->keep && is_empty(child)) {
					set_entry(e, 0);
					frames->free(child, m->owner);
				}
			}
		}
		va = stop;
	}
}

enum err mmu_map(struct mmu *m, u64 va, hpa_t pa, u64 size, u32 prot)
{
	u64 *root = virt_of(m->root);
	u64 from = va & (VA_LIMIT - 1);
	u64 done = from;
	enum err err;

	if (!good_range(va, size) || pa % PAGE_SIZE || !(prot & MMU_R) || pa > ADDR_MASK ||
	    size > ADDR_MASK + PAGE_SIZE - pa)
		return ERR_INVAL;
	if (any_mapped(m, root, TOP_LEVEL, from, from + size))
		return ERR_EXIST;
	err = map_level(m, root, TOP_LEVEL, from, from + size, pa, leaf_bits(m->fmt, prot), &done);
	if (err) {
		/* up to and with the page that failed: its upper tables may be new and empty */
		unmap_level(m, root, TOP_LEVEL, from, done + PAGE_SIZE);
	}
	return err;
}

void mmu_unmap(struct mmu *m, u64 va, u64 size)
{
	u64 from = va & (VA_LIMIT - 1);

	ASSERT(good_range(va, size));
	unmap_level(m, virt_of(m->root), TOP_LEVEL, from, from + size);
}

bool mmu_walk(const struct mmu *m, u64 va, hpa_t *pa, u32 *prot, u64 *leaf_size)
{
	const u64 *table = virt_of(m->root);

	for (u32 level = TOP_LEVEL;; level--) {
		u64 e = table[index_of(va, level)];

		if (!is_used(m->fmt, e))
			return false;
		if (is_leaf(m->fmt, e, level)) {
			u64 within = span(level) - 1;

			if (pa)
				*pa = (e & ADDR_MASK & ~within) | (va & within);
			if (prot)
				*prot = leaf_prot(m->fmt, e);
			if (leaf_size)
				*leaf_size = span(level);
			return true;
		}
		table = table_at(e);
	}
}

static void destroy_table(struct mmu *m, u64 entry, u32 level)
{
	u64 *table = table_at(entry);

	for (u32 i = 0; level > 0 && i < ENTRIES; i++) {
		if (is_used(m->fmt, table[i]) && !is_leaf(m->fmt, table[i], level))
			destroy_table(m, table[i], level - 1);
	}
	frames->free(table, m->owner);
}

void mmu_destroy(struct mmu *m, u64 from, u64 to)
{
	u64 *root = virt_of(m->root);
	u32 first = index_of(from, TOP_LEVEL);
	u32 last = to ? index_of(to - 1, TOP_LEVEL) : ENTRIES - 1;

	ASSERT((from | to) % span(TOP_LEVEL) == 0);
	for (u32 i = first; i <= last; i++) {
		u64 e = root[i];

		set_entry(&root[i], 0);
		if (is_used(m->fmt, e))
			destroy_table(m, e, TOP_LEVEL - 1);
	}
}

void mmu_fini(struct mmu *m)
{
	frames->free(virt_of(m->root), m->owner);
	m->root = 0;
}
