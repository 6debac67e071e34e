/*
 * The page-table walker against a reference model (one array slot per page):
 * all three formats, random map and unmap, failures of the page source.
 */
// SOURCES: arch/mmu.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/frames.h"
#include "arch/mmu.h"
#include "arch/panic.h"

u64 kdirect_base;

static jmp_buf on_panic;
static bool panic_expected;

void panic(const char *fmt, ...)
{
	if (!panic_expected)
		fail_msg("panic: %s", fmt);
	longjmp(on_panic, 1);
}

static u32 live_pages;
static u32 pages_left = ~0u; /* until the source runs dry */

static void *page_alloc(u16 owner)
{
	void *p;

	assert_int_equal(owner, 7);
	if (pages_left == 0)
		return NULL;
	pages_left--;
	p = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
	memset(p, 0, PAGE_SIZE);
	live_pages++;
	return p;
}

static void page_free(void *page, u16 owner)
{
	assert_int_equal(owner, 7);
	live_pages--;
	free(page);
}

static const struct frame_ops ops = { page_alloc, page_free };

static const struct mmu_fmt *const formats[] = { &mmu_host, &mmu_npt, &mmu_ept };

static struct mmu new_mmu(const struct mmu_fmt *fmt)
{
	struct mmu m;

	mmu_set_frames(&ops);
	pages_left = ~0u;
	assert_int_equal(mmu_init(&m, fmt, 7), OK);
	return m;
}

static void end_mmu(struct mmu *m)
{
	mmu_destroy(m, 0, 0);
	mmu_fini(m);
	assert_int_equal(live_pages, 0);
}

static u64 raw_entry(const struct mmu *m, u64 va, u32 level)
{
	const u64 *t = virt_of(m->root);

	for (u32 l = 3; l > level; l--)
		t = virt_of(t[va >> (12 + 9 * l) & 511] & 0x000ffffffffff000ull);
	return t[va >> (12 + 9 * level) & 511];
}

static void test_host_bits(void **state)
{
	struct mmu m = new_mmu(&mmu_host);
	u64 kernel = 0xffff800000000000ull;

	(void)state;
	assert_int_equal(mmu_map(&m, kernel, 0x5000, 0x1000, MMU_R | MMU_W | MMU_GLOBAL), OK);
	/* P W A D G NX */
	assert_int_equal(raw_entry(&m, kernel, 0), 0x8000000000005163ull);
	assert_int_equal(mmu_map(&m, 0x400000, 0x800000, 0x200000, MMU_R | MMU_X | MMU_USER), OK);
	/* P U A D PS */
	assert_int_equal(raw_entry(&m, 0x400000, 1), 0x8000e5);
	assert_int_equal(mmu_map(&m, kernel + 0x1000, 0xfee00000, 0x1000, MMU_R | MMU_W | MMU_UC),
			 OK);
	/* P W PWT PCD A D NX: PAT entry 3 */
	assert_int_equal(raw_entry(&m, kernel + 0x1000, 0), 0x80000000fee0007bull);
	end_mmu(&m);
}

static void test_npt_bits(void **state)
{
	struct mmu m = new_mmu(&mmu_npt);

	(void)state;
	assert_int_equal(mmu_map(&m, 0x200000, 0x600000, 0x200000, MMU_R | MMU_W | MMU_X), OK);
	/* nested walks are user accesses: U at every level */
	assert_int_equal(raw_entry(&m, 0x200000, 1), 0x6000e7);
	assert_int_equal(raw_entry(&m, 0x200000, 2) & 7, 7);
	assert_int_equal(raw_entry(&m, 0x200000, 3) & 7, 7);
	end_mmu(&m);
}

static void test_ept_bits(void **state)
{
	struct mmu m = new_mmu(&mmu_ept);

	(void)state;
	assert_int_equal(mmu_map(&m, 0, 0x3000, 0x1000, MMU_R | MMU_X), OK);
	/* R X, WB and no PAT, A D */
	assert_int_equal(raw_entry(&m, 0, 0), 0x3375);
	assert_int_equal(mmu_map(&m, 0x1000, 0x4000, 0x1000, MMU_R | MMU_W | MMU_UC), OK);
	assert_int_equal(raw_entry(&m, 0x1000, 0), 0x4303);
	assert_int_equal(raw_entry(&m, 0x1000, 3) & 7, 7);
	end_mmu(&m);
}

