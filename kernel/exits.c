/*
 * The exits that the kernel answers itself: CPUID, MSRs, HLT, XSETBV, events
 * of the processor, and what is simply refused. Everything else becomes an
 * upcall. Runs on the vCPU's CPU; "closed" as in arch/hv.h.
 */
#include "arch/cpu.h"
#include "arch/panic.h"
#include "arch/x86.h"
#include "kernel/control_regs.h"
#include "kernel/percpu.h"
#include "kernel/string.h"
#include "kernel/vcpu.h"
#include "kernel/vm.h"

#define CPUID_LEAF_XSAVE 0xd  /* shown only where the host has XSAVE */
#define HYPERCALL_ENOSYS 1000 /* KVM's answer to a hypercall that it does not know */

#define DR6_SINGLE_STEP 0xffff4ff0ull /* BS, and the bits that read as one */

void vcpu_advance_flags(struct vcpu *v, u32 len)
{
	v->hv.rflags &= ~RFLAGS_RF;
	if ((v->hv.rflags & RFLAGS_TF) && len) {
		hv->set_dr(&v->hv, 6, DR6_SINGLE_STEP);
		vcpu_inject(v, EXC_DB, false, 0);
	}
}

/* By the time that is left: the guest chooses both its TSC and the deadline,
 * and a sum that wrapped would be due for ever. */
static void set_timer(struct vcpu *v)
{
	u64 deadline = lapic_timer_deadline(&v->lapic);
	struct timer_queue *q = &this_percpu()->timers;
	u64 host = rdtsc(), now = vcpu_guest_tsc(v, host);
	u64 left = deadline > now ? deadline - now : 0;

	if (deadline == ~0ull)
		timer_cancel(q, &v->lapic_timer);
	else
		timer_set(q, &v->lapic_timer, left < ~host ? host + left : ~0ull);
}

static void send_ipi(struct vcpu *v)
{
	const struct lapic_ipi *ipi = &v->lapic.ipi;
	bool self = ipi->shorthand == LAPIC_TO_SELF || ipi->shorthand == LAPIC_TO_ALL ||
		    (ipi->shorthand == LAPIC_TO_DEST &&
		     lapic_match(&v->lapic, ipi->dest, ipi->logical, lapic_x2apic(&v->lapic)));

	/* One vCPU per VM: whoever else is addressed does not exist. */
	if (!self)
		return;
	if (ipi->mode == LAPIC_MODE_FIXED || ipi->mode == LAPIC_MODE_LOWEST)
		lapic_deliver(&v->lapic, ipi->vector, false);
	else if (ipi->mode == LAPIC_MODE_NMI)
		v->nmi_pending = true;
	vcpu_request(v, VCPU_REQ_EVENT);
}

void vcpu_lapic_effects(struct vcpu *v, u32 effects)
{
	if (effects & LAPIC_MODE)
		v->leaf1_cr4 = ~0ull; /* the APIC bit */
	if (effects & LAPIC_TIMER)
		set_timer(v);
	if (effects & LAPIC_IPI)
		send_ipi(v);
	if (effects & LAPIC_EOI_LEVEL) {
		v->eoi_vector = v->lapic.eoi_vector;
		v->eoi_pending = true;
		vcpu_request(v, VCPU_REQ_UPCALL);
	}
	if (effects & LAPIC_EVENT)
		vcpu_request(v, VCPU_REQ_EVENT);
	v->hv.tpr = (u8)lapic_get_cr8(&v->lapic);
}

void vcpu_update_tsc(struct vcpu *v)
{
	u64 old = v->tsc_offset;

	v->tsc_offset = v->tsc_base_offset + v->msrs.tsc_adjust;
	v->vm->page->tsc_offset = v->tsc_offset;
	hv->set_tsc_offset(&v->hv, v->tsc_offset);
	lapic_tsc_moved(&v->lapic, v->tsc_offset - old);
	set_timer(v);
	if (v->tsc_offset != old) { /* before the guest can look at its clock */
		__atomic_fetch_or(&v->events, ABI_EV_TSC, __ATOMIC_RELAXED);
		vcpu_request(v, VCPU_REQ_UPCALL);
	}
}

/* ------------------------------------------------------------ MSRs */

static void put_msr(struct vcpu *v, u64 value)
{
	v->hv.gpr[HV_RAX] = (u32)value;
	v->hv.gpr[HV_RDX] = value >> 32;
	vcpu_advance(v, v->hv.exit.insn_len);
}

