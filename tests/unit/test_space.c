/*
 * A VM's address spaces (kernel/space.c, monitor.c) over real page tables and
 * the real page allocator: what is mapped how on which side, and that all of
 * it comes back.
 */
// SOURCES: kernel/vcpu.c kernel/events.c kernel/exits*.c kernel/upcall.c kernel/syscall.c kernel/vm*.c
// SOURCES: kernel/space.c kernel/monitor.c kernel/pages*.c kernel/loop.c kernel/control.c
// SOURCES: kernel/restart.c
// SOURCES: kernel/crash.c kernel/time.c kernel/timer.c kernel/lapic*.c kernel/msrs.c
// SOURCES: kernel/cpuid*.c kernel/control_regs.c kernel/console*.c kernel/print.c arch/mmu.c
// SOURCES: arch/svm/svm_exit.c tests/unit/fake/world.c tests/unit/fake/fake_log.c
// SOURCES: tests/unit/fake/fake_panic.c tests/unit/fake/fake_kdirect.c
// SOURCES: kernel/dump.c kernel/trace.c
// FLAGS: -Itests/unit/fake/hw
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86.h"
#include "kernel/monitor.h"
#include "kernel/pages.h"
#include "world.h"

#define OWNER 7
#define ROOM MIB(64) /* of guest RAM: one page of extents */

static struct space s;

static int setup(void **state)
{
	(void)state;
	world_setup(24);
	assert_int_equal(space_create(&s, OWNER, ROOM), OK);
	return 0;
}

static u32 release_all(void)
{
	u32 steps = 0;

	while (space_release_step(&s))
		assert_true(++steps < 1000);
	for (u32 kind = 0; kind < PAGE_KINDS; kind++)
		assert_int_equal(pages_owned(OWNER, (enum page_kind)kind), 0);
	return steps;
}

static int teardown(void **state)
{
	(void)state;
	release_all();
	world_teardown();
	return 0;
}

static u32 user_prot(u64 va)
{
	u32 prot = 0;

	return mmu_walk(&s.user, va, NULL, &prot, NULL) ? prot : 0;
}

static void ram_is_mapped_on_both_sides(void **state)
{
	(void)state;
	for (u32 i = 0; i < 5; i++)
		assert_int_equal(space_add_ram(&s, i * CHUNK_SIZE), OK);
	assert_int_equal(s.extent_count, 1); /* contiguous as the pool was fresh */
	assert_int_equal(s.extents[0].size, 5 * CHUNK_SIZE);
	for (u32 i = 0; i < 5; i++) {
		hpa_t user, nested;
		u64 size;
		u32 prot;

		assert_true(mmu_walk(&s.nested, i * CHUNK_SIZE + 0x1234, &nested, &prot, &size));
		assert_int_equal(size, CHUNK_SIZE);
		assert_int_equal(prot & (MMU_R | MMU_W | MMU_X), MMU_R | MMU_W | MMU_X);
		assert_true(mmu_walk(&s.user, ABI_GUEST_BASE + i * CHUNK_SIZE + 0x1234, &user,
				     &prot, &size));
		assert_int_equal(prot, MMU_R | MMU_W | MMU_USER); /* no monitor runs guest RAM */
		assert_int_equal(user, nested);
		assert_int_equal(user, s.extents[0].hpa + i * CHUNK_SIZE + 0x1234);
	}
	assert_false(mmu_walk(&s.nested, 5 * CHUNK_SIZE, NULL, NULL, NULL));
	assert_false(mmu_walk(&s.user, ABI_GUEST_BASE + 5 * CHUNK_SIZE, NULL, NULL, NULL));
	assert_true(space_is_ram(&s, 0));
	assert_true(space_is_ram(&s, 5 * CHUNK_SIZE - 1));
	assert_false(space_is_ram(&s, 5 * CHUNK_SIZE));
	assert_false(space_is_ram(&s, ~0ull));
	/* one step per chunk, and the last one for all else */
	assert_int_equal(release_all(), 5);
	assert_int_equal(space_create(&s, OWNER, ROOM), OK);
}

