/*
 * 4 KiB pages out of split chunks, see pages.h and pages_pool.h: user pages,
 * which the kernel never maps, and kernel pages, which need the direct window
 * to grow. Records of splits live in kernel pages themselves, so each growth
 * leaves one for the next.
 */
#include "kernel/pages_pool.h"
#include "kernel/string.h"

/* Kernel pages kept back for the mapping of the next kernel chunk itself. */
#define KERNEL_RESERVE 16u

/* ---------------------------------------------------- records of splits */

static void spare_push(hpa_t at)
{
	pool_split_at(at)->next = pool.spare_splits;
	pool.spare_splits = at;
	pool.spare_count++;
}

void pool_spare_carve(hpa_t page)
{
	for (u32 i = 0; i < SPLITS_PER_PAGE; i++)
		spare_push(page + i * sizeof(struct split));
}

static void partial_add(hpa_t *list, hpa_t at)
{
	struct split *s = pool_split_at(at);

	s->prev = 0;
	s->next = *list;
	if (s->next)
		pool_split_at(s->next)->prev = at;
	*list = at;
	s->listed = true;
}

static void partial_remove(hpa_t *list, hpa_t at)
{
	struct split *s = pool_split_at(at);

	if (s->prev)
		pool_split_at(s->prev)->next = s->next;
	else
		*list = s->next;
	if (s->next)
		pool_split_at(s->next)->prev = s->prev;
	s->listed = false;
}

void pool_split_make(u32 i, enum chunk_state state, u32 used)
{
	hpa_t at = pool.spare_splits;
	struct split *s = pool_split_at(at);

	if (!at)
		pool_bug("no split record", pool_chunk_base(i), PAGE_OWNER_HV);
	pool.spare_splits = s->next;
	pool.spare_count--;
	memset(s, 0, sizeof(*s));
	for (u32 p = 0; p < CHUNK_PAGES; p++)
		s->owner[p] = p < used ? PAGE_OWNER_HV : NOT_OWNED;
	for (u32 p = used; p < CHUNK_PAGES; p++)
		s->map[p / 64] |= BIT(p % 64);
	s->chunk = i;
	s->free = CHUNK_PAGES - used;
	pool_chunk_at(i)->split = at;
	pool_set_state(i, state);
	if (state == CHUNK_KERNEL)
		pool.kernel_free += s->free;
	if (s->free)
		partial_add(state == CHUNK_KERNEL ? &pool.partial_kernel : &pool.partial_user, at);
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
	for (hpa_t at = *list; at; at = pool_split_at(at)->next) {
		struct split *s = pool_split_at(at);
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
		pool.owned[owner][kind] += n;
		if (kind == PAGE_KERNEL)
			pool.kernel_free -= n;
		return pool_chunk_base(s->chunk) + first * PAGE_SIZE;
	}
	return 0;
}

/* Check that n pages at `at` belong to owner, and mark them as going away.
 * Returns the index of their chunk. */
static u32 pages_release(hpa_t at, u32 n, u16 owner, enum chunk_state state)
{
	u32 i = pool_chunk_index(at), first = (u32)(at % CHUNK_SIZE / PAGE_SIZE);
	struct split *s;

	if (at % PAGE_SIZE || i == NONE || pool_chunk_at(i)->state != state ||
	    n > CHUNK_PAGES - first)
		pool_bug("freed page is of another kind", at, owner);
	s = pool_split_at(pool_chunk_at(i)->split);
	for (u32 p = first; p < first + n; p++) {
		if (s->owner[p] == NOT_OWNED)
			pool_bug("page freed twice", at, owner);
		if (s->owner[p] != owner)
			pool_bug("page freed by another owner", at, owner);
	}
	for (u32 p = first; p < first + n; p++)
		s->owner[p] = NOT_OWNED;
	return i;
}

/* The released pages are scrubbed: free again. */
static void pages_give_back(u32 i, hpa_t at, u32 n, u16 owner, enum page_kind kind)
{
	hpa_t *list = kind == PAGE_KERNEL ? &pool.partial_kernel : &pool.partial_user;
	u32 first = (u32)(at % CHUNK_SIZE / PAGE_SIZE);
	hpa_t rec = pool_chunk_at(i)->split;
	struct split *s = pool_split_at(rec);

	for (u32 p = first; p < first + n; p++)
		s->map[p / 64] |= BIT(p % 64);
	s->free += n;
	pool.owned[owner][kind] -= n;
	if (kind == PAGE_KERNEL)
		pool.kernel_free += n;
	if (!s->listed)
		partial_add(list, rec);
}

