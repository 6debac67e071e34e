/*
 * KVM's paravirtual clock, read as a guest reads it: at several TSC
 * frequencies, at any address, and refusing to write outside RAM.
 */
// SOURCES: vmm/pvclock.c vmm/vm.c tests/unit/fake/sys_fake.c
#include "machine.h"
#include "vmm/pvclock.h"
#include "vmm/vm.h"

#define WALL 0x4b564d00
#define SYSTEM 0x4b564d01

static int setup(void **state)
{
	(void)state;
	sys_fake_reset(MIB(4), MIB(2));
	pvclock_init();
	return 0;
}

static u32 at32(gpa_t gpa)
{
	u32 value;

	memcpy(&value, guest_base + gpa, 4);
	return value;
}

static u64 at64(gpa_t gpa)
{
	return at32(gpa) | (u64)at32(gpa + 4) << 32;
}

/* The formula of the guest's driver. */
static u64 clock_at(gpa_t gpa, u64 tsc)
{
	u64 delta = tsc - at64(gpa + 8);
	signed char shift = *(signed char *)(guest_base + gpa + 28);

	delta = shift < 0 ? delta >> -shift : delta << shift;
	return at64(gpa + 16) + (u64)((unsigned __int128)delta * at32(gpa + 24) >> 32);
}

static void test_system_time(void **state)
{
	static const struct {
		u64 hz;
		u32 mul;
		int shift;
		u32 ns_mul, ns_shift;
	} c[] = {
		{ 1000000000, 1u << 31, 1, 1u << 31, 31 },
		{ 2000000000, 1u << 31, 0, 1u << 31, 32 },
		{ 4000000000, 1u << 31, -1, 1u << 31, 33 },
		{ 500000000, 1u << 31, 2, 1u << 31, 30 },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(c); i++) {
		gpa_t gpa = 0x1000 + 64 * i;

		fake_vm.tsc_hz = c[i].hz;
		fake_vm.tsc_mul = c[i].mul;
		fake_vm.tsc_shift = c[i].shift;
		fake_vm.ns_mul = c[i].ns_mul;
		fake_vm.ns_shift = c[i].ns_shift;
		fake_vm.tsc_base = 123456789;
		fake_vm.tsc_offset = 0 - fake_vm.tsc_base; /* the guest's TSC begins at 0 */
		fake.tsc = 123456789 + 77 * c[i].hz;
		assert_true(pvclock_wrmsr(SYSTEM, gpa | 1));
		assert_int_equal(at32(gpa), 2);
		assert_int_equal(*(guest_base + gpa + 29), 1);
		fake.tsc += 12345 * c[i].hz + 4;
		assert_in_range(clock_at(gpa, guest_tsc()), vm_now() - 2, vm_now() + 2);
		assert_in_range(vm_now(), 12422ull * 1000000000, 12422ull * 1000000000 + 10);
	}
}

static void test_wall_clock(void **state)
{
	(void)state;
	fake_vm.wall_base = 1700000000;
	fake_vm.wall_nsec = 123456;
	fake.tsc = 55000000000; /* it is the wall time of guest time 0 that counts */
	assert_true(pvclock_wrmsr(WALL, 0x2000));
	assert_int_equal(at32(0x2000), 2);
	assert_int_equal(at32(0x2004), 1700000000);
	assert_int_equal(at32(0x2008), 123456);
	assert_int_equal(at32(0x200c), 0);
	assert_true(pvclock_wrmsr(0x11, 0x2000));
	assert_int_equal(at32(0x2000), 4); /* even again, and another one */
}

