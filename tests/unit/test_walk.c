/*
 * The guest page walk: every paging mode and page size, all combinations of
 * rights against a formula of the test's own, reserved bits, accessed and dirty
 * bits, tables outside RAM, and that the cache is never stale.
 */
// SOURCES: vmm/walk.c vmm/vm.c tests/unit/fake/sys_fake.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sys_fake.h"
#include "vmm/vm.h"
#include "vmm/walk.h"

#define P 1ull
#define W 2ull
#define U 4ull
#define A 0x20ull
#define D 0x40ull
#define PS 0x80ull
#define NX (1ull << 63)
#define LEAF 0x12345000ull

#define PG (1ull << 31)
#define WP (1ull << 16)
#define PSE (1ull << 4)
#define PAE (1ull << 5)
#define SMEP (1ull << 20)
#define SMAP (1ull << 21)
#define LMA (1ull << 10)
#define NXE (1ull << 11)
#define AC (1ull << 18)

#define ROOT 0x10000ull

static struct abi_vcpu *v;

static u64 *entry64(gpa_t table, u32 i)
{
	return (u64 *)(void *)guest_ptr(table + i * 8, 8);
}

static u32 *entry32(gpa_t table, u32 i)
{
	return (u32 *)(void *)guest_ptr(table + i * 4, 4);
}

static int setup(void **state)
{
	(void)state;
	sys_fake_reset(0x400000, 0x200000);
	walk_forget();
	v = &fake_vcpu;
	v->state.cr3 = ROOT;
	return 0;
}

static void mode_long(void)
{
	v->state.cr0 = PG | WP;
	v->state.cr4 = PAE;
	v->state.efer = LMA | NXE;
}

/* lin 0xffff800040201xxx: index 256, 1, 1, 1 */
#define LIN 0xffff800040201000ull
static u64 *pml4e, *pdpte, *pde, *pte;

static void map_long(void)
{
	mode_long();
	pml4e = entry64(ROOT, 256);
	pdpte = entry64(0x11000, 1);
	pde = entry64(0x12000, 1);
	pte = entry64(0x13000, 1);
	*pml4e = 0x11000 | P | W | U;
	*pdpte = 0x12000 | P | W | U;
	*pde = 0x13000 | P | W | U;
	*pte = LEAF | P | W | U;
}

static void expect_gpa(gva_t lin, u32 access, gpa_t gpa)
{
	struct walk w = { 0 };

	assert_int_equal(walk(v, lin, access, &w), WALK_OK);
	assert_int_equal(w.gpa, gpa);
}

static void expect_fault(gva_t lin, u32 access, u32 error)
{
	struct walk w = { 0 };

	assert_int_equal(walk(v, lin, access, &w), WALK_FAULT);
	assert_int_equal(w.error, error);
}

static void test_no_paging(void **state)
{
	(void)state;
	expect_gpa(0xfee00123, PF_WRITE, 0xfee00123);
}

static void test_32bit(void **state)
{
	(void)state;
	v->state.cr0 = PG | WP;
	v->state.cr4 = PSE;
	*entry32(ROOT, 0x3fb) = 0x11000 | P | W;
	*entry32(0x11000, 0x201) = 0xfec00000 | P | W;
	expect_gpa(0xfee01abc, PF_WRITE, 0xfec00abc);
	assert_int_equal(*entry32(ROOT, 0x3fb), 0x11000 | P | W | A);
	assert_int_equal(*entry32(0x11000, 0x201), 0xfec00000 | P | W | A | D);
	expect_fault(0xfee02000, PF_WRITE, PF_WRITE);
	expect_fault(0xfee01000, PF_USER, PF_USER | PF_PRESENT);
	/* a 4 MiB page with physical bits 32 and 39 */
	*entry32(ROOT, 5) = 0x00c00000 | 1 << 13 | 1 << 20 | P | W | U | PS;
	expect_gpa(0x01523456, PF_USER, 0x8100d23456);
	*entry32(ROOT, 5) |= 1 << 21;
	expect_fault(0x01523456, PF_USER, PF_USER | PF_PRESENT | PF_RSVD);
	v->state.cr4 = 0; /* PS means nothing then */
	*entry32(ROOT, 5) = 0x11000 | P | W | U | PS;
	*entry32(0x11000, 0x123) = 0x7000 | P | U;
	expect_gpa(0x01523456, PF_USER, 0x7456);
	/* supervisor writes to read-only pages, without and with WP */
	v->state.cr0 = PG;
	expect_gpa(0x01523456, PF_WRITE, 0x7456);
	v->state.cr0 = PG | WP;
	expect_fault(0x01523456, PF_WRITE, PF_WRITE | PF_PRESENT);
}

