/*
 * kernel/msrs.c: the allow-list in full (everything else #GPs, both ways), the
 * values a firmware would leave, what each accepts, and that a refused write
 * changes nothing.
 */
// SOURCES: kernel/msrs.c kernel/control_regs.c
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/cpuid.h"
#include "kernel/msrs.h"

static struct msr_state s;

static void reset(u32 vendor, u32 family)
{
	struct msr_params p = {
		.vendor = vendor,
		.family = family,
		.tsc_hz = 2500000000,
		.microcode = 0x1234567800000000,
		.phys_bits = 40,
		.rdtscp = true,
	};

	memset(&s, 0xcc, sizeof(s));
	msr_reset(&s, &p);
}

static int setup_amd(void **state)
{
	(void)state;
	reset(CPUID_VENDOR_AMD, 0x17);
	return 0;
}

static int setup_intel(void **state)
{
	(void)state;
	reset(CPUID_VENDOR_INTEL, 6);
	return 0;
}

static u64 rd(u32 msr)
{
	u64 value = 0xdead;

	assert_int_equal(msr_read(&s, msr, &value), MSR_DONE);
	return value;
}

static enum msr_action wr(u32 msr, u64 value)
{
	struct msr_state before = s;
	enum msr_action a = msr_write(&s, msr, value);

	if (a == MSR_GP)
		assert_memory_equal(&before, &s, sizeof(s));
	return a;
}

static void wr_ok(u32 msr, u64 value)
{
	assert_int_equal(wr(msr, value), MSR_DONE);
	assert_int_equal(rd(msr), value);
}

static bool listed(u32 msr, bool amd, bool intel)
{
	static const u32 common[] = {
		0x0,	    0x1,	0x10,	    0x11,	0x12,	    0x1b,	0x3b,
		0x8b,	    0xfe,	0x174,	    0x175,	0x176,	    0x179,	0x17a,
		0x1d9,	    0x250,	0x258,	    0x259,	0x277,	    0x2ff,	0x6e0,
		0x4b564d00, 0x4b564d01, 0xc0000080, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084,
		0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103,
	};
	static const u32 amds[] = { 0xc0010010, 0xc0010015, 0xc001001f, 0xc0010055, 0xc0010058,
				    0xc0010061, 0xc0010062, 0xc0010063, 0xc0010064, 0xc0010065,
				    0xc0010066, 0xc0010067, 0xc0010068, 0xc0010069, 0xc001006a,
				    0xc001006b, 0xc0011022, 0xc0011029 };
	static const u32 intels[] = { 0x17, 0x3a, 0xce, 0x1a0 };

	for (u32 i = 0; i < ARRAY_SIZE(common); i++)
		if (msr == common[i])
			return true;
	for (u32 i = 0; amd && i < ARRAY_SIZE(amds); i++)
		if (msr == amds[i])
			return true;
	for (u32 i = 0; intel && i < ARRAY_SIZE(intels); i++)
		if (msr == intels[i])
			return true;
	return (msr >= 0x200 && msr <= 0x20f) || (msr >= 0x268 && msr <= 0x26f) ||
	       (msr >= 0x800 && msr <= 0x8ff);
}

static void sweep(u32 from, u64 count, bool amd, bool intel)
{
	for (u64 i = 0; i < count; i++) {
		u32 msr = from + (u32)i;
		bool known = listed(msr, amd, intel);
		u64 value;

		if ((msr_read(&s, msr, &value) != MSR_GP) != known)
			fail_msg("read of %x", msr);
		/* a write that is not listed for reading: the AMD patch loader alone */
		if (!known && !(amd && msr == 0xc0010020))
			for (u32 b = 0; b < 2; b++)
				if (wr(msr, b ? ~0ull : 0) != MSR_GP)
					fail_msg("write of %x", msr);
	}
}

static void only_what_is_listed(void **state)
{
	(void)state;
	for (u32 v = 0; v < 3; v++) {
		bool amd = v == CPUID_VENDOR_AMD, intel = v == CPUID_VENDOR_INTEL;

		reset(v, 0x17);
		sweep(0, 0x3000, amd, intel);
		sweep(0x40000000, 0x400, amd, intel);
		sweep(0x4b564c00, 0x400, amd, intel);
		sweep(0x80000000, 0x400, amd, intel);
		sweep(0xbfffff00, 0x2400, amd, intel);
		sweep(0xc0010000, 0x2400, amd, intel);
		sweep(0xffffff00, 0x100, amd, intel);
		srand(5);
		for (u32 i = 0; i < 100000; i++)
			sweep((u32)rand() << 1 ^ (u32)rand(), 1, amd, intel);
	}
	/* VM_CR and VM_HSAVE_PA are not for guests */
	setup_amd(NULL);
	assert_int_equal(wr(0xc0010114, 0), MSR_GP);
	assert_int_equal(wr(0xc0010117, 0x1000), MSR_GP);
}

