/*
 * The ring of exits (kernel/trace.h). A reader copies an entry and then looks
 * whether the writer may have come round to it meanwhile.
 */
#include "kernel/trace.h"

#include "arch/x86.h"
#include "kernel/pages.h"
#include "kernel/vm.h"

void trace_exit(struct vcpu *v)
{
	struct exit_log *l = v->exit_log;
	struct trace_entry *e = &l->entry[l->next % TRACE_SIZE];

	e->ticks = rdtsc() - v->vm->tsc_start;
	e->rip = v->hv.rip;
	e->rax = v->hv.gpr[HV_RAX];
	e->reason = v->hv.exit.reason;
	e->info = v->hv.exit.word;
	__atomic_store_n(&l->next, l->next + 1, __ATOMIC_RELEASE);
}

void trace_free(struct vcpu *v)
{
	if (v->exit_log)
		kpages_free(v->exit_log, TRACE_PAGES, v->vm->id);
	v->exit_log = NULL;
}

enum err vm_trace(struct vm *vm, bool on, const char **why)
{
	if (!vm_is_up(vm)) {
		*why = "it is not running";
		return ERR_PERM;
	}
	for (u32 i = 0; i < vm->vcpu_count; i++) {
		struct vcpu *v = vm->vcpus[i];

		if (on && !v->exit_log)
			v->exit_log = kpages_alloc(TRACE_PAGES, vm->id);
		if (on && !v->exit_log) {
			*why = "no memory for the ring";
			return ERR_NOMEM;
		}
		/* after the ring is there; `next` goes on, so that no reader is confused */
		__atomic_store_n(&v->tracing, on, __ATOMIC_RELEASE);
	}
	return OK;
}

bool vm_trace_info(const struct vm *vm, u32 i, struct trace_info *out)
{
	const struct vcpu *v = i < vm->vcpu_count ? vm->vcpus[i] : NULL;

	if (!v || !v->exit_log)
		return false;
	*out = (struct trace_info){
		.on = v->tracing,
		.exits = __atomic_load_n(&v->exit_log->next, __ATOMIC_RELAXED),
	};
	return true;
}

u32 vm_trace_read(const struct vm *vm, u32 i, u64 *pos, struct trace_entry *out, u32 max)
{
	const struct exit_log *l = i < vm->vcpu_count ? vm->vcpus[i]->exit_log : NULL;
	u64 next, oldest;
	u32 n = 0;

	while (l && n < max) {
		next = __atomic_load_n(&l->next, __ATOMIC_ACQUIRE);
		/* the entry at next may be half written: what it replaces is gone */
		oldest = next >= TRACE_SIZE ? next - TRACE_SIZE + 1 : 0;
		*pos = MAX(*pos, oldest);
		if (*pos >= next)
			break;
		out[n] = *(const volatile struct trace_entry *)&l->entry[*pos % TRACE_SIZE];
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (__atomic_load_n(&l->next, __ATOMIC_RELAXED) >= *pos + TRACE_SIZE)
			continue; /* overwritten under us */
		(*pos)++;
		n++;
	}
	return n;
}
