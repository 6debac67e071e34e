/*
 * Physical memory by 2 MiB chunks and 4 KiB pages of split ones, see pages.h.
 * Each chunk has a 16-byte record; the records of all ranges form one table
 * without holes, and zones map addresses to it. A split chunk has a further
 * record (struct split) with its free map and each page's owner; these come
 * three to a kernel page. Everything is kept as physical address or index and
 * reached through virt_of(), so the direct window may move during boot.
 * Everything here is guarded by `lock`. What is being scrubbed is on no list
 * and free for nobody, so the lock can be dropped meanwhile.
 */
#include "kernel/pages.h"

#include "arch/frames.h"
#include "arch/panic.h"
#include "arch/spinlock.h"
#include "kernel/string.h"

#define CHUNK_PAGES ((u32)(CHUNK_SIZE / PAGE_SIZE))
#define NONE 0xffffffffu
#define NOT_OWNED 0xffffu /* split.owner of a page that is free or being scrubbed */

/* Kernel pages kept back for the mapping of the next kernel chunk itself. */
#define KERNEL_RESERVE 16u
/* Kernel pages that are left over at least once the tables are placed. */
#define KERNEL_FIRST 64u

enum chunk_state {
	CHUNK_DIRTY,
	CHUNK_FREE,
	CHUNK_BUSY, /* being scrubbed or split */
	CHUNK_GIVEN,
	CHUNK_USER,
	CHUNK_KERNEL,
	CHUNK_TABLE, /* filled by the chunk table */
	CHUNK_STATES
};

struct chunk {
	union {
		u64 next;    /* FREE, DIRTY: index of the next one or NONE */
		hpa_t split; /* USER, KERNEL: its struct split */
	};
	u16 owner; /* GIVEN */
	u8 state;
	u8 pad[5];
};
_Static_assert(sizeof(struct chunk) == 16, "8 MiB of table for 1 TiB");

struct split {
	u64 map[CHUNK_PAGES / 64]; /* 1: free */
	u16 owner[CHUNK_PAGES];
	u32 chunk;	  /* its index */
	u32 free;	  /* bits set in map */
	hpa_t next, prev; /* list of splits with free pages; 0: end */
	bool listed;
};

#define SPLITS_PER_PAGE ((u32)(PAGE_SIZE / sizeof(struct split)))
_Static_assert(PAGE_SIZE / sizeof(struct split) == 3, "one page describes 6 MiB");

struct zone {
	u64 first; /* chunk number: hpa / CHUNK_SIZE */
	u32 count;
	u32 index; /* of its first chunk in the table */
};

static struct spinlock lock = SPINLOCK_INIT;
static const struct page_ops *ops;

static struct zone zones[PAGE_RANGES_MAX];
static u32 zone_count;
static hpa_t table; /* struct chunk[chunk_count] */
static u32 chunk_count;
static u32 list_head[2];	 /* by CHUNK_DIRTY, CHUNK_FREE */
static u32 counts[CHUNK_STATES]; /* chunks in each state */
static u32 scrubbing;		 /* chunks being scrubbed now */
static u64 total_bytes, lost_bytes, table_bytes;

static hpa_t partial_user, partial_kernel; /* splits with free pages */
static u64 kernel_free;			   /* free kernel pages */
static bool growing;			   /* a kernel chunk is on its way */
static hpa_t spare_splits;		   /* unused records, linked by .next */
static u32 spare_count;

static u32 owned[PAGE_OWNERS][PAGE_KINDS]; /* chunks or pages */

/* ------------------------------------------------- addresses and records */

static struct chunk *chunk_at(u32 i)
{
	return (struct chunk *)virt_of(table) + i;
}

static struct split *split_at(hpa_t at)
{
	return virt_of(at);
}

/* The zone with the greatest key <= n; the caller checks its end. */
static const struct zone *zone_find(u64 n, bool by_index)
{
	u32 low = 0, high = zone_count;

	while (high - low > 1) {
		u32 mid = (low + high) / 2;

		if ((by_index ? zones[mid].index : zones[mid].first) <= n)
			low = mid;
		else
			high = mid;
	}
	return &zones[low];
}

static u32 chunk_index(hpa_t at)
{
	u64 n = at / CHUNK_SIZE;
	const struct zone *z = zone_find(n, false);

	if (!zone_count || n < z->first || n - z->first >= z->count)
		return NONE;
	return z->index + (u32)(n - z->first);
}

