/*
 * The page allocator at boot: zones from the free ranges, the chunk table and
 * the first kernel pages in the first range that is large enough.
 */
#include "kernel/pages_pool.h"
#include "kernel/string.h"

/* Kernel pages that are left over at least once the tables are placed. */
#define KERNEL_FIRST 64u

/* Whole chunks of the ranges, touching ranges joined, into zones[]. */
static void zones_build(const struct mem_range *free, u32 n)
{
	for (u32 i = 0; i < n;) {
		hpa_t from = free[i].base, to = from + free[i].size;
		u64 first, end;

		for (i++; i < n && free[i].base == to; i++)
			to += free[i].size;
		pool.total_bytes += to - from;
		/* Chunk 0 stays out: real-mode memory, and address 0 means none. */
		first = MAX(ALIGN_UP(from, CHUNK_SIZE) / CHUNK_SIZE, 1ull);
		end = to / CHUNK_SIZE;
		if (first >= end) {
			pool.lost_bytes += to - from;
			continue;
		}
		pool.lost_bytes += to - from - (end - first) * CHUNK_SIZE;
		pool.zones[pool.zone_count++] =
			(struct zone){ first, (u32)(end - first), pool.chunk_count };
		pool.chunk_count += (u32)(end - first);
	}
}

void pages_init(const struct mem_range *free, u32 n, const struct page_ops *page_ops)
{
	u64 table_pages, need;
	const struct zone *z = pool.zones;
	u32 first, used;

	memset(&pool, 0, sizeof(pool));
	pool.lock = (struct spinlock)SPINLOCK_INIT;
	pool.ops = page_ops;
	pool.list_head[CHUNK_DIRTY] = pool.list_head[CHUNK_FREE] = NONE;

	if (n > PAGE_RANGES_MAX)
		panic("pages: %u memory ranges", n);
	zones_build(free, n);

	/* The table, one page of split records, and the first kernel pages. */
	table_pages = ALIGN_UP(pool.chunk_count * sizeof(struct chunk), PAGE_SIZE) / PAGE_SIZE;
	need = ALIGN_UP(table_pages + 1 + KERNEL_FIRST, CHUNK_PAGES) / CHUNK_PAGES;
	while (z < pool.zones + pool.zone_count && z->count < need)
		z++;
	if (z == pool.zones + pool.zone_count)
		panic("pages: no memory for the page tables of %llu MiB",
		      (unsigned long long)(pool.total_bytes >> 20));
	for (u64 c = 0; c < need; c++) {
		pool.ops->scrub((z->first + c) * CHUNK_SIZE, CHUNK_SIZE);
		pool.ops->map_kernel((z->first + c) * CHUNK_SIZE);
	}
	pool.table = z->first * CHUNK_SIZE;
	pool.table_bytes = (table_pages + 1) * PAGE_SIZE;

	/* All records are zero now: CHUNK_DIRTY. Low addresses are given out first. */
	_Static_assert(CHUNK_DIRTY == 0, "a scrubbed table is a dirty list");
	pool.counts[CHUNK_DIRTY] = pool.chunk_count;
	first = z->index;
	for (u32 i = pool.chunk_count; i-- > 0;)
		if (i < first || i >= first + need)
			pool_list_push(i, CHUNK_DIRTY);
	for (u32 i = first; i < first + need - 1; i++)
		pool_set_state(i, CHUNK_TABLE);
	pool_spare_carve(pool.table + table_pages * PAGE_SIZE);
	/* What the table leaves of its last chunk, if it reaches into that at all. */
	used = table_pages + 1 > (need - 1) * CHUNK_PAGES
		       ? (u32)(table_pages + 1 - (need - 1) * CHUNK_PAGES)
		       : 0;
	pool_split_make(first + (u32)need - 1, CHUNK_KERNEL, used);
	pool.owned[PAGE_OWNER_HV][PAGE_KERNEL] = (u32)table_pages + 1;
}
