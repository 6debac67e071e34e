/*
 * Four-level page tables, built with 2 MiB leaves wherever both addresses and
 * the length allow it. Tables are reached by their physical address, which is
 * also their virtual one here.
 */
#include "boot/paging.h"

#define ENTRIES 512u

static u64 *table_of(u64 entry)
{
	return (u64 *)(uintptr_t)(entry & PTE_ADDR);
}

/* The table behind an entry; made if absent, and from a large leaf if it is one. */
static u64 *descend(struct paging *p, u64 *entry)
{
	u64 old = *entry;
	u64 *table;

	if ((old & PTE_PRESENT) && !(old & PTE_LARGE))
		return table_of(old);
	table = p->alloc();
	if (!table)
		return NULL;
	if (old & PTE_LARGE) {
		u64 pa = old & PTE_ADDR;

		for (u32 i = 0; i < ENTRIES; i++)
			table[i] =
				(pa + i * PAGE_SIZE) | (old & (PTE_NX | PTE_WRITE)) | PTE_PRESENT;
	}
	/* rights are decided by the leaves alone */
	*entry = (u64)(uintptr_t)table | PTE_PRESENT | PTE_WRITE;
	return table;
}

bool paging_map(struct paging *p, u64 va, u64 pa, u64 size, u64 rights)
{
	u64 leaf = PTE_PRESENT | (rights & (PTE_WRITE | PTE_NX));

	while (size > 0) {
		u64 *pdpt, *pd, *pt, *pde;

		pdpt = descend(p, &p->root[(va >> 39) % ENTRIES]);
		if (!pdpt)
			return false;
		pd = descend(p, &pdpt[(va >> 30) % ENTRIES]);
		if (!pd)
			return false;
		pde = &pd[(va >> 21) % ENTRIES];
		if ((va | pa) % CHUNK_SIZE == 0 && size >= CHUNK_SIZE &&
		    (*pde == 0 || (*pde & PTE_LARGE))) {
			*pde = pa | leaf | PTE_LARGE;
			va += CHUNK_SIZE;
			pa += CHUNK_SIZE;
			size -= CHUNK_SIZE;
			continue;
		}
		pt = descend(p, pde);
		if (!pt)
			return false;
		pt[(va >> 12) % ENTRIES] = pa | leaf;
		va += PAGE_SIZE;
		pa += PAGE_SIZE;
		size -= PAGE_SIZE;
	}
	return true;
}
