/*
 * The vCPU loop: take requests, choose the event to inject, run the guest,
 * act on its exit, again. A vCPU belongs to the CPU that it is attached to;
 * `requests` and `events` are how others reach it (kernel/vcpu.h).
 */
#include "kernel/vcpu.h"

#include "arch/cpu.h"
#include "arch/fpu.h"
#include "arch/frames.h"
#include "arch/kmap.h"
#include "arch/x86.h"
#include "kernel/monitor.h"
#include "kernel/pages.h"
#include "kernel/percpu.h"
#include "kernel/string.h"
#include "kernel/time.h"
#include "kernel/trace.h"
#include "kernel/vm.h"

#define VCPU_PAGES ((sizeof(struct vcpu) + PAGE_SIZE - 1) / PAGE_SIZE)
#define FPU_PAGES ((fpu_size() + PAGE_SIZE - 1) / PAGE_SIZE)

u64 vcpu_footprint(void)
{
	/* the structure, the FPU area, the shared page, and the vendor's */
	return (VCPU_PAGES + FPU_PAGES + 1 + hv->area_pages) * PAGE_SIZE;
}

/* Timers run in the timer interrupt of the vCPU's own CPU. */
static void lapic_timer_fn(struct timer *t)
{
	struct vcpu *v = CONTAINER_OF(t, struct vcpu, lapic_timer);

	lapic_timer_expire(&v->lapic, vcpu_guest_tsc(v, rdtsc()));
	vcpu_lapic_effects(v, LAPIC_TIMER | LAPIC_EVENT);
}

static void monitor_timer_fn(struct timer *t)
{
	struct vcpu *v = CONTAINER_OF(t, struct vcpu, monitor_timer);

	v->monitor_at = ~0ull;
	__atomic_fetch_or(&v->events, ABI_EV_TIMER, __ATOMIC_RELAXED);
	vcpu_request(v, VCPU_REQ_UPCALL);
}

static void nudge_fn(struct timer *t)
{
	vcpu_request(CONTAINER_OF(t, struct vcpu, nudge), VCPU_REQ_EVENT);
}

static void set_up(struct vcpu *v, struct vm *vm)
{
	struct msr_params params = {
		.vendor = vm->cpuid.vendor,
		.tsc_hz = tsc_hz,
		.phys_bits = vm->page->phys_bits,
		.rdtscp = cpu_has(CPU_RDTSCP),
	};

	params.family = ((vm->cpuid.basic[1][CPUID_EAX] >> 8) & 0xf) +
			((vm->cpuid.basic[1][CPUID_EAX] >> 20) & 0xff);
	if (!rdmsr_safe(MSR_BIOS_SIGN_ID, &params.microcode))
		params.microcode = 0;
	lapic_reset(&v->lapic, v->id, v->id == 0, tsc_hz, vm->page->phys_bits);
	msr_reset(&v->msrs, &params);
	v->lapic_timer.fn = lapic_timer_fn;
	v->monitor_timer.fn = monitor_timer_fn;
	v->monitor_at = ~0ull;
	v->nudge.fn = nudge_fn;
	v->uctx.start_rip = monitor_entry();
	v->uctx.start_rsp = ABI_STACK_TOP(v->id);
	v->uctx.start_rdi = ABI_VCPU_PAGE(v->id);
	v->tsc_base_offset = 0 - vm->tsc_start;
	v->tsc_offset = v->tsc_base_offset;
	v->xcr0 = XCR0_X87;
	v->leaf1_cr4 = ~0ull;
	fpu_reset(v->fpu);
}

enum err vcpu_create(struct vm *vm, u32 id, u32 cpu, struct vcpu **out)
{
	struct vcpu *v = kpages_alloc(VCPU_PAGES, vm->id);