/* Where a large translation is dangerous: nested ones are small, and go with their chunk. */
static void small_pages(void **state)
{
	u64 size, tables;

	(void)state;
	release_all();
	world_small_pages(true);
	assert_int_equal(space_create(&s, OWNER, ROOM), OK);
	world_small_pages(false);
	for (u32 i = 0; i < 5; i++)
		assert_int_equal(space_add_ram(&s, i * CHUNK_SIZE), OK);
	for (u64 gpa = 0; gpa < 5 * CHUNK_SIZE; gpa += PAGE_SIZE) {
		hpa_t hpa;

		assert_true(mmu_walk(&s.nested, gpa, &hpa, NULL, &size));
		assert_int_equal(size, PAGE_SIZE);
		assert_int_equal(hpa, s.extents[0].hpa + gpa);
	}
	assert_true(mmu_walk(&s.user, ABI_GUEST_BASE, NULL, NULL, &size));
	assert_int_equal(size, CHUNK_SIZE); /* no guest executes by these */
	tables = pages_owned(OWNER, PAGE_KERNEL);
	assert_true(space_release_step(&s));
	assert_int_equal(pages_owned(OWNER, PAGE_KERNEL), tables - PAGE_SIZE);
	assert_false(mmu_walk(&s.nested, 4 * CHUNK_SIZE, NULL, NULL, NULL));
	assert_true(mmu_walk(&s.nested, 4 * CHUNK_SIZE - 1, NULL, NULL, NULL));
	assert_int_equal(release_all(), 4);
	assert_int_equal(space_create(&s, OWNER, ROOM), OK);
}

static void holes_make_extents(void **state)
{
	(void)state;
	assert_int_equal(space_add_ram(&s, 0), OK);
	assert_int_equal(space_add_ram(&s, GIB(4)), OK);
	assert_int_equal(space_add_ram(&s, GIB(4) + CHUNK_SIZE), OK);
	assert_int_equal(s.extent_count, 2);
	assert_int_equal(s.extents[1].gpa, GIB(4));
	assert_int_equal(s.extents[1].size, 2 * CHUNK_SIZE);
	assert_false(space_is_ram(&s, CHUNK_SIZE));
	assert_true(space_is_ram(&s, GIB(4) + CHUNK_SIZE));
}

static void memory_in_too_many_pieces(void **state)
{
	u64 before = pages_owned(OWNER, PAGE_CHUNK);

	(void)state;
	s.extent_count = (PAGE_SIZE / sizeof(struct extent));
	for (u32 i = 0; i < (u32)(PAGE_SIZE / sizeof(struct extent)); i++)
		s.extents[i] = (struct extent){ GIB(100) + i * GIB(1), 0, CHUNK_SIZE };
	assert_int_equal(space_add_ram(&s, 0), ERR_NOMEM);
	assert_int_equal(pages_owned(OWNER, PAGE_CHUNK), before);
	s.extent_count = 0;
}

static void pages_of_the_monitor(void **state)
{
	u8 data[3 * 4096];
	hpa_t hpa;

	(void)state;
	assert_int_equal(space_add_user(&s, 0x500000, 0x4000, MMU_R | MMU_W), OK);
	for (u32 i = 0; i < 4; i++)
		assert_int_equal(user_prot(0x500000 + i * 4096), MMU_R | MMU_W | MMU_USER);
	assert_int_equal(user_prot(0x504000), 0);
	assert_int_equal(user_prot(0x4ff000), 0);
	for (u32 i = 0; i < sizeof(data); i++)
		data[i] = (u8)(i * 7);
	space_copy_in(&s, 0x500800, data, sizeof(data)); /* over page boundaries */
	for (u32 i = 0; i < sizeof(data); i++) {
		assert_true(mmu_walk(&s.user, 0x500800 + i, &hpa, NULL, NULL));
		assert_int_equal(*(u8 *)hpa, data[i]);
	}
	assert_true(mmu_walk(&s.user, 0x500000, &hpa, NULL, NULL));
	assert_int_equal(*(u8 *)hpa, 0);
	/* mapped already */
	assert_int_not_equal(space_add_user(&s, 0x503000, 0x1000, MMU_R), OK);
	/* what it would take too much of */
	assert_int_equal(space_add_user(&s, 0x600000, (SPACE_UPAGES + 1) * PAGE_SIZE, MMU_R),
			 ERR_NOMEM);
	assert_int_equal(s.upage_count, SPACE_UPAGES);
}

static void others_memory_stays_theirs(void **state)
{
	static u8 file[8192] ALIGNED(4096);

	(void)state;
	assert_int_equal(space_map_user(&s, ABI_FILE_BASE, (hpa_t)file, 5000, MMU_R), OK);
	assert_int_equal(user_prot(ABI_FILE_BASE), MMU_R | MMU_USER);
	assert_int_equal(user_prot(ABI_FILE_BASE + 4096), MMU_R | MMU_USER);
	assert_int_equal(user_prot(ABI_FILE_BASE + 8192), 0);
	assert_int_equal(s.upage_count, 0);
	assert_int_equal(s.extent_count, 0);
	/* release_all() would panic if it were freed */
}