static void test_pae(void **state)
{
	(void)state;
	v->state.cr0 = PG | WP;
	v->state.cr4 = PAE;
	v->state.efer = NXE;
	v->state.cr3 = 0x10fe0; /* 32-byte aligned */
	*entry64(0x10fe0, 3) = 0x12000 | P;
	*entry64(0x12000, 0x1f6) = 0x13000 | P | W;
	*entry64(0x13000, 5) = 0xfec00000 | P | W | NX;
	expect_gpa(0xfec05678, PF_WRITE, 0xfec00678);
	assert_int_equal(*entry64(0x10fe0, 3), 0x12000 | P); /* no A here */
	assert_int_equal(*entry64(0x12000, 0x1f6), 0x13000 | P | W | A);
	assert_int_equal(*entry64(0x13000, 5), 0xfec00000 | P | W | NX | A | D);
	expect_fault(0xfec05678, PF_FETCH, PF_FETCH | PF_PRESENT);
	*entry64(0x12000, 1) = 0x00e00000 | P | W | PS;
	expect_gpa(0xc0234567, 0, 0x00e34567);
	*entry64(0x10fe0, 3) |= A; /* QEMU has been here: no reason for a fault */
	expect_gpa(0xc0234567, 0, 0x00e34567);
	*entry64(0x12000, 1) |= 1ull << 60;
	expect_fault(0xc0234567, 0, PF_PRESENT | PF_RSVD);
	*entry64(0x10fe0, 3) |= W; /* reserved */
	expect_fault(0xc0234567, 0, PF_PRESENT | PF_RSVD);
	expect_fault(0x80000000, 0, 0);
}

static void test_long_sizes(void **state)
{
	(void)state;
	map_long();
	expect_gpa(LIN + 0x678, PF_WRITE, LEAF + 0x678);
	*pde = 0x40000000 | P | W | U | PS | 1 << 12; /* PAT is not reserved */
	expect_gpa(LIN + 0x678, 0, 0x40001678);
	*pde |= 1 << 13;
	expect_fault(LIN, 0, PF_PRESENT | PF_RSVD);
	*pdpte = 0xc0000000 | P | W | U | PS;
	expect_gpa(LIN + 0x678, 0, 0xc0201678);
	*pml4e |= PS;
	expect_fault(LIN, 0, PF_PRESENT | PF_RSVD);
	map_long();
	*pte |= 1ull << 40; /* beyond phys_bits */
	expect_fault(LIN, PF_WRITE, PF_PRESENT | PF_RSVD | PF_WRITE);
	map_long();
	*pte |= 1ull << 52; /* the guest's to use */
	expect_gpa(LIN, 0, LEAF);
	v->state.efer = LMA;
	*pte |= NX;
	expect_fault(LIN, 0, PF_PRESENT | PF_RSVD);
	for (u32 i = 0; i < 4; i++) {
		u64 **e = (u64 * *[]){ &pml4e, &pdpte, &pde, &pte }[i];

		map_long();
		**e &= ~P;
		expect_fault(LIN, PF_USER | PF_WRITE, PF_USER | PF_WRITE);
		expect_fault(LIN, PF_FETCH, PF_FETCH);
		v->state.efer = LMA;
		expect_fault(LIN, PF_FETCH, 0);
		v->state.cr4 |= SMEP;
		expect_fault(LIN, PF_FETCH, PF_FETCH);
	}
}