static void test_leaf_sizes(void **state)
{
	struct mmu m = new_mmu(&mmu_host);
	u64 leaf;
	hpa_t pa;

	(void)state;
	/* 4 KiB up to the alignment, then 2 MiB, then 4 KiB again */
	assert_int_equal(mmu_map(&m, 0x1ff000, 0x7ff000, 0x202000, MMU_R), OK);
	assert_true(mmu_walk(&m, 0x1ff123, &pa, NULL, &leaf));
	assert_int_equal(leaf, 0x1000);
	assert_int_equal(pa, 0x7ff123);
	assert_true(mmu_walk(&m, 0x2abcde, &pa, NULL, &leaf));
	assert_int_equal(leaf, 0x200000);
	assert_int_equal(pa, 0x8abcde);
	assert_true(mmu_walk(&m, 0x400fff, &pa, NULL, &leaf));
	assert_int_equal(leaf, 0x1000);
	assert_int_equal(pa, 0xa00fff);
	assert_false(mmu_walk(&m, 0x401000, NULL, NULL, NULL));
	assert_false(mmu_walk(&m, 0x1fefff, NULL, NULL, NULL));
	/* differently aligned: no large leaf */
	assert_int_equal(mmu_map(&m, 0x40000000, 0x1000, 0x400000, MMU_R), OK);
	assert_true(mmu_walk(&m, 0x40200000, NULL, NULL, &leaf));
	assert_int_equal(leaf, 0x1000);
	/* none at all */
	m.small = true;
	assert_int_equal(mmu_map(&m, 0x60000000, 0x600000, 0x200000, MMU_R), OK);
	assert_true(mmu_walk(&m, 0x601fffff, &pa, NULL, &leaf));
	assert_int_equal(leaf, 0x1000);
	assert_int_equal(pa, 0x7fffff);
	m.small = false;
	/* 1 GiB leaves only where they are allowed */
	m.gib = true;
	assert_int_equal(mmu_map(&m, 0x80000000, 0xc0000000, 0x40000000, MMU_R), OK);
	assert_true(mmu_walk(&m, 0xbfffffff, &pa, NULL, &leaf));
	assert_int_equal(leaf, 0x40000000);
	assert_int_equal(pa, 0xffffffff);
	end_mmu(&m);
}

static void test_bad_arguments(void **state)
{
	struct mmu m = new_mmu(&mmu_host);

	(void)state;
	assert_int_equal(mmu_map(&m, 0x800, 0, 0x1000, MMU_R), ERR_INVAL);
	assert_int_equal(mmu_map(&m, 0, 0x10, 0x1000, MMU_R), ERR_INVAL);
	assert_int_equal(mmu_map(&m, 0, 0, 0x1001, MMU_R), ERR_INVAL);
	assert_int_equal(mmu_map(&m, 0, 0, 0, MMU_R), ERR_INVAL);
	assert_int_equal(mmu_map(&m, 0, 0, 0x1000, MMU_W), ERR_INVAL);
	/* not canonical; over the end; beyond physical addresses */
	assert_int_equal(mmu_map(&m, 0x0001000000000000ull, 0, 0x1000, MMU_R), ERR_INVAL);
	assert_int_equal(mmu_map(&m, 0xffff000000000000ull, 0, 0x1000, MMU_R), ERR_INVAL);
	assert_int_equal(mmu_map(&m, 0xfffffffffffff000ull, 0, 0x2000, MMU_R), ERR_INVAL);
	assert_int_equal(mmu_map(&m, 0, 0x0010000000000000ull, 0x1000, MMU_R), ERR_INVAL);
	assert_int_equal(mmu_map(&m, 0, 0x000ffffffffff000ull, 0x2000, MMU_R), ERR_INVAL);
	assert_int_equal(live_pages, 1);
	assert_int_equal(mmu_map(&m, 0xfffffffffffff000ull, 0, 0x1000, MMU_R), OK);
	assert_true(mmu_walk(&m, ~0ull, NULL, NULL, NULL));
	end_mmu(&m);
}

