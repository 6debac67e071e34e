/*
 * Upcalls CR and DR: intercepted MOV to and from control and debug registers,
 * LMSW, SMSW, CLTS. Decoded here, checked and committed by the kernel.
 */
#ifndef VMM_CONTROL_H
#define VMM_CONTROL_H

#include "kernel/abi.h"
#include "vmm/lib.h"

NORETURN void control_cr(struct abi_vcpu *v);
NORETURN void control_dr(struct abi_vcpu *v);

#endif
