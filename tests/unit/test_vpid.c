/*
 * arch/vmx/vpid.c: when translations are forgotten. No emulator can fail these
 * decisions, so a model of a TLB does: it remembers, per CPU and VPID, what was
 * cached for whom, and no vCPU may ever meet a stale entry.
 */
// SOURCES: arch/vmx/vpid.c
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/vmx/vpid.h"

static void first_use_flushes_all(void **state)
{
	struct vpid_cpu c;
	struct hv_vcpu v = { 0 }, w = { 0 };

	(void)state;
	vpid_init(&c, 3);
	assert_int_equal(vpid_prepare(&c, &v), VPID_NEW_FLUSH);
	assert_int_equal(v.asid, 1); /* 0 is the host's */
	assert_int_equal(vpid_prepare(&c, &v), VPID_KEPT);
	assert_int_equal(vpid_prepare(&c, &w), VPID_NEW);
	assert_int_not_equal(v.asid, w.asid);
	assert_int_equal(vpid_prepare(&c, &v), VPID_KEPT);
}

static void stale_ones_take_another(void **state)
{
	struct vpid_cpu c;
	struct hv_vcpu v = { 0 };
	u32 old;

	(void)state;
	vpid_init(&c, 0);
	vpid_prepare(&c, &v);
	old = v.asid;
	v.flush = 1;
	assert_int_equal(vpid_prepare(&c, &v), VPID_NEW);
	assert_int_equal(v.flush, 0);
	assert_int_not_equal(v.asid, old);
}

#define CPUS 3u
#define VCPUS 4u

/* Whose entries, and of which epoch of that vCPU's tables, a CPU caches under a VPID. */
static struct {
	u32 vcpu, epoch; /* vcpu 0: nothing */
} tlb[CPUS][VPIDS];

/* vCPUs wander between CPUs, and their tables change, through several generations. */
static void never_a_stale_entry(void **state)
{
	static struct vpid_cpu c[CPUS];
	static struct hv_vcpu v[VCPUS];
	u32 epoch[VCPUS] = { 0 }, flushes = 0;
	u64 random = 1;

	(void)state;
	memset(tlb, 0xff, sizeof(tlb)); /* left by whoever was here before */
	for (u32 i = 0; i < CPUS; i++)
		vpid_init(&c[i], i);
	for (u32 n = 0; n < 1000000; n++) {
		u32 cpu, i;
		enum vpid_change change;

		random = random * 6364136223846793005u + 1442695040888963407u;
		cpu = (u32)(random >> 33) % CPUS;
		i = (u32)(random >> 40) % VCPUS;
		if (random >> 50 & 1) {
			epoch[i]++;
			v[i].flush = 1;
		}
		change = vpid_prepare(&c[cpu], &v[i]);
		if (change == VPID_NEW_FLUSH) {
			memset(tlb[cpu], 0, sizeof(tlb[cpu]));
			flushes++;
		}
		assert_in_range(v[i].asid, 1, VPIDS - 1);
		assert_int_equal(v[i].flush, 0);
		if (tlb[cpu][v[i].asid].vcpu) {
			assert_int_equal(tlb[cpu][v[i].asid].vcpu, i + 1);
			assert_int_equal(tlb[cpu][v[i].asid].epoch, epoch[i]);
		}
		tlb[cpu][v[i].asid].vcpu = i + 1;
		tlb[cpu][v[i].asid].epoch = epoch[i];
	}
	assert_in_range(flushes, 2 * CPUS, 20 * CPUS); /* generations are long */
}

/* The allocator says how many: none gets lost between generations. */
static void all_are_accounted_for(void **state)
{
	struct hv_vcpu v = { 0 };
	struct vpid_cpu c;
	struct hv_ids ids;

	(void)state;
	vpid_init(&c, 0);
	vpid_ids(&c, &ids);
	assert_string_equal(ids.name, "VPID");
	assert_int_equal(ids.given, 0);
	for (u32 n = 1; n < 3 * VPIDS; n++) {
		v.flush = 1;
		vpid_prepare(&c, &v);
		vpid_ids(&c, &ids);
		assert_int_equal(ids.count, VPIDS - 1);
		assert_int_equal((ids.generation - 1) * (VPIDS - 1) + ids.given, n);
	}
	vpid_prepare(&c, &v); /* keeps its VPID */
	vpid_ids(&c, &ids);
	assert_int_equal((ids.generation - 1) * (VPIDS - 1) + ids.given, 3 * VPIDS - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_use_flushes_all),
		cmocka_unit_test(stale_ones_take_another),
		cmocka_unit_test(never_a_stale_entry),
		cmocka_unit_test(all_are_accounted_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
