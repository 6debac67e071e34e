/*
 * arch/vmx/caps.c: which controls follow from the capability MSRs of what
 * processors and hypervisors there are, and what is refused by name.
 */
// FLAGS: -Itests/unit/fake/hw
// SOURCES: arch/vmx/caps.c
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/vmx/caps.h"
#include "arch/x86.h"

static u64 msrs[0x20]; /* from MSR_VMX_BASIC */

u64 rdmsr(u32 msr)
{
	assert_in_range(msr, MSR_VMX_BASIC, MSR_VMX_BASIC + 0x1f);
	return msrs[msr - MSR_VMX_BASIC];
}

void cpuid_count(u32 leaf, u32 sub, u32 r[4])
{
	(void)sub;
	assert_int_equal(leaf, 0x80000008);
	r[0] = 0x3027;
}

/* All that there is may be on; on must be what is said. */
static u64 any(u32 must)
{
	return 0xffffffff00000000ull | must;
}

static struct vmx_caps caps;
static struct vmx_controls controls;
static const char *why;

static bool choose(void)
{
	why = NULL;
	return vmx_choose_controls(&caps, &controls, &why);
}

static int setup(void **state)
{
	(void)state;
	caps = (struct vmx_caps){
		.pin = any(0x16),
		.proc = any(0x04006172),
		.proc2 = any(0),
		.exit = any(0x36dfb),
		.entry = any(0x11fb),
		.ept_vpid = 0xf0106334141,
		.cr0_fixed0 = CR0_PE | CR0_NE | CR0_PG,
	};
	return 0;
}

static u64 without(u64 cap, u64 bits)
{
	return cap & ~(bits << 32);
}

static void a_full_processor(void **state)
{
	(void)state;
	assert_true(choose());
	assert_int_equal(controls.pin, 0x16 | 0x29);
	assert_int_equal(controls.proc & (VMX_PROC_CR3_LOAD | VMX_PROC_CR3_STORE), 0);
	assert_int_equal(controls.proc & (VMX_PROC_INTR_WINDOW | VMX_PROC_NMI_WINDOW), 0);
	assert_true(controls.proc & VMX_PROC_IO && controls.proc & VMX_PROC_IO_BITMAPS);
	assert_int_equal(controls.proc2, VMX_PROC2_EPT | VMX_PROC2_UNRESTRICTED | VMX_PROC2_RDTSCP |
						 VMX_PROC2_VPID | VMX_PROC2_WBINVD |
						 VMX_PROC2_INVPCID);
	assert_true(controls.exit & VMX_EXIT_HOST_64);
	assert_false(controls.exit & VMX_EXIT_ACK);
	assert_false(controls.entry & VMX_ENTRY_IA32E);
}

/* What other hypervisors leave out is not asked for. */
static void nested(void **state)
{
	(void)state;
	caps.proc2 = (VMX_PROC2_EPT | VMX_PROC2_UNRESTRICTED) << 32;
	caps.proc = without(caps.proc, VMX_PROC_TPR_SHADOW | VMX_PROC_IO_BITMAPS |
					       VMX_PROC_TRAP_FLAG | VMX_PROC_PAUSE);
	caps.pin = without(caps.pin, VMX_PIN_PREEMPTION | VMX_PIN_POSTED);
	caps.ept_vpid &= ~(VMX_EPT_1G | VMX_EPT_AD | VMX_INVVPID | VMX_INVEPT_SINGLE);
	assert_true(choose());
	assert_int_equal(controls.proc2, VMX_PROC2_EPT | VMX_PROC2_UNRESTRICTED);
	assert_false(controls.proc & VMX_PROC_IO_BITMAPS);
	assert_true(controls.proc & VMX_PROC_IO);
}

static void no_vpid_without_its_flush(void **state)
{
	(void)state;
	caps.ept_vpid &= ~VMX_INVVPID_ALL;
	assert_true(choose());
	assert_false(controls.proc2 & VMX_PROC2_VPID);
}

