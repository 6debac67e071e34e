/*
 * Where page tables come from, and how ring 0 reaches a frame that it owns.
 * The upper side registers its allocator; before that, kmap.c's static pool
 * serves. kdirect_base is KDIRECT_BASE in the running kernel, and 0 on the
 * loader's identity map and in unit tests.
 */
#ifndef ARCH_FRAMES_H
#define ARCH_FRAMES_H

#include "arch/types.h"

struct frame_ops {
	void *(*alloc)(u16 owner); /* one zeroed 4 KiB page, or NULL */
	void (*free)(void *page, u16 owner);
};

void mmu_set_frames(const struct frame_ops *ops);
/* One page from the registered source; NULL: none left. */
void *mmu_frame_alloc(u16 owner);
void mmu_frame_free(void *page, u16 owner);

extern u64 kdirect_base;

static inline void *virt_of(hpa_t pa)
{
	return (void *)(pa + kdirect_base);
}

static inline hpa_t phys_of(const void *va)
{
	return (u64)va - kdirect_base;
}

#endif
