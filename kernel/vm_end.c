/*
 * How a VM ends, and what follows: the names and policies of vm_end.h's list,
 * what a vCPU says when it ends (on its own CPU), and whether the VM comes
 * back (on CPU 0, when all of it has been given back).
 */
#include "arch/log.h"
#include "kernel/print.h"
#include "kernel/string.h"
#include "kernel/time.h"
#include "kernel/vm.h"

static const char *const text[VM_END_COUNT] = {
#define X(name, words, policy) [VM_END_##name] = words,
	VM_ENDS(X)
#undef X
};

static const u8 policies[VM_END_COUNT] = {
#define X(name, words, policy) [VM_END_##name] = VM_POLICY_##policy,
	VM_ENDS(X)
#undef X
};

const char *vm_end_text(enum vm_end end)
{
	return text[end];
}

enum vm_policy vm_end_policy(enum vm_end end)
{
	return policies[end];
}

bool vm_end_failed(enum vm_end end)
{
	return policies[end] == VM_POLICY_CRASH || policies[end] == VM_POLICY_WATCHDOG;
}

/* ------------------------------------- told by a vCPU, on its own CPU */

static void set_end(struct vcpu *v, enum vm_end end, u32 code, const char *fmt, va_list args)
{
	v->vm->end = end;
	v->vm->end_code = code;
	str_vformat(v->vm->reason, sizeof(v->vm->reason), fmt, args);
}

void vcpu_set_end(struct vcpu *v, enum vm_end end, u32 code, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	set_end(v, end, code, fmt, args);
	va_end(args);
}

void vcpu_end(struct vcpu *v, enum vm_end end, u32 code, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	set_end(v, end, code, fmt, args);
	va_end(args);
	v->ended = true;
	if (vm_end_failed(end))
		crash_record(v);
}

/* ------------------------------------------------------- what follows */

static enum config_policy configured(const struct vm *vm)
{
	switch (vm_end_policy(vm->end)) {
	case VM_POLICY_ALWAYS: return POLICY_RESTART;
	case VM_POLICY_REBOOT: return vm->config->on_reboot;
	case VM_POLICY_CRASH: return vm->config->on_crash;
	case VM_POLICY_WATCHDOG: return vm->config->on_watchdog;
	default: return POLICY_STOP;
	}
}

/* What comes up while it is being stopped changes nothing about that. */
enum config_policy vm_what_next(const struct vm *vm)
{
	return vm->told_to_stop ? POLICY_STOP : configured(vm);
}

bool vm_plan_restart(struct vm *vm)
{
	const char *name = vm->config->name;
	u32 n = (u32)strlen(vm->reason);
	ns_t delay = 0;
	bool crash = vm_end_failed(vm->end);

	if (vm_what_next(vm) != POLICY_RESTART)
		return false;
	if (vm_end_policy(vm->end) == VM_POLICY_ALWAYS) {
		vm->restarts = (struct restarts){ 0 };
	} else if (!restart_next(&vm->restarts, crash, vm->ran, &delay)) {
		str_format(vm->reason + n, sizeof(vm->reason) - n, "; given up after %u restarts",
			   vm->restarts.crashes);
		log_error("%s: not restarted again: %u crashes in a row", name,
			  vm->restarts.crashes + 1);
		return false;
	} else if (delay) {
		vm->restart_at = time_now() + delay;
		if (vm_may_log(vm, 1))
			log_info("%s: restart %u in %lu.%lu s", name, vm->restarts.total,
				 delay / 1000000000, delay / 100000000 % 10);
	}
	return true;
}
