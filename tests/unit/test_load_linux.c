/*
 * The bzImage loader: a made-up kernel loads as the boot protocol says; each
 * kind of damage is refused with a message that names the file; and random
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
#include "vmm/e820.h"
#include "vmm/load.h"
#include "vmm/vm.h"

#define SETUP 1024u /* one setup sector and the boot sector */
#define BODY 2048u
#define IMAGE (SETUP + BODY)
#define PREF MIB(2)
#define INIT_SIZE MIB(1)
#define ZP 0x2000u

static u8 *image; /* exactly as long as the file, so that ASan sees overruns */
static u8 initrd[2][5000];

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

/* A good image of `size` bytes in a VM of 4 MiB (PROT_NONE above). */
static void fresh(u32 size)
{
	sys_fake_reset(MIB(4), 0);
	free(image);
	image = calloc(1, IMAGE);
	for (u32 i = SETUP; i < IMAGE; i++)
		image[i] = (u8)(i * 7 + 1);
	put(0x1f1, 1, 1);	  /* setup_sects */
	put(0x1f4, 4, BODY / 16); /* syssize */
	put(0x1fe, 2, 0xaa55);
	put(0x200, 2, 0x6aeb); /* jump: the header ends at 0x26c */
	put(0x202, 4, 0x53726448);
	put(0x206, 2, 0x020f);
	put(0x211, 1, 1);
	put(0x22c, 4, 0x7fffffff);
	put(0x230, 4, 0x200000);
	put(0x234, 1, 1);
	put(0x236, 2, 0x7f);
	put(0x238, 4, 2047);
	put(0x250, 8, 0x123456); /* setup_data: not the image's to give */
	put(0x258, 8, PREF);
	put(0x260, 4, INIT_SIZE);
	image = realloc(image, size);
	set_file(&fake_vm.kernel, image, size, "guests/vmlinuz");
	strcpy(fake_vm.cmdline, "console=ttyS0 quiet");
}

static u64 get(gpa_t at, u32 bytes)
{
	u64 v = 0;

	memcpy(&v, guest_ptr(at, bytes), bytes);
	return v;
}

static void test_loads(void **state)
{
	const struct abi_state *s = &fake_vcpu.state;

	(void)state;
	fresh(IMAGE);
	assert_true(load_guest(&fake_vcpu));
	assert_int_equal(fake.log_lines, 0);
	assert_int_equal(fake_vcpu.rip, PREF + 0x200);
	assert_int_equal(fake_vcpu.gpr[ABI_RSI], ZP);
	assert_int_equal(fake_vcpu.rflags, 2);
	assert_memory_equal(guest_ptr(PREF, BODY), image + SETUP, BODY);

	assert_int_equal(s->seg[ABI_CS].selector, 0x10);
	assert_int_equal(s->seg[ABI_CS].attr, 0xa9b);
	assert_int_equal(s->seg[ABI_SS].selector, 0x18);
	assert_int_equal(s->seg[ABI_SS].attr, 0xc93);
	assert_int_equal(s->seg[ABI_DS].limit, 0xffffffff);
	assert_int_equal(s->seg[ABI_TR].attr, 0x8b);
	assert_int_equal(s->cr0 & 0x80000001, 0x80000001);
	assert_int_equal(s->cr4, 0x20);
	assert_int_equal(s->efer, 0x500);
	assert_int_equal(get(s->gdtr_base + 0x10, 8), 0x00af9b000000ffffull);
	assert_int_equal(get(s->gdtr_base + 0x18, 8), 0x00cf93000000ffffull);

	assert_int_equal(get(ZP + 0x202, 4), 0x53726448);
	assert_int_equal(get(ZP + 0x210, 1), 0xff);
	assert_int_equal(get(ZP + 0x214, 4), PREF);
	assert_int_equal(get(ZP + 0x218, 8), 0); /* no initrd */
	assert_int_equal(get(ZP + 0x250, 8), 0); /* setup_data */
	assert_int_equal(get(ZP + 0x070, 8), BOARD_RSDP);
	assert_memory_equal(guest_ptr(BOARD_RSDP, 8), "RSD PTR ", 8);
	assert_string_equal((char *)guest_ptr(get(ZP + 0x228, 4), 1), "console=ttyS0 quiet");
	assert_int_equal(get(ZP + 0x1ef, 1), 0); /* the sentinel */
}

