/*
 * For the loaders' fuzzers: a VM, an image with bytes overwritten, modules; all
 * from the input. Each file is as long as ASan lets it be read, in a place that
 * is made once: fresh heap blocks of a megabyte would take most of the time.
 */
#ifndef TESTS_FUZZ_LOAD_INPUT_H
#define TESTS_FUZZ_LOAD_INPUT_H

#include <sanitizer/asan_interface.h>

#include "fuzz.h"
#include "sys_fake.h"
#include "vmm/board.h"
#include "vmm/e820.h"
#include "vmm/load.h"
#include "vmm/vm.h"

#define MODULES 3

#define FILE_MAX MIB(1) /* of one: its content, all 0x6b, stays */

static u8 file_bytes[MODULES + 1][FILE_MAX + 64] __attribute__((aligned(64)));

/* The last input's files go: from own on all must be as it was, for the loader
 * does not write to a file. */
static void file_drop(u32 i, const struct abi_file *f, u64 own)
{
	u8 *p = file_bytes[i];

	for (u64 k = own; k < f->size; k += 4093)
		FUZZ_CHECK(p[k] == 0x6b);
	memset(p, 0x6b, own < f->size ? own : f->size);
	ASAN_POISON_MEMORY_REGION(p, (f->size + 7) & ~7ull);
}

static void file_make(struct abi_file *f, u32 i, const void *from, u64 own, u64 size,
		      const char *path)
{
	u8 *p = file_bytes[i];

	ASAN_UNPOISON_MEMORY_REGION(p, size);
	memcpy(p, from, own < size ? own : size);
	f->addr = (u64)(uintptr_t)p;
	f->size = size;
	strcpy(f->path, path);
}

/*
 * Overwrites pieces of image (mostly from first to last), cuts it, and loads
 * it. Whether it was loaded; what always must hold is checked.
 */
static bool load_input(struct fuzz_in *in, u8 *image, u32 size, u32 first, u32 last)
{
	static const u64 ram[] = { MIB(4), MIB(2), MIB(8), MIB(3) + PAGE_SIZE };
	u32 flags = fuzz_u8(in), modules = flags >> 2 & 3, words = fuzz_below(in, 8);
	u64 cut = flags & 0x10 ? fuzz_below(in, size + 1) : size;
	static bool filled;
	bool loaded;

	if (!filled) {
		memset(file_bytes, 0x6b, sizeof(file_bytes));
		ASAN_POISON_MEMORY_REGION(file_bytes, sizeof(file_bytes));
	}
	filled = true;
	for (u32 i = 0; i < MODULES; i++)
		file_drop(i, &fake_vm.modules[i], 0);
	file_drop(MODULES, &fake_vm.kernel, size);
	sys_fake_reset(ram[flags & 3], flags & 0x20 ? MIB(2) : 0);
	memset(fake_vm.cmdline, 'c', fuzz_u16(in) % sizeof(fake_vm.cmdline));
	fake_vm.vcpus = 1 + (flags & 0x40 ? fuzz_below(in, ABI_MAX_VCPUS) : 0);
	fake_vm.module_count = modules;
	for (u32 i = 0; i < modules; i++) {
		u64 length = fuzz_u16(in);

		length = length < 0xf000 ? length % 0x3001 : (length - 0xf000) << 8;
		file_make(&fake_vm.modules[i], i, "", 0, length, "a module");
	}
	while (words--) {
		u32 at = fuzz_u16(in), bytes = 1u << (at >> 14);
		u64 value = fuzz_take(in, bytes);

		at = flags & 0x80 ? (at & 0x3fff) % size : first + (at & 0x3fff) % (last - first);
		if (at + bytes <= size)
			memcpy(image + at, &value, bytes);
	}
	file_make(&fake_vm.kernel, MODULES, image, size, cut, "a kernel");
	loaded = load_guest(&fake_vcpu);
	if (loaded) {
		FUZZ_CHECK(e820_usable(fake_vcpu.rip, 1));
		FUZZ_CHECK(fake_vcpu.state.cr0 & 1);
		FUZZ_CHECK(fake_vcpu.rflags == 2);
		FUZZ_CHECK(guest_ptr(fake_vcpu.state.gdtr_base, fake_vcpu.state.gdtr_limit + 1ull));
	} else {
		FUZZ_CHECK(fake.log_lines == 1 || fake.log_lines == 2);
	}
	FUZZ_CHECK(strlen(fake.log) <= 2 * 256 && fake.stop_count == 0);
	return loaded;
}

#endif
