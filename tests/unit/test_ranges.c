// SOURCES: boot/ranges.c
#include "boot/ranges.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PAGES 256u

static struct boot_range room[64];
static struct range_list list;

static int setup(void **state)
{
	(void)state;
	memset(room, 0, sizeof(room));
	list = (struct range_list){ .range = room, .max = ARRAY_SIZE(room) };
	return 0;
}

static void check(u32 i, u64 base, u64 size, u32 kind)
{
	assert_true(i < list.count);
	assert_int_equal(room[i].base, base);
	assert_int_equal(room[i].size, size);
	assert_int_equal(room[i].kind, kind);
}

static void sorts_and_merges(void **state)
{
	(void)state;
	ranges_set(&list, 0x5000, 0x1000, BOOT_MEM_FREE);
	ranges_set(&list, 0x1000, 0x1000, BOOT_MEM_FREE);
	ranges_set(&list, 0x3000, 0x2000, BOOT_MEM_FREE);
	ranges_set(&list, 0x2000, 0x1000, BOOT_MEM_FREE);
	assert_int_equal(list.count, 1);
	check(0, 0x1000, 0x5000, BOOT_MEM_FREE);
	assert_int_equal(ranges_total(&list, BOOT_MEM_FREE), 0x5000);
	assert_int_equal(ranges_total(&list, BOOT_MEM_FILE), 0);
}

static void the_later_kind_wins(void **state)
{
	(void)state;
	ranges_set(&list, 0x1000, 0x9000, BOOT_MEM_FREE);
	ranges_set(&list, 0x4000, 0x2000, BOOT_MEM_KERNEL);
	assert_int_equal(list.count, 3);
	check(0, 0x1000, 0x3000, BOOT_MEM_FREE);
	check(1, 0x4000, 0x2000, BOOT_MEM_KERNEL);
	check(2, 0x6000, 0x4000, BOOT_MEM_FREE);
	ranges_set(&list, 0x3000, 0x2000, BOOT_MEM_FILE);
	check(0, 0x1000, 0x2000, BOOT_MEM_FREE);
	check(1, 0x3000, 0x2000, BOOT_MEM_FILE);
	check(2, 0x5000, 0x1000, BOOT_MEM_KERNEL);
	ranges_set(&list, 0, 0x10000, BOOT_MEM_RESERVED);
	assert_int_equal(list.count, 1);
	check(0, 0, 0x10000, BOOT_MEM_RESERVED);
}

static void nonsense_is_ignored(void **state)
{
	(void)state;
	ranges_set(&list, 0x1000, 0, BOOT_MEM_FREE);
	ranges_set(&list, ~0ull - 0xfff, 0x2000, BOOT_MEM_FREE);
	assert_int_equal(list.count, 0);
}

/* A full array gives up the smallest free range and says how much that was. */
static void full_array_drops_small_free(void **state)
{
	u64 free_bytes;

	(void)state;
	ranges_set(&list, 0x10000000, 0x1000, BOOT_MEM_KERNEL);
	ranges_set(&list, 0x20000000, 0x100000, BOOT_MEM_FREE);
	for (u64 i = 0; i < 200; i++)
		ranges_set(&list, 0x30000000 + i * 0x10000, 0x2000 + (i % 3) * 0x1000,
			   BOOT_MEM_FREE);
	assert_true(list.count <= list.max);
	check(0, 0x10000000, 0x1000, BOOT_MEM_KERNEL);
	check(1, 0x20000000, 0x100000, BOOT_MEM_FREE);
	free_bytes = ranges_total(&list, BOOT_MEM_FREE);
	assert_int_equal(free_bytes + list.lost,
			 0x100000 + 67 * 0x2000 + 67 * 0x3000 + 66 * 0x4000);
}

/* Against the obvious model: one kind per page. */
static void agrees_with_a_page_array(void **state)
{
	u8 model[PAGES];

	(void)state;
	srand(1);
	for (u32 round = 0; round < 300; round++) {
		static struct boot_range wide[PAGES + 4];

		list = (struct range_list){ .range = wide, .max = ARRAY_SIZE(wide) };
		memset(model, 0, sizeof(model));
		for (u32 i = 0; i < 60; i++) {
			u32 base = (u32)rand() % PAGES, size = (u32)rand() % (PAGES - base + 1);
			u32 kind = 1 + (u32)rand() % 6;

			ranges_set(&list, base * PAGE_SIZE, size * PAGE_SIZE, kind);
			memset(model + base, (int)kind, size);
		}
		for (u32 i = 0; i < list.count; i++) {
			const struct boot_range *r = &wide[i];

			assert_true(r->size > 0);
			if (i > 0)
				assert_true(wide[i - 1].base + wide[i - 1].size < r->base ||
					    (wide[i - 1].base + wide[i - 1].size == r->base &&
					     wide[i - 1].kind != r->kind));
			for (u64 p = r->base / PAGE_SIZE; p < (r->base + r->size) / PAGE_SIZE;
			     p++) {
				assert_int_equal(model[p], r->kind);
				model[p] = 0;
			}
		}
		for (u32 p = 0; p < PAGES; p++)
			assert_int_equal(model[p], 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(sorts_and_merges, setup),
		cmocka_unit_test_setup(the_later_kind_wins, setup),
		cmocka_unit_test_setup(nonsense_is_ignored, setup),
		cmocka_unit_test_setup(full_array_drops_small_free, setup),
		cmocka_unit_test_setup(agrees_with_a_page_array, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