static hpa_t chunk_base(u32 i)
{
	const struct zone *z = zone_find(i, true);

	return (z->first + (i - z->index)) * CHUNK_SIZE;
}

static void set_state(u32 i, enum chunk_state state)
{
	struct chunk *c = chunk_at(i);

	counts[c->state]--;
	counts[state]++;
	c->state = state;
}

/* A kernel bug, found under the lock. */
static NORETURN void bug(const char *what, hpa_t at, u16 owner)
{
	spin_unlock(&lock);
	panic("pages: %s: page %llx, owner %u", what, (unsigned long long)at, owner);
}

static void check_owner(u16 owner)
{
	if (owner >= PAGE_OWNERS)
		panic("pages: owner %u out of range", owner);
}

/* ------------------------------------------------------- whole chunks */

static void list_push(u32 i, enum chunk_state state)
{
	set_state(i, state);
	chunk_at(i)->next = list_head[state];
	list_head[state] = i;
}

static u32 list_pop(enum chunk_state state)
{
	u32 i = list_head[state];

	if (i == NONE)
		return NONE;
	list_head[state] = (u32)chunk_at(i)->next;
	set_state(i, CHUNK_BUSY);
	return i;
}

/* Scrub a chunk that was taken off its list; drops the lock meanwhile. */
static void scrub_unlocked(u32 i)
{
	hpa_t base = chunk_base(i);

	scrubbing++;
	spin_unlock(&lock);
	ops->scrub(base, CHUNK_SIZE);
	spin_lock(&lock);
	scrubbing--;
}

/* A clean chunk in state BUSY, or NONE. May drop the lock. */
static u32 chunk_take(void)
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
		if (!scrubbing)
			return NONE;
		/* Somebody else's scrub may end in the free list: short of it there
		 * is no telling whether memory is out. */
		spin_unlock(&lock);
		__builtin_ia32_pause();
		spin_lock(&lock);
	}
}

enum err chunk_alloc(u16 owner, hpa_t *out)
{
	u32 i;

	check_owner(owner);
	spin_lock(&lock);
	i = chunk_take();
	if (i != NONE) {
		set_state(i, CHUNK_GIVEN);
		chunk_at(i)->owner = owner;
		owned[owner][PAGE_CHUNK]++;
		*out = chunk_base(i);
	}
	spin_unlock(&lock);
	return i == NONE ? ERR_NOMEM : OK;
}

void chunk_free(hpa_t chunk, u16 owner)
{
	u32 i;

	check_owner(owner);
	spin_lock(&lock);
	i = chunk_index(chunk);
	if (chunk % CHUNK_SIZE || i == NONE || chunk_at(i)->state != CHUNK_GIVEN)
		bug("freed chunk was not given", chunk, owner);
	if (chunk_at(i)->owner != owner)
		bug("chunk freed by another owner", chunk, owner);
	owned[owner][PAGE_CHUNK]--;
	list_push(i, CHUNK_DIRTY);
	spin_unlock(&lock);
}

bool pages_scrub_step(void)
{
	u32 i;

	spin_lock(&lock);
	i = list_pop(CHUNK_DIRTY);
	if (i != NONE) {
		scrub_unlocked(i);
		list_push(i, CHUNK_FREE);
	}
	spin_unlock(&lock);
	return i != NONE;
}

/* ---------------------------------------------------- records of splits */

static void spare_push(hpa_t at)
{
	split_at(at)->next = spare_splits;
	spare_splits = at;
	spare_count++;
}

static void spare_carve(hpa_t page)
{
	for (u32 i = 0; i < SPLITS_PER_PAGE; i++)
		spare_push(page + i * sizeof(struct split));
}

static void partial_add(hpa_t *list, hpa_t at)
{
	struct split *s = split_at(at);

	s->prev = 0;
	s->next = *list;
	if (s->next)
		split_at(s->next)->prev = at;
	*list = at;
	s->listed = true;
}

static void partial_remove(hpa_t *list, hpa_t at)
{
	struct split *s = split_at(at);

	if (s->prev)
		split_at(s->prev)->next = s->next;
	else
		*list = s->next;
	if (s->next)
		split_at(s->next)->prev = s->prev;
	s->listed = false;
}

