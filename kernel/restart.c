/*
 * Back-off between restarts (restart.h): a crash waits RESTART_FIRST_NS, then
 * twice that, up to RESTART_MAX_NS. A reset is not a failure: the first is at
 * once, and no number of them is too many.
 */
#include "kernel/restart.h"

#include "kernel/budget.h"

/* The n-th wait, from 0. */
static ns_t wait_of(u32 n)
{
	ns_t wait = RESTART_FIRST_NS;

	while (n-- && wait < RESTART_MAX_NS)
		wait *= 2;
	return MIN(wait, (ns_t)RESTART_MAX_NS);
}

bool restart_next(struct restarts *r, bool crash, ns_t ran, ns_t *delay)
{
	if (ran >= RESTART_GOOD_NS)
		r->crashes = r->resets = 0;
	if (crash) {
		if (r->crashes >= RESTART_LIMIT)
			return false;
		*delay = wait_of(r->crashes++);
	} else {
		*delay = r->resets ? wait_of(r->resets - 1) : 0;
		if (r->resets < 64)
			r->resets++;
	}
	r->total++;
	return true;
}
