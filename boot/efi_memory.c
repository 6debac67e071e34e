/*
 * Pages from the firmware, its memory map, and the way out (UEFI 2.10, 7.2
 * and 7.4). Maps come in hundreds of fragments with descriptors of a size
 * that only the firmware knows; the key of a map goes stale easily, so
 * ExitBootServices is tried again with a fresh one.
 */
#include "boot/efi_loader.h"

#include "boot/ranges.h"
#include "kernel/string.h"

#define KEPT_MAX (BOOT_MAX_FILES + 8)
#define MAP_SPARE KIB(8) /* the map grows by the allocations that hold it */
#define EXIT_TRIES 8
#define LOW_END 0x9f000ull

static struct boot_range kept[KEPT_MAX];
static u32 kept_count;

/* The last map read, and its buffer. */
static u8 *map;
static UINTN map_room, map_size, map_key, descriptor_size;

static void *allocate(EFI_ALLOCATE_TYPE how, EFI_MEMORY_TYPE type, u64 bytes, u64 below)
{
	UINTN pages = ALIGN_UP(bytes, PAGE_SIZE) / PAGE_SIZE;

	/* page 0 is one like any other to firmware, but "none" to us: left alone */
	for (u32 i = 0; pages && i < 2; i++) {
		EFI_PHYSICAL_ADDRESS base = below;

		if (EFI_ERROR(loader.bs->AllocatePages(how, type, pages, &base)))
			return NULL;
		if (base)
			return memset((void *)base, 0, pages * PAGE_SIZE);
	}
	return NULL;
}

void *pages_take(u64 bytes)
{
	return allocate(AllocateAnyPages, EfiLoaderData, bytes, 0);
}

void *pages_take_code(u64 bytes)
{
	return allocate(AllocateAnyPages, EfiLoaderCode, bytes, 0);
}

void pages_give(void *base, u64 bytes)
{
	loader.bs->FreePages((EFI_PHYSICAL_ADDRESS)(uintptr_t)base,
			     ALIGN_UP(bytes, PAGE_SIZE) / PAGE_SIZE);
}

void *pages_keep(u64 bytes, u32 kind)
{
	void *base;

	if (kept_count == KEPT_MAX)
		return NULL;
	/* the kernel's trampoline starts CPUs with a 32-bit CR3 */
	base = kind == BOOT_MEM_KERNEL
		       ? allocate(AllocateMaxAddress, EfiLoaderData, bytes, 0xffffffff)
		       : pages_take(bytes);
	if (base)
		kept[kept_count++] =
			(struct boot_range){ (uintptr_t)base, ALIGN_UP(bytes, PAGE_SIZE), kind, 0 };
	return base;
}

hpa_t page_below_1m(void)
{
	return (uintptr_t)allocate(AllocateMaxAddress, EfiLoaderData, PAGE_SIZE, LOW_END - 1);
}

/* Reads the map; with boot services on their way out the buffer must do as it is. */
static EFI_STATUS map_read(bool may_grow)
{
	for (u32 i = 0; i < 4; i++) {
		UINT32 version;
		EFI_STATUS status;

		map_size = map_room;
		status = loader.bs->GetMemoryMap(&map_size, (EFI_MEMORY_DESCRIPTOR *)map, &map_key,
						 &descriptor_size, &version);
		if (status != EFI_BUFFER_TOO_SMALL)
			return status;
		if (!may_grow)
			return status;
		if (map)
			pages_give(map, map_room);
		map_room = ALIGN_UP(map_size + MAP_SPARE, PAGE_SIZE);
		map = pages_take(map_room);
		if (!map) {
			map_room = 0;
			return EFI_OUT_OF_RESOURCES;
		}
	}
	return EFI_BUFFER_TOO_SMALL;
}

static const EFI_MEMORY_DESCRIPTOR *descriptor(UINTN i)
{
	UINTN at = i * descriptor_size;

	return at + sizeof(EFI_MEMORY_DESCRIPTOR) <= map_size
		       ? (const EFI_MEMORY_DESCRIPTOR *)(map + at)
		       : NULL;
}

static u32 kind_of(const EFI_MEMORY_DESCRIPTOR *d)
{
	switch (d->Type) {
	case EfiConventionalMemory:
	case EfiBootServicesCode:
	case EfiBootServicesData:
		return d->Attribute & EFI_MEMORY_WB ? BOOT_MEM_FREE : BOOT_MEM_RESERVED;
	case EfiLoaderCode:
	case EfiLoaderData: return BOOT_MEM_LOADER;
	case EfiACPIReclaimMemory: return BOOT_MEM_ACPI;
	default: /* runtime services, NVS, MMIO, persistent and unknown types */
		return BOOT_MEM_RESERVED;
	}
}

bool memory_each(bool (*fn)(u64 base, u64 size))
{
	const EFI_MEMORY_DESCRIPTOR *d;

	if (EFI_ERROR(map_read(true)))
		return false;
	for (UINTN i = 0; (d = descriptor(i)); i++) {
		if (d->Type == EfiReservedMemoryType || d->Type == EfiUnusableMemory ||
		    d->Type == EfiMemoryMappedIO || d->Type >= EfiMemoryMappedIOPortSpace)
			continue;
		if (!fn(d->PhysicalStart, d->NumberOfPages * PAGE_SIZE))
			return false;
	}
	return true;
}

u64 memory_free(void)
{
	const EFI_MEMORY_DESCRIPTOR *d;
	u64 sum = 0;

	if (EFI_ERROR(map_read(true)))
		return 0;
	for (UINTN i = 0; (d = descriptor(i)); i++) {
		if (kind_of(d) == BOOT_MEM_FREE)
			sum += d->NumberOfPages * PAGE_SIZE;
	}
	return sum;
}

/* Where descriptors overlap (they should not), the more careful kind wins:
 * the kinds are set in that order. */
static void ranges_fill(struct boot_info *info)
{
	static const u32 order[] = { BOOT_MEM_FREE, BOOT_MEM_LOADER, BOOT_MEM_ACPI,
				     BOOT_MEM_RESERVED };
	struct range_list list = { .range = info->ranges, .max = BOOT_MAX_RANGES };
	const EFI_MEMORY_DESCRIPTOR *d;

	for (u32 k = 0; k < ARRAY_SIZE(order); k++) {
		for (UINTN i = 0; (d = descriptor(i)); i++) {
			if (kind_of(d) == order[k])
				ranges_set(&list, ALIGN_DOWN(d->PhysicalStart, PAGE_SIZE),
					   d->NumberOfPages * PAGE_SIZE, order[k]);
		}
	}
	for (u32 i = 0; i < kept_count; i++)
		ranges_set(&list, kept[i].base, kept[i].size, kept[i].kind);
	ranges_set(&list, 0, PAGE_SIZE, BOOT_MEM_RESERVED); /* so that 0 is no page */
	info->range_count = list.count;
}

EFI_STATUS memory_leave_firmware(void)
{
	EFI_STATUS status = map_read(true);

	for (u32 i = 0; i < EXIT_TRIES && !EFI_ERROR(status); i++) {
		status = loader.bs->ExitBootServices(loader.image, map_key);
		if (!EFI_ERROR(status)) {
			ranges_fill(loader.info);
			return EFI_SUCCESS;
		}
		/* from the first attempt on only the map may still be asked for */
		status = map_read(false);
	}
	return EFI_ERROR(status) ? status : EFI_ABORTED;
}
