/*
 * The limit on a VM's lines in the log (kernel/vm_log.h): a bucket that each
 * line fills and time empties.
 */
#include "kernel/vm_log.h"

#include "arch/log.h"

#define NS_PER_LINE (1000000000ull / VM_LOG_PER_S)

static void work_off(struct vm_log *l, ns_t now)
{
	u64 n = now > l->at ? (now - l->at) / NS_PER_LINE : 0;

	if (n >= l->used) {
		l->used = 0;
		l->at = now;
	} else {
		l->used -= (u32)n;
		l->at += n * NS_PER_LINE;
	}
}

bool vm_log_take(struct vm_log *l, ns_t now, u32 lines, const char *name)
{
	work_off(l, now);
	if (l->used + lines > VM_LOG_BURST) {
		l->dropped += lines;
		return false;
	}
	l->used += lines;
	if (l->dropped)
		log_warn("%s: %u lines dropped", name, l->dropped);
	l->dropped = 0;
	return true;
}
