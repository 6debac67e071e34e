// SOURCES: boot/paging.c
#include "boot/paging.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static u8 pages[64][PAGE_SIZE] ALIGNED(4096);
static u32 used, limit;
static struct paging paging;

static void *page(void)
{
	return used < limit ? pages[used++] : NULL;
}

static int setup(void **state)
{
	(void)state;
	memset(pages, 0, sizeof(pages));
	used = 0;
	limit = ARRAY_SIZE(pages);
	paging = (struct paging){ .root = page(), .alloc = page };
	return 0;
}

/* What the processor would do; false: not present. */
static bool walk(u64 va, u64 *pa, u64 *rights)
{
	u64 *table = paging.root;

	for (u32 shift = 39;; shift -= 9) {
		u64 entry = table[(va >> shift) % 512];

		if (!(entry & PTE_PRESENT))
			return false;
		if (shift == 12 || (entry & PTE_LARGE)) {
			*pa = (entry & PTE_ADDR) + va % BIT(shift);
			*rights = entry & (PTE_WRITE | PTE_NX);
			return true;
		}
		assert_true(entry & PTE_WRITE);
		assert_false(entry & PTE_NX);
		table = (u64 *)(entry & PTE_ADDR);
	}
}

static void check(u64 va, u64 want, u64 want_rights)
{
	u64 pa, rights;

	assert_true(walk(va, &pa, &rights));
	assert_int_equal(pa, want);
	assert_int_equal(rights, want_rights);
}

static void large_leaves(void **state)
{
	u64 pa, rights;

	(void)state;
	assert_true(paging_map(&paging, 0, 0, GIB(1), PTE_WRITE | PTE_NX));
	assert_int_equal(used, 3); /* root, one PDPT, one PD: no 4 KiB tables */
	check(0, 0, PTE_WRITE | PTE_NX);
	check(GIB(1) - 1, GIB(1) - 1, PTE_WRITE | PTE_NX);
	assert_false(walk(GIB(1), &pa, &rights));
}

static void one_page_splits_a_large_one(void **state)
{
	(void)state;
	assert_true(paging_map(&paging, 0, 0, MIB(4), PTE_WRITE | PTE_NX));
	assert_true(paging_map(&paging, 0x9e000, 0x9e000, PAGE_SIZE, 0));
	check(0x9d000, 0x9d000, PTE_WRITE | PTE_NX);
	check(0x9e123, 0x9e123, 0);
	check(0x9f000, 0x9f000, PTE_WRITE | PTE_NX);
	check(0x1ff000, 0x1ff000, PTE_WRITE | PTE_NX);
	check(MIB(2), MIB(2), PTE_WRITE | PTE_NX);
	/* a large range over the split one keeps the table and changes its leaves */
	assert_true(paging_map(&paging, 0, MIB(8), MIB(2), PTE_NX));
	check(0x9e000, MIB(8) + 0x9e000, PTE_NX);
}

static void high_half_with_other_physical_pages(void **state)
{
	u64 pa, rights;

	(void)state;
	assert_true(paging_map(&paging, 0xffffffff80000000ull, 0x12345000, 0x3000, 0));
	assert_true(paging_map(&paging, 0xffffffff80003000ull, 0x12348000, 0x1000, PTE_NX));
	check(0xffffffff80002fff, 0x12347fff, 0);
	check(0xffffffff80003000, 0x12348000, PTE_NX);
	assert_false(walk(0xffffffff80004000, &pa, &rights));
	/* no large leaf where the physical address does not allow it */
	assert_true(paging_map(&paging, 0xffffffffc0000000ull, 0x1000, MIB(2), PTE_WRITE));
	check(0xffffffffc01ff000, 0x200000, PTE_WRITE);
}

static void says_when_pages_run_out(void **state)
{
	(void)state;
	for (limit = 1; limit < 4; limit++)
		assert_false(paging_map(&paging, 0x1000, 0x1000, PAGE_SIZE, 0));
	limit = 4;
	assert_true(paging_map(&paging, 0x1000, 0x1000, PAGE_SIZE, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(large_leaves, setup),
		cmocka_unit_test_setup(one_page_splits_a_large_one, setup),
		cmocka_unit_test_setup(high_half_with_other_physical_pages, setup),
		cmocka_unit_test_setup(says_when_pages_run_out, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
