/*
 * What kernel/inspect.h promises. Other CPUs' counters are read as they stand:
 * each is one word, and a sum may be a moment out of date.
 */
#include "kernel/inspect.h"

#include "arch/x86.h"
#include "kernel/host.h"
#include "kernel/percpu.h"
#include "kernel/time.h"
#include "kernel/vm.h"

u32 host_cpu_count(void)
{
	return cpu_count;
}

static const char *cpu_state(u32 i, bool sleeps)
{
	const struct vcpu *v = __atomic_load_n(&percpus[i].vcpu, __ATOMIC_RELAXED);

	if (!READ_ONCE(cpus[i].online))
		return "offline";
	if (v)
		return sleeps ? "halted" : "guest";
	return sleeps ? "idle" : "busy";
}

void host_cpu(u32 i, struct cpu_info *out)
{
	u64 start = __atomic_load_n(&percpus[i].sleep_start, __ATOMIC_RELAXED);
	u64 slept = __atomic_load_n(&percpus[i].slept, __ATOMIC_RELAXED);
	u64 now = rdtsc();

	*out = (struct cpu_info){
		.apic_id = cpus[i].apic_id,
		.state = cpu_state(i, start != 0),
		.cpu0 = i == 0,
		.up = time_of_tsc(now),
		.timers = READ_ONCE(percpus[i].timers.count),
	};
	hv->ids(i, &out->ids);
	slept += start && now > start ? now - start : 0;
	out->busy = out->up - MIN(time_delta(slept), out->up);
}

u32 host_file_count(void)
{
	return host_facts()->file_count;
}

void host_file(u32 i, struct file_info *out)
{
	host_facts()->file(i, out);
}

const char *vm_complaint(const struct vm *vm, u32 n, u32 *line)
{
	for (u32 i = 0; i < vms_config->error_count; i++) {
		const struct config_error *e = &vms_config->errors[i];

		if (e->vm != vm - vms || n--)
			continue;
		*line = e->line;
		return e->text;
	}
	return NULL;
}

const struct vm_config *vm_plan(const struct vm *vm)
{
	return vm->config;
}

u32 vm_vcpu_count(const struct vm *vm)
{
	return vm->vcpu_count;
}

void vm_vcpu(const struct vm *vm, u32 i, struct vcpu_info *out)
{
	const struct vcpu *v = vm->vcpus[i];

	*out = (struct vcpu_info){
		.cpu = v->cpu,
		.state = v->ended		       ? "ended"
			 : vm->state == VM_PAUSED      ? "paused"
			 : READ_ONCE(v->halted)	       ? "halted"
			 : READ_ONCE(v->upcall_active) ? "in its monitor"
						       : "runs",
		.upcalls = READ_ONCE(v->stats.upcalls),
	};
	for (u32 r = 0; r < HV_EXIT_COUNT; r++)
		out->exits += READ_ONCE(v->stats.exits[r]);
}

ns_t vm_busy(const struct vm *vm)
{
	struct vcpu_stats sum = { 0 };

	if (!vm->vcpu_count)
		sum = vm->last;
	for (u32 i = 0; i < vm->vcpu_count; i++)
		vcpu_stats_add(&sum, &vm->vcpus[i]->stats);
	return time_delta(sum.run.ticks);
}

ns_t vm_guest_time(const struct vm *vm)
{
	if (!vm->vcpu_count)
		return 0;
	return time_delta(
		(vm->state == VM_PAUSED || vm->state == VM_KEPT ? vm->parked_tsc : rdtsc()) -
		vm->tsc_start);
}

u64 host_tsc_hz(void)
{
	return tsc_hz;
}