bool vcpu_rdmsr(struct vcpu *v)
{
	u32 index = v->hv.exit.msr.index;
	u64 value = 0;
	bool ok = true;

	if (index == MSR_APIC_BASE) { /* what is read most, and needs no time */
		put_msr(v, v->lapic.apic_base);
		return true;
	}

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

bool vcpu_wrmsr(struct vcpu *v)
{
	u32 index = v->hv.exit.msr.index;
	u64 value = (u32)v->hv.gpr[HV_RAX] | v->hv.gpr[HV_RDX] << 32;
	u32 effects = 0;
	bool ok = true;

	switch (msr_write(&v->msrs, index, value)) {
	case MSR_DONE: break;
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

/* ------------------------------------------------- control registers */

bool vcpu_write_cr(struct vcpu *v, u32 nr, u64 value)
{
	struct hv_state s;
	u8 cpl;
	bool ok;

	hv->get_mmu(&v->hv, &s, &cpl);
	switch (nr) {
	case 0:
		ok = cr0_valid(value) &&
		     cr0_change_valid(s.cr0, value, s.cr4, s.efer, s.seg[HV_CS].attr & ABI_ATTR_L);
		value = cr0_fixed(value);
		break;
	case 3: ok = cr3_valid(value, s.efer, s.cr4, v->vm->page->phys_bits); break;
	case 4:
		ok = cr4_valid(value, v->vm->cpuid.cr4) &&
		     cr4_change_valid(s.cr4, value, s.efer, s.cr3);
		break;
	case 8:
		ok = value < 16;
		if (ok) {
			lapic_set_cr8(&v->lapic, value);
			vcpu_request(v, VCPU_REQ_EVENT);
		}
		break;
	default: ok = false;
	}
	if (ok)
		hv->set_cr(&v->hv, nr, value);
	else
		vcpu_inject_gp(v);
	return ok;
}

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

/* ------------------------------------------------------- the exits */

/* The leaves with subleaves, out of range, or that the vCPU's state shows in. */
static NOINLINE void cpuid_slow(struct vcpu *v, u32 leaf, u32 sub, u32 r[4])
{
	const struct cpuid_table *t = &v->vm->cpuid;
	struct cpuid_dynamic d;

	if (!cpuid_lookup(t, leaf, sub, r))
		return;
	d.cr4 = hv->get_cr(&v->hv, 4);
	d.xcr0 = leaf == CPUID_LEAF_XSAVE ? xgetbv(0) : 0;
	d.apic_id = v->id;
	d.apic_enabled = lapic_hw_enabled(&v->lapic);
	cpuid_patch(t, leaf, sub, &d, r);
	if (leaf == 1) {
		memcpy(v->leaf1, r, sizeof(v->leaf1));
		v->leaf1_cr4 = d.cr4;
	}
}

static inline void exit_cpuid(struct vcpu *v)
{
	const struct cpuid_table *t = &v->vm->cpuid;
	u32 leaf = (u32)v->hv.gpr[HV_RAX], slow[4];
	const u32 *r = slow;

	if (leaf == 1 && v->leaf1_cr4 == hv->get_cr(&v->hv, 4))
		r = v->leaf1;
	else if (leaf <= t->max_basic && !((t->dynamic | t->indexed) >> leaf & 1))
		r = t->basic[leaf];
	else
		cpuid_slow(v, leaf, (u32)v->hv.gpr[HV_RCX], slow);
	v->hv.gpr[HV_RAX] = r[CPUID_EAX];
	v->hv.gpr[HV_RBX] = r[CPUID_EBX];
	v->hv.gpr[HV_RCX] = r[CPUID_ECX];
	v->hv.gpr[HV_RDX] = r[CPUID_EDX];
	vcpu_advance(v, v->hv.exit.insn_len);
}

static NOINLINE void exit_xsetbv(struct vcpu *v)
{
	u64 value = (u32)v->hv.gpr[HV_RAX] | v->hv.gpr[HV_RDX] << 32;
	struct hv_state s;
	u8 cpl;

	/* not every processor checks the privilege level before it exits */
	hv->get_mmu(&v->hv, &s, &cpl);
	if (cpl || (u32)v->hv.gpr[HV_RCX] != 0 || !cpuid_xcr0_valid(&v->vm->cpuid, value)) {
		vcpu_inject_gp(v);
		return;
	}
	xsetbv(0, value);
	vcpu_advance(v, v->hv.exit.insn_len);
}

bool vcpu_exit_closed(struct vcpu *v)
{
	const struct hv_exit *x = &v->hv.exit;

	switch (x->reason) {
	case HV_EXIT_CPUID: exit_cpuid(v); return true;
	case HV_EXIT_RDMSR: return vcpu_rdmsr(v);
	case HV_EXIT_WRMSR: return vcpu_wrmsr(v);
	case HV_EXIT_HYPERCALL:
		v->hv.gpr[HV_RAX] = 0 - (u64)HYPERCALL_ENOSYS;
		vcpu_advance(v, x->insn_len);
		return true;
	case HV_EXIT_CR: return exit_cr(v);
	case HV_EXIT_WINDOW: vcpu_request(v, VCPU_REQ_EVENT); return true;
	case HV_EXIT_NMI_WINDOW:
		v->nmi_blocked = false;
		v->nmi_iret = false;
		vcpu_request(v, VCPU_REQ_EVENT);
		return true;
	case HV_EXIT_XSETBV: exit_xsetbv(v); return true;
	case HV_EXIT_SKIP:
		/* Caches are coherent and the host's business. */
		vcpu_advance(v, x->insn_len);
		return true;
	case HV_EXIT_UD: vcpu_inject(v, EXC_UD, false, 0); return true;
	case HV_EXIT_GP: vcpu_inject_gp(v); return true;
	default: return false;
	}
}

static void exit_hlt(struct vcpu *v)
{
	vcpu_advance(v, v->hv.exit.insn_len);
	if (v->hv.inject.valid) /* single-stepped: #DB comes first and wakes it */
		return;
	if (!(v->hv.rflags & RFLAGS_IF) && !v->nmi_pending && !v->kept[VCPU_KEPT_NMI].valid) {
		/* the only vCPU, and nobody to send it an NMI */
		vcpu_end(v, VM_END_HALTED, 0, "halted with interrupts off");
		return;
	}
	v->halted = true;
}

static void exit_iret(struct vcpu *v)
{
	/* NMIs stay blocked until this IRET has run; it does so at the next
	 * entry. An NMI that waits must not wait for the next exit by chance. */
	v->hv.watch_iret = 0;
	v->nmi_iret = true;
	v->iret_rip = v->hv.rip;
	if (v->nmi_pending)
		timer_set(&this_percpu()->timers, &v->nudge, rdtsc() + tsc_hz / 50000);
}

static void exit_exception(struct vcpu *v)
{
	const struct hv_exit *x = &v->hv.exit;

	if (x->exc.vector == EXC_MC)
		panic("machine check while %s was running", v->vm->config->name);
	/* Delivering it may raise it again, for ever: then the guest never gets as
	 * far as to where a physical interrupt would make it exit. */
	irq_window();
	vcpu_inject(v, x->exc.vector, x->exc.has_error, x->exc.error);
}

void vcpu_exit_open(struct vcpu *v)
{
	const struct hv_exit *x = &v->hv.exit;

	if (likely(x->reason == HV_EXIT_PIO && !x->pio.string)) {
		vcpu_upcall(v, x->pio.in ? ABI_UP_PIO_IN : ABI_UP_PIO_OUT);
		return;
	}
	switch (x->reason) {
	case HV_EXIT_INTR:
	case HV_EXIT_NMI: /* taken when hv->open() set GIF */ irq_window(); break;
	case HV_EXIT_HLT: exit_hlt(v); break;
	case HV_EXIT_IRET: exit_iret(v); break;
	case HV_EXIT_EXC: exit_exception(v); break;
	case HV_EXIT_PIO: vcpu_upcall(v, ABI_UP_PIO_STRING); break;
	case HV_EXIT_NPF:
		if (x->cut.valid) { /* RIP's instruction is not what touched it */
			vcpu_end(v, VM_END_EMULATION, 0,
				 "event %u was delivered through device memory at %lx",
				 x->cut.vector, x->npf.gpa);
			break;
		}
		vcpu_upcall(v, ABI_UP_MMIO);
		break;
	case HV_EXIT_RDMSR: vcpu_upcall(v, ABI_UP_RDMSR); break;
	case HV_EXIT_WRMSR: vcpu_upcall(v, ABI_UP_WRMSR); break;
	case HV_EXIT_CR: vcpu_upcall(v, ABI_UP_CR); break;
	case HV_EXIT_DR: vcpu_upcall(v, ABI_UP_DR); break;
	case HV_EXIT_SHUTDOWN:
		vcpu_end(v, VM_END_TRIPLE_FAULT, 0, "triple fault at %lx", v->hv.rip);
		break;
	case HV_EXIT_TASK:
		vcpu_end(v, VM_END_EMULATION, 0, "task switch by hardware at %lx", v->hv.rip);
		break;
	case HV_EXIT_INVALID:
		vcpu_end(v, VM_END_BAD_STATE, 0, "the processor refused its state at %lx%s%s",
			 v->hv.rip, x->raw.why ? ": " : "", x->raw.why ? x->raw.why : "");
		break;
	default:
		vcpu_end(v, VM_END_BAD_STATE, 0, "unexpected exit %lx (%lx, %lx)", x->raw.code,
			 x->raw.info1, x->raw.info2);
	}
}
