/*
 * Kernel and monitor from the loader's own image to where they stay, the
 * kernel's page tables, and the jump. The lower half maps RAM and the first
 * 4 GiB 1:1, not executable but for two pages (the switch and the other CPUs'
 * trampoline); the kernel has the rights of its ELF segments.
 */
#include "boot/efi_loader.h"

#include "arch/layout.h"
#include "boot/efi_switch.h"
#include "boot/paging.h"
#include "kernel/string.h"

extern const u8 payload_kernel[], payload_kernel_end[];
extern const u8 payload_monitor[], payload_monitor_end[];
extern const u8 payload_symbols[], payload_symbols_end[];

#define IDENTITY_LOW GIB(4)
#define IDENTITY_END BIT(47)
#define TABLES_AT_ONCE 32u

struct elf_header {
	u8 ident[16];
	u16 type, machine;
	u32 version;
	u64 entry, phoff, shoff;
	u32 flags;
	u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf_segment {
	u32 type, flags;
	u64 offset, vaddr, paddr, filesz, memsz, align;
};

#define PT_LOAD 1u
#define PF_X 1u
#define PF_W 2u

static const struct elf_segment *segments;
static u32 segment_count;
static u64 kernel_entry;

static struct paging paging;
static u8 *switch_page, *switch_stack;

static void *copy_keep(const u8 *from, const u8 *end, u32 kind, u64 *size)
{
	void *to;

	*size = (u64)(end - from);
	to = pages_keep(*size, kind);
	if (to)
		memcpy(to, from, *size);
	return to;
}

static EFI_STATUS kernel_copy(void)
{
	const struct elf_header *elf = (const struct elf_header *)payload_kernel;
	struct boot_info *info = loader.info;
	u64 end = KERNEL_BASE;
	u8 *to;

	segments = (const struct elf_segment *)(payload_kernel + elf->phoff);
	segment_count = elf->phnum;
	kernel_entry = elf->entry;
	for (u32 i = 0; i < segment_count; i++) {
		if (segments[i].type == PT_LOAD)
			end = MAX(end, segments[i].vaddr + segments[i].memsz);
	}
	info->kernel_size = ALIGN_UP(end - KERNEL_BASE, PAGE_SIZE);
	to = pages_keep(info->kernel_size, BOOT_MEM_KERNEL);
	if (!to)
		return EFI_OUT_OF_RESOURCES;
	info->kernel_phys = (uintptr_t)to;
	for (u32 i = 0; i < segment_count; i++) {
		const struct elf_segment *s = &segments[i];

		if (s->type == PT_LOAD)
			memcpy(to + (s->vaddr - KERNEL_BASE), payload_kernel + s->offset,
			       s->filesz);
	}
	return EFI_SUCCESS;
}

EFI_STATUS kernel_load(void)
{
	struct boot_info *info = loader.info;
	EFI_STATUS status = kernel_copy();

	info->monitor_base = (uintptr_t)copy_keep(payload_monitor, payload_monitor_end,
						  BOOT_MEM_FILE, &info->monitor_size);
	info->symbols_base = (uintptr_t)copy_keep(payload_symbols, payload_symbols_end,
						  BOOT_MEM_FILE, &info->symbols_size);
	info->trampoline = page_below_1m();
	switch_page = pages_take_code(PAGE_SIZE);
	switch_stack = pages_take(PAGE_SIZE);
	if (EFI_ERROR(status) || !info->monitor_base || !info->symbols_base || !switch_page ||
	    !switch_stack)
		return refuse(EFI_OUT_OF_RESOURCES, "there is no memory for the kernel.");
	if (!info->trampoline)
		say("No page below 1 MiB is free: only one CPU can be used");
	return EFI_SUCCESS;
}

/* Page tables come in blocks, so that they leave few holes behind. */
static void *table_page(void)
{
	static u8 *block;
	static u32 left;

	if (left == 0) {
		block = pages_take(TABLES_AT_ONCE * PAGE_SIZE);
		left = block ? TABLES_AT_ONCE : 0;
	}
	return left ? block + (--left) * PAGE_SIZE : NULL;
}

static bool identity_map(u64 base, u64 size)
{
	u64 from = ALIGN_DOWN(MAX(base, IDENTITY_LOW), CHUNK_SIZE);
	u64 to = MIN(ALIGN_UP(base + size, CHUNK_SIZE), IDENTITY_END);

	if (to <= from)
		return true;
	return paging_map(&paging, from, from, to - from, PTE_WRITE | PTE_NX);
}

static bool kernel_map_segments(hpa_t phys)
{
	for (u32 i = 0; i < segment_count; i++) {
		const struct elf_segment *s = &segments[i];
		u64 rights = (s->flags & PF_W ? PTE_WRITE : 0) | (s->flags & PF_X ? 0 : PTE_NX);

		if (s->type == PT_LOAD &&
		    !paging_map(&paging, s->vaddr, phys + (s->vaddr - KERNEL_BASE),
				ALIGN_UP(s->memsz, PAGE_SIZE), rights))
			return false;
	}
	return true;
}

static u64 switch_offset(const u8 *at)
{
	return (uintptr_t)at - (uintptr_t)switch_code;
}

EFI_STATUS kernel_map(void)
{
	struct boot_info *info = loader.info;
	hpa_t page = (uintptr_t)switch_page;

	paging.alloc = table_page;
	paging.root = table_page();
	if (!paging.root || !paging_map(&paging, 0, 0, IDENTITY_LOW, PTE_WRITE | PTE_NX) ||
	    !memory_each(identity_map) || !kernel_map_segments(info->kernel_phys) ||
	    !paging_map(&paging, page, page, PAGE_SIZE, 0) ||
	    (info->trampoline &&
	     !paging_map(&paging, info->trampoline, info->trampoline, PAGE_SIZE, PTE_WRITE)))
		return refuse(EFI_OUT_OF_RESOURCES, "there is no memory for page tables.");

	memcpy(switch_page, switch_code, switch_offset(switch_code_end));
	*(u64 *)(switch_page + switch_offset(switch_gdt_base)) = page + switch_offset(switch_gdt);
	return EFI_SUCCESS;
}

void kernel_enter(void)
{
	switch_fn *enter = (switch_fn *)(uintptr_t)switch_page;

	enter((uintptr_t)loader.info, (uintptr_t)paging.root, kernel_entry,
	      (uintptr_t)switch_stack + PAGE_SIZE);
	__builtin_unreachable();
}