static void the_program_is_shared_and_its_data_is_not(void **state)
{
	hpa_t text, data;

	(void)state;
	assert_int_equal(monitor_map(&s), OK);
	assert_int_equal(user_prot(ABI_IMAGE_BASE), MMU_R | MMU_X | MMU_USER);
	assert_int_equal(user_prot(ABI_IMAGE_BASE + 0x1000), MMU_R | MMU_X | MMU_USER);
	assert_int_equal(user_prot(ABI_IMAGE_BASE + 0x2000), 0);
	assert_int_equal(user_prot(ABI_IMAGE_BASE + 0x3000), MMU_R | MMU_W | MMU_USER);
	assert_int_equal(user_prot(ABI_IMAGE_BASE + 0x4000), MMU_R | MMU_W | MMU_USER);
	assert_int_equal(user_prot(ABI_IMAGE_BASE + 0x5000), 0);
	assert_true(mmu_walk(&s.user, ABI_IMAGE_BASE, &text, NULL, NULL));
	assert_memory_equal((void *)text, "\177ELF", 4);
	assert_true(mmu_walk(&s.user, ABI_IMAGE_BASE + 0x3000, &data, NULL, NULL));
	for (u32 i = 0; i < 4096; i++) /* .data, and zero around it */
		assert_int_equal(((u8 *)data)[i], i >= 0x100 && i < 0x300 ? 0xd5 : 0);
	assert_int_equal(s.upage_count, 2);
	assert_int_equal(monitor_entry(), ABI_IMAGE_BASE + 0x10);
}

/* All that a started VM has mapped, on both sides: nothing else is there. */
static void a_started_vm_sees_its_own_alone(void **state)
{
	const struct space *of;
	u32 prot;
	hpa_t hpa;

	(void)state;
	world_boot();
	world_start(0);
	of = &vms[0].space;
	assert_true(mmu_walk(&of->user, ABI_VM_PAGE, &hpa, &prot, NULL));
	assert_int_equal(prot, MMU_R | MMU_USER);
	assert_ptr_equal((void *)hpa, vms[0].page);
	assert_true(mmu_walk(&of->user, ABI_VCPU_PAGE(0), &hpa, &prot, NULL));
	assert_int_equal(prot, MMU_R | MMU_W | MMU_USER);
	assert_ptr_equal((void *)hpa, world.v->page);
	assert_false(mmu_walk(&of->user, ABI_VCPU_PAGE(1), NULL, NULL, NULL));
	assert_true(mmu_walk(&of->user, ABI_STACK_TOP(0) - 8, NULL, &prot, NULL));
	assert_int_equal(prot, MMU_R | MMU_W | MMU_USER);
	assert_true(mmu_walk(&of->user, ABI_STACK_TOP(0) - ABI_STACK_SIZE, NULL, NULL, NULL));
	assert_false(mmu_walk(&of->user, ABI_STACK_TOP(0) - ABI_STACK_SIZE - 1, NULL, NULL, NULL));
	assert_false(mmu_walk(&of->user, ABI_STACK_TOP(0), NULL, NULL, NULL));
	for (u64 va = 0; va < ABI_FILE_BASE + CHUNK_SIZE * 8; va += PAGE_SIZE) {
		if (!mmu_walk(&of->user, va, &hpa, &prot, NULL))
			continue;
		assert_true(prot & MMU_USER);
		assert_true((prot & (MMU_W | MMU_X)) != (MMU_W | MMU_X));
		/* written by the monitor: its pages, its vCPU page */
		if (prot & MMU_W) {
			bool own = hpa == (hpa_t)world.v->page;

			for (u32 i = 0; i < of->upage_count; i++)
				own |= of->upages[i] == hpa;
			assert_true(own);
		}
	}
	for (gpa_t gpa = 0; gpa < GIB(1); gpa += PAGE_SIZE)
		if (mmu_walk(&of->nested, gpa, &hpa, NULL, NULL))
			assert_true(space_is_ram(of, gpa));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(ram_is_mapped_on_both_sides),	    T(small_pages),
		T(ram_is_mapped_on_both_sides),	    T(holes_make_extents),
		T(memory_in_too_many_pieces),	    T(pages_of_the_monitor),
		T(others_memory_stays_theirs),	    T(the_program_is_shared_and_its_data_is_not),
		T(a_started_vm_sees_its_own_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
