/*
 * KVM's paravirtual clock: the MSRs through which a guest says where it wants
 * its time structures (Linux Documentation/virt/kvm/x86/msr.rst).
 */
#ifndef VMM_PVCLOCK_H
#define VMM_PVCLOCK_H

#include "vmm/lib.h"

void pvclock_init(void); /* nothing registered */

/* false: not one of these MSRs, or a value that KVM refuses: #GP. */
bool pvclock_rdmsr(u32 msr, u64 *value);
bool pvclock_wrmsr(u32 msr, u64 value);

/* ABI_EV_TSC: the structure of this vCPU, if it has registered one, is written anew. */
void pvclock_tsc_moved(void);

#endif
