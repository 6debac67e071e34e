/*
 * arch/vmx/vmx_state.c on a VMCS in plain memory: what a guest sees of CR0
 * and CR4, segments there and back, long mode, and the MSRs.
 */
// FLAGS: -Itests/unit/fake/vmx -Itests/unit/fake/hw
// SOURCES: arch/vmx/vmx_state.c
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/vmx/vmx.h"
#include "arch/x86.h"

#define CR4_ALLOWED (CR4_PAE | CR4_PGE | CR4_MCE | CR4_OSFXSR)

u64 fake_vmcs[0x8000];
struct vmx_caps vmx_caps;
static struct hv_vcpu v;
static struct vmx_vcpu x;
static struct hv_state s;
static u64 cpu_msr; /* KERNEL_GS_BASE, or the last one written */
static u32 cpu_msr_number;

u64 rdmsr(u32 msr)
{
	assert_int_equal(msr, MSR_KERNEL_GS_BASE);
	return cpu_msr;
}

void wrmsr(u32 msr, u64 value)
{
	cpu_msr_number = msr;
	cpu_msr = value;
}

static int setup(void **state)
{
	(void)state;
	memset(fake_vmcs, 0, sizeof(fake_vmcs));
	memset(&v, 0, sizeof(v));
	memset(&x, 0, sizeof(x));
	vmx_caps =
		(struct vmx_caps){ .cr0_fixed0 = CR0_PE | CR0_NE | CR0_PG, .cr4_fixed0 = CR4_VMXE };
	v.area = &x;
	v.cr4_allowed = CR4_ALLOWED;
	vmx_state_reset(&v);
	vmx_get_state(&v, &s);
	return 0;
}

static void after_reset(void **state)
{
	(void)state;
	assert_int_equal(v.rip, 0xfff0);
	assert_int_equal(s.cr0, 0x60000010);
	assert_int_equal(s.cr4, 0);
	assert_int_equal(s.efer, 0);
	assert_int_equal(s.seg[HV_CS].selector, 0xf000);
	assert_int_equal(s.seg[HV_CS].base, 0xffff0000);
	assert_int_equal(s.seg[HV_CS].attr, 0x9b);
	assert_int_equal(s.seg[HV_TR].attr, 0x8b);
	assert_int_equal(vmread(VMCS_GUEST_CR0), CR0_NE | CR0_ET);
	assert_int_equal(vmread(VMCS_GUEST_CR4), CR4_VMXE | CR4_MCE);
	assert_true(vmread(VMCS_GUEST_LINK_POINTER) == ~0ull);
}

static void the_guest_owns_what_it_may(void **state)
{
	(void)state;
	assert_int_equal(vmread(VMCS_CR0_MASK), CR0_CD | CR0_NW | CR0_NE);
	assert_true(vmread(VMCS_CR4_MASK) == (~(u64)CR4_ALLOWED | CR4_VMXE | CR4_MCE));
}

/* What a guest writes with an exit, then again without one. */
static void granted_bits_show(void **state)
{
	(void)state;
	vmx_grant_cr(&v, 4, CR4_PAE | CR4_MCE);
	assert_int_equal(vmx_get_cr(&v, 4), CR4_MCE); /* PAE is the guest's to set */
	vmwrite(VMCS_GUEST_CR4, vmread(VMCS_GUEST_CR4) | CR4_PAE);
	assert_int_equal(vmx_get_cr(&v, 4), CR4_PAE | CR4_MCE);
	vmx_grant_cr(&v, 0, CR0_PE | CR0_NE | CR0_ET);
	vmwrite(VMCS_GUEST_CR0, vmread(VMCS_GUEST_CR0) | CR0_PE);
	assert_int_equal(vmx_get_cr(&v, 0), CR0_PE | CR0_NE | CR0_ET);
}

