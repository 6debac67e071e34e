/*
 * For the loaders' fuzzers: a VM, an image with bytes overwritten, modules; all
 * from the input. Each file lies in a heap block of its own size.
 */
#ifndef TESTS_FUZZ_LOAD_INPUT_H
#define TESTS_FUZZ_LOAD_INPUT_H

#include "fuzz.h"
#include "sys_fake.h"
#include "vmm/board.h"
#include "vmm/e820.h"
#include "vmm/load.h"
#include "vmm/vm.h"

#define MODULES 3

static void *file_make(struct abi_file *f, const void *from, u64 have, u64 size, const char *path)
{
	u8 *p = malloc(size ? size : 1);

	memset(p, 0x6b, size);
	memcpy(p, from, have < size ? have : size);
	f->addr = (u64)(uintptr_t)p;
	f->size = size;
	strcpy(f->path, path);
	return p;
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
	void *file[MODULES + 1];
	bool loaded;

	sys_fake_reset(ram[flags & 3], flags & 0x20 ? MIB(2) : 0);
	memset(fake_vm.cmdline, 'c', fuzz_u16(in) % sizeof(fake_vm.cmdline));
	fake_vm.vcpus = 1 + (flags & 0x40 ? fuzz_below(in, ABI_MAX_VCPUS) : 0);
	fake_vm.module_count = modules;
	for (u32 i = 0; i < modules; i++) {
		u64 length = fuzz_u16(in) * (i == 1 ? 32ull : 1ull) / 2;

		file[i] = file_make(&fake_vm.modules[i], "", 0, length, "a module");
	}
	while (words--) {
		u32 at = fuzz_u16(in), bytes = 1u << (at >> 14);
		u64 value = fuzz_take(in, bytes);

		at = flags & 0x80 ? (at & 0x3fff) % size : first + (at & 0x3fff) % (last - first);
		if (at + bytes <= size)
			memcpy(image + at, &value, bytes);
	}
	file[modules] = file_make(&fake_vm.kernel, image, size, cut, "a kernel");
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
	for (u32 i = 0; i <= modules; i++)
		free(file[i]);
	return loaded;
}

#endif