/* Rights at two levels x access x control bits. */
static void test_rights(void **state)
{
	static const u32 accesses[] = { 0,	  PF_WRITE,	     PF_USER, PF_USER | PF_WRITE,
					PF_FETCH, PF_FETCH | PF_USER };

	(void)state;
	for (u32 bits = 0; bits < 1024; bits++) {
		for (u32 i = 0; i < 6; i++) {
			u64 upper = (bits & 1 ? W : 0) | (bits & 2 ? U : 0) | (bits & 4 ? NX : 0);
			u64 lower = (bits & 8 ? W : 0) | (bits & 16 ? U : 0) | (bits & 32 ? NX : 0);
			u32 access = accesses[i];
			bool w = upper & lower & W, u = upper & lower & U,
			     nx = (upper | lower) & NX;
			bool user = access & PF_USER, good;

			map_long();
			*pdpte = 0x12000 | P | upper;
			*pte = LEAF | P | lower;
			v->state.cr0 = PG | (bits & 64 ? WP : 0);
			v->state.cr4 = PAE | (bits & 128 ? SMEP : 0) | (bits & 256 ? SMAP : 0);
			v->rflags = bits & 512 ? AC : 0;

			if (user && !u)
				good = false;
			else if (access & PF_FETCH)
				good = !nx && (user || !u || !(bits & 128));
			else if (!user && u && bits & 256 && !(bits & 512))
				good = false;
			else if (access & PF_WRITE)
				good = w || (!user && !(bits & 64));
			else
				good = true;
			if (good)
				expect_gpa(LIN, access, LEAF);
			else
				expect_fault(LIN, access, access | PF_PRESENT);
			if (good) /* from the cache */
				expect_gpa(LIN + 4, access, LEAF + 4);
			assert_int_equal(!!(*pte & A), good);
			assert_int_equal(!!(*pte & D), good && access & PF_WRITE);
		}
	}
}

static void test_cache(void **state)
{
	(void)state;
	map_long();
	expect_gpa(LIN, 0, LEAF);
	expect_gpa(LIN, 0, LEAF);
	*pte = (LEAF + 0x1000) | P; /* remapped */
	expect_gpa(LIN, 0, LEAF + 0x1000);
	expect_fault(LIN, PF_WRITE, PF_PRESENT | PF_WRITE);
	*pdpte = 0;
	expect_fault(LIN, 0, 0);
	map_long();
	expect_gpa(LIN, 0, LEAF);
	v->state.cr3 = 0x20000; /* another space */
	expect_fault(LIN, 0, 0);
	v->state.cr3 = ROOT;
	*pte &= ~A; /* the guest cleared it: it must come back */
	expect_gpa(LIN, 0, LEAF);
	assert_true(*pte & A);
	expect_gpa(LIN, PF_WRITE, LEAF);
	assert_true(*pte & D);
	*pte &= ~D;
	expect_gpa(LIN, 0, LEAF);
	assert_false(*pte & D);
	expect_gpa(LIN, PF_WRITE, LEAF);
	assert_true(*pte & D);
}

static void test_outside(void **state)
{
	struct walk w;

	(void)state;
	map_long();
	*pdpte = 0xfee00000 | P | W | U;
	assert_int_equal(walk(v, LIN, 0, &w), WALK_OUTSIDE);
	assert_int_equal(w.gpa, 0xfee00008);
	v->state.cr3 = 0x400000; /* just behind low RAM */
	assert_int_equal(walk(v, LIN, 0, &w), WALK_OUTSIDE);
	v->state.cr3 = 0x100000000; /* high RAM, empty */
	expect_fault(LIN, 0, 0);
	v->state.cr3 = 0x100200000;
	assert_int_equal(walk(v, LIN, 0, &w), WALK_OUTSIDE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_no_paging, setup),
		cmocka_unit_test_setup(test_32bit, setup),
		cmocka_unit_test_setup(test_pae, setup),
		cmocka_unit_test_setup(test_long_sizes, setup),
		cmocka_unit_test_setup(test_rights, setup),
		cmocka_unit_test_setup(test_cache, setup),
		cmocka_unit_test_setup(test_outside, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
