/*
 * Builds and keeps the kernel's half of the address space (arch/layout.h).
 * Until the page allocator runs, tables come from a small static pool; the
 * direct window's tables for all RAM are made at once, so that mapping a chunk
 * there never allocates. The CPU's own tables: APM Vol. 2, 5.3.
 */
#include "arch/kmap.h"
#include "arch/cpu.h"
#include "arch/frames.h"
#include "arch/layout.h"
#include "arch/mmu.h"
#include "arch/panic.h"
#include "arch/spinlock.h"
#include "arch/x86.h"

#define POOL_PAGES 28
#define POOL_FOR_RAM 8 /* of these, for the direct window: 1 GiB each */
#define PML4_KERNEL 256
#define PML4_SPAN GIB(512)
#define REMEMBERED 64

#define PTE_P BIT(0)
#define PTE_W BIT(1)
#define PTE_A BIT(5)
#define PTE_D BIT(6)
#define PTE_PS BIT(7)
#define PTE_G BIT(8)
#define PTE_NX BIT(63)
#define PTE_ADDR 0x000ffffffffff000ull
#define PTE_TABLE (PTE_P | PTE_W | PTE_A)
#define PTE_RW (PTE_P | PTE_W | PTE_A | PTE_D | PTE_G | PTE_NX)

extern u8 __kernel_start[], __kernel_end[], __text_start[], __text_end[], __rodata_start[],
	__rodata_end[], __data_start[], __data_end[];

u64 kdirect_base; /* 0: on the loader's identity map */

static u8 pool[POOL_PAGES][PAGE_SIZE] ALIGNED(PAGE_SIZE);
static u32 pool_used;
static hpa_t early_base; /* instead of the pool, for large machines */
static u64 early_left;

static struct mmu kspace;
static hpa_t image_phys;
static u64 image_size;

/* guards the window's end and the table below */
static struct spinlock mmio_lock;
static u64 mmio_next = KMMIO_BASE;
static struct {
	hpa_t pa;
	u64 size, va;
	u32 prot;
} remembered[REMEMBERED];
static u32 remembered_count;

static u64 stack_next = KSTACK_BASE;

hpa_t kimage_hpa(const void *va)
{
	return (u64)va - KERNEL_BASE + image_phys;
}

static void zero_page(void *page)
{
	u64 *p = page;

	for (u32 i = 0; i < PAGE_SIZE / 8; i++)
		p[i] = 0;
}

/* A table page for the kernel's half, reached at virt_of(). */
static void *pool_alloc(u16 owner)
{
	void *page;

	(void)owner;
	if (pool_used < POOL_PAGES) {
		page = virt_of(kimage_hpa(pool[pool_used++]));
	} else if (early_left) {
		early_left -= PAGE_SIZE;
		page = virt_of(early_base + early_left);
	} else {
		return NULL;
	}
	zero_page(page);
	return page;
}

static void pool_free(void *page, u16 owner)
{
	(void)page;
	(void)owner; /* the kernel's half only grows */
}

static const struct frame_ops pool_ops = { pool_alloc, pool_free };

/* How many GiB-sized pieces of the direct window the ranges touch. */
static u64 count_gib(const struct kspace_range *ram, u32 count)
{
	u64 n = 0, next = 0; /* pieces below next are counted */

	for (u32 i = 0; i < count; i++) {
		u64 first = MAX(ram[i].base / GIB(1), next);
		u64 end = ALIGN_UP(ram[i].base + ram[i].size, GIB(1)) / GIB(1);

		if (end > first) {
			n += end - first;
			next = end;
		}
	}
	return n;
}

u64 kspace_early_size(const struct kspace_range *ram, u32 count)
{
	u64 gib = count_gib(ram, count);

	if (gib <= POOL_FOR_RAM)
		return 0;
	/* with their PDPTs, of which there is one per 512 GiB at most per range */
	return ALIGN_UP((gib + gib / 512 + count + 8) * PAGE_SIZE, CHUNK_SIZE);
}

/* The table below entry `index`, made when it is absent. */
static u64 *table_below(u64 *table, u32 index)
{
	if (!(table[index] & PTE_P)) {
		void *page = pool_alloc(0);

		if (!page)
			panic("no page for the kernel's own page tables");
		WRITE_ONCE(table[index], phys_of(page) | PTE_TABLE);
	}
	return virt_of(table[index] & PTE_ADDR);
}