	if (!v)
		return ERR_NOMEM;
	v->vm = vm;
	v->id = id;
	v->cpu = cpu;
	v->fpu = kpages_alloc((u32)FPU_PAGES, vm->id);
	v->page = kpage_alloc(vm->id);
	if (!v->fpu || !v->page)
		goto fail;
	set_up(v, vm);
	v->hv.nested_root = vm->space.nested.root;
	v->hv.cr4_allowed = vm->cpuid.cr4;
	if (hv->vcpu_init(&v->hv, v->tsc_offset, vm->id) != OK)
		goto fail;
	if (space_map_user(&vm->space, ABI_VCPU_PAGE(id), phys_of(v->page), PAGE_SIZE,
			   MMU_R | MMU_W) != OK ||
	    space_add_user(&vm->space, ABI_STACK_TOP(id) - ABI_STACK_SIZE, ABI_STACK_SIZE,
			   MMU_R | MMU_W) != OK)
		goto fail;
	v->page->id = id;
	vcpu_upcall(v, ABI_UP_START);
	*out = v;
	return OK;
fail:
	vcpu_destroy(v);
	return ERR_NOMEM;
}

void vcpu_destroy(struct vcpu *v)
{
	u16 owner = v->vm->id;

	hv->vcpu_fini(&v->hv, owner);
	trace_free(v);
	if (v->page)
		kpage_free(v->page, owner);
	if (v->fpu)
		kpages_free(v->fpu, (u32)FPU_PAGES, owner);
	kpages_free(v, VCPU_PAGES, owner);
}

void vcpu_attach(struct vcpu *v)
{
	write_cr3(v->vm->space.user.root);
	/* nothing that the last VM trained steers this one */
	if (cpu_has(CPU_IBPB) || cpu_has(CPU_IBRS_IBPB)) /* AMD's bit, Intel's bit */
		wrmsr(MSR_PRED_CMD, 1);
	fpu_load(v->fpu);
	if (cpu_has(CPU_XSAVE))
		xsetbv(0, v->xcr0);
	if (cpu_has(CPU_RDTSCP))
		wrmsr(MSR_TSC_AUX, v->msrs.tsc_aux);
	hv->load(&v->hv);
	this_percpu()->vcpu = v;
	hv->set_tsc_offset(&v->hv, v->tsc_offset); /* guest time may have stood still */
	vcpu_lapic_effects(v, LAPIC_TIMER);
	vcpu_set_monitor_timer(v);
	vcpu_request(v, VCPU_REQ_EVENT | VCPU_REQ_UPCALL);
}

void vcpu_detach(struct vcpu *v)
{
	struct percpu *p = this_percpu();

	timer_cancel(&p->timers, &v->lapic_timer);
	timer_cancel(&p->timers, &v->monitor_timer);
	timer_cancel(&p->timers, &v->nudge);
	hv->put(&v->hv);
	if (cpu_has(CPU_XSAVE)) {
		v->xcr0 = xgetbv(0);
		xsetbv(0, fpu_host_xcr0());
	}
	fpu_save(v->fpu);
	p->vcpu = NULL;
	write_cr3(kspace_root());
}

void vcpu_set_monitor_timer(struct vcpu *v)
{
	struct timer_queue *q = &this_percpu()->timers;
	u64 start = v->vm->tsc_start, ticks;

	if (v->monitor_at == ~0ull) {
		timer_cancel(q, &v->monitor_timer);
		return;
	}
	ticks = time_ticks(v->monitor_at);
	timer_set(q, &v->monitor_timer, ticks < ~start ? start + ticks : ~0ull);
}

/*
 * Leave the guest soon, to choose again: for what no window opens. 20 us; in an
 * interrupt shadow 200, for one instruction must be done by then: an entry takes
 * QEMU's TCG 30 us and more.
 */
static void nudge(struct vcpu *v)
{
	u64 delay = tsc_hz / (v->hv.shadow ? 5000 : 50000);

	timer_set(&this_percpu()->timers, &v->nudge, rdtsc() + delay);
}

