/*
 * The one page-table walker: four levels of 512 entries, driven by a table of
 * the format's bits (host: APM Vol. 2 5.3, NPT: 15.25, EPT: SDM Vol. 3C 28.3).
 * A struct mmu is guarded by its owner's lock; the hardware may walk at any
 * time, so every change is one 64-bit store. Nothing here flushes a TLB.
 */
#ifndef ARCH_MMU_H
#define ARCH_MMU_H

#include "arch/types.h"

enum mmu_prot {
	MMU_R = 1,
	MMU_W = 2,
	MMU_X = 4,
	MMU_USER = 8,
	MMU_UC = 16,	 /* uncached: device registers */
	MMU_GLOBAL = 32, /* survives CR3 loads */
};

struct mmu_fmt;
extern const struct mmu_fmt mmu_host, mmu_npt, mmu_ept;

struct mmu {
	hpa_t root;
	const struct mmu_fmt *fmt;
	u16 owner;  /* whom table pages are charged to */
	bool gib;   /* 1 GiB leaves may be used */
	bool small; /* 4 KiB leaves only */
	bool keep;  /* emptied tables stay: others have copies of the root */
};

/* An empty address space. ERR_NOMEM. */
enum err mmu_init(struct mmu *m, const struct mmu_fmt *fmt, u16 owner) MUST_CHECK;

/*
 * Maps [va, va + size) to pa onwards, with the largest leaves that alignment
 * and m allow; all in units of 4 KiB. ERR_EXIST if any of it is mapped, ERR_NOMEM,
 * ERR_INVAL; then nothing has changed.
 */
enum err mmu_map(struct mmu *m, u64 va, hpa_t pa, u64 size, u32 prot) MUST_CHECK;

/* Unmaps what is mapped in the range and frees tables that this empties, but
 * not the root. A large leaf must lie in the range wholly (else panic). The
 * caller flushes before it reuses the frames, and before anything allocates
 * the freed tables on behalf of another owner. */
void mmu_unmap(struct mmu *m, u64 va, u64 size);

/* Any of the results may be NULL. pa is of va itself, not of the leaf's start. */
bool mmu_walk(const struct mmu *m, u64 va, hpa_t *pa, u32 *prot, u64 *leaf_size);

/* Frees all tables that translate only addresses in [from, to); leaves are forgotten,
 * their frames are the caller's. from and to are multiples of 512 GiB; to = 0: the end. */
void mmu_destroy(struct mmu *m, u64 from, u64 to);
/* Frees the root after that. */
void mmu_fini(struct mmu *m);

#endif