/* Turn the BUSY chunk i into a split whose pages [used, 512) are free. */
static void split_make(u32 i, enum chunk_state state, u32 used)
{
	hpa_t at = spare_splits;
	struct split *s = split_at(at);

	if (!at)
		bug("no split record", chunk_base(i), PAGE_OWNER_HV);
	spare_splits = s->next;
	spare_count--;
	memset(s, 0, sizeof(*s));
	for (u32 p = 0; p < CHUNK_PAGES; p++)
		s->owner[p] = p < used ? PAGE_OWNER_HV : NOT_OWNED;
	for (u32 p = used; p < CHUNK_PAGES; p++)
		s->map[p / 64] |= BIT(p % 64);
	s->chunk = i;
	s->free = CHUNK_PAGES - used;
	chunk_at(i)->split = at;
	set_state(i, state);
	if (state == CHUNK_KERNEL)
		kernel_free += s->free;
	if (s->free)
		partial_add(state == CHUNK_KERNEL ? &partial_kernel : &partial_user, at);
}

/* ---------------------------------------------------- pages of a split */

static bool run_is_free(const struct split *s, u32 first, u32 n)
{
	for (u32 p = first; p < first + n; p++)
		if (!(s->map[p / 64] & BIT(p % 64)))
			return false;
	return true;
}

/* The first page of a free run of n, or NONE. */
static u32 run_find(const struct split *s, u32 n)
{
	u32 step = (n & (n - 1)) ? 1 : n; /* powers of two: naturally aligned */

	if (s->free < n)
		return NONE;
	if (n == 1) {
		for (u32 w = 0; w < ARRAY_SIZE(s->map); w++)
			if (s->map[w])
				return w * 64 + (u32)__builtin_ctzll(s->map[w]);
		return NONE;
	}
	for (u32 p = 0; p + n <= CHUNK_PAGES; p += step)
		if (run_is_free(s, p, n))
			return p;
	return NONE;
}

/* Take n contiguous free pages out of a list's splits; 0: none has them. */
static hpa_t pages_take(hpa_t *list, u32 n, u16 owner, enum page_kind kind)
{
	for (hpa_t at = *list; at; at = split_at(at)->next) {
		struct split *s = split_at(at);
		u32 first = run_find(s, n);

		if (first == NONE)
			continue;
		for (u32 p = first; p < first + n; p++) {
			s->map[p / 64] &= ~BIT(p % 64);
			s->owner[p] = owner;
		}
		s->free -= n;
		if (!s->free)
			partial_remove(list, at);
		owned[owner][kind] += n;
		if (kind == PAGE_KERNEL)
			kernel_free -= n;
		return chunk_base(s->chunk) + first * PAGE_SIZE;
	}
	return 0;
}

/* Check that n pages at `at` belong to owner, and mark them as going away.
 * Returns the index of their chunk. */
static u32 pages_release(hpa_t at, u32 n, u16 owner, enum chunk_state state)
{
	u32 i = chunk_index(at), first = (u32)(at % CHUNK_SIZE / PAGE_SIZE);
	struct split *s;

	if (at % PAGE_SIZE || i == NONE || chunk_at(i)->state != state || n > CHUNK_PAGES - first)
		bug("freed page is of another kind", at, owner);
	s = split_at(chunk_at(i)->split);
	for (u32 p = first; p < first + n; p++) {
		if (s->owner[p] == NOT_OWNED)
			bug("page freed twice", at, owner);
		if (s->owner[p] != owner)
			bug("page freed by another owner", at, owner);
	}
	for (u32 p = first; p < first + n; p++)
		s->owner[p] = NOT_OWNED;
	return i;
}

/* The released pages are scrubbed: free again. */
static void pages_give_back(u32 i, hpa_t at, u32 n, u16 owner, enum page_kind kind)
{
	hpa_t *list = kind == PAGE_KERNEL ? &partial_kernel : &partial_user;
	u32 first = (u32)(at % CHUNK_SIZE / PAGE_SIZE);
	hpa_t rec = chunk_at(i)->split;
	struct split *s = split_at(rec);

	for (u32 p = first; p < first + n; p++)
		s->map[p / 64] |= BIT(p % 64);
	s->free += n;
	owned[owner][kind] -= n;
	if (kind == PAGE_KERNEL)
		kernel_free += n;
	if (!s->listed)
		partial_add(list, rec);
}

/* ------------------------------------------------------- kernel pages */

/* Add a kernel chunk. Drops the lock; nobody else grows meanwhile. */
static bool kernel_grow(void)
{
	hpa_t base;
	u32 i;

	growing = true;
	i = chunk_take();
	if (i != NONE) {
		base = chunk_base(i);
		spin_unlock(&lock);
		ops->map_kernel(base);
		spin_lock(&lock);
		split_make(i, CHUNK_KERNEL, 0);
		if (spare_count < 2) /* never without one for the next growth */
			spare_carve(pages_take(&partial_kernel, 1, PAGE_OWNER_HV, PAGE_KERNEL));
	}
	growing = false;
	return i != NONE;
}

