/*
 * Guest register state in and out of the VMCS, which must be current on this
 * CPU: the vCPU is loaded. Intel SDM Vol. 3C, 25.4.
 *
 * CR0 and CR4 (25.6.6): the guest owns every bit that need not be controlled,
 * the mask has the others and the shadow what the guest sees of them. CR0.CD,
 * NW: caching is the host's business; NE and CR4.VMXE: fixed by VMX; CR4.MCE:
 * a machine check must reach the host; and what CPUID does not show.
 */
#include "arch/vmx/vmx.h"
#include "arch/x86.h"

#define CR0_RESET 0x60000010ull /* CD, NW, ET: SDM Vol. 3A, table 10-1 */
#define PAT_RESET 0x0007040600070406ull
#define DR6_RESET 0xffff0ff0ull
#define DR7_RESET 0x400ull

#define ATTR_TYPE 0xfu
#define ATTR_S 0x10u
#define ATTR_DPL 0x60u
#define ATTR_P 0x80u
#define ATTR_G 0x800u
#define TYPE_ACCESSED 1u
#define TYPE_BUSY 2u

const u32 vmx_msr_number[VMX_MSRS] = {
	[VMX_STAR] = MSR_STAR,
	[VMX_LSTAR] = MSR_LSTAR,
	[VMX_CSTAR] = MSR_CSTAR,
	[VMX_SFMASK] = MSR_SFMASK,
	[VMX_KERNEL_GS_BASE] = MSR_KERNEL_GS_BASE,
};

/* ------------------------------------------------------------- segments */

static struct hv_segment get_seg(u32 i)
{
	u32 ar = (u32)vmread(VMCS_GUEST_ES_ACCESS + 2 * i);
	struct hv_segment s = {
		.selector = (u16)vmread(VMCS_GUEST_ES_SELECTOR + 2 * i),
		.limit = (u32)vmread(VMCS_GUEST_ES_LIMIT + 2 * i),
		.base = vmread(VMCS_GUEST_ES_BASE + 2 * i),
	};

	s.attr = (u16)((ar & 0xff) | (ar >> 4 & 0xf00));
	if (ar & VMX_ACCESS_UNUSABLE) /* SS keeps the privilege level */
		s.attr &= ATTR_DPL;
	return s;
}

/* What a VM entry insists on beyond a descriptor's own bits: accessed, a busy
 * TSS, G as the limit needs it. */
static u32 access_of(u32 i, const struct hv_segment *s)
{
	u32 attr = s->attr;

	if (!(attr & ATTR_P))
		return (u32)VMX_ACCESS_UNUSABLE | (attr & ATTR_DPL);
	if (attr & ATTR_S)
		attr |= TYPE_ACCESSED;
	else if (i == HV_TR)
		attr |= TYPE_BUSY;
	if (s->limit & 0xfff00000)
		attr |= ATTR_G;
	else if ((s->limit & 0xfff) != 0xfff)
		attr &= ~ATTR_G;
	return (attr & 0xff) | (attr & 0xf00) << 4;
}

static void set_seg(u32 i, const struct hv_segment *s)
{
	vmwrite(VMCS_GUEST_ES_SELECTOR + 2 * i, s->selector);
	vmwrite(VMCS_GUEST_ES_LIMIT + 2 * i, s->limit);
	vmwrite(VMCS_GUEST_ES_BASE + 2 * i, s->base);
	vmwrite(VMCS_GUEST_ES_ACCESS + 2 * i, access_of(i, s));
}

/* ---------------------------------------------------- control registers */

static u64 get_cr0(void)
{
	u64 mask = vmread(VMCS_CR0_MASK);

	return (vmread(VMCS_CR0_SHADOW) & mask) | (vmread(VMCS_GUEST_CR0) & ~mask);
}

static u64 get_cr4(void)
{
	u64 mask = vmread(VMCS_CR4_MASK);

	return (vmread(VMCS_CR4_SHADOW) & mask) | (vmread(VMCS_GUEST_CR4) & ~mask);
}

static u64 cr0_fixed_ones(void)
{
	return vmx_caps.cr0_fixed0 & ~(CR0_PE | CR0_PG); /* unrestricted guest */
}

static u64 cr4_fixed_ones(void)
{
	return vmx_caps.cr4_fixed0 | CR4_MCE;
}

/* LMA follows LME and PG, and the entry control follows LMA. */
static void set_mode(u64 cr0, u64 efer)
{
	u64 entry = vmread(VMCS_ENTRY_CONTROLS) & ~VMX_ENTRY_IA32E;

	efer &= ~EFER_LMA;
	if ((cr0 & CR0_PG) && (efer & EFER_LME)) {
		efer |= EFER_LMA;
		entry |= VMX_ENTRY_IA32E;
	}
	vmwrite(VMCS_GUEST_EFER, efer);
	vmwrite(VMCS_ENTRY_CONTROLS, entry);
}

