/*
 * Capabilities and the choice of controls, see caps.h. What is required comes
 * with every processor that has EPT and unrestricted guest; what other
 * hypervisors leave out when they nest (APIC virtualisation, posted interrupts,
 * 1 GiB pages, the preemption timer) is not used at all.
 */
#include "arch/vmx/caps.h"
#include "arch/x86.h"

#define PIN_NEED (VMX_PIN_EXTINT | VMX_PIN_NMI | VMX_PIN_VIRTUAL_NMI)
#define PROC_NEED \
	(VMX_PROC_TSC_OFFSET | VMX_PROC_HLT | VMX_PROC_MWAIT | VMX_PROC_RDPMC | \
	 VMX_PROC_CR8_LOAD | VMX_PROC_CR8_STORE | VMX_PROC_MOV_DR | VMX_PROC_IO | \
	 VMX_PROC_MSR_BITMAPS | VMX_PROC_MONITOR | VMX_PROC_SECONDARY)
#define PROC_OPTIONAL VMX_PROC_IO_BITMAPS
/* MOV to and from CR3 run free: a guest with PAE paging loads its PDPTEs itself. */
#define PROC_NEVER (VMX_PROC_CR3_LOAD | VMX_PROC_CR3_STORE)
#define PROC_LATER (VMX_PROC_INTR_WINDOW | VMX_PROC_NMI_WINDOW)
#define PROC2_NEED (VMX_PROC2_EPT | VMX_PROC2_UNRESTRICTED)
#define PROC2_OPTIONAL (VMX_PROC2_RDTSCP | VMX_PROC2_VPID | VMX_PROC2_WBINVD | VMX_PROC2_INVPCID)
#define EXIT_NEED \
	(VMX_EXIT_SAVE_DEBUG | VMX_EXIT_HOST_64 | VMX_EXIT_SAVE_PAT | VMX_EXIT_LOAD_PAT | \
	 VMX_EXIT_SAVE_EFER | VMX_EXIT_LOAD_EFER)
#define ENTRY_NEED (VMX_ENTRY_LOAD_DEBUG | VMX_ENTRY_LOAD_PAT | VMX_ENTRY_LOAD_EFER)
#define EPT_NEED (VMX_EPT_WALK4 | VMX_EPT_WB | VMX_EPT_2M | VMX_INVEPT | VMX_INVEPT_ALL)
/* Only what a wrapped-around VPID needs; single flushes take a fresh one. */
#define VPID_NEED (VMX_INVVPID | VMX_INVVPID_ALL)

void vmx_caps_read(struct vmx_caps *c)
{
	u32 r[4], t;

	*c = (struct vmx_caps){ .basic = rdmsr(MSR_VMX_BASIC), .misc = rdmsr(MSR_VMX_MISC) };
	t = c->basic & VMX_BASIC_TRUE ? MSR_VMX_TRUE : 0;
	c->pin = rdmsr(MSR_VMX_PIN + t);
	c->proc = rdmsr(MSR_VMX_PROC + t);
	c->exit = rdmsr(MSR_VMX_EXIT + t);
	c->entry = rdmsr(MSR_VMX_ENTRY + t);
	c->cr0_fixed0 = rdmsr(MSR_VMX_CR0_FIXED0);
	c->cr0_fixed1 = rdmsr(MSR_VMX_CR0_FIXED1);
	c->cr4_fixed0 = rdmsr(MSR_VMX_CR4_FIXED0);
	c->cr4_fixed1 = rdmsr(MSR_VMX_CR4_FIXED1);
	if (c->proc >> 32 & VMX_PROC_SECONDARY)
		c->proc2 = rdmsr(MSR_VMX_PROC2);
	if (c->proc2 >> 32 & (VMX_PROC2_EPT | VMX_PROC2_VPID))
		c->ept_vpid = rdmsr(MSR_VMX_EPT_VPID);
	cpuid_count(0x80000008, 0, r);
	c->phys_bits = MIN(r[0] & 0xff, 52);
}

bool vmx_locked_off(u64 feature_control)
{
	return (feature_control & FEATURE_CONTROL_LOCKED) &&
	       !(feature_control & FEATURE_CONTROL_VMX);
}

u64 vmx_feature_control(u64 feature_control)
{
	if (feature_control & FEATURE_CONTROL_LOCKED)
		return feature_control;
	return feature_control | FEATURE_CONTROL_LOCKED | FEATURE_CONTROL_VMX;
}

u32 vmx_adjust(u64 cap, u32 want)
{
	return (want | (u32)cap) & (u32)(cap >> 32);
}

static bool allows(u64 cap, u64 bits)
{
	return ((cap >> 32) & bits) == bits;
}

bool vmx_choose_controls(const struct vmx_caps *c, struct vmx_controls *out, const char **why)
{
	if (!allows(c->proc, VMX_PROC_SECONDARY) || !allows(c->proc2, VMX_PROC2_EPT)) {
		*why = "the CPU's VT-x has no extended page tables (EPT)";
		return false;
	}
	if (!allows(c->proc2, VMX_PROC2_UNRESTRICTED)) {
		*why = "the CPU's VT-x cannot run guests in real mode (no unrestricted guest)";
		return false;
	}
	if ((c->ept_vpid & EPT_NEED) != EPT_NEED) {
		*why = "the CPU's EPT lacks write-back tables, 2 MiB pages or INVEPT";
		return false;
	}
	if (!allows(c->pin, PIN_NEED)) {
		*why = "the CPU's VT-x has no virtual NMIs";
		return false;
	}
	if (!allows(c->proc, PROC_NEED | PROC_LATER) || (c->proc & (PROC_NEVER | PROC_LATER))) {
		*why = "the CPU's VT-x lacks a processor control that is needed "
		       "(TSC offset, MSR bitmaps, free CR3, interrupt and NMI windows)";
		return false;
	}
	if (!allows(c->exit, EXIT_NEED) || !allows(c->entry, ENTRY_NEED)) {
		*why = "the CPU's VT-x cannot switch EFER and PAT";
		return false;
	}
	out->pin = vmx_adjust(c->pin, PIN_NEED);
	out->proc = vmx_adjust(c->proc, PROC_NEED | PROC_OPTIONAL);
	out->proc2 = vmx_adjust(c->proc2, PROC2_NEED | PROC2_OPTIONAL);
	if ((c->ept_vpid & VPID_NEED) != VPID_NEED)
		out->proc2 &= ~(u32)VMX_PROC2_VPID;
	out->exit = vmx_adjust(c->exit, EXIT_NEED);
	out->entry = vmx_adjust(c->entry, ENTRY_NEED);
	return true;
}