/* Has a halted vCPU anything to wake for? */
static bool wakes(const struct vcpu *v)
{
	if ((v->nmi_pending && !v->nmi_blocked) || v->kept[VCPU_KEPT_NMI].valid)
		return true;
	if (!(v->hv.rflags & RFLAGS_IF))
		return false;
	return v->kept[VCPU_KEPT_EXTINT].valid || lapic_pending(&v->lapic) >= 0 ||
	       (v->extint && lapic_lint0_extint(&v->lapic));
}

/*
 * Put the most urgent event into hv.inject if the guest can take one now, or
 * ask for an exit when it can. False: the PIC's interrupt is next, and the
 * monitor must be asked for its vector.
 */
static bool choose_event(struct vcpu *v)
{
	struct hv_vcpu *h = &v->hv;
	bool free = !h->inject.valid && !h->shadow;
	bool extint, kept = vcpu_has_kept(v);
	int vector;

	vcpu_unrequest(v, VCPU_REQ_EVENT);
	h->want_window = 0;
	if (unlikely(kept && free)) {
		free = !vcpu_inject_kept(v);
		kept = vcpu_has_kept(v);
	}
	if (v->nmi_pending && !v->nmi_blocked && free) {
		h->inject = (struct hv_event){ .valid = 1, .type = HV_EVENT_NMI, .vector = 2 };
		v->nmi_pending = false;
		v->nmi_blocked = true;
		free = false;
	}
	if (unlikely(v->nmi_pending && (!v->nmi_blocked || v->nmi_iret)))
		/* no window opens for an NMI: look again soon */
		nudge(v);
	h->watch_iret = v->nmi_blocked && !v->nmi_iret;
	vector = lapic_pending(&v->lapic);
	extint = v->extint && lapic_lint0_extint(&v->lapic);
	if (vector < 0 && !extint && !kept)
		return true;
	if (!free || kept || !(h->rflags & RFLAGS_IF)) {
		h->want_window = 1;
		/* while one external interrupt is injected no window can be had;
		 * and Bochs 2.7 opens one only where IF goes from 0 to 1 */
		if (h->rflags & RFLAGS_IF || v->kept[VCPU_KEPT_NMI].valid)
			nudge(v);
		return true;
	}
	if (extint)
		return false;
	h->inject = (struct hv_event){ .valid = 1, .type = HV_EVENT_EXTINT, .vector = (u8)vector };
	/* what else waits is of no higher class: the EOI will bring it up */
	lapic_accept(&v->lapic, (u8)vector);
	return true;
}

/* Events that this exit cut short or that wait for something in the guest. */
static NOINLINE void look_at_events(struct vcpu *v)
{
	if (v->hv.exit.cut.valid)
		vcpu_requeue(v);
	/* what waits for a window may have it after this instruction: see then
	 * rather than by an exit of its own, which Bochs 2.7 would not make */
	if (v->hv.want_window)
		vcpu_request(v, VCPU_REQ_EVENT);
	if (v->nmi_iret && v->hv.rip != v->iret_rip) { /* its IRET ran */
		v->nmi_iret = false;
		v->nmi_blocked = false;
		vcpu_request(v, VCPU_REQ_EVENT);
	}
	if (v->tracing)
		trace_exit(v);
}

static inline void run_once(struct vcpu *v)
{
	struct exit_record *t;

	stopwatch_start(&v->stats.guest);
	hv->run(&v->hv);
	stopwatch_stop(&v->stats.guest);
	v->stats.exits[v->hv.exit.reason]++;
	t = &v->trace[v->trace_next++ % VCPU_TRACE];
	t->rip = v->hv.rip;
	t->reason = v->hv.exit.reason;
	t->info = v->hv.exit.word;
	if (unlikely(v->hv.exit.cut.valid | v->hv.want_window | v->after_exit))
		look_at_events(v);
}