static void refused_by_name(void **state)
{
	(void)state;
	caps.proc2 = without(caps.proc2, VMX_PROC2_EPT);
	assert_false(choose());
	assert_non_null(strstr(why, "EPT"));
	setup(state);
	caps.proc2 = without(caps.proc2, VMX_PROC2_UNRESTRICTED);
	assert_false(choose());
	assert_non_null(strstr(why, "unrestricted guest"));
	setup(state);
	caps.ept_vpid &= ~VMX_EPT_2M;
	assert_false(choose());
	assert_non_null(strstr(why, "2 MiB"));
	setup(state);
	caps.pin = without(caps.pin, VMX_PIN_VIRTUAL_NMI);
	assert_false(choose());
	assert_non_null(strstr(why, "NMI"));
	setup(state);
	caps.proc |= VMX_PROC_CR3_LOAD; /* no TRUE capability MSRs */
	assert_false(choose());
	assert_non_null(strstr(why, "CR3"));
	setup(state);
	caps.exit = without(caps.exit, VMX_EXIT_LOAD_EFER);
	assert_false(choose());
	assert_non_null(strstr(why, "EFER"));
}

static void the_true_msrs_where_they_are(void **state)
{
	struct vmx_caps c;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(msrs); i++)
		msrs[i] = any(0x100 + i);
	msrs[0] = 0;
	vmx_caps_read(&c);
	assert_int_equal((u32)c.pin, 0x101);
	assert_int_equal((u32)c.entry, 0x104);
	msrs[0] = VMX_BASIC_TRUE;
	vmx_caps_read(&c);
	assert_int_equal((u32)c.pin, 0x10d);
	assert_int_equal((u32)c.proc, 0x10e);
	assert_int_equal((u32)c.exit, 0x10f);
	assert_int_equal((u32)c.entry, 0x110);
	assert_int_equal((u32)c.proc2, 0x10b);
	assert_int_equal((u32)c.ept_vpid, 0x10c);
	assert_int_equal(c.phys_bits, 39);
	msrs[2] = msrs[0xe] = 0; /* no secondary controls: their MSRs do not exist */
	vmx_caps_read(&c);
	assert_int_equal(c.proc2, 0);
	assert_int_equal(c.ept_vpid, 0);
}

static void adjusting(void **state)
{
	(void)state;
	assert_int_equal(vmx_adjust(0x000000ff00000003, 0xf10), 0x13);
}

/* Locked without VMX is the one value that stops us; bits that are others' stay. */
static void feature_control(void **state)
{
	(void)state;
	assert_true(vmx_locked_off(FEATURE_CONTROL_LOCKED));
	assert_true(vmx_locked_off(FEATURE_CONTROL_LOCKED | BIT(1) | BIT(18))); /* SMX only */
	assert_false(vmx_locked_off(0));
	assert_false(vmx_locked_off(FEATURE_CONTROL_VMX));
	assert_false(vmx_locked_off(FEATURE_CONTROL_LOCKED | FEATURE_CONTROL_VMX));
	assert_int_equal(vmx_feature_control(0), 5);
	assert_int_equal(vmx_feature_control(BIT(18)), BIT(18) | 5);
	assert_int_equal(vmx_feature_control(5 | BIT(20)), 5 | BIT(20));
	assert_int_equal(vmx_feature_control(FEATURE_CONTROL_LOCKED), FEATURE_CONTROL_LOCKED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_full_processor, setup),
		cmocka_unit_test_setup(nested, setup),
		cmocka_unit_test_setup(no_vpid_without_its_flush, setup),
		cmocka_unit_test_setup(refused_by_name, setup),
		cmocka_unit_test_setup(the_true_msrs_where_they_are, setup),
		cmocka_unit_test_setup(adjusting, setup),
		cmocka_unit_test(feature_control),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
