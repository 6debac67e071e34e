/*
 * When a VM that ended by itself may run again: at once, later, or no more.
 * A VM that dies as soon as it runs is neither restarted in a tight loop nor
 * for ever; one that ran well for a while begins anew. Pure: time is an
 * argument. The lengths stand in kernel/budget.h.
 */
#ifndef KERNEL_RESTART_H
#define KERNEL_RESTART_H

#include "arch/types.h"

struct restarts {
	u32 total;   /* since the administrator started it */
	u32 crashes; /* in a row, none of whose runs lasted RESTART_GOOD_NS */
	u32 resets;  /* the same, of guests that asked for it */
};

/*
 * A run of `ran` ns is over, by a crash or by the guest's own reset, and the
 * policy says restart. True: begin it *delay ns from now; it is counted. False
 * (crashes only): RESTART_LIMIT in a row were enough.
 */
bool restart_next(struct restarts *r, bool crash, ns_t ran, ns_t *delay) MUST_CHECK;

#endif
