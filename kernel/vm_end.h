/* The ways a VM ends. One list, so that names and policies cannot drift. */
#ifndef KERNEL_VM_END_H
#define KERNEL_VM_END_H

#include "arch/types.h"

/* X(name, what people read, which policy decides: NONE stays stopped) */
#define VM_ENDS(X) \
	X(NEVER_STARTED, "not started", NONE) \
	X(STOPPED, "stopped by the administrator", NONE) \
	X(POWEROFF, "powered off", NONE) \
	X(DEBUG_EXIT, "debug exit", NONE) \
	X(NO_MEMORY, "not enough memory, see mem", NONE) \
	X(BAD_IMAGE, "guest image refused", NONE) \
	X(RESET, "reset by the guest", REBOOT) \
	X(RESET_ADMIN, "reset by the administrator", ALWAYS) \
	X(HALTED, "halted for ever", NONE) \
	X(TRIPLE_FAULT, "triple fault", CRASH) \
	X(BAD_STATE, "the processor refused its state", CRASH) \
	X(EMULATION, "cannot be emulated", CRASH) \
	X(MONITOR, "its monitor failed", CRASH) \
	X(WATCHDOG, "its watchdog has expired", WATCHDOG)

/* Which part of the configuration says what follows. */
enum vm_policy {
	VM_POLICY_NONE,
	VM_POLICY_REBOOT,
	VM_POLICY_ALWAYS,
	VM_POLICY_CRASH,
	VM_POLICY_WATCHDOG
};

enum vm_end {
#define X(name, text, policy) VM_END_##name,
	VM_ENDS(X)
#undef X
		VM_END_COUNT
};

/* vm_end.c */
const char *vm_end_text(enum vm_end end);
enum vm_policy vm_end_policy(enum vm_end end);
bool vm_end_failed(enum vm_end end); /* by no will of the guest's or anybody's */

#endif