static void test_exist_changes_nothing(void **state)
{
	struct mmu m = new_mmu(&mmu_npt);
	hpa_t pa;
	u32 before;

	(void)state;
	assert_int_equal(mmu_map(&m, 0x600000, 0x200000, 0x200000, MMU_R), OK);
	before = live_pages;
	assert_int_equal(mmu_map(&m, 0, 0x10000000, 0x601000, MMU_R), ERR_EXIST);
	assert_int_equal(mmu_map(&m, 0x7ff000, 0, 0x1000, MMU_R), ERR_EXIST);
	assert_int_equal(live_pages, before);
	assert_false(mmu_walk(&m, 0, NULL, NULL, NULL));
	assert_true(mmu_walk(&m, 0x600000, &pa, NULL, NULL));
	assert_int_equal(pa, 0x200000);
	end_mmu(&m);
}

/* Whenever memory runs out: nothing is mapped, and no table is lost. */
static void test_out_of_memory(void **state)
{
	(void)state;
	for (u32 pages = 0; pages < 12; pages++) {
		struct mmu m = new_mmu(&mmu_host);
		u64 va = 0x7fffe00000ull; /* crosses a 512 GiB entry */
		u64 size = 0x600000;
		enum err err;
		u32 before;

		assert_int_equal(mmu_map(&m, 0x1000, 0x1000, 0x1000, MMU_R), OK);
		before = live_pages;
		pages_left = pages;
		err = mmu_map(&m, va, 0x3000, size, MMU_R | MMU_W);
		if (err) {
			assert_int_equal(err, ERR_NOMEM);
			assert_true(pages < 6);
			assert_int_equal(live_pages, before);
			for (u64 a = va; a < va + size; a += PAGE_SIZE)
				assert_false(mmu_walk(&m, a, NULL, NULL, NULL));
		} else {
			assert_true(pages >= 6); /* PD, PT; PDPT, PD, two PTs */
		}
		assert_true(mmu_walk(&m, 0x1000, NULL, NULL, NULL));
		end_mmu(&m);
	}
}

static void test_part_of_large_leaf(void **state)
{
	struct mmu m = new_mmu(&mmu_host);

	(void)state;
	assert_int_equal(mmu_map(&m, 0x200000, 0, 0x200000, MMU_R), OK);
	panic_expected = true;
	if (setjmp(on_panic) == 0) {
		mmu_unmap(&m, 0x200000, 0x1000);
		fail_msg("a part of a large leaf was unmapped");
	}
	panic_expected = false;
	end_mmu(&m);
}

static void test_keep_tables(void **state)
{
	struct mmu m = new_mmu(&mmu_host);
	u64 entry;

	(void)state;
	m.keep = true;
	assert_int_equal(mmu_map(&m, 0x1000, 0x1000, 0x1000, MMU_R), OK);
	entry = raw_entry(&m, 0x1000, 3);
	mmu_unmap(&m, 0x1000, 0x1000);
	assert_false(mmu_walk(&m, 0x1000, NULL, NULL, NULL));
	assert_int_equal(raw_entry(&m, 0x1000, 3), entry);
	end_mmu(&m);
}

static void test_destroy_range(void **state)
{
	struct mmu m = new_mmu(&mmu_host);
	u64 half = 0xffff800000000000ull;

	(void)state;
	assert_int_equal(mmu_map(&m, 0x1000, 0x1000, 0x1000, MMU_R), OK);
	assert_int_equal(mmu_map(&m, half, 0x1000, 0x1000, MMU_R), OK);
	mmu_destroy(&m, 0, half);
	assert_false(mmu_walk(&m, 0x1000, NULL, NULL, NULL));
	assert_true(mmu_walk(&m, half, NULL, NULL, NULL));
	assert_int_equal(live_pages, 4);
	end_mmu(&m);
}

/* ---- random operations; the model has one slot per 4 KiB page ---- */

#define MODEL_PAGES 4096u /* 16 MiB, from BASE, over a 1 GiB boundary */
#define BASE 0x3f800000ull

static struct {
	bool mapped, head; /* head: first page of a mapping */
	hpa_t pa;
	u32 prot, pages;
} model[MODEL_PAGES];

