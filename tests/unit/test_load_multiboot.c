/*
 * The Multiboot 1 loader: made-up kernels in each accepted form load as the
 * specification says; each kind of damage is refused with one line; and random
 * damage never reaches outside of guest RAM or the file (ASan and the
 * unmapped gaps of the fake's RAM look).
 */
// SOURCES: vmm/load.c vmm/load_linux.c vmm/load_multiboot.c vmm/e820.c vmm/acpi_tables.c vmm/acpi_dsdt.c vmm/vm.c tests/unit/fake/sys_fake.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sys_fake.h"
#include "vmm/board.h"
#include "vmm/load.h"
#include "vmm/multiboot.h"
#include "vmm/vm.h"

#define IMAGE 0x3000u
#define HEADER 0x1000u /* Multiboot header, at the start of segment 0 */
#define TEXT 0x1000u
#define DATA 0x2000u

static u8 *image; /* exactly as long as the file, so that ASan sees overruns */
static u8 module[2][5000];

static void put(u32 at, u32 bytes, u64 value)
{
	memcpy(image + at, &value, bytes);
}

static void set_file(struct abi_file *f, const void *data, u64 size, const char *path)
{
	f->addr = (u64)(uintptr_t)data;
	f->size = size;
	strcpy(f->path, path);
}

static void put_header(u32 at, u32 flags)
{
	put(at, 4, MB_HEADER_MAGIC);
	put(at + 4, 4, flags);
	put(at + 8, 4, (u32) - (MB_HEADER_MAGIC + flags));
}

static void fresh(u64 ram)
{
	sys_fake_reset(ram, 0);
	free(image);
	image = malloc(IMAGE);
	for (u32 i = 0; i < IMAGE; i++)
		image[i] = (u8)(i * 5 + 3);
	memset(image, 0, 256);
	set_file(&fake_vm.kernel, image, IMAGE, "guests/kernel");
	strcpy(fake_vm.cmdline, "console=com0 -v");
	memset(module, 0x5a, sizeof(module));
}

static void put_ident(u32 class, u32 machine)
{
	memcpy(image, ELF_MAGIC, 4);
	image[4] = (u8) class;
	image[5] = ELF_LSB;
	image[6] = 1;
	put(16, 2, ELF_EXEC);
	put(18, 2, machine);
	put(20, 4, 1);
}

static void segment64(u32 i, u64 offset, u64 vaddr, u64 paddr, u64 filesz, u64 memsz)
{
	struct elf64_segment s = { ELF_PT_LOAD, 7, offset, vaddr, paddr, filesz, memsz, 0x1000 };

	memcpy(image + 64 + i * sizeof(s), &s, sizeof(s));
}

static void segment32(u32 i, u32 offset, u32 vaddr, u32 paddr, u32 filesz, u32 memsz)
{
	struct elf32_segment s = { ELF_PT_LOAD, offset, vaddr, paddr, filesz, memsz, 7, 0x1000 };

	memcpy(image + 52 + i * sizeof(s), &s, sizeof(s));
}

/* 64-bit, linked high, two segments, the second with bss; entry virtual. */
static void fresh64(u64 ram)
{
	const u64 high = 0xffffffff80000000ull;

	fresh(ram);
	put_ident(ELF_CLASS64, ELF_X86_64);
	put(24, 8, high + MIB(1) + 0x40);
	put(32, 8, 64);
	put(54, 2, 56);
	put(56, 2, 2);
	segment64(0, TEXT, high + MIB(1), MIB(1), 0x1000, 0x1000);
	segment64(1, DATA, high + MIB(1) + 0x1000, MIB(1) + 0x1000, 0x800, 0x2000);
	put_header(HEADER, MB_PAGE_ALIGN | MB_MEMORY);
}

/* 32-bit, linked low. */
static void fresh32(u64 ram)
{
	fresh(ram);
	put_ident(ELF_CLASS32, ELF_386);
	put(24, 4, MIB(1) + 0x10);
	put(28, 4, 52);
	put(42, 2, 32);
	put(44, 2, 2);
	segment32(0, TEXT, MIB(1), MIB(1), 0x1000, 0x1000);
	segment32(1, DATA, MIB(1) + 0x1000, MIB(1) + 0x1000, 0x800, 0x2000);
	put_header(HEADER, MB_PAGE_ALIGN | MB_MEMORY);
}

static const struct mb_info *info(void)
{
	return (const struct mb_info *)(void *)guest_ptr(fake_vcpu.gpr[ABI_RBX],
							 sizeof(struct mb_info));
}

static const char *text(u32 gpa)
{
	return (const char *)guest_ptr(gpa, 1);
}

