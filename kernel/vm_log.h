/*
 * How much a VM may say in the host's log. What its guest or its monitor causes
 * is limited, so that neither can push the other lines out of the ring or keep
 * CPU 0 busy with showing them; what is left out is counted and told.
 */
#ifndef KERNEL_VM_LOG_H
#define KERNEL_VM_LOG_H

#include "arch/types.h"

#define VM_LOG_BURST 128 /* lines at once: three crash records */
#define VM_LOG_PER_S 8	 /* and then so many a second */

/* All zero: nothing was said yet. Belongs to who runs the VM: its vCPU's CPU, or CPU 0 while
 * none does. */
struct vm_log {
	ns_t at;     /* up to when `used` was worked off */
	u32 used;    /* lines of the burst */
	u32 dropped; /* since the last line that passed */
	bool quiet;  /* the crash record under way is not logged */
};

/* May `lines` more be written at `now` in the name of VM `name`? Counted; all or
 * nothing. What was dropped before is told first. */
bool vm_log_take(struct vm_log *l, ns_t now, u32 lines, const char *name) MUST_CHECK;

#endif