static u32 seed = 12345;

static u32 rnd(u32 n)
{
	seed = seed * 1664525 + 1013904223;
	return (u32)((u64)(seed >> 8) * n >> 24);
}

static void check_all(const struct mmu *m)
{
	for (u32 i = 0; i < MODEL_PAGES; i++) {
		hpa_t pa = 0;
		u32 prot = 0;
		bool mapped = mmu_walk(m, BASE + i * PAGE_SIZE + 5, &pa, &prot, NULL);

		assert_int_equal(mapped, model[i].mapped);
		if (mapped) {
			assert_int_equal(pa, model[i].pa + 5);
			assert_int_equal(prot, model[i].prot);
		}
	}
}

static void random_map(struct mmu *m, u32 prot_mask)
{
	u32 shift = rnd(3) == 0 ? 9 : 0; /* a third of them are large */
	u32 pages = (1 + rnd(shift ? 3 : 40)) << shift;
	u32 first = rnd(MODEL_PAGES) >> shift << shift;
	hpa_t pa = (hpa_t)(rnd(1 << 20) >> shift << shift) * PAGE_SIZE;
	u32 prot = (rnd(64) & prot_mask) | MMU_R;
	bool free = true;
	enum err err;

	pages = MIN(pages, MODEL_PAGES - first);
	for (u32 i = 0; i < pages; i++)
		free = free && !model[first + i].mapped;
	pages_left = rnd(8) ? ~0u : rnd(4);
	err = mmu_map(m, BASE + first * PAGE_SIZE, pa, pages * PAGE_SIZE, prot);
	if (!free) {
		assert_int_equal(err, ERR_EXIST);
		return;
	}
	if (err) {
		assert_int_equal(err, ERR_NOMEM);
		assert_true(pages_left < 4);
		return;
	}
	for (u32 i = 0; i < pages; i++) {
		model[first + i].mapped = true;
		model[first + i].head = i == 0;
		model[first + i].pages = pages;
		model[first + i].pa = pa + i * PAGE_SIZE;
		model[first + i].prot = prot;
	}
}

/* Unmaps whole earlier mappings, with the holes between them. */
static void random_unmap(struct mmu *m)
{
	u32 first = rnd(MODEL_PAGES);
	u32 end;

	while (first < MODEL_PAGES && !model[first].head)
		first++;
	if (first == MODEL_PAGES)
		return;
	end = first + model[first].pages;
	for (u32 more = rnd(3); more > 0; more--) {
		while (end < MODEL_PAGES && !model[end].mapped)
			end++;
		if (end < MODEL_PAGES)
			end += model[end].pages;
	}
	mmu_unmap(m, BASE + first * PAGE_SIZE, (end - first) * PAGE_SIZE);
	for (u32 i = first; i < end; i++)
		memset(&model[i], 0, sizeof(model[i]));
}

static void test_random(void **state)
{
	(void)state;
	for (u32 f = 0; f < ARRAY_SIZE(formats); f++) {
		struct mmu m = new_mmu(formats[f]);
		u32 prot_mask = MMU_W | MMU_X | MMU_UC;

		if (formats[f] == &mmu_host)
			prot_mask |= MMU_USER | MMU_GLOBAL;
		memset(model, 0, sizeof(model));
		for (u32 round = 0; round < 2000; round++) {
			if (rnd(2))
				random_map(&m, prot_mask);
			else
				random_unmap(&m);
			if (round % 50 == 0)
				check_all(&m);
		}
		check_all(&m);
		mmu_unmap(&m, BASE, MODEL_PAGES * PAGE_SIZE);
		assert_int_equal(live_pages, 1);
		end_mmu(&m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_host_bits),     cmocka_unit_test(test_npt_bits),
		cmocka_unit_test(test_ept_bits),      cmocka_unit_test(test_leaf_sizes),
		cmocka_unit_test(test_bad_arguments), cmocka_unit_test(test_exist_changes_nothing),
		cmocka_unit_test(test_out_of_memory), cmocka_unit_test(test_part_of_large_leaf),
		cmocka_unit_test(test_keep_tables),   cmocka_unit_test(test_destroy_range),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
