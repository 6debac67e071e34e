/*
 * What exits do to a vCPU: advance, inject, its LAPIC's wishes, writes of
 * control registers; and the exits that are not answered closed (those are in
 * kernel/exits_closed.c): HLT, events of the processor, and what becomes an
 * upcall. Runs on the vCPU's CPU.
 */
#include "arch/cpu.h"
#include "arch/panic.h"
#include "arch/x86.h"
#include "kernel/control_regs.h"
#include "kernel/percpu.h"
#include "kernel/string.h"
#include "kernel/vcpu.h"
#include "kernel/vm.h"

#define DR6_SINGLE_STEP 0xffff4ff0ull /* BS, and the bits that read as one */

NOINLINE void vcpu_advance_flags(struct vcpu *v, u32 len)
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

static void exit_hlt(struct vcpu *v)
{
	vcpu_advance(v, v->hv.exit.insn_len);
	if (v->hv.inject.valid) /* single-stepped: #DB comes first and wakes it */
		return;
	if (!(v->hv.rflags & RFLAGS_IF) && !v->nmi_pending && !v->kept[VCPU_KEPT_NMI].valid &&
	    !v->vm->config->watchdog) {
		/* the only vCPU, and nobody to send it an NMI or to reset it */
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
		vcpu_upcall_pio(v);
		return;
	}
	if (likely(x->reason == HV_EXIT_NPF && !x->cut.valid)) {
		vcpu_upcall_mmio(v);
		return;
	}
	switch (x->reason) {
	case HV_EXIT_INTR:
	case HV_EXIT_NMI: /* taken when hv->open() set GIF */ irq_window(); break;
	case HV_EXIT_HLT: exit_hlt(v); break;
	case HV_EXIT_IRET: exit_iret(v); break;
	case HV_EXIT_EXC: exit_exception(v); break;
	case HV_EXIT_PIO: vcpu_upcall(v, ABI_UP_PIO_STRING); break;
	case HV_EXIT_NPF: /* RIP's instruction is not what touched it */
		vcpu_end(v, VM_END_EMULATION, 0,
			 "event %u was delivered through device memory at %lx", x->cut.vector,
			 x->npf.gpa);
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