/* n contiguous kernel pages under the lock, which may be dropped; 0: none. */
static hpa_t kernel_take(u32 n, u16 owner)
{
	for (;;) {
		/* While a chunk is being mapped, its page tables come out of the
		 * reserve: single pages of the hypervisor's own. */
		bool urgent = growing && owner == PAGE_OWNER_HV && n == 1;
		hpa_t at = 0;

		if (urgent || kernel_free >= n + KERNEL_RESERVE)
			at = pages_take(&partial_kernel, n, owner, PAGE_KERNEL);
		if (at || urgent)
			return at;
		if (!growing) {
			if (!kernel_grow())
				return 0;
			continue;
		}
		spin_unlock(&lock);
		__builtin_ia32_pause();
		spin_lock(&lock);
	}
}

void *kpages_alloc(u32 n, u16 owner)
{
	hpa_t at;

	check_owner(owner);
	if (!n || n > CHUNK_PAGES)
		return NULL;
	spin_lock(&lock);
	at = kernel_take(n, owner);
	spin_unlock(&lock);
	return at ? virt_of(at) : NULL;
}

void kpages_free(void *pages, u32 n, u16 owner)
{
	hpa_t at = phys_of(pages);
	u32 i;

	check_owner(owner);
	spin_lock(&lock);
	i = pages_release(at, n, owner, CHUNK_KERNEL);
	spin_unlock(&lock);
	memset(pages, 0, n * PAGE_SIZE);
	spin_lock(&lock);
	pages_give_back(i, at, n, owner, PAGE_KERNEL);
	spin_unlock(&lock);
}

void *kpage_alloc(u16 owner)
{
	return kpages_alloc(1, owner);
}

void kpage_free(void *page, u16 owner)
{
	kpages_free(page, 1, owner);
}

/* --------------------------------------------------------- user pages */

/* Split one more chunk for user pages. May drop the lock. */
static bool user_grow(void)
{
	u32 i = chunk_take();

	if (i == NONE)
		return false;
	while (spare_count < 2) { /* the last record is for kernel_grow */
		hpa_t page = kernel_take(1, PAGE_OWNER_HV);

		if (!page) {
			list_push(i, CHUNK_FREE);
			return false;
		}
		spare_carve(page);
	}
	split_make(i, CHUNK_USER, 0);
	return true;
}

enum err upage_alloc(u16 owner, hpa_t *out)
{
	hpa_t at;

	check_owner(owner);
	spin_lock(&lock);
	do
		at = pages_take(&partial_user, 1, owner, PAGE_USER);
	while (!at && user_grow());
	spin_unlock(&lock);
	if (!at)
		return ERR_NOMEM;
	*out = at;
	return OK;
}

void upage_free(hpa_t page, u16 owner)
{
	struct split *s;
	hpa_t rec;
	u32 i;

	check_owner(owner);
	spin_lock(&lock);
	i = pages_release(page, 1, owner, CHUNK_USER);
	spin_unlock(&lock);
	ops->scrub(page, PAGE_SIZE);
	spin_lock(&lock);
	pages_give_back(i, page, 1, owner, PAGE_USER);
	rec = chunk_at(i)->split;
	s = split_at(rec);
	if (s->free == CHUNK_PAGES) {
		partial_remove(&partial_user, rec);
		spare_push(rec);
		list_push(i, CHUNK_DIRTY);
	}
	spin_unlock(&lock);
}

/* --------------------------------------------------------- statistics */

struct page_stats pages_stats(void)
{
	struct page_stats s;

	spin_lock(&lock);
	s.total = total_bytes;
	s.free = counts[CHUNK_FREE] * CHUNK_SIZE;
	s.dirty = (counts[CHUNK_DIRTY] + counts[CHUNK_BUSY]) * CHUNK_SIZE;
	s.chunks = counts[CHUNK_GIVEN] * CHUNK_SIZE;
	s.user = counts[CHUNK_USER] * CHUNK_SIZE;
	s.kernel = (counts[CHUNK_KERNEL] + counts[CHUNK_TABLE]) * CHUNK_SIZE;
	s.lost = lost_bytes;
	s.reserved = table_bytes;
	spin_unlock(&lock);
	return s;
}

