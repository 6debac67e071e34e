/*
 * The kernel's half of every address space (arch/layout.h): image W^X, direct
 * window of the frames that the kernel owns, device registers, stacks with
 * guard pages, per-CPU scratch slots. Everything below PML4 entries 256..511
 * exists once and is shared; which of these entries are used is fixed by
 * kspace_init(), so that copies of them never go stale. Changed by the BSP
 * during init; later kdirect_map_chunk() (the page allocator's lock) and
 * kmap_mmio() (own lock) only add.
 */
#ifndef ARCH_KMAP_H
#define ARCH_KMAP_H

#include "arch/types.h"

struct kspace_range {
	hpa_t base;
	u64 size;
};

struct kspace_params {
	hpa_t kernel_phys; /* of KERNEL_BASE */
	u64 kernel_size;   /* bytes from KERNEL_BASE to the end of .bss */
	/* memory that kdirect_map_chunk() may be called for */
	const struct kspace_range *ram;
	u32 ram_count;
	/* kspace_early_size() bytes, chunk-aligned, never used otherwise; 0 if that is 0 */
	hpa_t early_base;
};

/* How much memory kspace_init() needs beyond its static pool: a multiple of
 * CHUNK_SIZE, 0 on machines with less than some 8 GiB. */
u64 kspace_early_size(const struct kspace_range *ram, u32 count);

/* On the loader's tables: builds the kernel's half, takes over the loader's
 * lower half (the identity map) and switches CR3. kdirect_base holds afterwards. */
void kspace_init(const struct kspace_params *p);
/* Where something of the kernel's image (.text to .bss) lies physically. */
hpa_t kimage_hpa(const void *va);
/* The lower half of the kernel's own space becomes empty. */
void kspace_drop_identity(void);
/* PML4 of the kernel's own space, which idle CPUs run on. */
hpa_t kspace_root(void);
/* Copies entries 256..511 into a new space's PML4. */
void kspace_fill(hpa_t pml4);

/* One entry of the kernel's PML4, for tables that share it. */
u64 kspace_pml4_entry(u32 index);
/* Physical address of something in the kernel's image (.data, .bss). */
hpa_t kimage_hpa(const void *va);

/* Makes a 2 MiB chunk that the kernel owns readable at virt_of(). Cannot fail.
 * Of a chunk that the kernel's image lies in, only the rest is mapped. */
void kdirect_map_chunk(hpa_t chunk);

/* Maps device registers (cached false: uncached) or firmware tables (cached true, read-only)
 * for good. NULL when memory or window is used up. */
void *kmap_mmio(hpa_t pa, u64 size, bool cached);
/* The same for kernel-written ordinary memory outside the pool (AP trampoline). */
void *kmap_ram(hpa_t pa, u64 size);

/* This CPU's 2 MiB window onto any frame; the chunk around pa is mapped, the
 * result is pa itself. Interrupts off, valid until the next call on this CPU. */
void *scratch_map(hpa_t pa);
/* Closes it. */
void scratch_unmap(void);

/* A stack block of KSTACK_SIZE alignment with `pages` mapped from its base,
 * guard space on both sides, this_cpu() set to cpu. Returns the top, 0: no memory. */
struct cpu;
u64 kstack_alloc(struct cpu *cpu, u32 pages);

#endif