/* In the guest, as long as exits can be answered closed. True: one cannot. */
static bool run_closed(struct vcpu *v)
{
	vcpu_exit_fn *answer;
	bool again = true;

	hv->close();
	while (again) {
		u32 requests = __atomic_load_n(&v->requests, __ATOMIC_ACQUIRE);

		if (unlikely(requests)) {
			if (requests != VCPU_REQ_EVENT)
				break;
			if (!choose_event(v)) {
				vcpu_request(v, VCPU_REQ_EVENT);
				break;
			}
		}
		run_once(v);
		answer = vcpu_closed_exits[v->hv.exit.reason];
		again = answer && answer(v);
	}
	hv->open(&v->hv);
	return !again;
}

/* In the guest and, for the exits that need it, in the monitor, until
 * something else is due. */
static void run_guest(struct vcpu *v)
{
	do {
		if (!run_closed(v))
			return;
		vcpu_exit_open(v);
		if (v->upcall_active)
			vcpu_upcall_run(v);
	} while (!v->held && !__atomic_load_n(&v->requests, __ATOMIC_ACQUIRE));
}

/* What waits for the monitor while no exit does. */
static void pass_events(struct vcpu *v)
{
	vcpu_unrequest(v, VCPU_REQ_UPCALL);
	if (v->eoi_pending)
		vcpu_upcall(v, ABI_UP_EOI);
	else if (__atomic_load_n(&v->events, __ATOMIC_ACQUIRE))
		vcpu_upcall(v, ABI_UP_EVENT);
}

static enum vcpu_leave run_until_leave(struct vcpu *v)
{
	for (;;) {
		u32 requests = __atomic_load_n(&v->requests, __ATOMIC_ACQUIRE);

		if ((requests & VCPU_REQ_DUMP) && (v->ended || !v->upcall_active)) {
			vcpu_unrequest(v, VCPU_REQ_DUMP);
			vcpu_dump_begin(v);
			continue;
		}
		if (v->ended)
			return VCPU_LEAVE_ENDED;
		if (requests & VCPU_REQ_LEAVE) {
			vcpu_unrequest(v, VCPU_REQ_LEAVE);
			if (likely(!v->shutdown))
				return VCPU_LEAVE_WORK;
			vcpu_end(v, VM_END_TRIPLE_FAULT, 0, "triple fault at %lx", v->hv.rip);
			continue;
		}
		if (v->upcall_active) {
			vcpu_upcall_run(v);
			continue;
		}
		if (requests & VCPU_REQ_NMI) {
			vcpu_unrequest(v, VCPU_REQ_NMI);
			v->nmi_pending = true;
			vcpu_request(v, VCPU_REQ_EVENT);
			continue;
		}
		if (requests & VCPU_REQ_PAUSE)
			return VCPU_LEAVE_WORK;
		if (requests & VCPU_REQ_UPCALL) {
			pass_events(v);
			continue;
		}
		if (v->halted) {
			vcpu_unrequest(v, VCPU_REQ_EVENT);
			if (!wakes(v))
				return VCPU_LEAVE_HALTED;
			v->halted = false;
			vcpu_request(v, VCPU_REQ_EVENT);
			continue;
		}
		if ((requests & VCPU_REQ_EVENT) && !choose_event(v)) {
			vcpu_upcall(v, ABI_UP_INTACK);
			continue;
		}
		run_guest(v);
	}
}

enum vcpu_leave vcpu_run(struct vcpu *v)
{
	enum vcpu_leave why;

	stopwatch_start(&v->stats.run);
	why = run_until_leave(v);
	stopwatch_stop(&v->stats.run);
	return why;
}

void vcpu_stats_add(struct vcpu_stats *sum, const struct vcpu_stats *s)
{
	for (u32 r = 0; r < HV_EXIT_COUNT; r++)
		sum->exits[r] += s->exits[r];
	sum->upcalls += s->upcalls;
	sum->run.ticks += stopwatch_read(&s->run);
	sum->guest.ticks += stopwatch_read(&s->guest);
	sum->monitor.ticks += stopwatch_read(&s->monitor);
}
