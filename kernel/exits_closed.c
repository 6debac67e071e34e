/*
 * The exits that the kernel answers itself without opening (arch/hv.h): CPUID,
 * MSRs, control registers that come decoded, the hypercall, XSETBV, windows,
 * and what is simply refused. One function each, in the table at the end.
 */
#include "arch/cpu.h"
#include "arch/x86.h"
#include "kernel/control_regs.h"
#include "kernel/string.h"
#include "kernel/vcpu.h"
#include "kernel/vm.h"

#define CPUID_LEAF_XSAVE 0xd
#define HYPERCALL_ENOSYS 1000 /* KVM's answer to a hypercall that it does not know */

/* ------------------------------------------------------------ MSRs */

static void put_msr(struct vcpu *v, u64 value)
{
	v->hv.gpr[HV_RAX] = (u32)value;
	v->hv.gpr[HV_RDX] = value >> 32;
	vcpu_advance(v, v->hv.exit.insn_len);
}

static NOINLINE bool read_msr(struct vcpu *v, u32 index)
{
	u64 value = 0;
	bool ok = true;

	switch (msr_read(&v->msrs, index, &value)) {
	case MSR_DONE: break;
	case MSR_LAPIC:
		ok = lapic_msr_read(&v->lapic, index, &value, vcpu_guest_tsc(v, rdtsc()));
		break;
	case MSR_STATE:
		if (index == MSR_TSC)
			value = vcpu_guest_tsc(v, rdtsc());
		else
			ok = hv->get_msr(&v->hv, index, &value);
		break;
	case MSR_MONITOR: return false;
	default: ok = false;
	}
	if (ok)
		put_msr(v, value);
	else
		vcpu_inject_gp(v);
	return true;
}

static bool exit_rdmsr(struct vcpu *v)
{
	if (v->hv.exit.msr.index == MSR_APIC_BASE) { /* what is read most */
		put_msr(v, v->lapic.apic_base);
		return true;
	}
	return read_msr(v, v->hv.exit.msr.index);
}

static bool write_state_msr(struct vcpu *v, u32 index, u64 value)
{
	u64 old;

	if (index != MSR_EFER)
		return hv->set_msr(&v->hv, index, value);
	hv->get_msr(&v->hv, MSR_EFER, &old);
	if (!efer_valid(old, value, hv->get_cr(&v->hv, 0), v->vm->cpuid.efer))
		return false;
	return hv->set_msr(&v->hv, MSR_EFER, efer_fixed(old, value));
}

/* What msr_write() leaves to be done, as it said. */
static NOINLINE bool complete_wrmsr(struct vcpu *v, enum msr_action what, u64 value)
{
	u32 index = v->hv.exit.msr.index, effects = 0;
	bool ok = true;

	switch (what) {
	case MSR_LAPIC:
		ok = lapic_msr_write(&v->lapic, index, value, vcpu_guest_tsc(v, rdtsc()), &effects);
		if (ok)
			vcpu_lapic_effects(v, effects);
		break;
	case MSR_STATE: ok = write_state_msr(v, index, value); break;
	case MSR_SET_TSC:
		if (index == MSR_TSC)
			v->msrs.tsc_adjust += value - vcpu_guest_tsc(v, rdtsc());
		vcpu_update_tsc(v);
		break;
	case MSR_SET_AUX: wrmsr(MSR_TSC_AUX, v->msrs.tsc_aux); break;
	case MSR_MONITOR: return false;
	default: ok = false;
	}
	if (ok)
		vcpu_advance(v, v->hv.exit.insn_len);
	else
		vcpu_inject_gp(v);
	return true;
}

static bool exit_wrmsr(struct vcpu *v)
{
	u64 value = (u32)v->hv.gpr[HV_RAX] | v->hv.gpr[HV_RDX] << 32;
	enum msr_action what = msr_write(&v->msrs, v->hv.exit.msr.index, value);

	if (what != MSR_DONE)
		return complete_wrmsr(v, what, value);
	vcpu_advance(v, v->hv.exit.insn_len);
	return true;
}

/* ------------------------------------------------- control registers */

/*
 * An exit that comes with its operand. CR0 and CR4: the processor will do the
 * write itself, checks of modes included, once the bits that made it exit are
 * granted; whether they may be set is decided here.
 */
static bool exit_cr(struct vcpu *v)
{
	const struct hv_exit *x = &v->hv.exit;
	bool ok;

	if (!x->cr.decoded)
		return false;
	if (!x->cr.write) {
		v->hv.gpr[x->cr.gpr] = hv->get_cr(&v->hv, x->cr.nr);
		vcpu_advance(v, x->insn_len);
		return true;
	}
	if (x->cr.nr != 0 && x->cr.nr != 4) {
		if (vcpu_write_cr(v, x->cr.nr, x->cr.value))
			vcpu_advance(v, x->insn_len);
		return true;
	}
	ok = x->cr.nr == 0 ? cr0_valid(x->cr.value) : cr4_valid(x->cr.value, v->vm->cpuid.cr4);
	if (ok)
		hv->grant_cr(&v->hv, x->cr.nr, x->cr.value);
	else
		vcpu_inject_gp(v);
	return true;
}