static void others_business(void **state)
{
	static const u32 state_msrs[] = { 0xc0000080, 0xc0000081, 0xc0000082, 0xc0000083,
					  0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102,
					  0x174,      0x175,	  0x176 };
	static const u32 clock[] = { 0x11, 0x12, 0x4b564d00, 0x4b564d01 };
	u64 value;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(state_msrs); i++) {
		assert_int_equal(msr_read(&s, state_msrs[i], &value), MSR_STATE);
		assert_int_equal(wr(state_msrs[i], 0x1000), MSR_STATE);
	}
	for (u32 i = 0; i < ARRAY_SIZE(clock); i++) {
		assert_int_equal(msr_read(&s, clock[i], &value), MSR_MONITOR);
		assert_int_equal(wr(clock[i], 0x1001), MSR_MONITOR);
	}
	for (u32 msr = 0x800; msr < 0x900; msr++) {
		assert_int_equal(msr_read(&s, msr, &value), MSR_LAPIC);
		assert_int_equal(wr(msr, 1), MSR_LAPIC);
	}
	assert_int_equal(msr_read(&s, 0x1b, &value), MSR_LAPIC);
	assert_int_equal(wr(0x6e0, 5), MSR_LAPIC);
	assert_int_equal(msr_read(&s, 0x10, &value), MSR_STATE);
}

static void canonical_addresses(void **state)
{
	static const u32 addresses[] = { 0xc0000082, 0xc0000083, 0xc0000100, 0xc0000101,
					 0xc0000102, 0x175,	 0x176 };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(addresses); i++) {
		assert_int_equal(wr(addresses[i], 0x00007fffffffffff), MSR_STATE);
		assert_int_equal(wr(addresses[i], 0xffff800000000000), MSR_STATE);
		assert_int_equal(wr(addresses[i], 0x0000800000000000), MSR_GP);
		assert_int_equal(wr(addresses[i], 0x8000000000000000), MSR_GP);
	}
	assert_int_equal(wr(0xc0000081, 0x8000123480001234), MSR_STATE); /* STAR is no address */
	assert_int_equal(wr(0xc0000084, BIT(32)), MSR_GP);
}

static void passthrough_is_listed(void **state)
{
	u64 value;

	(void)state;
	assert_int_equal(msr_passthrough_count, 10);
	for (u32 i = 0; i < msr_passthrough_count; i++) {
		assert_int_equal(msr_read(&s, msr_passthrough[i], &value), MSR_STATE);
		assert_int_not_equal(msr_passthrough[i], 0xc0000080); /* never EFER */
	}
}

static void tsc(void **state)
{
	(void)state;
	assert_int_equal(rd(0x3b), 0);
	assert_int_equal(wr(0x3b, 0), MSR_DONE); /* no change: nothing to do */
	assert_int_equal(wr(0x3b, -5000ull), MSR_SET_TSC);
	assert_int_equal(rd(0x3b), -5000ull);
	assert_int_equal(wr(0x10, 123), MSR_SET_TSC);
	assert_int_equal(rd(0x3b), -5000ull); /* the caller's to change */
	assert_int_equal(rd(0xc0000103), 0);
	assert_int_equal(wr(0xc0000103, 0x7b), MSR_SET_AUX);
	assert_int_equal(rd(0xc0000103), 0x7b);
	assert_int_equal(wr(0xc0000103, BIT(32)), MSR_GP);
	s.has_tsc_aux = false;
	assert_int_equal(wr(0xc0000103, 1), MSR_GP);
}

static void pat(void **state)
{
	(void)state;
	assert_int_equal(wr(0x277, 0x0007040600070406), MSR_STATE);
	assert_int_equal(wr(0x277, 0x0407050600070106), MSR_STATE);
	for (u32 type = 0; type < 256; type++)
		for (u32 shift = 0; shift < 64; shift += 8)
			assert_int_equal(wr(0x277, (u64)type << shift),
					 type <= 7 && type != 2 && type != 3 ? MSR_STATE : MSR_GP);
}