static void set_cr0(u64 value)
{
	vmwrite(VMCS_CR0_SHADOW, value);
	vmwrite(VMCS_GUEST_CR0, (value & ~(CR0_CD | CR0_NW)) | cr0_fixed_ones() | CR0_ET);
}

static void set_cr4(u64 value)
{
	vmwrite(VMCS_CR4_SHADOW, value);
	vmwrite(VMCS_GUEST_CR4, value | cr4_fixed_ones());
}

void vmx_set_cr(struct hv_vcpu *v, u32 nr, u64 value)
{
	switch (nr) {
	case 0:
		set_cr0(value);
		set_mode(value, vmread(VMCS_GUEST_EFER));
		v->flush = 1;
		break;
	case 2: vmx_of(v)->cr2 = value; break;
	case 3:
		vmwrite(VMCS_GUEST_CR3, value & ~BIT(63));
		v->flush = 1;
		break;
	case 4:
		set_cr4(value);
		v->flush = 1;
		break;
	case 8: v->tpr = value & 0xf; break;
	}
}

/* The guest's own write is done again, and changes none of the masked bits now;
 * the processor does the rest: its checks, paging modes, PDPTEs, LMA, flushes. */
void vmx_grant_cr(struct hv_vcpu *v, u32 nr, u64 value)
{
	(void)v;
	vmwrite(nr == 0 ? VMCS_CR0_SHADOW : VMCS_CR4_SHADOW, value);
}

u64 vmx_get_cr(struct hv_vcpu *v, u32 nr)
{
	switch (nr) {
	case 0: return get_cr0();
	case 2: return vmx_of(v)->cr2;
	case 3: return vmread(VMCS_GUEST_CR3);
	case 4: return get_cr4();
	default: return v->tpr;
	}
}

/* ------------------------------------------------------------ the whole */

void vmx_get_mmu(struct hv_vcpu *v, struct hv_state *s, u8 *cpl)
{
	(void)v;
	s->seg[HV_CS] = get_seg(HV_CS);
	s->seg[HV_FS].base = vmread(VMCS_GUEST_FS_BASE);
	s->seg[HV_GS].base = vmread(VMCS_GUEST_GS_BASE);
	s->efer = vmread(VMCS_GUEST_EFER);
	/* 64-bit code has no other segments */
	if (unlikely(!(s->efer & EFER_LMA) || !(s->seg[HV_CS].attr & HV_ATTR_L)))
		for (u32 i = HV_ES; i <= HV_GS; i++)
			s->seg[i] = get_seg(i);
	s->cr0 = get_cr0();
	s->cr3 = vmread(VMCS_GUEST_CR3);
	s->cr4 = get_cr4();
	*cpl = (vmread(VMCS_GUEST_SS_ACCESS) & ATTR_DPL) >> 5;
}

void vmx_get_state(struct hv_vcpu *v, struct hv_state *s)
{
	struct vmx_vcpu *x = vmx_of(v);
	u8 cpl;

	vmx_get_mmu(v, s, &cpl);
	for (u32 i = 0; i < HV_SEGS; i++)
		s->seg[i] = get_seg(i);
	s->gdtr_base = vmread(VMCS_GUEST_GDTR_BASE);
	s->gdtr_limit = (u32)vmread(VMCS_GUEST_GDTR_LIMIT);
	s->idtr_base = vmread(VMCS_GUEST_IDTR_BASE);
	s->idtr_limit = (u32)vmread(VMCS_GUEST_IDTR_LIMIT);
	s->cr2 = x->cr2;
	s->cr8 = v->tpr;
	s->dr6 = x->dr6;
	s->dr7 = x->dr7;
	for (u32 i = 0; i < 4; i++)
		s->dr[i] = v->dr[i];
}

void vmx_set_state(struct hv_vcpu *v, const struct hv_state *s)
{
	for (u32 i = 0; i < HV_SEGS; i++)
		set_seg(i, &s->seg[i]);
	vmwrite(VMCS_GUEST_GDTR_BASE, s->gdtr_base);
	vmwrite(VMCS_GUEST_GDTR_LIMIT, s->gdtr_limit);
	vmwrite(VMCS_GUEST_IDTR_BASE, s->idtr_base);
	vmwrite(VMCS_GUEST_IDTR_LIMIT, s->idtr_limit);
	set_cr0(s->cr0);
	vmwrite(VMCS_GUEST_CR3, s->cr3);
	set_cr4(s->cr4);
	set_mode(s->cr0, s->efer);
	vmx_of(v)->cr2 = s->cr2;
	v->tpr = s->cr8 & 0xf;
	vmx_set_dr(v, 6, s->dr6);
	vmx_set_dr(v, 7, s->dr7);
	for (u32 i = 0; i < 4; i++)
		v->dr[i] = s->dr[i];
	v->flush = 1;
}