/* Four levels by hand: every address below 4 GiB maps to itself. */
static void test_identity_map(void **state)
{
	(void)state;
	fresh(IMAGE);
	assert_true(load_guest(&fake_vcpu));
	for (u64 va = 0; va < GIB(4); va += MIB(2)) {
		u64 e4 = get(fake_vcpu.state.cr3, 8);
		u64 e3 = get((e4 & ~0xfffull) + (va >> 30) * 8, 8);
		u64 e2 = get((e3 & ~0xfffull) + (va >> 21 & 511) * 8, 8);

		assert_int_equal(e4 & 0xfff, 3);
		assert_int_equal(e3 & 0xfff, 3);
		assert_int_equal(e2, va | 0x83);
	}
	assert_int_equal(get(fake_vcpu.state.cr3 + 8, 8), 0);
}

static void test_e820(void **state)
{
	u64 end = 0;
	u32 n;

	(void)state;
	fresh(IMAGE);
	sys_fake_reset(MIB(64), MIB(32));
	set_file(&fake_vm.kernel, image, IMAGE, "k");
	assert_true(load_guest(&fake_vcpu));
	n = (u32)get(ZP + 0x1e8, 1);
	assert_int_equal(n, 4);
	for (u32 i = 0; i < n; i++) {
		gpa_t e = ZP + 0x2d0 + 20 * i;

		assert_true(get(e, 8) >= end);
		end = get(e, 8) + get(e + 8, 8);
		assert_int_equal(get(e + 16, 4), i == 1 ? 2 : 1);
	}
	assert_int_equal(end, GIB(4) + MIB(32));
	assert_true(e820_usable(0, BOARD_EBDA));
	assert_false(e820_usable(0, BOARD_EBDA + 1));
	assert_false(e820_usable(BOARD_RSDP, 1));
	assert_true(e820_usable(MIB(64) - 1, 1));
	assert_false(e820_usable(MIB(64) - 1, 2));
	assert_false(e820_usable(~0ull, 2));
	assert_false(e820_usable(MIB(1), ~0ull));
	assert_true(e820_usable(GIB(4), MIB(32)));
	assert_false(e820_usable(GIB(4) - 1, 2));
}

static void test_initrd(void **state)
{
	u64 at, size;

	(void)state;
	fresh(IMAGE);
	memset(initrd[0], 0x11, sizeof(initrd[0]));
	memset(initrd[1], 0x22, sizeof(initrd[1]));
	set_file(&fake_vm.modules[0], initrd[0], 4097, "a.cpio");
	set_file(&fake_vm.modules[1], initrd[1], 5000, "b.cpio");
	fake_vm.module_count = 2;
	assert_true(load_guest(&fake_vcpu));
	at = get(ZP + 0x218, 4);
	size = get(ZP + 0x21c, 4);
	assert_int_equal(size, 4100 + 5000);
	assert_int_equal(at % 4096, 0);
	assert_true(at >= PREF + INIT_SIZE && at + size <= MIB(4));
	assert_memory_equal(guest_ptr(at, 4097), initrd[0], 4097);
	assert_int_equal(get(at + 4097, 3), 0);
	assert_memory_equal(guest_ptr(at + 4100, 5000), initrd[1], 5000);

	/* the kernel's own limit */
	fresh(IMAGE);
	set_file(&fake_vm.modules[0], initrd[0], 5000, "a.cpio");
	fake_vm.module_count = 1;
	put(0x22c, 4, PREF + INIT_SIZE + 0x3fff);
	assert_true(load_guest(&fake_vcpu));
	assert_int_equal(get(ZP + 0x218, 4), PREF + INIT_SIZE + 0x2000);
}

/* Refused, with one line that names the file and says `why`. */
static void refused(const char *why)
{
	assert_false(load_guest(&fake_vcpu));
	assert_int_equal(fake.log_lines, 1);
	assert_true(strlen(fake.log) <= 256);
	assert_non_null(strstr(fake.log, why));
}

