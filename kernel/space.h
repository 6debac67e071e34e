/*
 * A VM's memory: guest RAM as extents (the master list), and the two page
 * tables that are caches of it: the monitor's address space (kernel/abi.h)
 * and the nested one. Built and torn down by the VM's job on CPU 0 while no
 * vCPU runs; read-only in between.
 */
#ifndef KERNEL_SPACE_H
#define KERNEL_SPACE_H

#include "arch/mmu.h"
#include "arch/types.h"

/* Physically and guest-physically contiguous RAM. */
struct extent {
	gpa_t gpa;
	hpa_t hpa;
	u64 size; /* a multiple of CHUNK_SIZE */
};
#define SPACE_UPAGES 512

struct space {
	struct mmu user;	/* the monitor's; its CR3 while a vCPU runs */
	struct mmu nested;	/* NPT or EPT */
	struct extent *extents; /* room for one per chunk: memory may be in pieces */
	u32 extent_pages, extent_count;
	hpa_t *upages; /* one page: the monitor's own 4 KiB pages */
	u32 upage_count;
	u16 owner;
};

/* Empty tables, kernel half in place, room for ram bytes of guest RAM (at most
 * SPACE_RAM_MAX); ERR_NOMEM. */
enum err space_create(struct space *s, u16 owner, u64 ram) MUST_CHECK;
#define SPACE_RAM_MAX GIB(170) /* its extents fit one chunk */
/* One more chunk of guest RAM at gpa, mapped on both sides; ERR_NOMEM. */
enum err space_add_ram(struct space *s, gpa_t gpa) MUST_CHECK;
/* Fresh, zeroed pages of the monitor's own; prot as in mmu_map (USER implied). */
enum err space_add_user(struct space *s, u64 va, u64 size, u32 prot) MUST_CHECK;
/* Map memory that stays somebody else's (images, shared pages). */
enum err space_map_user(struct space *s, u64 va, hpa_t hpa, u64 size, u32 prot) MUST_CHECK;
/* Copy into pages from space_add_user. */
void space_copy_in(struct space *s, u64 va, const void *src, u64 size);
/* Give back up to one chunk; false: all is gone, tables included. No CPU may
 * hold its CR3 or its nested tables any more. */
bool space_release_step(struct space *s);

bool space_is_ram(const struct space *s, gpa_t gpa);

#endif
