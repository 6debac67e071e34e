/*
 * A paused VM: its vCPUs have left their CPUs between two upcalls, as if
 * stopped (vm.h), and its guest's time stands still until they are handed
 * over again. CPU 0, between steps of the VM's job.
 */
#include "arch/x86.h"
#include "kernel/percpu.h"
#include "kernel/time.h"
#include "kernel/vm.h"

void vm_ask_all(struct vm *vm, u32 requests)
{
	for (u32 i = 0; i < vm->vcpu_count; i++) {
		vcpu_request(vm->vcpus[i], requests);
		percpu_kick(vm->vcpus[i]->cpu);
	}
}

/* A vCPU that ended instead takes the VM with it. */
bool vm_pause_step(struct vm *vm)
{
	bool ended = false;

	if (__atomic_load_n(&vm->parked, __ATOMIC_ACQUIRE) < vm->vcpu_count)
		return false;
	for (u32 i = 0; i < vm->vcpu_count; i++)
		ended |= vm->vcpus[i]->ended;
	vm->state = ended ? VM_RUNNING : VM_PAUSED;
	return true;
}

bool vm_is_up(const struct vm *vm)
{
	return vm->state == VM_RUNNING || vm->state == VM_PAUSING || vm->state == VM_PAUSED;
}

enum err vm_begin_pause(struct vm *vm)
{
	if (vm->state != VM_RUNNING || vm->stop_by)
		return ERR_PERM;
	vm->state = VM_PAUSING;
	vm_ask_all(vm, VCPU_REQ_PAUSE | VCPU_REQ_LEAVE);
	return OK;
}

/* All of the guest's clocks are linear in the host's TSC from tsc_start on:
 * the time since its vCPUs left has not been. */
static void skip_time(struct vm *vm)
{
	u64 ticks = rdtsc() - vm->parked_tsc;

	vm->tsc_start += ticks;
	vm->started += time_delta(ticks);
	vm->page->tsc_base += ticks;
	vm->page->tsc_offset -= ticks;
	for (u32 i = 0; i < vm->vcpu_count; i++) {
		vm->vcpus[i]->tsc_base_offset -= ticks;
		vm->vcpus[i]->tsc_offset -= ticks;
	}
	vm->parked = 0;
}

enum err vm_unpause(struct vm *vm)
{
	if (vm->state != VM_PAUSED)
		return ERR_PERM;
	for (u32 i = 0; i < vm->vcpu_count; i++)
		vcpu_unrequest(vm->vcpus[i], VCPU_REQ_PAUSE);
	skip_time(vm);
	vm->state = VM_RUNNING;
	vm_hand_over(vm);
	return OK;
}

void vm_visit(struct vm *vm)
{
	/* a kept VM's vCPU has ended: it leaves as it did when that happened */
	vm->state = vm->state == VM_PAUSED ? VM_PAUSING : VM_RUNNING;
	skip_time(vm);
	vm_hand_over(vm);
}