static u64 *direct_pd(u64 va)
{
	u64 *pml4 = virt_of(kspace.root);
	u64 *pdpt = table_below(pml4, (u32)(va >> 39) % 512);

	return table_below(pdpt, (u32)(va >> 30) % 512);
}

/* Pages [pa, pa + size) of one chunk, by 4 KiB leaves, unless they are mapped. */
static void direct_map_pages(hpa_t pa, u64 size)
{
	for (hpa_t end = pa + size; pa < end; pa += PAGE_SIZE) {
		u64 va = KDIRECT_BASE + pa;
		u64 *pt = table_below(direct_pd(va), (u32)(va >> 21) % 512);

		WRITE_ONCE(pt[va >> 12 & 511], pa | PTE_RW);
	}
}

void kdirect_map_chunk(hpa_t chunk)
{
	u64 va = KDIRECT_BASE + chunk;
	u64 *entry;

	ASSERT(chunk % CHUNK_SIZE == 0 && chunk < KDIRECT_SIZE);
	if (chunk < image_phys + image_size && chunk + CHUNK_SIZE > image_phys) {
		/* the image has its own mapping, with its own rights */
		if (chunk < image_phys)
			direct_map_pages(chunk, image_phys - chunk);
		if (chunk + CHUNK_SIZE > image_phys + image_size)
			direct_map_pages(image_phys + image_size,
					 chunk + CHUNK_SIZE - image_phys - image_size);
		return;
	}
	entry = &direct_pd(va)[va >> 21 & 511];
	ASSERT(*entry == 0 || (*entry & PTE_PS));
	WRITE_ONCE(*entry, chunk | PTE_RW | PTE_PS);
}

static void must(enum err err, const char *what)
{
	if (err)
		panic("cannot map %s: error %d", what, err);
}

static void map_image(const u8 *from, const u8 *to, u32 prot)
{
	u64 size = ALIGN_UP((u64)(to - from), PAGE_SIZE);

	if (size)
		must(mmu_map(&kspace, (u64)from, kimage_hpa(from), size, prot | MMU_GLOBAL),
		     "the kernel's image");
}

void kspace_init(const struct kspace_params *p)
{
	u64 *pml4;
	const u64 *loader = (const u64 *)(read_cr3() & PTE_ADDR);

	image_phys = p->kernel_phys;
	image_size =
		ALIGN_UP(MAX(p->kernel_size, (u64)__kernel_end - (u64)__kernel_start), PAGE_SIZE);
	early_base = p->early_base;
	early_left = p->early_base ? kspace_early_size(p->ram, p->ram_count) : 0;
	mmu_set_frames(&pool_ops);
	must(mmu_init(&kspace, &mmu_host, 0), "a PML4");
	kspace.keep = true;
	pml4 = virt_of(kspace.root);

	map_image(__text_start, __text_end, MMU_R | MMU_X);
	map_image(__rodata_start, __rodata_end, MMU_R);
	map_image(__data_start, __data_end, MMU_R | MMU_W);

	/* the upper two levels of every window, so that copies of the PML4 stay right */
	table_below(table_below(pml4, KMMIO_BASE >> 39 & 511), 0);
	table_below(table_below(pml4, KSTACK_BASE >> 39 & 511), 0);
	table_below(table_below(pml4, KSCRATCH_BASE >> 39 & 511), 0);
	_Static_assert(MAX_CPUS * CHUNK_SIZE <= GIB(1), "scratch slots: one page directory");
	for (u32 i = 0; i < p->ram_count; i++) {
		hpa_t end = p->ram[i].base + p->ram[i].size;

		if (end > KDIRECT_SIZE)
			panic("memory at %#llx is beyond the direct window",
			      (unsigned long long)end);
		for (hpa_t a = ALIGN_DOWN(p->ram[i].base, GIB(1)); a < end; a += GIB(1))
			direct_pd(KDIRECT_BASE + a);
	}
	/* the tables themselves must be reachable at virt_of() */
	for (hpa_t a = early_base, end = a + early_left; a < ALIGN_UP(end, CHUNK_SIZE);
	     a += CHUNK_SIZE)
		kdirect_map_chunk(a);
	direct_map_pages(kimage_hpa(pool), sizeof(pool));
	/* and kdirect_map_chunk() must not need any more of them */
	for (hpa_t a = ALIGN_DOWN(image_phys, CHUNK_SIZE); a < image_phys + image_size;
	     a += CHUNK_SIZE)
		table_below(direct_pd(KDIRECT_BASE + a), (u32)(a >> 21) % 512);

	for (u32 i = 0; i < PML4_KERNEL; i++)
		pml4[i] = loader[i];
	write_cr3(kspace.root);
	kdirect_base = KDIRECT_BASE;
}

