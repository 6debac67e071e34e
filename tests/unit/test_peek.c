/*
 * The PEEK upcall: what of guest memory the administrator gets to see.
 */
// SOURCES: vmm/peek.c vmm/walk.c vmm/lib.c vmm/vm.c tests/unit/fake/sys_fake.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "sys_fake.h"
#include "vmm/fetch.h"
#include "vmm/peek.h"
#include "vmm/vm.h"

static struct abi_vcpu *v;

static int setup(void **state)
{
	(void)state;
	sys_fake_reset(0x200000, 0);
	v = &fake_vcpu;
	v->state.cr0 = 1; /* no paging */
	v->state.efer = 0;
	for (u32 i = 0; i < 0x200000; i++)
		*guest_ptr(i, 1) = (u8)(i * 7);
	return 0;
}

static u64 look(u64 at, u64 len)
{
	v->gpa = at;
	v->value = len;
	memset(v->log, 0xee, sizeof(v->log));
	SYS_FAKE_UPCALL(peek(v));
	assert_int_equal(fake.fin, ABI_FIN_PEEK);
	assert_true(fake.a <= sizeof(v->log) && fake.a <= len);
	for (u64 i = 0; i < sizeof(v->log); i++)
		assert_int_equal((u8)v->log[i], i < fake.a ? (u8)((at + i) * 7) : 0xee);
	return fake.a;
}

static void plain(void **state)
{
	(void)state;
	assert_int_equal(look(0x1000, 256), 256);
	assert_int_equal(look(0x1ff8, 256), 256); /* over a page's end */
	assert_int_equal(look(0, 1), 1);
	assert_int_equal(look(0x1000, 0), 0);
	assert_int_equal(look(0x1000, ~0ull), 256); /* never more than the buffer */
}

static void where_ram_ends(void **state)
{
	(void)state;
	assert_int_equal(look(0x200000 - 100, 256), 100);
	assert_int_equal(look(0x200000, 256), 0);
	assert_int_equal(look(0xfee00000, 256), 0); /* a device is not read */
	assert_int_equal(look(0xfffffff0, 256), 0);
	assert_int_equal(look(1ull << 32, 8), 0);
}

static void put(gpa_t at, u64 value)
{
	guest_write64(guest_ptr(at, 8), value);
}

static void through_page_tables(void **state)
{
	(void)state;
	v->state.cr0 = 0x80000001;
	v->state.cr4 = 0x20;
	v->state.efer = 0x500;
	v->state.seg[ABI_CS].attr = 0x9b | ABI_ATTR_L;
	v->state.cr3 = 0x100000;
	put(0x100000 + 511 * 8, 0x101003);
	put(0x101000 + 511 * 8, 0x102003);
	put(0x102000 + 511 * 8, 0x103003);
	memset(guest_ptr(0x103000, 4096), 0, 4096);
	put(0x103000 + 510 * 8, 0x5003); /* only the last page but one */
	v->gpa = 0xffffffffffffe000 + 4096 - 16;
	v->value = 256;
	SYS_FAKE_UPCALL(peek(v));
	assert_int_equal(fake.a, 16);
	assert_memory_equal(v->log, guest_ptr(0x5ff0, 16), 16);
	v->gpa = 0x0000800000000000; /* not canonical */
	SYS_FAKE_UPCALL(peek(v));
	assert_int_equal(fake.a, 0);
	v->gpa = ~0ull; /* to the very end, and not round it */
	SYS_FAKE_UPCALL(peek(v));
	assert_int_equal(fake.a, 0);
	v->state.cr3 = 0x7fffff000; /* tables that are not there */
	v->gpa = 0x1000;
	SYS_FAKE_UPCALL(peek(v));
	assert_int_equal(fake.a, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(plain, setup),
		cmocka_unit_test_setup(where_ram_ends, setup),
		cmocka_unit_test_setup(through_page_tables, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