static void check_loaded(u64 entry)
{
	const struct abi_state *s = &fake_vcpu.state;
	u32 entries = 0;

	assert_int_equal(fake.log_lines, 0);
	assert_int_equal(fake_vcpu.rip, entry);
	assert_int_equal(fake_vcpu.rflags, 2);
	assert_int_equal(fake_vcpu.gpr[ABI_RAX], MB_ENTRY_MAGIC);
	assert_int_equal(s->seg[ABI_CS].attr, 0xc9b);
	assert_int_equal(s->seg[ABI_CS].base, 0);
	assert_int_equal(s->seg[ABI_CS].limit, 0xffffffff);
	assert_int_equal(s->seg[ABI_SS].attr, 0xc93);
	assert_int_equal(s->cr0, 0x11);
	assert_int_equal(s->cr4, 0);
	assert_int_equal(s->efer, 0);
	assert_memory_equal(guest_ptr(s->gdtr_base + 0x10, 8), "\xff\xff\0\0\0\x9b\xcf\0", 8);

	assert_memory_equal(guest_ptr(MIB(1), 0x1000), image + TEXT, 0x1000);
	assert_memory_equal(guest_ptr(MIB(1) + 0x1000, 0x800), image + DATA, 0x800);
	for (u32 i = 0x800; i < 0x2000; i++)
		assert_int_equal(*guest_ptr(MIB(1) + 0x1000 + i, 1), 0);

	assert_int_equal(info()->mem_lower, 639);
	assert_int_equal(info()->mem_upper, (fake_vm.ram_low >> 10) - 1024);
	assert_string_equal(text(info()->cmdline), "console=com0 -v");
	assert_string_equal(text(info()->boot_loader_name), "Bulkhead");
	for (u32 at = 0; at < info()->mmap_length;) {
		const struct mb_mmap *m = (const void *)text(info()->mmap_addr + at);

		assert_int_equal(m->size, 20);
		at += m->size + 4;
		entries++;
	}
	assert_int_equal(entries, fake_vm.ram_high ? 4 : 3);
}

static void test_elf64(void **state)
{
	(void)state;
	fresh64(MIB(4));
	assert_true(load_guest(&fake_vcpu));
	check_loaded(MIB(1) + 0x40);

	fresh64(MIB(2)); /* the smallest VM */
	assert_true(load_guest(&fake_vcpu));
	check_loaded(MIB(1) + 0x40);

	fresh64(MIB(4)); /* the entry given as physical */
	put(24, 8, MIB(1) + 0x44);
	assert_true(load_guest(&fake_vcpu));
	check_loaded(MIB(1) + 0x44);
}

static void test_elf32(void **state)
{
	(void)state;
	fresh32(MIB(4));
	assert_true(load_guest(&fake_vcpu));
	check_loaded(MIB(1) + 0x10);

	fresh32(MIB(4)); /* linked 3 GiB up */
	put(24, 4, 0xc0000000 + MIB(1) + 0x20);
	segment32(0, TEXT, 0xc0000000 + MIB(1), MIB(1), 0x1000, 0x1000);
	segment32(1, DATA, 0xc0000000 + MIB(1) + 0x1000, MIB(1) + 0x1000, 0x800, 0x2000);
	assert_true(load_guest(&fake_vcpu));
	check_loaded(MIB(1) + 0x20);
}

/* No ELF: the header says where the bytes go. */
static void put_addresses(u32 header, u32 load, u32 load_end, u32 bss_end, u32 entry)
{
	put_header(HEADER, MB_ADDRESSES);
	put(HEADER + 12, 4, header);
	put(HEADER + 16, 4, load);
	put(HEADER + 20, 4, load_end);
	put(HEADER + 24, 4, bss_end);
	put(HEADER + 28, 4, entry);
}

static void test_addresses(void **state)
{
	(void)state;
	fresh(MIB(4));
	put_addresses(MIB(1), MIB(1), MIB(1) + 0x1800, MIB(1) + 0x3000, MIB(1) + 0x30);
	assert_true(load_guest(&fake_vcpu));
	check_loaded(MIB(1) + 0x30);

	fresh(MIB(4)); /* to the end of the file, no bss, header not first */
	put_addresses(MIB(1) + 0x800, MIB(1), 0, 0, MIB(1));
	assert_true(load_guest(&fake_vcpu));
	assert_memory_equal(guest_ptr(MIB(1), IMAGE - 0x800), image + 0x800, IMAGE - 0x800);
	assert_int_equal(*guest_ptr(MIB(1) + IMAGE - 0x800, 1), 0);
}