/* ------------------------------------------------------- the others */

static bool put_cpuid(struct vcpu *v, const u32 r[4])
{
	v->hv.gpr[HV_RAX] = r[CPUID_EAX];
	v->hv.gpr[HV_RBX] = r[CPUID_EBX];
	v->hv.gpr[HV_RCX] = r[CPUID_ECX];
	v->hv.gpr[HV_RDX] = r[CPUID_EDX];
	vcpu_advance(v, v->hv.exit.insn_len);
	return true;
}

/* The leaves with subleaves, out of range, or that the vCPU's state shows in. */
static NOINLINE bool cpuid_slow(struct vcpu *v, u32 leaf)
{
	const struct cpuid_table *t = &v->vm->cpuid;
	u32 sub = (u32)v->hv.gpr[HV_RCX], r[4];
	struct cpuid_dynamic d;

	if (!cpuid_lookup(t, leaf, sub, r))
		return put_cpuid(v, r);
	d.cr4 = hv->get_cr(&v->hv, 4);
	d.xcr0 = leaf == CPUID_LEAF_XSAVE && t->xcr0 ? xgetbv(0) : 0; /* else #UD, in ring 0 */
	d.apic_id = v->id;
	d.apic_enabled = lapic_hw_enabled(&v->lapic);
	cpuid_patch(t, leaf, sub, &d, r);
	if (leaf == 1) {
		memcpy(v->leaf1, r, sizeof(v->leaf1));
		v->leaf1_cr4 = d.cr4;
	}
	return put_cpuid(v, r);
}

/* What is asked for most often. */
static NOINLINE bool cpuid_leaf1(struct vcpu *v)
{
	u64 cr4 = hv->get_cr(&v->hv, 4);

	if (likely(cr4 == v->leaf1_cr4))
		return put_cpuid(v, v->leaf1);
	return cpuid_slow(v, 1);
}

static bool exit_cpuid(struct vcpu *v)
{
	const struct cpuid_table *t = &v->vm->cpuid;
	u32 leaf = (u32)v->hv.gpr[HV_RAX];

	if (leaf == 1)
		return cpuid_leaf1(v);
	if (leaf <= t->max_basic && !((t->dynamic | t->indexed) >> leaf & 1))
		return put_cpuid(v, t->basic[leaf]);
	return cpuid_slow(v, leaf);
}

static bool exit_hypercall(struct vcpu *v)
{
	v->hv.gpr[HV_RAX] = 0 - (u64)HYPERCALL_ENOSYS;
	vcpu_advance(v, v->hv.exit.insn_len);
	return true;
}

static bool exit_xsetbv(struct vcpu *v)
{
	u64 value = (u32)v->hv.gpr[HV_RAX] | v->hv.gpr[HV_RDX] << 32;
	struct hv_state s;
	u8 cpl;

	/* not every processor checks the privilege level before it exits */
	hv->get_mmu(&v->hv, &s, &cpl);
	if (cpl || (u32)v->hv.gpr[HV_RCX] != 0 || !cpuid_xcr0_valid(&v->vm->cpuid, value)) {
		vcpu_inject_gp(v);
		return true;
	}
	xsetbv(0, value);
	vcpu_advance(v, v->hv.exit.insn_len);
	return true;
}

static bool exit_window(struct vcpu *v)
{
	vcpu_request(v, VCPU_REQ_EVENT);
	return true;
}

static bool exit_nmi_window(struct vcpu *v)
{
	v->nmi_blocked = false;
	v->nmi_iret = false;
	vcpu_request(v, VCPU_REQ_EVENT);
	return true;
}

/* Caches are coherent and the host's business. */
static bool exit_skip(struct vcpu *v)
{
	vcpu_advance(v, v->hv.exit.insn_len);
	return true;
}

static bool exit_ud(struct vcpu *v)
{
	vcpu_inject(v, EXC_UD, false, 0);
	return true;
}

static bool exit_gp(struct vcpu *v)
{
	vcpu_inject_gp(v);
	return true;
}

vcpu_exit_fn *const vcpu_closed_exits[HV_EXIT_COUNT] = {
	[HV_EXIT_CPUID] = exit_cpuid,
	[HV_EXIT_RDMSR] = exit_rdmsr,
	[HV_EXIT_WRMSR] = exit_wrmsr,
	[HV_EXIT_CR] = exit_cr,
	[HV_EXIT_HYPERCALL] = exit_hypercall,
	[HV_EXIT_WINDOW] = exit_window,
	[HV_EXIT_NMI_WINDOW] = exit_nmi_window,
	[HV_EXIT_XSETBV] = exit_xsetbv,
	[HV_EXIT_SKIP] = exit_skip,
	[HV_EXIT_UD] = exit_ud,
	[HV_EXIT_GP] = exit_gp,
};
