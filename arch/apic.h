/*
 * This CPU's local APIC, through MMIO or MSRs (SDM Vol. 3A chapter 10, APM
 * Vol. 2 chapter 16): end of interrupt, IPIs, and the timer. The mode is set
 * once by the BSP and is the same on all CPUs.
 */
#ifndef ARCH_APIC_H
#define ARCH_APIC_H

#include "arch/types.h"

/* BSP, after kspace_init(): chooses the mode, masks the 8259s, sets up. */
void apic_init_bsp(void);
/* Each AP, after cpu_init_this(). */
void apic_init_ap(void);
/* BSP, once tsc_hz is known: measures the timer against the TSC (about 2 ms). */
void apic_calibrate(u64 hz_of_tsc);

bool apic_is_x2(void);
const char *apic_timer_name(void); /* for the boot log */
u32 apic_id(void);
void apic_eoi(void);
/* Makes the APIC look again at what is pending. No processor needs it; for QEMU, see
 * run_unusual() in arch/svm/svm.c. */
void apic_look_again(void);

/* Fixed interrupt, NMI, INIT, start-up to one CPU. Bounded: false when the
 * APIC would not take it. */
bool apic_send(u32 apic_id, u8 vector);
bool apic_nmi(u32 apic_id);
bool apic_send_init(u32 apic_id);
bool apic_send_startup(u32 apic_id, u8 page);

/* VEC_TIMER comes at this TSC value or before, when it is far away (the caller
 * looks at the time and sets it again); at once when it is past. 0 = off. */
void apic_timer_set(u64 tsc_deadline);

#endif