static void test_modules(void **state)
{
	const struct mb_module *m;

	(void)state;
	fresh64(MIB(4));
	set_file(&fake_vm.modules[0], module[0], 4999, "guests/one");
	set_file(&fake_vm.modules[1], module[1], 0, "guests/empty");
	set_file(&fake_vm.modules[2], module[1], 1, "guests/three");
	fake_vm.module_count = 3;
	assert_true(load_guest(&fake_vcpu));
	check_loaded(MIB(1) + 0x40);
	assert_true(info()->flags & MB_INFO_MODULES);
	assert_int_equal(info()->mods_count, 3);
	m = (const void *)text(info()->mods_addr);
	assert_int_equal(m[0].start, MIB(1) + 0x3000);
	assert_int_equal(m[0].end - m[0].start, 4999);
	assert_memory_equal(text(m[0].start), module[0], 4999);
	assert_string_equal(text(m[0].string), "guests/one");
	assert_int_equal(m[1].end, m[1].start);
	assert_int_equal(m[2].start % 4096, 0);
	assert_true(m[2].start > m[0].end);
	assert_string_equal(text(m[2].string), "guests/three");
}

/* Whatever the kernel covers, nothing of ours lies on it. */
static void test_info_moves(void **state)
{
	(void)state;
	fresh64(MIB(4));
	segment64(1, DATA, 0x400000, 0x90000, 0x800, BOARD_EBDA - 0x90000);
	assert_true(load_guest(&fake_vcpu));
	assert_true(fake_vcpu.gpr[ABI_RBX] + 4096 <= 0x90000);

	fresh64(MIB(4));
	segment64(1, DATA, 0x400000, 0, 0x800, BOARD_EBDA);
	assert_true(load_guest(&fake_vcpu));
	assert_int_equal(fake_vcpu.gpr[ABI_RBX], MIB(1) + 0x1000);

	fresh64(MIB(4)); /* modules too: no room above the kernel */
	segment64(1, DATA, 0x400000, MIB(3), 0x800, MIB(1));
	set_file(&fake_vm.modules[0], module[0], 5000, "guests/one");
	fake_vm.module_count = 1;
	assert_true(load_guest(&fake_vcpu));
	assert_int_equal(((const struct mb_module *)text(info()->mods_addr))->start,
			 MIB(1) + 0x1000);
}

static void refused(const char *why)
{
	assert_false(load_guest(&fake_vcpu));
	assert_int_equal(fake.log_lines, 1);
	assert_true(strlen(fake.log) <= 256);
	if (!strstr(fake.log, why))
		fail_msg("\"%s\" is not in: %s", why, fake.log);
	assert_non_null(strstr(fake.log, "guests/"));
}

#define REFUSED(make, damage, why) \
	do { \
		make(MIB(4)); \
		damage; \
		refused(why); \
	} while (0)

