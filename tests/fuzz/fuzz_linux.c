/*
 * The bzImage loader: a good image with a few places overwritten, in VMs of
 * several sizes, with modules. It is either refused with one line of log or
 * placed so that nothing overlaps; all reads and writes stay where they may
 * (ASan around the file, unmapped gaps around guest RAM).
 */
// SOURCES: vmm/load.c vmm/load_linux.c vmm/load_multiboot.c vmm/e820.c vmm/acpi_tables.c vmm/acpi_dsdt.c vmm/vm.c tests/unit/fake/sys_fake.c
// FLAGS: -fno-sanitize-coverage=trace-cmp
// RUNS: 5000
// MAX_LEN: 100
#include "fuzz.h"
#include "load_input.h"

#define SETUP 1024u
#define BODY 2048u

static void put(u8 *image, u32 at, u32 bytes, u64 value)
{
	memcpy(image + at, &value, bytes);
}

static void template(u8 *image)
{
	memset(image, 0x5a, SETUP + BODY);
	memset(image, 0, SETUP);
	put(image, 0x1f1, 1, 1);
	put(image, 0x1f4, 4, BODY / 16);
	put(image, 0x1fe, 2, 0xaa55);
	put(image, 0x200, 2, 0x6aeb);
	put(image, 0x202, 4, 0x53726448);
	put(image, 0x206, 2, 0x020f);
	put(image, 0x211, 1, 1);
	put(image, 0x22c, 4, 0x7fffffff);
	put(image, 0x230, 4, 0x200000);
	put(image, 0x234, 1, 1);
	put(image, 0x236, 2, 0x7f);
	put(image, 0x238, 4, 2047);
	put(image, 0x258, 8, MIB(2));
	put(image, 0x260, 4, MIB(1));
}

static void check_loaded(void)
{
	const u8 *zp = guest_ptr(BOARD_LINUX_PARAMS, PAGE_SIZE);
	u64 load = 0, initrd = 0, initrd_size = 0, init_size = 0;

	memcpy(&load, zp + 0x214, 4);
	memcpy(&initrd, zp + 0x218, 4);
	memcpy(&initrd_size, zp + 0x21c, 4);
	memcpy(&init_size, zp + 0x260, 4);
	FUZZ_CHECK(fake_vcpu.rip == load + 0x200);
	FUZZ_CHECK(e820_usable(load, init_size)); /* where it unpacks itself */
	FUZZ_CHECK(load >= BOARD_HOLE_END);
	if (initrd_size) {
		FUZZ_CHECK(initrd >= load + init_size && e820_usable(initrd, initrd_size));
		FUZZ_CHECK(initrd % PAGE_SIZE == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	u8 image[SETUP + BODY];

	template(image);
	if (load_input(&in, image, sizeof(image), 0x1f1, 0x2a0))
		check_loaded();
	return 0;
}
