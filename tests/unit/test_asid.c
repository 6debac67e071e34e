/*
 * arch/svm/asid.c: when the TLB is flushed. No emulator can fail these
 * decisions, so a model of a TLB does: it remembers, per CPU and ASID, what
 * was cached for whom, and no vCPU may ever meet a stale entry.
 */
// SOURCES: arch/svm/asid.c
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/svm/asid.h"
#include "arch/svm/vmcb.h"

static void first_use_flushes_all(void **state)
{
	struct asid_cpu c;
	struct hv_vcpu v = { 0 };

	(void)state;
	asid_init(&c, 3, 8);
	assert_int_equal(asid_prepare(&c, &v, true), SVM_TLB_ALL);
	assert_int_equal(v.asid, 1); /* 0 is the host's */
	assert_int_equal(v.asid_cpu, 3);
	assert_int_equal(asid_prepare(&c, &v, true), SVM_TLB_NONE);
	assert_int_equal(v.asid, 1);
}

static void others_need_no_flush(void **state)
{
	struct asid_cpu c;
	struct hv_vcpu a = { 0 }, b = { 0 };

	(void)state;
	asid_init(&c, 0, 8);
	asid_prepare(&c, &a, true);
	assert_int_equal(asid_prepare(&c, &b, true), SVM_TLB_NONE);
	assert_int_not_equal(a.asid, b.asid);
	assert_int_equal(asid_prepare(&c, &a, true), SVM_TLB_NONE);
}

static void stale_entries_are_flushed(void **state)
{
	struct asid_cpu c;
	struct hv_vcpu v = { 0 };
	u32 old;

	(void)state;
	asid_init(&c, 0, 8);
	asid_prepare(&c, &v, true);
	v.flush = 1;
	assert_int_equal(asid_prepare(&c, &v, true), SVM_TLB_ASID);
	assert_int_equal(v.flush, 0);
	assert_int_equal(v.asid, 1);
	/* without flush-by-ASID: a fresh one, which nothing is cached under */
	old = v.asid;
	v.flush = 1;
	assert_int_equal(asid_prepare(&c, &v, false), SVM_TLB_NONE);
	assert_int_not_equal(v.asid, old);
	assert_int_equal(v.flush, 0);
}

static void a_new_generation_flushes_all(void **state)
{
	struct asid_cpu c;
	struct hv_vcpu v[4] = { 0 };

	(void)state;
	asid_init(&c, 0, 4); /* 1, 2, 3 */
	assert_int_equal(asid_prepare(&c, &v[0], true), SVM_TLB_ALL);
	assert_int_equal(asid_prepare(&c, &v[1], true), SVM_TLB_NONE);
	assert_int_equal(asid_prepare(&c, &v[2], true), SVM_TLB_NONE);
	assert_int_equal(asid_prepare(&c, &v[3], true), SVM_TLB_ALL);
	/* the others' are void now, whatever their numbers say */
	assert_int_equal(v[3].asid, v[0].asid);
	assert_int_equal(asid_prepare(&c, &v[0], true), SVM_TLB_NONE);
	assert_int_equal(v[0].asid, 2);
	assert_int_equal(v[3].asid, 1);
}

static void moving_takes_a_fresh_one(void **state)
{
	struct asid_cpu c[2];
	struct hv_vcpu a = { 0 }, b = { 0 };

	(void)state;
	asid_init(&c[0], 0, 8);
	asid_init(&c[1], 1, 8);
	asid_prepare(&c[0], &a, true);
	asid_prepare(&c[1], &b, true);
	assert_int_equal(a.asid, b.asid); /* on different CPUs */
	assert_int_equal(asid_prepare(&c[1], &a, true), SVM_TLB_NONE);
	assert_int_equal(a.asid, 2);
	/* back again: what it left there may be stale */
	assert_int_equal(asid_prepare(&c[0], &a, true), SVM_TLB_NONE);
	assert_int_equal(a.asid, 2);
	assert_int_equal(a.asid_cpu, 0);
}