static void test_refused(void **state)
{
	(void)state;
	REFUSED(fresh64, put(HEADER + 8, 4, 0), "without a Multiboot 1 header");
	REFUSED(fresh, put_header(HEADER + 2, 0), "neither"); /* not aligned */
	REFUSED(fresh, put_header(MB_HEADER_SEARCH, 0), "neither");
	REFUSED(fresh, put_header(HEADER, 0), "neither an x86 ELF");
	REFUSED(fresh, put(0, 2, 0x8b1f), "gunzip");
	REFUSED(fresh64, put_header(HEADER, 0x8), "features 0x8");
	REFUSED(fresh64, put(18, 2, 183), "neither an x86 ELF");
	REFUSED(fresh64, put(16, 2, 3), "neither an x86 ELF");
	REFUSED(fresh64, put(4, 1, 3), "neither an x86 ELF");
	REFUSED(fresh64, put(54, 2, 55), "neither an x86 ELF");
	REFUSED(fresh64, put(32, 8, ~0ull), "program headers");
	REFUSED(fresh64, put(32, 8, IMAGE - 55), "program header 0");
	REFUSED(fresh64, put(56, 2, 0), "entry point");
	REFUSED(fresh64, put(24, 8, 0x1234), "entry point");
	REFUSED(fresh64, segment64(1, IMAGE, 0, MIB(2), 1, 1), "not in the file");
	REFUSED(fresh64, segment64(1, ~0ull, 0, MIB(2), 2, 2), "not in the file");
	REFUSED(fresh64, segment64(1, DATA, 0, MIB(2), 2, 1), "not in the file");
	REFUSED(fresh64, segment64(1, DATA, 0, MIB(1) + 0xfff, 2, 2), "overlap");
	REFUSED(fresh64, segment64(1, DATA, 0, MIB(1) - 1, 2, 2), "outside of usable RAM");
	REFUSED(fresh64, segment64(1, DATA, 0, BOARD_RSDP, 2, 2), "outside of usable RAM");
	REFUSED(fresh64, segment64(1, DATA, 0, MIB(4) - 1, 2, 2), "outside of usable RAM");
	REFUSED(fresh64, segment64(1, DATA, 0, ~0ull, 2, 2), "outside of usable RAM");
	REFUSED(fresh64, segment64(1, DATA, 0, MIB(2), 2, ~0ull), "outside of usable RAM");
	REFUSED(fresh, put_addresses(MIB(1), MIB(1) + 4, 0, 0, MIB(1)), "load_addr");
	REFUSED(fresh, put_addresses(MIB(2), MIB(1), 0, 0, MIB(1)), "load_addr");
	REFUSED(fresh, put_addresses(MIB(1), MIB(1), MIB(1) - 1, 0, MIB(1)), "backwards");
	REFUSED(fresh, put_addresses(MIB(1), MIB(1), 0, MIB(1) + 1, MIB(1)), "backwards");
	REFUSED(fresh, put_addresses(MIB(1), MIB(1), MIB(2), 0, MIB(1)), "not in the file");
	REFUSED(fresh, put_addresses(MIB(1), MIB(1), 0, 0, MIB(2)), "entry point");
	REFUSED(fresh, put_addresses(MIB(1), MIB(1), 0, ~0u, MIB(1)), "outside of usable RAM");

	fresh64(MIB(4));
	sys_fake_reset(MIB(4), MIB(64)); /* RAM, but beyond 32-bit entry's reach */
	set_file(&fake_vm.kernel, image, IMAGE, "guests/kernel");
	segment64(1, DATA, 0, GIB(4), 2, 2);
	refused("outside of usable RAM");

	fresh64(MIB(4));
	set_file(&fake_vm.modules[0], module[0], MIB(3), "guests/big");
	fake_vm.module_count = 1;
	refused("guests/big: 3072 KiB do not fit");

	fresh64(MIB(4)); /* all of usable memory */
	put(56, 2, 3);
	segment64(1, DATA, 0, 0, 1, BOARD_EBDA);
	segment64(2, DATA, 0, MIB(1) + 0x1000, 1, MIB(3) - 0x1000);
	refused("no room");
}

static void test_video_is_a_warning(void **state)
{
	(void)state;
	fresh64(MIB(4));
	put_header(HEADER, MB_VIDEO);
	assert_true(load_guest(&fake_vcpu));
	assert_int_equal(fake.log_lines, 1);
	assert_non_null(strstr(fake.log, "video"));
}

static void test_truncated(void **state)
{
	(void)state;
	for (u32 size = 1; size < DATA + 0x800; size += size < 300 ? 1 : 37) {
		fresh64(MIB(4));
		image = realloc(image, size);
		set_file(&fake_vm.kernel, image, size, "guests/kernel");
		refused("");
	}
}

static u64 seed = 19950913;

static u32 any(u32 below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (u32)((seed >> 33) % below);
}

static void test_fuzz(void **state)
{
	u32 loaded = 0;

	(void)state;
	for (u32 round = 0; round < 4000; round++) {
		u32 kind = any(3), size = any(4) ? IMAGE : 1 + any(IMAGE);

		if (kind == 0)
			fresh64(MIB(4));
		else if (kind == 1)
			fresh32(MIB(4));
		else
			fresh(MIB(4));
		if (kind == 2)
			put_addresses(MIB(1), MIB(1), MIB(1) + 0x1800, MIB(1) + 0x3000, MIB(1));
		for (u32 n = any(4); n; n--) {
			u32 at = kind == 2 ? HEADER + 12 + any(20) : any(176);

			if (any(2))
				image[at] ^= (u8)(1u << any(8));
			else
				image[at] = (u8)any(256);
		}
		image = realloc(image, size);
		set_file(&fake_vm.kernel, image, size, "guests/kernel");
		set_file(&fake_vm.modules[0], module[0], any(5000), "guests/module");
		fake_vm.module_count = any(2);
		if (load_guest(&fake_vcpu)) {
			loaded++;
			assert_non_null(guest_ptr(fake_vcpu.rip, 1));
			assert_non_null(info());
		} else {
			assert_int_equal(fake.log_lines, 1);
			assert_true(strlen(fake.log) <= 256);
		}
	}
	assert_true(loaded > 100 && loaded < 3900);
	free(image);
	image = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_elf64),	   cmocka_unit_test(test_elf32),
		cmocka_unit_test(test_addresses),  cmocka_unit_test(test_modules),
		cmocka_unit_test(test_info_moves), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_truncated),  cmocka_unit_test(test_video_is_a_warning),
		cmocka_unit_test(test_fuzz),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