static void test_read_back(void **state)
{
	u64 value = 1;

	(void)state;
	assert_true(pvclock_rdmsr(SYSTEM, &value));
	assert_int_equal(value, 0);
	pvclock_wrmsr(SYSTEM, 0x3001);
	assert_true(pvclock_rdmsr(SYSTEM, &value));
	assert_int_equal(value, 0x3001);
	assert_true(pvclock_rdmsr(0x12, &value));
	assert_int_equal(value, 0x3001);
	fake_vcpu.id = 1; /* each vCPU has its own */
	assert_true(pvclock_rdmsr(SYSTEM, &value));
	assert_int_equal(value, 0);
	pvclock_wrmsr(0x12, 0x4001);
	assert_int_equal(at32(0x4000), 2);
	fake_vcpu.id = 0;
	pvclock_rdmsr(SYSTEM, &value);
	assert_int_equal(value, 0x3001);
	pvclock_wrmsr(WALL, 0x5000);
	assert_true(pvclock_rdmsr(0x11, &value));
	assert_int_equal(value, 0x5000);
	assert_false(pvclock_rdmsr(0x4b564d02, &value));
	assert_false(pvclock_wrmsr(0x4b564d02, 1));
	assert_false(pvclock_wrmsr(0x10, 1));
}

static void test_not_enabled(void **state)
{
	(void)state;
	assert_true(pvclock_wrmsr(SYSTEM, 0x1000));
	assert_int_equal(at32(0x1000), 0);
	assert_int_equal(at64(0x1018), 0);
}

static void test_outside_ram(void **state)
{
	static const u64 bad[] = {
		0,	     MIB(4) - 8,	  MIB(4),     0xfec00000, 0xfffffff0,
		GIB(4) - 16, GIB(4) + MIB(2) - 4, 1ull << 40, 1ull << 63, ~0ull << 4,
	};

	(void)state;
	for (u32 i = 1; i < ARRAY_SIZE(bad); i++) {
		assert_true(pvclock_wrmsr(SYSTEM, bad[i] | 1));
		assert_true(pvclock_wrmsr(WALL, bad[i]));
	}
	for (u64 low = 0; low < 4; low++) /* crooked addresses */
		pvclock_wrmsr(WALL, 0x1000 + low), pvclock_wrmsr(SYSTEM, 0x1002 | low);
	/* the last place that fits */
	assert_true(pvclock_wrmsr(SYSTEM, (MIB(4) - 32) | 1));
	assert_int_equal(at32(MIB(4) - 32), 2);
	assert_true(pvclock_wrmsr(SYSTEM, (GIB(4) + MIB(2) - 32) | 1));
	assert_int_equal(at32(GIB(4) + MIB(2) - 32), 2);
	fake_vcpu.id = ~0u; /* the page is anybody's */
	assert_true(pvclock_wrmsr(SYSTEM, 0x1001));
}

/* The structure follows a TSC that was set, its version too; an unregistered one
 * is not written. */
static void test_tsc_moved(void **state)
{
	u64 before, left = 2;

	(void)state;
	fake_vm.tsc_mul = 1u << 31;
	fake_vm.tsc_shift = 1;
	fake_vm.tsc_base = 1000;
	fake_vm.tsc_offset = 0ull - 1000;
	fake.tsc = 5000000;
	pvclock_tsc_moved();
	assert_true(pvclock_wrmsr(SYSTEM, 0x1001));
	assert_int_equal(at32(0x1000), 2);
	before = clock_at(0x1000, guest_tsc());
	fake_vm.tsc_offset += 0x7000000000000000;
	assert_int_not_equal(clock_at(0x1000, guest_tsc()), before);
	pvclock_tsc_moved();
	assert_int_equal(clock_at(0x1000, guest_tsc()), before);
	assert_int_equal(at32(0x1000), 4);
	fake_vm.tsc_offset -= 0x7000000000001234; /* behind where it began */
	pvclock_tsc_moved();
	assert_int_equal(clock_at(0x1000, guest_tsc()), before);
	/* switched off: what lies there is the guest's */
	pvclock_wrmsr(SYSTEM, 0x1000);
	memcpy(guest_base + 0x1000, &left, sizeof(left));
	pvclock_tsc_moved();
	assert_int_equal(at64(0x1000), left);
	assert_int_equal(at64(0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_system_time, setup),
		cmocka_unit_test_setup(test_wall_clock, setup),
		cmocka_unit_test_setup(test_read_back, setup),
		cmocka_unit_test_setup(test_not_enabled, setup),
		cmocka_unit_test_setup(test_outside_ram, setup),
		cmocka_unit_test_setup(test_tsc_moved, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