#define DAMAGED(at, bytes, value, why) \
	do { \
		fresh(IMAGE); \
		put(at, bytes, value); \
		refused(why); \
		assert_non_null(strstr(fake.log, "guests/vmlinuz")); \
	} while (0)

static void test_refused(void **state)
{
	(void)state;
	DAMAGED(0x202, 4, 0, "neither");
	DAMAGED(0x1fe, 2, 0, "neither");
	DAMAGED(0x206, 2, 0x020b, "protocol 2.11");
	DAMAGED(0x211, 1, 0, "protocol");
	DAMAGED(0x236, 2, 0, "32-bit");
	DAMAGED(0x201, 1, 0x20, "setup header");
	DAMAGED(0x1f4, 4, BODY / 16 + 1, "truncated");
	DAMAGED(0x1f4, 4, 0xffffffff, "truncated");
	DAMAGED(0x1f1, 1, 200, "truncated");
	DAMAGED(0x1f1, 1, 0, "truncated");  /* 0 stands for 4 */
	DAMAGED(0x1f4, 4, 0x20, "damaged"); /* ends before its entry */
	DAMAGED(0x260, 4, BODY - 1, "init_size");
	DAMAGED(0x260, 4, 0xffffffff, "raise its memory");
	DAMAGED(0x260, 4, MIB(2) + 1, "raise its memory");
	DAMAGED(0x258, 8, ~0ull, "which no VM has");
	DAMAGED(0x258, 8, GIB(4), "which no VM has");
	DAMAGED(0x258, 8, GIB(3), "which no VM has");
	DAMAGED(0x258, 8, MIB(16), "memory up to 17 MiB");
	DAMAGED(0x230, 4, 0, "kernel_alignment");
	DAMAGED(0x230, 4, 0x180000, "kernel_alignment");
	DAMAGED(0x238, 4, 18, "19 characters");

	fresh(IMAGE);
	put(0x258, 8, 0x1000);
	put(0x234, 1, 0); /* not relocatable */
	refused("which no VM has");

	fresh(IMAGE);
	set_file(&fake_vm.modules[0], initrd[0], MIB(1) + 1, "big.cpio");
	fake_vm.module_count = 1;
	refused("big.cpio: the initrd of 2 MiB");
	fake_vm.modules[0].size = ~0ull;
	fake.log_lines = 0;
	refused("does not fit");

	fresh(IMAGE);
	fake_vm.ram_low = MIB(1);
	refused("at least 2 MiB");
}

/* Cut anywhere: refused, and nothing beyond the cut is read. */
static void test_truncated(void **state)
{
	(void)state;
	for (u32 size = 1; size < IMAGE; size++) {
		fresh(size);
		refused("guests/vmlinuz");
	}
	fresh(IMAGE);
	fake_vm.kernel.size = 0;
	refused("neither");
}

static u64 seed = 20240229;

static u32 any(u32 below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (u32)((seed >> 33) % below);
}

/* Random header bytes: either a refusal with a reason, or an entry in RAM. */
static void test_fuzz(void **state)
{
	u32 loaded = 0;

	(void)state;
	for (u32 round = 0; round < 3000; round++) {
		fresh(any(4) ? IMAGE : SETUP + any(BODY));
		for (u32 n = any(4); n; n--) {
			u32 at = 0x1f1 + any(0x26c - 0x1f1);

			if (any(2))
				image[at] ^= (u8)(1u << any(8));
			else
				image[at] = (u8)any(256);
		}
		if (any(2)) {
			set_file(&fake_vm.modules[0], initrd[0], any(5000), "a.cpio");
			fake_vm.module_count = 1;
		}
		if (load_guest(&fake_vcpu)) {
			loaded++;
			assert_non_null(guest_ptr(fake_vcpu.rip, 1));
			assert_true(fake_vcpu.rip >= MIB(1));
		} else {
			assert_int_equal(fake.log_lines, 1);
			assert_true(strlen(fake.log) <= 256);
		}
	}
	assert_true(loaded > 100 && loaded < 2900);
	free(image);
	image = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loads),	cmocka_unit_test(test_identity_map),
		cmocka_unit_test(test_e820),	cmocka_unit_test(test_initrd),
		cmocka_unit_test(test_refused), cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_fuzz),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
