/*
 * How a dump is made (kernel/dump.h): CPU 0 asks, the vCPU's CPU answers
 * between two upcalls, through one more of them. A vCPU that is off its CPU
 * goes there for that and comes back (vm_visit).
 */
#include "kernel/dump.h"

#include "arch/x86.h"
#include "kernel/host.h"
#include "kernel/percpu.h"
#include "kernel/string.h"
#include "kernel/time.h"
#include "kernel/vm.h"

#define WAIT_NS 10000000000ull /* more than a monitor's budget */

static void copy_exits(struct vcpu *v)
{
	struct vcpu_dump *d = &v->dump;

	d->exit_count = MIN(v->trace_next, (u32)VCPU_TRACE);
	for (u32 i = 0; i < d->exit_count; i++)
		d->exits[i] = v->trace[(v->trace_next - d->exit_count + i) & (VCPU_TRACE - 1)];
}

/* Linear: SS counts outside 64-bit code. */
static u64 stack_address(const struct vcpu *v, const struct hv_state *s)
{
	u64 sp = v->hv.gpr[HV_RSP];

	if ((s->efer & EFER_LMA) && (s->seg[HV_CS].attr & HV_ATTR_L))
		return sp;
	sp = s->seg[HV_SS].attr & ABI_ATTR_DB ? (u32)sp : (u16)sp;
	return (u32)(s->seg[HV_SS].base + sp);
}

void vcpu_dump_begin(struct vcpu *v)
{
	struct vcpu_dump *d = &v->dump;

	if (__atomic_load_n(&v->dump_state, __ATOMIC_ACQUIRE) != DUMP_ASKED)
		return;
	d->cpu = v->cpu;
	d->halted = v->halted;
	d->ended = v->ended;
	memcpy(d->gpr, v->hv.gpr, sizeof(d->gpr));
	d->rip = v->hv.rip;
	d->rflags = v->hv.rflags;
	hv->get_state(&v->hv, &d->state);
	copy_exits(v);
	d->stack = stack_address(v, &d->state);
	d->unread = v->ended && v->vm->end == VM_END_MONITOR;
	if (d->unread) {
		vcpu_dump_end(v, 0);
		return;
	}
	v->ended = false; /* for this upcall alone */
	vcpu_upcall(v, ABI_UP_PEEK);
}

void vcpu_dump_end(struct vcpu *v, u32 len)
{
	memcpy(v->dump.bytes, v->page->log, len);
	v->dump.stack_len = len;
	v->ended = v->dump.ended;
	__atomic_store_n(&v->dump_state, DUMP_DONE, __ATOMIC_RELEASE);
	host_wake();
}

void vcpu_dump_drop(struct vcpu *v)
{
	if (v->upcall == ABI_UP_PEEK)
		__atomic_store_n(&v->dump_state, DUMP_IDLE, __ATOMIC_RELEASE);
}

/* True: vCPU i has answered, and stands where it stood, or crashed just before. */
static bool answered(const struct vm *vm, u32 i, enum vm_state before)
{
	return (vm->state == before || (before == VM_RUNNING && vm->state == VM_KEPT)) &&
	       i < vm->vcpu_count &&
	       __atomic_load_n(&vm->vcpus[i]->dump_state, __ATOMIC_ACQUIRE) == DUMP_DONE;
}

enum err vm_dump(struct vm *vm, u32 i, struct vcpu_dump *out, const char **why)
{
	ns_t end = time_now() + WAIT_NS;
	enum vm_state before = vm->state;
	struct vcpu *v;

	if (!vm_is_up(vm) && vm->state != VM_KEPT) {
		*why = "it is not running";
		return ERR_PERM;
	}
	if (i >= vm->vcpu_count ||
	    __atomic_load_n(&vm->vcpus[i]->dump_state, __ATOMIC_ACQUIRE) == DUMP_ASKED) {
		*why = "its monitor is still busy";
		return ERR_BUSY;
	}
	v = vm->vcpus[i];
	__atomic_store_n(&v->dump_state, DUMP_ASKED, __ATOMIC_RELEASE);
	vcpu_request(v, VCPU_REQ_DUMP | VCPU_REQ_LEAVE);
	if (vm->state == VM_PAUSED || vm->state == VM_KEPT)
		vm_visit(vm);
	else
		percpu_kick(v->cpu);
	while (!answered(vm, i, before)) {
		if (vm->state == VM_OFF || vm->state == VM_STARTING || !vm->vcpu_count ||
		    __atomic_load_n(&vm->vcpus[i]->dump_state, __ATOMIC_ACQUIRE) == DUMP_IDLE) {
			*why = "it ended meanwhile, see list";
			return ERR_PERM;
		}
		if (time_now() > end) {
			*why = "its monitor does not answer";
			return ERR_TIMEOUT;
		}
		host_turn();
	}
	*out = v->dump;
	v->dump_state = DUMP_IDLE;
	return OK;
}
