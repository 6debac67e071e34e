/*
 * Stops the other CPUs for good, see stop.h. In VMX operation a CPU blocks
 * INIT (Intel SDM Vol. 3C, 24.8), which many a machine's reset is: each turns
 * virtualisation off before it halts (cpu_halt()). Takes no lock: a panic may
 * come from anywhere.
 */
#include "kernel/stop.h"
#include "arch/apic.h"
#include "arch/vectors.h"

#define STOP_WAIT_MS 200u /* an emulator's CPU may not run for a while */

static bool others_stopped(const struct cpu *self)
{
	for (u32 i = 0; i < cpu_count; i++)
		if (&cpus[i] != self && cpu_runs(&cpus[i]))
			return false;
	return true;
}

static void wait_stopped(const struct cpu *self)
{
	for (u32 i = 0; i < STOP_WAIT_MS * 10 && !others_stopped(self); i++)
		cpu_delay_us(100);
}

/* First by interrupt, which leaves a guest in good order; who has interrupts
 * off for too long gets an NMI, which a panic makes it obey. */
void cpus_stop(void)
{
	const struct cpu *self = this_cpu();

	for (u32 i = 0; i < cpu_count; i++)
		if (&cpus[i] != self && READ_ONCE(cpus[i].online))
			apic_send(cpus[i].apic_id, VEC_HALT);
	wait_stopped(self);
	if (others_stopped(self))
		return;
	for (u32 i = 0; i < cpu_count; i++)
		if (&cpus[i] != self && cpu_runs(&cpus[i]))
			apic_nmi(cpus[i].apic_id);
	wait_stopped(self);
}
