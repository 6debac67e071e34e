// SOURCES: boot/ranges.c
// FLAGS: -fshort-wchar -DGNU_EFI_USE_MS_ABI -isystem /usr/include/efi -isystem /usr/include/efi/x86_64
/*
 * The way out of firmware: keys that go stale, maps that grow meanwhile,
 * descriptors of a size of their own, a firmware that never lets go.
 */
#include "boot/efi_memory.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define DESCRIPTOR 56 /* more than the structure, as firmware may */
#define MIB1 0x100000ull

struct loader loader;

static EFI_BOOT_SERVICES bs;
static struct boot_info info;

/* What the fake firmware holds, and what was asked of it. */
static struct {
	EFI_MEMORY_DESCRIPTOR map[64];
	u32 count;
	UINTN key;
	u32 stale;  /* exits that fail yet */
	u32 growth; /* of the map at each of them */
	u32 allocations, frees, map_reads, exits;
	bool leaving; /* the first exit has been tried */
	u32 illegal;  /* calls that are not allowed any more by then */
	UINTN used_key;
	void *pages[16];
} fw;

static void add(u32 type, u64 base, u64 size)
{
	fw.map[fw.count++] = (EFI_MEMORY_DESCRIPTOR){ .Type = type,
						      .PhysicalStart = base,
						      .NumberOfPages = size / PAGE_SIZE,
						      .Attribute = EFI_MEMORY_WB };
}

static EFI_STATUS EFIAPI fake_allocate(EFI_ALLOCATE_TYPE how, EFI_MEMORY_TYPE type, UINTN pages,
				       EFI_PHYSICAL_ADDRESS *base)
{
	void *p = aligned_alloc(PAGE_SIZE, pages * PAGE_SIZE);

	(void)how;
	assert_int_equal(type, EfiLoaderData);
	fw.illegal += fw.leaving;
	fw.pages[fw.allocations++ % 16] = p;
	fw.key++; /* every allocation changes the map */
	*base = (EFI_PHYSICAL_ADDRESS)(uintptr_t)p;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI fake_free(EFI_PHYSICAL_ADDRESS base, UINTN pages)
{
	(void)pages;
	fw.illegal += fw.leaving;
	for (u32 i = 0; i < 16; i++) {
		if ((uintptr_t)fw.pages[i] == base) {
			fw.pages[i] = NULL;
			fw.frees++;
			free((void *)(uintptr_t)base);
		}
	}
	fw.key++;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI fake_map(UINTN *size, EFI_MEMORY_DESCRIPTOR *map_out, UINTN *key,
				  UINTN *each, UINT32 *version)
{
	UINTN room = *size;

	fw.map_reads++;
	*size = fw.count * DESCRIPTOR;
	*each = DESCRIPTOR;
	*version = 1;
	if (room < *size)
		return EFI_BUFFER_TOO_SMALL;
	for (u32 i = 0; i < fw.count; i++)
		memcpy((u8 *)map_out + i * DESCRIPTOR, &fw.map[i], sizeof(fw.map[i]));
	*key = fw.key;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI fake_exit(EFI_HANDLE image, UINTN key)
{
	(void)image;
	fw.exits++;
	fw.used_key = key;
	fw.leaving = true;
	if (fw.stale) { /* an event handler has just allocated something */
		fw.stale--;
		fw.key++;
		for (u32 i = 0; i < fw.growth; i++)
			add(EfiRuntimeServicesData, 64 * MIB1 + (fw.count * 2 * MIB1), MIB1);
	}
	return key == fw.key ? EFI_SUCCESS : EFI_INVALID_PARAMETER;
}

static int setup(void **state)
{
	(void)state;
	memset(&fw, 0, sizeof(fw));
	memset(&info, 0, sizeof(info));
	fw.key = 1000;
	map = NULL;
	map_room = map_size = 0;
	kept_count = 0;
	bs.AllocatePages = fake_allocate;
	bs.FreePages = fake_free;
	bs.GetMemoryMap = (EFI_GET_MEMORY_MAP)fake_map;
	bs.ExitBootServices = fake_exit;
	loader.bs = &bs;
	loader.info = &info;
	add(EfiConventionalMemory, MIB1, 31 * MIB1);
	add(EfiBootServicesData, 32 * MIB1, 16 * MIB1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (u32 i = 0; i < 16; i++)
		free(fw.pages[i]);
	return 0;
}

static u32 kind_at(u64 addr)
{
	for (u32 i = 0; i < info.range_count; i++)
		if (addr >= info.ranges[i].base && addr < info.ranges[i].base + info.ranges[i].size)
			return info.ranges[i].kind;
	return ~0u;
}

static void at_once(void **state)
{
	(void)state;
	assert_int_equal(memory_leave_firmware(), EFI_SUCCESS);
	assert_int_equal(fw.exits, 1);
	assert_int_equal(fw.used_key, fw.key);
	assert_int_equal(kind_at(MIB1), BOOT_MEM_FREE);
	assert_int_equal(kind_at(40 * MIB1), BOOT_MEM_FREE);
	assert_int_equal(kind_at(0), BOOT_MEM_RESERVED);
}

/* Each key is used once; what the map has become meanwhile counts. */
static void stale_key(void **state)
{
	(void)state;
	for (u32 stale = 1; stale < EXIT_TRIES; stale++) {
		setup(NULL);
		fw.stale = stale;
		fw.growth = 1;
		assert_int_equal(memory_leave_firmware(), EFI_SUCCESS);
		assert_int_equal(fw.exits, stale + 1);
		assert_int_equal(fw.used_key, fw.key);
		assert_int_equal(fw.illegal, 0);
		assert_int_equal(kind_at(64 * MIB1 + 2 * 2 * MIB1), BOOT_MEM_RESERVED);
		teardown(NULL);
	}
	setup(NULL);
}

static void never_lets_go(void **state)
{
	(void)state;
	fw.stale = ~0u;
	assert_true(EFI_ERROR(memory_leave_firmware()));
	assert_int_equal(fw.exits, EXIT_TRIES);
	assert_int_equal(fw.illegal, 0);
	assert_int_equal(info.range_count, 0);
}

/* The map outgrows even the spare room: an error, and no allocation behind firmware's back. */
static void outgrown(void **state)
{
	(void)state;
	for (u32 i = 0; i < 48; i++)
		add(EfiReservedMemoryType, 1024 * MIB1 + i * 2 * MIB1, MIB1);
	assert_int_equal(map_read(true), EFI_SUCCESS);
	assert_true(map_room >= fw.count * DESCRIPTOR + KIB(8));
	map_room = fw.count * DESCRIPTOR; /* as if there were no spare room */
	fw.stale = 1;
	fw.growth = 4;
	assert_int_equal(memory_leave_firmware(), EFI_BUFFER_TOO_SMALL);
	assert_int_equal(fw.exits, 1);
	assert_int_equal(fw.illegal, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(stale_key, setup, teardown),
		cmocka_unit_test_setup_teardown(never_lets_go, setup, teardown),
		cmocka_unit_test_setup_teardown(outgrown, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