static void two_are_the_least(void **state)
{
	struct asid_cpu c;
	struct hv_vcpu v[2] = { 0 };

	(void)state;
	asid_init(&c, 0, 0); /* a broken CPUID */
	for (u32 i = 0; i < 10; i++) {
		assert_int_equal(asid_prepare(&c, &v[i & 1], true), SVM_TLB_ALL);
		assert_int_equal(v[i & 1].asid, 1);
	}
}

#define CPUS 3
#define VCPUS 12
#define ASIDS 6

/* The model: which vCPU's translations, of which age, an ASID has on a CPU. */
static struct {
	int owner; /* -1: nothing cached */
	u32 age;
} tlb[CPUS][ASIDS];

static void nobody_meets_stale_entries(void **state)
{
	struct asid_cpu c[CPUS];
	struct hv_vcpu v[VCPUS] = { 0 };
	u32 age[VCPUS] = { 0 }; /* grows when the mappings change */

	(void)state;
	srand(1);
	memset(tlb, 0xff, sizeof(tlb));
	for (u32 i = 0; i < CPUS; i++) {
		asid_init(&c[i], i, ASIDS);
		tlb[i][1 + i].owner = 99; /* left by the firmware */
	}
	for (u32 i = 0; i < 200000; i++) {
		u32 cpu = (u32)rand() % CPUS, n = (u32)rand() % VCPUS;
		bool by_asid = i / 50000 & 1;
		u8 control;

		if (rand() % 4 == 0) {
			age[n]++;
			v[n].flush = 1;
		}
		if (rand() % 5000 == 0) /* destroyed, and another made in its place */
			memset(&v[n], 0, sizeof(v[n])), age[n] += 1000;
		control = asid_prepare(&c[cpu], &v[n], by_asid);
		assert_in_range(v[n].asid, 1, ASIDS - 1);
		assert_int_equal(v[n].flush, 0);
		assert_true(by_asid || control != SVM_TLB_ASID);
		if (control == SVM_TLB_ALL)
			memset(tlb[cpu], 0xff, sizeof(tlb[cpu]));
		else if (control == SVM_TLB_ASID)
			tlb[cpu][v[n].asid].owner = -1;
		if (tlb[cpu][v[n].asid].owner != -1) {
			assert_int_equal(tlb[cpu][v[n].asid].owner, n);
			assert_int_equal(tlb[cpu][v[n].asid].age, age[n]);
		}
		tlb[cpu][v[n].asid].owner = (int)n;
		tlb[cpu][v[n].asid].age = age[n];
	}
}

/* The allocator says how many: none gets lost between generations. */
static void all_are_accounted_for(void **state)
{
	struct asid_cpu c = { 0 };
	struct hv_vcpu v = { 0 };
	struct hv_ids ids;

	(void)state;
	asid_ids(&c, &ids); /* a CPU that is off */
	assert_int_equal(ids.count, 0);
	assert_int_equal(ids.given, 0);
	asid_init(&c, 0, 16);
	asid_ids(&c, &ids);
	assert_string_equal(ids.name, "ASID");
	assert_int_equal(ids.given, 0);
	for (u32 n = 1; n < 100; n++) {
		v.flush = 1;
		asid_prepare(&c, &v, false);
		asid_ids(&c, &ids);
		assert_int_equal(ids.count, 15);
		assert_in_range(ids.given, 1, 15);
		assert_int_equal((ids.generation - 1) * 15 + ids.given, n);
	}
	v.flush = 1;
	asid_prepare(&c, &v, true); /* keeps its ASID */
	v.flush = 0;
	asid_prepare(&c, &v, false);
	asid_ids(&c, &ids);
	assert_int_equal((ids.generation - 1) * 15 + ids.given, 99);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_use_flushes_all),
		cmocka_unit_test(others_need_no_flush),
		cmocka_unit_test(stale_entries_are_flushed),
		cmocka_unit_test(a_new_generation_flushes_all),
		cmocka_unit_test(moving_takes_a_fresh_one),
		cmocka_unit_test(two_are_the_least),
		cmocka_unit_test(nobody_meets_stale_entries),
		cmocka_unit_test(all_are_accounted_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
