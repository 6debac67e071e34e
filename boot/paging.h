/*
 * The page tables that the kernel starts on (Intel SDM Vol. 3A 4.5, AMD APM
 * Vol. 2 5.3: four levels, leaves of 2 MiB and 4 KiB). They live until main()
 * has built its own. Pure but for the page source; single-threaded.
 */
#ifndef BOOT_PAGING_H
#define BOOT_PAGING_H

#include "arch/types.h"

#define PTE_PRESENT BIT(0)
#define PTE_WRITE BIT(1)
#define PTE_LARGE BIT(7)
#define PTE_NX BIT(63)
#define PTE_ADDR 0x000ffffffffff000ull

struct paging {
	u64 *root;	      /* its address is what CR3 gets */
	void *(*alloc)(void); /* a zeroed page below the identity map, or NULL */
};

/*
 * Map [va, va + size) to pa, all page-aligned, with rights PTE_WRITE and
 * PTE_NX. What was mapped there is replaced; a large page is split where only
 * a part of it changes. False: no page for a table.
 */
bool paging_map(struct paging *p, u64 va, u64 pa, u64 size, u64 rights) MUST_CHECK;

#endif