void vmx_state_reset(struct hv_vcpu *v)
{
	static const struct hv_segment data = { 0, 0x93, 0xffff, 0 };
	struct hv_state s = {
		.gdtr_limit = 0xffff,
		.idtr_limit = 0xffff,
		.cr0 = CR0_RESET,
		.dr6 = DR6_RESET,
		.dr7 = DR7_RESET,
	};
	struct vmx_vcpu *x = vmx_of(v);

	for (u32 i = HV_ES; i <= HV_GS; i++)
		s.seg[i] = data;
	s.seg[HV_CS] = (struct hv_segment){ 0xf000, 0x9b, 0xffff, 0xffff0000 };
	s.seg[HV_LDTR] = (struct hv_segment){ 0, 0x82, 0xffff, 0 };
	s.seg[HV_TR] = (struct hv_segment){ 0, 0x8b, 0xffff, 0 };
	vmwrite(VMCS_CR0_MASK, CR0_CD | CR0_NW | cr0_fixed_ones());
	vmwrite(VMCS_CR4_MASK, ~v->cr4_allowed | cr4_fixed_ones());
	vmx_set_state(v, &s);
	v->rip = 0xfff0;
	v->rflags = RFLAGS_FIXED;
	vmwrite(VMCS_GUEST_RIP, v->rip);
	vmwrite(VMCS_GUEST_RSP, 0);
	vmwrite(VMCS_GUEST_RFLAGS, v->rflags);
	x->rip = v->rip;
	x->rsp = 0;
	x->rflags = v->rflags;
	vmwrite(VMCS_GUEST_PAT, PAT_RESET);
	vmwrite(VMCS_GUEST_DEBUGCTL, 0);
	vmwrite(VMCS_GUEST_LINK_POINTER, ~0ull);
	vmwrite(VMCS_GUEST_ACTIVITY, 0);
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, 0);
	vmwrite(VMCS_GUEST_PENDING_DEBUG, 0);
	vmwrite(VMCS_GUEST_SYSENTER_CS, 0);
	vmwrite(VMCS_GUEST_SYSENTER_ESP, 0);
	vmwrite(VMCS_GUEST_SYSENTER_EIP, 0);
}

void vmx_set_dr(struct hv_vcpu *v, u32 nr, u64 value)
{
	struct vmx_vcpu *x = vmx_of(v);

	if (nr < 4) {
		v->dr[nr] = value;
	} else if (nr == 6) {
		x->dr6 = value;
	} else {
		x->dr7 = value;
		vmwrite(VMCS_GUEST_DR7, value);
	}
}

/* ----------------------------------------------------------------- MSRs */

static u32 msr_field(u32 msr)
{
	switch (msr) {
	case MSR_FS_BASE: return VMCS_GUEST_FS_BASE;
	case MSR_GS_BASE: return VMCS_GUEST_GS_BASE;
	case MSR_SYSENTER_CS: return VMCS_GUEST_SYSENTER_CS;
	case MSR_SYSENTER_ESP: return VMCS_GUEST_SYSENTER_ESP;
	case MSR_SYSENTER_EIP: return VMCS_GUEST_SYSENTER_EIP;
	case MSR_EFER: return VMCS_GUEST_EFER;
	case MSR_PAT: return VMCS_GUEST_PAT;
	default: return 0;
	}
}

static u32 msr_slot(u32 msr)
{
	u32 i = 0;

	while (i < VMX_MSRS && vmx_msr_number[i] != msr)
		i++;
	return i;
}

bool vmx_get_msr(struct hv_vcpu *v, u32 msr, u64 *value)
{
	u32 field = msr_field(msr), slot = msr_slot(msr);

	if (field)
		*value = vmread(field);
	else if (slot == VMX_KERNEL_GS_BASE && v->live)
		*value = rdmsr(msr);
	else if (slot < VMX_MSRS)
		*value = vmx_of(v)->msr[slot];
	else
		return false;
	return true;
}

bool vmx_set_msr(struct hv_vcpu *v, u32 msr, u64 value)
{
	u32 field = msr_field(msr), slot = msr_slot(msr);

	if (field) {
		vmwrite(field, value);
		v->flush |= msr == MSR_EFER;
	} else if (slot < VMX_MSRS) {
		vmx_of(v)->msr[slot] = value;
		if (v->live)
			wrmsr(msr, value);
	} else {
		return false;
	}
	return true;
}
