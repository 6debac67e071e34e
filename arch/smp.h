/*
 * Starting the other processors: INIT, start-up IPI (SDM Vol. 3A 8.4), the
 * trampoline in a page below 1 MiB. BSP only, during init.
 */
#ifndef ARCH_SMP_H
#define ARCH_SMP_H

#include "arch/types.h"

/*
 * Fills cpus[1..] and starts them one after the other; each runs entry() on
 * its own stack and the kernel's space, after cpu_init_this() and
 * apic_init_ap(), with interrupts off. ids may contain the BSP's. Returns how
 * many CPUs run, the BSP included (= cpu_count); who does not come is logged.
 * The trampoline page is scrubbed before it returns.
 */
u32 smp_start(const u32 *apic_ids, u32 n, hpa_t trampoline, void (*entry)(void));

#endif
