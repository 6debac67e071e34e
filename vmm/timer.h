/*
 * The devices' timers, in guest time. A sorted list; its minimum is what the
 * kernel is told (SYS_TIMER), and only when it changes.
 */
#ifndef VMM_TIMER_H
#define VMM_TIMER_H

#include "kernel/abi.h"
#include "vmm/lib.h"

struct vtimer {
	ns_t at;	       /* guest time; of use while armed */
	void (*fn)(void *arg); /* runs once per setting, at or after .at */
	void *arg;
	struct vtimer *next; /* vmm/timer.c's: the list, */
	bool armed;	     /* and whether it is in it */
};

/* Sets or moves. A time that has passed fires at the next EV_TIMER, soon. */
void vtimer_set(struct vtimer *t, ns_t at);
void vtimer_cancel(struct vtimer *t); /* armed or not */

/* EV_TIMER: runs what is due; they may set and cancel timers. */
void vtimer_run(void);

void vtimer_clear(void); /* for tests: forgets all */

#endif
