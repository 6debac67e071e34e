/*
 * The Multiboot loader: good kernels in three forms (ELF of both classes, the
 * header's address fields) with places overwritten. What is loaded overlaps
 * nothing, and the information block says so.
 */
// SOURCES: vmm/load.c vmm/load_linux.c vmm/load_multiboot.c vmm/e820.c vmm/acpi_tables.c vmm/acpi_dsdt.c vmm/vm.c tests/unit/fake/sys_fake.c
// FLAGS: -fno-sanitize-coverage=trace-cmp
// RUNS: 4000
// MAX_LEN: 100
#include "fuzz.h"
#include "load_input.h"
#include "vmm/multiboot.h"

#define IMAGE 0x2000u
#define HEADER 0x200u

static void put_header(u8 *image, u32 flags)
{
	struct mb_header h = { MB_HEADER_MAGIC, flags,	(u32) - (MB_HEADER_MAGIC + flags),
			       MIB(1),		MIB(1), MIB(1) + 0x800,
			       MIB(1) + 0x2000, MIB(1) };

	memcpy(image + HEADER, &h, sizeof(h));
}

static void put_ident(u8 *image, u8 class, u16 machine)
{
	struct elf_ident id = { .magic = ELF_MAGIC,
				.class = class,
				.data = ELF_LSB,
				.version = 1,
				.type = ELF_EXEC,
				.machine = machine };

	memcpy(image, &id, sizeof(id));
}

static void template64(u8 *image)
{
	const u64 high = 0xffffffff80000000ull;
	struct elf64_segment s[2] = {
		{ ELF_PT_LOAD, 7, 0x1000, high + MIB(1), MIB(1), 0x800, 0x1000, 0x1000 },
		{ ELF_PT_LOAD, 7, 0x1800, high + MIB(1) + 0x1000, MIB(1) + 0x1000, 0x400, 0x2000,
		  0x1000 },
	};
	struct elf64_header e = { .version = 1,
				  .entry = high + MIB(1) + 0x40,
				  .phoff = 64,
				  .phentsize = sizeof(s[0]),
				  .phnum = 2 };

	memcpy(image, &e, sizeof(e));
	memcpy(image + 64, s, sizeof(s));
	put_ident(image, ELF_CLASS64, ELF_X86_64);
	put_header(image, MB_PAGE_ALIGN | MB_MEMORY);
}

static void template32(u8 *image)
{
	struct elf32_segment s[2] = {
		{ ELF_PT_LOAD, 0x1000, MIB(1), MIB(1), 0x800, 0x1000, 7, 0x1000 },
		{ ELF_PT_LOAD, 0x1800, MIB(2), MIB(2), 0x400, 0x2000, 7, 0x1000 },
	};
	struct elf32_header e = { .version = 1,
				  .entry = MIB(1) + 0x10,
				  .phoff = 52,
				  .phentsize = sizeof(s[0]),
				  .phnum = 2 };

	memcpy(image, &e, sizeof(e));
	memcpy(image + 52, s, sizeof(s));
	put_ident(image, ELF_CLASS32, ELF_386);
	put_header(image, MB_MEMORY);
}

static void check_info(void)
{
	u64 at = fake_vcpu.gpr[ABI_RBX];
	const struct mb_info *info = (const void *)guest_ptr(at, sizeof(*info));
	const struct mb_module *m;

	FUZZ_CHECK(fake_vcpu.gpr[ABI_RAX] == MB_ENTRY_MAGIC);
	FUZZ_CHECK(info && e820_usable(at, sizeof(*info)));
	FUZZ_CHECK(info->mods_count == fake_vm.module_count);
	FUZZ_CHECK(fake_vcpu.rip < at || fake_vcpu.rip >= at + sizeof(*info));
	m = (const void *)guest_ptr(info->mods_addr, sizeof(*m) * ABI_MAX_MODULES);
	for (u32 i = 0; i < info->mods_count; i++) {
		FUZZ_CHECK(m[i].end - m[i].start == fake_vm.modules[i].size);
		FUZZ_CHECK(m[i].start >= BOARD_HOLE_END && m[i].end <= fake_vm.ram_low);
		FUZZ_CHECK(fake_vcpu.rip < m[i].start || fake_vcpu.rip >= m[i].end);
		for (u32 k = 0; k < i; k++)
			FUZZ_CHECK(m[i].start >= m[k].end || m[k].start >= m[i].end);
		/* nothing that was written later lies over it */
		FUZZ_CHECK(!fake_vm.modules[i].size ||
			   memcmp(guest_ptr(m[i].start, 1), file_bytes[i],
				  fake_vm.modules[i].size) == 0);
	}
	FUZZ_CHECK(strnlen((const char *)guest_ptr(info->cmdline, 1), sizeof(fake_vm.cmdline)) ==
		   strlen(fake_vm.cmdline));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	u32 kind = fuzz_below(&in, 3);
	u8 image[IMAGE];

	memset(image, 0x11, sizeof(image));
	if (kind == 0)
		template64(image);
	else if (kind == 1)
		template32(image);
	else
		put_header(image, MB_ADDRESSES | MB_MEMORY);
	if (load_input(&in, image, sizeof(image), kind == 2 ? HEADER : 0,
		       kind == 2 ? HEADER + 32 : 176))
		check_info();
	return 0;
}
