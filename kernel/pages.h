/*
 * Physical memory, by chunks of 2 MiB. A chunk is free (scrubbed), dirty
 * (waits for its scrub), given away whole (guest RAM), or split into 4 KiB
 * pages: user ones, never mapped in the kernel, or kernel ones, mapped in the
 * direct window. A page leaves the allocator only scrubbed, and the scrub
 * runs outside the lock. Every page has an owner, checked when it comes back:
 * a wrong owner, a wrong address or a double free is a kernel bug and panics.
 * A chunk once split for the kernel stays the kernel's: taking it out of the
 * direct window would need every CPU to forget it.
 * One spinlock inside guards all of it; any CPU may call, with IF=0.
 */
#ifndef KERNEL_PAGES_H
#define KERNEL_PAGES_H

#include "arch/types.h"

#define PAGE_OWNER_HV 0	    /* the hypervisor itself; 1.. are VM ids */
#define PAGE_OWNERS 1024    /* valid owners: 0 .. PAGE_OWNERS - 1 */
#define PAGE_RANGES_MAX 512 /* ranges that pages_init takes */

struct mem_range {
	hpa_t base;
	u64 size; /* bytes */
};

struct page_ops {
	/* Map a whole chunk at virt_of(chunk). Called without the lock, once per
	 * chunk. During pages_init it must not allocate; later it may call
	 * kpage_alloc(PAGE_OWNER_HV) for page tables (a few pages: a reserve). */
	void (*map_kernel)(hpa_t chunk);
	/* Zero [base, base + size), size PAGE_SIZE or CHUNK_SIZE. No lock held. */
	void (*scrub)(hpa_t base, u64 size);
};

/* What an owner holds, for pages_owned(). */
enum page_kind {
	PAGE_CHUNK,  /* whole 2 MiB chunks */
	PAGE_USER,   /* 4 KiB pages of chunk kind USER4K */
	PAGE_KERNEL, /* 4 KiB pages in the direct window */
	PAGE_KINDS
};

/* All in bytes; total = free + dirty + chunks + user + kernel + lost. */
struct page_stats {
	u64 total;    /* all memory given to pages_init */
	u64 free;     /* whole chunks, scrubbed */
	u64 dirty;    /* whole chunks that wait for their scrub, or are in it */
	u64 chunks;   /* whole chunks given away */
	u64 user;     /* chunks split into user pages, used or not */
	u64 kernel;   /* chunks split into kernel pages, used or not */
	u64 lost;     /* fragments smaller than a chunk */
	u64 reserved; /* this allocator's own tables (part of kernel) */
};

/* Take over `free`: n <= PAGE_RANGES_MAX ranges, sorted, without overlaps.
 * Panics when there is not even room for the tables. All chunks start dirty
 * but those of the kernel's own use. */
void pages_init(const struct mem_range *free, u32 n, const struct page_ops *ops);

/* A whole chunk, scrubbed, not mapped in the kernel. ERR_NOMEM. */
enum err chunk_alloc(u16 owner, hpa_t *out) MUST_CHECK;
void chunk_free(hpa_t chunk, u16 owner);

/* A 4 KiB page, scrubbed, not mapped in the kernel. ERR_NOMEM. */
enum err upage_alloc(u16 owner, hpa_t *out) MUST_CHECK;
void upage_free(hpa_t page, u16 owner);

/* A 4 KiB page, zeroed, in the direct window; NULL when out of memory. */
void *kpage_alloc(u16 owner) MUST_CHECK;
void kpage_free(void *page, u16 owner);

/* n pages (1..512), physically contiguous, zeroed; a power of two is aligned
 * to its size. NULL when out of memory. */
void *kpages_alloc(u32 n, u16 owner) MUST_CHECK;
void kpages_free(void *pages, u32 n, u16 owner);

/* Scrub one dirty chunk (at most 2 MiB of work); false: nothing to do. */
bool pages_scrub_step(void);

struct page_stats pages_stats(void);

/* Bytes that `owner` holds of `kind`. */
u64 pages_owned(u16 owner, enum page_kind kind);

/* Walk the chunks that must be mapped in the direct window: start with
 * *cursor = 0; false: no more. Used when the kernel's address space is built. */
bool pages_kernel_chunk(u32 *cursor, hpa_t *chunk);

#endif
