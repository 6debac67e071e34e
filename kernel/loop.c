/*
 * What every CPU does for good: run the vCPU that it was given, else scrub
 * memory, else sleep. CPU 0 also moves the console, runs the shell and the
 * VMs' jobs, in bounded steps between its vCPU's runs. Interrupts are off
 * but in irq_window() and while it sleeps.
 */
#include "arch/apic.h"
#include "arch/fpu.h"
#include "arch/kmap.h"
#include "arch/trap.h"
#include "arch/vectors.h"
#include "arch/x86.h"
#include "kernel/console.h"
#include "kernel/host.h"
#include "kernel/pages.h"
#include "kernel/percpu.h"
#include "kernel/shell.h"
#include "kernel/time.h"
#include "kernel/vm.h"

/* How long CPU 0 lets its vCPU run while more of its own work is ready. */
#define SHARE_NS 200000ull

struct percpu percpus[MAX_CPUS];

static struct timer share_timer; /* CPU 0's */

static void irq_timer(void)
{
	timer_run(&this_percpu()->timers, rdtsc());
}

static void irq_kick(void)
{
	struct percpu *p = this_percpu();

	p->work = true;
	if (p->vcpu)
		vcpu_request(p->vcpu, VCPU_REQ_LEAVE);
}

static void share_over(struct timer *t)
{
	(void)t;
	irq_kick();
}

void percpu_init(void)
{
	struct percpu *p = this_percpu();

	timer_init_cpu(&p->timers, apic_timer_set);
	if (this_cpu()->index == 0) {
		irq_register(VEC_TIMER, irq_timer);
		irq_register(VEC_KICK, irq_kick);
		share_timer.fn = share_over;
	}
}

void percpu_kick(u32 cpu)
{
	if (cpu == this_cpu()->index)
		irq_kick();
	else
		apic_send(cpus[cpu].apic_id, VEC_KICK);
}

void host_wake(void)
{
	percpu_kick(0);
}

/* Attach what was assigned, let go of what has ended or must stop. */
void percpu_sync(void)
{
	struct percpu *p = this_percpu();
	struct vcpu *v = p->vcpu;

	if (v && (vcpu_leaves(v) || __atomic_load_n(&v->vm->stop_asked, __ATOMIC_ACQUIRE))) {
		struct vm *vm = v->vm;

		vm->parked_tsc = rdtsc();
		vcpu_detach(v);
		__atomic_fetch_add(&vm->parked, 1, __ATOMIC_RELEASE);
		host_wake();
	}
	if (!p->vcpu) {
		v = __atomic_exchange_n(&p->assigned, NULL, __ATOMIC_ACQ_REL);
		if (v)
			vcpu_attach(v);
	}
}

bool host_step(void)
{
	bool more = console_pump() && !console_stuck();

	more |= vms_step();
	percpu_sync();
	irq_window();
	return more;
}

/* CPU 0's own work; true: there is more to do right now. */
static bool housekeeping(void)
{
	bool more = host_step();

	return shell_poll() || more;
}

/* True: it would run on right now. */
static bool run_vcpu(struct vcpu *v)
{
	return vcpu_run(v) != VCPU_LEAVE_HALTED;
}

void host_turn(void)
{
	struct percpu *p = this_percpu();

	host_step();
	percpu_sync();
	if (!p->vcpu)
		return;
	timer_set(&p->timers, &share_timer, rdtsc() + time_ticks(SHARE_NS));
	(void)vcpu_run(p->vcpu);
	timer_cancel(&p->timers, &share_timer);
}

static void sleep_now(struct percpu *p)
{
	u64 start = rdtsc();

	__atomic_store_n(&p->sleep_start, start, __ATOMIC_RELAXED);
	sti_hlt();
	__atomic_store_n(&p->slept, p->slept + (rdtsc() - start), __ATOMIC_RELAXED);
	__atomic_store_n(&p->sleep_start, 0, __ATOMIC_RELAXED);
}

static void sleep_or_scrub(struct percpu *p)
{
	/* an owned CPU does no housekeeping: it only sleeps with its vCPU */
	if ((!p->vcpu || this_cpu()->index == 0) && pages_scrub_step()) {
		irq_window();
		return;
	}
	if (!p->work && !(p->vcpu && __atomic_load_n(&p->vcpu->requests, __ATOMIC_ACQUIRE)) &&
	    !__atomic_load_n(&p->assigned, __ATOMIC_ACQUIRE))
		sleep_now(p);
}

void cpu_loop(void)
{
	struct percpu *p = this_percpu();
	bool first = this_cpu()->index == 0;

	for (;;) {
		bool more, busy;

		p->work = false;
		if (first) /* no longer needed, and not to be counted by `cpus` */
			timer_cancel(&p->timers, &share_timer);
		more = busy = first && housekeeping();
		percpu_sync();
		if (more) {
			p->work = true;
			if (p->vcpu)
				timer_set(&p->timers, &share_timer, rdtsc() + time_ticks(SHARE_NS));
		} else if (first && console_stuck()) {
			timer_set(&p->timers, &share_timer, rdtsc() + time_ticks(CONSOLE_RETRY_NS));
		}
		if (p->vcpu)
			busy |= run_vcpu(p->vcpu);
		if (!busy)
			sleep_or_scrub(p);
	}
}