/* ------------------------------------------------------- kernel pages */

/* Add a kernel chunk. Drops the lock; nobody else grows meanwhile. */
static bool kernel_grow(void)
{
	hpa_t base;
	u32 i;

	pool.growing = true;
	i = pool_chunk_take();
	if (i != NONE) {
		base = pool_chunk_base(i);
		spin_unlock(&pool.lock);
		pool.ops->map_kernel(base);
		spin_lock(&pool.lock);
		pool_split_make(i, CHUNK_KERNEL, 0);
		if (pool.spare_count < 2) /* never without one for the next growth */
			pool_spare_carve(
				pages_take(&pool.partial_kernel, 1, PAGE_OWNER_HV, PAGE_KERNEL));
	}
	pool.growing = false;
	return i != NONE;
}

/* n contiguous kernel pages under the lock, which may be dropped; 0: none. */
static hpa_t kernel_take(u32 n, u16 owner)
{
	for (;;) {
		/* While a chunk is being mapped, its page tables come out of the
		 * reserve: single pages of the hypervisor's own. */
		bool urgent = pool.growing && owner == PAGE_OWNER_HV && n == 1;
		hpa_t at = 0;

		if (urgent || pool.kernel_free >= n + KERNEL_RESERVE)
			at = pages_take(&pool.partial_kernel, n, owner, PAGE_KERNEL);
		if (at || urgent)
			return at;
		if (!pool.growing) {
			if (!kernel_grow())
				return 0;
			continue;
		}
		spin_unlock(&pool.lock);
		__builtin_ia32_pause();
		spin_lock(&pool.lock);
	}
}

void *kpages_alloc(u32 n, u16 owner)
{
	hpa_t at;

	pool_check_owner(owner);
	if (!n || n > CHUNK_PAGES)
		return NULL;
	spin_lock(&pool.lock);
	at = kernel_take(n, owner);
	spin_unlock(&pool.lock);
	return at ? virt_of(at) : NULL;
}

void kpages_free(void *pages, u32 n, u16 owner)
{
	hpa_t at = phys_of(pages);
	u32 i;

	pool_check_owner(owner);
	spin_lock(&pool.lock);
	i = pages_release(at, n, owner, CHUNK_KERNEL);
	spin_unlock(&pool.lock);
	memset(pages, 0, n * PAGE_SIZE);
	spin_lock(&pool.lock);
	pages_give_back(i, at, n, owner, PAGE_KERNEL);
	spin_unlock(&pool.lock);
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
	u32 i = pool_chunk_take();

	if (i == NONE)
		return false;
	while (pool.spare_count < 2) { /* the last record is for kernel_grow */
		hpa_t page = kernel_take(1, PAGE_OWNER_HV);

		if (!page) {
			pool_list_push(i, CHUNK_FREE);
			return false;
		}
		pool_spare_carve(page);
	}
	pool_split_make(i, CHUNK_USER, 0);
	return true;
}

enum err upage_alloc(u16 owner, hpa_t *out)
{
	hpa_t at;

	pool_check_owner(owner);
	spin_lock(&pool.lock);
	do
		at = pages_take(&pool.partial_user, 1, owner, PAGE_USER);
	while (!at && user_grow());
	spin_unlock(&pool.lock);
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

	pool_check_owner(owner);
	spin_lock(&pool.lock);
	i = pages_release(page, 1, owner, CHUNK_USER);
	spin_unlock(&pool.lock);
	pool.ops->scrub(page, PAGE_SIZE);
	spin_lock(&pool.lock);
	pages_give_back(i, page, 1, owner, PAGE_USER);
	rec = pool_chunk_at(i)->split;
	s = pool_split_at(rec);
	if (s->free == CHUNK_PAGES) {
		partial_remove(&pool.partial_user, rec);
		spare_push(rec);
		pool_list_push(i, CHUNK_DIRTY);
	}
	spin_unlock(&pool.lock);
}
