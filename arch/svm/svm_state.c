/*
 * Guest register state in and out of the VMCB. Host open, except for the MSR
 * pair: the VMCB holds the guest's FS, GS, TR, LDTR and system-call MSRs only
 * after VMSAVE, so a closed caller saves them first (v->live).
 */
#include "arch/frames.h"
#include "arch/svm/svm.h"
#include "arch/x86.h"

#define CR0_RESET 0x60000010ull /* CD, NW, ET: SDM Vol. 3A, table 9-1 */
#define PAT_RESET 0x0007040600070406ull
#define PAT_ALL_WB 0x0606060606060606ull
#define DR6_RESET 0xffff0ff0ull
#define DR7_RESET 0x400ull

static struct vmcb_seg *seg_slot(struct vmcb *b, u32 i)
{
	switch (i) {
	case HV_ES: return &b->es;
	case HV_CS: return &b->cs;
	case HV_SS: return &b->ss;
	case HV_DS: return &b->ds;
	case HV_FS: return &b->fs;
	case HV_GS: return &b->gs;
	case HV_LDTR: return &b->ldtr;
	default: return &b->tr;
	}
}

/*
 * The guest's EFER. While it has paging off its LME is without effect, and kept
 * out of the VMCB: QEMU's TCG, leaving a guest with LME but without PAE, takes
 * the host's CR0.PG for a transition into long mode and drops the host's CR0.
 * LMA follows from LME and PG: Bochs has cleared it already when a MOV to CR0
 * that would clear PG exits.
 */
static u64 efer_out(const struct vmcb *b)
{
	u64 efer = (b->efer & ~EFER_SVME) | b->guest_lme;

	return efer & EFER_LME && b->cr0 & CR0_PG ? efer | EFER_LMA : efer;
}

/* After cr0. */
static void efer_in(struct vmcb *b, u64 efer)
{
	b->guest_lme = b->cr0 & CR0_PG ? 0 : efer & EFER_LME;
	b->efer = (efer & ~b->guest_lme) | EFER_SVME;
}

/*
 * In the VMCB CR4 has MCE: with MCE clear a machine check of the host's would be
 * a shutdown, the guest's triple fault. The guest reads it as set.
 */
static void cr4_in(struct vmcb *b, u64 cr4)
{
	b->guest_cr4 = cr4;
	b->cr4 = cr4 | CR4_MCE;
}

static struct hv_segment seg_out(const struct vmcb_seg *s)
{
	return (struct hv_segment){ s->selector, s->attr, s->limit, s->base };
}

void svm_state_reset(struct vmcb *b)
{
	static const struct vmcb_seg data = { 0, 0x93, 0xffff, 0 };

	b->es = b->ss = b->ds = b->fs = b->gs = data;
	b->cs = (struct vmcb_seg){ 0xf000, 0x9b, 0xffff, 0xffff0000 };
	b->ldtr = (struct vmcb_seg){ 0, 0x82, 0xffff, 0 };
	b->tr = (struct vmcb_seg){ 0, 0x8b, 0xffff, 0 };
	b->gdtr.limit = b->idtr.limit = 0xffff;
	b->cr0 = CR0_RESET;
	b->efer = EFER_SVME; /* must be one for VMRUN; hidden from the guest */
	b->dr6 = DR6_RESET;
	b->dr7 = DR7_RESET;
	b->rflags = RFLAGS_FIXED;
	b->rip = 0xfff0;
	cr4_in(b, 0);
	/* All of it is RAM, which others map write-back; on some processors a second memory
	 * type for it is undefined, or hangs them. The guest's PAT is kept for it to read. */
	b->g_pat = PAT_ALL_WB;
	b->guest_pat = PAT_RESET;
}

void svm_get_state(struct hv_vcpu *v, struct hv_state *s)
{
	struct vmcb *b = svm_vmcb(v);

	for (u32 i = 0; i < HV_SEGS; i++)
		s->seg[i] = seg_out(seg_slot(b, i));
	s->gdtr_base = b->gdtr.base;
	s->gdtr_limit = b->gdtr.limit;
	s->idtr_base = b->idtr.base;
	s->idtr_limit = b->idtr.limit;
	s->cr0 = b->cr0;
	s->cr2 = b->cr2;
	s->cr3 = b->cr3;
	s->cr4 = b->guest_cr4;
	s->cr8 = v->tpr;
	s->efer = efer_out(b);
	s->dr6 = b->dr6;
	s->dr7 = b->dr7;
	for (u32 i = 0; i < 4; i++)
		s->dr[i] = v->dr[i];
}

