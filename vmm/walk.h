/*
 * The guest's page tables, walked in software: no paging, 32-bit with PSE,
 * PAE, 4-level (SDM Vol. 3 chapter 4, APM Vol. 2 chapter 5). Every entry is
 * read once; accessed and dirty bits are set as the processor would.
 */
#ifndef VMM_WALK_H
#define VMM_WALK_H

#include "kernel/abi.h"
#include "vmm/lib.h"

/* An access, and a page fault's error code: the same bits. */
#define PF_PRESENT 0x01u
#define PF_WRITE 0x02u
#define PF_USER 0x04u
#define PF_RSVD 0x08u
#define PF_FETCH 0x10u

enum walk_status {
	WALK_OK,
	WALK_FAULT,   /* #PF with .error */
	WALK_OUTSIDE, /* a page table is not in RAM (at .gpa) */
	WALK_BUSY,    /* entries change as we look: let the guest try again */
};

struct walk {
	gpa_t gpa;
	u32 error;
};

/*
 * access: PF_WRITE, PF_USER, PF_FETCH or 0. Uses cr0, cr3, cr4, efer and
 * RFLAGS.AC of *v. lin is taken as it is: canonical, or below 4 GiB.
 */
enum walk_status walk(const struct abi_vcpu *v, gva_t lin, u32 access, struct walk *out);

/* A finished walk that is kept: of one page, one kind of access, one mode. */
struct walk_hit {
	u64 page; /* linear */
	u64 cr0, cr3, cr4, efer;
	u64 access; /* with RFLAGS.AC */
	gpa_t gpa;  /* of the page */
	u8 *ram;    /* the page in guest RAM; NULL: it is not RAM */
	struct walk_entry {
		const u8 *at; /* in guest RAM */
		u64 value;
	} entry[4]; /* the tables' entries that it read */
};

/*
 * The kept walk for this access, if its table entries still hold what they held
 * then; else NULL: use walk(). For 64-bit paging (EFER.LMA) only.
 */
const struct walk_hit *walk_cached(const struct abi_vcpu *v, gva_t lin, u32 access);

void walk_forget(void); /* for tests: empties the cache */

#endif
