/*
 * The I/O map: refusals, look-up in any order, split accesses, all ones.
 */
// SOURCES: vmm/iomap.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "vmm/iomap.h"

struct probe {
	u64 reads, writes, off, value;
	u32 size;
};

static u64 probe_read(void *dev, u64 off, u32 size)
{
	struct probe *p = dev;

	p->reads++;
	p->off = off;
	p->size = size;
	return 0x1122334455667700ull + off; /* more bits than asked for */
}

static void probe_write(void *dev, u64 off, u32 size, u64 value)
{
	struct probe *p = dev;

	p->writes++;
	p->off = off;
	p->size = size;
	p->value = value;
}

static bool add(enum io_space space, u64 base, u64 len, struct probe *p)
{
	struct io_range r = { base, len, p, probe_read, probe_write, "probe" };

	return iomap_add(space, &r);
}

static int clear(void **state)
{
	(void)state;
	iomap_clear();
	return 0;
}

static void test_refusals(void **state)
{
	struct probe p = { 0 };

	(void)state;
	assert_false(add(IO_PORT, 0x60, 0, &p));
	assert_false(add(IO_PORT, 0xfff0, 0x11, &p));
	assert_true(add(IO_PORT, 0xfff0, 0x10, &p));
	assert_false(add(IO_MMIO, ~0ull, 2, &p));
	assert_true(add(IO_MMIO, 0xfec00000, 0x1000, &p));
	for (u64 base = 0xfebff000; base < 0xfec01000; base += 0x100) {
		bool overlap = base + 0x200 > 0xfec00000;

		if (overlap)
			assert_false(add(IO_MMIO, base, 0x200, &p));
	}
	assert_false(add(IO_MMIO, 0xfec00fff, 1, &p));
	assert_false(add(IO_MMIO, 0, ~0ull, &p)); /* around all of it */
	assert_true(add(IO_MMIO, 0xfec01000, 1, &p));
	assert_true(add(IO_MMIO, 0xfebfffff, 1, &p));
	assert_true(add(IO_PORT, 0x60, 1, &p)); /* spaces are apart */
}

static void test_full(void **state)
{
	struct probe p = { 0 };
	u32 n = 0;

	(void)state;
	while (n < 1000 && add(IO_PORT, n * 2, 1, &p))
		n++;
	assert_true(n >= 32 && n < 1000);
	assert_ptr_equal(iomap_find(IO_PORT, 2 * (n - 1))->dev, &p);
	assert_null(iomap_find(IO_PORT, 2 * n));
}

static void test_nobody(void **state)
{
	(void)state;
	assert_int_equal(iomap_read(IO_PORT, 0x80, 1), 0xff);
	assert_int_equal(iomap_read(IO_PORT, 0x80, 2), 0xffff);
	assert_int_equal(iomap_read(IO_PORT, 0xffff, 4), 0xffffffff);
	assert_int_equal(iomap_read(IO_MMIO, ~0ull, 8), ~0ull);
	iomap_write(IO_MMIO, ~0ull, 8, 1);
	iomap_write(IO_PORT, 0, 1, 1);
}

static void test_sizes(void **state)
{
	struct probe p = { 0 };

	(void)state;
	assert_true(add(IO_MMIO, 0x1000, 0x100, &p));
	assert_int_equal(iomap_read(IO_MMIO, 0x1010, 1), 0x10);
	assert_int_equal(iomap_read(IO_MMIO, 0x1010, 2), 0x7710);
	assert_int_equal(iomap_read(IO_MMIO, 0x1010, 4), 0x55667710);
	assert_int_equal(iomap_read(IO_MMIO, 0x1010, 8), 0x1122334455667710ull);
	assert_int_equal(p.off, 0x10);
	iomap_write(IO_MMIO, 0x10fe, 2, 0xabcdef);
	assert_int_equal(p.value, 0xcdef);
	assert_int_equal(p.off, 0xfe);
	assert_int_equal(p.size, 2);
}

static void test_split(void **state)
{
	struct probe a = { 0 }, b = { 0 };

	(void)state;
	assert_true(add(IO_PORT, 0x100, 2, &a));
	assert_true(add(IO_PORT, 0x103, 4, &b));
	/* 0x101 of a; 0x102 nobody; 0x103, 0x104 of b */
	assert_int_equal(iomap_read(IO_PORT, 0x101, 4), 0x0100ff01);
	assert_int_equal(a.reads, 1);
	assert_int_equal(b.reads, 2);
	assert_int_equal(b.size, 1);
	iomap_write(IO_PORT, 0x101, 4, 0x44332211);
	assert_int_equal(a.writes, 1);
	assert_int_equal(a.value, 0x11);
	assert_int_equal(b.writes, 2);
	assert_int_equal(b.value, 0x44);
	assert_int_equal(b.off, 1);
	/* from nobody into a, and out of the space */
	assert_int_equal(iomap_read(IO_PORT, 0xff, 2), 0x00ff);
	assert_int_equal(iomap_read(IO_PORT, 0x106, 4), 0xffffff03);
}

static void test_one_way(void **state)
{
	struct io_range r = { .base = 0x80, .len = 1, .name = "post" };

	(void)state;
	assert_true(iomap_add(IO_PORT, &r));
	assert_int_equal(iomap_read(IO_PORT, 0x80, 1), 0xff);
	assert_int_equal(iomap_read(IO_PORT, 0x80, 2), 0xffff);
	iomap_write(IO_PORT, 0x80, 1, 0);
	iomap_write(IO_PORT, 0x80, 2, 0);
}

/* Against a plain array, ranges added in random order. */
static void test_random(void **state)
{
	static struct probe probes[40];
	static struct probe *owner[4096];

	(void)state;
	srand(1);
	for (u32 i = 0; i < 40; i++) {
		u32 base = (u32)rand() % 4096, len = 1 + (u32)rand() % 64;
		bool free_range = base + len <= 4096;

		for (u32 n = base; free_range && n < base + len; n++)
			free_range = !owner[n];
		if (base + len > 4096)
			continue;
		assert_int_equal(add(IO_PORT, base, len, &probes[i]), free_range);
		for (u32 n = base; free_range && n < base + len; n++)
			owner[n] = &probes[i];
	}
	for (u32 i = 0; i < 20000; i++) {
		u32 at = (u32)rand() % 4096;
		const struct io_range *r = iomap_find(IO_PORT, at);

		assert_ptr_equal(r ? r->dev : NULL, owner[at]);
		if (owner[at]) {
			u64 before = owner[at]->reads;

			iomap_read(IO_PORT, at, 1);
			assert_int_equal(owner[at]->reads, before + 1);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_refusals, clear),
		cmocka_unit_test_setup(test_full, clear),
		cmocka_unit_test_setup(test_nobody, clear),
		cmocka_unit_test_setup(test_sizes, clear),
		cmocka_unit_test_setup(test_split, clear),
		cmocka_unit_test_setup(test_one_way, clear),
		cmocka_unit_test_setup(test_random, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
