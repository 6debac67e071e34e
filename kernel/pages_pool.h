/*
 * The page allocator's own records (kernel/pages.h): pages.c has whole chunks,
 * pages_split.c 4 KiB pages, pages_init.c what happens at boot. Included by
 * these alone.
 *
 * Each chunk has a 16-byte record; the records of all ranges form one table
 * without holes, and zones map addresses to it. A split chunk has a further
 * record (struct split) with its free map and each page's owner; these come
 * three to a kernel page. Everything is kept as physical address or index and
 * reached through virt_of(), so the direct window may move during boot.
 */
#ifndef KERNEL_PAGES_POOL_H
#define KERNEL_PAGES_POOL_H

#include "arch/frames.h"
#include "arch/panic.h"
#include "arch/spinlock.h"
#include "kernel/pages.h"

#define CHUNK_PAGES ((u32)(CHUNK_SIZE / PAGE_SIZE))
#define NONE 0xffffffffu
#define NOT_OWNED 0xffffu /* split.owner of a page that is free or being scrubbed */

enum chunk_state {
	CHUNK_DIRTY,
	CHUNK_FREE,
	CHUNK_BUSY, /* being scrubbed or split */
	CHUNK_GIVEN,
	CHUNK_USER,
	CHUNK_KERNEL,
	CHUNK_TABLE, /* filled by the chunk table */
	CHUNK_STATES
};

struct chunk {
	union {
		u64 next;    /* FREE, DIRTY: index of the next one or NONE */
		hpa_t split; /* USER, KERNEL: its struct split */
	};
	u16 owner; /* GIVEN */
	u8 state;
	u8 pad[5];
};
_Static_assert(sizeof(struct chunk) == 16, "8 MiB of table for 1 TiB");

struct split {
	u64 map[CHUNK_PAGES / 64]; /* 1: free */
	u16 owner[CHUNK_PAGES];
	u32 chunk;	  /* its index */
	u32 free;	  /* bits set in map */
	hpa_t next, prev; /* list of splits with free pages; 0: end */
	bool listed;
};

#define SPLITS_PER_PAGE ((u32)(PAGE_SIZE / sizeof(struct split)))
_Static_assert(PAGE_SIZE / sizeof(struct split) == 3, "one page describes 6 MiB");

struct zone {
	u64 first; /* chunk number: hpa / CHUNK_SIZE */
	u32 count;
	u32 index; /* of its first chunk in the table */
};

/*
 * All there is, guarded by `lock`. What is being scrubbed is on no list and
 * free for nobody, so the lock can be dropped meanwhile.
 */
struct page_pool {
	struct spinlock lock;
	const struct page_ops *ops;

	struct zone zones[PAGE_RANGES_MAX];
	u32 zone_count;
	hpa_t table; /* struct chunk[chunk_count] */
	u32 chunk_count;
	u32 list_head[2];	  /* by CHUNK_DIRTY, CHUNK_FREE */
	u32 counts[CHUNK_STATES]; /* chunks in each state */
	u32 scrubbing;		  /* chunks being scrubbed now */
	u64 total_bytes, lost_bytes, table_bytes;

	hpa_t partial_user, partial_kernel; /* splits with free pages */
	u64 kernel_free;		    /* free kernel pages */
	bool growing;			    /* a kernel chunk is on its way */
	hpa_t spare_splits;		    /* unused records, linked by .next */
	u32 spare_count;

	u32 owned[PAGE_OWNERS][PAGE_KINDS]; /* chunks or pages */
};
extern struct page_pool pool;

static inline struct chunk *pool_chunk_at(u32 i)
{
	return (struct chunk *)virt_of(pool.table) + i;
}

static inline struct split *pool_split_at(hpa_t at)
{
	return virt_of(at);
}

/* pages.c; under the lock, but for pool_check_owner */

/* A chunk's index by any address in it, or NONE; and its address. */
u32 pool_chunk_index(hpa_t at);
hpa_t pool_chunk_base(u32 i);
void pool_set_state(u32 i, enum chunk_state state);
/* Put a chunk on the list of the DIRTY or FREE ones. */
void pool_list_push(u32 i, enum chunk_state state);
/* A clean chunk in state BUSY, or NONE. May drop the lock. */
u32 pool_chunk_take(void);
/* A kernel bug, found under the lock. */
NORETURN void pool_bug(const char *what, hpa_t at, u16 owner);
void pool_check_owner(u16 owner);

/* pages_split.c; under the lock */

/* Turn the BUSY chunk i into a split whose pages [used, 512) are free. */
void pool_split_make(u32 i, enum chunk_state state, u32 used);
/* A zeroed kernel page becomes spare records of splits. */
void pool_spare_carve(hpa_t page);

#endif
