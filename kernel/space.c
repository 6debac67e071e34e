/*
 * A VM's two address spaces over one list of extents. See space.h for who may
 * call; nothing here flushes a TLB, because nothing is unmapped while a CPU
 * holds the tables.
 */
#include "kernel/space.h"

#include "arch/frames.h"
#include "arch/hv.h"
#include "arch/kmap.h"
#include "kernel/abi.h"
#include "kernel/pages.h"
#include "kernel/string.h"

_Static_assert(SPACE_RAM_MAX / CHUNK_SIZE * sizeof(struct extent) <= CHUNK_SIZE, "one chunk");
_Static_assert(SPACE_UPAGES * sizeof(hpa_t) <= PAGE_SIZE, "one page");

#define USER_END (1ull << 47)

enum err space_create(struct space *s, u16 owner, u64 ram)
{
	u64 list = ALIGN_UP(ram / CHUNK_SIZE * sizeof(struct extent), PAGE_SIZE);

	*s = (struct space){ .owner = owner };
	if (!ram || ram > SPACE_RAM_MAX)
		return ERR_NOMEM;
	s->extent_pages = (u32)(list / PAGE_SIZE);
	s->extents = kpages_alloc(s->extent_pages, owner);
	s->upages = kpage_alloc(owner);
	if (!s->extents || !s->upages)
		return ERR_NOMEM;
	if (mmu_init(&s->user, &mmu_host, owner) != OK ||
	    mmu_init(&s->nested, hv->nested, owner) != OK)
		return ERR_NOMEM;
	s->nested.small = hv->small_pages;
	kspace_fill(s->user.root);
	return OK;
}

static enum err map_ram(struct space *s, gpa_t gpa, hpa_t hpa)
{
	enum err e = mmu_map(&s->nested, gpa, hpa, CHUNK_SIZE, MMU_R | MMU_W | MMU_X | MMU_USER);

	if (e != OK)
		return e;
	return mmu_map(&s->user, ABI_GUEST_BASE + gpa, hpa, CHUNK_SIZE, MMU_R | MMU_W | MMU_USER);
}

enum err space_add_ram(struct space *s, gpa_t gpa)
{
	struct extent *last = s->extent_count ? &s->extents[s->extent_count - 1] : NULL;
	hpa_t hpa;

	if (chunk_alloc(s->owner, &hpa) != OK)
		return ERR_NOMEM;
	if (last && last->gpa + last->size == gpa && last->hpa + last->size == hpa) {
		last->size += CHUNK_SIZE;
	} else if (s->extent_count < s->extent_pages * PAGE_SIZE / sizeof(struct extent)) {
		s->extents[s->extent_count++] = (struct extent){ gpa, hpa, CHUNK_SIZE };
	} else {
		chunk_free(hpa, s->owner); /* more than was asked room for */
		return ERR_NOMEM;
	}
	/* from here on the extent list owns the chunk, mapped or not */
	return map_ram(s, gpa, hpa);
}

enum err space_add_user(struct space *s, u64 va, u64 size, u32 prot)
{
	for (u64 done = 0; done < size; done += PAGE_SIZE) {
		hpa_t page;

		if (s->upage_count == SPACE_UPAGES || upage_alloc(s->owner, &page) != OK)
			return ERR_NOMEM;
		s->upages[s->upage_count++] = page;
		if (mmu_map(&s->user, va + done, page, PAGE_SIZE, prot | MMU_USER) != OK)
			return ERR_NOMEM;
	}
	return OK;
}

enum err space_map_user(struct space *s, u64 va, hpa_t hpa, u64 size, u32 prot)
{
	return mmu_map(&s->user, va, hpa, ALIGN_UP(size, PAGE_SIZE), prot | MMU_USER);
}

void space_copy_in(struct space *s, u64 va, const void *src, u64 size)
{
	const u8 *from = src;

	while (size) {
		u64 n = MIN(size, PAGE_SIZE - va % PAGE_SIZE);
		hpa_t hpa;

		if (!mmu_walk(&s->user, va, &hpa, NULL, NULL))
			return;
		memcpy(scratch_map(hpa), from, n);
		scratch_unmap();
		va += n;
		from += n;
		size -= n;
	}
}

static void release_chunk(struct space *s)
{
	struct extent *last = &s->extents[s->extent_count - 1];

	last->size -= CHUNK_SIZE;
	if (s->nested.small) /* its table, too: mmu_destroy() would have thousands to free */
		mmu_unmap(&s->nested, last->gpa + last->size, CHUNK_SIZE);
	chunk_free(last->hpa + last->size, s->owner);
	if (!last->size)
		s->extent_count--;
}

bool space_release_step(struct space *s)
{
	if (s->extent_count) {
		release_chunk(s);
		return true;
	}
	while (s->upage_count)
		upage_free(s->upages[--s->upage_count], s->owner);
	if (s->user.root) {
		mmu_destroy(&s->user, 0, USER_END);
		mmu_fini(&s->user);
	}
	if (s->nested.root) {
		mmu_destroy(&s->nested, 0, 0);
		mmu_fini(&s->nested);
	}
	if (s->extents)
		kpages_free(s->extents, s->extent_pages, s->owner);
	if (s->upages)
		kpage_free(s->upages, s->owner);
	*s = (struct space){ .owner = s->owner };
	return false;
}

bool space_is_ram(const struct space *s, gpa_t gpa)
{
	for (u32 i = 0; i < s->extent_count; i++)
		if (gpa >= s->extents[i].gpa && gpa - s->extents[i].gpa < s->extents[i].size)
			return true;
	return false;
}