void svm_set_state(struct hv_vcpu *v, const struct hv_state *s)
{
	struct vmcb *b = svm_vmcb(v);

	for (u32 i = 0; i < HV_SEGS; i++)
		*seg_slot(b, i) = (struct vmcb_seg){ s->seg[i].selector, s->seg[i].attr,
						     s->seg[i].limit, s->seg[i].base };
	b->gdtr.base = s->gdtr_base;
	b->gdtr.limit = s->gdtr_limit;
	b->idtr.base = s->idtr_base;
	b->idtr.limit = s->idtr_limit;
	b->cr0 = s->cr0;
	b->cr2 = s->cr2;
	write_cr2(s->cr2); /* see load() in svm.c */
	b->cr3 = s->cr3;
	cr4_in(b, s->cr4);
	v->tpr = s->cr8 & 0xf;
	efer_in(b, s->efer);
	b->dr6 = s->dr6;
	svm_set_dr(v, 7, s->dr7);
	for (u32 i = 0; i < 4; i++)
		v->dr[i] = s->dr[i];
	/* TCG takes the privilege level from SS.DPL, hardware from here. */
	b->cpl = (b->ss.attr >> 5) & 3;
	v->flush = 1;
}

void svm_get_mmu(struct hv_vcpu *v, struct hv_state *s, u8 *cpl)
{
	struct vmcb *b = svm_vmcb(v);

	s->seg[HV_CS] = seg_out(&b->cs);
	s->seg[HV_FS].base = b->fs.base;
	s->seg[HV_GS].base = b->gs.base;
	/* 64-bit code has no other segments */
	if (unlikely(!(b->efer & EFER_LMA) || !(b->cs.attr & HV_ATTR_L))) {
		s->seg[HV_ES] = seg_out(&b->es);
		s->seg[HV_SS] = seg_out(&b->ss);
		s->seg[HV_DS] = seg_out(&b->ds);
		s->seg[HV_FS] = seg_out(&b->fs);
		s->seg[HV_GS] = seg_out(&b->gs);
	}
	s->cr0 = b->cr0;
	s->cr3 = b->cr3;
	s->cr4 = b->guest_cr4;
	s->efer = efer_out(b);
	*cpl = b->cpl;
}

void svm_set_cr(struct hv_vcpu *v, u32 nr, u64 value)
{
	struct vmcb *b = svm_vmcb(v);
	u64 efer = efer_out(b);

	switch (nr) {
	case 0:
		if ((b->cr0 ^ value) & (CR0_PG | CR0_WP | CR0_PE))
			v->flush = 1;
		if ((value & CR0_PG) && !(b->cr0 & CR0_PG) && (efer & EFER_LME))
			efer |= EFER_LMA;
		if (!(value & CR0_PG))
			efer &= ~EFER_LMA;
		b->cr0 = value;
		efer_in(b, efer);
		break;
	case 2:
		b->cr2 = value;
		write_cr2(value); /* see load() in svm.c */
		break;
	case 3:
		b->cr3 = value;
		v->flush = 1;
		break;
	case 4:
		/* any change of the paging bits makes cached translations stale */
		if (b->guest_cr4 != value)
			v->flush = 1;
		cr4_in(b, value);
		break;
	case 8: v->tpr = value & 0xf; break;
	}
}

u64 svm_get_cr(struct hv_vcpu *v, u32 nr)
{
	struct vmcb *b = svm_vmcb(v);

	switch (nr) {
	case 0: return b->cr0;
	case 2: return b->cr2;
	case 3: return b->cr3;
	case 4: return b->guest_cr4;
	default: return v->tpr;
	}
}

void svm_set_dr(struct hv_vcpu *v, u32 nr, u64 value)
{
	struct vmcb *b = svm_vmcb(v);

	if (nr < 4) {
		v->dr[nr] = value;
	} else if (nr == 6) {
		b->dr6 = value;
	} else {
		b->dr7 = value;
		v->breakpoints = (value & 0xff) != 0;
	}
}

static u64 *msr_slot(struct vmcb *b, u32 msr)
{
	switch (msr) {
	case MSR_STAR: return &b->star;
	case MSR_LSTAR: return &b->lstar;
	case MSR_CSTAR: return &b->cstar;
	case MSR_SFMASK: return &b->sfmask;
	case MSR_FS_BASE: return &b->fs.base;
	case MSR_GS_BASE: return &b->gs.base;
	case MSR_KERNEL_GS_BASE: return &b->kernel_gs_base;
	case MSR_SYSENTER_CS: return &b->sysenter_cs;
	case MSR_SYSENTER_ESP: return &b->sysenter_esp;
	case MSR_SYSENTER_EIP: return &b->sysenter_eip;
	case MSR_EFER: return &b->efer;
	case MSR_PAT: return &b->guest_pat;
	default: return NULL;
	}
}

bool svm_get_msr(struct hv_vcpu *v, u32 msr, u64 *value)
{
	u64 *slot = msr_slot(svm_vmcb(v), msr);

	if (!slot)
		return false;
	if (v->live)
		svm_vmsave(phys_of(svm_vmcb(v)));
	*value = msr == MSR_EFER ? efer_out(svm_vmcb(v)) : *slot;
	return true;
}

bool svm_set_msr(struct hv_vcpu *v, u32 msr, u64 value)
{
	u64 *slot = msr_slot(svm_vmcb(v), msr);

	if (!slot)
		return false;
	if (v->live)
		svm_vmsave(phys_of(svm_vmcb(v)));
	if (msr == MSR_EFER) {
		efer_in(svm_vmcb(v), value);
		v->flush = 1;
	} else {
		*slot = value;
	}
	if (v->live)
		svm_vmload(phys_of(svm_vmcb(v)));
	return true;
}