static void state_there_and_back(void **state)
{
	struct hv_state t;

	(void)state;
	s.seg[HV_CS] = (struct hv_segment){ 0x10, 0xa9b, 0xffffffff, 0 };
	s.seg[HV_SS] = (struct hv_segment){ 0x18, 0xcf3, 0xffffffff, 0 };
	s.seg[HV_TR] = (struct hv_segment){ 0x28, 0x08b, 0x67, 0x1234 };
	s.seg[HV_LDTR] = (struct hv_segment){ 0, 0, 0, 0 };
	s.cr0 = CR0_PE | CR0_PG | CR0_ET | CR0_WP;
	s.cr2 = 0x1111;
	s.cr3 = 0x5000;
	s.cr4 = CR4_PAE | CR4_PGE;
	s.cr8 = 5;
	s.efer = EFER_LME | EFER_LMA | EFER_SCE;
	s.dr6 = 0xffff0ff1;
	s.dr7 = 0x403;
	s.dr[2] = 0x77;
	v.flush = 0;
	vmx_set_state(&v, &s);
	vmx_get_state(&v, &t);
	assert_memory_equal(&s, &t, sizeof(s));
	assert_true(vmread(VMCS_ENTRY_CONTROLS) & VMX_ENTRY_IA32E);
	assert_int_equal(vmread(VMCS_GUEST_DR7), 0x403);
	assert_true(vmread(VMCS_GUEST_LDTR_ACCESS) & VMX_ACCESS_UNUSABLE);
	assert_true(v.flush);
	vmx_set_cr(&v, 0, CR0_PE | CR0_ET);
	assert_false(vmread(VMCS_ENTRY_CONTROLS) & VMX_ENTRY_IA32E);
	assert_int_equal(vmread(VMCS_GUEST_EFER), EFER_LME | EFER_SCE);
}

/* An entry insists on what a descriptor may leave open. */
static void access_rights_made_fit(void **state)
{
	(void)state;
	s.seg[HV_DS] = (struct hv_segment){ 8, 0x92, 0xffffffff, 0 };
	s.seg[HV_ES] = (struct hv_segment){ 8, 0x893, 0x1234, 0 };
	s.seg[HV_TR] = (struct hv_segment){ 8, 0x89, 0x67, 0 };
	vmx_set_state(&v, &s);
	assert_int_equal(vmread(VMCS_GUEST_DS_ACCESS), 0x8093);
	assert_int_equal(vmread(VMCS_GUEST_ES_ACCESS), 0x93);
	assert_int_equal(vmread(VMCS_GUEST_TR_ACCESS), 0x8b);
}

static void the_privilege_level_is_ss_s(void **state)
{
	u8 cpl = 0;

	(void)state;
	vmwrite(VMCS_GUEST_SS_ACCESS, VMX_ACCESS_UNUSABLE | 0x60);
	vmx_get_mmu(&v, &s, &cpl);
	assert_int_equal(cpl, 3);
}

static void msrs(void **state)
{
	u64 value;

	(void)state;
	assert_true(vmx_set_msr(&v, MSR_LSTAR, 0x1234));
	assert_true(vmx_get_msr(&v, MSR_LSTAR, &value));
	assert_int_equal(value, 0x1234);
	assert_int_equal(cpu_msr_number, 0);
	v.live = 1; /* then the processor has it too */
	assert_true(vmx_set_msr(&v, MSR_STAR, 0x99));
	assert_int_equal(cpu_msr_number, MSR_STAR);
	cpu_msr = 0xabc; /* SWAPGS */
	assert_true(vmx_get_msr(&v, MSR_KERNEL_GS_BASE, &value));
	assert_int_equal(value, 0xabc);
	assert_true(vmx_set_msr(&v, MSR_FS_BASE, 0x55));
	assert_int_equal(vmread(VMCS_GUEST_FS_BASE), 0x55);
	v.flush = 0;
	assert_true(vmx_set_msr(&v, MSR_EFER, EFER_NXE));
	assert_true(v.flush);
	assert_false(vmx_get_msr(&v, MSR_TSC, &value));
	assert_false(vmx_set_msr(&v, MSR_TSC, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(after_reset, setup),
		cmocka_unit_test_setup(the_guest_owns_what_it_may, setup),
		cmocka_unit_test_setup(granted_bits_show, setup),
		cmocka_unit_test_setup(state_there_and_back, setup),
		cmocka_unit_test_setup(access_rights_made_fit, setup),
		cmocka_unit_test_setup(the_privilege_level_is_ss_s, setup),
		cmocka_unit_test_setup(msrs, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