void kspace_drop_identity(void)
{
	u64 *pml4 = virt_of(kspace.root);

	for (u32 i = 0; i < PML4_KERNEL; i++)
		WRITE_ONCE(pml4[i], 0);
	write_cr3(kspace.root);
}

hpa_t kspace_root(void)
{
	return kspace.root;
}

u64 kspace_pml4_entry(u32 index)
{
	const u64 *pml4 = virt_of(kspace.root);

	return pml4[index];
}

void kspace_fill(hpa_t pml4)
{
	const u64 *from = virt_of(kspace.root);
	u64 *to = virt_of(pml4);

	for (u32 i = PML4_KERNEL; i < 512; i++)
		to[i] = from[i];
}

static void *map_window(hpa_t pa, u64 size, u32 prot)
{
	hpa_t first = ALIGN_DOWN(pa, PAGE_SIZE);
	u64 within = pa - first;
	u64 length = ALIGN_UP(within + size, PAGE_SIZE);
	u64 va = 0;

	if (!kdirect_base) /* still on the identity map */
		return (void *)pa;
	if (size == 0 || length < size || length > GIB(1) || first + length < first)
		return NULL;
	spin_lock(&mmio_lock);
	for (u32 i = 0; i < remembered_count && !va; i++) {
		if (remembered[i].prot == prot && first >= remembered[i].pa &&
		    first + length <= remembered[i].pa + remembered[i].size)
			va = remembered[i].va + (first - remembered[i].pa);
	}
	if (!va && mmio_next + length <= KMMIO_BASE + PML4_SPAN &&
	    mmu_map(&kspace, mmio_next, first, length, prot) == OK) {
		va = mmio_next;
		mmio_next += length;
		if (remembered_count < REMEMBERED) {
			remembered[remembered_count].pa = first;
			remembered[remembered_count].size = length;
			remembered[remembered_count].va = va;
			remembered[remembered_count].prot = prot;
			remembered_count++;
		}
	}
	spin_unlock(&mmio_lock);
	return va ? (void *)(va + within) : NULL;
}

void *kmap_mmio(hpa_t pa, u64 size, bool cached)
{
	return map_window(pa, size, MMU_R | MMU_GLOBAL | (cached ? 0u : (u32)MMU_W | (u32)MMU_UC));
}

void *kmap_ram(hpa_t pa, u64 size)
{
	return map_window(pa, size, MMU_R | MMU_W | MMU_GLOBAL);
}

/* The page-directory entry of this CPU's slot. */
static u64 *scratch_entry(u64 *va)
{
	u64 *pml4 = virt_of(kspace.root);
	u64 *pdpt = virt_of(pml4[KSCRATCH_BASE >> 39 & 511] & PTE_ADDR);
	u64 *pd = virt_of(pdpt[0] & PTE_ADDR);
	u32 index = this_cpu()->index;

	*va = KSCRATCH_BASE + index * CHUNK_SIZE;
	return &pd[index];
}

void *scratch_map(hpa_t pa)
{
	u64 va;
	u64 *entry = scratch_entry(&va);
	u64 value = ALIGN_DOWN(pa, CHUNK_SIZE) | (PTE_RW & ~PTE_G) | PTE_PS;

	if (*entry != value) {
		WRITE_ONCE(*entry, value);
		invlpg(va);
	}
	return (void *)(va + pa % CHUNK_SIZE);
}

void scratch_unmap(void)
{
	u64 va;
	u64 *entry = scratch_entry(&va);

	WRITE_ONCE(*entry, 0);
	invlpg(va);
}

u64 kstack_alloc(struct cpu *cpu, u32 pages)
{
	u64 base = stack_next;

	ASSERT(pages >= 1 && pages * PAGE_SIZE <= KSTACK_SIZE);
	stack_next += 2 * KSTACK_SIZE; /* as much guard space above, which is below the next */
	ASSERT(stack_next <= KSTACK_BASE + GIB(1));
	for (u32 i = 0; i < pages; i++) {
		void *page = mmu_frame_alloc(0);

		if (!page || mmu_map(&kspace, base + i * PAGE_SIZE, phys_of(page), PAGE_SIZE,
				     MMU_R | MMU_W | MMU_GLOBAL))
			return 0;
		if (i == 0)
			*(struct cpu **)page = cpu;
	}
	return base + pages * PAGE_SIZE;
}
