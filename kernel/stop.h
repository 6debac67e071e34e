/* Stopping the other CPUs for good, before a reboot or after a panic: kernel/stop.c. */
#ifndef KERNEL_STOP_H
#define KERNEL_STOP_H

#include "arch/cpu.h"
#include "arch/x86.h"

/* All CPUs but this one halt with virtualisation off. Bounded: who does not
 * obey within tens of milliseconds is left as it is, see cpu_runs(). */
void cpus_stop(void);

/* It came up and has not halted for good. */
static inline bool cpu_runs(const struct cpu *c)
{
	return READ_ONCE(c->online) && !READ_ONCE(c->halted);
}

#endif