u64 pages_owned(u16 owner, enum page_kind kind)
{
	u64 n;

	check_owner(owner);
	spin_lock(&lock);
	n = owned[owner][kind];
	spin_unlock(&lock);
	return n * (kind == PAGE_CHUNK ? CHUNK_SIZE : PAGE_SIZE);
}

bool pages_kernel_chunk(u32 *cursor, hpa_t *chunk)
{
	bool found = false;

	spin_lock(&lock);
	while (!found && *cursor < chunk_count) {
		u32 i = (*cursor)++;

		found = chunk_at(i)->state == CHUNK_KERNEL || chunk_at(i)->state == CHUNK_TABLE;
		if (found)
			*chunk = chunk_base(i);
	}
	spin_unlock(&lock);
	return found;
}

/* ---------------------------------------------------------------- boot */

/* Whole chunks of the ranges, touching ranges joined, into zones[]. */
static void zones_build(const struct mem_range *free, u32 n)
{
	for (u32 i = 0; i < n;) {
		hpa_t from = free[i].base, to = from + free[i].size;
		u64 first, end;

		for (i++; i < n && free[i].base == to; i++)
			to += free[i].size;
		total_bytes += to - from;
		/* Chunk 0 stays out: real-mode memory, and address 0 means none. */
		first = MAX(ALIGN_UP(from, CHUNK_SIZE) / CHUNK_SIZE, 1ull);
		end = to / CHUNK_SIZE;
		if (first >= end) {
			lost_bytes += to - from;
			continue;
		}
		lost_bytes += to - from - (end - first) * CHUNK_SIZE;
		zones[zone_count++] = (struct zone){ first, (u32)(end - first), chunk_count };
		chunk_count += (u32)(end - first);
	}
}

void pages_init(const struct mem_range *free, u32 n, const struct page_ops *page_ops)
{
	u64 table_pages, need;
	const struct zone *z = zones;
	u32 first, used;

	lock = (struct spinlock)SPINLOCK_INIT;
	ops = page_ops;
	zone_count = chunk_count = scrubbing = spare_count = 0;
	total_bytes = lost_bytes = table_bytes = kernel_free = 0;
	partial_user = partial_kernel = spare_splits = 0;
	growing = false;
	list_head[CHUNK_DIRTY] = list_head[CHUNK_FREE] = NONE;
	memset(counts, 0, sizeof(counts));
	memset(owned, 0, sizeof(owned));

	if (n > PAGE_RANGES_MAX)
		panic("pages: %u memory ranges", n);
	zones_build(free, n);

	/* The table, one page of split records, and the first kernel pages. */
	table_pages = ALIGN_UP(chunk_count * sizeof(struct chunk), PAGE_SIZE) / PAGE_SIZE;
	need = ALIGN_UP(table_pages + 1 + KERNEL_FIRST, CHUNK_PAGES) / CHUNK_PAGES;
	while (z < zones + zone_count && z->count < need)
		z++;
	if (z == zones + zone_count)
		panic("pages: no memory for the page tables of %llu MiB",
		      (unsigned long long)(total_bytes >> 20));
	for (u64 c = 0; c < need; c++) {
		ops->scrub((z->first + c) * CHUNK_SIZE, CHUNK_SIZE);
		ops->map_kernel((z->first + c) * CHUNK_SIZE);
	}
	table = z->first * CHUNK_SIZE;
	table_bytes = (table_pages + 1) * PAGE_SIZE;

	/* All records are zero now: CHUNK_DIRTY. Low addresses are given out first. */
	_Static_assert(CHUNK_DIRTY == 0, "a scrubbed table is a dirty list");
	counts[CHUNK_DIRTY] = chunk_count;
	first = z->index;
	for (u32 i = chunk_count; i-- > 0;)
		if (i < first || i >= first + need)
			list_push(i, CHUNK_DIRTY);
	for (u32 i = first; i < first + need - 1; i++)
		set_state(i, CHUNK_TABLE);
	spare_carve(table + table_pages * PAGE_SIZE);
	/* What the table leaves of its last chunk, if it reaches into that at all. */
	used = table_pages + 1 > (need - 1) * CHUNK_PAGES
		       ? (u32)(table_pages + 1 - (need - 1) * CHUNK_PAGES)
		       : 0;
	split_make(first + (u32)need - 1, CHUNK_KERNEL, used);
	owned[PAGE_OWNER_HV][PAGE_KERNEL] = (u32)table_pages + 1;
}