static void mtrrs(void **state)
{
	(void)state;
	assert_int_equal(rd(0xfe), 0x508);
	assert_int_equal(wr(0xfe, 0x508), MSR_GP);
	assert_int_equal(rd(0x2ff), 0xc06); /* enabled, write-back */
	assert_int_equal(rd(0x250), 0x0606060606060606);
	assert_int_equal(rd(0x258), 0x0606060606060606);
	assert_int_equal(rd(0x259), 0); /* the VGA window */
	assert_int_equal(rd(0x26f), 0x0606060606060606);
	assert_int_equal(rd(0x200), 0xc0000000);
	assert_int_equal(rd(0x201), 0xffc0000800);
	for (u32 msr = 0x202; msr <= 0x20f; msr++)
		assert_int_equal(rd(msr), 0);

	wr_ok(0x2ff, 0);
	wr_ok(0x2ff, 0xc01);
	assert_int_equal(wr(0x2ff, 0xc02), MSR_GP);
	assert_int_equal(wr(0x2ff, 0xc07), MSR_GP);
	assert_int_equal(wr(0x2ff, 0x1c06), MSR_GP);
	wr_ok(0x26b, 0x0605040100060006);
	assert_int_equal(wr(0x26b, 0x0605040300060006), MSR_GP);
	assert_int_equal(wr(0x259, 0x07), MSR_GP);
	wr_ok(0x20e, 0xfff0000001);
	assert_int_equal(wr(0x20e, 0xfff0000101), MSR_GP);
	assert_int_equal(wr(0x20e, BIT(40)), MSR_GP);
	assert_int_equal(wr(0x20e, 2), MSR_GP);
	wr_ok(0x20f, 0xfff0000800);
	assert_int_equal(wr(0x20f, 0xfff0000801), MSR_GP);
	assert_int_equal(wr(0x20f, BIT(40)), MSR_GP);
	assert_int_equal(wr(0x210, 0), MSR_GP);
}

static void machine_check(void **state)
{
	(void)state;
	assert_int_equal(rd(0x179), 0);
	assert_int_equal(wr(0x179, 0), MSR_GP);
	assert_int_equal(rd(0x17a), 0);
	assert_int_equal(wr(0x17a, 0), MSR_DONE);
	assert_int_equal(wr(0x17a, 4), MSR_GP);
	assert_int_equal(wr(0x17b, 0), MSR_GP); /* no MCG_CTL */
	assert_int_equal(wr(0x400, 0), MSR_GP); /* no banks */
	assert_int_equal(rd(0x1d9), 0);
	assert_int_equal(wr(0x1d9, 0), MSR_DONE);
	assert_int_equal(wr(0x1d9, 1), MSR_GP);
}

static void microcode(void **state)
{
	(void)state;
	assert_int_equal(rd(0x8b), 0x1234567800000000);
	assert_int_equal(wr(0x8b, 0), MSR_DONE);
	assert_int_equal(rd(0x8b), 0x1234567800000000);
	assert_int_equal(wr(0xc0010020, 0x1000), MSR_DONE);
	assert_int_equal(rd(0x8b), 0x1234567800000000);
}

static void amd_values(void **state)
{
	(void)state;
	assert_true(rd(0xc0010015) & BIT(24)); /* Linux: TSC counts with P0's frequency */
	wr_ok(0xc0010015, rd(0xc0010015) | BIT(18));
	assert_int_equal(wr(0xc0010015, rd(0xc0010015) ^ BIT(24)), MSR_GP);
	assert_int_equal(wr(0xc0010015, BIT(60)), MSR_GP);
	assert_int_equal(rd(0xc0011029), 2); /* LFENCE serialises */
	assert_int_equal(wr(0xc0011029, 2), MSR_DONE);
	assert_int_equal(wr(0xc0011029, 0), MSR_GP);
	assert_int_equal(wr(0xc0011029, BIT(9) | 2), MSR_GP);
	assert_int_equal(rd(0xc0010010), 0); /* no memory encryption */
	assert_int_equal(wr(0xc0010010, BIT(23)), MSR_GP);
	wr_ok(0xc001001f, BIT(46));
	assert_int_equal(wr(0xc001001f, 1), MSR_GP);
	assert_int_equal(rd(0xc0010064), BIT(63) | 8 << 8 | 100); /* 2500 MHz / 25 */
	assert_int_equal(wr(0xc0010064, 0), MSR_GP);
	assert_int_equal(rd(0xc0010065), 0);
	reset(CPUID_VENDOR_AMD, 0x15); /* another encoding: not given */
	assert_int_equal(rd(0xc0010064), 0);
}

static void intel_values(void **state)
{
	(void)state;
	assert_int_equal(rd(0x3a), 1); /* locked, VMX off */
	assert_int_equal(wr(0x3a, 5), MSR_GP);
	assert_int_equal(wr(0x3a, 1), MSR_GP);
	assert_int_equal(rd(0x1a0), 0x1801);
	wr_ok(0x1a0, 0x1800);
	assert_int_equal(wr(0x1a0, 0x1800 | BIT(34)), MSR_GP);
	assert_int_equal(rd(0xce), 25 << 8);
	assert_int_equal(wr(0xce, 0), MSR_GP);
	assert_int_equal(rd(0x17), 0);
	assert_int_equal(wr(0xc0010015, 0), MSR_GP);
}

int main(void)
{
#define AMD(f) cmocka_unit_test_setup(f, setup_amd)
	const struct CMUnitTest tests[] = {
		AMD(only_what_is_listed),
		AMD(others_business),
		AMD(canonical_addresses),
		AMD(passthrough_is_listed),
		AMD(tsc),
		AMD(pat),
		AMD(mtrrs),
		AMD(machine_check),
		AMD(microcode),
		AMD(amd_values),
		cmocka_unit_test_setup(intel_values, setup_intel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
