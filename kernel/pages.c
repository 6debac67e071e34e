/*
 * Physical memory by 2 MiB chunks, see pages.h and, for the records, pages_pool.h:
 * the lists of free and dirty ones, the scrub, and the statistics.
 */
#include "kernel/pages_pool.h"

struct page_pool pool;

/* The zone with the greatest key <= n; the caller checks its end. */
static const struct zone *zone_find(u64 n, bool by_index)
{
	u32 low = 0, high = pool.zone_count;

	while (high - low > 1) {
		u32 mid = (low + high) / 2;

		if ((by_index ? pool.zones[mid].index : pool.zones[mid].first) <= n)
			low = mid;
		else
			high = mid;
	}
	return &pool.zones[low];
}

u32 pool_chunk_index(hpa_t at)
{
	u64 n = at / CHUNK_SIZE;
	const struct zone *z = zone_find(n, false);

	if (!pool.zone_count || n < z->first || n - z->first >= z->count)
		return NONE;
	return z->index + (u32)(n - z->first);
}

hpa_t pool_chunk_base(u32 i)
{
	const struct zone *z = zone_find(i, true);

	return (z->first + (i - z->index)) * CHUNK_SIZE;
}

void pool_set_state(u32 i, enum chunk_state state)
{
	struct chunk *c = pool_chunk_at(i);

	pool.counts[c->state]--;
	pool.counts[state]++;
	c->state = state;
}

NORETURN void pool_bug(const char *what, hpa_t at, u16 owner)
{
	spin_unlock(&pool.lock);
	panic("pages: %s: page %llx, owner %u", what, (unsigned long long)at, owner);
}

void pool_check_owner(u16 owner)
{
	if (owner >= PAGE_OWNERS)
		panic("pages: owner %u out of range", owner);
}

/* ------------------------------------------------------- whole chunks */

void pool_list_push(u32 i, enum chunk_state state)
{
	pool_set_state(i, state);
	pool_chunk_at(i)->next = pool.list_head[state];
	pool.list_head[state] = i;
}

static u32 list_pop(enum chunk_state state)
{
	u32 i = pool.list_head[state];

	if (i == NONE)
		return NONE;
	pool.list_head[state] = (u32)pool_chunk_at(i)->next;
	pool_set_state(i, CHUNK_BUSY);
	return i;
}

/* Scrub a chunk that was taken off its list; drops the lock meanwhile. */
static void scrub_unlocked(u32 i)
{
	hpa_t base = pool_chunk_base(i);

	pool.scrubbing++;
	spin_unlock(&pool.lock);
	pool.ops->scrub(base, CHUNK_SIZE);
	spin_lock(&pool.lock);
	pool.scrubbing--;
}

u32 pool_chunk_take(void)
{
	for (;;) {
		u32 i = list_pop(CHUNK_FREE);

		if (i != NONE)
			return i;
		i = list_pop(CHUNK_DIRTY);
		if (i != NONE) {
			scrub_unlocked(i);
			return i;
		}
		if (!pool.scrubbing)
			return NONE;
		/* Somebody else's scrub may end in the free list: short of it there
		 * is no telling whether memory is out. */
		spin_unlock(&pool.lock);
		__builtin_ia32_pause();
		spin_lock(&pool.lock);
	}
}

enum err chunk_alloc(u16 owner, hpa_t *out)
{
	u32 i;

	pool_check_owner(owner);
	spin_lock(&pool.lock);
	i = pool_chunk_take();
	if (i != NONE) {
		pool_set_state(i, CHUNK_GIVEN);
		pool_chunk_at(i)->owner = owner;
		pool.owned[owner][PAGE_CHUNK]++;
		*out = pool_chunk_base(i);
	}
	spin_unlock(&pool.lock);
	return i == NONE ? ERR_NOMEM : OK;
}

void chunk_free(hpa_t chunk, u16 owner)
{
	u32 i;

	pool_check_owner(owner);
	spin_lock(&pool.lock);
	i = pool_chunk_index(chunk);
	if (chunk % CHUNK_SIZE || i == NONE || pool_chunk_at(i)->state != CHUNK_GIVEN)
		pool_bug("freed chunk was not given", chunk, owner);
	if (pool_chunk_at(i)->owner != owner)
		pool_bug("chunk freed by another owner", chunk, owner);
	pool.owned[owner][PAGE_CHUNK]--;
	pool_list_push(i, CHUNK_DIRTY);
	spin_unlock(&pool.lock);
}

bool pages_scrub_step(void)
{
	u32 i;

	spin_lock(&pool.lock);
	i = list_pop(CHUNK_DIRTY);
	if (i != NONE) {
		scrub_unlocked(i);
		pool_list_push(i, CHUNK_FREE);
	}
	spin_unlock(&pool.lock);
	return i != NONE;
}

/* --------------------------------------------------------- statistics */

struct page_stats pages_stats(void)
{
	struct page_stats s;

	spin_lock(&pool.lock);
	s.total = pool.total_bytes;
	s.free = pool.counts[CHUNK_FREE] * CHUNK_SIZE;
	s.dirty = (pool.counts[CHUNK_DIRTY] + pool.counts[CHUNK_BUSY]) * CHUNK_SIZE;
	s.chunks = pool.counts[CHUNK_GIVEN] * CHUNK_SIZE;
	s.user = pool.counts[CHUNK_USER] * CHUNK_SIZE;
	s.kernel = (pool.counts[CHUNK_KERNEL] + pool.counts[CHUNK_TABLE]) * CHUNK_SIZE;
	s.lost = pool.lost_bytes;
	s.reserved = pool.table_bytes;
	spin_unlock(&pool.lock);
	return s;
}

u64 pages_owned(u16 owner, enum page_kind kind)
{
	u64 n;

	pool_check_owner(owner);
	spin_lock(&pool.lock);
	n = pool.owned[owner][kind];
	spin_unlock(&pool.lock);
	return n * (kind == PAGE_CHUNK ? CHUNK_SIZE : PAGE_SIZE);
}

bool pages_kernel_chunk(u32 *cursor, hpa_t *chunk)
{
	bool found = false;

	spin_lock(&pool.lock);
	while (!found && *cursor < pool.chunk_count) {
		u32 i = (*cursor)++;

		found = pool_chunk_at(i)->state == CHUNK_KERNEL ||
			pool_chunk_at(i)->state == CHUNK_TABLE;
		if (found)
			*chunk = pool_chunk_base(i);
	}
	spin_unlock(&pool.lock);
	return found;
}
