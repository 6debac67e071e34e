/*
 * Makes a monitor's budget hold (kernel/budget.h). vcpu_upcall_run() looks at
 * it whenever an interrupt comes, but a CPU that belongs to a VM has no tick
 * of its own. So CPU 0 looks at all VMs once a second and kicks the CPU of an
 * upcall that was under way the last time already. A guest that computes is
 * left in peace. CPU 0 only; what it reads of a vCPU may be a moment old.
 */
#include "kernel/watchdog.h"

#include "arch/x86.h"
#include "kernel/percpu.h"
#include "kernel/time.h"
#include "kernel/vm.h"

#define LOOK_NS 1000000000ull

static struct timer timer;

static void look_at(struct vcpu *v)
{
	u64 upcalls = READ_ONCE(v->stats.upcalls);

	if (READ_ONCE(v->upcall_active) && upcalls == v->watched)
		percpu_kick(v->cpu);
	v->watched = upcalls;
}

static void look(struct timer *t)
{
	for (u32 i = 0; i < vms_count; i++) {
		if (!vm_is_up(&vms[i]))
			continue;
		for (u32 k = 0; k < vms[i].vcpu_count; k++)
			look_at(vms[i].vcpus[k]);
	}
	timer_set(&this_percpu()->timers, t, rdtsc() + time_ticks(LOOK_NS));
}

void watchdog_start(void)
{
	timer.fn = look;
	look(&timer);
}
